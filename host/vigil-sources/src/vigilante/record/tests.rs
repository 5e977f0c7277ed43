//! The text of `sessions.json`, odd spellings and broken files included.

use std::path::Path;

use super::*;

fn parse(text: &str) -> RecordFile<'_> {
    RecordFile::parse(Path::new("/h/sessions.json"), text).expect("it parses")
}

fn revision(record: &str) -> Revision {
    parse(&format!("[{record}]")).records()[0].revision()
}

#[test]
fn spans_give_back_the_bytes_they_stand_on() {
    let text =
        "[\n  { \"repo\" :\"a/b\",\r\n\"n\\u0061me\": [1, {\"x\":2}] ,\"ü\":1.50e3},\n {}\n]\n";
    let file = parse(text);
    assert_eq!(file.records().len(), 2);
    let record = &file.records()[0];
    assert_eq!(&text[record.span.clone()], record.raw);
    assert!(record.raw.starts_with('{') && record.raw.ends_with('}'));
    let seen: Vec<_> = record
        .fields
        .iter()
        .map(|field| {
            assert_eq!(&text[field.value_span.clone()], field.value);
            (
                field.key.as_ref(),
                &text[field.key_span.clone()],
                field.value,
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            ("repo", "\"repo\"", "\"a/b\""),
            ("name", "\"n\\u0061me\"", "[1, {\"x\":2}]"),
            ("ü", "\"ü\"", "1.50e3"),
        ]
    );
    assert_eq!(&text[file.records()[1].span.clone()], "{}");
}

#[test]
fn no_records_are_an_empty_array_or_go_s_null() {
    assert!(parse("[]\n").records().is_empty());
    assert!(parse(" null ").records().is_empty());
}

#[test]
fn a_corrupt_file_is_named_with_line_and_column() {
    let cases = [
        ("", 1, 1),
        ("[\n  {\"repo\": \"a/b\",\n", 3, 1),
        ("[{\"repo\": }]", 1, 11),
        ("{\"repo\":\"a/b\"}", 1, 1),
        ("[{}, 7]", 1, 6),
        ("[{}] trailing", 1, 6),
        ("[{}\n{}]", 2, 1),
    ];
    for (text, line, column) in cases {
        match RecordFile::parse(Path::new("/h/sessions.json"), text) {
            Err(SourceError::Malformed {
                path,
                line: l,
                column: c,
                ..
            }) => {
                assert_eq!(path, "/h/sessions.json");
                assert_eq!(l, line, "line of {text:?}");
                assert!(c.abs_diff(column) <= 1, "column {c} of {text:?}");
            }
            other => panic!("{text:?} gave {other:?}"),
        }
    }
}

#[test]
fn a_key_that_comes_twice_is_found_whatever_its_spelling() {
    for (text, line, column) in [
        ("[{\"a\":1,\"b\":2,\"a\":3}]", 1, 15),
        ("[{\"a\":1,\n \"\\u0061\":3}]", 2, 2),
        ("[{\"status\":1,\n \"Status\":3}]", 2, 2),
        ("[{},\n{\"ü\":\"ü\", \"ü\":3}]", 2, 11),
    ] {
        let file = parse(text);
        let record = file.records().pop().expect("a record");
        let duplicate = record.duplicate_key.as_ref().expect("a duplicate");
        assert_eq!((duplicate.line, duplicate.column), (line, column), "{text}");
    }
    assert_eq!(
        parse("[{\"a\":{\"a\":1}}]").records()[0].duplicate_key,
        None
    );
}

#[test]
fn ids_are_distinct_and_duplicates_are_counted_across_spellings() {
    let file = parse(
        r#"[{"repo":"a/b","issue_number":1},{"repo":"a/b","issue_number":2},{"repo":"A/b","issue_number":1},
            {"repo":"a/b"},{"issue_number":1},{"repo":7,"issue_number":1},
            {"repo":"a/b\u001b[2J","issue_number":1}]"#,
    );
    let names = file.names();
    let (ids, copies): (Vec<_>, Vec<_>) = names
        .iter()
        .map(|named| (named.id.as_str(), named.copies))
        .unzip();
    assert_eq!(
        ids,
        [
            "a/b#1", "a/b#2", "A/b#1@2", "record-4", "record-5", "record-6", "record-7"
        ]
    );
    assert_eq!(copies, [2, 1, 2, 1, 1, 1, 1]);
}

