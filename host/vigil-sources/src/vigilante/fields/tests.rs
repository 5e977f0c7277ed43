//! Field by field, for every target.

mod blocks;

use std::collections::BTreeMap;
use std::path::Path;

use vigil_core::fact::GapKind;
use vigil_core::session::Revision;
use vigil_core::{Evidence, Fact};

use super::*;
use crate::vigilante::record::RecordFile;
use crate::vigilante::testing::{self, NOW, NOW_TEXT};

/// The edits that `target` makes of `record`, with their values; `None` stands for "taken out".
fn made(
    record: &str,
    evidence: &Evidence,
    target: Target,
) -> Result<BTreeMap<String, Option<String>>, Refusal> {
    let text = testing::file(&[record.to_owned()]);
    let file = RecordFile::parse(Path::new("sessions.json"), &text).unwrap();
    let change = Change {
        evidence,
        target,
        at: NOW,
        rule: "some-rule",
        reason: "because  of\nthis",
    };
    let edits = edits(&text, &file.records()[0], &change)?;
    let count = edits.len();
    let by_key: BTreeMap<_, _> = edits
        .into_iter()
        .map(|edit| match edit {
            Edit::Set { key, value } => (key, Some(value)),
            Edit::Remove { key } => (key, None),
        })
        .collect();
    assert_eq!(by_key.len(), count, "a field is edited once");
    Ok(by_key)
}

fn evidence(issue_open: bool, pr: Option<PullRequestState>) -> Evidence {
    let mut evidence = testing::evidence(299, Revision(String::new()));
    evidence.issue = testing::issue(299, issue_open);
    if let Some(state) = pr {
        evidence.pull_request = Fact::Found(testing::pull_request(state));
    }
    evidence
}

#[track_caller]
fn check(evidence: &Evidence, target: State, set: &[(&str, &str)], removed: &[&str]) {
    let made = made(&testing::record(299), evidence, Target::State(target)).unwrap();
    let wanted: BTreeMap<String, Option<String>> = set
        .iter()
        .map(|(key, value)| ((*key).to_owned(), Some((*value).to_owned())))
        .chain(removed.iter().map(|key| ((*key).to_owned(), None)))
        .collect();
    assert_eq!(made, wanted);
}

const SNAPSHOT: [(&str, &str); 4] = [
    ("pull_request_number", "319"),
    (
        "pull_request_url",
        "\"https://github.com/owner/repo/pull/319\"",
    ),
    ("pull_request_head_branch", "\"vigilante/issue-299-t\""),
    ("pull_request_base_branch", "\"main\""),
];
const RECOVERED: [(&str, &str); 3] = [
    ("ended_at", NOW_TEXT),
    ("updated_at", NOW_TEXT),
    ("recovered_at", NOW_TEXT),
];
const STOPPED: [(&str, &str); 2] = [
    ("monitoring_stopped_at", NOW_TEXT),
    ("stale_auto_restart_stopped_at", NOW_TEXT),
];
const CLEARED: [&str; 4] = [
    "process_id",
    "last_heartbeat_at",
    "last_error",
    "stale_auto_restart_attempts",
];

fn all<'a>(parts: &[&[(&'a str, &'a str)]]) -> Vec<(&'a str, &'a str)> {
    parts.concat()
}

#[test]
fn succeeded_stops_all_that_vigilante_would_do() {
    for open in [true, false] {
        let own = [
            ("status", "\"success\""),
            ("pull_request_state", "\"MERGED\""),
            // Vigilante writes whole seconds.
            ("pull_request_merged_at", "\"2026-03-26T17:39:35Z\""),
            ("last_maintained_at", NOW_TEXT),
        ];
        check(
            &evidence(open, Some(PullRequestState::Merged)),
            State::Succeeded,
            &all(&[&own, &SNAPSHOT, &RECOVERED, &STOPPED]),
            &CLEARED,
        );
    }
}

#[test]
fn maintaining_goes_on_with_an_open_issue_and_stops_with_a_closed_one() {
    let own = [
        ("status", "\"success\""),
        ("pull_request_state", "\"OPEN\""),
        ("last_maintained_at", NOW_TEXT),
    ];
    let going_on = all(&[&own, &SNAPSHOT, &RECOVERED]);
    let stopped = all(&[&own, &SNAPSHOT, &RECOVERED, &STOPPED]);
    let mut seen = evidence(true, Some(PullRequestState::Open));
    check(&seen, State::Maintaining, &going_on, &CLEARED);
    seen.issue = testing::issue(299, false);
    check(&seen, State::Maintaining, &stopped, &CLEARED);
    // To Vigilante a 404 is a closed issue whose worktree may go.
    seen.issue = Fact::absent_at(NOW);
    check(&seen, State::Maintaining, &stopped, &CLEARED);
}

