//! What Vigilante does after vigil's write: over issue {open, closed} x pull request {none, open, merged, closed}, with
//! work in the worktree that exists nowhere else, no agent may start and no work may go.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use anyhow::{Context as _, Result, anyhow};
use vigil::report::Outcome;
use vigil_core::time::minutes;

use crate::stage::{self, Issue, Programs, Pull, Stage, Told, of_issue};
use crate::trial::{self, NUMBER, Record, Trial, Work};

/// What is left of it, and what was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Left {
    /// There was work that exists nowhere else.
    pub(crate) unsaved: bool,
    file: bool,
    commit: bool,
    pub(crate) agents: usize,
}

impl Left {
    pub(crate) fn is_whole(self) -> bool {
        self.file && self.commit
    }
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match (self.file, self.commit) {
            (true, true) => "all kept",
            _ if !self.unsaved => "cleaned up",
            (false, true) => "file LOST",
            (true, false) => "commit LOST",
            (false, false) => "both LOST",
        };
        match self.agents {
            0 => f.pad(text),
            agents => f.pad(&format!("{text}, {agents} agent runs")),
        }
    }
}

/// Trials at the same time: each waits for other programs most of the time.
const AT_ONCE: usize = 4;

/// One trial, done.
struct Tried {
    /// What Vigilante does without vigil, where it was tried.
    control: Option<Left>,
    after: After,
}

/// Tries all of it and prints a table. What is not as it must be comes back.
pub(crate) fn findings(programs: &Programs, dir: &Path) -> Result<Vec<String>> {
    println!(
        "what vigil wrote, and what two and two more `vigilante daemon run --once` left, with a gh that answers:"
    );
    println!(
        "{:<21} {:<8} {:<7} {:<16} {:<24} {:<29} {:<12} an hour later",
        "record", "issue", "PR", "unsaved", "without vigil", "vigil wrote", "after vigil"
    );
    let mut findings = of_running(programs, &dir.join("running"))?;
    findings.extend(of_others(programs, &dir.join("others"))?);
    let unmarked = without_marks(programs, &dir.join("without-marks"))?;
    println!("a merged session without the marks that vigil sets beside `success`: {unmarked}");
    if unmarked.is_whole() {
        findings.push(
            "Vigilante keeps the work without the marks, too, so they prove nothing".to_owned(),
        );
    }
    Ok(findings)
}

fn of_running(programs: &Programs, dir: &Path) -> Result<Vec<String>> {
    let trials = trial::running();
    let mut findings = Vec::new();
    let mut controls = Vec::new();
    for (trial, tried) in trials.iter().zip(try_all(programs, dir, &trials)?) {
        print_row(trial, &tried);
        if !tried.after.written {
            findings.push(format!(
                "{trial:?}: vigil did not write ({})",
                tried.after.said
            ));
        }
        findings.extend(tried.after.wrong(trial));
        controls.extend(tried.control);
    }
    let lost = controls.iter().filter(|left| !left.is_whole()).count();
    let started: usize = controls.iter().map(|left| left.agents).sum();
    println!(
        "(* labelled vigilante:done) without vigil: work lost in {lost} of {}, {started} agent runs",
        controls.len()
    );
    // Otherwise nothing above shows that vigil's write keeps anything.
    if lost == 0 || started == 0 {
        findings.push(format!(
            "without vigil work was lost in {lost} trials and {started} agents were started: then the others prove nothing"
        ));
    }
    Ok(findings)
}

/// Records that say something else. vigil leaves many of them alone, and what Vigilante then does is its own affair;
/// only where vigil wrote must nothing go.
fn of_others(programs: &Programs, dir: &Path) -> Result<Vec<String>> {
    let trials = trial::others();
    let mut findings = Vec::new();
    let mut written: BTreeMap<String, usize> = BTreeMap::new();
    let mut repairs = 0;
    for (trial, tried) in trials.iter().zip(try_all(programs, dir, &trials)?) {
        let count = written.entry(format!("{:?}", trial.record)).or_default();
        repairs += usize::from(tried.after.repaired);
        if tried.after.written {
            *count += 1;
            print_row(trial, &tried);
            findings.extend(tried.after.wrong(trial));
        }
    }
    if repairs == 0 {
        findings.push("vigil repaired nothing, so no repair was tried".to_owned());
    }
    for (record, count) in written {
        if count == 0 {
            findings.push(format!(
                "vigil wrote about no {record} record, so nothing was tried"
            ));
        }
    }
    Ok(findings)
}

/// One answer for each trial, in order.
fn try_all(programs: &Programs, dir: &Path, trials: &[Trial]) -> Result<Vec<Tried>> {
    in_order(trials, |index, trial| {
        try_one(programs, &dir.join(index.to_string()), trial)
    })
}

/// `done` of each of `trials`, [`AT_ONCE`] at a time, in order.
pub(crate) fn in_order<T: Sync, D: Send>(
    trials: &[T],
    done: impl Fn(usize, &T) -> Result<D> + Sync,
) -> Result<Vec<D>> {
    let mut all = Vec::new();
    for some in trials.chunks(AT_ONCE) {
        let first = all.len();
        let done = &done;
        let of_some: Vec<Result<D>> = std::thread::scope(|scope| {
            let threads: Vec<_> = (first..)
                .zip(some)
                .map(|(index, trial)| scope.spawn(move || done(index, trial)))
                .collect();
            threads
                .into_iter()
                .map(|thread| {
                    thread
                        .join()
                        .unwrap_or_else(|_| Err(anyhow!("a trial panicked")))
                })
                .collect()
        });
        for one in of_some {
            all.push(one?);
        }
    }
    Ok(all)
}

