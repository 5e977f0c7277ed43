//! The report that vigil came out of. Issue #299 is recorded as `running`, nothing has moved for 109 minutes, the log
//! tells of success, pull request #319 is merged, the issue is closed, and the scheduler that should have noticed is
//! wedged: it lives, and it holds `scan.lock`.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::fs::FlockOperation;
use serde_json::{Value, json};
use vigil::demo::home::{REPO, touch};
use vigil::demo::{Home, Made};

use super::stage::{Held, Stage, keys, session, uptime, wait_for};

const SUCCESS: &str = "[2026-03-26T17:39:41Z] session succeeded duration=29m issue=299 provider=codex status=success\n";

/// A record that its owner settled long ago, as no serializer would write it.
const BYSTANDER: &str = r#"{"status" :"closed","issue_number":7, "repo":"acme/app","branch":"caf\u00e9","x":[1.50,1e3,{"b":2,"a":1}],
    "repo_path":"/nowhere","worktree_path":"/nowhere/at/all","provider":"codex","issue_backend":"github"}"#;

/// The wedged scheduler: a process of its own that lives and keeps the lock.
struct Wedge {
    _scheduler: Held,
}

/// The scene. `merged`: pull request #319 is merged; otherwise it is open.
fn scene(merged: bool) -> (Stage, Wedge) {
    let mut stage = Stage::new();
    let silence = Duration::from_secs(109 * 60);
    stage.home.wedge(silence).expect("a lock");
    stage.home.unwedge();
    let lock = stage.home.vigilante().join("scan.lock");
    let held = File::options()
        .read(true)
        .write(true)
        .open(&lock)
        .expect("the lock");
    // A child that another test is just starting may have a copy of the old one for a moment.
    wait_for("the lock to be free", || {
        rustix::fs::flock(&held, FlockOperation::NonBlockingLockExclusive).ok()
    });
    // The lock belongs to the open file, and from here on only the scheduler has that open.
    let scheduler = Command::new("sleep")
        .arg("600")
        .stdin(held)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("sleep");
    touch(&lock, stage.now.before(silence)).expect("a time");
    let supervisor = scheduler.id();
    let scheduler = Held(scheduler);

    let head = stage
        .home
        .add(&Made {
            issue: 299,
            title: "The report vigil came out of",
            supervisor,
            log: SUCCESS,
            extra: [("last_error".to_owned(), json!("signal: killed"))]
                .into_iter()
                .collect(),
            ..Made::default()
        })
        .expect("a session");
    let (created, ended) = (stage.minutes_ago(100), stage.minutes_ago(80));
    stage.on_github(|model| {
        let issue = model.repo(REPO).issue(299).label("vigilante:done");
        let pull = issue
            .closed_at("completed", ended)
            .pull(319)
            .head(&Home::branch(299))
            .sha(&head)
            .created_at(created);
        if merged {
            pull.merged_at(ended);
        }
    });
    stage.write();
    let pretty = stage.sessions();
    let text = format!(
        "{},\n  {BYSTANDER}\n]",
        pretty.trim_end().trim_end_matches(']').trim_end()
    );
    // A field that this vigil does not know, spelled as no serializer would.
    let text = text.replace(
        "\"provider\": \"codex\",\n    \"push",
        "\"provider\": \"codex\",\n    \"zz_unknown\" : {\"b\":1.50,  \"a\":\"\\u00e9\"},\n    \"push",
    );
    assert!(text.contains("zz_unknown"), "{text}");
    fs::write(stage.sessions_file(), text).expect("sessions.json");
    fs::set_permissions(stage.sessions_file(), fs::Permissions::from_mode(0o640)).expect("a mode");
    (
        stage,
        Wedge {
            _scheduler: scheduler,
        },
    )
}

/// Whether the machine has been up for so long that the scheduler's silence can be measured. Silence counts from the
/// boot at the earliest, so on a younger machine nothing proves a wedge.
fn silence_can_be_measured() -> bool {
    let measurable = uptime() > Duration::from_secs(11 * 60);
    if !measurable {
        eprintln!(
            "not tried: this machine was booted less than 11 minutes ago, and silence counts from the boot"
        );
    }
    measurable
}

/// Fields that the move to `success` may touch.
const WRITTEN: [&str; 16] = [
    "status",
    "process_id",
    "last_heartbeat_at",
    "last_error",
    "ended_at",
    "updated_at",
    "recovered_at",
    "monitoring_stopped_at",
    "stale_auto_restart_stopped_at",
    "pull_request_number",
    "pull_request_url",
    "pull_request_state",
    "pull_request_merged_at",
    "pull_request_head_branch",
    "pull_request_base_branch",
    "last_maintained_at",
];

