//! What passes over 100,000 sessions cost in the store: time of each step, once. Run it with
//! `cargo bench -p vigil-store --bench scale`; a number after `--` is the count of sessions.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    dead_code,
    reason = "a bench measures real time, prints it, and has nothing to measure when it fails"
)]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use vigil_core::{Evidence, SessionId, Timestamp, Verdict};
use vigil_store::{Entry, Look, Memo, Store};

#[path = "../tests/store/common.rs"]
mod common;

const SESSIONS: u32 = 100_000;

fn main() {
    let count = std::env::args()
        .find_map(|argument| argument.parse().ok())
        .unwrap_or(SESSIONS);
    let dir = common::folder();
    let mut store = common::open(dir.path());
    let ids: Vec<SessionId> = (0..count).map(common::id).collect();
    println!("{count} sessions");
    for (pass, minute) in [
        ("first", 0),
        ("second", 1),
        ("third", 2),
        ("after 20 min", 22),
    ] {
        println!("-- {pass} pass");
        one_pass(&mut store, &ids, minute);
    }
    println!("-- a hundredth of them");
    one_pass(&mut store, &ids[..ids.len() / 100], 23);
    let bytes = store.bytes().unwrap();
    println!("{} MB in the database", bytes / 1_000_000);
    step("prune", || {
        store.prune(common::at(24), &Default::default()).unwrap()
    });
}

fn one_pass(store: &mut Store, ids: &[SessionId], minute: u64) {
    let now = common::at(minute);
    let answers = common::answers(Verdict::Hold);
    let evidence: Vec<Evidence> = (0..)
        .zip(ids)
        .map(|(n, _)| common::evidence(n, now))
        .collect();
    let leased = step("lease", || {
        store
            .lease(ids, "bench", now, Duration::from_secs(60))
            .unwrap()
    });
    assert!(leased.iter().all(|ours| *ours));
    step("memos", || store.memos("vigilante", "default").unwrap());
    step("memory", || {
        store.memory("vigilante", &evidence, now).unwrap()
    });
    let entries: Vec<Entry<'_>> = evidence
        .iter()
        .map(|one| common::held(one, &answers, now))
        .collect();
    step("record", || store.record(&entries).unwrap());
    let alive: BTreeMap<SessionId, Timestamp> =
        ids.iter().step_by(10).map(|id| (id.clone(), now)).collect();
    step("put_seen_alive", || {
        store.put_seen_alive("vigilante", &alive).unwrap();
    });
    step("put_lost", || {
        store.put_lost("vigilante", &BTreeMap::new()).unwrap();
    });
    let memos: Vec<Memo<'_>> = ids
        .iter()
        .enumerate()
        .map(|(n, session)| Memo {
            session,
            policy: "default",
            text: (n % 10 == 0).then_some("{\"since\":1}"),
        })
        .collect();
    step("put_memos", || store.put_memos(&memos, now).unwrap());
    step("schedule", || store.due("vigilante", now).unwrap());
    let looks: Vec<Look> = ids
        .iter()
        .map(|id| Look {
            session: id.clone(),
            at: now.after(Duration::from_secs(60)),
            attempts: 0,
            why: "open-pr".into(),
        })
        .collect();
    step("put_schedule", || store.put_schedule(&looks).unwrap());
    step("release", || store.release("bench").unwrap());
}

fn step<T>(name: &str, work: impl FnOnce() -> T) -> T {
    let (begun, worked) = (Instant::now(), processor());
    let done = work();
    println!(
        "{name:<16} {:>7.0} ms, {:>7.0} ms of processor",
        begun.elapsed().as_secs_f64() * 1000.0,
        (processor() - worked) * 1000.0,
    );
    done
}

/// Seconds that all threads of this process have worked.
fn processor() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
