//! Where a repository went that is not found under its name.

use std::time::Duration;

use http::header::LOCATION;
use vigil_core::Timestamp;

use crate::budget::Pool;
use crate::github::{Clock, GitHub};
use crate::learn::{Learned, Received};
use crate::moved::{self, Called};
use crate::probe::segment;
use crate::question::Repo;
use crate::reply::Trouble;
use crate::tokens::Account;

impl GitHub {
    /// What `repo` is called by now, asked as `account`; `None`: GitHub redirects to nowhere from that name, or to where
    /// the token has no access. Costs one request of REST, and one more where it was renamed.
    ///
    /// # Errors
    /// No token, no answer, or a limit; nothing is sent again after any of them.
    pub async fn whereabouts(
        &self,
        account: &Account,
        repo: &Repo,
        now: Timestamp,
        deadline: Duration,
    ) -> Result<Option<Called>, Trouble> {
        let clock = Clock::new(now, deadline);
        let asking = async {
            let token = self.tokens.token(account).await?;
            let (owner, name) = (segment(repo.owner()), segment(repo.name()));
            let path = format!("/repos/{owner}/{name}");
            let answer = self.get(&path, &token, clock).await?;
            let to = answer.headers.get(LOCATION);
            let to = to.filter(|_| answer.status.is_redirection());
            let Some(number) = to.and_then(|to| moved::number(to.to_str().ok()?)) else {
                return Ok(None);
            };
            let answer = self.get(&moved::path(number), &token, clock).await?;
            let received = Received {
                status: answer.status,
                headers: &answer.headers,
                body: &answer.body,
                at: clock.now(),
            };
            Ok(match moved::learn_name(repo, &received) {
                Learned::Answered((called, _)) => called.ok(),
                _ => None,
            })
        };
        let in_turn = self.in_turn(account, Pool::Rest, clock, asking);
        tokio::time::timeout_at(clock.deadline, in_turn)
            .await
            .unwrap_or_else(|_| Err(super::timed_out()))
    }
}
