//! Prepared before, settled after, never twice.

use proptest::prelude::*;
use vigil_core::guard::{Code, Objection};
use vigil_core::intents::Granted;
use vigil_core::session::Revision;
use vigil_core::{Grounds, Intent, State};
use vigil_store::{Kind, Settled, Standing, Store, StoreError, TransitionId};

use crate::common::{T0, at, evidence, folder, id, moved, open};

fn store() -> Store {
    Store::in_memory(T0).unwrap()
}

fn after() -> Revision {
    Revision("r2".into())
}

const WRITTEN: Settled = Settled::Written { exclusive: true };

#[test]
fn a_transition_that_was_not_settled_is_found_after_a_crash() {
    let dir = folder();
    let (evidence, after) = (evidence(299, at(0)), after());
    let mut store = open(dir.path());
    let prepared = store.prepare(&[moved(&evidence, &after, at(0))]).unwrap();
    drop(store);

    let mut store = open(dir.path());
    let left = store.unsettled().unwrap();
    assert_eq!(left.iter().map(|one| one.id).collect::<Vec<_>>(), prepared);
    assert_eq!(left[0].session, id(299));
    assert_eq!(left[0].standing, Standing::Prepared);
    assert!(store.settle(prepared[0], &WRITTEN, at(1)).unwrap());
    assert_eq!(store.unsettled().unwrap(), []);
}

#[test]
fn everything_comes_back() {
    let (evidence, after) = (evidence(299, at(0)), after());
    let guards = [Objection::new(Code::UnsavedWork, "2 commits on no remote")];
    let intents = [Granted {
        key: "vigilante:o/r#299/r299/1".into(),
        intent: Intent {
            kind: "notify".into(),
            key: "1".into(),
            arguments: Vec::new(),
        },
    }];
    let mut new = moved(&evidence, &after, at(0));
    new.guards = &guards;
    new.intents = &intents;
    let grounds = Grounds::of(&["pull-request"], &evidence);
    new.grounds = Some(&grounds);
    let mut store = store();
    let made = store.prepare(&[new]).unwrap()[0];
    let kept = store.transition(made).unwrap().unwrap();
    assert_eq!(
        (kept.kind, kept.from, kept.to),
        (Kind::Transition, State::Running, State::Succeeded)
    );
    assert_eq!(
        (kept.native_before.as_str(), kept.native_after.as_str()),
        ("running", "success")
    );
    assert_eq!(
        (&kept.revision_before, &kept.revision_after),
        (&evidence.session.revision, &after)
    );
    assert_eq!(
        (kept.record_before.as_str(), kept.edits.as_str()),
        (new.record_before, new.edits)
    );
    assert_eq!(
        (kept.rule.as_str(), kept.reason.as_str()),
        (new.rule, new.reason)
    );
    assert_eq!(
        (kept.policy.as_deref(), kept.policy_digest.as_deref()),
        (Some("default"), Some("d1"))
    );
    assert_eq!(
        (kept.guards.as_slice(), kept.intents.as_slice()),
        (&guards[..], &intents[..])
    );
    assert_eq!(kept.grounds, Some(grounds));
    assert_eq!(
        (kept.undoes, kept.undone_by, kept.at, kept.settled_at),
        (None, None, at(0), None)
    );
    let rests_on = store.evidence(&kept.evidence.unwrap()).unwrap();
    assert_eq!(rests_on, Some(evidence));
}

#[test]
fn what_commands_print_leaves_the_record_out() {
    let (evidence, after) = (evidence(299, at(0)), after());
    let mut store = store();
    let made = store.prepare(&[moved(&evidence, &after, at(0))]).unwrap()[0];
    store
        .settle(
            made,
            &Settled::Conflict("somebody wrote first".into()),
            at(1),
        )
        .unwrap();
    let shown = serde_json::to_value(store.transition(made).unwrap().unwrap()).unwrap();
    assert_eq!(shown["id"], "t1");
    assert_eq!(shown["kind"], "transition");
    assert_eq!(shown["standing"]["outcome"], "conflict");
    assert_eq!(shown["standing"]["detail"], "somebody wrote first");
    assert!(shown.get("record_before").is_none());
}

#[test]
fn a_transition_is_settled_once() {
    let (evidence, after) = (evidence(299, at(0)), after());
    let mut store = store();
    let made = store.prepare(&[moved(&evidence, &after, at(0))]).unwrap()[0];
    assert!(
        store
            .settle(made, &Settled::Written { exclusive: false }, at(1))
            .unwrap()
    );
    assert!(
        !store
            .settle(made, &Settled::Failed("no".into()), at(2))
            .unwrap()
    );
    let kept = store.transition(made).unwrap().unwrap();
    assert_eq!(kept.standing, Standing::Written { exclusive: false });
    assert_eq!(kept.settled_at, Some(at(1)));
}

#[test]
fn settling_what_is_not_there_is_an_error() {
    let unknown: TransitionId = "t42".parse().unwrap();
    let error = store().settle(unknown, &WRITTEN, at(0)).unwrap_err();
    assert!(matches!(error, StoreError::Missing { .. }));
    assert!(error.to_string().contains("transition t42"), "{error}");
}

