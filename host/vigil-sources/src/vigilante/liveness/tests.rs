//! The whole look through the source's own door: a home, a repository, processes and git, all real.

use serde_json::{Value, json};
use std::fs;

use vigil_core::SessionId;
use vigil_core::session::Session;
use vigil_core::time::minutes;

use super::*;
use crate::vigilante::Vigilante;
use crate::vigilante::scene::{
    BRANCH, Scene, booted_at, commit, now, run, run_as, set_time, set_times,
};
use crate::{Source, World};

struct RealTime;

impl World for RealTime {
    fn now(&self) -> Timestamp {
        now()
    }
    fn pause(&self, _: std::time::Duration) {}
    fn booted_at(&self) -> Option<Timestamp> {
        Some(booted_at())
    }
}

fn time(at: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(i64::try_from(at.0).expect("a moment"))
        .expect("a moment")
        .to_string()
}

fn record(scene: &Scene, changes: Value) -> Value {
    let word = now().before(minutes(109));
    let mut record = json!({
        "repo_path": scene.repo, "repo": "owner/repo", "provider": "claude", "issue_number": 299,
        "base_branch": "main", "branch": BRANCH, "worktree_path": scene.worktree, "status": "running",
        "blocked_reason": {}, "process_id": 4_194_303, "started_at": time(word),
        "last_heartbeat_at": time(word), "updated_at": time(word),
    });
    let fields = record.as_object_mut().expect("an object");
    fields.extend(changes.as_object().expect("an object").clone());
    record
}

fn source(scene: &Scene, records: &[Value]) -> Vigilante {
    let text = serde_json::to_string_pretty(records).expect("it is JSON");
    fs::write(scene.home.join("sessions.json"), text).expect("a file");
    let settings = Settings {
        same_pid_namespace: Some(true),
        ..Settings::default()
    };
    Vigilante::new(
        "vigilante",
        &scene.home,
        scene.root().join("state"),
        settings,
    )
}

fn observe(source: &Vigilante) -> Vec<(Session, Liveness)> {
    let sessions = source.load(&RealTime).expect("it loads");
    let seen = source.observe(&sessions.iter().collect::<Vec<_>>(), &RealTime);
    sessions.into_iter().zip(seen).collect()
}

fn log(scene: &Scene, text: &str, at: Timestamp) {
    let path = scene.home.join("logs/owner-repo-issue-299.log");
    fs::write(&path, text).expect("a log");
    set_time(&path, at);
}

fn kind<T>(fact: &Fact<T>) -> Option<&GapKind> {
    fact.gap().map(|gap| &gap.kind)
}

#[test]
fn the_seed_s_session_is_seen_as_it_is() {
    let scene = Scene::with_remote();
    let at = now().before(minutes(109));
    set_times(&scene.worktree, at);
    set_times(&scene.repo.join(".git/worktrees/issue-299"), at);
    log(
        &scene,
        "[2026-03-26T19:00:00Z] session succeeded status=success\n",
        at,
    );
    // The scheduler is wedged: it lives, and that says nothing about an agent. It was started before the session.
    let source = source(&scene, &[record(&scene, json!({"process_id": 1}))]);
    let (session, seen) = observe(&source).pop().expect("one session");
    assert_eq!(session.id, SessionId::new("vigilante", "owner/repo#299"));
    assert!(seen.agent.is_absent(), "{seen:?}");
    if booted_at() < at {
        assert!(seen.supervisor.found().is_some(), "{seen:?}");
    }
    assert_eq!(seen.log_written, Fact::Found(at));
    assert_eq!(seen.log_outcome.as_deref(), Some("success"));
    assert_eq!(seen.worktree_written, Fact::Found(at));
    assert_eq!(seen.dirty, Fact::Found(false));
    assert_eq!(seen.unpushed, Fact::Found(0));
}

#[test]
fn an_agent_at_work_and_its_unsaved_work_are_seen() {
    let scene = Scene::with_remote();
    let supervisor = run(std::process::Command::new("sleep").arg("600"));
    let agent = run_as(&scene, "claude", &scene.worktree);
    commit(&scene.worktree, "second");
    fs::write(scene.worktree.join("untracked"), "x").expect("a file");
    let word = time(now());
    let changes = json!({"process_id": supervisor.pid(), "last_heartbeat_at": word});
    let source = source(&scene, &[record(&scene, changes)]);
    let (_, seen) = observe(&source).pop().expect("one session");
    assert_eq!(
        seen.agent.found().map(|process| process.pid),
        Some(agent.pid())
    );
    assert_eq!(
        seen.supervisor.found().map(|process| process.pid),
        Some(supervisor.pid())
    );
    assert!(seen.log_written.is_absent());
    assert_eq!(
        (seen.dirty, seen.unpushed),
        (Fact::Found(true), Fact::Found(1))
    );
}

