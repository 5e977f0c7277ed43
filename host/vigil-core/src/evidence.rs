//! All that a decision rests on, gaps included.

use serde::{Deserialize, Serialize};

use crate::fact::{Fact, Gap};
use crate::forge::{Issue, PullRequest};
use crate::session::Session;
use crate::state::State;
use crate::time::Timestamp;

/// All that is known about one session at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Evidence {
    /// The record and the machine.
    pub session: Session,
    /// The forge's issue.
    pub issue: Fact<Issue>,
    /// The forge's pull request of this session's work.
    pub pull_request: Fact<PullRequest>,
    /// Commits on the local branch beyond the pull request's head.
    pub beyond_head: Fact<u32>,
    /// Pull requests that might have been the session's and do not speak for it, the nearest first.
    #[serde(default)]
    pub passed_over: Vec<PassedOver>,
    /// Other sessions on the same issue or branch.
    pub siblings: Vec<Sibling>,
}

impl Evidence {
    /// Every fact that was asked for and is unknown, by name. The one list that guards, `status` and `explain` share.
    pub fn gaps(&self) -> Vec<(&str, &Gap)> {
        let liveness = &self.session.liveness;
        let pull_request = self.pull_request.found();
        let issue = self.issue.found();
        let named = [
            ("issue", self.issue.gap()),
            ("assignees", issue.and_then(|issue| issue.assignees.gap())),
            (
                "issue-history",
                issue.and_then(|issue| issue.closer.gap().or(issue.reopened.gap())),
            ),
            (
                "closing-references",
                issue
                    .and_then(|issue| issue.closed_by.gap())
                    .or(pull_request.and_then(|pr| pr.closes.gap())),
            ),
            ("pull-request", self.pull_request.gap()),
            (
                "mergeability",
                pull_request.and_then(|pr| pr.mergeability.gap()),
            ),
            ("reviews", pull_request.and_then(|pr| pr.review.gap())),
            (
                "review-list",
                pull_request.and_then(|pr| pr.review_list.gap()),
            ),
            ("checks", pull_request.and_then(|pr| pr.checks.gap())),
            (
                "check-list",
                pull_request.and_then(|pr| pr.check_list.gap()),
            ),
            ("runs", pull_request.and_then(|pr| pr.runs.gap())),
            ("merge-queue", pull_request.and_then(|pr| pr.queue.gap())),
            (
                "auto-merge",
                pull_request.and_then(|pr| pr.auto_merge.gap()),
            ),
            ("landed", pull_request.and_then(|pr| pr.landed.gap())),
            ("beyond-head", self.beyond_head.gap()),
            ("agent", liveness.agent.gap()),
            ("occupant", liveness.occupant.gap()),
            ("supervisor", liveness.supervisor.gap()),
            ("log-written", liveness.log_written.gap()),
            ("worktree-written", liveness.worktree_written.gap()),
            ("dirty", liveness.dirty.gap()),
            ("unpushed", liveness.unpushed.gap()),
        ];
        let fields = self
            .session
            .gaps
            .iter()
            .map(|missing| (missing.field.as_str(), &missing.gap));
        let by_name = (self.session.facts.iter())
            .filter_map(|fact| Some((fact.name.as_str(), fact.answer.gap()?)));
        // Which of them it is stands in the gap's own words.
        let of_tasks = self.session.tasks.iter().flat_map(|task| {
            let facts = task.facts.iter().filter_map(|fact| fact.answer.gap());
            let gaps = task.heartbeat.gap().into_iter().chain(facts);
            gaps.map(|gap| ("tasks", gap))
        });
        named
            .into_iter()
            .filter_map(|(name, gap)| Some((name, gap?)))
            .chain(by_name)
            .chain(of_tasks)
            .chain(fields)
            .collect()
    }
}

/// A pull request that might have been the session's, and is not the one that speaks for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct PassedOver {
    /// Within its repository.
    pub number: u64,
    /// Why another one speaks, for people: `closed without a merge`.
    pub why: String,
}

/// Another session on the same issue or branch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Sibling {
    /// Its name within the source.
    pub id: String,
    /// Its state.
    pub state: State,
    /// It is a second record of the very same issue.
    pub duplicate: bool,
}

/// The source of a batch, as policies see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct SourceFacts {
    /// The name in the configuration.
    pub name: String,
    /// The kind of system.
    pub kind: String,
    /// The forge's host.
    pub forge_host: String,
    /// How long a session counts as at work after its last sign of life.
    pub fresh_for_ms: u64,
    /// Labels that say that the work is done. Only the host's configuration names them.
    pub final_labels: Vec<String>,
    /// A pull request that was closed without a merge ends its session even while the issue is open.
    pub closed_pr_is_final: bool,
    /// Patterns of branches on which merged work counts as landed, besides the record's base and the repository's
    /// default branch. Only the host's configuration names them.
    #[serde(default)]
    pub landing_branches: Vec<String>,
}

/// What holds for a whole batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Context {
    /// The moment of the pass.
    pub now: Timestamp,
    /// `None`: the machine does not tell.
    pub booted_at: Option<Timestamp>,
    /// Every window of silence starts anew here: the latest resume from a suspend, jump of the clock or hold-up of
    /// vigil itself. `None`: no such break is known.
    pub awake_since: Option<Timestamp>,
    /// The source that owns the sessions.
    pub source: SourceFacts,
}
