//! A Vigilante home on disk, a world, and the way from its records to proposals, all through the public interface.
#![allow(
    dead_code,
    reason = "each test file that includes this uses a part of it"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use vigil_core::forge::{Issue, PullRequest, PullRequestState};
use vigil_core::{Evidence, Fact, State, Timestamp};
use vigil_sources::vigilante::{Settings, Vigilante};
use vigil_sources::{Change, Proposal, Source, Target, World};

/// 2026-03-26T19:00:00Z.
pub(crate) const NOW: Timestamp = Timestamp(1_774_551_600_000);

/// What happens at each step of a write: it sees the step's name and its number, from 0.
pub(crate) type Hook = Box<dyn Fn(&'static str, usize) -> std::io::Result<()> + Send + Sync>;

/// A clock that moves only when somebody waits.
pub(crate) struct TestWorld {
    now: AtomicU64,
    step: AtomicUsize,
    hook: Hook,
}

impl TestWorld {
    pub(crate) fn new() -> Self {
        TestWorld::with(|_, _| Ok(()))
    }

    pub(crate) fn with(
        hook: impl Fn(&'static str, usize) -> std::io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        TestWorld {
            now: AtomicU64::new(NOW.as_millis()),
            step: AtomicUsize::new(0),
            hook: Box::new(hook),
        }
    }

    pub(crate) fn at(self, now: Timestamp) -> Self {
        self.now.store(now.as_millis(), Ordering::SeqCst);
        self
    }
}

impl World for TestWorld {
    fn now(&self) -> Timestamp {
        Timestamp(self.now.load(Ordering::SeqCst))
    }

    fn pause(&self, span: Duration) {
        let span = vigil_core::time::millis(span);
        self.now.fetch_add(span, Ordering::SeqCst);
    }

    fn booted_at(&self) -> Option<Timestamp> {
        None
    }

    fn step(&self, name: &'static str) -> std::io::Result<()> {
        (self.hook)(name, self.step.fetch_add(1, Ordering::SeqCst))
    }
}

/// The record of a stale session #`issue`, with fields that only Vigilante knows.
pub(crate) fn record(issue: u64) -> String {
    format!(
        r#"  {{
    "repo_path": "/srv/repo",
    "repo": "owner/repo",
    "provider": "codex",
    "issue_number": {issue},
    "issue_title": "caf\u00e9",
    "branch": "vigilante/issue-{issue}",
    "worktree_path": "/srv/repo/.worktrees/vigilante/issue-{issue}",
    "status": "running",
    "blocked_reason": {{}},
    "from_the_future": {{"n": 1.0e2, "list": [1,2 ,3]}},
    "process_id": 999999,
    "started_at": "2026-03-26T17:00:00Z",
    "last_heartbeat_at": "2026-03-26T17:11:08Z",
    "updated_at": "2026-03-26T17:11:08Z"
  }}"#
    )
}

/// `sessions.json` with stale sessions #1 to #`count`.
pub(crate) fn sessions(count: u64) -> String {
    let records: Vec<String> = (1..=count).map(record).collect();
    format!("[\n{}\n]\n", records.join(",\n"))
}

/// The source over `<root>/home`, with its state in `<root>/state`.
pub(crate) fn source(root: &Path) -> Vigilante {
    let (home, state) = (root.join("home"), root.join("state"));
    Vigilante::new("vigilante", home, state, Settings::default())
}

/// Where the source's file is.
pub(crate) fn file(root: &Path) -> PathBuf {
    root.join("home/sessions.json")
}

/// A home with `count` stale sessions below `root`.
pub(crate) fn home(root: &Path, count: u64) {
    fs::create_dir_all(root.join("home/logs")).unwrap();
    fs::write(file(root), sessions(count)).unwrap();
}

/// Proposals that every running session of the source succeeded, since its pull request was merged.
pub(crate) fn proposals(source: &dyn Source, world: &dyn World) -> Vec<Proposal> {
    let sessions = source.load(world).unwrap();
    let evidence: Vec<Evidence> = sessions
        .into_iter()
        .filter(|session| session.state == State::Running)
        .map(|session| Evidence {
            issue: Fact::Found(Issue {
                open: false,
                closed: Some(NOW),
                ..Issue::bare(session.issue.unwrap(), NOW)
            }),
            pull_request: Fact::Found(PullRequest {
                state: PullRequestState::Merged,
                merged: Some(NOW),
                closed: Some(NOW),
                url: "https://github.com/owner/repo/pull/319".to_owned(),
                head_ref: session.branch.clone().unwrap(),
                base_ref: "main".to_owned(),
                head_sha: "c0ffee".to_owned(),
                head_owner: Some("owner".to_owned()),
                ..PullRequest::bare(319, NOW)
            }),
            session,
            beyond_head: Fact::NotAsked,
            passed_over: Vec::new(),
            siblings: Vec::new(),
        })
        .collect();
    let changes: Vec<Change<'_>> = evidence
        .iter()
        .map(|evidence| Change {
            evidence,
            target: Target::State(State::Succeeded),
            at: NOW,
            rule: "merged-pr",
            reason: "its pull request was merged",
        })
        .collect();
    source
        .propose(&changes, world)
        .into_iter()
        .collect::<Result<_, _>>()
        .unwrap()
}

/// Names in the home that are none of Vigilante's.
pub(crate) fn leftovers(root: &Path) -> Vec<String> {
    let known = ["logs", "scan.lock", "sessions.json", "watchlist.json"];
    fs::read_dir(root.join("home"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !known.contains(&name.as_str()))
        .collect()
}
