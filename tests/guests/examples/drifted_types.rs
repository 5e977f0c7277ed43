//! Built for a contract that calls itself the same and has other types: shows only when it is instantiated.

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
        package vigil:policy@0.1.0;

        interface decider {
            record decision {
                verdict: string,
            }
            describe: func() -> string;
            wants: func(sessions: list<string>) -> list<list<string>>;
            decide: func(evidence: list<string>) -> list<result<decision, string>>;
        }

        world policy {
            export decider;
        }
    ",
});

use exports::vigil::policy::decider::{Decision, Guest};

struct Raw;

impl Guest for Raw {
    fn describe() -> String {
        "drifted-types".to_owned()
    }

    fn wants(sessions: Vec<String>) -> Vec<Vec<String>> {
        sessions.iter().map(|_| Vec::new()).collect()
    }

    fn decide(evidence: Vec<String>) -> Vec<Result<Decision, String>> {
        let verdict = || Decision {
            verdict: "hold".to_owned(),
        };
        evidence.iter().map(|_| Ok(verdict())).collect()
    }
}

#[cfg(target_arch = "wasm32")]
export!(Raw);
