//! Whose pull request it is, when what is on the branches changes from pass to pass.

use vigil_core::Fact;
use vigil_core::forge::PullRequestState;
use vigil_github::Ask;
use vigil_github::memory::IDLE_MAX;
use vigil_model::{ErrorType, Fault, FieldFault, Model, Scope};

use super::fleet::*;
use crate::support::*;

const REPO: &str = "acme/app";

/// A session on branch `fix`, and `model` with what `change` puts there.
async fn watched(change: impl FnOnce(&mut Model)) -> (Fleet, Pass) {
    let mut model = seed();
    change(&mut model);
    let asks = vec![by_branch(REPO, 299, "fix", ALL)];
    let mut fleet = Fleet::new(model, asks);
    let pass = fleet.pass().await;
    fleet.all_true(&pass);
    (fleet, pass)
}

#[tokio::test]
async fn a_new_pull_request_on_a_branch_that_had_none_is_found_by_the_list() {
    let (mut fleet, pass) = watched(|_| {}).await;
    assert_eq!(pass.pair(0), ("found", "absent"));
    fleet.change(|model| {
        model.repo(REPO).pull(400).head("fix");
        // Nobody's, and the list holds it all the same.
        model.repo(REPO).pull(401).head("other");
    });
    let pass = fleet.after(MINUTE).await;
    assert_eq!(pass.pull(0).number, 400);
    fleet.all_true(&pass);
    // The one that is nobody's is not read again, whatever happens to it.
    let graphql = fleet.tally().graphql;
    fleet.change(|model| {
        model.repo(REPO).pull(401).label("x");
    });
    fleet.after(MINUTE).await;
    assert_eq!(fleet.tally().graphql, graphql);
}

#[tokio::test]
async fn a_new_pull_request_is_found_by_the_newest_entries_too() {
    // Ten busy repositories are looked at together.
    let mut model = Model::new(NOW.0 - 3_600_000);
    model.token(TOKEN);
    let mut asks: Vec<Ask> = Vec::new();
    for at in 0..10 {
        let repo = format!("acme/app-{at}");
        model.repo(&repo).issue(1);
        asks.push(by_branch(&repo, 1, "fix", ALL));
    }
    let mut fleet = Fleet::new(model, asks);
    fleet.pass().await;
    let label = |name: &'static str| {
        move |model: &mut Model| {
            for at in 0..10 {
                model.repo(&format!("acme/app-{at}")).issue(1).label(name);
            }
        }
    };
    fleet.change(label("x"));
    fleet.after(MINUTE).await;
    let rest = fleet.tally().rest;
    fleet.change(|model| {
        for at in 0..10 {
            let repo = format!("acme/app-{at}");
            model.repo(&repo).pull(400).head("fix");
            model
                .repo(&repo)
                .pull(401)
                .head("fix")
                .head_owner("mallory");
        }
    });
    let pass = fleet.after(MINUTE).await;
    assert_eq!(fleet.tally().rest, rest, "no list was asked for");
    assert!((0..10).all(|at| pass.pull(at).number == 400));
    fleet.all_true(&pass);
}

#[tokio::test]
async fn a_pull_request_that_was_announced_and_not_read_is_not_absent() {
    let failing = |field: &str, error| {
        Fault::Field(FieldFault {
            field: field.to_owned(),
            repo: None,
            number: None,
            error,
        })
    };
    let cases = [
        Fault::Html(500),
        Fault::CutJson,
        Fault::Reset,
        failing("pullRequest", ErrorType::Internal),
        failing("pullRequest", ErrorType::Forbidden),
        // As a replica says it that has not heard of it.
        failing("pullRequest", ErrorType::NotFound),
    ];
    for fault in cases {
        let (mut fleet, _) = watched(|_| {}).await;
        fleet.change(|model| {
            model.fail(Scope::GraphQl, fault.clone());
            model.repo(REPO).pull(400).head("fix");
        });
        for restarted in [false, true] {
            if restarted {
                fleet.restart();
            }
            let pass = fleet.after(MINUTE).await;
            assert!(
                pass.answers[0].pull_request.is_unknown(),
                "{fault:?}: {:?}",
                pass.answers[0]
            );
        }
        fleet.change(|model| model.heal());
        let pass = fleet.until_learned().await;
        assert_eq!(pass.pull(0).number, 400);
    }
}

