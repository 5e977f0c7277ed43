//! Where to look again after an event. Pure: a name and a payload in, wakes out.
//!
//! Payloads are read by hand and field by field: typed models of them reject real ones, and all that is wanted here are
//! a repository and a number, a branch or a commit. What each event carries is in GitHub's documentation, "Webhook
//! events and payloads"; what it leaves out is named where it matters.

mod pruned;

use serde_json::Value;
use vigil_core::Timestamp;

use pruned::Pruned;

/// A request to look again. It carries no facts: deliveries come late, twice and out of order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Wake {
    /// `owner/name` as GitHub writes it; for [`About::Owner`] the owner alone. GitHub compares both without regard to
    /// case.
    pub repo: String,
    /// What in it.
    pub about: About,
    /// What GitHub called the last update of [`About::Number`] when it told this, by its own clock: a read that is older
    /// comes from a replica that lags, and is made again. `None`: it did not say, or this is about something else.
    pub updated: Option<Timestamp>,
}

/// What a wake is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum About {
    /// The issue or pull request of this number.
    Number(u64),
    /// The pull requests whose head is this branch, in this repository or in a fork, and the branch itself.
    Branch(String),
    /// The pull requests whose head is this commit, in full hex: GitHub names no pull request in events about checks
    /// of a fork, and never in `status`.
    Commit(String),
    /// The pull requests that go into this branch: it moved, so they may have become unmergeable, for which GitHub has
    /// no event.
    Base(String),
    /// Everything in the repository: it was renamed, transferred, deleted or changed as a whole.
    Repository,
    /// Everything of the owner: what vigil may see of it changed, and GitHub did not say where.
    Owner,
}

/// What came of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Where to look again; empty: nowhere, such as for a tag or a ping. Sorted, each once.
    Wakes(Vec<Wake>),
    /// An event that no session depends on, or that this version does not know.
    Unknown,
    /// A payload that is no JSON object, or that names no repository where it has to.
    Unparsable,
}

/// Reads an event. `name`: the header `X-GitHub-Event`. `payload`: the JSON as it came.
pub fn hear(name: &str, payload: &[u8]) -> Heard {
    if !KNOWN.contains(&name) {
        return Heard::Unknown;
    }
    let Ok(Pruned(payload @ Value::Object(_))) = serde_json::from_slice(payload) else {
        return Heard::Unparsable;
    };
    match abouts(name, &payload) {
        Some(mut wakes) => {
            wakes.sort();
            wakes.dedup();
            Heard::Wakes(wakes)
        }
        None => Heard::Unparsable,
    }
}

/// The events that wake somebody, and the ping that GitHub sends to a new webhook.
pub const KNOWN: [&str; 19] = [
    "check_run",
    "check_suite",
    "create",
    "delete",
    "installation",
    "installation_repositories",
    "issue_comment",
    "issues",
    "label",
    "merge_group",
    "ping",
    "pull_request",
    "pull_request_review",
    "pull_request_review_comment",
    "pull_request_review_thread",
    "push",
    "repository",
    "status",
    "workflow_run",
];

/// More places than this are not told apart: the repository, or its owner, is looked at as a whole. An installation can
/// list thousands of repositories; other events name a dozen places at most.
pub const WAKES_MAX: usize = 100;

/// The wakes of an event in [`KNOWN`]; `None`: it does not say where.
fn abouts(name: &str, payload: &Value) -> Option<Vec<Wake>> {
    match name {
        "ping" => return Some(Vec::new()),
        "installation" | "installation_repositories" => return installation(payload),
        _ => {}
    }
    let repo = repository(payload)?;
    let mut abouts = match name {
        "issues" => {
            let mut wakes = vec![dated(repo, numbered(payload, "/issue/number"), payload)];
            wakes.extend(moved_issue(payload));
            return Some(wakes);
        }
        "issue_comment" => vec![numbered(payload, "/issue/number")],
        "label" => label(payload),
        "pull_request" => pull_request(payload, "/number"),
        "pull_request_review" | "pull_request_review_comment" | "pull_request_review_thread" => {
            pull_request(payload, "/pull_request/number")
        }
        "check_run" => checks(payload, "/check_run", "/check_run/check_suite/head_branch"),
        "check_suite" => checks(payload, "/check_suite", "/check_suite/head_branch"),
        "workflow_run" => checks(payload, "/workflow_run", "/workflow_run/head_branch"),
        "status" => status(payload),
        "merge_group" => merge_group(payload),
        "push" => match branch_of(text(payload, "/ref")) {
            Ok(branch) => vec![About::Branch(branch.clone()), About::Base(branch)],
            Err(whole) => whole,
        },
        "create" | "delete" => match (text(payload, "/ref_type"), text(payload, "/ref")) {
            (Some("branch"), Some(branch)) => vec![About::Branch(branch.to_owned())],
            (Some("tag" | "repository"), _) => Vec::new(),
            _ => vec![About::Repository],
        },
        "repository" => {
            let mut wakes = vec![wake(repo, About::Repository)];
            wakes.extend(former_name(repo, payload).map(|repo| wake(&repo, About::Repository)));
            return Some(wakes);
        }
        // A name in KNOWN without an arm here: looking at too much is not wrong.
        _ => vec![About::Repository],
    };
    // The event is about something here and does not say about what, or about more than is worth telling apart.
    let vague = abouts.is_empty() && !may_be_about_nothing(name);
    if vague || abouts.len() > WAKES_MAX {
        abouts = vec![About::Repository];
    }
    let dated = |about| dated(repo, about, payload);
    Some(abouts.into_iter().map(dated).collect())
}

