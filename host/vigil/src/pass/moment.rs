//! The moment of a pass, and since when this machine has been watched without a break.

use vigil_core::Timestamp;
use vigil_store::Mark;

use super::{How, Reconciler};
use crate::failure::Failure;
use crate::world::{self, Clocks};

/// What holds for all sources in one pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The wall clock.
    pub now: Timestamp,
    /// When this machine was booted.
    pub booted_at: Option<Timestamp>,
    /// The latest break in watching.
    pub awake_since: Option<Timestamp>,
    /// All clocks, for the next pass to compare with.
    pub clocks: Clocks,
}

impl Reconciler {
    /// Reads the clocks and compares them with the last pass's.
    pub(super) fn moment(&self, how: &How) -> Result<Moment, Failure> {
        let clocks = (self.clocks)(self.world.as_ref());
        let mark = self.store.mark().map_err(crate::memory::failed)?;
        let before = mark.as_ref().map(|mark| Clocks {
            wall: mark.wall,
            awake_ms: mark.awake_ms,
            boot_ms: mark.boot_ms,
            boot_id: mark.boot_id.clone(),
        });
        let known = mark.as_ref().and_then(|mark| mark.awake_since);
        let awake_since = world::awake_since(before.as_ref(), known, &clocks, how.overslept);
        if awake_since.is_some() && awake_since != known {
            tracing::info!("watching was interrupted; every window of silence starts anew");
        }
        Ok(Moment {
            now: clocks.wall,
            booted_at: self.world.booted_at(),
            awake_since,
            clocks,
        })
    }
}

impl Moment {
    /// What the next pass compares with.
    pub(super) fn mark(&self) -> Mark {
        Mark {
            wall: self.clocks.wall,
            awake_ms: self.clocks.awake_ms,
            boot_ms: self.clocks.boot_ms,
            boot_id: self.clocks.boot_id.clone(),
            awake_since: self.awake_since,
        }
    }
}
