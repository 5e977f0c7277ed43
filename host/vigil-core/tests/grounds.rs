//! Which facts are grounds, and what changes them.

mod common;

use common::*;
use vigil_core::forge::PullRequestState::{Closed, Merged, Open};
use vigil_core::named::{NamedFact, Value};
use vigil_core::session::Process;
use vigil_core::{Evidence, Fact, GapKind, Grounds, State, Timestamp};

fn agent_gone() -> Evidence {
    let mut evidence = evidence(State::Running);
    evidence.issue = issue(true);
    evidence.pull_request = Fact::absent_at(NOW);
    evidence.session.times.started = Some(ago(120));
    evidence.session.liveness.supervisor = Fact::absent_at(NOW);
    evidence
}

/// Names of grounds that are others after `change`.
fn changed(names: &[&str], before: &Evidence, change: impl Fn(&mut Evidence)) -> Vec<String> {
    let grounds = Grounds::of(names, before);
    assert!(grounds.still_hold(before));
    let mut after = before.clone();
    change(&mut after);
    grounds.changed(&after).map(str::to_owned).collect()
}

const NONE: [&str; 0] = [];

#[test]
fn a_rules_own_grounds_change_it_and_nothing_else_does() {
    let merged = evidence(State::Running);
    let names = ["pull-request", "issue"];
    let relabelled = |one: &mut Evidence| {
        if let Fact::Found(issue) = &mut one.issue {
            issue.labels.push("vigilante:done".into());
        }
    };
    assert_eq!(changed(&names, &merged, relabelled), NONE);
    assert_eq!(changed(&["labels"], &merged, relabelled), ["labels"]);
    assert_eq!(
        changed(&names, &merged, |one| one.issue = issue(true)),
        ["issue"]
    );
    assert_eq!(
        changed(&["pull-request"], &merged, |one| one.issue = issue(true)),
        NONE
    );
    assert_eq!(
        changed(&names, &merged, |one| one.pull_request = pull(Closed)),
        ["pull-request"]
    );
    // Moments of looking, signs of life and the record's own bookkeeping are no grounds.
    let looked_again = |one: &mut Evidence| {
        if let (Fact::Found(issue), Fact::Found(pr)) = (&mut one.issue, &mut one.pull_request) {
            issue.observed = Timestamp(1);
            pr.observed = Timestamp(1);
        }
        one.session.times.updated = Some(NOW);
        one.session.times.heartbeat = Some(NOW);
        one.session.liveness.log_written = Fact::Found(NOW);
    };
    let all = [
        "pull-request",
        "issue",
        "times",
        "log-written",
        "worktree-written",
    ];
    assert_eq!(changed(&all, &merged, looked_again), NONE);
}

#[test]
fn an_open_pull_request_stays_the_same_while_its_head_moves_and_an_end_does_not() {
    let pushed = |one: &mut Evidence| {
        if let Fact::Found(pr) = &mut one.pull_request {
            pr.head_sha = "def".into();
        }
    };
    let mut open = evidence(State::Running);
    open.pull_request = pull(Open);
    assert_eq!(changed(&[], &open, pushed), NONE);
    for end in [Merged, Closed] {
        let mut ended = evidence(State::Running);
        ended.pull_request = pull(end);
        assert_eq!(changed(&[], &ended, pushed), ["pull-request"]);
    }
}

#[test]
fn another_run_is_another_case() {
    let gone = agent_gone();
    let names = ["agent", "supervisor", "issue", "pull-request"];
    assert_eq!(
        changed(&names, &gone, |one| one.session.times.started =
            Some(ago(60))),
        ["run"]
    );
    assert_eq!(
        changed(&names, &gone, |one| one.session.attempts.runs = 1),
        ["run"]
    );
    // The same pid with another start is another process.
    let alive = |started| {
        Fact::Found(Process {
            pid: 7,
            started: Some(started),
        })
    };
    let mut before = gone.clone();
    before.session.liveness.supervisor = alive(ago(60));
    assert_eq!(
        changed(&names, &before, |one| one.session.liveness.supervisor =
            alive(ago(5))),
        ["supervisor"]
    );
    assert_eq!(
        changed(&names, &gone, |one| one.pull_request = pull(Open)),
        ["pull-request"]
    );
}

#[test]
fn what_is_unknown_by_now_has_not_changed_and_is_no_full_answer() {
    let merged = evidence(State::Running);
    let unknown = |one: &mut Evidence| {
        one.issue = Fact::unknown(GapKind::Unreachable, "down");
        one.pull_request = Fact::NotAsked;
    };
    assert_eq!(changed(&[], &merged, unknown), NONE);
    let mut later = merged.clone();
    unknown(&mut later);
    let grounds = Grounds::of::<&str>(&[], &merged);
    assert_eq!(grounds.now(&later), None);
    assert_eq!(grounds.now(&merged), Some(grounds.clone()));
    // What was not known when it was decided is no ground.
    assert_eq!(Grounds::of::<&str>(&[], &later).get("issue"), None);
}

#[test]
fn facts_of_one_kind_of_owner_are_compared_by_name() {
    let mut marked = evidence(State::Maintaining);
    marked.session.facts = vec![NamedFact::found("maintenance-in-flight", Value::Flag(true))];
    let names = ["maintenance-in-flight", "dirty", "unpushed"];
    let done = |one: &mut Evidence| {
        one.session.facts.clear();
        one.session.liveness.dirty = Fact::Found(true);
    };
    assert_eq!(
        changed(&names, &marked, done),
        ["dirty", "maintenance-in-flight"]
    );
}
