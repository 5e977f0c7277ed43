//! The token goes into one header, and nowhere else.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::response::IntoResponse;
use http::{HeaderMap, StatusCode, header};
use tracing_subscriber::fmt::MakeWriter;
use vigil_github::{
    Accounts, App, AppKey, AppSettings, GitHub, Network, Proxies, ProxyVariable, Roots, Settings,
    TokenChain, TokenOrigin,
};
use vigil_model::{Fault, Forbidden, Scope};

use crate::support::*;
use crate::tls::{Manner, proxy};

const TIME: Duration = Duration::from_secs(60);

/// How an echo spells the token.
#[derive(Clone, Copy)]
enum Spelled {
    /// As it is.
    Plainly,
    /// With JSON's escapes, so that only a reader of the JSON sees it.
    Escaped,
}

/// A server that answers with `status` and a body in which the token stands, as a bad proxy might.
async fn echo(status: StatusCode, spelled: Spelled) -> (String, Arc<Mutex<Vec<HeaderMap>>>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let headers = seen.clone();
    let app = Router::new().fallback(move |request: Request| {
        let headers = headers.clone();
        async move {
            let token = request.headers()[header::AUTHORIZATION]
                .to_str()
                .unwrap_or("")
                .to_owned();
            headers
                .lock()
                .expect("the lock")
                .push(request.headers().clone());
            let body = serde_json::json!({
                "message": format!("rejected: {token}"),
                "errors": [{ "type": "FORBIDDEN", "message": format!("rejected: {token}") }],
            });
            let body = body.to_string();
            let body = match spelled {
                Spelled::Plainly => body,
                Spelled::Escaped => body.replace(TOKEN, &escaped(TOKEN)),
            };
            (status, body).into_response()
        }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("its address"));
    tokio::spawn(async move { axum::serve(listener, app).await });
    (url, seen)
}

fn escaped(text: &str) -> String {
    text.bytes().map(|byte| format!("\\u{byte:04x}")).collect()
}

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("the lock").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Captured {
    type Writer = Captured;

    fn make_writer(&'a self) -> Captured {
        self.clone()
    }
}

#[tokio::test]
async fn the_token_is_in_no_gap_no_trouble_and_no_log() {
    let log = Captured::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(log.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let mut said = String::new();
    let statuses = [200, 400, 401, 403, 404, 429, 500, 502];
    let echoes = statuses
        .iter()
        .flat_map(|status| [(*status, Spelled::Plainly), (*status, Spelled::Escaped)]);
    for (status, spelled) in echoes {
        let status = StatusCode::from_u16(status).expect("a status");
        let (url, _) = echo(status, spelled).await;
        let github = Client::new(settings(&url, tokens(TOKEN)));
        let reply = ask(&github, &[by_number("acme/app", 1, 2, ALL)]).await;
        assert!(!kinds(&reply).contains(&"found"));
        said.push_str(&format!("{reply:?}"));
        let account = vigil_github::Account::usual();
        let check = github
            .github
            .check(&account, NOW, std::time::Duration::from_secs(60))
            .await;
        said.push_str(&format!("{check:?}"));
    }
    assert!(said.contains("rejected: Bearer [token]"), "{said}");
    assert!(!said.contains(TOKEN));
    let chain = tokens(TOKEN);
    let origin = TokenOrigin::Env {
        name: "GH_TOKEN".to_owned(),
        value: Some(TOKEN.to_owned().into()),
    };
    assert!(!format!("{chain:?} {origin:?}").contains(TOKEN));
    let log = String::from_utf8_lossy(&log.0.lock().expect("the lock")).into_owned();
    assert!(log.contains("GitHub asked"), "nothing was logged: {log}");
    assert!(!log.contains(TOKEN));
}

/// An App with its key, behind a proxy with a password, while everything is logged that anybody logs: nothing of it is
/// to be found, whether things go well or not.
#[tokio::test]
async fn neither_key_nor_signature_nor_password_is_told() {
    const PASSWORD: &str = "hunter2";
    // me:hunter2
    const BASIC: &str = "bWU6aHVudGVyMg";
    let log = Captured::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(log.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let mut model = seed();
    model
        .app(7, include_str!("app/public.pem"))
        .installation(70, "acme");
    let server = serve(model);
    let (at, _) = proxy(server.address(), Manner::Guarded).await;
    let variable = ProxyVariable {
        name: "http_proxy".to_owned(),
        value: format!("http://me:{PASSWORD}@{at}").into(),
    };
    let network = Network {
        proxies: Proxies::new(None, Some(variable.clone()), None, None).expect("a proxy"),
        roots: Roots::default(),
    };
    let folder = tempfile::tempdir().expect("a folder");
    let path = crate::app::key(folder.path(), "pkcs1.pem");
    let key = AppKey::read(&path).expect("a key");
    let mut said = format!("{variable:?} {network:?} {key:?}");
    let app = App::new(AppSettings {
        id: "7".to_owned(),
        key,
        rest_url: "http://github.test".to_owned(),
        user_agent: "vigil/0.1.0".to_owned(),
        request_timeout: TIME,
        network: network.clone(),
        now: Arc::new(|| NOW),
    });
    let accounts =
        Accounts::new(TokenChain::new(vec![])).with_app(app.expect("settings"), None::<Vec<&str>>);
    let github = GitHub::new(Settings {
        network,
        ..settings("http://github.test", Arc::new(accounts))
    })
    .expect("settings");
    let account = github.account("acme");
    let faults = [
        None,
        Some(Fault::BadCredentials),
        Some(Fault::Forbidden(Forbidden::Permission)),
        Some(Fault::Html(502)),
        Some(Fault::CutJson),
        Some(Fault::Reset),
    ];
    let mut worked = 0;
    for fault in faults {
        server.with(|model| {
            model.heal();
            if let Some(fault) = fault {
                model.fail(Scope::Any, fault);
            }
        });
        let check = github.check(&account, NOW, TIME).await;
        worked += u32::from(check.is_ok());
        said.push_str(&format!("{check:?}"));
    }
    assert_eq!(worked, 1, "{said}");
    server.shutdown();
    let check = github.check(&account, NOW, TIME).await;
    said.push_str(&format!("{check:?}"));
    let pem = std::fs::read_to_string(path).expect("the key");
    let line = pem.lines().nth(1).expect("a line of the key");
    let log = String::from_utf8_lossy(&log.0.lock().expect("the lock")).into_owned();
    assert!(log.contains("github.test"), "nothing was logged: {log}");
    // `eyJ` begins every signature, `ghs_` every token of an installation.
    for secret in [PASSWORD, BASIC, line, "eyJ", "ghs_"] {
        assert!(!said.contains(secret), "{secret}: {said}");
        assert!(!log.contains(secret), "{secret} is logged");
    }
}

#[tokio::test]
async fn a_request_says_who_asks_once() {
    let (url, seen) = echo(StatusCode::UNAUTHORIZED, Spelled::Plainly).await;
    let github = Client::new(settings(&url, tokens(TOKEN)));
    ask(&github, &[by_number("acme/app", 1, 2, ALL)]).await;
    let seen = seen.lock().expect("the lock");
    let all = |name| seen[0].get_all(name).iter().collect::<Vec<_>>();
    assert_eq!(all(header::USER_AGENT), ["vigil/0.1.0"]);
    assert_eq!(all(header::AUTHORIZATION), [&format!("Bearer {TOKEN}")]);
    assert_eq!(all(header::CONTENT_TYPE), ["application/json"]);
}

#[tokio::test]
async fn an_endless_body_is_not_read_to_its_end() {
    let app = Router::new().fallback(|| async { " ".repeat(17 * 1024 * 1024) });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("its address"));
    tokio::spawn(async move { axum::serve(listener, app).await });
    let github = Client::new(settings(&url, tokens(TOKEN)));
    let reply = ask(&github, &[by_number("acme/app", 1, 2, ALL)]).await;
    assert_eq!(kinds(&reply), ["too-large"]);
}
