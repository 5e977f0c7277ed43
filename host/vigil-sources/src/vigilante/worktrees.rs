//! The repository's own list of its worktrees, read as files: where each stands, and what it has checked out.
//!
//! Each worktree has a folder below `worktrees` in the repository's git folder. It keeps its name for life, the last part
//! of the path that the worktree was made at; its file `gitdir` says where the worktree stands, which `git worktree move`
//! keeps true and a plain `mv` does not; and the worktree's own `.git` file names the folder.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use vigil_core::fact::{Gap, GapKind};

use crate::machine::mounts::Mounts;
use crate::machine::open;
use crate::vigilante::git::Repository;
use crate::vigilante::liveness::Care;
use crate::vigilante::processes::{Table, resolved};
use crate::vigilante::worktree::{git_dir, named_git_dir};

/// 64 KiB: the name of a folder or branch, which is shorter than any path.
const NAME_BYTES_MAX: u64 = 64 << 10;

/// 50,000 worktrees of one repository, and as many folders beside one: reading that many takes about a second, once for
/// all sessions of a pass, and only where something is not where it should be.
const ENTRIES_MAX: usize = 50_000;

/// One worktree, as the repository lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The last part of the path that it was made at, made unique by digits behind it.
    pub(crate) name: String,
    /// Its own git folder.
    pub(crate) git_dir: PathBuf,
    /// Where it stands, as far as git knows.
    pub(crate) place: PathBuf,
    /// The branch that it has checked out, or is about to check out again after a rebase. `None`: neither.
    pub(crate) branch: Option<String>,
}

impl Entry {
    /// Whether a worktree of this repository stands where the list says.
    ///
    /// # Errors
    /// Nobody can say, since that place is left alone.
    pub(crate) fn stands(&self, care: Care<'_>) -> Result<bool, Gap> {
        care.follow(&self.place)?;
        match git_dir(&self.place, care) {
            Ok(found) => Ok(found? == self.git_dir),
            Err(_) => Ok(false),
        }
    }

    /// Whether it can have been made at a path that ends with `last`. `exact`: without digits that make it unique.
    fn was_made_at(&self, last: &str, exact: bool) -> bool {
        match self.name.strip_prefix(last) {
            Some("") => true,
            Some(digits) => !exact && digits.bytes().all(|byte| byte.is_ascii_digit()),
            None => false,
        }
    }
}

/// All worktrees of one repository but its main one.
#[derive(Debug, Default)]
pub(crate) struct Worktrees {
    entries: Vec<Entry>,
    by_branch: HashMap<String, Vec<usize>>,
    by_name: HashMap<String, usize>,
    /// Links followed, where that leads to no mount behind which a server stands.
    by_place: HashMap<PathBuf, usize>,
    /// Those that lie on such a mount. They are touched for who looks for them, and for nobody else.
    remote: Vec<usize>,
    /// Why there may be others.
    pub(crate) unread: Option<Gap>,
}

impl Worktrees {
    /// The list of the repository whose git folder is `common`. No listed place on one of `mounts` is touched behind which
    /// a server stands, and none that is left alone.
    ///
    /// # Errors
    /// The list cannot be read, or is too long.
    pub(crate) fn read(common: &Path, mounts: &Mounts, care: Care<'_>) -> Result<Worktrees, Gap> {
        let dir = common.join("worktrees");
        let folders = match fs::read_dir(&dir) {
            Ok(folders) => folders,
            // git makes the folder for the first worktree and takes it away with the last.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Worktrees::default());
            }
            Err(error) => return Err(unreadable(&dir, &error)),
        };
        let mut list = Worktrees::default();
        for (index, folder) in folders.enumerate() {
            if index >= ENTRIES_MAX {
                return Err(Gap::new(
                    GapKind::TooLarge,
                    format!("{} lists more than {ENTRIES_MAX} worktrees", dir.display()),
                ));
            }
            let folder = folder.map_err(|error| unreadable(&dir, &error))?;
            match entry(&folder.path()) {
                Ok(Some(entry)) => list.add(entry, mounts, care),
                // It went away while it was read, or is none: git makes nothing else there.
                Ok(None) => {}
                Err(gap) => list.unread = Some(gap),
            }
        }
        Ok(list)
    }

    fn add(&mut self, entry: Entry, mounts: &Mounts, care: Care<'_>) {
        let index = self.entries.len();
        if let Some(branch) = &entry.branch {
            self.by_branch
                .entry(branch.clone())
                .or_default()
                .push(index);
        }
        self.by_name.insert(entry.name.clone(), index);
        if mounts.lead_elsewhere(&entry.place) || care.follow(&entry.place).is_err() {
            self.remote.push(index);
        } else {
            self.by_place.insert(resolved(&entry.place), index);
        }
        self.entries.push(entry);
    }

    /// Those that have `branch` checked out and can have been made at `path`, the likeliest first.
    pub(crate) fn made_at(&self, path: &Path, branch: Option<&str>) -> Vec<&Entry> {
        let Some(last) = path.file_name().and_then(|last| last.to_str()) else {
            return Vec::new();
        };
        let mut made: Vec<&Entry> = self
            .with_branch(branch)
            .filter(|entry| entry.was_made_at(last, false))
            .collect();
        made.sort_by_key(|entry| (!entry.was_made_at(last, true), entry.name.len()));
        made
    }

    /// The one that is listed at `path`, which can be looked at and has no links.
    pub(crate) fn at(&self, path: &Path, mounts: &Mounts, care: Care<'_>) -> Option<&Entry> {
        let Some(own) = mounts.of(path).filter(|mount| mount.is_remote) else {
            return self.by_place.get(path).map(|index| &self.entries[*index]);
        };
        let mut remote = self.remote.iter().map(|index| &self.entries[*index]);
        // One on another mount is not there, and nobody is asked to find that out.
        remote.find(|entry| {
            mounts
                .of(&entry.place)
                .is_none_or(|mount| !mount.is_remote || mount == own)
                && care.follow(&entry.place).is_ok()
                && resolved(&entry.place) == path
        })
    }

    /// Those that have `branch` checked out.
    pub(crate) fn with_branch(&self, branch: Option<&str>) -> impl Iterator<Item = &Entry> {
        branch
            .and_then(|branch| self.by_branch.get(branch))
            .into_iter()
            .flatten()
            .map(|index| &self.entries[*index])
    }

    /// The one of just that name.
    pub(crate) fn named(&self, name: &str) -> Option<&Entry> {
        self.by_name.get(name).map(|index| &self.entries[*index])
    }
}

