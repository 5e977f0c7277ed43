//! Alerts: what a person should know as long as it is so. One for each key, however many passes see it.

use rusqlite::{OptionalExtension as _, params};
use serde::Serialize;
use vigil_core::Timestamp;

use crate::error::Result;
use crate::open::{Store, ms};
use crate::row;

/// An open alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub struct Alert {
    /// What tells it from others, for example `github/unauthenticated`.
    pub key: String,
    /// For people, as it was raised the latest time.
    pub text: String,
    /// Since when it has been so.
    pub since: Timestamp,
    /// When it was last seen to be so.
    pub last: Timestamp,
    /// How often it was raised since then.
    pub count: u64,
}

impl Store {
    /// Raises the alert `key`; true: it was not open. An open one keeps its start, takes the new text and counts.
    ///
    /// # Errors
    /// Those of writing.
    pub fn raise(&mut self, key: &str, text: &str, at: Timestamp) -> Result<bool> {
        self.write("raise an alert", |db| {
            let count: i64 = db
                .prepare_cached(
                    "INSERT INTO alerts (key, text, since, last, count) VALUES (?1, ?2, ?3, ?3, 1)
                     ON CONFLICT DO UPDATE SET text = excluded.text, last = max(last, excluded.last), count = count + 1
                     RETURNING count",
                )?
                .query_row(params![key, text, ms(at)], |row| row.get(0))?;
            Ok(count == 1)
        })
    }

    /// Clears the alert `key` and gives it; `None`: it was not open.
    ///
    /// # Errors
    /// Those of writing.
    pub fn clear(&mut self, key: &str) -> Result<Option<Alert>> {
        self.write("clear an alert", |db| {
            db.prepare_cached(
                "DELETE FROM alerts WHERE key = ?1 RETURNING key, text, since, last, count",
            )?
            .query_row([key], read)
            .optional()
        })
    }

    /// The open alerts, the oldest first.
    ///
    /// # Errors
    /// Those of reading.
    pub fn open_alerts(&self) -> Result<Vec<Alert>> {
        self.read("read alerts", |db| {
            db.prepare_cached(
                "SELECT key, text, since, last, count FROM alerts ORDER BY since, key",
            )?
            .query_map([], read)?
            .collect()
        })
    }
}

fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Alert> {
    Ok(Alert {
        key: row.get(0)?,
        text: row.get(1)?,
        since: row::at(row, 2)?,
        last: row::at(row, 3)?,
        count: row::count(row, 4)?,
    })
}
