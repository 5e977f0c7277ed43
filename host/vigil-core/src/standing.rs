//! Why a session is in its state, for as long as that is so: what is said of it when nothing is to be done.
//!
//! A verdict has a reason of its own. Where the whole chain passed, the reason is looked for in this order: the rule
//! that a policy named as it passed, the transition that brought the session here, the owner's own words, and last a
//! plain sentence which says that nobody wrote down why.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::decide;
use crate::session::Session;
use crate::state::State;
use crate::verdict::{PolicyAnswer, Verdict};

/// The rule of a standing reason that no policy gave.
pub mod rule {
    /// The owner's own words.
    pub const OWNER_SAYS: &str = "owner-says";
    /// Nothing that is recorded says why.
    pub const UNEXPLAINED: &str = "unexplained";
}

/// Where the sentence about a session comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// A policy that held the session, moved it, or wants it put right.
    Verdict,
    /// A policy that passed, and named the rule that keeps the session where it is.
    Pass,
    /// The transition that brought the session here.
    Transition,
    /// The owner's own words in its record.
    Owner,
    /// vigil itself: the record cannot be read or is there twice, or a policy failed.
    Host,
    /// Nobody: nothing that is recorded says why.
    #[default]
    Nobody,
}

impl Origin {
    /// The word in `--json`.
    pub fn as_str(self) -> &'static str {
        match self {
            Origin::Verdict => "verdict",
            Origin::Pass => "pass",
            Origin::Transition => "transition",
            Origin::Owner => "owner",
            Origin::Host => "host",
            Origin::Nobody => "nobody",
        }
    }

    /// The origin of a kept decision's reason: by the code of its `rule`, whether a policy is named in it, and whether
    /// one had a verdict. The same as the ruling had, so that nobody has to keep it beside them.
    pub fn of(rule: &str, policy: bool, verdict: bool) -> Origin {
        match rule {
            _ if verdict => Origin::Verdict,
            decide::rule::POLICY_FAILED => Origin::Host,
            _ if policy => Origin::Pass,
            decide::rule::DUPLICATE_RECORD | decide::rule::UNREADABLE_RECORD => Origin::Host,
            rule::OWNER_SAYS => Origin::Owner,
            rule::UNEXPLAINED => Origin::Nobody,
            _ => Origin::Transition,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The latest write that changed a session's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Brought {
    /// The transition's name, for people.
    pub name: String,
    /// What it made.
    pub to: State,
    /// The code of the rule that spoke.
    pub rule: String,
    /// Its sentence.
    pub reason: String,
    /// What it rested on is as it was then; a person's undo rests on nothing that could change.
    pub grounds_stand: bool,
}

impl Brought {
    /// Whether it is why `session` is in its state: no other write followed, and its owner has had no say of its own since.
    pub(crate) fn explains(&self, session: &Session) -> bool {
        self.to == session.state && owners_own(session).is_none()
    }
}

/// A standing reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Where it comes from.
    pub origin: Origin,
    /// The code of its rule.
    pub rule: String,
    /// The policy that gave it, with its digest; `None`: none did.
    pub policy: Option<(String, String)>,
    /// One sentence for people.
    pub reason: String,
}

/// The standing reason of a session about which the whole chain passed: `answers`, in the chain's order. `brought`:
/// the latest write of its state that is known.
pub fn standing(
    session: &Session,
    answers: &[PolicyAnswer],
    brought: Option<&Brought>,
) -> Standing {
    given_with_a_pass(session, answers)
        .or_else(|| brought_here(session, brought?))
        .or_else(|| words(session))
        .unwrap_or_else(|| unexplained(session, Some(answers)))
}

/// The standing reason of a session that no policy was asked about. `brought`: the latest write of its state that is
/// known.
pub fn of_record(session: &Session, brought: Option<&Brought>) -> Standing {
    brought
        .and_then(|brought| brought_here(session, brought))
        .or_else(|| words(session))
        .unwrap_or_else(|| unexplained(session, None))
}

fn given_with_a_pass(session: &Session, answers: &[PolicyAnswer]) -> Option<Standing> {
    answers.iter().find_map(|answer| {
        let decision = answer.answer.as_ref().ok()?;
        let gives = decision.verdict == Verdict::Pass
            && !decision.rule.is_empty()
            && !decision.reason.trim().is_empty();
        gives.then(|| Standing {
            origin: Origin::Pass,
            rule: decision.rule.clone(),
            policy: Some((answer.policy.clone(), answer.policy_digest.clone())),
            // What the forge says of it is no answer to what its owner wrote down.
            reason: match owners_own(session) {
                Some(words) => format!("{}; {words}", decision.reason),
                None => decision.reason.clone(),
            },
        })
    })
}

/// A write explains a state only while the record is as the write left it: not where another one followed, and not
/// where the owner has had its own say since.
fn brought_here(session: &Session, brought: &Brought) -> Option<Standing> {
    if !brought.explains(session) {
        return None;
    }
    let Brought {
        name, rule, reason, ..
    } = brought;
    Some(Standing {
        origin: Origin::Transition,
        rule: rule.clone(),
        policy: None,
        reason: if brought.grounds_stand {
            format!("{reason} ({name})")
        } else {
            format!(
                "{name} made it {} because: {reason}; what that rested on has changed since",
                session.state
            )
        },
    })
}

/// The record's words, also those that vigil left in it: another vigil's journal may know more, this one's does not.
fn words(session: &Session) -> Option<Standing> {
    let words = session.owner_words.as_ref()?;
    Some(Standing {
        origin: Origin::Owner,
        rule: rule::OWNER_SAYS.to_owned(),
        policy: None,
        reason: words.text.clone(),
    })
}

fn owners_own(session: &Session) -> Option<&str> {
    let words = session.owner_words.as_ref()?;
    (!words.by_vigil).then_some(words.text.as_str())
}

/// `answers` of the chain; `None`: it was not asked.
fn unexplained(session: &Session, answers: Option<&[PolicyAnswer]>) -> Standing {
    let state = session.state;
    let reason = match (answers, answers.and_then(seen)) {
        (Some([]), _) => format!("it is {state}, and no policy is configured for it"),
        (None, _) if state.is_settled() => {
            format!("its record says {state}, and the journal has no move of vigil's to that")
        }
        (_, Some(seen)) => format!("it is {state}, and nothing recorded says why ({seen})"),
        (_, None) => format!("it is {state}, and nothing recorded says why"),
    };
    Standing {
        origin: Origin::Nobody,
        rule: rule::UNEXPLAINED.to_owned(),
        policy: None,
        reason,
    }
}

/// What the last policy that passed said without naming a rule.
fn seen(answers: &[PolicyAnswer]) -> Option<&str> {
    answers.iter().rev().find_map(|answer| {
        let reason = answer.answer.as_ref().ok()?.reason.trim();
        (!reason.is_empty()).then_some(reason)
    })
}
