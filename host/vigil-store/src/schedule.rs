//! When each session is looked at next, so that a restart neither forgets a backoff nor looks at all at once.

use rusqlite::{OptionalExtension as _, params};
use vigil_core::requeue::LOOK_AGAIN_MAX;
use vigil_core::{SessionId, Timestamp};

use crate::error::Result;
use crate::open::{Store, ms};
use crate::row;

/// A session's next look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// The session.
    pub session: SessionId,
    /// When.
    pub at: Timestamp,
    /// Tries in an unbroken row that learned too little.
    pub attempts: u32,
    /// Why then, for people, for example `backoff` or the rule that chose.
    pub why: String,
}

impl Store {
    /// Sets the next look of each session, in one transaction; sessions that are not named keep theirs.
    ///
    /// # Errors
    /// Those of writing.
    pub fn put_schedule(&mut self, looks: &[Look]) -> Result<()> {
        if looks.is_empty() {
            return Ok(());
        }
        self.write("keep the schedule", |db| {
            let mut statement = db.prepare_cached(
                "INSERT INTO schedule (source, session, due, attempts, why) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT DO UPDATE SET due = excluded.due, attempts = excluded.attempts, why = excluded.why",
            )?;
            for look in looks {
                let (source, id) = (&look.session.source, &look.session.id);
                statement.execute(params![source, id, ms(look.at), look.attempts, look.why])?;
            }
            Ok(())
        })
    }

    /// When the next look at each session of `source` is, in no order. A session that is not in it was never looked at,
    /// and is due. So is one whose look lies further ahead than the kernel ever sets one: the clock was set back.
    ///
    /// # Errors
    /// Those of reading.
    pub fn due(&self, source: &str, now: Timestamp) -> Result<Vec<(SessionId, Timestamp)>> {
        let too_far = ms(now.after(LOOK_AGAIN_MAX));
        self.read("read the schedule", |db| {
            let sql =
                "SELECT source, session, iif(due > ?2, ?3, due) FROM schedule WHERE source = ?1";
            db.prepare_cached(sql)?
                .query_map(params![source, too_far, ms(now)], |row| {
                    Ok((row::session_id(row, 0)?, row::at(row, 2)?))
                })?
                .collect()
        })
    }

    /// The tries in an unbroken row that learned too little, for each of `sessions`, in order; zero for one that was
    /// never looked at.
    ///
    /// # Errors
    /// Those of reading.
    pub fn attempts(&self, sessions: &[&SessionId]) -> Result<Vec<u32>> {
        self.read("read the schedule", |db| {
            let sql = "SELECT attempts FROM schedule WHERE source = ?1 AND session = ?2";
            let mut statement = db.prepare_cached(sql)?;
            sessions
                .iter()
                .map(|session| {
                    let found = statement
                        .query_row([&session.source, &session.id], |row| row::count(row, 0))
                        .optional()?;
                    Ok(found.unwrap_or_default())
                })
                .collect()
        })
    }
}
