//! `vigil explain SESSION`: why a session is in its state, and what would move it.

mod facts;
pub(super) mod last_known;

use serde::Serialize;
use vigil_core::decide::{Action, decide};
use vigil_core::forge::{Issue, PullRequest, PullRequestState};
use vigil_core::session::Process;
use vigil_core::standing::Origin;
use vigil_core::verdict::{Decision, PolicyAnswer, PolicyFailure, Verdict};
use vigil_core::{Evidence, Fact, Timestamp, signs};
use vigil_policy::ChainQuestion;
use vigil_store::{JournalRow, Transition};

use crate::cli::SessionArg;
use crate::failure::{EXIT_DONE, EXIT_FAILED, Failure, Outcome};
use crate::memory;
use crate::pass::{Batch, Entry, How, REOPENED, Reconciler, was_written};
use crate::report::{self, GapReport, GuardReport, LastKnownReport, SessionReport};
use crate::ui::{self, Ui};
use crate::wiring::Setup;

#[derive(Debug, Serialize)]
struct Explained {
    schema: &'static str,
    now: String,
    session: SessionReport,
    stale_since: Option<String>,
    evidence: Evidence,
    last_known: Vec<LastKnownReport>,
    answers: Vec<PolicyAnswer>,
    would_move: Vec<WhatIf>,
    last: Option<Last>,
}

/// Another fact, and what it would lead to.
#[derive(Debug, Serialize)]
struct WhatIf {
    #[serde(rename = "if")]
    if_: String,
    then: String,
    rule: String,
    guards: Vec<GuardReport>,
}

/// What the journal knows.
#[derive(Debug, Serialize)]
struct Last {
    outcome: String,
    rule: String,
    reason: String,
    reason_from: Origin,
    first: String,
    last: String,
    count: u64,
    transition_id: Option<String>,
}

/// Runs the command.
pub(crate) async fn run(args: &SessionArg, setup: Setup, ui: Ui) -> Outcome {
    let (_engine, chain) = setup.chain(&args.chain.policies)?;
    let mut reconciler = setup.reconciler(chain, None)?;
    let mut known = Vec::new();
    let mut unread = None;
    for configured in &reconciler.sources {
        let name = configured.source.name();
        match configured.source.load(reconciler.world.as_ref()) {
            Ok(sessions) => known.extend(sessions.into_iter().map(|session| session.id)),
            Err(error) => {
                ui.remark(format!("source {name}: {error}"));
                unread.get_or_insert(name.to_owned());
            }
        }
    }
    let id = super::session_named(&args.session, &setup, &known).map_err(|none| match unread {
        // It may be among those that could not be read.
        Some(name) => Failure::world(format!(
            "whether there is a session {} is unknown: source {name} could not be read",
            args.session
        )),
        None => none,
    })?;
    let how = How {
        only: Some([id.clone()].into()),
        // As a pass does before it moves anything.
        confirm: true,
        // One session's take as long as they may.
        looks: How::once().looks,
        ..How::look()
    };
    let passed = reconciler.pass(&how).await?;
    let last = reconciler.store.latest(&id).map_err(memory::failed)?;
    let found = passed.batches.iter().find_map(|batch| {
        batch
            .entries
            .iter()
            .find(|entry| entry.evidence.session.id == id)
            .map(|entry| (batch, entry))
    });
    let Some((batch, entry)) = found else {
        let moves = reconciler.store.transitions(Some(&id), None, usize::MAX);
        let mut moves = moves.map_err(memory::failed)?.into_iter();
        let moved = moves.find(was_written);
        let open = reconciler.store.open_alerts().map_err(memory::failed)?;
        let key = format!("{REOPENED}{id}");
        let reopened = open.into_iter().find(|alert| alert.key == key);
        let reopened = reopened.map(|alert| alert.text);
        let known = Settled {
            last: last.as_ref(),
            moved: moved.as_ref(),
            reopened: reopened.as_deref(),
        };
        return settled(&id.to_string(), &known, ui);
    };
    let failed = passed.failed();
    let would_move = what_ifs(&mut reconciler, batch, entry)?;
    let report = passed.report(true, setup.world.now());
    let session = report
        .sessions
        .into_iter()
        .find(|session| session.id == id.id && session.source == id.source)
        .ok_or_else(|| Failure::world(format!("{id} went away while it was looked at")))?;
    let stale_since = signs::stale_since(&entry.evidence.session, &batch.context).map(ui::moment);
    let now = batch.context.now;
    let known = reconciler.last_known(&entry.evidence.session.lookup, now);
    let last_known = last_known::report(&entry.evidence, &known, now);
    let explained = Explained {
        schema: report::EXPLAIN,
        now: report.now,
        session,
        stale_since,
        evidence: entry.evidence.clone(),
        last_known,
        answers: entry.answers.clone(),
        would_move,
        last: last.as_ref().map(last_row),
    };
    if ui.json {
        ui.document(&explained)?;
    } else {
        print(&explained, batch, ui);
    }
    Ok(if failed { EXIT_FAILED } else { EXIT_DONE })
}