#[test]
fn a_worktree_that_was_moved_is_looked_at_where_it_is() {
    for by_hand in [false, true] {
        let scene = Scene::with_remote();
        let moved = scene.worktree.with_file_name("moved");
        if by_hand {
            fs::rename(&scene.worktree, &moved).expect("it moves");
        } else {
            let (from, to) = (scene.worktree.to_str(), moved.to_str());
            let places = [from.expect("UTF-8"), to.expect("UTF-8")];
            crate::vigilante::scene::git(&scene.repo, &["worktree", "move", places[0], places[1]]);
        }
        let agent = run_as(&scene, "claude", &moved);
        fs::write(moved.join("untracked"), "x").expect("a file");
        let source = source(&scene, &[record(&scene, json!({}))]);
        let (session, seen) = observe(&source).pop().expect("one session");
        let pid = seen.agent.found().map(|process| process.pid);
        assert_eq!(pid, Some(agent.pid()), "{seen:?}");
        assert_eq!(seen.occupant, Fact::NotAsked);
        assert!(seen.worktree_written.found().is_some(), "{seen:?}");
        assert_eq!(seen.dirty, Fact::Found(true));
        assert_eq!(seen.worktree_moved_to.as_deref(), moved.to_str());
        // What is compared with the pull request is what stands there.
        let head = commit(&moved, "second");
        let pushed = crate::vigilante::scene::git(&scene.repo, &["rev-parse", "main"]);
        assert_eq!(source.beyond_head(&session, &head), Fact::Found(0));
        assert_eq!(source.beyond_head(&session, &pushed), Fact::Found(1));
    }
}

#[test]
fn where_the_worktree_is_nobody_knows_nobody_is_absent() {
    let scene = Scene::with_remote();
    let above = scene.repo.join(".worktrees");
    fs::rename(&above, scene.repo.join(".kept")).expect("it moves");
    fs::rename(
        scene.repo.join(".kept/vigilante"),
        scene.repo.join(".kept/renamed"),
    )
    .expect("it moves");
    let source = source(&scene, &[record(&scene, json!({}))]);
    let (_, seen) = observe(&source).pop().expect("one session");
    assert_eq!(kind(&seen.agent), Some(&GapKind::NoControl), "{seen:?}");
    assert_eq!(kind(&seen.occupant), Some(&GapKind::NoControl));
    assert_eq!(kind(&seen.worktree_written), Some(&GapKind::NoControl));
    assert_eq!(kind(&seen.dirty), Some(&GapKind::NoControl));
    assert_eq!(seen.worktree_moved_to, None);
    assert!(seen.supervisor.is_absent());
}

#[test]
fn only_what_matters_in_its_state_is_looked_at() {
    let scene = Scene::with_remote();
    let look = |changes: Value| {
        let source = source(&scene, &[record(&scene, changes)]);
        observe(&source).pop().expect("one session").1
    };
    for changes in [
        json!({"status": "closed"}),
        json!({"status": "success", "pull_request_state": "MERGED"}),
        json!({"status": "nobody knows"}),
    ] {
        assert_eq!(look(changes.clone()), Liveness::default(), "{changes}");
    }
    for changes in [
        json!({"status": "blocked"}),
        json!({"status": "incomplete"}),
        json!({"status": "failed"}),
        json!({"status": "success", "pull_request_state": "OPEN"}),
    ] {
        let seen = look(changes.clone());
        assert!(seen.agent.is_absent(), "{changes}");
        assert!(seen.occupant.is_absent(), "{changes}");
        assert_eq!(
            (seen.dirty, seen.unpushed),
            (Fact::Found(false), Fact::Found(0))
        );
        assert_eq!(
            (seen.supervisor, seen.log_written),
            (Fact::NotAsked, Fact::NotAsked)
        );
        assert_eq!(seen.worktree_written, Fact::NotAsked);
    }
    let stuck = look(json!({
        "status": "success", "pull_request_state": "OPEN", "pull_request_maintenance_in_flight": true,
    }));
    assert!(stuck.supervisor.is_absent(), "{stuck:?}");
    assert!(stuck.worktree_written.found().is_some());
}

#[test]
fn a_container_s_agent_is_unknown_and_a_missing_pid_too() {
    let scene = Scene::new();
    let source = source(
        &scene,
        &[record(
            &scene,
            json!({"sandbox_mode": true, "process_id": 0}),
        )],
    );
    let (_, seen) = observe(&source).pop().expect("one session");
    assert_eq!(kind(&seen.agent), Some(&GapKind::OtherNamespace));
    assert_eq!(kind(&seen.occupant), Some(&GapKind::OtherNamespace));
    assert_eq!(kind(&seen.supervisor), Some(&GapKind::Unrecorded));
}

