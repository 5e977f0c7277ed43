//! Made-up sessions and evidence.

use std::path::Path;

use tempfile::TempDir;
use vigil_core::evidence::Evidence;
use vigil_core::fact::Fact;
use vigil_core::forge::{Issue, PullRequest, PullRequestState};
use vigil_core::session::{
    IssueRef, Liveness, Lookup, OwnerEffects, PullRequestRef, Revision, Session, SessionId, Times,
};
use vigil_core::verdict::{Decision, PolicyAnswer, Verdict};
use vigil_core::{State, Timestamp};
use vigil_store::{Entry, Kind, NewTransition, Store};

/// The moment at which the tests begin.
pub(crate) const T0: Timestamp = Timestamp(1_790_000_000_000);

/// `minutes` after [`T0`].
pub(crate) fn at(minutes: u64) -> Timestamp {
    Timestamp(T0.0 + minutes * 60_000)
}

pub(crate) fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

pub(crate) fn open(dir: &Path) -> Store {
    Store::open(dir, T0).expect("the store opens")
}

pub(crate) fn id(number: u32) -> SessionId {
    SessionId::new("vigilante", format!("o/r#{number}"))
}

/// A running session with an open issue and a merged pull request, looked at at `now`.
pub(crate) fn evidence(number: u32, now: Timestamp) -> Evidence {
    let started = Some(T0.before(std::time::Duration::from_secs(7_200)));
    Evidence {
        session: Session {
            id: id(number),
            revision: Revision(format!("r{number}")),
            tracker: "github".into(),
            repo: Some("o/r".into()),
            issue: Some(u64::from(number)),
            branch: Some(format!("vigilante/issue-{number}")),
            base: Some("main".to_owned()),
            pull_request: Some(319),
            state: State::Running,
            native_state: "running".into(),
            times: Times {
                started,
                heartbeat: started,
                updated: started,
                ended: None,
            },
            liveness: Liveness {
                agent: Fact::absent_at(now),
                ..Liveness::default()
            },
            attempts: Default::default(),
            tasks: Vec::new(),
            gaps: Vec::new(),
            readable: true,
            facts: Vec::new(),
            owner_says: None,
            owner_words: None,
            lookup: Lookup {
                issue: Ok(Some(IssueRef {
                    repo: "o/r".into(),
                    number: u64::from(number),
                })),
                pull_request: Ok(Some(PullRequestRef::by_number("o/r", 319))),
            },
            owner_effects: OwnerEffects::default(),
        },
        issue: Fact::Found(Issue {
            labels: vec!["bug".into(), "vigilante:running".into()],
            ..Issue::bare(u64::from(number), now)
        }),
        pull_request: Fact::Found(PullRequest {
            state: PullRequestState::Merged,
            merged: Some(T0),
            closed: Some(T0),
            url: "https://github.com/o/r/pull/319".into(),
            head_ref: format!("vigilante/issue-{number}"),
            base_ref: "main".into(),
            head_sha: "0123456789abcdef0123456789abcdef01234567".into(),
            head_owner: Some("o".into()),
            ..PullRequest::bare(319, now)
        }),
        beyond_head: Fact::Found(0),
        passed_over: Vec::new(),
        siblings: Vec::new(),
    }
}

pub(crate) fn answers(verdict: Verdict) -> Vec<PolicyAnswer> {
    vec![PolicyAnswer {
        policy: "default".into(),
        policy_digest: "d1".into(),
        settings_digest: "s1".into(),
        answer: Ok(Decision {
            verdict,
            rule: "merged-pr".into(),
            reason: "its pull request was merged".into(),
            rests_on: vec!["pull-request".into()],
            intents: Vec::new(),
            look_again_after_ms: None,
            despite_live_work: false,
            memo: None,
        }),
        passes_refused: false,
        behind: Vec::new(),
    }]
}

/// A held session's entry at the moment of its evidence.
pub(crate) fn held<'a>(
    evidence: &'a Evidence,
    answers: &'a [PolicyAnswer],
    at: Timestamp,
) -> Entry<'a> {
    Entry {
        session: &evidence.session.id,
        from: evidence.session.state,
        to: evidence.session.state,
        outcome: "held",
        rule: "no-evidence",
        policy: Some("default"),
        policy_digest: Some("d1"),
        settings_digest: Some("s1"),
        verdict: Some(&Verdict::Hold),
        answers,
        guards: &[],
        reason: "nothing says otherwise",
        transition: None,
        evidence,
        at,
    }
}

/// A move from running to succeeded that rests on `evidence`.
pub(crate) fn moved<'a>(
    evidence: &'a Evidence,
    after: &'a Revision,
    at: Timestamp,
) -> NewTransition<'a> {
    NewTransition {
        session: &evidence.session.id,
        kind: Kind::Transition,
        from: State::Running,
        to: State::Succeeded,
        native_before: "running",
        native_after: "success",
        revision_before: &evidence.session.revision,
        revision_after: after,
        record_before: "{\"status\": \"running\"}",
        edits: "{\"status\": \"\\\"success\\\"\"}",
        rule: "merged-pr",
        policy: Some("default"),
        policy_digest: Some("d1"),
        reason: "its pull request was merged",
        guards: &[],
        intents: &[],
        evidence: Some(evidence),
        grounds: None,
        undoes: None,
        at,
    }
}
