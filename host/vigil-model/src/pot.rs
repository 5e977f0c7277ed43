//! What is left to somebody: the primary limits by the hour, and the secondary ones by the minute.

use std::collections::VecDeque;

/// The window of the primary limits, and of writes.
pub(crate) const HOUR_MS: u64 = 3_600_000;

/// The window of the secondary limits, and how long somebody has to be silent who went over one.
pub(crate) const MINUTE_MS: u64 = 60_000;

/// The limits of one login or installation.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pots {
    pub(crate) rest: Pot,
    pub(crate) graphql: Pot,
    pub(crate) rest_pace: Pace,
    pub(crate) graphql_pace: Pace,
    /// Writes over REST, each of one point.
    pub(crate) writes: Pace,
}

impl Pots {
    /// The limit of an installation by its size: 50 more for each repository over 20, at most 12,500.
    pub(crate) fn allow_installation(&mut self, repos: u64) {
        let limit = (5_000 + 50 * repos.saturating_sub(20)).min(12_500);
        self.rest.limit = self.rest.limit.max(limit);
        self.graphql.limit = self.graphql.limit.max(limit);
    }
}

/// One primary limit: so much in an hour that begins with the first request.
#[derive(Clone, Debug)]
pub(crate) struct Pot {
    pub(crate) limit: u64,
    pub(crate) used: u64,
    /// Milliseconds since the epoch; `None` before the first request.
    pub(crate) resets_ms: Option<u64>,
}

impl Default for Pot {
    fn default() -> Self {
        Pot {
            limit: 5_000,
            used: 0,
            resets_ms: None,
        }
    }
}

impl Pot {
    /// Begins a new hour when the old one is over.
    pub(crate) fn turn(&mut self, now_ms: u64) {
        match self.resets_ms {
            Some(resets_ms) if now_ms < resets_ms => {}
            Some(_) => {
                self.used = 0;
                self.resets_ms = Some(now_ms.saturating_add(HOUR_MS));
            }
            None => self.resets_ms = Some(now_ms.saturating_add(HOUR_MS)),
        }
    }

    pub(crate) fn remaining(&self) -> u64 {
        self.limit.saturating_sub(self.used)
    }

    /// Takes `points`, or nothing and `false` where they are not there.
    pub(crate) fn take(&mut self, points: u64) -> bool {
        if points > self.remaining() {
            return false;
        }
        self.used += points;
        true
    }

    /// Takes `points`, or what is left of them.
    pub(crate) fn drain(&mut self, points: u64) {
        self.used += points.min(self.remaining());
    }

    /// Whole seconds since the epoch, rounded up: a client that waits until then is not early.
    pub(crate) fn resets_s(&self) -> u64 {
        self.resets_ms.unwrap_or(0).div_ceil(1000)
    }
}

/// How fast somebody asks: points of the last hour by their time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pace {
    spent: VecDeque<(u64, u64)>,
    /// Milliseconds since the epoch.
    barred_until_ms: u64,
}

impl Pace {
    /// Milliseconds for which nothing is served, after too much in one window: `points` of the last `window_ms` must
    /// not exceed `max`. `None`: served, and counted.
    pub(crate) fn spend(
        &mut self,
        points: u64,
        windows: &[(u64, u64)],
        now_ms: u64,
    ) -> Option<u64> {
        if now_ms < self.barred_until_ms {
            return Some(self.barred_until_ms - now_ms);
        }
        while let Some((at_ms, _)) = self.spent.front()
            && at_ms.saturating_add(HOUR_MS) <= now_ms
        {
            self.spent.pop_front();
        }
        for (window_ms, max) in windows {
            let recent = self
                .spent
                .iter()
                .rev()
                .take_while(|(at_ms, _)| at_ms.saturating_add(*window_ms) > now_ms);
            if recent.map(|(_, points)| points).sum::<u64>() + points > *max {
                self.barred_until_ms = now_ms.saturating_add(MINUTE_MS);
                return Some(MINUTE_MS);
            }
        }
        match self.spent.back_mut() {
            Some((at_ms, spent)) if *at_ms == now_ms => *spent += points,
            _ => self.spent.push_back((now_ms, points)),
        }
        None
    }
}
