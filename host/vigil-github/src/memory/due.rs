//! When something is read again of its own accord, although nothing says that it changed.

use std::time::Duration;

use vigil_core::forge::{Issue, PullRequest, PullRequestState};
use vigil_core::time::minutes;
use vigil_core::{Fact, Gap, GapKind, Timestamp};

use super::watch::IDLE_MAX;
use super::{Branch, Known};
use crate::ask::Parts;

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

/// The longest pause in multiples of the shortest.
const POLL_PASSES_MAX: u32 = 10;

/// How often an open pull request is read for what GitHub calls no update of it, where somebody wants to know that and
/// few of them are watched: its base moves, finished checks are run again, it enters the merge queue, or is to be merged
/// on its own.
pub const POLL_CALM: Duration = minutes(15);

/// As many are read every [`POLL_CALM`], at 200 points an hour; more of them stretch it up to the sweep, so that what
/// seldom brings news does not use up the share of what does.
pub(crate) const CALMLY_POLLED_EASILY: usize = 5_000;

/// What changes without a trace in what GitHub calls an update. That auto-merge is one of them is nowhere denied.
const UNANNOUNCED: Parts = Parts::MERGEABILITY
    .union(Parts::CHECKS)
    .union(Parts::SECOND)
    .union(Parts::QUEUE)
    .union(Parts::AUTO_MERGE);

/// How long after a webhook a read may still come from a replica that does not know what it told.
pub const REPLICA_LAG: Duration = Duration::from_secs(30);

/// As many are polled every [`POLL_MIN`]; more of them stretch it, so that the price per hour stays the same.
const POLLED_EASILY: usize = 500;

/// How soon mergeability is asked for again while GitHub works it out, doubled with each try.
const NOT_READY_FIRST: Duration = Duration::from_secs(15);

/// How soon a new commit that has no checks yet is looked at again: they begin some seconds after the push, and nothing
/// announces that.
const CHECKS_BEGIN: Duration = minutes(2);

/// Tries after which mergeability is left to the sweep, and before which no answer that is older than what was
/// announced is believed.
pub const TRIES_MAX: u8 = 5;

/// How long answers that are older than what was announced are put down to a replica that lags. Passes may follow each
/// other within seconds, so that their number alone says little.
pub const LAG_MAX: Duration = minutes(10);

/// How fast what moves without being announced is followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pace {
    /// Pull requests that do, and are under way.
    pub(crate) polled: usize,
    /// Pull requests that may, and rest.
    pub(crate) calm: usize,
    /// Webhooks tell of it as well: what is asked is only whether one got lost, this seldom. `None`: there are none.
    pub(crate) resync: Option<Duration>,
}

impl Pace {
    /// From a read at `now` to the next poll of what is under way. GitHub has events for it: `check_run`, `check_suite`,
    /// `status` and `workflow_run`, `merge_group`, and `pull_request` with `enqueued` and `dequeued`. Where many stretch
    /// it over several passes, each has its own of them: what was learned at once is not polled at once for ever.
    fn poll(self, number: u32, now: Timestamp) -> Duration {
        let passes = u64::from(poll_passes(self.polled));
        let minute = now.0 / 1000 / POLL_MIN.as_secs();
        let own = u64::from(scattered(number)) % passes;
        let ahead = match (own + passes - minute % passes) % passes {
            0 => passes,
            ahead => ahead,
        };
        self.slowed(POLL_MIN.saturating_mul(u32::try_from(ahead).unwrap_or(1)))
    }

    /// The same of what rests. That it can be merged has no event; a push to its base has, and is what changes it.
    fn calm(self) -> Duration {
        let times = stretch(self.calm, CALMLY_POLLED_EASILY);
        self.slowed(POLL_CALM.saturating_mul(times).min(SWEEP_OPEN))
    }

    fn slowed(self, pace: Duration) -> Duration {
        pace.max(self.resync.unwrap_or_default())
    }
}

/// From when on a read is sure to show what a webhook told of at `woken`.
pub(crate) fn shows_after(woken: Timestamp) -> Timestamp {
    woken.after(REPLICA_LAG)
}

/// When a read is repeated because it came soon after a webhook.
fn after_its_wake<T>(known: &Known<T>, now: Timestamp) -> Timestamp {
    match shows_after(known.woken) {
        shows if shows > now => shows,
        _ => Timestamp(u64::MAX),
    }
}

/// When the list of a branch is read again in any case.
pub(crate) fn branch_due(known: &Known<Branch>, now: Timestamp) -> Timestamp {
    now.after(SWEEP_OPEN).min(after_its_wake(known, now))
}

