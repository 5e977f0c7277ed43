//! What a repository and a worktree say of a session's work: changes that are not committed, commits that no remote has,
//! and commits that its pull request does not have.
//!
//! Nothing is asked of git: `machine::git` reads its files, starts no program, and writes nothing.

use std::path::Path;
use std::sync::OnceLock;

use vigil_core::Timestamp;
use vigil_core::fact::{Fact, Gap, GapKind, Sighting};

use crate::machine::git::{Checkout, GitFiles, Oid, Person, Pushes, Store, Work};
use crate::vigilante::record::excerpt;
use crate::vigilante::worktree::Place;

pub(crate) use crate::machine::git::Repository;

/// Looks at repositories for the person whose git files these are.
#[derive(Debug)]
pub(crate) struct Git {
    files: GitFiles,
    person: OnceLock<Result<Person, Gap>>,
}

/// What a session's work is in a repository.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line<'a> {
    /// The session's branch.
    pub(crate) branch: Option<&'a str>,
    /// The branch that the work goes into. `None`: the record does not say.
    pub(crate) base: Option<&'a str>,
    /// Full names of the remote branches that it goes into.
    pub(crate) remote_bases: &'a [String],
}

/// A worktree that was opened for one look. `None`: it is missing.
pub(crate) type Opened = Result<Option<Checkout>, Gap>;

/// The newest commits of a session's work, and the folder to read them in.
struct Tips<'a> {
    store: Held<'a>,
    commits: Vec<Oid>,
}

enum Held<'a> {
    With(&'a Checkout),
    Alone(Box<Store>),
}

impl Held<'_> {
    fn store(&self) -> &Store {
        match self {
            Held::With(checkout) => checkout.store(),
            Held::Alone(store) => store,
        }
    }
}

impl Git {
    pub(crate) fn new(files: &GitFiles) -> Self {
        Git {
            files: files.clone(),
            person: OnceLock::new(),
        }
    }

    /// Opens the repository at `path`, which must be one itself and not merely lie inside another.
    pub(crate) fn open(&self, path: &Path) -> Result<Repository, Gap> {
        Repository::open(path)
    }

    /// Opens the worktree at `place`, once for all that is asked of it.
    pub(crate) fn enter(&self, repository: &Repository, place: &Place) -> Opened {
        match place {
            Place::Missing(_) => Ok(None),
            Place::Unknown(gap) | Place::Foreign(gap) => Err(gap.clone()),
            Place::Linked { dir, git_dir } => Checkout::open(repository, dir, git_dir).map(Some),
        }
    }

    /// Uncommitted changes in the worktree, untracked files included. Absent: there is no worktree.
    pub(crate) fn dirty(&self, worktree: &Opened, now: Timestamp) -> Fact<bool> {
        let checkout = match worktree {
            Ok(Some(checkout)) => checkout,
            Ok(None) => return Fact::absent_at(now),
            Err(gap) => return Fact::from(gap.clone()),
        };
        let person = self.person.get_or_init(|| Person::read(&self.files));
        match person.as_ref().map_err(Gap::clone) {
            Ok(person) => told(checkout.dirty(person)),
            Err(gap) => Fact::from(gap),
        }
    }

    /// Commits on the session's branch, and on whatever the worktree has checked out, that no remote has. Absent: neither
    /// branch nor worktree is left.
    ///
    /// Where the clone has remote branches of the session's branch, they say what was pushed. Where there is no remote,
    /// nothing was pushed, and what the base branch has is no work of this session's. In all other clones (see
    /// [`Repository::pushes`]) it is known of what a remote branch has, or without any the base branch, and of nothing
    /// else: neither that it was pushed nor that it was not.
    pub(crate) fn unpushed(
        &self,
        repository: &Repository,
        worktree: &Opened,
        line: Line<'_>,
        now: Timestamp,
    ) -> Fact<u32> {
        let tips = match tips(repository, worktree, line.branch) {
            Err(gap) => return Fact::from(gap),
            Ok(None) => return no_branch(line.branch, now),
            Ok(Some(tips)) => tips,
        };
        // The usual case needs no walk: all that is there was pushed just as it is.
        if tips.commits.iter().all(|tip| repository.is_remote(tip)) {
            return Fact::Found(0);
        }
        match unpushed(repository, &tips, line) {
            Ok(fact) => fact,
            Err(gap) => Fact::from(gap),
        }
    }

