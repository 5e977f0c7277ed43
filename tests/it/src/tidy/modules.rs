//! No forgotten file: every `.rs` of a crate is reached from one of its targets by `mod` lines. A test file that nobody
//! names is a test that never runs.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::{expect_none, files, relative};

#[test]
fn every_source_file_is_a_module_of_a_target() {
    let metadata = xtask::command::metadata().expect("cargo reads the workspace");
    let mut reached = BTreeSet::new();
    for target in metadata
        .packages
        .iter()
        .flat_map(|package| &package.targets)
    {
        follow(target.src_path.as_std_path(), true, &mut reached);
    }
    let forgotten = files()
        .into_iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .filter(|path| !reached.contains(path))
        .map(|path| relative(&path))
        // Templates and fixtures are data.
        .filter(|path| !path.contains("/fixtures/") && !path.contains("/templates/"))
        .collect();
    expect_none("no target reaches these files", forgotten);
}

#[test]
fn a_forgotten_file_is_found_and_the_others_are_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |path: &str, content: &str| {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, content).expect("a file");
    };
    write(
        "main.rs",
        "mod a;\npub(crate) mod b;\nmod c {\n    mod d;\n}\n",
    );
    write("a.rs", "mod deep;\n");
    write("a/deep.rs", "");
    write(
        "b/mod.rs",
        "mod beside;\n#[path = \"odd.name.rs\"]\nmod odd;\n",
    );
    write("b/beside.rs", "");
    write("b/odd.name.rs", "");
    write("c/d.rs", "");
    write("forgotten.rs", "");

    let mut reached = BTreeSet::new();
    follow(&folder.path().join("main.rs"), true, &mut reached);
    let names: Vec<_> = reached
        .iter()
        .map(|path| {
            path.strip_prefix(folder.path())
                .expect("below the folder")
                .display()
                .to_string()
        })
        .collect();
    assert_eq!(
        names,
        [
            "a/deep.rs",
            "a.rs",
            "b/beside.rs",
            "b/mod.rs",
            "b/odd.name.rs",
            "c/d.rs",
            "main.rs"
        ]
    );
}

/// Adds `file` and all modules below it. `root_like`: its modules lie beside it, as those of `main.rs` and `mod.rs` do.
fn follow(file: &Path, root_like: bool, reached: &mut BTreeSet<PathBuf>) {
    if !reached.insert(file.to_owned()) {
        return;
    }
    let Ok(content) = fs::read_to_string(file) else {
        return;
    };
    let beside = file.parent().unwrap_or(file).to_owned();
    let below = if root_like {
        beside.clone()
    } else {
        beside.join(file.file_stem().unwrap_or_default())
    };
    for declared in declared_modules(&content) {
        let folder = declared
            .within
            .iter()
            .fold(below.clone(), |folder, name| folder.join(name));
        let candidates = match &declared.path {
            Some(path) => vec![(beside.join(path), true)],
            None => vec![
                (folder.join(format!("{}.rs", declared.name)), false),
                (folder.join(&declared.name).join("mod.rs"), true),
            ],
        };
        for (path, root_like) in candidates {
            if path.is_file() {
                follow(&path, root_like, reached);
            }
        }
    }
}

/// A `mod name;` line.
struct Declared {
    name: String,
    /// What `#[path = "…"]` says.
    path: Option<String>,
    /// Inline modules around it.
    within: Vec<String>,
}

/// All of them, as rustfmt writes them: one a line, the indentation showing what stands within what.
fn declared_modules(content: &str) -> Vec<Declared> {
    let mut declared = Vec::new();
    let mut open: Vec<(usize, String)> = Vec::new();
    let mut path = None;
    for line in content.lines() {
        let text = line.trim_start();
        let indent = line.len() - text.len();
        if text == "}" {
            open.retain(|(at, _)| *at < indent);
        }
        if let Some(said) = text.strip_prefix("#[path = \"") {
            path = said.split('"').next().map(str::to_owned);
            continue;
        }
        if text.starts_with("#[") || text.starts_with("//") {
            continue;
        }
        let item = match text.strip_prefix("pub") {
            Some(rest) if rest.starts_with('(') => rest
                .split_once(')')
                .map_or(rest, |(_, rest)| rest)
                .trim_start(),
            Some(rest) => rest.trim_start(),
            None => text,
        };
        if let Some(name) = item.strip_prefix("mod ") {
            if let Some(name) = name.strip_suffix(';') {
                declared.push(Declared {
                    name: name.to_owned(),
                    path: path.take(),
                    within: open.iter().map(|(_, name)| name.clone()).collect(),
                });
            } else if let Some(name) = name.strip_suffix(" {") {
                open.push((indent, name.to_owned()));
            }
        }
        path = None;
    }
    declared
}
