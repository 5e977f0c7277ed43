//! What is remembered of an account: its two pots, and what it was told about being silent.

use serde::{Deserialize, Serialize};
use vigil_core::Timestamp;

use super::recent::{REST_PER_MINUTE_MAX, Recent};
use super::silence::{Silence, grown, later};
use super::{Pool, Pot};
use crate::limits::{Limit, LimitScope, Meter};
use crate::tokens::Fingerprint;

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
    /// Questions that were put off in the last round, because the share was used up.
    pub postponed: u32,
    /// The token that all this was heard with. Another one may have other pots.
    pub fingerprint: Option<Fingerprint>,
    /// How many questions go into one query.
    pub batch: crate::adapt::Batch,
    /// The REST requests of the last minute.
    #[serde(skip_serializing_if = "Recent::is_empty")]
    pub recent: Recent,
}

impl AccountMemory {
    /// The pot that `pool` draws on.
    pub fn pot(&self, pool: Pool) -> &Pot {
        match pool {
            Pool::GraphQl => &self.graphql,
            Pool::Rest => &self.rest,
        }
    }

    pub(crate) fn pot_mut(&mut self, pool: Pool) -> &mut Pot {
        match pool {
            Pool::GraphQl => &mut self.graphql,
            Pool::Rest => &mut self.rest,
        }
    }

    /// Until when `pool` must not be asked, and why; `None`: it may be.
    pub fn silent(&self, pool: Pool, now: Timestamp) -> Option<Silence> {
        let pot = self.pot(pool);
        let told = [self.silence.clone(), pot.silence.clone()];
        let empty = pot.empty_until(now).map(|until| Silence {
            told: now,
            until,
            why: format!("the {} of this token are used up", pool.unit()),
        });
        told.into_iter()
            .fold(empty, |one, other| later(one, other, now))
    }

    /// Every silence that is remembered, over or not.
    pub(crate) fn silences(&self) -> impl Iterator<Item = &Silence> {
        let told = [&self.silence, &self.graphql.silence, &self.rest.silence];
        told.into_iter().flatten()
    }

    /// Whether so many REST requests, which are out already, leave room for one more within the minute before `now`.
    pub(crate) fn keeps_pace(&self, out: usize, now: Timestamp) -> bool {
        let out = u64::try_from(out).unwrap_or(u64::MAX);
        self.recent.of_minute(now).saturating_add(out) < REST_PER_MINUTE_MAX
    }

    /// GitHub told of a pot for free, as it does even while it refuses everything else: whether it may go on is shown
    /// by an answer to something that counts.
    pub fn metered(&mut self, pool: Pool, meter: Meter, at: Timestamp) {
        self.pot_mut(pool).spend(0, meter, at);
    }

    /// An answer came that was no refusal.
    pub fn answered(&mut self, pool: Pool, cost: u64, meter: Meter, at: Timestamp) {
        // One that was under way when GitHub said to stop is no sign that it may go on. And that the one pool is
        // answered says nothing about the other: lists go on while queries are refused.
        let is_silent = self.silent(pool, at).is_some();
        let pot = self.pot_mut(pool);
        if !is_silent {
            pot.strikes = 0;
        }
        pot.spend(cost, meter, at);
    }

    /// GitHub refused because of a limit; gives until when the pool is silent now, which may have been told before.
    /// Where it names no time: a minute, doubled with each silence in a row that did not suffice, at most an hour.
    pub fn limited(&mut self, pool: Pool, limit: &Limit, meter: Meter, at: Timestamp) -> Silence {
        // What was under way when a silence began is refused because of what led to it, and not of going on.
        if limit.until.is_none() && self.silent(pool, at).is_none() {
            let pot = self.pot_mut(pool);
            pot.strikes = pot.strikes.saturating_add(1);
        }
        let strikes = match limit.scope {
            LimitScope::Pot => self.pot(pool).strikes,
            LimitScope::Account => self.graphql.strikes.saturating_add(self.rest.strikes),
        };
        let until = limit.until.unwrap_or_else(|| at.after(grown(strikes)));
        let silence = Silence {
            told: at,
            until,
            why: limit.detail.clone(),
        };
        let pot = self.pot_mut(pool);
        pot.spend(0, meter, at);
        match limit.scope {
            // The other pot has its own level.
            LimitScope::Pot => pot.hush(silence.clone(), at),
            LimitScope::Account => self.hush(silence.clone(), at),
        }
        self.silent(pool, at).unwrap_or(silence)
    }

