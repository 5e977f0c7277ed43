//! Which questions a set of sessions comes down to: each one once, grouped by repository.

use std::collections::HashMap;
use std::fmt;
use std::hash::{Hash, Hasher};

use vigil_core::forge::Check;
use vigil_core::session::PullRequestRef;
use vigil_core::{Gap, GapKind};

use crate::ask::{Ask, Parts};
use crate::query::Query;

/// The queries that would be sent for `asks`, at most `batch` sessions in each. What they cost is the sum of
/// [`points`](crate::points); pages that a crowded branch needs, and retries, come on top.
pub fn plan(asks: &[Ask], batch: usize) -> Vec<Query> {
    groups(asks)
        .chunks(batch.max(1))
        .map(|chunk| Query::new(chunk.concat()))
        .collect()
}

/// The questions of each session that nobody before it asked, sessions of one repository side by side. A session
/// that shares all of its questions, or has none, has no group.
pub fn groups(asks: &[Ask]) -> Vec<Vec<Question>> {
    let mut groups: Vec<Vec<Question>> = Vec::new();
    let mut places: HashMap<Target, (usize, usize)> = HashMap::new();
    for ask in asks {
        let mut group = Vec::new();
        for question in questions(ask) {
            match places.get(&question.target) {
                // It is asked already; only what is wanted of it may grow. A place behind the last group is in the
                // group that is just being made.
                Some(&(at, within)) => {
                    let asked: &mut Question = match groups.get_mut(at) {
                        Some(earlier) => &mut earlier[within],
                        None => &mut group[within],
                    };
                    asked.parts |= question.parts;
                }
                None => {
                    places.insert(question.target.clone(), (groups.len(), group.len()));
                    group.push(question);
                }
            }
        }
        if !group.is_empty() {
            groups.push(group);
        }
    }
    // One repository per query costs the least, and a repository that fails takes the fewest others with it.
    groups.sort_by_cached_key(|group| group[0].target.repo().key());
    groups
}

/// What one session asks.
fn questions(ask: &Ask) -> impl Iterator<Item = Question> {
    let issue = issue_target(ask)
        .and_then(Result::ok)
        .map(|target| Question {
            target,
            parts: ask.wants.of_issue(),
            after: None,
            checks_so_far: None,
        });
    let pull_request = pull_request_target(ask)
        .and_then(Result::ok)
        .map(|target| Question {
            target,
            parts: ask.wants.of_pull_request(),
            after: None,
            checks_so_far: None,
        });
    issue.into_iter().chain(pull_request)
}

/// What is asked to learn the issue; `None`: nobody wants it; an error: it cannot be asked for.
pub(crate) fn issue_target(ask: &Ask) -> Option<Result<Target, Gap>> {
    if !ask.wants.any_issue() {
        return None;
    }
    Some(ask.lookup.issue.clone().and_then(|issue| {
        Ok(Target::Issue {
            repo: Repo::parse(&issue.repo)?,
            number: number("issue", issue.number)?,
        })
    }))
}

/// What is asked to learn the pull request; `None`: nobody wants it; an error: it cannot be asked for.
pub(crate) fn pull_request_target(ask: &Ask) -> Option<Result<Target, Gap>> {
    if !ask.wants.any_pull_request() {
        return None;
    }
    Some(ask.lookup.pull_request.clone().and_then(|pr| match pr {
        PullRequestRef::Number { repo, number: n } => Ok(Target::PullRequest {
            repo: Repo::parse(&repo)?,
            number: number("pull request", n)?,
        }),
        PullRequestRef::Branch { branch, .. } if branch.is_empty() => Err(Gap::new(
            GapKind::Unrecorded,
            "the record holds an empty branch name and no pull request",
        )),
        PullRequestRef::Branch { repo, branch, .. } => Ok(Target::Branch {
            repo: Repo::parse(&repo)?,
            branch,
        }),
    }))
}

