//! One GraphQL document for many questions.
//!
//! What comes from records travels as variables only: no text of a record is ever part of the document. A question's
//! alias is `item<N>`, N being its place in [`Query::questions`]; a repository's alias is `repository<N>`.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::{Map, Value};

use crate::ask::Parts;
use crate::fragments::{self, CHECKS_PAGE, Fragment};
use crate::question::{Question, Repo, Target};

/// How many pull requests of one branch the first look takes. An agent's branch has one or two; only names such as
/// `main` have more, since forks use them too.
pub const BRANCH_PAGE: u32 = 10;

/// How many each further page takes.
pub const BRANCH_PAGE_FURTHER: u32 = 50;

/// A document with its variables, and what each alias in it stands for.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// GraphQL. Depends on the shape of the questions alone.
    pub document: String,
    /// By name, without the dollar sign.
    pub variables: Map<String, Value>,
    /// In the order of their aliases.
    pub questions: Vec<Question>,
    /// In the order of their aliases.
    pub repositories: Vec<Repo>,
    /// How many lists GitHub has to fetch, the measure of the price.
    pub connections: u32,
}

impl Query {
    /// The document for `questions`, with one block per repository.
    pub fn new(questions: Vec<Question>) -> Self {
        let mut variables = Map::new();
        let mut repositories: Vec<Repo> = Vec::new();
        let mut blocks: Vec<String> = Vec::new();
        let mut used: BTreeSet<Fragment> = BTreeSet::new();
        let mut connections = 0;
        for (at, question) in questions.iter().enumerate() {
            let repo = question.target.repo();
            let place = match repositories.iter().position(|known| known == repo) {
                Some(place) => place,
                None => {
                    repositories.push(repo.clone());
                    blocks.push(String::new());
                    repositories.len() - 1
                }
            };
            connections += lists(question);
            let spread = fragments::spread(question);
            selection(&mut blocks[place], at, question, &spread);
            used.extend(spread);
            variables.extend(question_variables(at, question));
        }

        let mut declared = String::new();
        for (at, question) in questions.iter().enumerate() {
            declare(&mut declared, at, question);
        }
        let mut body = String::new();
        for (at, (repo, block)) in repositories.iter().zip(&blocks).enumerate() {
            let alias = repository_alias(at);
            // Writing to a String cannot fail.
            let _ = write!(declared, "$owner{at}: String!, $name{at}: String!, ");
            let _ = write!(
                body,
                "  {alias}: repository(owner: $owner{at}, name: $name{at}, followRenames: false) {{\n    \
                 id\n    nameWithOwner\n    hasIssuesEnabled\n    defaultBranchRef {{ name }}\n{block}  }}\n"
            );
            variables.insert(format!("owner{at}"), repo.owner().into());
            variables.insert(format!("name{at}"), repo.name().into());
        }
        let declared = declared.trim_end_matches(", ");
        let parameters = if declared.is_empty() {
            String::new()
        } else {
            format!("({declared})")
        };
        let document = format!(
            "query Vigil{parameters} {{\n  rateLimit {{ limit cost remaining resetAt }}\n{body}}}\n{}",
            fragments::text(&used)
        );
        Query {
            document,
            variables,
            questions,
            repositories,
            connections,
        }
    }
}

/// The alias of the repository at `place`.
pub(crate) fn repository_alias(place: usize) -> String {
    format!("repository{place}")
}

/// The alias of the question at `at`.
pub(crate) fn item_alias(at: usize) -> String {
    format!("item{at}")
}

/// What `query` costs by the formula that GitHub publishes: list fetches over 100, rounded, and at least 1. Lists
/// count by their declared size and nesting, whether or not anything is in them.
pub fn points(query: &Query) -> u32 {
    points_of(query.connections)
}

/// The price of so many list fetches.
pub fn points_of(connections: u32) -> u32 {
    (connections.saturating_add(50) / 100).max(1)
}

/// The lists that a question makes GitHub fetch. Scalars and single objects are free, the roll-up of the checks among
/// them.
fn lists(question: &Question) -> u32 {
    let parts = question.parts;
    let one = |part| u32::from(parts.contains(part));
    let of_pull_request = one(Parts::REVIEW_LIST) + one(Parts::REFERENCES);
    match question.target {
        // The labels are always there.
        Target::Issue { .. } => {
            1 + one(Parts::ASSIGNEES) + one(Parts::HISTORY) + one(Parts::REFERENCES)
        }
        Target::PullRequest { .. } => {
            // The list of commits, of which only the last is taken, and what is below it.
            let below = one(Parts::CHECK_LIST) + one(Parts::RUNS);
            of_pull_request + below + u32::from(below > 0)
        }
        // What is inside a list is fetched once for each place in it.
        Target::Branch { .. } => 1 + page(question) * of_pull_request,
    }
}

