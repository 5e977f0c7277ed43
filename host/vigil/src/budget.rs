//! What may still be asked of GitHub, as `status` shows it.

use std::time::Duration;

use vigil_core::Timestamp;
use vigil_github::budget::{AccountMemory, Pool, Shares};
use vigil_github::memory::Memory;
use vigil_store::Store;

use crate::failure::Failure;
use crate::memory;
use crate::report::{BudgetReport, PotReport};
use crate::ui;

/// What is remembered of every account that was ever used, the first by name.
pub(crate) fn report(
    store: &Store,
    host: &str,
    shares: Shares,
    interval: Duration,
    now: Timestamp,
) -> Result<Vec<BudgetReport>, Failure> {
    let rows = store
        .forge_rows(host, Some(&[""]))
        .map_err(memory::failed)?;
    let rows = rows
        .iter()
        .map(|row| (row.repo.as_str(), row.name.as_str(), row.value.as_str()));
    let (known, _) = Memory::read(rows);
    let reports = known.accounts().map(|(account, known)| {
        let silence = [Pool::GraphQl, Pool::Rest]
            .into_iter()
            .filter_map(|pool| known.silent(pool, now))
            .max_by_key(|silence| silence.until);
        BudgetReport {
            account: account.to_string(),
            points: pot(known, Pool::GraphQl, shares, interval, now),
            rest_requests: pot(known, Pool::Rest, shares, interval, now),
            postponed: u64::from(known.postponed),
            silent_until: silence.as_ref().map(|silence| ui::moment(silence.until)),
            silent_because: silence.map(|silence| silence.why),
        }
    });
    Ok(reports.collect())
}

fn pot(
    known: &AccountMemory,
    pool: Pool,
    shares: Shares,
    interval: Duration,
    now: Timestamp,
) -> PotReport {
    let pot = known.pot(pool);
    PotReport {
        limit: pot.meter.limit,
        remaining: pot.remaining(now),
        spent: pot.spent(now),
        share_left: pot.allowance(shares, interval, now).urgent,
        reset: pot.meter.reset.filter(|reset| *reset > now).map(ui::moment),
    }
}
