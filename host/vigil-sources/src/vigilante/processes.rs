//! The process table: who is alive, and where it works. One scan serves all sessions of a pass.
//!
//! Seeing a process is proof by itself. Not seeing one proves something only where looking works: the table is that
//! of vigil's own pid namespace, it shows other users' processes, and the record was written by a process of that
//! same namespace. Where any of this does not hold, an absence is a gap.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use procfs::ProcError;
use procfs::process::{self, Process as Seen};
use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};
use vigil_core::Timestamp;
use vigil_core::fact::{Fact, Gap, GapKind, Sighting};
use vigil_core::session::Process;

/// A start this much later than the record's last word is another process under the same number. The slack covers
/// clocks that were set while both were running.
const START_SLACK: Duration = Duration::from_secs(60);

/// The link target of the namespace that the kernel itself begins with; it has this number on every Linux.
const INITIAL_NAMESPACE: &str = "pid:[4026531836]";

/// Programs that run another one named in their arguments.
const INTERPRETERS: &[&str] = &["node", "nodejs", "bun", "deno", "npx", "bunx", "tsx"];

/// Arguments of an interpreter that are looked at: options come first, then the script.
const ARGUMENTS_MAX: usize = 4;

/// Parents that are followed: no real tree is as deep, and a table read while it changes may hold a circle.
const PARENTS_MAX: usize = 64;

