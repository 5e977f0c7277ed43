//! Which commits a repository has, and how they follow each other.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::item::Item;
use crate::world::Repo;

/// Branches, and commits with their parents.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    /// The newest commit of each branch.
    pub(crate) branches: BTreeMap<String, String>,
    /// The parents of each commit.
    pub(crate) parents: BTreeMap<String, Vec<String>>,
}

/// How two commits lie to each other, as REST tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Compared {
    pub(crate) base: String,
    pub(crate) merge_base: String,
    /// Commits of the head that the base does not have, newest first.
    pub(crate) ahead: Vec<String>,
    pub(crate) behind: usize,
}

impl Compared {
    pub(crate) fn status(&self) -> &'static str {
        match (self.ahead.len(), self.behind) {
            (0, 0) => "identical",
            (_, 0) => "ahead",
            (0, _) => "behind",
            _ => "diverged",
        }
    }
}

impl Repo {
    /// The commit that a branch or a hash stands for; `None`: there is none.
    pub(crate) fn resolve(&self, name: &str) -> Option<String> {
        if let Some(tip) = self.history.branches.get(name) {
            return Some(tip.clone());
        }
        let is_head = |item: &Item| item.pull().is_some_and(|pull| pull.head_sha == name);
        let known = self.history.parents.contains_key(name) || self.items.values().any(is_head);
        known.then(|| name.to_owned())
    }

    /// Compares two commits; `None`: one of them is not here, or they have no ancestor in common.
    pub(crate) fn compare(&self, base: &str, head: &str) -> Option<Compared> {
        let (base, head) = (self.resolve(base)?, self.resolve(head)?);
        let (of_base, of_head) = (self.ancestors(&base), self.ancestors(&head));
        let below: BTreeSet<&String> = of_base.iter().collect();
        // Nearest first, so that the first one that both have is the newest of those.
        let merge_base = of_head
            .iter()
            .find(|commit| below.contains(commit))?
            .clone();
        let above: BTreeSet<&String> = of_head.iter().collect();
        let behind = of_base.iter().filter(|one| !above.contains(one)).count();
        let ahead = of_head.iter().filter(|one| !below.contains(one));
        Some(Compared {
            merge_base,
            ahead: ahead.cloned().collect(),
            behind,
            base,
        })
    }

    /// The commit and all before it, nearest first.
    fn ancestors(&self, commit: &str) -> Vec<String> {
        let mut seen = BTreeSet::from([commit.to_owned()]);
        let mut found = Vec::new();
        let mut next = VecDeque::from([commit.to_owned()]);
        while let Some(commit) = next.pop_front() {
            for parent in self.history.parents.get(&commit).into_iter().flatten() {
                if seen.insert(parent.clone()) {
                    next.push_back(parent.clone());
                }
            }
            found.push(commit);
        }
        found
    }
}
