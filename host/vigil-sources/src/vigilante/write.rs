//! One write for all transitions of a pass: compare-and-swap on each record, atomic and durable for the file.
//!
//! The new text is on the disk before the lock is taken; under the lock the file is read once more and, when nobody
//! has written, replaced. When somebody has, all starts over from what they wrote.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use vigil_core::session::Revision;

use crate::vigilante::backup::Backup;
use crate::vigilante::edit::{self, Edit};
use crate::vigilante::lock::{self, Hold, NoHold, Patience};
use crate::vigilante::processes::{Table, View};
use crate::vigilante::record::{self, RecordFile, SESSIONS_FILE};
use crate::vigilante::replace::{self, Prepared, Replaced, failed};
use crate::vigilante::{Vigilante, displaced};
use crate::{Committed, Proposal, World};

/// How often a write starts over because somebody else wrote in between. Vigilante writes a few times a minute.
const ROUNDS_MAX: usize = 5;

/// How long after a write without the lock the file is read back. A writer that had read before vigil wrote has put
/// its own copy down by then.
const READ_BACK_AFTER: Duration = Duration::from_secs(1);

/// Writes `proposals` into `sessions.json` of `source`, one answer for each, in order.
///
/// Guarantees: each record is as it was or as proposed, and so is every other record and field; a crash leaves the
/// old or the new file. The file's mode and owner stay; a `sessions.json` that is a symbolic link stays one, and what
/// it leads to is replaced. A record that moved is a conflict and the others go on.
///
/// [`Committed::Written`] is `exclusive` when `scan.lock` was held and the displaced text was the one that had been
/// read. Vigilante's `status`, `resume` and similar commands take no lock: one that loaded the sessions before this
/// write and saves after it puts the old records back, which the next pass sees.
pub(super) fn commit(
    source: &Vigilante,
    proposals: &[Proposal],
    world: &dyn World,
) -> Vec<Committed> {
    if proposals.is_empty() {
        return Vec::new();
    }
    write(source, proposals, world).unwrap_or_else(|stopped| vec![stopped; proposals.len()])
}

/// The same; an error is the answer for all.
fn write(
    source: &Vigilante,
    proposals: &[Proposal],
    world: &dyn World,
) -> Result<Vec<Committed>, Committed> {
    source
        .answers()
        .and_then(|()| source.answer(&lock::FILES))
        .map_err(|error| nothing_written(chain(&error)))?;
    let home = source.home();
    let path = home.join(SESSIONS_FILE);
    let edits: Vec<_> = proposals
        .iter()
        .map(|proposal| edit::from_json(&proposal.edits))
        .collect();
    let backup = Backup::of(source.state_dir(), &source.name, home).map_err(nothing_written)?;
    let mut patience = Patience::new();
    let mut was_in_place = false;
    for round in 0..ROUNDS_MAX {
        let text = read(home)?;
        let target = resolve(&path)?;
        let merged = merge(&path, &text, proposals, &edits, was_in_place)?;
        let Some(new_text) = merged.text else {
            return Ok(merged.outcomes);
        };
        backup
            .keep(&text, world.now(), world)
            .map_err(nothing_written)?;
        let mut prepared = Prepared::write(&target, new_text, world).map_err(nothing_written)?;

        world
            .step("lock")
            .map_err(|error| nothing_written(failed("lock", &home.join("scan.lock"), &error)))?;
        let hold = lock::take(home, &mut patience, world).map_err(|no| match no {
            NoHold::Busy(why) => Committed::Locked(why),
            NoHold::Failed(why) => nothing_written(why),
        })?;
        world
            .step("reread")
            .map_err(|error| nothing_written(failed("read", &path, &error)))?;
        if resolve(&path)? != target || !prepared.pin(&text).map_err(nothing_written)? {
            tracing::debug!(path = %path.display(), round, "sessions changed before the write");
            continue;
        }
        was_in_place = true;
        let replaced = match prepared.replace(&text, world).map_err(nothing_written)? {
            Replaced::NoExchange(prepared) => {
                owner_is_down(source, &hold, &target, world)?;
                prepared.rename_over().map_err(nothing_written)?
            }
            replaced => replaced,
        };
        let unproven = match (&hold, replaced) {
            (_, Replaced::No | Replaced::NoExchange(_)) => {
                tracing::debug!(path = %path.display(), round, "sessions changed during the write");
                continue;
            }
            (_, Replaced::Contested(conflicts, lost)) => {
                let why = displaced::contested(&conflicts);
                displaced::keep(backup.folder(), &lost, &why, world.now())
                    .map_err(nothing_written)?;
                continue;
            }
            (Hold::Exclusive(_), Replaced::Yes) => None,
            (Hold::Wedged(who), _) => Some(who.clone()),
            (Hold::Exclusive(_), Replaced::Unproven(why)) => Some(why),
        };
        if let Hold::Exclusive(lock) = hold {
            lock.release();
        }

        // The records are as proposed from here on, and no failure may say otherwise.
        if let Err(why) = replace::sync_folder(&target, world) {
            tracing::warn!(%why, "sessions were written, but may be lost in a power cut");
        }
        return Ok(match unproven {
            None => merged.outcomes,
            Some(why) => {
                tracing::warn!(path = %path.display(), %why, "sessions written without the lock");
                read_back(home, &path, proposals, merged.outcomes, world)
            }
        });
    }
    Err(Committed::Conflict(format!(
        "{} changed under each of {ROUNDS_MAX} tries to write it",
        path.display()
    )))
}

