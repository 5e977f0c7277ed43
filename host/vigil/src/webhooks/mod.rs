//! Being woken by GitHub, for `vigil run --listen`: a delivery comes in over HTTP, is proven by its signature, and
//! becomes wakes in a queue. A wake says where to look again and nothing else; no fact is taken from a delivery.
//!
//! ```text
//! server ─► signature ─► event ─► inbox ─► coalesce ─► Reconciler::wake
//! bounds    HMAC over    pure:    folds,   pure: when
//! and       the raw      which    bounded  the pass
//! deadlines bytes        wakes             begins
//! ```

mod body;
pub mod coalesce;
mod counted;
mod crowd;
pub mod event;
pub mod inbox;
pub mod keyring;
pub mod server;
pub mod settings;
pub mod signature;

pub use event::{About, Wake};
pub use inbox::{Counts, Inbox};
pub use keyring::Keyring;
pub use server::{Listening, listen};
pub use settings::{Settings, WebhooksConfig};
