//! What a write would make of the records, without writing: the edits, and both revisions for the journal.

use std::path::{Path, PathBuf};

use vigil_core::session::{Revision, SessionId};
use vigil_core::{State, Timestamp};

use crate::vigilante::edit::{self, Edit};
use crate::vigilante::record::{self, BOOKKEEPING, Record, RecordFile, SESSIONS_FILE};
use crate::vigilante::write::{Index, chain};
use crate::vigilante::{Vigilante, convert, fields, recover};
use crate::{Change, Proposal, Refusal, SourceError, Target};

/// For each of `changes` the proposal that makes it, in order. Reads the file once, and not at all for none.
pub(super) fn propose(
    source: &Vigilante,
    changes: &[Change<'_>],
) -> Vec<Result<Proposal, Refusal>> {
    if changes.is_empty() {
        return Vec::new();
    }
    let all = |refusal: Refusal| changes.iter().map(|_| Err(refusal.clone())).collect();
    let (path, text) = match read(source) {
        Ok(read) => read,
        Err(refusal) => return all(refusal),
    };
    let file = match RecordFile::parse(&path, &text) {
        Ok(file) => file,
        // It could be read when the pass began. The next one tells the error as the source's.
        Err(error) => return all(Refusal::Conflict(chain(&error))),
    };
    let index = Index::of(&file);
    changes
        .iter()
        .map(|change| {
            let session = &change.evidence.session;
            let (at, record) = find(&file, &index, &session.id)?;
            if index.revision(at).as_ref() != Some(&session.revision) {
                return Err(moved(&session.id));
            }
            let edits = fields::edits(&text, &record, change)?;
            let target = match change.target {
                Target::State(target) => Some((target, change.at)),
                Target::Repair(_) => None,
            };
            proposal(&path, &text, &record, session.id.clone(), &edits, target)
        })
        .collect()
}

/// The proposal that takes `written` back, as long as the fields that it wrote are still as it left them: what its owner
/// changed besides stays.
///
/// What is restored are values, not their places: a field that the write had taken out comes back as the last one.
/// Vigilante reads a restored `running` as it read the old one, with all that it does about stale sessions.
pub(super) fn undo(source: &Vigilante, written: &Proposal) -> Result<Proposal, Refusal> {
    let (path, text) = read(source)?;
    let file = RecordFile::parse(&path, &text).map_err(|error| Refusal::Unsafe(chain(&error)))?;
    let index = Index::of(&file);
    let (_, record) = find(&file, &index, &written.id)?;
    if !recover::still_stands(written, &record) {
        return Err(moved(&written.id));
    }
    let edits = edit::from_json(&written.edits).map_err(Refusal::Unsafe)?;
    let before_text = format!("[{}]", written.record_before);
    let before = RecordFile::parse(Path::new("the record before the write"), &before_text)
        .map_err(|error| Refusal::Unsafe(chain(&error)))?;
    let [before] = before.outlines.as_slice() else {
        return Err(Refusal::Unsafe(format!(
            "the journal holds no record of {} before the write",
            written.id
        )));
    };
    let edits = fields::undo_edits(&before.record(), &record, &edits, BOOKKEEPING);
    proposal(&path, &text, &record, written.id.clone(), &edits, None)
}

/// The present revision of each of `ids`, in order; `None` where there is no such record.
pub(super) fn revisions(
    source: &Vigilante,
    ids: &[SessionId],
) -> Result<Vec<Option<Revision>>, SourceError> {
    let path = source.home().join(SESSIONS_FILE);
    let Some(text) = record::read_text(source.home())? else {
        return Ok(vec![None; ids.len()]);
    };
    let file = RecordFile::parse(&path, &text)?;
    let index = Index::of(&file);
    Ok(ids
        .iter()
        .map(|id| index.revision(index.position(&id.id)?))
        .collect())
}

/// `edits` of `record` with what they make of it: a record that will be read as the target state, at the moment
/// given with it.
fn proposal(
    path: &Path,
    text: &str,
    record: &Record<'_>,
    id: SessionId,
    edits: &[Edit],
    target: Option<(State, Timestamp)>,
) -> Result<Proposal, Refusal> {
    let edited = format!("[{}]", edit::apply_to_record(text, record, edits));
    let file = RecordFile::parse(path, &edited)
        .map_err(|error| Refusal::Unsafe(format!("the edits of {id}: {}", chain(&error))))?;
    let [after] = file.outlines.as_slice() else {
        return Err(Refusal::Unsafe(format!("the edits of {id} make no record")));
    };
    // A key in another case is the same field to Vigilante: beside it ours would be its second mention.
    if let Some(twice) = &after.duplicate_key {
        return Err(Refusal::Unsafe(format!(
            "the record of {id} spells `{}` in a way that only some readers take for that field; write it in lower case",
            twice.key
        )));
    }
    if let Some((target, at)) = target {
        reads_back(&file, target, at)?;
    }
    let after = after.record();
    let (before_revision, after_revision) = (record.revision(), after.revision());
    if before_revision == after_revision {
        return Err(Refusal::Unsafe(format!(
            "the record of {id} says that already: there is nothing to write"
        )));
    }
    Ok(Proposal {
        id,
        before: before_revision,
        after: after_revision,
        native_before: native(record),
        native_after: native(&after),
        record_before: record.raw.to_owned(),
        edits: edit::to_json(edits),
    })
}

/// Whether the written record, the only one of `file`, will be read as `target` again. A field that only this record has might say otherwise,
/// and a transition that the next pass does not see would be made over and over.
fn reads_back(file: &RecordFile<'_>, target: State, at: Timestamp) -> Result<(), Refusal> {
    let read = convert::sessions(file, "", at);
    match read.first() {
        Some((session, _)) if session.state == target => Ok(()),
        Some((session, _)) => Err(Refusal::Unsafe(format!(
            "a record that is written as `{target}` would be read as `{}`",
            session.state
        ))),
        None => Err(Refusal::Unsafe("the edits make no record".to_owned())),
    }
}

/// The owner's word for where the session stands; empty where the record has none.
fn native(record: &Record<'_>) -> String {
    record.text("status").ok().flatten().unwrap_or_default()
}

fn find<'f, 'a>(
    file: &'f RecordFile<'a>,
    index: &Index<'f, 'a>,
    id: &SessionId,
) -> Result<(usize, Record<'a>), Refusal> {
    if index.position(&id.id).is_none() {
        return Err(Refusal::Conflict(format!(
            "there is no record of {id} any more"
        )));
    }
    let at = index.find(&id.id).map_err(Refusal::Unsafe)?;
    let record = file.record(at).ok_or_else(|| moved(id))?;
    Ok((at, record))
}

fn moved(id: &SessionId) -> Refusal {
    Refusal::Conflict(format!("{id} was written by someone else"))
}

fn read(source: &Vigilante) -> Result<(PathBuf, String), Refusal> {
    let unreadable = |error| Refusal::Unsafe(chain(&error));
    source.answers().map_err(unreadable)?;
    let path = source.home().join(SESSIONS_FILE);
    match record::read_text(source.home()) {
        Ok(Some(text)) => Ok((path, text)),
        Ok(None) => Err(Refusal::Conflict(format!(
            "{} is not there any more",
            path.display()
        ))),
        Err(error) => Err(unreadable(error)),
    }
}

#[cfg(test)]
mod tests;
