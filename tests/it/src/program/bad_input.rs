//! Bad input: each is one clear error with its exit code, writes nothing, and takes nothing else down.

use std::fs;

use serde_json::{Value, json};
use vigil::demo::Made;
use vigil::demo::home::REPO;
use vigil_model::{Fault, Forbidden, Scope};

use super::guests;
use super::stage::{Ran, Stage, session, wait_for};

// ---- Records ----

#[test]
fn a_corrupt_file_is_named_with_line_and_column_and_other_sources_go_on() {
    for (text, place) in [
        (&b"[\n  {\"repo\": \"acme/app\",,}\n]"[..], ":2:"),
        (
            b"[\n  {\"repo\": \"acme/app\"",
            ":2:21: the file ends in the middle of a record, so that it was cut off: put a copy back",
        ),
        (
            b"{\"sessions\": []}\n",
            ":1:1: an object where the list of sessions belongs: leave the list alone",
        ),
        (
            b"{\"repo\": \"acme/app\"}\n",
            ":1:1: a record where the list of sessions belongs: put it into [ and ]",
        ),
        (b"", ":1:1: it is empty: put a copy back"),
        (b"\0\0\0\0", ":1:1: it holds nothing but zero bytes"),
        (b"[1, 2]", ":1:"),
        (
            b"\xef\xbb\xbf[]",
            ":1:1: it begins with a byte order mark, which Vigilante cannot read: save it",
        ),
        (
            b"\xff\xfe[\0]\0",
            ":1:1: it is UTF-16, and Vigilante reads UTF-8: save it as UTF-8",
        ),
        (
            b"[\n \xff]",
            ":2:2: a byte that is not UTF-8: save the file",
        ),
        (
            b"[\n<<<<<<< HEAD\n]",
            ":2:1: a mark of a merge that was not finished: keep one of the two sides",
        ),
        (
            b"[{},\n]",
            ":2:1: a comma with nothing behind it: remove it",
        ),
    ] {
        let stage = Stage::with_merged(1);
        let broken = stage.path("broken");
        fs::create_dir(&broken).expect("a folder");
        fs::write(broken.join("sessions.json"), text).expect("a file");
        stage.configure(&format!(
            "[source.good]\nkind = \"vigilante\"\nhome = {:?}\n[source.broken]\nkind = \"vigilante\"\nhome = {:?}\n",
            stage.home.vigilante(),
            broken
        ));
        let run = stage.pass().json_with(1);
        let sources = run["sources"].as_array().expect("a list");
        let error = |name: &str| {
            let found = sources.iter().find(|source| source["name"] == name);
            found.expect("the source is there")["error"].clone()
        };
        let said = error("broken");
        let said = said.as_str().unwrap_or_else(|| panic!("{text:?}: {run:#}"));
        assert!(
            said.contains(&format!("sessions.json{place}")),
            "{text:?}: {said}"
        );
        // Who cannot be found among what was read may be among what was not.
        let explained = stage.run(&["explain", "acme/app#404"]);
        assert_eq!(explained.code, Some(1), "{explained:#?}");
        assert!(
            explained
                .err
                .contains("is unknown: source broken could not be read")
        );
        // The same words wherever a person looks, and no hint about another folder.
        for command in [&["status"] as &[&str], &["run", "--once"], &["doctor"]] {
            let shown = stage.run(command);
            assert_eq!(shown.code, Some(1), "{shown:#?}");
            assert!(shown.out.contains(said), "{command:?}: {shown:#?}");
            assert!(
                !shown.out.contains("VIGILANTE_HOME"),
                "{command:?}: {shown:#?}"
            );
            assert!(
                !shown.out.contains("No sessions."),
                "{command:?}: {shown:#?}"
            );
        }
        assert_eq!(error("good"), Value::Null);
        assert_eq!(
            session(&run, 1)["outcome"],
            "transitioned",
            "{text:?}: {run:#}"
        );
        assert_eq!(fs::read(broken.join("sessions.json")).expect("there"), text);
        let left: Vec<_> = fs::read_dir(&broken).expect("a folder").flatten().collect();
        assert_eq!(left.len(), 1, "nothing was put beside it: {left:?}");
    }
}

#[test]
fn a_missing_home_is_an_error_with_its_path() {
    let stage = Stage::with_merged(1);
    let nowhere = stage.path("nowhere");
    let home = nowhere.to_str().expect("UTF-8").to_owned();
    let run = super::stage::ran(
        stage
            .vigil(&["run", "--once", "--json"])
            .env("VIGILANTE_HOME", &home),
    );
    let run = run.json_with(1);
    let said = run["sources"][0]["error"].as_str().expect("an error");
    assert!(said.contains(&home), "{said}");
    assert!(!nowhere.exists());
}

