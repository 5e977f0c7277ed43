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

/// Requests by the time that they were sent, by all processes as far as they stored it. Holds a minute and no more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Recent {
    /// The oldest first.
    spans: Vec<Span>,
}

/// The requests of one span.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Span {
    /// When it began.
    began: Timestamp,
    /// The requests in it.
    sent: u64,
    /// Those of them that no stored row holds yet: this process sent them, and no other one knows.
    #[serde(default)]
    unstored: u64,
}

impl Recent {
    /// `count` requests were sent at `at`.
    pub(crate) fn sent(&mut self, count: u64, at: Timestamp) {
        if count == 0 {
            return;
        }
        let begins = Timestamp(at.0 / SPAN_MS * SPAN_MS);
        self.spans.retain(|span| is_recent(span.began, at));
        let span = self.span_mut(begins);
        span.sent = span.sent.saturating_add(count);
        span.unstored = span.unstored.saturating_add(count);
    }

    /// The span that began at `began`, empty where there was none.
    fn span_mut(&mut self, began: Timestamp) -> &mut Span {
        let known = self.spans.iter().position(|span| span.began == began);
        let at = known.unwrap_or(self.spans.len());
        if known.is_none() {
            self.spans.push(Span {
                began,
                sent: 0,
                unstored: 0,
            });
        }
        &mut self.spans[at]
    }

    /// All of it stands in a row that is handed out to be stored.
    pub(super) fn stored(&mut self) {
        for span in &mut self.spans {
            span.unstored = 0;
        }
    }

    /// How many requests were sent in the minute before `now`, and up to [`SPAN_MS`] earlier.
    pub(crate) fn of_minute(&self, now: Timestamp) -> u64 {
        let recent = self.spans.iter().filter(|span| is_recent(span.began, now));
        recent.fold(0, |sum: u64, span| sum.saturating_add(span.sent))
    }

    /// Those of two accounts together.
    pub(super) fn plus(mut self, other: &Recent) -> Recent {
        self.spans.extend(&other.spans);
        self
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// What this process knows of an account and what another one, `other`, has stored of it. As with what is taken from
    /// a pot, what this process has not stored yet comes on top of the other's.
    pub(super) fn with(mut self, other: &Recent) -> Recent {
        for theirs in &other.spans {
            let ours = self.span_mut(theirs.began);
            ours.sent = ours.sent.max(theirs.sent.saturating_add(ours.unstored));
        }
        self.stored();
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
    fn what_two_processes_sent_in_the_same_seconds_adds_up_and_nothing_counts_twice() {
        let mut stored = Recent::default();
        stored.sent(100, NOW);
        stored.stored();
        // Both begin with that, and store what they sent in turns.
        let (mut ours, mut theirs) = (stored.clone(), stored.clone());
        for at in [10, 10, 20] {
            for process in [&mut ours, &mut theirs] {
                process.sent(20, secs(at));
                stored = process.clone().with(&stored);
                process.stored();
            }
        }
        assert_eq!(stored.of_minute(secs(20)), 220);
        // To store it once more changes nothing.
        assert_eq!(ours.with(&stored).of_minute(secs(20)), 220);
    }
}
