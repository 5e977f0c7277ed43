//! The agents' stand-in: it does nothing but write down that it was started.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use serde_json::json;

use crate::gh;

/// The programs under whose names it lies on the path.
pub(crate) const NAMES: [&str; 3] = ["codex", "claude", "gemini"];

/// Within the range that Vigilante 1.2.4 accepts of codex: at least 0.114.0, below 2.0.0. Any other version and it would
/// start no agent, whatever the record says.
const VERSION: &str = "codex-cli 0.120.0";

/// Where starts are written down, one JSON array a line.
fn book(dir: &Path) -> PathBuf {
    dir.join("agents")
}

/// Plays the agent `name`.
pub(crate) fn start(dir: &Path, name: &str, arguments: &[&str]) -> Result<ExitCode> {
    gh::append(
        &book(dir),
        &json!({ "agent": name, "arguments": arguments }),
    )?;
    if arguments == ["--version"] {
        println!("{VERSION}");
    }
    Ok(ExitCode::SUCCESS)
}

/// How often an agent was started to work. Asking for a version is not work.
pub(crate) fn started(dir: &Path) -> Result<usize> {
    let book = book(dir);
    if !book.exists() {
        return Ok(0);
    }
    let text = std::fs::read_to_string(&book)
        .with_context(|| format!("failed to read {}", book.display()))?;
    let mut count = 0;
    for line in text.lines() {
        let start: serde_json::Value =
            serde_json::from_str(line).context("failed to read a start")?;
        if start["arguments"] != json!(["--version"]) {
            count += 1;
        }
    }
    Ok(count)
}
