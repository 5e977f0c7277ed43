//! A write that is killed before any of its steps: the file is the old or the new one, and the next write goes on.
#![allow(
    clippy::unwrap_used,
    reason = "a test fails by a panic, its helpers too"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "the process that is to be killed learns from its environment where"
)]

mod write_common;

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::time::{Duration, SystemTime};

use rustix::fs::FlockOperation;
use rustix::process::{Signal, getpid, kill_process};
use vigil_core::Timestamp;
use vigil_core::time::minutes;
use vigil_sources::{Committed, Source};
use write_common::{NOW, TestWorld, file, home, leftovers, proposals, record, source};

const ROOT: &str = "VIGIL_TEST_CRASH_ROOT";
const STEP: &str = "VIGIL_TEST_CRASH_STEP";

/// Not a test by itself: the process that a test kills. Without the variables it has nothing to do.
#[test]
fn the_process_that_is_killed() {
    let (Ok(root), Ok(step)) = (std::env::var(ROOT), std::env::var(STEP)) else {
        return;
    };
    let (root, step): (&Path, usize) = (Path::new(&root), step.parse().unwrap());
    let source = source(root);
    let world = TestWorld::with(move |_, number| {
        if number == step {
            kill_process(getpid(), Signal::KILL)?;
        }
        Ok(())
    });
    let proposals = proposals(&source, &world);
    let outcomes = source.commit(&proposals, &world);
    assert!(
        outcomes
            .iter()
            .all(|outcome| matches!(outcome, Committed::Written { .. })),
        "{outcomes:?}"
    );
}

fn write_and_die(root: &Path, step: usize) -> ExitStatus {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_process_that_is_killed", "--quiet"])
        .env(ROOT, root)
        .env(STEP, step.to_string())
        .output()
        .unwrap()
        .status
}

/// Kills a write before each of its steps in turn, in a home that `prepare` makes. What `prepare` returns lives as
/// long as the home. Returns the number of steps.
fn check<T>(prepare: impl Fn(&Path) -> T) -> usize {
    let reference = tempfile::tempdir().unwrap();
    let _kept = prepare(reference.path());
    let old = fs::read_to_string(file(reference.path())).unwrap();
    assert!(write_and_die(reference.path(), usize::MAX).success());
    let new = fs::read_to_string(file(reference.path())).unwrap();
    assert_ne!(old, new);

    let (mut olds, mut news) = (0, 0);
    for step in 0.. {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        let _kept = prepare(root);
        let status = write_and_die(root, step);
        if status.success() {
            // There is no such step: all of them have been tried.
            assert!(olds > 0 && news > 0, "{olds} old and {news} new files");
            return step;
        }
        assert_eq!(status.signal(), Some(9), "at step {step}: {status}");

        let text = fs::read_to_string(file(root)).unwrap();
        match () {
            () if text == old => olds += 1,
            () if text == new => news += 1,
            () => panic!("at step {step} the file is neither old nor new:\n{text}"),
        }
        for name in leftovers(root) {
            assert!(name.starts_with(".vigil-sessions-"), "{name}");
        }

        // Another session comes, and the next write goes on where this one was killed; hours later, it also takes
        // away what was left.
        let more = format!(
            "{},\n{}\n]\n",
            text.strip_suffix("\n]\n").unwrap(),
            record(3)
        );
        fs::write(file(root), more).unwrap();
        let changed = fs::metadata(file(root)).unwrap().modified().unwrap();
        let changed = changed.duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let later = TestWorld::new().at(Timestamp(0).after(changed).after(minutes(180)));
        let source = source(root);
        let todo = proposals(&source, &later);
        assert_eq!(todo.len(), if text == old { 3 } else { 1 });
        for outcome in source.commit(&todo, &later) {
            assert!(matches!(outcome, Committed::Written { .. }), "{outcome:?}");
        }
        assert_eq!(proposals(&source, &later), []);
        assert_eq!(leftovers(root), [""; 0], "at step {step}");
        let backups = fs::read_dir(root.join("state/backups/vigilante")).unwrap();
        let whole = backups.filter(|entry| {
            let name = entry.as_ref().unwrap().file_name();
            name.to_string_lossy().ends_with(".json")
        });
        assert_eq!(whole.count(), 1);
    }
    unreachable!("a write has an end")
}

#[test]
fn a_kill_before_any_step_leaves_the_old_or_the_new_file() {
    let steps = check(|root| home(root, 2));
    assert_eq!(steps, 9, "a new step is tried, too, and counted here");
}

#[test]
fn a_kill_while_writing_past_a_wedged_lock_does_no_more_harm() {
    let steps = check(|root| {
        home(root, 2);
        let still =
            SystemTime::UNIX_EPOCH + Duration::from_millis(NOW.before(minutes(20)).as_millis());
        for name in ["vigilante.log", "access.jsonl"] {
            let log = File::create(root.join("home/logs").join(name)).unwrap();
            log.set_modified(still).unwrap();
        }
        fs::write(root.join("home/watchlist.json"), "[]\n").unwrap();
        let held = File::create(root.join("home/scan.lock")).unwrap();
        rustix::fs::flock(&held, FlockOperation::NonBlockingLockExclusive).unwrap();
        held
    });
    assert_eq!(steps, 10);
}
