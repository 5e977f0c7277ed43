//! What is swept away, what is kept for a person, and for how long.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::time::SystemTime;

use super::*;
use crate::machine::leftovers::LEFTOVER_AFTER;
use crate::vigilante::replace::{TEMP_PREFIX, TEMP_SUFFIX};
use crate::vigilante::testing::TestWorld;

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// The moment of the file system, which stamps by the real clock.
fn now() -> Timestamp {
    let dir = tempfile::tempdir().unwrap();
    let at = fs::metadata(dir.path()).unwrap().modified().unwrap();
    let at = at.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    Timestamp(u64::try_from(at.as_millis()).unwrap())
}

#[test]
fn a_name_that_vigil_makes_is_one_that_it_knows() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("f");
    fs::write(&target, "old").unwrap();
    let mut prepared = Prepared::write(&target, "new".to_owned(), &TestWorld::new()).unwrap();
    assert!(prepared.pin("old").unwrap());
    let left = left::in_folder(dir.path());
    assert_eq!(left.len(), 1, "{left:?}");
    let base = left[0].base.as_ref().unwrap();
    let name = base.file_name().unwrap().to_str().unwrap();
    let (_, noted) = base_of(name).unwrap();
    let (ours, old) = (
        fs::metadata(&left[0].temp).unwrap(),
        fs::metadata(&target).unwrap(),
    );
    assert_eq!(noted.ours, ours.ino());
    assert_eq!(
        (noted.seconds, noted.nanoseconds, noted.length),
        (old.mtime(), old.mtime_nsec(), 3)
    );
    // A write that is under way is nobody's leftover.
    left::sweep(&left, now().after(minutes(600)));
    assert_eq!(names(dir.path()).len(), 3);
    drop(prepared);
    assert_eq!(names(dir.path()), ["f"]);
    for foreign in [
        "x.base",
        ".vigil-sessions-Ab3.1.2.3.4.base",
        ".vigil-sessions-.base",
    ] {
        assert_eq!(base_of(foreign), None, "{foreign}");
    }
}

#[test]
fn only_old_leftovers_that_are_provably_ours_are_swept() {
    let dir = tempfile::tempdir().unwrap();
    let temp = |random: &str| format!("{TEMP_PREFIX}{random}{TEMP_SUFFIX}");
    let ours = temp("Ab3Ab3Ab3Ab3");
    let linked = temp("Cd4Cd4Cd4Cd4");
    let foreign = [
        "sessions.json.tmp-1",
        ".vigil-sessions-.tmp",
        ".vigil-sessions-Ab3.tmp",
        ".vigil-sessions-Ab3Ab3Ab-Ab3.tmp",
        "sessions.json",
    ];
    for name in foreign.iter().copied().chain([ours.as_str(), &linked]) {
        fs::write(dir.path().join(name), "x").unwrap();
    }
    fs::hard_link(dir.path().join(&linked), dir.path().join("other-name")).unwrap();
    symlink(
        dir.path().join("sessions.json"),
        dir.path().join(temp("Ef5Ef5Ef5Ef5")),
    )
    .unwrap();
    fs::create_dir(dir.path().join(temp("Gh6Gh6Gh6Gh6"))).unwrap();
    let before = names(dir.path());
    left::sweep(&left::in_folder(dir.path()), now());
    assert_eq!(
        names(dir.path()),
        before,
        "its maker may be about to lock it"
    );
    left::sweep(
        &left::in_folder(dir.path()),
        now().after(LEFTOVER_AFTER * 3),
    );
    let mut left = before;
    left.retain(|name| *name != ours);
    assert_eq!(names(dir.path()), left);
}

#[test]
fn what_is_kept_is_private_bounded_and_never_the_newest_that_goes() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("backups");
    let file = keep(&folder, b"theirs", "because", now()).unwrap();
    assert_eq!(fs::read(&file).unwrap(), b"theirs");
    assert_eq!(
        fs::read_to_string(file.with_extension("why")).unwrap(),
        "because\n"
    );
    assert_eq!(
        fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );
    for number in 0..KEPT_MAX + 5 {
        keep(&folder, number.to_string().as_bytes(), "because", now()).unwrap();
    }
    assert_eq!(names(&folder).len(), 2 * KEPT_MAX);
    let newest = keep(&folder, b"last", "because", now()).unwrap();
    assert!(newest.exists());
    // After a long time only the newest is left.
    forget(&folder, None, now().after(KEPT_FOR * 2));
    assert_eq!(kept_in(&folder).len(), 1);
    assert_eq!(names(&folder).len(), 2);
}

#[test]
fn what_a_kill_leaves_of_what_was_being_kept_goes_and_all_else_stays() {
    let dir = tempfile::tempdir().unwrap();
    let file = keep(dir.path(), b"theirs", "because", now()).unwrap();
    let why = file.with_extension("why");
    let stay = ["sessions-1-2-3.json", "displaced.why", ".tmpAbCdEf"];
    let half = format!("{TEMP_KEPT_PREFIX}AbCdEf");
    let backup = format!("{}AbCdEf", backup::TEMP_PREFIX);
    let go = [half.as_str(), &backup, "displaced-Ab3Ab3Ab3Ab3.why"];
    for name in stay.iter().chain(&go) {
        fs::write(dir.path().join(name), "x").unwrap();
    }
    let held = format!("{TEMP_KEPT_PREFIX}held");
    let lock = File::create(dir.path().join(&held)).unwrap();
    leftovers::lock(&lock).unwrap();
    let before = names(dir.path());
    sweep_kept(dir.path(), now());
    assert_eq!(names(dir.path()), before, "their makers may be at work");
    sweep_kept(dir.path(), now().after(LEFTOVER_AFTER * 3));
    let left: Vec<String> = before
        .into_iter()
        .filter(|name| !go.contains(&name.as_str()))
        .collect();
    assert_eq!(names(dir.path()), left);
    assert!(why.exists() && left.contains(&held));
}
