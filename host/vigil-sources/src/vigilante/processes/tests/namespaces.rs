//! Folders with several names, and processes of other namespaces.

#![expect(
    clippy::disallowed_methods,
    reason = "a test takes its own folders away, as people do"
)]

use super::super::ground::{Ground, Grounds};
use super::*;

#[test]
fn a_folder_is_the_same_under_every_name() {
    let scene = Scene::new();
    let running = run_as(&scene, "claude", &scene.worktree);
    let link = scene.root().join("link");
    symlink(&scene.repo, &link).expect("a link");
    let table = scan(&scene);
    let below = scene
        .worktree
        .strip_prefix(&scene.repo)
        .expect("it lies in the repository");
    let tree = scene.worktree.to_str().expect("a name");
    for name in [
        link.join(below),
        PathBuf::from(format!("{tree}/")),
        PathBuf::from(format!("{tree}/./")),
        PathBuf::from(format!("{tree}/../issue-299")),
    ] {
        let agent = table.agent_in(&name, &claude(), None);
        let pid = agent.found().map(|process| process.pid);
        assert_eq!(pid, Some(running.pid()), "{}", name.display());
    }
}

/// Whether mounts and namespaces can be made here; says so where not.
fn may_mount() -> bool {
    let may = rustix::process::geteuid().is_root()
        && Command::new("unshare")
            .args(["--mount", "--pid", "--fork", "true"])
            .status()
            .is_ok_and(|status| status.success());
    if !may {
        eprintln!("skipped: mounts and namespaces cannot be made here");
    }
    may
}

/// A program that works in `place` as a mount namespace of its own shows it: `dir` is mounted there. With `pid`, it has
/// a pid namespace of its own as well.
fn run_in_container(
    scene: &Scene,
    name: &str,
    dir: &Path,
    place: &Path,
    pid: bool,
) -> scene::Running {
    fs::create_dir_all(place).expect("a folder");
    let script = "mount --bind \"$0\" \"$1\" && cd \"$1\"";
    run_in_namespace(scene, name, script, [dir, place], pid)
}

/// A program that works where `script`, which is told `paths`, leads to in a mount namespace of its own.
fn run_in_namespace(
    scene: &Scene,
    name: &str,
    script: &str,
    paths: [&Path; 2],
    pid: bool,
) -> scene::Running {
    let program = scene.root().join(name);
    // An earlier one may still run from its file, which cannot be written to then.
    let _ = fs::remove_file(&program);
    fs::copy("/bin/sleep", &program).expect("a copy of sleep");
    let script = format!("{script} && echo ready && exec \"$2\" 600");
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private"]);
    if pid {
        command.args(["--pid", "--fork"]);
    }
    let running = run_until_ready(
        command
            .args(["sh", "-c", &script])
            .args(paths)
            .arg(&program),
    );
    // The shell has yet to become the program: a matter of its next instruction.
    while !is_or_started(running.pid(), name) {
        std::thread::yield_now();
    }
    running
}

/// Whether the process, or one that it started, is called `name`.
fn is_or_started(pid: u32, name: &str) -> bool {
    let called = |pid: u32| fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let mut children = children
        .unwrap_or_default()
        .split_whitespace()
        .filter_map(|child| child.parse().ok())
        .collect::<Vec<u32>>();
    children.push(pid);
    children
        .into_iter()
        .any(|pid| called(pid).trim_end() == name)
}

#[test]
fn a_bind_mount_in_a_container_is_the_same_folder() {
    if !may_mount() {
        return;
    }
    let scene = Scene::new();
    let place = scene.root().join("workspace");
    for pid in [false, true] {
        let agent = run_in_container(&scene, "claude", &scene.worktree, &place, pid);
        let table = scan(&scene);
        let found = table.agent_in(&scene.worktree, &claude(), None);
        assert!(found.found().is_some(), "{found:?}");
        // What it calls its folder is here an empty one, in which nobody works.
        assert!(table.agent_in(&place, &claude(), None).is_absent());
        drop(agent);
    }
    // And a folder of the container's own, of the same name as the worktree, is another one.
    let other = scene.root().join("other");
    fs::create_dir(&other).expect("a folder");
    let _agent = run_in_container(&scene, "claude", &other, &scene.worktree, false);
    let table = scan(&scene);
    let found = table.agent_in(&scene.worktree, &claude(), None);
    assert!(found.is_absent(), "{found:?}");
    assert!(table.agent_in(&other, &claude(), None).found().is_some());
}

