//! The made-up world as vigil meets it: its clock, its forge, its source.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use vigil::forge::Forge;
use vigil_core::named::{self, NamedFact, Value};
use vigil_core::session::{Liveness, Occupant, Process, Revision, Session, SessionId};
use vigil_core::{Fact, Gap, GapKind, State as Standing, Timestamp};
use vigil_github::Account;
use vigil_github::round::Round;
use vigil_sources::vigilante::Vigilante;
use vigil_sources::{
    Change, Checkout, Committed, Displaced, Fate, Proposal, Refusal, Source, SourceError, World,
};

use crate::body::{Body, Place};
use crate::plant::Bug;
use crate::rng::Rng;
use crate::stage::{Stage, State};
use crate::text;

/// One moment, at which nothing happens.
pub struct Frozen {
    /// The wall clock.
    pub now: Timestamp,
    /// When the machine was booted.
    pub booted_at: Timestamp,
}

impl World for Frozen {
    fn now(&self) -> Timestamp {
        self.now
    }

    fn pause(&self, _: Duration) {}

    fn booted_at(&self) -> Option<Timestamp> {
        Some(self.booted_at)
    }
}

/// The world as vigil meets it.
pub struct SimWorld(pub Arc<Stage>);

impl World for SimWorld {
    fn now(&self) -> Timestamp {
        self.0.state().clock.now()
    }

    fn pause(&self, span: Duration) {
        {
            let mut state = self.0.state();
            state.clock.pass(span);
            if let Some((_, left)) = &mut state.lock {
                match left.checked_sub(1) {
                    Some(fewer) => *left = fewer,
                    None => state.lock = None,
                }
            }
        }
        if span >= Duration::from_secs(1) {
            // Nothing fails in waiting.
            let _ = self.0.at("pause");
        }
    }

    fn booted_at(&self) -> Option<Timestamp> {
        Some(self.0.state().clock.booted_at())
    }

    fn step(&self, name: &'static str) -> io::Result<()> {
        self.0.at(name)
    }
}

/// The forge as vigil meets it.
pub struct SimForge(pub Arc<Stage>);

impl Forge for SimForge {
    fn account(&self, _owner: &str) -> Account {
        Account::usual()
    }

    fn work<'a>(
        &'a self,
        round: &'a mut Round,
        now: Timestamp,
        _slice: Duration,
        _deadline: Duration,
    ) -> Pin<Box<dyn Future<Output = bool> + Send + 'a>> {
        Box::pin(async move {
            let _ = self.0.at("ask");
            let mut state = self.0.state();
            let bug = state.bug;
            let took = state.hub.work(round, now, bug);
            state.clock.pass(took);
            drop(state);
            let _ = self.0.at("asked");
            false
        })
    }
}

/// The real source with a simulated machine beside its file.
pub struct SimSource {
    /// Reads and writes for real.
    pub inner: Vigilante,
    /// Where it is.
    pub stage: Arc<Stage>,
}

impl SimSource {
    /// The recorded branch and what is there of the session's work, as far as whoever looks makes no mistake.
    fn work(&self, session: &Session) -> Option<(String, Body)> {
        let (repo, issue) = (session.repo.as_deref()?, session.issue?);
        let state = self.stage.state();
        let member = state
            .members
            .iter()
            .find(|member| member.repo == repo && member.issue == issue)?;
        let body = member.body.clone().mistaken(state.bug);
        Some((member.branch.clone(), body))
    }

    fn looked(&self, session: &Session) -> Liveness {
        let work = self.work(session);
        let mut state = self.stage.state();
        // As the real source: nothing where nothing is to be decided or the record cannot be read.
        let held = session
            .gaps
            .iter()
            .any(|gap| matches!(gap.field.as_str(), "record" | "state"));
        let Some((_, body)) = work.filter(|_| !held && !session.state.is_settled()) else {
            return Liveness::default();
        };
        let progress = session.state == Standing::Running
            || (session.state == Standing::Maintaining
                && session.flag("maintenance-in-flight") == Some(true));
        let mut eye = Eye::of(&mut state);
        let there = body.stands();
        let mut seen = Liveness {
            worktree_moved_to: (there == Some(Place::Listed))
                .then(|| format!("/srv/moved/{}", session.id.id)),
            dirty: eye.see_at(there, there.map(|_| body.dirty)),
            unpushed: eye.see_at(there, Some(body.unpushed)),
            ..Liveness::default()
        };
        (seen.agent, seen.occupant) = eye.at_work(&body);
        if progress {
            seen.supervisor = eye.see(body.supervisor.then(|| process(77)));
            seen.log_written = eye.see(body.log);
            seen.worktree_written = eye.see_at(there, body.worktree);
        }
        seen
    }

