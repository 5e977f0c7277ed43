//! What there is to tell by webhook.

use serde_json::Value;

/// Something that GitHub tells by webhook. Repositories are `owner/name`, actions in GitHub's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HookEvent {
    /// The hook was made.
    Ping,
    /// `issues`: `opened`, `closed`, `reopened`, `labeled`, `assigned`, `transferred`, ...; the last one, by its former
    /// place, says where it went.
    Issue {
        /// Where.
        repo: String,
        /// Which.
        number: u64,
        /// What happened.
        action: String,
    },
    /// `pull_request`: `opened`, `synchronize`, `closed`, `enqueued`, `dequeued`, `auto_merge_enabled`, ...
    Pull {
        /// Where.
        repo: String,
        /// Which.
        number: u64,
        /// What happened.
        action: String,
    },
    /// `pull_request_review` of the latest review: `submitted`, `dismissed`.
    Review {
        /// Where.
        repo: String,
        /// The pull request's.
        number: u64,
        /// What happened.
        action: String,
    },
    /// `issue_comment` of the latest comment: `created`.
    Comment {
        /// Where.
        repo: String,
        /// The issue's or pull request's.
        number: u64,
        /// What happened.
        action: String,
    },
    /// `check_run` of a check at a pull request's head: `created`, `completed`.
    CheckRun {
        /// Where.
        repo: String,
        /// The pull request's.
        number: u64,
        /// The check's.
        name: String,
        /// What happened.
        action: String,
    },
    /// `check_suite` of an app at a pull request's head: `completed`.
    CheckSuite {
        /// Where.
        repo: String,
        /// The pull request's.
        number: u64,
        /// The app's short name.
        app: String,
        /// What happened.
        action: String,
    },
    /// `status` of a commit status at a pull request's head. Names no pull request.
    Status {
        /// Where.
        repo: String,
        /// The pull request's.
        number: u64,
        /// The status's name.
        context: String,
    },
    /// `workflow_run` at a pull request's head: `requested`, `in_progress`, `completed`.
    WorkflowRun {
        /// Where.
        repo: String,
        /// The pull request's.
        number: u64,
        /// The workflow's name.
        workflow: String,
        /// What happened.
        action: String,
    },
    /// `merge_group` that a pull request is in: `checks_requested`, `destroyed`.
    MergeGroup {
        /// Where.
        repo: String,
        /// The pull request's.
        number: u64,
        /// The group's own commit, which is not the pull request's.
        sha: String,
        /// What happened.
        action: String,
    },
    /// `push` to a branch.
    Push {
        /// Where.
        repo: String,
        /// Which, without `refs/heads/`.
        branch: String,
        /// Its commit before.
        before: String,
        /// Its commit now.
        after: String,
    },
    /// `repository`: `renamed`, `transferred`, `privatized`, `archived`, ...; its former name is told where it has one.
    Repository {
        /// Its present name.
        repo: String,
        /// What happened.
        action: String,
    },
    /// An event that nobody here knows.
    Unknown {
        /// As it stands in the header.
        name: String,
        /// Where.
        repo: String,
    },
    /// Any payload under any name, to the letter.
    Raw {
        /// As it stands in the header.
        name: String,
        /// The body.
        payload: Value,
    },
}
