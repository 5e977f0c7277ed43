//! Who asks by hand has perhaps just put right what a person has to put right: the pauses between tries are the
//! daemon's.

use std::time::Duration;

use vigil_core::Timestamp;

use super::{Known, Memory};

impl Memory {
    /// Ends the pauses of what was tried in vain `max_age` or more before `now`.
    pub(crate) fn ask_again(&mut self, max_age: Duration, now: Timestamp) {
        for repo in self.repos.values_mut() {
            repo.issues
                .values_mut()
                .for_each(|known| end_pause(known, max_age, now));
            repo.pulls
                .values_mut()
                .for_each(|known| end_pause(known, max_age, now));
            repo.compares
                .values_mut()
                .for_each(|known| end_pause(known, max_age, now));
            repo.branches
                .values_mut()
                .for_each(|known| end_pause(known, max_age, now));
        }
    }
}

fn end_pause<T>(known: &mut Known<T>, max_age: Duration, now: Timestamp) {
    if known.gap.is_some() && known.tried.age(now) >= max_age {
        known.misses = 0;
    }
}
