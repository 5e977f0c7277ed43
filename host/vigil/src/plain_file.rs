//! Reads a file that somebody named: opened once without waiting, looked at before it is read, and never read beyond a
//! bound. A pipe would block for ever, a device never ends, and a large file would fill the memory.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;

/// Why a file was not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// It is there, and no file: what it is.
    #[error("it is {0}, not a file")]
    NoFile(&'static str),
    /// It is larger than it may be, or grew while it was read.
    #[error("it has {bytes} bytes, more than the limit of {bytes_max}")]
    TooLarge {
        /// Its size; at least the limit and one where it grew.
        bytes: u64,
        /// The limit.
        bytes_max: usize,
    },
    /// It could not be opened or read.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The content of `path`, at most `bytes_max`. Nothing of a file is read that is too large or no file.
///
/// # Errors
/// As [`Refusal`] says.
pub(crate) fn read(path: &Path, bytes_max: usize) -> Result<Vec<u8>, Refusal> {
    let file = open(path)?;
    let found = file.metadata()?;
    let too_large = |bytes| Refusal::TooLarge { bytes, bytes_max };
    let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX);
    if found.len() > limit {
        return Err(too_large(found.len()));
    }
    let mut content = Vec::new();
    // One byte more than allowed tells that it grew.
    file.take(limit.saturating_add(1))
        .read_to_end(&mut content)?;
    match content.len() > bytes_max {
        true => Err(too_large(limit.saturating_add(1))),
        false => Ok(content),
    }
}

/// Opens `path`, which must be a regular file.
pub(crate) fn open(path: &Path) -> Result<File, Refusal> {
    // The terminal flag: opening one must not make it ours.
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
        // A socket cannot be opened at all, and the system's word for that helps nobody.
        .map_err(|error| match std::fs::metadata(path) {
            Ok(found) if found.file_type().is_socket() => Refusal::NoFile("a socket"),
            _ => Refusal::Io(error),
        })?;
    let kind = file.metadata()?.file_type();
    match () {
        () if kind.is_file() => Ok(file),
        () if kind.is_dir() => Err(Refusal::NoFile("a folder")),
        () if kind.is_fifo() => Err(Refusal::NoFile("a pipe")),
        () => Err(Refusal::NoFile("a device")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::os::unix::net::UnixListener;

    #[test]
    fn what_is_no_file_or_too_large_is_refused_without_reading_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        let made = std::process::Command::new("mkfifo")
            .arg(path("pipe"))
            .status();
        assert!(made.expect("mkfifo").success());
        let _socket = UnixListener::bind(path("socket")).expect("a socket");
        std::fs::write(path("file"), "12345").expect("a file");
        std::os::unix::fs::symlink(path("file"), path("link")).expect("a link");
        // Sparse: 5 GB that take no room.
        let large = File::create(path("large")).expect("a file");
        large.set_len(5 << 30).expect("a size");
        let said = |path: &Path| read(path, 5).map_err(|refusal| refusal.to_string());
        assert_eq!(said(&path("file")).expect("content"), b"12345");
        assert_eq!(said(&path("link")).expect("content"), b"12345");
        for (path, words) in [
            (path("pipe"), "it is a pipe, not a file"),
            (path("socket"), "it is a socket, not a file"),
            (path("."), "it is a folder, not a file"),
            ("/dev/zero".into(), "it is a device, not a file"),
            (
                path("large"),
                "it has 5368709120 bytes, more than the limit of 5",
            ),
        ] {
            assert_eq!(said(&path).expect_err(words), words);
        }
        // A file of no size that has content all the same: its size says nothing, the bound holds.
        let words = said(Path::new("/proc/self/status")).expect_err("larger");
        assert_eq!(words, "it has 6 bytes, more than the limit of 5");
        assert!(matches!(
            read(&path("nothing"), 5),
            Err(Refusal::Io(error)) if error.kind() == io::ErrorKind::NotFound
        ));
    }
}
