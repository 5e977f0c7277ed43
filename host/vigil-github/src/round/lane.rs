//! What waits to be sent for one account, and what may be.

use std::collections::VecDeque;
use std::time::Duration;

use vigil_core::{Gap, GapKind, Timestamp};

use super::newest::heads_for;
use super::{Body, Outgoing, REST_IN_FLIGHT, Round, Sent};
use crate::ask::Parts;
use crate::budget::{Pool, REST_PER_MINUTE_MAX, Silence};
use crate::compare::{Comparison, Step};
use crate::memory::{Needed, Why, repo_key};
use crate::place::place_path;
use crate::probe::Probe;
use crate::query::{Query, points, points_of};
use crate::question::{Repo, Target};
use crate::reply::{Trouble, moment};
use crate::tokens::Account;

/// A question about single checks or held runs weighs as much as so many others: its lists are long.
const HEAVY: usize = 4;

/// What waits to be sent for one account.
#[derive(Default)]
pub(super) struct Lane {
    /// Questions, the most urgent first.
    pub(super) waiting: VecDeque<Needed>,
    /// Before them: halves of what was too much, pages, lists of what changed.
    pub(super) jobs: VecDeque<Job>,
    /// Probes.
    pub(super) probes: VecDeque<Job>,
    graphql_flying: bool,
    rest_flying: usize,
    /// What the query that is out costs, in points; 0: none is.
    points_out: u64,
    /// Queries in a row without an answer.
    pub(super) unanswered: u32,
    /// Lists in a row without an answer.
    pub(super) unlisted: usize,
    /// Questions that were put off in this round.
    pub(super) postponed: u32,
    /// Something was answered in this round.
    pub(super) answered: bool,
    /// What went wrong last. When nothing else was answered, this is the trouble.
    pub(super) last_gap: Option<Gap>,
    /// Queries beyond what was planned that may still be sent.
    pub(super) spare: Option<usize>,
    /// Why nothing of a pool is sent any more in this round; `None`: it may be.
    graphql_stopped: Option<Gap>,
    rest_stopped: Option<Gap>,
}

/// Something to be sent.
pub(super) enum Job {
    /// These questions in one query.
    Ask(Vec<Needed>),
    /// What changed last in these repositories.
    Heads(Vec<Repo>),
    /// A list of changes, from its beginning or from a page on.
    Probe {
        probe: Probe,
        path: Option<String>,
        page: u32,
        seen: super::scan::Seen,
    },
    /// Where an issue went that was not found.
    Place(Box<Needed>),
    /// How two commits lie to each other.
    Compare(Box<Comparison>, Step),
    /// What a repository is called that GitHub redirects to by this number.
    Name(Repo, u64),
}

impl Lane {
    pub(super) fn landed(&mut self, pool: Pool) {
        match pool {
            Pool::GraphQl => (self.graphql_flying, self.points_out) = (false, 0),
            Pool::Rest => self.rest_flying = self.rest_flying.saturating_sub(1),
        }
    }

    pub(super) fn has_work(&self, pool: Pool) -> bool {
        match pool {
            Pool::GraphQl => !self.waiting.is_empty() || !self.jobs.is_empty(),
            Pool::Rest => !self.probes.is_empty(),
        }
    }

    pub(super) fn is_stopped(&self, pool: Pool) -> bool {
        self.stopped(pool).is_some()
    }

    fn stopped(&self, pool: Pool) -> Option<&Gap> {
        match pool {
            Pool::GraphQl => self.graphql_stopped.as_ref(),
            Pool::Rest => self.rest_stopped.as_ref(),
        }
    }

    /// From now on nothing of `pool` is sent. The first reason stands.
    fn stop(&mut self, pool: Pool, gap: &Gap) {
        let place = match pool {
            Pool::GraphQl => &mut self.graphql_stopped,
            Pool::Rest => &mut self.rest_stopped,
        };
        place.get_or_insert_with(|| gap.clone());
    }

