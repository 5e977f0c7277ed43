//! One query with a token at a time, whatever the processes: a daemon, and looks and passes beside it, take turns by
//! locking a file. The system holds the lock and frees it when its holder ends, however that ends. In the file stands
//! what the last one was told about being silent, so that the next one knows before anything is stored.

use std::collections::HashSet;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use tokio::time::Instant;
use vigil_core::Timestamp;

use crate::budget::{Pool, Silence, later};
use crate::line::Key;

/// The folder of the files, within the one that the processes share.
const FOLDER: &str = "lines";

/// So much of a file is read. What GitHub says to a limit is a sentence.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// Where processes take turns.
pub(crate) struct Turns {
    folder: PathBuf,
    /// Goes before the name of each file: the same account elsewhere has another line.
    host: String,
    /// No request takes so long. Whoever holds a turn longer was stopped and sends nothing.
    patience: Duration,
    /// Files of which the holder was waited for in vain, who is not waited for again before the line was seen free.
    stuck: Mutex<HashSet<PathBuf>>,
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

/// What stands in a file.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Said {
    /// Whom it was told to: some tokens share a file.
    of: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    graphql: Option<Silence>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rest: Option<Silence>,
}

impl Said {
    fn about(&mut self, pool: Pool) -> &mut Option<Silence> {
        match pool {
            Pool::GraphQl => &mut self.graphql,
            Pool::Rest => &mut self.rest,
        }
    }
}

impl Turns {
    /// Turns among the processes that share `folder`, for accounts at `host`. `patience`: no request takes so long.
    pub(crate) fn new(folder: &Path, host: &str, patience: Duration) -> Self {
        Turns {
            folder: folder.join(FOLDER),
            host: host.to_owned(),
            patience,
            stuck: Mutex::default(),
        }
    }

    /// Waits until no other process has a query of `key` out, at most for a third of the time until `deadline`: the rest
    /// is for the query. `None`: there is no way to take turns, or the one whose turn it is does not end it. Then this
    /// process goes on by itself: GitHub minds two queries less than a person minds a vigil that hangs.
    ///
    /// # Errors
    /// The deadline is over.
    pub(crate) async fn take(
        &self,
        key: &Key,
        deadline: Instant,
    ) -> Result<Option<Turn>, OutOfTime> {
        let path = self.path(key);
        let no_way = |error: io::Error| {
            tracing::debug!(path = %path.display(), %error, "no turns are taken with other processes");
            Ok(None)
        };
        let file = match self.open(&path) {
            Ok(file) => file,
            Err(error) => return no_way(error),
        };
        match file.try_lock() {
            Ok(()) => {
                self.stuck().remove(&path);
                return Ok(Some(Turn { _file: file }));
            }
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return no_way(error),
        }
        let now = Instant::now();
        if deadline <= now {
            return Err(OutOfTime);
        }
        if self.stuck().contains(&path) {
            return Ok(None);
        }
        let patience = now + self.patience_of(deadline - now);
        match tokio::time::timeout_at(patience, locked(file)).await {
            Ok(turn) => Ok(turn),
            Err(_) => {
                tracing::warn!(
                    path = %path.display(),
                    "another vigil has had a query out for too long; it is not waited for"
                );
                self.stuck().insert(path);
                Ok(None)
            }
        }
    }

    /// How long a turn is waited for where so much time is left for it and for what follows.
    fn patience_of(&self, left: Duration) -> Duration {
        self.patience.min(left / 3)
    }

    fn stuck(&self) -> std::sync::MutexGuard<'_, HashSet<PathBuf>> {
        self.stuck.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the processes were told that have asked `pool` as `key`, as far as it holds at `now`. A file that cannot be
    /// read says nothing.
    pub(crate) fn told(&self, key: &Key, pool: Pool, now: Timestamp) -> Option<Silence> {
        let mut said = said(&File::open(self.path(key)).ok()?, key)?;
        said.about(pool).take().filter(|told| told.holds_at(now))
    }

    /// Writes down at `now` what `key` was told of each pool, before the turn is given back. Whoever holds no turn, for a
    /// list or where none was to be had, may lose it to another one who writes: each of them stores it as well.
    pub(crate) fn tell(&self, key: &Key, told: &[(Pool, Silence)], now: Timestamp) {
        let path = self.path(key);
        let written = self.open(&path).and_then(|file| {
            let mut all = said(&file, key).unwrap_or_default();
            all.of = key.as_str().to_owned();
            for (pool, silence) in told {
                let known = all.about(*pool);
                *known = later(known.take(), Some(silence.clone()), now);
            }
            let text = serde_json::to_vec(&all)?;
            file.write_all_at(&text, 0)?;
            // Its length is no more than a buffer's.
            file.set_len(u64::try_from(text.len()).unwrap_or(u64::MAX))
        });
        if let Err(error) = written {
            tracing::debug!(path = %path.display(), %error, "other processes are not told of a silence");
        }
    }

    /// The file of `key`. Tokens come and go, and share a few hundred files for ever: two that share one wait for each
    /// other, and nothing else.
    fn path(&self, key: &Key) -> PathBuf {
        let name = match key {
            Key::Account(account) => format!("{} {account}", self.host),
            Key::Token(fingerprint) => {
                let short: String = fingerprint.0.chars().take(2).collect();
                format!("{} token {short}", self.host)
            }
        };
        let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
        let name: String = name.chars().map(plain).collect();
        self.folder.join(format!("{name}.lock"))
    }

