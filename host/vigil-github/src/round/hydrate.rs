//! What answers to questions come to: facts, further pages, smaller queries, and the end of it.

use std::collections::HashMap;

use vigil_core::{Gap, GapKind, Timestamp};

use super::lane::{Job, silenced};
use super::{Outcome, Raw, Round, out_of_time};
use crate::budget::Pool;
use crate::choose::{Candidates, More, Wanted, choose};
use crate::learn::{Answered, Finding, Learned, learn};
use crate::limits::{Limit, Meter};
use crate::memory::{Needed, OVERLAP, Why};
use crate::query::{Query, points};
use crate::question::{Question, Repo, Target, sought};
use crate::reply::Trouble;
use crate::tokens::Account;

/// Queries without an answer in a row, after which the round stops asking. Taking a hundred questions apart down to the
/// one that GitHub cannot answer takes up to seven, and its neighbours may be as bad; beyond that it is no single
/// question's fault.
const UNANSWERED_MAX: u32 = 10;

/// The same where nothing was answered in this round: then it is GitHub that does not answer. Three are enough to find
/// out, since halves are tried in turn: where one of them is answered, it was the other one's fault.
const SILENT_MAX: u32 = 3;

/// How many queries beyond the planned ones a round may send to take apart what was too much: so many for each planned
/// one, and some. A GitHub that can answer next to nothing at once is asked again in the next pass, not in this one.
const SPARE_PER_QUERY: usize = 8;
const SPARE: usize = 16;

/// Pages of one branch beyond the first that are looked through.
const PAGES_FURTHER_MAX: usize = 5;

/// Pages of branches that are being looked through.
#[derive(Default)]
pub(super) struct Pages {
    lists: HashMap<Target, (Candidates, usize)>,
}

impl Round {
    pub(super) fn take_hydrate(
        &mut self,
        account: &Account,
        query: &Query,
        needed: Vec<Needed>,
        full: bool,
        (outcome, sent): (Outcome, u32),
        now: Timestamp,
    ) {
        let raw = match outcome {
            Outcome::Answer(raw) => raw,
            Outcome::TimedOut(gap) | Outcome::TooLarge(gap) => {
                return self.overloaded(account, needed, gap);
            }
            Outcome::Broken(gap) | Outcome::NoConnection(gap) => {
                let trouble = Trouble::Unanswered { gap: gap.clone() };
                return self.give_up(account, needed, sent, &gap, trouble);
            }
            Outcome::NoToken(trouble) => {
                let gap = trouble.gap();
                return self.give_up(account, needed, sent, &gap, trouble);
            }
            Outcome::Silent(silence) => {
                let trouble = Trouble::of(&silence);
                return self.give_up(account, needed, sent, &silenced(&trouble), trouble);
            }
            Outcome::OutOfTime => {
                let gap = out_of_time();
                self.left(&needed, &gap);
                let trouble = Trouble::Unanswered { gap: gap.clone() };
                return self.stop(account, Pool::GraphQl, &gap, trouble);
            }
        };
        let observed = self.how.now;
        let received = raw.received(now);
        match learn(query, &received, observed).heeding(&received, Pool::GraphQl.resource()) {
            Learned::Answered(answered) => {
                let cost = answered.cost.unwrap_or_else(|| points(query));
                self.usage.points += cost;
                self.usage.meter = answered.meter.or(self.usage.meter);
                let memory = self.memory.account_mut(account);
                memory.answered(Pool::GraphQl, u64::from(cost), answered.meter, now);
                if full {
                    memory.batch.answered(raw.took);
                }
                let lane = self.lane(account);
                lane.unanswered = 0;
                lane.answered = true;
                let missing: Vec<Repo> = query
                    .repositories
                    .iter()
                    .filter(|repo| {
                        let mut seen = answered.repositories.iter();
                        !seen.any(|(seen, ..)| seen == *repo)
                    })
                    .cloned()
                    .collect();
                self.learned(account, needed, answered, &raw, now);
                for repo in missing {
                    self.look_for(account, repo);
                }
            }
            Learned::Overloaded(gap) => {
                self.charge(account, points(query), now);
                self.overloaded(account, needed, gap);
            }
            Learned::Lost(gap) => {
                self.charge(account, points(query), now);
                self.unanswered(account, needed, gap);
            }
            other => self.refused(account, Pool::GraphQl, needed, other, &raw, now),
        }
    }

    /// A refusal that ends the asking: its questions and all others of the account are unknown.
    pub(super) fn refused<A>(
        &mut self,
        account: &Account,
        pool: Pool,
        needed: Vec<Needed>,
        learned: Learned<A>,
        raw: &Raw,
        now: Timestamp,
    ) {
        let trouble = self.trouble_of(account, pool, learned, raw, now);
        let Some((gap, trouble)) = trouble else {
            return;
        };
        self.missed(&needed, &gap);
        self.stop_for(account, pool, &gap, trouble);
    }

