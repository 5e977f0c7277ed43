//! Proxies and certificates, over real sockets.

use std::time::Duration;

use secrecy::SecretString;
use vigil_github::{
    Account, Check, GitHub, Network, NetworkError, Proxies, ProxyVariable, Roots, Sample, Settings,
    Trouble,
};

use crate::support::*;
use crate::tls::{
    EXPIRED, ITSELF, Manner, authority, behind_tls, hanging_up, proxy, showing, socks,
};

const TIME: Duration = Duration::from_secs(60);

fn variable(name: &str, value: String) -> Option<ProxyVariable> {
    Some(ProxyVariable {
        name: name.to_owned(),
        value: SecretString::from(value),
    })
}

/// Trusts the tests' own authority alone.
fn trusting(proxies: Result<Proxies, NetworkError>) -> Network {
    Network {
        proxies: proxies.expect("proxies"),
        roots: Roots {
            file: Some(authority()),
            dirs: vec![],
        },
    }
}

fn through(https: String) -> Network {
    trusting(Proxies::new(
        variable("HTTPS_PROXY", https),
        None,
        None,
        None,
    ))
}

async fn check(url: &str, network: Network) -> Result<Check, Trouble> {
    let github = GitHub::new(Settings {
        network,
        ..settings(url, tokens(TOKEN))
    });
    github
        .expect("settings")
        .check(&Account::usual(), NOW, TIME)
        .await
}

#[tokio::test]
async fn https_goes_through_a_tunnel_and_the_password_no_further_than_the_proxy() {
    let server = serve(seed());
    let (inner, requests) = behind_tls(server.address()).await;
    for (manner, scheme) in [(Manner::Guarded, "http"), (Manner::OverTls, "https")] {
        let (at, heard) = proxy(inner, manner).await;
        requests.lock().expect("the lock").clear();
        // The proxy's own certificate names addresses as well.
        let network = through(format!("{scheme}://me:hunter2@{at}"));
        let checked = check("https://github.test", network)
            .await
            .expect("a check");
        assert_eq!(checked.graphql.limit, Some(5000));
        let heard = heard.lock().expect("the lock");
        assert_eq!(heard.len(), 1, "{heard:?}");
        assert!(heard[0].starts_with("CONNECT github.test:443 HTTP/1.1\r\n"));
        // What the tunnel carries is GitHub's alone.
        assert!(!heard[0].contains(TOKEN));
        let requests = requests.lock().expect("the lock");
        assert!(requests[0].starts_with("GET /rate_limit HTTP/1.1\r\n"));
        assert!(
            !requests[0].to_lowercase().contains("proxy-"),
            "{requests:?}"
        );
    }
}

#[tokio::test]
async fn http_goes_through_the_proxy_as_it_is() {
    let server = serve(seed());
    let (at, heard) = proxy(server.address(), Manner::Guarded).await;
    let network = trusting(Proxies::new(
        None,
        variable("http_proxy", format!("me:hunter2@{at}")),
        None,
        None,
    ));
    check("http://github.test", network).await.expect("a check");
    let heard = heard.lock().expect("the lock");
    assert!(
        heard[0].starts_with("GET http://github.test/rate_limit HTTP/1.1\r\n"),
        "{heard:?}"
    );
}

#[tokio::test]
async fn socks_is_spoken_and_looks_the_name_up() {
    let server = serve(seed());
    let (inner, _) = behind_tls(server.address()).await;
    let (at, heard) = socks(inner).await;
    let network = trusting(Proxies::new(
        None,
        None,
        variable("ALL_PROXY", format!("socks5h://me:hunter2@{at}")),
        None,
    ));
    check("https://github.test", network)
        .await
        .expect("a check");
    assert_eq!(*heard.lock().expect("the lock"), ["github.test:443"]);
}

#[tokio::test]
async fn a_host_without_a_proxy_is_reached_directly() {
    let server = serve(seed());
    let (inner, _) = behind_tls(server.address()).await;
    let (at, heard) = proxy(inner, Manner::Open).await;
    let network = trusting(Proxies::new(
        variable("HTTPS_PROXY", at.to_string()),
        None,
        None,
        Some("example.test, localhost"),
    ));
    let url = format!("https://localhost:{}", inner.port());
    check(&url, network).await.expect("a check");
    assert!(heard.lock().expect("the lock").is_empty());
}

/// What went wrong, in words.
async fn trouble(url: &str, network: Network) -> String {
    let trouble = check(url, network).await.expect_err("a trouble");
    assert_eq!(trouble.code(), "unanswered");
    let said = format!("{trouble} {trouble:?}");
    assert!(!said.contains("hunter"), "{said}");
    trouble.to_string()
}

