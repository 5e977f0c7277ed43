//! `vigil policy inspect`: what a component says about itself.

use serde::Serialize;
use serde_json::Map;
use vigil_policy::Rule;

use crate::environment::Environment;
use crate::failure::{EXIT_DONE, Outcome};
use crate::policies::{self, Named};
use crate::ui::{self, Ui};

/// The schema of `vigil policy inspect --json`.
pub(crate) const SCHEMA: &str = "vigil.policy-inspect/1";

#[derive(Debug, Serialize)]
struct Inspected {
    schema: &'static str,
    policy: String,
    built_in: bool,
    name: String,
    version: String,
    digest: String,
    sources_digest: Option<String>,
    size_bytes: usize,
    imports: Vec<String>,
    exports: Vec<String>,
    rules: Vec<Rule>,
    settings_schema: Option<serde_json::Value>,
}

/// Runs the command.
pub(crate) fn run(name: &str, environment: &Environment, ui: Ui) -> Outcome {
    let engine = policies::engine(environment)?;
    let bytes = policies::bytes(&engine, name)?;
    let policy = policies::load_untried(&engine, name, &Map::new())?;
    let seen = vigil_policy::inspect(&bytes)
        .map_err(|fault| crate::failure::Failure::request(format!("policy {name}: {fault}")))?;
    let description = policy.description();
    let inspected = Inspected {
        schema: SCHEMA,
        policy: name.to_owned(),
        built_in: matches!(Named::of(name), Named::BuiltIn(..)),
        name: description.name.clone(),
        version: description.version.clone(),
        digest: policy.digest().to_owned(),
        sources_digest: policy.sources_digest().map(str::to_owned),
        size_bytes: bytes.len(),
        imports: seen.imports,
        exports: seen.exports,
        rules: description.rules.clone(),
        settings_schema: serde_json::from_str(&description.settings_schema).ok(),
    };
    if ui.json {
        ui.document(&inspected)?;
        return Ok(EXIT_DONE);
    }
    ui.heading(format!("{} {}", inspected.name, inspected.version));
    ui.line(format!("origin   {}", ui::clean(&Named::of(name).origin())));
    ui.line(format!("digest   {}", inspected.digest));
    ui.line(format!(
        "sources  {}",
        inspected
            .sources_digest
            .as_deref()
            .unwrap_or("not recorded")
    ));
    ui.line(format!("size     {} bytes", inspected.size_bytes));
    ui.line(format!("exports  {}", inspected.exports.join(", ")));
    ui.line(format!("imports  {}", inspected.imports.join(", ")));
    ui.heading("Rules, in the order in which they are tried");
    let rows = inspected
        .rules
        .iter()
        .map(|rule| vec![rule.code.clone(), rule.sentence.clone()]);
    ui.table(&["rule", "sentence"], rows.collect());
    match &inspected.settings_schema {
        Some(schema) => {
            ui.heading("Settings");
            ui.line(serde_json::to_string_pretty(schema).unwrap_or_default());
        }
        None => ui.line("It has no settings."),
    }
    Ok(EXIT_DONE)
}