/// Where two files cannot change places, whoever writes at the same moment loses their text without a trace. So nobody
/// may: the scan's lock is ours, and no Vigilante runs where vigil would see it.
fn owner_is_down(
    source: &Vigilante,
    hold: &Hold,
    target: &Path,
    world: &dyn World,
) -> Result<(), Committed> {
    let settings = &source.settings;
    let view = View {
        proc: &settings.proc,
        home: source.home(),
        same_namespace: settings.same_pid_namespace,
        ignored: &settings.ignore_processes,
        own: std::process::id(),
        booted_at: world.booted_at(),
    };
    let table = Table::scan(&view, world.now());
    let up = match hold {
        Hold::Wedged(who) => Some(who.clone()),
        Hold::Exclusive(_) => table.no_process_named("vigilante").err(),
    };
    match up {
        None => Ok(()),
        Some(why) => Err(nothing_written(format!(
            "the file system of {} cannot let two files change places, so that what Vigilante wrote at the same moment \
             would be lost: vigil writes there only while no Vigilante runs, and {why}; stop Vigilante for a pass of \
             vigil's, keep its home on a local file system, or set `mode = \"observe\"` for this source",
            target.display()
        ))),
    }
}

/// What a text would become.
struct Merged {
    /// `None`: nothing is to be written.
    text: Option<String>,
    /// For each proposal how it ends once the text is in place.
    outcomes: Vec<Committed>,
}

/// Makes those of `proposals` in `text` whose record is as it was. `was_in_place`: an earlier try stood in the file's
/// place, if only for a moment. Where none did, a record that is as proposed was written by somebody else, and is
/// nobody's to claim here.
fn merge(
    path: &Path,
    text: &str,
    proposals: &[Proposal],
    edits: &[Result<Vec<Edit>, String>],
    was_in_place: bool,
) -> Result<Merged, Committed> {
    let file = RecordFile::parse(path, text).map_err(|error| nothing_written(chain(&error)))?;
    let index = Index::of(&file);
    let mut to_write: Vec<(usize, Vec<Edit>)> = Vec::with_capacity(proposals.len());
    let mut taken: HashMap<usize, ()> = HashMap::with_capacity(proposals.len());
    let mut outcomes = Vec::with_capacity(proposals.len());
    for (proposal, edits) in proposals.iter().zip(edits) {
        let outcome = match (index.find(&proposal.id.id), edits) {
            (_, Err(why)) => nothing_written(why.clone()),
            (Err(why), _) => Committed::Conflict(why),
            (Ok(at), Ok(edits)) => {
                let present = index.revision(at);
                if present == Some(proposal.after.clone()) && !was_in_place {
                    Committed::Conflict(format!(
                        "the record of {} was written as proposed by someone else, perhaps another vigil",
                        proposal.id
                    ))
                } else if present == Some(proposal.after.clone()) {
                    // Somebody may have read it there and kept it; repeating it is harmless.
                    Committed::Written { exclusive: true }
                } else if present != Some(proposal.before.clone()) {
                    Committed::Conflict(format!(
                        "{} was changed by someone else since it was read",
                        proposal.id
                    ))
                } else if taken.insert(at, ()).is_some() {
                    Committed::Conflict(format!("{} is proposed twice", proposal.id))
                } else {
                    to_write.push((at, edits.clone()));
                    Committed::Written { exclusive: true }
                }
            }
        };
        outcomes.push(outcome);
    }
    let text = (!to_write.is_empty()).then(|| edit::apply(&file, &to_write));
    Ok(Merged { text, outcomes })
}

