//! The journal: every pass's decisions with what they rested on. What repeats is counted, not written again.

use std::collections::HashMap;
use std::time::Duration;

use rusqlite::{OptionalExtension as _, Row, Transaction, params};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use vigil_core::guard::Objection;
use vigil_core::standing::Origin;
use vigil_core::time::minutes;
use vigil_core::verdict::PolicyAnswer;
use vigil_core::{Evidence, SessionId, State, Timestamp, Verdict};

use crate::digest::{evidence_digest, json};
use crate::error::Result;
use crate::evidence::{ContentDigest, Packed, Packer, keep};
use crate::open::{Store, ms};
use crate::row;
use crate::transitions::TransitionId;

/// How old the latest evidence of a repeating row may become before it is replaced by the present one. It differs
/// from the one before in its times alone, so that keeping each one would write 10 GB a day for 10,000 sessions and
/// tell nobody anything.
pub const KEEP_LATEST_AFTER: Duration = minutes(15);

/// Decisions that one transaction records. New ones take about 30 us each, so that others wait for a tenth of a second.
const ENTRIES_PER_STEP: usize = 4_000;

/// One session's decision in one pass, as it goes into the journal.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// The session.
    pub session: &'a SessionId,
    /// Its recorded state when it was looked at.
    pub from: State,
    /// Its state after the pass; `from` unless it moved.
    pub to: State,
    /// What became of it: `transitioned`, `would-transition`, `repaired`, `held`, `refused`, `conflict`, `failed`.
    pub outcome: &'a str,
    /// The code of the rule that spoke.
    pub rule: &'a str,
    /// The policy that spoke; `None`: none did.
    pub policy: Option<&'a str>,
    /// SHA-256 of that policy's component, hex.
    pub policy_digest: Option<&'a str>,
    /// SHA-256 of the settings that it was given, hex.
    pub settings_digest: Option<&'a str>,
    /// What that policy proposed, before the guards.
    pub verdict: Option<&'a Verdict>,
    /// What the whole chain said.
    pub answers: &'a [PolicyAnswer],
    /// The guards that spoke.
    pub guards: &'a [Objection],
    /// One sentence for people.
    pub reason: &'a str,
    /// The transition that was prepared because of it.
    pub transition: Option<TransitionId>,
    /// All that it rested on.
    pub evidence: &'a Evidence,
    /// The moment of the pass.
    pub at: Timestamp,
}

/// A row of the journal: one decision, and how often it was made.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub struct JournalRow {
    /// Rises with the time of the first decision.
    pub id: u64,
    /// The session.
    pub session: SessionId,
    /// Its recorded state when it was looked at.
    pub from: State,
    /// Its state after the pass.
    pub to: State,
    /// What became of it.
    pub outcome: String,
    /// The code of the rule that spoke.
    pub rule: String,
    /// The policy that spoke; `None`: none did.
    pub policy: Option<String>,
    /// SHA-256 of that policy's component, hex.
    pub policy_digest: Option<String>,
    /// SHA-256 of the settings that it was given, hex.
    pub settings_digest: Option<String>,
    /// What that policy proposed, before the guards.
    pub verdict: Option<Verdict>,
    /// What the whole chain said the first time. Ages and delays in its sentences are those of that time.
    pub answers: Vec<PolicyAnswer>,
    /// The guards that spoke, with what they saw the first time.
    pub guards: Vec<Objection>,
    /// One sentence for people, of the first time.
    pub reason: String,
    /// Where that sentence comes from.
    pub reason_from: Origin,
    /// The transition that was prepared because of it.
    pub transition: Option<TransitionId>,
    /// The digest of the evidence without its times, hex.
    pub evidence_digest: String,
    /// The evidence of the first time; [`Store::evidence`] gives it.
    pub first_evidence: ContentDigest,
    /// The latest evidence that is kept, at most [`KEEP_LATEST_AFTER`] older than `last_at`.
    pub latest_evidence: ContentDigest,
    /// The first time.
    pub first_at: Timestamp,
    /// The latest time; earlier than the first one when the clock was set back in between.
    pub last_at: Timestamp,
    /// In how many passes it was decided like this, 1 or more.
    pub count: u64,
}

/// What `status` shows of a decision: a thousand of them are read while a person waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Latest {
    /// The recorded state when the session was looked at.
    pub from: State,
    /// Its state after the pass.
    pub to: State,
    /// What became of it.
    pub outcome: String,
    /// The code of the rule that spoke.
    pub rule: String,
    /// One sentence for people, of the first time.
    pub reason: String,
    /// Where that sentence comes from.
    pub reason_from: Origin,
    /// The first time, from which the ages in the sentence count.
    pub first_at: Timestamp,
    /// The latest time.
    pub last_at: Timestamp,
}

