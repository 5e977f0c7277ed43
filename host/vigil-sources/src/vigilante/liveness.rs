//! What is to be seen of the work of many sessions: one scan of the process table, each repository opened once, each
//! worktree looked at once.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use vigil_core::fact::{Fact, Gap, GapKind};
use vigil_core::session::{Liveness, Occupant, Process, Session};
use vigil_core::{State, Timestamp};

use crate::World;
use crate::vigilante::convert::Work;
use crate::vigilante::git::{Git, Line, Repository};
use crate::vigilante::processes::{Recorded, Table, View, Workplace, resolved};
use crate::vigilante::worktree::{self, Place};
use crate::vigilante::worktrees::Around;
use crate::vigilante::{Settings, log};

/// 2: the looks wait for the disk most of the time, and more would only make them wait for each other.
const LOOKERS: usize = 2;

/// A repository, or why it could not be opened, shared by all sessions that work in it.
pub(crate) type Opened = Arc<Result<Repository, Gap>>;

/// What matters in a session's state. What does not is not looked at: it would cost time, and a gap in it would hold
/// the session for nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Looks {
    /// Processes in the worktree: nothing is to be written under a live agent.
    pub(crate) agent: bool,
    /// The supervisor, the log and the worktree's last write: whether the work goes on.
    pub(crate) progress: bool,
    /// Uncommitted and unpushed work: whether a write may follow.
    pub(crate) unsaved: bool,
}

/// What was seen of one session, and where its worktree was found. `None`: nobody looked for it.
pub(crate) type Look = (Liveness, Option<Place>);

/// What to look at. Nothing for a session that is held or settled; the signs of progress only where the record
/// claims that something is at work, be it an agent or a maintenance round.
pub(crate) fn looks(state: State, work: &Work) -> Looks {
    if !work.readable || state.is_settled() {
        return Looks::default();
    }
    Looks {
        agent: true,
        progress: state == State::Running
            || (state == State::Maintaining && work.maintenance_in_flight),
        unsaved: true,
    }
}

/// Where to look.
pub(crate) struct Observer<'a> {
    /// Vigilante's folder.
    pub(crate) home: &'a Path,
    /// How the source is set.
    pub(crate) settings: &'a Settings,
    /// When, and since when this machine is up.
    pub(crate) world: &'a dyn World,
}

