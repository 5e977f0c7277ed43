//! Who asks GitHub: accounts and their tokens, which are held in memory only, and shown nowhere.

mod accounts;
mod chain;

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use vigil_core::{Gap, GapKind, Timestamp};

use crate::budget::Silence;
use crate::limits::LimitScope;
use crate::reply::Trouble;

pub use accounts::Accounts;
pub use chain::{GH_TIMEOUT, TokenChain, TokenOrigin};

/// The stable name of an account: whose limits a request counts against, and under which they are remembered over
/// restarts. Holds no secret.
///
/// `default` for the usual places, the owner's name for a token that is configured for owners, `app 123 at acme` for an
/// App's installation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Account(pub String);

impl Account {
    /// The account that asks about owners for whom nothing else is configured.
    pub fn usual() -> Self {
        Account("default".to_owned())
    }

    /// Its tokens are renewed every hour, and are the same account's all the same.
    pub fn is_renewed(&self) -> bool {
        self.0.starts_with("app ")
    }

    /// The App in whose name its tokens are got; `None`: it is no installation.
    pub fn app(&self) -> Option<Account> {
        let (app, _) = self.0.strip_prefix("app ")?.split_once(" at ")?;
        Some(Account(format!("app {app}")))
    }

    /// Its name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a [`GitHub`](crate::GitHub) gets its tokens.
pub trait Tokens: Send + Sync {
    /// The account that asks about repositories of `owner`, who is compared without case. Pure and immediate: nothing
    /// is looked for, and the same owner always has the same account.
    fn account(&self, owner: &str) -> Account;

    /// The token of `account` to use now, without looking again when one is held that has not run out.
    fn token<'a>(&'a self, account: &'a Account) -> Found<'a>;

    /// Looks again, after GitHub rejected what [`Tokens::token`] gave.
    fn refresh<'a>(&'a self, account: &'a Account) -> Found<'a>;

    /// The silence holds at the moment for whatever is asked to get tokens in the name of an [`Account::app`]: another
    /// process was told, or an earlier one. Who asks GitHub for no tokens has nothing to do.
    fn hush(&self, _app: &Account, _silence: &Silence, _now: Timestamp) {}
}

/// A token that is being looked for.
pub type Found<'a> = Pin<Box<dyn Future<Output = Result<Token, NoToken>> + Send + 'a>>;

/// A token, and where it came from.
#[derive(Clone, Debug)]
pub struct Token {
    /// Shown as `[REDACTED]`.
    pub secret: SecretString,
    /// For people: `GH_TOKEN`, a path, or `gh auth token`.
    pub origin: String,
    /// Tells it apart from other tokens without giving it away.
    pub fingerprint: Fingerprint,
    /// What was said about it when it was given; nothing for one that was found.
    pub lease: Lease,
}

/// What GitHub says with a token that it makes for an App's installation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lease {
    /// When it runs out, by this machine's clock; `None`: nobody said.
    pub expires: Option<Timestamp>,
    /// What it may do, such as `checks` to `read`; `None`: nobody said.
    pub permissions: Option<BTreeMap<String, String>>,
}

impl Token {
    /// A token with its fingerprint.
    pub fn new(secret: SecretString, origin: impl Into<String>) -> Self {
        Token {
            fingerprint: Fingerprint::of(&secret),
            secret,
            origin: origin.into(),
            lease: Lease::default(),
        }
    }

    /// What kind of token it is.
    pub fn kind(&self) -> TokenKind {
        TokenKind::of(&self.secret)
    }

    /// Whether GitHub would see any difference.
    pub(crate) fn differs_from(&self, other: &Token) -> bool {
        self.secret.expose_secret() != other.secret.expose_secret()
    }
}

