//! Storing what is remembered of the forge beside other processes that do the same: what they wrote meanwhile is read,
//! merged and written in one transaction.

use vigil_core::Timestamp;
use vigil_github::Account;
use vigil_github::budget::AccountMemory;
use vigil_github::memory::is_outdated;
use vigil_store::{ForgeChange, Merge, Store};

use super::asking::{ACCOUNT, WRITER};
use crate::failure::Failure;
use crate::memory;

/// What other processes had written.
#[derive(Debug, Default)]
pub(super) struct Beside {
    /// Who wrote last before; `None`: nobody.
    pub(super) writer: Option<String>,
    /// What stood there of the accounts that were written.
    pub(super) accounts: Vec<(Account, AccountMemory)>,
}

/// Puts `rows`. Of an account that both know, what either was told and took is kept. A fact that somebody else has read
/// or put in doubt since stays as it is; `writer` wrote last as far as this process knows, and beside nobody else it may
/// put what it likes.
pub(super) fn put(
    store: &mut Store,
    host: &str,
    rows: &[ForgeChange<'_>],
    writer: Option<&str>,
    holder: &str,
    now: Timestamp,
) -> Result<Beside, Failure> {
    let mut beside = Beside::default();
    // The first of all, so that it is known who wrote before anything else is compared. Whoever wrote last before needs
    // no new row.
    let mut all = vec![ForgeChange {
        repo: "",
        name: WRITER,
        value: Some(holder),
        at: now,
    }];
    all.extend_from_slice(rows);
    let merge = |change: &ForgeChange<'_>, stored: Option<&str>| {
        let (Some(ours), Some(stored)) = (change.value, stored) else {
            return Merge::Put;
        };
        if change.repo.is_empty() && change.name == WRITER {
            beside.writer = Some(stored.to_owned());
            return match writer == Some(holder) {
                true => Merge::Keep,
                false => Merge::Put,
            };
        }
        if !change.repo.is_empty() {
            let is_alone = beside.writer.as_deref() == writer;
            return match !is_alone && is_outdated(change.name, ours, stored, now) {
                true => Merge::Keep,
                false => Merge::Put,
            };
        }
        let Some(account) = change.name.strip_prefix(ACCOUNT) else {
            return Merge::Put;
        };
        let Ok(theirs) = serde_json::from_str::<AccountMemory>(stored) else {
            return Merge::Put;
        };
        let ours = serde_json::from_str::<AccountMemory>(ours).ok();
        let both = ours.and_then(|ours| serde_json::to_string(&ours.with(&theirs, now)).ok());
        beside.accounts.push((Account(account.to_owned()), theirs));
        both.map_or(Merge::Put, Merge::Other)
    };
    store
        .merge_forge_rows(host, &all, merge)
        .map_err(memory::failed)?;
    Ok(beside)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use vigil_github::budget::Silence;

    use super::*;
    use crate::pass::asking::tell_account;

    const HOST: &str = "github.com";
    const NOW: Timestamp = Timestamp(1_000_000_000);

    fn store() -> Store {
        Store::in_memory(NOW).expect("a store")
    }

    fn row<'a>(repo: &'a str, name: &'a str, value: &'a str) -> ForgeChange<'a> {
        ForgeChange {
            repo,
            name,
            value: Some(value),
            at: NOW,
        }
    }

    fn value(store: &Store, repo: &str, name: &str) -> Option<String> {
        let rows = store.forge_rows(HOST, Some(&[repo])).expect("rows");
        let row = rows.into_iter().find(|row| row.name == name);
        row.map(|row| row.value)
    }

    fn told(until: Timestamp) -> AccountMemory {
        AccountMemory {
            silence: Some(Silence {
                told: NOW,
                until,
                why: "slow down".to_owned(),
            }),
            ..AccountMemory::default()
        }
    }

    #[test]
    fn a_silence_that_another_process_was_told_meanwhile_is_not_lost() {
        let account = Account("default".to_owned());
        let (long, short) = (
            NOW.after(Duration::from_secs(600)),
            NOW.after(Duration::from_secs(60)),
        );
        let mut store = store();
        // Both had read that there is none.
        tell_account(&mut store, HOST, (&account, &told(long)), "one", NOW).expect("kept");
        tell_account(&mut store, HOST, (&account, &told(short)), "other", NOW).expect("kept");
        let ours = serde_json::to_string(&told(short)).expect("JSON");
        let rows = [row("", "account default", &ours)];
        let beside = put(&mut store, HOST, &rows, None, "third", NOW).expect("kept");
        assert_eq!(beside.writer.as_deref(), Some("other"));
        assert_eq!(beside.accounts[0].1.silence, told(long).silence);
        let kept = value(&store, "", "account default").expect("a row");
        let kept: AccountMemory = serde_json::from_str(&kept).expect("JSON");
        assert_eq!(kept.silence, told(long).silence);
    }

    #[test]
    fn what_was_read_before_somebody_else_put_it_in_doubt_is_not_stored() {
        let read = r#"{"learned": 100, "updated": 7}"#;
        let doubted = r#"{"learned": 50, "updated": 7, "announced": 7, "woken": 200}"#;
        let mut store = store();
        put(
            &mut store,
            HOST,
            &[row("o/a", "pull 7", doubted)],
            None,
            "one",
            NOW,
        )
        .expect("kept");
        // It had read what is stored before that.
        let rows = [row("o/a", "pull 7", read), row("o/a", "pull 8", read)];
        let beside = put(&mut store, HOST, &rows, Some("earlier"), "other", NOW).expect("kept");
        assert_eq!(beside.writer.as_deref(), Some("one"));
        assert_eq!(value(&store, "o/a", "pull 7").as_deref(), Some(doubted));
        assert_eq!(value(&store, "o/a", "pull 8").as_deref(), Some(read));
        // Who wrote last itself, or has read what stands there, knows better.
        put(&mut store, HOST, &rows, Some("other"), "other", NOW).expect("kept");
        assert_eq!(value(&store, "o/a", "pull 7").as_deref(), Some(read));
    }
}
