//! Facts by name: what one owner or another knows of its sessions, beside what every session has.
//!
//! A new one is a line in [`REGISTRY`] and whatever reads it in one source. The registry says what kind of value a name
//! has, so that a policy which reads a flag never meets a text.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::fact::{Fact, GapKind};
use crate::session::Process;
use crate::time::Timestamp;

/// The value of a named fact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Value {
    /// Words.
    Text(String),
    /// How many.
    Number(u64),
    /// Whether it is so.
    Flag(bool),
    /// When.
    Moment(Timestamp),
    /// A process that was seen.
    Process(Process),
    /// Several names; none is an answer and no absence.
    Names(Vec<String>),
}

/// What kind of value a name has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// [`Value::Text`].
    Text,
    /// [`Value::Number`].
    Number,
    /// [`Value::Flag`].
    Flag,
    /// [`Value::Moment`].
    Moment,
    /// [`Value::Process`].
    Process,
    /// [`Value::Names`].
    Names,
}

impl Kind {
    /// As the contract calls it.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Text => "text",
            Kind::Number => "number",
            Kind::Flag => "flag",
            Kind::Moment => "moment",
            Kind::Process => "process",
            Kind::Names => "names",
        }
    }
}

impl Value {
    /// What kind it is.
    pub fn kind(&self) -> Kind {
        match self {
            Value::Text(_) => Kind::Text,
            Value::Number(_) => Kind::Number,
            Value::Flag(_) => Kind::Flag,
            Value::Moment(_) => Kind::Moment,
            Value::Process(_) => Kind::Process,
            Value::Names(_) => Kind::Names,
        }
    }
}

impl fmt::Display for Value {
    /// For people and for grounds; a moment in milliseconds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Text(text) => f.write_str(text),
            Value::Number(number) => number.fmt(f),
            Value::Flag(flag) => flag.fmt(f),
            Value::Moment(at) => at.0.fmt(f),
            Value::Process(process) => write!(f, "pid {}", process.pid),
            Value::Names(names) => f.write_str(&names.join(", ")),
        }
    }
}

/// A name that facts may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registered {
    /// Lower case with dashes.
    pub name: &'static str,
    /// What kind of value it has.
    pub kind: Kind,
    /// What the fact says, in one clause.
    pub about: &'static str,
}

const fn line(name: &'static str, kind: Kind, about: &'static str) -> Registered {
    Registered { name, kind, about }
}

/// Says who blocked a session: [`BY_VIGIL`], while the record is as vigil's own move to `blocked` left it. It comes from
/// vigil's journal, and no source gives it.
pub const BLOCKED_BY: &str = "blocked-by";

/// The one value of [`BLOCKED_BY`].
pub const BY_VIGIL: &str = "vigil";

/// Names the rule of that move.
pub const BLOCKED_RULE: &str = "blocked-rule";

/// Every named fact there is. The contract's documentation and the SDK are checked against it.
pub const REGISTRY: [Registered; 9] = [
    line(
        "stage",
        Kind::Text,
        "where a blocked or failed session stood",
    ),
    line("cleanup", Kind::Text, "a clean-up was done, by whom"),
    line(
        "maintenance-in-flight",
        Kind::Flag,
        "the record says that maintenance of the pull request is under way",
    ),
    line(
        "incomplete-reason",
        Kind::Text,
        "why the work counts as incomplete",
    ),
    line("lease", Kind::Text, "`held` or `expired`"),
    line("class", Kind::Text, "what kind of terminal it is"),
    line("provider", Kind::Text, "which agent does the work"),
    line(
        BLOCKED_BY,
        Kind::Text,
        "`vigil`: the record is as vigil's own move to blocked left it",
    ),
    line(
        BLOCKED_RULE,
        Kind::Text,
        "the code of the rule of that move",
    ),
];

/// What the registry says of `name`; `None`: it is no name of a fact.
pub fn registered(name: &str) -> Option<&'static Registered> {
    REGISTRY.iter().find(|entry| entry.name == name)
}

/// One of the four answers about a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct NamedFact {
    /// One of [`REGISTRY`].
    pub name: String,
    /// What is known.
    pub answer: Fact<Value>,
}

impl NamedFact {
    /// That `name` was found to be `value`.
    pub fn found(name: impl Into<String>, value: Value) -> Self {
        NamedFact {
            name: name.into(),
            answer: Fact::Found(value),
        }
    }

    /// The same, but unknown where it is not in order: a policy that reads a flag must never meet a text.
    #[must_use]
    pub fn checked(self) -> Self {
        match self.fault() {
            Some(fault) => NamedFact {
                answer: Fact::unknown(GapKind::Malformed, fault),
                ..self
            },
            None => self,
        }
    }

    /// Why no policy may be told this fact: the name is not registered, or its value is of another kind. `None`: it is in
    /// order.
    pub fn fault(&self) -> Option<String> {
        let Some(entry) = registered(&self.name) else {
            return Some(format!("{:?} is no name of a fact", self.name));
        };
        let kind = self.answer.found()?.kind();
        (kind != entry.kind).then(|| {
            format!(
                "{} is a {}, and not a {}",
                self.name,
                entry.kind.as_str(),
                kind.as_str()
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_registered_once() {
        for (at, entry) in REGISTRY.iter().enumerate() {
            assert_eq!(registered(entry.name), Some(entry));
            assert!(REGISTRY[..at].iter().all(|other| other.name != entry.name));
        }
        assert_eq!(registered("weather"), None);
    }

    #[test]
    fn a_value_of_another_kind_and_a_foreign_name_are_faults() {
        let flag = |name: &str| NamedFact::found(name, Value::Flag(true)).fault();
        assert_eq!(flag("maintenance-in-flight"), None);
        assert_eq!(
            flag("stage").as_deref(),
            Some("stage is a text, and not a flag")
        );
        assert_eq!(
            flag("weather").as_deref(),
            Some("\"weather\" is no name of a fact")
        );
        let unknown = NamedFact {
            name: "stage".into(),
            answer: Fact::unknown(GapKind::Malformed, "it is a number"),
        };
        assert_eq!(unknown.fault(), None);
        assert_eq!(unknown.clone().checked(), unknown);
        let wrong = NamedFact::found("stage", Value::Flag(true)).checked();
        let gap = wrong.answer.gap().expect("it is unknown");
        assert_eq!(gap.detail, "stage is a text, and not a flag");
    }
}
