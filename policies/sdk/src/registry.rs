//! The contract's registries of strings as enums. They may grow without a new version of the contract, so each has a
//! case for a name that this SDK does not know.

/// One registry: an enum, its names, and the conversions both ways.
macro_rules! registry {
    (
        $(#[$about:meta])*
        $registry:ident { $( $(#[$doc:meta])* $case:ident = $name:literal, )+ }
    ) => {
        $(#[$about])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub enum $registry {
            $( $(#[$doc])* $case, )+
            /// A name that this SDK does not know.
            Other(String),
        }

        impl $registry {
            /// Every registered case, in the registry's order.
            pub const REGISTERED: &[$registry] = &[$( $registry::$case, )+];

            /// The name on the wire.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $( $registry::$case => $name, )+
                    $registry::Other(name) => name,
                }
            }
        }

        impl From<&str> for $registry {
            fn from(name: &str) -> Self {
                match name {
                    $( $name => $registry::$case, )+
                    _ => $registry::Other(name.to_owned()),
                }
            }
        }

        impl From<$registry> for String {
            fn from(case: $registry) -> String {
                match case {
                    $registry::Other(name) => name,
                    known => known.as_str().to_owned(),
                }
            }
        }
    };
}

registry! {
    /// Why a fact could not be learned.
    GapKind {
        /// No connection, or it broke.
        Unreachable = "unreachable",
        /// The deadline passed.
        TimedOut = "timed-out",
        /// A limit was hit.
        RateLimited = "rate-limited",
        /// No token, or a rejected one.
        Unauthenticated = "unauthenticated",
        /// A refusal: no permission for this.
        Denied = "denied",
        /// "Not found", which can also mean "no access".
        NotFound = "not-found",
        /// The answer could not be read.
        Malformed = "malformed",
        /// vigil has no way to ask for this.
        Unsupported = "unsupported",
        /// The record does not hold what would be needed to ask.
        Unrecorded = "unrecorded",
        /// A time more than five minutes ahead.
        InTheFuture = "in-the-future",
        /// A pid of another pid namespace or machine.
        OtherNamespace = "other-namespace",
        /// An absence without anything that would show that looking works.
        NoControl = "no-control",
        /// Another thing now bears the name.
        IdentityChanged = "identity-changed",
        /// Larger than the bound for looking at it.
        TooLarge = "too-large",
        /// The other side has not worked it out yet.
        NotReady = "not-ready",
        /// Looking would run a program that what is looked at names.
        RunsCode = "runs-code",
    }
}

registry! {
    /// A fact that a policy can ask for. A part brings with it what it is a part of. What each costs stands in the
    /// contract; the ones that say nothing of a list are free once their issue or pull request is asked for.
    FactName {
        /// The forge's issue, with its labels.
        Issue = "issue",
        /// Who is to work on the issue: `issue.assignees`. One list.
        Assignees = "assignees",
        /// Who closed the issue and how often it was reopened: `issue.closer`, `issue.reopened`. One list.
        IssueHistory = "issue-history",
        /// Which pull requests close which issues: `issue.closed_by`, `pull_request.closes`. One list each.
        ClosingReferences = "closing-references",
        /// The forge's pull request of this session's work.
        PullRequest = "pull-request",
        /// Whether it could be merged now: `pull_request.mergeability`.
        Mergeability = "mergeability",
        /// What its reviews amount to: `pull_request.review`.
        Reviews = "reviews",
        /// Who thinks what of it: `pull_request.review_list`. One list.
        ReviewList = "review-list",
        /// What its checks amount to: `pull_request.checks`. Without [`FactName::Runs`] none is ever seen to be held.
        Checks = "checks",
        /// Which checks there are: `pull_request.check_list`. One list, while not all of them have passed.
        CheckList = "check-list",
        /// The runs that wait for a person: `pull_request.runs`. One list, while nothing fails.
        Runs = "runs",
        /// Its place in the merge queue: `pull_request.queue`.
        MergeQueue = "merge-queue",
        /// Whether it is merged as soon as it may be: `pull_request.auto_merge`.
        AutoMerge = "auto-merge",
    }
}

registry! {
    /// An effect that a policy can ask for.
    IntentKind {
        /// Tell a person.
        Notify = "notify",
        /// Put a label on the issue.
        AddLabel = "add-label",
        /// Take one off.
        RemoveLabel = "remove-label",
        /// Write a comment, once for each key.
        Comment = "comment",
        /// Queue the work anew.
        Requeue = "requeue",
        /// Start the agent again.
        Restart = "restart",
        /// Close a leftover terminal.
        CloseTerminal = "close-terminal",
    }
}

registry! {
    /// A fact that only some owners have, in `session.facts`.
    OwnerFact {
        /// Where a blocked or failed session stood.
        Stage = "stage",
        /// A clean-up was done; the value says by whom.
        Cleanup = "cleanup",
        /// A flag: the record says that maintenance of the pull request is under way.
        MaintenanceInFlight = "maintenance-in-flight",
        /// Why the work counts as incomplete.
        IncompleteReason = "incomplete-reason",
        /// `held` or `expired`.
        Lease = "lease",
        /// What kind of terminal it is.
        Class = "class",
        /// Which agent does the work.
        Provider = "provider",
        /// `vigil`: the record is as vigil's own move to blocked left it. From the host's journal.
        BlockedBy = "blocked-by",
        /// The code of the rule of that move.
        BlockedRule = "blocked-rule",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_registered_name_comes_back_and_a_foreign_one_survives() {
        for kind in GapKind::REGISTERED {
            assert_eq!(&GapKind::from(kind.as_str()), kind);
        }
        for fact in FactName::REGISTERED {
            assert_eq!(&FactName::from(fact.as_str()), fact);
        }
        for intent in IntentKind::REGISTERED {
            assert_eq!(&IntentKind::from(intent.as_str()), intent);
        }
        for fact in OwnerFact::REGISTERED {
            assert_eq!(&OwnerFact::from(fact.as_str()), fact);
        }
        assert_eq!(String::from(FactName::from("weather")), "weather");
    }

    #[test]
    fn every_registered_name_is_in_the_contract() {
        // The registries live in the contract's doc comments, as quoted words.
        let contract = include_str!("../../../wit/policy.wit");
        let names = (GapKind::REGISTERED.iter().map(GapKind::as_str))
            .chain(FactName::REGISTERED.iter().map(FactName::as_str))
            .chain(IntentKind::REGISTERED.iter().map(IntentKind::as_str))
            .chain(OwnerFact::REGISTERED.iter().map(OwnerFact::as_str));
        for name in names {
            assert!(contract.contains(&format!("`{name}`")), "{name}");
        }
    }
}
