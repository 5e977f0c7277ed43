//! The one place where questions leave for GitHub: drives a [`Round`] over HTTP.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use http::{StatusCode, Uri};
use serde_json::json;
use tokio::time::Instant;
use vigil_core::{Gap, GapKind, Timestamp};

use crate::budget::{Pool, Silence};
use crate::line::{Lines, Place, Way};
use crate::round::{Body, Landed, Outcome, Outgoing, Raw, Round};
use crate::settings::{Settings, SettingsError};
use crate::tokens::{Account, NoToken, Token, Tokens};
use crate::transport::{Answer, BODY_BYTES_MAX, Failure, Transport, Wire};
use crate::turn::{OutOfTime, Turn, Turns};

/// GitHub, as its accounts see it. Bound to the tokio runtime in which it first sends something.
pub struct GitHub {
    pub(crate) graphql: Uri,
    pub(crate) rest: String,
    request_timeout: Duration,
    pub(crate) tokens: Arc<dyn Tokens>,
    pub(crate) transport: Transport,
    lines: Lines,
    /// `None`: no other process has a part in this.
    turns: Option<Turns>,
}

/// The right to have a request out. Held until what its answer says is noted.
pub(crate) struct Held {
    way: Way,
    _place: Place,
    _turn: Option<Turn>,
}

/// There is no such right.
pub(crate) enum NotHeld {
    /// The time was up before it was there.
    OutOfTime,
    /// There is no token to ask with.
    NoToken(NoToken),
}

impl From<NoToken> for NotHeld {
    fn from(none: NoToken) -> Self {
        NotHeld::NoToken(none)
    }
}

impl From<OutOfTime> for NotHeld {
    fn from(_: OutOfTime) -> Self {
        NotHeld::OutOfTime
    }
}

impl From<NotHeld> for Outcome {
    fn from(not: NotHeld) -> Self {
        match not {
            NotHeld::OutOfTime => Outcome::OutOfTime,
            NotHeld::NoToken(none) => Outcome::NoToken(none.into()),
        }
    }
}

impl Held {
    /// Why nothing may be sent to `pool` at `now`, whatever was waited for meanwhile. `None`: it may be.
    pub(crate) fn silent(&self, pool: Pool, now: Timestamp) -> Option<Silence> {
        self.way.silent(pool, now)
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
            lines: Lines::default(),
            turns: None,
        })
    }

    /// Takes turns with other processes that share `folder`, so that a token has no more than one query out among them,
    /// and so that what one of them is told holds for the next one at once. The folder is not made where there is none.
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
        for (app, silence) in round.silent_apps(now) {
            self.tokens.hush(&app, &silence, now);
        }
        let mut flying = FuturesUnordered::new();
        loop {
            let mut cut = Instant::now() >= until;
            while !cut && let Some(outgoing) = round.next(clock.now()) {
                flying.push(self.send(outgoing, clock));
                cut = Instant::now() >= until;
            }
            match flying.next().await {
                Some((landed, account, held)) => {
                    self.take(round, landed, &account, held.as_ref(), clock.now());
                    drop(held);
                }
                None => return cut,
            }
        }
    }

    /// Hands an outcome to its round. Others who wait for the same line are told what it was told.
    fn take(
        &self,
        round: &mut Round,
        landed: Landed,
        account: &Account,
        held: Option<&Held>,
        now: Timestamp,
    ) {
        let is_answer = matches!(landed.outcome, Outcome::Answer(_));
        round.take(landed, now);
        if let (Some(held), true) = (held, is_answer) {
            let told = [Pool::GraphQl, Pool::Rest].into_iter();
            let told = told.filter_map(|pool| Some((pool, round.silent(account, pool, now)?)));
            self.tell(held, told.collect(), now);
        }
    }

    /// Passes on what GitHub told at `now`: to whoever waits in this process, and to other processes before it is their
    /// turn.
    pub(crate) fn tell(&self, held: &Held, told: Vec<(Pool, Silence)>, now: Timestamp) {
        let is_news = |(pool, silence): &(Pool, Silence)| held.way.tell(*pool, silence);
        let news: Vec<_> = told.into_iter().filter(is_news).collect();
        if let (Some(turns), false) = (&self.turns, news.is_empty()) {
            turns.tell(&held.way.key, &news, now);
        }
    }

    /// Sends one request when there is a place for it on its account's line, and gives the place along.
    async fn send(&self, outgoing: Outgoing, clock: Clock) -> (Landed, Account, Option<Held>) {
        let Outgoing { id, account, body } = outgoing;
        let mut sent = 0;
        let (outcome, held) = match self.hold(&account, body.pool(), clock).await {
            Err(not) => (not.into(), None),
            Ok(held) => {
                let exchanged = self.exchange(&account, &body, &held, clock, &mut sent);
                (exchanged.await, Some(held))
            }
        };
        tracing::debug!(%account, what = body.name(), outcome = outcome.name(), sent, "GitHub asked");
        (Landed { id, outcome, sent }, account, held)
    }

    /// Waits for a place on the line of `account`, which is that of its token, and for the turn of this process where it
    /// is a query. What other processes were told meanwhile is taken up.
    ///
    /// # Errors
    /// There is no token, or the time is up.
    pub(crate) async fn hold(
        &self,
        account: &Account,
        pool: Pool,
        clock: Clock,
    ) -> Result<Held, NotHeld> {
        let found = tokio::time::timeout_at(clock.deadline, self.tokens.token(account));
        let token = found.await.map_err(|_| NotHeld::OutOfTime)??;
        let way = self.lines.way(account, &token.fingerprint);
        let place = tokio::time::timeout_at(clock.deadline, way.place(pool));
        // Nobody closes a line: only the time can be up.
        let place = place.await.ok().flatten().ok_or(NotHeld::OutOfTime)?;
        let turn = match (&self.turns, pool) {
            (Some(turns), Pool::GraphQl) => turns.take(&way.key, clock.deadline).await?,
            _ => None,
        };
        if let Some(turns) = &self.turns
            && let Some(silence) = turns.told(&way.key, pool, clock.now())
        {
            way.tell(pool, &silence);
        }
        Ok(Held {
            way,
            _place: place,
            _turn: turn,
        })
    }

    /// One request and its answer, with another token where the first one is rejected.
    async fn exchange(
        &self,
        account: &Account,
        body: &Body,
        held: &Held,
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
        let silent = || held.silent(body.pool(), clock.now());
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