/// What the journal knows of a settled session.
struct Settled<'a> {
    /// The latest decision.
    last: Option<&'a JournalRow>,
    /// The latest move.
    moved: Option<&'a Transition>,
    /// It was reopened since: what is told of that.
    reopened: Option<&'a str>,
}

/// A settled session is not looked at any more; the journal says how it came there.
fn settled(id: &str, known: &Settled<'_>, ui: Ui) -> Outcome {
    let &Settled {
        last,
        moved,
        reopened,
    } = known;
    if ui.json {
        let last = last.map(last_row);
        let moved = moved.map(|row| {
            serde_json::json!({
                "id": row.id,
                "to": row.to,
                "rule": row.rule,
                "reason": row.reason,
                "at": ui::moment(row.at),
            })
        });
        ui.document(&serde_json::json!({
            "schema": report::EXPLAIN,
            "id": id,
            "settled": true,
            "last": last,
            "moved": moved,
            "reopened": reopened,
        }))?;
        return Ok(EXIT_DONE);
    }
    ui.line(format!(
        "{id} is settled: nothing follows its state, so vigil does not look at it again."
    ));
    // A pass that was ended before it could note its decision had noted the write.
    let unnoted = moved.filter(|moved| last.is_none_or(|last| last.last_at < moved.at));
    match (unnoted, last) {
        (Some(row), _) => ui.said(format!(
            "Last move: {} by {} at {}: {}",
            row.id,
            row.rule,
            ui::moment(row.at),
            row.reason
        )),
        // Its sentence is the first time's, and so are the ages in it.
        (None, Some(row)) => ui.said(format!(
            "Last decision: {} by {} at {}: {}",
            row.outcome,
            row.rule,
            ui::moment(row.first_at),
            row.reason
        )),
        (None, None) => ui.line("The journal has no move of vigil's that made it so."),
    }
    if let Some(text) = reopened {
        ui.said(format!("Since then: {text}"));
    }
    Ok(EXIT_DONE)
}

fn last_row(row: &JournalRow) -> Last {
    Last {
        outcome: row.outcome.clone(),
        rule: row.rule.clone(),
        reason: row.reason.clone(),
        reason_from: row.reason_from,
        first: ui::moment(row.first_at),
        last: ui::moment(row.last_at),
        count: row.count,
        transition_id: row.transition.map(|id| id.to_string()),
    }
}

