//! Mistakes that are put in on purpose: what the checks are worth is seen by them.

/// One mistake, made in what surrounds vigil, as a careless version of it would make it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// What could not be learned from GitHub is taken for absent.
    UnknownIsAbsent,
    /// The record is written before its row is in the journal.
    WritesBeforeJournal,
    /// The write takes whatever revision it finds.
    IgnoresRevision,
    /// A rewrite drops a field that it does not know.
    LosesField,
    /// Nobody waits for the folder after the rename.
    SkipsSync,
    /// Everything is judged and nothing is ever written.
    NeverWrites,
    /// A refusal that says to wait is taken for a connection that broke.
    IgnoresLimits,
    /// What an owner does to a record that is left as it is counts for nothing.
    LeavesWork,
    /// Whatever is blocked counts as blocked by vigil itself.
    LetsGoForeignBlocks,
    /// What was undone by hand counts as undone under other facts.
    ForgetsUndos,
    /// What is reopened is told to nobody.
    KeepsReopeningsQuiet,
    /// A process that bears no agent's name is nobody.
    OverlooksOccupants,
    /// What cannot be seen from this namespace is not there.
    HiddenIsAbsent,
    /// A worktree that is not where the record says is missing.
    MovedIsMissing,
    /// Nobody looks which branch is checked out.
    GoesByRecordedBranch,
    /// A checkout that cannot be read has the recorded branch.
    UnreadIsRecorded,
}

impl Bug {
    /// All of them.
    pub const ALL: [Bug; 16] = [
        Bug::UnknownIsAbsent,
        Bug::WritesBeforeJournal,
        Bug::IgnoresRevision,
        Bug::LosesField,
        Bug::SkipsSync,
        Bug::NeverWrites,
        Bug::IgnoresLimits,
        Bug::LeavesWork,
        Bug::LetsGoForeignBlocks,
        Bug::ForgetsUndos,
        Bug::KeepsReopeningsQuiet,
        Bug::OverlooksOccupants,
        Bug::HiddenIsAbsent,
        Bug::MovedIsMissing,
        Bug::GoesByRecordedBranch,
        Bug::UnreadIsRecorded,
    ];
}
