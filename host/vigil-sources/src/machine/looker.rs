//! Looks that can take for ever, made by processes that can be ended.
//!
//! A call to the kernel about a file on a mount whose server is gone does not return, and a thread in it cannot be
//! ended. Such calls are made by helpers: vigil itself, started once more, with a question a line on standard input and
//! the answer as a line on standard output. Before it looks at a place a helper says so, and before it goes into a mount
//! behind which a server stands it asks, since one look at a time may be in there. One that is heard nothing of is ended,
//! and the place is left alone until the pass is over; one that cannot even be ended is left behind, and its place is left
//! alone until it has ended, so that there is at most one for each mount.

use std::collections::HashSet;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use vigil_core::Timestamp;
use vigil_core::fact::{Gap, GapKind};

use super::child::ChildEnvironment;
use super::mounts::Mounts;
use super::places::{Entered, Places};

mod told;

pub(crate) use self::told::{Telling, Untold, serve};

/// A tenth of a second: how often it is looked whether a helper gets on.
const SLICE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 100_000_000,
};

/// The same.
const SLICE_TIME: Duration = Duration::from_millis(100);

/// How many of them are a second.
const SLICES_PER_S: u32 = 10;

/// Half a second: how long a process that was killed may take to end before it counts as one that cannot. It may have much
/// memory to give back.
const END: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 500_000_000,
};

/// A tenth of a second for one that waits for a place. One that ends later all the same is forgotten by the next pass.
const END_STUCK: Timespec = SLICE;

/// 4 s without any work of a helper: a disk that has to wake up takes less.
const SILENT_SLICES_MAX: u32 = 4 * SLICES_PER_S;

/// Half a second, once a place did not answer in the same pass. `vigil status` answers within 10 s, and places that went
/// silent together, such as the shares of one machine, would else take 4 s each. A disk that is still waking up by then is
/// seen by the next pass.
const SILENT_SLICES_MAX_LATER: u32 = SLICES_PER_S / 2;

/// 10 s for one question, however busy the helper is: a look at a large worktree from a cold disk takes a few.
const SLICES_MAX: u32 = 10 * SLICES_PER_S;

/// 4 s, once another question of the same pass took too long, for the same reason as above.
const SLICES_MAX_LATER: u32 = 4 * SLICES_PER_S;

/// 0.3 s for one question, once all of a pass together took as long as they may: those that cost nothing are answered all
/// the same.
const SLICES_MAX_SPENT: u32 = 3;

/// 1.5 s of such answers. What is left then is not asked about at all.
const SPENT_MORE: Duration = Duration::from_millis(1500);

/// 16 MiB: an answer takes some kilobytes.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// What a line begins with that names the next place.
const PLACE: u8 = b'@';

/// What a line begins with that holds what was learned so far.
const PART: u8 = b'~';

/// What a line begins with that names a mount, and asks whether it may be looked into. [`YES`] is the one answer that lets
/// the helper go there.
const MAY_ENTER: u8 = b'?';

const YES: &[u8] = b"true\n";
const NO: &[u8] = b"false\n";

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
    environment: ChildEnvironment,
    idle: Mutex<Vec<Helper>>,
    places: Arc<Places>,
    /// How long the looks of a pass may wait together.
    allowed: Mutex<Duration>,
}

impl Lookers {
    /// `folder`: where helpers are noted that could not be ended.
    pub(crate) fn new(program: Program, environment: ChildEnvironment, folder: &Path) -> Self {
        Lookers {
            program,
            environment,
            idle: Mutex::default(),
            places: Places::of(folder),
            allowed: Mutex::new(Duration::MAX),
        }
    }

    /// How long the looks of each pass from now on may wait together.
    pub(crate) fn allow(&self, allowed: Duration) {
        *lock(&self.allowed) = allowed;
    }

    fn allowed(&self) -> Duration {
        *lock(&self.allowed)
    }

    /// Why nothing more is asked in this pass. `None`: there is time left.
    pub(crate) fn spent(&self) -> Option<Gap> {
        let allowed = self.allowed();
        let spent = self.places.waited() > allowed.saturating_add(SPENT_MORE);
        spent.then(|| {
            Gap::new(
                GapKind::TimedOut,
                format!(
                    "the looks before it took more than {} s together, and this one was left out",
                    allowed.as_secs_f64()
                ),
            )
        })
    }

