//! Which components there are, and what each is built from.

use std::path::PathBuf;

use anyhow::{Context, Result};
use cargo_metadata::TargetKind;

use crate::command::{self, root};

/// The package of the misbehaving guests; each is one of its examples.
const GUESTS: &str = "vigil-guests";

/// The guest as one would write it at first: a stack of 1 MiB and the standard allocator. Benches compare with it.
const NAIVE: &str = "naive";

/// The guest that is not made a component.
const CORE_MODULE: &str = "core_module";

/// The guest that imports what no policy may.
const FOREIGN_IMPORT: &str = "foreign_import";

/// One committed component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artefact {
    /// For people.
    pub name: String,
    /// The package it is built from.
    pub package: &'static str,
    /// The example of that package; `None`: its library.
    pub example: Option<String>,
    /// The stack of 32 KiB that policies get.
    pub small_stack: bool,
    /// What is done with the core module.
    pub wrapping: Wrapping,
    /// Files and folders below the root that its digest covers.
    pub sources: Vec<String>,
    /// Where it is committed, below the root.
    pub dist: String,
}

impl Artefact {
    /// Where it is committed.
    pub fn path(&self) -> PathBuf {
        root().join(&self.dist)
    }
}

/// What becomes of the core module that the compiler leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrapping {
    /// A component that imports nothing but the contract's types; anything else is an error.
    Policy,
    /// A component, whatever it imports.
    AnyImports,
    /// It stays a core module.
    None,
}

/// Every committed component.
///
/// # Errors
/// When cargo cannot read the workspace.
pub fn all() -> Result<Vec<Artefact>> {
    let mut all = vec![policy("default", "vigil-policy-default")];
    all.extend(guests()?);
    Ok(all)
}

fn policy(name: &str, package: &'static str) -> Artefact {
    let folder = format!("policies/{name}");
    Artefact {
        name: name.to_owned(),
        package,
        example: None,
        small_stack: true,
        wrapping: Wrapping::Policy,
        sources: of_package(&folder),
        dist: format!("policies/dist/{name}.wasm"),
    }
}

/// What every component is built from, and the package's own code. No README and no cases: they don't change a byte.
fn of_package(folder: &str) -> Vec<String> {
    ["wit", "policies/sdk/src", "policies/sdk/Cargo.toml"]
        .into_iter()
        .map(str::to_owned)
        .chain([format!("{folder}/src"), format!("{folder}/Cargo.toml")])
        .collect()
}

fn guests() -> Result<Vec<Artefact>> {
    let metadata = command::metadata()?;
    let package = metadata
        .packages
        .iter()
        .find(|package| package.name.as_str() == GUESTS)
        .with_context(|| format!("the workspace has no package {GUESTS}"))?;
    let mut guests: Vec<Artefact> = package
        .targets
        .iter()
        .filter(|target| target.kind.contains(&TargetKind::Example))
        .map(|target| guest(&target.name))
        .collect();
    guests.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(guests)
}

fn guest(name: &str) -> Artefact {
    let mut sources = of_package("tests/guests");
    sources.push(format!("tests/guests/examples/{name}.rs"));
    // The manifest lists all guests: a new one must not make the others look stale.
    sources.retain(|path| path != "tests/guests/Cargo.toml");
    if name == NAIVE {
        sources.extend(of_package("policies/default"));
    }
    sources.sort();
    sources.dedup();
    Artefact {
        name: name.to_owned(),
        package: GUESTS,
        example: Some(name.to_owned()),
        small_stack: name != NAIVE,
        wrapping: match name {
            CORE_MODULE => Wrapping::None,
            FOREIGN_IMPORT => Wrapping::AnyImports,
            _ => Wrapping::Policy,
        },
        sources,
        dist: format!("tests/guests/dist/{}.wasm", name.replace('_', "-")),
    }
}
