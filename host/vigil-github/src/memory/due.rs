//! When something is read again of its own accord, although nothing says that it changed.

use std::time::Duration;

use vigil_core::forge::{Issue, PullRequest, PullRequestState};
use vigil_core::time::minutes;
use vigil_core::{Fact, Gap, GapKind, Timestamp};

use super::Known;
use super::watch::IDLE_MAX;

/// How often what is open is read again although nothing says that it changed: reads can be stale, and one look that
/// came at the wrong moment must not stay wrong.
pub const SWEEP_OPEN: Duration = minutes(60);

/// The same for what has ended.
pub const SWEEP_ENDED: Duration = minutes(24 * 60);

/// How soon an absent issue is looked for a second time: a little over the ten minutes that two looks must lie apart.
pub const SECOND_LOOK: Duration = minutes(11);

/// How often CI that is under way, held runs and the merge queue are looked at while few of them are watched: they
/// move without a trace in what GitHub calls an update.
pub const POLL_MIN: Duration = minutes(1);

/// The same while many are.
pub const POLL_MAX: Duration = minutes(10);

/// As many are polled every [`POLL_MIN`]; more of them stretch it, so that the price per hour stays the same.
pub(crate) const POLLED_EASILY: usize = 500;

/// How soon mergeability is asked for again while GitHub works it out, doubled with each try.
const NOT_READY_FIRST: Duration = Duration::from_secs(15);

/// Tries after which mergeability is left to the sweep, and before which no answer that is older than what was
/// announced is believed.
pub const TRIES_MAX: u8 = 5;

/// How long answers that are older than what was announced are put down to a replica that lags. Passes may follow each
/// other within seconds, so that their number alone says little.
pub const LAG_MAX: Duration = minutes(10);

/// When an issue is read again in any case.
pub(crate) fn issue_due(known: &Known<Issue>, number: u32, now: Timestamp) -> Timestamp {
    let calm = match &known.fact {
        Fact::Found(issue) if !issue.open => now.after(spread(SWEEP_ENDED, number)),
        Fact::Absent(sighting) if sighting.first.age(sighting.last) < SECOND_LOOK => {
            now.after(SECOND_LOOK)
        }
        _ => now.after(spread(SWEEP_OPEN, number)),
    };
    match known.fact.found() {
        Some(issue) if is_partly_unread(issue) => calm.min(again(known.unready, now)),
        _ => calm,
    }
}

/// When a pull request is read again in any case, while `polled` of them move without being announced.
pub(crate) fn pull_request_due(
    known: &Known<PullRequest>,
    number: u32,
    polled: usize,
    now: Timestamp,
) -> Timestamp {
    let Fact::Found(pr) = &known.fact else {
        return now.after(spread(SWEEP_OPEN, number));
    };
    let mut due = match pr.state {
        PullRequestState::Open => now.after(spread(SWEEP_OPEN, number)),
        _ => now.after(spread(SWEEP_ENDED, number)),
    };
    if moves_by_itself(pr) {
        due = due.min(now.after(poll(polled)));
    }
    if is_partly_lost(pr) || is_being_worked_out(pr) && known.unready < TRIES_MAX {
        due = due.min(again(known.unready, now));
    }
    due
}

/// How soon a read is repeated that left something open, `times` in a row.
fn again(times: u8, now: Timestamp) -> Timestamp {
    let doubled = NOT_READY_FIRST.saturating_mul(1 << times.saturating_sub(1).min(TRIES_MAX + 1));
    now.after(doubled.min(IDLE_MAX))
}

/// Counts a read that may have left a part of an issue open.
pub(crate) fn count_issue(known: &mut Known<Issue>) {
    let is_open = known.fact.found().is_some_and(is_partly_unread);
    known.unready = count(known.unready, is_open);
}

/// Counts a read that may have left a part of a pull request open.
pub(crate) fn count_pull_request(known: &mut Known<PullRequest>) {
    let is_open = |pr: &PullRequest| is_partly_lost(pr) || is_being_worked_out(pr);
    let is_open = known.fact.found().is_some_and(is_open);
    known.unready = count(known.unready, is_open);
}

fn count(reads: u8, is_open: bool) -> u8 {
    match is_open {
        true => reads.saturating_add(1),
        false => 0,
    }
}

fn is_partly_unread(issue: &Issue) -> bool {
    [
        issue.assignees.gap(),
        issue.closer.gap(),
        issue.reopened.gap(),
        issue.closed_by.gap(),
    ]
    .into_iter()
    .flatten()
    .any(may_pass)
}

/// A part got lost on the way, be it GitHub's mergeability itself.
fn is_partly_lost(pr: &PullRequest) -> bool {
    [
        pr.mergeability.gap(),
        pr.review.gap(),
        pr.review_list.gap(),
        pr.checks.gap(),
        pr.check_list.gap(),
        pr.runs.gap(),
        pr.queue.gap(),
        pr.auto_merge.gap(),
        pr.closes.gap(),
    ]
    .into_iter()
    .flatten()
    .any(may_pass)
}

/// Whether another read may do better where nobody changes anything. What GitHub works out has a count of its own.
fn may_pass(gap: &Gap) -> bool {
    !matches!(
        gap.kind,
        GapKind::Denied | GapKind::Unsupported | GapKind::NotReady
    )
}

/// GitHub is still working out whether it can be merged; an older answer for the same head may stand meanwhile.
fn is_being_worked_out(pr: &PullRequest) -> bool {
    match &pr.mergeability {
        Fact::Unknown(gap) => gap.kind == GapKind::NotReady,
        Fact::Found(merge) => merge.observed < pr.parts_observed,
        _ => false,
    }
}

/// CI under way or held, or a place in the merge queue: things that change without an update of the pull request.
pub fn moves_by_itself(pr: &PullRequest) -> bool {
    if pr.state != PullRequestState::Open {
        return false;
    }
    let under_way = pr
        .checks
        .found()
        .is_some_and(|word| word == "pending" || word == "held");
    let held = pr.runs.found().is_some_and(|runs| !runs.is_empty());
    under_way || held || pr.queue.found().is_some()
}

/// From one poll to the next while `polled` are polled.
pub(crate) fn poll(polled: usize) -> Duration {
    let times = u32::try_from(polled.div_ceil(POLLED_EASILY)).unwrap_or(u32::MAX);
    POLL_MIN.saturating_mul(times.max(1)).min(POLL_MAX)
}

/// Up to a quarter less than `span`, the same for the same number: what was learned at once is not read again at once.
fn spread(span: Duration, number: u32) -> Duration {
    let hundredth = number.wrapping_mul(2_654_435_761) % 100;
    span - span / 400 * hundredth
}
