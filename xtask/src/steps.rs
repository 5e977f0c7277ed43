//! Steps one after another, and the table that says how each ended.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::Result;

/// How one step ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// In order.
    Passed,
    /// Not in order, with what to read.
    Failed(String),
    /// Not looked at, with the reason and what to do about it.
    Skipped(String),
}

/// All steps of a run, in the order in which they ran. A failed step does not keep the next from running: one run
/// shows all that there is to mend.
#[derive(Debug, Default)]
pub struct Steps {
    done: Vec<Step>,
    skipped_within: Vec<String>,
}

#[derive(Debug)]
struct Step {
    name: &'static str,
    ending: Ending,
    took: Duration,
}

impl Steps {
    /// Runs one step and keeps how it ended. An error of the step itself counts as a failure.
    pub fn run(&mut self, name: &'static str, step: impl FnOnce() -> Result<Ending>) {
        eprintln!("==> {name}");
        let start = Instant::now();
        let ending = step().unwrap_or_else(|error| Ending::Failed(format!("{error:#}")));
        self.push(name, ending, start.elapsed());
    }

    fn push(&mut self, name: &'static str, ending: Ending, took: Duration) {
        if let Ending::Failed(what) | Ending::Skipped(what) = &ending {
            eprintln!("    {what}");
        }
        self.done.push(Step { name, ending, took });
    }

    /// Adds what a step, though passed, left out: one line for each.
    pub fn skipped_within(&mut self, lines: impl IntoIterator<Item = String>) {
        self.skipped_within.extend(lines);
    }

    /// Prints the table, and below it the last lines of a test runner, which are the last of all. True: no step failed.
    pub fn conclude(&self, closing: &[String]) -> bool {
        println!("\n{self}");
        for line in closing {
            println!("{line}");
        }
        self.in_order()
    }

    /// No step failed. What was skipped is no failure, and is shown.
    pub fn in_order(&self) -> bool {
        !self
            .done
            .iter()
            .any(|step| matches!(step.ending, Ending::Failed(_)))
    }
}

impl fmt::Display for Steps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.done {
            let (word, why) = match &step.ending {
                Ending::Passed => ("passed", ""),
                Ending::Failed(what) => ("FAILED", what.as_str()),
                Ending::Skipped(why) => ("skipped", why.as_str()),
            };
            let line = format!(
                "xtask: {word:<7} {:<10} {:>5} s  {why}",
                step.name,
                step.took.as_secs()
            );
            writeln!(f, "{}", line.trim_end())?;
        }
        for line in &self.skipped_within {
            writeln!(f, "xtask: skipped within the tests: {line}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_skipped_step_is_shown_and_is_no_failure() {
        let mut steps = Steps::default();
        steps.push("format", Ending::Passed, Duration::from_secs(2));
        steps.push(
            "deny",
            Ending::Skipped("cargo-deny is not installed".to_owned()),
            Duration::ZERO,
        );
        assert!(steps.in_order());
        let shown = steps.to_string();
        assert!(shown.contains("passed  format"), "{shown}");
        assert!(
            shown.contains("skipped deny") && shown.contains("not installed"),
            "{shown}"
        );
    }

    #[test]
    fn an_error_of_a_step_is_a_failure_and_the_next_step_still_runs() {
        let mut steps = Steps::default();
        steps.run("format", || anyhow::bail!("no cargo"));
        steps.run("clippy", || Ok(Ending::Passed));
        assert!(!steps.in_order());
        let shown = steps.to_string();
        assert!(
            shown.contains("FAILED  format") && shown.contains("no cargo"),
            "{shown}"
        );
        assert!(shown.contains("passed  clippy"), "{shown}");
    }
}
