//! How much may be asked: what GitHub leaves, what is kept for others, and what vigil takes for itself at most.
//!
//! People and their agents draw on the same pots as vigil does: GitHub counts by user, not by program. So a reserve
//! stays untouched, vigil takes no more than its share of an hour, and what can wait is spread over the time until the
//! pot is filled again. Pure; kept in the store, so that neither a restart nor a second command forgets it.

mod account;
mod recent;
mod silence;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use vigil_core::Timestamp;
use vigil_core::time::minutes;

use crate::limits::Meter;

pub use account::AccountMemory;
pub use recent::{REST_PER_MINUTE_MAX, Recent};
pub use silence::Silence;
pub(crate) use silence::later;

/// How long a pot lasts, by GitHub's documentation of its primary limits.
const WINDOW: Duration = minutes(60);

/// Two moments of reset that differ by less are the same window, told by two answers: the header has whole seconds,
/// and clocks drift.
const SAME_WINDOW: Duration = minutes(2);

/// What has come up for what can wait and was not taken is kept for so many intervals: polls of many pull requests come
/// due together every few minutes, and cost little between them.
const KEPT_INTERVALS: u32 = 5;

/// How a pot is shared with everybody else who draws on it, in percent of its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shares {
    /// Left for others, at most 100.
    pub reserve: u8,
    /// What vigil takes in a window at most, at most 100.
    pub own: u8,
}

impl Default for Shares {
    fn default() -> Self {
        // A fifth stays for people and their agents even when they have used up most; a quarter is what 10,000 busy
        // sessions need.
        Shares {
            reserve: 20,
            own: 25,
        }
    }
}

/// One of the two pots of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pool {
    /// Points of GraphQL.
    GraphQl,
    /// Requests of REST.
    Rest,
}

impl Pool {
    /// As GitHub calls it in `x-ratelimit-resource`.
    pub fn resource(self) -> &'static str {
        match self {
            Pool::GraphQl => "graphql",
            Pool::Rest => "core",
        }
    }

    /// What is counted in it, for people.
    pub fn unit(self) -> &'static str {
        match self {
            Pool::GraphQl => "points",
            Pool::Rest => "requests",
        }
    }
}

/// A pot as far as answers told of it. All unknown: a server without limits, or one that nobody has asked yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Pot {
    /// What the last answer said.
    #[serde(flatten)]
    pub meter: Meter,
    /// What vigil itself has taken in this window.
    pub spent: u64,
    /// What of `spent` no stored row holds yet: this process took it, and no other one knows.
    #[serde(skip_serializing_if = "is_zero")]
    unstored: u64,
    /// When this window ends; `None`: nothing was taken yet.
    pub ends: Option<Timestamp>,
    /// When all this was heard, by this machine's clock.
    pub told: Timestamp,
    /// What can wait has had its part of the window up to here; ahead of the clock where the last of it took more than
    /// had come up. `None`: nothing was taken yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    paced: Option<Timestamp>,
    /// GitHub said that this pot is used up, whatever the meter says.
    #[serde(skip_serializing_if = "Option::is_none")]
    silence: Option<Silence>,
    /// Silences in a row after refusals that named no time.
    #[serde(skip_serializing_if = "is_zero")]
    strikes: u32,
}

/// What may be taken from a pot at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// For what cannot wait; `None`: there is no limit.
    pub urgent: Option<u64>,
    /// For what can: what has come up for it until now and was not taken, in thousandths; none left at 0 and below.
    /// `None`: there is no limit.
    routine: Option<i64>,
}

impl Allowance {
    /// Whether `cost` may be taken. What can wait may take a little more than has come up for it, so that a dear thing
    /// does not wait for ever; the next one waits the longer for that.
    pub fn covers(&self, cost: u64, urgent: bool) -> bool {
        let left = self.urgent.is_none_or(|left| cost <= left);
        left && (urgent || self.routine.is_none_or(|left| left > 0))
    }

