//! What an owner writes at the very moment of vigil's write: it is there afterwards, or a person is told where it is.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Signal, getpid, kill_process};
use serde_json::{Value, json};
use vigil::demo::Made;
use vigil::pass::How;
use vigil::world::LiveWorld;
use vigil_core::Timestamp;
use vigil_sources::World;

use super::stage::{self, Held, Stage, ran, session};

const USER: &str = "VIGIL_TEST_USER";
const HOME: &str = "VIGIL_TEST_VIGILANTE";
const GITHUB: &str = "VIGIL_TEST_GITHUB";
const THEIRS: &str = "VIGIL_TEST_THEIRS";

/// The world as it is, but that somebody writes in the last moment before vigil's write, and that the process ends
/// right after it.
struct Ending {
    file: PathBuf,
    theirs: Option<PathBuf>,
}

impl World for Ending {
    fn now(&self) -> Timestamp {
        LiveWorld.now()
    }

    fn pause(&self, span: Duration) {
        LiveWorld.pause(span);
    }

    fn booted_at(&self) -> Option<Timestamp> {
        LiveWorld.booted_at()
    }

    fn step(&self, name: &'static str) -> io::Result<()> {
        match name {
            "rename" => self
                .theirs
                .as_ref()
                .map_or(Ok(()), |theirs| fs::rename(theirs, &self.file)),
            "look-back" => Ok(kill_process(getpid(), Signal::KILL)?),
            _ => Ok(()),
        }
    }
}

/// Not a test by itself: the pass that is killed. Without the variables it has nothing to do.
#[test]
fn the_pass_that_is_killed() {
    let (Ok(user), Ok(home), Ok(github)) = (
        std::env::var(USER),
        std::env::var(HOME),
        std::env::var(GITHUB),
    ) else {
        return;
    };
    let home = Path::new(&home);
    let github: SocketAddr = github.parse().expect("an address");
    let world = Ending {
        file: home.join("sessions.json"),
        theirs: std::env::var_os(THEIRS).map(PathBuf::from),
    };
    let setup = stage::setup(Path::new(&user), home, github, Arc::new(world));
    let (_engine, chain) = setup.chain(&[]).expect("a chain");
    let mut vigil = setup.reconciler(chain, None).expect("a reconciler");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let passed = runtime.block_on(vigil.pass(&How::once()));
    panic!("the pass ended: {:?}", passed.map(|passed| passed.failed()));
}

/// Three sessions, two of which a pass moves.
fn three() -> Stage {
    let mut stage = Stage::new();
    for issue in [1, 2] {
        stage.add_merged(&Made {
            issue,
            ..Made::default()
        });
    }
    stage.write();
    rewrite(&stage, |all| {
        let mut third = all[1].clone();
        third["issue_number"] = json!(3);
        third["status"] = json!("closed");
        all.push(third);
    });
    stage
}

/// The records with a change, as Vigilante would write them.
fn changed(stage: &Stage, change: impl FnOnce(&mut Vec<Value>)) -> String {
    let mut all: Vec<Value> = serde_json::from_str(&stage.sessions()).expect("JSON");
    change(&mut all);
    serde_json::to_string_pretty(&all).expect("JSON")
}

/// Writes them, past any lock.
fn rewrite(stage: &Stage, change: impl FnOnce(&mut Vec<Value>)) {
    let temporary = stage.home.vigilante().join(".sessions.json.tmp-test");
    fs::write(&temporary, changed(stage, change)).expect("a file");
    fs::rename(&temporary, stage.sessions_file()).expect("a rename");
}

/// A pass that is killed between its write and the look back, over which `theirs` was written in the last moment.
fn pass_that_dies(stage: &Stage, theirs: Option<String>) {
    let mut command = Command::new(std::env::current_exe().expect("this test"));
    command
        .args(["--exact", "program::owner_writes::the_pass_that_is_killed"])
        .env(USER, stage.user())
        .env(HOME, stage.home.vigilante())
        .env(GITHUB, stage.github_address().to_string());
    if let Some(theirs) = theirs {
        let file = stage.home.vigilante().join(".sessions.json.tmp-theirs");
        fs::write(&file, theirs).expect("a file");
        command.env(THEIRS, file);
    }
    let output = command.output().expect("it starts");
    assert_eq!(output.status.signal(), Some(9), "{output:?}");
    assert_eq!(stage.record(1)["status"], "success", "it had written");
}

/// Files in Vigilante's folder that are vigil's.
fn leftovers(stage: &Stage) -> usize {
    let names = fs::read_dir(stage.home.vigilante()).expect("a folder");
    names
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(".vigil-"))
        .count()
}

fn rows(stage: &Stage) -> Vec<Value> {
    let history = stage.run(&["history", "--json"]).json_with(0);
    history["transitions"].as_array().expect("a list").clone()
}

fn outcome_of(rows: &[Value], issue: u64) -> String {
    let id = format!("acme/app#{issue}");
    let of = |row: &&Value| row["session"] == id.as_str();
    let row = rows.iter().rev().find(of).expect("a row");
    row["outcome"].as_str().expect("a text").to_owned()
}

