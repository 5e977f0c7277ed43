//! What is known of one thing: found, absent, unknown, or not asked for. Ignorance has a name, so that every `match`
//! has to say what it means.

use serde::{Deserialize, Serialize};
use std::fmt;

use crate::time::Timestamp;

/// One of the four answers to a question about the outside world. Boxed but for what is found, since a large fleet
/// remembers a million of them, and most say that nobody asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fact<T> {
    /// Seen.
    Found(T),
    /// Looked for where it would have to be, and not there.
    Absent(Box<Sighting>),
    /// Could not be learned.
    Unknown(Box<Gap>),
    /// Nobody asked.
    #[default]
    NotAsked,
}

impl<T> Fact<T> {
    /// The value, when it was found.
    pub fn found(&self) -> Option<&T> {
        match self {
            Fact::Found(value) => Some(value),
            _ => None,
        }
    }

    /// The gap, when the fact is unknown.
    pub fn gap(&self) -> Option<&Gap> {
        match self {
            Fact::Unknown(gap) => Some(gap),
            _ => None,
        }
    }

    /// True for `Absent` alone: neither unknown nor unasked is absent.
    pub fn is_absent(&self) -> bool {
        matches!(self, Fact::Absent(_))
    }

    /// True for `Unknown` alone.
    pub fn is_unknown(&self) -> bool {
        matches!(self, Fact::Unknown(_))
    }

    /// True for `NotAsked` alone.
    pub fn is_not_asked(&self) -> bool {
        matches!(self, Fact::NotAsked)
    }

    /// An absence that was seen once, at `now`.
    pub fn absent_at(now: Timestamp) -> Self {
        Fact::from(Sighting {
            first: now,
            last: now,
            detail: String::new(),
        })
    }

    /// An unknown fact of `kind`; `detail` says what happened.
    pub fn unknown(kind: GapKind, detail: impl Into<String>) -> Self {
        Fact::from(Gap::new(kind, detail))
    }

    /// The same fact with its value mapped.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Fact<U> {
        match self {
            Fact::Found(value) => Fact::Found(f(value)),
            Fact::Absent(sighting) => Fact::Absent(sighting),
            Fact::Unknown(gap) => Fact::from(gap),
            Fact::NotAsked => Fact::NotAsked,
        }
    }
}

impl<T> From<Gap> for Fact<T> {
    fn from(gap: Gap) -> Self {
        Fact::Unknown(Box::new(gap))
    }
}

impl<T> From<Box<Gap>> for Fact<T> {
    fn from(gap: Box<Gap>) -> Self {
        Fact::Unknown(gap)
    }
}

impl<T> From<Sighting> for Fact<T> {
    fn from(sighting: Sighting) -> Self {
        Fact::Absent(Box::new(sighting))
    }
}

/// When an absence was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Sighting {
    /// First look in an unbroken row of looks that found nothing.
    pub first: Timestamp,
    /// Latest such look.
    pub last: Timestamp,
    /// Why it counts as absent, for example `earlier-run`; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

/// A fact that could not be learned, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Gap {
    /// The registered kind.
    pub kind: GapKind,
    /// What happened, for people.
    pub detail: String,
    /// Since when it has been unknown; `None` on the first time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
}

impl Gap {
    /// A gap that nobody has counted yet.
    pub fn new(kind: GapKind, detail: impl Into<String>) -> Self {
        Gap {
            kind,
            detail: detail.into(),
            since: None,
        }
    }
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.detail)
    }
}

/// Why a fact could not be learned. A registry of strings on the wire, so that it can grow.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum GapKind {
    /// No connection, or the connection broke.
    Unreachable,
    /// The deadline passed.
    TimedOut,
    /// A limit was hit, primary or secondary.
    RateLimited,
    /// No token, or a rejected one.
    Unauthenticated,
    /// The answer was a refusal: no permission for this.
    Denied,
    /// The answer was "not found", which can also mean "no access".
    NotFound,
    /// The answer could not be read.
    Malformed,
    /// vigil has no way to ask for this.
    Unsupported,
    /// The record does not hold what would be needed to ask.
    Unrecorded,
    /// A time more than five minutes ahead.
    InTheFuture,
    /// A pid of another pid namespace or machine.
    OtherNamespace,
    /// An absence without anything that would show that looking works.
    NoControl,
    /// Another thing now bears the name.
    IdentityChanged,
    /// Larger than the bound for looking at it.
    TooLarge,
    /// The other side has not worked it out yet: ask again soon.
    NotReady,
    /// Looking would run a program that what is looked at names.
    RunsCode,
    /// A kind from a newer version.
    Other(String),
}

