//! Transitions: prepared on the disk before the owner's record is written, settled after. A crash in between leaves
//! one that is unsettled, and recovery compares it with the record.

use std::fmt;
use std::str::FromStr;

use rusqlite::{OptionalExtension as _, Row, Transaction, params};
use serde::{Serialize, Serializer};
use vigil_core::guard::Objection;
use vigil_core::intents::Granted;
use vigil_core::session::Revision;
use vigil_core::{Evidence, Grounds, SessionId, State, Timestamp};

use crate::digest::json;
use crate::error::{Result, StoreError};
use crate::evidence::{ContentDigest, Packer, keep};
use crate::open::{Store, ms};
use crate::row;

/// A transition's name: `t42`. Never given to another one, not even after retention took it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransitionId(pub(crate) i64);

impl TransitionId {
    /// The number in the name, 1 or more.
    pub fn number(self) -> u64 {
        u64::try_from(self.0).unwrap_or_default()
    }
}

impl fmt::Display for TransitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("t{}", self.0))
    }
}

impl Serialize for TransitionId {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A text that is no transition's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is no transition's name: they read t1, t2, ..., and `vigil history` lists them")]
pub struct ParseTransitionId(pub String);

impl FromStr for TransitionId {
    type Err = ParseTransitionId;

    fn from_str(name: &str) -> std::result::Result<Self, ParseTransitionId> {
        name.strip_prefix('t')
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
            .filter(|digits| !digits.starts_with('0'))
            .and_then(|digits| digits.parse().ok())
            .map(TransitionId)
            .ok_or_else(|| ParseTransitionId(name.to_owned()))
    }
}

/// What a write was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Another state.
    Transition,
    /// The same state, with named drift put right.
    Repair,
    /// A person took another one back.
    Undo,
}

impl Kind {
    /// Its name in the journal and in `--json`.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Transition => "transition",
            Kind::Repair => "repair",
            Kind::Undo => "undo",
        }
    }

    fn named(name: &str) -> Option<Kind> {
        [Kind::Transition, Kind::Repair, Kind::Undo]
            .into_iter()
            .find(|kind| kind.as_str() == name)
    }
}

/// A write that is about to be made.
#[derive(Clone, Copy, Debug)]
pub struct NewTransition<'a> {
    /// The session.
    pub session: &'a SessionId,
    /// What the write is for.
    pub kind: Kind,
    /// The state before.
    pub from: State,
    /// The state after; `from` for a repair.
    pub to: State,
    /// The owner's word before.
    pub native_before: &'a str,
    /// The owner's word after.
    pub native_after: &'a str,
    /// The revision that the record must have.
    pub revision_before: &'a Revision,
    /// The revision that it will have: recovery knows by it that the write was made.
    pub revision_after: &'a Revision,
    /// The record's text before: what `undo` goes back to.
    pub record_before: &'a str,
    /// The fields that change, as the source wrote them down.
    pub edits: &'a str,
    /// The code of the rule that spoke.
    pub rule: &'a str,
    /// The policy that spoke; `None`: a person asked for it, or no policy did.
    pub policy: Option<&'a str>,
    /// SHA-256 of its component, hex.
    pub policy_digest: Option<&'a str>,
    /// One sentence for people.
    pub reason: &'a str,
    /// The guards that changed where it leads.
    pub guards: &'a [Objection],
    /// The effects to carry out once it is written.
    pub intents: &'a [Granted],
    /// All that was known; `None`: a person asked for it.
    pub evidence: Option<&'a Evidence>,
    /// What of it the rule rests on.
    pub grounds: Option<&'a Grounds>,
    /// The transition that it takes back.
    pub undoes: Option<TransitionId>,
    /// The moment of the decision.
    pub at: Timestamp,
}

/// How a write ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settled {
    /// The record is as proposed.
    Written {
        /// Nobody else can have written in between.
        exclusive: bool,
    },
    /// Someone else wrote first, or held the lock; with what was seen.
    Conflict(String),
    /// It could not be written, and why.
    Failed(String),
}

