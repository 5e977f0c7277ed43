//! What `vigil status` says to people.

use crate::commands::explain::last_known;
use crate::report::{BudgetReport, PotReport, StatusReport, StatusSession, WebhooksReport};
use crate::ui::{self, Ui};

use super::causes;

/// What a person reads.
pub(in crate::commands) fn print(report: &StatusReport, all: bool, ui: Ui) {
    for source in &report.sources {
        if let Some(error) = &source.error {
            ui.line(format!(
                "{} {}: {error}",
                ui::styled(ui::ALARM, "source failed"),
                source.name
            ));
        }
    }
    for alert in &report.alerts {
        ui.line(format!(
            "{} {} (since {})",
            ui::styled(ui::ALARM, "alert"),
            ui::clean(&alert.text),
            alert.since
        ));
    }
    if let Some(hint) = report
        .github
        .trouble
        .as_ref()
        .and_then(|trouble| trouble.hint.as_ref())
    {
        ui.hint(hint);
    }
    if let Some(file) = &report.stopped {
        ui.line(format!(
            "{} vigil writes nothing to any source while {} is there; remove it to let vigil write again",
            ui::styled(ui::NOTICE, "stopped"),
            ui::clean(file)
        ));
    }
    for source in &report.paused {
        ui.line(format!(
            "{} vigil writes nothing to {source}",
            ui::styled(ui::NOTICE, "paused")
        ));
    }
    let unjudged: Vec<&StatusSession> = report
        .sessions
        .iter()
        .filter(|session| session.judged_state.is_none())
        .collect();
    if !unjudged.is_empty() {
        ui.heading(format!(
            "{} could not be judged",
            ui::count(unjudged.len(), "session")
        ));
        for line in causes::lines(&unjudged, report) {
            ui.said(format!("  {}", ui::with_ages(&line, &report.now)));
        }
        ui.line("");
    }
    let failed = report.sources.iter().any(|source| source.error.is_some());
    if report.sessions.is_empty() {
        // Of a source that could not be read nobody knows whether it has any.
        if !failed {
            ui.line("No sessions.");
        }
    } else {
        sessions(report, all, ui);
    }
    for account in &report.budget {
        ui.line(budget(account));
    }
    if let Some(heard) = &report.webhooks {
        ui.line(webhooks(heard));
    }
}

fn sessions(report: &StatusReport, all: bool, ui: Ui) {
    let shown: Vec<&StatusSession> = report
        .sessions
        .iter()
        .filter(|session| all || !session.recorded_state.is_settled())
        .collect();
    let heads = [
        "session", "recorded", "judged", "", "rule", "evidence", "why",
    ];
    if !shown.is_empty() {
        let rows = shown.iter().map(|session| row(session, &report.now));
        ui.table(&heads, rows.collect());
    }
    let differ = report
        .sessions
        .iter()
        .filter(|session| {
            session
                .judged_state
                .is_some_and(|judged| judged != session.recorded_state)
        })
        .count();
    let stale = report
        .sessions
        .iter()
        .filter(|session| session.stale)
        .count();
    let mut summary = format!(
        "{}; {stale} stale, {differ} not as recorded",
        ui::count(report.sessions.len(), "session")
    );
    if differ > 0 {
        summary.push_str("; `vigil run --once` puts them right");
    }
    let hidden = report.sessions.len() - shown.len();
    if hidden > 0 {
        summary.push_str(&format!("; {hidden} settled (--all shows them)"));
    }
    ui.line(summary);
}

/// What may still be asked of GitHub, in one line.
fn budget(account: &BudgetReport) -> String {
    let pot = |pot: &PotReport, what: &str| {
        let number = |number: Option<u64>| {
            number.map_or_else(|| "unknown".to_owned(), |number| number.to_string())
        };
        let reset = pot
            .reset
            .as_ref()
            .map_or_else(String::new, |reset| format!(", filled again at {reset}"));
        match pot.limit {
            None => format!("{what}: no limit told, {} taken", pot.spent),
            Some(limit) => format!(
                "{what}: {} of {limit} left, vigil took {} and may take {}{reset}",
                number(pot.remaining),
                pot.spent,
                number(pot.share_left)
            ),
        }
    };
    let mut text = format!(
        "GitHub ({}): {}; {}",
        account.account,
        pot(&account.points, "points"),
        pot(&account.rest_requests, "REST requests")
    );
    if account.postponed > 0 {
        text.push_str(&format!("; {} questions put off", account.postponed));
    }
    if let (Some(until), Some(why)) = (&account.silent_until, &account.silent_because) {
        text.push_str(&format!("; silent until {until}: {why}"));
    }
    text
}

