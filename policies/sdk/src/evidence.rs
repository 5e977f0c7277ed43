//! Evidence for unit tests, built from what matters: everything that is not said was not asked for.
//!
//! ```
//! use vigil_sdk::evidence::{closed_ago, context, evidence, merged_ago};
//! use vigil_sdk::time::mins;
//!
//! let stale = evidence()
//!     .running()
//!     .heartbeat_ago(mins(109))
//!     .issue(closed_ago(mins(80)).labelled("vigilante:done"))
//!     .pull_request(merged_ago(mins(80)))
//!     .build();
//! assert_eq!(stale.session.times.heartbeat, Some(context().now - mins(109)));
//! ```
//!
//! Parts of an issue or of a pull request are set on it, as a value, `absent()` or `unknown(..)`:
//!
//! ```
//! use vigil_sdk::evidence::{
//!     absent, bot, check, closed_ago, evidence, held_run, review, under_review, unknown,
//! };
//! use vigil_sdk::time::mins;
//!
//! let pull_request = under_review()
//!     .checks("failing")
//!     .check_list([check("build", "failure"), check("lint", "success")])
//!     .review_list([review("ann", "approved")])
//!     .queue(absent())
//!     .auto_merge(unknown("denied", "the token may not read it"));
//! let built = evidence()
//!     .issue(closed_ago(mins(5)).closer(bot("stale")).assignees(["ann"]))
//!     .pull_request(pull_request)
//!     .build();
//! assert!(built.pull_request.found().is_some_and(|pr| pr.auto_merge.is_unknown()));
//!
//! let held = under_review().checks("held").runs([held_run("CI", "approval")]);
//! assert_eq!(held.runs.found().map(Vec::len), Some(1));
//! ```

mod forge;

pub use forge::{
    auto_merge, bot, check, closed_ago, conflicting, held_run, mergeable, merged_ago, open, person,
    queued_at, reference, rejected_ago, review, under_review,
};

use crate::time::mins;
use crate::{
    Attempts, Context, CountFact, Evidence, FieldGap, FlagFact, Gap, IssueFact, Liveness, Millis,
    NamedAnswer, NamedFact, Occupant, OccupantFact, OwnerFact, PassedOver, Process, ProcessFact,
    PullRequestFact, Session, Sibling, Sighting, Source, State, TimeFact, Times, Timestamp,
};

/// The moment that builders call now: 26 March 2026, 19:00 UTC.
pub const NOW: Timestamp = 1_774_551_600_000;

/// The moment `span` before [`NOW`].
#[must_use]
pub const fn ago(span: Millis) -> Timestamp {
    NOW - span
}

// ---- The context -----------------------------------------------------------------------------------------------------

/// A context at [`NOW`]: a source called `vigilante` that counts sessions as fresh for 30 minutes, with
/// `vigilante:done` as its final label, no break known, no settings.
#[must_use]
pub fn context() -> Context {
    Context {
        now: NOW,
        booted_at: None,
        awake_since: None,
        source: Source {
            name: "vigilante".into(),
            kind: "vigilante".into(),
            forge_host: "github.com".into(),
            fresh_for: mins(30),
            final_labels: vec!["vigilante:done".into()],
            closed_pr_is_final: false,
            landing_branches: Vec::new(),
        },
        settings: "{}".into(),
    }
}

impl Context {
    /// The same with these settings, a JSON object.
    #[must_use]
    pub fn settings(mut self, settings: &str) -> Self {
        self.settings = settings.to_owned();
        self
    }

    /// The same after a suspend, a jump of the clock or a hold-up that ended `span` ago.
    #[must_use]
    pub fn awake_ago(mut self, span: Millis) -> Self {
        self.awake_since = Some(ago(span));
        self
    }

    /// The same for a source with another span of freshness.
    #[must_use]
    pub fn fresh_for(mut self, span: Millis) -> Self {
        self.source.fresh_for = span;
        self
    }
}

// ---- Facts -----------------------------------------------------------------------------------------------------------

/// Nothing was there, from `span` ago to now.
#[must_use]
pub fn absent_for(span: Millis) -> Sighting {
    Sighting {
        first: ago(span),
        last: NOW,
        detail: String::new(),
    }
}

/// Nothing was there at a single look, just now.
#[must_use]
pub fn absent() -> Sighting {
    absent_for(0)
}

/// It could not be learned, for the first time.
#[must_use]
pub fn unknown(kind: &str, detail: &str) -> Gap {
    Gap {
        kind: kind.to_owned(),
        detail: detail.to_owned(),
        since: None,
    }
}

/// A live process that was started `span` ago.
#[must_use]
pub fn process(pid: u32, span: Millis) -> Process {
    Process {
        pid,
        started: Some(ago(span)),
    }
}

/// A live process of that name, which nobody knows for an agent and which was started `span` ago.
#[must_use]
pub fn occupant(name: &str, pid: u32, span: Millis) -> Occupant {
    Occupant {
        pid,
        name: name.to_owned(),
        started: Some(ago(span)),
    }
}

// ---- The evidence ----------------------------------------------------------------------------------------------------

/// Evidence in the making; [`evidence`] starts one.
#[derive(Clone, Debug)]
pub struct EvidenceBuilder(Evidence);