/// Where a transition stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Standing {
    /// The write may have been made or not: vigil ended in between, or another one is at it right now.
    Prepared,
    /// The record is as proposed.
    Written {
        /// Nobody else can have written in between.
        exclusive: bool,
    },
    /// Someone else wrote first.
    Conflict {
        /// What was seen.
        detail: String,
    },
    /// It could not be written.
    Failed {
        /// Why.
        detail: String,
    },
}

/// A transition as it is kept.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub struct Transition {
    /// Its name.
    pub id: TransitionId,
    /// The session.
    pub session: SessionId,
    /// What the write was for.
    pub kind: Kind,
    /// The state before.
    pub from: State,
    /// The state after.
    pub to: State,
    /// The owner's word before.
    pub native_before: String,
    /// The owner's word after.
    pub native_after: String,
    /// The revision before.
    pub revision_before: Revision,
    /// The revision after.
    pub revision_after: Revision,
    /// The record's text before. Not part of the JSON that commands print: it is as long as the owner's prompts are.
    #[serde(skip)]
    pub record_before: String,
    /// The fields that change, as the source wrote them down.
    pub edits: String,
    /// The code of the rule that spoke.
    pub rule: String,
    /// The policy that spoke.
    pub policy: Option<String>,
    /// SHA-256 of its component, hex.
    pub policy_digest: Option<String>,
    /// One sentence for people.
    pub reason: String,
    /// The guards that changed where it leads.
    pub guards: Vec<Objection>,
    /// The effects to carry out once it is written.
    pub intents: Vec<Granted>,
    /// What it rests on; [`Store::evidence`] gives it.
    pub evidence: Option<ContentDigest>,
    /// What it rests on, in words that can be compared. Of an undo: what the grounds of the undone one were then;
    /// `None`: nobody has looked since.
    pub grounds: Option<Grounds>,
    /// The transition that it takes back.
    pub undoes: Option<TransitionId>,
    /// The transition that took it back.
    pub undone_by: Option<TransitionId>,
    /// When it was prepared.
    pub at: Timestamp,
    /// Where it stands.
    pub standing: Standing,
    /// When it was settled; `None`: it is not.
    pub settled_at: Option<Timestamp>,
}

/// The latest write that vigil made to a record, as far as it matters to what may follow.
#[derive(Clone, Debug, PartialEq)]
pub struct LastWritten {
    /// Its name.
    pub id: TransitionId,
    /// What it was for.
    pub kind: Kind,
    /// The state after.
    pub to: State,
    /// The revision after. Another one by now: somebody else wrote since.
    pub revision_after: Revision,
    /// The code of the rule that spoke.
    pub rule: String,
    /// What it rests on; `None`: a person asked for it.
    pub grounds: Option<Grounds>,
    /// When it was prepared.
    pub at: Timestamp,
}

impl Store {
    /// The latest write that vigil made to the record of `session`; `None`: none, or retention took it.
    ///
    /// # Errors
    /// Those of reading.
    pub fn last_written(&self, session: &SessionId) -> Result<Option<LastWritten>> {
        self.read("read the latest transition", |db| {
            db.prepare_cached(
                "SELECT id, kind, to_state, revision_after, rule, grounds, prepared_at FROM transitions
                 WHERE source = ?1 AND session = ?2 AND outcome = 'written' ORDER BY id DESC LIMIT 1",
            )?
            .query_row(params![session.source, session.id], last_written)
            .optional()
        })
    }

