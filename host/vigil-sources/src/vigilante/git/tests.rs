//! Real repositories, made by git, and what is said of them without git.

use std::fs;

use super::*;
use crate::vigilante::scene::{self, BRANCH, Scene, commit};
use crate::vigilante::testing::NOW;
use crate::vigilante::worktree::locate;

mod clones;
mod kin;
mod same_content;

struct Opened {
    git: Git,
    repository: Result<Repository, Gap>,
    place: Place,
    base: Option<String>,
}

fn open(scene: &Scene) -> Opened {
    open_at(&scene.repo, &scene.worktree)
}

fn open_at(repo: &Path, worktree: &Path) -> Opened {
    let git = Git::new(&GitFiles::default());
    let repository = git.open(repo);
    let place = locate(&repository, &Ok(worktree.to_owned()));
    Opened {
        git,
        repository,
        place,
        base: Some("main".to_owned()),
    }
}

impl Opened {
    fn repository(&self) -> &Repository {
        self.repository.as_ref().expect("it opens")
    }

    fn worktree(&self) -> super::Opened {
        self.git.enter(self.repository(), &self.place)
    }

    fn dirty(&self) -> Fact<bool> {
        self.git.dirty(&self.worktree(), NOW)
    }

    fn line<'a>(&'a self, branch: Option<&'a str>, remote_bases: &'a [String]) -> Line<'a> {
        Line {
            branch,
            base: self.base.as_deref(),
            remote_bases,
        }
    }

    fn unpushed(&self) -> Fact<u32> {
        self.unpushed_of(Some(BRANCH))
    }

    fn unpushed_of(&self, branch: Option<&str>) -> Fact<u32> {
        let line = self.line(branch, &[]);
        self.git
            .unpushed(self.repository(), &self.worktree(), line, NOW)
    }

    fn beyond(&self, head: &str) -> Fact<u32> {
        let bases = ["refs/remotes/origin/main".to_owned()];
        let line = self.line(Some(BRANCH), &bases);
        self.git
            .beyond(self.repository(), &self.worktree(), line, head, NOW)
    }
}

fn kind<T>(fact: &Fact<T>) -> Option<&GapKind> {
    fact.gap().map(|gap| &gap.kind)
}

