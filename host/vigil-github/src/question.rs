//! What can be asked of GitHub, and which of it a session asks. What has to be asked now is worked out from what is
//! known: see [`Memory::questions`](crate::memory::Memory::questions).

use std::fmt;
use std::hash::{Hash, Hasher};

use vigil_core::forge::Check;
use vigil_core::session::PullRequestRef;
use vigil_core::{Gap, GapKind};

use crate::ask::{Ask, Parts};

/// What is asked to learn the issue; `None`: nobody wants it, or there is none; an error: it cannot be asked for.
pub(crate) fn issue_target(ask: &Ask) -> Option<Result<Target, Gap>> {
    if !ask.wants.any_issue() {
        return None;
    }
    let issue = ask.lookup.issue.as_ref().map(Option::as_ref).transpose()?;
    Some(issue.map_err(Clone::clone).and_then(|issue| {
        Ok(Target::Issue {
            repo: Repo::parse(&issue.repo)?,
            number: number("issue", issue.number)?,
        })
    }))
}

/// What leads to the pull request; `None`: nobody wants it, or there is none; an error: it cannot be asked for.
pub(crate) fn sought(ask: &Ask) -> Option<Result<Sought<'_>, Gap>> {
    if !ask.wants.any_pull_request() {
        return None;
    }
    match &ask.lookup.pull_request {
        Ok(looked_up) => looked_up.as_ref().map(Sought::of),
        Err(gap) => Some(Err(gap.clone())),
    }
}

/// What leads to the pull request of a session.
#[derive(Clone, Debug)]
pub(crate) struct Sought<'a> {
    pub(crate) repo: Repo,
    pub(crate) number: Option<u32>,
    /// What the record has for a number, where GitHub gives no such numbers and a branch is known.
    pub(crate) nothing: Option<u64>,
    /// Names of branches, all of `head_owner`; none is empty.
    pub(crate) branches: Vec<&'a str>,
    /// The one of them that no record names.
    pub(crate) checked_out: Option<&'a str>,
    pub(crate) head_owner: Option<&'a str>,
}

impl<'a> Sought<'a> {
    fn of(looked_up: &'a PullRequestRef) -> Result<Self, Gap> {
        let repo = Repo::parse(&looked_up.repo)?;
        let number = looked_up.number.map(|n| number("pull request", n));
        let head_owner = looked_up.head_owner.as_deref();
        let branches = looked_up.branches.iter().map(String::as_str);
        let branches: Vec<&str> = branches
            .filter(|branch| !branch.is_empty() && head_owner.is_some())
            .collect();
        let (number, nothing) = match number {
            Some(Err(_)) if !branches.is_empty() => (None, looked_up.number),
            number => (number.transpose()?, None),
        };
        if number.is_none() && branches.is_empty() {
            return Err(Gap::new(
                GapKind::Unrecorded,
                "the record holds an empty branch name and no pull request",
            ));
        }
        Ok(Sought {
            repo,
            number,
            nothing,
            branches,
            checked_out: looked_up.checked_out.as_deref(),
            head_owner,
        })
    }

    /// What is asked about the branch of that name.
    pub(crate) fn branch(&self, branch: &str) -> Target {
        Target::Branch {
            repo: self.repo.clone(),
            branch: branch.to_owned(),
        }
    }
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
