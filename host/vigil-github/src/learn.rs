//! What one answer of GitHub's teaches. Pure: the same answer teaches the same.
//!
//! Nothing becomes absent here without a control: the repository itself has to answer, under the name that was asked
//! for. Everything else that is not a value is unknown, with its kind.

use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value};
use vigil_core::forge::{Issue, PullRequest};
use vigil_core::{Fact, Gap, GapKind, Timestamp};

use crate::choose::{Candidates, More};
use crate::convert::{self, malformed};
use crate::errors::{Class, Errors, Problem};
use crate::limits::{self, Limit, Meter};
use crate::plan::{Question, Repo, Target};
use crate::query::{Query, item_alias, repository_alias};
use crate::words;

/// An answer as it came over the wire.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// The body, whatever it is.
    pub body: &'a [u8],
    /// When it arrived. Only limits are reckoned from it.
    pub at: Timestamp,
}

/// What an answer comes to.
#[derive(Clone, Debug, PartialEq)]
pub enum Learned {
    /// GitHub dealt with the query.
    Answered(Answered),
    /// It was too much for GitHub: ask for less at once. The gap is what stays when there is nothing to take away.
    Overloaded(Gap),
    /// Stop, and send nothing more for a while.
    Limited(Limit),
    /// The token is no good.
    TokenRejected,
    /// A refusal that would meet every other question as well.
    Refused(Gap),
    /// This answer is lost; another query may fare better.
    Lost(Gap),
}

/// An answer with data.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answered {
    /// What was found out, in the order of the questions.
    pub findings: Vec<(Question, Finding)>,
    /// Questions that got lost because of others, or for which GitHub's budget for one query did not suffice: to be
    /// asked again, fewer at once. Never all questions of a query that has only one.
    pub again: Vec<Question>,
    /// What the query cost, in points, as GitHub says; `None`: it did not say.
    pub cost: Option<u32>,
    /// What is left.
    pub meter: Meter,
}

/// What was found out about one question.
#[derive(Clone, Debug, PartialEq)]
pub enum Finding {
    /// About an issue.
    Issue(Fact<Issue>),
    /// About a pull request by its number.
    PullRequest(Box<Fact<PullRequest>>),
    /// About the pull requests of a branch: one page of them.
    Branch(Candidates),
}

impl Finding {
    /// Nothing was found out, for the reason that `gap` gives.
    pub fn gap(target: &Target, gap: Gap) -> Self {
        match target {
            Target::Issue { .. } => Finding::Issue(Fact::Unknown(gap)),
            Target::PullRequest { .. } => Finding::PullRequest(Box::new(Fact::Unknown(gap))),
            Target::Branch { .. } => Finding::Branch(Candidates {
                known: Vec::new(),
                more: More::Lost(gap),
            }),
        }
    }
}

/// Reads the answer to `query`. Facts bear the time `observed`, the moment at which the asking began: what is read is
/// never older.
pub fn learn(query: &Query, received: &Received<'_>, observed: Timestamp) -> Learned {
    let Received {
        status,
        headers,
        at,
        ..
    } = *received;
    // The status comes before the headers: a 401 can carry the headers of an empty pot.
    if status == StatusCode::UNAUTHORIZED {
        return Learned::TokenRejected;
    }
    if status != StatusCode::OK {
        let message = message(received.body);
        if let Some(limit) = limits::limit(status, headers, &message, at) {
            return Learned::Limited(limit);
        }
        return not_ok(status, &message);
    }
    let body = match serde_json::from_slice::<Value>(received.body) {
        Ok(Value::Object(body)) => body,
        Ok(_) => return Learned::Lost(malformed("the body is no object")),
        Err(error) => return Learned::Lost(malformed(error.to_string())),
    };
    let errors = Errors::read(body.get("errors"), query);
    if let Some(limit) = errors.limit() {
        return Learned::Limited(Limit {
            until: limits::until(headers, &limit.message, at),
            detail: format!("GitHub says: {}", limit.message),
        });
    }
    if let Some(problem) = errors.whole() {
        let gap = problem.gap("the query");
        return match problem.class {
            Class::TooMuch => Learned::Overloaded(gap),
            _ => Learned::Lost(gap),
        };
    }
    let Some(Value::Object(data)) = body.get("data") else {
        return Learned::Lost(malformed("there is neither data nor an error"));
    };
    let mut answered = Answered {
        meter: Meter::from_headers(headers, at).or(meter(data)),
        cost: data
            .get("rateLimit")
            .and_then(|pot| pot.get("cost"))
            .and_then(Value::as_u64)
            .and_then(|cost| u32::try_from(cost).ok()),
        ..Answered::default()
    };
    for (at, question) in query.questions.iter().enumerate() {
        let one = One {
            query,
            data,
            errors: &errors,
            at,
            question,
            observed,
        };
        match one.finding() {
            Ok(finding) => answered.findings.push((question.clone(), finding)),
            Err(Open::Again) => answered.again.push(question.clone()),
            Err(Open::Gap(gap)) => {
                let finding = Finding::gap(&question.target, gap);
                answered.findings.push((question.clone(), finding));
            }
        }
    }
    Learned::Answered(answered)
}

