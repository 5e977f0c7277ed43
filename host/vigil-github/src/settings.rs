//! Where GitHub is, and how it is asked.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Uri};

use crate::tokens::Tokens;
use crate::transport::Network;

/// How long one request may take: GitHub gives up after 10 s, and its answer takes a while to come.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);

/// Where GitHub is, and how it is asked.
#[derive(Clone)]
pub struct Settings {
    /// Takes GraphQL, for example `https://api.github.com/graphql`.
    pub graphql_url: String,
    /// What REST paths are put behind, for example `https://api.github.com`, or `https://HOST/api/v3`.
    pub rest_url: String,
    /// Who is asking. GitHub refuses requests without it.
    pub user_agent: String,
    /// How long one request may take, [`REQUEST_TIMEOUT`] unless there is a reason.
    pub request_timeout: Duration,
    /// Where the token comes from.
    pub tokens: Arc<dyn Tokens>,
    /// What lies between this machine and GitHub.
    pub network: Network,
}

impl Settings {
    /// github.com with the usual numbers.
    pub fn github_com(user_agent: impl Into<String>, tokens: Arc<dyn Tokens>) -> Self {
        Settings {
            graphql_url: "https://api.github.com/graphql".to_owned(),
            rest_url: "https://api.github.com".to_owned(),
            user_agent: user_agent.into(),
            request_timeout: REQUEST_TIMEOUT,
            tokens,
            network: Network::default(),
        }
    }

    pub(crate) fn graphql(&self) -> Result<Uri, SettingsError> {
        address("GraphQL API", &self.graphql_url)
    }

    pub(crate) fn rest(&self) -> Result<Uri, SettingsError> {
        address("REST API", &self.rest_url)
    }

    pub(crate) fn agent(&self) -> Result<HeaderValue, SettingsError> {
        agent(&self.user_agent)
    }
}

pub(crate) fn agent(text: &str) -> Result<HeaderValue, SettingsError> {
    match HeaderValue::from_str(text) {
        Ok(value) if !text.trim().is_empty() => Ok(value),
        _ => Err(SettingsError::UserAgent),
    }
}

/// The address of the GraphQL API that belongs to a REST API: GitHub Enterprise Server has it beside `/api/v3`, and
/// github.com below the root.
pub fn graphql_url(rest_url: &str) -> String {
    let rest = rest_url.trim_end_matches('/');
    match rest.strip_suffix("/v3") {
        Some(server) => format!("{server}/graphql"),
        None => format!("{rest}/graphql"),
    }
}

pub(crate) fn address(which: &'static str, text: &str) -> Result<Uri, SettingsError> {
    let bad = |why| SettingsError::Address { which, why };
    let uri: Uri = text.parse().map_err(|_| bad("is no address"))?;
    match uri.scheme_str() {
        Some("https" | "http") => {}
        _ => return Err(bad("begins with neither https:// nor http://")),
    }
    match uri.authority() {
        None => Err(bad("names no host")),
        Some(authority) if authority.as_str().contains('@') => Err(bad(
            "holds a name or password; the token comes from elsewhere",
        )),
        Some(_) => Ok(uri),
    }
}

/// Settings that cannot work. The value itself is not shown: people put passwords into addresses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// An address.
    #[error("the address of GitHub's {which} {why}")]
    Address {
        /// Which one.
        which: &'static str,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The user agent.
    #[error("the user agent is empty or does not fit a header")]
    UserAgent,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_graphql_address_follows_the_rest_address() {
        for (rest, graphql) in [
            ("https://api.github.com", "https://api.github.com/graphql"),
            ("https://api.github.com/", "https://api.github.com/graphql"),
            (
                "https://git.acme.test/api/v3",
                "https://git.acme.test/api/graphql",
            ),
            (
                "https://git.acme.test/api/v3/",
                "https://git.acme.test/api/graphql",
            ),
            ("http://127.0.0.1:4010", "http://127.0.0.1:4010/graphql"),
        ] {
            assert_eq!(graphql_url(rest), graphql);
        }
    }

    #[test]
    fn an_address_that_cannot_work_is_refused_without_showing_it() {
        for text in [
            "",
            "api.github.com",
            "ftp://api.github.com",
            "https://",
            "https://me:hunter2@host/",
            "a b",
        ] {
            let error = address("REST API", text).expect_err(text).to_string();
            assert!(
                error.starts_with("the address of GitHub's REST API "),
                "{error}"
            );
            assert!(!error.contains("hunter2"));
        }
    }
}
