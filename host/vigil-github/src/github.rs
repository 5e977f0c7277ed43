//! The one place where questions leave for GitHub: drives a [`Round`] over HTTP.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use http::{StatusCode, Uri};
use serde_json::json;
use tokio::time::Instant;
use vigil_core::{Gap, GapKind, Timestamp};

use crate::budget::{Pool, Silence};
use crate::line::{Line, Place};
use crate::round::{Body, Landed, Outcome, Outgoing, Raw, Round};
use crate::settings::{Settings, SettingsError};
use crate::tokens::{Account, Token, Tokens};
use crate::transport::{Answer, BODY_BYTES_MAX, Failure, Transport, Wire};
use crate::turn::{Turn, Turns};

/// GitHub, as its accounts see it. Bound to the tokio runtime in which it first sends something.
pub struct GitHub {
    pub(crate) graphql: Uri,
    pub(crate) rest: String,
    request_timeout: Duration,
    pub(crate) tokens: Arc<dyn Tokens>,
    pub(crate) transport: Transport,
    lines: Mutex<HashMap<Account, Arc<Line>>>,
    /// `None`: no other process has a part in this.
    turns: Option<Turns>,
}

/// The right to have a request out. Held until what its answer says is noted.
type Held = (Place, Option<Turn>);

impl GitHub {
    /// Checks the settings; connects to nothing.
    ///
    /// # Errors
    /// An address that is none, or that holds a name or password; a user agent that does not fit a header; a proxy or
    /// a file of certificates that cannot be used.
    pub fn new(settings: Settings) -> Result<Self, SettingsError> {
        let graphql = settings.graphql()?;
        settings.rest()?;
        Ok(GitHub {
            transport: Transport::new(settings.agent()?, settings.network.clone()),
            graphql,
            rest: settings.rest_url.trim_end_matches('/').to_owned(),
            request_timeout: settings.request_timeout,
            tokens: settings.tokens,
            lines: Mutex::default(),
            turns: None,
        })
    }

    /// Takes turns with other processes that share `folder`, so that an account has no more than one query out among
    /// them. The folder is not made where there is none.
    #[must_use]
    pub fn taking_turns_in(self, folder: &Path) -> Self {
        let host = self.graphql.host().unwrap_or_default();
        // Twice, since a request is repeated where its connection broke.
        let patience = self.request_timeout.saturating_mul(2);
        GitHub {
            turns: Some(Turns::new(folder, host, patience)),
            ..self
        }
    }

