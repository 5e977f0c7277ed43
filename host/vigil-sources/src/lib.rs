//! The systems that own session records: one module each, all behind [`Source`].
//!
//! A source reads its owner's records, looks at the machine for signs of life, and writes a transition back so that
//! its owner neither destroys work nor starts an agent because of it. Foreign formats end at each module's `convert`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use vigil_core::evidence::Evidence;
use vigil_core::session::{Liveness, Revision, Session, SessionId};
use vigil_core::survey::Kin;
use vigil_core::{Fact, Gap, State, Timestamp};

pub mod machine;
pub mod vigilante;

pub use machine::git::GitFiles;

/// A system that owns session records.
///
/// All calls may block on files and child processes: run them off the async threads.
pub trait Source: Send + Sync {
    /// The name in the configuration.
    fn name(&self) -> &str;

    /// The kind of system, for example `vigilante`.
    fn kind(&self) -> &'static str;

    /// Reads the records. Cheap: no processes, no walks, no git. `liveness` of every session is not-asked.
    fn load(&self, world: &dyn World) -> Result<Vec<Session>, SourceError>;

    /// All records at a glance, and in full the sessions of those that `pick` chooses: of one and the same reading. For
    /// a fleet of which few are due. `pick` may be asked more than once about a record.
    fn load_picked(
        &self,
        pick: &mut dyn FnMut(&Listed) -> bool,
        world: &dyn World,
    ) -> Result<Picked, SourceError> {
        let sessions = self.load(world)?;
        let listed: Arc<[Listed]> = sessions.iter().map(Listed::of).collect();
        let sessions = sessions.into_iter().enumerate();
        Ok(Picked {
            sessions: sessions
                .filter(|(place, _)| listed.get(*place).is_some_and(&mut *pick))
                .collect(),
            listed,
        })
    }

    /// How long the looks of each pass from now on may wait for the machine, all of them together; what would take longer
    /// is a gap. Without this they wait for as long as each may.
    fn allow(&self, looks: Duration) {
        let _ = looks;
    }

    /// What is to be seen of the work of `sessions`, one answer for each, in order. Cannot fail: what could not be
    /// learned is a gap.
    fn observe(&self, sessions: &[&Session], world: &dyn World) -> Vec<Liveness>;

    /// What the session's checkout holds: which branch, and where it stands. Cheap: no walk. What could not be learned
    /// is a gap.
    fn checkout(&self, session: &Session) -> Checkout {
        let _ = session;
        Checkout::default()
    }

    /// Whether the session's own commits and those that lead to `commit` have one in common, or made the same change,
    /// beyond the history of `bases`, the branches that the work may have begun from: an untouched checkout shares nothing
    /// with anybody. Its own are those, too, that its checkout stood at before. Absent: there is neither branch nor
    /// worktree. Unknown, of kind no-control: `commit` is not in the clone.
    fn shares_work(&self, session: &Session, commit: &str, bases: &[String]) -> Fact<bool> {
        let _ = (session, commit, bases);
        Fact::NotAsked
    }

    /// The commits that the same work began with: whoever has any of the work has one of these. None: there is no work.
    fn firsts(&self, session: &Session, bases: &[String]) -> Fact<Vec<String>> {
        let _ = (session, bases);
        Fact::NotAsked
    }

    /// How many commits the session's local branch has beyond `head_sha`, the head of its pull request.
    fn beyond_head(&self, session: &Session, head_sha: &str) -> Fact<u32>;

