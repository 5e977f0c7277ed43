//! Signs of life, and since when there has been none.

use vigil_sdk::time::mins;
use vigil_sdk::{Millis, Timestamp};

use crate::Case;

/// 30 min: what is left of a session may write for so long after its pull request or issue ended and still count as at
/// work; a watcher that nobody stopped must not hold a session for ever.
pub(crate) const LEFTOVER_MAX: Millis = mins(30);

/// 20 min beyond `fresh-for`: with the agent, its supervisor and every write gone for that long, even a slow start or a
/// long compilation is over.
pub(crate) const SILENCE_BEYOND_FRESH: Millis = mins(20);

/// A sign of life: when, and in words that go before "at 2026-01-01T10:11:00Z".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sign {
    pub(crate) at: Timestamp,
    pub(crate) what: &'static str,
}

/// The latest moment at which something of the work was seen to move. `None`: nothing ever was.
pub(crate) fn last(case: &Case<'_>) -> Option<Sign> {
    let session = case.session();
    let liveness = &session.liveness;
    [
        (session.times.started, "it was started"),
        (session.times.heartbeat, "its last heartbeat was"),
        (
            liveness.log_written.found().copied(),
            "its log was last written",
        ),
        (
            liveness.worktree_written.found().copied(),
            "its worktree was last written",
        ),
    ]
    .into_iter()
    .filter_map(|(at, what)| Some(Sign { at: at?, what }))
    .max_by_key(|sign| sign.at)
}

/// The moment from which silence counts: the last sign, or a later break in watching. After a suspend nobody can say
/// what would have been written meanwhile.
pub(crate) fn silent_from(case: &Case<'_>, sign: Timestamp) -> Timestamp {
    case.context
        .awake_since
        .map_or(sign, |awake| awake.max(sign))
}

/// When the last sign of life stops counting as work. `None`: there was none.
pub(crate) fn fresh_until(case: &Case<'_>) -> Option<Timestamp> {
    let sign = last(case)?;
    let until = silent_from(case, sign.at).saturating_add(case.context.source.fresh_for);
    Some(match leftover_from(case) {
        Some(ended) => until.min(ended.saturating_add(LEFTOVER_MAX)),
        None => until,
    })
}

/// The moment from which writes can be those of a leftover: the earlier of the ends of pull request and issue, as far
/// as they were found, but not before the session itself began.
fn leftover_from(case: &Case<'_>) -> Option<Timestamp> {
    let pull_request = case.evidence.pull_request.found();
    let issue = case.evidence.issue.found().filter(|issue| !issue.open);
    let ended = [
        pull_request.and_then(|found| found.ended()),
        issue.and_then(|found| found.closed),
    ]
    .into_iter()
    .flatten()
    .min()?;
    Some(ended.max(case.session().times.started.unwrap_or(0)))
}

/// Since when nothing was written at all. A record without any sign of life was at least written itself. `None`: there
/// is no time to count from.
pub(crate) fn silent_since(case: &Case<'_>) -> Option<Timestamp> {
    let from = match last(case) {
        Some(sign) => sign.at,
        None => case.session().times.updated?,
    };
    Some(silent_from(case, from))
}