/// Changes one fact at a time and asks the same chain and the same guards again. Only changes that lead elsewhere are
/// told.
fn what_ifs(
    reconciler: &mut Reconciler,
    batch: &Batch,
    entry: &Entry,
) -> Result<Vec<WhatIf>, Failure> {
    let variations = variations(&entry.evidence);
    let memos: Vec<Option<&str>> = entry.memos.iter().map(Option::as_deref).collect();
    let questions: Vec<ChainQuestion<'_>> = variations
        .iter()
        .map(|(_, evidence)| ChainQuestion {
            evidence,
            memos: &memos,
            failures: &entry.failures,
        })
        .collect();
    let chain = reconciler.chain.clone();
    let mut quarantine = reconciler.quarantine.clone();
    let answers = chain.decide(&batch.context, &questions, &mut quarantine);
    let now = entry
        .ruling
        .as_ref()
        .map(|ruling| (&ruling.action, &ruling.rule));
    Ok(variations
        .iter()
        .zip(answers)
        .filter_map(|((if_, evidence), answers)| {
            let ruling = decide(
                evidence,
                &answers,
                &entry.asked,
                &batch.survey,
                &batch.context,
            );
            if Some((&ruling.action, &ruling.rule)) == now || ruling.action == Action::Hold {
                return None;
            }
            let then = match (&ruling.action, &ruling.proposed) {
                (Action::Move(to), _) => to.to_string(),
                (Action::Repair(drift), _) => format!("repair of {}", drift.join(", ")),
                (Action::Refuse, Some(Verdict::Transition(to))) => {
                    format!("{to}, but a guard refuses it")
                }
                _ => "refused".to_owned(),
            };
            let guards = ruling.guards.iter().map(Into::into).collect();
            Some(WhatIf {
                if_: if_.clone(),
                then,
                rule: ruling.rule,
                guards,
            })
        })
        .collect())
}

/// The evidence with one fact changed, each with the words for the change.
fn variations(evidence: &Evidence) -> Vec<(String, Evidence)> {
    let now = evidence
        .issue
        .found()
        .map(|issue| issue.observed)
        .unwrap_or_default();
    let mut all: Vec<(String, Evidence)> = Vec::new();
    let mut add = |words: &str, change: &dyn Fn(&mut Evidence)| {
        let mut changed = evidence.clone();
        change(&mut changed);
        if changed != *evidence {
            all.push((words.to_owned(), changed));
        }
    };
    for (words, state) in [
        (
            "its pull request were merged and had landed",
            PullRequestState::Merged,
        ),
        ("its pull request were open", PullRequestState::Open),
        (
            "its pull request were closed without a merge",
            PullRequestState::Closed,
        ),
    ] {
        add(words, &|evidence| {
            evidence.pull_request = Fact::Found(pull_request(evidence, state));
            if !matches!(evidence.beyond_head, Fact::Found(_)) {
                evidence.beyond_head = Fact::Found(0);
            }
        });
    }
    add("it had no pull request", &|evidence| {
        evidence.pull_request = Fact::absent_at(now)
    });
    add("its issue were closed as completed", &|evidence| {
        evidence.issue = Fact::Found(issue(evidence, false));
    });
    add("its issue were open", &|evidence| {
        evidence.issue = Fact::Found(issue(evidence, true))
    });
    add("no agent process were left", &|evidence| {
        evidence.session.liveness.agent = Fact::absent_at(now);
    });
    add("no other process worked in its worktree", &|evidence| {
        evidence.session.liveness.occupant = Fact::absent_at(now);
    });
    add("an agent were at work on it", &|evidence| {
        evidence.session.liveness.agent = Fact::Found(Process {
            pid: 1,
            started: None,
        });
    });
    add("all its work were committed and pushed", &|evidence| {
        evidence.session.liveness.dirty = Fact::Found(false);
        evidence.session.liveness.unpushed = Fact::Found(0);
        evidence.beyond_head = match evidence.beyond_head {
            Fact::NotAsked => Fact::NotAsked,
            _ => Fact::Found(0),
        };
    });
    all
}

