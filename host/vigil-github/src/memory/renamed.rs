//! Repositories that were renamed or transferred, and what is asked about in their place where that may be.

use vigil_core::session::Lookup;

use super::{Memory, Watch, repo_key};
use crate::moved::Called;
use crate::question::Repo;

/// A repository that is called otherwise than its sessions' records say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renamed {
    /// Its former name.
    pub from: String,
    /// Its present name.
    pub to: String,
    /// Its node id is the one that was seen under the former name: nothing else can be meant by that name. False where
    /// it was never seen under it, or where another one was.
    pub is_same: bool,
}

impl Memory {
    /// Leads `lookup` to where its repositories are by now, as far as their node ids show that they are the same. Whoever
    /// owned the repository with a branch owns it still where that is the repository itself. Gives whether anything is
    /// looked up elsewhere.
    pub fn follow(&self, lookup: &mut Lookup) -> bool {
        let mut follows = false;
        if let Ok(Some(issue)) = &mut lookup.issue
            && let Some(to) = self.leads_to(&issue.repo)
        {
            issue.repo = to.to_string();
            follows = true;
        }
        if let Ok(Some(pull)) = &mut lookup.pull_request
            && let Some(to) = self.leads_to(&pull.repo)
        {
            let from = pull.repo.split('/').next().unwrap_or_default();
            if let Some(owner) = &mut pull.head_owner
                && owner.eq_ignore_ascii_case(from)
            {
                *owner = to.owner().to_owned();
            }
            pull.repo = to.to_string();
            follows = true;
        }
        follows
    }

    /// Whether `lookup` names a repository that [`Memory::follow`] finds elsewhere.
    pub fn is_elsewhere(&self, lookup: &Lookup) -> bool {
        lookup.repos().any(|repo| self.leads_to(repo).is_some())
    }

    /// Whether `called` is the repository that was seen under the name `repo`.
    pub fn was_called(&self, repo: &Repo, called: &Called) -> bool {
        self.watch(repo).is_some_and(|watch| is_same(watch, called))
    }

    /// All repositories that are known to have another name, by their former one.
    pub fn renamed(&self) -> Vec<Renamed> {
        let watches = self.repos.values().map(|of| &of.watch);
        let mut renamed: Vec<Renamed> = watches
            .filter_map(|watch| {
                let called = watch.called.as_ref()?;
                Some(Renamed {
                    from: watch.name.clone(),
                    to: called.name.clone(),
                    is_same: is_same(watch, called),
                })
            })
            .collect();
        renamed.sort_by(|one, other| one.from.cmp(&other.from));
        renamed
    }

    /// The former names of `repos`. They are looked at as well: who takes one is not to be followed any more.
    pub(crate) fn former_names(&self, repos: &[Repo]) -> Vec<Repo> {
        let watches = self.repos.values().map(|of| &of.watch);
        let renamed = watches.filter_map(|watch| {
            let to = watch.called.as_ref()?.name.to_ascii_lowercase();
            repos
                .iter()
                .any(|repo| repo_key(repo) == to)
                .then_some(())?;
            Repo::parse(&watch.name).ok()
        });
        renamed.collect()
    }

    fn leads_to(&self, repo: &str) -> Option<Repo> {
        let watch = self.watch(&Repo::parse(repo).ok()?)?;
        let called = watch.called.as_ref()?;
        is_same(watch, called)
            .then(|| Repo::parse(&called.name).ok())
            .flatten()
    }
}

/// The node id is the one that was seen under the former name.
fn is_same(watch: &Watch, called: &Called) -> bool {
    watch.id.as_deref() == Some(called.id.as_str())
}
