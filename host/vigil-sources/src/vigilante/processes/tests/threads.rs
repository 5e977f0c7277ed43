//! Processes whose first thread has ended.

use super::*;

#[test]
fn a_process_whose_first_thread_ended_lives_as_long_as_another_thread_does() {
    let own = std::process::id();
    let tree = Path::new("/w");
    let gone = ('Z', Some("/w"));
    for (what, state, others, found, gap) in [
        ("it ended", 'Z', &[][..], false, None),
        (
            "all its threads ended",
            'Z',
            &[gone, ('X', None)],
            false,
            None,
        ),
        ("one works on", 'Z', &[('S', Some("/w"))], true, None),
        (
            "one waits for its disk",
            'X',
            &[gone, ('D', Some("/w"))],
            true,
            None,
        ),
        (
            "one works elsewhere",
            'Z',
            &[gone, ('R', Some("/v"))],
            false,
            None,
        ),
        (
            "one may not be looked at",
            'Z',
            &[('S', None)],
            false,
            Some(GapKind::Denied),
        ),
    ] {
        let mut threads = vec![(77, state, None)];
        let numbers = 78_u32..;
        threads.extend(
            numbers
                .zip(others)
                .map(|(number, (state, folder))| (number, *state, *folder)),
        );
        let processes = [
            (1, "init", Some("/")),
            (own, "vigil", Some("/")),
            (77, "node", Some("/w")),
        ];
        let table = Made::new(HOST, &processes)
            .with_threads(77, state, &threads)
            .scan(None);
        let named = names(&["node"]);
        let agent = table.agent_in(tree, &named, None);
        assert_eq!(agent.found().is_some(), found, "{what}: {agent:?}");
        assert_eq!(kind(&agent), gap.as_ref(), "{what}: {agent:?}");
        let occupant = table.occupant_in(tree);
        assert_eq!(occupant.found().is_some(), found, "{what}: {occupant:?}");
        assert_eq!(kind(&occupant), gap.as_ref(), "{what}: {occupant:?}");
        // Its number is taken for as long as one of its threads lives, wherever that works.
        let lives = others.iter().any(|(state, _)| !threads::is_over(*state));
        let supervisor = table.supervisor(recorded(77, now()));
        assert_eq!(
            supervisor.found().is_some(),
            lives,
            "{what}: {supervisor:?}"
        );
    }
}

#[test]
fn an_agent_whose_first_thread_ended_is_seen_at_work() {
    // exit(2) of the first thread alone, by its number on either of the usual machines.
    const SCRIPT: &str = "import ctypes, platform, threading, time\n\
        print('ready', flush=True)\n\
        threading.Thread(target=time.sleep, args=(600,)).start()\n\
        ctypes.CDLL(None).syscall({'x86_64': 60}.get(platform.machine(), 93), 0)\n";
    if Command::new("python3").arg("-c").output().is_err() {
        eprintln!("skipped: no python3");
        return;
    }
    let scene = Scene::new();
    let agent = run_until_ready(
        Command::new("python3")
            .args(["-c", SCRIPT])
            .current_dir(&scene.worktree),
    );
    let state = || fs::read_to_string(format!("/proc/{}/stat", agent.pid())).unwrap_or_default();
    while !state().contains(") Z ") {
        std::thread::yield_now();
    }
    let found = scan(&scene).agent_in(&scene.worktree, &names(&["python3"]), None);
    assert_eq!(found.found().map(|process| process.pid), Some(agent.pid()));
    let occupant = scan(&scene).occupant_in(&scene.worktree);
    assert_eq!(
        occupant.found().map(|process| process.pid),
        Some(agent.pid())
    );
}
