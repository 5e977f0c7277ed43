//! The kernel's terms as the types of the SDK: what a policy's own code sees when it is called without WebAssembly.
//!
//! Written independently of `convert.rs` on purpose: tests compare the two ways.

use vigil_core::evidence::Context;
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
            merged: time(pull.merged),
            closed: time(pull.closed),
            url: pull.url.clone(),
            head_ref: pull.head_ref.clone(),
            base_ref: pull.base_ref.clone(),
            head_sha: pull.head_sha.clone(),
            head_owner: pull.head_owner.clone(),
            mergeability: fact!(MergeabilityFact, &pull.mergeability, merge => sdk::Mergeability {
                mergeable: merge.mergeable,
                merge_state: merge.merge_state.clone(),
            }),
            review: fact!(ReviewFact, &pull.review, review => review.clone()),
            checks: fact!(ChecksFact, &pull.checks, checks => checks.clone()),
            observed: pull.observed.0,
        }),
        beyond_head: fact!(CountFact, &evidence.beyond_head, count => *count),
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
            supervisor: process(&liveness.supervisor),
            log_written: moment(&liveness.log_written),
            log_outcome: liveness.log_outcome.clone(),
            worktree_written: moment(&liveness.worktree_written),
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
                heartbeat: time(task.heartbeat),
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
        extra: session.extra.clone(),
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