#[test]
fn typed_access_tells_missing_from_malformed() {
    let file = parse(r#"[{"t":"x","e":"","n":7,"z":0,"f":true,"o":{},"nul":null,"neg":-1}]"#);
    let record = &file.records()[0];
    assert_eq!(record.text("t"), Ok(Some("x".to_owned())));
    for name in ["e", "nul", "missing"] {
        assert_eq!(record.text(name), Ok(None));
    }
    assert_eq!(record.number("n"), Ok(Some(7)));
    assert_eq!(record.number("z"), Ok(None));
    assert_eq!(record.flag("f"), Ok(true));
    assert_eq!(record.flag("missing"), Ok(false));
    for gap in [
        record.text("n").expect_err("a number is no text"),
        record.number("t").expect_err("a text is no number"),
        record.number("neg").expect_err("below zero"),
        record.flag("o").expect_err("an object is no flag"),
    ] {
        assert_eq!(gap.kind, GapKind::Malformed);
    }
}

#[test]
fn the_revision_is_of_what_the_record_means() {
    let record =
        r#"{"repo":"a/b","status":"running","blocked_reason":{},"last_error":"<x>","n":1}"#;
    for same in [
        r#"{ "status": "running", "repo":"a/b", "n":1,"last_error":"\u003cx\u003e" }"#,
        r#"{"repo":"a/b","status":"running","blocked_reason":{ },"last_error":"<x>","n":1,"process_id":0}"#,
        r#"{"repo":"a/b","status":"running","last_error":"<x>","n":1,"updated_at":"z","issue_body":"y"}"#,
    ] {
        assert_eq!(revision(record), revision(same), "{same}");
    }
    for other in [
        r#"{"repo":"a/b","status":"closed","last_error":"<x>","n":1}"#,
        r#"{"repo":"a/b","status":"running","last_error":"< x>","n":1}"#,
        r#"{"repo":"a/b","status":"running","last_error":"<x>","n":1.0}"#,
        r#"{"repo":"a/b","status":"running","last_error":"<x>","n":1,"unknown_key":"v"}"#,
        r#"{"repo":"a/b","status":"running","last_error":"<x>","n":1,"last_heartbeat_at":"v"}"#,
    ] {
        assert_ne!(revision(record), revision(other), "{other}");
    }
}

#[test]
fn a_missing_home_is_an_error_and_a_home_without_sessions_is_empty() {
    let folder = tempfile::tempdir().expect("a folder");
    let home = folder.path().join("none");
    assert!(matches!(
        read_text(&home),
        Err(SourceError::Missing { path }) if path.ends_with("/none")
    ));
    assert!(matches!(read_text(folder.path()), Ok(None)));
    let file = folder.path().join(SESSIONS_FILE);
    std::os::unix::fs::symlink(folder.path().join("gone"), &file).expect("a link");
    assert!(matches!(
        read_text(folder.path()),
        Err(SourceError::Missing { .. })
    ));
    std::fs::remove_file(&file).expect("the link goes");
    std::fs::create_dir(&file).expect("a folder of that name");
    assert!(matches!(
        read_text(folder.path()),
        Err(SourceError::Io { .. })
    ));
    std::fs::remove_dir(&file).expect("the folder goes");
    std::fs::write(&file, b"[\n {\"repo\":\"\xff\"}]").expect("a file");
    match read_text(folder.path()) {
        Err(SourceError::Malformed { line, column, .. }) => assert_eq!((line, column), (2, 11)),
        other => panic!("{other:?}"),
    }
}
