//! Looks that can take for ever, made by processes that can be ended.
//!
//! A call to the kernel about a file on a mount whose server is gone does not return, and a thread in it cannot be
//! ended. Such calls are made by helpers: vigil itself, started once more, with a question a line on standard input and
//! the answer as a line on standard output. Before it looks at a place a helper says so. One that is heard nothing of is
//! ended, and the place is left alone until the pass is over; one that cannot even be ended is left behind, and its place
//! is left alone until it has ended, so that there is at most one for each mount.

use std::collections::HashSet;
use std::io::{self, BufRead, ErrorKind, Read as _, Write};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use vigil_core::fact::{Gap, GapKind};

use super::child::ChildEnvironment;
use super::left_behind::{self, LeftBehind};
use super::mounts::Mounts;

/// Half a second: how often it is looked whether a helper gets on.
const SLICE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 500_000_000,
};

/// 4 s without any work of a helper: a disk that has to wake up takes less, and `vigil status` answers within 10 s.
const SILENT_SLICES_MAX: u32 = 8;

/// 10 s for one question, however busy the helper is: a look at a large worktree from a cold disk takes a few.
const SLICES_MAX: u32 = 20;

/// 16 MiB: an answer takes some kilobytes.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// What a line begins with that names the next place.
const PLACE: u8 = b'@';

/// What a line begins with that holds what was learned so far.
const PART: u8 = b'~';

/// How a helper is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NoAnswer {
    /// For the facts that were not learned.
    pub(crate) gap: Gap,
    /// What was learned before, as the helper sent it.
    pub(crate) part: Option<Vec<u8>>,
}

/// All helpers of one source.
#[derive(Debug)]
pub(crate) struct Lookers {
    program: Program,
    /// Where helpers are noted that could not be ended.
    folder: PathBuf,
    environment: ChildEnvironment,
    idle: Mutex<Vec<Helper>>,
    stuck: Mutex<Vec<Stuck>>,
    /// Those of this process that could not be ended, to be waited for.
    children: Mutex<Vec<Child>>,
}

/// A place that did not answer.
#[derive(Debug)]
struct Stuck {
    place: PathBuf,
    /// The helper that could not be ended, this process's or an earlier one's.
    left_behind: Option<LeftBehind>,
}

impl Lookers {
    /// `folder`: where helpers are noted that could not be ended; read and written only when there are any.
    pub(crate) fn new(program: Program, environment: ChildEnvironment, folder: PathBuf) -> Self {
        Lookers {
            program,
            folder,
            environment,
            idle: Mutex::default(),
            stuck: Mutex::default(),
            children: Mutex::default(),
        }
    }

    /// Begins a pass: what did not answer before is asked again, unless a helper is still in it.
    pub(crate) fn begin(&self) {
        self.renew();
        lock(&self.children).retain_mut(|child| matches!(child.try_wait(), Ok(None)));
        let mut stuck = lock(&self.stuck);
        stuck.retain(|stuck| stuck.left_behind.as_ref().is_some_and(LeftBehind::is_there));
        for helper in left_behind::recall(&self.folder) {
            if stuck
                .iter()
                .all(|known| known.left_behind.as_ref() != Some(&helper))
            {
                stuck.push(Stuck {
                    place: helper.place.clone(),
                    left_behind: Some(helper),
                });
            }
        }
        self.note(&stuck);
    }

    /// Tells the next process of those that are left behind.
    fn note(&self, stuck: &[Stuck]) {
        let left_behind = stuck.iter().filter_map(|stuck| stuck.left_behind.clone());
        left_behind::keep(&self.folder, &left_behind.collect::<Vec<_>>());
    }

    /// Places that are not to be touched.
    pub(crate) fn avoided(&self) -> Vec<PathBuf> {
        lock(&self.stuck)
            .iter()
            .map(|stuck| stuck.place.clone())
            .collect()
    }

    /// Lets go of the helpers, since what they know is old.
    pub(crate) fn renew(&self) {
        lock(&self.idle).clear();
    }

    /// The answer to `question`, which is about `topic`: of a helper that knows it if there is one. A new one is first told
    /// `brief`.
    pub(crate) fn ask(
        &self,
        brief: &[u8],
        topic: &Path,
        question: &[u8],
    ) -> Result<Vec<u8>, NoAnswer> {
        let mut helper = self.helper(brief, topic)?;
        match helper.ask(question) {
            Ok(answer) => {
                helper.topics.insert(topic.to_owned());
                lock(&self.idle).push(helper);
                Ok(answer)
            }
            Err(silence) => Err(self.end(helper, silence)),
        }
    }

    fn helper(&self, brief: &[u8], topic: &Path) -> Result<Helper, NoAnswer> {
        let known = {
            let mut idle = lock(&self.idle);
            let knows = idle.iter().position(|helper| helper.topics.contains(topic));
            match knows {
                Some(place) => Some(idle.swap_remove(place)),
                None => idle.pop(),
            }
        };
        if let Some(helper) = known {
            return Ok(helper);
        }
        let mut helper = Helper::start(&self.program, &self.environment).map_err(|error| {
            let program = self.program.program.display();
            NoAnswer::of(
                GapKind::Denied,
                format!("{program}, which looks at files, could not be started: {error}"),
            )
        })?;
        match helper.ask(brief) {
            Ok(_) => Ok(helper),
            Err(silence) => Err(self.end(helper, silence)),
        }
    }

