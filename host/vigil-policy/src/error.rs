//! Why a policy could not be loaded. Each text names the policy, says what is wrong with it, and what to do.

use vigil_core::verdict::PolicyFailure;

use crate::failure::{FailureKind, bounded};

/// A policy that could not be loaded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("failed to load policy {policy}: {fault}")]
pub struct LoadError {
    /// The name under which it was to be loaded.
    pub policy: String,
    /// What is wrong.
    pub fault: LoadFault,
}

/// What is wrong with a policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadFault {
    /// A core module: WebAssembly, but without the types of an interface.
    #[error("it is a core module, not a component; make it one with `wasm-tools component new`")]
    CoreModule,
    /// Not WebAssembly.
    #[error("it is not WebAssembly ({begins}); name a component, a .wasm file")]
    NotWasm {
        /// How it begins, for people.
        begins: String,
    },
    /// It begins like a component and cannot be read to its end.
    #[error("it is damaged at byte {offset}: {what}; build or fetch it again")]
    Damaged {
        /// From the beginning of the file.
        offset: usize,
        /// What is wrong there.
        what: String,
    },
    /// Larger than the limit. Nothing of it was read.
    #[error(
        "it has {bytes} bytes, more than the limit of {bytes_max}; build it smaller or raise the limit"
    )]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// It is made of more than a limit allows. Nothing of it was compiled.
    #[error(
        "it has {found} {what}, more than the limit of {max}, and a compiler might never come to the end of it; build it \
         from fewer and smaller parts"
    )]
    TooMuch {
        /// What was counted.
        what: &'static str,
        /// How many there are, at least.
        found: u64,
        /// The limit.
        max: u64,
    },
    /// It hands components around, so that nobody can tell beforehand what it comes to.
    #[error(
        "it gives a component to another as an argument, or takes one out of an instance, and what that comes to cannot \
         be bounded; compose its parts beforehand, with `wac plug` for example"
    )]
    ComponentAsArgument,
    /// Compiling it took more than a limit allows, and was ended.
    #[error(
        "its compiler needed more than {what} and was ended; build it smaller, with shorter functions"
    )]
    CompilerOver {
        /// The limit that it met, with its unit.
        what: String,
    },
    /// This machine could not do it; the policy is not to blame, and another try may succeed.
    #[error(
        "{what}; this is the machine's doing, not the policy's: give vigil more memory and try again"
    )]
    Machine {
        /// What the machine could not do.
        what: String,
    },
    /// It asks for something that a policy does not get.
    #[error(
        "it imports {}, and a policy gets no imports but {}; {}",
        bounded(import),
        crate::v0_1_0::TYPES,
        import_advice(import)
    )]
    ForeignImport {
        /// The import's name.
        import: String,
    },
    /// Made for another package, or another version of ours.
    #[error(
        "it exports {}, and this vigil loads {}; {}",
        listed(exports),
        crate::v0_1_0::DECIDER,
        package_advice(exports)
    )]
    WrongPackage {
        /// What it exports.
        exports: Vec<String>,
    },
    /// The names fit and the types do not.
    #[error(
        "its types are not those of {}: {difference}; rebuild it with this version's wit folder",
        crate::v0_1_0::DECIDER
    )]
    Mismatch {
        /// The difference, as far as wasmtime tells.
        difference: String,
    },
    /// It is a component, and wasmtime cannot compile it or give it what it needs.
    #[error("it does not compile: {what}; build it for plain WebAssembly, and within the limits")]
    Compile {
        /// wasmtime's reason.
        what: String,
    },
    /// It could not say who it is.
    #[error("it failed in describe ({}): {}; describe may only return constants", .0.kind, .0.detail)]
    DescribeFailed(PolicyFailure),
    /// What it says about itself makes no sense.
    #[error("its description is not usable: {0}; correct what describe returns")]
    BadDescription(String),
    /// The settings do not fit its schema.
    #[error(
        "its settings do not fit{}: {message}; `vigil policy inspect` shows the schema",
        at_path(path)
    )]
    BadSettings {
        /// A JSON pointer into the settings; empty: the settings as a whole.
        path: String,
        /// What is wrong there.
        message: String,
    },
    /// It failed on the evidence that every policy is tried on.
    #[error("it failed on the trial evidence ({}): {}; run `vigil policy test` on it", .0.kind, .0.detail)]
    TrialFailed(PolicyFailure),
}

impl LoadFault {
    /// The machine could not do it, and the policy is not to blame.
    pub fn is_of_machine(&self) -> bool {
        match self {
            LoadFault::Machine { .. } => true,
            LoadFault::DescribeFailed(failed) | LoadFault::TrialFailed(failed) => {
                FailureKind::HostMemory.is(failed)
            }
            _ => false,
        }
    }
}

/// Names that an error lists; a component may have a hundred thousand, each of a hundred kilobytes.
const LISTED_MAX: usize = 5;

fn listed(names: &[String]) -> String {
    if names.is_empty() {
        return "nothing".to_owned();
    }
    let shown: Vec<String> = names
        .iter()
        .take(LISTED_MAX)
        .map(|name| bounded(name))
        .collect();
    let more = match names.len().saturating_sub(LISTED_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{}{more}", shown.join(", "))
}

fn import_advice(import: &str) -> &'static str {
    if import.starts_with("wasi:") {
        "build it without WASI: for the target wasm32-unknown-unknown in Rust, with all features disabled in JavaScript, \
         with --stub-wasi in Python"
    } else {
        "take the import out of its world and rebuild it"
    }
}

fn package_advice(exports: &[String]) -> &'static str {
    if exports.iter().any(|name| name.starts_with("vigil:policy/")) {
        "rebuild it with this version's wit folder, or use the vigil that it was built for"
    } else {
        "it was made for something else; name a policy"
    }
}

fn at_path(path: &str) -> String {
    if path.is_empty() {
        String::new()
    } else {
        format!(" at {path}")
    }
}
