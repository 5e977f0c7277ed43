//! Answers that do not come, or come broken.

use std::time::Duration;

use vigil_github::memory::{IDLE_MAX, SWEEP_OPEN};
use vigil_github::{Parts, Wants};
use vigil_model::{ErrorType, Fault, FieldFault, Forbidden, Scope};

use super::fleet::*;
use crate::support::*;

/// Something of every kind changes: an issue is closed, a pull request merged, one approved, a label set, and a pull
/// request comes to a branch that had none.
fn much_changes(fleet: &Fleet) {
    fleet.change(|model| {
        model.repo("acme/app-1").issue(1).closed("completed");
        model.repo("acme/app-2").pull(100_002).merged();
        model
            .repo("acme/app-0")
            .pull(100_003)
            .review(Some("APPROVED"))
            .issue(3)
            .label("x");
        model.repo("acme/app-1").pull(8).head("vigilante/none");
    });
}

/// Eight sessions in three repositories; the last one's branch has no pull request.
async fn watched() -> Fleet {
    let (model, mut asks) = mixed(7, 3);
    asks.push(by_branch("acme/app-1", 1, "vigilante/none", ALL));
    let mut fleet = Fleet::new(model, asks);
    let first = fleet.pass().await;
    fleet.all_true(&first);
    assert_eq!(first.pair(7), ("found", "absent"));
    let second = fleet.after(MINUTE).await;
    fleet.all_true(&second);
    assert_eq!(second.usage.requests, 0, "nothing changed");
    fleet
}

/// From now on their history is wanted, which no list tells: issues are asked for, too.
async fn hear_all(fleet: &mut Fleet) {
    for at in 0..fleet.asks.len() {
        let wants = fleet.asks[at].wants;
        let parts = wants.parts | Parts::HISTORY;
        fleet.wants(at, Wants { parts, ..wants });
    }
    let pass = fleet.after(MINUTE).await;
    fleet.all_true(&pass);
}

/// Three passes while `fault` meets all of `scope`, and those that follow. Gives what the passes cost.
async fn survives(fleet: &mut Fleet, scope: Scope, fault: &Fault) -> Vec<u32> {
    fleet.change(|model| model.fail(scope, fault.clone()));
    much_changes(fleet);
    let mut costs = Vec::new();
    for _ in 0..3 {
        let pass = fleet.after(MINUTE).await;
        fleet.nothing_false(&pass);
        costs.push(pass.requests());
    }
    fleet.change(vigil_model::Model::heal);
    costs
}

#[tokio::test]
async fn what_breaks_on_the_way_is_not_known_and_is_learned_once_it_does_not() {
    for scope in [Scope::Any, Scope::Rest, Scope::GraphQl] {
        for fault in [
            Fault::Reset,
            Fault::CutBody,
            Fault::CutJson,
            Fault::Html(500),
            Fault::Html(502),
            Fault::Html(503),
            Fault::Html(504),
        ] {
            let mut fleet = watched().await;
            let costs = survives(&mut fleet, scope, &fault).await;
            // Three lists, each sent twice at most, one query for all of them, and ten for the questions.
            let most = 6 + 4 + 10;
            assert!(
                costs.iter().all(|cost| *cost <= most),
                "{scope:?} {fault:?}: {costs:?}"
            );
            fleet.until_learned().await;
        }
    }
}

#[tokio::test]
async fn what_one_way_does_not_tell_the_other_one_does() {
    // Lists by REST fail and those of GraphQL do not: nothing is even late.
    for fault in [Fault::Reset, Fault::CutJson, Fault::Html(502)] {
        let mut fleet = watched().await;
        fleet.change(|model| model.fail(Scope::Rest, fault.clone()));
        much_changes(&fleet);
        let pass = fleet.after(MINUTE).await;
        fleet.all_true(&pass);
    }
}

#[tokio::test]
async fn a_hang_of_a_list_or_a_query_ends_with_the_patience_for_it() {
    for scope in [Scope::Rest, Scope::GraphQl] {
        let mut fleet = watched().await;
        // Too short for anything but a hang to be sure of; what is answered in time is welcome.
        fleet.patience(Duration::from_millis(100));
        survives(&mut fleet, scope, &Fault::Hang).await;
        fleet.patience(MINUTE);
        fleet.until_learned().await;
    }
}

#[tokio::test]
async fn a_pass_that_has_no_time_left_ends_and_the_next_one_goes_on() {
    let mut fleet = watched().await;
    fleet.deadline = Duration::from_millis(100);
    survives(&mut fleet, Scope::Any, &Fault::Hang).await;
    fleet.deadline = MINUTE;
    fleet.until_learned().await;
}