/// An answer with another status than 200 that is neither a limit nor a rejected token.
fn not_ok(status: StatusCode, message: &str) -> Learned {
    let said = match message {
        "" => format!("GitHub answered {}", status.as_u16()),
        message => format!("GitHub answered {}: {message}", status.as_u16()),
    };
    match status {
        // How GitHub's front end says that the query took more than 10 seconds.
        StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT => {
            Learned::Overloaded(Gap::new(GapKind::Unreachable, said))
        }
        status if status.is_server_error() => Learned::Lost(Gap::new(GapKind::Unreachable, said)),
        StatusCode::FORBIDDEN => Learned::Refused(Gap::new(GapKind::Denied, said)),
        status if status.is_redirection() || status == StatusCode::NOT_FOUND => {
            Learned::Refused(Gap::new(
                GapKind::Unreachable,
                format!("{said}; is the address of the GraphQL API right?"),
            ))
        }
        _ => Learned::Lost(Gap::new(GapKind::Malformed, said)),
    }
}

/// GitHub's own words in the body of a refusal; empty where there are none, as in the HTML of a front end.
fn message(body: &[u8]) -> String {
    serde_json::from_slice::<Value>(body)
        .ok()
        .as_ref()
        .and_then(|body| body.get("message"))
        .and_then(Value::as_str)
        .map(words::short)
        .unwrap_or_default()
}

/// The pot as the answer's own data has it, where headers are missing.
fn meter(data: &Map<String, Value>) -> Meter {
    let pot = data.get("rateLimit");
    let number = |name| pot.and_then(|pot| pot.get(name)).and_then(Value::as_u64);
    Meter {
        limit: number("limit"),
        remaining: number("remaining"),
        reset: pot
            .and_then(|pot| pot.get("resetAt"))
            .and_then(Value::as_str)
            .and_then(|text| text.parse::<jiff::Timestamp>().ok())
            .and_then(|moment| u64::try_from(moment.as_millisecond()).ok())
            .map(Timestamp),
    }
}

/// A question that stays open.
enum Open {
    /// To be asked again with fewer others.
    Again,
    /// Unknown.
    Gap(Gap),
}

impl From<Gap> for Open {
    fn from(gap: Gap) -> Self {
        Open::Gap(gap)
    }
}

/// One question in its answer.
struct One<'a> {
    query: &'a Query,
    data: &'a Map<String, Value>,
    errors: &'a Errors,
    at: usize,
    question: &'a Question,
    observed: Timestamp,
}

