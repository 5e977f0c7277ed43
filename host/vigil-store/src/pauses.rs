//! Sources that a person paused: they are read and shown, and nothing is written to them.

use rusqlite::params;
use serde::Serialize;
use vigil_core::Timestamp;

use crate::error::Result;
use crate::open::{Store, ms};
use crate::row;

/// A pause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub struct Pause {
    /// The source; `None`: every one, also those that are configured later.
    pub source: Option<String>,
    /// Since when.
    pub since: Timestamp,
    /// Until when; `None`: until somebody resumes it.
    pub until: Option<Timestamp>,
}

impl Pause {
    /// Whether it is over at `now`.
    pub fn over(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}

impl Store {
    /// Pauses `source`, or every one, durably. One that is paused keeps the start of its pause.
    ///
    /// # Errors
    /// Those of writing.
    pub fn pause(
        &mut self,
        source: Option<&str>,
        at: Timestamp,
        until: Option<Timestamp>,
    ) -> Result<()> {
        self.write_durably("keep a pause", |db| {
            let name = source.unwrap_or_default();
            db.prepare_cached("DELETE FROM pauses WHERE until <= ?1")?
                .execute([ms(at)])?;
            let sql = "INSERT INTO pauses (source, at, until) VALUES (?1, ?2, ?3)
                       ON CONFLICT DO UPDATE SET until = excluded.until";
            db.prepare_cached(sql)?
                .execute(params![name, ms(at), until.map(ms)])
                .map(drop)
        })
    }

    /// Ends the pause of `source`, or with `None` every pause there is, durably; gives those that were ended. A pause
    /// of every source is not ended by naming one of them.
    ///
    /// # Errors
    /// Those of writing.
    pub fn resume(&mut self, source: Option<&str>) -> Result<Vec<Pause>> {
        self.write_durably("end a pause", |db| {
            let sql =
                "DELETE FROM pauses WHERE ?1 IS NULL OR source = ?1 RETURNING source, at, until";
            db.prepare_cached(sql)?.query_map([source], read)?.collect()
        })
    }

    /// The pauses that hold at `now`, that of every source first.
    ///
    /// # Errors
    /// Those of reading.
    pub fn pauses(&self, now: Timestamp) -> Result<Vec<Pause>> {
        self.read("read pauses", |db| {
            let sql = "SELECT source, at, until FROM pauses WHERE until IS NULL OR until > ?1 ORDER BY source";
            db.prepare_cached(sql)?.query_map([ms(now)], read)?.collect()
        })
    }

    /// The pause that holds `source` at `now`, its own or that of every source.
    ///
    /// # Errors
    /// Those of reading.
    pub fn paused(&self, source: &str, now: Timestamp) -> Result<Option<Pause>> {
        let holds = |pause: &Pause| pause.source.as_deref().is_none_or(|name| name == source);
        Ok(self.pauses(now)?.into_iter().find(holds))
    }
}

fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Pause> {
    let source: String = row.get(0)?;
    Ok(Pause {
        source: (!source.is_empty()).then_some(source),
        since: row::at(row, 1)?,
        until: row::maybe_at(row, 2)?,
    })
}
