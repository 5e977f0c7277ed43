//! Evidence of every shape, for properties.

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use vigil_core::evidence::PassedOver;
use vigil_core::forge::{
    Actor, AutoMerge, Check, HeldRun, Issue, Mergeability, PullRequest, PullRequestState,
    QueueEntry, Reference, Review,
};
use vigil_core::named::{NamedFact, Value};
use vigil_core::session::{Attempts, FieldGap, Liveness, Occupant, Process, Task, Times};
use vigil_core::{Evidence, Fact, Gap, GapKind, Sibling, Sighting, State, Timestamp};

use super::{NOW, merged};

/// A session that any of the rules may be about.
pub(crate) fn evidence() -> impl Strategy<Value = Evidence> {
    let session = (
        state(),
        liveness(),
        times(),
        of("[a-z/]{1,12}"),
        of(1_u64..500),
        named(),
        vec(gap_of_a_field(), 0..2),
        vec(task(), 0..2),
    );
    (
        1_u64..1000,
        session,
        fact(issue()),
        fact(pull_request()),
        fact(0_u32..4),
        vec(passed_over(), 0..3),
        vec(sibling(), 0..3),
    )
        .prop_map(
            |(
                number,
                (state, liveness, times, branch, pull, facts, gaps, tasks),
                issue,
                pr,
                beyond,
                passed_over,
                siblings,
            )| {
                let mut evidence = merged(number);
                let session = &mut evidence.session;
                session.state = state;
                session.liveness = liveness;
                session.times = times;
                session.base.clone_from(&branch);
                session.branch = branch;
                session.pull_request = pull;
                session.facts = facts;
                session.gaps = gaps;
                session.tasks = tasks;
                session.attempts = Attempts {
                    runs: (number % 3) as u32,
                    failures: (number % 2) as u32,
                };
                Evidence {
                    issue,
                    pull_request: pr,
                    beyond_head: beyond,
                    passed_over,
                    siblings,
                    ..evidence
                }
            },
        )
}

fn fact<T: Clone + std::fmt::Debug>(
    found: impl Strategy<Value = T>,
) -> impl Strategy<Value = Fact<T>> {
    prop_oneof![
        4 => found.prop_map(Fact::Found),
        2 => (0_u64..40, 0_u64..40, "[a-z-]{0,8}").prop_map(|(from, span, detail)| {
            Fact::from(Sighting {
                first: Timestamp(NOW.0 - (from + span) * 60_000),
                last: Timestamp(NOW.0 - from * 60_000),
                detail,
            })
        }),
        1 => gap().prop_map(Fact::from),
        1 => Just(Fact::NotAsked),
    ]
}

fn gap() -> impl Strategy<Value = Gap> {
    ("[a-z-]{1,12}", "\\PC{1,12}", of(moment())).prop_map(|(kind, detail, since)| Gap {
        kind: GapKind::from(kind),
        detail,
        since,
    })
}

fn gap_of_a_field() -> impl Strategy<Value = FieldGap> {
    ("times\\.[a-z]{4}", gap()).prop_map(|(field, gap)| FieldGap { field, gap })
}

fn task() -> impl Strategy<Value = Task> {
    (
        "[a-z]{1,6}",
        "[a-z]{1,6}",
        of("[a-z]{1,6}"),
        fact(moment()),
        0_u32..3,
        named(),
    )
        .prop_map(
            |(id, native_state, worker, heartbeat, attempts, facts)| Task {
                id,
                native_state,
                worker,
                heartbeat,
                attempts,
                facts,
            },
        )
}

fn named() -> impl Strategy<Value = Vec<NamedFact>> {
    let text = "[a-z_]{0,9}".prop_map(Value::Text);
    let texts = fact(prop_oneof![Just(Value::Text("true".to_owned())), text]);
    let name = prop_oneof![Just("stage"), Just("cleanup"), Just("incomplete-reason")];
    let words = (name, texts);
    let flags = (
        Just("maintenance-in-flight"),
        fact(any::<bool>().prop_map(Value::Flag)),
    );
    let one = prop_oneof![words, flags];
    let one = one.prop_map(|(name, answer)| NamedFact {
        name: name.to_owned(),
        answer,
    });
    vec(one, 0..3)
}

fn state() -> impl Strategy<Value = State> {
    prop_oneof![
        4 => Just(State::Running),
        4 => proptest::sample::select(&State::ALL[..]),
    ]
}

/// Within three hours, before or a little after the moment of the tests.
fn moment() -> impl Strategy<Value = Timestamp> {
    (0_u64..180 * 60_000).prop_map(|ago| Timestamp(NOW.0 + 60_000 - ago))
}

fn times() -> impl Strategy<Value = Times> {
    (of(moment()), of(moment()), of(moment()), of(moment())).prop_map(
        |(started, heartbeat, updated, ended)| Times {
            started,
            heartbeat,
            updated,
            ended,
        },
    )
}