    /// What was taken from a pot, and no answer has told of yet.
    fn out(&self, pool: Pool) -> u64 {
        match pool {
            Pool::GraphQl => self.points_out,
            // A list that has not changed is free, which nobody knows before.
            Pool::Rest => u64::try_from(self.rest_flying).unwrap_or(u64::MAX),
        }
    }
}

/// How much of a query a question takes.
pub(super) fn weight(needed: &Needed) -> usize {
    match needed.question.parts.intersects(Parts::SECOND) {
        true => HEAVY,
        false => 1,
    }
}

/// The first of `waiting` that fit into one query of `size`.
pub(super) fn batch(waiting: &mut VecDeque<Needed>, size: usize) -> Vec<Needed> {
    let mut taken = Vec::new();
    let mut full = 0;
    while let Some(next) = waiting.front() {
        full += weight(next);
        if full > size && !taken.is_empty() {
            break;
        }
        taken.extend(waiting.pop_front());
    }
    taken
}

/// What is unknown because GitHub said to be silent.
pub(super) fn silenced(trouble: &Trouble) -> Gap {
    Gap::new(GapKind::RateLimited, trouble.to_string())
}

impl Round {
    /// Apps that were told to stop asking for tokens, and hold to it at `now`, whatever process was told.
    pub(crate) fn silent_apps(&self, now: Timestamp) -> Vec<(Account, Silence)> {
        // An installation has a row of its own, which says nothing about the others.
        let apps = self.memory.accounts();
        let apps = apps.filter(|(account, _)| account.is_renewed() && account.app().is_none());
        apps.filter_map(|(app, known)| Some((app.clone(), known.silent(Pool::Rest, now)?)))
            .collect()
    }

    /// Lines questions up, each with the account that asks it: what cannot wait first, then what nobody has looked at
    /// for longest. Repositories stay together where that decides nothing.
    pub(super) fn enqueue(&mut self, needed: Vec<Needed>) {
        let mut needed = needed;
        needed.sort_by_cached_key(|one| {
            let repo = one.question.target.repo().to_string().to_ascii_lowercase();
            (!one.why.is_urgent(), one.learned, repo)
        });
        self.total += needed.len() as u64;
        for one in needed {
            self.asked
                .insert((one.question.target.clone(), one.question.parts));
            let account = self.account_of(one.question.target.repo());
            self.lane(&account).waiting.push_back(one);
        }
    }

    /// Works out what is going to be sent as things stand.
    pub(super) fn estimate(&mut self) {
        let accounts: Vec<Account> = self.lanes.keys().cloned().collect();
        for account in accounts {
            let now = self.how.now;
            let memory = self.memory.account(&account, now);
            let mut size = memory.batch;
            let mut allowance =
                memory
                    .pot(Pool::GraphQl)
                    .allowance(self.how.shares, self.how.interval, now);
            let is_silent = memory.silent(Pool::GraphQl, now).is_some();
            let lane = &self.lanes[&account];
            self.estimate.probes += u32::try_from(lane.probes.len()).unwrap_or(u32::MAX);
            let mut waiting = lane.waiting.clone();
            let mut costs = Vec::new();
            for job in &lane.jobs {
                if let Job::Heads(repos) = job {
                    let heads = heads_for(&self.memory, repos.clone(), now);
                    costs.push((0, points_of(heads.connections), true));
                }
            }
            while !waiting.is_empty() {
                let taken = batch(&mut waiting, size.size());
                if taken.len() == size.size() {
                    // It grows on the way, as long as answers are quick.
                    size.answered(Duration::ZERO);
                }
                let urgent = taken.iter().any(|one| one.why.is_urgent());
                let count = u32::try_from(taken.len()).unwrap_or(u32::MAX);
                let questions = taken.into_iter().map(|one| one.question).collect();
                costs.push((count, points(&Query::new(questions)), urgent));
            }
            for (questions, cost, urgent) in costs {
                if is_silent || !allowance.covers(u64::from(cost), urgent) {
                    self.estimate.postponed += questions;
                    continue;
                }
                allowance.take(u64::from(cost), urgent);
                self.estimate.questions += questions;
                self.estimate.queries += 1;
                self.estimate.points += cost;
            }
        }
    }

