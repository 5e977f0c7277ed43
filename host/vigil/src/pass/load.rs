//! Reads the records, and picks the sessions to look at.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use vigil_core::evidence::{Context, Evidence};
use vigil_core::guard::{Code, Objection};
use vigil_core::named::{self, NamedFact, Value};
use vigil_core::queue::Queue;
use vigil_core::survey::{self, Kin, Survey};
use vigil_core::{Fact, Session, SessionId, State};
use vigil_github::ask::Local;
use vigil_sources::{Listed, Picked, SourceError};
use vigil_store::{Held, Kind};

use super::commit;
use super::{Batch, Entry, How, Moment, Reconciler, SeenSession};
use crate::config::Mode;
use crate::failure::Failure;
use crate::memory;
use crate::report::Outcome;
use crate::sources::Configured;

/// A lease lasts longer than any pass; one that a crash left behind is over before anybody waits for it.
const LEASE: Duration = Duration::from_secs(600);

impl How {
    /// Whether a pass of this kind looks at a session in `state` at all.
    fn may_look_at(&self, id: &SessionId, state: State) -> bool {
        let is_meant = |only: &BTreeSet<SessionId>| only.contains(id);
        !state.is_settled() && self.only.as_ref().is_none_or(is_meant)
    }
}

impl SeenSession {
    /// Nothing interrupted the watching since it was judged. A judgement that lies ahead was made before the clock was
    /// set back.
    fn is_unbroken(&self, moment: &Moment) -> bool {
        self.judged <= moment.now && moment.awake_since.is_none_or(|since| self.judged >= since)
    }
}

impl Reconciler {
    /// Reads the records of every source, in full those of the sessions that are looked at. A source that cannot be read
    /// is an error of its own; the others go on.
    pub(super) async fn load(&mut self, how: &How, moment: &Moment) -> Result<Vec<Batch>, Failure> {
        let mut batches = Vec::with_capacity(self.sources.len());
        for configured in self.sources.clone() {
            let due = self.due(configured.source.name(), how, moment)?;
            let loaded = self.load_one(&configured, due, how, moment).await?;
            let context = Context {
                now: moment.now,
                booted_at: moment.booted_at,
                awake_since: moment.awake_since,
                source: configured.facts.clone(),
            };
            let (loaded, behind) = loaded;
            let (picked, error) = match loaded {
                Ok(picked) => (picked, None),
                Err(error) => {
                    let nothing = Picked {
                        listed: Arc::new([]),
                        sessions: Vec::new(),
                    };
                    (nothing, Some(format!("{:#}", anyhow::Error::new(error))))
                }
            };
            if let Some(error) = &error {
                tracing::error!(
                    source = configured.source.name(),
                    error,
                    "source could not be read"
                );
            }
            let listed = Arc::clone(&picked.listed);
            let read_only = self.read_only(&configured, moment)?;
            let entries = self.entries(picked, how, moment)?;
            let looked_at = entries.iter().any(|entry| !entry.leased_elsewhere);
            batches.push(Batch {
                configured,
                context,
                error,
                locked: None,
                read_only,
                entries,
                listed,
                // Where nothing could be looked at, the next pass would fare no better at once.
                behind: behind && looked_at,
                survey: Survey::default(),
                reopened: Vec::new(),
            });
        }
        Ok(batches)
    }

    /// When each session of a source is to be looked at; `None`: all are.
    fn due(&mut self, source: &str, how: &How, moment: &Moment) -> Result<Option<Queue>, Failure> {
        if !how.due_only {
            return Ok(None);
        }
        let mut queue = Queue::default();
        // After a break in watching everything is due: what was scheduled before went by another clock. Another process
        // may have seen the break first, so that what counts is which look came before it, and not who dated it.
        self.seen
            .retain(|id, seen| id.source != source || seen.is_unbroken(moment));
        let looks = self.store.due(source, moment.now).map_err(memory::failed)?;
        for (session, at) in looks {
            // Looks at sessions that are settled or gone stay behind, and nobody makes them.
            if self.seen.contains_key(&session) {
                queue.wake(session, at);
            }
        }
        Ok(Some(queue))
    }

