//! The file, its rights, its schema, and what is refused.

use std::error::Error as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::common::{T0, answers, at, evidence, folder, held, id, open};
use vigil_core::Verdict;
use vigil_store::{DaemonLock, SCHEMA, Store, StoreError};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// Everything in the folder, by name.
fn files(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| {
            (
                entry.file_name().into_string().unwrap(),
                fs::read(entry.path()).unwrap(),
            )
        })
        .collect();
    files.sort();
    files
}

fn raw(dir: &Path) -> rusqlite::Connection {
    rusqlite::Connection::open(Store::file_in(dir)).unwrap()
}

#[test]
fn only_its_owner_may_read_it() {
    let dir = folder();
    let state = dir.path().join("a/b");
    let mut store = open(&state);
    let evidence = evidence(1, at(0));
    store
        .record(&[held(&evidence, &answers(Verdict::Hold), at(0))])
        .unwrap();
    assert_eq!(mode(&state), 0o700);
    let names: Vec<_> = files(&state).into_iter().map(|(name, _)| name).collect();
    assert_eq!(
        names,
        ["vigil.sqlite", "vigil.sqlite-shm", "vigil.sqlite-wal"]
    );
    for name in names {
        assert_eq!(mode(&state.join(&name)), 0o600, "{name}");
    }
}

#[test]
fn a_file_that_others_could_read_is_closed_to_them() {
    let dir = folder();
    drop(open(dir.path()));
    let file = Store::file_in(dir.path());
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let _store = open(dir.path());
    assert_eq!(mode(&file), 0o600);
    assert_eq!(mode(&dir.path().join("vigil.sqlite-wal")), 0o600);
}

#[test]
fn opening_again_changes_nothing() {
    let dir = folder();
    drop(open(dir.path()));
    let before = files(dir.path());
    drop(open(dir.path()));
    // Without printing two databases when it fails.
    assert!(files(dir.path()) == before);
}

#[test]
fn an_empty_file_becomes_a_store() {
    let dir = folder();
    fs::write(Store::file_in(dir.path()), "").unwrap();
    let mut store = open(dir.path());
    assert!(store.raise("key", "text", at(0)).unwrap());
}

#[test]
fn making_a_store_leaves_nothing_else_behind() {
    let dir = folder();
    drop(open(dir.path()));
    let names: Vec<_> = files(dir.path())
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(names, ["vigil.sqlite"]);
}

#[test]
fn looking_makes_no_store() {
    let dir = folder();
    let state = dir.path().join("state");
    assert!(Store::open_existing(&state, T0).unwrap().is_none());
    assert!(!state.exists());
    drop(open(&state));
    assert!(Store::open_existing(&state, T0).unwrap().is_some());
}

#[test]
fn a_newer_schema_is_refused_and_not_touched() {
    let dir = folder();
    drop(open(dir.path()));
    raw(dir.path())
        .pragma_update(None, "user_version", SCHEMA + 6)
        .unwrap();
    let file = Store::file_in(dir.path());
    let before = fs::read(&file).unwrap();
    let error = Store::open(dir.path(), T0).unwrap_err();
    assert!(
        matches!(error, StoreError::NewerSchema { found, known: SCHEMA, .. } if found == SCHEMA + 6)
    );
    let text = error.to_string();
    assert!(
        text.contains("schema 7") && text.contains("VIGIL_STATE_DIR"),
        "{text}"
    );
    assert_eq!(fs::read(&file).unwrap(), before);
}

#[test]
fn a_newer_schema_that_is_still_in_the_log_is_not_folded_in() {
    let dir = folder();
    drop(open(dir.path()));
    let other = raw(dir.path());
    other
        .pragma_update(None, "user_version", SCHEMA + 1)
        .unwrap();
    // A copy of the files as a crash would leave them: the new version is in the log alone.
    let crashed = folder();
    for (name, bytes) in files(dir.path())
        .into_iter()
        .filter(|(name, _)| !name.ends_with("shm"))
    {
        fs::write(crashed.path().join(name), bytes).unwrap();
    }
    let logged = |dir: &Path| fs::read(dir.join("vigil.sqlite-wal")).unwrap();
    let before = (
        fs::read(Store::file_in(crashed.path())).unwrap(),
        logged(crashed.path()),
    );
    assert!(!before.1.is_empty());
    let error = Store::open(crashed.path(), T0).unwrap_err();
    assert!(matches!(error, StoreError::NewerSchema { .. }), "{error}");
    let after = (
        fs::read(Store::file_in(crashed.path())).unwrap(),
        logged(crashed.path()),
    );
    assert_eq!(after, before);
}

#[test]
fn a_schema_number_below_zero_is_refused() {
    let dir = folder();
    drop(open(dir.path()));
    raw(dir.path())
        .pragma_update(None, "user_version", -1)
        .unwrap();
    let error = Store::open(dir.path(), T0).unwrap_err();
    assert!(matches!(error, StoreError::NewerSchema { .. }), "{error}");
}

#[test]
fn another_programs_database_is_refused_and_not_touched() {
    let dir = folder();
    raw(dir.path())
        .execute_batch("CREATE TABLE theirs (x)")
        .unwrap();
    let before = fs::read(Store::file_in(dir.path())).unwrap();
    let error = Store::open(dir.path(), T0).unwrap_err();
    assert!(matches!(error, StoreError::Foreign { .. }), "{error}");
    assert_eq!(fs::read(Store::file_in(dir.path())).unwrap(), before);
}

