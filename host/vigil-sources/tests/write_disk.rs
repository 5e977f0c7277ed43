//! Writes onto file systems that refuse: full, and read-only. They need a small file system of their own, which only
//! root can mount.
#![allow(
    clippy::unwrap_used,
    reason = "a test fails by a panic, its helpers too"
)]
#![allow(
    clippy::disallowed_macros,
    reason = "a skipped test says why on the terminal"
)]

mod write_common;

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;
use vigil_sources::{Committed, Source};
use write_common::{TestWorld, file, home, leftovers, proposals, source};

/// A mounted tmpfs; dropping it unmounts it.
struct Mount {
    folder: TempDir,
}

impl Mount {
    /// `None`, and a printed reason, where nothing can be mounted.
    fn new(size: &str) -> Option<Mount> {
        let folder = tempfile::tempdir().unwrap();
        let options = format!("size={size},mode=0755");
        match run(
            "mount",
            &["-t", "tmpfs", "-o", &options, "tmpfs"],
            folder.path(),
        ) {
            Ok(()) => Some(Mount { folder }),
            Err(why) => {
                println!("skipped: a tmpfs cannot be mounted here ({why})");
                None
            }
        }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn remount(&self, options: &str) {
        run("mount", &["-o", &format!("remount,{options}")], self.path()).unwrap();
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        if let Err(why) = run("umount", &[], self.folder.path()) {
            println!("{} stays mounted: {why}", self.folder.path().display());
        }
    }
}

fn run(program: &str, arguments: &[&str], path: &Path) -> Result<(), String> {
    let output = Command::new(program)
        .args(arguments)
        .arg(path)
        .output()
        .map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }
}

/// A write that must fail with these words in its message, and leave everything as it was.
fn refused(root: &Path, said: &[&str]) {
    let before = fs::read_to_string(file(root)).unwrap();
    let source = source(root);
    let world = TestWorld::new();
    let todo = proposals(&source, &world);
    assert!(!todo.is_empty());
    for outcome in source.commit(&todo, &world) {
        let Committed::Failed(why) = outcome else {
            panic!("{outcome:?}");
        };
        for said in said {
            assert!(why.contains(said), "{why}");
        }
    }
    assert_eq!(fs::read_to_string(file(root)).unwrap(), before);
    assert_eq!(leftovers(root), [""; 0]);
}

/// A write that must succeed.
fn written(root: &Path) {
    let source = source(root);
    let world = TestWorld::new();
    let todo = proposals(&source, &world);
    assert!(!todo.is_empty());
    for outcome in source.commit(&todo, &world) {
        assert_eq!(outcome, Committed::Written { exclusive: true });
    }
}

/// A folder with the home on `mount` and the state elsewhere, or the other way round.
fn split(mount: &Path, on_mount: &str) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(mount.join(on_mount)).unwrap();
    std::os::unix::fs::symlink(mount.join(on_mount), root.path().join(on_mount)).unwrap();
    root
}

#[test]
fn a_full_disk_changes_nothing_and_is_named() {
    let Some(mount) = Mount::new("96k") else {
        return;
    };
    let root = split(mount.path(), "home");
    let root = root.path();
    // Some 60 KiB: room for one such file, and not for two.
    home(root, 120);
    let size = fs::metadata(file(root)).unwrap().len();
    assert!((50_000..96_000).contains(&size), "{size}");
    let folder = mount.path().display().to_string();
    refused(root, &[&folder, "No space left", "free space"]);
    mount.remount("size=1m");
    written(root);
}

#[test]
fn a_full_state_folder_means_no_backup_and_no_write() {
    let Some(mount) = Mount::new("16k") else {
        return;
    };
    let root = split(mount.path(), "state");
    let root = root.path();
    home(root, 120);
    refused(root, &["state/backups", "No space left", "free space"]);
    mount.remount("size=1m");
    written(root);
}

#[test]
fn a_read_only_home_changes_nothing_and_is_named() {
    let Some(mount) = Mount::new("1m") else {
        return;
    };
    let root = split(mount.path(), "home");
    let root = root.path();
    home(root, 2);
    mount.remount("ro");
    let folder = mount.path().display().to_string();
    refused(root, &[&folder, "Read-only file system", "observe"]);
    mount.remount("rw");
    written(root);
}
