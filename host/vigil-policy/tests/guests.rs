//! The misbehaving policies of `tests/guests`, one test for each: built by the toolchain that policies are built with.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::time::Duration;

use common::{context, engine, engine_with, merged, root};
use serde_json::Value;
use vigil_core::Evidence;
use vigil_policy::{Disagreement, Engine, LoadFault, Question, check_batch_agreement};

fn guest(name: &str) -> Vec<u8> {
    let path = root().join(format!("tests/guests/dist/{name}.wasm"));
    std::fs::read(&path).unwrap_or_else(|cause| panic!("{}: {cause}", path.display()))
}

fn evidence(ids: &[&str]) -> Vec<Evidence> {
    ids.iter()
        .map(|id| {
            let mut evidence = merged(1);
            evidence.session.id.id = (*id).to_owned();
            evidence
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

/// Kind and detail of each answer of a guest, `ok` and the reason where it gave one.
fn ask(engine: &Engine, name: &str, ids: &[&str]) -> Vec<(String, String)> {
    let policy = engine
        .load_untried(name, &guest(name), &Value::Null)
        .unwrap();
    policy
        .decide(&context(), &questions(&evidence(ids)))
        .into_iter()
        .map(|judged| match judged.answer {
            Ok(decision) => ("ok".to_owned(), decision.reason),
            Err(failed) => (failed.kind, failed.detail),
        })
        .collect()
}

/// A guest that fails about every session fails with `kind`, and isn't loaded for use.
fn fails(name: &str, kind: &str, said: &str) {
    let engine = engine();
    let answers = ask(&engine, name, &["a", "b"]);
    assert_eq!(answers.len(), 2);
    for (found, detail) in answers {
        assert_eq!(found, kind, "{detail}");
        assert!(detail.contains(said), "{detail:?} does not say {said:?}");
    }
    let refused = engine.load(name, &guest(name), &Value::Null).unwrap_err();
    assert!(
        matches!(&refused.fault, LoadFault::TrialFailed(failed) if failed.kind == kind),
        "{refused}"
    );
}

/// A guest that isn't loaded at all.
fn refused(name: &str, said: &[&str]) {
    let refused = engine()
        .load_untried(name, &guest(name), &Value::Null)
        .unwrap_err()
        .to_string();
    for said in said.iter().chain(&[name]) {
        assert!(refused.contains(said), "{refused:?} does not say {said:?}");
    }
}

#[test]
fn loops_forever() {
    fails("loops-forever", "out-of-fuel", "100000000");
}

#[test]
fn loops_forever_under_huge_fuel_meets_the_deadline() {
    let engine = engine_with(|limits| {
        limits.fuel = u64::MAX;
        limits.deadline = Duration::from_millis(100);
    });
    let answers = ask(&engine, "loops-forever", &["a"]);
    assert_eq!(answers[0].0, "deadline", "{answers:?}");
}

#[test]
fn eats_memory() {
    fails("eats-memory", "out-of-memory", "67108864 bytes");
}

#[test]
fn deep_recursion() {
    let answers = ask(&engine(), "deep-recursion", &["a"]);
    // The guest's own stack is in its memory and may end before the host's limit does.
    assert!(
        ["stack-overflow", "trap"].contains(&answers[0].0.as_str()),
        "{answers:?}"
    );
}

#[test]
fn traps_in_decide() {
    fails("traps-in-decide", "trap", "unreachable");
}

#[test]
fn traps_in_wants() {
    let engine = engine();
    let policy = engine
        .load_untried("traps-in-wants", &guest("traps-in-wants"), &Value::Null)
        .unwrap();
    let evidence = merged(1);
    let wanted = policy.wants(&context(), &[&evidence.session]);
    assert_eq!(wanted[0].as_ref().unwrap_err().kind, "trap");
}

#[test]
fn traps_in_describe() {
    refused("traps-in-describe", &["failed in describe (trap)"]);
}

#[test]
fn endless_schema() {
    refused(
        "endless-schema",
        &["settings-schema", "nests deeper than 64"],
    );
}

#[test]
fn traps_on_bad() {
    let answers = ask(&engine(), "traps-on-bad", &["good", "bad", "better"]);
    let kinds: Vec<_> = answers.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(kinds, ["ok", "trap", "ok"]);
}

#[test]
fn returns_err() {
    let answers = ask(&engine(), "returns-err", &["a"]);
    assert_eq!(answers[0].0, "error", "{answers:?}");
}

#[test]
fn unknown_rule() {
    fails("unknown-rule", "nonsense", "which describe does not");
}

#[test]
fn unknown_intent() {
    fails("unknown-intent", "nonsense", "an intent of the kind");
}

#[test]
fn unknown_drift() {
    fails("unknown-drift", "nonsense", "asks to repair");
}

#[test]
fn unknown_want() {
    let refused = engine()
        .load("unknown-want", &guest("unknown-want"), &Value::Null)
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains("nonsense") && refused.contains("wants the fact"),
        "{refused}"
    );
}

#[test]
fn empty_reason() {
    fails("empty-reason", "nonsense", "gives no reason");
}

#[test]
fn long_reason() {
    fails("long-reason", "nonsense", "");
}

#[test]
fn long_memo() {
    fails("long-memo", "nonsense", "memo of");
}

#[test]
fn wrong_length_decide() {
    fails("wrong-length-decide", "nonsense", "answers to 1");
}

#[test]
fn wrong_length_wants() {
    let refused = engine()
        .load(
            "wrong-length-wants",
            &guest("wrong-length-wants"),
            &Value::Null,
        )
        .unwrap_err()
        .to_string();
    assert!(refused.contains("answers to 1"), "{refused}");
}

#[test]
fn batch_differs() {
    let engine = engine();
    let policy = engine
        .load("batch-differs", &guest("batch-differs"), &Value::Null)
        .unwrap();
    let evidence = evidence(&["a", "b"]);
    let found = check_batch_agreement(&policy, &context(), &questions(&evidence));
    assert!(
        matches!(
            found[..],
            [
                Disagreement::Answer { at: 0, .. },
                Disagreement::Answer { at: 1, .. }
            ]
        ),
        "{found:?}"
    );
}

#[test]
fn core_module() {
    refused("core-module", &["a core module, not a component"]);
}

#[test]
fn describes_nothing() {
    refused("describes-nothing", &["description is not usable"]);
}

#[test]
fn drifted_types() {
    refused(
        "drifted-types",
        &["its types are not those of", "rebuild it"],
    );
}

#[test]
fn foreign_import() {
    refused("foreign-import", &["imports vigil:guests/clock"]);
}

#[test]
fn newer_package() {
    refused(
        "newer-package",
        &["exports vigil:policy/decider@0.2.0", "rebuild it"],
    );
}

#[test]
fn other_package() {
    refused(
        "other-package",
        &["exports acme:rules/decider@0.1.0", "something else"],
    );
}

#[test]
fn every_guest_has_a_test() {
    let tests = include_str!("guests.rs");
    for entry in std::fs::read_dir(root().join("tests/guests/dist")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        // These behave.
        if path.extension().is_some_and(|end| end == "wasm")
            && !["custom", "naive", "tells-all", "wants-checks"].contains(&&*name)
        {
            let test = format!("fn {}()", name.replace('-', "_"));
            assert!(tests.contains(&test), "{name} has no test");
        }
    }
}
