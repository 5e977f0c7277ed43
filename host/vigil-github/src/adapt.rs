//! How many questions go into one query: as many as GitHub answers well.
//!
//! Points do not bind, time does: GitHub gives a query 10 seconds and a budget of resources that it does not publish
//! (docs: *resource limits* of the GraphQL API). So a query starts small, grows while answers are quick, and is halved
//! when one is too much.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Fewer would not help any more: what fails with ten fails for another reason.
pub const BATCH_MIN: usize = 10;

/// Questions in one query at most; a hundred lists cost one point.
pub const BATCH_MAX: usize = 100;

/// What a query starts with.
pub const BATCH_START: usize = 50;

/// An answer that took less leaves room for more.
const QUICK: Duration = Duration::from_secs(3);

/// Quick answers in a row, after a query that was too much, before a larger one is tried.
const CALM: u8 = 8;

/// How many questions go into one query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Batch {
    size: usize,
    /// Quick answers that are still to come before it grows.
    wait: u8,
}

impl Default for Batch {
    fn default() -> Self {
        Batch {
            size: BATCH_START,
            wait: 0,
        }
    }
}

impl Batch {
    /// Between [`BATCH_MIN`] and [`BATCH_MAX`], also when what was stored says otherwise.
    pub fn size(self) -> usize {
        self.size.clamp(BATCH_MIN, BATCH_MAX)
    }

    /// A full query was answered after `took`.
    pub fn answered(&mut self, took: Duration) {
        if took >= QUICK {
            return;
        }
        match self.wait.checked_sub(1) {
            Some(wait) => self.wait = wait,
            None => self.size = (self.size() * 2).min(BATCH_MAX),
        }
    }

    /// A query was too much: no answer in time, or GitHub said so.
    pub fn too_much(&mut self) {
        self.size = (self.size() / 2).max(BATCH_MIN);
        self.wait = CALM;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT_ONCE: Duration = Duration::from_millis(200);

    #[test]
    fn it_grows_while_answers_are_quick() {
        let mut batch = Batch::default();
        assert_eq!(batch.size(), 50);
        batch.answered(Duration::from_secs(4));
        assert_eq!(batch.size(), 50);
        batch.answered(AT_ONCE);
        batch.answered(AT_ONCE);
        assert_eq!(batch.size(), 100);
    }

    #[test]
    fn it_shrinks_at_once_and_grows_back_slowly() {
        let mut batch = Batch::default();
        for expected in [25, 12, 10, 10] {
            batch.too_much();
            assert_eq!(batch.size(), expected);
        }
        for _ in 0..8 {
            batch.answered(AT_ONCE);
        }
        assert_eq!(batch.size(), 10);
        batch.answered(AT_ONCE);
        assert_eq!(batch.size(), 20);
    }
}
