//! The lock, against real holders, and the proof that one is stuck.

use rustix::fs::{CWD, FileType, Mode, mknodat};
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

use super::*;
use crate::vigilante::testing::{NOW, TestWorld};

fn home() -> TempDir {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join("logs")).unwrap();
    home
}

/// Holds the lock as the daemon does, until dropped.
fn hold(home: &Path) -> File {
    let file = File::create(home.join("scan.lock")).unwrap();
    rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).unwrap();
    file
}

/// Writes `name` with this time of writing.
fn write_at(home: &Path, name: &str, text: &str, at: Timestamp) {
    let path = home.join(name);
    fs::write(&path, text).unwrap();
    let at = SystemTime::UNIX_EPOCH + Duration::from_millis(at.as_millis());
    let file = File::options().write(true).open(path).unwrap();
    file.set_modified(at).unwrap();
}

const SCANNED: &str = r#"[
  {"path": "/a", "repo": "o/a", "last_scan_at": "2026-03-26T17:12:00Z", "added_at": "2026-03-01T00:00:00Z"},
  {"path": "/b", "repo": "o/b", "last_scan_at": "2026-03-26T18:00:00+02:00"}
]"#;

/// A home in which nothing has moved for 11 minutes and more.
fn wedged() -> TempDir {
    let home = home();
    let still = NOW.before(minutes(11));
    write_at(home.path(), "logs/vigilante.log", "x", still);
    write_at(home.path(), "logs/access.jsonl", "{}", still);
    write_at(home.path(), "watchlist.json", SCANNED, NOW);
    home
}

fn busy(result: Result<Hold, NoHold>) -> String {
    match result {
        Err(NoHold::Busy(why)) => why,
        other => panic!("expected a busy lock, got {other:?}"),
    }
}

#[test]
fn a_free_lock_is_taken_and_let_go() {
    let home = home();
    let world = TestWorld::new();
    let held = take(home.path(), &mut Patience::new(), &world).unwrap();
    let Hold::Exclusive(lock) = held else {
        panic!("nobody else holds it");
    };
    let other = File::open(home.path().join("scan.lock")).unwrap();
    let try_it = || rustix::fs::flock(&other, FlockOperation::NonBlockingLockExclusive);
    assert!(
        try_it().is_err(),
        "a daemon that starts now must be kept out"
    );
    drop(lock);
    try_it().unwrap();
    assert_eq!(world.now(), NOW, "nothing to wait for");
}

#[test]
fn a_lock_that_comes_free_in_time_is_waited_for() {
    let home = home();
    let mut held = Some(hold(home.path()));
    let world = TestWorld::with(move |_, waits| {
        if waits == 20 {
            held.take();
        }
        Ok(())
    });
    let taken = take(home.path(), &mut Patience::new(), &world).unwrap();
    assert!(matches!(taken, Hold::Exclusive(_)), "{taken:?}");
    assert!(NOW.age(world.now()) < Duration::from_secs(5));
}

#[test]
fn a_held_lock_is_busy_after_five_seconds_and_says_who_holds_it() {
    let home = home();
    let _held = hold(home.path());
    let world = TestWorld::new();
    let mut patience = Patience::new();
    let why = busy(take(home.path(), &mut patience, &world));
    assert_eq!(NOW.age(world.now()), Duration::from_secs(5));
    assert!(why.contains("scan.lock"), "{why}");
    assert!(why.contains("logs/vigilante.log"), "{why}");
    assert!(
        why.contains(&format!("pid {}", std::process::id())),
        "{why}"
    );
    // The wait is for the whole write: another try does not wait again.
    busy(take(home.path(), &mut patience, &world));
    assert_eq!(NOW.age(world.now()), Duration::from_secs(5));
}

#[test]
fn a_wedged_holder_is_written_past() {
    let home = wedged();
    let _held = hold(home.path());
    let world = TestWorld::new();
    match take(home.path(), &mut Patience::new(), &world).unwrap() {
        Hold::Wedged(who) => assert!(who.contains("still for 11 min"), "{who}"),
        other => panic!("expected a wedge, got {other:?}"),
    }
}

/// What is done to a wedged home so that nothing is proven any more.
type Change = fn(&Path);

