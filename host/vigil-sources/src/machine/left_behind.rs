//! Helpers that could not be ended, for the next process to know: a `vigil run --once` every minute would otherwise leave
//! one more behind a mount with each of them.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use vigil_core::Timestamp;

use super::{leftovers, open};

/// The name of the file, below the folder of a source.
const FILE: &str = "left-behind.json";

/// What the name of a new one begins with before it is in place.
const TEMP_PREFIX: &str = ".left-behind-";

/// 64 KiB: one line for each mount.
const BYTES_MAX: u64 = 64 << 10;

/// A process that was told to end and is in a call that does not return.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LeftBehind {
    /// Its number.
    pub(crate) pid: i32,
    /// When it was started, in the kernel's ticks: another process gets the number one day.
    started: u64,
    /// The place that it waits for.
    pub(crate) place: PathBuf,
}

impl LeftBehind {
    /// The process `pid`, which waits for `place`. `None`: it has ended.
    pub(crate) fn of(pid: u32, place: &Path) -> Option<Self> {
        let pid = i32::try_from(pid).ok()?;
        Some(LeftBehind {
            pid,
            started: started(pid)?,
            place: place.to_owned(),
        })
    }

    /// Whether it is still there.
    pub(crate) fn is_there(&self) -> bool {
        started(self.pid) == Some(self.started)
    }
}

/// When the process was started; `None`: it has ended, or is a zombie that nobody waits for any more.
fn started(pid: i32) -> Option<u64> {
    let process = procfs::process::Process::new(pid).ok()?;
    let stat = process.stat().ok()?;
    (!matches!(stat.state, 'Z' | 'X')).then_some(stat.starttime)
}

/// Those that are still there, as `folder` has them. None where the file is missing or cannot be read: then one more may be
/// left behind, and no more than that.
pub(crate) fn recall(folder: &Path) -> Vec<LeftBehind> {
    let mut known = read(folder);
    known.retain(LeftBehind::is_there);
    known
}

/// Those that are noted.
fn read(folder: &Path) -> Vec<LeftBehind> {
    let text = open::open(&folder.join(FILE)).and_then(|file| file.read(BYTES_MAX));
    text.ok()
        .and_then(|text| serde_json::from_slice(&text).ok())
        .unwrap_or_default()
}

/// Takes away what a kill left of [`keep`].
pub(crate) fn sweep(folder: &Path, now: Timestamp) {
    leftovers::sweep(folder, |name| name.starts_with(TEMP_PREFIX), now);
}

/// Keeps `all` in `folder`, beside those of other processes that are noted there and have not ended. What cannot be kept is
/// not, since nothing rests on it but the number of processes.
pub(crate) fn keep(folder: &Path, all: &[LeftBehind]) {
    let path = folder.join(FILE);
    if all.is_empty() && !path.exists() {
        return;
    }
    let write = || -> std::io::Result<()> {
        fs::create_dir_all(folder)?;
        // Two that keep at once would each put down what it read before the other. Where the file system knows no locks
        // that can happen.
        let held = File::open(folder)?;
        let _ = flock(&held, FlockOperation::LockExclusive);
        let noted = read(folder);
        let mut together = all.to_vec();
        for other in &noted {
            if other.is_there() && !together.contains(other) {
                together.push(other.clone());
            }
        }
        if together == noted {
            return Ok(());
        }
        let mut file = tempfile::Builder::new()
            .prefix(TEMP_PREFIX)
            .tempfile_in(folder)?;
        leftovers::lock(file.as_file())?;
        file.write_all(&serde_json::to_vec(&together)?)?;
        file.persist(&path)?;
        Ok(())
    };
    if let Err(error) = write() {
        tracing::debug!(path = %path.display(), %error, "helpers that were left behind are not kept");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_are_there_are_recalled_and_no_others() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(recall(folder.path()), []);
        keep(folder.path(), &[]);
        assert!(!folder.path().join(FILE).exists());
        let own = LeftBehind::of(std::process::id(), Path::new("/mnt/far")).expect("it is there");
        let earlier = LeftBehind {
            started: own.started - 1,
            ..own.clone()
        };
        keep(folder.path(), &[own.clone(), earlier]);
        assert_eq!(recall(folder.path()), std::slice::from_ref(&own));
        // What another process noted stays beside it.
        let other = LeftBehind {
            place: PathBuf::from("/mnt/further"),
            ..own.clone()
        };
        keep(folder.path(), std::slice::from_ref(&other));
        assert_eq!(recall(folder.path()), [other, own]);
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1);
        let half = folder.path().join(format!("{TEMP_PREFIX}AbCdEf"));
        fs::write(&half, "[").expect("written");
        let made = leftovers::changed(&half.metadata().expect("a file"));
        sweep(folder.path(), made);
        assert!(half.exists(), "its maker may be at work");
        sweep(folder.path(), made.after(leftovers::LEFTOVER_AFTER * 2));
        assert!(!half.exists() && folder.path().join(FILE).exists());
        std::fs::write(folder.path().join(FILE), "[").expect("written");
        assert_eq!(recall(folder.path()), []);
    }
}