    /// Opens a file of the folder. The shared folder is not made: where there is none, nobody shares it.
    fn open(&self, path: &Path) -> io::Result<File> {
        match DirBuilder::new().mode(0o700).create(&self.folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
    }
}

/// What stands in `file` about `key`; `None`: nothing, or nothing that can be read.
fn said(file: &File, key: &Key) -> Option<Said> {
    let mut text = Vec::new();
    file.take(FILE_BYTES_MAX).read_to_end(&mut text).ok()?;
    let said: Said = serde_json::from_slice(&text).ok()?;
    (said.of == key.as_str()).then_some(said)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::{Account, Fingerprint};

    const NOW: Timestamp = Timestamp(1_000_000_000);
    const MINUTE: Duration = Duration::from_secs(60);

    fn turns(folder: &Path) -> Turns {
        // Whoever is waited for here is waited for in vain.
        Turns::new(folder, "127.0.0.1", Duration::ZERO)
    }

    fn key(name: &str) -> Key {
        Key::Account(Account(name.to_owned()))
    }

    fn token(fingerprint: &str) -> Key {
        Key::Token(Fingerprint(fingerprint.to_owned()))
    }

    fn silence(minutes: u32) -> Silence {
        Silence {
            told: NOW,
            until: NOW.after(MINUTE * minutes),
            why: "slow down".to_owned(),
        }
    }

    async fn turn_of(turns: &Turns, key: &Key) -> Option<Turn> {
        let taken = turns.take(key, Instant::now() + MINUTE).await;
        taken.expect("there is time")
    }

    #[tokio::test]
    async fn who_does_not_end_a_turn_is_waited_for_once_and_the_others_are_waited_for_all_the_same()
    {
        let folder = tempfile::tempdir().expect("a folder");
        let (ours, theirs) = (turns(folder.path()), turns(folder.path()));
        let (one, other) = (key("one"), key("other"));
        let stopped = turn_of(&theirs, &one).await.expect("nobody has it");
        assert!(turn_of(&ours, &one).await.is_none());
        assert!(ours.stuck().contains(&ours.path(&one)));
        assert!(turn_of(&ours, &other).await.is_some());
        assert!(ours.stuck().contains(&ours.path(&one)), "another line");
        assert!(turn_of(&ours, &one).await.is_none());
        // Free again, as soon as the thread that waited has given it back, too.
        drop(stopped);
        while turn_of(&ours, &one).await.is_none() {
            tokio::task::yield_now().await;
        }
        assert!(ours.stuck().is_empty());
    }

    #[tokio::test]
    async fn nobody_is_waited_for_once_the_time_is_up() {
        let folder = tempfile::tempdir().expect("a folder");
        let turns = turns(folder.path());
        let one = key("one");
        let _held = turn_of(&turns, &one).await.expect("nobody has it");
        let taken = turns.take(&one, Instant::now()).await;
        assert!(taken.is_err(), "{taken:?}");
    }

    #[test]
    fn to_wait_leaves_most_of_the_time_for_the_query() {
        let turns = Turns::new(Path::new("/nowhere"), "host", MINUTE / 2);
        for (left, patience) in [(9, 3), (60, 20), (90, 30), (900, 30)] {
            let waited = turns.patience_of(Duration::from_secs(left));
            assert_eq!(waited, Duration::from_secs(patience), "{left}");
        }
    }

    #[test]
    fn what_one_was_told_the_next_one_knows_as_long_as_it_holds() {
        let folder = tempfile::tempdir().expect("a folder");
        let (ours, theirs) = (turns(folder.path()), turns(folder.path()));
        let one = key("one");
        assert_eq!(ours.told(&one, Pool::GraphQl, NOW), None);
        theirs.tell(&one, &[(Pool::GraphQl, silence(50))], NOW);
        theirs.tell(&one, &[(Pool::Rest, silence(2))], NOW);
        theirs.tell(&one, &[(Pool::GraphQl, silence(3))], NOW);
        let told = |pool, minutes| ours.told(&one, pool, NOW.after(MINUTE * minutes));
        assert_eq!(told(Pool::GraphQl, 49), Some(silence(50)), "the longer one");
        assert_eq!(told(Pool::GraphQl, 50), None);
        assert_eq!(told(Pool::Rest, 1), Some(silence(2)));
        assert_eq!(told(Pool::Rest, 2), None);
        assert_eq!(ours.told(&key("other"), Pool::GraphQl, NOW), None);
    }

    #[test]
    fn tokens_that_share_a_file_are_not_told_what_the_other_one_was() {
        let folder = tempfile::tempdir().expect("a folder");
        let turns = turns(folder.path());
        let (one, other) = (token("ab01"), token("ab02"));
        assert_eq!(turns.path(&one), turns.path(&other));
        turns.tell(&one, &[(Pool::Rest, silence(5))], NOW);
        assert_eq!(turns.told(&one, Pool::Rest, NOW), Some(silence(5)));
        assert_eq!(turns.told(&other, Pool::Rest, NOW), None);
    }

    #[test]
    fn a_file_that_cannot_be_read_says_nothing_and_is_written_anew() {
        let folder = tempfile::tempdir().expect("a folder");
        let turns = turns(folder.path());
        let one = key("one");
        turns.tell(&one, &[(Pool::Rest, silence(5))], NOW);
        let long = format!("{{\"of\":\"one\",\"rest\":{}", "x".repeat(9_000));
        for text in ["", "{", "[]", "null", "{\"of\":1}", "\u{0}\u{0}", &long] {
            std::fs::write(turns.path(&one), text).expect("a file");
            assert_eq!(turns.told(&one, Pool::Rest, NOW), None, "{text}");
            turns.tell(&one, &[(Pool::Rest, silence(5))], NOW);
            assert_eq!(
                turns.told(&one, Pool::Rest, NOW),
                Some(silence(5)),
                "{text}"
            );
        }
    }
}
