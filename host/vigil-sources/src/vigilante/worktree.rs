//! The worktree as files: whether it is there, whose it is, and when it was last written to.

use std::collections::HashSet;
use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use ignore::WalkBuilder;
use vigil_core::fact::{Fact, Gap, GapKind, Sighting};
use vigil_core::{Timestamp, time as span};

use crate::machine::open;
use crate::vigilante::git::Repository;
use crate::vigilante::time;

/// 20,000 files and folders: a walk over that many takes about a tenth of a second from a warm cache. Ignored folders
/// are not entered, so that even large repositories stay below it.
pub(crate) const ENTRIES_MAX: usize = 20_000;

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

/// Looks at what stands at `path`.
pub(crate) fn locate(repository: &Result<Repository, Gap>, path: &Result<PathBuf, Gap>) -> Place {
    let (repository, path) = match (repository, path) {
        (Ok(repository), Ok(path)) => (repository, path),
        (_, Err(gap)) | (Err(gap), _) => return Place::Unknown(gap.clone()),
    };
    let unknown = |kind, detail: String| Place::Unknown(Gap::new(kind, detail));
    match fs::symlink_metadata(path) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let inside = path.starts_with(&repository.dir)
                || crate::vigilante::processes::resolved(path).starts_with(&repository.dir);
            // Elsewhere a missing parent looks just like a folder that is not mounted.
            if inside || path.parent().is_some_and(Path::is_dir) {
                return Place::Missing(path.clone());
            }
            return unknown(
                GapKind::NoControl,
                format!(
                    "neither {} nor the folder that held it is there; is it mounted?",
                    path.display()
                ),
            );
        }
        Err(error) => {
            return unknown(
                GapKind::Denied,
                format!(
                    "the worktree {} cannot be looked at: {error}",
                    path.display()
                ),
            );
        }
    }
    let dir = match fs::canonicalize(path) {
        Ok(dir) => dir,
        Err(error) => {
            return unknown(
                GapKind::NoControl,
                format!(
                    "the worktree {} cannot be followed: {error}",
                    path.display()
                ),
            );
        }
    };
    match git_dir(&dir) {
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
    }
}

/// The git folder that `.git` in `dir` is or names.
fn git_dir(dir: &Path) -> io::Result<PathBuf> {
    let link = dir.join(".git");
    let text = match open::text(&link, LINK_BYTES_MAX) {
        Ok(text) => text,
        Err(trouble) if trouble.is_folder() => return fs::canonicalize(link),
        Err(trouble) => return Err(trouble.into()),
    };
    let target = text
        .strip_prefix("gitdir:")
        .map(str::trim)
        .filter(|target| !target.is_empty())
        .ok_or_else(|| io::Error::other(".git names no folder"))?;
    fs::canonicalize(dir.join(target))
}

fn belongs(git_dir: &Path, common: &Path) -> bool {
    git_dir == common || git_dir.parent() == Some(&common.join("worktrees"))
}

/// The last write inside the worktree: files and folders that git does not ignore, ignored folders by their own time
/// alone, and the commits that were made in it. Absent: the worktree is missing.
///
/// A file that lies ahead of the clock makes it a gap, and so does a worktree beyond [`ENTRIES_MAX`] in which nothing
/// within `fresh_for` was found.
pub(crate) fn last_write(place: &Place, fresh_for: Duration, now: Timestamp) -> Fact<Timestamp> {
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
    let mut walk = Walk {
        newest: None,
        left: ENTRIES_MAX,
    };
    // The log of HEAD grows with every commit, checkout and rebase. The index does not count: anybody's `git status`
    // writes it.
    if let Ok(found) = fs::metadata(git_dir.join("logs/HEAD")) {
        walk.see(&found, &git_dir.join("logs/HEAD"));
    }
    let walked = walk.over(dir);
    let newest = walk.newest;
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

struct Walk {
    newest: Option<(Timestamp, PathBuf)>,
    left: usize,
}

impl Walk {
    fn over(&mut self, dir: &Path) -> Result<(), Gap> {
        let mut entered: Vec<PathBuf> = Vec::new();
        let mut walked: HashSet<PathBuf> = HashSet::new();
        let entries = WalkBuilder::new(dir)
            .hidden(false)
            // Only git's own ignore files, and only those of this worktree: the repository around it usually ignores
            // the folder that all worktrees lie in.
            .ignore(false)
            .parents(false)
            .git_global(false)
            .git_exclude(true)
            .git_ignore(true)
            .follow_links(false)
            .same_file_system(true)
            .filter_entry(|entry| entry.file_name() != ".git")
            .build();
        for entry in entries {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => match error.io_error() {
                    // It went away during the walk, which is a write to the folder that held it.
                    Some(io) if io.kind() == io::ErrorKind::NotFound => continue,
                    _ => {
                        return Err(Gap::new(
                            GapKind::Denied,
                            format!("a part of {} cannot be read: {error}", dir.display()),
                        ));
                    }
                },
            };
            self.count(dir)?;
            let path = entry.path();
            if let Ok(found) = fs::symlink_metadata(path) {
                self.see(&found, path);
                if found.is_dir() {
                    entered.push(path.to_owned());
                    walked.insert(path.to_owned());
                }
            }
        }
        for folder in entered {
            self.ignored_folders(dir, &folder, &walked)?;
        }
        Ok(())
    }

    /// Folders inside `folder` that the walk left out.
    fn ignored_folders(
        &mut self,
        dir: &Path,
        folder: &Path,
        walked: &HashSet<PathBuf>,
    ) -> Result<(), Gap> {
        let Ok(entries) = fs::read_dir(folder) else {
            return Ok(());
        };
        for entry in entries.flatten() {
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if !is_folder || entry.file_name() == ".git" || walked.contains(&entry.path()) {
                continue;
            }
            self.count(dir)?;
            if let Ok(found) = entry.metadata() {
                self.see(&found, &entry.path());
            }
        }
        Ok(())
    }

    fn count(&mut self, dir: &Path) -> Result<(), Gap> {
        self.left = self.left.checked_sub(1).ok_or_else(|| {
            Gap::new(
                GapKind::TooLarge,
                format!(
                    "{} holds more than {ENTRIES_MAX} files that git does not ignore",
                    dir.display()
                ),
            )
        })?;
        Ok(())
    }

    fn see(&mut self, found: &Metadata, path: &Path) {
        let Some(at) = modified(found) else {
            return;
        };
        if self.newest.as_ref().is_none_or(|(newest, _)| at > *newest) {
            self.newest = Some((at, path.to_owned()));
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
