//! Time-bounded rights to reconcile one session, so that a daemon and a `run --once` beside it never write the same
//! record.

use std::time::Duration;

use rusqlite::{OptionalExtension as _, params};
use vigil_core::time::minutes;
use vigil_core::{SessionId, Timestamp};

use crate::error::Result;
use crate::holders::forget_strangers;
use crate::open::{Store, moment, ms};
use crate::row;

/// The longest lease. One that claims to run longer was written by a clock that ran ahead, and counts as expired.
pub const LEASE_SPAN_MAX: Duration = minutes(60);

/// Who holds the right to a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The session.
    pub session: SessionId,
    /// The holder, as it named itself.
    pub holder: String,
    /// The moment from which anybody may take it.
    pub until: Timestamp,
}

impl Lease {
    /// Whether it no longer binds at `now`.
    pub fn expired(&self, now: Timestamp) -> bool {
        self.until <= now || self.until > now.after(LEASE_SPAN_MAX)
    }
}

impl Store {
    /// Asks for the right to each session from `now` on for `span`, at most [`LEASE_SPAN_MAX`]; one answer for each,
    /// in order. Free and expired ones are given, one's own are renewed; false: somebody else holds it.
    ///
    /// `holder` must tell one process from another, also after a restart. What a holder left that ended without giving
    /// it back, however it ended, is free at once: a lock of the system tells who lives.
    ///
    /// # Errors
    /// Those of writing, and of the file that shows that `holder` lives; then nothing was given.
    pub fn lease(
        &mut self,
        sessions: &[SessionId],
        holder: &str,
        now: Timestamp,
        span: Duration,
    ) -> Result<Vec<bool>> {
        if sessions.is_empty() {
            return Ok(Vec::new());
        }
        self.show_life(holder)?;
        for dead in self.take_dead()? {
            self.release(dead.name())?;
            dead.bury();
        }
        let until = now.after(span.min(LEASE_SPAN_MAX));
        let too_far = now.after(LEASE_SPAN_MAX);
        let folder = self.holders();
        self.write("take leases", |db| {
            if let Some(folder) = &folder {
                forget_strangers(db, folder)?;
            }
            let mut statement = db.prepare_cached(
                "INSERT INTO leases (source, session, holder, until) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT DO UPDATE SET holder = excluded.holder, until = excluded.until
                 WHERE holder = excluded.holder OR until <= ?5 OR until > ?6",
            )?;
            let mut given = Vec::with_capacity(sessions.len());
            for session in sessions {
                let (source, id) = (&session.source, &session.id);
                let changed = statement.execute(params![
                    source,
                    id,
                    holder,
                    ms(until),
                    ms(now),
                    ms(too_far)
                ])?;
                given.push(changed == 1);
            }
            Ok(given)
        })
    }

    /// Gives back all that `holder` holds; tells how many that were.
    ///
    /// # Errors
    /// Those of writing; then they expire by themselves.
    pub fn release(&mut self, holder: &str) -> Result<usize> {
        let released = self.write("release leases", |db| {
            db.prepare_cached("DELETE FROM leases WHERE holder = ?1")?
                .execute([holder])
        })?;
        self.end_life(holder);
        Ok(released)
    }

    /// Who holds `session` at `now`, for the message that names it.
    ///
    /// # Errors
    /// Those of reading.
    pub fn leased(&self, session: &SessionId, now: Timestamp) -> Result<Option<Lease>> {
        let lease = self.read("read a lease", |db| {
            let sql = "SELECT source, session, holder, until FROM leases WHERE source = ?1 AND session = ?2";
            db.prepare_cached(sql)?
                .query_row([&session.source, &session.id], |row| {
                    Ok(Lease {
                        session: row::session_id(row, 0)?,
                        holder: row.get(2)?,
                        until: moment(row.get(3)?),
                    })
                })
                .optional()
        })?;
        Ok(lease.filter(|lease| !lease.expired(now)))
    }
}
