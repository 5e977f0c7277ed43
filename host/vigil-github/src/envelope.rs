//! An answer of GitHub's before anything in it is read: its status, its limits, its errors.

use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use vigil_core::{Gap, GapKind, Timestamp};

use crate::convert::malformed;
use crate::errors::{Class, Errors};
use crate::limits::{self, Limit, Meter};
use crate::words;

/// An answer as it came over the wire.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// The body, whatever it is.
    pub body: &'a [u8],
    /// When it arrived. Only limits are reckoned from it.
    pub at: Timestamp,
}

/// What an answer comes to; `A` is what it teaches.
#[derive(Clone, Debug, PartialEq)]
pub enum Learned<A> {
    /// GitHub dealt with the request.
    Answered(A),
    /// It was too much for GitHub: ask for less at once. The gap is what stays when there is nothing to take away.
    Overloaded(Gap),
    /// Stop, and send nothing more for a while.
    Limited(Limit),
    /// The token is no good.
    TokenRejected,
    /// A refusal that would meet every other question as well.
    Refused(Gap),
    /// This answer is lost; another request may fare better.
    Lost(Gap),
}

impl<A> Learned<A> {
    /// The same; but an answer that was lost still tells in its headers whether to go on. It was paid from the pot of
    /// `resource`, [`limits::CORE`] or [`limits::GRAPHQL`].
    pub(crate) fn heeding(self, received: &Received<'_>, resource: &str) -> Self {
        let (Learned::Lost(gap) | Learned::Overloaded(gap)) = &self else {
            return self;
        };
        match limits::heard(received.headers, resource, received.at) {
            Some(limit) => Learned::Limited(Limit {
                detail: format!("{} ({})", limit.detail, gap.detail),
                ..limit
            }),
            None => self,
        }
    }
}

/// The whole of a GraphQL answer. Its errors stay as they came: thousands of them can be about the same few things.
#[derive(Deserialize)]
struct Body<'a> {
    #[serde(default)]
    data: Option<Map<String, Value>>,
    #[serde(borrow, default)]
    errors: Option<&'a RawValue>,
}

/// What a GraphQL answer holds.
pub(crate) struct Envelope {
    /// By alias.
    pub(crate) data: Map<String, Value>,
    pub(crate) errors: Errors,
    /// What it cost, in points; `None`: GitHub did not say.
    pub(crate) cost: Option<u32>,
    /// The pot of points.
    pub(crate) meter: Meter,
}

/// Opens the answer to a document with so many repositories and questions.
///
/// # Errors
/// What the answer comes to instead, where nothing in it can be read.
pub(crate) fn open<A>(
    received: &Received<'_>,
    repositories: usize,
    questions: usize,
) -> Result<Envelope, Learned<A>> {
    let Received {
        status,
        headers,
        at,
        ..
    } = *received;
    // The status comes before the headers: a 401 can carry the headers of an empty pot.
    if status == StatusCode::UNAUTHORIZED {
        return Err(Learned::TokenRejected);
    }
    if status != StatusCode::OK {
        let message = message(received.body);
        if let Some(limit) = limits::limit(status, headers, &message, at) {
            return Err(Learned::Limited(limit));
        }
        return Err(not_ok(status, &message));
    }
    let body: Body<'_> = match serde_json::from_slice(received.body) {
        Ok(body) => body,
        Err(error) => return Err(Learned::Lost(malformed(error.to_string()))),
    };
    let errors = Errors::read(body.errors, repositories, questions);
    if let Some(limit) = errors.limit() {
        return Err(Learned::Limited(Limit {
            until: limits::until(headers, &limit.message, at),
            detail: format!("GitHub says: {}", limit.message),
            scope: limits::scope(headers, &limit.message),
        }));
    }
    if let Some(problem) = errors.whole() {
        let gap = problem.gap("the query");
        return Err(match problem.class {
            Class::TooMuch => Learned::Overloaded(gap),
            _ => Learned::Lost(gap),
        });
    }
    let Some(data) = body.data else {
        // A secondary limit also comes as a success that holds a message alone.
        let message = message(received.body);
        if limits::speaks_of_limits(&message) {
            return Err(Learned::Limited(Limit {
                until: limits::until(headers, &message, at),
                detail: format!("GitHub says: {message}"),
                scope: limits::scope(headers, &message),
            }));
        }
        return Err(Learned::Lost(malformed(
            "there is neither data nor an error",
        )));
    };
    Ok(Envelope {
        errors,
        cost: data
            .get("rateLimit")
            .and_then(|pot| pot.get("cost"))
            .and_then(Value::as_u64)
            .and_then(|cost| u32::try_from(cost).ok()),
        meter: Meter::from_headers(headers, limits::GRAPHQL, at).or(meter(&data)),
        data,
    })
}

/// What GitHub says in a REST answer, before it is known what the answer is about.
pub(crate) struct Words {
    /// Its own words in the body of a refusal; empty where there are none.
    pub(crate) message: String,
    /// Status and words, for people.
    pub(crate) said: String,
}

