//! A repository: opened once for all looks of a pass, entered anew for each, and always the same folder.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::FileType;
use vigil_core::fact::{Gap, GapKind};

use super::config::{CONFIG_BYTES_MAX, Config};
use super::folder::{Folder, Links, io_gap};
use super::kin::Trunks;
use super::objects::Objects;
use super::oid::{Oid, Sum};
use super::patch::{self, Patches};
use super::refs::{self, Refs, Target};
use super::walk::{Apart, History, Known};

/// 16 MiB: a shallow clone has one line, or a few hundred.
const SHALLOW_BYTES_MAX: u64 = 16 << 20;

/// Settings of the format that change nothing in what is read here.
const KNOWN_EXTENSIONS: &[&str] = &[
    "compatobjectformat",
    "noop",
    "noop-v1",
    "objectformat",
    "partialclone",
    "preciousobjects",
    "refstorage",
    "relativeworktrees",
    "submodulepathconfig",
    "worktreeconfig",
];

/// A repository that was opened.
#[derive(Debug)]
pub(crate) struct Repository {
    /// Where the record says that it is, links followed.
    pub(crate) dir: PathBuf,
    /// The folder that all its worktrees share, links followed.
    pub(crate) common: PathBuf,
    /// Device and inode of that folder.
    identity: (u64, u64),
    refs: Refs,
    /// The newest commits of the remote branches.
    remote_ends: HashSet<Oid>,
    known: Known,
    patches: Patches,
}

/// A repository's folder, held open for one look.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) common: Folder,
    pub(crate) sum: Sum,
    /// What the repository itself says, its includes left out.
    pub(crate) config: Config,
    pub(crate) objects: Objects,
    ends: HashSet<Oid>,
}

/// The work of a checkout.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Work<'a> {
    /// Its newest commits.
    pub(crate) tips: &'a [Oid],
    /// Where the checkout stood before, see [`Checkout::stood_at`](super::checkout::Checkout::stood_at).
    pub(crate) stood: &'a [Oid],
    /// The newest commits of branches that work begins from.
    pub(crate) trunks: &'a [Oid],
}

impl Work<'_> {
    /// Its commits, see [`History::own_of`]. What git has thrown away since is left out.
    fn own(&self, history: &History<'_>, trunks: &mut Trunks) -> Result<HashSet<Oid>, Gap> {
        let mut all = self.tips.to_vec();
        for oid in self.stood {
            if history.find(oid)?.is_some() {
                all.push(*oid);
            }
        }
        history.own_of(all, trunks)
    }
}

/// What a clone can know about what was pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Pushes {
    /// A branch that is pushed leaves its mark here: what has none is on no remote.
    Seen,
    /// There is no remote: nothing was pushed.
    Never,
    /// A pushed branch leaves no mark here; why.
    Unseen(String),
}

impl Repository {
    /// Opens the repository at `path`, which must be one itself and not merely lie inside another.
    pub(crate) fn open(path: &Path) -> Result<Repository, Gap> {
        let unseen = |error: &io::Error| {
            Gap::new(
                io_gap(path, error).kind,
                format!(
                    "the repository {} cannot be looked at: {error}",
                    path.display()
                ),
            )
        };
        let dir = fs::canonicalize(path).map_err(|error| unseen(&error))?;
        let kind = fs::metadata(&dir).map_err(|error| unseen(&error))?;
        if !kind.is_dir() {
            return Err(Gap::new(
                GapKind::Malformed,
                format!("the repository {} is no folder", path.display()),
            ));
        }
        let (common, _) = git_folders(&Folder::open(&dir)?)?;
        let store = Store::open(common)?;
        let refs = Refs::list(&store.common, store.sum)?;
        let remote_ends = refs.below("refs/remotes/").collect();
        Ok(Repository {
            dir,
            common: store.common.path().to_owned(),
            identity: store.common.identity()?,
            refs,
            remote_ends,
            known: Known::default(),
            patches: Patches::default(),
        })
    }

