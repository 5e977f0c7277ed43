//! The policies that a daemon judges with, kept so that `status` can tell when a file holds another one by now.
//!
//! A daemon loads its policies once. Whoever builds one anew and forgets to restart it would see `status` judge by the
//! new rules and the daemon by the old ones, with no word about it from either.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use vigil_core::Timestamp;
use vigil_policy::{Chain, Limits};
use vigil_store::{ForgeChange, Store};

use super::Named;
use crate::failure::Failure;
use crate::memory;
use crate::plain_file;

/// The row that it is kept in, among what is remembered of the forge and is about no repository.
pub(crate) const ROW: &str = "daemon";

/// What an alert about a policy's file is called, before the policy's name.
pub(crate) const ALERT: &str = "policy-replaced-";

/// What one daemon loaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Loaded {
    /// Its process.
    pid: u32,
    policies: Vec<Component>,
}

/// One policy of its chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Component {
    /// What reports call it.
    name: String,
    /// A built-in's bare name, else an absolute path.
    path: String,
    /// SHA-256 in hex.
    digest: String,
}

impl Loaded {
    /// What this process has in `chain`, whose policies were named by `paths`.
    pub(crate) fn of(chain: &Chain, paths: &[String]) -> Loaded {
        let absolute = |path: &String| match Named::of(path) {
            Named::BuiltIn(..) => path.clone(),
            Named::File(file) => std::path::absolute(file)
                .map_or_else(|_| path.clone(), |file| file.to_string_lossy().into_owned()),
        };
        let policies = chain.links().iter().zip(paths);
        Loaded {
            pid: std::process::id(),
            policies: policies
                .map(|(link, path)| Component {
                    name: link.policy.name().to_owned(),
                    path: absolute(path),
                    digest: link.policy.digest().to_owned(),
                })
                .collect(),
        }
    }

    /// Keeps it, in the place of what an earlier daemon loaded.
    ///
    /// # Errors
    /// Those of vigil's memory.
    pub(crate) fn keep(&self, store: &mut Store, host: &str, at: Timestamp) -> Result<(), Failure> {
        let value = serde_json::to_string(self).map_err(|error| {
            Failure::world("failed to write down what the daemon loaded").because(error)
        })?;
        let row = ForgeChange {
            repo: "",
            name: ROW,
            value: Some(&value),
            at,
        };
        store.put_forge_rows(host, &[row]).map_err(memory::failed)
    }

    /// What the daemon `pid` loaded; `None`: that process kept nothing, or what it kept cannot be read.
    ///
    /// # Errors
    /// Those of vigil's memory.
    pub(crate) fn recall(store: &Store, host: &str, pid: u32) -> Result<Option<Loaded>, Failure> {
        let rows = store
            .forge_rows(host, Some(&[""]))
            .map_err(memory::failed)?;
        let row = rows.into_iter().find(|row| row.name == ROW);
        let kept: Option<Loaded> = row.and_then(|row| serde_json::from_str(&row.value).ok());
        Ok(kept.filter(|kept| kept.pid == pid))
    }

    /// What is told of each policy whose file holds another component by now, by the policy's name. A file that cannot
    /// be read says nothing: it may be about to be written.
    pub(crate) fn replaced(&self) -> BTreeMap<String, String> {
        self.told(&mut Vec::new())
    }

    fn told(&self, seen: &mut Vec<(Stamp, String)>) -> BTreeMap<String, String> {
        seen.resize_with(self.policies.len(), Default::default);
        let mut told = BTreeMap::new();
        for (policy, seen) in self.policies.iter().zip(seen) {
            let Some(digest) = digest_of(&policy.path, seen) else {
                continue;
            };
            if digest != policy.digest {
                let short = |digest: &str| digest.get(..12).unwrap_or(digest).to_owned();
                let text = format!(
                    "the daemon (pid {}) still judges with {} of {}, and {} is there now; restart it",
                    self.pid,
                    short(&policy.digest),
                    policy.path,
                    short(&digest)
                );
                told.insert(policy.name.clone(), text);
            }
        }
        told
    }
}

/// What tells that a file is as it was, without reading it.
type Stamp = Option<(u64, u64, u64, i64, i64)>;

