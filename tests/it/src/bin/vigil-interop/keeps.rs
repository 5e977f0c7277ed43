//! What Vigilante does after vigil's write: over issue {open, closed} x pull request {none, open, merged, closed}, with
//! work in the worktree that exists nowhere else, no agent may start and no work may go.

use std::fmt;
use std::path::Path;

use anyhow::Result;
use vigil::demo::Made;
use vigil::report::Outcome;
use vigil_core::time::minutes;

use crate::stage::{Issue, Programs, Pull, Stage, Told, of_issue};

const NUMBER: u64 = 299;

/// What the worktree holds besides what was pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    /// An untracked file and a commit.
    FileAndCommit,
    /// An untracked file.
    File,
    /// Nothing.
    Saved,
}

/// What is left of it, and what was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Left {
    file: bool,
    commit: bool,
    agents: usize,
}

impl Left {
    fn is_whole(self) -> bool {
        self.file && self.commit
    }
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match (self.file, self.commit) {
            (true, true) => "all kept",
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

/// One thing to try.
#[derive(Clone, Copy, Debug)]
struct Trial {
    issue: Issue,
    pull: Pull,
    work: Work,
    label: &'static str,
    /// Also without vigil, to see what it is worth.
    control: bool,
}

fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for work in [Work::FileAndCommit, Work::File, Work::Saved] {
        for issue in [Issue::Open, Issue::Closed] {
            for pull in [Pull::None, Pull::Open, Pull::Merged, Pull::Closed] {
                let control = work == Work::FileAndCommit;
                trials.push(Trial {
                    issue,
                    pull,
                    work,
                    label: "vigilante:running",
                    control,
                });
            }
        }
    }
    // The one end that is written while the issue is open and nothing else was ever pushed: Vigilante's own scan closes
    // it, too, and starts over at once.
    trials.push(Trial {
        issue: Issue::Open,
        pull: Pull::None,
        work: Work::Saved,
        label: "vigilante:done",
        control: true,
    });
    trials
}

/// Tries all of it and prints a table. What is not as it must be comes back.
pub(crate) fn findings(programs: &Programs, dir: &Path) -> Result<Vec<String>> {
    println!("two `vigilante daemon run --once` over unsaved work, with a gh that answers:");
    println!(
        "{:<8} {:<7} {:<16} {:<24} {:<24} {:<12} an hour later",
        "issue", "PR", "unsaved", "without vigil", "vigil wrote", "after vigil"
    );
    let mut findings = Vec::new();
    let (mut controls, mut lost, mut started) = (0, 0, 0);
    for (number, trial) in trials().iter().enumerate() {
        let dir = dir.join(number.to_string());
        let mut control = String::from("-");
        if trial.control {
            let without = without_vigil(programs, &dir.join("control"), trial)?;
            controls += 1;
            lost += usize::from(!without.is_whole());
            started += without.agents;
            control = without.to_string();
        }
        let after = after_vigil(programs, &dir.join("vigil"), trial)?;
        println!(
            "{:<8} {:<7} {:<16} {control:<24} {:<24} {:<12} {}",
            trial.issue_said(),
            format!("{:?}", trial.pull).to_lowercase(),
            trial.work_said(),
            after.wrote,
            after.at_once,
            after.later,
        );
        let name = format!("trial {number} ({trial:?})");
        findings.extend(
            after
                .wrong
                .into_iter()
                .map(|what| format!("{name}: {what}")),
        );
    }
    println!(
        "(* labelled vigilante:done) without vigil: work lost in {lost} of {controls}, {started} agent runs"
    );
    let unmarked = without_marks(programs, &dir.join("without-marks"))?;
    println!("a merged session without the marks that vigil sets beside `success`: {unmarked}");
    // Otherwise nothing above shows that vigil's write keeps anything.
    if lost == 0 || started == 0 {
        findings.push(format!(
            "without vigil work was lost in {lost} trials and {started} agents were started: then the others prove nothing"
        ));
    }
    if unmarked.is_whole() {
        findings.push(
            "Vigilante keeps the work without the marks, too, so they prove nothing".to_owned(),
        );
    }
    Ok(findings)
}

impl Trial {
    fn issue_said(self) -> &'static str {
        match (self.issue, self.label) {
            (Issue::Open, "vigilante:done") => "open *",
            (Issue::Open, _) => "open",
            (Issue::Closed, _) => "closed",
        }
    }

