//! Compiled code, kept by content. Compiling takes from 15 ms (Rust) to seconds (JavaScript, Python), loading compiled
//! code a thousandth of that.
//!
//! Compiled code is machine code: whoever can change it runs as us. So the folder and its files belong to us and are
//! writable by nobody else, and each file carries a digest of itself, which also finds what a crash or a bad disk left.
//! Damage is never an error: the policy is compiled again.

use std::fs::{self, DirBuilder, File, Permissions};
use std::hash::{Hash, Hasher};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use sha2::{Digest, Sha256};
use wasmtime::component::Component;

/// Says what the file is, and which layout it has.
const MAGIC: &[u8; 16] = b"vigil compiled 1";

/// Compiled code is some three times the size of its component, Python's is 33 MB.
pub(crate) const FILE_BYTES_MAX: u64 = 256 << 20;

/// Files that are kept; the oldest go first. A team has a handful of policies, each with a few builds in use.
const FILES_MAX: usize = 64;

/// A folder of compiled components.
pub(crate) struct CodeCache {
    folder: PathBuf,
    /// Digest of wasmtime's exact version, its settings and this processor: all that decides whether code fits.
    engine: String,
}

impl CodeCache {
    /// Opens `folder`, creating it when missing. The error is a sentence that says why it is not used and what to do.
    pub(crate) fn open(folder: PathBuf, engine: &wasmtime::Engine) -> Result<Self, String> {
        let refusal = |why: String| {
            format!(
                "compiled policies are not kept in {}: {why}",
                folder.display()
            )
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .map_err(|cause| refusal(cause.to_string()))?;
        // The folder itself, not what a link of that name points to: a link can be turned elsewhere.
        let found = fs::symlink_metadata(&folder).map_err(|cause| refusal(cause.to_string()))?;
        let us = rustix::process::geteuid().as_raw();
        if !found.is_dir() {
            return Err(refusal("it is not a folder".to_owned()));
        }
        if found.uid() != us {
            return Err(refusal(format!(
                "it belongs to user {}, and whoever owns it could make vigil run other code; name another folder",
                found.uid()
            )));
        }
        if found.mode() & 0o022 != 0 {
            return Err(refusal(format!(
                "others may write to it (mode {:03o}) and could make vigil run other code; run chmod 700 {}",
                found.mode() & 0o777,
                folder.display()
            )));
        }
        let mut hasher = ShaHasher(Sha256::new());
        engine.precompile_compatibility_hash().hash(&mut hasher);
        Ok(CodeCache {
            engine: hex::encode(&hasher.0.finalize()[..16]),
            folder,
        })
    }

    /// The compiled form of the component whose SHA-256 is `digest`, when an undamaged one is here.
    pub(crate) fn get(&self, digest: &str, engine: &wasmtime::Engine) -> Option<Component> {
        let path = self.path(digest);
        let file = match read_own(&path) {
            Ok(bytes) => bytes,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return None,
            Err(cause) => {
                tracing::debug!(path = %path.display(), %cause, "compiled policy not read");
                return None;
            }
        };
        let Some(code) = unseal(&file, self.key(digest).as_bytes()) else {
            tracing::info!(path = %path.display(), "compiled policy was damaged");
            return None;
        };
        load(engine, code)
            .inspect_err(|cause| {
                tracing::info!(path = %path.display(), %cause, "compiled policy did not fit");
            })
            .ok()
    }

    /// Keeps the compiled form of the component whose SHA-256 is `digest`. A failure costs time at the next start and
    /// nothing else, so it is only logged.
    pub(crate) fn put(&self, digest: &str, code: &[u8]) {
        let path = self.path(digest);
        match self.write(digest, code, &path) {
            Ok(()) => self.prune(),
            Err(cause) => {
                tracing::warn!(path = %path.display(), %cause, "compiled policy not kept");
            }
        }
    }

    fn write(&self, digest: &str, code: &[u8], path: &Path) -> io::Result<()> {
        let mut file = tempfile::Builder::new()
            .prefix(".new-")
            .permissions(Permissions::from_mode(0o600))
            .tempfile_in(&self.folder)?;
        file.write_all(&seal(code, self.key(digest).as_bytes()))?;
        file.persist(path).map_err(|failed| failed.error)?;
        Ok(())
    }

    fn key(&self, digest: &str) -> String {
        format!("{digest}-{}", self.engine)
    }

    fn path(&self, digest: &str) -> PathBuf {
        self.folder.join(format!("{}.cwasm", self.key(digest)))
    }

    /// Removes the oldest files beyond [`FILES_MAX`], only those that this cache wrote.
    fn prune(&self) {
        let Ok(entries) = fs::read_dir(&self.folder) else {
            return;
        };
        let mut files: Vec<_> = entries
            .filter_map(Result::ok)
            .filter(|entry| entry.path().extension().is_some_and(|end| end == "cwasm"))
            .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
            .collect();
        files.sort();
        let surplus = files.len().saturating_sub(FILES_MAX);
        for (_, path) in files.into_iter().take(surplus) {
            if let Err(cause) = fs::remove_file(&path) {
                tracing::debug!(path = %path.display(), %cause, "old compiled policy not removed");
            }
        }
    }
}

/// `code` with a header that tells damage and mix-ups apart from it. `key` is bound in: a file under another name is
/// no use.
fn seal(code: &[u8], key: &[u8]) -> Vec<u8> {
    let mut file = Vec::with_capacity(MAGIC.len() + 32 + code.len());
    file.extend_from_slice(MAGIC);
    file.extend_from_slice(&digest_of(code, key));
    file.extend_from_slice(code);
    file
}

/// The code in `file`, when its digest is right.
fn unseal<'a>(file: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    let (digest, code) = file.strip_prefix(MAGIC)?.split_at_checked(32)?;
    (digest_of(code, key) == digest).then_some(code)
}

