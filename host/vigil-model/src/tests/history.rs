//! Commits: how they follow each other, and what REST says of two of them.

use serde_json::json;

use super::{TOKEN, get, seed};
use crate::{Model, Permission};

/// `main` is m1, m2; `work` is m1, w1, w2.
fn model() -> Model {
    let mut model = seed();
    let repo = model.repo("owner/repo").commit("m1", &[]);
    let repo = repo.commit("m2", &["m1"]).commit("w1", &["m1"]);
    let repo = repo.commit("w2", &["w1"]);
    repo.branch("main", "m2").branch("a/work", "w2");
    model
}

#[test]
fn two_commits_are_compared_by_branch_or_hash() {
    let mut model = model();
    for (path, status, ahead, behind, base) in [
        ("main...a/work", "diverged", 2, 1, "m1"),
        ("main...a%2Fwork", "diverged", 2, 1, "m1"),
        ("w1...w2", "ahead", 1, 0, "w1"),
        ("w2...w1", "behind", 0, 1, "w1"),
        ("m2...main", "identical", 0, 0, "m2"),
    ] {
        let told = get(&mut model, &format!("/repos/owner/repo/compare/{path}")).value();
        let told = (
            &told["status"],
            &told["ahead_by"],
            &told["behind_by"],
            &told["merge_base_commit"]["sha"],
        );
        let expected = (json!(status), json!(ahead), json!(behind), json!(base));
        assert_eq!(
            told,
            (&expected.0, &expected.1, &expected.2, &expected.3),
            "{path}"
        );
    }
}

#[test]
fn a_commit_that_is_not_there_is_told_from_one_that_may_not_be_seen() {
    let mut model = model();
    let status =
        |model: &mut Model, path: &str| get(model, &format!("/repos/owner/repo/{path}")).status;
    assert_eq!(status(&mut model, "compare/main...nowhere"), 404);
    assert_eq!(status(&mut model, "commits/nowhere"), 422);
    assert_eq!(status(&mut model, "commits/w1"), 200);
    assert_eq!(status(&mut model, "commits/a/work"), 200);
    model.token(TOKEN).without(Permission::ContentsRead);
    assert_eq!(status(&mut model, "compare/main...w1"), 403);
    assert_eq!(status(&mut model, "commits/nowhere"), 403);
}

#[test]
fn a_merge_moves_the_branch_and_a_squash_follows_its_base_alone() {
    let mut model = model();
    model.repo("owner/repo").pull(1).sha("w1").merged();
    model.repo("owner/repo").pull(2).sha("w2").squashed();
    let behind = |model: &mut Model, head: &str| {
        let path = format!("/repos/owner/repo/compare/main...{head}");
        get(model, &path).value()["ahead_by"].clone()
    };
    assert_eq!(behind(&mut model, "w1"), 0);
    assert_eq!(behind(&mut model, "w2"), 1);
    let merge = model
        .look("owner/repo", 2)
        .and_then(|item| item.pull().cloned());
    let merge = merge.and_then(|pull| pull.merge_commit).expect("a merge");
    assert_eq!(behind(&mut model, &merge), 0);
}