    /// Reads one source. Besides what is due a session is looked at whose record is another than when it was last
    /// judged, or about which the forge has something new. Second: some that are due have to wait.
    async fn load_one(
        &mut self,
        configured: &Configured,
        due: Option<Queue>,
        how: &How,
        moment: &Moment,
    ) -> Result<(Result<Picked, SourceError>, bool), Failure> {
        let source = Arc::clone(&configured.source);
        let world = Arc::clone(&self.world);
        let (how, now) = (how.clone(), moment.now);
        let seen = std::mem::take(&mut self.seen);
        let forge = self.asking.memory.take();
        let follows = self.asking.follow_renames;
        let (loaded, behind, seen, forge) = blocking(move || {
            let cutoff = due.as_ref().and_then(|due| due.up_to(how.at_most, now));
            let mut first_looks: HashSet<SessionId> = HashSet::new();
            let mut behind = cutoff.is_some();
            let is_told = |seen: &SeenSession| {
                forge.as_ref().is_some_and(|known| {
                    known.is_touched(&seen.lookup, seen.wants, seen.judged, now)
                        || follows && known.is_elsewhere(&seen.lookup)
                })
            };
            // All that was asked for in a silence may be to be had at once when it ends.
            let mut again: HashSet<SessionId> = HashSet::new();
            let mut is_again = |id: &SessionId, seen: &SeenSession| {
                let there = forge
                    .as_ref()
                    .is_some_and(|known| known.is_to_be_had_again(&seen.lookup, seen.wants, now));
                // Who finds no place is due by the schedule within minutes.
                there
                    && (again.contains(id) || again.len() < how.at_most && again.insert(id.clone()))
            };
            let mut pick = |listed: &Listed| {
                if !how.may_look_at(&listed.id, listed.state) {
                    return false;
                }
                let Some(due) = &due else { return true };
                let Some(seen) = seen.get(&listed.id) else {
                    // Asked twice about one record, it has its place already.
                    let has_place = first_looks.len() < how.at_most
                        && first_looks.insert(listed.id.clone())
                        || first_looks.contains(&listed.id);
                    behind |= !has_place;
                    return has_place;
                };
                let is_due = due
                    .due_at(&listed.id)
                    .is_none_or(|at| at <= cutoff.unwrap_or(now).min(now));
                is_due
                    || seen.revision != listed.revision
                    || is_told(seen)
                    || is_again(&listed.id, seen)
            };
            let loaded = source.load_picked(&mut pick, world.as_ref());
            (loaded, behind, seen, forge)
        })
        .await?;
        self.seen = seen;
        self.asking.memory = forge;
        Ok((loaded, behind))
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
        if let Some(file) = self.store.watch().stopped().map_err(memory::failed)? {
            return Ok(Some(commit::read_only(&Held::Stopped(file))));
        }
        let name = configured.source.name();
        let pause = self
            .store
            .paused(name, moment.now)
            .map_err(memory::failed)?;
        Ok(pause.map(|pause| commit::read_only(&Held::Paused(pause))))
    }

    /// Tells a session of vigil's own move to `blocked` as long as that is what its record shows: nobody, be it its owner
    /// or a person, has written it since.
    fn own_block(&self, session: &mut Session) -> Result<(), Failure> {
        if session.state != State::Blocked {
            return Ok(());
        }
        let last = self
            .store
            .last_written(&session.id)
            .map_err(memory::failed)?;
        if let Some(last) = last
            && last.kind == Kind::Transition
            && last.to == State::Blocked
            && last.revision_after == session.revision
        {
            let text = |name, text| NamedFact::found(name, Value::Text(text));
            session.facts.extend([
                text(named::BLOCKED_BY, named::BY_VIGIL.to_owned()),
                text(named::BLOCKED_RULE, last.rule),
            ]);
        }
        Ok(())
    }

    /// The sessions to look at, each leased to this process for the pass.
    fn entries(
        &mut self,
        picked: Picked,
        how: &How,
        moment: &Moment,
    ) -> Result<Vec<Entry>, Failure> {
        let Picked { listed, sessions } = picked;
        let (places, mut sessions): (Vec<usize>, Vec<Session>) = sessions.into_iter().unzip();
        for session in &mut sessions {
            let facts = std::mem::take(&mut session.facts);
            session.facts = facts.into_iter().map(NamedFact::checked).collect();
            self.own_block(session)?;
        }
        let siblings = match sessions.is_empty() {
            true => Vec::new(),
            false => {
                let kin: Vec<Kin<'_>> = listed.iter().map(Listed::kin).collect();
                survey::siblings_of(&kin, &places)
            }
        };
        let ids: Vec<SessionId> = sessions.iter().map(|session| session.id.clone()).collect();
        let leases = if how.dry_run {
            Vec::new()
        } else {
            self.store
                .lease(&ids, &self.holder, moment.now, LEASE)
                .map_err(memory::failed)?
        };
        Ok(sessions
            .into_iter()
            .zip(siblings)
            .enumerate()
            .map(|(at, (session, siblings))| Entry {
                evidence: Evidence {
                    session,
                    issue: Fact::NotAsked,
                    pull_request: Fact::NotAsked,
                    beyond_head: Fact::NotAsked,
                    passed_over: Vec::new(),
                    siblings,
                },
                local: Local::default(),
                beyond: None,
                unread_branch: None,
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
