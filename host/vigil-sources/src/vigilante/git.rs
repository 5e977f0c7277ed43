//! What git says about a repository and a worktree. Every question is bounded in time and output, changes nothing,
//! and takes no word of a record for an option.
//!
//! Programs that the repository's own configuration names for its filters (`filter.*.clean`, git-lfs for one) do run
//! when git compares a changed file: without them every such file would seem changed. They run with vigil's rights,
//! as they run whenever Vigilante asks git the same question.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::{self, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use vigil_core::Timestamp;
use vigil_core::fact::{Fact, Gap, GapKind, Sighting};

use crate::machine::child::ChildEnvironment;
use crate::machine::open;
use crate::vigilante::record::excerpt;
use crate::vigilante::worktree::Place;

/// 10 s: a status of a large cold worktree takes a few; a git that waits for a lock or a dead mount takes for ever.
pub(crate) const GIT_TIMEOUT: Duration = Duration::from_secs(10);

/// 64 MiB: the names of half a million refs.
const OUTPUT_BYTES_MAX: u64 = 64 << 20;

/// 64 KiB: a commit, or the name of a branch, which is shorter than any path.
const REF_BYTES_MAX: u64 = 64 << 10;

/// 4 KiB of complaint are enough to tell what is wrong.
const COMPLAINT_BYTES_MAX: u64 = 4 << 10;

/// Settings that hold for every question, whatever a repository says.
const SETTINGS: &[&str] = &[
    // Both would start programs that the repository names.
    "-c",
    "core.fsmonitor=false",
    "-c",
    "core.hooksPath=/dev/null",
    // Both could hide a change.
    "-c",
    "core.untrackedCache=false",
    "-c",
    "core.trustctime=true",
    "--no-pager",
    "--no-replace-objects",
    "--literal-pathspecs",
];

/// The git program.
#[derive(Clone, Debug)]
pub(crate) struct Git {
    program: PathBuf,
    /// All that it is told of vigil's environment: no token, and nothing that would point it elsewhere.
    environment: ChildEnvironment,
    timeout: Duration,
}

/// A repository that was opened.
#[derive(Debug)]
pub(crate) struct Repository {
    /// Where the record says that it is, links followed.
    pub(crate) dir: PathBuf,
    /// The folder that all its worktrees share, links followed.
    pub(crate) common: PathBuf,
    /// Its branches and remote branches by their full names, each with its newest commit.
    refs: HashMap<String, String>,
    /// The newest commits of the remote branches.
    remote_ends: HashSet<String>,
}

struct Output {
    code: Option<i32>,
    stdout: Vec<u8>,
    stderr: String,
}

impl Git {
    pub(crate) fn new(program: &Path, environment: &ChildEnvironment) -> Self {
        Git {
            program: program.to_owned(),
            environment: environment.clone(),
            timeout: GIT_TIMEOUT,
        }
    }

    #[cfg(test)]
    pub(crate) fn with_timeout(program: &Path, timeout: Duration) -> Self {
        Git {
            program: program.to_owned(),
            environment: ChildEnvironment::default(),
            timeout,
        }
    }

    /// Opens the repository at `path`, which must be one itself and not merely lie inside another.
    pub(crate) fn open(&self, path: &Path) -> Result<Repository, Gap> {
        let dir = fs::canonicalize(path).map_err(|error| {
            Gap::new(
                GapKind::NoControl,
                format!(
                    "the repository {} cannot be looked at: {error}",
                    path.display()
                ),
            )
        })?;
        let common = match plain_git_folder(&dir) {
            Some(folder) => folder,
            None => self.git_folder(&dir)?,
        };
        let refs: HashMap<String, String> = self
            .answer(
                &dir,
                &[
                    "for-each-ref",
                    "--format=%(objectname) %(refname)",
                    "refs/heads",
                    "refs/remotes",
                ],
            )?
            .lines()
            .filter_map(|line| line.split_once(' '))
            .map(|(commit, name)| (name.to_owned(), commit.to_owned()))
            .collect();
        let remote_ends = refs
            .iter()
            .filter(|(name, _): &(&String, _)| name.starts_with("refs/remotes/"))
            .map(|(_, commit)| commit.clone())
            .collect();
        Ok(Repository {
            dir,
            common,
            refs,
            remote_ends,
        })
    }

