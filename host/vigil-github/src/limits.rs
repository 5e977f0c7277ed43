//! What GitHub's headers say about limits: how much is left, and until when to be silent.

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use vigil_core::Timestamp;

/// How long to be silent where GitHub names no time, as its documentation asks for.
pub const SILENCE: Duration = Duration::from_secs(60);

/// The longest silence that is believed: a day. The longest window that GitHub has is an hour; anything beyond a day
/// is a broken header, and must not stop vigil for good.
pub const SILENCE_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// The longest window that GitHub has is an hour; five minutes more are its clock's.
const WINDOW_MAX: Duration = Duration::from_secs(65 * 60);

/// GitHub said to stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// When one may ask again; `None`: GitHub named no time, see [`SILENCE`].
    pub until: Option<Timestamp>,
    /// What it said, for people.
    pub detail: String,
    /// What has to be silent.
    pub scope: LimitScope,
}

/// What a limit silences.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitScope {
    /// The pot that the request was paid from is empty, a primary limit: the other pot may still be used.
    Pot,
    /// Everything of this account, REST and GraphQL alike: a secondary limit, or one that nobody named.
    Account,
}

/// The pot of REST requests, as `x-ratelimit-resource` names it.
pub const CORE: &str = "core";

/// The pot of GraphQL points, as `x-ratelimit-resource` names it.
pub const GRAPHQL: &str = "graphql";

/// The state of one pot, as far as an answer told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Meter {
    /// Requests or points per window.
    pub limit: Option<u64>,
    /// Those that are left.
    pub remaining: Option<u64>,
    /// When the window ends, by this machine's clock.
    pub reset: Option<Timestamp>,
}

impl Meter {
    /// From the headers of an answer that arrived at `at` and is paid from the pot `resource`, [`CORE`] or
    /// [`GRAPHQL`]. Headers of another pot say nothing about this one.
    pub fn from_headers(headers: &HeaderMap, resource: &str, at: Timestamp) -> Self {
        if text(headers, "x-ratelimit-resource").is_some_and(|named| named != resource) {
            return Meter::default();
        }
        Meter {
            limit: number(headers, "x-ratelimit-limit"),
            remaining: number(headers, "x-ratelimit-remaining"),
            reset: reset(headers, at),
        }
    }

    /// When something will be there again, if there is nothing left; `None`: there are some, or nobody said.
    pub fn empty_until(self, at: Timestamp) -> Option<Timestamp> {
        match self.remaining {
            Some(0) => self.reset.filter(|reset| *reset > at),
            _ => None,
        }
    }

    /// What is known here, else what is known there.
    pub fn or(self, other: Meter) -> Meter {
        Meter {
            limit: self.limit.or(other.limit),
            remaining: self.remaining.or(other.remaining),
            reset: self.reset.or(other.reset),
        }
    }
}

/// Whether an answer with this status means "stop", and until when. `message` is what its body says.
///
/// A 403 alone is a refusal and no limit: only `retry-after`, an empty pot or the words themselves make it one. A 401
/// never is, though it can carry an empty pot and a reset an hour ahead.
pub fn limit(
    status: StatusCode,
    headers: &HeaderMap,
    message: &str,
    at: Timestamp,
) -> Option<Limit> {
    let asked_to_wait = text(headers, "retry-after").is_some();
    let empty = number(headers, "x-ratelimit-remaining") == Some(0);
    let stop = match status {
        StatusCode::TOO_MANY_REQUESTS => true,
        StatusCode::FORBIDDEN => asked_to_wait || empty || speaks_of_limits(message),
        // An overloaded server that says when to come back is not asked sooner either.
        status if status.is_server_error() => asked_to_wait,
        _ => false,
    };
    stop.then(|| Limit {
        until: until(headers, message, at),
        detail: if message.is_empty() {
            format!("GitHub answered {}", status.as_u16())
        } else {
            format!("GitHub answered {}: {message}", status.as_u16())
        },
        scope: match status.is_server_error() {
            true => LimitScope::Account,
            false => scope(headers, message),
        },
    })
}