    /// Commits on the session's branch, and on whatever the worktree has checked out, whose content is not in the commit
    /// `head`. What the base branch holds is merged and no work of this session's. The same change counts as the same,
    /// wherever it was rebased to or squashed into. Absent: neither branch nor worktree is left. Where `head` is not
    /// here, all is merged or pushed or it is unknown.
    pub(crate) fn beyond(
        &self,
        repository: &Repository,
        worktree: &Opened,
        line: Line<'_>,
        head: &str,
        now: Timestamp,
    ) -> Fact<u32> {
        let Ok(head) = head.parse::<Oid>() else {
            return Fact::unknown(
                GapKind::Malformed,
                format!("{} is no commit's name", excerpt(head)),
            );
        };
        let tips = match tips(repository, worktree, line.branch) {
            Err(gap) => return Fact::from(gap),
            Ok(None) => return no_branch(line.branch, now),
            Ok(Some(tips)) => tips,
        };
        // The usual case needs no walk: branch and worktree stand where the pull request ends.
        if tips.commits.iter().all(|tip| *tip == head) {
            return Fact::Found(0);
        }
        match beyond(repository, &tips, line, head) {
            Ok(Some(count)) => Fact::Found(count),
            Err(gap) => Fact::from(gap),
            // The head is not here, and neither is the content.
            Ok(None) => match self.unpushed(repository, worktree, line, now) {
                Fact::Found(1..) | Fact::NotAsked | Fact::Unknown(_) => Fact::unknown(
                    GapKind::NoControl,
                    format!(
                        "commit {head} is not in {}; fetch it to compare the branch with it",
                        repository.dir.display()
                    ),
                ),
                other => other,
            },
        }
    }
}

impl Git {
    /// Which branch the worktree has checked out, and where it and the session's branch stand.
    pub(crate) fn checkout(
        &self,
        repository: &Repository,
        worktree: &Opened,
        branch: Option<&str>,
        now: Timestamp,
    ) -> crate::Checkout {
        let checked_out = match worktree {
            Err(gap) => Fact::from(gap.clone()),
            Ok(None) => Fact::absent_at(now),
            Ok(Some(checkout)) => match checkout.branch() {
                Err(gap) => Fact::from(gap),
                Ok(None) => Fact::absent_at(now),
                Ok(Some(name)) => Fact::Found(name),
            },
        };
        let tips = match tips(repository, worktree, branch) {
            Err(gap) => Fact::from(gap),
            Ok(None) => Fact::absent_at(now),
            Ok(Some(tips)) => Fact::Found(tips.commits.iter().map(Oid::to_string).collect()),
        };
        crate::Checkout {
            branch: checked_out,
            tips,
        }
    }

    /// Whether the session's branch, or what the worktree has or had checked out, and `commit` have a commit or a change
    /// in common beyond the branches `trunks`, full names of which those that are there count. Absent: neither branch nor
    /// worktree is left.
    pub(crate) fn shares_work(
        &self,
        repository: &Repository,
        worktree: &Opened,
        branch: Option<&str>,
        trunks: &[String],
        commit: &str,
        now: Timestamp,
    ) -> Fact<bool> {
        let Ok(commit) = commit.parse::<Oid>() else {
            return Fact::unknown(
                GapKind::Malformed,
                format!("{} is no commit's name", excerpt(commit)),
            );
        };
        let missing = || {
            Fact::unknown(
                GapKind::NoControl,
                format!("commit {commit} is not in {}", repository.dir.display()),
            )
        };
        of_work(
            repository,
            worktree,
            branch,
            trunks,
            now,
            |store, work, unread| {
                Ok(
                    match (repository.shares_work(store, work, commit)?, unread) {
                        (Some(false), Some(gap)) => Fact::from(gap),
                        (Some(shares), _) => Fact::Found(shares),
                        (None, _) => missing(),
                    },
                )
            },
        )
    }

