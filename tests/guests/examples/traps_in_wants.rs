//! Traps when it is asked what it wants to know.

use vigil_guests::{about, fine};
use vigil_sdk::{About, Context, Decision, Evidence, FactName, Policy, Session};

struct Guest;

impl Policy for Guest {
    const ABOUT: About = about("traps-in-wants");

    fn wants(_: &Context, _: &Session) -> Vec<FactName> {
        panic!("this guest traps when asked what it wants")
    }

    fn decide(_: &Context, _: &Evidence) -> Decision {
        fine()
    }
}

vigil_sdk::export!(Guest);