/// GitHub counts from 1, and GraphQL's integers end at 2^31 - 1.
fn number(what: &str, number: u64) -> Result<u32, Gap> {
    match u32::try_from(number) {
        Ok(n @ 1..=0x7fff_ffff) => Ok(n),
        _ => Err(Gap::new(
            GapKind::Unrecorded,
            format!("the record names {what} #{number}, which is no number that GitHub gives"),
        )),
    }
}

/// One thing that is asked of GitHub, and how much of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The thing.
    pub target: Target,
    /// How much of it. What the target does not have is passed over; [`Parts::SECOND`] is answered only for a pull
    /// request by its number, and is unknown (not-ready) in the list of a branch.
    pub parts: Parts,
    /// The cursor after which the list of a branch goes on; `None`: its beginning.
    pub after: Option<String>,
    /// Where the list of checks goes on, for a pull request by its number; `None`: its beginning. Taken from
    /// [`Answered::more`](crate::learn::Answered::more), never made up.
    pub checks_so_far: Option<ChecksSoFar>,
}

/// A list of checks that did not fit into one answer, as far as it has been read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChecksSoFar {
    /// The newest commit of the head that they belong to. Another one starts the list anew.
    pub head: String,
    /// Those that were read, in GitHub's order.
    pub known: Vec<Check>,
    /// The cursor behind the last of them.
    pub after: String,
    /// How many pages they came on.
    pub pages: u32,
}

/// One thing that can be asked of GitHub. Equal targets are asked once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// An issue by its number.
    Issue {
        /// Its repository.
        repo: Repo,
        /// From 1 to 2^31 - 1.
        number: u32,
    },
    /// A pull request by its number.
    PullRequest {
        /// The repository that it goes into.
        repo: Repo,
        /// From 1 to 2^31 - 1.
        number: u32,
    },
    /// All pull requests with this branch name at the head, whoever owns the head.
    Branch {
        /// The repository that they go into.
        repo: Repo,
        /// To the letter: git tells upper from lower case.
        branch: String,
    },
}

impl Target {
    /// The repository that is asked.
    pub fn repo(&self) -> &Repo {
        match self {
            Target::Issue { repo, .. }
            | Target::PullRequest { repo, .. }
            | Target::Branch { repo, .. } => repo,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Issue { repo, number } => write!(f, "issue {repo}#{number}"),
            Target::PullRequest { repo, number } => write!(f, "pull request {repo}#{number}"),
            Target::Branch { repo, branch } => {
                write!(f, "pull requests of branch {branch} into {repo}")
            }
        }
    }
}

/// A repository's `owner/name`, equal without regard to case, as GitHub sees it. Shown as it was first spelled.
#[derive(Clone, Debug)]
pub struct Repo {
    owner: String,
    name: String,
}

impl Repo {
    /// From `owner/name`. Whether such names can exist is left to GitHub to say.
    ///
    /// # Errors
    /// A gap of kind unrecorded where the text does not have exactly two parts.
    pub fn parse(text: &str) -> Result<Self, Gap> {
        match text.split_once('/') {
            Some((owner, name)) if !owner.is_empty() && !name.is_empty() && !name.contains('/') => {
                Ok(Repo {
                    owner: owner.to_owned(),
                    name: name.to_owned(),
                })
            }
            _ => Err(Gap::new(
                GapKind::Unrecorded,
                format!("the record names the repository {text:?}, which is not owner/name"),
            )),
        }
    }

    /// The user or organisation.
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// The part after the slash.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// One text for all spellings.
    fn key(&self) -> String {
        format!("{}/{}", self.owner, self.name).to_ascii_lowercase()
    }
}

impl fmt::Display for Repo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.name)
    }
}

impl PartialEq for Repo {
    fn eq(&self, other: &Self) -> bool {
        self.owner.eq_ignore_ascii_case(&other.owner) && self.name.eq_ignore_ascii_case(&other.name)
    }
}

impl Eq for Repo {}

impl Hash for Repo {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}
