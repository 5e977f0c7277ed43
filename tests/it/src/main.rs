//! The integration tests, one module for each subject.

#![allow(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    reason = "a test that cannot run here says so on its own output, and a test of a program sets the stage for it"
)]

mod conformance;
mod policy_test;
mod program;
mod reference;
mod tidy;
