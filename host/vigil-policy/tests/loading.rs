//! What is loaded, what is refused, and what is said about it; the cache of compiled code.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test may panic, measure time and read its own environment"
)]

mod common;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use common::{Made, context, contract, engine, engine_with, merged};
use rustix::process::{Resource, Rlimit};
use serde_json::{Value, json};
use vigil_policy::{
    Chain, ChainQuestion, Engine, EngineConfig, Link, LoadFault, OnFailure, OnRefused, Quarantine,
    SOURCES_SECTION, inspect,
};

/// Checks that `bytes` are refused with a text that is one line and says `said`.
fn check(bytes: &[u8], said: &[&str]) -> LoadFault {
    check_on(&engine(), bytes, &Value::Null, said)
}

fn check_on(engine: &Engine, bytes: &[u8], settings: &Value, said: &[&str]) -> LoadFault {
    let refused = engine.load("mine", bytes, settings).unwrap_err();
    let text = refused.to_string();
    assert!(text.starts_with("failed to load policy mine: "), "{text}");
    assert!(!text.contains('\n'), "{text}");
    for said in said {
        assert!(text.contains(said), "{text:?} does not say {said:?}");
    }
    refused.fault
}

#[test]
fn what_is_no_component_is_refused_by_what_it_is() {
    let module = wat::parse_str("(module)").unwrap();
    check(&module, &["a core module", "wasm-tools component new"]);
    check(b"", &["not WebAssembly", "it is empty"]);
    check(b"#!/bin/sh\nexit", &["begins with the text", "#!/bin/sh"]);
    check(&[0xff; 40], &["begins with the bytes ffff"]);
    check(b"\0asm", &["not WebAssembly"]);
}

#[test]
fn a_damaged_component_is_refused_with_the_place() {
    let whole = Made::default().build();
    let engine = engine();
    for cut in [9, 40, whole.len() / 2, whole.len() - 1] {
        let refused = engine
            .load("mine", &whole[..cut], &Value::Null)
            .unwrap_err();
        assert!(
            matches!(
                refused.fault,
                LoadFault::Damaged { .. }
                    | LoadFault::WrongPackage { .. }
                    | LoadFault::Compile { .. }
            ),
            "{refused}"
        );
    }
    check(
        &whole[..whole.len() / 2],
        &["damaged at byte", "build or fetch it again"],
    );
}

#[test]
fn no_damage_whatever_ends_in_a_panic() {
    let whole = Made::default().build();
    // Cheap ones only: what gets through is a policy, and all but a few flips are found before anything is compiled.
    let engine = engine_with(|limits| limits.fuel = 1 << 20);
    for at in (0..whole.len()).step_by(97) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x55;
        if let Err(refused) = engine.load("mine", &damaged, &Value::Null) {
            assert!(!refused.to_string().contains('\n'), "{refused}");
        }
    }
}

#[test]
fn a_large_one_is_refused_before_it_is_read() {
    let engine = engine_with(|limits| limits.component_bytes = 100);
    check_on(
        &engine,
        &[0; 101],
        &Value::Null,
        &["101 bytes", "limit of 100"],
    );
}

#[test]
fn an_import_is_refused_by_its_name() {
    let wit = contract().replace(
        "world policy {",
        "interface clock { now: func() -> u64; }\nworld policy {\n  import clock;",
    );
    let foreign = Made {
        wit,
        fields: String::new(),
        ..Made::default()
    };
    // An import that nothing uses is dropped by the encoder, so this one is called.
    let bytes =
        foreign.build_with(r#"(import "vigil:policy/clock@0.1.0" "now" (func $now (result i64)))"#);
    check(
        &bytes,
        &["imports vigil:policy/clock@0.1.0", "take the import out"],
    );

    let wasi = wat::parse_str(format!(
        r#"(component
             (import "wasi:clocks/wall-clock@0.2.0" (instance))
             (instance $decider)
             (export "{}" (instance $decider)))"#,
        "vigil:policy/decider@0.1.0"
    ))
    .unwrap();
    check(
        &wasi,
        &["imports wasi:clocks/wall-clock@0.2.0", "without WASI"],
    );
}

