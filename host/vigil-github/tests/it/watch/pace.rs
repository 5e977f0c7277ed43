//! How often is looked, and by which way.

use std::collections::BTreeSet;
use std::sync::Arc;

use secrecy::SecretString;
use vigil_github::memory::{IDLE_MAX, SWEEP_ENDED};
use vigil_github::{Accounts, Ask, TokenChain, TokenOrigin};
use vigil_model::{Fault, Model, Scope};

use super::fleet::*;
use crate::support::*;

#[tokio::test]
async fn where_nothing_happens_looks_become_rare_and_what_happens_is_still_noticed() {
    let mut fleet = Fleet::of(4, 1);
    fleet.pass().await;
    let mut looks = Vec::new();
    for minute in 1..=300_u64 {
        let before = fleet.tally().rest;
        fleet.after(MINUTE).await;
        if fleet.tally().rest > before {
            looks.push(minute);
        }
    }
    assert!(looks.len() < 80, "{looks:?}");
    let pauses: BTreeSet<u64> = looks
        .windows(2)
        .skip(looks.len() - 6)
        .map(|pair| pair[1] - pair[0])
        .collect();
    assert_eq!(pauses, BTreeSet::from([IDLE_MAX.as_secs() / 60]));
    fleet.change(|model| {
        model.repo("acme/app-0").pull(100_001).merged();
    });
    let pass = fleet.until(15, |pass| pass.pull(0).merged.is_some()).await;
    fleet.all_true(&pass);
    // From then on it is busy, and noticed at once.
    fleet.change(|model| {
        model.repo("acme/app-0").pull(100_002).merged();
    });
    let pass = fleet.after(MINUTE).await;
    assert!(pass.pull(1).merged.is_some());
}

#[tokio::test]
async fn nothing_that_changed_costs_a_point() {
    let mut fleet = Fleet::of(60, 6);
    fleet.pass().await;
    fleet.after(MINUTE).await;
    // Until it is time to ask again whether they can be merged, which nothing announces.
    for _ in 0..9 {
        let pass = fleet.after(MINUTE).await;
        assert_eq!((pass.usage.points, pass.at.len()), (0, 0));
        assert!(pass.usage.rest <= 6);
        assert_eq!(pass.usage.rest, pass.usage.unchanged);
    }
}

#[tokio::test]
async fn a_list_that_gets_another_tag_stays_free() {
    let mut fleet = Fleet::of(4, 1);
    fleet.pass().await;
    fleet.after(MINUTE).await;
    for _ in 0..8 {
        // GitHub takes the tag that it gave last, and gives the next one with the 304.
        fleet.change(Model::retag);
        let pass = fleet.after(MINUTE).await;
        assert_eq!(pass.usage.rest, pass.usage.unchanged);
    }
}

#[tokio::test]
async fn what_has_ended_is_swept_once_a_day() {
    let mut model = Model::new(NOW.0 - 3_600_000);
    model.token(TOKEN);
    for n in 1..=2 {
        let repo = model.repo("acme/app-0");
        repo.issue(n).closed("completed").pull(n + 100_000).merged();
    }
    let asks = (1..=2).map(|n| by_number("acme/app-0", n, n + 100_000, ALL));
    let mut fleet = Fleet::new(model, asks.collect());
    let pass = fleet.pass().await;
    fleet.all_true(&pass);
    let graphql = fleet.tally().graphql;
    let hours = |fleet: &Fleet| NOW.age(fleet.now()).as_secs() / 3600;
    while hours(&fleet) < 17 {
        fleet.after(MINUTE * 15).await;
    }
    assert_eq!(fleet.tally().graphql, graphql);
    // Something that no list tells: dated an hour back, and further than lists reach.
    let long_ago = fleet.now().0 - 3_600_000;
    fleet.change(|model| {
        model
            .repo("acme/app-0")
            .issue(1)
            .reopened()
            .updated_at(long_ago)
            .issue(2)
            .comment("somebody", "a thought");
    });
    while hours(&fleet) < SWEEP_ENDED.as_secs() / 3600 + 1 {
        fleet.after(MINUTE * 15).await;
    }
    let pass = fleet.pass().await;
    assert!(pass.issue(0).open, "the sweep has seen it");
    fleet.all_true(&pass);
}

