//! Whose token an account has: GitHub counts by user, so that two tokens of one user draw on one pot.

use std::time::Duration;

use http::StatusCode;
use serde_json::Value;
use vigil_core::Timestamp;

use crate::budget::Pool;
use crate::github::{Clock, GitHub};
use crate::limits::{CORE, Meter};
use crate::reply::Trouble;
use crate::tokens::Account;
use crate::words;

/// The user of a token, and what asking for it left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The login; `None`: GitHub does not say, as for an App's installation, which is no user.
    pub login: Option<String>,
    /// The pot of REST requests after it.
    pub rest: Meter,
}

impl GitHub {
    /// Asks `GET /user` as `account`, which costs one request.
    ///
    /// # Errors
    /// No token, no answer, or a limit; nothing is sent again after any of them. That GitHub does not say who it is, is
    /// none.
    pub async fn user(
        &self,
        account: &Account,
        now: Timestamp,
        deadline: Duration,
    ) -> Result<User, Trouble> {
        let clock = Clock::new(now, deadline);
        let asking = async {
            let token = self.tokens.token(account).await?;
            let answer = self.get("/user", &token, clock).await?;
            let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            let text = |name| body.get(name).and_then(Value::as_str);
            let at = clock.now();
            let login = text("login").filter(|_| answer.status == StatusCode::OK);
            Ok(User {
                login: login.map(words::short),
                rest: Meter::from_headers(&answer.headers, CORE, at),
            })
        };
        let in_turn = self.in_turn(account, Pool::Rest, clock, asking);
        tokio::time::timeout_at(clock.deadline, in_turn)
            .await
            .unwrap_or_else(|_| Err(super::timed_out()))
    }
}
