//! Whether what a transition rests on is so, and whether it suffices, judged by the model GitHub and by what is really
//! there on the machine.

use std::time::Duration;

use vigil_core::evidence::Evidence;
use vigil_core::fact::Fact;
use vigil_core::forge::PullRequestState;
use vigil_core::session::PullRequestRef;
use vigil_core::{State, Timestamp};
use vigil_model::Item;
use vigil_store::{Kind, Transition};

use crate::body::{Body, Place};
use crate::hub::Hub;

/// The label that the simulated source lists as final.
pub const FINAL_LABEL: &str = "vigilante:done";

/// Two looks at nothing count as gone when they are this far apart.
const GONE_AFTER: Duration = Duration::from_secs(600);

fn state_of(item: &Item) -> PullRequestState {
    match item.state() {
        "MERGED" => PullRequestState::Merged,
        "CLOSED" => PullRequestState::Closed,
        _ => PullRequestState::Open,
    }
}

/// Every fact about GitHub in `evidence` is so at this moment.
///
/// # Errors
/// The one that is not.
pub fn told(evidence: &Evidence, hub: &Hub) -> Result<(), String> {
    issue_told(evidence, hub)?;
    pull_request_told(evidence, hub)
}

fn issue_told(evidence: &Evidence, hub: &Hub) -> Result<(), String> {
    let Some(wanted) = evidence.session.lookup.issue() else {
        return match &evidence.issue {
            Fact::Unknown(_) | Fact::NotAsked => Ok(()),
            other => Err(format!(
                "{other:?} about an issue that nobody could ask for"
            )),
        };
    };
    let there = hub
        .model
        .look(&wanted.repo, wanted.number)
        .filter(|item| item.pull().is_none());
    match (&evidence.issue, there) {
        (Fact::Unknown(_) | Fact::NotAsked, _) => Ok(()),
        (fact, _) if !hub.shows(&wanted.repo) => {
            Err(format!("{fact:?}, and nobody can see {}", wanted.repo))
        }
        (Fact::Absent(_), None) => Ok(()),
        (Fact::Found(said), Some(item))
            if said.open == item.closed_ms.is_none() && said.labels == item.labels =>
        {
            Ok(())
        }
        (fact, item) => Err(format!(
            "the evidence says {fact:?}, and GitHub has the issue as {:?}",
            item.map(|item| (item.state(), &item.labels))
        )),
    }
}

fn pull_request_told(evidence: &Evidence, hub: &Hub) -> Result<(), String> {
    let Some(wanted) = evidence.session.lookup.pull_request() else {
        return match &evidence.pull_request {
            Fact::Unknown(_) | Fact::NotAsked => Ok(()),
            other => Err(format!(
                "{other:?} about a pull request that nobody could ask for"
            )),
        };
    };
    let (repo, number) = (&wanted.repo, wanted.number);
    let ours: Vec<&Item> = of_branch(wanted, hub);
    match &evidence.pull_request {
        Fact::Unknown(_) | Fact::NotAsked => Ok(()),
        fact if !hub.shows(repo) => Err(format!("{fact:?}, and nobody can see {repo}")),
        Fact::Found(said) => {
            let there = hub.model.look(repo, said.number);
            let fits = there.is_some_and(|item| {
                item.pull().is_some()
                    && state_of(item) == said.state
                    && (number == Some(said.number)
                        || ours.iter().any(|one| one.number == said.number))
            });
            match fits {
                true => Ok(()),
                false => Err(format!(
                    "the evidence says {said:?}, and GitHub has {there:?}"
                )),
            }
        }
        // A recorded number is a candidate: one that names no pull request leaves it to the branch.
        Fact::Absent(sighting) if sighting.detail.is_empty() && names_one(hub, repo, number) => {
            Err("a pull request that the record names was called absent".to_owned())
        }
        Fact::Absent(sighting) if sighting.detail.is_empty() => match ours.as_slice() {
            [] => Ok(()),
            some => Err(format!("called absent, and there are {some:?}")),
        },
        Fact::Absent(_) => {
            let started = evidence.session.times.started.unwrap_or_default();
            let earlier = |item: &&Item| item.closed_ms.is_some_and(|at| at < started.0);
            match ours.iter().all(earlier) {
                true => Ok(()),
                false => Err(format!("called earlier runs, and there are {ours:?}")),
            }
        }
    }
}

