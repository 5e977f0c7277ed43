//! Where a process works, by what the folder is and not by what it is called: a link, a bind mount or a container gives
//! one folder many names.
//!
//! A folder on a mount whose server is gone would hang whoever touches it. So the kernel's list of mounts is read first,
//! and what lies on another machine, or is provided by a program, is compared by its name alone.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::io::Read as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use procfs::ProcResult;
use procfs::process::Process as Seen;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, StatxFlags, fstat, openat, stat, statx};

use super::ground::{Ground, Mounted};

/// Folders above one that are followed. A path of the kernel's greatest length rarely has as many.
const FOLDERS_MAX: usize = 256;

/// A mark of the kernel on the name of a folder that was removed under a process.
const REMOVED: &str = " (deleted)";

/// What tells a folder from all others on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct FolderId {
    pub(crate) device: u64,
    inode: u64,
}

impl FolderId {
    /// The folder at `path`, links followed. `None`: there is none, or it may not be looked at.
    pub(crate) fn at(path: &Path) -> Option<FolderId> {
        stat(path).ok().map(|found| FolderId::of(&found))
    }

    fn of(found: &rustix::fs::Stat) -> FolderId {
        FolderId {
            device: found.st_dev,
            inode: found.st_ino,
        }
    }
}

/// Where a process works.
#[derive(Debug)]
pub(crate) struct Working {
    /// As its mount namespace calls it.
    pub(crate) path: PathBuf,
    /// Whether it is called the same here: the process shares vigil's mount namespace.
    pub(crate) shared: bool,
    /// The folder and those above it, from the inside out, as far as they were followed.
    pub(crate) ids: Vec<FolderId>,
    /// How far that is.
    pub(crate) reach: Reach,
    /// What the folder lies on.
    pub(super) ground: Ground,
}

/// How far the folders above a process's own were followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// To the root: whatever is not among them is not above it.
    Root,
    /// To where something stood in the way, on this device; `None`: nobody knows which.
    Stopped(Option<u64>),
    /// Not at all: the folder was removed under the process.
    Removed,
}

/// What is mounted where, for each mount namespace that a process was met in.
#[derive(Debug)]
pub(crate) struct Mounts {
    own: Option<PathBuf>,
    known: HashMap<Option<PathBuf>, Option<Mounted>>,
}

impl Mounts {
    /// Nothing is known yet of any namespace but that `proc` is the process table.
    pub(crate) fn new(proc: &Path) -> Mounts {
        Mounts {
            own: fs::read_link(proc.join("self/ns/mnt")).ok(),
            known: HashMap::new(),
        }
    }

    /// Where the process `seen` works; its own folder in the process table is `dir`.
    ///
    /// # Errors
    /// It may not be looked at, or the process has ended.
    pub(crate) fn working(&mut self, seen: &Seen, dir: &Path) -> ProcResult<Working> {
        let path = seen.cwd()?;
        let namespace = fs::read_link(dir.join("ns/mnt")).ok();
        // A kernel without namespaces, or a table that shows none, has one for all.
        let shared = namespace.is_none() || namespace == self.own;
        let mounts = self
            .known
            .entry(namespace)
            .or_insert_with(|| mounts(seen, shared))
            .as_ref();
        let (path, ids, reach, mount) = follow(&dir.join("cwd"), path, mounts);
        let mut ground = match mounts {
            Some(mounts) if reach != Reach::Removed => mounts.ground(&path, mount),
            _ => Ground::default(),
        };
        ground.device = ground.device.or(ids.first().map(|id| id.device));
        Ok(Working {
            path,
            shared,
            ids,
            reach,
            ground,
        })
    }
}

/// A folder as it was followed: its name, itself and those above it, how far that is, and the number of its mount.
type Followed = (PathBuf, Vec<FolderId>, Reach, Option<u64>);

/// The folder behind `link`, which the kernel calls `path`, and those above it.
fn follow(link: &Path, path: PathBuf, mounts: Option<&Mounted>) -> Followed {
    let removed = path
        .as_os_str()
        .as_bytes()
        .strip_suffix(REMOVED.as_bytes())
        .map(|name| PathBuf::from(OsString::from_vec(name.to_vec())));
    let Some(mounts) = mounts else {
        // Which of its names is meant cannot be told; a folder that was removed is the usual case by far.
        return match removed {
            Some(name) => (name, Vec::new(), Reach::Removed, None),
            None => (path, Vec::new(), Reach::Stopped(None), None),
        };
    };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut ids = Vec::new();
    let (mut at, mut number) = (None::<OwnedFd>, None);
    // Each name is asked about before the folder is touched.
    for above in path.ancestors().take(FOLDERS_MAX) {
        let mount = mounts.of(above);
        let device = mount.and_then(|mount| mount.device);
        if mount.is_none_or(|mount| mount.may_hang) {
            return (path, ids, Reach::Stopped(device), number);
        }
        let opened = match &at {
            None => openat(CWD, link, flags, Mode::empty()),
            Some(below) => openat(below, "..", flags, Mode::empty()),
        };
        let Ok((folder, found)) = opened
            .and_then(|folder| Ok((fstat(&folder)?, folder)))
            .map(|(found, folder)| (folder, found))
        else {
            return match (at, removed) {
                (None, Some(name)) => (name, ids, Reach::Removed, None),
                _ => (path, ids, Reach::Stopped(device), number),
            };
        };
        if at.is_none()
            && found.st_nlink == 0
            && let Some(name) = removed
        {
            return (name, ids, Reach::Removed, None);
        }
        if at.is_none() {
            number = mount_number(&folder);
        }
        ids.push(FolderId::of(&found));
        at = Some(folder);
    }
    let whole = path.is_absolute() && path.ancestors().count() <= FOLDERS_MAX;
    let reach = if whole {
        Reach::Root
    } else {
        Reach::Stopped(None)
    };
    (path, ids, reach, number)
}

