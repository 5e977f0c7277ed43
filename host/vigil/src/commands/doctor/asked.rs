//! Who would ask GitHub about what: accounts, and a sample of each repository. Pure.

use std::collections::{BTreeMap, BTreeSet};

use vigil_core::Session;
use vigil_github::{Account, GitHub, Sample};

use crate::config::GitHubConfig;

/// Whom an account asks about.
#[derive(Default)]
pub(super) struct Asked {
    pub(super) owners: BTreeSet<String>,
    pub(super) samples: Vec<Sample>,
}

/// Every account that is configured or would ask about one of `sessions`.
pub(super) fn accounts(
    config: &GitHubConfig,
    github: &GitHub,
    sessions: &[Session],
) -> BTreeMap<Account, Asked> {
    let mut accounts: BTreeMap<Account, Asked> = BTreeMap::new();
    for sample in samples(sessions) {
        let owner = sample.repo.split('/').next().unwrap_or_default().to_owned();
        let asked = accounts.entry(github.account(&owner)).or_default();
        asked.owners.insert(owner);
        asked.samples.push(sample);
    }
    let of_tokens = config.token.iter().flat_map(|token| &token.owners);
    let of_app = config.app.iter().filter_map(|app| app.owners.as_ref());
    for owner in of_tokens.chain(of_app.flatten()) {
        accounts.entry(github.account(owner)).or_default();
    }
    // Nobody in particular is asked about with the usual token, which need not be there where an App asks.
    if accounts.is_empty() && config.app.is_none() {
        accounts.entry(github.account("")).or_default();
    }
    accounts
}

/// A sample of each repository that a session's issue or pull request is in. A session whose pull request is known
/// makes the best one, and one with a branch the next.
fn samples(sessions: &[Session]) -> Vec<Sample> {
    let mut best: BTreeMap<String, Sample> = BTreeMap::new();
    for lookup in sessions.iter().map(|session| &session.lookup) {
        let issue = lookup.issue();
        let pull = lookup.pull_request();
        let (repo, number) = (pull.map(|pr| &pr.repo), pull.and_then(|pr| pr.number));
        let branch = pull.filter(|pr| pr.number.is_none());
        let branch = branch.and_then(|pr| pr.branches.first().cloned());
        let Some(repo) = repo.or_else(|| Some(&issue?.repo)) else {
            continue;
        };
        let sample = Sample {
            repo: repo.clone(),
            issue: issue
                .filter(|issue| issue.repo.eq_ignore_ascii_case(repo))
                .map(|issue| issue.number),
            pull_request: number,
            branch,
        };
        let worth = |sample: &Sample| {
            (
                sample.pull_request.is_some(),
                sample.branch.is_some(),
                sample.issue.is_some(),
            )
        };
        let known = best
            .entry(repo.to_lowercase())
            .or_insert_with(|| sample.clone());
        if worth(&sample) > worth(known) {
            *known = sample;
        }
    }
    best.into_values().collect()
}
