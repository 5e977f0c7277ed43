//! vigil's own memory on SQLite: journal, transitions, what is remembered of the forge, leases, alerts. The only crate
//! that knows vigil's schema.
//!
//! One [`Store`] is one connection. Several processes may hold one each: a writer waits up to [`BUSY_TIMEOUT`] for
//! another and then gives [`StoreError::Busy`]. Time is always an argument; nothing in here asks for it.
//!
//! No session's record is in here. Whoever loses this file loses the history and the caches, and no work.

mod alerts;
mod budget;
mod daemon;
mod digest;
mod error;
mod evidence;
mod files;
mod forge;
mod holders;
mod journal;
mod leases;
mod liveness;
mod mark;
mod memos;
mod open;
mod outbox;
mod pauses;
mod retention;
mod row;
mod schedule;
mod transitions;
mod watch;

pub use alerts::Alert;
pub use budget::DoneIntent;
pub use daemon::DaemonLock;
pub use digest::{EvidenceDigest, evidence_digest};
pub use error::{Cause, Result, StoreError};
pub use evidence::{ContentDigest, EVIDENCE_BYTES_MAX};
pub use forge::{ForgeChange, ForgeRow, Merge};
pub use journal::{Entry, JournalRow, KEEP_LATEST_AFTER, Latest};
pub use leases::{LEASE_SPAN_MAX, Lease};
pub use mark::Mark;
pub use memos::Memo;
pub use open::{BUSY_TIMEOUT, SCHEMA, Store};
pub use outbox::{Notice, RETRY_AHEAD_MAX};
pub use pauses::Pause;
pub use retention::{FORGE_AGE_MIN, Pruned, Retention};
pub use schedule::Look;
pub use transitions::{
    Kind, LastWritten, NewTransition, ParseTransitionId, Settled, Standing, Transition,
    TransitionId,
};
pub use watch::{Held, Watch, stop_file, strays};
