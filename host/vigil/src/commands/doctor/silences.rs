//! What GitHub said about silence and what was taken of its hour, shared with the passes.

use std::collections::HashMap;

use vigil_core::Timestamp;
use vigil_github::Account;
use vigil_github::budget::{AccountMemory, Pool, Silence};
use vigil_github::memory::Memory;

use crate::failure::Failure;
use crate::memory;
use crate::pass::asking;
use crate::wiring::Setup;

/// What GitHub said about silence, in this look and before, as passes remember it.
pub(super) struct Silences {
    host: String,
    accounts: HashMap<Account, AccountMemory>,
}

impl Silences {
    pub(super) fn recall(setup: &Setup, host: String) -> Result<Silences, Failure> {
        let rows = match setup.store_if_any()? {
            Some(store) => store
                .forge_rows(&host, Some(&[""]))
                .map_err(memory::failed)?,
            None => Vec::new(),
        };
        let rows = rows
            .iter()
            .map(|row| (row.repo.as_str(), row.name.as_str(), row.value.as_str()));
        let (known, _) = Memory::read(rows);
        let accounts = known
            .accounts()
            .map(|(account, known)| (account.clone(), known.clone()))
            .collect();
        Ok(Silences { host, accounts })
    }

    /// The silence that holds for everything that `account` would ask.
    pub(super) fn of(&self, account: &Account, now: Timestamp) -> Option<Silence> {
        let known = self.accounts.get(account)?;
        let of = |pool| known.silent(pool, now);
        later(of(Pool::GraphQl), of(Pool::Rest))
    }

    /// Notes what GitHub told `account`, so that passes know of it, also after a restart. What passes noted meanwhile is
    /// taken up first.
    pub(super) fn note<T>(
        &mut self,
        setup: &Setup,
        account: &Account,
        change: impl FnOnce(&mut AccountMemory) -> T,
    ) -> Result<T, Failure> {
        self.accounts = Silences::recall(setup, self.host.clone())?.accounts;
        let known = self.accounts.entry(account.clone()).or_default();
        let before = known.clone();
        let given = change(known);
        if *known != before {
            let now = setup.world.now();
            let holder = format!("vigil doctor {} of {now}", std::process::id());
            let told = (account, &*known);
            asking::tell_account(&mut setup.store()?, &self.host, told, &holder, now)?;
        }
        Ok(given)
    }
}

/// The one that lasts longer.
fn later(one: Option<Silence>, other: Option<Silence>) -> Option<Silence> {
    [one, other]
        .into_iter()
        .flatten()
        .max_by_key(|silence| silence.until)
}
