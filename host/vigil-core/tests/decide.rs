//! The guards and the ruling, as a table of facts: one name for each thing that must never happen.

mod common;

use common::*;
use vigil_core::decide::{Action, decide, rule};
use vigil_core::drift::{self, Marker};
use vigil_core::forge::PullRequestState::{Closed, Merged, Open};
use vigil_core::guard::{self, Code, Move};
use vigil_core::session::{FieldGap, Process};
use vigil_core::standing::Origin;
use vigil_core::survey::{Memory, PastMove, survey};
use vigil_core::verdict::{PolicyFailure, Verdict};
use vigil_core::{Evidence, Fact, Gap, GapKind, Sibling, State};

#[test]
fn a_merged_pull_request_makes_a_session_succeeded() {
    let evidence = evidence(State::Running);
    assert_eq!(ruled(&evidence, State::Succeeded), moved(State::Succeeded));
}

#[test]
fn an_unknown_fact_moves_nothing_out_of_running_or_maintaining_and_makes_nothing_final() {
    for from in [State::Running, State::Maintaining] {
        for to in State::ALL.into_iter().filter(|to| from.may_become(*to)) {
            let mut evidence = evidence(from);
            evidence.issue = Fact::unknown(GapKind::Unreachable, "no answer");
            let (action, codes) = ruled(&evidence, to);
            assert_eq!(action, Action::Refuse, "{from} to {to}");
            assert!(!codes.is_empty());
        }
    }
    for from in [State::Blocked, State::Interrupted, State::Failed] {
        let mut evidence = evidence(from);
        evidence.pull_request = Fact::unknown(GapKind::RateLimited, "until 12:00");
        let (action, codes) = ruled(&evidence, State::Closed);
        assert_eq!(
            (action, codes[0]),
            (Action::Refuse, Code::UnknownIsNotEvidence),
            "{from}"
        );
    }
}

#[test]
fn a_fact_that_nobody_asked_for_stands_in_nobodys_way() {
    let mut evidence = evidence(State::Running);
    evidence.issue = Fact::unknown(GapKind::Unsupported, "the issue lives in another tracker");
    let context = context();
    let survey = survey::<Evidence>(&[], &context, Memory::default());
    let answers = [answer("p", Verdict::Transition(State::Succeeded))];
    let asked = ["pull-request".to_owned()];
    let ruling = decide(&evidence, &answers, &asked, &survey, &context);
    assert_eq!(ruling.action, Action::Move(State::Succeeded));
}

#[test]
fn succeeded_needs_a_merged_pull_request_or_the_owners_word() {
    for pr in [
        pull(Open),
        pull(Closed),
        Fact::absent_at(NOW),
        Fact::NotAsked,
    ] {
        let mut evidence = evidence(State::Running);
        evidence.pull_request = pr;
        assert_eq!(
            ruled(&evidence, State::Succeeded),
            refused(Code::PositiveEvidence)
        );
        evidence.session.owner_says = Some(State::Succeeded);
        assert_eq!(ruled(&evidence, State::Succeeded), moved(State::Succeeded));
    }
}

#[test]
fn closed_needs_the_issue_closed_or_gone_for_ten_minutes_or_a_final_label() {
    let mut evidence = evidence(State::Running);
    evidence.pull_request = Fact::absent_at(NOW);
    assert_eq!(ruled(&evidence, State::Closed), moved(State::Closed));

    evidence.issue = absent(9, 0);
    assert_eq!(
        ruled(&evidence, State::Closed),
        refused(Code::PositiveEvidence)
    );
    evidence.issue = absent(10, 0);
    assert_eq!(ruled(&evidence, State::Closed), moved(State::Closed));

    evidence.issue = issue(true);
    assert_eq!(
        ruled(&evidence, State::Closed),
        refused(Code::PositiveEvidence)
    );
    if let Fact::Found(issue) = &mut evidence.issue {
        issue.labels = vec!["Team:done".into()];
    }
    // A label counts to the letter, and only the host's configuration says which.
    assert_eq!(
        ruled(&evidence, State::Closed),
        refused(Code::PositiveEvidence)
    );
    if let Fact::Found(issue) = &mut evidence.issue {
        issue.labels = vec!["team:done".into()];
    }
    assert_eq!(ruled(&evidence, State::Closed), moved(State::Closed));
}

