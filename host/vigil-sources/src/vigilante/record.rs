//! `sessions.json` as text: every record and field with the bytes it stands on, so that a write can change a value
//! and leave all else as its owner spelled it. No meaning is read here; that is `convert`.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fs;
use std::ops::Range;
use std::path::Path;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use vigil_core::fact::{Gap, GapKind};
use vigil_core::session::Revision;

use crate::SourceError;
use crate::machine::open;
use crate::vigilante::identity::{self, Named};
use crate::vigilante::malformed;

/// The file's name within Vigilante's home.
pub(crate) const SESSIONS_FILE: &str = "sessions.json";

/// 1 GiB: 10,000 records with the longest issue bodies that GitHub allows stay below it, and a file beyond it would
/// only exhaust memory.
pub(crate) const FILE_BYTES_MAX: u64 = 1 << 30;

/// Fields that Vigilante rewrites on its own rounds while nothing about the session's work has changed. They are no
/// part of the revision, so that a poll between vigil's look and its write is no conflict, and an undo leaves them
/// as they are. When in doubt a field is not listed: a needless conflict costs one more look, a missed one a record.
pub(crate) const BOOKKEEPING: &[&str] = &[
    // Bumped together with any of the others, comments included; a new run also changes `started_at`.
    "updated_at",
    // Copies of the issue, fetched again every few minutes.
    "cached_issue_details",
    "issue_title",
    "issue_body",
    // When and from where comments and issues are polled next.
    "next_comment_poll_at",
    "issue_comments_etag",
    "review_comments_etag",
    "failed_poll_reconciled_at",
    "issue_lookup_failures",
    "issue_lookup_backoff_until",
    // What was last said in comments, and when, so that it is not said twice.
    "last_blocked_comment_fingerprint",
    "last_blocked_commented_at",
    "last_resume_failure_fingerprint",
    "last_resume_failure_commented_at",
    "last_dispatch_failure_fingerprint",
    "last_dispatch_failure_commented_at",
    "last_github_delay_reset_at",
    "last_github_delay_commented_at",
    "pull_request_link_attempted_for_pr",
    "pull_request_link_repaired_at",
    // The pull request's changing face, copied at each maintenance round. Its number, state and merge time are not
    // listed: vigil's own state rests on them.
    "last_maintained_at",
    "pull_request_mergeable",
    "pull_request_merge_state_status",
    "pull_request_review_decision",
    "pull_request_checks_state",
    "pull_request_status_fingerprint",
];

/// The parsed file, borrowing its text.
#[derive(Debug)]
pub(crate) struct RecordFile<'a> {
    /// The whole file.
    pub(crate) text: &'a str,
    /// In the file's order.
    pub(crate) outlines: Vec<Outline<'a>>,
}

/// One record without its fields, of which those of a whole fleet would be larger than its file.
#[derive(Debug)]
pub(crate) struct Outline<'a> {
    /// Bytes in the file, braces included.
    pub(crate) span: Range<usize>,
    /// The record as it stands in the file.
    pub(crate) raw: &'a str,
    /// Repository and issue; `None`: it does not name both.
    pub(crate) issue: Option<(String, u64)>,
    /// The second mention of a key. Such a record is never written: readers differ in which mention counts.
    pub(crate) duplicate_key: Option<DuplicateKey>,
}

/// One record, with its place in the file.
#[derive(Debug)]
pub(crate) struct Record<'a> {
    /// Bytes in the file, braces included.
    pub(crate) span: Range<usize>,
    /// The record as it stands in the file.
    pub(crate) raw: &'a str,
    /// In the record's order.
    pub(crate) fields: Vec<Field<'a>>,
    /// See [`Outline::duplicate_key`].
    pub(crate) duplicate_key: Option<DuplicateKey>,
}

/// One field, with its places in the file.
#[derive(Debug)]
pub(crate) struct Field<'a> {
    /// The key, unescaped; as it is spelled where its escapes name no character.
    pub(crate) key: Cow<'a, str>,
    /// Bytes of the key in the file, quotes included.
    pub(crate) key_span: Range<usize>,
    /// The value as it stands in the file, without the space around it.
    pub(crate) value: &'a str,
    /// Bytes of the value in the file.
    pub(crate) value_span: Range<usize>,
}

