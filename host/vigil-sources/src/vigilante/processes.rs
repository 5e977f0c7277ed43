//! The process table: who is alive, and where it works. One scan serves all sessions of a pass.
//!
//! Seeing a process is proof by itself. Not seeing one proves something only where looking works: the table is that
//! of vigil's own pid namespace, it shows other users' processes, and the record was written by a process of that
//! same namespace. Where any of this does not hold, an absence is a gap.
//!
//! Where a process works is told by the folder itself and not by its name (see [`folder`]), so that a link, a bind mount
//! or a container hides nobody. A process whose folder cannot be told may be at work in any worktree that its user's
//! agents work in; what is known of its parents and its start tells most of them apart.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use procfs::ProcError;
use procfs::process::{self, Process as Seen};
use rustix::io::Errno;
use vigil_core::Timestamp;
use vigil_core::fact::{Fact, Gap, GapKind, Sighting};

use self::folder::{FolderId, Mounts, Reach, Working};
use self::ground::{Grounds, Mounted, Spot};
use self::program::Program;
use self::threads::{Rest, is_over};

mod folder;
mod ground;
mod owner;
mod program;
mod threads;
mod work;

pub(crate) use self::folder::resolved;

/// A start this much later than the record's last word is another process under the same number. The slack covers
/// clocks that were set while both were running.
const START_SLACK: Duration = Duration::from_secs(60);

/// The link target of the namespace that the kernel itself begins with; it has this number on every Linux.
const INITIAL_NAMESPACE: &str = "pid:[4026531836]";

/// Parents that are followed: no real tree is as deep, and a table read while it changes may hold a circle.
const PARENTS_MAX: usize = 64;

/// The flag of a process that is a part of the kernel (PF_KTHREAD).
const OF_THE_KERNEL: u32 = 0x0020_0000;

/// What to look at, and what is known beforehand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    /// Where processes are looked at.
    pub(crate) proc: &'a Path,
    /// The folder whose records will be compared with them.
    pub(crate) home: &'a Path,
    /// The configuration's word on whether its owner runs in vigil's own pid namespace.
    pub(crate) same_namespace: Option<bool>,
    /// Names of processes that do no work on any session.
    pub(crate) ignored: &'a [String],
    /// vigil's own pid: what stems from it works for vigil.
    pub(crate) own: u32,
    /// Since when this machine is up.
    pub(crate) booted_at: Option<Timestamp>,
}

/// All processes that are to be seen, as of one moment.
#[derive(Debug)]
pub(crate) struct Table {
    processes: HashMap<u32, Entry>,
    /// Every folder at or above a process's working folder, with those processes.
    inside: Index,
    /// Processes that may not be looked at, by the folders of the parent that may: they usually work where it does.
    beside: Index,
    /// Processes that may not be looked at and could be anybody's agent, the newest first.
    anywhere: Vec<u32>,
    /// All that may not be looked at.
    hidden: Vec<u32>,
    /// Processes of other mount namespaces whose folder could not be followed to the root.
    astray: Vec<u32>,
    /// What is mounted where, as vigil sees it.
    mounted: Mounted,
    /// Which hidden process may be an agent, by the names and the supervisor that were asked for.
    hidden_agents: Mutex<HashMap<Sought, Option<u32>>>,
    /// Why an absence from this table says nothing.
    blind: Option<Gap>,
    /// Why a pid in a record may be that of another machine.
    elsewhere: Option<Gap>,
    /// Why a pid in a record may be that of another pid namespace or machine.
    foreign: Option<Gap>,
    proc: PathBuf,
    booted_at: Option<Timestamp>,
    now: Timestamp,
}

/// The names and the supervisor by which an agent is known.
type Sought = (Vec<String>, Option<u32>);