    /// Notes writes that are about to be made, and gives their names in order.
    ///
    /// Guarantees: all of them or none; on the disk, with all that was written before, when it returns. Assumes that
    /// the caller holds the sessions' leases, so that nobody takes what is under way for what a crash left.
    ///
    /// # Errors
    /// Those of writing; then nothing may be written to the owner's records.
    pub fn prepare(&mut self, transitions: &[NewTransition<'_>]) -> Result<Vec<TransitionId>> {
        if transitions.is_empty() {
            return Ok(Vec::new());
        }
        let mut packer = Packer::new(self)?;
        self.write_durably("prepare transitions", |db| {
            transitions
                .iter()
                .map(|new| insert(db, new, &mut packer))
                .collect()
        })
    }

    /// Notes one write that is about to be made: [`Store::prepare`] for somebody who makes no others.
    ///
    /// # Errors
    /// Those of writing; then nothing may be written to the owner's records.
    pub fn prepare_one(&mut self, transition: &NewTransition<'_>) -> Result<TransitionId> {
        let mut packer = Packer::new(self)?;
        self.write_durably("prepare a transition", |db| {
            insert(db, transition, &mut packer)
        })
    }

    /// Notes how a write ended; false: it was settled before, and stays as it was.
    ///
    /// # Errors
    /// [`StoreError::Missing`] for a name that is not there; those of writing.
    pub fn settle(&mut self, id: TransitionId, how: &Settled, at: Timestamp) -> Result<bool> {
        if self.settle_all(&[(id, how.clone())], at)? == 1 {
            return Ok(true);
        }
        self.transition(id)?
            .map(|_| false)
            .ok_or_else(|| missing(id))
    }

    /// Notes how many writes ended, in one transaction; gives how many were not settled before.
    ///
    /// Not durable by itself: after a power failure recovery finds the same answer in the record again.
    ///
    /// # Errors
    /// Those of writing.
    pub fn settle_all(
        &mut self,
        settled: &[(TransitionId, Settled)],
        at: Timestamp,
    ) -> Result<usize> {
        if settled.is_empty() {
            return Ok(0);
        }
        self.write("settle transitions", |db| {
            let mut statement = db.prepare_cached(
                "UPDATE transitions SET outcome = ?2, exclusive = ?3, detail = ?4, settled_at = ?5
                 WHERE id = ?1 AND outcome IS NULL",
            )?;
            let mut changed = 0;
            for (id, how) in settled {
                let (outcome, exclusive, detail) = match how {
                    Settled::Written { exclusive } => ("written", Some(*exclusive), None),
                    Settled::Conflict(detail) => ("conflict", None, Some(detail)),
                    Settled::Failed(detail) => ("failed", None, Some(detail)),
                };
                changed += statement.execute(params![id.0, outcome, exclusive, detail, ms(at)])?;
            }
            // An undo that was written and the mark on what it undoes are one fact: a crash cannot part them.
            let mut mark = db.prepare_cached(
                "UPDATE transitions SET undone_by = ?1 WHERE undone_by IS NULL
                 AND id = (SELECT undoes FROM transitions WHERE id = ?1 AND outcome = 'written')",
            )?;
            for (id, how) in settled {
                if matches!(how, Settled::Written { .. }) {
                    mark.execute([id.0])?;
                }
            }
            Ok(changed)
        })
    }

    /// Undos of `source` since which nobody has seen how the grounds of what they took back stand: each with its session
    /// and those grounds.
    ///
    /// # Errors
    /// Those of reading.
    pub fn unlooked_undos(&self, source: &str) -> Result<Vec<(TransitionId, SessionId, Grounds)>> {
        self.read("read undos", |db| {
            db.prepare_cached(
                "SELECT u.source, u.session, u.id, t.grounds FROM transitions u JOIN transitions t ON t.undone_by = u.id
                 WHERE u.source = ?1 AND u.kind = 'undo' AND u.grounds IS NULL AND t.grounds IS NOT NULL ORDER BY u.id",
            )?
            .query_map([source], |row| {
                let id = TransitionId(row.get(2)?);
                Ok((id, row::session_id(row, 0)?, row::from_json(row, 3)?))
            })?
            .collect()
        })
    }

    /// Notes what the grounds of an undone transition were when it was taken back, unless that is known already: until
    /// they are others, it stays taken back.
    ///
    /// # Errors
    /// Those of writing.
    pub fn note_grounds(&mut self, undo: TransitionId, grounds: &Grounds) -> Result<()> {
        self.write("note the grounds of an undo", |db| {
            db.prepare_cached(
                "UPDATE transitions SET grounds = ?2 WHERE id = ?1 AND kind = 'undo' AND grounds IS NULL",
            )?
            .execute(params![undo.0, json(grounds)])
            .map(drop)
        })
    }

    /// Forgets the tries before each of `latest` that were the same move of the same record and met a conflict as well:
    /// the latest says all that they did.
    ///
    /// # Errors
    /// Those of writing.
    pub fn forget_repeats(&mut self, latest: &[TransitionId]) -> Result<usize> {
        if latest.is_empty() {
            return Ok(0);
        }
        self.write("forget repeated tries", |db| {
            let mut statement = db.prepare_cached(
                "DELETE FROM transitions WHERE id IN (
                     SELECT o.id FROM transitions t JOIN transitions o ON o.source = t.source AND o.session = t.session
                     WHERE t.id = ?1 AND o.id < t.id AND t.outcome = 'conflict' AND o.outcome = 'conflict'
                     AND o.kind = t.kind AND o.to_state = t.to_state AND o.rule = t.rule
                     AND o.revision_before = t.revision_before)",
            )?;
            let mut forgotten = 0;
            for id in latest {
                forgotten += statement.execute([id.0])?;
            }
            Ok(forgotten)
        })
    }

