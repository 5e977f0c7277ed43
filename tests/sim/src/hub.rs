//! The model GitHub of a simulation: what is there, what changes, what goes wrong, and the asking in process through
//! vigil's own plan and its own reading of answers.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use vigil_core::session::PullRequestRef;
use vigil_core::{Fact, Gap, GapKind, Timestamp};
use vigil_github::ask::{Answer, Ask};
use vigil_github::choose::{Candidates, More, Wanted, choose};
use vigil_github::learn::{Finding, Learned, Received, learn};
use vigil_github::{Query, Question, Reply, Repo, Target, Trouble, Usage, plan};
use vigil_model::{Delivery, ErrorType, Fault, FieldFault, Forbidden, Model, Request, Scope};

use crate::cast::{Member, REPOS};
use crate::rng::Rng;

const TOKEN: &str = "sim-token";

/// Sessions in one query: few, so that even a small cast needs several.
const BATCH: usize = 3;

/// How long a request that hangs is waited for.
const HANG: Duration = Duration::from_secs(10);

/// Pages of one branch beyond the first, as in the product.
const PAGES_FURTHER_MAX: usize = 5;

/// GitHub.
#[derive(Debug)]
pub struct Hub {
    /// What is there.
    pub model: Model,
    /// Repositories that nobody can see at present.
    hidden: HashSet<String>,
    /// Something is wrong until [`Hub::heal`].
    pub is_ill: bool,
}

impl Hub {
    /// A GitHub in which each of `members` has its issue, and some have a pull request.
    pub fn new(members: &[Member], now: Timestamp, rng: &mut Rng) -> Self {
        let mut model = Model::new(now.0);
        model.token(TOKEN);
        let mut hub = Hub {
            model,
            hidden: HashSet::new(),
            is_ill: false,
        };
        for repo in REPOS {
            hub.model.repo(repo).issue(1);
        }
        for member in members {
            hub.found(member, now, rng);
        }
        hub
    }

    fn found(&mut self, member: &Member, now: Timestamp, rng: &mut Rng) {
        let ago = |rng: &mut Rng| now.0 - rng.below(700) * 60_000;
        if !rng.chance(8) {
            let at = ago(rng);
            let issue = self
                .model
                .repo(&member.repo)
                .issue(member.issue)
                .created_at(at);
            let issue = match rng.below(6) {
                0 => issue.closed_at("completed", ago(rng)),
                1 => issue.closed_at("not_planned", ago(rng)),
                _ => issue,
            };
            if rng.chance(15) {
                issue.label("vigilante:done");
            }
        }
        if rng.chance(55) {
            self.open_pull(member, ago(rng));
            let at = ago(rng);
            self.end_pull(member, at, rng);
        }
    }

    fn open_pull(&mut self, member: &Member, at: u64) {
        self.model
            .repo(&member.repo)
            .pull(member.pull)
            .head(&member.branch)
            .head_owner(&member.head_owner)
            .created_at(at)
            .closes(member.issue);
    }

    fn end_pull(&mut self, member: &Member, at: u64, rng: &mut Rng) {
        let is_open = self
            .model
            .look(&member.repo, member.pull)
            .is_some_and(|pull| pull.closed_ms.is_none());
        if !is_open {
            return;
        }
        let pull = self.model.repo(&member.repo).pull(member.pull);
        match rng.below(5) {
            0 | 1 => drop(pull.merged_at(at)),
            2 => drop(pull.closed_at(at)),
            _ => {}
        }
    }

