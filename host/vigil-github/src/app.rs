//! A GitHub App: signs with its key, finds its installation at an owner, and gets that installation's token, anew before
//! it runs out. The key and the tokens are shown nowhere.
//!
//! The rules are those of GitHub's documentation: *generating a JSON Web Token (JWT) for a GitHub App* and *generating
//! an installation access token for a GitHub App*.

mod key;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{StatusCode, Uri};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;
use vigil_core::{Gap, GapKind, Timestamp};

use crate::budget::{AccountMemory, Pool, Silence};
use crate::limits::{self, Meter};
use crate::settings::{SettingsError, address, agent};
use crate::tokens::{Account, Lease, NoToken, Token};
use crate::transport::{Answer, Failure, Network, Transport, Wire};
use crate::words;

pub use key::{AppKey, KeyError};

/// How long before its end a token is renewed: a pass that began with it must not lose it half-way.
pub const RENEW_BEFORE: Duration = Duration::from_secs(5 * 60);

/// How long an App counts as not installed after GitHub said so. A person who installs it waits that long; every pass
/// would ask twice otherwise.
pub const MISSING_FOR: Duration = Duration::from_secs(5 * 60);

/// A clock that is off by more than this is corrected by GitHub's, in milliseconds. What GitHub lets pass is a minute:
/// the claims of a signature begin that long ago.
const SKEW_MS_MAX: u64 = 30_000;

/// Gives the present moment.
pub type Now = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// What an App needs to ask for tokens.
#[derive(Clone)]
pub struct AppSettings {
    /// Its id, a number, or its client id; both stand on its settings page.
    pub id: String,
    /// What it signs with.
    pub key: AppKey,
    /// What REST paths are put behind, for example `https://api.github.com`.
    pub rest_url: String,
    /// Who is asking. GitHub refuses requests without it.
    pub user_agent: String,
    /// How long one request may take.
    pub request_timeout: Duration,
    /// What lies between this machine and GitHub.
    pub network: Network,
    /// The clock, which says when a token has run out.
    pub now: Now,
}

/// A GitHub App with its installations. Whoever shares it shares their tokens: one is renewed at a time.
pub struct App {
    settings: AppSettings,
    rest: String,
    host: String,
    transport: Transport,
    /// How far GitHub's clock is ahead of ours, in milliseconds, as far as that mattered.
    ahead_ms: AtomicI64,
    /// What GitHub told it in its own name: its limits hold for all of its installations' tokens.
    told: Mutex<AccountMemory>,
    /// By owner in lower case. As many as there are owners of sessions.
    seats: Mutex<HashMap<String, Arc<Seat>>>,
}

/// The installation at one owner.
#[derive(Default)]
struct Seat {
    held: Mutex<Held>,
    /// Held while GitHub is asked.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Held {
    installation: Option<u64>,
    token: Option<Token>,
    /// There is no token before then, and why.
    missing: Option<(Timestamp, NoToken)>,
}

impl Held {
    /// The token, if it is good for a while yet at `now`.
    fn fresh(&self, now: Timestamp) -> Option<Token> {
        self.good(now.after(RENEW_BEFORE))
    }

    /// The token, if it has not run out at `now`.
    fn good(&self, now: Timestamp) -> Option<Token> {
        let token = self.token.as_ref()?;
        (token.lease.expires? > now).then(|| token.clone())
    }
}

impl App {
    /// Checks the settings; connects to nothing.
    ///
    /// # Errors
    /// An address that is none, or a user agent that does not fit a header.
    pub fn new(settings: AppSettings) -> Result<Self, SettingsError> {
        let rest = address("REST API", &settings.rest_url)?;
        Ok(App {
            transport: Transport::new(agent(&settings.user_agent)?, settings.network.clone()),
            rest: settings.rest_url.trim_end_matches('/').to_owned(),
            host: rest.host().unwrap_or_default().to_owned(),
            settings,
            ahead_ms: AtomicI64::new(0),
            told: Mutex::default(),
            seats: Mutex::default(),
        })
    }

    /// The account of its installation at `owner`.
    pub fn account(&self, owner: &str) -> Account {
        Account(format!("{self} at {}", owner.to_lowercase()))
    }

