//! Puts a new text in a file's place: at every moment the file is the old one or the new one, and what somebody else
//! put there in the meantime is never lost.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read as _, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use rustix::process::geteuid;
use tempfile::NamedTempFile;
use vigil_core::Timestamp;

use crate::World;

/// What the names of vigil's temporary files begin and end with, so that a leftover is known as vigil's own.
pub(crate) const TEMP_PREFIX: &str = ".vigil-sessions-";
const TEMP_SUFFIX: &str = ".tmp";

/// How old a leftover is before it is taken away. A write lasts seconds; after an hour its process is gone.
pub(crate) const LEFTOVER_AFTER: Duration = Duration::from_secs(60 * 60);

/// 256 KiB: what is compared at once.
const CHUNK_BYTES: usize = 256 << 10;

/// How often two files change places again while others keep writing in between.
const SWAPS_MAX: usize = 8;

/// A new text on the disk, beside the file that it is to replace. Dropping it takes it away.
#[derive(Debug)]
pub(crate) struct Prepared {
    temp: NamedTempFile,
    target: PathBuf,
    text: String,
}

/// How a replacement ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Replaced {
    /// The new text is in place, and what it displaced is what was expected.
    Yes,
    /// The new text is in place; what it displaced could not be looked at, or the file system cannot let two files
    /// change places. Somebody may have written since the last look.
    Unproven(String),
    /// Somebody else had written. Their text is in place again, as if nothing had happened.
    No,
}

impl Prepared {
    /// Writes `text` to a new file beside `target` and waits until it is on the disk. It has `target`'s mode and
    /// owner, and a name that nobody can foresee.
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
            .rand_bytes(12)
            .tempfile_in(folder)
            .map_err(on_folder("create a file in"))?;
        let path = temp.path().to_owned();
        let on_temp = |doing| {
            let path = path.clone();
            move |error: io::Error| failed(doing, &path, &error)
        };
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
        world.step("write-temp").map_err(on_temp("write"))?;
        temp.write_all(text.as_bytes()).map_err(on_temp("write"))?;
        world.step("sync-temp").map_err(on_temp("sync"))?;
        temp.as_file().sync_all().map_err(on_temp("sync"))?;
        Ok(Prepared {
            temp,
            target: target.to_owned(),
            text,
        })
    }

    /// Puts the new text in place of `expected`.
    ///
    /// The two files change places in one step, and then the displaced one is looked at: Vigilante's own commands
    /// write without any lock, so that the file may have changed after the last look. Then the places are changed
    /// back, and whoever wrote last stands.
    ///
    /// # Errors
    /// What failed, in words; the target is as it was.
    pub(crate) fn replace(self, expected: &str, world: &dyn World) -> Result<Replaced, String> {
        let target = self.target.clone();
        let on_target = |error: io::Error| failed("replace", &target, &error);
        world.step("rename").map_err(on_target)?;
        match exchange(self.temp.path(), &target) {
            Ok(()) => match world.step("look-back") {
                Ok(()) => Ok(self.look_back(expected)),
                Err(error) => Ok(Replaced::Unproven(failed("look back at", &target, &error))),
            },
            Err(Errno::NOSYS | Errno::INVAL | Errno::OPNOTSUPP | Errno::XDEV) => self.rename_over(),
            Err(error) => Err(on_target(error.into())),
        }
    }

    /// Where the file system has no exchange: a plain rename is as atomic, but forgets what it displaces.
    fn rename_over(self) -> Result<Replaced, String> {
        let target = &self.target;
        self.temp
            .persist(target)
            .map_err(|error| failed("replace", target, &error.error))?;
        Ok(Replaced::Unproven(
            "the file system cannot let two files change places".to_owned(),
        ))
    }

    /// After an exchange: is the displaced text the expected one? If not, changes back until the last writer's stands.
    fn look_back(self, expected: &str) -> Replaced {
        // The usual case compares without another copy in memory: a fleet's file is large.
        if holds(self.temp.path(), expected.as_bytes()).is_ok_and(|holds| holds) {
            return Replaced::Yes;
        }
        let mut in_place = self.text.into_bytes();
        let mut expected = expected.as_bytes().to_vec();
        let mut ours_in_place = true;
        for _ in 0..SWAPS_MAX {
            let displaced = match fs::read(self.temp.path()) {
                Ok(displaced) => displaced,
                Err(error) => {
                    let what = failed("read", self.temp.path(), &error);
                    let kept = keep(self.temp);
                    return Replaced::Unproven(format!(
                        "{what}; what stood there before is in {}",
                        kept.display()
                    ));
                }
            };
            if displaced == expected {
                return if ours_in_place {
                    Replaced::Yes
                } else {
                    Replaced::No
                };
            }
            if let Err(error) = exchange(self.temp.path(), &self.target) {
                let kept = keep(self.temp);
                return Replaced::Unproven(format!(
                    "{}; what stood there before is in {}",
                    failed("replace", &self.target, &error.into()),
                    kept.display()
                ));
            }
            expected = in_place;
            in_place = displaced;
            ours_in_place = false;
        }
        Replaced::No
    }
}

