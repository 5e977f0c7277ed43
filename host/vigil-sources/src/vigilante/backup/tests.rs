//! Where a backup goes, and who may read it.

use std::os::unix::fs::MetadataExt;

use tempfile::TempDir;

use super::*;
use crate::vigilante::testing::{NOW, TestWorld};

fn dirs() -> (TempDir, PathBuf, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let (state, home) = (dir.path().join("state"), dir.path().join("home"));
    fs::create_dir(&home).unwrap();
    (dir, state, home)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
}

#[test]
fn a_backup_is_a_copy_that_only_its_owner_can_read() {
    let (_dir, state, home) = dirs();
    let backup = Backup::of(&state, "vigilante", &home).unwrap();
    let text = "[ ]\r\n\u{e9}";
    backup.keep(text, NOW, &TestWorld::new()).unwrap();
    let folder = state.join("backups/vigilante");
    let [file] = files(&folder).try_into().unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
    assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
    for folder in [folder, state.join("backups"), state] {
        assert_eq!(fs::metadata(folder).unwrap().mode() & 0o777, 0o700);
    }
    let name = file.file_name().unwrap().to_str().unwrap();
    assert!(name.contains("-20260326T190000Z-"), "{name}");
}

#[test]
fn one_home_has_one_backup_and_another_home_another() {
    let (dir, state, home) = dirs();
    let keep = |home: &Path, text: &str| {
        let backup = Backup::of(&state, "vigilante", home).unwrap();
        backup.keep(text, NOW, &TestWorld::new()).unwrap();
    };
    let count = || files(&state.join("backups/vigilante")).len();
    keep(&home, "a");
    keep(&home, "b");
    assert_eq!(count(), 1);
    let other = dir.path().join("other");
    fs::create_dir(&other).unwrap();
    keep(&other, "c");
    assert_eq!(count(), 2);
    // Another name of the same home is no other home.
    let link = dir.path().join("link");
    std::os::unix::fs::symlink(&home, &link).unwrap();
    keep(&link, "d");
    assert_eq!(count(), 2);
}

#[test]
fn what_an_interrupted_backup_left_is_no_backup() {
    let (_dir, state, home) = dirs();
    let folder = state.join("backups/vigilante");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(".vigil-backup-abc"), "half").unwrap();
    let backup = Backup::of(&state, "vigilante", &home).unwrap();
    assert!(backup.needed);
    backup.keep("whole", NOW, &TestWorld::new()).unwrap();
    assert!(!Backup::of(&state, "vigilante", &home).unwrap().needed);
}

#[test]
fn a_sources_name_leads_nowhere_else() {
    for (name, other) in [
        ("../..", "..\\.."),
        ("a/b", "a.b"),
        ("", "."),
        ("\u{e9}", "\u{e8}"),
    ] {
        for name in [name, other] {
            let plain = plain(name);
            assert!(!plain.is_empty() && !plain.contains(['/', '.']), "{plain}");
        }
        assert_ne!(plain(name), plain(other));
    }
    assert_eq!(plain("vigilante-2"), "vigilante-2");
}

#[test]
fn a_folder_that_cannot_be_made_is_an_error_that_names_it() {
    let (_dir, state, home) = dirs();
    fs::write(&state, "in the way").unwrap();
    let why = Backup::of(&state, "vigilante", &home)
        .and_then(|backup| backup.keep("x", NOW, &TestWorld::new()))
        .unwrap_err();
    assert!(why.contains(state.to_str().unwrap()), "{why}");
    let gone = Backup::of(&state, "vigilante", Path::new("/nowhere/at/all")).unwrap_err();
    assert!(gone.contains("/nowhere/at/all"), "{gone}");
}
