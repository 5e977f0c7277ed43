//! One round of asking GitHub, without a socket and without a clock.
//!
//! A round knows what has to be asked and what may be sent: [`Round::next`] hands out requests, [`Round::take`] takes
//! their outcomes, in any order. Whoever drives it brings the time and the connection: [`GitHub`](crate::GitHub) over
//! HTTP, the simulation in process. Never more than one GraphQL request of an account is out, and never more than
//! [`REST_IN_FLIGHT`] of REST.
//!
//! There are two kinds: a *scan* finds out what changed in repositories, an *asking* reads what has to be known.

mod comparing;
mod hydrate;
mod lane;
mod naming;
mod newest;
mod place;
mod request;
mod rest;
mod scan;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use vigil_core::{Gap, GapKind, Timestamp};

use crate::ask::{Answer, Ask, Parts};
use crate::budget::{AccountMemory, Pool, Shares, Silence};
use crate::compare::{Comparison, Step};
use crate::heads::Heads;
use crate::limits::Meter;
use crate::memory::{Doubt, Memory, Needed, Pace};
use crate::probe::Probe;
use crate::query::Query;
use crate::question::{Repo, Target};
use crate::reply::{Trouble, Usage};
use crate::tokens::Account;

use lane::Lane;

pub use request::{Body, Landed, Outcome, Outgoing, Raw};

/// REST requests of one account that may be out at a time. GitHub asks for few; 304s come in milliseconds.
pub const REST_IN_FLIGHT: usize = 4;

/// Asking, learning what matters further, asking again: rounds within a round, at most.
const PHASES_MAX: u32 = 4;

/// How a round is made.
#[derive(Clone, Debug)]
pub struct How {
    /// The moment of the pass, which the facts bear.
    pub now: Timestamp,
    /// From one pass to the next.
    pub interval: Duration,
    /// What is left to others, and what vigil takes at most.
    pub shares: Shares,
    /// Webhooks tell what happens: this is how often a repository is looked at at most. `None`: there are none.
    pub resync: Option<Duration>,
}

/// Which repositories are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scan {
    /// Those whose time has come.
    Due,
    /// Those that were not looked at for so long.
    OlderThan(Duration),
}

/// What a round is going to cost if nothing unforeseen comes up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Estimate {
    /// Conditional REST requests: free where nothing changed.
    pub probes: u32,
    /// GraphQL requests.
    pub queries: u32,
    /// What the GraphQL requests cost, by GitHub's published formula.
    pub points: u32,
    /// Questions behind them.
    pub questions: u32,
    /// Questions that wait for a later pass, because the budget is short.
    pub postponed: u32,
}

impl Estimate {
    /// Both together.
    pub fn plus(self, other: Estimate) -> Estimate {
        Estimate {
            probes: self.probes + other.probes,
            queries: self.queries + other.queries,
            points: self.points + other.points,
            questions: self.questions + other.questions,
            postponed: self.postponed + other.postponed,
        }
    }
}

/// One round of asking GitHub.
pub struct Round {
    memory: Memory,
    how: How,
    lanes: BTreeMap<Account, Lane>,
    flying: HashMap<u64, Flight>,
    next_id: u64,
    /// What is asked about, where it is an asking.
    asks: Vec<Ask>,
    doubt: Doubt,
    phase: u32,
    /// What was asked in this round already, with these parts.
    asked: HashSet<(Target, Parts)>,
    /// What was compared in this round already.
    comparing: HashSet<Comparison>,
    /// Lists that go on.
    pages: hydrate::Pages,
    /// Repositories, by lower-case name, that GraphQL does not find and REST was asked about.
    looked_for: HashSet<String>,
    /// Repositories, by lower-case name, whose lists of changes could not be had.
    unlisted: HashSet<String>,
    /// Whose account asks about a repository, by lower-case owner.
    owners: HashMap<String, Account>,
    /// How fast what moves without being announced is followed.
    pace: Pace,
    estimate: Estimate,
    usage: Usage,
    trouble: Option<Trouble>,
    done: u64,
    total: u64,
    /// The time is up: what was not sent by now is not sent.
    is_over: bool,
}

