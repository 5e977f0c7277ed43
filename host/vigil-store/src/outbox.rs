//! Notifications that wait to be delivered. Each key once; what a crash interrupted is sent again.

use std::time::Duration;

use rusqlite::params;
use vigil_core::Timestamp;
use vigil_core::time::minutes;

use crate::error::Result;
use crate::open::{Store, ms};
use crate::row;

/// A next try further ahead than this was set by a clock that ran ahead, and is due.
pub const RETRY_AHEAD_MAX: Duration = minutes(24 * 60);

/// A notification that was not delivered yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// What tells it from others; the receiver can drop a second one by it.
    pub key: String,
    /// What to deliver, as JSON.
    pub payload: String,
    /// When it was asked for.
    pub at: Timestamp,
    /// Tries that failed.
    pub attempts: u32,
    /// When to try again.
    pub next_at: Timestamp,
    /// Why the latest try failed.
    pub last_error: Option<String>,
}

impl Store {
    /// Asks for a notification; false: one with this key was asked for before, delivered or not, and stands. Durable:
    /// what is asked for here is not asked for again.
    ///
    /// # Errors
    /// Those of writing.
    pub fn enqueue(&mut self, key: &str, payload: &str, at: Timestamp) -> Result<bool> {
        self.write_durably("enqueue a notification", |db| {
            let sql = "INSERT INTO outbox (key, payload, at, next_at) VALUES (?1, ?2, ?3, ?3)
                       ON CONFLICT DO NOTHING";
            Ok(db
                .prepare_cached(sql)?
                .execute(params![key, payload, ms(at)])?
                == 1)
        })
    }

    /// The notifications whose next try is due at `now`, the oldest first. So is one that lies further ahead than
    /// [`RETRY_AHEAD_MAX`].
    ///
    /// # Errors
    /// Those of reading.
    pub fn undelivered(&self, now: Timestamp) -> Result<Vec<Notice>> {
        self.read("read notifications", |db| {
            let sql = "SELECT key, payload, at, attempts, next_at, last_error FROM outbox
                       WHERE delivered_at IS NULL AND (next_at <= ?1 OR next_at > ?2) ORDER BY at, key";
            db.prepare_cached(sql)?
                .query_map([ms(now), ms(now.after(RETRY_AHEAD_MAX))], read)?
                .collect()
        })
    }

    /// Notes that the notification arrived; false: it was noted before, or there is none of this key.
    ///
    /// # Errors
    /// Those of writing; then it is sent once more later, with the same key.
    pub fn delivered(&mut self, key: &str, at: Timestamp) -> Result<bool> {
        self.write("note a delivery", |db| {
            let sql = "UPDATE outbox SET delivered_at = ?2, last_error = NULL
                       WHERE key = ?1 AND delivered_at IS NULL";
            Ok(db.prepare_cached(sql)?.execute(params![key, ms(at)])? == 1)
        })
    }

    /// Notes that a try failed and when to make the next one; false: there is none of this key, or it arrived.
    ///
    /// # Errors
    /// Those of writing.
    pub fn failed(&mut self, key: &str, error: &str, next_at: Timestamp) -> Result<bool> {
        self.write("note a failed delivery", |db| {
            let sql = "UPDATE outbox SET attempts = attempts + 1, next_at = ?2, last_error = ?3
                       WHERE key = ?1 AND delivered_at IS NULL";
            Ok(db
                .prepare_cached(sql)?
                .execute(params![key, ms(next_at), error])?
                == 1)
        })
    }
}

fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Notice> {
    Ok(Notice {
        key: row.get(0)?,
        payload: row.get(1)?,
        at: row::at(row, 2)?,
        attempts: row::count(row, 3)?,
        next_at: row::at(row, 4)?,
        last_error: row.get(5)?,
    })
}
