//! What a repository holds under its numbers: issues and pull requests, with what happened to them.

use std::cell::Cell;

/// An issue or a pull request: they share numbers, labels, comments and more.
///
/// Wherever a login stands, one that ends in `[bot]` is a bot's, as REST writes it; GraphQL shows it without the ending
/// and with the type `Bot`.
#[derive(Clone, Debug)]
pub struct Item {
    /// Within its repository.
    pub number: u64,
    /// For people.
    pub title: String,
    /// Login.
    pub author: String,
    /// Names, in the order in which they were added.
    pub labels: Vec<String>,
    /// Logins.
    pub assignees: Vec<String>,
    /// In order.
    pub comments: Vec<Comment>,
    /// Milliseconds since the epoch.
    pub created_ms: u64,
    /// Moves with state, labels, assignees, comments, reviews and pushes; not with checks, mergeability, the merge
    /// queue or the base branch, as on GitHub.
    pub updated_ms: u64,
    /// `None`: open.
    pub closed_ms: Option<u64>,
    /// Login of who closed it; `None`: open, or their account is gone.
    pub closed_by: Option<String>,
    /// What only one of the two kinds has.
    pub kind: Kind,
}

impl Item {
    /// What only a pull request has.
    pub fn pull(&self) -> Option<&Pull> {
        match &self.kind {
            Kind::Issue(_) => None,
            Kind::Pull(pull) => Some(pull),
        }
    }

    /// What only an issue has.
    pub fn issue(&self) -> Option<&Issue> {
        match &self.kind {
            Kind::Issue(issue) => Some(issue),
            Kind::Pull(_) => None,
        }
    }

    /// `OPEN`, `CLOSED` or, for pull requests, `MERGED`.
    pub fn state(&self) -> &'static str {
        match (self.closed_ms, self.pull().and_then(|pull| pull.merged_ms)) {
            (_, Some(_)) => "MERGED",
            (Some(_), None) => "CLOSED",
            (None, None) => "OPEN",
        }
    }
}

/// What only one of the two kinds has.
#[derive(Clone, Debug)]
pub enum Kind {
    /// An issue.
    Issue(Issue),
    /// A pull request.
    Pull(Box<Pull>),
}

/// What only an issue has.
#[derive(Clone, Debug, Default)]
pub struct Issue {
    /// Lower case, as REST spells it: `completed`, `not_planned`, `duplicate`, `reopened`. Another word is served as
    /// it is: GitHub may learn new ones, and clients have to live with that.
    pub reason: Option<String>,
    /// When it was closed and opened again, oldest first.
    pub history: Vec<Turn>,
}

/// A change of an issue's state, as its timeline tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Closed, or opened again.
    pub closed: bool,
    /// Login of who did it; `None`: their account is gone.
    pub actor: Option<String>,
    /// What closed it; `None`: a person or a program, by hand.
    pub closer: Option<Closer>,
    /// Milliseconds since the epoch.
    pub at_ms: u64,
}

/// What closes an issue by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Closer {
    /// A merged pull request of the same repository, by its number.
    Pull(u64),
    /// A commit that reached the default branch, by its hash.
    Commit(String),
}

/// What only a pull request has.
#[derive(Clone, Debug)]
pub struct Pull {
    /// Not meant to be merged yet.
    pub draft: bool,
    /// `None`: not merged.
    pub merged_ms: Option<u64>,
    /// Branch at the head.
    pub head_ref: String,
    /// Newest commit of the head. Its checks are the repository's, see [`Repo::commit`](crate::Repo::commit).
    pub head_sha: String,
    /// Login of the owner of the head's repository; `None`: the fork is gone.
    pub head_owner: Option<String>,
    /// Branch that it goes into.
    pub base_ref: String,
    /// What its merge made on the base; `None`: not merged.
    pub merge_commit: Option<String>,
    /// Upper case: `MERGEABLE`, `CONFLICTING`, `UNKNOWN`.
    pub mergeable: String,
    /// Upper case: `CLEAN`, `DIRTY`, `BLOCKED`, `BEHIND`, `UNSTABLE`, ...
    pub merge_state: String,
    /// Reads that still answer `UNKNOWN`, because the answer is only worked out when somebody asks.
    pub mergeability_pending_reads: Cell<u32>,
    /// Upper case: `APPROVED`, `CHANGES_REQUESTED`, `REVIEW_REQUIRED`; `None`: no rule asks for reviews.
    pub review_decision: Option<String>,
    /// Submitted reviews, oldest first.
    pub reviews: Vec<Review>,
    /// Numbers of the issues that a merge closes.
    pub closes: Vec<u64>,
    /// Its place in the merge queue; `None`: not queued.
    pub queued: Option<Queued>,
    /// GitHub merges it once everything is met; `None`: nobody asked for that.
    pub auto_merge: Option<AutoMerge>,
}

impl Pull {
    /// The latest opinion of each reviewer, oldest first: a comment takes none back, a dismissal stays visible.
    pub fn opinions(&self) -> Vec<&Review> {
        let opinionated = |review: &&Review| review.state != "COMMENTED";
        let mut latest: Vec<&Review> = Vec::new();
        for review in self.reviews.iter().filter(opinionated) {
            latest.retain(|earlier| earlier.author != review.author);
            latest.push(review);
        }
        latest
    }
}

/// A submitted review.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Review {
    /// Unique in the repository.
    pub id: u64,
    /// Login.
    pub author: String,
    /// Upper case: `APPROVED`, `CHANGES_REQUESTED`, `COMMENTED`, `DISMISSED`.
    pub state: String,
    /// The head's newest commit when it was written.
    pub commit: String,
    /// Milliseconds since the epoch. A dismissal does not move it.
    pub submitted_ms: u64,
}

/// A place in the merge queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queued {
    /// From 1.
    pub position: u32,
    /// Upper case: `QUEUED`, `AWAITING_CHECKS`, `MERGEABLE`, `UNMERGEABLE`, `LOCKED`.
    pub state: String,
    /// Milliseconds since the epoch.
    pub since_ms: u64,
}

/// A merge that waits for its conditions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AutoMerge {
    /// Upper case: `MERGE`, `REBASE`, `SQUASH`.
    pub method: String,
    /// Login.
    pub enabled_by: String,
    /// Milliseconds since the epoch.
    pub enabled_ms: u64,
}

/// A comment on an issue or pull request.
#[derive(Clone, Debug)]
pub struct Comment {
    /// Unique in the repository.
    pub id: u64,
    /// Login.
    pub author: String,
    /// As it was posted.
    pub body: String,
    /// Milliseconds since the epoch.
    pub created_ms: u64,
}

/// Whether a login is a bot's, and how GraphQL writes it.
pub(crate) fn bot(login: &str) -> Option<&str> {
    login.strip_suffix("[bot]")
}
