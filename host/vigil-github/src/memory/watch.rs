//! How a repository is watched: what was seen last, and when to look again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use vigil_core::time::minutes;
use vigil_core::{Gap, Timestamp};

use super::due::{SWEEP_OPEN, shows_after};
use crate::moved::Called;
use crate::tokens::Fingerprint;

/// How far a list of changes reaches back behind the last change that was seen: replicas lag, and whole seconds hide
/// what happened within one.
pub const OVERLAP: Duration = minutes(2);

/// How long after a change a repository counts as busy, and is looked at in every pass.
pub const BUSY_FOR: Duration = minutes(10);

/// The longest time between two looks at a repository in which nothing happens.
pub const IDLE_MAX: Duration = minutes(15);

/// Pull requests that are nobody's, of which a repository is remembered to have so many.
const STRANGERS_MAX: usize = 1_000;

/// Things that were reopened, of which a repository is remembered to have so many; the oldest numbers go first.
const REOPENED_MAX: usize = 1_000;

/// What is remembered of a repository as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Watch {
    /// Its name as it was first spelled.
    pub name: String,
    /// Its node id; `None`: nobody has seen it yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Since when another repository has borne the name; `None`: it always was this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other_since: Option<Timestamp>,
    /// Changes from here on are asked for, in whole seconds of GitHub's clock. It stands still while nothing changes,
    /// so that the address and its ETag stay the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// The newest change that was seen, by GitHub's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newest: Option<Timestamp>,
    /// What tells that the list from `since` on is still the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub etag: Option<Etag>,
    /// The newest entry of the last list. A later list without it has lost something.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anchor: Option<u32>,
    /// When the last complete look began: what was known then and not announced since is as old as this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verified: Option<Timestamp>,
    /// When watching it began, by this machine's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub began: Option<Timestamp>,
    /// When a look last brought news.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed: Option<Timestamp>,
    /// When to look again.
    pub next: Timestamp,
    /// Why the last look failed; `None`: it did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gap: Option<Gap>,
    /// Where GitHub redirects to from this name, which the repository bears no more; `None`: nowhere, as far as is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub called: Option<Called>,
    /// Its default branch; `None`: GitHub has not told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_branch: Option<String>,
    /// When the last look was tried.
    pub tried: Timestamp,
    /// Looks in a row that failed.
    #[serde(skip_serializing_if = "is_zero")]
    pub misses: u32,
    /// A webhook told at that moment, by this machine's clock, of something here that nobody knows, and no look so far
    /// came late enough to be sure to show it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub woken: Option<Timestamp>,
    /// The token may not read its issues: neither their list nor theirs among the newest entries is asked for, until one
    /// of them can be read, or a sweep finds that they may be.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub no_issues: bool,
    /// When GitHub last said so; `None`: it did not, or before that was remembered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub denied: Option<Timestamp>,
    /// Its list of issues is switched off, and with it the probe: only GraphQL tells what changes.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub no_list: bool,
    /// Pull requests that are nobody's: their branches were looked at.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub strangers: BTreeSet<u32>,
    /// Pull requests that were announced and that nobody has read yet, with the number of answers that did not show
    /// them. Until then each of them may be the one of a branch.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub unread: BTreeMap<u32, u8>,
    /// Issues and pull requests that a list shows open, and of which it was known that they had ended: each with the
    /// update by which that was seen first, by GitHub's clock. They stay until a list shows that they ended again.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub reopened: BTreeMap<u32, Timestamp>,
}

/// An ETag, and what it belongs to: GitHub computes it from the token, too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Etag {
    /// As it was received.
    pub value: String,
    /// The token that it was received with.
    pub fingerprint: Fingerprint,
    /// The `since` of the list.
    pub since: Timestamp,
}

impl Watch {
    /// Whether a look is due in a pass at `now`. One that was made later than that was made before the clock was set
    /// back.
    pub fn is_due(&self, now: Timestamp) -> bool {
        let set_back = self.tried > now || self.verified.is_some_and(|verified| verified > now);
        self.since.is_some() && (self.next <= now || set_back)
    }

    /// Something happened lately.
    pub fn is_busy(&self, now: Timestamp) -> bool {
        self.changed
            .is_some_and(|changed| changed.age(now) < BUSY_FOR)
    }

    /// The ETag to send along, if the list is still the one that it stands for.
    pub fn etag(&self) -> Option<&Etag> {
        self.etag
            .as_ref()
            .filter(|etag| Some(etag.since) == self.since)
    }

