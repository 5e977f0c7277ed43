//! Vigilante's `scan.lock`: taken for the moment of a write, so that its daemon is not in the middle of a scan whose
//! end would put the old records back.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use rustix::fs::{FlockOperation, OFlags};
use rustix::process::geteuid;
use vigil_core::Timestamp;
use vigil_core::time::minutes;

use crate::World;
use crate::machine::open;

/// How long a write waits for the lock in all, over every try to write.
pub(crate) const LOCK_WAIT_MS_MAX: u64 = 5_000;

/// 16 MiB: a hundred thousand watched repositories.
const LIST_BYTES_MAX: u64 = 16 << 20;

/// Between two tries for the lock.
const LOCK_TRY_EVERY_MS: u64 = 100;

/// How long all signs of a scan must have been still before its lock counts as that of a wedged process. A scan is
/// due every minute and logs every command it runs; ten minutes is also Vigilante's own measure of a stalled session.
pub(crate) const WEDGED_AFTER: Duration = minutes(10);

/// The lock's file below a home.
const LOCK: &str = "scan.lock";

/// Where Vigilante notes that a scan begins, and each command that it starts.
const STARTED: &str = "logs/vigilante.log";

/// Where it notes that a command has ended.
const ENDED: &str = "logs/access.jsonl";

/// Where it notes when it scanned what.
const WATCHED: &str = "watchlist.json";

/// All files that [`take`] looks at. Each may be a link to a place that does not answer: who calls it has to know that all
/// of them do.
pub(crate) const FILES: [&str; 4] = [LOCK, STARTED, ENDED, WATCHED];

/// How a write may go on.
#[derive(Debug)]
pub(crate) enum Hold {
    /// vigil holds the lock until it is released or dropped.
    Exclusive(ScanLock),
    /// Someone holds it who is provably stuck. The text says who, and by what it is known.
    Wedged(String),
}

/// Why a write may not go on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NoHold {
    /// Someone holds the lock, and nothing proves that it is stuck.
    Busy(String),
    /// The lock's file could not be opened or locked.
    Failed(String),
}

/// The held lock; dropping it lets go.
#[derive(Debug)]
pub(crate) struct ScanLock {
    file: File,
}

impl ScanLock {
    /// Lets go.
    pub(crate) fn release(self) {
        drop(self.file);
    }
}

/// What is left of the time that one write may wait for the lock.
#[derive(Debug)]
pub(crate) struct Patience {
    left_ms: u64,
}

impl Patience {
    /// [`LOCK_WAIT_MS_MAX`].
    pub(crate) fn new() -> Self {
        Patience {
            left_ms: LOCK_WAIT_MS_MAX,
        }
    }

    /// Waits for the next try; false when the time is up. Counts what it asked the world to wait, so that it ends
    /// whatever the clock does.
    fn wait(&mut self, world: &dyn World) -> bool {
        if self.left_ms == 0 {
            return false;
        }
        let span = self.left_ms.min(LOCK_TRY_EVERY_MS);
        self.left_ms -= span;
        world.pause(Duration::from_millis(span));
        true
    }
}

/// Takes `scan.lock` below `home`, whose [`FILES`] answer, by tries that do not block, as long as `patience` lasts. When it stays held, looks
/// whether its holder is wedged.
pub(crate) fn take(
    home: &Path,
    patience: &mut Patience,
    world: &dyn World,
) -> Result<Hold, NoHold> {
    let path = home.join(LOCK);
    let failed = |doing: &str, error: &io::Error| {
        NoHold::Failed(format!("failed to {doing} {}: {error}", path.display()))
    };
    loop {
        let file = open(home, &path).map_err(|error| failed("open", &error))?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) if is_at(&file, &path) => {
                return Ok(Hold::Exclusive(ScanLock { file }));
            }
            // Someone put another file in its place: that one counts.
            Ok(()) => {}
            Err(error) if error == rustix::io::Errno::WOULDBLOCK => {}
            Err(error) => return Err(failed("lock", &error.into())),
        }
        if !patience.wait(world) {
            let holder = holder(&file);
            let path = path.display();
            return match still_since(home, world) {
                Ok(still) => Ok(Hold::Wedged(format!(
                    "{path} is held by {holder}, which has been still for {} min",
                    still.age(world.now()).as_secs() / 60
                ))),
                Err(why) => Err(NoHold::Busy(format!(
                    "{path} is held by {holder}, and nothing proves that it is stuck: {why}"
                ))),
            };
        }
    }
}