fn busy(repos: u64) -> (Fleet, impl Fn(&mut Model, &str)) {
    let fleet = Fleet::of(repos * 2, repos);
    let label = move |model: &mut Model, name: &str| {
        for n in 1..=repos {
            let repo = format!("acme/app-{}", n % repos);
            model.repo(&repo).issue(n).label(name);
        }
    };
    (fleet, label)
}

#[tokio::test]
async fn many_busy_repositories_are_looked_at_together() {
    for (repos, together) in [(8, false), (9, true), (60, true)] {
        let (mut fleet, label) = busy(repos);
        fleet.pass().await;
        fleet.change(|model| label(model, "a"));
        let pass = fleet.after(MINUTE).await;
        fleet.all_true(&pass);
        let before = fleet.tally();
        fleet.change(|model| label(model, "b"));
        let pass = fleet.after(MINUTE).await;
        fleet.all_true(&pass);
        let after = fleet.tally();
        let lists = after.rest - before.rest;
        assert_eq!(lists, if together { 0 } else { repos }, "{repos}");
        if together {
            // Fifty at a time, and the issues themselves.
            let queries = repos.div_ceil(50) + repos.div_ceil(50);
            assert!(after.graphql - before.graphql <= queries, "{repos}");
        }
    }
}

#[tokio::test]
async fn more_news_than_the_newest_entries_show_is_listed() {
    let (mut fleet, label) = busy(10);
    for n in 1000..1030 {
        fleet.change(|model| {
            model.repo("acme/app-1").issue(n);
        });
    }
    fleet.pass().await;
    fleet.change(|model| label(model, "a"));
    fleet.after(MINUTE).await;
    fleet.wait(MINUTE / 4);
    fleet.change(|model| label(model, "b"));
    fleet.wait(MINUTE / 4);
    fleet.change(|model| {
        for n in 1000..1030 {
            model.repo("acme/app-1").issue(n).label("bulk");
        }
    });
    let before = fleet.tally().rest;
    let pass = fleet.after(MINUTE).await;
    fleet.all_true(&pass);
    assert_eq!(fleet.tally().rest - before, 1, "the list of one repository");
}

const OTHER: &str = "ghp_theTokenOfAnotherAccount0123456789";

#[tokio::test]
async fn two_accounts_have_pots_and_lines_of_their_own() {
    let chain = |secret: &str| {
        TokenChain::new(vec![TokenOrigin::Env {
            name: "GH_TOKEN".to_owned(),
            value: Some(SecretString::from(secret.to_owned())),
        }])
    };
    let accounts = Accounts::new(chain(TOKEN)).with_token(["umbrella"], chain(OTHER));
    let mut model = Model::new(NOW.0 - 3_600_000);
    model.token(TOKEN);
    model.token(OTHER).login("somebody");
    let mut asks: Vec<Ask> = Vec::new();
    for owner in ["acme", "umbrella"] {
        for n in 1..=120 {
            let repo = format!("{owner}/app-{}", n % 6);
            model.repo(&repo).issue(n).pull(n + 1_000);
            asks.push(by_number(&repo, n, n + 1_000, ALL));
        }
    }
    let mut fleet = Fleet::with_tokens(model, asks, Arc::new(accounts));
    fleet.change(|model| model.latency(5));
    let pass = fleet.pass().await;
    fleet.all_true(&pass);
    let mut spent: Vec<(String, u64)> = fleet
        .memory
        .accounts()
        .map(|(account, known)| (account.to_string(), known.graphql.spent(fleet.now())))
        .collect();
    spent.sort();
    let names: Vec<&str> = spent.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["default", "umbrella"]);
    assert_eq!(spent[0].1, spent[1].1);

    // One of them is told to stop; which one, the order decides: the first request of the pass meets it.
    fleet.change(|model| {
        model.fail_next_in(Scope::Rest, 1, Fault::TooManyRequests(Some(300)));
        for owner in ["acme", "umbrella"] {
            for n in 1..=6 {
                let repo = format!("{owner}/app-{}", n % 6);
                model.repo(&repo).issue(n).closed("completed");
            }
        }
    });
    let pass = fleet.after(MINUTE).await;
    fleet.nothing_false(&pass);
    let closed = |from: usize| {
        (from..from + 6).filter(|at| {
            pass.answers[*at]
                .issue
                .found()
                .is_some_and(|issue| !issue.open)
        })
    };
    let (one, other) = (closed(0).count(), closed(120).count());
    assert_eq!(one.max(other), 6, "the other one goes on: {one} {other}");
    assert!(one.min(other) < 6, "{one} {other}");
    fleet.until_learned().await;
}