fn issue(evidence: &Evidence, open: bool) -> Issue {
    let ended = (!open).then(|| signs::last_sign(&evidence.session).unwrap_or_default());
    let mut issue = evidence.issue.found().cloned().unwrap_or_else(|| Issue {
        open,
        ..Issue::bare(
            evidence.session.issue.unwrap_or_default(),
            Timestamp::default(),
        )
    });
    issue.open = open;
    issue.closed = ended;
    issue.reason = (!open).then(|| "completed".to_owned());
    if open && issue.closer.found().is_some() {
        issue.closer = Fact::absent_at(issue.observed);
    }
    issue
}

fn pull_request(evidence: &Evidence, state: PullRequestState) -> PullRequest {
    let ended = (state != PullRequestState::Open)
        .then(|| signs::last_sign(&evidence.session).unwrap_or_default());
    let mut pr = match &evidence.pull_request {
        Fact::Found(pr) => pr.clone(),
        _ => PullRequest {
            state,
            created: evidence.session.times.started.unwrap_or_default(),
            head_ref: evidence.session.branch.clone().unwrap_or_default(),
            base_ref: evidence.session.base.clone().unwrap_or_default(),
            ..PullRequest::bare(
                evidence.session.pull_request.unwrap_or(1),
                ended.unwrap_or_default(),
            )
        },
    };
    if pr.state != state {
        pr.state = state;
        pr.merged = ended.filter(|_| state == PullRequestState::Merged);
        pr.closed = ended;
        if ended.is_some() {
            ends(&mut pr);
        }
    }
    pr.landed = match state {
        PullRequestState::Merged => Fact::Found(true),
        _ => Fact::absent_at(pr.observed),
    };
    pr
}

/// What an ended pull request no longer has, where it is known to have it.
fn ends(pr: &mut PullRequest) {
    let at = pr.parts_observed;
    if pr.mergeability.found().is_some() {
        pr.mergeability = Fact::absent_at(at);
    }
    if pr.runs.found().is_some() {
        pr.runs = Fact::absent_at(at);
    }
    if pr.queue.found().is_some() {
        pr.queue = Fact::absent_at(at);
    }
    if pr.auto_merge.found().is_some() {
        pr.auto_merge = Fact::absent_at(at);
    }
}

fn print(explained: &Explained, batch: &Batch, ui: Ui) {
    let session = &explained.session;
    let evidence = &explained.evidence;
    let now = batch.context.now;
    ui.heading(format!("{} ({})", session.id, session.source));
    ui.said(format!(
        "recorded   {} ({})",
        session.from, session.from_native
    ));
    if let Some(since) = &explained.stale_since {
        ui.said(format!("stale      since {since}"));
    }
    ui.said(format!(
        "decision   {}: {}",
        session.outcome.as_str(),
        ui::with_ages(&session.reason, &explained.now)
    ));
    if session.from != session.to {
        ui.said(format!("leads to   {} ({})", session.to, session.to_native));
    }
    ui.said(format!("rule       {}", rule(session)));
    for guard in &session.guards {
        ui.said(format!("guard      {}: {}", guard.code, guard.detail));
    }
    ui.line("");
    ui.heading("Evidence");
    ui.table(&["fact", "what is known"], facts::rows(evidence, now));
    if !explained.last_known.is_empty() {
        ui.line("");
        ui.heading("What was known before (no decision rests on it)");
        let row = |known: &LastKnownReport| {
            let age = ui::span_ms(u128::from(known.age_s) * 1000);
            vec![known.fact.clone(), known.said.clone(), format!("{age} ago")]
        };
        ui.table(
            &["fact", "last known", "read"],
            explained.last_known.iter().map(row).collect(),
        );
    }
    if !session.gaps.is_empty() {
        ui.line("");
        ui.heading("What could not be learned");
        let row = |gap: &GapReport| {
            let since = gap.since.clone().unwrap_or_else(|| "just now".to_owned());
            vec![
                gap.fact.clone(),
                gap.kind.clone(),
                gap.detail.clone(),
                since,
            ]
        };
        ui.table(
            &["fact", "kind", "what happened", "since"],
            session.gaps.iter().map(row).collect(),
        );
    }
    ui.line("");
    ui.heading("What the policies said");
    for answer in &explained.answers {
        let said = ui::with_ages(&said(&answer.answer), &explained.now);
        ui.said(format!("{}  {said}", answer.policy));
    }
    ui.line("");
    ui.heading("What would move it");
    if explained.would_move.is_empty() {
        ui.line("No single other fact would.");
    }
    for what in &explained.would_move {
        let guards: Vec<String> = what
            .guards
            .iter()
            .map(|guard| format!(" [{}: {}]", guard.code, guard.detail))
            .collect();
        ui.said(format!(
            "if {}: {} ({}){}",
            what.if_,
            what.then,
            what.rule,
            guards.concat()
        ));
    }
    if let Some(last) = &explained.last {
        ui.line("");
        ui.heading("In the journal");
        ui.said(format!(
            "{} by {} in {} from {} to {}{}",
            last.outcome,
            last.rule,
            ui::count(usize::try_from(last.count).unwrap_or(usize::MAX), "look"),
            last.first,
            last.last,
            last.transition_id
                .as_ref()
                .map_or_else(String::new, |id| format!(" ({id})"))
        ));
    }
}

