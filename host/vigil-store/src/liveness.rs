//! What is remembered from pass to pass for the guards that look at the pass as a whole: who was seen alive, who was
//! lost, what was acknowledged, and which moves were made before.

use std::borrow::Borrow;
use std::collections::{BTreeMap, HashMap};

use rusqlite::{Connection, OptionalExtension as _, Transaction, params};
use vigil_core::guard::DISAGREEMENT_WINDOW;
use vigil_core::standing::Brought;
use vigil_core::survey::{Memory, PastMove, Reversal};
use vigil_core::{Evidence, Grounds, SessionId, State, Timestamp};

use crate::error::Result;
use crate::open::{Store, ms};
use crate::row;
use crate::transitions::TransitionId;

impl Store {
    /// The sessions of `source` that were seen alive at its previous pass, and when.
    ///
    /// # Errors
    /// Those of reading.
    pub fn seen_alive(&self, source: &str) -> Result<BTreeMap<SessionId, Timestamp>> {
        self.read("read who was seen alive", |db| moments(db, SEEN, source, 0))
    }

    /// Replaces what is remembered of `source`: the sessions seen alive, each with the moment at which it was.
    ///
    /// # Errors
    /// Those of writing.
    pub fn put_seen_alive(
        &mut self,
        source: &str,
        alive: &BTreeMap<SessionId, Timestamp>,
    ) -> Result<()> {
        self.write("keep who was seen alive", |db| {
            replace(db, SEEN, source, alive)
        })
    }

    /// The sessions of `source` that were lost at or after `since`, and when.
    ///
    /// # Errors
    /// Those of reading.
    pub fn lost(&self, source: &str, since: Timestamp) -> Result<BTreeMap<SessionId, Timestamp>> {
        self.read("read who was lost", |db| {
            moments(db, LOST, source, ms(since))
        })
    }

    /// Replaces what is remembered of `source`: the sessions that count as lost, each with the moment of the loss.
    ///
    /// # Errors
    /// Those of writing.
    pub fn put_lost(&mut self, source: &str, lost: &BTreeMap<SessionId, Timestamp>) -> Result<()> {
        self.write("keep who was lost", |db| replace(db, LOST, source, lost))
    }

    /// Notes durably that a person said at `at` that the losses up to then are real: in `source`, or in all.
    ///
    /// # Errors
    /// Those of writing.
    pub fn ack_mass_change(&mut self, source: Option<&str>, at: Timestamp) -> Result<()> {
        self.write_durably("keep an acknowledgement", |db| {
            let sql = "INSERT INTO mass_acks (source, at) VALUES (?1, ?2)
                       ON CONFLICT DO UPDATE SET at = excluded.at";
            db.prepare_cached(sql)?
                .execute(params![source.unwrap_or_default(), ms(at)])
                .map(drop)
        })
    }

    /// Up to when the losses of `source` were acknowledged, by its name or for all.
    ///
    /// # Errors
    /// Those of reading.
    pub fn last_ack(&self, source: &str) -> Result<Option<Timestamp>> {
        self.read("read acknowledgements", |db| {
            db.prepare_cached("SELECT max(at) FROM mass_acks WHERE source IN (?1, '')")?
                .query_row([source], |row| row::maybe_at(row, 0))
                .optional()
                .map(Option::flatten)
        })
    }

    /// All that the survey of a pass over `source` needs to know from the passes before. `evidence` is that of the
    /// present pass: the grounds of the moves of the last day are compared with what is known now, and what became of
    /// them with what the record says of its last write.
    ///
    /// A move counts once it was written, and so does a repair; undos are none. What lies ahead of `now`, after the clock was
    /// set back, acknowledges nothing and is no loss.
    ///
    /// # Errors
    /// Those of reading.
    pub fn memory<E: Borrow<Evidence>>(
        &self,
        source: &str,
        evidence: &[E],
        now: Timestamp,
    ) -> Result<Memory> {
        Ok(Memory {
            seen_alive: self.seen_alive(source)?,
            lost: {
                let mut lost = self.lost(source, Timestamp(0))?;
                lost.retain(|_, at| *at <= now);
                lost
            },
            acknowledged: self.last_ack(source)?.filter(|at| *at <= now),
            past: self.past(source, evidence, now)?,
            brought: HashMap::new(),
        })
    }

