//! The evidence that every policy is tried on when it is loaded.

use vigil_core::evidence::{Context, PassedOver, SourceFacts};
use vigil_core::forge::{
    Actor, AutoMerge, Check, HeldRun, Issue, Mergeability, PullRequest, PullRequestState,
    QueueEntry, Reference, Review,
};
use vigil_core::session::{
    Attempts, Liveness, Lookup, Occupant, OwnerEffects, Process, PullRequestRef, Revision, Times,
};
use vigil_core::verdict::PolicyFailure;
use vigil_core::{
    Evidence, Fact, Gap, GapKind, Session, SessionId, Sibling, Sighting, State, Timestamp,
};

use crate::failure::FailureKind;
use crate::policy::{Policy, Question};

/// Asks `policy` both of its questions once.
///
/// What it answers is its own matter, and so is a policy that says of itself that it cannot judge this session; only
/// a call that fails, or an answer without sense, counts.
pub(crate) fn run(policy: &Policy) -> Result<(), PolicyFailure> {
    let context = context();
    let evidence = evidence();
    for wanted in policy.wants(&context, &[&evidence.session]) {
        wanted?;
    }
    let question = Question {
        evidence: &evidence,
        memo: None,
    };
    for judgement in policy.decide(&context, &[question]) {
        match judgement.answer {
            Err(failed) if failed.kind != FailureKind::Error.as_str() => return Err(failed),
            _ => {}
        }
    }
    Ok(())
}

/// 1 January 2026: any fixed moment will do, and evidence lies before it.
const NOW: Timestamp = Timestamp(1_767_225_600_000);

fn context() -> Context {
    Context {
        now: NOW,
        booted_at: Some(Timestamp(NOW.0 - 86_400_000)),
        awake_since: None,
        source: SourceFacts {
            name: "trial".to_owned(),
            kind: "trial".to_owned(),
            forge_host: "github.com".to_owned(),
            fresh_for_ms: 30 * 60_000,
            final_labels: vec!["done".to_owned()],
            closed_pr_is_final: false,
            landing_branches: vec!["release/*".to_owned()],
        },
    }
}

/// A running session that went silent, with each of the four answers, and with everything that the forge can say about
/// an issue and an open pull request.
fn evidence() -> Evidence {
    let silent = Timestamp(NOW.0 - 109 * 60_000);
    Evidence {
        session: Session {
            id: SessionId::new("trial", "trial/trial#1"),
            revision: Revision("trial".to_owned()),
            tracker: "github".to_owned(),
            repo: Some("trial/trial".to_owned()),
            issue: Some(1),
            branch: Some("issue-1".to_owned()),
            base: Some("main".to_owned()),
            pull_request: Some(2),
            state: State::Running,
            native_state: "running".to_owned(),
            times: Times {
                started: Some(silent),
                heartbeat: Some(silent),
                updated: Some(silent),
                ended: None,
            },
            liveness: Liveness {
                agent: Fact::from(Sighting {
                    first: NOW,
                    last: NOW,
                    detail: String::new(),
                }),
                occupant: Fact::Found(Occupant {
                    pid: 101,
                    name: "trial".to_owned(),
                    started: Some(silent),
                }),
                supervisor: Fact::Found(Process {
                    pid: 100,
                    started: Some(silent),
                }),
                log_written: Fact::Found(silent),
                log_outcome: Some("success".to_owned()),
                worktree_written: Fact::from(Gap::new(GapKind::Denied, "trial")),
                worktree_moved_to: Some("/trial".to_owned()),
                dirty: Fact::NotAsked,
                unpushed: Fact::Found(0),
            },
            attempts: Attempts::default(),
            tasks: Vec::new(),
            gaps: Vec::new(),
            readable: true,
            facts: Vec::new(),
            owner_says: None,
            owner_words: None,
            lookup: Lookup {
                issue: Err(Gap::new(GapKind::Unsupported, "trial")),
                pull_request: Ok(Some(PullRequestRef::by_number("trial/trial".to_owned(), 2))),
            },
            owner_effects: OwnerEffects::default(),
        },
        issue: Fact::Found(Issue {
            number: 1,
            open: false,
            reason: Some("completed".to_owned()),
            labels: vec!["done".to_owned()],
            closed: Some(silent),
            assignees: Fact::Found(vec!["trial".to_owned()]),
            closer: Fact::Found(actor(true)),
            reopened: Fact::Found(1),
            closed_by: Fact::Found(vec![reference(2, "open")]),
            observed: NOW,
        }),
        pull_request: Fact::Found(PullRequest {
            number: 2,
            state: PullRequestState::Open,
            draft: false,
            created: silent,
            merged: None,
            closed: None,
            url: "https://github.com/trial/trial/pull/2".to_owned(),
            head_ref: "issue-1".to_owned(),
            base_ref: "main".to_owned(),
            head_sha: "0".repeat(40),
            head_owner: Some("trial".to_owned()),
            merge_commit: Some("1".repeat(40)),
            landed: Fact::Found(false),
            mergeability: Fact::Found(Mergeability {
                mergeable: true,
                merge_state: "blocked".to_owned(),
                observed: NOW,
            }),
            review: Fact::Found("approved".to_owned()),
            review_list: Fact::Found(vec![Review {
                author: Some(actor(false)),
                state: "approved".to_owned(),
                commit: Some("0".repeat(40)),
                submitted: Some(NOW),
            }]),
            checks: Fact::Found("held".to_owned()),
            check_list: Fact::Found(vec![Check {
                name: "build".to_owned(),
                outcome: "pending".to_owned(),
            }]),
            runs: Fact::Found(vec![HeldRun {
                name: Some("deploy".to_owned()),
                event: Some("pull_request".to_owned()),
                waits_for: "deployment".to_owned(),
            }]),
            queue: Fact::Found(QueueEntry {
                position: 1,
                state: "awaiting-checks".to_owned(),
            }),
            auto_merge: Fact::Found(AutoMerge {
                method: "squash".to_owned(),
                by: Some(actor(false)),
            }),
            closes: Fact::Found(vec![reference(1, "closed")]),
            parts_observed: NOW,
            observed: NOW,
        }),
        beyond_head: Fact::Found(0),
        passed_over: vec![PassedOver {
            number: 4,
            why: "closed without a merge".to_owned(),
        }],
        siblings: vec![Sibling {
            id: "trial/trial#3".to_owned(),
            state: State::Blocked,
            duplicate: false,
        }],
    }
}

fn actor(bot: bool) -> Actor {
    Actor {
        login: "trial".to_owned(),
        bot,
    }
}

fn reference(number: u64, state: &str) -> Reference {
    Reference {
        repo: "trial/trial".to_owned(),
        number,
        state: state.to_owned(),
    }
}
