//! What people are told: intents that policies ask for, and alerts about vigil's own troubles. Each once; what could
//! not be delivered waits in the store and is sent again, also after a crash.

use vigil_core::Timestamp;
use vigil_core::guard::Code;
use vigil_core::requeue::backoff;

use super::load::blocking;
use super::observe::Asked;
use super::{Batch, Entry, Moment, Reconciler};
use crate::failure::Failure;
use crate::memory;
use crate::notify::{self, Notice};
use crate::report::Outcome;
use crate::ui;

impl Reconciler {
    /// Queues what is to be told, then delivers what waits.
    pub(super) async fn deliver(
        &mut self,
        batches: &[Batch],
        asked: &Asked,
        moment: &Moment,
    ) -> Result<(), Failure> {
        for batch in batches {
            // What goes with a write was carried out with it; what goes with a hold is carried out here.
            let held = |entry: &&Entry| entry.outcome == Outcome::Held;
            for entry in batch.entries.iter().filter(held) {
                let session = &entry.evidence.session;
                for granted in &entry.granted {
                    let repo = session.repo.as_deref();
                    self.carry_out(&session.id, repo, granted, &entry.reason(), moment.now)?;
                }
            }
        }
        self.alerts(batches, asked, moment)?;
        self.flush(moment.now).await
    }

    /// Raises and clears alerts about what concerns more than one session. Each is told once, with its start.
    fn alerts(&mut self, batches: &[Batch], asked: &Asked, moment: &Moment) -> Result<(), Failure> {
        const FORGE: [&str; 5] = [
            "no-token",
            "token-rejected",
            "rate-limited",
            "refused",
            "unanswered",
        ];
        let trouble = asked
            .trouble
            .as_ref()
            .map(|trouble| (trouble.code(), trouble.to_string()));
        if asked.anything {
            for code in FORGE {
                let key = format!("github-{code}");
                let text = trouble
                    .as_ref()
                    .filter(|(now, _)| *now == code)
                    .map(|(_, text)| text);
                self.alert(&key, text.map(String::as_str), moment.now)?;
            }
        }
        for batch in batches {
            let name = batch.configured.source.name();
            self.alert(
                &format!("source-{name}"),
                batch.error.as_deref(),
                moment.now,
            )?;
            if batch.error.is_some() {
                continue;
            }
            let mass = batch.survey.mass.as_ref().map(|mass| mass.describe());
            self.alert(&format!("mass-change-{name}"), mass.as_deref(), moment.now)?;
            for entry in &batch.entries {
                let disagrees = entry
                    .all_guards()
                    .find(|objection| objection.code == Code::OwnerDisagrees);
                let key = format!("owner-disagrees-{}", entry.evidence.session.id);
                if let Some(objection) = disagrees {
                    let text = format!("{}: {}", entry.evidence.session.id, objection.detail);
                    self.alert(&key, Some(&text), moment.now)?;
                }
            }
        }
        Ok(())
    }

    fn alert(&mut self, key: &str, text: Option<&str>, now: Timestamp) -> Result<(), Failure> {
        match text {
            Some(text) => {
                if self.store.raise(key, text, now).map_err(memory::failed)? {
                    tracing::warn!(alert = key, text, "alert raised");
                    self.queue(&notice("alert", key, text, now), now)?;
                }
            }
            None => {
                if let Some(alert) = self.store.clear(key).map_err(memory::failed)? {
                    let text = format!("over: {}", alert.text);
                    tracing::info!(alert = key, "alert cleared");
                    self.queue(&notice("resolved", key, &text, alert.since), now)?;
                }
            }
        }
        Ok(())
    }

    pub(super) fn queue(&mut self, notice: &Notice, now: Timestamp) -> Result<(), Failure> {
        if !self.notifier.is_configured() {
            return Ok(());
        }
        let payload = serde_json::to_string(notice)
            .map_err(|error| Failure::world("failed to write a notice").because(error))?;
        self.store
            .enqueue(&notice.key, &payload, now)
            .map_err(memory::failed)?;
        Ok(())
    }

    /// Delivers what waits. What fails stays and is tried again later, with growing delays.
    pub async fn flush(&mut self, now: Timestamp) -> Result<(), Failure> {
        if !self.notifier.is_configured() {
            return Ok(());
        }
        for waiting in self.store.undelivered(now).map_err(memory::failed)? {
            let notifier = self.notifier.clone();
            let parsed: Result<Notice, _> = serde_json::from_str(&waiting.payload);
            let sent = match parsed {
                Ok(notice) => blocking(move || notifier.send(&notice)).await?,
                Err(error) => Err(error.into()),
            };
            match sent {
                Ok(()) => {
                    self.store
                        .delivered(&waiting.key, now)
                        .map_err(memory::failed)?;
                }
                Err(error) => {
                    let next = now.after(backoff(waiting.attempts.saturating_add(1)));
                    let error = format!("{error:#}");
                    tracing::warn!(
                        key = waiting.key,
                        error,
                        "notice not delivered; it is sent again"
                    );
                    self.store
                        .failed(&waiting.key, &error, next)
                        .map_err(memory::failed)?;
                }
            }
        }
        Ok(())
    }
}

fn notice(kind: &str, key: &str, text: &str, since: Timestamp) -> Notice {
    Notice {
        schema: notify::SCHEMA.to_owned(),
        kind: kind.to_owned(),
        key: format!("{kind}/{key}/{since}"),
        text: text.to_owned(),
        session: None,
        since: ui::moment(since),
    }
}
