//! Passes over a fleet, as `vigil run` makes them: find out what changed, ask what has to be known, store both.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use vigil_core::forge::{Issue, PullRequest};
use vigil_core::{Fact, Timestamp};
use vigil_github::budget::Shares;
use vigil_github::memory::{Change, Doubt, IDLE_MAX, Memory};
use vigil_github::round::{Ended, How, Round, Scan};
use vigil_github::{Answer, Ask, GitHub, Repo, Settings, Tokens, Trouble, Usage, Wants};
use vigil_model::{Handle, Model, Server, Tally};

use super::truth::{self, as_far_as, comparable, stateless, where_they_differ};
use crate::support::*;

/// From one pass to the next.
pub(super) const MINUTE: Duration = Duration::from_secs(60);

/// Longer than any pass here takes.
const PATIENCE: Duration = Duration::from_secs(120);

/// Sessions, what is known about them, and the GitHub that they are on.
pub(super) struct Fleet {
    pub(super) server: Handle,
    pub(super) asks: Vec<Ask>,
    pub(super) memory: Memory,
    pub(super) shares: Shares,
    pub(super) resync: Option<Duration>,
    /// How long a pass may take.
    pub(super) deadline: Duration,
    github: GitHub,
    clock: Arc<AtomicU64>,
    /// The rows that a store would hold.
    pub(super) rows: BTreeMap<(String, String), String>,
    /// What was known about each session at the last pass that looked at it, and when that was.
    last: Vec<Option<(Answer, Timestamp)>>,
}

/// What a pass came to.
#[derive(Debug)]
pub(super) struct Pass {
    /// One for each session, whether or not it was looked at.
    pub(super) answers: Vec<Answer>,
    /// The sessions that were looked at.
    pub(super) at: Vec<usize>,
    pub(super) trouble: Option<Trouble>,
    pub(super) usage: Usage,
    pub(super) postponed: u32,
}

impl Pass {
    /// The kinds of all issues and pull requests, each once.
    pub(super) fn kinds(&self) -> Vec<&str> {
        kinds_of(&self.answers)
    }

    pub(super) fn issue(&self, at: usize) -> &Issue {
        match &self.answers[at].issue {
            Fact::Found(issue) => issue,
            other => panic!("session {at}: {other:?}"),
        }
    }

    pub(super) fn pull(&self, at: usize) -> &PullRequest {
        match &self.answers[at].pull_request {
            Fact::Found(pull) => pull,
            other => panic!("session {at}: {other:?}"),
        }
    }

    /// The kinds of issue and pull request of one session.
    pub(super) fn pair(&self, at: usize) -> (&str, &str) {
        let answer = &self.answers[at];
        (kind(&answer.issue), kind(&answer.pull_request))
    }

    /// Requests of both kinds.
    pub(super) fn requests(&self) -> u32 {
        self.usage.requests + self.usage.rest
    }
}

/// Whether it is unknown because the pass had no time to ask.
pub(super) fn is_out_of_time<T>(fact: &Fact<T>) -> bool {
    let gap = match fact {
        Fact::Unknown(gap) => gap,
        Fact::Found(_) | Fact::Absent(_) | Fact::NotAsked => return false,
    };
    gap.detail == "the time for asking GitHub was up"
}

/// A GitHub whose clock is turned by hand.
pub(super) fn serve_by(model: Model, clock: &Arc<AtomicU64>) -> Handle {
    let clock = clock.clone();
    let address = ([127, 0, 0, 1], 0).into();
    Server::start_with(
        model,
        address,
        Arc::new(move || clock.load(Ordering::SeqCst)),
    )
    .expect("a port on loopback")
}

impl Fleet {
    /// With the valid token.
    pub(super) fn new(model: Model, asks: Vec<Ask>) -> Fleet {
        Fleet::with_tokens(model, asks, tokens(TOKEN))
    }

    pub(super) fn with_tokens(model: Model, asks: Vec<Ask>, tokens: Arc<dyn Tokens>) -> Fleet {
        let clock = Arc::new(AtomicU64::new(NOW.0));
        Fleet::with_settings(model, asks, &clock, |url| settings(url, tokens))
    }

