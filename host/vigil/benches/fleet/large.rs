//! A fleet so large that memory counts: vigil in one process, the model of GitHub in another.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};
use vigil::pass::How;

use crate::fleet::{self, AT_ONCE, Addresses, INTERVAL, Plan};

/// The words by which this program starts itself.
pub(crate) const SERVE: &str = "serve-large";
pub(crate) const WATCH: &str = "watch-large";

const SESSIONS: u64 = 100_000;
const REPOSITORIES: u64 = 200;

/// Minutes after the first look, in which nothing happens: until every session was looked at once more.
const MINUTES: u32 = 18;

/// What the large fleet came to.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Large {
    /// The passes of the first look, which ask about everything, together, in milliseconds.
    pub(crate) first_ms: u64,
    /// The slowest pass after them.
    pub(crate) slowest_ms: u64,
    /// How many sessions that one judged.
    pub(crate) judged: u64,
    /// The most memory that was ever resident, in MB.
    pub(crate) peak_mb: u64,
}

fn plan() -> Plan {
    Plan {
        settled: true,
        ..Plan::new(SESSIONS, REPOSITORIES)
    }
}

/// Has a process of its own watch the large fleet.
///
/// # Errors
/// The process cannot be started, or fails.
pub(crate) fn measure() -> Result<Large> {
    let output = Command::new(std::env::current_exe()?)
        .arg(WATCH)
        .stderr(Stdio::inherit())
        .output()
        .context("failed to start this program once more")?;
    ensure!(output.status.success(), "it ended with {}", output.status);
    serde_json::from_slice(&output.stdout).context("its answer cannot be read")
}

/// What that process does: the answer goes to standard output.
///
/// # Errors
/// Those of a pass.
pub(crate) fn watch() -> Result<String> {
    let github = Github::start()?;
    let folder = tempfile::tempdir()?;
    let root = folder.path().canonicalize()?;
    let clock = fleet::clock();
    let mut vigil = fleet::vigil(&root, &plan(), &github.addresses, &clock)?;
    let runtime = fleet::runtime()?;
    // What made the fleet does not count.
    forget_peak()?;
    let mut large = Large::default();
    let (mut all, mut minute) = (0, 0);
    while minute <= MINUTES {
        let began = Instant::now();
        let passed = fleet::pass(&runtime, &mut vigil, &How::watch())?;
        let took = u64::try_from(began.elapsed().as_millis())?;
        let judged = passed.batches.iter().map(|batch| batch.entries.len());
        let judged = u64::try_from(judged.sum::<usize>())?;
        let behind = passed.batches.iter().any(|batch| batch.behind);
        ensure!(passed.github.postponed == 0, "questions were put off");
        drop(passed);
        // For whoever wants to know where it goes.
        let (now, most) = (memory_mb("VmRSS")?, memory_mb("VmHWM")?);
        eprintln!(
            "    minute {minute}: {judged} judged, {took} ms, {now} MB now, {most} MB at most"
        );
        if minute == 0 {
            all += judged;
            large.first_ms += took;
        } else if took > large.slowest_ms {
            (large.slowest_ms, large.judged) = (took, judged);
        }
        let span = if behind { AT_ONCE } else { INTERVAL };
        clock.fetch_add(u64::try_from(span.as_millis())?, Ordering::AcqRel);
        minute += u32::from(!behind);
    }
    ensure!(all == SESSIONS, "the first look judged {all} sessions");
    large.peak_mb = memory_mb("VmHWM")?;
    Ok(serde_json::to_string(&large)?)
}

/// The model in a process of its own. It ends when nobody holds its standard input any more.
struct Github {
    child: Child,
    input: Option<ChildStdin>,
    addresses: Addresses,
}

impl Github {
    fn start() -> Result<Github> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg(SERVE)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("failed to start the model of GitHub")?;
        let mut lines = BufReader::new(child.stdout.take().context("a pipe")?).lines();
        let mut line = || {
            lines
                .next()
                .context("the model says no address")?
                .context("no text")
        };
        let addresses = (line()?, line()?);
        Ok(Github {
            input: child.stdin.take(),
            child,
            addresses,
        })
    }
}

impl Drop for Github {
    fn drop(&mut self) {
        drop(self.input.take());
        // It has nothing left to do but to end.
        let _ = self.child.wait();
    }
}

/// What the model's process does until its standard input ends. Its clock stands still, so that all of the fleet would
/// be asked about in one hour: it has no limits.
///
/// # Errors
/// No socket.
pub(crate) fn serve() -> Result<()> {
    let server = plan().serve(&fleet::clock(), |model| {
        model.secondary_limits(None);
        model.token(fleet::TOKEN).limits(1_000_000, 1_000_000);
    })?;
    crate::say(&format!("{}\n{}", server.rest_url(), server.graphql_url()));
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

/// From here on the largest use of memory is counted anew.
fn forget_peak() -> Result<()> {
    std::fs::write("/proc/self/clear_refs", "5").context("the kernel does not count anew")
}

/// A line of the kernel's account of this process, in MB: `VmRSS` is what is resident, `VmHWM` the most that was.
fn memory_mb(name: &str) -> Result<u64> {
    let text = std::fs::read_to_string("/proc/self/status")?;
    let line = text.lines().find(|line| line.starts_with(name));
    let kib = line.and_then(|line| line.split_whitespace().nth(1));
    let kib: u64 = kib
        .with_context(|| format!("the kernel does not tell {name}"))?
        .parse()?;
    Ok(kib * 1024 / 1_000_000)
}
