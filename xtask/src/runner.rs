//! Runs tests with nextest, or with `cargo test` where nextest is missing, and keeps what a closing summary needs: the
//! runner's own last lines, and what tests said that they left out.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::command::{cargo, cargo_for_tests, words, works};
use crate::steps::Ending;

/// What runs the tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runner {
    /// One process for each test: preferred.
    Nextest,
    /// The one that is always there.
    Cargo,
}

/// A run of tests that came to its end.
#[derive(Debug)]
pub struct Finished {
    /// How it ended.
    pub ending: Ending,
    /// What passing tests left out, as they put it: lines of their output that begin with `skipped`.
    pub skipped: Vec<String>,
    /// The runner's own summary, not printed yet. Empty when the tests could not be built.
    pub closing: Vec<String>,
}

impl Runner {
    /// nextest where it is installed.
    pub fn installed() -> Self {
        if works(cargo(["nextest", "--version"])) {
            Runner::Nextest
        } else {
            Runner::Cargo
        }
    }

    /// The tidy tests alone.
    pub fn tidy_command(self) -> Command {
        match self {
            Runner::Nextest => cargo([
                "nextest",
                "run",
                "--package",
                "vigil-it",
                "-E",
                "test(/^tidy::/)",
            ]),
            Runner::Cargo => cargo([
                "test",
                "--package",
                "vigil-it",
                "--test",
                "it",
                "--",
                "tidy::",
            ]),
        }
    }

    /// Runs the tests of `packages` (arguments for cargo, such as `--workspace`) to their end, the failing ones
    /// included. `prepare` may set variables. Everything but the runner's closing lines is printed as it comes.
    pub fn run(
        self,
        packages: &[&str],
        tmp: &Path,
        prepare: impl FnOnce(&mut Command),
    ) -> Result<Finished> {
        let store = tmp.join("nextest");
        let mut command = match self {
            Runner::Nextest => {
                let config = tmp.join("nextest.toml");
                fs::write(&config, nextest_config(&store)?)
                    .with_context(|| format!("failed to write {}", config.display()))?;
                let mut command = cargo_for_tests(["nextest", "run"], tmp);
                command
                    .args(packages)
                    .args(["--no-tests", "pass"])
                    .arg("--config-file")
                    .arg(config);
                command
            }
            Runner::Cargo => {
                let mut command = cargo_for_tests(["test"], tmp);
                command
                    .args(packages)
                    .args(["--lib", "--bins", "--tests", "--no-fail-fast"])
                    // What passing tests print is where they say what they left out.
                    .args(["--", "--show-output"]);
                command
            }
        };
        prepare(&mut command);
        let mut finished = stream(&mut command)?;
        if self == Runner::Nextest {
            finished.skipped = skipped_in_report(&store.join("default").join("junit.xml"))?;
        }
        Ok(finished)
    }
}

/// nextest's own settings: all tests run, a hung one is ended after ten minutes, and a report keeps what they printed.
/// They are written for each run, since its report would otherwise go into the clone.
fn nextest_config(store: &Path) -> Result<String> {
    let store = store
        .to_str()
        .context("the folder for temporary files has a name that is not UTF-8")?;
    Ok(format!(
        "[store]\n\
         dir = {store:?}\n\
         [profile.default]\n\
         fail-fast = false\n\
         slow-timeout = {{ period = \"60s\", terminate-after = 10 }}\n\
         [profile.default.junit]\n\
         path = \"junit.xml\"\n\
         store-success-output = true\n"
    ))
}

/// Runs `command`, both its outputs as one stream, and holds back its closing lines.
fn stream(command: &mut Command) -> Result<Finished> {
    let name = words(command);
    let (reader, writer) = io::pipe().context("failed to make a pipe")?;
    let errors = writer.try_clone().context("failed to make a pipe")?;
    let mut child = command
        .stdout(writer)
        .stderr(errors)
        .spawn()
        .with_context(|| format!("failed to start {name}"))?;
    // The command keeps our ends of the pipe open until it gets others.
    command
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null());

    let mut closing = Closing::default();
    let mut skipped = Vec::new();
    let mut out = io::stdout().lock();
    let mut lines = BufReader::new(reader);
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        let read = lines
            .read_until(b'\n', &mut bytes)
            .with_context(|| format!("failed to read what {name} prints"))?;
        if read == 0 {
            break;
        }
        let line = String::from_utf8_lossy(&bytes).trim_end().to_owned();
        skipped.extend(skip_line(&line));
        for line in closing.push(line) {
            writeln!(out, "{line}").context("failed to print")?;
        }
    }
    let status = child
        .wait()
        .with_context(|| format!("failed to wait for {name}"))?;
    Ok(Finished {
        ending: if status.success() {
            Ending::Passed
        } else {
            Ending::Failed(format!("{name} ended with {status}"))
        },
        skipped,
        closing: closing.held,
    })
}

