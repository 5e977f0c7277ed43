//! Finding and loading the policies of a chain: a path first, then a built-in.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value};
use vigil_policy::{Chain, Engine, EngineConfig, Limits, Link, OnFailure, Policy};

use crate::config::{self, PolicyConfig};
use crate::environment::Environment;
use crate::failure::Failure;

/// The policies that the binary carries, by the name under which they are asked for.
pub const BUILT_IN: [(&str, &[u8]); 1] = [(
    "default.wasm",
    include_bytes!("../../../policies/dist/default.wasm"),
)];

/// The engine with the limits that every command shares. Compiled code is kept in the user's cache folder.
pub fn engine(environment: &Environment) -> Result<Engine, Failure> {
    let config = EngineConfig {
        cache_dir: Some(environment.cache_dir.join("policies")),
        limits: Limits::default(),
        ..EngineConfig::default()
    };
    Engine::new(config)
        .map_err(|error| Failure::world("failed to start the policy engine").because(error))
}

/// The bytes of the policy that `name` stands for: a file, else a built-in.
pub fn bytes(name: &str) -> Result<Cow<'static, [u8]>, Failure> {
    let path = Path::new(name);
    match std::fs::read(path) {
        Ok(bytes) => Ok(Cow::Owned(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => BUILT_IN
            .iter()
            .find(|(built_in, _)| *built_in == name)
            .map(|(_, bytes)| Cow::Borrowed(*bytes))
            .ok_or_else(|| {
                let names: Vec<&str> = BUILT_IN.iter().map(|(name, _)| *name).collect();
                Failure::request(format!(
                    "there is no policy {name}: no such file, and no built-in of that name"
                ))
                .hint(format!("built in: {}", names.join(", ")))
            }),
        Err(error) => Err(Failure::request(format!("failed to read policy {name}")).because(error)),
    }
}

/// Loads one policy with its settings, and tries it on one evidence: what decides about sessions.
pub fn load(engine: &Engine, name: &str, settings: &Map<String, Value>) -> Result<Policy, Failure> {
    engine
        .load(&short(name), &bytes(name)?, &given(settings))
        .map_err(|error| Failure::request(error.to_string()))
}

/// The same without the trial: what looks into a policy and shows how it fails.
pub fn load_untried(
    engine: &Engine,
    name: &str,
    settings: &Map<String, Value>,
) -> Result<Policy, Failure> {
    engine
        .load_untried(&short(name), &bytes(name)?, &given(settings))
        .map_err(|error| Failure::request(error.to_string()))
}

/// The file's own name, which is what reports and journal say.
fn short(name: &str) -> Cow<'_, str> {
    Path::new(name)
        .file_name()
        .map_or(Cow::Borrowed(name), |file| file.to_string_lossy())
}

fn given(settings: &Map<String, Value>) -> Value {
    Value::Object(settings.clone())
}

/// Whether the configuration's path, which starts from its file's folder, and a command line's, which starts from where
/// vigil is started, are one policy.
fn is_same(configured: &str, named: &str) -> bool {
    let file = |path: &str| Path::new(path).canonicalize().ok();
    configured == named || file(configured).is_some_and(|path| file(named) == Some(path))
}

/// Loads the chain: the policies named on the command line, else the configured ones. A policy that is named both
/// ways keeps its configured settings.
pub fn chain(
    engine: &Engine,
    named: &[String],
    configured: &[PolicyConfig],
) -> Result<Chain, Failure> {
    let wanted: Vec<Cow<'_, PolicyConfig>> = if named.is_empty() {
        configured.iter().map(Cow::Borrowed).collect()
    } else {
        named
            .iter()
            .map(
                |name| match configured.iter().find(|policy| is_same(&policy.path, name)) {
                    Some(policy) => Cow::Borrowed(policy),
                    None => Cow::Owned(PolicyConfig {
                        path: name.clone(),
                        on_failure: config::OnFailure::default(),
                        settings: Map::new(),
                    }),
                },
            )
            .collect()
    };
    let mut links = Vec::with_capacity(wanted.len());
    for policy in wanted {
        links.push(Link {
            policy: Arc::new(load(engine, &policy.path, &policy.settings)?),
            on_failure: match policy.on_failure {
                config::OnFailure::Hold => OnFailure::Hold,
                config::OnFailure::Pass => OnFailure::Pass,
            },
        });
    }
    Ok(Chain::new(links))
}
