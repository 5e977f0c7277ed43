//! What a crash left of an exchange: the text that somebody wrote in the last moment before it is brought back into the
//! owner's file, or kept for a person where that cannot be done whole.
//!
//! A temporary file alone is vigil's own text, which never was in place. Beside a `.base` file it may be what an exchange
//! displaced. Files of a write that is under way are locked by its process.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use vigil_core::Timestamp;
use vigil_core::time::minutes;

use crate::machine::leftovers;
use crate::vigilante::Vigilante;
use crate::vigilante::backup::{self, Backup};
use crate::vigilante::edit;
use crate::vigilante::lock::{self, Hold, NoHold, Patience};
use crate::vigilante::merge::{self, Newer, Sides};
use crate::vigilante::record::{RecordFile, SESSIONS_FILE};
use crate::vigilante::replace::{self, Prepared, Replaced, failed};
use crate::vigilante::write::{Index, chain};
use crate::{Displaced, Proposal, World};

/// What is kept for a person, of each source: the newest so many, and the newest one however old it is.
const KEPT_MAX: usize = 20;

/// How long it is kept. Whoever did not look at it for three months does not miss it.
const KEPT_FOR: Duration = minutes(90 * 24 * 60);

/// How often bringing back starts over because somebody writes at the same moment.
const ROUNDS_MAX: usize = 5;

const KEPT_PREFIX: &str = "displaced-";
const KEPT_SUFFIX: &str = ".json";
const WHY_SUFFIX: &str = ".why";

/// What the name of a kept text begins with before it is in place.
const TEMP_KEPT_PREFIX: &str = ".vigil-kept-";

mod left;

use left::{Leftover, base_of};

/// Brings back what a crash left beside the file of `source`. `prepared` is what vigil may have written when it ended.
///
/// Cheap where nothing was left: one look at the names in its folder, and in that of what is kept. What cannot be brought back now, for example because
/// a scan holds the lock, stays for the next pass.
///
/// # Errors
/// What failed, in words. Nothing is lost by it.
pub(super) fn bring_back(
    source: &Vigilante,
    prepared: &[Proposal],
    world: &dyn World,
) -> Result<(), String> {
    sweep_kept(
        &backup::folder(source.state_dir(), &source.name),
        world.now(),
    );
    let path = source.home().join(SESSIONS_FILE);
    let Ok(target) = fs::canonicalize(&path) else {
        // Without a file there is nothing to bring anything back to; what was left stays.
        return Ok(());
    };
    let folder = replace::folder_of(&target);
    let left = left::in_folder(folder);
    if left.is_empty() {
        return Ok(());
    }
    let backup = Backup::of(source.state_dir(), &source.name, source.home())?;
    let keep_in = backup.folder();
    left::sweep(&left, world.now());
    let dead: Vec<&Leftover> = left.iter().filter(|one| one.is_of_a_dead_write()).collect();
    if dead.is_empty() {
        return Ok(());
    }
    source.answer(&lock::FILES).map_err(|error| chain(&error))?;
    let mut trouble = None;
    for one in dead {
        let brought = One {
            left: one,
            home: source.home(),
            target: &target,
            keep_in,
            prepared,
            world,
        }
        .bring_back();
        if let Err(why) = brought {
            trouble = Some(why);
        }
    }
    trouble.map_or(Ok(()), Err)
}

/// What is kept for a person of `source`, the oldest first; where its home answers, with what waits there.
pub(super) fn kept(source: &Vigilante, home_answers: bool) -> Vec<Displaced> {
    let mut kept: Vec<Displaced> = kept_in(&backup::folder(source.state_dir(), &source.name))
        .into_iter()
        .map(|(_, file)| Displaced {
            why: fs::read_to_string(file.with_extension("why")).map_or_else(
                |_| "nobody noted why".to_owned(),
                |why| why.trim().to_owned(),
            ),
            target: source.home().join(SESSIONS_FILE),
            file,
            waits: false,
        })
        .collect();
    kept.sort_by(|a, b| a.file.cmp(&b.file));
    if !home_answers {
        return kept;
    }
    let Ok(target) = fs::canonicalize(source.home().join(SESSIONS_FILE)) else {
        return kept;
    };
    let waiting = left::in_folder(replace::folder_of(&target)).into_iter();
    kept.extend(
        waiting
            .filter(|one| one.is_of_a_dead_write() && one.holds_something())
            .map(|one| Displaced {
                file: one.temp,
                target: source.home().join(SESSIONS_FILE),
                why: "vigil was ended while it wrote, and nothing could be written since"
                    .to_owned(),
                waits: true,
            }),
    );
    kept
}

