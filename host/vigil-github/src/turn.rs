//! One query of an account at a time, whatever the processes: a daemon, and looks and passes beside it, take turns by
//! locking a file. The system holds the lock and frees it when its holder ends, however that ends.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::tokens::Account;

/// The folder of the files, within the one that the processes share.
const FOLDER: &str = "lines";

/// Where processes take turns.
pub(crate) struct Turns {
    folder: PathBuf,
    /// Goes before the name of each account: the same one elsewhere has another line.
    host: String,
    /// No request takes so long. Whoever holds a turn longer was stopped and sends nothing.
    patience: Duration,
    /// Somebody was waited for in vain, and is not waited for again before the line was seen free.
    is_stuck: AtomicBool,
}

/// The turn of this process, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    // Held open: closing it gives the lock back.
    _file: File,
}

/// The time was up before it was this process's turn.
#[derive(Debug)]
pub(crate) struct OutOfTime;

impl Turns {
    /// Turns among the processes that share `folder`, for accounts at `host`. `patience`: no request takes so long.
    pub(crate) fn new(folder: &Path, host: &str, patience: Duration) -> Self {
        Turns {
            folder: folder.join(FOLDER),
            host: host.to_owned(),
            patience,
            is_stuck: AtomicBool::new(false),
        }
    }

    /// Waits until no other process has a query of `account` out, at most until `deadline`. `None`: there is no way to
    /// take turns, or the one whose turn it is does not end it. Then this process goes on by itself: GitHub minds two
    /// queries less than a person minds a vigil that hangs.
    ///
    /// # Errors
    /// The deadline came first.
    pub(crate) async fn take(
        &self,
        account: &Account,
        deadline: Instant,
    ) -> Result<Option<Turn>, OutOfTime> {
        let file = match self.open(account) {
            Ok(file) => file,
            Err(error) => {
                tracing::debug!(%account, %error, "no turns are taken with other processes");
                return Ok(None);
            }
        };
        match file.try_lock() {
            Ok(()) => {
                self.is_stuck.store(false, Ordering::Relaxed);
                return Ok(Some(Turn { _file: file }));
            }
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => {
                tracing::debug!(%account, %error, "no turns are taken with other processes");
                return Ok(None);
            }
        }
        if self.is_stuck.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let patience = Instant::now() + self.patience;
        match tokio::time::timeout_at(deadline.min(patience), locked(file)).await {
            Ok(turn) => Ok(turn),
            Err(_) if patience < deadline => {
                self.is_stuck.store(true, Ordering::Relaxed);
                tracing::warn!(%account, "another vigil has had a query out for too long; it is not waited for");
                Ok(None)
            }
            Err(_) => Err(OutOfTime),
        }
    }

    /// The account's file. The shared folder is not made: where there is none, nobody shares it.
    fn open(&self, account: &Account) -> io::Result<File> {
        match DirBuilder::new().mode(0o700).create(&self.folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
        let name: String = format!("{} {account}", self.host)
            .chars()
            .map(plain)
            .collect();
        OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(self.folder.join(format!("{name}.lock")))
    }
}

/// Waits for the lock of `file` on a thread of its own: the system queues those who wait, so that a process with much to
/// ask leaves others their turn. Should nobody wait for it any more, the lock goes back as soon as it is there; a
/// runtime's own threads would hold up the end of the process until then.
async fn locked(file: File) -> Option<Turn> {
    let (sender, receiver) = oneshot::channel();
    let thread = std::thread::Builder::new().name("vigil-turn".to_owned());
    let spawned = thread.spawn(move || {
        let locked = file.lock().is_ok();
        let _ = sender.send(locked.then_some(Turn { _file: file }));
    });
    match spawned {
        Ok(_) => receiver.await.ok().flatten(),
        Err(_) => None,
    }
}
