//! Records to sessions: each field with its missing, odd and malformed forms.

#![expect(clippy::disallowed_macros, reason = "a skipped test says why")]

use std::path::Path;

use serde_json::{Value, json};

use vigil_core::session::{IfLeft, IssueRef, PullRequestRef};

use super::*;
use crate::vigilante::testing::NOW;

/// A plain running record with `changes` made to it; `null` takes a field out.
fn record(changes: Value) -> Value {
    let mut record = json!({
        "repo_path": "/srv/repo", "repo": "owner/repo", "provider": "codex", "issue_number": 299,
        "base_branch": "main", "branch": "vigilante/issue-299-t",
        "worktree_path": "/srv/repo/.worktrees/vigilante/issue-299", "status": "running",
        "blocked_reason": {}, "process_id": 999999, "started_at": "2026-03-26T17:00:00Z",
        "last_heartbeat_at": "2026-03-26T17:11:08Z", "updated_at": "2026-03-26T17:11:08Z",
    });
    let fields = record.as_object_mut().expect("an object");
    for (name, value) in changes.as_object().expect("an object") {
        match value {
            Value::Null => fields.remove(name),
            value => fields.insert(name.clone(), value.clone()),
        };
    }
    record
}

fn read(records: &[Value]) -> Vec<(Session, Work)> {
    let text = serde_json::to_string(records).expect("it is JSON");
    let file = RecordFile::parse(Path::new("/h/sessions.json"), &text).expect("it parses");
    sessions(&file, "vigilante", NOW)
}

fn one(changes: Value) -> (Session, Work) {
    read(&[record(changes)]).pop().expect("one session")
}

fn gaps(session: &Session) -> Vec<(&str, &GapKind)> {
    session
        .gaps
        .iter()
        .map(|missing| (missing.field.as_str(), &missing.gap.kind))
        .collect()
}

#[test]
fn a_plain_record_is_read_without_gaps() {
    let (session, work) = one(json!({"stale_auto_restart_attempts": 2}));
    assert_eq!(session.id.to_string(), "vigilante:owner/repo#299");
    assert_eq!(session.gaps, []);
    assert_eq!(session.repo.as_deref(), Some("owner/repo"));
    assert_eq!((session.issue, session.pull_request), (Some(299), None));
    assert_eq!(
        (session.state, session.native_state.as_str()),
        (State::Running, "running")
    );
    assert_eq!(session.times.heartbeat, Some(Timestamp(1_774_545_068_000)));
    assert_eq!(session.times.ended, None);
    assert_eq!(session.attempts.runs, 2);
    assert_eq!(session.owner_says, None);
    assert_eq!(session.tracker, "github");
    assert_eq!(session.liveness, Liveness::default());
    assert_eq!(
        session.owner_effects,
        OwnerEffects {
            if_left: Some(IfLeft {
                silent_from: session.times.heartbeat,
                stale_after_ms: 600_000,
            }),
            ..fields::owner_effects()
        }
    );
    assert_eq!(session.text("provider"), Some("codex"));
    assert_eq!(work.pid, Ok(999_999));
    assert_eq!(work.pid_written, session.times.heartbeat);
    assert_eq!(work.log.as_deref(), Ok("owner-repo-issue-299.log"));
    assert!(work.readable);
}

#[test]
fn a_time_that_cannot_be_read_is_a_gap_and_no_other_field_stands_in() {
    for (value, kind) in [
        (json!("yesterday"), GapKind::Malformed),
        (json!("2026-03-26 17:11:08"), GapKind::Malformed),
        (json!(1_774_545_068), GapKind::Malformed),
        (json!("2026-03-26T19:06:00Z"), GapKind::InTheFuture),
    ] {
        let (session, _) = one(json!({"last_heartbeat_at": value}));
        assert_eq!(gaps(&session), [("times.heartbeat", &kind)], "{value}");
        assert_eq!(session.times.heartbeat, None);
        assert!(session.times.started.is_some());
    }
    let (session, _) = one(json!({"last_heartbeat_at": "2026-03-26T19:04:00Z", "ended_at": ""}));
    assert_eq!(session.gaps, []);
}

