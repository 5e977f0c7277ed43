//! What is wrong with a file of records, in people's words, and what to do about it. Pure.

use std::collections::HashMap;
use std::path::Path;

use serde_json::value::RawValue;

use crate::SourceError;
use crate::vigilante::record::position;

/// How the lines begin with which git marks a conflict.
const CONFLICT_MARKS: [&str; 3] = ["<<<<<<< ", ">>>>>>> ", "======="];

/// The error of a file at `path` whose `bytes` are no UTF-8.
pub(super) fn not_utf8(path: &Path, bytes: &[u8], valid: usize) -> SourceError {
    let utf16 = matches!(bytes, [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..]);
    if utf16 {
        let what =
            "it is UTF-16, and Vigilante reads UTF-8: save it as UTF-8 without a byte order mark";
        return malformed(path, (1, 1), what);
    }
    let before = String::from_utf8_lossy(&bytes[..valid]);
    let place = position(&before, before.len());
    malformed(
        path,
        place,
        "a byte that is not UTF-8: save the file as UTF-8",
    )
}

/// The error of a file at `path` whose `text` is not the JSON that it should be.
pub(super) fn not_json(path: &Path, text: &str, error: &serde_json::Error) -> SourceError {
    let (place, what) = known(text, error).unwrap_or_else(|| {
        let what = error.to_string();
        let what = what.split(" at line ").next().unwrap_or("not JSON");
        (
            (error.line().max(1), error.column().max(1)),
            what.to_owned(),
        )
    });
    malformed(path, place, &what)
}

/// The error of a record at `path` that is none.
pub(super) fn malformed(path: &Path, (line, column): (usize, usize), what: &str) -> SourceError {
    SourceError::Malformed {
        path: path.display().to_string(),
        line,
        column,
        what: format!(
            "{what}; nothing is read from or written to this file until Vigilante or a person repairs it"
        ),
    }
}

/// Line and column, both from 1, with what is wrong there and what to do; `None`: only the parser knows.
fn known(text: &str, error: &serde_json::Error) -> Option<((usize, usize), String)> {
    let at_error = (error.line().max(1), error.column().max(1));
    if text.trim().is_empty() {
        let what = match text.is_empty() {
            true => "it is empty",
            false => "there is nothing but white space in it",
        };
        let what = format!(
            "{what}: put a copy back (`vigil doctor` says where vigil keeps some), or write [] for a fleet without sessions"
        );
        return Some(((1, 1), what));
    }
    if text.bytes().all(|byte| byte == 0) {
        let what = "it holds nothing but zero bytes, as a file does that a power cut met: put a copy back (`vigil doctor` says where vigil keeps some)";
        return Some(((1, 1), what.to_owned()));
    }
    if text.starts_with('\u{feff}') {
        let what = "it begins with a byte order mark, which Vigilante cannot read: save it as UTF-8 without one";
        return Some(((1, 1), what.to_owned()));
    }
    if text.starts_with('\0') || text.get(1..2) == Some("\0") {
        let what = "it is UTF-16, and Vigilante reads UTF-8: save it as UTF-8";
        return Some(((1, 1), what.to_owned()));
    }
    let marked = text
        .lines()
        .position(|line| CONFLICT_MARKS.iter().any(|mark| line.starts_with(mark)));
    if let Some(line) = marked {
        let what = "a mark of a merge that was not finished: keep one of the two sides, and remove the lines that begin with <<<<<<<, ======= and >>>>>>>";
        return Some(((line + 1, 1), what.to_owned()));
    }
    if text.trim_start().starts_with('{') {
        let from = text.len() - text.trim_start().len();
        // A record alone, or one with everything around it that somebody thought of.
        let is_record = serde_json::from_str::<HashMap<&str, &RawValue>>(text)
            .is_ok_and(|object| object.contains_key("repo") || object.contains_key("issue_number"));
        let what = match is_record {
            true => "a record where the list of sessions belongs: put it into [ and ]",
            false => {
                "an object where the list of sessions belongs: leave the list alone in the file, from its [ to its ], or put a copy back (`vigil doctor` says where vigil keeps some)"
            }
        };
        return Some((position(text, from), what.to_owned()));
    }
    if error.is_eof() {
        let what = "the file ends in the middle of a record, so that it was cut off: put a copy back (`vigil doctor` says where vigil keeps some)";
        return Some((at_error, what.to_owned()));
    }
    if upto(text, at_error).trim_end().trim_end_matches(',').len() + 1
        < upto(text, at_error).trim_end().len()
    {
        let what = "two commas with nothing between them: remove one";
        return Some((at_error, what.to_owned()));
    }
    // The parser names the closing bracket, or what stands before it.
    let (line, column) = at_error;
    if [column, column + 1]
        .into_iter()
        .any(|column| ends_with_a_comma(upto(text, (line, column))))
    {
        let what = "a comma with nothing behind it: remove it";
        return Some((at_error, what.to_owned()));
    }
    None
}

