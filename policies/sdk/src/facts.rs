//! Reading facts: each of the four answers has a name here, so that a rule says what ignorance means to it.

use crate::{
    Actor, ActorFact, AutoMerge, AutoMergeFact, Check, CheckListFact, ChecksFact, CountFact,
    FactValue, FlagFact, Gap, GapKind, HeldRun, HeldRunsFact, Issue, IssueFact, Mergeability,
    MergeabilityFact, NamedAnswer, NamesFact, Occupant, OccupantFact, OwnerFact, Process,
    ProcessFact, PullRequest, PullRequestFact, PullRequestState, QueueEntry, QueueFact, Reference,
    ReferencesFact, Review, ReviewFact, ReviewListFact, Session, Sighting, State, TimeFact,
    Timestamp,
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
    NamedAnswer of FactValue,
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
    /// What is known of the fact `name`; one that is missing was not asked about.
    #[must_use]
    pub fn fact(&self, name: OwnerFact) -> &NamedAnswer {
        const NOT_ASKED: &NamedAnswer = &NamedAnswer::NotAsked;
        let mut facts = self.facts.iter();
        let fact = facts.find(|fact| fact.name == name.as_str());
        fact.map_or(NOT_ASKED, |fact| &fact.answer)
    }

    /// The words of the fact `name`; `None`: they were not found.
    #[must_use]
    pub fn text(&self, name: OwnerFact) -> Option<&str> {
        match self.fact(name) {
            NamedAnswer::Found(FactValue::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// Whether the fact `name` was found to be so; `None`: it was not found.
    #[must_use]
    pub fn flag(&self, name: OwnerFact) -> Option<bool> {
        match self.fact(name) {
            NamedAnswer::Found(FactValue::Flag(flag)) => Some(*flag),
            _ => None,
        }
    }

    /// How many the fact `name` found; `None`: it was not found.
    #[must_use]
    pub fn number(&self, name: OwnerFact) -> Option<u64> {
        match self.fact(name) {
            NamedAnswer::Found(FactValue::Number(number)) => Some(*number),
            _ => None,
        }
    }

    /// When it was, as the fact `name` found; `None`: it was not found.
    #[must_use]
    pub fn moment(&self, name: OwnerFact) -> Option<Timestamp> {
        match self.fact(name) {
            NamedAnswer::Found(FactValue::Moment(at)) => Some(*at),
            _ => None,
        }
    }

    /// The process that the fact `name` found; `None`: it was not found.
    #[must_use]
    pub fn process(&self, name: OwnerFact) -> Option<&Process> {
        match self.fact(name) {
            NamedAnswer::Found(FactValue::Process(process)) => Some(process),
            _ => None,
        }
    }

    /// The names that the fact `name` found; `None`: it was not found.
    #[must_use]
    pub fn names(&self, name: OwnerFact) -> Option<&[String]> {
        match self.fact(name) {
            NamedAnswer::Found(FactValue::Names(names)) => Some(names),
            _ => None,
        }
    }
}

impl From<&str> for FactValue {
    fn from(text: &str) -> Self {
        FactValue::Text(text.to_owned())
    }
}

impl From<bool> for FactValue {
    fn from(flag: bool) -> Self {
        FactValue::Flag(flag)
    }
}

impl From<u64> for FactValue {
    fn from(number: u64) -> Self {
        FactValue::Number(number)
    }
}

impl From<Process> for FactValue {
    fn from(process: Process) -> Self {
        FactValue::Process(process)
    }
}

impl From<&str> for NamedAnswer {
    fn from(text: &str) -> Self {
        NamedAnswer::Found(text.into())
    }
}

impl From<bool> for NamedAnswer {
    fn from(flag: bool) -> Self {
        NamedAnswer::Found(flag.into())
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
