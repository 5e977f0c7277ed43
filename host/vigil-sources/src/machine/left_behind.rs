//! Helpers that could not be ended, for the next process to know: a `vigil run --once` every minute would otherwise leave
//! one more behind a mount with each of them.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::open;

/// The name of the file, below the folder of a source.
const FILE: &str = "left-behind.json";

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
    let text = open::open(&folder.join(FILE)).and_then(|file| file.read(BYTES_MAX));
    let known: Vec<LeftBehind> = text
        .ok()
        .and_then(|text| serde_json::from_slice(&text).ok())
        .unwrap_or_default();
    known.into_iter().filter(LeftBehind::is_there).collect()
}

/// Keeps `all` in `folder` in the place of what is there. What cannot be kept is not, since nothing rests on it but the
/// number of processes.
pub(crate) fn keep(folder: &Path, all: &[LeftBehind]) {
    let path = folder.join(FILE);
    if all.is_empty() && !path.exists() {
        return;
    }
    let written = serde_json::to_vec(all)
        .map_err(std::io::Error::from)
        .and_then(|text| {
            std::fs::create_dir_all(folder)?;
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            file.write_all(&text)?;
            file.persist(&path)?;
            Ok(())
        });
    if let Err(error) = written {
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
        assert_eq!(recall(folder.path()), [own]);
        std::fs::write(folder.path().join(FILE), "[").expect("written");
        assert_eq!(recall(folder.path()), []);
    }
}
