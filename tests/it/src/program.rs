//! The whole program from its command line, as users run it: real files, real git worktrees, real processes, and a
//! model of GitHub over real HTTP. One module for each theme.

mod gate;
mod guests;
mod hung;
mod stage;
mod standing;

mod alive;
mod bad_input;
mod beside;
mod chain;
mod crashes;
mod daemon;
mod deliveries;
mod demo;
mod doctor;
mod heals;
mod holds;
mod limits;
mod looking;
mod misleading;
mod notify;
mod owner_writes;
mod places;
mod policies;
mod pull_table;
mod pulls;
mod renamed;
mod repositories;
mod security;
mod seed;
mod set_up;
mod shares;
mod shown;
mod state_gone;
mod telling;
mod webhooks;
mod writer;
