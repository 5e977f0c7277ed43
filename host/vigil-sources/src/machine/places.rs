//! Places that do not answer, as all sources of this process know them, and who looks into which mount.
//!
//! What one source waited for in vain no other waits for again, nor does the second half of a command that reads its
//! records twice. And one look at a time goes into a mount behind which a server stands: of two at once both could end
//! up in calls that never return.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use vigil_core::Timestamp;

use super::left_behind::{self, LeftBehind};

/// 15 s: how long a place that did not answer is left alone at least. `vigil status` reads the records and then makes a
/// pass, all within 10 s; what its first half learned is still true in the second.
const LEFT_ALONE_FOR: Duration = Duration::from_secs(15);

/// One for each folder that helpers are noted in, since what does not answer is the machine's matter and not a source's.
static ALL: Mutex<Vec<Arc<Places>>> = Mutex::new(Vec::new());

/// What is known by those who note in one folder.
#[derive(Debug)]
pub(crate) struct Places {
    /// Where helpers are noted that could not be ended; read and written only when there are any.
    folder: PathBuf,
    known: Mutex<Known>,
    /// Somebody left a mount.
    left: Condvar,
    /// Those of this process that could not be ended, to be waited for.
    children: Mutex<Vec<Child>>,
}

#[derive(Debug, Default)]
struct Known {
    stuck: Vec<Stuck>,
    /// When a look was last told to be too slow, by [`moment`].
    slow: Option<Duration>,
    /// When the pass began, by [`moment`].
    begun: Duration,
    /// How long the looks of this pass have waited, those that waited at once together.
    waited: Duration,
    /// When one last had waited, by [`moment`].
    waited_at: Option<Duration>,
    /// Mounts that are being looked into.
    entered: HashSet<PathBuf>,
}

/// A place that did not answer.
#[derive(Debug)]
struct Stuck {
    place: PathBuf,
    /// When that was learned in this process, by [`moment`]; `None`: in another one.
    learned: Option<Duration>,
    /// The helper that could not be ended, this process's or an earlier one's.
    left_behind: Option<LeftBehind>,
}

impl Places {
    /// Those that are noted in `folder`.
    pub(crate) fn of(folder: &Path) -> Arc<Places> {
        let mut all = lock(&ALL);
        if let Some(known) = all.iter().find(|places| places.folder == folder) {
            return Arc::clone(known);
        }
        let places = Arc::new(Places {
            folder: folder.to_owned(),
            known: Mutex::default(),
            left: Condvar::new(),
            children: Mutex::default(),
        });
        all.push(Arc::clone(&places));
        places
    }

    /// Begins a pass: what did not answer before is asked again, unless that is only just known, or a helper is still in
    /// it.
    pub(crate) fn begin(&self, now: Timestamp) {
        left_behind::sweep(&self.folder, now);
        lock(&self.children).retain_mut(|child| matches!(child.try_wait(), Ok(None)));
        let mut known = lock(&self.known);
        known.begun = moment();
        let begun = known.begun;
        if !known.waited_at.is_some_and(|at| is_of(begun, at)) {
            known.waited = Duration::ZERO;
        }
        known.stuck.retain_mut(|stuck| {
            let is_there = stuck.left_behind.as_ref().is_some_and(LeftBehind::is_there);
            if !is_there {
                stuck.left_behind = None;
            }
            is_there || stuck.learned.is_some_and(|at| is_of(begun, at))
        });
        for helper in left_behind::recall(&self.folder) {
            let is_known = |known: &Stuck| known.left_behind.as_ref() == Some(&helper);
            if !known.stuck.iter().any(is_known) {
                known.stuck.push(Stuck {
                    place: helper.place.clone(),
                    learned: None,
                    left_behind: Some(helper),
                });
            }
        }
        self.note(&known);
    }

    /// Tells other processes of those that are left behind.
    fn note(&self, known: &Known) {
        let left_behind = known
            .stuck
            .iter()
            .filter_map(|stuck| stuck.left_behind.clone());
        left_behind::keep(&self.folder, &left_behind.collect::<Vec<_>>());
    }

    /// Places that are not to be touched.
    pub(crate) fn avoided(&self) -> Vec<PathBuf> {
        let known = lock(&self.known);
        known
            .stuck
            .iter()
            .map(|stuck| stuck.place.clone())
            .collect()
    }

    /// Whether another place did not answer in this pass.
    pub(crate) fn is_any_silent(&self) -> bool {
        let known = lock(&self.known);
        let mut learned = known.stuck.iter().filter_map(|stuck| stuck.learned);
        learned.any(|at| is_of(known.begun, at))
    }

    /// Whether another look was too slow in this pass.
    pub(crate) fn is_any_slow(&self) -> bool {
        let known = lock(&self.known);
        known.slow.is_some_and(|at| is_of(known.begun, at))
    }