/// `text` up to a place, line and column from 1 in bytes, with what stands there.
fn upto(text: &str, (line, column): (usize, usize)) -> &str {
    let before: usize = text
        .split_inclusive('\n')
        .take(line - 1)
        .map(str::len)
        .sum();
    &text[..text.ceil_char_boundary(before.saturating_add(column))]
}

/// Whether a list or an object is closed right after a comma.
fn ends_with_a_comma(text: &str) -> bool {
    let inner = text.trim_end().strip_suffix([']', '}']);
    inner.is_some_and(|inner| inner.trim_end().ends_with(','))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vigilante::record::RecordFile;

    #[test]
    fn each_way_to_spoil_the_file_has_its_words_and_its_remedy() {
        let cases = [
            ("", "1:1: it is empty: put a copy back"),
            (" \n", "1:1: there is nothing but white space in it: put"),
            ("\u{feff}[]", "1:1: it begins with a byte order mark"),
            ("[\0]\0", "1:1: it is UTF-16"),
            (
                "[\n<<<<<<< HEAD\n{}\n=======\n{}\n>>>>>>> b\n]",
                "2:1: a mark of a merge that was not finished: keep one",
            ),
            (
                "\n {\"repo\":\"a/b\"}",
                "2:2: a record where the list of sessions belongs: put it into [ and ]",
            ),
            (
                "{\"sessions\": []}",
                "1:1: an object where the list of sessions belongs: leave the list alone",
            ),
            ("\0\0\0\0", "1:1: it holds nothing but zero bytes"),
            (
                "[{\"repo\":\"a/b\"",
                "1:14: the file ends in the middle of a record",
            ),
            ("[{}", "1:3: the file ends in the middle of a record"),
            ("[{},]", "1:5: a comma with nothing behind it: remove it"),
            (
                "[{\"a\":1,}]",
                "1:9: a comma with nothing behind it: remove it",
            ),
            (
                "[{\"a\":1,,\"b\":2}]",
                "1:9: two commas with nothing between them: remove one",
            ),
            ("[{} {}]", "1:5: expected `,` or `]`"),
        ];
        for (text, words) in cases {
            let Err(error) = RecordFile::parse(Path::new("sessions.json"), text) else {
                panic!("{text:?} is read");
            };
            let said = error.to_string();
            let expected = format!("sessions.json:{words}");
            assert!(said.starts_with(&expected), "{text:?}: {said}");
            assert!(
                said.ends_with("until Vigilante or a person repairs it"),
                "{said}"
            );
        }
        for bytes in [&b"\xff\xfe[\0]\0"[..], b"\xfe\xff\0[\0]"] {
            let said = not_utf8(Path::new("s"), bytes, 0).to_string();
            assert!(said.starts_with("s:1:1: it is UTF-16"), "{said}");
        }
        let said = not_utf8(Path::new("s"), b"[\n \xff]", 3).to_string();
        assert!(
            said.starts_with("s:2:2: a byte that is not UTF-8"),
            "{said}"
        );
    }

    #[test]
    fn a_mark_within_a_text_is_no_conflict() {
        assert!(RecordFile::parse(Path::new("s"), r#"[{"a":"<<<<<<< HEAD"}]"#).is_ok());
        assert!(RecordFile::parse(Path::new("s"), "null").is_ok());
    }
}
