//! GitHub Apps: their signatures, installations and tokens, against the model, which checks the signatures.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use vigil_core::{GapKind, Timestamp};
use vigil_github::{
    Access, Account, Accounts, App, AppKey, AppSettings, GitHub, KeyError, Network, NoToken,
    Sample, TokenChain, TokenKind, TokenOrigin, Tokens, Trouble,
};
use vigil_model::{Fault, Forbidden, Handle, Model, Permission, Scope, Server};

use crate::support::*;

const TIME: Duration = Duration::from_secs(60);

pub(crate) const PUBLIC: &str = include_str!("app/public.pem");

/// A copy of one of the test's keys that nobody else can read.
pub(crate) fn key(folder: &Path, name: &str) -> PathBuf {
    let from = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/app");
    let to = folder.join(name);
    std::fs::copy(from.join(name), &to).expect("a copy");
    mode(&to, 0o600);
    to
}

fn mode(path: &Path, mode: u32) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("a mode");
    }
}

/// A GitHub where App 7 is installed at acme, and the App as a client of it; both clocks can be turned.
struct World {
    server: Handle,
    /// GitHub's clock.
    theirs: Arc<AtomicU64>,
    /// The App's clock.
    ours: Arc<AtomicU64>,
    accounts: Arc<Accounts>,
    /// Holds the App's key.
    folder: tempfile::TempDir,
}

/// App 7 as a client of `server`.
fn app(key: &Path, server: &Handle, clock: Arc<AtomicU64>) -> App {
    App::new(AppSettings {
        id: "7".to_owned(),
        key: AppKey::read(key).expect("a key"),
        rest_url: server.rest_url(),
        user_agent: "vigil/0.1.0".to_owned(),
        request_timeout: Duration::from_secs(60),
        network: Network::default(),
        now: Arc::new(move || Timestamp(clock.load(Ordering::SeqCst))),
    })
    .expect("settings")
}

fn no_usual_token() -> TokenChain {
    TokenChain::new(vec![TokenOrigin::Env {
        name: "GH_TOKEN".to_owned(),
        value: None,
    }])
}

impl World {
    fn new() -> World {
        World::with_key("pkcs1.pem", None)
    }

    fn with_key(name: &str, owners: Option<&[&str]>) -> World {
        let folder = tempfile::tempdir().expect("a folder");
        let theirs = Arc::new(AtomicU64::new(NOW.0));
        let ours = Arc::new(AtomicU64::new(NOW.0));
        let mut model = seed();
        model.app(7, PUBLIC).installation(70, "acme");
        let clock = theirs.clone();
        let server = Server::start_with(
            model,
            ([127, 0, 0, 1], 0).into(),
            Arc::new(move || clock.load(Ordering::SeqCst)),
        )
        .expect("a port on loopback");
        let app = app(&key(folder.path(), name), &server, ours.clone());
        let accounts = Accounts::new(no_usual_token())
            .with_app(app, owners.map(|owners| owners.iter().copied()));
        World {
            server,
            theirs,
            ours,
            accounts: Arc::new(accounts),
            folder,
        }
    }

    fn wait(&self, span: Duration) {
        let ms = u64::try_from(span.as_millis()).expect("a span");
        self.theirs.fetch_add(ms, Ordering::SeqCst);
        self.ours.fetch_add(ms, Ordering::SeqCst);
    }

    async fn token(&self, owner: &str) -> Result<String, NoToken> {
        let account = self.accounts.account(owner);
        let token = self.accounts.token(&account).await?;
        Ok(token.secret.expose_secret().to_owned())
    }

    fn requests(&self) -> u64 {
        self.server.with(|model| model.tally().requests)
    }

    fn change(&self, change: impl FnOnce(&mut Model)) {
        self.server.with(change);
    }

