//! Until when a forge asked to be left alone, so that a restart does not ask again too early.

use rusqlite::{OptionalExtension as _, params};
use vigil_core::Timestamp;

use crate::error::Result;
use crate::open::{Store, ms};
use crate::row;

impl Store {
    /// Until when `host` is not to be asked; `None`: it may be. A moment that has passed is no limit: the caller
    /// compares.
    ///
    /// # Errors
    /// Those of reading.
    pub fn limited_until(&self, host: &str) -> Result<Option<Timestamp>> {
        self.read("read a rate limit", |db| {
            db.prepare_cached("SELECT until FROM rate_limits WHERE host = ?1")?
                .query_row([host], |row| row::at(row, 0))
                .optional()
        })
    }

    /// Keeps until when `host` is not to be asked; `None`: it may be again.
    ///
    /// # Errors
    /// Those of writing.
    pub fn put_limited_until(&mut self, host: &str, until: Option<Timestamp>) -> Result<()> {
        self.write("keep a rate limit", |db| match until {
            Some(until) => db
                .prepare_cached("INSERT OR REPLACE INTO rate_limits (host, until) VALUES (?1, ?2)")?
                .execute(params![host, ms(until)])
                .map(drop),
            None => db
                .prepare_cached("DELETE FROM rate_limits WHERE host = ?1")?
                .execute([host])
                .map(drop),
        })
    }
}
