//! The same change is the same, wherever it was rebased to or squashed into.

use super::*;

/// Commits the file `name` with `text`, and gives the commit's name.
fn change(dir: &Path, name: &str, text: &str) -> String {
    fs::write(dir.join(name), text).expect("a file");
    scene::git(dir, &["add", "-A"]);
    scene::git(dir, &["commit", "-q", "--allow-empty", "-m", name]);
    scene::git(dir, &["rev-parse", "HEAD"])
}

/// A remote's `main` that went on by one commit since the session's branch began, and the pull request's head on top of
/// it, made by `make` in a checkout of its own.
fn elsewhere(scene: &Scene, make: impl FnOnce(&Path)) -> String {
    commit(&scene.repo, "on main");
    scene::git(&scene.repo, &["checkout", "-q", "-b", "elsewhere"]);
    make(&scene.repo);
    let head = scene::git(&scene.repo, &["rev-parse", "HEAD"]);
    scene::git(&scene.repo, &["checkout", "-q", "main"]);
    head
}

#[test]
fn a_branch_that_was_rebased_elsewhere_has_nothing_beyond_it() {
    let scene = Scene::with_remote();
    commit(&scene.worktree, "second");
    commit(&scene.worktree, "third");
    let head = elsewhere(&scene, |dir| {
        scene::git(dir, &["cherry-pick", &format!("{BRANCH}~1"), BRANCH]);
    });
    assert_eq!(open(&scene).beyond(&head), Fact::Found(0));
    // A change of its own on top is one commit, and no more.
    commit(&scene.worktree, "fourth");
    assert_eq!(open(&scene).beyond(&head), Fact::Found(1));
}

#[test]
fn a_branch_that_was_squashed_has_nothing_beyond_it() {
    let scene = Scene::with_remote();
    commit(&scene.worktree, "second");
    commit(&scene.worktree, "third");
    let squash = |dir: &Path| {
        scene::git(dir, &["merge", "-q", "--squash", BRANCH]);
        scene::git(dir, &["commit", "-q", "-m", "all of it"]);
    };
    let head = elsewhere(&scene, squash);
    assert_eq!(open(&scene).beyond(&head), Fact::Found(0));
    // Half of it is not all of it.
    commit(&scene.worktree, "fourth");
    assert_eq!(open(&scene).beyond(&head), Fact::Found(3));
}

#[test]
fn a_squash_on_the_base_branch_counts_though_the_head_is_not_here() {
    let scene = Scene::with_remote();
    commit(&scene.worktree, "second");
    commit(&scene.worktree, "third");
    let gone = "0123456789abcdef0123456789abcdef01234567";
    assert_eq!(kind(&open(&scene).beyond(gone)), Some(&GapKind::NoControl));
    commit(&scene.repo, "on main");
    scene::git(&scene.repo, &["merge", "-q", "--squash", BRANCH]);
    scene::git(&scene.repo, &["commit", "-q", "-m", "all of it (#10)"]);
    scene::git(&scene.repo, &["push", "-q", "origin", "main"]);
    assert_eq!(open(&scene).beyond(gone), Fact::Found(0));
}

#[test]
fn the_same_tree_is_the_same_content_however_it_was_made() {
    let scene = Scene::with_remote();
    commit(&scene.worktree, "second");
    commit(&scene.worktree, "third");
    // Force-pushed from elsewhere, as one commit on the same base.
    let tree = scene::git(&scene.repo, &["rev-parse", &format!("{BRANCH}^{{tree}}")]);
    let head = scene::git(
        &scene.repo,
        &["commit-tree", "-p", "main", "-m", "again", &tree],
    );
    assert_eq!(open(&scene).beyond(&head), Fact::Found(0));
}

#[test]
fn a_change_that_is_not_the_same_counts() {
    let scene = Scene::with_remote();
    for (mine, theirs, expected) in [
        ("a\nb\n", "a\nb\n", 0),
        ("a\nb\n", "a\nc\n", 1),
        // Blanks can be work, too.
        ("a\n  b\n", "a\nb\n", 1),
        ("a\0b\n", "a\0b\n", 0),
        ("a\0b\n", "a\0c\n", 1),
    ] {
        let main = scene::git(&scene.repo, &["rev-parse", "main"]);
        scene::git(&scene.worktree, &["reset", "-q", "--hard", &main]);
        change(&scene.worktree, "x", mine);
        commit(&scene.repo, "on main");
        scene::git(&scene.repo, &["checkout", "-q", "--detach"]);
        let head = change(&scene.repo, "x", theirs);
        scene::git(&scene.repo, &["checkout", "-q", "main"]);
        scene::git(&scene.repo, &["reset", "-q", "--hard", &main]);
        assert_eq!(
            open(&scene).beyond(&head),
            Fact::Found(expected),
            "{mine:?}"
        );
    }
}

#[test]
fn a_moved_change_is_the_same_one_and_a_change_elsewhere_is_not() {
    let scene = Scene::new();
    let lines = |from: u32, to: u32| (from..to).map(|n| format!("{n}\n")).collect::<String>();
    change(&scene.repo, "x", &lines(0, 100));
    scene::git(&scene.worktree, &["reset", "-q", "--hard", "main"]);
    let mine = lines(0, 50) + "new\n" + &lines(50, 100);
    change(&scene.worktree, "x", &mine);
    let theirs = |before: &str, after: &str| {
        scene::git(&scene.repo, &["checkout", "-q", "--detach", "main"]);
        change(&scene.repo, "x", before);
        change(&scene.repo, "x", after)
    };
    // Further down, since lines came before it.
    let top = "top\n".repeat(9);
    let moved = theirs(&(top.clone() + &lines(0, 100)), &(top + &mine));
    assert_eq!(open(&scene).beyond(&moved), Fact::Found(0));
    // The same line in another place.
    let other = lines(0, 70) + "new\n" + &lines(70, 100);
    let other = theirs(&lines(0, 100), &other);
    assert_eq!(open(&scene).beyond(&other), Fact::Found(1));
}

#[test]
fn commits_that_change_nothing_and_merges_of_the_base_are_no_work() {
    let scene = Scene::with_remote();
    let head = commit(&scene.worktree, "second");
    scene::git(
        &scene.worktree,
        &["commit", "-q", "--allow-empty", "-m", "nothing"],
    );
    assert_eq!(open(&scene).beyond(&head), Fact::Found(0));
    commit(&scene.repo, "on main");
    scene::git(&scene.repo, &["push", "-q", "origin", "main"]);
    scene::git(&scene.worktree, &["merge", "-q", "--no-edit", "main"]);
    assert_eq!(open(&scene).beyond(&head), Fact::Found(0));
    // A merge in which somebody wrote something is work.
    commit(&scene.repo, "more on main");
    scene::git(&scene.repo, &["push", "-q", "origin", "main"]);
    scene::git(&scene.worktree, &["merge", "-q", "--no-commit", "main"]);
    commit(&scene.worktree, "while merging");
    assert_eq!(open(&scene).beyond(&head), Fact::Found(1));
}

#[test]
fn a_change_that_was_taken_back_still_counts() {
    let scene = Scene::with_remote();
    let first = scene::git(&scene.repo, &["rev-parse", "main"]);
    commit(&scene.worktree, "second");
    scene::git(&scene.worktree, &["revert", "--no-edit", "HEAD"]);
    assert_eq!(open(&scene).beyond(&first), Fact::Found(2));
}
