//! Loads and runs policy components in wasmtime. The only crate that knows wasmtime.
//!
//! A policy is untrusted code that proposes what becomes of agent sessions. It gets evidence and its settings and
//! nothing else: no clock, no files, no network, no memory of earlier passes. Every batch of questions runs in a fresh
//! instance, under limits that are the same wherever policies run; whatever a policy does instead of answering is a
//! [`PolicyFailure`](vigil_core::verdict::PolicyFailure), and the chain turns it into a hold.
//!
//! Where to look: what a component must be like in `scan` and `load`, what an answer must be like in `answer`, what a
//! policy may use up in `limits`, how several policies speak in turn in `chain`.

mod agreement;
mod answer;
mod chain;
mod compiled;
mod compiler;
mod convert;
mod engine;
mod error;
mod failure;
mod guest;
mod limits;
mod load;
mod policy;
mod quarantine;
mod scan;
mod schema;
mod settings;
mod structure;
mod trial;
mod v0_1_0;

pub use agreement::{Disagreement, check_batch_agreement};
pub use answer::{FACTS, INTENT_KEY_BYTES_MAX, INTENTS, INTENTS_MAX};
pub use chain::{Chain, ChainQuestion, Link, OnFailure, OnRefused, Wanted};
pub use compiler::{CompileLimits, Compiler, serve};
pub use engine::{Engine, EngineConfig, EngineError};
pub use error::{LoadError, LoadFault};
pub use failure::FailureKind;
pub use limits::{BATCH_SESSIONS_MAX, Limits};
pub use policy::{Description, FuelUsed, Judgement, Policy, Question, Rule};
pub use quarantine::{Quarantine, Quarantined};
pub use scan::{Inspection, SOURCES_SECTION, inspect};
