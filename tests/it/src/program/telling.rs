//! What a person is told: the plan before the first request, what to do about trouble, each cause once, and what was
//! known before it became unknown.

use std::fs::{self, File};
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use vigil::demo::home::REPO;
use vigil::demo::{Home, Made};
use vigil::pass::How;
use vigil::world::LiveWorld;
use vigil_model::{Fault, Forbidden, Scope};

use super::stage::{Held, Ran, Stage, ran, session, wait_for, wait_for_end};

/// A program's command without any token.
fn without_token(stage: &Stage, arguments: &[&str]) -> Ran {
    ran(stage.vigil(arguments).env_remove("GH_TOKEN"))
}

#[test]
fn a_dry_run_says_what_it_is_going_to_ask_before_it_asks() {
    let mut stage = Stage::with_merged(1);
    let gate = stage.gate();
    let out = stage.path("out");
    let told = || fs::read_to_string(&out).expect("what it printed");
    let mut command = stage.vigil_through(&gate, &["run", "--dry-run"]);
    let mut dry = Held(
        command
            .stdout(File::create(&out).expect("a file"))
            .spawn()
            .expect("vigil starts"),
    );
    gate.wait_for_arrival();
    let before = told();
    assert!(
        before.starts_with("Planned for GitHub: 1 request for 1 point and 0 probes. More for"),
        "{before}"
    );
    assert!(!before.contains("looked at"), "{before}");
    assert_eq!(stage.requests(), 0, "nobody was let through yet");
    gate.open();
    assert_eq!(wait_for_end(&mut dry.0).code(), Some(0));
    let after = told();
    assert_eq!(after.matches("Planned for GitHub").count(), 1, "{after}");
    assert!(
        after.contains("GitHub: 1 request for 1 point"),
        "what it did cost stands at the end: {after}"
    );
    assert_eq!(stage.requests(), 1);
}

#[test]
fn the_plan_and_the_cost_stand_side_by_side_in_json() {
    let stage = Stage::with_merged(1);
    let cold = stage.run(&["run", "--dry-run", "--json"]).json_with(0);
    let planned = json!({ "requests": 1, "points": 1, "rest_requests": 0, "postponed": 0 });
    assert_eq!(cold["github"]["planned"], planned, "{cold:#}");
    assert_eq!(cold["github"]["requests"], 1);

    // What is known is only looked at for changes. A move reads its facts again, which no plan can know.
    stage.run(&["status", "--json"]).ended(0);
    let warm = stage.run(&["run", "--dry-run", "--json"]).json_with(0);
    let planned = json!({ "requests": 0, "points": 0, "rest_requests": 1, "postponed": 0 });
    assert_eq!(warm["github"]["planned"], planned, "{warm:#}");
    assert_eq!(warm["github"]["rest_requests"], 1);
    assert_eq!(warm["github"]["requests"], 1, "{warm:#}");
}

#[test]
fn a_silence_that_a_dry_run_was_told_holds_for_whoever_asks_next() {
    for has_journal in [false, true] {
        let mut stage = Stage::with_merged(1);
        if has_journal {
            stage.pass().ended(0);
            stage.add_merged(&Made {
                issue: 2,
                ..Made::default()
            });
            stage.write();
        }
        let secondary = Fault::Forbidden(Forbidden::Secondary(Some(3_600)));
        stage.on_github(|model| model.fail(Scope::Any, secondary));
        let dry = stage.run(&["run", "--dry-run", "--json"]).json_with(1);
        assert_eq!(dry["github"]["trouble"]["code"], "rate-limited", "{dry:#}");
        let asked = stage.requests();
        assert!(asked > 0);

        let next = stage.pass().json_with(1);
        assert_eq!(
            next["github"]["trouble"]["code"], "rate-limited",
            "{next:#}"
        );
        assert_eq!(
            stage.requests(),
            asked,
            "nothing was sent, journal: {has_journal}"
        );
        let status = stage.run(&["status", "--offline", "--json"]).json_with(0);
        assert_ne!(
            status["budget"][0]["silent_until"],
            Value::Null,
            "{status:#}"
        );

        // The plan knows it, too.
        let dry = stage.run(&["run", "--dry-run"]).ended(1).out.clone();
        assert!(
            dry.starts_with("Planned for GitHub: 0 requests") && dry.contains("put off"),
            "{dry}"
        );
    }
}

