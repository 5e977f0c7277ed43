//! What was seen of the work itself.

use vigil_sdk::time::{age, moment};
use vigil_sdk::{
    Decision, IssueFact, Liveness, OwnerFact, Session, State, Timestamp, hold, repair, transition,
};

use super::issue::GONE_AFTER;
use super::{ACTIVE, AGENT_GONE, NO_EVIDENCE, OCCUPIED, STUCK_MAINTENANCE};
use crate::{Case, say, signs};

/// An agent is at work, or something of its work moved a moment ago.
pub fn active(case: &Case<'_>) -> Option<Decision> {
    if case.state() != State::Running {
        return None;
    }
    if let Some(agent) = case.session().liveness.agent.found() {
        let known = say::forge(case);
        let reason = if known.is_empty() {
            format!("an agent is at work on it (pid {})", agent.pid)
        } else {
            format!(
                "an agent is at work on it (pid {}), while {known}",
                agent.pid
            )
        };
        let reason = format!("{reason}{}", say::moved(&case.session().liveness));
        return Some(hold(ACTIVE, reason).rests_on(["agent"]));
    }
    let now = case.context.now;
    let until = signs::fresh_until(case).filter(|until| now < *until)?;
    let reason = format!(
        "{}; it counts as at work until {}",
        say::last_sign(case),
        moment(until)
    );
    Some(
        hold(ACTIVE, reason)
            .rests_on(["times", "log-written", "worktree-written"])
            .look_again_after(until - now),
    )
}

/// The record says that maintenance is under way, and the process that would have to do it is gone.
pub fn stuck_maintenance(case: &Case<'_>) -> Option<Decision> {
    let session = case.session();
    let marked = session.flag(OwnerFact::MaintenanceInFlight) == Some(true);
    let applies = case.state() == State::Maintaining && marked;
    (applies && session.liveness.supervisor.is_absent()).then(|| {
        repair(
            ["maintenance-in-flight"],
            STUCK_MAINTENANCE,
            "maintenance is marked as under way, but the process that marked it is gone",
        )
        .rests_on(["maintenance-in-flight", "supervisor"])
    })
}

/// Everything shows that the agent is gone, and the issue still wants its work.
pub fn agent_gone(case: &Case<'_>) -> Option<Decision> {
    let gone = Gone::of(case)?;
    let liveness = &case.session().liveness;
    // What is not known to be absent may be the agent, under a name that nobody expects.
    if !liveness.occupant.is_absent() {
        return None;
    }
    let reason = format!(
        "the agent is gone ({}), nothing was written since {}, {} pull request{}{}{}; {}",
        gone.signs,
        moment(gone.since),
        gone.issue,
        say::passed_over(case),
        say::unsaved(liveness),
        say::moved(liveness),
        say::how_to_resume(case),
    );
    Some(transition(State::Blocked, AGENT_GONE, reason).rests_on(GROUNDS))
}

/// All that shows that the agent is gone is there, but for a process in its worktree that is not known for an agent.
pub fn occupied(case: &Case<'_>) -> Option<Decision> {
    let gone = Gone::of(case)?;
    let liveness = &case.session().liveness;
    let occupant = liveness.occupant.found()?;
    let since = match occupant.started {
        Some(started) => format!(", started at {}", moment(started)),
        None => String::new(),
    };
    let reason = format!(
        "no known agent is left ({}) and nothing was written since {}, but {} (pid {}{since}) works in its \
         worktree{}; if that is no agent, list its name in `ignore_processes`",
        gone.signs,
        moment(gone.since),
        occupant.name,
        occupant.pid,
        say::moved(liveness),
    );
    Some(hold(OCCUPIED, reason).rests_on(GROUNDS))
}

/// What `agent-gone` rests on.
const GROUNDS: [&str; 7] = [
    "agent",
    "occupant",
    "supervisor",
    "log-written",
    "worktree-written",
    "issue",
    "pull-request",
];

/// That nothing of the agent is left where an agent would show, while the issue still wants its work.
struct Gone {
    signs: &'static str,
    since: Timestamp,
    /// That the work is still wanted, as far as anybody can say, and that there is no pull request.
    issue: String,
}

impl Gone {
    fn of(case: &Case<'_>) -> Option<Gone> {
        let session = case.session();
        let liveness = &session.liveness;
        let issue = match &case.evidence.issue {
            IssueFact::Found(issue) if issue.open => {
                format!("issue #{} is open and has no", issue.number)
            }
            IssueFact::NotAsked => format!("{}, and there is no", say::issue_elsewhere(case)?),
            _ => return None,
        };
        let applies = case.state() == State::Running
            && case.evidence.pull_request.is_absent()
            && liveness.agent.is_absent()
            && (liveness.supervisor.is_absent() || liveness.worktree_written.is_absent())
            && has_no_gap(session);
        if !applies {
            return None;
        }
        let since = signs::silent_since(case)?;
        let silent = age(case.context.now, since);
        let enough = case
            .context
            .source
            .fresh_for
            .saturating_add(signs::SILENCE_BEYOND_FRESH);
        (silent >= enough).then(|| Gone {
            signs: gone(liveness),
            since,
            issue,
        })
    }
}

/// Every place where life could show was looked at and could be read.
fn has_no_gap(session: &Session) -> bool {
    let liveness = &session.liveness;
    liveness.log_written.is_known()
        && liveness.worktree_written.is_known()
        && !liveness.supervisor.is_unknown()
        && !(session.gaps.iter()).any(|missing| {
            missing.field.starts_with("times.") || missing.field.starts_with("liveness.")
        })
}

fn gone(liveness: &Liveness) -> &'static str {
    match (
        liveness.supervisor.is_absent(),
        liveness.worktree_written.is_absent(),
    ) {
        (true, true) => "no process, its supervisor is dead, its worktree is missing",
        (true, false) => "no process, its supervisor is dead",
        (false, _) => "no process, its worktree is missing",
    }
}

/// The record says that it is running, and nothing says anything.
pub fn no_evidence(case: &Case<'_>) -> Option<Decision> {
    (case.state() == State::Running).then(|| {
        let decision = hold(NO_EVIDENCE, format!("stale: {}", say::all(case))).rests_on(GROUNDS);
        match case.evidence.issue.absent() {
            // The second look decides.
            Some(_) => decision.look_again_after(GONE_AFTER),
            None => decision,
        }
    })
}
