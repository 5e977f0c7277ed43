//! GitHub says to stop. What `Fleet` checks after every pass is the point: nothing is sent while limited.

use vigil_github::budget::Pool;
use vigil_github::memory::IDLE_MAX;
use vigil_github::{Account, Trouble};
use vigil_model::{Fault, Forbidden, Permission, Scope};

use super::fleet::*;
use crate::support::*;

async fn watched() -> Fleet {
    let mut fleet = Fleet::of(6, 3);
    let pass = fleet.pass().await;
    fleet.all_true(&pass);
    fleet
}

fn something_changes(fleet: &Fleet) {
    fleet.change(|model| {
        model.repo("acme/app-1").issue(1).closed("completed");
        model.repo("acme/app-2").pull(100_002).merged();
    });
}

fn silent(fleet: &Fleet, pool: Pool) -> bool {
    let now = fleet.now();
    let mut accounts = fleet.memory.accounts();
    accounts.any(|(_, account)| account.silent(pool, now).is_some())
}

/// Every form of a secondary limit, with the seconds that it lasts at least.
fn secondary() -> Vec<(Fault, u64)> {
    vec![
        (Fault::TooManyRequests(Some(150)), 150),
        (Fault::TooManyRequests(None), 60),
        (Fault::Forbidden(Forbidden::Secondary(Some(150))), 150),
        (Fault::Forbidden(Forbidden::Secondary(None)), 60),
    ]
}

#[tokio::test]
async fn a_secondary_limit_silences_everything_for_its_time() {
    let mut cases: Vec<(Scope, Fault, u64)> = Vec::new();
    for scope in [Scope::Rest, Scope::GraphQl] {
        cases.extend(secondary().into_iter().map(|(fault, s)| (scope, fault, s)));
    }
    cases.push((Scope::GraphQl, Fault::SecondaryAs200(Some(150)), 150));
    cases.push((Scope::GraphQl, Fault::SecondaryAs200(None), 60));
    for (scope, fault, seconds) in cases {
        let mut fleet = watched().await;
        fleet.change(|model| model.fail_next_in(scope, 1, fault.clone()));
        something_changes(&fleet);
        let pass = fleet.after(MINUTE).await;
        fleet.nothing_false(&pass);
        assert!(
            matches!(pass.trouble, Some(Trouble::Limited { .. })),
            "{fault:?}: {:?}",
            pass.trouble
        );
        let sent = fleet.tally().requests;

        // Neither this process nor one that begins anew sends anything before the time is up.
        let until = seconds * 1000 - 1000;
        for restarted in [false, true] {
            if restarted {
                fleet.restart();
            }
            fleet.wait(std::time::Duration::from_millis(until / 2));
            assert!(silent(&fleet, Pool::Rest) && silent(&fleet, Pool::GraphQl));
            let pass = fleet.pass().await;
            fleet.nothing_false(&pass);
            assert_eq!(pass.requests(), 0, "{scope:?} {fault:?}");
            assert_eq!(fleet.tally().requests, sent, "{scope:?} {fault:?}");
        }
        fleet.until_learned().await;
    }
}

#[tokio::test]
async fn a_limit_that_goes_on_is_waited_for_longer_each_time() {
    let mut fleet = watched().await;
    fleet.change(|model| model.fail(Scope::Any, Fault::TooManyRequests(None)));
    something_changes(&fleet);
    let mut sent = Vec::new();
    let before = fleet.tally().requests;
    for minute in 1..=40 {
        let earlier = fleet.tally().requests;
        let pass = fleet.after(MINUTE).await;
        fleet.nothing_false(&pass);
        if fleet.tally().requests > earlier {
            sent.push(minute);
        }
    }
    // After a minute, two, four, eight, sixteen; a pass that comes a little early waits for the next one.
    assert!(sent.len() <= 6, "{sent:?}");
    // Lists that were under way together are refused together.
    assert!(fleet.tally().requests - before <= 6 * 4, "{sent:?}");
    fleet.change(vigil_model::Model::heal);
    fleet.until(65, |pass| pass.kinds() == ["found"]).await;
    fleet.until_learned().await;
}

#[tokio::test]
async fn queries_that_are_refused_are_waited_for_longer_though_lists_go_on() {
    for fault in [
        Fault::SecondaryAs200(None),
        Fault::Forbidden(Forbidden::Secondary(None)),
        Fault::RateLimited {
            headers: false,
            older_name: false,
        },
    ] {
        let mut fleet = watched().await;
        fleet.change(|model| model.fail(Scope::GraphQl, fault.clone()));
        something_changes(&fleet);
        let mut sent = Vec::new();
        let lists = fleet.tally().rest;
        for minute in 1..=40 {
            let earlier = fleet.tally().graphql;
            let pass = fleet.after(MINUTE).await;
            fleet.nothing_false(&pass);
            if fleet.tally().graphql > earlier {
                sent.push(minute);
            }
        }
        assert!(sent.len() <= 6, "{fault:?}: {sent:?}");
        assert!(fleet.tally().rest > lists, "{fault:?}");
        fleet.change(vigil_model::Model::heal);
        fleet.until(65, |pass| pass.kinds() == ["found"]).await;
        fleet.until_learned().await;
    }
}

