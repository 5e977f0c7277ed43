//! Whose numbers the records hold: whether the supervisor that a record names lives, and whether its number says
//! anything here.

use std::fs;
use std::path::{Path, PathBuf};

use procfs::process::Process as Seen;
use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};
use vigil_core::fact::{Fact, Gap, GapKind};
use vigil_core::session::Process;

use super::{INITIAL_NAMESPACE, Recorded, Table, is_later};

impl Table {
    pub(super) fn foreignness(&self, same_namespace: Option<bool>) -> Option<Gap> {
        let gap = |detail: String| Some(Gap::new(GapKind::OtherNamespace, detail));
        match same_namespace {
            Some(true) => return None,
            Some(false) => {
                return gap("the configuration says that its owner runs elsewhere".to_owned());
            }
            None => {}
        }
        let own = self.namespace("self");
        let owners = self
            .processes
            .iter()
            .filter(|(_, entry)| !entry.ended && entry.program.is_named("vigilante"));
        let (mut here, mut inside) = (false, None);
        for (pid, _) in owners {
            match self.namespace(&pid.to_string()) {
                Some(theirs) if own.as_ref().is_some_and(|own| *own != theirs) => {
                    inside = inside.max(Some(*pid));
                }
                _ => here = true,
            }
        }
        if here {
            return None;
        }
        if let Some(pid) = inside {
            return gap(format!(
                "Vigilante (pid {pid}) runs in a pid namespace of its own (a container), whose numbers its records hold; \
                 set same_pid_namespace when another one, beside vigil, writes them"
            ));
        }
        if own.as_deref() == Some(Path::new(INITIAL_NAMESPACE)) {
            return None;
        }
        gap(
            "vigil runs in a pid namespace of its own (a container), and no Vigilante is to be seen in it; set \
             same_pid_namespace when Vigilante runs beside vigil"
                .to_owned(),
        )
    }

    /// That no process of the program `name` runs anywhere where it could use the same files.
    ///
    /// # Errors
    /// What speaks against it, in words; also where looking proves nothing.
    pub(crate) fn no_process_named(&self, name: &str) -> Result<(), String> {
        let mut pids: Vec<u32> = self
            .processes
            .iter()
            .filter(|(_, entry)| !entry.ended && entry.program.is_named(name))
            .map(|(pid, _)| *pid)
            .collect();
        pids.sort_unstable();
        match (pids.first(), self.blind.as_ref().or(self.foreign.as_ref())) {
            (Some(pid), _) => Err(format!("pid {pid} ({name}) does")),
            (None, Some(gap)) => Err(format!(
                "whether one does is not to be seen: {}",
                gap.detail
            )),
            (None, None) => Ok(()),
        }
    }

    /// The pid namespace of a process. `None`: it may not be looked at.
    fn namespace(&self, process: &str) -> Option<PathBuf> {
        fs::read_link(self.proc.join(process).join("ns/pid")).ok()
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
        if is_later(entry.started, recorded.last_word) {
            return self.absent("its pid now belongs to a process that was started later");
        }
        let (own, its) = (
            self.namespace("self"),
            self.namespace(&recorded.pid.to_string()),
        );
        if let (Some(own), Some(its)) = (own, its)
            && own != its
        {
            return Fact::unknown(
                GapKind::OtherNamespace,
                format!(
                    "pid {} is here a process of another pid namespace (a container), {}",
                    recorded.pid,
                    entry.program.shown()
                ),
            );
        }
        Fact::Found(Process {
            pid: recorded.pid,
            started: entry.started,
        })
    }

    /// The number by which those who stem from the recorded supervisor are known, whether it lives or not: no number is
    /// given again while a process group or a session bears it. `None`: it is another process's, or says nothing here.
    pub(crate) fn kin(&self, recorded: Recorded) -> Option<u32> {
        let told = self.blind.is_none() && self.foreign.is_none();
        let of_this_boot = match (self.booted_at, recorded.written) {
            (Some(booted), Some(written)) => written >= booted,
            _ => true,
        };
        let reused = self
            .processes
            .get(&recorded.pid)
            .is_some_and(|entry| !entry.ended && is_later(entry.started, recorded.last_word));
        (told && of_this_boot && !reused && recorded.pid > 1).then_some(recorded.pid)
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
}

/// Why the pids in `home` may be those of another machine.
pub(super) fn elsewhere(home: &Path) -> Option<Gap> {
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