/// Finds records by their session's name.
pub(super) struct Index<'f, 'a> {
    file: &'f RecordFile<'a>,
    by_id: HashMap<String, usize>,
    copies: Vec<u32>,
}

impl<'f, 'a> Index<'f, 'a> {
    /// Over all records of `file`.
    pub(super) fn of(file: &'f RecordFile<'a>) -> Self {
        let names = file.names();
        let copies = names.iter().map(|named| named.copies).collect();
        let by_id = names.into_iter().map(|named| named.id).zip(0..).collect();
        Index {
            file,
            by_id,
            copies,
        }
    }

    /// The index in the file of the one record of session `id`, if it may be written.
    ///
    /// # Errors
    /// Why it may not, in words: it is not there, it is one of several of the same issue, of which Vigilante uses
    /// the first and keeps the others for ever, or one of its keys is there twice.
    pub(super) fn find(&self, id: &str) -> Result<usize, String> {
        let Some(&at) = self.by_id.get(id) else {
            return Err(format!("there is no record of {id} any more"));
        };
        if self.copies.get(at).is_some_and(|copies| *copies > 1) {
            return Err(format!(
                "{id} is one of several records of the same issue, and nobody can say which one counts"
            ));
        }
        if let Some(twice) = self
            .file
            .outlines
            .get(at)
            .and_then(|r| r.duplicate_key.as_ref())
        {
            return Err(format!(
                "the record of {id} has the key `{}` twice, again at line {}, column {}; remove one",
                twice.key, twice.line, twice.column
            ));
        }
        Ok(at)
    }

    /// The index of session `id`, also where it may not be written.
    pub(super) fn position(&self, id: &str) -> Option<usize> {
        self.by_id.get(id).copied()
    }

    /// The present revision of the record at an index.
    pub(super) fn revision(&self, at: usize) -> Option<Revision> {
        self.file.record(at).map(|record| record.revision())
    }
}

/// What became of a write that others could not be kept from: looks once more after a second.
fn read_back(
    home: &Path,
    path: &Path,
    proposals: &[Proposal],
    outcomes: Vec<Committed>,
    world: &dyn World,
) -> Vec<Committed> {
    world.pause(READ_BACK_AFTER);
    let looked = world
        .step("read-back")
        .map_err(|error| failed("read", path, &error))
        .and_then(|()| match record::read_text(home) {
            Ok(text) => Ok(text.unwrap_or_default()),
            Err(error) => Err(chain(&error)),
        });
    let answer = |why: String| -> Vec<Committed> {
        outcomes
            .iter()
            .map(|outcome| match outcome {
                Committed::Written { .. } => Committed::Conflict(format!(
                    "it was written past a held lock, and whether it lasted is not known: {why}"
                )),
                other => other.clone(),
            })
            .collect()
    };
    let text = match looked {
        Ok(text) => text,
        Err(why) => return answer(why),
    };
    let file = match RecordFile::parse(path, if text.is_empty() { "[]" } else { &text }) {
        Ok(file) => file,
        Err(error) => return answer(chain(&error)),
    };
    let index = Index::of(&file);
    proposals
        .iter()
        .zip(outcomes)
        .map(|(proposal, outcome)| {
            if !matches!(outcome, Committed::Written { .. }) {
                return outcome;
            }
            let present = index
                .position(&proposal.id.id)
                .and_then(|at| index.revision(at));
            if present.as_ref() == Some(&proposal.after) {
                Committed::Written { exclusive: false }
            } else {
                Committed::Conflict(format!(
                    "{} was written past a held lock, and someone else's write has replaced it",
                    proposal.id
                ))
            }
        })
        .collect()
}

/// The file's text; a missing file has no records.
fn read(home: &Path) -> Result<String, Committed> {
    match record::read_text(home) {
        Ok(Some(text)) => Ok(text),
        Ok(None) => Err(Committed::Conflict(format!(
            "{} is not there any more",
            home.join(SESSIONS_FILE).display()
        ))),
        Err(error) => Err(nothing_written(chain(&error))),
    }
}

/// Where `path` leads: through links, so that what is replaced is the file and not the link to it.
fn resolve(path: &Path) -> Result<PathBuf, Committed> {
    fs::canonicalize(path).map_err(|error| nothing_written(failed("find", path, &error)))
}

fn nothing_written(why: String) -> Committed {
    Committed::Failed(format!("{why} (nothing was written)"))
}

/// An error with its causes, on one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        said = format!("{said}: {error}");
        cause = error.source();
    }
    said
}

#[cfg(test)]
mod tests;