#[tokio::test]
async fn lists_that_are_refused_together_are_refused_once() {
    let mut fleet = Fleet::of(6, 6);
    fleet.pass().await;
    fleet.wait(IDLE_MAX);
    fleet.change(|model| model.fail(Scope::Any, Fault::TooManyRequests(None)));
    let before = fleet.tally();
    fleet.pass().await;
    let refused = fleet.tally().refused_secondary - before.refused_secondary;
    assert!((2..=4).contains(&refused), "{refused}");
    fleet.change(vigil_model::Model::heal);
    // A minute, however many they were.
    let sent = fleet.tally().requests;
    fleet.after(MINUTE).await;
    fleet.after(MINUTE).await;
    assert!(fleet.tally().requests > sent);
    fleet.until_learned().await;
}

#[tokio::test]
async fn of_two_refusals_that_were_under_way_the_longer_one_holds() {
    for (first, second) in [(Some(600), None), (None, Some(600)), (Some(600), Some(30))] {
        let mut fleet = Fleet::of(6, 6);
        fleet.pass().await;
        fleet.wait(IDLE_MAX);
        // Both meet the first list, of which the earlier one wins; the later one is left for the second.
        fleet.change(|model| {
            model.fail_next_in(Scope::Rest, 1, Fault::TooManyRequests(first));
            model.fail_next_in(Scope::Rest, 2, Fault::TooManyRequests(second));
        });
        let before = fleet.tally();
        fleet.pass().await;
        assert_eq!(
            fleet.tally().refused_secondary - before.refused_secondary,
            2,
            "{first:?} {second:?}"
        );
        let sent = fleet.tally().requests;
        for _ in 0..9 {
            fleet.after(MINUTE).await;
        }
        assert_eq!(fleet.tally().requests, sent, "{first:?} {second:?}");
        fleet.until_learned().await;
    }
}

#[tokio::test]
async fn an_empty_pot_of_requests_leaves_the_points_alone() {
    for fault in [
        Fault::Forbidden(Forbidden::Exhausted),
        Fault::RateLimited {
            headers: false,
            older_name: false,
        },
    ] {
        let mut fleet = watched().await;
        fleet.change(|model| model.fail_next_in(Scope::Rest, 1, fault.clone()));
        something_changes(&fleet);
        let pass = fleet.after(MINUTE).await;
        assert!(silent(&fleet, Pool::Rest) && !silent(&fleet, Pool::GraphQl));
        // GraphQL tells what the lists would have told.
        fleet.all_true(&pass);
        fleet.change(|model| {
            model.repo("acme/app-0").issue(3).closed("completed");
        });
        let rest = fleet.tally().rest;
        fleet.wait(std::time::Duration::from_secs(40));
        let pass = fleet.pass().await;
        assert_eq!(fleet.tally().rest, rest, "{fault:?}");
        fleet.nothing_false(&pass);
        fleet.until_learned().await;
    }
}

#[tokio::test]
async fn an_empty_pot_of_points_leaves_the_lists_alone() {
    for (headers, older_name) in [(true, false), (true, true), (false, false), (false, true)] {
        let fault = Fault::RateLimited {
            headers,
            older_name,
        };
        let mut fleet = watched().await;
        fleet.change(|model| model.fail_next_in(Scope::GraphQl, 1, fault));
        something_changes(&fleet);
        let pass = fleet.after(MINUTE).await;
        assert!(!silent(&fleet, Pool::Rest) && silent(&fleet, Pool::GraphQl));
        fleet.nothing_false(&pass);
        // The list brought the issue along; the pull request waits for points.
        assert!(!pass.issue(0).open);
        assert_eq!(pass.pair(1).1, "rate-limited");

        let (rest, graphql) = (fleet.tally().rest, fleet.tally().graphql);
        fleet.wait(std::time::Duration::from_secs(50));
        fleet.change(|model| {
            model.repo("acme/app-0").issue(3).closed("completed");
        });
        let pass = fleet.pass().await;
        assert!(fleet.tally().rest > rest, "the lists go on");
        assert_eq!(fleet.tally().graphql, graphql);
        fleet.nothing_false(&pass);
        assert!(!pass.issue(2).open);
        let most = if headers { 62 } else { 16 };
        fleet.until(most, |pass| pass.kinds() == ["found"]).await;
        fleet.until_learned().await;
    }
}