#[tokio::test]
async fn slow_answers_are_waited_for_in_line() {
    let (model, asks) = mixed(60, 12);
    let mut fleet = Fleet::new(model, asks);
    fleet.change(|model| model.latency(20));
    let pass = fleet.pass().await;
    fleet.all_true(&pass);
    fleet.change(|model| {
        for n in 1..=60 {
            model
                .repo(&format!("acme/app-{}", n % 12))
                .issue(n)
                .closed("completed");
        }
    });
    let pass = fleet.after(MINUTE).await;
    fleet.all_true(&pass);
    // One line for queries and four for lists, as every pass checks; no more of either than needed.
    let tally = fleet.tally();
    assert_eq!((tally.rest, tally.faulted), (12, 0));
}

#[tokio::test]
async fn a_rest_api_that_is_down_is_not_asked_about_every_repository() {
    let (model, asks) = mixed(80, 40);
    let mut fleet = Fleet::new(model, asks);
    fleet.pass().await;
    fleet.change(|model| {
        model.fail(Scope::Rest, Fault::Html(502));
        model.repo("acme/app-39").issue(39).closed("completed");
    });
    let pass = fleet.after(MINUTE).await;
    // Two lines of four, and what was under way.
    assert!(pass.usage.rest <= 12, "{}", pass.usage.rest);
    fleet.all_true(&pass);
}

#[tokio::test]
async fn a_list_that_cannot_be_read_is_not_asked_for_over_and_over() {
    let (mut model, asks) = mixed(4, 2);
    for n in 1000..1030 {
        model.repo("acme/app-0").issue(n);
    }
    let mut fleet = Fleet::new(model, asks);
    fleet.pass().await;
    // More than the newest entries show, so that the whole list would tell more.
    fleet.change(|model| {
        model.fail(Scope::Rest, Fault::CutJson);
        for n in 1000..1030 {
            model.repo("acme/app-0").issue(n).label("bulk");
        }
        model.repo("acme/app-0").issue(2).closed("completed");
    });
    fleet.deadline = Duration::from_secs(10);
    let pass = fleet.after(MINUTE).await;
    assert!(pass.requests() <= 10, "{pass:?}");
    fleet.all_true(&pass);
}

/// Errors of single fields, with those of GitHub's types that mean something else each.
const ERRORS: [ErrorType; 8] = [
    ErrorType::NotFound,
    ErrorType::Forbidden,
    ErrorType::ResourceLimitsExceeded,
    ErrorType::ServiceUnavailable,
    ErrorType::Internal,
    ErrorType::Other("ARGUMENT_LIMIT"),
    ErrorType::Other("MAX_NODE_LIMIT_EXCEEDED"),
    ErrorType::Other("NEVER_SEEN_BEFORE"),
];

#[tokio::test]
async fn an_alias_that_is_null_takes_down_what_it_stands_for_alone() {
    for error in ERRORS {
        for field in [
            "repository",
            "issueOrPullRequest",
            "pullRequest",
            "pullRequests",
            "statusCheckRollup",
        ] {
            let mut fleet = watched().await;
            hear_all(&mut fleet).await;
            let fault = Fault::Field(FieldFault {
                field: field.to_owned(),
                repo: Some("acme/app-1".to_owned()),
                number: None,
                error,
            });
            survives(&mut fleet, Scope::GraphQl, &fault).await;
            // A part for which a permission is missing waits for the sweep: most never get it.
            let span = match (field, error) {
                ("statusCheckRollup", ErrorType::Forbidden) => SWEEP_OPEN,
                _ => IDLE_MAX,
            };
            fleet.learned_within(span).await;
        }
        let mut fleet = watched().await;
        hear_all(&mut fleet).await;
        survives(
            &mut fleet,
            Scope::GraphQl,
            &Fault::EveryNth { nth: 3, error },
        )
        .await;
        fleet.until_learned().await;
    }
}

#[tokio::test]
async fn a_query_that_takes_too_long_is_asked_in_parts() {
    for status in [502, 504] {
        let mut fleet = watched().await;
        let fault = Fault::TimesOut {
            lookups_max: 2,
            status,
        };
        fleet.change(|model| model.fail(Scope::GraphQl, fault));
        much_changes(&fleet);
        let pass = fleet.after(MINUTE).await;
        fleet.all_true(&pass);
    }
}

#[tokio::test]
async fn a_refusal_is_no_news_about_anything() {
    for forbidden in [
        Forbidden::Permission,
        Forbidden::Saml,
        Forbidden::IpAllowList,
    ] {
        for scope in [Scope::Any, Scope::Rest, Scope::GraphQl] {
            let mut fleet = watched().await;
            survives(&mut fleet, scope, &Fault::Forbidden(forbidden)).await;
            fleet.until_learned().await;
        }
    }
}
