//! Building the world and changing it while it is looked at: `model.repo("o/r").issue(299).closed("completed")`.
//!
//! Every step takes the thing, making it if it is not there, and hands itself on. Changes that GitHub counts as
//! activity move `updated_at` to the model's clock.

use std::cell::Cell;

use crate::item::{Issue, Item, Kind, Pull};
use crate::world::{self, Repo, World};

mod issue;
mod pull;

pub use issue::IssueEdit;
pub use pull::PullEdit;

/// A repository under the pen.
pub struct RepoEdit<'m> {
    world: &'m mut World,
    index: usize,
    now_ms: u64,
}

impl<'m> RepoEdit<'m> {
    /// The repository that bears the name or once did; a new one where there is none or it was deleted.
    pub(crate) fn take(world: &'m mut World, name_with_owner: &str, now_ms: u64) -> Self {
        let present = world
            .names
            .get(&world::name_key(name_with_owner))
            .copied()
            .filter(|index| !world.repos[*index].deleted);
        match present {
            Some(index) => RepoEdit {
                world,
                index,
                now_ms,
            },
            None => RepoEdit::make(world, name_with_owner, now_ms),
        }
    }

    /// A new repository that takes the name from whatever bore it.
    pub(crate) fn make(world: &'m mut World, name_with_owner: &str, now_ms: u64) -> Self {
        let (owner, name) = world::split_name(name_with_owner);
        let index = world.repos.len();
        world
            .repos
            .push(Repo::new(index as u64 + 1, owner, name, now_ms));
        world.names.insert(world::name_key(name_with_owner), index);
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

    /// It goes, with all that is in it. A repository made under its name later is another one, with ids of its own.
    pub fn deleted(self) -> Self {
        self.change(|repo| repo.deleted = true)
    }

    /// It bears another name from now on and is redirected to from the former one, until that is taken by
    /// [`Model::new_repo`](crate::Model::new_repo).
    pub fn renamed(self, name_with_owner: &str) -> Self {
        let key = world::name_key(name_with_owner);
        self.world.names.insert(key, self.index);
        let (owner, name) = world::split_name(name_with_owner);
        let (owner, name) = (owner.to_owned(), name.to_owned());
        self.change(|repo| {
            let former = repo.name_with_owner();
            repo.former_names.push(former);
            // A branch of its own goes with it, whoever owns it now.
            for item in repo.items.values_mut() {
                if let Kind::Pull(pull) = &mut item.kind
                    && pull.head_owner.as_ref() == Some(&repo.owner)
                {
                    pull.head_owner = Some(owner.clone());
                }
            }
            (repo.owner, repo.name) = (owner, name);
        })
    }

    /// It goes to another owner under the same name, and is redirected to from the former one.
    pub fn transferred(self, owner: &str) -> Self {
        let name = format!("{owner}/{}", self.world.repos[self.index].name);
        self.renamed(&name)
    }

    /// The branch that a clone has checked out; `None`: the repository is empty.
    pub fn default_branch(self, name: Option<&str>) -> Self {
        self.change(|repo| repo.default_branch = name.map(str::to_owned))
    }

    /// GitHub has that commit, which follows `parents`.
    pub fn commit(self, sha: &str, parents: &[&str]) -> Self {
        self.change(|repo| {
            let parents = parents.iter().map(|&parent| parent.to_owned()).collect();
            repo.history.parents.insert(sha.to_owned(), parents);
        })
    }

    /// The branch ends with that commit.
    pub fn branch(self, name: &str, sha: &str) -> Self {
        self.change(|repo| {
            repo.history.parents.entry(sha.to_owned()).or_default();
            let branches = &mut repo.history.branches;
            branches.insert(name.to_owned(), sha.to_owned());
        })
    }

    /// Somebody pushes to a branch that pull requests go into: whether they can be merged is unknown until the next
    /// look at each of them has started the work. Their `updated_at` does not move.
    pub fn base_moved(self, branch: &str) -> Self {
        let repo = &mut self.world.repos[self.index];
        repo.pushed_ms = self.now_ms;
        for item in repo.items.values_mut() {
            let open = item.closed_ms.is_none();
            if let Kind::Pull(pull) = &mut item.kind
                && open
                && pull.base_ref == branch
            {
                pull.mergeability_pending_reads = Cell::new(1);
            }
        }
        self
    }

    /// The issue of that number. A pull request that bears the number stays one.
    pub fn issue(self, number: u64) -> IssueEdit<'m> {
        let now_ms = self.now_ms;
        let repo = &mut self.world.repos[self.index];
        if !repo.items.contains_key(&number) {
            repo.deleted_issues.remove(&number);
            repo.transferred_issues.remove(&number);
            repo.insert(item(number, Kind::Issue(Issue::default()), now_ms));
        }
        IssueEdit { repo: self, number }
    }

    /// The pull request of that number; an issue that bears it is turned into one.
    pub fn pull(self, number: u64) -> PullEdit<'m> {
        let now_ms = self.now_ms;
        let repo = &mut self.world.repos[self.index];
        if repo.pull(number).is_none() {
            let pull = Pull {
                draft: false,
                merged_ms: None,
                head_ref: format!("branch-{number}"),
                head_sha: format!("{:040x}", repo.id * 1_000_000 + number),
                head_owner: Some(repo.owner.clone()),
                base_ref: "main".to_owned(),
                merge_commit: None,
                mergeable: "MERGEABLE".to_owned(),
                merge_state: "CLEAN".to_owned(),
                mergeability_pending_reads: Cell::new(0),
                review_decision: None,
                reviews: Vec::new(),
                closes: Vec::new(),
                queued: None,
                auto_merge: None,
            };
            repo.insert(item(number, Kind::Pull(Box::new(pull)), now_ms));
        }
        PullEdit { repo: self, number }
    }

    fn change(self, change: impl FnOnce(&mut Repo)) -> Self {
        let repo = &mut self.world.repos[self.index];
        change(repo);
        repo.updated_ms = self.now_ms;
        self
    }

    fn repo(&mut self) -> &mut Repo {
        &mut self.world.repos[self.index]
    }
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
                self.touch(|item| {
                    if !item.assignees.iter().any(|present| present == login) {
                        item.assignees.push(login.to_owned());
                    }
                })
            }

            /// Takes it from a login.
            pub fn unassign(self, login: &str) -> Self {
                self.touch(|item| item.assignees.retain(|present| present != login))
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

            /// Who closed it. A login that ends in `[bot]` is a bot's.
            pub fn closed_by(self, login: &str) -> Self {
                self.set(|item| {
                    item.closed_by = Some(login.to_owned());
                    if let Kind::Issue(issue) = &mut item.kind
                        && let Some(turn) = issue.history.last_mut()
                        && turn.closed
                    {
                        turn.actor = Some(login.to_owned());
                    }
                })
            }

            /// Who closed it, and whether that is a bot.
            pub fn closed_by_user(self, login: &str, bot: bool) -> Self {
                if bot {
                    self.closed_by(&format!("{login}[bot]"))
                } else {
                    self.closed_by(login)
                }
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
                self.repo.repo().change(number, change);
                self
            }
        }
    };
}
use common_edits;

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
