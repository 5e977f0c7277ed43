//! What is asked about one session, and what came of it.

use vigil_core::forge::{Issue, PullRequest};
use vigil_core::session::Lookup;
use vigil_core::{Fact, Timestamp};

/// What is to be learned about one session.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Where to look, as the session's source worked it out. A side that cannot be asked for carries its own gap, and
    /// that gap becomes the answer.
    pub lookup: Lookup,
    /// What the policies of the chain want to know, taken together.
    pub wants: Wants,
    /// When the session began. A pull request that was found by its branch and ended earlier belongs to an earlier
    /// run. `None`: the record does not say, and an ended one cannot be attributed.
    pub started: Option<Timestamp>,
}

/// The facts that a chain wants; whatever is `false` is answered with not-asked and costs nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wants {
    /// The issue with its labels.
    pub issue: bool,
    /// The pull request of the session's work.
    pub pull_request: bool,
    /// Whether it could be merged. Part of the pull request, which is then asked for as well.
    pub mergeability: bool,
    /// The review decision; part of the pull request.
    pub reviews: bool,
    /// The state of the checks on its head; part of the pull request.
    pub checks: bool,
}

impl Wants {
    /// Nothing at all.
    pub const NOTHING: Wants = Wants {
        issue: false,
        pull_request: false,
        mergeability: false,
        reviews: false,
        checks: false,
    };

    /// From the registered names in `wit/policy.wit`. Names that are not GitHub's business are passed over.
    pub fn from_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut wants = Wants::NOTHING;
        for name in names {
            match name {
                "issue" => wants.issue = true,
                "pull-request" => wants.pull_request = true,
                "mergeability" => wants.mergeability = true,
                "reviews" => wants.reviews = true,
                "checks" => wants.checks = true,
                _ => {}
            }
        }
        wants
    }

    /// The pull request itself is needed, for its own sake or for a part of it.
    pub fn any_pull_request(self) -> bool {
        self.pull_request || self.mergeability || self.reviews || self.checks
    }

    /// The parts of the pull request that are asked for only when someone wants them.
    pub fn parts(self) -> Parts {
        Parts {
            mergeability: self.mergeability,
            reviews: self.reviews,
            checks: self.checks,
        }
    }
}

/// The parts of a pull request that are asked for only when someone wants them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Parts {
    /// Whether it could be merged, which GitHub works out on demand.
    pub mergeability: bool,
    /// The review decision.
    pub reviews: bool,
    /// The state of the checks on its head.
    pub checks: bool,
}

impl Parts {
    /// Whatever either wants.
    pub fn union(self, other: Parts) -> Parts {
        Parts {
            mergeability: self.mergeability || other.mergeability,
            reviews: self.reviews || other.reviews,
            checks: self.checks || other.checks,
        }
    }
}

/// What was learned about one session: for each fact one of the four answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Absent only where the repository itself answered, bears the name that was asked for, and has issues.
    pub issue: Fact<Issue>,
    /// Absent only where the repository answered with its complete list for the branch. Detail `earlier-run`: there
    /// is one, but it ended before the session began.
    pub pull_request: Fact<PullRequest>,
}
