//! Why sessions could not be judged: each cause once, however many sessions it concerns.

use std::collections::{BTreeSet, HashMap};

use super::print::as_of;
use crate::report::{GapReport, StatusReport, StatusSession};

/// 3 sessions are named, more are counted; the table names them all.
const NAMED_MAX: usize = 3;

/// What several sessions have in common.
struct Cause<'a> {
    what: What<'a>,
    /// What the rule said of the first session.
    reason: Option<&'a str>,
    /// The facts that are unknown because of it.
    facts: BTreeSet<&'a str>,
    sessions: Vec<&'a str>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum What<'a> {
    Gap {
        kind: &'a str,
        detail: &'a str,
    },
    /// No gap: the rule that spoke. Its sentence tells each session's own numbers.
    Rule(&'a str),
    /// The same, where nobody knows the rule.
    Reason(&'a str),
    /// What was said earlier does not hold any more.
    Outdated,
    Unseen,
}

/// One line for each cause, in the order in which their sessions come. What an alert of `report` says is not said
/// again.
pub(super) fn lines(unjudged: &[&StatusSession], report: &StatusReport) -> Vec<String> {
    let mut causes: Vec<Cause<'_>> = Vec::new();
    let mut places: HashMap<What<'_>, usize> = HashMap::new();
    for session in unjudged {
        let what = cause(session, &report.now);
        let at = *places.entry(what).or_insert_with(|| {
            causes.push(Cause {
                what,
                reason: session.reason.as_deref(),
                facts: BTreeSet::new(),
                sessions: Vec::new(),
            });
            causes.len() - 1
        });
        causes[at].facts.extend(facts(session, what));
        causes[at].sessions.push(&session.id);
    }
    causes.iter().map(|cause| cause.line(report)).collect()
}

/// The facts of a session that are unknown for the same reason.
fn facts<'a>(session: &'a StatusSession, what: What<'a>) -> impl Iterator<Item = &'a str> {
    let same = move |gap: &&GapReport| matches!(what, What::Gap { kind, detail } if kind == gap.kind && detail == gap.detail);
    session
        .gaps
        .iter()
        .filter(same)
        .map(|gap| gap.fact.as_str())
}

/// The gap that the reason speaks of. A policy may have words of its own: then any gap
/// of what GitHub is asked, else the reason itself.
fn cause<'a>(session: &'a StatusSession, now: &str) -> What<'a> {
    let Some(reason) = session.reason.as_deref() else {
        return What::Unseen;
    };
    // A long reason may have been cut off behind the gap's kind.
    let is_told = |gap: &&GapReport| reason.contains(&format!("({}", gap.kind));
    let told = session.gaps.iter().find(is_told);
    let at = session.reason_at.as_deref();
    if told.is_none() && at.and_then(|at| as_of(at, now)).is_some() {
        return What::Outdated;
    }
    let is_asked = |gap: &&GapReport| matches!(gap.fact.as_str(), "issue" | "pull-request");
    match told.or_else(|| session.gaps.iter().find(is_asked)) {
        Some(gap) => What::Gap {
            kind: &gap.kind,
            detail: &gap.detail,
        },
        None => session
            .rule
            .as_deref()
            .map_or(What::Reason(reason), What::Rule),
    }
}

impl Cause<'_> {
    fn line(&self, report: &StatusReport) -> String {
        let who = match self.sessions.len() {
            1..=NAMED_MAX => self.sessions.join(", "),
            more => format!("{more} sessions"),
        };
        match self.what {
            What::Gap { kind, detail } => {
                let facts: Vec<&str> = self.facts.iter().copied().collect();
                let detail = beyond_alerts(detail, report);
                format!("{who}: {} unknown ({kind}): {detail}", facts.join(", "))
            }
            What::Rule(rule) => match (self.sessions.len(), self.reason) {
                (1, Some(reason)) => format!("{who}: {reason}"),
                (_, Some(reason)) => format!("{who}: {rule}, such as: {reason}"),
                (_, None) => format!("{who}: {rule}"),
            },
            What::Reason(reason) => format!("{who}: {reason}"),
            What::Outdated => format!("{who}: nobody has looked for a while"),
            What::Unseen => format!("{who}: nobody has looked yet"),
        }
    }
}

/// `detail` without what an alert, which stands above, says already.
fn beyond_alerts(detail: &str, report: &StatusReport) -> String {
    let said = report
        .alerts
        .iter()
        .find(|alert| !alert.text.is_empty() && detail.contains(&alert.text));
    match said {
        Some(alert) => {
            // Its hint stands there, too.
            let hint = report.github.trouble.as_ref();
            let hint = hint.and_then(|trouble| trouble.hint.as_deref());
            let detail = detail.replace(&alert.text, "see the alert");
            match hint {
                Some(hint) => detail.replace(&format!("; hint: {hint}"), ""),
                None => detail,
            }
        }
        None => detail.to_owned(),
    }
}

/// A reason without what [`lines`] says of its gaps: their kinds stay.
pub(super) fn short(reason: &str, gaps: &[GapReport]) -> String {
    gaps.iter()
        .filter(|gap| !gap.detail.is_empty())
        .fold(reason.to_owned(), |reason, gap| {
            let GapReport { kind, detail, .. } = gap;
            reason.replace(&format!("{kind}: {detail}"), kind)
        })
}