    async fn access(&self, repo: &str) -> Result<Access, Trouble> {
        let (owner, _) = repo.split_once('/').expect("owner/name");
        let sample = Sample {
            repo: repo.to_owned(),
            issue: Some(299),
            pull_request: Some(319),
            branch: None,
        };
        let account = self.accounts.account(owner);
        let all = self.github().access(&account, &[sample], NOW, TIME).await?;
        Ok(all
            .repositories
            .into_iter()
            .next()
            .expect("one answer for each"))
    }

    fn github(&self) -> GitHub {
        GitHub::new(settings(&self.server.rest_url(), self.accounts.clone())).expect("settings")
    }
}

#[tokio::test]
async fn an_app_asks_with_its_installations_token_whatever_form_its_key_has() {
    for name in ["pkcs1.pem", "pkcs8.pem"] {
        let world = World::with_key(name, None);
        let all = world.access("Acme/app").await.expect(name);
        assert_eq!(kind(&all.readable), "found", "{name}: {all:?}");
        let account = world.accounts.account("Acme");
        assert_eq!(account.as_str(), "app 7 at acme");
        let token = world.accounts.token(&account).await.expect("a token");
        assert_eq!(token.kind(), TokenKind::Installation);
        assert_eq!(token.origin, "app 7 at acme");
        assert_eq!(
            token.lease.expires,
            Some(Timestamp(NOW.0 + 3_600_000)),
            "{token:?}"
        );
        let permissions = token.lease.permissions.expect("permissions");
        assert_eq!(permissions["checks"], "read");
    }
}

#[tokio::test]
async fn a_token_is_kept_and_renewed_before_it_runs_out() {
    let world = World::new();
    let first = world.token("acme").await.expect("a token");
    // The installation is looked up, and gives a token.
    assert_eq!(world.requests(), 2);
    world.wait(Duration::from_secs(54 * 60));
    assert_eq!(world.token("acme").await.expect("a token"), first);
    assert_eq!(world.requests(), 2);
    world.wait(Duration::from_secs(60));
    let second = world.token("acme").await.expect("a token");
    assert_ne!(second, first);
    // The installation is known by now.
    assert_eq!(world.requests(), 3);
    // While it cannot be renewed, the one that is held does, as long as it lasts.
    world.wait(Duration::from_secs(56 * 60));
    world.change(|model| model.fail(Scope::Any, Fault::Html(502)));
    assert_eq!(world.token("acme").await.expect("a token"), second);
    world.wait(Duration::from_secs(4 * 60));
    let none = world.token("acme").await.expect_err("it has run out");
    assert!(matches!(none, NoToken::Unanswered { .. }), "{none:?}");
    world.change(Model::heal);
    assert_ne!(world.token("acme").await.expect("a token"), second);
}

#[tokio::test]
async fn many_that_want_a_token_at_once_get_one() {
    let world = World::new();
    let account = world.accounts.account("acme");
    let all = (0..20).map(|_| {
        let (accounts, account) = (world.accounts.clone(), account.clone());
        tokio::spawn(async move { accounts.token(&account).await.expect("a token").fingerprint })
    });
    let mut fingerprints = Vec::new();
    for one in all.collect::<Vec<_>>() {
        fingerprints.push(one.await.expect("no panic"));
    }
    fingerprints.dedup();
    assert_eq!(fingerprints.len(), 1);
    assert_eq!(world.requests(), 2);
}

#[tokio::test]
async fn a_token_that_is_rejected_is_renewed_in_the_same_call() {
    let world = World::new();
    let held = world.token("acme").await.expect("a token");
    world.change(|model| {
        model.token(&held).revoked();
    });
    let all = world.access("acme/app").await.expect("an answer");
    assert_eq!(kind(&all.readable), "found");
    let second = world.token("acme").await.expect("a token");
    assert_ne!(second, held);
    world.change(|model| {
        model.token(&second).revoked();
    });
    let account = world.accounts.account("acme");
    let checked = world.github().check(&account, NOW, TIME).await;
    checked.expect("a check");
    assert_ne!(world.token("acme").await.expect("a token"), second);
    // One that nobody takes any more is an end, and no endless search.
    world.change(|model| model.fail_next(100, Fault::BadCredentials));
    let trouble = world.access("acme/app").await.expect_err("a rejection");
    assert_eq!(trouble.code(), "token-rejected");
}

