//! Makes the records of coding-agent sessions true again: the shell around the kernel.
//!
//! To learn what vigil does, read [`pass`]; a command is one file in [`commands`], named as the user types it.

mod budget;
pub mod cli;
pub mod commands;
pub mod config;
pub mod demo;
pub mod environment;
pub mod failure;
pub mod fixture;
pub mod forge;
mod heard;
mod limits;
pub mod memory;
pub mod notify;
pub mod pass;
mod plain_file;
pub mod policies;
pub mod report;
pub mod sources;
pub mod ui;
pub mod undo;
pub mod webhooks;
pub mod wiring;
pub mod world;