    /// Takes `cost` away. What cannot wait takes what has come up for the rest, and leaves it no debt.
    pub fn take(&mut self, cost: u64, urgent: bool) {
        self.withhold(cost);
        if let Some(left) = &mut self.routine {
            let thousandths = i64::try_from(cost.saturating_mul(1000)).unwrap_or(i64::MAX);
            let floor = if urgent { (*left).min(0) } else { i64::MIN };
            *left = left.saturating_sub(thousandths).max(floor);
        }
    }

    /// Leaves `cost` alone that was taken already, and of which no answer has told yet.
    pub(crate) fn withhold(&mut self, cost: u64) {
        if let Some(left) = &mut self.urgent {
            *left = left.saturating_sub(cost);
        }
    }
}

impl Pot {
    /// What may be taken at `now`. What can wait is spread over the time until the window ends, at twice its even pace,
    /// since there is less of it most of the time. It comes up with time and not with passes, of which there are many
    /// where webhooks wake vigil; at most for five intervals, so that a long pause is not made up for at once.
    pub fn allowance(&self, shares: Shares, interval: Duration, now: Timestamp) -> Allowance {
        let Some(limit) = self.meter.limit else {
            return Allowance {
                urgent: None,
                routine: None,
            };
        };
        let remaining = self.remaining(now).unwrap_or(limit);
        let spent = self.spent(now);
        let percent = |part: u8| limit.saturating_mul(u64::from(part.min(100))) / 100;
        let urgent = remaining
            .saturating_sub(percent(shares.reserve))
            .min(percent(shares.own).saturating_sub(spent));
        let came_up_ms = now.0.saturating_sub(self.paced_at(interval, now).0);
        let thousandths = u128::from(came_up_ms) * u128::from(urgent) * 2 * 1000;
        let routine = thousandths.div_ceil(u128::from(self.left_ms(now)));
        Allowance {
            urgent: Some(urgent),
            routine: Some(i64::try_from(routine).unwrap_or(i64::MAX)),
        }
    }

    /// Something of `cost` goes out at `now`, so that what can wait gets the less for a while. What it really costs is
    /// told by its answer: [`Pot::spend`].
    pub(crate) fn take(
        &mut self,
        cost: u64,
        is_urgent: bool,
        shares: Shares,
        interval: Duration,
        now: Timestamp,
    ) {
        let Some(urgent) = self.allowance(shares, interval, now).urgent else {
            return;
        };
        let left_ms = self.left_ms(now);
        // How long it takes until so much has come up, at most to the end of the window.
        let ms = u128::from(cost) * u128::from(left_ms) / (u128::from(urgent) * 2).max(1);
        let ms = u64::try_from(ms).unwrap_or(left_ms).min(left_ms);
        let before = self.paced_at(interval, now);
        let after = before.after(Duration::from_millis(ms));
        self.paced = Some(match is_urgent {
            true => after.min(before.max(now)),
            false => after,
        });
    }

    /// Up to when what can wait has had its part, as far as that counts at `now`.
    fn paced_at(&self, interval: Duration, now: Timestamp) -> Timestamp {
        let earliest = now.before(interval.saturating_mul(KEPT_INTERVALS));
        match self.paced {
            Some(paced) if !is_ahead(self.told, now) => paced.max(earliest),
            _ => earliest,
        }
    }

    /// How long this window lasts yet, or the one that begins at `now`, in milliseconds; at least one.
    fn left_ms(&self, now: Timestamp) -> u64 {
        let left = match self.ends {
            Some(ends) if !self.is_over(now) => now.age(ends),
            _ => WINDOW,
        };
        u64::try_from(left.as_millis()).unwrap_or(u64::MAX).max(1)
    }

