//! Whether two lines of work have a commit in common that is of neither's beginning.

use std::collections::HashSet;

use vigil_core::fact::{Gap, GapKind};

use super::oid::Oid;
use super::walk::History;

/// 200,000 commits of one branch: whoever has more than that since a session's work began is told so.
const TRUNK_MAX: usize = 200_000;

/// A day in seconds: clocks of people who commit differ, and the times of a trunk seldom go back by more.
const SKEW_S: i64 = 24 * 60 * 60;

impl History<'_> {
    /// Whether `tip` and `other`, which are both here, have a commit in common that lies on none of `trunks`, each the
    /// newest commit of a branch that work begins from: commits that were pushed or merged into it by its own line.
    /// What a merge brought in from aside lies beside it. An untouched checkout therefore shares nothing with anybody.
    pub(crate) fn shares_work(&self, tip: Oid, other: Oid, trunks: &[Oid]) -> Result<bool, Gap> {
        let apart = self.only_in(&[tip], [other])?;
        if apart.unsure {
            return Err(Gap::new(
                GapKind::NoControl,
                format!("the history of commit {other} is not whole in the clone"),
            ));
        }
        if apart.commits.is_empty() {
            // All of it is a part of the other one.
            return Ok(!self.is_on_a_trunk(tip, trunks)?);
        }
        let own: HashSet<Oid> = apart.commits.iter().copied().collect();
        let mut seen = HashSet::new();
        for commit in &apart.commits {
            for parent in &self.get(commit)?.parents {
                let is_shared = !own.contains(parent) && seen.insert(*parent);
                if is_shared && !self.is_on_a_trunk(*parent, trunks)? {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Whether `commit` lies on the line of one of `trunks`: on it, its first parent, that one's, and so on.
    pub(crate) fn is_on_a_trunk(&self, commit: Oid, trunks: &[Oid]) -> Result<bool, Gap> {
        let time = self.get(&commit)?.time;
        for trunk in trunks {
            let mut at = *trunk;
            for step in 0.. {
                if at == commit {
                    return Ok(true);
                }
                if step == TRUNK_MAX {
                    return Err(Gap::new(
                        GapKind::TooLarge,
                        format!("{commit} lies more than {TRUNK_MAX} commits before {trunk}"),
                    ));
                }
                let Some(here) = self.find(&at)? else { break };
                match here.parents.first() {
                    Some(parent) if here.time.saturating_add(SKEW_S) >= time => at = *parent,
                    _ => break,
                }
            }
        }
        Ok(false)
    }
}
