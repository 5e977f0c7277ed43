//! Which fields of a record change with a transition, so that the record is true again and Vigilante's next scan
//! neither destroys work nor starts an agent because of it. Pure: the record, the evidence and the moment come in.

use std::time::Duration;

use jiff::tz::TimeZone;
use vigil_core::fact::Fact;
use vigil_core::forge::{PullRequest, PullRequestState};
use vigil_core::session::{IfLeft, OwnerEffects};
use vigil_core::signs::{self, Unsaved};
use vigil_core::time::{millis, minutes};
use vigil_core::{State, Timestamp};

use crate::vigilante::edit::{self, Edit};
use crate::vigilante::record::Record;
use crate::vigilante::time;
use crate::{Change, Refusal, Target};

/// The longest summary or detail of a blocked session, in bytes: where Vigilante itself cuts them.
pub(crate) const BLOCKED_TEXT_BYTES_MAX: usize = 400;

/// `operation` of the `blocked_reason` of what vigil blocked.
pub(crate) const OPERATION: &str = "vigil";

/// The one drift that can be put right without a change of state.
const MAINTENANCE_IN_FLIGHT: &str = "maintenance-in-flight";

/// What Vigilante does after each write, as measured on 1.2.4 with a watch target, an untracked file and an unpushed
/// commit in the worktree, over issue {open, closed} x pull request {none, open, merged, closed}.
///
/// - `blocked` is left alone: it waits for an explicit resume, and prevents a new dispatch.
/// - `success` and `closed` are ends to Vigilante. While the issue is open it goes on looking after it, and what it
///   does then (a clean-up after the merge, a dispatch into the same worktree and branch) may take unsaved work along.
///   When the issue is closed vigil's `monitoring_stopped_at` keeps it away: without that field its next scan removes
///   the worktree of a rightly written `success`.
/// - What a record says about a block is true only while its status is `blocked`, and Vigilante looks at it only then: it
///   goes when vigil ends a block of its own.
/// - The mark of a maintenance round under way, which is all that a repair removes, keeps it away from the worktree.
///   Without the mark it discards unsaved work, whatever the issue: see [`Draft::nothing_to_lose`].
/// - `incomplete` makes it run the agent again on every scan, without limit and whatever the issue; `failed` is
///   dispatched anew; `running` and `queued` are work, which only Vigilante can start. None of these is written.
pub fn owner_effects() -> OwnerEffects {
    OwnerEffects {
        writable: vec![
            State::Blocked,
            State::Maintaining,
            State::Succeeded,
            State::Closed,
        ],
        discards: Vec::new(),
        discards_while_open: vec![State::Maintaining, State::Succeeded, State::Closed],
        if_left: None,
    }
}

/// 10 min: from then on Vigilante's scan takes a `running` session whose own process is gone for stalled, unless its
/// environment says otherwise (`VIGILANTE_STALLED_SESSION_THRESHOLD`).
pub const STALLED_AFTER: Duration = minutes(10);

/// What Vigilante's next scan does to a record that nobody writes, as measured on 1.2.4: one that is `running`, whose
/// process is gone and whose pull request was merged or closed, is recovered, and the same scan removes worktree and
/// branch with all that is in them, or starts a new agent in their place. It goes by the heartbeat, else the start; a
/// time that it cannot read is no time to it. `updated_at` does not count, and `resuming` is never recovered.
pub(crate) fn if_left(record: &Record<'_>) -> Option<IfLeft> {
    let text = |key| record.text(key).ok().flatten();
    if text("status").as_deref() != Some("running") {
        return None;
    }
    let silent_from = ["last_heartbeat_at", "started_at"]
        .into_iter()
        .find_map(|key| time::parse(&text(key)?));
    Some(IfLeft {
        silent_from,
        stale_after_ms: millis(STALLED_AFTER),
    })
}

