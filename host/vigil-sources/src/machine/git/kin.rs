//! Whether two lines of work have a commit in common that is of neither's beginning.

use std::collections::HashSet;

use vigil_core::fact::{Gap, GapKind};

use super::oid::Oid;
use super::walk::History;

/// 20,000 commits of one session: whoever has more has begun from no branch that is known.
const OWN_MAX: usize = 20_000;

/// 200,000 commits of one branch since the oldest commit that is looked for.
const TRUNK_MAX: usize = 200_000;

/// A day in seconds: clocks of people who commit differ, and the times of a trunk seldom go back by more.
const SKEW_S: i64 = 24 * 60 * 60;

/// The lines of branches that work begins from, read as far as they are needed: a branch's newest commit, its first
/// parent, that one's, and so on. What a merge brought in from aside is no part of them.
#[derive(Debug)]
pub(crate) struct Trunks {
    seen: HashSet<Oid>,
    /// Where each goes on.
    next: Vec<Oid>,
}

impl Trunks {
    /// The lines that end with `tips`.
    pub(crate) fn of(tips: &[Oid]) -> Trunks {
        Trunks {
            seen: HashSet::new(),
            next: tips.to_vec(),
        }
    }

    /// Whether `commit`, made at `time`, is on one of them.
    fn have(&mut self, history: &History<'_>, commit: Oid, time: i64) -> Result<bool, Gap> {
        let mut left = Vec::new();
        for mut at in std::mem::take(&mut self.next) {
            // A commit that the clone lacks ends the line.
            while let Some(here) = history.find(&at)? {
                if here.time.saturating_add(SKEW_S) < time {
                    left.push(at);
                    break;
                }
                if self.seen.len() >= TRUNK_MAX {
                    return Err(too_large(TRUNK_MAX));
                }
                let is_new = self.seen.insert(at);
                match here.parents.first() {
                    Some(parent) if is_new => at = *parent,
                    _ => break,
                }
            }
        }
        self.next = left;
        Ok(self.seen.contains(&commit))
    }
}

impl History<'_> {
    /// The commits that lead to `tips` and lie on none of `trunks`, as far as they are reached without going along one:
    /// nothing for an untouched checkout, whatever was merged into the branch that it began from.
    pub(crate) fn own_of(
        &self,
        tips: impl IntoIterator<Item = Oid>,
        trunks: &mut Trunks,
    ) -> Result<HashSet<Oid>, Gap> {
        let mut own = HashSet::new();
        let mut waiting: Vec<Oid> = tips.into_iter().collect();
        while let Some(commit) = waiting.pop() {
            if own.contains(&commit) {
                continue;
            }
            let here = self.get(&commit)?;
            if trunks.have(self, commit, here.time)? {
                continue;
            }
            if own.len() >= OWN_MAX {
                return Err(too_large(OWN_MAX));
            }
            own.insert(commit);
            waiting.extend(here.parents.iter().copied());
        }
        Ok(own)
    }

    /// Those of `own` that were made from nothing else in it: where the work began.
    pub(crate) fn firsts(&self, own: &HashSet<Oid>) -> Result<Vec<Oid>, Gap> {
        let mut firsts = Vec::new();
        for oid in own {
            let parents = &self.get(oid)?.parents;
            if !parents.iter().any(|parent| own.contains(parent)) {
                firsts.push(*oid);
            }
        }
        firsts.sort_unstable();
        Ok(firsts)
    }
}

fn too_large(most: usize) -> Gap {
    Gap::new(
        GapKind::TooLarge,
        format!("more than {most} commits would have to be looked at"),
    )
}
