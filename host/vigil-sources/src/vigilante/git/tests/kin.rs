//! Whether a checkout shares the work of a pull request: the table of what merges, squashes and re-used names leave.

use super::*;

const TRUNKS: [&str; 2] = ["refs/remotes/origin/main", "refs/heads/main"];

fn shares(scene: &Scene, commit: &str) -> Fact<bool> {
    let opened = open(scene);
    let trunks = TRUNKS.map(str::to_owned);
    let (branch, worktree) = (Some(BRANCH), opened.worktree());
    opened
        .git
        .shares_work(opened.repository(), &worktree, branch, &trunks, commit, NOW)
}

/// A commit on top of `parents` with the files of `main`, which no branch has.
fn made(scene: &Scene, parents: &[&str]) -> String {
    let tree = scene::git(&scene.repo, &["rev-parse", "main^{tree}"]);
    let mut arguments = vec!["commit-tree", tree.trim(), "-m", "made"];
    for parent in parents {
        arguments.extend(["-p", parent]);
    }
    scene::git(&scene.repo, &arguments).trim().to_owned()
}

fn fetched(scene: &Scene) {
    scene::git(&scene.repo, &["fetch", "-q", "origin"]);
}

/// `main` moves on at the remote to `commit`.
fn pushed(scene: &Scene, commit: &str) {
    let to = format!("{commit}:refs/heads/main");
    scene::git(&scene.repo, &["push", "-q", "origin", &to]);
    fetched(scene);
}

#[test]
fn an_untouched_checkout_shares_nothing() {
    let scene = Scene::with_remote();
    let root = scene::git(&scene.repo, &["rev-parse", "main"]);
    let root = root.trim();
    let theirs = made(&scene, &[root]);
    assert_eq!(shares(&scene, &theirs), Fact::Found(false));
    assert_eq!(shares(&scene, root), Fact::Found(false));
    // Not even what was merged into the branch that it began from.
    let merge = made(&scene, &[root, &theirs]);
    pushed(&scene, &merge);
    scene::git(&scene.worktree, &["reset", "-q", "--hard", &merge]);
    assert_eq!(shares(&scene, &theirs), Fact::Found(false));
    // Nor with a commit that is not here at all.
    assert_eq!(shares(&scene, &"e".repeat(40)), Fact::Found(false));
}

#[test]
fn work_is_shared_in_either_direction_and_after_the_merge() {
    let scene = Scene::with_remote();
    let root = scene::git(&scene.repo, &["rev-parse", "main"]);
    let root = root.trim().to_owned();
    let own = commit(&scene.worktree, "own");
    assert_eq!(shares(&scene, &own), Fact::Found(true));
    // The pull request has more: somebody pushed, or brought the base in.
    let more = made(&scene, &[&own, &root]);
    assert_eq!(shares(&scene, &more), Fact::Found(true));
    // It was merged by a commit that follows it, and the clone has noticed.
    let merge = made(&scene, &[&root, &own]);
    pushed(&scene, &merge);
    assert_eq!(shares(&scene, &own), Fact::Found(true));
    // The checkout has more.
    commit(&scene.worktree, "later");
    assert_eq!(shares(&scene, &own), Fact::Found(true));
    // Both have more than they share.
    let apart = made(&scene, &[&own]);
    assert_eq!(shares(&scene, &apart), Fact::Found(true));
}

#[test]
fn a_branch_name_that_was_used_before_shares_nothing() {
    let scene = Scene::with_remote();
    let root = scene::git(&scene.repo, &["rev-parse", "main"]);
    let root = root.trim().to_owned();
    let earlier = made(&scene, &[&root]);
    // Merged, as one commit or with its own: this session began after that.
    for merge in [made(&scene, &[&root]), made(&scene, &[&root, &earlier])] {
        scene::git(
            &scene.repo,
            &[
                "push",
                "-q",
                "-f",
                "origin",
                &format!("{merge}:refs/heads/main"),
            ],
        );
        fetched(&scene);
        scene::git(&scene.worktree, &["reset", "-q", "--hard", &merge]);
        commit(&scene.worktree, "this one");
        assert_eq!(shares(&scene, &earlier), Fact::Found(false), "{merge}");
    }
}

#[test]
fn what_the_clone_does_not_have_is_unknown_where_there_is_work() {
    let scene = Scene::with_remote();
    commit(&scene.worktree, "own");
    let unknown = shares(&scene, &"e".repeat(40));
    assert_eq!(kind(&unknown), Some(&GapKind::NoControl));
    let opened = open(&scene);
    let worktree = opened.worktree();
    let ask = |trunks: &[String]| {
        let git = &opened.git;
        git.shares_work(
            opened.repository(),
            &worktree,
            Some(BRANCH),
            trunks,
            &"e".repeat(40),
            NOW,
        )
    };
    assert_eq!(kind(&ask(&[])), Some(&GapKind::NotReady));
    let gone = Scene::with_remote();
    gone.remove_worktree();
    scene::git(&gone.repo, &["branch", "-q", "-D", BRANCH]);
    assert!(shares(&gone, &"e".repeat(40)).is_absent());
}

#[test]
fn the_branch_that_is_checked_out_is_told() {
    let scene = Scene::with_remote();
    let checkout = || {
        let opened = open(&scene);
        let worktree = opened.worktree();
        let git = &opened.git;
        git.checkout(opened.repository(), &worktree, Some(BRANCH), NOW)
    };
    let tip = scene::git(&scene.worktree, &["rev-parse", "HEAD"]);
    let tip = tip.trim().to_owned();
    assert_eq!(checkout().branch, Fact::Found(BRANCH.to_owned()));
    assert_eq!(checkout().tips, Fact::Found(vec![tip.clone()]));
    scene::git(&scene.worktree, &["branch", "-q", "-m", "agent/new"]);
    assert_eq!(checkout().branch, Fact::Found("agent/new".to_owned()));
    scene::git(&scene.worktree, &["checkout", "-q", "--detach"]);
    let own = commit(&scene.worktree, "detached");
    assert!(checkout().branch.is_absent());
    assert_eq!(checkout().tips, Fact::Found(vec![own]));
}
