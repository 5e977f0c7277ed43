//! Where the token comes from, and what happens when GitHub does not take it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use vigil_github::{
    Account, Accounts, Fingerprint, NoToken, TokenChain, TokenOrigin, Tokens, Trouble,
};
use vigil_model::{Fault, Scope};

use crate::support::*;

fn env(name: &str, value: Option<&str>) -> TokenOrigin {
    TokenOrigin::Env {
        name: name.to_owned(),
        value: value.map(|value| SecretString::from(value.to_owned())),
    }
}

fn file(path: &Path) -> TokenOrigin {
    TokenOrigin::File {
        path: path.to_owned(),
    }
}

fn gh(program: impl Into<PathBuf>) -> TokenOrigin {
    TokenOrigin::GhCli {
        program: program.into(),
        host: "github.com".to_owned(),
        environment: vec![("ALLOWED".into(), "1".into())],
    }
}

/// The token and its origin, or what was tried.
async fn found(origins: Vec<TokenOrigin>) -> Result<(String, String), Vec<String>> {
    match TokenChain::new(origins).token(&Account::usual()).await {
        Ok(token) => Ok((token.secret.expose_secret().to_owned(), token.origin)),
        Err(NoToken::Missing { tried, .. }) => Err(tried),
        Err(other) => panic!("{other}"),
    }
}

#[cfg(unix)]
fn script(folder: &Path, name: &str, text: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let path = folder.join(name);
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("a script");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("its mode");
    path
}

#[tokio::test]
async fn the_first_place_that_has_one_wins() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("token");
    put_secret(&path, "  from-file\n");
    let pair = |token: &str, origin: &str| Ok((token.to_owned(), origin.to_owned()));
    let both = vec![
        env("GH_TOKEN", None),
        env("GITHUB_TOKEN", Some("second")),
        file(&path),
    ];
    assert_eq!(found(both).await, pair("second", "GITHUB_TOKEN"));
    let blank = vec![env("GH_TOKEN", Some(" ")), file(&path)];
    assert_eq!(
        found(blank).await,
        pair("from-file", &path.display().to_string())
    );
}

#[tokio::test]
async fn a_file_that_was_named_and_is_no_good_ends_the_search() {
    let folder = tempfile::tempdir().expect("a folder");
    let empty = folder.path().join("empty");
    put_secret(&empty, "\n");
    let odd = folder.path().join("odd");
    put_secret(&odd, "two words");
    for (path, how) in [
        (folder.path().join("missing"), "cannot be read"),
        (empty, "is empty"),
        (odd, "holds characters that no token has"),
    ] {
        let tried = found(vec![file(&path), env("GH_TOKEN", Some("other"))])
            .await
            .expect_err(how);
        assert_eq!(tried.len(), 1);
        assert!(tried[0].contains(how), "{tried:?}");
        assert!(!tried[0].contains("two words"));
    }
}

#[cfg(unix)]
#[tokio::test]
async fn gh_is_asked_last_and_its_silence_is_no_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let good = script(
        folder.path(),
        "good",
        r#"[ "$*" = "auth token --hostname github.com" ] && [ "$ALLOWED" = 1 ] && [ -z "$HOME" ] && echo from-gh"#,
    );
    let (token, origin) = found(vec![env("GH_TOKEN", None), gh(&good)])
        .await
        .expect("a token");
    assert_eq!(token, "from-gh");
    assert!(origin.ends_with("good auth token"), "{origin}");
    let out = script(folder.path(), "out", "echo secret-on-stderr >&2; exit 1");
    for (program, how) in [
        (out, "is gh logged in to github.com?"),
        (folder.path().join("missing"), "cannot be run"),
    ] {
        let tried = found(vec![env("GH_TOKEN", None), gh(program)])
            .await
            .expect_err(how);
        assert_eq!(tried[0], "GH_TOKEN is not set");
        assert!(tried[1].contains(how), "{tried:?}");
        assert!(!tried[1].contains("secret-on-stderr"));
    }
}

#[tokio::test]
async fn without_a_token_nothing_is_sent() {
    let server = serve(seed());
    let none = Arc::new(TokenChain::new(vec![
        env("GH_TOKEN", None),
        env("GITHUB_TOKEN", None),
    ]));
    let github = Client::new(settings(&server.rest_url(), none));
    let reply = ask(&github, &[by_number("acme/app", 299, 319, LEAN)]).await;
    assert_eq!(kinds(&reply), ["unauthenticated"]);
    let trouble = reply.trouble.expect("a trouble");
    assert_eq!(trouble.code(), "no-token");
    assert_eq!(
        trouble.to_string(),
        "there is no token for GitHub: GH_TOKEN is not set; GITHUB_TOKEN is not set"
    );
    assert_eq!(
        trouble.hint().as_deref(),
        Some("set GH_TOKEN, or run gh auth login")
    );
    assert_eq!(server.with(|model| model.tally().requests), 0);
}

