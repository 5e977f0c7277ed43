//! Whether the journal that was opened is still the one at its path, and whether anything speaks against a write to an
//! owner's records. Looked at before each such write, from whatever thread makes it.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, OpenFlags, OptionalExtension as _};
use vigil_core::Timestamp;

use crate::error::{Result, StoreError};
use crate::open::Store;
use crate::pauses::Pause;

/// The name of the file in the state folder that stops all writes to owners while it is there.
const STOP: &str = "STOP";

/// What SQLite puts beside a database that is open. Who loses one of them while it is in use works on alone, too.
const BESIDE: [&str; 2] = ["-wal", "-shm"];

/// A database is never shorter than its header.
const HEADER_BYTES: u64 = 512;

/// What tells a file from any other while somebody has it open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Inode {
    device: u64,
    number: u64,
}

impl Inode {
    /// That of a file.
    pub(crate) fn of(meta: &fs::Metadata) -> Self {
        Inode {
            device: meta.dev(),
            number: meta.ino(),
        }
    }
}

/// Looks after one opened journal. Cheap to clone; the clones share one connection, which is opened when it is first
/// needed.
#[derive(Clone, Debug)]
pub struct Watch {
    path: PathBuf,
    /// Every file of the journal as it was opened; none for a journal in memory, which nobody can take away.
    files: Vec<(PathBuf, Inode)>,
    /// When the journal was made, which no two journals of one place share.
    made: Option<i64>,
    /// Looks into the journal beside the connection that is open. To open one costs many times what a look does, most of
    /// it for reading the schema.
    beside: Arc<Mutex<Option<Store>>>,
}

/// Why nothing may be written to an owner at this moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    /// There is a file of this name.
    Stopped(PathBuf),
    /// Somebody paused it.
    Paused(Pause),
}

impl Watch {
    /// Looks at the files that were just opened over `db`.
    pub(crate) fn over(path: &Path, db: &Connection) -> Result<Self> {
        let mut files = Vec::with_capacity(1 + BESIDE.len());
        let io = |error| StoreError::io("look at", path, error);
        files.push((path.to_owned(), Inode::of(&fs::metadata(path).map_err(io)?)));
        for beside in BESIDE {
            let path = with_suffix(path, beside);
            if let Ok(meta) = fs::metadata(&path) {
                files.push((path, Inode::of(&meta)));
            }
        }
        let made = made(db).map_err(|error| StoreError::sqlite("open", path, error))?;
        Ok(Watch {
            path: path.to_owned(),
            files,
            made,
            beside: Arc::default(),
        })
    }

    /// Of a journal without files.
    pub(crate) fn none(path: &Path) -> Self {
        Watch {
            path: path.to_owned(),
            files: Vec::new(),
            made: None,
            beside: Arc::default(),
        }
    }

    /// Whether the journal's files are those that were opened. Asks the file system alone.
    ///
    /// # Errors
    /// [`StoreError::Lost`] where one of them is gone, is another one, or was cut short.
    pub fn check(&self) -> Result<()> {
        for (path, opened) in &self.files {
            let what = match fs::metadata(path) {
                Ok(there) if Inode::of(&there) != *opened => "was replaced by another file",
                Ok(there) if path == &self.path && there.len() < HEADER_BYTES => "was cut short",
                Ok(_) => continue,
                Err(error) if error.kind() == io::ErrorKind::NotFound => "is not there any more",
                Err(error) => return Err(StoreError::io("look at", path, error)),
            };
            return Err(StoreError::Lost {
                path: path.clone(),
                what,
            });
        }
        Ok(())
    }

