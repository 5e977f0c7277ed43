//! Files that hold a secret: a token, an App's private key, the secret of a webhook. One rule for all of them.
//!
//! Such a file is a regular one, closed to everybody but its owner and group, and holds some text of at most
//! [`SECRET_BYTES_MAX`]. The group is let in, since services commonly read files of root's through theirs.

use std::fs::{File, Metadata, OpenOptions};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};

/// The longest file that is read: more than any key, token or list of secrets. In bytes.
pub const SECRET_BYTES_MAX: u64 = 64 * 1024;

/// The longest token, in bytes: GitHub gives none over 520 characters.
const TOKEN_BYTES_MAX: usize = 4096;

/// Reads a file that holds a secret.
///
/// # Errors
/// It breaks the rule of this module. Nothing that it holds is in the error.
pub fn read(path: &Path) -> Result<SecretString, SecretFileError> {
    let wrong = |why| SecretFileError {
        path: path.to_owned(),
        why,
    };
    let unreadable = |error: std::io::Error| wrong(Why::Unreadable(error.to_string()));
    let file = open(path).map_err(|error| match std::fs::metadata(path) {
        // A socket cannot be opened at all.
        Ok(found) if !found.is_file() => wrong(Why::NoFile),
        _ => unreadable(error),
    })?;
    // The open file is asked, and not the path: nothing can come between the look and the reading.
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(wrong(Why::NoFile));
    }
    if let Some(mode) = open_to_everybody(&metadata) {
        return Err(wrong(Why::OpenToEverybody { mode }));
    }
    let mut bytes = Vec::new();
    file.take(SECRET_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > SECRET_BYTES_MAX {
        return Err(wrong(Why::TooLong));
    }
    let text = String::from_utf8(bytes).map_err(|_| wrong(Why::NoText))?;
    if text.trim().is_empty() {
        return Err(wrong(Why::Empty));
    }
    Ok(SecretString::from(text))
}

/// Opens it once: to open a pipe would otherwise wait for somebody who writes into it, and a terminal would become ours.
fn open(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
        options.custom_flags(flags.bits().cast_signed());
    }
    options.open(path)
}

/// Reads a file that holds nothing but a token, and gives it without the white space around it.
///
/// # Errors
/// As [`read`], and where it holds something that is no token.
pub fn read_token(path: &Path) -> Result<SecretString, SecretFileError> {
    let text = read(path)?;
    token(text.expose_secret()).ok_or_else(|| SecretFileError {
        path: path.to_owned(),
        why: Why::NoToken,
    })
}

/// A token without the white space around it; `None`: it can be none. Its characters are those of RFC 6750, section
/// 2.1.
pub(crate) fn token(text: &str) -> Option<SecretString> {
    let text = text.trim();
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"-._~+/".contains(&b);
    let is_token = !text.is_empty()
        && text.len() <= TOKEN_BYTES_MAX
        && text.trim_end_matches('=').bytes().all(fits);
    is_token.then(|| SecretString::from(text.to_owned()))
}

/// Tells one content of a file from the next without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Every write, and every change of its mode, moves one of these.
    #[cfg(unix)]
    written: [(i64, i64); 2],
    #[cfg(not(unix))]
    written: Option<std::time::SystemTime>,
    /// Another file may have taken its place.
    #[cfg(unix)]
    file: (u64, u64),
    length: u64,
}

impl Stamp {
    /// Of the file at `path`; `None`: there is none that can be looked at.
    pub fn of(path: &Path) -> Option<Stamp> {
        #[cfg(unix)]
        use std::os::unix::fs::MetadataExt as _;
        let metadata = std::fs::metadata(path).ok()?;
        Some(Stamp {
            #[cfg(unix)]
            written: [
                (metadata.mtime(), metadata.mtime_nsec()),
                (metadata.ctime(), metadata.ctime_nsec()),
            ],
            #[cfg(not(unix))]
            written: metadata.modified().ok(),
            #[cfg(unix)]
            file: (metadata.dev(), metadata.ino()),
            length: metadata.len(),
        })
    }
}

