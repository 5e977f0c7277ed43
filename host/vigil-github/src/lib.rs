//! What GitHub says: plan, ask, learn.

pub mod ask;
pub mod plan;
pub mod query;

pub use ask::{Answer, Ask, Parts, Wants};
pub use plan::{Question, Repo, Target, plan};
pub use query::{Query, points};