/// Keeps `text`, which somebody wrote and which is not whole in `target`, for a person: readable by its owner alone and
/// on the disk when this returns. The oldest go when there are too many.
///
/// # Errors
/// What failed, in words.
pub(super) fn keep(
    keep_in: &Path,
    text: &[u8],
    why: &str,
    now: Timestamp,
) -> Result<PathBuf, String> {
    let write = || -> io::Result<PathBuf> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(keep_in)?;
        let mut copy = tempfile::Builder::new()
            .prefix(KEPT_PREFIX)
            .suffix(WHY_SUFFIX)
            .rand_bytes(12)
            .tempfile_in(keep_in)?;
        leftovers::lock(copy.as_file())?;
        writeln!(copy, "{why}")?;
        copy.as_file().sync_all()?;
        // Locked until its text is there.
        let (_held, why) = copy.keep().map_err(|error| error.error)?;
        let mut copy = tempfile::Builder::new()
            .prefix(TEMP_KEPT_PREFIX)
            .tempfile_in(keep_in)?;
        leftovers::lock(copy.as_file())?;
        copy.write_all(text)?;
        copy.as_file().sync_all()?;
        let file = why.with_extension("json");
        copy.persist(&file).map_err(|error| error.error)?;
        File::open(keep_in)?.sync_all()?;
        Ok(file)
    };
    let file = write().map_err(|error| failed("keep a text in", keep_in, &error))?;
    tracing::warn!(file = %file.display(), why, "a text of the owner's is kept for a person");
    forget(keep_in, Some(&file), now);
    Ok(file)
}

/// Takes away what was kept for too long, or is too much: never the newest. `just_kept` is the newest whatever the clock
/// of the file system says, whose ticks are longer than a write takes.
fn forget(keep_in: &Path, just_kept: Option<&Path>, now: Timestamp) {
    let mut kept = kept_in(keep_in);
    kept.sort_by_key(|(_, file)| Some(file.as_path()) == just_kept);
    let too_many = kept.len().saturating_sub(KEPT_MAX);
    let newest = kept.len().saturating_sub(1);
    for (at, (written, file)) in kept.iter().enumerate() {
        if at < too_many || at < newest && written.after(KEPT_FOR) < now {
            // One that stays is looked at again.
            let _ = fs::remove_file(file);
            let _ = fs::remove_file(file.with_extension("why"));
        }
    }
}

/// Takes away what a kill left in `folder` of a text, or a backup, that was being kept: half a text, and a reason without
/// its text.
fn sweep_kept(folder: &Path, now: Timestamp) {
    let is_half =
        |name: &str| name.starts_with(TEMP_KEPT_PREFIX) || name.starts_with(backup::TEMP_PREFIX);
    let is_alone = |name: &str| {
        name.strip_suffix(WHY_SUFFIX).is_some_and(|stem| {
            stem.starts_with(KEPT_PREFIX) && !folder.join(format!("{stem}{KEPT_SUFFIX}")).exists()
        })
    };
    leftovers::sweep(folder, |name| is_half(name) || is_alone(name), now);
}

/// What is kept, the oldest first, with its time.
fn kept_in(folder: &Path) -> Vec<(Timestamp, PathBuf)> {
    let mut kept: Vec<(Timestamp, PathBuf)> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            name.starts_with(KEPT_PREFIX) && name.ends_with(KEPT_SUFFIX)
        })
        .filter_map(|entry| {
            Some((
                leftovers::changed(&fs::symlink_metadata(entry.path()).ok()?),
                entry.path(),
            ))
        })
        .collect();
    kept.sort();
    kept
}

/// One leftover of an exchange.
struct One<'a> {
    left: &'a Leftover,
    home: &'a Path,
    target: &'a Path,
    keep_in: &'a Path,
    prepared: &'a [Proposal],
    world: &'a dyn World,
}

