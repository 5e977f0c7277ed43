//! What happens to pull requests and to the commits at their heads.

use std::cell::Cell;

use super::issue::close;
use super::{IssueEdit, RepoEdit, common_edits};
use crate::commit::{Check, Commit, Suite, Workflow};
use crate::item::{AutoMerge, Closer, Comment, Item, Kind, Pull, Queued, Review};

/// A pull request under the pen.
pub struct PullEdit<'m> {
    pub(super) repo: RepoEdit<'m>,
    pub(super) number: u64,
}

common_edits!(PullEdit);

/// Who wrote it, and where it goes.
impl PullEdit<'_> {
    /// The branch at its head.
    pub fn head(self, branch: &str) -> Self {
        self.pull_set(|pull| pull.head_ref = branch.to_owned())
    }

    /// Names the newest commit of its head, and what was run on the commit of before goes with it; moves
    /// `updated_at`. A push that leaves the checks behind is [`PullEdit::push`].
    pub fn sha(mut self, sha: &str) -> Self {
        let number = self.number;
        let repo = self.repo.repo();
        let former = repo.pull(number).and_then(Item::pull);
        if let Some(former) = former.map(|pull| pull.head_sha.clone())
            && let Some(commit) = repo.commits.remove(&former)
        {
            repo.commits.insert(sha.to_owned(), commit);
        }
        self.pull_touch(|pull| pull.head_sha = sha.to_owned())
    }

    /// Somebody pushes a new commit to its head: nothing was run on it yet, whether it can be merged has to be worked
    /// out, and it leaves the merge queue. Moves `updated_at`.
    pub fn push(mut self, sha: &str) -> Self {
        let now_ms = self.repo.now_ms;
        self.repo.repo().pushed_ms = now_ms;
        self.pull_touch(|pull| {
            pull.head_sha = sha.to_owned();
            pull.mergeability_pending_reads = Cell::new(1);
            pull.queued = None;
        })
    }

    /// The head lives in the fork of that login.
    pub fn head_owner(self, login: &str) -> Self {
        self.pull_set(|pull| pull.head_owner = Some(login.to_owned()))
    }

    /// The fork that held the head is gone.
    pub fn head_owner_gone(self) -> Self {
        self.pull_set(|pull| pull.head_owner = None)
    }

    /// The branch that it goes into.
    pub fn base(self, branch: &str) -> Self {
        self.pull_touch(|pull| pull.base_ref = branch.to_owned())
    }

    /// Not meant to be merged yet, or ready.
    pub fn draft(self, draft: bool) -> Self {
        self.pull_touch(|pull| pull.draft = draft)
    }

    /// Merging it closes that issue.
    pub fn closes(self, issue: u64) -> Self {
        self.pull_touch(|pull| {
            if !pull.closes.contains(&issue) {
                pull.closes.push(issue);
            }
        })
    }
}