/// The kinds of token, by what GitHub puts at their beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TokenKind {
    /// `ghp_`: a classic personal access token, which has scopes.
    Classic,
    /// `github_pat_`: a fine-grained personal access token, which has permissions and reads no check runs.
    FineGrained,
    /// `gho_`: what `gh auth login` gives; has scopes.
    OAuth,
    /// `ghu_`: an App on behalf of a person.
    AppUser,
    /// `ghs_`: an App's installation, or a workflow.
    Installation,
    /// Anything else, such as the 40 hexadecimal digits of old.
    Other,
}

impl TokenKind {
    fn of(secret: &SecretString) -> Self {
        let text = secret.expose_secret();
        let prefixes = [
            ("ghp_", TokenKind::Classic),
            ("github_pat_", TokenKind::FineGrained),
            ("gho_", TokenKind::OAuth),
            ("ghu_", TokenKind::AppUser),
            ("ghs_", TokenKind::Installation),
        ];
        prefixes
            .into_iter()
            .find(|(prefix, _)| text.starts_with(prefix))
            .map_or(TokenKind::Other, |(_, kind)| kind)
    }
}

impl fmt::Display for TokenKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TokenKind::Classic => "classic personal access token",
            TokenKind::FineGrained => "fine-grained personal access token",
            TokenKind::OAuth => "OAuth token",
            TokenKind::AppUser => "App's token for a person",
            TokenKind::Installation => "App installation's token",
            TokenKind::Other => "token of an unknown kind",
        })
    }
}

/// The first 8 bytes of SHA-256 over a domain prefix and the token, in hex: tells tokens apart beside stored ETags, which
/// belong to the token that they were given to, and reveals nothing usable: every token of GitHub's has far more than 64
/// random bits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(pub String);

impl Fingerprint {
    /// The fingerprint of `secret`.
    pub fn of(secret: &SecretString) -> Self {
        let mut hash = Sha256::new();
        // Another program's hash of the same token says nothing about ours.
        hash.update(b"vigil token fingerprint 1\0");
        hash.update(secret.expose_secret().as_bytes());
        Fingerprint(hex::encode(&hash.finalize()[..8]))
    }
}

/// There is no token to be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoToken {
    /// No place has one.
    #[error("there is no token for GitHub: {}", tried.join("; "))]
    Missing {
        /// What was tried, and how each ended.
        tried: Vec<String>,
        /// What a person can do about it.
        hint: String,
    },
    /// GitHub gives none, and will not before a person changes something.
    #[error("{detail}")]
    Refused {
        /// Who asked for what, and what GitHub said.
        detail: String,
        /// What a person can do about it.
        hint: String,
    },
    /// GitHub could not be asked for one: it may work later.
    #[error("{}", gap.detail)]
    Unanswered {
        /// How it failed.
        gap: Gap,
    },
    /// GitHub said to stop when it was asked for one.
    #[error("{detail}")]
    Limited {
        /// When one may ask again.
        until: Timestamp,
        /// What it said.
        detail: String,
    },
}

impl NoToken {
    /// What every fact is that was to be asked for with this token.
    pub fn gap(&self) -> Gap {
        match self {
            NoToken::Missing { hint, .. } | NoToken::Refused { hint, .. } => {
                Gap::new(GapKind::Unauthenticated, format!("{self}; hint: {hint}"))
            }
            NoToken::Unanswered { gap } => gap.clone(),
            NoToken::Limited { detail, .. } => Gap::new(GapKind::RateLimited, detail.clone()),
        }
    }
}

impl From<NoToken> for Trouble {
    fn from(none: NoToken) -> Self {
        match none {
            NoToken::Missing { ref hint, .. } | NoToken::Refused { ref hint, .. } => {
                Trouble::NoToken {
                    detail: none.to_string(),
                    hint: hint.clone(),
                }
            }
            NoToken::Unanswered { gap } => Trouble::Unanswered { gap },
            NoToken::Limited { until, detail } => Trouble::Limited {
                until,
                detail,
                scope: LimitScope::Account,
            },
        }
    }
}
