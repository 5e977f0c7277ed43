//! What nobody asks about any more is forgotten, as the store forgets its rows: a process that runs for months would
//! otherwise keep everything that it ever saw.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use vigil_core::Timestamp;

use super::due::SWEEP_ENDED;
use super::{Known, Memory};

/// Whatever is of use to somebody was tried within this time: twice the longest time between two reads.
const IN_USE: Duration = SWEEP_ENDED.saturating_mul(2);

impl Memory {
    /// Forgets what was tried last more than `max_age` before `now`, or as far ahead by a clock that was wrong, and
    /// repositories of which nothing is left; gives how many things. The store does the same with its rows, so that none
    /// of this is a change to be stored. Nothing is forgotten that was in use within two days.
    pub fn prune(&mut self, now: Timestamp, max_age: Duration) -> usize {
        let max_age = max_age.max(IN_USE);
        let (oldest, newest) = (now.before(max_age), now.after(max_age));
        let is_kept = |at: Timestamp| oldest <= at && at <= newest;
        let mut gone = 0;
        self.repos.retain(|_, of_repo| {
            gone += prune(&mut of_repo.issues, is_kept);
            gone += prune(&mut of_repo.pulls, is_kept);
            gone += prune(&mut of_repo.branches, is_kept);
            gone += prune(&mut of_repo.compares, is_kept);
            of_repo.prune_named();
            let is_empty = of_repo.issues.is_empty()
                && of_repo.pulls.is_empty()
                && of_repo.branches.is_empty()
                && of_repo.compares.is_empty();
            let stays = !is_empty || is_kept(of_repo.watch.tried);
            gone += usize::from(!stays);
            stays
        });
        if gone > 0 {
            self.repos.shrink_to_fit();
        }
        gone
    }
}

fn prune<K: Eq + Hash, T>(
    things: &mut HashMap<K, Box<Known<T>>>,
    is_kept: impl Fn(Timestamp) -> bool,
) -> usize {
    let before = things.len();
    things.retain(|_, known| is_kept(known.tried));
    let gone = before - things.len();
    if gone > 0 {
        things.shrink_to_fit();
    }
    gone
}
