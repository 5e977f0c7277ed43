//! GitHub as Vigilante sees it: a `gh` that answers from a file, in the shapes that Vigilante 1.2.4 asks for.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What `gh` knows.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Facts {
    /// Nothing works: every call ends like one without a network.
    pub(crate) fails: bool,
    /// `owner/name`.
    pub(crate) repo: String,
    /// When the rate limits begin anew, in seconds since the epoch.
    pub(crate) limits_reset_s: u64,
    /// The issues of the repository.
    pub(crate) issues: Vec<Issue>,
}

/// An issue with the pull request of its session.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Issue {
    /// Within the repository.
    pub(crate) number: u64,
    /// As REST spells it: `open` or `closed`.
    pub(crate) state: String,
    /// Vigilante changes them.
    pub(crate) labels: Vec<String>,
    /// What its branch led to.
    pub(crate) pull: Option<Pull>,
}

/// A pull request.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Pull {
    /// Within the repository.
    pub(crate) number: u64,
    /// As GraphQL spells it: `OPEN`, `MERGED` or `CLOSED`.
    pub(crate) state: String,
    /// RFC 3339.
    pub(crate) merged_at: Option<String>,
    /// The branch at its head.
    pub(crate) branch: String,
    /// The newest commit of its head.
    pub(crate) head: String,
}

fn facts_file(dir: &Path) -> PathBuf {
    dir.join("facts.json")
}

impl Facts {
    /// Reads what was written.
    fn read(dir: &Path) -> Result<Facts> {
        let path = facts_file(dir);
        let text = fs::read_to_string(&path)
            .with_context(|| format!("failed to read {}", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("failed to read {}", path.display()))
    }

    /// Writes them so that a reader sees all or none: Vigilante calls `gh` from several threads.
    pub(crate) fn write(&self, dir: &Path) -> Result<()> {
        let path = facts_file(dir);
        let new = dir.join(format!("facts.json.{}", std::process::id()));
        fs::write(&new, serde_json::to_string(self)?)
            .and_then(|()| fs::rename(&new, &path))
            .with_context(|| format!("failed to write {}", path.display()))
    }

    fn issue(&self, number: &str) -> Option<&Issue> {
        self.issues
            .iter()
            .find(|issue| issue.number.to_string() == number)
    }
}

/// Somebody reopens the issue `number`.
pub(crate) fn reopen(dir: &Path, number: u64) -> Result<()> {
    let mut facts = Facts::read(dir)?;
    for issue in &mut facts.issues {
        if issue.number == number {
            "open".clone_into(&mut issue.state);
        }
    }
    facts.write(dir)
}

/// Calls to which this `gh` has no answer, from its own book: each makes the whole trial worthless.
pub(crate) fn unanswered(dir: &Path) -> Result<Vec<String>> {
    let path = dir.join("unanswered");
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text =
        fs::read_to_string(&path).with_context(|| format!("failed to read {}", path.display()))?;
    Ok(text.lines().map(str::to_owned).collect())
}

/// Adds one line to a book that several processes write.
pub(crate) fn append(book: &Path, line: &Value) -> Result<()> {
    let failed = || format!("failed to write to {}", book.display());
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(book)
        .with_context(failed)?;
    file.write_all(format!("{line}\n").as_bytes())
        .with_context(failed)
}

/// Plays `gh`.
pub(crate) fn answer(dir: &Path, arguments: &[&str]) -> Result<ExitCode> {
    append(&dir.join("calls"), &json!(arguments))?;
    let mut facts = Facts::read(dir)?;
    if facts.fails {
        eprintln!("error connecting to api.github.com");
        return Ok(ExitCode::FAILURE);
    }
    let call = Call::of(arguments);
    let answer = match call.words.as_slice() {
        ["api", path] if call.option("--method").is_none() => rest(&facts, path),
        // Labels of the repository that it makes, and reactions: of no interest here.
        ["api", _] => Some(json!({})),
        ["pr", "list"] => Some(pulls(&facts, call.option("--head"))),
        ["pr", "view", number] => pull(&facts, number),
        ["issue", "list"] => Some(open_issues(&facts)),
        ["issue", "edit", number] => {
            relabel(&mut facts, number, &call);
            facts.write(dir)?;
            return Ok(ExitCode::SUCCESS);
        }
        ["issue" | "pr", "comment", _] | ["pr", "edit", _] | ["auth", ..] => {
            return Ok(ExitCode::SUCCESS);
        }
        _ => None,
    };
    let Some(answer) = answer else {
        append(&dir.join("unanswered"), &json!(arguments))?;
        eprintln!("error connecting to api.github.com");
        return Ok(ExitCode::FAILURE);
    };
    if call.has("--include") {
        print!("HTTP/2.0 200 OK\r\nContent-Type: application/json; charset=utf-8\r\n\r\n");
    }
    match call.option("--jq") {
        // The one expression that Vigilante uses.
        Some(".login") => println!("{}", answer["login"].as_str().unwrap_or_default()),
        _ => println!("{answer}"),
    }
    Ok(ExitCode::SUCCESS)
}

/// A command line taken apart: words, and options with their values.
struct Call<'a> {
    words: Vec<&'a str>,
    options: Vec<(&'a str, &'a str)>,
}