#[test]
fn an_undo_and_what_it_undoes_name_each_other() {
    let (evidence, after) = (evidence(299, at(0)), after());
    let mut store = store();
    let made = store.prepare(&[moved(&evidence, &after, at(0))]).unwrap()[0];
    store.settle(made, &WRITTEN, at(0)).unwrap();
    let mut back = moved(&evidence, &evidence.session.revision, at(5));
    back.kind = Kind::Undo;
    back.revision_before = &after;
    (back.from, back.to) = (State::Succeeded, State::Running);
    (back.evidence, back.policy, back.policy_digest) = (None, None, None);
    back.undoes = Some(made);
    let undo = store.prepare(std::slice::from_ref(&back)).unwrap()[0];
    // Settling the undo marks what it undoes: a crash cannot come between.
    assert_eq!(store.transition(made).unwrap().unwrap().undone_by, None);
    store.settle(undo, &WRITTEN, at(5)).unwrap();
    let undone_by = |store: &Store| store.transition(made).unwrap().unwrap().undone_by;
    assert_eq!(undone_by(&store), Some(undo));
    // Another one that was written, too, does not take its place.
    let another = store.prepare(&[back]).unwrap()[0];
    store.settle(another, &WRITTEN, at(6)).unwrap();
    assert_eq!(undone_by(&store), Some(undo));
    let undo = store.transition(undo).unwrap().unwrap();
    assert_eq!(
        (undo.undoes, undo.evidence, undo.grounds),
        (Some(made), None, None)
    );
}

#[test]
fn they_are_listed_newest_first_by_session_and_time() {
    let mut store = store();
    let after = after();
    for (number, minute) in [(1, 0), (2, 10), (1, 20), (1, 30)] {
        let evidence = evidence(number, at(minute));
        store
            .prepare(&[moved(&evidence, &after, at(minute))])
            .unwrap();
    }
    let names = |session: Option<u32>, since: Option<u64>, limit| {
        let session = session.map(id);
        let found = store
            .transitions(session.as_ref(), since.map(at), limit)
            .unwrap();
        found
            .into_iter()
            .map(|one| one.id.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(None, None, 9), ["t4", "t3", "t2", "t1"]);
    assert_eq!(names(Some(1), None, 9), ["t4", "t3", "t1"]);
    assert_eq!(names(Some(1), Some(20), 9), ["t4", "t3"]);
    assert_eq!(names(None, Some(10), 2), ["t4", "t3"]);
    assert_eq!(names(Some(9), None, 9), Vec::<String>::new());
}

#[test]
fn a_name_is_read_as_it_is_printed_and_nothing_else_is() {
    for name in ["t1", "t42", "t9223372036854775807"] {
        assert_eq!(name.parse::<TransitionId>().unwrap().to_string(), name);
    }
    for name in [
        "",
        "t",
        "42",
        "T42",
        "t-1",
        "t+1",
        "t0",
        "t042",
        "t 1",
        "t1 ",
        "tx",
        "t9223372036854775808",
    ] {
        let error = name.parse::<TransitionId>().unwrap_err();
        assert!(error.to_string().contains("t1, t2"), "{name}: {error}");
    }
    assert_eq!(
        format!("{:>5}|", "t42".parse::<TransitionId>().unwrap()),
        "  t42|"
    );
}

#[test]
fn a_row_that_cannot_be_read_is_told_and_names_its_column() {
    let dir = folder();
    let (evidence, after) = (evidence(299, at(0)), after());
    let mut store = open(dir.path());
    let made = store.prepare(&[moved(&evidence, &after, at(0))]).unwrap()[0];
    let raw = rusqlite::Connection::open(store.path()).unwrap();
    for (column, value) in [
        ("to_state", "'gone'"),
        ("kind", "'x'"),
        ("guards", "'['"),
        ("outcome", "'y'"),
    ] {
        let change = format!("UPDATE transitions SET {column} = {value}");
        raw.execute_batch(&format!("SAVEPOINT here; {change}; RELEASE here"))
            .unwrap();
        let error = store.transition(made).unwrap_err();
        assert!(
            matches!(error, StoreError::Unreadable { .. }),
            "{column}: {error}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Whatever is prepared, settled and cut off in whatever order: what is unsettled is what was prepared and never
    /// settled, names rise, and none is given twice.
    #[test]
    fn what_is_unsettled_is_what_was_never_settled(
        steps in prop::collection::vec((0..4u8, 0..8usize), 1..40),
    ) {
        let dir = folder();
        let mut store = open(dir.path());
        let mut open_ones: Vec<TransitionId> = Vec::new();
        let mut all: Vec<TransitionId> = Vec::new();
        let after = after();
        for (step, number) in steps {
            match step {
                0 | 1 => {
                    let evidence: Vec<_> = (0..=number as u32).map(|n| evidence(n, T0)).collect();
                    let new: Vec<_> = evidence.iter().map(|one| moved(one, &after, T0)).collect();
                    let made = store.prepare(&new).unwrap();
                    prop_assert_eq!(made.len(), new.len());
                    open_ones.extend(&made);
                    all.extend(&made);
                }
                2 if !open_ones.is_empty() => {
                    let one = open_ones.remove(number % open_ones.len());
                    prop_assert!(store.settle(one, &WRITTEN, T0).unwrap());
                }
                _ => {
                    drop(store);
                    store = open(dir.path());
                }
            }
            let found: Vec<_> = store.unsettled().unwrap().into_iter().map(|one| one.id).collect();
            prop_assert_eq!(&found, &open_ones);
        }
        prop_assert!(all.windows(2).all(|pair| pair[0] < pair[1]));
        let listed = store.transitions(None, None, usize::MAX).unwrap();
        prop_assert_eq!(listed.len(), all.len());
    }
}
