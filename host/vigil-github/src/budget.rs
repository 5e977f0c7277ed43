//! How much may be asked: what GitHub leaves, what is kept for others, and what vigil takes for itself at most.
//!
//! People and their agents draw on the same pots as vigil does: GitHub counts by user, not by program. So a reserve
//! stays untouched, vigil takes no more than its share of an hour, and what can wait is spread over the time until the
//! pot is filled again. Pure; kept in the store, so that neither a restart nor a second command forgets it.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use vigil_core::Timestamp;
use vigil_core::time::minutes;

use crate::limits::{Limit, LimitScope, Meter, SILENCE};
use crate::tokens::Fingerprint;

/// The longest silence after refusals that name no time, however many there were in a row.
const SILENCE_GROWN_MAX: Duration = minutes(60);

/// How long a pot lasts, by GitHub's documentation of its primary limits.
const WINDOW: Duration = minutes(60);

/// Two moments of reset that differ by less are the same window, told by two answers: the header has whole seconds,
/// and clocks drift.
const SAME_WINDOW: Duration = minutes(2);

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
    /// When this window ends; `None`: nothing was taken yet.
    pub ends: Option<Timestamp>,
    /// When all this was heard, by this machine's clock.
    pub told: Timestamp,
}

/// What may be taken from a pot at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// For what cannot wait; `None`: there is no limit.
    pub urgent: Option<u64>,
    /// For what can: the part of it that belongs to this pass. Never more than `urgent`.
    pub routine: Option<u64>,
}

impl Allowance {
    /// Whether `cost` may be taken.
    pub fn covers(&self, cost: u64, urgent: bool) -> bool {
        let left = if urgent { self.urgent } else { self.routine };
        left.is_none_or(|left| cost <= left)
    }

    /// Takes `cost` away.
    pub fn take(&mut self, cost: u64) {
        for left in [&mut self.urgent, &mut self.routine].into_iter().flatten() {
            *left = left.saturating_sub(cost);
        }
    }
}

impl Pot {
    /// What may be taken at `now`. What can wait is spread over the passes, one every `interval`, until the window
    /// ends; it gets twice its even share, since most passes need less.
    pub fn allowance(&self, shares: Shares, interval: Duration, now: Timestamp) -> Allowance {
        let Some(limit) = self.meter.limit else {
            return Allowance {
                urgent: None,
                routine: None,
            };
        };
        let over = self.is_over(now);
        let remaining = self.remaining(now).unwrap_or(limit);
        let spent = self.spent(now);
        let percent = |part: u8| limit.saturating_mul(u64::from(part.min(100))) / 100;
        let urgent = remaining
            .saturating_sub(percent(shares.reserve))
            .min(percent(shares.own).saturating_sub(spent));
        let left = match self.ends {
            Some(ends) if !over => now.age(ends),
            _ => WINDOW,
        };
        let passes = (left.as_millis() / interval.as_millis().max(1)).max(1);
        let even = u128::from(urgent) * 2 / passes;
        Allowance {
            urgent: Some(urgent),
            routine: Some(
                u64::try_from(even)
                    .unwrap_or(u64::MAX)
                    .clamp(urgent.min(1), urgent),
            ),
        }
    }

    /// Notes what an answer told, and what it cost. `at`: when it arrived.
    pub fn spend(&mut self, cost: u64, meter: Meter, at: Timestamp) {
        // Answers overtake each other: one that still saw something left does not fill what is known to be empty.
        let is_empty = self.empty_until(at).is_some();
        if self.is_over(at) || self.ends.is_none() {
            self.spent = 0;
            self.ends = Some(meter.reset.unwrap_or_else(|| at.after(WINDOW)));
        }
        if let (Some(ends), Some(reset)) = (self.ends, meter.reset)
            && reset > ends.after(SAME_WINDOW)
        {
            self.spent = 0;
            self.ends = Some(reset);
        }
        self.told = at;
        self.spent = self.spent.saturating_add(cost);
        self.meter = match is_empty {
            true => Meter {
                limit: meter.limit.or(self.meter.limit),
                ..self.meter
            },
            false => meter.or(self.meter),
        };
    }

