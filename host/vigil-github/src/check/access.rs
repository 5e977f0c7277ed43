//! What an account may read of repositories, found out as a pass would: by asking for everything, a few things in each.
//!
//! Permissions of tokens cannot be looked up but for an App's. A refusal shows only where there is something to refuse:
//! a repository without a pull request does not tell whether its checks may be read.

use std::collections::BTreeMap;
use std::time::Duration;

use http::Uri;
use serde_json::json;
use vigil_core::forge::{Issue, PullRequest};
use vigil_core::{Fact, Gap, GapKind, Timestamp};

use crate::ask::Parts;
use crate::budget::Pool;
use crate::github::{Clock, GitHub};
use crate::learn::{Answered, Finding, Learned, Received, learn};
use crate::limits::{self, Meter};
use crate::query::Query;
use crate::question::{Question, Repo, Target};
use crate::reply::Trouble;
use crate::tokens::{Account, Token};
use crate::transport::Wire;

/// Repositories in one query, each with an issue and a pull request and everything about them: some 250 lists, three
/// points.
const BATCH: usize = 25;

/// A repository, and something in it to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// `owner/name`.
    pub repo: String,
    /// An issue that is known to be there.
    pub issue: Option<u64>,
    /// A pull request that is known to be there.
    pub pull_request: Option<u64>,
    /// A branch that may have one; asked where no number is known.
    pub branch: Option<String>,
}

/// What an account may read of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// `owner/name`.
    pub repo: String,
    /// `Found`: the repository answered. Never absent: where GitHub says that there is none, there may be no access.
    pub readable: Fact<()>,
    /// Facts that GitHub refuses, by their registered name, with what it said.
    pub missing: BTreeMap<&'static str, Gap>,
    /// Facts that were read, or may be, by their registered name. What is in neither was not there to be asked for.
    pub read: Vec<&'static str>,
}

/// What was found out about several repositories, and what that took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Looked {
    /// One for each sample, in their order.
    pub repositories: Vec<Access>,
    /// What all queries cost together, in points: as GitHub says, and one for each where it did not.
    pub points: u64,
    /// What the last answer told of the pot of points.
    pub meter: Meter,
}

/// The facts that rest on each permission of an App or a fine-grained token, which is read access to it.
const PERMISSIONS: [(&str, &str, &[&str]); 6] = [
    ("issues", "Issues", &["issue", "assignees", "issue-history"]),
    (
        "pull_requests",
        "Pull requests",
        &[
            "pull-request",
            "mergeability",
            "reviews",
            "review-list",
            "auto-merge",
            "closing-references",
        ],
    ),
    ("checks", "Checks", &["checks", "check-list"]),
    ("statuses", "Commit statuses", &["checks", "check-list"]),
    ("actions", "Actions", &["runs"]),
    ("merge_queues", "Merge queues", &["merge-queue"]),
];

/// The permissions, as GitHub's pages call them, that the fact of that registered name rests on.
pub fn permissions_for(fact: &str) -> Vec<&'static str> {
    PERMISSIONS
        .iter()
        .filter(|(_, _, facts)| facts.contains(&fact))
        .map(|(_, name, _)| *name)
        .collect()
}

/// The facts that stay unknown with the permissions of an App's installation, each with the permission that is missing.
pub fn facts_without(
    permissions: &BTreeMap<String, String>,
) -> BTreeMap<&'static str, &'static str> {
    PERMISSIONS
        .iter()
        .filter(|(key, _, _)| !permissions.contains_key(*key))
        .flat_map(|(_, name, facts)| facts.iter().map(|fact| (*fact, *name)))
        .collect()
}

