//! Write a vigil policy in Rust.
//!
//! A policy is one function from the evidence about one session to a decision. It has no clock, no network and no
//! files; whatever it may know is in its two arguments. [`Policy`] is that function with a description, [`export!`]
//! makes a component of it, and [`evidence`] builds evidence for unit tests that run natively, under `cargo test`.
//!
//! ```
//! use vigil_sdk::{About, Context, Decision, Evidence, Policy, hold, pass};
//!
//! /// Sessions whose issue says `paused` are left alone.
//! struct Paused;
//!
//! impl Policy for Paused {
//!     const ABOUT: About = About {
//!         name: "paused",
//!         version: "1.0.0",
//!         rules: &[("paused", "An issue with the label `paused` holds its session.")],
//!         settings_schema: "",
//!     };
//!
//!     fn decide(_: &Context, evidence: &Evidence) -> Decision {
//!         match evidence.issue.found() {
//!             Some(issue) if issue.has_label("paused") => {
//!                 hold("paused", format!("issue #{} is paused", issue.number))
//!             }
//!             _ => pass("the issue is not known to be paused"),
//!         }
//!     }
//! }
//!
//! vigil_sdk::export!(Paused);
//! # use vigil_sdk::{Verdict, evidence::{context, evidence, open}};
//! # let judged = Paused::decide(&context(), &evidence().issue(open().labelled("paused")).build());
//! # assert_eq!(judged.verdict, Verdict::Hold);
//! ```
//!
//! # Building
//!
//! The crate is a `cdylib`, built for `wasm32-unknown-unknown` and made a component by `wasm-tools component new` (in
//! this repository `cargo xtask policies` does both). What a call costs is mostly the instance's memory, since every
//! pass takes a new one, so two things are worth having:
//!
//! - the allocator that [`export!`] installs: it only ever moves forward, and the instance is thrown away in the end;
//! - a stack of 32 KiB instead of 1 MiB, in the `.cargo/config.toml` of the policy:
//!
//! ```toml
//! [target.wasm32-unknown-unknown]
//! rustflags = ["-Clink-arg=-zstack-size=32768"]
//! ```
//!
//! Measured on a full evidence, the two together take a fresh call from 27 to 11 microseconds.

#[cfg(target_arch = "wasm32")]
mod allocator;
mod answer;
pub mod bindings;
pub mod evidence;
mod export;
mod facts;
pub mod registry;
#[cfg(feature = "settings")]
mod settings;
pub mod time;

#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub use allocator::Bump;
pub use answer::{hold, pass, pass_because, repair, transition};
pub use bindings::vigil::policy::types::{
    Actor, ActorFact, Attempts, AutoMerge, AutoMergeFact, Check, CheckListFact, ChecksFact,
    Context, CountFact, Decision, Description, Evidence, FactValue, FieldGap, FlagFact, Gap,
    HeldRun, HeldRunsFact, Intent, Issue, IssueFact, Liveness, Mergeability, MergeabilityFact,
    Millis, NamedAnswer, NamedFact, NamesFact, Occupant, OccupantFact, PassedOver, Process,
    ProcessFact, PullRequest, PullRequestFact, PullRequestState, QueueEntry, QueueFact, Reference,
    ReferencesFact, Review, ReviewFact, ReviewListFact, Rule, Session, Sibling, Sighting, Source,
    State, Task, TimeFact, Times, Timestamp, Verdict,
};
pub use export::{About, Exported, Policy};
pub use registry::{FactName, GapKind, IntentKind, OwnerFact};
