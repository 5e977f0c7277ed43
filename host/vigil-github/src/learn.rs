//! What one answer of GitHub's teaches. Pure: the same answer teaches the same.
//!
//! Nothing becomes absent here without a control: the repository itself has to answer, under the name that was asked
//! for. Everything else that is not a value is unknown, with its kind.

use serde_json::{Map, Value};
use vigil_core::forge::{Issue, PullRequest};
use vigil_core::{Fact, Gap, GapKind, Timestamp};

use crate::ask::Parts;
use crate::choose::{Candidates, More};
use crate::convert::{self, Asked, malformed};
use crate::envelope;
use crate::errors::{Class, Errors, Problem};
use crate::limits::Meter;
use crate::query::{Query, item_alias, repository_alias};
use crate::question::{Question, Repo, Target};

pub use crate::envelope::{Learned, Received};

/// An answer with data.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answered {
    /// What was found out, in the order of the questions.
    pub findings: Vec<(Question, Finding)>,
    /// Questions that got lost because of others, or for which GitHub's budget for one query did not suffice: to be
    /// asked again, fewer at once. Never all questions of a query that has only one.
    pub again: Vec<Question>,
    /// Questions whose finding stands and has a list of checks that goes on. Asked next, each brings a finding that
    /// takes the place of the earlier one; left out, that list stays unknown.
    pub more: Vec<Question>,
    /// What the query cost, in points, as GitHub says; `None`: it did not say.
    pub cost: Option<u32>,
    /// What is left.
    pub meter: Meter,
    /// The node id of each repository that answered under the name that was asked for, and its default branch where
    /// GitHub tells. Another id than before: another repository bears the name now.
    pub repositories: Vec<(Repo, String, Option<String>)>,
}

/// A fact, with what tells its thing from another one of the same name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen<T> {
    /// What is known of the thing.
    pub fact: Fact<T>,
    /// Its node id, which no other thing ever has; `None`: it was not seen.
    pub id: Option<String>,
    /// GitHub's `updatedAt`; `None`: it was not seen.
    pub updated: Option<Timestamp>,
}

impl<T> Seen<T> {
    /// A thing that was seen.
    fn found(value: T, id: String, updated: Timestamp) -> Self {
        Seen {
            fact: Fact::Found(value),
            id: Some(id),
            updated: Some(updated),
        }
    }
}

impl<T> From<Fact<T>> for Seen<T> {
    /// A thing that was not seen.
    fn from(fact: Fact<T>) -> Self {
        Seen {
            fact,
            id: None,
            updated: None,
        }
    }
}

/// What was found out about one question.
#[derive(Clone, Debug, PartialEq)]
pub enum Finding {
    /// About an issue.
    Issue(Seen<Issue>),
    /// About a pull request by its number.
    PullRequest(Box<Seen<PullRequest>>),
    /// About the pull requests of a branch: one page of them.
    Branch(Candidates),
}

impl Finding {
    /// Nothing was found out, for the reason that `gap` gives.
    pub fn gap(target: &Target, gap: Gap) -> Self {
        match target {
            Target::Issue { .. } => Finding::Issue(Fact::from(gap).into()),
            Target::PullRequest { .. } => Finding::PullRequest(Box::new(Fact::from(gap).into())),
            Target::Branch { .. } => Finding::Branch(Candidates {
                known: Vec::new(),
                more: More::Lost(gap),
            }),
        }
    }
}

/// Reads the answer to `query`. Facts bear the time `observed`, the moment at which the asking began: what is read is
/// never older.
pub fn learn(query: &Query, received: &Received<'_>, observed: Timestamp) -> Learned<Answered> {
    let questions = query.questions.len();
    let envelope = match envelope::open(received, query.repositories.len(), questions) {
        Ok(envelope) => envelope,
        Err(instead) => return instead,
    };
    let mut answered = Answered {
        cost: envelope.cost,
        meter: envelope.meter,
        repositories: repositories(query, &envelope.data, &envelope.errors),
        ..Answered::default()
    };
    for (at, question) in query.questions.iter().enumerate() {
        let one = One {
            query,
            data: &envelope.data,
            errors: &envelope.errors,
            at,
            question,
            observed,
        };
        match one.finding() {
            Ok((finding, more)) => {
                answered.findings.push((question.clone(), finding));
                answered.more.extend(more);
            }
            Err(Open::Again) => answered.again.push(question.clone()),
            Err(Open::Gap(gap)) => {
                let finding = Finding::gap(&question.target, gap);
                answered.findings.push((question.clone(), finding));
            }
        }
    }
    Learned::Answered(answered)
}