    pub(super) fn with_settings(
        model: Model,
        asks: Vec<Ask>,
        clock: &Arc<AtomicU64>,
        settings: impl FnOnce(&str) -> Settings,
    ) -> Fleet {
        let mut model = model;
        model.set_now(clock.load(Ordering::SeqCst));
        let server = serve_by(model, clock);
        let github = GitHub::new(settings(&server.rest_url())).expect("settings");
        let last = vec![None; asks.len()];
        Fleet {
            server,
            asks,
            memory: Memory::default(),
            // All of it, so that only the tests of the budget meet it.
            shares: Shares {
                reserve: 0,
                own: 100,
            },
            resync: None,
            deadline: PATIENCE,
            github,
            clock: clock.clone(),
            rows: BTreeMap::new(),
            last,
        }
    }

    /// Sessions of one repository with an open issue and an open pull request each: the odd ones by branch, the even
    /// ones by number.
    pub(super) fn of(count: u64, repos: u64) -> Fleet {
        let (model, asks) = mixed(count, repos);
        Fleet::new(model, asks)
    }

    /// One more session.
    pub(super) fn watch(&mut self, ask: Ask) {
        self.asks.push(ask);
        self.last.push(None);
    }

    /// One session less.
    pub(super) fn leave(&mut self, at: usize) {
        self.asks.remove(at);
        self.last.remove(at);
    }

    /// From the next look on, which comes with the next pass, a session's policies want `wants`.
    pub(super) fn wants(&mut self, at: usize, wants: Wants) {
        self.asks[at].wants = wants;
        self.last[at] = None;
    }

    pub(super) fn now(&self) -> Timestamp {
        Timestamp(self.clock.load(Ordering::SeqCst))
    }

    /// Turns the clock of both sides on.
    pub(super) fn wait(&self, span: Duration) {
        let ms = u64::try_from(span.as_millis()).expect("a span");
        let now_ms = self.clock.fetch_add(ms, Ordering::SeqCst) + ms;
        self.server.with(|model| model.set_now(now_ms));
    }

    /// Changes GitHub.
    pub(super) fn change(&self, change: impl FnOnce(&mut Model)) {
        let now_ms = self.now().0;
        self.server.with(|model| {
            model.set_now(now_ms);
            change(model);
        });
    }

    pub(super) fn tally(&self) -> Tally {
        self.server.with(|model| model.tally().clone())
    }

    /// Another process, with other settings, that knows what is stored.
    pub(super) fn settle_for(&mut self, settings: Settings) {
        self.github = GitHub::new(settings).expect("settings");
    }

    /// Gives a request so much time, and no more.
    pub(super) fn patience(&mut self, request_timeout: Duration) {
        let mut settings = settings(&self.server.rest_url(), tokens(TOKEN));
        settings.request_timeout = request_timeout;
        self.settle_for(settings);
    }

    fn how(&self) -> How {
        How {
            now: self.now(),
            interval: MINUTE,
            shares: self.shares,
            resync: self.resync,
        }
    }

    /// A pass in a while.
    pub(super) async fn after(&mut self, span: Duration) -> Pass {
        self.wait(span);
        self.pass().await
    }

    /// A pass now, and what holds for every one of them.
    pub(super) async fn pass(&mut self) -> Pass {
        let now = self.now();
        let scanned = self.scan().await;
        let due: Vec<usize> = (0..self.asks.len()).filter(|at| self.is_due(*at)).collect();
        let asks: Vec<Ask> = due.iter().map(|at| self.asks[*at].clone()).collect();
        let asked = self.ask(asks, Doubt::Little).await;
        for (at, answer) in due.iter().zip(&asked.answers) {
            assert_eq!(*answer, self.memory.answer(&self.asks[*at], now));
        }
        let answers: Vec<Answer> = self
            .asks
            .iter()
            .map(|ask| self.memory.answer(ask, now))
            .collect();
        for (at, answer) in due.iter().map(|at| (*at, &answers[*at])) {
            self.last[at] = Some((answer.clone(), now));
        }
        self.nobody_overlooked(&answers);
        self.rows_hold_it_all(&answers);
        self.manners();
        Pass {
            answers,
            at: due,
            trouble: scanned.trouble.or(asked.trouble),
            usage: Usage {
                requests: scanned.usage.requests + asked.usage.requests,
                rest: scanned.usage.rest + asked.usage.rest,
                unchanged: scanned.usage.unchanged + asked.usage.unchanged,
                points: scanned.usage.points + asked.usage.points,
                meter: asked.usage.meter.or(scanned.usage.meter),
            },
            postponed: scanned.postponed + asked.postponed,
        }
    }

