//! `cargo xtask policies`: the components that are committed, built from the sources beside them, each naming the
//! digest of those sources, so that a test sees when the two drift apart.

mod component;
mod list;
mod sources;
mod toolchain;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::command;
pub use list::{Artefact, Wrapping, all};
pub use sources::{Drift, drifts};
pub use toolchain::Choice;

/// `cargo xtask policies` on the command line.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Only say whether sources and components agree; builds nothing.
    #[arg(long)]
    check: bool,
    /// The toolchain to build with; without it the first that is there or can be had.
    #[arg(long, value_enum)]
    toolchain: Option<Choice>,
    /// Only those whose name contains this text.
    #[arg(value_name = "NAME")]
    name: Option<String>,
}

/// Builds all components, or says which are out of date. True: in order.
pub fn run(args: &Args) -> Result<bool> {
    if args.check {
        return check();
    }
    let wanted: Vec<Artefact> = all()?
        .into_iter()
        .filter(|artefact| {
            args.name
                .as_deref()
                .is_none_or(|name| artefact.name.contains(name))
        })
        .collect();
    if wanted.is_empty() {
        bail!("no policy or guest has such a name; `cargo xtask policies` builds all");
    }
    let toolchain = toolchain::choose(args.toolchain)?;
    println!("building with {toolchain}");
    let target_dir = command::target_dir()?.join("policies");
    for artefact in &wanted {
        let core = toolchain.build(artefact, &target_dir)?;
        let bytes = component::finish(artefact, &core)
            .with_context(|| format!("failed to make a component of {}", artefact.name))?;
        write(&artefact.path(), &bytes)?;
        println!("{:>9} bytes  {}", bytes.len(), artefact.dist);
    }
    Ok(true)
}

fn check() -> Result<bool> {
    let drifts = drifts()?;
    for drift in &drifts {
        println!("{drift}");
    }
    if drifts.is_empty() {
        println!("every component was built from the sources beside it");
    } else {
        println!("hint: run `cargo xtask policies` and commit what it writes");
    }
    Ok(drifts.is_empty())
}

/// Writes beside the target and renames, so that a test which reads meanwhile never meets half a component.
fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().context("a component has a folder")?;
    fs::create_dir_all(folder).with_context(|| format!("failed to create {}", folder.display()))?;
    let unfinished = path.with_extension("wasm.part");
    fs::write(&unfinished, bytes)
        .with_context(|| format!("failed to write {}", unfinished.display()))?;
    fs::rename(&unfinished, path).with_context(|| format!("failed to write {}", path.display()))
}
