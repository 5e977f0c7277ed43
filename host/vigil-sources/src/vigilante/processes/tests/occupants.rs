//! Who else is at work in a worktree: real processes under every kind of name, and made-up ones that may not be looked
//! at.

use std::os::unix::fs::PermissionsExt as _;

use super::*;

fn name(fact: &Fact<Occupant>) -> Option<&str> {
    fact.found().map(|occupant| occupant.name.as_str())
}

#[test]
fn a_process_under_any_name_is_seen_where_it_works() {
    let scene = Scene::new();
    let below = scene.worktree.join("src/deep");
    fs::create_dir_all(&below).expect("a folder");
    // Another worktree whose name begins like this one's.
    let like = scene.worktree.with_file_name("issue-2990");
    fs::create_dir(&like).expect("a folder");
    for (program, dir, expected) in [
        ("node", &scene.worktree, Some("node")),
        ("2.1.332", &scene.worktree, Some("2.1.332")),
        ("cli.js", &below, Some("cli.js")),
        ("nvim", &below, Some("nvim")),
        ("node", &scene.repo, None),
        ("node", &like, None),
        ("node", &scene.home, None),
        // A wrapper of the provider's own name is the agent itself, and no stranger would be asked for.
        (".claude-wrapped", &scene.worktree, Some(".claude-wrapped")),
    ] {
        let running = run_as(&scene, program, dir);
        let table = scan(&scene);
        let found = table.occupant_in(&scene.worktree);
        assert_eq!(name(&found), expected, "{program} in {}", dir.display());
        if let Fact::Found(occupant) = &found {
            assert_eq!(occupant.pid, running.pid());
            assert!(occupant.started.is_some());
        } else {
            assert!(found.is_absent(), "{found:?}");
        }
        let agent = table.agent_in(&scene.worktree, &claude(), None);
        let is_agent = program == ".claude-wrapped";
        assert_eq!(agent.found().is_some(), is_agent, "{program}: {agent:?}");
    }
}

#[test]
fn the_name_that_a_program_gave_itself_counts_too() {
    let scene = Scene::new();
    let bin = scene.root().join("2.1.332");
    fs::copy("/bin/sleep", &bin).expect("a copy of sleep");
    let _agent = run(Command::new(&bin)
        .arg0("claude")
        .arg("600")
        .current_dir(&scene.worktree));
    let table = scan(&scene);
    let agent = table.agent_in(&scene.worktree, &claude(), None);
    assert!(agent.found().is_some(), "{agent:?}");
    // Where its file lies says as much, when it wrote over its arguments.
    let versions = scene.root().join("share/claude/versions");
    fs::create_dir_all(&versions).expect("a folder");
    let bin = versions.join("2.1.333");
    fs::copy("/bin/sleep", &bin).expect("a copy of sleep");
    let other = scene.repo.join("elsewhere");
    fs::create_dir(&other).expect("a folder");
    let _other = run(Command::new(&bin)
        .arg0("2.1.333")
        .arg("600")
        .current_dir(&other));
    let agent = scan(&scene).agent_in(&other, &claude(), None);
    assert!(agent.found().is_some(), "{agent:?}");
}

#[test]
fn a_shell_is_nobody_and_what_it_runs_is_somebody() {
    let scene = Scene::new();
    // It has no child and waits for ever: a shell at its prompt.
    let shell = run_until_ready(
        Command::new("sh")
            .args(["-c", "echo ready; kill -STOP $$"])
            .current_dir(&scene.worktree),
    );
    let found = scan(&scene).occupant_in(&scene.worktree);
    assert!(found.is_absent(), "{found:?}");
    drop(shell);
    let busy = run_until_ready(
        Command::new("sh")
            .args(["-c", "sleep 600 & echo ready; wait"])
            .current_dir(&scene.worktree),
    );
    let found = scan(&scene).occupant_in(&scene.worktree);
    assert_eq!(name(&found), Some("sleep"));
    assert_ne!(found.found().map(|it| it.pid), Some(busy.pid()));
    drop(busy);
    let script = scene.root().join("ralph.sh");
    fs::write(&script, "#!/bin/sh\necho ready\nkill -STOP $$\n").expect("a script");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("it may run");
    for mut command in [Command::new(&script), {
        let mut command = Command::new("sh");
        command.arg(&script);
        command
    }] {
        let _running = run_until_ready(command.current_dir(&scene.worktree));
        let found = scan(&scene).occupant_in(&scene.worktree);
        assert_eq!(name(&found), Some("ralph.sh"), "{command:?}");
    }
}

