//! Changes to `sessions.json` by byte spans. Nothing is serialised again: the order of keys, keys that vigil does not
//! know, the spelling of numbers and escapes, indentation and the last newline stay as their owner wrote them.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::Range;
use std::path::Path;

use crate::vigilante::record::{Record, RecordFile};

/// One change to one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Edit {
    /// The field gets this value, and is added after the last one where it is missing.
    Set {
        /// Unescaped.
        key: String,
        /// JSON, put into the file to the letter.
        value: String,
    },
    /// The field is taken out, which Vigilante reads as empty.
    Remove {
        /// Unescaped.
        key: String,
    },
}

impl Edit {
    /// The field that changes.
    pub(crate) fn key(&self) -> &str {
        match self {
            Edit::Set { key, .. } | Edit::Remove { key } => key,
        }
    }
}

/// The text of `file` with `edits` made: for each record, by its index in the file, what changes in it.
///
/// Guarantees: every byte outside the values, keys and commas that an edit names is as it was; the work grows with
/// the length of the text and the number of edits alone. Assumes valid JSON in every value, at most one entry for a
/// record and one edit for a field (of several the last counts), and no record with a duplicate key.
pub(crate) fn apply(file: &RecordFile<'_>, edits: &[(usize, Vec<Edit>)]) -> String {
    let mut order: Vec<&(usize, Vec<Edit>)> = edits.iter().collect();
    order.sort_by_key(|(index, _)| *index);
    let mut out = String::with_capacity(file.text.len() + 512 * order.len());
    let mut copied = 0;
    for (index, edits) in order {
        let Some(record) = file.record(*index) else {
            continue;
        };
        for (span, replacement) in splices(file.text, &record, edits) {
            out.push_str(&file.text[copied..span.start]);
            out.push_str(&replacement);
            copied = span.end;
        }
    }
    out.push_str(&file.text[copied..]);
    out
}

/// The text of `file` without the records at the places `removed`, and with the records `added` after the last: each
/// as it stood in a text of the same writer. The space between records stays as it is.
pub(crate) fn with_records(
    file: &RecordFile<'_>,
    removed: &BTreeSet<usize>,
    added: &[&str],
) -> String {
    let text = file.text;
    let spans: Vec<&Range<usize>> = file.outlines.iter().map(|one| &one.span).collect();
    let (Some(first), Some(last)) = (spans.first(), spans.last()) else {
        return match added {
            [] => text.to_owned(),
            added => format!("[\n  {}\n]\n", added.join(",\n  ")),
        };
    };
    // What stands before the first record on its line, and between two.
    let usual = match spans.as_slice() {
        [.., before, last] => &text[before.end..last.start],
        _ => ",\n  ",
    };
    let kept = (0..spans.len())
        .filter(|at| !removed.contains(at))
        .map(|at| {
            let between = match at {
                0 => usual,
                at => &text[spans[at - 1].end..spans[at].start],
            };
            (between, &text[spans[at].clone()])
        });
    let all = kept.chain(added.iter().map(|record| (usual, *record)));
    if removed.len() == spans.len() && added.is_empty() {
        let (before, after) = (&text[..first.start], &text[last.end..]);
        return format!("{}{}", before.trim_end(), after.trim_start());
    }
    let mut out = text[..first.start].to_owned();
    for (number, (between, record)) in all.enumerate() {
        if number > 0 {
            out.push_str(between);
        }
        out.push_str(record);
    }
    out.push_str(&text[last.end..]);
    out
}

/// `record` alone with `edits` made.
pub(crate) fn apply_to_record(text: &str, record: &Record<'_>, edits: &[Edit]) -> String {
    let mut out = String::with_capacity(record.raw.len() + 512);
    let mut copied = record.span.start;
    for (span, replacement) in splices(text, record, edits) {
        out.push_str(&text[copied..span.start]);
        out.push_str(&replacement);
        copied = span.end;
    }
    out.push_str(&text[copied..record.span.end]);
    out
}

/// An object as the value of a field, laid out as `record` is: over several lines where the record is.
pub(crate) fn object(text: &str, record: &Record<'_>, members: &[(&str, String)]) -> String {
    let style = Style::of(text, record);
    let (open, between, close) = match style.lead.rfind('\n') {
        Some(newline) if !members.is_empty() => {
            let newline_bytes = if style.lead[..newline].ends_with('\r') {
                "\r\n"
            } else {
                "\n"
            };
            let indent = &style.lead[newline + 1..];
            // One step is what the fields are set in from their record's closing brace.
            let step = indent.strip_prefix(style.closing_indent).unwrap_or("  ");
            let inner = format!("{newline_bytes}{indent}{step}");
            (
                inner.clone(),
                format!(",{inner}"),
                format!("{newline_bytes}{indent}"),
            )
        }
        _ => (String::new(), format!(",{}", style.lead), String::new()),
    };
    let members: Vec<String> = members
        .iter()
        .map(|(key, value)| format!("{}{}{value}", quote(key), style.colon))
        .collect();
    format!("{{{open}{}{close}}}", members.join(&between))
}