impl GitHub {
    /// Looks at `samples` as `account`. Nothing is sent again but after a token that was
    /// renewed; what could not be learned says why.
    ///
    /// # Errors
    /// What stops everything: no token, a rejected one, a limit, a refusal of the whole query.
    pub async fn access(
        &self,
        account: &Account,
        samples: &[Sample],
        now: Timestamp,
        deadline: Duration,
    ) -> Result<Looked, Trouble> {
        let clock = Clock::new(now, deadline);
        let in_time = async {
            let mut token = self.tokens.token(account).await?;
            let mut seen = Looked::default();
            for batch in samples.chunks(BATCH) {
                let mut looked = self.batch(account, batch, &token, clock, &mut seen).await;
                if let Err(Trouble::TokenRejected { .. }) = looked
                    && let Ok(other) = self.tokens.refresh(account).await
                    && other.differs_from(&token)
                {
                    token = other;
                    looked = self.batch(account, batch, &token, clock, &mut seen).await;
                }
                seen.repositories.extend(looked?);
            }
            Ok(seen)
        };
        tokio::time::timeout_at(clock.deadline, in_time)
            .await
            .unwrap_or_else(|_| Err(super::timed_out()))
    }

    async fn batch(
        &self,
        account: &Account,
        samples: &[Sample],
        token: &Token,
        clock: Clock,
        seen: &mut Looked,
    ) -> Result<Vec<Access>, Trouble> {
        let mut looks: Vec<Look> = samples.iter().map(Look::new).collect();
        let first: Vec<Question> = looks.iter().flat_map(Look::questions).collect();
        let answered = self.look(account, first, token, clock, seen).await?;
        looks.iter_mut().for_each(|look| look.take(&answered));
        // Lists that are long are asked by number alone.
        let second: Vec<Question> = looks.iter().filter_map(Look::further).collect();
        if !second.is_empty() {
            let answered = self.look(account, second, token, clock, seen).await?;
            looks.iter_mut().for_each(|look| look.take(&answered));
        }
        Ok(looks.into_iter().map(|look| look.access).collect())
    }

    async fn look(
        &self,
        account: &Account,
        questions: Vec<Question>,
        token: &Token,
        clock: Clock,
        seen: &mut Looked,
    ) -> Result<Answered, Trouble> {
        if questions.is_empty() {
            return Ok(Answered::default());
        }
        let asking = self.query(Query::new(questions), token, clock, seen);
        self.in_turn(account, Pool::GraphQl, clock, asking).await
    }

    async fn query(
        &self,
        query: Query,
        token: &Token,
        clock: Clock,
        seen: &mut Looked,
    ) -> Result<Answered, Trouble> {
        let body = json!({ "query": query.document, "variables": query.variables });
        let uri: &Uri = &self.graphql;
        let answer = self
            .transport
            .send(uri, token, Wire::post(&body), clock.deadline)
            .await
            .map_err(|failure| super::no_answer(uri, failure))?;
        let at = clock.now();
        let received = Received {
            status: answer.status,
            headers: &answer.headers,
            body: &answer.body,
            at,
        };
        match learn(&query, &received, clock.wall).heeding(&received, Pool::GraphQl.resource()) {
            Learned::Answered(answered) => {
                seen.points += answered.cost.map_or(1, u64::from);
                seen.meter = answered.meter;
                Ok(answered)
            }
            Learned::Limited(limit) => Err(Trouble::Limited {
                until: limit.until.unwrap_or_else(|| at.after(limits::SILENCE)),
                detail: limit.detail,
                scope: limit.scope,
            }),
            Learned::TokenRejected => Err(Trouble::TokenRejected {
                origin: token.origin.clone(),
            }),
            Learned::Refused(gap) => Err(Trouble::Refused { detail: gap.detail }),
            Learned::Overloaded(gap) | Learned::Lost(gap) => Err(Trouble::Unanswered { gap }),
        }
    }
}

/// One sample while it is looked at.
struct Look {
    access: Access,
    repo: Option<Repo>,
    issue: Option<u32>,
    pull_request: Option<u32>,
    branch: Option<String>,
    /// Found by its branch, and not asked by its number yet.
    found: Option<u32>,
}

impl Look {
    fn new(sample: &Sample) -> Self {
        let small = |number: Option<u64>| {
            let number = u32::try_from(number?).ok()?;
            (1..=0x7fff_ffff).contains(&number).then_some(number)
        };
        let repo = Repo::parse(&sample.repo);
        Look {
            access: Access {
                repo: sample.repo.clone(),
                readable: match &repo {
                    Ok(_) => Fact::unknown(GapKind::Malformed, "GitHub's answer left it out"),
                    Err(gap) => Fact::from(gap.clone()),
                },
                missing: BTreeMap::new(),
                read: Vec::new(),
            },
            repo: repo.ok(),
            issue: small(sample.issue),
            pull_request: small(sample.pull_request),
            branch: sample.branch.clone().filter(|branch| !branch.is_empty()),
            found: None,
        }
    }

