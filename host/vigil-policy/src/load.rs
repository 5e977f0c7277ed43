//! From the bytes of a component to a policy that is ready to judge.

use serde_json::Value;
use sha2::{Digest, Sha256};
use wasmtime::component::{Component, Instance, InstancePre, Linker};

use crate::compiled;
use crate::engine::Engine;
use crate::error::{LoadError, LoadFault};
use crate::failure;
use crate::guest::{self, Guest};
use crate::policy::{Description, FuelMeter, Linked, Policy, Rule};
use crate::scan;
use crate::settings;
use crate::structure;
use crate::trial;
use crate::v0_1_0::{self, wit};

/// Rules of one policy. One that has more is a program in disguise, and nobody could read its `explain`.
const RULES_MAX: usize = 256;

/// The longest rule code, name or version, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// The longest sentence about a rule, in bytes.
const SENTENCE_BYTES_MAX: usize = 500;

impl Engine {
    /// Loads the component in `bytes` under the name `name` with `settings` (null or an object).
    ///
    /// It is looked at before anything is compiled, compiled or taken from the cache, linked with nothing but its own
    /// types, asked who it is, and tried on one evidence: mismatched types show only in an instance, and a policy that
    /// cannot judge that one is better refused now than at the first pass.
    ///
    /// Takes from a millisecond (cached) to seconds (a large component that must be compiled).
    pub fn load(&self, name: &str, bytes: &[u8], settings: &Value) -> Result<Policy, LoadError> {
        let named = |fault| LoadError {
            policy: name.to_owned(),
            fault,
        };
        let policy = load(self, name, bytes, settings).map_err(named)?;
        trial::run(&policy).map_err(|failed| named(LoadFault::TrialFailed(failed)))?;
        Ok(policy)
    }

    /// The same without the trial: for tools that look into a policy (`policy inspect`, `policy test`) and show how it
    /// fails. What decides about sessions uses [`Engine::load`].
    pub fn load_untried(
        &self,
        name: &str,
        bytes: &[u8],
        settings: &Value,
    ) -> Result<Policy, LoadError> {
        load(self, name, bytes, settings).map_err(|fault| LoadError {
            policy: name.to_owned(),
            fault,
        })
    }
}

fn load(engine: &Engine, name: &str, bytes: &[u8], settings: &Value) -> Result<Policy, LoadFault> {
    let bytes_max = engine.limits().component_bytes;
    if bytes.len() > bytes_max {
        return Err(LoadFault::TooLarge {
            bytes: bytes.len(),
            bytes_max,
        });
    }
    let inspection = scan::inspect(bytes)?;
    inspection.check()?;
    structure::check(bytes)?;
    let digest = hex::encode(Sha256::digest(bytes));
    let (component, from_cache) = compile(engine, bytes, &digest)?;
    let linked = link(engine, &component)?;
    check_types(engine, &linked)?;
    let description = describe(engine, &linked)?;
    let settings = settings::check(settings, &description.settings_schema)?;
    Ok(Policy {
        engine: engine.clone(),
        name: name.to_owned(),
        digest,
        settings,
        description,
        sources_digest: inspection.sources_digest,
        from_cache,
        linked,
        fuel: FuelMeter::default(),
    })
}

/// The compiled component, and whether it came from the cache.
fn compile(engine: &Engine, bytes: &[u8], digest: &str) -> Result<(Component, bool), LoadFault> {
    if let Some(cached) = engine
        .cache()
        .and_then(|cache| cache.get(digest, engine.wasmtime()))
    {
        return Ok((cached, true));
    }
    let unfit = |error: wasmtime::Error| LoadFault::Compile {
        what: one_line(&error),
    };
    let code = match engine.compiler() {
        Some(compiler) => compiler.compile(engine, bytes)?,
        None => engine
            .wasmtime()
            .precompile_component(bytes)
            .map_err(unfit)?,
    };
    let component = compiled::load(engine.wasmtime(), &code).map_err(unfit)?;
    if let Some(cache) = engine.cache() {
        cache.put(digest, &code);
    }
    Ok((component, false))
}

/// Finds the exports and links the imports, of which there are none to call.
fn link(engine: &Engine, component: &Component) -> Result<Linked, LoadFault> {
    let mismatch = |difference: String| LoadFault::Mismatch { difference };
    let (_, decider) = component
        .get_export(None, v0_1_0::DECIDER)
        .ok_or_else(|| mismatch("it exports no instance of that name".to_owned()))?;
    let function = |name: &str| {
        component
            .get_export_index(Some(&decider), name)
            .ok_or_else(|| mismatch(format!("it exports no function {name}")))
    };
    // Empty on purpose: a policy gets nothing from its host.
    let pre: InstancePre<Guest> = Linker::new(engine.wasmtime())
        .instantiate_pre(component)
        .map_err(|error| mismatch(one_line(&error)))?;
    Ok(Linked {
        describe: function("describe")?,
        wants: function("wants")?,
        decide: function("decide")?,
        pre,
    })
}

