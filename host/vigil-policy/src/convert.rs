//! The kernel's terms as those of `vigil:policy@0.1.0`, and back.
//!
//! On the way in texts are borrowed and only lists get a place in `arena`; on the way back they are moved. Neither
//! copies a text.

use bumpalo::Bump;
use vigil_core::evidence::Context;
use vigil_core::named::{NamedFact, Value};
use vigil_core::session::{Attempts, Liveness, Process, Session, Task, Times};
use vigil_core::verdict::{Decision, Intent, Verdict};
use vigil_core::{Evidence, Fact, Gap, Sibling, Sighting, State, Timestamp};

use crate::policy::Question;
use crate::v0_1_0::wit;

/// One of the four answers as the contract's variant for its kind of fact: the arms differ in nothing but the value
/// that was found.
macro_rules! fact {
    ($kind:ident, $fact:expr, $found:pat => $value:expr) => {
        match $fact {
            Fact::Found($found) => wit::$kind::Found($value),
            Fact::Absent(absent) => wit::$kind::Absent(sighting(absent)),
            Fact::Unknown(unknown) => wit::$kind::Unknown(gap(unknown)),
            Fact::NotAsked => wit::$kind::NotAsked,
        }
    };
}

mod forge;

/// The context of a batch, with the policy's settings as canonical JSON.
pub(crate) fn context<'a>(
    context: &'a Context,
    settings: &'a str,
    arena: &'a Bump,
) -> wit::Context<'a> {
    wit::Context {
        now: context.now.0,
        booted_at: time(context.booted_at),
        awake_since: time(context.awake_since),
        source: wit::Source {
            name: &context.source.name,
            kind: &context.source.kind,
            forge_host: &context.source.forge_host,
            fresh_for: context.source.fresh_for_ms,
            final_labels: texts(&context.source.final_labels, arena),
            closed_pr_is_final: context.source.closed_pr_is_final,
            landing_branches: texts(&context.source.landing_branches, arena),
        },
        settings,
    }
}

/// All that one policy is told about one session: the evidence and its own memo.
pub(crate) fn evidence<'a>(question: &Question<'a>, arena: &'a Bump) -> wit::Evidence<'a> {
    let evidence: &'a Evidence = question.evidence;
    wit::Evidence {
        session: session(&evidence.session, arena),
        issue: fact!(IssueFact, &evidence.issue, found => forge::issue(found, arena)),
        pull_request: fact!(
            PullRequestFact,
            &evidence.pull_request,
            found => forge::pull_request(found, arena)
        ),
        beyond_head: count(&evidence.beyond_head),
        passed_over: arena.alloc_slice_fill_iter(evidence.passed_over.iter().map(|one| {
            wit::PassedOver {
                number: one.number,
                why: &one.why,
            }
        })),
        siblings: arena.alloc_slice_fill_iter(evidence.siblings.iter().map(sibling)),
        memo: question.memo,
    }
}

/// A session as policies see it. What the kernel alone works with stays behind: the revision, where the forge is
/// asked, what the owner says and does.
pub(crate) fn session<'a>(session: &'a Session, arena: &'a Bump) -> wit::Session<'a> {
    let Attempts { runs, failures } = session.attempts;
    wit::Session {
        id: &session.id.id,
        tracker: &session.tracker,
        repo: session.repo.as_deref(),
        issue: session.issue,
        branch: session.branch.as_deref(),
        base: session.base.as_deref(),
        pull_request: session.pull_request,
        state: state(session.state),
        native_state: &session.native_state,
        times: times(&session.times),
        liveness: liveness(&session.liveness),
        attempts: wit::Attempts { runs, failures },
        tasks: arena.alloc_slice_fill_iter(session.tasks.iter().map(|one| task(one, arena))),
        gaps: arena.alloc_slice_fill_iter(session.gaps.iter().map(|missing| wit::FieldGap {
            field: &missing.field,
            gap: gap(&missing.gap),
        })),
        facts: named_facts(&session.facts, arena),
    }
}

/// A policy's decision in the kernel's terms. Only the types are changed here: `answer::check` says whether it makes
/// sense.
pub(crate) fn decision(decision: wit::Decision) -> Decision {
    Decision {
        verdict: match decision.verdict {
            wit::Verdict::Pass => Verdict::Pass,
            wit::Verdict::Hold => Verdict::Hold,
            wit::Verdict::Transition(state) => Verdict::Transition(state_back(state)),
            wit::Verdict::Repair(drifts) => Verdict::Repair(drifts),
        },
        rule: decision.rule,
        reason: decision.reason,
        rests_on: decision.rests_on,
        intents: decision.intents.into_iter().map(intent).collect(),
        look_again_after_ms: decision.look_again_after,
        despite_live_work: decision.despite_live_work,
        memo: decision.memo,
    }
}

