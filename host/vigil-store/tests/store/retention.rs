//! What is forgotten and what never is.

use std::time::Duration;

use vigil_core::session::Revision;
use vigil_core::time::minutes;
use vigil_core::{Timestamp, Verdict};
use vigil_store::{Look, Memo, Retention, Settled, Store};

use crate::common::{T0, answers, at, evidence, folder, held, id, moved, open};

const DAY: u64 = 24 * 60;

fn store() -> Store {
    Store::in_memory(T0).unwrap()
}

fn days(days: u64) -> Timestamp {
    at(days * DAY)
}

fn after() -> Revision {
    Revision("r2".into())
}

#[test]
fn what_was_not_seen_for_long_is_forgotten_with_its_evidence() {
    let mut store = store();
    let answers = answers(Verdict::Hold);
    let (old, kept) = (evidence(1, at(0)), evidence(2, at(0)));
    store
        .record(&[
            held(&old, &answers, days(0)),
            held(&kept, &answers, days(0)),
        ])
        .unwrap();
    store.record(&[held(&kept, &answers, days(20))]).unwrap();
    let gone_evidence = store.latest(&id(1)).unwrap().unwrap().first_evidence;
    let pruned = store.prune(days(31), &Retention::default()).unwrap();
    assert_eq!((pruned.journal, pruned.evidence), (1, 1));
    assert_eq!(store.latest(&id(1)).unwrap(), None);
    assert_eq!(store.evidence(&gone_evidence).unwrap(), None);
    let row = store.latest(&id(2)).unwrap().unwrap();
    assert_eq!((row.first_at, row.last_at), (days(0), days(20)));
    assert!(store.evidence(&row.first_evidence).unwrap().is_some());
    assert!(store.evidence(&row.latest_evidence).unwrap().is_some());
    // A second time there is nothing left to forget.
    let again = store.prune(days(31), &Retention::default()).unwrap();
    assert_eq!((again.journal, again.evidence, again.other), (0, 0, 0));
}

#[test]
fn evidence_stays_as_long_as_anything_names_it() {
    let mut store = store();
    let evidence = evidence(1, at(0));
    let answers = answers(Verdict::Hold);
    let after = after();
    store.record(&[held(&evidence, &answers, days(0))]).unwrap();
    // Unsettled, so that it outlives the journal's row.
    let made = store.prepare(&[moved(&evidence, &after, days(0))]).unwrap()[0];
    let pruned = store.prune(days(31), &Retention::default()).unwrap();
    assert_eq!(
        (pruned.journal, pruned.transitions, pruned.evidence),
        (1, 0, 0)
    );
    let digest = store.transition(made).unwrap().unwrap().evidence.unwrap();
    assert_eq!(store.evidence(&digest).unwrap(), Some(evidence));
    store
        .settle(made, &Settled::Written { exclusive: true }, days(31))
        .unwrap();
    let pruned = store.prune(days(366), &Retention::default()).unwrap();
    assert_eq!((pruned.transitions, pruned.evidence), (1, 1));
    assert_eq!(store.evidence(&digest).unwrap(), None);
}

#[test]
fn an_unsettled_transition_and_one_of_the_last_day_are_never_forgotten() {
    let mut store = store();
    let evidence = evidence(1, at(0));
    let after = after();
    let mut make = |minute, settle| {
        let made = store
            .prepare(&[moved(&evidence, &after, at(minute))])
            .unwrap()[0];
        if settle {
            store
                .settle(made, &Settled::Written { exclusive: true }, at(minute))
                .unwrap();
        }
        made.to_string()
    };
    let unsettled = make(0, false);
    let old = make(0, true);
    let recent = make(30, true);
    let nothing = Retention {
        max_age: Duration::ZERO,
        max_bytes: 0,
    };
    let pruned = store.prune(at(DAY + 10), &nothing).unwrap();
    assert_eq!(pruned.transitions, 1, "{old} alone");
    let left: Vec<_> = store
        .transitions(None, None, 9)
        .unwrap()
        .into_iter()
        .map(|one| one.id.to_string())
        .collect();
    assert_eq!(left, [recent, unsettled]);
    // A name is not given again.
    let next = store.prepare(&[moved(&evidence, &after, at(DAY))]).unwrap()[0];
    assert_eq!(next.to_string(), "t4");
}

#[test]
fn an_undone_transition_counts_for_a_year_and_goes_before_its_undo() {
    let mut store = store();
    let evidence = evidence(1, at(0));
    let after = after();
    let written = Settled::Written { exclusive: true };
    let made = store.prepare(&[moved(&evidence, &after, days(0))]).unwrap()[0];
    store.settle(made, &written, days(0)).unwrap();
    let mut back = moved(&evidence, &after, days(20));
    back.undoes = Some(made);
    let undo = store.prepare(&[back]).unwrap()[0];
    store.settle(undo, &written, days(20)).unwrap();
    let mut pruned = |at| {
        let pruned = store.prune(at, &Retention::default());
        pruned.unwrap().transitions
    };
    assert_eq!(pruned(days(31)), 0);
    assert_eq!(pruned(days(364)), 0);
    assert_eq!(pruned(days(366)), 1);
    assert_eq!(store.transition(undo).unwrap().unwrap().undoes, None);
}

