//! When to look at a session again. A value, computed from the ruling; nobody sleeps here.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::decide::{Action, Ruling};
use crate::session::SessionId;
use crate::state::State;
use crate::time::{Timestamp, millis, minutes};

/// The first delay after trouble: a minute is what a front end needs to come back.
pub const BACKOFF_FIRST: Duration = minutes(1);

/// The longest delay after trouble: nobody waits longer than this for a fact once the trouble is over.
pub const BACKOFF_MAX: Duration = minutes(15);

/// How often a session is looked at in which nothing can happen on the machine that would say anything: what its
/// record or the forge says is noticed without that.
pub const QUIET: Duration = minutes(15);

/// The shortest delay that a policy may ask for.
pub const LOOK_AGAIN_MIN: Duration = Duration::from_secs(15);

/// The longest delay that a policy may ask for.
pub const LOOK_AGAIN_MAX: Duration = minutes(6 * 60);

/// When to look again, and how many tries in a row went wrong before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requeue {
    /// The moment.
    pub at: Timestamp,
    /// Tries in an unbroken row that learned too little; zero after one that did.
    pub attempts: u32,
}

/// The next look after `ruling` at `now`.
///
/// `troubled`: something that was asked for is unknown, or a write did not go through; such looks back off from
/// [`BACKOFF_FIRST`] to [`BACKOFF_MAX`], doubling, with a jitter of up to a quarter that depends on the session and
/// the attempt alone, so that a fleet does not come back at the same moment and a test can repeat it.
///
/// A session that is held in `state` is looked at again after `interval` while an agent may be at work on it, and
/// after [`QUIET`], less up to a half, otherwise.
pub fn requeue(
    id: &SessionId,
    ruling: &Ruling,
    troubled: bool,
    attempts_before: u32,
    interval: Duration,
    state: State,
    now: Timestamp,
) -> Requeue {
    let wanted = wanted(ruling);
    if troubled {
        let attempts = attempts_before.saturating_add(1);
        let delay = backoff(attempts)
            .max(wanted.unwrap_or_default())
            .min(BACKOFF_MAX);
        return Requeue {
            at: now.after(delay + jitter(id, attempts, delay)),
            attempts,
        };
    }
    let delay = match ruling.action {
        // The record was just put right: look once more soon, to see that its owner agrees.
        Action::Move(_) | Action::Repair(_) => interval,
        Action::Hold | Action::Refuse => wanted.unwrap_or(match state {
            // An agent that ends leaves no trace but its absence.
            State::Running => interval,
            _ => {
                // What was looked at together is not all looked at together again.
                let quiet = QUIET.max(interval);
                quiet - 2 * jitter(id, 0, quiet)
            }
        }),
    };
    Requeue {
        at: now.after(delay),
        attempts: 0,
    }
}

/// After how long a held session is wanted to be looked at again, by its policy or the kernel; `None`: whenever the host
/// chooses.
pub fn wanted(ruling: &Ruling) -> Option<Duration> {
    let after = Duration::from_millis(ruling.look_again_after_ms?);
    Some(after.clamp(LOOK_AGAIN_MIN, LOOK_AGAIN_MAX))
}

/// How long a daemon rests after a pass that took `took`: until the next one is due after `interval`, or before that where
/// a session is to be looked at again `soonest` after the pass began. `behind`: some that are due wait already.
pub fn rest(
    interval: Duration,
    soonest: Option<Duration>,
    behind: bool,
    took: Duration,
) -> Duration {
    // The rest of a fleet that does not fit into one pass waits no longer than it has to.
    let after = match behind {
        true => Duration::ZERO,
        false => soonest.map_or(interval, |soonest| soonest.min(interval)),
    };
    after.saturating_sub(took)
}

/// The delay before try number `attempt`, counted from 1, without jitter.
pub fn backoff(attempt: u32) -> Duration {
    let doublings = attempt.saturating_sub(1).min(16);
    BACKOFF_FIRST
        .saturating_mul(1 << doublings)
        .min(BACKOFF_MAX)
}

