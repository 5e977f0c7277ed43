//! What must not get out, and what must not be touched.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::json;
use vigil::demo::home::{REPO, git};
use vigil::demo::{Home, Made};
use vigil_store::Store;

use super::stage::{Held, Stage, TOKEN, everything, ran, session, wait_for_end, was_suspended};

#[test]
fn the_token_is_nowhere_but_in_the_request() {
    let mut stage = Stage::with_merged(1);
    stage.configure("[github]\nrequest_timeout = \"2s\"\n");
    let name = format!("{REPO}#1");
    let commands: [&[&str]; 9] = [
        &["status", "--json"],
        &["explain", &name],
        &["run", "--once", "--dry-run"],
        &["doctor"],
        &["config", "show"],
        &["config", "check"],
        &["run", "--once"],
        &["history", "--json"],
        &["undo", "t1"],
    ];
    let try_all = |stage: &Stage, name: &str| {
        for arguments in commands {
            let ran = ran(stage.vigil(arguments).env("VIGIL_LOG", "trace"));
            assert!(
                !ran.out.contains(TOKEN) && !ran.err.contains(TOKEN),
                "{name}: {arguments:?}"
            );
        }
    };
    try_all(&stage, "a good token");
    stage.on_github(|model| {
        model.token(TOKEN).revoked();
    });
    try_all(&stage, "a revoked token");
    let stage = stage.unplug();
    try_all(&stage, "nobody there");
    for path in [stage.state_dir(), stage.user(), stage.home.vigilante()] {
        search(&path);
    }
}

/// Fails when a file below `path` holds the token.
fn search(path: &Path) {
    if path.is_dir() {
        for entry in fs::read_dir(path).expect("a folder").flatten() {
            search(&entry.path());
        }
    } else if let Ok(bytes) = fs::read(path) {
        let found = bytes
            .windows(TOKEN.len())
            .any(|window| window == TOKEN.as_bytes());
        assert!(!found, "{} holds the token", path.display());
    }
}

#[test]
fn a_token_from_a_file_works_and_is_in_no_process_list() {
    let stage = Stage::with_merged(1);
    let file = stage.path("token");
    fs::write(&file, format!("{TOKEN}\n")).expect("a file");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("a mode");
    stage.configure(&format!("[github]\ntoken_file = {file:?}\n"));
    let gate = stage.gate();
    let mut command = stage.vigil_through(&gate, &["run", "--once"]);
    let child = command
        .env_remove("GH_TOKEN")
        .stdout(Stdio::null())
        .spawn()
        .expect("vigil starts");
    let mut child = Held(child);
    gate.wait_for_arrival();
    for place in ["cmdline", "environ"] {
        let seen = fs::read(format!("/proc/{}/{place}", child.0.id())).expect("our child");
        let seen = String::from_utf8_lossy(&seen);
        assert!(!seen.contains(TOKEN), "{place}: {seen}");
    }
    gate.open();
    assert_eq!(wait_for_end(&mut child.0).code(), Some(0));
    assert_eq!(stage.record(1)["status"], "success");
}

#[test]
fn what_vigil_keeps_is_readable_by_its_owner_alone() {
    let stage = Stage::with_merged(1);
    stage.pass().ended(0);
    let mode = |path: &Path| {
        fs::symlink_metadata(path)
            .expect("there")
            .permissions()
            .mode()
            & 0o777
    };
    let mut files = 0;
    for path in everything(&stage.state_dir()).keys() {
        if path.is_dir() {
            assert_eq!(mode(path), 0o700, "{}", path.display());
        } else {
            files += 1;
            assert_eq!(mode(path), 0o600, "{}", path.display());
        }
    }
    assert!(files >= 2, "a journal and a backup are there");
}

#[test]
fn an_observed_source_is_judged_and_journaled_and_not_written() {
    let stage = Stage::with_merged(1);
    stage.configure(&format!(
        "[source.vigilante]\nkind = \"vigilante\"\nhome = {:?}\nmode = \"observe\"\n",
        stage.home.vigilante()
    ));
    let before = everything(stage.home.root());
    let run = stage.run(&["run", "--once", "--json"]).json_with(0);
    let judged = session(&run, 1);
    assert_eq!(
        (&judged["outcome"], &judged["rule"]),
        (&json!("would-transition"), &json!("merged-pr"))
    );
    assert_eq!(judged["guards"][0]["code"], "read-only", "{judged:#}");
    assert_eq!(
        (&judged["transition_id"], &judged["exclusive"]),
        (&json!(null), &json!(null))
    );
    assert_eq!(everything(stage.home.root()), before);
    assert_eq!(
        stage.run(&["history", "--json"]).json_with(0)["transitions"],
        json!([])
    );
    let offline = stage.run(&["status", "--offline", "--json"]).json_with(0);
    assert_eq!(session(&offline, 1)["rule"], "merged-pr", "{offline:#}");
}

