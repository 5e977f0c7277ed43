//! Which holders of leases live. Each keeps a file in the state folder locked (flock), and the system unlocks it
//! however the process ends: so a lease that a killed process left binds nobody, and no pid has to be guessed at.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use rusqlite::Transaction;

use crate::error::{Result, StoreError};
use crate::open::Store;

/// The folder of those files, within the state folder.
pub(crate) const FOLDER: &str = "holders";

/// How often a file is made anew that another process swept away before it was locked. Twice is bad luck already.
const TRIES_MAX: usize = 10;

/// The lock of a living holder. Dropping it, or the end of the process, says that the holder is gone.
#[derive(Debug)]
pub(crate) struct Life {
    name: String,
    path: PathBuf,
    // Held open: closing it gives the lock back.
    _file: File,
}

/// A holder that is gone, its file locked by us.
#[derive(Debug)]
pub(crate) struct Dead {
    name: String,
    path: PathBuf,
    // Held open: nobody else buries the same holder meanwhile.
    _file: File,
}

impl Dead {
    /// As it named itself.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Takes its file away; after its leases, so that a crash in between repeats both.
    pub(crate) fn bury(self) {
        // One that stays is found dead again.
        let _ = fs::remove_file(&self.path);
    }
}

impl Store {
    /// Shows from now on that `holder` lives. A store in memory has nobody to show it to.
    ///
    /// # Errors
    /// When the file cannot be made or locked.
    pub(crate) fn show_life(&mut self, holder: &str) -> Result<()> {
        if self.lives.iter().any(|life| life.name == holder) {
            return Ok(());
        }
        let Some(folder) = self.holders() else {
            return Ok(());
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .map_err(|error| StoreError::io("create", &folder, error))?;
        let path = folder.join(file_name(holder));
        for _ in 0..TRIES_MAX {
            if let Some(file) =
                locked(&path, holder).map_err(|e| StoreError::io("lock", &path, e))?
            {
                self.lives.push(Life {
                    name: holder.to_owned(),
                    path,
                    _file: file,
                });
                return Ok(());
            }
        }
        let error = io::Error::new(
            io::ErrorKind::ResourceBusy,
            "another process uses the same name",
        );
        Err(StoreError::io("lock", &path, error))
    }

    /// Ends what [`Store::show_life`] began; after the holder's leases, so that a crash in between finds it dead.
    pub(crate) fn end_life(&mut self, holder: &str) {
        for life in self.lives.extract_if(.., |life| life.name == holder) {
            // One that stays is found dead by whoever leases next.
            let _ = fs::remove_file(&life.path);
        }
    }

    /// The holders that left their file behind and live no more.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub(crate) fn take_dead(&self) -> Result<Vec<Dead>> {
        let Some(folder) = self.holders() else {
            return Ok(Vec::new());
        };
        let mut dead = Vec::new();
        for entry in
            fs::read_dir(&folder).map_err(|error| StoreError::io("read", &folder, error))?
        {
            let path = entry
                .map_err(|error| StoreError::io("read", &folder, error))?
                .path();
            let unborn = path
                .file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with(UNBORN));
            if unborn || self.lives.iter().any(|life| life.path == path) {
                continue;
            }
            // One that went away, or that cannot be looked at, is not known to be dead; its leases run out.
            if let Ok(Some(found)) = if_dead(&path) {
                dead.push(found);
            }
        }
        Ok(dead)
    }

    /// None for a store in memory.
    pub(crate) fn holders(&self) -> Option<PathBuf> {
        self.db.path().filter(|path| !path.is_empty())?;
        Some(self.path.parent()?.join(FOLDER))
    }
}

/// Deletes leases whose holder has no file in `folder`. A holder makes its file before its first lease and takes it
/// away after its last, so that only a power cut leaves such leases: it brings back rows whose deletion had not
/// reached the disk, and not the file. Within the transaction of a writer no living holder can look like that.
pub(crate) fn forget_strangers(db: &Transaction<'_>, folder: &Path) -> rusqlite::Result<()> {
    let holders: Vec<String> = db
        .prepare_cached("SELECT DISTINCT holder FROM leases")?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    for holder in holders {
        // A folder that cannot be looked into says nothing; its holders' leases run out.
        if matches!(folder.join(file_name(&holder)).try_exists(), Ok(false)) {
            db.prepare_cached("DELETE FROM leases WHERE holder = ?1")?
                .execute([holder])?;
        }
    }
    Ok(())
}

/// Letters, digits and dashes of a holder's name: a file's name everywhere.
fn file_name(holder: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    format!("{}.lock", holder.chars().map(plain).collect::<String>())
}

/// The file at `path`, locked and with the holder's name in it. None: somebody else has it, or swept it away.
///
/// The file appears locked: one that is made first and locked afterwards looks dead in between, and another vigil that
/// starts at that moment would bury it.
fn locked(path: &Path, holder: &str) -> io::Result<Option<File>> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut made = tempfile::Builder::new()
        .prefix(UNBORN)
        .tempfile_in(folder)?;
    lock(made.as_file())?;
    made.write_all(holder.as_bytes())?;
    match made.persist_noclobber(path) {
        Ok(file) => return Ok(Some(file)),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error.error),
    }
    // An earlier life under the same name.
    let mut file = match OpenOptions::new().read(true).write(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if !lock(&file)? || !is_at(&file, path) {
        return Ok(None);
    }
    file.set_len(0)?;
    file.write_all(holder.as_bytes())?;
    Ok(Some(file))
}

/// Takes the lock of an open file; false: somebody else has it.
fn lock(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// What the name of a file begins with whose holder is not there yet; nobody looks at those.
pub(crate) const UNBORN: &str = ".new-";

fn if_dead(path: &Path) -> io::Result<Option<Dead>> {
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    if !lock(&file)? || !is_at(&file, path) {
        return Ok(None);
    }
    let mut name = String::new();
    file.read_to_string(&mut name)?;
    Ok(Some(Dead {
        name,
        path: path.to_owned(),
        _file: file,
    }))
}

/// Whether `path` still leads to `file`.
fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(locked), Ok(there)) => locked.dev() == there.dev() && locked.ino() == there.ino(),
        _ => false,
    }
}
