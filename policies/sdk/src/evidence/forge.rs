//! What the forge says: issues, pull requests and their parts.

use super::{NOW, absent, ago};
use crate::time::mins;
use crate::{
    Actor, ActorFact, AutoMerge, AutoMergeFact, Check, CheckListFact, ChecksFact, CountFact,
    FlagFact, HeldRun, HeldRunsFact, Issue, Mergeability, MergeabilityFact, Millis, NamesFact,
    PullRequest, PullRequestState, QueueEntry, QueueFact, Reference, ReferencesFact, Review,
    ReviewFact, ReviewListFact,
};

/// The repository in which everything takes place.
const REPO: &str = "acme/app";

/// The newest commit of every pull request.
const HEAD: &str = "5e1f0d0c9b8a79685746352413021f0e9d8c7b6a";

/// The commit that every merge made.
const MERGE: &str = "9c8b7a69584736251403f2e1d0c9b8a796857463";

// ---- The issue -------------------------------------------------------------------------------------------------------

/// Issue 299, open, without labels; nothing else was asked about it.
#[must_use]
pub fn open() -> Issue {
    Issue {
        number: 299,
        open: true,
        reason: None,
        labels: Vec::new(),
        closed: None,
        assignees: NamesFact::NotAsked,
        closer: ActorFact::NotAsked,
        reopened: CountFact::NotAsked,
        closed_by: ReferencesFact::NotAsked,
        observed: NOW,
    }
}

/// Issue 299, closed as completed `span` ago, without labels.
#[must_use]
pub fn closed_ago(span: Millis) -> Issue {
    Issue {
        open: false,
        reason: Some("completed".into()),
        closed: Some(ago(span)),
        ..open()
    }
}

impl Issue {
    /// The same with one more label.
    #[must_use]
    pub fn labelled(mut self, label: &str) -> Self {
        self.labels.push(label.to_owned());
        self
    }

    /// The same with another reason for its state, for example `not-planned`.
    #[must_use]
    pub fn because(mut self, reason: &str) -> Self {
        self.reason = Some(reason.to_owned());
        self
    }
}

// ---- The pull request ------------------------------------------------------------------------------------------------

/// Pull request 319, open, and opened half an hour ago; nothing else was asked about it.
#[must_use]
pub fn under_review() -> PullRequest {
    PullRequest {
        number: 319,
        state: PullRequestState::Open,
        draft: false,
        created: ago(mins(30)),
        merged: None,
        closed: None,
        url: format!("https://github.com/{REPO}/pull/319"),
        head_ref: "vigilante/issue-299".into(),
        base_ref: "main".into(),
        head_sha: HEAD.into(),
        head_owner: Some("acme".into()),
        merge_commit: None,
        landed: FlagFact::Absent(absent()),
        mergeability: MergeabilityFact::NotAsked,
        review: ReviewFact::NotAsked,
        review_list: ReviewListFact::NotAsked,
        checks: ChecksFact::NotAsked,
        check_list: CheckListFact::NotAsked,
        runs: HeldRunsFact::NotAsked,
        queue: QueueFact::NotAsked,
        auto_merge: AutoMergeFact::NotAsked,
        closes: ReferencesFact::NotAsked,
        parts_observed: NOW,
        observed: NOW,
    }
}

/// Pull request 319, merged `span` ago into a branch where work lands, and opened half an hour before that.
#[must_use]
pub fn merged_ago(span: Millis) -> PullRequest {
    PullRequest {
        state: PullRequestState::Merged,
        merged: Some(ago(span)),
        merge_commit: Some(MERGE.into()),
        landed: FlagFact::Found(true),
        ..rejected_ago(span)
    }
}

/// Pull request 319, closed without a merge `span` ago and opened half an hour before that.
#[must_use]
pub fn rejected_ago(span: Millis) -> PullRequest {
    let open = under_review();
    PullRequest {
        state: PullRequestState::Closed,
        created: open.created - span,
        closed: Some(ago(span)),
        ..open
    }
}

