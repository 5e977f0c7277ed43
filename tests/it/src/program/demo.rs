//! `vigil demo`: the whole path on a made-up world, with nothing but the program.

use std::fs;

use serde_json::{Value, json};
use vigil::demo::home::REPO;

use super::stage::{Stage, ran, session, was_suspended};

#[test]
fn it_needs_nothing_and_shows_the_seed_before_and_after() {
    let mut stage = Stage::new();
    let folder = stage.path("demo");
    let folder = folder.to_str().expect("UTF-8");
    let mut command = stage.vigil(&["demo", "--dir", folder, "--json"]);
    // Neither a token nor an address of the user's is any of its business.
    command
        .env_remove("GH_TOKEN")
        .env("GITHUB_API_URL", "http://127.0.0.1:1");
    let demo = ran(&mut command).json_with(0);
    assert_eq!(demo["schema"], "vigil.demo/1");
    let before = session(&demo["before"], 299);
    assert_eq!(
        (&before["recorded_state"], &before["stale"]),
        (&json!("running"), &json!(true))
    );
    assert_eq!(before["judged_state"], "succeeded");
    let all = demo["run"]["sessions"].as_array().expect("a list");
    assert!(all.len() >= 12, "a dozen sessions: {}", all.len());
    let mut outcomes: Vec<&str> = all
        .iter()
        .filter_map(|one| one["outcome"].as_str())
        .collect();
    outcomes.sort_unstable();
    outcomes.dedup();
    assert!(
        outcomes.contains(&"held") && outcomes.contains(&"transitioned"),
        "{outcomes:?}"
    );
    assert!(!outcomes.contains(&"failed"), "{outcomes:?}");
    assert_eq!(stage.requests(), 0, "it brings its own GitHub");
    assert!(
        was_suspended() || !stage.state_dir().exists(),
        "it keeps out of the user's journal"
    );

    // What it leaves can be looked at with the commands that it names.
    let mut command = stage.vigil(&["history", "--json"]);
    let history = ran(command.env("VIGIL_STATE_DIR", format!("{folder}/state"))).json_with(0);
    let moved = all
        .iter()
        .filter(|one| one["outcome"] == "transitioned" || one["outcome"] == "repaired");
    assert_eq!(
        history["transitions"].as_array().map(Vec::len),
        Some(moved.count())
    );
    let records = fs::read_to_string(format!("{folder}/vigilante/sessions.json")).expect("records");
    let records: Vec<Value> = serde_json::from_str(&records).expect("JSON");
    for one in all.iter().filter(|one| one["outcome"] == "transitioned") {
        let id = one["id"].as_str().expect("an id");
        let record = records
            .iter()
            .find(|record| format!("{REPO}#{}", record["issue_number"]) == id);
        assert_eq!(
            record.expect("a record")["status"],
            one["to_native"],
            "{id}"
        );
    }

    let again = stage.run(&["demo", "--dir", folder]);
    assert!(
        again.ended(2).err.contains("not empty"),
        "it deletes nothing: {again:#?}"
    );
}

#[test]
fn for_people_it_tells_before_decisions_after_and_where_the_files_are() {
    let stage = Stage::new();
    let folder = stage.path("demo");
    let told = stage.run(&["demo", "--dir", folder.to_str().expect("UTF-8")]);
    let text = &told.ended(0).out;
    let mut from = 0;
    for part in [
        "Before",
        "One pass",
        "Waits a few seconds for scan.lock",
        "merged-pr",
        "After",
        "Where things are",
        "sessions.json",
    ] {
        let found = text[from..].find(part);
        assert!(found.is_some(), "no {part} after byte {from}:\n{text}");
        from += found.unwrap_or_default();
    }
}
