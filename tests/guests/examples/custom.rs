//! A team's own rule, in front of the default policy in a chain: an issue with the team's label `needs-design` waits
//! for a person, and everything else is somebody else's question.

use vigil_sdk::{About, Context, Decision, Evidence, Policy, State, hold, pass, transition};

const WAITS: &str = "needs-design";

struct TeamLabels;

impl Policy for TeamLabels {
    const ABOUT: About = About {
        name: "team-labels",
        version: "1.0.0",
        rules: &[(
            WAITS,
            "An issue with the label needs-design waits for a person.",
        )],
        settings_schema: "",
    };

    fn decide(_: &Context, evidence: &Evidence) -> Decision {
        let labelled = evidence
            .issue
            .found()
            .filter(|issue| issue.has_label(WAITS));
        let Some(issue) = labelled else {
            return pass("the issue is not known to need a design");
        };
        let reason = format!("issue #{} needs a design first", issue.number);
        match evidence.session.state {
            State::Interrupted => transition(State::Blocked, WAITS, reason),
            _ => hold(WAITS, reason),
        }
        .rests_on(["issue"])
    }
}

vigil_sdk::export!(TeamLabels);