impl PullRequest {
    /// The same, opened `span` ago.
    #[must_use]
    pub fn created_ago(mut self, span: Millis) -> Self {
        self.created = ago(span);
        self
    }

    /// The same, with another branch that it goes into.
    #[must_use]
    pub fn into_branch(mut self, base: &str) -> Self {
        self.base_ref = base.to_owned();
        self
    }

    /// The same, whose checks, runs and place in the queue were last looked at `span` ago.
    #[must_use]
    pub fn parts_seen_ago(mut self, span: Millis) -> Self {
        self.parts_observed = ago(span);
        self
    }
}

// ---- Their parts -----------------------------------------------------------------------------------------------------

/// Setters of parts that are facts: the doc line, the field, its kind.
macro_rules! parts {
    ($of:ident { $( $(#[$doc:meta])* $part:ident: $fact:ty, )+ }) => {
        impl $of { $(
            $(#[$doc])*
            #[must_use]
            pub fn $part(mut self, fact: impl Into<$fact>) -> Self {
                self.$part = fact.into();
                self
            }
        )+ }
    };
}

parts! {
    Issue {
        /// Who is to work on it: `["ann", "bob"]`, `absent()` or `unknown(..)`.
        assignees: NamesFact,
        /// Who closed it: `person("ann")`, `bot("stale")`, `absent()` or `unknown(..)`.
        closer: ActorFact,
        /// How often it was reopened: a number, `absent()` or `unknown(..)`.
        reopened: CountFact,
        /// The pull requests that close it: `[reference(319, "open")]`, `absent()` or `unknown(..)`.
        closed_by: ReferencesFact,
    }
}

parts! {
    PullRequest {
        /// Whether its merge has reached a landing branch: `true`, `false`, `absent()` or `unknown(..)`.
        landed: FlagFact,
        /// Whether it could be merged: `mergeable()`, `conflicting()`, `absent()` or `unknown(..)`.
        mergeability: MergeabilityFact,
        /// What its reviews amount to: a word, `absent()` or `unknown(..)`.
        review: ReviewFact,
        /// Who thinks what of it: `[review("ann", "approved")]`, `absent()` or `unknown(..)`.
        review_list: ReviewListFact,
        /// What its checks amount to: a word, `absent()` or `unknown(..)`.
        checks: ChecksFact,
        /// Which checks there are: `[check("build", "failure")]`, `absent()` or `unknown(..)`.
        check_list: CheckListFact,
        /// The runs that wait for a person: `[held_run("CI", "approval")]`, `absent()` or `unknown(..)`.
        runs: HeldRunsFact,
        /// Its place in the merge queue: `queued_at(1)`, `absent()` or `unknown(..)`.
        queue: QueueFact,
        /// Whether it is merged as soon as it may be: `auto_merge("squash")`, `absent()` or `unknown(..)`.
        auto_merge: AutoMergeFact,
        /// The issues that its merge closes: `[reference(299, "open")]`, `absent()` or `unknown(..)`.
        closes: ReferencesFact,
    }
}

/// A person's account.
#[must_use]
pub fn person(login: &str) -> Actor {
    Actor {
        login: login.to_owned(),
        bot: false,
    }
}

/// A program's account.
#[must_use]
pub fn bot(login: &str) -> Actor {
    Actor {
        bot: true,
        ..person(login)
    }
}

/// An issue or pull request of `acme/app` that is `open`, `closed` or `merged`.
#[must_use]
pub fn reference(number: u64, state: &str) -> Reference {
    Reference {
        repo: REPO.to_owned(),
        number,
        state: state.to_owned(),
    }
}

/// It could be merged, and nothing is in the way; said just now.
#[must_use]
pub fn mergeable() -> Mergeability {
    Mergeability {
        mergeable: true,
        merge_state: "clean".to_owned(),
        observed: NOW,
    }
}

/// It is in conflict with its base; said just now.
#[must_use]
pub fn conflicting() -> Mergeability {
    Mergeability {
        mergeable: false,
        merge_state: "dirty".to_owned(),
        observed: NOW,
    }
}

/// What a person thinks of the newest commit, said just now: `approved`, `changes-requested` or `dismissed`.
#[must_use]
pub fn review(login: &str, state: &str) -> Review {
    Review {
        author: Some(person(login)),
        state: state.to_owned(),
        commit: Some(HEAD.to_owned()),
        submitted: Some(NOW),
    }
}

impl Review {
    /// The same of another commit.
    #[must_use]
    pub fn of_commit(mut self, sha: &str) -> Self {
        self.commit = Some(sha.to_owned());
        self
    }
}

/// A check, and how it ended: `success`, `failure`, ..., or `pending`.
#[must_use]
pub fn check(name: &str, outcome: &str) -> Check {
    Check {
        name: name.to_owned(),
        outcome: outcome.to_owned(),
    }
}

/// A run for a pull request that waits for `approval` or `deployment`.
#[must_use]
pub fn held_run(workflow: &str, waits_for: &str) -> HeldRun {
    HeldRun {
        name: Some(workflow.to_owned()),
        event: Some("pull_request".to_owned()),
        waits_for: waits_for.to_owned(),
    }
}

/// A place in the merge queue, from 1, where it waits for its turn.
#[must_use]
pub fn queued_at(position: u32) -> QueueEntry {
    QueueEntry {
        position,
        state: "queued".to_owned(),
    }
}

/// A person's wish to `merge`, `squash` or `rebase` as soon as it is possible.
#[must_use]
pub fn auto_merge(method: &str) -> AutoMerge {
    AutoMerge {
        method: method.to_owned(),
        by: Some(person("ann")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::{absent, unknown};

    #[test]
    fn a_pull_request_is_opened_before_it_ends() {
        for ended in [merged_ago(mins(80)), rejected_ago(mins(80))] {
            assert_eq!(ended.ended(), Some(ago(mins(80))));
            assert_eq!(ended.created, ago(mins(110)));
        }
        assert_eq!(rejected_ago(mins(1)).merged, None);
        assert_eq!(
            under_review().created_ago(mins(5)).created,
            ago(mins(5)),
            "said otherwise"
        );
    }

    #[test]
    fn what_is_not_said_was_not_asked() {
        let (issue, pr) = (open(), under_review());
        assert_eq!(issue.assignees, NamesFact::NotAsked);
        assert_eq!(issue.closer, ActorFact::NotAsked);
        assert_eq!(pr.runs, HeldRunsFact::NotAsked);
        assert_eq!(pr.auto_merge, AutoMergeFact::NotAsked);
    }

    #[test]
    fn an_empty_list_is_found_and_no_absence() {
        let none = under_review().runs([]).closes([]).review_list(Vec::new());
        assert_eq!(none.runs, HeldRunsFact::Found(Vec::new()));
        assert!(none.closes.is_known() && !none.closes.is_absent());
        assert_eq!(none.review_list.found().map(Vec::len), Some(0));
        assert_eq!(
            open().assignees([""; 0]).assignees,
            NamesFact::Found(vec![])
        );
    }

    #[test]
    fn each_part_takes_a_value_an_absence_and_a_gap() {
        let found = under_review()
            .mergeability(conflicting())
            .queue(queued_at(3))
            .review("approved")
            .parts_seen_ago(mins(2));
        assert!(found.mergeability.found().is_some_and(|at| !at.mergeable));
        assert_eq!(found.queue.found().map(|entry| entry.position), Some(3));
        assert_eq!(found.review, ReviewFact::Found("approved".into()));
        assert_eq!(found.parts_observed, ago(mins(2)));
        let others = under_review()
            .queue(absent())
            .mergeability(unknown("not-ready", "it is being worked out"));
        assert!(others.queue.is_absent());
        assert_eq!(
            others.mergeability.gap().map(|gap| gap.kind.as_str()),
            Some("not-ready")
        );
        let stale = review("ann", "approved").of_commit("00");
        assert_ne!(
            stale.commit.as_deref(),
            Some(under_review().head_sha.as_str())
        );
    }
}
