//! What `doctor` wants to know of an account: whether GitHub is there, takes its token, and has the same time.

mod access;
mod login;
mod renamed;

use std::future::Future;
use std::time::Duration;

use http::{HeaderMap, StatusCode, Uri};
use serde_json::Value;
use vigil_core::{Gap, GapKind, Timestamp};

use crate::budget::{Pool, Silence};
use crate::envelope;
use crate::github::{Clock, GitHub, NotHeld};
use crate::limits::{self, LimitScope, Meter};
use crate::reply::Trouble;
use crate::tokens::{Account, Lease, Token, TokenKind};
use crate::transport::{Answer, Failure, NetworkError, Wire};
use crate::words;

pub use access::{Access, Looked, Sample, facts_without, permissions_for};
pub use login::User;

/// GitHub, a token and the clock, as one free request shows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Who asked.
    pub account: Account,
    /// Where the token came from.
    pub origin: String,
    /// What kind of token it is.
    pub kind: TokenKind,
    /// The scopes of a classic or OAuth token; `None`: it is of another kind, or GitHub did not say.
    pub scopes: Option<Vec<String>>,
    /// When the token runs out, by this machine's clock. `None`: never, or GitHub did not say.
    pub expires: Option<Timestamp>,
    /// What an App's installation may do, such as `checks` to `read`; `None`: nobody said.
    pub permissions: Option<std::collections::BTreeMap<String, String>>,
    /// The pot of REST requests; all `None` where the server has no limits.
    pub rest: Meter,
    /// The pot of GraphQL points; all `None` where the server has no limits.
    pub graphql: Meter,
    /// How far GitHub's clock is ahead of this machine's, in milliseconds; negative: behind. To the second at best,
    /// and off by the time that the answer took. `None`: GitHub did not say.
    pub ahead_ms: Option<i64>,
}

impl GitHub {
    /// The variable and the address of the proxy on the way to GitHub; `None`: there is none. Sends nothing, and reads
    /// the certificates that are trusted.
    ///
    /// # Errors
    /// They cannot be read, or there are none.
    pub fn way(&self) -> Result<Option<(String, String)>, NetworkError> {
        self.transport.way(&self.graphql)
    }

    /// Asks `GET /rate_limit` as `account`, which costs nothing and needs a valid token. A rejected token is looked for
    /// again once.
    ///
    /// # Errors
    /// The same troubles that asking can have; nothing is sent again after any of them.
    pub async fn check(
        &self,
        account: &Account,
        now: Timestamp,
        deadline: Duration,
    ) -> Result<Check, Trouble> {
        let clock = Clock::new(now, deadline);
        let in_time = async {
            let token = self.tokens.token(account).await?;
            let with = |token| self.rate_limit(account, token, clock);
            match self.in_turn(account, Pool::Rest, clock, with(&token)).await {
                Err(Trouble::TokenRejected { origin }) => {
                    match self.tokens.refresh(account).await {
                        Ok(other) if other.differs_from(&token) => {
                            self.in_turn(account, Pool::Rest, clock, with(&other)).await
                        }
                        _ => Err(Trouble::TokenRejected { origin }),
                    }
                }
                answer => answer,
            }
        };
        tokio::time::timeout_at(clock.deadline, in_time)
            .await
            .unwrap_or_else(|_| Err(timed_out()))
    }

    /// Lets `asking` send its one request to `pool` when there is a place for it on the line of `account`, and when it is
    /// this process's turn; not at all where GitHub has said to stop meanwhile. What it is told itself is passed on
    /// before the next one's turn.
    async fn in_turn<T>(
        &self,
        account: &Account,
        pool: Pool,
        clock: Clock,
        asking: impl Future<Output = Result<T, Trouble>>,
    ) -> Result<T, Trouble> {
        let held = self.hold(account, pool, clock).await?;
        if let Some(silence) = held.silent(pool, clock.now()) {
            return Err(Trouble::of(&silence));
        }
        let answer = asking.await;
        if let Err(Trouble::Limited {
            until,
            detail,
            scope,
        }) = &answer
        {
            let silence = Silence {
                told: clock.now(),
                until: *until,
                why: detail.clone(),
            };
            // An empty pot says nothing about the other one.
            let pools: &[Pool] = match scope {
                LimitScope::Pot => &[pool],
                LimitScope::Account => &[Pool::GraphQl, Pool::Rest],
            };
            let told = pools.iter().map(|pool| (*pool, silence.clone()));
            self.tell(&held, told.collect(), clock.now());
        }
        answer
    }

