//! What a record says of a block, while it holds and after it.

use super::*;

#[test]
fn a_maintenance_stage_is_never_left_on_a_blocked_session() {
    let record = testing::record(299).replace(
        "\"process_id\"",
        "\"blocked_stage\": \"pr_maintenance\",\n    \"resume_after\": \"2026-03-26T20:00:00Z\",\n    \"process_id\"",
    );
    let made = made(
        &record,
        &evidence(true, None),
        Target::State(State::Blocked),
    )
    .unwrap();
    assert_eq!(
        made["blocked_stage"].as_deref(),
        Some("\"issue_execution\"")
    );
    assert_eq!(made["resume_after"], None);
}

#[test]
fn what_a_record_says_of_a_block_goes_with_the_block_and_with_no_other_move() {
    let block = r#""blocked_at": "2026-03-26T20:00:00Z",
    "blocked_stage": "issue_execution",
    "blocked_reason": {"kind": "unknown_operator_action_required", "operation": "vigil", "summary": "s", "detail": "d"},
    "retry_policy": "paused",
    "resume_required": true,
    "resume_hint": "vigilante resume",
    "process_id""#;
    let keys = [
        "blocked_at",
        "blocked_stage",
        "retry_policy",
        "resume_required",
        "resume_hint",
    ];
    for (state, seen) in [
        (
            State::Maintaining,
            evidence(true, Some(PullRequestState::Open)),
        ),
        (
            State::Succeeded,
            evidence(true, Some(PullRequestState::Merged)),
        ),
        (State::Closed, evidence(false, None)),
    ] {
        let running = testing::record(299)
            .replace("\"blocked_reason\": {},", "")
            .replace("\"process_id\"", block);
        let blocked = running.replace("\"running\"", "\"blocked\"");
        let lifted = made(&blocked, &seen, Target::State(state)).unwrap();
        for key in keys {
            assert_eq!(lifted.get(key), Some(&None), "{state}: {key}");
        }
        assert_eq!(lifted["blocked_reason"].as_deref(), Some("{}"), "{state}");
        // What its owner left of an earlier block is its owner's.
        let other = made(&running, &seen, Target::State(state)).unwrap();
        assert!(keys.iter().all(|key| !other.contains_key(*key)), "{state}");
    }
}

#[test]
fn a_hint_holds_nothing_that_a_shell_would_read() {
    let record = testing::record(299).replace("owner/repo\"", "owner/re po;rm\"");
    let made = made(
        &record,
        &evidence(true, None),
        Target::State(State::Blocked),
    )
    .unwrap();
    assert_eq!(
        made["resume_hint"].as_deref(),
        Some("\"vigilante list --blocked\"")
    );
}
