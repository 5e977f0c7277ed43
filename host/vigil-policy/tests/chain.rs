//! Several policies in turn: who speaks, who ends it, what a failure does.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::sync::Arc;

use common::{GUILTY, Made, context, engine, merged};
use serde_json::Value;
use vigil_core::Evidence;
use vigil_core::verdict::{PolicyAnswer, Verdict};
use vigil_policy::{Chain, ChainQuestion, Engine, Link, OnFailure, OnRefused, Quarantine, Wanted};

fn link(engine: &Engine, name: &str, made: &Made, on_failure: OnFailure) -> Link {
    let policy = engine
        .load_untried(name, &made.build(), &Value::Null)
        .unwrap();
    Link {
        policy: Arc::new(policy),
        on_failure,
        on_refused: OnRefused::Hold,
    }
}

fn passing() -> Made {
    Made {
        verdict: 0,
        wanted: "checks".into(),
        ..Made::default()
    }
}

fn failing() -> Made {
    Made::deciding("unreachable")
}

/// Asks as a pass does: what is wanted first, then the answers.
fn pass(
    chain: &Chain,
    evidence: &[Evidence],
    quarantine: &mut Quarantine,
) -> Vec<Vec<PolicyAnswer>> {
    let sessions: Vec<_> = evidence.iter().map(|evidence| &evidence.session).collect();
    let wanted = chain.wants(&context(), &sessions, quarantine);
    let questions: Vec<_> = evidence
        .iter()
        .zip(&wanted)
        .map(|(evidence, wanted)| ChainQuestion {
            evidence,
            memos: &[],
            failures: &wanted.failures,
        })
        .collect();
    chain.decide(&context(), &questions, quarantine)
}

/// Each answer in short: the policy and its verdict, or how it failed.
fn short(answers: &[PolicyAnswer]) -> Vec<String> {
    answers
        .iter()
        .map(|said| match &said.answer {
            Ok(decision) => format!("{} {:?}", said.policy, decision.verdict),
            Err(failed) if failed.passes => format!("{} {}, passes", said.policy, failed.kind),
            Err(failed) => format!("{} {}", said.policy, failed.kind),
        })
        .collect()
}

#[test]
fn the_first_that_does_not_pass_decides_and_all_that_spoke_are_told() {
    let engine = engine();
    let chain = Chain::new(vec![
        link(&engine, "a", &passing(), OnFailure::Hold),
        link(&engine, "b", &Made::default(), OnFailure::Hold),
        link(&engine, "c", &failing(), OnFailure::Hold),
    ]);
    let answers = pass(&chain, &[merged(1), merged(2)], &mut Quarantine::default());
    for answers in &answers {
        assert_eq!(short(answers), ["a Pass", "b Hold"]);
    }
    let first = &answers[0][0];
    assert_eq!(first.policy_digest, chain.links()[0].policy.digest());
    assert_eq!(first.settings_digest.len(), 64);
}

#[test]
fn a_chain_in_which_all_pass_says_so() {
    let engine = engine();
    let chain = Chain::new(vec![
        link(&engine, "a", &passing(), OnFailure::Hold),
        link(&engine, "b", &passing(), OnFailure::Hold),
    ]);
    let answers = pass(&chain, &[merged(1)], &mut Quarantine::default());
    assert_eq!(short(&answers[0]), ["a Pass", "b Pass"]);
    assert!(pass(&Chain::default(), &[merged(1)], &mut Quarantine::default())[0].is_empty());
}

#[test]
fn a_failure_holds_unless_it_is_told_to_pass() {
    let engine = engine();
    let with = |on_failure| {
        Chain::new(vec![
            link(&engine, "a", &failing(), on_failure),
            link(&engine, "b", &Made::default(), OnFailure::Hold),
        ])
    };
    let evidence = [merged(1)];
    let held = pass(
        &with(OnFailure::Hold),
        &evidence,
        &mut Quarantine::default(),
    );
    assert_eq!(short(&held[0]), ["a trap"]);
    let passed = pass(
        &with(OnFailure::Pass),
        &evidence,
        &mut Quarantine::default(),
    );
    assert_eq!(short(&passed[0]), ["a trap, passes", "b Hold"]);
}

