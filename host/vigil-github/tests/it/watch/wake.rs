//! Webhooks: what they tell is read again, also where the first read comes from a replica that lags, and polling is slow
//! meanwhile.

use std::time::Duration;

use vigil_core::Timestamp;
use vigil_core::forge::PullRequestState;
use vigil_github::memory::{About, IDLE_MAX, POLL_CALM, POLL_MIN, REPLICA_LAG};
use vigil_github::{Repo, Wants};
use vigil_model::Model;

use super::fleet::*;
use crate::support::*;

const REPO: &str = "acme/app";
const SECOND: Duration = Duration::from_secs(1);

/// Issue 1 with pull request 2 on branch `fix` at `aaaa`, whose checks have passed, and issue 3 with a branch that has no
/// pull request yet. Webhooks are on.
async fn listening(wants: Wants) -> Fleet {
    let mut model = Model::new(NOW.0 - 3_600_000);
    model.token(TOKEN);
    model
        .repo(REPO)
        .issue(1)
        .issue(3)
        .pull(2)
        .head("fix")
        .sha("aaaa")
        .check("build", Some("SUCCESS"));
    let asks = vec![
        by_number(REPO, 1, 2, wants),
        by_branch(REPO, 3, "later", wants),
    ];
    let mut fleet = Fleet::new(model, asks);
    fleet.resync = Some(IDLE_MAX);
    let pass = fleet.pass().await;
    fleet.all_true(&pass);
    fleet.after(MINUTE).await;
    fleet
}

/// A delivery comes: whether anybody has to look.
fn told(fleet: &mut Fleet, about: &About) -> bool {
    let now = fleet.now();
    let repo = Repo::parse(REPO).expect("a name");
    fleet.memory.wake(&repo, about, now)
}

fn number(number: u64, updated: Option<Timestamp>) -> About {
    About::Number { number, updated }
}

fn checks(pass: &Pass) -> &str {
    pass.pull(0).checks.found().map_or("", String::as_str)
}

/// Nothing is asked by itself any more but what `resync` allows.
async fn rests(fleet: &mut Fleet, minutes: u32) {
    for _ in 0..minutes {
        let pass = fleet.after(MINUTE).await;
        assert_eq!((pass.requests(), pass.at.len()), (0, 0));
    }
}

#[tokio::test]
async fn a_read_that_is_older_than_what_a_webhook_shows_is_not_believed() {
    let mut fleet = listening(ALL).await;
    fleet.wait(MINUTE);
    let merged = fleet.now();
    fleet.change(|model| {
        model.lag_repo(REPO, 2);
        model.repo(REPO).pull(2).merged();
    });
    fleet.wait(SECOND);
    assert!(told(&mut fleet, &number(2, Some(merged))));
    let pass = fleet.after(SECOND).await;
    assert_eq!(pass.pair(0), ("found", "not-ready"));
    // The same within seconds, as another delivery brings it; a delivery from before says nothing less.
    told(&mut fleet, &number(2, Some(Timestamp(merged.0 - 60_000))));
    let pass = fleet.after(SECOND).await;
    assert_eq!(pass.pair(0), ("found", "not-ready"));
    let pass = fleet.after(MINUTE).await;
    assert_eq!(pass.pull(0).state, PullRequestState::Merged);
    fleet.all_true(&pass);
}

#[tokio::test]
async fn an_issue_that_a_webhook_shows_closed_is_not_open_any_more() {
    let mut fleet = listening(ALL).await;
    fleet.wait(MINUTE);
    let closed = fleet.now();
    fleet.change(|model| {
        model.lag_repo(REPO, 1);
        model.repo(REPO).issue(1).closed("completed");
    });
    assert!(told(&mut fleet, &number(1, Some(closed))));
    let pass = fleet.after(SECOND).await;
    assert_eq!(pass.pair(0), ("not-ready", "found"));
    let pass = fleet.after(MINUTE).await;
    assert!(!pass.issue(0).open);
}

#[tokio::test]
async fn what_no_update_shows_is_read_once_more_when_replicas_have_it() {
    // A check, a commit and a push to the base move no update; some deliveries show one that was known before.
    let before = |fleet: &Fleet| Some(Timestamp(fleet.now().0 - 7_200_000));
    let abouts = |fleet: &Fleet| {
        [
            About::Commit("aaaa".to_owned()),
            About::Branch("fix".to_owned()),
            About::Base("main".to_owned()),
            About::Repository,
            number(2, None),
            number(2, before(fleet)),
        ]
    };
    for at in 0..6 {
        let mut fleet = listening(ALL).await;
        let about = abouts(&fleet)[at].clone();
        // Its list is read first where everything is in doubt.
        let reads = if about == About::Repository { 2 } else { 1 };
        fleet.change(|model| {
            model.lag_repo(REPO, reads);
            model.repo(REPO).pull(2).check("build", Some("FAILURE"));
        });
        assert!(told(&mut fleet, &about), "{about:?}");
        let pass = fleet.after(SECOND * 2).await;
        assert_eq!(checks(&pass), "passing", "nobody can know: {about:?}");
        let first = fleet.now();
        let pass = fleet.after(REPLICA_LAG).await;
        assert_eq!(checks(&pass), "failing", "{about:?}");
        fleet.all_true(&pass);
        assert!(first.age(fleet.now()) < MINUTE);
        // Once is enough.
        rests(&mut fleet, 9).await;
    }
}