/// When an issue is read again in any case.
pub(crate) fn issue_due(known: &Known<Issue>, number: u32, now: Timestamp) -> Timestamp {
    let calm = match &known.fact {
        Fact::Found(issue) if !issue.open => now.after(spread(SWEEP_ENDED, number)),
        Fact::Absent(sighting) if sighting.first.age(sighting.last) < SECOND_LOOK => {
            now.after(SECOND_LOOK)
        }
        _ => now.after(spread(SWEEP_OPEN, number)),
    };
    let due = match known.fact.found() {
        Some(issue) if is_partly_unread(issue) => calm.min(again(known.unready, now)),
        _ => calm,
    };
    due.min(after_its_second(known, now))
        .min(after_its_wake(known, now))
}

/// GitHub tells whole seconds: what changes again within the second in which it was read is announced by nothing. So
/// what was read that soon after its last change is read once more.
fn after_its_second<T>(known: &Known<T>, now: Timestamp) -> Timestamp {
    match known.updated {
        Some(updated) if updated.after(SOON) > now && updated < now.after(SOON) => {
            now.after(POLL_MIN)
        }
        _ => Timestamp(u64::MAX),
    }
}

/// So soon after a change another one may still bear the same second, by clocks that agree as well as most do.
const SOON: Duration = Duration::from_secs(5);

/// When a pull request is read again in any case.
pub(crate) fn pull_request_due(
    known: &Known<PullRequest>,
    number: u32,
    pace: Pace,
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
        due = due.min(now.after(pace.poll(number, now)));
    }
    if pr.state == PullRequestState::Open && known.parts.intersects(UNANNOUNCED) {
        due = due.min(now.after(spread(pace.calm(), number)));
    }
    let is_new = known
        .head_since
        .is_some_and(|since| since.age(now) < CHECKS_BEGIN);
    if is_new && pr.checks.is_absent() && pr.state == PullRequestState::Open {
        due = due.min(now.after(CHECKS_BEGIN));
    }
    if is_partly_lost(pr) || is_being_worked_out(pr) && known.unready < TRIES_MAX {
        due = due.min(again(known.unready, now));
    }
    due.min(after_its_second(known, now))
        .min(after_its_wake(known, now))
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

/// Something of an open pull request is known that changes without an update of it, though it rests now.
pub(crate) fn may_move_by_itself(known: &Known<PullRequest>) -> bool {
    known.parts.intersects(UNANNOUNCED)
        && known
            .fact
            .found()
            .is_some_and(|pr| pr.state == PullRequestState::Open && !moves_by_itself(pr))
}

/// Every how many minutes one is polled while `polled` are.
fn poll_passes(polled: usize) -> u32 {
    stretch(polled, POLLED_EASILY).min(POLL_PASSES_MAX)
}

/// How many times as long it takes to go through `count` than through as many as are easy.
fn stretch(count: usize, easy: usize) -> u32 {
    u32::try_from(count.div_ceil(easy))
        .unwrap_or(u32::MAX)
        .max(1)
}

/// Up to a quarter less than `span`, the same for the same number: what was learned at once is not read again at once.
fn spread(span: Duration, number: u32) -> Duration {
    span - span / 400 * (scattered(number) % 100)
}

/// Knuth's multiplicative hash: neighbours lie far apart.
fn scattered(number: u32) -> u32 {
    number.wrapping_mul(2_654_435_761)
}

#[cfg(test)]
mod tests {
    use vigil_core::forge::Mergeability;

    use super::*;

    const NOW: Timestamp = Timestamp(1_795_154_400_000);

    const ALONE: Pace = Pace {
        polled: 1,
        calm: 1,
        resync: None,
    };

    fn pull() -> PullRequest {
        PullRequest::bare(2, NOW)
    }

    /// How soon it is read again, after so many reads in a row that left something open.
    fn due(unready: u8, change: impl FnOnce(&mut PullRequest)) -> Duration {
        let mut pr = pull();
        change(&mut pr);
        let known = Known {
            fact: Fact::Found(pr),
            unready,
            ..Known::default()
        };
        NOW.age(pull_request_due(&known, 2, ALONE, NOW))
    }

    fn gap(kind: GapKind) -> Fact<String> {
        Fact::unknown(kind, "")
    }

    #[test]
    fn what_moves_by_itself_is_polled_and_the_rest_is_swept() {
        let rest = due(0, |_| {});
        assert!(rest > SWEEP_OPEN / 2 && rest <= SWEEP_OPEN, "{rest:?}");
        for word in ["pending", "held"] {
            let polled = due(0, |pr| pr.checks = Fact::Found(word.into()));
            assert_eq!(polled, POLL_MIN, "{word}");
        }
        let ended = due(0, |pr| {
            pr.state = PullRequestState::Merged;
            pr.checks = Fact::Found("pending".into());
        });
        assert!(ended > SWEEP_ENDED / 2, "{ended:?}");
    }

