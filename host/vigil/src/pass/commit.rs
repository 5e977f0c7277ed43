//! Writes: the journal first, then one write for all transitions of a source, then the journal again.

use std::sync::{Arc, PoisonError};

use vigil_core::decide::Action;
use vigil_core::guard::{Code, Objection};
use vigil_core::{Grounds, Session, Timestamp};
use vigil_sources::{Change, Committed, Proposal, Refusal, Target, World};
use vigil_store::{Held, Kind, NewTransition, Settled, Standing, Transition, TransitionId};

use super::load::blocking;
use super::watched::Watched;
use super::{Batch, Entry, Moment, Reconciler};
use crate::failure::Failure;
use crate::memory;
use crate::report::Outcome;
use crate::sources::Configured;

impl Reconciler {
    /// Works out what each ruling would write, without writing.
    pub(super) async fn propose(&self, batches: &mut Vec<Batch>) -> Result<(), Failure> {
        let world = Arc::clone(&self.world);
        let mut work = std::mem::take(batches);
        *batches = blocking(move || {
            for batch in &mut work {
                propose_batch(batch, world.as_ref());
            }
            work
        })
        .await?;
        Ok(())
    }

    /// Carries the rulings out.
    ///
    /// Guarantees: a write is in the journal before it is made; a crash at any point leaves a prepared row that the
    /// next pass settles by looking at the record.
    pub(super) async fn commit(
        &mut self,
        batches: &mut Vec<Batch>,
        moment: &Moment,
    ) -> Result<(), Failure> {
        for entry in batches.iter_mut().flat_map(|batch| &mut batch.entries) {
            if entry.leased_elsewhere && entry.outcome == Outcome::WouldTransition {
                entry.outcome = Outcome::Conflict;
                entry.outcome_detail =
                    Some("another vigil reconciles it at this moment".to_owned());
            }
        }
        self.propose(batches).await?;
        for batch in batches.iter_mut() {
            if batch.read_only.is_none() {
                self.commit_batch(batch, moment).await?;
            }
            if let Some(objection) = &batch.read_only {
                let objection = objection.clone();
                let unwritten =
                    |entry: &&mut Entry| entry.proposal.is_some() && entry.transition.is_none();
                for entry in batch.entries.iter_mut().filter(unwritten) {
                    entry.guards.push(objection.clone());
                }
            }
        }
        Ok(())
    }

    /// The world as a write to `source` sees it.
    pub(super) fn watched(&self, configured: &Configured, moment: &Moment) -> Watched {
        let world = Arc::clone(&self.world);
        Watched::by_hand(world, configured.source.name(), self.store.watch())
            .in_a_pass(configured.mode, moment.awake_since)
    }

    /// Why nothing may be written to `source` at this moment, whatever held when the pass began.
    fn held(&self, source: &str) -> Result<Option<Objection>, Failure> {
        let held = self.store.watch().held(source, self.world.now());
        Ok(held.map_err(memory::failed)?.as_ref().map(read_only))
    }

