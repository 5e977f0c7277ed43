//! One GraphQL document for many questions.
//!
//! What comes from records travels as variables only: no text of a record is ever part of the document. A question's
//! alias is `item<N>`, N being its place in [`Query::questions`]; a repository's alias is `repository<N>`.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use crate::ask::Parts;
use crate::plan::{Question, Repo, Target};

/// How many pull requests of one branch the first look takes. An agent's branch has one or two; only names such as
/// `main` have more, since forks use them too.
pub const BRANCH_PAGE: u32 = 10;

/// How many each further page takes.
pub const BRANCH_PAGE_FURTHER: u32 = 50;

/// An issue has at most 100 labels, which is also the most that one page can hold.
const LABELS_MAX: u32 = 100;

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
        let mut fragments = Fragments::default();
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
            fragments.note(question);
            selection(&mut blocks[place], at, question);
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
                 nameWithOwner\n    hasIssuesEnabled\n{block}  }}\n"
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
            fragments.text()
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
/// count by their declared size and nesting, whether or not anything is in them; none of ours is inside another.
pub fn points(query: &Query) -> u32 {
    ((query.connections + 50) / 100).max(1)
}

/// The lists that a question makes GitHub fetch.
fn lists(question: &Question) -> u32 {
    match question.target {
        // The labels.
        Target::Issue { .. } => 1,
        // Scalars and single objects are free, the roll-up of the checks among them.
        Target::PullRequest { .. } => 0,
        Target::Branch { .. } => 1,
    }
}

fn question_variables(at: usize, question: &Question) -> Vec<(String, Value)> {
    match &question.target {
        Target::Issue { number, .. } | Target::PullRequest { number, .. } => {
            vec![(format!("number{at}"), (*number).into())]
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

fn declare(out: &mut String, at: usize, question: &Question) {
    let _ = match question.target {
        Target::Issue { .. } | Target::PullRequest { .. } => write!(out, "$number{at}: Int!, "),
        Target::Branch { .. } if question.after.is_some() => {
            write!(out, "$branch{at}: String!, $after{at}: String!, ")
        }
        Target::Branch { .. } => write!(out, "$branch{at}: String!, "),
    };
}

fn selection(out: &mut String, at: usize, question: &Question) {
    let alias = item_alias(at);
    let parts = spreads(question.parts);
    let _ = match question.target {
        // Not `issue`: that answers "not found" for the number of a pull request, which would read as a deleted issue.
        Target::Issue { .. } => writeln!(
            out,
            "    {alias}: issueOrPullRequest(number: $number{at}) {{ __typename ...IssueFacts }}"
        ),
        Target::PullRequest { .. } => writeln!(
            out,
            "    {alias}: pullRequest(number: $number{at}) {{ ...PullRequestFacts{parts} }}"
        ),
        Target::Branch { .. } => {
            let (first, after) = match question.after {
                Some(_) => (BRANCH_PAGE_FURTHER, format!(", after: $after{at}")),
                None => (BRANCH_PAGE, String::new()),
            };
            writeln!(
                out,
                "    {alias}: pullRequests(headRefName: $branch{at}, first: {first}{after}, orderBy: {{field: CREATED_AT, direction: DESC}}) {{ pageInfo {{ hasNextPage endCursor }} nodes {{ ...PullRequestFacts{parts} }} }}"
            )
        }
    };
}

fn spreads(parts: Parts) -> String {
    let mut text = String::new();
    for (wanted, name) in [
        (parts.mergeability, "Mergeability"),
        (parts.reviews, "Reviews"),
        (parts.checks, "Checks"),
    ] {
        if wanted {
            let _ = write!(text, " ...{name}");
        }
    }
    text
}

/// The fragments that a document uses: strict validators refuse one that is not.
#[derive(Default)]
struct Fragments {
    issue: bool,
    pull_request: bool,
    parts: Parts,
}

impl Fragments {
    fn note(&mut self, question: &Question) {
        match question.target {
            Target::Issue { .. } => self.issue = true,
            Target::PullRequest { .. } | Target::Branch { .. } => {
                self.pull_request = true;
                self.parts = self.parts.union(question.parts);
            }
        }
    }

    fn text(&self) -> String {
        // `state` is another enum on an issue than on a pull request, and strict validators refuse one name for both.
        // Without `enableDuplicate` a duplicate would read as not planned.
        let issue = format!(
            "fragment IssueFacts on Issue {{ number repository {{ nameWithOwner }} issueState: state \
             stateReason(enableDuplicate: true) closedAt labels(first: {LABELS_MAX}) {{ pageInfo {{ hasNextPage }} \
             nodes {{ name }} }} }}\n"
        );
        [
            (self.issue, issue.as_str()),
            (
                self.pull_request,
                "fragment PullRequestFacts on PullRequest { number prState: state isDraft createdAt mergedAt \
                 closedAt url headRefName baseRefName headRefOid headRepositoryOwner { login } }\n",
            ),
            (
                self.parts.mergeability,
                "fragment Mergeability on PullRequest { mergeable mergeStateStatus }\n",
            ),
            (
                self.parts.reviews,
                "fragment Reviews on PullRequest { reviewDecision }\n",
            ),
            (
                self.parts.checks,
                "fragment Checks on PullRequest { statusCheckRollup { state } }\n",
            ),
        ]
        .into_iter()
        .filter(|(used, _)| *used)
        .map(|(_, text)| text)
        .collect()
    }
}