impl One<'_> {
    fn bring_back(&self) -> Result<(), String> {
        let Some(base) = &self.left.base else {
            return Ok(());
        };
        let temp = &self.left.temp;
        let on_base = |error: io::Error| failed("read", base, &error);
        let held = match replace::regular(base) {
            Ok(file) => file,
            // Another process was faster.
            Err(_) if !base.exists() => return Ok(()),
            Err(error) => return Err(on_base(error)),
        };
        if leftovers::lock(&held).is_err() {
            // Its process lives, and looks back itself.
            return Ok(());
        }
        let name = base.file_name().unwrap_or_default().to_string_lossy();
        let Some((_, noted)) = base_of(&name) else {
            return Ok(());
        };
        let meta = match fs::symlink_metadata(temp) {
            Ok(meta) => meta,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return self.remove(),
            Err(error) => return Err(failed("read", temp, &error)),
        };
        if !meta.is_file() {
            return Ok(());
        }
        let there = held.metadata().map_err(on_base)?;
        let as_noted = (there.mtime(), there.mtime_nsec(), there.len())
            == (noted.seconds, noted.nanoseconds, noted.length);
        // The new text itself: the exchange was never made, or was taken back.
        if meta.ino() == noted.ours {
            return self.remove();
        }
        let lost = replace::read(temp).map_err(|error| failed("read", temp, &error))?;
        let before = replace::read(base).map_err(on_base)?;
        if lost == before {
            if meta.ino() == there.ino() && !as_noted {
                // Written in place, so that nobody knows any more what it was before.
                let why = "it was written in place while vigil wrote";
                keep(self.keep_in, &lost, why, self.world.now())?;
            }
            return self.remove();
        }
        let texts = String::from_utf8(lost.clone())
            .ok()
            .zip(String::from_utf8(before).ok());
        let Some((theirs, before)) = texts else {
            let why =
                "it is not UTF-8, so that it could not be brought together with what is there now";
            keep(self.keep_in, &lost, why, self.world.now())?;
            return self.remove();
        };
        // Where it is held by a stuck process, others are looked back at as in any write.
        let hold =
            lock::take(self.home, &mut Patience::new(), self.world).map_err(|no| match no {
                NoHold::Busy(why) | NoHold::Failed(why) => why,
            })?;
        let merged = self.merge(&theirs, &before);
        if let Hold::Exclusive(lock) = hold {
            lock.release();
        }
        match merged {
            Ok(conflicts) if conflicts.is_empty() => {
                tracing::warn!(target = %self.target.display(), "brought back what its owner wrote while vigil was ended");
            }
            Ok(conflicts) => {
                keep(
                    self.keep_in,
                    &lost,
                    &contested(&conflicts),
                    self.world.now(),
                )?;
            }
            Err(Stuck::Undecided(why)) => {
                keep(self.keep_in, &lost, &why, self.world.now())?;
            }
            Err(Stuck::NotNow(why)) => return Err(why),
        }
        self.remove()
    }

    /// Puts the changes of `theirs` since `before` into the file. Gives what could not be decided.
    fn merge(&self, theirs: &str, before: &str) -> Result<Vec<String>, Stuck> {
        let ours = self.ours(before);
        let from: Vec<&str> = [Some(before), ours.as_deref()]
            .into_iter()
            .flatten()
            .collect();
        for _ in 0..ROUNDS_MAX {
            let present = replace::read_text(self.target)
                .map_err(|error| Stuck::NotNow(failed("read", self.target, &error)))?;
            let together = merge::together(&Sides {
                onto: &present,
                onto_from: &from,
                lost: theirs,
                lost_from: &from,
                newer: Newer::Onto,
                withdraw: ours.as_deref().map(|ours| (ours, before)),
            });
            let together = together.map_err(Stuck::Undecided)?;
            if together.text == present {
                return Ok(together.conflicts);
            }
            let mut next =
                Prepared::write(self.target, together.text, self.world).map_err(Stuck::NotNow)?;
            if !next.pin(&present).map_err(Stuck::NotNow)? {
                continue;
            }
            match next.replace(&present, self.world).map_err(Stuck::NotNow)? {
                Replaced::Yes => return Ok(together.conflicts),
                Replaced::No => {}
                Replaced::Contested(conflicts, lost) => {
                    keep(
                        self.keep_in,
                        &lost,
                        &contested(&conflicts),
                        self.world.now(),
                    )
                    .map_err(Stuck::NotNow)?;
                }
                Replaced::Unproven(why) => return Err(Stuck::NotNow(why)),
                Replaced::NoExchange(_) => {
                    return Err(Stuck::Undecided(
                        "the file system does not let two files change places any more".to_owned(),
                    ));
                }
            }
        }
        Err(Stuck::NotNow("others keep writing".to_owned()))
    }

    /// The text that vigil put in place: `before` with the writes that its journal knows of.
    fn ours(&self, before: &str) -> Option<String> {
        let file = RecordFile::parse(self.target, before).ok()?;
        let index = Index::of(&file);
        let edits: Vec<_> = self
            .prepared
            .iter()
            .filter_map(|proposal| {
                let at = index.find(&proposal.id.id).ok()?;
                let is_meant = index.revision(at).as_ref() == Some(&proposal.before);
                let edits = edit::from_json(&proposal.edits).ok()?;
                is_meant.then_some((at, edits))
            })
            .collect();
        Some(edit::apply(&file, &edits))
    }

    /// The temporary file first: a `.base` file alone says that all is well.
    fn remove(&self) -> Result<(), String> {
        let files = [Some(&self.left.temp), self.left.base.as_ref()];
        for path in files.into_iter().flatten() {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(failed("remove", path, &error));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Why the texts are not together.
enum Stuck {
    /// Nobody can say what belongs into the file: a person looks.
    Undecided(String),
    /// The next pass tries again.
    NotNow(String),
}

/// What two writers changed at once, in words.
pub(super) fn contested(conflicts: &[String]) -> String {
    const NAMED_MAX: usize = 5;
    let mut said = conflicts
        .iter()
        .take(NAMED_MAX)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    if conflicts.len() > NAMED_MAX {
        said.push_str(&format!(" and {} more", conflicts.len() - NAMED_MAX));
    }
    format!("two others wrote at the same moment as vigil, and both changed {said}")
}

#[cfg(test)]
mod tests;