#[tokio::test]
async fn a_proxy_that_gives_no_way_is_named_with_its_variable() {
    let server = serve(seed());
    let (inner, requests) = behind_tls(server.address()).await;
    let (guarded, _) = proxy(inner, Manner::Guarded).await;
    let said = trouble(
        "https://github.test",
        through(format!("http://me:hunter3@{guarded}")),
    )
    .await;
    assert!(
        said.contains(&format!("the proxy {guarded} of HTTPS_PROXY gave no way")),
        "{said}"
    );
    assert!(said.contains("authorization required"), "{said}");

    // Nobody listens there any more.
    let gone = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.local_addr().expect("its address")
    };
    let said = trouble(
        "https://github.test",
        through(format!("http://me:hunter2@{gone}")),
    )
    .await;
    assert!(
        said.contains(&format!("the proxy {gone} of HTTPS_PROXY gave no way")),
        "{said}"
    );
    assert!(said.contains("refused"), "{said}");
    assert!(requests.lock().expect("the lock").is_empty());
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_refused() {
    let server = serve(seed());
    let (inner, requests) = behind_tls(server.address()).await;
    let url = format!("https://127.0.0.1:{}", inner.port());
    // One of its kind, of another authority: the server's own.
    let folder = tempfile::tempdir().expect("a folder");
    let other = folder.path().join("other.pem");
    std::fs::write(&other, include_bytes!("tls/cert.pem")).expect("a file");
    let roots = |file: Option<std::path::PathBuf>, dirs| Network {
        proxies: Proxies::default(),
        roots: Roots { file, dirs },
    };
    let said = trouble(&url, roots(Some(other), vec![])).await;
    assert_eq!(
        said,
        format!(
            "no connection to 127.0.0.1:{}: its certificate comes from an authority that is not trusted here; \
             name the certificate of its authority in SSL_CERT_FILE",
            inner.port()
        )
    );
    // The right one works from a file and from a folder.
    let dir = folder.path().join("dir");
    std::fs::create_dir(&dir).expect("a folder");
    std::fs::copy(authority(), dir.join("ca.pem")).expect("a copy");
    std::fs::write(dir.join("README"), "nothing").expect("a file");
    for network in [
        roots(Some(authority()), vec![]),
        roots(None, vec![dir.clone()]),
    ] {
        check(&url, network).await.expect("a check");
    }
    // A certificate is for its names alone.
    let (at, _) = proxy(inner, Manner::Open).await;
    let said = trouble("https://other.test", through(at.to_string())).await;
    assert_eq!(
        said,
        "no connection to other.test: its certificate is for github.test, proxy.test, localhost, 127.0.0.1, \
         and not for other.test"
    );
    let missing = roots(Some(folder.path().join("missing.pem")), vec![dir]);
    let github = GitHub::new(Settings {
        network: missing.clone(),
        ..settings(&url, tokens(TOKEN))
    });
    let way = github.expect("settings").way();
    assert!(
        matches!(way, Err(NetworkError::Certificates { .. })),
        "{way:?}"
    );
    let said = trouble(&url, missing).await;
    assert!(said.starts_with("no connection to 127.0.0.1:"), "{said}");
    assert!(said.contains("SSL_CERT_FILE names"), "{said}");
    assert!(said.contains("missing.pem"), "{said}");
    assert_eq!(requests.lock().expect("the lock").len(), 2);
}

#[tokio::test]
async fn why_there_is_no_connection_is_said_in_a_sentence_that_helps() {
    let folder = tempfile::tempdir().expect("a folder");
    let itself = folder.path().join("itself.pem");
    std::fs::write(&itself, ITSELF).expect("a file");
    let trusting = || Network {
        proxies: Proxies::default(),
        roots: Roots {
            file: Some(itself.clone()),
            dirs: vec![],
        },
    };
    let server = serve(seed());
    let gone = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.local_addr().expect("its address")
    };
    // Longer than a part of a name may be: it is refused without asking any server for it.
    let nowhere = format!("{}.test", "x".repeat(64));
    for (host, says) in [
        (
            showing(EXPIRED).await.to_string(),
            "its certificate ran out at 2021-01-01T00:00:00Z",
        ),
        (
            showing(ITSELF).await.to_string(),
            "its certificate is that of an authority, which signs for servers and is none; give it one for 127.0.0.1",
        ),
        (server.address().to_string(), "it does not speak TLS there"),
        (
            hanging_up().await.to_string(),
            "it hung up before TLS was agreed on",
        ),
        (
            gone.to_string(),
            "nothing listens there (connection refused)",
        ),
        (nowhere.clone(), "cannot be resolved"),
    ] {
        let said = trouble(&format!("https://{host}"), trusting()).await;
        assert!(
            said.starts_with(&format!("no connection to {host}: ")) && said.contains(says),
            "{said}"
        );
        // None of the libraries' words.
        for word in ["(os error", "Other(", "client error", "rustls"] {
            assert!(!said.contains(word), "{said}");
        }
    }
}

#[tokio::test]
async fn an_enterprise_server_is_asked_at_its_own_addresses() {
    let mut model = seed();
    model.enterprise("3.18.1");
    let server = serve(model);
    let (inner, requests) = behind_tls(server.address()).await;
    // As `https://HOST/api/v3` is, with a certificate of the house.
    let url = format!("https://localhost:{}/api/v3", inner.port());
    let github = GitHub::new(Settings {
        network: trusting(Ok(Proxies::default())),
        ..settings(&url, tokens(TOKEN))
    })
    .expect("settings");
    let account = Account::usual();
    let checked = github.check(&account, NOW, TIME).await.expect("a check");
    // Nobody is limited there.
    assert_eq!(checked.graphql.limit, None);
    let sample = Sample {
        repo: "acme/app".to_owned(),
        issue: Some(299),
        pull_request: Some(319),
        branch: None,
    };
    let access = github.access(&account, &[sample], NOW, TIME).await;
    assert_eq!(
        kind(&access.expect("answers").repositories[0].readable),
        "found"
    );
    let requests = requests.lock().expect("the lock");
    let heads: Vec<&str> = requests
        .iter()
        .filter_map(|head| head.lines().next())
        .collect();
    assert_eq!(heads[0], "GET /api/v3/rate_limit HTTP/1.1");
}