#[test]
fn a_status_that_vigil_does_not_know_holds_the_session() {
    for (changes, native) in [
        (json!({"status": "paused"}), "paused"),
        (json!({"status": null}), ""),
        (json!({"status": 7}), ""),
        (
            json!({"status": "success", "pull_request_state": "DRAFT"}),
            "success",
        ),
    ] {
        let (session, work) = one(changes.clone());
        assert_eq!(session.native_state, native);
        assert!(
            gaps(&session).iter().any(|(field, _)| *field == "state"),
            "{changes}"
        );
        assert_eq!(session.owner_effects.writable, [], "{changes}");
        assert_eq!(session.owner_says, None);
        assert!(!work.readable);
    }
}

#[test]
fn the_owner_s_word_is_its_final_state() {
    for (changes, says) in [
        (json!({"status": "failed"}), Some(State::Failed)),
        (json!({"status": "closed"}), Some(State::Closed)),
        (
            json!({"status": "success", "pull_request_state": "MERGED"}),
            Some(State::Succeeded),
        ),
        (
            json!({"status": "success", "pull_request_state": "OPEN"}),
            None,
        ),
        (json!({"status": "incomplete"}), None),
    ] {
        assert_eq!(one(changes.clone()).0.owner_says, says, "{changes}");
    }
}

#[test]
fn duplicates_are_both_held_and_both_named() {
    let read = read(&[
        record(json!({})),
        record(json!({"issue_number": 300})),
        record(json!({"status": "blocked"})),
        record(json!({"repo": "Owner/Repo"})),
    ]);
    let ids: Vec<_> = read
        .iter()
        .map(|(session, _)| session.id.id.as_str())
        .collect();
    assert_eq!(
        ids,
        [
            "owner/repo#299",
            "owner/repo#300",
            "owner/repo#299@2",
            "Owner/Repo#299@3"
        ]
    );
    for (index, (session, work)) in read.iter().enumerate() {
        let held = index != 1;
        assert_eq!(session.owner_effects.writable.is_empty(), held);
        assert_eq!(work.readable, !held);
        assert_eq!(session.lookup.issue.is_err(), held);
        if held {
            assert_eq!(gaps(session), [("record", &GapKind::Malformed)]);
            assert!(session.gaps[0].gap.detail.contains(&session.id.id));
        }
    }
}

#[test]
fn a_key_that_comes_twice_holds_its_record_and_no_other() {
    let plain = record(json!({}));
    let text = format!(
        "[{plain},\n{{\"repo\":\"a/b\",\"issue_number\":1,\"status\":\"running\",\n \"status\":\"closed\"}}]"
    );
    let file = RecordFile::parse(Path::new("/h/sessions.json"), &text).expect("it parses");
    let read = sessions(&file, "vigilante", NOW);
    assert_eq!(read[0].0.gaps, []);
    let held = &read[1].0;
    assert_eq!(held.id.id, "a/b#1");
    assert_eq!(held.owner_effects.writable, []);
    assert!(
        held.gaps[0].gap.detail.contains("line 3, column 2"),
        "{:?}",
        held.gaps
    );
    assert!(held.lookup.issue.is_err() && held.lookup.pull_request.is_err());
}

#[test]
fn the_issue_is_asked_for_only_where_the_forge_tracks_it() {
    let issue = |changes: Value| one(changes).0.lookup.issue;
    assert_eq!(
        issue(json!({"issue_backend": "github"})),
        Ok(Some(IssueRef {
            repo: "owner/repo".to_owned(),
            number: 299
        }))
    );
    let kind = |changes: Value| issue(changes).map_err(|gap| gap.kind);
    assert_eq!(kind(json!({"issue_backend": "linear"})), Ok(None));
    assert_eq!(kind(json!({"repo": null})), Err(GapKind::Malformed));
    for repo in [
        "owner",
        "owner/",
        "/repo",
        "a/b/c",
        "owner/re po",
        "owner/..",
        "ow\"ner/repo",
        "-o/r",
        "o/r\n",
        "ö/r",
    ] {
        let (session, _) = one(json!({"repo": repo}));
        assert_eq!(
            session.lookup.issue.clone().map_err(|gap| gap.kind),
            Err(GapKind::Malformed),
            "{repo:?}"
        );
        assert!(session.lookup.pull_request.is_err());
        assert_eq!(session.repo, None);
        assert!(gaps(&session).iter().any(|(field, _)| *field == "repo"));
    }
    for repo in ["a/b.c", "A-1/_x", "octo_corp/r", "o/.github"] {
        assert!(issue(json!({"repo": repo})).is_ok(), "{repo}");
    }
    let linear = one(json!({"issue_backend": "linear"})).0;
    assert_eq!(linear.tracker, "linear");
    assert!(
        linear.lookup.pull_request.is_ok(),
        "the pull request lives on the forge in any case"
    );
}