/// How it ends, and what stands before that.
impl PullEdit<'_> {
    /// Merges it now, and closes the issues that it names.
    pub fn merged(self) -> Self {
        let now_ms = self.repo.now_ms;
        self.merged_at(now_ms)
    }

    /// That login merges it now.
    pub fn merged_by(self, login: &str) -> Self {
        let login = login.to_owned();
        self.set(|item| item.closed_by = Some(login)).merged()
    }

    /// Merges it now as one commit, which does not follow those of its head.
    pub fn squashed(self) -> Self {
        let now_ms = self.repo.now_ms;
        self.merged_as(now_ms, false)
    }

    /// Merges it at that moment, in milliseconds since the epoch, and closes the issues that it names.
    pub fn merged_at(self, ms: u64) -> Self {
        self.merged_as(ms, true)
    }

    fn merged_as(mut self, ms: u64, follows_head: bool) -> Self {
        let merge = self.merge_commit(follows_head);
        let mut closes = Vec::new();
        let mut merger = None;
        let mut edit = self.touch(|item| {
            item.closed_ms = Some(ms);
            merger.clone_from(&item.closed_by);
            if let Kind::Pull(pull) = &mut item.kind {
                pull.merged_ms = Some(ms);
                pull.merge_commit = Some(merge);
                pull.queued = None;
                pull.auto_merge = None;
                closes.clone_from(&pull.closes);
            }
        });
        let now_ms = edit.repo.now_ms;
        let closer = Closer::Pull(edit.number);
        let repo = edit.repo.repo();
        for number in closes {
            if repo
                .issue(number)
                .is_some_and(|issue| issue.closed_ms.is_none())
            {
                repo.change(number, |item| {
                    close(item, "completed", ms, merger.clone(), Some(closer.clone()));
                    item.updated_ms = now_ms;
                });
            }
        }
        edit
    }

    /// What a merge makes on the branch that it goes into.
    fn merge_commit(&mut self, follows_head: bool) -> String {
        let number = self.number;
        let repo = self.repo.repo();
        let merge = format!("{:040x}", repo.id * 1_000_000_000 + number);
        let Some(pull) = repo.pull(number).and_then(Item::pull) else {
            return merge;
        };
        let (base, head) = (pull.base_ref.clone(), pull.head_sha.clone());
        let before = repo.history.branches.insert(base, merge.clone());
        let head = follows_head.then_some(head);
        let parents = before.into_iter().chain(head).collect();
        repo.history.parents.insert(merge.clone(), parents);
        merge
    }

    /// Closes it unmerged now.
    pub fn closed(self) -> Self {
        let now_ms = self.repo.now_ms;
        self.closed_at(now_ms)
    }

    /// Closes it unmerged at that moment, in milliseconds since the epoch.
    pub fn closed_at(self, ms: u64) -> Self {
        self.touch(|item| {
            item.closed_ms = Some(ms);
            if let Kind::Pull(pull) = &mut item.kind {
                pull.queued = None;
                pull.auto_merge = None;
            }
        })
    }

    /// Opens it again; one that was merged stays merged.
    pub fn reopened(self) -> Self {
        self.touch(|item| {
            if item.pull().is_some_and(|pull| pull.merged_ms.is_none()) {
                item.closed_ms = None;
                item.closed_by = None;
            }
        })
    }

    /// Whether it could be merged, in GraphQL's words: `MERGEABLE` and `CLEAN`, `CONFLICTING` and `DIRTY`, ...
    pub fn mergeable(self, mergeable: &str, merge_state: &str) -> Self {
        self.pull_set(|pull| {
            pull.mergeable = mergeable.to_owned();
            pull.merge_state = merge_state.to_owned();
        })
    }

    /// The next `reads` looks at its mergeability answer `UNKNOWN`.
    pub fn mergeability_pending(self, reads: u32) -> Self {
        self.pull_set(|pull| pull.mergeability_pending_reads = Cell::new(reads))
    }

    /// The review decision in GraphQL's words, `None` where no rule asks for reviews.
    pub fn review(self, decision: Option<&str>) -> Self {
        self.pull_touch(|pull| pull.review_decision = decision.map(str::to_owned))
    }

    /// That login reviews the newest commit now: `APPROVED`, `CHANGES_REQUESTED`, `COMMENTED`. Set the decision beside
    /// it where a rule asks for one.
    pub fn reviewed(self, author: &str, state: &str) -> Self {
        let now_ms = self.repo.now_ms;
        self.touch(|item| {
            let number = item.number;
            if let Kind::Pull(pull) = &mut item.kind {
                pull.reviews.push(Review {
                    id: number * 1_000 + pull.reviews.len() as u64 + 1,
                    author: author.to_owned(),
                    state: state.to_owned(),
                    commit: pull.head_sha.clone(),
                    submitted_ms: now_ms,
                });
            }
        })
    }

    /// Somebody dismisses what that login approved or asked for.
    pub fn dismissed(self, author: &str) -> Self {
        self.pull_touch(|pull| {
            for review in &mut pull.reviews {
                let binds = matches!(review.state.as_str(), "APPROVED" | "CHANGES_REQUESTED");
                if binds && review.author == author {
                    review.state = "DISMISSED".to_owned();
                }
            }
        })
    }

    /// It stands in the merge queue, from position 1: `QUEUED`, `AWAITING_CHECKS`, `MERGEABLE`, `UNMERGEABLE`,
    /// `LOCKED`. Does not move `updated_at`.
    pub fn queued(self, position: u32, state: &str) -> Self {
        let now_ms = self.repo.now_ms;
        self.pull_set(|pull| {
            let since_ms = pull.queued.as_ref().map_or(now_ms, |entry| entry.since_ms);
            pull.queued = Some(Queued {
                position,
                state: state.to_owned(),
                since_ms,
            });
        })
    }

    /// It leaves the merge queue. Does not move `updated_at`.
    pub fn dequeued(self) -> Self {
        self.pull_set(|pull| pull.queued = None)
    }

    /// That login lets GitHub merge it once everything is met, by `MERGE`, `SQUASH` or `REBASE`. Does not move
    /// `updated_at`.
    pub fn auto_merge(self, method: &str, login: &str) -> Self {
        let now_ms = self.repo.now_ms;
        self.pull_set(|pull| {
            pull.auto_merge = Some(AutoMerge {
                method: method.to_owned(),
                enabled_by: login.to_owned(),
                enabled_ms: now_ms,
            });
        })
    }

    /// GitHub does not merge it by itself any more. Does not move `updated_at`.
    pub fn auto_merge_off(self) -> Self {
        self.pull_set(|pull| pull.auto_merge = None)
    }
}

