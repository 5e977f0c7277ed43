//! The one place that reads the environment. Everything else is told.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use etcetera::BaseStrategy as _;
use vigil_sources::machine::child::ChildEnvironment;

/// What the environment says, read once at start.
#[derive(Clone, Default)]
pub struct Environment {
    variables: HashMap<&'static str, String>,
    /// What a child may be told: its variables as they are, Unicode or not.
    for_children: Vec<(OsString, OsString)>,
    /// `~`, for file locations.
    pub home: PathBuf,
    /// Where the configuration lies: `$XDG_CONFIG_HOME/vigil`.
    pub config_dir: PathBuf,
    /// Where the journal lies: `$VIGIL_STATE_DIR`, else `$XDG_STATE_HOME/vigil`.
    pub state_dir: PathBuf,
    /// Where compiled policies lie: `$XDG_CACHE_HOME/vigil`.
    pub cache_dir: PathBuf,
    /// The running program's own file, which compiles policies and looks at files in processes of their own; `None`: this process does.
    pub program: Option<PathBuf>,
}

/// Every variable that vigil reads, with its meaning: the list that the docs and `doctor` show.
pub const VARIABLES: [(&str, &str); 22] = [
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
    (
        "GH_TOKEN",
        "token for github.com and its tenants, tried first",
    ),
    (
        "GITHUB_TOKEN",
        "token for github.com and its tenants, tried second",
    ),
    (
        "GH_ENTERPRISE_TOKEN",
        "token for any other host, tried first",
    ),
    (
        "GITHUB_ENTERPRISE_TOKEN",
        "token for any other host, tried second",
    ),
    ("GH_HOST", "GitHub's host, as gh reads it"),
    (
        "GITHUB_API_URL",
        "GitHub's REST address, for GitHub Enterprise Server",
    ),
    (
        "GITHUB_GRAPHQL_URL",
        "GitHub's GraphQL address, for GitHub Enterprise Server",
    ),
    ("https_proxy", "proxy for https addresses, tried first"),
    ("HTTPS_PROXY", "proxy for https addresses, tried second"),
    ("http_proxy", "proxy for http addresses"),
    ("all_proxy", "proxy for all other addresses, tried first"),
    ("ALL_PROXY", "proxy for all other addresses, tried second"),
    ("no_proxy", "hosts that are reached directly, tried first"),
    ("NO_PROXY", "hosts that are reached directly, tried second"),
    (
        "SSL_CERT_FILE",
        "file with the CA certificates to trust, in place of the machine's",
    ),
    (
        "SSL_CERT_DIR",
        "folders with CA certificates to trust, in place of the machine's",
    ),
    (
        "GIT_CONFIG_GLOBAL",
        "git's own configuration, in place of `~/.gitconfig`: what is ignored everywhere, and line ends",
    ),
    (
        "GIT_CONFIG_NOSYSTEM",
        "git's own configuration, without `/etc/gitconfig`",
    ),
    ("NO_COLOR", "no colour on the terminal"),
];

/// What `gh` gets beside what every child gets: where its configuration lies, and the way to the keyring that may hold its
/// token.
pub const FOR_GH: [&str; 2] = ["DBUS_SESSION_BUS_ADDRESS", "GH_CONFIG_DIR"];

/// What the program of `notify.command` gets beside what every child gets: the way to a person's screen.
pub const FOR_NOTIFY: [&str; 3] = ["DBUS_SESSION_BUS_ADDRESS", "DISPLAY", "WAYLAND_DISPLAY"];

impl fmt::Debug for Environment {
    /// Without values: some are tokens, and a proxy's may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut set: Vec<_> = self.variables.keys().collect();
        set.sort_unstable();
        f.debug_struct("Environment")
            .field("set", &set)
            .field("home", &self.home)
            .field("config_dir", &self.config_dir)
            .field("state_dir", &self.state_dir)
            .field("cache_dir", &self.cache_dir)
            .finish()
    }
}

/// The link that the system keeps leads to the running program even where its file was replaced meanwhile.
fn program() -> Option<PathBuf> {
    let link = PathBuf::from("/proc/self/exe");
    match link.exists() {
        true => Some(link),
        false => std::env::current_exe().ok(),
    }
}

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
        let further: Vec<&str> = [&FOR_GH[..], &FOR_NOTIFY[..]].concat();
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the one place that reads it"
        )]
        let for_children = ChildEnvironment::of(std::env::vars_os(), &further);
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
            for_children: for_children.variables().to_vec(),
            program: program(),
        })
    }

    /// The value of one of [`VARIABLES`]; `None`: not set, or empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    /// The value of a variable whose name stands in the configuration, such as that of a secret; `None`: not set, empty,
    /// or not Unicode.
    pub fn named(&self, name: &str) -> Option<String> {
        if let Some(value) = self.get(name) {
            return Some(value.to_owned());
        }
        // Nobody can have set a variable of such a name.
        if name.is_empty() || name.contains(['=', '\0']) {
            return None;
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the one place that reads it"
        )]
        let value = std::env::var(name).ok()?;
        (!value.is_empty()).then_some(value)
    }

    /// What a program that vigil starts is told: what every child gets, and those of `further`, which is [`FOR_GH`],
    /// [`FOR_NOTIFY`] or nothing. No token or secret is in it.
    pub fn for_child(&self, further: &[&str]) -> ChildEnvironment {
        ChildEnvironment::of(self.for_children.iter().cloned(), further)
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