    /// The folder that all worktrees of the repository at `dir` share, as git knows it.
    fn git_folder(&self, dir: &Path) -> Result<PathBuf, Gap> {
        let common = self.answer(
            dir,
            &["rev-parse", "--path-format=absolute", "--git-common-dir"],
        )?;
        fs::canonicalize(common.trim_end_matches('\n')).map_err(|error| {
            Gap::new(
                GapKind::NoControl,
                format!(
                    "the git folder of {} cannot be looked at: {error}",
                    dir.display()
                ),
            )
        })
    }

    /// Uncommitted changes in the worktree, untracked files included. Absent: there is no worktree.
    pub(crate) fn dirty(&self, place: &Place, now: Timestamp) -> Fact<bool> {
        match place {
            Place::Missing(_) => Fact::absent_at(now),
            Place::Unknown(gap) | Place::Foreign(gap) => Fact::from(gap.clone()),
            Place::Linked { dir, .. } => {
                let status = self.answer(
                    dir,
                    &[
                        "status",
                        "--porcelain",
                        "-z",
                        "--untracked-files=normal",
                        // A setting of the repository could leave changed submodules out.
                        "--ignore-submodules=none",
                        "--no-renames",
                    ],
                );
                match status {
                    Ok(status) => Fact::Found(!status.is_empty()),
                    Err(gap) => Fact::from(gap),
                }
            }
        }
    }

    /// Commits on the session's branch, and on whatever the worktree has checked out, that no remote has. Without any
    /// remote that is every commit. Absent: neither branch nor worktree is left.
    pub(crate) fn unpushed(
        &self,
        repository: &Repository,
        place: &Place,
        branch: Option<&str>,
        now: Timestamp,
    ) -> Fact<u32> {
        match repository.tips(place, branch) {
            Err(gap) => Fact::from(gap),
            Ok(None) => no_branch(branch, now),
            // The usual case needs no git: all that is there was pushed just as it is.
            Ok(Some((_, tips)))
                if tips
                    .iter()
                    .all(|tip| repository.is_remote(repository.commit(place, tip))) =>
            {
                Fact::Found(0)
            }
            Ok(Some((dir, tips))) => {
                let mut arguments = vec!["rev-list", "--count", "--not", "--remotes", "--not"];
                arguments.extend(tips.iter().map(String::as_str));
                self.count(dir, &arguments)
            }
        }
    }

