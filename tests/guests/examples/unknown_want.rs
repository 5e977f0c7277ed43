//! Wants a fact that nobody registered.

use vigil_guests::{about, fine};
use vigil_sdk::{About, Context, Decision, Evidence, FactName, Policy, Session};

struct Guest;

impl Policy for Guest {
    const ABOUT: About = about("unknown-want");

    fn wants(_: &Context, _: &Session) -> Vec<FactName> {
        vec![FactName::Issue, FactName::Other("weather".to_owned())]
    }

    fn decide(_: &Context, _: &Evidence) -> Decision {
        fine()
    }
}

vigil_sdk::export!(Guest);
