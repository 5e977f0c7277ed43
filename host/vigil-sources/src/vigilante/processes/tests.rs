//! Real processes for what is there, a made-up table for what a machine hides.

#![expect(clippy::disallowed_macros, reason = "a skipped test says why")]

use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::process::Command;

use vigil_core::session::{Occupant, Process};
use vigil_core::time::minutes;

use super::*;
use crate::vigilante::scene::{self, Scene, now, run, run_as, run_until_ready};

mod namespaces;
mod occupants;
mod threads;

fn view(scene: &Scene) -> View<'_> {
    View {
        proc: Path::new("/proc"),
        home: &scene.home,
        same_namespace: Some(true),
        ignored: &[],
        // The tests start what vigil would never start.
        own: 0,
        booted_at: Some(scene::booted_at()),
    }
}

fn scan(scene: &Scene) -> Table {
    Table::scan(&view(scene), now())
}

impl Table {
    fn agent_in(&self, dir: &Path, names: &[String], supervisor: Option<u32>) -> Fact<Process> {
        self.agent(&Workplace::new(dir, names, supervisor, None))
    }

    fn occupant_in(&self, dir: &Path) -> Fact<Occupant> {
        self.occupant(&Workplace::new(dir, &claude(), None, None))
    }
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

fn claude() -> Vec<String> {
    names(&["claude"])
}

fn recorded(pid: u32, last_word: Timestamp) -> Recorded {
    Recorded {
        pid,
        written: Some(last_word),
        last_word: Some(last_word),
    }
}

fn kind<T>(fact: &Fact<T>) -> Option<&GapKind> {
    fact.gap().map(|gap| &gap.kind)
}

fn detail(fact: &Fact<Process>) -> &str {
    match fact {
        Fact::Absent(sighting) => &sighting.detail,
        other => panic!("not absent: {other:?}"),
    }
}

#[test]
fn an_agent_is_a_process_in_the_worktree_that_bears_the_provider_s_name() {
    let scene = Scene::new();
    let inside = scene.worktree.join("src");
    fs::create_dir(&inside).expect("a folder");
    let before = now();
    let _editor = run_as(&scene, "editor", &scene.worktree);
    let _elsewhere = run_as(&scene, "claude", &scene.repo);
    assert!(
        scan(&scene)
            .agent_in(&scene.worktree, &claude(), None)
            .is_absent()
    );

    let agent = run_as(&scene, "claude", &inside);
    let table = scan(&scene);
    let found = table.agent_in(&scene.worktree, &claude(), None);
    let Fact::Found(process) = found else {
        panic!("{found:?}");
    };
    assert_eq!(process.pid, agent.pid());
    // The kernel counts in hundredths from a boot that it knows to the second.
    let started = process.started.expect("a start time");
    assert!(started.after(minutes(1)) > before && started < now().after(minutes(1)));
    assert!(
        table
            .agent_in(&scene.worktree, &names(&["codex"]), None)
            .is_absent()
    );
    assert!(
        table
            .agent_in(&scene.worktree.join("sr"), &claude(), None)
            .is_absent()
    );
    // Another way to the same folder.
    let link = scene.root().join("link");
    symlink(&scene.worktree, &link).expect("a link");
    assert!(table.agent_in(&link, &claude(), None).found().is_some());
}

#[test]
fn an_agent_in_a_folder_that_was_removed_under_it_still_lives() {
    let scene = Scene::new();
    let agent = run_as(&scene, "claude", &scene.worktree);
    scene.remove_worktree();
    let found = scan(&scene).agent_in(&scene.worktree, &claude(), None);
    assert_eq!(found.found().map(|process| process.pid), Some(agent.pid()));
}

#[test]
fn an_interpreter_is_what_it_runs() {
    let scene = Scene::new();
    let script = "/usr/lib/node_modules/@anthropic-ai/claude-code/cli.js";
    let node = run_until_ready(
        Command::new("sh")
            .arg0("node")
            .args(["-c", "echo ready; sleep 600; :", script])
            .current_dir(&scene.worktree),
    );
    let found = scan(&scene).agent_in(&scene.worktree, &claude(), None);
    assert_eq!(found.found().map(|process| process.pid), Some(node.pid()));
}

#[test]
fn whatever_descends_from_the_supervisor_and_works_in_the_worktree_is_its_agent() {
    let scene = Scene::new();
    let supervisor = run_until_ready(
        Command::new("sh")
            .args(["-c", "cd \"$0\"; sleep 600 & cd /; echo ready; wait"])
            .arg(&scene.worktree),
    );
    let table = scan(&scene);
    let found = table.agent_in(&scene.worktree, &claude(), Some(supervisor.pid()));
    let agent = found.found().expect("the shell's child").pid;
    assert_ne!(agent, supervisor.pid());
    assert!(table.agent_in(&scene.worktree, &claude(), None).is_absent());
    // Every orphan descends from the first process.
    assert!(
        table
            .agent_in(&scene.worktree, &claude(), Some(1))
            .is_absent()
    );
}

#[test]
fn a_supervisor_lives_is_a_zombie_or_is_gone() {
    let scene = Scene::new();
    let running = run(Command::new("sleep").arg("600"));
    let pid = running.pid();
    let found = scan(&scene).supervisor(recorded(pid, now()));
    assert_eq!(found.found().map(|process| process.pid), Some(pid));
    let zombie = running.into_zombie();
    let ended = scan(&scene).supervisor(recorded(pid, now()));
    assert!(detail(&ended).contains("zombie"), "{ended:?}");
    drop(zombie);
    assert!(scan(&scene).supervisor(recorded(pid, now())).is_absent());
    // Nobody but the superuser may signal the first process, and yet it lives.
    assert!(
        scan(&scene)
            .supervisor(recorded(1, now()))
            .found()
            .is_some()
    );
}

#[test]
fn a_pid_of_another_time_is_not_the_supervisor() {
    let scene = Scene::new();
    let running = run(Command::new("sleep").arg("600"));
    let table = scan(&scene);
    let reused = table.supervisor(recorded(running.pid(), now().before(minutes(5))));
    let booted = scene::booted_at();
    let up_for_minutes = booted.age(now()) > minutes(10);
    if up_for_minutes {
        assert!(detail(&reused).contains("started later"), "{reused:?}");
    } else {
        assert!(reused.is_absent());
    }
    let earlier = table.supervisor(recorded(running.pid(), booted.before(minutes(1))));
    assert!(detail(&earlier).contains("booted"), "{earlier:?}");
    // A later word of the record than the one about the pid speaks for the process.
    let kept = table.supervisor(Recorded {
        pid: running.pid(),
        written: None,
        last_word: Some(now()),
    });
    assert!(kept.found().is_some());
}

#[test]
fn a_thread_s_number_is_no_supervisor() {
    let scene = Scene::new();
    let own = std::process::id().to_string();
    let (sender, receiver) = std::sync::mpsc::channel::<()>();
    let waiting = std::thread::spawn(move || receiver.recv());
    let thread = fs::read_dir("/proc/self/task")
        .expect("the threads")
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|id| *id != own)
        .max_by_key(|id| id.parse::<u32>().ok())
        .expect("the thread that waits");
    let found = scan(&scene).supervisor(recorded(thread.parse().expect("a number"), now()));
    assert!(detail(&found).contains("thread"), "{found:?}");
    drop(sender);
    let _ = waiting.join();
}

