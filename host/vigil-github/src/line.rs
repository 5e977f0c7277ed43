//! One account's line to GitHub, shared by all rounds of a process: how much may be out on it at a time, and what it was
//! told.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use vigil_core::Timestamp;

use crate::budget::{Pool, Silence};
use crate::round::REST_IN_FLIGHT;

/// How much of one account may be out at a time, however many rounds there are: GitHub takes more for abuse.
pub(crate) struct Line {
    graphql: Arc<Semaphore>,
    rest: Arc<Semaphore>,
    /// The longest silence that each pool was told.
    told: Mutex<[Option<Silence>; 2]>,
}

/// The right to have one request out, until it is dropped. Whoever got an answer keeps it until what the answer says
/// is noted, so that the next one knows.
pub(crate) struct Place {
    _permit: OwnedSemaphorePermit,
}

impl Default for Line {
    fn default() -> Self {
        Line {
            graphql: Arc::new(Semaphore::new(1)),
            rest: Arc::new(Semaphore::new(REST_IN_FLIGHT)),
            told: Mutex::default(),
        }
    }
}

fn at(pool: Pool) -> usize {
    match pool {
        Pool::GraphQl => 0,
        Pool::Rest => 1,
    }
}

impl Line {
    /// Waits until a request to `pool` may go out. `None`: never, since the line is closed, which nobody does.
    pub(crate) async fn place(&self, pool: Pool) -> Option<Place> {
        let places = match pool {
            Pool::GraphQl => &self.graphql,
            Pool::Rest => &self.rest,
        };
        let permit = Arc::clone(places).acquire_owned().await.ok()?;
        Some(Place { _permit: permit })
    }

    /// An answer told to be silent. What was told to last longer stands.
    pub(crate) fn tell(&self, pool: Pool, silence: Silence) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let known = &mut told[at(pool)];
        let lasts = |known: &Silence| known.holds_at(silence.told) && known.until >= silence.until;
        if !known.as_ref().is_some_and(lasts) {
            *known = Some(silence);
        }
    }

    /// Why nothing may be sent to `pool` at `now`, whatever the token: limits are a user's. `None`: it may be.
    pub(crate) fn silent(&self, pool: Pool, now: Timestamp) -> Option<Silence> {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let told = told[at(pool)].as_ref();
        told.filter(|silence| silence.holds_at(now)).cloned()
    }
}
