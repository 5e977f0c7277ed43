//! What is to be seen of the work of many sessions: one scan of the process table, each repository opened once, each
//! worktree looked at once.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;

use serde::{Deserialize, Serialize};
use vigil_core::fact::{Fact, Gap, GapKind};
use vigil_core::session::{Liveness, Occupant, Process};
use vigil_core::{State, Timestamp};

use crate::Checkout;
use crate::machine::ignored::Matchers;
use crate::machine::looker::{Telling, Untold};
use crate::machine::mounts::{self, Mounts};
use crate::vigilante::convert::Work;
use crate::vigilante::git::{self, Git, Line, Repository};
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Looks {
    /// Processes in the worktree: nothing is to be written under a live agent.
    pub(crate) agent: bool,
    /// The supervisor, the log and the worktree's last write: whether the work goes on.
    pub(crate) progress: bool,
    /// Uncommitted and unpushed work: whether a write may follow.
    pub(crate) unsaved: bool,
}

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

/// What a look needs to know beside the session's work.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Brief {
    /// Vigilante's folder.
    pub(crate) home: PathBuf,
    /// How the source is set.
    pub(crate) settings: Settings,
    /// When.
    pub(crate) now: Timestamp,
    /// Since when this machine is up.
    pub(crate) booted_at: Option<Timestamp>,
    /// Whether processes are looked for.
    pub(crate) processes: bool,
    /// vigil's own pid: what stems from it works for vigil.
    pub(crate) own: u32,
}

/// How a look goes about what may never answer.
#[derive(Clone, Copy)]
pub(crate) struct Care<'a> {
    /// Places that are left alone.
    pub(crate) avoid: &'a [PathBuf],
    /// Who wants to know where it looks.
    pub(crate) told: &'a dyn Telling,
}

/// Of who waits for as long as the kernel takes.
pub(crate) const WITHOUT_CARE: Care<'_> = Care {
    avoid: &[],
    told: &Untold,
};

impl Care<'_> {
    /// Tells what was seen by now.
    fn part(&self, seen: &Liveness) {
        self.told
            .part(&|| serde_json::to_vec(seen).unwrap_or_default());
    }

    /// Goes to `path`, and no further where it leads to a place that is left alone.
    pub(crate) fn follow(&self, path: &Path) -> Result<(), Gap> {
        let may_enter = |place: &Path| self.told.may_enter(place);
        mounts::follow(path, self.avoid, &|place| self.told.at(place), &may_enter)
    }
}

/// Who looks, with what was found on the way.
#[derive(Debug)]
pub(crate) struct Observer {
    brief: Brief,
    table: Option<Arc<Table>>,
    around: Around,
    git: Git,
    mounts: Mounts,
    matchers: Mutex<Matchers>,
    repositories: Mutex<HashMap<PathBuf, Arc<OnceLock<Opened>>>>,
}

/// Where a session's work lies, opened for one look.
struct At<'a> {
    repository: &'a Repository,
    worktree: &'a git::Opened,
    /// The recorded branch.
    branch: Option<&'a str>,
}

impl Observer {
    /// Looks at the processes, if they are wanted.
    pub(crate) fn new(brief: Brief) -> Self {
        let table = brief.processes.then(|| {
            let view = View {
                proc: &brief.settings.proc,
                home: &brief.home,
                same_namespace: brief.settings.same_pid_namespace,
                ignored: &brief.settings.ignore_processes,
                own: brief.own,
                booted_at: brief.booted_at,
            };
            Arc::new(Table::scan(&view, brief.now))
        });
        Observer {
            around: Around::new(table.clone()),
            table,
            git: Git::new(&brief.settings.git),
            mounts: Mounts::read(),
            matchers: Mutex::default(),
            repositories: Mutex::default(),
            brief,
        }
    }

    /// The repository at `path`, opened once for all that ask.
    fn repository(&self, path: &Path) -> Opened {
        let mut known = lock(&self.repositories);
        let place = Arc::clone(known.entry(path.to_owned()).or_default());
        drop(known);
        Arc::clone(place.get_or_init(|| Arc::new(self.git.open(path))))
    }