/// Opens a REST answer, of whatever status.
///
/// # Errors
/// What the answer comes to instead, where it is about no single thing: the token, a limit, a failure of GitHub's.
pub(crate) fn open_rest<A>(received: &Received<'_>) -> Result<Words, Learned<A>> {
    let Received {
        status,
        headers,
        body,
        at,
    } = *received;
    // The status comes before the headers: a 401 can carry the headers of an empty pot.
    if status == StatusCode::UNAUTHORIZED {
        return Err(Learned::TokenRejected);
    }
    if status.is_success() || status == StatusCode::NOT_MODIFIED {
        return Ok(Words {
            message: String::new(),
            said: said(status, ""),
        });
    }
    let message = message(body);
    if let Some(limit) = limits::limit(status, headers, &message, at) {
        return Err(Learned::Limited(limit));
    }
    let said = said(status, &message);
    match status.is_server_error() {
        true => Err(Learned::Lost(Gap::new(GapKind::Unreachable, said))),
        false => Ok(Words { message, said }),
    }
}

/// An answer with another status than 200 that is neither a limit nor a rejected token.
fn not_ok<A>(status: StatusCode, message: &str) -> Learned<A> {
    let said = said(status, message);
    match status {
        // How GitHub's front end says that the query took more than 10 seconds.
        StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT => {
            Learned::Overloaded(Gap::new(GapKind::Unreachable, said))
        }
        status if status.is_server_error() => Learned::Lost(Gap::new(GapKind::Unreachable, said)),
        StatusCode::FORBIDDEN => Learned::Refused(Gap::new(GapKind::Denied, said)),
        status if status.is_redirection() || status == StatusCode::NOT_FOUND => {
            Learned::Refused(Gap::new(
                GapKind::Unreachable,
                format!("{said}; is the address of the GraphQL API right?"),
            ))
        }
        _ => Learned::Lost(Gap::new(GapKind::Malformed, said)),
    }
}

/// A refusal for people.
pub(crate) fn said(status: StatusCode, message: &str) -> String {
    match message {
        "" => format!("GitHub answered {}", status.as_u16()),
        message => format!("GitHub answered {}: {message}", status.as_u16()),
    }
}

/// GitHub's own words in the body of a refusal; empty where there are none, as in the HTML of a front end.
pub(crate) fn message(body: &[u8]) -> String {
    serde_json::from_slice::<Value>(body)
        .ok()
        .as_ref()
        .and_then(|body| body.get("message"))
        .and_then(Value::as_str)
        .map(words::short)
        .unwrap_or_default()
}

/// The pot as the answer's own data has it, where headers are missing.
fn meter(data: &Map<String, Value>) -> Meter {
    let pot = data.get("rateLimit");
    let number = |name| pot.and_then(|pot| pot.get(name)).and_then(Value::as_u64);
    Meter {
        limit: number("limit"),
        remaining: number("remaining"),
        reset: pot
            .and_then(|pot| pot.get("resetAt"))
            .and_then(Value::as_str)
            .and_then(|text| text.parse::<jiff::Timestamp>().ok())
            .and_then(|moment| u64::try_from(moment.as_millisecond()).ok())
            .map(Timestamp),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::limits::LimitScope;

    const NOW: Timestamp = Timestamp(1_795_155_120_000);

    /// What an answer of no use with these headers comes to: the silence in seconds, and what is silent.
    fn heard(headers: &[(&str, &str)], lost: Learned<()>) -> Option<(Option<u64>, LimitScope)> {
        let mut all = HeaderMap::new();
        for (name, value) in headers {
            let name: http::HeaderName = name.parse().expect("a name");
            all.insert(name, value.parse().expect("a value"));
        }
        let received = Received {
            status: StatusCode::OK,
            headers: &all,
            body: b"{\"errors\":[{\"message\":\"API rate limit exceede",
            at: NOW,
        };
        match lost.heeding(&received, limits::GRAPHQL) {
            Learned::Limited(limit) => {
                let seconds = limit.until.map(|until| NOW.age(until).as_secs());
                Some((seconds, limit.scope))
            }
            _ => None,
        }
    }

    #[test]
    fn an_answer_that_is_lost_is_heeded_by_its_headers() {
        let reset = (NOW.after(Duration::from_secs(900)).0 / 1000).to_string();
        let empty = [
            ("x-ratelimit-remaining", "0"),
            ("x-ratelimit-reset", reset.as_str()),
        ];
        let of = |resource| [empty[0], empty[1], ("x-ratelimit-resource", resource)];
        let gap = || Gap::new(GapKind::Malformed, "cut off");
        for lost in [
            || Learned::Lost(Gap::new(GapKind::Malformed, "cut off")),
            || Learned::Overloaded(Gap::new(GapKind::Unreachable, "too long")),
        ] {
            let pot = Some((Some(900), LimitScope::Pot));
            assert_eq!(heard(&empty, lost()), pot);
            assert_eq!(heard(&of("graphql"), lost()), pot);
            assert_eq!(heard(&of("core"), lost()), None, "another pot is empty");
            let waits = heard(&[("retry-after", "90")], lost());
            assert_eq!(waits, Some((Some(90), LimitScope::Account)));
            let both = heard(&[empty[0], empty[1], ("retry-after", "90")], lost());
            assert_eq!(both, Some((Some(90), LimitScope::Account)));
            let unnamed = heard(&[("retry-after", "soon")], lost());
            assert_eq!(unnamed, Some((None, LimitScope::Account)));
            assert_eq!(heard(&[empty[0]], lost()), None, "it names no time");
            assert_eq!(
                heard(&[("x-ratelimit-remaining", "1"), empty[1]], lost()),
                None
            );
            assert_eq!(heard(&[], lost()), None);
        }
        // A 401 can carry the headers of an empty pot.
        assert_eq!(heard(&empty, Learned::TokenRejected), None);
        assert_eq!(heard(&empty, Learned::Refused(gap())), None);
        assert_eq!(heard(&empty, Learned::Answered(())), None);
    }
}