/// The edits that make `change` in `record`, whose file is `text`: in a fixed order, and without those that would
/// leave a field as it is.
///
/// # Errors
/// [`Refusal::Unsaved`] where Vigilante would discard work; [`Refusal::Unsafe`] where it has no word for the target that
/// it would take without harm, or where the evidence does not hold what the target says.
pub(crate) fn edits(
    text: &str,
    record: &Record<'_>,
    change: &Change<'_>,
) -> Result<Vec<Edit>, Refusal> {
    let mut draft = Draft {
        text,
        record,
        change,
        now: moment(change.at)?,
        edits: Vec::new(),
    };
    match &change.target {
        Target::State(State::Blocked) => draft.block(),
        Target::State(State::Maintaining) => draft.maintain()?,
        Target::State(State::Succeeded) => draft.succeed()?,
        Target::State(State::Closed) => draft.close()?,
        Target::State(state @ State::Interrupted) => {
            return refuse(format!(
                "vigil does not write `{state}`: Vigilante runs the agent of an `incomplete` session again on every scan"
            ));
        }
        Target::State(state @ State::Failed) => {
            return refuse(format!(
                "vigil does not write `{state}`: Vigilante starts a new agent on the issue of a failed session"
            ));
        }
        Target::State(state @ (State::Queued | State::Running)) => {
            return refuse(format!(
                "vigil does not write `{state}`: only Vigilante starts work"
            ));
        }
        Target::Repair(names) => draft.repair(names)?,
    }
    let edits = draft.edits;
    Ok(edits
        .into_iter()
        .filter(|edit| changes(record, edit))
        .collect())
}

/// The fields that take a written change back: what `edits` touched returns to its value in `before`, but for
/// `bookkeeping`, which keeps its value in `present`.
pub(crate) fn undo_edits(
    before: &Record<'_>,
    present: &Record<'_>,
    edits: &[Edit],
    bookkeeping: &[&str],
) -> Vec<Edit> {
    edits
        .iter()
        .filter(|edit| !bookkeeping.contains(&edit.key()))
        .map(|edit| {
            let key = edit.key().to_owned();
            match before.field(&key) {
                Some(field) => Edit::Set {
                    key,
                    value: field.value.to_owned(),
                },
                None => Edit::Remove { key },
            }
        })
        .filter(|edit| changes(present, edit))
        .collect()
}

/// Whether `edit` would change anything in `record`.
fn changes(record: &Record<'_>, edit: &Edit) -> bool {
    match (record.field(edit.key()), edit) {
        (Some(field), Edit::Set { value, .. }) => field.value != value,
        (None, Edit::Set { .. }) | (Some(_), Edit::Remove { .. }) => true,
        (None, Edit::Remove { .. }) => false,
    }
}

fn refuse<T>(why: String) -> Result<T, Refusal> {
    Err(Refusal::Unsafe(why))
}

/// `at` as Vigilante writes times: UTC, whole seconds, `Z`.
fn moment(at: Timestamp) -> Result<String, Refusal> {
    i64::try_from(at.as_millis())
        .ok()
        .and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok())
        .map(|at| {
            at.to_zoned(TimeZone::UTC)
                .strftime("%Y-%m-%dT%H:%M:%SZ")
                .to_string()
        })
        .ok_or_else(|| Refusal::Unsafe(format!("{at} is no moment that RFC 3339 can name")))
}

/// `text` on one line with single spaces, at most [`BLOCKED_TEXT_BYTES_MAX`] bytes, cut between characters.
pub(crate) fn short(text: &str) -> String {
    let mut line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.truncate(line.floor_char_boundary(BLOCKED_TEXT_BYTES_MAX));
    line
}

/// The edits of one record, as they come together.
struct Draft<'a> {
    text: &'a str,
    record: &'a Record<'a>,
    change: &'a Change<'a>,
    now: String,
    edits: Vec<Edit>,
}

