//! `cargo xtask interop`: vigil beside the published Vigilante, on one machine, in a network namespace without a network.
//!
//! Here the parts are brought together; what is tried is in `tests/it/src/bin/vigil-interop/`. It is no part of
//! `cargo xtask test`: it needs PyPI, and root for the namespace.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::geteuid;

use crate::command::{self, cargo, works};
use crate::steps::{Ending, Steps};

/// The version that vigil's writes were measured on, pinned: a newer one is a change that somebody reads.
const VERSION: &str = "1.2.4";

/// SHA-256 of its only wheel for Linux, which is for x86_64.
const WHEEL_SHA256: &str = "2c0814c9bc591b8be7fcf5e27046e0b20c830fbfc738946a77cb0e4086b033b9";

/// Brings up loopback, the only device of a new namespace, and then becomes what follows.
const INSIDE: &str = "ip link set lo up && exec \"$@\"";

/// Runs all steps. True: Vigilante destroyed nothing and started nothing that vigil had written about.
pub fn run() -> Result<bool> {
    may_run()?;
    let mut steps = Steps::default();
    let target = command::target_dir()?;
    let mut vigilante = None;
    steps.run("vigilante", || {
        vigilante = Some(install(&target)?);
        Ok(Ending::Passed)
    });
    steps.run("build", || {
        let packages = ["build", "--package", "vigil", "--package", "vigil-it"];
        command::run(cargo(packages).args(["--bin", "vigil", "--bin", "vigil-interop"]))
    });
    if let (Some(vigilante), true) = (vigilante, steps.in_order()) {
        steps.run("interop", || {
            let built = target.join("debug");
            command::run(
                Command::new("unshare")
                    .args(["--net", "--", "sh", "-c", INSIDE, "sh"])
                    .arg(built.join("vigil-interop"))
                    .arg("--vigilante")
                    .arg(vigilante)
                    .arg("--vigil")
                    .arg(built.join("vigil")),
            )
        });
    }
    Ok(steps.conclude(&[]))
}

/// What cannot be brought along.
fn may_run() -> Result<()> {
    ensure!(
        cfg!(all(target_os = "linux", target_arch = "x86_64")),
        "this needs Linux on x86_64: PyPI has no vigilante-cli {VERSION} for another Linux, and nothing else has network \
         namespaces"
    );
    ensure!(
        geteuid().is_root(),
        "a network namespace needs root; type: sudo -E cargo xtask interop"
    );
    for (program, package) in [
        ("unshare", "util-linux"),
        ("ip", "iproute2"),
        ("timeout", "coreutils"),
        ("git", "git"),
        ("python3", "python3-venv"),
    ] {
        let mut command = Command::new(program);
        // `ip` alone does not know the long form.
        command.arg(if program == "ip" { "-V" } else { "--version" });
        if !works(command) {
            bail!("this needs {program}; type: apt-get install -y {package}");
        }
    }
    Ok(())
}

/// The published Vigilante in an environment of its own below the target folder; fetched once.
fn install(target: &Path) -> Result<PathBuf> {
    let place = target
        .join("interop")
        .join(format!("vigilante-cli-{VERSION}"));
    let vigilante = place.join("bin").join("vigilante");
    if is_pinned(&vigilante) {
        return Ok(vigilante);
    }
    fs::create_dir_all(&place).with_context(|| format!("failed to create {}", place.display()))?;
    let requirements = place.join("requirements.txt");
    let pinned = format!("vigilante-cli=={VERSION} --hash=sha256:{WHEEL_SHA256}\n");
    fs::write(&requirements, pinned)
        .with_context(|| format!("failed to write {}", requirements.display()))?;
    let python = place.join("bin").join("python");
    command::read(Command::new("python3").args(["-m", "venv"]).arg(&place)).context(
        "failed to make an environment for Vigilante; type: apt-get install -y python3-venv",
    )?;
    command::read(
        Command::new(python)
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--no-deps",
                "--require-hashes",
            ])
            .args(["--only-binary", ":all:", "--requirement"])
            .arg(&requirements),
    )
    .context("failed to fetch Vigilante from PyPI")?;
    ensure!(
        is_pinned(&vigilante),
        "{} is not vigilante-cli {VERSION} after its installation",
        vigilante.display()
    );
    Ok(vigilante)
}

/// Whether the program says that it is the pinned version. It makes a folder wherever it is run; this one goes again.
fn is_pinned(vigilante: &Path) -> bool {
    let Ok(home) = tempfile::tempdir() else {
        return false;
    };
    let mut command = Command::new(vigilante);
    command
        .arg("version")
        .env("HOME", home.path())
        .env("VIGILANTE_HOME", home.path())
        .env("DO_NOT_TRACK", "1")
        .stdin(Stdio::null());
    command::read(&mut command).is_ok_and(|said| said.trim() == VERSION)
}