#[test]
fn times_that_cannot_be_are_gaps_and_the_facts_of_github_still_count() {
    for (field, value, kind) in [
        ("started_at", json!("yesterday"), "malformed"),
        (
            "last_heartbeat_at",
            json!("2026-13-45T99:99:99Z"),
            "malformed",
        ),
        (
            "last_heartbeat_at",
            json!("9999-01-01T00:00:00Z"),
            "in-the-future",
        ),
        ("updated_at", json!(17), "malformed"),
        ("updated_at", json!("2199-01-01T00:00:00Z"), "in-the-future"),
    ] {
        let mut stage = Stage::new();
        stage
            .home
            .add(&Made {
                issue: 1,
                extra: [(field.to_owned(), value.clone())].into_iter().collect(),
                ..Made::default()
            })
            .expect("a session");
        stage.on_github(|model| {
            model.repo(REPO).issue(1);
        });
        stage.write();
        let before = stage.sessions();
        let run = stage.pass().json_with(0);
        let held = session(&run, 1);
        let gaps = held["gaps"].as_array().expect("a list");
        let named = gaps.iter().any(|gap| {
            gap["fact"]
                .as_str()
                .is_some_and(|fact| fact.starts_with("times."))
                && gap["kind"] == kind
        });
        assert!(named, "{field} = {value}: {held:#}");
        assert_eq!(
            held["outcome"], "held",
            "without its times nobody calls an agent gone: {held:#}"
        );
        assert_eq!(stage.sessions(), before);
    }
}

#[test]
fn odd_names_of_repositories_and_branches_reach_github_as_they_are_or_not_at_all() {
    for (key, value) in [
        ("repo", "acme/app\" { x } #"),
        ("repo", "../../etc/passwd"),
        ("repo", "acme"),
        ("repo", "a/b/c"),
        ("repo", "acme/\u{0}app"),
        ("branch", "it's \"odd\" \\ {branch}"),
        ("branch", "caf\u{e9}/\u{1f40e}"),
        ("branch", "--upload-pack=touch /tmp/x"),
        ("branch", "a\nb"),
    ] {
        let mut stage = Stage::new();
        let mut extra = serde_json::Map::from_iter([(key.to_owned(), json!(value))]);
        if key == "repo" {
            extra.insert("push_repo".to_owned(), json!(value));
        }
        stage
            .home
            .add(&Made {
                issue: 1,
                extra,
                ..Made::default()
            })
            .expect("a session");
        stage.add_merged(&Made {
            issue: 2,
            ..Made::default()
        });
        stage.on_github(|model| {
            model.repo(REPO).issue(1);
        });
        stage.write();
        let run = stage.pass();
        let run = run.ended(0).json();
        assert_eq!(
            session(&run, 2)["outcome"],
            "transitioned",
            "{key} {value:?} spoils another: {run:#}"
        );
        let all = run["sessions"].as_array().expect("a list");
        let odd = all
            .iter()
            .find(|session| session["id"] != format!("{REPO}#2"))
            .expect("the odd one");
        assert_ne!(odd["to"], "succeeded", "{key} {value:?}: {odd:#}");
    }
}

// ---- GitHub ----

/// What goes wrong, and what the gap of the issue is called then.
fn faults() -> Vec<(&'static str, Fault, &'static str)> {
    vec![
        ("401", Fault::BadCredentials, "unauthenticated"),
        ("403", Fault::Forbidden(Forbidden::Permission), "denied"),
        (
            "403 of single sign-on",
            Fault::Forbidden(Forbidden::Saml),
            "denied",
        ),
        (
            "403 with retry-after",
            Fault::Forbidden(Forbidden::Secondary(Some(60))),
            "rate-limited",
        ),
        ("429", Fault::TooManyRequests(Some(60)), "rate-limited"),
        (
            "RATE_LIMIT in a 200",
            Fault::RateLimited {
                headers: true,
                older_name: false,
            },
            "rate-limited",
        ),
        (
            "a repository that is not found",
            Fault::RepoHidden(REPO.to_owned()),
            "not-found",
        ),
        ("502 with HTML", Fault::Html(502), "unreachable"),
        ("truncated JSON", Fault::CutJson, "malformed"),
        ("a body that breaks off", Fault::CutBody, "unreachable"),
        ("a reset", Fault::Reset, "unreachable"),
        ("no answer", Fault::Hang, "timed-out"),
    ]
}

