//! What `doctor` wants to know: whether GitHub is there, takes the token, and has the same time.

use std::time::Duration;

use http::{StatusCode, Uri};
use serde_json::Value;
use vigil_core::{Gap, GapKind, Timestamp};

use crate::github::{Clock, GitHub};
use crate::limits::{self, Meter};
use crate::reply::Trouble;
use crate::tokens::Token;
use crate::transport::{Failure, Wire};

/// GitHub, the token and the clock, as one free request shows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Where the token came from.
    pub origin: String,
    /// The pot of REST requests; all `None` where the server has no limits.
    pub rest: Meter,
    /// The pot of GraphQL points; all `None` where the server has no limits.
    pub graphql: Meter,
    /// How far GitHub's clock is ahead of this machine's, in milliseconds; negative: behind. To the second at best,
    /// and off by the time that the answer took. `None`: GitHub did not say.
    pub ahead_ms: Option<i64>,
}

impl GitHub {
    /// Asks `GET /rate_limit`, which costs nothing and needs a valid token. A rejected token is read again once.
    ///
    /// # Errors
    /// The same troubles that asking can have; nothing is sent again after any of them.
    pub async fn check(&self, now: Timestamp, deadline: Duration) -> Result<Check, Trouble> {
        let clock = Clock::new(now, deadline);
        let account = self.tokens.account("");
        let looked = tokio::time::timeout_at(clock.deadline, self.tokens.token(&account)).await;
        let token = match looked {
            Ok(token) => token?,
            Err(_) => return Err(timed_out()),
        };
        match self.rate_limit(&token, clock).await {
            Err(Trouble::TokenRejected { origin }) => {
                let again = self.tokens.refresh(&account);
                let again = tokio::time::timeout_at(clock.deadline, again).await;
                match again {
                    Ok(Ok(other)) if other.differs_from(&token) => {
                        self.rate_limit(&other, clock).await
                    }
                    _ => Err(Trouble::TokenRejected { origin }),
                }
            }
            answer => answer,
        }
    }

    async fn rate_limit(&self, token: &Token, clock: Clock) -> Result<Check, Trouble> {
        let unreachable = |detail: String| Trouble::Unanswered {
            gap: Gap::new(GapKind::Unreachable, detail),
        };
        let uri: Uri = format!("{}/rate_limit", self.rest)
            .parse()
            .map_err(|_| unreachable("the address of GitHub's REST API is none".to_owned()))?;
        let wire = Wire::get();
        let answer = match self.transport.send(&uri, token, wire, clock.deadline).await {
            Ok(answer) => answer,
            Err(Failure::TimedOut) => return Err(timed_out()),
            Err(Failure::NoConnection(cause) | Failure::Broken(cause)) => {
                return Err(unreachable(cause));
            }
            Err(Failure::TooLarge) => {
                return Err(unreachable("the answer is larger than is read".to_owned()));
            }
        };
        let at = clock.now();
        let server = limits::server_time(&answer.headers);
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let message = body.get("message").and_then(Value::as_str).unwrap_or("");
        let said = format!("GitHub answered {}", answer.status.as_u16());
        match answer.status {
            StatusCode::UNAUTHORIZED => {
                return Err(Trouble::TokenRejected {
                    origin: token.origin.clone(),
                });
            }
            // An Enterprise Server without limits has nothing to tell about them.
            StatusCode::OK | StatusCode::NOT_FOUND => {}
            status => {
                return Err(match limits::limit(status, &answer.headers, message, at) {
                    Some(limit) => Trouble::Limited {
                        until: limit.until.unwrap_or_else(|| at.after(limits::SILENCE)),
                        detail: limit.detail,
                    },
                    None if status.is_server_error() => unreachable(said),
                    None => Trouble::Refused { detail: said },
                });
            }
        }
        let pot = |name: &str| {
            let pot = body.get("resources").and_then(|all| all.get(name));
            let number = |field| pot.and_then(|pot| pot.get(field)).and_then(Value::as_u64);
            Meter {
                limit: number("limit"),
                remaining: number("remaining"),
                reset: number("reset").map(|seconds| Timestamp(seconds.saturating_mul(1000))),
            }
        };
        if answer.status == StatusCode::OK && body.get("resources").is_none() {
            return Err(Trouble::Unanswered {
                gap: Gap::new(
                    GapKind::Malformed,
                    format!("{uri} does not answer as GitHub does"),
                ),
            });
        }
        Ok(Check {
            origin: token.origin.clone(),
            rest: pot("core"),
            graphql: pot("graphql"),
            ahead_ms: server.and_then(|server| {
                let server = i64::try_from(server.as_millis()).ok()?;
                server.checked_sub(i64::try_from(at.as_millis()).ok()?)
            }),
        })
    }
}

fn timed_out() -> Trouble {
    Trouble::Unanswered {
        gap: Gap::new(GapKind::TimedOut, "GitHub did not answer in time"),
    }
}