    /// The planted mistake of a rewrite that forgets what it does not know.
    fn lose_a_field(&self) {
        let state = self.stage.state();
        let Some(mut records) = state
            .disk
            .text()
            .ok()
            .and_then(|text| text::parse(&text).ok())
        else {
            return;
        };
        for record in &mut records {
            record.remove("from_the_future");
        }
        // A failure of the mistake is none of the product's.
        let _ = state
            .disk
            .put(&text::render(&records, text::Layout::Indented));
    }
}

fn process(pid: u32) -> Process {
    Process { pid, started: None }
}

/// One look at the machine.
struct Eye<'a> {
    rng: &'a mut Rng,
    blind: u64,
    now: Timestamp,
}

impl<'a> Eye<'a> {
    fn of(state: &'a mut State) -> Self {
        Eye {
            blind: state.plan.blind,
            now: state.clock.now(),
            rng: &mut state.rng,
        }
    }

    fn see<T>(&mut self, there: Option<T>) -> Fact<T> {
        if self.rng.chance(self.blind) {
            return Fact::unknown(GapKind::NoControl, "nothing is to be seen");
        }
        there.map_or_else(|| Fact::absent_at(self.now), Fact::Found)
    }

    /// The same in a worktree that stands at `place`.
    fn see_at<T>(&mut self, place: Option<Place>, there: Option<T>) -> Fact<T> {
        match place {
            Some(Place::Unlisted) => {
                Fact::unknown(GapKind::IdentityChanged, "it was moved, nobody knows where")
            }
            _ => self.see(there),
        }
    }

    /// The agent, and another process that may be one. As the real source: not to be seen is no absence where nobody
    /// could be seen, and who found the agent asks no further.
    fn at_work(&mut self, body: &Body) -> (Fact<Process>, Fact<Occupant>) {
        if body.hidden {
            let gap = Gap::new(GapKind::OtherNamespace, "it runs where nobody can tell");
            return (Fact::from(gap.clone()), Fact::from(gap));
        }
        let place = body.stands();
        let agent = self.see_at(place, body.agent.map(process));
        if agent.found().is_some() {
            return (agent, Fact::NotAsked);
        }
        let occupant = body.occupant.map(|pid| Occupant {
            pid,
            name: "node".to_owned(),
            started: None,
        });
        (agent, self.see_at(place, occupant))
    }
}