#[test]
fn only_the_owner_makes_a_session_failed() {
    let mut evidence = evidence(State::Running);
    evidence.session.owner_effects.writable.push(State::Failed);
    assert_eq!(
        ruled(&evidence, State::Failed),
        refused(Code::PositiveEvidence)
    );
    evidence.session.owner_says = Some(State::Failed);
    assert_eq!(ruled(&evidence, State::Failed), moved(State::Failed));
}

#[test]
fn blocked_needs_an_observation_of_its_own() {
    let mut evidence = evidence(State::Running);
    evidence.pull_request = Fact::absent_at(NOW);
    evidence.issue = issue(true);
    evidence.session.liveness.agent = Fact::NotAsked;
    assert_eq!(
        ruled(&evidence, State::Blocked),
        refused(Code::UnknownIsNotEvidence)
    );
    for grounds in 0..4 {
        let mut evidence = evidence.clone();
        match grounds {
            0 => evidence.session.liveness.worktree_written = Fact::absent_at(NOW),
            1 => evidence.session.liveness.dirty = Fact::Found(true),
            2 => evidence.beyond_head = Fact::Found(1),
            _ => evidence.session.liveness.supervisor = Fact::absent_at(NOW),
        }
        assert_eq!(
            ruled(&evidence, State::Blocked),
            moved(State::Blocked),
            "ground {grounds}"
        );
    }
}

#[test]
fn unsaved_work_under_an_open_issue_is_handed_to_a_person() {
    for (pr, to) in [(Merged, State::Succeeded), (Open, State::Maintaining)] {
        let mut evidence = evidence(State::Running);
        evidence.issue = issue(true);
        evidence.pull_request = pull(pr);
        evidence.session.liveness.dirty = Fact::Found(true);
        let blocked = (Action::Move(State::Blocked), vec![Code::UnsavedWork]);
        assert_eq!(ruled(&evidence, to), blocked);
        // With the issue closed the owner discards nothing after our write.
        evidence.issue = issue(false);
        assert_eq!(ruled(&evidence, to), moved(to));
    }
}

#[test]
fn whether_work_is_unsaved_must_be_known() {
    let mut evidence = evidence(State::Running);
    evidence.issue = issue(true);
    evidence.session.liveness.dirty = Fact::unknown(GapKind::TimedOut, "git took too long");
    assert_eq!(
        ruled(&evidence, State::Succeeded),
        refused(Code::UnsavedWork)
    );
}

#[test]
fn commits_that_the_pull_request_holds_are_saved() {
    let mut evidence = evidence(State::Running);
    evidence.issue = issue(true);
    evidence.session.liveness.unpushed = Fact::Found(3);
    evidence.beyond_head = Fact::Found(0);
    assert_eq!(ruled(&evidence, State::Succeeded), moved(State::Succeeded));
    evidence.beyond_head = Fact::Found(1);
    let (action, _) = ruled(&evidence, State::Succeeded);
    assert_eq!(action, Action::Move(State::Blocked));
}

#[test]
fn an_edge_that_the_table_or_the_source_lacks_is_refused() {
    assert_eq!(
        ruled(&evidence(State::Succeeded), State::Closed),
        refused(Code::LegalEdge)
    );
    assert_eq!(
        ruled(&evidence(State::Running), State::Queued),
        refused(Code::LegalEdge)
    );
    let mut evidence = evidence(State::Running);
    evidence.session.liveness.worktree_written = Fact::absent_at(NOW);
    assert_eq!(
        ruled(&evidence, State::Interrupted),
        refused(Code::LegalEdge)
    );
}

