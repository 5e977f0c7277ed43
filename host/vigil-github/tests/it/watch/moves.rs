//! What moves without an update: mergeability, checks, held runs, the merge queue, and the head itself.

use vigil_core::{Fact, Timestamp};
use vigil_github::memory::{POLL_CALM, POLL_MAX, SWEEP_OPEN};
use vigil_github::{Parts, Wants};
use vigil_model::Model;

use super::fleet::*;
use crate::support::*;

const REPO: &str = "acme/app";

/// One session on pull request 2 of issue 1, which wants `wants`.
async fn watched(wants: Wants, change: impl FnOnce(&mut Model)) -> (Fleet, Pass) {
    let mut model = Model::new(NOW.0 - 3_600_000);
    model.token(TOKEN);
    model.repo(REPO).issue(1).pull(2).head("fix").sha("aaaa");
    change(&mut model);
    let asks = vec![by_number(REPO, 1, 2, wants)];
    let mut fleet = Fleet::new(model, asks);
    let pass = fleet.pass().await;
    (fleet, pass)
}

fn checks(pass: &Pass) -> String {
    match &pass.pull(0).checks {
        Fact::Found(word) => word.clone(),
        other => kind(other).to_owned(),
    }
}

fn is_mergeable(pass: &Pass) -> Result<(bool, Timestamp), String> {
    match &pass.pull(0).mergeability {
        Fact::Found(merge) => Ok((merge.mergeable, merge.observed)),
        other => Err(kind(other).to_owned()),
    }
}

#[tokio::test]
async fn mergeability_that_is_worked_out_anew_keeps_its_last_value_for_the_same_head() {
    let (mut fleet, pass) = watched(ALL, |_| {}).await;
    assert_eq!(is_mergeable(&pass), Ok((true, NOW)));
    // The base moves, and something else happens, so that the pull request is read.
    fleet.change(|model| {
        model.repo(REPO).base_moved("main");
        model
            .repo(REPO)
            .pull(2)
            .mergeable("CONFLICTING", "DIRTY")
            .label("x");
    });
    let pass = fleet.after(MINUTE).await;
    assert_eq!(is_mergeable(&pass), Ok((true, NOW)), "old, and says so");
    assert_eq!(pass.pull(0).parts_observed, fleet.now());
    // GitHub has worked it out by the next look, which comes soon.
    let pass = fleet.after(MINUTE).await;
    assert_eq!(is_mergeable(&pass), Ok((false, fleet.now())));
    fleet.all_true(&pass);
}

#[tokio::test]
async fn mergeability_of_another_head_is_not_carried_over() {
    let (mut fleet, _) = watched(ALL, |_| {}).await;
    fleet.change(|model| {
        model.repo(REPO).pull(2).push("bbbb");
    });
    let pass = fleet.after(MINUTE).await;
    assert_eq!(is_mergeable(&pass), Err("not-ready".to_owned()));
    assert_eq!(pass.pull(0).head_sha, "bbbb");
    let pass = fleet.after(MINUTE).await;
    assert_eq!(is_mergeable(&pass), Ok((true, fleet.now())));
    fleet.all_true(&pass);
}

#[tokio::test]
async fn a_base_that_moves_is_noticed_though_nothing_announces_it() {
    let (mut fleet, pass) = watched(ALL, |_| {}).await;
    assert!(is_mergeable(&pass).is_ok_and(|(mergeable, _)| mergeable));
    fleet.change(|model| {
        model
            .repo(REPO)
            .base_moved("main")
            .pull(2)
            .mergeable("CONFLICTING", "DIRTY");
    });
    let conflicting = |pass: &Pass| is_mergeable(pass).is_ok_and(|(mergeable, _)| !mergeable);
    fleet.until(17, conflicting).await;
}

#[tokio::test]
async fn mergeability_that_never_comes_is_not_asked_for_for_ever() {
    let (mut fleet, pass) = watched(ALL, |model| {
        model.repo(REPO).pull(2).mergeability_pending(1_000);
    })
    .await;
    assert_eq!(is_mergeable(&pass), Err("not-ready".to_owned()));
    let before = fleet.tally().graphql;
    for _ in 0..50 {
        fleet.after(MINUTE).await;
    }
    let asked = fleet.tally().graphql - before;
    // Five times in a row, and then as rarely as of any other.
    assert!((3..=9).contains(&asked), "{asked}");
    fleet.change(|model| {
        model.repo(REPO).pull(2).mergeability_pending(0);
    });
    fleet.learned_within(SWEEP_OPEN).await;
}

