//! Reads the records, and picks the sessions to look at.

use std::sync::Arc;
use std::time::Duration;

use vigil_core::evidence::{Context, Evidence};
use vigil_core::guard::{Code, Objection};
use vigil_core::queue::Queue;
use vigil_core::session::Lookup;
use vigil_core::survey::{self, Survey};
use vigil_core::{Fact, Session, SessionId};

use super::{Batch, Entry, How, Moment, Reconciler};
use crate::config::Mode;
use crate::failure::Failure;
use crate::memory;
use crate::report::Outcome;
use crate::sources::Configured;

/// A lease lasts longer than any pass; one that a crash left behind is over before anybody waits for it.
const LEASE: Duration = Duration::from_secs(600);

/// The records of every source, read.
pub(super) struct Loaded {
    sources: Vec<LoadedSource>,
}

struct LoadedSource {
    configured: Configured,
    context: Context,
    error: Option<String>,
    sessions: Vec<Session>,
}

impl Loaded {
    /// Where the sessions that a pass may look at are looked up.
    pub(super) fn lookups(&self, how: &How) -> Vec<&Lookup> {
        self.sources
            .iter()
            .flat_map(|source| &source.sessions)
            .filter(|session| how.may_look_at(session))
            .map(|session| &session.lookup)
            .collect()
    }
}

impl How {
    /// Whether a pass of this kind looks at `session` at all.
    fn may_look_at(&self, session: &Session) -> bool {
        let is_meant = |only: &std::collections::BTreeSet<SessionId>| only.contains(&session.id);
        !session.state.is_settled() && self.only.as_ref().is_none_or(is_meant)
    }
}

impl Reconciler {
    /// Reads every source. One that cannot be read is an error of its own; the others go on.
    pub(super) async fn load(&mut self, moment: &Moment) -> Result<Loaded, Failure> {
        let mut sources = Vec::with_capacity(self.sources.len());
        for configured in self.sources.clone() {
            let source = Arc::clone(&configured.source);
            let world = Arc::clone(&self.world);
            let loaded = blocking(move || source.load(world.as_ref())).await?;
            let context = Context {
                now: moment.now,
                booted_at: moment.booted_at,
                awake_since: moment.awake_since,
                source: configured.facts.clone(),
            };
            let (sessions, error) = match loaded {
                Ok(sessions) => (sessions, None),
                Err(error) => (Vec::new(), Some(format!("{:#}", anyhow::Error::new(error)))),
            };
            if let Some(error) = &error {
                tracing::error!(
                    source = configured.source.name(),
                    error,
                    "source could not be read"
                );
            }
            sources.push(LoadedSource {
                configured,
                context,
                error,
                sessions,
            });
        }
        Ok(Loaded { sources })
    }

    /// Picks the sessions that are looked at.
    pub(super) fn pick(
        &mut self,
        loaded: Loaded,
        how: &How,
        moment: &Moment,
    ) -> Result<Vec<Batch>, Failure> {
        let mut batches = Vec::with_capacity(loaded.sources.len());
        for source in loaded.sources {
            let LoadedSource {
                configured,
                context,
                error,
                sessions,
            } = source;
            let known = sessions
                .iter()
                .filter(|session| !session.state.is_settled())
                .map(|session| session.id.clone())
                .collect();
            let read_only = self.read_only(&configured, moment)?;
            let entries = self.entries(sessions, how, moment)?;
            batches.push(Batch {
                configured,
                context,
                error,
                read_only,
                entries,
                known,
                survey: Survey::default(),
            });
        }
        Ok(batches)
    }

    fn read_only(
        &self,
        configured: &Configured,
        moment: &Moment,
    ) -> Result<Option<Objection>, Failure> {
        if configured.mode == Mode::Observe {
            let detail = "the configuration only lets vigil observe this source";
            return Ok(Some(Objection::new(Code::ReadOnly, detail)));
        }
        let name = configured.source.name();
        let pause = self
            .store
            .paused(name, moment.now)
            .map_err(memory::failed)?;
        Ok(pause.map(|pause| {
            let since = crate::ui::moment(pause.since);
            Objection::new(
                Code::ReadOnly,
                format!("paused since {since}; `vigil resume` lets it write again"),
            )
        }))
    }

    /// The sessions to look at, each leased to this process for the pass.
    fn entries(
        &mut self,
        sessions: Vec<Session>,
        how: &How,
        moment: &Moment,
    ) -> Result<Vec<Entry>, Failure> {
        let siblings = survey::siblings(&sessions);
        let mut queue = Queue::default();
        // After a break in watching everything is due: what was scheduled before went by another clock.
        let broken = moment.awake_since == Some(moment.now);
        if how.due_only
            && !broken
            && let Some(session) = sessions.first()
        {
            for look in self
                .store
                .schedule(&session.id.source, moment.now)
                .map_err(memory::failed)?
            {
                queue.wake(look.session, look.at);
            }
        }
        let forge = self.asking.memory.as_ref();
        let is_told = |session: &Session| {
            forge.is_some_and(|known| known.is_touched(&session.lookup, moment.now))
        };
        let has_moved = |session: &Session| {
            let judged = self.judged.get(&session.id);
            judged.is_some_and(|revision| *revision != session.revision)
        };
        let picked: Vec<_> = sessions
            .into_iter()
            .zip(siblings)
            .filter(|(session, _)| how.may_look_at(session))
            .filter(|(session, _)| {
                queue.is_due(&session.id, moment.now) || has_moved(session) || is_told(session)
            })
            .collect();
        let ids: Vec<SessionId> = picked
            .iter()
            .map(|(session, _)| session.id.clone())
            .collect();
        let leases = if how.dry_run {
            Vec::new()
        } else {
            self.store
                .lease(&ids, &self.holder, moment.now, LEASE)
                .map_err(memory::failed)?
        };
        Ok(picked
            .into_iter()
            .enumerate()
            .map(|(at, (session, siblings))| Entry {
                evidence: Evidence {
                    session,
                    issue: Fact::NotAsked,
                    pull_request: Fact::NotAsked,
                    beyond_head: Fact::NotAsked,
                    siblings,
                },
                asked: Vec::new(),
                failures: Vec::new(),
                memos: Vec::new(),
                answers: Vec::new(),
                ruling: None,
                outcome: Outcome::Held,
                outcome_detail: None,
                guards: Vec::new(),
                granted: Vec::new(),
                proposal: None,
                transition: None,
                exclusive: None,
                leased_elsewhere: leases.get(at).is_some_and(|ours| !ours),
            })
            .collect())
    }
}

/// Runs what may block on files and processes off the async threads. A panic in there is a defect of vigil's, told as
/// such instead of taking the daemon down.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        Failure::world("a step of the pass ended by a defect in vigil").because(error)
    })
}