#[tokio::test]
async fn a_pull_request_that_nobody_can_read_does_not_stay_in_the_way() {
    let (mut fleet, _) = watched(|_| {}).await;
    let fault = FieldFault {
        field: "pullRequest".to_owned(),
        repo: None,
        number: Some(401),
        error: ErrorType::Forbidden,
    };
    fleet.change(|model| {
        model.fail(Scope::GraphQl, Fault::Field(fault));
        model.repo(REPO).pull(401).head("other");
    });
    let pass = fleet.after(MINUTE).await;
    assert_eq!(pass.pair(0).1, "not-ready");
    fleet.until(8, |pass| pass.pair(0).1 == "absent").await;
    let graphql = fleet.tally().graphql;
    fleet.after(MINUTE).await;
    assert_eq!(fleet.tally().graphql, graphql);
}

#[tokio::test]
async fn a_fork_with_the_same_branch_name_is_somebody_elses() {
    let (mut fleet, pass) = watched(|model| {
        model.repo(REPO).pull(400).head("fix").head_owner("mallory");
    })
    .await;
    assert_eq!(pass.pair(0).1, "absent");
    fleet.change(|model| {
        model.repo(REPO).pull(400).merged();
        model.repo(REPO).pull(401).head("fix").head_owner("mallory");
    });
    let pass = fleet.after(MINUTE).await;
    assert_eq!(pass.pair(0).1, "absent");
    fleet.change(|model| {
        model.repo(REPO).pull(402).head("fix");
    });
    let pass = fleet.after(MINUTE).await;
    assert_eq!(pass.pull(0).number, 402);
}

#[tokio::test]
async fn of_several_pull_requests_the_open_one_counts_and_then_the_newest_that_ended() {
    let (mut fleet, pass) = watched(|model| {
        model
            .repo(REPO)
            .pull(400)
            .head("fix")
            .created_at(NOW.0 - 1_000_000)
            .closed_at(NOW.0 - 900_000);
        model
            .repo(REPO)
            .pull(401)
            .head("fix")
            .created_at(NOW.0 - 800_000);
    })
    .await;
    assert_eq!(pass.pull(0).number, 401);
    fleet.change(|model| {
        model.repo(REPO).pull(401).closed();
    });
    let pass = fleet.after(MINUTE).await;
    assert_eq!(
        (pass.pull(0).number, pass.pull(0).state),
        (401, PullRequestState::Closed)
    );
    // The older one is opened again.
    fleet.change(|model| {
        model.repo(REPO).pull(400).reopened();
    });
    let pass = fleet.after(MINUTE).await;
    assert_eq!(
        (pass.pull(0).number, pass.pull(0).state),
        (400, PullRequestState::Open)
    );
    fleet.change(|model| {
        model.repo(REPO).pull(400).merged();
    });
    let pass = fleet.after(MINUTE).await;
    fleet.all_true(&pass);
}

#[tokio::test]
async fn an_old_pull_request_on_a_branch_that_is_used_again_is_not_this_sessions() {
    let (mut fleet, pass) = watched(|model| {
        model
            .repo(REPO)
            .pull(400)
            .head("fix")
            .created_at(NOW.0 - 9_000_000)
            .closed_at(NOW.0 - 8_000_000);
    })
    .await;
    let Fact::Absent(sighting) = &pass.answers[0].pull_request else {
        panic!("{pass:?}");
    };
    assert_eq!(sighting.detail, "earlier-run");
    // Somebody comments on the old one: it is still the old one.
    fleet.change(|model| {
        model.repo(REPO).pull(400).comment("ada", "see the new one");
    });
    let pass = fleet.after(MINUTE).await;
    assert_eq!(pass.pair(0).1, "absent");
    fleet.change(|model| {
        model.repo(REPO).pull(401).head("fix");
    });
    let pass = fleet.after(MINUTE).await;
    assert_eq!(pass.pull(0).number, 401);
}

#[tokio::test]
async fn an_absence_that_lasts_is_confirmed_by_looks_and_not_by_time() {
    let (mut fleet, pass) = watched(|_| {}).await;
    let last = |pass: &Pass| match &pass.answers[0].pull_request {
        Fact::Absent(sighting) => sighting.last,
        other => panic!("{other:?}"),
    };
    assert_eq!(last(&pass), NOW);
    let pass = fleet.after(MINUTE).await;
    assert_eq!(last(&pass), fleet.now());
    // A pass in which nobody looks confirms nothing.
    let seen = fleet.now();
    fleet.wait(MINUTE / 10);
    let pass = fleet.pass().await;
    assert_eq!(last(&pass), seen);
    assert!(fleet.now().age(seen) < IDLE_MAX);
}