#[test]
fn closed_keeps_what_is_known_of_the_pull_request() {
    let status = [("status", "\"closed\"")];
    check(
        &evidence(false, None),
        State::Closed,
        &all(&[&status, &RECOVERED, &STOPPED]),
        &CLEARED,
    );
    let own = [
        ("status", "\"closed\""),
        ("pull_request_state", "\"CLOSED\""),
        ("last_maintained_at", NOW_TEXT),
    ];
    check(
        &evidence(false, Some(PullRequestState::Closed)),
        State::Closed,
        &all(&[&own, &SNAPSHOT, &RECOVERED, &STOPPED]),
        &CLEARED,
    );
}

#[test]
fn blocked_waits_for_a_person() {
    let mut seen = evidence(false, Some(PullRequestState::Merged));
    seen.session.liveness.dirty = Fact::Found(true);
    seen.session.liveness.unpushed = Fact::unknown(GapKind::TimedOut, "git was slow");
    seen.beyond_head = Fact::Found(2);
    let reason = concat!(
        "{\n      \"kind\": \"unknown_operator_action_required\",\n      \"operation\": \"vigil\",\n",
        "      \"summary\": \"because of this\",\n",
        "      \"detail\": \"rule some-rule; issue closed; pull request #319 merged; ",
        "2 commits beyond the pull request's head; uncommitted changes in the worktree; ",
        "unpushed commits unknown (timed-out)\"\n    }"
    );
    let own = [
        ("status", "\"blocked\""),
        ("blocked_at", NOW_TEXT),
        ("blocked_stage", "\"issue_execution\""),
        ("blocked_reason", reason),
        ("retry_policy", "\"paused\""),
        ("resume_required", "true"),
        (
            "resume_hint",
            "\"vigilante resume --repo owner/repo --issue 299\"",
        ),
        ("ended_at", NOW_TEXT),
        ("updated_at", NOW_TEXT),
        ("pull_request_state", "\"MERGED\""),
        ("pull_request_merged_at", "\"2026-03-26T17:39:35Z\""),
    ];
    check(
        &seen,
        State::Blocked,
        &all(&[&own, &SNAPSHOT]),
        &[
            "process_id",
            "last_heartbeat_at",
            "stale_auto_restart_attempts",
        ],
    );
}

/// Every state that is written beside every state that its pull request can be in: what the record says of the pull
/// request afterwards is what the evidence found, and where it found none the record keeps its word.
#[test]
fn after_each_write_the_record_is_true_about_the_pull_request() {
    use PullRequestState::{Closed, Merged, Open};
    let earlier = testing::record(299).replace(
        "\"process_id\"",
        "\"pull_request_number\": 17,\n    \"pull_request_url\": \"https://github.com/owner/repo/pull/17\",\n    \
         \"pull_request_state\": \"OPEN\",\n    \"pull_request_merged_at\": \"2026-03-01T00:00:00Z\",\n    \
         \"process_id\"",
    );
    for record in [testing::record(299), earlier] {
        for (to, found) in [
            (State::Blocked, vec![Open, Merged, Closed]),
            (State::Closed, vec![Open, Merged, Closed]),
            (State::Maintaining, vec![Open]),
            (State::Succeeded, vec![Merged]),
        ] {
            for state in found {
                let text = testing::file(std::slice::from_ref(&record));
                let before = RecordFile::parse(Path::new("b"), &text).unwrap();
                let seen = evidence(true, Some(state));
                let change = Change {
                    evidence: &seen,
                    target: Target::State(to),
                    at: NOW,
                    rule: "r",
                    reason: "r",
                };
                let forth = edits(&text, &before.records()[0], &change).unwrap();
                let after_text = edit::apply(&before, &[(0, forth.clone())]);
                let after = RecordFile::parse(Path::new("a"), &after_text).unwrap();
                let after = &after.records()[0];
                let says = |key: &str| after.text(key).unwrap();
                let name = format!("{to} with one that is {state:?}");
                assert_eq!(
                    after.number("pull_request_number").unwrap(),
                    Some(319),
                    "{name}"
                );
                let words = match state {
                    Open => ("OPEN", None),
                    Merged => ("MERGED", Some("2026-03-26T17:39:35Z".to_owned())),
                    Closed => ("CLOSED", None),
                };
                assert_eq!(
                    (
                        says("pull_request_state").as_deref(),
                        says("pull_request_merged_at")
                    ),
                    (Some(words.0), words.1),
                    "{name}"
                );
                let url = says("pull_request_url");
                assert_eq!(
                    url.as_deref(),
                    Some("https://github.com/owner/repo/pull/319"),
                    "{name}"
                );
                assert_eq!(
                    (
                        says("pull_request_head_branch").as_deref(),
                        says("pull_request_base_branch").as_deref()
                    ),
                    (Some("vigilante/issue-299-t"), Some("main")),
                    "{name}"
                );
                // And it is taken back with the rest.
                let back = undo_edits(&before.records()[0], after, &forth, &[]);
                let file = RecordFile::parse(Path::new("a"), &after_text).unwrap();
                let undone_text = edit::apply(&file, &[(0, back)]);
                let undone = RecordFile::parse(Path::new("u"), &undone_text).unwrap();
                assert_eq!(
                    undone.records()[0].revision(),
                    before.records()[0].revision(),
                    "{name}"
                );
            }
        }
        let text = testing::file(std::slice::from_ref(&record));
        let file = RecordFile::parse(Path::new("b"), &text).unwrap();
        let mut seen = evidence(true, None);
        seen.pull_request = Fact::unknown(GapKind::Unreachable, "no answer");
        for to in [State::Blocked, State::Closed] {
            let change = Change {
                evidence: &seen,
                target: Target::State(to),
                at: NOW,
                rule: "r",
                reason: "r",
            };
            let made = edits(&text, &file.records()[0], &change).unwrap();
            let touched = made
                .iter()
                .any(|edit| edit.key().starts_with("pull_request"));
            assert!(!touched, "{to}: nobody knows");
        }
    }
}