/// A request that is out.
struct Flight {
    account: Account,
    job: Sent,
}

/// What a request was sent for.
enum Sent {
    Hydrate {
        query: Box<Query>,
        needed: Vec<Needed>,
        full: bool,
    },
    Heads(Box<Heads>),
    Probe {
        probe: Probe,
        page: u32,
        seen: scan::Seen,
    },
    Place(Box<Needed>),
    Compare(Box<Comparison>, Step),
    Name(Repo),
}

/// What a pass does not know that had no time to ask.
fn out_of_time() -> Gap {
    Gap::new(GapKind::TimedOut, "the time for asking GitHub was up")
}

/// What a round came to.
#[derive(Debug, Default)]
pub struct Ended {
    /// What is known now.
    pub memory: Memory,
    /// One for each ask, in order; empty after a scan.
    pub answers: Vec<Answer>,
    /// What it cost.
    pub usage: Usage,
    /// What went wrong as a whole.
    pub trouble: Option<Trouble>,
    /// Questions that were put off because the budget was short.
    pub postponed: u32,
}

impl Round {
    fn new(memory: Memory, how: How) -> Self {
        let pace = memory.pace(how.now, how.resync);
        Round {
            memory,
            how,
            lanes: BTreeMap::new(),
            flying: HashMap::new(),
            next_id: 0,
            asks: Vec::new(),
            doubt: Doubt::Little,
            phase: 0,
            asked: HashSet::new(),
            comparing: HashSet::new(),
            pages: hydrate::Pages::default(),
            looked_for: HashSet::new(),
            unlisted: HashSet::new(),
            owners: HashMap::new(),
            pace,
            estimate: Estimate::default(),
            usage: Usage::default(),
            trouble: None,
            done: 0,
            total: 0,
            is_over: false,
        }
    }

    /// A round that finds out what changed in `repos`. Repositories of which nothing is known have nothing that could
    /// change.
    pub fn scan(
        memory: Memory,
        repos: &[Repo],
        which: Scan,
        account: impl Fn(&str) -> Account,
        how: How,
    ) -> Self {
        let mut round = Round::new(memory, how);
        if let Scan::OlderThan(max_age) = which {
            round.memory.ask_again(max_age, round.how.now);
        }
        round.plan_scan(repos, which, account);
        round
    }

    /// A round that reads what `asks` need and is not known.
    pub fn ask(
        memory: Memory,
        asks: Vec<Ask>,
        doubt: Doubt,
        account: impl Fn(&str) -> Account,
        how: How,
    ) -> Self {
        let mut round = Round::new(memory, how);
        round.asks = asks;
        round.doubt = doubt;
        let needed = round.memory.questions(&round.asks, doubt, round.how.now);
        for one in &needed {
            round.know_account(one.question.target.repo(), &account);
        }
        for ask in &round.asks {
            for repo in ask.repos() {
                let owner = repo.owner().to_ascii_lowercase();
                round
                    .owners
                    .entry(owner)
                    .or_insert_with(|| account(repo.owner()));
            }
        }
        round.enqueue(needed);
        round.enqueue_comparisons();
        round.phase = 1;
        round.estimate();
        round
    }

    /// What it is going to cost, as planned at its beginning.
    pub fn cost(&self) -> Estimate {
        self.estimate
    }

    /// Gives the memory back as it was: for a round that was only made to know its cost, and of which nothing was sent.
    pub fn unsent(self) -> Memory {
        self.memory
    }

    /// What another process was told meanwhile holds for the rest of the round.
    pub fn heed(&mut self, account: &Account, told: &AccountMemory, now: Timestamp) {
        self.memory.heed(account, told, now);
    }

    /// Questions that are dealt with, and all of them as far as is known.
    pub fn progress(&self) -> (u64, u64) {
        (self.done, self.total)
    }