    /// Transitions that were prepared and not settled, the oldest first: what recovery has to look at. Those whose
    /// session another vigil holds a lease on are under way and none of ours.
    ///
    /// # Errors
    /// Those of reading.
    pub fn unsettled(&self) -> Result<Vec<Transition>> {
        self.read("read unsettled transitions", |db| {
            db.prepare_cached(&format!("{SELECT} WHERE t.outcome IS NULL ORDER BY t.id"))?
                .query_map([], read)?
                .collect()
        })
    }

    /// The transition of that name; `None`: there is none, or retention took it.
    ///
    /// # Errors
    /// Those of reading.
    pub fn transition(&self, id: TransitionId) -> Result<Option<Transition>> {
        self.read("read a transition", |db| {
            db.prepare_cached(&format!("{SELECT} WHERE t.id = ?1"))?
                .query_row([id.0], read)
                .optional()
        })
    }

    /// Transitions, the newest first: of one session or of all, prepared at or after `since`.
    ///
    /// # Errors
    /// Those of reading.
    pub fn transitions(
        &self,
        session: Option<&SessionId>,
        since: Option<Timestamp>,
        limit: usize,
    ) -> Result<Vec<Transition>> {
        let since = since.map_or(i64::MIN, ms);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.read("read transitions", |db| match session {
            Some(session) => db
                .prepare_cached(&format!(
                    "{SELECT} WHERE t.source = ?1 AND t.session = ?2 AND t.prepared_at >= ?3 ORDER BY t.id DESC LIMIT ?4"
                ))?
                .query_map(params![session.source, session.id, since, limit], read)?
                .collect(),
            None => db
                .prepare_cached(&format!(
                    "{SELECT} WHERE t.prepared_at >= ?1 ORDER BY t.id DESC LIMIT ?2"
                ))?
                .query_map(params![since, limit], read)?
                .collect(),
        })
    }
}

fn last_written(row: &Row<'_>) -> rusqlite::Result<LastWritten> {
    Ok(LastWritten {
        id: TransitionId(row.get(0)?),
        kind: kind(row, 1)?,
        to: row::state(row, 2)?,
        revision_after: Revision(row.get(3)?),
        rule: row.get(4)?,
        grounds: row::maybe_json(row, 5)?,
        at: row::at(row, 6)?,
    })
}

