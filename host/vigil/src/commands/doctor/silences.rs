//! What GitHub said about silence, shared with the passes.

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

    /// Lets passes know of it, also after a restart.
    pub(super) fn keep(
        &mut self,
        setup: &Setup,
        account: &Account,
        silence: Silence,
    ) -> Result<(), Failure> {
        let known = self.accounts.entry(account.clone()).or_default();
        let mut told = known.clone();
        told.silence = later(Some(silence), told.silence);
        if told == *known {
            return Ok(());
        }
        *known = told;
        let now = setup.world.now();
        let holder = format!("vigil doctor {} of {now}", std::process::id());
        asking::tell_account(
            &mut setup.store()?,
            &self.host,
            (account, known),
            &holder,
            now,
        )
    }
}

/// The one that lasts longer.
fn later(one: Option<Silence>, other: Option<Silence>) -> Option<Silence> {
    [one, other]
        .into_iter()
        .flatten()
        .max_by_key(|silence| silence.until)
}
