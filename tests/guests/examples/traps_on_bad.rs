//! Traps for a session whose id contains `bad`, and answers for all others.

use vigil_guests::{about, fine};
use vigil_sdk::{About, Context, Decision, Evidence, Policy};

struct Guest;

impl Policy for Guest {
    const ABOUT: About = about("traps-on-bad");

    fn decide(_: &Context, evidence: &Evidence) -> Decision {
        assert!(
            !evidence.session.id.contains("bad"),
            "this guest traps for a bad session"
        );
        fine()
    }
}

vigil_sdk::export!(Guest);
