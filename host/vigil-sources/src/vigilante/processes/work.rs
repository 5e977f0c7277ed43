//! Who is at work in one worktree: the session's agent, or another process that may be one.

use std::sync::PoisonError;

use vigil_core::Timestamp;
use vigil_core::fact::{Fact, GapKind};
use vigil_core::session::{Occupant, Process};

use super::folder::Reach;
use super::ground::Spot;
use super::{At, Entry, Table, Workplace, is_later};

impl Table {
    /// The agent at work in a worktree: a process that works inside it and bears one of the provider's names or stems
    /// from its supervisor. The one that was started first where there are several.
    pub(crate) fn agent(&self, place: &Workplace<'_>) -> Fact<Process> {
        let first = self.first_inside(place, |pid, _| self.is_agent(pid, place));
        if let Some((pid, entry)) = first {
            return Fact::Found(Process {
                pid,
                started: entry.started,
            });
        }
        if let Some(gap) = self.blind.as_ref().or(self.foreign.as_ref()) {
            return Fact::from(gap.clone());
        }
        // Whoever is not named like an agent and does not stem from the supervisor is none, wherever it works.
        if let Some((pid, entry)) = self.hidden_agent(place) {
            return Fact::unknown(
                GapKind::Denied,
                format!(
                    "process {pid} ({}) may be the agent, and where it works may not be looked at; run vigil as the \
                     user who runs Vigilante",
                    entry.program.shown()
                ),
            );
        }
        if let Some((pid, entry)) = self
            .strays(place)
            .find(|(pid, _)| self.is_agent(*pid, place))
        {
            return astray(pid, entry);
        }
        self.absent("")
    }

    /// Another process at work in a worktree, which may be an agent under a name that nobody expects.
    pub(crate) fn occupant(&self, place: &Workplace<'_>) -> Fact<Occupant> {
        let works = |pid: u32, entry: &Entry| !entry.idle && Some(pid) != place.supervisor;
        if let Some((pid, entry)) = self.first_inside(place, works) {
            return Fact::Found(Occupant {
                pid,
                name: entry.program.shown(),
                started: entry.started,
            });
        }
        if let Some(gap) = self.blind.as_ref().or(self.foreign.as_ref()) {
            return Fact::from(gap.clone());
        }
        if let Some((pid, entry)) = self.hidden_agent(place).or_else(|| self.hidden_from(place)) {
            return Fact::unknown(
                GapKind::Denied,
                format!(
                    "process {pid} ({}) may be at work in it, and may not be looked at; run vigil as the user who runs \
                     Vigilante, or list the name in ignore_processes",
                    entry.program.shown()
                ),
            );
        }
        if let Some((pid, entry)) = self.strays(place).find(|(pid, entry)| works(*pid, entry)) {
            return astray(pid, entry);
        }
        self.absent("")
    }

    fn is_agent(&self, pid: u32, place: &Workplace<'_>) -> bool {
        let Some(entry) = self.processes.get(&pid) else {
            return false;
        };
        let named = |name: &String| entry.program.is_named(name);
        place.names.iter().any(named)
            || place.supervisor.is_some_and(|above| {
                pid != above
                    && (entry.group == above || entry.session == above || self.descends(pid, above))
            })
    }

    /// Of the processes at work inside, the one that was started first of those that `counts` speaks for.
    fn first_inside(
        &self,
        place: &Workplace<'_>,
        counts: impl Fn(u32, &Entry) -> bool,
    ) -> Option<(u32, &Entry)> {
        self.inside
            .at(place, self.spot(place).as_ref())
            .filter_map(|pid| Some((pid, self.processes.get(&pid)?)))
            .filter(|(pid, entry)| counts(*pid, entry))
            .min_by_key(|(pid, entry)| (entry.started, *pid))
    }

    /// A process that may not be looked at and is an agent by its name or its supervisor.
    fn hidden_agent(&self, place: &Workplace<'_>) -> Option<(u32, &Entry)> {
        if self.hidden.is_empty() {
            return None;
        }
        let key = (place.names.to_vec(), place.supervisor);
        let mut known = self
            .hidden_agents
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let found = *known.entry(key).or_insert_with(|| {
            let agents = self.hidden.iter().filter(|pid| self.is_agent(**pid, place));
            agents.copied().max_by_key(|pid| {
                let started = self.processes.get(pid).and_then(|entry| entry.started);
                started.unwrap_or(Timestamp(u64::MAX))
            })
        });
        self.since(found?, place)
    }

    /// A process that may not be looked at, and of which nothing shows that it works elsewhere.
    fn hidden_from(&self, place: &Workplace<'_>) -> Option<(u32, &Entry)> {
        let spot = self.spot(place);
        let mut beside = self.beside.at(place, spot.as_ref());
        let near = beside.find_map(|pid| self.since(pid, place));
        // The newest tells for all: where it is too old, the others are.
        near.or_else(|| self.since(*self.anywhere.first()?, place))
    }

    /// The process, unless it was started before the session's work began.
    fn since(&self, pid: u32, place: &Workplace<'_>) -> Option<(u32, &Entry)> {
        let entry = self.processes.get(&pid)?;
        let earlier = is_later(place.since, entry.started);
        (!earlier).then_some((pid, entry))
    }

    /// Processes of other mount namespaces that may be at work inside: what they call their folder means nothing here.
    fn strays<'t>(&'t self, place: &'t Workplace<'_>) -> impl Iterator<Item = (u32, &'t Entry)> {
        let stopped = self.astray.iter().copied().filter(|pid| {
            let Some(At::Folder(working)) = self.processes.get(pid).map(|entry| &entry.at) else {
                return false;
            };
            match (working.reach, place.id) {
                (_, None) => true,
                (Reach::Stopped(Some(device)), Some(id)) => device == id.device,
                (Reach::Stopped(None), Some(_)) => true,
                // Its folder is gone, and this one is there.
                (Reach::Removed | Reach::Root, Some(_)) => false,
            }
        });
        let spot = self.spot(place);
        let veiled = self.inside.grounds.may_be_at(place, spot.as_ref());
        stopped
            .chain(veiled)
            .filter_map(|pid| self.since(pid, place))
    }

    /// Where the place lies on its file system.
    fn spot(&self, place: &Workplace<'_>) -> Option<Spot> {
        self.mounted.spot(&place.path)
    }
}

fn astray<T>(pid: u32, entry: &Entry) -> Fact<T> {
    let called = match &entry.at {
        At::Folder(working) => working.path.display().to_string(),
        _ => String::new(),
    };
    Fact::unknown(
        GapKind::OtherNamespace,
        format!(
            "process {pid} ({}) may be at work in it: it works in another mount namespace (a container), in what is \
             called {called} there",
            entry.program.shown()
        ),
    )
}
