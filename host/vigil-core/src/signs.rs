//! Signs of life, and what their silence means. Shared by the guards, the survey and `status`, so that all three mean
//! the same by "alive" and "stale".

use std::time::Duration;

use crate::evidence::{Context, Evidence};
use crate::fact::Fact;
use crate::session::Session;
use crate::state::State;
use crate::time::Timestamp;

/// The latest moment at which something of the session's work was seen to move: a start, a heartbeat, a write to its
/// log or worktree. `None`: nothing was ever seen.
pub fn last_sign(session: &Session) -> Option<Timestamp> {
    let liveness = &session.liveness;
    [
        session.times.started,
        session.times.heartbeat,
        liveness.log_written.found().copied(),
        liveness.worktree_written.found().copied(),
    ]
    .into_iter()
    .flatten()
    .max()
}

/// The moment from which silence is counted: the last sign, or the latest break in watching when that is later.
/// `None`: there was never a sign, so there is no silence to measure.
pub fn silent_since(session: &Session, context: &Context) -> Option<Timestamp> {
    let sign = last_sign(session)?;
    Some(context.awake_since.map_or(sign, |awake| sign.max(awake)))
}

/// Whether an agent is at work, as far as can be shown: its process lives, or something moved within `fresh_for`.
pub fn alive(session: &Session, context: &Context) -> bool {
    matches!(session.liveness.agent, Fact::Found(_))
        || silent_since(session, context).is_some_and(|since| {
            since.age(context.now) < Duration::from_millis(context.source.fresh_for_ms)
        })
}

/// Since when a `running` record has had nothing to show for it. `None`: it is not stale. A record with no time at
/// all is stale since its last update, or since the epoch.
pub fn stale_since(session: &Session, context: &Context) -> Option<Timestamp> {
    if session.state != State::Running || alive(session, context) {
        return None;
    }
    let fresh_for = Duration::from_millis(context.source.fresh_for_ms);
    match silent_since(session, context) {
        Some(silent) => Some(silent.after(fresh_for)),
        None => Some(session.times.updated.unwrap_or_default()),
    }
}

/// A witness on this machine that the work stopped: a positively observed absence of the agent, of its supervisor or
/// of its worktree, each with its control.
pub fn local_absence(evidence: &Evidence) -> Option<&'static str> {
    let liveness = &evidence.session.liveness;
    if liveness.worktree_written.is_absent() {
        Some("its worktree is missing")
    } else if liveness.agent.is_absent() && liveness.supervisor.is_absent() {
        Some("neither its agent nor the supervisor that started it lives")
    } else if liveness.agent.is_absent() {
        Some("no agent process is left")
    } else if liveness.supervisor.is_absent() {
        Some("the supervisor that started it is gone")
    } else {
        None
    }
}

/// Work that would be lost with the worktree and the local branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsaved {
    /// There is some: uncommitted changes, or commits that no remote and no pull request has.
    Yes,
    /// All of it is elsewhere.
    No,
    /// It could not be learned, or nobody looked.
    Unknown,
}

/// Whether there is unsaved work. Commits that no remote has are saved all the same when the pull request's head
/// holds them: a squash merge deletes the remote branch and leaves exactly that behind.
pub fn unsaved(evidence: &Evidence) -> Unsaved {
    let liveness = &evidence.session.liveness;
    let dirty = match &liveness.dirty {
        Fact::Found(true) => Unsaved::Yes,
        Fact::Found(false) | Fact::Absent(_) => Unsaved::No,
        Fact::Unknown(_) | Fact::NotAsked => Unsaved::Unknown,
    };
    let unpushed = match (&liveness.unpushed, &evidence.beyond_head) {
        (Fact::Found(0) | Fact::Absent(_), _) => Unsaved::No,
        (_, Fact::Found(0) | Fact::Absent(_)) => Unsaved::No,
        (Fact::Found(_), _) => Unsaved::Yes,
        (Fact::Unknown(_) | Fact::NotAsked, _) => Unsaved::Unknown,
    };
    match (dirty, unpushed) {
        (Unsaved::Yes, _) | (_, Unsaved::Yes) => Unsaved::Yes,
        (Unsaved::No, Unsaved::No) => Unsaved::No,
        _ => Unsaved::Unknown,
    }
}

/// The unsaved work that was found, in words: `uncommitted changes and 1 commit that no remote has`. Empty: none was.
pub fn describe_unsaved(evidence: &Evidence) -> String {
    let liveness = &evidence.session.liveness;
    let mut parts = Vec::new();
    if matches!(liveness.dirty, Fact::Found(true)) {
        parts.push("uncommitted changes".to_owned());
    }
    if let Fact::Found(commits @ 1..) = liveness.unpushed {
        parts.push(format!(
            "{commits} commit{} that no remote has",
            if commits == 1 { "" } else { "s" }
        ));
    }
    parts.join(" and ")
}