    async fn rate_limit(
        &self,
        account: &Account,
        token: &Token,
        clock: Clock,
    ) -> Result<Check, Trouble> {
        let uri = self.rest_uri("/rate_limit")?;
        let answer = self.send_get(&uri, token, clock).await?;
        read(account, token, &uri, &answer, clock.now())
    }

    /// The answer to a GET of `path` below the root of the REST API, if it is about what was asked: neither a rejected
    /// token nor a limit.
    async fn get(&self, path: &str, token: &Token, clock: Clock) -> Result<Answer, Trouble> {
        let answer = self.send_get(&self.rest_uri(path)?, token, clock).await?;
        if answer.status == StatusCode::UNAUTHORIZED {
            return Err(Trouble::TokenRejected {
                origin: token.origin.clone(),
            });
        }
        let (message, at) = (envelope::message(&answer.body), clock.now());
        match limits::limit(answer.status, &answer.headers, &message, at) {
            Some(limit) => Err(Trouble::Limited {
                until: limit.until.unwrap_or_else(|| at.after(limits::SILENCE)),
                detail: words::short(&limit.detail),
                scope: limit.scope,
            }),
            None => Ok(answer),
        }
    }

    fn rest_uri(&self, path: &str) -> Result<Uri, Trouble> {
        format!("{}{path}", self.rest)
            .parse()
            .map_err(|_| unreachable("the address of GitHub's REST API is none".to_owned()))
    }

    async fn send_get(&self, uri: &Uri, token: &Token, clock: Clock) -> Result<Answer, Trouble> {
        let sent = self.transport.send(uri, token, Wire::get(), clock.deadline);
        sent.await.map_err(|failure| no_answer(uri, failure))
    }
}

/// What the answer to `GET /rate_limit` says, which arrived at `at`. Pure.
fn read(
    account: &Account,
    token: &Token,
    uri: &Uri,
    answer: &Answer,
    at: Timestamp,
) -> Result<Check, Trouble> {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let message = body.get("message").and_then(Value::as_str).unwrap_or("");
    match answer.status {
        StatusCode::UNAUTHORIZED => {
            return Err(Trouble::TokenRejected {
                origin: token.origin.clone(),
            });
        }
        // An Enterprise Server without limits has nothing to tell about them.
        StatusCode::OK | StatusCode::NOT_FOUND => {}
        status => {
            let mut said = format!("GitHub answered {}", status.as_u16());
            if !message.is_empty() {
                said.push_str(&format!(": {}", words::short(message)));
            }
            return Err(match limits::limit(status, &answer.headers, message, at) {
                Some(limit) => Trouble::Limited {
                    until: limit.until.unwrap_or_else(|| at.after(limits::SILENCE)),
                    detail: words::short(&limit.detail),
                    scope: limit.scope,
                },
                None if status.is_server_error() => unreachable(said),
                None => Trouble::Refused { detail: said },
            });
        }
    }
    if answer.status == StatusCode::OK && body.get("resources").is_none() {
        return Err(Trouble::Unanswered {
            gap: Gap::new(
                GapKind::Malformed,
                format!("{uri} does not answer as GitHub does"),
            ),
        });
    }
    let server = limits::server_time(&answer.headers);
    let pot = |name: &str| {
        let pot = body.get("resources").and_then(|all| all.get(name));
        let number = |field| pot.and_then(|pot| pot.get(field)).and_then(Value::as_u64);
        let reset = number("reset").map(|seconds| Timestamp(seconds.saturating_mul(1000)));
        Meter {
            limit: number("limit"),
            remaining: number("remaining"),
            reset: reset.map(|reset| on_our_clock(reset, server, at)),
        }
    };
    let Lease {
        expires,
        permissions,
    } = token.lease.clone();
    Ok(Check {
        account: account.clone(),
        origin: token.origin.clone(),
        kind: token.kind(),
        scopes: scopes(&answer.headers),
        expires: expiration(&answer.headers)
            .map(|end| on_our_clock(end, server, at))
            .or(expires),
        permissions,
        rest: pot("core"),
        graphql: pot("graphql"),
        ahead_ms: server.and_then(|server| {
            let server = i64::try_from(server.as_millis()).ok()?;
            server.checked_sub(i64::try_from(at.as_millis()).ok()?)
        }),
    })
}