/// A process table made of files: `(pid, name, working folder)`, `None` where it may not be looked at.
struct Made(tempfile::TempDir);

impl Made {
    fn new(namespace: &str, processes: &[(u32, &str, Option<&str>)]) -> Made {
        let made = Made(tempfile::tempdir().expect("a folder"));
        let own = std::process::id();
        symlink(own.to_string(), made.0.path().join("self")).expect("a link");
        for (pid, name, folder) in processes {
            let dir = made.0.path().join(pid.to_string());
            fs::create_dir_all(dir.join("ns")).expect("a folder");
            symlink(format!("pid:[{namespace}]"), dir.join("ns/pid")).expect("a link");
            let zeros = "0 ".repeat(48);
            fs::write(dir.join("stat"), format!("{pid} ({name}) S 1 {zeros}\n")).expect("a file");
            fs::write(dir.join("cmdline"), format!("{name}\0")).expect("a file");
            match folder {
                Some(folder) => symlink(folder, dir.join("cwd")).expect("a link"),
                // No link can be read from a file, as none can from a link that is somebody else's.
                None => fs::write(dir.join("cwd"), "").expect("a file"),
            }
        }
        made
    }

    /// The same with other numbers in the process's `stat`: its parent, its flags, and its start in ticks.
    fn with_stat(self, pid: u32, name: &str, parent: u32, flags: u32, started: u64) -> Made {
        let line = format!(
            "{pid} ({name}) S {parent} 0 0 0 0 {flags} {}{started} {}\n",
            "0 ".repeat(12),
            "0 ".repeat(30)
        );
        let file = self.0.path().join(pid.to_string()).join("stat");
        fs::write(file, line).expect("a file");
        self
    }