/// A key that a record holds twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DuplicateKey {
    /// As its second mention spells it.
    pub(crate) key: String,
    /// Line of the second mention, from 1.
    pub(crate) line: usize,
    /// Column of the second mention in characters, from 1.
    pub(crate) column: usize,
}

/// Reads `sessions.json` below `home`. `None`: the home is there and holds no such file, which is how Vigilante
/// leaves it until its first session.
pub(crate) fn read_text(home: &Path) -> Result<Option<String>, SourceError> {
    let path = home.join(SESSIONS_FILE);
    let io = |doing: &'static str, path: &Path| {
        let path = path.display().to_string();
        move |source| SourceError::Io {
            doing,
            path,
            source,
        }
    };
    match fs::metadata(home) {
        Ok(found) if found.is_dir() => {}
        Ok(_) => {
            return Err(SourceError::Io {
                doing: "read",
                path: home.display().to_string(),
                source: std::io::ErrorKind::NotADirectory.into(),
            });
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(SourceError::Missing {
                path: home.display().to_string(),
            });
        }
        Err(error) => return Err(io("read", home)(error)),
    }
    let bytes = match open::read(&path, FILE_BYTES_MAX) {
        Ok(bytes) => bytes,
        Err(trouble) if trouble.is_gone() => {
            // A link that leads nowhere is not an empty home: its target may be an unmounted folder.
            return match fs::symlink_metadata(&path) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
                _ => Err(SourceError::Missing {
                    path: path.display().to_string(),
                }),
            };
        }
        Err(trouble) => return Err(io("read", &path)(trouble.into_bare())),
    };
    String::from_utf8(bytes).map(Some).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        malformed::not_utf8(&path, error.as_bytes(), valid)
    })
}

impl<'a> RecordFile<'a> {
    /// Parses `text`, which was read from `path`: an array of objects, or `null`, which is how Go spells an array
    /// that was never made.
    pub(crate) fn parse(path: &Path, text: &'a str) -> Result<Self, SourceError> {
        let elements: Option<Vec<&'a RawValue>> =
            serde_json::from_str(text).map_err(|error| malformed::not_json(path, text, &error))?;
        let mut lines = Lines::new(text);
        let outlines = elements
            .unwrap_or_default()
            .into_iter()
            .map(|element| {
                let span = span_in(text, element.get());
                let record = Record::parse(text, span.clone(), &mut lines);
                record
                    .map(Outline::of)
                    .map_err(|what| malformed::malformed(path, position(text, span.start), &what))
            })
            .collect::<Result<_, _>>()?;
        Ok(RecordFile { text, outlines })
    }

    /// The record at this place, with its fields.
    pub(crate) fn record(&self, at: usize) -> Option<Record<'a>> {
        self.outlines.get(at).map(Outline::record)
    }

    /// Every record with its fields: for the few of a test.
    #[cfg(test)]
    pub(crate) fn records(&self) -> Vec<Record<'a>> {
        self.outlines.iter().map(Outline::record).collect()
    }

    /// Repository and issue of each record, in the file's order.
    pub(crate) fn issues(&self) -> Vec<Option<(String, u64)>> {
        self.outlines.iter().map(|one| one.issue.clone()).collect()
    }

    /// What the records are called, in the file's order.
    pub(crate) fn names(&self) -> Vec<Named> {
        identity::names(self.outlines.iter().map(|one| borrowed(&one.issue)))
    }
}

/// [`Outline::issue`], or a copy of it, without its ownership.
pub(crate) fn borrowed(issue: &Option<(String, u64)>) -> Option<(&str, u64)> {
    issue
        .as_ref()
        .map(|(repo, number)| (repo.as_str(), *number))
}

impl<'a> Outline<'a> {
    fn of(record: Record<'a>) -> Self {
        Outline {
            issue: record.issue(),
            span: record.span,
            raw: record.raw,
            duplicate_key: record.duplicate_key,
        }
    }

    /// The whole record.
    pub(crate) fn record(&self) -> Record<'a> {
        Record {
            span: self.span.clone(),
            raw: self.raw,
            // They could be read when the outline was made of them.
            fields: fields(self.raw, self.span.start).unwrap_or_default(),
            duplicate_key: self.duplicate_key.clone(),
        }
    }
}

