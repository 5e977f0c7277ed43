//! What exists: repositories with their issues and pull requests.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Everything that can be asked for. Cloned for a lagging replica.
#[derive(Clone, Debug, Default)]
pub(crate) struct World {
    pub(crate) repos: Vec<Repo>,
    /// Present and former names, lower case: GitHub compares names without case and redirects from former ones.
    pub(crate) names: HashMap<String, usize>,
}

impl World {
    /// The repository that bears `owner/name` or once did, unless it was deleted.
    pub(crate) fn repo(&self, owner: &str, name: &str) -> Option<&Repo> {
        let key = format!("{owner}/{name}").to_lowercase();
        let repo = self.repos.get(*self.names.get(&key)?)?;
        (!repo.deleted).then_some(repo)
    }

    /// The repository of that id, unless it was deleted.
    pub(crate) fn repo_by_id(&self, id: u64) -> Option<&Repo> {
        let repo = self.repos.get(usize::try_from(id).ok()?.checked_sub(1)?)?;
        (!repo.deleted).then_some(repo)
    }
}

/// A repository.
#[derive(Clone, Debug)]
pub struct Repo {
    /// Stable over renames, from 1.
    pub id: u64,
    /// Login of the owner.
    pub owner: String,
    /// Present name, without the owner.
    pub name: String,
    /// Only tokens that were granted it see it.
    pub private: bool,
    /// Read-only.
    pub archived: bool,
    /// Issues are switched on.
    pub has_issues: bool,
    /// Gone: looks as if it never was.
    pub deleted: bool,
    /// Milliseconds since the epoch.
    pub created_ms: u64,
    /// Of the repository itself, not of its issues.
    pub updated_ms: u64,
    /// The last push to any branch.
    pub pushed_ms: u64,
    /// Issues and pull requests in their shared number space.
    pub items: BTreeMap<u64, Item>,
    /// Numbers of issues that were deleted.
    pub deleted_issues: BTreeSet<u64>,
    /// Numbers of pull requests by the branch at their head, forks included.
    pub(crate) heads: HashMap<String, Vec<u64>>,
}

impl Repo {
    /// `owner/name`.
    pub fn name_with_owner(&self) -> String {
        format!("{}/{}", self.owner, self.name)
    }

    /// Whether `owner` and `name` are its present ones.
    pub(crate) fn is_called(&self, owner: &str, name: &str) -> bool {
        self.owner.eq_ignore_ascii_case(owner) && self.name.eq_ignore_ascii_case(name)
    }

    /// The issue of that number; a pull request is none.
    pub(crate) fn issue(&self, number: u64) -> Option<&Item> {
        self.items
            .get(&number)
            .filter(|item| item.pull().is_none() && self.has_issues)
    }

    /// The pull request of that number.
    pub(crate) fn pull(&self, number: u64) -> Option<&Item> {
        self.items.get(&number).filter(|item| item.pull().is_some())
    }
}

/// An issue or a pull request: they share numbers, labels, comments and more.
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
    /// Moves with state, labels, comments and pushes; not with checks or mergeability, as on GitHub.
    pub updated_ms: u64,
    /// `None`: open.
    pub closed_ms: Option<u64>,
    /// Login of who closed it.
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
    /// Newest commit of the head.
    pub head_sha: String,
    /// Login of the owner of the head's repository; `None`: the fork is gone.
    pub head_owner: Option<String>,
    /// Branch that it goes into.
    pub base_ref: String,
    /// Upper case: `MERGEABLE`, `CONFLICTING`, `UNKNOWN`.
    pub mergeable: String,
    /// Upper case: `CLEAN`, `DIRTY`, `BLOCKED`, `BEHIND`, `UNSTABLE`, ...
    pub merge_state: String,
    /// Reads that still answer `UNKNOWN`, because the answer is only worked out when somebody asks.
    pub mergeability_pending_reads: Cell<u32>,
    /// Upper case: `APPROVED`, `CHANGES_REQUESTED`, `REVIEW_REQUIRED`; `None`: no rule asks for reviews.
    pub review_decision: Option<String>,
    /// Upper case: `SUCCESS`, `PENDING`, `FAILURE`, `ERROR`, `EXPECTED`; `None`: the head has no checks.
    pub rollup: Option<String>,
    /// The single checks behind the rollup.
    pub checks: Vec<Check>,
    /// Numbers of the issues that a merge closes.
    pub closes: Vec<u64>,
}

/// One check of a pull request's head.
#[derive(Clone, Debug)]
pub struct Check {
    /// For people.
    pub name: String,
    /// Upper case: a conclusion such as `SUCCESS` or `ACTION_REQUIRED`; `None`: still in progress.
    pub conclusion: Option<String>,
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

/// The key under which a repository is found.
pub(crate) fn name_key(name_with_owner: &str) -> String {
    name_with_owner.to_lowercase()
}

/// `owner` and `name` of `owner/name`. Without a slash the whole is the name of a repository that nobody owns.
pub(crate) fn split_name(name_with_owner: &str) -> (&str, &str) {
    name_with_owner
        .split_once('/')
        .unwrap_or(("", name_with_owner))
}