    /// A refusal that ends the asking of `pool`, and of both where the token itself was refused.
    pub(super) fn stop_for(&mut self, account: &Account, pool: Pool, gap: &Gap, trouble: Trouble) {
        if matches!(trouble, Trouble::TokenRejected { .. }) {
            let other = match pool {
                Pool::GraphQl => Pool::Rest,
                Pool::Rest => Pool::GraphQl,
            };
            self.stop(account, other, gap, trouble.clone());
        }
        self.stop(account, pool, gap, trouble);
    }

    /// What a refusal means for all that is asked of this account; `None`: it is none.
    pub(super) fn trouble_of<A>(
        &mut self,
        account: &Account,
        pool: Pool,
        learned: Learned<A>,
        raw: &Raw,
        now: Timestamp,
    ) -> Option<(Gap, Trouble)> {
        match learned {
            Learned::Limited(limit) => Some(self.limited(account, pool, &limit, raw, now)),
            Learned::TokenRejected => {
                let trouble = Trouble::TokenRejected {
                    origin: raw.origin.clone(),
                };
                let gap = Gap::new(GapKind::Unauthenticated, trouble.to_string());
                Some((gap, trouble))
            }
            Learned::Refused(gap) => {
                let trouble = Trouble::Refused {
                    detail: gap.detail.clone(),
                };
                Some((gap, trouble))
            }
            Learned::Answered(_) | Learned::Overloaded(_) | Learned::Lost(_) => None,
        }
    }

    fn limited(
        &mut self,
        account: &Account,
        pool: Pool,
        limit: &Limit,
        raw: &Raw,
        now: Timestamp,
    ) -> (Gap, Trouble) {
        let meter = Meter::from_headers(&raw.headers, pool.resource(), now);
        let memory = self.memory.account_mut(account);
        let silence = memory.limited(pool, limit, meter, now);
        let trouble = Trouble::of(&silence);
        (silenced(&trouble), trouble)
    }

    /// Keeps what an answer taught, and lines up what it left open.
    fn learned(
        &mut self,
        account: &Account,
        needed: Vec<Needed>,
        answered: Answered,
        raw: &Raw,
        now: Timestamp,
    ) {
        let observed = self.how.now;
        for (repo, id, default) in &answered.repositories {
            self.memory.take_identity(repo, id, observed);
            self.memory.take_default_branch(repo, default.as_deref());
            self.begin_watching(repo, raw, now);
        }
        let mut by_target: HashMap<Target, Needed> = needed
            .into_iter()
            .map(|one| (one.question.target.clone(), one))
            .collect();
        let settled = answered.findings.len();
        let mut pages = Vec::new();
        for (question, finding) in answered.findings {
            let Some(mut one) = by_target.remove(&question.target) else {
                continue;
            };
            one.question = question;
            match finding {
                Finding::Branch(list) => pages.extend(self.take_list(one, list)),
                Finding::PullRequest(seen) if one.why == Why::Stranger => {
                    self.done += 1;
                    if let Target::PullRequest { repo, number } = &one.question.target {
                        let parts = one.question.parts;
                        let (memory, pace) = (&mut self.memory, self.pace);
                        memory.take_stranger(repo, *number, *seen, parts, pace, observed);
                    }
                }
                Finding::Issue(seen) if seen.fact.is_absent() => {
                    self.done += u64::from(!self.seek(account, one));
                }
                finding => {
                    self.done += 1;
                    let pace = self.pace;
                    self.memory
                        .take(&one.question, finding, &one.owners, pace, observed);
                }
            }
        }
        let further = answered.more.into_iter().map(|question| Needed {
            question,
            why: Why::Missing,
            owners: Vec::new(),
            learned: observed,
        });
        let further: Vec<Needed> = pages.into_iter().chain(further).collect();
        if !further.is_empty() {
            self.lane(account).jobs.push_back(Job::Ask(further));
        }
        let again: Vec<Needed> = answered
            .again
            .iter()
            .filter_map(|question| by_target.remove(&question.target))
            .collect();
        let gap = Gap::new(
            GapKind::TooLarge,
            "GitHub's budget for one query did not suffice",
        );
        // Where most were answered, the others are innocent ones that got lost with another, and fit without it.
        if again.len() <= settled {
            self.again(account, again, &gap);
        } else {
            self.memory.account_mut(account).batch.too_much();
            self.halve(account, again, &gap);
        }
    }

    /// From the first answer about a repository on it is watched.
    fn begin_watching(&mut self, repo: &Repo, raw: &Raw, now: Timestamp) {
        let begun = self
            .memory
            .watch(repo)
            .is_some_and(|watch| watch.since.is_some());
        if begun {
            return;
        }
        // By GitHub's clock where it tells; ours may be off by less than anybody would leave it.
        let server =
            crate::limits::server_time(&raw.headers).unwrap_or_else(|| now.before(OVERLAP * 5));
        let (began, interval) = (self.how.now, self.how.interval);
        let server = server.before(began.age(now));
        let resync = self.how.resync;
        let watch = self.memory.watch_mut(repo);
        watch.seen_up_to(server);
        watch.advance();
        watch.looked(false, began, interval, resync);
    }