impl GapKind {
    /// The registered name.
    pub fn as_str(&self) -> &str {
        match self {
            GapKind::Unreachable => "unreachable",
            GapKind::TimedOut => "timed-out",
            GapKind::RateLimited => "rate-limited",
            GapKind::Unauthenticated => "unauthenticated",
            GapKind::Denied => "denied",
            GapKind::NotFound => "not-found",
            GapKind::Malformed => "malformed",
            GapKind::Unsupported => "unsupported",
            GapKind::Unrecorded => "unrecorded",
            GapKind::InTheFuture => "in-the-future",
            GapKind::OtherNamespace => "other-namespace",
            GapKind::NoControl => "no-control",
            GapKind::IdentityChanged => "identity-changed",
            GapKind::TooLarge => "too-large",
            GapKind::NotReady => "not-ready",
            GapKind::RunsCode => "runs-code",
            GapKind::Other(name) => name,
        }
    }
}

impl From<String> for GapKind {
    fn from(name: String) -> Self {
        match name.as_str() {
            "unreachable" => GapKind::Unreachable,
            "timed-out" => GapKind::TimedOut,
            "rate-limited" => GapKind::RateLimited,
            "unauthenticated" => GapKind::Unauthenticated,
            "denied" => GapKind::Denied,
            "not-found" => GapKind::NotFound,
            "malformed" => GapKind::Malformed,
            "unsupported" => GapKind::Unsupported,
            "unrecorded" => GapKind::Unrecorded,
            "in-the-future" => GapKind::InTheFuture,
            "other-namespace" => GapKind::OtherNamespace,
            "no-control" => GapKind::NoControl,
            "identity-changed" => GapKind::IdentityChanged,
            "too-large" => GapKind::TooLarge,
            "not-ready" => GapKind::NotReady,
            "runs-code" => GapKind::RunsCode,
            _ => GapKind::Other(name),
        }
    }
}

impl From<GapKind> for String {
    fn from(kind: GapKind) -> String {
        match kind {
            GapKind::Other(name) => name,
            known => known.as_str().to_owned(),
        }
    }
}

impl fmt::Display for GapKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl<T> Fact<T> {
    /// What a look adds to what was known: an absence keeps the start of its unbroken row, a gap keeps the moment
    /// since which the fact has been unknown. `now` is the moment of the look.
    ///
    /// A gap between two absences breaks the row: two looks count only when nothing unknown lies between them.
    pub fn carry(self, before: &Fact<T>, now: Timestamp) -> Fact<T> {
        match (self, before) {
            (Fact::Absent(new), Fact::Absent(old)) if new.detail == old.detail => {
                Fact::from(Sighting {
                    first: old.first.min(new.first),
                    ..*new
                })
            }
            (Fact::Unknown(new), Fact::Unknown(old)) => Fact::from(Gap {
                since: old.since.or(new.since).or(Some(now)),
                ..*new
            }),
            (Fact::Unknown(new), _) => Fact::from(Gap {
                since: new.since.or(Some(now)),
                ..*new
            }),
            (fact, _) => fact,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn absent(first: u64, last: u64) -> Fact<u8> {
        Fact::from(Sighting {
            first: Timestamp(first),
            last: Timestamp(last),
            detail: String::new(),
        })
    }

    #[test]
    fn an_absence_keeps_the_start_of_its_row() {
        assert_eq!(
            absent(20, 20).carry(&absent(10, 10), Timestamp(20)),
            absent(10, 20)
        );
    }

    #[test]
    fn a_gap_between_two_absences_breaks_the_row() {
        let gap: Fact<u8> = Fact::unknown(GapKind::TimedOut, "no answer");
        let between = gap.carry(&absent(10, 10), Timestamp(15));
        assert_eq!(between.gap().and_then(|gap| gap.since), Some(Timestamp(15)));
        assert_eq!(
            absent(20, 20).carry(&between, Timestamp(20)),
            absent(20, 20)
        );
    }

    #[test]
    fn a_gap_remembers_since_when() {
        let gap = || Fact::<u8>::unknown(GapKind::Unreachable, "down");
        let first = gap().carry(&Fact::NotAsked, Timestamp(5));
        let second = gap().carry(&first, Timestamp(9));
        assert_eq!(second.gap().and_then(|gap| gap.since), Some(Timestamp(5)));
    }

    #[test]
    fn an_absence_for_another_reason_starts_anew() {
        let mut old = absent(10, 10);
        if let Fact::Absent(sighting) = &mut old {
            sighting.detail = "earlier-run".into();
        }
        assert_eq!(absent(20, 20).carry(&old, Timestamp(20)), absent(20, 20));
    }

    #[test]
    fn every_registered_gap_kind_survives_its_name() {
        for name in [
            "unreachable",
            "no-control",
            "identity-changed",
            "something-newer",
        ] {
            assert_eq!(GapKind::from(name.to_owned()).as_str(), name);
        }
    }
}