#[test]
fn who_is_ignored_who_supervises_and_what_vigil_starts_does_not_count() {
    let scene = Scene::new();
    let running = run_as(&scene, "rust-analyzer", &scene.worktree);
    let found = scan(&scene).occupant_in(&scene.worktree);
    assert_eq!(name(&found), Some("rust-analyzer"));
    let ignored = names(&["gopls", "rust-analyzer"]);
    let table = Table::scan(
        &View {
            ignored: &ignored,
            ..view(&scene)
        },
        now(),
    );
    assert!(table.occupant_in(&scene.worktree).is_absent());
    // It is vigil itself, or one of its children.
    for own in [running.pid(), std::process::id()] {
        let table = Table::scan(
            &View {
                own,
                ..view(&scene)
            },
            now(),
        );
        let found = table.occupant_in(&scene.worktree);
        assert!(found.is_absent(), "{found:?}");
    }
    let supervised = Workplace::new(&scene.worktree, &[], Some(running.pid()), None);
    assert!(scan(&scene).occupant(&supervised).is_absent());
    assert!(scan(&scene).agent(&supervised).is_absent());
}

#[test]
fn a_zombie_is_nobody_and_a_removed_folder_hides_nobody() {
    let scene = Scene::new();
    let zombie = run_as(&scene, "node", &scene.worktree).into_zombie();
    let found = scan(&scene).occupant_in(&scene.worktree);
    assert!(found.is_absent(), "{found:?}");
    drop(zombie);
    let running = run_as(&scene, "node", &scene.worktree);
    scene.remove_worktree();
    let found = scan(&scene).occupant_in(&scene.worktree);
    assert_eq!(found.found().map(|it| it.pid), Some(running.pid()));
}

#[test]
fn who_stems_from_a_supervisor_that_is_gone_is_its_agent() {
    let scene = Scene::new();
    // It leads the group that its child stays in.
    let mut supervisor = run_until_ready(
        Command::new("sh")
            .args(["-c", "cd \"$0\"; sleep 600 & cd /; echo ready"])
            .arg(&scene.worktree),
    );
    supervisor.wait();
    let table = scan(&scene);
    let gone = recorded(supervisor.pid(), now());
    assert!(table.supervisor(gone).is_absent());
    let kin = table.kin(gone);
    assert_eq!(kin, Some(supervisor.pid()));
    let agent = table.agent_in(&scene.worktree, &claude(), kin);
    assert!(agent.found().is_some(), "{agent:?}");
    assert!(table.agent_in(&scene.worktree, &claude(), None).is_absent());
    // A number from before the boot, or of a process that was started later, says nothing.
    let before = recorded(supervisor.pid(), scene::booted_at().before(minutes(1)));
    assert_eq!(table.kin(before), None);
    let reused = run_as(&scene, "node", &scene.home);
    let reused = recorded(reused.pid(), now().before(minutes(5)));
    if scene::booted_at().age(now()) > minutes(10) {
        assert_eq!(scan(&scene).kin(reused), None);
    }
}

// ---- Processes that may not be looked at -----------------------------------------------------------------------------

/// A minute after the boot of the made-up machine, in ticks and as a moment.
const TICKS: u64 = 6_000;
const STARTED: Timestamp = Timestamp(60_000);

