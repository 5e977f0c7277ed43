//! Git repositories as files: what a look needs of them, without git.
//!
//! No program is started here, whatever a repository's settings, attributes, hooks or submodules name: there is no code
//! that could. Nothing is written and nothing is fetched. Files are opened from folders that are held open, so that a
//! path that is swapped meanwhile changes nothing, and only if they are regular; what is read of each is bounded. What
//! cannot be said without running somebody's program is a gap with that program's name.
//!
//! No library opens the files. Those that read repositories start filters, helpers and transports where a setting names
//! them, map packs into memory, and open whatever bears a name: each is right for a person's own repository, and none for
//! one that an agent can write to. The formats are gitoxide's as far as its parsers take bytes and stay within bounds
//! whatever these say: names and sums, trees, heads of loose objects, packed bits, offsets, names in quotes. Where they do
//! not, or bring code along that starts programs or writes files, a module reads its format itself and says so at its
//! head.

mod attributes;
mod checkout;
mod commit;
mod config;
mod content;
mod delta;
mod eol;
mod folder;
mod glob;
mod ignore;
mod index;
mod kin;
mod objects;
mod oid;
mod patch;
mod person;
mod refs;
mod repository;
mod tree;
mod walk;

pub(crate) use checkout::{Checkout, Person};
pub(crate) use oid::Oid;
pub use person::GitFiles;
pub(crate) use repository::{Pushes, Repository, Store, Work};

#[cfg(test)]
mod tests;