    fn end(&self, mut helper: Helper, silence: Silence) -> NoAnswer {
        let place = helper.place.take();
        let part = helper.part.take();
        let left_behind = helper.end();
        let shown = place.as_deref().unwrap_or(Path::new("/proc"));
        let shown_name = shown.display();
        let gap = match silence {
            Silence::Ended(how) => Gap::new(
                GapKind::Malformed,
                format!("the look at {shown_name} ended before it had an answer: {how}"),
            ),
            Silence::Slow if left_behind.is_none() => Gap::new(
                GapKind::TimedOut,
                format!(
                    "the look at {shown_name} took more than {} s",
                    SLICES_MAX / 2
                ),
            ),
            Silence::Stuck | Silence::Slow => {
                let stuck = stuck_at(shown, &Mounts::read());
                let seconds = SILENT_SLICES_MAX / 2;
                let said = match stuck == shown {
                    true => format!("{shown_name} did not answer a look for {seconds} s"),
                    false => format!(
                        "the mount {} did not answer a look at {shown_name} for {seconds} s; is its server up?",
                        stuck.display(),
                    ),
                };
                let gap = Gap::new(GapKind::TimedOut, said);
                tracing::warn!(place = %stuck.display(), "a place does not answer");
                let mut all = lock(&self.stuck);
                all.push(Stuck {
                    left_behind: left_behind
                        .as_ref()
                        .and_then(|child| LeftBehind::of(child.id(), &stuck)),
                    place: stuck,
                });
                if let Some(child) = left_behind {
                    lock(&self.children).push(child);
                    self.note(&all);
                }
                gap
            }
        };
        NoAnswer { gap, part }
    }
}

impl NoAnswer {
    fn of(kind: GapKind, detail: String) -> Self {
        NoAnswer {
            gap: Gap::new(kind, detail),
            part: None,
        }
    }
}

/// What is to be left alone when a look at `place` hangs: its mount where a server stands behind that; else the place
/// alone, since something in it may be an agent's doing, and the others on that disk are well.
fn stuck_at(place: &Path, mounts: &Mounts) -> PathBuf {
    match mounts.of(place) {
        Some(mount) if mount.is_remote => mount.at.clone(),
        _ => place.to_owned(),
    }
}

fn lock<T>(held: &Mutex<T>) -> MutexGuard<'_, T> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why a helper gives no answer.
enum Silence {
    /// It works in vain.
    Slow,
    /// It does nothing.
    Stuck,
    /// It is gone.
    Ended(String),
}

/// A process that looks.
#[derive(Debug)]
struct Helper {
    /// What it was asked about.
    topics: HashSet<PathBuf>,
    /// `None`: it was ended.
    child: Option<Child>,
    input: Option<ChildStdin>,
    output: ChildStdout,
    heard: Vec<u8>,
    /// Where it looks.
    place: Option<PathBuf>,
    /// What it has learned of the question so far.
    part: Option<Vec<u8>>,
}

