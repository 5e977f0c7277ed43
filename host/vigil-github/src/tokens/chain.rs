//! The places where a person keeps a token, in their order.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio::io::AsyncReadExt;
use tokio::process::Command;
use tokio::sync::Mutex;

use super::{Account, Found, NoToken, Token, Tokens};
use crate::secret_file;

/// How long `gh auth token` may take. It reads a file or asks a keyring; a keyring that waits for a password must not
/// hold up a pass.
pub const GH_TIMEOUT: Duration = Duration::from_secs(5);

/// What is read of `gh`'s answer at most, in bytes.
const ANSWER_BYTES_MAX: u64 = 4096;

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
    /// A file that holds nothing but the token, by the rule of [`secret_file`]. One that is named and cannot be read
    /// ends the search: falling back to somebody else's token would be a surprise.
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
        /// All that the program is told of the caller's environment.
        environment: Vec<(OsString, OsString)>,
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

    /// A variable that holds nothing: the search goes on after it.
    fn is_unset(&self) -> bool {
        match self {
            TokenOrigin::Env { value, .. } => value
                .as_ref()
                .is_none_or(|value| value.expose_secret().trim().is_empty()),
            TokenOrigin::File { .. } | TokenOrigin::GhCli { .. } => false,
        }
    }

    /// Whether it gives the same token as `other` at any time.
    fn is_as(&self, other: &TokenOrigin) -> bool {
        match (self, other) {
            (
                TokenOrigin::Env {
                    value: Some(ours), ..
                },
                TokenOrigin::Env {
                    value: Some(theirs),
                    ..
                },
            ) => ours.expose_secret().trim() == theirs.expose_secret().trim(),
            (TokenOrigin::File { path: ours }, TokenOrigin::File { path: theirs }) => {
                ours == theirs
            }
            (
                TokenOrigin::GhCli {
                    program: ours,
                    host: of,
                    ..
                },
                TokenOrigin::GhCli { program, host, .. },
            ) => ours == program && of == host,
            _ => false,
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
                let path = path.clone();
                // A file may lie on a disk that takes its time.
                let read = tokio::task::spawn_blocking(move || secret_file::read_token(&path));
                match read.await {
                    Ok(Ok(token)) => Ok(token),
                    // An empty file is a mistake and no missing setting.
                    Ok(Err(error)) => {
                        Err(Miss::trouble(format!("{}; {}", error.why(), error.hint())))
                    }
                    Err(_) => Err(Miss::trouble("could not be read")),
                }
            }
            TokenOrigin::GhCli {
                program,
                host,
                environment,
            } => gh(program, host, environment).await,
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
    hint: String,
    held: Mutex<Option<Token>>,
}

impl TokenChain {
    /// Looks in `origins` in their order, when a token is first needed.
    pub fn new(origins: Vec<TokenOrigin>) -> Self {
        TokenChain {
            origins,
            hint: "set GH_TOKEN, or run gh auth login".to_owned(),
            held: Mutex::new(None),
        }
    }

    /// The same chain with other advice to a person who has no token.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    /// Whether both find the same token, as far as that is known before anything is looked for: the first place that
    /// can have one is the same file or program, or a variable of the same value.
    pub(super) fn finds_the_same(&self, other: &TokenChain) -> bool {
        let first = |chain: &TokenChain| {
            let mut origins = chain.origins.iter();
            origins.find(|origin| !origin.is_unset()).cloned()
        };
        match (first(self), first(other)) {
            (Some(ours), Some(theirs)) => ours.is_as(&theirs),
            _ => false,
        }
    }

    /// The token, looked for when none is held.
    pub(super) async fn current(&self) -> Result<Token, NoToken> {
        let mut held = self.held.lock().await;
        if let Some(token) = &*held {
            return Ok(token.clone());
        }
        let token = self.look().await?;
        *held = Some(token.clone());
        Ok(token)
    }

    /// The token, looked for again.
    pub(super) async fn again(&self) -> Result<Token, NoToken> {
        let mut held = self.held.lock().await;
        let looked = self.look().await;
        *held = looked.as_ref().ok().cloned();
        looked
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
            hint: self.hint.clone(),
        })
    }
}

impl Tokens for TokenChain {
    fn account(&self, _owner: &str) -> Account {
        Account::usual()
    }

    fn token<'a>(&'a self, _account: &'a Account) -> Found<'a> {
        Box::pin(self.current())
    }

    fn refresh<'a>(&'a self, _account: &'a Account) -> Found<'a> {
        Box::pin(self.again())
    }
}

/// A token without the white space around it, if it can be one at all.
fn clean(text: &str) -> Result<SecretString, Miss> {
    if text.trim().is_empty() {
        return Err(Miss::nothing("is empty"));
    }
    // What it holds instead is not said: it may be half a token.
    secret_file::token(text).ok_or_else(|| Miss::trouble("holds characters that no token has"))
}

/// Asks `gh`. Whatever goes wrong is a miss: many machines do not have it.
async fn gh(
    program: &std::path::Path,
    host: &str,
    environment: &[(OsString, OsString)],
) -> Result<SecretString, Miss> {
    let mut child = Command::new(program)
        .args(["auth", "token", "--hostname", host])
        .env_clear()
        .envs(environment.iter().map(|(name, value)| (name, value)))
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
                .take(ANSWER_BYTES_MAX)
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