/// The digest of what `path` holds now; what `seen` remembers where the file was not touched since.
fn digest_of(path: &str, seen: &mut (Stamp, String)) -> Option<String> {
    let named = Named::of(path);
    if let Named::File(file) = named {
        let stamp = stamp(file);
        if stamp.is_none() || stamp != seen.0 {
            let bytes = plain_file::read(file, Limits::default().component_bytes).ok()?;
            *seen = (stamp, hex::encode(Sha256::digest(&bytes)));
        }
        return Some(seen.1.clone());
    }
    let bytes = named.bytes(usize::MAX).ok()?;
    Some(hex::encode(Sha256::digest(&bytes)))
}

fn stamp(path: &Path) -> Stamp {
    let found = std::fs::metadata(path).ok()?;
    let changed = found
        .ctime()
        .saturating_mul(1_000_000_000)
        .saturating_add(found.ctime_nsec());
    Some((
        found.dev(),
        found.ino(),
        found.size(),
        found.mtime(),
        changed,
    ))
}

/// Looks at a daemon's policies again and again. One look at a time: a folder that does not answer holds up no pass.
pub(crate) struct Watch {
    loaded: Loaded,
    looking: Option<tokio::task::JoinHandle<Looked>>,
    last: Looked,
}

#[derive(Clone, Default)]
struct Looked {
    seen: Vec<(Stamp, String)>,
    told: BTreeMap<String, String>,
}

/// How long a pass waits for a look: reading a file takes milliseconds.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(2);

impl Watch {
    /// Watches the files of `loaded`.
    pub(crate) fn new(loaded: Loaded) -> Watch {
        Watch {
            loaded,
            looking: None,
            last: Looked::default(),
        }
    }

    /// What is to be told, as [`Loaded::replaced`]; what was told before where the files do not answer.
    pub(crate) async fn look(&mut self) -> BTreeMap<String, String> {
        let mut looking = self.looking.take().unwrap_or_else(|| {
            let (loaded, mut last) = (self.loaded.clone(), self.last.clone());
            tokio::task::spawn_blocking(move || {
                last.told = loaded.told(&mut last.seen);
                last
            })
        });
        match tokio::time::timeout(PATIENCE, &mut looking).await {
            Ok(Ok(looked)) => self.last = looked,
            Ok(Err(_)) => {}
            Err(_) => self.looking = Some(looking),
        }
        self.last.told.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loaded(path: &Path, digest: &str) -> Loaded {
        Loaded {
            pid: 7,
            policies: vec![Component {
                name: "team.wasm".to_owned(),
                path: path.to_string_lossy().into_owned(),
                digest: digest.to_owned(),
            }],
        }
    }

    #[test]
    fn another_component_in_the_file_is_told_and_the_same_one_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("team.wasm");
        std::fs::write(&path, "old").expect("a file");
        let loaded = loaded(&path, &hex::encode(Sha256::digest("old")));
        let mut seen = Vec::new();
        assert_eq!(loaded.told(&mut seen), BTreeMap::new());
        // The same bytes in another file are the same component.
        std::fs::rename(&path, folder.path().join("away")).expect("renamed");
        assert_eq!(loaded.told(&mut seen), BTreeMap::new());
        std::fs::write(&path, "old").expect("a file");
        assert_eq!(loaded.told(&mut seen), BTreeMap::new());
        std::fs::write(&path, "new").expect("a file");
        let told = loaded.told(&mut seen);
        let text = told.get("team.wasm").expect("it is told");
        for words in ["pid 7", "still judges with", "restart it"] {
            assert!(text.contains(words), "{text}");
        }
        assert_eq!(loaded.replaced(), told);
    }

    #[test]
    fn a_built_in_of_another_build_is_told_too() {
        let other = loaded(Path::new("default.wasm"), "another");
        assert_eq!(other.replaced().len(), 1);
        let bytes = Named::of("default.wasm").bytes(0).expect("built in");
        let same = loaded(
            Path::new("default.wasm"),
            &hex::encode(Sha256::digest(&bytes)),
        );
        assert_eq!(same.replaced(), BTreeMap::new());
    }
}
