//! A session's log: when it was last written to, and what it says last about the outcome.
//!
//! Agents write into the same file, without any mark, whatever they like. The time of the last write is evidence; the
//! outcome is a hint, and nothing may rest on it.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::path::Path;

use vigil_core::Timestamp;
use vigil_core::fact::{Fact, Gap, GapKind, Sighting};

use crate::machine::open;
use crate::vigilante::convert::unrecorded;
use crate::vigilante::{time, worktree};

/// 64 KiB from the end: the outcome is among the last lines, and the lines before it can be any agent's output.
const TAIL_BYTES: u64 = 64 << 10;

/// The name that Vigilante gives a log of this name when it begins a new one.
const ROTATED: &str = ".1";

/// The last write to the log `name` below `logs`, the one it was rotated from included. Absent: there is no such log,
/// while `logs`, which any of Vigilante's commands makes, can be read.
pub(crate) fn last_write(logs: &Path, name: &str, now: Timestamp) -> Fact<Timestamp> {
    let mut newest: Option<Timestamp> = None;
    for name in [name.to_owned(), format!("{name}{ROTATED}")] {
        let path = logs.join(&name);
        match fs::metadata(&path) {
            Ok(found) => match open::special(&found) {
                None => newest = newest.max(worktree::modified(&found)),
                // Whoever put it there decides what its times are.
                Some(what) => {
                    return Fact::unknown(
                        GapKind::Malformed,
                        format!("the log {} is {what} and no regular file", path.display()),
                    );
                }
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                return Fact::unknown(
                    GapKind::Denied,
                    format!("the log {} cannot be looked at: {error}", path.display()),
                );
            }
        }
    }
    match newest {
        Some(at) => match time::not_ahead(at, now, &format!("the last write to {name}")) {
            Ok(at) => Fact::Found(at),
            Err(gap) => Fact::from(gap),
        },
        None => match fs::read_dir(logs) {
            Ok(_) => Fact::from(Sighting {
                first: now,
                last: now,
                detail: format!("there is no {}", logs.join(name).display()),
            }),
            Err(error) => Fact::from(Gap::new(
                GapKind::NoControl,
                format!("{} cannot be read: {error}", logs.display()),
            )),
        },
    }
}

/// What the end of the log `name` says about the outcome: `success`, `incomplete`, `failed`, `canceled`. `None`: it
/// says nothing, or a new run has begun since.
pub(crate) fn outcome(logs: &Path, name: &str) -> Option<String> {
    let log = open::open(&logs.join(name)).ok()?;
    let (bytes, is_cut) = log.tail(TAIL_BYTES).ok()?;
    let tail = String::from_utf8_lossy(&bytes);
    let mut lines = tail.lines();
    if is_cut {
        // The first line was cut.
        lines.next();
    }
    lines
        .filter_map(said)
        .next_back()
        .flatten()
        .map(str::to_owned)
}

/// What a line says: `Some(None)` that a run is under way, `None` nothing at all.
fn said(line: &str) -> Option<Option<&'static str>> {
    let (head, text) = line.strip_prefix('[')?.split_once("] ")?;
    let at = head.strip_prefix("vigilante ").unwrap_or(head);
    time::parse(at)?;
    let begins = |words: &[&str]| words.iter().any(|word| text.starts_with(word));
    // Both kinds of line have said the same in different words over the versions.
    if begins(&["session succeeded", "session completed status=success"]) {
        Some(Some("success"))
    } else if begins(&["session incomplete", "session completed status=incomplete"]) {
        Some(Some("incomplete"))
    } else if begins(&["session canceled", "session cancelled"]) {
        Some(Some("canceled"))
    } else if begins(&[
        "session failed",
        "session completed status=",
        "implementation failed",
        "issue preflight failed",
        "preflight failed",
        "start comment failed",
        "session provider resolution failed",
        "session provider compatibility failed",
    ]) {
        Some(Some("failed"))
    } else if text.split(' ').any(|word| word == "status=running") {
        Some(None)
    } else {
        None
    }
}

/// Logs that sessions of several repositories write to, each with those repositories, in the file's order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shared(HashMap<String, Vec<String>>);

impl Shared {
    /// Over all records: repository and issue of each, as far as it names both.
    pub(crate) fn of<'a>(issues: impl Iterator<Item = (&'a str, u64)> + Clone) -> Self {
        // Two repositories whose names make the same log are rare, and there are few repositories.
        let repos: HashSet<&str> = issues.clone().map(|(repo, _)| repo).collect();
        let mut of_slug: HashMap<String, u32> = HashMap::new();
        for repo in &repos {
            *of_slug.entry(repo_slug(repo)).or_default() += 1;
        }
        let ambiguous: HashSet<&str> = repos
            .into_iter()
            .filter(|repo| {
                of_slug
                    .get(&repo_slug(repo))
                    .is_some_and(|count| *count > 1)
            })
            .collect();
        let mut writers: HashMap<String, Vec<String>> = HashMap::new();
        for (repo, issue) in issues.filter(|(repo, _)| ambiguous.contains(repo)) {
            let repos = writers.entry(log_name(repo, issue)).or_default();
            if !repos.iter().any(|known| known == repo) {
                repos.push(repo.to_owned());
            }
        }
        writers.retain(|_, repos| repos.len() > 1);
        Shared(writers)
    }

    /// The name of the log of `issue`, repository and number, or why it cannot be told from another's.
    pub(crate) fn name(&self, issue: Option<(&str, u64)>) -> Result<String, Gap> {
        let (repo, issue) = issue.ok_or_else(|| unrecorded("repo"))?;
        let name = log_name(repo, issue);
        match self.0.get(&name) {
            None => Ok(name),
            Some(repos) => Err(Gap::new(
                GapKind::IdentityChanged,
                format!(
                    "{name} is the log of issue {issue} of each of {}, and nobody can say which one wrote last",
                    repos.join(", ")
                ),
            )),
        }
    }
}