/// Processes by the folders that they are in.
#[derive(Debug, Default)]
struct Index {
    by_id: HashMap<FolderId, Vec<u32>>,
    /// Of those that share vigil's mount namespace, with whether all their folders are filed by identity as well.
    by_path: HashMap<PathBuf, Vec<(u32, bool)>>,
    grounds: Grounds,
}

#[derive(Debug)]
struct Entry {
    parent: u32,
    group: u32,
    session: u32,
    started: Option<Timestamp>,
    ended: bool,
    /// It does no work on any worktree, whatever its folder is.
    idle: bool,
    program: Program,
    at: At,
}

#[derive(Debug)]
enum At {
    /// In this folder.
    Folder(Working),
    /// It may not be looked at. The user who runs it, where that may be seen.
    Hidden(Option<u32>),
    /// It has ended, or is a part of the kernel.
    Nowhere,
}

/// What a record says about its supervisor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recorded {
    /// The pid.
    pub(crate) pid: u32,
    /// The latest moment at which the pid can have been written down.
    pub(crate) written: Option<Timestamp>,
    /// The latest moment at which the record was written.
    pub(crate) last_word: Option<Timestamp>,
}

/// The worktree of one session, and who may be at work in it.
#[derive(Debug)]
pub(crate) struct Workplace<'a> {
    path: PathBuf,
    id: Option<FolderId>,
    names: &'a [String],
    supervisor: Option<u32>,
    since: Option<Timestamp>,
}

impl<'a> Workplace<'a> {
    /// The worktree at `dir`. Its agent bears one of `names` or stems from the process `supervisor`, and was not started
    /// before `since`, which is `None` where nobody wrote that down.
    pub(crate) fn new(
        dir: &Path,
        names: &'a [String],
        supervisor: Option<u32>,
        since: Option<Timestamp>,
    ) -> Workplace<'a> {
        Workplace {
            path: resolved(dir),
            id: FolderId::at(dir),
            names,
            supervisor,
            since,
        }
    }

    /// Whether something stands at the worktree's path.
    pub(crate) fn is_there(&self) -> bool {
        self.id.is_some()
    }
}

impl Table {
    /// Reads the table.
    pub(crate) fn scan(view: &View<'_>, now: Timestamp) -> Table {
        let mut table = Table {
            processes: HashMap::new(),
            inside: Index::default(),
            beside: Index::default(),
            anywhere: Vec::new(),
            hidden: Vec::new(),
            astray: Vec::new(),
            mounted: folder::own_mounts(view.proc),
            hidden_agents: Mutex::default(),
            blind: None,
            elsewhere: owner::elsewhere(view.home),
            foreign: None,
            proc: view.proc.to_owned(),
            booted_at: view.booted_at,
            now,
        };
        let gap = |detail| Some(Gap::new(GapKind::NoControl, detail));
        let mut mounts = Mounts::new(view.proc);
        match process::all_processes_with_root(view.proc) {
            Ok(all) => {
                for seen in all {
                    if let Err(error) = seen.and_then(|seen| table.add(&seen, &mut mounts))
                        && !has_ended(&error)
                    {
                        table.blind = gap(format!(
                            "a process below {} cannot be looked at: {error}",
                            view.proc.display()
                        ));
                    }
                }
            }
            Err(error) => {
                table.blind = gap(format!("{} cannot be read: {error}", view.proc.display()));
            }
        }
        table.sort_out(view);
        table.blind = table.blind.take().or_else(|| table.blindness());
        table.foreign = table
            .elsewhere
            .clone()
            .or_else(|| table.foreignness(view.same_namespace));
        table
    }