/// The rule of a session with whose it is.
fn rule(session: &SessionReport) -> String {
    let rule = &session.rule;
    match (session.reason_from, session.policy.as_deref()) {
        (_, Some(policy)) => format!("{rule} of {policy}"),
        (Origin::Transition, None) => format!("{rule}, by which vigil brought it here"),
        (Origin::Owner, None) => format!("{rule}: its owner's own words"),
        (_, None) => format!("{rule} of vigil itself"),
    }
}

/// What a policy answered. A pass is told as what it means to people, who call a round of vigil's a pass.
fn said(answer: &Result<Decision, PolicyFailure>) -> String {
    let decision = match answer {
        Ok(decision) => decision,
        Err(failure) => return format!("failed ({}): {}", failure.kind, failure.detail),
    };
    let Decision { rule, reason, .. } = decision;
    let verdict = verdict(&decision.verdict);
    match rule.is_empty() {
        true => format!("{verdict}: {reason}"),
        false => format!("{verdict} by {rule}: {reason}"),
    }
}

fn verdict(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Pass => "no verdict".to_owned(),
        Verdict::Hold => "hold".to_owned(),
        Verdict::Transition(to) => format!("transition to {to}"),
        Verdict::Repair(drift) => format!("repair of {}", drift.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_fact() -> Evidence {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../tests/fixtures/every-fact.json"
        );
        serde_json::from_slice(&std::fs::read(path).expect("the fixture")).expect("evidence")
    }

    #[test]
    fn a_pull_request_that_ended_in_thought_waits_for_nothing_any_more() {
        let evidence = every_fact();
        let merged = pull_request(&evidence, PullRequestState::Merged);
        assert!(merged.mergeability.is_absent() && merged.runs.is_absent());
        assert!(merged.queue.is_absent() && merged.auto_merge.is_absent());
        let before = evidence.pull_request.found().expect("a pull request");
        assert_eq!(
            (&merged.checks, &merged.closes),
            (&before.checks, &before.closes)
        );
        let open = pull_request(&evidence, PullRequestState::Open);
        assert!(open.landed.is_absent(), "what is open has landed nowhere");
        let landed = before.landed.clone();
        assert_eq!(PullRequest { landed, ..open }, *before);
    }

    #[test]
    fn an_issue_that_is_thought_otherwise_keeps_what_else_is_known() {
        let mut evidence = every_fact();
        let closed = issue(&evidence, false);
        let before = evidence.issue.found().expect("an issue").clone();
        assert_eq!(
            (&closed.assignees, &closed.labels),
            (&before.assignees, &before.labels)
        );
        assert!(closed.closed.is_some() && !closed.open);
        evidence.issue = Fact::NotAsked;
        assert_eq!(issue(&evidence, true).assignees, Fact::NotAsked);
    }
}
