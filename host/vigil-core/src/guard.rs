//! The guards: what must be true before a proposal of a policy becomes a ruling. No policy can switch them off.
//!
//! Each guard is a pure function of the proposal and the evidence that answers `Some(objection)` or `None`. What a
//! decision says it rests on is for people; what must be true is derived here from the state it moves to.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::drift::Marker;
use crate::evidence::{Context, Evidence};
use crate::fact::Fact;
use crate::forge::PullRequestState;
use crate::requeue::backoff;
use crate::signs::{self, Unsaved};
use crate::state::State;
use crate::survey::{PastMove, Reversal, Survey};
use crate::time::{Timestamp, minutes};

/// Two looks that find nothing count as gone when they lie this far apart: longer than a replica's lag and a restart
/// of the forge's front end, shorter than anybody's patience.
pub const ABSENT_AFTER: Duration = minutes(10);

/// How long a move is remembered that the owner took back.
pub const DISAGREEMENT_WINDOW: Duration = minutes(24 * 60);

/// How often a move may be repeated under the same facts within [`DISAGREEMENT_WINDOW`].
pub const REPEATS_MAX: usize = 2;

/// How often vigil lets a session go within [`DISAGREEMENT_WINDOW`] that it had blocked itself.
pub const FLIPS_MAX: usize = 2;

/// The stable name of a guard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// A fact that was asked for is unknown, or a move to a waiting state has no observation of its own.
    UnknownIsNotEvidence,
    /// A final state without the fact that makes it final.
    PositiveEvidence,
    /// An agent is provably at work.
    LiveWork,
    /// A process that may be the agent works in the worktree, or whether one does is unknown.
    Occupied,
    /// The owner would discard work because of the write.
    UnsavedWork,
    /// The state table has no such change, or the source cannot write it.
    LegalEdge,
    /// The record changed since it was read.
    FreshRead,
    /// The owner has taken this very move back.
    OwnerDisagrees,
    /// vigil has blocked it and let it go too often.
    Flapping,
    /// Too many sessions were lost at once.
    MassChange,
    /// The configuration does not grant this kind of intent.
    Granted,
    /// An intent over its limit.
    Budget,
    /// A destructive intent without two witnesses and an authorization.
    TwoWitness,
    /// Two records of the same issue: nobody can say which one the owner means.
    DuplicateRecord,
    /// The source is paused or only observed.
    ReadOnly,
}

impl Code {
    /// The name that appears in `explain`, in the journal and in `--json`.
    pub fn as_str(self) -> &'static str {
        match self {
            Code::UnknownIsNotEvidence => "unknown-is-not-evidence",
            Code::PositiveEvidence => "positive-evidence",
            Code::LiveWork => "live-work",
            Code::Occupied => "occupied",
            Code::UnsavedWork => "unsaved-work",
            Code::LegalEdge => "legal-edge",
            Code::FreshRead => "fresh-read",
            Code::OwnerDisagrees => "owner-disagrees",
            Code::Flapping => "flapping",
            Code::MassChange => "mass-change",
            Code::Granted => "granted",
            Code::Budget => "budget",
            Code::TwoWitness => "two-witness",
            Code::DuplicateRecord => "duplicate-record",
            Code::ReadOnly => "read-only",
        }
    }
}

impl Code {
    /// Whether the guard speaks of the proposed state alone, and not of danger: what another policy proposes may be what
    /// the session needs.
    pub fn is_of_the_state(self) -> bool {
        matches!(self, Code::LegalEdge | Code::PositiveEvidence)
    }
}

/// A guard that spoke.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Objection {
    /// Which guard.
    pub code: Code,
    /// What it saw, for people.
    pub detail: String,
}

impl Objection {
    /// An objection of `code`.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Objection {
            code,
            detail: detail.into(),
        }
    }
}

