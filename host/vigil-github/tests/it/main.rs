//! The tests of vigil-github: the pure ones on literal answers, the others over real sockets.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "tests read the environment and say when they skip"
)]

mod access;
mod app;
mod choose;
mod doctor;
mod faults;
mod heads;
mod landing;
mod learn;
mod limits;
mod long;
mod network;
mod place;
mod plan;
mod price;
mod probe;
mod read;
mod recorded;
mod schema;
mod secrets;
mod silence;
mod support;
mod tls;
mod tokens;
mod turns;
mod watch;
mod world;
