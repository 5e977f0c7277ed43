//! What `vigil run` says to people.

use std::collections::{BTreeMap, BTreeSet};

use vigil_core::decide;

use crate::report::{GitHubReport, Outcome, PlannedReport, RunReport, SessionReport};
use crate::ui::{self, Ui};

/// What a pass is going to ask, said before it asks anything.
pub(super) fn print_plan(planned: &PlannedReport, ui: Ui) {
    ui.line(plan(planned));
}

fn plan(planned: &PlannedReport) -> String {
    let mut text = format!(
        "Planned for GitHub: {} for {} and {}",
        counted(planned.requests, "request"),
        counted(planned.points, "point"),
        counted(planned.rest_requests, "probe")
    );
    if planned.postponed > 0 {
        let waiting = counted(planned.postponed, "question");
        text.push_str(&format!(", {waiting} put off"));
    }
    text.push_str(
        ". More for what turns out to have changed, for single checks and held runs, and for what a move would rest on.",
    );
    text
}

/// What a person reads after one pass.
pub(in crate::commands) fn print(report: &RunReport, ui: Ui) {
    for source in &report.sources {
        if let Some(error) = &source.error {
            ui.line(format!(
                "{} {}: {error}",
                ui::styled(ui::ALARM, "source failed"),
                source.name
            ));
        }
    }
    for source in &report.sources {
        if let Some(why) = &source.locked {
            ui.line(format!(
                "{} {}: {}",
                ui::styled(ui::ALARM, "nothing was written to"),
                source.name,
                ui::clean(why)
            ));
        }
    }
    if let Some(trouble) = &report.github.trouble {
        ui.line(format!(
            "{} {}",
            ui::styled(ui::ALARM, "GitHub could not be asked:"),
            ui::clean(&trouble.detail)
        ));
        if let Some(hint) = &trouble.hint {
            ui.hint(hint);
        }
    }
    if let Some(error) = &report.journal_error {
        ui.line(format!(
            "{} the records below that moved were written, and this could not be noted: {error}",
            ui::styled(ui::ALARM, "journal failed:"),
        ));
        ui.hint("the next pass finds in the records what was written");
    }
    for line in failures_of_policies(report) {
        ui.line(format!(
            "{} {}",
            ui::styled(ui::ALARM, "policy failed"),
            ui::clean(&line)
        ));
    }
    let notable: Vec<&SessionReport> = report
        .sessions
        .iter()
        .filter(|session| session.outcome != Outcome::Held)
        .collect();
    if !notable.is_empty() {
        let rows = notable
            .iter()
            .map(|session| decision_row(session, &report.now))
            .collect();
        ui.table(&["session", "change", "outcome", "rule", "why"], rows);
    }
    let held = report.sessions.len() - notable.len();
    if notable.is_empty() {
        // Nothing happened: what could not be learned is why, as far as it is.
        for line in causes(report) {
            ui.said(line);
        }
    }
    let unknown = report
        .sessions
        .iter()
        .filter(|session| !session.gaps.is_empty())
        .count();
    let mut summary = format!(
        "{} looked at, {held} held",
        ui::count(report.sessions.len(), "session")
    );
    if unknown > 0 {
        summary.push_str(&format!(" ({unknown} with something unknown)"));
    }
    summary.push_str(&format!(
        "; GitHub: {}; {} ms",
        asked(&report.github),
        report.took_ms
    ));
    ui.line(summary);
    if report.dry_run {
        ui.line("Dry run: nothing was changed.");
    }
}

/// One line for each policy that failed, by its words, with the number of the sessions that are held for it.
fn failures_of_policies(report: &RunReport) -> Vec<String> {
    let mut all: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let failed = |session: &&SessionReport| session.rule == decide::rule::POLICY_FAILED;
    for session in report.sessions.iter().filter(failed) {
        all.entry(&session.reason).or_default().push(&session.id);
    }
    all.into_iter()
        .map(|(reason, sessions)| format!("{}: {reason}", who(&sessions)))
        .collect()
}

/// Why facts are unknown: one line for each cause, with the facts and the sessions that it concerns.
fn causes(report: &RunReport) -> Vec<String> {
    /// The facts that are unknown for one reason, and the sessions that they are of.
    type Concerned<'a> = (BTreeSet<&'a str>, Vec<&'a str>);
    let mut all: BTreeMap<(&str, &str), Concerned<'_>> = BTreeMap::new();
    for session in &report.sessions {
        for gap in &session.gaps {
            let (facts, sessions) = all.entry((&gap.kind, &gap.detail)).or_default();
            facts.insert(&gap.fact);
            if sessions.last() != Some(&session.id.as_str()) {
                sessions.push(&session.id);
            }
        }
    }
    all.into_iter()
        .map(|((kind, detail), (facts, sessions))| {
            let facts: Vec<&str> = facts.into_iter().collect();
            let facts = facts.join(", ");
            format!("{}: {facts} unknown ({kind}): {detail}", who(&sessions))
        })
        .collect()
}

/// Up to 3 sessions by name, more by their number.
fn who(sessions: &[&str]) -> String {
    match sessions {
        [_] | [_, _] | [_, _, _] => sessions.join(", "),
        more => format!("{} sessions", more.len()),
    }
}

/// What a pass cost at GitHub, for people.
fn asked(github: &GitHubReport) -> String {
    let mut text = format!(
        "{} for {}",
        counted(github.requests, "request"),
        counted(github.points, "point")
    );
    if github.rest_requests > 0 {
        text.push_str(&format!(
            " and {} ({} unchanged)",
            counted(github.rest_requests, "probe"),
            github.unchanged
        ));
    }
    if github.postponed > 0 {
        text.push_str(&format!(
            ", {} put off",
            counted(github.postponed, "question")
        ));
    }
    text
}

fn counted(number: u64, what: &str) -> String {
    ui::count(usize::try_from(number).unwrap_or(usize::MAX), what)
}

/// A session of a pass as a row: name, change, outcome, rule, reason with its guards.
fn decision_row(session: &SessionReport, now: &str) -> Vec<String> {
    let change = if session.from == session.to {
        session.from.to_string()
    } else {
        format!("{} -> {}", session.from, session.to)
    };
    let mut why = session.reason.clone();
    for guard in &session.guards {
        // A refusal's reason ends with the words of the first guard.
        let said = session.reason.contains(&guard.detail);
        why.push_str(&match said {
            true => format!(" [{}]", guard.code),
            false => format!(" [{}: {}]", guard.code, guard.detail),
        });
    }
    let mut outcome = session.outcome.as_str().to_owned();
    if let Some(id) = &session.transition_id {
        outcome.push_str(&format!(" ({id})"));
    }
    vec![
        session.id.clone(),
        change,
        outcome,
        session.rule.clone(),
        ui::with_ages(&why, now),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_says_what_it_leaves_out_and_what_has_to_wait() {
        let planned = PlannedReport {
            requests: 1,
            points: 2,
            rest_requests: 0,
            postponed: 0,
        };
        let said = plan(&planned);
        assert!(
            said.starts_with("Planned for GitHub: 1 request for 2 points and 0 probes. More for "),
            "{said}"
        );
        let short = PlannedReport {
            postponed: 40,
            ..planned
        };
        assert!(plan(&short).contains("0 probes, 40 questions put off."));
    }
}
