//! Lists of changes draw on a pot of their own, and on a minute's worth of requests that all of vigil's share.

use std::time::Duration;

use vigil_github::budget::{Pool, REST_PER_MINUTE_MAX, Shares};
use vigil_github::memory::IDLE_MAX;
use vigil_github::round::{Body, Landed, Outcome, Raw};
use vigil_model::SecondaryLimits;

use super::fleet::*;
use crate::support::*;

/// Every repository changes.
fn all_change(fleet: &Fleet, repos: u64, label: &str) {
    fleet.change(|model| {
        for n in 1..=repos {
            model
                .repo(&format!("acme/app-{}", n % repos))
                .issue(n)
                .label(label);
        }
    });
}

#[tokio::test]
async fn the_share_and_the_reserve_of_requests_are_kept_and_points_take_over() {
    // Of forty requests ten are vigil's, or what eight for others leave of those that are left.
    for (used, most) in [(0, 10), (30, 2), (33, 1), (36, 1)] {
        let (mut model, asks) = mixed(6, 6);
        model.token(TOKEN).limits(40, 5_000).used(used, 0);
        let mut fleet = Fleet::new(model, asks);
        fleet.shares = Shares::default();
        let pass = fleet.pass().await;
        fleet.all_true(&pass);
        for minute in 0..8 {
            all_change(&fleet, 6, &format!("at-{minute}"));
            let pass = fleet.after(MINUTE).await;
            fleet.all_true(&pass);
        }
        let tally = fleet.tally();
        // The first answer tells how much there is; until then four may be out.
        let most = most.max(4);
        assert!(tally.rest_charged <= most, "{used}: {tally:?}");
        assert_eq!(tally.refused, 0, "{used}");
        // In the next hour the lists go on.
        fleet.wait(MINUTE * 60);
        all_change(&fleet, 6, "later");
        let pass = fleet.pass().await;
        fleet.all_true(&pass);
        assert!(fleet.tally().rest_charged > tally.rest_charged, "{used}");
    }
}

#[tokio::test]
async fn a_minute_has_so_many_lists_and_no_more() {
    let repos = REST_PER_MINUTE_MAX + 60;
    let (mut model, asks) = mixed(repos, repos);
    model.secondary_limits(Some(SecondaryLimits {
        rest_points_max: REST_PER_MINUTE_MAX + 10,
        ..SecondaryLimits::default()
    }));
    let mut fleet = Fleet::new(model, asks);
    fleet.pass().await;
    fleet.wait(IDLE_MAX);
    all_change(&fleet, 20, "x");
    let before = fleet.tally();
    let pass = fleet.pass().await;
    fleet.all_true(&pass);
    let after = fleet.tally();
    assert_eq!(after.rest - before.rest, REST_PER_MINUTE_MAX);
    // Another process that begins in the same minute knows of them.
    fleet.restart();
    fleet.wait(Duration::from_secs(40));
    let pass = fleet.pass().await;
    fleet.nothing_false(&pass);
    let tally = fleet.tally();
    assert_eq!((tally.refused, tally.rest), (0, after.rest));
    fleet.wait(IDLE_MAX);
    let pass = fleet.pass().await;
    fleet.all_true(&pass);
    assert!(fleet.tally().rest > after.rest);
}

#[test]
fn what_others_take_while_a_round_is_under_way_is_not_taken_again() {
    // An answer of which GitHub says that so much is left of 5,000 requests.
    let unchanged = |id: u64, left: u64| Landed {
        id,
        outcome: Outcome::Answer(Raw {
            status: http::StatusCode::NOT_MODIFIED,
            headers: headers(&[
                ("x-ratelimit-limit", "5000"),
                ("x-ratelimit-remaining", &left.to_string()),
                ("x-ratelimit-reset", "1795156200"),
                ("x-ratelimit-resource", Pool::Rest.resource()),
            ]),
            body: Vec::new(),
            fingerprint: vigil_github::Fingerprint("one".to_owned()),
            origin: "the test".to_owned(),
            took: Duration::ZERO,
        }),
        sent: 1,
    };
    let repos: Vec<String> = (0..20).map(|n| format!("acme/app-{n}")).collect();
    let repos: Vec<&str> = repos.iter().map(String::as_str).collect();
    let mut round = listing_within(&repos, Shares::default());
    for left in [4_000, 3_000, 2_000, 1_001] {
        let sent = round.next(NOW).expect("a list");
        assert!(matches!(sent.body, Body::Rest { .. }), "{left}");
        round.take(unchanged(sent.id, left), NOW);
    }
    // One more is vigil's, and no more than that is out at a time.
    let last = round.next(NOW).expect("a list");
    assert!(matches!(last.body, Body::Rest { .. }));
    assert!(round.next(NOW).is_none());
    round.take(unchanged(last.id, 1_000), NOW);
    let next = round.next(NOW).expect("a query");
    assert!(matches!(next.body, Body::GraphQl { .. }), "{next:?}");
}
