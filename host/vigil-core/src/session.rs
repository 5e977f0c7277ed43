//! A session as its owner recorded it, and what was seen of the work on the machine.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::fact::{Fact, Gap};
use crate::named::{self, NamedFact, Value};
use crate::state::State;
use crate::time::Timestamp;

/// A session's name, unique over all sources of one vigil.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SessionId {
    /// The source's name in the configuration.
    pub source: String,
    /// Unique within the source, for example `owner/repo#299`.
    pub id: String,
}

impl SessionId {
    /// `source` and `id` together.
    pub fn new(source: impl Into<String>, id: impl Into<String>) -> Self {
        SessionId {
            source: source.into(),
            id: id.into(),
        }
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.source, self.id)
    }
}

/// What a compare-and-swap is made against: a digest of the record without its owner's bookkeeping.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(pub String);

/// One agent's run on one issue and branch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Session {
    /// Its name.
    pub id: SessionId,
    /// The record as it was read; writes are refused when it has moved.
    pub revision: Revision,
    /// Where the issue lives. Whatever is not the forge's own tracker is never asked there.
    pub tracker: String,
    /// `owner/name`; `None`: the record names none.
    pub repo: Option<String>,
    /// `None`: the record names none.
    pub issue: Option<u64>,
    /// `None`: the record names none.
    pub branch: Option<String>,
    /// The branch that the work is meant for; `None`: the record names none.
    #[serde(default)]
    pub base: Option<String>,
    /// The pull request that the record names: one candidate among others.
    pub pull_request: Option<u64>,
    /// In vigil's words.
    pub state: State,
    /// In the owner's words.
    pub native_state: String,
    /// What the record says about time.
    pub times: Times,
    /// What was seen on the machine.
    pub liveness: Liveness,
    /// Earlier tries.
    pub attempts: Attempts,
    /// Empty where the owner has no tasks.
    pub tasks: Vec<Task>,
    /// Fields that could not be read.
    pub gaps: Vec<FieldGap>,
    /// What the record is about and which state it is in are certain. A record of which that cannot be said is never
    /// written, and no policy decides about it; [`Session::gaps`] says why. Other gaps are the policies' to weigh.
    #[serde(default = "yes", skip_serializing_if = "Clone::clone")]
    pub readable: bool,
    /// Facts that only some owners have, each name once. One that is missing was not asked about.
    #[serde(default)]
    pub facts: Vec<NamedFact>,
    /// A final state that the owner itself recorded or reported with authority. Never taken from a log.
    pub owner_says: Option<State>,
    /// What the record says in words about why the session is in its state; `None`: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_words: Option<OwnerWords>,
    /// Where the forge is asked about it.
    pub lookup: Lookup,
    /// What the owner does after a write. The kernel derives the unsaved-work guard from it.
    pub owner_effects: OwnerEffects,
}

fn yes() -> bool {
    true
}

impl Session {
    /// Whether vigil's own move to `blocked` stands in the record.
    pub fn is_blocked_by_vigil(&self) -> bool {
        self.state == State::Blocked && self.text(named::BLOCKED_BY) == Some(named::BY_VIGIL)
    }

    /// What is known of the named fact `name`.
    pub fn fact(&self, name: &str) -> &Fact<Value> {
        const NOT_ASKED: &Fact<Value> = &Fact::NotAsked;
        let mut facts = self.facts.iter();
        let fact = facts.find(|fact| fact.name == name);
        fact.map_or(NOT_ASKED, |fact| &fact.answer)
    }

    /// The words of the named fact `name`; `None`: they were not found.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.fact(name) {
            Fact::Found(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// Whether the named fact `name` was found to be so; `None`: it was not found.
    pub fn flag(&self, name: &str) -> Option<bool> {
        match self.fact(name) {
            Fact::Found(Value::Flag(flag)) => Some(*flag),
            _ => None,
        }
    }
}

/// What a record says in words about why its session is in its state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct OwnerWords {
    /// One sentence for people, which names who says so; bounded by the source.
    pub text: String,
    /// vigil wrote them, with a move of its own.
    pub by_vigil: bool,
}

/// Where the forge is asked about a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Lookup {
    /// The issue. None: the session has none that the forge knows, so that there is nothing to ask. A gap: the record
    /// does not tell which one it is.
    pub issue: Result<Option<IssueRef>, Gap>,
    /// The pull request. None: the session has none that the forge could know, so that there is nothing to ask. A gap:
    /// the record does not tell what leads to it.
    pub pull_request: Result<Option<PullRequestRef>, Gap>,
}

impl Lookup {
    /// Where the issue is asked about, if anywhere.
    pub fn issue(&self) -> Option<&IssueRef> {
        self.issue.as_ref().ok()?.as_ref()
    }

    /// What leads to the pull request, if anything.
    pub fn pull_request(&self) -> Option<&PullRequestRef> {
        self.pull_request.as_ref().ok()?.as_ref()
    }

    /// The repositories that are asked, the pull request's and the issue's: `owner/name`, one of them twice where it
    /// is the same.
    pub fn repos(&self) -> impl Iterator<Item = &str> {
        let issue = self.issue().map(|issue| issue.repo.as_str());
        let pull = self.pull_request().map(|pull| pull.repo.as_str());
        [issue, pull].into_iter().flatten()
    }
}

/// An issue by repository and number.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct IssueRef {
    /// `owner/name`.
    pub repo: String,
    /// Within the repository.
    pub number: u64,
}

