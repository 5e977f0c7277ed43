//! Running other programs from the workspace's root.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, anyhow};
use cargo_metadata::{Metadata, MetadataCommand};
use tempfile::TempDir;

use crate::steps::Ending;

/// Variables that cargo sets for `xtask` itself. Build scripts that watch them would run again at each change between
/// `cargo build` and `cargo xtask`.
const OF_THIS_RUN: [&str; 4] = [
    "CARGO_MANIFEST_DIR",
    "CARGO_MANIFEST_PATH",
    "CARGO_CRATE_NAME",
    "CARGO_BIN_NAME",
];

/// Variables through which a test could reach a real account, a real home or a real journal, or miss its own server.
const OF_REAL_LIFE: [&str; 19] = [
    "GH_TOKEN",
    "GITHUB_TOKEN",
    "GITHUB_API_URL",
    "GITHUB_GRAPHQL_URL",
    "GH_HOST",
    "GH_ENTERPRISE_TOKEN",
    "GITHUB_ENTERPRISE_TOKEN",
    "https_proxy",
    "HTTPS_PROXY",
    "http_proxy",
    "all_proxy",
    "ALL_PROXY",
    "no_proxy",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "VIGILANTE_HOME",
    "VIGIL_STATE_DIR",
    "PATCHRELAY_DB_PATH",
    "NEXTEST_PROFILE",
];

/// The workspace's root: the folder above this crate's.
pub fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}

/// `cargo` with `args`, the one that started this program, in the workspace's root.
pub fn cargo<'a>(args: impl IntoIterator<Item = &'a str>) -> Command {
    let program = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.args(args).current_dir(root());
    for (name, _) in env::vars_os() {
        let of_this_package = name
            .to_str()
            .is_some_and(|name| name.starts_with("CARGO_PKG_") || OF_THIS_RUN.contains(&name));
        if of_this_package {
            command.env_remove(name);
        }
    }
    command
}

/// The same for commands that run tests: without tokens and homes of the person at the keyboard, and with `tmp` as
/// the folder for temporary files.
pub fn cargo_for_tests<'a>(args: impl IntoIterator<Item = &'a str>, tmp: &Path) -> Command {
    let mut command = cargo(args);
    for name in OF_REAL_LIFE {
        command.env_remove(name);
    }
    command.env("TMPDIR", tmp);
    command
}

/// Runs `work` with a new folder for temporary files outside the clone, so that no test takes the clone for its own
/// repository, and removes the folder with all that tests left in it.
pub fn with_tmp<T>(work: impl FnOnce(&Path) -> Result<T>) -> Result<T> {
    let tmp = tempfile::Builder::new()
        .prefix("vigil-test-")
        .tempdir()
        .context("failed to create a folder for temporary files")?;
    let done = work(tmp.path())?;
    // Dropping it would hide that something could not be removed.
    TempDir::close(tmp).context("failed to remove the folder for temporary files")?;
    Ok(done)
}

/// What cargo knows of the workspace's own packages, without resolving dependencies.
pub fn metadata() -> Result<Metadata> {
    MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .no_deps()
        .exec()
        .context("failed to read `cargo metadata` of the workspace")
}

/// Where cargo builds, `CARGO_TARGET_DIR` and configuration included.
pub fn target_dir() -> Result<PathBuf> {
    Ok(metadata()?.target_directory.into_std_path_buf())
}

/// Runs `command` to its end, its output going where ours goes.
pub fn run(command: &mut Command) -> Result<Ending> {
    let status = command
        .status()
        .with_context(|| format!("failed to start {}", words(command)))?;
    Ok(if status.success() {
        Ending::Passed
    } else {
        Ending::Failed(format!("{} ended with {status}", words(command)))
    })
}

/// Runs `command` to its end and returns what it printed; an error holds what it complained of.
pub fn read(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("failed to start {}", words(command)))?;
    if !output.status.success() {
        return Err(anyhow!(
            "{} ended with {}: {}",
            words(command),
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        ));
    }
    String::from_utf8(output.stdout)
        .with_context(|| format!("{} printed what is not UTF-8", words(command)))
}

/// Whether `command` can be started and succeeds: the test for "is it installed".
pub fn works(mut command: Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// The command as a person would type it, roughly: for messages only.
pub fn words(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(command.get_program());
    std::iter::once(name)
        .chain(command.get_args())
        .map(|word| word.to_string_lossy().into_owned())
        .collect::<Vec<_>>()
        .join(" ")
}
