//! Says what one session more needs than it was asked about.

use vigil_guests::{Fine, Guest, fine, fine_wants};
use vigil_sdk::{Context, Decision, Description, Evidence, Exported, Session};

struct Raw;

impl Guest for Raw {
    fn describe() -> Description {
        Exported::<Fine>::describe()
    }

    fn wants(context: Context, sessions: Vec<Session>) -> Vec<Vec<String>> {
        let mut wants = fine_wants(context, sessions);
        wants.push(Vec::new());
        wants
    }

    fn decide(_: Context, evidence: Vec<Evidence>) -> Vec<Result<Decision, String>> {
        evidence.iter().map(|_| Ok(fine())).collect()
    }
}

vigil_guests::export_raw!(Raw);