impl<'a> Record<'a> {
    /// The record that stands at `span` of `text`.
    fn parse(text: &'a str, span: Range<usize>, lines: &mut Lines<'a>) -> Result<Self, String> {
        let raw = &text[span.clone()];
        if !raw.starts_with('{') {
            return Err(
                "a session that is not an object: take it out, or put a copy back (`vigil doctor` says where vigil keeps some)"
                    .to_owned(),
            );
        }
        let fields = fields(raw, span.start)?;
        let mut folded: HashSet<Cow<'_, str>> = HashSet::with_capacity(fields.len());
        // Go takes a key for a field whatever its case, so that `Status` beside `status` is a second mention.
        let twice = fields.iter().find(|field| !folded.insert(fold(&field.key)));
        let duplicate_key = twice.map(|field| {
            let (line, column) = lines.position(field.key_span.start);
            DuplicateKey {
                key: field.key.clone().into_owned(),
                line,
                column,
            }
        });
        Ok(Record {
            span,
            raw,
            fields,
            duplicate_key,
        })
    }

    /// The record that `raw` is, alone: the place of a key that comes twice is told within it.
    pub(crate) fn alone(raw: &'a str) -> Result<Self, String> {
        Record::parse(raw, 0..raw.len(), &mut Lines::new(raw))
    }

    /// The field `name`, the first where there are several.
    pub(crate) fn field(&self, name: &str) -> Option<&Field<'a>> {
        self.fields.iter().find(|field| field.key == name)
    }

    /// The text in `name`; `None` where it is missing, `null` or empty, which is all the same to Vigilante.
    pub(crate) fn text(&self, name: &str) -> Result<Option<String>, Gap> {
        let text: Option<String> = self.value(name, "a text")?;
        Ok(text.filter(|text| !text.is_empty()))
    }

    /// The whole number in `name`; `None` where it is missing, `null` or zero, which is all the same to Vigilante.
    pub(crate) fn number(&self, name: &str) -> Result<Option<u64>, Gap> {
        let number: Option<u64> = self.value(name, "a whole number")?;
        Ok(number.filter(|number| *number != 0))
    }

    /// The flag in `name`; false where it is missing or `null`.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, Gap> {
        let flag: Option<bool> = self.value(name, "true or false")?;
        Ok(flag.unwrap_or(false))
    }

    fn value<T: serde::de::DeserializeOwned>(
        &self,
        name: &str,
        wanted: &str,
    ) -> Result<Option<T>, Gap> {
        let Some(field) = self.field(name) else {
            return Ok(None);
        };
        serde_json::from_str(field.value).map_err(|_| {
            let shown = excerpt(field.value);
            Gap::new(
                GapKind::Malformed,
                format!("`{name}` is {shown}, which is not {wanted}"),
            )
        })
    }

    /// Repository and issue; `None`: it does not name both.
    pub(crate) fn issue(&self) -> Option<(String, u64)> {
        let repo = self.text("repo").ok().flatten()?;
        let issue = self.number("issue_number").ok().flatten()?;
        Some((repo, issue))
    }

    /// The digest of what the record means to its owner, [`BOOKKEEPING`] left out: equal after the owner has written
    /// the same record again with other spacing, other escapes, another order of keys, or without its empty fields.
    pub(crate) fn revision(&self) -> Revision {
        let mut fields: Vec<(&str, Cow<'_, str>)> = self
            .fields
            .iter()
            .filter(|field| !BOOKKEEPING.contains(&field.key.as_ref()))
            .map(|field| (field.key.as_ref(), canonical(field.value)))
            .filter(|(_, value)| !is_empty(value))
            .collect();
        fields.sort();
        let mut digest = Sha256::new();
        for (key, value) in fields {
            // Lengths first, so that no two records share a digest by moving bytes from a key to its value.
            digest.update((key.len() as u64).to_be_bytes());
            digest.update(key);
            digest.update((value.len() as u64).to_be_bytes());
            digest.update(value.as_bytes());
        }
        Revision(hex::encode(digest.finalize()))
    }
}

/// The fields of the object `raw`, which stands at byte `start` of its file.
fn fields(raw: &str, start: usize) -> Result<Vec<Field<'_>>, String> {
    let mut deserializer = serde_json::Deserializer::from_str(raw);
    let pairs = deserializer
        .deserialize_map(Pairs)
        .map_err(|error| error.to_string())?;
    let place = |part: &str| {
        let span = span_in(raw, part);
        start + span.start..start + span.end
    };
    Ok(pairs
        .into_iter()
        .map(|(key, value)| Field {
            key: unescape(key.get()),
            key_span: place(key.get()),
            value: value.get(),
            value_span: place(value.get()),
        })
        .collect())
}