/// Tags and new labels concern no session.
fn may_be_about_nothing(name: &str) -> bool {
    matches!(name, "label" | "push" | "create" | "delete")
}

/// An issue or pull request; where the number is missing, everything.
fn numbered(payload: &Value, number: &str) -> About {
    value_at(payload, number)
        .and_then(Value::as_u64)
        .map_or(About::Repository, About::Number)
}

/// The issue's new place, when it was transferred.
fn moved_issue(payload: &Value) -> Option<Wake> {
    let repo = text(payload, "/changes/new_repository/full_name")?;
    let number = value_at(payload, "/changes/new_issue/number")?.as_u64()?;
    Some(Wake {
        updated: time(payload, "/changes/new_issue/updated_at"),
        ..wake(repo, About::Number(number))
    })
}

/// A label that is renamed or deleted changes on every issue that has it, without an event for any of them.
fn label(payload: &Value) -> Vec<About> {
    match text(payload, "/action") {
        Some("created") => Vec::new(),
        Some("edited") if value_at(payload, "/changes/name").is_none() => Vec::new(),
        _ => vec![About::Repository],
    }
}

/// By its number, and by its branch for those who do not know the number yet.
fn pull_request(payload: &Value, number: &str) -> Vec<About> {
    let mut abouts = vec![numbered(payload, number)];
    abouts.extend(branch(payload, "/pull_request/head/ref"));
    abouts
}

/// Check runs, check suites and workflow runs: by the pull requests where GitHub names them, and always by commit and
/// branch, since it leaves them out for forks and lists them from before the newest push.
fn checks(payload: &Value, at: &str, head_branch: &str) -> Vec<About> {
    let home = value_at(payload, "/repository/id").and_then(Value::as_u64);
    let listed = value_at(payload, &format!("{at}/pull_requests"));
    let mut abouts: Vec<About> = listed
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        // A fork's own checks name the pull requests that it has elsewhere: their numbers mean nothing here.
        .filter(|pull| {
            let base = value_at(pull, "/base/repo/id").and_then(Value::as_u64);
            base.is_none() || home.is_none() || base == home
        })
        .filter_map(|pull| value_at(pull, "/number")?.as_u64())
        .map(About::Number)
        .collect();
    abouts.extend(commit(payload, &format!("{at}/head_sha")));
    abouts.extend(branch(payload, head_branch));
    abouts
}

/// By commit, and by the branches that hold it; GitHub lists at most ten of them, which need not have it at the head.
fn status(payload: &Value) -> Vec<About> {
    let Some(sha) = commit(payload, "/sha") else {
        return Vec::new();
    };
    let branches = value_at(payload, "/branches").and_then(Value::as_array);
    let at_head = |branch: &&Value| {
        let head = text(branch, "/commit/sha");
        head.is_none() || head == text(payload, "/sha")
    };
    branches
        .into_iter()
        .flatten()
        .filter(at_head)
        .filter_map(|item| branch(item, "/name"))
        .chain([sha])
        .collect()
}

/// A merge queue's group: by the pull request in its branch's name. When it is gone, the others that go into the same
/// branch have another place in the queue.
fn merge_group(payload: &Value) -> Vec<About> {
    let queued = text(payload, "/merge_group/head_ref").and_then(queued_number);
    let base = branch_of(text(payload, "/merge_group/base_ref")).ok();
    let is_over = text(payload, "/action") != Some("checks_requested");
    let everybody = (is_over || queued.is_none()).then_some(base).flatten();
    let mut abouts: Vec<About> = queued.map(About::Number).into_iter().collect();
    abouts.extend(everybody.map(About::Base));
    abouts
}