#[tokio::test]
async fn checks_that_are_under_way_are_polled_until_they_have_ended() {
    let (mut fleet, pass) = watched(ALL, |model| {
        model.repo(REPO).pull(2).check("build", None);
    })
    .await;
    assert_eq!(checks(&pass), "pending");
    for _ in 0..3 {
        let pass = fleet.after(MINUTE).await;
        assert_eq!(checks(&pass), "pending");
        assert_eq!(pass.usage.requests, 1);
    }
    fleet.change(|model| {
        model.repo(REPO).pull(2).check("build", Some("SUCCESS"));
    });
    let pass = fleet.after(MINUTE).await;
    assert_eq!(checks(&pass), "passing");
    fleet.all_true(&pass);
    // Now it rests.
    for _ in 0..10 {
        let pass = fleet.after(MINUTE).await;
        assert_eq!(pass.usage.requests, 0);
    }
    // A run that is started again is announced by nothing.
    fleet.change(|model| {
        model.repo(REPO).pull(2).check("build", Some("FAILURE"));
    });
    let pass = fleet.learned_within(POLL_CALM).await;
    assert_eq!(checks(&pass), "failing");
}

#[tokio::test]
async fn what_no_update_shows_is_looked_for_where_somebody_wants_it_and_nowhere_else() {
    type Change = fn(&mut Model);
    let cases: [(Parts, Change); 4] = [
        (Parts::CHECKS, |model| {
            model.repo(REPO).pull(2).check("build", None);
        }),
        (Parts::CHECK_LIST, |model| {
            model.repo(REPO).pull(2).check("build", Some("FAILURE"));
        }),
        (Parts::QUEUE, |model| {
            model.repo(REPO).pull(2).queued(3, "QUEUED");
        }),
        (Parts::AUTO_MERGE, |model| {
            model.repo(REPO).pull(2).auto_merge("SQUASH", "ada");
        }),
    ];
    for (parts, change) in cases {
        let wants = |parts| Wants { parts, ..LEAN };
        for (wanted, asked) in [(parts, true), (Parts::REVIEWS, false)] {
            let (mut fleet, pass) = watched(wants(wanted), |model| {
                model.repo(REPO).pull(2).check("build", Some("SUCCESS"));
            })
            .await;
            fleet.all_true(&pass);
            let updated = fleet.server.with(|model| {
                let before = model.look(REPO, 2).map(|item| item.updated_ms);
                change(model);
                (before, model.look(REPO, 2).map(|item| item.updated_ms))
            });
            assert_eq!(updated.0, updated.1, "{parts}: nothing announces it");
            if asked {
                fleet.learned_within(POLL_CALM).await;
            } else {
                let before = fleet.tally().graphql;
                for _ in 0..40 {
                    fleet.after(MINUTE).await;
                }
                assert_eq!(fleet.tally().graphql, before, "{wanted}");
            }
        }
    }
}

#[tokio::test]
async fn checks_that_begin_after_the_first_look_at_a_new_head_are_seen() {
    let (mut fleet, pass) = watched(ALL, |_| {}).await;
    assert_eq!(checks(&pass), "absent");
    // What was there from the beginning is left alone.
    for _ in 0..5 {
        assert_eq!(fleet.after(MINUTE).await.usage.requests, 0);
    }
    fleet.change(|model| {
        model.repo(REPO).pull(2).push("bbbb");
    });
    let pass = fleet.after(MINUTE).await;
    assert_eq!(checks(&pass), "absent");
    fleet.change(|model| {
        model.repo(REPO).pull(2).check("build", None);
    });
    let pass = fleet.until(3, |pass| checks(pass) == "pending").await;
    fleet.all_true(&pass);

    // A new pull request has a new head, too.
    let mut later = by_branch(REPO, 1, "later", ALL);
    later.started = Some(NOW);
    fleet.watch(later);
    fleet.after(MINUTE).await;
    fleet.change(|model| {
        model.repo(REPO).pull(3).head("later").sha("cccc");
    });
    let pass = fleet.after(MINUTE).await;
    assert!(pass.pull(1).checks.is_absent());
    fleet.change(|model| {
        model.repo(REPO).pull(3).check("build", None);
    });
    fleet
        .until(3, |pass| pass.pull(1).checks.found().is_some())
        .await;
    // Where no checks come, it rests after that.
    fleet.change(|model| {
        model.repo(REPO).pull(2).closed();
        model.repo(REPO).pull(3).push("dddd");
    });
    for _ in 0..4 {
        fleet.after(MINUTE).await;
    }
    for _ in 0..5 {
        assert_eq!(fleet.after(MINUTE).await.usage.requests, 0);
    }
}

