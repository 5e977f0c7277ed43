//! What is remembered from pass to pass: memos, looks, who lived, the clocks, past moves.

use std::collections::BTreeMap;

use vigil_core::requeue::LOOK_AGAIN_MAX;
use vigil_core::session::Revision;
use vigil_core::verdict::MEMO_BYTES_MAX;
use vigil_core::{Fact, GapKind, SessionId, State, Timestamp};
use vigil_store::{Look, Mark, Memo, NewTransition, Settled, Store, StoreError};

use crate::common::{T0, at, evidence, folder, id, moved, open};

fn store() -> Store {
    Store::in_memory(T0).unwrap()
}

#[test]
fn a_memo_belongs_to_one_policy_and_one_session() {
    let mut store = store();
    let (one, two) = (id(1), id(2));
    let memo = |session, policy, text| Memo {
        session,
        policy,
        text,
    };
    store
        .put_memos(
            &[
                memo(&one, "a", Some("1a")),
                memo(&one, "b", Some("1b")),
                memo(&two, "a", Some("2a")),
            ],
            T0,
        )
        .unwrap();
    assert_eq!(store.memo(&one, "a").unwrap().as_deref(), Some("1a"));
    assert_eq!(store.memo(&two, "b").unwrap(), None);
    let of_a = store.memos("vigilante", "a").unwrap();
    assert_eq!(of_a.len(), 2);
    assert_eq!(of_a[&two], "2a");
    store
        .put_memos(
            &[memo(&one, "a", None), memo(&two, "a", Some("2a+"))],
            at(1),
        )
        .unwrap();
    assert_eq!(store.memo(&one, "a").unwrap(), None);
    assert_eq!(store.memo(&two, "a").unwrap().as_deref(), Some("2a+"));
    store.forget_memos(&one).unwrap();
    assert_eq!(store.memo(&one, "b").unwrap(), None);
    assert!(store.memos("other", "a").unwrap().is_empty());
}

#[test]
fn a_memo_over_its_bound_is_refused_and_none_is_kept() {
    let mut store = store();
    let (one, two) = (id(1), id(2));
    let fits = "x".repeat(MEMO_BYTES_MAX);
    let too_long = "x".repeat(MEMO_BYTES_MAX + 1);
    let memo = |session, text| Memo {
        session,
        policy: "a",
        text,
    };
    store
        .put_memos(&[memo(&one, Some(fits.as_str()))], T0)
        .unwrap();
    let error = store
        .put_memos(&[memo(&two, Some("y")), memo(&one, Some(&too_long))], T0)
        .unwrap_err();
    assert!(matches!(
        error,
        StoreError::TooLarge {
            bytes: 4097,
            max: 4096,
            ..
        }
    ));
    assert!(error.to_string().contains("vigilante:o/r#1"), "{error}");
    assert_eq!(store.memo(&one, "a").unwrap(), Some(fits));
    assert_eq!(store.memo(&two, "a").unwrap(), None);
}

fn look(number: u32, minute: u64, attempts: u32) -> Look {
    Look {
        session: id(number),
        at: at(minute),
        attempts,
        why: "backoff".into(),
    }
}

#[test]
fn the_schedule_survives_a_restart() {
    let dir = folder();
    let mut store = open(dir.path());
    store.put_schedule(&[look(1, 9, 2), look(2, 3, 0)]).unwrap();
    store.put_schedule(&[look(1, 5, 3)]).unwrap();
    drop(store);
    let store = open(dir.path());
    assert_eq!(store.due("other", T0).unwrap(), []);
    let mut due = store.due("vigilante", T0).unwrap();
    due.sort();
    assert_eq!(due, [(id(1), at(5)), (id(2), at(3))]);
    assert_eq!(
        store.attempts(&[&id(7), &id(2), &id(1)]).unwrap(),
        [0, 0, 3]
    );
}

#[test]
fn a_look_that_a_fast_clock_set_is_due() {
    let mut store = store();
    let far = Look {
        at: T0.after(LOOK_AGAIN_MAX * 2),
        ..look(1, 0, 0)
    };
    let near = Look {
        at: T0.after(LOOK_AGAIN_MAX),
        ..look(2, 0, 0)
    };
    store.put_schedule(&[far, near]).unwrap();
    let mut due = store.due("vigilante", T0).unwrap();
    due.sort();
    assert_eq!(due, [(id(1), T0), (id(2), T0.after(LOOK_AGAIN_MAX))]);
}

#[test]
fn the_clocks_are_those_of_the_last_pass() {
    let mut store = store();
    assert_eq!(store.mark().unwrap(), None);
    let mark = |minute, awake_since| Mark {
        wall: at(minute),
        awake_ms: 1,
        boot_ms: 2,
        boot_id: "boot".into(),
        awake_since,
    };
    for mark in [mark(1, None), mark(2, Some(at(1)))] {
        store.put_mark(&mark).unwrap();
        assert_eq!(store.mark().unwrap(), Some(mark));
    }
}

fn moments(of: &[(u32, u64)]) -> BTreeMap<SessionId, Timestamp> {
    of.iter()
        .map(|(number, minute)| (id(*number), at(*minute)))
        .collect()
}