    /// The rows of memory that changed so far, to be stored: a long round that is cut off need not begin anew.
    pub fn take_changes(&mut self) -> Vec<crate::memory::Change> {
        self.memory.take_changes()
    }

    /// The next request that may be sent at `now`; `None`: none before an outcome of those that are out, or none at
    /// all when none is.
    pub fn next(&mut self, now: Timestamp) -> Option<Outgoing> {
        loop {
            let accounts: Vec<Account> = self.lanes.keys().cloned().collect();
            for account in accounts {
                if let Some(outgoing) = self.next_of(&account, now) {
                    return Some(outgoing);
                }
            }
            if !self.flying.is_empty() || !self.go_on() {
                return None;
            }
        }
    }

    /// What was learned may show that more has to be asked. Gives whether there is more.
    fn go_on(&mut self) -> bool {
        if self.asks.is_empty() || self.phase == 0 || self.phase >= PHASES_MAX {
            return false;
        }
        self.phase += 1;
        let needed = self.memory.questions(&self.asks, self.doubt, self.how.now);
        let fresh: Vec<Needed> = needed
            .into_iter()
            .filter(|one| one.why.is_urgent())
            .filter(|one| {
                let question = &one.question;
                !self
                    .asked
                    .contains(&(question.target.clone(), question.parts))
            })
            .collect();
        let any = !fresh.is_empty();
        self.enqueue(fresh);
        self.enqueue_comparisons() || any
    }

    /// Takes in what became of a request.
    pub fn take(&mut self, landed: Landed, now: Timestamp) {
        let Landed { id, outcome, sent } = landed;
        let Some(Flight { account, job }) = self.flying.remove(&id) else {
            return;
        };
        let pool = match &job {
            Sent::Probe { .. } | Sent::Place(_) | Sent::Compare(..) | Sent::Name(_) => Pool::Rest,
            Sent::Hydrate { .. } | Sent::Heads(_) => Pool::GraphQl,
        };
        self.lane(&account).landed(pool);
        self.is_over |= matches!(outcome, Outcome::OutOfTime);
        self.count(&account, &job, &outcome, sent, now);
        if let Outcome::Answer(raw) = &outcome {
            let renewed = account.is_renewed();
            self.memory
                .account_mut(&account)
                .has_token(&raw.fingerprint, renewed, now);
        }
        // An App that is told to stop asking for tokens is not asked for one by the next process either.
        if let Outcome::NoToken(Trouble::Limited { until, detail, .. }) = &outcome {
            let silence = Silence {
                told: now,
                until: *until,
                why: detail.clone(),
            };
            // Nor for one of an installation that nobody has asked for yet.
            if let Some(app) = account.app() {
                self.memory.account_mut(&app).hush(silence.clone(), now);
            }
            self.memory.account_mut(&account).hush(silence, now);
        }
        match job {
            Sent::Hydrate {
                query,
                needed,
                full,
            } => {
                self.take_hydrate(&account, &query, needed, full, (outcome, sent), now);
            }
            Sent::Heads(heads) => self.take_heads(&account, &heads, outcome, now),
            Sent::Probe { probe, page, seen } => {
                self.take_probe(&account, probe, page, seen, outcome, now);
            }
            Sent::Place(one) => self.take_place(&account, &one, outcome, now),
            Sent::Compare(one, step) => self.take_comparison(&account, one, step, outcome, now),
            Sent::Name(repo) => self.take_name(&account, &repo, outcome, now),
        }
    }

