//! The fixture's shape.

use std::fs;

use serde::Deserialize;
use serde_json::{Map, Value, json};

/// The file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cases {
    /// The present of all cases, RFC 3339.
    pub(super) now: String,
    /// The record that they have in common.
    record: toml::Table,
    /// All of them.
    pub(super) case: Vec<Case>,
}

/// One session.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    /// Its number in the collection.
    pub(super) id: String,
    /// For people.
    #[serde(rename = "about")]
    _about: String,
    /// What was run of Vigilante: `daemon` or `status`.
    pub(super) command: String,
    /// Whether the recorded process lives: `gone` or `alive`.
    #[serde(default = "gone")]
    pub(super) supervisor: String,
    /// Fields that the record has besides, or with another value.
    #[serde(default)]
    record: toml::Table,
    /// Fields that it does not have.
    #[serde(default)]
    without: Vec<String>,
    /// What GitHub says.
    pub(super) github: GitHub,
    /// What Vigilante makes of it.
    pub(super) vigilante: Vigilante,
    /// Why vigil makes something else of it; unset: it does not.
    pub(super) differs: Option<String>,
    /// The row of the default policy's README that has the reason.
    pub(super) row: Option<String>,
    /// What vigil makes of it.
    pub(super) expect: Expect,
}

fn gone() -> String {
    "gone".to_owned()
}

/// GitHub, or the lack of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GitHub {
    /// Whether anybody answers.
    #[serde(default = "yes")]
    pub(super) reachable: bool,
    /// Whether there is a `gh`, and with it a token.
    #[serde(default = "yes")]
    pub(super) gh: bool,
    /// What is left of the hour's limits; unset: plenty.
    pub(super) left: Option<u64>,
    /// The issue; unset: nobody gets to see it.
    pub(super) issue: Option<Issue>,
    /// The pull request of the branch; unset: there is none.
    pub(super) pull: Option<Pull>,
    /// Another pull request, open on the same branch.
    pub(super) decoy: Option<u64>,
}

fn yes() -> bool {
    true
}

/// An issue.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Issue {
    /// `open`, `closed` or `missing`.
    pub(super) state: String,
    /// When it was closed, RFC 3339.
    pub(super) closed: Option<String>,
    /// Its labels.
    #[serde(default)]
    pub(super) labels: Vec<String>,
}

/// A pull request.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pull {
    /// Within the repository.
    pub(super) number: u64,
    /// `OPEN`, `MERGED` or `CLOSED`.
    pub(super) state: String,
    /// When it was merged or closed, RFC 3339.
    pub(super) ended: Option<String>,
}

/// What Vigilante leaves.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Vigilante {
    /// Its word for the state.
    pub(super) status: String,
    /// `kept` or `removed`.
    pub(super) worktree: String,
}

/// What vigil leaves.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Expect {
    /// The exit code.
    #[serde(default)]
    pub(super) exit: i32,
    /// What became of the session in the pass.
    pub(super) outcome: String,
    /// vigil's word for the state.
    pub(super) state: String,
    /// Vigilante's word for it.
    pub(super) native: String,
    /// The rule that spoke.
    pub(super) rule: String,
    /// Facts that could not be learned.
    #[serde(default)]
    pub(super) gaps: Vec<String>,
    /// Fields of the record with their values.
    #[serde(default)]
    pub(super) set: toml::Table,
    /// Fields that it has.
    #[serde(default)]
    pub(super) present: Vec<String>,
    /// Fields that it has no more.
    #[serde(default)]
    pub(super) absent: Vec<String>,
}

impl Cases {
    /// Reads the fixture.
    pub(super) fn read() -> Cases {
        let path = xtask::command::root().join("tests/fixtures/vigilante-cases.toml");
        let text = fs::read_to_string(&path).expect("the fixture is there");
        toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// The record of a case as the fixture has it, with its moments and places.
    pub(super) fn record_of(&self, case: &Case) -> Value {
        let mut fields = Map::new();
        for (key, value) in self.record.iter().chain(&case.record) {
            fields.insert(key.clone(), serde_json::to_value(value).expect("a value"));
        }
        for key in &case.without {
            assert!(
                fields.remove(key).is_some(),
                "{}: there is no {key} to leave out",
                case.id
            );
        }
        Value::Object(fields)
    }
}

impl GitHub {
    /// The same facts as the collection spells them.
    pub(super) fn as_collected(&self, cases: &Cases) -> Value {
        if !self.gh {
            return json!({ "gh": "missing" });
        }
        let issue = match &self.issue {
            None => json!({ "error": "error connecting to api.github.com" }),
            Some(issue) if issue.state == "missing" => {
                json!({ "error": "gh: Not Found (HTTP 404)", "http": "404 Not Found" })
            }
            Some(issue) => json!({ "state": issue.state, "labels": issue.labels }),
        };
        let pull = self.pull.as_ref().map(|pull| {
            let merged = pull.ended.as_ref().filter(|_| pull.state == "MERGED");
            json!({ "number": pull.number, "state": pull.state, "merged_at": merged })
        });
        let mut all = json!({ "issue": issue, "pr": pull });
        if let Some(left) = self.left {
            let now: jiff::Timestamp = cases.now.parse().expect("a moment");
            let reset = now + jiff::SignedDuration::from_mins(30);
            all["rate_core_remaining"] = json!(left);
            all["rate_reset"] = json!(reset.to_string());
        }
        if self.decoy.is_some() {
            all["forbid_calls"] = json!(["pr list"]);
        }
        all
    }
}