    /// What is left at `now`; `None`: GitHub has not said.
    pub fn remaining(&self, now: Timestamp) -> Option<u64> {
        if self.is_over(now) {
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

/// What was heard at `told` was heard before the clock was set back. The answers of a pass come a little after the moment
/// that it bears.
fn is_ahead(told: Timestamp, now: Timestamp) -> bool {
    told > now.after(SAME_WINDOW)
}

/// What is remembered of an account: its pots, and whether it was told to be silent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct AccountMemory {
    /// GraphQL.
    pub graphql: Pot,
    /// REST.
    pub rest: Pot,
    /// Until when nothing at all is sent, and why.
    pub silence: Option<Silence>,
    /// Refusals in a row that named no time.
    pub strikes: u32,
    /// Questions that were put off in the last round, because the share was used up.
    pub postponed: u32,
    /// The token that all this was heard with. Another one has other limits.
    pub fingerprint: Option<Fingerprint>,
    /// How many questions go into one query.
    pub batch: crate::adapt::Batch,
}

/// GitHub said to stop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Silence {
    /// When it was heard, by this machine's clock.
    #[serde(default)]
    pub told: Timestamp,
    /// Nothing is sent before.
    pub until: Timestamp,
    /// What it said.
    pub why: String,
}

impl Silence {
    /// Whether it lasts at `now`. What was heard before the clock was set back ends nobody knows when.
    pub(crate) fn holds_at(&self, now: Timestamp) -> bool {
        self.until > now && !is_ahead(self.told, now)
    }
}

impl AccountMemory {
    /// The pot that `pool` draws on.
    pub fn pot(&self, pool: Pool) -> &Pot {
        match pool {
            Pool::GraphQl => &self.graphql,
            Pool::Rest => &self.rest,
        }
    }

    fn pot_mut(&mut self, pool: Pool) -> &mut Pot {
        match pool {
            Pool::GraphQl => &mut self.graphql,
            Pool::Rest => &mut self.rest,
        }
    }

    /// Until when `pool` must not be asked, and why; `None`: it may be.
    pub fn silent(&self, pool: Pool, now: Timestamp) -> Option<Silence> {
        let told = self.silence.clone().filter(|told| told.holds_at(now));
        let empty = self.pot(pool).empty_until(now).map(|until| Silence {
            told: now,
            until,
            why: format!("the {} of this token are used up", pool.unit()),
        });
        [told, empty]
            .into_iter()
            .flatten()
            .max_by_key(|one| one.until)
    }

    /// An answer came that was no refusal.
    pub fn answered(&mut self, pool: Pool, cost: u64, meter: Meter, at: Timestamp) {
        // One that was under way when GitHub said to stop is no sign that it may go on.
        if self.silent(pool, at).is_none() {
            self.strikes = 0;
        }
        self.pot_mut(pool).spend(cost, meter, at);
    }

    /// GitHub refused because of a limit; gives until when it silences. Where it names no time: a minute, doubled with
    /// each such refusal in a row, at most an hour.
    pub fn limited(&mut self, pool: Pool, limit: &Limit, meter: Meter, at: Timestamp) -> Silence {
        let until = limit.until.unwrap_or_else(|| {
            let grown = SILENCE.saturating_mul(2u32.saturating_pow(self.strikes));
            self.strikes = self.strikes.saturating_add(1);
            at.after(grown.min(SILENCE_GROWN_MAX))
        });
        let silence = Silence {
            told: at,
            until,
            why: limit.detail.clone(),
        };
        let pot = self.pot_mut(pool);
        pot.spend(0, meter, at);
        match limit.scope {
            // The other pot has its own level.
            LimitScope::Pot => {
                pot.meter.remaining = Some(0);
                pot.meter.reset = Some(until);
                // A server that tells no limit of its own still has one.
                pot.ends = Some(until);
            }
            LimitScope::Account => self.silence = Some(silence.clone()),
        }
        silence
    }

    /// What this process and another one remember of the same account: whatever either was told to leave alone, and the
    /// more of what both took.
    #[must_use]
    pub fn with(mut self, other: &AccountMemory) -> AccountMemory {
        let until = |silence: &Option<Silence>| silence.as_ref().map(|silence| silence.until);
        if until(&other.silence) > until(&self.silence) {
            self.silence.clone_from(&other.silence);
        }
        self.strikes = self.strikes.max(other.strikes);
        for (pot, theirs) in [
            (&mut self.graphql, &other.graphql),
            (&mut self.rest, &other.rest),
        ] {
            let same_window = pot.ends.zip(theirs.ends).is_some_and(|(one, another)| {
                one.max(another) <= one.min(another).after(SAME_WINDOW)
            });
            if same_window {
                pot.spent = pot.spent.max(theirs.spent);
            }
        }
        self
    }