/// Up to a quarter of `delay`, the same for the same session and attempt.
fn jitter(id: &SessionId, attempt: u32, delay: Duration) -> Duration {
    let quarter = millis(delay) / 4;
    if quarter == 0 {
        return Duration::ZERO;
    }
    Duration::from_millis(fnv1a(&format!("{id}/{attempt}")) % quarter)
}

/// FNV-1a over bytes: stable over versions and machines, unlike the standard library's hasher.
fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::Action;

    fn ruling(action: Action, look_again_after_ms: Option<u64>) -> Ruling {
        Ruling {
            action,
            rule: "r".into(),
            origin: crate::standing::Origin::Verdict,
            policy: None,
            policy_digest: None,
            reason: "x".into(),
            proposed: None,
            rests_on: Vec::new(),
            guards: Vec::new(),
            intents: Vec::new(),
            look_again_after_ms,
        }
    }

    fn next(troubled: bool, before: u32, look_again: Option<u64>) -> (u64, u32) {
        let id = SessionId::new("v", "o/r#1");
        let ruling = ruling(Action::Hold, look_again);
        let next = requeue(
            &id,
            &ruling,
            troubled,
            before,
            minutes(1),
            State::Running,
            Timestamp(0),
        );
        (next.at.0 / 1000, next.attempts)
    }

    #[test]
    fn a_daemon_rests_until_the_first_look_that_is_wanted_and_no_longer_than_its_interval() {
        let seconds = Duration::from_secs;
        for (soonest, behind, took, expected) in [
            (None, false, 2, 58),
            (Some(20), false, 2, 18),
            (Some(300), false, 2, 58),
            (Some(20), false, 30, 0),
            (Some(20), true, 2, 0),
            (None, false, 90, 0),
        ] {
            let rested = rest(seconds(60), soonest.map(seconds), behind, seconds(took));
            assert_eq!(rested, seconds(expected), "{soonest:?} {behind} {took}");
        }
    }

    #[test]
    fn trouble_backs_off_to_a_cap_and_success_forgets_it() {
        let delays: Vec<u64> = (0..7).map(|before| next(true, before, None).0).collect();
        for (delay, base) in delays.iter().zip([60, 120, 240, 480, 900, 900, 900]) {
            assert!((base..base + base / 4 + 1).contains(delay), "{delays:?}");
        }
        assert_eq!(next(false, 6, None), (60, 0));
    }

    #[test]
    fn jitter_spreads_a_fleet_and_repeats_itself() {
        let at = |n: u32| {
            let id = SessionId::new("v", format!("o/r#{n}"));
            requeue(
                &id,
                &ruling(Action::Hold, None),
                true,
                4,
                minutes(1),
                State::Running,
                Timestamp(0),
            )
            .at
        };
        let moments: std::collections::BTreeSet<_> = (0..100).map(at).collect();
        assert!(moments.len() > 90);
        assert_eq!(at(3), at(3));
    }

    #[test]
    fn what_no_agent_works_on_is_looked_at_less_often() {
        let at = |n: u32| {
            let id = SessionId::new("v", format!("o/r#{n}"));
            let ruling = ruling(Action::Hold, None);
            let state = State::Maintaining;
            requeue(&id, &ruling, false, 0, minutes(1), state, Timestamp(0)).at
        };
        let moments: Vec<_> = (0..100).map(at).collect();
        let earliest = Timestamp(0).after(QUIET / 2);
        assert!(
            moments
                .iter()
                .all(|at| (earliest..=Timestamp(0).after(QUIET)).contains(at))
        );
        assert!(
            moments
                .iter()
                .collect::<std::collections::BTreeSet<_>>()
                .len()
                > 90
        );
    }

    #[test]
    fn a_policy_chooses_within_bounds() {
        assert_eq!(next(false, 0, Some(1)), (15, 0));
        assert_eq!(next(false, 0, Some(90_000)), (90, 0));
        assert_eq!(next(false, 0, Some(u64::MAX)), (6 * 3600, 0));
    }
}
