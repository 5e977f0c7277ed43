//! Who speaks for a process. Its first thread may end before the others do: the kernel then calls the process a zombie,
//! and tells nothing of it any more, while its other threads work on.

use std::fs;
use std::path::{Path, PathBuf};

use procfs::process::Process as Seen;
use procfs::{ProcError, ProcResult};

use super::has_ended;

/// Whether a thread or a process in that state has ended.
pub(super) fn is_over(state: char) -> bool {
    matches!(state, 'Z' | 'X' | 'x')
}

/// What became of a process whose first thread has ended.
#[derive(Debug)]
pub(super) enum Rest {
    /// No other thread is left.
    Ended,
    /// This one works on, and its own folder in the process table is this.
    Thread(Seen, PathBuf),
    /// There may be one, and it may not be looked at.
    Hidden,
}

/// What is left of the process whose own folder in the process table is `dir`.
pub(super) fn rest(dir: &Path) -> Rest {
    let threads = match fs::read_dir(dir.join("task")).map_err(ProcError::from) {
        Ok(threads) => threads,
        Err(error) if has_ended(&error) => return Rest::Ended,
        Err(_) => return Rest::Hidden,
    };
    let mut hidden = false;
    for thread in threads {
        let looked = thread
            .map_err(ProcError::from)
            .and_then(|thread| living(thread.path()));
        match looked {
            Ok(Some((seen, dir))) => return Rest::Thread(seen, dir),
            Ok(None) => {}
            Err(error) => hidden |= !has_ended(&error),
        }
    }
    match hidden {
        true => Rest::Hidden,
        false => Rest::Ended,
    }
}

/// The thread at `dir`, unless it has ended.
fn living(dir: PathBuf) -> ProcResult<Option<(Seen, PathBuf)>> {
    let seen = Seen::new_with_root(dir.clone())?;
    Ok((!is_over(seen.stat()?.state)).then_some((seen, dir)))
}
