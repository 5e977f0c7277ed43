//! One daemon for each state folder.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::error::{Result, StoreError};
use crate::watch::Inode;

/// The lock's file within the state folder.
const FILE: &str = "daemon.lock";

/// The right to be the daemon of a state folder, until it is dropped or the process ends, however it ends: the system
/// holds the lock (flock), not the file's content.
#[derive(Debug)]
pub struct DaemonLock {
    // Held open: closing it gives the lock back.
    file: File,
    path: PathBuf,
}

/// The lock's file in the folder `dir`.
pub(crate) fn file_in(dir: &Path) -> PathBuf {
    dir.join(FILE)
}

impl DaemonLock {
    /// Takes the right for the folder `dir`; `None`: another process has it, and [`DaemonLock::holder`] tells which.
    /// The file stays behind afterwards, unlocked: deleting it would let two processes lock two files of one name.
    ///
    /// # Errors
    /// When the folder or the file cannot be made or locked.
    pub fn try_take(dir: &Path) -> Result<Option<DaemonLock>> {
        let path = file_in(dir);
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(|error| StoreError::io("create", dir, error))?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(|error| StoreError::io("open", &path, error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(StoreError::io("lock", &path, error)),
        }
        let pid = std::process::id().to_string();
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{pid}"))
            .map_err(|error| StoreError::io("write", &path, error))?;
        Ok(Some(DaemonLock { file, path }))
    }

    /// The pid that the present or the last holder wrote down, for people; `None`: none can be read. No proof that it
    /// lives: only [`DaemonLock::try_take`] tells that.
    pub fn holder(dir: &Path) -> Option<u32> {
        std::fs::read_to_string(file_in(dir))
            .ok()?
            .trim()
            .parse()
            .ok()
    }

    /// Whether the lock still keeps others out: its file is the one at its path, and not one that was taken away.
    ///
    /// # Errors
    /// [`StoreError::Lost`] where it does not.
    pub fn check(&self) -> Result<()> {
        let io = |error| StoreError::io("look at", &self.path, error);
        let locked = Inode::of(&self.file.metadata().map_err(io)?);
        let what = match std::fs::metadata(&self.path) {
            Ok(there) if Inode::of(&there) == locked => return Ok(()),
            Ok(_) => "was replaced by another file",
            Err(error) if error.kind() == io::ErrorKind::NotFound => "is not there any more",
            Err(error) => return Err(io(error)),
        };
        Err(StoreError::Lost {
            path: self.path.clone(),
            what,
        })
    }

    /// The lock's file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}
