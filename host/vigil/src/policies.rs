//! Finding and loading the policies of a chain.

mod loaded;
mod named;

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::{Map, Value};
use vigil_policy::{
    Chain, CompileLimits, Compiler, Engine, EngineConfig, Limits, Link, LoadError, OnFailure,
    OnRefused, Policy,
};

use crate::config::{self, PolicyConfig};
use crate::environment::Environment;
use crate::failure::Failure;

pub(crate) use loaded::{ALERT as REPLACED, Loaded, ROW as LOADED, Watch};
pub(crate) use named::Named;
pub use named::{BUILT_IN, DEFAULT};

/// The engine with the limits that every command shares. Compiled code is kept in the user's cache folder.
pub fn engine(environment: &Environment) -> Result<Engine, Failure> {
    let config = EngineConfig {
        cache_dir: Some(environment.cache_dir.join("policies")),
        limits: Limits::default(),
        compiler: environment.program.clone().map(|program| Compiler {
            program,
            arguments: vec!["compile-policy".into()],
            limits: CompileLimits::default(),
        }),
        ..EngineConfig::default()
    };
    Engine::new(config)
        .map_err(|error| Failure::world("failed to start the policy engine").because(error))
}

/// The bytes of the policy that `name` stands for: a built-in's bare name, else a file.
pub fn bytes(engine: &Engine, name: &str) -> Result<Cow<'static, [u8]>, Failure> {
    Named::of(name).bytes(engine.limits().component_bytes)
}

/// Loads one policy with its settings, and tries it on one evidence: what decides about sessions.
pub fn load(engine: &Engine, name: &str, settings: &Map<String, Value>) -> Result<Policy, Failure> {
    let bytes = bytes(engine, name)?;
    compiling(engine, name)
        .load(&Named::of(name).called(), &bytes, &given(settings))
        .map_err(failed)
}

/// The same without the trial: what looks into a policy and shows how it fails.
pub fn load_untried(
    engine: &Engine,
    name: &str,
    settings: &Map<String, Value>,
) -> Result<Policy, Failure> {
    let bytes = bytes(engine, name)?;
    compiling(engine, name)
        .load_untried(&Named::of(name).called(), &bytes, &given(settings))
        .map_err(failed)
}

/// The engine that compiles what `name` stands for: what the program carries needs no process of its own.
fn compiling(engine: &Engine, name: &str) -> Engine {
    match Named::of(name) {
        Named::BuiltIn(..) => engine.compiling_here(),
        Named::File(_) => engine.clone(),
    }
}

fn failed(error: LoadError) -> Failure {
    let what = error.to_string();
    match error.fault.is_of_machine() {
        true => Failure::world(what),
        false => Failure::request(what),
    }
}

fn given(settings: &Map<String, Value>) -> Value {
    Value::Object(settings.clone())
}

/// Loads the chain: the policies named on the command line, else the configured ones. A policy that is named both
/// ways keeps its configured settings.
pub fn chain(
    engine: &Engine,
    named: &[String],
    configured: &[PolicyConfig],
) -> Result<Chain, Failure> {
    let wanted = wanted(named, configured);
    let mut links = Vec::with_capacity(wanted.len());
    for policy in wanted {
        links.push(Link {
            policy: Arc::new(load(engine, &policy.path, &policy.settings)?),
            on_failure: match policy.on_failure {
                config::OnFailure::Hold => OnFailure::Hold,
                config::OnFailure::Pass => OnFailure::Pass,
            },
            on_refused: match policy.on_refused {
                config::OnRefused::Hold => OnRefused::Hold,
                config::OnRefused::Pass => OnRefused::Pass,
            },
        });
    }
    Ok(Chain::new(links))
}

/// How the policies of a chain are named, in order: those of the command line, else the configured ones.
pub(crate) fn paths(named: &[String], configured: &[PolicyConfig]) -> Vec<String> {
    wanted(named, configured)
        .into_iter()
        .map(|policy| policy.path.clone())
        .collect()
}

fn wanted<'a>(named: &[String], configured: &'a [PolicyConfig]) -> Vec<Cow<'a, PolicyConfig>> {
    if named.is_empty() {
        configured.iter().map(Cow::Borrowed).collect()
    } else {
        named
            .iter()
            .map(|name| {
                match configured
                    .iter()
                    .find(|policy| Named::of(&policy.path).is_same(Named::of(name)))
                {
                    Some(policy) => Cow::Borrowed(policy),
                    None => Cow::Owned(PolicyConfig::of(name.clone())),
                }
            })
            .collect()
    }
}
