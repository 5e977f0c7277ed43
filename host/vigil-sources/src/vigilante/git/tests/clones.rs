//! What each kind of clone can know about what was pushed.

use std::path::PathBuf;

use super::*;

/// A remote with `main`, and a clone of it made with `arguments`, whose worktree on [`BRANCH`] begins at `main`.
struct Made {
    _scene: Scene,
    repo: PathBuf,
    worktree: PathBuf,
}

fn clone(arguments: &[&str]) -> Made {
    let scene = Scene::with_remote();
    let origin = scene.root().join("origin.git");
    scene::git(&origin, &["branch", "-q", "-D", BRANCH]);
    let repo = scene.root().join("clone");
    let [from, to] = [&origin, &repo].map(|path| path.to_str().expect("a path"));
    let mut all = vec!["clone", "-q"];
    all.extend(arguments);
    all.extend([from, to]);
    scene::git(&scene.root(), &all);
    with_worktree(scene, repo)
}

fn with_worktree(scene: Scene, repo: PathBuf) -> Made {
    let worktree = scene.root().join("work");
    let path = worktree.to_str().expect("a path");
    scene::git(
        &repo,
        &["worktree", "add", "-q", "-b", BRANCH, path, "main"],
    );
    Made {
        _scene: scene,
        repo,
        worktree,
    }
}

impl Made {
    fn unpushed(&self) -> Fact<u32> {
        open_at(&self.repo, &self.worktree).unpushed()
    }

    /// The same where the record does not say into which branch the work goes.
    fn unpushed_without_base(&self) -> Fact<u32> {
        let mut opened = open_at(&self.repo, &self.worktree);
        opened.base = None;
        opened.unpushed()
    }

    fn push(&self) {
        scene::git(&self.worktree, &["push", "-q", "origin", BRANCH]);
    }
}

/// The base branch's own commits are nobody's unpushed work, in whatever clone; a commit beyond them is `beyond`, and
/// after a push `pushed`; `None`: it cannot be known.
fn check(clone: &Made, name: &str, beyond: Option<u32>, pushed: Option<u32>) {
    let found = |fact: &Fact<u32>| fact.found().copied();
    assert_eq!(clone.unpushed(), Fact::Found(0), "{name}");
    assert_eq!(clone.unpushed_without_base(), Fact::Found(0), "{name}");
    commit(&clone.worktree, "work");
    let fact = clone.unpushed();
    assert_eq!(found(&fact), beyond, "{name}: {fact:?}");
    clone.push();
    let fact = clone.unpushed();
    assert_eq!(found(&fact), pushed, "{name}: {fact:?}");
    if pushed.is_none() {
        assert_eq!(kind(&fact), Some(&GapKind::NoControl), "{name}");
        assert!(detail(&fact).starts_with("whether 1 commit "), "{fact:?}");
    }
}

#[test]
fn an_ordinary_clone_knows_what_it_pushed() {
    check(&clone(&[]), "ordinary", Some(1), Some(0));
}

#[test]
fn a_bare_clone_knows_nothing_beyond_the_base_branch() {
    check(&clone(&["--bare"]), "bare", None, None);
}

#[test]
fn a_mirror_knows_nothing_beyond_the_base_branch() {
    let mirror = clone(&["--mirror"]);
    assert_eq!(mirror.unpushed(), Fact::Found(0));
    commit(&mirror.worktree, "work");
    let fact = mirror.unpushed();
    assert_eq!(kind(&fact), Some(&GapKind::NoControl));
    assert!(detail(&fact).contains("mirrors origin"), "{fact:?}");
}

