//! `github.reserve` and `github.share`: what they may be, and what they do.

use serde_json::Value;

use super::stage::{Stage, TOKEN};

#[test]
fn percentages_are_whole_and_leave_something_to_ask_with() {
    let stage = Stage::new();
    for (line, fits) in [
        ("reserve = 0", true),
        ("reserve = 99", true),
        ("reserve = 100", false),
        ("share = 1", true),
        ("share = 100", true),
        ("share = 0", false),
        ("share = 101", false),
        ("share = 256", false),
        ("share = -25", false),
        ("share = 2.5", false),
    ] {
        stage.configure(&format!("[github]\n{line}\n"));
        let checked = stage.run(&["config", "check"]);
        let code = if fits { 0 } else { 2 };
        let said = checked.ended(code);
        let (key, _) = line.split_once(' ').expect("a key");
        assert!(fits || said.err.contains(key), "{line}: {}", said.err);
    }
}

/// A first pass, which learns how much is left of 5,000 points, and a second one with something new to ask about.
fn two_passes(config: &str, used: u64) -> (Value, Value) {
    let mut stage = Stage::with_merged(1);
    stage.configure(config);
    stage.on_github(|model| {
        model.token(TOKEN).used(0, used);
    });
    stage.pass().json();
    let status = stage.run(&["status", "--offline", "--json"]).json();
    stage.set_merged(2);
    let pass = stage.run(&["run", "--once", "--json"]).json();
    (status["budget"][0]["points"].clone(), pass)
}

#[test]
fn what_they_leave_is_what_a_pass_may_ask() {
    for (config, used, left) in [
        ("", 0, 1_250),
        ("[github]\nshare = 10\n", 0, 500),
        ("[github]\nshare = 100\n", 0, 4_000),
        ("[github]\nreserve = 99\n", 0, 50),
        ("", 3_900, 100),
        ("", 4_100, 0),
        ("[github]\nreserve = 10\n", 4_100, 400),
    ] {
        let (points, pass) = two_passes(config, used);
        let spent = points["spent"].as_u64().expect("points");
        assert!((1..20).contains(&spent), "{points:#}");
        let left_now = points["share_left"].as_u64().expect("points");
        assert_eq!(
            left_now,
            u64::saturating_sub(left, spent),
            "{config} {used}"
        );
        let asked = pass["github"]["requests"].as_u64().expect("requests");
        assert_eq!(asked > 0, left > 0, "{config} {used}: {pass:#}");
        let postponed = pass["github"]["postponed"].as_u64().expect("questions");
        assert_eq!(postponed > 0, left == 0, "{config} {used}: {pass:#}");
    }
}