    /// Notes what an answer told, and what it cost. `at`: when it arrived.
    pub fn spend(&mut self, cost: u64, meter: Meter, at: Timestamp) {
        // Answers overtake each other: one that still saw something left does not fill what is known to be empty.
        let is_empty = self.empty_until(at).is_some();
        if self.is_over(at) || self.ends.is_none() {
            self.begin(meter.reset.unwrap_or_else(|| at.after(WINDOW)), at);
        }
        if let (Some(ends), Some(reset)) = (self.ends, meter.reset)
            && reset > ends.after(SAME_WINDOW)
        {
            self.begin(reset, at);
        }
        self.told = at;
        self.spent = self.spent.saturating_add(cost);
        self.unstored = self.unstored.saturating_add(cost);
        self.meter = match is_empty {
            true => Meter {
                limit: meter.limit.or(self.meter.limit),
                ..self.meter
            },
            false => meter.or(self.meter),
        };
    }

    /// A window begins, which lasts until `ends`.
    fn begin(&mut self, ends: Timestamp, at: Timestamp) {
        (self.spent, self.unstored) = (0, 0);
        self.ends = Some(ends);
        // A debt of the last window is none of this one.
        self.paced = self.paced.map(|paced| paced.min(at));
    }

    /// GitHub said at `at` that the pot is used up. When its window ends is another matter: a refusal does not have to
    /// name the time.
    fn hush(&mut self, silence: Silence, at: Timestamp) {
        self.silence = silence::later(self.silence.take(), Some(silence), at);
    }

    /// What this process knows of the pot and what another one, `other`, has stored of it.
    ///
    /// What both took of one window adds up, and each stored row holds all that was stored before it: so what this
    /// process has not stored yet comes on top of the other's. Neither their larger one would do, which forgets one of
    /// them, nor their sum, which counts twice what both had read.
    fn with(self, other: &Pot, same_token: bool, now: Timestamp) -> Pot {
        let (ours, unstored) = (self.spent, self.unstored);
        let both = ours.max(other.spent.saturating_add(unstored));
        // Where ours is over, what was taken last may belong to either.
        let later = other.spent.saturating_add(unstored);
        let mut pot = self.and(other, same_token, both, later);
        pot.silence = silence::later(pot.silence, other.silence.clone(), now);
        pot.unstored = 0;
        pot
    }

    /// What two accounts with one token know of their pot, which is one: what both took adds up.
    fn beside(self, other: &Pot, now: Timestamp) -> Pot {
        let both = self.spent.saturating_add(other.spent);
        let mut pot = self.and(other, true, both, other.spent);
        pot.silence = silence::later(pot.silence, other.silence.clone(), now);
        pot
    }

    /// Two views of one pot. `both` was spent where they are of the same window, and `later` where the window of `other`
    /// has begun after this one. Of what is left the lower counts, since within a window it only falls; with other
    /// tokens (`same_token` is false) it may be another pot's.
    fn and(mut self, other: &Pot, same_token: bool, both: u64, later: u64) -> Pot {
        self.strikes = self.strikes.max(other.strikes);
        let (is_over, is_same) = match (self.ends, other.ends) {
            (_, None) => (false, false),
            (None, Some(_)) => (true, false),
            (Some(ours), Some(theirs)) => (
                theirs > ours.after(SAME_WINDOW),
                ours <= theirs.after(SAME_WINDOW),
            ),
        };
        if is_over {
            (self.ends, self.spent) = (other.ends, later);
        } else if is_same {
            self.spent = both;
        }
        // Whose window is the later one may be a guess; whose level is newer is not.
        if same_token {
            self.meter = level(self.meter, other.meter);
        }
        // A window of theirs that is over says nothing.
        if is_over || is_same {
            self.told = self.told.max(other.told);
            self.paced = self.paced.max(other.paced);
        }
        self
    }

