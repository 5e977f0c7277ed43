//! One thing that is known of GitHub, and when it is read again of its own accord.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use vigil_core::forge::{Issue, PullRequest, PullRequestState};
use vigil_core::time::minutes;
use vigil_core::{Fact, Gap, GapKind, Timestamp};

use crate::ask::Parts;
use crate::learn::Seen;
use crate::memory::watch::IDLE_MAX;

/// How often what is open is read again although nothing says that it changed: reads can be stale, and one look that
/// came at the wrong moment must not stay wrong.
pub const SWEEP_OPEN: Duration = minutes(60);

/// The same for what has ended.
pub const SWEEP_ENDED: Duration = minutes(24 * 60);

/// How soon an absent issue is looked for a second time: a little over the ten minutes that two looks must lie apart.
pub const SECOND_LOOK: Duration = minutes(11);

/// How often CI that is under way, held runs and the merge queue are looked at while few of them are watched: they
/// move without a trace in what GitHub calls an update.
pub const POLL_MIN: Duration = minutes(1);

/// The same while many are.
pub const POLL_MAX: Duration = minutes(10);

/// As many are polled every [`POLL_MIN`]; more of them stretch it, so that the price per hour stays the same.
pub(crate) const POLLED_EASILY: usize = 500;

/// How soon mergeability is asked for again while GitHub works it out, doubled with each try.
const NOT_READY_FIRST: Duration = Duration::from_secs(15);

/// Tries after which mergeability is left to the sweep, and after which an answer that is older than what was
/// announced is taken for the truth.
pub const TRIES_MAX: u8 = 5;

/// One thing that is known of GitHub.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", bound(deserialize = "T: Deserialize<'de>"))]
pub struct Known<T> {
    /// The last answer that said something: found or absent. Not asked: there was none yet.
    #[serde(default = "not_asked")]
    pub fact: Fact<T>,
    /// Its node id, by which another thing of the same name is told apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Since when it has been another thing than before; `None`: it always was this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other_since: Option<Timestamp>,
    /// What GitHub calls its last update, by GitHub's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated: Option<Timestamp>,
    /// The parts that `fact` holds.
    #[serde(default, skip_serializing_if = "Parts::is_empty")]
    pub parts: Parts,
    /// When `fact` was asked for.
    #[serde(default)]
    pub learned: Timestamp,
    /// Why the last try taught nothing; `None`: it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gap: Option<Gap>,
    /// When the last try was made.
    #[serde(default)]
    pub tried: Timestamp,
    /// GitHub says that it changed then, by its clock, and nobody has read it since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub announced: Option<Timestamp>,
    /// When it is read again in any case.
    #[serde(default)]
    pub due: Timestamp,
    /// Reads in a row that were older than what was announced.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub tries: u8,
    /// Reads in a row that found it still being worked out whether it can be merged.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unready: u8,
    /// Tries in a row that taught nothing.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub misses: u8,
}

fn not_asked<T>() -> Fact<T> {
    Fact::NotAsked
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_zero(number: &u8) -> bool {
    *number == 0
}

impl<T> Default for Known<T> {
    fn default() -> Self {
        Known {
            fact: Fact::NotAsked,
            id: None,
            other_since: None,
            updated: None,
            parts: Parts::empty(),
            learned: Timestamp::default(),
            gap: None,
            tried: Timestamp::default(),
            announced: None,
            due: Timestamp::default(),
            tries: 0,
            unready: 0,
            misses: 0,
        }
    }
}

/// Why something is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Why {
    /// Nothing is known of it, or not the part that is wanted now.
    Missing,
    /// GitHub said that it changed, or the last try failed.
    Changed,
    /// Nobody has seen it, and it may be the pull request of a branch that is waited for.
    Stranger,
    /// A move is to rest on it.
    Confirm,
    /// It moves without being announced.
    Poll,
    /// It has not been looked at for long.
    Sweep,
}

impl Why {
    /// Whether an answer depends on it. What is not urgent may be put off when the budget is short: what is known
    /// stands.
    pub fn is_urgent(self) -> bool {
        matches!(
            self,
            Why::Missing | Why::Changed | Why::Stranger | Why::Confirm
        )
    }
}