    /// Opens its folder for one look. Another folder in its place is a gap.
    pub(crate) fn enter(&self) -> Result<Store, Gap> {
        let common = Folder::open(&self.common)?;
        if common.identity()? != self.identity {
            return Err(Gap::new(
                GapKind::IdentityChanged,
                format!(
                    "another folder has taken the place of {}",
                    self.common.display()
                ),
            ));
        }
        Store::open(common)
    }

    /// The newest commit of the branch of that full name, now. `None`: there is none.
    pub(crate) fn branch(&self, store: &Store, name: &str) -> Result<Option<Oid>, Gap> {
        refs::resolve(&store.common, name, store.sum)
    }

    /// Whether there was such a branch when the repository was opened.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.refs.has(name)
    }

    /// The newest commit of the branch of that full name, when the repository was opened.
    pub(crate) fn listed(&self, name: &str) -> Result<Option<Oid>, Gap> {
        self.refs.get(name)
    }

    /// Whether a remote's branch ends with `commit`.
    pub(crate) fn is_remote(&self, commit: &Oid) -> bool {
        self.remote_ends.contains(commit)
    }

    /// The newest commits of the remote branches.
    pub(crate) fn remote_ends(&self) -> &HashSet<Oid> {
        &self.remote_ends
    }

    fn history<'a>(&'a self, store: &'a Store) -> History<'a> {
        History {
            objects: &store.objects,
            ends: &store.ends,
            known: &self.known,
        }
    }

    /// The commits that can be reached from `tips` and from none of `others`.
    pub(crate) fn only_in(
        &self,
        store: &Store,
        tips: &[Oid],
        others: impl IntoIterator<Item = Oid>,
    ) -> Result<Apart, Gap> {
        self.history(store).only_in(tips, others)
    }

    /// Whether `work` and `other` have something in common: a commit that is on none of the trunks, or the same change.
    /// `None`: the clone does not have `other`, and there is work of which nobody can say.
    pub(crate) fn shares_work(
        &self,
        store: &Store,
        work: &Work<'_>,
        other: Oid,
    ) -> Result<Option<bool>, Gap> {
        let history = self.history(store);
        let mut trunks = Trunks::of(work.trunks);
        let own = work.own(&history, &mut trunks)?;
        if history.find(&other)?.is_none() {
            return Ok(match work.stood.contains(&other) {
                // It was here once, and git has thrown it away since.
                true => Some(true),
                // An untouched checkout shares nothing, wherever the other one is.
                false => own.is_empty().then_some(false),
            });
        }
        let theirs = history.own_of([other], &mut trunks)?;
        if own.is_empty() || theirs.is_empty() {
            return Ok(Some(false));
        }
        if !own.is_disjoint(&theirs) {
            return Ok(Some(true));
        }
        patch::shares(&history, &self.patches, &own, &theirs, work.tips, &other).map(Some)
    }

    /// The commits that `work` began with, beyond the trunks.
    pub(crate) fn firsts(&self, store: &Store, work: &Work<'_>) -> Result<Vec<Oid>, Gap> {
        let history = self.history(store);
        let own = work.own(&history, &mut Trunks::of(work.trunks))?;
        history.firsts(&own)
    }

    /// Whether the clone has the commit.
    pub(crate) fn has_commit(&self, store: &Store, oid: &Oid) -> Result<bool, Gap> {
        Ok(self.history(store).find(oid)?.is_some())
    }

    /// The commits among `mine`, which end with `tips`, whose content is nowhere in what ends with `heads`.
    pub(crate) fn not_contained(
        &self,
        store: &Store,
        mine: &[Oid],
        tips: &[Oid],
        heads: &[Oid],
    ) -> Result<Vec<Oid>, Gap> {
        let history = self.history(store);
        let theirs = history.only_in(heads, tips.iter().copied())?;
        patch::not_contained(&history, &self.patches, mine, &theirs.commits, tips, heads)
    }

    #[cfg(test)]
    pub(super) fn kept_changes(&self) -> usize {
        self.patches.count()
    }

    /// What the clone can know about pushes of `branch`, a name without `refs/heads/`.
    ///
    /// | the clone | what it knows of a pushed branch |
    /// | --- | --- |
    /// | an ordinary one | it has `refs/remotes/R/branch`, since git writes that with the push |
    /// | no remote | nothing was pushed, unless to an address that was typed in |
    /// | bare, made with `--bare` | nothing: it has no `fetch` setting, so that git keeps no remote branches |
    /// | a mirror | nothing: its branches are the remote's and its own in one |
    /// | `--single-branch`, or `fetch` narrowed | only of the branches that `fetch` names |
    /// | remote branches pruned or never fetched | nothing: there is none to compare with |
    pub(crate) fn pushes(&self, store: &Store, branch: Option<&str>) -> Pushes {
        let config = &store.config;
        let remotes = config.subsections("remote");
        if remotes.is_empty() {
            return match (config.includes(), self.remote_ends.is_empty()) {
                (false, true) => Pushes::Never,
                (true, true) => Pushes::Unseen(
                    "its remotes may be named in a file that its configuration includes, which vigil does not read"
                        .to_owned(),
                ),
                // Marks of a remote that was taken out since still say what it had.
                (_, false) => Pushes::Seen,
            };
        }
        let wanted = branch.map(|branch| format!("refs/heads/{branch}"));
        let mut mirrors = None;
        for remote in &remotes {
            for spec in config.list("remote", remote, "fetch") {
                let spec = spec.strip_prefix('+').unwrap_or(spec);
                let Some((from, to)) = spec.split_once(':') else {
                    continue;
                };
                if !covers(from, wanted.as_deref()) {
                    continue;
                }
                if to.starts_with("refs/remotes/") {
                    return match self.remote_ends.is_empty() {
                        false => Pushes::Seen,
                        true => Pushes::Unseen(
                            "it has no remote branch to compare with; `git fetch` would bring them"
                                .to_owned(),
                        ),
                    };
                }
                mirrors = Some(remote);
            }
        }
        let place = self.dir.display();
        Pushes::Unseen(match (mirrors, branch) {
            (Some(remote), _) => format!(
                "{place} mirrors {remote}: its branches are the remote's and its own in one"
            ),
            (None, Some(branch)) if !self.remote_ends.is_empty() => format!(
                "the `fetch` setting of no remote of {place} names the branch {branch}, so that git does not note here \
                 what of it was pushed"
            ),
            (None, _) => format!(
                "{place} keeps no remote branches (a bare clone has no `fetch` setting), so that git does not note \
                 here what was pushed"
            ),
        })
    }
}

