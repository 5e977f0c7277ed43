//! Repositories that git made, and whether what is read of them is what git says.

#![expect(
    clippy::disallowed_methods,
    reason = "folders of a test are its own to delete"
)]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use vigil_core::fact::{Gap, GapKind};

use super::person::GitFiles;
use super::{Checkout, Person, Repository};
use crate::vigilante::scene;

mod attacks;
mod corners;
mod formats;
mod like_git;
mod limits;

/// A repository with a checkout, in a folder that goes away with the test.
struct Sample {
    folder: tempfile::TempDir,
    dir: PathBuf,
}

impl Sample {
    /// One commit with two files.
    fn new() -> Sample {
        Sample::made(&["init", "-q", "-b", "main"])
    }

    fn made(init: &[&str]) -> Sample {
        let folder = tempfile::tempdir().expect("a folder");
        let root = fs::canonicalize(folder.path()).expect("its real name");
        let dir = root.join("repo");
        fs::create_dir(&dir).expect("a folder");
        let sample = Sample { folder, dir };
        sample.git(init);
        sample.write("a", "a\n");
        sample.write("sub/b", "b\n");
        sample.commit("first");
        sample
    }

    fn root(&self) -> PathBuf {
        fs::canonicalize(self.folder.path()).expect("its real name")
    }

    fn git(&self, arguments: &[&str]) -> String {
        scene::git(&self.dir, arguments)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    fn write(&self, name: &str, text: &str) {
        write(&self.path(name), text);
    }

    fn commit(&self, words: &str) {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", words]);
    }

    /// What vigil says.
    fn dirty(&self) -> Result<bool, Gap> {
        self.dirty_for(&Person::default())
    }

    fn dirty_for(&self, person: &Person) -> Result<bool, Gap> {
        let repository = Repository::open(&self.dir)?;
        Checkout::open(&repository, &self.dir, &repository.common)?.dirty(person)
    }

    /// What git says, without writing what it found.
    fn status(&self) -> String {
        self.git(&[
            "--no-optional-locks",
            "status",
            "--porcelain",
            "--ignore-submodules=none",
        ])
    }

    /// Both say the same.
    fn agree(&self, name: &str) {
        let status = self.status();
        assert_eq!(self.dirty(), Ok(!status.is_empty()), "{name}: {status}");
    }

    /// Makes what is recorded of the file's look no longer match.
    fn touch(&self, name: &str) {
        scene::set_time(&self.path(name), vigil_core::Timestamp(1_000_000_000_000));
    }
}

fn write(path: &Path, text: impl AsRef<[u8]>) {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).expect("a folder");
    }
    fs::write(path, text).expect("a file");
}

fn pipe(path: &Path) {
    let _ = fs::remove_file(path);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).expect("a folder");
    }
    rustix::fs::mknodat(
        rustix::fs::CWD,
        path,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .expect("a pipe");
}

/// Writes the loose object `oid`, whatever its name should be.
fn put(sample: &Sample, oid: &str, kind: &str, content: &[u8]) {
    let head = format!("{kind} {}\0", content.len());
    let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(head.as_bytes()).expect("it is packed");
    packed.write_all(content).expect("it is packed");
    let place = format!(".git/objects/{}/{}", &oid[..2], &oid[2..]);
    write(&sample.path(&place), packed.finish().expect("it is packed"));
}
