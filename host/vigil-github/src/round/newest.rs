//! The newest entries of busy repositories, fifty at once.

use std::collections::HashSet;

use vigil_core::{Gap, GapKind, Timestamp};

use super::lane::{Job, silenced};
use super::{Outcome, Round, out_of_time};
use crate::budget::Pool;
use crate::heads::{Heads, HeadsAnswered, RepoHeads, learn_heads};
use crate::learn::Learned;
use crate::memory::{Memory, repo_key};
use crate::query::points_of;
use crate::question::Repo;
use crate::reply::Trouble;
use crate::tokens::Account;

/// The question for the newest entries of `repos` at `now`, as far as `memory` knows that they may be seen.
pub(super) fn heads_for(memory: &Memory, repos: Vec<Repo>, now: Timestamp) -> Heads {
    Heads::new(repos, |repo| {
        let watch = memory.watch(repo);
        watch.is_some_and(|watch| watch.leaves_issues_out(now))
    })
}

impl Round {
    pub(super) fn take_heads(
        &mut self,
        account: &Account,
        heads: &Heads,
        outcome: Outcome,
        now: Timestamp,
    ) {
        let raw = match outcome {
            Outcome::Answer(raw) => raw,
            Outcome::TimedOut(gap) | Outcome::TooLarge(gap) => {
                return self.halve_heads(account, &heads.repositories, &gap);
            }
            Outcome::Broken(gap) | Outcome::NoConnection(gap) => {
                return self.give_up_heads(
                    account,
                    heads,
                    &gap,
                    Trouble::Unanswered { gap: gap.clone() },
                );
            }
            Outcome::NoToken(trouble) => {
                let gap = trouble.gap();
                return self.give_up_heads(account, heads, &gap, trouble);
            }
            Outcome::Silent(silence) => {
                let trouble = Trouble::of(&silence);
                return self.give_up_heads(account, heads, &silenced(&trouble), trouble);
            }
            Outcome::OutOfTime => return self.left_lists(&heads.repositories, &out_of_time()),
        };
        let cost = points_of(heads.connections);
        let received = raw.received(now);
        match learn_heads(heads, &received).heeding(&received, Pool::GraphQl.resource()) {
            Learned::Answered(answered) => {
                let cost = answered.cost.unwrap_or(cost);
                self.usage.points += cost;
                self.usage.meter = answered.meter.or(self.usage.meter);
                let lane = self.lane(account);
                lane.unanswered = 0;
                lane.answered = true;
                self.memory.account_mut(account).answered(
                    Pool::GraphQl,
                    u64::from(cost),
                    answered.meter,
                    now,
                );
                self.heads_learned(account, heads, answered);
            }
            Learned::Overloaded(gap) => {
                self.charge(account, cost, now);
                self.halve_heads(account, &heads.repositories, &gap);
            }
            Learned::Lost(gap) => {
                self.charge(account, cost, now);
                self.missed_heads(&heads.repositories, &gap);
                self.lane(account).last_gap = Some(gap);
            }
            other => {
                if let Some((gap, trouble)) =
                    self.trouble_of(account, Pool::GraphQl, other, &raw, now)
                {
                    self.give_up_heads(account, heads, &gap, trouble);
                }
            }
        }
    }

    fn give_up_heads(&mut self, account: &Account, heads: &Heads, gap: &Gap, trouble: Trouble) {
        self.missed_heads(&heads.repositories, gap);
        // Each further request with a token that was rejected counts against whoever sends it.
        if matches!(trouble, Trouble::TokenRejected { .. }) {
            self.stop(account, Pool::Rest, gap, trouble.clone());
        }
        self.stop(account, Pool::GraphQl, gap, trouble);
    }

    fn halve_heads(&mut self, account: &Account, repos: &[Repo], gap: &Gap) {
        let lane = self.lane(account);
        lane.unanswered += 1;
        if repos.len() < 2 || lane.unanswered > 3 {
            return self.missed_heads(repos, gap);
        }
        let (first, second) = repos.split_at(repos.len() / 2);
        lane.jobs.push_front(Job::Heads(second.to_vec()));
        lane.jobs.push_front(Job::Heads(first.to_vec()));
    }

    fn heads_learned(&mut self, account: &Account, asked: &Heads, answered: HeadsAnswered) {
        let pairs = asked.repositories.iter().zip(&asked.with_issues);
        let with_issues: HashSet<&Repo> = pairs
            .filter_map(|(repo, asked)| asked.then_some(repo))
            .collect();
        for (repo, heads) in answered.repositories {
            match heads {
                Ok(heads) => {
                    let lost = self
                        .memory
                        .watch(&repo)
                        .is_some_and(|watch| watch.no_issues);
                    if lost && with_issues.contains(&repo) {
                        self.memory.watch_mut(&repo).may_read_issues();
                    }
                    self.head_learned(account, repo, heads);
                }
                // GraphQL says no more of a repository that is elsewhere now. REST does.
                Err(gap) if gap.kind == GapKind::NotFound && self.can_list(account, &repo) => {
                    self.probe(account, repo);
                }
                Err(gap) => self.missed_heads(&[repo], &gap),
            }
        }
        for repo in answered.no_issues {
            self.memory.lose_issues(&repo, self.how.now);
            self.probe_elsewhere(account, repo);
        }
        if !answered.again.is_empty() {
            let gap = Gap::new(
                GapKind::TooLarge,
                "GitHub's budget for one query did not suffice",
            );
            self.halve_heads(account, &answered.again, &gap);
        }
    }

    /// Whether the list of what changed in `repo` may be asked for, and was not in vain in this round.
    fn can_list(&mut self, account: &Account, repo: &Repo) -> bool {
        let is_silent = self
            .memory
            .silent(account, Pool::Rest, self.how.now)
            .is_some();
        !is_silent
            && !self.lane(account).is_stopped(Pool::Rest)
            && !self.unlisted.contains(&repo_key(repo))
            && self
                .memory
                .watch(repo)
                .is_some_and(|watch| watch.has_list() && watch.since.is_some())
    }

    fn head_learned(&mut self, account: &Account, repo: Repo, heads: RepoHeads) {
        let (now, interval, resync) = (self.how.now, self.how.interval, self.how.resync);
        self.memory.take_identity(&repo, &heads.id, now);
        let horizon = self
            .memory
            .watch(&repo)
            .map_or(Timestamp::default(), |watch| watch.horizon());
        let (news, strangers) = self
            .memory
            .announce_heads(&repo, &heads.issues, &heads.pulls);
        for number in strangers {
            self.discover(account, &repo, number);
        }
        // A repository whose issues are switched off has an empty list of them, which is never complete.
        let overflows = |list: &[crate::heads::Head], complete: bool| {
            !complete && !list.is_empty() && list.iter().all(|head| head.updated >= horizon)
        };
        let too_many = overflows(&heads.issues, heads.issues_complete)
            || overflows(&heads.pulls, heads.pulls_complete);
        if too_many && self.can_list(account, &repo) {
            // More changed than the newest entries show: the list tells all of it.
            return self.probe(account, repo);
        }
        if too_many {
            self.memory.doubt_all(&repo);
        }
        self.done += 1;
        let newest = heads
            .issues
            .iter()
            .chain(&heads.pulls)
            .map(|head| head.updated)
            .max();
        let watch = self.memory.watch_mut(&repo);
        // Issues that are switched on again are in the list again.
        watch.no_list &= heads.issues.is_empty();
        if let Some(newest) = newest {
            watch.seen_up_to(newest);
            watch.advance();
        }
        watch.looked(news || too_many, now, interval, resync);
    }
}