    /// Nothing at all is sent before `silence` is over, which was told at `at`. An earlier one that lasts longer stands.
    pub(crate) fn hush(&mut self, silence: Silence, at: Timestamp) {
        self.silence = later(self.silence.take(), Some(silence), at);
    }

    /// What this process and another one remember of the same account at `now`, for the store: whatever either was told
    /// to leave alone, and what both took.
    #[must_use]
    pub fn with(mut self, other: &AccountMemory, now: Timestamp) -> AccountMemory {
        self.silence = later(self.silence.take(), other.silence.clone(), now);
        let same_token = self.fingerprint == other.fingerprint;
        self.graphql = self.graphql.with(&other.graphql, same_token, now);
        self.rest = self.rest.with(&other.rest, same_token, now);
        self.recent = self.recent.with(&other.recent);
        self
    }

    /// What another process was told at `now` or before holds for this one, too. Gives whether that is news.
    pub fn heed(&mut self, told: &AccountMemory, now: Timestamp) -> bool {
        let mut is_news = false;
        for (known, theirs) in [
            (&mut self.silence, &told.silence),
            (&mut self.graphql.silence, &told.graphql.silence),
            (&mut self.rest.silence, &told.rest.silence),
        ] {
            let is_longer = |theirs: &&Silence| {
                // One that a clock which was ahead was told does not hold, and ends late.
                let holding = known.as_ref().filter(|known| known.holds_at(now));
                let until = holding.map(|known| known.until);
                theirs.holds_at(now) && until.is_none_or(|until| until < theirs.until)
            };
            if let Some(theirs) = theirs.as_ref().filter(is_longer) {
                *known = Some(theirs.clone());
                is_news = true;
            }
        }
        is_news
    }

    /// What holds for this account beside `other` at `now`: where both have the same token, what GitHub tells the one holds for
    /// the other, and what they take is taken from one pot.
    #[must_use]
    pub(crate) fn beside(mut self, other: &AccountMemory, now: Timestamp) -> AccountMemory {
        if self.fingerprint.is_none() || self.fingerprint != other.fingerprint {
            return self;
        }
        self.silence = later(self.silence.take(), other.silence.clone(), now);
        self.graphql = self.graphql.beside(&other.graphql, now);
        self.rest = self.rest.beside(&other.rest, now);
        self.recent = self.recent.plus(&other.recent);
        self
    }

    /// What was taken so far stands in a row that is handed out to be stored.
    pub(crate) fn stored(&mut self) {
        self.graphql.unstored = 0;
        self.rest.unstored = 0;
        self.recent.stored();
    }

    /// The account now has this token. Another one may have pots with other levels, unless `renewed` says that it is the
    /// same account's next token. What vigil took counts on, and so does whatever GitHub told about being silent: limits
    /// are a user's and no token's, and nothing says that it is another user's.
    pub fn has_token(&mut self, fingerprint: &Fingerprint, renewed: bool, now: Timestamp) {
        if self.fingerprint.as_ref() == Some(fingerprint) {
            return;
        }
        if self.fingerprint.is_some() && !renewed {
            for pot in [&mut self.graphql, &mut self.rest] {
                if pot.empty_until(now).is_none() {
                    pot.meter = Meter::default();
                }
            }
        }
        self.fingerprint = Some(fingerprint.clone());
    }
}

#[cfg(test)]
mod tests;