/// `text` as a JSON string.
pub(crate) fn quote(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// `edits` as a JSON object from field to raw value, `null` for a field that is taken out.
pub(crate) fn to_json(edits: &[Edit]) -> String {
    let members: Vec<String> = edits
        .iter()
        .map(|edit| match edit {
            Edit::Set { key, value } => format!("{}: {value}", quote(key)),
            Edit::Remove { key } => format!("{}: null", quote(key)),
        })
        .collect();
    format!("{{{}}}", members.join(", "))
}

/// The edits that [`to_json`] wrote, in their order.
///
/// # Errors
/// What is wrong with `json`, in words.
pub(crate) fn from_json(json: &str) -> Result<Vec<Edit>, String> {
    let text = format!("[{json}]");
    let file = RecordFile::parse(Path::new("edits"), &text).map_err(|error| error.to_string())?;
    let [record] = file.outlines.as_slice() else {
        return Err("edits are not one JSON object".to_owned());
    };
    if let Some(twice) = &record.duplicate_key {
        return Err(format!("edits name `{}` twice", twice.key));
    }
    Ok(record
        .record()
        .fields
        .iter()
        .map(|field| {
            let key = field.key.clone().into_owned();
            match field.value {
                "null" => Edit::Remove { key },
                value => Edit::Set {
                    key,
                    value: value.to_owned(),
                },
            }
        })
        .collect())
}

/// What to put in place of which bytes, in the file's order and without overlaps.
fn splices(text: &str, record: &Record<'_>, edits: &[Edit]) -> Vec<(Range<usize>, String)> {
    let wanted: HashMap<&str, &Edit> = edits.iter().map(|edit| (edit.key(), edit)).collect();
    let present: HashSet<&str> = record.fields.iter().map(|f| f.key.as_ref()).collect();
    let style = Style::of(text, record);
    let mut named = HashSet::new();
    let added: Vec<String> = edits
        .iter()
        .filter(|edit| !present.contains(edit.key()) && named.insert(edit.key()))
        .filter_map(|edit| match wanted.get(edit.key()) {
            Some(Edit::Set { key, value }) => Some(format!("{}{}{value}", quote(key), style.colon)),
            _ => None,
        })
        .collect();
    let separator = format!(",{}", style.lead);
    let fields = &record.fields;
    let (Some(first), Some(last)) = (fields.first(), fields.last()) else {
        let inside = record.span.start + 1;
        return vec![(inside..inside, added.join(&separator))];
    };
    let removed = |key: &str| matches!(wanted.get(key), Some(Edit::Remove { .. }));
    let Some(first_kept) = fields.iter().position(|field| !removed(&field.key)) else {
        let all = first.key_span.start..last.value_span.end;
        return vec![(all, added.join(&separator))];
    };
    let mut out = Vec::with_capacity(edits.len() + 1);
    if first_kept > 0 {
        // The first field has no comma before it: the one after it goes.
        out.push((
            first.key_span.start..fields[first_kept].key_span.start,
            String::new(),
        ));
    }
    for at in first_kept..fields.len() {
        let field = &fields[at];
        match wanted.get(field.key.as_ref()) {
            Some(Edit::Remove { .. }) => {
                let from = fields[at - 1].value_span.end;
                out.push((from..field.value_span.end, String::new()));
            }
            Some(Edit::Set { value, .. }) => out.push((field.value_span.clone(), value.clone())),
            None => {}
        }
    }
    if !added.is_empty() {
        let end = last.value_span.end;
        out.push((end..end, format!("{separator}{}", added.join(&separator))));
    }
    out
}

/// How a record sets its fields out; new ones follow its last.
struct Style<'a> {
    /// The space between a comma and the key after it.
    lead: &'a str,
    /// What stands between a key and its value, the colon included.
    colon: &'a str,
    /// The space before the closing brace on its line; empty where it stands behind something else.
    closing_indent: &'a str,
}

impl<'a> Style<'a> {
    fn of(text: &'a str, record: &Record<'_>) -> Self {
        let Some(last) = record.fields.last() else {
            return Style {
                lead: "",
                colon: ":",
                closing_indent: "",
            };
        };
        let before_key = match record.fields.len() {
            1 => &text[record.span.start + 1..last.key_span.start],
            n => {
                let between = &text[record.fields[n - 2].value_span.end..last.key_span.start];
                between.split_once(',').map_or(between, |(_, lead)| lead)
            }
        };
        let tail = &text[last.value_span.end..record.span.end.saturating_sub(1)];
        Style {
            lead: before_key,
            colon: &text[last.key_span.end..last.value_span.start],
            closing_indent: tail.rsplit_once('\n').map_or("", |(_, indent)| indent),
        }
    }
}

#[cfg(test)]
mod tests;
