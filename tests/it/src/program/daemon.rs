//! `vigil run`: one for each state folder, single passes beside it, and an orderly end.

use std::fs::{self, File};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use vigil::demo::Made;
use vigil_model::{Fault, Scope};

use super::stage::{Held, Stage, session, wait_for, wait_for_end};

/// Starts the daemon; what it logs goes into a file.
fn start(stage: &Stage, mut command: Command) -> Held {
    let log = File::create(stage.path("log")).expect("a file");
    Held(
        command
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("vigil starts"),
    )
}

fn log(stage: &Stage) -> String {
    fs::read_to_string(stage.path("log")).expect("the log")
}

fn signal(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(child.id()).expect("a pid")).expect("a pid");
    kill_process(pid, signal).expect("it is our child");
}

#[test]
fn it_reconciles_what_comes_and_is_alone_and_ends_when_it_is_told() {
    let mut stage = Stage::with_merged(1);
    let mut daemon = start(&stage, stage.vigil(&["run", "--interval", "5s"]));
    wait_for("the first session to move", || {
        (stage.record(1)["status"] == "success").then_some(())
    });
    // The log says why the warning went away.
    wait_for("the move in the log", || {
        let log = log(&stage);
        (log.contains("session moved") && log.contains("merged-pr") && log.contains("acme/app#1"))
            .then_some(())
    });

    let second = stage.run(&["run", "--interval", "5s"]);
    let pid = daemon.0.id().to_string();
    assert!(
        second.ended(2).err.contains(&pid),
        "it says who is there: {second:#?}"
    );
    assert!(
        second.err.contains("vigil run --once"),
        "and what can be done instead: {second:#?}"
    );
    let doctor = stage.run(&["doctor"]);
    assert!(
        doctor.ended(0).out.contains(&format!("running, pid {pid}")),
        "{doctor:#?}"
    );
    stage.pass().ended(0);

    // Another session comes, and the daemon finds it by itself.
    stage.add_merged(&Made {
        issue: 2,
        ..Made::default()
    });
    stage.write();
    wait_for("the second session to move", || {
        (stage.record(2)["status"] == "success").then_some(())
    });

    signal(&daemon.0, Signal::TERM);
    assert_eq!(
        wait_for_end(&mut daemon.0).code(),
        Some(0),
        "{}",
        log(&stage)
    );
    assert!(log(&stage).contains("stopped"), "{}", log(&stage));
}

#[test]
fn a_second_signal_ends_it_at_once_though_github_hangs() {
    let mut stage = Stage::with_merged(1);
    stage.on_github(|model| model.fail(Scope::Any, Fault::Hang));
    let before = stage.sessions();
    let mut daemon = start(&stage, stage.vigil(&["run", "--interval", "1h"]));
    wait_for("GitHub to be asked", || {
        (stage.requests() > 0).then_some(())
    });
    signal(&daemon.0, Signal::INT);
    wait_for("the signal to be heard", || {
        log(&stage)
            .contains("once more to stop at once")
            .then_some(())
    });
    signal(&daemon.0, Signal::INT);
    let ended = wait_for_end(&mut daemon.0);
    assert_eq!(ended.code(), Some(0), "{}", log(&stage));
    assert!(log(&stage).contains("in the middle of a pass"));
    assert_eq!(stage.sessions(), before);
}

#[test]
fn a_signal_lets_the_pass_end_first() {
    for told in [Signal::TERM, Signal::INT] {
        let stage = Stage::with_merged(1);
        let gate = stage.gate();
        let mut daemon = start(
            &stage,
            stage.vigil_through(&gate, &["run", "--interval", "5s"]),
        );
        gate.wait_for_arrival();
        signal(&daemon.0, told);
        gate.open();
        assert_eq!(
            wait_for_end(&mut daemon.0).code(),
            Some(0),
            "{}",
            log(&stage)
        );
        assert_eq!(stage.record(1)["status"], "success");
        let history = stage.run(&["history", "--json"]).json_with(0);
        assert_eq!(
            history["transitions"][0]["outcome"], "written",
            "{history:#}"
        );
    }
}

#[test]
fn a_single_pass_beside_it_is_a_conflict_for_the_sessions_that_it_holds() {
    let stage = Stage::with_merged(1);
    let gate = stage.gate();
    let mut daemon = start(
        &stage,
        stage.vigil_through(&gate, &["run", "--interval", "5s"]),
    );
    gate.wait_for_arrival();
    let beside = stage.pass().json_with(0);
    assert_eq!(session(&beside, 1)["outcome"], "conflict", "{beside:#}");
    assert_eq!(stage.record(1)["status"], "running");
    gate.open();
    wait_for("the daemon to move it", || {
        (stage.record(1)["status"] == "success").then_some(())
    });
    signal(&daemon.0, Signal::TERM);
    assert_eq!(wait_for_end(&mut daemon.0).code(), Some(0));
}

#[test]
fn its_lock_goes_with_it_however_it_ends() {
    let stage = Stage::with_merged(1);
    let mut first = start(&stage, stage.vigil(&["run", "--interval", "5s"]));
    wait_for("the first pass", || {
        log(&stage).contains("looked_at").then_some(())
    });
    signal(&first.0, Signal::KILL);
    assert_eq!(wait_for_end(&mut first.0).code(), None);
    let mut second = start(&stage, stage.vigil(&["run", "--interval", "5s", "--json"]));
    wait_for("its first pass", || {
        log(&stage).contains("looked_at").then_some(())
    });
    signal(&second.0, Signal::TERM);
    assert_eq!(wait_for_end(&mut second.0).code(), Some(0));
    let status = stage.status().json_with(0);
    assert_eq!(status["alerts"], json!([]));
}