#[test]
fn only_the_session_that_a_policy_fails_about_is_held() {
    let engine = engine();
    let chain = Chain::new(vec![
        link(
            &engine,
            "a",
            &Made {
                verdict: 0,
                ..Made::when_guilty("unreachable")
            },
            OnFailure::Hold,
        ),
        link(&engine, "b", &Made::default(), OnFailure::Hold),
    ]);
    let mut evidence = [merged(1), merged(2), merged(3)];
    evidence[1].session.native_state = GUILTY.into();
    let answers = pass(&chain, &evidence, &mut Quarantine::default());
    assert_eq!(short(&answers[0]), ["a Pass", "b Hold"]);
    assert_eq!(short(&answers[1]), ["a trap"]);
    assert_eq!(short(&answers[2]), ["a Pass", "b Hold"]);
}

#[test]
fn what_any_of_them_wants_is_asked_for_once() {
    let engine = engine();
    let chain = Chain::new(vec![
        link(&engine, "a", &passing(), OnFailure::Hold),
        link(&engine, "b", &Made::default(), OnFailure::Hold),
        link(&engine, "c", &Made::default(), OnFailure::Hold),
        link(
            &engine,
            "d",
            &Made {
                wanted: String::new(),
                ..Made::default()
            },
            OnFailure::Hold,
        ),
    ]);
    let evidence = merged(1);
    let wanted = chain.wants(&context(), &[&evidence.session], &mut Quarantine::default());
    assert_eq!(
        wanted,
        [Wanted {
            facts: vec!["issue".into(), "checks".into()],
            failures: vec![None, None, None, None],
        }]
    );
}

#[test]
fn a_policy_that_cannot_say_what_it_needs_does_not_decide_on_what_there_is() {
    let engine = engine();
    let silent = Made {
        wants: "unreachable".into(),
        ..Made::default()
    };
    let chain = Chain::new(vec![link(&engine, "a", &silent, OnFailure::Hold)]);
    let mut quarantine = Quarantine::default();
    for _ in 0..Quarantine::FAILURES_MAX {
        let answers = pass(&chain, &[merged(1)], &mut quarantine);
        assert_eq!(short(&answers[0]), ["a trap"]);
    }
    assert_eq!(quarantine.list().len(), 1);
}

#[test]
fn a_policy_that_keeps_failing_is_left_out_for_that_session_and_holds_it() {
    let engine = engine();
    let chain = Chain::new(vec![link(
        &engine,
        "a",
        &Made::when_guilty("unreachable"),
        OnFailure::Hold,
    )]);
    let mut quarantine = Quarantine::default();
    let mut evidence = [merged(1), merged(2)];
    evidence[0].session.native_state = GUILTY.into();
    for _ in 0..Quarantine::FAILURES_MAX {
        let answers = pass(&chain, &evidence, &mut quarantine);
        assert_eq!(short(&answers[0]), ["a trap"]);
    }
    let calls = chain.links()[0].policy.fuel_used().calls;
    let answers = pass(&chain, &evidence, &mut quarantine);
    assert_eq!(short(&answers[0]), ["a quarantined"]);
    assert_eq!(short(&answers[1]), ["a Hold"]);
    // One call for what the other wants, one for its verdict: nothing failed, so nothing was repeated.
    assert_eq!(chain.links()[0].policy.fuel_used().calls, calls + 2);
    let listed = quarantine.list();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].session, evidence[0].session.id);
    assert_eq!(listed[0].policy, Quarantine::key(&chain.links()[0].policy));
}

#[test]
fn each_policy_gets_its_own_memo() {
    let engine = engine();
    // Fails when the memo holds the mark.
    let reader = || Made {
        verdict: 0,
        ..Made::when_guilty("unreachable")
    };
    let chain = Chain::new(vec![
        link(&engine, "a", &reader(), OnFailure::Pass),
        link(&engine, "b", &reader(), OnFailure::Pass),
    ]);
    let evidence = merged(1);
    let answers = chain.decide(
        &context(),
        &[ChainQuestion {
            evidence: &evidence,
            memos: &[None, Some(GUILTY)],
            failures: &[],
        }],
        &mut Quarantine::default(),
    );
    assert_eq!(short(&answers[0]), ["a Pass", "b trap, passes"]);
    assert!(
        answers[0]
            .iter()
            .all(|said| !matches!(&said.answer, Ok(decision) if decision.verdict != Verdict::Pass))
    );
}