#[cfg(test)]
pub(super) mod tests {
    use vigil_core::State;

    use super::*;
    use crate::report::{AlertReport, GitHubReport, Outcome, STATUS, TroubleReport};

    const NO_TOKEN: &str = "there is no token for GitHub: GH_TOKEN is not set";

    pub(in super::super) fn unjudged(
        number: u64,
        reason: Option<&str>,
        gap: Option<(&str, &str)>,
    ) -> StatusSession {
        StatusSession {
            source: "vigilante".to_owned(),
            id: format!("acme/app#{number}"),
            repo: None,
            issue: Some(number),
            pr: None,
            recorded_state: State::Running,
            judged_state: None,
            native_state: "running".to_owned(),
            stale: true,
            stale_since: None,
            outcome: Outcome::Held,
            rule: None,
            reason: reason.map(str::to_owned),
            reason_from: None,
            reason_at: None,
            evidence_age_s: None,
            gaps: gap
                .into_iter()
                .map(|(kind, detail)| GapReport {
                    fact: "issue".to_owned(),
                    kind: kind.to_owned(),
                    detail: detail.to_owned(),
                    since: None,
                })
                .collect(),
            last_known: Vec::new(),
        }
    }

    fn report(sessions: Vec<StatusSession>) -> StatusReport {
        StatusReport {
            schema: STATUS.to_owned(),
            now: "2026-11-20T13:05:10Z".to_owned(),
            offline: false,
            sources: Vec::new(),
            paused: Vec::new(),
            stopped: None,
            alerts: Vec::new(),
            sessions,
            github: GitHubReport::default(),
            budget: Vec::new(),
            webhooks: None,
        }
    }

    fn told(report: &StatusReport) -> Vec<String> {
        lines(&report.sessions.iter().collect::<Vec<_>>(), report)
    }

    #[test]
    fn a_cause_is_told_once_with_the_number_of_its_sessions() {
        let detail = format!("{NO_TOKEN}; hint: set GH_TOKEN");
        let reason = format!("the issue is unknown (unauthenticated: {detail}); it stays");
        let many = (1..=30)
            .map(|number| unjudged(number, Some(&reason), Some(("unauthenticated", &detail))));
        let mut all: Vec<StatusSession> = many.collect();
        all.push(unjudged(
            31,
            Some("nobody can say"),
            Some(("not-found", "there is no acme/secret")),
        ));
        all.push(unjudged(32, None, None));
        all.push(unjudged(33, Some("its supervisor lives"), None));
        // What it could not learn then has no part in that nobody looked since.
        all.extend((34..=37).map(|number| StatusSession {
            reason_at: Some("2026-11-20T12:01:07Z".to_owned()),
            ..unjudged(
                number,
                Some("an agent is at work on it"),
                Some(("not-found", "there is no acme/secret")),
            )
        }));
        let mut report = report(all);
        assert_eq!(
            told(&report),
            [
                format!("30 sessions: issue unknown (unauthenticated): {detail}"),
                "acme/app#31: issue unknown (not-found): there is no acme/secret".to_owned(),
                "acme/app#32: nobody has looked yet".to_owned(),
                "acme/app#33: its supervisor lives".to_owned(),
                "4 sessions: nobody has looked for a while".to_owned(),
            ]
        );

        // The alert above says it, and what to do about it.
        report.alerts.push(AlertReport {
            key: "github-no-token".to_owned(),
            text: NO_TOKEN.to_owned(),
            since: String::new(),
        });
        assert_eq!(
            told(&report)[0],
            "30 sessions: issue unknown (unauthenticated): see the alert; hint: set GH_TOKEN"
        );
        report.github.trouble = Some(TroubleReport {
            code: "no-token".to_owned(),
            detail: NO_TOKEN.to_owned(),
            hint: Some("set GH_TOKEN".to_owned()),
        });
        // One session lacks more for the same reason than the others.
        let gap = GapReport {
            fact: "pull-request".to_owned(),
            ..report.sessions[0].gaps[0].clone()
        };
        report.sessions[0].gaps.push(gap);
        assert_eq!(
            told(&report)[0],
            "30 sessions: issue, pull-request unknown (unauthenticated): see the alert"
        );
    }

    #[test]
    fn what_one_rule_says_with_other_numbers_is_one_cause() {
        let by_rule = |number: u64, rule: &str| StatusSession {
            rule: Some(rule.to_owned()),
            ..unjudged(number, Some(&format!("quiet for {number} min")), None)
        };
        let mut all: Vec<StatusSession> = (1..=9).map(|at| by_rule(at, "quiet")).collect();
        all.push(by_rule(10, "other"));
        assert_eq!(
            told(&report(all)),
            [
                "9 sessions: quiet, such as: quiet for 1 min",
                "acme/app#10: quiet for 10 min"
            ]
        );
    }

    #[test]
    fn in_its_row_a_gap_is_its_kind() {
        let session = unjudged(
            1,
            Some("PR #3 is unknown since 2 min ago (unreachable: no way); it stays"),
            Some(("unreachable", "no way")),
        );
        assert_eq!(
            short(session.reason.as_deref().expect("a reason"), &session.gaps),
            "PR #3 is unknown since 2 min ago (unreachable); it stays"
        );
    }
}