    fn line(&self, account: &Account) -> Arc<Line> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(lines.entry(account.clone()).or_default())
    }

    /// The account that asks about repositories of `owner`.
    pub fn account(&self, owner: &str) -> Account {
        self.tokens.account(owner)
    }

    /// Sends what `round` hands out, until there is nothing more or `slice` is over; gives whether there may be more.
    /// `now` is the time on the wall. Nothing is waited for beyond `deadline`.
    pub async fn work(
        &self,
        round: &mut Round,
        now: Timestamp,
        slice: Duration,
        deadline: Duration,
    ) -> bool {
        let clock = Clock::new(now, deadline);
        let until = clock.within(slice);
        let mut flying = FuturesUnordered::new();
        loop {
            let mut cut = Instant::now() >= until;
            while !cut && let Some(outgoing) = round.next(clock.now()) {
                flying.push(self.send(outgoing, clock));
                cut = Instant::now() >= until;
            }
            match flying.next().await {
                Some((landed, account, place)) => {
                    self.take(round, landed, &account, clock.now());
                    drop(place);
                }
                None => return cut,
            }
        }
    }

    /// Hands an outcome to its round. Others who wait for the same line are told what it was told.
    fn take(&self, round: &mut Round, landed: Landed, account: &Account, now: Timestamp) {
        let is_answer = matches!(landed.outcome, Outcome::Answer(_));
        round.take(landed, now);
        if !is_answer {
            return;
        }
        for pool in [Pool::GraphQl, Pool::Rest] {
            if let Some(silence) = round.silent(account, pool, now) {
                self.line(account).tell(pool, silence);
            }
        }
    }

    /// Sends one request when there is a place for it on its account's line, and gives the place along.
    async fn send(&self, outgoing: Outgoing, clock: Clock) -> (Landed, Account, Option<Held>) {
        let Outgoing { id, account, body } = outgoing;
        let line = self.line(&account);
        let place = self.hold(&line, &account, body.pool(), clock).await;
        let mut sent = 0;
        let outcome = match place {
            None => Outcome::OutOfTime,
            Some(_) => {
                self.exchange(&account, &body, &line, clock, &mut sent)
                    .await
            }
        };
        tracing::debug!(%account, what = body.name(), outcome = outcome.name(), sent, "GitHub asked");
        (Landed { id, outcome, sent }, account, place)
    }

    /// Waits for a place on the line of `account`, and for the turn of this process where it is a query. `None`: the time
    /// is up.
    async fn hold(&self, line: &Line, account: &Account, pool: Pool, clock: Clock) -> Option<Held> {
        let place = tokio::time::timeout_at(clock.deadline, line.place(pool));
        // Nobody closes a line: only the time can be up.
        let place = place.await.ok().flatten()?;
        let turn = match (&self.turns, pool) {
            (Some(turns), Pool::GraphQl) => turns.take(account, clock.deadline).await.ok()?,
            _ => None,
        };
        Some((place, turn))
    }

    /// One request and its answer, with another token where the first one is rejected.
    async fn exchange(
        &self,
        account: &Account,
        body: &Body,
        line: &Line,
        clock: Clock,
        sent: &mut u32,
    ) -> Outcome {
        let token = match tokio::time::timeout_at(clock.deadline, self.tokens.token(account)).await
        {
            Err(_) => return Outcome::OutOfTime,
            Ok(Err(none)) => return Outcome::NoToken(none.into()),
            Ok(Ok(token)) => token,
        };
        // Whatever was waited for, it is not sent where GitHub has said to stop meanwhile.
        let silent = || line.silent(body.pool(), clock.now());
        let outcome = self.twice(body, &token, clock, &silent, sent).await;
        let rejected =
            matches!(&outcome, Outcome::Answer(raw) if raw.status == StatusCode::UNAUTHORIZED);
        if rejected {
            let looked =
                tokio::time::timeout_at(clock.deadline, self.tokens.refresh(account)).await;
            // The same one would be rejected again, and rejections are counted at GitHub's end.
            if let Ok(Ok(other)) = looked
                && other.differs_from(&token)
            {
                return self.twice(body, &other, clock, &silent, sent).await;
            }
        }
        outcome
    }

    /// Sends once more where the connection broke: a kept one may have died of old age, and reading twice does no
    /// harm.
    async fn twice(
        &self,
        body: &Body,
        token: &Token,
        clock: Clock,
        silent: &impl Fn() -> Option<Silence>,
        sent: &mut u32,
    ) -> Outcome {
        let mut outcome = Outcome::OutOfTime;
        for _ in 0..2 {
            if let Some(silence) = silent() {
                return Outcome::Silent(silence);
            }
            outcome = self.once(body, token, clock, sent).await;
            if !matches!(outcome, Outcome::Broken(_)) {
                break;
            }
        }
        outcome
    }

    async fn once(&self, body: &Body, token: &Token, clock: Clock, sent: &mut u32) -> Outcome {
        if Instant::now() >= clock.deadline {
            return Outcome::OutOfTime;
        }
        let until = clock.deadline.min(Instant::now() + self.request_timeout);
        let began = Instant::now();
        let answered = match body {
            Body::GraphQl {
                document,
                variables,
            } => {
                let body = json!({ "query": document, "variables": variables });
                self.transport
                    .send(&self.graphql, token, Wire::post(&body), until)
                    .await
            }
            Body::Rest { path, etag } => {
                let Ok(uri) = format!("{}{path}", self.rest).parse::<Uri>() else {
                    return Outcome::Broken(Gap::new(
                        GapKind::Malformed,
                        format!("{path} does not fit an address"),
                    ));
                };
                // An ETag holds for the token that it came with alone.
                let if_none_match = etag
                    .as_ref()
                    .filter(|(_, fingerprint)| *fingerprint == token.fingerprint)
                    .map(|(value, _)| value.as_str());
                let wire = Wire {
                    body: None,
                    if_none_match,
                };
                self.transport.send(&uri, token, wire, until).await
            }
        };
        *sent += u32::from(!matches!(answered, Err(Failure::NoConnection(_))));
        match answered {
            Ok(Answer {
                status,
                headers,
                body,
            }) => Outcome::Answer(Raw {
                status,
                headers,
                body,
                fingerprint: token.fingerprint.clone(),
                origin: token.origin.clone(),
                took: began.elapsed(),
            }),
            Err(Failure::TimedOut) if until == clock.deadline => Outcome::OutOfTime,
            Err(failure) => self.no_answer(failure),
        }
    }

    fn no_answer(&self, failure: Failure) -> Outcome {
        let host = self.graphql.authority().map_or("", |host| host.as_str());
        match failure {
            Failure::TimedOut => Outcome::TimedOut(Gap::new(
                GapKind::TimedOut,
                format!("{host} did not answer within {:?}", self.request_timeout),
            )),
            Failure::TooLarge => Outcome::TooLarge(Gap::new(
                GapKind::TooLarge,
                format!("the answer of {host} is larger than {BODY_BYTES_MAX} bytes"),
            )),
            Failure::NoConnection(cause) => Outcome::NoConnection(Gap::new(
                GapKind::Unreachable,
                format!("no connection to {host}: {cause}"),
            )),
            Failure::Broken(cause) => Outcome::Broken(Gap::new(
                GapKind::Unreachable,
                format!("the connection to {host} broke: {cause}"),
            )),
        }
    }
}

/// The time of one call: the wall's, told once, and how long it has been since.
#[derive(Clone, Copy)]
pub(crate) struct Clock {
    /// The time on the wall when the call began.
    pub(crate) wall: Timestamp,
    began: Instant,
    pub(crate) deadline: Instant,
}

impl Clock {
    pub(crate) fn new(wall: Timestamp, deadline: Duration) -> Self {
        let began = Instant::now();
        Clock {
            wall,
            began,
            // A deadline that no clock can hold is none; a day is longer than any call.
            deadline: began
                .checked_add(deadline)
                .unwrap_or_else(|| began + Duration::from_secs(24 * 60 * 60)),
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.wall.after(self.began.elapsed())
    }

    /// The moment that lies `span` after the beginning, at most the deadline.
    fn within(&self, span: Duration) -> Instant {
        self.began
            .checked_add(span)
            .map_or(self.deadline, |moment| moment.min(self.deadline))
    }
}
