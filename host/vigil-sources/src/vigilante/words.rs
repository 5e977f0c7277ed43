//! What a record says in words about why its session is in its state: Vigilante's own, or those that vigil left in it.

use serde::Deserialize;
use vigil_core::session::OwnerWords;

use crate::vigilante::fields::{OPERATION, short};
use crate::vigilante::record::{Record, excerpt};
use crate::vigilante::time;

/// `blocked_reason` of a record. What has another shape is read as if it were not there: it explains nothing, and
/// nothing rests on it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Reason {
    kind: String,
    operation: String,
    summary: String,
    detail: String,
}

/// The words of a record whose status is `native`; `None`: it has none.
pub(crate) fn words(record: &Record<'_>, native: &str) -> Option<OwnerWords> {
    let said = match native {
        "blocked" => return blocked(record),
        "failed" => format!("Vigilante says that it failed: {}", error(record)?),
        "incomplete" => incomplete(record)?,
        "closed" | "success" => ended(record)?,
        _ => return None,
    };
    Some(owners(said))
}

fn blocked(record: &Record<'_>) -> Option<OwnerWords> {
    let field = record.field("blocked_reason");
    let reason: Reason = field
        .and_then(|field| serde_json::from_str(field.value).ok())
        .unwrap_or_default();
    let said = [&reason.summary, &reason.detail]
        .into_iter()
        .map(|text| short(text))
        .find(|text| !text.is_empty());
    let at = moment(record, "blocked_at");
    if reason.operation == OPERATION {
        return Some(OwnerWords {
            text: format!("vigil blocked it{at}: {}", said?),
            by_vigil: true,
        });
    }
    let named: Vec<String> = [reason.kind, reason.operation]
        .iter()
        .filter(|word| !word.is_empty())
        .map(|word| excerpt(word))
        .collect();
    let whence = match named.as_slice() {
        [] => String::new(),
        named => format!(" ({})", named.join(", ")),
    };
    let said = match said.or_else(|| error(record)) {
        Some(said) => format!("Vigilante blocked it{at}{whence}: {said}"),
        None if whence.is_empty() => return None,
        None => format!("Vigilante blocked it{at}{whence}"),
    };
    Some(owners(said))
}

fn incomplete(record: &Record<'_>) -> Option<String> {
    let what = match text(record, "incomplete_reason").as_deref() {
        Some("no_durable_progress") => "its agent ended and left nothing behind".to_owned(),
        Some("uncommitted_changes") => "its agent ended with uncommitted changes".to_owned(),
        Some("commits_without_pr") => "its agent ended with commits and no pull request".to_owned(),
        Some(other) => excerpt(other),
        None => {
            return Some(format!(
                "Vigilante says that it is incomplete: {}",
                error(record)?
            ));
        }
    };
    Some(format!("Vigilante says that {what}"))
}

fn ended(record: &Record<'_>) -> Option<String> {
    if let Some(error) = error(record) {
        return Some(format!("Vigilante ended it: {error}"));
    }
    let at = moment(record, "cleanup_completed_at");
    let why = match text(record, "last_cleanup_source")?.as_str() {
        "issue_closed" => "its issue was closed".to_owned(),
        "pull_request_merged" => "its pull request was merged".to_owned(),
        "pull_request_closed" => "its pull request was closed".to_owned(),
        other => excerpt(other),
    };
    Some(format!("Vigilante cleaned it up{at}: {why}"))
}

fn owners(text: String) -> OwnerWords {
    OwnerWords {
        text,
        by_vigil: false,
    }
}

fn error(record: &Record<'_>) -> Option<String> {
    text(record, "last_error")
        .map(|error| short(&error))
        .filter(|error| !error.is_empty())
}

/// ` at 2026-01-01T12:00:00Z`; empty where the record holds no such time.
fn moment(record: &Record<'_>, key: &str) -> String {
    match text(record, key) {
        Some(at) if time::parse(&at).is_some() => format!(" at {at}"),
        _ => String::new(),
    }
}

