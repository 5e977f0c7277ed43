//! Two writers who did not see each other, record by record and field by field.

use super::*;
use crate::vigilante::testing::{file, record};

/// A change of a record's text.
fn with(issue: u64, from: &str, to: &str) -> String {
    let record = record(issue);
    assert!(record.contains(from), "{from}");
    record.replace(from, to)
}

fn base() -> String {
    file(&[record(1), record(2), record(3)])
}

/// `lost` and `onto` were both made from `base`.
fn merged(onto: &str, lost: &str, newer: Newer) -> Together {
    let base = base();
    together(&Sides {
        onto,
        onto_from: &[&base],
        lost,
        lost_from: &[&base],
        newer,
        withdraw: None,
    })
    .unwrap()
}

const NOTE: &str = "\"process_id\"";

#[test]
fn changes_of_different_records_and_of_different_fields_are_all_there() {
    let blocked = with(2, "\"running\"", "\"blocked\"");
    let noted = with(2, NOTE, "\"x_note\": {\"a\": 1.0e2},\n    \"process_id\"");
    let closed = with(1, "\"running\"", "\"closed\"");
    let lost = file(&[closed.clone(), noted, record(3)]);
    let onto = file(&[record(1), blocked, record(3)]);
    let both = merged(&onto, &lost, Newer::Onto);
    assert_eq!(both.conflicts, [""; 0]);
    assert!(
        both.text.contains("\"x_note\": {\"a\": 1.0e2}"),
        "{}",
        both.text
    );
    assert_eq!(both.text.matches("\"blocked\"").count(), 1);
    assert_eq!(both.text.matches("\"closed\"").count(), 1);
    // What nobody changed keeps its bytes.
    assert!(both.text.ends_with(&format!("{}\n]\n", record(3))));
    // Again it changes nothing more.
    assert_eq!(merged(&both.text, &lost, Newer::Onto).text, both.text);
}

#[test]
fn without_changes_the_text_is_the_very_same() {
    let onto = file(&[with(1, "\"running\"", "\"closed\""), record(2), record(3)]);
    assert_eq!(merged(&onto, &base(), Newer::Lost).text, onto);
    assert_eq!(merged(&onto, &onto, Newer::Lost).text, onto);
    // Another spelling is no change.
    let spelled = base().replace("caf\\u00e9", "caf\u{e9}");
    assert_ne!(spelled, base());
    assert_eq!(merged(&onto, &spelled, Newer::Lost).text, onto);
}

#[test]
fn records_that_one_added_or_removed_come_and_go() {
    let added = file(&[record(1), record(2), record(3), record(7), record(8)]);
    let both = merged(&base(), &added, Newer::Onto);
    assert_eq!((both.text, both.conflicts), (added, vec![]));
    let removed = file(&[record(2)]);
    let both = merged(&base(), &removed, Newer::Onto);
    assert_eq!((both.text, both.conflicts), (removed.clone(), vec![]));
    // One removes, the other adds.
    let added = file(&[record(1), record(2), record(3), record(7)]);
    let both = merged(&added, &removed, Newer::Onto);
    assert_eq!(both.text, file(&[record(2), record(7)]));
    let both = merged(&removed, &added, Newer::Onto);
    assert_eq!(both.text, file(&[record(2), record(7)]));
    for empty in ["[]\n", "null"] {
        let one = file(&[record(1), record(2), record(3), record(9)]);
        let both = merged(empty, &one, Newer::Onto);
        assert_eq!(both.text, file(&[record(9)]), "{empty}");
    }
    let both = merged(&base(), "[]\n", Newer::Onto);
    assert_eq!(both.text, "[]\n");
}

#[test]
fn what_both_changed_is_named_and_decided_for_one() {
    let lost = file(&[with(1, "\"running\"", "\"closed\""), record(2), record(3)]);
    let onto = file(&[with(1, "\"running\"", "\"blocked\""), record(2), record(3)]);
    for (newer, stands) in [(Newer::Onto, "blocked"), (Newer::Lost, "closed")] {
        let both = merged(&onto, &lost, newer);
        assert_eq!(both.conflicts, ["`status` of owner/repo#1"]);
        assert!(both.text.contains(&format!("\"{stands}\"")), "{newer:?}");
    }
    // The same change twice is none.
    let both = merged(&lost, &lost, Newer::Onto);
    assert_eq!(both.conflicts, [""; 0]);
}