    /// The commits that the same work began with.
    pub(crate) fn firsts(
        &self,
        repository: &Repository,
        worktree: &Opened,
        branch: Option<&str>,
        trunks: &[String],
        now: Timestamp,
    ) -> Fact<Vec<String>> {
        of_work(
            repository,
            worktree,
            branch,
            trunks,
            now,
            |store, work, unread| {
                let firsts = repository.firsts(store, work)?;
                Ok(match unread {
                    Some(gap) => Fact::from(gap),
                    None => Fact::Found(firsts.iter().map(Oid::to_string).collect()),
                })
            },
        )
    }
}

/// What `look` finds in the work of a checkout, beyond the branches `trunks`. It is told what is wrong with the log of
/// where the worktree stood, without which no "nothing" is sure.
fn of_work<T>(
    repository: &Repository,
    worktree: &Opened,
    branch: Option<&str>,
    trunks: &[String],
    now: Timestamp,
    look: impl FnOnce(&Store, &Work<'_>, Option<Gap>) -> Result<Fact<T>, Gap>,
) -> Fact<T> {
    let tips = match tips(repository, worktree, branch) {
        Err(gap) => return Fact::from(gap),
        Ok(None) => return no_branch(branch, now),
        Ok(Some(tips)) => tips,
    };
    let mut ends = Vec::new();
    for trunk in trunks {
        ends.extend(repository.listed(trunk).ok().flatten());
    }
    if ends.is_empty() {
        return Fact::unknown(
            GapKind::NotReady,
            format!(
                "{} has no branch that the session's work may have begun from",
                repository.dir.display()
            ),
        );
    }
    let (stood, unread) = match worktree {
        Ok(Some(checkout)) => match checkout.stood_at() {
            Ok(stood) => (stood, None),
            Err(gap) => (Vec::new(), Some(gap)),
        },
        Ok(None) | Err(_) => (Vec::new(), None),
    };
    let work = Work {
        tips: &tips.commits,
        stood: &stood,
        trunks: &ends,
    };
    look(tips.store.store(), &work, unread).unwrap_or_else(Fact::from)
}

fn unpushed(repository: &Repository, tips: &Tips<'_>, line: Line<'_>) -> Result<Fact<u32>, Gap> {
    let store = tips.store.store();
    let pushes = repository.pushes(store, line.branch);
    let mut others: Vec<Oid> = repository.remote_ends().iter().copied().collect();
    if others.is_empty() {
        others.extend(local_base(repository, store, line)?);
    }
    let apart = repository.only_in(store, &tips.commits, others)?;
    let count = count(apart.commits.len());
    if count == 0 {
        return Ok(Fact::Found(0));
    }
    let (commits, were) = match count {
        1 => ("1 commit".to_owned(), "was"),
        count => (format!("{count} commits"), "were"),
    };
    let unknown = |why: String| Fact::unknown(GapKind::NoControl, why);
    Ok(match pushes {
        Pushes::Seen | Pushes::Never if apart.unsure => unknown(format!(
            "{commits} may have been pushed: a remote branch of {} names a commit that is not in it",
            repository.dir.display()
        )),
        Pushes::Seen | Pushes::Never => Fact::Found(count),
        Pushes::Unseen(why) => unknown(format!("whether {commits} {were} pushed: {why}")),
    })
}

/// `None`: the head is not here, and what is here is not known to be elsewhere.
fn beyond(
    repository: &Repository,
    tips: &Tips<'_>,
    line: Line<'_>,
    head: Oid,
) -> Result<Option<u32>, Gap> {
    let store = tips.store.store();
    let mut heads = Vec::new();
    for base in line.remote_bases {
        heads.extend(repository.listed(base).ok().flatten());
    }
    if heads.is_empty() && repository.remote_ends().is_empty() {
        heads.extend(local_base(repository, store, line)?);
    }
    let is_here = repository.has_commit(store, &head)?;
    if is_here {
        heads.push(head);
    }
    let apart = repository.only_in(store, &tips.commits, heads.iter().copied())?;
    if apart.commits.is_empty() {
        return Ok(Some(0));
    }
    let left = repository.not_contained(store, &apart.commits, &tips.commits, &heads)?;
    match (left.len(), is_here) {
        (0, _) => Ok(Some(0)),
        (_, false) => Ok(None),
        (_, true) if apart.unsure => Err(Gap::new(
            GapKind::NoControl,
            format!(
                "a base branch of {} names a commit that is not in it",
                repository.dir.display()
            ),
        )),
        (left, true) => Ok(Some(count(left))),
    }
}

/// The newest commits of the branch and of what the worktree has checked out, which differ when an agent works on another
/// branch or on none. `None`: neither is left.
fn tips<'a>(
    repository: &Repository,
    worktree: &'a Opened,
    branch: Option<&str>,
) -> Result<Option<Tips<'a>>, Gap> {
    let own = branch.map(|branch| format!("refs/heads/{branch}"));
    let checkout = match worktree {
        Ok(Some(checkout)) => checkout,
        Err(gap) => return Err(gap.clone()),
        Ok(None) => {
            let Some(own) = own.filter(|own| repository.has(own)) else {
                return Ok(None);
            };
            let store = repository.enter()?;
            return Ok(repository.branch(&store, &own)?.map(|commit| Tips {
                store: Held::Alone(Box::new(store)),
                commits: vec![commit],
            }));
        }
    };
    let Some(head) = checkout.head()? else {
        return Err(Gap::new(
            GapKind::Malformed,
            format!(
                "a worktree of {} has {} checked out, which is not there",
                repository.dir.display(),
                checkout.head_text()
            ),
        ));
    };
    let mut commits = vec![head];
    if let Some(own) = own {
        commits.extend(repository.branch(checkout.store(), &own)?);
    }
    commits.dedup();
    Ok(Some(Tips {
        store: Held::With(checkout),
        commits,
    }))
}

