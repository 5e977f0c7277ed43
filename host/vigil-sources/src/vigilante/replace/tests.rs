//! Files that change places, on a real file system.

use std::os::unix::fs::symlink;
use std::time::SystemTime;

use super::*;
use crate::vigilante::testing::TestWorld;

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn put(folder: &Path, text: &str) {
    let temp = folder.join("theirs");
    fs::write(&temp, text).unwrap();
    fs::rename(temp, folder.join("f")).unwrap();
}

fn text(folder: &Path) -> String {
    fs::read_to_string(folder.join("f")).unwrap()
}

fn now() -> Timestamp {
    // The file system stamps by the real clock; an hour is measured against the file's own time.
    let dir = tempfile::tempdir().unwrap();
    let at = fs::metadata(dir.path()).unwrap().modified().unwrap();
    let at = at.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    Timestamp(u64::try_from(at.as_millis()).unwrap())
}

#[test]
fn mode_and_owner_are_those_of_the_old_file() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("f");
    put(dir.path(), "old");
    let root = geteuid().is_root();
    for mode in [0o600, 0o640, 0o644] {
        fs::set_permissions(&target, fs::Permissions::from_mode(mode)).unwrap();
        if root {
            std::os::unix::fs::chown(&target, Some(4711), Some(4712)).unwrap();
        }
        let before = text(dir.path());
        let world = TestWorld::new();
        let prepared = Prepared::write(&target, format!("new {mode:o}"), &world).unwrap();
        assert_eq!(prepared.replace(&before, &world), Ok(Replaced::Yes));
        let meta = fs::metadata(&target).unwrap();
        assert_eq!(meta.mode() & 0o7777, mode);
        if root {
            assert_eq!((meta.uid(), meta.gid()), (4711, 4712));
        }
        assert_eq!(text(dir.path()), format!("new {mode:o}"));
    }
    assert_eq!(names(dir.path()), ["f"]);
}

#[test]
fn a_prepared_text_that_is_dropped_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "old");
    let target = dir.path().join("f");
    let prepared = Prepared::write(&target, "new".to_owned(), &TestWorld::new()).unwrap();
    assert_eq!(names(dir.path()).len(), 2);
    drop(prepared);
    assert_eq!(names(dir.path()), ["f"]);
    assert_eq!(text(dir.path()), "old");
}

#[test]
fn what_somebody_wrote_since_the_last_look_stands() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "old");
    let world = TestWorld::new();
    let target = dir.path().join("f");
    let prepared = Prepared::write(&target, "new".to_owned(), &world).unwrap();
    put(dir.path(), "theirs, unseen");
    assert_eq!(prepared.replace("old", &world), Ok(Replaced::No));
    assert_eq!(text(dir.path()), "theirs, unseen");
    assert_eq!(names(dir.path()), ["f"]);
}

#[test]
fn bytes_that_are_no_text_stand_like_any_other() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "old");
    let world = TestWorld::new();
    let target = dir.path().join("f");
    let prepared = Prepared::write(&target, "new".to_owned(), &world).unwrap();
    fs::write(&target, [0xff, 0xfe]).unwrap();
    assert_eq!(prepared.replace("old", &world), Ok(Replaced::No));
    assert_eq!(fs::read(&target).unwrap(), [0xff, 0xfe]);
}

#[test]
fn a_file_that_is_gone_is_an_error_and_stays_gone() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "old");
    let world = TestWorld::new();
    let target = dir.path().join("f");
    let prepared = Prepared::write(&target, "new".to_owned(), &world).unwrap();
    fs::remove_file(&target).unwrap();
    let why = prepared.replace("old", &world).unwrap_err();
    assert!(why.contains(target.to_str().unwrap()), "{why}");
    assert_eq!(names(dir.path()), [""; 0]);
}

#[test]
fn only_old_leftovers_that_are_provably_ours_are_swept() {
    let dir = tempfile::tempdir().unwrap();
    let ours = format!("{TEMP_PREFIX}Ab3Ab3Ab3Ab3{TEMP_SUFFIX}");
    let linked = format!("{TEMP_PREFIX}Cd4Cd4Cd4Cd4{TEMP_SUFFIX}");
    let link = format!("{TEMP_PREFIX}Ef5Ef5Ef5Ef5{TEMP_SUFFIX}");
    let folder = format!("{TEMP_PREFIX}Gh6Gh6Gh6Gh6{TEMP_SUFFIX}");
    let foreign = [
        "sessions.json.tmp-1",
        ".vigil-sessions-.tmp",
        ".vigil-sessions-Ab3.tmp",
        ".vigil-sessions-Ab3Ab3Ab-Ab3.tmp",
        "sessions.json",
    ];
    for name in foreign
        .iter()
        .copied()
        .chain([ours.as_str(), linked.as_str()])
    {
        fs::write(dir.path().join(name), "x").unwrap();
    }
    fs::hard_link(dir.path().join(&linked), dir.path().join("other-name")).unwrap();
    symlink(dir.path().join("sessions.json"), dir.path().join(&link)).unwrap();
    fs::create_dir(dir.path().join(&folder)).unwrap();
    let before = names(dir.path());

    // The machine's clock may be off against the file system's: an hour is far more than that.
    let kept = tempfile::tempdir().unwrap();
    let keep_in = kept.path().join("backups");
    sweep(dir.path(), &keep_in, now().after(LEFTOVER_AFTER / 2));
    assert_eq!(names(dir.path()), before, "it may still be in use");
    sweep(dir.path(), &keep_in, now().after(LEFTOVER_AFTER * 2));
    let mut left = before;
    left.retain(|name| *name != ours);
    assert_eq!(names(dir.path()), left);
    let copy = keep_in.join(format!("leftover{ours}"));
    assert_eq!(fs::read_to_string(&copy).unwrap(), "x", "nothing is lost");
    assert_eq!(fs::metadata(&copy).unwrap().mode() & 0o777, 0o600);
    sweep(&dir.path().join("nowhere"), &keep_in, now());

    // What cannot be put aside stays where it is.
    fs::write(dir.path().join(&ours), "y").unwrap();
    sweep(dir.path(), &copy, now().after(LEFTOVER_AFTER * 2));
    assert!(dir.path().join(&ours).exists());
}

#[test]
fn without_an_exchange_the_rename_is_as_whole_but_proves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "old");
    let target = dir.path().join("f");
    let prepared = Prepared::write(&target, "new".to_owned(), &TestWorld::new()).unwrap();
    let replaced = prepared.rename_over().unwrap();
    assert!(matches!(replaced, Replaced::Unproven(_)), "{replaced:?}");
    assert_eq!(text(dir.path()), "new");
    assert_eq!(names(dir.path()), ["f"]);
}

#[test]
fn what_cannot_be_looked_back_at_is_unproven() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "old");
    let world = TestWorld::with(|name, _| match name {
        "look-back" => Err(io::Error::other("no")),
        _ => Ok(()),
    });
    let target = dir.path().join("f");
    let prepared = Prepared::write(&target, "new".to_owned(), &world).unwrap();
    let replaced = prepared.replace("old", &world).unwrap();
    assert!(matches!(replaced, Replaced::Unproven(_)), "{replaced:?}");
    assert_eq!(text(dir.path()), "new");
}

#[test]
fn a_name_that_vigil_makes_is_one_that_it_knows() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "old");
    let target = dir.path().join("f");
    let prepared = Prepared::write(&target, "new".to_owned(), &TestWorld::new()).unwrap();
    assert!(is_temp_name(prepared.temp.path().file_name().unwrap()));
}
