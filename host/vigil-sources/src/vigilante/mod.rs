//! Vigilante: sessions in one JSON file, worktrees beside the repository, one supervisor for all agents.
//!
//! Reads: `record` (the text), `convert` (its meaning), `liveness` (what is to be seen on the machine). Writes: `fields`
//! (what to change), `edit` (in the text), `lock` and `write` (safely).

use std::path::{Path, PathBuf};
use std::time::Duration;

use vigil_core::time::minutes;

mod record;

/// One Vigilante home.
#[derive(Clone, Debug)]
pub struct Vigilante {
    name: String,
    home: PathBuf,
    state_dir: PathBuf,
    settings: Settings,
}

/// What a configuration may change about a Vigilante source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How long a session counts as at work after its last sign of life.
    pub fresh_for: Duration,
    /// Labels that, on an issue, say that the work is done. Compared to the letter.
    pub final_labels: Vec<String>,
    /// Where the repositories live. Vigilante's `repo` fields name no host.
    pub forge_host: String,
    /// For each provider that a record may name, the names that its processes bear.
    pub provider_process_names: Vec<(String, Vec<String>)>,
    /// The git program.
    pub git: PathBuf,
    /// Where processes are looked at. Only tests have a reason to change it.
    pub proc: PathBuf,
}

impl Default for Settings {
    fn default() -> Self {
        let provider = |name: &str| (name.to_owned(), vec![name.to_owned()]);
        Settings {
            // The threshold after which Vigilante's own `status` calls a session stale.
            fresh_for: minutes(30),
            final_labels: vec!["vigilante:done".to_owned()],
            forge_host: "github.com".to_owned(),
            provider_process_names: ["codex", "claude", "gemini", "opencode"]
                .map(provider)
                .to_vec(),
            git: PathBuf::from("git"),
            proc: PathBuf::from("/proc"),
        }
    }
}

impl Vigilante {
    /// The source `name` over Vigilante's folder `home`; what vigil itself keeps about it, backups before all, goes
    /// below `state_dir`. Nothing is read or made yet.
    pub fn new(
        name: impl Into<String>,
        home: impl Into<PathBuf>,
        state_dir: impl Into<PathBuf>,
        settings: Settings,
    ) -> Self {
        Vigilante {
            name: name.into(),
            home: home.into(),
            state_dir: state_dir.into(),
            settings,
        }
    }

    /// Vigilante's folder.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Where vigil keeps what it knows about this source.
    pub fn state_dir(&self) -> &Path {
        &self.state_dir
    }

    /// How it is set.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }
}