#[test]
fn a_second_record_of_the_same_issue_holds_both() {
    let mut evidence = evidence(State::Running);
    evidence.siblings = vec![Sibling {
        id: "o/r#299@2".into(),
        state: State::Running,
        duplicate: true,
    }];
    let survey = survey::<Evidence>(&[], &context(), Memory::default());
    let answers = [answer("p", Verdict::Transition(State::Succeeded))];
    let ruling = decide(&evidence, &answers, &asked(), &survey, &context());
    assert_eq!(
        (ruling.action, ruling.rule.as_str()),
        (Action::Hold, rule::DUPLICATE_RECORD)
    );
    assert!(
        ruling.reason.contains("o/r#299 and o/r#299@2"),
        "{}",
        ruling.reason
    );
}

#[test]
fn a_record_that_cannot_be_read_is_neither_moved_nor_repaired() {
    let mut evidence = evidence(State::Running);
    evidence.session.readable = false;
    evidence.session.gaps.push(FieldGap {
        field: "state".into(),
        gap: Gap::new(GapKind::Malformed, "\"parked\" is no status"),
    });
    let survey = survey::<Evidence>(&[], &context(), Memory::default());
    for verdict in [
        Verdict::Transition(State::Succeeded),
        Verdict::Repair(vec!["x".into()]),
    ] {
        let ruling = decide(
            &evidence,
            &[answer("p", verdict)],
            &asked(),
            &survey,
            &context(),
        );
        assert_eq!(
            (ruling.action, ruling.rule.as_str()),
            (Action::Hold, rule::UNREADABLE_RECORD)
        );
        assert!(ruling.reason.contains("parked"), "{}", ruling.reason);
    }
}

#[test]
fn a_gap_in_a_record_that_is_only_observed_silences_no_policy() {
    let mut evidence = evidence(State::Running);
    evidence.session.owner_effects.writable.clear();
    evidence.session.gaps.push(FieldGap {
        field: "times.heartbeat".into(),
        gap: Gap::new(GapKind::InTheFuture, "it lies ahead"),
    });
    let survey = survey::<Evidence>(&[], &context(), Memory::default());
    let ruled = |verdict| {
        let answers = [answer("p", verdict)];
        let ruling = decide(&evidence, &answers, &asked(), &survey, &context());
        let guards = ruling.guards.iter().map(|guard| guard.code);
        (ruling.action, ruling.rule, guards.collect::<Vec<_>>())
    };
    assert_eq!(
        ruled(Verdict::Hold),
        (Action::Hold, "a-rule".into(), vec![])
    );
    let (action, rule, guards) = ruled(Verdict::Transition(State::Succeeded));
    assert_eq!((action, rule.as_str()), (Action::Refuse, "a-rule"));
    assert!(guards.contains(&Code::LegalEdge), "{guards:?}");
}

#[test]
fn a_move_that_the_owner_took_back_twice_is_not_repeated() {
    let evidence = evidence(State::Running);
    let with = |moves: Vec<PastMove>| {
        let memory = Memory {
            past: [(evidence.session.id.clone(), moves)].into(),
            ..Memory::default()
        };
        ruled_with(&evidence, State::Succeeded, memory, false)
    };
    let twice = || vec![past(false, true, 60), past(false, true, 30)];
    assert_eq!(with(twice()), refused(Code::OwnerDisagrees));
    assert_eq!(with(vec![past(false, true, 60)]), moved(State::Succeeded));
    assert_eq!(
        with(vec![past(true, true, 60)]),
        refused(Code::OwnerDisagrees)
    );
    // What a person took back stays so for longer than a day.
    assert_eq!(
        with(vec![past(true, true, 3 * 24 * 60)]),
        refused(Code::OwnerDisagrees)
    );
    // Other facts, or a day later: it may be tried again.
    assert_eq!(with(vec![past(true, false, 60)]), moved(State::Succeeded));
    let old = vec![past(false, true, 25 * 60), past(false, true, 30)];
    assert_eq!(with(old), moved(State::Succeeded));
}

