//! What the documents promise is there: the README's two commands, the commands that it names, the changelog's section
//! for what comes next, and the files that they link to.

use std::fs;
use std::path::Path;

use super::{Text, expect_none, root, texts};

/// What a newcomer types, from the README alone.
const TWO_COMMANDS: [&str; 2] = ["cargo run --release -- demo", "cargo xtask test"];

/// `host/ARCHITECTURE.md` is read in one sitting.
const ARCHITECTURE_LINES_MAX: usize = 150;

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path))
        .unwrap_or_else(|error| panic!("{path} can be read: {error}"))
}

#[test]
fn the_readme_has_its_two_commands_and_both_are_there() {
    let readme = read("README.md");
    for command in TWO_COMMANDS {
        assert!(
            readme.lines().any(|line| line.trim() == command),
            "README.md has no line that is just `{command}`"
        );
    }
    let manifest: toml::Table = read("Cargo.toml").parse().expect("cargo could read it");
    assert_eq!(
        manifest["workspace"]["default-members"],
        toml::Value::from(vec!["host/vigil"]),
        "`cargo run` has to find the binary"
    );
    let config: toml::Table = read(".cargo/config.toml")
        .parse()
        .expect("cargo could read it");
    assert!(
        config["alias"]["xtask"]
            .as_str()
            .is_some_and(|alias| alias.contains("--package xtask")),
        "`cargo xtask` has to be an alias"
    );
}

#[test]
fn every_command_that_the_documents_name_can_be_typed() {
    let cli = read("host/vigil/src/cli.rs");
    let missing = texts()
        .iter()
        .filter(|text| text.has_extension("md"))
        .flat_map(|text| {
            named_commands(&text.content)
                .into_iter()
                .filter(|command| !can_be_typed(command, &cli))
                .map(|command| format!("{}: `vigil {command}`", text.path))
        })
        .collect();
    expect_none("host/vigil/src/cli.rs has no such command", missing);
}

/// Whether the source of the command line has a variant of that name.
fn can_be_typed(command: &str, cli: &str) -> bool {
    let variant: String = command
        .split('-')
        .filter(|word| !word.is_empty())
        .map(|word| word[..1].to_uppercase() + &word[1..])
        .collect();
    cli.lines().any(|line| {
        line.trim()
            .strip_prefix(variant.as_str())
            .is_some_and(|rest| rest.starts_with(['(', ',']) || rest.starts_with(" {"))
    })
}

#[test]
fn the_changelog_has_a_section_for_what_comes_next() {
    let changelog = read("CHANGELOG.md");
    assert!(
        changelog.lines().any(|line| line == "## Unreleased"),
        "CHANGELOG.md has no `## Unreleased`"
    );
}

#[test]
fn the_architecture_is_read_in_one_sitting() {
    let lines = read("host/ARCHITECTURE.md").lines().count();
    assert!(
        lines <= ARCHITECTURE_LINES_MAX,
        "host/ARCHITECTURE.md has {lines} lines, and at most {ARCHITECTURE_LINES_MAX} are read"
    );
}

#[test]
fn the_map_shows_every_crate_of_the_host() {
    let map = read("host/ARCHITECTURE.md");
    let metadata = xtask::command::metadata().expect("cargo reads the workspace");
    let crates: Vec<_> = metadata
        .packages
        .iter()
        .filter(|package| package.manifest_path.starts_with(root().join("host")))
        .map(|package| package.name.to_string())
        .collect();
    assert!(!crates.is_empty(), "the host has crates");
    expect_none(
        "the code map of host/ARCHITECTURE.md has no row for",
        off_the_map(&map, &crates),
    );
}

/// Crates without a row that begins with their name.
fn off_the_map(map: &str, crates: &[String]) -> Vec<String> {
    crates
        .iter()
        .filter(|name| {
            let row = format!("| `{name}` |");
            !map.lines().any(|line| line.starts_with(&row))
        })
        .cloned()
        .collect()
}

#[test]
fn links_within_the_repository_lead_somewhere() {
    let texts = texts();
    expect_none("these links lead nowhere", dead_links(root(), &texts));
}

#[test]
fn a_dead_link_a_named_command_and_a_crate_off_the_map_are_found() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("there.md"), "").expect("a file");
    let text = Text {
        path: "a.md".to_owned(),
        content: "[a](there.md#part) [b](gone.md) [c](https://example.org)\n".to_owned(),
    };
    assert_eq!(dead_links(folder.path(), &[text]), ["a.md: gone.md"]);
    assert_eq!(
        named_commands("`vigil run --once`, or\n\n    vigil policy test\n\nvigil is; `vigil-core`"),
        ["policy", "run"]
    );
    let crates = ["a".to_owned(), "b".to_owned()];
    assert_eq!(off_the_map("| `a` | what | first |\n`b`\n", &crates), ["b"]);
    let cli = "enum Command {\n    Run(RunArgs),\n    Doctor,\n    LookAgain {\n";
    for (command, there) in [
        ("run", true),
        ("doctor", true),
        ("look-again", true),
        ("ru", false),
        ("fly", false),
    ] {
        assert_eq!(can_be_typed(command, cli), there, "{command}");
    }
}

/// The first words after `vigil` in code, sorted.
fn named_commands(markdown: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut fenced = false;
    for line in markdown.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
            continue;
        }
        let code: Vec<&str> = if fenced || line.starts_with("    ") {
            vec![line]
        } else {
            line.split('`').skip(1).step_by(2).collect()
        };
        for code in code {
            let mut words = code.trim().trim_start_matches("$ ").split_whitespace();
            if words.next() == Some("vigil")
                && let Some(word) = words.next()
                && word.chars().all(|c| c.is_ascii_lowercase() || c == '-')
                && !word.starts_with('-')
            {
                found.push(word.to_owned());
            }
        }
    }
    found.sort();
    found.dedup();
    found
}

/// Links to files that are not there, as `document: link`.
fn dead_links(root: &Path, texts: &[Text]) -> Vec<String> {
    let mut findings = Vec::new();
    for text in texts.iter().filter(|text| text.has_extension("md")) {
        let folder = root.join(&text.path);
        let folder = folder.parent().unwrap_or(root);
        for part in text.content.split("](").skip(1) {
            let Some((link, _)) = part.split_once(')') else {
                continue;
            };
            let path = link.split('#').next().unwrap_or_default();
            let elsewhere = path.is_empty() || path.contains("://") || path.contains(' ');
            if !elsewhere && !folder.join(path).exists() {
                findings.push(format!("{}: {link}", text.path));
            }
        }
    }
    findings
}