    /// The same with the process in that state, and with further threads: `(number, state, working folder)`.
    fn with_threads(self, pid: u32, state: char, threads: &[(u32, char, Option<&str>)]) -> Made {
        let dir = self.0.path().join(pid.to_string());
        let put = |dir: &Path, state: char| {
            let stat = fs::read_to_string(self.0.path().join(pid.to_string()).join("stat"));
            let stat = stat
                .expect("a file")
                .replace(") S ", &format!(") {state} "));
            fs::write(dir.join("stat"), stat).expect("a file");
        };
        for (number, its, folder) in threads {
            let thread = dir.join("task").join(number.to_string());
            fs::create_dir_all(&thread).expect("a folder");
            put(&thread, *its);
            fs::copy(dir.join("cmdline"), thread.join("cmdline")).expect("a file");
            match folder {
                Some(folder) => symlink(folder, thread.join("cwd")).expect("a link"),
                None => fs::write(thread.join("cwd"), "").expect("a file"),
            }
        }
        put(&dir, state);
        // The kernel tells neither the folder nor the arguments of a thread that has ended.
        if state != 'S' {
            fs::remove_file(dir.join("cwd")).expect("a link");
            fs::write(dir.join("cmdline"), "").expect("a file");
        }
        self
    }

    /// The same with the process in another namespace.
    fn in_namespace(self, pid: u32, kind: &str, number: &str) -> Made {
        let link = self.0.path().join(pid.to_string()).join("ns").join(kind);
        let _ = fs::remove_file(&link);
        symlink(format!("{kind}:[{number}]"), link).expect("a link");
        self
    }

    fn scan(&self, same_namespace: Option<bool>) -> Table {
        self.seen(same_namespace, Timestamp(0))
    }

    fn seen(&self, same_namespace: Option<bool>, booted_at: Timestamp) -> Table {
        let view = View {
            proc: self.0.path(),
            home: Path::new("/"),
            same_namespace,
            ignored: &[],
            own: 0,
            booted_at: Some(booted_at),
        };
        Table::scan(&view, now())
    }
}

const HOST: &str = "4026531836";
const CONTAINER: &str = "4026532178";

#[test]
fn an_absence_needs_a_table_that_shows_everything() {
    let own = std::process::id();
    let tree = Path::new("/w");
    let made = Made::new(HOST, &[(1, "init", Some("/")), (own, "vigil", Some("/"))]);
    assert!(made.scan(None).agent_in(tree, &claude(), None).is_absent());
    assert!(
        made.scan(None)
            .supervisor(recorded(4_194_303, now()))
            .is_absent()
    );

    // The first process is hidden: hidepid.
    let hidden = Made::new(HOST, &[(own, "vigil", Some("/"))]).scan(None);
    assert_eq!(
        kind(&hidden.agent_in(tree, &claude(), None)),
        Some(&GapKind::NoControl)
    );
    assert_eq!(
        kind(&hidden.supervisor(recorded(4_194_303, now()))),
        Some(&GapKind::NoControl)
    );
    // Somebody else's table.
    let other = Made::new(HOST, &[(1, "init", Some("/"))]).scan(None);
    assert_eq!(
        kind(&other.agent_in(tree, &claude(), None)),
        Some(&GapKind::NoControl)
    );
    // None at all.
    let nothing = View {
        proc: Path::new("/nonexistent"),
        home: Path::new("/"),
        same_namespace: None,
        ignored: &[],
        own: 0,
        booted_at: None,
    };
    let none = Table::scan(&nothing, now());
    assert_eq!(
        kind(&none.agent_in(tree, &claude(), None)),
        Some(&GapKind::NoControl)
    );
    assert_eq!(
        kind(&none.supervisor(recorded(1, now()))),
        Some(&GapKind::NoControl)
    );
    // What is seen is seen.
    let seen = Made::new(HOST, &[(own, "claude", Some("/w"))]).scan(None);
    assert!(seen.agent_in(tree, &claude(), None).found().is_some());
}

