//! The world as a write sees it: with the last look at what may stop it. Nothing else stands between that look and the
//! owner's file.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use vigil_core::Timestamp;
use vigil_core::guard::Objection;
use vigil_sources::World;
use vigil_store::{Held, StoreError, Watch};

use super::commit::read_only;
use crate::config::Mode;

/// The world, with what this pass knows about breaks in watching: a lock looks stuck right after a laptop wakes.
pub(crate) struct Watched {
    world: Arc<dyn World>,
    awake_since: Option<Timestamp>,
    source: String,
    /// What vigil may do with the source by itself. `None`: a person writes by hand, whom neither that nor a pause stops.
    mode: Option<Mode>,
    watch: Watch,
    /// What stopped a write.
    pub(super) held: Mutex<Option<Result<Objection, StoreError>>>,
}

impl Watched {
    /// As a person's own write to `source` sees it.
    pub(crate) fn by_hand(world: Arc<dyn World>, source: &str, watch: Watch) -> Self {
        Watched {
            world,
            awake_since: None,
            source: source.to_owned(),
            mode: None,
            watch,
            held: Mutex::new(None),
        }
    }

    /// As a pass's write sees it, which may do what `mode` says. `awake_since`: the latest break in watching.
    pub(super) fn in_a_pass(self, mode: Mode, awake_since: Option<Timestamp>) -> Self {
        Watched {
            mode: Some(mode),
            awake_since,
            ..self
        }
    }
}

impl World for Watched {
    fn now(&self) -> Timestamp {
        self.world.now()
    }

    fn pause(&self, span: Duration) {
        self.world.pause(span);
    }

    fn booted_at(&self) -> Option<Timestamp> {
        self.world.booted_at()
    }

    fn awake_since(&self) -> Option<Timestamp> {
        self.awake_since.max(self.world.awake_since())
    }

    fn step(&self, name: &'static str) -> io::Result<()> {
        self.world.step(name)?;
        if name != vigil_sources::LAST_STEP {
            return Ok(());
        }
        if self.mode == Some(Mode::Observe) {
            return Err(io::Error::other("the source is only observed"));
        }
        let (why, held) = match self.watch.held(&self.source, self.world.now()) {
            Ok(None) => return Ok(()),
            Ok(Some(Held::Paused(_))) if self.mode.is_none() => return Ok(()),
            Ok(Some(held)) => {
                let objection = read_only(&held);
                (objection.detail.clone(), Ok(objection))
            }
            Err(error) => (error.to_string(), Err(error)),
        };
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = Some(held);
        Err(io::Error::other(why))
    }
}
