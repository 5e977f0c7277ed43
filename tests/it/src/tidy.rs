//! The rules of the house that neither the compiler nor clippy knows. Each check is a function of what it is given, with
//! a test that it can fail, and one test that applies it to the repository.

mod arrows;
mod attacks;
mod documents;
mod manifests;
mod modules;
mod policies;
mod sources;
mod wit;

use std::fs;
use std::path::{Path, PathBuf};

use ignore::WalkBuilder;

/// The repository's root.
fn root() -> &'static Path {
    xtask::command::root()
}

/// Fails with all findings at once, each on its own line.
#[track_caller]
fn expect_none(rule: &str, findings: Vec<String>) {
    assert!(
        findings.is_empty(),
        "{rule}:\n  {}\n",
        findings.join("\n  ")
    );
}

/// A text file of the repository.
struct Text {
    /// From the root, with slashes.
    path: String,
    /// All of it.
    content: String,
}

impl Text {
    fn has_extension(&self, extension: &str) -> bool {
        Path::new(&self.path)
            .extension()
            .is_some_and(|found| found == extension)
    }
}

/// All files that git would hold, ignored ones and `.git` left out, by path.
fn files() -> Vec<PathBuf> {
    let mut files: Vec<_> = WalkBuilder::new(root())
        .hidden(false)
        .filter_entry(|entry| entry.file_name() != ".git")
        .build()
        .map(|entry| entry.expect("the repository can be read").into_path())
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    files
}

/// The ones among them that are written by hand: text, and no fixture.
fn texts() -> Vec<Text> {
    files()
        .into_iter()
        .filter_map(|path| {
            let name = relative(&path);
            if name.contains("/fixtures/") || name == "Cargo.lock" {
                return None;
            }
            let bytes = fs::read(&path).expect("a file of the repository can be read");
            Some(Text {
                path: name,
                content: String::from_utf8(bytes).ok()?,
            })
        })
        .collect()
}

/// From the root, with slashes.
fn relative(path: &Path) -> String {
    path.strip_prefix(root())
        .unwrap_or(path)
        .to_string_lossy()
        .replace('\\', "/")
}
