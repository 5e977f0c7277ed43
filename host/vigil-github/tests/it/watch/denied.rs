//! A token that may not read everything: what it may read is known, pass after pass, and the rest is denied.

use vigil_core::Timestamp;
use vigil_github::budget::Shares;
use vigil_github::memory::{Doubt, IDLE_MAX, Memory};
use vigil_github::round::{How, Round, Scan};
use vigil_github::{Account, Parts, Repo, Wants};
use vigil_model::{Model, Permission};

use super::fleet::*;
use super::truth::{TRUTH, drive};
use crate::support::*;

/// Sessions by number and by branch in so many repositories that they are asked about together when they are busy, or
/// one by one.
fn watched(repos: u64) -> Fleet {
    Fleet::of(repos * 2, repos)
}

/// Every pull request is known and no issue is.
fn only_pulls(pass: &Pass) {
    for at in 0..pass.answers.len() {
        assert_eq!(pass.pair(at), ("denied", "found"));
    }
}

fn revoke(model: &mut Model) {
    model.token(TOKEN).without(Permission::IssuesRead);
}

fn grant(model: &mut Model) {
    model.token(TOKEN).with(Permission::IssuesRead);
}

fn merge(model: &mut Model, repos: u64) {
    for n in 1..=repos * 2 {
        model
            .repo(&format!("acme/app-{}", n % repos))
            .pull(n + 100_000)
            .merged();
    }
}

#[tokio::test]
async fn a_token_that_never_could_read_issues_follows_the_pull_requests() {
    for repos in [1, 10] {
        let mut fleet = watched(repos);
        fleet.change(revoke);
        only_pulls(&fleet.pass().await);
        for _ in 0..20 {
            let pass = fleet.after(MINUTE).await;
            only_pulls(&pass);
            fleet.nothing_false(&pass);
        }
        // The lists of issues are not asked for again and again.
        let rest = fleet.tally().rest;
        fleet.change(|model| merge(model, repos));
        let most = u32::try_from(IDLE_MAX.as_secs() / 60).expect("minutes") + 1;
        let merged = |pass: &Pass| (0..pass.answers.len()).all(|at| is_merged(pass, at));
        let pass = fleet.until(most, merged).await;
        only_pulls(&pass);
        assert_eq!(fleet.tally().rest, rest);

        // A new pull request of a branch that had none is found as well.
        fleet.watch(by_branch("acme/app-0", 2, "later", ALL));
        let pass = fleet.after(MINUTE).await;
        let new = pass.answers.len() - 1;
        assert_eq!(pass.pair(new), ("denied", "absent"));
        fleet.change(|model| {
            model.repo("acme/app-0").pull(7).head("later");
        });
        fleet.until(most, |pass| pass.pair(new).1 == "found").await;

        fleet.change(grant);
        fleet.until_learned().await;
        // From now on the list tells what changes, for nothing.
        fleet.change(|model| {
            model.repo("acme/app-0").issue(2).closed("completed");
        });
        fleet.until_learned().await;
        assert!(fleet.tally().rest > rest);
    }
}

#[tokio::test]
async fn a_permission_that_is_given_is_noticed_though_nobody_asks_for_an_issue() {
    let only_pulls = Wants {
        issue: false,
        pull_request: true,
        parts: Parts::CHECKS,
    };
    for repos in [1, 10] {
        let mut fleet = watched(repos);
        fleet.change(revoke);
        for at in 0..fleet.asks.len() {
            fleet.wants(at, only_pulls);
        }
        // Nothing happens here any more, so that a list costs nothing.
        for _ in 0..30 {
            fleet.after(MINUTE).await;
        }
        let before = fleet.tally();
        for _ in 0..180 {
            let pass = fleet.after(MINUTE).await;
            assert_eq!(pass.pair(0), ("not-asked", "found"));
        }
        let denied = fleet.tally().graphql - before.graphql;
        fleet.change(grant);
        let rest = fleet.tally().rest;
        for _ in 0..80 {
            fleet.after(MINUTE).await;
        }
        assert!(fleet.tally().rest > rest, "the lists are back");
        let before = fleet.tally();
        for _ in 0..180 {
            fleet.after(MINUTE).await;
        }
        let granted = fleet.tally().graphql - before.graphql;
        assert!(granted < denied, "{granted} instead of {denied}");
    }
}

