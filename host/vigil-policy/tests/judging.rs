//! What a policy may do to its host, and what it gets for it.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test may panic, measure time and read its own environment"
)]

mod common;

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use common::{GUILTY, Made, context, engine, engine_with, merged};
use serde_json::Value;
use vigil_core::Evidence;
use vigil_core::verdict::Verdict;
use vigil_policy::{
    Disagreement, Engine, EngineConfig, Limits, Policy, Question, check_batch_agreement,
};

fn load(engine: &Engine, made: &Made) -> Policy {
    engine
        .load_untried("made", &made.build(), &Value::Null)
        .unwrap()
}

fn ask(policy: &Policy, evidence: &[Evidence]) -> Vec<(String, String)> {
    policy
        .decide(&context(), &questions(evidence))
        .into_iter()
        .map(|judged| match judged.answer {
            Ok(decision) => ("ok".to_owned(), decision.reason),
            Err(failed) => {
                assert!(!failed.passes);
                (failed.kind, failed.detail)
            }
        })
        .collect()
}

fn questions(evidence: &[Evidence]) -> Vec<Question<'_>> {
    evidence
        .iter()
        .map(|evidence| Question {
            evidence,
            memo: None,
        })
        .collect()
}

fn sessions(count: u64) -> Vec<Evidence> {
    (1..=count).map(merged).collect()
}

/// Checks how a policy that does `made` fails about one session.
fn check(engine: &Engine, made: &Made, kind: &str, said: &str) {
    let answers = ask(&load(engine, made), &sessions(1));
    let (found, detail) = &answers[0];
    assert_eq!(found, kind, "{detail}");
    assert!(detail.contains(said), "{detail:?} does not say {said:?}");
}

#[test]
fn a_policy_answers_each_session_in_order() {
    let policy = load(&engine(), &Made::default());
    let judged = policy.decide(&context(), &questions(&sessions(3)));
    assert_eq!(judged.len(), 3);
    for judgement in judged {
        let decision = judgement.answer.unwrap();
        assert_eq!(decision.verdict, Verdict::Hold);
        assert_eq!(decision.rule, "made");
        assert_eq!(decision.reason, "because");
        assert_eq!(decision.memo, None);
    }
    let evidence = merged(1);
    assert_eq!(
        policy.wants(&context(), &[&evidence.session]),
        [Ok(vec!["issue".to_owned()])]
    );
    assert!(policy.decide(&context(), &[]).is_empty());
}

#[test]
fn an_endless_loop_runs_out_of_fuel() {
    let made = Made::deciding("(loop $on (br $on))");
    check(&engine(), &made, "out-of-fuel", "100000000 units");
}

#[test]
fn an_endless_loop_with_fuel_for_ever_meets_the_deadline() {
    let engine = engine_with(|limits| {
        limits.fuel = u64::MAX;
        limits.deadline = Duration::from_millis(50);
    });
    let begun = Instant::now();
    let made = Made::deciding("(loop $on (br $on))");
    check(&engine, &made, "deadline", "after 50 ms");
    // No upper bound: how long the machine takes to schedule us is not the engine's doing.
    assert!(begun.elapsed() >= Duration::from_millis(50));
}

#[test]
fn an_endless_loop_while_it_is_instantiated_is_stopped_too() {
    let made = Made {
        fields: "(func $start (loop $on (br $on))) (start $start)".into(),
        ..Made::default()
    };
    let refused = engine()
        .load("made", &made.build(), &Value::Null)
        .unwrap_err();
    assert!(refused.to_string().contains("out-of-fuel"), "{refused}");
}

#[test]
fn a_trap_is_told_with_its_place() {
    let made = Made {
        fields: "(func $deep_inside unreachable)".into(),
        ..Made::deciding("(call $deep_inside)")
    };
    check(&engine(), &made, "trap", "deep_inside");
    check(
        &engine(),
        &Made::deciding("unreachable"),
        "trap",
        "unreachable",
    );
    let outside = Made::deciding("(drop (i32.load (i32.const -8)))");
    check(&engine(), &outside, "trap", "out of bounds");
}

#[test]
fn memory_is_bounded_and_the_policy_cannot_live_on_with_less() {
    let made = Made::deciding("(loop $on (drop (memory.grow (i32.const 1))) (br $on))");
    check(&engine(), &made, "out-of-memory", "67108864 bytes");
    // What a guest does with a refusal must not become an answer.
    let coping = Made::deciding("(drop (memory.grow (i32.const 1025)))");
    check(&engine(), &coping, "out-of-memory", "67108864 bytes");
    let within = Made::deciding("(drop (memory.grow (i32.const 1000)))");
    check(&engine(), &within, "ok", "because");
}

