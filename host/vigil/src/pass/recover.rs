//! What a crash left: writes that were prepared and never settled. The record itself says how they ended.

use std::collections::BTreeMap;

use vigil_core::SessionId;
use vigil_store::{Settled, Transition};

use super::{Moment, Reconciler};
use crate::failure::Failure;
use crate::memory;

impl Reconciler {
    /// Settles what an earlier vigil prepared, by comparing the record with both digests.
    pub(super) fn recover(&mut self, moment: &Moment) -> Result<(), Failure> {
        let unsettled = self.store.unsettled().map_err(memory::failed)?;
        if unsettled.is_empty() {
            return Ok(());
        }
        let mut by_source: BTreeMap<String, Vec<Transition>> = BTreeMap::new();
        for transition in unsettled {
            by_source
                .entry(transition.session.source.clone())
                .or_default()
                .push(transition);
        }
        let mut settled = Vec::new();
        for (name, transitions) in by_source {
            // A source that is not configured now may be tomorrow: its rows wait.
            let Some(configured) = self
                .sources
                .iter()
                .find(|configured| configured.source.name() == name)
            else {
                continue;
            };
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
            let Ok(revisions) = configured.source.revisions(&ids, self.world.as_ref()) else {
                continue;
            };
            for ((transition, revision), lease) in transitions.into_iter().zip(revisions).zip(free)
            {
                // Another vigil is writing it right now.
                if !lease {
                    continue;
                }
                let how = match revision {
                    Some(now) if now == transition.revision_after => {
                        Settled::Written { exclusive: false }
                    }
                    Some(now) if now == transition.revision_before => {
                        Settled::Failed("vigil ended before it was written".to_owned())
                    }
                    Some(_) => Settled::Conflict(
                        "vigil ended while it was being written, and the record changed since"
                            .to_owned(),
                    ),
                    None => Settled::Conflict("the record is gone".to_owned()),
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
        self.store
            .settle_all(&settled, moment.now)
            .map_err(memory::failed)?;
        self.store.release(&self.holder).map_err(memory::failed)?;
        Ok(())
    }
}