    /// Whether `account` is the App itself.
    pub(crate) fn is(&self, account: &Account) -> bool {
        account.0 == self.to_string()
    }

    /// Asks for nothing in its own name before `silence` is over, which was told to another process or an earlier one.
    pub(crate) fn hush(&self, silence: &Silence, now: Timestamp) {
        self.told().hush(silence.clone(), now);
    }

    /// Whose installation `account` is; `None`: it is none of this App's.
    pub(crate) fn owner<'a>(&self, account: &'a Account) -> Option<&'a str> {
        account.0.strip_prefix(&format!("{self} at "))
    }

    /// The token of the installation at `owner`, a new one when there is none that lasts.
    pub(crate) async fn token(&self, owner: &str) -> Result<Token, NoToken> {
        let seat = self.seat(owner);
        if let Some(token) = seat.held().fresh(self.now()) {
            return Ok(token);
        }
        let _turn = seat.turn.lock().await;
        // Somebody else may have got one in the meantime.
        if let Some(token) = seat.held().fresh(self.now()) {
            return Ok(token);
        }
        match self.renew(owner, &seat).await {
            // The old one does as long as it lasts; the next call tries again.
            Err(NoToken::Unanswered { gap }) => seat
                .held()
                .good(self.now())
                .ok_or(NoToken::Unanswered { gap }),
            Err(NoToken::Limited { until, detail }) => seat
                .held()
                .good(self.now())
                .ok_or(NoToken::Limited { until, detail }),
            renewed => renewed,
        }
    }

    /// A new token of the installation at `owner`, since GitHub rejected the one in use.
    pub(crate) async fn refresh(&self, owner: &str) -> Result<Token, NoToken> {
        let seat = self.seat(owner);
        let rejected = seat.held().token.clone();
        let _turn = seat.turn.lock().await;
        // Of several that were rejected at once, the first has got a new one for all.
        if let (Some(rejected), Some(token)) = (&rejected, seat.held().fresh(self.now()))
            && token.differs_from(rejected)
        {
            return Ok(token);
        }
        let renewed = self.renew(owner, &seat).await;
        if renewed.is_err() {
            seat.held().token = None;
        }
        renewed
    }

    fn seat(&self, owner: &str) -> Arc<Seat> {
        let mut seats = self.seats.lock().unwrap_or_else(PoisonError::into_inner);
        seats.entry(owner.to_lowercase()).or_default().clone()
    }

    fn now(&self) -> Timestamp {
        (self.settings.now)()
    }

    /// Gets a new token, and keeps it. Only with the seat's turn.
    async fn renew(&self, owner: &str, seat: &Seat) -> Result<Token, NoToken> {
        if let Some((until, why)) = &seat.held().missing
            && self.now() < *until
        {
            return Err(why.clone());
        }
        let known = seat.held().installation;
        let got = match known {
            Some(id) => match self.lease(owner, id).await {
                // It was taken away, and may have been put back under another id.
                Err(Lost::NotThere) => self.find_and_lease(owner, seat).await,
                other => other.map_err(|lost| self.explain(lost, owner)),
            },
            None => self.find_and_lease(owner, seat).await,
        };
        match got {
            Ok(token) => {
                let mut held = seat.held();
                held.missing = None;
                held.token = Some(token.clone());
                tracing::debug!(account = %self.account(owner), "token got");
                Ok(token)
            }
            Err(why) => {
                if let NoToken::Refused { .. } = why {
                    seat.held().missing = Some((self.now().after(MISSING_FOR), why.clone()));
                }
                Err(why)
            }
        }
    }

    async fn find_and_lease(&self, owner: &str, seat: &Seat) -> Result<Token, NoToken> {
        let explain = |lost| self.explain(lost, owner);
        // It goes into an address, and comes from a record that anybody may have written.
        if !owner
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
        {
            return Err(explain(Lost::NotThere));
        }
        // A login is a person's or an organisation's, and GitHub documents an address for each.
        let found = match self.find(&format!("/users/{owner}/installation")).await {
            Err(Lost::NotThere) => self.find(&format!("/orgs/{owner}/installation")).await,
            other => other,
        };
        let id = found.map_err(explain)?;
        seat.held().installation = Some(id);
        self.lease(owner, id).await.map_err(explain)
    }

    /// The installation's id.
    async fn find(&self, path: &str) -> Result<u64, Lost> {
        #[derive(Deserialize)]
        struct Installation {
            id: u64,
        }
        let answer = self.send(path, None).await?;
        let found: Installation = serde_json::from_slice(&answer.body)
            .map_err(|_| Lost::Passing(malformed("an installation")))?;
        Ok(found.id)
    }

    /// A token of the installation.
    async fn lease(&self, owner: &str, id: u64) -> Result<Token, Lost> {
        #[derive(Deserialize)]
        struct Lent {
            token: String,
            expires_at: jiff::Timestamp,
            permissions: Option<BTreeMap<String, String>>,
        }
        let path = format!("/app/installations/{id}/access_tokens");
        let answer = self
            .send(&path, Some(&Value::Object(Default::default())))
            .await?;
        // What cannot be read is not shown: it may hold the token.
        let lent: Lent = serde_json::from_slice(&answer.body)
            .map_err(|_| Lost::Passing(malformed("a token")))?;
        let expires = u64::try_from(lent.expires_at.as_millisecond()).unwrap_or_default();
        let mut token = Token::new(SecretString::from(lent.token), self.account(owner).0);
        token.lease = Lease {
            expires: Some(self.on_our_clock(Timestamp(expires))),
            permissions: lent.permissions,
        };
        Ok(token)
    }

    /// Sends one request in the App's own name.
    async fn send(&self, path: &str, body: Option<&Value>) -> Result<Answer, Lost> {
        let uri: Uri = format!("{}{path}", self.rest)
            .parse()
            .map_err(|_| Lost::Refused(format!("{path} is no address")))?;
        let mut answer = self.send_once(&uri, body).await?;
        if answer.status == StatusCode::UNAUTHORIZED && self.learn_the_time(&answer) {
            answer = self.send_once(&uri, body).await?;
        }
        let mut unread = None;
        if answer.status == StatusCode::UNAUTHORIZED {
            // Keys are replaced while vigil runs: the new one is made first, and then the old one is taken away.
            match self.settings.key.read_again() {
                Ok(true) => answer = self.send_once(&uri, body).await?,
                Ok(false) => {}
                Err(error) => unread = Some(error),
            }
        }
        if answer.status.is_success() {
            self.note(&answer, "");
            return Ok(answer);
        }
        let message = serde_json::from_slice::<Value>(&answer.body)
            .ok()
            .and_then(|body| Some(words::short(body.get("message")?.as_str()?)))
            .unwrap_or_default();
        if let Some(silence) = self.note(&answer, &message) {
            return Err(silence.into());
        }
        let mut said = match message.as_str() {
            "" => format!("{} answered {}", self.host, answer.status.as_u16()),
            _ => format!(
                "{} answered {}: {message}",
                self.host,
                answer.status.as_u16()
            ),
        };
        if let Some(error) = unread {
            said.push_str(&format!("; its key could not be read again: {error}"));
        }
        Err(match answer.status {
            StatusCode::NOT_FOUND => Lost::NotThere,
            status if status.is_server_error() => {
                Lost::Passing(Gap::new(GapKind::Unreachable, said))
            }
            _ => Lost::Refused(said),
        })
    }

    /// Notes what an answer tells about limits: the silence that holds now, if it is a refusal by one.
    fn note(&self, answer: &Answer, message: &str) -> Option<Silence> {
        // Its headers can tell of a pot that is not this one's.
        if answer.status == StatusCode::UNAUTHORIZED {
            return None;
        }
        let at = self.now();
        let meter = Meter::from_headers(&answer.headers, limits::CORE, at);
        let mut told = self.told();
        match limits::limit(answer.status, &answer.headers, message, at) {
            Some(limit) => Some(told.limited(Pool::Rest, &limit, meter, at)),
            None => {
                told.answered(Pool::Rest, 1, meter, at);
                None
            }
        }
    }

    fn told(&self) -> std::sync::MutexGuard<'_, AccountMemory> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it may be asked for anything in the App's own name; if not, why.
    fn may_ask(&self) -> Result<(), Lost> {
        let silence = self.told().silent(Pool::Rest, self.now());
        silence.map_or(Ok(()), |silence| Err(silence.into()))
    }

    async fn send_once(&self, uri: &Uri, body: Option<&Value>) -> Result<Answer, Lost> {
        self.may_ask()?;
        let at = self.now();
        let ahead_ms = self.ahead_ms.load(Ordering::Relaxed);
        let now = Timestamp(at.0.saturating_add_signed(ahead_ms));
        let key = &self.settings.key;
        let signed = key
            .sign(&self.settings.id, now)
            .map_err(|error| Lost::Refused(error.to_string()))?;
        let token = Token::new(signed, "the App's key");
        let wire = Wire {
            body,
            ..Wire::default()
        };
        let until = Instant::now() + self.settings.request_timeout;
        let mut sent = self.transport.send(uri, &token, wire, until).await;
        if let Err(Failure::Broken(_)) = sent {
            self.may_ask()?;
            // A kept connection may have died of old age. A token that nobody got is one that nobody has.
            sent = self.transport.send(uri, &token, wire, until).await;
        }
        let host = &self.host;
        sent.map_err(|failure| {
            Lost::Passing(match failure {
                Failure::TimedOut => Gap::new(
                    GapKind::TimedOut,
                    format!(
                        "{host} did not answer within {:?}",
                        self.settings.request_timeout
                    ),
                ),
                Failure::TooLarge => Gap::new(
                    GapKind::TooLarge,
                    format!("the answer of {host} is too large"),
                ),
                Failure::NoConnection(cause) | Failure::Broken(cause) => Gap::new(
                    GapKind::Unreachable,
                    format!("no answer from {host}: {cause}"),
                ),
            })
        })
    }

    /// Takes GitHub's clock for a right one, where ours is so far off that the signature was refused for it; `true`:
    /// another signature may be taken.
    fn learn_the_time(&self, answer: &Answer) -> bool {
        let Some(server) = limits::server_time(&answer.headers) else {
            return false;
        };
        let (Ok(server), Ok(ours)) = (i64::try_from(server.0), i64::try_from(self.now().0)) else {
            return false;
        };
        let ahead = server.saturating_sub(ours);
        let before = self.ahead_ms.swap(ahead, Ordering::Relaxed);
        ahead.abs_diff(before) > SKEW_MS_MAX
    }

    /// A moment of GitHub's clock on ours.
    fn on_our_clock(&self, moment: Timestamp) -> Timestamp {
        let ahead = self.ahead_ms.load(Ordering::Relaxed);
        Timestamp(moment.0.saturating_add_signed(ahead.saturating_neg()))
    }

    /// Why there is no token for `owner`, for people.
    fn explain(&self, lost: Lost, owner: &str) -> NoToken {
        match lost {
            Lost::NotThere => NoToken::Refused {
                detail: format!("{self} is not installed at {owner}"),
                hint: format!("install it there, or configure a token for {owner}"),
            },
            Lost::Refused(said) => NoToken::Refused {
                detail: format!("there is no token of {self} for {owner}: {said}"),
                hint: format!("check id and key of {self}, and its installation at {owner}"),
            },
            Lost::Passing(gap) => NoToken::Unanswered {
                gap: Gap {
                    detail: format!("there is no token of {self} for {owner}: {}", gap.detail),
                    ..gap
                },
            },
            Lost::Limited(until, detail) => NoToken::Limited {
                until,
                detail: format!("there is no token of {self} for {owner}: {detail}"),
            },
        }
    }
}

impl Seat {
    fn held(&self) -> std::sync::MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Display for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "app {}", self.settings.id)
    }
}

/// How a request of the App's came to nothing.
enum Lost {
    /// There is no such thing, or the App may not know of it.
    NotThere,
    /// It is refused, and will be.
    Refused(String),
    /// It may work later.
    Passing(Gap),
    /// Not before then.
    Limited(Timestamp, String),
}

impl From<Silence> for Lost {
    fn from(silence: Silence) -> Self {
        Lost::Limited(silence.until, silence.why)
    }
}

fn malformed(what: &str) -> Gap {
    Gap::new(
        GapKind::Malformed,
        format!("what was to be {what} does not read as one"),
    )
}
