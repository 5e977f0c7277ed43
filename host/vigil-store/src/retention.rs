//! What is forgotten, and when.

use std::time::Duration;

use rusqlite::{ToSql, Transaction};
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

/// What is remembered of the forge is in use for this long at least, whatever `max_age` is: everything that a session
/// names is read once a day, and a silence or a share of the hour that is forgotten would be broken.
pub const FORGE_AGE_MIN: Duration = minutes(2 * 24 * 60);

impl Retention {
    /// How long what is remembered of the forge is kept without being written again.
    pub fn forge_age(&self) -> Duration {
        self.max_age.max(FORGE_AGE_MIN)
    }
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
    /// What is remembered of the forge, memos, looks, delivered notifications, carried-out intents, expired leases.
    pub other: usize,
    /// Bytes in use afterwards.
    pub bytes: u64,
}

/// A year: a transition that still counts is kept for so long, whatever `max_age` is. The latest that was written to a
/// session says why its record is as it is, and whose block it is; one that was undone stays undone until its grounds
/// change, however long that takes.
const COUNTS_FOR: Duration = minutes(365 * 24 * 60);

/// Rows that one transaction removes: others wait for it, so it must take much less than their patience.
const ROWS_PER_STEP: usize = 2_000;

/// Pages that one transaction gives back, for the same reason.
const PAGES_PER_STEP: usize = 5_000;

impl Store {
    /// Forgets what is older than `retention` allows, then the oldest until the size fits, and gives the space back.
    ///
    /// Guarantees: an unsettled transition, one of the last 24 h (the owner-disagrees guard rests on it, also when
    /// `max_age` is shorter), an open alert, a pause and an undelivered notification are never forgotten. The latest
    /// transition that was written to a session, and what was undone together with its undo, are kept for a year. Size is
    /// fitted by rows of the journal first, then by transitions, and by those that still count last. Interrupted half-way, the rest is forgotten the next
    /// time.
    ///
    /// # Errors
    /// Those of writing.
    pub fn prune(&mut self, now: Timestamp, retention: &Retention) -> Result<Pruned> {
        let mut pruned = Pruned::default();
        let before = now.before(retention.max_age);
        let day_before = now.before(DISAGREEMENT_WINDOW);
        while self.forget_journal(ms(before), &mut pruned)? {}
        let settled = before.min(day_before);
        let counting = settled.min(now.before(COUNTS_FOR));
        while self.forget_transitions(settled, counting, &mut pruned)? {}
        pruned.other += self.forget_forge(retention.forge_age(), now)?;
        pruned.other += self.forget_other(before, now)?;
        while self.bytes()? > retention.max_bytes {
            let more = self.forget_journal(i64::MAX, &mut pruned)?
                || self.forget_transitions(day_before, counting, &mut pruned)?
                || self.forget_transitions(day_before, day_before, &mut pruned)?;
            if !more {
                break;
            }
        }
        self.give_back()?;
        pruned.bytes = self.bytes()?;
        Ok(pruned)
    }

    /// One step; false: there was nothing to forget.
    fn forget_journal(&mut self, before: i64, pruned: &mut Pruned) -> Result<bool> {
        let gone = self.write("forget what is old", |db| {
            forget(db, OLDEST_JOURNAL, &[&before])
        })?;
        pruned.journal += gone.rows;
        pruned.evidence += gone.evidence;
        Ok(gone.rows > 0)
    }

    /// One step: what is older than `before`, and of what still counts what is older than `counting`. False: there was
    /// nothing to forget.
    fn forget_transitions(
        &mut self,
        before: Timestamp,
        counting: Timestamp,
        pruned: &mut Pruned,
    ) -> Result<bool> {
        let gone = self.write("forget what is old", |db| {
            forget(db, OLDEST_TRANSITIONS, &[&ms(before), &ms(counting)])
        })?;
        pruned.transitions += gone.rows;
        pruned.evidence += gone.evidence;
        Ok(gone.rows > 0)
    }

