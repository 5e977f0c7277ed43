//! What is kept of a pass: the journal, when to look again, and what the next pass compares with.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use vigil_core::{SessionId, Timestamp, requeue};
use vigil_store::{Entry as JournalEntry, Look, Memo};

use super::{Batch, Entry, Moment, Reconciler, SeenSession};
use crate::failure::Failure;
use crate::memory;
use crate::report::Outcome;

impl Reconciler {
    /// Writes down what the pass came to.
    pub(super) fn settle(&mut self, batches: &[Batch], moment: &Moment) -> Result<(), Failure> {
        for batch in batches.iter().filter(|batch| batch.error.is_none()) {
            self.journal(batch, moment)?;
            self.remember(batch, moment)?;
            self.schedule_next(batch, moment)?;
            self.note_seen(batch, moment);
            self.note_undos(batch)?;
        }
        self.store
            .put_mark(&moment.mark())
            .map_err(memory::failed)?;
        self.store.release(&self.holder).map_err(memory::failed)?;
        Ok(())
    }

    fn journal(&mut self, batch: &Batch, moment: &Moment) -> Result<(), Failure> {
        let reasons: Vec<String> = batch.entries.iter().map(Entry::reason).collect();
        let guards: Vec<Vec<_>> = batch
            .entries
            .iter()
            .map(|entry| entry.all_guards().cloned().collect())
            .collect();
        let entries: Vec<JournalEntry<'_>> = batch
            .entries
            .iter()
            .zip(reasons.iter().zip(&guards))
            .filter_map(|(entry, (reason, guards))| {
                let ruling = entry.ruling.as_ref()?;
                let spoke = entry
                    .answers
                    .iter()
                    .find(|answer| Some(&answer.policy) == ruling.policy.as_ref());
                Some(JournalEntry {
                    session: &entry.evidence.session.id,
                    from: entry.from(),
                    to: entry.to(),
                    outcome: entry.outcome.as_str(),
                    rule: &ruling.rule,
                    policy: ruling.policy.as_deref(),
                    policy_digest: ruling.policy_digest.as_deref(),
                    settings_digest: spoke.map(|answer| answer.settings_digest.as_str()),
                    verdict: ruling.proposed.as_ref(),
                    answers: &entry.answers,
                    guards,
                    reason,
                    transition: entry.transition,
                    evidence: &entry.evidence,
                    at: moment.now,
                })
            })
            .collect();
        self.store.record(&entries).map_err(memory::failed)
    }

    fn remember(&mut self, batch: &Batch, moment: &Moment) -> Result<(), Failure> {
        let name = batch.configured.source.name();
        // Sessions that were not due stay as they were last seen.
        let looked: HashSet<&SessionId> = batch
            .entries
            .iter()
            .map(|entry| &entry.evidence.session.id)
            .collect();
        let known: HashSet<&SessionId> = batch.known().collect();
        let unseen = |id: &SessionId| !looked.contains(id) && known.contains(id);
        let mut alive = self.store.seen_alive(name).map_err(memory::failed)?;
        alive.retain(|id, _| unseen(id));
        let seen: BTreeMap<SessionId, Timestamp> = batch
            .survey
            .alive
            .iter()
            .map(|id| (id.clone(), moment.now))
            .collect();
        alive.extend(seen);
        self.store
            .put_seen_alive(name, &alive)
            .map_err(memory::failed)?;
        self.store
            .put_lost(name, &batch.survey.lost)
            .map_err(memory::failed)?;
        let mut memos = Vec::new();
        for entry in &batch.entries {
            for answer in &entry.answers {
                if let Ok(decision) = &answer.answer {
                    memos.push(Memo {
                        session: &entry.evidence.session.id,
                        policy: &answer.policy,
                        text: decision.memo.as_deref(),
                    });
                }
            }
        }
        self.store
            .put_memos(&memos, moment.now)
            .map_err(memory::failed)
    }

    /// Notes what was judged, and forgets what is no more. A record that was written is another one at the next look, and
    /// its owner may have a mind of its own.
    fn note_seen(&mut self, batch: &Batch, moment: &Moment) {
        let known: HashSet<&SessionId> = batch.known().collect();
        let source = batch.configured.source.name();
        self.seen
            .retain(|id, _| id.source != source || known.contains(id));
        for entry in &batch.entries {
            let session = &entry.evidence.session;
            let seen = SeenSession {
                revision: session.revision.clone(),
                lookup: Arc::new(session.lookup.clone()),
                wants: entry.may_want(),
                judged: moment.now,
            };
            self.seen.insert(session.id.clone(), seen);
        }
    }

    /// What was undone stays so until its grounds are others than they were then: the first look after it, at which all
    /// of them are known, says what they were.
    fn note_undos(&mut self, batch: &Batch) -> Result<(), Failure> {
        let name = batch.configured.source.name();
        let undos = self.store.unlooked_undos(name).map_err(memory::failed)?;
        for (undo, session, grounds) in undos {
            let entry = batch
                .entries
                .iter()
                .find(|entry| entry.evidence.session.id == session);
            if let Some(now) = entry.and_then(|entry| grounds.now(&entry.evidence)) {
                self.store
                    .note_grounds(undo, &now)
                    .map_err(memory::failed)?;
            }
        }
        Ok(())
    }

    fn schedule_next(&mut self, batch: &Batch, moment: &Moment) -> Result<(), Failure> {
        let ids: Vec<&SessionId> = batch
            .entries
            .iter()
            .map(|entry| &entry.evidence.session.id)
            .collect();
        let before = self.store.attempts(&ids).map_err(memory::failed)?;
        let mut looks = Vec::with_capacity(batch.entries.len());
        for (entry, attempts) in batch.entries.iter().zip(before) {
            let Some(ruling) = &entry.ruling else {
                continue;
            };
            let session = &entry.evidence.session;
            let unknown = entry
                .evidence
                .gaps()
                .iter()
                .any(|(fact, _)| entry.asked.iter().any(|asked| asked == fact));
            let troubled = unknown
                || entry.lacks_memory()
                || matches!(entry.outcome, Outcome::Conflict | Outcome::Failed);
            let next = requeue::requeue(
                &session.id,
                ruling,
                troubled,
                attempts,
                self.interval,
                session.state,
                moment.now,
            );
            looks.push(Look {
                session: session.id.clone(),
                at: next.at,
                attempts: next.attempts,
                why: ruling.rule.clone(),
            });
        }
        self.store.put_schedule(&looks).map_err(memory::failed)
    }
}
