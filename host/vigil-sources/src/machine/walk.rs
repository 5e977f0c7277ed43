//! Everything below a folder that git does not ignore, seen without following a link, entering another mount, or
//! opening anything but folders and files of patterns.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags, Stat, openat, openat2, statat,
};
use rustix::io::Errno;
use vigil_core::fact::{Gap, GapKind};

use super::ignored::{Matchers, PATTERNS_MAX, Rules};
use super::open::{self, AS_FOLDER};

/// A walk over one folder.
#[derive(Debug)]
pub struct Walk<'a> {
    /// The folder, links followed.
    pub dir: &'a Path,
    /// The repository's `info/exclude`.
    pub exclude: Option<PathBuf>,
    /// Folders below it on which something else is mounted. They are not even looked at, since that can take for ever.
    pub mounts: &'a [PathBuf],
    /// How many files and folders there may be that git does not ignore; ignored folders count, too.
    pub entries_max: usize,
    /// How many there may be in all that are not in an ignored folder.
    pub listed_max: usize,
}

impl Walk<'_> {
    /// Calls `see` with everything that git does not ignore, `dir` itself first, and with ignored folders, which are not
    /// entered. A `.gitignore` that is a link ignores nothing: git does not follow it either.
    ///
    /// # Errors
    /// A part cannot be read, what should be a file of patterns is none or beyond its bounds, or there is too much. The
    /// gap names the place. What was seen before was seen.
    pub fn over(
        &self,
        matchers: &mut Matchers,
        see: &mut dyn FnMut(&Stat, &Path),
    ) -> Result<(), Gap> {
        let root = openat(CWD, self.dir, AS_FOLDER, Mode::empty())
            .map_err(|error| self.unreadable(Path::new(""), error))?;
        let found = statat(&root, "", AtFlags::EMPTY_PATH)
            .map_err(|error| self.unreadable(Path::new(""), error))?;
        see(&found, self.dir);
        let mut patterns_left = PATTERNS_MAX;
        let mut above = Rules::default();
        if let Some(exclude) = &self.exclude {
            match open::open(exclude) {
                Ok(file) => {
                    above = above.and(Path::new(""), file, matchers, &mut patterns_left)?;
                }
                Err(trouble) if trouble.is_gone() => {}
                Err(trouble) => return Err(trouble.into()),
            }
        }
        let (mut entries_left, mut listed_left) = (self.entries_max, self.listed_max);
        let mut folders = vec![(PathBuf::new(), above)];
        while let Some((folder, above)) = folders.pop() {
            let unreadable = |error| self.unreadable(&folder, error);
            let Some(opened) = enter(&root, &folder).map_err(unreadable)? else {
                continue;
            };
            let rules = self.rules(&above, &opened, &folder, matchers, &mut patterns_left)?;
            for entry in Dir::read_from(&opened).map_err(unreadable)? {
                let entry = entry.map_err(unreadable)?;
                let name = OsStr::from_bytes(entry.file_name().to_bytes());
                if [".", "..", ".git"].iter().any(|skipped| name == *skipped) {
                    continue;
                }
                self.take(&mut listed_left, self.listed_max, "files")?;
                let path = folder.join(name);
                let whole = self.dir.join(&path);
                if self.mounts.contains(&whole) {
                    continue;
                }
                let told = entry.file_type();
                // What is no folder and ignored is not even looked at.
                if !matches!(told, FileType::Directory | FileType::Unknown)
                    && rules.ignores(&path, false)
                {
                    continue;
                }
                // What went away meanwhile is a write to the folder that held it.
                let Ok(found) = statat(&opened, name, AtFlags::SYMLINK_NOFOLLOW) else {
                    continue;
                };
                let is_folder = FileType::from_raw_mode(found.st_mode) == FileType::Directory;
                let is_ignored = rules.ignores(&path, is_folder);
                if is_ignored && !is_folder {
                    continue;
                }
                self.take(
                    &mut entries_left,
                    self.entries_max,
                    "files that git does not ignore",
                )?;
                see(&found, &whole);
                if is_folder && !is_ignored {
                    folders.push((path, rules.clone()));
                }
            }
        }
        Ok(())
    }

    /// The rules of `folder`, which was opened, and of those above it.
    fn rules(
        &self,
        above: &Rules,
        opened: &OwnedFd,
        folder: &Path,
        matchers: &mut Matchers,
        patterns_left: &mut usize,
    ) -> Result<Rules, Gap> {
        let whole = self.dir.join(folder).join(NAME);
        match open::open_in(opened, Path::new(NAME), &whole) {
            Ok(file) => above.and(folder, file, matchers, patterns_left),
            Err(trouble) if trouble.is_gone() || trouble.is_link() => Ok(above.clone()),
            Err(trouble) => Err(trouble.into()),
        }
    }

    fn take(&self, left: &mut usize, of: usize, what: &str) -> Result<(), Gap> {
        *left = left.checked_sub(1).ok_or_else(|| {
            Gap::new(
                GapKind::TooLarge,
                format!("{} holds more than {of} {what}", self.dir.display()),
            )
        })?;
        Ok(())
    }

    fn unreadable(&self, folder: &Path, error: Errno) -> Gap {
        let place = match folder.as_os_str().is_empty() {
            true => self.dir.to_owned(),
            false => self.dir.join(folder),
        };
        let error = io::Error::from(error);
        Gap::new(
            GapKind::Denied,
            format!("{} cannot be read: {error}", place.display()),
        )
    }
}

/// What git calls its files of patterns.
const NAME: &str = ".gitignore";

/// Opens `folder` below `root`. `None`: it is no folder of this mount any more.
fn enter(root: &OwnedFd, folder: &Path) -> Result<Option<OwnedFd>, Errno> {
    if folder.as_os_str().is_empty() {
        return openat(root, ".", AS_FOLDER, Mode::empty()).map(Some);
    }
    // No part of the way is a link, and none leads out of the worktree or onto another mount.
    let resolve = ResolveFlags::BENEATH
        | ResolveFlags::NO_SYMLINKS
        | ResolveFlags::NO_MAGICLINKS
        | ResolveFlags::NO_XDEV;
    let opened = openat2(root.as_fd(), folder, AS_FOLDER, Mode::empty(), resolve);
    let opened = match opened {
        // Kernels before 5.6, and sandboxes that do not know the call. Mounts were told before.
        Err(Errno::NOSYS | Errno::PERM) => {
            openat(root, folder, AS_FOLDER | OFlags::NOFOLLOW, Mode::empty())
        }
        opened => opened,
    };
    match opened {
        Ok(opened) => Ok(Some(opened)),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV | Errno::AGAIN) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
