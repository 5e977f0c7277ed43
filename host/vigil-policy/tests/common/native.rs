//! The kernel's terms as the types of the SDK: what a policy's own code sees when it is called without WebAssembly.
//!
//! Written independently of `convert.rs` on purpose: tests compare the two ways.

use vigil_core::evidence::Context;
use vigil_core::named::{NamedFact, Value};
use vigil_core::{Evidence, Fact, Gap, Session, Sighting, State, Timestamp};
use vigil_sdk as sdk;

macro_rules! fact {
    ($kind:ident, $fact:expr, $found:pat => $value:expr) => {
        match $fact {
            Fact::Found($found) => sdk::$kind::Found($value),
            Fact::Absent(absent) => sdk::$kind::Absent(sighting(absent)),
            Fact::Unknown(unknown) => sdk::$kind::Unknown(gap(unknown)),
            Fact::NotAsked => sdk::$kind::NotAsked,
        }
    };
}

pub(crate) fn context(context: &Context, settings: &str) -> sdk::Context {
    let source = &context.source;
    sdk::Context {
        now: context.now.0,
        booted_at: time(context.booted_at),
        awake_since: time(context.awake_since),
        source: sdk::Source {
            name: source.name.clone(),
            kind: source.kind.clone(),
            forge_host: source.forge_host.clone(),
            fresh_for: source.fresh_for_ms,
            final_labels: source.final_labels.clone(),
            closed_pr_is_final: source.closed_pr_is_final,
            landing_branches: source.landing_branches.clone(),
        },
        settings: settings.to_owned(),
    }
}

pub(crate) fn evidence(evidence: &Evidence, memo: Option<&str>) -> sdk::Evidence {
    sdk::Evidence {
        session: session(&evidence.session),
        issue: fact!(IssueFact, &evidence.issue, issue => sdk::Issue {
            number: issue.number,
            open: issue.open,
            reason: issue.reason.clone(),
            labels: issue.labels.clone(),
            closed: time(issue.closed),
            assignees: fact!(NamesFact, &issue.assignees, names => names.clone()),
            closer: fact!(ActorFact, &issue.closer, closer => actor(closer)),
            reopened: fact!(CountFact, &issue.reopened, times => *times),
            closed_by: references(&issue.closed_by),
            observed: issue.observed.0,
        }),
        pull_request: fact!(PullRequestFact, &evidence.pull_request, pull => sdk::PullRequest {
            number: pull.number,
            state: match pull.state {
                vigil_core::forge::PullRequestState::Open => sdk::PullRequestState::Open,
                vigil_core::forge::PullRequestState::Merged => sdk::PullRequestState::Merged,
                vigil_core::forge::PullRequestState::Closed => sdk::PullRequestState::Closed,
            },
            draft: pull.draft,
            created: pull.created.0,
            merged: time(pull.merged),
            closed: time(pull.closed),
            url: pull.url.clone(),
            head_ref: pull.head_ref.clone(),
            base_ref: pull.base_ref.clone(),
            head_sha: pull.head_sha.clone(),
            head_owner: pull.head_owner.clone(),
            merge_commit: pull.merge_commit.clone(),
            landed: fact!(FlagFact, &pull.landed, landed => *landed),
            mergeability: fact!(MergeabilityFact, &pull.mergeability, merge => sdk::Mergeability {
                mergeable: merge.mergeable,
                merge_state: merge.merge_state.clone(),
                observed: merge.observed.0,
            }),
            review: fact!(ReviewFact, &pull.review, review => review.clone()),
            review_list: fact!(ReviewListFact, &pull.review_list, list => list
                .iter()
                .map(|review| sdk::Review {
                    author: review.author.as_ref().map(actor),
                    state: review.state.clone(),
                    commit: review.commit.clone(),
                    submitted: time(review.submitted),
                })
                .collect()),
            checks: fact!(ChecksFact, &pull.checks, checks => checks.clone()),
            check_list: fact!(CheckListFact, &pull.check_list, list => list
                .iter()
                .map(|check| sdk::Check {
                    name: check.name.clone(),
                    outcome: check.outcome.clone(),
                })
                .collect()),
            runs: fact!(HeldRunsFact, &pull.runs, list => list
                .iter()
                .map(|run| sdk::HeldRun {
                    name: run.name.clone(),
                    event: run.event.clone(),
                    waits_for: run.waits_for.clone(),
                })
                .collect()),
            queue: fact!(QueueFact, &pull.queue, entry => sdk::QueueEntry {
                position: entry.position,
                state: entry.state.clone(),
            }),
            auto_merge: fact!(AutoMergeFact, &pull.auto_merge, wish => sdk::AutoMerge {
                method: wish.method.clone(),
                by: wish.by.as_ref().map(actor),
            }),
            closes: references(&pull.closes),
            parts_observed: pull.parts_observed.0,
            observed: pull.observed.0,
        }),
        beyond_head: fact!(CountFact, &evidence.beyond_head, count => *count),
        passed_over: evidence
            .passed_over
            .iter()
            .map(|one| sdk::PassedOver {
                number: one.number,
                why: one.why.clone(),
            })
            .collect(),
        siblings: evidence
            .siblings
            .iter()
            .map(|sibling| sdk::Sibling {
                id: sibling.id.clone(),
                state: state(sibling.state),
                duplicate: sibling.duplicate,
            })
            .collect(),
        memo: memo.map(str::to_owned),
    }
}

