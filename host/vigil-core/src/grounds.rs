//! What a decision rested on: two moves are made under the same facts while the grounds of the first still hold.
//!
//! Each rule names its own (`rests_on`), so that what is nothing to it changes nothing: an owner that relabels its issues
//! gives no new ground to a rule about a merge. The run always counts, since another run is another case: an agent that
//! honestly died again is not the one before. Moments of looking are no grounds, and neither is silence.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::evidence::Evidence;
use crate::fact::Fact;
use crate::forge::{Issue, PullRequest, PullRequestState};
use crate::named::Value;
use crate::session::Process;

/// The name under which the run is compared: its start, and how many there were.
pub const RUN: &str = "run";

/// What a rule that names nothing rests on.
pub const USUAL: [&str; 2] = ["issue", "pull-request"];

/// The facts that a decision rested on, by name, each in words that can be compared.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Grounds(BTreeMap<String, String>);

impl Grounds {
    /// The grounds called `names`, as `evidence` has them, and the run. What is not known in it is no ground. No names:
    /// [`USUAL`].
    pub fn of<N: AsRef<str>>(names: &[N], evidence: &Evidence) -> Grounds {
        let named = names.iter().map(AsRef::as_ref);
        let usual = USUAL.into_iter().filter(|_| names.is_empty());
        let words = named
            .chain(usual)
            .chain([RUN])
            .filter_map(|name| Some((name.to_owned(), word(name, evidence)?)));
        Grounds(words.collect())
    }

    /// The same grounds as `evidence` has them now; `None`: not all of them are known in it.
    pub fn now(&self, evidence: &Evidence) -> Option<Grounds> {
        self.0
            .keys()
            .map(|name| Some((name.clone(), word(name, evidence)?)))
            .collect::<Option<_>>()
            .map(Grounds)
    }

    /// Whether all of them are as they were, as far as `evidence` tells: what is unknown by now has not changed.
    pub fn still_hold(&self, evidence: &Evidence) -> bool {
        self.changed(evidence).next().is_none()
    }

    /// The names of those that are known to be others now.
    pub fn changed<'a>(&'a self, evidence: &'a Evidence) -> impl Iterator<Item = &'a str> + 'a {
        self.0
            .iter()
            .filter(|(name, before)| word(name, evidence).is_some_and(|now| now != **before))
            .map(|(name, _)| name.as_str())
    }

    /// What `name` was.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

/// The fact `name` in words; `None`: it is unknown, or nobody asked.
fn word(name: &str, evidence: &Evidence) -> Option<String> {
    let session = &evidence.session;
    let liveness = &session.liveness;
    let pull_request = evidence.pull_request.found();
    match name {
        RUN => {
            let started = session.times.started;
            Some(format!(
                "started {} attempts {}/{}",
                started.map_or_else(|| "-".to_owned(), |at| at.0.to_string()),
                session.attempts.runs,
                session.attempts.failures
            ))
        }
        "issue" => of(&evidence.issue, issue),
        "labels" => of(&evidence.issue, labels),
        "pull-request" => of(&evidence.pull_request, pull),
        "beyond-head" => of(&evidence.beyond_head, ToString::to_string),
        "checks" => of(&pull_request?.checks, Clone::clone),
        "reviews" => of(&pull_request?.review, Clone::clone),
        "mergeability" => of(&pull_request?.mergeability, |found| {
            format!("{} {}", found.mergeable, found.merge_state)
        }),
        "agent" => of(&liveness.agent, process),
        "occupant" => of(&liveness.occupant, |found| {
            format!("{} {}", found.name, found.pid)
        }),
        "supervisor" => of(&liveness.supervisor, process),
        "dirty" => of(&liveness.dirty, ToString::to_string),
        "unpushed" => of(&liveness.unpushed, ToString::to_string),
        // That it is there, and not when it was written last.
        "log-written" => of(&liveness.log_written, |_| "there".to_owned()),
        "worktree-written" => of(&liveness.worktree_written, |_| "there".to_owned()),
        // Moments, which pass by themselves.
        "times" => Some(String::new()),
        "siblings" => {
            let mut others: Vec<String> = evidence
                .siblings
                .iter()
                .map(|other| format!("{} {}", other.id, other.state))
                .collect();
            others.sort();
            Some(others.join(","))
        }
        name => match session.fact(name) {
            Fact::NotAsked => Some("none".to_owned()),
            // That there is one, and not when: moments pass by themselves.
            answer => of(answer, |value| match value {
                Value::Moment(_) => "there".to_owned(),
                value => value.to_string(),
            }),
        },
    }
}

fn of<T>(fact: &Fact<T>, found: impl Fn(&T) -> String) -> Option<String> {
    match fact {
        Fact::Found(value) => Some(found(value)),
        Fact::Absent(_) => Some("absent".to_owned()),
        Fact::Unknown(_) | Fact::NotAsked => None,
    }
}

fn issue(found: &Issue) -> String {
    match (found.open, found.reason.as_deref()) {
        (true, _) => "open".to_owned(),
        (false, Some(reason)) => format!("closed as {reason}"),
        (false, None) => "closed".to_owned(),
    }
}

/// In an order of our own: the forge's changes when a label is taken off and put back.
fn labels(found: &Issue) -> String {
    let mut labels: Vec<&str> = found.labels.iter().map(String::as_str).collect();
    labels.sort_unstable();
    labels.join(",")
}

/// While it is open its head moves with the work that it is there for; an end is that of one commit.
fn pull(found: &PullRequest) -> String {
    let number = found.number;
    match found.state {
        PullRequestState::Open => format!("{number} open"),
        PullRequestState::Merged => format!("{number} merged at {}", found.head_sha),
        PullRequestState::Closed => format!("{number} closed at {}", found.head_sha),
    }
}

fn process(found: &Process) -> String {
    let started = found.started.map(|at| at.0.to_string());
    format!(
        "{} since {}",
        found.pid,
        started.as_deref().unwrap_or("an unknown moment")
    )
}
