//! The rules that hold in a checkout: settings, what is ignored, and attributes, folder by folder.

use std::cell::{Cell, OnceCell};

use vigil_core::fact::{Gap, GapKind};

use super::super::attributes::{self, Attributes, Rules};
use super::super::config::Config;
use super::super::folder::{Folder, Links};
use super::super::glob::STEPS_MAX;
use super::super::ignore::{self, Patterns};
use super::{Checkout, Person};

/// What holds in every folder of a checkout.
pub(super) struct Everywhere {
    pub(super) config: Config,
    /// A part of the configuration was not read.
    pub(super) config_is_partial: bool,
    /// Names count without their case.
    pub(super) fold: bool,
    /// The bit that lets a file run counts.
    pub(super) modes: bool,
    /// Links are links, and no files with a path in them.
    pub(super) links: bool,
    /// The time of the latest change of a file's data about itself counts.
    pub(super) changed_counts: bool,
    /// Only size and whole seconds count.
    pub(super) minimal: bool,
    /// From the strongest to the weakest.
    ignored: [Patterns; 2],
    builtin: Rules,
    weakest: Rules,
    strongest: Rules,
    steps: Cell<u64>,
}

impl Everywhere {
    pub(super) fn read(checkout: &Checkout, person: &Person) -> Result<Everywhere, Gap> {
        let config = checkout.config(person)?;
        let fold = config.flag("core", "ignorecase") == Some(true);
        let info = |name: &[u8]| {
            checkout
                .store
                .common
                .read(name, Links::Follow, ignore::BYTES_MAX)
                .map(Option::unwrap_or_default)
        };
        let excluded = info(b"info/exclude")?;
        let attributes = info(b"info/attributes")?;
        let beside = checkout.root.path();
        let ignored = person.files.ignored(&config, beside)?;
        let weakest = person.files.attributes(&config, beside)?;
        Ok(Everywhere {
            config_is_partial: checkout.store.config.includes(),
            fold,
            modes: config.flag("core", "filemode") != Some(false),
            links: config.flag("core", "symlinks") != Some(false),
            changed_counts: config.flag("core", "trustctime") != Some(false),
            minimal: config
                .text("core", "checkstat")
                .is_some_and(|value| value.eq_ignore_ascii_case("minimal")),
            ignored: [
                Patterns::parse(&excluded, fold),
                Patterns::parse(&ignored, fold),
            ],
            builtin: Rules::builtin(),
            weakest: Rules::parse(&weakest, true, fold),
            strongest: Rules::parse(&attributes, true, fold),
            config,
            steps: Cell::new(0),
        })
    }

    /// What `compare` says, unless all patterns so far took too long. It adds what it cost.
    fn within<T>(&self, place: &Folder, compare: impl FnOnce(&mut u64) -> T) -> Result<T, Gap> {
        let mut steps = self.steps.get();
        let said = compare(&mut steps);
        self.steps.set(steps);
        if steps > STEPS_MAX {
            return Err(Gap::new(
                GapKind::TooLarge,
                format!(
                    "{}: the patterns of .gitignore and .gitattributes take too long to compare with what is there",
                    place.path().display()
                ),
            ));
        }
        Ok(said)
    }
}

/// A folder of the checkout on the way of the walk, with the rules that its own files add.
pub(super) struct Level<'a> {
    up: Option<&'a Level<'a>>,
    pub(super) folder: &'a Folder,
    /// How much of a path is the way to this folder.
    start: usize,
    ignored: OnceCell<Result<Patterns, Gap>>,
    rules: OnceCell<Result<Rules, Gap>>,
}

impl<'a> Level<'a> {
    pub(super) fn new(up: Option<&'a Level<'a>>, folder: &'a Folder, start: usize) -> Self {
        Level {
            up,
            folder,
            start,
            ignored: OnceCell::new(),
            rules: OnceCell::new(),
        }
    }

    /// Whether git ignores `path`, whose last part is `name`.
    pub(super) fn ignores(
        &self,
        path: &[u8],
        name: &[u8],
        is_folder: bool,
        everywhere: &Everywhere,
    ) -> Result<bool, Gap> {
        let mut next = Some(self);
        while let Some(level) = next {
            let read = || {
                level
                    .own(b".gitignore")
                    .map(|text| Patterns::parse(&text, everywhere.fold))
            };
            let patterns = level
                .ignored
                .get_or_init(read)
                .as_ref()
                .map_err(Gap::clone)?;
            let within = &path[level.start..];
            let says = |steps: &mut u64| patterns.says(within, name, is_folder, steps);
            let said = everywhere.within(self.folder, says)?;
            if let Some(answer) = said {
                return Ok(answer);
            }
            next = level.up;
        }
        for patterns in &everywhere.ignored {
            let says = |steps: &mut u64| patterns.says(path, name, is_folder, steps);
            let said = everywhere.within(self.folder, says)?;
            if let Some(answer) = said {
                return Ok(answer);
            }
        }
        Ok(false)
    }

    /// The attributes of `path`, whose last part is `name`.
    pub(super) fn attributes(
        &self,
        path: &[u8],
        name: &[u8],
        everywhere: &Everywhere,
    ) -> Result<Attributes, Gap> {
        let mut levels = Vec::new();
        let mut next = Some(self);
        while let Some(level) = next {
            levels.push(level);
            next = level.up;
        }
        let mut files: Vec<(&Rules, &[u8])> =
            vec![(&everywhere.builtin, path), (&everywhere.weakest, path)];
        for level in levels.into_iter().rev() {
            let top = level.up.is_none();
            let read = || {
                level
                    .own(b".gitattributes")
                    .map(|text| Rules::parse(&text, top, everywhere.fold))
            };
            let rules = level.rules.get_or_init(read).as_ref().map_err(Gap::clone)?;
            files.push((rules, &path[level.start..]));
        }
        files.push((&everywhere.strongest, path));
        everywhere.within(self.folder, |steps| attributes::of(&files, name, steps))
    }

    /// What the folder's own file of that name says. A link says nothing, as for git.
    fn own(&self, name: &[u8]) -> Result<Vec<u8>, Gap> {
        if self.folder.link(name)?.is_some() {
            return Ok(Vec::new());
        }
        let text = self.folder.read(name, Links::Keep, ignore::BYTES_MAX)?;
        Ok(text.unwrap_or_default())
    }
}
