//! Who is in a simulation: sessions as Vigilante recorded them, and what is really there behind each record.

use vigil_core::Timestamp;

use crate::body::{Body, minutes_ago};
use crate::rng::Rng;
use crate::text::Raw;

/// The repositories that sessions may work on.
pub const REPOS: [&str; 3] = ["acme/app", "acme/lib", "Zed-Co/tool.rs"];

/// One session.
#[derive(Clone, Debug)]
pub struct Member {
    /// `owner/name`.
    pub repo: String,
    /// The issue's number.
    pub issue: u64,
    /// The branch that the record names.
    pub branch: String,
    /// What the branch may be called in the worktree, where it was renamed.
    pub other_branch: String,
    /// The pull request's number, whether or not there is one.
    pub pull: u64,
    /// The number of the pull request of the renamed branch, whether or not there is one.
    pub other_pull: u64,
    /// Whose repository holds the branches.
    pub head_owner: String,
    /// The record as its owner first wrote it.
    pub record: Raw,
    /// Nothing about the record keeps it from being judged and written.
    pub plain: bool,
    /// What is really so.
    pub body: Body,
}

impl Member {
    /// Its name.
    pub fn id(&self) -> String {
        format!("{}#{}", self.repo, self.issue)
    }

    /// Number `index` of a cast, at `now`.
    pub fn new(index: u64, now: Timestamp, rng: &mut Rng) -> Self {
        let repo = (*rng.pick(&REPOS)).to_owned();
        let issue = 100 + index;
        let branch = match rng.below(8) {
            0 => "vigilante/shared".to_owned(),
            1 => format!("vigilante/issue-{issue}-caf\u{e9}"),
            _ => format!("vigilante/issue-{issue}"),
        };
        let is_fork = rng.chance(10);
        let owner = repo.split('/').next().unwrap_or_default();
        let head_owner = if is_fork { "forker" } else { owner }.to_owned();
        let other_branch = format!("feature/{issue}-renamed");
        let mut member = Member {
            pull: 500 + index,
            other_pull: 700 + index,
            head_owner,
            record: Raw::default(),
            plain: true,
            body: Body::new(now, &other_branch, rng),
            repo,
            issue,
            branch,
            other_branch,
        };
        member.record = record(&mut member.clone(), is_fork, now, rng);
        // The record's own oddities decide whether anything may be expected of it.
        member.plain = is_plain(&member.record);
        member
    }
}

/// `at` as Vigilante writes it, quotes included.
pub fn moment(at: Timestamp) -> String {
    let at = jiff::Timestamp::from_millisecond(at.0 as i64).unwrap_or_default();
    format!("\"{}\"", at.strftime("%Y-%m-%dT%H:%M:%SZ"))
}

fn record(member: &mut Member, is_fork: bool, now: Timestamp, rng: &mut Rng) -> Raw {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let mut raw = Raw::default();
    raw.set("repo_path", "\"/srv/repo\"");
    raw.set("repo", quoted(&member.repo));
    raw.set("issue_number", member.issue.to_string());
    raw.set("issue_title", r#""caf\u00e9 \u003cb\u003e""#);
    raw.set("branch", quoted(&member.branch));
    raw.set(
        "worktree_path",
        quoted(&format!("/srv/repo/wt/{}", member.issue)),
    );
    let status = *rng.pick(&[
        "running",
        "running",
        "running",
        "running",
        "running",
        "resuming",
        "blocked",
        "success",
        "success",
        "failed",
        "incomplete",
        "closed",
    ]);
    raw.set("status", quoted(status));
    raw.set(
        "from_the_future",
        r#"{"n": 1.0e2,  "list": [1,2 ,3], "k\u0041": null}"#,
    );
    raw.set("process_id", "999999");
    raw.set("stale_auto_restart_attempts", "2");
    let started = minutes_ago(now, rng, 600);
    raw.set("started_at", moment(started));
    if rng.chance(70) {
        raw.set("last_heartbeat_at", moment(Timestamp(started.0 + 60_000)));
    }
    raw.set("updated_at", moment(Timestamp(started.0 + 90_000)));
    if status == "success" {
        let state = *rng.pick(&["OPEN", "OPEN", "MERGED", ""]);
        raw.set("pull_request_number", member.pull.to_string());
        raw.set("pull_request_state", quoted(state));
        if rng.chance(40) {
            raw.set("pull_request_maintenance_in_flight", "true");
        }
    } else if rng.chance(25) {
        raw.set("pull_request_number", member.pull.to_string());
    }
    if status == "blocked" || (status == "failed" && rng.chance(30)) {
        let stage = *rng.pick(&["issue_execution", "pr_maintenance"]);
        raw.set("blocked_stage", quoted(stage));
        raw.set("blocked_reason", r#"{"kind":"x",  "more": 1e0}"#);
    }
    if is_fork {
        raw.set("fork_mode", "true");
        raw.set("fork_owner", "\"forker\"");
    }
    raw.set("last_error", r#""exit status 1\/2""#);
    spoil(&mut raw, rng);
    raw
}

/// What is wrong with some records.
fn spoil(raw: &mut Raw, rng: &mut Rng) {
    match rng.below(24) {
        0 => raw.remove("branch"),
        1 => raw.set("status", "\"teleporting\""),
        2 => raw.set("last_heartbeat_at", "\"yesterday, or so\""),
        3 => raw.set("started_at", "\"2099-01-01T00:00:00Z\""),
        4 => raw.set("issue_backend", "\"linear\""),
        5 => raw
            .fields
            .push(("last_error".to_owned(), "\"again\"".to_owned())),
        6 => raw.remove("issue_number"),
        7 => raw.set("branch", "\"no..branch\""),
        8 => raw.set("pull_request_number", "\"many\""),
        9 => raw.set("repo", "\"not a repository\""),
        10 => raw.remove("started_at"),
        _ => {}
    }
}

fn is_plain(raw: &Raw) -> bool {
    let keys: std::collections::BTreeSet<&str> =
        raw.fields.iter().map(|(key, _)| key.as_str()).collect();
    let text = |key| raw.text(key);
    keys.len() == raw.fields.len()
        && keys.contains("issue_number")
        && !text("branch").is_empty()
        && !text("branch").contains("..")
        && text("status") != "teleporting"
        && !text("last_heartbeat_at").contains("yesterday")
        && !text("started_at").is_empty()
        && !text("started_at").starts_with("2099")
        && text("issue_backend").is_empty()
        && text("repo").contains('/')
        && raw.get("pull_request_number") != Some("\"many\"")
}
