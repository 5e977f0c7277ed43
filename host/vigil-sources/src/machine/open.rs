//! Files whose path somebody else chose: opened once, without waiting, and read with a bound.
//!
//! Where a file is expected an agent can put a pipe, a device, a folder, a link to any of them, or a file that never
//! ends. [`open`] first takes hold of what stands there without opening it, which calls no driver and waits for no
//! writer; asks that very thing what it is; and only opens it to read where it is a regular file. Nothing can come
//! between the check and the reading. What can still hang is the kernel itself, on a mount whose server is gone.

use std::fmt;
use std::fs::{File, Metadata};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::fd::{AsFd, AsRawFd as _};
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, openat};
use vigil_core::fact::{Gap, GapKind};

/// What [`special`] calls a link.
const LINK: &str = "a link";

/// What [`special`] calls a folder.
const FOLDER: &str = "a folder";

/// How a folder is opened: nothing but one, and without waiting.
pub(crate) const AS_FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NONBLOCK)
    .union(OFlags::CLOEXEC);

/// A regular file that was opened to be read.
#[derive(Debug)]
pub struct Regular {
    path: PathBuf,
    file: File,
    found: Metadata,
}

/// Opens the regular file at `path`, following links.
///
/// # Errors
/// There is none, something else stands there, or it may not be read. The error names the path.
pub fn open(path: &Path) -> Result<Regular, Trouble> {
    open_at(CWD, path, path, OFlags::empty())
}

/// The same of `name` within the opened folder `dir`, not followed where it is itself a link. `path` is what an error
/// calls it.
///
/// # Errors
/// As [`open`]; a link is [`Why::Special`].
pub fn open_in(dir: impl AsFd, name: &Path, path: &Path) -> Result<Regular, Trouble> {
    open_at(dir, name, path, OFlags::NOFOLLOW)
}

/// The same, following links.
///
/// # Errors
/// As [`open`].
pub(crate) fn open_beyond(dir: impl AsFd, name: &Path, path: &Path) -> Result<Regular, Trouble> {
    open_at(dir, name, path, OFlags::empty())
}

fn open_at(dir: impl AsFd, name: &Path, path: &Path, follow: OFlags) -> Result<Regular, Trouble> {
    let trouble = |error: io::Error| Trouble::of(path, error);
    let held = OFlags::PATH | OFlags::CLOEXEC | follow;
    let held =
        File::from(openat(dir, name, held, Mode::empty()).map_err(|error| trouble(error.into()))?);
    let found = held.metadata().map_err(trouble)?;
    if let Some(what) = special(&found) {
        return Err(Trouble {
            path: path.to_owned(),
            why: Why::Special(what),
        });
    }
    // The kernel's own name for what is held: no other file can have taken its place.
    let itself = format!("/proc/self/fd/{}", held.as_raw_fd());
    let read = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let file = openat(CWD, itself, read, Mode::empty()).map_err(|error| {
        let error = io::Error::from(error);
        match error.kind() {
            // What is held is there, whatever became of its name.
            io::ErrorKind::NotFound => trouble(io::Error::other("/proc is not mounted")),
            _ => trouble(error),
        }
    })?;
    Ok(Regular {
        path: path.to_owned(),
        file: File::from(file),
        found,
    })
}

/// Opens `path` and reads all of it: at most `bytes_max` bytes.
///
/// # Errors
/// As [`open`], and [`Why::TooLarge`] beyond the bound.
pub fn read(path: &Path, bytes_max: u64) -> Result<Vec<u8>, Trouble> {
    open(path)?.read(bytes_max)
}

/// The same of a text.
///
/// # Errors
/// As [`read`], and [`Why::NoText`].
pub fn text(path: &Path, bytes_max: u64) -> Result<String, Trouble> {
    open(path)?.text(bytes_max)
}

impl Regular {
    /// Where it was found.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the kernel says of it, as it was when it was opened.
    pub fn found(&self) -> &Metadata {
        &self.found
    }

    /// The file itself, for who reads only parts of it. Its length bounds nothing: it can grow.
    pub fn into_file(self) -> File {
        self.file
    }

    /// All that it holds: at most `bytes_max` bytes.
    ///
    /// # Errors
    /// It holds more, or the reading fails.
    pub fn read(self, bytes_max: u64) -> Result<Vec<u8>, Trouble> {
        let too_large = |path| Trouble {
            path,
            why: Why::TooLarge { bytes_max },
        };
        let expected = self.found.len();
        if expected > bytes_max {
            return Err(too_large(self.path));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(expected).unwrap_or(0));
        // One more than the bound, so that a file that grew is found out.
        self.file
            .take(bytes_max.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|error| Trouble::of(&self.path, error))?;
        match bytes.len() as u64 > bytes_max {
            true => Err(too_large(self.path)),
            false => Ok(bytes),
        }
    }

