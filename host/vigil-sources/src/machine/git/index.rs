//! The index of a checkout: which files git watches, and how each looked when its content was last known.
//!
//! Not by gix-index (0.58): it calls itself for each known tree within another, so that 700 KB end the process, and names
//! that are written short take as much memory as they ask for.

use std::ops::Range;
use std::os::unix::fs::MetadataExt as _;

use gix_bitmap::ewah::Vec as Bitmap;
use gix_utils::decode::leb64_from_read;
use rustix::fs::Stat;
use vigil_core::fact::{Gap, GapKind};

use super::folder::{Folder, Links};
use super::oid::{Oid, Sum};
use super::tree;

/// 256 MiB: two million files.
const INDEX_BYTES_MAX: u64 = 256 << 20;

/// The same for the paths in it. They may be written short there: as much of the path before, and what is new.
const NAMES_BYTES_MAX: usize = 256 << 20;

/// What a file system tells of a file, as the index keeps it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Recorded {
    pub(crate) changed: (u32, u32),
    pub(crate) modified: (u32, u32),
    pub(crate) inode: u32,
    pub(crate) user: u32,
    pub(crate) group: u32,
    pub(crate) size: u32,
}

impl Recorded {
    /// What `found` would be recorded as: the lower halves of its numbers.
    pub(crate) fn of(found: &Stat) -> Recorded {
        let low = |number: i128| number.rem_euclid(1 << 32) as u32;
        Recorded {
            changed: (
                low(i128::from(found.st_ctime)),
                low(i128::from(found.st_ctime_nsec)),
            ),
            modified: (
                low(i128::from(found.st_mtime)),
                low(i128::from(found.st_mtime_nsec)),
            ),
            inode: low(i128::from(found.st_ino)),
            user: found.st_uid,
            group: found.st_gid,
            size: low(i128::from(found.st_size)),
        }
    }
}

/// A file that git watches.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    name: Range<u32>,
    pub(crate) mode: u32,
    pub(crate) oid: Oid,
    pub(crate) recorded: Recorded,
    /// 0, or a side of a merge that nobody has ended.
    pub(crate) stage: u8,
    /// It is not to be in the checkout.
    pub(crate) skipped: bool,
    /// It is to be added, and its content is not yet.
    pub(crate) to_be_added: bool,
}

/// The tree that a part of the index makes.
#[derive(Clone, Debug)]
pub(crate) struct Cached {
    pub(crate) path: Vec<u8>,
    pub(crate) tree: Oid,
}

/// The index as it was read.
#[derive(Debug, Default)]
pub(crate) struct Index {
    names: Vec<u8>,
    entries: Vec<Entry>,
    /// Trees that are known to be those of a part, the root's path being empty.
    pub(crate) cached: Vec<Cached>,
    /// When the file was written: an entry with the same time or a later one proves nothing.
    pub(crate) written: (u32, u32),
}

impl Index {
    /// The index in `git_dir`. A missing one watches nothing, as for git.
    pub(crate) fn read(git_dir: &Folder, sum: Sum) -> Result<Index, Gap> {
        let Some(file) = git_dir.file(b"index", Links::Follow)? else {
            return Ok(Index::default());
        };
        let low = |number: i64| u32::try_from(number.rem_euclid(1 << 32)).unwrap_or_default();
        let written = (low(file.found().mtime()), low(file.found().mtime_nsec()));
        let bytes = file.read(INDEX_BYTES_MAX)?;
        let (mut index, split) = parse(&bytes, sum).map_err(|fault| fault.gap(git_dir, "index"))?;
        if let Some(split) = split.filter(|split| !split.base.is_null()) {
            let name = format!("sharedindex.{}", split.base);
            let shared = git_dir
                .read(name.as_bytes(), Links::Follow, INDEX_BYTES_MAX)?
                .ok_or_else(|| Fault::Damaged.gap(git_dir, &name))?;
            let (base, none) = parse(&shared, sum).map_err(|fault| fault.gap(git_dir, &name))?;
            if none.is_some() {
                return Err(Fault::Damaged.gap(git_dir, &name));
            }
            index = join(base, index, &split).map_err(|fault| fault.gap(git_dir, "index"))?;
        }
        // All that follows takes what lies in a folder for one piece of the list.
        let place = |entry: &Entry| (index.path(entry), entry.stage);
        if !index
            .entries
            .is_sorted_by(|one, other| place(one) < place(other))
        {
            return Err(Fault::Damaged.gap(git_dir, "index"));
        }
        index.written = written;
        Ok(index)
    }

    /// Its entries, by path.
    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The path of `entry`, which is one of this index.
    pub(crate) fn path(&self, entry: &Entry) -> &[u8] {
        let range = entry.name.start as usize..entry.name.end as usize;
        self.names.get(range).unwrap_or_default()
    }
}

/// What is wrong with an index.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Fault {
    Damaged,
    Unknown(String),
}

