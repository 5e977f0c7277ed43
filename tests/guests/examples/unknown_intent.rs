//! Asks for an effect of a kind that nobody registered.

use vigil_guests::{about, fine};
use vigil_sdk::{About, Context, Decision, Evidence, IntentKind, Policy};

struct Guest;

impl Policy for Guest {
    const ABOUT: About = about("unknown-intent");

    fn decide(_: &Context, _: &Evidence) -> Decision {
        fine().intent(IntentKind::Other("launch-rocket".to_owned()), "1", [])
    }
}

vigil_sdk::export!(Guest);
