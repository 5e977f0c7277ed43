//! Effects that policies ask for: granted before anything is written, recorded with the transition that they belong
//! to, and carried out after it, so that a crash in between repeats them harmlessly.

use std::collections::HashMap;

use vigil_core::intents::{self, Granted};
use vigil_core::{Intent, SessionId, Timestamp};
use vigil_store::DoneIntent;

use super::{Batch, Moment, Reconciler};
use crate::failure::Failure;
use crate::memory;
use crate::notify::{self, Notice};
use crate::ui;

/// What a budget is counted over.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Within {
    All,
    Repo(String),
    Session(SessionId),
}

impl Reconciler {
    /// Checks every intent of the pass. What is not granted stays undone, and its guard says so in the report and in
    /// the journal.
    pub(super) fn grant(&mut self, batches: &mut [Batch], moment: &Moment) -> Result<(), Failure> {
        // What this very pass grants counts too, although the store learns of it only afterwards.
        let mut in_this_pass: HashMap<(String, Within), u32> = HashMap::new();
        for entry in batches.iter_mut().flat_map(|batch| &mut batch.entries) {
            let Some(ruling) = &entry.ruling else {
                continue;
            };
            let session = &entry.evidence.session;
            for intent in &ruling.intents {
                let repo = session.repo.as_deref();
                let mut spent = self
                    .store
                    .spent(&intent.kind, &session.id, repo, moment.now)
                    .map_err(memory::failed)?;
                let whole = (intent.kind.clone(), Within::All);
                let session_of = (intent.kind.clone(), Within::Session(session.id.clone()));
                let repo_of = (
                    intent.kind.clone(),
                    Within::Repo(repo.unwrap_or_default().to_owned()),
                );
                let granted = |within: &(String, Within)| {
                    in_this_pass.get(within).copied().unwrap_or_default()
                };
                spent.hour = spent.hour.saturating_add(granted(&whole));
                spent.session_hour = spent.session_hour.saturating_add(granted(&session_of));
                spent.repo_hour = spent.repo_hour.saturating_add(granted(&repo_of));
                match intents::grant(intent, &session.id, &session.revision, &self.grants, &spent) {
                    Ok(granted) => {
                        for within in [whole, session_of, repo_of] {
                            *in_this_pass.entry(within).or_default() += 1;
                        }
                        entry.granted.push(granted);
                    }
                    // The key of one that was carried out comes back with every look: nothing to report.
                    Err(_)
                        if spent.keys.contains(&intents::key(
                            intent,
                            &session.id,
                            &session.revision,
                        )) => {}
                    Err(objection) => entry.guards.push(objection),
                }
            }
        }
        Ok(())
    }

    /// Carries an intent out: it waits in the outbox from now on. Doing it twice does it once.
    pub(super) fn carry_out(
        &mut self,
        session: &SessionId,
        repo: Option<&str>,
        granted: &Granted,
        reason: &str,
        at: Timestamp,
    ) -> Result<(), Failure> {
        let notice = Notice {
            schema: notify::SCHEMA.to_owned(),
            kind: "intent".to_owned(),
            key: granted.key.clone(),
            text: text_of(&granted.intent).unwrap_or(reason).to_owned(),
            session: Some(session.to_string()),
            since: ui::moment(at),
        };
        self.queue(&notice, at)?;
        let done = DoneIntent {
            key: &granted.key,
            kind: &granted.intent.kind,
            session,
            repo,
            at,
        };
        self.store.intent_done(&done).map_err(memory::failed)?;
        Ok(())
    }
}

fn text_of(intent: &Intent) -> Option<&str> {
    intent
        .arguments
        .iter()
        .find(|(name, _)| name == "text")
        .map(|(_, text)| text.as_str())
}
