//! Whether a merge into another branch has landed: by the pull request that took that branch along.

use vigil_core::Fact;
use vigil_model::{Model, PullEdit};

use crate::support::*;

const MINUTE: u64 = 60_000;

/// A head that holds the merge of #319.
const WITH: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

/// A head that does not.
const WITHOUT: &str = "cccccccccccccccccccccccccccccccccccccccc";

const ROOT: &str = "dddddddddddddddddddddddddddddddddddddddd";

/// Whether #319 has landed, which was merged into `feature` half an hour ago.
async fn landed(change: impl FnOnce(&mut Model)) -> String {
    let mut model = seed();
    let repo = model.repo("acme/app").commit(ROOT, &[]);
    let repo = repo.commit(WITHOUT, &[ROOT]).branch("main", ROOT);
    repo.pull(319).base("feature");
    let merged = model.look("acme/app", 319).and_then(|item| item.pull());
    let merge = merged.and_then(|pull| pull.merge_commit.clone());
    let merge = merge.expect("a merge");
    let repo = model.repo("acme/app").commit(&merge, &[ROOT]);
    repo.commit(WITH, &[&merge]);
    change(&mut model);
    let server = serve(model);
    let asks = [by_branch("acme/app", 299, "vigilante/issue-299", LEAN)];
    let reply = ask(&client(&server), &asks).await;
    let pr = reply.answers[0].pull_request.found().expect("#319");
    match &pr.landed {
        Fact::Found(landed) => landed.to_string(),
        other => kind(other).to_owned(),
    }
}

/// The pull request of `feature` into `main`: opened and merged so many minutes ago.
fn parent(model: &mut Model, opened: u64, merged: u64) -> PullEdit<'_> {
    let pull = model.repo("acme/app").pull(320).head("feature");
    let pull = pull.created_at(NOW.0 - opened * MINUTE);
    pull.merged_at(NOW.0 - merged * MINUTE)
}

#[tokio::test]
async fn the_name_of_a_branch_alone_takes_a_merge_along_only_while_it_stands_open() {
    // What it was merged as makes no difference: no branch has the commit.
    for (what, opened, merged, head, expected) in [
        ("open at the merge", 50, 10, WITHOUT, "true"),
        ("merged before the merge", 50, 40, WITH, "false"),
        ("opened later, with the merge", 20, 10, WITH, "true"),
        ("the name used again", 20, 10, WITHOUT, "false"),
    ] {
        let change = |model: &mut Model| {
            parent(model, opened, merged).sha(head);
        };
        assert_eq!(landed(change).await, expected, "{what}");
    }
    // The name used again, and the commit itself has come to the default branch.
    let pushed = landed(|model| {
        let repo = parent(model, 20, 10).sha(WITHOUT).back();
        repo.branch("main", WITH);
    });
    assert_eq!(pushed.await, "true");
    let fork = landed(|model| {
        parent(model, 50, 10).sha(WITH).head_owner("mallory");
    });
    assert_eq!(fork.await, "false");
    let none = landed(|_| {});
    assert_eq!(none.await, "false");
}

#[tokio::test]
async fn a_merge_is_followed_from_branch_to_branch() {
    for (head, expected) in [(WITH, "true"), (WITHOUT, "false")] {
        let change = |model: &mut Model| {
            // Opened after the merge, and into another branch; that one's stood open by then.
            let repo = parent(model, 20, 10).sha(head).base("develop").back();
            let on = repo.pull(321).head("develop");
            let on = on.created_at(NOW.0 - 25 * MINUTE).sha(WITHOUT);
            on.merged_at(NOW.0 - 5 * MINUTE);
        };
        assert_eq!(landed(change).await, expected, "{head}");
    }
}