    fn add(&mut self, seen: &Seen, mounts: &mut Mounts) -> procfs::ProcResult<()> {
        let Ok(pid) = u32::try_from(seen.pid()) else {
            return Ok(());
        };
        let stat = seen.stat()?;
        // Ticks since the boot, at the rate that the kernel reports to programs.
        let started = self.booted_at.map(|booted| {
            let millis = stat.starttime.saturating_mul(1000) / procfs::ticks_per_second().max(1);
            booted.after(Duration::from_millis(millis))
        });
        let of_the_kernel = stat.flags & OF_THE_KERNEL != 0;
        let dir = self.proc.join(pid.to_string());
        let user = || seen.status().ok().map(|status| status.euid);
        // Its first thread may have ended long ago, or while it was looked at.
        let mut thread = None;
        let at = if of_the_kernel {
            Some(At::Nowhere)
        } else if is_over(stat.state) {
            None
        } else {
            match mounts.working(seen, &dir) {
                Ok(working) => Some(At::Folder(working)),
                Err(error) if has_ended(&error) => None,
                Err(_) => Some(At::Hidden(user())),
            }
        };
        let (at, ended) = match at {
            Some(at) => (at, is_over(stat.state)),
            None => match threads::rest(&dir) {
                Rest::Ended => (At::Nowhere, is_over(stat.state)),
                Rest::Hidden => (At::Hidden(user()), false),
                Rest::Thread(other, its) => {
                    let at = match mounts.working(&other, &its) {
                        Ok(working) => At::Folder(working),
                        Err(_) => At::Hidden(user()),
                    };
                    thread = Some(other);
                    (at, false)
                }
            },
        };
        let teller = thread.as_ref().unwrap_or(seen);
        // A version number says nothing, and costs one more look.
        let file = stat
            .comm
            .starts_with(|first: char| first.is_ascii_digit())
            .then(|| teller.exe().ok()?.into_os_string().into_string().ok())
            .flatten();
        let number = |number: i32| u32::try_from(number).unwrap_or(0);
        let program = Program {
            name: stat.comm,
            arguments: teller.cmdline().unwrap_or_default(),
            file,
        };
        let entry = Entry {
            parent: number(stat.ppid),
            group: number(stat.pgrp),
            session: number(stat.session),
            started,
            ended,
            idle: of_the_kernel || program.is_idle(),
            program,
            at,
        };
        self.processes.insert(pid, entry);
        Ok(())
    }

    /// Files every process under the folders in which it may be at work.
    fn sort_out(&mut self, view: &View<'_>) {
        let own = view.own;
        let owner = fs::metadata(view.home).ok().map(|home| home.uid());
        let mut pids: Vec<u32> = self.processes.keys().copied().collect();
        pids.sort_unstable();
        for pid in pids {
            // What vigil starts works for vigil.
            let of_vigil = pid == own || self.descends(pid, own);
            let Some(entry) = self.processes.get_mut(&pid) else {
                continue;
            };
            entry.idle |= of_vigil || view.ignored.iter().any(|name| entry.program.is_named(name));
            match &entry.at {
                At::Nowhere => {}
                At::Folder(working) => {
                    self.inside.file(pid, working);
                    if !working.shared && working.reach != Reach::Root {
                        self.astray.push(pid);
                    }
                }
                At::Hidden(user) => {
                    self.hidden.push(pid);
                    let may_be_its = user.is_none() || owner.is_none() || *user == owner;
                    // The first process was there before any session was.
                    if entry.idle || !may_be_its || pid == 1 {
                        continue;
                    }
                    match parent_in_sight(&self.processes, pid) {
                        Some(parent) => self.beside.file(pid, parent),
                        None => self.anywhere.push(pid),
                    }
                }
            }
        }
        let started = |pid: &u32| self.processes.get(pid).and_then(|entry| entry.started);
        // Without a time of its start nothing rules a process out: such come first.
        self.anywhere
            .sort_by_key(|pid| std::cmp::Reverse(started(pid).unwrap_or(Timestamp(u64::MAX))));
    }

    /// Every folder in or below which a process works, as far as it may be touched.
    pub(crate) fn folders(&self) -> impl Iterator<Item = &Path> {
        self.inside
            .by_path
            .iter()
            .filter(|(_, pids)| pids.iter().any(|(_, followed)| *followed))
            .map(|(path, _)| path.as_path())
    }