#[test]
fn a_pass_that_could_not_ask_says_what_to_do() {
    let stage = Stage::with_merged(1);
    let told = without_token(&stage, &["run", "--once"]);
    let told = &told.ended(1).out;
    assert!(
        told.contains("GitHub could not be asked: there is no token"),
        "{told}"
    );
    assert!(
        told.contains("\nhint: set GH_TOKEN, or run gh auth login\n"),
        "{told}"
    );

    let mut stage = stage;
    stage.on_github(|model| model.fail(Scope::Any, Fault::BadCredentials));
    let rejected = stage.run(&["run", "--once", "--json"]).json_with(1);
    let trouble = &rejected["github"]["trouble"];
    assert_eq!(trouble["code"], "token-rejected", "{rejected:#}");
    let hint = trouble["hint"].as_str().expect("a hint");
    assert!(hint.contains("GH_TOKEN"), "{hint}");

    let stage = stage.unplug();
    let unreachable = stage.run(&["run", "--once"]);
    let unreachable = &unreachable.ended(1).out;
    assert!(
        unreachable.contains("hint: `vigil doctor` checks"),
        "{unreachable}"
    );
}

#[test]
fn the_daemon_says_in_its_log_what_to_do() {
    let stage = Stage::with_merged(1);
    let log = stage.path("log");
    let mut command = stage.vigil(&["run", "--interval", "1h"]);
    let command = command
        .env_remove("GH_TOKEN")
        .stdout(Stdio::null())
        .stderr(File::create(&log).expect("a file"));
    let _daemon = Held(command.spawn().expect("vigil starts"));
    wait_for("the hint in the log", || {
        let log = fs::read_to_string(&log).expect("the log");
        (log.contains("GitHub could not be asked") && log.contains("set GH_TOKEN")).then_some(())
    });
}

#[tokio::test]
async fn a_pass_tells_its_plan_and_then_how_far_it_is() {
    let mut stage = Stage::with_merged(1);
    let setup = stage.inside(Arc::new(LiveWorld));
    let (_engine, chain) = setup.chain(&[]).expect("the built-in policy");
    let mut reconciler = setup.looker(chain, None).expect("a reconciler");
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = |told: &Arc<Mutex<Vec<String>>>, text: String| {
        told.lock().expect("no panic").push(text);
    };
    let plan = Arc::clone(&told);
    reconciler.asking.planned = Some(Arc::new(move |planned| {
        tell(&plan, format!("{} planned", planned.requests));
    }));
    let far = Arc::clone(&told);
    reconciler.asking.progress = Some(Arc::new(move |done, total| {
        tell(&far, format!("{done} of {total}"));
    }));
    let how = How {
        dry_run: true,
        keep_facts: false,
        ..How::once()
    };
    let passed = reconciler.pass(&how).await.expect("a pass");
    assert_eq!(passed.github.requests, stage.requests());
    let told = told.lock().expect("no panic").clone();
    assert_eq!(told[0], "1 planned", "before anything is asked: {told:?}");
    let begun = told.iter().position(|told| told == "0 of 2");
    let ended = told.iter().position(|told| told == "2 of 2");
    assert!(begun.is_some() && begun < ended, "{told:?}");
}

