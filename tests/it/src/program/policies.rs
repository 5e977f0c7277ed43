//! Which policy runs: the built-in by its bare name, wherever one stands, and a file by its path; and what a file does
//! that was made to hold vigil up.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use vigil::demo::home::REPO;

use vigil_policy::{CompileLimits, Compiler, Engine, EngineConfig, LoadFault};

use super::guests;
use super::stage::{Held, Stage, ran, session, wait_for, wait_for_end};

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

// ---- Files that were made to hold vigil up ----------------------------------------------------------------------------

/// Files that would hold vigil up, each with what is said of it.
fn attacks(stage: &Stage) -> Vec<(String, &'static str)> {
    let path = |name: &str| stage.path(name).to_str().expect("UTF-8").to_owned();
    let pipe = Command::new("mkfifo").arg(path("pipe.wasm")).status();
    assert!(pipe.expect("mkfifo").success());
    let sparse = fs::File::create(path("sparse.wasm")).expect("a file");
    sparse.set_len(5 << 30).expect("a size");
    fs::write(path("nested.wasm"), nested()).expect("a file");
    fs::create_dir(path("folder.wasm")).expect("a folder");
    vec![
        (path("pipe.wasm"), "it is a pipe, not a file"),
        (path("folder.wasm"), "it is a folder, not a file"),
        ("/dev/zero".to_owned(), "it is a device, not a file"),
        (
            path("sparse.wasm"),
            "it has 5368709120 bytes, more than the limit of 33554432",
        ),
        (
            path("nested.wasm"),
            "instances, more than the limit of 1000",
        ),
        (guests::path("endless-schema"), "nests deeper than 64"),
    ]
}

/// 1 KB: thirty components, each of which instantiates the one before it twice.
fn nested() -> Vec<u8> {
    let mut text =
        "(component (component $c0 (core module $m) (core instance (instantiate $m)))".to_owned();
    for level in 1..=30 {
        let before = level - 1;
        text.push_str(&format!(
            "(component $c{level} (alias outer 1 $c{before} (component $b)) \
             (instance (instantiate $b)) (instance (instantiate $b)))"
        ));
    }
    text.push_str(
        "(instance $i (instantiate $c30)) (export \"vigil:policy/decider@0.1.0\" (instance $i)))",
    );
    let bytes = wat::parse_str(text).expect("a component");
    assert!(bytes.len() < 2_000);
    bytes
}

#[test]
fn no_file_holds_up_what_loads_a_policy() {
    let stage = Stage::with_merged(1);
    let fixture = stage.path("case.toml");
    fs::write(
        &fixture,
        "[[case]]\nname = \"a\"\nexpect = { verdict = \"hold\" }\n",
    )
    .expect("a file");
    let fixture = fixture.to_str().expect("UTF-8");
    let one = format!("{REPO}#1");
    for (path, words) in attacks(&stage) {
        stage.configure("");
        for command in [
            &["run", "--once", "--policy", &path][..],
            &["status", "--policy", &path],
            &["explain", &one, "--policy", &path],
            &["policy", "inspect", &path],
            &["policy", "test", fixture, "--policy", &path],
        ] {
            let ran = stage.run(command);
            ran.ended(2);
            assert!(ran.err.contains(words), "{command:?}: {ran:#?}");
        }
        stage.configure(&format!("[[policy]]\npath = {path:?}\n"));
        for (command, code) in [("run", 2), ("status", 2), ("doctor", 1)] {
            let once: &[&str] = if command == "run" {
                &["run", "--once"]
            } else {
                &[command]
            };
            let ran = stage.run(once);
            ran.ended(code);
            let said = format!("{}{}", ran.out, ran.err);
            assert!(said.contains(words), "{command}: {ran:#?}");
        }
        let ran = stage.run(&["config", "check"]);
        ran.ended(2);
        assert!(ran.out.contains(words), "{ran:#?}");
    }
}

