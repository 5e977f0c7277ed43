//! Branches and remote branches: names that stand for commits.
//!
//! `packed-refs` not by gix-ref (0.69): for these few lines it brings code along that starts git, locks and writes.

use std::collections::HashMap;

use rustix::fs::FileType;
use vigil_core::fact::{Gap, GapKind};

use super::folder::{Folder, Links};
use super::oid::{Oid, Sum};

/// 64 MiB: the names of half a million refs.
const PACKED_BYTES_MAX: u64 = 64 << 20;

/// 4 KiB: a commit's name, or another ref's.
const LOOSE_BYTES_MAX: u64 = 4 << 10;

/// 500,000 refs of their own.
const LOOSE_MAX: usize = 500_000;

/// 32: a branch's name with more slashes is nobody's.
const DEPTH_MAX: usize = 32;

/// 5: as many steps as git takes from one name to the next.
const STEPS_MAX: usize = 5;

/// What a ref says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// A commit.
    Commit(Oid),
    /// Another ref.
    Ref(String),
}

/// The branches and remote branches of a repository, by full name. What could not be read has its reason in place.
#[derive(Debug, Default)]
pub(crate) struct Refs(HashMap<String, Result<Target, Gap>>);

impl Refs {
    /// Reads them all.
    pub(crate) fn list(common: &Folder, sum: Sum) -> Result<Refs, Gap> {
        let mut all: HashMap<String, Result<Target, Gap>> = packed(common, sum)?
            .into_iter()
            .map(|(name, oid)| (name, Ok(Target::Commit(oid))))
            .collect();
        if let Some(folder) = common.folder(b"refs", Links::Follow)? {
            for top in ["heads", "remotes"] {
                if let Some(folder) = folder.folder(top.as_bytes(), Links::Follow)? {
                    loose(&folder, &format!("refs/{top}"), sum, 0, &mut all)?;
                }
            }
        }
        Ok(Refs(all))
    }

    /// The commit that `name` stands for. `None`: there is no such ref.
    pub(crate) fn get(&self, name: &str) -> Result<Option<Oid>, Gap> {
        let mut name = name;
        for _ in 0..STEPS_MAX {
            match self.0.get(name) {
                None => return Ok(None),
                Some(Ok(Target::Commit(oid))) => return Ok(Some(*oid)),
                Some(Ok(Target::Ref(other))) => name = other,
                Some(Err(gap)) => return Err(gap.clone()),
            }
        }
        Err(endless(name))
    }

    /// Whether there is such a ref, readable or not.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The commits of all refs below `prefix` that can be read. A damaged one says nothing.
    pub(crate) fn below(&self, prefix: &str) -> impl Iterator<Item = Oid> {
        self.0
            .keys()
            .filter(move |name| name.starts_with(prefix))
            .filter_map(|name| self.get(name).ok()?)
    }
}

/// What the ref `name` says now. `None`: there is none.
pub(crate) fn read(common: &Folder, name: &str, sum: Sum) -> Result<Option<Target>, Gap> {
    if !is_plain(name) {
        return Err(Gap::new(
            GapKind::Malformed,
            format!("{name:?} in {} is no ref", common.path().display()),
        ));
    }
    // A folder of that name holds other refs, and is none itself.
    let is_folder = common
        .stat(name.as_bytes(), Links::Follow)?
        .is_some_and(|found| FileType::from_raw_mode(found.st_mode) == FileType::Directory);
    let text = match is_folder {
        true => None,
        false => common.read(name.as_bytes(), Links::Follow, LOOSE_BYTES_MAX)?,
    };
    match text {
        Some(text) => parse(&text, sum)
            .map(Some)
            .ok_or_else(|| damaged(common, name)),
        None => Ok(packed_as(common, name, sum)?.map(Target::Commit)),
    }
}

/// The commit that the ref `name` stands for now. `None`: there is none.
pub(crate) fn resolve(common: &Folder, name: &str, sum: Sum) -> Result<Option<Oid>, Gap> {
    let mut name = name.to_owned();
    for _ in 0..STEPS_MAX {
        match read(common, &name, sum)? {
            None => return Ok(None),
            Some(Target::Commit(oid)) => return Ok(Some(oid)),
            Some(Target::Ref(other)) => name = other,
        }
    }
    Err(endless(&name))
}

/// What `HEAD` in `git_dir` says.
pub(crate) fn head(git_dir: &Folder, sum: Sum) -> Result<Target, Gap> {
    // A link in place of the file is what git itself wrote long ago.
    let text = git_dir.read(b"HEAD", Links::Follow, LOOSE_BYTES_MAX)?;
    let text = text.ok_or_else(|| {
        Gap::new(
            GapKind::Malformed,
            format!("{} holds no HEAD", git_dir.path().display()),
        )
    })?;
    parse(&text, sum).ok_or_else(|| damaged(git_dir, "HEAD"))
}