/// The scopes of the token, from the header that GitHub sends for tokens that have scopes.
fn scopes(headers: &HeaderMap) -> Option<Vec<String>> {
    let listed = headers.get("x-oauth-scopes")?.to_str().ok()?;
    let scopes = listed.split(',').map(str::trim);
    Some(
        scopes
            .filter(|scope| !scope.is_empty())
            .map(words::short)
            .collect(),
    )
}

/// When the token runs out, by GitHub's clock. Both ways of writing it have been seen: with `UTC`, and with an offset.
fn expiration(headers: &HeaderMap) -> Option<Timestamp> {
    let text = headers
        .get("github-authentication-token-expiration")?
        .to_str()
        .ok()?
        .trim();
    let text = text.replace("UTC", "+0000");
    let moment = jiff::fmt::strtime::parse("%Y-%m-%d %H:%M:%S %z", text)
        .ok()?
        .to_timestamp()
        .ok()?;
    u64::try_from(moment.as_millisecond()).ok().map(Timestamp)
}

/// A moment of GitHub's clock on ours.
fn on_our_clock(moment: Timestamp, server: Option<Timestamp>, at: Timestamp) -> Timestamp {
    match server {
        Some(server) if moment >= server => at.after(server.age(moment)),
        Some(server) => at.before(moment.age(server)),
        None => moment,
    }
}

fn no_answer(uri: &Uri, failure: Failure) -> Trouble {
    let host = uri.authority().map_or("", |at| at.as_str());
    match failure {
        Failure::TimedOut => timed_out(),
        Failure::NoConnection(cause) => unreachable(format!("no connection to {host}: {cause}")),
        Failure::Broken(cause) => unreachable(format!("the connection to {host} broke: {cause}")),
        Failure::TooLarge => unreachable(format!("the answer of {host} is larger than is read")),
    }
}

impl From<NotHeld> for Trouble {
    fn from(not: NotHeld) -> Self {
        match not {
            NotHeld::OutOfTime => timed_out(),
            NotHeld::NoToken(none) => none.into(),
        }
    }
}

fn unreachable(detail: String) -> Trouble {
    Trouble::Unanswered {
        gap: Gap::new(GapKind::Unreachable, detail),
    }
}

fn timed_out() -> Trouble {
    Trouble::Unanswered {
        gap: Gap::new(GapKind::TimedOut, "GitHub did not answer in time"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        let value = value.parse().expect("a header's value");
        HeaderMap::from_iter([(http::HeaderName::from_static(name), value)])
    }

    #[test]
    fn an_expiration_is_read_in_both_forms() {
        let name = "github-authentication-token-expiration";
        let at = Timestamp(1_797_746_400_000);
        for (text, expected) in [
            ("2026-12-20 06:00:00 UTC", Some(at)),
            ("2026-12-19 23:00:00 -0700", Some(at)),
            ("2026-12-20 07:00:00 +0100", Some(at)),
            ("soon", None),
            ("", None),
            ("2026-13-20 06:00:00 UTC", None),
        ] {
            assert_eq!(expiration(&headers(name, text)), expected, "{text}");
        }
    }

    #[test]
    fn no_scopes_differ_from_scopes_that_nobody_told() {
        let name = "x-oauth-scopes";
        assert_eq!(scopes(&HeaderMap::new()), None);
        assert_eq!(scopes(&headers(name, "")), Some(vec![]));
        assert_eq!(
            scopes(&headers(name, "repo, read:org")),
            Some(vec!["repo".to_owned(), "read:org".to_owned()])
        );
    }
}