impl Store {
    /// Opens what lies in `common`, the folder that all worktrees of a repository share.
    pub(crate) fn open(common: Folder) -> Result<Store, Gap> {
        let place = common.path().join("config");
        let mut config = Config::default();
        if let Some(text) = common.read(b"config", Links::Follow, CONFIG_BYTES_MAX)? {
            config.add(&text, &place.display().to_string())?;
        }
        let unsupported =
            |what: String| Gap::new(GapKind::Unsupported, format!("{}: {what}", place.display()));
        let version = config.text("core", "repositoryformatversion");
        let version = version.map_or(Ok(0), str::parse::<u32>);
        if !matches!(version, Ok(0 | 1)) {
            return Err(unsupported(
                "the repository is of a version that vigil cannot read".to_owned(),
            ));
        }
        if version == Ok(1) {
            let unknown = config
                .section("extensions")
                .find(|(name, _)| !KNOWN_EXTENSIONS.contains(name));
            if let Some((name, _)) = unknown {
                return Err(unsupported(format!(
                    "the repository uses the extension {name:?}, which vigil cannot read"
                )));
            }
        }
        let sum = match config.text("extensions", "objectformat") {
            None | Some("sha1") => Sum::Sha1,
            Some("sha256") => Sum::Sha256,
            Some(other) => {
                return Err(unsupported(format!(
                    "objects are named by {other:?}, which vigil cannot read"
                )));
            }
        };
        if let Some(other) = config
            .text("extensions", "refstorage")
            .filter(|format| *format != "files")
        {
            return Err(unsupported(format!(
                "refs are stored as {other:?}, which vigil cannot read; `git refs migrate --ref-format=files` makes \
                 them files"
            )));
        }
        let objects = common.folder(b"objects", Links::Follow)?.ok_or_else(|| {
            Gap::new(
                GapKind::Malformed,
                format!("{} holds no objects", common.path().display()),
            )
        })?;
        let shallow = common.read(b"shallow", Links::Follow, SHALLOW_BYTES_MAX)?;
        let ends = String::from_utf8_lossy(&shallow.unwrap_or_default())
            .lines()
            .filter_map(|line| line.trim().parse().ok())
            .collect();
        Ok(Store {
            sum,
            config,
            objects: Objects::open(objects, sum)?,
            ends,
            common,
        })
    }

