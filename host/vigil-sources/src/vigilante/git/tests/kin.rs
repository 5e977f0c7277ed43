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
    for with_its_own in [false, true] {
        let scene = Scene::with_remote();
        let root = root(&scene);
        let tree = ["commit-tree", "main^{tree}", "-m", "earlier", "-p", &root];
        let earlier = scene::git(&scene.repo, &tree).trim().to_owned();
        // Merged, as one commit or with its own: this session began after that.
        let merge = match with_its_own {
            true => made(&scene, &[&root, &earlier]),
            false => made(&scene, &[&root]),
        };
        pushed(&scene, &merge);
        scene::git(&scene.worktree, &["reset", "-q", "--hard", &merge]);
        commit(&scene.worktree, "this one");
        assert_eq!(
            shares(&scene, &earlier),
            Fact::Found(false),
            "{with_its_own}"
        );
    }
}

fn root(scene: &Scene) -> String {
    let root = scene::git(&scene.repo, &["rev-parse", "main"]);
    root.trim().to_owned()
}

/// Git forgets where the worktree stood.
fn forgot(scene: &Scene) {
    let log = scene.repo.join(".git/worktrees");
    for worktree in fs::read_dir(log).expect("worktrees") {
        let log = worktree.expect("one").path().join("logs/HEAD");
        fs::remove_file(log).expect("its log");
    }
}

/// What somebody does to the work, and whether the work can be told by its content afterwards.
type Rewrite<'a> = (&'a str, &'a dyn Fn(&Scene), bool);

#[test]
fn what_was_in_this_very_checkout_is_shared_however_it_was_rewritten() {
    let amended = |scene: &Scene| {
        fs::write(scene.worktree.join("own"), "another").expect("a file");
        scene::git(
            &scene.worktree,
            &["commit", "-q", "-a", "--amend", "-m", "amended"],
        );
    };
    let begun_anew = |scene: &Scene| {
        scene::git(&scene.worktree, &["reset", "-q", "--hard", "main"]);
        commit(&scene.worktree, "anew");
    };
    let rebased = |scene: &Scene| {
        let onto = made(scene, &[&root(scene)]);
        scene::git(&scene.worktree, &["rebase", "-q", "--onto", &onto, "main"]);
    };
    let all: [Rewrite<'_>; 3] = [
        ("amended", &amended, false),
        ("begun anew", &begun_anew, false),
        // The same change is the same, wherever it stands.
        ("rebased", &rebased, true),
    ];
    for (what, rewrite, by_content) in all {
        let scene = Scene::with_remote();
        let head = commit(&scene.worktree, "own");
        rewrite(&scene);
        assert_eq!(shares(&scene, &head), Fact::Found(true), "{what}");
        forgot(&scene);
        let without = Fact::Found(by_content);
        assert_eq!(shares(&scene, &head), without, "{what}, and forgotten");
    }
}

#[test]
fn the_same_content_is_shared_at_once_or_step_by_step() {
    let scene = Scene::with_remote();
    let root = root(&scene);
    commit(&scene.worktree, "one");
    let steps = commit(&scene.worktree, "two");
    let tree = format!("{steps}^{{tree}}");
    let squash = ["commit-tree", &tree, "-m", "squashed", "-p", &root];
    let squashed = scene::git(&scene.repo, &squash).trim().to_owned();
    assert_eq!(shares(&scene, &squashed), Fact::Found(true));
    scene::git(&scene.worktree, &["reset", "-q", "--hard", &squashed]);
    forgot(&scene);
    assert_eq!(shares(&scene, &steps), Fact::Found(true));
    // Other content beside it is not.
    scene::git(&scene.worktree, &["reset", "-q", "--hard", &root]);
    forgot(&scene);
    commit(&scene.worktree, "three");
    assert_eq!(shares(&scene, &steps), Fact::Found(false));
    // Commits of nothing are alike, and say nothing.
    let (mine, theirs) = (
        made(&scene, &[&root]),
        ["commit-tree", "main^{tree}", "-m", "x"],
    );
    let theirs = scene::git(&scene.repo, &[&theirs[..], &["-p", &root]].concat());
    scene::git(&scene.worktree, &["reset", "-q", "--hard", &mine]);
    forgot(&scene);
    assert_eq!(shares(&scene, theirs.trim()), Fact::Found(false));
}

#[test]
fn a_log_of_the_worktree_that_cannot_be_read_leaves_nothing_sure() {
    let scene = Scene::with_remote();
    let root = root(&scene);
    let theirs = made(&scene, &[&root]);
    let own = commit(&scene.worktree, "own");
    assert_eq!(shares(&scene, &theirs), Fact::Found(false));
    let log = scene.repo.join(".git/worktrees");
    let worktree = fs::read_dir(log).expect("worktrees").next();
    let log = worktree
        .expect("one")
        .expect("one")
        .path()
        .join("logs/HEAD");
    let kind_of = |commit: &str| kind(&shares(&scene, commit)).cloned();
    // Too long; a pipe; a link to another file; a folder.
    fs::write(&log, vec![b'x'; 5 << 20]).expect("a log");
    assert_eq!(kind_of(&theirs), Some(GapKind::TooLarge));
    fs::remove_file(&log).expect("it goes");
    let mode = rustix::fs::Mode::from(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &log, rustix::fs::FileType::Fifo, mode, 0)
        .expect("a pipe");
    assert!(kind_of(&theirs).is_some());
    assert_eq!(shares(&scene, &own), Fact::Found(true));
    fs::remove_file(&log).expect("it goes");
    std::os::unix::fs::symlink("/etc/passwd", &log).expect("a link");
    assert!(kind_of(&theirs).is_some());
    // No log at all is one that git was told not to keep.
    fs::remove_file(&log).expect("it goes");
    assert_eq!(shares(&scene, &theirs), Fact::Found(false));
    // Nonsense in it says nothing.
    fs::write(&log, format!("{} nonsense\n", "e".repeat(40))).expect("a log");
    assert_eq!(shares(&scene, &theirs), Fact::Found(false));
    assert_eq!(shares(&scene, &"e".repeat(40)), Fact::Found(true));
}

#[test]
fn work_begins_with_the_first_commits_of_all_that_was_there() {
    let scene = Scene::with_remote();
    let firsts = || {
        let opened = open(&scene);
        let (trunks, worktree) = (TRUNKS.map(str::to_owned), opened.worktree());
        let firsts =
            (opened.git).firsts(opened.repository(), &worktree, Some(BRANCH), &trunks, NOW);
        firsts.found().cloned().expect("they are here")
    };
    assert!(firsts().is_empty());
    let first = commit(&scene.worktree, "one");
    commit(&scene.worktree, "two");
    assert_eq!(firsts(), std::slice::from_ref(&first));
    scene::git(&scene.worktree, &["reset", "-q", "--hard", "main"]);
    assert_eq!(firsts(), std::slice::from_ref(&first));
    let other = commit(&scene.worktree, "three");
    let mut both = [first, other];
    both.sort();
    assert_eq!(firsts(), both);
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
