//! Traps when it is asked who it is.

use vigil_guests::{Guest, fine, fine_wants};
use vigil_sdk::{Context, Decision, Description, Evidence, Session};

struct Raw;

impl Guest for Raw {
    fn describe() -> Description {
        panic!("this guest traps when asked who it is")
    }

    fn wants(context: Context, sessions: Vec<Session>) -> Vec<Vec<String>> {
        fine_wants(context, sessions)
    }

    fn decide(_: Context, evidence: Vec<Evidence>) -> Vec<Result<Decision, String>> {
        evidence.iter().map(|_| Ok(fine())).collect()
    }
}

vigil_guests::export_raw!(Raw);
