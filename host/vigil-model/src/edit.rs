//! Building the world and changing it while it is looked at: `model.repo("o/r").issue(299).closed("completed")`.
//!
//! Every step takes the thing, making it if it is not there, and hands itself on. Changes that GitHub counts as
//! activity move `updated_at` to the model's clock.

use std::cell::Cell;

use crate::world::{self, Check, Comment, Issue, Item, Kind, Pull, Repo, World};

/// A repository under the pen.
pub struct RepoEdit<'m> {
    world: &'m mut World,
    index: usize,
    now_ms: u64,
}

impl<'m> RepoEdit<'m> {
    /// The repository that bears the name or once did; a new one where there is none or it was deleted.
    pub(crate) fn take(world: &'m mut World, name_with_owner: &str, now_ms: u64) -> Self {
        let key = world::name_key(name_with_owner);
        let present = world
            .names
            .get(&key)
            .copied()
            .filter(|index| !world.repos[*index].deleted);
        let index = present.unwrap_or_else(|| {
            let (owner, name) = world::split_name(name_with_owner);
            world.repos.push(Repo {
                id: world.repos.len() as u64 + 1,
                owner: owner.to_owned(),
                name: name.to_owned(),
                private: false,
                archived: false,
                has_issues: true,
                deleted: false,
                created_ms: now_ms,
                updated_ms: now_ms,
                pushed_ms: now_ms,
                items: Default::default(),
                deleted_issues: Default::default(),
                heads: Default::default(),
            });
            let index = world.repos.len() - 1;
            world.names.insert(key, index);
            index
        });
        RepoEdit {
            world,
            index,
            now_ms,
        }
    }

    /// Only tokens that were granted it see it.
    pub fn private(self) -> Self {
        self.change(|repo| repo.private = true)
    }

    /// Everybody sees it.
    pub fn public(self) -> Self {
        self.change(|repo| repo.private = false)
    }

    /// Read-only from now on, or no longer.
    pub fn archived(self, archived: bool) -> Self {
        self.change(|repo| repo.archived = archived)
    }

    /// Issues are switched off: they are not to be had, and stay.
    pub fn issues_disabled(self) -> Self {
        self.change(|repo| repo.has_issues = false)
    }

    /// Issues are switched on again.
    pub fn issues_enabled(self) -> Self {
        self.change(|repo| repo.has_issues = true)
    }

    /// It goes, with all that is in it. A repository made under its name later is another one.
    pub fn deleted(self) -> Self {
        self.change(|repo| repo.deleted = true)
    }

    /// It bears another name from now on and is redirected to from the former one.
    pub fn renamed(self, name_with_owner: &str) -> Self {
        let key = world::name_key(name_with_owner);
        self.world.names.insert(key, self.index);
        let (owner, name) = world::split_name(name_with_owner);
        let (owner, name) = (owner.to_owned(), name.to_owned());
        self.change(|repo| (repo.owner, repo.name) = (owner, name))
    }

    /// The issue of that number. A pull request that bears the number stays one.
    pub fn issue(self, number: u64) -> IssueEdit<'m> {
        let now_ms = self.now_ms;
        let repo = &mut self.world.repos[self.index];
        repo.items
            .entry(number)
            .or_insert_with(|| item(number, Kind::Issue(Issue::default()), now_ms));
        IssueEdit { repo: self, number }
    }

    /// The pull request of that number; an issue that bears it is turned into one.
    pub fn pull(self, number: u64) -> PullEdit<'m> {
        let now_ms = self.now_ms;
        let repo = &mut self.world.repos[self.index];
        if repo.pull(number).is_none() {
            let head_ref = format!("branch-{number}");
            repo.heads.entry(head_ref.clone()).or_default().push(number);
            let pull = Pull {
                draft: false,
                merged_ms: None,
                head_ref,
                head_sha: format!("{:040x}", repo.id * 1_000_000 + number),
                head_owner: Some(repo.owner.clone()),
                base_ref: "main".to_owned(),
                mergeable: "MERGEABLE".to_owned(),
                merge_state: "CLEAN".to_owned(),
                mergeability_pending_reads: Cell::new(0),
                review_decision: None,
                rollup: None,
                checks: Vec::new(),
                closes: Vec::new(),
            };
            repo.items
                .insert(number, item(number, Kind::Pull(Box::new(pull)), now_ms));
        }
        PullEdit { repo: self, number }
    }

    fn change(self, change: impl FnOnce(&mut Repo)) -> Self {
        let repo = &mut self.world.repos[self.index];
        change(repo);
        repo.updated_ms = self.now_ms;
        self
    }

    fn item(&mut self, number: u64) -> Option<&mut Item> {
        self.world.repos[self.index].items.get_mut(&number)
    }
}

