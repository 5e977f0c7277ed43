//! Which policy runs: the built-in by its bare name, wherever one stands, and a file by its path.

use std::fs;

use serde_json::{Value, json};
use vigil::demo::home::REPO;

use super::guests;
use super::stage::{Stage, session};

/// A stage whose current folder, and the folder of its configuration, hold another component called `default.wasm`.
fn planted() -> Stage {
    let mut stage = Stage::with_merged(1);
    stage.on_github(|model| {
        model.repo(REPO).issue(1).label("needs-design");
    });
    for folder in [stage.user(), stage.user().join(".config/vigil")] {
        fs::create_dir_all(&folder).expect("a folder");
        fs::copy(guests::path("custom"), folder.join("default.wasm")).expect("a component");
    }
    stage
}

/// What `--dry-run` says of the one session, with its policy.
#[track_caller]
fn judged(stage: &Stage, arguments: &[&str]) -> (Value, Value) {
    let words = [&["run", "--once", "--dry-run", "--json"], arguments].concat();
    let run = stage.run(&words).json_with(0);
    let one = session(&run, 1);
    (one["policy"].clone(), one["rule"].clone())
}

#[test]
fn a_file_of_the_current_folder_never_takes_the_built_ins_place() {
    let stage = planted();
    let built_in = (json!("default.wasm"), json!("merged-pr"));
    assert_eq!(judged(&stage, &[]), built_in);
    assert_eq!(judged(&stage, &["--policy", "default.wasm"]), built_in);
    // With a configuration that names none, and with one that names it.
    stage.configure("[run]\ninterval = \"1m\"\n");
    assert_eq!(judged(&stage, &[]), built_in);
    stage.configure("[[policy]]\npath = \"default.wasm\"\n");
    assert_eq!(judged(&stage, &[]), built_in);

    let inspected = stage.run(&["policy", "inspect", "default.wasm", "--json"]);
    let inspected = inspected.json_with(0);
    assert_eq!(
        (&inspected["name"], &inspected["built_in"]),
        (&json!("default"), &json!(true))
    );
    let doctor = stage.run(&["doctor"]);
    assert!(doctor.out.contains("(built in, "), "{doctor:#?}");
    let shown = stage.run(&["config", "show"]);
    assert!(shown.out.contains("path = \"default.wasm\""), "{shown:#?}");
}

#[test]
fn a_file_of_the_built_ins_name_is_named_by_its_path_and_called_by_it() {
    let stage = planted();
    let file = |called: &str| (json!(called), json!("needs-design"));
    assert_eq!(
        judged(&stage, &["--policy", "./default.wasm"]),
        file("./default.wasm")
    );
    let path = stage.user().join("default.wasm");
    let path = path.to_str().expect("UTF-8");
    assert_eq!(judged(&stage, &["--policy", path]), file(path));
    let inspected = stage.run(&["policy", "inspect", "./default.wasm", "--json"]);
    assert_eq!(inspected.json_with(0)["built_in"], json!(false));

    // In a configuration it starts from that file's folder.
    stage.configure("[[policy]]\npath = \"./default.wasm\"\n");
    let folder = stage.user().join(".config/vigil");
    let path = format!("{}/./default.wasm", folder.display());
    assert_eq!(judged(&stage, &[]), file(&path));
    for command in [&["doctor"][..], &["config", "show"]] {
        let told = stage.run(command);
        assert!(told.out.contains(&path), "{told:#?}");
    }

    // And the journal says which it was.
    let run = stage.run(&["run", "--once", "--json"]).json_with(0);
    assert_eq!(session(&run, 1)["policy"], json!(path));
}

#[test]
fn a_file_that_is_not_there_is_no_built_in() {
    let stage = Stage::with_merged(1);
    for name in ["./default.wasm", "default", "team.wasm"] {
        let ran = stage.run(&["status", "--policy", name]);
        ran.ended(2);
        for words in [name, "there is no policy", "built in: default.wasm"] {
            assert!(ran.err.contains(words), "{ran:#?}");
        }
    }
}
