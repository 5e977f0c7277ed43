//! The configured sources, each with what the kernel needs to know about it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use vigil_core::evidence::SourceFacts;
use vigil_core::time::millis;
use vigil_sources::machine::looker::Program;
use vigil_sources::machine::mounts::Mounts;
use vigil_sources::vigilante::{Settings, Vigilante};
use vigil_sources::{GitFiles, Source};

use crate::config::{Config, Mode, SourceConfig, SourceKind};
use crate::environment::Environment;
use crate::failure::Failure;
use crate::wiring::Place;

/// A source as the pass uses it.
#[derive(Clone)]
pub struct Configured {
    /// Reads and writes.
    pub source: Arc<dyn Source>,
    /// What policies and guards go by.
    pub facts: SourceFacts,
    /// Whether vigil may write to it.
    pub mode: Mode,
    /// Its folder, which need not be there.
    pub home: PathBuf,
}

/// All configured sources, or the one that is called `only`.
pub fn configured(
    config: &Config,
    environment: &Environment,
    only: Option<&str>,
) -> Result<Vec<Configured>, Failure> {
    if let Some(only) = only
        && !config.source.contains_key(only)
    {
        let names: Vec<&str> = config.source.keys().map(String::as_str).collect();
        return Err(Failure::request(format!("there is no source {only}"))
            .hint(format!("configured: {}", names.join(", "))));
    }
    let host = Place::of(&config.github, environment)?.host;
    let all = config.source.iter();
    let mut all: Vec<Configured> = all
        .map(|(name, source)| one(name, source, &host, environment))
        .collect();
    let mounts = Mounts::read();
    let mut homes: BTreeMap<PathBuf, &str> = BTreeMap::new();
    for configured in &all {
        let home = &configured.home;
        let name = configured.source.name();
        // One that is not there yet has the name that it was given.
        let place = match mounts.lead_elsewhere(home) {
            // To follow it could take for ever, and to look at it is for a process that can be ended.
            true => home.clone(),
            false => home.canonicalize().unwrap_or_else(|_| home.clone()),
        };
        if let Some(other) = homes.insert(place, name) {
            return Err(Failure::request(format!(
                "source.{other} and source.{name} are the same records: {}",
                home.display()
            ))
            .hint("leave one of them out; each would repeat what was undone for the other"));
        }
    }
    all.retain(|configured| only.is_none_or(|only| only == configured.source.name()));
    Ok(all)
}

fn one(
    name: &str,
    source: &SourceConfig,
    forge_host: &str,
    environment: &Environment,
) -> Configured {
    let facts = SourceFacts {
        name: name.to_owned(),
        kind: "vigilante".to_owned(),
        forge_host: forge_host.to_owned(),
        fresh_for_ms: millis(source.fresh_for.0),
        final_labels: source.final_labels.clone(),
        closed_pr_is_final: source.closed_pr_is_final,
        landing_branches: source.landing_branches.clone(),
    };
    let SourceKind::Vigilante = source.kind;
    let home = match (&source.home, environment.get("VIGILANTE_HOME")) {
        (Some(home), _) => home.clone(),
        (None, Some(home)) => home.into(),
        (None, None) => environment.home.join(".vigilante"),
    };
    let settings = Settings {
        fresh_for: source.fresh_for.0,
        final_labels: source.final_labels.clone(),
        forge_host: forge_host.to_owned(),
        ignore_processes: source.ignore_processes.clone(),
        same_pid_namespace: source.same_pid_namespace,
        git: git_files(environment),
        look: environment.program.clone().map(|program| Program {
            program,
            arguments: vec!["look".to_owned()],
        }),
        ..Settings::default()
    };
    Configured {
        source: Arc::new(Vigilante::new(
            name,
            home.clone(),
            environment.state_dir.clone(),
            settings,
        )),
        facts,
        mode: source.mode,
        home,
    }
}

/// Where the person's own git files lie, as git finds them.
fn git_files(environment: &Environment) -> GitFiles {
    GitFiles::of(
        &environment.home,
        environment.config_dir.parent(),
        environment.get("GIT_CONFIG_GLOBAL").map(Path::new),
        environment.get("GIT_CONFIG_NOSYSTEM").is_some(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_sources_cannot_be_the_same_records() {
        let folder = tempfile::tempdir().expect("a folder");
        let home = folder.path().join("home");
        std::fs::create_dir(&home).expect("a home");
        std::os::unix::fs::symlink(&home, folder.path().join("link")).expect("a link");
        let read = |other: &str| {
            let text = format!(
                "[source.a]\nkind = \"vigilante\"\nhome = \"home\"\n\
                 [source.b]\nkind = \"vigilante\"\nhome = \"{other}\"\n"
            );
            let path = folder.path().join("config.toml");
            std::fs::write(&path, text).expect("a file");
            let environment = Environment::default();
            let loaded = crate::config::load(Some(&path), &environment).expect("a configuration");
            configured(&loaded.config, &environment, Some("b")).map(|found| found.len())
        };
        let error = format!("{:#}", read("link").expect_err("refused"));
        assert!(error.contains("source.a and source.b"), "{error}");
        assert_eq!(read("elsewhere").expect("two sources"), 1);
    }
}