#[test]
fn before_it_is_recorded_as_running_and_judged_succeeded() {
    let (stage, _wedge) = scene(true);
    let before = stage.sessions();
    let status = stage.status().json_with(0);
    let seen = session(&status, 299);
    assert_eq!(seen["recorded_state"], "running");
    assert_eq!(seen["native_state"], "running");
    assert_eq!(seen["stale"], true);
    assert!(seen["stale_since"].is_string(), "{seen:#}");
    assert_eq!(seen["judged_state"], "succeeded");
    assert_eq!(seen["rule"], "merged-pr");
    assert_eq!(seen["pr"], 319);
    assert_eq!(stage.sessions(), before, "status writes nothing");
}

#[test]
fn one_pass_makes_the_record_true_and_touches_nothing_else() {
    if !silence_can_be_measured() {
        return;
    }
    let (stage, _wedge) = scene(true);
    let before = stage.sessions();
    let run = stage.pass().json_with(0);
    let moved = session(&run, 299);
    assert_eq!(moved["outcome"], "transitioned", "{moved:#}");
    assert_eq!(
        (&moved["from"], &moved["to"]),
        (&json!("running"), &json!("succeeded"))
    );
    assert_eq!(
        (&moved["from_native"], &moved["to_native"]),
        (&json!("running"), &json!("success"))
    );
    assert_eq!(moved["rule"], "merged-pr");
    assert_eq!(moved["exclusive"], false, "it was written past a held lock");
    assert!(
        moved["reason"].as_str().expect("a reason").contains("#319"),
        "{moved:#}"
    );

    let record = stage.record(299);
    assert_eq!(record["status"], "success");
    assert_eq!(record["pull_request_number"], 319);
    assert_eq!(record["pull_request_state"], "MERGED");
    for time in [
        "monitoring_stopped_at",
        "stale_auto_restart_stopped_at",
        "ended_at",
        "recovered_at",
    ] {
        let text = record[time].as_str().unwrap_or_default();
        assert!(
            text.ends_with('Z') && text.len() == 20,
            "{time}: {record:#}"
        );
    }
    for gone in ["process_id", "last_heartbeat_at", "last_error"] {
        assert!(record.get(gone).is_none(), "{gone}: {record:#}");
    }

    let after = stage.sessions();
    assert!(
        after.contains(BYSTANDER),
        "another record changed:\n{after}"
    );
    assert_eq!(untouched(&before), untouched(&after));
    let mode = fs::metadata(stage.sessions_file())
        .expect("there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o640);
}

/// The lines that hold none of the written fields, without the comma that a neighbour needs.
fn untouched(text: &str) -> Vec<String> {
    let written = |line: &str| {
        WRITTEN
            .iter()
            .any(|key| line.trim_start().starts_with(&format!("\"{key}\"")))
    };
    text.split('\n')
        .filter(|line| !written(line))
        .map(|line| line.strip_suffix(',').unwrap_or(line).to_owned())
        .collect()
}

#[test]
fn the_history_says_why_and_nothing_brings_it_back() {
    if !silence_can_be_measured() {
        return;
    }
    let (stage, _wedge) = scene(true);
    let moved = session(&stage.pass().json_with(0), 299);
    let written = stage.sessions();

    let history = stage.run(&["history", "--json"]).json_with(0);
    let rows = history["transitions"].as_array().expect("a list");
    assert_eq!(rows.len(), 1, "{history:#}");
    let row = &rows[0];
    assert_eq!(row["id"], moved["transition_id"]);
    assert_eq!(row["session"], format!("{REPO}#299"));
    assert_eq!(row["outcome"], "written");
    assert_eq!(row["reason"], moved["reason"]);
    assert_eq!(row["rule"], "merged-pr");

    let again = stage.pass().json_with(0);
    assert_eq!(
        again["sessions"],
        json!([]),
        "a settled session is not looked at"
    );
    assert_eq!(again["github"]["requests"], 0);
    let status = stage.run(&["status", "--all", "--json"]).json_with(0);
    let seen = session(&status, 299);
    assert_eq!(
        (&seen["recorded_state"], &seen["stale"]),
        (&json!("succeeded"), &json!(false))
    );
    assert_eq!(stage.sessions(), written);

    let for_people = stage.run(&["history", &format!("{REPO}#299")]);
    let merged = "PR #319 was merged 1 h 20 min ago; the record was last touched ";
    assert!(for_people.ended(0).out.contains(merged), "{for_people:#?}");
}

#[test]
fn an_open_pull_request_means_that_it_is_looked_after() {
    if !silence_can_be_measured() {
        return;
    }
    let (stage, _wedge) = scene(false);
    let moved = session(&stage.pass().json_with(0), 299);
    assert_eq!(
        (&moved["to"], &moved["rule"]),
        (&json!("maintaining"), &json!("open-pr")),
        "{moved:#}"
    );
    let record = stage.record(299);
    assert_eq!(
        (&record["status"], &record["pull_request_state"]),
        (&json!("success"), &json!("OPEN"))
    );
    // The issue is closed: without this Vigilante would remove worktree and branch.
    assert!(record["monitoring_stopped_at"].is_string(), "{record:#}");

    let again = stage.pass().json_with(0);
    let held = session(&again, 299);
    assert_eq!(
        (&held["outcome"], &held["from"]),
        (&json!("held"), &json!("maintaining"))
    );
}

#[test]
fn without_github_it_stays_running_and_stale_with_the_gap_as_its_reason() {
    let (stage, _wedge) = scene(true);
    let stage = stage.unplug();
    let before = stage.sessions();

    let run = stage.pass().json_with(1);
    let held = session(&run, 299);
    assert_eq!(
        (&held["outcome"], &held["rule"]),
        (&json!("held"), &json!("github-unknown")),
        "{held:#}"
    );
    assert_eq!(
        (&held["from"], &held["to"]),
        (&json!("running"), &json!("running"))
    );
    let gaps = held["gaps"].as_array().expect("a list");
    assert!(
        gaps.iter()
            .any(|gap| gap["fact"] == "issue" && gap["kind"] == "unreachable"),
        "{held:#}"
    );

    let status = stage.status().json();
    let seen = session(&status, 299);
    assert_eq!(
        (&seen["recorded_state"], &seen["stale"]),
        (&json!("running"), &json!(true)),
        "{seen:#}"
    );
    assert_eq!(seen["judged_state"], Value::Null, "nothing is invented");
    let reason = seen["reason"].as_str().expect("a reason");
    assert!(reason.contains("unreachable"), "{reason}");
    assert_eq!(stage.sessions(), before);
    assert_eq!(
        stage.run(&["history", "--json"]).json_with(0)["transitions"],
        json!([])
    );
}

#[test]
fn undo_restores_the_record_and_the_move_is_not_repeated() {
    if !silence_can_be_measured() {
        return;
    }
    let (stage, _wedge) = scene(true);
    let before = but_for_bookkeeping(stage.record(299));
    let moved = session(&stage.pass().json_with(0), 299);
    let id = moved["transition_id"]
        .as_str()
        .expect("a transition")
        .to_owned();

    let undone = stage.run(&["undo", &id, "--json"]).json_with(0);
    assert_eq!(
        (&undone["undoes"], &undone["to"]),
        (&json!(id), &json!("running"))
    );
    assert_eq!(but_for_bookkeeping(stage.record(299)), before);
    assert!(stage.sessions().contains(BYSTANDER));

    let run = stage.pass().json_with(0);
    let refused = session(&run, 299);
    assert_eq!(refused["outcome"], "refused", "{refused:#}");
    let guards = refused["guards"].as_array().expect("a list");
    assert!(
        guards
            .iter()
            .any(|guard| guard["code"] == "owner-disagrees"),
        "{refused:#}"
    );
    assert_eq!(but_for_bookkeeping(stage.record(299)), before);
    let alerts = stage.status().json()["alerts"].clone();
    let alerts = alerts.as_array().expect("a list");
    assert!(
        alerts.iter().any(|alert| alert["key"]
            .as_str()
            .is_some_and(|key| key.starts_with("owner-disagrees"))),
        "{alerts:#?}"
    );

    let twice = stage.run(&["undo", &id]);
    assert!(twice.ended(2).err.contains("already undone"), "{twice:#?}");
    let history = stage.run(&["history", "--json"]).json_with(0);
    let rows = history["transitions"].as_array().expect("a list");
    let original = rows
        .iter()
        .find(|row| row["id"] == id.as_str())
        .expect("the row");
    assert_eq!(original["undone_by"], undone["transition_id"]);
}

/// An undo leaves alone what only says when somebody last looked: its owner may have written it since.
fn but_for_bookkeeping(mut record: Value) -> Value {
    if let Some(fields) = record.as_object_mut() {
        fields.remove("last_maintained_at");
        fields.remove("updated_at");
    }
    record
}

#[test]
fn explain_names_the_rule_the_evidence_and_what_would_move_it() {
    let (stage, _wedge) = scene(true);
    let name = format!("{REPO}#299");
    let told = stage.run(&["explain", &name]);
    for part in [
        "merged-pr",
        "PR #319 was merged",
        "leads to   succeeded",
        "vigilante:done",
    ] {
        assert!(told.ended(0).out.contains(part), "{part}: {told:#?}");
    }

    // With an open pull request it goes elsewhere, and the merge is what would end it.
    let (stage, _wedge) = scene(false);
    let run = stage.run(&["explain", &name, "--json"]).json_with(0);
    let would = run["would_move"].as_array().expect("a list");
    let merged = would.iter().find(|what| {
        what["if"]
            .as_str()
            .is_some_and(|text| text.contains("merged"))
    });
    assert_eq!(
        merged.expect("a merge is among them")["then"],
        "succeeded",
        "{run:#}"
    );
    for what in would {
        assert_eq!(keys(what), ["guards", "if", "rule", "then"]);
    }
}

#[test]
fn every_documented_key_is_there_and_no_other() {
    let (stage, _wedge) = scene(true);
    let name = format!("{REPO}#299");
    let explained = stage.run(&["explain", &name, "--json"]).json_with(0);
    let run = stage.pass().json();
    let status = stage.status().json();
    let offline = stage
        .run(&["status", "--offline", "--all", "--json"])
        .json_with(0);
    let history = stage.run(&["history", "--json"]).json_with(0);

    let pass = [
        "dry_run",
        "github",
        "journal_error",
        "now",
        "schema",
        "sessions",
        "sources",
        "took_ms",
    ];
    let of_pass = [
        "exclusive",
        "from",
        "from_native",
        "gaps",
        "guards",
        "id",
        "outcome",
        "policy",
        "policy_digest",
        "reason",
        "reason_from",
        "rule",
        "source",
        "to",
        "to_native",
        "transition_id",
    ];
    let of_status = [
        "evidence_age_s",
        "gaps",
        "id",
        "issue",
        "judged_state",
        "last_known",
        "native_state",
        "outcome",
        "pr",
        "reason",
        "reason_at",
        "reason_from",
        "recorded_state",
        "repo",
        "rule",
        "source",
        "stale",
        "stale_since",
    ];
    assert_eq!(
        (run["schema"].as_str(), keys(&run)),
        (Some("vigil.run/1"), pass.to_vec())
    );
    assert_eq!(
        keys(&run["sources"][0]),
        ["error", "kind", "locked", "name"]
    );
    assert_eq!(
        keys(&run["github"]),
        [
            "planned",
            "points",
            "postponed",
            "remaining",
            "requests",
            "rest_requests",
            "trouble",
            "unchanged",
        ]
    );
    assert_eq!(
        keys(&run["github"]["planned"]),
        ["points", "postponed", "requests", "rest_requests"]
    );
    assert_eq!(keys(&session(&run, 299)), of_pass);
    for status in [&status, &offline] {
        let whole = [
            "alerts", "budget", "github", "now", "offline", "paused", "schema", "sessions",
            "sources", "stopped", "webhooks",
        ];
        assert_eq!(
            (status["schema"].as_str(), keys(status)),
            (Some("vigil.status/1"), whole.to_vec())
        );
    }
    assert_eq!(
        keys(&offline["budget"][0]),
        [
            "account",
            "points",
            "postponed",
            "rest_requests",
            "silent_because",
            "silent_until",
        ]
    );
    assert_eq!(
        keys(&offline["budget"][0]["points"]),
        ["limit", "remaining", "reset", "share_left", "spent"]
    );
    assert_eq!(keys(&session(&offline, 299)), of_status);
    assert_eq!(explained["schema"], "vigil.explain/1");
    let whole = [
        "answers",
        "evidence",
        "last",
        "last_known",
        "now",
        "schema",
        "session",
        "stale_since",
        "would_move",
    ];
    assert_eq!(keys(&explained), whole);
    assert_eq!(keys(&explained["session"]), of_pass);
    assert_eq!(
        (history["schema"].as_str(), keys(&history)),
        (Some("vigil.history/1"), vec!["schema", "transitions"])
    );
    let of_history = [
        "at",
        "detail",
        "exclusive",
        "from",
        "from_native",
        "id",
        "kind",
        "outcome",
        "policy",
        "policy_digest",
        "reason",
        "rule",
        "session",
        "source",
        "to",
        "to_native",
        "undoes",
        "undone_by",
    ];
    assert_eq!(keys(&history["transitions"][0]), of_history);
}
