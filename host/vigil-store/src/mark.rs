//! The clocks at the last pass: by them the next one knows whether the machine slept, or its clock jumped.

use rusqlite::{OptionalExtension as _, params};
use vigil_core::Timestamp;

use crate::error::Result;
use crate::open::{Store, ms};
use crate::row;

/// The clocks at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The wall clock.
    pub wall: Timestamp,
    /// Milliseconds since boot, without the time that the machine was suspended.
    pub awake_ms: u64,
    /// Milliseconds since boot, suspends included.
    pub boot_ms: u64,
    /// Tells one boot from the next. Empty: the machine does not tell.
    pub boot_id: String,
    /// The latest break in watching that was known then; `None`: none was.
    pub awake_since: Option<Timestamp>,
}

impl Store {
    /// Keeps the clocks of this pass in place of the previous one's.
    ///
    /// # Errors
    /// Those of writing.
    pub fn put_mark(&mut self, mark: &Mark) -> Result<()> {
        let counted = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
        self.write("keep the clocks", |db| {
            let sql =
                "INSERT OR REPLACE INTO mark (id, wall, awake_ms, boot_ms, boot_id, awake_since)
                       VALUES (1, ?1, ?2, ?3, ?4, ?5)";
            let (awake_ms, boot_ms) = (counted(mark.awake_ms), counted(mark.boot_ms));
            let since = mark.awake_since.map(ms);
            db.prepare_cached(sql)?
                .execute(params![
                    ms(mark.wall),
                    awake_ms,
                    boot_ms,
                    mark.boot_id,
                    since
                ])
                .map(drop)
        })
    }

    /// The clocks at the last pass; `None`: there was none.
    ///
    /// # Errors
    /// Those of reading.
    pub fn mark(&self) -> Result<Option<Mark>> {
        self.read("read the clocks", |db| {
            db.prepare_cached("SELECT wall, awake_ms, boot_ms, boot_id, awake_since FROM mark")?
                .query_row([], |row| {
                    Ok(Mark {
                        wall: row::at(row, 0)?,
                        awake_ms: row::count(row, 1)?,
                        boot_ms: row::count(row, 2)?,
                        boot_id: row.get(3)?,
                        awake_since: row::maybe_at(row, 4)?,
                    })
                })
                .optional()
        })
    }
}
