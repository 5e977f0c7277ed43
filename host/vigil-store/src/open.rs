//! Opening the store: the file and its rights, the schema and its migrations, and how a write is made.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior, params};
use vigil_core::Timestamp;

use crate::error::{Result, StoreError};

/// How long a statement waits for another process: many times what the largest write takes (10,000 sessions take well
/// under a second), and short enough that a person does not give up.
pub const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Every migration in order; number `n` leads from schema `n` to schema `n + 1`. A released one is never edited.
const MIGRATIONS: [&str; 1] = [include_str!("migrations/0001_first.sql")];

/// The schema that this build reads and writes.
pub const SCHEMA: u32 = MIGRATIONS.len() as u32;

/// "vgil" in the file's header: tells vigil's databases from those of others, for us and for file(1).
const APPLICATION_ID: i32 = 0x7667_696c;

/// The database's name within its folder.
const FILE: &str = "vigil.sqlite";

/// Statements that are kept prepared: all that this crate has, with room.
const STATEMENTS_MAX: usize = 160;

/// The write-ahead log is cut back to this after a checkpoint; a long pass may make it larger for a while.
const WAL_BYTES_KEPT: u32 = 16 * 1024 * 1024;

/// vigil's own memory: one connection to one database.
///
/// Durability: facts, schedule and the like are committed with `synchronous=NORMAL`, so that a power failure may take
/// the last few of them back, never half of one. What must not be taken back (a prepared transition, a person's pause
/// or acknowledgement) is committed with `synchronous=FULL`: it is on the disk, with all that was committed before it,
/// when the call returns.
#[derive(Debug)]
pub struct Store {
    pub(crate) db: Connection,
    pub(crate) path: PathBuf,
}

impl Store {
    /// Opens the store in the folder `dir`, and creates or migrates it where needed. `now` is noted beside a migration.
    ///
    /// The folder is created readable by its owner alone (0700; one that is there keeps its mode), the database and
    /// SQLite's files beside it are always 0600.
    ///
    /// # Errors
    /// [`StoreError::NewerSchema`] and [`StoreError::Foreign`] leave the file untouched; a damaged one
    /// ([`StoreError::Corrupt`]) is never deleted or repaired.
    pub fn open(dir: &Path, now: Timestamp) -> Result<Store> {
        let path = dir.join(FILE);
        create(dir, &path)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(&path, flags)
            .map_err(|error| StoreError::sqlite("open", &path, error))?;
        let mut store = Store { db, path };
        let is_new = store.accept()?;
        store.configure(is_new)?;
        store.migrate(now)?;
        Ok(store)
    }

    /// As [`Store::open`], but `None` where there is no store yet: for commands that only look.
    ///
    /// # Errors
    /// Those of [`Store::open`].
    pub fn open_existing(dir: &Path, now: Timestamp) -> Result<Option<Store>> {
        let path = dir.join(FILE);
        match path.try_exists() {
            Ok(true) => Store::open(dir, now).map(Some),
            Ok(false) => Ok(None),
            Err(error) => Err(StoreError::io("look for", &path, error)),
        }
    }

    /// A store that lives as long as this value, for tests and simulations.
    ///
    /// # Errors
    /// None but a lack of memory.
    pub fn in_memory(now: Timestamp) -> Result<Store> {
        let path = PathBuf::from(":memory:");
        let db = Connection::open_in_memory()
            .map_err(|error| StoreError::sqlite("open", &path, error))?;
        let mut store = Store { db, path };
        store.configure(true)?;
        store.migrate(now)?;
        Ok(store)
    }

    /// The database's file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The database's file in the folder `dir`, whether it is there or not.
    pub fn file_in(dir: &Path) -> PathBuf {
        dir.join(FILE)
    }

    /// What SQLite finds wrong with the file; empty: nothing. Reads all of it: for `doctor`, not for a pass.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] where the damage keeps SQLite from looking at all.
    pub fn damage(&self) -> Result<Vec<String>> {
        self.read("check", |db| {
            let mut statement = db.prepare("PRAGMA quick_check(20)")?;
            let lines = statement.query_map([], |row| row.get::<_, String>(0))?;
            let lines = lines.collect::<rusqlite::Result<Vec<_>>>()?;
            Ok(lines.into_iter().filter(|line| line != "ok").collect())
        })
    }

