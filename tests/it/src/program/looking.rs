//! `vigil status`: what it costs, how long it takes, and what it does not claim.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use vigil::demo::Made;
use vigil::demo::home::REPO;
use vigil_model::{Fault, Scope};

use super::stage::{Stage, session, was_suspended};

#[test]
fn offline_it_tells_what_the_journal_has_and_asks_nobody() {
    let mut stage = Stage::new();
    stage.add_merged(&Made {
        issue: 1,
        ..Made::default()
    });
    stage
        .home
        .add(&Made {
            issue: 2,
            agent: true,
            ..Made::default()
        })
        .expect("a session");
    stage.on_github(|model| {
        model.repo(REPO).issue(2);
    });
    stage.write();

    let unseen = stage.run(&["status", "--offline", "--json"]).json_with(0);
    let seen = session(&unseen, 1);
    assert_eq!(
        (&seen["judged_state"], &seen["rule"]),
        (&json!(null), &json!(null)),
        "nobody has looked yet"
    );
    assert_eq!(stage.requests(), 0);
    assert!(
        was_suspended() || !stage.state_dir().exists(),
        "looking offline makes nothing"
    );

    stage.pass().ended(0);
    let asked = stage.requests();
    let stage = stage.unplug();
    let offline = stage
        .run(&["status", "--offline", "--all", "--json"])
        .json_with(0);
    assert_eq!(offline["offline"], true);
    let done = session(&offline, 1);
    assert_eq!(
        (&done["judged_state"], &done["rule"]),
        (&json!("succeeded"), &json!("merged-pr")),
        "{done:#}"
    );
    let working = session(&offline, 2);
    assert_eq!(
        (&working["judged_state"], &working["rule"]),
        (&json!("running"), &json!("active")),
        "{working:#}"
    );
    assert_eq!(
        working["stale"], false,
        "an agent was seen at work a moment ago"
    );
    assert!(
        working["evidence_age_s"]
            .as_u64()
            .is_some_and(|age| age < 60),
        "{working:#}"
    );
    let mut stage = stage;
    assert_eq!(stage.requests(), asked);
}

#[test]
fn a_second_look_within_a_minute_costs_nothing() {
    let mut stage = Stage::with_merged(1);
    let first = stage.status().json_with(0);
    let asked = stage.requests();
    assert!(asked > 0, "what looks stale is checked on GitHub");
    assert_eq!(first["github"]["requests"], asked);
    let started = Instant::now();
    let second = stage.status().json_with(0);
    if started.elapsed() > Duration::from_secs(50) {
        eprintln!("not tried: this machine is too slow for a minute to hold two looks");
        return;
    }
    assert_eq!(second["github"]["requests"], 0);
    assert_eq!(stage.requests(), asked);
    for key in ["judged_state", "rule", "stale_since", "pr"] {
        assert_eq!(session(&first, 1)[key], session(&second, 1)[key], "{key}");
    }
}

#[test]
fn when_github_hangs_it_answers_after_ten_seconds_and_says_what_it_does_not_know() {
    let mut stage = Stage::with_merged(1);
    // So long that only the deadline of the whole look can be what ends it.
    stage.configure("[github]\nrequest_timeout = \"10m\"\n");
    stage.on_github(|model| model.fail(Scope::Any, Fault::Hang));
    let started = Instant::now();
    let status = stage.status().json();
    let took = started.elapsed();
    assert!(took < Duration::from_secs(40), "it took {took:?}");
    let seen = session(&status, 1);
    assert_eq!(
        (&seen["stale"], &seen["judged_state"]),
        (&json!(true), &json!(null)),
        "{seen:#}"
    );
    let gaps = seen["gaps"].as_array().expect("a list");
    assert!(
        gaps.iter()
            .any(|gap| gap["fact"] == "issue" && gap["kind"] == "timed-out"),
        "{seen:#}"
    );
    let people = stage.run(&["status", "--offline"]);
    assert!(
        people.ended(0).out.contains("could not be judged"),
        "{people:#?}"
    );
}

#[test]
fn stale_evidence_is_never_called_running() {
    let mut stage = Stage::new();
    // The issue is open, there is no pull request, and the supervisor lives: nobody can say that the agent is gone.
    stage
        .home
        .add(&Made {
            issue: 1,
            supervisor: std::process::id(),
            ..Made::default()
        })
        .expect("a session");
    stage.on_github(|model| {
        model.repo(REPO).issue(1);
    });
    stage.write();
    for arguments in [
        &["status", "--json"][..],
        &["status", "--offline", "--json"],
    ] {
        let status = stage.run(arguments).json_with(0);
        let seen = session(&status, 1);
        assert_eq!(seen["recorded_state"], "running");
        assert_eq!(seen["stale"], true, "{seen:#}");
        assert_ne!(seen["judged_state"], "running", "{seen:#}");
    }
}

#[test]
fn with_reconcile_it_writes_what_it_judged_and_shows_the_record_after() {
    let stage = Stage::with_merged(1);
    let status = stage.run(&["status", "--reconcile", "--json"]).json_with(0);
    let seen = session(&status, 1);
    assert_eq!(
        (&seen["recorded_state"], &seen["judged_state"]),
        (&json!("succeeded"), &json!("succeeded")),
        "{seen:#}"
    );
    assert_eq!(
        (&seen["outcome"], &seen["stale"]),
        (&json!("transitioned"), &json!(false))
    );
    assert_eq!(stage.record(1)["status"], "success");
    assert_eq!(stage.record(1)["pull_request_state"], Value::from("MERGED"));
}
