//! What the policies say: which facts they want, and what they decide on them.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use vigil_core::{Evidence, Session, SessionId, decide, survey};
use vigil_policy::{Chain, ChainQuestion, Disagreement, Quarantine, Question};

use super::load::blocking;
use super::{Batch, Moment, Reconciler};
use crate::failure::Failure;
use crate::memory;
use crate::report::Outcome;

impl Reconciler {
    /// Asks the chain which facts each session needs.
    pub(super) async fn want(&mut self, batches: &mut Vec<Batch>) -> Result<(), Failure> {
        let chain = Arc::clone(&self.chain);
        let mut quarantine = std::mem::take(&mut self.quarantine);
        let mut work = std::mem::take(batches);
        let (work, quarantine) = blocking(move || {
            for batch in &mut work {
                let sessions: Vec<&Session> = batch
                    .entries
                    .iter()
                    .map(|entry| &entry.evidence.session)
                    .collect();
                let wanted = chain.wants(&batch.context, &sessions, &mut quarantine);
                for (entry, wanted) in batch.entries.iter_mut().zip(wanted) {
                    entry.asked = wanted.facts;
                    entry.failures = wanted.failures;
                }
            }
            (work, quarantine)
        })
        .await?;
        *batches = work;
        self.quarantine = quarantine;
        Ok(())
    }

    /// Asks the chain to decide.
    pub(super) async fn judge(&mut self, batches: &mut Vec<Batch>) -> Result<(), Failure> {
        for batch in batches.iter_mut() {
            self.recall_memos(batch)?;
        }
        let chain = Arc::clone(&self.chain);
        let mut quarantine = std::mem::take(&mut self.quarantine);
        let mut work = std::mem::take(batches);
        let mut disagreements = std::mem::take(&mut self.disagreements);
        let (work, quarantine, disagreements) = blocking(move || {
            for batch in &mut work {
                let memos: Vec<Vec<Option<&str>>> = batch
                    .entries
                    .iter()
                    .map(|entry| entry.memos.iter().map(Option::as_deref).collect())
                    .collect();
                let questions: Vec<ChainQuestion<'_>> = batch
                    .entries
                    .iter()
                    .zip(&memos)
                    .map(|(entry, memos)| ChainQuestion {
                        evidence: &entry.evidence,
                        memos,
                        failures: &entry.failures,
                    })
                    .collect();
                let answers = chain.decide(&batch.context, &questions, &mut quarantine);
                sample(&chain, batch, &questions, &mut disagreements);
                for (entry, answers) in batch.entries.iter_mut().zip(answers) {
                    entry.answers = answers;
                }
            }
            (work, quarantine, disagreements)
        })
        .await?;
        *batches = work;
        self.quarantine = quarantine;
        self.disagreements = disagreements;
        self.forget_strangers(batches);
        Ok(())
    }

    /// Bounds what is counted about failing policies to the policies and sessions that there are.
    fn forget_strangers(&mut self, batches: &[Batch]) {
        let policies = self
            .chain
            .links()
            .iter()
            .map(|link| Quarantine::key(&link.policy))
            .collect();
        let sessions = batches
            .iter()
            .flat_map(|batch| batch.known().cloned())
            .collect();
        self.quarantine.keep(&policies, &sessions);
    }

    fn recall_memos(&self, batch: &mut Batch) -> Result<(), Failure> {
        let source = batch.configured.source.name();
        for entry in &mut batch.entries {
            entry.memos.clear();
        }
        for link in self.chain.links() {
            let memos = self
                .store
                .memos(source, link.policy.name())
                .map_err(memory::failed)?;
            for entry in &mut batch.entries {
                entry
                    .memos
                    .push(memos.get(&entry.evidence.session.id).cloned());
            }
        }
        Ok(())
    }

    /// Surveys each batch as a whole, and decides about each of its sessions.
    pub(super) fn rule(&mut self, batches: &mut [Batch], moment: &Moment) -> Result<(), Failure> {
        for batch in batches.iter_mut() {
            let evidence: Vec<&Evidence> =
                batch.entries.iter().map(|entry| &entry.evidence).collect();
            let mut memory = self
                .store
                .memory(batch.configured.source.name(), &evidence, moment.now)
                .map_err(memory::failed)?;
            // What brought a session where it is, is read only where it can be told.
            memory.brought = self
                .store
                .brought(batch.entries.iter().filter_map(|entry| {
                    let session = &entry.evidence.session;
                    decide::tells_what_brought(session, &entry.answers).then_some(&entry.evidence)
                }))
                .map_err(memory::failed)?;
            let known: HashSet<&SessionId> = batch.known().collect();
            memory.seen_alive.retain(|id, _| known.contains(id));
            memory.lost.retain(|id, _| known.contains(id));
            batch.survey = survey::survey(&evidence, &batch.context, memory);
            for entry in &mut batch.entries {
                let ruling = decide::decide(
                    &entry.evidence,
                    &entry.answers,
                    &entry.asked,
                    &batch.survey,
                    &batch.context,
                );
                entry.outcome = Outcome::unwritten(&ruling);
                entry.ruling = Some(ruling);
            }
        }
        Ok(())
    }
}

/// How many sessions of a batch are judged once more, alone and together: enough to notice a policy that looks at its
/// company within minutes, and nothing that a pass would feel.
const SAMPLE: usize = 3;

/// Asks each policy about a few sessions alone and together. Which ones depends on the moment, so that over the passes
/// all have their turn.
fn sample(
    chain: &Chain,
    batch: &Batch,
    questions: &[ChainQuestion<'_>],
    disagreements: &mut BTreeMap<String, String>,
) {
    if questions.len() < 2 {
        return;
    }
    let first =
        usize::try_from(batch.context.now.as_millis()).unwrap_or_default() % questions.len();
    let picked: Vec<&ChainQuestion<'_>> = questions
        .iter()
        .cycle()
        .skip(first)
        .take(SAMPLE.min(questions.len()))
        .collect();
    for (place, link) in chain.links().iter().enumerate() {
        let asked: Vec<Question<'_>> = picked
            .iter()
            .filter(|question| question.failures.get(place).is_none_or(Option::is_none))
            .map(|question| Question {
                evidence: question.evidence,
                memo: question.memos.get(place).copied().flatten(),
            })
            .collect();
        let found = vigil_policy::check_batch_agreement(&link.policy, &batch.context, &asked);
        // Once seen it stands until vigil starts anew: a sample that agrees proves nothing.
        if let Some(disagreement) = found.first() {
            let text = describe(link.policy.name(), disagreement, &asked);
            disagreements.insert(link.policy.name().to_owned(), text);
        }
    }
}

fn describe(policy: &str, disagreement: &Disagreement, asked: &[Question<'_>]) -> String {
    match disagreement {
        Disagreement::Answer { at, .. } => {
            let session = asked.get(*at).map_or_else(String::new, |question| {
                format!(" about {}", question.evidence.session.id)
            });
            format!(
                "policy {policy} answers otherwise in a batch than alone{session}: its answers depend on the company"
            )
        }
        Disagreement::Batch { failure, .. } => {
            format!(
                "policy {policy} fails in a batch and not alone ({failure_kind})",
                failure_kind = failure.kind
            )
        }
    }
}
