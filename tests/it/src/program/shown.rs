//! What a person is shown of GitHub: what is left to ask, how wrong the clock is, and how far a long pass has come.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use serde_json::{Value, json};
use vigil::demo::home::REPO;
use vigil::demo::{Home, Made};
use vigil::world::LiveWorld;
use vigil_model::Request;
use vigil_sources::World as _;

use super::stage::{Held, Stage, TOKEN, wait_for, wait_for_end};

/// Adds a session with an open issue and an open pull request, 20 numbers on.
fn add_open(stage: &mut Stage, issue: u64) {
    let made = Made {
        issue,
        ..Made::default()
    };
    let head = stage.home.add(&made).expect("a session");
    let created = stage.minutes_ago(100);
    stage.on_github(|model| {
        let pull = model.repo(REPO).issue(issue).pull(issue + 20);
        let pull = pull.head(&Home::branch(issue)).sha(&head);
        pull.created_at(created);
    });
    stage.write();
}

/// The budget of the only account, as `status --json` tells it.
fn budget(stage: &Stage) -> Value {
    let status = stage.run(&["status", "--offline", "--json"]).json_with(0);
    assert_eq!(status["budget"].as_array().map(Vec::len), Some(1));
    status["budget"][0].clone()
}

/// When a pot is filled again, as GitHub itself says.
fn reset(stage: &mut Stage, resource: &str) -> String {
    let now_ms = super::stage::now().0;
    let limits = stage.on_github(|model| {
        model
            .respond(Request::get("/rate_limit", TOKEN), now_ms)
            .value()
    });
    let seconds = limits["resources"][resource]["reset"].as_i64();
    let at = jiff::Timestamp::from_second(seconds.expect("a moment"));
    at.expect("a moment").to_string()
}

#[test]
fn status_shows_what_is_left_what_vigil_took_and_when_it_is_filled_again() {
    let mut stage = Stage::new();
    // Others have taken some before.
    stage.on_github(|model| {
        model.token(TOKEN).used(400, 1_000);
    });
    add_open(&mut stage, 1);
    stage.pass().ended(0);
    stage.pass().ended(0);
    let tally = stage.on_github(|model| model.tally().clone());
    let (points, rest) = (tally.points, tally.rest_charged);
    assert!(points > 0 && rest > 0, "{tally:?}");
    let told = budget(&stage);
    let resets = (reset(&mut stage, "graphql"), reset(&mut stage, "core"));
    // A quarter of the hour's 5,000 is vigil's.
    let expected = json!({
        "account": "default",
        "points": {
            "limit": 5_000,
            "remaining": 4_000 - points,
            "spent": points,
            "share_left": 1_250 - points,
            "reset": resets.0,
        },
        "rest_requests": {
            "limit": 5_000,
            "remaining": 4_600 - rest,
            "spent": rest,
            "share_left": 1_250 - rest,
            "reset": resets.1,
        },
        "postponed": 0,
        "silent_until": null,
        "silent_because": null,
    });
    assert_eq!(told, expected, "{told:#}");

    let people = stage.run(&["status", "--offline"]).ended(0).out.clone();
    let line = format!(
        "GitHub (default): points: {} of 5000 left, vigil took {points} and may take {}, filled again at {}; \
         REST requests: {} of 5000 left, vigil took {rest} and may take {}, filled again at {}\n",
        4_000 - points,
        1_250 - points,
        resets.0,
        4_600 - rest,
        1_250 - rest,
        resets.1
    );
    assert!(people.contains(&line), "{line}\n{people}");
}

#[test]
fn status_shows_what_was_put_off_because_vigils_share_was_used_up() {
    let mut stage = Stage::new();
    // A quarter of four is one.
    stage.on_github(|model| {
        model.token(TOKEN).limits(5_000, 4);
    });
    add_open(&mut stage, 1);
    stage.pass();
    assert_eq!(budget(&stage)["points"]["share_left"], 0);
    add_open(&mut stage, 2);
    let before = stage.on_github(|model| model.tally().points);
    let passed = stage.pass().json();
    assert_eq!(stage.on_github(|model| model.tally().points), before);
    let put_off = &passed["github"]["postponed"];
    assert!(
        put_off.as_u64().is_some_and(|count| count > 0),
        "{passed:#}"
    );
    let told = budget(&stage);
    assert_eq!(&told["postponed"], put_off, "{told:#}");
    // A look is no pass: it neither ends what was put off nor adds to it.
    let looked = stage.status().json();
    assert_eq!(&looked["budget"][0]["postponed"], put_off, "{looked:#}");
    assert_eq!(&budget(&stage)["postponed"], put_off);
    assert_eq!(told["silent_until"], Value::Null, "nobody said to wait");
    let people = stage.run(&["status", "--offline"]).ended(0).out.clone();
    assert!(
        people.contains(&format!("; {put_off} questions put off\n")),
        "{people}"
    );
}

