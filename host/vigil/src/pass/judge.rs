//! What the policies say: which facts they want, and what they decide on them.

use std::sync::Arc;

use vigil_core::{Evidence, Session, decide, survey};
use vigil_policy::{ChainQuestion, Quarantine};

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
        let (work, quarantine) = blocking(move || {
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
                for (entry, answers) in batch.entries.iter_mut().zip(answers) {
                    entry.answers = answers;
                }
            }
            (work, quarantine)
        })
        .await?;
        *batches = work;
        self.quarantine = quarantine;
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
            .flat_map(|batch| batch.known.iter().cloned())
            .collect();
        self.quarantine.keep(&policies, &sessions);
    }

    fn recall_memos(&self, batch: &mut Batch) -> Result<(), Failure> {
        let source = batch.configured.source.name();
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
            let evidence: Vec<Evidence> = batch
                .entries
                .iter()
                .map(|entry| entry.evidence.clone())
                .collect();
            let memory = self
                .store
                .memory(batch.configured.source.name(), &evidence, moment.now)
                .map_err(memory::failed)?;
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
