//! The store from outside, on real files.

#![expect(clippy::unwrap_used, reason = "a test may panic: that is how it fails")]

mod common;
mod concurrency;
mod crash;
mod digest;
mod fixture;
mod forge;
mod journal;
mod leases;
mod memory;
mod opening;
mod people;
mod retention;
mod transitions;
