//! What is asked about one session, and what came of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use bitflags::bitflags;
use vigil_core::evidence::PassedOver;
use vigil_core::forge::{Issue, PullRequest};
use vigil_core::landing::Landing;
use vigil_core::session::Lookup;
use vigil_core::{Fact, Timestamp};

use crate::question::Repo;

/// What is to be learned about one session.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Where to look, as the session's source worked it out. A side that cannot be asked for carries its own gap, and
    /// that gap becomes the answer.
    pub lookup: Lookup,
    /// What the policies of the chain want to know, taken together.
    pub wants: Wants,
    /// When the session began. A pull request that was opened earlier and shares no work with the checkout belongs to
    /// an earlier run. `None`: the record does not say, and an ended one that was found by its branch cannot be
    /// attributed.
    pub started: Option<Timestamp>,
    /// Where the work counts as landed, as far as record and configuration tell; the repository's default branch is
    /// GitHub's to say.
    pub landing: Landing,
    /// What was seen of the session's checkout.
    pub local: Local,
}

/// What was seen of a session's checkout that tells pull requests apart. Empty: nobody has looked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Local {
    /// By the newest commit of a pull request's head: whether the checkout and it share work of their own, a commit
    /// beyond the base. Absent: there is no checkout.
    pub shares: BTreeMap<String, Fact<bool>>,
    /// Commits of the checkout that GitHub is to compare with the head of a pull request that is not in the clone.
    pub compare: BTreeSet<Between>,
}

/// Two commits of one repository, or a branch and a commit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Between {
    /// What the other one is compared with: a commit's name, or a branch's.
    pub base: String,
    /// A commit's name.
    pub head: String,
}

impl Ask {
    /// The repositories that it looks into.
    pub fn repos(&self) -> impl Iterator<Item = Repo> {
        let names = self.lookup.repos();
        names.filter_map(|name| Repo::parse(name).ok())
    }
}

/// The facts that a chain wants; whatever is not wanted is answered with not-asked and costs nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Wants {
    /// The issue with its labels.
    pub issue: bool,
    /// The pull request of the session's work.
    pub pull_request: bool,
    /// What is wanted of them beyond that.
    pub parts: Parts,
}

bitflags! {
    /// What is asked of an issue or a pull request only when someone wants it. The names are the ones of the
    /// registry in `wit/policy.wit`.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
    #[serde(transparent)]
    pub struct Parts: u16 {
        /// `mergeability`: whether the pull request could be merged, which GitHub works out on demand.
        const MERGEABILITY = 1;
        /// `reviews`: the review decision of a pull request.
        const REVIEWS = 1 << 1;
        /// `review-list`: the latest opinion of each of its reviewers.
        const REVIEW_LIST = 1 << 2;
        /// `checks`: what the checks of its newest head amount to.
        const CHECKS = 1 << 3;
        /// `check-list`: each of those checks.
        const CHECK_LIST = 1 << 4;
        /// `runs`: runs of the newest head that wait for a person.
        const RUNS = 1 << 5;
        /// `merge-queue`: its place in the merge queue.
        const QUEUE = 1 << 6;
        /// `auto-merge`: the wish to merge it as soon as that is possible.
        const AUTO_MERGE = 1 << 7;
        /// `closing-references`: which pull requests close the issue, which issues the pull request closes.
        const REFERENCES = 1 << 8;
        /// `assignees`: who the issue is assigned to.
        const ASSIGNEES = 1 << 9;
        /// `issue-history`: who closed the issue last, and how often it was reopened.
        const HISTORY = 1 << 10;
    }
}

/// The registered names.
const NAMES: [(Parts, &str); 11] = [
    (Parts::MERGEABILITY, "mergeability"),
    (Parts::REVIEWS, "reviews"),
    (Parts::REVIEW_LIST, "review-list"),
    (Parts::CHECKS, "checks"),
    (Parts::CHECK_LIST, "check-list"),
    (Parts::RUNS, "runs"),
    (Parts::QUEUE, "merge-queue"),
    (Parts::AUTO_MERGE, "auto-merge"),
    (Parts::REFERENCES, "closing-references"),
    (Parts::ASSIGNEES, "assignees"),
    (Parts::HISTORY, "issue-history"),
];

