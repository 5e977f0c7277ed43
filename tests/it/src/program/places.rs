//! One session's files attack vigil: the others move in the same pass, every command answers, and the place is named.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps, mknodat, utimensat};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use vigil::demo::Made;
use vigil::demo::home::REPO;

use super::hung::{Hung, Silence};
use super::stage::{self, Held, Stage, session, wait_for, wait_for_end};

/// The session that is attacked, and the last of the others.
const ATTACKED: u64 = 1;
const LAST: u64 = 8;

/// 12 s: `vigil status` answers within 10, and a machine that has much else to do takes its time.
const IN_TIME: Duration = Duration::from_secs(12);

/// Eight stale sessions whose pull requests are merged.
fn stage() -> Stage {
    let mut stage = Stage::new();
    for issue in ATTACKED..=LAST {
        stage.add_merged(&Made {
            issue,
            log: "[2026-03-26T19:00:00Z] session started status=running\n",
            ..Made::default()
        });
    }
    stage.write();
    stage
}

/// Every session but the attacked one has been moved.
#[track_caller]
fn others_moved(stage: &Stage, name: &str) {
    for issue in ATTACKED + 1..=LAST {
        assert_eq!(stage.record(issue)["status"], "success", "{name}: {issue}");
    }
}

fn pipe(path: &Path) {
    mknodat(CWD, path, FileType::Fifo, Mode::from(0o600), 0).expect("a pipe");
}

fn socket(path: &Path) {
    drop(UnixListener::bind(path).expect("a socket"));
}

fn zero(path: &Path) {
    symlink("/dev/zero", path).expect("a link");
}

fn sparse(path: &Path) {
    let file = File::create(path).expect("a file");
    file.set_len(1 << 40).expect("1 TiB of nothing");
}

fn folder(path: &Path) {
    fs::create_dir(path).expect("a folder");
}

fn patterns(path: &Path) {
    let text: String = (0..200_000).map(|n| format!("{n}*.x\n")).collect();
    fs::write(path, text).expect("a file");
}

/// Puts something where a file of the session was expected.
type Put = fn(&Path);

#[test]
fn whatever_an_agent_puts_where_a_file_is_expected_holds_up_its_own_session_alone() {
    let worktree = |stage: &Stage| stage.home.worktree(ATTACKED);
    let of_git = |stage: &Stage| stage.home.repository().join(".git/worktrees/issue-1");
    // The place, what stands there, and whether that is a trouble that `doctor` names.
    let cases: Vec<(&str, PathBuf, Put, bool)> = {
        let stage = stage();
        let base = stage.home.root().to_owned();
        let below = |path: PathBuf| path.strip_prefix(&base).expect("below it").to_owned();
        let ignore = below(worktree(&stage).join(".gitignore"));
        let deep = below(worktree(&stage).join("sub/.gitignore"));
        let link = below(worktree(&stage).join(".git"));
        let log = below(stage.home.log(ATTACKED));
        let head = below(of_git(&stage).join("HEAD"));
        vec![
            (".gitignore: pipe", ignore.clone(), pipe as Put, true),
            (".gitignore: socket", ignore.clone(), socket, true),
            (".gitignore: folder", ignore.clone(), folder, true),
            (".gitignore: sparse", ignore.clone(), sparse, true),
            (".gitignore: patterns", ignore.clone(), patterns, true),
            (".gitignore: zero", ignore, zero, false),
            ("sub/.gitignore: pipe", deep.clone(), pipe, true),
            ("sub/.gitignore: sparse", deep, sparse, true),
            (".git: pipe", link.clone(), pipe, false),
            (".git: zero", link.clone(), zero, false),
            (".git: sparse", link, sparse, false),
            ("HEAD: pipe", head, pipe, true),
            ("log: pipe", log.clone(), pipe, true),
            ("log: socket", log.clone(), socket, true),
            ("log: zero", log, zero, true),
        ]
    };
    for (name, place, put, is_told) in cases {
        let stage = stage();
        let place = stage.home.root().join(place);
        fs::create_dir_all(place.parent().expect("a parent")).expect("a folder");
        let _ = fs::remove_file(&place);
        put(&place);
        age(&stage, &place);
        // Before the pass: what is settled is not looked at any more.
        let doctor = stage.run(&["doctor", "--json"]).json();
        assert_eq!(names(&doctor, &place), is_told, "{name}: {doctor:#}");
        stage.pass();
        others_moved(&stage, name);
        let status = stage.status().json();
        assert_eq!(
            session(&status, ATTACKED)["id"],
            format!("{REPO}#{ATTACKED}"),
            "{name}"
        );
    }
}