fn actor(actor: &vigil_core::forge::Actor) -> sdk::Actor {
    sdk::Actor {
        login: actor.login.clone(),
        bot: actor.bot,
    }
}

fn references(fact: &Fact<Vec<vigil_core::forge::Reference>>) -> sdk::ReferencesFact {
    fact!(ReferencesFact, fact, list => list
        .iter()
        .map(|reference| sdk::Reference {
            repo: reference.repo.clone(),
            number: reference.number,
            state: reference.state.clone(),
        })
        .collect())
}

fn session(session: &Session) -> sdk::Session {
    let liveness = &session.liveness;
    let process = |fact: &Fact<vigil_core::session::Process>| {
        fact!(ProcessFact, fact, process => sdk::Process {
            pid: process.pid,
            started: time(process.started),
        })
    };
    let moment = |fact: &Fact<Timestamp>| fact!(TimeFact, fact, moment => moment.0);
    sdk::Session {
        id: session.id.id.clone(),
        tracker: session.tracker.clone(),
        repo: session.repo.clone(),
        issue: session.issue,
        branch: session.branch.clone(),
        base: session.base.clone(),
        pull_request: session.pull_request,
        state: state(session.state),
        native_state: session.native_state.clone(),
        times: sdk::Times {
            started: time(session.times.started),
            heartbeat: time(session.times.heartbeat),
            updated: time(session.times.updated),
            ended: time(session.times.ended),
        },
        liveness: sdk::Liveness {
            agent: process(&liveness.agent),
            occupant: fact!(OccupantFact, &liveness.occupant, found => sdk::Occupant {
                pid: found.pid,
                name: found.name.clone(),
                started: time(found.started),
            }),
            supervisor: process(&liveness.supervisor),
            log_written: moment(&liveness.log_written),
            log_outcome: liveness.log_outcome.clone(),
            worktree_written: moment(&liveness.worktree_written),
            worktree_moved_to: liveness.worktree_moved_to.clone(),
            dirty: fact!(FlagFact, &liveness.dirty, flag => *flag),
            unpushed: fact!(CountFact, &liveness.unpushed, count => *count),
        },
        attempts: sdk::Attempts {
            runs: session.attempts.runs,
            failures: session.attempts.failures,
        },
        tasks: session
            .tasks
            .iter()
            .map(|task| sdk::Task {
                id: task.id.clone(),
                native_state: task.native_state.clone(),
                worker: task.worker.clone(),
                heartbeat: moment(&task.heartbeat),
                attempts: task.attempts,
                facts: named(&task.facts),
            })
            .collect(),
        gaps: session
            .gaps
            .iter()
            .map(|missing| sdk::FieldGap {
                field: missing.field.clone(),
                gap: gap(&missing.gap),
            })
            .collect(),
        facts: named(&session.facts),
    }
}

fn named(facts: &[NamedFact]) -> Vec<sdk::NamedFact> {
    let fact = |fact: &NamedFact| sdk::NamedFact {
        name: fact.name.clone(),
        answer: fact!(NamedAnswer, &fact.answer, found => value(found)),
    };
    facts.iter().map(fact).collect()
}

fn value(value: &Value) -> sdk::FactValue {
    match value {
        Value::Text(text) => sdk::FactValue::Text(text.clone()),
        Value::Number(number) => sdk::FactValue::Number(*number),
        Value::Flag(flag) => sdk::FactValue::Flag(*flag),
        Value::Moment(at) => sdk::FactValue::Moment(at.0),
        Value::Process(found) => sdk::FactValue::Process(sdk::Process {
            pid: found.pid,
            started: time(found.started),
        }),
        Value::Names(names) => sdk::FactValue::Names(names.clone()),
    }
}

fn time(time: Option<Timestamp>) -> Option<u64> {
    time.map(|time| time.0)
}

fn sighting(sighting: &Sighting) -> sdk::Sighting {
    sdk::Sighting {
        first: sighting.first.0,
        last: sighting.last.0,
        detail: sighting.detail.clone(),
    }
}

fn gap(gap: &Gap) -> sdk::Gap {
    sdk::Gap {
        kind: gap.kind.as_str().to_owned(),
        detail: gap.detail.clone(),
        since: time(gap.since),
    }
}

fn state(state: State) -> sdk::State {
    match state {
        State::Queued => sdk::State::Queued,
        State::Running => sdk::State::Running,
        State::Blocked => sdk::State::Blocked,
        State::Interrupted => sdk::State::Interrupted,
        State::Maintaining => sdk::State::Maintaining,
        State::Succeeded => sdk::State::Succeeded,
        State::Failed => sdk::State::Failed,
        State::Closed => sdk::State::Closed,
    }
}
