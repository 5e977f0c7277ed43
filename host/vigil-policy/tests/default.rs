//! The default policy as it is shipped, and what must hold of it for any evidence.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::{context, engine, generate, merged, native, root};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};
use vigil_core::Evidence;
use vigil_core::named::REGISTRY;
use vigil_core::verdict::{Decision, Verdict};
use vigil_core::{Intent, State};
use vigil_policy::{Policy, Question, check_batch_agreement};
use vigil_policy_default::DefaultPolicy;
use vigil_sdk as sdk;
use vigil_sdk::Policy as _;

fn shipped() -> Vec<u8> {
    std::fs::read(root().join("policies/dist/default.wasm")).unwrap()
}

fn load(settings: &Value) -> Policy {
    engine().load("default", &shipped(), settings).unwrap()
}

fn tells_all() -> Policy {
    let bytes = std::fs::read(root().join("tests/guests/dist/tells-all.wasm")).unwrap();
    engine().load("tells-all", &bytes, &Value::Null).unwrap()
}

fn questions(evidence: &[Evidence]) -> Vec<Question<'_>> {
    evidence
        .iter()
        .enumerate()
        .map(|(nth, evidence)| Question {
            evidence,
            memo: (nth % 2 == 0).then_some("left earlier"),
        })
        .collect()
}

#[test]
fn the_shipped_policy_loads_and_says_what_its_source_says() {
    let policy = load(&Value::Null);
    let about = DefaultPolicy::ABOUT;
    assert_eq!(policy.description().name, about.name);
    let rules: Vec<_> = policy
        .description()
        .rules
        .iter()
        .map(|rule| (rule.code.as_str(), rule.sentence.as_str()))
        .collect();
    assert_eq!(rules, about.rules);
    assert_eq!(policy.description().settings_schema, about.settings_schema);
    assert!(policy.sources_digest().is_some());
    assert_eq!(policy.settings(), "{}");
}

#[test]
fn host_and_sdk_have_one_registry_of_facts() {
    let sdk: Vec<&str> = (sdk::FactName::REGISTERED.iter())
        .map(sdk::FactName::as_str)
        .collect();
    assert_eq!(sdk, vigil_policy::FACTS);
    let of_owners: Vec<&str> = (sdk::OwnerFact::REGISTERED.iter())
        .map(sdk::OwnerFact::as_str)
        .collect();
    assert_eq!(of_owners, REGISTRY.map(|entry| entry.name));
}

#[test]
fn the_contract_documents_every_named_fact_as_it_is_registered() {
    let mut resolve = wit_parser::Resolve::default();
    resolve.push_str("policy.wit", &common::contract()).unwrap();
    let fields = (resolve.types.iter()).find_map(|(_, found)| match &found.kind {
        wit_parser::TypeDefKind::Record(record) if found.name.as_deref() == Some("session") => {
            Some(&record.fields)
        }
        _ => None,
    });
    let facts = fields.unwrap().iter().find(|field| field.name == "facts");
    let docs = facts.unwrap().docs.contents.as_deref().unwrap();
    let said: Vec<String> = (docs.lines())
        .filter_map(|line| line.trim().strip_prefix("- "))
        .map(|line| line.trim_end_matches([';', '.']).to_owned())
        .collect();
    let registered = REGISTRY.map(|entry| {
        let kind = entry.kind.as_str();
        format!("`{}` ({kind}): {}", entry.name, entry.about)
    });
    assert_eq!(said, registered);
}

#[test]
fn the_contract_names_every_fact_that_may_be_wanted() {
    let mut resolve = wit_parser::Resolve::default();
    resolve.push_str("policy.wit", &common::contract()).unwrap();
    let wants = (resolve.interfaces.iter())
        .find_map(|(_, interface)| interface.functions.get("wants"))
        .unwrap();
    let named: Vec<&str> = (wants.docs.contents.as_deref().unwrap().lines())
        .filter_map(|line| line.trim().strip_prefix("- `")?.split('`').next())
        .collect();
    assert_eq!(named, vigil_policy::FACTS);
}

#[test]
fn a_merged_pull_request_of_a_silent_session_means_success() {
    let policy = load(&Value::Null);
    let evidence = merged(299);
    let wanted = policy.wants(&context(), &[&evidence.session]);
    assert_eq!(
        wanted,
        [Ok(vec!["issue".to_owned(), "pull-request".to_owned()])]
    );
    let judged = policy.decide(&context(), &questions(&[evidence]));
    let decision = judged[0].answer.as_ref().unwrap();
    assert_eq!(decision.verdict, Verdict::Transition(State::Succeeded));
    assert_eq!(decision.rule, "merged-pr");
    // Room to spare: a batch runs under the limits of one.
    let fuel = judged[0].fuel.unwrap();
    assert!(fuel * 1000 < vigil_policy::Limits::default().fuel, "{fuel}");
}

