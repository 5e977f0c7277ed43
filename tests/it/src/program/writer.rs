//! Others who write, and ends at any moment: no change is lost, and journal and record agree in the end.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use vigil::demo::Made;

use super::stage::{Held, Ran, Stage, everything, session, wait_for_end};

/// Starts a pass that waits at the gate, with its records read.
fn pass_at(stage: &Stage, gate: &super::gate::Gate) -> Child {
    let mut command = stage.vigil_through(gate, &["run", "--once", "--json"]);
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("vigil starts");
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

/// Rewrites the records as Vigilante does: all of them, to a temporary file that takes the place of the old one.
fn rewrite(stage: &Stage, change: impl FnOnce(&mut Vec<Value>)) {
    let mut all: Vec<Value> = serde_json::from_str(&stage.sessions()).expect("JSON");
    change(&mut all);
    let temporary = stage.home.vigilante().join(".sessions.json.tmp-test");
    fs::write(
        &temporary,
        serde_json::to_string_pretty(&all).expect("JSON"),
    )
    .expect("a file");
    fs::rename(&temporary, stage.sessions_file()).expect("a rename");
}

fn two() -> Stage {
    let mut stage = Stage::new();
    for issue in [1, 2] {
        stage.add_merged(&Made {
            issue,
            ..Made::default()
        });
    }
    stage.write();
    stage
}

#[test]
fn a_second_writer_during_the_pass_loses_nothing() {
    // Another record changes and a new one comes: both stay, and the move is made.
    let stage = two();
    let gate = stage.gate();
    let pass = pass_at(&stage, &gate);
    rewrite(&stage, |all| {
        all[1]["x_note"] = json!("written meanwhile");
        let mut third = all[1].clone();
        third["issue_number"] = json!(3);
        third["status"] = json!("closed");
        all.push(third);
    });
    gate.open();
    let run = end(pass).json_with(0);
    assert_eq!(session(&run, 1)["outcome"], "transitioned", "{run:#}");
    assert_eq!(
        session(&run, 2)["outcome"],
        "conflict",
        "its record is not the one that was judged: {run:#}"
    );
    assert_eq!(stage.record(1)["status"], "success");
    assert_eq!(
        (&stage.record(2)["status"], &stage.record(2)["x_note"]),
        (&json!("running"), &json!("written meanwhile"))
    );
    assert_eq!(stage.record(3)["status"], "closed");
    // The next pass looks again and is done.
    let again = stage.pass().json_with(0);
    assert_eq!(session(&again, 2)["outcome"], "transitioned", "{again:#}");
    assert_eq!(stage.record(2)["x_note"], "written meanwhile");
}

#[test]
fn a_record_that_its_owner_moved_meanwhile_is_a_conflict_and_stays_as_it_is() {
    let stage = two();
    let gate = stage.gate();
    let pass = pass_at(&stage, &gate);
    rewrite(&stage, |all| all[0]["status"] = json!("blocked"));
    let theirs = stage.record(1);
    gate.open();
    let run = end(pass).json_with(0);
    let conflict = session(&run, 1);
    assert_eq!(conflict["outcome"], "conflict", "{conflict:#}");
    assert!(
        conflict["guards"]
            .as_array()
            .expect("a list")
            .iter()
            .any(|guard| guard["code"] == "fresh-read")
    );
    assert_eq!(conflict["to"], conflict["from"]);
    assert_eq!(stage.record(1), theirs);
}

#[test]
fn what_is_only_bookkeeping_is_no_conflict_and_is_kept() {
    let stage = two();
    let gate = stage.gate();
    let pass = pass_at(&stage, &gate);
    rewrite(&stage, |all| {
        all[0]["next_comment_poll_at"] = json!("2026-01-01T00:00:00Z");
        all[0]["issue_comments_etag"] = json!("W/\"4711\"");
    });
    gate.open();
    let run = end(pass).json_with(0);
    assert_eq!(session(&run, 1)["outcome"], "transitioned", "{run:#}");
    let record = stage.record(1);
    assert_eq!(
        (&record["status"], &record["issue_comments_etag"]),
        (&json!("success"), &json!("W/\"4711\""))
    );
}

#[test]
fn a_file_that_goes_away_or_breaks_during_the_pass_is_not_made_anew() {
    for broken in [None, Some("[{\"repo\": ")] {
        let stage = two();
        let gate = stage.gate();
        let pass = pass_at(&stage, &gate);
        match broken {
            None => fs::remove_file(stage.sessions_file()).expect("a file"),
            Some(text) => fs::write(stage.sessions_file(), text).expect("a file"),
        }
        gate.open();
        let run = end(pass);
        assert!(!run.err.contains("panicked"), "{run:#?}");
        let run = run.json();
        for issue in [1, 2] {
            let outcome = session(&run, issue)["outcome"].clone();
            assert!(outcome == "conflict" || outcome == "failed", "{run:#}");
        }
        assert_eq!(
            fs::read_to_string(stage.sessions_file()).ok().as_deref(),
            broken
        );
    }
}

#[test]
fn of_two_passes_at_once_one_moves_each_session_and_the_other_stands_back() {
    let stage = two();
    let gate = stage.gate();
    let first = pass_at(&stage, &gate);
    let second = pass_at(&stage, &gate);
    gate.open();
    let runs = [end(first).json_with(0), end(second).json_with(0)];
    for issue in [1, 2] {
        let mut outcomes: Vec<String> = runs
            .iter()
            .map(|run| {
                session(run, issue)["outcome"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned()
            })
            .collect();
        outcomes.sort();
        assert_eq!(outcomes, ["conflict", "transitioned"], "{runs:#?}");
        assert_eq!(stage.record(issue)["status"], "success");
    }
    let history = stage.run(&["history", "--json"]).json_with(0);
    assert_eq!(
        history["transitions"].as_array().expect("a list").len(),
        2,
        "{history:#}"
    );
}

/// Kills the process as soon as the `number`-th change of what is on the disk is seen. False: it ended before that.
fn kill_at_change(child: &mut Child, folders: &[&Path], number: usize) -> bool {
    let look = || -> Vec<_> { folders.iter().map(|folder| everything(folder)).collect() };
    let mut before = look();
    let mut seen = 0;
    while seen < number {
        if child.try_wait().expect("our child").is_some() {
            return false;
        }
        let now = look();
        if now != before {
            before = now;
            seen += 1;
        }
    }
    // Our own child, started for this test.
    let _ = child.kill();
    wait_for_end(child).code().is_none()
}

#[test]
fn killed_at_any_moment_a_record_is_old_or_new_and_one_more_pass_puts_all_right() {
    let (mut killed, mut outlived) = (0, 0);
    for number in 0..24 {
        let stage = two();
        let old = stage.sessions();
        let gate = stage.gate();
        let mut command: Command = stage.vigil_through(&gate, &["run", "--once"]);
        let child = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("vigil starts");
        let mut child = Held(child);
        gate.wait_for_arrival();
        gate.open();
        let vigilante = stage.home.vigilante();
        let died = kill_at_change(&mut child.0, &[&vigilante, &stage.state_dir()], number);
        wait_for_end(&mut child.0);
        killed += usize::from(died);
        outlived += usize::from(!died);

        let text = stage.sessions();
        let all: Vec<Value> = serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("kill {number}: {error}: {text}"));
        assert_eq!(all.len(), 2);
        if text != old {
            // One write makes all moves of a pass.
            assert!(
                all.iter().all(|record| record["status"] == "success"),
                "kill {number}: {text}"
            );
        }

        let again = stage.pass();
        again.ended(0);
        for issue in [1, 2] {
            assert_eq!(
                stage.record(issue)["status"],
                "success",
                "kill {number}: {again:#?}"
            );
        }
        let history = stage.run(&["history", "--json"]).json_with(0);
        let rows = history["transitions"].as_array().expect("a list");
        for issue in [1, 2] {
            let id = format!("acme/app#{issue}");
            let written = rows
                .iter()
                .filter(|row| row["session"] == id.as_str() && row["outcome"] == "written")
                .count();
            assert_eq!(written, 1, "kill {number}: {history:#}");
        }
        assert!(
            rows.iter().all(|row| row["outcome"] != "prepared"),
            "kill {number}: {history:#}"
        );
        // The text that was about to take the file's place may be left; a write an hour later takes it away.
        let left = fs::read_dir(&vigilante).expect("a folder").flatten();
        let temporary = left.filter(|entry| entry.file_name().to_string_lossy().starts_with('.'));
        assert!(temporary.count() <= 1, "kill {number}");
        if outlived == 3 {
            // A pass makes no more changes than that: every moment that can be told from outside was tried.
            break;
        }
    }
    assert!(
        killed >= 3,
        "only {killed} of 24 passes were killed before their end"
    );
}
