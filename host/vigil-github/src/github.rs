//! The one place where questions leave for GitHub.

use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use serde_json::json;
use tokio::sync::Mutex;
use tokio::time::Instant;
use vigil_core::{Gap, GapKind, Timestamp};

use crate::ask::Ask;
use crate::learn::{Answered, Learned, Received, learn};
use crate::limits::{Limit, SILENCE};
use crate::pass::Pass;
use crate::query::Query;
use crate::reply::Reply;
use crate::settings::{Settings, SettingsError};
use crate::tokens::{Token, Tokens};
use crate::transport::{BODY_BYTES_MAX, Failure, Transport, Wire};

/// The longest silence after refusals that name no time, however many there were in a row.
const SILENCE_GROWN_MAX: Duration = Duration::from_secs(60 * 60);

/// GitHub, as one token sees it.
///
/// Bound to the tokio runtime in which it first sends something. Never has more than one GraphQL request in flight,
/// however many tasks share it: GitHub asks for that, and takes parallel ones for abuse.
pub struct GitHub {
    graphql: Uri,
    pub(crate) rest: String,
    pub(crate) batch: usize,
    request_timeout: Duration,
    pub(crate) tokens: Arc<dyn Tokens>,
    pub(crate) transport: Transport,
    /// Held while a query is out.
    line: Mutex<Line>,
}

/// What all tasks that share a [`GitHub`] have to respect.
#[derive(Default)]
struct Line {
    /// Until when to be silent, and why.
    silence: Option<(Timestamp, String)>,
    /// Refusals in a row that named no time.
    strikes: u32,
}

/// What sending one query comes to.
pub(crate) enum Sent {
    /// GitHub dealt with it.
    Answered(Answered),
    /// Too much at once: fewer may be answered.
    Overloaded(Gap),
    /// No answer, and fewer at once would not help.
    Lost(Gap),
    /// The connection ended before the answer did.
    Broken(Gap),
    /// There is no connection to be had.
    NoConnection(Gap),
    /// The token is no good.
    TokenRejected,
    /// Whatever is asked is refused.
    Refused(Gap),
    /// GitHub said to be silent until then.
    Silent(Timestamp, String),
    /// As it said before, for this reason: nothing was sent.
    StillSilent(Timestamp, String),
    /// The time of the whole call was up while waiting for the answer.
    OutOfTime,
    /// It was up before: nothing was sent.
    NoTime,
}

impl Sent {
    /// For the log.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Sent::Answered(_) => "answered",
            Sent::Overloaded(_) => "overloaded",
            Sent::Lost(_) => "lost",
            Sent::Broken(_) => "broken",
            Sent::NoConnection(_) => "no-connection",
            Sent::TokenRejected => "token-rejected",
            Sent::Refused(_) => "refused",
            Sent::Silent(..) => "limited",
            Sent::StillSilent(..) => "still-limited",
            Sent::OutOfTime => "out-of-time",
            Sent::NoTime => "no-time",
        }
    }
}

impl GitHub {
    /// Checks the settings; connects to nothing.
    ///
    /// # Errors
    /// An address that is none, or that holds a name or password; a user agent that does not fit a header.
    pub fn new(settings: Settings) -> Result<Self, SettingsError> {
        let graphql = settings.graphql()?;
        settings.rest()?;
        Ok(GitHub {
            transport: Transport::new(settings.agent()?, settings.network.clone()),
            graphql,
            rest: settings.rest_url.trim_end_matches('/').to_owned(),
            batch: settings.batch.max(1),
            request_timeout: settings.request_timeout,
            tokens: settings.tokens,
            line: Mutex::new(Line::default()),
        })
    }

