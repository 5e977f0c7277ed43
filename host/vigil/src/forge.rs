//! Asking the forge. Two implementations: GitHub over HTTP, and the simulation's model in process.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use vigil_core::Timestamp;
use vigil_github::{Ask, Reply};

/// Something that answers questions about issues and pull requests. It never fails: what could not be learned comes
/// back as a gap.
pub trait Forge: Send + Sync {
    /// Answers `asks`, in order, within `deadline`. `not_before`: it was told to send nothing until then.
    fn ask<'a>(
        &'a self,
        asks: &'a [Ask],
        deadline: Duration,
        not_before: Option<Timestamp>,
        now: Timestamp,
    ) -> Pin<Box<dyn Future<Output = Reply> + Send + 'a>>;
}

impl Forge for vigil_github::GitHub {
    fn ask<'a>(
        &'a self,
        asks: &'a [Ask],
        deadline: Duration,
        not_before: Option<Timestamp>,
        now: Timestamp,
    ) -> Pin<Box<dyn Future<Output = Reply> + Send + 'a>> {
        Box::pin(vigil_github::GitHub::ask(
            self, asks, now, deadline, not_before,
        ))
    }
}