#[test]
fn where_the_worktree_is_gone_a_removed_folder_of_a_container_may_have_been_it() {
    if !may_mount() {
        return;
    }
    let scene = Scene::new();
    let place = scene.root().join("workspace");
    let gone = scene.root().join("gone");
    fs::create_dir(&gone).expect("a folder");
    let inner = gone.join("inner");
    fs::create_dir(&inner).expect("a folder");
    let _agent = run_in_container(&scene, "node", &inner, &place, false);
    fs::remove_dir_all(&gone).expect("it goes away");
    let table = scan(&scene);
    let unknown = table.occupant_in(&inner);
    assert_eq!(
        kind(&unknown),
        Some(&GapKind::OtherNamespace),
        "{unknown:?}"
    );
    let gap = unknown.gap().expect("a gap");
    assert!(gap.detail.contains("(node)"), "{}", gap.detail);
    // It cannot be one that is there.
    let found = table.occupant_in(&scene.worktree);
    assert!(found.is_absent(), "{found:?}");
}

#[test]
fn a_number_of_another_pid_namespace_is_no_supervisor() {
    if !may_mount() {
        return;
    }
    let scene = Scene::new();
    let place = scene.root().join("workspace");
    let outer = run_in_container(&scene, "sleeper", &scene.repo, &place, true);
    let table = scan(&scene);
    let inner = table
        .processes
        .iter()
        .find(|(_, entry)| entry.parent == outer.pid())
        .map(|(pid, _)| *pid)
        .expect("the program in the container");
    let unknown = table.supervisor(recorded(inner, now()));
    assert_eq!(
        kind(&unknown),
        Some(&GapKind::OtherNamespace),
        "{unknown:?}"
    );
    // The one that made the namespace lives in this one.
    let found = table.supervisor(recorded(outer.pid(), now()));
    assert!(found.found().is_some(), "{found:?}");
}

#[test]
fn an_owner_in_a_container_writes_numbers_that_mean_nothing_here() {
    let own = std::process::id();
    let tree = Path::new("/w");
    let made = || {
        Made::new(
            HOST,
            &[
                (1, "init", Some("/")),
                (own, "vigil", Some("/")),
                (40, "vigilante", Some("/")),
            ],
        )
    };
    assert!(made().scan(None).occupant_in(tree).is_absent());
    let inside = made().in_namespace(40, "pid", CONTAINER);
    let table = inside.scan(None);
    let supervisor = table.supervisor(recorded(7, now()));
    assert_eq!(kind(&supervisor), Some(&GapKind::OtherNamespace));
    let gap = supervisor.gap().expect("a gap");
    assert!(gap.detail.contains("Vigilante (pid 40)"), "{}", gap.detail);
    assert_eq!(
        kind(&table.occupant_in(tree)),
        Some(&GapKind::OtherNamespace)
    );
    assert_eq!(table.kin(recorded(7, now())), None);
    // The configuration knows better.
    assert!(inside.scan(Some(true)).occupant_in(tree).is_absent());
}

#[test]
fn what_a_container_calls_its_folder_says_nothing_here() {
    let own = std::process::id();
    let processes = [
        (1, "init", Some("/")),
        (own, "vigil", Some("/")),
        (77, "node", Some("/workspace")),
    ];
    // Its folder cannot be followed, and nothing tells what device it is on.
    let made = Made::new(HOST, &processes)
        .in_namespace(own, "mnt", "4026531841")
        .in_namespace(77, "mnt", "4026532999");
    let table = made.scan(None);
    for tree in ["/w", "/workspace"] {
        let unknown = table.occupant_in(Path::new(tree));
        assert_eq!(kind(&unknown), Some(&GapKind::OtherNamespace), "{tree}");
        let gap = unknown.gap().expect("a gap");
        assert!(
            gap.detail.contains("process 77 (node)") && gap.detail.contains("/workspace"),
            "{}",
            gap.detail
        );
    }
    // In the same namespace the name is the folder's.
    let made = Made::new(HOST, &processes)
        .in_namespace(own, "mnt", "4026531841")
        .in_namespace(77, "mnt", "4026531841");
    assert!(made.scan(None).occupant_in(Path::new("/w")).is_absent());
    let found = made.scan(None).occupant_in(Path::new("/workspace"));
    assert!(found.found().is_some(), "{found:?}");
}