#[test]
fn a_policy_for_another_version_or_package_is_refused_by_what_it_exports() {
    let newer = Made {
        wit: contract().replace("vigil:policy@0.1.0", "vigil:policy@0.2.0"),
        ..Made::default()
    };
    check(
        &newer.build(),
        &[
            "exports vigil:policy/decider@0.2.0",
            "loads vigil:policy/decider@0.1.0",
            "rebuild it",
        ],
    );
    let other =
        wat::parse_str(r#"(component (instance $i) (export "acme:thing/run" (instance $i)))"#);
    check(
        &other.unwrap(),
        &["exports acme:thing/run", "something else"],
    );
    check(
        &wat::parse_str("(component)").unwrap(),
        &["exports nothing"],
    );
}

#[test]
fn types_that_differ_are_named() {
    let built_for = |from: &str, to: &str| {
        let wit = contract().replacen(from, to, 1);
        assert_ne!(wit, contract(), "{from:?} is no longer in the contract");
        Made {
            wit,
            ..Made::default()
        }
        .build()
    };
    check(
        &built_for("despite-live-work: bool,", ""),
        &[
            "types are not those of",
            "decide",
            "record of",
            "rebuild it",
        ],
    );
    check(
        &built_for("tracker: string", "bug-tracker: string"),
        &["tracker", "bug-tracker"],
    );
    check(
        &built_for(
            "enum pull-request-state {",
            "enum pull-request-state { draft,",
        ),
        &["enum of"],
    );
    // An instance of the right name with nothing in it.
    let empty = wat::parse_str(
        r#"(component (instance $i) (export "vigil:policy/decider@0.1.0" (instance $i)))"#,
    );
    check(&empty.unwrap(), &["exports no function describe"]);
}

#[test]
fn a_policy_that_cannot_say_who_it_is_is_refused() {
    let trap = Made {
        describe: "unreachable".into(),
        ..Made::default()
    };
    let fault = check(&trap.build(), &["failed in describe (trap)"]);
    assert!(matches!(fault, LoadFault::DescribeFailed(_)));
    let none = Made {
        rules: vec![],
        ..Made::default()
    };
    check(&none.build(), &["it has no rules"]);
    let shouted = Made {
        rules: vec!["MERGED".into()],
        ..Made::default()
    };
    check(&shouted.build(), &["\"MERGED\" is no code"]);
    let schema = Made {
        schema: "{".into(),
        ..Made::default()
    };
    check(&schema.build(), &["settings-schema is not JSON"]);
}

#[test]
fn settings_are_checked_against_the_policys_own_schema() {
    let bytes = Made {
        schema: r#"{"type":"object","properties":{"minutes":{"type":"integer"}},
                    "additionalProperties":false}"#
            .into(),
        ..Made::default()
    }
    .build();
    let engine = engine();
    check_on(
        &engine,
        &bytes,
        &json!({"minutes": "ten"}),
        &["do not fit at /minutes"],
    );
    check_on(
        &engine,
        &bytes,
        &json!({"hours": 1}),
        &["do not fit", "hours"],
    );
    let policy = engine
        .load("mine", &bytes, &json!({"minutes": 10}))
        .unwrap();
    assert_eq!(policy.settings(), r#"{"minutes":10}"#);
    let defaults = engine.load("mine", &bytes, &Value::Null).unwrap();
    assert_ne!(policy.settings_digest(), defaults.settings_digest());
    assert_eq!(policy.digest(), defaults.digest());
}

#[test]
fn a_policy_that_fails_the_trial_is_not_loaded_but_can_be_looked_into() {
    let bytes = Made::deciding("unreachable").build();
    let fault = check(
        &bytes,
        &["failed on the trial evidence (trap)", "vigil policy test"],
    );
    assert!(matches!(fault, LoadFault::TrialFailed(_)));
    let policy = engine().load_untried("mine", &bytes, &Value::Null).unwrap();
    assert_eq!(policy.description().rules[0].code, "made");
}

#[test]
fn memory_beyond_the_limit_from_the_start_is_refused() {
    let made = Made {
        pages: 1025,
        ..Made::default()
    };
    for pooling in [true, false] {
        let engine = Engine::new(EngineConfig {
            pooling,
            ..EngineConfig::default()
        })
        .unwrap();
        let refused = engine
            .load("mine", &made.build(), &Value::Null)
            .unwrap_err();
        assert!(refused.to_string().contains("mem"), "{refused}");
    }
}

#[test]
fn a_component_tells_what_it_is_without_running() {
    let mut bytes = Made::default().build();
    let digest = "ab".repeat(32);
    // A custom section: its id, its size, and its name before its content.
    let mut section = vec![u8::try_from(SOURCES_SECTION.len()).unwrap()];
    section.extend_from_slice(SOURCES_SECTION.as_bytes());
    section.extend_from_slice(digest.as_bytes());
    bytes.push(0);
    bytes.push(u8::try_from(section.len()).unwrap());
    bytes.extend_from_slice(&section);
    let found = inspect(&bytes).unwrap();
    assert_eq!(found.sources_digest.as_deref(), Some(digest.as_str()));
    assert_eq!(found.imports, ["vigil:policy/types@0.1.0"]);
    assert_eq!(found.exports, ["vigil:policy/decider@0.1.0"]);
    let policy = engine().load("mine", &bytes, &Value::Null).unwrap();
    assert_eq!(policy.sources_digest(), Some(digest.as_str()));
    assert_eq!(policy.name(), "mine");
    assert_eq!(policy.description().name, "made");
}

// ---- The cache ----------------------------------------------------------------------------------------------------

fn caching(folder: &Path) -> Engine {
    Engine::new(EngineConfig {
        cache_dir: Some(folder.to_owned()),
        ..EngineConfig::default()
    })
    .unwrap()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn compiled_code_is_kept_for_its_owner_alone_and_used_again() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("cache/vigil");
    let bytes = Made::default().build();
    let first = caching(&folder).load("mine", &bytes, &Value::Null).unwrap();
    assert!(!first.from_cache());
    assert_eq!(mode(&folder), 0o700);
    let kept = files(&folder);
    assert_eq!(kept.len(), 1);
    assert_eq!(mode(&kept[0]), 0o600);
    let second = caching(&folder).load("mine", &bytes, &Value::Null).unwrap();
    assert!(second.from_cache());
    assert_eq!(first.digest(), second.digest());
    // Another component is another file.
    let other = Made::deciding("nop").build();
    assert!(
        !caching(&folder)
            .load("mine", &other, &Value::Null)
            .unwrap()
            .from_cache()
    );
    assert_eq!(files(&folder).len(), 2);
}

#[test]
fn damage_in_the_cache_costs_a_compilation_and_nothing_else() {
    let home = tempfile::tempdir().unwrap();
    let bytes = Made::default().build();
    let load = || {
        caching(home.path())
            .load("mine", &bytes, &Value::Null)
            .unwrap()
    };
    fs::set_permissions(home.path(), Permissions::from_mode(0o700)).unwrap();
    load();
    let file = files(home.path()).remove(0);
    let whole = fs::read(&file).unwrap();
    let mut flipped = whole.clone();
    *flipped.last_mut().unwrap() ^= 1;
    for damaged in [&[][..], &whole[..10], &whole[..whole.len() - 1], &flipped] {
        fs::write(&file, damaged).unwrap();
        assert!(!load().from_cache());
        // It was written anew.
        assert!(load().from_cache());
    }
    // Under another component's name it is no use either.
    let other = Made::deciding("nop").build();
    caching(home.path())
        .load("mine", &other, &Value::Null)
        .unwrap();
    let named_otherwise = files(home.path())
        .into_iter()
        .find(|path| *path != file)
        .unwrap();
    fs::copy(&file, &named_otherwise).unwrap();
    assert!(
        !caching(home.path())
            .load("mine", &other, &Value::Null)
            .unwrap()
            .from_cache()
    );
}

#[test]
fn a_file_that_others_may_write_is_not_run() {
    let home = tempfile::tempdir().unwrap();
    let bytes = Made::default().build();
    let load = || {
        caching(home.path())
            .load("mine", &bytes, &Value::Null)
            .unwrap()
    };
    load();
    let file = files(home.path()).remove(0);
    fs::set_permissions(&file, Permissions::from_mode(0o666)).unwrap();
    assert!(!load().from_cache());
    assert_eq!(mode(&file), 0o600);
    let elsewhere = home.path().join("elsewhere");
    fs::rename(&file, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &file).unwrap();
    assert!(!load().from_cache());
}

#[test]
fn a_folder_that_others_may_write_is_not_used() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("open");
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, Permissions::from_mode(0o777)).unwrap();
    let engine = caching(&folder);
    assert!(
        engine.notes()[0].contains("chmod 700"),
        "{:?}",
        engine.notes()
    );
    engine
        .load("mine", &Made::default().build(), &Value::Null)
        .unwrap();
    assert_eq!(files(&folder), Vec::<PathBuf>::new());

    let linked = home.path().join("linked");
    std::os::unix::fs::symlink(home.path(), &linked).unwrap();
    assert!(caching(&linked).notes()[0].contains("not a folder"));
}

