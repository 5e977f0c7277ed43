//! One version, one edition, one lint table, one place for versions of dependencies.

use std::fs;

use toml::{Table, Value};

use super::{expect_none, relative};

/// Fields of a package that the workspace decides.
const INHERITED: &[&str] = &[
    "version",
    "edition",
    "rust-version",
    "license",
    "repository",
    "publish",
];

#[test]
fn every_crate_takes_its_fields_and_versions_from_the_workspace() {
    let metadata = xtask::command::metadata().expect("cargo reads the workspace");
    let mut findings = Vec::new();
    for package in &metadata.packages {
        let path = package.manifest_path.as_std_path();
        let text = fs::read_to_string(path).expect("a manifest can be read");
        let manifest: Table = text.parse().expect("cargo could read it");
        for what in own_ways(&manifest) {
            findings.push(format!("{}: {what}", relative(path)));
        }
    }
    expect_none("these differ from the workspace without need", findings);
}

#[test]
fn a_crate_with_its_own_ways_is_found() {
    let manifest: Table = r#"
        [package]
        name = "a"
        version = "2.0.0"
        edition.workspace = true
        rust-version.workspace = true
        license.workspace = true
        repository.workspace = true
        publish.workspace = true
        [dependencies]
        serde = "1"
        toml.workspace = true
        near = { path = "../near", default-features = false }
    "#
    .parse()
    .expect("it is TOML");
    assert_eq!(
        own_ways(&manifest),
        [
            "package.version is not the workspace's",
            "package.description is missing",
            "[lints] is not the workspace's",
            "dependencies.serde: its version belongs into [workspace.dependencies]",
        ]
    );
}

/// Where a manifest decides for itself.
fn own_ways(manifest: &Table) -> Vec<String> {
    let mut findings = Vec::new();
    let package = manifest.get("package").and_then(Value::as_table);
    for field in INHERITED {
        if !package
            .and_then(|fields| fields.get(*field))
            .is_some_and(of_workspace)
        {
            findings.push(format!("package.{field} is not the workspace's"));
        }
    }
    let described = package
        .and_then(|fields| fields.get("description"))
        .and_then(Value::as_str)
        .is_some_and(|text| !text.is_empty());
    if !described {
        findings.push("package.description is missing".to_owned());
    }
    if !manifest.get("lints").is_some_and(of_workspace) {
        findings.push("[lints] is not the workspace's".to_owned());
    }
    let targets = manifest
        .get("target")
        .and_then(Value::as_table)
        .into_iter()
        .flat_map(|targets| targets.values().filter_map(Value::as_table));
    for table in std::iter::once(manifest).chain(targets) {
        for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let dependencies = table.get(kind).and_then(Value::as_table);
            for (name, source) in dependencies.into_iter().flatten() {
                if !of_workspace(source) && !beside(source) {
                    findings.push(format!(
                        "{kind}.{name}: its version belongs into [workspace.dependencies]"
                    ));
                }
            }
        }
    }
    findings
}

/// A crate of ours by its path alone, where the workspace's entry has other features.
fn beside(value: &Value) -> bool {
    value
        .as_table()
        .is_some_and(|table| table.contains_key("path") && !table.contains_key("version"))
}

/// `{ workspace = true, … }`
fn of_workspace(value: &Value) -> bool {
    value
        .as_table()
        .and_then(|table| table.get("workspace"))
        .and_then(Value::as_bool)
        .unwrap_or(false)
}