#[test]
fn a_pause_stops_writing_until_it_is_resumed() {
    let stage = Stage::with_merged(1);
    for arguments in [&["pause"][..], &["pause", "--source", "vigilante"]] {
        stage.run(arguments).ended(0);
        let before = everything(stage.home.root());
        let run = stage.pass().json_with(0);
        let judged = session(&run, 1);
        assert_eq!(
            (&judged["outcome"], &judged["guards"][0]["code"]),
            (&json!("would-transition"), &json!("read-only"))
        );
        assert_eq!(everything(stage.home.root()), before);
        assert_ne!(
            stage.status().json_with(0)["paused"],
            json!([]),
            "status says so"
        );
        let mut resume = arguments.to_vec();
        resume[0] = "resume";
        stage.run(&resume).ended(0);
    }
    assert_eq!(
        stage.run(&["status", "--json"]).json_with(0)["paused"],
        json!([])
    );
    assert_eq!(
        session(&stage.pass().json_with(0), 1)["outcome"],
        "transitioned"
    );
}

#[test]
fn a_dry_run_before_anything_else_makes_no_journal() {
    let stage = Stage::with_merged(1);
    let run = stage
        .run(&["run", "--once", "--dry-run", "--json"])
        .json_with(0);
    assert_eq!(session(&run, 1)["outcome"], "would-transition");
    assert!(was_suspended() || !stage.state_dir().exists());
}

#[test]
fn a_dry_run_changes_nothing_but_what_is_left_of_githubs_hour() {
    let stage = Stage::with_merged(1);
    // A first look makes the journal, so that there is something to be left alone.
    stage.status().ended(0);
    // All that vigil remembers but what GitHub said about an account, which holds for whoever asks next.
    let state = || {
        let store = Store::open(&stage.state_dir(), stage.now).expect("a journal");
        let mut forge = store.forge_rows("github.com", None).expect("rows");
        forge.retain(|row| !row.repo.is_empty());
        assert!(!forge.is_empty(), "the look kept what it read");
        let journal = store.journal(None, 100).expect("rows");
        let due = store.due("vigilante", stage.now).expect("rows");
        let alerts = store.open_alerts().expect("rows");
        (forge, journal, due, alerts, store.mark().expect("a mark"))
    };
    let before = (everything(stage.home.root()), state());
    let run = stage
        .run(&["run", "--once", "--dry-run", "--json"])
        .json_with(0);
    assert_eq!(run["dry_run"], true);
    let judged = session(&run, 1);
    assert_eq!(
        (&judged["outcome"], &judged["to_native"]),
        (&json!("would-transition"), &json!("success")),
        "{judged:#}"
    );
    assert_eq!(judged["transition_id"], json!(null));
    assert_eq!(everything(stage.home.root()), before.0);
    assert_eq!(state(), before.1);
    assert_eq!(
        session(&stage.pass().json_with(0), 1)["outcome"],
        "transitioned",
        "nothing holds the next pass up"
    );
}

/// A program that leaves a mark when it runs, and the mark.
fn tripwire(stage: &Stage) -> (String, PathBuf) {
    let (program, mark) = (stage.path("tripwire"), stage.path("ran"));
    let script = format!("#!/bin/sh\necho ran >> '{}'\ncat\n", mark.display());
    fs::write(&program, script).expect("a file");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("a mode");
    (program.to_string_lossy().into_owned(), mark)
}

