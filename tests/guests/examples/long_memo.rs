//! Leaves a memo one byte longer than is allowed.

use vigil_guests::{about, fine};
use vigil_sdk::{About, Context, Decision, Evidence, Policy};

struct Guest;

impl Policy for Guest {
    const ABOUT: About = about("long-memo");

    fn decide(_: &Context, _: &Evidence) -> Decision {
        fine().memo("m".repeat(4097))
    }
}

vigil_sdk::export!(Guest);
