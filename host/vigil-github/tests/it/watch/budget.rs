//! What may be taken is not exceeded, and what cannot wait goes first.

use std::sync::Arc;

use vigil_github::budget::{Pool, Shares};
use vigil_github::memory::SWEEP_OPEN;
use vigil_github::{Account, Accounts, Ask, TokenChain, TokenOrigin};
use vigil_model::Model;

use super::fleet::*;
use crate::support::*;

fn spent(fleet: &Fleet, pool: Pool) -> u64 {
    let now = fleet.now();
    let usual = Account::usual();
    fleet
        .memory
        .accounts()
        .find(|(account, _)| **account == usual)
        .map_or(0, |(_, known)| known.pot(pool).spent(now))
}

#[tokio::test]
async fn the_share_of_an_hour_is_not_exceeded_and_the_next_hour_goes_on() {
    let (mut model, asks) = mixed(600, 6);
    // Twenty points an hour, of which five are vigil's: of 1,200 questions 450 fit into those.
    model.token(TOKEN).limits(5000, 20);
    let mut fleet = Fleet::new(model, asks);
    fleet.shares = Shares {
        reserve: 20,
        own: 25,
    };
    let mut postponed = 0;
    for _ in 0..6 {
        let pass = fleet.after(MINUTE).await;
        fleet.nothing_false(&pass);
        postponed += pass.postponed;
        assert!(fleet.tally().points <= 5, "{:?}", fleet.tally());
    }
    assert_eq!(fleet.tally().points, 5);
    assert_eq!(spent(&fleet, Pool::GraphQl), 5);
    assert!(postponed > 0, "what does not fit is counted");
    let known = |fleet: &Fleet| {
        let answers = fleet
            .asks
            .iter()
            .map(|ask| fleet.memory.answer(ask, fleet.now()));
        answers
            .filter(|answer| answer.issue.found().is_some())
            .count()
    };
    let first = known(&fleet);
    assert!(first > 100, "{first}");
    // A process that begins anew has no share of its own.
    fleet.restart();
    let pass = fleet.after(MINUTE).await;
    assert_eq!(pass.usage.points, 0);
    assert!(pass.kinds().contains(&"rate-limited"));
    for _ in 0..4 {
        fleet.wait(MINUTE * 60);
        fleet.pass().await;
    }
    assert!(known(&fleet) > first, "{}", known(&fleet));
    assert_eq!(fleet.tally().refused, 0);
}

#[tokio::test]
async fn two_accounts_that_turn_out_to_have_one_token_have_one_share() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("token");
    put_secret(&path, TOKEN);
    let usual = TokenChain::new(vec![TokenOrigin::Env {
        name: "GH_TOKEN".to_owned(),
        value: Some(TOKEN.to_owned().into()),
    }]);
    let in_file = TokenChain::new(vec![TokenOrigin::File { path }]);
    let accounts = Accounts::new(usual).with_token(["umbrella"], in_file);
    let (mut model, mut asks) = mixed(600, 6);
    model.token(TOKEN).limits(5000, 20);
    for n in 1..=600 {
        model.repo("umbrella/app").issue(n).pull(n + 100_000);
        asks.push(by_number("umbrella/app", n, n + 100_000, ALL));
    }
    let mut fleet = Fleet::with_tokens(model, asks, Arc::new(accounts));
    fleet.shares = Shares {
        reserve: 20,
        own: 25,
    };
    for _ in 0..4 {
        let pass = fleet.after(MINUTE).await;
        fleet.nothing_false(&pass);
    }
    assert_eq!(fleet.memory.accounts().count(), 2);
    // Of twenty points five are vigil's. One more is out when the fifth is taken.
    let points = fleet.tally().points;
    assert!((4..=6).contains(&points), "{points}");
}

