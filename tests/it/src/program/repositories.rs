//! Work that is safe elsewhere, in whatever clone and by whatever way it got there.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::json;
use vigil::demo::home::{REPO, git};
use vigil::demo::{Home, Made};

use super::stage::{Stage, session};

fn run(dir: &Path, arguments: &[&str]) -> String {
    git(dir, arguments).expect("git runs").trim().to_owned()
}

/// A checkout of the remote in which somebody else works.
fn elsewhere(stage: &Stage) -> PathBuf {
    let dir = stage.path("elsewhere");
    let origin = stage.home.root().join("origin.git");
    run(
        stage.home.root(),
        &[
            "clone",
            "--quiet",
            &origin.to_string_lossy(),
            &dir.to_string_lossy(),
        ],
    );
    fs::write(dir.join("other.txt"), "somebody else's\n").expect("a file");
    run(&dir, &["add", "--all"]);
    run(&dir, &["commit", "--quiet", "--message", "other"]);
    run(&dir, &["push", "--quiet", "origin", "main"]);
    run(&dir, &["checkout", "--quiet", &Home::branch(1)]);
    dir
}

/// Nothing below `path` was written to for two hours.
fn leave_alone(stage: &Stage, path: &Path) {
    if path.is_dir() {
        for entry in fs::read_dir(path).expect("a folder").flatten() {
            leave_alone(stage, &entry.path());
        }
    }
    let then = SystemTime::UNIX_EPOCH + Duration::from_millis(stage.minutes_ago(120));
    let file = File::open(path).expect("it opens");
    file.set_modified(then).expect("the time is set");
}

/// The session's pull request was merged with `head` at its end, and its issue closed.
fn merged_with(stage: &mut Stage, head: &str) {
    let (created, ended) = (stage.minutes_ago(100), stage.minutes_ago(80));
    stage.on_github(|model| {
        let repo = model.repo(REPO);
        let issue = repo.issue(1).closed_at("completed", ended);
        let pull = issue.pull(21).head(&Home::branch(1)).sha(head);
        pull.created_at(created).merged_at(ended);
    });
    stage.write();
}

#[test]
fn a_branch_that_was_rebased_or_squashed_elsewhere_is_in_its_pull_request() {
    for way in ["rebased", "squashed", "changed"] {
        let mut stage = Stage::new();
        stage.home.add(&Made::default()).expect("a session");
        let dir = elsewhere(&stage);
        match way {
            "rebased" => run(&dir, &["rebase", "--quiet", "main"]),
            "squashed" => {
                run(&dir, &["reset", "--quiet", "--hard", "main"]);
                let branch = format!("origin/{}", Home::branch(1));
                run(&dir, &["merge", "--quiet", "--squash", &branch]);
                run(&dir, &["commit", "--quiet", "--message", "all of it"])
            }
            _ => {
                run(&dir, &["reset", "--quiet", "--hard", "main"]);
                fs::write(dir.join("work.txt"), "other work\n").expect("a file");
                run(&dir, &["add", "--all"]);
                run(&dir, &["commit", "--quiet", "--message", "something else"])
            }
        };
        run(&dir, &["push", "--quiet", "--force", "origin", "HEAD"]);
        let head = run(&dir, &["rev-parse", "HEAD"]);
        run(&stage.home.repository(), &["fetch", "--quiet", "origin"]);
        merged_with(&mut stage, &head);
        let judged = session(&stage.pass().json_with(0), 1);
        match way {
            "changed" => assert_eq!(judged["rule"], "unmerged-work", "{judged:#}"),
            _ => {
                assert_eq!(judged["outcome"], "transitioned", "{way}: {judged:#}");
                assert_eq!(stage.record(1)["status"], "success", "{way}");
            }
        }
    }
}

#[test]
fn the_base_branch_s_own_commits_are_no_unpushed_work_in_a_clone_without_remote_branches() {
    for kind in ["--bare", "--mirror", "--single-branch"] {
        let mut stage = Stage::new();
        let clone = stage.path("clone");
        let origin = stage.home.root().join("origin.git");
        let [from, to] = [&origin, &clone].map(|path| path.to_string_lossy().into_owned());
        run(stage.home.root(), &["clone", "--quiet", kind, &from, &to]);
        let worktree = stage.path("work");
        let path = worktree.to_string_lossy().into_owned();
        let branch = Home::branch(1);
        run(
            &clone,
            &["worktree", "add", "--quiet", "-b", &branch, &path, "main"],
        );
        leave_alone(&stage, &worktree);
        let git_dir = git(&worktree, &["rev-parse", "--absolute-git-dir"]).expect("a folder");
        leave_alone(&stage, Path::new(git_dir.trim()));
        let mut made = Made::default();
        for (name, value) in [("repo_path", &clone), ("worktree_path", &worktree)] {
            made.extra.insert(name.to_owned(), json!(value));
        }
        stage.home.add(&made).expect("a session");
        let ended = stage.minutes_ago(80);
        stage.on_github(|model| {
            model.repo(REPO).issue(1).closed_at("not_planned", ended);
        });
        stage.write();
        let judged = session(&stage.pass().json_with(0), 1);
        assert_eq!(judged["outcome"], "transitioned", "{kind}: {judged:#}");
        assert_eq!(stage.record(1)["status"], "closed", "{kind}");
    }
}
