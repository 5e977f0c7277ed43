//! How a write ended, by what its owner's record says now.

use super::*;
use crate::vigilante::testing::record;
use vigil_core::SessionId;

/// The write of `success` with two stamps over the usual record.
fn proposal() -> Proposal {
    let edits = "{\"status\": \"success\", \"ended_at\": \"2026-03-26T19:00:00Z\", \"process_id\": null, \
                 \"updated_at\": \"2026-03-26T19:00:00Z\", \"monitoring_stopped_at\": \"2026-03-26T19:00:00Z\"}";
    let before = record(1);
    let before = before.trim_start();
    Proposal {
        id: SessionId::new("vigilante", "owner/repo#1"),
        before: Record::alone(before).unwrap().revision(),
        after: Record::alone(&written()).unwrap().revision(),
        native_before: "running".to_owned(),
        native_after: "success".to_owned(),
        record_before: before.to_owned(),
        edits: edits.to_owned(),
    }
}

fn written() -> String {
    let now = "\"2026-03-26T19:00:00Z\"";
    record(1)
        .trim_start()
        .replace("\"running\"", "\"success\"")
        .replace("    \"process_id\": 999999,\n", "")
        .replace(
            "\"last_error\"",
            &format!(
                "\"ended_at\": {now},\n    \"monitoring_stopped_at\": {now},\n    \"last_error\""
            ),
        )
}

fn fate_of(record: &str) -> Fate {
    fate(&proposal(), &Record::alone(record).unwrap())
}

#[test]
fn what_it_wrote_says_that_it_was_made_whatever_else_has_changed() {
    let written = written();
    assert_eq!(fate_of(&written), Fate::Written);
    for (from, to) in [
        // A field that vigil does not know, one that it knows, one that Vigilante rewrites all the time.
        ("\"last_error\"", "\"x_note\": 1, \"last_error\""),
        ("\"exit status 1\"", "\"exit status 2\""),
        (
            "\"updated_at\": \"2026-03-26T17:11:08Z\"",
            "\"updated_at\": \"2026-03-26T19:30:00Z\"",
        ),
        // Its owner has moved it on: the stamps are vigil's.
        ("\"success\"", "\"blocked\""),
    ] {
        let changed = written.replace(from, to);
        assert_ne!(changed, written, "{from}");
        assert_eq!(fate_of(&changed), Fate::Written, "{to}");
    }
}

#[test]
fn what_is_as_it_was_says_that_it_was_not_made() {
    let before = record(1);
    let before = before.trim_start();
    assert!(matches!(fate_of(before), Fate::NotWritten(_)));
    let changed = before.replace("\"exit status 1\"", "\"exit status 2\"");
    let Fate::NotWritten(why) = fate_of(&changed) else {
        panic!();
    };
    assert!(why.contains("other fields"), "{why}");
}

#[test]
fn what_its_owner_may_have_written_itself_proves_nothing() {
    let before = record(1);
    let before = before.trim_start();
    let theirs = before.replace("\"running\"", "\"success\"");
    assert!(matches!(fate_of(&theirs), Fate::Overtaken(_)));
    let other = before.replace("\"running\"", "\"closed\"");
    assert!(matches!(fate_of(&other), Fate::Overtaken(_)));
}

#[test]
fn a_write_stands_while_all_of_its_fields_do() {
    let stands = |record: &str| still_stands(&proposal(), &Record::alone(record).unwrap());
    let written = written();
    assert!(stands(&written));
    assert!(stands(
        &written.replace("\"exit status 1\"", "\"exit status 2\"")
    ));
    assert!(!stands(&written.replace("\"success\"", "\"blocked\"")));
    assert!(!stands(record(1).trim_start()));
}