#[test]
fn a_process_that_may_not_be_looked_at_is_unknown_unless_something_shows_that_it_is_elsewhere() {
    let own = std::process::id();
    let tree = Path::new("/w/issue-1");
    let made = |name: &'static str, parent: (u32, &'static str, Option<&'static str>)| {
        let processes = [
            (1, "init", None),
            (own, "vigil", Some("/")),
            parent,
            (77, name, None),
        ];
        Made::new(HOST, &processes).with_stat(77, name, parent.0, 0, TICKS)
    };
    let orphan = (60, "systemd", Some("/home/u"));
    let since = |moment| Workplace::new(tree, &[], None, Some(moment));
    let any = Workplace::new(tree, &[], None, None);
    let seen = |made: &Made, place: &Workplace<'_>| made.scan(None).occupant(place);

    let unknown = seen(&made("node", orphan), &any);
    assert_eq!(kind(&unknown), Some(&GapKind::Denied));
    let gap = unknown.gap().expect("a gap");
    assert!(gap.detail.contains("77 (node)"), "{}", gap.detail);
    // Started before the session began, but for what clocks explain.
    let slack = START_SLACK;
    assert!(seen(&made("node", orphan), &since(STARTED.after(slack))).is_unknown());
    let later = STARTED.after(slack).after(Duration::from_millis(1));
    assert!(seen(&made("node", orphan), &since(later)).is_absent());
    // It does no work on anything.
    for name in ["bash", "ssh-agent", "(sd-pam)", "gpg-agent", "vigilante"] {
        assert!(seen(&made(name, orphan), &any).is_absent(), "{name}");
    }
    // Beside a parent that may be looked at, such as a browser that hides its parts.
    let at_home = (60, "chrome", Some("/home/u"));
    assert!(seen(&made("chrome", at_home), &any).is_absent());
    for inside in ["/w/issue-1", "/w/issue-1/src"] {
        let parent = (60, "bash", Some(inside));
        assert!(seen(&made("node", parent), &any).is_unknown(), "{inside}");
    }
    // The first process of all.
    let first = [(1, "supervisord", None), (own, "vigil", Some("/"))];
    assert!(seen(&Made::new(HOST, &first), &any).is_absent());
    // A part of the kernel.
    let kernel = made("kworker/0:1", orphan).with_stat(77, "kworker/0:1", 2, OF_THE_KERNEL, TICKS);
    assert!(seen(&kernel, &any).is_absent());
    // It is named like the agent: then that is unknown as well.
    let claude = claude();
    let named = Workplace::new(tree, &claude, None, None);
    let table = made("claude", at_home).scan(None);
    assert_eq!(kind(&table.agent(&named)), Some(&GapKind::Denied));
    assert_eq!(kind(&table.occupant(&named)), Some(&GapKind::Denied));
    let earlier = Workplace::new(tree, &claude, None, Some(later));
    assert!(table.agent(&earlier).is_absent());
}

#[test]
fn without_a_control_nobody_is_absent() {
    let own = std::process::id();
    let place = Path::new("/w");
    let hidden = Made::new(HOST, &[(own, "vigil", Some("/"))]).scan(None);
    assert_eq!(kind(&hidden.occupant_in(place)), Some(&GapKind::NoControl));
    let other = Made::new(HOST, &[(1, "init", Some("/"))]).scan(None);
    assert_eq!(kind(&other.occupant_in(place)), Some(&GapKind::NoControl));
    let elsewhere = Made::new(HOST, &[(1, "init", Some("/")), (own, "vigil", Some("/"))]);
    let found = elsewhere.scan(Some(false)).occupant_in(place);
    assert_eq!(kind(&found), Some(&GapKind::OtherNamespace));
    // What is seen is seen.
    let seen = Made::new(HOST, &[(own, "node", Some("/w"))]).scan(None);
    assert_eq!(name(&seen.occupant_in(place)), Some("node"));
}
