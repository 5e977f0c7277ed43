//! Which pull request of a branch is the session's: a table.

use vigil_core::forge::{PullRequest, PullRequestState};
use vigil_core::{Fact, Gap, GapKind, Timestamp};
use vigil_github::choose::{Candidates, More, Wanted, choose};
use vigil_github::convert::Candidate;

const STARTED: u64 = 100;

/// `number` is also the moment at which it was opened; `ended` the moment at which it ended.
fn pr(number: u64, state: PullRequestState, ended: u64, owner: Option<&str>) -> Candidate {
    let at = |of: bool| of.then_some(Timestamp(ended));
    Candidate {
        id: format!("PR_{number}"),
        updated: Timestamp(1000),
        pull_request: PullRequest {
            state,
            created: Timestamp(number),
            merged: at(state == PullRequestState::Merged),
            closed: at(state != PullRequestState::Open),
            head_ref: "b".to_owned(),
            base_ref: "main".to_owned(),
            head_sha: format!("h{number}"),
            head_owner: owner.map(str::to_owned),
            ..PullRequest::bare(number, Timestamp(1000))
        },
    }
}

fn check(known: Vec<Candidate>, more: More, head_owner: &str, started: Option<u64>) -> String {
    let wanted = Wanted {
        base_owner: "acme",
        head_owner,
        started: started.map(Timestamp),
        observed: Timestamp(1000),
    };
    match choose(&Candidates { known, more }, wanted) {
        None => "needs more".to_owned(),
        Some(Fact::Found(pr)) => format!("#{}", pr.number),
        Some(Fact::Absent(sighting)) => format!("absent {}", sighting.detail),
        Some(Fact::Unknown(gap)) => format!("unknown {}", gap.kind),
        Some(Fact::NotAsked) => "not asked".to_owned(),
    }
}

fn complete(known: Vec<Candidate>) -> String {
    check(known, More::Complete, "acme", Some(STARTED))
}

use PullRequestState::{Closed, Merged, Open};

#[test]
fn an_open_one_wins_then_the_newest_of_this_run() {
    let us = Some("acme");
    assert_eq!(complete(vec![]), "absent ");
    assert_eq!(complete(vec![pr(1, Open, 0, us)]), "#1");
    assert_eq!(
        complete(vec![pr(1, Open, 0, us), pr(2, Merged, 200, us)]),
        "#1"
    );
    assert_eq!(complete(vec![pr(1, Open, 0, us), pr(2, Open, 0, us)]), "#2");
    assert_eq!(
        complete(vec![pr(1, Merged, 200, us), pr(2, Closed, 200, us)]),
        "#2"
    );
    assert_eq!(
        complete(vec![pr(2, Closed, 200, us), pr(1, Merged, 200, us)]),
        "#2"
    );
    // An open one from before the session's start is being worked on all the same.
    assert_eq!(complete(vec![pr(1, Open, 0, us)]), "#1");
}

#[test]
fn one_that_ended_before_the_session_began_is_an_earlier_runs() {
    let us = Some("acme");
    assert_eq!(complete(vec![pr(1, Merged, 99, us)]), "absent earlier-run");
    assert_eq!(complete(vec![pr(1, Merged, 100, us)]), "#1");
    assert_eq!(
        complete(vec![pr(1, Closed, 99, us), pr(2, Merged, 50, us)]),
        "absent earlier-run"
    );
    // The newer one ended early, the older one in time.
    assert_eq!(
        complete(vec![pr(2, Closed, 50, us), pr(1, Merged, 150, us)]),
        "#1"
    );
    let undated = check(vec![pr(1, Merged, 200, us)], More::Complete, "acme", None);
    assert_eq!(undated, "unknown unrecorded");
    assert_eq!(
        check(vec![pr(1, Open, 0, us)], More::Complete, "acme", None),
        "#1"
    );
    assert_eq!(check(vec![], More::Complete, "acme", None), "absent ");
}

#[test]
fn a_fork_with_the_same_branch_name_does_not_count() {
    assert_eq!(complete(vec![pr(1, Open, 0, Some("mallory"))]), "absent ");
    assert_eq!(
        complete(vec![
            pr(2, Open, 0, Some("mallory")),
            pr(1, Merged, 200, Some("ACME"))
        ]),
        "#1"
    );
    let fork = check(
        vec![pr(1, Open, 0, Some("Robot")), pr(2, Open, 0, Some("acme"))],
        More::Complete,
        "robot",
        Some(STARTED),
    );
    assert_eq!(fork, "#1");
}

#[test]
fn the_pull_request_of_a_deleted_fork_is_not_guessed_at() {
    // Our branch lives in the base repository, which is there: whatever lost its home is not ours.
    assert_eq!(complete(vec![pr(1, Merged, 200, None)]), "absent ");
    // From a fork it may be ours.
    let fork = |known| check(known, More::Complete, "robot", Some(STARTED));
    assert_eq!(fork(vec![pr(1, Merged, 200, None)]), "unknown no-control");
    assert_eq!(fork(vec![pr(1, Open, 0, None)]), "unknown no-control");
    assert_eq!(fork(vec![pr(1, Merged, 50, None)]), "absent earlier-run");
    assert_eq!(
        fork(vec![
            pr(1, Merged, 200, None),
            pr(2, Merged, 200, Some("robot"))
        ]),
        "#2"
    );
    assert_eq!(
        fork(vec![
            pr(3, Merged, 200, None),
            pr(2, Merged, 200, Some("robot"))
        ]),
        "unknown no-control"
    );
    assert_eq!(
        fork(vec![
            pr(3, Merged, 200, None),
            pr(2, Open, 0, Some("robot"))
        ]),
        "#2"
    );
}

#[test]
fn an_incomplete_list_settles_only_what_is_open() {
    let us = Some("acme");
    let after = || More::After("cursor".to_owned());
    let lost = || More::Lost(Gap::new(GapKind::TimedOut, "late"));
    let on = |known, more| check(known, more, "acme", Some(STARTED));
    assert_eq!(on(vec![], after()), "needs more");
    assert_eq!(on(vec![pr(9, Merged, 200, us)], after()), "needs more");
    assert_eq!(on(vec![pr(9, Open, 0, us)], after()), "#9");
    assert_eq!(on(vec![], lost()), "unknown timed-out");
    assert_eq!(
        on(vec![pr(9, Merged, 200, us)], lost()),
        "unknown timed-out"
    );
    assert_eq!(on(vec![pr(9, Open, 0, us)], lost()), "#9");
}