/// How a session's pull request is found: all that may lead to it. Which of those that are found speaks for the session
/// is another question.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct PullRequestRef {
    /// The repository that it goes into, `owner/name`.
    pub repo: String,
    /// The one that the record names: a candidate, and no more.
    pub number: Option<u64>,
    /// The names that its branch may have at the head: the recorded one, then the one that is checked out in the
    /// session's worktree, where that is another.
    pub branches: Vec<String>,
    /// The one of them that is only checked out, and not recorded. Anybody can check a branch out: its pull request is the
    /// session's where the checkout shares its work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checked_out: Option<String>,
    /// The owner of the repository that holds the branches; a pull request from anywhere else is not known to be the
    /// session's. `None`: nobody knows, and none is looked for by its branch.
    pub head_owner: Option<String>,
}

impl PullRequestRef {
    /// One that the record names, of which no branch is known.
    pub fn by_number(repo: impl Into<String>, number: u64) -> Self {
        PullRequestRef {
            repo: repo.into(),
            number: Some(number),
            branches: Vec::new(),
            checked_out: None,
            head_owner: None,
        }
    }

    /// Whichever has `branch` of `head_owner` at its head.
    pub fn by_branch(
        repo: impl Into<String>,
        branch: impl Into<String>,
        head_owner: impl Into<String>,
    ) -> Self {
        PullRequestRef {
            repo: repo.into(),
            number: None,
            branches: vec![branch.into()],
            checked_out: None,
            head_owner: Some(head_owner.into()),
        }
    }
}

/// The times that the record holds; `None`: it has none, or it is listed in [`Session::gaps`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Times {
    /// The agent was started.
    pub started: Option<Timestamp>,
    /// The last sign of life that the owner wrote.
    pub heartbeat: Option<Timestamp>,
    /// The record was last written.
    pub updated: Option<Timestamp>,
    /// The run ended.
    pub ended: Option<Timestamp>,
}

/// A process that was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Process {
    /// In the host's pid namespace.
    pub pid: u32,
    /// `None`: could not be read.
    pub started: Option<Timestamp>,
}

/// A process at work in a session's worktree that is not known for an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Occupant {
    /// In the host's pid namespace.
    pub pid: u32,
    /// As the system calls it.
    pub name: String,
    /// `None`: could not be read.
    pub started: Option<Timestamp>,
}

/// What was seen of the work on the machine where it runs. `NotAsked`: nobody looked, since it does not matter in
/// the session's state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Liveness {
    /// An agent's own process at work in the worktree.
    pub agent: Fact<Process>,
    /// Another process at work there, which may be an agent under another name. Not asked: the agent was found.
    #[serde(default, skip_serializing_if = "Fact::is_not_asked")]
    pub occupant: Fact<Occupant>,
    /// The manager that started it; no proof of an agent.
    pub supervisor: Fact<Process>,
    /// Last write to the session's log.
    pub log_written: Fact<Timestamp>,
    /// What the log says last about the outcome: a hint, since agents can forge it.
    pub log_outcome: Option<String>,
    /// Last write inside the worktree; absent: the worktree is missing while its repository can be read.
    pub worktree_written: Fact<Timestamp>,
    /// Where the worktree stands, when that is not where the record says. `None`: it was not seen to have moved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worktree_moved_to: Option<String>,
    /// Uncommitted changes, untracked files included.
    pub dirty: Fact<bool>,
    /// Commits on the branch that no remote has.
    pub unpushed: Fact<u32>,
}

/// Earlier tries; zero also where the owner does not count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Attempts {
    /// Runs or restarts.
    pub runs: u32,
    /// Failed tries in an unbroken row.
    pub failures: u32,
}

/// A task of a session whose owner splits a run into tasks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Task {
    /// Unique within the session.
    pub id: String,
    /// The owner's own word.
    pub native_state: String,
    /// The name of what works on it, in the owner's words; `None`: nothing does, or the record names nothing.
    pub worker: Option<String>,
    /// The last sign of life of that worker. Not asked: this kind of task has none.
    pub heartbeat: Fact<Timestamp>,
    /// Earlier tries; zero also where the owner does not count.
    pub attempts: u32,
    /// Facts of this task alone, each name once.
    pub facts: Vec<NamedFact>,
}

/// A field of the record that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct FieldGap {
    /// Its name, for example `times.heartbeat`.
    pub field: String,
    /// Why.
    pub gap: Gap,
}

/// What a source's owner does when it next reads a record that vigil wrote, as measured on the real program.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct OwnerEffects {
    /// The states that the source can write. Anything else is refused.
    pub writable: Vec<State>,
    /// After a write of one of these the owner may discard unsaved work, whatever the issue.
    pub discards: Vec<State>,
    /// The same, but only while the issue is not known to be closed.
    pub discards_while_open: Vec<State>,
    /// What it does to this record when nobody writes it. `None`: nothing that costs work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub if_left: Option<IfLeft>,
}

/// An owner that, by its own recovery, ends a session whose supervisor is dead and whose pull request has ended, and
/// discards with it what exists only on this machine. It goes by a clock of its own, which may be faster than ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct IfLeft {
    /// From when it counts the record's silence. `None`: it finds no time in the record, and takes it for stale at
    /// once.
    pub silent_from: Option<Timestamp>,
    /// How long the silence has to be.
    pub stale_after_ms: u64,
}

impl IfLeft {
    /// The first moment at which the owner takes the session for dead.
    pub fn stale_at(&self) -> Timestamp {
        self.silent_from.map_or(Timestamp(0), |from| {
            from.after(Duration::from_millis(self.stale_after_ms))
        })
    }
}

impl OwnerEffects {
    /// Whether the owner may discard unsaved work after `target` was written. `issue_closed` is true only when the
    /// forge was heard saying so.
    pub fn discards_after(&self, target: State, issue_closed: bool) -> bool {
        self.discards.contains(&target)
            || (!issue_closed && self.discards_while_open.contains(&target))
    }
}