fn liveness() -> impl Strategy<Value = Liveness> {
    let process =
        || fact((1_u32..9999, of(moment())).prop_map(|(pid, started)| Process { pid, started }));
    let occupant = (1_u32..9999, "[a-z]{1,9}", of(moment()))
        .prop_map(|(pid, name, started)| Occupant { pid, name, started });
    let worktree = (fact(moment()), of("/[a-z]{1,9}"));
    (
        process(),
        fact(occupant),
        process(),
        fact(moment()),
        of("success|failure"),
        worktree,
        fact(any::<bool>()),
        fact(0_u32..3),
    )
        .prop_map(
            |(agent, occupant, supervisor, log_written, log_outcome, worktree, dirty, unpushed)| {
                Liveness {
                    agent,
                    occupant,
                    supervisor,
                    log_written,
                    log_outcome,
                    worktree_written: worktree.0,
                    worktree_moved_to: worktree.1,
                    dirty,
                    unpushed,
                }
            },
        )
}

fn sibling() -> impl Strategy<Value = Sibling> {
    ("[a-z#]{1,9}", state(), any::<bool>()).prop_map(|(id, state, duplicate)| Sibling {
        id,
        state,
        duplicate,
    })
}

fn issue() -> impl Strategy<Value = Issue> {
    (
        1_u64..500,
        any::<bool>(),
        of("completed|not-planned"),
        vec("vigilante:done|needs-design|\\PC{1,8}", 0..3),
        of(moment()),
        fact(vec("[a-z]{1,6}", 0..3)),
        fact(actor()),
        fact(0_u32..3),
        references(),
        moment(),
    )
        .prop_map(
            |(
                number,
                open,
                reason,
                labels,
                closed,
                assignees,
                closer,
                reopened,
                closed_by,
                observed,
            )| Issue {
                number,
                open,
                reason,
                labels,
                closed,
                assignees,
                closer,
                reopened,
                closed_by,
                observed,
            },
        )
}

fn actor() -> impl Strategy<Value = Actor> {
    ("\\PC{1,6}", any::<bool>()).prop_map(|(login, bot)| Actor { login, bot })
}

fn references() -> impl Strategy<Value = Fact<Vec<Reference>>> {
    let one = ("[a-z]{1,3}/[a-z]{1,3}", 1_u64..500, "open|closed|merged").prop_map(
        |(repo, number, state)| Reference {
            repo,
            number,
            state,
        },
    );
    fact(vec(one, 0..3))
}

fn pull_request() -> impl Strategy<Value = PullRequest> {
    let states = vec![
        PullRequestState::Open,
        PullRequestState::Merged,
        PullRequestState::Closed,
    ];
    (
        1_u64..500,
        proptest::sample::select(states),
        (any::<bool>(), moment(), of(moment()), of(moment())),
        ("[a-z]{1,9}", "[a-z]{1,9}", "[0-9a-f]{4}", of("[a-z]{1,9}")),
        (of("[0-9a-f]{4}"), fact(any::<bool>())),
        (mergeability(), references(), moment(), moment()),
        (
            fact("approved|review-required".prop_map(String::from)),
            fact(vec(review(), 0..3)),
        ),
        (
            fact("passing|held|failing".prop_map(String::from)),
            fact(vec(check(), 0..3)),
            fact(vec(held_run(), 0..3)),
        ),
        (fact(queue_entry()), fact(auto_merge())),
    )
        .prop_map(
            |(
                number,
                state,
                (draft, created, merged, closed),
                (head_ref, base_ref, head_sha, head_owner),
                (merge_commit, landed),
                (mergeability, closes, parts_observed, observed),
                (review, review_list),
                (checks, check_list, runs),
                (queue, auto_merge),
            )| {
                PullRequest {
                    number,
                    state,
                    draft,
                    created,
                    merged,
                    closed,
                    url: format!("https://github.com/acme/shop/pull/{number}"),
                    head_ref,
                    base_ref,
                    head_sha,
                    head_owner,
                    merge_commit,
                    landed,
                    mergeability,
                    review,
                    review_list,
                    checks,
                    check_list,
                    runs,
                    queue,
                    auto_merge,
                    closes,
                    parts_observed,
                    observed,
                }
            },
        )
}

fn passed_over() -> impl Strategy<Value = PassedOver> {
    (1_u64..500, "\\PC{1,12}").prop_map(|(number, why)| PassedOver { number, why })
}

fn mergeability() -> impl Strategy<Value = Fact<Mergeability>> {
    fact(
        (any::<bool>(), "clean|dirty", moment()).prop_map(|(mergeable, merge_state, observed)| {
            Mergeability {
                mergeable,
                merge_state,
                observed,
            }
        }),
    )
}

fn review() -> impl Strategy<Value = Review> {
    (
        of(actor()),
        "approved|changes-requested|dismissed",
        of("[0-9a-f]{4}"),
        of(moment()),
    )
        .prop_map(|(author, state, commit, submitted)| Review {
            author,
            state,
            commit,
            submitted,
        })
}

fn check() -> impl Strategy<Value = Check> {
    ("\\PC{1,6}", "success|failure|pending").prop_map(|(name, outcome)| Check { name, outcome })
}

fn held_run() -> impl Strategy<Value = HeldRun> {
    (
        of("\\PC{1,6}"),
        of("pull_request(_target)?"),
        "approval|deployment",
    )
        .prop_map(|(name, event, waits_for)| HeldRun {
            name,
            event,
            waits_for,
        })
}

fn queue_entry() -> impl Strategy<Value = QueueEntry> {
    (1_u32..9, "queued|awaiting-checks|locked")
        .prop_map(|(position, state)| QueueEntry { position, state })
}

fn auto_merge() -> impl Strategy<Value = AutoMerge> {
    ("merge|squash|rebase", of(actor())).prop_map(|(method, by)| AutoMerge { method, by })
}
