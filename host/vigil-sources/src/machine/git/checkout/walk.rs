//! Whether the files of a checkout are as the index has them, and whether there are others.

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Stat};
use vigil_core::fact::{Gap, GapKind};

use super::super::super::mounts::Mounts;
use super::super::content::Compared;
use super::super::folder::{Folder, Links};
use super::super::index::{self, Entry, Index, Recorded};
use super::super::oid;
use super::super::tree;
use super::rules::{Everywhere, Level};
use super::{Checkout, Person};

/// 200,000 names that git does not watch, such as what is built beside the sources. Ignored folders are not entered.
const NAMES_MAX: u64 = 200_000;

/// 4 GiB of content to compare: what the index knows nothing of is read in full.
const COMPARED_BYTES_MAX: u64 = 4 << 30;

/// 128 folders in one another: each is held open.
pub(super) const FOLDERS_MAX: usize = 128;

/// 4 repositories in one another.
const SUBMODULES_MAX: usize = 4;

/// What one look may still cost, submodules included.
#[derive(Debug)]
pub(super) struct Budget {
    names: u64,
    bytes: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Budget {
            names: NAMES_MAX,
            bytes: COMPARED_BYTES_MAX,
        }
    }
}

/// Whether the checkout differs from `index`, or holds what is neither in it nor ignored.
pub(super) fn dirty(
    checkout: &Checkout,
    person: &Person,
    everywhere: &Everywhere,
    index: &Index,
    budget: &mut Budget,
    depth: usize,
) -> Result<bool, Gap> {
    let mut walk = Walk {
        device: checkout.root.identity()?.0,
        mounts: Mounts::read().below(checkout.root.path()),
        checkout,
        person,
        everywhere,
        index,
        budget,
        depth,
        folded: OnceCell::new(),
        gap: None,
    };
    let level = Level::new(None, &checkout.root, 0);
    let all = 0..index.entries().len();
    let found = walk.folder(&level, &mut Vec::new(), all, false, 0)?;
    match walk.gap {
        Some(gap) if !found => Err(gap),
        _ => Ok(found),
    }
}

fn mounted(place: &Path) -> Gap {
    Gap::new(
        GapKind::Unsupported,
        format!(
            "another file system is mounted at {}, which is not looked at",
            place.display()
        ),
    )
}

struct Walk<'a> {
    checkout: &'a Checkout,
    person: &'a Person,
    everywhere: &'a Everywhere,
    index: &'a Index,
    budget: &'a mut Budget,
    /// How many repositories this one lies in.
    depth: usize,
    device: u64,
    /// Folders and files in it on which something else is mounted. They are not even looked at, since that can take for
    /// ever.
    mounts: Vec<PathBuf>,
    /// All that the index has, where names count without their case.
    folded: OnceCell<Folded>,
    /// The first thing that could not be compared.
    gap: Option<Gap>,
}

/// What the index has, in lower case.
#[derive(Default)]
struct Folded {
    files: HashSet<Vec<u8>>,
    repositories: HashSet<Vec<u8>>,
}

impl Folded {
    fn of(index: &Index) -> Folded {
        let mut folded = Folded::default();
        for entry in index.entries() {
            let path = index.path(entry).to_ascii_lowercase();
            match entry.mode & tree::TYPE {
                tree::GITLINK => folded.repositories.insert(path),
                _ => folded.files.insert(path),
            };
        }
        folded
    }

    /// Whether git takes what is called `path` for what the index has under that name in another case. A folder is
    /// looked into all the same, since other names can stand in it, unless it is a repository of its own.
    fn has(&self, path: &[u8], kind: FileType) -> bool {
        let path = path.to_ascii_lowercase();
        match kind {
            FileType::Directory => self.repositories.contains(&path),
            _ => self.files.contains(&path) || self.repositories.contains(&path),
        }
    }
}

/// What the index has at one name of a folder.
enum Child {
    File(usize),
    Folder(Range<usize>),
    /// A folder that is not to be in the checkout.
    Left,
}