/// How many pull requests of a branch one look takes.
fn page(question: &Question) -> u32 {
    match question.after {
        Some(_) => BRANCH_PAGE_FURTHER,
        None => BRANCH_PAGE,
    }
}

fn question_variables(at: usize, question: &Question) -> Vec<(String, Value)> {
    match &question.target {
        Target::Issue { number, .. } => vec![(format!("number{at}"), (*number).into())],
        Target::PullRequest { number, .. } => {
            let mut variables = vec![(format!("number{at}"), (*number).into())];
            if let Some(cursor) = checks_after(question) {
                variables.push((format!("checks{at}"), cursor.into()));
            }
            variables
        }
        Target::Branch { branch, .. } => {
            let mut variables = vec![(format!("branch{at}"), branch.as_str().into())];
            if let Some(cursor) = &question.after {
                variables.push((format!("after{at}"), cursor.as_str().into()));
            }
            variables
        }
    }
}

/// The cursor behind the checks that are known already.
fn checks_after(question: &Question) -> Option<&str> {
    let so_far = question.checks_so_far.as_ref()?;
    question
        .parts
        .contains(Parts::CHECK_LIST)
        .then_some(so_far.after.as_str())
}

fn declare(out: &mut String, at: usize, question: &Question) {
    // Writing to a String cannot fail.
    let _ = match question.target {
        Target::PullRequest { .. } if checks_after(question).is_some() => {
            write!(out, "$number{at}: Int!, $checks{at}: String!, ")
        }
        Target::Issue { .. } | Target::PullRequest { .. } => write!(out, "$number{at}: Int!, "),
        Target::Branch { .. } if question.after.is_some() => {
            write!(out, "$branch{at}: String!, $after{at}: String!, ")
        }
        Target::Branch { .. } => write!(out, "$branch{at}: String!, "),
    };
}

fn selection(out: &mut String, at: usize, question: &Question, spread: &[Fragment]) {
    let alias = item_alias(at);
    let facts: String = spread
        .iter()
        .filter(|fragment| fragment.is_of_the_thing())
        .map(|fragment| format!(" ...{}", fragment.name()))
        .collect();
    let _ = match question.target {
        // Not `issue`: that answers "not found" for the number of a pull request, which would read as a deleted issue.
        Target::Issue { .. } => writeln!(
            out,
            "    {alias}: issueOrPullRequest(number: $number{at}) {{ __typename{facts} }}"
        ),
        Target::PullRequest { .. } => {
            let head = head(at, question);
            writeln!(
                out,
                "    {alias}: pullRequest(number: $number{at}) {{{facts}{head} }}"
            )
        }
        Target::Branch { .. } => {
            let first = page(question);
            let after = match question.after {
                Some(_) => format!(", after: $after{at}"),
                None => String::new(),
            };
            writeln!(
                out,
                "    {alias}: pullRequests(headRefName: $branch{at}, first: {first}{after}, orderBy: {{field: CREATED_AT, direction: DESC}}) {{ pageInfo {{ hasNextPage endCursor }} nodes {{{facts} }} }}"
            )
        }
    };
}

/// What is asked of the newest commit of a pull request's head. Its `oid` shows which commit that was.
fn head(at: usize, question: &Question) -> String {
    let mut inner = String::new();
    if question.parts.contains(Parts::CHECK_LIST) {
        let after = match checks_after(question) {
            Some(_) => format!(", after: $checks{at}"),
            None => String::new(),
        };
        let _ = write!(
            inner,
            " statusCheckRollup {{ contexts(first: {CHECKS_PAGE}{after}) {{ ...{} }} }}",
            Fragment::CheckList.name()
        );
    }
    if question.parts.contains(Parts::RUNS) {
        let _ = write!(inner, " ...{}", Fragment::Runs.name());
    }
    match inner.as_str() {
        "" => inner,
        _ => format!(" commits(last: 1) {{ nodes {{ commit {{ oid{inner} }} }} }}"),
    }
}