impl Helper {
    fn start(program: &Program, environment: &ChildEnvironment) -> io::Result<Helper> {
        let mut command = Command::new(&program.program);
        let mut child = environment
            .give(&mut command)
            .args(&program.arguments)
            // It must not keep a file system in use, nor be taken for something at work in a worktree.
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // Its own group, so that whatever it starts can be ended with it, and a person's Ctrl-C is vigil's to hear.
            .process_group(0)
            .spawn()?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::Error::other("it has no pipes"));
        };
        rustix::io::ioctl_fionbio(&input, true)?;
        rustix::io::ioctl_fionbio(&output, true)?;
        Ok(Helper {
            topics: HashSet::new(),
            child: Some(child),
            input: Some(input),
            output,
            heard: Vec::new(),
            place: None,
            part: None,
        })
    }

    fn ask(&mut self, question: &[u8]) -> Result<Vec<u8>, Silence> {
        self.place = None;
        self.part = None;
        let mut left = [question, b"\n"].concat();
        let (mut slices, mut silent) = (0, 0);
        let mut worked = self.worked();
        loop {
            self.say(&mut left).map_err(Silence::from)?;
            match self.hear() {
                Ok(Some(answer)) => return Ok(answer),
                Ok(None) => {}
                Err(error) => return Err(Silence::from(error)),
            }
            let is_ready = self.wait(!left.is_empty());
            if is_ready {
                continue;
            }
            slices += 1;
            let now = self.worked();
            silent = if now == worked { silent + 1 } else { 0 };
            worked = now;
            if silent >= SILENT_SLICES_MAX {
                return Err(Silence::Stuck);
            }
            if slices >= SLICES_MAX {
                return Err(Silence::Slow);
            }
        }
    }

    /// Writes what there is room for.
    fn say(&mut self, left: &mut Vec<u8>) -> io::Result<()> {
        let Some(input) = self.input.as_mut().filter(|_| !left.is_empty()) else {
            return Ok(());
        };
        match input.write(left) {
            Ok(written) => {
                left.drain(..written);
                Ok(())
            }
            Err(error) if is_later(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Reads what there is, and gives the answer when it is whole.
    fn hear(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut bytes = [0; 16 << 10];
        let read = match self.output.read(&mut bytes) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(read) => read,
            Err(error) if is_later(&error) => 0,
            Err(error) => return Err(error),
        };
        self.heard.extend(bytes.iter().take(read));
        while let Some(end) = memchr::memchr(b'\n', &self.heard) {
            let mut line: Vec<u8> = self.heard.drain(..=end).collect();
            line.pop();
            match line.first() {
                Some(&PLACE) => self.place = serde_json::from_slice(&line[1..]).ok(),
                Some(&PART) => self.part = Some(line.split_off(1)),
                _ => return Ok(Some(line)),
            }
        }
        if self.heard.len() > ANSWER_BYTES_MAX {
            return Err(io::Error::other("an answer without an end"));
        }
        Ok(None)
    }

    /// Waits until there is something to read, or to write when that `is_wanted`, or a slice has passed: then `false`.
    fn wait(&self, is_wanted: bool) -> bool {
        let mut fds = vec![PollFd::new(&self.output, PollFlags::IN)];
        if let Some(input) = self.input.as_ref().filter(|_| is_wanted) {
            fds.push(PollFd::new(input, PollFlags::OUT));
        }
        poll(&mut fds, Some(&SLICE)).is_ok_and(|ready| ready > 0)
    }

    /// What tells whether it did anything: processor time, and how often it slept.
    fn worked(&self) -> Option<(u64, u64, u64)> {
        let pid = i32::try_from(self.child.as_ref()?.id()).ok()?;
        let process = procfs::process::Process::new(pid).ok()?;
        let stat = process.stat().ok()?;
        let status = process.status().ok()?;
        Some((
            stat.utime + stat.stime,
            status.voluntary_ctxt_switches.unwrap_or(0),
            status.nonvoluntary_ctxt_switches.unwrap_or(0),
        ))
    }

    /// Ends it, and gives it back when it cannot be ended.
    fn end(mut self) -> Option<Child> {
        self.input = None;
        self.child.take().and_then(ended)
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        // It waits for a question, or a panic let go of it: in neither case is there anything to lose.
        let _ = self.child.take().and_then(ended);
    }
}

/// Ends `child`, and gives it back when it has not ended within a slice: then it is in a call that does not return.
fn ended(mut child: Child) -> Option<Child> {
    let pid = Pid::from_child(&child);
    // It has not been waited for, so that its number is still its own.
    let _ = kill_process_group(pid, Signal::KILL);
    if let Ok(handle) = pidfd_open(pid, PidfdFlags::empty()) {
        let _ = poll(&mut [PollFd::new(&handle, PollFlags::IN)], Some(&SLICE));
    }
    match child.try_wait() {
        Ok(None) => Some(child),
        _ => None,
    }
}

impl From<io::Error> for Silence {
    fn from(error: io::Error) -> Self {
        Silence::Ended(error.to_string())
    }
}

fn is_later(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

/// What a helper says while it looks.
pub(crate) trait Telling {
    /// It is about to look at `place`.
    fn at(&self, place: &Path);

    /// So much is known by now, as JSON.
    fn part(&self, part: &dyn Fn() -> Vec<u8>);
}

/// Nobody waits.
pub(crate) struct Untold;

impl Telling for Untold {
    fn at(&self, _: &Path) {}

    fn part(&self, _: &dyn Fn() -> Vec<u8>) {}
}

/// Standard output.
struct Told<W>(Mutex<W>);

impl<W: Write> Told<W> {
    fn line(&self, first: &[u8], rest: &[u8]) {
        let mut output = lock(&self.0);
        // Nobody listens any more when vigil has ended; the next question does not come either.
        let _ = output.write_all(&[first, rest, b"\n"].concat());
        let _ = output.flush();
    }
}

impl<W: Write> Telling for Told<W> {
    fn at(&self, place: &Path) {
        // A path that is no text cannot come from a record.
        if let Ok(text) = serde_json::to_vec(place) {
            self.line(&[PLACE], &text);
        }
    }

    fn part(&self, part: &dyn Fn() -> Vec<u8>) {
        self.line(&[PART], &part());
    }
}

/// Answers questions until there are no more: the helper's side. `answer` gives JSON, which has no line ends.
pub(crate) fn serve(
    input: impl BufRead,
    output: impl Write,
    mut answer: impl FnMut(&[u8], &dyn Telling) -> Vec<u8>,
) -> io::Result<()> {
    let told = Told(Mutex::new(output));
    for question in input.split(b'\n') {
        let answered = answer(&question?, &told);
        told.line(&[], &answered);
    }
    Ok(())
}
