//! Where a worktree is found after everything that people and git do to folders.

#![expect(
    clippy::disallowed_methods,
    reason = "a test takes its own folders away, as people do"
)]

use std::path::Path;
use std::process::Command;

use super::*;
use crate::GitFiles;
use crate::machine::looker::Telling;
use crate::vigilante::git::Git;
use crate::vigilante::liveness::WITHOUT_CARE;
use crate::vigilante::processes::View;
use crate::vigilante::scene::{BRANCH, Scene, booted_at, git, now, run_as};
use crate::vigilante::worktree::{Place, find};

/// A scene whose worktree lies outside of its repository, two folders deep.
fn scene() -> (Scene, PathBuf) {
    let scene = Scene::new();
    let outside = scene.root().join("trees/of/issue-299");
    fs::create_dir_all(outside.parent().expect("a parent")).expect("a folder");
    git_move(&scene, &scene.worktree, &outside);
    (scene, outside)
}

fn list(scene: &Scene) -> Result<Worktrees, Gap> {
    Worktrees::read(&scene.repo.join(".git"), &Mounts::default(), WITHOUT_CARE)
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

fn git_move(scene: &Scene, from: &Path, to: &Path) {
    git(&scene.repo, &["worktree", "move", text(from), text(to)]);
}

fn found(scene: &Scene, path: &Path) -> Place {
    let repository = Git::new(&GitFiles::default()).open(&scene.repo);
    find(
        &repository,
        &Ok(path.to_owned()),
        Some(BRANCH),
        &Around::new(None),
        WITHOUT_CARE,
    )
}

#[track_caller]
fn stands(scene: &Scene, path: &Path, expected: &Path) {
    match found(scene, path) {
        Place::Linked { dir, git_dir } => {
            assert_eq!(dir, expected);
            assert_eq!(git_dir, scene.repo.join(".git/worktrees/issue-299"));
        }
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn unknown(scene: &Scene, path: &Path, word: &str) {
    match found(scene, path) {
        Place::Unknown(gap) => assert!(gap.detail.contains(word), "{gap}"),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn missing(scene: &Scene, path: &Path) {
    let place = found(scene, path);
    assert_eq!(place, Place::Missing(path.to_owned()));
}

#[test]
fn where_it_is_recorded_it_is_found_without_a_list() {
    let scene = Scene::new();
    stands(&scene, &scene.worktree, &scene.worktree);
    let list = list(&scene).expect("a list");
    let entry = list.named("issue-299").expect("the worktree");
    assert_eq!(entry.place, scene.worktree);
    assert_eq!(entry.branch.as_deref(), Some(BRANCH));
    assert_eq!(entry.stands(WITHOUT_CARE), Ok(true));
}

#[test]
fn moved_by_git_it_is_where_git_says() {
    let scene = Scene::new();
    for place in ["here", "further/away"] {
        let place = scene.root().join(place);
        fs::create_dir_all(place.parent().expect("a parent")).expect("a folder");
        let from = list(&scene).expect("a list");
        let from = from.named("issue-299").expect("the worktree").place.clone();
        git_move(&scene, &from, &place);
        stands(&scene, &scene.worktree, &place);
    }
    // Something else stands at the old place.
    fs::create_dir_all(scene.worktree.join("src")).expect("a folder");
    stands(&scene, &scene.worktree, &scene.root().join("further/away"));
}

#[test]
fn moved_by_hand_it_is_found_by_what_it_is() {
    let (scene, recorded) = scene();
    let beside = recorded.with_file_name("issue-299-old");
    fs::rename(&recorded, &beside).expect("it moves");
    stands(&scene, &recorded, &beside);
    fs::rename(&beside, &recorded).expect("it moves back");
    stands(&scene, &recorded, &recorded);
    // The folder that holds it, and the one above that.
    for (from, to, now) in [
        ("trees/of", "trees/renamed", "trees/renamed/issue-299"),
        ("trees", "forest", "forest/renamed/issue-299"),
    ] {
        let root = scene.root();
        fs::rename(root.join(from), root.join(to)).expect("it moves");
        if to == "forest" {
            // Two folders on the way have other names: nobody can tell where it is.
            unknown(&scene, &recorded, "git worktree repair");
            git(&scene.repo, &["worktree", "repair", text(&root.join(now))]);
        }
        stands(&scene, &recorded, &root.join(now));
    }
}

#[test]
fn moved_far_by_hand_it_is_found_where_somebody_works_in_it() {
    let (scene, recorded) = scene();
    let far = scene.root().join("far/away/tree");
    fs::create_dir_all(far.join("..")).expect("a folder");
    fs::rename(&recorded, &far).expect("it moves");
    // As far as anybody can see it was removed.
    missing(&scene, &recorded);
    let _agent = run_as(&scene, "claude", &far);
    let view = View {
        proc: Path::new("/proc"),
        home: &scene.home,
        same_namespace: Some(true),
        ignored: &[],
        own: 0,
        booted_at: Some(booted_at()),
    };
    let table = Table::scan(&view, now());
    let repository = Git::new(&GitFiles::default()).open(&scene.repo);
    let place = find(
        &repository,
        &Ok(recorded),
        Some(BRANCH),
        &Around::new(Some(std::sync::Arc::new(table))),
        WITHOUT_CARE,
    );
    assert!(
        matches!(&place, Place::Linked { dir, .. } if *dir == far),
        "{place:?}"
    );
}

#[test]
fn removed_it_is_missing() {
    // By git, as Vigilante does it.
    let (scene, recorded) = scene();
    git(
        &scene.repo,
        &["worktree", "remove", "--force", text(&recorded)],
    );
    missing(&scene, &recorded);
    // By hand: git lists it at the same place still.
    let (scene, recorded) = self::scene();
    fs::remove_dir_all(&recorded).expect("it goes away");
    missing(&scene, &recorded);
    git(&scene.repo, &["worktree", "prune"]);
    missing(&scene, &recorded);
    // With the folder that held it, which may be a disk that is not mounted: unknown while git lists it.
    let (scene, recorded) = self::scene();
    fs::remove_dir_all(scene.root().join("trees")).expect("it goes away");
    unknown(&scene, &recorded, "git worktree prune");
    // Inside the repository nothing is mounted, and yet a folder may have been renamed.
    let scene = Scene::new();
    let trees = scene.repo.join(".worktrees");
    fs::remove_dir_all(&trees).expect("it goes away");
    unknown(&scene, &scene.worktree, "git worktree prune");
    git(&scene.repo, &["worktree", "prune"]);
    missing(&scene, &scene.worktree);
}

#[test]
fn what_git_has_forgotten_and_somebody_moved_is_unknown() {
    let (scene, recorded) = scene();
    let beside = recorded.with_file_name("kept");
    fs::rename(&recorded, &beside).expect("it moves");
    git(&scene.repo, &["worktree", "prune"]);
    unknown(&scene, &recorded, text(&beside));
}

#[test]
fn where_the_repository_cannot_be_read_nothing_is_known() {
    let (scene, recorded) = scene();
    fs::rename(&scene.repo, scene.root().join("moved")).expect("it moves");
    assert!(matches!(found(&scene, &recorded), Place::Unknown(_)));
    let (scene, recorded) = self::scene();
    fs::remove_dir_all(&recorded).expect("it goes away");
    let list = scene.repo.join(".git/worktrees");
    fs::rename(&list, scene.repo.join(".git/kept")).expect("it moves");
    fs::write(&list, "no folder").expect("a file");
    unknown(&scene, &recorded, "cannot be read");
    fs::remove_file(&list).expect("it goes away");
    fs::rename(scene.repo.join(".git/kept"), &list).expect("it moves back");
    missing(&scene, &recorded);
    // One entry that is no worktree's: a pipe, which nobody waits for.
    let odd = list.join("odd");
    fs::create_dir(&odd).expect("a folder");
    let made = Command::new("mkfifo").arg(odd.join("gitdir")).status();
    assert!(made.is_ok_and(|status| status.success()), "mkfifo");
    unknown(&scene, &recorded, "named pipe");
}

#[test]
fn another_worktree_at_the_same_place_is_not_the_session_s() {
    let (scene, recorded) = scene();
    let moved = scene.root().join("moved");
    git_move(&scene, &recorded, &moved);
    git(
        &scene.repo,
        &["worktree", "add", "-q", "-b", "other", text(&recorded)],
    );
    stands(&scene, &recorded, &moved);
    // Without the session's own anywhere, what stands there may be it under another branch.
    git(
        &scene.repo,
        &["worktree", "remove", "--force", text(&moved)],
    );
    let place = found(&scene, &recorded);
    assert!(
        matches!(&place, Place::Linked { dir, .. } if *dir == recorded),
        "{place:?}"
    );
}

#[test]
fn another_branch_in_it_does_not_make_it_another_worktree() {
    let (scene, recorded) = scene();
    git(&recorded, &["switch", "-q", "-c", "renamed"]);
    stands(&scene, &recorded, &recorded);
    git(&recorded, &["checkout", "-q", "--detach"]);
    stands(&scene, &recorded, &recorded);
    // Moved as well, nobody can tell.
    let moved = scene.root().join("moved");
    git_move(&scene, &recorded, &moved);
    unknown(&scene, &recorded, text(&moved));
    // A rebase takes the branch off and puts it back.
    git(&moved, &["switch", "-q", BRANCH]);
    let git_dir = scene.repo.join(".git/worktrees/issue-299");
    fs::create_dir(git_dir.join("rebase-merge")).expect("a folder");
    fs::write(
        git_dir.join("rebase-merge/head-name"),
        format!("refs/heads/{BRANCH}\n"),
    )
    .expect("a file");
    git(&moved, &["checkout", "-q", "--detach"]);
    stands(&scene, &recorded, &moved);
}

#[test]
fn its_branch_elsewhere_may_be_its_work() {
    let (scene, recorded) = scene();
    git(
        &scene.repo,
        &["worktree", "remove", "--force", text(&recorded)],
    );
    let review = scene.root().join("review");
    git(
        &scene.repo,
        &["worktree", "add", "-q", text(&review), BRANCH],
    );
    unknown(&scene, &recorded, text(&review));
    git(
        &scene.repo,
        &["worktree", "remove", "--force", text(&review)],
    );
    missing(&scene, &recorded);
    // In the main checkout.
    git(&scene.repo, &["switch", "-q", BRANCH]);
    unknown(&scene, &recorded, "checked out in");
    git(&scene.repo, &["switch", "-q", "main"]);
    missing(&scene, &recorded);
}

#[test]
fn of_two_worktrees_of_one_branch_the_one_of_its_name_is_meant() {
    let (scene, recorded) = scene();
    let forced = scene.root().join("second/issue-299");
    git(
        &scene.repo,
        &["worktree", "add", "-q", "--force", text(&forced), BRANCH],
    );
    let list = list(&scene).expect("a list");
    let made: Vec<&str> = list
        .made_at(&recorded, Some(BRANCH))
        .iter()
        .map(|entry| entry.name.as_str())
        .collect();
    assert_eq!(made, ["issue-299", "issue-2991"]);
    stands(&scene, &recorded, &recorded);
    let moved = scene.root().join("moved");
    git_move(&scene, &recorded, &moved);
    stands(&scene, &recorded, &moved);
}

#[test]
fn a_name_is_made_unique_by_digits_alone() {
    let entry = |name: &str| Entry {
        name: name.to_owned(),
        git_dir: PathBuf::new(),
        place: PathBuf::new(),
        branch: None,
    };
    for (name, exact, expected) in [
        ("issue-29", true, true),
        ("issue-29", false, true),
        ("issue-291", true, false),
        ("issue-291", false, true),
        ("issue-29a", false, false),
        ("issue-2", false, false),
        ("tissue-29", false, false),
    ] {
        let made = entry(name).was_made_at("issue-29", exact);
        assert_eq!(made, expected, "{name} {exact}");
    }
}

/// Notes what it is told, and lets nobody into `closed`.
struct Notes {
    told: Mutex<Vec<PathBuf>>,
    closed: PathBuf,
}

impl Telling for Notes {
    fn at(&self, place: &Path) {
        self.told
            .lock()
            .expect("it is whole")
            .push(place.to_owned());
    }

    fn may_enter(&self, place: &Path) -> bool {
        place != self.closed
    }

    fn part(&self, _: &dyn Fn() -> Vec<u8>) {}
}

#[test]
fn a_listed_place_is_told_before_it_is_touched_and_is_unknown_where_it_is_left_alone() {
    let scene = Scene::new();
    let far = scene.root().join("far");
    fs::create_dir(&far).expect("a folder");
    let (recorded, moved) = (scene.worktree.clone(), far.join("issue-299"));
    git_move(&scene, &recorded, &moved);
    let other = far.join("other");
    git(
        &scene.repo,
        &["worktree", "add", "-q", "-b", "other", text(&other)],
    );
    let found = |branch: &str, closed: &Path, avoid: &[PathBuf]| {
        let notes = Notes {
            told: Mutex::default(),
            closed: closed.to_owned(),
        };
        let care = Care {
            avoid,
            told: &notes,
        };
        let repository = Git::new(&GitFiles::default()).open(&scene.repo);
        let path = Ok(recorded.clone());
        let place = find(&repository, &path, Some(branch), &Around::new(None), care);
        (place, notes.told.into_inner().expect("it is whole"))
    };
    let (place, told) = found(BRANCH, Path::new(""), &[]);
    assert!(matches!(place, Place::Linked { dir, .. } if dir == moved));
    assert!(told.contains(&moved), "{told:?}");
    for (closed, avoid) in [(far.as_path(), vec![]), (Path::new(""), vec![far.clone()])] {
        let (place, _) = found(BRANCH, closed, &avoid);
        let Place::Unknown(gap) = place else {
            panic!("{place:?}");
        };
        assert!(gap.detail.contains("far did not answer"), "{gap}");
        // What else lies there is nobody's business who does not look for it.
        git(
            &scene.repo,
            &["worktree", "move", text(&moved), text(&recorded)],
        );
        fs::remove_dir_all(&recorded).expect("it goes");
        git(&scene.repo, &["worktree", "prune"]);
        let (place, _) = found(BRANCH, closed, &avoid);
        assert_eq!(place, Place::Missing(recorded.clone()));
        git(
            &scene.repo,
            &["worktree", "add", "-q", text(&moved), BRANCH],
        );
    }
    // The `.git` of a worktree can name a folder anywhere.
    git_move(&scene, &moved, &recorded);
    fs::write(
        recorded.join(".git"),
        format!("gitdir: {}\n", far.display()),
    )
    .expect("a file");
    let (place, _) = found(BRANCH, &far, &[]);
    assert!(
        matches!(&place, Place::Unknown(gap) if gap.detail.contains("far")),
        "{place:?}"
    );
}
