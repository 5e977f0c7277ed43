//! From commit to commit: what one side has and the other has not, and where two sides came apart.

use std::collections::{BinaryHeap, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use gix_object::Kind;
use vigil_core::fact::{Gap, GapKind};

use super::commit::Commit;
use super::objects::Objects;
use super::oid::Oid;

/// 300,000 commits in one walk: a second or two. Only a branch that has nothing in common with any other comes near.
const COMMITS_MAX: usize = 300_000;

/// 5: as many more steps as git takes after all seems to be known, for commits whose times lie.
const SLOP: usize = 5;

/// Commits that were read, kept for all looks at a repository.
#[derive(Debug, Default)]
pub(crate) struct Known(Mutex<HashMap<Oid, Arc<Commit>>>);

/// The history of a repository, for one look.
pub(crate) struct History<'a> {
    pub(crate) objects: &'a Objects,
    /// Commits at which the clone's history ends (a shallow clone).
    pub(crate) ends: &'a HashSet<Oid>,
    pub(crate) known: &'a Known,
}

/// The commits of one side that the other has not.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Apart {
    /// The newest first.
    pub(crate) commits: Vec<Oid>,
    /// A commit of the other side is not in the clone: some of `commits` may be its ancestors.
    pub(crate) unsure: bool,
}

impl History<'_> {
    /// The commit `oid`. `None`: the clone does not have it.
    pub(crate) fn find(&self, oid: &Oid) -> Result<Option<Arc<Commit>>, Gap> {
        let known = |map: &Known| {
            let map = map.0.lock().unwrap_or_else(PoisonError::into_inner);
            map.get(oid).cloned()
        };
        if let Some(commit) = known(self.known) {
            return Ok(Some(commit));
        }
        let Some((kind, content)) = self.objects.read(oid)? else {
            return Ok(None);
        };
        if kind != Kind::Commit {
            return Err(Gap::new(
                GapKind::Malformed,
                format!("object {oid} is no commit"),
            ));
        }
        let mut commit = Commit::parse(oid, &content)?;
        if self.ends.contains(oid) {
            commit.parents.clear();
        }
        let commit = Arc::new(commit);
        let mut map = self.known.0.lock().unwrap_or_else(PoisonError::into_inner);
        map.insert(*oid, Arc::clone(&commit));
        Ok(Some(commit))
    }

    /// The commit `oid`, which must be there.
    pub(crate) fn get(&self, oid: &Oid) -> Result<Arc<Commit>, Gap> {
        self.find(oid)?.ok_or_else(|| {
            Gap::new(
                GapKind::NoControl,
                format!("commit {oid} is not in the repository"),
            )
        })
    }

    /// The commits that can be reached from `tips` and from none of `others`.
    pub(crate) fn only_in(
        &self,
        tips: &[Oid],
        others: impl IntoIterator<Item = Oid>,
    ) -> Result<Apart, Gap> {
        let mut walk = Walk::default();
        for oid in others {
            match self.find(&oid) {
                Ok(Some(commit)) => walk.push(oid, commit, true),
                Ok(None) | Err(_) => walk.unsure = true,
            }
        }
        for oid in tips {
            if !walk.seen.contains_key(oid) {
                walk.push(*oid, self.get(oid)?, false);
            }
        }
        self.run(walk)
    }

    fn run(&self, mut walk: Walk) -> Result<Apart, Gap> {
        let mut found: Vec<(Oid, i64)> = Vec::new();
        let mut slop = SLOP;
        while let Some(Waiting { time, oid }) = walk.waiting.pop() {
            let Some(seen) = walk.seen.get_mut(&oid) else {
                continue;
            };
            seen.done = true;
            let (commit, other) = (Arc::clone(&seen.commit), seen.other);
            if other {
                // Nobody waits any more whose side is open: what was found stands, but for wrong times.
                if walk.open == 0 {
                    let oldest = found
                        .iter()
                        .filter(|(oid, _)| !walk.is_other(oid))
                        .map(|(_, time)| *time)
                        .min();
                    match oldest {
                        None => break,
                        Some(oldest) if time >= oldest => slop = SLOP,
                        Some(_) if slop == 0 => break,
                        Some(_) => slop -= 1,
                    }
                }
            } else {
                walk.open -= 1;
                found.push((oid, time));
            }
            for parent in &commit.parents {
                match walk.seen.get(parent) {
                    Some(seen) if other && !seen.other => walk.cede(parent),
                    Some(_) => {}
                    None => match self.find(parent) {
                        Ok(Some(commit)) => walk.push(*parent, commit, other),
                        // What the other side lacks only makes the answer too large.
                        Ok(None) | Err(_) if other => walk.unsure = true,
                        Ok(None) => {
                            self.get(parent)?;
                        }
                        Err(gap) => return Err(gap),
                    },
                }
            }
            if walk.seen.len() > COMMITS_MAX {
                return Err(Gap::new(
                    GapKind::TooLarge,
                    format!("more than {COMMITS_MAX} commits would have to be looked at"),
                ));
            }
        }
        found.retain(|(oid, _)| !walk.is_other(oid));
        Ok(Apart {
            commits: found.into_iter().map(|(oid, _)| oid).collect(),
            unsure: walk.unsure,
        })
    }

    /// The newest commit that both can be reached from. `None`: they have nothing in common.
    pub(crate) fn base(&self, one: &Oid, other: &Oid) -> Result<Option<Oid>, Gap> {
        const ONE: u8 = 1;
        const OTHER: u8 = 2;
        let mut sides: HashMap<Oid, u8> = HashMap::new();
        let mut waiting = BinaryHeap::new();
        for (oid, side) in [(one, ONE), (other, OTHER)] {
            *sides.entry(*oid).or_default() |= side;
            waiting.push(Waiting {
                time: self.get(oid)?.time,
                oid: *oid,
            });
        }
        while let Some(Waiting { oid, .. }) = waiting.pop() {
            let side = sides.get(&oid).copied().unwrap_or_default();
            if side == ONE | OTHER {
                return Ok(Some(oid));
            }
            if sides.len() > COMMITS_MAX {
                return Ok(None);
            }
            for parent in &self.get(&oid)?.parents {
                let known = sides.entry(*parent).or_default();
                if *known | side != *known {
                    *known |= side;
                    if let Some(commit) = self.find(parent)? {
                        waiting.push(Waiting {
                            time: commit.time,
                            oid: *parent,
                        });
                    }
                }
            }
        }
        Ok(None)
    }
}