#[test]
fn whatever_github_does_wrong_is_a_gap_and_moves_nothing() {
    let mut wrong = Vec::new();
    for (name, fault, kind) in faults() {
        let mut stage = Stage::with_merged(1);
        stage.configure("[github]\nrequest_timeout = \"1s\"\n");
        let is_about_one_repository = matches!(fault, Fault::RepoHidden(_));
        stage.on_github(|model| model.fail(Scope::Any, fault));
        let before = stage.sessions();
        let ran = stage.pass();
        // One repository that is not found is a gap of its sessions; the rest of GitHub works.
        let code = if is_about_one_repository { 0 } else { 1 };
        if ran.code != Some(code) {
            wrong.push(format!("{name}: ended with {:?} {}", ran.code, ran.err));
        }
        let held = session(&ran.json(), 1);
        if (&held["outcome"], &held["rule"]) != (&json!("held"), &json!("github-unknown")) {
            wrong.push(format!("{name}: {held:#}"));
        }
        let gaps = held["gaps"].as_array().expect("a list");
        if !gaps
            .iter()
            .any(|gap| gap["fact"] == "issue" && gap["kind"] == kind)
        {
            wrong.push(format!("{name}: no gap {kind}: {gaps:#?}"));
        }
        assert_eq!(stage.sessions(), before, "{name}");
        assert!(!ran.err.contains("panicked"), "{name}: {ran:#?}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn without_a_token_nothing_is_asked_and_the_reason_says_where_one_may_be() {
    let mut stage = Stage::with_merged(1);
    let before = stage.sessions();
    let ran = super::stage::ran(
        stage
            .vigil(&["run", "--once", "--json"])
            .env_remove("GH_TOKEN"),
    );
    let held = session(&ran.json_with(1), 1);
    let gaps = held["gaps"].to_string();
    assert!(
        gaps.contains("unauthenticated") && gaps.contains("GH_TOKEN"),
        "{held:#}"
    );
    assert_eq!(stage.requests(), 0);
    assert_eq!(stage.sessions(), before);
}

// ---- Requests ----

/// What is asked for, with the text that its error has to hold.
#[test]
fn a_request_that_cannot_be_carried_out_is_one_error_with_exit_code_2() {
    let stage = Stage::with_merged(1);
    let write = |name: &str, bytes: &[u8]| {
        let path = stage.path(name);
        fs::write(&path, bytes).expect("a file");
        path.to_str().expect("UTF-8").to_owned()
    };
    let garbage = write("garbage.wasm", b"not a policy at all");
    let truncated = write("truncated.wasm", &guests::bytes("custom")[..1000]);
    let unknown_key = write("unknown-key.toml", b"[run]\nintervall = \"1m\"\n");
    let no_toml = write("no.toml", b"[run\n");
    let grants = write("grants.toml", b"[grants]\nkinds = [\"comment\"]\n");
    let short = write("short.toml", b"[run]\ninterval = \"1s\"\n");
    let settings = write(
        "settings.toml",
        b"[[policy]]\npath = \"default.wasm\"\n[policy.settings]\nno_such_setting = true\n",
    );
    let core = guests::path("core-module");
    let foreign = guests::path("foreign-import");
    let other = guests::path("other-package");
    let newer = guests::path("newer-package");
    let traps = guests::path("traps-in-describe");
    let drifted = guests::path("drifted-types");
    let once = |policy: &'static str| vec!["run", "--once", "--policy", policy];
    let with = |policy: &str| {
        vec![
            "run".to_owned(),
            "--once".into(),
            "--policy".into(),
            policy.to_owned(),
        ]
    };
    let own = |arguments: &[&str]| {
        arguments
            .iter()
            .map(|&text| text.to_owned())
            .collect::<Vec<_>>()
    };
    let cases: Vec<(&str, Vec<String>)> = vec![
        ("a policy that is not there", own(&once("nowhere.wasm"))),
        ("a policy that is no WebAssembly", with(&garbage)),
        ("a policy that ends too early", with(&truncated)),
        ("a core module", with(&core)),
        ("foreign imports", with(&foreign)),
        ("another package", with(&other)),
        ("a newer package", with(&newer)),
        ("a trap in describe", with(&traps)),
        ("types that drifted", with(&drifted)),
        (
            "an unknown key",
            own(&["--config", &unknown_key, "run", "--once"]),
        ),
        ("no TOML", own(&["--config", &no_toml, "status"])),
        (
            "a grant that nothing carries out",
            own(&["--config", &grants, "run", "--once"]),
        ),
        (
            "an interval that is too short",
            own(&["--config", &short, "run", "--once"]),
        ),
        (
            "settings that do not fit",
            own(&["--config", &settings, "run", "--once"]),
        ),
        (
            "a configuration that is not there",
            own(&["--config", "nowhere.toml", "status"]),
        ),
        (
            "an unknown source",
            own(&["run", "--once", "--source", "patchrelay"]),
        ),
        (
            "a pause of an unknown source",
            own(&["pause", "--source", "patchrelay"]),
        ),
        ("an unknown session", own(&["explain", "acme/app#4711"])),
        ("a name that is nearly one", own(&["explain", "app#1"])),
        ("no transition's name", own(&["undo", "yesterday"])),
        ("an unknown transition", own(&["undo", "t4711"])),
        ("no way to notify", own(&["notify", "test"])),
        (
            "an interval for one pass",
            own(&["run", "--once", "--interval", "1m"]),
        ),
        (
            "an interval that is none",
            own(&["run", "--interval", "soon"]),
        ),
        ("an unknown command", own(&["reconcile"])),
    ];
    let before = stage.sessions();
    let mut said = String::new();
    for (name, arguments) in cases {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let ran: Ran = stage.run(&arguments);
        ran.ended(2);
        assert_eq!(ran.out, "", "{name}: a failed request has no result");
        assert_eq!(ran.err.matches("error: ").count(), 1, "{name}: {}", ran.err);
        said.push_str(&format!("## {name}\n{}\n", redacted(&ran.err, &stage)));
    }
    assert_eq!(stage.sessions(), before);
    snapshot("errors", &said);
}

/// Compares with what was said before, in `tests/it/snapshots`.
pub(super) fn snapshot(name: &str, said: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.bind(|| insta::assert_snapshot!(name, said.trim_end()));
}

/// Without what differs from run to run.
pub(super) fn redacted(text: &str, stage: &Stage) -> String {
    let folder = stage.path("");
    let folder = folder.to_str().expect("UTF-8").trim_end_matches('/');
    let guests = guests::folder();
    text.replace(folder, "[FOLDER]")
        .replace(guests.trim_end_matches('/'), "[GUESTS]")
}

#[test]
fn the_help_of_every_command_is_what_it_was() {
    let stage = Stage::new();
    let mut said = String::new();
    let commands: [&[&str]; 21] = [
        &[],
        &["run"],
        &["status"],
        &["explain"],
        &["history"],
        &["undo"],
        &["pause"],
        &["resume"],
        &["ack"],
        &["policy"],
        &["policy", "test"],
        &["policy", "inspect"],
        &["notify"],
        &["notify", "test"],
        &["demo"],
        &["config"],
        &["config", "path"],
        &["config", "show"],
        &["config", "check"],
        &["doctor"],
        &["completions"],
    ];
    for command in commands {
        let mut arguments = command.to_vec();
        arguments.push("--help");
        let ran = stage.run(&arguments);
        said.push_str(&format!(
            "$ vigil {}\n{}\n",
            arguments.join(" "),
            ran.ended(0).out
        ));
    }
    snapshot("help", &said);
}

#[test]
fn doctor_says_what_is_missing_and_how_to_get_it() {
    let stage = Stage::with_merged(1);
    let well = stage.run(&["doctor", "--json"]).json_with(0);
    assert!(
        well["findings"]
            .as_array()
            .is_some_and(|all| all.iter().all(|finding| finding["ok"] == true))
    );
    assert!(well.to_string().contains("token from"), "{well:#}");

    fs::write(stage.sessions_file(), "[{]").expect("a file");
    let ill =
        super::stage::ran(stage.vigil(&["doctor", "--json"]).env_remove("GH_TOKEN")).json_with(1);
    let failed: Vec<&Value> = ill["findings"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|finding| finding["ok"] == false)
        .collect();
    let about = |what: &str| failed.iter().find(|finding| finding["what"] == what);
    assert!(
        about("GitHub").is_some_and(|finding| finding["hint"].is_string()),
        "{failed:#?}"
    );
    assert!(about("source vigilante").is_some(), "{failed:#?}");
}

#[test]
fn a_state_folder_that_cannot_be_used_is_an_error_of_the_world() {
    let stage = Stage::with_merged(1);
    let file = stage.path("a-file");
    fs::write(&file, "in the way").expect("a file");
    let before = stage.sessions();
    let ran = super::stage::ran(
        stage
            .vigil(&["run", "--once"])
            .env("VIGIL_STATE_DIR", &file),
    );
    assert!(ran.ended(1).err.contains("a-file"), "{ran:#?}");

    fs::create_dir_all(stage.state_dir()).expect("a folder");
    fs::write(
        stage.state_dir().join("vigil.sqlite"),
        "this is no database, and never was one",
    )
    .expect("a file");
    let ran = stage.run(&["run", "--once"]);
    assert!(ran.ended(1).err.contains("vigil.sqlite"), "{ran:#?}");
    assert_eq!(
        stage.sessions(),
        before,
        "without a journal nothing is written"
    );
}

#[test]
fn a_hang_ends_when_the_configuration_says_so() {
    let mut stage = Stage::with_merged(1);
    stage.configure("[github]\nrequest_timeout = \"300ms\"\n");
    stage.on_github(|model| model.fail(Scope::Any, Fault::Hang));
    let mut child = stage
        .vigil(&["run", "--once", "--json"])
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("vigil starts");
    let status = wait_for("the pass to end", || child.try_wait().expect("a child"));
    assert_eq!(status.code(), Some(1));
    assert!(stage.requests() > 0);
}
