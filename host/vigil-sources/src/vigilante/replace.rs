//! Puts a new text in a file's place: at every moment the file is the old one or the new one, and what somebody else
//! put there in the meantime is never lost.

use std::fs::{self, File};
use std::io::{self, Read as _, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use tempfile::{NamedTempFile, TempPath};

use crate::machine::{leftovers, open};
use crate::vigilante::attributes;
use crate::vigilante::merge::{self, Newer, Sides};
use crate::vigilante::record::FILE_BYTES_MAX;
use crate::{LAST_STEP, World};

/// What the names of vigil's temporary files begin and end with, so that a leftover is known as vigil's own.
pub(crate) const TEMP_PREFIX: &str = ".vigil-sessions-";
pub(crate) const TEMP_SUFFIX: &str = ".tmp";
/// What the name of the file ends with that keeps the text before an exchange: whoever finds one beside a temporary file
/// knows that the exchange may have been made, and by what stands in it what was displaced.
pub(crate) const BASE_SUFFIX: &str = ".base";

/// 256 KiB: what is compared at once.
const CHUNK_BYTES: usize = 256 << 10;

/// How often others may write at the very moment of a write before vigil gives up bringing all of it together.
const ROUNDS_MAX: usize = 8;

/// A new text on the disk, beside the file that it is to replace. Dropping it takes it away.
#[derive(Debug)]
pub(crate) struct Prepared {
    // Locked (flock) as long as this lives: what is not locked was left by a process that ended.
    temp: NamedTempFile,
    target: PathBuf,
    text: String,
    base: Option<Base>,
}

/// The text before the exchange, under a name of its own. Dropping it takes it away.
#[derive(Debug)]
struct Base {
    // After the temporary file: while one of both is there, it is this one.
    _name: TempPath,
    // Locked, as the temporary file is.
    _file: File,
}

/// How a replacement ended.
#[derive(Debug)]
pub(crate) enum Replaced {
    /// The new text is in place, and what it displaced is what was expected.
    Yes,
    /// The new text is in place, and what it displaced could not be looked at. Somebody may have written since the last
    /// look; then their text waits in the folder to be brought back.
    Unproven(String),
    /// Somebody else had written. All that others wrote is in place, as if nothing had happened.
    No,
    /// The same, but for what two others changed at once in different ways: what they are, and the text that lost.
    Contested(Vec<String>, Vec<u8>),
    /// The file system cannot let two files change places; nothing was done.
    NoExchange(Box<Prepared>),
}

impl Prepared {
    /// Writes `text` to a new file beside `target` and waits until it is on the disk. It has `target`'s mode, owner and
    /// extended attributes, access lists among them, and a name that nobody can foresee. A second name of `target` (a
    /// hard link) keeps the old text, as it does whenever Vigilante writes.
    ///
    /// # Errors
    /// What failed, in words; nothing is left behind then.
    pub(crate) fn write(target: &Path, text: String, world: &dyn World) -> Result<Self, String> {
        let folder = folder_of(target);
        let on_folder = |doing| move |error: io::Error| failed(doing, folder, &error);
        world
            .step("create-temp")
            .map_err(on_folder("create a file in"))?;
        let meta = fs::metadata(target).map_err(|error| failed("read", target, &error))?;
        let mut temp = tempfile::Builder::new()
            .prefix(TEMP_PREFIX)
            .suffix(TEMP_SUFFIX)
            .rand_bytes(RANDOM_CHARS)
            .tempfile_in(folder)
            .map_err(on_folder("create a file in"))?;
        let path = temp.path().to_owned();
        let on_temp = |doing| {
            let path = path.clone();
            move |error: io::Error| failed(doing, &path, &error)
        };
        leftovers::lock(temp.as_file()).map_err(on_temp("lock"))?;
        let made = temp.as_file().metadata().map_err(on_temp("read"))?;
        // Owner before mode: a change of owner takes mode bits away.
        if (made.uid(), made.gid()) != (meta.uid(), meta.gid()) {
            fchown(temp.as_file(), Some(meta.uid()), Some(meta.gid()))
                .map_err(on_temp("give its owner to"))?;
        }
        let mode = fs::Permissions::from_mode(meta.mode() & 0o7777);
        temp.as_file()
            .set_permissions(mode)
            .map_err(on_temp("set the mode of"))?;
        // After the mode: an access list is part of it.
        attributes::copy(target, temp.as_file()).map_err(on_temp("set the attributes of"))?;
        world.step("write-temp").map_err(on_temp("write"))?;
        temp.write_all(text.as_bytes()).map_err(on_temp("write"))?;
        world.step("sync-temp").map_err(on_temp("sync"))?;
        temp.as_file().sync_all().map_err(on_temp("sync"))?;
        Ok(Prepared {
            temp,
            target: target.to_owned(),
            text,
            base: None,
        })
    }

    /// Keeps what is in place under another name, so that the very text is known that the exchange is to displace.
    /// False: it is not `expected`.
    ///
    /// # Errors
    /// What failed, in words; the target is as it was.
    pub(crate) fn pin(&mut self, expected: &str) -> Result<bool, String> {
        let on_target = |error: io::Error| failed("keep", &self.target, &error);
        let ours = self.temp.as_file().metadata().map_err(on_target)?;
        let there =
            fs::metadata(&self.target).map_err(|error| failed("read", &self.target, &error))?;
        let path = base_path(self.temp.path(), &ours, &there);
        let name = match fs::hard_link(&self.target, &path) {
            Ok(()) => TempPath::try_from_path(&path).map_err(on_target)?,
            // Not on every file system, and not of every file of others.
            Err(_) => {
                let name = TempPath::try_from_path(&path).map_err(on_target)?;
                fs::write(&path, expected).map_err(on_target)?;
                if !holds(&self.target, expected.as_bytes()).map_err(on_target)? {
                    return Ok(false);
                }
                name
            }
        };
        let file = regular(&path).map_err(on_target)?;
        // Held by a living process already where another of vigil's texts is what is in place: as good.
        let _ = leftovers::lock(&file);
        let holds = holds(&path, expected.as_bytes()).map_err(on_target)?;
        self.base = Some(Base {
            _name: name,
            _file: file,
        });
        Ok(holds)
    }

    /// Puts the new text in place of `expected`, which was [pinned](Self::pin).
    ///
    /// The two files change places in one step, and then the displaced one is looked at: Vigilante's own commands
    /// write without any lock, so that the file may have changed after the last look. Then the places are changed
    /// back at once. Who wrote even between the two exchanges did not see what is in place again: that is brought
    /// together, so that nobody's change is lost.
    ///
    /// # Errors
    /// What failed, in words; the target is as it was.
    pub(crate) fn replace(self, expected: &str, world: &dyn World) -> Result<Replaced, String> {
        let on_target = |error: io::Error| failed("replace", &self.target, &error);
        world.step(LAST_STEP).map_err(on_target)?;
        match exchange(self.temp.path(), &self.target, world) {
            Ok(()) => match world.step("look-back") {
                Ok(()) => Ok(self.look_back(expected, world)),
                Err(error) => Ok(self.left_behind(&error)),
            },
            Err(Errno::NOSYS | Errno::INVAL | Errno::OPNOTSUPP | Errno::XDEV) => {
                Ok(Replaced::NoExchange(Box::new(self)))
            }
            Err(error) => Err(on_target(error.into())),
        }
    }

    /// Where the file system has no exchange: a plain rename is as atomic, but forgets what it displaces. Only for when
    /// nobody else can write.
    ///
    /// # Errors
    /// What failed, in words; the target is as it was.
    pub(crate) fn rename_over(self) -> Result<Replaced, String> {
        let target = &self.target;
        self.temp
            .persist(target)
            .map_err(|error| failed("replace", target, &error.error))?;
        Ok(Replaced::Unproven(
            "the file system cannot let two files change places".to_owned(),
        ))
    }

    /// After an exchange: is the displaced text the expected one? If not, changes back, and brings together what was
    /// written in between.
    fn look_back(self, expected: &str, world: &dyn World) -> Replaced {
        // The usual case compares without another copy in memory: a fleet's file is large.
        match holds(self.temp.path(), expected.as_bytes()) {
            Ok(true) => return Replaced::Yes,
            Ok(false) => {}
            Err(error) => return self.left_behind(&error),
        }
        let back = world
            .step("step-back")
            .and_then(|()| Ok(exchange(self.temp.path(), &self.target, world)?));
        if let Err(error) = back {
            return self.left_behind(&error);
        }
        match read(self.temp.path()) {
            Ok(displaced) if displaced == self.text.as_bytes() => Replaced::No,
            Ok(displaced) => self.bring_together(expected, displaced, world),
            Err(error) => self.left_behind(&error),
        }
    }

    /// The target holds what one wrote, `displaced` what another wrote who had not seen that.
    fn bring_together(self, expected: &str, displaced: Vec<u8>, world: &dyn World) -> Replaced {
        let mut known = vec![expected.to_owned(), self.text.clone()];
        // Each stays on the disk until all of it is in place: a crash leaves it to the next start.
        let mut lost = vec![(displaced, self, known.len())];
        let mut conflicts = Vec::new();
        let mut rounds = 0;
        let failed = loop {
            rounds += 1;
            if rounds > ROUNDS_MAX {
                break "others keep writing".to_owned();
            }
            let Some((_, first, _)) = lost.first() else {
                return Replaced::No;
            };
            let target = first.target.clone();
            let present = match read_text(&target) {
                Ok(present) => present,
                Err(error) => break failed("read", &target, &error),
            };
            conflicts.clear();
            let mut text = present.clone();
            let mut trouble = None;
            for (displaced, _, seen) in &lost {
                let from: Vec<&str> = known[..*seen].iter().map(String::as_str).collect();
                let together = std::str::from_utf8(displaced)
                    .map_err(|error| error.to_string())
                    .and_then(|displaced| {
                        merge::together(&Sides {
                            onto: &text,
                            onto_from: &from,
                            lost: displaced,
                            lost_from: &from,
                            newer: Newer::Lost,
                            withdraw: None,
                        })
                    });
                match together {
                    Ok(together) => {
                        text = together.text;
                        conflicts.extend(together.conflicts);
                    }
                    Err(why) => trouble = Some(why),
                }
            }
            if let Some(why) = trouble {
                break why;
            }
            let contested =
                |lost: Vec<(Vec<u8>, Prepared, usize)>, conflicts: Vec<String>| match lost
                    .into_iter()
                    .next()
                {
                    Some((first, ..)) if !conflicts.is_empty() => {
                        Replaced::Contested(conflicts, first)
                    }
                    _ => Replaced::No,
                };
            if text == present {
                return contested(lost, conflicts);
            }
            let next = Prepared::write(&target, text.clone(), world).and_then(|mut next| {
                let pinned = next.pin(&present)?;
                Ok((next, pinned))
            });
            let next = match next {
                Ok((next, true)) => next,
                // Somebody wrote since: once more from what they wrote.
                Ok((_, false)) => continue,
                Err(why) => break why,
            };
            if let Err(error) = exchange(next.temp.path(), &target, world) {
                break failed("replace", &target, &error.into());
            }
            match read(next.temp.path()) {
                Ok(displaced) if displaced == present.as_bytes() => {
                    drop(next);
                    return contested(lost, conflicts);
                }
                Ok(displaced) => {
                    known.push(present);
                    known.push(text);
                    lost.push((displaced, next, known.len()));
                }
                Err(error) => {
                    let why = failed("read", next.temp.path(), &error);
                    next.leave();
                    break why;
                }
            }
        };
        for (_, prepared, _) in lost {
            prepared.leave();
        }
        Replaced::Unproven(format!(
            "what others wrote at the same moment could not be brought together ({failed}); it waits beside the file"
        ))
    }

    fn left_behind(self, error: &io::Error) -> Replaced {
        let why = failed("look back at", &self.target, error);
        let place = self.temp.path().display().to_string();
        self.leave();
        Replaced::Unproven(format!("{why}; what stood there before is in {place}"))
    }

    /// Leaves both files where they are, unlocked: the next pass finds them as after a crash, and brings back what
    /// others wrote.
    fn leave(self) {
        let keep = |name: TempPath| {
            if let Err(error) = name.keep() {
                // Never taken away: it may be the only copy of what somebody wrote.
                std::mem::forget(error.path);
            }
        };
        keep(self.temp.into_temp_path());
        if let Some(base) = self.base {
            keep(base._name);
        }
    }
}

/// Characters of a temporary file's name that nobody can foresee.
const RANDOM_CHARS: usize = 12;

/// The name of the file that keeps what stood in the target's place: it tells the new text's file and the old one's last
/// change, so that whoever finds it knows which of both a temporary file is.
fn base_path(temp: &Path, ours: &fs::Metadata, there: &fs::Metadata) -> PathBuf {
    let stem = temp.with_extension("");
    let mut name = stem.into_os_string();
    name.push(format!(
        ".{:x}.{:x}.{:x}.{:x}{BASE_SUFFIX}",
        ours.ino(),
        there.mtime(),
        there.mtime_nsec(),
        there.len()
    ));
    PathBuf::from(name)
}

/// A file beside the owner's, or the owner's own: opened without waiting, whatever somebody put there.
pub(crate) fn regular(path: &Path) -> io::Result<File> {
    Ok(open::open(path)?.into_file())
}

/// All of it.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    Ok(open::read(path, FILE_BYTES_MAX)?)
}

