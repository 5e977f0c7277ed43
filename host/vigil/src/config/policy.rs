//! `[[policy]]`: one policy of the chain.

use serde::{Deserialize, Serialize};

/// `[[policy]]`
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyConfig {
    /// The bare name of a built-in, `default.wasm`, or a file.
    pub path: String,
    /// What a failure of this policy means for a session.
    #[serde(default)]
    pub on_failure: OnFailure,
    /// What it means for a session that a guard refuses this policy's proposal for what the proposed state demands.
    #[serde(default)]
    pub on_refused: OnRefused,
    /// Its settings, checked against the schema that it carries.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub settings: serde_json::Map<String, serde_json::Value>,
}

/// What a failure of a policy means for a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnFailure {
    /// It is held, with the failure as the reason.
    #[default]
    Hold,
    /// The next policy of the chain speaks.
    Pass,
}

impl PolicyConfig {
    /// The policy at `path` with nothing but defaults.
    pub fn of(path: impl Into<String>) -> Self {
        PolicyConfig {
            path: path.into(),
            on_failure: OnFailure::default(),
            on_refused: OnRefused::default(),
            settings: serde_json::Map::new(),
        }
    }
}

/// What a refused proposal means for a session, where the refusal is for what the proposed state demands (the guards
/// `legal-edge` and `positive-evidence`). Whatever else a guard refuses holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnRefused {
    /// It is held, and the policies behind this one are not heard.
    #[default]
    Hold,
    /// The next policy of the chain speaks.
    Pass,
}
