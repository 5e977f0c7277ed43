//! Real worktrees with real times.

use std::os::unix::fs::symlink;

use vigil_core::time::minutes;

use super::*;
use crate::vigilante::git::Repository;
use crate::vigilante::scene::{self, Scene, commit, now, set_time, set_times};

const FRESH_FOR: Duration = minutes(30);

fn place(scene: &Scene) -> Place {
    let repository = Repository::open(&scene.repo);
    locate(&repository, &Ok(scene.worktree.clone()))
}

/// Everything in the worktree, and its own git folder, was written to this long ago.
fn aged(scene: &Scene, age: Duration) -> Timestamp {
    let at = now().before(age);
    set_times(&scene.worktree, at);
    set_times(&scene.repo.join(".git/worktrees/issue-299"), at);
    at
}

fn written(scene: &Scene) -> Fact<Timestamp> {
    last_write(
        &place(scene),
        FRESH_FOR,
        now(),
        &Mounts::read(),
        &mut Matchers::default(),
    )
}

fn kind<T>(fact: &Fact<T>) -> Option<&GapKind> {
    fact.gap().map(|gap| &gap.kind)
}

#[test]
fn the_last_write_is_that_of_the_newest_file_that_git_does_not_ignore() {
    let scene = Scene::new();
    fs::create_dir_all(scene.worktree.join("src/.deep")).expect("a folder");
    fs::write(scene.worktree.join("src/.deep/file"), "x").expect("a file");
    fs::write(scene.worktree.join("build.log"), "x").expect("a file");
    let at = aged(&scene, minutes(109));
    assert_eq!(written(&scene), Fact::Found(at));
    let newer = now().before(minutes(50));
    set_time(&scene.worktree.join("src/.deep/file"), newer);
    assert_eq!(written(&scene), Fact::Found(newer));
    // Ignored: what a build leaves is not what an agent writes.
    set_time(&scene.worktree.join("build.log"), now());
    assert_eq!(written(&scene), Fact::Found(newer));
}

#[test]
fn an_ignored_folder_counts_by_its_own_time_and_is_not_entered() {
    let scene = Scene::new();
    fs::create_dir_all(scene.worktree.join("target/debug")).expect("a folder");
    fs::write(scene.worktree.join("target/debug/out"), "x").expect("a file");
    aged(&scene, minutes(109));
    let newer = now().before(minutes(50));
    set_time(&scene.worktree.join("target"), newer);
    set_time(&scene.worktree.join("target/debug/out"), now());
    assert_eq!(written(&scene), Fact::Found(newer));
}

#[test]
fn a_commit_is_a_write_and_a_status_is_not() {
    let scene = Scene::new();
    fs::write(scene.worktree.join("first"), "changed").expect("a file");
    scene::git(&scene.worktree, &["checkout", "-q", "first"]);
    let at = aged(&scene, minutes(109));
    // The time of a file changed, so that git writes the index anew.
    scene::git(&scene.worktree, &["status"]);
    assert_eq!(written(&scene), Fact::Found(at));
    let before = now();
    commit(&scene.worktree, "second");
    set_times(&scene.worktree, at);
    let found = written(&scene);
    assert!(
        found
            .found()
            .is_some_and(|at| at.after(Duration::from_secs(2)) >= before),
        "{found:?}"
    );
}

#[test]
fn links_are_not_followed() {
    let scene = Scene::new();
    let outside = scene.root().join("outside");
    fs::create_dir(&outside).expect("a folder");
    fs::write(outside.join("file"), "x").expect("a file");
    symlink(&outside, scene.worktree.join("link")).expect("a link");
    let linked = fs::symlink_metadata(scene.worktree.join("link")).expect("the link");
    let linked = modified(&linked).expect("its time");
    aged(&scene, minutes(109));
    set_time(&outside.join("file"), linked.after(minutes(4)));
    assert_eq!(written(&scene), Fact::Found(linked));
}

#[test]
fn a_file_ahead_of_the_clock_is_a_gap() {
    let scene = Scene::new();
    aged(&scene, minutes(109));
    set_time(&scene.worktree.join("first"), now().after(minutes(7)));
    let found = written(&scene);
    assert_eq!(kind(&found), Some(&GapKind::InTheFuture));
    assert!(found.gap().is_some_and(|gap| gap.detail.contains("first")));
    set_time(&scene.worktree.join("first"), now().after(minutes(4)));
    assert!(written(&scene).found().is_some());
}

#[test]
fn a_worktree_beyond_the_bound_is_a_gap_unless_something_fresh_was_seen() {
    let scene = Scene::new();
    let many = scene.worktree.join("many");
    fs::create_dir(&many).expect("a folder");
    for n in 0..=ENTRIES_MAX {
        fs::write(many.join(n.to_string()), "").expect("a file");
    }
    aged(&scene, minutes(109));
    assert_eq!(kind(&written(&scene)), Some(&GapKind::TooLarge));
    // The log of HEAD is looked at first.
    set_time(
        &scene.repo.join(".git/worktrees/issue-299/logs/HEAD"),
        now(),
    );
    assert!(written(&scene).found().is_some());
}

#[test]
fn a_missing_worktree_is_absent_only_while_its_repository_can_be_read() {
    let scene = Scene::new();
    scene.remove_worktree();
    assert!(written(&scene).is_absent());
    fs::rename(&scene.repo, scene.root().join("moved")).expect("it moves");
    assert_eq!(kind(&written(&scene)), Some(&GapKind::NoControl));
    fs::create_dir(&scene.repo).expect("an empty folder");
    assert_eq!(kind(&written(&scene)), Some(&GapKind::NoControl));
}

#[test]
fn outside_of_the_repository_a_missing_parent_is_no_absence() {
    let scene = Scene::new();
    let repository = Repository::open(&scene.repo);
    let at = |path: PathBuf| locate(&repository, &Ok(path));
    assert!(matches!(at(scene.root().join("gone")), Place::Missing(_)));
    let unmounted = at(scene.root().join("disk/gone"));
    assert!(matches!(unmounted, Place::Unknown(gap) if gap.kind == GapKind::NoControl));
    assert!(matches!(at(scene.repo.join("a/b/c")), Place::Missing(_)));
}

#[test]
fn what_belongs_to_another_repository_is_foreign() {
    let scene = Scene::new();
    let other = Scene::new();
    let repository = Repository::open(&scene.repo);
    for path in [
        other.worktree.clone(),
        other.repo.clone(),
        scene.home.clone(),
    ] {
        let place = locate(&repository, &Ok(path));
        assert!(matches!(place, Place::Foreign(_)), "{place:?}");
    }
    // The main checkout itself, and a link to a worktree, are the repository's own.
    let link = scene.root().join("link");
    symlink(&scene.worktree, &link).expect("a link");
    for path in [scene.repo.clone(), link] {
        let place = locate(&repository, &Ok(path));
        assert!(matches!(place, Place::Linked { .. }), "{place:?}");
    }
}