#[test]
fn in_a_container_it_takes_a_running_owner_or_the_configuration_s_word() {
    let own = std::process::id();
    let tree = Path::new("/w");
    let alone = Made::new(
        CONTAINER,
        &[(1, "sh", Some("/")), (own, "vigil", Some("/"))],
    );
    for (word, expected) in [
        (None, Some(&GapKind::OtherNamespace)),
        (Some(false), Some(&GapKind::OtherNamespace)),
        (Some(true), None),
    ] {
        let table = alone.scan(word);
        assert_eq!(kind(&table.agent_in(tree, &claude(), None)), expected);
        assert_eq!(
            kind(&table.supervisor(recorded(4_194_303, now()))),
            expected
        );
    }
    let beside = Made::new(
        CONTAINER,
        &[
            (1, "sh", Some("/")),
            (7, "vigilante", Some("/")),
            (own, "vigil", Some("/")),
        ],
    );
    assert!(
        beside
            .scan(None)
            .agent_in(tree, &claude(), None)
            .is_absent()
    );
    // Whatever the namespace, nobody outlives the machine.
    let table = alone.seen(None, Timestamp(2_000_000));
    assert!(
        table
            .supervisor(recorded(7, Timestamp(1_000_000)))
            .is_absent()
    );
    let outside = Made::new(HOST, &[(1, "init", Some("/")), (own, "vigil", Some("/"))]);
    let elsewhere = outside.scan(Some(false)).agent_in(tree, &claude(), None);
    assert_eq!(kind(&elsewhere), Some(&GapKind::OtherNamespace));
}

#[test]
fn a_process_that_may_be_the_agent_and_may_not_be_looked_at_is_a_gap() {
    let own = std::process::id();
    let tree = Path::new("/w");
    let with = |name| {
        let processes = [
            (1, "init", None),
            (own, "vigil", Some("/")),
            (77, name, None),
        ];
        Made::new(HOST, &processes)
            .scan(None)
            .agent_in(tree, &claude(), None)
    };
    assert_eq!(kind(&with("claude")), Some(&GapKind::Denied));
    assert!(with("bash").is_absent());
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the test starts itself again inside a namespace"
)]
fn in_another_pid_namespace_real_absences_say_nothing() {
    const INSIDE: &str = "VIGIL_TEST_INSIDE_NAMESPACE";
    if std::env::var_os(INSIDE).is_some() {
        let scene = Scene::new();
        let unsaid = View {
            same_namespace: None,
            ..view(&scene)
        };
        let table = Table::scan(&unsaid, now());
        let agent = table.agent_in(&scene.worktree, &claude(), None);
        assert_eq!(kind(&agent), Some(&GapKind::OtherNamespace), "{agent:?}");
        let supervisor = table.supervisor(recorded(4_194_303, now()));
        assert_eq!(
            kind(&supervisor),
            Some(&GapKind::OtherNamespace),
            "{supervisor:?}"
        );
        return;
    }
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root may make a pid namespace");
        return;
    }
    let output = Command::new("unshare")
        .args(["--pid", "--fork", "--mount-proc", "--"])
        .arg(std::env::current_exe().expect("this test"))
        .args([
            "--exact",
            "vigilante::processes::tests::in_another_pid_namespace_real_absences_say_nothing",
        ])
        .env(INSIDE, "1")
        .output();
    match output {
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success(), "{said}");
            assert!(said.contains("1 passed"), "{said}");
        }
        Err(error) => eprintln!("skipped: no unshare ({error})"),
    }
}