    async fn commit_batch(&mut self, batch: &mut Batch, moment: &Moment) -> Result<(), Failure> {
        // One list, so that rows, proposals and entries cannot slip against each other.
        let grounds: Vec<Option<Grounds>> = batch.entries.iter().map(grounds).collect();
        let mut at = Vec::new();
        let mut new: Vec<NewTransition<'_>> = Vec::new();
        let mut proposals: Vec<Proposal> = Vec::new();
        for (index, (entry, grounds)) in batch.entries.iter().zip(&grounds).enumerate() {
            let row = new_transition(entry, grounds.as_ref(), moment);
            if let (Some(row), Some(proposal)) = (row, &entry.proposal) {
                at.push(index);
                new.push(row);
                proposals.push(proposal.clone());
            }
        }
        if at.is_empty() {
            return Ok(());
        }
        batch.read_only = self.held(batch.configured.source.name())?;
        if batch.read_only.is_some() {
            return Ok(());
        }
        let ids = self.store.prepare(&new).map_err(memory::failed)?;
        let source = Arc::clone(&batch.configured.source);
        let world = self.watched(&batch.configured, moment);
        let (committed, held) = blocking(move || {
            let committed = source.commit(&proposals, &world);
            (committed, world.held.into_inner())
        })
        .await?;
        let ended = self.world.now();
        let held = held
            .unwrap_or_else(PoisonError::into_inner)
            .transpose()
            .map_err(memory::failed)?;
        if let Some(objection) = held {
            // The rows end here; the sessions are held as if the pass had begun after it.
            let settled: Vec<_> = ids.iter().zip(&committed).map(settled_row).collect();
            tracing::warn!(
                source = world_name(batch),
                why = objection.detail,
                "writing was stopped in the middle of a pass"
            );
            batch.read_only = Some(objection);
            self.store
                .settle_all(&settled, ended)
                .map_err(memory::failed)?;
            return Ok(());
        }
        batch.locked = committed.iter().find_map(|committed| match committed {
            Committed::Locked(why) => Some(why.clone()),
            _ => None,
        });
        if let Some(why) = &batch.locked {
            // The same for all of them, so that it is told once.
            tracing::warn!(
                source = world_name(batch),
                sessions = at.len(),
                why,
                "nothing could be written"
            );
        }
        // What was written is told whatever becomes of vigil's memory.
        for ((&index, id), committed) in at.iter().zip(&ids).zip(&committed) {
            let entry = &mut batch.entries[index];
            entry.transition = Some(*id);
            note(entry, committed.clone());
            if !matches!(committed, Committed::Locked(_)) {
                tell(entry);
            }
        }
        // Before the rows are settled: a crash in between leaves them to recovery, which does it again.
        for (&index, committed) in at.iter().zip(&committed) {
            if matches!(committed, Committed::Written { .. }) {
                let entry = &batch.entries[index];
                let (session, granted) = (entry.evidence.session.clone(), entry.granted.clone());
                let reason = entry.reason();
                for one in &granted {
                    self.carry_out(
                        &session.id,
                        session.repo.as_deref(),
                        one,
                        &reason,
                        moment.now,
                    )?;
                }
            }
        }
        let settled: Vec<_> = ids.iter().zip(&committed).map(settled_row).collect();
        self.store
            .settle_all(&settled, ended)
            .map_err(memory::failed)?;
        if batch.locked.is_some() {
            // The journal keeps the latest of tries that were alike.
            self.store.forget_repeats(&ids).map_err(memory::failed)?;
        }
        Ok(())
    }
}

fn world_name(batch: &Batch) -> &str {
    batch.configured.source.name()
}

fn settled_row((id, committed): (&TransitionId, &Committed)) -> (TransitionId, Settled) {
    (*id, settled_as(committed))
}

/// What stops a write, as a guard says it.
pub(super) fn read_only(held: &Held) -> Objection {
    let detail = match held {
        Held::Stopped(file) => format!(
            "stopped by the file {}; remove it to let vigil write again",
            file.display()
        ),
        Held::Paused(pause) => format!(
            "paused since {}; `vigil resume` lets it write again",
            crate::ui::moment(pause.since)
        ),
    };
    Objection::new(Code::ReadOnly, detail)
}

fn propose_batch(batch: &mut Batch, world: &dyn World) {
    // As in `commit_batch`: one list, so that changes and entries cannot slip against each other.
    let (at, changes): (Vec<usize>, Vec<Change<'_>>) = batch
        .entries
        .iter()
        .enumerate()
        .filter(|(_, entry)| entry.outcome == Outcome::WouldTransition)
        .filter_map(|(index, entry)| Some((index, change(entry, batch.context.now)?)))
        .unzip();
    let proposed = batch.configured.source.propose(&changes, world);
    for (index, proposed) in at.into_iter().zip(proposed) {
        let entry = &mut batch.entries[index];
        match proposed {
            Ok(proposal) => entry.proposal = Some(proposal),
            Err(Refusal::Conflict(detail)) => {
                entry.outcome = Outcome::Conflict;
                entry.guards.push(Objection::new(Code::FreshRead, detail));
            }
            Err(Refusal::Unsaved(detail)) => {
                entry.outcome = Outcome::Refused;
                entry.guards.push(Objection::new(Code::UnsavedWork, detail));
            }
            Err(Refusal::Unsafe(detail)) => {
                entry.outcome = Outcome::Refused;
                entry.guards.push(Objection::new(Code::LegalEdge, detail));
            }
        }
    }
}

fn change(entry: &Entry, now: Timestamp) -> Option<Change<'_>> {
    let ruling = entry.ruling.as_ref()?;
    let target = match &ruling.action {
        Action::Move(to) => Target::State(*to),
        Action::Repair(drift) => Target::Repair(drift.clone()),
        Action::Hold | Action::Refuse => return None,
    };
    Some(Change {
        evidence: &entry.evidence,
        target,
        at: now,
        rule: &ruling.rule,
        reason: &ruling.reason,
    })
}