#[tokio::test]
async fn a_pull_request_that_a_webhook_announces_is_found_although_the_list_lags() {
    for about in [
        number(4, None),
        number(4, Some(Timestamp(NOW.0 + 60_000))),
        About::Branch("later".to_owned()),
        About::Commit("bbbb".to_owned()),
    ] {
        let mut fleet = listening(ALL).await;
        fleet.change(|model| {
            model.lag_repo(REPO, 1);
            model.repo(REPO).pull(4).head("later").sha("bbbb");
        });
        assert!(told(&mut fleet, &about), "{about:?}");
        let pass = fleet.after(SECOND * 2).await;
        assert!(pass.answers[1].pull_request.found().is_none(), "{about:?}");
        let pass = fleet.until(2, |pass| pass.pair(1).1 == "found").await;
        fleet.all_true(&pass);
    }
}

#[tokio::test]
async fn every_kind_of_delivery_leads_to_what_it_is_about_and_others_to_nothing() {
    type Change = fn(&mut Model);
    let cases: [(About, Change); 6] = [
        (About::Commit("aaaa".to_owned()), |model| {
            model.repo(REPO).pull(2).check("build", Some("FAILURE"));
        }),
        (About::Branch("fix".to_owned()), |model| {
            model.repo(REPO).pull(2).push("cccc");
        }),
        (About::Base("main".to_owned()), |model| {
            model.repo(REPO).pull(2).mergeable("CONFLICTING", "DIRTY");
        }),
        (number(2, None), |model| {
            model.repo(REPO).pull(2).merged();
        }),
        (number(4, None), |model| {
            model.repo(REPO).pull(4).head("later");
        }),
        (About::Repository, |model| {
            model.repo(REPO).issue(3).closed("completed");
        }),
    ];
    for (about, change) in cases {
        let mut fleet = listening(ALL).await;
        fleet.change(change);
        // Nothing else finds it so soon.
        rests(&mut fleet, 2).await;
        assert!(told(&mut fleet, &about), "{about:?}");
        let pass = fleet.after(SECOND).await;
        assert!(!pass.at.is_empty(), "{about:?}");
        // What GitHub works out anew takes it a moment.
        fleet.learned_within(MINUTE).await;
    }
    let mut fleet = listening(ALL).await;
    for about in [
        About::Base("another".to_owned()),
        number(0, None),
        number(u64::MAX, None),
    ] {
        if told(&mut fleet, &about) {
            // A number that nobody knows may be a new pull request of the branch: one list tells.
            assert_eq!(about, number(0, None));
        }
    }
    let pass = fleet.after(SECOND).await;
    assert_eq!(pass.usage.requests, 0);
    assert!(pass.usage.rest <= 1);
    // Of a repository that nobody asked about nobody knows anything.
    let (now, other) = (fleet.now(), Repo::parse("acme/other").expect("a name"));
    assert!(!fleet.memory.wake(&other, &About::Repository, now));
    assert!(!fleet.memory.wake_owner("umbrella", now));
    assert!(fleet.memory.wake_owner("ACME", now));
}

#[tokio::test]
async fn deliveries_that_come_twice_or_late_change_nothing() {
    let mut fleet = listening(ALL).await;
    fleet.wait(MINUTE);
    let opened = fleet.now();
    fleet.change(|model| {
        model.repo(REPO).pull(2).label("x");
    });
    fleet.wait(MINUTE);
    let merged = fleet.now();
    fleet.change(|model| {
        model.repo(REPO).pull(2).merged();
    });
    for updated in [merged, merged, opened, merged] {
        told(&mut fleet, &number(2, Some(updated)));
        let pass = fleet.after(SECOND).await;
        assert_eq!(pass.pull(0).state, PullRequestState::Merged);
        fleet.all_true(&pass);
    }
}

#[tokio::test]
async fn with_webhooks_on_what_is_under_way_is_left_to_them_and_to_the_resync() {
    for (resync, looks) in [(None, 9..=10), (Some(IDLE_MAX), 0..=0)] {
        let mut fleet = listening(ALL).await;
        fleet.resync = resync;
        fleet.change(|model| {
            model.repo(REPO).pull(2).check("build", None);
        });
        told(&mut fleet, &About::Commit("aaaa".to_owned()));
        assert_eq!(checks(&fleet.pass().await), "pending");
        fleet.after(POLL_MIN).await;
        let before = fleet.tally().graphql;
        for _ in 0..10 {
            fleet.after(POLL_MIN).await;
        }
        let polled = fleet.tally().graphql - before;
        assert!(looks.contains(&polled), "{resync:?}: {polled}");
        // The delivery is lost.
        fleet.change(|model| {
            model.repo(REPO).pull(2).check("build", Some("SUCCESS"));
        });
        let pass = fleet.learned_within(IDLE_MAX).await;
        assert_eq!(checks(&pass), "passing");
    }
}

#[tokio::test]
async fn what_webhooks_lost_is_learned_by_the_resync() {
    type Change = fn(&mut Model);
    let cases: [Change; 4] = [
        |model| {
            model.repo(REPO).pull(2).merged();
        },
        |model| {
            model.repo(REPO).issue(1).closed("completed");
        },
        |model| {
            model.repo(REPO).pull(9).head("later");
        },
        |model| {
            model.repo(REPO).pull(2).mergeable("CONFLICTING", "DIRTY");
        },
    ];
    for change in cases {
        let mut fleet = listening(ALL).await;
        fleet.change(change);
        fleet.learned_within(POLL_CALM.max(IDLE_MAX)).await;
    }
}
