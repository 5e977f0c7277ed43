//! The default policy: what GitHub says about a session's work beats what its record says, and silence alone never
//! ends anything.
//!
//! The rules are tried in the order of [`DefaultPolicy::ABOUT`]; the first that speaks decides. Each is a function of
//! one file in `rules/`, named after its code. README.md says what each does and how the whole differs from Vigilante.

pub mod rules;
mod say;
mod settings;
mod signs;

use vigil_sdk::{
    About, Context, Decision, Evidence, FactName, OwnerFact, Policy, Session, State, pass,
};

pub use settings::{ClosedPr, SCHEMA, Settings};

/// The default policy.
#[derive(Debug)]
pub struct DefaultPolicy;

impl Policy for DefaultPolicy {
    const ABOUT: About = About {
        name: "default",
        version: env!("CARGO_PKG_VERSION"),
        rules: &[
            (
                rules::ACTIVE,
                "A running session is left alone while an agent process lives or something moved within fresh-for.",
            ),
            (
                rules::GITHUB_UNKNOWN,
                "While a fact that the verdict needs is unknown, the record stays as it is.",
            ),
            (
                rules::UNMERGED_WORK,
                "When the pull request ended without taking in all local commits, a person decides.",
            ),
            (
                rules::MERGED_ELSEWHERE,
                "A pull request that was merged into a branch where work does not land leaves the session waiting until it has landed.",
            ),
            (
                rules::MERGED_PR,
                "A merged pull request whose work has landed means that the session succeeded.",
            ),
            (
                rules::OPEN_PR,
                "An open pull request is looked after, whatever the issue says; a block that vigil wrote itself is over then.",
            ),
            (
                rules::CLOSED_PR,
                "A pull request that was closed unmerged ends the session when its issue is over too, and otherwise waits for a person.",
            ),
            (
                rules::DONE_ISSUE,
                "Without a pull request, a final label on the issue closes the session.",
            ),
            (
                rules::CLOSED_ISSUE,
                "Without a pull request, a closed issue closes the session; a blocked one only when the issue was completed.",
            ),
            (
                rules::GONE_ISSUE,
                "Without a pull request, an issue that is absent in two looks 10 minutes apart closes the session.",
            ),
            (
                rules::STUCK_MAINTENANCE,
                "A mark of maintenance under way is removed when the process that set it is gone.",
            ),
            (
                rules::AGENT_GONE,
                "When everything shows that the agent is gone and the issue is open, a person decides whether to resume.",
            ),
            (
                rules::OCCUPIED,
                "A process under another name at work in the worktree may be the agent: the session is held, and the process named.",
            ),
            (
                rules::NO_EVIDENCE,
                "A running session about which nothing can be shown is held, and called stale.",
            ),
        ],
        settings_schema: SCHEMA,
    };

    fn wants(_: &Context, session: &Session) -> Vec<FactName> {
        match session.state {
            State::Queued | State::Succeeded | State::Closed => Vec::new(),
            State::Running
            | State::Blocked
            | State::Interrupted
            | State::Maintaining
            | State::Failed => {
                let mut facts = vec![FactName::PullRequest];
                if issue_is_on_the_forge(session) {
                    facts.push(FactName::Issue);
                }
                facts
            }
        }
    }

    fn decide(context: &Context, evidence: &Evidence) -> Decision {
        let case = Case { context, evidence };
        rules::IN_ORDER
            .iter()
            .find_map(|rule| rule(&case))
            .or_else(|| rules::standing(&case))
            .unwrap_or_else(|| no_rule(&case))
    }
}

#[cfg(feature = "component")]
vigil_sdk::export!(DefaultPolicy);

/// One session with its surroundings: what every rule looks at.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// The moment, the source and the settings.
    pub context: &'a Context,
    /// What is known of the session.
    pub evidence: &'a Evidence,
}

impl<'a> Case<'a> {
    pub(crate) fn state(&self) -> State {
        self.evidence.session.state
    }

    pub(crate) fn session(&self) -> &'a Session {
        &self.evidence.session
    }

    /// The rule by which vigil itself blocked the session, while nobody has written its record since. What its owner or
    /// a person blocked stays for them to end.
    pub(crate) fn own_block(&self) -> Option<&'a str> {
        let session = self.session();
        let own =
            session.state == State::Blocked && session.text(OwnerFact::BlockedBy) == Some("vigil");
        own.then(|| {
            session
                .text(OwnerFact::BlockedRule)
                .unwrap_or("an earlier rule")
        })
    }
}

/// Whether the issue can be asked for at all. One that lives in another tracker, or that the record does not name, is
/// no gap in what GitHub said: nobody asks, and only the rules that need an issue stay silent.
pub(crate) fn issue_is_on_the_forge(session: &Session) -> bool {
    session.tracker == "github" && session.issue.is_some()
}

fn no_rule(case: &Case<'_>) -> Decision {
    let state = case.state().as_str();
    let known = say::forge(case);
    pass(if known.is_empty() {
        format!("no rule is about a session that is {state}")
    } else {
        format!("no rule is about a session that is {state} while {known}")
    })
}
