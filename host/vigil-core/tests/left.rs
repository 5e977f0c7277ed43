//! What a hold costs: over every answer about issue and pull request, every age around the owner's clock and ours, and
//! everything that may be known of work, agent and supervisor.

mod common;

use common::*;
use vigil_core::decide::{Action, Ruling, decide, rule};
use vigil_core::forge::PullRequestState::{Closed, Merged, Open};
use vigil_core::guard::Code;
use vigil_core::session::{IfLeft, Occupant, Process};
use vigil_core::survey::{Memory, PastMove, Reversal, survey};
use vigil_core::verdict::{PolicyAnswer, PolicyFailure, Verdict};
use vigil_core::{Evidence, Fact, GapKind, Sibling, State};

/// A stale session as its owner sees it: silent for `minutes` of an owner that waits for ten, its supervisor dead, its
/// pull request merged with a head that the clone does not have, and one commit that nobody has.
fn left_for(minutes: u64) -> Evidence {
    let mut evidence = evidence(State::Running);
    evidence.issue = issue(true);
    evidence.session.times.heartbeat = Some(ago(minutes));
    evidence.session.owner_effects.if_left = Some(IfLeft {
        silent_from: Some(ago(minutes)),
        stale_after_ms: 10 * MINUTE,
    });
    evidence.session.liveness.supervisor = Fact::absent_at(NOW);
    evidence.session.liveness.unpushed = Fact::Found(1);
    evidence.beyond_head = Fact::unknown(GapKind::NotFound, "the clone does not have the head");
    evidence
}

fn ruled(evidence: &Evidence, answer: PolicyAnswer) -> Ruling {
    ruled_with(evidence, answer, Memory::default())
}

fn ruled_with(evidence: &Evidence, answer: PolicyAnswer, memory: Memory) -> Ruling {
    let survey = survey(std::slice::from_ref(evidence), &context(), memory);
    decide(evidence, &[answer], &asked(), &survey, &context())
}

fn held(evidence: &Evidence) -> Ruling {
    ruled(evidence, answer("p", Verdict::Hold))
}

/// What is known of uncommitted changes, of commits that nobody has, and of commits beyond the head; and whether that is
/// work.
type Work = (Fact<bool>, Fact<u32>, Fact<u32>, bool);

