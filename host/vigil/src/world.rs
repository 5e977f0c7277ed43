//! The live world: the clock, waiting, and what the kernel says about boot and suspends.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use vigil_core::Timestamp;
use vigil_core::time::millis;
use vigil_sources::World;

/// The world as it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct LiveWorld;

impl World for LiveWorld {
    fn now(&self) -> Timestamp {
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the World that others take it from"
        )]
        let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Timestamp(since_epoch.map(millis).unwrap_or_default())
    }

    fn pause(&self, span: Duration) {
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the World that others wait with"
        )]
        std::thread::sleep(span);
    }

    fn booted_at(&self) -> Option<Timestamp> {
        Some(self.now().before(clock(ClockId::Boottime)))
    }
}

fn clock(id: ClockId) -> Duration {
    let time = clock_gettime(id);
    Duration::new(
        time.tv_sec.unsigned_abs(),
        u32::try_from(time.tv_nsec).unwrap_or_default(),
    )
}

/// The three clocks at one moment. Two of these show what happened in between.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Clocks {
    /// The wall clock.
    pub wall: Timestamp,
    /// Milliseconds since boot, without the time that the machine was suspended.
    pub awake_ms: u64,
    /// Milliseconds since boot, suspends included.
    pub boot_ms: u64,
    /// Tells one boot from the next. Empty: the machine does not tell.
    pub boot_id: String,
}

impl Clocks {
    /// Reads all of them.
    pub fn read(world: &dyn World) -> Clocks {
        let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
        Clocks {
            wall: world.now(),
            awake_ms: millis(clock(ClockId::Monotonic)),
            boot_ms: millis(clock(ClockId::Boottime)),
            boot_id: boot_id.map(|id| id.trim().to_owned()).unwrap_or_default(),
        }
    }
}

/// A difference between clocks up to this is drift and scheduling, not a suspend or a jump.
pub const BREAK_MIN: Duration = Duration::from_secs(30);

/// The latest break in watching: `known` from before, or `now.wall` when the machine was suspended, its wall clock
/// jumped, or vigil itself was held up since `before`.
///
/// `overslept` is how much later than planned this look comes; zero for one that nobody planned. Without a `before` of
/// this boot nothing can be told apart, and no break is invented: silence is measured on what files and records say,
/// and an agent that is alive shows in the process table.
pub fn awake_since(
    before: Option<&Clocks>,
    known: Option<Timestamp>,
    now: &Clocks,
    overslept: Duration,
) -> Option<Timestamp> {
    let limit = millis(BREAK_MIN);
    let suspended_ms = |clocks: &Clocks| clocks.boot_ms.saturating_sub(clocks.awake_ms);
    let broken = before
        .filter(|before| before.boot_id == now.boot_id)
        .is_some_and(|before| {
            let walked = now.wall.0.abs_diff(before.wall.0);
            let ran = now.boot_ms.saturating_sub(before.boot_ms);
            let backwards = now.wall < before.wall;
            suspended_ms(now).saturating_sub(suspended_ms(before)) > limit
                || walked.abs_diff(ran) > limit
                || backwards
        });
    if broken || overslept > BREAK_MIN {
        return Some(now.wall);
    }
    // A moment that a jump left ahead of us says nothing.
    known.filter(|known| *known <= now.wall)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clocks(wall: u64, awake: u64, boot: u64) -> Clocks {
        Clocks {
            wall: Timestamp(wall * 1000),
            awake_ms: awake * 1000,
            boot_ms: boot * 1000,
            boot_id: "one".into(),
        }
    }

    fn after(before: Option<Clocks>, now: Clocks, overslept: u64) -> Option<u64> {
        awake_since(
            before.as_ref(),
            Some(Timestamp(5)),
            &now,
            Duration::from_secs(overslept),
        )
        .map(|at| at.0)
    }

    #[test]
    fn a_quiet_minute_breaks_nothing() {
        assert_eq!(
            after(Some(clocks(1000, 100, 100)), clocks(1060, 160, 160), 0),
            Some(5)
        );
    }

    #[test]
    fn a_suspend_starts_every_silence_anew() {
        assert_eq!(
            after(Some(clocks(1000, 100, 100)), clocks(4600, 160, 3700), 0),
            Some(4_600_000)
        );
    }

    #[test]
    fn a_jump_of_the_clock_does_too_in_both_directions() {
        assert_eq!(
            after(Some(clocks(1000, 100, 100)), clocks(9060, 160, 160), 0),
            Some(9_060_000)
        );
        assert_eq!(
            after(Some(clocks(1000, 100, 100)), clocks(900, 160, 160), 0),
            Some(900_000)
        );
    }

    #[test]
    fn being_held_up_does_too() {
        assert_eq!(
            after(Some(clocks(1000, 100, 100)), clocks(1600, 700, 700), 540),
            Some(1_600_000)
        );
    }

    #[test]
    fn a_first_look_invents_no_break() {
        assert_eq!(after(None, clocks(1000, 100, 100), 0), Some(5));
        assert_eq!(after(None, clocks(1000, 100, 900), 0), Some(5));
    }

    #[test]
    fn a_boot_by_itself_is_no_break() {
        let mut now = clocks(2000, 10, 10);
        now.boot_id = "two".into();
        assert_eq!(after(Some(clocks(1000, 100, 100)), now, 0), Some(5));
    }
}
