//! One thing that is known of GitHub.

use std::mem::replace;

use serde::{Deserialize, Serialize};
use vigil_core::forge::{Issue, PullRequest};
use vigil_core::{Fact, Gap, GapKind, Timestamp};

use crate::ask::Parts;
use crate::learn::Seen;
use crate::memory::Branch;
use crate::memory::due::{LAG_MAX, POLL_MIN, SWEEP_ENDED, SWEEP_OPEN, TRIES_MAX, shows_after};
use crate::memory::watch::IDLE_MAX;

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
    pub gap: Option<Box<Gap>>,
    /// When the last try was made.
    #[serde(default)]
    pub tried: Timestamp,
    /// GitHub says that it changed then, by its clock, and nobody has read it since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub announced: Option<Timestamp>,
    /// A webhook told of something that happened to it, at that moment by this machine's clock, and no read so far
    /// came late enough to be sure to show it; zero: none did. No option, since a large fleet has a million of them.
    #[serde(default, skip_serializing_if = "is_never")]
    pub woken: Timestamp,
    /// When it is read again in any case.
    #[serde(default)]
    pub due: Timestamp,
    /// Reads in a row that were older than what was announced.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub tries: u8,
    /// Reads in a row that left a part open: it got lost, or GitHub was still working it out.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unready: u8,
    /// When a new commit was first seen at the head of a pull request; `None`: it was there from the beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head_since: Option<Timestamp>,
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

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_never(at: &Timestamp) -> bool {
    *at == Timestamp::default()
}

/// Something that bears the moment at which it was read, which is no part of what it says.
pub trait Timeless {
    /// Whether both say the same. Takes its own for the time of the comparison, and gives it back as it was: a large
    /// fleet compares each thing that it reads with what it remembers, which a copy of both would double.
    fn says_as(&mut self, other: &Self) -> bool;
}

impl Timeless for Issue {
    fn says_as(&mut self, other: &Self) -> bool {
        let own = replace(&mut self.observed, other.observed);
        let same = self == other;
        self.observed = own;
        same
    }
}

impl Timeless for PullRequest {
    fn says_as(&mut self, other: &Self) -> bool {
        fn mergeability(of: &mut PullRequest) -> Option<&mut Timestamp> {
            match &mut of.mergeability {
                Fact::Found(known) => Some(&mut known.observed),
                _ => None,
            }
        }
        let own = replace(&mut self.observed, other.observed);
        let own_parts = replace(&mut self.parts_observed, other.parts_observed);
        let own_mergeability = match (mergeability(self), other.mergeability.found()) {
            (Some(ours), Some(theirs)) => Some(replace(ours, theirs.observed)),
            _ => None,
        };
        let same = self == other;
        (self.observed, self.parts_observed) = (own, own_parts);
        if let (Some(ours), Some(own)) = (mergeability(self), own_mergeability) {
            *ours = own;
        }
        same
    }
}

impl Timeless for Branch {
    fn says_as(&mut self, other: &Self) -> bool {
        self == other
    }
}

