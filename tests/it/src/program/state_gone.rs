//! vigil's own folder, taken away, replaced or full while vigil works with it: nothing is written past it, and nothing
//! is said that is not so.

use std::fs::{self, File};
use std::process::{Child, Command, Stdio};

use rustix::fs::{FlockOperation, flock};
use serde_json::json;
use vigil_store::Store;

use super::gate::Gate;
use super::stage::{Held, Ran, Stage, ran, session, wait_for, wait_for_end};

/// A daemon that waits at a gate before GitHub, with its records read.
fn daemon_at(stage: &Stage, gate: &Gate) -> Held {
    let log = File::create(stage.path("log")).expect("a file");
    let mut command = stage.vigil_through(gate, &["run", "--interval", "5s"]);
    let child = command.stdout(Stdio::null()).stderr(log).spawn();
    let daemon = Held(child.expect("vigil starts"));
    gate.wait_for_arrival();
    daemon
}

fn log(stage: &Stage) -> String {
    fs::read_to_string(stage.path("log")).expect("the log")
}

/// A pass that waits at a gate.
fn pass_at(stage: &Stage, gate: &Gate) -> Child {
    let mut command = stage.vigil_through(gate, &["run", "--once", "--json"]);
    let piped = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = piped.spawn().expect("vigil starts");
    gate.wait_for_arrival();
    child
}

fn end(child: Child) -> Ran {
    let output = child.wait_with_output().expect("our child");
    Ran {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).expect("UTF-8"),
        err: String::from_utf8(output.stderr).expect("UTF-8"),
    }
}

