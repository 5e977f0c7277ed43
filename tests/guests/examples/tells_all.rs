//! Repeats everything that it was told, so that a test can compare it with what was said.

use vigil_guests::{RULE, about};
use vigil_sdk::{About, Context, Decision, Evidence, Policy, hold};

struct Guest;

impl Policy for Guest {
    const ABOUT: About = about("tells-all");

    fn decide(context: &Context, evidence: &Evidence) -> Decision {
        hold(RULE, format!("{context:?} {evidence:?}"))
    }
}

vigil_sdk::export!(Guest);