#[tokio::test]
async fn a_real_empty_pot_is_seen_before_anything_is_refused() {
    let (mut model, asks) = mixed(6, 3);
    // The cold start takes one point, the lists of the next pass three requests.
    model.token(TOKEN).limits(3, 5000);
    let mut fleet = Fleet::new(model, asks);
    fleet.pass().await;
    fleet.change(|model| {
        for n in 1..=6 {
            model
                .repo(&format!("acme/app-{}", n % 3))
                .issue(n)
                .label("x");
        }
    });
    let pass = fleet.after(MINUTE).await;
    fleet.all_true(&pass);
    assert!(silent(&fleet, Pool::Rest));
    something_changes(&fleet);
    let pass = fleet.after(MINUTE).await;
    fleet.all_true(&pass);
    let tally = fleet.tally();
    assert_eq!((tally.refused, tally.crossed), (0, 0), "{tally:?}");
}

#[tokio::test]
async fn a_401_is_no_limit_whatever_its_headers_say() {
    let mut fleet = watched().await;
    fleet.change(|model| model.fail(Scope::Any, Fault::BadCredentialsExhausted));
    something_changes(&fleet);
    let pass = fleet.after(MINUTE).await;
    fleet.nothing_false(&pass);
    assert!(matches!(pass.trouble, Some(Trouble::TokenRejected { .. })));
    assert!(!silent(&fleet, Pool::Rest) && !silent(&fleet, Pool::GraphQl));
    fleet.change(vigil_model::Model::heal);
    fleet.until_learned().await;
}

#[tokio::test]
async fn the_silence_is_known_to_whoever_reads_the_rows() {
    let mut fleet = watched().await;
    fleet.change(|model| model.fail_next_in(Scope::Rest, 1, Fault::TooManyRequests(Some(600))));
    fleet.after(MINUTE).await;
    let other = fleet.stored();
    let told: Vec<_> = other
        .accounts()
        .map(|(account, known)| {
            let silence = known.silent(Pool::GraphQl, fleet.now());
            (account.clone(), silence.map(|silence| silence.until))
        })
        .collect();
    let [(account, Some(until))] = told.as_slice() else {
        panic!("{told:?}");
    };
    assert_eq!(*account, Account::usual());
    let seconds = fleet.now().age(*until).as_secs();
    assert!((595..=605).contains(&seconds), "{seconds}");
}

#[tokio::test]
async fn of_many_lists_only_those_that_were_under_way_are_sent_after_a_limit() {
    let mut faults: Vec<(Fault, bool)> = secondary()
        .into_iter()
        .map(|(fault, _)| (fault, true))
        .collect();
    faults.push((Fault::Forbidden(Forbidden::Exhausted), false));
    for (fault, everything) in faults {
        let mut fleet = Fleet::of(40, 40);
        fleet.pass().await;
        // All of them are looked at again, and none of them is busy.
        fleet.wait(IDLE_MAX);
        fleet.change(|model| model.fail_next_in(Scope::Rest, 1, fault.clone()));
        let before = fleet.tally();
        let pass = fleet.pass().await;
        let after = fleet.tally();
        assert!((1..=4).contains(&(after.rest - before.rest)), "{fault:?}");
        assert_eq!(after.graphql == before.graphql, everything, "{fault:?}");
        fleet.nothing_false(&pass);
        fleet.until_learned().await;
    }
}

#[tokio::test]
async fn everything_is_looked_at_as_soon_as_a_limit_is_over() {
    let (mut model, asks) = mixed(6, 3);
    model.token(TOKEN).without(Permission::IssuesRead);
    // By GraphQL alone, and by lists.
    for denied in [true, false] {
        let mut model = model.clone();
        if !denied {
            model.token(TOKEN).with(Permission::IssuesRead);
        }
        let mut fleet = Fleet::new(model, asks.clone());
        fleet.pass().await;
        fleet.after(MINUTE).await;
        fleet.wait(IDLE_MAX);
        let limit = Fault::TooManyRequests(Some(30 * 60));
        fleet.change(|model| model.fail_next_in(Scope::Any, 1, limit));
        for _ in 0..30 {
            let pass = fleet.pass().await;
            fleet.nothing_false(&pass);
            fleet.wait(MINUTE);
        }
        something_changes(&fleet);
        let merged = |pass: &Pass| {
            let pull = pass.answers[1].pull_request.found();
            pull.is_some_and(|pull| pull.merged.is_some())
        };
        let pass = fleet.until(2, merged).await;
        if !denied {
            fleet.all_true(&pass);
        }
    }
}