#[test]
fn a_hold_under_which_work_would_be_destroyed_becomes_blocked_and_no_other_does() {
    let process = |pid| Fact::Found(Process { pid, started: None });
    let unknown = |kind: GapKind| -> Fact<bool> { Fact::unknown(kind, "why") };
    let issues = [issue(true), issue(false)];
    let pulls = [
        (Fact::absent_at(NOW), false),
        (pull(Open), false),
        (pull(Merged), true),
        (pull(Closed), true),
    ];
    let ages = [(1, false), (9, false), (10, true), (11, true), (35, true)];
    // What is known of uncommitted changes, of unpushed commits, of commits beyond the head; whether that is work.
    let works: [Work; 10] = [
        (Fact::Found(false), Fact::Found(0), Fact::Found(0), false),
        (Fact::Found(true), Fact::Found(0), Fact::Found(0), true),
        (Fact::Found(false), Fact::Found(2), Fact::Found(2), true),
        (Fact::Found(false), Fact::Found(2), Fact::Found(0), false),
        (
            Fact::Found(false),
            Fact::Found(2),
            Fact::unknown(GapKind::NotFound, "no such head"),
            true,
        ),
        (
            Fact::Found(false),
            Fact::Found(0),
            Fact::unknown(GapKind::NotFound, "no such head"),
            false,
        ),
        (
            unknown(GapKind::RunsCode),
            Fact::Found(0),
            Fact::Found(0),
            true,
        ),
        (
            unknown(GapKind::TimedOut),
            Fact::Found(0),
            Fact::Found(0),
            false,
        ),
        (
            Fact::Found(false),
            Fact::unknown(GapKind::RunsCode, "why"),
            Fact::unknown(GapKind::NotFound, "no such head"),
            true,
        ),
        (Fact::NotAsked, Fact::NotAsked, Fact::NotAsked, false),
    ];
    let agents = [
        (Fact::absent_at(NOW), true),
        (Fact::unknown(GapKind::OtherNamespace, "a container"), true),
        (process(7), false),
    ];
    let supervisors = [
        (Fact::absent_at(NOW), true),
        (process(1), false),
        (Fact::unknown(GapKind::OtherNamespace, "a container"), false),
        (Fact::NotAsked, false),
    ];
    let mut blocked = 0;
    for issue in &issues {
        for (pull, ended) in &pulls {
            for (minutes, stale) in ages {
                for (dirty, unpushed, beyond, work) in &works {
                    for (agent, no_agent) in &agents {
                        for (supervisor, dead) in &supervisors {
                            let mut one = left_for(minutes);
                            one.issue.clone_from(issue);
                            one.pull_request.clone_from(pull);
                            one.beyond_head.clone_from(beyond);
                            let liveness = &mut one.session.liveness;
                            liveness.dirty.clone_from(dirty);
                            liveness.unpushed.clone_from(unpushed);
                            liveness.agent.clone_from(agent);
                            liveness.supervisor.clone_from(supervisor);
                            let wanted = *ended && stale && *work && *no_agent && *dead;
                            let ruling = held(&one);
                            let expected = match wanted {
                                true => (Action::Move(State::Blocked), rule::UNSAVED_WORK),
                                false => (Action::Hold, "a-rule"),
                            };
                            assert_eq!(
                                (ruling.action, ruling.rule.as_str()),
                                expected,
                                "{minutes} min: {one:?}"
                            );
                            blocked += usize::from(wanted);
                        }
                    }
                }
            }
        }
    }
    // 2 issues, 2 ends, 3 ages, 5 kinds of work, 2 words on the agent, 1 on the supervisor.
    assert_eq!(blocked, 2 * 2 * 3 * 5 * 2);
}

#[test]
fn every_ruling_that_would_leave_the_record_is_turned_and_no_move_is() {
    let failed = PolicyAnswer {
        answer: Err(PolicyFailure {
            kind: "trap".into(),
            detail: "unreachable".into(),
            passes: false,
        }),
        ..answer("p", Verdict::Pass)
    };
    let mut evidence = left_for(11);
    // Refused, since a fact that was asked for is unknown.
    evidence.issue = Fact::unknown(GapKind::RateLimited, "until 12:00");
    for leaves in [
        answer("p", Verdict::Hold),
        answer("p", Verdict::Pass),
        answer("p", Verdict::Transition(State::Running)),
        answer("p", Verdict::Transition(State::Succeeded)),
        failed,
    ] {
        let ruling = ruled(&evidence, leaves);
        assert_eq!(ruling.action, Action::Move(State::Blocked), "{ruling:?}");
        assert_eq!(ruling.rule, rule::UNSAVED_WORK);
        assert_eq!(ruling.policy, None);
    }
    let mut evidence = left_for(11);
    evidence.beyond_head = Fact::Found(1);
    let ruling = ruled(&evidence, answer("p", Verdict::Transition(State::Blocked)));
    assert_eq!(
        (ruling.action, ruling.rule.as_str()),
        (Action::Move(State::Blocked), "a-rule")
    );
}

