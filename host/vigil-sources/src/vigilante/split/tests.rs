//! Where records begin and end, however the file is laid out and read.

use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::vigilante::record::RecordFile;

/// Gives a few bytes at a time, as a slow disk or an interrupted read does.
struct Trickle<'a> {
    left: &'a [u8],
    step: usize,
}

impl Read for Trickle<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.step.min(into.len()).min(self.left.len());
        let (now, later) = self.left.split_at(count);
        into[..count].copy_from_slice(now);
        self.left = later;
        Ok(count)
    }
}

fn spans(text: &[u8], step: usize) -> Result<Vec<Range<usize>>, Doubt> {
    let mut found = Vec::new();
    split(Trickle { left: text, step }, |start, bytes| {
        let start = usize::try_from(start).expect("small");
        assert_eq!(&text[start..start + bytes.len()], bytes);
        found.push(start..start + bytes.len());
        Ok(())
    })?;
    Ok(found)
}

fn expected(text: &str) -> Vec<Range<usize>> {
    let file = RecordFile::parse(Path::new("f"), text).expect("it parses");
    file.outlines
        .iter()
        .map(|record| record.span.clone())
        .collect()
}

#[test]
fn records_are_where_the_whole_reader_finds_them() {
    let texts = [
        "[]",
        " [ ]\n",
        "[{}]",
        "[{},{ }\n,\t{}]\r\n",
        r#"[{"a":"}","b":["]",{"c":"\\"}],"\"{":"\\\""}, {"d":{"e":{}}}]"#,
        "[{\"ü\":\"\u{2028}\u{1f600}\"}]",
    ];
    for text in texts {
        for step in [1, 2, 3, 1000] {
            assert_eq!(
                spans(text.as_bytes(), step).expect("it splits"),
                expected(text),
                "{text}"
            );
        }
    }
}

#[test]
fn records_longer_than_a_chunk_come_whole() {
    let long = "x\\\"".repeat(CHUNK_BYTES);
    let text = format!("[{{\"a\":1}},\n{{\"b\":\"{long}\"}},{{\"c\":[\"{long}\"]}}, {{}}]");
    let found = spans(text.as_bytes(), usize::MAX).expect("it splits");
    assert_eq!(found, expected(&text));
}

#[test]
fn whatever_is_no_plain_array_of_objects_is_a_doubt() {
    let texts = [
        "",
        " ",
        "null",
        "{}",
        "[",
        "[{}",
        "[{},",
        "[{},]",
        "[,{}]",
        "[{} {}]",
        "[{}]]",
        "[{}] x",
        "[7]",
        "[\"a\"]",
        "[[{}]]",
        "[{\"a\":\"]",
        "[{\"a\":\"\\",
        "\u{feff}[]",
    ];
    for text in texts {
        for step in [1, 1000] {
            assert!(spans(text.as_bytes(), step).is_err(), "{text}");
        }
    }
}

#[test]
fn a_reader_that_fails_is_a_doubt() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("gone"))
        }
    }
    assert!(split(Broken, |_, _| Ok(())).is_err());
}

proptest! {
    /// Any bytes at all: no panic, and what is split and parses piece by piece is what the whole reader finds.
    #[test]
    fn any_text_is_split_as_the_whole_reader_does(
        text in r#"\[?( |\{|\}|\[|\]|,|:|"|\\|a|1|ü|\{\}|"a":1){0,24}\]?"#,
        step in 1..4usize,
    ) {
        let whole = RecordFile::parse(Path::new("f"), &text);
        match (spans(text.as_bytes(), step), whole) {
            (Ok(spans), Ok(file)) => {
                let expected: Vec<_> = file.outlines.iter().map(|one| one.span.clone()).collect();
                prop_assert_eq!(spans, expected);
            }
            // A piece is then no object, which its parser says.
            (Ok(spans), Err(_)) => {
                let wrong = spans
                    .into_iter()
                    .any(|span| crate::vigilante::record::Record::alone(&text[span]).is_err());
                prop_assert!(wrong);
            }
            (Err(Doubt), Ok(file)) => prop_assert!(file.outlines.is_empty()),
            (Err(Doubt), Err(_)) => {}
        }
    }
}
