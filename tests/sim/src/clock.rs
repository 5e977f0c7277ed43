//! Time that passes when the simulation says so.

use std::time::Duration;

use vigil::world::Clocks;
use vigil_core::Timestamp;
use vigil_core::time::millis;

/// The clocks of the simulated machine, all in milliseconds.
#[derive(Clone, Debug)]
pub struct Clock {
    /// The wall clock, since the epoch.
    pub wall: u64,
    /// Since boot, suspends left out.
    awake: u64,
    /// Since boot.
    boot: u64,
    /// How often it was booted.
    boots: u64,
}

impl Clock {
    /// A machine that has been up for three days at `wall`.
    pub fn new(wall: u64) -> Self {
        let up = 3 * 24 * 3_600_000;
        Clock {
            wall,
            awake: up,
            boot: up,
            boots: 1,
        }
    }

    /// The wall clock.
    pub fn now(&self) -> Timestamp {
        Timestamp(self.wall)
    }

    /// When the machine was booted, as the wall clock has it now.
    pub fn booted_at(&self) -> Timestamp {
        Timestamp(self.wall.saturating_sub(self.boot))
    }

    /// All of them, as the product reads them.
    pub fn read(&self) -> Clocks {
        Clocks {
            wall: self.now(),
            awake_ms: self.awake,
            boot_ms: self.boot,
            boot_id: format!("boot-{}", self.boots),
        }
    }

    /// Time goes by.
    pub fn pass(&mut self, span: Duration) {
        let span = millis(span);
        self.wall += span;
        self.awake += span;
        self.boot += span;
    }

    /// The machine sleeps.
    pub fn suspend(&mut self, span: Duration) {
        let span = millis(span);
        self.wall += span;
        self.boot += span;
    }

    /// Somebody sets the wall clock: by so many minutes, in either direction.
    pub fn jump(&mut self, minutes: i64) {
        self.wall = self.wall.saturating_add_signed(minutes * 60_000);
    }

    /// The machine is booted anew, which takes a minute.
    pub fn reboot(&mut self) {
        self.wall += 60_000;
        (self.awake, self.boot) = (60_000, 60_000);
        self.boots += 1;
    }
}