#[test]
fn without_a_place_for_the_cache_policies_load_all_the_same() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("file");
    fs::write(&file, "").unwrap();
    let engine = caching(&file.join("cache"));
    assert!(
        engine.notes()[0].contains("not kept in"),
        "{:?}",
        engine.notes()
    );
    engine
        .load("mine", &Made::default().build(), &Value::Null)
        .unwrap();
}

#[test]
fn only_so_many_compiled_policies_are_kept() {
    let home = tempfile::tempdir().unwrap();
    for nth in 0..70 {
        fs::write(home.path().join(format!("{nth}.cwasm")), "old").unwrap();
    }
    fs::write(home.path().join("note.txt"), "not ours").unwrap();
    caching(home.path())
        .load("mine", &Made::default().build(), &Value::Null)
        .unwrap();
    let left = files(home.path());
    assert_eq!(left.len(), 65);
    assert!(left.iter().any(|path| path.ends_with("note.txt")));
}

// ---- A short address space ----------------------------------------------------------------------------------------

/// Set for the child process of the test below.
const SHORT: &str = "VIGIL_TEST_SHORT_ADDRESS_SPACE";

#[test]
fn a_short_address_space_does_without_the_pool() {
    if std::env::var_os(SHORT).is_some() {
        let engine = engine();
        assert!(!engine.is_pooling());
        assert!(
            engine.notes()[0].contains("not reserved ahead"),
            "{:?}",
            engine.notes()
        );
        engine
            .load("mine", &Made::default().build(), &Value::Null)
            .unwrap();
        return;
    }
    // This test again, in a process that may map 3 GB.
    let output = Command::new("sh")
        .arg("-c")
        .arg("ulimit -v 3000000 && exec \"$0\" --exact a_short_address_space_does_without_the_pool")
        .arg(std::env::current_exe().unwrap())
        .env(SHORT, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}"
    );
    assert!(engine().is_pooling());
}

