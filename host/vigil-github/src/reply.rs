//! What asking comes to.

use std::fmt;

use vigil_core::{Gap, GapKind, Timestamp};

use crate::budget::Silence;
use crate::limits::{LimitScope, Meter};

/// What a call cost, and what is left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// GraphQL requests that were sent, repeated ones and those without an answer included.
    pub requests: u32,
    /// REST requests that were sent, counted in the same way.
    pub rest: u32,
    /// Those of them that found nothing new, which are free.
    pub unchanged: u32,
    /// GraphQL points: as GitHub said, and by its published formula where a query was worked on and the answer did
    /// not arrive.
    pub points: u32,
    /// The pot after the last answer that told of it.
    pub meter: Meter,
}

/// What went wrong as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// There is no token; nothing was sent.
    NoToken {
        /// Where one was looked for.
        detail: String,
        /// What to do about it, as a command.
        hint: String,
    },
    /// GitHub does not take the token, also after it was read again.
    TokenRejected {
        /// Where it came from.
        origin: String,
    },
    /// GitHub said to stop, in this call or an earlier one.
    Limited {
        /// When one may ask again.
        until: Timestamp,
        /// What it said.
        detail: String,
        /// What has to be silent: all of the account, where it is not known to be one pot alone.
        scope: LimitScope,
    },
    /// GitHub refuses whatever is asked: the address or the token's rights are wrong.
    Refused {
        /// What it said.
        detail: String,
    },
    /// No query of this call was answered, or too many in a row were not. The gap is the last one's.
    Unanswered {
        /// How it failed.
        gap: Gap,
    },
}

impl Trouble {
    /// GitHub said to stop.
    pub(crate) fn of(silence: &Silence) -> Trouble {
        Trouble::Limited {
            until: silence.until,
            detail: silence.why.clone(),
            scope: LimitScope::Account,
        }
    }

    /// What every fact is that could not be learned because of it.
    pub fn gap(&self) -> Gap {
        let kind = match self {
            Trouble::NoToken { .. } | Trouble::TokenRejected { .. } => GapKind::Unauthenticated,
            Trouble::Limited { .. } => GapKind::RateLimited,
            Trouble::Refused { .. } => GapKind::Denied,
            Trouble::Unanswered { gap } => return gap.clone(),
        };
        let hint = self
            .hint()
            .map_or_else(String::new, |hint| format!("; hint: {hint}"));
        Gap::new(kind, format!("{self}{hint}"))
    }

    /// A stable name, by which alerts are told apart.
    pub fn code(&self) -> &'static str {
        match self {
            Trouble::NoToken { .. } => "no-token",
            Trouble::TokenRejected { .. } => "token-rejected",
            Trouble::Limited { .. } => "rate-limited",
            Trouble::Refused { .. } => "refused",
            Trouble::Unanswered { .. } => "unanswered",
        }
    }

    /// What a person can do about it, as a command.
    pub fn hint(&self) -> Option<String> {
        match self {
            Trouble::NoToken { hint, .. } => Some(hint.clone()),
            // What an App's account is called, and where its tokens come from, are one.
            Trouble::TokenRejected { origin } if origin.starts_with("app ") => Some(format!(
                "check whether {origin} is still installed and not suspended"
            )),
            Trouble::TokenRejected { origin } => Some(format!(
                "put a valid token into {origin}, or run gh auth login"
            )),
            Trouble::Limited { .. } | Trouble::Refused { .. } | Trouble::Unanswered { .. } => None,
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::NoToken { detail, .. } => f.write_str(detail),
            Trouble::TokenRejected { origin } => {
                write!(f, "GitHub rejected the token from {origin}")
            }
            Trouble::Limited { until, detail, .. } => {
                write!(f, "{detail}; silent until {}", moment(*until))
            }
            Trouble::Refused { detail } => f.write_str(detail),
            Trouble::Unanswered { gap } => f.write_str(&gap.detail),
        }
    }
}

/// A moment for people, in UTC.
pub(crate) fn moment(at: Timestamp) -> String {
    i64::try_from(at.as_millis() / 1000)
        .ok()
        .and_then(|seconds| jiff::Timestamp::from_second(seconds).ok())
        .map_or_else(|| at.to_string(), |moment| moment.to_string())
}