/// A proposed move with all that the guards may look at.
#[derive(Clone, Copy, Debug)]
pub struct Move<'a> {
    /// The state to move to.
    pub to: State,
    /// The policy meant it although an agent is at work.
    pub despite_live_work: bool,
    /// The names of the facts that the chain asked for.
    pub asked: &'a [String],
    /// All that is known.
    pub evidence: &'a Evidence,
    /// What holds for the batch.
    pub context: &'a Context,
    /// What holds for the pass.
    pub survey: &'a Survey,
}

/// Every objection to a move but the one about unsaved work, which has a remedy of its own; see
/// [`crate::decide::decide`]. In a fixed order; empty: the move may be made.
pub fn objections(proposed: &Move<'_>) -> Vec<Objection> {
    [
        duplicate_record(proposed.evidence),
        legal_edge(proposed),
        unknown_is_not_evidence(proposed),
        positive_evidence(proposed),
        live_work(proposed),
        occupied(proposed),
        owner_disagrees(proposed),
        stale_copies(proposed),
        flapping(proposed),
        mass_change(proposed),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Two records of one issue: both are held, both are named.
pub fn duplicate_record(evidence: &Evidence) -> Option<Objection> {
    let others: Vec<&str> = evidence
        .siblings
        .iter()
        .filter(|sibling| sibling.duplicate)
        .map(|sibling| sibling.id.as_str())
        .collect();
    (!others.is_empty()).then(|| {
        Objection::new(
            Code::DuplicateRecord,
            format!(
                "{} and {} are records of the same issue, and the owner uses only the first it finds",
                evidence.session.id.id,
                others.join(" and ")
            ),
        )
    })
}

fn legal_edge(proposed: &Move<'_>) -> Option<Objection> {
    let session = &proposed.evidence.session;
    if !session.state.may_become(proposed.to) {
        let detail = format!("{} may not become {}", session.state, proposed.to);
        return Some(Objection::new(Code::LegalEdge, detail));
    }
    if !session.owner_effects.writable.contains(&proposed.to) {
        let detail = format!("this source has no safe way to write {}", proposed.to);
        return Some(Objection::new(Code::LegalEdge, detail));
    }
    None
}

fn unknown_is_not_evidence(proposed: &Move<'_>) -> Option<Objection> {
    let from = proposed.evidence.session.state;
    let leaves = matches!(from, State::Running | State::Maintaining);
    if leaves || proposed.to.is_final() {
        let unknown: Vec<String> = proposed
            .evidence
            .gaps()
            .into_iter()
            .filter(|(name, _)| proposed.asked.iter().any(|asked| asked == name))
            .map(|(name, gap)| format!("{name} is unknown ({gap})"))
            .collect();
        if !unknown.is_empty() {
            return Some(Objection::new(
                Code::UnknownIsNotEvidence,
                unknown.join("; "),
            ));
        }
    }
    if matches!(proposed.to, State::Blocked | State::Interrupted)
        && !has_own_ground(proposed.evidence)
    {
        return Some(Objection::new(
            Code::UnknownIsNotEvidence,
            format!(
                "nothing was positively observed that makes it {}: no absence with a control, no unsaved or \
                 unmerged work, no pull request that ended without landing",
                proposed.to
            ),
        ));
    }
    None
}

/// One positive observation for a waiting state: an absence with its control, unsaved or unmerged work, or a pull
/// request that was closed without a merge, or merged where its work does not land.
fn has_own_ground(evidence: &Evidence) -> bool {
    signs::local_absence(evidence).is_some()
        || signs::unsaved(evidence) == Unsaved::Yes
        || matches!(evidence.beyond_head, Fact::Found(beyond) if beyond > 0)
        || evidence.pull_request.found().is_some_and(|pr| {
            pr.state == PullRequestState::Closed || pr.landed == Fact::Found(false)
        })
}

fn positive_evidence(proposed: &Move<'_>) -> Option<Objection> {
    let evidence = proposed.evidence;
    if evidence.session.owner_says == Some(proposed.to) {
        return None;
    }
    let missing = match proposed.to {
        State::Succeeded if !merged(evidence) => {
            "no merged pull request of this session's work was found"
        }
        State::Succeeded => return not_landed(evidence),
        State::Closed if !no_longer_wanted(evidence, proposed.context) => {
            "the issue was not found closed, not absent in two looks 10 min apart, and carries no label that this \
             source's configuration lists as final"
        }
        State::Failed => "only the owner's own terminal record makes a session failed",
        _ => return None,
    };
    Some(Objection::new(Code::PositiveEvidence, missing))
}

fn merged(evidence: &Evidence) -> bool {
    evidence
        .pull_request
        .found()
        .is_some_and(|pr| pr.state == PullRequestState::Merged)
}

/// A merge into another branch than those where work lands is a step on the way, and no result.
fn not_landed(evidence: &Evidence) -> Option<Objection> {
    let pr = evidence.pull_request.found()?;
    let detail = match &pr.landed {
        Fact::Found(true) => return None,
        Fact::Found(false) => format!(
            "pull request #{} was merged into {}, and its work is on no landing branch",
            pr.number, pr.base_ref
        ),
        Fact::Unknown(gap) => format!(
            "pull request #{} was merged into {}, and whether its work is on a landing branch is unknown ({gap})",
            pr.number, pr.base_ref
        ),
        Fact::Absent(_) | Fact::NotAsked => format!(
            "pull request #{} was merged into {}, and nobody asked whether that is a landing branch",
            pr.number, pr.base_ref
        ),
    };
    Some(Objection::new(Code::PositiveEvidence, detail))
}

fn no_longer_wanted(evidence: &Evidence, context: &Context) -> bool {
    match &evidence.issue {
        Fact::Found(issue) if !issue.open => true,
        Fact::Found(issue) => {
            let labelled = issue
                .labels
                .iter()
                .any(|label| context.source.final_labels.contains(label));
            labelled || (context.source.closed_pr_is_final && closed_unmerged(evidence))
        }
        Fact::Absent(sighting) => sighting.first.age(sighting.last) >= ABSENT_AFTER,
        // There is no issue that could want the work.
        Fact::NotAsked if evidence.session.lookup.issue == Ok(None) => {
            context.source.closed_pr_is_final && closed_unmerged(evidence)
        }
        Fact::Unknown(_) | Fact::NotAsked => false,
    }
}

fn closed_unmerged(evidence: &Evidence) -> bool {
    evidence
        .pull_request
        .found()
        .is_some_and(|pr| pr.state == PullRequestState::Closed)
}

/// The forge has spoken its last word about this session: its pull request ended, or its issue is closed.
fn forge_is_final(evidence: &Evidence) -> bool {
    evidence
        .pull_request
        .found()
        .is_some_and(|pr| pr.state != PullRequestState::Open)
        || evidence.issue.found().is_some_and(|issue| !issue.open)
}

fn live_work(proposed: &Move<'_>) -> Option<Objection> {
    let session = &proposed.evidence.session;
    let Fact::Found(agent) = &session.liveness.agent else {
        return None;
    };
    if session.state != State::Running {
        return None;
    }
    if proposed.despite_live_work && forge_is_final(proposed.evidence) {
        return None;
    }
    Some(Objection::new(
        Code::LiveWork,
        format!("an agent is at work on it (pid {})", agent.pid),
    ))
}

/// What tells on this machine alone that a session's work stopped is refuted by a process that is at work in its
/// worktree, whatever the process is called. The forge's last word stands all the same: editors and language servers
/// stay behind in finished work.
fn occupied(proposed: &Move<'_>) -> Option<Objection> {
    let session = &proposed.evidence.session;
    let leaves = matches!(session.state, State::Running | State::Maintaining);
    let waits = matches!(proposed.to, State::Blocked | State::Interrupted);
    if !leaves || !waits || forge_is_final(proposed.evidence) {
        return None;
    }
    let detail = match &session.liveness.occupant {
        Fact::Found(occupant) => format!(
            "{} (pid {}) works in its worktree, and may be its agent",
            occupant.name, occupant.pid
        ),
        Fact::Unknown(gap) => {
            format!("whether a process works in its worktree is unknown ({gap})")
        }
        Fact::Absent(_) | Fact::NotAsked => return None,
    };
    Some(Objection::new(Code::Occupied, detail))
}

/// Whether the owner would discard work after a write of `to`. `Unknown` counts like `Yes` for final states: what
/// cannot be seen may be there.
pub fn unsaved_work(to: State, evidence: &Evidence) -> Option<Objection> {
    let issue_closed = evidence.issue.found().is_some_and(|issue| !issue.open);
    if !evidence
        .session
        .owner_effects
        .discards_after(to, issue_closed)
    {
        return None;
    }
    match signs::unsaved(evidence) {
        Unsaved::No => None,
        Unsaved::Yes => Some(Objection::new(
            Code::UnsavedWork,
            format!(
                "after a write of {to} its owner would discard {}",
                signs::describe_unsaved(evidence)
            ),
        )),
        Unsaved::Unknown => Some(Objection::new(
            Code::UnsavedWork,
            format!(
                "after a write of {to} its owner discards what is not pushed, and whether there is any could not be \
                 learned"
            ),
        )),
    }
}

fn owner_disagrees(proposed: &Move<'_>) -> Option<Objection> {
    if let Some(objection) = undone_by_hand(proposed) {
        return Some(objection);
    }
    let session = &proposed.evidence.session;
    let reversed: Vec<&str> = repeated(
        proposed.to,
        proposed.evidence,
        proposed.survey,
        proposed.context.now,
    )
    .filter(|past| past.reversal == Reversal::Owner)
    .map(|past| past.name.as_str())
    .collect();
    (reversed.len() >= REPEATS_MAX).then(|| {
        Objection::new(
            Code::OwnerDisagrees,
            format!(
                "its owner set it back to {} after each of {} under the same facts",
                session.native_state,
                reversed.join(" and ")
            ),
        )
    })
}

/// The moves to `to` of the last day that were made from where the session is again, under facts that are still the
/// same, and that no person took back.
fn repeated<'a>(
    to: State,
    evidence: &'a Evidence,
    survey: &'a Survey,
    now: Timestamp,
) -> impl Iterator<Item = &'a PastMove> {
    let session = &evidence.session;
    survey.past(&session.id).iter().filter(move |past| {
        past.from == session.state
            && past.to == to
            && past.same_facts
            && !past.undone
            && past.at.age(now) < DISAGREEMENT_WINDOW
    })
}

