//! A strict, mutable model of GitHub on loopback, for the demo, the tests and the simulation.

mod answer;
mod edit;
mod fault;
mod graphql;
mod message;
mod model;
mod rest;
mod server;
mod tally;
mod time;
mod token;
mod trouble;
mod world;

#[cfg(test)]
mod tests;

pub use edit::{IssueEdit, PullEdit, RepoEdit};
pub use fault::{ErrorType, Fault, FieldFault, Forbidden, Scope};
pub use message::{Delivery, Request, Response};
pub use model::Model;
pub use server::{Clock, Handle, Server};
pub use tally::{Asked, LOG_ENTRIES_MAX, Tally};
pub use token::{Permission, TokenEdit, TokenKind};
pub use world::{Check, Comment, Issue, Item, Kind, Pull, Repo};
