//! `sessions.json` at a glance: what decides which sessions are looked at, kept from one reading to the next.
//!
//! A fleet's file has hundreds of megabytes, of which a pass over what is due needs a few kilobytes. A file that has
//! not changed is not read again; of one that has, records whose bytes are known are not parsed again, and none is kept
//! in memory. Nothing rests on this being right: a write reads the file once more and compares revisions, so that a
//! change which was overlooked here would only be seen later.

use std::collections::HashMap;
use std::fs::{File, Metadata};
use std::hash::{BuildHasher as _, RandomState};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use vigil_core::Timestamp;
use vigil_core::session::{Session, SessionId};
use vigil_core::time::minutes;

use crate::Listed;
use crate::machine::open;
use crate::vigilante::convert::{self, Brief, Work};
use crate::vigilante::identity::{self, Named};
use crate::vigilante::log::Shared;
use crate::vigilante::record::{FILE_BYTES_MAX, Record, SESSIONS_FILE, borrowed};
use crate::vigilante::split::{Doubt, split};

/// 3 s: a file is only taken for unchanged when its times were older than this as it was read. Coarser clocks of file
/// systems tick every 2 s, so that a younger file may be written once more without getting another time.
const SETTLED_AFTER: Duration = Duration::from_secs(3);

/// After this a file is read again whatever its times say: the price is small, and no odd file system can hide a change
/// for longer.
const TRUSTED_FOR: Duration = minutes(10);

/// All records of one reading.
#[derive(Debug)]
pub(super) struct Glance {
    /// What tells this reading's file from others; `None`: it must be read again in any case.
    stamp: Option<Stamp>,
    /// When it was read, by the clock that file times come from.
    read_at: SystemTime,
    /// The keys of `Place::hash`; those of the first reading, so that later ones can be compared.
    keys: RandomState,
    places: Vec<Place>,
    /// Repository and issue of each record to the letter.
    issues: Vec<Option<(String, u64)>>,
    shared_logs: Shared,
    listed: Arc<[Listed]>,
    /// Places by hash, made when a record is not where it was.
    by_hash: OnceLock<HashMap<u64, usize>>,
}

/// Where a record stands in the file, and what it was made of.
#[derive(Clone, Copy, Debug)]
struct Place {
    start: u64,
    len: usize,
    hash: u64,
    copies: u32,
}

/// Identity and times of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    len: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(found: &Metadata) -> Self {
        Stamp {
            device: found.dev(),
            inode: found.ino(),
            len: found.len(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        }
    }

    /// Whether a write after `now` must give the file another time.
    fn is_settled(&self, now: SystemTime) -> bool {
        let youngest = self.modified.max(self.changed);
        now.duration_since(SystemTime::UNIX_EPOCH)
            .ok()
            .and_then(|now| now.checked_sub(SETTLED_AFTER))
            .and_then(|limit| i64::try_from(limit.as_secs()).ok())
            .is_some_and(|limit| youngest.0 < limit)
    }
}

/// The present records of `source`'s home, and the file that they were read from. `before`: the reading before, of
/// the same home. `now`: [`file_clock`]'s.
pub(super) fn glance(
    home: &Path,
    source: &str,
    before: Option<&Arc<Glance>>,
    now: SystemTime,
) -> Result<(Arc<Glance>, File), Doubt> {
    let path = home.join(SESSIONS_FILE);
    let opened = open::open(&path).map_err(|_| Doubt)?;
    if opened.found().len() > FILE_BYTES_MAX {
        return Err(Doubt);
    }
    let stamp = Stamp::of(opened.found());
    let file = opened.into_file();
    if let Some(before) = before
        && before.stamp == Some(stamp)
        && now
            .duration_since(before.read_at)
            .is_ok_and(|age| age < TRUSTED_FOR)
    {
        return Ok((Arc::clone(before), file));
    }
    let mut read = Reading {
        keys: before.map_or_else(RandomState::new, |before| before.keys.clone()),
        before: before.map(Arc::as_ref),
        places: Vec::new(),
        briefs: Vec::new(),
    };
    split(&file, |start, bytes| read.record(start, bytes))?;
    let unchanged = Stamp::of(&file.metadata()?) == stamp && stamp.is_settled(now);
    let glance = read.done(source, unchanged.then_some(stamp), now);
    Ok((Arc::new(glance), file))
}

/// A reading under way.
struct Reading<'b> {
    keys: RandomState,
    before: Option<&'b Glance>,
    places: Vec<Place>,
    briefs: Vec<Brief>,
}