#[tokio::test]
async fn a_permission_that_is_taken_away_takes_the_issues_alone() {
    for busy in [false, true] {
        let mut fleet = watched(10);
        let pass = fleet.pass().await;
        fleet.all_true(&pass);
        if busy {
            fleet.change(|model| {
                for at in 0..10 {
                    model
                        .repo(&format!("acme/app-{at}"))
                        .issue(at + 1)
                        .label("x");
                }
            });
        }
        fleet.after(MINUTE).await;
        fleet.change(revoke);
        for _ in 0..3 {
            only_pulls(&fleet.after(MINUTE).await);
        }
        fleet.change(grant);
        fleet.until_learned().await;
    }
}

#[tokio::test]
async fn an_entry_of_a_list_that_cannot_be_read_takes_nothing_else_along() {
    let (mut model, asks) = mixed(4, 1);
    model.token(TRUTH).login("somebody");
    let how = |now: Timestamp| How {
        now,
        interval: MINUTE,
        shares: Shares::default(),
        resync: None,
    };
    let account = |_: &str| Account::usual();
    let round = Round::ask(
        Memory::default(),
        asks.clone(),
        Doubt::Little,
        account,
        how(NOW),
    );
    let mut memory = drive(&mut model, round, NOW, |body| body).memory;
    let now = NOW.after(MINUTE);
    model.set_now(now.0);
    model
        .repo("acme/app-0")
        .issue(3)
        .closed("completed")
        .pull(100_002)
        .merged();
    // GitHub writes a number as a text.
    let garbled = |body: Vec<u8>| {
        let text = String::from_utf8(body).expect("text");
        assert!(text.contains("\"number\":3,"), "{text}");
        text.replace("\"number\":3,", "\"number\":\"3\",")
            .into_bytes()
    };
    let repos: Vec<Repo> = asks[0].repos().take(1).collect();
    let scan = Round::scan(memory, &repos, Scan::Due, account, how(now));
    memory = drive(&mut model, scan, now, garbled).memory;
    let asked = Round::ask(memory, asks, Doubt::Little, account, how(now));
    let answers = drive(&mut model, asked, now, |body| body).answers;
    for answer in &answers {
        assert_eq!(
            (kind(&answer.issue), kind(&answer.pull_request)),
            ("found", "found")
        );
    }
    assert!(answers[2].issue.found().is_some_and(|issue| !issue.open));
    let merged = answers[1].pull_request.found();
    assert!(merged.is_some_and(|pull| pull.merged.is_some()));
}

fn is_merged(pass: &Pass, at: usize) -> bool {
    let pull = pass.answers[at].pull_request.found();
    pull.is_some_and(|pull| pull.merged.is_some())
}

#[tokio::test]
async fn who_asks_by_hand_does_not_wait_for_a_pause() {
    let (mut model, asks) = mixed(4, 1);
    model
        .token(TRUTH)
        .login("somebody")
        .without(Permission::IssuesRead);
    let repos: Vec<Repo> = asks[0].repos().take(1).collect();
    let account = |_: &str| Account::usual();
    let mut memory = Memory::default();
    let mut pass = |model: &mut Model, minute: u64, which: Scan| {
        let now = NOW.after(MINUTE * u32::try_from(minute).expect("minutes"));
        model.set_now(now.0);
        let how = || How {
            now,
            interval: MINUTE,
            shares: Shares::default(),
            resync: None,
        };
        let scan = Round::scan(std::mem::take(&mut memory), &repos, which, account, how());
        let scanned = drive(model, scan, now, |body| body).memory;
        let asked = Round::ask(scanned, asks.clone(), Doubt::Little, account, how());
        let ended = drive(model, asked, now, |body| body);
        memory = ended.memory;
        kind(&ended.answers[1].issue).to_owned()
    };
    for minute in 0..20 {
        assert_eq!(pass(&mut model, minute, Scan::Due), "denied");
    }
    model.token(TRUTH).with(Permission::IssuesRead);
    assert_eq!(pass(&mut model, 20, Scan::Due), "denied", "it pauses");
    let look = Scan::OlderThan(MINUTE * 30);
    assert_eq!(pass(&mut model, 20, look), "denied", "it was just tried");
    assert_eq!(
        pass(&mut model, 20, Scan::OlderThan(std::time::Duration::ZERO)),
        "found"
    );
}