    /// How long the looks of this pass have waited.
    pub(crate) fn waited(&self) -> Duration {
        lock(&self.known).waited
    }

    /// A look has waited for `span`. Gives how long all have.
    pub(crate) fn wait(&self, span: Duration) -> Duration {
        let now = moment();
        let mut known = lock(&self.known);
        known.waited = known
            .waited
            .saturating_add(alone(known.waited_at, now, span));
        known.waited_at = Some(now);
        known.waited
    }

    /// A look was too slow.
    pub(crate) fn slow(&self) {
        lock(&self.known).slow = Some(moment());
    }

    /// `place` did not answer, and its helper could not be ended where it is given.
    pub(crate) fn stuck(&self, place: PathBuf, helper: Option<Child>) {
        let mut known = lock(&self.known);
        known.stuck.push(Stuck {
            left_behind: helper
                .as_ref()
                .and_then(|child| LeftBehind::of(child.id(), &place)),
            learned: Some(moment()),
            place,
        });
        if let Some(child) = helper {
            lock(&self.children).push(child);
            self.note(&known);
        }
    }

    /// Goes into `mount`, as soon as nobody else is in it. `None`: it is to be left alone.
    pub(crate) fn enter(self: &Arc<Self>, mount: &Path) -> Option<Entered> {
        let mut known = lock(&self.known);
        while known.entered.contains(mount) {
            known = self
                .left
                .wait(known)
                .unwrap_or_else(PoisonError::into_inner);
        }
        // Who was in it may have found out that nobody answers.
        let is_avoided = known
            .stuck
            .iter()
            .any(|stuck| mount.starts_with(&stuck.place));
        (!is_avoided).then(|| {
            known.entered.insert(mount.to_owned());
            Entered {
                places: Arc::clone(self),
                mount: mount.to_owned(),
            }
        })
    }
}

/// Somebody is in a mount until this is dropped.
#[derive(Debug)]
pub(crate) struct Entered {
    places: Arc<Places>,
    mount: PathBuf,
}

impl Entered {
    /// Where.
    pub(crate) fn mount(&self) -> &Path {
        &self.mount
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        lock(&self.places.known).entered.remove(&self.mount);
        self.places.left.notify_all();
    }
}

/// Whether what was learned at `at` is of the pass that began at `begun`, or of the look just before it.
fn is_of(begun: Duration, at: Duration) -> bool {
    at.saturating_add(LEFT_ALONE_FOR) > begun
}

/// How much of the `span` before `now` was waited by nobody else, who had waited up to `before`.
fn alone(before: Option<Duration>, now: Duration, span: Duration) -> Duration {
    before.map_or(span, |before| now.saturating_sub(before).min(span))
}

/// The kernel's clock that is never set.
fn moment() -> Duration {
    Duration::try_from(clock_gettime(ClockId::Monotonic)).unwrap_or_default()
}

fn lock<T>(held: &Mutex<T>) -> MutexGuard<'_, T> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_look_at_a_time_goes_into_a_mount_and_none_into_one_that_does_not_answer() {
        let folder = tempfile::tempdir().expect("a folder");
        let (places, same) = (Places::of(folder.path()), Places::of(folder.path()));
        let (far, near) = (Path::new("/mnt/far"), Path::new("/mnt/near"));
        let first = places.enter(far).expect("nobody is in it");
        assert!(same.enter(near).is_some(), "another one");
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| same.enter(far).is_some());
            assert!(!places.is_any_silent());
            places.stuck(far.to_owned(), None);
            drop(first);
            assert!(!waits.join().expect("it ends"), "it is left alone");
        });
        assert!(places.is_any_silent());
        assert_eq!(same.avoided(), [far]);
        // A command that reads its records twice waits once.
        same.begin(Timestamp(0));
        assert_eq!(places.avoided(), [far]);
        let other = tempfile::tempdir().expect("a folder");
        assert_eq!(
            Places::of(other.path()).avoided(),
            [""; 0].map(PathBuf::from)
        );
    }

    #[test]
    fn who_waits_at_once_waits_together() {
        let ms = Duration::from_millis;
        for (before, now, expected) in [
            (None, 500, 100),
            (Some(100), 500, 100),
            (Some(400), 500, 100),
            (Some(450), 500, 50),
            (Some(500), 500, 0),
            (Some(501), 500, 0),
        ] {
            assert_eq!(alone(before.map(ms), ms(now), ms(100)), ms(expected));
        }
    }

    #[test]
    fn what_was_learned_long_ago_is_asked_again() {
        let at = Duration::from_secs(100);
        assert!(is_of(at, at));
        assert!(is_of(at + LEFT_ALONE_FOR / 2, at));
        assert!(is_of(at, at + LEFT_ALONE_FOR));
        assert!(!is_of(at + LEFT_ALONE_FOR, at));
    }
}
