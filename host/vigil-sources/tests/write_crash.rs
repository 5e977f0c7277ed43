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
use vigil_sources::{Committed, Displaced, Fate, Source};
use write_common::{NOW, TestWorld, file, home, leftovers, proposals, record, source};

const ROOT: &str = "VIGIL_TEST_CRASH_ROOT";
const STEP: &str = "VIGIL_TEST_CRASH_STEP";
const THEIRS: &str = "VIGIL_TEST_CRASH_THEIRS";

/// Not a test by itself: the process that a test kills. Without the variables it has nothing to do.
#[test]
fn the_process_that_is_killed() {
    let (Ok(root), Ok(step)) = (std::env::var(ROOT), std::env::var(STEP)) else {
        return;
    };
    let (root, step): (&Path, usize) = (Path::new(&root), step.parse().unwrap());
    let source = source(root);
    let theirs = std::env::var(THEIRS).ok();
    let at = file(root);
    let world = TestWorld::with(move |name, number| {
        // Somebody who heeds no lock writes in the last moment, and the process ends before it looks back.
        if let Some(theirs) = &theirs {
            if name == "rename" {
                fs::write(at.with_extension("theirs"), theirs)?;
                fs::rename(at.with_extension("theirs"), &at)?;
            }
            if name == "look-back" {
                kill_process(getpid(), Signal::KILL)?;
            }
        }
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

/// A write of two sessions that ends between the exchange and the look back, after somebody wrote `theirs` in the gap
/// before the exchange. `since` is what happens to the file before vigil starts again. Gives the file's text, how the
/// two writes ended, and what is kept for a person.
fn displaced(
    theirs: impl FnOnce(&str) -> String,
    since: impl FnOnce(&str) -> String,
    journal: bool,
) -> (String, Vec<Fate>, Vec<Displaced>) {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    home(root, 3);
    let before = fs::read_to_string(file(root)).unwrap();
    let source = source(root);
    let world = TestWorld::new();
    let todo = proposals(&source, &world);
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_process_that_is_killed", "--quiet"])
        .env(ROOT, root)
        .env(STEP, usize::MAX.to_string())
        .env(THEIRS, theirs(&before))
        .output()
        .unwrap()
        .status;
    assert_eq!(status.signal(), Some(9));
    let in_place = fs::read_to_string(file(root)).unwrap();
    assert!(in_place.contains("success"));
    let later = file(root).with_extension("later");
    fs::write(&later, since(&in_place)).unwrap();
    fs::rename(&later, file(root)).unwrap();
    let known = if journal { todo.as_slice() } else { &[] };
    let fates = source.recover(known, &world).unwrap();
    let text = fs::read_to_string(file(root)).unwrap();
    assert_eq!(leftovers(root), [""; 0]);
    // Once more changes nothing.
    source.recover(&[], &world).unwrap();
    assert_eq!(fs::read_to_string(file(root)).unwrap(), text);
    let kept = source.displaced();
    for one in &kept {
        assert!(one.file.is_file(), "{one:?}");
    }
    (text, fates, kept)
}

/// Record #`issue` of `text` with another value in a place.
fn changed(text: &str, issue: u64, from: &str, to: &str) -> String {
    let at = text.find(&format!("\"issue_number\": {issue},")).unwrap();
    let (head, tail) = text.split_at(at);
    assert!(tail.contains(from), "{from}");
    format!("{head}{}", tail.replacen(from, to, 1))
}

fn count(text: &str, what: &str) -> usize {
    text.matches(what).count()
}

#[test]
fn what_only_a_killed_write_had_displaced_is_brought_back() {
    // Another record, a new one, and one that is gone: all of it is there, and vigil's moves stand.
    let (text, fates, kept) = displaced(
        |text| {
            let more = text.replace("\n]\n", &format!(",\n{}\n]\n", record(7)));
            changed(&more, 7, "\"running\"", "\"queued\"")
        },
        str::to_owned,
        true,
    );
    assert_eq!(count(&text, "\"success\""), 3);
    assert!(
        text.contains("\"issue_number\": 7") && text.contains("\"queued\""),
        "{text}"
    );
    assert_eq!(fates, vec![Fate::Written; 3]);
    assert_eq!(kept, []);
    // A record that vigil moved as well: its owner's change stands, and vigil's is taken back.
    let (text, fates, kept) = displaced(
        |text| changed(text, 2, "\"running\"", "\"blocked\""),
        str::to_owned,
        true,
    );
    assert_eq!(
        (count(&text, "\"success\""), count(&text, "\"blocked\"")),
        (2, 1)
    );
    assert!(!matches!(fates[1], Fate::Written), "{fates:?}");
    assert_eq!((&fates[0], &fates[2]), (&Fate::Written, &Fate::Written));
    assert_eq!(kept, []);
    // Somebody else wrote since, of what vigil had put in place.
    let (text, _, kept) = displaced(
        |text| changed(text, 2, "\"caf\\u00e9\"", "\"tea\""),
        |text| changed(text, 3, "\"n\": 1.0e2", "\"n\": 3"),
        true,
    );
    assert_eq!((count(&text, "\"tea\""), count(&text, "\"n\": 3")), (1, 1));
    assert_eq!(count(&text, "\"success\""), 3, "only bookkeeping changed");
    assert_eq!(kept, []);
}

#[test]
fn what_cannot_be_brought_back_whole_is_kept_and_told() {
    // Both changed the same field in different ways.
    let (text, _, kept) = displaced(
        |text| changed(text, 2, "\"n\": 1.0e2", "\"n\": 7"),
        |text| changed(text, 2, "\"n\": 1.0e2", "\"n\": 8"),
        true,
    );
    assert_eq!((count(&text, "\"n\": 8"), count(&text, "\"n\": 7")), (1, 0));
    assert_eq!(kept.len(), 1);
    assert!(
        kept[0].why.contains("`from_the_future` of owner/repo#2"),
        "{kept:?}"
    );
    // Nothing that can be read.
    let (text, _, kept) = displaced(|_| "[{".to_owned(), str::to_owned, true);
    assert_eq!(count(&text, "\"success\""), 3);
    assert_eq!(kept.len(), 1);
    // The journal is gone, and with it what vigil wrote: what nobody else can have changed is brought back all the same.
    let (text, fates, kept) = displaced(
        |text| changed(text, 2, "\"running\"", "\"blocked\""),
        str::to_owned,
        false,
    );
    assert_eq!(fates, []);
    assert!(text.contains("\"blocked\"") || !kept.is_empty(), "{text}");
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
        // As each pass does first; what the killed one was to write does not matter where nobody else wrote.
        source.recover(&[], &later).unwrap();
        assert_eq!(source.displaced(), [], "at step {step}");
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
    assert_eq!(steps, 10, "a new step is tried, too, and counted here");
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
    assert_eq!(steps, 11);
}
