//! Where GitHub is, who asks it, and what lies in between, from configurations and environments.

use vigil_github::{Account, Tokens as _};

use super::*;

fn environment(variables: &[(&'static str, &str)]) -> Environment {
    variables
        .iter()
        .fold(Environment::default(), |environment, (name, value)| {
            environment.with(name, *value)
        })
}

fn config(text: &str) -> GitHubConfig {
    toml::from_str(text).expect("a configuration")
}

fn place(text: &str, variables: &[(&'static str, &str)]) -> Result<Place, String> {
    Place::of(&config(text), &environment(variables)).map_err(|failure| failure.to_string())
}

#[test]
fn where_github_is() {
    const SERVER: &str = "https://git.acme.test/api/v3";
    const SERVER_GRAPHQL: &str = "https://git.acme.test/api/graphql";
    const PUBLIC: &str = "https://api.github.com";
    const PUBLIC_GRAPHQL: &str = "https://api.github.com/graphql";
    const HERE: &str = "http://127.0.0.1:4010";
    let api = "api_url = \"https://git.acme.test/api/v3\"";
    let host = "host = \"git.acme.test\"";
    let runner = [
        ("GITHUB_API_URL", PUBLIC),
        ("GITHUB_GRAPHQL_URL", PUBLIC_GRAPHQL),
    ];
    let here = [
        ("GITHUB_API_URL", HERE),
        ("GITHUB_GRAPHQL_URL", "http://127.0.0.1:4010/graphql"),
    ];
    let server = ("git.acme.test", SERVER, SERVER_GRAPHQL);
    let public = ("github.com", PUBLIC, PUBLIC_GRAPHQL);
    type Case<'a> = (
        &'a str,
        &'a [(&'static str, &'a str)],
        (&'a str, &'a str, &'a str),
    );
    let cases: &[Case<'_>] = &[
        ("", &[], public),
        ("", &runner, public),
        (api, &[], server),
        // A runner's addresses are those of its own GitHub, and not of the one that was configured.
        (api, &runner, server),
        (host, &[], server),
        (host, &runner, server),
        ("", &[("GH_HOST", "git.acme.test")], server),
        (
            "",
            &[("GH_HOST", "Git.Acme.Test"), runner[0], runner[1]],
            server,
        ),
        ("", &[("GITHUB_API_URL", SERVER)], server),
        (
            "host = \"github.com\"",
            &[("GITHUB_API_URL", SERVER)],
            public,
        ),
        (
            "",
            &[("GH_HOST", "github.com"), ("GITHUB_API_URL", SERVER)],
            public,
        ),
        // This machine stands in for any of them.
        (
            "",
            &here,
            ("github.com", HERE, "http://127.0.0.1:4010/graphql"),
        ),
        (
            host,
            &here[..1],
            ("git.acme.test", HERE, "http://127.0.0.1:4010/graphql"),
        ),
        (
            "host = \"acme.ghe.com\"",
            &[],
            (
                "acme.ghe.com",
                "https://api.acme.ghe.com",
                "https://api.acme.ghe.com/graphql",
            ),
        ),
        (
            "api_url = \"https://api.acme.ghe.com\"",
            &[],
            (
                "acme.ghe.com",
                "https://api.acme.ghe.com",
                "https://api.acme.ghe.com/graphql",
            ),
        ),
        // With TLS it is a host like others, whose name is its own.
        (
            "",
            &[("GITHUB_API_URL", "https://127.0.0.1:9")],
            (
                "127.0.0.1",
                "https://127.0.0.1:9",
                "https://127.0.0.1:9/graphql",
            ),
        ),
        (
            "",
            &[
                ("GH_HOST", "github.com"),
                ("GITHUB_API_URL", "https://localhost:9"),
            ],
            public,
        ),
        // A cache of one's own, when that was said.
        (
            "host = \"github.com\"\napi_url = \"https://cache.acme.test\"",
            &[],
            (
                "github.com",
                "https://cache.acme.test",
                "https://cache.acme.test/graphql",
            ),
        ),
    ];
    for (text, variables, (host, rest, graphql)) in cases {
        let expected = Place {
            host: (*host).to_owned(),
            rest_url: (*rest).to_owned(),
            graphql_url: (*graphql).to_owned(),
        };
        assert_eq!(place(text, variables), Ok(expected), "{text} {variables:?}");
    }
}

#[test]
fn an_address_that_would_lose_a_token_is_refused_without_showing_it() {
    for (text, variables, what) in [
        (
            "api_url = \"http://git.acme.test/api/v3\"",
            &[][..],
            "github.api_url begins with http://",
        ),
        (
            "graphql_url = \"https://git.acme.test/api/graphql\"",
            &[],
            "github.graphql_url is not an address of github.com",
        ),
        (
            "api_url = \"https://me:hunter2@git.acme.test\"",
            &[],
            "github.api_url holds a name or password",
        ),
        (
            "api_url = \"https://git.acme.test/api/v3?x=hunter2\"",
            &[],
            "github.api_url holds a query",
        ),
        (
            "",
            &[("GITHUB_API_URL", "https://git.acme.test/#hunter2")],
            "GITHUB_API_URL holds a query",
        ),
        (
            "",
            &[("GITHUB_API_URL", "ftp://me@git.acme.test")],
            "GITHUB_API_URL holds a name",
        ),
        (
            "",
            &[("GITHUB_GRAPHQL_URL", "a b")],
            "GITHUB_GRAPHQL_URL is no address",
        ),
    ] {
        let error = place(text, variables).expect_err(what);
        assert!(error.contains(what), "{error}");
        assert!(!error.contains("hunter2"));
    }
}

/// Where the usual token comes from, and what is advised when there is none.
async fn usual_token(text: &str, variables: &[(&'static str, &str)]) -> String {
    let (config, environment) = (config(text), environment(variables));
    let place = Place::of(&config, &environment).expect("a place");
    let (mut origins, hint) = usual(&config, &place, &environment);
    // Whoever runs this test may be logged in.
    origins.retain(|origin| !matches!(origin, TokenOrigin::GhCli { .. }));
    let chain = TokenChain::new(origins).hint(hint);
    match chain.token(&Account::usual()).await {
        Ok(token) => token.origin,
        Err(none) => format!("{none:?}"),
    }
}

#[tokio::test]
async fn a_token_for_github_com_goes_nowhere_else() {
    let public = [("GH_TOKEN", "a"), ("GITHUB_TOKEN", "b")];
    let server = [
        ("GH_ENTERPRISE_TOKEN", "c"),
        ("GITHUB_ENTERPRISE_TOKEN", "d"),
    ];
    let all = [public, server].concat();
    assert_eq!(usual_token("", &all).await, "GH_TOKEN");
    assert_eq!(usual_token("", &all[1..]).await, "GITHUB_TOKEN");
    assert_eq!(
        usual_token("host = \"acme.ghe.com\"", &all).await,
        "GH_TOKEN"
    );
    let host = "host = \"git.acme.test\"";
    assert_eq!(usual_token(host, &all).await, "GH_ENTERPRISE_TOKEN");
    assert_eq!(
        usual_token(host, &all[3..]).await,
        "GITHUB_ENTERPRISE_TOKEN"
    );
    let none = usual_token(host, &public).await;
    assert!(none.contains("GH_ENTERPRISE_TOKEN is not set"), "{none}");
    assert!(
        none.contains("gh auth login --hostname git.acme.test; GH_TOKEN is for github.com"),
        "{none}"
    );
    // This machine may be the end of a tunnel to any server, unless the configuration says whose it is.
    let tunnel = [public[0], ("GITHUB_API_URL", "https://127.0.0.1:9")];
    let none = usual_token("", &tunnel).await;
    assert!(
        none.contains("GH_TOKEN is for github.com and is not sent to 127.0.0.1"),
        "{none}"
    );
    let api = "api_url = \"https://localhost:9\"\n";
    let none = usual_token(api, &public).await;
    assert!(
        none.contains("GH_TOKEN is for github.com and is not sent to localhost"),
        "{none}"
    );
    let said = format!("host = \"github.com\"\n{api}");
    assert_eq!(usual_token(&said, &public).await, "GH_TOKEN");
    assert!(
        usual_token("", &server)
            .await
            .contains("GH_TOKEN is not set")
    );
}

#[test]
fn a_variable_that_is_not_set_and_a_key_that_others_can_read_are_named() {
    let world = Arc::new(|| vigil_core::Timestamp(0));
    let said = |text: &str| {
        let failure = github(&config(text), &Environment::default(), world.clone());
        let failure = failure.err().expect(text);
        format!("{failure} {:?}", failure.hints())
    };
    let said_of_token =
        said("[[token]]\nowners = [\"acme\"]\nenv = \"VIGIL_TEST_NO_SUCH_TOKEN\"\n");
    assert!(
        said_of_token
            .contains("github.token[0].env names VIGIL_TEST_NO_SUCH_TOKEN, which is not set"),
        "{said_of_token}"
    );
    let folder = tempfile::tempdir().expect("a folder");
    let key = folder.path().join("app.pem");
    std::fs::write(&key, "whatever").expect("a file");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let open = std::fs::Permissions::from_mode(0o644);
        std::fs::set_permissions(&key, open).expect("a mode");
    }
    let text = format!("[app]\nid = 1\nkey_file = \"{}\"\n", key.display());
    let said_of_key = said(&text);
    assert!(said_of_key.contains("github.app.key_file"), "{said_of_key}");
    assert!(
        said_of_key.contains(&format!("chmod o= {}", key.display())),
        "{said_of_key}"
    );
}

#[test]
fn proxies_and_certificates_come_from_the_usual_variables() {
    let through = |variables: &[(&'static str, &str)]| {
        let network = network(&environment(variables)).map_err(|error| error.to_string())?;
        let uri = http::Uri::from_static("https://api.github.com/graphql");
        Ok::<_, String>(network.proxies.describe(&uri))
    };
    let via = |name: &str| Ok(Some((name.to_owned(), "a.test:80".to_owned())));
    assert_eq!(through(&[]), Ok(None));
    assert_eq!(through(&[("HTTPS_PROXY", "a.test")]), via("HTTPS_PROXY"));
    assert_eq!(
        through(&[("HTTPS_PROXY", "b.test"), ("https_proxy", "a.test")]),
        via("https_proxy")
    );
    assert_eq!(through(&[("ALL_PROXY", "a.test")]), via("ALL_PROXY"));
    assert_eq!(through(&[("http_proxy", "a.test")]), Ok(None));
    assert_eq!(
        through(&[("HTTPS_PROXY", "a.test"), ("NO_PROXY", "github.com")]),
        Ok(None)
    );
    let idle = |variables: &[(&'static str, &str)]| idle_entries(&environment(variables));
    let list = ("no_proxy", "github.com,https://a.test,10.0.0.0/8");
    assert_eq!(
        idle(&[("ALL_PROXY", "a.test"), list]),
        [("no_proxy", "https://a.test".to_owned())]
    );
    assert_eq!(idle(&[list]), []);
    let error = through(&[("ALL_PROXY", "ftp://me:hunter2@a.test")]).expect_err("no proxy");
    assert!(
        error.contains("ALL_PROXY") && !error.contains("hunter2"),
        "{error}"
    );
    let network = network(&environment(&[
        ("SSL_CERT_DIR", "/a:/b:"),
        ("SSL_CERT_FILE", "/c"),
    ]));
    let roots = network.expect("a network").roots;
    assert_eq!(roots.file, Some("/c".into()));
    assert_eq!(roots.dirs, [PathBuf::from("/a"), PathBuf::from("/b")]);
}
