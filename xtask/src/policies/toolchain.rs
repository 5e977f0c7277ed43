//! A compiler for `wasm32-unknown-unknown`, wherever one can be had.

use std::env;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use super::list::Artefact;
use crate::command::{self, cargo, root, works};
use crate::steps::Ending;

const TARGET: &str = "wasm32-unknown-unknown";

/// 32 KiB. A fresh instance pays for its stack, and the rules of a policy are not deep.
const SMALL_STACK: &str = "-Clink-arg=-zstack-size=32768";

/// Debian's compiler, its cargo, and the standard library's sources with their dependencies.
const DEBIAN_PACKAGES: [&str; 3] = ["rustc-web", "cargo-web", "rust-web-src"];

/// Where Debian keeps those sources.
const DEBIAN_SOURCES: &str = "/usr/lib/rustlib/src/rust/library";

/// Where a compiler may come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Choice {
    /// The toolchain that runs this, whose target is installed or can be added by rustup.
    Rustup,
    /// Debian's, which builds the standard library itself; it lies beside a rustup toolchain without touching it.
    Debian,
}

/// A compiler that is there.
#[derive(Clone, Debug)]
pub(super) enum Toolchain {
    /// The one that runs this.
    Own,
    /// Debian's, with a linker that it does not bring.
    Debian { linker: PathBuf },
}

impl fmt::Display for Toolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Toolchain::Own => write!(f, "the installed target {TARGET}"),
            Toolchain::Debian { .. } => write!(f, "Debian's compiler and library sources"),
        }
    }
}

/// The first that is there or can be had: the target as installed, the target from rustup, Debian's packages.
pub(super) fn choose(choice: Option<Choice>) -> Result<Toolchain> {
    let rustup = choice != Some(Choice::Debian);
    let debian = choice != Some(Choice::Rustup);
    if rustup && (target_is_installed() || rustup_adds_target()) {
        return Ok(Toolchain::Own);
    }
    if debian && (debian_is_installed() || apt_installs_it()) {
        return Ok(Toolchain::Debian {
            linker: own_linker()?,
        });
    }
    bail!(
        "no compiler for {TARGET} can be had; type: rustup target add {TARGET} (or, as root on Debian: \
         apt-get install -y --no-install-recommends {})",
        DEBIAN_PACKAGES.join(" ")
    )
}

impl Toolchain {
    /// Compiles `artefact` below `target_dir` and returns the core module.
    pub(super) fn build(&self, artefact: &Artefact, target_dir: &Path) -> Result<Vec<u8>> {
        let mut command = self.cargo();
        command.args(["rustc", "--quiet", "--locked", "--profile", "policy"]);
        // A component is its own package with its own features, however the caller's cargo is set.
        command.env_remove("CARGO_RESOLVER_FEATURE_UNIFICATION");
        command.args(["--package", artefact.package, "--target", TARGET]);
        // The two compilers must not meet in one folder.
        let target_dir = match self {
            Toolchain::Own => target_dir.to_owned(),
            Toolchain::Debian { .. } => target_dir.join("debian"),
        };
        command.arg("--target-dir").arg(&target_dir);
        let out = target_dir.join(TARGET).join("policy");
        let module = match &artefact.example {
            Some(example) => {
                command.args(["--example", example]);
                out.join("examples").join(format!("{example}.wasm"))
            }
            None => {
                command.args(["--lib", "--crate-type", "cdylib"]);
                out.join(format!("{}.wasm", artefact.package.replace('-', "_")))
            }
        };
        if matches!(self, Toolchain::Debian { .. }) {
            command.arg("-Zbuild-std=std,panic_abort");
        }
        if artefact.small_stack {
            command.args(["--", SMALL_STACK]);
        }
        if let Ending::Failed(what) = command::run(&mut command)? {
            bail!("failed to compile {}: {what}", artefact.name);
        }
        fs::read(&module).with_context(|| format!("failed to read {}", module.display()))
    }

    fn cargo(&self) -> Command {
        let mut command = match self {
            Toolchain::Own => cargo([]),
            Toolchain::Debian { linker } => {
                // Not `cargo` from the path: beside rustup that is a proxy for another toolchain.
                let mut command = Command::new("/usr/bin/cargo");
                command.current_dir(root());
                let mut path = OsString::from("/usr/bin:");
                path.push(env::var_os("PATH").unwrap_or_default());
                command
                    .env("PATH", path)
                    .env("RUSTC", "/usr/bin/rustc")
                    // Building the standard library is not a stable feature.
                    .env("RUSTC_BOOTSTRAP", "1")
                    .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
                command
            }
        };
        // Messages of a trap name files; where those lie on the machine that built is nobody's business.
        command.env_remove("RUSTFLAGS");
        command.env("CARGO_ENCODED_RUSTFLAGS", remapped_paths().join("\x1f"));
        command
    }
}

/// Compiler flags that make the paths of this machine disappear from what is built.
fn remapped_paths() -> Vec<String> {
    let cargo_home = env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| env::home_dir().map(|home| home.join(".cargo")));
    let mut flags = vec![format!("--remap-path-prefix={}=.", root().display())];
    flags.extend(cargo_home.map(|home| format!("--remap-path-prefix={}=cargo", home.display())));
    flags
}

fn rustc() -> OsString {
    env::var_os("RUSTC").unwrap_or_else(|| "rustc".into())
}

fn target_is_installed() -> bool {
    let mut ask = Command::new(rustc());
    ask.args(["--print", "target-libdir", "--target", TARGET]);
    let Ok(folder) = command::read(&mut ask) else {
        return false;
    };
    let Ok(entries) = fs::read_dir(folder.trim()) else {
        return false;
    };
    entries
        .flatten()
        .any(|entry| entry.file_name().to_string_lossy().starts_with("libcore-"))
}

fn rustup_adds_target() -> bool {
    let mut add = Command::new("rustup");
    add.args(["target", "add", TARGET]);
    works(add) && target_is_installed()
}

fn debian_is_installed() -> bool {
    let files = ["/usr/bin/cargo", "/usr/bin/rustc", DEBIAN_SOURCES];
    files.iter().all(|file| Path::new(file).exists())
}

fn apt_installs_it() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root || !Path::new("/etc/debian_version").exists() {
        return false;
    }
    let mut install = Command::new("apt-get");
    install
        .env("DEBIAN_FRONTEND", "noninteractive")
        .args(["install", "-y", "--no-install-recommends"])
        .args(DEBIAN_PACKAGES);
    works(install) && debian_is_installed()
}

/// The linker of the toolchain that runs this; Debian's compiler comes without one for WebAssembly.
fn own_linker() -> Result<PathBuf> {
    let mut ask = Command::new(rustc());
    ask.args(["--print", "target-libdir"]);
    let libdir = command::read(&mut ask)?;
    let linker = Path::new(libdir.trim())
        .parent()
        .context("the compiler's library folder has a parent")?
        .join("bin/rust-lld");
    if linker.exists() {
        return Ok(linker);
    }
    // A toolchain from a distribution has it in the path, if at all.
    match ["wasm-ld", "lld"].into_iter().find(|name| {
        let mut ask = Command::new(name);
        ask.arg("--version");
        works(ask)
    }) {
        Some(name) => Ok(name.into()),
        None => bail!(
            "no linker for {TARGET}: neither {} nor wasm-ld is there; type: apt-get install -y lld",
            linker.display()
        ),
    }
}
