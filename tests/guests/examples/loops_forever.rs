//! Never comes to an end.

use vigil_guests::about;
use vigil_sdk::{About, Context, Decision, Evidence, Policy};

struct Guest;

impl Policy for Guest {
    const ABOUT: About = about("loops-forever");

    fn decide(_: &Context, _: &Evidence) -> Decision {
        loop {
            std::hint::spin_loop();
        }
    }
}

vigil_sdk::export!(Guest);