#[test]
fn who_was_seen_alive_is_replaced_source_by_source() {
    let mut store = store();
    store
        .put_seen_alive("vigilante", &moments(&[(1, 0), (2, 0)]))
        .unwrap();
    let other = BTreeMap::from([(SessionId::new("other", "x"), at(0))]);
    store.put_seen_alive("other", &other).unwrap();
    store
        .put_seen_alive("vigilante", &moments(&[(2, 5), (3, 5)]))
        .unwrap();
    assert_eq!(
        store.seen_alive("vigilante").unwrap(),
        moments(&[(2, 5), (3, 5)])
    );
    assert_eq!(store.seen_alive("other").unwrap(), other);
    store.put_seen_alive("vigilante", &BTreeMap::new()).unwrap();
    assert_eq!(store.seen_alive("vigilante").unwrap(), BTreeMap::new());
}

#[test]
fn losses_are_remembered_with_their_moment() {
    let mut store = store();
    store
        .put_lost("vigilante", &moments(&[(1, 0), (2, 20)]))
        .unwrap();
    assert_eq!(
        store.lost("vigilante", at(0)).unwrap(),
        moments(&[(1, 0), (2, 20)])
    );
    assert_eq!(store.lost("vigilante", at(1)).unwrap(), moments(&[(2, 20)]));
}

#[test]
fn an_acknowledgement_holds_for_its_source_or_for_all() {
    let mut store = store();
    assert_eq!(store.last_ack("vigilante").unwrap(), None);
    store.ack_mass_change(Some("other"), at(1)).unwrap();
    assert_eq!(store.last_ack("vigilante").unwrap(), None);
    store.ack_mass_change(None, at(2)).unwrap();
    store.ack_mass_change(Some("vigilante"), at(1)).unwrap();
    assert_eq!(store.last_ack("vigilante").unwrap(), Some(at(2)));
    store.ack_mass_change(Some("vigilante"), at(3)).unwrap();
    assert_eq!(store.last_ack("vigilante").unwrap(), Some(at(3)));
}

#[test]
fn the_surveys_memory_keeps_old_losses_and_leaves_out_what_lies_ahead() {
    let mut store = store();
    store
        .put_seen_alive("vigilante", &moments(&[(1, 29)]))
        .unwrap();
    store
        .put_lost("vigilante", &moments(&[(1, 14), (2, 16), (3, 31)]))
        .unwrap();
    store.ack_mass_change(None, at(31)).unwrap();
    let memory = store
        .memory::<vigil_core::Evidence>("vigilante", &[], at(30))
        .unwrap();
    assert_eq!(memory.seen_alive, moments(&[(1, 29)]));
    assert_eq!(memory.lost, moments(&[(1, 14), (2, 16)]));
    assert_eq!(memory.acknowledged, None);
    assert_eq!(
        store
            .memory::<vigil_core::Evidence>("vigilante", &[], at(31))
            .unwrap()
            .acknowledged,
        Some(at(31))
    );
}

#[test]
fn past_moves_know_whether_the_facts_are_the_same() {
    let mut store = store();
    let then = evidence(299, at(0));
    let after = Revision("r2".into());
    let same = evidence(299, at(60));
    let mut other = same.clone();
    other.pull_request = Fact::unknown(GapKind::Unreachable, "down");
    let mut make = |new: NewTransition<'_>, how: Option<Settled>| {
        let made = store.prepare(&[new]).unwrap()[0];
        if let Some(how) = how {
            store.settle(made, &how, new.at).unwrap();
        }
        made
    };
    let written = || Some(Settled::Written { exclusive: true });
    make(moved(&then, &after, at(0)), written());
    let second = make(moved(&then, &after, at(10)), written());
    make(
        moved(&then, &after, at(20)),
        Some(Settled::Conflict("x".into())),
    );
    make(
        moved(&then, &after, at(20)),
        Some(Settled::Failed("x".into())),
    );
    make(moved(&then, &after, at(20)), None);
    let repair = NewTransition {
        kind: vigil_store::Kind::Repair,
        ..moved(&then, &after, at(20))
    };
    make(repair, written());
    let undo = NewTransition {
        kind: vigil_store::Kind::Undo,
        undoes: Some(second),
        ..moved(&then, &after, at(20))
    };
    make(undo, written());

    let past = |evidence, now| {
        let memory = store.memory("vigilante", &[evidence], now).unwrap();
        memory.past.get(&id(299)).cloned().unwrap_or_default()
    };
    let found = past(same.clone(), at(60));
    let told: Vec<_> = found
        .iter()
        .map(|one| (one.name.as_str(), one.same_facts, one.undone))
        .collect();
    // The repair counts too: an owner can take that back as well.
    let repaired = ("t6", true, false);
    assert_eq!(told, [("t1", true, false), ("t2", true, true), repaired]);
    assert_eq!(
        (found[0].from, found[0].to, found[0].at),
        (State::Running, State::Succeeded, at(0))
    );
    assert!(past(other, at(60)).iter().all(|one| !one.same_facts));
    assert_eq!(past(same.clone(), at(24 * 60 + 5)).len(), 2);
    // What a person took back is remembered for longer.
    let left = past(same, at(24 * 60 + 25));
    assert_eq!(left.len(), 1);
    assert!(left[0].undone);
    assert_eq!(past(evidence(1, at(60)), at(60)).len(), 0);
}
