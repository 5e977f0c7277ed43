//! What can be set about the policy.

use serde::Deserialize;
use vigil_sdk::Context;

/// The schema of [`Settings`]; the host refuses settings that do not fit it.
pub const SCHEMA: &str = r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "closed_pr_of_open_issue": {
      "enum": ["blocked", "closed"],
      "description": "What becomes of a session whose pull request was closed without a merge while its issue is open. Unset: blocked, or closed where the source says that such a pull request is final. The host's guard goes by the source, so that closed is refused where the source does not say so."
    }
  }
}"#;

/// The settings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// What becomes of a session whose pull request was closed without a merge while its issue is open. `None`: what
    /// the source says.
    pub closed_pr_of_open_issue: Option<ClosedPr>,
}

/// An end for a session whose pull request was closed without a merge while its issue is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClosedPr {
    /// A person decides.
    Blocked,
    /// It is no longer wanted.
    Closed,
}

/// What the settings and the source say together; an error when the settings cannot be read.
pub(crate) fn closed_pr(context: &Context) -> Result<ClosedPr, String> {
    let settings: Settings = context.settings_as()?;
    Ok(match settings.closed_pr_of_open_issue {
        Some(end) => end,
        None if context.source.closed_pr_is_final => ClosedPr::Closed,
        None => ClosedPr::Blocked,
    })
}