/// A repository in `dir` whose own settings name `program` for all that git runs when it compares files.
fn armed(dir: &Path, program: &str) {
    fs::create_dir_all(dir).expect("a folder");
    git(dir, &["init", "--quiet", "--initial-branch=main"]).expect("a repository");
    fs::write(dir.join(".gitattributes"), "* filter=trip\n").expect("a file");
    fs::write(dir.join("file"), "x\n").expect("a file");
    git(dir, &["add", "--all"]).expect("it is added");
    git(dir, &["commit", "--quiet", "--message", "inside"]).expect("a commit");
    for setting in ["filter.trip.clean", "filter.trip.process", "core.fsmonitor"] {
        git(dir, &["config", setting, program]).expect("it is set");
    }
}

/// `git status` as its owner would run it; what it says does not matter.
fn status_of_git(dir: &Path) {
    let _ = git(dir, &["status", "--porcelain", "--ignore-submodules=none"]);
}

#[test]
fn a_submodule_that_names_programs_is_looked_into_and_runs_none() {
    let mut stage = Stage::new();
    let (program, mark) = tripwire(&stage);
    stage.home.add(&Made::default()).expect("a session");
    let worktree = stage.home.worktree(1);
    let inside = worktree.join("module");
    armed(&inside, &program);
    // What is committed is the name of a commit: the configuration lies in the worktree.
    git(&worktree, &["add", "--all"]).expect("it is added");
    git(&worktree, &["commit", "--quiet", "--message", "module"]).expect("a commit");
    git(&worktree, &["push", "--quiet", "origin", "HEAD"]).expect("it is pushed");
    let head = git(&worktree, &["rev-parse", "HEAD"]).expect("a commit");
    let (created, ended) = (stage.minutes_ago(100), stage.minutes_ago(80));
    stage.on_github(|model| {
        let repo = model.repo(REPO);
        let issue = repo.issue(1).closed_at("completed", ended);
        let pull = issue.pull(21).head(&Home::branch(1)).sha(head.trim());
        pull.created_at(created).merged_at(ended);
    });
    stage.write();
    let _ = fs::remove_file(&mark);
    let look = |stage: &Stage| {
        let run = stage.run(&["run", "--once", "--dry-run", "--json"]);
        session(&run.json_with(0), 1)
    };
    // As recorded: nothing has to be compared, and nothing is unknown.
    let judged = look(&stage);
    assert_eq!(judged["outcome"], "would-transition", "{judged:#}");
    assert_eq!(judged["gaps"], json!([]), "{judged:#}");
    // Only the filter could tell whether this is still what is committed.
    fs::write(inside.join("file"), "y\n").expect("a file");
    let judged = look(&stage);
    let gap = &judged["gaps"][0];
    assert_eq!(gap["fact"], "dirty", "{judged:#}");
    let detail = gap["detail"].as_str().expect("a text");
    assert!(
        detail.contains("without running the filter trip"),
        "{detail}"
    );
    let explained = stage.run(&["explain", &format!("{REPO}#1")]);
    assert!(explained.out.contains("the filter trip"), "{explained:#?}");
    stage.pass();
    assert!(!mark.exists(), "a program that a submodule names ran");
    status_of_git(&worktree);
    assert!(mark.exists(), "git itself runs it");
}

#[test]
fn a_worktree_whose_git_is_swapped_during_the_look_runs_nothing() {
    let stage = Stage::with_merged(1);
    let (program, mark) = tripwire(&stage);
    let worktree = stage.home.worktree(1);
    let foreign = stage.path("foreign");
    armed(&foreign, &program);
    let link = worktree.join(".git");
    let good = fs::read_to_string(&link).expect("a link");
    let bad = format!("gitdir: {}\n", foreign.join(".git").display());
    let next = stage.path("next");
    let put = |text: &str| {
        fs::write(&next, text).expect("a file");
        fs::rename(&next, &link).expect("it moves");
    };
    let _ = fs::remove_file(&mark);
    for _ in 0..10 {
        let stop = AtomicBool::new(false);
        let ran = thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    put(&bad);
                    put(&good);
                }
            });
            let ran = stage.run(&["run", "--once", "--dry-run"]);
            stop.store(true, Ordering::Relaxed);
            ran
        });
        assert!(matches!(ran.code, Some(0 | 1)), "{ran:#?}");
        assert!(!ran.err.contains("panicked"), "{ran:#?}");
        assert!(!mark.exists(), "a program of the other repository ran");
    }
    stage.pass().ended(0);
    assert_eq!(stage.record(1)["status"], "success");
    put(&bad);
    status_of_git(&worktree);
    assert!(mark.exists(), "git itself runs it");
}
