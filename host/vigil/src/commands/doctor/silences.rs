//! What GitHub said about silence and what was taken of its hour, shared with the passes.

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
    known: Memory,
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
        Ok(Silences { host, known })
    }

    /// The silence that holds for everything that `account` would ask, whichever of the accounts with its token was told.
    /// For an App's installation also what the App was told: here it has no token yet, and would ask for one.
    pub(super) fn of(&self, account: &Account, now: Timestamp) -> Option<Silence> {
        let app = account.app();
        let asking = [Some(account), app.as_ref()].into_iter().flatten();
        let told = asking.flat_map(|account| {
            let pools = [Pool::GraphQl, Pool::Rest].into_iter();
            pools.filter_map(|pool| self.known.silent(account, pool, now))
        });
        told.max_by_key(|silence| silence.until)
    }

    /// Notes what GitHub told `account`, so that passes know of it, also after a restart. What passes noted meanwhile is
    /// taken up first.
    pub(super) fn note<T>(
        &mut self,
        setup: &Setup,
        account: &Account,
        change: impl FnOnce(&mut AccountMemory) -> T,
    ) -> Result<T, Failure> {
        self.known = Silences::recall(setup, self.host.clone())?.known;
        let mut known = self.known.accounts().filter(|(known, _)| *known == account);
        let before = known
            .next()
            .map_or_else(AccountMemory::default, |(_, known)| known.clone());
        drop(known);
        let mut known = before.clone();
        let given = change(&mut known);
        if known != before {
            let now = setup.world.now();
            let holder = format!("vigil doctor {} of {now}", std::process::id());
            let told = (account, &known);
            asking::tell_account(&mut setup.store()?, &self.host, told, &holder, now)?;
            // As everybody else reads it from now on.
            self.known = Silences::recall(setup, self.host.clone())?.known;
        }
        Ok(given)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use vigil_github::Fingerprint;

    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000_000);

    #[test]
    fn what_another_account_with_the_token_or_the_app_was_told_is_not_asked_against() {
        let account = |token: &str, is_told: bool| {
            let known = AccountMemory {
                fingerprint: Some(Fingerprint(token.to_owned())),
                silence: is_told.then(|| Silence {
                    told: NOW,
                    until: NOW.after(Duration::from_secs(60)),
                    why: "slow down".to_owned(),
                }),
                ..AccountMemory::default()
            };
            serde_json::to_string(&known).expect("JSON")
        };
        let rows = [
            ("account default", account("a", true)),
            ("account acme", account("a", false)),
            ("account beta", account("b", false)),
            ("account app 7", account("c", true)),
            ("account app 7 at acme", account("d", false)),
        ];
        let rows = rows.iter().map(|(name, value)| ("", *name, value.as_str()));
        let (known, unreadable) = Memory::read(rows);
        assert_eq!(unreadable, 0);
        let silences = Silences {
            host: "github.com".to_owned(),
            known,
        };
        for (name, is_silent) in [
            ("default", true),
            ("acme", true),
            ("beta", false),
            ("nobody", false),
            ("app 7 at acme", true),
            ("app 7 at beta", true),
            ("app 71 at acme", false),
        ] {
            let told = silences.of(&Account(name.to_owned()), NOW);
            assert_eq!(told.is_some(), is_silent, "{name}");
        }
    }
}
