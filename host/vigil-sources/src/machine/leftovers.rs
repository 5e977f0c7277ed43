//! What a kill leaves of a file that was being made: taken away once nobody can be at work with it any more.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::FlockOperation;
use rustix::process::geteuid;
use vigil_core::Timestamp;
use vigil_core::time::minutes;

use super::open;

/// How old a file is that counts as left over: its maker locks it within the same moment.
pub(crate) const LEFTOVER_AFTER: Duration = minutes(1);

/// Takes away what is left over in `folder` among the files whose names are `ours`. A folder that is not there, or cannot
/// be read, holds none.
pub(crate) fn sweep(folder: &Path, ours: impl Fn(&str) -> bool, now: Timestamp) {
    let names = fs::read_dir(folder).into_iter().flatten().flatten();
    let left: Vec<PathBuf> = names
        .filter(|entry| entry.file_name().to_str().is_some_and(&ours))
        .map(|entry| entry.path())
        .collect();
    for path in left {
        remove(&path, now);
    }
}

/// Takes the file `path` away if no process holds it, and it is old, of this user, regular, and has no other name.
pub(crate) fn remove(path: &Path, now: Timestamp) {
    if let Ok(meta) = fs::symlink_metadata(path)
        && meta.is_file()
        && meta.nlink() == 1
        && meta.uid() == geteuid().as_raw()
        && changed(&meta).after(LEFTOVER_AFTER) < now
        && let Ok(file) = open::open(path)
        && lock(&file.into_file()).is_ok()
    {
        match fs::remove_file(path) {
            Ok(()) => tracing::info!(path = %path.display(), "leftover of a write removed"),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "leftover of a write stays");
            }
        }
    }
}

/// Takes the lock that shows that the process lives which made `file`. One that cannot be had is somebody else's.
pub(crate) fn lock(file: &File) -> io::Result<()> {
    Ok(rustix::fs::flock(
        file,
        FlockOperation::NonBlockingLockExclusive,
    )?)
}

/// The last change, of name or content: a displaced file brings an old time of writing along.
pub(crate) fn changed(meta: &Metadata) -> Timestamp {
    let latest = (meta.mtime(), meta.mtime_nsec()).max((meta.ctime(), meta.ctime_nsec()));
    let part = |part: i64| u64::try_from(part).unwrap_or_default();
    Timestamp(part(latest.0).saturating_mul(1000) + part(latest.1) / 1_000_000)
}