/// As if it had stood there for long: beside a fresh write nobody needs to know about others.
fn age(stage: &Stage, place: &Path) {
    let then = Timespec {
        tv_sec: i64::try_from(stage.minutes_ago(90) / 1_000).expect("a time"),
        tv_nsec: 0,
    };
    let times = Timestamps {
        last_access: then,
        last_modification: then,
    };
    let root = stage.home.root();
    for path in place.ancestors().take_while(|path| *path != root) {
        utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).expect("the time is set");
    }
}

/// Whether a failed finding holds `place`.
fn names(doctor: &Value, place: &Path) -> bool {
    let place = place.to_str().expect("a path");
    let findings = doctor["findings"].as_array().expect("a list");
    findings.iter().any(|finding| {
        finding["ok"] == false
            && finding["detail"]
                .as_str()
                .is_some_and(|text| text.contains(place))
    })
}

#[test]
fn the_daemon_goes_on_beside_a_pipe_and_ends_when_it_is_told() {
    let stage = stage();
    let _ = fs::remove_file(stage.home.worktree(ATTACKED).join(".gitignore"));
    pipe(&stage.home.worktree(ATTACKED).join(".gitignore"));
    let mut daemon = Held(
        stage
            .vigil(&["run", "--interval", "5s"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("vigil starts"),
    );
    wait_for("the others to move", || {
        (ATTACKED + 1..=LAST)
            .all(|issue| stage.record(issue)["status"] == "success")
            .then_some(())
    });
    let pid = Pid::from_child(&daemon.0);
    kill_process(pid, Signal::TERM).expect("it is our child");
    assert_eq!(wait_for_end(&mut daemon.0).code(), Some(0));
}

#[test]
fn a_mount_that_does_not_answer_holds_up_those_behind_it_alone() {
    for silence in [Silence::FromTheStart, Silence::WithRequests] {
        let mut stage = stage();
        // Three more, whose worktrees were moved behind it: one by a link.
        let place = stage.path("far");
        for issue in 11..=13 {
            let worktree = match issue {
                13 => stage.path("link").join("13"),
                _ => place.join(issue.to_string()),
            };
            stage.add_merged(&Made {
                issue,
                extra: json!({ "worktree_path": worktree })
                    .as_object()
                    .expect("an object")
                    .clone(),
                ..Made::default()
            });
        }
        symlink(&place, stage.path("link")).expect("a link");
        stage.write();
        let Some(hung) = Hung::mount(&place, silence) else {
            return;
        };
        let begun = Instant::now();
        stage.pass();
        let took = begun.elapsed();
        others_moved(&stage, &format!("{silence:?}"));
        // One look is waited for in vain, and not three: 4 s, and the machine's own pace.
        assert!(took < IN_TIME, "{silence:?}: it took {took:?}");
        let begun = Instant::now();
        let status = stage.status().json();
        assert!(begun.elapsed() < IN_TIME, "{silence:?}");
        for issue in 11..=13 {
            let seen = session(&status, issue);
            let gaps = seen["gaps"].as_array().expect("a list");
            let timed_out = gaps.iter().any(|gap| {
                gap["kind"] == "timed-out"
                    && gap["detail"]
                        .as_str()
                        .is_some_and(|detail| detail.contains(place.to_str().expect("a path")))
            });
            assert!(timed_out, "{silence:?}: {seen:#}");
            assert_eq!(stage.record(issue)["status"], "running", "{silence:?}");
        }
        let doctor = stage.run(&["doctor", "--json"]).json();
        assert!(names(&doctor, &place), "{silence:?}: {doctor:#}");
        drop(hung);
    }
}

#[test]
fn a_home_behind_a_mount_that_does_not_answer_is_a_source_that_failed() {
    for (is_linked, silence) in [
        (false, Silence::WithRequests),
        (true, Silence::WithRequests),
        (false, Silence::FromTheStart),
    ] {
        let stage = stage();
        let place = stage.path("far");
        let Some(hung) = Hung::mount(&place, silence) else {
            return;
        };
        let home = match is_linked {
            true => {
                let link = stage.path("link");
                symlink(&place, &link).expect("a link");
                link.join("home")
            }
            false => place.join("home"),
        };
        stage.configure(&format!(
            "[source.near]\nkind = \"vigilante\"\nhome = {:?}\n\
             [source.far]\nkind = \"vigilante\"\nhome = {home:?}\n\
             [source.further]\nkind = \"vigilante\"\nhome = {:?}\n",
            stage.home.vigilante(),
            place.join("other"),
        ));
        let place = place.to_str().expect("a path");
        let begun = Instant::now();
        let mut command = stage.vigil(&["status", "--json"]);
        let ran = stage::ran(command.env("VIGIL_LOG", "warn"));
        let took = begun.elapsed();
        // The records are read twice, of two homes there, and it is waited for them once.
        assert!(took < IN_TIME, "it took {took:?}");
        assert_eq!(ran.code, Some(1), "{ran:#?}");
        let status = ran.json();
        let sources = status["sources"].as_array().expect("a list");
        let far = sources.iter().find(|source| source["name"] == "far");
        let error = far.expect("it is told of")["error"].as_str();
        let error = error.expect("an error");
        assert!(error.contains("did not answer a look"), "{error}");
        assert!(error.contains("for 4 s"), "{error}");
        let waits = ran.err.matches("a place does not answer").count();
        assert_eq!(waits, 1, "{ran:#?}");
        assert_eq!(session(&status, LAST)["judged_state"], "succeeded");
        let left = usize::from(silence == Silence::WithRequests);
        assert_eq!(left_behind(&stage).len(), left, "the pass left no other");
        let doctor = stage.run(&["doctor", "--json"]).json();
        assert!(names(&doctor, Path::new(place)), "{doctor:#}");
        let ran = stage.pass();
        assert_eq!(ran.code, Some(1), "{ran:#?}");
        assert!(ran.out.contains("did not answer"), "{ran:#?}");
        assert_eq!(stage.record(LAST)["status"], "success", "{ran:#?}");
        assert_eq!(left_behind(&stage).len(), left);
        drop(hung);
    }
}

#[test]
fn a_lock_behind_a_mount_that_does_not_answer_keeps_vigil_from_writing_and_no_more() {
    for name in ["scan.lock", "logs"] {
        let stage = stage();
        let place = stage.path("far");
        let Some(hung) = Hung::mount(&place, Silence::WithRequests) else {
            return;
        };
        let link = stage.home.vigilante().join(name);
        let _ = fs::rename(&link, stage.path("put-aside"));
        symlink(place.join(name), &link).expect("a link");
        for command in [
            ["doctor", "--json"].as_slice(),
            &["status", "--json"],
            &["run", "--once", "--policy", "default.wasm", "--json"],
        ] {
            let begun = Instant::now();
            let ran = stage.run(command);
            let took = begun.elapsed();
            assert!(took < IN_TIME, "{command:?} took {took:?}");
            // What is not to be written needs no lock.
            let said = ran.out.contains(place.to_str().expect("a path"));
            assert!(
                said || command[0] == "status",
                "{name}: {command:?}: {ran:#?}"
            );
        }
        assert_eq!(stage.record(LAST)["status"], "running", "{name}");
        assert_eq!(left_behind(&stage).len(), 1, "{name}");
        drop(hung);
    }
}

#[test]
fn six_mounts_that_do_not_answer_are_waited_for_in_the_time_of_one_and_a_little() {
    let mut stage = stage();
    let places: Vec<PathBuf> = (11..=16).map(|n| stage.path(&format!("far-{n}"))).collect();
    for (issue, place) in (11..).zip(&places) {
        let extra = json!({ "worktree_path": place.join("work") });
        stage.add_merged(&Made {
            issue,
            extra: extra.as_object().expect("an object").clone(),
            ..Made::default()
        });
    }
    stage.write();
    let hung: Option<Vec<Hung>> = places
        .iter()
        .map(|place| Hung::mount(place, Silence::WithRequests))
        .collect();
    let Some(hung) = hung else {
        return;
    };
    let begun = Instant::now();
    let status = stage.status().json();
    let took = begun.elapsed();
    assert!(took < IN_TIME, "it took {took:?}");
    for (issue, place) in (11..).zip(&places) {
        let gaps = session(&status, issue)["gaps"].to_string();
        let place = place.to_str().expect("a path");
        assert!(
            gaps.contains("timed-out") && gaps.contains(place),
            "{place}: {gaps}"
        );
    }
    assert_eq!(session(&status, LAST)["judged_state"], "succeeded");
    assert_eq!(left_behind(&stage).len(), places.len());
    drop(hung);
}

#[test]
fn two_repositories_on_a_mount_leave_one_process_behind() {
    let mut stage = stage();
    let place = stage.path("far");
    for issue in 11..=12 {
        let repository = place.join(issue.to_string());
        let extra = json!({ "repo_path": repository, "worktree_path": repository.join("work") });
        stage.add_merged(&Made {
            issue,
            extra: extra.as_object().expect("an object").clone(),
            ..Made::default()
        });
    }
    stage.write();
    let Some(hung) = Hung::mount(&place, Silence::WithRequests) else {
        return;
    };
    let ran = stage.pass().json_with(0);
    others_moved(&stage, "two repositories");
    for issue in 11..=12 {
        let gaps = session(&ran, issue)["gaps"].to_string();
        assert!(gaps.contains(place.to_str().expect("a path")), "{gaps}");
    }
    assert_eq!(left_behind(&stage).len(), 1, "{:#?}", left_behind(&stage));
    drop(hung);
}

#[test]
fn another_worktree_that_git_lists_on_a_mount_that_does_not_answer_holds_up_nobody() {
    let mut stage = stage();
    let place = stage.path("far");
    fs::create_dir(&place).expect("a folder");
    let root = stage.home.repository();
    // These stand where git says, which has to be looked up.
    for issue in 11..=13 {
        let extra = json!({ "worktree_path": root.join(format!("gone/issue-{issue}")) });
        stage.add_merged(&Made {
            issue,
            extra: extra.as_object().expect("an object").clone(),
            ..Made::default()
        });
    }
    // These were moved there by git, and the record does not know.
    for issue in 14..=15 {
        stage.add_merged(&Made {
            issue,
            ..Made::default()
        });
        git_move(
            &root,
            &stage.home.worktree(issue),
            &place.join(issue.to_string()),
        );
    }
    stage.write();
    let Some(hung) = Hung::mount(&place, Silence::WithRequests) else {
        return;
    };
    let doctor = stage.run(&["doctor", "--json"]).json();
    assert!(names(&doctor, &place), "{doctor:#}");
    assert!(!names(&doctor, &stage.home.worktree(14)), "{doctor:#}");
    let begun = Instant::now();
    let ran = stage.pass().json_with(0);
    let took = begun.elapsed();
    assert!(took < IN_TIME, "it took {took:?}");
    others_moved(&stage, "listed");
    for issue in 11..=13 {
        assert_eq!(stage.record(issue)["status"], "success", "{issue}");
    }
    for issue in 14..=15 {
        let said = session(&ran, issue);
        let gaps = said["gaps"].to_string();
        assert!(gaps.contains(place.to_str().expect("a path")), "{said:#}");
        assert_eq!(stage.record(issue)["status"], "running", "{issue}");
    }
    let left = left_behind(&stage);
    assert_eq!(left.len(), 1, "{left:#?}");
    assert_eq!(left[0]["place"], json!(place));
    drop(hung);
}

#[test]
fn a_mount_inside_a_worktree_is_not_touched() {
    let stage = stage();
    let place = stage.home.worktree(ATTACKED).join("inside");
    let Some(hung) = Hung::mount(&place, Silence::WithRequests) else {
        return;
    };
    let ran = stage.pass().json_with(0);
    others_moved(&stage, "inside");
    let said = session(&ran, ATTACKED);
    let gaps = said["gaps"].to_string();
    let place = place.to_str().expect("a path");
    assert!(
        gaps.contains("is mounted at") && gaps.contains(place),
        "{said:#}"
    );
    assert_eq!(left_behind(&stage), [Value::Null; 0]);
    drop(hung);
}

#[test]
fn runs_from_cron_leave_at_most_one_process_behind_for_a_mount() {
    let mut stage = stage();
    let place = stage.path("far");
    work_at(&mut stage, &place);
    let Some(hung) = Hung::mount(&place, Silence::WithRequests) else {
        return;
    };
    stage.pass().ended(0);
    let first = left_behind(&stage);
    let pid = &first[0]["pid"];
    assert!(Path::new(&format!("/proc/{pid}")).exists(), "{first:?}");
    for _ in 0..2 {
        let said = session(&stage.pass().json_with(0), 11);
        assert_eq!(said["outcome"], "held", "{said:#}");
        let gaps = said["gaps"].to_string();
        assert!(gaps.contains("is left alone until it does"), "{gaps}");
        assert_eq!(left_behind(&stage), first, "no other one");
    }
    drop(hung);
    wait_for("it to end, and to be forgotten", || {
        stage.pass().ended(0);
        left_behind(&stage).is_empty().then_some(())
    });
}

#[test]
fn a_daemon_leaves_at_most_one_process_behind_for_a_mount() {
    let mut stage = stage();
    let place = stage.path("far");
    work_at(&mut stage, &place);
    let Some(hung) = Hung::mount(&place, Silence::WithRequests) else {
        return;
    };
    let mut daemon = Held(
        stage
            .vigil(&["run", "--interval", "5s"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("vigil starts"),
    );
    wait_for("the others to move", || {
        (ATTACKED + 1..=LAST)
            .all(|issue| stage.record(issue)["status"] == "success")
            .then_some(())
    });
    // Another comes and goes in a later pass: the mount was looked at, or left alone, again.
    stage.add_merged(&Made {
        issue: 12,
        ..Made::default()
    });
    stage.write();
    wait_for("one more to move", || {
        (stage.record(12)["status"] == "success").then_some(())
    });
    let left = children(daemon.0.id());
    assert_eq!(left.len(), 1, "{left:?}");
    let pid = Pid::from_child(&daemon.0);
    kill_process(pid, Signal::TERM).expect("it is our child");
    assert_eq!(wait_for_end(&mut daemon.0).code(), Some(0));
    drop(hung);
}

/// The processes that could not be ended.
fn left_behind(stage: &Stage) -> Vec<Value> {
    let text = fs::read_to_string(stage.state_dir().join("left-behind.json"));
    serde_json::from_str(&text.unwrap_or_else(|_| "[]".to_owned())).expect("JSON")
}

/// As a person moves a worktree.
fn git_move(repository: &Path, from: &Path, to: &Path) {
    let moved = Command::new("git")
        .current_dir(repository)
        .args(["worktree", "move"])
        .args([from, to])
        .status();
    assert!(moved.expect("git").success());
}

/// Adds session 11, whose worktree is at `place`.
fn work_at(stage: &mut Stage, place: &Path) {
    let extra = json!({ "worktree_path": place.join("11") });
    stage.add_merged(&Made {
        issue: 11,
        extra: extra.as_object().expect("an object").clone(),
        ..Made::default()
    });
    stage.write();
}

/// The children of a process that were told to end and did not.
fn children(parent: u32) -> Vec<String> {
    let processes = fs::read_dir("/proc").expect("processes").flatten();
    processes
        .filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok())
        .filter(|stat| {
            let after = stat.rsplit_once(") ").map(|(_, after)| after);
            let mut fields = after.unwrap_or_default().split(' ');
            let state = fields.next();
            state == Some("D") && fields.next() == Some(&parent.to_string())
        })
        .collect()
}
