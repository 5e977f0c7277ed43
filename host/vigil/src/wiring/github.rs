//! GitHub as configuration and environment describe it: where it is, who asks it, and what lies in between.

use std::path::PathBuf;
use std::sync::Arc;

use secrecy::SecretString;
use vigil_github::app::Now;
use vigil_github::{
    Accounts, App, AppKey, AppSettings, GitHub, Network, Proxies, ProxyVariable, Roots, Settings,
    TokenChain, TokenOrigin,
};

use crate::config::{AppConfig, GitHubConfig, TokenConfig};
use crate::environment::Environment;
use crate::failure::Failure;

/// What vigil says of itself with every request.
const AGENT: &str = concat!("vigil/", env!("CARGO_PKG_VERSION"));

/// Where GitHub is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its host name, in lower case: whose tokens may be sent there.
    pub host: String,
    /// What REST paths are put behind.
    pub rest_url: String,
    /// Takes GraphQL.
    pub graphql_url: String,
}

impl Place {
    /// What stands in the configuration comes first, then `GH_HOST`, which is what the person says to `gh`, then the
    /// addresses in the environment, which a workflow's runner sets for its own GitHub. An address of the environment
    /// counts only for the host that it belongs to, so that no token reaches a server that it is not for.
    ///
    /// # Errors
    /// An address that is none; two of different hosts; one without TLS that leads beyond this machine.
    pub fn of(config: &GitHubConfig, environment: &Environment) -> Result<Place, Failure> {
        let api_url = Address::read("github.api_url", config.api_url.as_deref())?;
        let api_env = Address::read("GITHUB_API_URL", environment.get("GITHUB_API_URL"))?;
        let host = config
            .host
            .as_deref()
            .or_else(|| api_url.as_ref()?.host.as_deref())
            .or_else(|| environment.get("GH_HOST"))
            .or_else(|| api_env.as_ref()?.host.as_deref())
            .unwrap_or("github.com")
            .to_lowercase();
        let rest_url = match (&api_url, &api_env) {
            (Some(named), _) => named.url.clone(),
            (None, Some(named)) if named.may_be(&host) => named.url.clone(),
            _ => usual_rest_url(&host),
        };
        let graphql = Address::read("github.graphql_url", config.graphql_url.as_deref())?;
        let graphql_env =
            Address::read("GITHUB_GRAPHQL_URL", environment.get("GITHUB_GRAPHQL_URL"))?;
        let graphql_url = match (&graphql, &graphql_env) {
            (Some(named), _) => named.url.clone(),
            (None, Some(named)) if api_url.is_none() && named.may_be(&host) => named.url.clone(),
            _ => vigil_github::graphql_url(&rest_url),
        };
        // Only where both stand in the configuration was that meant: a proxy of one's own may divide them.
        if let (Some(named), None) = (&graphql, &api_url)
            && !named.may_be(&host)
        {
            return Err(Failure::request(format!(
                "github.graphql_url is not an address of {host}"
            ))
            .hint("set github.api_url as well, or github.host"));
        }
        Ok(Place {
            host,
            rest_url,
            graphql_url,
        })
    }

    /// Whether tokens for github.com are for this host, too: GitHub runs it itself. What `gh` goes by.
    fn is_github_com(&self) -> bool {
        self.host == "github.com" || self.host.ends_with(".ghe.com")
    }
}

/// An address that was given, and the host that it belongs to.
struct Address {
    url: String,
    /// `None`: this machine, where a model or a cache stands in for any GitHub.
    host: Option<String>,
}

impl Address {
    fn read(place: &str, url: Option<&str>) -> Result<Option<Address>, Failure> {
        let Some(url) = url else {
            return Ok(None);
        };
        // The value is not shown: people put passwords into addresses.
        let wrong = |why: &str| Err(Failure::request(format!("{place} {why}")));
        let Ok(uri) = url.parse::<http::Uri>() else {
            return wrong("is no address");
        };
        let Some(host) = uri.host().map(str::to_lowercase) else {
            return wrong("names no host");
        };
        if uri.authority().is_some_and(|at| at.as_str().contains('@')) {
            return wrong("holds a name or password; the token comes from elsewhere");
        }
        let here = is_this_machine(&host);
        match uri.scheme_str() {
            Some("https") => {}
            Some("http") if here => {}
            Some("http") => {
                return wrong("begins with http://: the token would travel in the clear");
            }
            _ => return wrong("begins with neither https:// nor http://"),
        }
        Ok(Some(Address {
            url: url.to_owned(),
            host: (!here).then(|| site(&host)),
        }))
    }

    fn may_be(&self, host: &str) -> bool {
        self.host.as_deref().is_none_or(|own| own == host)
    }
}

