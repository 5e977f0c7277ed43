//! One copy of an owner's file as it was before vigil's first write to it, out of the owner's reach.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use vigil_core::Timestamp;

use crate::World;
use crate::machine::leftovers;
use crate::vigilante::replace::failed;

/// What the name of a backup begins with before it is in place.
pub(crate) const TEMP_PREFIX: &str = ".vigil-backup-";

/// Where the backups of one home go.
#[derive(Debug)]
pub(crate) struct Backup {
    folder: PathBuf,
    /// What the names of this home's backups begin with; a source that is given another home gets another backup.
    prefix: String,
    needed: bool,
}

/// Where those of the source `name` go. Its home is not looked at.
pub(crate) fn folder(state_dir: &Path, name: &str) -> PathBuf {
    state_dir.join("backups").join(plain(name))
}

impl Backup {
    /// The backup of `home`, of the source `name`, below `state_dir`. Looks whether there is one already.
    ///
    /// # Errors
    /// What failed, in words: where nobody can say whether there is a backup, nothing is written.
    pub(crate) fn of(state_dir: &Path, name: &str, home: &Path) -> Result<Self, String> {
        let folder = folder(state_dir, name);
        let real = fs::canonicalize(home).map_err(|error| failed("find", home, &error))?;
        let prefix = format!("sessions-{}-", short_digest(real.as_os_str().as_bytes()));
        let needed = match fs::read_dir(&folder) {
            Ok(entries) => !entries.flatten().any(|entry| {
                let name = entry.file_name();
                let name = name.to_string_lossy();
                // A name appears only once its content is on the disk.
                name.starts_with(&prefix) && name.ends_with(".json")
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => true,
            Err(error) => return Err(failed("read", &folder, &error)),
        };
        Ok(Backup {
            folder,
            prefix,
            needed,
        })
    }

    /// Where they go.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Keeps `text` unless this home had a backup before this write. Called again with another text, after somebody
    /// else wrote in between, it keeps that one, too.
    ///
    /// The file is readable by its owner alone and named after the home, the moment and the content, for example
    /// `sessions-1f2e3d4c5b6a-20261120T060000Z-0a1b2c3d4e5f.json`.
    ///
    /// # Errors
    /// What failed, in words; no half a backup is left.
    pub(crate) fn keep(&self, text: &str, at: Timestamp, world: &dyn World) -> Result<(), String> {
        if !self.needed {
            return Ok(());
        }
        let folder = &self.folder;
        let on_folder = |doing| move |error: io::Error| failed(doing, folder, &error);
        world.step("backup").map_err(on_folder("back up into"))?;
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(on_folder("create"))?;
        // A temporary file of the `tempfile` crate is readable by its owner alone, and keeps that mode.
        let mut temp = tempfile::Builder::new()
            .prefix(TEMP_PREFIX)
            .tempfile_in(folder)
            .map_err(on_folder("create a file in"))?;
        leftovers::lock(temp.as_file())
            .and_then(|()| temp.write_all(text.as_bytes()))
            .and_then(|()| temp.as_file().sync_all())
            .map_err(on_folder("write a backup into"))?;
        let moment = i64::try_from(at.as_millis())
            .ok()
            .and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok())
            .map_or_else(
                || at.as_millis().to_string(),
                |at| at.strftime("%Y%m%dT%H%M%SZ").to_string(),
            );
        let digest = short_digest(text.as_bytes());
        let path = folder.join(format!("{}{moment}-{digest}.json", self.prefix));
        temp.persist(&path)
            .map_err(|error| failed("write", &path, &error.error))?;
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(on_folder("sync"))?;
        tracing::info!(path = %path.display(), "sessions backed up before the first write");
        Ok(())
    }
}

/// `name` as a folder's name: one component, and never one that leads elsewhere.
fn plain(name: &str) -> String {
    let plain: String = name
        .chars()
        .map(|c| match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' => c,
            _ => '-',
        })
        .collect();
    if plain == name && !plain.is_empty() {
        plain
    } else {
        // Two names that become alike keep two folders.
        format!("{plain}-{}", short_digest(name.as_bytes()))
    }
}

/// The first 12 hex digits of a SHA-256: names that must differ, not secrets.
fn short_digest(bytes: &[u8]) -> String {
    let mut digits = hex::encode(Sha256::digest(bytes));
    digits.truncate(12);
    digits
}

#[cfg(test)]
mod tests;