/// The newest commit of the local branch that the work goes into: the record's, or else what the repository itself has
/// checked out, which in a bare clone is the remote's own choice. `None`: there is none, or it is the session's branch.
fn local_base(repository: &Repository, store: &Store, line: Line<'_>) -> Result<Option<Oid>, Gap> {
    let own = line.branch.map(|branch| format!("refs/heads/{branch}"));
    let base = match line.base {
        Some(base) => Some(format!("refs/heads/{base}")),
        None => store.checked_out()?,
    };
    match base.filter(|base| Some(base) != own.as_ref()) {
        Some(base) => repository.branch(store, &base),
        None => Ok(None),
    }
}

fn count(commits: usize) -> u32 {
    u32::try_from(commits).unwrap_or(u32::MAX)
}

fn told<T>(answer: Result<T, Gap>) -> Fact<T> {
    match answer {
        Ok(answer) => Fact::Found(answer),
        Err(gap) => Fact::from(gap),
    }
}

fn no_branch<T>(branch: Option<&str>, now: Timestamp) -> Fact<T> {
    match branch {
        Some(branch) => Fact::from(Sighting {
            first: now,
            last: now,
            detail: format!("there is no branch {branch} and no worktree"),
        }),
        None => Fact::unknown(GapKind::Unrecorded, "the record holds no `branch`"),
    }
}

#[cfg(test)]
mod tests;