fn kind(row: &Row<'_>, column: usize) -> rusqlite::Result<Kind> {
    let name = row.get_ref(column)?.as_str()?;
    Kind::named(name)
        .ok_or_else(|| row::unreadable(column, format!("\"{name}\" is no kind of transition")))
}

fn missing(id: TransitionId) -> StoreError {
    StoreError::Missing {
        what: format!("transition {id}"),
    }
}

fn insert(
    db: &Transaction<'_>,
    new: &NewTransition<'_>,
    packer: &mut Packer,
) -> rusqlite::Result<TransitionId> {
    let evidence_id = match new.evidence {
        Some(evidence) => Some(keep(db, &packer.pack(evidence)?)?),
        None => None,
    };
    db.prepare_cached(
        "INSERT INTO transitions (source, session, kind, from_state, to_state, native_before, native_after,
         revision_before, revision_after, record_before, edits, rule, policy, policy_digest, reason, guards, intents,
         evidence_id, grounds, record_updated, undoes, prepared_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22)",
    )?
    .insert(params![
        new.session.source,
        new.session.id,
        new.kind.as_str(),
        new.from.as_str(),
        new.to.as_str(),
        new.native_before,
        new.native_after,
        new.revision_before.0,
        new.revision_after.0,
        new.record_before,
        new.edits,
        new.rule,
        new.policy,
        new.policy_digest,
        new.reason,
        json(&new.guards),
        json(&new.intents),
        evidence_id,
        new.grounds.map(json),
        new.evidence.and_then(|evidence| evidence.session.times.updated).map(ms),
        new.undoes.map(|id| id.0),
        ms(new.at),
    ])
    .map(TransitionId)
}

const SELECT: &str = "SELECT t.id, t.source, t.session, t.kind, t.from_state, t.to_state, t.native_before,
    t.native_after, t.revision_before, t.revision_after, t.record_before, t.edits, t.rule, t.policy, t.policy_digest,
    t.reason, t.guards, t.intents, e.digest, t.grounds, t.undoes, t.undone_by, t.prepared_at, t.outcome,
    t.exclusive, t.detail, t.settled_at
    FROM transitions t LEFT JOIN evidence e ON e.id = t.evidence_id";

fn read(row: &Row<'_>) -> rusqlite::Result<Transition> {
    let kind = kind(row, 3)?;
    let detail = || Ok::<_, rusqlite::Error>(row.get::<_, Option<String>>(25)?.unwrap_or_default());
    let standing = match row.get_ref(23)?.as_str_or_null()? {
        None => Standing::Prepared,
        Some("written") => Standing::Written {
            exclusive: row.get::<_, Option<bool>>(24)?.unwrap_or_default(),
        },
        Some("conflict") => Standing::Conflict { detail: detail()? },
        Some("failed") => Standing::Failed { detail: detail()? },
        Some(other) => {
            return Err(row::unreadable(
                23,
                format!("\"{other}\" is no end of a transition"),
            ));
        }
    };
    let name =
        |column| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(column)?.map(TransitionId));
    Ok(Transition {
        id: TransitionId(row.get(0)?),
        session: row::session_id(row, 1)?,
        kind,
        from: row::state(row, 4)?,
        to: row::state(row, 5)?,
        native_before: row.get(6)?,
        native_after: row.get(7)?,
        revision_before: Revision(row.get(8)?),
        revision_after: Revision(row.get(9)?),
        record_before: row.get(10)?,
        edits: row.get(11)?,
        rule: row.get(12)?,
        policy: row.get(13)?,
        policy_digest: row.get(14)?,
        reason: row.get(15)?,
        guards: row::from_json(row, 16)?,
        intents: row::from_json(row, 17)?,
        evidence: row.get::<_, Option<[u8; 32]>>(18)?.map(ContentDigest),
        grounds: row::maybe_json(row, 19)?,
        undoes: name(20)?,
        undone_by: name(21)?,
        at: row::at(row, 22)?,
        standing,
        settled_at: row::maybe_at(row, 26)?,
    })
}