    /// The account now has this token. Another one has pots of its own, unless `renewed` says that it is the same
    /// account's next token; what vigil took counts on, since both may be the same user's, and so does a silence that
    /// was told only just now: an answer to the other token can come late.
    pub fn has_token(&mut self, fingerprint: &Fingerprint, renewed: bool, now: Timestamp) {
        if self.fingerprint.as_ref() == Some(fingerprint) {
            return;
        }
        if self.fingerprint.is_some() && !renewed {
            self.graphql.meter = Meter::default();
            self.rest.meter = Meter::default();
            self.silence = self
                .silence
                .take()
                .filter(|silence| !is_ahead(silence.told, now) && silence.told.age(now) <= SILENCE);
        }
        self.fingerprint = Some(fingerprint.clone());
    }
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

    #[test]
    fn the_reserve_is_left_and_the_share_is_not_exceeded() {
        let urgent = |pot: Pot| pot.allowance(Shares::default(), MINUTE, NOW).urgent;
        assert_eq!(urgent(pot(5_000, 0)), Some(1_250));
        assert_eq!(urgent(pot(5_000, 1_000)), Some(250));
        assert_eq!(urgent(pot(1_100, 0)), Some(100));
        assert_eq!(urgent(pot(900, 0)), Some(0));
        assert_eq!(urgent(pot(5_000, 2_000)), Some(0));
    }

    #[test]
    fn a_server_that_tells_no_limit_has_none() {
        let none = Pot::default().allowance(Shares::default(), MINUTE, NOW);
        assert!(none.covers(1_000_000, false));
    }

    #[test]
    fn what_can_wait_is_spread_over_the_window() {
        let allowance = pot(5_000, 0).allowance(Shares::default(), MINUTE, NOW);
        // 1,250 points over 30 passes, doubled.
        assert_eq!(allowance.routine, Some(83));
        assert!(!allowance.covers(84, false));
        assert!(allowance.covers(84, true));
        let last = pot(5_000, 0).allowance(Shares::default(), MINUTE, NOW.after(minutes(29)));
        assert_eq!(last.routine, last.urgent);
    }

    #[test]
    fn a_new_window_begins_with_a_full_pot() {
        let empty = pot(0, 1_250);
        assert!(empty.empty_until(NOW).is_some());
        let later = NOW.after(minutes(31));
        assert_eq!(empty.empty_until(later), None);
        let allowance = empty.allowance(Shares::default(), MINUTE, later);
        assert_eq!(allowance.urgent, Some(1_250));
        // The same is told by an answer whose reset lies in the next hour.
        let mut told = pot(4_000, 1_000);
        let next = Meter {
            reset: Some(NOW.after(minutes(90))),
            ..meter(4_999)
        };
        told.spend(1, next, NOW);
        assert_eq!(told.spent, 1);
    }

    #[test]
    fn an_answer_that_was_overtaken_does_not_fill_an_empty_pot() {
        let mut account = AccountMemory::default();
        let limit = Limit {
            until: Some(NOW.after(minutes(5))),
            detail: "API rate limit exceeded".into(),
            scope: LimitScope::Pot,
        };
        account.limited(Pool::Rest, &limit, Meter::default(), NOW);
        account.answered(Pool::Rest, 1, meter(17), NOW);
        assert!(account.silent(Pool::Rest, NOW).is_some());
        let later = NOW.after(minutes(6));
        assert_eq!(account.silent(Pool::Rest, later), None);
        account.answered(Pool::Rest, 1, meter(16), later);
        assert_eq!(account.rest.remaining(later), Some(16));
    }

    #[test]
    fn what_two_processes_were_told_is_kept_together() {
        let limit = Limit {
            until: Some(NOW.after(minutes(5))),
            detail: "slow down".into(),
            scope: LimitScope::Account,
        };
        let (mut ours, mut theirs) = (AccountMemory::default(), AccountMemory::default());
        ours.answered(Pool::GraphQl, 7, meter(4_990), NOW);
        theirs.answered(Pool::GraphQl, 30, meter(4_960), NOW);
        theirs.limited(Pool::Rest, &limit, Meter::default(), NOW);
        let both = ours.with(&theirs);
        assert_eq!(both.graphql.spent, 30);
        assert_eq!(
            both.silent(Pool::GraphQl, NOW),
            theirs.silent(Pool::GraphQl, NOW)
        );
    }

