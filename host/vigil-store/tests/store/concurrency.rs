//! Several at once: a daemon, a `run --once`, a `status`.

use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use vigil_core::Verdict;
use vigil_core::session::Revision;
use vigil_store::Store;

use crate::common::{T0, answers, at, evidence, folder, held, id, moved, open};

#[test]
fn all_that_start_at_once_find_one_schema() {
    for _ in 0..8 {
        let dir = folder();
        let start = Barrier::new(6);
        thread::scope(|scope| {
            for number in 0..6 {
                let (dir, start) = (dir.path(), &start);
                scope.spawn(move || {
                    start.wait();
                    let mut store = Store::open(dir, T0).unwrap();
                    store.raise(&number.to_string(), "here", at(0)).unwrap();
                });
            }
        });
        assert_eq!(open(dir.path()).open_alerts().unwrap().len(), 6);
    }
}

#[test]
fn no_session_is_leased_to_two() {
    let dir = folder();
    drop(open(dir.path()));
    let start = Barrier::new(4);
    let sessions: Vec<_> = (0..50).map(id).collect();
    // The stores are kept to the end: a holder that ends without giving back leaves its sessions to the others.
    let given: Vec<(Vec<bool>, Store)> = thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|number| {
                let (dir, start, sessions) = (dir.path(), &start, &sessions);
                scope.spawn(move || {
                    let mut store = open(dir);
                    start.wait();
                    let span = Duration::from_secs(60);
                    // One by one, so that the threads take turns.
                    let given = sessions
                        .iter()
                        .map(|one| {
                            let one = std::slice::from_ref(one);
                            store.lease(one, &format!("h{number}"), T0, span).unwrap()[0]
                        })
                        .collect();
                    (given, store)
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    for session in 0..sessions.len() {
        assert_eq!(
            given.iter().filter(|(of_one, _)| of_one[session]).count(),
            1
        );
    }
}

#[test]
fn writers_at_once_lose_nothing_and_name_no_transition_twice() {
    let dir = folder();
    drop(open(dir.path()));
    let answers = answers(Verdict::Hold);
    let after = Revision("r2".into());
    let names: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let (dir, answers, after) = (dir.path(), &answers, &after);
                scope.spawn(move || {
                    let mut store = open(dir);
                    let mut names = Vec::new();
                    for minute in 0..25 {
                        let evidence = evidence(7, at(minute));
                        store
                            .record(&[held(&evidence, answers, at(minute))])
                            .unwrap();
                        names.extend(
                            store
                                .prepare(&[moved(&evidence, after, at(minute))])
                                .unwrap(),
                        );
                    }
                    names
                })
            })
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    });
    let store = open(dir.path());
    assert_eq!(store.latest(&id(7)).unwrap().unwrap().count, 100);
    assert_eq!(store.journal(None, 9).unwrap().len(), 1);
    let different: std::collections::BTreeSet<_> = names.iter().collect();
    assert_eq!((names.len(), different.len()), (100, 100));
    assert_eq!(store.unsettled().unwrap().len(), 100);
}

#[test]
fn a_reader_sees_all_of_a_pass_or_nothing_of_it() {
    let dir = folder();
    let mut writer = open(dir.path());
    let answers = answers(Verdict::Hold);
    let evidence: Vec<_> = (0..50).map(|number| evidence(number, at(0))).collect();
    let stop = std::sync::atomic::AtomicBool::new(false);
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let store = open(dir.path());
            let mut looks = 0;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) || looks == 0 {
                let rows = store.journal(None, 1000).unwrap();
                assert!(rows.is_empty() || rows.len() == 50);
                assert!(rows.windows(2).all(|pair| pair[0].count == pair[1].count));
                looks += 1;
            }
        });
        for minute in 0..40 {
            let entries: Vec<_> = evidence
                .iter()
                .map(|one| held(one, &answers, at(minute)))
                .collect();
            writer.record(&entries).unwrap();
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        reader.join().unwrap();
    });
}
