//! How many requests went out within a minute: GitHub's secondary limit counts those, too, that cost nothing.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use vigil_core::Timestamp;

/// REST requests that vigil sends as one account within any minute. GitHub takes 900 (docs: *rate limits for the REST
/// API*; a read is one point, a 304 included); a third of them is left to people and their agents, who ask as the same
/// user.
///
/// GraphQL needs no such number: one query is out at a time, and none comes back so soon that 2,000 would fit into a
/// minute.
pub const REST_PER_MINUTE_MAX: u64 = 600;

/// What counts as recent.
const WINDOW: Duration = Duration::from_secs(60);

/// Requests are counted in spans of this length, so that a few numbers remember a minute.
const SPAN_MS: u64 = 5_000;

/// Requests by the time that they were sent. Holds a minute and no more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Recent {
    /// When a span began, and the requests in it; the oldest first.
    spans: Vec<(Timestamp, u64)>,
}

impl Recent {
    /// `count` requests were sent at `at`.
    pub(crate) fn sent(&mut self, count: u64, at: Timestamp) {
        if count == 0 {
            return;
        }
        let begins = Timestamp(at.0 / SPAN_MS * SPAN_MS);
        self.spans.retain(|(began, _)| is_recent(*began, at));
        match self.spans.iter_mut().find(|(began, _)| *began == begins) {
            Some((_, sent)) => *sent = sent.saturating_add(count),
            None => self.spans.push((begins, count)),
        }
    }

    /// How many requests were sent in the minute before `now`, and up to [`SPAN_MS`] earlier.
    pub(crate) fn of_minute(&self, now: Timestamp) -> u64 {
        let recent = self
            .spans
            .iter()
            .filter(|(began, _)| is_recent(*began, now));
        recent.fold(0, |sum: u64, (_, sent)| sum.saturating_add(*sent))
    }

    /// Those of two accounts together.
    pub(super) fn plus(mut self, other: &Recent) -> Recent {
        self.spans.extend(&other.spans);
        self
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// What two processes know of the same account. Of a span that both know the larger number counts: each of them has
    /// read what the other had stored when it began, so that a sum would count most requests twice.
    pub(super) fn with(mut self, other: &Recent) -> Recent {
        for (began, theirs) in &other.spans {
            match self.spans.iter_mut().find(|(ours, _)| ours == began) {
                Some((_, ours)) => *ours = (*ours).max(*theirs),
                None => self.spans.push((*began, *theirs)),
            }
        }
        self.spans.sort_unstable();
        self
    }
}

/// A span that began ahead of the clock was counted before the clock was set back.
fn is_recent(began: Timestamp, now: Timestamp) -> bool {
    began <= now && Timestamp(began.0.saturating_add(SPAN_MS)).after(WINDOW) > now
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000_000);

    fn secs(secs: u64) -> Timestamp {
        NOW.after(Duration::from_secs(secs))
    }

    #[test]
    fn a_minute_is_remembered_and_no_more() {
        let mut recent = Recent::default();
        for at in 0..300 {
            recent.sent(2, secs(at));
        }
        assert_eq!(recent.of_minute(secs(299)), 2 * 65);
        assert!(recent.spans.len() <= 14, "{}", recent.spans.len());
        assert_eq!(
            recent.of_minute(secs(299 + 60)),
            2 * 5,
            "the last span, whole"
        );
        assert_eq!(recent.of_minute(secs(299 + 66)), 0);
        assert_eq!(recent.of_minute(NOW), 0, "the clock was set back");
    }

    #[test]
    fn what_two_processes_sent_in_the_same_seconds_is_not_counted_twice() {
        let mut stored = Recent::default();
        stored.sent(100, NOW);
        let (mut ours, mut theirs) = (stored.clone(), stored);
        ours.sent(20, secs(10));
        theirs.sent(7, secs(10));
        theirs.sent(5, secs(20));
        assert_eq!(ours.with(&theirs).of_minute(secs(20)), 125);
    }
}