    /// What stands where the session's worktree should be.
    fn place(&self, work: &Work, care: Care<'_>) -> (Option<Opened>, Place) {
        let repo_path = match &work.repo_path {
            Ok(repo_path) => repo_path,
            Err(gap) => return (None, Place::Unknown(gap.clone())),
        };
        // Its `.git` may be a file that names a folder elsewhere.
        let reachable = care.follow(repo_path).and_then(|()| {
            care.follow(&repo_path.join(".git"))?;
            match worktree::named_git_dir(repo_path) {
                Ok(named) => care.follow(&named),
                Err(_) => Ok(()),
            }
        });
        if let Err(gap) = reachable {
            return (None, Place::Unknown(gap));
        }
        let opened = self.repository(repo_path);
        if let Ok(worktree) = &work.worktree
            && let Err(gap) = care.follow(worktree)
        {
            return (None, Place::Unknown(gap));
        }
        let branch = work.branch.as_deref().ok();
        let place = worktree::find(&opened, &work.worktree, branch, &self.around, care);
        // Where it was moved to need not be where the record says.
        if let Place::Linked { dir, .. } = &place
            && let Err(gap) = care.follow(dir)
        {
            return (None, Place::Unknown(gap));
        }
        (Some(opened), place)
    }

    /// How many commits of the session's are beyond `head_sha`, the head of its pull request.
    pub(crate) fn beyond(&self, work: &Work, head_sha: &str, care: Care<'_>) -> Fact<u32> {
        self.opened(work, care, |at| {
            let remote_bases = work.remote_bases();
            let line = Line {
                branch: at.branch,
                base: work.base_branch.as_deref(),
                remote_bases: &remote_bases,
            };
            let (git, now) = (&self.git, self.brief.now);
            git.beyond(at.repository, at.worktree, line, head_sha, now)
        })
    }

    /// What the session's checkout holds.
    pub(crate) fn checkout(&self, work: &Work, care: Care<'_>) -> Checkout {
        let looked = self.opened(work, care, |at| {
            let (git, now) = (&self.git, self.brief.now);
            Fact::Found(git.checkout(at.repository, at.worktree, at.branch, now))
        });
        match looked {
            Fact::Found(checkout) => checkout,
            Fact::Unknown(gap) => Checkout::unknown(&gap),
            Fact::Absent(_) | Fact::NotAsked => Checkout::default(),
        }
    }

    /// Whether the session's checkout shares the work that leads to `commit`, beyond `bases`.
    pub(crate) fn shares_work(
        &self,
        work: &Work,
        commit: &str,
        bases: &[String],
        care: Care<'_>,
    ) -> Fact<bool> {
        self.opened(work, care, |at| {
            let trunks = trunks(work, bases, &at);
            let (git, now) = (&self.git, self.brief.now);
            git.shares_work(at.repository, at.worktree, at.branch, &trunks, commit, now)
        })
    }

    /// The commits that the session's work began with, beyond `bases`.
    pub(crate) fn firsts(
        &self,
        work: &Work,
        bases: &[String],
        care: Care<'_>,
    ) -> Fact<Vec<String>> {
        self.opened(work, care, |at| {
            let trunks = trunks(work, bases, &at);
            let (git, now) = (&self.git, self.brief.now);
            git.firsts(at.repository, at.worktree, at.branch, &trunks, now)
        })
    }

