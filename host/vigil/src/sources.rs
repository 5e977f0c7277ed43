//! The configured sources, each with what the kernel needs to know about it.

use std::path::PathBuf;
use std::sync::Arc;

use vigil_core::evidence::SourceFacts;
use vigil_core::time::millis;
use vigil_sources::Source;
use vigil_sources::vigilante::{Settings, Vigilante};

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
    Ok(config
        .source
        .iter()
        .filter(|(name, _)| only.is_none_or(|only| only == name.as_str()))
        .map(|(name, source)| one(name, source, &host, environment))
        .collect())
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
        same_pid_namespace: source.same_pid_namespace,
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