    /// The latest write of each session's state, by vigil or by a person who took one back: what brought it where it is,
    /// unless its owner has moved it since. A session that was never written has none.
    ///
    /// # Errors
    /// Those of reading.
    pub fn brought<'e>(
        &self,
        evidence: impl IntoIterator<Item = &'e Evidence>,
    ) -> Result<HashMap<SessionId, Brought>> {
        self.read("read what brought sessions where they are", |db| {
            let mut latest = db.prepare_cached(
                "SELECT id, to_state, rule, reason, CASE kind WHEN 'undo' THEN NULL ELSE grounds END FROM transitions
                 WHERE source = ?1 AND session = ?2 AND outcome = 'written' AND kind <> 'repair'
                 ORDER BY id DESC LIMIT 1",
            )?;
            let mut all = HashMap::new();
            for one in evidence {
                let id = &one.session.id;
                let brought = latest
                    .query_row([&id.source, &id.id], |row| {
                        let grounds: Option<Grounds> = row::maybe_json(row, 4)?;
                        Ok(Brought {
                            name: TransitionId(row.get(0)?).to_string(),
                            to: row::state(row, 1)?,
                            rule: row.get(2)?,
                            reason: row.get(3)?,
                            grounds_stand: grounds.is_none_or(|grounds| grounds.still_hold(one)),
                        })
                    })
                    .optional()?;
                all.extend(brought.map(|brought| (id.clone(), brought)));
            }
            Ok(all)
        })
    }

    fn past<E: Borrow<Evidence>>(
        &self,
        source: &str,
        evidence: &[E],
        now: Timestamp,
    ) -> Result<HashMap<SessionId, Vec<PastMove>>> {
        let present: HashMap<&SessionId, &Evidence> = evidence
            .iter()
            .map(Borrow::borrow)
            .map(|one| (&one.session.id, one))
            .collect();
        let rows = self.read("read past moves", |db| {
            let sql = "SELECT t.source, t.session, t.id, t.from_state, t.to_state, t.prepared_at, t.kind = 'undo',
                       t.undone_by IS NOT NULL, coalesce(u.grounds, t.grounds), t.record_updated,
                       t.undone_by IS NOT NULL AND u.grounds IS NULL, t.revision_before, t.revision_after
                       FROM transitions t LEFT JOIN transitions u ON u.id = t.undone_by
                       WHERE t.source = ?1 AND (t.prepared_at >= ?2 OR t.undone_by IS NOT NULL)
                       AND t.outcome = 'written' ORDER BY t.id";
            db.prepare_cached(sql)?
                .query_map(
                    params![source, ms(now.before(DISAGREEMENT_WINDOW))],
                    |row| {
                        let row = Past {
                            name: TransitionId(row.get(2)?).to_string(),
                            from: row::state(row, 3)?,
                            to: row::state(row, 4)?,
                            at: row::at(row, 5)?,
                            is_undo: row.get(6)?,
                            undone: row.get(7)?,
                            grounds: row::maybe_json(row, 8)?,
                            record_updated: row::maybe_at(row, 9)?,
                            unlooked: row.get(10)?,
                            revision_before: row.get(11)?,
                            revision_after: row.get(12)?,
                            session: row::session_id(row, 0)?,
                        };
                        Ok(row)
                    },
                )?
                .collect::<rusqlite::Result<Vec<Past>>>()
        })?;
        let mut of_session: HashMap<SessionId, Vec<Past>> = HashMap::new();
        for row in rows {
            if present.contains_key(&row.session) {
                of_session.entry(row.session.clone()).or_default().push(row);
            }
        }
        let moves = of_session.into_iter().map(|(session, rows)| {
            let evidence = present.get(&session);
            let moves = evidence.map_or_else(Vec::new, |evidence| moves(&rows, evidence));
            (session, moves)
        });
        Ok(moves.collect())
    }
}

/// A row of the past of one session.
struct Past {
    session: SessionId,
    name: String,
    from: State,
    to: State,
    at: Timestamp,
    is_undo: bool,
    undone: bool,
    grounds: Option<Grounds>,
    record_updated: Option<Timestamp>,
    revision_before: String,
    revision_after: String,
    /// Nobody has seen yet how its grounds stood when it was taken back.
    unlooked: bool,
}

/// The moves among `rows`, all of one session and in their order, as they stand beside what is known now.
fn moves(rows: &[Past], evidence: &Evidence) -> Vec<PastMove> {
    let session = &evidence.session;
    rows.iter()
        .enumerate()
        .filter(|(_, row)| !row.is_undo)
        .map(|(at, row)| {
            let reversal = match rows.get(at + 1) {
                Some(next) if moved_on(row, next) => Reversal::Own,
                Some(next) => reversal(row.at, next.record_updated),
                None => reversal(row.at, session.times.updated),
            };
            let holds = |grounds: &Grounds| grounds.still_hold(evidence);
            PastMove {
                name: row.name.clone(),
                from: row.from,
                to: row.to,
                at: row.at,
                same_facts: row.unlooked || row.grounds.as_ref().is_some_and(holds),
                undone: row.undone,
                reversal,
            }
        })
        .collect()
}

/// Whether vigil itself went on from what `row` made. After a repair the state is what it was, so that only the record
/// tells whether somebody wrote in between.
fn moved_on(row: &Past, next: &Past) -> bool {
    let is_repair = row.from == row.to;
    next.from == row.to && (!is_repair || next.revision_before == row.revision_after)
}

/// Who took back what was written at `at`, where the record that came after it says that it was `updated`. Owners that
/// keep no such time, and those that count in whole seconds, are believed to have written it anew.
fn reversal(at: Timestamp, updated: Option<Timestamp>) -> Reversal {
    let second = Timestamp(at.0 - at.0 % 1000);
    match updated {
        Some(updated) if updated < second => Reversal::StaleCopy,
        _ => Reversal::Owner,
    }
}

const SEEN: &str = "seen_alive";
const LOST: &str = "lost";

fn moments(
    db: &Connection,
    table: &str,
    source: &str,
    since: i64,
) -> rusqlite::Result<BTreeMap<SessionId, Timestamp>> {
    let sql = format!("SELECT source, session, at FROM {table} WHERE source = ?1 AND at >= ?2");
    db.prepare_cached(&sql)?
        .query_map(params![source, since], |row| {
            Ok((row::session_id(row, 0)?, row::at(row, 2)?))
        })?
        .collect()
}

fn replace(
    db: &Transaction<'_>,
    table: &str,
    source: &str,
    moments: &BTreeMap<SessionId, Timestamp>,
) -> rusqlite::Result<()> {
    db.prepare_cached(&format!("DELETE FROM {table} WHERE source = ?1"))?
        .execute([source])?;
    let sql = format!("INSERT OR REPLACE INTO {table} (source, session, at) VALUES (?1, ?2, ?3)");
    let mut statement = db.prepare_cached(&sql)?;
    for (session, at) in moments {
        // Under the source that was named: a stranger's session among them would never be forgotten again.
        statement.execute(params![source, session.id, ms(*at)])?;
    }
    Ok(())
}