/// 104 in `refs/heads/gh-readonly-queue/main/pr-104-929f8209`. The base's name may have slashes.
fn queued_number(head_ref: &str) -> Option<u64> {
    let (_, last) = head_ref.rsplit_once('/')?;
    let digits = last.strip_prefix("pr-")?.split('-').next()?;
    digits.parse().ok()
}

/// The branch of `refs/heads/branch`; nothing for a tag, and everything where there is no ref.
fn branch_of(reference: Option<&str>) -> Result<String, Vec<About>> {
    match reference {
        Some(reference) => reference
            .strip_prefix("refs/heads/")
            .map(str::to_owned)
            .ok_or_else(Vec::new),
        None => Err(vec![About::Repository]),
    }
}

/// What the repository was called before it was renamed or transferred: sessions still have that name.
fn former_name(repo: &str, payload: &Value) -> Option<String> {
    let (owner, name) = repo.split_once('/')?;
    if let Some(former) = text(payload, "/changes/repository/name/from") {
        return Some(format!("{owner}/{former}"));
    }
    let former = ["user", "organization"]
        .iter()
        .find_map(|kind| text(payload, &format!("/changes/owner/from/{kind}/login")))?;
    Some(format!("{former}/{name}"))
}

/// What a GitHub App may see changed: in the repositories that are listed, else anywhere at the owner's.
fn installation(payload: &Value) -> Option<Vec<Wake>> {
    let wakes: Vec<Wake> = ["repositories", "repositories_added", "repositories_removed"]
        .iter()
        .filter_map(|list| value_at(payload, &format!("/{list}"))?.as_array())
        .flatten()
        .filter_map(|repo| text(repo, "/full_name"))
        .map(|repo| wake(repo, About::Repository))
        .collect();
    let owner = text(payload, "/installation/account/login");
    match owner {
        Some(owner) if wakes.is_empty() || wakes.len() > WAKES_MAX => {
            Some(vec![wake(owner, About::Owner)])
        }
        None if wakes.is_empty() => None,
        _ => Some(wakes),
    }
}

fn repository(payload: &Value) -> Option<&str> {
    text(payload, "/repository/full_name").filter(|name| name.contains('/'))
}

fn branch(payload: &Value, at: &str) -> Option<About> {
    text(payload, at).map(|name| About::Branch(name.to_owned()))
}

fn commit(payload: &Value, at: &str) -> Option<About> {
    text(payload, at).map(|sha| About::Commit(sha.to_owned()))
}

/// What stands at a place of a payload.
fn value_at<'a>(payload: &'a Value, place: &str) -> Option<&'a Value> {
    // What is not among them is never there.
    debug_assert!(
        place
            .split('/')
            .skip(1)
            .all(|key| pruned::KEYS.contains(&key)),
        "{place} is passed over while a payload is read"
    );
    payload.pointer(place)
}

/// The text at a place, unless it is empty or something else.
fn text<'a>(payload: &'a Value, at: &str) -> Option<&'a str> {
    value_at(payload, at)
        .and_then(Value::as_str)
        .filter(|text| !text.is_empty())
}

fn wake(repo: &str, about: About) -> Wake {
    Wake {
        repo: repo.to_owned(),
        about,
        updated: None,
    }
}

/// A wake about the issue or pull request that the payload shows, or about something else, which has no such time.
/// Checks and merge groups name pull requests without showing them.
fn dated(repo: &str, about: About, payload: &Value) -> Wake {
    let updated = match about {
        About::Number(_) => {
            time(payload, "/pull_request/updated_at").or_else(|| time(payload, "/issue/updated_at"))
        }
        _ => None,
    };
    Wake {
        updated,
        ..wake(repo, about)
    }
}

fn time(payload: &Value, at: &str) -> Option<Timestamp> {
    let moment: jiff::Timestamp = text(payload, at)?.parse().ok()?;
    let ms = u64::try_from(moment.as_millisecond()).ok()?;
    Some(Timestamp(ms))
}

/// A header's value for the log: GitHub's are single words. Whoever sends others must not write fields of their own.
pub(super) fn plain(value: Option<&str>) -> &str {
    let is_word = |text: &str| {
        (1..=64).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
    };
    match value {
        None => "none",
        Some(text) if is_word(text) => text,
        Some(_) => "odd",
    }
}

#[cfg(test)]
mod tests;