fn parse(text: &[u8], sum: Sum) -> Option<Target> {
    let text = std::str::from_utf8(text).ok()?.trim_end();
    if let Some(name) = text.strip_prefix("ref:") {
        return Some(Target::Ref(name.trim().to_owned()));
    }
    // FETCH_HEAD and its like say more after the name.
    let name = text.split_ascii_whitespace().next()?;
    let oid: Oid = name.parse().ok()?;
    (oid.kind() == sum).then_some(Target::Commit(oid))
}

/// Whether `name` is a path below `refs` that leads nowhere else.
fn is_plain(name: &str) -> bool {
    name.starts_with("refs/")
        && !name.contains('\0')
        && name
            .split('/')
            .all(|part| !part.is_empty() && part != "." && part != "..")
}

fn packed(common: &Folder, sum: Sum) -> Result<HashMap<String, Oid>, Gap> {
    let text = common.read(b"packed-refs", Links::Follow, PACKED_BYTES_MAX)?;
    let mut found = HashMap::new();
    for line in text.unwrap_or_default().split(|byte| *byte == b'\n') {
        if line.is_empty() || line.starts_with(b"#") || line.starts_with(b"^") {
            continue;
        }
        let line = String::from_utf8_lossy(line);
        let named = line.split_once(' ').and_then(|(oid, name)| {
            let oid: Oid = oid.parse().ok()?;
            (oid.kind() == sum).then_some((name.trim_end(), oid))
        });
        let (name, oid) = named.ok_or_else(|| damaged(common, "packed-refs"))?;
        if name.starts_with("refs/heads/") || name.starts_with("refs/remotes/") {
            found.insert(name.to_owned(), oid);
        }
    }
    Ok(found)
}

/// The commit that `name` alone stands for among the packed refs; the others are not read. `None`: it is not there.
fn packed_as(common: &Folder, name: &str, sum: Sum) -> Result<Option<Oid>, Gap> {
    let text = common.read(b"packed-refs", Links::Follow, PACKED_BYTES_MAX)?;
    let text = text.unwrap_or_default();
    let mut lines = text.split(|byte| *byte == b'\n');
    let oid = lines.find_map(|line| {
        line.trim_ascii_end()
            .strip_suffix(name.as_bytes())?
            .strip_suffix(b" ")
    });
    let Some(oid) = oid else {
        return Ok(None);
    };
    let oid: Option<Oid> = std::str::from_utf8(oid)
        .ok()
        .and_then(|oid| oid.parse().ok());
    let oid = oid.filter(|oid| oid.kind() == sum);
    oid.map(Some).ok_or_else(|| damaged(common, "packed-refs"))
}

fn loose(
    folder: &Folder,
    name: &str,
    sum: Sum,
    depth: usize,
    all: &mut HashMap<String, Result<Target, Gap>>,
) -> Result<(), Gap> {
    if depth > DEPTH_MAX || all.len() > LOOSE_MAX {
        return Err(Gap::new(
            GapKind::TooLarge,
            format!(
                "{} holds more than {LOOSE_MAX} refs, or more than {DEPTH_MAX} folders in one another",
                folder.path().display()
            ),
        ));
    }
    for entry in folder.entries()? {
        let Ok(part) = std::str::from_utf8(&entry.name) else {
            continue;
        };
        // What is being written has another name until it is whole.
        if part.ends_with(".lock") {
            continue;
        }
        let full = format!("{name}/{part}");
        if entry.kind == FileType::Directory {
            if let Some(folder) = folder.folder(&entry.name, Links::Keep)? {
                loose(&folder, &full, sum, depth + 1, all)?;
            }
            continue;
        }
        let read = match folder.read(&entry.name, Links::Follow, LOOSE_BYTES_MAX) {
            // It went away while the folder was read: packed, or deleted.
            Ok(None) => continue,
            Ok(Some(text)) => parse(&text, sum).ok_or_else(|| damaged(folder, part)),
            Err(gap) => Err(gap),
        };
        all.insert(full, read);
    }
    Ok(())
}

fn damaged(folder: &Folder, name: &str) -> Gap {
    Gap::new(
        GapKind::Malformed,
        format!("{} names no commit", folder.path().join(name).display()),
    )
}

fn endless(name: &str) -> Gap {
    Gap::new(
        GapKind::Malformed,
        format!("{name} leads from one ref to the next without an end"),
    )
}