    /// The round is over, whether or not everything was asked: what was not is unknown in this pass, for want of time,
    /// and as it was in the next one.
    pub fn end(mut self) -> Ended {
        let flying: Vec<u64> = self.flying.keys().copied().collect();
        let now = self.how.now;
        for id in flying {
            let outcome = Outcome::OutOfTime;
            self.take(
                Landed {
                    id,
                    outcome,
                    sent: 1,
                },
                now,
            );
        }
        let accounts: Vec<Account> = self.lanes.keys().cloned().collect();
        let gap = out_of_time();
        self.is_over = true;
        for account in accounts {
            for pool in [Pool::Rest, Pool::GraphQl] {
                if self.lane(&account).has_work(pool) {
                    let trouble = Trouble::Unanswered { gap: gap.clone() };
                    self.stop(&account, pool, &gap, trouble);
                }
            }
        }
        let silent = self.lanes.values_mut().find_map(|lane| {
            let gap = lane.last_gap.take()?;
            (!lane.answered).then_some(gap)
        });
        if let Some(gap) = silent {
            self.trouble(Trouble::Unanswered { gap });
        }
        let mut postponed = 0;
        for (account, lane) in &self.lanes {
            postponed += lane.postponed;
            if lane.postponed > 0 {
                self.memory.account_mut(account).postponed += lane.postponed;
            }
        }
        let answers = self
            .asks
            .iter()
            .map(|ask| self.memory.answer(ask, now))
            .collect();
        Ended {
            answers,
            usage: self.usage,
            trouble: self.trouble,
            postponed,
            memory: self.memory,
        }
    }

    /// Why nothing may be sent to `pool` for `account` at `now`, as far as this round knows; `None`: it may be.
    pub(crate) fn silent(&self, account: &Account, pool: Pool, now: Timestamp) -> Option<Silence> {
        self.memory.silent(account, pool, now)
    }

    fn lane(&mut self, account: &Account) -> &mut Lane {
        self.lanes.entry(account.clone()).or_default()
    }

    fn know_account(&mut self, repo: &Repo, account: &impl Fn(&str) -> Account) -> Account {
        let owner = repo.owner().to_ascii_lowercase();
        self.owners
            .entry(owner)
            .or_insert_with(|| account(repo.owner()))
            .clone()
    }

    fn account_of(&self, repo: &Repo) -> Account {
        self.owners
            .get(&repo.owner().to_ascii_lowercase())
            .cloned()
            .unwrap_or_else(Account::usual)
    }

    fn fly(&mut self, account: &Account, body: Body, job: Sent) -> Outgoing {
        let id = self.next_id;
        self.next_id += 1;
        let flight = Flight {
            account: account.clone(),
            job,
        };
        self.flying.insert(id, flight);
        Outgoing {
            id,
            account: account.clone(),
            body,
        }
    }

    /// Counts what a request cost that is not known to have been answered; what an answer cost is counted by whoever
    /// reads it.
    fn count(
        &mut self,
        account: &Account,
        job: &Sent,
        outcome: &Outcome,
        sent: u32,
        now: Timestamp,
    ) {
        if sent == 0 {
            return;
        }
        match job {
            Sent::Probe { .. } | Sent::Place(_) | Sent::Compare(..) | Sent::Name(_) => {
                self.usage.rest += sent;
                let recent = &mut self.memory.account_mut(account).recent;
                recent.sent(u64::from(sent), now);
            }
            Sent::Hydrate { .. } | Sent::Heads(_) => self.usage.requests += sent,
        }
        let guess = match job {
            Sent::Hydrate { query, .. } => crate::query::points(query),
            Sent::Heads(heads) => crate::query::points_of(heads.connections),
            Sent::Probe { .. } | Sent::Place(_) | Sent::Compare(..) | Sent::Name(_) => 0,
        };
        // GitHub may have worked on it, and charges for that.
        if !matches!(outcome, Outcome::Answer(_)) {
            self.charge(account, guess, now);
        }
    }

    /// GitHub was given work to do and gave no answer: it charges for that, and tells nobody.
    fn charge(&mut self, account: &Account, points: u32, now: Timestamp) {
        if points > 0 {
            self.usage.points += points;
            let memory = self.memory.account_mut(account);
            memory
                .graphql
                .spend(u64::from(points), Meter::default(), now);
        }
    }

    /// The first trouble is the one that is told.
    fn trouble(&mut self, trouble: Trouble) {
        self.trouble.get_or_insert(trouble);
    }
}