impl One<'_> {
    fn finding(&self) -> Result<Finding, Open> {
        let repository = self.repository()?;
        let value = repository.get(&item_alias(self.at)).unwrap_or(&Value::Null);
        match &self.question.target {
            Target::Issue { repo, number } => self
                .issue(repository, value, repo, *number)
                .map(Finding::Issue),
            Target::PullRequest { repo, number } => self
                .pull_request(value, repo, *number)
                .map(|fact| Finding::PullRequest(Box::new(fact))),
            Target::Branch { .. } => self.branch(value).map(Finding::Branch),
        }
    }

    /// The repository's own answer: the control for everything below it.
    fn repository(&self) -> Result<&Map<String, Value>, Open> {
        let repo = self.question.target.repo();
        let Some(place) = self
            .query
            .repositories
            .iter()
            .position(|known| known == repo)
        else {
            return Err(malformed("its repository was not asked for").into());
        };
        if let Some(problem) = self.errors.repository(place) {
            return Err(match problem.class {
                // Without a look at the account nobody can tell these apart.
                Class::NotFound => Open::Gap(Gap::new(
                    GapKind::NotFound,
                    format!("there is no repository {repo}, or the token has no access to it"),
                )),
                _ => self.open(problem, &format!("repository {repo}")),
            });
        }
        let Some(Value::Object(repository)) = self.data.get(&repository_alias(place)) else {
            // A field that cannot be null takes the whole repository with it when it fails. The one that failed has
            // its error; the others were innocent.
            return Err(match self.errors.item(self.at, |_| true) {
                Some(problem) => self.open(problem, &self.question.target.to_string()),
                None if self.others_failed(place) => Open::Again,
                None => malformed(format!("repository {repo} is null without an error")).into(),
            });
        };
        let name = repository.get("nameWithOwner").and_then(Value::as_str);
        match name.map(Repo::parse) {
            Some(Ok(name)) if name == *repo => Ok(repository),
            Some(Ok(name)) => Err(Open::Gap(Gap::new(
                GapKind::IdentityChanged,
                format!("{repo} is now called {name}"),
            ))),
            _ => Err(malformed(format!("repository {repo} has no name")).into()),
        }
    }

    fn issue(
        &self,
        repository: &Map<String, Value>,
        value: &Value,
        repo: &Repo,
        number: u32,
    ) -> Result<Fact<Issue>, Open> {
        let what = self.question.target.to_string();
        match self.errors.item(self.at, |_| true) {
            None if value.is_null() => Err(self.unexplained(&what)),
            None => Ok(Fact::Found(convert::issue(
                value,
                repo,
                number,
                self.observed,
            )?)),
            Some(problem) if problem.class != Class::NotFound => Err(self.open(problem, &what)),
            Some(_) if !value.is_null() => {
                Err(malformed(format!("{what} is there and said not to be")).into())
            }
            Some(_) => match repository.get("hasIssuesEnabled").and_then(Value::as_bool) {
                Some(true) => Ok(Fact::absent_at(self.observed)),
                Some(false) => Err(Open::Gap(Gap::new(
                    GapKind::NoControl,
                    format!("{repo} has its issues switched off, so none of them can be seen"),
                ))),
                None => Err(malformed(format!("{repo} does not say whether it has issues")).into()),
            },
        }
    }

    fn pull_request(
        &self,
        value: &Value,
        repo: &Repo,
        number: u32,
    ) -> Result<Fact<PullRequest>, Open> {
        let what = self.question.target.to_string();
        match self.errors.item(self.at, |inner| part_of(inner).is_none()) {
            Some(problem) if problem.class == Class::NotFound && value.is_null() => {
                // The record says that there is one, so this is no absence.
                return Err(Open::Gap(Gap::new(
                    GapKind::NotFound,
                    format!("the record names pull request #{number}, and {repo} has none"),
                )));
            }
            Some(problem) => return Err(self.open(problem, &what)),
            None => {}
        }
        if value.is_null() {
            return Err(match self.errors.item(self.at, |_| true) {
                Some(problem) => self.open(problem, &what),
                None => self.unexplained(&what),
            });
        }
        let found = self.candidate(value, part_of)?.pull_request;
        if found.number != u64::from(number) {
            return Err(Open::Gap(Gap::new(
                GapKind::IdentityChanged,
                format!("{what} was asked for, and #{} came", found.number),
            )));
        }
        Ok(Fact::Found(found))
    }

    fn branch(&self, value: &Value) -> Result<Candidates, Open> {
        let what = self.question.target.to_string();
        if let Some(problem) = self
            .errors
            .item(self.at, |inner| part_of_node(inner).is_none())
        {
            return Err(self.open(problem, &what));
        }
        if value.is_null() {
            return Err(self.unexplained(&what));
        }
        let Some(Value::Array(nodes)) = value.get("nodes") else {
            return Err(malformed(format!("{what}: no nodes")).into());
        };
        let mut known = Vec::new();
        for (place, node) in nodes.iter().enumerate() {
            // A pull request that nobody can read may be the one that counts.
            if node.is_null() {
                return Err(
                    match self.errors.item(self.at, |inner| is_node(inner, place)) {
                        Some(problem) => self.open(problem, &what),
                        None => self.unexplained(&what),
                    },
                );
            }
            known.push(self.candidate(node, |inner| {
                part_of_node(inner).filter(|_| is_node(inner, place))
            })?);
        }
        let page = value.get("pageInfo");
        let more = match page
            .and_then(|page| page.get("hasNextPage"))
            .and_then(Value::as_bool)
        {
            Some(false) => More::Complete,
            Some(true) => match page
                .and_then(|page| page.get("endCursor"))
                .and_then(Value::as_str)
            {
                Some(cursor) if !cursor.is_empty() => More::After(cursor.to_owned()),
                _ => return Err(malformed(format!("{what}: more pages and no cursor")).into()),
            },
            None => return Err(malformed(format!("{what}: nothing about more pages")).into()),
        };
        Ok(Candidates { known, more })
    }

    /// Reads a pull request, and puts the errors about its parts in the place of what stands there: a part that was
    /// refused is null, and null would read as absent.
    fn candidate(
        &self,
        value: &Value,
        part: impl Fn(&[String]) -> Option<Part>,
    ) -> Result<convert::Candidate, Open> {
        let mut candidate = convert::pull_request(value, self.question.parts, self.observed)?;
        let pr = &mut candidate.pull_request;
        for (which, what) in [
            (Part::Mergeability, "mergeability"),
            (Part::Review, "the review decision"),
            (Part::Checks, "the checks"),
        ] {
            let problem = self
                .errors
                .item(self.at, |inner| part(inner) == Some(which));
            let Some(problem) = problem else { continue };
            let gap = match self.open(problem, &format!("{what} of #{}", pr.number)) {
                Open::Gap(gap) => gap,
                again => return Err(again),
            };
            match which {
                Part::Mergeability => pr.mergeability = Fact::Unknown(gap),
                Part::Review => pr.review = Fact::Unknown(gap),
                Part::Checks => pr.checks = Fact::Unknown(gap),
            }
        }
        Ok(candidate)
    }

    /// What an error means for this question.
    fn open(&self, problem: &Problem, what: &str) -> Open {
        match problem.class {
            Class::TooMuch if self.query.questions.len() > 1 => Open::Again,
            _ => Open::Gap(problem.gap(what)),
        }
    }

    /// A null that no error explains. When GitHub ran out of budget anywhere in the query, it may be a late victim.
    fn unexplained(&self, what: &str) -> Open {
        let spent = (0..self.query.questions.len()).any(|at| {
            self.errors
                .item(at, |_| true)
                .is_some_and(|p| p.class == Class::TooMuch)
        });
        if spent && self.query.questions.len() > 1 {
            return Open::Again;
        }
        Open::Gap(malformed(format!("{what} is null without an error")))
    }

    /// Another question about the same repository has an error.
    fn others_failed(&self, place: usize) -> bool {
        let repo = &self.query.repositories[place];
        self.query
            .questions
            .iter()
            .enumerate()
            .filter(|(at, question)| *at != self.at && question.target.repo() == repo)
            .any(|(at, _)| self.errors.item(at, |_| true).is_some())
    }
}

/// A part of a pull request that can fail by itself.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Mergeability,
    Review,
    Checks,
}

/// The part that a path inside a pull request leads to.
fn part_of(inner: &[String]) -> Option<Part> {
    match inner.first()?.as_str() {
        "mergeable" | "mergeStateStatus" => Some(Part::Mergeability),
        "reviewDecision" => Some(Part::Review),
        "statusCheckRollup" => Some(Part::Checks),
        _ => None,
    }
}

/// The same for a path inside a list of them.
fn part_of_node(inner: &[String]) -> Option<Part> {
    match inner {
        [nodes, _, rest @ ..] if nodes == "nodes" => part_of(rest),
        _ => None,
    }
}

/// Whether a path inside a list leads to the entry at `place` or into it.
fn is_node(inner: &[String], place: usize) -> bool {
    matches!(inner, [nodes, at, ..] if nodes == "nodes" && *at == place.to_string())
}