#[tokio::test]
async fn a_rejected_token_is_rejected_once() {
    for fault in [Fault::BadCredentials, Fault::BadCredentialsExhausted] {
        let (model, asks) = fleet(60, 3);
        let server = serve(model);
        server.with(|model| model.fail(Scope::Any, fault));
        let reply = ask(&client(&server), &asks).await;
        assert_eq!(kinds(&reply), ["unauthenticated"]);
        assert_eq!(
            reply.trouble,
            Some(Trouble::TokenRejected {
                origin: "GH_TOKEN".to_owned()
            })
        );
        // Read again, it is the same; and the empty pot in its headers is no reason to be silent.
        assert_eq!(reply.usage.requests, 1);
        assert_eq!(reply.limited_until, None);
    }
}

#[tokio::test]
async fn a_token_that_was_renewed_is_read_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("token");
    put_secret(&path, "the-old-one");
    let (mut model, asks) = fleet(60, 3);
    model.token("the-old-one");
    let server = serve(model);
    let chain = Arc::new(TokenChain::new(vec![file(&path)]));
    let github = Client::new(settings(&server.rest_url(), chain));
    assert_eq!(kinds(&ask(&github, &asks).await), ["found"]);

    server.with(|model| {
        model.token("the-old-one").revoked();
        model.token("the-new-one");
    });
    put_secret(&path, "the-new-one");
    let reply = ask(&github, &asks).await;
    assert_eq!(kinds(&reply), ["found"]);
    assert_eq!(reply.usage.requests, 3);
    assert!(reply.trouble.is_none());

    // The new one is kept.
    assert_eq!(ask(&github, &asks).await.usage.requests, 2);

    // Renewed once more, and still no good: that is the end of it.
    server.with(|model| {
        model.token("the-new-one").revoked();
    });
    put_secret(&path, "the-third-one");
    let reply = ask(&github, &asks).await;
    assert_eq!(kinds(&reply), ["unauthenticated"]);
    assert_eq!(reply.usage.requests, 2);
}

#[test]
fn a_fingerprint_tells_tokens_apart_and_stays_the_same() {
    let of = |text: &str| Fingerprint::of(&SecretString::from(text.to_owned())).0;
    // Stored beside ETags: another value here means that every stored ETag is lost.
    assert_eq!(of("ghp_one"), "20e15934a42887a2");
    assert_ne!(of("ghp_one"), of("ghp_two"));
}

#[tokio::test]
async fn what_finds_the_same_token_is_one_account_with_one_share() {
    let folder = tempfile::tempdir().expect("a folder");
    let (path, other) = (folder.path().join("token"), folder.path().join("other"));
    put_secret(&path, "ghp_in_file");
    let usual = |set: Option<&str>| {
        let origins = vec![
            env("GH_TOKEN", set),
            env("GITHUB_TOKEN", Some(" ")),
            file(&path),
        ];
        TokenChain::new(origins)
    };
    let listed = |origin: TokenOrigin| TokenChain::new(vec![origin]);
    for (set, origin, is_same) in [
        (Some("ghp_one"), env("ACME_TOKEN", Some("ghp_one\n")), true),
        (Some("ghp_one"), env("ACME_TOKEN", Some("ghp_two")), false),
        (None, file(&path), true),
        // What is found here is not what was found there, if it ever is.
        (Some("ghp_one"), file(&path), false),
        (None, file(&other), false),
        (None, env("ACME_TOKEN", None), false),
    ] {
        let accounts =
            Accounts::new(usual(set)).with_token(["Acme", "beta"], listed(origin.clone()));
        let account = accounts.account("acme");
        assert_eq!(account == Account::usual(), is_same, "{set:?} {origin:?}");
        assert_eq!(accounts.account("BETA"), account, "{set:?} {origin:?}");
        if is_same {
            let (one, both) = (
                accounts.token(&account).await,
                usual(set).token(&account).await,
            );
            let (one, both) = (one.expect("a token"), both.expect("a token"));
            assert_eq!(one.fingerprint, both.fingerprint);
        }
    }
    // One entry for each owner, with one token.
    let accounts = Accounts::new(usual(Some("ghp_one")))
        .with_token(["acme"], listed(file(&other)))
        .with_token(["beta"], listed(file(&other)))
        .with_token(["gamma", "acme"], listed(env("GAMMA", Some("ghp_two"))));
    let names = ["acme", "beta", "gamma", "delta"].map(|owner| accounts.account(owner).0);
    assert_eq!(names, ["acme", "acme", "gamma", "default"]);
}
