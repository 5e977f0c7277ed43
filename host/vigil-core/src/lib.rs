//! The pure kernel of vigil: what a session is, what is known about it, and which state follows.
//!
//! No async, no clock, no randomness, no I/O and no vendor's name in here: time comes in as an argument, and every
//! function gives the same answer on any machine. To learn why a session moved, read [`decide`]; to change what may
//! follow what, edit [`state`].

pub mod decide;
pub mod drift;
pub mod evidence;
pub mod fact;
pub mod forge;
pub mod grounds;
pub mod guard;
pub mod intents;
pub mod landing;
pub mod left;
pub mod named;
pub mod queue;
pub mod requeue;
pub mod session;
pub mod signs;
pub mod standing;
pub mod state;
pub mod survey;
pub mod time;
pub mod verdict;

pub use evidence::{Evidence, Sibling};
pub use fact::{Fact, Gap, GapKind, Sighting};
pub use grounds::Grounds;
pub use session::{Session, SessionId};
pub use state::State;
pub use time::Timestamp;
pub use verdict::{Decision, Intent, Verdict};
