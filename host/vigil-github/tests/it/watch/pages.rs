//! Many changes at once: pages by cursor, within bounds, and nothing is passed over.

use vigil_model::{Fault, Model, Scope};

use super::fleet::*;
use crate::support::*;

const REPO: &str = "acme/app";

/// `count` issues, of which the first 30 are watched, each with a pull request for the even ones.
fn large(count: u64) -> Fleet {
    let mut model = Model::new(NOW.0 - 86_400_000);
    model.token(TOKEN);
    for n in 1..=count {
        model.repo(REPO).issue(n);
    }
    let mut asks = Vec::new();
    for n in 1..=30 {
        let branch = format!("fix-{n}");
        if n % 2 == 0 {
            model.repo(REPO).pull(100_000 + n).head(&branch);
        }
        asks.push(by_branch(REPO, n, &branch, ALL));
    }
    Fleet::new(model, asks)
}

#[tokio::test]
async fn ten_thousand_changes_are_not_all_listed_and_all_that_is_tracked_is_read() {
    let mut fleet = large(10_500);
    let pass = fleet.pass().await;
    fleet.all_true(&pass);
    fleet.wait(MINUTE);
    // What is tracked changed first, so that it stands at the end of the list.
    fleet.change(|model| {
        for n in 1..=30 {
            model.repo(REPO).issue(n).closed("completed");
        }
        model.repo(REPO).pull(100_002).merged();
    });
    fleet.wait(MINUTE / 2);
    fleet.change(|model| {
        for n in 31..=10_500 {
            model.repo(REPO).issue(n).label("bulk");
        }
    });
    let before = fleet.tally();
    fleet.wait(MINUTE / 2);
    let pass = fleet.pass().await;
    fleet.all_true(&pass);
    let after = fleet.tally();
    // Ten pages, and the thirty sessions in one query or two.
    assert_eq!(after.rest - before.rest, 10);
    assert!(after.graphql - before.graphql <= 2, "{after:?}");
    let pages = after
        .log
        .iter()
        .filter(|asked| asked.target.contains("after="));
    assert!(pages.count() > 0, "pages are asked for by cursor");

    fleet.change(|model| {
        model.repo(REPO).issue(1).reopened();
    });
    let pass = fleet.after(MINUTE).await;
    fleet.all_true(&pass);
    // What lies within the overlap is listed once more, and then nothing is.
    fleet.after(MINUTE).await;
    for _ in 0..3 {
        let pass = fleet.after(MINUTE).await;
        assert_eq!((pass.usage.requests, pass.usage.rest), (0, 1));
        assert_eq!(pass.usage.unchanged, 1);
    }
}

#[tokio::test]
async fn a_few_hundred_changes_are_listed_to_the_end() {
    let mut fleet = large(500);
    fleet.pass().await;
    fleet.wait(MINUTE);
    fleet.change(|model| {
        model.repo(REPO).issue(1).closed("completed");
    });
    fleet.wait(MINUTE / 2);
    fleet.change(|model| {
        for n in 31..=380 {
            model.repo(REPO).issue(n).label("bulk");
        }
    });
    fleet.wait(MINUTE / 2);
    let before = fleet.tally();
    let pass = fleet.pass().await;
    fleet.all_true(&pass);
    let after = fleet.tally();
    assert_eq!(after.rest - before.rest, 4);
    assert_eq!(after.graphql, before.graphql, "a list brings issues along");
}

#[tokio::test]
async fn a_page_that_does_not_come_makes_the_whole_list_unseen() {
    for fault in [Fault::CutJson, Fault::Html(502), Fault::Reset] {
        let mut fleet = large(500);
        fleet.pass().await;
        fleet.wait(MINUTE);
        fleet.change(|model| {
            model.repo(REPO).issue(1).closed("completed");
            model.repo(REPO).pull(100_002).merged();
        });
        fleet.wait(MINUTE / 2);
        fleet.change(|model| {
            for n in 31..=380 {
                model.repo(REPO).issue(n).label("bulk");
            }
        });
        fleet.wait(MINUTE / 2);
        // No page comes, and what GraphQL shows is only the newest.
        fleet.change(|model| model.fail(Scope::Rest, fault.clone()));
        let pass = fleet.pass().await;
        fleet.nothing_false(&pass);
        fleet.change(Model::heal);
        fleet.until_learned().await;
    }
}
