//! Describes settings that nobody could check: 4 KB in which sixty times everything before stands twice.

use vigil_guests::{Fine, Guest, fine, fine_wants};
use vigil_sdk::{Context, Decision, Description, Evidence, Exported, Session};

struct Raw;

impl Guest for Raw {
    fn describe() -> Description {
        let mut levels = r#""a0":{"type":"integer"}"#.to_owned();
        for level in 1..=60 {
            let before = format!(r##"{{"$ref":"#/$defs/a{}"}}"##, level - 1);
            levels.push_str(&format!(r#","a{level}":{{"allOf":[{before},{before}]}}"#));
        }
        Description {
            settings_schema: format!(r##"{{"$defs":{{{levels}}},"$ref":"#/$defs/a60"}}"##),
            ..<Exported<Fine> as Guest>::describe()
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
