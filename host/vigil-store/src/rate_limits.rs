//! Until when a forge asked to be left alone, so that a restart does not ask again too early.

use std::time::Duration;

use rusqlite::{OptionalExtension as _, params};
use vigil_core::Timestamp;
use vigil_core::time::minutes;

use crate::error::Result;
use crate::open::{Store, ms};
use crate::row;

/// No forge asks for more patience than a day: a limit further ahead was noted by a clock that ran ahead.
pub const LIMIT_AHEAD_MAX: Duration = minutes(24 * 60);

impl Store {
    /// Until when `host` is not to be asked; `None`: it may be at `now`. More than [`LIMIT_AHEAD_MAX`] ahead is no
    /// limit.
    ///
    /// # Errors
    /// Those of reading.
    pub fn limited_until(&self, host: &str, now: Timestamp) -> Result<Option<Timestamp>> {
        let until = self.read("read a rate limit", |db| {
            db.prepare_cached("SELECT until FROM rate_limits WHERE host = ?1")?
                .query_row([host], |row| row::at(row, 0))
                .optional()
        })?;
        Ok(until.filter(|until| now < *until && *until <= now.after(LIMIT_AHEAD_MAX)))
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