/// Opens the lock's file. Where Vigilante's daemon has not made it yet it is made as the daemon would: an empty file
/// of the home's owner, which from then on keeps a starting daemon out for the moment of the write.
fn open(home: &Path, path: &Path) -> io::Result<File> {
    let existing = || {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            // A pipe or a device of this name must not keep the writer waiting.
            .custom_flags((OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed())
            .open(path)?;
        match open::special(&file.metadata()?) {
            None => Ok(file),
            Some(what) => Err(io::Error::other(format!(
                "it is {what} and no regular file"
            ))),
        }
    };
    match existing() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        opened => return opened,
    }
    let made = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o644)
        .open(path);
    let file = match made {
        // Another was faster.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return existing(),
        made => made?,
    };
    let owner = fs::metadata(home)?;
    if owner.uid() != geteuid().as_raw()
        && let Err(error) = std::os::unix::fs::fchown(&file, Some(owner.uid()), Some(owner.gid()))
    {
        // A lock that its owner cannot open would stop the daemon for good.
        fs::remove_file(path)?;
        return Err(error);
    }
    Ok(file)
}

/// Whether `path` still leads to `file`.
fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(locked), Ok(there)) => locked.dev() == there.dev() && locked.ino() == there.ino(),
        _ => false,
    }
}

/// How `scan.lock` below `home`, which answers, stands, for people: read off the kernel's list, since taking it to find out could keep a
/// starting daemon out. A holder in another pid namespace need not stand in it, so that
/// an empty one is no proof that it is free.
pub(super) fn standing(home: &Path) -> String {
    match fs::metadata(home.join(LOCK)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => "not there".to_owned(),
        Err(error) => format!("cannot be looked at ({error})"),
        Ok(meta) => match pids(&meta) {
            None => "cannot be looked at from here".to_owned(),
            Some(pids) if pids.is_empty() => "nobody is seen to hold it".to_owned(),
            Some(pids) => format!("held by {}", named(&pids)),
        },
    }
}

/// Who holds the lock of `file`, in words. Only for messages: no decision rests on it.
fn holder(file: &File) -> String {
    match file.metadata() {
        Ok(meta) => named(&pids(&meta).unwrap_or_default()),
        Err(_) => named(&[]),
    }
}

/// The pids that the kernel lists for a lock on that file, zero and below for those of another pid namespace; `None`:
/// the list cannot be read.
fn pids(meta: &fs::Metadata) -> Option<Vec<i32>> {
    let locks = procfs::locks().ok()?;
    let same = |lock: &procfs::Lock| {
        lock.inode == meta.ino()
            && lock.devmaj == rustix::fs::major(meta.dev())
            && lock.devmin == rustix::fs::minor(meta.dev())
    };
    let held = locks.into_iter().filter(same);
    Some(held.map(|lock| lock.pid.unwrap_or_default()).collect())
}

/// The first of them that can be seen from here.
fn named(pids: &[i32]) -> String {
    let Some(pid) = pids.iter().copied().find(|pid| *pid > 0) else {
        return "a process that cannot be seen from here".to_owned();
    };
    match procfs::process::Process::new(pid).and_then(|process| process.stat()) {
        Ok(stat) => format!("pid {pid} ({})", stat.comm),
        Err(_) => format!("pid {pid}"),
    }
}

