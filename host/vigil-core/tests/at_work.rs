//! Who is at work in a worktree, and what may not be written under its hands.

mod common;

use common::*;
use vigil_core::forge::PullRequestState::{Closed, Merged, Open};
use vigil_core::guard::Code;
use vigil_core::session::{Occupant, Process};
use vigil_core::survey::Memory;
use vigil_core::{Evidence, Fact, GapKind, State};

#[test]
fn live_work_is_left_alone_unless_the_forge_is_final_and_the_policy_means_it() {
    let mut evidence = evidence(State::Running);
    evidence.session.liveness.agent = Fact::Found(Process {
        pid: 7,
        started: None,
    });
    assert_eq!(ruled(&evidence, State::Succeeded), refused(Code::LiveWork));
    let with = |evidence: &Evidence, to| ruled_with(evidence, to, Memory::default(), true);
    assert_eq!(with(&evidence, State::Succeeded), moved(State::Succeeded));
    evidence.pull_request = pull(Open);
    evidence.issue = issue(true);
    assert_eq!(with(&evidence, State::Maintaining), refused(Code::LiveWork));
}

#[test]
fn a_process_in_the_worktree_refutes_what_this_machine_alone_tells() {
    let mut occupied = evidence(State::Running);
    occupied.issue = issue(true);
    occupied.pull_request = Fact::absent_at(NOW);
    occupied.session.liveness.supervisor = Fact::absent_at(NOW);
    assert_eq!(ruled(&occupied, State::Blocked), moved(State::Blocked));
    let found = Fact::Found(Occupant {
        pid: 7,
        name: "node".into(),
        started: None,
    });
    let unknown = Fact::unknown(GapKind::Denied, "node (pid 7) may not be looked at");
    for occupant in [found.clone(), unknown] {
        occupied.session.liveness.occupant = occupant;
        // Unsaved work is a ground of its own, and yet somebody may be at work on just that.
        for dirty in [false, true] {
            occupied.session.liveness.dirty = Fact::Found(dirty);
            assert_eq!(ruled(&occupied, State::Blocked), refused(Code::Occupied));
            // No policy gets around it.
            assert_eq!(
                ruled_with(&occupied, State::Blocked, Memory::default(), true),
                refused(Code::Occupied)
            );
        }
    }
    occupied.session.liveness.occupant = found;
    occupied.session.liveness.dirty = Fact::Found(false);
    // The forge's word stands.
    for (pr, issue_open, to) in [
        (pull(Closed), true, State::Blocked),
        (pull(Merged), false, State::Succeeded),
        (pull(Open), false, State::Maintaining),
        (Fact::absent_at(NOW), false, State::Closed),
    ] {
        occupied.pull_request = pr;
        occupied.issue = issue(issue_open);
        assert_eq!(ruled(&occupied, to), moved(to));
    }
    // What is interrupted has no agent that could be interrupted by a word.
    let mut waits = evidence(State::Interrupted);
    waits.issue = issue(true);
    waits.pull_request = Fact::absent_at(NOW);
    waits.session.liveness = occupied.session.liveness.clone();
    assert_eq!(ruled(&waits, State::Blocked), moved(State::Blocked));
}
