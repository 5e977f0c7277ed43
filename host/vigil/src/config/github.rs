//! `[github]`: where GitHub is, and who asks it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize, de};

use super::{Span, is_variable};

/// No connection over a network is made in less.
const REQUEST_TIMEOUT_MIN: Span = Span(Duration::from_millis(100));

/// `[github]`
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct GitHubConfig {
    /// A file that holds the token, tried after the variables and before `gh auth token`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_file: Option<PathBuf>,
    /// Its host name, for links, for `gh auth token --hostname`, and for which token may be sent to it. None: that of
    /// `api_url`, else `$GH_HOST`, else that of `$GITHUB_API_URL`, else `github.com`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Its REST address. None: `$GITHUB_API_URL`, where that is the host's, else the host's usual one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_url: Option<String>,
    /// Its GraphQL address. None: `$GITHUB_GRAPHQL_URL`, where that is the host's, else what follows from the REST
    /// address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub graphql_url: Option<String>,
    /// How long one request may take. GitHub itself gives up after 10 s.
    pub request_timeout: Span,
    /// What is left to others of each hour's points and requests, in percent.
    #[serde(deserialize_with = "percent")]
    pub reserve: u8,
    /// What vigil takes of them at most, in percent.
    #[serde(deserialize_with = "percent")]
    pub share: u8,
    /// Sessions of a repository that was renamed or transferred are judged by what is true under its new name, where its
    /// node id is the one that vigil saw under the old name.
    pub follow_renames: bool,
    /// Tokens for some owners. All others are asked about with the usual one, or by the App.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub token: Vec<TokenConfig>,
    /// A GitHub App that asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app: Option<AppConfig>,
}

impl GitHubConfig {
    /// Whether everything is asked about by one account, whoever owns it.
    pub(crate) fn asks_with_one_account(&self) -> bool {
        self.token.is_empty() && self.app.is_none()
    }
}

impl Default for GitHubConfig {
    fn default() -> Self {
        GitHubConfig {
            token_file: None,
            host: None,
            api_url: None,
            graphql_url: None,
            request_timeout: Span(Duration::from_secs(15)),
            reserve: 20,
            share: 25,
            follow_renames: false,
            token: Vec::new(),
            app: None,
        }
    }
}

/// `[[github.token]]`
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TokenConfig {
    /// Whose repositories it asks about: logins of people and organisations, compared without case.
    pub owners: Vec<String>,
    /// The variable that holds it. This or `file`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<String>,
    /// The file that holds nothing but it. This or `env`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
}

/// `[github.app]`
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AppConfig {
    /// Its id, or its client id.
    pub id: AppId,
    /// Its private key in PEM, readable by nobody else.
    pub key_file: PathBuf,
    /// Whose repositories it asks about. None: those of all owners without a token of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owners: Option<Vec<String>>,
}

/// A percentage, so that what is none is told in these words.
fn percent<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
    struct Percent;
    impl de::Visitor<'_> for Percent {
        type Value = u8;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a whole percentage from 0 to 100")
        }

        fn visit_i64<E: de::Error>(self, number: i64) -> Result<u8, E> {
            u8::try_from(number)
                .ok()
                .filter(|number| *number <= 100)
                .ok_or_else(|| E::invalid_value(de::Unexpected::Signed(number), &self))
        }

        fn visit_u64<E: de::Error>(self, number: u64) -> Result<u8, E> {
            match i64::try_from(number) {
                Ok(number) => self.visit_i64(number),
                Err(_) => Err(E::invalid_value(de::Unexpected::Unsigned(number), &self)),
            }
        }
    }
    deserializer.deserialize_u8(Percent)
}

/// What names an App: GitHub takes its number and its client id alike.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum AppId {
    /// Its number.
    Number(u64),
    /// Its client id, such as `Iv23liABCdef`; or its number in quotes.
    Text(String),
}

impl<'de> Deserialize<'de> for AppId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Id;
        impl de::Visitor<'_> for Id {
            type Value = AppId;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the App's id, such as 123456, or its client id in quotes")
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<AppId, E> {
                let fits = u64::try_from(number).ok().filter(|number| *number > 0);
                fits.map(AppId::Number)
                    .ok_or_else(|| E::invalid_value(de::Unexpected::Signed(number), &self))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<AppId, E> {
                Ok(AppId::Number(number))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<AppId, E> {
                Ok(AppId::Text(text.to_owned()))
            }
        }
        deserializer.deserialize_any(Id)
    }
}

