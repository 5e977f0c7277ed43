//! Where GitHub is.

use vigil_github::is_this_machine;

use crate::config::GitHubConfig;
use crate::environment::Environment;
use crate::failure::Failure;

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
        if let Some(host) = environment.get("GH_HOST")
            && host.contains(['/', ':', '@', ' '])
        {
            return Err(Failure::request(format!(
                "GH_HOST is \"{host}\", which is no host's name"
            ))
            .hint("write it as in github.com; addresses go into GITHUB_API_URL"));
        }
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
    pub(super) fn is_github_com(&self) -> bool {
        self.host == "github.com" || self.host.ends_with(".ghe.com")
    }
}

/// An address that was given, and the host that it belongs to.
struct Address {
    url: String,
    /// `None`: this machine without TLS, where a model or a cache stands in for any GitHub.
    host: Option<String>,
}

impl Address {
    fn read(place: &str, url: Option<&str>) -> Result<Option<Address>, Failure> {
        let Some(url) = url else {
            return Ok(None);
        };
        // The value is not shown: people put passwords into addresses.
        let wrong = |why: &str| {
            Err(Failure::request(format!("{place} {why}")).hint(
                "write it as in https://api.github.com, or https://HOST/api/v3 for GitHub Enterprise Server",
            ))
        };
        let Ok(uri) = url.parse::<http::Uri>() else {
            return wrong("is no address");
        };
        let Some(host) = uri.host().map(str::to_lowercase) else {
            return wrong("names no host");
        };
        if uri.authority().is_some_and(|at| at.as_str().contains('@')) {
            return wrong("holds a name or password; the token comes from elsewhere");
        }
        // Paths are put behind it.
        if uri.query().is_some() || url.contains('#') {
            return wrong("holds a query or a fragment");
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
        // Without TLS nobody but this machine is meant. With it, this machine may be the end of a tunnel to anybody, and
        // gets no other host's token.
        let stands_in = here && uri.scheme_str() == Some("http");
        Ok(Some(Address {
            url: url.to_owned(),
            host: (!stands_in).then(|| site(&host)),
        }))
    }

    fn may_be(&self, host: &str) -> bool {
        self.host.as_deref().is_none_or(|own| own == host)
    }
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