/// Set for the child process of the test below.
const NONE_LEFT: &str = "VIGIL_TEST_NO_MEMORY_LEFT";

#[test]
fn memory_that_the_machine_lacks_is_not_the_policys_fault() {
    if std::env::var_os(NONE_LEFT).is_some() {
        without_memory();
        return;
    }
    // This test again, in a process that takes its memory away.
    let output = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "memory_that_the_machine_lacks_is_not_the_policys_fault",
        ])
        .env(NONE_LEFT, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}"
    );
}

fn without_memory() {
    let engine = Engine::new(EngineConfig {
        pooling: false,
        ..EngineConfig::default()
    })
    .unwrap();
    let bytes = Made::default().build();
    let policy = Arc::new(engine.load("mine", &bytes, &Value::Null).unwrap());
    let chain = Chain::new(vec![Link {
        policy: Arc::clone(&policy),
        // Even then nobody speaks in its place: it has not failed.
        on_failure: OnFailure::Pass,
        on_refused: OnRefused::Hold,
    }]);
    let evidence = merged(1);
    let question = || ChainQuestion {
        evidence: &evidence,
        memos: &[],
        failures: &[],
    };
    let mut quarantine = Quarantine::default();
    // From here on the process gets no more than it has, and an instance needs 64 MiB of addresses.
    let statm = fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = statm.split(' ').next().unwrap().parse().unwrap();
    let most = pages * 4096 + (16 << 20);
    let own = rustix::process::getrlimit(Resource::As);
    let limit = |most| {
        let limit = Rlimit {
            current: most,
            maximum: own.maximum,
        };
        rustix::process::setrlimit(Resource::As, limit).unwrap();
    };
    limit(Some(most));
    let answers: Vec<_> = (0..Quarantine::FAILURES_MAX + 1)
        .map(|_| chain.decide(&context(), &[question()], &mut quarantine))
        .collect();
    let refused = engine.load("again", &bytes, &Value::Null);
    limit(own.current);
    for answer in answers {
        let failed = answer[0][0].answer.as_ref().unwrap_err();
        assert_eq!(failed.kind, "host-memory", "{failed:?}");
        assert!(!failed.passes);
    }
    assert_eq!(quarantine, Quarantine::default());
    let refused = refused.unwrap_err();
    assert!(refused.fault.is_of_machine(), "{refused}");
    // And with memory it answers.
    let answer = chain.decide(&context(), &[question()], &mut quarantine);
    assert!(answer[0][0].answer.is_ok());
}