    /// The next request of `account`, if one may be sent.
    pub(super) fn next_of(&mut self, account: &Account, now: Timestamp) -> Option<Outgoing> {
        for pool in [Pool::Rest, Pool::GraphQl] {
            let lane = self.lane(account);
            let free = match pool {
                Pool::GraphQl => !lane.graphql_flying,
                Pool::Rest => lane.rest_flying < REST_IN_FLIGHT,
            };
            if !lane.has_work(pool) || !free {
                continue;
            }
            // An answer that was under way when it stopped may have lined up more.
            if lane.is_stopped(pool) {
                self.drain(account, pool);
                continue;
            }
            if let Some(silence) = self.memory.silent(account, pool, now) {
                self.silenced(account, pool, &silence);
                continue;
            }
            let outgoing = match pool {
                Pool::Rest => self.next_probe(account, now),
                Pool::GraphQl => self.next_query(account, now),
            };
            if outgoing.is_some() {
                return outgoing;
            }
        }
        None
    }

    fn next_query(&mut self, account: &Account, now: Timestamp) -> Option<Outgoing> {
        loop {
            let size = self.memory.account(account, now).batch.size();
            let lane = self.lane(account);
            let job = match lane.jobs.pop_front() {
                Some(job) => job,
                None if lane.waiting.is_empty() => return None,
                None => Job::Ask(batch(&mut lane.waiting, size)),
            };
            match job {
                Job::Heads(repos) => {
                    let heads = heads_for(&self.memory, repos, self.how.now);
                    let cost = points_of(heads.connections);
                    if !self.affords(account, Pool::GraphQl, cost, true, now) {
                        self.postpone_heads(account, heads.repositories);
                        continue;
                    }
                    let body = Body::GraphQl {
                        document: heads.document.clone(),
                        variables: heads.variables.clone(),
                    };
                    self.lane(account).graphql_flying = true;
                    return Some(self.fly(account, body, Sent::Heads(Box::new(heads))));
                }
                Job::Ask(needed) => {
                    let urgent = needed.iter().any(|one| one.why.is_urgent());
                    let questions = needed.iter().map(|one| one.question.clone()).collect();
                    let query = Query::new(questions);
                    if !self.affords(account, Pool::GraphQl, points(&query), urgent, now) {
                        self.postpone(account, needed);
                        continue;
                    }
                    let full = needed.iter().map(weight).sum::<usize>() * 2 > size;
                    let body = Body::GraphQl {
                        document: query.document.clone(),
                        variables: query.variables.clone(),
                    };
                    self.lane(account).graphql_flying = true;
                    let sent = Sent::Hydrate {
                        query: Box::new(query),
                        needed,
                        full,
                    };
                    return Some(self.fly(account, body, sent));
                }
                // Probes have a queue of their own.
                probe @ (Job::Probe { .. } | Job::Place(_) | Job::Compare(..) | Job::Name(..)) => {
                    self.lane(account).probes.push_back(probe);
                }
            }
        }
    }

