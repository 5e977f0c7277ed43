//! Real repositories, and programs in git's place that fail in every way.

use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::vigilante::scene::{self, BRANCH, Scene, commit};
use crate::vigilante::testing::NOW;
use crate::vigilante::worktree::locate;

fn real() -> Git {
    Git::new(Path::new("git"), &ChildEnvironment::default())
}

struct Opened {
    repository: Result<Repository, Gap>,
    place: Place,
}

fn open(scene: &Scene) -> Opened {
    let repository = real().open(&scene.repo);
    let place = locate(&repository, &Ok(scene.worktree.clone()));
    Opened { repository, place }
}

impl Opened {
    fn repository(&self) -> &Repository {
        self.repository.as_ref().expect("it opens")
    }

    fn dirty(&self) -> Fact<bool> {
        real().dirty(&self.place, NOW)
    }

    fn unpushed(&self) -> Fact<u32> {
        real().unpushed(self.repository(), &self.place, Some(BRANCH), NOW)
    }

    fn beyond(&self, head: &str) -> Fact<u32> {
        let bases = ["refs/remotes/origin/main".to_owned()];
        real().beyond(
            self.repository(),
            &self.place,
            Some(BRANCH),
            &bases,
            head,
            NOW,
        )
    }
}

fn kind<T>(fact: &Fact<T>) -> Option<&GapKind> {
    fact.gap().map(|gap| &gap.kind)
}

#[test]
fn uncommitted_and_untracked_changes_are_dirt_and_ignored_files_are_not() {
    let scene = Scene::new();
    assert_eq!(open(&scene).dirty(), Fact::Found(false));
    fs::write(scene.worktree.join("build.log"), "x").expect("a file");
    fs::create_dir(scene.worktree.join("target")).expect("a folder");
    fs::write(scene.worktree.join("target/out"), "x").expect("a file");
    assert_eq!(open(&scene).dirty(), Fact::Found(false));
    fs::write(scene.worktree.join("first"), "changed").expect("a file");
    assert_eq!(open(&scene).dirty(), Fact::Found(true));
    scene::git(&scene.worktree, &["checkout", "-q", "first"]);
    assert_eq!(open(&scene).dirty(), Fact::Found(false));
    fs::write(scene.worktree.join("untracked"), "x").expect("a file");
    // The repository's own settings hide nothing.
    scene::git(&scene.repo, &["config", "status.showUntrackedFiles", "no"]);
    assert_eq!(open(&scene).dirty(), Fact::Found(true));
    // Dirt of the main checkout is not the worktree's.
    fs::remove_file(scene.worktree.join("untracked")).expect("it goes");
    fs::write(scene.repo.join("untracked"), "x").expect("a file");
    assert_eq!(open(&scene).dirty(), Fact::Found(false));
}

#[test]
fn commits_on_no_remote_are_counted_on_the_branch_and_on_what_is_checked_out() {
    let scene = Scene::with_remote();
    assert_eq!(open(&scene).unpushed(), Fact::Found(0));
    commit(&scene.worktree, "second");
    assert_eq!(open(&scene).unpushed(), Fact::Found(1));
    // The agent went off the branch: its commits there are work too, and counted once.
    scene::git(&scene.worktree, &["checkout", "-q", "--detach"]);
    commit(&scene.worktree, "third");
    assert_eq!(open(&scene).unpushed(), Fact::Found(2));
    scene::git(
        &scene.worktree,
        &["push", "-q", "origin", "HEAD:refs/heads/elsewhere"],
    );
    assert_eq!(open(&scene).unpushed(), Fact::Found(0));
}

#[test]
fn where_all_is_pushed_as_it_is_git_is_not_asked() {
    let scene = Scene::with_remote();
    commit(&scene.worktree, "second");
    scene::git(&scene.worktree, &["push", "-q", "origin", BRANCH]);
    let none = Git::new(&scene.root().join("no-git"), &ChildEnvironment::default());
    let unasked =
        |opened: &Opened| none.unpushed(opened.repository(), &opened.place, Some(BRANCH), NOW);
    let opened = open(&scene);
    assert_eq!(unasked(&opened), Fact::Found(0));
    // What is committed after the repository was opened is not overlooked.
    commit(&scene.worktree, "third");
    assert_eq!(kind(&unasked(&opened)), Some(&GapKind::Unsupported));
    assert_eq!(opened.unpushed(), Fact::Found(1));
    // Packed branches have no files of their own.
    scene::git(&scene.worktree, &["push", "-q", "origin", BRANCH]);
    scene::git(&scene.repo, &["pack-refs", "--all"]);
    let packed = open(&scene);
    assert_eq!(unasked(&packed), Fact::Found(0));
    commit(&scene.worktree, "fourth");
    assert_eq!(kind(&unasked(&packed)), Some(&GapKind::Unsupported));
    assert_eq!(packed.unpushed(), Fact::Found(1));
    // An ancestor of what was pushed takes a count, though nothing is left to push.
    scene::git(&scene.worktree, &["reset", "-q", "--hard", "HEAD~2"]);
    let behind = open(&scene);
    assert_eq!(kind(&unasked(&behind)), Some(&GapKind::Unsupported));
    assert_eq!(behind.unpushed(), Fact::Found(0));
}