    /// Bytes in use, free pages and SQLite's own log not counted.
    ///
    /// # Errors
    /// Those of reading.
    pub fn bytes(&self) -> Result<u64> {
        self.read("measure", |db| {
            let pragma = |name: &str| db.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
            let pages = pragma("page_count")?.saturating_sub(pragma("freelist_count")?);
            Ok(u64::try_from(pages.saturating_mul(pragma("page_size")?)).unwrap_or_default())
        })
    }

    /// Writes a consistent copy to `target`, readable by its owner alone, while others go on working.
    ///
    /// # Errors
    /// [`StoreError::Io`] where there is a file of that name: nothing is ever written over.
    pub fn backup_to(&self, target: &Path) -> Result<()> {
        create_file(target).map_err(|error| StoreError::io("create", target, error))?;
        let Some(name) = target.to_str() else {
            let error = io::Error::new(io::ErrorKind::InvalidInput, "its name is no UTF-8");
            return Err(StoreError::io("back up into", target, error));
        };
        let copied = self.read("back up", |db| {
            db.execute("VACUUM INTO ?1", [name]).map(drop)
        });
        if copied.is_err() {
            // Half a copy would only be taken for a whole one. It was made here, a moment ago.
            let _ = fs::remove_file(target);
        }
        copied?;
        File::open(target)
            .and_then(|copy| copy.sync_all())
            .map_err(|error| StoreError::io("write", target, error))
    }

    /// Runs `read` on the connection; its error names `doing`.
    pub(crate) fn read<T>(
        &self,
        doing: &'static str,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T> {
        read(&self.db).map_err(|error| StoreError::sqlite(doing, &self.path, error))
    }