    /// What `look` sees where the session's work lies.
    fn opened<T>(
        &self,
        work: &Work,
        care: Care<'_>,
        look: impl FnOnce(At<'_>) -> Fact<T>,
    ) -> Fact<T> {
        let (opened, place) = self.place(work, care);
        let opened = match (opened, &place) {
            (Some(opened), _) => opened,
            (None, Place::Unknown(gap)) => return Fact::from(gap.clone()),
            (None, _) => return Fact::NotAsked,
        };
        let repository = match opened.as_ref() {
            Ok(repository) => repository,
            Err(gap) => return Fact::from(gap.clone()),
        };
        let branch = match &work.branch {
            Ok(branch) => Some(branch.as_str()),
            Err(gap) if gap.kind == GapKind::Unrecorded => None,
            Err(gap) => return Fact::from(gap.clone()),
        };
        look(At {
            repository,
            worktree: &self.git.enter(repository, &place),
            branch,
        })
    }

    /// What is to be seen of the work of one session, which began at `since`.
    pub(crate) fn look(
        &self,
        work: &Work,
        since: Option<Timestamp>,
        looks: Looks,
        care: Care<'_>,
    ) -> Liveness {
        let now = self.brief.now;
        let table = self.table.as_deref();
        let mut seen = Liveness::default();
        if looks == Looks::default() {
            return seen;
        }
        let recorded = work.pid.clone().map(|pid| Recorded {
            pid,
            written: work.pid_written,
            last_word: work.last_word,
        });
        if looks.progress {
            seen.supervisor = match (&recorded, table) {
                (Err(gap), _) => Fact::from(gap.clone()),
                (Ok(recorded), Some(table)) => table.supervisor(*recorded),
                (Ok(_), None) => Fact::NotAsked,
            };
            care.part(&seen);
            let logs = self.brief.home.join("logs");
            match (&work.log, care.follow(&logs)) {
                (Ok(name), Ok(())) => {
                    seen.log_written = log::last_write(&logs, name, now);
                    seen.log_outcome = log::outcome(&logs, name);
                }
                (Err(gap), _) => seen.log_written = Fact::from(gap.clone()),
                (_, Err(gap)) => seen.log_written = Fact::from(gap),
            }
            care.part(&seen);
        }
        let (opened, place) = self.place(work, care);
        seen.worktree_moved_to = moved(&place, &work.worktree);
        if let (true, Some(table)) = (looks.agent, table) {
            let kin = recorded.as_ref().ok().and_then(|it| table.kin(*it));
            (seen.agent, seen.occupant) = self.at_work(work, since, table, kin, &place, care);
            care.part(&seen);
        }
        if looks.progress {
            seen.worktree_written = worktree::last_write(
                &place,
                self.brief.settings.fresh_for,
                now,
                &self.mounts,
                &mut lock(&self.matchers),
            );
            care.part(&seen);
        }
        if looks.unsaved {
            (seen.dirty, seen.unpushed) = unsaved(&self.git, work, &place, opened.as_ref(), now);
        }
        seen
    }

    /// The agent, and another process that may be one. Where the worktree stands nobody knows where, not to be seen at
    /// the recorded place is no absence.
    fn at_work(
        &self,
        work: &Work,
        since: Option<Timestamp>,
        table: &Table,
        kin: Option<u32>,
        place: &Place,
        care: Care<'_>,
    ) -> (Fact<Process>, Fact<Occupant>) {
        let recorded = match &work.worktree {
            Ok(worktree) => worktree,
            Err(gap) => return (Fact::from(gap.clone()), Fact::from(gap.clone())),
        };
        // What stands there is asked who it is.
        if let Err(gap) = care.follow(recorded) {
            return (Fact::from(gap.clone()), Fact::from(gap));
        }
        let named = self
            .brief
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
        let workplace = Workplace::new(dir, &named, kin, since);
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

/// The full names of the branches that the work may have begun from: of `bases`, all but its own.
fn trunks(work: &Work, bases: &[String], at: &At<'_>) -> Vec<String> {
    let bases = bases.iter().filter(|base| Some(base.as_str()) != at.branch);
    bases.flat_map(|base| work.names_of(base)).collect()
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
    opened: Option<&Opened>,
    now: Timestamp,
) -> (Fact<bool>, Fact<u32>) {
    let Some(opened) = opened else {
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

/// `look(0)`, `look(1)`, ... in order, made by [`LOOKERS`] threads.
pub(crate) fn in_parallel<T: Send + Sync>(
    count: usize,
    look: impl Fn(usize) -> T + Sync,
) -> Vec<T> {
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

pub(crate) fn unknown(gap: &Gap) -> Liveness {
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

fn lock<T>(held: &Mutex<T>) -> MutexGuard<'_, T> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
