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
use crate::environment::{Environment, FOR_GH};
use crate::failure::Failure;

use super::place::Place;

/// What vigil says of itself with every request.
const AGENT: &str = concat!("vigil/", env!("CARGO_PKG_VERSION"));

/// GitHub, as the configuration says. Connects to nothing; reads the key of an App.
pub(super) fn github(
    config: &GitHubConfig,
    environment: &Environment,
    now: Now,
) -> Result<GitHub, Failure> {
    let place = Place::of(config, environment)?;
    let network = network(environment)?;
    if [&place.rest_url, &place.graphql_url]
        .iter()
        .any(|url| url.starts_with("https:"))
    {
        certificates(&network.roots)?;
    }
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
        environment: environment.for_child(&FOR_GH).variables().to_vec(),
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
            "; {set} is for github.com and is not sent to {host}, unless the configuration has both \
             github.host = \"github.com\" and github.api_url"
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

/// Whether the files that the environment names can be used. The machine's own certificates are read when they are
/// first needed: there may be many, and nobody made a mistake with them today.
fn certificates(roots: &Roots) -> Result<(), Failure> {
    roots.check().map_err(|error| {
        Failure::request("failed to read whose certificates are trusted")
            .because(error)
            .hint("name a file with certificates in PEM, or unset the variable")
    })
}

/// Entries of the environment's list of hosts without a proxy that fit no host, and the variable; none without a proxy.
pub(super) fn idle_entries(environment: &Environment) -> Vec<(&'static str, String)> {
    let (Ok(network), Some((variable, _))) = (network(environment), first(environment, NO_PROXY))
    else {
        return Vec::new();
    };
    let entries = network.proxies.idle().iter().cloned();
    entries.map(|entry| (variable, entry)).collect()
}

/// The names of the list of hosts without a proxy.
const NO_PROXY: [&str; 2] = ["no_proxy", "NO_PROXY"];

/// The first of two variables that is set, and its value.
fn first<'e>(
    environment: &'e Environment,
    names: [&'static str; 2],
) -> Option<(&'static str, &'e str)> {
    let name = names
        .into_iter()
        .find(|name| environment.get(name).is_some())?;
    Some((name, environment.get(name)?))
}

/// Proxies and certificates, as curl and rustls-native-certs read them.
fn network(environment: &Environment) -> Result<Network, Failure> {
    // The name in small letters comes first. HTTP_PROXY in capitals is not read: behind a web server anybody can set
    // it with a header, so curl does not either.
    let proxy = |names| {
        first(environment, names).map(|(name, value)| ProxyVariable {
            name: name.to_owned(),
            value: SecretString::from(value),
        })
    };
    let proxies = Proxies::new(
        proxy(["https_proxy", "HTTPS_PROXY"]),
        proxy(["http_proxy"; 2]),
        proxy(["all_proxy", "ALL_PROXY"]),
        first(environment, NO_PROXY).map(|(_, value)| value),
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
mod tests;