/// What is run on the newest commit of its head. None of it moves `updated_at`.
impl PullEdit<'_> {
    /// Says what all checks add up to, in GraphQL's words, whatever they do add up to.
    pub fn rollup(self, state: &str) -> Self {
        self.commit_set(|commit, _| commit.rollup = Some(state.to_owned()))
    }

    /// The head has no checks and no runs.
    pub fn no_checks(self) -> Self {
        self.commit_set(|commit, _| *commit = Commit::default())
    }

    /// A check run; `conclusion` in GraphQL's words, `None` while it is in progress. One of the same name is run again.
    pub fn check(self, name: &str, conclusion: Option<&str>) -> Self {
        let status = match conclusion {
            Some(_) => "COMPLETED",
            None => "IN_PROGRESS",
        };
        self.put_check(Check::Run {
            name: name.to_owned(),
            status: status.to_owned(),
            conclusion: conclusion.map(str::to_owned),
        })
    }

    /// A check run that is not completed: `QUEUED`, `WAITING`, `PENDING`, `REQUESTED`, `IN_PROGRESS`.
    pub fn check_waits(self, name: &str, status: &str) -> Self {
        self.put_check(Check::Run {
            name: name.to_owned(),
            status: status.to_owned(),
            conclusion: None,
        })
    }

    /// A commit status: `SUCCESS`, `PENDING`, `FAILURE`, `ERROR`, `EXPECTED`.
    pub fn context(self, name: &str, state: &str) -> Self {
        self.put_check(Check::Context {
            context: name.to_owned(),
            state: state.to_owned(),
        })
    }

    /// So many check runs of one conclusion, named `check-1` and on: more than 100 fill a second page.
    pub fn checks(self, count: usize, conclusion: Option<&str>) -> Self {
        (1..=count).fold(self, |edit, at| {
            edit.check(&format!("check-{at}"), conclusion)
        })
    }

    /// A workflow run with its suite: status and conclusion in GraphQL's words. Its checks are set beside it.
    pub fn run(self, workflow: &str, event: &str, status: &str, conclusion: Option<&str>) -> Self {
        let workflow = Workflow {
            name: workflow.to_owned(),
            event: event.to_owned(),
        };
        self.put_suite("github-actions", status, conclusion, Some(workflow))
    }

    /// A workflow run that is held until somebody approves it, as GitHub holds those of new contributors: completed
    /// with the conclusion `ACTION_REQUIRED`, and without a check.
    pub fn held_run(self, workflow: &str, event: &str) -> Self {
        self.run(workflow, event, "COMPLETED", Some("ACTION_REQUIRED"))
    }

    /// A workflow run that waits for the approval of a deployment: status `WAITING`, no conclusion.
    pub fn waiting_run(self, workflow: &str, event: &str) -> Self {
        self.run(workflow, event, "WAITING", None)
    }

    /// A suite of an app that is not GitHub Actions.
    pub fn suite(self, app: &str, status: &str, conclusion: Option<&str>) -> Self {
        self.put_suite(app, status, conclusion, None)
    }

    /// Somebody approves all runs that are held: they are queued.
    pub fn runs_approved(self) -> Self {
        self.commit_set(|commit, _| {
            for suite in &mut commit.suites {
                let held = suite.conclusion.as_deref() == Some("ACTION_REQUIRED");
                if held || suite.status == "WAITING" {
                    suite.status = "QUEUED".to_owned();
                    suite.conclusion = None;
                }
            }
        })
    }

    fn put_check(self, check: Check) -> Self {
        self.commit_set(|commit, _| {
            let same = |present: &&mut Check| match (&**present, &check) {
                (Check::Run { name, .. }, Check::Run { name: other, .. }) => name == other,
                (Check::Context { context, .. }, Check::Context { context: other, .. }) => {
                    context == other
                }
                _ => false,
            };
            match commit.checks.iter_mut().find(same) {
                Some(present) => *present = check,
                None => commit.checks.push(check),
            }
        })
    }

    fn put_suite(
        mut self,
        app: &str,
        status: &str,
        conclusion: Option<&str>,
        workflow: Option<Workflow>,
    ) -> Self {
        let now_ms = self.repo.now_ms;
        let id = self.repo.repo().next_suite();
        self.commit_set(|commit, branch| {
            let same = |suite: &&mut Suite| suite.app == app && suite.workflow == workflow;
            match commit.suites.iter_mut().find(same) {
                Some(suite) => {
                    suite.status = status.to_owned();
                    suite.conclusion = conclusion.map(str::to_owned);
                }
                None => commit.suites.push(Suite {
                    id,
                    app: app.to_owned(),
                    status: status.to_owned(),
                    conclusion: conclusion.map(str::to_owned),
                    branch: branch.to_owned(),
                    workflow,
                    created_ms: now_ms,
                }),
            }
        })
    }

    fn commit_set(mut self, change: impl FnOnce(&mut Commit, &str)) -> Self {
        let number = self.number;
        let repo = self.repo.repo();
        if let Some(pull) = repo.pull(number).and_then(Item::pull) {
            let (sha, branch) = (pull.head_sha.clone(), pull.head_ref.clone());
            change(repo.commits.entry(sha).or_default(), &branch);
        }
        self
    }

    fn pull_touch(self, change: impl FnOnce(&mut Pull)) -> Self {
        self.touch(|item| {
            if let Kind::Pull(pull) = &mut item.kind {
                change(pull);
            }
        })
    }

    fn pull_set(self, change: impl FnOnce(&mut Pull)) -> Self {
        self.set(|item| {
            if let Kind::Pull(pull) = &mut item.kind {
                change(pull);
            }
        })
    }
}