impl Observer<'_> {
    /// One answer for each session, in order, and the repositories that were opened on the way. A session without
    /// its work's particulars comes with the reason.
    pub(crate) fn observe(
        &self,
        sessions: &[(&Session, Result<Arc<Work>, Gap>)],
    ) -> (Vec<Look>, HashMap<PathBuf, Opened>) {
        let now = self.world.now();
        let wanted: Vec<Looks> = sessions
            .iter()
            .map(|(session, work)| {
                work.as_ref()
                    .map_or(Looks::default(), |work| looks(session.state, work))
            })
            .collect();
        let table = wanted
            .iter()
            .any(|looks| looks.agent || looks.progress)
            .then(|| {
                let view = View {
                    proc: &self.settings.proc,
                    home: self.home,
                    same_namespace: self.settings.same_pid_namespace,
                    ignored: &self.settings.ignore_processes,
                    own: std::process::id(),
                    booted_at: self.world.booted_at(),
                };
                Table::scan(&view, now)
            });
        let around = Around::new(table.as_ref());
        let git = Git::new(&self.settings.git);
        let repositories = open_all(&git, sessions, &wanted);
        let seen = in_parallel(sessions.len(), |index| {
            let (session, work) = &sessions[index];
            match work {
                Err(gap) if !session.state.is_settled() => (unknown(gap), None),
                Err(_) => (Liveness::default(), None),
                Ok(work) => {
                    let repository = work
                        .repo_path
                        .as_ref()
                        .ok()
                        .and_then(|path| repositories.get(path));
                    let asked = Asked {
                        work,
                        since: session.times.started,
                        looks: wanted[index],
                        repository,
                    };
                    self.look(&asked, table.as_ref(), &around, &git, now)
                }
            }
        });
        (seen, repositories)
    }

    fn look(
        &self,
        asked: &Asked<'_>,
        table: Option<&Table>,
        around: &Around<'_>,
        git: &Git,
        now: Timestamp,
    ) -> Look {
        let Asked {
            work,
            looks,
            repository,
            ..
        } = *asked;
        let mut seen = Liveness::default();
        if looks == Looks::default() {
            return (seen, None);
        }
        let branch = work.branch.as_deref().ok();
        let place = match (&work.repo_path, repository) {
            (Err(gap), _) => Place::Unknown(gap.clone()),
            (Ok(_), Some(opened)) => worktree::find(opened, &work.worktree, branch, around),
            (Ok(path), None) => Place::Unknown(Gap::new(
                GapKind::NoControl,
                format!("{} was not opened", path.display()),
            )),
        };
        seen.worktree_moved_to = moved(&place, &work.worktree);
        let recorded = work.pid.clone().map(|pid| Recorded {
            pid,
            written: work.pid_written,
            last_word: work.last_word,
        });
        if let (true, Some(table)) = (looks.agent, table) {
            let kin = recorded.as_ref().ok().and_then(|it| table.kin(*it));
            (seen.agent, seen.occupant) = self.at_work(asked, table, kin, &place);
        }
        if looks.progress {
            seen.supervisor = match (&recorded, table) {
                (Err(gap), _) => Fact::from(gap.clone()),
                (Ok(recorded), Some(table)) => table.supervisor(*recorded),
                (Ok(_), None) => Fact::NotAsked,
            };
            let logs = self.home.join("logs");
            match &work.log {
                Ok(name) => {
                    seen.log_written = log::last_write(&logs, name, now);
                    seen.log_outcome = log::outcome(&logs, name);
                }
                Err(gap) => seen.log_written = Fact::from(gap.clone()),
            }
            seen.worktree_written = worktree::last_write(&place, self.settings.fresh_for, now);
        }
        if looks.unsaved {
            (seen.dirty, seen.unpushed) = unsaved(git, work, &place, repository, now);
        }
        (seen, Some(place))
    }

    /// The agent, and another process that may be one. Where the worktree stands nobody knows where, not to be seen at
    /// the recorded place is no absence.
    fn at_work(
        &self,
        asked: &Asked<'_>,
        table: &Table,
        kin: Option<u32>,
        place: &Place,
    ) -> (Fact<Process>, Fact<Occupant>) {
        let work = asked.work;
        let recorded = match &work.worktree {
            Ok(worktree) => worktree,
            Err(gap) => return (Fact::from(gap.clone()), Fact::from(gap.clone())),
        };
        let named = self
            .settings
            .provider_process_names
            .iter()
            .find(|(provider, _)| *provider == work.provider)
            .map(|(_, names)| names.clone())
            // A provider that vigil does not know is looked for under its own name.
            .unwrap_or_else(|| vec![work.provider.clone()]);
        let dir = match place {
            Place::Linked { dir, .. } => dir,
            _ => recorded,
        };
        let workplace = Workplace::new(dir, &named, kin, asked.since);
        let agent = table.agent(&workplace);
        if matches!(agent, Fact::Found(_)) {
            return (agent, Fact::NotAsked);
        }
        let occupant = table.occupant(&workplace);
        let doubt = match place {
            Place::Foreign(gap) => Some(gap.clone()),
            Place::Unknown(gap) if !workplace.is_there() => Some(gap.clone()),
            // A container has its own view of folders: not to be seen in the worktree is what is expected there.
            _ if work.sandboxed => Some(Gap::new(
                GapKind::OtherNamespace,
                "the agent runs in a container, whose processes cannot be told apart from here",
            )),
            _ => None,
        };
        match doubt {
            Some(gap) => (unless_absent(agent, &gap), unless_absent(occupant, &gap)),
            None => (agent, occupant),
        }
    }
}