impl Entry<'_> {
    /// What tells this decision from others: all but times, sentences and what guards saw in numbers.
    fn key(&self, evidence: &[u8; 32]) -> [u8; 32] {
        let mut hash = Sha256::new();
        let mut part = |text: &str| {
            // Its length first, so that no two lists of parts look alike.
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text);
        };
        part(&self.session.source);
        part(&self.session.id);
        part(self.from.as_str());
        part(self.to.as_str());
        part(self.outcome);
        part(self.rule);
        part(self.policy.unwrap_or_default());
        part(self.policy_digest.unwrap_or_default());
        part(self.settings_digest.unwrap_or_default());
        part(&json(&self.verdict));
        for answer in self.answers {
            part(&answer.policy);
            part(&answer.policy_digest);
            part(&answer.settings_digest);
            match &answer.answer {
                Ok(decision) => {
                    part(&json(&decision.verdict));
                    part(&decision.rule);
                    for intent in &decision.intents {
                        part(&intent.kind);
                        part(&intent.key);
                    }
                }
                Err(failure) => part(&failure.kind),
            }
        }
        part("guards");
        for guard in self.guards {
            part(guard.code.as_str());
        }
        part(&self.transition.map(|id| id.to_string()).unwrap_or_default());
        hash.update(evidence);
        hash.finalize().into()
    }
}

impl Store {
    /// Writes the `entries` of one pass. A decision that equals an earlier one of its session counts that row up; a new
    /// one gets a row with its evidence.
    ///
    /// Guarantees: each of them whole or not at all, in order; a fleet's are written in several transactions, since
    /// others wait meanwhile. A row whose decision comes back after another one is counted up again, so that a session
    /// that flaps between two decisions has two rows.
    ///
    /// # Errors
    /// Those of writing; then the last of the entries are missing, and a later pass writes them as if they were new.
    pub fn record(&mut self, entries: &[Entry<'_>]) -> Result<()> {
        if entries.is_empty() {
            return Ok(());
        }
        let mut packer = Packer::new(self)?;
        let mut turn = None;
        for some in entries.chunks(ENTRIES_PER_STEP) {
            // Hashed before the lock is taken, so that it is held for the writing alone.
            let keyed: Vec<_> = some
                .iter()
                .map(|entry| {
                    let evidence = evidence_digest(entry.evidence).0;
                    (entry, entry.key(&evidence), evidence)
                })
                .collect();
            let this = self.write("record decisions", |db| {
                let turn = match turn {
                    Some(turn) => turn,
                    None => db
                        .prepare_cached("SELECT coalesce(max(turn), 0) + 1 FROM journal_seen")?
                        .query_row([], |row| row.get(0))?,
                };
                for (entry, key, evidence) in &keyed {
                    if !count_up(db, entry, key, turn, &mut packer)? {
                        let packed = packer.pack(entry.evidence)?;
                        insert(db, entry, key, turn, evidence, &packed)?;
                    }
                }
                Ok(turn)
            })?;
            // All of them are one pass's.
            turn = Some(this);
        }
        Ok(())
    }

    /// Rows of the journal, of one session or of all, the one of the latest pass first, also when the clock was set
    /// back since the passes before.
    ///
    /// # Errors
    /// Those of reading.
    pub fn journal(&self, session: Option<&SessionId>, limit: usize) -> Result<Vec<JournalRow>> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.read("read the journal", |db| match session {
            Some(session) => db
                .prepare_cached(&format!(
                    "{SELECT} WHERE j.source = ?1 AND j.session = ?2 {NEWEST_FIRST} LIMIT ?3"
                ))?
                .query_map(params![session.source, session.id, limit], read)?
                .collect(),
            None => db
                .prepare_cached(&format!("{SELECT} {NEWEST_FIRST} LIMIT ?1"))?
                .query_map([limit], read)?
                .collect(),
        })
    }

    /// The latest decision about each session of a source: what `status` shows where nobody looks anew.
    ///
    /// # Errors
    /// Those of reading.
    pub fn latest_of(&self, source: &str) -> Result<HashMap<SessionId, Latest>> {
        self.read("read the journal", |db| {
            // Beside a max() SQLite gives the columns of the row that has it.
            db.prepare_cached(
                "SELECT j.source, j.session, j.from_state, j.to_state, j.outcome, j.rule, j.reason, s.last_at,
                 j.first_at, j.policy IS NOT NULL, j.verdict IS NOT NULL, max(s.turn)
                 FROM journal j JOIN journal_seen s ON s.journal_id = j.id WHERE j.source = ?1 GROUP BY j.session",
            )?
            .query_map([source], |row| {
                let rule: String = row.get(5)?;
                let reason_from = Origin::of(&rule, row.get(9)?, row.get(10)?);
                let latest = Latest {
                    from: row::state(row, 2)?,
                    to: row::state(row, 3)?,
                    outcome: row.get(4)?,
                    rule,
                    reason: row.get(6)?,
                    reason_from,
                    last_at: row::at(row, 7)?,
                    first_at: row::at(row, 8)?,
                };
                Ok((row::session_id(row, 0)?, latest))
            })?
            .collect()
        })
    }