/// All processes that are to be seen, as of one moment.
#[derive(Debug)]
pub(crate) struct Table {
    processes: HashMap<u32, Entry>,
    /// Every folder at or above a process's working folder, with those processes.
    by_folder: HashMap<PathBuf, Vec<u32>>,
    /// Processes whose working folder may not be looked at.
    hidden: Vec<u32>,
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

#[derive(Debug)]
struct Entry {
    parent: u32,
    started: Option<Timestamp>,
    ended: bool,
    name: String,
    arguments: Vec<String>,
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

impl Table {
    /// Reads the table below `proc`. `home` is the folder whose records will be compared with it;
    /// `same_namespace` is the configuration's word on whether its owner runs in vigil's own pid namespace.
    pub(crate) fn scan(
        proc: &Path,
        home: &Path,
        same_namespace: Option<bool>,
        booted_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Table {
        let mut table = Table {
            processes: HashMap::new(),
            by_folder: HashMap::new(),
            hidden: Vec::new(),
            blind: None,
            elsewhere: elsewhere(home),
            foreign: None,
            proc: proc.to_owned(),
            booted_at,
            now,
        };
        match process::all_processes_with_root(proc) {
            Ok(all) => {
                for seen in all {
                    if let Err(error) = seen.and_then(|seen| table.add(&seen))
                        && !has_ended(&error)
                    {
                        table.blind = Some(Gap::new(
                            GapKind::NoControl,
                            format!(
                                "a process below {} cannot be looked at: {error}",
                                proc.display()
                            ),
                        ));
                    }
                }
            }
            Err(error) => {
                table.blind = Some(Gap::new(
                    GapKind::NoControl,
                    format!("{} cannot be read: {error}", proc.display()),
                ));
            }
        }
        table.blind = table.blind.take().or_else(|| table.blindness());
        table.foreign = table
            .elsewhere
            .clone()
            .or_else(|| table.foreignness(same_namespace));
        table
    }

    fn add(&mut self, seen: &Seen) -> procfs::ProcResult<()> {
        let Ok(pid) = u32::try_from(seen.pid()) else {
            return Ok(());
        };
        let stat = seen.stat()?;
        // Ticks since the boot, at the rate that the kernel reports to programs.
        let started = self.booted_at.map(|booted| {
            let millis = stat.starttime.saturating_mul(1000) / procfs::ticks_per_second().max(1);
            booted.after(Duration::from_millis(millis))
        });
        let ended = matches!(stat.state, 'Z' | 'X' | 'x');
        match seen.cwd() {
            Ok(folder) => {
                // A folder that was removed under a process keeps its name, with this mark.
                let folder = match folder.to_str().and_then(|it| it.strip_suffix(" (deleted)")) {
                    Some(removed) => PathBuf::from(removed),
                    None => folder,
                };
                if !ended {
                    for above in folder.ancestors() {
                        self.by_folder
                            .entry(above.to_owned())
                            .or_default()
                            .push(pid);
                    }
                }
            }
            Err(error) if ended || has_ended(&error) => {}
            Err(_) => self.hidden.push(pid),
        }
        let entry = Entry {
            parent: u32::try_from(stat.ppid).unwrap_or(0),
            started,
            ended,
            name: stat.comm,
            arguments: seen.cmdline().unwrap_or_default(),
        };
        self.processes.insert(pid, entry);
        Ok(())
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

    fn foreignness(&self, same_namespace: Option<bool>) -> Option<Gap> {
        let gap = |detail: String| Some(Gap::new(GapKind::OtherNamespace, detail));
        match same_namespace {
            Some(true) => return None,
            Some(false) => {
                return gap("the configuration says that its owner runs elsewhere".to_owned());
            }
            None => {}
        }
        let namespace = fs::read_link(self.proc.join("self/ns/pid")).ok();
        if namespace.as_deref() == Some(Path::new(INITIAL_NAMESPACE)) {
            return None;
        }
        let owner_is_here = self
            .processes
            .values()
            .any(|entry| !entry.ended && entry.is_named("vigilante"));
        if owner_is_here {
            return None;
        }
        gap(
            "vigil runs in a pid namespace of its own (a container), and no Vigilante is to be seen in it; set \
             same_pid_namespace when Vigilante runs beside vigil"
                .to_owned(),
        )
    }

    /// Whether the supervisor that a record names lives. Its life says nothing about an agent's.
    pub(crate) fn supervisor(&self, recorded: Recorded) -> Fact<Process> {
        // No process outlives the machine, whatever the namespace it lived in.
        if let (Some(booted), Some(written)) = (self.booted_at, recorded.written)
            && written < booted
            && self.elsewhere.is_none()
        {
            return self.absent("it was started before this machine was booted");
        }
        if let Some(gap) = self.blind.as_ref().or(self.foreign.as_ref()) {
            return Fact::from(gap.clone());
        }
        let Some(entry) = self.processes.get(&recorded.pid) else {
            return self.unlisted(recorded.pid);
        };
        if entry.ended {
            return self.absent("it has ended and waits for its parent (a zombie)");
        }
        if let (Some(started), Some(last_word)) = (entry.started, recorded.last_word)
            && started > last_word.after(START_SLACK)
        {
            return self.absent("its pid now belongs to a process that was started later");
        }
        Fact::Found(Process {
            pid: recorded.pid,
            started: entry.started,
        })
    }

    /// A pid that was not in the listing: gone, born or hidden since, or the number of a thread.
    fn unlisted(&self, number: u32) -> Fact<Process> {
        let Some(pid) = i32::try_from(number).ok().and_then(Pid::from_raw) else {
            return Fact::unknown(GapKind::Malformed, format!("{number} is no pid"));
        };
        match test_kill_process(pid) {
            Err(Errno::SRCH) => self.absent(""),
            // Not allowed to signal it is proof that it is there; so is success. But threads answer too.
            Ok(()) | Err(Errno::PERM) => {
                let root = self.proc.join(number.to_string());
                let leader = Seen::new_with_root(root)
                    .and_then(|seen| seen.status())
                    .map(|status| status.tgid);
                match leader {
                    Ok(leader) if leader != pid.as_raw_nonzero().get() => {
                        self.absent("its pid now belongs to a thread of another process")
                    }
                    _ => Fact::Found(Process {
                        pid: number,
                        started: None,
                    }),
                }
            }
            Err(error) => Fact::unknown(GapKind::Denied, format!("pid {number}: {error}")),
        }
    }

    /// The agent at work in `worktree`: a process that works inside it and bears one of the provider's `names` or
    /// descends from `supervisor`. The one that was started first where there are several.
    pub(crate) fn agent(
        &self,
        worktree: &Path,
        names: &[String],
        supervisor: Option<u32>,
    ) -> Fact<Process> {
        let is_agent = |pid: &u32| {
            self.processes
                .get(pid)
                .is_some_and(|entry| names.iter().any(|name| entry.is_named(name)))
                || supervisor.is_some_and(|above| self.descends(*pid, above))
        };
        let worktree = resolved(worktree);
        let inside = self.by_folder.get(&worktree).map_or(&[][..], Vec::as_slice);
        let first = inside
            .iter()
            .filter(|pid| is_agent(pid))
            .filter_map(|pid| {
                let started = self.processes.get(pid)?.started;
                Some((started, *pid))
            })
            .min();
        if let Some((started, pid)) = first {
            return Fact::Found(Process { pid, started });
        }
        if let Some(gap) = self.blind.as_ref().or(self.foreign.as_ref()) {
            return Fact::from(gap.clone());
        }
        // Whoever is not named like an agent and does not stem from the supervisor is none, wherever it works.
        if let Some(pid) = self.hidden.iter().find(|pid| is_agent(pid)) {
            return Fact::unknown(
                GapKind::Denied,
                format!(
                    "process {pid} ({}) may be the agent, and where it works may not be looked at; run vigil as the \
                     user who runs Vigilante",
                    self.processes.get(pid).map_or("", |entry| &entry.name)
                ),
            );
        }
        self.absent("")
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

impl Entry {
    /// Whether the process is called `name`, or is an interpreter at work on a program of that name.
    fn is_named(&self, name: &str) -> bool {
        let program = self.arguments.first().map_or("", String::as_str);
        let program = program.rsplit('/').next().unwrap_or(program);
        if self.name == name || program_is(program, name) {
            return true;
        }
        // A shell's `claude` is a script that node runs: /usr/lib/node_modules/@anthropic-ai/claude-code/cli.js.
        (INTERPRETERS.contains(&program) || INTERPRETERS.contains(&self.name.as_str()))
            && self
                .arguments
                .iter()
                .skip(1)
                .take(ARGUMENTS_MAX)
                .any(|argument| argument.split('/').any(|part| program_is(part, name)))
    }
}

/// A process that ended while it was looked at is no trouble: it is not there.
fn has_ended(error: &ProcError) -> bool {
    match error {
        ProcError::NotFound(_) => true,
        ProcError::Io(error, _) => error.raw_os_error() == Some(Errno::SRCH.raw_os_error()),
        _ => false,
    }
}

/// `claude`, `claude.js`, `claude-code`, and not `claudette`.
fn program_is(part: &str, name: &str) -> bool {
    part.strip_prefix(name)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '.', '@']))
}

/// `path` as the kernel names it: links followed as far as the path exists.
pub(crate) fn resolved(path: &Path) -> PathBuf {
    for above in path.ancestors() {
        if let Ok(real) = fs::canonicalize(above) {
            return match path.strip_prefix(above) {
                Ok(rest) if !rest.as_os_str().is_empty() => real.join(rest),
                _ => real,
            };
        }
    }
    path.to_owned()
}

/// Why the pids in `home` may be those of another machine.
fn elsewhere(home: &Path) -> Option<Gap> {
    let kind = remote_file_system(home)?;
    Some(Gap::new(
        GapKind::OtherNamespace,
        format!(
            "{} is on {kind}: another machine may have written the pids in it",
            home.display()
        ),
    ))
}

/// The kind of file system that other machines write to as well.
fn remote_file_system(path: &Path) -> Option<&'static str> {
    let found = rustix::fs::statfs(path).ok()?;
    // Magic numbers of statfs(2); the type's width differs between machines.
    #[allow(clippy::unnecessary_cast, reason = "needed where the type is narrower")]
    match found.f_type as u64 & 0xffff_ffff {
        0x6969 => Some("a network file system (NFS)"),
        0xff53_4d42 | 0xfe53_4d42 | 0x517b => Some("a network file system (SMB)"),
        0x6573_5546 => Some("a file system that a program provides (FUSE)"),
        0x0102_1997 => Some("a folder of another machine (9p)"),
        0x5346_414f => Some("a network file system (AFS)"),
        0x00c3_6400 => Some("a network file system (Ceph)"),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
