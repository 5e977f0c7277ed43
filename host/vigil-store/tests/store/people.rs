//! What reaches people and what they say: pauses, alerts, notifications, budgets.

use proptest::prelude::*;
use std::collections::BTreeMap;
use vigil_store::{DoneIntent, RETRY_AHEAD_MAX, Store};

use crate::common::{T0, at, folder, id, open};

fn store() -> Store {
    Store::in_memory(T0).unwrap()
}

#[test]
fn a_pause_holds_for_its_source_until_it_is_over() {
    let mut store = store();
    store.pause(Some("a"), at(0), Some(at(10))).unwrap();
    assert_eq!(store.paused("a", at(9)).unwrap().unwrap().since, at(0));
    assert_eq!(store.paused("b", at(9)).unwrap(), None);
    assert_eq!(store.paused("a", at(10)).unwrap(), None);
    assert_eq!(store.pauses(at(10)).unwrap(), []);
}

#[test]
fn a_pause_of_everything_holds_for_sources_that_nobody_named() {
    let dir = folder();
    let mut store = open(dir.path());
    store.pause(None, at(0), None).unwrap();
    drop(store);
    let store = open(dir.path());
    let pause = store.paused("whatever", at(99_999)).unwrap().unwrap();
    assert_eq!((pause.source, pause.until), (None, None));
}

#[test]
fn pausing_again_moves_the_end_and_keeps_the_start() {
    let mut store = store();
    store.pause(Some("a"), at(0), Some(at(10))).unwrap();
    store.pause(Some("a"), at(5), None).unwrap();
    let pause = store.paused("a", at(500)).unwrap().unwrap();
    assert_eq!((pause.since, pause.until), (at(0), None));
    // After one that was over a new one begins.
    store.pause(Some("b"), at(0), Some(at(1))).unwrap();
    store.pause(Some("b"), at(5), None).unwrap();
    assert_eq!(store.paused("b", at(6)).unwrap().unwrap().since, at(5));
}

#[test]
fn resuming_one_source_leaves_the_pause_of_all() {
    let mut store = store();
    for source in [None, Some("a"), Some("b")] {
        store.pause(source, at(0), None).unwrap();
    }
    let names = |pauses: Vec<vigil_store::Pause>| {
        let mut names: Vec<_> = pauses
            .into_iter()
            .map(|pause| pause.source.unwrap_or_else(|| "*".into()))
            .collect();
        names.sort();
        names
    };
    assert_eq!(names(store.resume(Some("a")).unwrap()), ["a"]);
    assert_eq!(
        names(store.resume(Some("a")).unwrap()),
        Vec::<String>::new()
    );
    assert!(store.paused("a", at(1)).unwrap().is_some());
    assert_eq!(names(store.resume(None).unwrap()), ["*", "b"]);
    assert_eq!(store.paused("a", at(1)).unwrap(), None);
}

#[test]
fn an_alert_is_new_once_and_keeps_its_start() {
    let mut store = store();
    assert!(store.raise("github", "no answer", at(0)).unwrap());
    assert!(!store.raise("github", "still no answer", at(5)).unwrap());
    assert!(store.raise("disk", "full", at(3)).unwrap());
    let open = store.open_alerts().unwrap();
    let told: Vec<_> = open
        .iter()
        .map(|one| (one.key.as_str(), one.text.as_str(), one.count))
        .collect();
    assert_eq!(
        told,
        [("github", "still no answer", 2), ("disk", "full", 1)]
    );
    assert_eq!((open[0].since, open[0].last), (at(0), at(5)));
    let cleared = store.clear("github").unwrap().unwrap();
    assert_eq!((cleared.since, cleared.count), (at(0), 2));
    assert_eq!(store.clear("github").unwrap(), None);
    assert!(store.raise("github", "again", at(9)).unwrap());
    assert_eq!(store.open_alerts().unwrap()[1].since, at(9));
}

#[test]
fn a_notification_is_asked_for_once_and_sent_until_it_arrives() {
    let dir = folder();
    let mut store = open(dir.path());
    assert!(store.enqueue("k", "{\"x\":1}", at(0)).unwrap());
    assert!(!store.enqueue("k", "{\"x\":2}", at(1)).unwrap());
    assert!(store.failed("k", "connection refused", at(5)).unwrap());
    drop(store);

    let mut store = open(dir.path());
    assert_eq!(store.undelivered(at(4)).unwrap(), []);
    let waiting = store.undelivered(at(5)).unwrap();
    assert_eq!(waiting.len(), 1);
    assert_eq!(
        (waiting[0].payload.as_str(), waiting[0].attempts),
        ("{\"x\":1}", 1)
    );
    assert_eq!(waiting[0].last_error.as_deref(), Some("connection refused"));
    assert!(store.delivered("k", at(6)).unwrap());
    assert!(!store.delivered("k", at(6)).unwrap());
    assert!(!store.failed("k", "late answer", at(7)).unwrap());
    assert_eq!(store.undelivered(at(99)).unwrap(), []);
    assert!(!store.enqueue("k", "{}", at(100)).unwrap());
    assert!(!store.delivered("unheard of", at(6)).unwrap());
}

#[test]
fn a_retry_that_a_fast_clock_set_is_due() {
    let mut store = store();
    store.enqueue("k", "1", T0).unwrap();
    store
        .failed("k", "x", T0.after(RETRY_AHEAD_MAX * 2))
        .unwrap();
    assert_eq!(store.undelivered(T0).unwrap().len(), 1);
}

#[test]
fn budgets_count_the_last_hour_and_keys_count_for_good() {
    let mut store = store();
    let (one, two) = (id(1), id(2));
    let mut done = |key, kind, session, repo, minute| {
        store
            .intent_done(&DoneIntent {
                key,
                kind,
                session,
                repo,
                at: at(minute),
            })
            .unwrap()
    };
    assert!(done("1", "notify", &one, Some("o/r"), 0));
    assert!(done("2", "notify", &one, Some("o/r"), 30));
    assert!(done("3", "notify", &two, Some("o/r"), 40));
    assert!(done("4", "notify", &two, Some("o/other"), 40));
    assert!(done("5", "comment", &one, None, 40));
    assert!(!done("5", "comment", &one, None, 50));
    let spent = store.spent("notify", &one, Some("o/r"), at(65)).unwrap();
    assert_eq!((spent.session_hour, spent.repo_hour, spent.hour), (1, 2, 3));
    assert_eq!(spent.keys.into_iter().collect::<Vec<_>>(), ["1", "2"]);
    assert_eq!((spent.witnesses, spent.authorized), (0, false));
    let spent = store.spent("comment", &one, None, at(65)).unwrap();
    assert_eq!((spent.session_hour, spent.repo_hour, spent.hour), (1, 0, 1));
}

proptest! {
    /// Raised and cleared in any order: new exactly when it was not open.
    #[test]
    fn an_alert_is_new_exactly_when_it_was_not_open(
        steps in prop::collection::vec((0..3usize, any::<bool>()), 0..40),
    ) {
        let keys = ["a", "b", "c"];
        let mut store = store();
        let mut open: BTreeMap<usize, u64> = BTreeMap::new();
        for (minute, (key, raise)) in steps.into_iter().enumerate() {
            if raise {
                let new = store.raise(keys[key], "text", at(minute as u64)).unwrap();
                prop_assert_eq!(new, !open.contains_key(&key));
                *open.entry(key).or_default() += 1;
            } else {
                let count = store.clear(keys[key]).unwrap().map(|alert| alert.count);
                prop_assert_eq!(count, open.remove(&key));
            }
        }
    }
}