    /// What is left at `now`; `None`: GitHub has not said.
    pub fn remaining(&self, now: Timestamp) -> Option<u64> {
        // A level is its window's. When this one ends may be a guess, or be told by an answer that said no level: until
        // one does, nothing is known of it but what there is in every window.
        let is_filled = self.meter.reset.is_some_and(|reset| reset <= now);
        if is_filled || self.is_over(now) {
            return self.meter.limit;
        }
        self.meter.remaining
    }

    /// What vigil has taken in the window of `now`.
    pub fn spent(&self, now: Timestamp) -> u64 {
        match self.is_over(now) {
            true => 0,
            false => self.spent,
        }
    }

    /// When there will be something again, if nothing is left.
    pub fn empty_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.meter
            .empty_until(now)
            .filter(|_| !is_ahead(self.told, now))
    }

    /// The window has ended; or all this was heard before the clock was set back, and says nothing about this one.
    fn is_over(&self, now: Timestamp) -> bool {
        self.ends.is_some_and(|ends| ends <= now) || is_ahead(self.told, now)
    }
}

/// What is left of one pot by two answers: of one window the lower counts, and of two the one of the later window.
fn level(ours: Meter, theirs: Meter) -> Meter {
    let begins_after = |one: Meter, other: Meter| match (one.reset, other.reset) {
        (Some(one), Some(other)) => one > other.after(SAME_WINDOW),
        _ => false,
    };
    let limit = ours.limit.or(theirs.limit);
    if begins_after(ours, theirs) {
        return Meter { limit, ..ours };
    }
    if begins_after(theirs, ours) {
        return Meter { limit, ..theirs };
    }
    Meter {
        limit,
        remaining: match (ours.remaining, theirs.remaining) {
            (Some(ours), Some(theirs)) => Some(ours.min(theirs)),
            (ours, theirs) => ours.or(theirs),
        },
        reset: ours.reset.or(theirs.reset),
    }
}

/// What was heard at `told` was heard before the clock was set back. The answers of a pass come a little after the moment
/// that it bears.
fn is_ahead(told: Timestamp, now: Timestamp) -> bool {
    told > now.after(SAME_WINDOW)
}