#[test]
fn an_undo_that_waits_for_a_lock_is_stopped_as_well() {
    let stage = Stage::with_merged(1);
    stage.pass().ended(0);
    let written = stage.record(1);
    let path = stage.home.vigilante().join("scan.lock");
    let lock = File::create(&path).expect("the lock's file");
    flock(&lock, FlockOperation::LockExclusive).expect("it is free");
    let undo = stage
        .vigil(&["undo", "t1"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("vigil starts");
    let fds = format!("/proc/{}/fd", undo.id());
    wait_for("it to wait for the lock", || {
        let open = fs::read_dir(&fds).ok()?.flatten();
        let mut open = open.filter_map(|fd| fs::read_link(fd.path()).ok());
        open.find(|file| *file == path)
    });
    fs::write(stage.state_dir().join("STOP"), "").expect("a file");
    drop(lock);
    let undone = end(undo);
    assert!(undone.ended(1).err.contains("STOP"), "{undone:#?}");
    assert_eq!(stage.record(1), written);
}

/// Something that happens to vigil's folder.
type Way = fn(&Stage);

/// Takes it away.
fn remove(stage: &Stage) {
    fs::remove_dir_all(stage.state_dir()).expect("the state is removed");
}

/// Another journal in the old one's place, complete.
fn begin_anew(stage: &Stage) {
    remove(stage);
    drop(Store::open(&stage.state_dir(), stage.now).expect("a journal"));
}

/// The database alone is another one: the lock stays where it is.
fn replace(stage: &Stage) {
    let file = Store::file_in(&stage.state_dir());
    fs::rename(&file, stage.path("moved.sqlite")).expect("it moves");
    for beside in ["sqlite-wal", "sqlite-shm"] {
        let _ = fs::remove_file(file.with_extension(beside));
    }
    drop(Store::open(&stage.state_dir(), stage.now).expect("a journal"));
}

fn cut_short(stage: &Stage) {
    fs::write(Store::file_in(&stage.state_dir()), "").expect("it is cut");
}

#[test]
fn a_daemon_whose_journal_was_taken_away_writes_nothing_more_and_ends() {
    let ways: [(&str, Way); 4] = [
        ("is not there any more", remove),
        ("was replaced by another file", begin_anew),
        ("was replaced by another file", replace),
        ("was cut short", cut_short),
    ];
    for (expected, way) in ways {
        let stage = Stage::with_merged(1);
        let before = stage.sessions();
        let gate = stage.gate();
        let mut daemon = daemon_at(&stage, &gate);
        way(&stage);
        gate.open();
        let ended = wait_for_end(&mut daemon.0);
        let log = log(&stage);
        assert_eq!(ended.code(), Some(1), "{expected}: {log}");
        assert!(log.contains(expected), "{expected}: {log}");
        assert!(log.contains("nothing more is written"), "{log}");
        assert!(!log.contains("panicked"), "{log}");
        assert_eq!(stage.sessions(), before, "{expected}: {log}");
    }
}

#[test]
fn of_a_daemon_with_a_lost_journal_and_a_new_one_only_the_new_one_writes() {
    let stage = Stage::with_merged(1);
    let gate = stage.gate();
    let mut first = daemon_at(&stage, &gate);
    remove(&stage);
    // It takes the folder anew, as a restarted service would, and moves the session with a row in its journal.
    let run = stage.pass().json_with(0);
    assert_eq!(session(&run, 1)["outcome"], "transitioned", "{run:#}");
    let written = stage.sessions();
    gate.open();
    assert_eq!(
        wait_for_end(&mut first.0).code(),
        Some(1),
        "{}",
        log(&stage)
    );
    assert_eq!(stage.sessions(), written);
    let history = stage.run(&["history", "--json"]).json_with(0);
    let rows = history["transitions"].as_array().expect("a list");
    assert_eq!(rows.len(), 1, "{history:#}");
}

#[test]
fn a_pause_that_a_daemon_does_not_see_is_a_failure_and_names_it() {
    for way in [remove, begin_anew, replace] {
        let stage = Stage::with_merged(1);
        let gate = stage.gate();
        let daemon = daemon_at(&stage, &gate);
        let pid = daemon.0.id().to_string();
        stage.run(&["pause"]).ended(0);
        stage.run(&["resume"]).ended(0);
        way(&stage);
        let paused = stage.run(&["pause"]);
        paused.ended(1);
        assert!(!paused.out.contains("Paused"), "{paused:#?}");
        assert!(paused.err.contains(&format!("pid {pid}")), "{paused:#?}");
        assert!(paused.err.contains(&format!("kill {pid}")), "{paused:#?}");
        let doctor = stage.run(&["doctor"]);
        assert!(doctor.ended(1).out.contains(&pid), "{doctor:#?}");
    }
}

#[test]
fn a_file_called_stop_stops_every_write_until_it_is_gone() {
    let stage = Stage::with_merged(1);
    fs::create_dir_all(stage.state_dir()).expect("a folder");
    let stop = stage.state_dir().join("STOP");
    fs::write(&stop, "").expect("a file");
    let before = stage.sessions();
    let run = stage.pass().json_with(0);
    let held = session(&run, 1);
    assert_eq!(held["outcome"], "would-transition", "{run:#}");
    let guard = &held["guards"][0];
    assert_eq!(guard["code"], "read-only", "{run:#}");
    let detail = guard["detail"].as_str().expect("a text");
    assert!(detail.contains(stop.to_str().expect("UTF-8")), "{detail}");
    assert!(detail.contains("remove it"), "{detail}");
    assert_eq!(stage.sessions(), before);

    let status = stage.status().json_with(0);
    assert_eq!(status["stopped"], stop.to_str().expect("UTF-8"));
    let shown = stage.run(&["status", "--offline"]);
    assert!(shown.ended(0).out.contains("stopped"), "{shown:#?}");
    let doctor = stage.run(&["doctor"]);
    assert!(
        doctor.ended(0).out.contains("remove the file"),
        "{doctor:#?}"
    );
    let resumed = stage.run(&["resume"]);
    assert!(
        resumed.ended(0).out.contains("Still stopped"),
        "{resumed:#?}"
    );

    fs::remove_file(&stop).expect("it is removed");
    let run = stage.pass().json_with(0);
    assert_eq!(session(&run, 1)["outcome"], "transitioned", "{run:#}");
    assert_eq!(stage.status().json_with(0)["stopped"], json!(null));

    // A person's undo is a write, too.
    fs::write(&stop, "").expect("a file");
    let written = stage.sessions();
    let undone = stage.run(&["undo", "t1"]);
    assert!(undone.ended(1).err.contains("STOP"), "{undone:#?}");
    assert_eq!(stage.sessions(), written);
    fs::remove_file(&stop).expect("it is removed");
    stage.run(&["undo", "t1"]).ended(0);
}

#[test]
fn a_stop_or_a_pause_in_the_middle_of_a_pass_counts() {
    let stops: [Way; 3] = [
        |stage| fs::write(stage.state_dir().join("STOP"), "").expect("a file"),
        |stage| {
            stage.run(&["pause"]).ended(0);
        },
        |stage| {
            stage.run(&["pause", "--source", "vigilante"]).ended(0);
        },
    ];
    for stop in stops {
        // Before anything is decided.
        let stage = Stage::with_merged(1);
        let before = stage.sessions();
        let gate = stage.gate();
        let pass = pass_at(&stage, &gate);
        stop(&stage);
        gate.open();
        let run = end(pass).json_with(0);
        assert_eq!(session(&run, 1)["outcome"], "would-transition", "{run:#}");
        assert_eq!(session(&run, 1)["guards"][0]["code"], "read-only");
        assert_eq!(stage.sessions(), before);

        // With everything decided, journaled and on the disk: it only waits for Vigilante's lock.
        let stage = Stage::with_merged(1);
        let before = stage.sessions();
        let lock = stage.home.vigilante().join("scan.lock");
        let lock = File::create(lock).expect("a file");
        lock.lock().expect("it is free");
        let mut command = stage.vigil(&["run", "--once", "--json"]);
        let piped = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let pass = piped.spawn().expect("vigil starts");
        wait_for("the text that is to be written", || {
            let names = fs::read_dir(stage.home.vigilante()).expect("a folder");
            names
                .flatten()
                .any(|entry| entry.file_name().to_string_lossy().starts_with(".vigil-"))
                .then_some(())
        });
        stop(&stage);
        drop(lock);
        let run = end(pass).json_with(0);
        assert_eq!(session(&run, 1)["outcome"], "would-transition", "{run:#}");
        assert_eq!(session(&run, 1)["guards"][0]["code"], "read-only");
        assert_eq!(stage.sessions(), before);
        let history = stage.run(&["history", "--json"]).json_with(0);
        assert_ne!(
            history["transitions"][0]["outcome"], "written",
            "{history:#}"
        );
    }
}

#[test]
fn a_daemon_says_once_that_it_is_stopped_and_once_that_it_is_not() {
    let stage = Stage::with_merged(1);
    fs::create_dir_all(stage.state_dir()).expect("a folder");
    let stop = stage.state_dir().join("STOP");
    fs::write(&stop, "").expect("a file");
    let log_file = File::create(stage.path("log")).expect("a file");
    let mut command = stage.vigil(&["run", "--interval", "5s"]);
    let child = command.stdout(Stdio::null()).stderr(log_file).spawn();
    let daemon = Held(child.expect("vigil starts"));
    wait_for("two passes", || {
        (log(&stage).matches("pass_duration_ms").count() >= 2).then_some(())
    });
    let said = log(&stage);
    assert_eq!(said.matches("nothing is written to any source").count(), 1);
    assert_eq!(stage.record(1)["status"], "running");
    fs::remove_file(&stop).expect("it is removed");
    wait_for("the session to move", || {
        (stage.record(1)["status"] == "success").then_some(())
    });
    assert_eq!(log(&stage).matches("writing again").count(), 1);
    drop(daemon);
}

/// Runs vigil where no file may grow beyond `blocks`, which fails as a full disk does.
fn confined(stage: &Stage, blocks: usize, arguments: &[&str]) -> Ran {
    let vigil = stage.vigil(arguments);
    let mut shell = Command::new("sh");
    shell
        .args([
            "-c",
            "trap '' XFSZ; ulimit -f \"$1\"; shift; exec \"$@\"",
            "sh",
        ])
        .arg(blocks.to_string())
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
    ran(&mut shell)
}

#[test]
fn a_first_start_without_room_leaves_no_journal_that_is_damaged_for_good() {
    let (mut failed, mut worked) = (0, 0);
    for blocks in (0..=1024).step_by(64) {
        let stage = Stage::with_merged(1);
        let first = confined(&stage, blocks, &["pause"]);
        match first.code {
            Some(0) => worked += 1,
            Some(1) => failed += 1,
            _ => panic!("{blocks} blocks: {first:#?}"),
        }
        // Room was made: nobody has to move anything.
        let history = stage.run(&["history"]);
        history.ended(0);
        let doctor = stage.run(&["doctor"]);
        assert!(
            doctor.ended(0).out.contains("ok   journal"),
            "{blocks} blocks: {first:#?} {doctor:#?}"
        );
        let left = fs::read_dir(stage.state_dir()).map_or(0, |names| {
            let names = names.flatten().map(|entry| entry.file_name());
            names
                .filter(|name| name.to_string_lossy().starts_with(".vigil-new-"))
                .count()
        });
        assert_eq!(left, 0, "{blocks} blocks");
    }
    assert!(failed > 0 && worked > 0, "{failed} failed, {worked} worked");
}

/// Fills SQLite's log, which all of vigil's memory goes through, until no more than `room` bytes are left below `limit`.
fn fill(store: &mut Store, limit: u64, room: u64) {
    let log = store.path().with_extension("sqlite-wal");
    for number in 0.. {
        if fs::metadata(&log).expect("the log").len() + room >= limit {
            return;
        }
        let notice = "x".repeat(1_000);
        let key = format!("filler/{number}");
        store
            .enqueue(&key, &notice, vigil_core::Timestamp(1))
            .expect("room in the log");
    }
}

#[test]
fn what_was_written_before_the_journal_ran_out_of_room_is_reported_as_written() {
    const BLOCK_BYTES: usize = 512;
    const LIMIT: usize = 3 << 20;
    let (mut before, mut after) = (0, 0);
    for room in (0..40).map(|step| step * 12_000) {
        let stage = Stage::with_merged(1);
        let mut store = Store::open(&stage.state_dir(), stage.now).expect("a journal");
        fill(&mut store, LIMIT as u64, room);
        let old = stage.sessions();
        let run = confined(
            &stage,
            LIMIT / BLOCK_BYTES,
            &["run", "--once", "--json", "--policy", "default.wasm"],
        );
        if stage.sessions() == old {
            before += 1;
            assert_eq!(run.code, Some(1), "{room} bytes: {run:#?}");
            continue;
        }
        let report = run.json();
        assert_eq!(session(&report, 1)["outcome"], "transitioned", "{report:#}");
        if run.code == Some(0) {
            assert_eq!(report["journal_error"], json!(null));
            break;
        }
        assert_eq!(run.code, Some(1), "{run:#?}");
        assert!(!run.err.contains("nothing was changed"), "{run:#?}");
        assert!(report["journal_error"].is_string(), "{report:#}");
        after += 1;
        // With room again the journal knows that it was vigil.
        stage.pass().ended(0);
        let history = stage.run(&["history", "--json"]).json_with(0);
        let rows = history["transitions"].as_array().expect("a list");
        assert_eq!(rows.len(), 1, "{history:#}");
        assert_eq!(rows[0]["outcome"], "written", "{history:#}");
    }
    assert!(
        before > 0 && after > 0,
        "{before} ended before the write, {after} after it"
    );
}
