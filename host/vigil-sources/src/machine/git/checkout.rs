//! A checkout that was opened: which commit it stands at, and whether it holds what is not committed.

use std::path::Path;

use vigil_core::fact::{Gap, GapKind};

use super::config::{CONFIG_BYTES_MAX, Config};
use super::folder::{Folder, Links};
use super::oid::Oid;
use super::person::GitFiles;
use super::refs::{self, Target};
use super::repository::{Repository, Store, git_folders};

mod reflog;
mod rules;
mod staged;
mod walk;

use rules::Everywhere;
use walk::Budget;

/// 4 MiB: more than 20,000 moves of one worktree's `HEAD`.
const LOG_BYTES_MAX: u64 = 4 << 20;

/// Where git notes changes that it took out of a checkout for the time of a rebase or a merge. Nothing else holds them.
const AUTOSTASHES: [&[u8]; 3] = [
    b"rebase-merge/autostash",
    b"rebase-apply/autostash",
    b"MERGE_AUTOSTASH",
];

/// A worktree or main checkout, all of whose folders are held open.
#[derive(Debug)]
pub(crate) struct Checkout {
    root: Folder,
    git_dir: Folder,
    store: Store,
}

/// What a person's own git files say.
#[derive(Clone, Debug, Default)]
pub(crate) struct Person {
    files: GitFiles,
    config: Config,
}

impl Person {
    /// Reads the configuration; what it names is read with each look, since a repository can name others. Without any
    /// of the files nothing is said.
    pub(crate) fn read(files: &GitFiles) -> Result<Person, Gap> {
        Ok(Person {
            files: files.clone(),
            config: files.read()?,
        })
    }
}

impl Checkout {
    /// Opens the worktree `dir` of `repository`, whose git folder is to be `git_dir`. From here on nothing is looked up
    /// by its path again: a `.git` that is swapped before is found out here, and one that is swapped later is not read.
    pub(crate) fn open(
        repository: &Repository,
        dir: &Path,
        git_dir: &Path,
    ) -> Result<Checkout, Gap> {
        let changed = || {
            Gap::new(
                GapKind::IdentityChanged,
                format!(
                    "{} changed while it was looked at: its .git no longer leads to {}",
                    dir.display(),
                    git_dir.display()
                ),
            )
        };
        let root = Folder::open(dir)?;
        let store = repository.enter()?;
        let (_, named) = git_folders(&root)?;
        // By its name below the folder that was opened, so that no link on the way can lead elsewhere.
        let own = match git_dir.strip_prefix(store.common.path()) {
            Ok(rest) if rest.as_os_str().is_empty() => store.common.folder(b".", Links::Keep)?,
            Ok(rest) => match (rest.parent(), rest.file_name()) {
                (Some(parent), Some(name)) if parent == Path::new("worktrees") => {
                    let all = store.common.folder(b"worktrees", Links::Keep)?;
                    let all = all.ok_or_else(changed)?;
                    all.folder(name.as_encoded_bytes(), Links::Keep)?
                }
                _ => None,
            },
            Err(_) => None,
        };
        let git_dir = own.ok_or_else(changed)?;
        if git_dir.identity()? != named.identity()? {
            return Err(changed());
        }
        Ok(Checkout {
            root,
            git_dir,
            store,
        })
    }

    /// Opens the repository of its own that stands in `root`.
    fn nested(root: Folder) -> Result<Checkout, Gap> {
        let (common, git_dir) = git_folders(&root)?;
        Ok(Checkout {
            root,
            git_dir,
            store: Store::open(common)?,
        })
    }

    /// The repository's folder, as it was opened with the checkout.
    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// The commit that is checked out. `None`: a branch that has none yet.
    pub(crate) fn head(&self) -> Result<Option<Oid>, Gap> {
        match refs::head(&self.git_dir, self.store.sum)? {
            Target::Commit(oid) => Ok(Some(oid)),
            Target::Ref(name) => refs::resolve(&self.store.common, &name, self.store.sum),
        }
    }

    /// The branch that is checked out, without `refs/heads/`. `None`: a commit is, and no branch.
    pub(crate) fn branch(&self) -> Result<Option<String>, Gap> {
        Ok(match refs::head(&self.git_dir, self.store.sum)? {
            Target::Ref(name) => name.strip_prefix("refs/heads/").map(str::to_owned),
            Target::Commit(_) => None,
        })
    }

    /// The commits that a linked worktree has stood at, by git's own log of its `HEAD`. The folder of that log goes with
    /// the worktree, so that all of it was in this very checkout. Nothing for a main checkout, whose log spans whatever
    /// was ever done there.
    pub(crate) fn stood_at(&self) -> Result<Vec<Oid>, Gap> {
        if self.git_dir.identity()? == self.store.common.identity()? {
            return Ok(Vec::new());
        }
        let Some(logs) = self.git_dir.folder(b"logs", Links::Keep)? else {
            return Ok(Vec::new());
        };
        let Some(log) = logs.read(b"HEAD", Links::Keep, LOG_BYTES_MAX)? else {
            return Ok(Vec::new());
        };
        Ok(reflog::commits(&log, self.store.sum))
    }

    /// What `HEAD` says, for people.
    pub(crate) fn head_text(&self) -> String {
        match refs::head(&self.git_dir, self.store.sum) {
            Ok(Target::Commit(oid)) => oid.to_string(),
            Ok(Target::Ref(name)) => name,
            Err(gap) => gap.detail,
        }
    }

    /// Whether there are changes that are not committed, or files that git neither watches nor ignores. Something that
    /// was found is an answer, whatever else could not be compared.
    pub(crate) fn dirty(&self, person: &Person) -> Result<bool, Gap> {
        self.look(person, &mut Budget::default(), 0)
    }

    fn look(&self, person: &Person, budget: &mut Budget, depth: usize) -> Result<bool, Gap> {
        for name in AUTOSTASHES {
            if self.git_dir.stat(name, Links::Keep)?.is_some() {
                return Ok(true);
            }
        }
        let everywhere = Everywhere::read(self, person)?;
        let index = super::index::Index::read(&self.git_dir, self.store.sum)?;
        // A side of a merge that nobody ended, or a file that is said to be added.
        if index
            .entries()
            .iter()
            .any(|entry| entry.stage != 0 || entry.to_be_added)
        {
            return Ok(true);
        }
        let staged = self
            .head()
            .and_then(|head| staged::differs(self, &index, head));
        if staged == Ok(true) {
            return Ok(true);
        }
        let walked = walk::dirty(self, person, &everywhere, &index, budget, depth);
        match (staged, walked) {
            (_, Ok(true)) => Ok(true),
            (Err(gap), _) | (Ok(_), Err(gap)) => Err(gap),
            (Ok(_), Ok(false)) => Ok(false),
        }
    }

    /// The settings that hold here: the person's, the repository's, and this worktree's own.
    fn config(&self, person: &Person) -> Result<Config, Gap> {
        let mut config = person.config.clone();
        config.extend(&self.store.config);
        if self.store.config.flag("extensions", "worktreeconfig") == Some(true)
            && let Some(text) =
                self.git_dir
                    .read(b"config.worktree", Links::Follow, CONFIG_BYTES_MAX)?
        {
            let place = self.git_dir.path().join("config.worktree");
            config.add(&text, &place.display().to_string())?;
        }
        Ok(config)
    }
}