/// Whether `number` is that of a pull request in `repo`.
fn names_one(hub: &Hub, repo: &str, number: Option<u64>) -> bool {
    let item = number.and_then(|number| hub.model.look(repo, number));
    item.is_some_and(|item| item.pull().is_some())
}

/// The pull requests of the branch that is looked for.
fn of_branch<'h>(wanted: &PullRequestRef, hub: &'h Hub) -> Vec<&'h Item> {
    let Some(head_owner) = wanted.head_owner.as_deref() else {
        return Vec::new();
    };
    let Some(repo) = hub.model.look_repo(&wanted.repo) else {
        return Vec::new();
    };
    repo.items
        .values()
        .filter(|item| {
            item.pull().is_some_and(|pull| {
                wanted.branches.contains(&pull.head_ref)
                    && pull
                        .head_owner
                        .as_ref()
                        .is_some_and(|owner| owner.eq_ignore_ascii_case(head_owner))
            })
        })
        .collect()
}

/// All that a move can rest on, for telling two that were made under the same facts: what the forge says, the run, and
/// what is really there, with how often that has changed. More than any single rule rests on.
pub fn words(evidence: &Evidence, body: Option<&Body>) -> String {
    let issue = match &evidence.issue {
        Fact::Found(issue) => format!("{} {:?} {:?}", issue.open, issue.reason, issue.labels),
        Fact::Absent(_) => "absent".to_owned(),
        Fact::Unknown(gap) => format!("unknown {}", gap.kind),
        Fact::NotAsked => "not asked".to_owned(),
    };
    let pull_request = match &evidence.pull_request {
        Fact::Found(pull) => format!("{} {:?} {}", pull.number, pull.state, pull.head_sha),
        Fact::Absent(_) => "absent".to_owned(),
        Fact::Unknown(gap) => format!("unknown {}", gap.kind),
        Fact::NotAsked => "not asked".to_owned(),
    };
    let session = &evidence.session;
    let run = format!("{:?} {:?}", session.times.started, session.attempts);
    let there = body.map(Body::words);
    format!("{issue}; {pull_request}; {run}; {there:?}")
}

/// Work that its owner destroys because the record was left as it is: Vigilante recovers a session ten minutes after
/// its last sign of life, and cleans up when its pull request has ended.
///
/// # Errors
/// What would be destroyed.
pub fn left_alone(evidence: &Evidence, body: &Body, at: Timestamp) -> Result<(), String> {
    let session = &evidence.session;
    let seen = &session.liveness;
    let ended = evidence
        .pull_request
        .found()
        .is_some_and(|pull| pull.state != PullRequestState::Open);
    let silent_from = session.times.heartbeat.or(session.times.started);
    let is_stale = silent_from.is_some_and(|from| from.age(at) >= Duration::from_secs(600));
    // A time that cannot be read, or that lies ahead, is another story to its owner.
    let is_plain = !session
        .gaps
        .iter()
        .any(|missing| missing.field.starts_with("times."));
    let found = seen.dirty.found() == Some(&true)
        || seen.unpushed.found().is_some_and(|count| *count > 0)
            && evidence.beyond_head.found() != Some(&0);
    let at_stake = session.native_state == "running"
        && ended
        && is_stale
        && is_plain
        && found
        && seen.supervisor.is_absent()
        && seen.agent.found().is_none();
    match at_stake && body.agent.is_none() && !body.supervisor {
        true => Err(format!(
            "its owner would destroy work because it is left as it is: {body:?}"
        )),
        false => Ok(()),
    }
}

/// The transition has the grounds that its target needs.
///
/// # Errors
/// What is missing.
pub fn grounds(
    row: &Transition,
    evidence: &Evidence,
    hub: &Hub,
    body: Option<&Body>,
) -> Result<(), String> {
    if row.kind == Kind::Repair {
        return Ok(());
    }
    // Where leaving the record destroys work, not knowing the rest is no reason to leave it.
    if row.rule != "unsaved-work" {
        known(row, evidence)?;
    }
    match row.to {
        State::Succeeded => merged(evidence)?,
        State::Closed => unwanted(evidence)?,
        State::Failed => return Err("nobody but its owner says that a session failed".to_owned()),
        _ => {}
    }
    if row.from == State::Running && evidence.session.liveness.agent.found().is_some() {
        return Err("an agent is at work on it".to_owned());
    }
    let Some(body) = body else { return Ok(()) };
    nobody_at_work(row, evidence, body)?;
    machine_told(evidence, body)?;
    if row.to == State::Blocked {
        blocked(evidence, body)?;
    }
    kept(row, evidence, hub, body)
}