#[test]
fn texts_are_cut_between_characters() {
    for text in ["é".repeat(300), "a".repeat(399) + "é", "🦀".repeat(200)] {
        let cut = short(&text);
        assert!(cut.len() <= BLOCKED_TEXT_BYTES_MAX && cut.len() > BLOCKED_TEXT_BYTES_MAX - 4);
        assert!(text.starts_with(&cut));
    }
    assert_eq!(short("  a\t b\r\n\u{a0}c "), "a b c");
    assert_eq!(short(""), "");
}

#[test]
fn what_the_record_says_of_another_pull_request_goes() {
    let with = |number: u64| {
        testing::record(299).replace(
            "\"process_id\"",
            &format!(
                "\"pull_request_number\": {number},\n    \"pull_request_url\": \"u\",\n    \"pull_request_merged_at\": \"2026-03-26T01:00:00Z\",\n    \"process_id\""
            ),
        )
    };
    let mut seen = evidence(true, Some(PullRequestState::Open));
    let mut bare = testing::pull_request(PullRequestState::Open);
    bare.url = String::new();
    bare.base_ref = String::new();
    seen.pull_request = Fact::Found(bare);
    let target = Target::State(State::Maintaining);

    let other = made(&with(7), &seen, target.clone()).unwrap();
    assert_eq!(other["pull_request_number"].as_deref(), Some("319"));
    assert_eq!(other["pull_request_url"], None);
    let same = made(&with(319), &seen, target).unwrap();
    assert!(!same.contains_key("pull_request_number"));
    assert!(!same.contains_key("pull_request_url"), "{same:?}");
    // An open pull request was not merged, whatever the record says.
    assert_eq!(same["pull_request_merged_at"], None);
    assert!(!same.contains_key("pull_request_base_branch"));
}

#[test]
fn a_fork_gets_its_upstream_pull_request() {
    let record =
        testing::record(299).replace("\"process_id\"", "\"fork_mode\": true,\n    \"process_id\"");
    let seen = evidence(true, Some(PullRequestState::Open));
    let made = made(&record, &seen, Target::State(State::Maintaining)).unwrap();
    assert_eq!(made["upstream_pr_number"].as_deref(), Some("319"));
    assert_eq!(made["upstream_pr_url"], made["pull_request_url"]);
}

fn repair(names: &[&str]) -> Target {
    Target::Repair(names.iter().map(|n| (*n).to_owned()).collect())
}

/// A record that is marked as being maintained.
fn in_flight() -> String {
    testing::record(299).replace(
        "\"process_id\"",
        "\"pull_request_maintenance_in_flight\": true,\n    \"process_id\"",
    )
}

/// The same evidence, with a worktree that holds nothing of its own.
fn saved(mut evidence: Evidence) -> Evidence {
    evidence.session.liveness.dirty = Fact::Found(false);
    evidence.session.liveness.unpushed = Fact::Found(0);
    evidence
}

