//! When the pass begins that answers a wake. Pure; the daemon waits.

use std::time::Duration;

use crate::config::INTERVAL_MIN;

/// 2 s: one change brings a handful of deliveries (a finished check comes as check run, check suite, workflow run and
/// status), and GitHub's replicas need a moment until a read shows what was delivered.
pub const GATHER: Duration = Duration::from_secs(2);

/// How long to wait on after the first wake.
///
/// `since_start`: how long ago the last pass began. `left`: how long it is until the next pass comes in any case. From
/// the start of one pass to the start of the next there is at least [`INTERVAL_MIN`], so that a fleet with an event
/// every second is not read without end.
pub fn wait(since_start: Duration, left: Duration) -> Duration {
    let apart = INTERVAL_MIN.0.saturating_sub(since_start);
    GATHER.max(apart).min(left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wake_gathers_others_keeps_passes_apart_and_delays_none() {
        for (since_start, left, waited) in [
            // Long after the last pass, the next far away: gather.
            (1000, 3000, 2),
            // Right after a pass: keep apart.
            (0, 3000, 5),
            (1, 3000, 4),
            (3, 3000, 2),
            // The next pass comes anyway.
            (1000, 1, 1),
            (0, 0, 0),
        ] {
            let secs = Duration::from_secs;
            assert_eq!(
                wait(secs(since_start), secs(left)),
                secs(waited),
                "{since_start} {left}"
            );
        }
    }
}