/// How long a move has to wait that older copies of the record were saved over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// From now on.
    pub rest: Duration,
    /// The moves that are no more, for people.
    pub over: Vec<String>,
}

/// Whether a move to `to` has to wait for its next try. Somebody who saves the whole file from what was read before has
/// no opinion about the move, so that it is made again: at once after the first time, then after pauses that double.
pub fn wait_after_stale_copies(
    to: State,
    evidence: &Evidence,
    survey: &Survey,
    now: Timestamp,
) -> Option<Wait> {
    let over: Vec<&PastMove> = repeated(to, evidence, survey, now)
        .filter(|past| past.reversal == Reversal::StaleCopy)
        .collect();
    let last = over.iter().map(|past| past.at).max()?;
    let tries = u32::try_from(over.len()).unwrap_or(u32::MAX);
    if tries < 2 {
        return None;
    }
    let rest = backoff(tries - 1).saturating_sub(last.age(now));
    (!rest.is_zero()).then(|| Wait {
        rest,
        over: over.iter().map(|past| past.name.clone()).collect(),
    })
}

fn stale_copies(proposed: &Move<'_>) -> Option<Objection> {
    let wait = wait_after_stale_copies(
        proposed.to,
        proposed.evidence,
        proposed.survey,
        proposed.context.now,
    )?;
    Some(Objection::new(
        Code::FreshRead,
        format!(
            "somebody saved an older copy of the record over {}; it is tried again in {} s",
            wait.over.join(" and "),
            wait.rest.as_secs().max(1)
        ),
    ))
}

