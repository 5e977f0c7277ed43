//! What is remembered from pass to pass for the guards that look at the pass as a whole: who was seen alive, who was
//! lost, what was acknowledged, and which moves were made before.

use std::borrow::Borrow;
use std::collections::{BTreeMap, HashMap};

use rusqlite::{Connection, OptionalExtension as _, Transaction, params};
use vigil_core::guard::DISAGREEMENT_WINDOW;
use vigil_core::standing::Brought;
use vigil_core::survey::{Memory, PastMove, forge_words};
use vigil_core::{Evidence, SessionId, Timestamp};

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
    /// present pass: the moves of the last day are compared with what the forge says now.
    ///
    /// A move counts once it was written; repairs and undos are none. What lies ahead of `now`, after the clock was
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
                "SELECT id, to_state, rule, reason, forge_words FROM transitions
                 WHERE source = ?1 AND session = ?2 AND outcome = 'written' AND kind <> 'repair'
                 ORDER BY id DESC LIMIT 1",
            )?;
            let mut all = HashMap::new();
            for one in evidence {
                let id = &one.session.id;
                let brought = latest
                    .query_row([&id.source, &id.id], |row| {
                        let words: Option<String> = row.get(4)?;
                        Ok(Brought {
                            name: TransitionId(row.get(0)?).to_string(),
                            to: row::state(row, 1)?,
                            rule: row.get(2)?,
                            reason: row.get(3)?,
                            grounds_stand: words.is_none_or(|words| words == forge_words(one)),
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
            let sql = "SELECT source, session, id, from_state, to_state, prepared_at, forge_words, undone_by IS NOT NULL
                       FROM transitions WHERE source = ?1 AND (prepared_at >= ?2 OR undone_by IS NOT NULL)
                       AND kind IN ('transition', 'repair') AND outcome = 'written' ORDER BY id";
            db.prepare_cached(sql)?
                .query_map(params![source, ms(now.before(DISAGREEMENT_WINDOW))], |row| {
                    let made = PastMove {
                        name: TransitionId(row.get(2)?).to_string(),
                        from: row::state(row, 3)?,
                        to: row::state(row, 4)?,
                        at: row::at(row, 5)?,
                        same_facts: false,
                        undone: row.get(7)?,
                    };
                    Ok((row::session_id(row, 0)?, made, row.get::<_, Option<String>>(6)?))
                })?
                .collect::<rusqlite::Result<Vec<_>>>()
        })?;
        let mut past: HashMap<SessionId, Vec<PastMove>> = HashMap::new();
        for (session, made, words) in rows {
            let Some(evidence) = present.get(&session) else {
                continue;
            };
            let same_facts = words.is_some_and(|words| words == forge_words(evidence));
            past.entry(session)
                .or_default()
                .push(PastMove { same_facts, ..made });
        }
        Ok(past)
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
