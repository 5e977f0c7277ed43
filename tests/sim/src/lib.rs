//! The seeded simulation of the whole loop: real passes with the real default policy over a real `sessions.json` and a
//! real journal, in a world whose time, GitHub, machine and owner are made up, and which goes wrong wherever it can.
//!
//! Read [`run`] first: it says what happens in a seed. [`outside`] is the made-up world as vigil meets it, [`body`] what
//! is really there of a session's work, whatever is recorded, [`stage`] where each of vigil's steps is looked at and
//! disturbed, [`check`] what must hold after every step, [`truth`] what a transition must rest on, [`plant`] the mistakes
//! that are put in on purpose. A seed is all that a run depends on: no clock, no sleeping, no process, no network.
//!
//! `VIGIL_SIM_SEED=123 cargo test -p vigil-sim` runs one seed and shows its steps.
//!
//! What is not simulated: looks at real processes and worktrees (the sources' own tests do that), notices, several
//! machines, and a power cut between the exchange of two files and the look back at what was displaced while somebody
//! else writes: that window is a few microseconds wide, and what was written in it is only left beside the file.

pub mod body;
mod calm;
pub mod cast;
pub mod check;
pub mod clock;
pub mod disk;
pub mod hub;
pub mod outside;
pub mod owner;
pub mod plant;
pub mod rng;
pub mod run;
pub mod stage;
mod storm;
pub mod text;
pub mod truth;

pub use plant::Bug;
pub use run::{Broken, Lab};
pub use stage::Tally;