    /// Keeps a page of a branch's pull requests, and returns the question for the next one where it is needed.
    fn take_list(&mut self, one: Needed, page: Candidates) -> Option<Needed> {
        let target = one.question.target.clone();
        let (list, pages) = match self.pages.lists.remove(&target) {
            Some((mut earlier, pages)) => {
                earlier.known.extend(page.known);
                earlier.more = page.more;
                (earlier, pages + 1)
            }
            None => (page, 0),
        };
        let cursor = match &list.more {
            More::After(cursor) if self.needs_more(&target, &list) => Some(cursor.clone()),
            _ => None,
        };
        let list = match cursor {
            Some(after) if pages < PAGES_FURTHER_MAX => {
                self.pages.lists.insert(target, (list, pages));
                let question = Question {
                    after: Some(after),
                    ..one.question
                };
                return Some(Needed { question, ..one });
            }
            Some(_) => Candidates {
                more: More::Lost(Gap::new(
                    GapKind::TooLarge,
                    format!("there are too many {target} to look through"),
                )),
                ..list
            },
            None => list,
        };
        self.done += 1;
        let (pace, observed) = (self.pace, self.how.now);
        let finding = Finding::Branch(list);
        self.memory
            .take(&one.question, finding, &one.owners, pace, observed);
        None
    }

    /// Whether some session's answer depends on what comes after `list`.
    fn needs_more(&self, target: &Target, list: &Candidates) -> bool {
        let Target::Branch { repo, branch } = target else {
            return false;
        };
        let default = self.memory.default_branch(&repo.to_string());
        self.asks.iter().any(|ask| {
            let Some(Ok(sought)) = sought(ask) else {
                return false;
            };
            sought.repo == *repo
                && sought.branches.contains(&branch.as_str())
                && choose(list, &Wanted::of(ask, &sought, default, self.how.now)).is_none()
        })
    }

    /// A query was too much for GitHub, or took too long: its halves may be answered.
    fn overloaded(&mut self, account: &Account, needed: Vec<Needed>, gap: Gap) {
        self.memory.account_mut(account).batch.too_much();
        if self.too_many_unanswered(account, &needed, &gap) {
            return;
        }
        if needed.len() > 1 {
            self.halve(account, needed, &gap);
        } else {
            self.missed(&needed, &gap);
            self.lane(account).last_gap = Some(gap);
        }
    }

    /// A query got no answer, and a smaller one would get none either.
    fn unanswered(&mut self, account: &Account, needed: Vec<Needed>, gap: Gap) {
        if !self.too_many_unanswered(account, &needed, &gap) {
            self.missed(&needed, &gap);
            self.lane(account).last_gap = Some(gap);
        }
    }

    fn too_many_unanswered(&mut self, account: &Account, needed: &[Needed], gap: &Gap) -> bool {
        let lane = self.lane(account);
        lane.unanswered += 1;
        let patience = match lane.answered {
            true => UNANSWERED_MAX,
            false => SILENT_MAX,
        };
        if lane.unanswered < patience {
            return false;
        }
        let trouble = Trouble::Unanswered { gap: gap.clone() };
        self.give_up(account, needed.to_vec(), 1, gap, trouble);
        true
    }

    /// Nothing more is asked by GraphQL; `sent`: how often these questions were.
    fn give_up(
        &mut self,
        account: &Account,
        needed: Vec<Needed>,
        sent: u32,
        gap: &Gap,
        trouble: Trouble,
    ) {
        match sent {
            0 => self.not_sent(&needed, gap),
            _ => self.missed(&needed, gap),
        }
        self.stop(account, Pool::GraphQl, gap, trouble);
    }

    /// Asks both halves, one after the other, before whatever was not tried yet.
    fn halve(&mut self, account: &Account, mut needed: Vec<Needed>, gap: &Gap) {
        let second = needed.split_off(needed.len().div_ceil(2));
        self.again(account, needed, gap);
        self.again(account, second, gap);
    }

    /// Asks once more before whatever was not tried yet, as far as the round may still send more than was planned.
    fn again(&mut self, account: &Account, needed: Vec<Needed>, gap: &Gap) {
        if needed.is_empty() {
            return;
        }
        let size = self.memory.account(account, self.how.now).batch.size();
        let lane = self.lane(account);
        let planned = lane.waiting.len().div_ceil(size) + 1;
        let spare = lane.spare.get_or_insert(SPARE + SPARE_PER_QUERY * planned);
        if *spare == 0 {
            return self.missed(&needed, gap);
        }
        *spare -= 1;
        self.lane(account).jobs.push_back(Job::Ask(needed));
    }
}
