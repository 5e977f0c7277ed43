//! Where a repository went that GitHub does not find under its name.

use vigil_core::Timestamp;
use vigil_github::memory::{Memory, Renamed, repo_key};
use vigil_github::{Account, GitHub, Repo, Trouble};

use super::github::CHECK_DEADLINE;
use crate::failure::Failure;
use crate::memory;
use crate::wiring::Setup;

/// What the repository `name` is called by now, and whether passes have seen it under that name; `None`: nobody knows.
pub(super) async fn whereabouts(
    setup: &Setup,
    github: &GitHub,
    account: &Account,
    now: Timestamp,
    name: &str,
) -> Result<Option<Renamed>, Trouble> {
    let Ok(repo) = Repo::parse(name) else {
        return Ok(None);
    };
    let called = github
        .whereabouts(account, &repo, now, CHECK_DEADLINE)
        .await?;
    Ok(called.map(|called| Renamed {
        from: name.to_owned(),
        // Who cannot read what passes remember says no more than the name.
        is_same: seen_by_passes(setup, &repo).is_ok_and(|known| known.was_called(&repo, &called)),
        to: called.name,
    }))
}

/// What passes remember of `repo`.
fn seen_by_passes(setup: &Setup, repo: &Repo) -> Result<Memory, Failure> {
    let (host, key) = (setup.place()?.host, repo_key(repo));
    let rows = match setup.store_if_any()? {
        Some(store) => store
            .forge_rows(&host, Some(&[&key]))
            .map_err(memory::failed)?,
        None => Vec::new(),
    };
    let rows = rows
        .iter()
        .map(|row| (row.repo.as_str(), row.name.as_str(), row.value.as_str()));
    Ok(Memory::read(rows).0)
}