    /// Two processes must be in any table that shows everything: vigil's own, and the first one, which belongs to
    /// another user wherever that matters.
    fn blindness(&self) -> Option<Gap> {
        let gap = |detail| Some(Gap::new(GapKind::NoControl, detail));
        let own = std::process::id();
        let itself = fs::read_link(self.proc.join("self")).ok();
        if itself.as_deref() != Some(Path::new(&own.to_string())) {
            return gap(format!(
                "{} shows the processes of another pid namespace",
                self.proc.display()
            ));
        }
        if !self.processes.contains_key(&own) {
            return gap(format!(
                "{} does not show vigil itself",
                self.proc.display()
            ));
        }
        if !self.processes.contains_key(&1) {
            return gap(format!(
                "{} hides other users' processes (hidepid); run vigil as a user who sees them",
                self.proc.display()
            ));
        }
        None
    }

    fn descends(&self, pid: u32, ancestor: u32) -> bool {
        // Every orphan becomes a child of the first process: descent from it means nothing.
        if ancestor <= 1 {
            return false;
        }
        let mut at = pid;
        for _ in 0..PARENTS_MAX {
            match self.processes.get(&at) {
                Some(entry) if entry.parent == ancestor => return true,
                Some(entry) if entry.parent > 1 => at = entry.parent,
                _ => return false,
            }
        }
        false
    }

    fn absent<T>(&self, detail: &str) -> Fact<T> {
        Fact::from(Sighting {
            first: self.now,
            last: self.now,
            detail: detail.to_owned(),
        })
    }
}

impl Index {
    fn file(&mut self, pid: u32, working: &Working) {
        for id in &working.ids {
            self.by_id.entry(*id).or_default().push(pid);
        }
        if working.shared {
            let followed = working.reach == Reach::Root;
            for above in working.path.ancestors() {
                let named = self.by_path.entry(above.to_owned()).or_default();
                named.push((pid, followed));
            }
        }
        if working.reach != Reach::Removed {
            self.grounds
                .file(pid, &working.path, &working.ground, working.shared);
        }
    }

    /// The processes at or below the place, which lies at `spot`.
    fn at(&self, place: &Workplace<'_>, spot: Option<&Spot>) -> impl Iterator<Item = u32> {
        let by_id = place.id.and_then(|id| self.by_id.get(&id));
        // A name says something only where the folder itself does not.
        let by_path = self.by_path.get(&place.path).into_iter().flatten();
        let named = by_path
            .filter(|(_, followed)| place.id.is_none() || !followed)
            .map(|(pid, _)| *pid);
        let by_id = by_id.into_iter().flatten().copied();
        by_id.chain(named).chain(self.grounds.at(spot))
    }
}

/// Where the nearest parent works that may be looked at. `None`: there is none, as with a process whose parents have
/// ended.
fn parent_in_sight(processes: &HashMap<u32, Entry>, pid: u32) -> Option<&Working> {
    let mut at = pid;
    for _ in 0..PARENTS_MAX {
        let parent = processes.get(&at)?.parent;
        let above = processes.get(&parent).filter(|_| parent > 1)?;
        if above.program.is_reaper() {
            return None;
        }
        if let At::Folder(working) = &above.at {
            return Some(working);
        }
        at = parent;
    }
    None
}

/// Whether `moment` lies beyond `other` by more than clocks explain. Unknown moments are no later than any.
fn is_later(moment: Option<Timestamp>, other: Option<Timestamp>) -> bool {
    matches!((moment, other), (Some(moment), Some(other)) if moment > other.after(START_SLACK))
}

/// A process that ended while it was looked at is no trouble: it is not there.
fn has_ended(error: &ProcError) -> bool {
    match error {
        ProcError::NotFound(_) => true,
        ProcError::Io(error, _) => error.raw_os_error() == Some(Errno::SRCH.raw_os_error()),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
