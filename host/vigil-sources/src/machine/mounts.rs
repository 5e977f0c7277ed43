//! What is mounted where, told by text alone: to ask a mount whose server is gone takes for ever.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Component, Path, PathBuf};

use vigil_core::fact::{Gap, GapKind};

/// 40: as many links as the kernel follows in one path.
const LINKS_MAX: usize = 40;

/// Kinds of file systems behind which a server stands that can be gone. Those of NFS and FUSE are told by their name's
/// start.
const REMOTE: [&str; 17] = [
    "9p",
    "afs",
    "autofs",
    "beegfs",
    "ceph",
    "cifs",
    "coda",
    "gfs2",
    "glusterfs",
    "gpfs",
    "lustre",
    "ncpfs",
    "ocfs2",
    "orangefs",
    "smb3",
    "smbfs",
    "virtiofs",
];

/// The mounts that this process sees.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mounts(Vec<Mount>);

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// The folder that it is mounted on.
    pub at: PathBuf,
    /// Whether there is a server behind it.
    pub is_remote: bool,
}

impl Mounts {
    /// Those of now. None where the kernel does not tell them.
    pub fn read() -> Mounts {
        // A file of the kernel's own, which always ends.
        let text = fs::read("/proc/self/mountinfo").unwrap_or_default();
        Mounts::parse(&text)
    }

    /// Those of a `mountinfo`, as proc_pid_mountinfo(5) describes it.
    fn parse(text: &[u8]) -> Mounts {
        let lines = text.split(|byte| *byte == b'\n');
        Mounts(lines.filter_map(mount).collect())
    }

    /// The mount that `path` lies on.
    pub fn of(&self, path: &Path) -> Option<&Mount> {
        // The last of those at one place is the one that is seen.
        self.0
            .iter()
            .filter(|mount| path.starts_with(&mount.at))
            .max_by_key(|mount| mount.at.components().count())
    }

    /// Whether the way to `path`, its links followed, enters a mount behind which a server stands that can be gone. No such
    /// mount is touched to find out.
    pub fn lead_elsewhere(&self, path: &Path) -> bool {
        follow(path, &[], &|_| {}, &|place| !self.remote_at(place)).is_err()
    }

    /// Whether what is seen at `place` is a mount behind which a server stands.
    pub(crate) fn remote_at(&self, place: &Path) -> bool {
        let last = self.0.iter().rfind(|mount| mount.at == place);
        last.is_some_and(|mount| mount.is_remote)
    }

    /// The folders below `dir` that something is mounted on.
    pub fn below(&self, dir: &Path) -> Vec<PathBuf> {
        let below = self.0.iter().map(|mount| &mount.at);
        let below = below.filter(|at| at.starts_with(dir) && *at != dir);
        below.cloned().collect()
    }
}

fn mount(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|byte| *byte == b' ');
    let at = unescaped(fields.nth(4)?);
    let kind = fields.skip_while(|field| *field != b"-").nth(1)?;
    let kind = String::from_utf8_lossy(kind);
    Some(Mount {
        at,
        is_remote: is_remote(&kind),
    })
}

/// Whether a file system of that kind is one whose server is elsewhere, or a program that may not answer.
pub(crate) fn is_remote(kind: &str) -> bool {
    REMOTE.contains(&kind) || kind.starts_with("nfs") || kind.starts_with("fuse")
}

