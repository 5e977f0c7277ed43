//! Asking the forge. Two implementations: GitHub over HTTP, and the simulation's model in process.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use vigil_core::Timestamp;
use vigil_github::Account;
use vigil_github::round::Round;

/// Something that sends what a round hands out. It never fails: what could not be learned is a gap in the round's
/// memory.
pub trait Forge: Send + Sync {
    /// The account that asks about repositories of `owner`.
    fn account(&self, owner: &str) -> Account;

    /// Sends what `round` hands out, from `now` on, until there is nothing more or `slice` is over, and never beyond
    /// `deadline`. Gives whether there may be more.
    fn work<'a>(
        &'a self,
        round: &'a mut Round,
        now: Timestamp,
        slice: Duration,
        deadline: Duration,
    ) -> Pin<Box<dyn Future<Output = bool> + Send + 'a>>;
}

impl Forge for vigil_github::GitHub {
    fn account(&self, owner: &str) -> Account {
        vigil_github::GitHub::account(self, owner)
    }

    fn work<'a>(
        &'a self,
        round: &'a mut Round,
        now: Timestamp,
        slice: Duration,
        deadline: Duration,
    ) -> Pin<Box<dyn Future<Output = bool> + Send + 'a>> {
        Box::pin(vigil_github::GitHub::work(
            self, round, now, slice, deadline,
        ))
    }
}
