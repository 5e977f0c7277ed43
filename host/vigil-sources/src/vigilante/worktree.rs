//! The worktree as files: whether it is there, whose it is, and when it was last written to.

use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use rustix::fs::Stat;
use vigil_core::fact::{Fact, Gap, GapKind, Sighting};
use vigil_core::{Timestamp, time as span};

use crate::machine::ignored::Matchers;
use crate::machine::mounts::Mounts;
use crate::machine::open;
use crate::machine::walk::Walk;
use crate::vigilante::git::Repository;
use crate::vigilante::liveness::Care;
#[cfg(test)]
use crate::vigilante::liveness::WITHOUT_CARE;
use crate::vigilante::processes::resolved;
use crate::vigilante::time;
use crate::vigilante::worktrees::{self, Around, Entry, Sought, Worktrees};

/// 20,000 files and folders: a walk over that many takes about a tenth of a second from a warm cache. Ignored folders
/// are not entered, so that even large repositories stay below it.
pub(crate) const ENTRIES_MAX: usize = 20_000;

/// 200,000 files and folders, ignored ones included, of folders that are not ignored.
const LISTED_MAX: usize = 200_000;

/// 64 KiB: the name of a folder, which is shorter than any path.
const LINK_BYTES_MAX: u64 = 64 << 10;

/// What stands where the record says that the worktree is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A worktree of the record's repository.
    Linked {
        /// The worktree, links followed.
        dir: PathBuf,
        /// Its own git folder.
        git_dir: PathBuf,
    },
    /// Nothing, and the repository could be read: the control that makes it an absence.
    Missing(PathBuf),
    /// Something that is no worktree of the repository. Git's answers there would be about something else.
    Foreign(Gap),
    /// It cannot be said.
    Unknown(Gap),
}

/// [`find`] where nothing else is known.
#[cfg(test)]
pub(crate) fn locate(repository: &Result<Repository, Gap>, path: &Result<PathBuf, Gap>) -> Place {
    find(repository, path, None, &Around::new(None), WITHOUT_CARE)
}

/// Finds the worktree that the record puts at `path`, with `branch` checked out: there, or where it was moved to.
///
/// It is missing only where the repository lists no other place for it and none is found near by: what may have been
/// moved by hand is unknown.
pub(crate) fn find(
    repository: &Result<Repository, Gap>,
    path: &Result<PathBuf, Gap>,
    branch: Option<&str>,
    around: &Around,
    care: Care<'_>,
) -> Place {
    let (repository, path) = match (repository, path) {
        (Ok(repository), Ok(path)) => (repository, path),
        (_, Err(gap)) | (Err(gap), _) => return Place::Unknown(gap.clone()),
    };
    let record = Record {
        repository,
        path,
        branch,
        around,
        care,
    };
    match stands_at(repository, path, care) {
        Stand::There(here) => match &here {
            Place::Linked { git_dir, .. } => record.displaced(git_dir).unwrap_or(here),
            Place::Foreign(_) => record.elsewhere(here),
            Place::Missing(_) | Place::Unknown(_) => here,
        },
        Stand::Nothing(here) => record.elsewhere(here),
    }
}

/// What a record says about its worktree, and where it can be looked for.
struct Record<'a> {
    repository: &'a Repository,
    path: &'a Path,
    branch: Option<&'a str>,
    around: &'a Around,
    care: Care<'a>,
}