#[test]
fn the_pull_request_is_looked_up_where_the_record_says() {
    let number = |repo: &str, number| {
        let owner = if repo == "up/repo" { "me" } else { "owner" };
        Ok(Some(PullRequestRef {
            number: Some(number),
            ..PullRequestRef::by_branch(repo, "vigilante/issue-299-t", owner)
        }))
    };
    let branch = |repo: &str, owner: &str| {
        Ok(Some(PullRequestRef::by_branch(
            repo,
            "vigilante/issue-299-t",
            owner,
        )))
    };
    let fork = json!({"fork_mode": true, "upstream_repo": "up/repo", "fork_owner": "me"});
    let with = |base: &Value, more: Value| {
        let mut base = base.clone();
        let fields = base.as_object_mut().expect("an object");
        fields.extend(more.as_object().expect("an object").clone());
        base
    };
    for (changes, expected) in [
        (json!({}), branch("owner/repo", "owner")),
        (
            json!({"push_repo": "acme/app"}),
            branch("owner/repo", "acme"),
        ),
        (
            json!({"pull_request_number": 319}),
            number("owner/repo", 319),
        ),
        (fork.clone(), branch("up/repo", "me")),
        (
            with(
                &fork,
                json!({"upstream_pr_number": 7, "pull_request_number": 319}),
            ),
            number("up/repo", 7),
        ),
        (
            with(&fork, json!({"pull_request_number": 319})),
            number("up/repo", 319),
        ),
        (
            json!({"fork_mode": true, "push_repo": "me/repo"}),
            branch("owner/repo", "me"),
        ),
        // Left over from another time: without fork mode they say nothing.
        (
            json!({"upstream_repo": "up/repo", "fork_owner": "me", "upstream_pr_number": 7}),
            branch("owner/repo", "owner"),
        ),
        (json!({"fork_mode": true}), Err(GapKind::Unrecorded)),
        (json!({"branch": null}), Err(GapKind::Unrecorded)),
        (json!({"branch": ""}), Err(GapKind::Unrecorded)),
        (
            json!({"branch": null, "pull_request_number": 319}),
            Ok(Some(PullRequestRef {
                head_owner: Some("owner".to_owned()),
                ..PullRequestRef::by_number("owner/repo", 319)
            })),
        ),
        (
            json!({"pull_request_number": "319"}),
            Err(GapKind::Malformed),
        ),
        (json!({"push_repo": "not a repo"}), Err(GapKind::Malformed)),
        (json!({"fork_mode": "yes"}), Err(GapKind::Malformed)),
        (json!({"pr_backend": "gitlab"}), Ok(None)),
        (
            json!({"branch": "--upload-pack=x"}),
            Err(GapKind::Malformed),
        ),
    ] {
        let found = one(changes.clone())
            .0
            .lookup
            .pull_request
            .map_err(|gap| gap.kind);
        assert_eq!(found, expected, "{changes}");
    }
}

#[test]
fn branches_are_those_that_git_takes() {
    for name in [
        "a",
        "vigilante/issue-1",
        "ünï/#1",
        "a@b",
        "a.b",
        "-",
        "feature/\"x\"",
        "a{b}",
    ] {
        assert_eq!(lookup::is_ref_name(name), name != "-", "{name}");
    }
    for name in [
        "", "@", "-x", "a..b", "a b", "a~1", "a^", "a:b", "a?", "a*", "a[", "a\\b", "a@{1}", "/a",
        "a/", "a//b", ".a", "a/.b", "a.lock", "a.", "a\n", "a\u{7f}",
    ] {
        assert!(!lookup::is_ref_name(name), "{name:?}");
    }
}