impl Fault {
    fn gap(&self, folder: &Folder, name: &str) -> Gap {
        let path = folder.path().join(name);
        match self {
            Fault::Damaged => {
                Gap::new(GapKind::Malformed, format!("{} is damaged", path.display()))
            }
            Fault::Unknown(what) => Gap::new(
                GapKind::Unsupported,
                format!("{} has {what}, which vigil cannot read", path.display()),
            ),
        }
    }
}

/// Where the rest of a split index is, and which of its entries no longer hold.
struct Split {
    base: Oid,
    deleted: Option<Bitmap>,
    replaced: Option<Bitmap>,
}

fn parse(bytes: &[u8], sum: Sum) -> Result<(Index, Option<Split>), Fault> {
    let mut rest = Bytes(bytes);
    if rest.take(4)? != b"DIRC" {
        return Err(Fault::Damaged);
    }
    let version = rest.number()?;
    if !(2..=4).contains(&version) {
        return Err(Fault::Unknown(format!("version {version}")));
    }
    let count = rest.number()? as usize;
    // The shortest entry takes more than this: a count that is made up takes no memory.
    if count > bytes.len() / 32 {
        return Err(Fault::Damaged);
    }
    let mut index = Index {
        entries: Vec::with_capacity(count),
        ..Index::default()
    };
    let mut last = 0..0;
    for _ in 0..count {
        let entry = entry(&mut rest, version, sum, &mut index.names, &last)?;
        last = entry.name.start as usize..entry.name.end as usize;
        index.entries.push(entry);
    }
    let mut split = None;
    // What is left ends with the sum of it all.
    while rest.0.len() > sum.len_in_bytes() {
        let name: [u8; 4] = rest.take(4)?.try_into().map_err(|_| Fault::Damaged)?;
        let length = rest.number()? as usize;
        let content = rest.take(length)?;
        match &name {
            b"TREE" => index.cached = cached(content, sum)?,
            b"link" => split = Some(link(content, sum)?),
            // Says that some entries are folders, which their modes say, too.
            b"sdir" => {}
            // What begins with a capital can be left unread.
            [b'A'..=b'Z', ..] => {}
            other => {
                let name = String::from_utf8_lossy(other).into_owned();
                return Err(Fault::Unknown(format!("the extension {name:?}")));
            }
        }
    }
    Ok((index, split))
}

fn entry(
    rest: &mut Bytes<'_>,
    version: u32,
    sum: Sum,
    names: &mut Vec<u8>,
    last: &Range<usize>,
) -> Result<Entry, Fault> {
    let before = rest.0.len();
    let changed = (rest.number()?, rest.number()?);
    let modified = (rest.number()?, rest.number()?);
    let _device = rest.number()?;
    let inode = rest.number()?;
    let mode = rest.number()?;
    let (user, group, size) = (rest.number()?, rest.number()?, rest.number()?);
    let oid = rest.name(sum)?;
    let flags = rest.short()?;
    let more = match flags & 0x4000 != 0 {
        true if version >= 3 => rest.short()?,
        true => return Err(Fault::Damaged),
        false => 0,
    };
    let start = names.len();
    if version == 4 {
        let dropped = rest.distance()?;
        let kept = last.len().checked_sub(dropped).ok_or(Fault::Damaged)?;
        names.extend_from_within(last.start..last.start + kept);
        let end = memchr::memchr(0, rest.0).ok_or(Fault::Damaged)?;
        names.extend_from_slice(rest.take(end)?);
        rest.take(1)?;
    } else {
        let end = memchr::memchr(0, rest.0).ok_or(Fault::Damaged)?;
        names.extend_from_slice(rest.take(end)?);
        // Entries are as long as a multiple of eight, with at least one zero at the end.
        let length = before - rest.0.len();
        rest.take(8 - length % 8)?;
    }
    if !leads_inside(names.get(start..).unwrap_or_default(), mode) {
        return Err(Fault::Damaged);
    }
    if names.len() > NAMES_BYTES_MAX {
        return Err(Fault::Damaged);
    }
    let place = |at: usize| u32::try_from(at).map_err(|_| Fault::Damaged);
    Ok(Entry {
        name: place(start)?..place(names.len())?,
        mode,
        oid,
        recorded: Recorded {
            changed,
            modified,
            inode,
            user,
            group,
            size,
        },
        stage: u8::try_from(flags >> 12 & 3).unwrap_or_default(),
        skipped: more & 0x4000 != 0,
        to_be_added: more & 0x2000 != 0,
    })
}

/// Whether a path stays in the checkout and out of its git folder, as git itself would have it. An empty one stands for
/// another index's.
fn leads_inside(path: &[u8], mode: u32) -> bool {
    let path = match mode & tree::TYPE == tree::TREE {
        true => path.strip_suffix(b"/").unwrap_or(path),
        false => path,
    };
    path.is_empty()
        || path
            .split(|byte| *byte == b'/')
            .all(|part| !matches!(part, b"" | b"." | b".." | b".git"))
}