impl Record<'_> {
    /// Another worktree of the repository stands at the recorded place, that of `git_dir`, and the session's own was
    /// moved away. `None`: the one that stands there is the session's, whatever it has checked out.
    fn displaced(&self, git_dir: &Path) -> Option<Place> {
        let checked_out = worktrees::branch(git_dir);
        if self.branch.is_none() || checked_out.as_deref() == self.branch {
            return None;
        }
        let list = self.around.list(self.repository, self.care);
        let list = list.as_ref().as_ref().ok()?;
        let made = list.made_at(self.path, self.branch).into_iter();
        for entry in made.filter(|entry| entry.git_dir != git_dir) {
            match entry.stands(self.care) {
                Ok(true) => return Some(linked(entry)),
                Ok(false) => {}
                Err(gap) => return Some(Place::Unknown(gap)),
            }
        }
        None
    }

    /// The session's worktree does not stand at the recorded place: `here` says what does, and holds where the
    /// repository knows of nothing else.
    fn elsewhere(&self, here: Place) -> Place {
        let list = self.around.list(self.repository, self.care);
        let list = match list.as_ref() {
            Ok(list) => list,
            Err(gap) => return unless_known(here, gap),
        };
        let mut own = list.made_at(self.path, self.branch);
        if let Some(entry) = list.at(&resolved(self.path), self.around.mounts(), self.care)
            && !own.contains(&entry)
        {
            own.push(entry);
        }
        let mut standing = Vec::new();
        for entry in &own {
            match entry.stands(self.care) {
                Ok(true) => standing.push(entry),
                Ok(false) => {}
                Err(gap) => return unless_known(here, &gap),
            }
        }
        let mut standing = standing.into_iter();
        match (standing.next(), standing.next()) {
            (Some(entry), None) => return linked(entry),
            (Some(entry), Some(_)) if self.path.ends_with(&entry.name) => return linked(entry),
            (Some(entry), Some(other)) => {
                let gap = self.doubt(&format!(
                    "it may stand at {} or at {}",
                    entry.place.display(),
                    other.place.display()
                ));
                return unless_known(here, &gap);
            }
            (None, _) => {}
        }
        for entry in &own {
            for place in [self.path, &entry.place] {
                match self.around.seek(&entry.git_dir, place, self.care) {
                    Sought::Here(dir) => {
                        return Place::Linked {
                            dir: resolved(&dir),
                            git_dir: entry.git_dir.clone(),
                        };
                    }
                    Sought::Unknown(gap) => return unless_known(here, &gap),
                    Sought::Nowhere => {}
                }
            }
        }
        match self.doubts(list, &own) {
            Some(gap) => unless_known(here, &gap),
            None => here,
        }
    }

    /// Why nobody can say that the worktree is gone, although it was not found.
    fn doubts(&self, list: &Worktrees, own: &[&Entry]) -> Option<Gap> {
        // Each was looked at just now, so that no mount on the way is one that does not answer.
        let unmounted = own
            .iter()
            .find(|entry| entry.place.parent().is_none_or(|parent| !parent.is_dir()));
        if let Some(entry) = unmounted {
            return Some(Gap::new(
                GapKind::NoControl,
                format!(
                    "git lists it at {}, and not even the folder that held it is there; if it was moved, run `git \
                     worktree repair` where it is now, and if it was removed, `git worktree prune`",
                    entry.place.display()
                ),
            ));
        }
        let last = self.path.file_name().and_then(|last| last.to_str());
        let others = list
            .with_branch(self.branch)
            .chain(last.and_then(|last| list.named(last)))
            .filter(|entry| !own.contains(entry));
        for entry in others {
            match entry.stands(self.care) {
                Ok(true) => {}
                Ok(false) => continue,
                Err(gap) => return Some(gap),
            }
            let has = match &entry.branch {
                Some(branch) => format!("branch {branch}"),
                None => "no branch".to_owned(),
            };
            return Some(self.doubt(&format!(
                "{}, which has {has} checked out, may be it",
                entry.place.display()
            )));
        }
        if self.branch.is_some()
            && worktrees::branch(&self.repository.common).as_deref() == self.branch
        {
            return Some(self.doubt(&format!(
                "its branch is checked out in {}",
                self.repository.dir.display()
            )));
        }
        if let Some(gap) = &list.unread {
            return Some(gap.clone());
        }
        // git forgot it, and somebody moved it before or after.
        let forgotten = self.repository.common.join("worktrees").join(last?);
        if !own.is_empty() {
            return None;
        }
        match self.around.seek(&forgotten, self.path, self.care) {
            Sought::Here(dir) => Some(self.doubt(&format!(
                "{} says that it is a worktree of that name, which git lists no longer",
                dir.display()
            ))),
            Sought::Unknown(gap) => Some(gap),
            Sought::Nowhere => None,
        }
    }

    fn doubt(&self, what: &str) -> Gap {
        Gap::new(
            GapKind::IdentityChanged,
            format!(
                "the worktree {} is not there, and {what}",
                self.path.display()
            ),
        )
    }
}