#[test]
fn of_two_moments_the_later_one_stands_and_is_no_conflict() {
    let at = |minute: &str| {
        with(
            1,
            "17:11:08Z\",\n    \"updated_at\"",
            &format!("17:{minute}:08Z\",\n    \"updated_at\""),
        )
    };
    let early = file(&[at("20"), record(2), record(3)]);
    let late = file(&[at("30"), record(2), record(3)]);
    for newer in [Newer::Onto, Newer::Lost] {
        assert_eq!(merged(&early, &late, newer).text, late);
        assert_eq!(merged(&late, &early, newer).text, late);
        assert_eq!(merged(&late, &early, newer).conflicts, [""; 0]);
    }
}

#[test]
fn what_one_removed_and_the_other_changed_stays_and_is_named() {
    let changed = file(&[with(1, "\"running\"", "\"blocked\""), record(2), record(3)]);
    let removed = file(&[record(2), record(3)]);
    let both = merged(&changed, &removed, Newer::Lost);
    assert_eq!(both.text, changed);
    assert_eq!(both.conflicts, ["owner/repo#1, which the other removed"]);
    let both = merged(&removed, &changed, Newer::Lost);
    assert!(both.text.contains("\"blocked\""));
    assert_eq!(both.conflicts, ["owner/repo#1, which the other removed"]);
}

#[test]
fn what_vigil_changed_is_taken_back_where_its_owner_had_moved_the_record() {
    let base = base();
    let ours = file(&[with(1, "\"running\"", "\"success\""), record(2), record(3)]);
    let with_ours = |lost: &str, onto: &str| {
        together(&Sides {
            onto,
            onto_from: &[&base, &ours],
            lost,
            lost_from: &[&base, &ours],
            newer: Newer::Onto,
            withdraw: Some((&ours, &base)),
        })
        .unwrap()
    };
    // Another field moved: the record is not the one that was judged.
    let moved = file(&[
        with(1, NOTE, "\"x\": 1,\n    \"process_id\""),
        record(2),
        record(3),
    ]);
    let both = with_ours(&moved, &ours);
    assert!(both.text.contains("\"x\": 1"));
    assert!(!both.text.contains("\"success\""), "{}", both.text);
    assert_eq!(both.conflicts, [""; 0]);
    // Only bookkeeping moved: the move stands beside it.
    let polled = file(&[
        with(
            1,
            NOTE,
            "\"issue_comments_etag\": \"W/1\",\n    \"process_id\"",
        ),
        record(2),
        record(3),
    ]);
    let both = with_ours(&polled, &ours);
    assert!(both.text.contains("\"issue_comments_etag\": \"W/1\""));
    assert!(both.text.contains("\"success\""));
    // Another record moved.
    let other = file(&[record(1), with(2, "\"running\"", "\"closed\""), record(3)]);
    let both = with_ours(&other, &ours);
    assert!(both.text.contains("\"success\"") && both.text.contains("\"closed\""));
    // Who had seen the move and changed something else keeps it.
    let seen = ours.replace("\"exit status 1\"", "\"exit status 2\"");
    let both = with_ours(&seen, &ours);
    assert_eq!(both.text, seen);
}

#[test]
fn doubtful_records_are_left_as_they_are_and_named() {
    let twice = file(&[record(1), record(1), record(2), record(3)]);
    let changed = file(&[with(1, "\"running\"", "\"closed\""), record(2), record(3)]);
    let both = merged(&twice, &changed, Newer::Lost);
    assert_eq!(both.text, twice);
    assert_eq!(
        both.conflicts,
        ["owner/repo#1, which is there more than once"]
    );
    let unnamed = file(&["  {\"status\": \"odd\"}".to_owned()]);
    let both = merged(&base(), &unnamed, Newer::Lost);
    assert!(
        both.conflicts
            .iter()
            .any(|one| one.contains("without repository"))
    );
    assert!(
        together(&Sides {
            onto: "[{",
            onto_from: &[],
            lost: "[]",
            lost_from: &[],
            newer: Newer::Onto,
            withdraw: None,
        })
        .is_err()
    );
}
