//! How writes ended that vigil did not see the end of: the fields that they wrote say so, whatever else their owner
//! changed in the record since.

use std::path::Path;

use vigil_core::session::Revision;

use crate::vigilante::edit::{self, Edit};
use crate::vigilante::record::{
    self, BOOKKEEPING, Record, RecordFile, SESSIONS_FILE, canonical, is_empty,
};
use crate::vigilante::write::Index;
use crate::vigilante::{Vigilante, displaced};
use crate::{Fate, Proposal, SourceError, World};

/// The fields that get the moment of the decision. Vigilante stamps them, too, but not in the very same second for the
/// very same record.
const STAMPS: [&str; 5] = [
    "blocked_at",
    "ended_at",
    "recovered_at",
    "monitoring_stopped_at",
    "stale_auto_restart_stopped_at",
];

/// Brings back what a crash displaced, then tells how each of `prepared` ended, in order.
pub(super) fn recover(
    source: &Vigilante,
    prepared: &[Proposal],
    world: &dyn World,
) -> Result<Vec<Fate>, SourceError> {
    if let Err(why) = displaced::bring_back(source, prepared, world) {
        // It stays where it is, and so do the rows: what is not brought back yet may still change what they wrote.
        tracing::warn!(
            source = source.name,
            why,
            "what a crash left could not be put right yet"
        );
        return Err(SourceError::Io {
            doing: "bring back what was written to",
            path: source.home().join(SESSIONS_FILE).display().to_string(),
            source: std::io::Error::other(why),
        });
    }
    if prepared.is_empty() {
        return Ok(Vec::new());
    }
    let path = source.home().join(SESSIONS_FILE);
    let text = record::read_text(source.home())?.unwrap_or_else(|| "[]".to_owned());
    let file = RecordFile::parse(&path, &text)?;
    let index = Index::of(&file);
    Ok(prepared
        .iter()
        .map(|proposal| {
            let present = index
                .position(&proposal.id.id)
                .and_then(|at| file.record(at));
            match present {
                Some(present) => fate(proposal, &present),
                None => Fate::Overtaken("the record is gone".to_owned()),
            }
        })
        .collect())
}

/// How `proposal` ended, by the present record.
pub(super) fn fate(proposal: &Proposal, present: &Record<'_>) -> Fate {
    let revision: Revision = present.revision();
    if revision == proposal.after {
        return Fate::Written;
    }
    let not_written =
        |more: &str| Fate::NotWritten(format!("vigil ended before it was written{more}"));
    if revision == proposal.before {
        return not_written("");
    }
    let Some(fields) = Fields::of(proposal, present) else {
        return Fate::Overtaken(
            "vigil ended while it was being written, and the journal does not say what".to_owned(),
        );
    };
    match (fields.new, fields.old, fields.other) {
        (_, 0, 0) => Fate::Written,
        (0, _, 0) => not_written(", and its owner changed other fields since"),
        // Nobody else stamps a record with the moment of this very decision.
        _ if fields.own_stamp => Fate::Written,
        _ => Fate::Overtaken(
            "vigil ended while it was being written, and its owner has written the same fields since".to_owned(),
        ),
    }
}

/// Whether every field that `written` set still has the value that it got, whatever else has changed.
pub(super) fn still_stands(written: &Proposal, present: &Record<'_>) -> bool {
    present.revision() == written.after
        || Fields::of(written, present)
            .is_some_and(|fields| (fields.old, fields.other) == (0, 0) && fields.new > 0)
}

/// How many of the fields that a write changes have which value.
#[derive(Debug, Default)]
struct Fields {
    new: u32,
    old: u32,
    other: u32,
    /// One that is new is a moment which the record did not hold before.
    own_stamp: bool,
}

impl Fields {
    /// `None`: the proposal cannot be read.
    fn of(proposal: &Proposal, present: &Record<'_>) -> Option<Fields> {
        let edits = edit::from_json(&proposal.edits).ok()?;
        let before_text = format!("[{}]", proposal.record_before);
        let before =
            RecordFile::parse(Path::new("the record before the write"), &before_text).ok()?;
        let before = before.record(0)?;
        let mut fields = Fields::default();
        for edit in &edits {
            let key = edit.key();
            if BOOKKEEPING.contains(&key) {
                continue;
            }
            let new = match edit {
                Edit::Set { value, .. } => meaning(value),
                Edit::Remove { .. } => None,
            };
            let old = before.field(key).and_then(|field| meaning(field.value));
            let now = present.field(key).and_then(|field| meaning(field.value));
            if new == old {
                continue;
            }
            match now {
                now if now == new => {
                    fields.new += 1;
                    fields.own_stamp |=
                        STAMPS.contains(&key) && new.as_deref().is_some_and(is_moment);
                }
                now if now == old => fields.old += 1,
                _ => fields.other += 1,
            }
        }
        Some(fields)
    }
}

fn is_moment(canonical: &str) -> bool {
    serde_json::from_str::<String>(canonical)
        .is_ok_and(|text| text.parse::<jiff::Timestamp>().is_ok())
}

/// What a value says to its owner, however it is spelled; `None`: nothing.
fn meaning(value: &str) -> Option<String> {
    let canonical = canonical(value);
    (!is_empty(&canonical)).then(|| canonical.into_owned())
}

#[cfg(test)]
mod tests;