fn is_same<T: Timeless>(one: &mut Fact<T>, other: &Fact<T>) -> bool {
    match (one, other) {
        (Fact::Found(one), Fact::Found(other)) => one.says_as(other),
        (Fact::Absent(one), Fact::Absent(other)) => one.detail == other.detail,
        (Fact::NotAsked, Fact::NotAsked) => true,
        _ => false,
    }
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
            woken: Timestamp::default(),
            due: Timestamp::default(),
            tries: 0,
            unready: 0,
            head_since: None,
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

impl<T: Clone + Timeless> Known<T> {
    /// Why it has to be asked for at `now`, with these parts; `None`: what is known will do.
    pub fn why(&self, parts: Parts, now: Timestamp) -> Option<Why> {
        if self.is_of_the_future(now) {
            return Some(Why::Changed);
        }
        if self.tried == now && self.gap.is_some() {
            // It was tried in this very pass, without success.
            return None;
        }
        // News end the pause, for one try: what they told of may not be to be had either.
        let is_news = self.announced.is_some() && self.misses == 0;
        if !is_news && now < self.retry() && now >= self.tried {
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
        let is_lasting = self.gap.as_deref().is_some_and(|gap| {
            matches!(
                gap.kind,
                GapKind::NotFound
                    | GapKind::Denied
                    | GapKind::IdentityChanged
                    | GapKind::NoControl
                    | GapKind::TooLarge
            )
        });
        if !is_lasting || self.misses == 0 {
            return self.tried;
        }
        let doubled = POLL_MIN.saturating_mul(1 << (self.misses - 1).min(8));
        // A pass never begins exactly on time.
        self.tried.after(doubled.min(IDLE_MAX) - POLL_MIN / 2)
    }

    /// Whether it has to be looked at, at `now`, by who judged it at `judged`: it was announced, is due, or was read
    /// since. That another try failed says nothing new but to who judged before the first one; when it is tried again is
    /// for the schedule to say, or else a fleet that GitHub does not answer would be looked at in every pass.
    pub(super) fn calls(&self, judged: Timestamp, parts: Parts, now: Timestamp) -> bool {
        match self.gap.as_deref() {
            Some(gap) if self.misses > 0 && !self.is_outdated() => gap
                .since
                .is_some_and(|since| judged < since && since <= now),
            _ => self.tried > judged || self.why(parts, now).is_some(),
        }
    }

    /// Whether it was tried last within one of `silences`, each from when it was told until it ended: then it was not
    /// sent, which says nothing about the next try.
    pub(super) fn was_silenced(&self, silences: &[(Timestamp, Timestamp)]) -> bool {
        let is_limited = |gap: &Gap| gap.kind == GapKind::RateLimited;
        let within = |(told, until): &(Timestamp, Timestamp)| (*told..*until).contains(&self.tried);
        self.gap.as_deref().is_some_and(is_limited) && silences.iter().any(within)
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
        if !matches!(self.fact, Fact::NotAsked) {
            self.announced = self.announced.or(Some(self.updated.unwrap_or_default()));
            self.misses = 0;
        }
    }

    /// A webhook that came at `now` tells of something that happened to it. `updated`: what GitHub called its last update
    /// then, by its clock; an answer that is older does not show it yet. Checks, the merge queue and pushes to the base
    /// move no update: where there is none, or one that is known, a replica that lags cannot be told by it, and what is
    /// read soon after the webhook is read once more.
    pub fn wake(&mut self, updated: Option<Timestamp>, now: Timestamp) {
        if matches!(self.fact, Fact::NotAsked) {
            return;
        }
        let is_news = updated.is_some_and(|updated| self.announce(updated));
        self.doubt();
        if !is_news {
            self.woken = now;
        }
    }

    /// The last try taught nothing. What was known stays remembered, and is not said any more.
    pub fn miss(&mut self, gap: Gap, now: Timestamp) {
        let since = self.gap.as_deref().and_then(|gap| gap.since);
        self.tried = now;
        self.misses = self.misses.saturating_add(1);
        self.gap = Some(Box::new(Gap {
            since: since.or(gap.since).or(Some(now)),
            ..gap
        }));
    }

    /// Takes an answer in; gives whether it said anything else than what was known. An answer of a replica that lags
    /// behind what was announced is not news: it is asked for again, a few times.
    pub fn take(&mut self, seen: Seen<T>, parts: Parts, now: Timestamp) -> bool {
        if let Fact::Unknown(gap) = seen.fact {
            self.miss(*gap, now);
            return true;
        }
        let wanted = self.announced.max(self.updated);
        if let (Some(wanted), Some(got)) = (wanted, seen.updated)
            && got < wanted
            && !self.is_believed(now)
        {
            self.tries = self.tries.saturating_add(1);
            if !self.is_lagging() {
                self.gap = None;
            }
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
        let mut fact = seen.fact.carry(&self.fact, now);
        let changed = !is_same(&mut fact, &self.fact);
        self.fact = fact;
        self.parts = parts;
        self.learned = now;
        self.tried = now;
        self.gap = None;
        self.tries = 0;
        self.misses = 0;
        self.announced = None;
        if shows_after(self.woken) <= now {
            self.woken = Timestamp::default();
        }
        changed
    }

    /// It was read in the pass at `now`, and nothing casts doubt on that.
    pub(crate) fn is_read_at(&self, now: Timestamp) -> bool {
        self.learned == now && self.doubtful().is_none()
    }

    /// It is this very thing in the state that it had at `updated`, and nothing casts doubt on that.
    pub(crate) fn is_as_of(&self, id: &str, updated: Timestamp) -> bool {
        self.id.as_deref() == Some(id) && self.updated == Some(updated) && self.doubtful().is_none()
    }

    /// The last answers were older than what was announced, more than one in a row.
    fn is_lagging(&self) -> bool {
        self.tries > 1 && self.is_outdated()
    }

    /// The last answer was older than what was announced. It is asked for again at once, since that ends within
    /// [`LAG_MAX`].
    fn is_outdated(&self) -> bool {
        let not_ready = |gap: &Gap| gap.kind == GapKind::NotReady;
        self.tries > 0 && self.gap.as_deref().is_some_and(not_ready)
    }

    /// Answers that are older than what was announced have come so often and for so long that no replica explains it.
    fn is_believed(&self, now: Timestamp) -> bool {
        let since = self.gap.as_deref().and_then(|gap| gap.since);
        self.tries >= TRIES_MAX && since.is_some_and(|since| since.age(now) >= LAG_MAX)
    }

    /// The gap in the place of what was known, if it must not be said any more.
    pub fn doubtful(&self) -> Option<Gap> {
        if let Some(gap) = self.gap.as_deref() {
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

#[cfg(test)]
mod tests;