#[test]
fn a_repair_is_refused_over_work_that_vigilante_would_discard() {
    // Whatever the issue: with an open one it maintains the worktree, with a closed one it removes it.
    for open in [true, false] {
        let clean = saved(evidence(open, Some(PullRequestState::Open)));
        let mut dirty = clean.clone();
        dirty.session.liveness.dirty = Fact::Found(true);
        let mut unpushed = clean.clone();
        unpushed.session.liveness.unpushed = Fact::Found(2);
        let mut unseen = clean.clone();
        unseen.session.liveness.dirty = Fact::unknown(GapKind::TimedOut, "git did not answer");
        for (seen, what) in [
            (&dirty, "would discard the unsaved work in /"),
            (&unpushed, "would discard the unsaved work in /"),
            (&unseen, "could not be learned"),
        ] {
            let refused = made(&in_flight(), seen, repair(&["maintenance-in-flight"]));
            match refused.unwrap_err() {
                Refusal::Unsaved(why) => assert!(why.contains(what), "{why}"),
                other => panic!("{other:?}"),
            }
        }
        // What the head of the pull request holds is not lost, though no remote branch has it any more.
        unpushed.beyond_head = Fact::Found(0);
        for seen in [&clean, &unpushed] {
            assert!(made(&in_flight(), seen, repair(&["maintenance-in-flight"])).is_ok());
        }
    }
}

#[test]
fn where_there_is_no_pull_request_the_record_names_none_after_a_block_or_an_end() {
    let record = testing::record(299).replace(
        "\"process_id\"",
        "\"pull_request_number\": 7,\n    \"pull_request_state\": \"OPEN\",\n    \"process_id\"",
    );
    for target in [State::Blocked, State::Closed] {
        for (fact, goes) in [
            (Fact::absent_at(NOW), true),
            (Fact::unknown(GapKind::Unreachable, "no answer"), false),
            (Fact::NotAsked, false),
        ] {
            let mut seen = evidence(false, None);
            seen.pull_request = fact;
            let made = made(&record, &seen, Target::State(target)).unwrap();
            for key in ["pull_request_number", "pull_request_state"] {
                let expected = goes.then_some(None);
                assert_eq!(made.get(key).cloned(), expected, "{target} {key}");
            }
            assert!(!made.contains_key("last_maintained_at"), "{target}");
        }
    }
}

#[test]
fn a_repair_leaves_the_record_true_about_an_open_pull_request_and_in_its_state() {
    for (state, pr, wrote) in [
        (State::Maintaining, PullRequestState::Open, true),
        (State::Maintaining, PullRequestState::Closed, false),
        (State::Maintaining, PullRequestState::Merged, false),
        (State::Running, PullRequestState::Open, false),
    ] {
        let mut seen = saved(evidence(true, Some(pr)));
        seen.session.state = state;
        let fixed = made(&in_flight(), &seen, repair(&["maintenance-in-flight"])).unwrap();
        let says = |key: &str| fixed.get(key).cloned().flatten();
        let expected = wrote.then(|| "\"OPEN\"".to_owned());
        assert_eq!(says("pull_request_state"), expected, "{state} {pr:?}");
        let number = wrote.then(|| "319".to_owned());
        assert_eq!(says("pull_request_number"), number, "{state} {pr:?}");
    }
}

#[test]
fn a_repair_clears_the_flag_and_nothing_else() {
    let seen = saved(evidence(true, Some(PullRequestState::Open)));
    let set = in_flight();
    let fixed = made(&set, &seen, repair(&["maintenance-in-flight"])).unwrap();
    assert_eq!(
        fixed,
        BTreeMap::from([
            ("pull_request_maintenance_in_flight".to_owned(), None),
            ("updated_at".to_owned(), Some(NOW_TEXT.to_owned())),
        ])
    );
    for names in [&[][..], &["other"], &["maintenance-in-flight", "other"]] {
        let refused = made(&set, &seen, repair(names)).unwrap_err();
        assert!(
            matches!(refused, Refusal::Unsafe(_)),
            "{names:?}: {refused}"
        );
    }
    for flag in ["false", "\"yes\"", "null"] {
        let odd = set.replace("in_flight\": true", &format!("in_flight\": {flag}"));
        assert!(made(&odd, &seen, repair(&["maintenance-in-flight"])).is_err());
    }
}

