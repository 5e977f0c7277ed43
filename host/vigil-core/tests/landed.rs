//! A merge counts once it has landed: what the guards make of one that has not.

mod common;

use common::*;
use vigil_core::decide::{Action, decide};
use vigil_core::guard::Code;
use vigil_core::survey::{Memory, survey};
use vigil_core::verdict::Verdict;
use vigil_core::{Evidence, Fact, GapKind, State};

/// What comes of a policy that wants `to`, with the guards that spoke.
fn ruled(evidence: &Evidence, to: State) -> (Action, Vec<Code>) {
    let context = context();
    let survey = survey(std::slice::from_ref(evidence), &context, Memory::default());
    let answers = [answer("p", Verdict::Transition(to))];
    let ruling = decide(evidence, &answers, &asked(), &survey, &context);
    let codes = ruling.guards.iter().map(|objection| objection.code);
    (ruling.action, codes.collect())
}

fn refused(code: Code) -> (Action, Vec<Code>) {
    (Action::Refuse, vec![code])
}

fn moved(to: State) -> (Action, Vec<Code>) {
    (Action::Move(to), Vec::new())
}

#[test]
fn succeeded_needs_a_merge_that_has_landed() {
    let merged = |landed: Fact<bool>| {
        let mut evidence = evidence(State::Running);
        if let Fact::Found(pr) = &mut evidence.pull_request {
            pr.landed = landed;
        }
        evidence
    };
    let succeeds = |landed| ruled(&merged(landed), State::Succeeded);
    assert_eq!(succeeds(Fact::Found(true)), moved(State::Succeeded));
    for landed in [
        Fact::Found(false),
        Fact::unknown(GapKind::Unreachable, "no way"),
        Fact::absent_at(NOW),
        Fact::NotAsked,
    ] {
        assert_eq!(succeeds(landed), refused(Code::PositiveEvidence));
    }
    // That it went elsewhere is a ground to ask a person; that nobody knows where it went is none.
    let mut elsewhere = merged(Fact::Found(false));
    elsewhere.session.liveness.supervisor = Fact::NotAsked;
    elsewhere.session.liveness.agent = Fact::NotAsked;
    assert_eq!(ruled(&elsewhere, State::Blocked), moved(State::Blocked));
    if let Fact::Found(pr) = &mut elsewhere.pull_request {
        pr.landed = Fact::unknown(GapKind::Unreachable, "no way");
    }
    assert_eq!(
        ruled(&elsewhere, State::Blocked),
        refused(Code::UnknownIsNotEvidence)
    );
}