/// `here` where that is not an absence; else what speaks against the absence.
fn unless_known(here: Place, gap: &Gap) -> Place {
    match here {
        Place::Missing(_) => Place::Unknown(gap.clone()),
        // A gap either way, and this one says more.
        Place::Unknown(_) => Place::Unknown(gap.clone()),
        other => other,
    }
}

fn linked(entry: &Entry) -> Place {
    Place::Linked {
        dir: resolved(&entry.place),
        git_dir: entry.git_dir.clone(),
    }
}

/// What stands at a path.
enum Stand {
    There(Place),
    /// Nothing, and what that means where the repository has nothing to say about it.
    Nothing(Place),
}

/// Looks at what stands at `path`.
fn stands_at(repository: &Repository, path: &Path, care: Care<'_>) -> Stand {
    let unknown = |kind, detail: String| Place::Unknown(Gap::new(kind, detail));
    match fs::symlink_metadata(path) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let inside =
                path.starts_with(&repository.dir) || resolved(path).starts_with(&repository.dir);
            // Elsewhere a missing parent looks just like a folder that is not mounted.
            if inside || path.parent().is_some_and(Path::is_dir) {
                return Stand::Nothing(Place::Missing(path.to_owned()));
            }
            return Stand::Nothing(unknown(
                GapKind::NoControl,
                format!(
                    "neither {} nor the folder that held it is there; is it mounted?",
                    path.display()
                ),
            ));
        }
        Err(error) => {
            return Stand::There(unknown(
                GapKind::Denied,
                format!(
                    "the worktree {} cannot be looked at: {error}",
                    path.display()
                ),
            ));
        }
    }
    let dir = match fs::canonicalize(path) {
        Ok(dir) => dir,
        Err(error) => {
            return Stand::There(unknown(
                GapKind::NoControl,
                format!(
                    "the worktree {} cannot be followed: {error}",
                    path.display()
                ),
            ));
        }
    };
    let git_dir = match git_dir(&dir, care) {
        Ok(Ok(git_dir)) => Ok(git_dir),
        Ok(Err(gap)) => return Stand::There(Place::Unknown(gap)),
        Err(error) => Err(error),
    };
    Stand::There(match git_dir {
        Ok(git_dir) if belongs(&git_dir, &repository.common) => Place::Linked { dir, git_dir },
        Ok(git_dir) => Place::Foreign(Gap::new(
            GapKind::IdentityChanged,
            format!(
                "{} belongs to {}, not to {}",
                dir.display(),
                git_dir.display(),
                repository.common.display()
            ),
        )),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => unknown(
            GapKind::Denied,
            format!(
                "{} cannot be looked at: {error}",
                dir.join(".git").display()
            ),
        ),
        Err(error) => Place::Foreign(Gap::new(
            GapKind::IdentityChanged,
            format!(
                "{} is no worktree of {} any more: {error}",
                dir.display(),
                repository.dir.display()
            ),
        )),
    })
}

/// The git folder that `.git` in `dir` is or names, which is there; the gap where it leads to a place that is left alone.
pub(crate) fn git_dir(dir: &Path, care: Care<'_>) -> io::Result<Result<PathBuf, Gap>> {
    let link = dir.join(".git");
    if let Err(gap) = care.follow(&link) {
        return Ok(Err(gap));
    }
    let named = named_git_dir(dir)?;
    match care.follow(&named) {
        Ok(()) => fs::canonicalize(named).map(Ok),
        Err(gap) => Ok(Err(gap)),
    }
}

