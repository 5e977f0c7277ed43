//! What a hold costs: sessions that went silent only lately, whose pull request has ended, over work that may exist
//! nowhere else, with a head that the clone has or has not. Vigilante recovers them after 10 minutes, while vigil still
//! calls them at work, and by then nothing that anybody made may be at stake.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::json;
use vigil::demo::Made;
use vigil::report::Outcome;
use vigil_core::decide::rule;
use vigil_core::time::minutes;

use crate::keeps::{Left, in_order, left, two_scans};
use crate::stage::{self, Issue, Programs, Pull, Stage, Told, of_issue};
use crate::trial::NUMBER;

/// What the worktree holds besides what was pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    Clean,
    Untracked,
    Unpushed,
}

/// One thing to try.
#[derive(Clone, Copy, Debug)]
struct Trial {
    issue: Issue,
    pull: Pull,
    work: Work,
    /// Minutes of silence.
    silent: u64,
    head_known: bool,
}

/// 1 min: neither calls it stale. 11: Vigilante does. 35: vigil does, too.
const SILENCES: [u64; 3] = [1, 11, 35];

/// After so many minutes of silence Vigilante takes a session for dead.
const STALLED_AFTER: u64 = 10;

fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for issue in [Issue::Open, Issue::Closed] {
        for pull in [Pull::Merged, Pull::Closed] {
            for silent in SILENCES {
                for head_known in [true, false] {
                    for work in [Work::Clean, Work::Untracked, Work::Unpushed] {
                        trials.push(Trial {
                            issue,
                            pull,
                            work,
                            silent,
                            head_known,
                        });
                    }
                }
            }
        }
    }
    trials
}

impl Trial {
    fn told(self) -> Result<Told> {
        let started = vigil::ui::moment(stage::now()?.before(minutes(109)));
        let fields = json!({ "started_at": started });
        Ok(Told {
            made: Made {
                issue: NUMBER,
                silent_for: minutes(self.silent),
                dirty: self.work == Work::Untracked,
                unpushed: u32::from(self.work == Work::Unpushed),
                extra: fields.as_object().cloned().unwrap_or_default(),
                ..Made::default()
            },
            issue: self.issue,
            pull: self.pull,
            label: Some("vigilante:running"),
            // Just after the last sign of life, so that no write counts as a leftover's.
            pull_ended: self.silent.div_ceil(2),
            head_known: self.head_known,
        })
    }

    fn must_be_kept(self) -> bool {
        self.work != Work::Clean
    }
}

/// What came of it.
struct Tried {
    /// What Vigilante does without vigil, where there is something to lose.
    control: Option<Left>,
    /// What vigil wrote at first; the rule of it.
    wrote: Option<String>,
    said: String,
    at_once: Left,
    /// An hour and another pass of vigil later.
    later: Left,
}

/// Tries all of it and prints a table. What is not as it must be comes back.
pub(crate) fn findings(programs: &Programs, dir: &Path) -> Result<Vec<String>> {
    println!("what a hold costs: silent for some minutes only, the pull request ended");
    println!(
        "{:<7} {:<7} {:<6} {:<8} {:<10} {:<24} {:<29} {:<12} an hour and a pass later",
        "issue", "PR", "min", "head", "unsaved", "without vigil", "vigil", "after vigil"
    );
    let trials = trials();
    let all = in_order(&trials, |index, trial| {
        try_one(programs, &dir.join(index.to_string()), *trial)
            .with_context(|| format!("failed to try {trial:?}"))
    })?;
    let mut findings = Vec::new();
    let mut lost = 0;
    for (trial, tried) in trials.iter().zip(&all) {
        println!(
            "{:<7} {:<7} {:<6} {:<8} {:<10} {:<24} {:<29} {:<12} {}",
            format!("{:?}", trial.issue),
            format!("{:?}", trial.pull),
            trial.silent,
            if trial.head_known { "known" } else { "unknown" },
            format!("{:?}", trial.work),
            tried
                .control
                .map_or("-".to_owned(), |left| left.to_string()),
            tried.said,
            tried.at_once,
            tried.later,
        );
        lost += usize::from(tried.control.is_some_and(|left| !left.is_whole()));
        findings.extend(wrong(*trial, tried));
    }
    if lost == 0 {
        findings.push("without vigil no work was lost, so none of this proves anything".to_owned());
    }
    Ok(findings)
}

fn wrong(trial: Trial, tried: &Tried) -> Vec<String> {
    let mut wrong = Vec::new();
    for (when, left) in [("at once", tried.at_once), ("later", tried.later)] {
        if trial.must_be_kept() && (!left.is_whole() || left.agents > 0) {
            wrong.push(format!("{trial:?}: {}, {when}: {left}", tried.said));
        }
    }
    let stalled = trial.silent >= STALLED_AFTER;
    let is_fresh = trial.silent < 30;
    let kept = tried.wrote.as_deref() == Some(rule::UNSAVED_WORK);
    if trial.must_be_kept() && stalled && is_fresh && !kept {
        wrong.push(format!(
            "{trial:?}: not kept as unsaved work: {}",
            tried.said
        ));
    }
    if (!stalled || trial.work == Work::Clean && is_fresh) && tried.wrote.is_some() {
        wrong.push(format!("{trial:?}: nothing is at stake: {}", tried.said));
    }
    if trial.must_be_kept() && trial.silent >= 30 && tried.wrote.is_none() {
        wrong.push(format!("{trial:?}: left to Vigilante: {}", tried.said));
    }
    wrong
}

fn try_one(programs: &Programs, dir: &Path, trial: Trial) -> Result<Tried> {
    let told = trial.told()?;
    let control = match trial.must_be_kept() && trial.silent >= STALLED_AFTER {
        true => {
            let stage = Stage::set(
                programs,
                &dir.join("control"),
                std::slice::from_ref(&told),
                false,
            )?;
            let head = stage.branch_head(NUMBER);
            two_scans(&stage)?;
            Some(left(&stage, &told, head.as_deref())?)
        }
        false => None,
    };
    let stage = Stage::set(
        programs,
        &dir.join("vigil"),
        std::slice::from_ref(&told),
        false,
    )?;
    let head = stage.branch_head(NUMBER);
    let report = stage.vigil()?;
    let session = of_issue(&report, NUMBER)?;
    let (wrote, said) = match session.outcome {
        Outcome::Transitioned => (
            Some(session.rule.clone()),
            format!("{} ({})", session.to_native, session.rule),
        ),
        other => (None, format!("{} ({})", other.as_str(), session.rule)),
    };
    two_scans(&stage)?;
    let at_once = left(&stage, &told, head.as_deref())?;
    stage.age(minutes(60))?;
    stage.vigil()?;
    two_scans(&stage)?;
    let later = left(&stage, &told, head.as_deref())?;
    Ok(Tried {
        control,
        wrote,
        said,
        at_once,
        later,
    })
}
