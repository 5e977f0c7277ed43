//! Whether a committed component was built from the sources beside it, without building anything.

use std::fmt;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use super::component::recorded_digest;
use super::list::{Artefact, all};
use crate::command::root;

/// A component and its sources that disagree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Drift {
    /// The component is not there.
    Missing {
        /// Where it should be.
        dist: String,
    },
    /// It was built from other sources.
    Stale {
        /// Where it is.
        dist: String,
        /// The digest that it carries; `None`: it carries none.
        carries: Option<String>,
        /// The digest of the sources as they are.
        sources: String,
    },
    /// Nothing builds it any more.
    Orphaned {
        /// Where it is.
        dist: String,
    },
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Drift::Missing { dist } => write!(f, "{dist} is missing"),
            Drift::Stale {
                dist,
                carries: Some(carries),
                sources,
            } => write!(
                f,
                "{dist} was built from sources {}, which are now {}",
                short(carries),
                short(sources)
            ),
            Drift::Stale {
                dist,
                carries: None,
                ..
            } => {
                write!(f, "{dist} does not say which sources it was built from")
            }
            Drift::Orphaned { dist } => write!(f, "{dist} has no source any more"),
        }
    }
}

fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}

/// Every component that disagrees with its sources, and every file among the components that none of them is. Empty:
/// all is in order.
///
/// # Errors
/// When a source or a component cannot be read.
pub fn drifts() -> Result<Vec<Drift>> {
    let all = all()?;
    let mut drifts = Vec::new();
    for artefact in &all {
        drifts.extend(drift(artefact)?);
    }
    for folder in ["policies/dist", "tests/guests/dist"] {
        let files = files_below(&root().join(folder), folder)?;
        let orphans = files
            .into_iter()
            .filter(|file| !all.iter().any(|artefact| artefact.dist == *file));
        drifts.extend(orphans.map(|dist| Drift::Orphaned { dist }));
    }
    Ok(drifts)
}

fn drift(artefact: &Artefact) -> Result<Option<Drift>> {
    let path = artefact.path();
    let dist = artefact.dist.clone();
    if !path.exists() {
        return Ok(Some(Drift::Missing { dist }));
    }
    let bytes = fs::read(&path).with_context(|| format!("failed to read {}", path.display()))?;
    let carries = recorded_digest(&bytes)
        .with_context(|| format!("failed to read the sections of {}", path.display()))?;
    let sources = digest(artefact)?;
    Ok(
        (carries.as_ref() != Some(&sources)).then_some(Drift::Stale {
            dist,
            carries,
            sources,
        }),
    )
}

/// SHA-256 in hex over the sorted list of the artefact's sources, each with its own SHA-256. Paths are relative and
/// use `/`, so that the digest is the same on every machine.
pub(super) fn digest(artefact: &Artefact) -> Result<String> {
    let mut files = Vec::new();
    for source in &artefact.sources {
        let path = root().join(source);
        if path.is_dir() {
            files.extend(files_below(&path, source)?);
        } else {
            files.push(source.clone());
        }
    }
    files.sort();
    files.dedup();
    let mut list = Sha256::new();
    for file in files {
        let path = root().join(&file);
        let content =
            fs::read(&path).with_context(|| format!("failed to read {}", path.display()))?;
        list.update(format!(
            "{file}\0{}\n",
            hex::encode(Sha256::digest(content))
        ));
    }
    Ok(hex::encode(list.finalize()))
}

/// All files below `folder`, named with `name` in its place. Hidden ones, which editors leave, don't count; a folder
/// that is not there has none.
fn files_below(folder: &Path, name: &str) -> Result<Vec<String>> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let failed = || format!("failed to list {}", folder.display());
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).with_context(failed)? {
        let entry = entry.with_context(failed)?;
        let file = entry.file_name();
        let file = file.to_string_lossy();
        if file.starts_with('.') || file.ends_with(".part") {
            continue;
        }
        let name = format!("{name}/{file}");
        if entry.file_type().with_context(failed)?.is_dir() {
            files.extend(files_below(&entry.path(), &name)?);
        } else {
            files.push(name);
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_covers_contract_sdk_and_policy_but_no_readme() {
        let all = all().unwrap();
        let default = all.iter().find(|one| one.name == "default").unwrap();
        let mut files: Vec<String> = default
            .sources
            .iter()
            .flat_map(|source| {
                let path = root().join(source);
                match path.is_dir() {
                    true => files_below(&path, source).unwrap(),
                    false => vec![source.clone()],
                }
            })
            .collect();
        files.sort();
        for expected in [
            "wit/policy.wit",
            "policies/sdk/src/lib.rs",
            "policies/default/Cargo.toml",
            "policies/default/src/lib.rs",
        ] {
            assert!(files.iter().any(|file| file == expected), "{expected}");
        }
        assert!(!files.iter().any(|file| file.ends_with(".md")), "{files:?}");
    }

    #[test]
    fn another_file_list_is_another_digest() {
        let all = all().unwrap();
        let default = all.iter().find(|one| one.name == "default").unwrap();
        let mut fewer = default.clone();
        fewer.sources.retain(|source| source != "wit");
        assert_eq!(digest(default).unwrap(), digest(&default.clone()).unwrap());
        assert_ne!(digest(default).unwrap(), digest(&fewer).unwrap());
    }
}
