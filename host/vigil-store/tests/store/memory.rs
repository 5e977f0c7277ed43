//! What is remembered from pass to pass: memos, looks, who lived, the clocks, past moves.

use std::collections::BTreeMap;

use vigil_core::requeue::LOOK_AGAIN_MAX;
use vigil_core::session::Revision;
use vigil_core::survey::{PastMove, Reversal};
use vigil_core::verdict::MEMO_BYTES_MAX;
use vigil_core::{Evidence, Fact, GapKind, Grounds, SessionId, State, Timestamp};
use vigil_store::{
    Kind, Look, Mark, Memo, NewTransition, Settled, Store, StoreError, TransitionId,
};

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

/// Makes and settles a transition.
fn make(store: &mut Store, new: NewTransition<'_>, how: Option<Settled>) -> TransitionId {
    let made = store.prepare(&[new]).unwrap()[0];
    if let Some(how) = how {
        store.settle(made, &how, new.at).unwrap();
    }
    made
}

fn written() -> Option<Settled> {
    Some(Settled::Written { exclusive: true })
}

fn past(store: &Store, evidence: Evidence, now: Timestamp) -> Vec<PastMove> {
    let memory = store.memory("vigilante", &[evidence], now).unwrap();
    memory.past.get(&id(299)).cloned().unwrap_or_default()
}

#[test]
fn past_moves_know_whether_the_facts_are_the_same() {
    let mut store = store();
    let then = evidence(299, at(0));
    let grounds = Grounds::of(&["pull-request"], &then);
    let after = Revision("r2".into());
    let same = evidence(299, at(60));
    let of = |minute| NewTransition {
        grounds: Some(&grounds),
        ..moved(&then, &after, at(minute))
    };
    make(&mut store, of(0), written());
    let second = make(&mut store, of(10), written());
    make(&mut store, of(20), Some(Settled::Conflict("x".into())));
    make(&mut store, of(20), Some(Settled::Failed("x".into())));
    make(&mut store, of(20), None);
    let repair = NewTransition {
        kind: Kind::Repair,
        ..of(20)
    };
    make(&mut store, repair, written());
    let undo = NewTransition {
        kind: Kind::Undo,
        undoes: Some(second),
        grounds: None,
        ..of(20)
    };
    make(&mut store, undo, written());

    let found = past(&store, same.clone(), at(60));
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
    let with = |pull_request| Evidence {
        pull_request,
        ..same.clone()
    };
    let same_facts = |pull_request| {
        let found = past(&store, with(pull_request), at(60));
        found.iter().map(|one| one.same_facts).collect::<Vec<_>>()
    };
    // What nobody could learn has not changed; and of what was taken back nobody has looked yet how it stood.
    let unknown = Fact::unknown(GapKind::Unreachable, "down");
    assert_eq!(same_facts(unknown), [true, true, true]);
    assert_eq!(same_facts(Fact::absent_at(at(60))), [false, true, false]);
    assert_eq!(past(&store, same.clone(), at(24 * 60 + 5)).len(), 2);
    // What a person took back is remembered for longer.
    let left = past(&store, same, at(24 * 60 + 25));
    assert_eq!(left.len(), 1);
    assert!(left[0].undone);
    assert_eq!(past(&store, evidence(1, at(60)), at(60)).len(), 0);
}

#[test]
fn an_undo_stands_while_the_grounds_are_as_they_were_at_the_undo() {
    let mut store = store();
    let then = evidence(299, at(0));
    let grounds = Grounds::of(&["pull-request"], &then);
    let after = Revision("r2".into());
    let made = NewTransition {
        grounds: Some(&grounds),
        ..moved(&then, &after, at(0))
    };
    let first = make(&mut store, made, written());
    let undo = NewTransition {
        kind: Kind::Undo,
        undoes: Some(first),
        evidence: None,
        ..moved(&then, &after, at(5))
    };
    let undo = make(&mut store, undo, written());
    let with = |pull_request| Evidence {
        pull_request,
        ..evidence(299, at(10))
    };
    // When it was taken back, there was no pull request any more.
    let gone = with(Fact::absent_at(at(10)));
    let unlooked = store.unlooked_undos("vigilante").unwrap();
    assert_eq!(unlooked, [(undo, id(299), grounds.clone())]);
    let unknown = with(Fact::unknown(GapKind::Unreachable, "down"));
    assert_eq!(unlooked[0].2.now(&unknown), None);
    store
        .note_grounds(undo, &grounds.now(&gone).unwrap())
        .unwrap();
    assert_eq!(store.unlooked_undos("vigilante").unwrap(), []);
    assert!(past(&store, gone.clone(), at(20))[0].same_facts);
    // What led to the move is another thing by now.
    assert!(!past(&store, evidence(299, at(20)), at(20))[0].same_facts);
    // And the first look stands.
    store.note_grounds(undo, &grounds).unwrap();
    assert!(past(&store, gone, at(20))[0].same_facts);
}

#[test]
fn who_took_a_move_back_shows_in_the_record_that_came_after_it() {
    let cases = [
        // The record was written before the move and not since: an older copy was saved over it.
        (Some(at(9)), Reversal::StaleCopy),
        // Owners count in whole seconds.
        (Some(Timestamp(at(10).0 + 400)), Reversal::Owner),
        (Some(at(10)), Reversal::Owner),
        (Some(at(11)), Reversal::Owner),
        (None, Reversal::Owner),
    ];
    for (updated, wanted) in cases {
        let mut store = store();
        let mut then = evidence(299, at(0));
        then.session.times.updated = Some(at(0));
        let mut again = evidence(299, at(12));
        again.session.times.updated = updated;
        let after = Revision("r2".into());
        let moment = Timestamp(at(10).0 + 700);
        let made = moved(&then, &after, moment);
        make(&mut store, made, written());
        let reversals = |store: &Store, now: &Evidence| -> Vec<Reversal> {
            let moves = past(store, now.clone(), at(30));
            moves.iter().map(|one| one.reversal).collect()
        };
        assert_eq!(reversals(&store, &again), [wanted], "{updated:?}");
        // The next move was made on that record, and tells it, whatever the record says now.
        make(&mut store, moved(&again, &after, at(12)), written());
        let mut later = again.clone();
        later.session.times.updated = Some(at(20));
        assert_eq!(
            reversals(&store, &later),
            [wanted, Reversal::Owner],
            "{updated:?}"
        );
        // A repair that was made again after somebody had set the mark again: the state tells nothing, the record does.
        let repaired = NewTransition {
            kind: Kind::Repair,
            from: State::Succeeded,
            ..moved(&again, &after, moment)
        };
        make(&mut store, repaired, written());
        assert_eq!(reversals(&store, &later)[2], Reversal::Owner, "{updated:?}");
        make(&mut store, repaired, written());
        assert_eq!(reversals(&store, &later)[2], wanted, "{updated:?}");
        // vigil itself moved on.
        let on = NewTransition {
            from: State::Succeeded,
            to: State::Closed,
            ..moved(&again, &after, at(14))
        };
        make(&mut store, on, written());
        assert_eq!(
            reversals(&store, &later)[..2],
            [wanted, Reversal::Own],
            "{updated:?}"
        );
    }
}
