//! What a pass wanted to ask and had no time for. It is unknown to that pass, and nothing else: nobody asked, so that
//! nothing was learned and nothing failed, and no other pass or process hears of it.

use std::collections::BTreeMap;

use vigil_core::{Gap, Timestamp};

use super::{Entry, Known, Memory, branch_key, repo_key};
use crate::question::{Question, Repo, Target};

/// What was left unasked in one pass, each with the reason. Never stored.
#[derive(Debug, Default)]
pub(super) struct Unasked {
    /// The moment of that pass.
    at: Timestamp,
    gaps: BTreeMap<Entry, Gap>,
}

impl Unasked {
    fn leave(&mut self, entry: Entry, gap: &Gap, now: Timestamp) {
        if self.at != now {
            self.gaps.clear();
            self.at = now;
        }
        self.gaps.insert(entry, gap.clone());
    }
}

impl Memory {
    /// `question` was not asked in the pass at `now`, or its answer was not waited for: what it is about is unknown in
    /// that pass, whatever is known of it.
    pub(crate) fn leave(
        &mut self,
        question: &Question,
        owners: &[String],
        gap: &Gap,
        now: Timestamp,
    ) {
        let key = repo_key(question.target.repo());
        match &question.target {
            Target::Issue { number, .. } => {
                self.unasked.leave(Entry::Issue(key, *number), gap, now);
            }
            Target::PullRequest { number, .. } => {
                self.unasked.leave(Entry::Pull(key, *number), gap, now);
            }
            Target::Branch { branch, .. } => {
                for owner in owners {
                    let entry = Entry::Branch(key.clone(), branch_key(owner, branch));
                    self.unasked.leave(entry, gap, now);
                }
            }
        }
    }

    /// What changed in `repo` was to be found out in the pass at `now`, and was not asked: whatever that pass does not
    /// read anew is unknown in it.
    pub(crate) fn leave_list(&mut self, repo: &Repo, gap: &Gap, now: Timestamp) {
        self.unasked.leave(Entry::Watch(repo_key(repo)), gap, now);
    }

    /// Why `entry` of `repo` is unknown in the pass at `now` though nothing says so about `known`; `None`: it was not left
    /// unasked.
    pub(super) fn left<T>(
        &self,
        repo: &Repo,
        entry: impl FnOnce(String) -> Entry,
        known: Option<&Known<T>>,
        now: Timestamp,
    ) -> Option<&Gap> {
        let Unasked { at, gaps } = &self.unasked;
        // What the pass did read needs no list to hold.
        let is_read = known.is_some_and(|known| known.learned == now);
        if gaps.is_empty() || *at != now || is_read {
            return None;
        }
        let key = repo_key(repo);
        let list = || gaps.get(&Entry::Watch(key.clone()));
        gaps.get(&entry(key.clone())).or_else(list)
    }
}