#[tokio::test]
async fn a_key_that_was_replaced_is_read_again_when_the_old_one_is_refused() {
    let world = World::new();
    let first = world.token("acme").await.expect("a token");
    // The new key is put into the file, and the old one is taken away at GitHub.
    let next = key(world.folder.path(), "next.pem");
    let file = world.folder.path().join("pkcs1.pem");
    std::fs::rename(&next, &file).expect("it takes the old one's place");
    world.change(|model| {
        model.app(7, include_str!("app/next-public.pem"));
    });
    world.wait(Duration::from_secs(55 * 60));
    let asked = world.requests();
    assert_ne!(world.token("acme").await.expect("a token"), first);
    // Refused with the old key, and taken with the new one, which is kept.
    assert_eq!(world.requests(), asked + 2);
    world.wait(Duration::from_secs(55 * 60));
    world.token("acme").await.expect("a token");
    assert_eq!(world.requests(), asked + 3);

    // Once more, and this time nothing can be read: both are told.
    world.change(|model| {
        model.app(7, PUBLIC);
    });
    std::fs::remove_file(&file).expect("it was there");
    world.wait(Duration::from_secs(60 * 60));
    let none = world.token("acme").await.expect_err("no token");
    let said = none.to_string();
    assert!(
        said.contains("answered 401") && said.contains("its key could not be read again"),
        "{said}"
    );
    // It is put right, and asked for again after the pause that follows a refusal.
    key(world.folder.path(), "pkcs1.pem");
    world.wait(Duration::from_secs(5 * 60));
    world.token("acme").await.expect("a token");
}

#[tokio::test]
async fn where_it_is_not_installed_the_app_and_the_owner_are_named_and_github_is_left_alone() {
    let world = World::new();
    let none = world.token("beta").await.expect_err("no token");
    assert_eq!(none.gap().kind, GapKind::Unauthenticated);
    let trouble = world.access("beta/app").await.expect_err("no token");
    assert_eq!(trouble.code(), "no-token");
    assert_eq!(trouble.to_string(), "app 7 is not installed at beta");
    assert!(trouble.hint().expect("a hint").contains("beta"));
    let asked = world.requests();
    world.token("beta").await.expect_err("no token");
    world.token("acme").await.expect("a token of another owner");
    assert_eq!(world.requests(), asked + 2);
    // A person installs it.
    world.change(|model| {
        model.app(7, PUBLIC).installation(71, "beta");
    });
    world.wait(Duration::from_secs(5 * 60));
    world.token("beta").await.expect("a token");
}

#[tokio::test]
async fn an_installation_that_was_put_back_is_found_again() {
    let world = World::new();
    let first = world.token("acme").await.expect("a token");
    world.change(|model| {
        model.app(7, PUBLIC).uninstalled(70);
        model.app(7, PUBLIC).installation(72, "acme");
    });
    world.wait(Duration::from_secs(56 * 60));
    assert_ne!(world.token("acme").await.expect("a token"), first);
}