    /// A complete look began at `now`; `news`: something had changed. `resync`: with webhooks on, this is how often a
    /// look is made at most.
    pub fn looked(
        &mut self,
        news: bool,
        now: Timestamp,
        interval: Duration,
        resync: Option<Duration>,
    ) {
        self.verified = Some(now);
        self.began.get_or_insert(now);
        self.tried = now;
        self.gap = None;
        self.misses = 0;
        // It answered under its own name.
        self.called = None;
        if news {
            self.changed = Some(now);
        }
        self.woken = self.woken.filter(|woken| shows_after(*woken) > now);
        let next = now.after(self.pause(now, interval, resync));
        // A replica may not have what a webhook told of a moment ago.
        self.next = self
            .woken
            .map_or(next, |woken| next.min(shows_after(woken)));
    }

    /// A list shows `number` open or not, as of its update at `updated`; `had_ended`: it was known to have ended. Gives
    /// whether that changes what is remembered.
    pub fn shows(&mut self, number: u32, open: bool, had_ended: bool, updated: Timestamp) -> bool {
        if !open {
            return self.reopened.remove(&number).is_some();
        }
        if !had_ended || self.reopened.contains_key(&number) {
            return false;
        }
        self.reopened.insert(number, updated);
        while self.reopened.len() > REOPENED_MAX {
            self.reopened.pop_first();
        }
        true
    }

    /// A webhook that came at `now` tells of something here that nobody knows.
    pub fn wake(&mut self, now: Timestamp) {
        self.next = Timestamp::default();
        self.woken = Some(now);
    }

    /// The token may not read its issues, as GitHub said at `now`; gives whether that is news.
    pub fn lose_issues(&mut self, now: Timestamp) -> bool {
        self.denied = Some(now);
        !std::mem::replace(&mut self.no_issues, true)
    }

    /// The token may read its issues.
    pub fn may_read_issues(&mut self) {
        self.no_issues = false;
        self.denied = None;
    }

    /// Whether its newest issues are left out at `now`. Once per sweep they are asked for all the same: a permission may
    /// have been given, which nothing tells where nobody asks for an issue.
    pub fn leaves_issues_out(&self, now: Timestamp) -> bool {
        let is_fresh = |denied: Timestamp| denied <= now && denied.age(now) < SWEEP_OPEN;
        self.no_issues && self.denied.is_some_and(is_fresh)
    }

    /// Whether REST lists what changes in it.
    pub fn has_list(&self) -> bool {
        !self.no_list && !self.no_issues
    }

    /// From one look to the next: in every pass while it is busy, then a tenth of the time that nothing has happened
    /// for, at most [`IDLE_MAX`].
    fn pause(&self, now: Timestamp, interval: Duration, resync: Option<Duration>) -> Duration {
        let since = self.changed.or(self.began);
        let quiet = since.map_or(BUSY_FOR, |since| since.age(now));
        // A pass never begins exactly on time: half an interval less makes it this pass and not the next one.
        let idle = (quiet / 10).clamp(interval, IDLE_MAX.max(interval)) - interval / 2;
        idle.max(resync.unwrap_or_default())
    }

    /// A look failed. The next one comes after a pause that doubles with each failure in a row.
    pub fn missed(&mut self, gap: Gap, now: Timestamp, interval: Duration) {
        let since = self.gap.as_ref().and_then(|gap| gap.since);
        self.tried = now;
        let pause = interval
            .saturating_mul(1 << self.misses.min(8))
            .min(IDLE_MAX);
        self.next = now.after(pause.saturating_sub(interval / 2));
        self.misses = self.misses.saturating_add(1);
        self.gap = Some(Gap {
            since: since.or(gap.since).or(Some(now)),
            ..gap
        });
    }

    /// No look was made, or none was let through, because of a limit: that is no failure of the repository's, and the
    /// limit itself says when something is sent again. So each pass tries anew, which costs nothing as long as the limit
    /// holds.
    pub fn withheld(&mut self, gap: Gap, now: Timestamp, interval: Duration) {
        let misses = self.misses;
        self.misses = 0;
        self.missed(gap, now, interval);
        self.misses = misses;
    }

    /// A pull request is nobody's. The oldest are forgotten: to find out again costs a question.
    pub fn add_stranger(&mut self, number: u32) {
        self.strangers.insert(number);
        while self.strangers.len() > STRANGERS_MAX {
            self.strangers.pop_first();
        }
    }

    /// Everything up to `newest`, by GitHub's clock, was seen.
    pub fn seen_up_to(&mut self, newest: Timestamp) {
        self.newest = self.newest.max(Some(newest));
    }