/// Nothing final, and nothing out of running or maintaining, on what nobody knows.
fn known(row: &Transition, evidence: &Evidence) -> Result<(), String> {
    let matters = matches!(row.from, State::Running | State::Maintaining)
        || matches!(row.to, State::Succeeded | State::Failed | State::Closed);
    let asks_issue = evidence.session.tracker == "github" && evidence.session.issue.is_some();
    if !matters {
        return Ok(());
    }
    if let Some(gap) = evidence.pull_request.gap() {
        return Err(format!("the pull request is unknown: {gap}"));
    }
    match evidence.issue.gap().filter(|_| asks_issue) {
        Some(gap) => Err(format!("the issue is unknown: {gap}")),
        None => Ok(()),
    }
}

fn merged(evidence: &Evidence) -> Result<(), String> {
    match evidence.pull_request.found() {
        Some(pull) if pull.state == PullRequestState::Merged => Ok(()),
        other => Err(format!("no merged pull request: {other:?}")),
    }
}

fn unwanted(evidence: &Evidence) -> Result<(), String> {
    let fine = match &evidence.issue {
        Fact::Found(issue) => !issue.open || issue.labels.iter().any(|label| label == FINAL_LABEL),
        Fact::Absent(seen) => seen.first.age(seen.last) >= GONE_AFTER,
        Fact::Unknown(_) | Fact::NotAsked => false,
    };
    match fine {
        true => Ok(()),
        false => Err(format!(
            "nothing says that it is no longer wanted: {:?}",
            evidence.issue
        )),
    }
}

/// That this machine shows nobody at work is no ground while somebody is, under whatever name, and none where nobody
/// could be seen. What GitHub decides stands all the same, and so does what keeps work from being destroyed.
fn nobody_at_work(row: &Transition, evidence: &Evidence, body: &Body) -> Result<(), String> {
    let leaves = matches!(row.from, State::Running | State::Maintaining);
    let waits = matches!(row.to, State::Blocked | State::Interrupted);
    let ended = evidence
        .pull_request
        .found()
        .is_some_and(|pull| pull.state != PullRequestState::Open)
        || evidence.issue.found().is_some_and(|issue| !issue.open);
    if !leaves || !waits || ended || row.rule == "unsaved-work" {
        return Ok(());
    }
    if body.is_out_of_sight() {
        return Err(format!(
            "nobody can tell who is at work on it: {body:?}, as {:?}",
            evidence.session.liveness
        ));
    }
    match body.occupant {
        Some(pid) => Err(format!("process {pid} is at work in its worktree")),
        None => Ok(()),
    }
}

/// Nothing rests on there being no pull request, or one that came to nothing, while that of the branch in its worktree
/// stands. `is_read`: vigil could tell which branch that is. Else it goes by what it found of the recorded one, and takes
/// finding nothing for no answer.
///
/// # Errors
/// The pull request that stands.
pub fn by_the_checkout(
    row: &Transition,
    evidence: &Evidence,
    hub: &Hub,
    body: &Body,
    is_read: bool,
) -> Result<(), String> {
    let branch = body.renamed.as_ref().filter(|_| body.worktree.is_some());
    let (Some(branch), Some(wanted)) = (branch, evidence.session.lookup.pull_request()) else {
        return Ok(());
    };
    let speaks = match &evidence.pull_request {
        Fact::Absent(_) => "none",
        Fact::Found(pull) if pull.state == PullRequestState::Closed && is_read => "a closed one",
        Fact::Found(_) | Fact::Unknown(_) | Fact::NotAsked => return Ok(()),
    };
    if row.rule == "unsaved-work" || row.kind == Kind::Repair {
        return Ok(());
    }
    let checked_out = PullRequestRef {
        branches: vec![branch.clone()],
        ..wanted.clone()
    };
    let started = evidence.session.times.started.unwrap_or_default();
    let stands = |item: &&&Item| {
        state_of(item) != PullRequestState::Closed
            && item.closed_ms.is_none_or(|at| at >= started.0)
    };
    match of_branch(&checked_out, hub).iter().find(stands) {
        Some(item) => Err(format!(
            "it goes by {speaks}, and #{} of {branch}, which is checked out, is {}",
            item.number,
            item.state()
        )),
        None => Ok(()),
    }
}