#[test]
fn what_an_owner_wrote_in_the_last_moment_before_a_kill_is_there_after_the_next_pass() {
    let stage = three();
    let theirs = changed(&stage, |all| {
        all[1]["status"] = json!("closed");
        all[2]["x_note"] = json!("mine");
        let mut fourth = all[2].clone();
        fourth["issue_number"] = json!(4);
        all.push(fourth);
    });
    pass_that_dies(&stage, Some(theirs));
    assert!(leftovers(&stage) > 0);
    assert_eq!(
        stage.record(2)["status"],
        "success",
        "nobody saw theirs yet"
    );

    stage.pass().ended(0);
    assert_eq!(stage.record(1)["status"], "success");
    assert_eq!(stage.record(2)["status"], "closed");
    assert_eq!(stage.record(3)["x_note"], "mine");
    assert_eq!(stage.record(4)["x_note"], "mine");
    assert_eq!(leftovers(&stage), 0);
    let rows = rows(&stage);
    assert_eq!(outcome_of(&rows, 1), "written", "{rows:#?}");
    assert_ne!(outcome_of(&rows, 2), "written", "{rows:#?}");
    assert_eq!(stage.status().json_with(0)["alerts"], json!([]));
}

#[test]
fn what_cannot_be_brought_back_whole_is_told_until_a_person_has_looked() {
    let stage = three();
    let theirs = changed(&stage, |all| all[2]["x_note"] = json!("one"));
    pass_that_dies(&stage, Some(theirs));
    rewrite(&stage, |all| all[2]["x_note"] = json!("another"));
    stage.pass().ended(0);
    assert_eq!(stage.record(3)["x_note"], "another", "the newer one stands");
    assert_eq!(leftovers(&stage), 0);

    let status = stage.status().json_with(0);
    let alert = &status["alerts"][0];
    assert_eq!(alert["key"], "displaced-vigilante", "{status:#}");
    let text = alert["text"].as_str().expect("a text");
    assert!(text.contains("`x_note` of acme/app#3"), "{text}");
    let kept = text
        .split_once("`rm ")
        .and_then(|(_, rest)| rest.split_once('`'))
        .map(|(file, _)| PathBuf::from(file))
        .expect("what to do");
    let theirs: Value =
        serde_json::from_str(&fs::read_to_string(&kept).expect("the text")).expect("JSON");
    assert_eq!(theirs[2]["x_note"], "one");
    let doctor = stage.run(&["doctor"]);
    assert!(
        doctor.ended(1).out.contains(kept.to_str().expect("UTF-8")),
        "{doctor:#?}"
    );

    // It is told as long as the file is there, and no longer.
    stage.pass().ended(0);
    assert_eq!(stage.status().json_with(0)["alerts"], status["alerts"]);
    fs::remove_file(kept).expect("the person has looked");
    stage.pass().ended(0);
    assert_eq!(stage.status().json_with(0)["alerts"], json!([]));
}

#[test]
fn a_write_that_happened_is_known_though_its_owner_changed_something_else_since() {
    let stage = three();
    pass_that_dies(&stage, None);
    rewrite(&stage, |all| {
        all[0]["x_note"] = json!("since");
        all[0]["provider"] = json!("claude");
    });
    stage.pass().ended(0);
    let rows = rows(&stage);
    assert_eq!(outcome_of(&rows, 1), "written", "{rows:#?}");
    let explained = stage.run(&["explain", "acme/app#1"]);
    assert!(
        explained.ended(0).out.contains("Last move: t"),
        "{explained:#?}"
    );
    let explained = stage.run(&["explain", "acme/app#1", "--json"]).json();
    assert_eq!(explained["moved"]["to"], "succeeded", "{explained:#}");
    let status = stage.run(&["status", "--offline", "--json"]).json();
    let said = session(&status, 1);
    assert_eq!(said["reason_from"], "transition", "{said:#}");
    let of_one = |row: &&Value| row["session"] == "acme/app#1";
    let row = rows.iter().find(of_one).expect("a row");
    let id = row["id"].as_str().expect("a name").to_owned();
    stage.run(&["undo", &id]).ended(0);
    let record = stage.record(1);
    assert_eq!(record["status"], "running");
    assert_eq!(
        (&record["x_note"], &record["provider"]),
        (&json!("since"), &json!("claude"))
    );
}

#[test]
fn where_two_files_cannot_change_places_nothing_is_written_beside_a_vigilante() {
    let stage = Stage::with_merged(1);
    let before = stage.sessions();
    // Somebody of that name, as Vigilante's commands would be.
    let program = stage.path("vigilante");
    fs::copy("/bin/sleep", &program).expect("a program");
    let sleeper = loop {
        let child = Command::new(&program)
            .arg("600")
            .stdin(Stdio::null())
            .spawn();
        match child {
            Ok(child) => break Held(child),
            // A child of another test's still holds it open for writing.
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => {
                std::thread::yield_now();
            }
            Err(error) => panic!("{error}"),
        }
    };
    let vigil = stage.vigil(&["run", "--once", "--json", "--policy", "default.wasm"]);
    let mut traced = Command::new("strace");
    traced
        .args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=renameat2"])
        .args(["-e", "inject=renameat2:error=EINVAL", "--"])
        .arg(vigil.get_program())
        .args(vigil.get_args())
        .current_dir(stage.user())
        .env_clear()
        .envs(
            vigil
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .stdin(Stdio::null());
    let can_trace = Command::new("strace")
        .args(["-qq", "-o", "/dev/null", "true"])
        .output()
        .is_ok_and(|output| output.status.success());
    if !can_trace {
        println!(
            "skipped: strace, which plays a file system without an exchange, cannot be run here"
        );
        return;
    }
    let run = ran(&mut traced).json_with(1);
    let moved = session(&run, 1);
    assert_eq!(moved["outcome"], "failed", "{run:#}");
    let reason = moved["reason"].as_str().expect("a text");
    for said in [
        "cannot let two files change places",
        "(vigilante) does",
        "mode = \"observe\"",
    ] {
        assert!(reason.contains(said), "{said}: {reason}");
    }
    assert_eq!(stage.sessions(), before);
    assert_eq!(leftovers(&stage), 0);
    drop(sleeper);
}