fn digest_of(code: &[u8], key: &[u8]) -> [u8; 32] {
    let mut sha = Sha256::new();
    sha.update(MAGIC);
    sha.update((key.len() as u64).to_le_bytes());
    sha.update(key);
    sha.update(code);
    sha.finalize().into()
}

/// Reads a file that belongs to us and that nobody else can write, without following a link in its place.
fn read_own(path: &Path) -> io::Result<Vec<u8>> {
    let opened = rustix::fs::open(
        path,
        OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK,
        Mode::empty(),
    )?;
    let file = File::from(opened);
    let found = file.metadata()?;
    if !found.is_file()
        || found.uid() != rustix::process::geteuid().as_raw()
        || found.mode() & 0o022 != 0
        || found.len() > FILE_BYTES_MAX
    {
        return Err(io::Error::other(
            "not a file of ours, or others may write to it",
        ));
    }
    let mut bytes = Vec::with_capacity(found.len() as usize);
    file.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[expect(
    unsafe_code,
    reason = "wasmtime trusts what it deserializes; the callers pass what a compiler of ours wrote just now, and bytes \
              that a digest of ours vouches for, read from a file that only we can write"
)]
pub(crate) fn load(engine: &wasmtime::Engine, code: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: `code` is what wasmtime serialized for this version and configuration: either this process or its own
    // child did so just now, and handed it over in memory or through a pipe that nobody else has; or `get` has compared
    // the digest that `put` wrote, over the bytes in memory here and the key that names both.
    unsafe { Component::deserialize(engine, code) }
}

/// Feeds what wasmtime hashes into SHA-256. The standard library's hasher may change with the compiler.
struct ShaHasher(Sha256);

impl Hasher for ShaHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Nobody asks: the digest is taken from inside.
    fn finish(&self) -> u64 {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_file_opens_and_a_damaged_one_does_not() {
        let sealed = seal(b"code", b"key");
        assert_eq!(unseal(&sealed, b"key"), Some(&b"code"[..]));
        assert_eq!(unseal(&sealed, b"other"), None);
        for at in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[at] ^= 1;
            assert_eq!(unseal(&damaged, b"key"), None, "byte {at}");
            assert_eq!(unseal(&sealed[..at], b"key"), None, "cut at {at}");
        }
    }
}