/// What the evidence says about the machine is so.
fn machine_told(evidence: &Evidence, body: &Body) -> Result<(), String> {
    let seen = &evidence.session.liveness;
    let lie = |what: &str| Err(format!("{what}: {seen:?}, and really {body:?}"));
    match (&seen.worktree_written, body.stands()) {
        (Fact::Absent(_), Some(Place::Listed | Place::Unlisted)) => {
            return lie("a worktree that was moved is called missing");
        }
        (Fact::Found(_), Some(Place::Unlisted)) => return lie("nobody knows where it stands"),
        (Fact::Found(_), Some(place))
            if seen.worktree_moved_to.is_some() != (place == Place::Listed) =>
        {
            return lie("where it stands");
        }
        _ => {}
    }
    match &seen.agent {
        Fact::Found(process) if body.agent != Some(process.pid) => return lie("agent"),
        Fact::Absent(_) if body.agent.is_some() && !body.is_out_of_sight() => return lie("agent"),
        _ => {}
    }
    // Whether somebody else is there matters only to a move that rests on nobody being there.
    if let Fact::Found(process) = &seen.occupant
        && body.occupant != Some(process.pid)
    {
        return lie("occupant");
    }
    match &seen.worktree_written {
        Fact::Found(at) if body.worktree != Some(*at) => return lie("worktree"),
        Fact::Absent(_) if body.worktree.is_some() => return lie("worktree"),
        _ => {}
    }
    if seen.supervisor.is_absent() == body.supervisor
        && (seen.supervisor.is_absent() || seen.supervisor.found().is_some())
    {
        return lie("supervisor");
    }
    Ok(())
}

/// A person is bothered only for something that was seen.
fn blocked(evidence: &Evidence, body: &Body) -> Result<(), String> {
    let closed = evidence
        .pull_request
        .found()
        .is_some_and(|pull| pull.state == PullRequestState::Closed);
    let seen = closed
        || body.dirty
        || body.unpushed > 0
        || body.beyond > 0
        || body.agent.is_none()
        || !body.supervisor
        || body.worktree.is_none();
    match seen {
        true => Ok(()),
        false => Err("nothing was there to be seen".to_owned()),
    }
}

/// After the write the owner discards nothing: while the issue is open it does so with what is in no remote.
fn kept(row: &Transition, evidence: &Evidence, hub: &Hub, body: &Body) -> Result<(), String> {
    let is_end = matches!(
        row.to,
        State::Maintaining | State::Succeeded | State::Closed
    );
    let issue_closed = evidence.session.lookup.issue().is_some_and(|wanted| {
        hub.model
            .look(&wanted.repo, wanted.number)
            .is_some_and(|item| item.closed_ms.is_some())
    });
    let in_the_head = evidence.pull_request.found().is_some() && body.beyond == 0;
    let unsaved = body.dirty || (body.unpushed > 0 && !in_the_head);
    match is_end && !issue_closed && unsaved && body.worktree.is_some() {
        true => Err(format!("its owner would discard work: {body:?}")),
        false => Ok(()),
    }
}

/// Which pull request speaks for a session: that of the recorded branch while it stands, else that of the branch that is
/// checked out while that one does.
pub fn speaking<'h>(recorded: Option<&'h Item>, checked_out: Option<&'h Item>) -> Option<&'h Item> {
    let stands = |item: &&Item| state_of(item) != PullRequestState::Closed;
    recorded
        .filter(stands)
        .or_else(|| checked_out.filter(stands))
        .or(recorded)
}

/// Where a session that nothing holds back must end: its pull request was merged, or is open. `None`: nothing is
/// expected of it.
pub fn expected(from: State, evidence_of: &Item, body: &Body, now: Timestamp) -> Option<State> {
    let quiet = |at: Option<Timestamp>| at.is_none_or(|at| at.age(now) > Duration::from_secs(3600));
    if body.agent.is_some()
        || body.dirty
        || body.unpushed > 0
        || body.beyond > 0
        || body.stands() == Some(Place::Unlisted)
        || !quiet(body.log)
        || !quiet(body.worktree)
    {
        return None;
    }
    match (state_of(evidence_of), from) {
        (PullRequestState::Merged, State::Running | State::Maintaining | State::Interrupted) => {
            Some(State::Succeeded)
        }
        (PullRequestState::Open, State::Running | State::Interrupted) => Some(State::Maintaining),
        _ => None,
    }
}
