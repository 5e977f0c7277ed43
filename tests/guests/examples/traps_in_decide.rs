//! Traps in every decision.

use vigil_guests::about;
use vigil_sdk::{About, Context, Decision, Evidence, Policy};

struct Guest;

impl Policy for Guest {
    const ABOUT: About = about("traps-in-decide");

    fn decide(_: &Context, _: &Evidence) -> Decision {
        panic!("this guest traps in every decision")
    }
}

vigil_sdk::export!(Guest);
