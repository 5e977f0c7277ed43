//! The things to try: what the record says, what GitHub says, and what the worktree holds.

use serde_json::{Map, Value, json};
use vigil::demo::Made;
use vigil_core::Timestamp;
use vigil_core::time::minutes;

use crate::stage::{Issue, Pull, Told, ago};

/// The issue of every trial.
pub(crate) const NUMBER: u64 = 299;

/// What the worktree holds besides what was pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// An untracked file and a commit.
    FileAndCommit,
    /// An untracked file.
    File,
    /// Nothing.
    Saved,
}

/// What the record says before vigil comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Record {
    /// An agent is at work: the record that is most often wrong.
    Running,
    /// A person is waited for.
    Blocked,
    /// The same, at a stage of maintenance: Vigilante removes such work by itself after 20 minutes.
    BlockedInMaintenance,
    /// The agent ended without a pull request.
    Incomplete,
    /// Given up.
    Failed,
    /// The pull request is open, and looked after.
    Maintained,
    /// The same, with the mark of a maintenance whose process is gone.
    MaintenanceStuck,
}

/// One thing to try.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trial {
    pub(crate) record: Record,
    pub(crate) issue: Issue,
    pub(crate) pull: Pull,
    pub(crate) work: Work,
    pub(crate) label: &'static str,
    /// Also without vigil, to see what it is worth.
    pub(crate) control: bool,
}

/// Over issue and pull request in all their states.
fn all(record: Record, work: Work, control: bool) -> Vec<Trial> {
    let mut trials = Vec::new();
    for issue in [Issue::Open, Issue::Closed] {
        for pull in [Pull::None, Pull::Open, Pull::Merged, Pull::Closed] {
            let label = "vigilante:running";
            trials.push(Trial {
                record,
                issue,
                pull,
                work,
                label,
                control,
            });
        }
    }
    trials
}

/// What vigil is for: sessions that are recorded as running. It writes about every one of them.
pub(crate) fn running() -> Vec<Trial> {
    let mut trials = all(Record::Running, Work::FileAndCommit, true);
    trials.extend(all(Record::Running, Work::File, false));
    trials.extend(all(Record::Running, Work::Saved, false));
    // The one end that is written while the issue is open and nothing was ever in a pull request: Vigilante's own scan
    // closes it, too, and starts over at once.
    trials.push(Trial {
        record: Record::Running,
        issue: Issue::Open,
        pull: Pull::None,
        work: Work::Saved,
        label: "vigilante:done",
        control: true,
    });
    trials
}

/// Every other record, of which vigil writes about some.
pub(crate) fn others() -> Vec<Trial> {
    let mut trials = Vec::new();
    for record in [
        Record::Blocked,
        Record::BlockedInMaintenance,
        Record::Incomplete,
        Record::Failed,
        Record::Maintained,
        Record::MaintenanceStuck,
    ] {
        let control = record == Record::MaintenanceStuck;
        trials.extend(all(record, Work::FileAndCommit, control));
        trials.extend(all(record, Work::File, control));
        if record == Record::MaintenanceStuck {
            // vigil takes the mark away only where nothing can be lost.
            trials.extend(all(record, Work::Saved, control));
        }
    }
    trials
}

impl Trial {
    /// The record, as the table shows it.
    pub(crate) fn record_said(self) -> &'static str {
        match self.record {
            Record::Running => "running",
            Record::Blocked => "blocked",
            Record::BlockedInMaintenance => "blocked, maintenance",
            Record::Incomplete => "incomplete",
            Record::Failed => "failed",
            Record::Maintained => "success",
            Record::MaintenanceStuck => "success, in flight",
        }
    }

    /// The pull request, as the table shows it.
    pub(crate) fn pull_said(self) -> &'static str {
        match self.pull {
            Pull::None => "none",
            Pull::Open => "open",
            Pull::Merged => "merged",
            Pull::Closed => "closed",
        }
    }

    /// The issue, as the table shows it.
    pub(crate) fn issue_said(self) -> &'static str {
        match (self.issue, self.label) {
            (Issue::Open, "vigilante:done") => "open *",
            (Issue::Open, _) => "open",
            (Issue::Closed, _) => "closed",
        }
    }

    /// The unsaved work, as the table shows it.
    pub(crate) fn work_said(self) -> &'static str {
        match self.work {
            Work::FileAndCommit => "file and commit",
            Work::File => "file",
            Work::Saved => "nothing",
        }
    }

    /// The session, as it is set on a stage.
    pub(crate) fn told(self, now: Timestamp) -> Told {
        Told {
            made: Made {
                issue: NUMBER,
                status: self.record.status(),
                dirty: self.work != Work::Saved,
                unpushed: u32::from(self.work == Work::FileAndCommit),
                extra: self.record.extra(self.pull, now),
                ..Made::default()
            },
            issue: self.issue,
            pull: self.pull,
            label: Some(self.label),
            pull_ended: ago::PULL_ENDED,
            head_known: true,
        }
    }
}

impl Record {
    fn status(self) -> &'static str {
        match self {
            Record::Running => "running",
            Record::Blocked | Record::BlockedInMaintenance => "blocked",
            Record::Incomplete => "incomplete",
            Record::Failed => "failed",
            Record::Maintained | Record::MaintenanceStuck => "success",
        }
    }

    /// What Vigilante has beside the status. A null takes a field away.
    fn extra(self, pull: Pull, now: Timestamp) -> Map<String, Value> {
        let ended = vigil::ui::moment(now.before(minutes(108)));
        let fields = match self {
            Record::Running => json!({}),
            Record::Blocked => json!({
                "process_id": null,
                "blocked_at": ended,
                "blocked_stage": "issue_execution",
                "blocked_reason": { "kind": "provider_quota", "operation": "codex", "summary": "s", "detail": "d" },
                "retry_policy": "paused",
                "resume_required": true,
                "resume_hint": "vigilante resume --repo acme/app --issue 299",
                "ended_at": ended,
            }),
            // A minute ago, so that its own 20 minutes are not over when vigil comes.
            Record::BlockedInMaintenance => {
                let ended = vigil::ui::moment(now.before(minutes(1)));
                json!({
                    "process_id": null,
                    "blocked_at": ended,
                    "blocked_stage": "pr_maintenance",
                    "blocked_reason": { "kind": "dirty_worktree", "operation": "git", "summary": "s", "detail": "d" },
                    "retry_policy": "paused",
                    "resume_required": true,
                    "ended_at": ended,
                    "updated_at": ended,
                })
            }
            Record::Incomplete => json!({
                "incomplete_reason": "commits_without_pr",
                "ended_at": ended,
            }),
            Record::Failed => json!({
                "process_id": null,
                "last_error": "exit status 1",
                "ended_at": ended,
            }),
            Record::Maintained | Record::MaintenanceStuck => json!({ "ended_at": ended }),
        };
        let mut fields = fields.as_object().cloned().unwrap_or_default();
        let knows_pull = matches!(
            self,
            Record::Maintained | Record::MaintenanceStuck | Record::BlockedInMaintenance
        );
        if knows_pull && pull != Pull::None {
            fields.insert(
                "pull_request_number".to_owned(),
                json!(Told::pull_of(NUMBER)),
            );
            fields.insert("pull_request_state".to_owned(), json!("OPEN"));
            fields.insert("last_maintained_at".to_owned(), json!(ended));
        }
        if self == Record::MaintenanceStuck {
            fields.insert("pull_request_maintenance_in_flight".to_owned(), json!(true));
        }
        fields
    }
}