fn text(record: &Record<'_>, key: &str) -> Option<String> {
    // A field that holds anything else is a gap where a decision rests on it; here nothing does.
    record.text(key).ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vigilante::fields::BLOCKED_TEXT_BYTES_MAX;

    fn said(native: &str, fields: &str) -> Option<(String, bool)> {
        let record = Record::alone(fields).expect("a record");
        words(&record, native).map(|words| (words.text, words.by_vigil))
    }

    #[test]
    fn each_state_is_told_in_the_words_that_its_record_has() {
        let cases = [
            (
                "blocked",
                r#"{"blocked_at":"2026-03-26T15:00:00Z","last_error":"exit status 1","blocked_reason":{"kind":"provider_quota","operation":"codex","summary":"Coding-agent account hit a usage limit.","detail":"try again at 18:00"}}"#,
                "Vigilante blocked it at 2026-03-26T15:00:00Z (provider_quota, codex): Coding-agent account hit a usage limit.",
            ),
            (
                "blocked",
                r#"{"blocked_reason":{"kind":"dirty_worktree","operation":"","summary":" ","detail":"two\n files"}}"#,
                "Vigilante blocked it (dirty_worktree): two files",
            ),
            (
                "blocked",
                r#"{"blocked_reason":{},"last_error":"exit status 1"}"#,
                "Vigilante blocked it: exit status 1",
            ),
            (
                "blocked",
                r#"{"blocked_at":"yesterday","blocked_reason":{"kind":"git_auth"}}"#,
                "Vigilante blocked it (git_auth)",
            ),
            (
                "failed",
                r#"{"last_error":"gave up after 3 rounds"}"#,
                "Vigilante says that it failed: gave up after 3 rounds",
            ),
            (
                "incomplete",
                r#"{"incomplete_reason":"commits_without_pr"}"#,
                "Vigilante says that its agent ended with commits and no pull request",
            ),
            (
                "incomplete",
                r#"{"last_error":"exit status 2"}"#,
                "Vigilante says that it is incomplete: exit status 2",
            ),
            (
                "closed",
                r#"{"last_error":"issue is no longer available"}"#,
                "Vigilante ended it: issue is no longer available",
            ),
            (
                "success",
                r#"{"last_cleanup_source":"pull_request_merged","cleanup_completed_at":"2026-03-26T15:00:00Z"}"#,
                "Vigilante cleaned it up at 2026-03-26T15:00:00Z: its pull request was merged",
            ),
        ];
        for (native, fields, expected) in cases {
            assert_eq!(
                said(native, fields),
                Some((expected.to_owned(), false)),
                "{native} {fields}"
            );
        }
    }

    #[test]
    fn what_vigil_wrote_is_told_as_vigils() {
        let fields = r#"{"blocked_reason":{"kind":"unknown_operator_action_required","operation":"vigil","summary":"the agent is gone","detail":"rule agent-gone"}}"#;
        assert_eq!(
            said("blocked", fields),
            Some(("vigil blocked it: the agent is gone".to_owned(), true))
        );
    }

    #[test]
    fn a_record_without_words_has_none_and_neither_has_one_of_another_shape() {
        for (native, fields) in [
            ("blocked", r#"{}"#),
            ("blocked", r#"{"blocked_reason":{}}"#),
            ("blocked", r#"{"blocked_reason":"quota"}"#),
            ("blocked", r#"{"blocked_reason":{"summary":7}}"#),
            ("blocked", r#"{"blocked_reason":null,"last_error":""}"#),
            ("failed", r#"{"last_error":7}"#),
            ("incomplete", "{}"),
            ("success", "{}"),
            ("running", r#"{"last_error":"x"}"#),
        ] {
            assert_eq!(said(native, fields), None, "{native} {fields}");
        }
    }

    #[test]
    fn words_are_bounded_and_on_one_line() {
        let long = "é ".repeat(2000);
        let fields = format!(r#"{{"last_error":"{long}"}}"#);
        let (text, _) = said("failed", &fields).expect("words");
        assert!(text.len() <= BLOCKED_TEXT_BYTES_MAX + 40, "{}", text.len());
    }
}
