//! Where the forge is asked about a session, and which names it could have heard of.

use vigil_core::fact::{Gap, GapKind};
use vigil_core::session::{IssueRef, PullRequestRef};

use crate::vigilante::convert::unrecorded;

/// Where the session's branch is pushed and its pull request goes.
pub(crate) struct Fork {
    pub(crate) is_fork: Result<bool, Gap>,
    pub(crate) owner: Result<Option<String>, Gap>,
    pub(crate) push_repo: Result<Option<String>, Gap>,
    pub(crate) upstream: Result<Option<String>, Gap>,
}

/// The issue, where the forge itself tracks it: one that lives elsewhere is none of the forge's.
pub(crate) fn issue_ref(
    tracker: &str,
    repo: &Result<Option<String>, Gap>,
    issue: &Result<Option<u64>, Gap>,
) -> Result<Option<IssueRef>, Gap> {
    if tracker != "github" {
        return Ok(None);
    }
    Ok(Some(IssueRef {
        repo: repo.clone()?.ok_or_else(|| unrecorded("repo"))?,
        number: issue.clone()?.ok_or_else(|| unrecorded("issue_number"))?,
    }))
}

/// All that may lead to the pull request: the number and the branch, as far as they are recorded. It goes into the
/// repository itself or, from a fork, into `upstream_repo`; its branch lies where Vigilante pushes.
pub(crate) fn pull_request_ref(
    repo: &Result<Option<String>, Gap>,
    branch: &Result<Option<String>, Gap>,
    number: &Result<Option<u64>, Gap>,
    fork: &Fork,
) -> Result<Option<PullRequestRef>, Gap> {
    let own = repo.clone()?.ok_or_else(|| unrecorded("repo"))?;
    let is_fork = fork.is_fork.clone()?;
    let into = match is_fork {
        true => fork.upstream.clone()?.unwrap_or_else(|| own.clone()),
        false => own.clone(),
    };
    let number = number.clone()?;
    let owner = head_owner(&own, is_fork, fork);
    if let Some(number) = number {
        return Ok(Some(PullRequestRef {
            // What the record cannot say of its branch leaves the number.
            branches: branch.clone().ok().flatten().into_iter().collect(),
            head_owner: owner.ok(),
            ..PullRequestRef::by_number(into, number)
        }));
    }
    let Some(branch) = branch.clone()? else {
        return Err(Gap::new(
            GapKind::Unrecorded,
            "the record names neither a pull request nor a branch",
        ));
    };
    Ok(Some(PullRequestRef::by_branch(into, branch, owner?)))
}

/// Who owns the repository that the branch is pushed to.
fn head_owner(own: &str, is_fork: bool, fork: &Fork) -> Result<String, Gap> {
    let owner_of = |repo: &str| repo.split('/').next().map(str::to_owned);
    let fork_owner = match is_fork {
        true => fork.owner.clone()?,
        false => None,
    };
    let pushed_to = fork.push_repo.clone()?.as_deref().and_then(owner_of);
    match fork_owner.or(pushed_to) {
        Some(owner) => Ok(owner),
        // A fork's branch lies anywhere but in the repository itself.
        None if is_fork => Err(unrecorded("fork_owner")),
        None => owner_of(own).ok_or_else(|| unrecorded("repo")),
    }
}

/// Whether `owner/name` can name a repository: owners of letters, digits, dashes and underscores (managed users have
/// them), names of those and dots.
pub(crate) fn is_repo(repo: &str) -> bool {
    const NAME_CHARS_MAX: usize = 100;
    let Some((owner, name)) = repo.split_once('/') else {
        return false;
    };
    is_owner(owner)
        && !name.is_empty()
        && name.len() <= NAME_CHARS_MAX
        && name != "."
        && name != ".."
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

/// Whether `owner` can own repositories.
pub(crate) fn is_owner(owner: &str) -> bool {
    const OWNER_CHARS_MAX: usize = 100;
    !owner.is_empty()
        && owner.len() <= OWNER_CHARS_MAX
        && !owner.starts_with('-')
        && owner
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

/// Whether git takes `name` for a branch (git-check-ref-format, for what follows `refs/heads/`). What it does not take
/// could mean something else on its command line, such as a range.
pub(crate) fn is_ref_name(name: &str) -> bool {
    const BYTES_MAX: usize = 1024;
    !name.is_empty()
        && name.len() <= BYTES_MAX
        && name != "@"
        && !name.starts_with('-')
        && !name.ends_with('.')
        && !name.contains("..")
        && !name.contains("@{")
        && !name.contains(|c: char| {
            c.is_ascii_control() || matches!(c, ' ' | '~' | '^' | ':' | '?' | '*' | '[' | '\\')
        })
        && name
            .split('/')
            .all(|part| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock"))
}
