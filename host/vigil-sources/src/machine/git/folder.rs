//! Folders that are held open, and files that are opened from there as `machine::open` opens them.
//!
//! Whatever happens to a path meanwhile, what is asked of a [`Folder`] is asked of the folder that was opened.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use vigil_core::fact::{Gap, GapKind};

use crate::machine::open::{self, AS_FOLDER, Regular};

/// 1,000,000 names: a folder that holds more is no checkout's.
const NAMES_MAX: usize = 1_000_000;

/// A folder that was opened, and the path by which it was.
#[derive(Debug)]
pub(crate) struct Folder {
    fd: OwnedFd,
    path: PathBuf,
}

/// A name in a folder, and what it stands for.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) name: Vec<u8>,
    pub(crate) kind: FileType,
}

impl Folder {
    /// The folder at `path`, links followed.
    pub(crate) fn open(path: &Path) -> Result<Folder, Gap> {
        match rustix::fs::openat(CWD, path, AS_FOLDER, Mode::empty()) {
            Ok(fd) => Ok(Folder {
                fd,
                path: path.to_owned(),
            }),
            Err(error) => Err(gap(path, error)),
        }
    }

    /// Where it was when it was opened.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The path of `name` in it, for people.
    pub(crate) fn place(&self, name: &[u8]) -> PathBuf {
        self.path.join(OsStr::from_bytes(name))
    }

    /// Device and inode: whether two folders are the same.
    pub(crate) fn identity(&self) -> Result<(u64, u64), Gap> {
        let found = rustix::fs::fstat(&self.fd).map_err(|error| gap(&self.path, error))?;
        Ok((found.st_dev, found.st_ino))
    }

    /// A folder within. `None`: nothing has that name, or no folder. Links are followed where `links` says so: in git's
    /// own folders they may stand for what they name, in a checkout they are content.
    pub(crate) fn folder(&self, name: &[u8], links: Links) -> Result<Option<Folder>, Gap> {
        let flags = match links {
            Links::Follow => AS_FOLDER,
            Links::Keep => AS_FOLDER | OFlags::NOFOLLOW,
        };
        match rustix::fs::openat(&self.fd, name, flags, Mode::empty()) {
            Ok(fd) => Ok(Some(Folder {
                fd,
                path: self.place(name),
            })),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
            Err(error) => Err(gap(&self.place(name), error)),
        }
    }

    /// What stands at `name`. `None`: nothing.
    pub(crate) fn stat(&self, name: &[u8], links: Links) -> Result<Option<Stat>, Gap> {
        let flags = match links {
            Links::Follow => AtFlags::empty(),
            Links::Keep => AtFlags::SYMLINK_NOFOLLOW,
        };
        match rustix::fs::statat(&self.fd, name, flags) {
            Ok(found) => Ok(Some(found)),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(error) => Err(gap(&self.place(name), error)),
        }
    }

    /// The regular file `name`. `None`: nothing has that name. Anything else that stands there is a gap.
    pub(crate) fn file(&self, name: &[u8], links: Links) -> Result<Option<Regular>, Gap> {
        let place = self.place(name);
        let name = Path::new(OsStr::from_bytes(name));
        let opened = match links {
            Links::Follow => open::open_beyond(&self.fd, name, &place),
            Links::Keep => open::open_in(&self.fd, name, &place),
        };
        match opened {
            Ok(file) => Ok(Some(file)),
            Err(trouble) if trouble.is_gone() => Ok(None),
            Err(trouble) => Err(trouble.into()),
        }
    }

    /// All bytes of the regular file `name`. `None`: nothing has that name. More than `bytes_max` are a gap.
    pub(crate) fn read(
        &self,
        name: &[u8],
        links: Links,
        bytes_max: u64,
    ) -> Result<Option<Vec<u8>>, Gap> {
        match self.file(name, links)? {
            Some(file) => Ok(Some(file.read(bytes_max)?)),
            None => Ok(None),
        }
    }

    /// The same as one line of text, its end left out.
    pub(crate) fn line(&self, name: &[u8]) -> Result<Option<String>, Gap> {
        // 64 KiB: the longest path that Linux takes is 4 KiB.
        let Some(bytes) = self.read(name, Links::Follow, 64 << 10)? else {
            return Ok(None);
        };
        Ok(Some(
            String::from_utf8_lossy(&bytes)
                .trim_end_matches(['\n', '\r'])
                .to_owned(),
        ))
    }

    /// Where the link `name` leads, as it stands there. `None`: there is no such link.
    pub(crate) fn link(&self, name: &[u8]) -> Result<Option<Vec<u8>>, Gap> {
        match rustix::fs::readlinkat(&self.fd, name, Vec::new()) {
            Ok(target) => Ok(Some(target.into_bytes())),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::INVAL) => Ok(None),
            Err(error) => Err(gap(&self.place(name), error)),
        }
    }

    /// What the folder holds, in no order.
    pub(crate) fn entries(&self) -> Result<Vec<Entry>, Gap> {
        let mut entries = Vec::new();
        let listing = Dir::read_from(self.fd.as_fd()).map_err(|error| gap(&self.path, error))?;
        for entry in listing {
            let entry = entry.map_err(|error| gap(&self.path, error))?;
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            if entries.len() == NAMES_MAX {
                return Err(Gap::new(
                    GapKind::TooLarge,
                    format!("{} holds more than {NAMES_MAX} names", self.path.display()),
                ));
            }
            let kind = match entry.file_type() {
                // Not every file system tells it here.
                FileType::Unknown => match self.stat(name, Links::Keep)? {
                    Some(found) => FileType::from_raw_mode(found.st_mode),
                    None => continue,
                },
                kind => kind,
            };
            entries.push(Entry {
                name: name.to_owned(),
                kind,
            });
        }
        Ok(entries)
    }
}

/// What a link stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Links {
    /// For what it leads to.
    Follow,
    /// For itself.
    Keep,
}

fn gap(path: &Path, error: Errno) -> Gap {
    io_gap(path, &error.into())
}

/// What could not be read, and why.
pub(crate) fn io_gap(path: &Path, error: &io::Error) -> Gap {
    let kind = match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => GapKind::NoControl,
        io::ErrorKind::PermissionDenied => GapKind::Denied,
        _ => GapKind::Malformed,
    };
    Gap::new(kind, format!("{} cannot be read: {error}", path.display()))
}