    /// The same as text.
    ///
    /// # Errors
    /// As [`Regular::read`], and [`Why::NoText`] for what is not UTF-8.
    pub fn text(self, bytes_max: u64) -> Result<String, Trouble> {
        let path = self.path.clone();
        String::from_utf8(self.read(bytes_max)?).map_err(|_| Trouble {
            path,
            why: Why::NoText,
        })
    }

    /// The last `bytes_max` bytes of it, and whether there were others before.
    ///
    /// # Errors
    /// The reading fails.
    pub fn tail(mut self, bytes_max: u64) -> Result<(Vec<u8>, bool), Trouble> {
        let trouble = |error| Trouble::of(&self.path, error);
        let skipped = self.found.len().saturating_sub(bytes_max);
        self.file.seek(SeekFrom::Start(skipped)).map_err(trouble)?;
        let mut bytes = Vec::new();
        // It may have grown since it was opened.
        (&mut self.file)
            .take(bytes_max)
            .read_to_end(&mut bytes)
            .map_err(trouble)?;
        Ok((bytes, skipped > 0))
    }
}

/// What stands there when it is no regular file, in words; `None`: it is one.
pub fn special(found: &Metadata) -> Option<&'static str> {
    let kind = found.file_type();
    if kind.is_file() {
        None
    } else if kind.is_dir() {
        Some(FOLDER)
    } else if kind.is_fifo() {
        Some("a named pipe")
    } else if kind.is_socket() {
        Some("a socket")
    } else if kind.is_symlink() {
        Some(LINK)
    } else {
        Some("a device")
    }
}

/// Why a file could not be read, with its path.
#[derive(Debug)]
pub struct Trouble {
    /// The file.
    pub path: PathBuf,
    /// What is wrong.
    pub why: Why,
}

/// What is wrong with a file.
#[derive(Debug)]
pub enum Why {
    /// There is none, or no longer.
    Gone,
    /// Something else stands there, named with its article: "a named pipe".
    Special(&'static str),
    /// It holds more than it may.
    TooLarge {
        /// The bound, in bytes.
        bytes_max: u64,
    },
    /// It may not be read.
    Denied,
    /// It is no UTF-8.
    NoText,
    /// The system failed in another way.
    Failed(io::Error),
}

impl Trouble {
    fn of(path: &Path, error: io::Error) -> Self {
        let why = match error.kind() {
            // A part of the way that is a file has nothing below it.
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Why::Gone,
            io::ErrorKind::PermissionDenied => Why::Denied,
            _ => Why::Failed(error),
        };
        Trouble {
            path: path.to_owned(),
            why,
        }
    }

    /// Whether there is no such file.
    pub fn is_gone(&self) -> bool {
        matches!(self.why, Why::Gone)
    }

    /// Whether a folder stands there.
    pub fn is_folder(&self) -> bool {
        matches!(self.why, Why::Special(FOLDER))
    }

    /// Whether a link stands there that was not to be followed.
    pub fn is_link(&self) -> bool {
        matches!(self.why, Why::Special(LINK))
    }

    /// The system's own error, or what is wrong in words, without the path: for messages that name it themselves.
    pub fn into_bare(self) -> io::Error {
        let kind = self.io_kind();
        match self.why {
            Why::Failed(error) => error,
            Why::Gone | Why::Denied => kind.into(),
            why => io::Error::new(kind, format!("it {why}")),
        }
    }

    fn io_kind(&self) -> io::ErrorKind {
        match &self.why {
            Why::Gone => io::ErrorKind::NotFound,
            Why::Denied => io::ErrorKind::PermissionDenied,
            Why::TooLarge { .. } => io::ErrorKind::FileTooLarge,
            Why::Special(_) | Why::NoText => io::ErrorKind::InvalidData,
            Why::Failed(error) => error.kind(),
        }
    }

    /// The kind of gap that it makes.
    pub fn kind(&self) -> GapKind {
        match &self.why {
            Why::Gone => GapKind::NotFound,
            Why::Special(_) | Why::NoText => GapKind::Malformed,
            Why::TooLarge { .. } => GapKind::TooLarge,
            Why::Denied | Why::Failed(_) => GapKind::Denied,
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.path.display(), self.why)
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::Gone => f.write_str("is not there"),
            Why::Special(what) => write!(f, "is {what} and no regular file"),
            Why::TooLarge { bytes_max } => {
                write!(f, "holds more than the {bytes_max} bytes that vigil reads")
            }
            Why::Denied => f.write_str("may not be read"),
            Why::NoText => f.write_str("is no UTF-8 text"),
            Why::Failed(error) => write!(f, "cannot be read: {error}"),
        }
    }
}

impl std::error::Error for Trouble {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.why {
            // Its words stand in the message already.
            Why::Failed(error) => error.source(),
            _ => None,
        }
    }
}

impl From<Trouble> for Gap {
    fn from(trouble: Trouble) -> Gap {
        Gap::new(trouble.kind(), trouble.to_string())
    }
}

impl From<Trouble> for io::Error {
    fn from(trouble: Trouble) -> io::Error {
        io::Error::new(trouble.io_kind(), trouble)
    }
}

#[cfg(test)]
mod tests;