#[test]
fn the_latest_that_was_written_to_a_session_counts_for_a_year_and_gives_way_to_size_last() {
    let mut store = store();
    let after = after();
    let written = Settled::Written { exclusive: true };
    for (number, day) in [(1, 0), (1, 1), (2, 0), (3, 0)] {
        let evidence = evidence(number, days(day));
        let made = store
            .prepare(&[moved(&evidence, &after, days(day))])
            .unwrap()[0];
        let settled = match number {
            3 => Settled::Failed("no".to_owned()),
            _ => written.clone(),
        };
        store.settle(made, &settled, days(day)).unwrap();
    }
    let names = |store: &vigil_store::Store| -> Vec<String> {
        let rows = store.transitions(None, None, 9).unwrap();
        rows.iter().map(|row| row.id.to_string()).collect()
    };
    // The first of session 1, and the one that failed.
    let pruned = store.prune(days(40), &Retention::default()).unwrap();
    assert_eq!(pruned.transitions, 2);
    assert_eq!(names(&store), ["t3", "t2"]);
    let small = Retention {
        max_bytes: 0,
        ..Retention::default()
    };
    assert_eq!(store.prune(days(40), &small).unwrap().transitions, 2);
    assert_eq!(names(&store), [""; 0]);
}

#[test]
fn alerts_pauses_and_what_was_not_delivered_stay() {
    let mut store = store();
    store.raise("alert", "text", days(0)).unwrap();
    store.pause(Some("a"), days(0), None).unwrap();
    store.enqueue("waits", "1", days(0)).unwrap();
    store.enqueue("sent", "1", days(0)).unwrap();
    store.delivered("sent", days(0)).unwrap();
    let nothing = Retention {
        max_age: Duration::ZERO,
        max_bytes: 0,
    };
    assert_eq!(store.prune(days(400), &nothing).unwrap().other, 1);
    assert_eq!(store.open_alerts().unwrap().len(), 1);
    assert!(store.paused("a", days(400)).unwrap().is_some());
    assert_eq!(store.undelivered(days(400)).unwrap().len(), 1);
    assert!(store.enqueue("sent", "1", days(400)).unwrap());
}

#[test]
fn caches_of_what_is_gone_are_forgotten() {
    let mut store = store();
    let look = |number, at| Look {
        session: id(number),
        at,
        attempts: 0,
        why: String::new(),
    };
    store
        .put_schedule(&[look(1, days(0)), look(2, days(31))])
        .unwrap();
    store.lease(&[id(1)], "a", days(0), minutes(1)).unwrap();
    let (one, two) = (id(1), id(2));
    let memo = |session| Memo {
        session,
        policy: "p",
        text: Some("m"),
    };
    store.put_memos(&[memo(&one), memo(&two)], days(0)).unwrap();
    // The same memo left again shows that it is still in use.
    store.put_memos(&[memo(&two)], days(20)).unwrap();
    // A look, a memo and a lease.
    assert_eq!(
        store.prune(days(31), &Retention::default()).unwrap().other,
        3
    );
    assert_eq!(store.memo(&one, "p").unwrap(), None);
    assert_eq!(store.memo(&two, "p").unwrap().as_deref(), Some("m"));
    assert_eq!(store.due("vigilante", days(31)).unwrap().len(), 1);
}

#[test]
fn size_is_fitted_from_the_oldest_on_and_given_back() {
    let dir = folder();
    let mut store = open(dir.path());
    let answers = answers(Verdict::Hold);
    for pass in 0..6u32 {
        let evidence: Vec<_> = (0..1000)
            .map(|number| evidence(pass * 1000 + number, at(u64::from(pass))))
            .collect();
        let entries: Vec<_> = evidence
            .iter()
            .map(|one| held(one, &answers, at(u64::from(pass))))
            .collect();
        store.record(&entries).unwrap();
    }
    let full = store.bytes().unwrap();
    let max_bytes = full / 2;
    let pruned = store
        .prune(
            at(10),
            &Retention {
                max_bytes,
                ..Retention::default()
            },
        )
        .unwrap();
    assert!(
        pruned.journal >= 2000 && pruned.journal < 6000,
        "{pruned:?}"
    );
    assert!(
        pruned.bytes <= max_bytes && pruned.bytes > 0,
        "{pruned:?} of {full}"
    );
    assert_eq!(store.latest(&id(0)).unwrap(), None);
    let newest = store.latest(&id(5999)).unwrap().unwrap();
    assert!(store.evidence(&newest.latest_evidence).unwrap().is_some());
    let on_disk = std::fs::metadata(store.path()).unwrap().len();
    assert!(on_disk <= max_bytes + 64 * 1024, "{on_disk} of {full}");
    assert_eq!(store.damage().unwrap(), Vec::<String>::new());
}

#[test]
fn without_anything_old_nothing_is_forgotten() {
    let mut store = store();
    let evidence = evidence(1, at(0));
    store
        .record(&[held(&evidence, &answers(Verdict::Hold), at(0))])
        .unwrap();
    let pruned = store.prune(days(30), &Retention::default()).unwrap();
    assert_eq!(
        (
            pruned.journal,
            pruned.transitions,
            pruned.evidence,
            pruned.other
        ),
        (0, 0, 0, 0)
    );
    assert!(store.latest(&id(1)).unwrap().is_some());
}