/// What is asked about one session.
#[derive(Clone, Copy)]
struct Asked<'a> {
    work: &'a Work,
    /// When its work began.
    since: Option<Timestamp>,
    looks: Looks,
    repository: Option<&'a Opened>,
}

/// `fact`, but for an absence that `gap` speaks against.
fn unless_absent<T>(fact: Fact<T>, gap: &Gap) -> Fact<T> {
    match fact {
        Fact::Absent(_) => Fact::from(gap.clone()),
        other => other,
    }
}

/// Where the worktree stands, when that is not where the record says.
fn moved(place: &Place, recorded: &Result<PathBuf, Gap>) -> Option<String> {
    let (Place::Linked { dir, .. }, Ok(recorded)) = (place, recorded) else {
        return None;
    };
    (*dir != resolved(recorded)).then(|| {
        let name = dir.display().to_string();
        name.replace(char::is_control, "?")
    })
}

/// Dirty and unpushed, of a worktree that is opened once for both.
fn unsaved(
    git: &Git,
    work: &Work,
    place: &Place,
    repository: Option<&Opened>,
    now: Timestamp,
) -> (Fact<bool>, Fact<u32>) {
    let Some(opened) = repository else {
        let gap = match place {
            Place::Unknown(gap) => gap.clone(),
            _ => Gap::new(GapKind::NoControl, "no repository was opened"),
        };
        return (Fact::from(gap.clone()), Fact::from(gap));
    };
    let repository = match opened.as_ref() {
        Ok(repository) => repository,
        Err(gap) => return (Fact::from(gap.clone()), Fact::from(gap.clone())),
    };
    let worktree = git.enter(repository, place);
    let dirty = git.dirty(&worktree, now);
    let unpushed = match &work.branch {
        Err(gap) if gap.kind != GapKind::Unrecorded => Fact::from(gap.clone()),
        branch => {
            let line = Line {
                branch: branch.as_ref().ok().map(String::as_str),
                base: work.base_branch.as_deref(),
                remote_bases: &[],
            };
            git.unpushed(repository, &worktree, line, now)
        }
    };
    (dirty, unpushed)
}

/// Opens each repository that any session needs, once.
fn open_all(
    git: &Git,
    sessions: &[(&Session, Result<Arc<Work>, Gap>)],
    wanted: &[Looks],
) -> HashMap<PathBuf, Opened> {
    let mut paths: Vec<&PathBuf> = sessions
        .iter()
        .zip(wanted)
        .filter(|(_, looks)| looks.progress || looks.unsaved)
        .filter_map(|((_, work), _)| work.as_ref().ok()?.repo_path.as_ref().ok())
        .collect();
    paths.sort();
    paths.dedup();
    let opened = in_parallel(paths.len(), |index| Arc::new(git.open(paths[index])));
    paths.into_iter().cloned().zip(opened).collect()
}

/// `look(0)`, `look(1)`, ... in order, made by [`LOOKERS`] threads.
fn in_parallel<T: Send + Sync>(count: usize, look: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<(usize, T)>> = Mutex::new(Vec::with_capacity(count));
    let work = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                break;
            }
            let seen = look(index);
            done.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push((index, seen));
        }
    };
    thread::scope(|scope| {
        for _ in 1..LOOKERS.min(count) {
            scope.spawn(work);
        }
        work();
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, seen)| seen).collect()
}

fn unknown(gap: &Gap) -> Liveness {
    Liveness {
        agent: Fact::from(gap.clone()),
        occupant: Fact::from(gap.clone()),
        supervisor: Fact::from(gap.clone()),
        log_written: Fact::from(gap.clone()),
        log_outcome: None,
        worktree_written: Fact::from(gap.clone()),
        worktree_moved_to: None,
        dirty: Fact::from(gap.clone()),
        unpushed: Fact::from(gap.clone()),
    }
}

#[cfg(test)]
mod tests;
