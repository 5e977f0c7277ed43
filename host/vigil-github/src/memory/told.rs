//! What another process has learned, as this one finds out by reading what is stored anew: it may have been read before
//! the last judgement here, and is news all the same.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher as _};

use vigil_core::Timestamp;
use vigil_core::session::Lookup;

use super::due::SWEEP_OPEN;
use super::{Memory, RepoMemory, branch_key};
use crate::ask::Wants;

/// Stands for one thing in few bytes, since a large fleet has many: its repository, its kind, and its number or name.
type Place = u64;

/// When each thing was tried last, as far as a process knew before it read what is stored anew.
#[derive(Debug)]
pub struct Held {
    tried: HashMap<Place, Timestamp>,
    told: Told,
}

/// What turned out to be known otherwise, and when that was found out. Never stored.
#[derive(Clone, Debug, Default)]
pub(super) struct Told(HashMap<Place, Timestamp>);

fn issue(key: &str, number: u32) -> Place {
    place((key, 'i', number))
}

fn pull(key: &str, number: u32) -> Place {
    place((key, 'p', number))
}

fn branch(key: &str, name: &str) -> Place {
    place((key, 'b', name))
}

fn place(of: impl Hash) -> Place {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

impl Memory {
    /// What is remembered here, to be compared with what is read from the store in its place.
    pub fn held(&self) -> Held {
        Held {
            tried: self.tries().collect(),
            told: self.told.clone(),
        }
    }

    /// This was read in the place of `held`, at `now`: what was tried at another moment than was known there is news to
    /// whoever judged before. What was found out earlier in the same way stays so for as long as a judgement may take.
    pub fn tell(&mut self, held: Held, now: Timestamp) {
        let Held { tried, told } = held;
        let mut told = told;
        told.0.retain(|_, at| at.age(now) < SWEEP_OPEN);
        let news = self
            .tries()
            .filter(|(place, at)| tried.get(place) != Some(at))
            .map(|(place, _)| (place, now));
        told.0.extend(news);
        self.told = told;
    }

    fn tries(&self) -> impl Iterator<Item = (Place, Timestamp)> {
        self.repos.iter().flat_map(|(key, of)| {
            let issues = of.issues.iter();
            let pulls = of.pulls.iter();
            let branches = of.branches.iter();
            issues
                .map(|(number, known)| (issue(key, *number), known.tried))
                .chain(pulls.map(|(number, known)| (pull(key, *number), known.tried)))
                .chain(branches.map(|(name, known)| (branch(key, name), known.tried)))
        })
    }

    /// Whether something that a session rests on turned out, after `judged`, to be known otherwise.
    pub(super) fn was_told(&self, lookup: &Lookup, wants: Wants, judged: Timestamp) -> bool {
        if self.told.0.is_empty() {
            return false;
        }
        let is_news = |place: Place| self.told.0.get(&place).is_some_and(|at| *at > judged);
        let small = |number: u64| u32::try_from(number).ok();
        let of_issue = lookup.issue().filter(|_| wants.any_issue());
        let of_pull = lookup.pull_request();
        let of_pull = of_pull.filter(|_| wants.any_pull_request());
        of_issue.is_some_and(|at| {
            let key = at.repo.to_ascii_lowercase();
            small(at.number).is_some_and(|number| is_news(issue(&key, number)))
        }) || of_pull.is_some_and(|at| {
            let key = at.repo.to_ascii_lowercase();
            let owner = at.head_owner.as_deref().unwrap_or_default();
            let of_repo = self.repos.get(&key);
            let number = at.number.and_then(small);
            number.is_some_and(|number| is_news(pull(&key, number)))
                || at.branches.iter().any(|name| {
                    let name = branch_key(owner, name);
                    let mut numbers = of_repo.into_iter().flat_map(|of| numbers(of, &name));
                    is_news(branch(&key, &name))
                        || numbers.any(|number| is_news(pull(&key, number)))
                })
        })
    }
}

/// The pull requests of a branch.
fn numbers(of_repo: &RepoMemory, name: &str) -> impl Iterator<Item = u32> {
    let list = of_repo.branch(name).and_then(|known| known.fact.found());
    list.into_iter()
        .flat_map(|list| list.numbers.iter().copied())
}