    fn work_said(self) -> &'static str {
        match self.work {
            Work::FileAndCommit => "file and commit",
            Work::File => "file",
            Work::Saved => "nothing",
        }
    }

    fn told(self) -> Told {
        Told {
            made: Made {
                issue: NUMBER,
                dirty: self.work != Work::Saved,
                unpushed: u32::from(self.work == Work::FileAndCommit),
                ..Made::default()
            },
            issue: self.issue,
            pull: self.pull,
            label: Some(self.label),
        }
    }
}

/// What Vigilante does by itself.
fn without_vigil(programs: &Programs, dir: &Path, trial: &Trial) -> Result<Left> {
    let told = trial.told();
    let stage = Stage::set(programs, dir, std::slice::from_ref(&told), false)?;
    let head = stage.branch_head(NUMBER);
    two_scans(&stage)?;
    left(&stage, &told, head.as_deref())
}

/// The same as after vigil's write of a merged session whose issue is closed, but for the two marks that are to stop
/// Vigilante: this is what a write of `success` alone does.
fn without_marks(programs: &Programs, dir: &Path) -> Result<Left> {
    let told = Trial {
        issue: Issue::Closed,
        pull: Pull::Merged,
        work: Work::File,
        label: "vigilante:running",
        control: false,
    }
    .told();
    let stage = Stage::set(programs, dir, std::slice::from_ref(&told), false)?;
    let head = stage.branch_head(NUMBER);
    stage.vigil()?;
    stage.strip(&["monitoring_stopped_at", "stale_auto_restart_stopped_at"])?;
    two_scans(&stage)?;
    left(&stage, &told, head.as_deref())
}

/// What came of a write.
struct After {
    wrote: String,
    at_once: Left,
    later: Left,
    wrong: Vec<String>,
}

fn after_vigil(programs: &Programs, dir: &Path, trial: &Trial) -> Result<After> {
    let told = trial.told();
    let stage = Stage::set(programs, dir, std::slice::from_ref(&told), false)?;
    let head = stage.branch_head(NUMBER);
    let mut wrong = Vec::new();
    let report = stage.vigil()?;
    let session = of_issue(&report, NUMBER)?;
    if session.outcome != Outcome::Transitioned {
        wrong.push(format!(
            "vigil did not write: {} by {}, {}",
            session.outcome.as_str(),
            session.rule,
            session.reason
        ));
    }
    two_scans(&stage)?;
    let at_once = left(&stage, &told, head.as_deref())?;
    // What Vigilante puts off (5 min after a maintenance, 20 min after a block) is due by then.
    stage.age(minutes(60))?;
    two_scans(&stage)?;
    let later = left(&stage, &told, head.as_deref())?;
    for (when, left) in [("at once", at_once), ("an hour later", later)] {
        if !left.is_whole() {
            wrong.push(format!(
                "{when} Vigilante destroyed what vigil wrote about ({left})"
            ));
        }
        if left.agents > 0 {
            wrong.push(format!("{when} Vigilante started an agent"));
        }
    }
    Ok(After {
        wrote: format!("{} ({})", session.to_native, session.rule),
        at_once,
        later,
        wrong,
    })
}

fn two_scans(stage: &Stage<'_>) -> Result<()> {
    for _ in 0..2 {
        let said = stage.vigilante(&["daemon", "run", "--once"])?;
        anyhow::ensure!(
            said.contains("scanned 1 watch target(s)"),
            "Vigilante did not scan its watch target: {said}"
        );
    }
    stage.all_answered()
}

fn left(stage: &Stage<'_>, told: &Told, head: Option<&str>) -> Result<Left> {
    let worktree = stage.worktree(NUMBER);
    Ok(Left {
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