    /// What a write would make of the record, without writing: the native words, and both revisions for the journal.
    /// Pure but for reading the record again. A change that cannot be made safely is refused, with the reason.
    fn propose(&self, changes: &[Change<'_>], world: &dyn World) -> Vec<Result<Proposal, Refusal>>;

    /// Writes all proposals at once, compare-and-swap on each one's `before`.
    ///
    /// Guarantees: every record is either as it was or as proposed, never a third; what others wrote in the meantime
    /// survives; a crash at any point leaves a readable file. Assumes that the journal already holds the proposals.
    fn commit(&self, proposals: &[Proposal], world: &dyn World) -> Vec<Committed>;

    /// The present revision of a record, or `None` when there is no such record.
    fn revisions(
        &self,
        ids: &[SessionId],
        world: &dyn World,
    ) -> Result<Vec<Option<Revision>>, SourceError>;

    /// Puts right what a crash left of writes: what others wrote at the same moment is brought back into the owner's
    /// records, or kept for a person where that cannot be decided. Then tells how each of `prepared` ended, in order.
    ///
    /// Called at the beginning of each pass that writes, also with nothing prepared.
    fn recover(&self, prepared: &[Proposal], world: &dyn World) -> Result<Vec<Fate>, SourceError>;

    /// What the owner wrote and vigil could not bring together with other writes of the same moment: for a person, as
    /// long as the files are there.
    fn displaced(&self) -> Vec<Displaced> {
        Vec::new()
    }

    /// Takes a written proposal back, as long as the fields that it wrote are as it left them. What the owner changed
    /// besides, and fields that are its bookkeeping, keep their present value.
    fn propose_undo(&self, written: &Proposal, world: &dyn World) -> Result<Proposal, Refusal>;

    /// Where this source reads and writes, for `doctor`: label and value, in a fixed order.
    fn locations(&self) -> Vec<(&'static str, String)>;
}

/// What a session's checkout holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkout {
    /// The branch that its worktree has checked out; absent: none, or there is no worktree.
    pub branch: Fact<String>,
    /// Where the worktree and the session's branch stand, each commit once; absent: there is neither.
    pub tips: Fact<Vec<String>>,
}

impl Checkout {
    /// Nothing could be learned of it.
    pub fn unknown(gap: &Gap) -> Self {
        Checkout {
            branch: Fact::from(gap.clone()),
            tips: Fact::from(gap.clone()),
        }
    }
}

/// A record at a glance: what decides whether its session is looked at. It rests on the record and its neighbours
/// alone, and on no clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// [`Session::id`].
    pub id: SessionId,
    /// [`Session::revision`].
    pub revision: Revision,
    /// [`Session::state`].
    pub state: State,
    /// [`Session::tracker`].
    pub tracker: String,
    /// [`Session::repo`].
    pub repo: Option<String>,
    /// [`Session::issue`].
    pub issue: Option<u64>,
    /// [`Session::branch`].
    pub branch: Option<String>,
}

impl Listed {
    /// The same of a session.
    pub fn of(session: &Session) -> Self {
        Listed {
            id: session.id.clone(),
            revision: session.revision.clone(),
            state: session.state,
            tracker: session.tracker.clone(),
            repo: session.repo.clone(),
            issue: session.issue,
            branch: session.branch.clone(),
        }
    }

    /// What makes it a sibling of others.
    pub fn kin(&self) -> Kin<'_> {
        Kin {
            id: &self.id.id,
            state: self.state,
            tracker: &self.tracker,
            repo: self.repo.as_deref(),
            issue: self.issue,
            branch: self.branch.as_deref(),
        }
    }
}

/// What [`Source::load_picked`] gives.
#[derive(Clone, Debug)]
pub struct Picked {
    /// Every record, in the source's order. The same allocation as at the last reading where nothing has changed since,
    /// so that what was derived from it can be kept.
    pub listed: Arc<[Listed]>,
    /// The sessions that were chosen, each with its place in `listed`, in that order.
    pub sessions: Vec<(usize, Session)>,
}

/// The name of the last [`World::step`] before an owner's record changes: who fails it, stops the write.
pub const LAST_STEP: &str = "rename";

/// What a source needs from the world besides files: time, waiting, and a place where tests may end the process.
pub trait World: Send + Sync {
    /// The wall clock.
    fn now(&self) -> Timestamp;

