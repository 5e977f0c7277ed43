//! Never two holders of one session.

use std::collections::HashMap;
use std::time::Duration;

use proptest::prelude::*;
use vigil_core::Timestamp;
use vigil_store::{LEASE_SPAN_MAX, Store};

use crate::common::{T0, at, id};

const SPAN: Duration = Duration::from_secs(60);

fn store() -> Store {
    Store::in_memory(T0).unwrap()
}

#[test]
fn what_is_held_is_refused_until_it_expires() {
    let mut store = store();
    assert_eq!(
        store.lease(&[id(1), id(2)], "a", at(0), SPAN).unwrap(),
        [true, true]
    );
    assert_eq!(
        store.lease(&[id(3), id(2)], "b", at(0), SPAN).unwrap(),
        [true, false]
    );
    assert_eq!(store.lease(&[id(1)], "b", at(1), SPAN).unwrap(), [true]);
}

#[test]
fn what_a_holder_left_that_ended_without_giving_it_back_is_free_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let open = || Store::open(folder.path(), T0).unwrap();
    let mut gone = open();
    let mut other = open();
    assert_eq!(gone.lease(&[id(1)], "a", at(0), SPAN).unwrap(), [true]);
    assert_eq!(other.lease(&[id(1)], "b", at(0), SPAN).unwrap(), [false]);
    // As when its process is killed: the system closes its files.
    drop(gone);
    assert_eq!(other.lease(&[id(1)], "b", at(0), SPAN).unwrap(), [true]);
}

#[test]
fn leases_that_a_power_cut_brought_back_without_their_holder_are_free_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let open = || Store::open(folder.path(), T0).unwrap();
    let mut gone = open();
    gone.lease(&[id(1)], "a", at(0), SPAN).unwrap();
    // The holder gave its lease back and took its file away; the row's deletion was lost, the file's was not.
    std::fs::remove_file(folder.path().join("holders/a.lock")).unwrap();
    drop(gone);
    let given = open().lease(&[id(1)], "b", at(0), SPAN).unwrap();
    assert_eq!(given, [true]);
}

#[test]
fn two_holders_of_one_store_both_live() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(folder.path(), T0).unwrap();
    assert_eq!(store.lease(&[id(1)], "a", at(0), SPAN).unwrap(), [true]);
    assert_eq!(store.lease(&[id(1)], "b", at(0), SPAN).unwrap(), [false]);
    store.release("a").unwrap();
    assert_eq!(store.lease(&[id(1)], "b", at(0), SPAN).unwrap(), [true]);
    store.release("b").unwrap();
    let left = std::fs::read_dir(folder.path().join("holders")).unwrap();
    assert_eq!(left.count(), 0, "who gave everything back leaves no file");
}

#[test]
fn a_name_that_another_process_uses_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let open = || Store::open(folder.path(), T0).unwrap();
    let (mut one, mut two) = (open(), open());
    one.lease(&[id(1)], "a", at(0), SPAN).unwrap();
    let error = two.lease(&[id(1)], "a", at(0), SPAN).unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("same name"), "{error}: {cause}");
}

#[test]
fn ones_own_is_renewed() {
    let mut store = store();
    store.lease(&[id(1)], "a", at(0), SPAN).unwrap();
    let half = Timestamp(T0.0 + 30_000);
    assert_eq!(store.lease(&[id(1)], "a", half, SPAN).unwrap(), [true]);
    assert_eq!(store.lease(&[id(1)], "b", at(1), SPAN).unwrap(), [false]);
    assert_eq!(
        store.leased(&id(1), at(1)).unwrap().unwrap().until,
        half.after(SPAN)
    );
}

#[test]
fn release_gives_back_ones_own_and_nobody_elses() {
    let mut store = store();
    store.lease(&[id(1), id(2)], "a", at(0), SPAN).unwrap();
    store.lease(&[id(3)], "b", at(0), SPAN).unwrap();
    assert_eq!(store.release("a").unwrap(), 2);
    assert_eq!(store.release("a").unwrap(), 0);
    assert_eq!(
        store.lease(&[id(1), id(3)], "c", at(0), SPAN).unwrap(),
        [true, false]
    );
}

#[test]
fn the_holder_is_named_while_it_holds() {
    let mut store = store();
    store.lease(&[id(1)], "run pid 7", at(0), SPAN).unwrap();
    assert_eq!(
        store.leased(&id(1), at(0)).unwrap().unwrap().holder,
        "run pid 7"
    );
    assert_eq!(store.leased(&id(1), at(1)).unwrap(), None);
    assert_eq!(store.leased(&id(2), at(0)).unwrap(), None);
}

#[test]
fn a_span_is_cut_to_its_bound() {
    let mut store = store();
    store.lease(&[id(1)], "a", at(0), Duration::MAX).unwrap();
    let lease = store.leased(&id(1), at(0)).unwrap().unwrap();
    assert_eq!(lease.until, at(0).after(LEASE_SPAN_MAX));
}

#[test]
fn a_lease_of_a_clock_that_ran_ahead_does_not_bind() {
    let mut store = store();
    store.lease(&[id(1)], "a", at(1000), SPAN).unwrap();
    assert_eq!(store.leased(&id(1), at(0)).unwrap(), None);
    assert_eq!(store.lease(&[id(1)], "b", at(0), SPAN).unwrap(), [true]);
}

#[test]
fn nothing_asked_is_nothing_given() {
    assert_eq!(
        store().lease(&[], "a", T0, SPAN).unwrap(),
        Vec::<bool>::new()
    );
}

proptest! {
    /// Against a plain model, with a clock that only goes on: given exactly when nobody else holds it.
    #[test]
    fn a_lease_is_given_exactly_when_nobody_else_holds_it(
        steps in prop::collection::vec(
            (prop::collection::vec(0..4u32, 0..4), 0..3usize, 0..90u64, 0..5u8), 1..40,
        ),
    ) {
        let holders = ["a", "b", "c"];
        let mut store = store();
        let mut held: HashMap<u32, (usize, Timestamp)> = HashMap::new();
        let mut now = T0;
        for (sessions, holder, seconds, kind) in steps {
            now = now.after(Duration::from_secs(seconds));
            if kind == 0 {
                store.release(holders[holder]).unwrap();
                held.retain(|_, (other, _)| *other != holder);
                continue;
            }
            let ids: Vec<_> = sessions.iter().map(|number| id(*number)).collect();
            let given = store.lease(&ids, holders[holder], now, SPAN).unwrap();
            for (number, given) in sessions.into_iter().zip(given) {
                let free = held
                    .get(&number)
                    .is_none_or(|(other, until)| *other == holder || *until <= now);
                prop_assert_eq!(given, free);
                if given {
                    held.insert(number, (holder, now.after(SPAN)));
                }
            }
        }
    }
}