impl fmt::Display for AppId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AppId::Number(number) => number.fmt(f),
            AppId::Text(text) => f.write_str(text.trim()),
        }
    }
}

/// Something that is wrong with a part of the configuration: what, where, and what to do about it.
pub(crate) type Wrong = (String, &'static str);

impl GitHubConfig {
    /// What the types alone cannot say.
    pub(super) fn check(&self) -> Result<(), Wrong> {
        if let Some(host) = &self.host {
            let is_name = !host.is_empty()
                && host
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
            if !is_name {
                // With an @ in it, it may hold a password.
                let shown = if host.contains('@') { "[...]" } else { host };
                return Err((
                    format!("github.host is \"{shown}\", which is no host's name"),
                    "write it as in github.com; addresses go into github.api_url",
                ));
            }
            if ["api.github.com", "www.github.com"].contains(&host.to_lowercase().as_str()) {
                return Err((
                    format!(
                        "github.host is \"{host}\", which takes requests and has no repositories"
                    ),
                    "write github.com, or leave it out",
                ));
            }
        }
        if self.request_timeout < REQUEST_TIMEOUT_MIN {
            return Err((
                format!("github.request_timeout is {}", self.request_timeout),
                "give 100ms or more; 15s is the default",
            ));
        }
        if self.token_file.as_deref() == Some(Path::new("")) {
            return Err((
                "github.token_file is empty".to_owned(),
                "name the file that holds the token, or leave it out",
            ));
        }
        if self.reserve >= 100 {
            return Err((
                format!(
                    "github.reserve is {}, which leaves nothing to ask with",
                    self.reserve
                ),
                "give a percentage below 100; 20 is the default",
            ));
        }
        if self.share == 0 || self.share > 100 {
            return Err((
                format!(
                    "github.share is {}, and has to be from 1 to 100",
                    self.share
                ),
                "give a percentage; 25 is the default",
            ));
        }
        let mut seen = BTreeMap::new();
        for (at, token) in self.token.iter().enumerate() {
            let place = format!("github.token[{at}]");
            match (&token.env, &token.file) {
                (Some(_), None) | (None, Some(_)) => {}
                (Some(_), Some(_)) => {
                    return Err((format!("{place} has both env and file"), "keep one of them"));
                }
                (None, None) => {
                    return Err((
                        format!("{place} has neither env nor file"),
                        "name the variable or the file that holds the token",
                    ));
                }
            }
            if token.file.as_deref() == Some(Path::new("")) {
                return Err((
                    format!("{place}.file is empty"),
                    "name the file that holds the token",
                ));
            }
            if let Some(name) = &token.env
                && !is_variable(name)
            {
                return Err((
                    format!("{place}.env is no variable's name"),
                    "name the variable that holds the token, as in ACME_GITHUB_TOKEN; the token itself stands nowhere in this file",
                ));
            }
            owners(&place, &token.owners, &mut seen)?;
        }
        if let Some(app) = &self.app {
            if app.id.to_string().is_empty() {
                return Err((
                    "github.app.id is empty".to_owned(),
                    "it stands on the App's settings page",
                ));
            }
            if app.key_file.as_os_str().is_empty() {
                return Err((
                    "github.app.key_file is empty".to_owned(),
                    "name the file that GitHub gave for the App under \"Private keys\"",
                ));
            }
            if let Some(listed) = &app.owners {
                owners("github.app", listed, &mut seen)?;
            }
        }
        Ok(())
    }
}

/// Checks one list of owners; `seen` remembers who was listed where.
fn owners(
    place: &str,
    listed: &[String],
    seen: &mut BTreeMap<String, String>,
) -> Result<(), Wrong> {
    if listed.is_empty() {
        return Err((
            format!("{place}.owners is empty"),
            "name the owners whose repositories it is for",
        ));
    }
    for owner in listed {
        let is_login = !owner.is_empty()
            && owner
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
        if !is_login {
            return Err((
                format!("{place}.owners names \"{owner}\", which is no owner"),
                "an owner is what stands before the slash in owner/name",
            ));
        }
        if let Some(other) = seen.insert(owner.to_lowercase(), place.to_owned()) {
            return Err((
                format!("{place}.owners names {owner}, whom {other}.owners names too"),
                "name each owner once",
            ));
        }
    }
    Ok(())
}