#[test]
fn what_cannot_be_written_safely_is_refused() {
    let merged = evidence(true, Some(PullRequestState::Merged));
    for state in [
        State::Queued,
        State::Running,
        State::Interrupted,
        State::Failed,
    ] {
        assert!(!owner_effects().writable.contains(&state));
        let refused = made(&testing::record(299), &merged, Target::State(state)).unwrap_err();
        assert!(matches!(refused, Refusal::Unsafe(_)), "{state}");
    }
    for state in owner_effects().writable {
        let fits = match state {
            State::Maintaining => PullRequestState::Open,
            _ => PullRequestState::Merged,
        };
        let seen = evidence(true, Some(fits));
        assert!(made(&testing::record(299), &seen, Target::State(state)).is_ok());
    }
    // The words of Vigilante that need a pull request in that state.
    for (state, pr) in [
        (State::Succeeded, None),
        (State::Succeeded, Some(PullRequestState::Open)),
        (State::Succeeded, Some(PullRequestState::Closed)),
        (State::Maintaining, None),
        (State::Maintaining, Some(PullRequestState::Merged)),
    ] {
        let seen = evidence(true, pr);
        assert!(made(&testing::record(299), &seen, Target::State(state)).is_err());
    }
    // But for a merge that Vigilante itself has recorded.
    let recorded = testing::record(299).replace(
        "\"process_id\"",
        "\"pull_request_state\": \"MERGED\",\n    \"process_id\"",
    );
    let seen = evidence(true, None);
    assert!(made(&recorded, &seen, Target::State(State::Succeeded)).is_ok());
}

#[test]
fn a_moment_beyond_all_calendars_is_refused() {
    assert!(moment(Timestamp(u64::MAX)).is_err());
    assert!(moment(Timestamp(i64::MAX as u64)).is_err());
    assert_eq!(moment(Timestamp(999)).unwrap(), "1970-01-01T00:00:00Z");
}

#[test]
fn an_undo_restores_values_and_leaves_bookkeeping() {
    let before_text = testing::file(&[testing::record(299)]);
    let before = RecordFile::parse(Path::new("b"), &before_text).unwrap();
    let seen = evidence(false, Some(PullRequestState::Merged));
    let change = Change {
        evidence: &seen,
        target: Target::State(State::Succeeded),
        at: NOW,
        rule: "r",
        reason: "r",
    };
    let forth = edits(&before_text, &before.records()[0], &change).unwrap();
    let after_text = edit::apply(&before, &[(0, forth.clone())]);
    let after = RecordFile::parse(Path::new("a"), &after_text).unwrap();
    let back = undo_edits(
        &before.records()[0],
        &after.records()[0],
        &forth,
        &["updated_at", "last_maintained_at"],
    );
    let undone_text = edit::apply(&after, &[(0, back)]);
    let undone = RecordFile::parse(Path::new("u"), &undone_text).unwrap();
    let undone = &undone.records()[0];
    assert_eq!(undone.revision(), before.records()[0].revision());
    assert_eq!(undone.field("updated_at").unwrap().value, NOW_TEXT);
    for field in &before.records()[0].fields {
        if field.key != "updated_at" {
            assert_eq!(undone.field(&field.key).unwrap().value, field.value);
        }
    }
}

#[test]
fn what_vigilante_does_to_a_record_that_is_left_goes_by_its_own_clock() {
    let at = |text: &str| time::parse(text);
    let of = |fields: &str| {
        let text = format!("[{{\"repo\": \"o/r\", \"issue_number\": 1, {fields}}}]");
        let file = RecordFile::parse(Path::new("f"), &text).unwrap();
        if_left(&file.records()[0])
    };
    let heartbeat = "\"last_heartbeat_at\": \"2026-03-26T17:00:00Z\"";
    let start = "\"started_at\": \"2026-03-26T16:00:00Z\"";
    let updated = "\"updated_at\": \"2026-03-26T18:00:00Z\"";
    // A word for the time that counts, `None` where it finds none.
    let cases = [
        (
            format!("{heartbeat}, {start}, {updated}"),
            at("2026-03-26T17:00:00Z"),
        ),
        (format!("{start}, {updated}"), at("2026-03-26T16:00:00Z")),
        (
            format!("\"last_heartbeat_at\": \"soon\", {start}"),
            at("2026-03-26T16:00:00Z"),
        ),
        (format!("\"last_heartbeat_at\": \"\", {updated}"), None),
    ];
    for (fields, silent_from) in cases {
        let left = of(&format!("\"status\": \"running\", {fields}")).unwrap();
        assert_eq!(left.silent_from, silent_from, "{fields}");
        assert_eq!(left.stale_after_ms, 10 * 60_000);
    }
    for status in [
        "resuming",
        "blocked",
        "success",
        "incomplete",
        "failed",
        "closed",
        "parked",
    ] {
        assert_eq!(
            of(&format!("\"status\": \"{status}\", {heartbeat}")),
            None,
            "{status}"
        );
    }
}