/// What webhooks brought, in one line: what went its way, then whatever else there was.
fn webhooks(heard: &WebhooksReport) -> String {
    let counts = &heard.counts;
    let others = [
        ("heard before", counts.duplicates),
        ("forged", counts.forged),
        ("of an unknown kind", counts.unknown),
        ("unparsable", counts.unparsable),
        ("too large", counts.too_large),
        ("broken off", counts.broken_off),
        ("without room", counts.no_room),
        ("connections ended as the slowest", counts.shed),
        ("refused", counts.refused),
    ];
    let others: String = others
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(what, count)| format!(", {count} {what}"))
        .collect();
    let last = match heard.last == heard.since {
        true => String::new(),
        false => format!(", the latest at {}", heard.last),
    };
    format!(
        "Webhooks since {}: {} received{last}; {} wakes{others}",
        heard.since, counts.received, counts.wakes
    )
}

fn row(session: &StatusSession, now: &str) -> Vec<String> {
    let judged = session
        .judged_state
        .map_or_else(|| "unknown".to_owned(), |state| state.to_string());
    let mark = match (session.stale, session.judged_state) {
        (_, Some(judged)) if judged != session.recorded_state => "differs",
        (true, _) => "stale",
        _ => "",
    };
    vec![
        session.id.clone(),
        format!("{} ({})", session.recorded_state, session.native_state),
        judged,
        mark.to_owned(),
        session.rule.clone().unwrap_or_default(),
        session.evidence_age_s.map_or_else(
            || "none".to_owned(),
            |age| ui::span_ms(u128::from(age) * 1000),
        ),
        why(session, now),
    ]
}

/// The reason, with the moment from which its ages count where that is not now, without what stands above the table,
/// and with what was known before.
fn why(session: &StatusSession, now: &str) -> String {
    let mut why = session.reason.clone().unwrap_or_default();
    if session.judged_state.is_none() {
        why = causes::short(&why, &session.gaps);
    }
    if let Some(at) = session.reason_at.as_deref().and_then(|at| as_of(at, now)) {
        why = format!("as of {at}: {why}");
    }
    why = ui::with_ages(&why, now);
    for known in &session.last_known {
        why.push_str(&format!("; {}", last_known::beside(known)));
    }
    why
}

/// `at` as it stands beside a sentence that was written then, both RFC 3339 in UTC; `None`: that is less than a minute
/// ago.
pub(super) fn as_of(at: &str, now: &str) -> Option<String> {
    let moment = |text: &str| text.parse::<jiff::Timestamp>().ok();
    let (Some(written), Some(read)) = (moment(at), moment(now)) else {
        return Some(at.to_owned());
    };
    if read.duration_since(written).as_secs().abs() < 60 {
        return None;
    }
    Some(ui::minute(at, now))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::LastKnownReport;
    use crate::webhooks::Counts;

    #[test]
    fn a_sentence_that_is_not_of_now_says_of_when_it_is() {
        let now = "2026-11-20T13:05:10Z";
        for (at, expected) in [
            ("2026-11-20T13:05:01Z", None),
            ("2026-11-20T13:04:11Z", None),
            ("2026-11-20T13:04:10Z", Some("13:04Z")),
            ("2026-11-20T12:01:07Z", Some("12:01Z")),
            ("2026-11-19T13:05:10Z", Some("2026-11-19T13:05Z")),
            ("soon", Some("soon")),
        ] {
            assert_eq!(as_of(at, now).as_deref(), expected, "{at}");
        }
    }

    #[test]
    fn a_row_says_of_when_its_sentence_is_and_what_was_known_before() {
        let mut session = causes::tests::unjudged(
            1,
            Some("PR #3 is unknown since 2 min ago (unreachable: no way); it stays"),
            Some(("unreachable", "no way")),
        );
        session.reason_at = Some("2026-11-20T12:01:07Z".to_owned());
        session.last_known = vec![LastKnownReport {
            fact: "pull-request".to_owned(),
            read: "2026-11-20T12:53:10Z".to_owned(),
            age_s: 720,
            said: "#3 open".to_owned(),
        }];
        assert_eq!(
            why(&session, "2026-11-20T13:05:10Z"),
            "as of 12:01Z: PR #3 is unknown since 2 min ago (unreachable); it stays; last known 12 min ago: #3 open"
        );
        session.reason_at = Some("2026-11-20T13:05:09Z".to_owned());
        assert!(why(&session, "2026-11-20T13:05:10Z").starts_with("PR #3"));
    }

    #[test]
    fn webhooks_are_one_line_that_leaves_out_what_did_not_happen() {
        let quiet = WebhooksReport {
            since: "2026-11-20T12:00:00Z".to_owned(),
            last: "2026-11-20T12:00:00Z".to_owned(),
            counts: Counts::default(),
        };
        assert_eq!(
            webhooks(&quiet),
            "Webhooks since 2026-11-20T12:00:00Z: 0 received; 0 wakes"
        );
        let heard = WebhooksReport {
            last: "2026-11-20T12:30:00Z".to_owned(),
            counts: Counts {
                received: 9,
                wakes: 4,
                unknown: 3,
                forged: 1,
                ..Counts::default()
            },
            ..quiet
        };
        assert_eq!(
            webhooks(&heard),
            "Webhooks since 2026-11-20T12:00:00Z: 9 received, the latest at 2026-11-20T12:30:00Z; 4 wakes, 1 forged, \
             3 of an unknown kind"
        );
    }
}
