//! Repositories that were renamed or transferred, as people meet it: the new name is said wherever they look, and
//! followed where they said so.

use serde_json::Value;
use vigil::demo::home::REPO;
use vigil::demo::{Home, Made};

use super::stage::{Stage, session};

const ISSUE: u64 = 1;

/// A session that passes have seen under review, whose repository was renamed to `to` since, and its work merged.
fn renamed(to: &str) -> Stage {
    let mut stage = Stage::new();
    let head = stage.home.add(&Made::default()).expect("a session");
    stage.write();
    let created = stage.minutes_ago(100);
    stage.on_github(|model| {
        let pull = model.repo(REPO).issue(ISSUE).pull(21);
        pull.head(&Home::branch(ISSUE))
            .sha(&head)
            .created_at(created);
    });
    let seen = session(&stage.pass().json_with(0), ISSUE);
    assert_eq!(seen["rule"], "open-pr", "{seen:#}");
    stage.on_github(|model| {
        model.repo(REPO).renamed(to);
        let issue = model.repo(to).issue(ISSUE).label("vigilante:done");
        issue.closed("completed").pull(21).merged();
    });
    stage
}

fn finding(document: &Value, what: &str) -> (bool, String) {
    let findings = document["findings"].as_array().expect("a list");
    let found = findings.iter().find(|finding| finding["what"] == what);
    let found = found.unwrap_or_else(|| panic!("nothing on {what}: {document:#}"));
    let text = |key: &str| found[key].as_str().unwrap_or_default().to_owned();
    (found["ok"] == true, text("detail"))
}

#[test]
fn the_new_name_is_said_with_what_to_do_and_nothing_moves() {
    for to in ["acme/elsewhere", "umbrella/app"] {
        let stage = renamed(to);
        let said = session(&stage.pass().json_with(0), ISSUE);
        assert_eq!(said["to"], "maintaining", "{said:#}");
        assert_eq!(said["outcome"], "held", "{said:#}");
        let gaps = said["gaps"].to_string();
        assert!(gaps.contains(&format!("now called {to}")), "{gaps}");

        let status = stage.status().json_with(0);
        let alerts = status["alerts"].to_string();
        assert!(alerts.contains(&format!("now called {to}")), "{alerts}");
        assert!(alerts.contains("github.follow_renames"), "{alerts}");

        let doctor = stage.run(&["doctor", "--json"]).json_with(1);
        let (ok, text) = finding(&doctor, &format!("repository {REPO}"));
        assert!(!ok && text.contains(&format!("now called {to}")), "{text}");
        assert_eq!(doctor["repositories"][0]["called"], to);
    }
}

#[test]
fn it_is_followed_where_the_configuration_says_so_and_vigil_has_seen_it_before() {
    for to in ["acme/elsewhere", "umbrella/app"] {
        let stage = renamed(to);
        stage.configure("[github]\nfollow_renames = true\n");
        let said = session(&stage.pass().json_with(0), ISSUE);
        assert_eq!(said["to"], "succeeded", "{said:#}");
        assert_eq!(stage.record(ISSUE)["repo"], REPO, "the owner's own word");

        let doctor = stage.run(&["doctor", "--json"]).json_with(0);
        let (ok, text) = finding(&doctor, &format!("repository {REPO}"));
        assert!(ok && text.contains("its node id is the same"), "{text}");
        assert_eq!(doctor["repositories"][0]["followed"], true);
    }
}

#[test]
fn one_that_vigil_never_saw_under_its_old_name_is_not_followed() {
    let mut stage = Stage::with_merged(ISSUE);
    stage.configure("[github]\nfollow_renames = true\n");
    stage.on_github(|model| {
        model.repo(REPO).renamed("acme/elsewhere");
    });
    let said = session(&stage.pass().json_with(0), ISSUE);
    assert_eq!(said["outcome"], "held", "{said:#}");
    let alerts = stage.status().json_with(0)["alerts"].to_string();
    assert!(
        alerts.contains("never saw this repository under that name"),
        "{alerts}"
    );
    // An alert is over when the record has the new name.
    let records = stage.sessions().replace(REPO, "acme/elsewhere");
    std::fs::write(stage.sessions_file(), records).expect("written");
    stage.pass().ended(0);
    assert_eq!(stage.status().json_with(0)["alerts"].to_string(), "[]");
}
