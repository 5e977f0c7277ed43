//! The one place that reads the environment. Everything else is told.

use std::collections::HashMap;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use etcetera::BaseStrategy as _;

/// What the environment says, read once at start.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    variables: HashMap<&'static str, String>,
    /// `~`, for file locations.
    pub home: PathBuf,
    /// Where the configuration lies: `$XDG_CONFIG_HOME/vigil`.
    pub config_dir: PathBuf,
    /// Where the journal lies: `$VIGIL_STATE_DIR`, else `$XDG_STATE_HOME/vigil`.
    pub state_dir: PathBuf,
    /// Where compiled policies lie: `$XDG_CACHE_HOME/vigil`.
    pub cache_dir: PathBuf,
}

/// Every variable that vigil reads, with its meaning: the list that the docs and `doctor` show.
pub const VARIABLES: [(&str, &str); 8] = [
    (
        "VIGIL_STATE_DIR",
        "folder of the journal and the cache of facts",
    ),
    (
        "VIGIL_LOG",
        "what is logged to standard error, for example `vigil=debug`",
    ),
    (
        "VIGILANTE_HOME",
        "Vigilante's folder, when the configuration names no source",
    ),
    ("GH_TOKEN", "token for GitHub, tried first"),
    ("GITHUB_TOKEN", "token for GitHub, tried second"),
    (
        "GITHUB_API_URL",
        "GitHub's REST address, for GitHub Enterprise Server",
    ),
    (
        "GITHUB_GRAPHQL_URL",
        "GitHub's GraphQL address, for GitHub Enterprise Server",
    ),
    ("NO_COLOR", "no colour on the terminal"),
];

impl Environment {
    /// Reads the process's environment.
    pub fn read() -> Result<Environment> {
        let variables = VARIABLES
            .iter()
            .filter_map(|(name, _)| {
                #[expect(
                    clippy::disallowed_methods,
                    reason = "this is the one place that reads it"
                )]
                let value = std::env::var(name).ok()?;
                (!value.is_empty()).then_some((*name, value))
            })
            .collect::<HashMap<_, _>>();
        let base =
            etcetera::choose_base_strategy().context("failed to find the home folder; set HOME")?;
        let state_dir = match variables.get("VIGIL_STATE_DIR") {
            Some(dir) => PathBuf::from(dir),
            None => base
                .state_dir()
                .unwrap_or_else(|| base.data_dir())
                .join("vigil"),
        };
        Ok(Environment {
            home: base.home_dir().to_owned(),
            config_dir: base.config_dir().join("vigil"),
            cache_dir: base.cache_dir().join("vigil"),
            state_dir,
            variables,
        })
    }

    /// The value of one of [`VARIABLES`]; `None`: not set, or empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    /// The same environment with `name` set, for the demo, which brings its own world.
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Environment {
        self.variables.insert(name, value.into());
        self
    }

    /// The same environment without `name`.
    pub fn without(mut self, name: &'static str) -> Environment {
        self.variables.remove(name);
        self
    }
}