/// The node ids of those repositories that answered without any doubt.
fn repositories(
    query: &Query,
    data: &Map<String, Value>,
    errors: &Errors,
) -> Vec<(Repo, String, Option<String>)> {
    let id = |(at, repo): (usize, &Repo)| {
        let value = data.get(&repository_alias(at))?;
        let text = |name| value.get(name).and_then(Value::as_str);
        let same = text("nameWithOwner").and_then(|name| Repo::parse(name).ok())? == *repo;
        let id = text("id").filter(|id| !id.is_empty())?;
        let default = value
            .get("defaultBranchRef")
            .and_then(|branch| branch.get("name"));
        let default = default.and_then(Value::as_str).map(str::to_owned);
        (same && errors.repository(at).is_none()).then(|| (repo.clone(), id.to_owned(), default))
    };
    query
        .repositories
        .iter()
        .enumerate()
        .filter_map(id)
        .collect()
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
    /// The finding, and the question that goes on with its list of checks.
    fn finding(&self) -> Result<(Finding, Option<Question>), Open> {
        let repository = self.repository()?;
        let value = repository.get(&item_alias(self.at)).unwrap_or(&Value::Null);
        // Any part that was too much may fit when fewer questions share the budget.
        if let Some(problem) = self.problem(|_| true)
            && problem.class == Class::TooMuch
            && self.query.questions.len() > 1
        {
            return Err(Open::Again);
        }
        match &self.question.target {
            Target::Issue { repo, number } => {
                let issue = self.issue(repository, value, repo, *number)?;
                Ok((Finding::Issue(issue), None))
            }
            Target::PullRequest { repo, number } => {
                let (seen, more) = self.pull_request(value, repo, *number)?;
                Ok((Finding::PullRequest(Box::new(seen)), more))
            }
            Target::Branch { .. } => Ok((Finding::Branch(self.branch(value)?), None)),
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
            Some(Ok(name)) => Err(Open::Gap(convert::renamed(repo, name))),
            _ => Err(malformed(format!("repository {repo} has no name")).into()),
        }
    }

    fn issue(
        &self,
        repository: &Map<String, Value>,
        value: &Value,
        repo: &Repo,
        number: u32,
    ) -> Result<Seen<Issue>, Open> {
        let what = self.question.target.to_string();
        if let Some(problem) =
            self.problem(|inner| !inner.is_empty() && (value.is_null() || part_of(inner).is_none()))
        {
            return Err(self.open(problem, &what));
        }
        match self.problem(<[String]>::is_empty) {
            None if value.is_null() => Err(self.unexplained(&what)),
            None => {
                let found = convert::issue(
                    value,
                    repo,
                    number,
                    &self.asked(&|part| self.gap_of(part, part_of)),
                )?;
                Ok(Seen::found(found.value, found.id, found.updated))
            }
            Some(problem) if problem.class != Class::NotFound => Err(self.open(problem, &what)),
            Some(_) if !value.is_null() => {
                Err(malformed(format!("{what} is there and said not to be")).into())
            }
            Some(_) => match repository.get("hasIssuesEnabled").and_then(Value::as_bool) {
                Some(true) => Ok(Fact::absent_at(self.observed).into()),
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
    ) -> Result<(Seen<PullRequest>, Option<Question>), Open> {
        let what = self.question.target.to_string();
        match self.problem(|inner| value.is_null() || part_of(inner).is_none()) {
            Some(problem) if problem.class == Class::NotFound && value.is_null() => {
                // The record says that there is one, so this is no absence.
                return Err(Open::Gap(Gap::new(
                    GapKind::NotFound,
                    format!("the record names pull request #{number}, and {repo} has none"),
                )));
            }
            Some(problem) => return Err(self.open(problem, &what)),
            None if value.is_null() => return Err(self.unexplained(&what)),
            None => {}
        }
        let asked = |part| self.gap_of(part, part_of);
        let reading = convert::pull_request(value, self.question, &self.asked(&asked))?;
        let found = reading.candidate;
        if found.pull_request.number != u64::from(number) {
            return Err(Open::Gap(Gap::new(
                GapKind::IdentityChanged,
                format!(
                    "{what} was asked for, and #{} came",
                    found.pull_request.number
                ),
            )));
        }
        let more = reading.more.map(|so_far| Question {
            checks_so_far: Some(so_far),
            ..self.question.clone()
        });
        Ok((
            Seen::found(found.pull_request, found.id, found.updated),
            more,
        ))
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
            let asked = |part| {
                self.gap_of(part, |inner| match is_node(inner, place) {
                    true => part_of_node(inner),
                    false => None,
                })
            };
            let reading = convert::pull_request(node, self.question, &self.asked(&asked))?;
            known.push(reading.candidate);
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

    /// What the question asks for, for the reader of its value.
    fn asked<'b>(&self, failed: &'b dyn Fn(Parts) -> Option<Gap>) -> Asked<'b> {
        Asked {
            parts: self.question.parts,
            observed: self.observed,
            failed,
        }
    }

    /// The gap that errors leave in `part`; `part_of` tells which parts a path leads to.
    fn gap_of(&self, part: Parts, part_of: impl Fn(&[String]) -> Option<Parts>) -> Option<Gap> {
        let problem = self.problem(|inner| part_of(inner).is_some_and(|of| of.contains(part)))?;
        Some(problem.gap(&format!("{part} of {}", self.question.target)))
    }

    /// The error that says most, among those below this question whose path `which` takes.
    fn problem(&self, which: impl Fn(&[String]) -> bool) -> Option<&Problem> {
        self.errors.item(self.at, which)
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

/// The parts that a path inside an issue or a pull request leads to; `None`: what everything else rests on.
fn part_of(inner: &[String]) -> Option<Parts> {
    let below = |at: usize| inner.get(at).map(String::as_str);
    Some(match below(0)? {
        "assignees" => Parts::ASSIGNEES,
        "timelineItems" => Parts::HISTORY,
        "closedByPullRequestsReferences" | "closingIssuesReferences" => Parts::REFERENCES,
        "mergeable" | "mergeStateStatus" => Parts::MERGEABILITY,
        "reviewDecision" => Parts::REVIEWS,
        "latestOpinionatedReviews" => Parts::REVIEW_LIST,
        // Where the commit cannot be seen, the state still stands: it is the head's, as GitHub documents it.
        "statusCheckRollup" if below(1) == Some("commit") => Parts::empty(),
        "statusCheckRollup" => Parts::CHECKS,
        "mergeQueueEntry" => Parts::QUEUE,
        "autoMergeRequest" => Parts::AUTO_MERGE,
        // commits.nodes.0.commit: the newest commit of the head.
        "commits" => match below(4) {
            Some("statusCheckRollup") => Parts::CHECK_LIST,
            // Without a right to see runs, the suite still shows that something waits.
            Some("checkSuites") if below(7) == Some("workflowRun") => Parts::empty(),
            Some("checkSuites") => Parts::RUNS,
            _ => Parts::SECOND,
        },
        _ => return None,
    })
}

/// The same for a path inside a list of them.
fn part_of_node(inner: &[String]) -> Option<Parts> {
    match inner {
        [nodes, _, rest @ ..] if nodes == "nodes" => part_of(rest),
        _ => None,
    }
}

/// Whether a path inside a list leads to the entry at `place` or into it.
fn is_node(inner: &[String], place: usize) -> bool {
    matches!(inner, [nodes, at, ..] if nodes == "nodes" && *at == place.to_string())
}
