//! The database's file: how it comes into being, who may read it, and copies of it.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use rusqlite::Connection;
use vigil_core::Timestamp;
use vigil_core::time::minutes;

use crate::error::{Result, StoreError};
use crate::holders;
use crate::open::Store;

/// What the name of a database begins with that is being made, and that of what SQLite puts beside it.
const NEW_PREFIX: &str = ".vigil-new-";

/// How old a half-made file is before it is taken away: its maker locks it within the same moment.
const LEFTOVER_AFTER: Duration = minutes(1);

/// Sees to it that there is a database at `path` in the folder `dir`, readable by its owner alone.
///
/// A new one is made whole under another name and then given its own: two processes that start at once, or a crash,
/// never meet a half-made one. SQLite gives the files that it puts beside it the same mode.
pub(crate) fn provide(dir: &Path, path: &Path, now: Timestamp) -> Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|error| StoreError::io("create", dir, error))?;
    sweep(dir, NEW_PREFIX, now);
    sweep(&dir.join(holders::FOLDER), holders::UNBORN, now);
    // The database itself is never opened here to look at it: closing it again would drop the locks that another
    // connection of this very process holds on it.
    match fs::metadata(path) {
        Ok(found) => tighten(path, &found),
        Err(error) if error.kind() == io::ErrorKind::NotFound => create(dir, path, now),
        Err(error) => Err(StoreError::io("look at", path, error)),
    }
}

fn create(dir: &Path, path: &Path, now: Timestamp) -> Result<()> {
    // 0600 from the first moment on, whatever the umask lets through.
    let made = tempfile::Builder::new()
        .prefix(NEW_PREFIX)
        .suffix(".sqlite")
        .tempfile_in(dir)
        .map_err(|error| StoreError::io("create a file in", dir, error))?;
    let (held, made) = made.into_parts();
    held.lock()
        .map_err(|error| StoreError::io("lock a file in", dir, error))?;
    // What SQLite puts beside it is no part of a whole database, and goes away whatever happens.
    let beside = ["-wal", "-shm"].map(|suffix| {
        let mut name = made.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    });
    let whole = Store::connect(&made, path, now)
        .and_then(Store::finish)
        .and_then(|()| {
            File::open(&made)
                .and_then(|file| file.sync_all())
                .map_err(|error| StoreError::io("write", path, error))
        });
    for path in beside {
        let _ = fs::remove_file(path);
    }
    whole?;
    // Before it has its name: to close a database's file drops the locks that SQLite holds on it in this process.
    drop(held);
    match made.persist_noclobber(path) {
        Ok(()) => File::open(dir)
            .and_then(|folder| folder.sync_all())
            .map_err(|error| StoreError::io("create a file in", dir, error)),
        // Another process was faster; ours goes away.
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(StoreError::io("create", path, error.error)),
    }
}

/// Takes away what a kill left in `dir` of files that were being made, whose names begin with `prefix`: what is old and
/// not locked by its maker.
fn sweep(dir: &Path, prefix: &str, now: Timestamp) {
    let is_left = |path: &Path| -> Option<bool> {
        let found = fs::symlink_metadata(path).ok()?;
        let since = found.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
        let written = Timestamp(u64::try_from(since.as_millis()).ok()?);
        let is_old = found.is_file() && written.after(LEFTOVER_AFTER) < now;
        Some(is_old && File::open(path).ok()?.try_lock().is_ok())
    };
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(prefix)
            && is_left(&entry.path()) == Some(true)
        {
            // One that stays is looked at again.
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// A file that came from elsewhere, say a restored backup, may be readable by others.
fn tighten(path: &Path, found: &fs::Metadata) -> Result<()> {
    if !found.is_file() {
        let error = io::Error::new(io::ErrorKind::InvalidInput, "it is no file");
        return Err(StoreError::io("open", path, error));
    }
    if found.permissions().mode() & 0o077 == 0 {
        return Ok(());
    }
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))
        .map_err(|error| StoreError::io("take away other people's rights to", path, error))
}

impl Store {
    /// Folds all of SQLite's log into the file, looks whether the file is whole, and closes it. Only then may it count:
    /// on a full disk each of these fails, and a file without its log would be damaged for good.
    fn finish(self) -> Result<()> {
        let (blocked, left, folded) = self.read("create", |db| {
            db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| {
                let number = |at| row.get::<_, i64>(at);
                Ok((number(0)?, number(1)?, number(2)?))
            })
        })?;
        let path = self.path.clone();
        if blocked != 0 || left != folded {
            let error = io::Error::other("its log could not be folded into it");
            return Err(StoreError::io("create", &path, error));
        }
        if let Some(damage) = self.damage()?.first() {
            let error = io::Error::other(damage.clone());
            return Err(StoreError::io("create", &path, error));
        }
        self.db
            .close()
            .map_err(|(_, error)| StoreError::sqlite("create", &path, error))
    }

    /// Writes a consistent copy to `target`, readable by its owner alone, while others go on working.
    ///
    /// # Errors
    /// [`StoreError::Io`] where there is a file of that name: nothing is ever written over.
    pub fn backup_to(&self, target: &Path) -> Result<()> {
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(target)
            .map_err(|error| StoreError::io("create", target, error))?;
        let copied = self.copy_into(target);
        if copied.is_err() {
            // Half a copy would only be taken for a whole one. It was made here, a moment ago.
            let _ = fs::remove_file(target);
        }
        copied
    }

    fn copy_into(&self, target: &Path) -> Result<()> {
        let Some(name) = target.to_str() else {
            let error = io::Error::new(io::ErrorKind::InvalidInput, "its name is no UTF-8");
            return Err(StoreError::io("back up into", target, error));
        };
        self.read("back up", |db| {
            db.execute("VACUUM INTO ?1", [name]).map(drop)
        })?;
        // Ready to be opened by several at once: turning it over to a log needs the file for oneself.
        Connection::open(target)
            .and_then(|copy| copy.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(())))
            .map_err(|error| StoreError::sqlite("back up into", target, error))?;
        File::open(target)
            .and_then(|copy| copy.sync_all())
            .map_err(|error| StoreError::io("write", target, error))
    }
}
