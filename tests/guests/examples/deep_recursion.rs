//! Calls itself until the stack ends.

use vigil_guests::{RULE, about};
use vigil_sdk::{About, Context, Decision, Evidence, Policy, hold};

struct Guest;

impl Policy for Guest {
    const ABOUT: About = about("deep-recursion");

    fn decide(context: &Context, _: &Evidence) -> Decision {
        hold(RULE, down(context.now, 0).to_string())
    }
}

/// Deeper than any stack. What it does on the way back up cannot be turned into a loop.
#[inline(never)]
fn down(seed: u64, depth: u64) -> u64 {
    if depth == u64::MAX {
        return seed;
    }
    down(seed.wrapping_add(depth), depth + 1).rotate_left(1) ^ seed
}

vigil_sdk::export!(Guest);