    /// Waits.
    fn pause(&self, span: Duration);

    /// When this machine was booted; `None`: it does not tell.
    fn booted_at(&self) -> Option<Timestamp>;

    /// The latest resume from a suspend, jump of the clock or hold-up of vigil itself: every window of silence starts
    /// anew there. `None`: no such break is known.
    fn awake_since(&self) -> Option<Timestamp> {
        None
    }

    /// Called before each step of a write, with a stable name. The live world does nothing here; the crash tests end
    /// the process, the simulation makes the step fail.
    fn step(&self, name: &'static str) -> std::io::Result<()> {
        let _ = name;
        Ok(())
    }
}

/// What a transition or repair is to make of a record.
#[derive(Clone, Debug)]
pub struct Change<'a> {
    /// The evidence on which it was decided, the record's revision among it.
    pub evidence: &'a Evidence,
    /// What to write.
    pub target: Target,
    /// The moment of the decision.
    pub at: Timestamp,
    /// The code of the rule that spoke.
    pub rule: &'a str,
    /// For the person who reads the owner's own tools.
    pub reason: &'a str,
}

/// What to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Another state.
    State(State),
    /// The same state, with the named drift put right.
    Repair(Vec<String>),
}

/// A write that is ready to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// The record.
    pub id: SessionId,
    /// The revision it must have.
    pub before: Revision,
    /// The revision it will have.
    pub after: Revision,
    /// The owner's word before.
    pub native_before: String,
    /// The owner's word after.
    pub native_after: String,
    /// The record's text before, as it stands in the owner's file: what `undo` goes back to.
    pub record_before: String,
    /// The fields that change, as a JSON object from name to the new raw value, or `null` for "removed".
    pub edits: String,
}

/// Why a source will not make a change. Not an error: the session is held with this as its ground.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The record moved since it was read: look again.
    #[error("the record changed since it was read: {0}")]
    Conflict(String),
    /// Its owner would discard unsaved work after it.
    #[error("{0}")]
    Unsaved(String),
    /// There is no safe way to write this.
    #[error("{0}")]
    Unsafe(String),
}

/// How a write ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Committed {
    /// The record is as proposed. `exclusive` is false when it was written past a lock that its holder cannot use.
    Written {
        /// Nobody else can have written between the last read and the rename.
        exclusive: bool,
    },
    /// Someone else wrote first: look again.
    Conflict(String),
    /// Someone holds the lock that every write of this source needs, so that nothing was written: who, and what is known
    /// of it.
    Locked(String),
    /// It could not be written; the record is as it was.
    Failed(String),
}

/// How a write ended that vigil did not see the end of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It was made: the fields that it wrote are as it wrote them, or one is that nobody else can have written.
    Written,
    /// It was not made, and why that is known.
    NotWritten(String),
    /// Nobody can tell: someone else has written these fields since, or the record is gone.
    Overtaken(String),
}

/// A text of the owner's that is kept for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Displaced {
    /// Where it is kept. Removing it says that it has been looked at, unless it waits.
    pub file: PathBuf,
    /// The owner's file that it was written to.
    pub target: PathBuf,
    /// What could not be brought together, in words.
    pub why: String,
    /// It waits to be brought back by a pass that may write.
    pub waits: bool,
}

/// Why a source's records could not be read. Nothing is written to such a source; other sources go on.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// There is no such folder or file.
    #[error("{path} is not there")]
    Missing {
        /// What was looked for.
        path: String,
    },
    /// The file is not what it should be.
    #[error("{path}:{line}:{column}: {what}")]
    Malformed {
        /// The file.
        path: String,
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
        /// What is wrong and what to do.
        what: String,
    },
    /// The system refused.
    #[error("failed to {doing} {path}")]
    Io {
        /// The step, for example `read`.
        doing: &'static str,
        /// The file.
        path: String,
        /// The system's answer.
        #[source]
        source: std::io::Error,
    },
}
