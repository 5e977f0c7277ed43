//! What a program that vigil starts is told: nothing of vigil's own environment but what stands in a list.
//!
//! vigil's environment holds a token, and perhaps the secret of a webhook. A repository, a script or a hook of it must
//! not learn them, so that a child starts with an empty environment and gets what is known to be harmless.

use std::ffi::{OsStr, OsString};
use std::process::Command;

use serde::{Deserialize, Serialize};

/// The variables that every child gets, as far as they are set: who runs it, where programs and files lie, language
/// and time zone.
pub const ALLOWED: [&str; 17] = [
    "HOME",
    "LANG",
    "LANGUAGE",
    "LOGNAME",
    "PATH",
    "SHELL",
    "TEMP",
    "TMP",
    "TMPDIR",
    "TZ",
    "TZDIR",
    "USER",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_RUNTIME_DIR",
    "XDG_STATE_HOME",
];

/// What the names of further variables begin with that every child gets: each locale category has one.
pub const ALLOWED_PREFIX: &str = "LC_";

/// The environment of a child.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChildEnvironment(Vec<(OsString, OsString)>);

impl ChildEnvironment {
    /// Those of `variables` that every child may have, and those called `further`, which this one needs besides.
    pub fn of(variables: impl IntoIterator<Item = (OsString, OsString)>, further: &[&str]) -> Self {
        let variables = variables.into_iter();
        let allowed = variables.filter(|(name, _)| {
            is_allowed(name) || further.iter().any(|further| name.as_os_str() == *further)
        });
        ChildEnvironment(allowed.collect())
    }

    /// The same with another variable.
    #[must_use]
    pub fn with(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        let name = name.into();
        self.0.retain(|(known, _)| *known != name);
        self.0.push((name, value.into()));
        self
    }

    /// Its variables, each once.
    pub fn variables(&self) -> &[(OsString, OsString)] {
        &self.0
    }

    /// Makes it all that `command` gets.
    pub fn give<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        let variables = self.0.iter().map(|(name, value)| (name, value));
        command.env_clear().envs(variables)
    }
}

fn is_allowed(name: &OsStr) -> bool {
    name.to_str()
        .is_some_and(|name| ALLOWED.contains(&name) || name.starts_with(ALLOWED_PREFIX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_sees_what_stands_in_the_list_and_nothing_else() {
        let given = [
            ("PATH", "/usr/bin:/bin"),
            ("HOME", "/home/someone"),
            ("LC_ALL", "C"),
            ("GITHUB_TOKEN", "ghp_secret"),
            ("GH_TOKEN", "ghp_secret"),
            ("HOOK_SECRET", "secret"),
            ("https_proxy", "http://someone:secret@proxy"),
            ("LD_PRELOAD", "/tmp/x.so"),
            ("GIT_DIR", "/elsewhere"),
            ("DISPLAY", ":0"),
        ]
        .map(|(name, value)| (name.into(), value.into()));
        let environment =
            ChildEnvironment::of(given, &["DISPLAY"]).with("GIT_TERMINAL_PROMPT", "0");
        let mut command = Command::new("/usr/bin/env");
        // What a caller set before is forgotten as well.
        command.env("GH_TOKEN", "ghp_secret");
        let output = environment.give(&mut command).output().expect("it runs");
        let said = String::from_utf8(output.stdout).expect("a text");
        let mut lines: Vec<&str> = said.lines().collect();
        lines.sort_unstable();
        assert_eq!(
            lines,
            [
                "DISPLAY=:0",
                "GIT_TERMINAL_PROMPT=0",
                "HOME=/home/someone",
                "LC_ALL=C",
                "PATH=/usr/bin:/bin",
            ]
        );
    }
}