#[test]
fn a_single_branch_knows_nothing_of_others() {
    let single = clone(&["--single-branch", "--branch", "main"]);
    check(&single, "single", None, None);
    assert!(
        detail(&single.unpushed()).contains("names the branch vigilante/issue-299-t"),
        "{:?}",
        single.unpushed()
    );
    // A setting that names the branch by a pattern is as good as any.
    let spec = "+refs/heads/vigilante/*:refs/remotes/origin/vigilante/*";
    scene::git(&single.repo, &["config", "remote.origin.fetch", spec]);
    scene::git(&single.repo, &["fetch", "-q", "origin"]);
    assert_eq!(single.unpushed(), Fact::Found(0));
    commit(&single.worktree, "more");
    assert_eq!(single.unpushed(), Fact::Found(1));
}

#[test]
fn remote_branches_that_are_gone_leave_nothing_to_compare_with() {
    let pruned = clone(&[]);
    let refs = scene::git(
        &pruned.repo,
        &["for-each-ref", "--format=%(refname)", "refs/remotes"],
    );
    for name in refs.lines().filter(|name| !name.ends_with("/HEAD")) {
        scene::git(&pruned.repo, &["update-ref", "-d", name]);
    }
    assert_eq!(pruned.unpushed(), Fact::Found(0));
    commit(&pruned.worktree, "work");
    let fact = pruned.unpushed();
    assert_eq!(kind(&fact), Some(&GapKind::NoControl));
    assert!(detail(&fact).contains("git fetch"), "{fact:?}");
}

#[test]
fn without_a_remote_nothing_was_pushed_and_the_base_branch_is_no_work() {
    let scene = Scene::new();
    assert_eq!(open(&scene).unpushed(), Fact::Found(0));
    commit(&scene.worktree, "second");
    assert_eq!(open(&scene).unpushed(), Fact::Found(1));
    // A file that is included might name one.
    scene::git(&scene.repo, &["config", "include.path", "elsewhere"]);
    let fact = open(&scene).unpushed();
    assert_eq!(kind(&fact), Some(&GapKind::NoControl));
    assert!(detail(&fact).contains("includes"), "{fact:?}");
}

#[test]
fn a_session_on_the_base_branch_itself_is_not_measured_by_it() {
    let scene = Scene::new();
    scene::git(&scene.repo, &["checkout", "-q", "--detach"]);
    scene::git(&scene.worktree, &["checkout", "-q", "main"]);
    let opened = open(&scene);
    assert_eq!(opened.unpushed_of(Some("main")), Fact::Found(1));
}

#[test]
fn a_bare_clone_knows_what_is_beyond_the_head_of_the_pull_request() {
    let bare = clone(&["--bare"]);
    let head = commit(&bare.worktree, "work");
    let beyond = |head: &str| open_at(&bare.repo, &bare.worktree).beyond(head);
    assert_eq!(beyond(&head), Fact::Found(0));
    commit(&bare.worktree, "more");
    assert_eq!(beyond(&head), Fact::Found(1));
    // The base branch's own commits are no work, though no remote branch says so.
    let main = scene::git(&bare.repo, &["rev-parse", "main"]);
    scene::git(&bare.worktree, &["reset", "-q", "--hard", &main]);
    scene::git(&bare.repo, &["branch", "-q", "side", &head]);
    assert_eq!(beyond(&head), Fact::Found(0));
}

#[test]
fn a_shallow_clone_counts_what_it_has() {
    let scene = Scene::with_remote();
    for name in ["a", "b", "c"] {
        commit(&scene.repo, name);
    }
    scene::git(&scene.repo, &["push", "-q", "origin", "main"]);
    let repo = scene.root().join("shallow");
    let from = format!("file://{}", scene.root().join("origin.git").display());
    let to = repo.to_str().expect("a path");
    scene::git(
        &scene.root(),
        &[
            "clone",
            "-q",
            "--depth",
            "1",
            "--no-single-branch",
            &from,
            to,
        ],
    );
    let shallow = with_worktree(scene, repo);
    assert_eq!(shallow.unpushed(), Fact::Found(0));
    commit(&shallow.worktree, "work");
    assert_eq!(shallow.unpushed(), Fact::Found(1));
    assert_eq!(
        open_at(&shallow.repo, &shallow.worktree).dirty(),
        Fact::Found(false)
    );
}
