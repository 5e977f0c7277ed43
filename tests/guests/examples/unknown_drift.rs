//! Wants drift put right that nobody registered.

use vigil_guests::{RULE, about};
use vigil_sdk::{About, Context, Decision, Evidence, Policy, repair};

struct Guest;

impl Policy for Guest {
    const ABOUT: About = about("unknown-drift");

    fn decide(_: &Context, _: &Evidence) -> Decision {
        repair(["the-weather"], RULE, "it rains")
    }
}

vigil_sdk::export!(Guest);
