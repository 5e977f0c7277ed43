//! Tokens that go and come while a fleet is watched.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use vigil_core::Timestamp;
use vigil_github::{
    Accounts, App, AppKey, AppSettings, Network, Settings, TokenChain, TokenOrigin, Trouble,
};
use vigil_model::{Fault, Model, Scope};

use super::fleet::*;
use crate::app::{PUBLIC, key};
use crate::support::*;

const NEXT: &str = "ghp_theNextTokenThatNobodyMaySee0123456";

fn in_file(path: &Path) -> TokenChain {
    TokenChain::new(vec![TokenOrigin::File {
        path: path.to_owned(),
    }])
}

/// A fleet whose token stands in a file.
async fn watched(folder: &tempfile::TempDir) -> Fleet {
    let path = folder.path().join("token");
    put_secret(&path, TOKEN);
    let (model, asks) = mixed(120, 3);
    let mut fleet = Fleet::with_tokens(model, asks, Arc::new(in_file(&path)));
    let pass = fleet.pass().await;
    fleet.all_true(&pass);
    let pass = fleet.after(MINUTE).await;
    assert_eq!(pass.kinds(), ["found"]);
    fleet
}

fn much_changes(model: &mut Model) {
    for n in 1..=120 {
        let repo = format!("acme/app-{}", n % 3);
        model.repo(&repo).pull(n + 100_000).label("x");
    }
}

#[tokio::test]
async fn a_token_that_is_revoked_while_a_pass_is_under_way_ends_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut fleet = watched(&folder).await;
    fleet.change(|model| {
        much_changes(model);
        // The lists and the first query are answered.
        model.fail_next_in(Scope::GraphQl, 1, Fault::Delay(1));
    });
    fleet.wait(MINUTE);
    fleet.scan().await;
    fleet.change(|model| {
        model.token(TOKEN).revoked();
    });
    let before = fleet.tally().requests;
    let pass = fleet.pass().await;
    fleet.nothing_false(&pass);
    assert!(matches!(pass.trouble, Some(Trouble::TokenRejected { .. })));
    assert_eq!(fleet.tally().requests - before, 1, "it is not tried again");
    fleet.change(|model| {
        model.token(TOKEN).restored();
    });
    fleet.until_learned().await;
}

#[tokio::test]
async fn a_token_that_is_replaced_goes_without_the_etags_of_the_old_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut fleet = watched(&folder).await;
    let pass = fleet.after(MINUTE).await;
    assert_eq!(pass.usage.unchanged, 3, "the lists are known");
    put_secret(folder.path().join("token"), NEXT);
    fleet.change(|model| {
        model.rotate_token(TOKEN, NEXT);
        much_changes(model);
    });
    let before = fleet.tally();
    let pass = fleet.after(MINUTE).await;
    fleet.all_true(&pass);
    let after = fleet.tally();
    assert!(after.refused > before.refused);
    // Whatever was asked with the old one was refused; nothing that was asked with the new one was conditional.
    assert_eq!(after.not_modified, before.not_modified);
    assert!(after.conditional - before.conditional <= 4);
    let pass = fleet.after(MINUTE).await;
    assert_eq!(pass.usage.unchanged, 3, "the new one has its own by now");
}

#[tokio::test]
async fn a_token_that_is_replaced_while_its_points_are_used_up_has_none_either() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut fleet = watched(&folder).await;
    let used_up = Fault::RateLimited {
        headers: true,
        older_name: false,
    };
    fleet.change(|model| {
        much_changes(model);
        model.fail_next_in(Scope::GraphQl, 1, used_up);
    });
    fleet.after(MINUTE).await;
    put_secret(folder.path().join("token"), NEXT);
    fleet.change(|model| {
        model.rotate_token(TOKEN, NEXT);
        much_changes(model);
    });
    let before = fleet.tally();
    // Its lists are read with the new one, and nobody asks for what is the same user's.
    for _ in 0..50 {
        fleet.after(MINUTE).await;
    }
    let after = fleet.tally();
    assert!(after.rest > before.rest + 4, "the lists go on");
    assert_eq!(after.graphql, before.graphql);
    fleet.until_learned().await;
}

#[tokio::test]
async fn an_etag_of_the_old_token_is_not_sent_with_the_new_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut fleet = watched(&folder).await;
    fleet.after(MINUTE).await;
    // Another process, with another token from the start.
    fleet.change(|model| model.rotate_token(TOKEN, NEXT));
    fleet.restart();
    let settings = settings(&fleet.server.rest_url(), tokens(NEXT));
    fleet.settle_for(settings);
    let before = fleet.tally();
    let pass = fleet.after(MINUTE).await;
    fleet.all_true(&pass);
    let after = fleet.tally();
    assert_eq!(after.conditional, before.conditional);
    assert_eq!(after.rest - before.rest, 3);
    assert_eq!(after.refused, before.refused);
}

