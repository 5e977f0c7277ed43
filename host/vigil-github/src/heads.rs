//! What changed last in busy repositories: the newest issues and pull requests of each, by number alone.
//!
//! Neither `filterBy` nor search is used: GitHub serves both from an index that can lag behind by days.

use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::{Map, Value};
use vigil_core::{Gap, GapKind, Timestamp};

use crate::convert::{malformed, read, renamed, timestamp};
use crate::envelope::{self, Learned, Received};
use crate::errors::{Class, Errors};
use crate::limits::Meter;
use crate::query::repository_alias;
use crate::question::Repo;

/// Repositories in one document: two lists each, so a hundred lists, which cost one point.
pub const REPOSITORIES_MAX: usize = 50;

/// How many of the newest issues and of the newest pull requests are looked at.
pub const HEADS_MAX: u32 = 20;

/// A document that asks for the heads of some repositories.
#[derive(Clone, Debug, PartialEq)]
pub struct Heads {
    /// GraphQL. Depends on the number of repositories, and on what is asked of each, alone.
    pub document: String,
    /// By name, without the dollar sign.
    pub variables: Map<String, Value>,
    /// In the order of their aliases.
    pub repositories: Vec<Repo>,
    /// Whether the issues of each are asked for, too.
    pub with_issues: Vec<bool>,
    /// How many lists GitHub has to fetch, the measure of the price.
    pub connections: u32,
}

impl Heads {
    /// The document for `repositories`, at most [`REPOSITORIES_MAX`] of them at the price of a point; each once. Where
    /// `no_issues` says so, only pull requests are asked for: what may not be seen takes the repository with it.
    pub fn new(repositories: Vec<Repo>, no_issues: impl Fn(&Repo) -> bool) -> Self {
        let mut variables = Map::new();
        let mut declared: Vec<String> = Vec::new();
        let mut body = String::new();
        let mut with_issues = Vec::with_capacity(repositories.len());
        for (at, repo) in repositories.iter().enumerate() {
            let alias = repository_alias(at);
            let asked = !no_issues(repo);
            with_issues.push(asked);
            let issues = if asked { " ...Issues" } else { "" };
            declared.push(format!("$owner{at}: String!, $name{at}: String!"));
            // Writing to a String cannot fail.
            let _ = writeln!(
                body,
                "  {alias}: repository(owner: $owner{at}, name: $name{at}, followRenames: false) {{ ...Heads{issues} }}"
            );
            variables.insert(format!("owner{at}"), repo.owner().into());
            variables.insert(format!("name{at}"), repo.name().into());
        }
        let parameters = match declared.as_slice() {
            [] => String::new(),
            some => format!("({})", some.join(", ")),
        };
        let newest = format!("first: {HEADS_MAX}, orderBy: {{field: UPDATED_AT, direction: DESC}}");
        let mut fragments = String::new();
        if !repositories.is_empty() {
            let _ = writeln!(
                fragments,
                "fragment Heads on Repository {{ id nameWithOwner hasIssuesEnabled \
                 pullRequests({newest}) {{ pageInfo {{ hasNextPage }} nodes {{ number state updatedAt headRefName \
                 headRepositoryOwner {{ login }} }} }} }}"
            );
        }
        let lists_of_issues = with_issues.iter().filter(|asked| **asked).count();
        if lists_of_issues > 0 {
            let _ = writeln!(
                fragments,
                "fragment Issues on Repository {{ issues({newest}) {{ pageInfo {{ hasNextPage }} \
                 nodes {{ number state updatedAt }} }} }}"
            );
        }
        let connections = repositories.len().saturating_add(lists_of_issues);
        Heads {
            document: format!(
                "query VigilHeads{parameters} {{\n  rateLimit {{ limit cost remaining resetAt }}\n{body}}}\n{fragments}"
            ),
            variables,
            connections: u32::try_from(connections).unwrap_or(u32::MAX),
            repositories,
            with_issues,
        }
    }
}

/// One issue or pull request, as far as its number and time go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Within its repository.
    pub number: u32,
    /// GitHub's `updatedAt`. Checks, mergeability, held runs and the queue do not move it.
    pub updated: Timestamp,
    /// It is open.
    pub open: bool,
    /// The branch at the head of a pull request; `None`: it is an issue.
    pub branch: Option<String>,
    /// Who owns the repository with that branch; `None`: it is an issue, or the fork is gone.
    pub owner: Option<String>,
}

/// What changed last in one repository, the newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepoHeads {
    /// The repository's node id.
    pub id: String,
    /// The newest issues, at most [`HEADS_MAX`]; none where they were not asked for.
    pub issues: Vec<Head>,
    /// The newest pull requests, at most [`HEADS_MAX`].
    pub pulls: Vec<Head>,
    /// These are all issues that the repository has. Never where it has its issues switched off, or where they were not
    /// asked for.
    pub issues_complete: bool,
    /// These are all pull requests that the repository has.
    pub pulls_complete: bool,
}