#[test]
fn doctor_calls_a_clock_wrong_that_is_a_minute_from_githubs() {
    // Five seconds of slack for a slow machine, which a minute leaves on both sides.
    for (ahead_s, ok) in [(300, false), (-300, false), (20, true), (-20, true)] {
        let ahead_ms: i64 = ahead_s * 1_000;
        let clock = move || LiveWorld.now().0.saturating_add_signed(ahead_ms);
        let mut stage = Stage::by(Arc::new(clock));
        stage.set_merged(1);
        let ran = stage.run(&["doctor", "--json"]);
        let document = ran.json_with(i32::from(!ok));
        let findings = document["findings"].as_array().expect("a list");
        let about = findings.iter().find(|finding| finding["what"] == "clock");
        let about = about.unwrap_or_else(|| panic!("{document:#}"));
        assert_eq!(about["ok"], ok, "{ahead_s}: {about:#}");
        let detail = about["detail"].as_str().expect("a text");
        let told = detail.split(' ').next().map(str::parse::<i64>);
        let Some(Ok(told)) = told else {
            panic!("{detail}");
        };
        assert!((told - ahead_s).abs() <= 30, "{ahead_s}: {detail}");
        let hint = about["hint"].as_str();
        assert_eq!(hint.is_some_and(|hint| hint.contains("NTP")), !ok);
    }
}

/// The same command on a terminal, all of whose output goes to `screen`. `None`: this machine cannot make one.
fn on_a_terminal(command: &Command, screen: &Path) -> Option<Command> {
    let mut line = format!("'{}'", command.get_program().to_str()?);
    for argument in command.get_args() {
        line.push_str(&format!(" '{}'", argument.to_str()?));
    }
    // util-linux's; others take other arguments.
    let version = Command::new("script").arg("--version").output().ok()?;
    String::from_utf8_lossy(&version.stdout)
        .contains("util-linux")
        .then_some(())?;
    let mut on = Command::new("script");
    on.args(["--quiet", "--return", "--flush", "--command", &line])
        .arg(screen)
        .env_clear()
        .env("TERM", "xterm")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .current_dir(command.get_current_dir()?);
    for (name, value) in command.get_envs() {
        on.env(name, value?);
    }
    Some(on)
}

/// What the bar says while it stands.
const BAR: &str = "asking GitHub";

#[test]
fn a_long_pass_shows_a_bar_on_a_terminal_and_nowhere_else() {
    let stage = Stage::with_merged(1);
    let gate = stage.gate();
    let arguments = |json: bool| match json {
        true => vec!["run", "--dry-run", "--json"],
        false => vec!["run", "--dry-run"],
    };
    let file = |name: &str| stage.path(name);
    let read = |name: &str| fs::read_to_string(file(name)).unwrap_or_default();
    let plain = stage.vigil_through(&gate, &arguments(false));
    let documents = stage.vigil_through(&gate, &arguments(true));
    let (Some(mut watched), Some(mut documents)) = (
        on_a_terminal(&plain, &file("watched")),
        on_a_terminal(&documents, &file("documents")),
    ) else {
        eprintln!("skipped: there is no `script` of util-linux to make a terminal with");
        return;
    };
    let mut piped = plain;
    piped
        .stdout(Stdio::null())
        .stderr(File::create(file("piped")).expect("a file"));
    // Those without a bar begin first, so that they have waited for longer when one shows.
    let mut all = Vec::new();
    for command in [&mut piped, &mut documents, &mut watched] {
        all.push(Held(command.spawn().expect("it starts")));
        gate.wait_for_arrival();
    }
    wait_for("the bar", || read("watched").contains(BAR).then_some(()));
    gate.open();
    for child in &mut all {
        assert_eq!(wait_for_end(&mut child.0).code(), Some(0));
    }
    assert!(read("watched").contains("0/2"), "{}", read("watched"));
    for name in ["piped", "documents"] {
        assert!(!read(name).contains(BAR), "{name}: {}", read(name));
    }
    assert!(read("documents").contains("vigil.run/1"));
    // It is gone when the results come: what is written after it begins with nothing of it.
    let screen = read("watched");
    let (_, after) = screen.rsplit_once(BAR).expect("a bar");
    assert!(after.contains("looked at"), "{screen}");
}
