//! Reading facts: each of the four answers has a name here, so that a rule says what ignorance means to it.

use crate::{
    Actor, ActorFact, AutoMerge, AutoMergeFact, Check, CheckListFact, ChecksFact, CountFact,
    ExtraName, FlagFact, Gap, GapKind, HeldRun, HeldRunsFact, Issue, IssueFact, Mergeability,
    MergeabilityFact, NamesFact, Occupant, OccupantFact, Process, ProcessFact, PullRequest,
    PullRequestFact, PullRequestState, QueueEntry, QueueFact, Reference, ReferencesFact, Review,
    ReviewFact, ReviewListFact, Session, Sighting, State, TimeFact, Timestamp,
};

/// The same four readings for every kind of fact, and the conversions that builders use.
macro_rules! fact {
    ($($fact:ident of $value:ty),+ $(,)?) => { $(
        impl $fact {
            /// The value, when it was found.
            #[must_use]
            pub fn found(&self) -> Option<&$value> {
                match self {
                    $fact::Found(value) => Some(value),
                    _ => None,
                }
            }

            /// When it was seen to be absent. `None` for everything else: neither unknown nor unasked is absent.
            #[must_use]
            pub fn absent(&self) -> Option<&Sighting> {
                match self {
                    $fact::Absent(sighting) => Some(sighting),
                    _ => None,
                }
            }

            /// Why it is unknown; `None` when it is not.
            #[must_use]
            pub fn gap(&self) -> Option<&Gap> {
                match self {
                    $fact::Unknown(gap) => Some(gap),
                    _ => None,
                }
            }

            /// True for `Absent` alone.
            #[must_use]
            pub fn is_absent(&self) -> bool {
                matches!(self, $fact::Absent(_))
            }

            /// True for `Unknown` alone.
            #[must_use]
            pub fn is_unknown(&self) -> bool {
                matches!(self, $fact::Unknown(_))
            }

            /// True when somebody looked and could tell: found or absent.
            #[must_use]
            pub fn is_known(&self) -> bool {
                matches!(self, $fact::Found(_) | $fact::Absent(_))
            }
        }

        impl From<$value> for $fact {
            fn from(value: $value) -> Self {
                $fact::Found(value)
            }
        }

        impl From<Sighting> for $fact {
            fn from(sighting: Sighting) -> Self {
                $fact::Absent(sighting)
            }
        }

        impl From<Gap> for $fact {
            fn from(gap: Gap) -> Self {
                $fact::Unknown(gap)
            }
        }
    )+ };
}

fact! {
    ProcessFact of Process,
    OccupantFact of Occupant,
    TimeFact of Timestamp,
    FlagFact of bool,
    CountFact of u32,
    IssueFact of Issue,
    PullRequestFact of PullRequest,
    MergeabilityFact of Mergeability,
    ReviewFact of String,
    ChecksFact of String,
    QueueFact of QueueEntry,
    AutoMergeFact of AutoMerge,
    ActorFact of Actor,
    NamesFact of Vec<String>,
    ReferencesFact of Vec<Reference>,
    ReviewListFact of Vec<Review>,
    CheckListFact of Vec<Check>,
    HeldRunsFact of Vec<HeldRun>,
}

/// Facts that hold a list can be written as arrays, `.closes([reference(299, "open")])`.
macro_rules! list {
    ($($fact:ident of $item:ty),+ $(,)?) => { $(
        impl<const N: usize> From<[$item; N]> for $fact {
            fn from(items: [$item; N]) -> Self {
                $fact::Found(items.into())
            }
        }
    )+ };
}

list! {
    ReferencesFact of Reference,
    ReviewListFact of Review,
    CheckListFact of Check,
    HeldRunsFact of HeldRun,
}

impl<const N: usize> From<[&str; N]> for NamesFact {
    fn from(names: [&str; N]) -> Self {
        NamesFact::Found(names.map(str::to_owned).into())
    }
}

impl From<&str> for ReviewFact {
    fn from(word: &str) -> Self {
        ReviewFact::Found(word.to_owned())
    }
}

impl From<&str> for ChecksFact {
    fn from(word: &str) -> Self {
        ChecksFact::Found(word.to_owned())
    }
}

impl Gap {
    /// Its kind as an enum.
    #[must_use]
    pub fn kind(&self) -> GapKind {
        GapKind::from(self.kind.as_str())
    }
}

impl Issue {
    /// Whether it carries `label`, to the letter.
    #[must_use]
    pub fn has_label(&self, label: &str) -> bool {
        self.labels.iter().any(|carried| carried == label)
    }
}

impl PullRequest {
    /// When it ended, merged or not. `None`: it is open, or the forge gave no time.
    #[must_use]
    pub fn ended(&self) -> Option<Timestamp> {
        match self.state {
            PullRequestState::Open => None,
            PullRequestState::Merged | PullRequestState::Closed => self.merged.or(self.closed),
        }
    }
}

impl Session {
    /// The value of the extra fact `name`; `None`: it was not recorded.
    #[must_use]
    pub fn extra(&self, name: ExtraName) -> Option<&str> {
        self.extra
            .iter()
            .find(|(key, _)| key == name.as_str())
            .map(|(_, value)| value.as_str())
    }
}

impl State {
    /// All eight, in the contract's order.
    pub const ALL: [State; 8] = [
        State::Queued,
        State::Running,
        State::Blocked,
        State::Interrupted,
        State::Maintaining,
        State::Succeeded,
        State::Failed,
        State::Closed,
    ];

    /// The word that people read.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            State::Queued => "queued",
            State::Running => "running",
            State::Blocked => "blocked",
            State::Interrupted => "interrupted",
            State::Maintaining => "maintaining",
            State::Succeeded => "succeeded",
            State::Failed => "failed",
            State::Closed => "closed",
        }
    }

    /// Nothing may follow. `failed` is not among them: its branch may well have an open or merged pull request.
    #[must_use]
    pub fn is_settled(self) -> bool {
        matches!(self, State::Succeeded | State::Closed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::{absent_for, unknown};

    #[test]
    fn only_absent_is_absent() {
        let facts: [CountFact; 3] = [
            2.into(),
            absent_for(0).into(),
            unknown("timed-out", "git did not answer").into(),
        ];
        let read = facts.map(|fact| (fact.found().copied(), fact.is_absent(), fact.is_unknown()));
        assert_eq!(
            read,
            [
                (Some(2), false, false),
                (None, true, false),
                (None, false, true)
            ]
        );
        let unasked = CountFact::NotAsked;
        assert!(!unasked.is_absent() && !unasked.is_unknown() && !unasked.is_known());
    }
}