    /// What speaks against a write to `source` at `now`: the file `STOP` beside the journal, or a pause as the journal
    /// has it that lies at the path, which is read anew. `None`: nothing does.
    ///
    /// # Errors
    /// Those of [`Watch::check`]; [`StoreError::NewerSchema`], [`StoreError::Corrupt`] and the like where the file has
    /// become something else. Nothing may be written then.
    pub fn held(&self, source: &str, now: Timestamp) -> Result<Option<Held>> {
        if self.files.is_empty() {
            return Ok(None);
        }
        self.check()?;
        if let Some(file) = self.stopped()? {
            return Ok(Some(Held::Stopped(file)));
        }
        let mut beside = self.beside.lock().unwrap_or_else(PoisonError::into_inner);
        let store = match beside.take() {
            Some(store) => store,
            None => {
                let store = self.open_beside()?;
                // What was opened is what lay at the path before and after.
                self.check()?;
                store
            }
        };
        let pause = self.pause_in(&store, source, now)?;
        // Kept only where nothing was wrong with it.
        *beside = Some(store);
        Ok(pause.map(Held::Paused))
    }

    fn open_beside(&self) -> Result<Store> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(&self.path, flags)
            .map_err(|error| StoreError::sqlite("open", &self.path, error))?;
        Ok(Store {
            db,
            path: self.path.clone(),
            lives: Vec::new(),
            watch: Watch::none(&self.path),
        })
    }

    /// The pause of `source` at `now` as `store`, a connection of its own, finds it in the files.
    fn pause_in(&self, store: &Store, source: &str, now: Timestamp) -> Result<Option<Pause>> {
        // Without what it remembers of a file that may have been overwritten since. The connection that does the writing
        // goes on with that.
        store.read("look into", |db| db.execute_batch("PRAGMA shrink_memory"))?;
        store.accept()?;
        if store.read("look into", made)? != self.made {
            return Err(StoreError::Lost {
                path: self.path.clone(),
                what: "was overwritten with another journal",
            });
        }
        store.paused(source, now)
    }

    /// The file that stops all writes, where it is there.
    ///
    /// # Errors
    /// When nobody can tell.
    pub fn stopped(&self) -> Result<Option<PathBuf>> {
        match self.path.parent() {
            Some(dir) if !self.files.is_empty() => stop_file(dir),
            _ => Ok(None),
        }
    }
}

/// The file in the folder `dir` that stops all writes to owners, where it is there: of whatever kind, with whatever in it.
///
/// # Errors
/// When nobody can tell.
pub fn stop_file(dir: &Path) -> Result<Option<PathBuf>> {
    let file = dir.join(STOP);
    match fs::symlink_metadata(&file) {
        Ok(_) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StoreError::io("look for", &file, error)),
    }
}

/// The living processes that work with a journal of the folder `dir` which is not the one at its path: what is said to
/// that one does not reach them. Sees the processes that this user may look into; our own is left out.
pub fn strays(dir: &Path) -> Vec<u32> {
    let dir = fs::canonicalize(dir).unwrap_or_else(|_| dir.to_owned());
    let journal = Store::file_in(&dir);
    let lock = crate::daemon::file_in(&dir);
    let present = fs::metadata(&journal).ok().map(|meta| Inode::of(&meta));
    let gone = |path: &Path| with_suffix(path, " (deleted)");
    let (gone_journal, gone_lock) = (gone(&journal), gone(&lock));
    let mut strays: Vec<u32> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| *pid != std::process::id())
        .filter(|pid| {
            let mut ours = false;
            let mut same = false;
            let open = fs::read_dir(format!("/proc/{pid}/fd"));
            for file in open.into_iter().flatten().flatten() {
                let Ok(name) = fs::read_link(file.path()) else {
                    continue;
                };
                let is_journal = name == journal || name == gone_journal;
                ours |= is_journal || name == lock || name == gone_lock;
                same |= is_journal
                    && fs::metadata(file.path())
                        .is_ok_and(|meta| Some(Inode::of(&meta)) == present);
            }
            ours && !same
        })
        .collect();
    strays.sort_unstable();
    strays
}

/// When the journal was made: the moment of its first migration.
fn made(db: &Connection) -> rusqlite::Result<Option<i64>> {
    db.query_row("SELECT min(at) FROM migrations", [], |row| row.get(0))
        .optional()
        .map(Option::flatten)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests;
