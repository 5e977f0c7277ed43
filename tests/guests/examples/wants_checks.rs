//! A team's policy in front of the default one that wants to know what the checks amount to, and leaves the decision to
//! the others: what a fleet costs whose pull requests have to be polled.

use vigil_guests::about;
use vigil_sdk::{About, Context, Decision, Evidence, FactName, Policy, Session, pass};

struct Guest;

impl Policy for Guest {
    const ABOUT: About = about("wants-checks");

    fn wants(_: &Context, session: &Session) -> Vec<FactName> {
        if session.state.is_settled() {
            return Vec::new();
        }
        vec![FactName::Issue, FactName::PullRequest, FactName::Checks]
    }

    fn decide(_: &Context, evidence: &Evidence) -> Decision {
        let checks = evidence.pull_request.found().map(|pr| &pr.checks);
        pass(format!("the checks: {checks:?}"))
    }
}

vigil_sdk::export!(Guest);
