//! The reference documents say what the program does: every key that it reads or prints stands in them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;
use vigil::environment::VARIABLES;
use vigil::notify::{Notice, SCHEMA};

/// The words that stand in code in a document, with their parts between dots; other words may be about anything.
fn words_in_code(document: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(xtask::command::root().join(document)).expect("the document");
    text.split('`')
        .skip(1)
        .step_by(2)
        .flat_map(|code| code.split(|c: char| !c.is_ascii_alphanumeric() && !"_-./".contains(c)))
        .flat_map(|word| word.split('.').chain([word]))
        .map(str::to_owned)
        .collect()
}

/// Runs the program for a user of its own, with what it printed and complained about.
fn vigil(folder: &Path, arguments: &[&str]) -> (String, String) {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("vigil-it-cache");
    let output = Command::new(env!("CARGO_BIN_EXE_vigil-under-test"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .envs(std::env::var("PATH").map(|path| ("PATH", path)))
        .env("HOME", folder)
        .env("XDG_CACHE_HOME", cache)
        .env("VIGIL_STATE_DIR", folder.join("demo/state"))
        .env("VIGILANTE_HOME", folder.join("demo/vigilante"))
        // Nobody listens there.
        .env("GITHUB_API_URL", "http://127.0.0.1:1")
        .env("GH_TOKEN", "unused")
        .stdin(Stdio::null())
        .output()
        .expect("the program starts");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (text(output.stdout), text(output.stderr))
}

#[test]
fn every_key_of_the_configuration_is_documented() {
    let folder = tempfile::tempdir().expect("a folder");
    let documented = words_in_code("docs/configuration.md");
    let mut missing = Vec::new();
    let mut known = 0;
    for table in ["run", "source.x", "github", "notify", "grants", "journal"]
        .map(|table| format!("[{table}]"))
        .into_iter()
        .chain([
            "[[policy]]".to_owned(),
            "[[github.token]]".to_owned(),
            "[github.app]".to_owned(),
            String::new(),
        ])
    {
        let text = format!("{table}\nwrong = 1\n");
        fs::write(folder.path().join("config.toml"), text).expect("a file");
        let (_, error) = vigil(
            folder.path(),
            &["--config", "config.toml", "config", "show"],
        );
        // The error names what it would have understood, and cannot be out of date.
        let (_, expected) = error
            .split_once("unknown field `wrong`, expected")
            .unwrap_or_else(|| panic!("{table}: {error}"));
        let expected = expected.lines().next().unwrap_or_default();
        for key in expected.split('`').skip(1).step_by(2) {
            known += 1;
            if !documented.contains(key) {
                missing.push(format!("{table} {key}"));
            }
        }
    }
    assert!(known > 20, "only {known} keys were found");
    for (variable, _) in VARIABLES {
        if !documented.contains(variable) {
            missing.push(variable.to_owned());
        }
    }
    assert!(
        missing.is_empty(),
        "docs/configuration.md has no {missing:#?}"
    );
}

#[test]
fn every_key_that_json_has_is_documented() {
    let folder = tempfile::tempdir().expect("a folder");
    let documented = words_in_code("docs/json.md");
    let mut missing = BTreeSet::new();
    let mut schemas = BTreeSet::new();
    for document in documents(&folder) {
        let schema = document["schema"].as_str().expect("a schema").to_owned();
        if !documented.contains(&schema) {
            missing.insert(schema.clone());
        }
        let mut keys = BTreeSet::new();
        collect(&document, &mut keys);
        let unknown = keys.into_iter().filter(|key| !documented.contains(*key));
        missing.extend(unknown.map(|key| format!("{schema} {key}")));
        schemas.insert(schema);
    }
    assert_eq!(schemas.len(), 13, "{schemas:#?}");
    assert!(missing.is_empty(), "docs/json.md has no {missing:#?}");
}

/// One document of each kind at least, off a demo's world.
fn documents(folder: &TempDir) -> Vec<Value> {
    let one_case =
        "[[case]]\nname = \"a\"\npull_request = \"merged\"\nexpect = { verdict = \"hold\" }\n";
    fs::write(folder.path().join("case.toml"), one_case).expect("a file");
    let mut documents: Vec<Value> = [
        &["demo", "--dir", "demo"][..],
        &["run", "--once", "--dry-run"],
        &["status", "--offline"],
        // Settled by the demo, and one that stays open.
        &["explain", "acme/app#299"],
        &["explain", "acme/app#300"],
        &["history"],
        &["undo", "t1"],
        &["pause"],
        &["resume"],
        &["ack"],
        &["policy", "test", "case.toml", "--policy", "default.wasm"],
        &["policy", "inspect", "default.wasm"],
        &["config", "path"],
        &["config", "show"],
        &["config", "check"],
        &["doctor"],
    ]
    .into_iter()
    .map(|arguments| {
        let (out, error) = vigil(folder.path(), &[arguments, &["--json"]].concat());
        serde_json::from_str(&out).unwrap_or_else(|why| panic!("{arguments:?}: {why}: {error}"))
    })
    .collect();
    let notice = Notice {
        schema: SCHEMA.to_owned(),
        kind: "test".to_owned(),
        key: "test/1".to_owned(),
        text: "A test.".to_owned(),
        session: Some("vigilante:acme/app#299".to_owned()),
        since: "2026-01-01T12:00:00Z".to_owned(),
    };
    documents.push(serde_json::to_value(notice).expect("JSON"));
    documents
}

/// All keys at any depth, but for what is documented elsewhere: the contract's records, the configuration, and a
/// policy's own schema.
fn collect<'a>(value: &'a Value, keys: &mut BTreeSet<&'a str>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                keys.insert(key);
                if !["evidence", "answers", "config", "settings_schema"].contains(&key.as_str()) {
                    collect(value, keys);
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|value| collect(value, keys)),
        _ => {}
    }
}
