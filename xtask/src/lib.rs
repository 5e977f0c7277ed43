//! What `cargo xtask` does, as a library, so that the tidy tests call the same checks.

#![expect(
    clippy::disallowed_macros,
    reason = "a tool for developers prints for them"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "a tool for developers measures its steps and reads what cargo told it"
)]

pub mod test;

pub mod bench;
pub mod deny;
pub mod fuzz;
pub mod interop;
pub mod lint;
pub mod nightly;
pub mod policies;
pub mod schema;

pub mod command;
pub mod runner;
pub mod steps;
