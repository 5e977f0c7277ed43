//! A made-up Vigilante home and a model of GitHub, for `vigil demo` and for the end-to-end tests: real files, real git
//! worktrees, real processes, real HTTP on loopback. Only Vigilante, the agents and GitHub are made up.

pub mod home;
pub mod story;

pub use home::{Home, Made};