impl Source for SimSource {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn kind(&self) -> &'static str {
        self.inner.kind()
    }

    fn load(&self, world: &dyn World) -> Result<Vec<Session>, SourceError> {
        let _ = self.stage.at("load");
        let mut sessions = self.inner.load(world)?;
        let bug = self.stage.state().bug;
        for session in &mut sessions {
            match bug {
                Some(Bug::LeavesWork) => session.owner_effects.if_left = None,
                Some(Bug::LetsGoForeignBlocks) if session.state == Standing::Blocked => {
                    let vigil = Value::Text(named::BY_VIGIL.to_owned());
                    session
                        .facts
                        .push(NamedFact::found(named::BLOCKED_BY, vigil));
                }
                _ => {}
            }
        }
        Ok(sessions)
    }

    fn observe(&self, sessions: &[&Session], _world: &dyn World) -> Vec<Liveness> {
        let _ = self.stage.at("observe");
        sessions
            .iter()
            .map(|session| self.looked(session))
            .collect()
    }

    fn checkout(&self, session: &Session) -> Checkout {
        let Some((recorded, body)) = self.work(session) else {
            return Checkout::unknown(&Gap::new(GapKind::NoControl, "there is no such work"));
        };
        let mut state = self.stage.state();
        let mut eye = Eye::of(&mut state);
        let there = body.stands();
        let branch = there.map(|_| body.renamed.unwrap_or_else(|| recorded.clone()));
        let branch = match eye.see_at(there, branch) {
            // Its repository is there.
            Fact::Unknown(gap) if gap.kind == GapKind::NoControl => {
                Fact::unknown(GapKind::TimedOut, gap.detail)
            }
            seen => seen,
        };
        // Another look of the same pass may see it; what it was looked at for stays unknown.
        if branch.is_unknown() {
            state.checker.unread.insert(session.id.id.clone());
        }
        let branch = match state.bug {
            Some(Bug::UnreadIsRecorded) if branch.is_unknown() => Fact::Found(recorded),
            _ => branch,
        };
        Checkout {
            branch,
            // No clone lacks a commit here.
            tips: Fact::NotAsked,
        }
    }

    fn shares_work(&self, session: &Session, commit: &str, _bases: &[String]) -> Fact<bool> {
        let Some((_, body)) = self.work(session) else {
            return Fact::unknown(GapKind::NoControl, "there is no such work");
        };
        let mut state = self.stage.state();
        let State { members, hub, .. } = &*state;
        // What came of a branch that was renamed here is this checkout's own work.
        let is_own = members.iter().any(|member| {
            let pull = hub.model.look(&member.repo, member.other_pull);
            let head = pull.and_then(|item| item.pull()).map(|pull| &pull.head_sha);
            Some(member.issue) == session.issue && head.is_some_and(|head| head == commit)
        });
        match is_own {
            true => Eye::of(&mut state).see_at(body.stands(), Some(true)),
            false => Fact::NotAsked,
        }
    }

    fn beyond_head(&self, session: &Session, head_sha: &str) -> Fact<u32> {
        let Some((_, body)) = self.work(session) else {
            return Fact::unknown(GapKind::NoControl, "there is no such work");
        };
        let mut state = self.stage.state();
        let question = format!("{} {head_sha}", session.id);
        if !state.compared.insert(question) {
            // On a slow disk each such question may take a while.
            let twice = format!("the checkout of {} is compared twice", session.id);
            state.hold(Err(twice));
        }
        Eye::of(&mut state).see_at(body.stands(), Some(body.beyond))
    }

    fn propose(&self, changes: &[Change<'_>], world: &dyn World) -> Vec<Result<Proposal, Refusal>> {
        let _ = self.stage.at("propose");
        let proposed = self.inner.propose(changes, world);
        if self.stage.state().bug == Some(Bug::WritesBeforeJournal) {
            let ready: Vec<Proposal> = proposed.iter().flatten().cloned().collect();
            self.inner.commit(&ready, world);
        }
        let _ = self.stage.at("proposed");
        proposed
    }

    fn commit(&self, proposals: &[Proposal], world: &dyn World) -> Vec<Committed> {
        {
            // The journal was waited for a moment ago; what it says now has to stand.
            let mut state = self.stage.state();
            let state = &mut *state;
            state.disk.journal_is_durable();
            state.checker.write_begins();
            let bodies = state.bodies();
            let judged = match &state.store {
                Some(store) => state.checker.judge(store, &state.hub, &bodies),
                None => Ok(()),
            };
            state.hold(judged);
        }
        let _ = self.stage.at("commit");
        let mut proposals = proposals.to_vec();
        let bug = self.stage.state().bug;
        if bug == Some(Bug::IgnoresRevision) {
            let ids: Vec<SessionId> = proposals.iter().map(|one| one.id.clone()).collect();
            let present = self.inner.revisions(&ids, world).unwrap_or_default();
            for (proposal, present) in proposals.iter_mut().zip(present) {
                proposal.before = present.unwrap_or_else(|| proposal.before.clone());
            }
        }
        let committed = self.inner.commit(&proposals, world);
        if bug == Some(Bug::LosesField) {
            self.lose_a_field();
        }
        {
            let mut state = self.stage.state();
            let state = &mut *state;
            state.checker.look_away = false;
            if state.crashed.is_none() {
                state.look();
                let held = match &state.store {
                    Some(store) => state.checker.committed(&proposals, &committed, store),
                    None => Ok(()),
                };
                state.hold(held);
            }
        }
        let _ = self.stage.at("committed");
        committed
    }

    fn revisions(
        &self,
        ids: &[SessionId],
        world: &dyn World,
    ) -> Result<Vec<Option<Revision>>, SourceError> {
        let _ = self.stage.at("revisions");
        self.inner.revisions(ids, world)
    }

    fn recover(&self, prepared: &[Proposal], world: &dyn World) -> Result<Vec<Fate>, SourceError> {
        let _ = self.stage.at("recover");
        let recovered = self.inner.recover(prepared, world);
        let waits = || self.inner.displaced().iter().any(|one| one.waits);
        let mut state = self.stage.state();
        if recovered.is_err() && state.lock.is_some() && waits() {
            state.checker.waiting = prepared.to_vec();
        }
        recovered
    }

    fn displaced(&self) -> Vec<Displaced> {
        self.inner.displaced()
    }

    fn propose_undo(&self, written: &Proposal, world: &dyn World) -> Result<Proposal, Refusal> {
        self.inner.propose_undo(written, world)
    }

    fn locations(&self) -> Vec<(&'static str, String)> {
        self.inner.locations()
    }
}
