//! Objects of a repository, loose and packed, read from files that are opened for each look.
//!
//! This is no library's reader on purpose: they map packs into memory, where a pack that somebody cuts short ends the
//! process, and open whatever bears an object's name, where a named pipe never answers. An agent can do both to the
//! repository that it works in. A pack's index is not gix-pack's (0.77) either: it wants all of it in memory, hundreds of
//! megabytes for a large repository, of which a look needs a few lines.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::rc::Rc;

use flate2::read::ZlibDecoder;
use gix_object::Kind;
use gix_utils::decode::leb64_from_read;
use vigil_core::fact::{Gap, GapKind};

use super::delta;
use super::folder::{Folder, Links, io_gap};
use super::oid::{Oid, Sum};

/// 32 MiB: larger trees and commits are none, and larger texts are not compared line by line.
pub(crate) const OBJECT_BYTES_MAX: u64 = 32 << 20;

/// 4,096: git itself makes chains of 50 and takes chains of 4,095.
const CHAIN_MAX: usize = 4096;

/// 128 MiB of differences in one chain: four times the largest object.
const DELTAS_BYTES_MAX: usize = 128 << 20;

/// 24 MiB of objects that others are told apart from, kept for one look.
const KEPT_BYTES_MAX: usize = 24 << 20;

/// 16 folders of objects: a clone of a clone of a clone borrows from a few.
const FOLDERS_MAX: usize = 16;

/// 10,000 packs: git warns at 50.
const PACKS_MAX: usize = 10_000;

/// 32: enough for every kind and size.
const HEAD_BYTES_MAX: usize = 32;

/// An object's content.
pub(crate) type Content = (Kind, Rc<[u8]>);

/// The objects of one repository, for one look.
#[derive(Debug)]
pub(crate) struct Objects {
    sum: Sum,
    folders: Vec<Folder>,
    packs: OnceCell<Result<Vec<Pack>, Gap>>,
    kept: RefCell<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    bytes: usize,
    found: HashMap<(usize, u64), Content>,
}

#[derive(Debug)]
struct Pack {
    index: File,
    data: File,
    data_len: u64,
    count: u32,
    fanout: Vec<u32>,
    name: String,
}

impl Objects {
    /// The objects in `folder` and in those that it borrows from. What cannot be opened of these is left out: what is
    /// missing because of it is a gap.
    pub(crate) fn open(folder: Folder, sum: Sum) -> Result<Objects, Gap> {
        let mut folders = vec![folder];
        let mut next = 0;
        while let Some(folder) = folders.get(next) {
            next += 1;
            let borrowed = folder.read(b"info/alternates", Links::Follow, 64 << 10)?;
            let mut found = Vec::new();
            for line in borrowed.unwrap_or_default().split(|byte| *byte == b'\n') {
                if line.is_empty() || line.starts_with(b"#") {
                    continue;
                }
                let path = folder.path().join(std::ffi::OsStr::from_bytes(line));
                found.extend(Folder::open(&path).ok());
            }
            folders.extend(found);
            if folders.len() > FOLDERS_MAX {
                return Err(Gap::new(
                    GapKind::TooLarge,
                    format!(
                        "the repository borrows objects from more than {FOLDERS_MAX} folders (objects/info/alternates)"
                    ),
                ));
            }
        }
        Ok(Objects {
            sum,
            folders,
            packs: OnceCell::new(),
            kept: RefCell::default(),
        })
    }

    /// The content of `oid`. `None`: the repository does not have it. More than [`OBJECT_BYTES_MAX`] are a gap.
    pub(crate) fn read(&self, oid: &Oid) -> Result<Option<Content>, Gap> {
        // The packs come first, as for git: of two objects with one name both have to see the same.
        let packs = match self.packs.get_or_init(|| self.list_packs()) {
            Ok(packs) => packs,
            Err(gap) => return Err(gap.clone()),
        };
        for (number, pack) in packs.iter().enumerate() {
            let found = pack.offset(oid, self.sum);
            if let Some(offset) = found.map_err(|error| pack.gap(&error))? {
                return self.packed(packs, number, offset).map(Some);
            }
        }
        for folder in &self.folders {
            if let Some(content) = loose(folder, oid)? {
                return Ok(Some(content));
            }
        }
        Ok(None)
    }

    /// The content of `oid`, which must be there and be a `kind`.
    pub(crate) fn get(&self, oid: &Oid, kind: Kind) -> Result<Rc<[u8]>, Gap> {
        match self.read(oid)? {
            Some((found, content)) if found == kind => Ok(content),
            Some((found, _)) => Err(Gap::new(
                GapKind::Malformed,
                format!("object {oid} is a {found} and no {kind}"),
            )),
            None => Err(Gap::new(
                GapKind::NoControl,
                format!("object {oid} is not in the repository"),
            )),
        }
    }