/// What goes back and forth on the forge is for a person to settle: a block that vigil made itself, and let go twice
/// within a day, stays. Ends are final, and cannot flap.
fn flapping(proposed: &Move<'_>) -> Option<Objection> {
    let session = &proposed.evidence.session;
    if !session.is_blocked_by_vigil() || proposed.to.is_final() {
        return None;
    }
    let flips: Vec<&str> = proposed
        .survey
        .past(&session.id)
        .iter()
        .filter(|past| past.from == State::Blocked && !past.to.is_final())
        .filter(|past| past.at.age(proposed.context.now) < DISAGREEMENT_WINDOW)
        .map(|past| past.name.as_str())
        .collect();
    (flips.len() >= FLIPS_MAX).then(|| {
        Objection::new(
            Code::Flapping,
            format!(
                "within a day vigil has blocked it and let it go {} times ({}); it stays blocked for a person",
                flips.len(),
                flips.join(", ")
            ),
        )
    })
}

/// What a person took back stays taken back while the facts are the same, however long.
fn undone_by_hand(proposed: &Move<'_>) -> Option<Objection> {
    let session = &proposed.evidence.session;
    let undone = proposed.survey.past(&session.id).iter().find(|past| {
        past.undone && past.same_facts && past.from == session.state && past.to == proposed.to
    })?;
    Some(Objection::new(
        Code::OwnerDisagrees,
        format!(
            "{} was undone by hand, and the facts are the same",
            undone.name
        ),
    ))
}