impl<'a> Call<'a> {
    /// The options of `gh` that take no value, as far as Vigilante uses them.
    const FLAGS: [&'static str; 3] = ["--include", "--paginate", "--slurp"];

    fn of(arguments: &[&'a str]) -> Call<'a> {
        let mut call = Call {
            words: Vec::new(),
            options: Vec::new(),
        };
        let mut rest = arguments.iter().copied();
        while let Some(word) = rest.next() {
            if Call::FLAGS.contains(&word) {
                call.options.push((word, ""));
            } else if word.starts_with('-') {
                call.options.push((word, rest.next().unwrap_or_default()));
            } else {
                call.words.push(word);
            }
        }
        call
    }

    fn has(&self, name: &str) -> bool {
        self.options.iter().any(|(option, _)| *option == name)
    }

    fn option(&self, name: &str) -> Option<&'a str> {
        self.all(name).next()
    }

    fn all(&self, name: &str) -> impl Iterator<Item = &'a str> {
        self.options
            .iter()
            .filter(move |(option, _)| *option == name)
            .map(|(_, value)| *value)
    }
}

fn rest(facts: &Facts, path: &str) -> Option<Value> {
    let path = path.trim_start_matches('/');
    let path = path.split_once('?').map_or(path, |(path, _)| path);
    match path {
        "rate_limit" => {
            let pot = json!({ "limit": 5000, "used": 0, "remaining": 5000, "reset": facts.limits_reset_s });
            return Some(json!({ "resources": { "core": pot, "graphql": pot, "search": pot } }));
        }
        "user" => return Some(json!({ "login": "me" })),
        _ => {}
    }
    let within = path
        .strip_prefix("repos/")?
        .strip_prefix(&facts.repo)?
        .strip_prefix('/')?;
    match within.split('/').collect::<Vec<_>>().as_slice() {
        ["issues", number] if *number != "comments" => {
            let issue = facts.issue(number)?;
            let labels: Vec<Value> = issue
                .labels
                .iter()
                .map(|name| json!({ "name": name }))
                .collect();
            Some(json!({
                "number": issue.number,
                "title": "made up",
                "body": "",
                "html_url": format!("https://github.com/{}/issues/{number}", facts.repo),
                "state": issue.state,
                "labels": labels,
                "assignees": [{ "login": "me" }],
            }))
        }
        ["issues" | "pulls", "comments"] | ["issues" | "pulls", _, "comments"] | ["labels"] => {
            Some(json!([]))
        }
        _ => None,
    }
}

fn pulls(facts: &Facts, head: Option<&str>) -> Value {
    facts
        .issues
        .iter()
        .filter_map(|issue| issue.pull.as_ref())
        .filter(|pull| head.is_none_or(|head| head == pull.branch))
        .map(|pull| view(facts, pull))
        .collect()
}

fn pull(facts: &Facts, number: &str) -> Option<Value> {
    let mut pulls = facts.issues.iter().filter_map(|issue| issue.pull.as_ref());
    pulls
        .find(|pull| pull.number.to_string() == number)
        .map(|pull| view(facts, pull))
}

fn view(facts: &Facts, pull: &Pull) -> Value {
    json!({
        "number": pull.number,
        "title": "made up",
        "body": "",
        "url": format!("https://github.com/{}/pull/{}", facts.repo, pull.number),
        "state": pull.state,
        "mergedAt": pull.merged_at,
        "labels": [],
        "isDraft": false,
        "mergeable": "MERGEABLE",
        "mergeStateStatus": "CLEAN",
        "reviewDecision": "",
        "statusCheckRollup": [],
        "headRefName": pull.branch,
        "headRefOid": pull.head,
        "baseRefName": "main",
    })
}

fn open_issues(facts: &Facts) -> Value {
    let open = facts.issues.iter().filter(|issue| issue.state == "open");
    open.map(|issue| {
        let labels: Vec<Value> = issue
            .labels
            .iter()
            .map(|name| json!({ "name": name }))
            .collect();
        json!({
            "number": issue.number,
            "title": "made up",
            "body": "",
            "createdAt": "2026-01-01T00:00:00Z",
            "url": format!("https://github.com/{}/issues/{}", facts.repo, issue.number),
            "labels": labels,
            "assignees": [{ "login": "me" }],
        })
    })
    .collect()
}

fn relabel(facts: &mut Facts, number: &str, call: &Call<'_>) {
    let issue = facts
        .issues
        .iter_mut()
        .find(|issue| issue.number.to_string() == number);
    let Some(issue) = issue else { return };
    let removed: Vec<&str> = call.all("--remove-label").collect();
    issue
        .labels
        .retain(|label| !removed.contains(&label.as_str()));
    for label in call.all("--add-label") {
        if !issue.labels.iter().any(|present| present == label) {
            issue.labels.push(label.to_owned());
        }
    }
}