#[test]
fn a_deep_recursion_overflows_its_own_stack_only() {
    let made = Made {
        fields: "(func $down (param i32) (result i32)
                   (i32.add (call $down (i32.add (local.get 0) (i32.const 1))) (i32.const 1)))"
            .into(),
        ..Made::deciding("(drop (call $down (i32.const 0)))")
    };
    check(&engine(), &made, "stack-overflow", "524288 bytes of stack");
}

#[test]
fn what_cannot_be_read_is_nonsense() {
    let invalid = Made {
        reason: vec![0xff, 0xfe],
        ..Made::default()
    };
    check(&engine(), &invalid, "nonsense", "utf-8");
    let outside = Made {
        reason_len: Some(u32::MAX),
        ..Made::default()
    };
    check(&engine(), &outside, "nonsense", "cannot be read");
    let verdict = Made {
        verdict: 9,
        ..Made::default()
    };
    check(&engine(), &verdict, "nonsense", "cannot be read");
}

#[test]
fn what_makes_no_sense_is_nonsense() {
    let rule = Made {
        rule: "unheard-of".into(),
        ..Made::default()
    };
    check(&engine(), &rule, "nonsense", "unheard-of");
    let memo = Made {
        memo: Some("m".repeat(4097)),
        ..Made::default()
    };
    check(&engine(), &memo, "nonsense", "4097");
    let none = Made::deciding("(local.set $answers (i32.const 0))");
    check(&engine(), &none, "nonsense", "0 answers to 1");
    let two = Made::deciding("(local.set $answers (i32.const 2))");
    check(&engine(), &two, "nonsense", "2 answers to 1");
}

#[test]
fn an_answer_that_names_one_long_text_again_and_again_is_not_copied() {
    // Ten thousand decisions with a reason of 30 MiB each, all the same bytes: 300 GB, would the host lift it.
    let made = Made {
        reason_len: Some(30 << 20),
        pages: 600,
        ..Made::deciding("(local.set $answers (i32.const 10000))")
    };
    check(&engine(), &made, "nonsense", "cannot be read");
}

#[test]
fn a_policy_may_say_itself_that_it_failed() {
    let made = Made {
        error: Some("no idea".into()),
        ..Made::default()
    };
    check(&engine(), &made, "error", "no idea");
    // Such a policy is loaded: it may have its reasons not to judge the trial evidence.
    engine().load("made", &made.build(), &Value::Null).unwrap();
}

#[test]
fn only_the_guilty_session_of_a_batch_is_held() {
    let engine = engine();
    for (code, kind) in [
        ("unreachable", "trap"),
        ("(loop $on (br $on))", "out-of-fuel"),
        ("(drop (memory.grow (i32.const 2000)))", "out-of-memory"),
        ("(local.set $answers (i32.const 0))", "nonsense"),
    ] {
        let policy = load(&engine, &Made::when_guilty(code));
        let mut evidence = sessions(5);
        evidence[3].session.native_state = GUILTY.into();
        let kinds: Vec<_> = ask(&policy, &evidence)
            .into_iter()
            .map(|(kind, _)| kind)
            .collect();
        assert_eq!(kinds, ["ok", "ok", "ok", kind, "ok"]);
    }
}

#[test]
fn only_the_guilty_session_gets_no_facts() {
    let guilty = Made::when_guilty("unreachable");
    let policy = load(
        &engine(),
        &Made {
            wants: guilty.decide,
            ..Made::default()
        },
    );
    let mut evidence = sessions(3);
    evidence[1].session.native_state = GUILTY.into();
    let asked: Vec<_> = evidence.iter().map(|evidence| &evidence.session).collect();
    let wanted = policy.wants(&context(), &asked);
    assert_eq!(wanted[0], Ok(vec!["issue".to_owned()]));
    assert_eq!(wanted[1].as_ref().unwrap_err().kind, "trap");
    assert_eq!(wanted[2], Ok(vec!["issue".to_owned()]));
}

#[test]
fn a_policy_that_wants_what_there_is_not_is_refused_at_its_trial() {
    let made = Made {
        wanted: "weather".into(),
        ..Made::default()
    };
    let refused = engine()
        .load("made", &made.build(), &Value::Null)
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains("trial") && refused.contains("weather"),
        "{refused}"
    );
}

#[test]
fn nothing_is_remembered_between_batches() {
    // Counts its calls, and stops at the second.
    let made = Made {
        fields: "(global $calls (mut i32) (i32.const 0))".into(),
        ..Made::deciding(
            "(if (global.get $calls) (then unreachable))
             (global.set $calls (i32.const 1))
             (i32.store (i32.const 0) (i32.const 7))",
        )
    };
    let policy = load(&engine(), &made);
    for _ in 0..3 {
        assert_eq!(ask(&policy, &sessions(2))[1].0, "ok");
    }
}

