//! What a policy answers, and what the chain made of it.

use serde::{Deserialize, Serialize};

use crate::state::State;

/// A policy's answer about one session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Somebody else's question.
    Pass,
    /// Leave the session as it is.
    Hold,
    /// Move it.
    Transition(State),
    /// Same state; put the named drift right.
    Repair(Vec<String>),
}

/// A policy's verdict with its grounds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Decision {
    /// The answer.
    pub verdict: Verdict,
    /// The code of the rule that spoke.
    pub rule: String,
    /// One sentence for the person who reads `status`.
    pub reason: String,
    /// Names of facts, for people; no guard rests on them.
    pub rests_on: Vec<String>,
    /// Effects asked for.
    pub intents: Vec<Intent>,
    /// When to look again, in milliseconds; `None`: the host chooses.
    pub look_again_after_ms: Option<u64>,
    /// Meant even though an agent is at work.
    pub despite_live_work: bool,
    /// Handed back with the next evidence; at most [`MEMO_BYTES_MAX`].
    pub memo: Option<String>,
}

/// The longest memo that is kept, in bytes.
pub const MEMO_BYTES_MAX: usize = 4096;

/// An effect that a policy asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Intent {
    /// Registered: `notify`, `add-label`, `remove-label`, `comment`, `requeue`, `restart`, `close-terminal`.
    pub kind: String,
    /// Tells two intents of one decision apart.
    pub key: String,
    /// By name.
    pub arguments: Vec<(String, String)>,
}

/// What one policy of the chain said about one session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct PolicyAnswer {
    /// The policy's name.
    pub policy: String,
    /// SHA-256 of the component, hex.
    pub policy_digest: String,
    /// SHA-256 of the settings it was given, hex.
    pub settings_digest: String,
    /// Its decision, or how it failed.
    pub answer: Result<Decision, PolicyFailure>,
    /// Where a guard refuses its proposal for what the state alone demands, the next policy speaks: the configuration's
    /// `on_refused = "pass"`.
    #[serde(default, skip_serializing_if = "is_not")]
    pub passes_refused: bool,
    /// The policies behind it in the chain, which nobody hears when it is refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub behind: Vec<String>,
}

fn is_not(flag: &bool) -> bool {
    !flag
}

/// How a policy failed to answer. A failure holds the session unless the configuration says `on_failure = "pass"`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct PolicyFailure {
    /// `trap`, `out-of-fuel`, `deadline`, `out-of-memory`, `stack-overflow`, `nonsense`, `error`, `quarantined`.
    pub kind: String,
    /// What happened, for people.
    pub detail: String,
    /// The configuration lets the next policy speak in its place.
    pub passes: bool,
}
