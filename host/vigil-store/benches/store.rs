//! What one pass over 10,000 sessions costs in the store, on a file in the temporary folder. Run it with
//! `cargo bench -p vigil-store`; the figures depend on the disk under `TMPDIR`.

#![expect(
    clippy::unwrap_used,
    reason = "a bench that fails has nothing to measure"
)]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use tempfile::TempDir;
use vigil_core::evidence::Evidence;
use vigil_core::session::Revision;
use vigil_core::verdict::PolicyAnswer;
use vigil_core::{SessionId, Timestamp, Verdict};
use vigil_store::{Entry, ForgeChange, Look, NewTransition, Settled, Store, evidence_digest};

#[path = "../tests/store/common.rs"]
mod common;

const SESSIONS: u32 = 10_000;

fn store() -> (TempDir, Store) {
    let dir = common::folder();
    let store = common::open(dir.path());
    (dir, store)
}

fn all(at: Timestamp) -> Vec<Evidence> {
    (0..SESSIONS)
        .map(|number| common::evidence(number, at))
        .collect()
}

fn entries<'a>(
    evidence: &'a [Evidence],
    answers: &'a [PolicyAnswer],
    at: Timestamp,
) -> Vec<Entry<'a>> {
    evidence
        .iter()
        .map(|one| common::held(one, answers, at))
        .collect()
}

fn journal(c: &mut Criterion) {
    let answers = common::answers(Verdict::Hold);
    let first = all(common::at(0));
    let next = all(common::at(1));
    let later = all(common::at(20));
    c.bench_function("evidence_digest, one", |b| {
        b.iter(|| evidence_digest(black_box(&first[0])))
    });
    c.bench_function("record, 10,000 new", |b| {
        let entries = entries(&first, &answers, common::at(0));
        b.iter_batched(
            store,
            |(dir, mut store)| {
                store.record(&entries).unwrap();
                (dir, store)
            },
            BatchSize::PerIteration,
        );
    });
    let recorded = || {
        let (dir, mut store) = store();
        store
            .record(&entries(&first, &answers, common::at(0)))
            .unwrap();
        (dir, store)
    };
    c.bench_function("record, 10,000 as before", |b| {
        let entries = entries(&next, &answers, common::at(1));
        let (_dir, mut store) = recorded();
        b.iter(|| store.record(&entries).unwrap());
    });
    c.bench_function("record, 10,000 as before, latest evidence replaced", |b| {
        let entries = entries(&later, &answers, common::at(20));
        b.iter_batched(
            recorded,
            |(dir, mut store)| {
                store.record(&entries).unwrap();
                (dir, store)
            },
            BatchSize::PerIteration,
        );
    });
    c.bench_function("latest, one of 10,000", |b| {
        let (_dir, store) = recorded();
        b.iter(|| store.latest(&common::id(77)).unwrap());
    });
}

fn transitions(c: &mut Criterion) {
    let after = Revision("r2".into());
    let evidence = all(common::at(0));
    for count in [1, 100, 10_000] {
        let new: Vec<NewTransition<'_>> = evidence
            .iter()
            .take(count)
            .map(|one| common::moved(one, &after, common::at(0)))
            .collect();
        c.bench_function(&format!("prepare and settle, {count}"), |b| {
            let (_dir, mut store) = store();
            b.iter(|| {
                let settled: Vec<_> = store
                    .prepare(&new)
                    .unwrap()
                    .into_iter()
                    .map(|id| (id, Settled::Written { exclusive: true }))
                    .collect();
                store.settle_all(&settled, common::at(0)).unwrap()
            });
        });
    }
}

fn memory(c: &mut Criterion) {
    let ids: Vec<SessionId> = (0..SESSIONS).map(common::id).collect();
    let looks: Vec<_> = ids
        .iter()
        .map(|id| Look {
            session: id.clone(),
            at: common::at(1),
            attempts: 0,
            why: "interval".into(),
        })
        .collect();
    c.bench_function("put_schedule, 10,000", |b| {
        let (_dir, mut store) = store();
        b.iter(|| store.put_schedule(&looks).unwrap());
    });
    c.bench_function("schedule, 10,000", |b| {
        let (_dir, mut store) = store();
        store.put_schedule(&looks).unwrap();
        b.iter(|| store.due("vigilante", common::T0).unwrap());
    });
    let alive: BTreeMap<_, _> = ids.iter().map(|id| (id.clone(), common::at(0))).collect();
    c.bench_function("put_seen_alive, 10,000", |b| {
        let (_dir, mut store) = store();
        b.iter(|| store.put_seen_alive("vigilante", &alive).unwrap());
    });
    c.bench_function("lease and release, 10,000", |b| {
        let (_dir, mut store) = store();
        b.iter(|| {
            store
                .lease(&ids, "bench", common::T0, Duration::from_secs(60))
                .unwrap();
            store.release("bench").unwrap()
        });
    });
}

/// What the forge's adapter remembers of a fleet: 200,000 things in 1,000 repositories, each as long as a pull request
/// without its lists.
fn forge(c: &mut Criterion) {
    let value = serde_json::to_string(&common::evidence(1, common::at(0)).pull_request).unwrap();
    let names: Vec<(String, String)> = (0..200_000)
        .map(|number| {
            (
                format!("acme/app-{:04}", number / 200),
                format!("pull/{number}"),
            )
        })
        .collect();
    let changes = |at| -> Vec<ForgeChange<'_>> {
        names
            .iter()
            .map(|(repo, name)| ForgeChange {
                repo,
                name,
                value: Some(&value),
                at,
            })
            .collect()
    };
    let first = changes(common::at(0));
    c.bench_function("put_forge_rows, 200,000 new", |b| {
        b.iter_batched(
            store,
            |(dir, mut store)| {
                store.put_forge_rows("github.com", &first).unwrap();
                (dir, store)
            },
            BatchSize::PerIteration,
        );
    });
    let (_dir, mut store) = store();
    store.put_forge_rows("github.com", &first).unwrap();
    c.bench_function("forge_rows, 200,000", |b| {
        b.iter(|| store.forge_rows("github.com", None).unwrap());
    });
    c.bench_function("forge_rows, one of 1,000 repositories", |b| {
        b.iter(|| {
            store
                .forge_rows("github.com", Some(&["acme/app-0777"]))
                .unwrap()
        });
    });
    let mut minute = 1;
    c.bench_function("put_forge_rows, 1,000 of 200,000", |b| {
        b.iter(|| {
            minute += 1;
            let some: Vec<_> = changes(common::at(minute))
                .into_iter()
                .step_by(200)
                .collect();
            store.put_forge_rows("github.com", &some).unwrap();
        });
    });
}

fn opening(c: &mut Criterion) {
    c.bench_function("open, new", |b| {
        b.iter_batched(
            common::folder,
            |dir| {
                let store = common::open(dir.path());
                (dir, store)
            },
            BatchSize::PerIteration,
        );
    });
    c.bench_function("open, there already", |b| {
        let (dir, store) = store();
        drop(store);
        b.iter(|| common::open(dir.path()));
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10).measurement_time(Duration::from_secs(3));
    targets = opening, journal, transitions, memory, forge
}
criterion_main!(benches);