/// An answer with data.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HeadsAnswered {
    /// What was found out about each repository, in the order of the document.
    pub repositories: Vec<(Repo, Result<RepoHeads, Gap>)>,
    /// Repositories for which GitHub's budget did not suffice: to be asked again, fewer at once. Never all of a
    /// document that has only one.
    pub again: Vec<Repo>,
    /// Repositories whose issues the token may not see: to be asked for their pull requests alone.
    pub no_issues: Vec<Repo>,
    /// What it cost, in points, as GitHub says; `None`: it did not say.
    pub cost: Option<u32>,
    /// What is left.
    pub meter: Meter,
}

/// Reads the answer to `heads`. Pure: the same answer teaches the same.
pub fn learn_heads(heads: &Heads, received: &Received<'_>) -> Learned<HeadsAnswered> {
    let envelope = match envelope::open(received, heads.repositories.len(), 0) {
        Ok(envelope) => envelope,
        Err(instead) => return instead,
    };
    let mut answered = HeadsAnswered {
        cost: envelope.cost,
        meter: envelope.meter,
        ..HeadsAnswered::default()
    };
    let alone = heads.repositories.len() <= 1;
    let spent = (0..heads.repositories.len()).any(|at| is_too_much(&envelope.errors, at));
    for (at, repo) in heads.repositories.iter().enumerate() {
        let value = envelope.data.get(&repository_alias(at));
        let value = value.unwrap_or(&Value::Null);
        let problem = envelope.errors.repository(at);
        // What is null without an error may have come after the budget was spent.
        if !alone
            && (is_too_much(&envelope.errors, at) || spent && value.is_null() && problem.is_none())
        {
            answered.again.push(repo.clone());
            continue;
        }
        let with_issues = heads.with_issues.get(at).copied().unwrap_or(true);
        if with_issues && envelope.errors.only_denies(at, "issues") {
            answered.no_issues.push(repo.clone());
            continue;
        }
        let learned = match problem {
            Some(problem) if problem.class == Class::NotFound => Err(Gap::new(
                GapKind::NotFound,
                format!("there is no repository {repo}, or the token has no access to it"),
            )),
            Some(problem) => Err(problem.gap(&format!("repository {repo}"))),
            None => heads_of(value, repo, with_issues),
        };
        answered.repositories.push((repo.clone(), learned));
    }
    Learned::Answered(answered)
}

fn is_too_much(errors: &Errors, at: usize) -> bool {
    errors
        .repository(at)
        .is_some_and(|problem| problem.class == Class::TooMuch)
}

fn heads_of(value: &Value, repo: &Repo, with_issues: bool) -> Result<RepoHeads, Gap> {
    if value.is_null() {
        return Err(malformed(format!(
            "repository {repo} is null without an error"
        )));
    }
    let raw: RawRepository = read(value)?;
    match Repo::parse(&raw.name_with_owner) {
        Ok(name) if name == *repo => {}
        Ok(name) => {
            return Err(renamed(repo, name));
        }
        Err(_) => return Err(malformed(format!("repository {repo} has no name"))),
    }
    let issues = match raw.issues {
        Some(issues) => Some(issues),
        None if with_issues => return Err(malformed(format!("{repo}: no list of issues"))),
        None => None,
    };
    let is_last = |list: &RawHeads| !list.page_info.has_next_page;
    Ok(RepoHeads {
        id: raw.id,
        issues_complete: raw.has_issues_enabled && issues.as_ref().is_some_and(is_last),
        pulls_complete: is_last(&raw.pull_requests),
        issues: issues.map_or_else(|| Ok(Vec::new()), list)?,
        pulls: list(raw.pull_requests)?,
    })
}

/// All of a list. One that cannot be read may be the one that changed.
fn list(raw: RawHeads) -> Result<Vec<Head>, Gap> {
    let head = |raw: Option<RawHead>| {
        let raw = raw.ok_or_else(|| malformed("an entry of a list is null without an error"))?;
        Ok(Head {
            number: raw.number,
            updated: timestamp("updatedAt", &raw.updated_at)?,
            open: raw.state == "OPEN",
            branch: raw.head_ref_name,
            owner: raw.head_repository_owner.map(|owner| owner.login),
        })
    };
    raw.nodes.into_iter().map(head).collect()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawRepository {
    id: String,
    name_with_owner: String,
    has_issues_enabled: bool,
    #[serde(default)]
    issues: Option<RawHeads>,
    pull_requests: RawHeads,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawHeads {
    page_info: RawPage,
    nodes: Vec<Option<RawHead>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawPage {
    has_next_page: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawHead {
    number: u32,
    state: String,
    updated_at: String,
    #[serde(default)]
    head_ref_name: Option<String>,
    #[serde(default)]
    head_repository_owner: Option<RawOwner>,
}

#[derive(Deserialize)]
struct RawOwner {
    login: String,
}