/// The worktree whose git folder is `dir`.
fn entry(dir: &Path) -> Result<Option<Entry>, Gap> {
    let place = match open::text(&dir.join("gitdir"), NAME_BYTES_MAX) {
        Ok(text) => text,
        Err(trouble) if trouble.is_gone() => return Ok(None),
        Err(trouble) => return Err(Gap::new(trouble.kind(), trouble.to_string())),
    };
    // Relative to its own folder where git was told so.
    let link = dir.join(place.trim_end_matches(['\n', '\r']));
    let Some(place) = link.parent() else {
        return Ok(None);
    };
    let Some(name) = dir.file_name().and_then(|name| name.to_str()) else {
        return Ok(None);
    };
    Ok(Some(Entry {
        name: name.to_owned(),
        git_dir: dir.to_owned(),
        place: place.to_owned(),
        branch: branch(dir),
    }))
}

/// The branch that the git folder `dir` has checked out, or had when a rebase began.
pub(crate) fn branch(dir: &Path) -> Option<String> {
    let line = |name: &str| {
        let text = open::text(&dir.join(name), NAME_BYTES_MAX).ok()?;
        Some(text.trim_end_matches(['\n', '\r']).to_owned())
    };
    let head = line("HEAD")?;
    let full = match head.strip_prefix("ref: ") {
        Some(full) => full.to_owned(),
        None => line("rebase-merge/head-name").or_else(|| line("rebase-apply/head-name"))?,
    };
    full.strip_prefix("refs/heads/").map(str::to_owned)
}

fn unreadable(dir: &Path, error: &io::Error) -> Gap {
    Gap::new(
        GapKind::Denied,
        format!(
            "the list of worktrees {} cannot be read: {error}",
            dir.display()
        ),
    )
}

/// What a search for a worktree comes to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Sought {
    /// It stands here.
    Here(PathBuf),
    /// Nowhere near.
    Nowhere,
    /// There was more than could be looked through.
    Unknown(Gap),
}

/// Where worktrees are looked for in one pass: lists and folders are read once, whoever asks.
#[derive(Debug, Default)]
pub(crate) struct Around {
    table: Option<Arc<Table>>,
    mounts: Mounts,
    lists: Mutex<HashMap<PathBuf, Arc<Result<Worktrees, Gap>>>>,
    beside: Mutex<HashMap<PathBuf, Arc<Result<Claims, Gap>>>>,
    at_work: OnceLock<Claims>,
}

/// What folders say that their git folder is.
#[derive(Debug, Default)]
struct Claims {
    /// The folders by that.
    by_git_dir: HashMap<PathBuf, PathBuf>,
    /// Why there may be others.
    untold: Option<Gap>,
}

impl Claims {
    /// The folder that says that `git_dir` is its own.
    fn of(&self, git_dir: &Path) -> Result<Option<PathBuf>, Gap> {
        match (self.by_git_dir.get(git_dir), &self.untold) {
            (Some(found), _) => Ok(Some(found.clone())),
            (None, Some(gap)) => Err(gap.clone()),
            (None, None) => Ok(None),
        }
    }
}