impl Reading<'_> {
    fn record(&mut self, start: u64, bytes: &[u8]) -> Result<(), Doubt> {
        let hash = self.keys.hash_one(bytes);
        let known = self
            .before
            .and_then(|before| before.brief(self.places.len(), hash, bytes.len()));
        let brief = match known {
            Some(brief) => brief,
            None => {
                let text = std::str::from_utf8(bytes).map_err(|_| Doubt)?;
                convert::brief(&Record::alone(text).map_err(|_| Doubt)?)
            }
        };
        self.places.push(Place {
            start,
            len: bytes.len(),
            hash,
            copies: 1,
        });
        self.briefs.push(brief);
        Ok(())
    }

    fn done(self, source: &str, stamp: Option<Stamp>, read_at: SystemTime) -> Glance {
        let (issues, listed): (Vec<_>, Vec<_>) = self
            .briefs
            .into_iter()
            .map(|brief| (brief.issue, brief.listed))
            .unzip();
        let names = identity::names(issues.iter().map(borrowed));
        let mut places = self.places;
        let listed: Arc<[Listed]> = listed
            .into_iter()
            .zip(names)
            .zip(&mut places)
            .map(|((listed, named), place)| {
                place.copies = named.copies;
                Listed {
                    id: SessionId::new(source, named.id),
                    ..listed
                }
            })
            .collect();
        // Written again without a change: what was derived from the list still holds.
        let listed = match self.before {
            Some(before) if before.listed == listed => Arc::clone(&before.listed),
            _ => listed,
        };
        Glance {
            stamp,
            read_at,
            keys: self.keys,
            shared_logs: Shared::of(issues.iter().filter_map(borrowed)),
            places,
            issues,
            listed,
            by_hash: OnceLock::new(),
        }
    }
}

impl Glance {
    pub(super) fn listed(&self) -> &Arc<[Listed]> {
        &self.listed
    }

    /// What the record of these bytes said, which most likely is still the one at `index`.
    fn brief(&self, index: usize, hash: u64, len: usize) -> Option<Brief> {
        let same = |index: &usize| {
            self.places
                .get(*index)
                .is_some_and(|place| place.hash == hash && place.len == len)
        };
        let index = Some(index).filter(same).or_else(|| {
            let by_hash = self.by_hash.get_or_init(|| {
                let hashes = self.places.iter().map(|place| place.hash);
                hashes.zip(0..).collect()
            });
            by_hash.get(&hash).copied().filter(same)
        })?;
        let listed = self.listed.get(index)?;
        Some(Brief {
            issue: self.issues.get(index)?.clone(),
            listed: Listed {
                id: SessionId::new("", ""),
                ..listed.clone()
            },
        })
    }

    /// The sessions of the records at `picked`, in full, from `file`, which this glance was made of.
    pub(super) fn sessions(
        &self,
        file: &File,
        picked: &[usize],
        source: &str,
        now: Timestamp,
    ) -> Result<Vec<(usize, Session, Work)>, Doubt> {
        let mut bytes = Vec::new();
        let mut sessions = Vec::with_capacity(picked.len());
        for &index in picked {
            let (place, listed, issue) = self
                .places
                .get(index)
                .zip(self.listed.get(index))
                .zip(self.issues.get(index))
                .map(|((place, listed), issue)| (place, listed, issue))
                .ok_or(Doubt)?;
            bytes.resize(place.len, 0);
            file.read_exact_at(&mut bytes, place.start)?;
            // Somebody writes into the file, which Vigilante never does.
            if self.keys.hash_one(bytes.as_slice()) != place.hash {
                return Err(Doubt);
            }
            let text = std::str::from_utf8(&bytes).map_err(|_| Doubt)?;
            let record = Record::alone(text).map_err(|_| Doubt)?;
            // Its line is counted from the file's start, which is not at hand here.
            if record.duplicate_key.is_some() {
                return Err(Doubt);
            }
            let named = Named {
                id: listed.id.id.clone(),
                copies: place.copies,
            };
            let log = self.shared_logs.name(borrowed(issue));
            let (session, work) = convert::session(&record, source, named, log, now);
            sessions.push((index, session, work));
        }
        Ok(sessions)
    }
}

/// The clock that file times come from, whatever the world's clock says.
#[expect(
    clippy::disallowed_methods,
    reason = "compared with file times alone; no answer depends on it"
)]
pub(super) fn file_clock() -> SystemTime {
    SystemTime::now()
}

#[cfg(test)]
mod tests;
