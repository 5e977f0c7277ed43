//! What people are told: intents that policies ask for, and alerts about vigil's own troubles. Each once; what could
//! not be delivered waits in the store and is sent again, also after a crash.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use vigil_core::guard::Code;
use vigil_core::requeue::backoff;
use vigil_core::signs::{self, Unsaved};
use vigil_core::{State, Timestamp};

use vigil_github::memory::{Memory, Renamed};
use vigil_github::moved;
use vigil_sources::Displaced;
use vigil_store::Alert;

use super::asking::Asked;
use super::load::blocking;
use super::{Batch, Entry, Moment, Reconciler};
use crate::failure::Failure;
use crate::memory;
use crate::notify::{self, Notice};
use crate::policies::REPLACED;
use crate::report::Outcome;
use crate::ui;

/// What the keys of alerts about reopened sessions begin with; the session follows.
pub(crate) const REOPENED: &str = "reopened-";

/// How the keys of alerts about policies that fail begin; the policy's name follows.
pub const POLICY_FAILED: &str = "policy-failed-";

/// What the keys of alerts about renamed repositories begin with; the source and the former name follow.
const RENAMED: &str = "renamed-";

/// A repository that is called otherwise than the records say, in one sentence.
pub(crate) fn called_otherwise(renamed: &Renamed, follows: bool) -> String {
    let Renamed { from, to, is_same } = renamed;
    let stands = match (is_same, follows) {
        (true, true) => {
            "its node id is the same, and vigil looks there (github.follow_renames)".to_owned()
        }
        (true, false) => format!(
            "nothing moves the sessions of {from} until then, or until github.follow_renames is true"
        ),
        (false, _) => format!(
            "nothing moves the sessions of {from} until then: vigil never saw this repository under that name"
        ),
    };
    format!("{}; {stands}", moved::told(from, to))
}

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
        for entry in batches.iter().flat_map(|batch| &batch.entries) {
            if let Some(notice) = only_here(entry, moment.now) {
                self.queue(&notice, moment.now)?;
            }
        }
        self.alerts(batches, asked, moment)?;
        self.flush(moment.now).await
    }

    /// Ends the alerts of sources that are not configured any more, since no pass looks at them again. Only for who
    /// works with all of them.
    ///
    /// # Errors
    /// Those of vigil's memory.
    pub(crate) fn end_alerts_of_gone_sources(&mut self) -> Result<(), Failure> {
        let open = self.store.open_alerts().map_err(memory::failed)?;
        let is_gone = |key: &str| {
            let names = || self.sources.iter().map(|one| one.source.name());
            let of_session = |about: &str| names().any(|name| is_of(about, name));
            match (
                key.strip_prefix("source-")
                    .or(key.strip_prefix("mass-change-"))
                    .or(key.strip_prefix("displaced-")),
                key.strip_prefix("owner-disagrees-")
                    .or(key.strip_prefix(REOPENED))
                    .or(key.strip_prefix(RENAMED)),
            ) {
                (Some(source), _) => !names().any(|name| name == source),
                (None, Some(session)) => !of_session(session),
                (None, None) => false,
            }
        };
        let gone: Vec<String> = open
            .iter()
            .map(|alert| alert.key.clone())
            .filter(|key| is_gone(key))
            .collect();
        let mut told = Told {
            open: by_key(open),
            now: self.world.now(),
        };
        gone.iter()
            .try_for_each(|key| self.alert(&mut told, key, None))
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
        let open = self.store.open_alerts().map_err(memory::failed)?;
        let mut told = Told {
            open: by_key(open),
            now: moment.now,
        };
        // One question that nobody answered says something about the question; only several speak of the forge.
        let sent = asked.github.requests + asked.github.rest_requests;
        let lonely = !asked.whole
            && sent == 1
            && trouble
                .as_ref()
                .is_some_and(|(code, _)| *code == "unanswered");
        // Where nothing had to be asked, nobody knows whether it would have been answered.
        if (sent > 0 || trouble.is_some()) && !lonely {
            for code in FORGE {
                let text = trouble
                    .as_ref()
                    .filter(|(now, _)| *now == code)
                    .map(|(_, text)| text.as_str());
                self.alert(&mut told, &format!("github-{code}"), text)?;
            }
        }
        for link in Arc::clone(&self.chain).links() {
            let name = link.policy.name();
            let text = self.disagreements.get(name).cloned();
            self.alert(
                &mut told,
                &format!("policy-disagrees-{name}"),
                text.as_deref(),
            )?;
        }
        self.failures_of_policies(&mut told, batches)?;
        self.replaced_policies(&mut told)?;
        let renamed = self.asking.memory.as_ref().map(Memory::renamed);
        let renamed = renamed.unwrap_or_default();
        for batch in batches {
            let name = batch.configured.source.name();
            self.alert(&mut told, &format!("source-{name}"), batch.error.as_deref())?;
            let displaced = displaced(&batch.configured.source.displaced());
            self.alert(
                &mut told,
                &format!("displaced-{name}"),
                displaced.as_deref(),
            )?;
            if batch.error.is_some() {
                continue;
            }
            let mass = batch.survey.mass.as_ref().map(|mass| mass.describe());
            self.alert(&mut told, &format!("mass-change-{name}"), mass.as_deref())?;
            self.disagreements_of_owners(&mut told, batch)?;
            self.reopenings(&mut told, batch)?;
            self.renamed_repositories(&mut told, batch, &renamed)?;
        }
        Ok(())
    }

    /// Policies that failed about a session, and hold it for that. One that was not asked in this pass may still fail.
    fn failures_of_policies(&mut self, told: &mut Told, batches: &[Batch]) -> Result<(), Failure> {
        for link in Arc::clone(&self.chain).links() {
            let name = link.policy.name();
            let answers = batches
                .iter()
                .flat_map(|batch| &batch.entries)
                .flat_map(|entry| &entry.answers)
                .filter(|answer| answer.policy == name);
            let (mut asked, mut first) = (false, None);
            for answer in answers {
                asked = true;
                first = first.or(answer.answer.as_ref().err());
            }
            if !asked {
                continue;
            }
            let text = first.map(|failed| {
                let stays = match failed.passes {
                    true => "the next policy speaks in its place",
                    false => "what it fails about is held",
                };
                format!(
                    "policy {name} fails ({}): {}; {stays}",
                    failed.kind, failed.detail
                )
            });
            self.alert(told, &format!("{POLICY_FAILED}{name}"), text.as_deref())?;
        }
        Ok(())
    }

    /// Policies whose file holds another component than the daemon judges with. One pass of another command knows
    /// nothing of that, and changes nothing.
    fn replaced_policies(&mut self, told: &mut Told) -> Result<(), Failure> {
        let Some(replaced) = self.replaced.clone() else {
            return Ok(());
        };
        let texts = replaced
            .iter()
            .map(|(name, text)| (format!("{REPLACED}{name}"), text.clone()))
            .collect();
        self.just_these(told, REPLACED, &texts)
    }

    /// Repositories that sessions' records call by a former name: told until the records have the new one, whether or not
    /// they are followed.
    fn renamed_repositories(
        &mut self,
        told: &mut Told,
        batch: &Batch,
        renamed: &[Renamed],
    ) -> Result<(), Failure> {
        let unsettled = batch.listed.iter().filter(|one| !one.state.is_settled());
        let recorded: HashSet<String> = unsettled
            .filter_map(|listed| Some(listed.repo.as_deref()?.to_ascii_lowercase()))
            .collect();
        let of_source = format!("{RENAMED}{}:", batch.configured.source.name());
        let follows = self.asking.follow_renames;
        let texts = renamed
            .iter()
            .filter(|one| recorded.contains(&one.from.to_ascii_lowercase()))
            .map(|one| {
                (
                    format!("{of_source}{}", one.from),
                    called_otherwise(one, follows),
                )
            })
            .collect();
        self.just_these(told, &of_source, &texts)
    }

    /// An owner that takes moves back: told once for each session, and over when the session is looked at without that
    /// guard, is settled, or is gone.
    fn disagreements_of_owners(&mut self, told: &mut Told, batch: &Batch) -> Result<(), Failure> {
        let mut quiet: BTreeSet<String> = batch
            .known()
            .map(|id| format!("owner-disagrees-{id}"))
            .collect();
        for entry in &batch.entries {
            let id = &entry.evidence.session.id;
            let key = format!("owner-disagrees-{id}");
            let objection = entry
                .all_guards()
                .find(|objection| objection.code == Code::OwnerDisagrees);
            match objection {
                Some(objection) => {
                    self.alert(told, &key, Some(&format!("{id}: {}", objection.detail)))?;
                }
                // Looked at, and nothing disagrees any more.
                None => {
                    quiet.remove(&key);
                }
            }
        }
        let of_source = format!("owner-disagrees-{}:", batch.configured.source.name());
        let over: Vec<String> = told
            .open
            .keys()
            .filter(|key| key.starts_with(&of_source) && !quiet.contains(*key))
            .cloned()
            .collect();
        for key in over {
            self.alert(told, &key, None)?;
        }
        Ok(())
    }

    /// Sessions that were reopened after vigil had settled them: each told once for each time, and over when it is closed
    /// again, undone, or long ago.
    fn reopenings(&mut self, told: &mut Told, batch: &Batch) -> Result<(), Failure> {
        let source = &batch.configured.source;
        let texts: BTreeMap<String, String> = batch
            .reopened
            .iter()
            .map(|one| {
                let key = format!("{REOPENED}{}", one.session);
                (key, one.describe(source.kind()))
            })
            .collect();
        self.just_these(told, &format!("{REOPENED}{}:", source.name()), &texts)
    }

    /// Of the alerts whose keys begin with `prefix` those in `texts` are raised, and all others are over.
    fn just_these(
        &mut self,
        told: &mut Told,
        prefix: &str,
        texts: &BTreeMap<String, String>,
    ) -> Result<(), Failure> {
        let is_over = |key: &&String| key.starts_with(prefix) && !texts.contains_key(*key);
        let over: Vec<String> = told.open.keys().filter(is_over).cloned().collect();
        for key in over {
            self.alert(told, &key, None)?;
        }
        texts
            .iter()
            .try_for_each(|(key, text)| self.alert(told, key, Some(text)))
    }

    /// Raises an alert (`text`) or ends it (`None`). The notice waits in the outbox before the alert is ended, and is
    /// queued anew while it is open, so that a crash in between loses none: its key makes it one.
    fn alert(&mut self, told: &mut Told, key: &str, text: Option<&str>) -> Result<(), Failure> {
        let now = told.now;
        match (text, told.open.get(key)) {
            (Some(text), Some(alert)) => {
                let since = alert.since;
                self.store.raise(key, text, now).map_err(memory::failed)?;
                self.queue(&notice("alert", key, text, since), now)
            }
            (Some(text), None) => {
                tracing::warn!(alert = key, text, "alert raised");
                self.store.raise(key, text, now).map_err(memory::failed)?;
                self.queue(&notice("alert", key, text, now), now)
            }
            (None, Some(alert)) => {
                tracing::info!(alert = key, "alert cleared");
                let text = format!("over: {}", alert.text);
                self.queue(&notice("resolved", key, &text, alert.since), now)?;
                told.open.remove(key);
                self.store.clear(key).map_err(memory::failed)?;
                Ok(())
            }
            (None, None) => Ok(()),
        }
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
                    // The others go the same way: one that is dead must not hold up the passes.
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

/// A move that ends a session, or hands it to a person, whose work exists on this machine alone: nobody looks into its
/// worktree any more unless they are told.
fn only_here(entry: &Entry, now: Timestamp) -> Option<Notice> {
    let ends = matches!(
        entry.to(),
        State::Succeeded | State::Closed | State::Blocked
    );
    let transition = entry
        .transition
        .filter(|_| ends && entry.outcome == Outcome::Transitioned)?;
    if signs::unsaved(&entry.evidence) != Unsaved::Yes {
        return None;
    }
    let (id, to) = (&entry.evidence.session.id, entry.to());
    let work = signs::describe_unsaved(&entry.evidence);
    let text = format!(
        "{id} is {to}, and only this machine has {work}: {}",
        entry.reason()
    );
    Some(Notice {
        session: Some(id.to_string()),
        ..notice("unsaved-work", &transition.to_string(), &text, now)
    })
}

/// What a person has to look at, and how they say that they have.
pub(crate) fn displaced(kept: &[Displaced]) -> Option<String> {
    let first = kept.first()?;
    let others = match kept.len() {
        1 => String::new(),
        2 => "; one more is beside it".to_owned(),
        more => format!("; {} more are beside it", more - 1),
    };
    let (file, target) = (first.file.display(), first.target.display());
    if first.waits {
        return Some(format!(
            "what its owner wrote to {target} waits in {file} to be brought back by the next pass that may write: {}{others}",
            first.why
        ));
    }
    Some(format!(
        "what its owner wrote to {target} is not whole in it: {}; the text is kept in {file}: `diff {file} {target}` shows \
         what differs, and `rm {file}` says that you have looked{others}",
        first.why
    ))
}

/// The alerts that are open, as the pass found them.
struct Told {
    open: BTreeMap<String, Alert>,
    now: Timestamp,
}

fn by_key(alerts: Vec<Alert>) -> BTreeMap<String, Alert> {
    let alerts = alerts.into_iter();
    alerts.map(|alert| (alert.key.clone(), alert)).collect()
}

/// Whether `session`, with its source's name before it, is one of the source `name`.
fn is_of(session: &str, name: &str) -> bool {
    session
        .strip_prefix(name)
        .is_some_and(|rest| rest.starts_with(':'))
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
