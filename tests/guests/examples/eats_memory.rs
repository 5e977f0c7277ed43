//! Takes memory until there is none.

use vigil_guests::about;
use vigil_sdk::{About, Context, Decision, Evidence, Policy};

struct Guest;

impl Policy for Guest {
    const ABOUT: About = about("eats-memory");

    fn decide(_: &Context, _: &Evidence) -> Decision {
        let mut hoard: Vec<Vec<u8>> = Vec::new();
        loop {
            hoard.push(vec![1; 1 << 20]);
        }
    }
}

vigil_sdk::export!(Guest);