    /// The decision that was made latest about `session`; `None`: it was never looked at, or long ago.
    ///
    /// # Errors
    /// Those of reading.
    pub fn latest(&self, session: &SessionId) -> Result<Option<JournalRow>> {
        Ok(self.journal(Some(session), 1)?.pop())
    }
}

const SELECT: &str = "SELECT j.id, j.source, j.session, j.from_state, j.to_state, j.outcome, j.rule, j.policy,
    j.policy_digest, j.settings_digest, j.verdict, j.answers, j.guards, j.reason, j.transition_id,
    j.evidence_digest, e.digest, coalesce(l.digest, e.digest), j.first_at, s.last_at, s.count
    FROM journal j JOIN journal_seen s ON s.journal_id = j.id JOIN evidence e ON e.id = j.evidence_id
    LEFT JOIN journal_latest l ON l.journal_id = j.id";

// By turn and not by time: after the clock was set back the latest decision has an earlier time than the one before.
const NEWEST_FIRST: &str = "ORDER BY s.turn DESC, j.id DESC";

fn read(row: &Row<'_>) -> rusqlite::Result<JournalRow> {
    let (rule, policy): (String, Option<String>) = (row.get(6)?, row.get(7)?);
    let verdict: Option<Verdict> = row::maybe_json(row, 10)?;
    let reason_from = Origin::of(&rule, policy.is_some(), verdict.is_some());
    Ok(JournalRow {
        id: row::count(row, 0)?,
        session: row::session_id(row, 1)?,
        from: row::state(row, 3)?,
        to: row::state(row, 4)?,
        outcome: row.get(5)?,
        rule,
        policy,
        policy_digest: row.get(8)?,
        settings_digest: row.get(9)?,
        verdict,
        answers: row::from_json(row, 11)?,
        guards: row::from_json(row, 12)?,
        reason: row.get(13)?,
        reason_from,
        transition: row.get::<_, Option<i64>>(14)?.map(TransitionId),
        evidence_digest: hex::encode(row.get::<_, [u8; 32]>(15)?),
        first_evidence: ContentDigest(row.get(16)?),
        latest_evidence: ContentDigest(row.get(17)?),
        first_at: row::at(row, 18)?,
        last_at: row::at(row, 19)?,
        count: row::count(row, 20)?,
    })
}

/// Whether there was a row to count up.
fn count_up(
    db: &Transaction<'_>,
    entry: &Entry<'_>,
    key: &[u8; 32],
    turn: i64,
    packer: &mut Packer,
) -> rusqlite::Result<bool> {
    let known = db
        .prepare_cached(
            "SELECT j.id, s.kept_at FROM journal j JOIN journal_seen s ON s.journal_id = j.id WHERE j.key = ?1",
        )?
        .query_row([key], |row| Ok((row.get::<_, i64>(0)?, row::at(row, 1)?)))
        .optional()?;
    let Some((id, kept_at)) = known else {
        return Ok(false);
    };
    // One that lies ahead was kept by a clock that has been set back since.
    let replace = kept_at.age(entry.at) >= KEEP_LATEST_AFTER || kept_at > entry.at;
    db.prepare_cached(
        "UPDATE journal_seen SET turn = ?4, last_at = ?2, count = count + 1,
         kept_at = CASE WHEN ?3 THEN ?2 ELSE kept_at END WHERE journal_id = ?1",
    )?
    .execute(params![id, ms(entry.at), replace, turn])?;
    if replace {
        let latest = packer.pack(entry.evidence)?;
        db.prepare_cached(
            "INSERT INTO journal_latest (journal_id, digest, size, body) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO UPDATE SET digest = excluded.digest, size = excluded.size, body = excluded.body",
        )?
        .execute(params![id, latest.digest, latest.size, latest.body])?;
    }
    Ok(true)
}

fn insert(
    db: &Transaction<'_>,
    entry: &Entry<'_>,
    key: &[u8; 32],
    turn: i64,
    evidence_digest: &[u8; 32],
    evidence: &Packed,
) -> rusqlite::Result<()> {
    let evidence_id = keep(db, evidence)?;
    let id = db
        .prepare_cached(
            "INSERT INTO journal (key, source, session, from_state, to_state, outcome, rule, policy, policy_digest,
             settings_digest, verdict, answers, guards, reason, transition_id, evidence_digest, evidence_id, first_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)",
        )?
        .insert(params![
            key,
            entry.session.source,
            entry.session.id,
            entry.from.as_str(),
            entry.to.as_str(),
            entry.outcome,
            entry.rule,
            entry.policy,
            entry.policy_digest,
            entry.settings_digest,
            entry.verdict.map(json),
            json(&entry.answers),
            json(&entry.guards),
            entry.reason,
            entry.transition.map(|id| id.0),
            evidence_digest,
            evidence_id,
            ms(entry.at),
        ])?;
    db.prepare_cached(
        "INSERT INTO journal_seen (journal_id, turn, last_at, count, kept_at) VALUES (?1, ?3, ?2, 1, ?2)",
    )?
    .execute(params![id, ms(entry.at), turn])?;
    Ok(())
}