fn intent(intent: wit::Intent) -> Intent {
    Intent {
        kind: intent.kind,
        key: intent.key,
        arguments: intent.arguments,
    }
}

fn time(time: Option<Timestamp>) -> Option<u64> {
    time.map(Timestamp::as_millis)
}

fn texts<'a>(texts: &'a [String], arena: &'a Bump) -> &'a [&'a str] {
    arena.alloc_slice_fill_iter(texts.iter().map(String::as_str))
}

fn sighting(sighting: &Sighting) -> wit::Sighting<'_> {
    wit::Sighting {
        first: sighting.first.0,
        last: sighting.last.0,
        detail: &sighting.detail,
    }
}

fn gap(gap: &Gap) -> wit::Gap<'_> {
    wit::Gap {
        kind: gap.kind.as_str(),
        detail: &gap.detail,
        since: time(gap.since),
    }
}

fn times(times: &Times) -> wit::Times {
    wit::Times {
        started: time(times.started),
        heartbeat: time(times.heartbeat),
        updated: time(times.updated),
        ended: time(times.ended),
    }
}

fn liveness(liveness: &Liveness) -> wit::Liveness<'_> {
    wit::Liveness {
        agent: process(&liveness.agent),
        occupant: fact!(OccupantFact, &liveness.occupant, found => wit::Occupant {
            pid: found.pid,
            name: &found.name,
            started: time(found.started),
        }),
        supervisor: process(&liveness.supervisor),
        log_written: moment(&liveness.log_written),
        log_outcome: liveness.log_outcome.as_deref(),
        worktree_written: moment(&liveness.worktree_written),
        worktree_moved_to: liveness.worktree_moved_to.as_deref(),
        dirty: fact!(FlagFact, &liveness.dirty, found => *found),
        unpushed: count(&liveness.unpushed),
    }
}

fn process(fact: &Fact<Process>) -> wit::ProcessFact<'_> {
    fact!(ProcessFact, fact, found => wit::Process {
        pid: found.pid,
        started: time(found.started),
    })
}

fn moment(fact: &Fact<Timestamp>) -> wit::TimeFact<'_> {
    fact!(TimeFact, fact, found => found.0)
}

fn count(fact: &Fact<u32>) -> wit::CountFact<'_> {
    fact!(CountFact, fact, found => *found)
}

fn named_facts<'a>(facts: &'a [NamedFact], arena: &'a Bump) -> &'a [wit::NamedFact<'a>] {
    arena.alloc_slice_fill_iter(facts.iter().map(|fact| named_fact(fact, arena)))
}

fn named_fact<'a>(fact: &'a NamedFact, arena: &'a Bump) -> wit::NamedFact<'a> {
    wit::NamedFact {
        name: &fact.name,
        answer: fact!(NamedAnswer, &fact.answer, found => match found {
            Value::Text(text) => wit::FactValue::Text(text),
            Value::Number(number) => wit::FactValue::Number(*number),
            Value::Flag(flag) => wit::FactValue::Flag(*flag),
            Value::Moment(at) => wit::FactValue::Moment(at.0),
            Value::Process(found) => wit::FactValue::Process(wit::Process {
                pid: found.pid,
                started: time(found.started),
            }),
            Value::Names(names) => wit::FactValue::Names(texts(names, arena)),
        }),
    }
}

fn task<'a>(task: &'a Task, arena: &'a Bump) -> wit::Task<'a> {
    wit::Task {
        id: &task.id,
        native_state: &task.native_state,
        worker: task.worker.as_deref(),
        heartbeat: moment(&task.heartbeat),
        attempts: task.attempts,
        facts: named_facts(&task.facts, arena),
    }
}

fn sibling(sibling: &Sibling) -> wit::Sibling<'_> {
    wit::Sibling {
        id: &sibling.id,
        state: state(sibling.state),
        duplicate: sibling.duplicate,
    }
}

fn state(state: State) -> wit::State {
    match state {
        State::Queued => wit::State::Queued,
        State::Running => wit::State::Running,
        State::Blocked => wit::State::Blocked,
        State::Interrupted => wit::State::Interrupted,
        State::Maintaining => wit::State::Maintaining,
        State::Succeeded => wit::State::Succeeded,
        State::Failed => wit::State::Failed,
        State::Closed => wit::State::Closed,
    }
}

fn state_back(state: wit::State) -> State {
    match state {
        wit::State::Queued => State::Queued,
        wit::State::Running => State::Running,
        wit::State::Blocked => State::Blocked,
        wit::State::Interrupted => State::Interrupted,
        wit::State::Maintaining => State::Maintaining,
        wit::State::Succeeded => State::Succeeded,
        wit::State::Failed => State::Failed,
        wit::State::Closed => State::Closed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_survives_the_way_there_and_back() {
        for known in State::ALL {
            assert_eq!(state_back(state(known)), known);
        }
    }
}
