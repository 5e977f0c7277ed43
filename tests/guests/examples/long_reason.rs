//! Gives a reason of a mebibyte, where one sentence is meant.

use vigil_guests::{RULE, about};
use vigil_sdk::{About, Context, Decision, Evidence, Policy, hold};

struct Guest;

impl Policy for Guest {
    const ABOUT: About = about("long-reason");

    fn decide(_: &Context, _: &Evidence) -> Decision {
        hold(RULE, "x".repeat(1 << 20))
    }
}

vigil_sdk::export!(Guest);