fn try_one(programs: &Programs, dir: &Path, trial: &Trial) -> Result<Tried> {
    let tried = || -> Result<Tried> {
        let control = match trial.control {
            true => Some(without_vigil(programs, &dir.join("control"), trial)?),
            false => None,
        };
        let after = after_vigil(programs, &dir.join("vigil"), trial)?;
        Ok(Tried { control, after })
    };
    tried().with_context(|| format!("failed to try {trial:?}"))
}

fn print_row(trial: &Trial, tried: &Tried) {
    println!(
        "{:<21} {:<8} {:<7} {:<16} {:<24} {:<29} {:<12} {}",
        trial.record_said(),
        trial.issue_said(),
        trial.pull_said(),
        trial.work_said(),
        tried
            .control
            .map_or("-".to_owned(), |left| left.to_string()),
        tried.after.said,
        tried.after.at_once,
        tried.after.later,
    );
}

/// What Vigilante does by itself.
fn without_vigil(programs: &Programs, dir: &Path, trial: &Trial) -> Result<Left> {
    let told = trial.told(stage::now()?);
    let stage = Stage::set(programs, dir, std::slice::from_ref(&told), false)?;
    let head = stage.branch_head(NUMBER);
    two_scans(&stage)?;
    left(&stage, &told, head.as_deref())
}

/// The same as after vigil's write of a merged session whose issue is closed, but for the two marks that are to stop
/// Vigilante: this is what a write of `success` alone does.
fn without_marks(programs: &Programs, dir: &Path) -> Result<Left> {
    let told = Trial {
        record: Record::Running,
        issue: Issue::Closed,
        pull: Pull::Merged,
        work: Work::File,
        label: "vigilante:running",
        control: false,
    }
    .told(stage::now()?);
    let stage = Stage::set(programs, dir, std::slice::from_ref(&told), false)?;
    let head = stage.branch_head(NUMBER);
    stage.vigil()?;
    stage.strip(&["monitoring_stopped_at", "stale_auto_restart_stopped_at"])?;
    two_scans(&stage)?;
    left(&stage, &told, head.as_deref())
}

/// What came of a pass of vigil.
struct After {
    /// Whether the record was changed.
    written: bool,
    /// Whether its state stayed the same.
    repaired: bool,
    said: String,
    at_once: Left,
    later: Left,
}

impl After {
    /// What Vigilante did and may not do.
    fn wrong(&self, trial: &Trial) -> Vec<String> {
        let mut wrong = Vec::new();
        for (when, left) in [("at once", self.at_once), ("an hour later", self.later)] {
            // A repair gives the session back to Vigilante, which may clean up what is saved elsewhere.
            let may_clean = self.repaired && trial.work == Work::Saved;
            if (!left.is_whole() && !may_clean) || left.agents > 0 {
                wrong.push(format!("{trial:?}: after {}, {when}: {left}", self.said));
            }
        }
        wrong
    }
}

fn after_vigil(programs: &Programs, dir: &Path, trial: &Trial) -> Result<After> {
    let told = trial.told(stage::now()?);
    let stage = Stage::set(programs, dir, std::slice::from_ref(&told), false)?;
    let head = stage.branch_head(NUMBER);
    let report = stage.vigil()?;
    let session = of_issue(&report, NUMBER)?;
    let said = match session.outcome {
        Outcome::Repaired => format!("repaired ({})", session.rule),
        Outcome::Transitioned => format!("{} ({})", session.to_native, session.rule),
        other => format!("{} by {}: {}", other.as_str(), session.rule, session.reason),
    };
    two_scans(&stage)?;
    let at_once = left(&stage, &told, head.as_deref())?;
    // What Vigilante puts off (5 min after a maintenance, 20 min after a block) is due by then.
    stage.age(minutes(60))?;
    two_scans(&stage)?;
    let later = left(&stage, &told, head.as_deref())?;
    Ok(After {
        repaired: session.outcome == Outcome::Repaired,
        written: matches!(session.outcome, Outcome::Transitioned | Outcome::Repaired),
        said,
        at_once,
        later,
    })
}

pub(crate) fn two_scans(stage: &Stage<'_>) -> Result<()> {
    for _ in 0..2 {
        let said = stage.vigilante(&["daemon", "run", "--once"])?;
        anyhow::ensure!(
            said.contains("scanned 1 watch target(s)"),
            "Vigilante did not scan its watch target: {said}"
        );
    }
    stage.all_answered()
}

pub(crate) fn left(stage: &Stage<'_>, told: &Told, head: Option<&str>) -> Result<Left> {
    let worktree = stage.worktree(NUMBER);
    Ok(Left {
        unsaved: told.made.dirty || told.made.unpushed > 0,
        // With nothing untracked it is the worktree itself that has to stay.
        file: if told.made.dirty {
            worktree.join("notes.txt").exists()
        } else {
            worktree.join("work.txt").exists()
        },
        commit: stage.branch_head(NUMBER).as_deref() == head,
        agents: stage.agents()?,
    })
}