impl Around {
    /// With the processes of this pass, which may work in a worktree that nobody else knows the place of.
    pub(crate) fn new(table: Option<Arc<Table>>) -> Around {
        Around {
            table,
            mounts: Mounts::read(),
            ..Around::default()
        }
    }

    /// The worktrees of `repository`.
    pub(crate) fn list(
        &self,
        repository: &Repository,
        care: Care<'_>,
    ) -> Arc<Result<Worktrees, Gap>> {
        // One reads, and all others wait for what it learns.
        let mut lists = self.lists.lock().unwrap_or_else(PoisonError::into_inner);
        let list = lists
            .entry(repository.common.clone())
            .or_insert_with(|| Arc::new(Worktrees::read(&repository.common, &self.mounts, care)));
        Arc::clone(list)
    }

    /// What is mounted where.
    pub(crate) fn mounts(&self) -> &Mounts {
        &self.mounts
    }

    /// Looks for the worktree of `git_dir`, which stood at `path`: beside it, beside the folder that held it, and where
    /// processes work. Its own `.git` proves that it is the one. What is left alone on the way makes it unknown.
    pub(crate) fn seek(&self, git_dir: &Path, path: &Path, care: Care<'_>) -> Sought {
        let mut unknown = None;
        match self.near(git_dir, path, care) {
            Ok(Some(found)) => return Sought::Here(found),
            Ok(None) => {}
            Err(gap) => unknown = Some(gap),
        }
        let at_work = self.at_work.get_or_init(|| {
            let folders = self.table.as_deref().into_iter().flat_map(Table::folders);
            claims(folders.map(Path::to_owned), care)
        });
        match at_work.of(git_dir) {
            Ok(Some(found)) => Sought::Here(found),
            Ok(None) => unknown.map_or(Sought::Nowhere, Sought::Unknown),
            Err(gap) => Sought::Unknown(unknown.unwrap_or(gap)),
        }
    }

    fn near(&self, git_dir: &Path, path: &Path, care: Care<'_>) -> Result<Option<PathBuf>, Gap> {
        care.follow(path)?;
        // The innermost folder that is left, and the way from there to the worktree.
        let Some(left) = path.ancestors().skip(1).find(|above| above.is_dir()) else {
            return Ok(None);
        };
        let Ok(way) = path.strip_prefix(left) else {
            return Ok(None);
        };
        let mut way = way.components();
        way.next();
        let rest = way.as_path();
        if rest.as_os_str().is_empty() {
            let beside = self.beside(left, care);
            return match beside.as_ref() {
                Ok(claims) => claims.of(git_dir),
                Err(gap) => Err(gap.clone()),
            };
        }
        // A folder above was renamed: what it held has kept its name.
        let renamed = folders(left)?.into_iter().map(|folder| folder.join(rest));
        claims(renamed, care).of(git_dir)
    }

    fn beside(&self, dir: &Path, care: Care<'_>) -> Arc<Result<Claims, Gap>> {
        let mut beside = self.beside.lock().unwrap_or_else(PoisonError::into_inner);
        let claims = beside.entry(dir.to_owned()).or_insert_with(|| {
            Arc::new(folders(dir).map(|folders| claims(folders.into_iter(), care)))
        });
        Arc::clone(claims)
    }
}

/// What each of `folders` says that its git folder is, a worktree's link alone. One that is left alone may be anybody's; one
/// whose link leads to a place that is left alone is of no repository that can be looked at.
fn claims(folders: impl Iterator<Item = PathBuf>, care: Care<'_>) -> Claims {
    let mut claims = Claims::default();
    for folder in folders {
        if let Err(gap) = care.follow(&folder) {
            claims.untold = Some(gap);
            continue;
        }
        if !fs::symlink_metadata(folder.join(".git")).is_ok_and(|it| it.is_file()) {
            continue;
        }
        if let Ok(named) = named_git_dir(&folder)
            && care.follow(&named).is_ok()
        {
            claims.by_git_dir.insert(resolved(&named), folder);
        }
    }
    claims
}

/// The folders in `dir`, links not followed.
fn folders(dir: &Path) -> Result<Vec<PathBuf>, Gap> {
    let mut folders = Vec::new();
    let unreadable = |error: io::Error| {
        Gap::new(
            GapKind::Denied,
            format!("{} cannot be searched: {error}", dir.display()),
        )
    };
    for (index, entry) in fs::read_dir(dir).map_err(unreadable)?.enumerate() {
        if index >= ENTRIES_MAX {
            return Err(Gap::new(
                GapKind::TooLarge,
                format!("{} holds more than {ENTRIES_MAX} files", dir.display()),
            ));
        }
        let entry = entry.map_err(unreadable)?;
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            folders.push(entry.path());
        }
    }
    Ok(folders)
}

#[cfg(test)]
mod tests;