/// An issue under the pen.
pub struct IssueEdit<'m> {
    repo: RepoEdit<'m>,
    number: u64,
}

/// A pull request under the pen.
pub struct PullEdit<'m> {
    repo: RepoEdit<'m>,
    number: u64,
}

/// What issues and pull requests have in common.
macro_rules! common_edits {
    ($edit:ident) => {
        impl<'m> $edit<'m> {
            /// Adds a label; one that is there stays where it is.
            pub fn label(self, name: &str) -> Self {
                self.touch(|item| {
                    if !item.labels.iter().any(|label| label == name) {
                        item.labels.push(name.to_owned());
                    }
                })
            }

            /// Takes a label away.
            pub fn unlabel(self, name: &str) -> Self {
                self.touch(|item| item.labels.retain(|label| label != name))
            }

            /// Assigns it to one more login.
            pub fn assignee(self, login: &str) -> Self {
                self.touch(|item| item.assignees.push(login.to_owned()))
            }

            /// Who opened it.
            pub fn author(self, login: &str) -> Self {
                self.set(|item| item.author = login.to_owned())
            }

            /// For people.
            pub fn title(self, title: &str) -> Self {
                self.touch(|item| item.title = title.to_owned())
            }

            /// Somebody comments.
            pub fn comment(self, author: &str, body: &str) -> Self {
                let now_ms = self.repo.now_ms;
                self.touch(|item| {
                    item.comments.push(Comment {
                        id: item.number * 1_000 + item.comments.len() as u64 + 1,
                        author: author.to_owned(),
                        body: body.to_owned(),
                        created_ms: now_ms,
                    });
                })
            }

            /// When it was opened, in milliseconds since the epoch.
            pub fn created_at(self, ms: u64) -> Self {
                self.set(|item| item.created_ms = ms)
            }

            /// Overrides when it last moved, in milliseconds since the epoch. Later changes move it again.
            pub fn updated_at(self, ms: u64) -> Self {
                self.set(|item| item.updated_ms = ms)
            }

            /// Who closed it.
            pub fn closed_by(self, login: &str) -> Self {
                self.set(|item| item.closed_by = Some(login.to_owned()))
            }

            /// An issue of the same repository.
            pub fn issue(self, number: u64) -> IssueEdit<'m> {
                self.repo.issue(number)
            }

            /// A pull request of the same repository.
            pub fn pull(self, number: u64) -> PullEdit<'m> {
                self.repo.pull(number)
            }

            /// Back to the repository, so that a loop can go on from there.
            pub fn back(self) -> RepoEdit<'m> {
                self.repo
            }

            /// Changes what GitHub counts as activity.
            fn touch(self, change: impl FnOnce(&mut Item)) -> Self {
                let now_ms = self.repo.now_ms;
                self.set(|item| {
                    change(item);
                    item.updated_ms = now_ms;
                })
            }

            fn set(mut self, change: impl FnOnce(&mut Item)) -> Self {
                let number = self.number;
                if let Some(item) = self.repo.item(number) {
                    change(item);
                }
                self
            }
        }
    };
}

common_edits!(IssueEdit);
common_edits!(PullEdit);

impl IssueEdit<'_> {
    /// Closes it now. `reason` as REST spells it: `completed`, `not_planned`, `duplicate`.
    pub fn closed(self, reason: &str) -> Self {
        let now_ms = self.repo.now_ms;
        self.closed_at(reason, now_ms)
    }

    /// Closes it at that moment, in milliseconds since the epoch.
    pub fn closed_at(self, reason: &str, ms: u64) -> Self {
        self.touch(|item| close(item, reason, ms))
    }

    /// Opens it again; the reason becomes `reopened`.
    pub fn reopened(self) -> Self {
        self.touch(|item| {
            item.closed_ms = None;
            item.closed_by = None;
            if let Kind::Issue(issue) = &mut item.kind {
                issue.reason = Some("reopened".to_owned());
            }
        })
    }

    /// Deletes it: REST says so, GraphQL finds nothing.
    pub fn deleted(self) -> Self {
        let repo = &mut self.repo.world.repos[self.repo.index];
        repo.items.remove(&self.number);
        repo.deleted_issues.insert(self.number);
        self
    }
}

