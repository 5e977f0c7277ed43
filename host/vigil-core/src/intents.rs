//! Which of the effects that a policy asks for may be carried out.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::guard::{Code, Objection};
use crate::session::{Revision, SessionId};
use crate::verdict::Intent;

/// The kinds that are granted without being named in the configuration.
pub const GRANTED_BY_DEFAULT: [&str; 1] = ["notify"];

/// Kinds that end or remove something: they need two independent witnesses and an authorization for exactly this.
pub const DESTRUCTIVE: [&str; 3] = ["close-terminal", "restart", "remove-worktree"];

/// What the configuration allows, and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grants {
    /// The kinds that are granted.
    pub kinds: BTreeSet<String>,
    /// At most this many of one kind for one session in an hour.
    pub per_session_hour_max: u32,
    /// At most this many of one kind in one repository in an hour.
    pub per_repo_hour_max: u32,
    /// At most this many of one kind in an hour.
    pub per_hour_max: u32,
}

impl Default for Grants {
    /// Notify alone; limits that a person reading them can still follow.
    fn default() -> Self {
        Grants {
            kinds: GRANTED_BY_DEFAULT
                .iter()
                .map(|kind| (*kind).to_owned())
                .collect(),
            per_session_hour_max: 4,
            per_repo_hour_max: 60,
            per_hour_max: 240,
        }
    }
}

/// What was already done, counted by the caller for the kind of the intent in question.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// For this session in the last hour.
    pub session_hour: u32,
    /// For this repository in the last hour.
    pub repo_hour: u32,
    /// In the last hour.
    pub hour: u32,
    /// Keys that were carried out before, in any hour.
    pub keys: BTreeSet<String>,
    /// Independent positive observations for a destructive intent.
    pub witnesses: u32,
    /// A person authorized exactly this plan.
    pub authorized: bool,
}

/// An intent that may be carried out, with the key under which it is done once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Granted {
    /// `session/revision/key`: carried out at most once.
    pub key: String,
    /// What to do.
    pub intent: Intent,
}

/// The key under which `intent` is carried out at most once: `session/revision/key`.
pub fn key(intent: &Intent, session: &SessionId, revision: &Revision) -> String {
    format!("{session}/{}/{}", revision.0, intent.key)
}

/// Whether `intent` may be carried out for `session` at `revision`.
pub fn grant(
    intent: &Intent,
    session: &SessionId,
    revision: &Revision,
    grants: &Grants,
    spent: &Spent,
) -> Result<Granted, Objection> {
    let kind = intent.kind.as_str();
    if !grants.kinds.contains(kind) {
        let detail = format!(
            "the policy asks to {kind}, and the configuration does not grant it: not granted"
        );
        return Err(Objection::new(Code::Granted, detail));
    }
    if DESTRUCTIVE.contains(&kind) && (spent.witnesses < 2 || !spent.authorized) {
        let detail = format!(
            "{kind} needs two independent observations (there are {}) and an authorization for exactly this plan \
             (there is {})",
            spent.witnesses,
            if spent.authorized { "one" } else { "none" }
        );
        return Err(Objection::new(Code::TwoWitness, detail));
    }
    let key = key(intent, session, revision);
    if spent.keys.contains(&key) {
        return Err(Objection::new(
            Code::Budget,
            format!("{kind} {key} was already carried out"),
        ));
    }
    let limits = [
        (
            spent.session_hour,
            grants.per_session_hour_max,
            "for this session",
        ),
        (
            spent.repo_hour,
            grants.per_repo_hour_max,
            "in this repository",
        ),
        (spent.hour, grants.per_hour_max, "in all"),
    ];
    for (used, max, whose) in limits {
        if used >= max {
            let detail = format!(
                "{kind} was carried out {used} times {whose} in the last hour, the limit is {max}"
            );
            return Err(Objection::new(Code::Budget, detail));
        }
    }
    Ok(Granted {
        key,
        intent: intent.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: &str, grants: Grants, spent: Spent) -> Result<String, Code> {
        let intent = Intent {
            kind: kind.into(),
            key: "1".into(),
            arguments: Vec::new(),
        };
        let session = SessionId::new("v", "o/r#1");
        grant(&intent, &session, &Revision("r7".into()), &grants, &spent)
            .map(|granted| granted.key)
            .map_err(|objection| objection.code)
    }

    fn all() -> Grants {
        let kinds = ["notify", "comment", "close-terminal"]
            .map(str::to_owned)
            .into();
        Grants {
            kinds,
            ..Grants::default()
        }
    }

    #[test]
    fn nothing_but_notify_is_granted_by_default() {
        assert_eq!(
            check("notify", Grants::default(), Spent::default()),
            Ok("v:o/r#1/r7/1".into())
        );
        for kind in [
            "comment",
            "add-label",
            "restart",
            "close-terminal",
            "invented",
        ] {
            assert_eq!(
                check(kind, Grants::default(), Spent::default()),
                Err(Code::Granted),
                "{kind}"
            );
        }
    }

    #[test]
    fn a_key_is_carried_out_once() {
        let spent = Spent {
            keys: ["v:o/r#1/r7/1".to_owned()].into(),
            ..Spent::default()
        };
        assert_eq!(check("comment", all(), spent), Err(Code::Budget));
    }

    #[test]
    fn each_limit_binds_by_itself() {
        for spent in [
            Spent {
                session_hour: 4,
                ..Spent::default()
            },
            Spent {
                repo_hour: 60,
                ..Spent::default()
            },
            Spent {
                hour: 240,
                ..Spent::default()
            },
        ] {
            assert_eq!(check("comment", all(), spent), Err(Code::Budget));
        }
    }

    #[test]
    fn a_destructive_intent_needs_two_witnesses_and_an_authorization() {
        let spent = |witnesses, authorized| Spent {
            witnesses,
            authorized,
            ..Spent::default()
        };
        assert_eq!(
            check("close-terminal", all(), spent(2, false)),
            Err(Code::TwoWitness)
        );
        assert_eq!(
            check("close-terminal", all(), spent(1, true)),
            Err(Code::TwoWitness)
        );
        assert!(check("close-terminal", all(), spent(2, true)).is_ok());
    }
}
