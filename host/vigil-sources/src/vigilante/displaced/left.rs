//! The names that a write gives to its files, and which of them belong together after a crash.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use vigil_core::Timestamp;

use crate::machine::leftovers;
use crate::vigilante::replace::{self, BASE_SUFFIX, TEMP_PREFIX, TEMP_SUFFIX};

/// What one write left behind.
#[derive(Debug)]
pub(super) struct Leftover {
    pub(super) temp: PathBuf,
    pub(super) base: Option<PathBuf>,
}

impl Leftover {
    /// Whether an exchange may have been made by a process that has ended.
    pub(super) fn is_of_a_dead_write(&self) -> bool {
        let Some(base) = &self.base else {
            return false;
        };
        // One that is gone by now was another's to put right.
        replace::regular(base).is_ok_and(|file| leftovers::lock(&file).is_ok())
    }

    /// Whether it may be the only place of something that its owner wrote.
    pub(super) fn holds_something(&self) -> bool {
        let Some(base) = &self.base else {
            return false;
        };
        let name = base.file_name().unwrap_or_default().to_string_lossy();
        let ours = base_of(&name).map(|(_, noted)| noted.ours);
        let is_displaced =
            fs::symlink_metadata(&self.temp).is_ok_and(|meta| Some(meta.ino()) != ours);
        let as_before = || {
            let before = replace::read(base).unwrap_or_default();
            replace::holds(&self.temp, &before).is_ok_and(|holds| holds)
        };
        is_displaced && !as_before()
    }
}

/// Everything in `folder` that bears vigil's kind of name.
pub(super) fn in_folder(folder: &Path) -> Vec<Leftover> {
    let names = fs::read_dir(folder).into_iter().flatten().flatten();
    let names: Vec<String> = names
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.starts_with(TEMP_PREFIX))
        .collect();
    let pairs = paired(&names).into_iter();
    pairs
        .map(|(stem, base)| Leftover {
            temp: folder.join(format!("{stem}{TEMP_SUFFIX}")),
            base: base.map(|base| folder.join(base)),
        })
        .collect()
}

/// What belongs together of `names`: each temporary file without its suffix, with its `.base` file. Each name is looked at
/// once, since nobody knows how many there are.
fn paired(names: &[String]) -> Vec<(&str, Option<&str>)> {
    let temps: HashSet<&str> = names
        .iter()
        .filter(|name| is_temp_name(name))
        .filter_map(|name| name.strip_suffix(TEMP_SUFFIX))
        .collect();
    let mut bases: HashMap<&str, &str> = HashMap::new();
    let mut pairs = Vec::new();
    for name in names {
        if let Some((stem, _)) = base_of(name) {
            match temps.contains(stem) {
                true => {
                    bases.entry(stem).or_insert(name);
                }
                // The temporary file went first: all was well.
                false => pairs.push((stem, Some(name.as_str()))),
            }
        }
    }
    let with_temps = temps
        .into_iter()
        .map(|stem| (stem, bases.get(stem).copied()));
    pairs.extend(with_temps);
    pairs.sort_unstable();
    pairs
}

/// Whether `name` is one that [`Prepared::write`] makes.
fn is_temp_name(name: &str) -> bool {
    name.strip_prefix(TEMP_PREFIX)
        .and_then(|rest| rest.strip_suffix(TEMP_SUFFIX))
        .is_some_and(|random| {
            random.len() == 12 && random.chars().all(|c| c.is_ascii_alphanumeric())
        })
}

/// What the name of a `.base` file tells: the new text's file, and the old one's last change and length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Noted {
    pub(super) ours: u64,
    pub(super) seconds: i64,
    pub(super) nanoseconds: i64,
    pub(super) length: u64,
}

pub(super) fn base_of(name: &str) -> Option<(&str, Noted)> {
    let rest = name.strip_suffix(BASE_SUFFIX)?;
    let mut parts = rest.rsplitn(5, '.');
    let mut number = || i64::from_str_radix(parts.next()?, 16).ok();
    let (length, nanoseconds, seconds) = (number()?, number()?, number()?);
    let ours = u64::from_str_radix(parts.next()?, 16).ok()?;
    let stem = parts.next()?;
    is_temp_name(&format!("{stem}{TEMP_SUFFIX}")).then_some((
        stem,
        Noted {
            ours,
            seconds,
            nanoseconds,
            length: u64::try_from(length).ok()?,
        },
    ))
}

/// Takes temporary files away that no process holds and that are old enough. Without a `.base` file beside them they hold
/// what vigil was about to write, and nobody else's text.
pub(super) fn sweep(left: &[Leftover], now: Timestamp) {
    for one in left.iter().filter(|one| one.base.is_none()) {
        leftovers::remove(&one.temp, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn very_many_names_are_looked_at_once_each() {
        let stem = |number: usize| format!("{TEMP_PREFIX}{number:012}");
        let mut names: Vec<String> = (0..100_000)
            .map(|number| format!("{}{TEMP_SUFFIX}", stem(number)))
            .collect();
        names.extend((50_000..150_000).map(|n| format!("{}.1.2.3.4{BASE_SUFFIX}", stem(n))));
        let pairs = paired(&names);
        assert_eq!(pairs.len(), 150_000);
        let with_base = pairs.iter().filter(|(_, base)| base.is_some()).count();
        assert_eq!(with_base, 100_000);
    }
}