    /// The list begins a little before what was seen last from now on, and never earlier than it did.
    pub fn advance(&mut self) {
        if let Some(newest) = self.newest {
            let since = Some(whole_seconds(newest.before(OVERLAP)));
            if since > self.since {
                self.since = since;
                self.etag = None;
                self.anchor = None;
            }
        }
    }

    /// What is newer than this, by GitHub's clock, may be news: replicas lag.
    pub fn horizon(&self) -> Timestamp {
        self.newest
            .or(self.since)
            .map_or(Timestamp::default(), |newest| newest.before(OVERLAP))
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// GitHub tells time in whole seconds.
pub fn whole_seconds(at: Timestamp) -> Timestamp {
    Timestamp(at.0 / 1000 * 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = minutes(1);
    const NOW: Timestamp = Timestamp(10_000_000_000);

    fn pause_after(quiet: Duration, resync: Option<Duration>) -> Duration {
        let mut watch = Watch {
            changed: Some(NOW.before(quiet)),
            ..Watch::default()
        };
        watch.looked(false, NOW, MINUTE, resync);
        NOW.age(watch.next) + MINUTE / 2
    }

    #[test]
    fn a_busy_repository_is_looked_at_in_every_pass_and_an_idle_one_backs_off() {
        assert_eq!(pause_after(minutes(2), None), MINUTE);
        assert_eq!(pause_after(minutes(10), None), MINUTE);
        assert_eq!(pause_after(minutes(50), None), minutes(5));
        assert_eq!(pause_after(minutes(600), None), IDLE_MAX);
        assert!(pause_after(minutes(2), Some(IDLE_MAX)) >= IDLE_MAX);
    }

    #[test]
    fn a_repository_in_which_nothing_was_ever_seen_backs_off_as_well() {
        let mut watch = Watch::default();
        watch.looked(false, NOW, MINUTE, None);
        assert!(!watch.is_busy(NOW));
        let later = NOW.after(minutes(600));
        watch.looked(false, later, MINUTE, None);
        assert!(watch.next > later.after(IDLE_MAX - MINUTE));
    }

    #[test]
    fn news_makes_it_busy_again() {
        let mut watch = Watch {
            changed: Some(NOW.before(minutes(600))),
            ..Watch::default()
        };
        watch.looked(true, NOW, MINUTE, None);
        assert!(watch.is_busy(NOW));
        assert!(watch.next < NOW.after(MINUTE));
    }

    #[test]
    fn the_list_reaches_back_behind_what_was_seen_and_never_moves_back() {
        let mut watch = Watch::default();
        watch.seen_up_to(Timestamp(1_000_000_999));
        watch.advance();
        assert_eq!(watch.since, Some(Timestamp(1_000_000_000 - 120_000)));
        watch.seen_up_to(Timestamp(5_000));
        watch.advance();
        assert_eq!(watch.since, Some(Timestamp(1_000_000_000 - 120_000)));
    }

    #[test]
    fn what_a_limit_holds_back_is_no_failure() {
        let limited = || Gap::new(vigil_core::GapKind::RateLimited, "used up");
        let mut watch = Watch::default();
        watch.looked(false, NOW, MINUTE, None);
        watch.missed(limited(), NOW, MINUTE);
        for minute in 1..60 {
            let now = NOW.after(minutes(minute));
            watch.withheld(limited(), now, MINUTE);
            assert!(watch.next <= now.after(MINUTE), "{minute}");
        }
        assert_eq!(watch.misses, 1);
        let gap = watch.gap.expect("it is not known what changed");
        assert_eq!(gap.since, Some(NOW));
    }

    #[test]
    fn an_etag_of_another_list_is_not_sent() {
        let mut watch = Watch {
            since: Some(Timestamp(1_000)),
            etag: Some(Etag {
                value: "W/\"1\"".into(),
                fingerprint: Fingerprint("f".into()),
                since: Timestamp(1_000),
            }),
            ..Watch::default()
        };
        assert!(watch.etag().is_some());
        watch.since = Some(Timestamp(2_000));
        assert_eq!(watch.etag(), None);
    }

    #[test]
    fn a_gap_remembers_since_when() {
        let mut watch = Watch::default();
        let gap = || Gap::new(vigil_core::GapKind::Unreachable, "down");
        watch.missed(gap(), NOW, MINUTE);
        watch.missed(gap(), NOW.after(MINUTE), MINUTE);
        assert_eq!(watch.gap.as_ref().and_then(|gap| gap.since), Some(NOW));
        watch.looked(false, NOW.after(MINUTE * 2), MINUTE, None);
        assert_eq!(watch.gap, None);
    }
}
