//! What a decision costs: the default policy under run's limits, on one evidence of full size with all that this policy
//! wants (`tests/fixtures/full-evidence.json`), fresh and in a batch of 100; beside it the same rules called natively,
//! the same rules in the guest that one would build at first (`tests/guests/dist/naive.wasm`), and the same policy told
//! everything that a chain can ask for (`tests/fixtures/every-fact.json`).
//!
//! Criterion measures each by itself. The ratios at the end are taken in turns within one run, so that they hold on a
//! machine that is busy with other things too.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a bench measures time, prints, and may panic"
)]

#[path = "../tests/common/native.rs"]
mod native;

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::Instant;

use criterion::Criterion;
use serde_json::Value;
use vigil_core::evidence::{Context, SourceFacts};
use vigil_core::{Evidence, Timestamp};
use vigil_policy::{BATCH_SESSIONS_MAX, Engine, EngineConfig, Policy, Question};
use vigil_policy_default::DefaultPolicy;
use vigil_sdk::Policy as _;

fn main() {
    let engine = Engine::new(EngineConfig::default()).unwrap();
    let load = |name: &str, path: &str| {
        let bytes = std::fs::read(root().join(path)).ok()?;
        Some(engine.load(name, &bytes, &Value::Null).unwrap())
    };
    let default = load("default", "policies/dist/default.wasm").unwrap();
    let naive = load("naive", "tests/guests/dist/naive.wasm");
    if naive.is_none() {
        println!("tests/guests/dist/naive.wasm is not there: nothing to compare with");
    }
    let case = Case::read("full-evidence.json", "merged-pr");
    let every_fact = Case::read("every-fact.json", "open-pr");
    let mut criterion = Criterion::default().configure_from_args();
    for policy in [Some(&default), naive.as_ref()].into_iter().flatten() {
        let name = policy.name();
        criterion.bench_function(&format!("{name}/fresh"), |bench| {
            bench.iter(|| case.judge(policy, 1));
        });
        criterion.bench_function(&format!("{name}/batch of 100"), |bench| {
            bench.iter(|| case.judge(policy, BATCH_SESSIONS_MAX));
        });
    }
    criterion.bench_function("default/fresh, every fact", |bench| {
        bench.iter(|| every_fact.judge(&default, 1));
    });
    criterion.bench_function("native call", |bench| bench.iter(|| case.natively()));
    criterion.final_summary();
    ratios(&case, &every_fact, &default, naive.as_ref());
}

/// The evidence, in the kernel's terms and in the SDK's, and the rule that it leads to.
struct Case {
    rule: &'static str,
    context: Context,
    evidence: Evidence,
    native_context: vigil_sdk::Context,
    native_evidence: vigil_sdk::Evidence,
}

impl Case {
    fn read(file: &str, rule: &'static str) -> Self {
        let text = std::fs::read(root().join("tests/fixtures").join(file)).unwrap();
        let evidence: Evidence = serde_json::from_slice(&text).unwrap();
        let now = Timestamp(1_790_000_000_000);
        let context = Context {
            now,
            booted_at: Some(Timestamp(now.0 - 86_400_000)),
            awake_since: None,
            source: SourceFacts {
                name: "vigilante".into(),
                kind: "vigilante".into(),
                forge_host: "github.com".into(),
                fresh_for_ms: 1_800_000,
                final_labels: vec!["vigilante:done".into()],
                closed_pr_is_final: false,
                landing_branches: Vec::new(),
            },
        };
        Case {
            rule,
            native_context: native::context(&context, "{}"),
            native_evidence: native::evidence(&evidence, None),
            context,
            evidence,
        }
    }

    fn judge(&self, policy: &Policy, sessions: usize) {
        let question = Question {
            evidence: black_box(&self.evidence),
            memo: None,
        };
        let judged = policy.decide(&self.context, &vec![question; sessions]);
        assert_eq!(judged.len(), sessions);
        let rule = judged[0]
            .answer
            .as_ref()
            .map(|decision| decision.rule.as_str());
        assert_eq!(rule.ok(), Some(self.rule));
        black_box(judged);
    }

    fn natively(&self) {
        black_box(DefaultPolicy::decide(
            black_box(&self.native_context),
            black_box(&self.native_evidence),
        ));
    }
}

/// Prints each cost and what it is beside the others, medians of rounds taken in turns.
fn ratios(case: &Case, every_fact: &Case, default: &Policy, naive: Option<&Policy>) {
    const ROUNDS: usize = 301;
    type Measured<'a> = (&'static str, usize, Box<dyn Fn() + 'a>);
    let mut measured: Vec<Measured<'_>> = vec![
        (
            "native call",
            1000,
            Box::new(|| (0..1000).for_each(|_| case.natively())),
        ),
        (
            "default, fresh",
            20,
            Box::new(|| (0..20).for_each(|_| case.judge(default, 1))),
        ),
        (
            "default, batch of 100",
            100,
            Box::new(|| case.judge(default, 100)),
        ),
        (
            "every fact, fresh",
            20,
            Box::new(|| (0..20).for_each(|_| every_fact.judge(default, 1))),
        ),
        (
            "every fact, batch of 100",
            100,
            Box::new(|| every_fact.judge(default, 100)),
        ),
    ];
    if let Some(naive) = naive {
        measured.push((
            "naive, fresh",
            20,
            Box::new(|| (0..20).for_each(|_| case.judge(naive, 1))),
        ));
        measured.push((
            "naive, batch of 100",
            100,
            Box::new(|| case.judge(naive, 100)),
        ));
    }
    let mut costs = vec![Vec::with_capacity(ROUNDS); measured.len()];
    for _ in 0..ROUNDS {
        for ((_, times, run), costs) in measured.iter().zip(&mut costs) {
            let begun = Instant::now();
            run();
            costs.push(begun.elapsed().as_nanos() as f64 / *times as f64);
        }
    }
    let medians: Vec<f64> = costs
        .iter_mut()
        .map(|costs| {
            costs.sort_by(f64::total_cmp);
            costs[ROUNDS / 2]
        })
        .collect();
    println!("\nper decision, medians of {ROUNDS} rounds taken in turns:");
    for ((name, ..), cost) in measured.iter().zip(&medians) {
        println!(
            "  {name:<24} {cost:>9.0} ns   {:>6.1} x native",
            cost / medians[0]
        );
    }
    if let [_, fresh, batch, _, _, naive_fresh, naive_batch] = medians[..] {
        println!(
            "  default to naive: fresh {:.2}, batch {:.2}",
            fresh / naive_fresh,
            batch / naive_batch
        );
    }
    for (name, case) in [("one decision", case), ("every fact", every_fact)] {
        let question = Question {
            evidence: &case.evidence,
            memo: None,
        };
        let used = default.decide(&case.context, &[question])[0].fuel;
        println!("  fuel of {name}: {}", used.unwrap_or_default());
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
