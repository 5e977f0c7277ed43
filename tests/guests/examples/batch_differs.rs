//! Answers one way about a session alone, and another way in a batch.

use vigil_guests::{Fine, Guest, RULE, fine, fine_wants};
use vigil_sdk::{Context, Decision, Description, Evidence, Exported, Session, hold};

struct Raw;

impl Guest for Raw {
    fn describe() -> Description {
        Exported::<Fine>::describe()
    }

    fn wants(context: Context, sessions: Vec<Session>) -> Vec<Vec<String>> {
        fine_wants(context, sessions)
    }

    fn decide(_: Context, evidence: Vec<Evidence>) -> Vec<Result<Decision, String>> {
        if evidence.len() == 1 {
            return vec![Ok(fine())];
        }
        let other = hold(RULE, format!("it is one of {}", evidence.len()));
        evidence.iter().map(|_| Ok(other.clone())).collect()
    }
}

vigil_guests::export_raw!(Raw);