#[test]
fn a_folder_of_the_worktree_is_in_it_wherever_a_container_has_it() {
    if !may_mount() {
        return;
    }
    let scene = Scene::new();
    let elsewhere = scene.root().join("elsewhere");
    for dir in [
        &elsewhere,
        &scene.worktree.join("pkg/inner"),
        &scene.repo.join("pkg/inner"),
    ] {
        fs::create_dir_all(dir).expect("a folder");
    }
    const FOUND: Option<GapKind> = None;
    const UNKNOWN: Option<GapKind> = Some(GapKind::OtherNamespace);
    let layer = |lower: &str, at: &str, way: &str| {
        format!(
            "mount -t tmpfs t /mnt && mkdir /mnt/u /mnt/w /mnt/o && mount -t overlay o -o \
             lowerdir={lower},upperdir=/mnt/u,workdir=/mnt/w {at} && cd {at}{way}"
        )
    };
    for (what, script, expected) in [
        (
            "a folder",
            "mount --bind $0/pkg $1 && cd $1".to_owned(),
            Some(FOUND),
        ),
        (
            "one in it",
            "mount --bind $0/pkg $1 && cd $1/inner".to_owned(),
            Some(FOUND),
        ),
        (
            "one beside it",
            "mount --bind $0/../../../pkg $1 && cd $1".to_owned(),
            None,
        ),
        (
            "what holds it",
            "mount --bind $0/.. $1 && cd $1".to_owned(),
            None,
        ),
        (
            "the same through that",
            "mount --bind $0/.. $1 && cd $1/${0##*/}".to_owned(),
            Some(FOUND),
        ),
        (
            "an empty one over it",
            "mount -t tmpfs t $0 && cd $0".to_owned(),
            None,
        ),
        (
            "another one over it",
            "mount --bind $1 $0 && cd $0".to_owned(),
            None,
        ),
        ("a layer over it", layer("$0", "$0", ""), Some(UNKNOWN)),
        (
            "a layer over it elsewhere",
            layer("$0", "$1", "/pkg"),
            Some(UNKNOWN),
        ),
        (
            "a layer over a folder of it",
            layer("$0/pkg", "/mnt/o", ""),
            Some(UNKNOWN),
        ),
        (
            "a layer over what holds it",
            layer("$0/..", "/mnt/o", "/${0##*/}"),
            Some(UNKNOWN),
        ),
        ("a layer over another one", layer("$1", "/mnt/o", ""), None),
        (
            "such a layer in its place",
            layer("$1", "$0", ""),
            Some(UNKNOWN),
        ),
    ] {
        let _agent = run_in_namespace(
            &scene,
            "claude",
            &script,
            [&scene.worktree, &elsewhere],
            false,
        );
        let table = scan(&scene);
        let agent = table.agent_in(&scene.worktree, &claude(), None);
        let occupant = table.occupant_in(&scene.worktree);
        let as_expected = match &expected {
            None => agent.is_absent() && occupant.is_absent(),
            Some(None) => agent.found().is_some() && occupant.found().is_some(),
            Some(gap) => kind(&agent) == gap.as_ref() && kind(&occupant) == gap.as_ref(),
        };
        assert!(as_expected, "{what}: {agent:?}, {occupant:?}");
    }
}

#[test]
fn a_layer_without_a_whole_name_may_be_what_has_that_name() {
    // Played without a mount: one that may be anything would be in the way of every other look at this machine.
    let place = Workplace::new(Path::new("/nowhere/issue-1"), &[], None, None);
    for (layer, may) in [
        (".", true),
        ("..", true),
        ("issue-1", true),
        ("wt/issue-1", true),
        ("issue-2", false),
        ("123/fs", false),
    ] {
        let mut grounds = Grounds::default();
        let layers = [PathBuf::from(layer)].into_iter().collect();
        let ground = Ground {
            device: Some(1),
            spot: Some(PathBuf::from("/")),
            is_part: false,
            veil: Some((layers, PathBuf::new())),
        };
        grounds.file(7, Path::new("/mnt/o"), &ground, false);
        let found = grounds.may_be_at(&place, Some(&(2, PathBuf::from("/issue-1"))));
        assert_eq!(found == [7], may, "{layer}: {found:?}");
    }
}