    /// The full name of the branch that the repository's own folder has checked out. `None`: it has none.
    pub(crate) fn checked_out(&self) -> Result<Option<String>, Gap> {
        Ok(match refs::head(&self.common, self.sum)? {
            Target::Ref(name) => Some(name),
            Target::Commit(_) => None,
        })
    }
}

/// Whether the left side of a `fetch` setting names `wanted`; with no branch in question, whether it names all.
fn covers(from: &str, wanted: Option<&str>) -> bool {
    let Some(wanted) = wanted else {
        return from == "refs/heads/*" || from == "refs/*";
    };
    match from.split_once('*') {
        None => from == wanted || from.strip_prefix("refs/heads/").unwrap_or(from) == wanted,
        Some((start, end)) => {
            wanted.len() >= start.len() + end.len()
                && wanted.starts_with(start)
                && wanted.ends_with(end)
        }
    }
}

/// The folder that is shared, and the one of this checkout, of whatever stands in `dir`: a checkout, a worktree, or a
/// repository without either.
pub(crate) fn git_folders(dir: &Folder) -> Result<(Folder, Folder), Gap> {
    let none = || {
        Gap::new(
            GapKind::NoControl,
            format!("{} is not a git repository", dir.path().display()),
        )
    };
    let git_dir = match dir.stat(b".git", Links::Follow)? {
        Some(found) if FileType::from_raw_mode(found.st_mode) == FileType::Directory => {
            dir.folder(b".git", Links::Follow)?.ok_or_else(none)?
        }
        Some(_) => named_folder(dir, b".git", "gitdir:")?.ok_or_else(none)?,
        // A repository without a checkout is one itself.
        None => Folder::open(dir.path())?,
    };
    if git_dir.stat(b"HEAD", Links::Keep)?.is_none() {
        return Err(none());
    }
    let common = match named_folder(&git_dir, b"commondir", "")? {
        Some(common) => common,
        None => Folder::open(&real(git_dir.path())?)?,
    };
    let is_one = common.stat(b"objects", Links::Follow)?.is_some()
        && (common.stat(b"refs", Links::Follow)?.is_some()
            || common.stat(b"packed-refs", Links::Follow)?.is_some());
    is_one.then_some((common, git_dir)).ok_or_else(none)
}

/// The folder that the file `name` names, seen from where the file lies. `None`: there is no such file.
pub(crate) fn named_folder(
    folder: &Folder,
    name: &[u8],
    before: &str,
) -> Result<Option<Folder>, Gap> {
    let Some(line) = folder.line(name)? else {
        return Ok(None);
    };
    let target = line.strip_prefix(before).map(str::trim);
    let Some(target) = target.filter(|target| !target.is_empty()) else {
        return Err(Gap::new(
            GapKind::Malformed,
            format!("{} names no folder", folder.place(name).display()),
        ));
    };
    Folder::open(&real(&folder.path().join(target))?).map(Some)
}

fn real(path: &Path) -> Result<PathBuf, Gap> {
    fs::canonicalize(path).map_err(|error| super::folder::io_gap(path, &error))
}