impl PullEdit<'_> {
    /// The branch at its head.
    pub fn head(self, branch: &str) -> Self {
        let number = self.number;
        let repo = &mut self.repo.world.repos[self.repo.index];
        if let Some(before) = repo.pull(number).and_then(Item::pull) {
            let before = before.head_ref.clone();
            if let Some(numbers) = repo.heads.get_mut(&before) {
                numbers.retain(|present| *present != number);
            }
        }
        let numbers = repo.heads.entry(branch.to_owned()).or_default();
        numbers.push(number);
        self.pull_set(|pull| pull.head_ref = branch.to_owned())
    }

    /// The newest commit of its head: a push, which moves `updated_at`.
    pub fn sha(self, sha: &str) -> Self {
        self.pull_touch(|pull| pull.head_sha = sha.to_owned())
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

    /// Merges it now, and closes the issues that it names.
    pub fn merged(self) -> Self {
        let now_ms = self.repo.now_ms;
        self.merged_at(now_ms)
    }

    /// Merges it at that moment, in milliseconds since the epoch, and closes the issues that it names.
    pub fn merged_at(self, ms: u64) -> Self {
        let mut closes = Vec::new();
        let mut edit = self.touch(|item| {
            item.closed_ms = Some(ms);
            if let Kind::Pull(pull) = &mut item.kind {
                pull.merged_ms = Some(ms);
                closes.clone_from(&pull.closes);
            }
        });
        let now_ms = edit.repo.now_ms;
        for number in closes {
            if let Some(item) = edit.repo.item(number)
                && item.closed_ms.is_none()
            {
                close(item, "completed", ms);
                item.updated_ms = now_ms;
            }
        }
        edit
    }

    /// Closes it unmerged now.
    pub fn closed(self) -> Self {
        let now_ms = self.repo.now_ms;
        self.closed_at(now_ms)
    }

    /// Closes it unmerged at that moment, in milliseconds since the epoch.
    pub fn closed_at(self, ms: u64) -> Self {
        self.touch(|item| item.closed_ms = Some(ms))
    }

    /// Opens it again; one that was merged stays merged.
    pub fn reopened(self) -> Self {
        self.touch(|item| {
            if item.pull().is_some_and(|pull| pull.merged_ms.is_none()) {
                item.closed_ms = None;
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

    /// What all checks add up to, in GraphQL's words; does not move `updated_at`.
    pub fn rollup(self, state: &str) -> Self {
        self.pull_set(|pull| pull.rollup = Some(state.to_owned()))
    }

    /// The head has no checks.
    pub fn no_checks(self) -> Self {
        self.pull_set(|pull| {
            pull.rollup = None;
            pull.checks.clear();
        })
    }

    /// One more check; `conclusion` in GraphQL's words, `None` while it runs. Set the rollup beside it.
    pub fn check(self, name: &str, conclusion: Option<&str>) -> Self {
        self.pull_set(|pull| {
            pull.checks.push(Check {
                name: name.to_owned(),
                conclusion: conclusion.map(str::to_owned),
            });
        })
    }

    /// Merging it closes that issue.
    pub fn closes(self, issue: u64) -> Self {
        self.pull_touch(|pull| pull.closes.push(issue))
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

fn close(item: &mut Item, reason: &str, ms: u64) {
    item.closed_ms = Some(ms);
    if let Kind::Issue(issue) = &mut item.kind {
        issue.reason = Some(reason.to_owned());
    }
}

fn item(number: u64, kind: Kind, now_ms: u64) -> Item {
    Item {
        number,
        title: format!("Number {number}"),
        author: "octocat".to_owned(),
        labels: Vec::new(),
        assignees: Vec::new(),
        comments: Vec::new(),
        created_ms: now_ms,
        updated_ms: now_ms,
        closed_ms: None,
        closed_by: None,
        kind,
    }
}