/// The same of a text.
pub(crate) fn read_text(path: &Path) -> io::Result<String> {
    Ok(open::text(path, FILE_BYTES_MAX)?)
}

/// Whether the file at `path` holds `expected` and nothing else.
pub(crate) fn holds(path: &Path, expected: &[u8]) -> io::Result<bool> {
    let mut file = regular(path)?;
    let mut left = expected;
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        match file.read(&mut chunk) {
            Ok(0) => return Ok(left.is_empty()),
            Ok(count) => match left.split_at_checked(count) {
                Some((next, rest)) if next == &chunk[..count] => left = rest,
                _ => return Ok(false),
            },
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Waits until the names in `target`'s folder are on the disk.
pub(crate) fn sync_folder(target: &Path, world: &dyn World) -> Result<(), String> {
    let folder = folder_of(target);
    world
        .step("sync-folder")
        .and_then(|()| File::open(folder)?.sync_all())
        .map_err(|error| failed("sync", folder, &error))
}

/// A step that failed on a path, and what a person can do about it.
pub(crate) fn failed(doing: &str, path: &Path, error: &io::Error) -> String {
    let hint = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "; free space there, vigil tries again on its next pass"
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            "; make it writable, or set `mode = \"observe\"` for this source"
        }
        io::ErrorKind::PermissionDenied => {
            "; vigil needs the rights of the user who runs Vigilante"
        }
        _ => "",
    };
    format!("failed to {doing} {}: {error}{hint}", path.display())
}

/// Lets two files change places. The step before it stands for a file system: an error of its own is that one's answer.
fn exchange(a: &Path, b: &Path, world: &dyn World) -> Result<(), Errno> {
    world
        .step("exchange")
        .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE)
}

pub(crate) fn folder_of(target: &Path) -> &Path {
    target
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests;