#[tokio::test]
async fn what_github_says_against_it_is_told() {
    let world = World::new();
    world.change(|model| {
        model
            .app(7, PUBLIC)
            .installation(70, "acme")
            .suspended(true);
    });
    let none = world.token("acme").await.expect_err("it is suspended");
    assert!(matches!(none, NoToken::Refused { .. }));
    assert!(none.to_string().contains("suspended"), "{none}");

    // Another App's key.
    let world = World::new();
    world.change(|model| {
        model.app(7, "no key");
    });
    let none = world.token("acme").await.expect_err("a refusal");
    let NoToken::Refused { detail, hint } = &none else {
        panic!("{none:?}");
    };
    assert!(detail.contains("could not be decoded"), "{detail}");
    assert!(hint.contains("key of app 7"), "{hint}");

    for (fault, code) in [
        (
            Fault::Forbidden(Forbidden::Secondary(Some(30))),
            "rate-limited",
        ),
        (Fault::TooManyRequests(Some(30)), "rate-limited"),
        (Fault::Html(502), "unanswered"),
        (Fault::CutJson, "unanswered"),
        (Fault::Reset, "unanswered"),
    ] {
        let world = World::new();
        world.change(|model| model.fail(Scope::Any, fault.clone()));
        let none = world.token("acme").await.expect_err(code);
        assert!(none.to_string().contains("acme"), "{none}");
        assert_eq!(Trouble::from(none).code(), code, "{fault:?}");
        let asked = world.requests();
        if code == "rate-limited" {
            // As long as it said.
            world.wait(Duration::from_secs(29));
            world.token("acme").await.expect_err(code);
            assert_eq!(world.requests(), asked, "{fault:?}");
        }
        world.change(Model::heal);
        world.wait(Duration::from_secs(2));
        world.token("acme").await.expect("a token");
    }
}

#[tokio::test]
async fn an_app_that_is_told_to_stop_asks_for_nobody_and_waits_longer_each_time() {
    let world = World::new();
    world.change(|model| model.fail(Scope::Any, Fault::TooManyRequests(None)));
    let mut minutes = Vec::new();
    for minute in 0..=40_u64 {
        let asked = world.requests();
        for owner in ["acme", "somebody"] {
            world.token(owner).await.expect_err("no token");
        }
        if world.requests() > asked {
            assert_eq!(world.requests() - asked, 1, "one asks, and all are told");
            minutes.push(minute);
        }
        world.wait(Duration::from_secs(60));
    }
    assert_eq!(minutes, [0, 1, 3, 7, 15, 31]);
    world.change(Model::heal);
    world.wait(Duration::from_secs(32 * 60));
    world.token("acme").await.expect("a token");
}

#[tokio::test]
async fn an_app_that_was_told_to_stop_asks_for_nobody_after_a_restart_either() {
    let world = World::new();
    world.change(|model| {
        model.app(7, PUBLIC).installation(71, "beta");
        model.fail_next(1, Fault::TooManyRequests(Some(600)));
    });
    let client = |accounts: &Arc<Accounts>| {
        Client::new(settings(&world.server.rest_url(), accounts.clone()))
    };
    let ask = async |client: &Client, owner: &str| {
        let asks = [by_number(&format!("{owner}/app"), 1, 2, LEAN)];
        let now = Timestamp(world.ours.load(Ordering::SeqCst));
        client.ask(&asks, now, TIME).await.trouble
    };
    let is_limited = |trouble: Option<Trouble>| matches!(trouble, Some(Trouble::Limited { .. }));
    let before = client(&world.accounts);
    assert!(is_limited(ask(&before, "acme").await));
    assert_eq!(world.requests(), 1);
    // Another process with what the first one stored, for an owner for whom nobody has asked yet.
    let key = world.folder.path().join("pkcs1.pem");
    let again = || {
        let app = app(&key, &world.server, world.ours.clone());
        Arc::new(Accounts::new(no_usual_token()).with_app(app, None::<[&str; 0]>))
    };
    let after = client(&again()).told_by(&before);
    assert!(is_limited(ask(&after, "beta").await));
    assert_eq!(world.requests(), 1);
    // Until it is over.
    world.wait(Duration::from_secs(600));
    ask(&client(&again()).told_by(&after), "beta").await;
    assert!(world.requests() > 1);
}

#[tokio::test]
async fn a_clock_that_is_wrong_is_put_right_by_githubs() {
    for (theirs, requests) in [
        (-1_200_000_i64, 3),
        (1_200_000, 3),
        (-20_000, 2),
        (20_000, 2),
    ] {
        let world = World::new();
        let moved = NOW.0.saturating_add_signed(theirs);
        world.theirs.store(moved, Ordering::SeqCst);
        let account = world.accounts.account("acme");
        let token = world.accounts.token(&account).await.expect("a token");
        assert_eq!(world.requests(), requests, "{theirs}");
        let expires = token.lease.expires.expect("an end").0;
        // By this machine's clock it is an hour, but for what was not put right.
        let off = (NOW.0 + 3_600_000).abs_diff(expires);
        assert!(off <= 30_000, "{theirs}: {off}");
    }
}

