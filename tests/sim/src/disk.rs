//! The folders of one simulated machine on a real file system in memory, what a crash leaves of them, and how much of
//! the journal's log a power cut may take.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use vigil_store::Store;

/// SQLite folds its log into the main file from this length on, and a log that was folded in can no longer be cut.
/// Its own limit is 1,000 pages of 4 KiB; this stays well below it.
const LOG_BYTES_CUT_MAX: u64 = 900 * 4096;

/// Bytes of the log's head; a log that is cut shorter holds nothing.
const LOG_HEAD_BYTES: u64 = 32;

/// Both folders.
#[derive(Debug)]
pub struct Disk {
    /// Removed with this.
    _root: TempDir,
    /// Vigilante's.
    pub home: PathBuf,
    /// vigil's.
    pub state: PathBuf,
    /// How much of the journal's log is on the disk for sure: its generation and a length.
    durable: Option<(Vec<u8>, u64)>,
}

/// All files at one moment.
pub type Snapshot = BTreeMap<PathBuf, Vec<u8>>;

impl Disk {
    /// Empty folders, in memory where there is such a place.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn new() -> io::Result<Self> {
        let memory = Path::new("/dev/shm");
        let root = if memory.is_dir() {
            TempDir::with_prefix_in("vigil-sim-", memory)?
        } else {
            TempDir::with_prefix("vigil-sim-")?
        };
        let (home, state) = (root.path().join("home"), root.path().join("state"));
        fs::create_dir_all(home.join("logs"))?;
        fs::create_dir_all(&state)?;
        Ok(Disk {
            _root: root,
            home,
            state,
            durable: None,
        })
    }

    /// The file that all is about.
    pub fn sessions(&self) -> PathBuf {
        self.home.join("sessions.json")
    }

    /// Its text.
    ///
    /// # Errors
    /// Those of reading.
    pub fn text(&self) -> io::Result<String> {
        fs::read_to_string(self.sessions())
    }

    /// Writes the file as Vigilante does: beside it, then in its place.
    ///
    /// # Errors
    /// Those of writing.
    pub fn put(&self, text: &str) -> io::Result<()> {
        let beside = self.home.join("sessions.json.tmp-owner");
        fs::write(&beside, text)?;
        fs::rename(beside, self.sessions())
    }

    /// Notes that the journal is on the disk up to here: SQLite has just waited for it.
    pub fn journal_is_durable(&mut self) {
        self.durable = self.log();
    }

    /// The generation and the length of the journal's log.
    fn log(&self) -> Option<(Vec<u8>, u64)> {
        let path = self.log_path();
        let len = fs::metadata(&path).ok()?.len();
        let bytes = fs::read(&path).ok()?;
        Some((bytes.get(16..24)?.to_vec(), len))
    }

    fn log_path(&self) -> PathBuf {
        Store::file_in(&self.state).with_extension("sqlite-wal")
    }

    /// Every file as it is now, but for SQLite's shared memory, which no restart has, and the lock's file.
    ///
    /// # Errors
    /// Those of reading.
    pub fn snapshot(&self) -> io::Result<Snapshot> {
        let mut files = Snapshot::new();
        for folder in [&self.home, &self.state] {
            walk(folder, &mut |path| {
                if !is_left_out(path) {
                    files.insert(path.to_owned(), fs::read(path)?);
                }
                Ok(())
            })?;
        }
        Ok(files)
    }

    /// Takes from `files` what a power cut takes: the end of the journal's log that nobody waited for. `share` of
    /// 0..=100 says how much of that end stays.
    pub fn cut_power(&self, files: &mut Snapshot, share: u64) {
        let Some(log) = files.get_mut(&self.log_path()) else {
            return;
        };
        let len = log.len() as u64;
        let Some(generation) = log.get(16..24).map(<[u8]>::to_vec) else {
            return;
        };
        let floor = match &self.durable {
            Some((known, floor)) if *known == generation => (*floor).min(len),
            _ => len,
        };
        if len > LOG_BYTES_CUT_MAX || floor < LOG_HEAD_BYTES {
            return;
        }
        let keep = floor + (len - floor) * share / 100;
        log.truncate(keep as usize);
    }

    /// Puts the files back as they were in `files`. No journal may be open.
    ///
    /// # Errors
    /// Those of writing.
    pub fn restore(&mut self, files: &Snapshot) -> io::Result<()> {
        for folder in [&self.home, &self.state] {
            walk(folder, &mut |path| {
                let name = path.to_string_lossy();
                if name.ends_with("-shm") || !(files.contains_key(path) || is_left_out(path)) {
                    fs::remove_file(path)?;
                }
                Ok(())
            })?;
        }
        for (path, bytes) in files {
            if fs::read(path).ok().as_ref() != Some(bytes) {
                fs::write(path, bytes)?;
            }
        }
        Ok(())
    }
}

fn is_left_out(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.ends_with("-shm") || name == "scan.lock"
}

fn walk(folder: &Path, visit: &mut dyn FnMut(&Path) -> io::Result<()>) -> io::Result<()> {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<_>>()?;
    entries.sort();
    for path in entries {
        if path.is_dir() {
            walk(&path, visit)?;
        } else {
            visit(&path)?;
        }
    }
    Ok(())
}