/// A running session on issue 299 of `acme/app`, of which nothing else is known: no times, and nobody looked anywhere.
#[must_use]
pub fn evidence() -> EvidenceBuilder {
    EvidenceBuilder(Evidence {
        session: Session {
            id: "acme/app#299".into(),
            tracker: "github".into(),
            repo: Some("acme/app".into()),
            issue: Some(299),
            branch: Some("vigilante/issue-299".into()),
            base: Some("main".into()),
            pull_request: None,
            state: State::Running,
            native_state: "running".into(),
            times: Times {
                started: None,
                heartbeat: None,
                updated: None,
                ended: None,
            },
            liveness: Liveness {
                agent: ProcessFact::NotAsked,
                occupant: OccupantFact::NotAsked,
                supervisor: ProcessFact::NotAsked,
                log_written: TimeFact::NotAsked,
                log_outcome: None,
                worktree_written: TimeFact::NotAsked,
                worktree_moved_to: None,
                dirty: FlagFact::NotAsked,
                unpushed: CountFact::NotAsked,
            },
            attempts: Attempts {
                runs: 0,
                failures: 0,
            },
            tasks: Vec::new(),
            gaps: Vec::new(),
            facts: Vec::new(),
        },
        issue: IssueFact::NotAsked,
        pull_request: PullRequestFact::NotAsked,
        beyond_head: CountFact::NotAsked,
        passed_over: Vec::new(),
        siblings: Vec::new(),
        memo: None,
    })
}

/// One setter of the builder: its doc line, its name, the argument, and where it goes.
macro_rules! setters {
    ($( $(#[$doc:meta])* $name:ident($value:ident: $type:ty) = |$evidence:ident| $set:expr; )+) => {
        impl EvidenceBuilder { $(
            $(#[$doc])*
            #[must_use]
            pub fn $name(mut self, $value: $type) -> Self {
                let $evidence = &mut self.0;
                $set;
                self
            }
        )+ }
    };
}

setters! {
    /// The session's state; its native state takes the same word.
    state(state: State) = |e| { e.session.state = state; e.session.native_state = state.as_str().into() };
    /// The owner's own word.
    native_state(word: &str) = |e| e.session.native_state = word.into();
    /// Where the issue lives.
    tracker(tracker: &str) = |e| e.session.tracker = tracker.into();
    /// The agent was started `span` ago.
    started_ago(span: Millis) = |e| e.session.times.started = Some(ago(span));
    /// The last heartbeat was `span` ago.
    heartbeat_ago(span: Millis) = |e| e.session.times.heartbeat = Some(ago(span));
    /// The record was last written `span` ago.
    updated_ago(span: Millis) = |e| e.session.times.updated = Some(ago(span));
    /// The agent's process.
    agent(fact: impl Into<ProcessFact>) = |e| e.session.liveness.agent = fact.into();
    /// Another process in the worktree: `occupant(..)`, `absent()` or `unknown(..)`.
    occupant(fact: impl Into<OccupantFact>) = |e| e.session.liveness.occupant = fact.into();
    /// The manager's process.
    supervisor(fact: impl Into<ProcessFact>) = |e| e.session.liveness.supervisor = fact.into();
    /// The last write to the log: `ago(..)`, `absent()` or `unknown(..)`.
    log_written(fact: impl Into<TimeFact>) = |e| e.session.liveness.log_written = fact.into();
    /// What the log says last about the outcome.
    log_outcome(outcome: &str) = |e| e.session.liveness.log_outcome = Some(outcome.into());
    /// The last write in the worktree: `ago(..)`, `absent()` or `unknown(..)`.
    worktree_written(fact: impl Into<TimeFact>) = |e| e.session.liveness.worktree_written = fact.into();
    /// Where the worktree stands, when that is not where the record says.
    worktree_moved_to(path: &str) = |e| e.session.liveness.worktree_moved_to = Some(path.into());
    /// Uncommitted changes.
    dirty(fact: impl Into<FlagFact>) = |e| e.session.liveness.dirty = fact.into();
    /// Commits that no remote has.
    unpushed(fact: impl Into<CountFact>) = |e| e.session.liveness.unpushed = fact.into();
    /// The issue: `open()`, `closed_ago(..)`, `absent_for(..)` or `unknown(..)`.
    issue(fact: impl Into<IssueFact>) = |e| e.issue = fact.into();
    /// The pull request: `under_review()`, `merged_ago(..)`, `rejected_ago(..)`, `absent()` or `unknown(..)`.
    pull_request(fact: impl Into<PullRequestFact>) = |e| e.pull_request = fact.into();
    /// Commits on the local branch beyond the pull request's head.
    beyond_head(fact: impl Into<CountFact>) = |e| e.beyond_head = fact.into();
    /// One more pull request that does not speak for the session.
    passed_over(other: PassedOver) = |e| e.passed_over.push(other);
    /// One more sibling.
    sibling(sibling: Sibling) = |e| e.siblings.push(sibling);
    /// What the policy's last decision left.
    memo(memo: &str) = |e| e.memo = Some(memo.into());
}

impl EvidenceBuilder {
    /// In state running.
    #[must_use]
    pub fn running(self) -> Self {
        self.state(State::Running)
    }

    /// With one more fact that only some owners have: a value, an absence or a gap.
    #[must_use]
    pub fn fact(mut self, name: OwnerFact, answer: impl Into<NamedAnswer>) -> Self {
        self.0.session.facts.push(NamedFact {
            name: name.into(),
            answer: answer.into(),
        });
        self
    }

    /// With one more field of the record that could not be read, for example `times.heartbeat`.
    #[must_use]
    pub fn field_gap(mut self, field: &str, gap: Gap) -> Self {
        self.0.session.gaps.push(FieldGap {
            field: field.to_owned(),
            gap,
        });
        self
    }

    /// The evidence.
    #[must_use]
    pub fn build(self) -> Evidence {
        self.0
    }
}