impl fmt::Display for Parts {
    /// The registered names, `checks, runs`; nothing for nothing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = NAMES.iter().filter(|(part, _)| self.contains(*part));
        for (at, (_, name)) in names.enumerate() {
            write!(f, "{}{name}", if at == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

impl Parts {
    /// What an issue has.
    pub const OF_ISSUE: Parts = Parts::ASSIGNEES
        .union(Parts::HISTORY)
        .union(Parts::REFERENCES);

    /// What a pull request has.
    pub const OF_PULL_REQUEST: Parts =
        Parts::all().difference(Parts::ASSIGNEES.union(Parts::HISTORY));

    /// What is only asked once the first answer shows that it can matter: these lists are long, and most of the time
    /// they say what the summary says. Asked by number alone, see [`second`](crate::convert::second).
    pub const SECOND: Parts = Parts::CHECK_LIST.union(Parts::RUNS);

    /// What a first look asks for: all but [`Parts::SECOND`], and the summary of the checks, which shows whether a
    /// second look can matter.
    pub const fn first(self) -> Parts {
        match self.intersects(Parts::SECOND) {
            true => self.difference(Parts::SECOND).union(Parts::CHECKS),
            false => self,
        }
    }

    /// Lists of a pull request: for every place of a branch's list they would be fetched once, so there they are asked for
    /// by number, once it is known which pull request counts.
    pub const LISTS: Parts = Parts::REVIEW_LIST.union(Parts::REFERENCES);
}

impl Wants {
    /// Nothing at all.
    pub const NOTHING: Wants = Wants {
        issue: false,
        pull_request: false,
        parts: Parts::empty(),
    };

    /// From the registered names in `wit/policy.wit`. A part brings along what it is a part of; `closing-references`,
    /// which both have, brings both where neither is wanted otherwise. Names that are not GitHub's business are
    /// passed over.
    pub fn from_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut wants = Wants::NOTHING;
        for name in names {
            match name {
                "issue" => wants.issue = true,
                "pull-request" => wants.pull_request = true,
                name => {
                    let known = NAMES.iter().find(|(_, known)| *known == name);
                    wants.parts |= known.map_or(Parts::empty(), |(part, _)| *part);
                }
            }
        }
        wants.completed()
    }

    /// Whatever either wants.
    pub fn union(self, other: Wants) -> Wants {
        Wants {
            issue: self.issue || other.issue,
            pull_request: self.pull_request || other.pull_request,
            parts: self.parts | other.parts,
        }
    }

    /// The issue itself is needed, for its own sake or for a part of it.
    pub fn any_issue(self) -> bool {
        self.completed().issue
    }

    /// The pull request itself is needed, for its own sake or for a part of it.
    pub fn any_pull_request(self) -> bool {
        self.completed().pull_request
    }

    /// What is asked of the issue beyond itself.
    pub fn of_issue(self) -> Parts {
        self.parts & Parts::OF_ISSUE
    }

    /// What is asked of the pull request beyond itself.
    pub fn of_pull_request(self) -> Parts {
        self.parts & Parts::OF_PULL_REQUEST
    }

    /// With everything that the parts are parts of.
    fn completed(self) -> Wants {
        let shared = Parts::REFERENCES;
        let issue = self.issue || self.parts.intersects(Parts::OF_ISSUE - shared);
        let pull_request =
            self.pull_request || self.parts.intersects(Parts::OF_PULL_REQUEST - shared);
        let alone = self.parts.contains(shared) && !issue && !pull_request;
        Wants {
            issue: issue || alone,
            pull_request: pull_request || alone,
            parts: self.parts,
        }
    }
}

/// What was learned about one session: for each fact one of the four answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Absent only where the repository itself answered, bears the name that was asked for, and has issues.
    pub issue: Fact<Issue>,
    /// Absent only where the repository answered with its complete list for each branch. Detail `earlier-run`: there
    /// is one, but it is not this session's.
    pub pull_request: Fact<PullRequest>,
    /// Pull requests that might have been the session's and do not speak for it, the nearest first.
    pub passed_over: Vec<PassedOver>,
}