    /// Something happens at GitHub.
    pub fn live_on(&mut self, members: &[Member], now: Timestamp, rng: &mut Rng) {
        self.model.set_now(now.0);
        let Some(member) = members.get(rng.place(members.len())) else {
            return;
        };
        let has_issue = self.model.look(&member.repo, member.issue).is_some();
        let has_pull = self.model.look(&member.repo, member.pull).is_some();
        match rng.below(10) {
            0 if has_issue => drop(self.issue(member).closed("completed")),
            1 if has_issue => drop(self.issue(member).closed("not_planned")),
            2 if has_issue => drop(self.issue(member).reopened()),
            3 if has_issue => drop(self.issue(member).label("vigilante:done")),
            4 if has_issue => drop(self.issue(member).unlabel("vigilante:done")),
            5 if has_issue => drop(self.issue(member).deleted()),
            6 if !has_pull => self.open_pull(member, now.0),
            7 | 8 => self.end_pull(member, now.0, rng),
            9 if has_pull => drop(self.model.repo(&member.repo).pull(member.pull).reopened()),
            _ => {}
        }
    }

    fn issue(&mut self, member: &Member) -> vigil_model::IssueEdit<'_> {
        self.model.repo(&member.repo).issue(member.issue)
    }

    /// Something goes wrong with GitHub.
    pub fn fall_ill(&mut self, members: &[Member], rng: &mut Rng) {
        self.is_ill = true;
        let number = members.get(rng.place(members.len())).map(|member| {
            if rng.chance(50) {
                member.issue
            } else {
                member.pull
            }
        });
        let error = *rng.pick(&[
            ErrorType::Forbidden,
            ErrorType::ResourceLimitsExceeded,
            ErrorType::ServiceUnavailable,
            ErrorType::Internal,
        ]);
        let field = *rng.pick(&[
            "repository",
            "issueOrPullRequest",
            "pullRequest",
            "pullRequests",
        ]);
        let fault = match rng.below(14) {
            0 => Fault::Hang,
            1 => Fault::Reset,
            2 => Fault::CutBody,
            3 => Fault::CutJson,
            4 => Fault::Html(*rng.pick(&[500, 502, 503, 504])),
            5 => Fault::BadCredentials,
            6 => Fault::BadCredentialsExhausted,
            7 => Fault::Forbidden(*rng.pick(&[
                Forbidden::Permission,
                Forbidden::Saml,
                Forbidden::Secondary(Some(90)),
                Forbidden::Exhausted,
            ])),
            8 => Fault::TooManyRequests(*rng.pick(&[Some(120), None])),
            9 => Fault::RateLimited {
                headers: rng.chance(50),
                older_name: rng.chance(50),
            },
            10 => Fault::ResourceLimits {
                answered: rng.place(4),
            },
            11 | 12 => {
                let repo = *rng.pick(&REPOS);
                self.hidden.insert(repo.to_owned());
                Fault::RepoHidden(repo.to_owned())
            }
            _ => Fault::Field(FieldFault {
                field: field.to_owned(),
                repo: None,
                number: number.filter(|_| rng.chance(60)),
                error,
            }),
        };
        if rng.chance(50) || matches!(fault, Fault::RepoHidden(_)) {
            self.model.fail(Scope::GraphQl, fault);
        } else {
            self.model
                .fail_next_in(Scope::GraphQl, 1 + rng.below(2) as u32, fault);
        }
    }

    /// All is well again.
    pub fn heal(&mut self) {
        self.model.heal();
        self.hidden.clear();
        self.is_ill = false;
    }

    /// Whether somebody with the token sees the repository now.
    pub fn shows(&self, repo: &str) -> bool {
        !self
            .hidden
            .iter()
            .any(|hidden| hidden.eq_ignore_ascii_case(repo))
            && self.model.look_repo(repo).is_some()
    }

    /// Asks all of `asks` at `now`; second: how long that took.
    pub fn ask(
        &mut self,
        asks: &[Ask],
        not_before: Option<Timestamp>,
        now: Timestamp,
    ) -> (Reply, Duration) {
        let mut call = Call {
            hub: self,
            asks,
            now,
            known: HashMap::new(),
            pages: HashMap::new(),
            usage: Usage::default(),
            trouble: None,
            limited_until: None,
            took: Duration::ZERO,
        };
        call.all(not_before);
        let answers = asks.iter().map(|ask| call.answer(ask)).collect();
        let reply = Reply {
            answers,
            usage: call.usage,
            trouble: call.trouble,
            limited_until: call.limited_until,
        };
        (reply, call.took)
    }
}