    fn list_packs(&self) -> Result<Vec<Pack>, Gap> {
        let mut packs = Vec::new();
        for folder in &self.folders {
            let Some(folder) = folder.folder(b"pack", Links::Follow)? else {
                continue;
            };
            for entry in folder.entries()? {
                let Some(stem) = entry.name.strip_suffix(b".idx") else {
                    continue;
                };
                if packs.len() == PACKS_MAX {
                    return Err(Gap::new(
                        GapKind::TooLarge,
                        format!(
                            "{} holds more than {PACKS_MAX} packs",
                            folder.path().display()
                        ),
                    ));
                }
                packs.extend(Pack::open(&folder, stem)?);
            }
        }
        Ok(packs)
    }

    /// The object at `offset` of a pack: what it is told apart from first, then the differences.
    fn packed(&self, packs: &[Pack], number: usize, offset: u64) -> Result<Content, Gap> {
        let pack = &packs[number];
        let mut deltas: Vec<(u64, Vec<u8>)> = Vec::new();
        let (mut at, mut bytes) = (offset, 0);
        let (kind, mut content) = loop {
            if let Some(kept) = self.kept.borrow().found.get(&(number, at)) {
                break kept.clone();
            }
            let entry = pack.entry(at, self.sum).map_err(|error| pack.gap(&error))?;
            match entry {
                Stored::Whole(kind, content) => {
                    let content: Rc<[u8]> = content.into();
                    self.keep((number, at), (kind, Rc::clone(&content)));
                    break (kind, content);
                }
                Stored::Apart { base, delta } => {
                    bytes += delta.len();
                    deltas.push((at, delta));
                    if deltas.len() > CHAIN_MAX || bytes > DELTAS_BYTES_MAX {
                        return Err(pack.gap(&io::Error::other("a chain of objects is too long")));
                    }
                    at = match base {
                        Base::At(base) => base,
                        Base::Named(oid) => {
                            match pack
                                .offset(&oid, self.sum)
                                .map_err(|error| pack.gap(&error))?
                            {
                                Some(base) => base,
                                None => {
                                    return Err(pack.gap(&io::Error::other(format!(
                                        "object {oid} is not in it, though another rests on it"
                                    ))));
                                }
                            }
                        }
                    };
                }
            }
        };
        for (at, delta) in deltas.into_iter().rev() {
            content = delta::apply(&content, &delta, OBJECT_BYTES_MAX)
                .map_err(|what| pack.gap(&io::Error::other(what)))?
                .into();
            self.keep((number, at), (kind, Rc::clone(&content)));
        }
        Ok((kind, content))
    }

    fn keep(&self, place: (usize, u64), content: Content) {
        let mut kept = self.kept.borrow_mut();
        if kept.bytes + content.1.len() > KEPT_BYTES_MAX {
            *kept = Kept::default();
        }
        kept.bytes += content.1.len();
        kept.found.insert(place, content);
    }
}

/// The loose object `oid` in `folder`.
fn loose(folder: &Folder, oid: &Oid) -> Result<Option<Content>, Gap> {
    let hex = oid.to_string();
    let (first, rest) = hex.split_at(2);
    let name = format!("{first}/{rest}");
    let Some(file) = folder.file(name.as_bytes(), Links::Follow)? else {
        return Ok(None);
    };
    let bad = |error: &io::Error| io_gap(&folder.place(name.as_bytes()), error);
    let mut inflated = ZlibDecoder::new(file.into_file());
    // "commit 1234\0".
    let mut head = Vec::with_capacity(HEAD_BYTES_MAX);
    while head.last() != Some(&0) {
        if head.len() == HEAD_BYTES_MAX {
            return Err(bad(&io::Error::other("it has no head")));
        }
        let mut byte = [0];
        inflated
            .read_exact(&mut byte)
            .map_err(|error| bad(&error))?;
        head.extend(byte);
    }
    let (kind, size, _) = gix_object::decode::loose_header(&head)
        .map_err(|_| bad(&io::Error::other("its head says nothing")))?;
    let content = exactly(inflated, size).map_err(|error| bad(&error))?;
    Ok(Some((kind, content.into())))
}

/// `size` bytes from `stream`.
fn exactly(stream: impl Read, size: u64) -> io::Result<Vec<u8>> {
    if size > OBJECT_BYTES_MAX {
        return Err(io::Error::other(format!(
            "an object of {size} bytes, of which vigil reads {OBJECT_BYTES_MAX} at most"
        )));
    }
    let mut content = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
    stream.take(size).read_to_end(&mut content)?;
    if content.len() as u64 != size {
        return Err(io::Error::other("it is cut short"));
    }
    Ok(content)
}

enum Stored {
    Whole(Kind, Vec<u8>),
    Apart { base: Base, delta: Vec<u8> },
}

enum Base {
    At(u64),
    Named(Oid),
}