    /// Judges one session with facts that are read for it alone now, as a pass does before it moves one.
    pub(super) async fn confirm(&mut self, at: usize) {
        let ended = self.ask(vec![self.asks[at].clone()], Doubt::Move).await;
        let answer = ended.answers.into_iter().next().expect("an answer");
        self.last[at] = Some((answer, self.now()));
    }

    /// Passes, one a minute, until `done` says so; panics after `most`.
    pub(super) async fn until(&mut self, most: u32, done: impl Fn(&Pass) -> bool) -> Pass {
        for _ in 0..most {
            let pass = self.after(MINUTE).await;
            if done(&pass) {
                return pass;
            }
        }
        panic!("not within {most} minutes");
    }

    /// Passes until everything that is known is what GitHub says; the back-off must suffice for that.
    pub(super) async fn until_learned(&mut self) -> Pass {
        self.learned_within(IDLE_MAX).await
    }

    /// Passes until everything that is known is what GitHub says, for so long at most.
    pub(super) async fn learned_within(&mut self, span: Duration) -> Pass {
        let most = span.as_secs() / 60 + 1;
        let mut difference = String::new();
        for _ in 0..most {
            let pass = self.after(MINUTE).await;
            match self.difference(&pass) {
                None => return pass,
                Some(found) => difference = found,
            }
        }
        panic!("not learned within {most} minutes: {difference}");
    }

    /// A session is looked at that was never looked at, that something was announced about, or of which something is
    /// not known.
    fn is_due(&self, at: usize) -> bool {
        let now = self.now();
        let ask = &self.asks[at];
        self.last[at].as_ref().is_none_or(|(last, judged)| {
            last.issue.is_unknown()
                || last.pull_request.is_unknown()
                || self.memory.is_touched(&ask.lookup, ask.wants, *judged, now)
        })
    }

    /// Finds out what changed.
    pub(super) async fn scan(&mut self) -> Ended {
        let mut repos: Vec<Repo> = Vec::new();
        for repo in self.asks.iter().flat_map(Ask::repos) {
            if !repos.contains(&repo) {
                repos.push(repo);
            }
        }
        let memory = std::mem::take(&mut self.memory);
        let account = |owner: &str| self.github.account(owner);
        let round = Round::scan(memory, &repos, Scan::Due, account, self.how());
        self.work(round).await
    }

    /// Asks what has to be known.
    pub(super) async fn ask(&mut self, asks: Vec<Ask>, doubt: Doubt) -> Ended {
        let memory = std::mem::take(&mut self.memory);
        let account = |owner: &str| self.github.account(owner);
        let round = Round::ask(memory, asks, doubt, account, self.how());
        self.work(round).await
    }

    async fn work(&mut self, mut round: Round) -> Ended {
        let now = self.now();
        self.github
            .work(&mut round, now, self.deadline, self.deadline)
            .await;
        let mut ended = round.end();
        let mut memory = std::mem::take(&mut ended.memory);
        self.store(memory.take_changes());
        self.memory = memory;
        ended
    }

    /// Works on what has to be asked until `enough`, and loses everything that is not stored.
    pub(super) async fn crash_when(&mut self, enough: impl Fn(&Tally) -> bool) {
        let memory = std::mem::take(&mut self.memory);
        let account = |owner: &str| self.github.account(owner);
        let asks = self.asks.clone();
        let mut round = Round::ask(memory, asks, Doubt::Little, account, self.how());
        let now = self.now();
        let slice = Duration::from_millis(1);
        while self
            .github
            .work(&mut round, now, slice, self.deadline)
            .await
        {
            let changes = round.take_changes();
            self.store(changes);
            if enough(&self.tally()) {
                break;
            }
        }
        drop(round);
        self.restart();
    }

    fn store(&mut self, changes: Vec<Change>) {
        for Change { repo, name, value } in changes {
            match value {
                Some(value) => self.rows.insert((repo, name), value),
                None => self.rows.remove(&(repo, name)),
            };
        }
    }

    /// What another process reads from the store.
    pub(super) fn stored(&self) -> Memory {
        let rows = self
            .rows
            .iter()
            .map(|((repo, name), value)| (repo.as_str(), name.as_str(), value.as_str()));
        let (memory, unreadable) = Memory::read(rows);
        assert_eq!(unreadable, 0);
        memory
    }