/// A function that a compiler needs long for: many variables, all of them alive in many places that lead to each other.
fn slow() -> Vec<u8> {
    let locals = 1_500;
    let mut body = String::new();
    for at in 0..6_000 {
        let (one, other) = (at * 7 % locals, at * 13 % locals);
        body.push_str(&format!(
            "(block (br_if 0 (local.get {one})) (local.set {other} (i32.add (local.get {one}) (i32.const {at}))) \
             (br_if 1 (local.get {other})))"
        ));
    }
    let text = format!(
        "(component (core module (func (loop {} {body})))
           (instance $i) (export \"vigil:policy/decider@0.1.0\" (instance $i)))",
        "",
    );
    let text = text.replace(
        "(func (loop",
        &format!("(func (local {}) (loop", "i32 ".repeat(locals)),
    );
    wat::parse_str(text).expect("a component")
}

fn compiling(change: impl FnOnce(&mut CompileLimits)) -> Engine {
    let mut limits = CompileLimits::default();
    change(&mut limits);
    Engine::new(EngineConfig {
        compiler: Some(Compiler {
            program: env!("CARGO_BIN_EXE_vigil-under-test").into(),
            arguments: vec!["compile-policy".into()],
            limits,
        }),
        ..EngineConfig::default()
    })
    .expect("an engine")
}

#[test]
fn a_compiler_that_needs_too_much_is_ended_by_the_limit_it_meets() {
    let slow = slow();
    for (engine, limit) in [
        (
            compiling(|limits| limits.processor_secs = 1),
            "1 s of the processor",
        ),
        // Enough to start in, and not for this.
        (
            compiling(|limits| limits.memory_bytes = 160 << 20),
            "167772160 bytes of memory",
        ),
        (
            compiling(|limits| limits.deadline = Duration::from_millis(1)),
            "0 s",
        ),
    ] {
        let refused = engine.load("slow", &slow, &Value::Null).expect_err(limit);
        match &refused.fault {
            LoadFault::CompilerOver { what } => assert_eq!(what, limit),
            other => panic!("{limit}: {other}"),
        }
        assert!(!refused.fault.is_of_machine());
    }
}

#[test]
fn a_compiler_of_its_own_gives_the_same_policy_and_what_it_says_is_heard() {
    let cache = tempfile::tempdir().expect("a folder");
    let compiler = Compiler {
        program: env!("CARGO_BIN_EXE_vigil-under-test").into(),
        arguments: vec!["compile-policy".into()],
        limits: CompileLimits::default(),
    };
    for (pooling, nth) in [(true, 0), (true, 1), (false, 0)] {
        let engine = Engine::new(EngineConfig {
            cache_dir: Some(cache.path().to_owned()),
            pooling,
            compiler: Some(compiler.clone()),
            ..EngineConfig::default()
        })
        .expect("an engine");
        let policy = engine
            .load("custom", &guests::bytes("custom"), &Value::Null)
            .expect("a policy");
        assert_eq!(policy.from_cache(), nth == 1);
    }
    // Valid to look at, and not to the validator.
    let wrong = wat::parse_str(
        "(component (core module (func (result i32) (i64.const 0))) (instance $i)
           (export \"vigil:policy/decider@0.1.0\" (instance $i)))",
    )
    .expect("a component");
    let refused = compiling(|_| {}).load("wrong", &wrong, &Value::Null);
    let refused = refused.expect_err("it is invalid").to_string();
    assert!(
        refused.contains("it does not compile") && refused.contains("type mismatch"),
        "{refused}"
    );
    // No program of that name: the machine's doing.
    let engine = Engine::new(EngineConfig {
        compiler: Some(Compiler {
            program: "/nowhere/vigil".into(),
            ..compiler
        }),
        ..EngineConfig::default()
    });
    let refused = engine
        .expect("an engine")
        .load("custom", &guests::bytes("custom"), &Value::Null)
        .expect_err("nothing compiles");
    assert!(refused.fault.is_of_machine(), "{refused}");
}

#[test]
fn too_little_memory_is_never_called_the_policys_nonsense() {
    let stage = Stage::with_merged(1);
    let team = guests::path("custom");
    for kilobytes in [
        150_000, 200_000, 260_000, 330_000, 400_000, 600_000, 3_000_000,
    ] {
        let vigil = stage.vigil(&[]);
        let mut limited = Command::new("sh");
        limited
            .arg("-c")
            .arg(format!(
                "ulimit -v {kilobytes} && exec \"$0\" run --once --json --policy {team}"
            ))
            .arg(vigil.get_program())
            .current_dir(stage.user())
            .env_clear()
            .envs(
                vigil
                    .get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            )
            // To print where it is out of memory takes memory.
            .env("RUST_BACKTRACE", "1")
            .stdin(Stdio::null());
        let ran = ran(&mut limited);
        let said = format!("{}{}", ran.out, ran.err);
        assert!(!said.contains("nonsense"), "{kilobytes}: {ran:#?}");
        // It works, or it is vigil's own failure.
        assert!(ran.code != Some(2), "{kilobytes}: {ran:#?}");
    }
}

#[test]
fn a_policy_that_was_replaced_under_a_daemon_is_told_by_daemon_and_status() {
    let stage = Stage::with_merged(1);
    let path = stage.path("team.wasm");
    let put = |name: &str| {
        // As builders do: a new file in the old one's place.
        let new = stage.path("new.wasm");
        fs::copy(guests::path(name), &new).expect("a component");
        fs::rename(&new, &path).expect("renamed");
    };
    put("custom");
    stage.configure(&format!(
        "[[policy]]\npath = {path:?}\n[[policy]]\npath = \"default.wasm\"\n"
    ));
    let log = fs::File::create(stage.path("log")).expect("a file");
    let mut daemon = stage.vigil(&["run", "--interval", "5s"]);
    daemon.stdout(Stdio::null()).stderr(log);
    let mut daemon = Held(daemon.spawn().expect("vigil starts"));
    wait_for("the session to move", || {
        (stage.record(1)["status"] == "success").then_some(())
    });
    let told = |report: &Value| {
        let alerts = report["alerts"].as_array().expect("a list").clone();
        let is_it = |alert: &&Value| alert["key"] == "policy-replaced-team.wasm";
        alerts.iter().find(is_it).map(|alert| alert["text"].clone())
    };
    assert_eq!(told(&stage.status().json_with(0)), None);

    put("wants-checks");
    let text = told(&stage.status().json_with(0)).expect("status tells it at once");
    let text = text.as_str().expect("a text").to_owned();
    let pid = daemon.0.id();
    for words in [
        &format!("the daemon (pid {pid}) still judges with "),
        path.to_str().expect("UTF-8"),
        "restart it",
    ] {
        assert!(text.contains(words), "{text}");
    }
    let log = || fs::read_to_string(stage.path("log")).expect("the log");
    wait_for("the daemon to tell it", || {
        log().contains("alert raised").then_some(())
    });
    // A look beside it ends nothing.
    stage.run(&["run", "--once"]).ended(0);
    assert!(told(&stage.status().json_with(0)).is_some());

    put("custom");
    wait_for("the daemon to say that it is over", || {
        log().contains("alert cleared").then_some(())
    });
    assert_eq!(log().matches("still judges with").count(), 1, "{}", log());
    assert_eq!(told(&stage.status().json_with(0)), None);

    // What a daemon told that is no more is not repeated.
    put("wants-checks");
    wait_for("the daemon to tell it again", || {
        (log().matches("alert raised").count() == 2).then_some(())
    });
    daemon.0.kill().expect("it is ours");
    wait_for_end(&mut daemon.0);
    assert_eq!(told(&stage.status().json_with(0)), None);
    // What one daemon left for others to know is no fact that a later one has to read.
    stage.pass().ended(0);
    let again = stage.run(&["run", "--once"]);
    assert!(!again.err.contains("cannot be read"), "{again:#?}");
}