/// The same, whether it is there or not.
pub(crate) fn named_git_dir(dir: &Path) -> io::Result<PathBuf> {
    let link = dir.join(".git");
    let text = match open::text(&link, LINK_BYTES_MAX) {
        Ok(text) => text,
        Err(trouble) if trouble.is_folder() => return Ok(link),
        Err(trouble) => return Err(trouble.into()),
    };
    let target = text
        .strip_prefix("gitdir:")
        .map(str::trim)
        .filter(|target| !target.is_empty())
        .ok_or_else(|| io::Error::other(".git names no folder"))?;
    Ok(dir.join(target))
}

fn belongs(git_dir: &Path, common: &Path) -> bool {
    git_dir == common || git_dir.parent() == Some(&common.join("worktrees"))
}

/// The last write inside the worktree: files and folders that git does not ignore, ignored folders by their own time
/// alone, and the commits that were made in it. Absent: the worktree is missing.
///
/// A file that lies ahead of the clock makes it a gap, and so does a worktree beyond [`ENTRIES_MAX`] in which nothing
/// within `fresh_for` was found.
pub(crate) fn last_write(
    place: &Place,
    fresh_for: Duration,
    now: Timestamp,
    mounts: &Mounts,
    matchers: &mut Matchers,
) -> Fact<Timestamp> {
    let (dir, git_dir) = match place {
        Place::Linked { dir, git_dir } => (dir, git_dir),
        Place::Missing(path) => {
            return Fact::from(Sighting {
                first: now,
                last: now,
                detail: format!("there is no {}", path.display()),
            });
        }
        Place::Foreign(gap) | Place::Unknown(gap) => return Fact::from(gap.clone()),
    };
    let mut newest = Newest(None);
    // The log of HEAD grows with every commit, checkout and rebase. The index does not count: anybody's `git status`
    // writes it.
    let log = git_dir.join("logs/HEAD");
    if let Ok(found) = rustix::fs::stat(&log) {
        newest.see(&found, &log);
    }
    let walk = Walk {
        dir,
        exclude: Some(common(git_dir).join("info/exclude")),
        mounts: &mounts.below(dir),
        entries_max: ENTRIES_MAX,
        listed_max: LISTED_MAX,
    };
    let walked = walk.over(matchers, &mut |found, path| {
        newest.see(found, path);
    });
    let newest = newest.0;
    match walked {
        Ok(()) => {}
        Err(gap) => {
            // What was seen stays seen.
            let fresh = newest
                .as_ref()
                .filter(|(at, _)| at.age(now) < fresh_for && *at <= now.after(time::AHEAD_MAX));
            return match fresh {
                Some((at, _)) => Fact::Found(*at),
                None => Fact::from(gap),
            };
        }
    }
    match newest {
        Some((at, path)) => match time::not_ahead(at, now, &path.display().to_string()) {
            Ok(at) => Fact::Found(at),
            Err(gap) => Fact::from(gap),
        },
        None => Fact::unknown(
            GapKind::Malformed,
            format!("nothing in {} has a time", dir.display()),
        ),
    }
}

/// The git folder that all worktrees of the repository share, when `git_dir` is one of theirs.
fn common(git_dir: &Path) -> &Path {
    let worktrees = git_dir
        .parent()
        .filter(|worktrees| worktrees.ends_with("worktrees"));
    worktrees.and_then(Path::parent).unwrap_or(git_dir)
}

/// The newest of all that was seen.
struct Newest(Option<(Timestamp, PathBuf)>);

impl Newest {
    fn see(&mut self, found: &Stat, path: &Path) {
        // Before 1970 is no time that anything was written at.
        let Ok(seconds) = u64::try_from(found.st_mtime) else {
            return;
        };
        let millis = found.st_mtime_nsec / 1_000_000;
        let at = Timestamp(seconds.saturating_mul(1_000).saturating_add(millis));
        if self.0.as_ref().is_none_or(|(newest, _)| at > *newest) {
            self.0 = Some((at, path.to_owned()));
        }
    }
}

/// When a file was last written to. `None`: before 1970, or the file system does not tell.
pub(crate) fn modified(found: &Metadata) -> Option<Timestamp> {
    let since = found.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(Timestamp(span::millis(since)))
}

#[cfg(test)]
mod tests;