#[test]
fn the_first_verdict_that_is_not_pass_decides() {
    let evidence = evidence(State::Running);
    let survey = survey::<Evidence>(&[], &context(), Memory::default());
    let rule_of = |answers: &[_]| decide(&evidence, answers, &asked(), &survey, &context());
    let chain = [
        answer("first", Verdict::Pass),
        answer("second", Verdict::Hold),
    ];
    let ruling = rule_of(&chain);
    assert_eq!(
        (ruling.action, ruling.policy.as_deref()),
        (Action::Hold, Some("second"))
    );

    // A pass with a rule gives the standing reason, and the one behind it still speaks first.
    let all = rule_of(&[answer("first", Verdict::Pass)]);
    assert_eq!(
        (all.action, all.rule.as_str(), all.origin),
        (Action::Hold, "a-rule", Origin::Pass)
    );
    assert_eq!((all.policy.as_deref(), all.proposed), (Some("first"), None));
    assert_eq!(rule_of(&chain).origin, Origin::Verdict);
}

#[test]
fn a_policy_that_fails_holds_unless_it_is_configured_to_pass() {
    let evidence = evidence(State::Running);
    let survey = survey::<Evidence>(&[], &context(), Memory::default());
    let failed = |passes| {
        let mut failed = answer("broken", Verdict::Pass);
        failed.answer = Err(PolicyFailure {
            kind: "trap".into(),
            detail: "unreachable".into(),
            passes,
        });
        let chain = [
            failed,
            answer("next", Verdict::Transition(State::Succeeded)),
        ];
        decide(&evidence, &chain, &asked(), &survey, &context())
    };
    assert_eq!(
        (failed(false).action, failed(false).rule.as_str()),
        (Action::Hold, rule::POLICY_FAILED)
    );
    assert_eq!(failed(true).action, Action::Move(State::Succeeded));
}

/// A ruling's reason without what it says of the guard that refused it, which it does say.
fn without_the_guard(ruling: &vigil_core::decide::Ruling) -> String {
    let (Action::Refuse, Some(Verdict::Transition(to))) = (&ruling.action, &ruling.proposed) else {
        return ruling.reason.clone();
    };
    let said = format!("; not {to}: {}", ruling.guards[0].detail);
    assert!(ruling.reason.contains(&said), "{ruling:#?}");
    ruling.reason.replace(&said, "")
}

#[test]
fn a_refusal_silences_who_stands_behind_it_and_says_so() {
    let mut evidence = evidence(State::Running);
    evidence.issue = issue(true);
    let survey = survey::<Evidence>(&[], &context(), Memory::default());
    // The issue is open, so that nothing says `closed`; `queued` is no state to move to.
    let chain = |to: State, passes_refused: bool, next: Verdict| {
        let mut team = answer("team", Verdict::Transition(to));
        team.passes_refused = passes_refused;
        team.behind = vec!["default".into()];
        let answers = [team, answer("default", next)];
        decide(&evidence, &answers, &asked(), &survey, &context())
    };
    let succeeded = || Verdict::Transition(State::Succeeded);
    for (to, passes, next, action, speaks, words) in [
        (
            State::Closed,
            false,
            succeeded(),
            Action::Refuse,
            "team",
            "because; this was refused, so that default is not heard; on_refused = \"pass\" would let it speak",
        ),
        (
            State::Closed,
            true,
            succeeded(),
            Action::Move(State::Succeeded),
            "default",
            "because; team was refused before it (a-rule: positive-evidence)",
        ),
        (
            State::Queued,
            true,
            succeeded(),
            Action::Move(State::Succeeded),
            "default",
            "because; team was refused before it (a-rule: legal-edge)",
        ),
        (
            State::Closed,
            true,
            Verdict::Pass,
            Action::Refuse,
            "team",
            "because",
        ),
        (
            State::Closed,
            true,
            Verdict::Hold,
            Action::Hold,
            "default",
            "because; team was refused before it (a-rule: positive-evidence)",
        ),
    ] {
        let ruling = chain(to, passes, next);
        assert_eq!(ruling.action, action, "{to} {passes}: {ruling:#?}");
        assert_eq!(ruling.policy.as_deref(), Some(speaks), "{to} {passes}");
        assert_eq!(without_the_guard(&ruling), words);
    }
    // Danger is nothing that another policy could see otherwise.
    let mut alive = evidence.clone();
    alive.session.liveness.agent = Fact::Found(Process {
        pid: 7,
        started: None,
    });
    let mut team = answer("team", Verdict::Transition(State::Succeeded));
    team.passes_refused = true;
    team.behind = vec!["default".into()];
    let answers = [team, answer("default", Verdict::Hold)];
    let ruling = decide(&alive, &answers, &asked(), &survey, &context());
    assert_eq!(
        (ruling.action.clone(), without_the_guard(&ruling).as_str()),
        (
            Action::Refuse,
            "because; this was refused, so that default is not heard"
        )
    );
    // Alone it silences nobody.
    let alone = [answer("team", Verdict::Transition(State::Closed))];
    let ruling = decide(&evidence, &alone, &asked(), &survey, &context());
    assert_eq!(
        (ruling.action.clone(), without_the_guard(&ruling).as_str()),
        (Action::Refuse, "because")
    );
}

