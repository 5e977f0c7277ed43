//! GitHub said to stop: for how long, and which of several such words counts.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use vigil_core::Timestamp;
use vigil_core::time::minutes;

use super::is_ahead;
use crate::limits::SILENCE;

/// The longest silence after refusals that name no time, however many there were in a row.
const SILENCE_GROWN_MAX: Duration = minutes(60);

/// GitHub said to stop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Silence {
    /// When it was heard, by this machine's clock.
    #[serde(default)]
    pub told: Timestamp,
    /// Nothing is sent before.
    pub until: Timestamp,
    /// What it said.
    pub why: String,
}

impl Silence {
    /// Whether it lasts at `now`. What was heard before the clock was set back ends nobody knows when.
    pub(crate) fn holds_at(&self, now: Timestamp) -> bool {
        self.until > now && !is_ahead(self.told, now)
    }
}

/// Of those that hold at `now` the one that lasts longer: several requests are out at a time, and the last of their
/// refusals is not always the one that asks for most. What a clock that was ahead was told asks for nothing any more,
/// however late it ends.
pub(crate) fn later(
    one: Option<Silence>,
    other: Option<Silence>,
    now: Timestamp,
) -> Option<Silence> {
    [one, other]
        .into_iter()
        .flatten()
        .filter(|silence| silence.holds_at(now))
        .max_by_key(|silence| silence.until)
}

/// How long to be silent after so many refusals in a row that named no time: a minute, doubled with each further one,
/// at most an hour (docs: *best practices for using the REST API*, "an exponentially increasing amount of time").
pub(crate) fn grown(strikes: u32) -> Duration {
    SILENCE
        .saturating_mul(2u32.saturating_pow(strikes.saturating_sub(1)))
        .min(SILENCE_GROWN_MAX)
}