impl Walk<'_> {
    /// Whether there is a change below `path`, which is empty or ends with a slash, and of which the index has
    /// `entries`. `ignored`: what the index does not have is ignored there.
    fn folder(
        &mut self,
        level: &Level<'_>,
        path: &mut Vec<u8>,
        entries: Range<usize>,
        ignored: bool,
        depth: usize,
    ) -> Result<bool, Gap> {
        let children = self.children(path, entries);
        for (name, child) in &children {
            let length = path.len();
            path.extend_from_slice(name);
            let found = self.child(level, path, name, child, ignored, depth);
            path.truncate(length);
            if self.note(found) {
                return Ok(true);
            }
        }
        if ignored {
            return Ok(false);
        }
        let listed = level.folder.entries()?;
        for other in listed {
            if children.contains_key(other.name.as_slice()) || other.name == b".git" {
                continue;
            }
            let length = path.len();
            path.extend_from_slice(&other.name);
            let known = self.everywhere.fold
                && self
                    .folded
                    .get_or_init(|| Folded::of(self.index))
                    .has(path, other.kind);
            if known {
                path.truncate(length);
                continue;
            }
            let found = self.other(level, path, &other.name, other.kind, depth);
            path.truncate(length);
            if self.note(found) {
                return Ok(true);
            }
            if self.budget.names == 0 {
                return Ok(false);
            }
        }
        Ok(false)
    }

    /// Keeps the first gap, and goes on: what is found later is an answer all the same.
    fn note(&mut self, found: Result<bool, Gap>) -> bool {
        match found {
            Ok(found) => found,
            Err(gap) => {
                self.gap.get_or_insert(gap);
                false
            }
        }
    }

    /// What the index has in the folder `path`, by name.
    fn children(&self, path: &[u8], entries: Range<usize>) -> HashMap<Vec<u8>, Child> {
        let all = self.index.entries();
        let mut children = HashMap::new();
        let mut at = entries.start;
        while at < entries.end {
            let within = &self.index.path(&all[at])[path.len()..];
            let Some(end) = memchr::memchr(b'/', within) else {
                children.insert(within.to_owned(), Child::File(at));
                at += 1;
                continue;
            };
            let name = within[..end].to_owned();
            if within.len() == end + 1 && index::is_folder(&all[at]) {
                children.insert(name, Child::Left);
                at += 1;
                continue;
            }
            let begin = &self.index.path(&all[at])[..=path.len() + end];
            let count = all[at..entries.end]
                .partition_point(|entry| self.index.path(entry).starts_with(begin));
            // At least itself, or the walk would stand still.
            let next = at + count.max(1);
            children.insert(name, Child::Folder(at..next));
            at = next;
        }
        children
    }

    fn child(
        &mut self,
        level: &Level<'_>,
        path: &mut Vec<u8>,
        name: &[u8],
        child: &Child,
        ignored: bool,
        depth: usize,
    ) -> Result<bool, Gap> {
        self.is_no_mount(level.folder, name)?;
        match child {
            Child::File(at) => {
                let entry = &self.index.entries()[*at];
                self.file(level, path, name, entry)
            }
            Child::Folder(range) => {
                let Some(folder) = self.enter(level.folder, name, depth)? else {
                    // Neither the files nor their folder are there.
                    let entries = &self.index.entries()[range.clone()];
                    return Ok(entries.iter().any(|entry| !entry.skipped));
                };
                // In an ignored folder only what git watches all the same is of interest.
                let ignored = ignored
                    || level
                        .ignores(path, name, true, self.everywhere)
                        .unwrap_or(false);
                self.below(level, &folder, path, range.clone(), ignored, depth + 1)
            }
            Child::Left => {
                let Some(folder) = self.enter(level.folder, name, depth)? else {
                    return Ok(false);
                };
                match self.below(level, &folder, path, 0..0, ignored, depth + 1)? {
                    false => Ok(false),
                    true => Err(Gap::new(
                        GapKind::Unsupported,
                        format!(
                            "{} is outside of the sparse checkout, and holds files all the same, which vigil does not \
                             compare",
                            folder.path().display()
                        ),
                    )),
                }
            }
        }
    }

    /// The same as [`Walk::folder`] for `folder`, which is `path` and lies in that of `level`.
    fn below(
        &mut self,
        level: &Level<'_>,
        folder: &Folder,
        path: &mut Vec<u8>,
        entries: Range<usize>,
        ignored: bool,
        depth: usize,
    ) -> Result<bool, Gap> {
        path.push(b'/');
        let level = Level::new(Some(level), folder, path.len());
        self.folder(&level, path, entries, ignored, depth)
    }

    /// Whether a name that the index does not have is a change: a file that git does not ignore, or a folder with one.
    fn other(
        &mut self,
        level: &Level<'_>,
        path: &mut Vec<u8>,
        name: &[u8],
        kind: FileType,
        depth: usize,
    ) -> Result<bool, Gap> {
        self.budget.names = self.budget.names.saturating_sub(1);
        if self.budget.names == 0 {
            return Err(Gap::new(
                GapKind::TooLarge,
                format!(
                    "{} holds more than {NAMES_MAX} names that git does not watch",
                    self.checkout.root.path().display()
                ),
            ));
        }
        let is_folder = kind == FileType::Directory;
        // Git watches neither pipes nor sockets nor devices.
        if !is_folder && !matches!(kind, FileType::RegularFile | FileType::Symlink) {
            return Ok(false);
        }
        if level.ignores(path, name, is_folder, self.everywhere)? {
            return Ok(false);
        }
        if !is_folder {
            return Ok(true);
        }
        self.is_no_mount(level.folder, name)?;
        let Some(folder) = self.enter(level.folder, name, depth)? else {
            return Ok(false);
        };
        // A repository of its own, whatever is in it: git does not look into it either.
        if folder.stat(b".git", Links::Keep)?.is_some() {
            return Ok(true);
        }
        self.below(level, &folder, path, 0..0, false, depth + 1)
    }

    /// Opens a folder within. `None`: there is none.
    fn enter(&self, folder: &Folder, name: &[u8], depth: usize) -> Result<Option<Folder>, Gap> {
        if depth >= FOLDERS_MAX {
            return Err(Gap::new(
                GapKind::TooLarge,
                format!(
                    "{} lies in more than {FOLDERS_MAX} folders",
                    folder.place(name).display()
                ),
            ));
        }
        let Some(found) = folder.folder(name, Links::Keep)? else {
            return Ok(None);
        };
        if found.identity()?.0 != self.device {
            return Err(mounted(found.path()));
        }
        Ok(Some(found))
    }

    /// Whether `name` can be touched: nothing that may never answer stands there.
    fn is_no_mount(&self, folder: &Folder, name: &[u8]) -> Result<(), Gap> {
        if self.mounts.is_empty() {
            return Ok(());
        }
        let place = folder.place(name);
        match self.mounts.contains(&place) {
            true => Err(mounted(&place)),
            false => Ok(()),
        }
    }

    /// Whether the file `path` differs from its entry.
    fn file(
        &mut self,
        level: &Level<'_>,
        path: &mut Vec<u8>,
        name: &[u8],
        entry: &Entry,
    ) -> Result<bool, Gap> {
        let Some(found) = level.folder.stat(name, Links::Keep)? else {
            return Ok(!entry.skipped);
        };
        let kind = FileType::from_raw_mode(found.st_mode);
        match (entry.mode & tree::TYPE, kind) {
            (tree::GITLINK, FileType::Directory) => self.submodule(level, path, name, entry),
            (tree::LINK, FileType::Symlink) => {
                if self.is_as_recorded(entry, &found) {
                    return Ok(false);
                }
                let target = level.folder.link(name)?.unwrap_or_default();
                let mut sum = oid::blob(self.checkout.store.sum, target.len() as u64);
                sum.update(&target);
                Ok(oid::finish(sum, &level.folder.place(name))? != entry.oid)
            }
            // Where the file system has no links, git writes a file with the path in it.
            (tree::LINK, FileType::RegularFile) if !self.everywhere.links => {
                self.content(level, path, name, entry, &found)
            }
            (tree::GITLINK | tree::LINK, _) => Ok(true),
            (_, FileType::RegularFile) => {
                let runs = |mode: u32| mode & 0o100 != 0;
                if self.everywhere.modes && runs(found.st_mode) != runs(entry.mode) {
                    return Ok(true);
                }
                self.content(level, path, name, entry, &found)
            }
            _ => Ok(true),
        }
    }

    fn content(
        &mut self,
        level: &Level<'_>,
        path: &[u8],
        name: &[u8],
        entry: &Entry,
        found: &Stat,
    ) -> Result<bool, Gap> {
        if self.is_as_recorded(entry, found) {
            return Ok(false);
        }
        let Some(file) = level.folder.file(name, Links::Keep)? else {
            return Ok(true);
        };
        let size = file.found().len();
        let attributes = level.attributes(path, name, self.everywhere)?;
        let compared = Compared {
            file: file.into_file(),
            size,
            path: &level.folder.place(name),
            attributes: &attributes,
            config: &self.everywhere.config,
            config_is_partial: self.everywhere.config_is_partial,
            objects: &self.checkout.store.objects,
            sum: self.checkout.store.sum,
        };
        if let Some(same) = compared.by_size(&entry.oid, entry.recorded.size)? {
            return Ok(!same);
        }
        let Some(left) = self.budget.bytes.checked_sub(size) else {
            return Err(Gap::new(
                GapKind::TooLarge,
                format!(
                    "more than {COMPARED_BYTES_MAX} bytes in {} would have to be compared; `git status` there notes \
                     what is unchanged",
                    self.checkout.root.path().display()
                ),
            ));
        };
        self.budget.bytes = left;
        Ok(!compared.is(&entry.oid)?)
    }

    /// Whether a file is as it was when its content was last known, and cannot have been written to since unnoticed.
    fn is_as_recorded(&self, entry: &Entry, found: &Stat) -> bool {
        let (was, is) = (entry.recorded, Recorded::of(found));
        let written = self.index.written;
        let minimal = self.everywhere.minimal;
        // Some writers of the index know whole seconds alone.
        let same = |was: (u32, u32), is: (u32, u32)| {
            was.0 == is.0 && (was.1 == is.1 || was.1 == 0 || minimal)
        };
        let exact = was.modified.1 != 0 && !minimal;
        // As old as the index or younger: it may have been written to in the same moment, and would look the same.
        let racy = match exact {
            true => was.modified >= written,
            false => was.modified.0 >= written.0,
        };
        let unchanged = minimal
            || ((was.inode, was.user, was.group) == (is.inode, is.user, is.group)
                && (!self.everywhere.changed_counts || same(was.changed, is.changed)));
        !racy && was.size == is.size && same(was.modified, is.modified) && unchanged
    }

    /// Whether a submodule stands at another commit than the one that is committed, or holds changes of its own.
    fn submodule(
        &mut self,
        level: &Level<'_>,
        path: &mut Vec<u8>,
        name: &[u8],
        entry: &Entry,
    ) -> Result<bool, Gap> {
        let Some(folder) = self.enter(level.folder, name, 0)? else {
            return Ok(true);
        };
        if folder.stat(b".git", Links::Keep)?.is_none() {
            // It was never fetched, and its folder is empty; what is there all the same is nowhere else.
            return self.below(level, &folder, path, 0..0, false, 1);
        }
        let place = folder.path().to_owned();
        if self.depth >= SUBMODULES_MAX {
            return Err(Gap::new(
                GapKind::TooLarge,
                format!(
                    "{} lies in more than {SUBMODULES_MAX} repositories",
                    place.display()
                ),
            ));
        }
        let about = |gap: Gap| {
            Gap::new(
                gap.kind,
                format!("the submodule {}: {}", place.display(), gap.detail),
            )
        };
        let own = Checkout::nested(folder).map_err(about)?;
        let head = own
            .head()
            .map_err(about)?
            .ok_or_else(|| about(Gap::new(GapKind::NoControl, "it has no commit checked out")))?;
        if head != entry.oid {
            return Ok(true);
        }
        own.look(self.person, self.budget, self.depth + 1)
            .map_err(about)
    }
}
