//! Evidence to start from: a `running` Vigilante-like session that went silent 109 minutes ago.
#![allow(missing_docs, unreachable_pub, reason = "test helpers")]
#![allow(dead_code, reason = "each test binary uses its own part")]

use vigil_core::decide::{Action, decide};
use vigil_core::evidence::{Context, SourceFacts};
use vigil_core::fact::Sighting;
use vigil_core::forge::{Issue, PullRequest, PullRequestState};
use vigil_core::guard::Code;
use vigil_core::session::{
    Attempts, IssueRef, Liveness, Lookup, OwnerEffects, Process, PullRequestRef, Revision, Times,
};
use vigil_core::survey::{Memory, PastMove, Reversal, survey};
use vigil_core::verdict::{Decision, PolicyAnswer, Verdict};
use vigil_core::{Evidence, Fact, Session, SessionId, State, Timestamp};

pub const MINUTE: u64 = 60_000;
pub const NOW: Timestamp = Timestamp(1_800_000_000_000);

pub fn ago(minutes: u64) -> Timestamp {
    Timestamp(NOW.0 - minutes * MINUTE)
}

pub fn context() -> Context {
    Context {
        now: NOW,
        booted_at: Some(ago(10_000)),
        awake_since: None,
        source: SourceFacts {
            name: "v".into(),
            kind: "test".into(),
            forge_host: "forge.test".into(),
            fresh_for_ms: 30 * MINUTE,
            final_labels: vec!["team:done".into()],
            closed_pr_is_final: false,
            landing_branches: Vec::new(),
        },
    }
}

pub fn session(id: &str, state: State) -> Session {
    Session {
        id: SessionId::new("v", id),
        revision: Revision("r1".into()),
        tracker: "forge".into(),
        repo: Some("o/r".into()),
        issue: Some(299),
        branch: Some("b".into()),
        base: Some("main".into()),
        pull_request: None,
        state,
        native_state: state.as_str().into(),
        times: Times {
            heartbeat: Some(ago(109)),
            ..Times::default()
        },
        liveness: Liveness {
            agent: Fact::absent_at(NOW),
            occupant: Fact::absent_at(NOW),
            supervisor: Fact::Found(Process {
                pid: 1,
                started: None,
            }),
            log_written: Fact::Found(ago(109)),
            log_outcome: None,
            worktree_written: Fact::Found(ago(109)),
            worktree_moved_to: None,
            dirty: Fact::Found(false),
            unpushed: Fact::Found(0),
        },
        attempts: Attempts::default(),
        tasks: Vec::new(),
        gaps: Vec::new(),
        readable: true,
        facts: Vec::new(),
        owner_says: None,
        owner_words: None,
        lookup: Lookup {
            issue: Ok(Some(IssueRef {
                repo: "o/r".into(),
                number: 299,
            })),
            pull_request: Ok(Some(PullRequestRef::by_number("o/r", 319))),
        },
        owner_effects: OwnerEffects {
            writable: vec![
                State::Blocked,
                State::Maintaining,
                State::Succeeded,
                State::Closed,
            ],
            discards: Vec::new(),
            discards_while_open: vec![State::Maintaining, State::Succeeded, State::Closed],
            if_left: None,
        },
    }
}

pub fn issue(open: bool) -> Fact<Issue> {
    Fact::Found(Issue {
        open,
        reason: (!open).then(|| "completed".into()),
        closed: (!open).then(|| ago(90)),
        ..Issue::bare(299, NOW)
    })
}

pub fn pull(state: PullRequestState) -> Fact<PullRequest> {
    let ended = (state != PullRequestState::Open).then(|| ago(80));
    Fact::Found(PullRequest {
        state,
        merged: ended.filter(|_| state == PullRequestState::Merged),
        closed: ended,
        url: "https://forge.test/o/r/pull/319".into(),
        head_ref: "b".into(),
        base_ref: "main".into(),
        head_sha: "abc".into(),
        head_owner: Some("o".into()),
        landed: match state {
            PullRequestState::Merged => Fact::Found(true),
            _ => Fact::absent_at(NOW),
        },
        ..PullRequest::bare(319, NOW)
    })
}

pub fn absent<T>(first: u64, last: u64) -> Fact<T> {
    Fact::from(Sighting {
        first: ago(first),
        last: ago(last),
        detail: String::new(),
    })
}

pub fn evidence(state: State) -> Evidence {
    Evidence {
        session: session("o/r#299", state),
        issue: issue(false),
        pull_request: pull(PullRequestState::Merged),
        beyond_head: Fact::Found(0),
        passed_over: Vec::new(),
        siblings: Vec::new(),
    }
}

pub fn answer(policy: &str, verdict: Verdict) -> PolicyAnswer {
    PolicyAnswer {
        policy: policy.into(),
        policy_digest: "d".into(),
        settings_digest: "s".into(),
        answer: Ok(Decision {
            verdict,
            rule: "a-rule".into(),
            reason: "because".into(),
            rests_on: Vec::new(),
            intents: Vec::new(),
            look_again_after_ms: None,
            despite_live_work: false,
            memo: None,
        }),
        passes_refused: false,
        behind: Vec::new(),
    }
}

pub fn asked() -> Vec<String> {
    vec!["issue".into(), "pull-request".into()]
}

/// What comes of a policy that wants `to`, with the guards that spoke.
pub fn ruled(evidence: &Evidence, to: State) -> (Action, Vec<Code>) {
    ruled_with(evidence, to, Memory::default(), false)
}

pub fn ruled_with(
    evidence: &Evidence,
    to: State,
    memory: Memory,
    despite_live_work: bool,
) -> (Action, Vec<Code>) {
    let context = context();
    let survey = survey(std::slice::from_ref(evidence), &context, memory);
    let mut answer = answer("p", Verdict::Transition(to));
    if let Ok(decision) = &mut answer.answer {
        decision.despite_live_work = despite_live_work;
    }
    let ruling = decide(evidence, &[answer], &asked(), &survey, &context);
    let codes = ruling
        .guards
        .iter()
        .map(|objection| objection.code)
        .collect();
    (ruling.action, codes)
}

pub fn refused(code: Code) -> (Action, Vec<Code>) {
    (Action::Refuse, vec![code])
}

pub fn moved(to: State) -> (Action, Vec<Code>) {
    (Action::Move(to), Vec::new())
}

/// A move to `succeeded` that was made so many minutes ago, and taken back by its owner.
pub fn past(undone: bool, same_facts: bool, minutes_ago: u64) -> PastMove {
    PastMove {
        name: "t1".into(),
        from: State::Running,
        to: State::Succeeded,
        at: ago(minutes_ago),
        same_facts,
        undone,
        reversal: Reversal::Owner,
    }
}