/// What the rule of a write rests on.
fn grounds(entry: &Entry) -> Option<Grounds> {
    entry.proposal.as_ref()?;
    let ruling = entry.ruling.as_ref()?;
    Some(Grounds::of(&ruling.rests_on, &entry.evidence))
}

fn new_transition<'a>(
    entry: &'a Entry,
    grounds: Option<&'a Grounds>,
    moment: &Moment,
) -> Option<NewTransition<'a>> {
    let (ruling, proposal) = (entry.ruling.as_ref()?, entry.proposal.as_ref()?);
    let session: &Session = &entry.evidence.session;
    let kind = match ruling.action {
        Action::Repair(_) => Kind::Repair,
        _ => Kind::Transition,
    };
    Some(NewTransition {
        session: &session.id,
        kind,
        from: session.state,
        to: ruling.state_after(session.state),
        native_before: &proposal.native_before,
        native_after: &proposal.native_after,
        revision_before: &proposal.before,
        revision_after: &proposal.after,
        record_before: &proposal.record_before,
        edits: &proposal.edits,
        rule: &ruling.rule,
        policy: ruling.policy.as_deref(),
        policy_digest: ruling.policy_digest.as_deref(),
        reason: &ruling.reason,
        guards: &ruling.guards,
        intents: &entry.granted,
        evidence: Some(&entry.evidence),
        grounds,
        undoes: None,
        at: moment.now,
    })
}

/// How a write that a source made stands in the journal.
pub(crate) fn settled_as(committed: &Committed) -> Settled {
    match committed {
        Committed::Written { exclusive } => Settled::Written {
            exclusive: *exclusive,
        },
        Committed::Conflict(detail) | Committed::Locked(detail) => {
            Settled::Conflict(detail.clone())
        }
        Committed::Failed(detail) => Settled::Failed(detail.clone()),
    }
}

fn note(entry: &mut Entry, committed: Committed) {
    let repaired = entry
        .ruling
        .as_ref()
        .is_some_and(|ruling| matches!(ruling.action, Action::Repair(_)));
    match committed {
        Committed::Written { exclusive } => {
            entry.exclusive = Some(exclusive);
            entry.outcome = if repaired {
                Outcome::Repaired
            } else {
                Outcome::Transitioned
            };
        }
        Committed::Conflict(detail) => {
            entry.outcome = Outcome::Conflict;
            entry.guards.push(Objection::new(Code::FreshRead, detail));
        }
        Committed::Locked(_) => {
            entry.outcome = Outcome::Conflict;
            // Who holds it is said once for all.
            let detail = "the lock that a write needs is held";
            entry.guards.push(Objection::new(Code::FreshRead, detail));
            // The decision is the same at each try.
            entry.transition = None;
        }
        Committed::Failed(detail) => {
            entry.outcome = Outcome::Failed;
            entry.outcome_detail = Some(detail);
        }
    }
}

/// The event that an operator finds when a warning has gone away.
fn tell(entry: &Entry) {
    let session = &entry.evidence.session;
    let transition = entry
        .transition
        .map(|id| id.to_string())
        .unwrap_or_default();
    let rule = entry
        .ruling
        .as_ref()
        .map(|ruling| ruling.rule.as_str())
        .unwrap_or_default();
    let reason = entry.reason();
    match entry.outcome {
        Outcome::Transitioned | Outcome::Repaired => tracing::info!(
            session = %session.id,
            from = %entry.from(),
            to = %entry.to(),
            rule,
            transition,
            exclusive = entry.exclusive,
            reason,
            "session moved"
        ),
        Outcome::Failed => tracing::error!(session = %session.id, rule, reason, "write failed"),
        _ => tracing::warn!(session = %session.id, rule, reason, "write did not go through"),
    }
}

/// Whether a transition changed its record.
pub fn was_written(transition: &Transition) -> bool {
    matches!(transition.standing, Standing::Written { .. })
}

/// The write of a transition, as its source proposed it.
pub fn proposal_of(transition: &Transition) -> Proposal {
    Proposal {
        id: transition.session.clone(),
        before: transition.revision_before.clone(),
        after: transition.revision_after.clone(),
        native_before: transition.native_before.clone(),
        native_after: transition.native_after.clone(),
        record_before: transition.record_before.clone(),
        edits: transition.edits.clone(),
    }
}
