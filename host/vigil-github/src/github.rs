//! The one place where questions leave for GitHub: drives a [`Round`] over HTTP.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use http::{StatusCode, Uri};
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use vigil_core::{Gap, GapKind, Timestamp};

use crate::round::{Body, Landed, Outcome, Outgoing, REST_IN_FLIGHT, Raw, Round};
use crate::settings::{Settings, SettingsError};
use crate::tokens::{Account, Token, Tokens};
use crate::transport::{Answer, BODY_BYTES_MAX, Failure, Transport, Wire};

/// GitHub, as its accounts see it. Bound to the tokio runtime in which it first sends something.
pub struct GitHub {
    pub(crate) graphql: Uri,
    pub(crate) rest: String,
    request_timeout: Duration,
    pub(crate) tokens: Arc<dyn Tokens>,
    pub(crate) transport: Transport,
    lines: Mutex<HashMap<Account, Arc<Line>>>,
}

/// How much of one account may be out at a time, however many rounds there are: GitHub takes more for abuse.
struct Line {
    graphql: Semaphore,
    rest: Semaphore,
}

impl Default for Line {
    fn default() -> Self {
        Line {
            graphql: Semaphore::new(1),
            rest: Semaphore::new(REST_IN_FLIGHT),
        }
    }
}

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
        })
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
                Some(landed) => round.take(landed, clock.now()),
                None => return cut,
            }
        }
    }

    /// Sends one request, with another token where the first one is rejected.
    async fn send(&self, outgoing: Outgoing, clock: Clock) -> Landed {
        let Outgoing { id, account, body } = outgoing;
        let landed = |outcome: Outcome, sent| {
            tracing::debug!(%account, what = body.name(), outcome = outcome.name(), sent, "GitHub asked");
            Landed { id, outcome, sent }
        };
        let line = self.line(&account);
        let place = match &body {
            Body::GraphQl { .. } => line.graphql.acquire(),
            Body::Rest { .. } => line.rest.acquire(),
        };
        // Nobody closes a line: only the time can be up.
        let Ok(_place) = tokio::time::timeout_at(clock.deadline, place).await else {
            return landed(Outcome::OutOfTime, 0);
        };
        let token = match tokio::time::timeout_at(clock.deadline, self.tokens.token(&account)).await
        {
            Err(_) => return landed(Outcome::OutOfTime, 0),
            Ok(Err(none)) => return landed(Outcome::NoToken(none.into()), 0),
            Ok(Ok(token)) => token,
        };
        let mut sent = 0;
        let mut outcome = self.twice(&body, &token, clock, &mut sent).await;
        let rejected =
            matches!(&outcome, Outcome::Answer(raw) if raw.status == StatusCode::UNAUTHORIZED);
        if rejected {
            let looked =
                tokio::time::timeout_at(clock.deadline, self.tokens.refresh(&account)).await;
            // The same one would be rejected again, and rejections are counted at GitHub's end.
            if let Ok(Ok(other)) = looked
                && other.differs_from(&token)
            {
                outcome = self.twice(&body, &other, clock, &mut sent).await;
            }
        }
        landed(outcome, sent)
    }

    /// Sends once more where the connection broke: a kept one may have died of old age, and reading twice does no
    /// harm.
    async fn twice(&self, body: &Body, token: &Token, clock: Clock, sent: &mut u32) -> Outcome {
        let outcome = self.once(body, token, clock, sent).await;
        match outcome {
            Outcome::Broken(_) => self.once(body, token, clock, sent).await,
            outcome => outcome,
        }
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