impl Draft<'_> {
    fn set(&mut self, key: &str, value: String) {
        self.edits.push(Edit::Set {
            key: key.to_owned(),
            value,
        });
    }

    fn set_text(&mut self, key: &str, value: &str) {
        self.set(key, edit::quote(value));
    }

    fn set_now(&mut self, keys: &[&str]) {
        let now = self.now.clone();
        for key in keys {
            self.set_text(key, &now);
        }
    }

    fn remove(&mut self, keys: &[&str]) {
        for key in keys {
            self.edits.push(Edit::Remove {
                key: (*key).to_owned(),
            });
        }
    }

    /// The agent is gone and waits for a person. The stage is never one of maintenance: Vigilante removes worktree
    /// and branch of a session that was blocked there for 20 minutes.
    fn block(&mut self) {
        self.set_text("status", "blocked");
        self.set_now(&["blocked_at"]);
        self.set_text("blocked_stage", "issue_execution");
        let reason = [
            ("kind", "unknown_operator_action_required".to_owned()),
            ("operation", OPERATION.to_owned()),
            ("summary", short(self.change.reason)),
            ("detail", short(&self.grounds())),
        ]
        .map(|(key, value)| (key, edit::quote(&value)));
        let reason = edit::object(self.text, self.record, &reason);
        self.set("blocked_reason", reason);
        self.set_text("retry_policy", "paused");
        self.set("resume_required", "true".to_owned());
        let hint = self.resume_hint();
        self.set_text("resume_hint", &hint);
        // A moment at which work may go on by itself would contradict the person who is waited for.
        self.remove(&[
            "resume_after",
            "process_id",
            "last_heartbeat_at",
            "stale_auto_restart_attempts",
            "stale_auto_restart_pending_since",
            "stale_auto_restart_stopped_at",
        ]);
        self.set_now(&["ended_at", "updated_at"]);
        // Vigilante tells people what the record says of it. A blocked session is left alone whatever that is.
        self.seen_pull_request();
    }

    /// The pull request is open. With an open issue Vigilante goes on looking after it.
    fn maintain(&mut self) -> Result<(), Refusal> {
        let Some(pr) = self.pull_request_in(&[PullRequestState::Open]) else {
            return refuse(
                "Vigilante's word for `maintaining` is a success with an open pull request, and none was found"
                    .to_owned(),
            );
        };
        self.recover("success");
        // To Vigilante a closed issue, or one that it gets a 404 for, is the moment to remove worktree and branch.
        let issue_over = match &self.change.evidence.issue {
            Fact::Found(issue) => !issue.open,
            Fact::Absent(_) => true,
            Fact::Unknown(_) | Fact::NotAsked => false,
        };
        if issue_over {
            self.stop_monitoring();
        }
        self.snapshot(&pr);
        self.set_now(&["last_maintained_at"]);
        Ok(())
    }

    /// The result is in.
    fn succeed(&mut self) -> Result<(), Refusal> {
        let merged = self.pull_request_in(&[PullRequestState::Merged]);
        if merged.is_none() && !self.records_merge() {
            return refuse(
                "Vigilante's word for `succeeded` is a success with a merged pull request, and none was found"
                    .to_owned(),
            );
        }
        self.recover("success");
        self.stop_monitoring();
        if let Some(pr) = merged {
            self.snapshot(&pr);
        }
        self.set_now(&["last_maintained_at"]);
        Ok(())
    }

    /// No longer wanted.
    fn close(&mut self) -> Result<(), Refusal> {
        self.recover("closed");
        self.stop_monitoring();
        if self.seen_pull_request() {
            self.set_now(&["last_maintained_at"]);
        }
        Ok(())
    }

    /// Same state, named drift put right.
    fn repair(&mut self, names: &[String]) -> Result<(), Refusal> {
        if names.is_empty() {
            return refuse("a repair that names no drift".to_owned());
        }
        if let Some(name) = names.iter().find(|name| *name != MAINTENANCE_IN_FLIGHT) {
            return refuse(format!(
                "vigil knows no repair `{name}` for Vigilante; it knows `{MAINTENANCE_IN_FLIGHT}`"
            ));
        }
        if self.record.flag("pull_request_maintenance_in_flight") != Ok(true) {
            return refuse(format!(
                "there is no `{MAINTENANCE_IN_FLIGHT}` to repair: the record does not say that it is set"
            ));
        }
        self.nothing_to_lose()?;
        self.remove(&["pull_request_maintenance_in_flight"]);
        self.set_now(&["updated_at"]);
        // An ended one is the word for another state, and a repair changes none.
        let open = self.pull_request_in(&[PullRequestState::Open]);
        if self.change.evidence.session.state == State::Maintaining
            && let Some(pr) = open
        {
            self.snapshot(&pr);
        }
        Ok(())
    }

    /// The mark of maintenance under way freezes a session: while it is set, Vigilante leaves the worktree alone. Its
    /// next scan without the mark looks after the pull request again, or cleans up when the issue is closed. Measured on
    /// 1.2.4, either way discards what was not committed, and sooner or later the branch with what was not pushed.
    fn nothing_to_lose(&self) -> Result<(), Refusal> {
        let worktree = match self.record.text("worktree_path").ok().flatten() {
            Some(path) if !path.is_empty() => path,
            _ => "its worktree".to_owned(),
        };
        match signs::unsaved(self.change.evidence) {
            Unsaved::No => Ok(()),
            Unsaved::Yes => Err(Refusal::Unsaved(format!(
                "without its mark of maintenance Vigilante would discard the unsaved work in {worktree}; commit and \
                 push it first, or keep it elsewhere"
            ))),
            Unsaved::Unknown => Err(Refusal::Unsaved(format!(
                "without its mark of maintenance Vigilante would discard unsaved work, and whether there is any in \
                 {worktree} could not be learned"
            ))),
        }
    }

    /// What Vigilante's own recovery of a stale session writes, in all its outcomes.
    fn recover(&mut self, status: &str) {
        self.set_text("status", status);
        self.remove(&[
            "process_id",
            "last_heartbeat_at",
            "last_error",
            "stale_auto_restart_attempts",
            "stale_auto_restart_pending_since",
            "stale_auto_restart_stopped_at",
        ]);
        self.set_now(&["ended_at", "updated_at", "recovered_at"]);
        if self.record.text("status").ok().flatten().as_deref() == Some("blocked") {
            self.remove(&[
                "blocked_at",
                "blocked_stage",
                "retry_policy",
                "resume_required",
                "resume_hint",
                "resume_after",
            ]);
            // As Vigilante writes it of a session that is not blocked.
            self.set("blocked_reason", "{}".to_owned());
        }
    }

    /// Ends what Vigilante would do with this session from here on: its monitoring of issue and pull request, an
    /// automatic restart or new dispatch of the same issue, and its removal of worktree and branch. Removing them is
    /// a person's step after this.
    fn stop_monitoring(&mut self) {
        self.edits
            .retain(|edit| edit.key() != "stale_auto_restart_stopped_at");
        self.set_now(&["monitoring_stopped_at", "stale_auto_restart_stopped_at"]);
    }

    /// What the forge says about the session's pull request; where it has none, what the record says of another one goes.
    /// Gives whether there is one.
    fn seen_pull_request(&mut self) -> bool {
        match self.change.evidence.pull_request.clone() {
            Fact::Found(pr) => {
                self.snapshot(&pr);
                true
            }
            Fact::Absent(_) => {
                self.remove(&[
                    "pull_request_number",
                    "pull_request_url",
                    "pull_request_state",
                    "pull_request_merged_at",
                    "pull_request_head_branch",
                    "pull_request_base_branch",
                ]);
                if self.record.flag("fork_mode").unwrap_or(false) {
                    self.remove(&["upstream_pr_number", "upstream_pr_url"]);
                }
                false
            }
            Fact::Unknown(_) | Fact::NotAsked => false,
        }
    }

    /// What the forge says about the pull request, as far as it is known.
    fn snapshot(&mut self, pr: &PullRequest) {
        // What the record says of another pull request is not true of this one.
        let same = self.record.number("pull_request_number").ok().flatten() == Some(pr.number);
        self.set("pull_request_number", pr.number.to_string());
        self.set_known("pull_request_url", &pr.url, same);
        let state = match pr.state {
            PullRequestState::Open => "OPEN",
            PullRequestState::Merged => "MERGED",
            PullRequestState::Closed => "CLOSED",
        };
        self.set_text("pull_request_state", state);
        match pr.merged.and_then(|at| moment(at).ok()) {
            Some(merged) => self.set_text("pull_request_merged_at", &merged),
            // Merged at a moment that nobody told: what the record says of the same one may stand.
            None if pr.state == PullRequestState::Merged && same => {}
            None => self.remove(&["pull_request_merged_at"]),
        }
        self.set_known("pull_request_head_branch", &pr.head_ref, same);
        self.set_known("pull_request_base_branch", &pr.base_ref, same);
        if self.record.flag("fork_mode").unwrap_or(false) {
            let same = self.record.number("upstream_pr_number").ok().flatten() == Some(pr.number);
            self.set("upstream_pr_number", pr.number.to_string());
            self.set_known("upstream_pr_url", &pr.url, same);
        }
    }

    /// `value` where it is known; else the present one stands if it is about the same thing.
    fn set_known(&mut self, key: &str, value: &str, same: bool) {
        match value {
            "" if same => {}
            "" => self.remove(&[key]),
            value => self.set_text(key, value),
        }
    }

    fn pull_request_in(&self, states: &[PullRequestState]) -> Option<PullRequest> {
        self.change
            .evidence
            .pull_request
            .found()
            .filter(|pr| states.contains(&pr.state))
            .cloned()
    }

    /// The owner itself has written that the pull request was merged.
    fn records_merge(&self) -> bool {
        let text = |key| self.record.text(key).ok().flatten();
        text("pull_request_state").as_deref() == Some("MERGED")
            || text("pull_request_merged_at").is_some()
    }

    /// How a person goes on.
    fn resume_hint(&self) -> String {
        let repo = self.record.text("repo").ok().flatten();
        let issue = self.record.number("issue_number").ok().flatten();
        let plain = |repo: &String| {
            repo.chars()
                .all(|c| c.is_ascii_alphanumeric() || "./_-".contains(c))
        };
        // Beside a process that may be an agent nobody is told to start another one.
        let occupant = &self.change.evidence.session.liveness.occupant;
        let repo = repo.filter(|repo| plain(repo) && occupant.found().is_none());
        match (repo, issue) {
            (Some(repo), Some(issue)) => format!("vigilante resume --repo {repo} --issue {issue}"),
            // Nothing that would have to be quoted goes into a line that people paste into a shell.
            _ => "vigilante list --blocked".to_owned(),
        }
    }

    /// What was known when the session was blocked, for the person who opens the record. Gaps are named, too.
    fn grounds(&self) -> String {
        let evidence = self.change.evidence;
        let liveness = &evidence.session.liveness;
        let mut said = vec![format!("rule {}", self.change.rule)];
        match &evidence.issue {
            Fact::Found(issue) if issue.open => said.push("issue open".to_owned()),
            Fact::Found(_) => said.push("issue closed".to_owned()),
            Fact::Absent(_) => said.push("issue not there".to_owned()),
            Fact::Unknown(gap) => said.push(format!("issue unknown ({})", gap.kind)),
            Fact::NotAsked => {}
        }
        match &evidence.pull_request {
            Fact::Found(pr) => {
                let state = match pr.state {
                    PullRequestState::Open => "open",
                    PullRequestState::Merged => "merged",
                    PullRequestState::Closed => "closed",
                };
                said.push(format!("pull request #{} {state}", pr.number));
            }
            Fact::Absent(_) => said.push("no pull request".to_owned()),
            Fact::Unknown(gap) => said.push(format!("pull request unknown ({})", gap.kind)),
            Fact::NotAsked => {}
        }
        if let Fact::Found(count @ 1..) = evidence.beyond_head {
            said.push(format!("{count} commits beyond the pull request's head"));
        }
        match &liveness.dirty {
            Fact::Found(true) => said.push("uncommitted changes in the worktree".to_owned()),
            Fact::Unknown(gap) => said.push(format!("uncommitted changes unknown ({})", gap.kind)),
            _ => {}
        }
        match &liveness.unpushed {
            Fact::Found(count @ 1..) => said.push(format!("{count} commits on no remote")),
            Fact::Unknown(gap) => said.push(format!("unpushed commits unknown ({})", gap.kind)),
            _ => {}
        }
        said.join("; ")
    }
}

#[cfg(test)]
mod tests;