#[tokio::test]
async fn many_that_are_under_way_are_polled_less_often_and_never_too_seldom() {
    let mut model = Model::new(NOW.0 - 3_600_000);
    model.token(TOKEN);
    let mut asks = Vec::new();
    for n in 1..=1_100_u64 {
        model
            .repo(REPO)
            .issue(n)
            .pull(n + 10_000)
            .check("build", None);
        asks.push(by_number(REPO, n, n + 10_000, ALL));
    }
    let mut fleet = Fleet::new(model, asks);
    fleet.pass().await;
    let before = fleet.tally().points;
    for _ in 0..10 {
        fleet.after(MINUTE).await;
    }
    let points = fleet.tally().points - before;
    // 11 queries of a hundred, every third minute.
    assert!((22..=55).contains(&points), "{points}");
    fleet.change(|model| {
        for n in 1..=1_100_u64 {
            model
                .repo(REPO)
                .pull(n + 10_000)
                .check("build", Some("SUCCESS"));
        }
    });
    fleet.learned_within(POLL_MAX).await;
}

#[tokio::test]
async fn held_runs_are_seen_to_be_released() {
    let (mut fleet, pass) = watched(EVERYTHING, |model| {
        model.repo(REPO).pull(2).held_run("CI", "pull_request");
    })
    .await;
    assert_eq!(checks(&pass), "held");
    fleet.all_true(&pass);
    fleet.change(|model| {
        model
            .repo(REPO)
            .pull(2)
            .runs_approved()
            .check("build", None);
    });
    let pass = fleet.after(MINUTE).await;
    assert_eq!(checks(&pass), "pending");
    fleet.all_true(&pass);
    fleet.change(|model| {
        model
            .repo(REPO)
            .pull(2)
            .run("CI", "pull_request", "COMPLETED", Some("FAILURE"))
            .check("build", Some("FAILURE"));
    });
    let pass = fleet.after(MINUTE).await;
    assert_eq!(checks(&pass), "failing");
    fleet.all_true(&pass);
}

#[tokio::test]
async fn a_failure_of_an_earlier_head_is_not_one_of_this_head() {
    let (mut fleet, pass) = watched(EVERYTHING, |model| {
        model.repo(REPO).pull(2).check("build", Some("FAILURE"));
    })
    .await;
    assert_eq!(checks(&pass), "failing");
    fleet.all_true(&pass);
    fleet.change(|model| {
        model.repo(REPO).pull(2).push("bbbb").check("build", None);
    });
    let pass = fleet.after(MINUTE).await;
    assert_eq!(checks(&pass), "pending");
    assert_eq!(pass.pull(0).head_sha, "bbbb");
    let pass = fleet.until_learned().await;
    assert_eq!(checks(&pass), "pending");
}

#[tokio::test]
async fn a_place_in_the_merge_queue_is_followed_until_the_merge() {
    let (mut fleet, pass) = watched(EVERYTHING, |model| {
        model.repo(REPO).pull(2).check("build", Some("SUCCESS"));
    })
    .await;
    let place = |pass: &Pass| pass.pull(0).queue.found().map(|entry| entry.position);
    assert_eq!(place(&pass), None);
    fleet.change(|model| {
        model.repo(REPO).pull(2).queued(2, "AWAITING_CHECKS");
    });
    let pass = fleet.learned_within(POLL_CALM).await;
    assert_eq!(place(&pass), Some(2));
    fleet.change(|model| {
        model.repo(REPO).pull(2).queued(1, "MERGEABLE");
    });
    let pass = fleet.after(MINUTE).await;
    assert_eq!(place(&pass), Some(1));
    fleet.change(|model| {
        model.repo(REPO).pull(2).dequeued();
    });
    let pass = fleet.after(MINUTE).await;
    assert_eq!(place(&pass), None);
    fleet.all_true(&pass);
}