/// Holds a runner's closing lines back, so that they can be the last ones of all.
#[derive(Debug, Default)]
struct Closing {
    held: Vec<String>,
}

impl Closing {
    /// Takes the next line and returns the ones that are now known not to be the closing ones.
    fn push(&mut self, line: String) -> Vec<String> {
        let text = line.trim_start();
        // nextest's summary goes on to the end of its output; `cargo test` prints one for each binary.
        let of_nextest = text.starts_with("Summary [");
        let of_cargo = text.starts_with("test result: ");
        let holds_nextest = self
            .held
            .first()
            .is_some_and(|first| first.trim_start().starts_with("Summary ["));
        if of_nextest || of_cargo {
            let before = std::mem::take(&mut self.held);
            self.held.push(line);
            before
        } else if holds_nextest || (!self.held.is_empty() && text.is_empty()) {
            self.held.push(line);
            Vec::new()
        } else {
            let mut now = std::mem::take(&mut self.held);
            now.push(line);
            now
        }
    }
}

/// The line, when it is a test's word that it left something out.
fn skip_line(line: &str) -> Option<String> {
    let text = line.trim();
    let word = text.split([':', ' ']).next()?;
    ["skipped", "skipping", "skip"]
        .iter()
        .any(|known| word.eq_ignore_ascii_case(known))
        .then(|| text.to_owned())
}

/// The same from nextest's report, with the test's name. No report: nothing could be built, and nothing was left out.
fn skipped_in_report(path: &Path) -> Result<Vec<String>> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text =
        fs::read_to_string(path).with_context(|| format!("failed to read {}", path.display()))?;
    skipped_in(&text).with_context(|| format!("failed to read {}", path.display()))
}

fn skipped_in(junit: &str) -> Result<Vec<String>> {
    let report = quick_junit::Report::deserialize_from_str(junit)?;
    let mut lines = Vec::new();
    for suite in &report.test_suites {
        for case in &suite.test_cases {
            let printed = [&case.system_out, &case.system_err];
            for text in printed.into_iter().flatten() {
                lines.extend(
                    text.as_str().lines().filter_map(skip_line).map(|line| {
                        format!("{} {}: {line}", suite.name.as_str(), case.name.as_str())
                    }),
                );
            }
        }
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is printed at once, and what is held to the end.
    fn through(lines: &[&str]) -> (Vec<String>, Vec<String>) {
        let mut closing = Closing::default();
        let now = lines
            .iter()
            .flat_map(|line| closing.push((*line).to_owned()))
            .collect();
        (now, closing.held)
    }

    #[test]
    fn the_summary_of_nextest_is_held_with_the_failures_below_it() {
        let (now, held) = through(&[
            "        PASS [   0.004s] (1/2) nx b",
            "     Summary [   0.005s] 2 tests run: 1 passed, 1 failed, 0 skipped",
            "        FAIL [   0.004s] (2/2) nx a",
            "error: test run failed",
        ]);
        assert_eq!(now, ["        PASS [   0.004s] (1/2) nx b"]);
        assert_eq!(held.len(), 3);
        assert!(held[0].contains("1 failed"));
    }

    #[test]
    fn of_cargo_only_the_last_summary_is_held_and_no_line_is_lost() {
        let lines = [
            "running 1 test",
            "test result: ok. 1 passed; 0 failed",
            "",
            "running 2 tests",
            "test result: ok. 2 passed; 0 failed",
            "",
        ];
        let (now, held) = through(&lines);
        assert_eq!(held, ["test result: ok. 2 passed; 0 failed", ""]);
        assert_eq!([now, held].concat(), lines);
    }

    #[test]
    fn without_a_summary_nothing_is_held() {
        let (now, held) = through(&["error: could not compile", ""]);
        assert_eq!(now.len(), 2);
        assert!(held.is_empty());
    }

    #[test]
    fn a_test_says_that_it_skipped_at_the_start_of_a_line() {
        for said in ["skipped: no npm", "SKIP no root", "  skipping: not Linux"] {
            assert_eq!(skip_line(said).as_deref(), Some(said.trim()), "{said}");
        }
        for not in [
            "test skipped_lines_are_kept ... ok",
            "3 skipped",
            "skips",
            "",
        ] {
            assert_eq!(skip_line(not), None, "{not}");
        }
    }

    #[test]
    fn a_report_names_the_test_that_skipped() {
        let junit = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="nextest-run" tests="1" skipped="0" failures="0" errors="0" time="0.005">
    <testsuite name="vigil-github" tests="1" skipped="0" errors="0" failures="0">
        <testcase name="schema" classname="vigil-github" time="0.004">
            <system-out>test schema ... ok</system-out>
            <system-err>skipped: no &lt;schema&gt; here
</system-err>
        </testcase>
    </testsuite>
</testsuites>"#;
        assert_eq!(
            skipped_in(junit).unwrap(),
            ["vigil-github schema: skipped: no <schema> here"]
        );
    }
}
