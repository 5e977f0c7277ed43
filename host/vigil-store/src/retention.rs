//! What is forgotten, and when.

use std::time::Duration;

use rusqlite::{Transaction, params};
use serde::Serialize;
use vigil_core::Timestamp;
use vigil_core::guard::DISAGREEMENT_WINDOW;
use vigil_core::time::minutes;

use crate::error::Result;
use crate::open::{Store, ms};

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// What was not seen for this long is forgotten.
    pub max_age: Duration,
    /// The oldest is forgotten until the database has at most this many bytes in use.
    pub max_bytes: u64,
}

impl Default for Retention {
    /// 30 days, the span of a month's review; 2 GB, which every laptop can spare.
    fn default() -> Self {
        Retention {
            max_age: minutes(30 * 24 * 60),
            max_bytes: 2_000_000_000,
        }
    }
}

/// What was forgotten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub struct Pruned {
    /// Rows of the journal.
    pub journal: usize,
    /// Settled transitions.
    pub transitions: usize,
    /// Evidences that nothing named any more.
    pub evidence: usize,
    /// Cached facts, memos, looks, delivered notifications, carried-out intents, expired leases and limits.
    pub other: usize,
    /// Bytes in use afterwards.
    pub bytes: u64,
}

/// Rows that one transaction removes: others wait for it, so it must take much less than their patience.
const ROWS_PER_STEP: usize = 2_000;

impl Store {
    /// Forgets what is older than `retention` allows, then the oldest until the size fits, and gives the space back.
    ///
    /// Guarantees: an unsettled transition, one of the last 24 h (the owner-disagrees guard rests on it, also when
    /// `max_age` is shorter), an open alert, a pause and an undelivered notification are never forgotten; size is
    /// fitted by rows of the journal first and transitions last. Interrupted half-way, the rest is forgotten the next
    /// time.
    ///
    /// # Errors
    /// Those of writing.
    pub fn prune(&mut self, now: Timestamp, retention: &Retention) -> Result<Pruned> {
        let mut pruned = Pruned::default();
        let before = now.before(retention.max_age);
        let day_before = now.before(DISAGREEMENT_WINDOW);
        pruned.journal += self.forget_journal(before)?;
        pruned.transitions += self.forget_transitions(before.min(day_before))?;
        pruned.other += self.forget_other(before, now)?;
        pruned.evidence += self.sweep_evidence()?;
        while self.bytes()? > retention.max_bytes {
            let journal = self.forget_step(OLDEST_JOURNAL, i64::MAX)?;
            let transitions = match journal {
                0 => self.forget_step(OLDEST_TRANSITIONS, ms(day_before))?,
                _ => 0,
            };
            pruned.journal += journal;
            pruned.transitions += transitions;
            pruned.evidence += self.sweep_evidence()?;
            if journal + transitions == 0 {
                break;
            }
        }
        self.give_back()?;
        pruned.bytes = self.bytes()?;
        Ok(pruned)
    }

    fn forget_journal(&mut self, before: Timestamp) -> Result<usize> {
        self.forget_steps(OLDEST_JOURNAL, ms(before))
    }

    fn forget_transitions(&mut self, before: Timestamp) -> Result<usize> {
        self.forget_steps(OLDEST_TRANSITIONS, ms(before))
    }

    fn forget_steps(&mut self, sql: &str, before: i64) -> Result<usize> {
        let mut all = 0;
        loop {
            let gone = self.forget_step(sql, before)?;
            all += gone;
            if gone < ROWS_PER_STEP {
                return Ok(all);
            }
        }
    }

    fn forget_step(&mut self, sql: &str, before: i64) -> Result<usize> {
        let limit = i64::try_from(ROWS_PER_STEP).unwrap_or(i64::MAX);
        self.write("forget what is old", |db| {
            db.prepare_cached(sql)?.execute(params![before, limit])
        })
    }

    fn forget_other(&mut self, before: Timestamp, now: Timestamp) -> Result<usize> {
        self.write("forget what is old", |db| {
            let old = |sql: &str, moment: Timestamp| one(db, sql, moment);
            let mut gone = 0;
            gone += old("DELETE FROM facts WHERE at < ?1", before)?;
            gone += old("DELETE FROM memos WHERE at < ?1", before)?;
            gone += old("DELETE FROM schedule WHERE due < ?1", before)?;
            gone += old("DELETE FROM outbox WHERE delivered_at < ?1", before)?;
            gone += old("DELETE FROM intents WHERE at < ?1", before)?;
            gone += old("DELETE FROM leases WHERE until < ?1", now)?;
            gone += old("DELETE FROM rate_limits WHERE until < ?1", now)?;
            Ok(gone)
        })
    }

    /// Removes evidence that neither the journal nor a transition names.
    fn sweep_evidence(&mut self) -> Result<usize> {
        self.write("sweep evidence", |db| {
            db.prepare_cached(
                "DELETE FROM evidence WHERE id NOT IN (
                     SELECT evidence_id FROM journal
                     UNION SELECT evidence_id FROM transitions WHERE evidence_id IS NOT NULL)",
            )?
            .execute([])
        })
    }

    /// Returns free pages to the file system and folds the log into the database.
    fn give_back(&self) -> Result<()> {
        self.read("give space back", |db| {
            let mut statement = db.prepare("PRAGMA incremental_vacuum")?;
            let mut rows = statement.query([])?;
            while rows.next()?.is_some() {}
            drop(rows);
            // Busy readers only mean that the log is folded in later.
            db.pragma_update_and_check(None, "wal_checkpoint", "TRUNCATE", |_| Ok(()))
        })
    }
}

const OLDEST_JOURNAL: &str = "DELETE FROM journal WHERE id IN (
    SELECT journal_id FROM journal_seen WHERE last_at < ?1 ORDER BY last_at LIMIT ?2)";

const OLDEST_TRANSITIONS: &str = "DELETE FROM transitions WHERE id IN (
    SELECT id FROM transitions WHERE prepared_at < ?1 AND outcome IS NOT NULL ORDER BY prepared_at LIMIT ?2)";

fn one(db: &Transaction<'_>, sql: &str, moment: Timestamp) -> rusqlite::Result<usize> {
    db.prepare_cached(sql)?.execute([ms(moment)])
}
