//! What `doctor` is told.

use std::time::Duration;

use vigil_core::Timestamp;
use vigil_github::{Account, GitHub, TokenKind, Trouble};
use vigil_model::{Fault, Forbidden, Scope};

use crate::support::*;

const TIME: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_good_token_shows_its_pots_and_the_clock_for_free() {
    let server = serve(seed());
    // This machine is 90 s behind.
    let check = client(&server)
        .github
        .check(&Account::usual(), Timestamp(NOW.0 - 90_000), TIME)
        .await
        .expect("a check");
    assert_eq!(check.origin, "GH_TOKEN");
    assert_eq!(check.kind, TokenKind::Classic);
    assert_eq!(check.graphql.limit, Some(5000));
    assert_eq!(check.graphql.remaining, Some(5000));
    assert_eq!(check.rest.remaining, Some(5000));
    assert!(check.rest.reset.expect("a reset") > NOW);
    let ahead = check.ahead_ms.expect("a date");
    // Less what the answer took.
    assert!((30_000..=90_000).contains(&ahead), "{ahead}");
    server.with(|model| assert_eq!((model.tally().rest_charged, model.tally().points), (0, 0)));
}

#[tokio::test]
async fn every_trouble_has_its_name() {
    for (fault, code) in [
        (Fault::BadCredentials, "token-rejected"),
        (Fault::BadCredentialsExhausted, "token-rejected"),
        (Fault::Forbidden(Forbidden::Permission), "refused"),
        (Fault::Forbidden(Forbidden::Secondary(None)), "rate-limited"),
        (Fault::TooManyRequests(Some(7)), "rate-limited"),
        (Fault::Html(503), "unanswered"),
        (Fault::CutJson, "unanswered"),
        (Fault::CutBody, "unanswered"),
        (Fault::Reset, "unanswered"),
    ] {
        let server = serve(seed());
        server.with(|model| model.fail(Scope::Any, fault.clone()));
        let trouble = client(&server)
            .github
            .check(&Account::usual(), NOW, TIME)
            .await
            .expect_err(code);
        assert_eq!(trouble.code(), code, "{fault:?}");
    }
    let server = serve(seed());
    server.with(|model| model.fail(Scope::Any, Fault::Hang));
    let trouble = client(&server)
        .github
        .check(&Account::usual(), NOW, Duration::from_millis(20))
        .await;
    assert_eq!(trouble.expect_err("a hang").code(), "unanswered");
}

#[tokio::test]
async fn an_unknown_token_is_named_by_where_it_came_from() {
    let server = serve(seed());
    let github = GitHub::new(settings(&server.rest_url(), tokens("other"))).expect("settings");
    let trouble = github
        .check(&Account::usual(), NOW, TIME)
        .await
        .expect_err("a rejection");
    assert_eq!(
        trouble,
        Trouble::TokenRejected {
            origin: "GH_TOKEN".to_owned()
        }
    );
    assert_eq!(
        trouble.to_string(),
        "GitHub rejected the token from GH_TOKEN"
    );
    assert!(trouble.hint().expect("a hint").contains("gh auth login"));
}

#[tokio::test]
async fn whose_a_token_is_is_told_where_github_says() {
    let server = serve(seed());
    let account = Account::usual();
    // Each with a client of its own, since a limit that one was told holds for whatever it asks next.
    let user = async || client(&server).github.user(&account, NOW, TIME).await;
    let told = user().await.expect("a user");
    assert_eq!(told.login.as_deref(), Some("octocat"));
    assert_eq!(told.rest.remaining, Some(4_999));
    for (fault, code) in [
        (Fault::BadCredentialsExhausted, "token-rejected"),
        (Fault::TooManyRequests(Some(30)), "rate-limited"),
        (Fault::Reset, "unanswered"),
    ] {
        server.with(|model| model.fail_next_in(Scope::Rest, 1, fault.clone()));
        assert_eq!(user().await.expect_err(code).code(), code, "{fault:?}");
    }
    // An installation is no user.
    server.with(|model| {
        model
            .token(TOKEN)
            .kind(vigil_model::TokenKind::Installation);
    });
    assert_eq!(user().await.expect("an answer").login, None);
}
