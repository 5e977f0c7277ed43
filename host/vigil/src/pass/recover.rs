//! What a crash left: writes that were prepared and never settled. The record itself says how they ended.

use std::collections::BTreeMap;

use vigil_core::SessionId;
use vigil_sources::Fate;
use vigil_store::{Settled, Transition};

use super::{Moment, Reconciler, proposal_of};
use crate::failure::Failure;
use crate::memory;

impl Reconciler {
    /// Settles what an earlier vigil prepared, by what the records say, and lets each source put right what it left.
    pub(super) fn recover(&mut self, moment: &Moment) -> Result<(), Failure> {
        let mut by_source: BTreeMap<String, Vec<Transition>> = BTreeMap::new();
        for transition in self.store.unsettled().map_err(memory::failed)? {
            by_source
                .entry(transition.session.source.clone())
                .or_default()
                .push(transition);
        }
        let mut settled = Vec::new();
        // A source that is not configured now may be tomorrow: its rows wait.
        for configured in self.sources.clone() {
            let name = configured.source.name();
            let transitions = by_source.remove(name).unwrap_or_default();
            let ids: Vec<SessionId> = transitions
                .iter()
                .map(|transition| transition.session.clone())
                .collect();
            let free = self
                .store
                .lease(
                    &ids,
                    &self.holder,
                    moment.now,
                    std::time::Duration::from_secs(60),
                )
                .map_err(memory::failed)?;
            let proposals: Vec<_> = transitions.iter().map(proposal_of).collect();
            // What stops a write stops this one, too.
            let world = self.watched(&configured, moment);
            let Ok(fates) = configured.source.recover(&proposals, &world) else {
                // It is told when the records are read.
                continue;
            };
            for ((transition, fate), lease) in transitions.into_iter().zip(fates).zip(free) {
                // Another vigil is writing it right now.
                if !lease {
                    continue;
                }
                let how = match fate {
                    Fate::Written => Settled::Written { exclusive: false },
                    Fate::NotWritten(why) => Settled::Failed(why),
                    Fate::Overtaken(why) => Settled::Conflict(why),
                };
                if matches!(how, Settled::Written { .. }) {
                    for granted in &transition.intents {
                        let (session, reason) = (&transition.session, &transition.reason);
                        self.carry_out(session, None, granted, reason, moment.now)?;
                    }
                }
                tracing::info!(transition = %transition.id, session = %transition.session, ?how, "recovered");
                settled.push((transition.id, how));
            }
        }
        if settled.is_empty() {
            return Ok(());
        }
        self.store
            .settle_all(&settled, moment.now)
            .map_err(memory::failed)?;
        self.store.release(&self.holder).map_err(memory::failed)?;
        Ok(())
    }
}