fn is_this_machine(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare == "localhost"
        || bare
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// The host that people know, of one that takes requests: github.com and its tenants have one beside it, an Enterprise
/// Server does not.
fn site(host: &str) -> String {
    match host.strip_prefix("api.") {
        Some(rest) if rest == "github.com" || rest.ends_with(".ghe.com") => rest.to_owned(),
        _ => host.to_owned(),
    }
}

/// The REST address of a host that nothing else is said about.
fn usual_rest_url(host: &str) -> String {
    match host == "github.com" || host.ends_with(".ghe.com") {
        true => format!("https://api.{host}"),
        false => format!("https://{host}/api/v3"),
    }
}

/// GitHub, as the configuration says. Connects to nothing; reads the key of an App.
pub(super) fn github(
    config: &GitHubConfig,
    environment: &Environment,
    now: Now,
) -> Result<GitHub, Failure> {
    let place = Place::of(config, environment)?;
    let network = network(environment)?;
    let (origins, hint) = usual(config, &place, environment);
    let mut accounts = Accounts::new(TokenChain::new(origins).hint(hint));
    for (at, token) in config.token.iter().enumerate() {
        let chain = listed(at, token, environment)?;
        accounts = accounts.with_token(token.owners.iter().map(String::as_str), chain);
    }
    if let Some(app) = &config.app {
        let owners = app.owners.as_ref();
        accounts = accounts.with_app(
            asking_app(app, config, &place, &network, now)?,
            owners.map(|owners| owners.iter().map(String::as_str)),
        );
    }
    let settings = Settings {
        rest_url: place.rest_url,
        graphql_url: place.graphql_url,
        request_timeout: config.request_timeout.0,
        network,
        ..Settings::github_com(AGENT, Arc::new(accounts))
    };
    GitHub::new(settings).map_err(|error| {
        Failure::request("failed to set up the connection to GitHub").because(error)
    })
}

/// Where the token for everybody who has none of their own may be, in the order in which `gh` looks for it, and advice
/// for who has none at all.
fn usual(
    config: &GitHubConfig,
    place: &Place,
    environment: &Environment,
) -> (Vec<TokenOrigin>, String) {
    let variable = |name: &str| TokenOrigin::Env {
        name: name.to_owned(),
        value: environment.get(name).map(SecretString::from),
    };
    let host = &place.host;
    let public = ["GH_TOKEN", "GITHUB_TOKEN"];
    let names = match place.is_github_com() {
        true => public,
        false => ["GH_ENTERPRISE_TOKEN", "GITHUB_ENTERPRISE_TOKEN"],
    };
    let mut origins: Vec<TokenOrigin> = names.into_iter().map(variable).collect();
    if let Some(path) = &config.token_file {
        origins.push(TokenOrigin::File { path: path.clone() });
    }
    origins.push(TokenOrigin::GhCli {
        program: PathBuf::from("gh"),
        host: host.clone(),
    });
    let mut hint = match host.as_str() {
        "github.com" => format!("set {}, or run gh auth login", names[0]),
        host => format!("set {}, or run gh auth login --hostname {host}", names[0]),
    };
    if !place.is_github_com()
        && let Some(set) = public
            .into_iter()
            .find(|name| environment.get(name).is_some())
    {
        hint.push_str(&format!(
            "; {set} is for github.com and is not sent to {host}"
        ));
    }
    (origins, hint)
}

/// The token of one `[[github.token]]`.
fn listed(
    at: usize,
    token: &TokenConfig,
    environment: &Environment,
) -> Result<TokenChain, Failure> {
    let (origin, hint) = match (&token.env, &token.file) {
        (Some(name), _) => {
            let Some(value) = environment.named(name) else {
                return Err(Failure::request(format!(
                    "github.token[{at}].env names {name}, which is not set"
                ))
                .hint(format!(
                    "set {name}, or name a file with github.token[{at}].file"
                )));
            };
            let origin = TokenOrigin::Env {
                name: name.clone(),
                value: Some(SecretString::from(value)),
            };
            (origin, format!("set {name}"))
        }
        (None, Some(path)) => (
            TokenOrigin::File { path: path.clone() },
            format!("put the token into {}", path.display()),
        ),
        (None, None) => {
            return Err(Failure::request(format!(
                "github.token[{at}] has neither env nor file"
            )));
        }
    };
    Ok(TokenChain::new(vec![origin]).hint(hint))
}

fn asking_app(
    app: &AppConfig,
    config: &GitHubConfig,
    place: &Place,
    network: &Network,
    now: Now,
) -> Result<App, Failure> {
    let key = AppKey::read(&app.key_file).map_err(|error| {
        let hint = error.hint();
        Failure::request("failed to read github.app.key_file")
            .because(error)
            .hint(hint)
    })?;
    App::new(AppSettings {
        id: app.id.to_string(),
        key,
        rest_url: place.rest_url.clone(),
        user_agent: AGENT.to_owned(),
        request_timeout: config.request_timeout.0,
        network: network.clone(),
        now,
    })
    .map_err(|error| Failure::request("failed to set up the GitHub App").because(error))
}

/// Proxies and certificates, as curl and rustls-native-certs read them.
fn network(environment: &Environment) -> Result<Network, Failure> {
    // The name in small letters comes first. HTTP_PROXY in capitals is not read: behind a web server anybody can set
    // it with a header, so curl does not either.
    let first = |names: [&'static str; 2]| {
        let name = names
            .into_iter()
            .find(|name| environment.get(name).is_some())?;
        Some((name, environment.get(name)?))
    };
    let proxy = |names| {
        first(names).map(|(name, value)| ProxyVariable {
            name: name.to_owned(),
            value: SecretString::from(value),
        })
    };
    let proxies = Proxies::new(
        proxy(["https_proxy", "HTTPS_PROXY"]),
        proxy(["http_proxy"; 2]),
        proxy(["all_proxy", "ALL_PROXY"]),
        first(["no_proxy", "NO_PROXY"]).map(|(_, value)| value),
    )
    .map_err(|error| {
        Failure::request("failed to read where the proxy is")
            .because(error)
            .hint("write it as in http://proxy.example:3128, or unset it")
    })?;
    let dirs = environment.get("SSL_CERT_DIR").unwrap_or_default();
    Ok(Network {
        proxies,
        roots: Roots {
            file: environment.get("SSL_CERT_FILE").map(PathBuf::from),
            dirs: std::env::split_paths(dirs)
                .filter(|dir| !dir.as_os_str().is_empty())
                .collect(),
        },
    })
}

#[cfg(test)]
mod tests {
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
        let cases: &[(&str, &[(&'static str, &str)], (&str, &str, &str))] = &[
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
            said_of_key.contains(&format!("chmod 600 {}", key.display())),
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
}