/// A path of the kernel's lists of mounts: space, tab, line end and backslash stand there as three octal digits after a
/// backslash.
pub(crate) fn unescaped(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [first, after @ ..] = rest {
        let code = after
            .get(..3)
            .filter(|_| *first == b'\\')
            .filter(|digits| digits.iter().all(|digit| (b'0'..=b'7').contains(digit)))
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        match code {
            Some(code) => {
                bytes.push(code);
                rest = &after[3..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    PathBuf::from(OsString::from_vec(bytes))
}

/// Follows every link on the way to `path`, and calls `at` with where it is about to look whenever that is a new place:
/// whoever waits then knows what it waits for. Places in `avoid`, and all below them, are not touched, nor is a part of
/// the way that `may_enter` denies, which is asked of each part before it is touched.
///
/// What is not there, or cannot be looked at, is no error of this: who looks at it next finds it out.
///
/// # Errors
/// The way leads to a place in `avoid`, or to one that may not be entered.
pub fn follow(
    path: &Path,
    avoid: &[PathBuf],
    at: &dyn Fn(&Path),
    may_enter: &dyn Fn(&Path) -> bool,
) -> Result<(), Gap> {
    let mut links = 0;
    let mut way = path.to_owned();
    'anew: loop {
        if let Some(avoided) = avoid.iter().find(|avoided| way.starts_with(avoided)) {
            return Err(left_alone(avoided));
        }
        at(&way);
        let mut walked = PathBuf::new();
        let mut parts = way.components();
        while let Some(part) = parts.next() {
            match part {
                Component::ParentDir => {
                    walked.pop();
                }
                part => walked.push(part),
            }
            if let Some(avoided) = avoid.iter().find(|avoided| walked.starts_with(avoided)) {
                return Err(left_alone(avoided));
            }
            if !may_enter(&walked) {
                return Err(left_alone(&walked));
            }
            match fs::read_link(&walked) {
                Ok(target) if links < LINKS_MAX => {
                    links += 1;
                    walked.pop();
                    // No part of `walked` is a link, so that what leads up from it can be left out: a place that is
                    // told is one that can be compared.
                    let mut target = target.as_path();
                    while let Ok(rest) = target.strip_prefix("..") {
                        walked.pop();
                        target = rest;
                    }
                    way = walked.join(target).join(parts.as_path());
                    continue 'anew;
                }
                // No link, which is what EINVAL says, or the end of what can be followed.
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => {}
                _ => return Ok(()),
            }
        }
        return Ok(());
    }
}

/// A place that did not answer in this pass, and is not asked again.
pub(crate) fn left_alone(place: &Path) -> Gap {
    Gap::new(
        GapKind::TimedOut,
        format!(
            "{} did not answer another look, and is left alone until it does; is its server up?",
            place.display()
        ),
    )
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_path_lies_on_the_mount_with_the_longest_name_and_the_last_of_one_place() {
        let text = b"21 1 254:0 / / rw - ext4 /dev/vda rw\n\
            30 21 0:30 / /mnt/nfs rw shared:1 master:2 - nfs4 server:/x rw\n\
            31 21 0:31 / /mnt/a\\040b\\134 rw - fuse.sshfs x rw\n\
            32 21 0:32 / /mnt/nfs/local rw - tmpfs x rw\n\
            33 21 0:33 / /mnt/nfs rw - ext4 /dev/vdb rw\n\
            nonsense\n";
        let mounts = Mounts::parse(text);
        for (path, at, is_remote) in [
            ("/home/me", "/", false),
            ("/mnt/nfs-not", "/", false),
            ("/mnt/nfs", "/mnt/nfs", false),
            ("/mnt/nfs/local/x", "/mnt/nfs/local", false),
            ("/mnt/a b\\/x", "/mnt/a b\\", true),
        ] {
            let mount = mounts.of(Path::new(path)).expect(path);
            assert_eq!(
                (mount.at.as_path(), mount.is_remote),
                (Path::new(at), is_remote),
                "{path}"
            );
        }
        let below = mounts.below(Path::new("/mnt/nfs"));
        assert_eq!(below, [PathBuf::from("/mnt/nfs/local")]);
        assert!(!mounts.remote_at(Path::new("/mnt/nfs")));
        assert!(mounts.remote_at(Path::new("/mnt/a b\\")));
        assert!(!mounts.remote_at(Path::new("/mnt/a b\\/x")));
        assert!(Mounts::read().of(Path::new("/")).is_some());
    }

    #[test]
    fn every_place_on_the_way_is_told_before_it_is_looked_at() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = fs::canonicalize(folder.path()).expect("its name");
        fs::create_dir_all(root.join("far/work")).expect("a folder");
        symlink("far", root.join("near")).expect("a link");
        symlink(root.join("near/work"), root.join("link")).expect("a link");
        symlink("round", root.join("round")).expect("a link");
        fs::create_dir(root.join("closed")).expect("a folder");
        symlink("../closed/x", root.join("far/out")).expect("a link");
        let told = RefCell::new(Vec::new());
        let follow = |name: &str, avoid: &[PathBuf]| {
            told.borrow_mut().clear();
            let at = |place: &Path| {
                let place = place.strip_prefix(&root).expect("below it");
                told.borrow_mut()
                    .push(place.to_str().expect("a name").to_owned());
            };
            follow(&root.join(name), avoid, &at, &|place| {
                place != root.join("closed")
            })
        };
        follow("link/x", &[]).expect("all is fine");
        assert_eq!(*told.borrow(), ["link/x", "near/work/x", "far/work/x"]);
        let gap = follow("link", &[root.join("far")]).expect_err("it leads there");
        assert_eq!(gap.kind, GapKind::TimedOut);
        assert!(gap.detail.contains("far did not answer"), "{gap:?}");
        assert_eq!(*told.borrow(), ["link", "near/work"]);
        let gap = follow("far/out", &[]).expect_err("it may not be entered");
        assert!(gap.detail.contains("closed did not answer"), "{gap:?}");
        assert_eq!(*told.borrow(), ["far/out", "closed/x"]);
        follow("round", &[]).expect("who looks finds it out");
        follow("missing/x", &[]).expect("who looks finds it out");
    }
}
