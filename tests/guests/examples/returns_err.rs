//! Says that it failed, for every session.

use vigil_guests::{about, fine};
use vigil_sdk::{About, Context, Decision, Evidence, Policy};

struct Guest;

impl Policy for Guest {
    const ABOUT: About = about("returns-err");

    fn decide(_: &Context, _: &Evidence) -> Decision {
        fine()
    }

    fn try_decide(_: &Context, evidence: &Evidence) -> Result<Decision, String> {
        Err(format!("this guest fails for {}", evidence.session.id))
    }
}

vigil_sdk::export!(Guest);