    fn forget_forge(&mut self, age: Duration, now: Timestamp) -> Result<usize> {
        self.write("forget what is old", |db| {
            let gone = one(db, "DELETE FROM forge WHERE at < ?1", now.before(age))?;
            // Nearer ones are left to the adapter, which knows what an unknown age means for each of them.
            let ahead = one(db, "DELETE FROM forge WHERE at > ?1", now.after(age))?;
            Ok(gone + ahead)
        })
    }

    fn forget_other(&mut self, before: Timestamp, now: Timestamp) -> Result<usize> {
        self.write("forget what is old", |db| {
            let old = |sql: &str, moment: Timestamp| one(db, sql, moment);
            let mut gone = 0;
            gone += old("DELETE FROM memos WHERE at < ?1", before)?;
            gone += old("DELETE FROM schedule WHERE due < ?1", before)?;
            gone += old("DELETE FROM outbox WHERE delivered_at < ?1", before)?;
            gone += old("DELETE FROM intents WHERE at < ?1", before)?;
            gone += old("DELETE FROM leases WHERE until < ?1", now)?;
            Ok(gone)
        })
    }

    /// Returns free pages to the file system, a few at a time since others wait meanwhile, and folds the log into the
    /// database.
    fn give_back(&self) -> Result<()> {
        self.read("give space back", |db| {
            let free = || db.pragma_query_value(None, "freelist_count", |row| row.get::<_, i64>(0));
            let mut left = free()?;
            while left > 0 {
                let mut statement =
                    db.prepare_cached(&format!("PRAGMA incremental_vacuum({PAGES_PER_STEP})"))?;
                let mut rows = statement.query([])?;
                while rows.next()?.is_some() {}
                drop(rows);
                let now = free()?;
                // A database from before this was switched on keeps its pages, and uses them again.
                if now >= left {
                    break;
                }
                left = now;
            }
            // Busy readers only mean that the log is folded in later.
            db.pragma_update_and_check(None, "wal_checkpoint", "TRUNCATE", |_| Ok(()))
        })
    }
}

/// Removes at most [`ROWS_PER_STEP`] rows of one table with `sql`, and the evidence that nothing names any more after that.
fn forget(db: &Transaction<'_>, sql: &str, before: &[&dyn ToSql]) -> rusqlite::Result<Gone> {
    let sql = sql.replace(":most", &ROWS_PER_STEP.to_string());
    let named = db
        .prepare_cached(&sql)?
        .query_map(before, |row| row.get::<_, Option<i64>>(0))?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let mut sweep = db.prepare_cached(
        "DELETE FROM evidence WHERE id = ?1
         AND NOT EXISTS (SELECT 1 FROM journal WHERE evidence_id = ?1)
         AND NOT EXISTS (SELECT 1 FROM transitions WHERE evidence_id = ?1)",
    )?;
    let mut gone = Gone {
        rows: named.len(),
        evidence: 0,
    };
    for id in named.into_iter().flatten() {
        gone.evidence += sweep.execute([id])?;
    }
    Ok(gone)
}

/// What one step removed.
#[derive(Clone, Copy)]
struct Gone {
    rows: usize,
    evidence: usize,
}

const OLDEST_JOURNAL: &str = "DELETE FROM journal WHERE id IN (
    SELECT journal_id FROM journal_seen WHERE last_at < ?1 ORDER BY turn LIMIT :most) RETURNING evidence_id";

const OLDEST_TRANSITIONS: &str = "DELETE FROM transitions WHERE id IN (
    SELECT id FROM transitions t WHERE prepared_at < ?1 AND outcome IS NOT NULL AND (prepared_at < ?2
        OR undone_by IS NULL AND undoes IS NULL AND (outcome != 'written' OR EXISTS (
            SELECT 1 FROM transitions later WHERE later.source = t.source AND later.session = t.session
            AND later.id > t.id AND later.outcome = 'written')))
    ORDER BY prepared_at LIMIT :most)
    RETURNING evidence_id";

fn one(db: &Transaction<'_>, sql: &str, moment: Timestamp) -> rusqlite::Result<usize> {
    db.prepare_cached(sql)?.execute([ms(moment)])
}