    /// Commits on the session's branch, and on whatever the worktree has checked out, beyond the commit `head`.
    /// What the remote's base branch holds is merged and no work of this session's. Absent: neither branch nor
    /// worktree is left. Where `head` is not here, all is pushed or it is unknown.
    pub(crate) fn beyond(
        &self,
        repository: &Repository,
        place: &Place,
        branch: Option<&str>,
        bases: &[String],
        head: &str,
        now: Timestamp,
    ) -> Fact<u32> {
        if !matches!(head.len(), 40 | 64) || !head.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Fact::unknown(
                GapKind::Malformed,
                format!("{} is no commit's name", excerpt(head)),
            );
        }
        let (dir, tips) = match repository.tips(place, branch) {
            Err(gap) => return Fact::from(gap),
            Ok(None) => return no_branch(branch, now),
            Ok(Some(found)) => found,
        };
        // The usual case needs no git: branch and worktree stand where the pull request ends.
        if tips
            .iter()
            .all(|tip| repository.commit(place, tip).as_deref() == Some(head))
        {
            return Fact::Found(0);
        }
        let known = bases
            .iter()
            .filter(|base| repository.refs.contains_key(*base));
        let mut arguments = vec!["rev-list", "--count", "--not", head];
        arguments.extend(known.map(String::as_str));
        arguments.push("--not");
        arguments.extend(tips.iter().map(String::as_str));
        let counted = self.count(dir, &arguments);
        let Fact::Unknown(gap) = counted else {
            return counted;
        };
        if gap.kind == GapKind::TimedOut {
            return Fact::from(gap);
        }
        let commit = format!("{head}^{{commit}}");
        match self.run(&repository.dir, &["cat-file", "-e", &commit]) {
            Err(gap) => Fact::from(gap),
            // The commit is here, so that something else is wrong.
            Ok(output) if output.code == Some(0) => Fact::from(gap),
            Ok(_) => match self.unpushed(repository, place, branch, now) {
                Fact::Found(1..) | Fact::NotAsked => Fact::unknown(
                    GapKind::NoControl,
                    format!(
                        "commit {head} is not in {}; fetch it to compare the branch with it",
                        repository.dir.display()
                    ),
                ),
                other => other,
            },
        }
    }

    fn count(&self, dir: &Path, arguments: &[&str]) -> Fact<u32> {
        let counted = self.answer(dir, arguments).and_then(|text| {
            text.trim().parse().map_err(|_| {
                Gap::new(
                    GapKind::Malformed,
                    format!("git counted {}", excerpt(text.trim())),
                )
            })
        });
        match counted {
            Ok(count) => Fact::Found(count),
            Err(gap) => Fact::from(gap),
        }
    }

    /// The output of a git that ended well; anything else is a gap that says what git said.
    fn answer(&self, dir: &Path, arguments: &[&str]) -> Result<String, Gap> {
        let output = self.run(dir, arguments)?;
        if output.code == Some(0) {
            return String::from_utf8(output.stdout)
                .or_else(|error| Ok(String::from_utf8_lossy(error.as_bytes()).into_owned()));
        }
        let said = output.stderr.lines().next().unwrap_or("nothing").trim();
        let kind = if said.contains("dubious ownership") || said.contains("Permission denied") {
            GapKind::Denied
        } else if said.contains("not a git repository") {
            GapKind::NoControl
        } else {
            GapKind::Malformed
        };
        let step = arguments.first().copied().unwrap_or_default();
        Err(Gap::new(
            kind,
            format!("git {step} failed in {}: {said}", dir.display()),
        ))
    }

    fn run(&self, dir: &Path, arguments: &[&str]) -> Result<Output, Gap> {
        let step = arguments.first().copied().unwrap_or_default();
        let mut command = Command::new(&self.program);
        command.args(SETTINGS).arg("-C").arg(dir).args(arguments);
        self.environment
            .give(&mut command)
            .env("GIT_OPTIONAL_LOCKS", "0")
            .env("GIT_NO_LAZY_FETCH", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("LC_ALL", "C")
            // A folder that is no repository must not pass for the one above it.
            .env("GIT_CEILING_DIRECTORIES", dir.parent().unwrap_or(dir))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Its own group, so that whatever it starts can be ended with it.
            .process_group(0);
        let child = command.spawn().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Gap::new(
                GapKind::Unsupported,
                format!("there is no {}; install git", self.program.display()),
            ),
            _ => Gap::new(
                GapKind::Denied,
                format!("{} could not be started: {error}", self.program.display()),
            ),
        })?;
        let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            // Nobody listens any more after the deadline.
            let _ = sender.send(collect(child));
        });
        match receiver.recv_timeout(self.timeout) {
            Ok(Ok(output)) => Ok(output),
            Ok(Err(error)) => Err(Gap::new(
                GapKind::Malformed,
                format!("git {step} in {}: {error}", dir.display()),
            )),
            Err(_) => {
                // It has not been waited for, so that its number is still its own.
                if let Some(group) = group {
                    let _ = kill_process_group(group, Signal::KILL);
                }
                Err(Gap::new(
                    GapKind::TimedOut,
                    format!(
                        "git {step} in {} took more than {} s",
                        dir.display(),
                        self.timeout.as_secs()
                    ),
                ))
            }
        }
    }
}

impl Repository {
    /// The commit that `tip` stands for. `None`: it cannot be told without asking git.
    fn commit(&self, place: &Place, tip: &str) -> Option<String> {
        if self.refs.contains_key(tip) {
            return self.present(tip);
        }
        let Place::Linked { git_dir, .. } = place else {
            return None;
        };
        let head = open::text(&git_dir.join("HEAD"), REF_BYTES_MAX).ok()?;
        match head.trim().strip_prefix("ref: ") {
            Some(name) => self.present(name),
            None => Some(head.trim().to_owned()),
        }
    }