#[tokio::test]
async fn what_others_have_taken_is_not_taken_again() {
    let (mut model, asks) = mixed(4, 1);
    model.token(TOKEN);
    let mut fleet = Fleet::new(model, asks);
    fleet.shares = Shares::default();
    let pass = fleet.pass().await;
    fleet.all_true(&pass);
    // Somebody else uses the token until less than the reserve is left: the next answer tells.
    fleet.change(|model| {
        model.token(TOKEN).used(0, 4_500);
        model.repo("acme/app-0").pull(100_001).label("x");
    });
    let pass = fleet.after(MINUTE).await;
    assert_eq!(pass.pull(0).number, 100_001);
    let points = fleet.tally().points;
    fleet.change(|model| {
        model.repo("acme/app-0").pull(100_001).merged();
    });
    let pass = fleet.after(MINUTE).await;
    assert_eq!(pass.pair(0).1, "rate-limited");
    assert_eq!(fleet.tally().points, points);
    assert!(pass.postponed > 0);
    // Until the hour is over.
    fleet.wait(MINUTE * 60);
    fleet.until_learned().await;
}

#[tokio::test]
async fn what_can_wait_waits_and_what_cannot_goes_first() {
    // Two hundred sessions whose checks are under way, and one in which something happens.
    let mut model = Model::new(NOW.0 - 3_600_000);
    model.token(TOKEN).limits(5000, 400);
    let mut asks: Vec<Ask> = Vec::new();
    for n in 1..=1_000_u64 {
        let repo = format!("acme/app-{}", n % 4);
        model
            .repo(&repo)
            .issue(n)
            .pull(n + 10_000)
            .check("build", None);
        asks.push(by_number(&repo, n, n + 10_000, ALL));
    }
    let mut fleet = Fleet::new(model, asks);
    fleet.shares = Shares {
        reserve: 0,
        own: 15,
    };
    let pass = fleet.pass().await;
    fleet.all_true(&pass);
    let cold = fleet.tally().points;
    let mut waited = 0;
    for minute in 0..20_usize {
        // Merged one by one, each noticed in the pass after it.
        fleet.change(|model| {
            let n = minute as u64 + 1;
            model
                .repo(&format!("acme/app-{}", n % 4))
                .pull(n + 10_000)
                .merged();
        });
        let pass = fleet.after(MINUTE).await;
        assert!(pass.pull(minute).merged.is_some(), "minute {minute}");
        waited += pass.postponed;
        // What waits stands, and is not called unknown.
        assert!(pass.pull(500).checks.found().is_some());
        assert!(!pass.kinds().contains(&"rate-limited"), "{minute}");
    }
    assert!(waited > 0);
    let share = fleet.tally().points;
    assert!(share <= 60, "{cold} {share}");
}

#[tokio::test]
async fn what_can_wait_takes_no_more_because_passes_come_one_after_the_other() {
    // As where webhooks wake vigil: a pass every ten seconds. All checks are under way, and are polled.
    let mut model = Model::new(NOW.0 - 3_600_000);
    model.token(TOKEN).limits(5000, 400);
    let mut asks: Vec<Ask> = Vec::new();
    for n in 1..=300_u64 {
        model
            .repo("acme/app")
            .issue(n)
            .pull(n + 10_000)
            .check("build", None);
        asks.push(by_number("acme/app", n, n + 10_000, ALL));
    }
    let mut fleet = Fleet::new(model, asks);
    fleet.shares = Shares {
        reserve: 0,
        own: 15,
    };
    fleet.pass().await;
    let cold = fleet.tally().points;
    for minute in 0..10_usize {
        fleet.change(|model| {
            model.repo("acme/app").pull(minute as u64 + 10_001).merged();
        });
        for _ in 0..6 {
            let pass = fleet.after(MINUTE / 6).await;
            assert!(!pass.kinds().contains(&"rate-limited"), "{minute}");
        }
    }
    // What is even over an hour, twice, for ten minutes of it; and one for each that was merged.
    let most = cold + (60 - cold) * 2 * 10 / 60 + 10 + 1;
    let share = fleet.tally().points;
    assert!(share <= most, "{cold} {share} {most}");
}

#[tokio::test]
async fn a_sweep_is_spread_and_does_not_come_all_at_once() {
    let mut fleet = Fleet::of(400, 4);
    fleet.pass().await;
    let minutes = SWEEP_OPEN.as_secs() / 60;
    let mut most = 0;
    for _ in 0..minutes + 5 {
        let before = fleet.tally().points;
        fleet.after(MINUTE).await;
        most = most.max(fleet.tally().points - before);
    }
    // 800 things, which are eight queries; a quarter of an hour to read them in.
    let points = fleet.tally().points;
    assert!(most <= 5 && points >= 16, "{most} {points}");
}