/// What the headers of an answer say that taught nothing else: how long to wait. The pot is the one of `resource`, [`CORE`]
/// or [`GRAPHQL`], from which it was paid. `None`: one may go on.
pub(crate) fn heard(headers: &HeaderMap, resource: &str, at: Timestamp) -> Option<Limit> {
    let scope = match Meter::from_headers(headers, resource, at).empty_until(at) {
        _ if text(headers, "retry-after").is_some() => LimitScope::Account,
        Some(_) => LimitScope::Pot,
        None => return None,
    };
    Some(Limit {
        until: until(headers, "", at),
        detail: "GitHub says in its headers to wait".to_owned(),
        scope,
    })
}

/// What a refusal with these headers and words silences. Where neither tells, everything: to be silent for nothing
/// costs a minute, and to go on while limited can cost the account.
pub fn scope(headers: &HeaderMap, message: &str) -> LimitScope {
    let message = message.to_ascii_lowercase();
    let empty = number(headers, "x-ratelimit-remaining") == Some(0);
    if is_secondary(&message) {
        LimitScope::Account
    } else if empty || is_primary(&message) {
        LimitScope::Pot
    } else {
        LimitScope::Account
    }
}

/// The words of GitHub's primary and secondary limits, old and new.
pub fn speaks_of_limits(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    message.contains("rate limit") || message.contains("abuse detection")
}

/// Until when the headers ask for silence: `retry-after` first, then the reset of an empty pot, by GitHub's rules for
/// clients (docs: *rate limits for the REST API*, "exceeding the rate limit"). The reset of a pot that is not empty says
/// nothing about whatever else refuses, unless the words are those of the primary limit: its headers have been seen to
/// count on. `None`: no time is named.
pub fn until(headers: &HeaderMap, message: &str, at: Timestamp) -> Option<Timestamp> {
    let named = retry_after(headers, at).or_else(|| {
        let message = message.to_ascii_lowercase();
        let primary = is_primary(&message) && !is_secondary(&message);
        let empty = number(headers, "x-ratelimit-remaining") == Some(0);
        if empty || primary {
            reset(headers, at)
        } else {
            None
        }
    })?;
    // At least a second, so that a reset which has just passed by a skewed clock cannot make a busy loop.
    let earliest = at.after(Duration::from_secs(1));
    Some(named.clamp(earliest, at.after(SILENCE_MAX)))
}

/// The words of a primary limit; `message` in lower case.
fn is_primary(message: &str) -> bool {
    message.contains("api rate limit")
}

/// The words of a secondary limit, old and new; `message` in lower case.
fn is_secondary(message: &str) -> bool {
    message.contains("secondary") || message.contains("abuse detection")
}

/// `retry-after` in seconds or as a date.
fn retry_after(headers: &HeaderMap, at: Timestamp) -> Option<Timestamp> {
    let value = text(headers, "retry-after")?;
    if let Ok(seconds) = value.parse::<u64>() {
        return Some(at.after(Duration::from_secs(seconds)));
    }
    http_date(value).map(|date| on_our_clock(date, headers, at))
}

/// `x-ratelimit-reset`, in seconds since the epoch by GitHub's clock. What lies further ahead than a window is long is
/// somebody's mistake.
fn reset(headers: &HeaderMap, at: Timestamp) -> Option<Timestamp> {
    let seconds = number(headers, "x-ratelimit-reset")?;
    let moment = Timestamp(seconds.saturating_mul(1000));
    Some(on_our_clock(moment, headers, at).min(at.after(WINDOW_MAX)))
}

/// A moment of the server's clock on ours: a laptop that runs ten minutes late must not wait ten minutes longer.
fn on_our_clock(moment: Timestamp, headers: &HeaderMap, at: Timestamp) -> Timestamp {
    match server_time(headers) {
        Some(server) if moment >= server => at.after(server.age(moment)),
        Some(server) => at.before(moment.age(server)),
        None => moment,
    }
}

/// The server's clock when it answered, in whole seconds; `None`: it sent no `date`.
pub fn server_time(headers: &HeaderMap) -> Option<Timestamp> {
    http_date(text(headers, "date")?)
}

/// A date as HTTP writes it, `Fri, 20 Nov 2026 06:00:00 GMT`.
fn http_date(value: &str) -> Option<Timestamp> {
    let moment = jiff::fmt::rfc2822::parse(value).ok()?.timestamp();
    u64::try_from(moment.as_millisecond()).ok().map(Timestamp)
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    text(headers, name)?.parse().ok()
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}
