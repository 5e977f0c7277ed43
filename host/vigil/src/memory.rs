//! Failures of vigil's own memory, told as such.

use vigil_store::StoreError;

use crate::failure::Failure;

/// vigil's memory failed: nothing more can be done safely, since the journal comes before every write.
pub fn failed(error: StoreError) -> Failure {
    Failure::world("failed to use vigil's journal").because(error)
}
