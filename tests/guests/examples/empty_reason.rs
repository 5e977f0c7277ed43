//! Gives no reason.

use vigil_guests::{RULE, about};
use vigil_sdk::{About, Context, Decision, Evidence, Policy, hold};

struct Guest;

impl Policy for Guest {
    const ABOUT: About = about("empty-reason");

    fn decide(_: &Context, _: &Evidence) -> Decision {
        hold(RULE, "")
    }
}

vigil_sdk::export!(Guest);