#[test]
fn status_says_one_cause_once_however_many_sessions_it_concerns() {
    let mut stage = Stage::new();
    for issue in 1..=5 {
        stage.add_merged(&Made {
            issue,
            ..Made::default()
        });
    }
    stage.write();
    let online = without_token(&stage, &["status"]);
    let online = &online.ended(1).out;
    for told in [online, &without_token(&stage, &["status", "--offline"]).out] {
        // The first one raised no alert.
        assert!(told.matches("there is no token").count() <= 1, "{told}");
        assert!(told.contains("5 sessions could not be judged"), "{told}");
        assert!(told.contains("unknown (unauthenticated)") || told.contains("nobody has looked"));
    }
    assert_eq!(online.matches("there is no token").count(), 1, "{online}");
    assert_eq!(online.matches("hint:").count(), 1, "{online}");
    assert_eq!(
        online
            .matches("(unauthenticated); the record stays")
            .count(),
        5,
        "{online}"
    );
    let status = without_token(&stage, &["status", "--json"]).json_with(1);
    for issue in 1..=5 {
        let seen = session(&status, issue);
        let detail = seen["gaps"][0]["detail"].as_str().expect("a gap");
        assert!(detail.contains("there is no token"), "{seen:#}");
    }

    // What a pass stored is told in the same way by those who ask nobody.
    without_token(&stage, &["run", "--once"]).ended(1);
    let offline = stage.run(&["status", "--offline"]);
    let offline = &offline.ended(0).out;
    assert_eq!(offline.matches("there is no token").count(), 1, "{offline}");
    assert!(
        offline
            .contains("5 sessions: issue, pull-request unknown (unauthenticated): see the alert"),
        "{offline}"
    );
}

#[test]
fn an_alert_stays_where_the_look_may_have_asked_by_another_account() {
    let stage = Stage::with_merged(1);
    without_token(&stage, &["run", "--once"]).ended(1);
    stage.configure("[[github.token]]\nowners = [\"others\"]\nenv = \"GH_TOKEN\"\n");
    let looked = stage.status();
    let document = looked.json();
    assert!(
        document["github"]["requests"].as_u64() > Some(0),
        "{document:#}"
    );
    assert_eq!(document["alerts"][0]["key"], "github-no-token");
}

#[test]
fn a_dry_run_keeps_a_silence_where_another_process_made_the_memory_meanwhile() {
    let mut stage = Stage::with_merged(1);
    let limited = Fault::Forbidden(Forbidden::Secondary(Some(600)));
    stage.on_github(|model| model.fail(Scope::Any, limited));
    let gate = stage.gate();
    let mut command = stage.vigil_through(&gate, &["run", "--dry-run"]);
    let command = command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut dry = Held(command.spawn().expect("vigil starts"));
    gate.wait_for_arrival();
    stage.run(&["pause"]).ended(0);
    gate.open();
    wait_for_end(&mut dry.0);
    let told = stage.run(&["status", "--offline", "--json"]).json();
    assert!(told["budget"][0]["silent_until"].is_string(), "{told:#}");
}

#[test]
fn an_alert_is_over_as_soon_as_a_look_shows_it() {
    let stage = Stage::with_merged(1);
    without_token(&stage, &["run", "--once"]).ended(1);
    let alerts = |ran: &Ran| ran.json()["alerts"].clone();
    let stored = alerts(&stage.run(&["status", "--offline", "--json"]));
    assert_eq!(stored[0]["key"], "github-no-token");

    // The look was answered, so there is a token. It changes nothing: the next pass ends the alert, and tells so.
    assert_eq!(alerts(&stage.status()), json!([]));
    assert_eq!(
        alerts(&stage.run(&["status", "--offline", "--json"])),
        stored
    );
    stage.pass().ended(0);
    assert_eq!(
        alerts(&stage.run(&["status", "--offline", "--json"])),
        json!([])
    );
}

#[test]
fn an_alert_of_a_source_goes_with_its_configuration() {
    let stage = Stage::with_merged(1);
    let vigilante = stage.home.vigilante();
    let both = format!(
        "[source.here]\nkind = \"vigilante\"\nhome = {vigilante:?}\n\
         [source.gone]\nkind = \"vigilante\"\nhome = {:?}\n",
        stage.path("nowhere")
    );
    stage.configure(&both);
    stage.pass().ended(1);
    let keys = || {
        let status = stage.run(&["status", "--offline", "--json"]).json();
        let alerts = status["alerts"].as_array().expect("a list").clone();
        let keys = alerts.iter().map(|alert| alert["key"].clone());
        keys.collect::<Vec<Value>>()
    };
    assert_eq!(keys(), ["source-gone"]);
    let one = both.split("[source.gone]").next().expect("a half");
    stage.configure(one);
    // Who works with one source knows nothing of the others.
    stage.run(&["run", "--once", "--source", "here"]).ended(0);
    assert_eq!(keys(), ["source-gone"]);
    stage.pass().ended(0);
    assert_eq!(keys(), [] as [&str; 0]);
}

