//! What webhooks brought to the daemon that listens for them, kept so that `status` can show it.

use serde::{Deserialize, Serialize};
use vigil_core::Timestamp;
use vigil_store::{ForgeChange, Store};

use crate::failure::Failure;
use crate::memory;
use crate::report::WebhooksReport;
use crate::ui;
use crate::webhooks::Counts;

/// The row that it is kept in, among what is remembered of the forge and is about no repository.
pub(crate) const ROW: &str = "webhooks";

/// What one daemon heard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Heard {
    /// When it began to listen; the counters were at zero then.
    pub(crate) since: Timestamp,
    /// When the counters changed last, as far as they were kept.
    pub(crate) last: Timestamp,
    /// The counters.
    pub(crate) counts: Counts,
}

impl Heard {
    /// Keeps it, in the place of what an earlier daemon heard.
    ///
    /// # Errors
    /// Those of vigil's memory.
    pub(crate) fn keep(&self, store: &mut Store, host: &str) -> Result<(), Failure> {
        let value = serde_json::to_string(self).map_err(|error| {
            Failure::world("failed to write down what webhooks brought").because(error)
        })?;
        put(store, host, Some(&value), self.last)
    }

    /// Nobody listens: what an earlier daemon heard would only mislead.
    ///
    /// # Errors
    /// Those of vigil's memory.
    pub(crate) fn forget(store: &mut Store, host: &str, now: Timestamp) -> Result<(), Failure> {
        put(store, host, None, now)
    }

    /// What the latest daemon heard; `None`: it does not listen, or what it kept cannot be read.
    ///
    /// # Errors
    /// Those of vigil's memory.
    pub(crate) fn recall(store: &Store, host: &str) -> Result<Option<Heard>, Failure> {
        let rows = store
            .forge_rows(host, Some(&[""]))
            .map_err(memory::failed)?;
        let row = rows.into_iter().find(|row| row.name == ROW);
        Ok(row.and_then(|row| serde_json::from_str(&row.value).ok()))
    }

    /// For `status`.
    pub(crate) fn report(&self) -> WebhooksReport {
        WebhooksReport {
            since: ui::moment(self.since),
            last: ui::moment(self.last),
            counts: self.counts,
        }
    }
}

fn put(store: &mut Store, host: &str, value: Option<&str>, at: Timestamp) -> Result<(), Failure> {
    let row = ForgeChange {
        repo: "",
        name: ROW,
        value,
        at,
    };
    store.put_forge_rows(host, &[row]).map_err(memory::failed)
}
