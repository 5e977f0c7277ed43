//! What is old is forgotten, on disk and in this process.

use vigil_store::{Pruned, Retention};

use super::Reconciler;
use crate::failure::Failure;
use crate::memory;

impl Reconciler {
    /// Forgets what `retention` does not keep: rows of vigil's memory, and by the same age what this process holds of
    /// repositories, issues and pull requests that no session names any more.
    ///
    /// # Errors
    /// Those of vigil's memory; then less was forgotten, and the rest is the next time.
    pub fn prune(&mut self, retention: &Retention) -> Result<Pruned, Failure> {
        let now = self.world.now();
        if let Some(known) = &mut self.asking.memory {
            let forgotten = known.prune(now, retention.forge_age());
            tracing::debug!(forgotten, "what nobody asks about any more was forgotten");
        }
        self.store.prune(now, retention).map_err(memory::failed)
    }
}