#[test]
fn without_the_repository_and_a_process_table_nothing_is_absent() {
    let scene = Scene::new();
    scene.remove_worktree();
    // Written after the boot: a supervisor from before it is gone whatever can be looked at.
    let word = time(now());
    let changes = json!({"started_at": word, "last_heartbeat_at": word});
    let text = serde_json::to_string(&[record(&scene, changes)]).expect("it is JSON");
    fs::write(scene.home.join("sessions.json"), text).expect("a file");
    fs::remove_dir(scene.home.join("logs")).expect("no logs");
    fs::rename(&scene.repo, scene.root().join("elsewhere")).expect("it moves");
    let settings = Settings {
        proc: scene.root().join("no-proc"),
        ..Settings::default()
    };
    let source = Vigilante::new("vigilante", &scene.home, scene.root(), settings);
    let (_, seen) = observe(&source).pop().expect("one session");
    assert_eq!(kind(&seen.agent), Some(&GapKind::NoControl));
    assert_eq!(kind(&seen.occupant), Some(&GapKind::NoControl));
    assert_eq!(kind(&seen.supervisor), Some(&GapKind::NoControl));
    assert_eq!(kind(&seen.log_written), Some(&GapKind::NoControl));
    assert_eq!(kind(&seen.worktree_written), Some(&GapKind::NoControl));
    assert_eq!(kind(&seen.dirty), Some(&GapKind::NoControl));
    assert_eq!(kind(&seen.unpushed), Some(&GapKind::NoControl));
}

#[test]
fn many_sessions_are_answered_in_order() {
    let scene = Scene::with_remote();
    let records: Vec<Value> = (1..=20_u32)
        .map(|issue| match issue % 2 {
            0 => record(&scene, json!({"issue_number": issue})),
            _ => record(
                &scene,
                json!({"issue_number": issue, "worktree_path": "/nonexistent/w", "branch": "gone"}),
            ),
        })
        .collect();
    let source = source(&scene, &records);
    let seen = observe(&source);
    assert_eq!(seen.len(), 20);
    for (index, (session, seen)) in seen.iter().enumerate() {
        assert_eq!(session.issue, Some(index as u64 + 1));
        match index % 2 {
            1 => assert_eq!(seen.dirty, Fact::Found(false)),
            _ => assert_eq!(kind(&seen.dirty), Some(&GapKind::NoControl)),
        }
    }
}

#[test]
fn a_record_that_moved_since_it_was_read_is_unknown_as_a_whole() {
    let scene = Scene::with_remote();
    let plain = record(&scene, json!({}));
    let with = |name: &str, value: Value| {
        let mut changed = plain.clone();
        changed[name] = value;
        source(&scene, &[changed])
    };
    let first = source(&scene, std::slice::from_ref(&plain));
    let sessions = first.load(&RealTime).expect("it loads");
    let head = crate::vigilante::scene::git(&scene.repo, &["rev-parse", BRANCH]);
    assert_eq!(first.beyond_head(&sessions[0], &head), Fact::Found(0));
    // Another instance, which has not loaded it, reads it again.
    let second = source(&scene, std::slice::from_ref(&plain));
    let seen = second.observe(&[&sessions[0]], &RealTime);
    assert_eq!(seen[0].dirty, Fact::Found(false));
    assert_eq!(second.beyond_head(&sessions[0], &head), Fact::Found(0));
    // Bookkeeping does not count; anything else does.
    let third = with("updated_at", json!(time(now())));
    assert_eq!(
        third.observe(&[&sessions[0]], &RealTime)[0].dirty,
        Fact::Found(false)
    );
    let fourth = with("branch", json!("other"));
    let seen = fourth.observe(&[&sessions[0]], &RealTime);
    assert_eq!(kind(&seen[0].agent), Some(&GapKind::IdentityChanged));
    assert_eq!(kind(&seen[0].unpushed), Some(&GapKind::IdentityChanged));
    let beyond = fourth.beyond_head(&sessions[0], &head);
    assert_eq!(kind(&beyond), Some(&GapKind::IdentityChanged));
}

#[test]
fn a_missing_home_is_an_error_and_an_empty_one_has_no_sessions() {
    let scene = Scene::new();
    let settings = Settings::default();
    let none = Vigilante::new(
        "vigilante",
        scene.root().join("none"),
        scene.root(),
        settings.clone(),
    );
    assert!(matches!(
        none.load(&RealTime),
        Err(crate::SourceError::Missing { .. })
    ));
    let empty = Vigilante::new("vigilante", &scene.home, scene.root(), settings);
    assert_eq!(empty.load(&RealTime).expect("it loads"), []);
    fs::write(scene.home.join("sessions.json"), "[\n{]").expect("a file");
    assert!(matches!(
        empty.load(&RealTime),
        Err(crate::SourceError::Malformed { line: 2, .. })
    ));
}