    fn next_probe(&mut self, account: &Account, now: Timestamp) -> Option<Outgoing> {
        while let Some(job) = self.lane(account).probes.pop_front() {
            let (probe, path, page, seen) = match job {
                Job::Probe {
                    probe,
                    path,
                    page,
                    seen,
                } => (probe, path, page, seen),
                Job::Place(one) => match self.next_place(account, one, now) {
                    Some(outgoing) => return Some(outgoing),
                    None => continue,
                },
                Job::Compare(one, step) => match self.next_comparison(account, one, step, now) {
                    Some(outgoing) => return Some(outgoing),
                    None => continue,
                },
                Job::Name(repo, number) => match self.next_name(account, repo, number, now) {
                    Some(outgoing) => return Some(outgoing),
                    None => continue,
                },
                Job::Ask(_) | Job::Heads(_) => continue,
            };
            let flying = self.lane(account).rest_flying;
            if !self.memory.account(account, now).keeps_pace(flying, now) {
                let gap = Gap::new(
                    GapKind::RateLimited,
                    format!(
                        "vigil asks GitHub's REST API {REST_PER_MINUTE_MAX} times a minute at most"
                    ),
                );
                self.lost_probe(account, probe.repo, &gap);
                continue;
            }
            // A probe that finds nothing new is free, and most do.
            if !self.affords(account, Pool::Rest, 1, true, now) {
                if flying > 0 {
                    // One of those that are out may turn out to be free.
                    self.lane(account).probes.push_front(Job::Probe {
                        probe,
                        path,
                        page,
                        seen,
                    });
                    return None;
                }
                self.unlisted.insert(repo_key(&probe.repo));
                self.probe_elsewhere(account, probe.repo);
                continue;
            }
            let etag = match &path {
                Some(_) => None,
                None => self.memory.watch(&probe.repo).and_then(|watch| {
                    let etag = watch.etag()?;
                    Some((etag.value.clone(), etag.fingerprint.clone()))
                }),
            };
            let body = Body::Rest {
                path: path.unwrap_or_else(|| probe.path()),
                etag,
            };
            self.lane(account).rest_flying += 1;
            return Some(self.fly(account, body, Sent::Probe { probe, page, seen }));
        }
        None
    }

    /// Asks where an issue went, if the share allows; it is unknown until somebody has.
    fn next_place(
        &mut self,
        account: &Account,
        one: Box<Needed>,
        now: Timestamp,
    ) -> Option<Outgoing> {
        let Target::Issue { repo, number } = &one.question.target else {
            return None;
        };
        let path = place_path(repo, *number);
        let outgoing = self.ask_rest(account, path, Sent::Place(one), now);
        self.done += u64::from(outgoing.is_none());
        outgoing
    }

    /// REST requests of the account that are out.
    pub(super) fn rest_flying(&mut self, account: &Account) -> usize {
        self.lane(account).rest_flying
    }

    /// One more of them is.
    pub(super) fn rest_flies(&mut self, account: &Account) {
        self.lane(account).rest_flying += 1;
    }

    /// Whether `cost` may be taken from the account's share at `now`, by what every answer until then has told; takes it
    /// if so.
    pub(super) fn affords(
        &mut self,
        account: &Account,
        pool: Pool,
        cost: u32,
        urgent: bool,
        now: Timestamp,
    ) -> bool {
        let (shares, interval) = (self.how.shares, self.how.interval);
        let cost = u64::from(cost);
        let out = self.lane(account).out(pool);
        let pot = self.memory.account(account, now).pot(pool).clone();
        let mut allowance = pot.allowance(shares, interval, now);
        allowance.withhold(out);
        let covered = allowance.covers(cost, urgent);
        if covered && pool == Pool::GraphQl {
            self.lane(account).points_out = cost;
            let memory = self.memory.account_mut(account);
            memory
                .pot_mut(pool)
                .take(cost, urgent, shares, interval, now);
        }
        covered
    }

    /// These questions wait for a later pass. What they could only confirm stands; the others are unknown until then.
    pub(super) fn postpone(&mut self, account: &Account, needed: Vec<Needed>) {
        let ends = self.memory.account(account, self.how.now).graphql.ends;
        let until = ends.map_or_else(String::new, |ends| format!(" until {}", moment(ends)));
        let gap = Gap::new(
            GapKind::RateLimited,
            format!("vigil's share of GitHub's points is used up{until}"),
        );
        self.lane(account).postponed += u32::try_from(needed.len()).unwrap_or(u32::MAX);
        self.done += needed.len() as u64;
        for one in needed.iter().filter(|one| one.why.is_urgent()) {
            self.miss(one, &gap);
        }
    }

    /// GitHub said to be silent: nothing of this pool is sent any more.
    pub(super) fn silenced(&mut self, account: &Account, pool: Pool, silence: &Silence) {
        let trouble = Trouble::of(silence);
        self.stop(account, pool, &silenced(&trouble), trouble);
    }

