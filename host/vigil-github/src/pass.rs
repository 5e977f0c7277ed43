//! One call of [`GitHub::ask`]: sends queries until everything is answered, or until there is a reason to stop.

use std::collections::{HashMap, VecDeque};

use vigil_core::session::PullRequestRef;
use vigil_core::{Fact, Gap, GapKind, Timestamp};

use crate::ask::{Answer, Ask};
use crate::choose::{Candidates, More, Wanted, choose};
use crate::convert::{only_parts, only_parts_of_issue};
use crate::github::{Clock, GitHub, Sent};
use crate::learn::{Answered, Finding};
use crate::plan::{Question, Target, groups, issue_target, pull_request_target};
use crate::query::{Query, points};
use crate::reply::{Reply, Trouble, Usage};
use crate::tokens::{Account, Token};

/// Unanswered queries in a row after which the call gives up. Taking 25 sessions apart down to the question that GitHub
/// cannot answer takes up to seven, and its neighbours may be as bad; beyond that it is no single session's fault.
const UNANSWERED_MAX: u32 = 10;

/// However badly it goes, the queries that have not been tried yet keep at least this many sessions: one session that
/// GitHub cannot answer must not make each of a thousand others a query of its own.
const BATCH_MIN: usize = 10;

/// How many queries beyond the planned ones a call may send to take apart what was too much: so many for each planned
/// one, and some. A GitHub that can answer next to nothing at once is asked again in the next pass, not in this one.
const SPARE_PER_QUERY: usize = 8;
const SPARE: usize = 16;

/// Pages of one branch beyond the first. With [`BRANCH_PAGE`](crate::query::BRANCH_PAGE) that makes 260 pull requests;
/// a branch name with more is not an agent's.
const PAGES_FURTHER_MAX: usize = 5;

/// One call.
pub(crate) struct Pass<'a> {
    github: &'a GitHub,
    asks: &'a [Ask],
    /// Who asks.
    account: Account,
    clock: Clock,
    not_before: Option<Timestamp>,
    /// Queries to send first: halves, pages, and what got lost.
    next: VecDeque<Vec<Question>>,
    /// Sessions that have not been tried yet.
    waiting: VecDeque<Vec<Question>>,
    /// Sessions in a query that has not been tried yet.
    batch: usize,
    known: HashMap<Target, Finding>,
    pages: HashMap<Target, usize>,
    /// Queries that may still be sent again in parts.
    spare: usize,
    usage: Usage,
    trouble: Option<Trouble>,
    limited_until: Option<Timestamp>,
    unanswered_in_a_row: u32,
    /// The latest gap that a query left, and whether any was answered.
    last_gap: Option<Gap>,
    answered: bool,
    /// The token was read again in this call.
    refreshed: bool,
}

impl<'a> Pass<'a> {
    pub(crate) fn new(
        github: &'a GitHub,
        asks: &'a [Ask],
        clock: Clock,
        not_before: Option<Timestamp>,
    ) -> Self {
        let waiting: VecDeque<_> = groups(asks).into();
        Pass {
            github,
            asks,
            account: github.tokens.account(asks.first().map_or("", owner)),
            clock,
            not_before,
            next: VecDeque::new(),
            spare: SPARE + SPARE_PER_QUERY * waiting.len().div_ceil(github.batch),
            waiting,
            batch: github.batch,
            known: HashMap::new(),
            pages: HashMap::new(),
            usage: Usage::default(),
            trouble: None,
            limited_until: None,
            unanswered_in_a_row: 0,
            last_gap: None,
            answered: false,
            refreshed: false,
        }
    }

    pub(crate) async fn run(mut self) -> Reply {
        if let Err(stop) = self.ask_all().await {
            let left: Vec<_> = self
                .next
                .drain(..)
                .chain(self.waiting.drain(..))
                .flatten()
                .collect();
            for question in left {
                self.miss(&question, &stop.gap);
            }
            self.trouble = Some(stop.trouble);
        } else if let (false, Some(gap)) = (self.answered, self.last_gap.take()) {
            self.trouble = Some(Trouble::Unanswered { gap });
        }
        let answers = self
            .asks
            .iter()
            .map(|ask| answer(ask, &self.known, self.clock.wall))
            .collect();
        Reply {
            answers,
            usage: self.usage,
            trouble: self.trouble,
            limited_until: self.limited_until,
        }
    }