/// The parts whose trees are known, each named with its whole path.
fn cached(content: &[u8], sum: Sum) -> Result<Vec<Cached>, Fault> {
    let mut found = Vec::new();
    let mut rest = Bytes(content);
    let mut path = Vec::new();
    // Folders that are not done: how long the path was above each, and how many parts are still to come.
    let mut open: Vec<(usize, u32)> = Vec::new();
    let mut paths_bytes = 0;
    while !rest.0.is_empty() {
        let name = rest.until(0)?;
        let count = rest.text_number(b' ')?;
        let parts = u32::try_from(rest.text_number(b'\n')?).map_err(|_| Fault::Damaged)?;
        let above = path.len();
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(name);
        // A negative count: changed since, and of no known tree.
        if count >= 0 {
            let tree = rest.name(sum)?;
            paths_bytes += path.len();
            if paths_bytes > NAMES_BYTES_MAX {
                return Err(Fault::Damaged);
            }
            found.push(Cached {
                path: path.clone(),
                tree,
            });
        }
        open.push((above, parts));
        while let Some((above, left)) = open.last_mut() {
            if *left > 0 {
                *left -= 1;
                break;
            }
            path.truncate(*above);
            open.pop();
        }
    }
    Ok(found)
}

fn link(content: &[u8], sum: Sum) -> Result<Split, Fault> {
    let mut rest = Bytes(content);
    let mut split = Split {
        base: rest.name(sum)?,
        deleted: None,
        replaced: None,
    };
    if !rest.0.is_empty() {
        split.deleted = Some(rest.bits()?);
        split.replaced = Some(rest.bits()?);
    }
    Ok(split)
}

/// Which of `count` entries are marked.
fn marked(bits: Option<&Bitmap>, count: usize) -> Result<Vec<bool>, Fault> {
    let mut marked = vec![false; count];
    let mut mark = |place| {
        *marked.get_mut(place)? = true;
        Some(())
    };
    match bits.map_or(Some(()), |bits| bits.for_each_set_bit(&mut mark)) {
        Some(()) => Ok(marked),
        None => Err(Fault::Damaged),
    }
}

/// The entries of `base` that still hold, with those of `own` in place of others and beside them.
fn join(base: Index, own: Index, split: &Split) -> Result<Index, Fault> {
    let count = base.entries.len();
    let deleted = marked(split.deleted.as_ref(), count)?;
    let replaced = marked(split.replaced.as_ref(), count)?;
    let mut names = base.names;
    let shift = u32::try_from(names.len()).map_err(|_| Fault::Damaged)?;
    names.extend_from_slice(&own.names);
    u32::try_from(names.len()).map_err(|_| Fault::Damaged)?;
    let mut others = own.entries.into_iter().map(|entry| Entry {
        name: entry.name.start + shift..entry.name.end + shift,
        ..entry
    });
    let mut entries = Vec::with_capacity(count);
    for ((entry, deleted), replaced) in base.entries.into_iter().zip(deleted).zip(replaced) {
        if replaced {
            let other = others.next().ok_or(Fault::Damaged)?;
            // It stands for the same path, which it need not say.
            if !deleted {
                entries.push(Entry {
                    name: entry.name,
                    ..other
                });
            }
        } else if !deleted {
            entries.push(entry);
        }
    }
    entries.extend(others);
    let path = |entry: &Entry| names.get(entry.name.start as usize..entry.name.end as usize);
    entries.sort_by(|one, other| (path(one), one.stage).cmp(&(path(other), other.stage)));
    Ok(Index {
        names,
        entries,
        cached: own.cached,
        written: (0, 0),
    })
}

/// Whether an entry stands for a folder that is not to be in the checkout.
pub(crate) fn is_folder(entry: &Entry) -> bool {
    entry.mode & tree::TYPE == tree::TREE
}

/// What is left to read.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Fault> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Fault::Damaged)?;
        self.0 = rest;
        Ok(taken)
    }

    fn until(&mut self, end: u8) -> Result<&'a [u8], Fault> {
        let place = memchr::memchr(end, self.0).ok_or(Fault::Damaged)?;
        let taken = self.take(place)?;
        self.take(1)?;
        Ok(taken)
    }

    fn name(&mut self, sum: Sum) -> Result<Oid, Fault> {
        Oid::try_from(self.take(sum.len_in_bytes())?).map_err(|_| Fault::Damaged)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        self.take(N)?.try_into().map_err(|_| Fault::Damaged)
    }

    fn short(&mut self) -> Result<u16, Fault> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    fn number(&mut self) -> Result<u32, Fault> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    /// A row of bits.
    fn bits(&mut self) -> Result<Bitmap, Fault> {
        let (bits, rest) = gix_bitmap::ewah::decode(self.0).map_err(|_| Fault::Damaged)?;
        self.0 = rest;
        Ok(bits)
    }

    fn text_number(&mut self, end: u8) -> Result<i64, Fault> {
        let text = std::str::from_utf8(self.until(end)?).map_err(|_| Fault::Damaged)?;
        text.parse().map_err(|_| Fault::Damaged)
    }

    /// How many bytes of the last name do not hold for the next one.
    fn distance(&mut self) -> Result<usize, Fault> {
        let (distance, _) = leb64_from_read(&mut self.0).map_err(|_| Fault::Damaged)?;
        usize::try_from(distance).map_err(|_| Fault::Damaged)
    }
}

#[cfg(test)]
mod tests;