    /// The newest commit of the branch of that full name. `None`: it has moved since the repository was opened, as an
    /// agent's next commit moves it: into a file of its own.
    fn present(&self, name: &str) -> Option<String> {
        let known = self.refs.get(name)?;
        match open::text(&self.common.join(name), REF_BYTES_MAX) {
            Ok(commit) => (commit.trim() == known).then(|| known.clone()),
            // Packed together with others, as it was when they were listed.
            Err(trouble) if trouble.is_gone() => Some(known.clone()),
            Err(_) => None,
        }
    }

    /// Whether a remote's branch ends with `commit`.
    fn is_remote(&self, commit: Option<String>) -> bool {
        commit.is_some_and(|commit| self.remote_ends.contains(&commit))
    }

    /// Where to ask, and what to count from: the branch and what the worktree has checked out, which differ when an
    /// agent works on another branch or on none. `None`: neither is left.
    fn tips<'a>(
        &'a self,
        place: &'a Place,
        branch: Option<&str>,
    ) -> Result<Option<(&'a Path, Vec<String>)>, Gap> {
        let own = branch
            .map(|branch| format!("refs/heads/{branch}"))
            .filter(|name| self.refs.contains_key(name));
        match place {
            Place::Unknown(gap) | Place::Foreign(gap) => Err(gap.clone()),
            Place::Linked { dir, .. } => {
                let tips = [Some("HEAD".to_owned()), own];
                Ok(Some((dir, tips.into_iter().flatten().collect())))
            }
            Place::Missing(_) => Ok(own.map(|own| (self.dir.as_path(), vec![own]))),
        }
    }
}

/// The git folder of an ordinary repository, which is all its own. `None`: whatever stands at `dir` is out of the
/// ordinary, such as a worktree or a bare repository.
fn plain_git_folder(dir: &Path) -> Option<PathBuf> {
    let folder = dir.join(".git");
    let is_plain = fs::symlink_metadata(&folder).ok()?.is_dir()
        && folder.join("HEAD").is_file()
        && matches!(folder.join("commondir").try_exists(), Ok(false));
    is_plain.then_some(folder)
}

fn no_branch<T>(branch: Option<&str>, now: Timestamp) -> Fact<T> {
    match branch {
        Some(branch) => Fact::from(Sighting {
            first: now,
            last: now,
            detail: format!("there is no branch {branch} and no worktree"),
        }),
        None => Fact::unknown(GapKind::Unrecorded, "the record holds no `branch`"),
    }
}

fn collect(mut child: Child) -> io::Result<Output> {
    let stdout = child.stdout.take();
    let stderr = child.stderr.take();
    let complaint = thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = stderr {
            let _ = pipe
                .by_ref()
                .take(COMPLAINT_BYTES_MAX)
                .read_to_end(&mut bytes);
            // What is not kept is read all the same, so that git is not stopped by a full pipe.
            let _ = io::copy(&mut pipe, &mut io::sink());
        }
        String::from_utf8_lossy(&bytes).into_owned()
    });
    let mut bytes = Vec::new();
    if let Some(mut pipe) = stdout {
        pipe.by_ref()
            .take(OUTPUT_BYTES_MAX)
            .read_to_end(&mut bytes)?;
        io::copy(&mut pipe, &mut io::sink())?;
    }
    let cut = bytes.len() as u64 == OUTPUT_BYTES_MAX;
    let status = child.wait()?;
    let stderr = complaint.join().unwrap_or_default();
    if cut {
        return Err(io::Error::other(format!(
            "more than {OUTPUT_BYTES_MAX} bytes of answer"
        )));
    }
    let stderr = match status.signal() {
        Some(signal) => format!("ended by signal {signal}"),
        None => stderr,
    };
    Ok(Output {
        code: status.code(),
        stdout: bytes,
        stderr,
    })
}

#[cfg(test)]
mod tests;