    /// The process begins anew.
    pub(super) fn restart(&mut self) {
        self.memory = self.stored();
        self.last = vec![None; self.asks.len()];
    }

    /// Whatever is known otherwise than when the session was looked at is told at the next look: else nobody would judge
    /// it.
    fn nobody_overlooked(&self, answers: &[Answer]) {
        for (at, (answer, last)) in answers.iter().zip(&self.last).enumerate() {
            let (last, _) = last.as_ref().expect("looked at once");
            if comparable(answer) != comparable(last) {
                // Not to know any more is news that the next look brings.
                let unknown = answer.issue.is_unknown() || answer.pull_request.is_unknown();
                assert!(
                    unknown || self.is_due(at),
                    "session {at} was not looked at: {last:?} became {answer:?}"
                );
            }
        }
    }

    /// Another process that reads the rows gives the same answers. What this one had no time for is unknown to it alone.
    fn rows_hold_it_all(&self, answers: &[Answer]) {
        let stored = self.stored();
        for (ask, answer) in self.asks.iter().zip(answers) {
            let other = stored.answer(ask, self.now());
            if !is_out_of_time(&answer.issue) {
                assert_eq!(other.issue, answer.issue);
            }
            if !is_out_of_time(&answer.pull_request) {
                assert_eq!(other.pull_request, answer.pull_request);
            }
        }
    }

    /// One query and four probes at a time, none longer than GitHub answers, and silence when told.
    fn manners(&self) {
        let tally = self.tally();
        assert_eq!(tally.while_limited, 0, "{tally:?}");
        assert_eq!(tally.over_long, 0, "{tally:?}");
        assert!(tally.graphql_at_once_max <= 1, "{tally:?}");
        assert!(tally.rest_at_once_max <= 4, "{tally:?}");
    }

    /// What GitHub says about every session when it is asked for everything, without a fault and without a socket.
    pub(super) fn truth(&self) -> Vec<Answer> {
        let model = self.server.with(|model| model.clone());
        truth::full_read(model, self.asks.clone(), self.how())
    }

    /// What is claimed in `pass` and is not so; `None`: every answer is what GitHub says.
    pub(super) fn difference(&self, pass: &Pass) -> Option<String> {
        let truth = self.truth();
        let pairs = pass.answers.iter().zip(&truth).enumerate();
        pairs.into_iter().find_map(|(at, (known, truth))| {
            let (known, truth) = (comparable(known), comparable(truth));
            let same = known == as_far_as(&known, truth.clone());
            (!same).then(|| format!("session {at}: {}", where_they_differ(&known, &truth)))
        })
    }

    /// Whatever is claimed in `pass` is so; not to know is allowed.
    pub(super) fn nothing_false(&self, pass: &Pass) {
        let truth = self.truth();
        for (at, (known, truth)) in pass.answers.iter().zip(&truth).enumerate() {
            let (mut known, mut truth) = (comparable(known), comparable(truth));
            // What something names may have moved on, which is not known before that itself is read.
            for answer in [&mut known, &mut truth] {
                stateless(answer);
            }
            if !known.issue.is_unknown() {
                assert_eq!(known.issue, truth.issue, "session {at}");
            }
            let truth = as_far_as(&known, truth);
            if let (Fact::Found(known), Fact::Found(truth)) =
                (&mut known.pull_request, &truth.pull_request)
                && known.checks.is_unknown()
            {
                known.checks.clone_from(&truth.checks);
            }
            if !known.pull_request.is_unknown() {
                assert_eq!(known.pull_request, truth.pull_request, "session {at}");
            }
        }
    }

    /// Every answer of `pass` is what GitHub says.
    pub(super) fn all_true(&self, pass: &Pass) {
        assert_eq!(self.difference(pass), None);
    }
}

/// `count` open issues in as many repositories as `repos`, `acme/app-0` and on, each with an open pull request: number
/// `n + 100,000` on branch `vigilante/issue-n`. Sessions with odd numbers look by branch, the others by number.
pub(super) fn mixed(count: u64, repos: u64) -> (Model, Vec<Ask>) {
    let (model, mut asks) = fleet(count, repos);
    for (n, ask) in (1..=count).zip(&mut asks) {
        if n % 2 == 0 {
            let repo = format!("acme/app-{}", n % repos);
            *ask = by_number(&repo, n, n + 100_000, ALL);
        }
    }
    (model, asks)
}
