//! Who is alive: agents under other names, in worktrees that were moved, and in containers.

use std::fs;
use std::io::{BufRead as _, BufReader, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::json;
use vigil::demo::Made;
use vigil::demo::home::{REPO, git};

use super::stage::{Held, Stage, session, wait_for};

/// What the tests are about is the same in every pid namespace.
const SOURCE: &str = "[source.vigilante]\nkind = \"vigilante\"\nsame_pid_namespace = true\n";

/// One session that nothing moves any more, with its issue open and no pull request: without a process in its worktree
/// its agent is gone.
fn silent() -> Stage {
    let mut stage = Stage::new();
    stage
        .home
        .add(&Made {
            issue: 1,
            ..Made::default()
        })
        .expect("a session");
    stage.on_github(|model| {
        model.repo(REPO).issue(1);
    });
    stage.write();
    stage.configure(SOURCE);
    stage
}

/// A program of that name which sleeps.
fn program(stage: &Stage, name: &str) -> PathBuf {
    let folder = stage.path(&format!("bin-of-{name}"));
    fs::create_dir_all(&folder).expect("a folder");
    let program = folder.join(name);
    fs::copy("/bin/sleep", &program).expect("a copy of sleep");
    program
}

/// Starts `command` and leaves it running.
fn started(command: &mut Command) -> Held {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    loop {
        match command.spawn() {
            Ok(child) => return Held(child),
            // Another test's child still has the copy open, until its next instruction.
            Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => {
                std::thread::yield_now();
            }
            Err(error) => panic!("{command:?}: {error}"),
        }
    }
}

fn works_in(stage: &Stage, name: &str, dir: &Path) -> Held {
    let program = program(stage, name);
    started(Command::new(program).arg("600").current_dir(dir))
}

/// What a pass makes of the session: its record's word afterwards, the rule, and the reason.
#[track_caller]
fn judged(stage: &Stage) -> (String, String, String) {
    let report = stage.pass().json_with(0);
    let seen = session(&report, 1);
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let status = text(&stage.record(1)["status"]);
    (status, text(&seen["rule"]), text(&seen["reason"]))
}

#[test]
fn an_agent_under_another_name_is_not_taken_for_gone() {
    let stage = silent();
    let worktree = stage.home.worktree(1);
    for name in ["2.1.332", "node", ".agent-wrapped"] {
        let agent = works_in(&stage, name, &worktree);
        let (status, rule, reason) = judged(&stage);
        assert_eq!(
            (status.as_str(), rule.as_str()),
            ("running", "occupied"),
            "{reason}"
        );
        let named = format!("{name} (pid {}", agent.0.id());
        assert!(reason.contains(&named), "{reason}");
        assert!(!reason.contains("resume"), "{reason}");
        let explained = stage.run(&["explain", &format!("{REPO}#1")]);
        let row = format!("{name} works in the worktree: pid {}", agent.0.id());
        assert!(explained.ended(0).out.contains(&row), "{explained:#?}");
    }
    // It ended. Nobody is left, and a person is asked.
    let (status, rule, reason) = judged(&stage);
    assert_eq!(
        (status.as_str(), rule.as_str()),
        ("blocked", "agent-gone"),
        "{reason}"
    );
    assert!(reason.contains("vigilante resume"), "{reason}");
}

#[test]
fn shells_and_what_the_configuration_ignores_keep_nothing_from_being_gone() {
    let stage = silent();
    stage.configure(&format!("{SOURCE}ignore_processes = [\"gopls\"]\n"));
    let worktree = stage.home.worktree(1);
    let _server = works_in(&stage, "gopls", &worktree);
    let _shell = started(
        Command::new("sh")
            .args(["-c", "kill -STOP $$"])
            .current_dir(&worktree),
    );
    let (status, rule, reason) = judged(&stage);
    assert_eq!(
        (status.as_str(), rule.as_str()),
        ("blocked", "agent-gone"),
        "{reason}"
    );
}

#[test]
fn what_stays_behind_keeps_nothing_from_github_s_word() {
    let stage = Stage::with_merged(1);
    stage.configure(SOURCE);
    let _editor = works_in(&stage, "nvim", &stage.home.worktree(1));
    let (status, rule, reason) = judged(&stage);
    assert_eq!(
        (status.as_str(), rule.as_str()),
        ("success", "merged-pr"),
        "{reason}"
    );
}

#[test]
fn a_worktree_that_was_moved_is_found_with_its_agent() {
    let stage = silent();
    let recorded = stage.home.worktree(1);
    // By git, and then by hand.
    let by_git = stage.path("moved");
    let by_hand = stage.path("moved-again");
    let (from, to) = (recorded.to_string_lossy(), by_git.to_string_lossy());
    git(&stage.home.repository(), &["worktree", "move", &from, &to]).expect("it moves");
    for (place, is) in [(&by_git, &by_git), (&by_git, &by_hand)] {
        if is != place {
            fs::rename(place, is).expect("it moves");
        }
        let is = fs::canonicalize(is).expect("its name");
        let _agent = works_in(&stage, "codex", &is);
        let (status, rule, reason) = judged(&stage);
        assert_eq!(
            (status.as_str(), rule.as_str()),
            ("running", "active"),
            "{reason}"
        );
        let moved = format!("its worktree was moved to {}", is.display());
        assert!(reason.contains(&moved), "{reason}");
    }
    // What is not saved there is seen there, and what to do is said.
    fs::write(by_hand.join("untracked"), "x").expect("a file");
    let explained = stage.run(&["explain", "--json", &format!("{REPO}#1")]);
    let liveness = &explained.json_with(0)["evidence"]["session"]["liveness"];
    assert_eq!(liveness["dirty"], json!({"found": true}), "{liveness:#}");
    let moved = fs::canonicalize(&by_hand).expect("its name");
    assert_eq!(liveness["worktree-moved-to"], json!(moved), "{liveness:#}");
}

#[test]
fn a_worktree_that_may_have_been_moved_is_not_called_missing() {
    let stage = silent();
    let trees = stage.home.repository().join(".worktrees");
    // Both folders above it have other names now: nobody can follow that.
    fs::rename(trees.join("vigilante"), trees.join("renamed")).expect("it moves");
    fs::rename(&trees, stage.home.repository().join(".kept")).expect("it moves");
    let (status, rule, reason) = judged(&stage);
    assert_eq!(
        (status.as_str(), rule.as_str()),
        ("running", "no-evidence"),
        "{reason}"
    );
    assert!(reason.contains("git worktree repair"), "{reason}");
    assert!(!reason.contains("missing"), "{reason}");
}

#[test]
fn an_agent_in_a_container_is_seen_through_its_bind_mount() {
    let may = rustix::process::geteuid().is_root()
        && Command::new("unshare")
            .args(["--mount", "true"])
            .status()
            .is_ok_and(|status| status.success());
    if !may {
        eprintln!("skipped: mount namespaces cannot be made here");
        return;
    }
    let stage = silent();
    let place = stage.path("workspace");
    fs::create_dir(&place).expect("a folder");
    let script = "mount --bind \"$0\" \"$1\" && cd \"$1\" && echo ready && exec \"$2\" 600";
    let mut child = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-c", script])
        .arg(stage.home.worktree(1))
        .arg(&place)
        .arg(program(&stage, "codex"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("unshare runs");
    let mut line = String::new();
    let stdout = child.stdout.take().expect("a pipe");
    let agent = Held(child);
    BufReader::new(stdout).read_line(&mut line).expect("a line");
    assert_eq!(line, "ready\n");
    let comm = format!("/proc/{}/comm", agent.0.id());
    wait_for("the shell to become the agent", || {
        let name = fs::read_to_string(&comm).ok()?;
        (name == "codex\n").then_some(())
    });
    let (status, rule, reason) = judged(&stage);
    assert_eq!(
        (status.as_str(), rule.as_str()),
        ("running", "active"),
        "{reason}"
    );
}