/// Collects an object's keys and values as they are spelled.
struct Pairs;

impl<'de> Visitor<'de> for Pairs {
    type Value = Vec<(&'de RawValue, &'de RawValue)>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(pairs)
    }
}

/// Where `part`, a slice of `text`, begins and ends in it.
fn span_in(text: &str, part: &str) -> Range<usize> {
    let start = (part.as_ptr() as usize).saturating_sub(text.as_ptr() as usize);
    start..start + part.len()
}

/// Line and column of byte `offset`, both from 1, the column in characters.
pub(crate) fn position(text: &str, offset: usize) -> (usize, usize) {
    Lines::new(text).position(offset)
}

/// Finds lines of growing offsets in one walk over the text.
struct Lines<'a> {
    text: &'a str,
    line: usize,
    line_start: usize,
    seen: usize,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str) -> Self {
        Lines {
            text,
            line: 1,
            line_start: 0,
            seen: 0,
        }
    }

    /// Assumes that no earlier call asked for a larger offset.
    fn position(&mut self, offset: usize) -> (usize, usize) {
        let offset = offset.min(self.text.len());
        for (at, byte) in self.text.as_bytes()[self.seen..offset].iter().enumerate() {
            if *byte == b'\n' {
                self.line += 1;
                self.line_start = self.seen + at + 1;
            }
        }
        self.seen = offset;
        let column = self.text[self.line_start..offset].chars().count() + 1;
        (self.line, column)
    }
}

/// A JSON string without its quotes and escapes, or as it is spelled where an escape names no character.
fn unescape(raw: &str) -> Cow<'_, str> {
    let inner = raw
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .unwrap_or(raw);
    if !inner.contains('\\') {
        return Cow::Borrowed(inner);
    }
    serde_json::from_str::<String>(raw).map_or(Cow::Borrowed(inner), Cow::Owned)
}

/// The key as Go compares it: case folded, with the two characters outside ASCII that fold into it.
fn fold(key: &str) -> Cow<'_, str> {
    let is_folded = |byte: u8| byte.is_ascii() && !byte.is_ascii_uppercase();
    if key.bytes().all(is_folded) {
        return Cow::Borrowed(key);
    }
    key.chars()
        .map(|c| match c {
            '\u{212a}' => 'k',
            '\u{17f}' => 's',
            c => c.to_ascii_lowercase(),
        })
        .collect()
}

/// A JSON value without insignificant space, its strings in one spelling. Numbers stay as they are written.
pub(crate) fn canonical(raw: &str) -> Cow<'_, str> {
    // Most values are numbers, words and strings without escapes, which have no other spelling.
    let is_plain = match raw.as_bytes() {
        [b'"', ..] => !raw.contains('\\'),
        _ => !raw.contains(|c: char| c == '"' || c.is_ascii_whitespace()),
    };
    if is_plain {
        return Cow::Borrowed(raw);
    }
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(c) = rest.chars().next() {
        if c == '"' {
            let end = string_end(rest);
            let spelled = &rest[..end];
            if spelled.contains('\\') {
                let same = serde_json::from_str::<String>(spelled)
                    .and_then(|text| serde_json::to_string(&text));
                out.push_str(same.as_deref().unwrap_or(spelled));
            } else {
                out.push_str(spelled);
            }
            rest = &rest[end..];
            continue;
        }
        if !c.is_ascii_whitespace() {
            out.push(c);
        }
        rest = &rest[c.len_utf8()..];
    }
    Cow::Owned(out)
}

/// Where the JSON string at the start of `text` ends, closing quote included.
fn string_end(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// What Vigilante leaves out when it writes a record, or writes as an empty object for want of a way to leave it out.
pub(crate) fn is_empty(canonical: &str) -> bool {
    matches!(canonical, "\"\"" | "0" | "false" | "null" | "[]" | "{}")
}

/// The start of a value, for messages: short, and on one line.
pub(crate) fn excerpt(value: &str) -> String {
    const CHARS_MAX: usize = 40;
    let line: String = value
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(CHARS_MAX)
        .collect();
    if line.len() < value.len() {
        format!("{line}...")
    } else {
        line
    }
}

#[cfg(test)]
mod tests;