#[tokio::test]
async fn a_token_that_expires_is_rejected_and_another_account_goes_on() {
    let chain = |secret: &str| {
        TokenChain::new(vec![TokenOrigin::Env {
            name: "GH_TOKEN".to_owned(),
            value: Some(secrecy::SecretString::from(secret.to_owned())),
        }])
    };
    let accounts = Accounts::new(chain(TOKEN)).with_token(["umbrella"], chain(NEXT));
    let (mut model, mut asks) = mixed(4, 1);
    model
        .token(NEXT)
        .login("somebody")
        .expires_at(NOW.0 + 90_000);
    model.repo("umbrella/app").issue(1).pull(2).head("fix");
    asks.push(by_number("umbrella/app", 1, 2, ALL));
    let mut fleet = Fleet::with_tokens(model, asks, Arc::new(accounts));
    let pass = fleet.pass().await;
    fleet.all_true(&pass);
    fleet.wait(Duration::from_secs(120));
    fleet.change(|model| {
        model.repo("umbrella/app").pull(2).merged();
        model.repo("acme/app-0").issue(1).closed("completed");
    });
    let pass = fleet.pass().await;
    fleet.nothing_false(&pass);
    assert_eq!(pass.pair(4), ("unauthenticated", "unauthenticated"));
    assert!(!pass.issue(0).open, "the other account goes on");
    fleet.change(|model| {
        model.token(NEXT).expires_at(NOW.0 + 86_400_000);
    });
    fleet.until_learned().await;
}

/// An App with this key asks about everybody.
fn app_settings(url: &str, key: AppKey, clock: &Arc<AtomicU64>) -> Settings {
    let ours = clock.clone();
    let app = App::new(AppSettings {
        id: "7".to_owned(),
        key,
        rest_url: url.to_owned(),
        user_agent: "vigil/0.1.0".to_owned(),
        request_timeout: MINUTE,
        network: Network::default(),
        now: Arc::new(move || Timestamp(ours.load(Ordering::SeqCst))),
    })
    .expect("settings");
    let accounts = Accounts::new(TokenChain::new(Vec::new()));
    settings(url, Arc::new(accounts.with_app(app, None::<[&str; 0]>)))
}

#[tokio::test]
async fn an_app_that_was_told_to_stop_is_not_asked_by_the_next_process_either() {
    let folder = tempfile::tempdir().expect("a folder");
    let key = || AppKey::read(&key(folder.path(), "pkcs8.pem")).expect("a key");
    let (mut model, asks) = mixed(6, 2);
    model.app(7, PUBLIC).installation(70, "acme");
    model.fail_next_in(Scope::Rest, 1, Fault::TooManyRequests(Some(600)));
    let clock = Arc::new(AtomicU64::new(NOW.0));
    let mut fleet =
        Fleet::with_settings(model, asks, &clock, |url| app_settings(url, key(), &clock));
    let pass = fleet.pass().await;
    assert_eq!(pass.kinds(), ["rate-limited"]);
    assert!(matches!(pass.trouble, Some(Trouble::Limited { .. })));
    for _ in 0..9 {
        fleet.restart();
        let settings = app_settings(&fleet.server.rest_url(), key(), &clock);
        fleet.settle_for(settings);
        let pass = fleet.after(MINUTE).await;
        assert_eq!(pass.kinds(), ["rate-limited"]);
    }
    assert_eq!(fleet.tally().requests, 1);
    fleet.until_learned().await;
}

#[tokio::test]
async fn an_apps_tokens_come_and_go_and_nothing_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let key = AppKey::read(&key(folder.path(), "pkcs8.pem")).expect("a key");
    let (mut model, asks) = mixed(6, 2);
    model.app(7, PUBLIC).installation(70, "acme");
    let clock = Arc::new(AtomicU64::new(NOW.0));
    let mut fleet = Fleet::with_settings(model, asks, &clock, |url| app_settings(url, key, &clock));
    let pass = fleet.pass().await;
    fleet.all_true(&pass);
    let mut conditional = Vec::new();
    for at in 1..=20_u64 {
        fleet.change(|model| {
            let n = at % 6 + 1;
            model
                .repo(&format!("acme/app-{}", n % 2))
                .issue(n)
                .label(&format!("at-{at}"));
        });
        let before = fleet.tally();
        let pass = fleet.after(MINUTE * 10).await;
        fleet.all_true(&pass);
        conditional.push(fleet.tally().conditional - before.conditional);
    }
    let tally = fleet.tally();
    assert_eq!(tally.refused, 0);
    let tokens = tally
        .log
        .iter()
        .filter(|asked| asked.target.ends_with("/access_tokens"));
    // Three hours and twenty minutes, renewed a little before each hour is over.
    assert_eq!(tokens.count(), 4);
    // The first look with each new token is unconditional, all others say what is known.
    let unconditional = conditional.iter().filter(|count| **count == 0).count();
    assert_eq!(unconditional, 4, "{conditional:?}");

    // Nobody looked while the last one ran out.
    fleet.wait(MINUTE * 200);
    let pass = fleet.pass().await;
    fleet.all_true(&pass);
    assert_eq!(fleet.tally().refused, 0);
}
