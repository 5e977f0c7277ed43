//! GitHub's published GraphQL schema, fetched from npm into the target folder and never committed: it is large, not
//! ours, and pinned by version and digest.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest, Sha256};

use crate::command::{self, works};
use crate::steps::{Ending, Steps};

/// The package that holds the schema, pinned: a newer one is a change that somebody reads.
const PACKAGE: &str = "@octokit/graphql-schema@15.26.1";

/// SHA-256 of the schema in that package.
const SCHEMA_SHA256: &str = "3c62d0526d133cee53221c89de9b455ade24db78b9e7ad56d642c4c15bce2654";

/// `cargo xtask schema`.
pub fn run() -> Result<bool> {
    let mut steps = Steps::default();
    steps.run("schema", || {
        Ok(match ensure_there()? {
            Ending::Skipped(why) => Ending::Failed(why),
            ending => ending,
        })
    });
    Ok(steps.conclude(&[]))
}

/// Where the schema lies once it was fetched, below the folder in which cargo builds.
pub fn path(target_dir: &Path) -> PathBuf {
    target_dir.join("github-schema").join("schema.graphql")
}

/// Fetches the schema unless the pinned one is there. Skipped where npm or the registry is out of reach: then the
/// test that validates the queries skips too, and says so.
pub fn ensure_there() -> Result<Ending> {
    let path = path(&command::target_dir()?);
    if is_pinned(&path) {
        return Ok(Ending::Passed);
    }
    let mut npm = Command::new("npm");
    npm.arg("--version");
    if !works(npm) {
        return Ok(Ending::Skipped(
            "npm is not installed, so GitHub's schema cannot be fetched; type: apt-get install -y npm"
                .to_owned(),
        ));
    }
    match fetch(&path) {
        Ok(()) => Ok(Ending::Passed),
        Err(error) => match error.downcast_ref::<Unreachable>() {
            Some(_) => Ok(Ending::Skipped(format!("{error:#}"))),
            None => Err(error),
        },
    }
}

/// The registry did not give the package. Everything else that goes wrong is a failure.
#[derive(Debug)]
struct Unreachable;

impl std::fmt::Display for Unreachable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "npm could not fetch {PACKAGE}, so the queries are not validated"
        )
    }
}

impl std::error::Error for Unreachable {}

fn fetch(path: &Path) -> Result<()> {
    let folder = path.parent().context("the schema has a folder")?;
    fs::create_dir_all(folder).with_context(|| format!("failed to create {}", folder.display()))?;
    let work = tempfile::Builder::new()
        .prefix("fetch-")
        .tempdir_in(folder)
        .with_context(|| format!("failed to create a folder in {}", folder.display()))?;

    let mut npm = Command::new("npm");
    npm.args(["pack", "--silent", PACKAGE])
        .current_dir(work.path());
    let printed = command::read(&mut npm).map_err(|error| error.context(Unreachable))?;
    let archive = printed.lines().last().unwrap_or_default().trim();
    ensure!(
        !archive.is_empty(),
        "npm pack {PACKAGE} named no file that it wrote"
    );

    let mut tar = Command::new("tar");
    tar.args(["-xzf", archive, "package/schema.graphql"])
        .current_dir(work.path());
    command::read(&mut tar)?;

    let unpacked = work.path().join("package").join("schema.graphql");
    let found = digest(&unpacked)?;
    if found != SCHEMA_SHA256 {
        bail!("the schema of {PACKAGE} has SHA-256 {found}, and xtask expects {SCHEMA_SHA256}");
    }
    // Within one folder, so that a reader sees no half of it.
    fs::rename(&unpacked, path).with_context(|| format!("failed to write {}", path.display()))
}

fn is_pinned(path: &Path) -> bool {
    digest(path).is_ok_and(|found| found == SCHEMA_SHA256)
}

fn digest(path: &Path) -> Result<String> {
    let bytes = fs::read(path).with_context(|| format!("failed to read {}", path.display()))?;
    Ok(hex::encode(Sha256::digest(bytes)))
}