/// The number of the mount that `folder` lies on. `None`: the kernel does not tell.
fn mount_number(folder: impl AsFd) -> Option<u64> {
    let found = statx(folder, "", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID).ok()?;
    let told = found.stx_mask & StatxFlags::MNT_ID.bits() != 0;
    told.then_some(found.stx_mnt_id)
}

/// The mounts that `seen` sees. `None`: they may not be looked at.
fn mounts(seen: &Seen, shared: bool) -> Option<Mounted> {
    let mut text = Vec::new();
    let mut file = seen.open_relative("mountinfo").ok()?;
    // A file of the kernel's own, which always ends.
    file.read_to_end(&mut text).ok()?;
    Some(Mounted::parse(&text, shared))
}

/// The mounts that vigil sees, whose process table is `proc`.
pub(super) fn own_mounts(proc: &Path) -> Mounted {
    let text = fs::read(proc.join("self/mountinfo")).unwrap_or_default();
    Mounted::parse(&text, true)
}

/// `path` as the kernel names it: links followed as far as the path exists.
pub(crate) fn resolved(path: &Path) -> PathBuf {
    for above in path.ancestors() {
        if let Ok(real) = fs::canonicalize(above) {
            return match path.strip_prefix(above) {
                Ok(rest) if !rest.as_os_str().is_empty() => real.join(rest),
                _ => real,
            };
        }
    }
    path.to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::ground::Mount;
    use super::*;
    use crate::machine::mounts::{is_remote, unescaped};

    #[test]
    fn names_of_mounts_are_read_as_they_are_meant() {
        for (told, meant) in [
            ("/", "/"),
            (r"/my\040disk", "/my disk"),
            (r"/a\134b", r"/a\b"),
            (r"/tab\011", "/tab\t"),
            (r"/no\04", r"/no\04"),
            (r"/no\999", r"/no\999"),
            (r"/no\777", r"/no\777"),
        ] {
            assert_eq!(unescaped(told.as_bytes()), Path::new(meant), "{told}");
        }
    }

    #[test]
    fn what_lies_on_another_machine_is_not_touched() {
        let local = (false, Some(1));
        let far = (true, Some(9));
        let root = tempfile::tempdir().expect("a folder");
        let root = fs::canonicalize(root.path()).expect("its name").join("a/b");
        fs::create_dir_all(&root).expect("a folder");
        let above = root.parent().expect("a parent");
        let depth = root.ancestors().count();
        for (list, ids, reach) in [
            (vec![("/", local)], depth, Reach::Root),
            (vec![("/", far)], 0, Reach::Stopped(Some(9))),
            (vec![], 0, Reach::Stopped(None)),
            (
                vec![("/", local), (root.to_str().expect("a name"), far)],
                0,
                Reach::Stopped(Some(9)),
            ),
            (
                vec![("/", far), (above.to_str().expect("a name"), local)],
                2,
                Reach::Stopped(Some(9)),
            ),
        ] {
            let mut mounts = Mounted::default();
            for (point, (may_hang, device)) in list {
                mounts.add(Mount {
                    at: PathBuf::from(point),
                    may_hang,
                    device,
                    ..Mount::default()
                });
            }
            let (path, seen, reached, _) = follow(&root, root.clone(), Some(&mounts));
            assert_eq!(
                (path.as_path(), seen.len(), reached),
                (root.as_path(), ids, reach)
            );
            if let Some(first) = seen.first() {
                assert_eq!(Some(*first), FolderId::at(&root));
            }
        }
        let (_, seen, reached, _) = follow(&root, root.clone(), None);
        assert_eq!((seen.len(), reached), (0, Reach::Stopped(None)));
        for kind in ["nfs4", "fuse.sshfs", "9p", "cifs"] {
            assert!(is_remote(kind), "{kind}");
        }
        for kind in ["ext4", "btrfs", "overlay", "tmpfs", "xfs", "zfs", "apfs"] {
            assert!(!is_remote(kind), "{kind}");
        }
    }
}
