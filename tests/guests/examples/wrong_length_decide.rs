//! Answers for one session less than it was asked about.

use vigil_guests::{Fine, Guest, fine, fine_wants};
use vigil_sdk::{Context, Decision, Description, Evidence, Exported, Session};

struct Raw;

impl Guest for Raw {
    fn describe() -> Description {
        Exported::<Fine>::describe()
    }

    fn wants(context: Context, sessions: Vec<Session>) -> Vec<Vec<String>> {
        fine_wants(context, sessions)
    }

    fn decide(_: Context, evidence: Vec<Evidence>) -> Vec<Result<Decision, String>> {
        evidence.iter().skip(1).map(|_| Ok(fine())).collect()
    }
}

vigil_guests::export_raw!(Raw);
