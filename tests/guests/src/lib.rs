//! What the misbehaving guests have in common: being ordinary in everything but one thing.
//!
//! Each guest is an example of this package, a few lines long, built by `cargo xtask policies` into `dist/`. A new way
//! to misbehave is a new example and a line in `Cargo.toml`.

pub use vigil_sdk::bindings::exports::vigil::policy::decider::Guest;
use vigil_sdk::{About, Context, Decision, Evidence, Policy, Session, hold};

/// The one rule that the guests have.
pub const RULE: &str = "misbehaves";

/// The description of a guest, in order in itself.
#[must_use]
pub const fn about(name: &'static str) -> About {
    About {
        name,
        version: "0.1.0",
        rules: &[(RULE, "A guest for the tests.")],
        settings_schema: "",
    }
}

/// A decision with which nothing is wrong.
#[must_use]
pub fn fine() -> Decision {
    hold(RULE, "nothing is wrong with this answer")
}

/// A policy with which nothing is wrong: raw guests take from it what they do not spoil.
#[derive(Debug)]
pub struct Fine;

impl Policy for Fine {
    const ABOUT: About = about("fine");

    fn decide(_: &Context, _: &Evidence) -> Decision {
        fine()
    }
}

/// What [`Fine`] wants.
#[must_use]
pub fn fine_wants(context: Context, sessions: Vec<Session>) -> Vec<Vec<String>> {
    <vigil_sdk::Exported<Fine> as Guest>::wants(context, sessions)
}

/// Exports a type that implements [`Guest`] itself, lists and all.
#[macro_export]
macro_rules! export_raw {
    ($guest:ident) => {
        // Also where nothing is exported, a type that is no guest is an error.
        const _: fn() -> vigil_sdk::Description = <$guest as $crate::Guest>::describe;
        #[cfg(target_arch = "wasm32")]
        vigil_sdk::bindings::export!($guest with_types_in vigil_sdk::bindings);
    };
}