    /// Nothing of this pool is sent any more in this round: what waits is unknown, for the reason that `gap` gives.
    pub(super) fn stop(&mut self, account: &Account, pool: Pool, gap: &Gap, trouble: Trouble) {
        self.lane(account).stop(pool, gap);
        self.drain(account, pool);
        self.trouble(trouble);
    }

    /// No more lists are asked for in this round. What REST does not tell, GraphQL may.
    pub(super) fn divert(&mut self, account: &Account, gap: &Gap) {
        self.lane(account).stop(Pool::Rest, gap);
        self.drain(account, Pool::Rest);
    }

    /// What waits for a pool that has stopped is not sent.
    fn drain(&mut self, account: &Account, pool: Pool) {
        let lane = self.lane(account);
        let Some(gap) = lane.stopped(pool).cloned() else {
            return;
        };
        match pool {
            Pool::Rest => {
                let probes: Vec<Job> = lane.probes.drain(..).collect();
                for job in probes {
                    match job {
                        // The other way has no time either.
                        Job::Probe { probe, .. } if self.is_over => {
                            self.left_lists(&[probe.repo], &gap);
                        }
                        Job::Probe { probe, .. } => self.lost_probe(account, probe.repo, &gap),
                        // Where it went is unknown since it was not found.
                        Job::Place(_) => self.done += 1,
                        Job::Compare(..) if self.is_over => self.done += 1,
                        Job::Compare(one, _) => self.missed_comparison(&one, &gap),
                        Job::Name(repo, _) if self.is_over => self.left_lists(&[repo], &gap),
                        Job::Name(repo, _) => self.missed_name(&repo, &gap),
                        Job::Ask(_) | Job::Heads(_) => {}
                    }
                }
            }
            Pool::GraphQl => {
                let jobs: Vec<Job> = lane.jobs.drain(..).collect();
                let waiting: Vec<Needed> = lane.waiting.drain(..).collect();
                for job in jobs {
                    match job {
                        Job::Ask(needed) if self.is_over => self.left(&needed, &gap),
                        Job::Heads(repos) if self.is_over => self.left_lists(&repos, &gap),
                        Job::Ask(needed) => self.missed(&needed, &gap),
                        Job::Heads(repos) => self.missed_heads(&repos, &gap),
                        Job::Probe { .. } | Job::Place(_) | Job::Compare(..) | Job::Name(..) => {}
                    }
                }
                match self.is_over {
                    true => self.left(&waiting, &gap),
                    false => self.not_sent(&waiting, &gap),
                }
            }
        }
    }

    /// The time was up before these questions were answered: those that an answer depends on are unknown in this pass.
    /// Nothing was learned about them, and nothing failed.
    pub(super) fn left(&mut self, needed: &[Needed], gap: &Gap) {
        self.done += needed.len() as u64;
        for one in needed {
            // A pull request that nobody asks about stays announced until somebody has read it.
            if one.why.is_urgent() && one.why != Why::Stranger {
                let now = self.how.now;
                self.memory.leave(&one.question, &one.owners, gap, now);
            }
        }
    }

    /// These questions were not sent. What would only confirm what is known says nothing new by that, and stands.
    pub(super) fn not_sent(&mut self, needed: &[Needed], gap: &Gap) {
        self.done += needed.len() as u64;
        for one in needed.iter().filter(|one| one.why.is_urgent()) {
            self.miss(one, gap);
        }
    }

    /// Nothing was found out about these questions.
    pub(super) fn missed(&mut self, needed: &[Needed], gap: &Gap) {
        self.done += needed.len() as u64;
        for one in needed {
            self.miss(one, gap);
        }
    }

    fn miss(&mut self, one: &Needed, gap: &Gap) {
        // A pull request that nobody asks about stays announced until somebody has read it.
        if one.why != Why::Stranger {
            self.memory
                .miss(&one.question, &one.owners, gap, self.how.now);
        }
    }
}