/// Compares the types of the three functions with ours. wasmtime does it at a function of an instance only.
fn check_types(engine: &Engine, linked: &Linked) -> Result<(), LoadFault> {
    guest::with_fresh(engine, &linked.pre, |store, instance: &Instance| {
        // Three checks, one instance: the first difference is reported. Each is a plain error, so it is kept apart
        // from what can go wrong with an instance.
        let describe = instance
            .get_typed_func::<(), (wit::Description,)>(&mut *store, &linked.describe)
            .map(drop)
            .map_err(|error| ("describe", error));
        let wants = instance
            .get_typed_func::<(wit::Context<'_>, &[wit::Session<'_>]), (Vec<Vec<String>>,)>(
                &mut *store,
                &linked.wants,
            )
            .map(drop)
            .map_err(|error| ("wants", error));
        let decide = instance
            .get_typed_func::<
                (wit::Context<'_>, &[wit::Evidence<'_>]),
                (Vec<Result<wit::Decision, String>>,),
            >(&mut *store, &linked.decide)
            .map(drop)
            .map_err(|error| ("decide", error));
        Ok(describe.and(wants).and(decide))
    })
    .map_err(LoadFault::DescribeFailed)?
    .0
    .map_err(|(function, error)| LoadFault::Mismatch {
        difference: format!("{function}: {}", one_line(&error)),
    })
}

/// Asks the policy who it is.
fn describe(engine: &Engine, linked: &Linked) -> Result<Description, LoadFault> {
    let (said, _) = guest::with_fresh(engine, &linked.pre, |store, instance| {
        let describe =
            instance.get_typed_func::<(), (wit::Description,)>(&mut *store, &linked.describe)?;
        Ok(describe.call(store, ())?.0)
    })
    .map_err(LoadFault::DescribeFailed)?;
    let description = Description {
        name: said.name,
        version: said.version,
        rules: said
            .rules
            .into_iter()
            .map(|rule| Rule {
                code: rule.code,
                sentence: rule.sentence,
            })
            .collect(),
        settings_schema: said.settings_schema,
    };
    match description_fault(&description) {
        None => Ok(description),
        Some(what) => Err(LoadFault::BadDescription(what)),
    }
}

fn description_fault(description: &Description) -> Option<String> {
    for (what, text) in [
        ("name", &description.name),
        ("version", &description.version),
    ] {
        if text.trim().is_empty() || text.len() > NAME_BYTES_MAX || text.contains(char::is_control)
        {
            return Some(format!(
                "{what} is {:?}; 1 to {NAME_BYTES_MAX} bytes of plain text will do",
                failure::bounded(text)
            ));
        }
    }
    if description.rules.is_empty() {
        return Some("it has no rules".to_owned());
    }
    if description.rules.len() > RULES_MAX {
        return Some(format!(
            "it has {} rules, more than {RULES_MAX}",
            description.rules.len()
        ));
    }
    for (at, rule) in description.rules.iter().enumerate() {
        if !is_code(&rule.code) {
            return Some(format!(
                "the rule {:?} is no code; lower case letters, digits and dashes, such as merged-pr",
                failure::bounded(&rule.code)
            ));
        }
        if description.rules[..at]
            .iter()
            .any(|other| other.code == rule.code)
        {
            return Some(format!("the rule {} is there twice", rule.code));
        }
        if rule.sentence.trim().is_empty() || rule.sentence.len() > SENTENCE_BYTES_MAX {
            return Some(format!(
                "the rule {} needs a sentence of 1 to {SENTENCE_BYTES_MAX} bytes",
                rule.code
            ));
        }
    }
    None
}

/// Lower case with dashes, beginning with a letter: what a person can type and a table can hold.
fn is_code(code: &str) -> bool {
    code.len() <= NAME_BYTES_MAX
        && code.starts_with(|first: char| first.is_ascii_lowercase())
        && !code.ends_with('-')
        && code
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// The whole chain of causes on one line.
fn one_line(error: &wasmtime::Error) -> String {
    failure::bounded(&format!("{error:#}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described() -> Description {
        Description {
            name: "default".into(),
            version: "0.1.0".into(),
            rules: vec![Rule {
                code: "merged-pr".into(),
                sentence: "The pull request is merged.".into(),
            }],
            settings_schema: String::new(),
        }
    }

    type Change = fn(&mut Description);

    #[test]
    fn a_description_without_sense_is_named() {
        let cases: [(Change, &str); 7] = [
            (|d| d.name.clear(), "name is"),
            (|d| d.version = "1\n2".into(), "version is"),
            (|d| d.rules.clear(), "it has no rules"),
            (|d| d.rules[0].code = "Merged PR".into(), "is no code"),
            (|d| d.rules[0].code = "-a".into(), "is no code"),
            (
                |d| d.rules.push(d.rules[0].clone()),
                "merged-pr is there twice",
            ),
            (|d| d.rules[0].sentence.clear(), "needs a sentence"),
        ];
        for (change, said) in cases {
            let mut description = described();
            change(&mut description);
            let found = description_fault(&description).unwrap_or_default();
            assert!(found.contains(said), "{found:?} does not say {said:?}");
        }
        assert_eq!(description_fault(&described()), None);
    }
}
