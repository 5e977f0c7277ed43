//! What goes out of a round, and what comes back.

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value};
use vigil_core::{Gap, Timestamp};

use crate::budget::{Pool, Silence};
use crate::learn::Received;
use crate::reply::Trouble;
use crate::tokens::{Account, Fingerprint};

/// A request to be sent.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// Comes back with the outcome.
    pub id: u64,
    /// Whose token goes with it.
    pub account: Account,
    /// What is sent.
    pub body: Body,
}

/// What is sent.
#[derive(Clone, Debug)]
pub enum Body {
    /// A POST to the GraphQL API.
    GraphQl {
        /// The document.
        document: String,
        /// Its variables.
        variables: Map<String, Value>,
    },
    /// A GET below the root of the REST API.
    Rest {
        /// Path and query.
        path: String,
        /// An ETag, to be sent if the token is the one that it belongs to.
        etag: Option<(String, Fingerprint)>,
    },
}

impl Body {
    /// For the log.
    pub(crate) fn name(&self) -> &'static str {
        match self.pool() {
            Pool::GraphQl => "graphql",
            Pool::Rest => "rest",
        }
    }

    /// What it is paid from.
    pub(crate) fn pool(&self) -> Pool {
        match self {
            Body::GraphQl { .. } => Pool::GraphQl,
            Body::Rest { .. } => Pool::Rest,
        }
    }
}

impl Outcome {
    /// For the log.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Outcome::Answer(_) => "answered",
            Outcome::TimedOut(_) => "timed-out",
            Outcome::TooLarge(_) => "too-large",
            Outcome::Broken(_) => "broken",
            Outcome::NoConnection(_) => "no-connection",
            Outcome::NoToken(_) => "no-token",
            Outcome::Silent(_) => "silent",
            Outcome::OutOfTime => "out-of-time",
        }
    }
}

/// A request that came back.
#[derive(Debug)]
pub struct Landed {
    /// The request's.
    pub id: u64,
    /// What became of it.
    pub outcome: Outcome,
    /// How often it was really sent: not at all, once, or again after a rejected token or a broken connection.
    pub sent: u32,
}

/// What became of a request.
#[derive(Debug)]
pub enum Outcome {
    /// An answer, whatever its status; a 401 only where there is no other token.
    Answer(Raw),
    /// There was no answer in the time that one request has.
    TimedOut(Gap),
    /// The answer is larger than is read.
    TooLarge(Gap),
    /// The connection ended before the answer did.
    Broken(Gap),
    /// No connection was to be had: nothing was sent.
    NoConnection(Gap),
    /// There is no token: nothing was sent.
    NoToken(Trouble),
    /// GitHub had said to stop by the time that it could have been sent, or sent again: another round was told.
    Silent(Silence),
    /// The time of the whole round is up: nothing was sent, or nobody waits for the answer any more.
    OutOfTime,
}

/// An answer as it came.
#[derive(Debug)]
pub struct Raw {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Vec<u8>,
    /// The token that it was asked with.
    pub fingerprint: Fingerprint,
    /// Where that token came from, for people.
    pub origin: String,
    /// How long it took to come.
    pub took: Duration,
}

impl Raw {
    pub(super) fn received(&self, at: Timestamp) -> Received<'_> {
        Received {
            status: self.status,
            headers: &self.headers,
            body: &self.body,
            at,
        }
    }
}
