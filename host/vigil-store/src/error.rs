//! Why the store could not do what was asked, split where a caller chooses differently.

use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

/// A cause from below, kept for the chain that a person reads.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why the store could not do what was asked. Each text names the file and says what to do; the cause stays in
/// `source`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A newer vigil wrote the file. It was not touched.
    #[error(
        "{path} has schema {found}, and this vigil knows schemas up to {known}: run the newer vigil that wrote it, or \
         point VIGIL_STATE_DIR at another folder"
    )]
    NewerSchema {
        /// The schema in the file.
        found: u32,
        /// The newest schema that this build knows.
        known: u32,
        /// The file.
        path: PathBuf,
    },
    /// Another process held the database for longer than [`crate::BUSY_TIMEOUT`]. Nothing was changed; trying again is
    /// safe.
    #[error(
        "{path} is being written by another vigil and stayed locked for 5 s: try again, and look for a vigil that hangs \
         if it lasts"
    )]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// The file is no intact database. It was left as it is.
    #[error(
        "{path} is damaged and was left as it is: stop every vigil, move it away together with its -wal and -shm files \
         (vigil starts a new one; the sessions' records are not in it), or restore a backup"
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What SQLite found.
        #[source]
        source: Cause,
    },
    /// The file that was opened is not the one at its path any more. What was asked for was not done.
    #[error(
        "{path} {what} while vigil worked with it: nothing more is written; start vigil again, which goes on with what is \
         there then"
    )]
    Lost {
        /// The file: the database, one of SQLite's files beside it, or the daemon's lock.
        path: PathBuf,
        /// What became of it.
        what: &'static str,
    },
    /// The file is a database, but none of vigil's. It was not touched.
    #[error(
        "{path} is a database of another program and was not touched: point VIGIL_STATE_DIR at another folder"
    )]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// No room on the disk. What was asked for was not done, what was there before is intact.
    #[error(
        "no space is left to write {path}; what it holds is intact: free some space, then run again"
    )]
    Full {
        /// The file.
        path: PathBuf,
        /// What SQLite or the system answered.
        #[source]
        source: Cause,
    },
    /// The file or its folder may not be written.
    #[error(
        "{path} cannot be written: give its owner the right to, or point VIGIL_STATE_DIR at another folder"
    )]
    ReadOnly {
        /// The file.
        path: PathBuf,
        /// What SQLite or the system answered.
        #[source]
        source: Cause,
    },
    /// The system refused something else.
    #[error("failed to {doing} {path}")]
    Io {
        /// The step, for example `create`.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: Cause,
    },
    /// A row holds what this build cannot read: another build wrote it, or somebody edited it.
    #[error("failed to read {what} in {path}: run the vigil that wrote it")]
    Unreadable {
        /// The row and its column.
        what: String,
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: Cause,
    },
    /// A value over its bound. Nothing was written.
    #[error("{what} has {bytes} bytes, at most {max} are kept")]
    TooLarge {
        /// What it is and whose.
        what: String,
        /// Its size.
        bytes: usize,
        /// The bound.
        max: usize,
    },
    /// Something was named that is not there.
    #[error("there is no {what}: `vigil history` lists what there is")]
    Missing {
        /// What was named.
        what: String,
    },
    /// A fault of vigil: SQLite refused a statement.
    #[error("failed to {doing} in {path}; this is a fault of vigil, please report it")]
    Internal {
        /// The step.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What SQLite answered.
        #[source]
        source: Cause,
    },
}

/// Whether SQLite found no room for the shared memory beside the database, which it does not call a full disk.
fn is_full_beside(error: &rusqlite::Error) -> bool {
    let extended = error.sqlite_error().map(|error| error.extended_code);
    extended == Some(rusqlite::ffi::SQLITE_IOERR_SHMSIZE)
}

/// What the store's functions give.
pub type Result<T> = std::result::Result<T, StoreError>;

impl StoreError {
    /// Whether the file has become something else than what was opened, so that trying again is of no use.
    pub fn is_lost(&self) -> bool {
        matches!(
            self,
            StoreError::Lost { .. }
                | StoreError::NewerSchema { .. }
                | StoreError::Corrupt { .. }
                | StoreError::Foreign { .. }
        )
    }

    /// SQLite's refusal of `doing`, sorted by what a caller would do about it.
    pub(crate) fn sqlite(doing: &'static str, path: &Path, error: rusqlite::Error) -> StoreError {
        let path = path.to_owned();
        let code = error.sqlite_error_code();
        if let rusqlite::Error::FromSqlConversionFailure(_, _, source) = error {
            return StoreError::Unreadable {
                what: format!("a row (to {doing})"),
                path,
                source,
            };
        }
        let shm_full = is_full_beside(&error);
        let source = Box::new(error);
        match code {
            _ if shm_full => StoreError::Full { path, source },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::Busy { path },
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                StoreError::Corrupt { path, source }
            }
            Some(ErrorCode::DiskFull) => StoreError::Full { path, source },
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
                StoreError::ReadOnly { path, source }
            }
            Some(ErrorCode::CannotOpen) => StoreError::Io {
                doing: "open",
                path,
                source,
            },
            Some(ErrorCode::SystemIoFailure) => StoreError::Io {
                doing,
                path,
                source,
            },
            _ => StoreError::Internal {
                doing,
                path,
                source,
            },
        }
    }

    /// The system's refusal of `doing`.
    pub(crate) fn io(doing: &'static str, path: &Path, error: std::io::Error) -> StoreError {
        let path = path.to_owned();
        match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                StoreError::Full {
                    path,
                    source: Box::new(error),
                }
            }
            std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
                StoreError::ReadOnly {
                    path,
                    source: Box::new(error),
                }
            }
            _ => StoreError::Io {
                doing,
                path,
                source: Box::new(error),
            },
        }
    }
}
