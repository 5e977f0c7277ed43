//! Describes itself without a rule, so that no answer of it can name one.

use vigil_guests::{Fine, Guest, fine, fine_wants};
use vigil_sdk::{Context, Decision, Description, Evidence, Exported, Session};

struct Raw;

impl Guest for Raw {
    fn describe() -> Description {
        Description {
            rules: Vec::new(),
            ..Exported::<Fine>::describe()
        }
    }

    fn wants(context: Context, sessions: Vec<Session>) -> Vec<Vec<String>> {
        fine_wants(context, sessions)
    }

    fn decide(_: Context, evidence: Vec<Evidence>) -> Vec<Result<Decision, String>> {
        evidence.iter().map(|_| Ok(fine())).collect()
    }
}

vigil_guests::export_raw!(Raw);
