//! What was run on a commit: single checks, suites with their workflow runs, and what they add up to.

/// What GitHub knows about a commit besides its content.
#[derive(Clone, Debug, Default)]
pub struct Commit {
    /// What all checks add up to where a test said so, upper case; `None`: what they do add up to.
    pub rollup: Option<String>,
    /// Check runs and commit statuses, in the order in which they came.
    pub checks: Vec<Check>,
    /// Check suites, among them those of workflow runs. A run that is held for approval has a suite and no checks.
    pub suites: Vec<Suite>,
}

/// One check of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    /// A check run, of GitHub Actions or another app.
    Run {
        /// For people.
        name: String,
        /// Upper case: `COMPLETED`, `IN_PROGRESS`, `QUEUED`, `WAITING`, `PENDING`, `REQUESTED`.
        status: String,
        /// Upper case, such as `SUCCESS` or `ACTION_REQUIRED`; `None`: not completed.
        conclusion: Option<String>,
    },
    /// A commit status.
    Context {
        /// Its name.
        context: String,
        /// Upper case: `SUCCESS`, `PENDING`, `FAILURE`, `ERROR`, `EXPECTED`.
        state: String,
    },
}

/// A check suite: what one app runs on a commit for one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suite {
    /// Unique in the repository.
    pub id: u64,
    /// Short name of the app, such as `github-actions`.
    pub app: String,
    /// Upper case, as in [`Check::Run`].
    pub status: String,
    /// Upper case; `None`: not completed. `ACTION_REQUIRED`: held until somebody approves it.
    pub conclusion: Option<String>,
    /// The branch that it runs for.
    pub branch: String,
    /// The workflow run behind it; `None`: another app's suite.
    pub workflow: Option<Workflow>,
    /// Milliseconds since the epoch.
    pub created_ms: u64,
}

/// What makes a suite a workflow run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workflow {
    /// Its name, such as `CI`.
    pub name: String,
    /// What triggered it: `push`, `pull_request`, `pull_request_target`, ...
    pub event: String,
}

impl Commit {
    /// What all checks add up to, upper case; `None`: there are none. Suites do not count, so that runs which are held
    /// for approval show nowhere in it.
    pub fn rollup(&self) -> Option<&str> {
        if let Some(said) = &self.rollup {
            return Some(said);
        }
        // What is earlier in this list outweighs what is later, and a failure outweighs what still runs.
        ["ERROR", "FAILURE", "PENDING", "EXPECTED", "SUCCESS"]
            .into_iter()
            .find(|state| self.checks.iter().any(|check| check.counts_as() == *state))
    }
}

impl Check {
    /// What it adds to the sum of all, in the words of a commit status.
    fn counts_as(&self) -> &str {
        match self {
            Check::Context { state, .. } => state,
            Check::Run {
                conclusion: None, ..
            } => "PENDING",
            Check::Run {
                conclusion: Some(conclusion),
                ..
            } => match conclusion.as_str() {
                "SUCCESS" | "NEUTRAL" | "SKIPPED" => "SUCCESS",
                "STALE" => "EXPECTED",
                _ => "FAILURE",
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_outweighs_what_still_runs_and_held_suites_do_not_count() {
        let run = |conclusion: Option<&str>| Check::Run {
            name: "build".to_owned(),
            status: "COMPLETED".to_owned(),
            conclusion: conclusion.map(str::to_owned),
        };
        let context = |state: &str| Check::Context {
            context: "lint".to_owned(),
            state: state.to_owned(),
        };
        let cases = [
            (vec![], None),
            (vec![run(Some("SKIPPED"))], Some("SUCCESS")),
            (
                vec![run(Some("SUCCESS")), run(Some("STALE"))],
                Some("EXPECTED"),
            ),
            (vec![run(Some("SUCCESS")), run(None)], Some("PENDING")),
            (vec![run(None), run(Some("TIMED_OUT"))], Some("FAILURE")),
            (vec![run(None), context("FAILURE")], Some("FAILURE")),
            (vec![context("SUCCESS"), context("ERROR")], Some("ERROR")),
            (
                vec![context("SUCCESS"), context("EXPECTED")],
                Some("EXPECTED"),
            ),
        ];
        for (checks, expected) in cases {
            let commit = Commit {
                checks,
                ..Commit::default()
            };
            assert_eq!(commit.rollup(), expected, "{:?}", commit.checks);
        }
        let said = Commit {
            rollup: Some("PENDING".to_owned()),
            checks: vec![run(Some("FAILURE"))],
            ..Commit::default()
        };
        assert_eq!(said.rollup(), Some("PENDING"));
    }
}