impl<T: Clone + PartialEq> Known<T> {
    /// Why it has to be asked for at `now`, with these parts; `None`: what is known will do.
    pub fn why(&self, parts: Parts, now: Timestamp) -> Option<Why> {
        if self.is_of_the_future(now) {
            return Some(Why::Changed);
        }
        if self.tried == now && self.tried > self.learned {
            // It was tried in this very pass, without success.
            return None;
        }
        if self.announced.is_none() && now < self.retry() && now >= self.tried {
            return None;
        }
        if matches!(self.fact, Fact::NotAsked) || !self.parts.contains(parts) {
            return Some(Why::Missing);
        }
        if self.announced.is_some() || self.gap.is_some() {
            return Some(Why::Changed);
        }
        // A due time far ahead was set before the clock was set back.
        if self.due <= now || self.due > now.after(SWEEP_ENDED) {
            let calm = self.due >= self.learned.after(SWEEP_OPEN / 2);
            return Some(if calm { Why::Sweep } else { Why::Poll });
        }
        None
    }

    /// It was learned before the clock was set back: how old it is, nobody knows.
    pub fn is_of_the_future(&self, now: Timestamp) -> bool {
        self.learned > now || self.tried > now
    }

    /// When it is tried again after a try that taught nothing. What ends by itself is tried in every pass; what a
    /// person has to change, after a pause that doubles with each try.
    fn retry(&self) -> Timestamp {
        let is_lasting = self.gap.as_ref().is_some_and(|gap| {
            matches!(
                gap.kind,
                GapKind::NotFound | GapKind::Denied | GapKind::IdentityChanged | GapKind::TooLarge
            )
        });
        if !is_lasting {
            return self.tried;
        }
        let doubled = POLL_MIN.saturating_mul(1 << self.misses.saturating_sub(1).min(8));
        // A pass never begins exactly on time.
        self.tried.after(doubled.min(IDLE_MAX) - POLL_MIN / 2)
    }

    /// GitHub says that this changed at `updated`, by its clock; gives whether that is news.
    pub fn announce(&mut self, updated: Timestamp) -> bool {
        if self.updated.is_some_and(|known| known >= updated)
            || self.announced.is_some_and(|known| known >= updated)
        {
            return false;
        }
        self.announced = Some(updated);
        self.tries = 0;
        self.unready = 0;
        self.misses = 0;
        true
    }

    /// It may be another one by now, for a reason that is no update: it is read again.
    pub fn doubt(&mut self) {
        if self.fact != Fact::NotAsked {
            self.announced = self.announced.or(Some(self.updated.unwrap_or_default()));
            self.misses = 0;
        }
    }

    /// The last try taught nothing. What was known stays remembered, and is not said any more.
    pub fn miss(&mut self, gap: Gap, now: Timestamp) {
        let since = self.gap.as_ref().and_then(|gap| gap.since);
        self.tried = now;
        self.misses = self.misses.saturating_add(1);
        self.gap = Some(Gap {
            since: since.or(gap.since).or(Some(now)),
            ..gap
        });
    }

    /// Takes an answer in; gives whether it said anything else than what was known. An answer of a replica that lags
    /// behind what was announced is not news: it is asked for again, a few times.
    pub fn take(&mut self, seen: Seen<T>, parts: Parts, now: Timestamp) -> bool {
        if let Fact::Unknown(gap) = seen.fact {
            self.miss(gap, now);
            return true;
        }
        let wanted = self.announced.max(self.updated);
        if let (Some(wanted), Some(got)) = (wanted, seen.updated)
            && got < wanted
            && self.tries < TRIES_MAX
        {
            self.tries += 1;
            self.miss(
                Gap::new(
                    GapKind::NotReady,
                    "GitHub answered with an older state than it had announced",
                ),
                now,
            );
            self.announced = Some(wanted);
            return true;
        }
        if let (Some(known), Some(got)) = (&self.id, &seen.id)
            && known != got
        {
            self.other_since = Some(now);
        }
        self.id = seen.id.or(self.id.take());
        self.updated = seen.updated.or(self.updated);
        let fact = seen.fact.carry(&self.fact, now);
        let changed = fact != self.fact;
        self.fact = fact;
        self.parts = parts;
        self.learned = now;
        self.tried = now;
        self.gap = None;
        self.tries = 0;
        self.misses = 0;
        self.announced = None;
        changed
    }

