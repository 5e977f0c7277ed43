//! Opening the store: the schema and its migrations, and how a write is made.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior, params};
use vigil_core::Timestamp;

use crate::error::{Result, StoreError};
use crate::files;
use crate::holders::Life;
use crate::watch::Watch;

/// How long a statement waits for another process: many times what the largest write takes (10,000 sessions take well
/// under a second), and short enough that a person does not give up.
pub const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Every migration in order; number `n` leads from schema `n` to schema `n + 1`. A released one is never edited.
const MIGRATIONS: [&str; 1] = [include_str!("migrations/0001_first.sql")];

/// The schema that this build reads and writes.
pub const SCHEMA: u32 = MIGRATIONS.len() as u32;

/// "vgil" in the file's header: tells vigil's databases from those of others, for us and for file(1).
const APPLICATION_ID: i32 = 0x7667_696c;

/// What SQLite calls a database without a file.
const IN_MEMORY: &str = ":memory:";

/// The database's name within its folder.
const FILE: &str = "vigil.sqlite";

/// Statements that are kept prepared: all that this crate has, with room.
const STATEMENTS_MAX: usize = 160;

/// The write-ahead log is cut back to this after a checkpoint; a long pass may make it larger for a while.
const WAL_BYTES_KEPT: u32 = 16 * 1024 * 1024;

/// vigil's own memory: one connection to one database.
///
/// Durability: memos, schedule and the like are committed with `synchronous=NORMAL`, so that a power failure may take
/// the last few of them back, never half of one. What must not be taken back (a prepared transition, a person's pause
/// or acknowledgement) is committed with `synchronous=FULL`: it is on the disk, with all that was committed before it,
/// when the call returns.
#[derive(Debug)]
pub struct Store {
    pub(crate) db: Connection,
    pub(crate) path: PathBuf,
    /// Shows to other processes that the holders of our leases live.
    pub(crate) lives: Vec<Life>,
    /// Whether the files are still those that were opened.
    pub(crate) watch: Watch,
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
        files::provide(dir, &path, now)?;
        Store::connect(&path, &path, now)
    }

    /// Opens the database `file`, which must be there; errors call it `named`.
    pub(crate) fn connect(file: &Path, named: &Path, now: Timestamp) -> Result<Store> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(file, flags)
            .map_err(|error| StoreError::sqlite("open", named, error))?;
        let mut store = Store {
            db,
            path: named.to_owned(),
            lives: Vec::new(),
            watch: Watch::none(named),
        };
        let is_new = store.accept()?;
        store.configure(is_new)?;
        store.migrate(now)?;
        store.watch = Watch::over(file, &store.db)?;
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
        let path = PathBuf::from(IN_MEMORY);
        let db = Connection::open_in_memory()
            .map_err(|error| StoreError::sqlite("open", &path, error))?;
        let mut store = Store {
            db,
            watch: Watch::none(&path),
            path,
            lives: Vec::new(),
        };
        store.configure(true)?;
        store.migrate(now)?;
        Ok(store)
    }

    /// Whether it ends with this value: there is no file.
    pub fn is_in_memory(&self) -> bool {
        self.path == Path::new(IN_MEMORY)
    }

    /// The database's file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Looks after the files of this store, also from other threads.
    pub fn watch(&self) -> Watch {
        self.watch.clone()
    }

    /// Whether this store is still the one that was opened: its files are in their place, and no newer vigil has
    /// changed its schema.
    ///
    /// # Errors
    /// Those of [`Watch::check`]; [`StoreError::NewerSchema`].
    pub fn check(&self) -> Result<()> {
        self.watch.check()?;
        let found = self.read("open", |db| {
            db.pragma_query_value(None, "user_version", |row| row.get(0))
        })?;
        self.refuse_newer(found)
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
    pub(crate) fn accept(&self) -> Result<bool> {
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
            // Else SQLite may plan a kept statement anew for each value that is bound to it.
            db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
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

#[cfg(test)]
mod tests;