/// A file with a secret that cannot be used. What it holds is never shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} {}", path.display(), self.why())]
pub struct SecretFileError {
    path: PathBuf,
    why: Why,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Why {
    Unreadable(String),
    NoFile,
    OpenToEverybody { mode: u32 },
    TooLong,
    Empty,
    NoText,
    NoToken,
}

impl SecretFileError {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is wrong with it, without its path.
    pub fn why(&self) -> String {
        match &self.why {
            Why::Unreadable(error) => format!("cannot be read ({error})"),
            Why::NoFile => "is no regular file".to_owned(),
            Why::OpenToEverybody { mode } => {
                format!("holds a secret and is open to everybody (mode {mode:o})")
            }
            Why::TooLong => format!(
                "is longer than {} KiB, which no secret is",
                SECRET_BYTES_MAX / 1024
            ),
            Why::Empty => "is empty".to_owned(),
            Why::NoText => "holds something else than text".to_owned(),
            Why::NoToken => "holds characters that no token has".to_owned(),
        }
    }

    /// What a person can do about it, as a command where there is one.
    pub fn hint(&self) -> String {
        match &self.why {
            Why::Unreadable(_) => "name a file that is there and that vigil may read".to_owned(),
            Why::NoFile | Why::TooLong => "name the file that holds the secret itself".to_owned(),
            Why::OpenToEverybody { .. } => format!("run chmod o= {}", self.path.display()),
            Why::Empty => "write the secret into it".to_owned(),
            Why::NoText => "write the secret into it as text, or name another file".to_owned(),
            Why::NoToken => {
                "write nothing but the token into it, such as ghp_ with what follows".to_owned()
            }
        }
    }
}

/// The mode of a file that is open to everybody; `None`: it is not.
#[cfg(unix)]
fn open_to_everybody(metadata: &Metadata) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = metadata.permissions().mode();
    (mode & 0o007 != 0).then_some(mode & 0o777)
}

#[cfg(not(unix))]
fn open_to_everybody(_: &Metadata) -> Option<u32> {
    None
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn put(path: &Path, content: &[u8], mode: u32) {
        // Owners may be shut out of their own file.
        let _ = std::fs::remove_file(path);
        std::fs::write(path, content).expect("a file");
        std::fs::set_permissions(path, Permissions::from_mode(mode)).expect("a mode");
    }

    #[test]
    fn a_file_is_read_unless_everybody_may() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("secret");
        for (mode, fine) in [
            (0o600, true),
            (0o400, true),
            (0o640, true),
            (0o660, true),
            (0o644, false),
            (0o602, false),
            (0o601, false),
        ] {
            put(&path, b"hunter2\n", mode);
            match read(&path) {
                Ok(text) => assert!(fine && text.expose_secret() == "hunter2\n", "{mode:o}"),
                Err(error) => {
                    assert!(!fine, "{error}");
                    assert_eq!(
                        error.to_string(),
                        format!(
                            "{} holds a secret and is open to everybody (mode {mode:o})",
                            path.display()
                        )
                    );
                    assert_eq!(error.hint(), format!("run chmod o= {}", path.display()));
                }
            }
        }
    }

    #[test]
    fn what_holds_no_secret_is_said_without_showing_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("secret");
        let said = |content: &[u8]| {
            put(&path, content, 0o600);
            let error = read_token(&path).expect_err("no token");
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
            error.why()
        };
        assert_eq!(said(b" \n\t"), "is empty");
        assert_eq!(said(b"hunter2\xff"), "holds something else than text");
        assert_eq!(
            said("hunter2".repeat(10_000).as_bytes()),
            "is longer than 64 KiB, which no secret is"
        );
        for content in [
            "GH_TOKEN=hunter2",
            "\"hunter2\"",
            "hunter2\nhunter2",
            "{\"token\": \"hunter2\"}",
        ] {
            assert_eq!(
                said(content.as_bytes()),
                "holds characters that no token has",
                "{content}"
            );
        }
        put(&path, b"  ghs_1.a-b_c=\n", 0o600);
        let token = read_token(&path).expect("a token");
        assert_eq!(token.expose_secret(), "ghs_1.a-b_c=");
        let missing = read(&folder.path().join("missing")).expect_err("no file");
        assert!(missing.why().starts_with("cannot be read"), "{missing}");
        let folder = read(folder.path()).expect_err("a folder");
        assert_eq!(folder.why(), "is no regular file");
    }

    #[test]
    fn a_pipe_keeps_nobody_waiting() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.expect("mkfifo").success());
        assert_eq!(read(&path).expect_err("a pipe").why(), "is no regular file");
    }

    #[test]
    fn another_content_has_another_stamp() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("secret");
        assert_eq!(Stamp::of(&path), None);
        put(&path, b"one", 0o600);
        let first = Stamp::of(&path);
        assert_eq!(Stamp::of(&path), first);
        put(&path, b"another", 0o600);
        assert_ne!(Stamp::of(&path), first);
    }
}