/// Whether the file at `path` holds `expected` and nothing else.
pub(crate) fn holds(path: &Path, expected: &[u8]) -> io::Result<bool> {
    let mut file = File::open(path)?;
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

/// Leaves a displaced file behind, under a name that no sweep takes for a leftover: it may be the only copy of what
/// somebody wrote, and a person decides about it.
fn keep(temp: NamedTempFile) -> PathBuf {
    let path = match temp.into_temp_path().keep() {
        Ok(path) => path,
        Err(error) => {
            let path = error.path.to_path_buf();
            std::mem::forget(error.path);
            path
        }
    };
    let kept = path.with_extension("kept");
    match fs::rename(&path, &kept) {
        Ok(()) => kept,
        Err(_) => path,
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

/// Takes leftovers of earlier writes out of `folder`: regular files with vigil's own kind of name, of this user, with
/// no other name, and untouched for [`LEFTOVER_AFTER`]. Anything else stays, and so does what cannot be removed.
///
/// A crash right after the exchange leaves what stood there before under such a name, and somebody may have written it
/// in the last moment: each is kept in `keep_in` before it goes.
pub(crate) fn sweep(folder: &Path, keep_in: &Path, now: Timestamp) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        if is_temp_name(&entry.file_name())
            && let Ok(meta) = fs::symlink_metadata(entry.path())
            && meta.is_file()
            && meta.nlink() == 1
            && meta.uid() == geteuid().as_raw()
            // The change of a name counts: a displaced file brings an old time of writing along.
            && let Ok(seconds) = u64::try_from(meta.mtime().max(meta.ctime()))
            && Timestamp(seconds.saturating_mul(1000)).after(LEFTOVER_AFTER) < now
        {
            match put_aside(&entry.path(), keep_in).and_then(|()| fs::remove_file(entry.path())) {
                Ok(()) => {
                    tracing::info!(path = %entry.path().display(), kept_in = %keep_in.display(), "leftover of a write put aside")
                }
                Err(error) => {
                    tracing::warn!(path = %entry.path().display(), %error, "leftover of a write stays");
                }
            }
        }
    }
}

/// Copies a leftover into the folder `keep_in`, readable by its owner alone and on the disk when this returns.
fn put_aside(path: &Path, keep_in: &Path) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(keep_in)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut copy = NamedTempFile::new_in(keep_in)?;
    copy.write_all(&fs::read(path)?)?;
    copy.as_file().sync_all()?;
    copy.persist(keep_in.join(format!("leftover{name}")))?;
    File::open(keep_in)?.sync_all()
}

/// Whether `name` is one that [`Prepared::write`] makes.
fn is_temp_name(name: &OsStr) -> bool {
    name.to_str()
        .and_then(|name| name.strip_prefix(TEMP_PREFIX)?.strip_suffix(TEMP_SUFFIX))
        .is_some_and(|random| {
            random.len() == 12 && random.chars().all(|c| c.is_ascii_alphanumeric())
        })
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

fn exchange(a: &Path, b: &Path) -> Result<(), Errno> {
    renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE)
}

fn folder_of(target: &Path) -> &Path {
    target
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests;