#[test]
fn named_facts_are_those_that_were_recorded() {
    let fact = |changes: Value, name: &str| one(changes).0.text(name).map(str::to_owned);
    let in_flight = |value: Value| {
        let changes = json!({ "pull_request_maintenance_in_flight": value });
        let session = one(changes).0;
        let faults: Vec<String> = session.facts.iter().filter_map(NamedFact::fault).collect();
        assert_eq!(faults, [""; 0]);
        session.fact("maintenance-in-flight").clone()
    };
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(fact(json!({}), "stage"), None);
    assert_eq!(
        fact(
            json!({"status": "blocked", "blocked_stage": "ci_remediation"}),
            "stage"
        ),
        text("ci_remediation")
    );
    assert_eq!(
        fact(
            json!({"status": "failed", "last_blocked_stage": "pr_maintenance"}),
            "stage"
        ),
        text("pr_maintenance")
    );
    // A run that followed the stop is not where it stopped.
    assert_eq!(
        fact(json!({"last_blocked_stage": "pr_maintenance"}), "stage"),
        None
    );
    assert_eq!(
        fact(json!({"last_cleanup_source": "cli"}), "cleanup"),
        text("cli")
    );
    assert_eq!(
        fact(
            json!({"cleanup_completed_at": "2026-03-26T17:00:00Z"}),
            "cleanup"
        ),
        text("unrecorded")
    );
    assert_eq!(
        in_flight(json!(true)),
        Fact::Found(vigil_core::named::Value::Flag(true))
    );
    assert_eq!(in_flight(json!(false)), Fact::NotAsked);
    // What cannot be read is unknown, and not "no".
    let unread = in_flight(json!("yes"));
    assert_eq!(unread.gap().map(|gap| &gap.kind), Some(&GapKind::Malformed));
    assert_eq!(
        fact(
            json!({"incomplete_reason": "commits_without_pr"}),
            "incomplete-reason"
        ),
        text("commits_without_pr")
    );
    assert_eq!(fact(json!({"provider": null}), "provider"), text("codex"));
    assert_eq!(
        fact(json!({"provider": "gemini"}), "provider"),
        text("gemini")
    );
}

#[test]
fn paths_and_pids_are_checked_before_they_are_used() {
    let kind = |changes: Value| one(changes).1.worktree.map_err(|gap| gap.kind);
    assert!(kind(json!({})).is_ok());
    for path in [
        "relative",
        "--git-dir=/x",
        "/srv/../etc",
        "/srv/a\nb",
        "~/x",
    ] {
        assert_eq!(
            kind(json!({"worktree_path": path})),
            Err(GapKind::Malformed),
            "{path}"
        );
    }
    assert_eq!(kind(json!({"worktree_path": ""})), Err(GapKind::Unrecorded));
    let pid = |value: Value| {
        one(json!({"process_id": value}))
            .1
            .pid
            .map_err(|gap| gap.kind)
    };
    assert_eq!(pid(json!(1)), Ok(1));
    assert_eq!(pid(json!(0)), Err(GapKind::Unrecorded));
    assert_eq!(pid(json!(-1)), Err(GapKind::Malformed));
    assert_eq!(pid(json!(4_294_967_296_u64)), Err(GapKind::Malformed));
    assert_eq!(pid(json!(2_147_483_648_u64)), Err(GapKind::Malformed));
}

#[test]
fn a_log_that_two_repositories_share_is_nobody_s() {
    let read = read(&[
        record(json!({"repo": "a-b/c", "issue_number": 1})),
        record(json!({"repo": "a/b-c", "issue_number": 1})),
        record(json!({"repo": "a/b-c", "issue_number": 2})),
        record(json!({"repo": "a/.b_c.", "issue_number": 3})),
    ]);
    for (_, work) in &read[..2] {
        assert_eq!(
            work.log.as_ref().map_err(|gap| &gap.kind),
            Err(&GapKind::IdentityChanged)
        );
    }
    assert_eq!(read[2].1.log.as_deref(), Ok("a-b-c-issue-2.log"));
    assert_eq!(read[3].1.log.as_deref(), Ok("a-b-c-issue-3.log"));
}

#[test]
fn the_published_cases_are_read_without_gaps() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../../shared/cases/vigilante.json"
    );
    let Ok(text) = std::fs::read_to_string(path) else {
        eprintln!("skipped: {path} is not there");
        return;
    };
    let cases: Value = serde_json::from_str(&text).expect("it is JSON");
    let cases = cases["cases"].as_array().expect("an array of cases");
    assert!(cases.len() > 10);
    for case in cases {
        let (session, _) = read(&[case["session"].clone()]).pop().expect("one session");
        assert_eq!(session.gaps, [], "{}", case["id"]);
        let expected = match case["session"]["status"].as_str() {
            Some("blocked") => State::Blocked,
            Some("incomplete") => State::Interrupted,
            Some("success") => State::Maintaining,
            _ => State::Running,
        };
        assert_eq!(session.state, expected, "{}", case["id"]);
    }
}