#[test]
fn a_repair_waits_for_proof_that_whoever_set_the_mark_is_gone() {
    let mut evidence = evidence(State::Maintaining);
    let survey = survey::<Evidence>(&[], &context(), Memory::default());
    let answers = [answer("p", Verdict::Repair(vec!["x".into()]))];
    let ruled = |evidence: &Evidence| decide(evidence, &answers, &asked(), &survey, &context());
    evidence.session.liveness.supervisor = Fact::absent_at(NOW);
    assert_eq!(ruled(&evidence).action, Action::Repair(vec!["x".into()]));

    evidence.session.liveness.supervisor = Fact::Found(Process {
        pid: 1,
        started: None,
    });
    assert_eq!(ruled(&evidence).guards[0].code, Code::LiveWork);
    for fact in [
        Fact::NotAsked,
        Fact::unknown(GapKind::OtherNamespace, "a container"),
    ] {
        evidence.session.liveness.supervisor = fact;
        assert_eq!(ruled(&evidence).guards[0].code, Code::UnknownIsNotEvidence);
    }
}

#[test]
fn what_nobody_would_take_back_is_repaired_beside_a_living_supervisor_and_under_no_agent() {
    let survey = survey::<Evidence>(&[], &context(), Memory::default());
    let codes = |evidence: &Evidence, marked_by| {
        let asked = asked();
        let context = context();
        let proposed = Move {
            to: State::Maintaining,
            despite_live_work: false,
            asked: &asked,
            evidence,
            context: &context,
            survey: &survey,
        };
        let objections = guard::repair_objections(&proposed, marked_by).into_iter();
        objections.map(|found| found.code).collect::<Vec<_>>()
    };
    let alive = || {
        Fact::Found(Process {
            pid: 1,
            started: None,
        })
    };
    let mut evidence = evidence(State::Maintaining);
    for supervisor in [alive(), Fact::NotAsked, Fact::absent_at(NOW)] {
        let is_gone = supervisor.is_absent();
        evidence.session.liveness.supervisor = supervisor;
        assert_eq!(codes(&evidence, Marker::Nobody), []);
        assert_eq!(codes(&evidence, Marker::Supervisor).is_empty(), is_gone);
    }
    evidence.session.liveness.agent = alive();
    assert_eq!(codes(&evidence, Marker::Nobody), [Code::LiveWork]);
    // Of several the strictest counts, and what nobody registered is the supervisor's.
    assert_eq!(drift::marker(["maintenance-in-flight"]), Marker::Supervisor);
    assert_eq!(drift::marker(["x"]), Marker::Supervisor);
}

#[test]
fn a_repair_that_was_undone_is_not_repeated() {
    let mut evidence = evidence(State::Maintaining);
    evidence.session.liveness.supervisor = Fact::absent_at(NOW);
    let moves = vec![PastMove {
        to: State::Maintaining,
        from: State::Maintaining,
        ..past(true, true, 60)
    }];
    let memory = Memory {
        past: [(evidence.session.id.clone(), moves)].into(),
        ..Memory::default()
    };
    let survey = survey::<Evidence>(&[], &context(), memory);
    let answers = [answer("p", Verdict::Repair(vec!["x".into()]))];
    let ruling = decide(&evidence, &answers, &asked(), &survey, &context());
    assert_eq!(
        (ruling.action, ruling.guards[0].code),
        (Action::Refuse, Code::OwnerDisagrees)
    );
}
