//! A journal that is taken away, replaced or damaged under an open connection, and what holds a write.

use std::fs;
use std::path::Path;

use super::*;

const T0: Timestamp = Timestamp(1_790_000_000_000);
const T1: Timestamp = Timestamp(1_790_000_001_000);

fn open(dir: &Path) -> Store {
    Store::open(dir, T0).unwrap()
}

fn paths(dir: &Path) -> [PathBuf; 3] {
    let file = Store::file_in(dir);
    [with_suffix(&file, "-wal"), with_suffix(&file, "-shm"), file]
}

#[test]
fn an_untouched_journal_is_still_itself_while_others_come_and_go() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    for _ in 0..3 {
        let mut other = open(dir.path());
        other.pause(Some("a"), T0, None).unwrap();
        other.resume(None).unwrap();
        drop(other);
        store.pause(Some("b"), T0, None).unwrap();
        store.check().unwrap();
        assert_eq!(store.watch().held("a", T1).unwrap(), None);
    }
}

#[test]
fn what_became_of_the_journal_is_noticed_before_anything_is_written() {
    type Change = fn(&Path);
    let changes: [(&str, Change); 8] = [
        ("is not there any more", |dir| {
            for entry in fs::read_dir(dir).unwrap() {
                fs::remove_file(entry.unwrap().path()).unwrap();
            }
            fs::remove_dir(dir).unwrap();
        }),
        ("is not there any more", |dir| {
            fs::remove_file(Store::file_in(dir)).unwrap();
        }),
        ("is not there any more", |dir| {
            fs::remove_file(&paths(dir)[0]).unwrap();
        }),
        ("was replaced", |dir| {
            let file = Store::file_in(dir);
            fs::copy(&file, dir.join("copy")).unwrap();
            fs::rename(dir.join("copy"), file).unwrap();
        }),
        ("was replaced", |dir| {
            for path in paths(dir) {
                fs::remove_file(path).unwrap();
            }
            // Another vigil began a new one.
            std::mem::forget(open(dir));
        }),
        ("was cut short", |dir| {
            fs::write(Store::file_in(dir), "").unwrap();
        }),
        ("has schema 999", |dir| {
            let raw = Connection::open(Store::file_in(dir)).unwrap();
            raw.pragma_update(None, "user_version", 999).unwrap();
        }),
        ("was overwritten with another journal", |dir| {
            let other = tempfile::tempdir().unwrap();
            drop(Store::open(other.path(), T1).unwrap());
            let bytes = fs::read(Store::file_in(other.path())).unwrap();
            fs::write(Store::file_in(dir), bytes).unwrap();
        }),
    ];
    for (expected, change) in changes {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        let store = open(&state);
        let watch = store.watch();
        assert_eq!(watch.held("a", T1).unwrap(), None);
        change(&state);
        let error = watch.held("a", T1).unwrap_err();
        assert!(error.is_lost(), "{expected}: {error:?}");
        assert!(error.to_string().contains(expected), "{expected}: {error}");
    }
}

#[test]
fn half_a_journal_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let never_looked = Watch::over(&Store::file_in(dir.path()), &store.db).unwrap();
    let watch = store.watch();
    assert_eq!(watch.held("a", T1).unwrap(), None);
    let file = fs::File::options()
        .write(true)
        .open(Store::file_in(dir.path()))
        .unwrap();
    let half = file.metadata().unwrap().len() / 2;
    // Never closed: that would drop the locks that the store has on the same file.
    file.set_len(half).unwrap();
    std::mem::forget(file);
    for watch in [watch, never_looked] {
        let error = watch.held("a", T1).unwrap_err();
        assert!(error.is_lost(), "{error:?}");
    }
}

#[test]
fn a_file_called_stop_and_a_pause_of_any_process_hold_a_write() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let watch = store.watch();
    let stop = dir.path().join("STOP");
    let kinds: [fn(&Path); 3] = [
        |stop| fs::write(stop, "").unwrap(),
        |stop| fs::create_dir(stop).unwrap(),
        |stop| std::os::unix::fs::symlink("nowhere", stop).unwrap(),
    ];
    for make in kinds {
        make(&stop);
        assert_eq!(
            watch.held("a", T1).unwrap(),
            Some(Held::Stopped(stop.clone()))
        );
        assert_eq!(stop_file(dir.path()).unwrap(), Some(stop.clone()));
        let _ = fs::remove_file(&stop).or_else(|_| fs::remove_dir(&stop));
        assert_eq!(watch.held("a", T1).unwrap(), None);
    }
    let mut other = open(dir.path());
    other.pause(Some("a"), T0, None).unwrap();
    assert!(matches!(
        watch.held("a", T1).unwrap(),
        Some(Held::Paused(_))
    ));
    assert_eq!(watch.held("b", T1).unwrap(), None);
    other.pause(None, T0, None).unwrap();
    assert!(matches!(
        watch.held("b", T1).unwrap(),
        Some(Held::Paused(_))
    ));
}

#[test]
fn a_journal_in_memory_cannot_be_lost() {
    let store = Store::in_memory(T0).unwrap();
    store.check().unwrap();
    assert_eq!(store.watch().held("a", T1).unwrap(), None);
}

#[test]
fn a_daemon_s_lock_that_was_taken_away_keeps_nobody_out() {
    use crate::DaemonLock;
    let dir = tempfile::tempdir().unwrap();
    let lock = DaemonLock::try_take(dir.path()).unwrap().unwrap();
    lock.check().unwrap();
    fs::remove_file(lock.path()).unwrap();
    assert!(lock.check().unwrap_err().is_lost());
    let second = DaemonLock::try_take(dir.path()).unwrap().unwrap();
    assert!(lock.check().unwrap_err().is_lost());
    second.check().unwrap();
}