/// The log's name as Vigilante makes it. Not injective: `a-b/c` and `a/b-c` share one.
fn log_name(repo: &str, issue: u64) -> String {
    format!("{}-issue-{issue}.log", repo_slug(repo))
}

fn repo_slug(repo: &str) -> String {
    let slugs: Vec<String> = repo
        .split('/')
        .map(slug)
        .filter(|slug| !slug.is_empty())
        .collect();
    match slugs.is_empty() {
        true => "unknown-repo".to_owned(),
        false => slugs.join("-"),
    }
}

fn slug(part: &str) -> String {
    part.split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|run| !run.is_empty())
        .collect::<Vec<_>>()
        .join("-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::time::{Duration, SystemTime};
    use vigil_core::time::minutes;

    const NOW: Timestamp = Timestamp(1_774_551_600_000);

    fn logs(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, text) in files {
            fs::write(folder.path().join(name), text).expect("a log");
        }
        folder
    }

    fn set_time(path: &Path, at: Timestamp) {
        File::options()
            .write(true)
            .open(path)
            .and_then(|file| {
                file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_millis(at.0))
            })
            .expect("the time is set");
    }

    #[test]
    fn the_last_line_about_the_outcome_counts_in_both_spellings() {
        let at = "2026-03-26T19:00:00+02:00";
        let cases: &[(String, Option<&str>)] = &[
            (
                format!(
                    "[{at}] session succeeded duration=3m output_bytes=1 issue=2 status=success\n"
                ),
                Some("success"),
            ),
            (
                format!("[vigilante {at}] session completed status=success duration=3m\n"),
                Some("success"),
            ),
            (
                format!(
                    "[{at}] session incomplete reason=x\n[{at}] session failed duration=1s\n\n"
                ),
                Some("failed"),
            ),
            (
                format!("[vigilante {at}] session completed status=incomplete reason=x\n"),
                Some("incomplete"),
            ),
            (
                format!("[vigilante {at}] preflight failed\n"),
                Some("failed"),
            ),
            (format!("[{at}] session canceled\n"), Some("canceled")),
            (
                format!(
                    "[{at}] session succeeded status=success\n[{at}] session started status=running\n"
                ),
                None,
            ),
            (
                format!("[{at}] session succeeded\nagent says: all done\n"),
                Some("success"),
            ),
            ("session succeeded status=success\n".to_owned(), None),
            (
                "[not a time] session succeeded status=success\n".to_owned(),
                None,
            ),
            (String::new(), None),
        ];
        for (text, expected) in cases {
            let folder = logs(&[("a.log", text)]);
            assert_eq!(
                outcome(folder.path(), "a.log").as_deref(),
                *expected,
                "{text}"
            );
        }
    }

    #[test]
    fn only_the_tail_is_read_and_bytes_that_are_no_text_do_no_harm() {
        let line = "[2026-03-26T19:00:00Z] session succeeded status=success\n";
        let folder = logs(&[("a.log", line), ("b.log", "")]);
        let far = [line.as_bytes(), &vec![b'x'; 70 << 10]].concat();
        fs::write(folder.path().join("a.log"), far).expect("a log");
        assert_eq!(outcome(folder.path(), "a.log"), None);
        let near = [&vec![0xff; 70 << 10][..], b"\n", line.as_bytes()].concat();
        fs::write(folder.path().join("b.log"), near).expect("a log");
        assert_eq!(outcome(folder.path(), "b.log").as_deref(), Some("success"));
        assert_eq!(outcome(folder.path(), "missing.log"), None);
    }

    #[test]
    fn the_last_write_is_that_of_the_log_or_of_the_one_before_the_rotation() {
        let folder = logs(&[
            ("a.log", "x"),
            ("a.log.1", "x"),
            ("b.log.1", "x"),
            ("c.log", "x"),
        ]);
        let at = |name: &str, age: Duration| {
            set_time(&folder.path().join(name), NOW.before(age));
        };
        at("a.log", minutes(109));
        at("a.log.1", minutes(200));
        at("b.log.1", minutes(50));
        set_time(&folder.path().join("c.log"), NOW.after(minutes(6)));
        assert_eq!(
            last_write(folder.path(), "a.log", NOW),
            Fact::Found(NOW.before(minutes(109)))
        );
        assert_eq!(
            last_write(folder.path(), "b.log", NOW),
            Fact::Found(NOW.before(minutes(50)))
        );
        let ahead = last_write(folder.path(), "c.log", NOW);
        assert_eq!(
            ahead.gap().map(|gap| &gap.kind),
            Some(&GapKind::InTheFuture)
        );
    }

    #[test]
    fn a_log_is_absent_only_where_the_folder_of_logs_can_be_read() {
        let folder = logs(&[]);
        assert!(last_write(folder.path(), "a.log", NOW).is_absent());
        let gone = last_write(&folder.path().join("gone"), "a.log", NOW);
        assert_eq!(gone.gap().map(|gap| &gap.kind), Some(&GapKind::NoControl));
    }
}