    /// Begins a pass; see [`Places::begin`].
    pub(crate) fn begin(&self, now: Timestamp) {
        self.renew();
        self.places.begin(now);
    }

    /// Places that are not to be touched.
    pub(crate) fn avoided(&self) -> Vec<PathBuf> {
        self.places.avoided()
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
        match helper.ask(question, &self.places, self.allowed()) {
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
        match helper.ask(brief, &self.places, self.allowed()) {
            Ok(_) => Ok(helper),
            Err(silence) => Err(self.end(helper, silence)),
        }
    }

    fn end(&self, mut helper: Helper, silence: Silence) -> NoAnswer {
        let place = helper.place.take();
        let part = helper.part.take();
        // Until it is known what became of it nobody else goes there.
        let entered = helper.entered.take();
        let left_behind = helper.end(match silence {
            Silence::Stuck(_) => &END_STUCK,
            Silence::Slow(_) | Silence::Spent(_) | Silence::Ended(_) => &END,
        });
        let shown = place.as_deref().unwrap_or(Path::new("/proc"));
        let shown_name = shown.display();
        let gap = match silence {
            Silence::Ended(how) => Gap::new(
                GapKind::Malformed,
                format!("the look at {shown_name} ended before it had an answer: {how}"),
            ),
            Silence::Slow(slices) if left_behind.is_none() => {
                self.places.slow();
                let seconds = seconds(slices);
                Gap::new(
                    GapKind::TimedOut,
                    format!("the look at {shown_name} took more than {seconds} s"),
                )
            }
            Silence::Spent(_) if left_behind.is_none() => {
                let allowed = self.allowed().as_secs_f64();
                Gap::new(
                    GapKind::TimedOut,
                    format!(
                        "the look at {shown_name} was ended, since all looks together took more than {allowed} s"
                    ),
                )
            }
            Silence::Stuck(slices) | Silence::Slow(slices) | Silence::Spent(slices) => {
                let stuck = stuck_at(shown, entered.as_ref(), &Mounts::read());
                let seconds = seconds(slices);
                let said = match stuck == shown {
                    true => format!("{shown_name} did not answer a look for {seconds} s"),
                    false => format!(
                        "the mount {} did not answer a look at {shown_name} for {seconds} s; is its server up?",
                        stuck.display(),
                    ),
                };
                tracing::warn!(place = %stuck.display(), "a place does not answer");
                self.places.stuck(stuck, left_behind);
                Gap::new(GapKind::TimedOut, said)
            }
        };
        NoAnswer { gap, part }
    }
}

/// As a person says it: `4`, or `0.5`.
fn seconds(slices: u32) -> f64 {
    f64::from(slices) / f64::from(SLICES_PER_S)
}

impl NoAnswer {
    fn of(kind: GapKind, detail: String) -> Self {
        NoAnswer {
            gap: Gap::new(kind, detail),
            part: None,
        }
    }
}

/// What is to be left alone when a look at `place` hangs, from which a helper went into a mount if it is given: the mount
/// where a server stands behind it; else the place alone, since something in it may be an agent's doing, and the others on
/// that disk are well.
fn stuck_at(place: &Path, entered: Option<&Entered>, mounts: &Mounts) -> PathBuf {
    match (mounts.of(place), entered) {
        (Some(mount), _) if mount.is_remote => mount.at.clone(),
        (_, Some(entered)) => entered.mount().to_owned(),
        _ => place.to_owned(),
    }
}

fn lock<T>(held: &Mutex<T>) -> MutexGuard<'_, T> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why a helper gives no answer.
enum Silence {
    /// It works in vain, for so many slices.
    Slow(u32),
    /// It does nothing, for so many slices.
    Stuck(u32),
    /// It was at work for so many slices when the time of all looks was over.
    Spent(u32),
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
    /// The mount that it was let into, until it says that it looks elsewhere.
    entered: Option<Entered>,
}

/// What a helper says.
enum Heard {
    /// The answer.
    Answer(Vec<u8>),
    /// It waits before this mount.
    MayEnter(PathBuf),
}

/// What tells whether a process did anything: processor time, and how often it slept.
type Work = (u64, u64, u64);

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
            entered: None,
        })
    }

    fn ask(
        &mut self,
        question: &[u8],
        places: &Arc<Places>,
        allowed: Duration,
    ) -> Result<Vec<u8>, Silence> {
        self.place = None;
        self.part = None;
        let mut left = [question, b"\n"].concat();
        let (mut slices, mut silent) = (0, 0);
        let mut worked = self.worked();
        loop {
            self.say(&mut left).map_err(Silence::from)?;
            match self.hear().map_err(Silence::from)? {
                Some(Heard::Answer(answer)) => {
                    self.entered = None;
                    return Ok(answer);
                }
                Some(Heard::MayEnter(mount)) => {
                    // Who waits for one mount is in no other, or two could wait for each other.
                    self.entered = None;
                    self.entered = places.enter(&mount);
                    left.extend_from_slice(if self.entered.is_some() { YES } else { NO });
                    silent = 0;
                    continue;
                }
                None => {}
            }
            let is_ready = self.wait(!left.is_empty());
            if is_ready {
                continue;
            }
            slices += 1;
            let now = self.worked();
            silent = if self.runs(now, worked) {
                0
            } else {
                silent + 1
            };
            worked = now;
            let silent_max = match places.is_any_silent() {
                true => SILENT_SLICES_MAX_LATER,
                false => SILENT_SLICES_MAX,
            };
            if silent >= silent_max {
                return Err(Silence::Stuck(silent));
            }
            let slices_max = match places.is_any_slow() {
                true => SLICES_MAX_LATER,
                false => SLICES_MAX,
            };
            if slices >= slices_max {
                return Err(Silence::Slow(slices));
            }
            if places.wait(SLICE_TIME) > allowed && slices >= SLICES_MAX_SPENT {
                return Err(Silence::Spent(slices));
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

    /// Reads what there is, and gives what it says when that is whole.
    fn hear(&mut self) -> io::Result<Option<Heard>> {
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
                Some(&PLACE) => {
                    self.place = serde_json::from_slice(&line[1..]).ok();
                    self.entered = None;
                }
                Some(&PART) => self.part = Some(line.split_off(1)),
                Some(&MAY_ENTER) => {
                    let mount = serde_json::from_slice(&line[1..])?;
                    return Ok(Some(Heard::MayEnter(mount)));
                }
                _ => return Ok(Some(Heard::Answer(line))),
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

    /// What it has done so far.
    fn worked(&self) -> Option<(Work, char)> {
        let pid = i32::try_from(self.child.as_ref()?.id()).ok()?;
        let process = procfs::process::Process::new(pid).ok()?;
        let stat = process.stat().ok()?;
        let status = process.status().ok()?;
        let work = (
            stat.utime + stat.stime,
            status.voluntary_ctxt_switches.unwrap_or(0),
            status.nonvoluntary_ctxt_switches.unwrap_or(0),
        );
        Some((work, stat.state))
    }

    /// Whether it got on between `before` and `now`, or only waits for a processor.
    fn runs(&self, now: Option<(Work, char)>, before: Option<(Work, char)>) -> bool {
        now.is_some_and(|(work, state)| {
            state == 'R' || before.is_none_or(|(before, _)| before != work)
        })
    }

    /// Ends it, and gives it back when it cannot be ended.
    fn end(mut self, within: &Timespec) -> Option<Child> {
        self.input = None;
        self.child.take().and_then(|child| ended(child, within))
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        // It waits for a question, or a panic let go of it: in neither case is there anything to lose.
        let _ = self.child.take().and_then(|child| ended(child, &END));
    }
}

/// Ends `child`, and gives it back when it has not ended `within` that time: then it is in a call that does not return.
fn ended(mut child: Child, within: &Timespec) -> Option<Child> {
    let pid = Pid::from_child(&child);
    // It has not been waited for, so that its number is still its own.
    let _ = kill_process_group(pid, Signal::KILL);
    if let Ok(handle) = pidfd_open(pid, PidfdFlags::empty()) {
        let _ = poll(&mut [PollFd::new(&handle, PollFlags::IN)], Some(within));
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

#[cfg(test)]
mod tests;
