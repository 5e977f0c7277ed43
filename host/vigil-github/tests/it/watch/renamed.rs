//! Repositories that were renamed or transferred: their new name is told, and followed as long as it is the same
//! repository and nobody else bears the old name.

use vigil_github::memory::{IDLE_MAX, Renamed};
use vigil_model::Model;

use super::fleet::*;
use crate::support::*;

const REPO: &str = "acme/app";

type Change = fn(&mut Model);

/// Ways to another name.
const CASES: [(Change, &str); 2] = [
    (
        |model| {
            model.repo(REPO).renamed("acme/other");
        },
        "acme/other",
    ),
    (
        |model| {
            model.repo(REPO).transferred("umbrella");
        },
        "umbrella/app",
    ),
];

/// A session by number, and one by the branch of the same pull request.
async fn watched() -> Fleet {
    let mut model = Model::new(NOW.0 - 3_600_000);
    model.token(TOKEN);
    model.new_repo(REPO).issue(1).pull(2).head("fix");
    let asks = vec![by_number(REPO, 1, 2, ALL), by_branch(REPO, 1, "fix", ALL)];
    let mut fleet = Fleet::new(model, asks);
    let pass = fleet.pass().await;
    fleet.all_true(&pass);
    fleet
}

fn renamed(from: &str, to: &str, is_same: bool) -> Renamed {
    Renamed {
        from: from.to_owned(),
        to: to.to_owned(),
        is_same,
    }
}

/// Leads all sessions to where their repositories are, and looks at those that are led elsewhere; gives whether any is.
fn follow(fleet: &mut Fleet) -> bool {
    let mut follows = false;
    for at in 0..fleet.asks.len() {
        if fleet.memory.follow(&mut fleet.asks[at].lookup) {
            fleet.wants(at, ALL);
            follows = true;
        }
    }
    follows
}

#[tokio::test]
async fn the_new_name_is_told_by_whatever_way_it_is_noticed() {
    for (change, to) in CASES {
        // A repository in which something happened lately is looked at by GraphQL where there are many of them.
        for busy in [false, true] {
            let mut fleet = watched().await;
            if busy {
                fleet.change(|model| {
                    model.repo(REPO).issue(1).label("seen");
                });
                fleet.after(MINUTE).await;
            } else {
                fleet.wait(IDLE_MAX);
                fleet.pass().await;
            }
            fleet.change(change);
            let told = |pass: &Pass| pass.pair(0) == ("identity-changed", "identity-changed");
            let pass = fleet.until(20, told).await;
            let gap = pass.answers[0].issue.gap().expect("a gap").clone();
            assert!(gap.detail.contains(&format!("now called {to}")), "{gap}");
            assert_eq!(fleet.memory.renamed(), [renamed(REPO, to, true)]);
            fleet.restart();
            assert_eq!(fleet.memory.renamed(), [renamed(REPO, to, true)]);
        }
    }
}

#[tokio::test]
async fn one_that_was_never_seen_under_its_old_name_is_told_and_not_followed() {
    let mut model = Model::new(NOW.0 - 3_600_000);
    model.token(TOKEN);
    model.new_repo(REPO).issue(1).pull(2).head("fix");
    model.repo(REPO).renamed("acme/other");
    let mut fleet = Fleet::new(model, vec![by_number(REPO, 1, 2, ALL)]);
    let pass = fleet.pass().await;
    assert_eq!(pass.pair(0), ("identity-changed", "identity-changed"));
    assert_eq!(fleet.memory.renamed(), [renamed(REPO, "acme/other", false)]);
    assert!(!follow(&mut fleet));
}

#[tokio::test]
async fn a_new_name_that_may_not_be_seen_is_not_told() {
    let mut fleet = watched().await;
    fleet.change(|model| {
        model.repo(REPO).renamed("acme/other").private();
    });
    for _ in 0..30 {
        let pass = fleet.after(MINUTE).await;
        for answer in &pass.answers {
            let gap = answer.issue.gap().expect("it is gone");
            assert!(!gap.detail.contains("acme/other"), "{gap}");
        }
        assert_eq!(fleet.memory.renamed(), []);
    }
}

#[tokio::test]
async fn what_is_followed_is_known_as_before_and_costs_as_little() {
    for (change, to) in CASES {
        let mut fleet = watched().await;
        fleet.change(change);
        let renamed = |pass: &Pass| pass.pair(0).0 == "identity-changed";
        fleet.until(20, renamed).await;
        assert!(follow(&mut fleet));
        let pass = fleet.until_learned().await;
        assert_eq!(pass.pull(0).number, 2);
        assert_eq!(pass.pull(1).number, 2, "the branch is its own repository's");
        fleet.change(|model| {
            model.repo(to).pull(2).merged();
        });
        let pass = fleet.until(20, |pass| pass.pull(1).merged.is_some()).await;
        fleet.all_true(&pass);
        fleet.restart();
        let tally = fleet.tally();
        for _ in 0..60 {
            fleet.after(MINUTE).await;
        }
        let (asked, rest) = (
            fleet.tally().graphql - tally.graphql,
            fleet.tally().rest - tally.rest,
        );
        // The old name is looked at as well, twice each time: who takes it is not to be followed.
        assert!(asked <= 10 && rest <= 45, "{asked} and {rest}");
    }
}

#[tokio::test]
async fn an_old_name_that_somebody_takes_leads_nowhere_any_more() {
    let mut fleet = watched().await;
    fleet.change(|model| {
        model.repo(REPO).renamed("acme/other");
    });
    fleet
        .until(20, |pass| pass.pair(0).0 == "identity-changed")
        .await;
    let recorded = fleet.asks.clone();
    assert!(follow(&mut fleet));
    fleet.until_learned().await;
    fleet.change(|model| {
        model.new_repo(REPO).issue(1).pull(2).head("fix");
    });
    let mut passes = 0;
    while !fleet.memory.renamed().is_empty() {
        fleet.after(MINUTE).await;
        passes += 1;
        assert!(passes <= 20, "{:?}", fleet.memory.renamed());
    }
    // What the records say is another repository's now.
    fleet.asks = recorded;
    assert!(!follow(&mut fleet));
    fleet.restart();
    let pass = fleet.after(MINUTE).await;
    assert_eq!(pass.pair(0), ("identity-changed", "identity-changed"));
    assert_eq!(pass.pair(1), ("identity-changed", "identity-changed"));
}