#[test]
fn a_repository_that_is_itself_a_worktree_is_opened_as_git_knows_it() {
    let scene = Scene::with_remote();
    let of_worktree = real().open(&scene.worktree).expect("it opens");
    let own = real().open(&scene.repo).expect("it opens");
    assert_eq!(of_worktree.common, own.common);
    assert_eq!(own.common, scene.repo.join(".git"));
}

#[test]
fn without_a_remote_every_commit_is_unpushed() {
    let scene = Scene::new();
    assert_eq!(open(&scene).unpushed(), Fact::Found(1));
    commit(&scene.worktree, "second");
    assert_eq!(open(&scene).unpushed(), Fact::Found(2));
}

#[test]
fn without_the_worktree_the_branch_is_asked_and_without_both_it_is_absent() {
    let scene = Scene::with_remote();
    commit(&scene.worktree, "second");
    scene.remove_worktree();
    let opened = open(&scene);
    assert!(matches!(opened.place, Place::Missing(_)));
    assert!(opened.dirty().is_absent());
    assert_eq!(opened.unpushed(), Fact::Found(1));
    let head = scene::git(&scene.repo, &["rev-parse", BRANCH]);
    assert_eq!(opened.beyond(&head), Fact::Found(0));
    scene::git(&scene.repo, &["branch", "-q", "-D", BRANCH]);
    let opened = open(&scene);
    assert!(opened.unpushed().is_absent());
    assert!(opened.beyond(&head).is_absent());
    let unnamed = real().unpushed(opened.repository(), &opened.place, None, NOW);
    assert_eq!(kind(&unnamed), Some(&GapKind::Unrecorded));
}

#[test]
fn work_beyond_the_pull_request_s_head_is_counted_without_what_was_merged() {
    let scene = Scene::with_remote();
    let head = commit(&scene.worktree, "second");
    assert_eq!(open(&scene).beyond(&head), Fact::Found(0));
    let first = scene::git(&scene.repo, &["rev-parse", "main"]);
    assert_eq!(open(&scene).beyond(&first), Fact::Found(1));
    commit(&scene.worktree, "third");
    assert_eq!(open(&scene).beyond(&head), Fact::Found(1));
    // Commits that came from the base branch are not this session's work.
    scene::git(&scene.worktree, &["reset", "-q", "--hard", &head]);
    commit(&scene.repo, "on main");
    commit(&scene.repo, "and another");
    scene::git(&scene.repo, &["push", "-q", "origin", "main"]);
    scene::git(&scene.worktree, &["rebase", "-q", "main"]);
    let rebased = scene::git(&scene.worktree, &["rev-parse", "HEAD"]);
    assert_eq!(open(&scene).beyond(&rebased), Fact::Found(0));
    assert_eq!(
        open(&scene).beyond(&head),
        Fact::Found(1),
        "the rebased copy alone"
    );
}

#[test]
fn a_head_that_is_not_here_says_nothing_unless_all_is_pushed() {
    let scene = Scene::with_remote();
    let elsewhere = "0123456789abcdef0123456789abcdef01234567";
    assert_eq!(open(&scene).beyond(elsewhere), Fact::Found(0));
    commit(&scene.worktree, "second");
    assert_eq!(
        kind(&open(&scene).beyond(elsewhere)),
        Some(&GapKind::NoControl)
    );
    for odd in ["", "main", "--all", "HEAD", "c0ffee"] {
        assert_eq!(
            kind(&open(&scene).beyond(odd)),
            Some(&GapKind::Malformed),
            "{odd}"
        );
    }
}

#[test]
fn where_branch_and_worktree_stand_at_the_head_git_is_not_asked() {
    let scene = Scene::with_remote();
    let head = commit(&scene.worktree, "second");
    let opened = open(&scene);
    let none = Git::new(&scene.root().join("no-git"), &ChildEnvironment::default());
    let beyond = |place: &Place, head: &str| {
        none.beyond(opened.repository(), place, Some(BRANCH), &[], head, NOW)
    };
    assert_eq!(beyond(&opened.place, &head), Fact::Found(0));
    let first = scene::git(&scene.repo, &["rev-parse", "main"]);
    assert_eq!(
        kind(&beyond(&opened.place, &first)),
        Some(&GapKind::Unsupported)
    );
    // The branch stands there, and the worktree elsewhere.
    scene::git(&scene.worktree, &["checkout", "-q", "--detach", "main"]);
    assert_eq!(
        kind(&beyond(&opened.place, &head)),
        Some(&GapKind::Unsupported)
    );
    scene::git(&scene.worktree, &["checkout", "-q", "--detach", &head]);
    assert_eq!(beyond(&opened.place, &head), Fact::Found(0));
}

