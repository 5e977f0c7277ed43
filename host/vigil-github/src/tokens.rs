//! Where the token comes from. It is held in memory only, and shown nowhere.

use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::process::Stdio;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncReadExt;
use tokio::process::Command;
use tokio::sync::Mutex;
use vigil_core::{Gap, GapKind, Timestamp};

use crate::reply::Trouble;

/// How long `gh auth token` may take. It reads a file or asks a keyring; a keyring that waits for a password must not
/// hold up a pass.
pub const GH_TIMEOUT: Duration = Duration::from_secs(5);

/// Longer than any token that GitHub gives, App installation tokens with 520 characters among them. In bytes.
const TOKEN_BYTES_MAX: u64 = 4096;

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
}

impl Token {
    /// A token with its fingerprint.
    pub fn new(secret: SecretString, origin: impl Into<String>) -> Self {
        Token {
            fingerprint: Fingerprint::of(&secret),
            secret,
            origin: origin.into(),
        }
    }

    /// Whether GitHub would see any difference.
    pub(crate) fn differs_from(&self, other: &Token) -> bool {
        self.secret.expose_secret() != other.secret.expose_secret()
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
            NoToken::Limited { until, detail } => Trouble::Limited { until, detail },
        }
    }
}

/// A place where a token may be.
#[derive(Clone)]
pub enum TokenOrigin {
    /// A variable that the caller read from the environment.
    Env {
        /// Its name.
        name: String,
        /// Its value; `None` or blank: it is not set.
        value: Option<SecretString>,
    },
    /// A file that holds nothing but the token. One that is named and cannot be read ends the search: falling back to
    /// somebody else's token would be a surprise.
    File {
        /// Where it is.
        path: PathBuf,
    },
    /// The command line of GitHub, which may keep its token in a keyring.
    GhCli {
        /// `gh`, or a path to it.
        program: PathBuf,
        /// The host that the token is for, for example `github.com`.
        host: String,
    },
}

impl fmt::Debug for TokenOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

impl TokenOrigin {
    /// For people.
    fn name(&self) -> String {
        match self {
            TokenOrigin::Env { name, .. } => name.clone(),
            TokenOrigin::File { path } => path.display().to_string(),
            TokenOrigin::GhCli { program, .. } => format!("{} auth token", program.display()),
        }
    }

    /// The token, or how the search ended here and whether it goes on.
    async fn read(&self) -> Result<SecretString, Miss> {
        match self {
            TokenOrigin::Env { value, .. } => match value {
                Some(value) => clean(value.expose_secret()),
                None => Err(Miss::nothing("is not set")),
            },
            TokenOrigin::File { path } => {
                let text = read_file(path)
                    .await
                    .map_err(|error| Miss::trouble(format!("cannot be read ({error})")))?;
                // An empty file is a mistake and no missing setting.
                clean(text.expose_secret()).map_err(|miss| Miss::trouble(miss.how))
            }
            TokenOrigin::GhCli { program, host } => gh(program, host).await,
        }
    }
}

/// How a place came to give no token.
struct Miss {
    how: String,
    /// The next place is not tried.
    ends: bool,
}

impl Miss {
    fn nothing(how: impl Into<String>) -> Self {
        Miss {
            how: how.into(),
            ends: false,
        }
    }

    fn trouble(how: impl Into<String>) -> Self {
        Miss {
            how: how.into(),
            ends: true,
        }
    }
}

/// The first of several places that has a token.
#[derive(Debug)]
pub struct TokenChain {
    origins: Vec<TokenOrigin>,
    held: Mutex<Option<Token>>,
}

impl TokenChain {
    /// Looks in `origins` in their order, when a token is first needed.
    pub fn new(origins: Vec<TokenOrigin>) -> Self {
        TokenChain {
            origins,
            held: Mutex::new(None),
        }
    }

    async fn look(&self) -> Result<Token, NoToken> {
        let mut tried = Vec::new();
        for origin in &self.origins {
            match origin.read().await {
                Ok(secret) => {
                    return Ok(Token::new(secret, origin.name()));
                }
                Err(miss) => {
                    tried.push(format!("{} {}", origin.name(), miss.how));
                    if miss.ends {
                        break;
                    }
                }
            }
        }
        Err(NoToken::Missing {
            tried,
            hint: "set GH_TOKEN, or run gh auth login".to_owned(),
        })
    }
}

impl Tokens for TokenChain {
    fn account(&self, _owner: &str) -> Account {
        Account::usual()
    }

    fn token<'a>(&'a self, _account: &'a Account) -> Found<'a> {
        Box::pin(async {
            let mut held = self.held.lock().await;
            if let Some(token) = &*held {
                return Ok(token.clone());
            }
            let token = self.look().await?;
            *held = Some(token.clone());
            Ok(token)
        })
    }

    fn refresh<'a>(&'a self, _account: &'a Account) -> Found<'a> {
        Box::pin(async {
            let mut held = self.held.lock().await;
            let looked = self.look().await;
            *held = looked.as_ref().ok().cloned();
            looked
        })
    }
}

/// A token without the white space around it, if it can be one at all.
fn clean(text: &str) -> Result<SecretString, Miss> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Miss::nothing("is empty"));
    }
    // It goes into a header. What it holds instead is not said: it may be half a token.
    if !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(Miss::trouble("holds characters that no token has"));
    }
    Ok(SecretString::from(text.to_owned()))
}

async fn read_file(path: &std::path::Path) -> std::io::Result<SecretString> {
    let file = tokio::fs::File::open(path).await?;
    warn_if_open(path, &file.metadata().await?);
    let mut text = String::new();
    file.take(TOKEN_BYTES_MAX).read_to_string(&mut text).await?;
    Ok(SecretString::from(text))
}

/// Others may read it. Not refused: mounted secrets commonly are 0644 inside a container of their own.
#[cfg(unix)]
fn warn_if_open(path: &std::path::Path, metadata: &std::fs::Metadata) {
    use std::os::unix::fs::PermissionsExt;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        tracing::warn!(
            path = %path.display(),
            mode = %format_args!("{mode:03o}"),
            "token file readable by others: chmod 600 it"
        );
    }
}

#[cfg(not(unix))]
fn warn_if_open(_: &std::path::Path, _: &std::fs::Metadata) {}

/// Asks `gh`. Whatever goes wrong is a miss: many machines do not have it.
async fn gh(program: &std::path::Path, host: &str) -> Result<SecretString, Miss> {
    let mut child = Command::new(program)
        .args(["auth", "token", "--hostname", host])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        // What it complains about may quote its own configuration; only its exit code is passed on.
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| Miss::nothing(format!("cannot be run ({error})")))?;
    let stdout = child.stdout.take();
    let answer = tokio::time::timeout(GH_TIMEOUT, async {
        let mut text = String::new();
        if let Some(stdout) = stdout {
            stdout
                .take(TOKEN_BYTES_MAX)
                .read_to_string(&mut text)
                .await?;
        }
        Ok::<_, std::io::Error>((child.wait().await?, SecretString::from(text)))
    })
    .await;
    match answer {
        Err(_) => Err(Miss::nothing(format!(
            "did not answer within {} s",
            GH_TIMEOUT.as_secs()
        ))),
        Ok(Err(error)) => Err(Miss::nothing(format!("cannot be read ({error})"))),
        Ok(Ok((status, _))) if !status.success() => Err(Miss::nothing(format!(
            "failed ({status}); is gh logged in to {host}?"
        ))),
        Ok(Ok((_, text))) => clean(text.expose_secret()),
    }
}