#[test]
fn whatever_is_not_provably_still_is_busy() {
    let cases: &[(&str, Change)] = &[
        ("a line in the log", |home| {
            write_at(home, "logs/vigilante.log", "y", NOW.before(minutes(9)));
        }),
        ("a command that ended", |home| {
            write_at(home, "logs/access.jsonl", "y", NOW.before(minutes(9)));
        }),
        ("a scan of any target", |home| {
            let scanned = SCANNED.replace("17:12", "18:55");
            write_at(home, "watchlist.json", &scanned, NOW);
        }),
        ("no log", |home| {
            fs::remove_file(home.join("logs/vigilante.log")).unwrap();
        }),
        ("no logs at all", |home| {
            fs::remove_file(home.join("logs/vigilante.log")).unwrap();
            fs::remove_file(home.join("logs/access.jsonl")).unwrap();
        }),
        ("a list of commands that cannot be looked at", |home| {
            let path = home.join("logs/access.jsonl");
            fs::remove_file(&path).unwrap();
            std::os::unix::fs::symlink("access.jsonl", path).unwrap();
        }),
        ("no watch list", |home| {
            fs::remove_file(home.join("watchlist.json")).unwrap();
        }),
        ("a watch list that is a pipe", |home| {
            let path = home.join("watchlist.json");
            fs::remove_file(&path).unwrap();
            let mode = Mode::RUSR | Mode::WUSR;
            mknodat(CWD, &path, FileType::Fifo, mode, 0).unwrap();
        }),
        ("a watch list without an end", |home| {
            let path = home.join("watchlist.json");
            fs::remove_file(&path).unwrap();
            std::os::unix::fs::symlink("/dev/zero", path).unwrap();
        }),
        ("a broken watch list", |home| {
            write_at(home, "watchlist.json", "[{", NOW);
        }),
        ("a target without times", |home| {
            write_at(home, "watchlist.json", r#"[{"repo": "o/a"}]"#, NOW);
        }),
        ("a target with a time that is none", |home| {
            let odd = r#"[{"repo": "o/a", "last_scan_at": "yesterday"}]"#;
            write_at(home, "watchlist.json", odd, NOW);
        }),
        ("a target that was added just now", |home| {
            let new =
                r#"[{"repo": "o/a", "last_scan_at": "", "added_at": "2026-03-26T18:59:00Z"}]"#;
            write_at(home, "watchlist.json", new, NOW);
        }),
        ("a log from the future", |home| {
            write_at(home, "logs/vigilante.log", "y", NOW.after(minutes(60)));
        }),
        ("a scan in the future", |home| {
            let scanned = SCANNED.replace("17:12", "23:12");
            write_at(home, "watchlist.json", &scanned, NOW);
        }),
    ];
    for (what, change) in cases {
        let home = wedged();
        change(home.path());
        let why = still_since(home.path(), &TestWorld::new());
        assert!(why.is_err(), "{what} must speak against a wedge");
    }
}

#[test]
fn silence_counts_from_the_last_start_and_wake_up() {
    let home = wedged();
    let look = |booted, awake| {
        let world = TestWorld::new().up_since(booted, awake);
        still_since(home.path(), &world)
    };
    let old = Some(NOW.before(minutes(10)));
    let young = Some(NOW.before(minutes(9)));
    assert_eq!(look(None, None), Ok(NOW.before(minutes(11))));
    assert_eq!(look(old, old), Ok(NOW.before(minutes(10))));
    assert!(look(young, None).is_err());
    assert!(look(None, young).is_err());
}

#[test]
fn a_home_whose_first_command_never_ended_can_be_stuck() {
    let home = wedged();
    fs::remove_file(home.path().join("logs/access.jsonl")).unwrap();
    assert!(still_since(home.path(), &TestWorld::new()).is_ok());
}

#[test]
fn without_targets_the_logs_are_the_proof() {
    let home = wedged();
    for empty in ["[]\n", "null"] {
        write_at(home.path(), "watchlist.json", empty, NOW);
        assert!(still_since(home.path(), &TestWorld::new()).is_ok());
    }
}

#[test]
fn a_new_lock_is_one_that_the_homes_owner_can_open() {
    let home = home();
    drop(take(home.path(), &mut Patience::new(), &TestWorld::new()).unwrap());
    let lock = fs::metadata(home.path().join("scan.lock")).unwrap();
    let owner = fs::metadata(home.path()).unwrap();
    assert_eq!(lock.uid(), owner.uid());
    assert_eq!(lock.permissions().mode() & 0o600, 0o600);
    assert_eq!(lock.len(), 0);

    if geteuid().is_root() {
        let home = self::home();
        std::os::unix::fs::chown(home.path(), Some(4711), Some(4712)).unwrap();
        drop(take(home.path(), &mut Patience::new(), &TestWorld::new()).unwrap());
        let lock = fs::metadata(home.path().join("scan.lock")).unwrap();
        assert_eq!((lock.uid(), lock.gid()), (4711, 4712));
    }
}

#[test]
fn a_lock_that_was_replaced_while_it_was_opened_does_not_count() {
    let home = home();
    let path = home.path().join("scan.lock");
    let old = File::create(&path).unwrap();
    fs::remove_file(&path).unwrap();
    File::create(&path).unwrap();
    assert!(!is_at(&old, &path));
    assert!(is_at(&File::open(&path).unwrap(), &path));
}

#[test]
fn a_lock_that_is_no_file_is_an_error_that_names_it() {
    let home = home();
    fs::create_dir(home.path().join("scan.lock")).unwrap();
    match take(home.path(), &mut Patience::new(), &TestWorld::new()) {
        Err(NoHold::Failed(why)) => assert!(why.contains("scan.lock"), "{why}"),
        other => panic!("expected a failure, got {other:?}"),
    }
}

#[test]
fn how_the_lock_stands_is_told_without_taking_it() {
    let home = home();
    assert_eq!(standing(home.path()), "not there");
    let held = hold(home.path());
    let pid = format!("held by pid {} (", std::process::id());
    assert!(standing(home.path()).starts_with(&pid));
    drop(held);
    assert_eq!(standing(home.path()), "nobody is seen to hold it");
}