#[derive(Default)]
struct Walk {
    seen: HashMap<Oid, Seen>,
    waiting: BinaryHeap<Waiting>,
    /// Of those that wait, how many the other side is not known to have.
    open: usize,
    unsure: bool,
}

struct Seen {
    commit: Arc<Commit>,
    /// The other side has it.
    other: bool,
    /// It no longer waits.
    done: bool,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Waiting {
    time: i64,
    oid: Oid,
}

impl Walk {
    fn push(&mut self, oid: Oid, commit: Arc<Commit>, other: bool) {
        self.waiting.push(Waiting {
            time: commit.time,
            oid,
        });
        if !other {
            self.open += 1;
        }
        let done = false;
        self.seen.insert(
            oid,
            Seen {
                commit,
                other,
                done,
            },
        );
    }

    fn is_other(&self, oid: &Oid) -> bool {
        self.seen.get(oid).is_some_and(|seen| seen.other)
    }

    /// Gives `oid`, and all that was seen of what it was made from, to the other side.
    fn cede(&mut self, oid: &Oid) {
        let mut left = vec![*oid];
        while let Some(oid) = left.pop() {
            let Some(seen) = self.seen.get_mut(&oid) else {
                continue;
            };
            if seen.other {
                continue;
            }
            seen.other = true;
            if !seen.done {
                self.open -= 1;
            }
            left.extend(&seen.commit.parents);
        }
    }
}
