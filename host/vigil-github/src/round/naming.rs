//! Asking what a repository is called that was renamed or transferred.

use vigil_core::{Gap, GapKind, Timestamp};

use super::lane::Job;
use super::rest::Nothing;
use super::{Outcome, Outgoing, Round, Sent, out_of_time};
use crate::moved::{self, Called};
use crate::question::Repo;
use crate::tokens::Account;

impl Round {
    /// GitHub redirects from the name of `repo` to `to`. What it is called now is asked by its number.
    pub(super) fn moved(&mut self, account: &Account, repo: Repo, to: &str) {
        match moved::number(to) {
            Some(number) => self
                .lane(account)
                .probes
                .push_front(Job::Name(repo, number)),
            None => {
                let gap = Gap::new(
                    GapKind::IdentityChanged,
                    format!("{repo} was renamed or transferred: GitHub points to {to}"),
                );
                self.missed_heads(&[repo], &gap);
            }
        }
    }

    pub(super) fn next_name(
        &mut self,
        account: &Account,
        repo: Repo,
        number: u64,
        now: Timestamp,
    ) -> Option<Outgoing> {
        let outgoing = self.ask_rest(account, moved::path(number), Sent::Name(repo.clone()), now);
        if outgoing.is_none() {
            self.missed_name(&repo, &rest_is_short());
        }
        outgoing
    }

    pub(super) fn take_name(
        &mut self,
        account: &Account,
        repo: &Repo,
        outcome: Outcome,
        now: Timestamp,
    ) {
        let read = |received: &crate::learn::Received<'_>| moved::learn_name(repo, received);
        match self.rest_learned(account, outcome, now, read) {
            Ok(Ok(called)) => self.is_called(repo, called),
            Ok(Err(gap)) => self.missed_heads(std::slice::from_ref(repo), &gap),
            Err(Nothing::Missed(gap)) => self.missed_name(repo, &gap),
            Err(Nothing::OutOfTime) => {
                self.left_lists(std::slice::from_ref(repo), &out_of_time());
            }
        }
    }

    fn is_called(&mut self, repo: &Repo, called: Called) {
        let gap = crate::convert::renamed(repo, &called.name);
        self.memory.watch_mut(repo).called = Some(called);
        self.missed_heads(std::slice::from_ref(repo), &gap);
    }

    /// It is elsewhere, and nobody said where. What it was called last is as good as before.
    pub(super) fn missed_name(&mut self, repo: &Repo, why: &Gap) {
        let gap = Gap::new(
            GapKind::IdentityChanged,
            format!(
                "{repo} was renamed or transferred; its new name was not found out: {}",
                why.detail
            ),
        );
        self.missed_heads(std::slice::from_ref(repo), &gap);
    }
}

fn rest_is_short() -> Gap {
    Gap::new(
        GapKind::RateLimited,
        "vigil's share of GitHub's REST requests is used up",
    )
}