    async fn ask_all(&mut self) -> Result<(), Box<Stop>> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let mut token = self.token().await?;
        while let Some(batch) = self.take_batch() {
            let query = Query::new(batch);
            if let Some(fresh) = self.ask_one(query, &token).await? {
                token = fresh;
            }
        }
        Ok(())
    }

    fn take_batch(&mut self) -> Option<Vec<Question>> {
        self.next.pop_front().or_else(|| {
            let count = self.batch.min(self.waiting.len());
            let batch: Vec<_> = self.waiting.drain(..count).flatten().collect();
            (!batch.is_empty()).then_some(batch)
        })
    }

    /// Sends one query and deals with what comes. A token is returned when the one in use was rejected and another
    /// was found; the query then waits to be sent again.
    async fn ask_one(&mut self, query: Query, token: &Token) -> Result<Option<Token>, Box<Stop>> {
        let mut sent = self.send(&query, token).await;
        if matches!(sent, Sent::Broken(_)) {
            // A kept connection may have died of old age. Reading twice does no harm.
            sent = self.send(&query, token).await;
        }
        let questions = query.questions;
        let stop = match sent {
            Sent::Answered(answered) => {
                self.take(answered);
                return Ok(None);
            }
            Sent::Overloaded(gap) => return self.unanswered(questions, gap, true).map(|()| None),
            Sent::Lost(gap) => return self.unanswered(questions, gap, false).map(|()| None),
            Sent::TokenRejected => match self.other_token(token).await {
                Ok(other) => {
                    self.next.push_front(questions);
                    return Ok(Some(other));
                }
                Err(stop) => stop,
            },
            Sent::Silent(until, detail) => self.limited(until, detail),
            Sent::StillSilent(until, why) => self.limited(until, why),
            Sent::Refused(gap) => Box::new(Stop {
                trouble: Trouble::Refused {
                    detail: gap.detail.clone(),
                },
                gap,
            }),
            Sent::OutOfTime | Sent::NoTime => out_of_time(),
            Sent::NoConnection(gap) | Sent::Broken(gap) => Stop::unanswered(gap),
        };
        self.next.push_front(questions);
        Err(stop)
    }

    /// Sends, and counts what that cost.
    async fn send(&mut self, query: &Query, token: &Token) -> Sent {
        let sent = self
            .github
            .send(query, token, self.clock, self.not_before)
            .await;
        let (requests, cost) = match &sent {
            Sent::Answered(answered) => (1, answered.cost.unwrap_or_else(|| points(query))),
            // GitHub may have worked on it, and charges for that.
            Sent::Overloaded(_) | Sent::Lost(_) | Sent::Broken(_) | Sent::OutOfTime => {
                (1, points(query))
            }
            Sent::TokenRejected | Sent::Refused(_) | Sent::Silent(..) => (1, 0),
            Sent::NoConnection(_) | Sent::StillSilent(..) | Sent::NoTime => (0, 0),
        };
        self.usage.requests += requests;
        self.usage.points += cost;
        tracing::debug!(
            outcome = sent.name(),
            questions = query.questions.len(),
            points = cost,
            "GitHub asked"
        );
        sent
    }

    /// The token to begin with.
    async fn token(&self) -> Result<Token, Box<Stop>> {
        let looked = self.github.tokens.token(&self.account);
        match tokio::time::timeout_at(self.clock.deadline, looked).await {
            Err(_) => Err(out_of_time()),
            Ok(Ok(token)) => Ok(token),
            Ok(Err(none)) => Err(Box::new(Stop {
                gap: none.gap(),
                trouble: none.into(),
            })),
        }
    }

    /// Another token in place of a rejected one, once in a call: it may have been renewed since it was read.
    async fn other_token(&mut self, rejected: &Token) -> Result<Token, Box<Stop>> {
        if !self.refreshed {
            self.refreshed = true;
            let looked = self.github.tokens.refresh(&self.account);
            let looked = tokio::time::timeout_at(self.clock.deadline, looked).await;
            // The same one would be rejected again, and rejections are counted at GitHub's end.
            if let Ok(Ok(token)) = looked
                && token.differs_from(rejected)
            {
                return Ok(token);
            }
        }
        let trouble = Trouble::TokenRejected {
            origin: rejected.origin.clone(),
        };
        Err(Box::new(Stop {
            gap: Gap::new(GapKind::Unauthenticated, trouble.to_string()),
            trouble,
        }))
    }

    fn limited(&mut self, until: Timestamp, detail: String) -> Box<Stop> {
        self.limited_until = Some(until);
        let trouble = Trouble::Limited { until, detail };
        let gap = Gap::new(GapKind::RateLimited, trouble.to_string());
        Box::new(Stop { gap, trouble })
    }

    /// Deals with a query that was not answered: its halves are tried next where that may help, else its questions
    /// stay unknown.
    fn unanswered(
        &mut self,
        questions: Vec<Question>,
        gap: Gap,
        halve: bool,
    ) -> Result<(), Box<Stop>> {
        self.unanswered_in_a_row += 1;
        if self.unanswered_in_a_row >= UNANSWERED_MAX {
            self.next.push_front(questions);
            return Err(Stop::unanswered(gap));
        }
        if halve && questions.len() > 1 {
            self.halve(questions, &gap);
            return Ok(());
        }
        for question in &questions {
            self.miss(question, &gap);
        }
        // When nothing else is ever answered, this is what went wrong.
        self.last_gap = Some(gap);
        Ok(())
    }

    /// Puts both halves of `questions` before everything else, and makes later queries smaller.
    fn halve(&mut self, mut questions: Vec<Question>, gap: &Gap) {
        let second = questions.split_off(questions.len().div_ceil(2));
        self.again(second, gap);
        self.again(questions, gap);
        self.batch = (self.batch / 2).max(BATCH_MIN).min(self.batch);
    }

    /// Puts `questions` before everything else, as far as the call may still send more than was planned.
    fn again(&mut self, questions: Vec<Question>, gap: &Gap) {
        if questions.is_empty() {
            return;
        }
        if self.spare > 0 {
            self.spare -= 1;
            self.next.push_front(questions);
            return;
        }
        for question in &questions {
            self.miss(question, gap);
        }
        self.last_gap = Some(gap.clone());
    }

    /// Keeps what an answer taught, and lines up what it left open.
    fn take(&mut self, answered: Answered) {
        self.unanswered_in_a_row = 0;
        self.answered = true;
        self.usage.meter = answered.meter.or(self.usage.meter);
        let empty = answered.meter.empty_until(self.clock.now());
        self.limited_until = empty.or(self.limited_until);
        let settled = answered.findings.len();
        let mut pages = Vec::new();
        for (question, finding) in answered.findings {
            match finding {
                Finding::Branch(page) => pages.extend(self.take_page(question, page)),
                finding => {
                    self.known.insert(question.target, finding);
                }
            }
        }
        pages.extend(answered.more);
        if !pages.is_empty() {
            self.next.push_back(pages);
        }
        let gap = Gap::new(
            GapKind::TooLarge,
            "GitHub's budget for one query did not suffice",
        );
        // Where most were answered, the others are innocent ones that got lost with another, and fit without it.
        if answered.again.len() <= settled {
            self.again(answered.again, &gap);
        } else {
            self.halve(answered.again, &gap);
        }
    }

    /// Keeps a page of a branch's pull requests, and returns the question for the next one where it is needed.
    fn take_page(&mut self, question: Question, page: Candidates) -> Option<Question> {
        let target = question.target.clone();
        let list = match self.known.remove(&target) {
            Some(Finding::Branch(mut earlier)) => {
                earlier.known.extend(page.known);
                earlier.more = page.more;
                earlier
            }
            _ => page,
        };
        let further = match &list.more {
            More::After(cursor) if self.needs_more(&target, &list) => Some(cursor.clone()),
            _ => None,
        };
        self.known.insert(target.clone(), Finding::Branch(list));
        let after = further?;
        let pages = self.pages.entry(target.clone()).or_default();
        *pages += 1;
        if *pages > PAGES_FURTHER_MAX {
            let gap = Gap::new(
                GapKind::TooLarge,
                format!("there are too many {target} to look through"),
            );
            self.miss(&question, &gap);
            return None;
        }
        Some(Question {
            after: Some(after),
            ..question
        })
    }

    /// Whether some session's answer depends on what comes after `list`.
    fn needs_more(&self, target: &Target, list: &Candidates) -> bool {
        self.asks.iter().any(|ask| {
            pull_request_target(ask).and_then(Result::ok).as_ref() == Some(target)
                && wanted(ask, self.clock.wall).is_some_and(|wanted| choose(list, wanted).is_none())
        })
    }

    /// A question stays unanswered. What is known already of the list that it asks for stays known.
    fn miss(&mut self, question: &Question, gap: &Gap) {
        match self.known.get_mut(&question.target) {
            Some(Finding::Branch(list)) => list.more = More::Lost(gap.clone()),
            _ => {
                let finding = Finding::gap(&question.target, gap.clone());
                self.known.insert(question.target.clone(), finding);
            }
        }
    }
}

