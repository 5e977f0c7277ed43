//! The store from outside, on real files.

mod common;
mod opening;