    #[test]
    fn what_a_clock_that_was_ahead_was_told_ends_with_it() {
        let ahead = NOW.after(minutes(365 * 24 * 60));
        let mut account = AccountMemory::default();
        let meter = |at: Timestamp, remaining| Meter {
            limit: Some(5_000),
            remaining: Some(remaining),
            reset: Some(at.after(minutes(30))),
        };
        account.answered(Pool::GraphQl, 1_250, meter(ahead, 0), ahead);
        let limit = Limit {
            until: Some(ahead.after(minutes(5))),
            detail: "slow down".into(),
            scope: LimitScope::Account,
        };
        account.limited(Pool::Rest, &limit, Meter::default(), ahead);
        assert_eq!(account.silent(Pool::GraphQl, NOW), None);
        account.answered(Pool::GraphQl, 1, meter(NOW, 4_000), NOW);
        assert_eq!(account.graphql.spent, 1);
        let allowance = account.graphql.allowance(Shares::default(), MINUTE, NOW);
        assert_eq!(allowance.urgent, Some(1_249));
    }

    #[test]
    fn a_primary_limit_empties_one_pot_and_a_secondary_one_silences_the_account() {
        let limit = |scope| Limit {
            until: Some(NOW.after(minutes(5))),
            detail: "slow down".into(),
            scope,
        };
        let mut account = AccountMemory::default();
        account.limited(Pool::Rest, &limit(LimitScope::Pot), Meter::default(), NOW);
        assert!(account.silent(Pool::Rest, NOW).is_some());
        assert_eq!(account.silent(Pool::GraphQl, NOW), None);
        account.limited(
            Pool::Rest,
            &limit(LimitScope::Account),
            Meter::default(),
            NOW,
        );
        assert!(account.silent(Pool::GraphQl, NOW).is_some());
        assert_eq!(account.silent(Pool::GraphQl, NOW.after(minutes(5))), None);
    }

    #[test]
    fn refusals_without_a_time_silence_for_longer_each_time() {
        let limit = Limit {
            until: None,
            detail: "secondary".into(),
            scope: LimitScope::Account,
        };
        let mut account = AccountMemory::default();
        let spans: Vec<u64> = (0..8)
            .map(|_| {
                let silence = account.limited(Pool::GraphQl, &limit, Meter::default(), NOW);
                NOW.age(silence.until).as_secs()
            })
            .collect();
        assert_eq!(spans, [60, 120, 240, 480, 960, 1920, 3600, 3600]);
        // One that was under way meanwhile says nothing; one that comes after the silence does.
        account.answered(Pool::GraphQl, 1, Meter::default(), NOW);
        assert_eq!(account.strikes, 8);
        account.answered(Pool::GraphQl, 1, Meter::default(), NOW.after(minutes(60)));
        assert_eq!(account.strikes, 0);
    }

    #[test]
    fn another_token_is_not_held_to_what_the_first_one_was_told() {
        let print = |text: &str| Fingerprint(text.into());
        let limit = Limit {
            until: None,
            detail: "secondary".into(),
            scope: LimitScope::Account,
        };
        let until_later = Limit {
            until: Some(NOW.after(minutes(50))),
            ..limit.clone()
        };
        let mut account = AccountMemory::default();
        account.has_token(&print("a"), false, NOW);
        account.limited(Pool::Rest, &limit, Meter::default(), NOW);
        let mut renewed = account.clone();
        renewed.has_token(&print("b"), true, NOW);
        assert!(renewed.silent(Pool::Rest, NOW).is_some());
        // An answer to the first token may come late: what was told a moment ago stands.
        let mut at_once = account.clone();
        at_once.has_token(&print("b"), false, NOW);
        assert!(at_once.silent(Pool::Rest, NOW).is_some());
        let later = NOW.after(minutes(2));
        account.limited(Pool::Rest, &until_later, Meter::default(), NOW);
        account.has_token(&print("b"), false, later);
        assert_eq!(account.silent(Pool::Rest, later), None);
    }
}