fn is_zero<T: Default + PartialEq>(number: &T) -> bool {
    *number == T::default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000_000);
    const MINUTE: Duration = minutes(1);

    fn meter(remaining: u64) -> Meter {
        Meter {
            limit: Some(5_000),
            remaining: Some(remaining),
            reset: Some(NOW.after(minutes(30))),
        }
    }

    fn pot(remaining: u64, spent: u64) -> Pot {
        let mut pot = Pot::default();
        pot.spend(spent, meter(remaining), NOW);
        pot
    }

    fn allowance(pot: &Pot, now: Timestamp) -> Allowance {
        pot.allowance(Shares::default(), MINUTE, now)
    }

    #[test]
    fn the_reserve_is_left_and_the_share_is_not_exceeded() {
        for (remaining, spent, left) in [
            (5_000, 0, 1_250),
            (5_000, 1_000, 250),
            (1_100, 0, 100),
            (900, 0, 0),
            (5_000, 2_000, 0),
        ] {
            let allowance = allowance(&pot(remaining, spent), NOW);
            assert_eq!(allowance.urgent, Some(left), "{remaining} {spent}");
            for urgent in [false, true] {
                assert!(!allowance.covers(left + 1, urgent), "{remaining} {spent}");
            }
        }
        for (shares, left) in [
            ((0, 100), 5_000),
            ((0, 1), 50),
            ((99, 100), 50),
            ((50, 50), 2_500),
        ] {
            let shares = Shares {
                reserve: shares.0,
                own: shares.1,
            };
            let allowance = pot(5_000, 0).allowance(shares, MINUTE, NOW);
            assert_eq!(allowance.urgent, Some(left), "{shares:?}");
        }
    }

    #[test]
    fn a_server_that_tells_no_limit_has_none() {
        let mut none = Pot::default();
        none.take(1_000_000, false, Shares::default(), MINUTE, NOW);
        assert!(allowance(&none, NOW).covers(1_000_000, false));
    }

    /// Takes single points that can wait until no more may be taken at `now`.
    fn take_all(pot: &mut Pot, now: Timestamp) -> u64 {
        let mut taken = 0;
        while allowance(pot, now).covers(1, false) {
            pot.take(1, false, Shares::default(), MINUTE, now);
            pot.spend(1, Meter::default(), now);
            taken += 1;
        }
        taken
    }

    #[test]
    fn what_can_wait_is_spread_over_the_window() {
        // 1,250 points over 30 minutes, doubled, for five; every one that is taken leaves less to be spread.
        let taken = take_all(&mut pot(5_000, 0), NOW);
        assert!((340..=420).contains(&taken), "{taken}");
        let late = allowance(&pot(5_000, 0), NOW.after(minutes(29)));
        assert_eq!(late.routine, Some(12_500_000));
    }

    #[test]
    fn what_can_wait_comes_up_with_time_however_many_passes_there_are() {
        let span = Duration::from_secs(10 * 60);
        let in_steps_of = |step: Duration| {
            let mut pot = pot(5_000, 0);
            take_all(&mut pot, NOW);
            let (mut taken, mut now) = (0, NOW);
            while NOW.age(now) < span {
                now = now.after(step);
                taken += take_all(&mut pot, now);
            }
            taken
        };
        let once_a_minute = in_steps_of(MINUTE);
        let woken = in_steps_of(Duration::from_secs(5));
        assert!(
            once_a_minute.abs_diff(woken) < 40,
            "{once_a_minute} {woken}"
        );
        assert!((300..600).contains(&woken), "{woken}");
        // A long pause is not made up for at once.
        let paused = in_steps_of(span);
        assert!(paused < woken, "{paused} {woken}");
    }

    #[test]
    fn something_dear_does_not_wait_for_ever_and_what_follows_waits_the_longer() {
        // Five points in half an hour: one comes up in three minutes.
        let shares = Shares {
            reserve: 0,
            own: 100,
        };
        let meter = Meter {
            limit: Some(5),
            remaining: Some(5),
            ..meter(5)
        };
        let mut pot = Pot::default();
        pot.spend(0, meter, NOW);
        assert!(pot.allowance(shares, MINUTE, NOW).covers(3, false));
        pot.take(3, false, shares, MINUTE, NOW);
        for (minute, may) in [(1, false), (3, false), (5, true)] {
            let allowance = pot.allowance(shares, MINUTE, NOW.after(minutes(minute)));
            assert_eq!(allowance.covers(1, false), may, "{minute}");
            assert!(allowance.covers(1, true), "{minute}");
        }
    }

    #[test]
    fn what_cannot_wait_goes_first_and_leaves_no_debt() {
        let mut pot = pot(5_000, 0);
        pot.take(1_000, true, Shares::default(), MINUTE, NOW);
        assert!(!allowance(&pot, NOW).covers(1, false));
        assert!(allowance(&pot, NOW.after(MINUTE)).covers(1, false));
        // The same within one reckoning.
        let mut reckoned = allowance(&pot, NOW.after(MINUTE));
        reckoned.take(1_000, true);
        assert!(!reckoned.covers(1, false));
        assert_eq!(reckoned.urgent, Some(250));
    }

    #[test]
    fn a_new_window_begins_with_a_full_pot() {
        let empty = pot(0, 1_250);
        assert!(empty.empty_until(NOW).is_some());
        let later = NOW.after(minutes(31));
        assert_eq!(empty.empty_until(later), None);
        assert_eq!(allowance(&empty, later).urgent, Some(1_250));
        // The same is told by an answer whose reset lies in the next hour.
        let mut told = pot(4_000, 1_000);
        let next = Meter {
            reset: Some(NOW.after(minutes(90))),
            ..meter(4_999)
        };
        told.spend(1, next, NOW);
        assert_eq!(told.spent, 1);
    }
}