/// Since when every sign of a scan has been still: at least [`WEDGED_AFTER`].
///
/// `logs/vigilante.log` has to be there: Vigilante notes in it that a scan begins and each command that it starts.
/// `logs/access.jsonl` gets a line when a command ends, so that it is missing where the first command of a home never
/// ended, which is one way to be stuck; beside a found `vigilante.log` that is an absence, and no gap. `watchlist.json`
/// has the end of each target's last scan; a target that was never scanned counts from when it was added, and a list
/// without targets has nothing that could have been stamped. What is unreadable or from the future says nothing, and
/// what says nothing is no proof. A window of silence starts anew when the machine boots or wakes.
///
/// # Errors
/// What speaks against it, in words.
fn still_since(home: &Path, world: &dyn World) -> Result<Timestamp, String> {
    let now = world.now();
    let started = written_at(home, STARTED)?.ok_or_else(|| format!("{STARTED} is not there"))?;
    let mut signs = vec![started];
    signs.extend(written_at(home, ENDED)?);
    signs.extend(scanned_at(home)?);
    signs.extend(
        [
            ("this machine's start".to_owned(), world.booted_at()),
            ("the last wake-up".to_owned(), world.awake_since()),
        ]
        .into_iter()
        .filter_map(|(what, at)| Some((what, at?))),
    );
    let mut newest = Timestamp(0);
    for (what, at) in signs {
        if at > now {
            return Err(format!("{what} lies in the future"));
        }
        if at.age(now) < WEDGED_AFTER {
            return Err(format!(
                "{what} is {} s old, less than {} min",
                at.age(now).as_secs(),
                WEDGED_AFTER.as_secs() / 60
            ));
        }
        newest = newest.max(at);
    }
    Ok(newest)
}

/// When the file `name` below `home` was last written; `None`: there is no such file.
fn written_at(home: &Path, name: &str) -> Result<Option<(String, Timestamp)>, String> {
    let meta = match fs::metadata(home.join(name)) {
        Ok(meta) => meta,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("{name}: {error}")),
    };
    let millis = i128::from(meta.mtime()) * 1000 + i128::from(meta.mtime_nsec() / 1_000_000);
    let at = u64::try_from(millis).map_err(|_| format!("{name} was written before 1970"))?;
    Ok(Some((name.to_owned(), Timestamp(at))))
}

/// One target of `watchlist.json`, as far as it matters here.
#[derive(serde::Deserialize)]
struct Target {
    #[serde(default)]
    repo: String,
    #[serde(default)]
    last_scan_at: Option<String>,
    #[serde(default)]
    added_at: Option<String>,
}

/// The last scan of every target of the watch list.
fn scanned_at(home: &Path) -> Result<Vec<(String, Timestamp)>, String> {
    let name = WATCHED;
    let text = open::text(&home.join(name), LIST_BYTES_MAX).map_err(|error| error.to_string())?;
    let targets: Option<Vec<Target>> =
        serde_json::from_str(&text).map_err(|error| format!("{name}: {error}"))?;
    targets
        .unwrap_or_default()
        .into_iter()
        .map(|target| {
            let repo = target.repo;
            let (what, at) = [
                ("last_scan_at", target.last_scan_at),
                ("added_at", target.added_at),
            ]
            .into_iter()
            .find_map(|(what, at)| Some((what, at.filter(|at| !at.is_empty())?)))
            .ok_or_else(|| format!("{name} does not say when {repo} was last scanned"))?;
            let what = format!("{what} of {repo} in {name}");
            let at: jiff::Timestamp = at.parse().map_err(|_| format!("{what} is no time"))?;
            let at =
                u64::try_from(at.as_millisecond()).map_err(|_| format!("{what} is no time"))?;
            Ok((what, Timestamp(at)))
        })
        .collect()
}

#[cfg(test)]
mod tests;
