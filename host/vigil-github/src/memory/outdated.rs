//! Which of two rows about one thing knows more, where two processes asked at about the same time.

use serde::Deserialize;
use vigil_core::Timestamp;

/// What a row of a fact says about its own age. Branches and rows of older versions may lack some of it.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Ages {
    learned: Timestamp,
    updated: Option<Timestamp>,
    announced: Option<Timestamp>,
    woken: Timestamp,
}

/// Whether the row `name` with `ours` knows less at `now` than `stored`, which another process has put there meanwhile:
/// that one was read later, or holds a doubt that `ours` was read too early to settle. Rows that are no facts, and those
/// that cannot be read, never do.
pub fn is_outdated(name: &str, ours: &str, stored: &str, now: Timestamp) -> bool {
    let facts = ["issue ", "pull ", "branch "];
    if !facts.iter().any(|kind| name.starts_with(kind)) {
        return false;
    }
    let ages = |row| serde_json::from_str::<Ages>(row).ok();
    let (Some(ours), Some(stored)) = (ages(ours), ages(stored)) else {
        return false;
    };
    // What bears a later moment than this was dated by a clock that was ahead.
    let later = |theirs: Timestamp| theirs > ours.learned && theirs <= now;
    // Announced and updated are both by GitHub's clock.
    let is_announced = stored.announced > ours.updated.max(ours.announced);
    later(stored.learned) || later(stored.woken) || is_announced
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_earlier_or_before_a_doubt_gives_way() {
        let ours = r#"{"learned": 100, "updated": 7}"#;
        for (stored, expected) in [
            (r#"{"learned": 99, "updated": 7}"#, false),
            (r#"{"learned": 100, "updated": 7}"#, false),
            (r#"{"learned": 101, "updated": 7}"#, true),
            // By a clock that was ahead.
            (r#"{"learned": 300}"#, false),
            (r#"{"learned": 50, "updated": 7, "announced": 8}"#, true),
            (r#"{"learned": 50, "updated": 6, "announced": 7}"#, false),
            (r#"{"learned": 50, "announced": 7, "woken": 101}"#, true),
            (r#"{"learned": 50, "announced": 7, "woken": 100}"#, false),
            ("no JSON", false),
        ] {
            for (name, is_fact) in [("pull 7", true), ("watch", false)] {
                let told = is_outdated(name, ours, stored, Timestamp(200));
                assert_eq!(told, expected && is_fact, "{name}: {stored}");
            }
        }
    }
}
