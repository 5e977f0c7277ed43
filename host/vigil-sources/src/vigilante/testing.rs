//! Evidence, records and a world for the tests of the writing half.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use std::{fmt, io};

use vigil_core::fact::Fact;
use vigil_core::forge::{Issue, PullRequest, PullRequestState};
use vigil_core::session::IssueRef;
use vigil_core::session::{
    Attempts, Liveness, Lookup, OwnerEffects, PullRequestRef, Revision, Session, Times,
};
use vigil_core::{Evidence, SessionId, State, Timestamp};

use crate::World;

/// 2026-03-26T19:00:00Z, the evaluation clock of the seed scenario.
pub(crate) const NOW: Timestamp = Timestamp(1_774_551_600_000);
/// [`NOW`] as Vigilante writes it.
pub(crate) const NOW_TEXT: &str = "\"2026-03-26T19:00:00Z\"";

/// A record as Vigilante writes it, with keys and spellings that only it knows.
pub(crate) fn record(issue: u64) -> String {
    format!(
        r#"  {{
    "repo_path": "/srv/repo",
    "repo": "owner/repo",
    "provider": "codex",
    "issue_number": {issue},
    "issue_title": "caf\u00e9 \u003cb\u003e",
    "branch": "vigilante/issue-{issue}-t",
    "worktree_path": "/srv/repo/.worktrees/vigilante/issue-{issue}",
    "status": "running",
    "blocked_reason": {{}},
    "from_the_future": {{"n": 1.0e2, "list": [1,2 ,3]}},
    "process_id": 999999,
    "started_at": "2026-03-26T17:00:00Z",
    "last_heartbeat_at": "2026-03-26T17:11:08Z",
    "updated_at": "2026-03-26T17:11:08Z",
    "last_error": "exit status 1",
    "stale_auto_restart_attempts": 2
  }}"#
    )
}

/// `sessions.json` with these records, as Vigilante lays it out.
pub(crate) fn file(records: &[String]) -> String {
    match records {
        [] => "[]\n".to_owned(),
        records => format!("[\n{}\n]\n", records.join(",\n")),
    }
}

/// An open issue.
pub(crate) fn issue(number: u64, open: bool) -> Fact<Issue> {
    Fact::Found(Issue {
        open,
        reason: (!open).then(|| "completed".to_owned()),
        closed: (!open).then_some(NOW.before(Duration::from_secs(3600))),
        ..Issue::bare(number, NOW)
    })
}

/// Pull request #319, merged at 17:39:35 where it is.
pub(crate) fn pull_request(state: PullRequestState) -> PullRequest {
    let ended = Timestamp(1_774_546_775_250);
    PullRequest {
        state,
        merged: (state == PullRequestState::Merged).then_some(ended),
        closed: (state != PullRequestState::Open).then_some(ended),
        url: "https://github.com/owner/repo/pull/319".to_owned(),
        head_ref: "vigilante/issue-299-t".to_owned(),
        base_ref: "main".to_owned(),
        head_sha: "c0ffee".to_owned(),
        head_owner: Some("owner".to_owned()),
        landed: match state {
            PullRequestState::Merged => Fact::Found(true),
            _ => Fact::absent_at(NOW),
        },
        ..PullRequest::bare(319, NOW)
    }
}

/// Evidence of session `owner/repo#<number>` at `revision`: issue open, no pull request.
pub(crate) fn evidence(number: u64, revision: Revision) -> Evidence {
    let repo = "owner/repo".to_owned();
    let branch = format!("vigilante/issue-{number}-t");
    Evidence {
        session: Session {
            id: SessionId::new("vigilante", format!("owner/repo#{number}")),
            revision,
            tracker: "github".to_owned(),
            repo: Some(repo.clone()),
            issue: Some(number),
            branch: Some(branch.clone()),
            base: Some("main".to_owned()),
            pull_request: None,
            state: State::Running,
            native_state: "running".to_owned(),
            times: Times::default(),
            liveness: Liveness::default(),
            attempts: Attempts::default(),
            tasks: Vec::new(),
            gaps: Vec::new(),
            readable: true,
            facts: Vec::new(),
            owner_says: None,
            owner_words: None,
            lookup: Lookup {
                issue: Ok(Some(IssueRef {
                    repo: repo.clone(),
                    number,
                })),
                pull_request: Ok(Some(PullRequestRef::by_branch(repo, branch, "owner"))),
            },
            owner_effects: OwnerEffects::default(),
        },
        issue: issue(number, true),
        pull_request: Fact::absent_at(NOW),
        beyond_head: Fact::NotAsked,
        passed_over: Vec::new(),
        siblings: Vec::new(),
    }
}

/// What a test does at a step of a write: it sees the step's name and how often it came before.
type Hook = Box<dyn FnMut(&'static str, usize) -> io::Result<()> + Send>;

/// A world whose clock moves only when somebody waits.
pub(crate) struct TestWorld {
    now: AtomicU64,
    booted: Option<Timestamp>,
    awake: Option<Timestamp>,
    steps: Mutex<Vec<&'static str>>,
    hook: Mutex<Hook>,
}

impl fmt::Debug for TestWorld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestWorld").finish_non_exhaustive()
    }
}

impl TestWorld {
    /// At [`NOW`], where nothing happens.
    pub(crate) fn new() -> Self {
        TestWorld::with(|_, _| Ok(()))
    }

    /// At [`NOW`], with `hook` called before each step; waiting is a step named `pause`.
    pub(crate) fn with(
        hook: impl FnMut(&'static str, usize) -> io::Result<()> + Send + 'static,
    ) -> Self {
        TestWorld {
            now: AtomicU64::new(NOW.as_millis()),
            booted: None,
            awake: None,
            steps: Mutex::new(Vec::new()),
            hook: Mutex::new(Box::new(hook)),
        }
    }

    /// The same, booted and last woken up at these moments.
    pub(crate) fn up_since(self, booted: Option<Timestamp>, awake: Option<Timestamp>) -> Self {
        TestWorld {
            booted,
            awake,
            ..self
        }
    }

    /// The steps so far, waits left out.
    pub(crate) fn steps(&self) -> Vec<&'static str> {
        let steps = self.steps.lock().unwrap();
        steps.iter().copied().filter(|s| *s != "pause").collect()
    }

    fn enter(&self, name: &'static str) -> io::Result<()> {
        let seen = {
            let mut steps = self.steps.lock().unwrap();
            let seen = steps.iter().filter(|step| **step == name).count();
            steps.push(name);
            seen
        };
        (self.hook.lock().unwrap())(name, seen)
    }
}

impl World for TestWorld {
    fn now(&self) -> Timestamp {
        Timestamp(self.now.load(Ordering::SeqCst))
    }

    fn pause(&self, span: Duration) {
        self.now
            .fetch_add(vigil_core::time::millis(span), Ordering::SeqCst);
        let _ = self.enter("pause");
    }

    fn booted_at(&self) -> Option<Timestamp> {
        self.booted
    }

    fn awake_since(&self) -> Option<Timestamp> {
        self.awake
    }

    fn step(&self, name: &'static str) -> io::Result<()> {
        self.enter(name)
    }
}