/// One call of [`Hub::ask`].
struct Call<'a> {
    hub: &'a mut Hub,
    asks: &'a [Ask],
    now: Timestamp,
    known: HashMap<Target, Finding>,
    pages: HashMap<Target, usize>,
    usage: Usage,
    trouble: Option<Trouble>,
    limited_until: Option<Timestamp>,
    took: Duration,
}

impl Call<'_> {
    fn all(&mut self, not_before: Option<Timestamp>) {
        let mut waiting: VecDeque<Query> = plan(self.asks, BATCH).into();
        if let Some(until) = not_before.filter(|until| *until > self.now) {
            let detail = "GitHub said to be silent".to_owned();
            self.limited_until = Some(until);
            self.trouble = Some(Trouble::Limited {
                until,
                detail: detail.clone(),
            });
            return self.miss_all(waiting, &Gap::new(GapKind::RateLimited, detail));
        }
        while let Some(query) = waiting.pop_front() {
            let stop = self.one(query, &mut waiting);
            if let Some(gap) = stop {
                return self.miss_all(waiting, &gap);
            }
        }
    }

    /// Sends one query. A gap: stop, and this is why.
    fn one(&mut self, query: Query, waiting: &mut VecDeque<Query>) -> Option<Gap> {
        let variables = serde_json::Value::Object(query.variables.clone());
        let request = Request::graphql(&query.document, variables, TOKEN);
        let response = self.hub.model.respond(request, self.now.0);
        self.usage.requests += 1;
        let gap = match response.delivery {
            Delivery::Whole | Delivery::After { .. } => None,
            Delivery::Never => {
                self.took += HANG;
                Some(Gap::new(GapKind::TimedOut, "no answer came"))
            }
            Delivery::Reset | Delivery::Cut { .. } => {
                Some(Gap::new(GapKind::Unreachable, "the connection broke"))
            }
        };
        if let Some(gap) = gap {
            self.miss(&query.questions, &gap);
            self.trouble = Some(Trouble::Unanswered { gap: gap.clone() });
            return Some(gap);
        }
        let mut headers = HeaderMap::new();
        for (name, value) in &response.headers {
            if let (Ok(name), Ok(value)) =
                (name.parse::<HeaderName>(), value.parse::<HeaderValue>())
            {
                headers.insert(name, value);
            }
        }
        let received = Received {
            status: StatusCode::from_u16(response.status).unwrap_or(StatusCode::BAD_GATEWAY),
            headers: &headers,
            body: &response.body,
            at: self.now,
        };
        match learn(&query, &received, self.now) {
            Learned::Answered(answered) => {
                for (question, finding) in answered.findings {
                    self.take(question, finding, waiting);
                }
                waiting.extend(answered.again.into_iter().map(|one| Query::new(vec![one])));
                None
            }
            Learned::Overloaded(gap) => {
                if query.questions.len() > 1 {
                    waiting.extend(query.questions.into_iter().map(|one| Query::new(vec![one])));
                } else {
                    self.miss(&query.questions, &gap);
                }
                None
            }
            Learned::Lost(gap) => {
                self.miss(&query.questions, &gap);
                None
            }
            Learned::Limited(limit) => {
                let until = limit
                    .until
                    .unwrap_or(self.now.after(Duration::from_secs(60)));
                self.limited_until = Some(until);
                self.trouble = Some(Trouble::Limited {
                    until,
                    detail: limit.detail.clone(),
                });
                let gap = Gap::new(GapKind::RateLimited, limit.detail);
                self.miss(&query.questions, &gap);
                Some(gap)
            }
            Learned::TokenRejected => {
                let trouble = Trouble::TokenRejected {
                    origin: "the simulation".to_owned(),
                };
                let gap = Gap::new(GapKind::Unauthenticated, trouble.to_string());
                self.trouble = Some(trouble);
                self.miss(&query.questions, &gap);
                Some(gap)
            }
            Learned::Refused(gap) => {
                self.trouble = Some(Trouble::Refused {
                    detail: gap.detail.clone(),
                });
                self.miss(&query.questions, &gap);
                Some(gap)
            }
        }
    }

    fn take(&mut self, question: Question, finding: Finding, waiting: &mut VecDeque<Query>) {
        let Finding::Branch(page) = finding else {
            self.known.insert(question.target, finding);
            return;
        };
        let target = question.target.clone();
        let list = match self.known.remove(&target) {
            Some(Finding::Branch(mut earlier)) => {
                earlier.known.extend(page.known);
                earlier.more = page.more;
                earlier
            }
            _ => page,
        };
        let pages = self.pages.entry(target.clone()).or_default();
        if let More::After(cursor) = &list.more
            && *pages < PAGES_FURTHER_MAX
        {
            *pages += 1;
            waiting.push_back(Query::new(vec![Question {
                after: Some(cursor.clone()),
                ..question
            }]));
        }
        self.known.insert(target, Finding::Branch(list));
    }

    fn miss(&mut self, questions: &[Question], gap: &Gap) {
        for question in questions {
            let finding = match self.known.remove(&question.target) {
                Some(Finding::Branch(list)) => Finding::Branch(Candidates {
                    more: More::Lost(gap.clone()),
                    ..list
                }),
                _ => Finding::gap(&question.target, gap.clone()),
            };
            self.known.insert(question.target.clone(), finding);
        }
    }

    fn miss_all(&mut self, waiting: VecDeque<Query>, gap: &Gap) {
        for query in waiting {
            self.miss(&query.questions, gap);
        }
    }

    fn answer(&self, ask: &Ask) -> Answer {
        Answer {
            issue: if ask.wants.issue {
                self.issue(ask)
            } else {
                Fact::NotAsked
            },
            pull_request: if ask.wants.any_pull_request() {
                self.pull_request(ask)
            } else {
                Fact::NotAsked
            },
        }
    }

    fn issue(&self, ask: &Ask) -> Fact<vigil_core::forge::Issue> {
        let issue = match &ask.lookup.issue {
            Ok(issue) => issue,
            Err(gap) => return Fact::Unknown(gap.clone()),
        };
        let target = Repo::parse(&issue.repo).map(|repo| Target::Issue {
            repo,
            number: issue.number as u32,
        });
        match target.map(|target| self.known.get(&target).cloned()) {
            Ok(Some(Finding::Issue(seen))) => seen.fact,
            Ok(_) => lost(),
            Err(gap) => Fact::Unknown(gap),
        }
    }

    fn pull_request(&self, ask: &Ask) -> Fact<vigil_core::forge::PullRequest> {
        let wanted = match &ask.lookup.pull_request {
            Ok(wanted) => wanted,
            Err(gap) => return Fact::Unknown(gap.clone()),
        };
        let target = match wanted {
            PullRequestRef::Number { repo, number } => {
                Repo::parse(repo).map(|repo| Target::PullRequest {
                    repo,
                    number: *number as u32,
                })
            }
            PullRequestRef::Branch { repo, branch, .. } => {
                Repo::parse(repo).map(|repo| Target::Branch {
                    repo,
                    branch: branch.clone(),
                })
            }
        };
        let target = match target {
            Ok(target) => target,
            Err(gap) => return Fact::Unknown(gap),
        };
        match (self.known.get(&target), wanted) {
            (Some(Finding::PullRequest(seen)), _) => seen.fact.clone(),
            (
                Some(Finding::Branch(list)),
                PullRequestRef::Branch {
                    repo, head_owner, ..
                },
            ) => {
                let wanted = Wanted {
                    base_owner: repo.split('/').next().unwrap_or_default(),
                    head_owner,
                    started: ask.started,
                    observed: self.now,
                };
                choose(list, wanted).unwrap_or_else(lost)
            }
            _ => lost(),
        }
    }
}

fn lost<T>() -> Fact<T> {
    Fact::unknown(GapKind::Malformed, "the answer got lost")
}