#[test]
fn what_the_bench_measures_is_evidence_as_it_stands() {
    let policy = load(&Value::Null);
    for (file, rule) in [
        ("full-evidence.json", "merged-pr"),
        ("every-fact.json", "open-pr"),
    ] {
        let text = std::fs::read_to_string(root().join("tests/fixtures").join(file)).unwrap();
        assert_eq!(text.contains("not-asked"), file == "full-evidence.json");
        let evidence: Evidence = serde_json::from_str(&text).unwrap();
        let judged = policy.decide(&context(), &questions(&[evidence]));
        assert_eq!(judged[0].answer.as_ref().unwrap().rule, rule, "{file}");
    }
}

#[test]
fn its_settings_are_checked_by_its_schema() {
    load(&json!({"closed_pr_of_open_issue": "closed"}));
    let refused = engine()
        .load(
            "default",
            &shipped(),
            &json!({"closed_pr_of_open_issue": "lost"}),
        )
        .unwrap_err()
        .to_string();
    assert!(refused.contains("at /closed_pr_of_open_issue"), "{refused}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    /// What a component is told is what was said: no field is lost, changed or mixed up on the way into it, whatever
    /// its answer, and neither are its neighbours'.
    #[test]
    fn a_component_is_told_every_field(evidence in vec(generate::evidence(), 1..4)) {
        static POLICY: std::sync::OnceLock<Policy> = std::sync::OnceLock::new();
        let policy = POLICY.get_or_init(tells_all);
        let context = context();
        let questions = questions(&evidence);
        let natively = native::context(&context, policy.settings());
        for (question, judged) in questions.iter().zip(policy.decide(&context, &questions)) {
            let evidence = native::evidence(question.evidence, question.memo);
            prop_assert_eq!(judged.answer.unwrap().reason, format!("{natively:?} {evidence:?}"));
        }
    }

    /// Alone, in a batch, a second time, and natively: four ways to one answer.
    #[test]
    fn one_evidence_has_one_answer(evidence in vec(generate::evidence(), 1..12)) {
        let policy = shared();
        let context = context();
        let questions = questions(&evidence);
        prop_assert_eq!(check_batch_agreement(policy, &context, &questions), vec![]);
        for question in &questions {
            let first = policy.decide(&context, &[*question]);
            prop_assert_eq!(&first, &policy.decide(&context, &[*question]));
            prop_assert!(first[0].fuel.is_some());
            let component = first[0].answer.clone().unwrap();
            let natively = DefaultPolicy::decide(
                &native::context(&context, policy.settings()),
                &native::evidence(question.evidence, question.memo),
            );
            prop_assert_eq!(component, core_decision(natively));
        }
    }

    #[test]
    fn wants_are_the_same_natively(evidence in vec(generate::evidence(), 1..6)) {
        let policy = shared();
        let sessions: Vec<_> = evidence.iter().map(|evidence| &evidence.session).collect();
        let wanted = policy.wants(&context(), &sessions);
        for (evidence, wanted) in evidence.iter().zip(wanted) {
            let mut natively: Vec<String> = DefaultPolicy::wants(
                &native::context(&context(), "{}"),
                &native::evidence(evidence, None).session,
            )
            .into_iter()
            .map(String::from)
            .collect();
            natively.sort();
            let mut wanted = wanted.unwrap();
            wanted.sort();
            prop_assert_eq!(wanted, natively);
        }
    }
}

fn shared() -> &'static Policy {
    static POLICY: std::sync::OnceLock<Policy> = std::sync::OnceLock::new();
    POLICY.get_or_init(|| load(&Value::Null))
}

fn core_decision(decision: sdk::Decision) -> Decision {
    let state = |state: sdk::State| {
        State::ALL
            .into_iter()
            .find(|known| format!("{known:?}") == format!("{state:?}").replace("State::", ""))
            .unwrap()
    };
    Decision {
        verdict: match decision.verdict {
            sdk::Verdict::Pass => Verdict::Pass,
            sdk::Verdict::Hold => Verdict::Hold,
            sdk::Verdict::Transition(to) => Verdict::Transition(state(to)),
            sdk::Verdict::Repair(drifts) => Verdict::Repair(drifts),
        },
        rule: decision.rule,
        reason: decision.reason,
        rests_on: decision.rests_on,
        intents: decision
            .intents
            .into_iter()
            .map(|intent| Intent {
                kind: intent.kind,
                key: intent.key,
                arguments: intent.arguments,
            })
            .collect(),
        look_again_after_ms: decision.look_again_after,
        despite_live_work: decision.despite_live_work,
        memo: decision.memo,
    }
}