/// Who owns the repository that `ask` is about; empty: nothing is asked.
fn owner(ask: &Ask) -> &str {
    let issue = ask.lookup.issue.as_ref().ok();
    let pull = ask.lookup.pull_request.as_ref().ok();
    let repo = issue.map(|issue| issue.repo.as_str()).or_else(|| {
        pull.map(|pull| match pull {
            PullRequestRef::Number { repo, .. } | PullRequestRef::Branch { repo, .. } => {
                repo.as_str()
            }
        })
    });
    repo.and_then(|repo| repo.split('/').next())
        .unwrap_or_default()
}

/// Why no further query is sent in this call.
struct Stop {
    /// What everything that was not asked becomes.
    gap: Gap,
    trouble: Trouble,
}

impl Stop {
    fn unanswered(gap: Gap) -> Box<Self> {
        Box::new(Stop {
            trouble: Trouble::Unanswered { gap: gap.clone() },
            gap,
        })
    }
}

fn out_of_time() -> Box<Stop> {
    Stop::unanswered(Gap::new(
        GapKind::TimedOut,
        "the time for asking GitHub was up",
    ))
}

/// What is known becomes the answer about one session. Pure.
fn answer(ask: &Ask, known: &HashMap<Target, Finding>, observed: Timestamp) -> Answer {
    Answer {
        issue: match issue_target(ask) {
            None => Fact::NotAsked,
            Some(Err(gap)) => Fact::Unknown(gap),
            Some(Ok(target)) => match known.get(&target) {
                Some(Finding::Issue(issue)) => issue
                    .fact
                    .clone()
                    .map(|issue| only_parts_of_issue(issue, ask.wants.parts)),
                _ => lost(&target),
            },
        },
        pull_request: match pull_request_target(ask) {
            None => Fact::NotAsked,
            Some(Err(gap)) => Fact::Unknown(gap),
            Some(Ok(target)) => {
                let found = match (known.get(&target), wanted(ask, observed)) {
                    (Some(Finding::PullRequest(pr)), _) => pr.fact.clone(),
                    (Some(Finding::Branch(list)), Some(wanted)) => {
                        choose(list, wanted).unwrap_or_else(|| lost(&target))
                    }
                    _ => lost(&target),
                };
                found.map(|pr| only_parts(pr, ask.wants.parts))
            }
        },
    }
}

/// Whose pull request `ask` looks for; `None`: it does not look by branch.
fn wanted(ask: &Ask, observed: Timestamp) -> Option<Wanted<'_>> {
    match &ask.lookup.pull_request {
        Ok(PullRequestRef::Branch {
            repo, head_owner, ..
        }) => Some(Wanted {
            base_owner: repo.split('/').next().unwrap_or_default(),
            head_owner,
            started: ask.started,
            observed,
        }),
        _ => None,
    }
}

/// Every question ends in a finding; should one not, its fact is unknown all the same.
fn lost<T>(target: &Target) -> Fact<T> {
    Fact::unknown(
        GapKind::Malformed,
        format!("the answer about {target} got lost"),
    )
}