#[test]
fn memory_is_clean_in_every_instance() {
    // The pool uses memory again: whoever finds another's bytes stops.
    let made = Made {
        pages: 20,
        ..Made::deciding(
            "(if (i32.load (i32.const 1310000)) (then unreachable))
             (i32.store (i32.const 1310000) (i32.const 1))
             (if (i32.load (i32.const 8)) (then unreachable))
             (i32.store (i32.const 8) (i32.const 1))",
        )
    };
    let policy = load(&engine(), &made);
    for _ in 0..40 {
        assert_eq!(ask(&policy, &sessions(1))[0].0, "ok");
    }
}

#[test]
fn the_same_question_takes_the_same_fuel() {
    let policy = load(&engine(), &Made::default());
    let other = load(
        &engine_with(|limits| limits.fuel = 1 << 20),
        &Made::default(),
    );
    let fuel = |policy: &Policy| policy.decide(&context(), &questions(&sessions(1)))[0].fuel;
    let first = fuel(&policy);
    assert!(first.is_some_and(|fuel| fuel > 0));
    assert_eq!(fuel(&policy), first);
    assert_eq!(fuel(&other), first);
    assert_eq!(policy.fuel_used().calls, 2);
    assert_eq!(policy.fuel_used().total, 2 * policy.fuel_used().most);
    let batch = policy.decide(&context(), &questions(&sessions(2)));
    assert!(batch.iter().all(|judgement| judgement.fuel.is_none()));
}

#[test]
fn a_policy_that_judges_by_the_company_is_found_out() {
    let evidence = sessions(3);
    let honest = load(&engine(), &Made::default());
    assert_eq!(
        check_batch_agreement(&honest, &context(), &questions(&evidence)),
        []
    );
    let made =
        Made::deciding("(if (i32.gt_u (local.get $count) (i32.const 1)) (then unreachable))");
    let loner = load(&engine(), &made);
    let found = check_batch_agreement(&loner, &context(), &questions(&evidence));
    assert!(
        matches!(&found[..], [Disagreement::Batch { at: 0, sessions: 3, failure }] if failure.kind == "trap"),
        "{found:?}"
    );
    let fickle = load(&engine(), &fickle());
    let found = check_batch_agreement(&fickle, &context(), &questions(&evidence));
    assert_eq!(found.len(), 3, "{found:?}");
}

/// Gives a shorter reason in company.
fn fickle() -> Made {
    // The reason is put behind the rule, so its first letter is the first `b` after it.
    Made::deciding(
        "(if (i32.gt_u (local.get $count) (i32.const 1)) (then
           (local.set $at (i32.const 1024))
           (block $found (loop $next
             (br_if $found (i32.eq (i32.load8_u (local.get $at)) (i32.const 98)))
             (local.set $at (i32.add (local.get $at) (i32.const 1)))
             (br $next)))
           (i32.store8 (local.get $at) (i32.const 66))))",
    )
}

#[test]
fn many_threads_may_judge_at_once() {
    let policy = Arc::new(load(&engine(), &Made::default()));
    let threads: Vec<_> = (0..40)
        .map(|_| {
            let policy = Arc::clone(&policy);
            thread::spawn(move || {
                ask(&policy, &sessions(20))
                    .iter()
                    .all(|(kind, _)| kind == "ok")
            })
        })
        .collect();
    assert!(threads.into_iter().all(|thread| thread.join().unwrap()));
}

#[test]
fn without_the_pool_the_answers_and_the_fuel_are_the_same() {
    let pooled = load(&engine(), &Made::default());
    let plain = Engine::new(EngineConfig {
        pooling: false,
        ..EngineConfig::default()
    })
    .unwrap();
    assert!(!plain.is_pooling());
    assert!(
        pooled.decide(&context(), &questions(&sessions(1))) == {
            let plain = load(&plain, &Made::default());
            plain.decide(&context(), &questions(&sessions(1)))
        }
    );
    check(
        &plain,
        &Made::deciding("(loop $on (drop (memory.grow (i32.const 1))) (br $on))"),
        "out-of-memory",
        "67108864 bytes",
    );
}

#[test]
fn limits_without_sense_give_no_engine() {
    let refused = Engine::new(EngineConfig {
        limits: Limits {
            fuel: 0,
            ..Limits::default()
        },
        ..EngineConfig::default()
    })
    .unwrap_err();
    assert!(refused.to_string().contains("fuel is zero"), "{refused}");
}