/// Every objection to a move that keeps work from being discarded: see [`crate::left`]. Being unsure about the rest is
/// no ground to let it go, and neither is that its owner wrote over it before.
pub fn keeping_objections(proposed: &Move<'_>) -> Vec<Objection> {
    [
        duplicate_record(proposed.evidence),
        legal_edge(proposed),
        undone_by_hand(proposed),
        mass_change(proposed),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Every objection to a repair of what `marked_by` put into the record: the state stays, so that only three guards have
/// something to say. Empty: it may be made.
pub fn repair_objections(proposed: &Move<'_>, marked_by: Marker) -> Vec<Objection> {
    [
        live_repair(proposed.evidence, marked_by),
        owner_disagrees(proposed),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// What a process marked is its own to take back while it lives, and whether it lives must be known. What nobody would
/// take back waits for nobody but an agent at work.
fn live_repair(evidence: &Evidence, marked_by: Marker) -> Option<Objection> {
    let liveness = &evidence.session.liveness;
    if let Fact::Found(agent) = &liveness.agent {
        let detail = format!("an agent is at work on it (pid {})", agent.pid);
        return Some(Objection::new(Code::LiveWork, detail));
    }
    if marked_by == Marker::Nobody {
        return None;
    }
    match &liveness.supervisor {
        Fact::Absent(_) => None,
        Fact::Found(process) => Some(Objection::new(
            Code::LiveWork,
            format!("the process that marked it may live (pid {})", process.pid),
        )),
        Fact::Unknown(gap) => Some(Objection::new(
            Code::UnknownIsNotEvidence,
            format!("whether the process that marked it lives is unknown ({gap})"),
        )),
        Fact::NotAsked => Some(Objection::new(
            Code::UnknownIsNotEvidence,
            "nobody looked whether the process that marked it lives",
        )),
    }
}

fn mass_change(proposed: &Move<'_>) -> Option<Objection> {
    let session = &proposed.evidence.session;
    if !matches!(
        proposed.to,
        State::Blocked | State::Interrupted | State::Failed | State::Closed
    ) {
        return None;
    }
    proposed
        .survey
        .mass_loss(&session.id)
        .map(|loss| Objection::new(Code::MassChange, loss.describe()))
}
