//! Names a rule that its description does not list.

use vigil_guests::about;
use vigil_sdk::{About, Context, Decision, Evidence, Policy, hold};

struct Guest;

impl Policy for Guest {
    const ABOUT: About = about("unknown-rule");

    fn decide(_: &Context, _: &Evidence) -> Decision {
        hold("made-up", "the rule of this answer is made up")
    }
}

vigil_sdk::export!(Guest);
