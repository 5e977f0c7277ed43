//! Replicas that lag: what was announced is asked for until it is seen, and nothing goes back to an older state.

use vigil_core::forge::PullRequestState;
use vigil_github::memory::{LAG_MAX, SWEEP_OPEN, TRIES_MAX};
use vigil_model::Model;

use super::fleet::*;
use crate::support::*;
async fn watched() -> Fleet {
    let mut fleet = Fleet::of(4, 1);
    let pass = fleet.pass().await;
    fleet.all_true(&pass);
    fleet.after(MINUTE).await;
    fleet
}

const REPO: &str = "acme/app-0";

#[tokio::test]
async fn what_was_announced_and_is_read_older_is_not_known_and_asked_for_again() {
    for turns in 2..=9 {
        let mut fleet = watched().await;
        // The first list is old. From then on lists are new, and what is read after them is old.
        fleet.change(|model| {
            model.lag_flipping(REPO, turns);
            model.repo(REPO).pull(100_002).merged();
        });
        let pass = fleet.after(MINUTE).await;
        assert_eq!(pass.pull(1).state, PullRequestState::Open, "nobody knows");
        for _ in 1..turns {
            let pass = fleet.after(MINUTE).await;
            assert_eq!(pass.pair(1).1, "not-ready", "{turns}");
            assert_eq!(pass.at.len(), 1);
        }
        let pass = fleet.after(MINUTE).await;
        assert_eq!(pass.pull(1).state, PullRequestState::Merged, "{turns}");
        fleet.all_true(&pass);
    }
}

/// A list announces something that reads do not show. Gives when it happened.
async fn announced_and_not_shown(fleet: &mut Fleet) -> u64 {
    fleet.wait(MINUTE);
    let at = fleet.now().0;
    fleet.change(|model| {
        model.repo(REPO).pull(100_002).label("x");
    });
    fleet.scan().await;
    fleet.change(|model| {
        model.repo(REPO).pull(100_002).updated_at(at - 50_000);
    });
    at
}

#[tokio::test]
async fn many_looks_within_a_short_time_do_not_make_an_old_answer_true() {
    let mut fleet = watched().await;
    let at = announced_and_not_shown(&mut fleet).await;
    // Passes that webhooks ask for follow each other closely.
    for _ in 0..u32::from(TRIES_MAX) * 2 {
        let pass = fleet.after(MINUTE / 30).await;
        assert_eq!(pass.pair(1).1, "not-ready");
    }
    fleet.change(|model| {
        model.repo(REPO).pull(100_002).updated_at(at);
    });
    let pass = fleet.after(MINUTE / 30).await;
    fleet.all_true(&pass);
}

#[tokio::test]
async fn what_is_older_for_good_is_believed_in_the_end() {
    let mut fleet = watched().await;
    // Two of GitHub's clocks disagree for ever.
    announced_and_not_shown(&mut fleet).await;
    let pass = fleet.after(MINUTE).await;
    assert_eq!(pass.pair(1).1, "not-ready");
    let minutes = u32::try_from(LAG_MAX.as_secs() / 60).expect("minutes");
    let pass = fleet
        .until(minutes + 1, |pass| pass.pair(1).1 == "found")
        .await;
    fleet.all_true(&pass);
}

#[tokio::test]
async fn a_read_that_lags_behind_what_is_known_takes_nothing_back() {
    let mut fleet = watched().await;
    fleet.change(|model| {
        model.lag_repo(REPO, 100);
        model.repo(REPO).pull(100_002).merged();
        model.repo(REPO).issue(1).closed("completed");
    });
    // Everything lags alike: nobody can know.
    let pass = fleet.after(MINUTE).await;
    assert_eq!(pass.pull(1).state, PullRequestState::Open);
    fleet.change(Model::heal);
    let pass = fleet.until_learned().await;
    assert_eq!(pass.pull(1).state, PullRequestState::Merged);
    assert!(!pass.issue(0).open);
}

#[tokio::test]
async fn a_pull_request_that_the_newest_entries_show_and_reads_do_not_is_not_absent() {
    // Ten busy repositories are looked at by their newest entries.
    let mut model = Model::new(NOW.0 - 3_600_000);
    model.token(TOKEN);
    let mut asks = Vec::new();
    for at in 0..10 {
        let repo = format!("acme/app-{at}");
        model.repo(&repo).issue(1);
        asks.push(by_branch(&repo, 1, "fix", ALL));
    }
    let mut fleet = Fleet::new(model, asks);
    fleet.pass().await;
    fleet.change(|model| {
        for at in 0..10 {
            model.repo(&format!("acme/app-{at}")).issue(1).label("x");
        }
    });
    fleet.after(MINUTE).await;
    fleet.change(|model| {
        model.lag_flipping("acme/app-3", 3);
        model.repo("acme/app-3").pull(400).head("fix");
    });
    // Old entries first, then new ones with an old read.
    let pass = fleet.after(MINUTE).await;
    assert_eq!(pass.pair(3).1, "absent");
    let pass = fleet.after(MINUTE).await;
    assert!(!pass.answers[3].pull_request.is_absent(), "{pass:?}");
    let pass = fleet.until(8, |pass| pass.pair(3).1 == "found").await;
    fleet.all_true(&pass);
}

#[tokio::test]
async fn a_lag_beyond_the_overlap_is_healed_by_the_sweep() {
    let mut fleet = watched().await;
    fleet.change(|model| {
        model.repo(REPO).issue(1).label("first");
    });
    fleet.after(MINUTE).await;
    // The change is dated an hour back, so that no list shows it among the new ones.
    let long_ago = fleet.now().0 - 3_000_000;
    fleet.change(|model| {
        model
            .repo(REPO)
            .issue(3)
            .closed("completed")
            .updated_at(long_ago);
    });
    let pass = fleet.after(MINUTE).await;
    assert!(pass.issue(2).open);
    let minutes = u32::try_from(SWEEP_OPEN.as_secs() / 60).expect("minutes");
    let pass = fleet.until(minutes + 1, |pass| !pass.issue(2).open).await;
    fleet.all_true(&pass);
}