    /// Learns what `asks` want to know, one answer for each, in order. Cannot fail: what could not be learned is a
    /// gap with its kind, and [`Reply::trouble`] says what went wrong as a whole.
    ///
    /// `now` is the time on the wall, which the facts bear. Nothing is waited for beyond `deadline`. Until
    /// `not_before`, the [`Reply::limited_until`] of an earlier call, nothing is sent.
    pub async fn ask(
        &self,
        asks: &[Ask],
        now: Timestamp,
        deadline: Duration,
        not_before: Option<Timestamp>,
    ) -> Reply {
        Pass::new(self, asks, Clock::new(now, deadline), not_before)
            .run()
            .await
    }

    /// Sends one query when its turn has come, and learns from the answer. What an answer says about limits holds for
    /// all tasks.
    pub(crate) async fn send(
        &self,
        query: &Query,
        token: &Token,
        clock: Clock,
        not_before: Option<Timestamp>,
    ) -> Sent {
        let Ok(mut line) = tokio::time::timeout_at(clock.deadline, self.line.lock()).await else {
            return Sent::NoTime;
        };
        let told = not_before.map(|until| (until, "GitHub said to stop".to_owned()));
        let silences = [line.silence.clone(), told];
        if let Some((until, why)) = silences
            .into_iter()
            .flatten()
            .max_by_key(|(until, _)| *until)
            && until > clock.now()
        {
            return Sent::StillSilent(until, why);
        }
        if Instant::now() >= clock.deadline {
            return Sent::NoTime;
        }
        let body = json!({ "query": query.document, "variables": query.variables });
        let until = clock.deadline.min(Instant::now() + self.request_timeout);
        let answer = match self
            .transport
            .send(&self.graphql, token, Wire::post(&body), until)
            .await
        {
            Ok(answer) => answer,
            Err(Failure::TimedOut) if until == clock.deadline => return Sent::OutOfTime,
            Err(failure) => return self.no_answer(failure),
        };
        let at = clock.now();
        let received = Received {
            status: answer.status,
            headers: &answer.headers,
            body: &answer.body,
            at,
        };
        match learn(query, &received, clock.wall) {
            Learned::Answered(answered) => {
                line.strikes = 0;
                // The next query would be refused, and be counted against us.
                line.silence = answered
                    .meter
                    .empty_until(at)
                    .map(|until| (until, "the points of this token are used up".to_owned()));
                Sent::Answered(answered)
            }
            Learned::Limited(limit) => Sent::Silent(line.silence(&limit, at), limit.detail),
            Learned::Overloaded(gap) => Sent::Overloaded(gap),
            Learned::TokenRejected => Sent::TokenRejected,
            Learned::Refused(gap) => Sent::Refused(gap),
            Learned::Lost(gap) => Sent::Lost(gap),
        }
    }

    fn no_answer(&self, failure: Failure) -> Sent {
        let host = self.graphql.authority().map_or("", |host| host.as_str());
        match failure {
            Failure::TimedOut => Sent::Overloaded(Gap::new(
                GapKind::TimedOut,
                format!("{host} did not answer within {:?}", self.request_timeout),
            )),
            Failure::TooLarge => Sent::Overloaded(Gap::new(
                GapKind::TooLarge,
                format!("the answer of {host} is larger than {BODY_BYTES_MAX} bytes"),
            )),
            Failure::NoConnection(cause) => Sent::NoConnection(Gap::new(
                GapKind::Unreachable,
                format!("no connection to {host}: {cause}"),
            )),
            Failure::Broken(cause) => Sent::Broken(Gap::new(
                GapKind::Unreachable,
                format!("the connection to {host} broke: {cause}"),
            )),
        }
    }
}

impl Line {
    /// Until when `limit` silences: as GitHub says, else a minute, doubled with each such refusal in a row.
    fn silence(&mut self, limit: &Limit, at: Timestamp) -> Timestamp {
        let until = limit.until.unwrap_or_else(|| {
            let grown = SILENCE.saturating_mul(2u32.saturating_pow(self.strikes));
            self.strikes = self.strikes.saturating_add(1);
            at.after(grown.min(SILENCE_GROWN_MAX))
        });
        self.silence = Some((until, limit.detail.clone()));
        until
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
}
