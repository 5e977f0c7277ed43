//! The git files of the person who runs vigil: what git ignores everywhere, and how it treats line ends.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use vigil_core::fact::Gap;

use super::config::{CONFIG_BYTES_MAX, Config};
use super::folder::{Folder, Links};
use super::ignore;

/// 10: as deep as git follows one file into the next.
const INCLUDES_MAX: usize = 10;

/// Where a person's own git files lie.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GitFiles {
    /// What `~` stands for. `None`: there is no such folder, and what names it is left out.
    pub home: Option<PathBuf>,
    /// Configuration, from the weakest to the strongest: `/etc/gitconfig`, `~/.config/git/config`, `~/.gitconfig`.
    pub config: Vec<PathBuf>,
    /// What is ignored where `core.excludesFile` names no other file.
    pub ignore: Option<PathBuf>,
    /// Attributes where `core.attributesFile` names no other file.
    pub attributes: Option<PathBuf>,
}

impl GitFiles {
    /// Where git looks for them, given the person's home, `XDG_CONFIG_HOME`, `GIT_CONFIG_GLOBAL`, and whether
    /// `GIT_CONFIG_NOSYSTEM` is set.
    pub fn of(
        home: &Path,
        config_home: Option<&Path>,
        global: Option<&Path>,
        without_system: bool,
    ) -> GitFiles {
        // Nobody's: a relative path would mean another file in each folder.
        if !home.is_absolute() {
            return GitFiles::default();
        }
        let folder = match config_home {
            Some(config_home) => config_home.join("git"),
            None => home.join(".config/git"),
        };
        let mut config = Vec::new();
        if !without_system {
            config.push(PathBuf::from("/etc/gitconfig"));
        }
        match global {
            Some(global) => config.push(global.to_owned()),
            None => config.extend([folder.join("config"), home.join(".gitconfig")]),
        }
        GitFiles {
            home: Some(home.to_owned()),
            config,
            ignore: Some(folder.join("ignore")),
            attributes: Some(folder.join("attributes")),
        }
    }

    /// Reads the configuration. A file that is not there says nothing; one that cannot be read is a gap, as git itself
    /// would not work then.
    pub(crate) fn read(&self) -> Result<Config, Gap> {
        let mut config = Config::default();
        for path in &self.config {
            self.include(path, 0, &mut config)?;
        }
        Ok(config)
    }

    fn include(&self, path: &Path, depth: usize, config: &mut Config) -> Result<(), Gap> {
        let Some(text) = read(path, CONFIG_BYTES_MAX)? else {
            return Ok(());
        };
        let mut own = Config::default();
        own.add(&text, &path.display().to_string())?;
        if depth < INCLUDES_MAX {
            let included: Vec<PathBuf> = own
                .section("include")
                .filter(|(name, _)| *name == "path")
                .filter_map(|(_, value)| self.path(value?, path.parent()?))
                .collect();
            for other in included {
                self.include(&other, depth + 1, config)?;
            }
        }
        config.extend(&own);
        Ok(())
    }

    /// The path that a setting names. `None`: it is another user's home, or there is no home.
    fn path(&self, value: &str, beside: &Path) -> Option<PathBuf> {
        if let Some(rest) = value.strip_prefix("~/") {
            return Some(self.home.as_ref()?.join(rest));
        }
        (!value.starts_with('~') && !value.is_empty()).then(|| beside.join(value))
    }

    /// What `core.excludesFile` of `config` or its default says; a path that is not whole begins at `beside`.
    pub(crate) fn ignored(&self, config: &Config, beside: &Path) -> Result<Vec<u8>, Gap> {
        self.named(config, "excludesfile", self.ignore.as_deref(), beside)
    }

    /// The same of `core.attributesFile`.
    pub(crate) fn attributes(&self, config: &Config, beside: &Path) -> Result<Vec<u8>, Gap> {
        self.named(config, "attributesfile", self.attributes.as_deref(), beside)
    }

    fn named(
        &self,
        config: &Config,
        name: &str,
        default: Option<&Path>,
        beside: &Path,
    ) -> Result<Vec<u8>, Gap> {
        let path = match config.text("core", name) {
            Some(value) => self.path(value, beside),
            None => default.map(Path::to_owned),
        };
        match path {
            Some(path) => Ok(read(&path, ignore::BYTES_MAX)?.unwrap_or_default()),
            None => Ok(Vec::new()),
        }
    }
}

fn read(path: &Path, bytes_max: u64) -> Result<Option<Vec<u8>>, Gap> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Ok(None);
    };
    // `/dev/null` is the usual way to have none.
    if path == Path::new("/dev/null") || !folder.is_dir() {
        return Ok(None);
    }
    Folder::open(folder)?.read(name.as_encoded_bytes(), Links::Follow, bytes_max)
}