#[test]
fn the_reason_names_the_end_the_work_and_the_owner_and_what_was_held_for() {
    let ruling = held(&left_for(11));
    assert_eq!(
        ruling.reason,
        "PR #319 was merged, and the supervisor is gone: left at running, its owner would discard 1 commit that no \
         remote has; a person decides what becomes of it"
    );
    assert_eq!(ruling.guards[0].code, Code::UnsavedWork);
    assert_eq!(
        ruling.guards[0].detail,
        "it would have been left as it is: because"
    );
    let mut occupied = left_for(11);
    occupied.session.liveness.occupant = Fact::Found(Occupant {
        pid: 7,
        started: None,
        name: "node".into(),
    });
    let ruling = held(&occupied);
    assert_eq!(
        ruling.action,
        Action::Move(State::Blocked),
        "it bars nothing"
    );
    let named =
        "1 commit that no remote has, while node (pid 7) is at work in its worktree; a person";
    assert!(ruling.reason.contains(named), "{}", ruling.reason);
    let mut undecided = left_for(11);
    undecided.pull_request = pull(Closed);
    undecided.session.liveness.unpushed = Fact::Found(0);
    undecided.session.liveness.dirty = Fact::unknown(GapKind::RunsCode, "filter.x.clean");
    let reason = held(&undecided).reason;
    assert!(reason.contains("closed without a merge"), "{reason}");
    assert!(
        reason.contains("without running it (filter.x.clean)"),
        "{reason}"
    );
}

#[test]
fn a_worktree_that_is_missing_or_a_record_without_a_time_is_stale_to_its_owner_at_once() {
    let mut missing = left_for(1);
    missing.session.liveness.worktree_written = Fact::absent_at(NOW);
    missing.session.liveness.dirty = Fact::absent_at(NOW);
    let mut timeless = left_for(1);
    timeless.session.owner_effects.if_left = Some(IfLeft {
        silent_from: None,
        stale_after_ms: 10 * MINUTE,
    });
    for one in [missing, timeless] {
        assert_eq!(held(&one).action, Action::Move(State::Blocked));
    }
}

#[test]
fn the_next_look_comes_when_the_owners_clock_runs_out() {
    let mut answer = answer("p", Verdict::Hold);
    assert_eq!(
        ruled(&left_for(4), answer.clone()).look_again_after_ms,
        Some(6 * MINUTE)
    );
    if let Ok(decision) = &mut answer.answer {
        decision.look_again_after_ms = Some(2 * MINUTE);
    }
    let ruling = ruled(&left_for(4), answer);
    assert_eq!(ruling.look_again_after_ms, Some(2 * MINUTE));
    assert_eq!(ruling.action, Action::Hold);
}

#[test]
fn an_owner_that_does_nothing_costs_nothing() {
    let mut evidence = left_for(35);
    evidence.session.owner_effects.if_left = None;
    assert_eq!(held(&evidence).action, Action::Hold);
}

#[test]
fn a_duplicate_a_mass_change_and_a_persons_undo_still_refuse() {
    let mut duplicate = left_for(11);
    duplicate.siblings = vec![Sibling {
        id: "o/r#299@2".into(),
        state: State::Running,
        duplicate: true,
    }];
    let ruling = held(&duplicate);
    assert_eq!(
        (ruling.action, ruling.rule.as_str()),
        (Action::Hold, rule::DUPLICATE_RECORD)
    );

    let evidence = left_for(11);
    let past = |undone, same_facts| PastMove {
        name: "t1".into(),
        from: State::Running,
        to: State::Blocked,
        at: ago(60),
        same_facts,
        undone,
        reversal: Reversal::Owner,
    };
    let with = |moves: Vec<PastMove>| {
        let memory = Memory {
            past: [(evidence.session.id.clone(), moves)].into(),
            ..Memory::default()
        };
        let ruling = ruled_with(&evidence, answer("p", Verdict::Hold), memory);
        let codes: Vec<Code> = ruling.guards.iter().map(|guard| guard.code).collect();
        (ruling.action, codes)
    };
    assert_eq!(
        with(vec![past(true, true)]),
        (Action::Refuse, vec![Code::OwnerDisagrees])
    );
    // Other facts; or its owner wrote over it, which is no word about the work.
    for moves in [
        vec![past(true, false)],
        vec![past(false, true), past(false, true)],
    ] {
        assert_eq!(with(moves).0, Action::Move(State::Blocked));
    }
}
