//! The machine as every source sees it: what stands in its files, and what its programs are told.
//!
//! Paths come from records and lie in worktrees, so that agents choose what stands there. Nothing in here waits for
//! what it looks at, and nothing is read without a bound.

pub mod child;
pub(crate) mod git;
pub mod ignored;
pub(crate) mod left_behind;
pub(crate) mod leftovers;
pub mod looker;
pub mod mounts;
pub mod open;
pub(crate) mod places;
pub mod walk;