    /// Runs `write` in one transaction that takes the write lock at its start, so that it never fails half-way for
    /// want of it. All of it is done, or nothing.
    pub(crate) fn write<T>(
        &mut self,
        doing: &'static str,
        write: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T> {
        let path = &self.path;
        let named = |error| StoreError::sqlite(doing, path, error);
        let transaction = self
            .db
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(named)?;
        // Dropped on an error, which rolls it back.
        let done = write(&transaction).map_err(named)?;
        transaction.commit().map_err(named)?;
        Ok(done)
    }

    /// As [`Store::write`], and on the disk when it returns.
    pub(crate) fn write_durably<T>(
        &mut self,
        doing: &'static str,
        write: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T> {
        self.synchronous("FULL")?;
        let done = self.write(doing, write);
        // Whatever became of the write, the connection goes back to its usual mode; a failure to do so would only make
        // later writes slower, and yet it is told, since it means that the connection is broken.
        self.synchronous("NORMAL")?;
        done
    }

    fn synchronous(&self, mode: &str) -> Result<()> {
        self.read("set the durability of", |db| {
            db.pragma_update(None, "synchronous", mode)
        })
    }

    /// Looks whether the file is ours and not from the future, before anything could change it. True: it is empty.
    fn accept(&self) -> Result<bool> {
        // Closing the last connection would fold the log into the file: not into one that we refuse.
        let no_checkpoint = |on| {
            self.read("open", |db| {
                db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, on)
                    .map(drop)
            })
        };
        no_checkpoint(true)?;
        self.read("open", |db| db.busy_timeout(BUSY_TIMEOUT))?;
        let (found, application, tables) = self.read("open", |db| {
            let header = |name: &str| db.pragma_query_value(None, name, |row| row.get(0));
            let count = "SELECT count(*) FROM sqlite_schema";
            let tables: i64 = db.query_row(count, [], |row| row.get(0))?;
            Ok((header("user_version")?, header("application_id")?, tables))
        })?;
        let is_new = tables == 0 && found == 0 && application == 0;
        if !is_new && application != APPLICATION_ID {
            return Err(StoreError::Foreign {
                path: self.path.clone(),
            });
        }
        self.refuse_newer(found)?;
        no_checkpoint(false)?;
        Ok(is_new)
    }

    fn refuse_newer(&self, found: i32) -> Result<()> {
        match u32::try_from(found) {
            Ok(found) if found <= SCHEMA => Ok(()),
            _ => Err(StoreError::NewerSchema {
                found: u32::try_from(found).unwrap_or(u32::MAX),
                known: SCHEMA,
                path: self.path.clone(),
            }),
        }
    }

    fn configure(&self, is_new: bool) -> Result<()> {
        self.read("open", |db| {
            db.busy_timeout(BUSY_TIMEOUT)?;
            db.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
            if is_new {
                // Only counts before the first table is made, and costs a write: lets retention give pages back
                // without writing the whole file anew.
                db.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
            }
            db.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
            db.pragma_update(None, "synchronous", "NORMAL")?;
            db.pragma_update(None, "foreign_keys", true)?;
            db.pragma_update(None, "journal_size_limit", WAL_BYTES_KEPT)?;
            // What is deleted is overwritten: a pruned record leaves no text behind in free pages.
            db.pragma_update(None, "secure_delete", "FAST")?;
            // A file that was tampered with cannot make SQLite run functions of ours.
            db.pragma_update(None, "trusted_schema", false)
        })
    }

    /// Brings the schema up to date in one transaction. Safe when two processes start at once: the second one waits,
    /// then finds nothing to do.
    fn migrate(&mut self, now: Timestamp) -> Result<()> {
        let version = |db: &Connection| {
            db.pragma_query_value(None, "user_version", |row| row.get::<_, i32>(0))
        };
        if self.read("open", version)? == SCHEMA as i32 {
            return Ok(());
        }
        let found = self.write_durably("migrate", |db| {
            let found = version(db)?;
            let Ok(done) = usize::try_from(found) else { return Ok(found) };
            for (number, sql) in MIGRATIONS.iter().enumerate().skip(done) {
                db.execute_batch(sql)?;
                if number == 0 {
                    db.execute_batch(
                        "CREATE TABLE migrations (schema INTEGER PRIMARY KEY, at INTEGER NOT NULL) STRICT",
                    )?;
                }
                let noted = "INSERT INTO migrations (schema, at) VALUES (?1, ?2)";
                db.execute(noted, params![number as i64 + 1, ms(now)])?;
            }
            if done < MIGRATIONS.len() {
                db.pragma_update(None, "application_id", APPLICATION_ID)?;
                db.pragma_update(None, "user_version", SCHEMA)?;
            }
            Ok(found)
        })?;
        // A newer vigil may have come in between.
        self.refuse_newer(found)
    }
}

/// A moment as SQLite keeps it. Moments beyond 292 million years are cut to that.
pub(crate) fn ms(at: Timestamp) -> i64 {
    i64::try_from(at.0).unwrap_or(i64::MAX)
}

/// A moment as it was kept; a negative one, which nobody writes, is the epoch.
pub(crate) fn moment(ms: i64) -> Timestamp {
    Timestamp(u64::try_from(ms).unwrap_or_default())
}

/// Makes the folder and an empty file with the right modes from the first moment on, whatever the umask lets through.
/// SQLite gives the files that it puts beside it the same mode.
fn create(dir: &Path, path: &Path) -> Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|error| StoreError::io("create", dir, error))?;
    match create_file(path) {
        Ok(()) => {
            let sync = File::open(dir).and_then(|folder| folder.sync_all());
            sync.map_err(|error| StoreError::io("create a file in", dir, error))
        }
        // Not opened here to look at it: closing it again would drop the locks that another connection of this very
        // process holds on it.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => tighten(path),
        Err(error) => Err(StoreError::io("create", path, error)),
    }
}

fn create_file(path: &Path) -> io::Result<()> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map(drop)
}

/// A file that came from elsewhere, say a restored backup, may be readable by others.
fn tighten(path: &Path) -> Result<()> {
    let mode = fs::metadata(path).map_err(|error| StoreError::io("look at", path, error))?;
    if !mode.is_file() {
        let error = io::Error::new(io::ErrorKind::InvalidInput, "it is no file");
        return Err(StoreError::io("open", path, error));
    }
    if mode.permissions().mode() & 0o077 == 0 {
        return Ok(());
    }
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))
        .map_err(|error| StoreError::io("take away other people's rights to", path, error))
}

#[cfg(test)]
mod tests;