#[test]
fn garbage_is_told_and_left_as_it_is() {
    let dir = folder();
    let file = Store::file_in(dir.path());
    let garbage = b"this is no database, and somebody may still want it ".repeat(100);
    fs::write(&file, &garbage).unwrap();
    let error = Store::open(dir.path(), T0).unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
    let text = error.to_string();
    assert!(
        text.contains(file.to_str().unwrap()) && text.contains("left as it is"),
        "{text}"
    );
    assert!(error.source().is_some());
    assert_eq!(fs::read(&file).unwrap(), garbage);
}

#[test]
fn a_damaged_page_is_told_when_it_is_met_and_the_file_stays() {
    let dir = folder();
    let mut store = open(dir.path());
    let answers = answers(Verdict::Hold);
    let evidence: Vec<_> = (0..200).map(|number| evidence(number, at(0))).collect();
    let entries: Vec<_> = evidence
        .iter()
        .map(|one| held(one, &answers, at(0)))
        .collect();
    store.record(&entries).unwrap();
    drop(store);
    let file = Store::file_in(dir.path());
    let mut bytes = fs::read(&file).unwrap();
    let end = bytes.len();
    bytes[end / 2..end - 4096].fill(0xa5);
    fs::write(&file, &bytes).unwrap();

    let store = open(dir.path());
    assert!(
        !store
            .damage()
            .unwrap_or_else(|error| vec![error.to_string()])
            .is_empty()
    );
    let error = store.journal(None, 1000).unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
    drop(store);
    assert!(file.exists());
}

#[test]
fn an_intact_file_has_no_damage() {
    let dir = folder();
    assert_eq!(open(dir.path()).damage().unwrap(), Vec::<String>::new());
}

#[test]
fn a_folder_in_the_files_place_is_told_and_keeps_its_mode() {
    let dir = folder();
    let file = Store::file_in(dir.path());
    fs::create_dir(&file).unwrap();
    let before = mode(&file);
    let error = Store::open(dir.path(), T0).unwrap_err();
    assert!(
        error.to_string().contains(file.to_str().unwrap()),
        "{error}"
    );
    assert_eq!(mode(&file), before);
}

#[test]
fn a_file_in_the_folders_place_is_told() {
    let dir = folder();
    let state = dir.path().join("state");
    fs::write(&state, "").unwrap();
    let error = Store::open(&state, T0).unwrap_err();
    assert!(
        error.to_string().contains(state.to_str().unwrap()),
        "{error}"
    );
}

#[test]
fn a_backup_holds_what_was_there_and_is_written_over_nothing() {
    let dir = folder();
    let mut store = open(dir.path());
    store.raise("key", "text", at(0)).unwrap();
    let copies = folder();
    let copy = Store::file_in(copies.path());
    store.backup_to(&copy).unwrap();
    assert_eq!(mode(&copy), 0o600);
    store.raise("later", "text", at(1)).unwrap();
    let keys = |store: &Store| {
        store
            .open_alerts()
            .unwrap()
            .into_iter()
            .map(|alert| alert.key)
            .collect::<Vec<_>>()
    };
    assert_eq!(keys(&open(copies.path())), ["key"]);
    let before = fs::read(&copy).unwrap();
    assert!(store.backup_to(&copy).is_err());
    assert_eq!(fs::read(&copy).unwrap(), before);
    assert_eq!(keys(&store), ["key", "later"]);
}

#[test]
fn a_store_in_memory_works_like_one_on_disk() {
    let mut store = Store::in_memory(T0).unwrap();
    let evidence = evidence(1, at(0));
    store
        .record(&[held(&evidence, &answers(Verdict::Hold), at(0))])
        .unwrap();
    assert_eq!(store.latest(&id(1)).unwrap().unwrap().count, 1);
}

#[test]
fn a_store_can_be_handed_to_another_thread() {
    fn sendable<T: Send>() {}
    sendable::<Store>();
    sendable::<StoreError>();
}

#[test]
fn one_daemon_for_each_folder() {
    let dir = folder();
    let state = dir.path().join("state");
    let first = DaemonLock::try_take(&state)
        .unwrap()
        .expect("nobody has it");
    assert_eq!(mode(first.path()), 0o600);
    assert_eq!(DaemonLock::holder(&state), Some(std::process::id()));
    assert!(DaemonLock::try_take(&state).unwrap().is_none());
    // A look at the lock by somebody who does not get it leaves the holder's pid in place.
    assert_eq!(DaemonLock::holder(&state), Some(std::process::id()));
    drop(first);
    assert!(DaemonLock::try_take(&state).unwrap().is_some());
}

#[test]
fn a_lock_file_that_says_nothing_names_no_holder() {
    let dir = folder();
    assert_eq!(DaemonLock::holder(dir.path()), None);
    fs::write(dir.path().join("daemon.lock"), "nonsense").unwrap();
    assert_eq!(DaemonLock::holder(dir.path()), None);
    assert!(DaemonLock::try_take(dir.path()).unwrap().is_some());
}