#[test]
fn what_was_known_stands_beside_the_gap_and_no_policy_sees_it() {
    let mut stage = Stage::new();
    let head = stage.home.add(&Made::default()).expect("a session");
    stage.write();
    let created = stage.minutes_ago(100);
    stage.on_github(|model| {
        let issue = model.repo(REPO).issue(1).label("vigilante:queued");
        let pull = issue.pull(21).head(&Home::branch(1)).sha(&head);
        pull.created_at(created);
    });
    let open = stage.pass().json_with(0);
    assert_eq!(session(&open, 1)["to"], "maintaining", "{open:#}");
    let name = format!("{REPO}#1");
    let explain = ["explain", &name, "--json"];
    let known = stage.run(&explain).json_with(0);
    assert_eq!(
        known["last_known"],
        json!([]),
        "nothing is unknown: {known:#}"
    );

    let stage = stage.unplug();
    let failed = stage.pass().json_with(1);
    assert_eq!(session(&failed, 1)["outcome"], "held", "{failed:#}");
    // Asked a moment ago, it is not asked again.
    let unknown = stage.run(&explain).json_with(0);
    let facts: Vec<&Value> = unknown["last_known"]
        .as_array()
        .expect("a list")
        .iter()
        .collect();
    assert_eq!(facts.len(), 2, "{unknown:#}");
    assert_eq!(
        (&facts[0]["fact"], &facts[0]["said"]),
        (&json!("issue"), &json!("#1 open, labels vigilante:queued"))
    );
    assert_eq!(
        (&facts[1]["fact"], &facts[1]["said"]),
        (&json!("pull-request"), &json!("#21 open"))
    );
    // The evidence, which is all that a policy sees, has the gap alone.
    assert!(
        unknown["evidence"]["issue"]["unknown"].is_object(),
        "{unknown:#}"
    );
    assert!(
        !unknown["evidence"].to_string().contains("vigilante:queued"),
        "{unknown:#}"
    );
    let people = stage.run(&["explain", &name]);
    let people = &people.ended(0).out;
    assert!(
        people.contains("What was known before (no decision rests on it)")
            && people.contains("#1 open, labels vigilante:queued"),
        "{people}"
    );
}

#[test]
fn with_json_standard_output_has_a_document_or_nothing() {
    let stage = Stage::with_merged(1);
    stage.configure("[source.vigilante]\nkind = \"vigilante\"\n");
    let stage = stage.unplug();
    // Those that did what they were asked for tell what went wrong on the way.
    for arguments in [
        &["run", "--once"][..],
        &["run", "--dry-run"],
        &["status"],
        &["status", "--reconcile"],
        &["explain", "acme/app#1"],
        &["doctor"],
    ] {
        let mut arguments = arguments.to_vec();
        arguments.push("--json");
        let told = stage.run(&arguments).json_with(1);
        assert!(told["schema"].is_string(), "{arguments:?}: {told:#}");
    }
    // Those that could not do it say why on standard error, in words.
    for arguments in [
        &["run", "--once", "--policy", "nowhere.wasm"][..],
        &["run", "--once", "--source", "nobody"],
        &["status", "--source", "nobody"],
        &["explain", "acme/app#404"],
        &["undo", "t404"],
        &["undo", "nonsense"],
        &["pause", "--source", "nobody"],
        &["resume", "--source", "nobody"],
        &["ack", "--source", "nobody"],
        &["policy", "test", "nowhere"],
        &["policy", "inspect", "nowhere.wasm"],
        &["notify", "test"],
        &["config", "check", "--config", "nowhere.toml"],
        &["run", "--nonsense"],
    ] {
        let mut arguments = arguments.to_vec();
        arguments.push("--json");
        let failed = stage.run(&arguments);
        assert!(
            matches!(failed.code, Some(1 | 2)),
            "{arguments:?}: {failed:#?}"
        );
        assert_eq!(failed.out, "", "{arguments:?}");
        assert!(
            failed.err.starts_with("error: "),
            "{arguments:?}: {failed:#?}"
        );
    }
}