fn detail<T>(fact: &Fact<T>) -> &str {
    fact.gap().map_or("", |gap| gap.detail.as_str())
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
fn what_the_person_ignores_everywhere_is_ignored() {
    let scene = Scene::new();
    fs::write(scene.worktree.join("notes.mine"), "x").expect("a file");
    assert_eq!(open(&scene).dirty(), Fact::Found(true));
    let home = scene.root().join("person");
    fs::create_dir(&home).expect("a home");
    let more = "[core]\n\texcludesFile = ~/ignored\n";
    fs::write(home.join(".gitconfig"), "[include] path = more\n").expect("a file");
    fs::write(home.join("more"), more).expect("a file");
    fs::write(home.join("ignored"), "*.mine\n").expect("a file");
    let mut opened = open(&scene);
    opened.git = Git::new(&GitFiles::of(&home, None, None, true));
    assert_eq!(opened.dirty(), Fact::Found(false));
    // A file that hangs is a gap, and no answer.
    fs::remove_file(home.join("ignored")).expect("it goes");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        home.join("ignored"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .expect("a pipe");
    opened.git = Git::new(&GitFiles::of(&home, None, None, true));
    assert!(detail(&opened.dirty()).contains("is a named pipe"));
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
fn what_is_committed_after_the_repository_was_opened_is_not_overlooked() {
    let scene = Scene::with_remote();
    commit(&scene.worktree, "second");
    scene::git(&scene.worktree, &["push", "-q", "origin", BRANCH]);
    let opened = open(&scene);
    assert_eq!(opened.unpushed(), Fact::Found(0));
    commit(&scene.worktree, "third");
    assert_eq!(opened.unpushed(), Fact::Found(1));
    // Packed branches have no files of their own, and packed objects neither.
    scene::git(&scene.worktree, &["push", "-q", "origin", BRANCH]);
    scene::git(&scene.repo, &["pack-refs", "--all"]);
    scene::git(&scene.repo, &["repack", "-q", "-ad"]);
    let packed = open(&scene);
    assert_eq!(packed.unpushed(), Fact::Found(0));
    commit(&scene.worktree, "fourth");
    assert_eq!(packed.unpushed(), Fact::Found(1));
    // An ancestor of what was pushed has nothing left to push.
    scene::git(&scene.worktree, &["reset", "-q", "--hard", "HEAD~2"]);
    assert_eq!(open(&scene).unpushed(), Fact::Found(0));
}

#[test]
fn a_repository_that_is_itself_a_worktree_is_opened_as_git_knows_it() {
    let scene = Scene::with_remote();
    let of_worktree = Repository::open(&scene.worktree).expect("it opens");
    let own = Repository::open(&scene.repo).expect("it opens");
    assert_eq!(of_worktree.common, own.common);
    assert_eq!(own.common, scene.repo.join(".git"));
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
    assert_eq!(kind(&opened.unpushed_of(None)), Some(&GapKind::Unrecorded));
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
    // Commits that came from the base branch are not this session's work, and neither is a rebased copy.
    scene::git(&scene.worktree, &["reset", "-q", "--hard", &head]);
    commit(&scene.repo, "on main");
    commit(&scene.repo, "and another");
    scene::git(&scene.repo, &["push", "-q", "origin", "main"]);
    scene::git(&scene.worktree, &["rebase", "-q", "main"]);
    let rebased = scene::git(&scene.worktree, &["rev-parse", "HEAD"]);
    assert_eq!(open(&scene).beyond(&rebased), Fact::Found(0));
    assert_eq!(open(&scene).beyond(&head), Fact::Found(0));
    commit(&scene.worktree, "fourth");
    assert_eq!(open(&scene).beyond(&head), Fact::Found(1));
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
fn only_a_repository_is_one_and_not_a_folder_inside_it() {
    let scene = Scene::new();
    let inside = scene.repo.join("src");
    fs::create_dir(&inside).expect("a folder");
    assert_eq!(
        Repository::open(&inside).expect_err("no repository").kind,
        GapKind::NoControl
    );
    let gone = Repository::open(&scene.root().join("gone")).expect_err("nothing there");
    assert_eq!(gone.kind, GapKind::NoControl);
    // What stands in its place is not "gone": somebody has to look at it.
    let file = scene.root().join("file");
    fs::write(&file, "x").expect("a file");
    for place in [&file, Path::new("/dev/zero")] {
        let other = Repository::open(place).expect_err("no repository");
        assert_eq!(other.kind, GapKind::Malformed, "{other:?}");
        assert!(other.detail.ends_with("is no folder"), "{other:?}");
    }
    // A worktree whose link is gone lies inside the repository, and is none of it.
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
    let opened = open(&scene);
    let Place::Linked { git_dir, .. } = &opened.place else {
        panic!("{:?}", opened.place);
    };
    fs::write(git_dir.join("index"), "no index").expect("a file");
    assert_eq!(kind(&opened.dirty()), Some(&GapKind::Malformed));
    fs::write(git_dir.join("HEAD"), "ref: refs/heads/none\n").expect("a file");
    assert!(detail(&opened.unpushed()).contains("refs/heads/none checked out"));
    fs::write(git_dir.join("HEAD"), "ref: ../../../etc/passwd\n").expect("a file");
    assert_eq!(kind(&opened.unpushed()), Some(&GapKind::Malformed));
}

#[test]
fn another_repository_in_its_place_is_not_taken_for_it() {
    let scene = Scene::new();
    let opened = open(&scene);
    fs::rename(scene.repo.join(".git"), scene.root().join("aside")).expect("it moves");
    scene::git(&scene.repo, &["init", "-q", "-b", "main"]);
    let gap = opened.repository().enter().expect_err("another one");
    assert_eq!(gap.kind, GapKind::IdentityChanged);
    assert_eq!(kind(&opened.unpushed()), Some(&GapKind::IdentityChanged));
}

#[test]
fn a_ref_that_hangs_is_a_gap_where_it_matters_and_nowhere_else() {
    let scene = Scene::with_remote();
    commit(&scene.worktree, "second");
    let pipe = |name: &str| {
        let path = scene.repo.join(".git").join(name);
        let _ = fs::remove_file(&path);
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &path,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::from_raw_mode(0o600),
            0,
        )
        .expect("a pipe");
    };
    // Nobody's branch, and another one of the remote's.
    pipe("refs/heads/other");
    pipe("refs/remotes/origin/other");
    assert_eq!(open(&scene).unpushed(), Fact::Found(1));
    let head = scene::git(&scene.worktree, &["rev-parse", "HEAD"]);
    assert_eq!(open(&scene).beyond(&head), Fact::Found(0));
    pipe(&format!("refs/heads/{BRANCH}"));
    let opened = open(&scene);
    for fact in [opened.unpushed(), opened.beyond(&head)] {
        assert!(detail(&fact).contains("is a named pipe"), "{fact:?}");
    }
    pipe("packed-refs");
    let gap = Repository::open(&scene.repo).expect_err("a gap");
    assert!(gap.detail.contains("packed-refs is a named pipe"), "{gap}");
}
