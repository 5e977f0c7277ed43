//! What happens to issues.

use super::{PullEdit, RepoEdit, common_edits};
use crate::item::{Closer, Comment, Item, Kind, Turn};

/// An issue under the pen.
pub struct IssueEdit<'m> {
    pub(super) repo: RepoEdit<'m>,
    pub(super) number: u64,
}

common_edits!(IssueEdit);

impl IssueEdit<'_> {
    /// Closes it now. `reason` as REST spells it: `completed`, `not_planned`, `duplicate`.
    pub fn closed(self, reason: &str) -> Self {
        let now_ms = self.repo.now_ms;
        self.closed_at(reason, now_ms)
    }

    /// Closes it at that moment, in milliseconds since the epoch. One that is closed only gets the reason.
    pub fn closed_at(self, reason: &str, ms: u64) -> Self {
        self.touch(|item| close(item, reason, ms, None, None))
    }

    /// A commit on the default branch closed it: its latest closing names the hash.
    pub fn closed_by_commit(self, sha: &str) -> Self {
        self.set(|item| {
            if let Kind::Issue(issue) = &mut item.kind
                && let Some(turn) = issue.history.last_mut()
                && turn.closed
            {
                turn.closer = Some(Closer::Commit(sha.to_owned()));
            }
        })
    }

    /// Opens it again; the reason becomes `reopened`. One that is open stays as it is.
    pub fn reopened(self) -> Self {
        self.reopen(None)
    }

    /// That login opens it again.
    pub fn reopened_by(self, login: &str) -> Self {
        self.reopen(Some(login.to_owned()))
    }

    fn reopen(self, actor: Option<String>) -> Self {
        let now_ms = self.repo.now_ms;
        self.touch(|item| {
            let was_closed = item.closed_ms.take().is_some();
            item.closed_by = None;
            if let Kind::Issue(issue) = &mut item.kind {
                issue.reason = Some("reopened".to_owned());
                if was_closed {
                    issue.history.push(Turn {
                        closed: false,
                        actor,
                        closer: None,
                        at_ms: now_ms,
                    });
                }
            }
        })
    }

    /// Deletes it: REST says so, GraphQL finds nothing.
    pub fn deleted(mut self) -> Self {
        let number = self.number;
        let repo = self.repo.repo();
        repo.remove(number);
        repo.deleted_issues.insert(number);
        self
    }

    /// It goes to another repository under another number, where it has other ids. REST redirects from here, GraphQL
    /// finds nothing.
    pub fn transferred(mut self, name_with_owner: &str, number: u64) -> Self {
        let now_ms = self.repo.now_ms;
        let here = self.number;
        let Some(mut item) = self.repo.repo().remove(here) else {
            return self;
        };
        item.number = number;
        item.updated_ms = now_ms;
        let mut there = RepoEdit::take(self.repo.world, name_with_owner, now_ms);
        let there = there.repo();
        there.insert(item);
        let id = there.id;
        self.repo
            .repo()
            .transferred_issues
            .insert(here, (id, number));
        self
    }
}

/// Closes what is open; `reason` goes to what was closed before, too.
pub(super) fn close(
    item: &mut Item,
    reason: &str,
    ms: u64,
    actor: Option<String>,
    closer: Option<Closer>,
) {
    let was_open = item.closed_ms.is_none();
    item.closed_ms = Some(ms);
    if was_open {
        item.closed_by.clone_from(&actor);
    }
    if let Kind::Issue(issue) = &mut item.kind {
        issue.reason = Some(reason.to_owned());
        if was_open {
            issue.history.push(Turn {
                closed: true,
                actor,
                closer,
                at_ms: ms,
            });
        }
    }
}