    #[test]
    fn a_part_that_got_lost_is_read_again_within_the_back_off() {
        let lost = |unready| due(unready, |pr| pr.checks = gap(GapKind::Unreachable));
        assert_eq!(lost(1), NOT_READY_FIRST);
        assert_eq!(lost(3), NOT_READY_FIRST * 4);
        assert_eq!(lost(200), IDLE_MAX);
        let of_an_ended_one = due(1, |pr| {
            pr.state = PullRequestState::Closed;
            pr.closes = Fact::unknown(GapKind::Malformed, "");
        });
        assert_eq!(of_an_ended_one, NOT_READY_FIRST);
        // A permission is not given by asking again.
        let denied = due(1, |pr| pr.checks = gap(GapKind::Denied));
        assert!(denied > SWEEP_OPEN / 2);
    }

    #[test]
    fn mergeability_is_asked_for_again_soon_and_not_for_ever() {
        let working = |unready| {
            due(unready, |pr| {
                pr.mergeability = Fact::unknown(GapKind::NotReady, "");
            })
        };
        let soon: Vec<u64> = (1..TRIES_MAX).map(|at| working(at).as_secs()).collect();
        assert_eq!(soon, [15, 30, 60, 120]);
        assert!(working(TRIES_MAX) > SWEEP_OPEN / 2);
        // The same while an older value stands.
        let kept = due(1, |pr| {
            pr.mergeability = Fact::Found(Mergeability {
                mergeable: true,
                merge_state: "clean".into(),
                observed: NOW.before(minutes(1)),
            });
        });
        assert_eq!(kept, NOT_READY_FIRST);
    }

    #[test]
    fn a_new_head_without_checks_is_looked_at_once_more() {
        let after = |since: Duration| {
            let mut pr = pull();
            pr.checks = Fact::absent_at(NOW);
            let known = Known {
                fact: Fact::Found(pr),
                head_since: Some(NOW.before(since)),
                ..Known::default()
            };
            NOW.age(pull_request_due(&known, 2, ALONE, NOW))
        };
        assert_eq!(after(Duration::ZERO), CHECKS_BEGIN);
        assert!(after(CHECKS_BEGIN) > SWEEP_OPEN / 2);
    }

    #[test]
    fn the_more_are_polled_the_less_often() {
        for (polled, minutes) in [(0, 1), (500, 1), (501, 2), (1_000_000, 10)] {
            assert_eq!(poll_passes(polled), minutes);
        }
        assert_eq!(POLL_MIN * POLL_PASSES_MAX, POLL_MAX);
        let calm = |calm| Pace { calm, ..ALONE }.calm();
        assert_eq!(calm(5_000), POLL_CALM);
        assert_eq!(calm(5_001), POLL_CALM * 2);
        assert_eq!(calm(1_000_000), SWEEP_OPEN);
    }

    #[test]
    fn webhooks_slow_every_poll_and_speed_up_none() {
        for (resync, poll, calm) in [
            (minutes(5), minutes(5), POLL_CALM),
            (minutes(20), minutes(20), minutes(20)),
            (Duration::ZERO, POLL_MIN, POLL_CALM),
        ] {
            let pace = Pace {
                resync: Some(resync),
                ..ALONE
            };
            assert_eq!((pace.poll(2, NOW), pace.calm()), (poll, calm));
        }
    }

    #[test]
    fn what_is_stretched_is_polled_evenly_and_each_at_its_own_pace() {
        let pace = Pace {
            polled: 2_000,
            ..ALONE
        };
        // All were learned at once.
        let mut due = vec![NOW; 2_000];
        for minute in 0..40 {
            let now = NOW.after(minutes(minute));
            let mut polled = 0;
            for (number, due) in (1..).zip(&mut due) {
                if *due <= now {
                    let next = pace.poll(number, now);
                    assert!(next == minutes(4) || minute == 0 && next < minutes(4));
                    *due = now.after(next);
                    polled += 1;
                }
            }
            assert!(
                minute == 0 || (400..=600).contains(&polled),
                "{minute}: {polled}"
            );
        }
    }

    #[test]
    fn what_was_read_within_the_second_of_its_change_is_read_once_more() {
        let mut known = Known::<Issue> {
            updated: Some(NOW.before(Duration::from_secs(1))),
            ..Known::default()
        };
        assert_eq!(issue_due(&known, 1, NOW), NOW.after(POLL_MIN));
        known.updated = Some(NOW.before(minutes(1)));
        assert!(issue_due(&known, 1, NOW) > NOW.after(SWEEP_OPEN / 2));
    }

    #[test]
    fn what_was_learned_at_once_is_not_swept_at_once() {
        let spans: Vec<Duration> = (1..=100).map(|at| spread(SWEEP_OPEN, at)).collect();
        assert!(spans.iter().all(|span| *span <= SWEEP_OPEN));
        assert!(
            spans
                .iter()
                .all(|span| *span > SWEEP_OPEN / 4 * 3 - minutes(1))
        );
        let first = spans.iter().filter(|span| **span < minutes(50)).count();
        assert!((20..=50).contains(&first), "{first}");
    }
}