#[test]
fn only_a_repository_is_one_and_not_a_folder_inside_it() {
    let scene = Scene::new();
    let inside = scene.repo.join("src");
    fs::create_dir(&inside).expect("a folder");
    assert_eq!(
        real().open(&inside).expect_err("no repository").kind,
        GapKind::NoControl
    );
    let gone = real()
        .open(&scene.root().join("gone"))
        .expect_err("nothing there");
    assert_eq!(gone.kind, GapKind::NoControl);
    // A worktree whose link is gone lies inside the repository, and git would answer about that one.
    fs::remove_file(scene.worktree.join(".git")).expect("the link goes");
    fs::write(scene.worktree.join("work"), "x").expect("a file");
    let opened = open(&scene);
    assert!(
        matches!(opened.place, Place::Foreign(_)),
        "{:?}",
        opened.place
    );
    assert_eq!(kind(&opened.dirty()), Some(&GapKind::IdentityChanged));
    assert_eq!(kind(&opened.unpushed()), Some(&GapKind::IdentityChanged));
}

#[test]
fn a_broken_repository_is_a_gap() {
    let scene = Scene::new();
    fs::write(scene.worktree.join("untracked"), "x").expect("a file");
    let opened = open(&scene);
    let Place::Linked { git_dir, .. } = &opened.place else {
        panic!("{:?}", opened.place);
    };
    fs::write(git_dir.join("index"), "no index").expect("a file");
    assert!(opened.dirty().is_unknown());
    fs::write(git_dir.join("HEAD"), "ref: refs/heads/none\n").expect("a file");
    assert!(opened.unpushed().is_unknown());
}

/// A program in git's place.
fn in_place_of_git(scene: &Scene, script: &str) -> PathBuf {
    let program = scene.root().join("git");
    fs::write(&program, format!("#!/bin/sh\n{script}\n")).expect("a file");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("it may run");
    program
}

/// Asks until the program's file is no longer held open by a child that another test forked meanwhile.
fn ask<T>(mut question: impl FnMut() -> Result<T, Gap>) -> Result<T, Gap> {
    loop {
        match question() {
            Err(gap) if gap.detail.contains("Text file busy") => thread::yield_now(),
            answer => return answer,
        }
    }
}

#[test]
fn a_missing_failing_or_hanging_git_is_a_gap_and_never_an_absence() {
    let scene = Scene::new();
    let missing =
        Git::new(&scene.root().join("no-git"), &ChildEnvironment::default()).open(&scene.repo);
    let missing = missing.expect_err("there is none");
    assert_eq!(missing.kind, GapKind::Unsupported);
    assert!(missing.detail.contains("install git"));
    let place = locate(&Err(missing.clone()), &Ok(scene.root().join("not-there")));
    assert_eq!(place, Place::Unknown(missing));

    for (script, expected) in [
        (
            "echo 'fatal: detected dubious ownership in repository' >&2; exit 128",
            GapKind::Denied,
        ),
        (
            "echo 'fatal: not a git repository' >&2; exit 128",
            GapKind::NoControl,
        ),
        ("echo 'fatal: bad config' >&2; exit 128", GapKind::Malformed),
        ("kill -9 $$", GapKind::Malformed),
    ] {
        let program = in_place_of_git(&scene, script);
        let gap = ask(|| Git::new(&program, &ChildEnvironment::default()).open(&scene.repo))
            .expect_err("it fails");
        assert_eq!(gap.kind, expected, "{script}: {gap}");
    }
    // It hangs, and so does what it started, which holds the pipe open.
    let program = in_place_of_git(&scene, "sleep 600 & sleep 600");
    let git = Git::with_timeout(&program, Duration::from_millis(50));
    let gap = ask(|| git.open(&scene.repo)).expect_err("it hangs");
    assert_eq!(gap.kind, GapKind::TimedOut);
}

#[test]
fn nothing_of_the_caller_s_git_and_no_hook_reaches_the_question() {
    let scene = Scene::new();
    let marker = scene.root().join("ran");
    let program = in_place_of_git(&scene, &format!("touch '{}'; exit 0", marker.display()));
    let program = program.to_str().expect("a path");
    scene::git(&scene.repo, &["config", "core.fsmonitor", program]);
    fs::create_dir_all(scene.repo.join(".git/hooks")).expect("a folder");
    fs::copy(program, scene.repo.join(".git/hooks/post-index-change")).expect("a hook");
    fs::write(scene.worktree.join("untracked"), "x").expect("a file");
    let index = fs::read(scene.repo.join(".git/worktrees/issue-299/index")).expect("an index");
    assert_eq!(open(&scene).dirty(), Fact::Found(true));
    assert!(
        !marker.exists(),
        "a program that the repository names was started"
    );
    let after = fs::read(scene.repo.join(".git/worktrees/issue-299/index")).expect("an index");
    assert_eq!(index, after, "the index was written");
}