    /// The gap in the place of what was known, if it must not be said any more.
    pub fn doubtful(&self) -> Option<Gap> {
        if let Some(gap) = &self.gap {
            return Some(gap.clone());
        }
        self.announced.is_some().then(|| {
            Gap::new(
                GapKind::NotReady,
                "GitHub says that it changed, and it has not been read since",
            )
        })
    }
}

/// When an issue is read again in any case.
pub(crate) fn issue_due(known: &Known<Issue>, number: u32, now: Timestamp) -> Timestamp {
    match &known.fact {
        Fact::Found(issue) if !issue.open => now.after(spread(SWEEP_ENDED, number)),
        Fact::Absent(sighting) if sighting.first.age(sighting.last) < SECOND_LOOK => {
            now.after(SECOND_LOOK)
        }
        _ => now.after(spread(SWEEP_OPEN, number)),
    }
}

/// When a pull request is read again in any case, while `polled` of them move without being announced.
pub(crate) fn pull_request_due(
    known: &Known<PullRequest>,
    number: u32,
    polled: usize,
    now: Timestamp,
) -> Timestamp {
    let Fact::Found(pr) = &known.fact else {
        return now.after(spread(SWEEP_OPEN, number));
    };
    if pr.state != PullRequestState::Open {
        return now.after(spread(SWEEP_ENDED, number));
    }
    if is_being_worked_out(pr) && known.unready < TRIES_MAX {
        return now.after(NOT_READY_FIRST * (1 << known.unready.saturating_sub(1)));
    }
    if moves_by_itself(pr) {
        return now.after(poll(polled));
    }
    now.after(spread(SWEEP_OPEN, number))
}

/// GitHub is still working out whether it can be merged; an older answer for the same head may stand meanwhile.
pub(crate) fn is_being_worked_out(pr: &PullRequest) -> bool {
    match &pr.mergeability {
        Fact::Unknown(gap) => gap.kind == GapKind::NotReady,
        Fact::Found(merge) => merge.observed < pr.parts_observed,
        _ => false,
    }
}

/// CI under way or held, or a place in the merge queue: things that change without an update of the pull request.
pub fn moves_by_itself(pr: &PullRequest) -> bool {
    if pr.state != PullRequestState::Open {
        return false;
    }
    let under_way = pr
        .checks
        .found()
        .is_some_and(|word| word == "pending" || word == "held");
    let held = pr.runs.found().is_some_and(|runs| !runs.is_empty());
    under_way || held || pr.queue.found().is_some()
}

/// From one poll to the next while `polled` are polled.
pub(crate) fn poll(polled: usize) -> Duration {
    let times = u32::try_from(polled.div_ceil(POLLED_EASILY)).unwrap_or(u32::MAX);
    POLL_MIN.saturating_mul(times.max(1)).min(POLL_MAX)
}

/// Up to a quarter less than `span`, the same for the same number: what was learned at once is not read again at once.
fn spread(span: Duration, number: u32) -> Duration {
    let hundredth = number.wrapping_mul(2_654_435_761) % 100;
    span - span / 400 * hundredth
}

/// Keeps what was known of a part that GitHub is working out anew, as long as the head is the same one.
pub(crate) fn keep_mergeability(new: &mut PullRequest, old: Option<&PullRequest>) {
    let working = new
        .mergeability
        .gap()
        .is_some_and(|gap| gap.kind == GapKind::NotReady);
    if let Some(old) = old
        && working
        && old.number == new.number
        && old.head_sha == new.head_sha
        && old.base_ref == new.base_ref
        && let Fact::Found(known) = &old.mergeability
    {
        new.mergeability = Fact::Found(known.clone());
    }
}
