//! Asks for a clock, which no policy gets.

#![allow(
    unsafe_code,
    dead_code,
    missing_docs,
    unreachable_pub,
    clippy::all,
    reason = "generated; natively nothing uses it"
)]

wit_bindgen::generate!({
    inline: "
        package vigil:guests;

        interface clock {
            now: func() -> u64;
        }

        world foreign {
            import clock;
            include vigil:policy/policy@0.1.0;
        }
    ",
    path: "../../wit",
    world: "vigil:guests/foreign",
    with: {
        "vigil:policy/types@0.1.0": vigil_sdk::bindings::vigil::policy::types,
    },
    generate_all,
});

use exports::vigil::policy::decider;
use vigil_guests::{Fine, RULE, fine_wants};
use vigil_sdk::{Context, Decision, Description, Evidence, Exported, Session, hold};

struct Raw;

impl decider::Guest for Raw {
    fn describe() -> Description {
        <Exported<Fine> as vigil_guests::Guest>::describe()
    }

    fn wants(context: Context, sessions: Vec<Session>) -> Vec<Vec<String>> {
        fine_wants(context, sessions)
    }

    fn decide(_: Context, evidence: Vec<Evidence>) -> Vec<Result<Decision, String>> {
        let reason = format!("the clock says {}", vigil::guests::clock::now());
        evidence
            .iter()
            .map(|_| Ok(hold(RULE, reason.clone())))
            .collect()
    }
}

#[cfg(target_arch = "wasm32")]
export!(Raw);