    fn questions(&self) -> Vec<Question> {
        let Some(repo) = &self.repo else {
            return Vec::new();
        };
        // Some number has to be asked for the repository to answer; that there is none says nothing.
        let issue = Question {
            target: Target::Issue {
                repo: repo.clone(),
                number: self.issue.unwrap_or(1),
            },
            parts: Parts::OF_ISSUE,
            after: None,
            checks_so_far: None,
        };
        let pull_request = match (self.pull_request, &self.branch) {
            (Some(number), _) => Some(self.by_number(repo, number)),
            (None, Some(branch)) => Some(Question {
                target: Target::Branch {
                    repo: repo.clone(),
                    branch: branch.clone(),
                },
                parts: Parts::empty(),
                after: None,
                checks_so_far: None,
            }),
            (None, None) => None,
        };
        [Some(issue), pull_request].into_iter().flatten().collect()
    }

    fn by_number(&self, repo: &Repo, number: u32) -> Question {
        Question {
            target: Target::PullRequest {
                repo: repo.clone(),
                number,
            },
            parts: Parts::OF_PULL_REQUEST,
            after: None,
            checks_so_far: None,
        }
    }

    fn further(&self) -> Option<Question> {
        Some(self.by_number(self.repo.as_ref()?, self.found?))
    }

    fn take(&mut self, answered: &Answered) {
        let Some(repo) = self.repo.clone() else {
            return;
        };
        if answered.repositories.iter().any(|(name, ..)| *name == repo) {
            self.access.readable = Fact::Found(());
        }
        self.found = None;
        for (question, finding) in &answered.findings {
            if *question.target.repo() != repo {
                continue;
            }
            match finding {
                Finding::Issue(seen) => self.issue(&seen.fact),
                Finding::PullRequest(seen) => self.pull_request(&seen.fact),
                Finding::Branch(list) => {
                    let newest = list.known.iter().map(|one| one.pull_request.number).max();
                    self.found = newest.and_then(|number| u32::try_from(number).ok());
                    if let crate::choose::More::Lost(gap) = &list.more {
                        self.lost("pull-request", gap);
                    }
                }
            }
        }
    }

    fn issue(&mut self, fact: &Fact<Issue>) {
        self.note("issue", fact);
        if let Fact::Found(issue) = fact {
            self.note("assignees", &issue.assignees);
            self.note("issue-history", &issue.closer);
            self.note("issue-history", &issue.reopened);
            self.note("closing-references", &issue.closed_by);
        }
    }

    fn pull_request(&mut self, fact: &Fact<PullRequest>) {
        self.note("pull-request", fact);
        if let Fact::Found(pr) = fact {
            self.note("mergeability", &pr.mergeability);
            self.note("reviews", &pr.review);
            self.note("review-list", &pr.review_list);
            self.note("checks", &pr.checks);
            self.note("check-list", &pr.check_list);
            self.note("runs", &pr.runs);
            self.note("merge-queue", &pr.queue);
            self.note("auto-merge", &pr.auto_merge);
            self.note("closing-references", &pr.closes);
        }
    }

    fn note<T>(&mut self, name: &'static str, fact: &Fact<T>) {
        match fact {
            Fact::Unknown(gap) => self.lost(name, gap),
            Fact::NotAsked => {}
            Fact::Found(_) | Fact::Absent(_) => {
                if !self.access.missing.contains_key(name) && !self.access.read.contains(&name) {
                    self.access.read.push(name);
                }
            }
        }
    }

    /// A gap counts as missing where it is a refusal; the others come and go, or concern the whole repository.
    fn lost(&mut self, name: &'static str, gap: &Gap) {
        if gap.kind == GapKind::Denied {
            self.access.read.retain(|read| *read != name);
            self.access.missing.insert(name, gap.clone());
        } else if self.access.readable.found().is_none() {
            self.access.readable = Fact::from(gap.clone());
        }
    }
}