impl Pack {
    /// `None`: one of its two files is not there, as during a repack.
    fn open(folder: &Folder, stem: &[u8]) -> Result<Option<Pack>, Gap> {
        let named = |end: &[u8]| [stem, end].concat();
        let Some(index) = folder.file(&named(b".idx"), Links::Follow)? else {
            return Ok(None);
        };
        let Some(data) = folder.file(&named(b".pack"), Links::Follow)? else {
            return Ok(None);
        };
        let name = folder.place(&named(b".idx")).display().to_string();
        let index = index.into_file();
        // The mark, the version, and how many names begin with each byte or a smaller one.
        let mut head = [0; 8 + 4 * 256];
        index
            .read_exact_at(&mut head, 0)
            .map_err(|error| io_gap(Path::new(&name), &error))?;
        let (mark, counts) = head.split_at(8);
        if mark != b"\xfftOc\0\0\0\x02" {
            return Err(Gap::new(
                GapKind::Unsupported,
                format!("{name} is of another version than 2; `git repack -ad` makes it anew"),
            ));
        }
        let fanout: Vec<u32> = counts
            .chunks_exact(4)
            .map(|bytes| {
                bytes
                    .iter()
                    .fold(0, |sum, byte| sum << 8 | u32::from(*byte))
            })
            .collect();
        if !fanout.is_sorted() {
            return Err(Gap::new(GapKind::Malformed, format!("{name} is damaged")));
        }
        Ok(Some(Pack {
            data_len: data.found().len(),
            index,
            data: data.into_file(),
            count: fanout.last().copied().unwrap_or_default(),
            fanout,
            name,
        }))
    }

    fn gap(&self, error: &io::Error) -> Gap {
        io_gap(Path::new(&self.name), error)
    }

    /// Where `oid` is stored.
    fn offset(&self, oid: &Oid, sum: Sum) -> io::Result<Option<u64>> {
        const NAMES: u64 = 8 + 4 * 256;
        let bytes = sum.len_in_bytes() as u64;
        let first = usize::from(oid.first_byte());
        let mut low = match first {
            0 => 0,
            _ => self.fanout[first - 1],
        };
        let mut high = self.fanout[first];
        let mut name = sum.null();
        let name = name.as_mut_slice();
        while low < high {
            let middle = low + (high - low) / 2;
            self.index
                .read_exact_at(name, NAMES + u64::from(middle) * bytes)?;
            match (*name).cmp(oid.as_slice()) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => {
                    // The names, a checksum for each, and then the places.
                    let places = NAMES + u64::from(self.count) * (bytes + 4);
                    let mut place = [0; 4];
                    self.index
                        .read_exact_at(&mut place, places + u64::from(middle) * 4)?;
                    let place = u32::from_be_bytes(place);
                    if place & 0x8000_0000 == 0 {
                        return Ok(Some(u64::from(place)));
                    }
                    let far =
                        places + u64::from(self.count) * 4 + u64::from(place & 0x7fff_ffff) * 8;
                    let mut place = [0; 8];
                    self.index.read_exact_at(&mut place, far)?;
                    return Ok(Some(u64::from_be_bytes(place)));
                }
            }
        }
        Ok(None)
    }

    /// What is stored at `offset`.
    fn entry(&self, offset: u64, sum: Sum) -> io::Result<Stored> {
        let mut stream = At {
            file: &self.data,
            at: offset,
            end: self.data_len,
        };
        let first = stream.byte()?;
        let mut size = u64::from(first & 15);
        let mut shift = 4;
        let mut last = first;
        while last & 0x80 != 0 {
            last = stream.byte()?;
            if shift > 56 {
                return Err(io::Error::other("a size has no end"));
            }
            size |= u64::from(last & 0x7f) << shift;
            shift += 7;
        }
        let whole = |kind, stream| Ok(Stored::Whole(kind, inflate(stream, size)?));
        match first >> 4 & 7 {
            1 => whole(Kind::Commit, stream),
            2 => whole(Kind::Tree, stream),
            3 => whole(Kind::Blob, stream),
            4 => whole(Kind::Tag, stream),
            6 => {
                let (back, _) = leb64_from_read(&mut stream)?;
                let base = offset
                    .checked_sub(back)
                    .filter(|base| *base < offset)
                    .ok_or_else(|| io::Error::other("an object rests on nothing"))?;
                Ok(Stored::Apart {
                    base: Base::At(base),
                    delta: inflate(stream, size)?,
                })
            }
            7 => {
                let mut name = sum.null();
                stream.read_exact(name.as_mut_slice())?;
                Ok(Stored::Apart {
                    base: Base::Named(name),
                    delta: inflate(stream, size)?,
                })
            }
            other => Err(io::Error::other(format!("an object of kind {other}"))),
        }
    }
}

fn inflate(stream: At<'_>, size: u64) -> io::Result<Vec<u8>> {
    // A small buffer: most objects are a few hundred bytes.
    let buffered = io::BufReader::with_capacity(4 << 10, stream);
    exactly(flate2::bufread::ZlibDecoder::new(buffered), size)
}

/// A file from a place on.
struct At<'a> {
    file: &'a File,
    at: u64,
    end: u64,
}

impl At<'_> {
    fn byte(&mut self) -> io::Result<u8> {
        let mut byte = [0];
        self.read_exact(&mut byte)?;
        Ok(byte[0])
    }
}

impl Read for At<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.at >= self.end {
            return Ok(0);
        }
        let read = self.file.read_at(into, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}