#[tokio::test]
async fn an_owner_is_asked_about_by_whoever_was_named_for_it() {
    let listed = |secret: &str| {
        TokenChain::new(vec![TokenOrigin::Env {
            name: "X".to_owned(),
            value: Some(SecretString::from(secret.to_owned())),
        }])
    };
    let accounts = Accounts::new(listed("usual"))
        .with_token(["Acme", "beta"], listed("of-acme"))
        .with_token(["default"], listed("of-default"));
    for (owner, account, secret) in [
        ("acme", "acme", "of-acme"),
        ("ACME", "acme", "of-acme"),
        ("Beta", "acme", "of-acme"),
        ("default", "owner default", "of-default"),
        ("else", "default", "usual"),
        ("", "default", "usual"),
    ] {
        let chosen = accounts.account(owner);
        assert_eq!(chosen.as_str(), account, "{owner}");
        let token = accounts.token(&chosen).await.expect("a token");
        assert_eq!(token.secret.expose_secret(), secret, "{owner}");
        let again = accounts.refresh(&chosen).await.expect("a token");
        assert_eq!(again.secret.expose_secret(), secret, "{owner}");
    }
    // An App for one owner leaves the others to the usual token.
    let world = World::with_key("pkcs1.pem", Some(&["ACME"]));
    assert_eq!(world.accounts.account("acme").as_str(), "app 7 at acme");
    assert_eq!(world.accounts.account("beta"), Account::usual());
    // Nobody in particular has no installation.
    assert_eq!(World::new().accounts.account(""), Account::usual());
}

#[tokio::test]
async fn an_owner_that_is_none_is_put_into_no_address() {
    let world = World::new();
    for owner in ["..", "acme/../../user", "a b", "%2e"] {
        world.token(owner).await.expect_err(owner);
    }
    assert_eq!(world.requests(), 0);
}

#[test]
fn a_key_that_others_can_read_or_that_is_none_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = key(folder.path(), "pkcs1.pem");
    for open in [0o644, 0o604] {
        mode(&path, open);
        let error = AppKey::read(&path).expect_err("others can read it");
        assert_eq!(error.hint(), format!("run chmod o= {}", path.display()));
    }
    let missing = AppKey::read(&folder.path().join("missing")).expect_err("no file");
    assert!(matches!(missing, KeyError::File(_)), "{missing:?}");
    for (name, text) in [
        ("public", PUBLIC),
        (
            "text",
            "-----BEGIN RSA PRIVATE KEY-----\naGVsbG8=\n-----END RSA PRIVATE KEY-----\n",
        ),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("a file");
        mode(&path, 0o600);
        let error = AppKey::read(&path).expect_err(name);
        assert!(matches!(error, KeyError::NoKey { .. }), "{name}: {error:?}");
        assert!(!error.to_string().contains("aGVsbG8"), "{error}");
    }
}

#[tokio::test]
async fn a_permission_that_the_installation_lacks_is_known_beforehand() {
    let world = World::new();
    world.change(|model| {
        model
            .app(7, PUBLIC)
            .installation(70, "acme")
            .without(Permission::ActionsRead);
    });
    let account = world.accounts.account("acme");
    let check = world
        .github()
        .check(&account, NOW, TIME)
        .await
        .expect("a check");
    let permissions = check.permissions.expect("permissions");
    let without = vigil_github::check::facts_without(&permissions);
    assert_eq!(without.get("runs"), Some(&"Actions"), "{without:?}");
    assert_eq!(without.len(), 1);
    assert_eq!(check.expires, Some(Timestamp(NOW.0 + 3_600_000)));
}
