//! What only the pass as a whole shows.

mod common;

use common::*;
use std::collections::BTreeMap;
use vigil_core::decide::{Action, decide};
use vigil_core::evidence::Context;
use vigil_core::guard::Code;
use vigil_core::survey::{Kin, Memory, siblings, siblings_of, survey};
use vigil_core::verdict::Verdict;
use vigil_core::{Evidence, Fact, SessionId, State, Timestamp};

fn id(n: usize) -> SessionId {
    SessionId::new("v", format!("o/r#{n}"))
}

/// `lost` sessions without a worktree and `alive` ones with a fresh heartbeat, the issue open and no pull request.
fn fleet(lost: usize, alive: usize) -> Vec<Evidence> {
    (0..lost + alive)
        .map(|n| {
            let mut one = evidence(State::Running);
            one.session.id = id(n);
            one.issue = issue(true);
            one.pull_request = Fact::absent_at(NOW);
            if n < lost {
                one.session.liveness.worktree_written = Fact::absent_at(NOW);
            } else {
                one.session.times.heartbeat = Some(ago(1));
            }
            one
        })
        .collect()
}

fn seen(count: usize, at: Timestamp) -> Memory {
    let seen_alive: BTreeMap<_, _> = (0..count).map(|n| (id(n), at)).collect();
    Memory {
        seen_alive,
        ..Memory::default()
    }
}

fn held(fleet: &[Evidence], memory: Memory) -> bool {
    let context = context();
    let survey = survey(fleet, &context, memory);
    let answers = [answer("p", Verdict::Transition(State::Blocked))];
    let ruling = decide(&fleet[0], &answers, &asked(), &survey, &context);
    match ruling.action {
        Action::Refuse => {
            assert_eq!(ruling.guards[0].code, Code::MassChange);
            true
        }
        _ => false,
    }
}

#[test]
fn more_than_half_lost_at_once_is_held() {
    assert!(held(&fleet(6, 4), seen(10, ago(2))));
    assert!(!held(&fleet(5, 5), seen(10, ago(2))));
}

#[test]
fn three_losses_are_never_a_mass_change() {
    assert!(!held(&fleet(3, 0), seen(3, ago(2))));
    assert!(held(&fleet(4, 0), seen(4, ago(2))));
}

#[test]
fn first_sightings_do_not_count() {
    assert!(!held(&fleet(10, 0), Memory::default()));
}

#[test]
fn what_the_forge_explains_does_not_count() {
    let mut fleet = fleet(6, 4);
    for one in &mut fleet[1..6] {
        one.issue = issue(false);
    }
    assert!(!held(&fleet, seen(10, ago(2))));
}

#[test]
fn a_boot_since_the_last_look_explains_the_loss() {
    let fleet = fleet(6, 4);
    let mut context = context();
    context.booted_at = Some(ago(1));
    assert_eq!(survey(&fleet, &context, seen(10, ago(2))).mass, None);
}

/// Six lost of ten: three of them `minutes` ago.
fn half_of_them(minutes: u64) -> Memory {
    let mut memory = seen(10, ago(2));
    for n in 0..3 {
        memory.seen_alive.remove(&id(n));
        memory.lost.insert(id(n), ago(minutes));
    }
    memory
}

#[test]
fn losses_count_together_within_fifteen_minutes() {
    let fleet = fleet(6, 4);
    assert!(survey(&fleet, &context(), half_of_them(14)).mass.is_some());
    assert_eq!(survey(&fleet, &context(), half_of_them(15)).mass, None);
}

#[test]
fn time_alone_does_not_lift_the_hold() {
    let fleet = fleet(6, 4);
    let mut memory = seen(10, ago(2));
    for n in 0..6 {
        memory.seen_alive.remove(&id(n));
        memory.lost.insert(id(n), ago(600));
    }
    assert!(held(&fleet, memory.clone()));
    let booted = Context {
        booted_at: Some(ago(1)),
        ..context()
    };
    assert_eq!(survey(&fleet, &booted, memory.clone()).mass, None);
    memory.acknowledged = Some(ago(599));
    assert_eq!(survey(&fleet, &context(), memory).mass, None);
}

#[test]
fn sessions_that_are_not_due_count_as_they_were() {
    let fleet = fleet(6, 4);
    let mut memory = seen(10, ago(2));
    for n in 1..6 {
        memory.seen_alive.remove(&id(n));
        memory.lost.insert(id(n), ago(5));
    }
    // Only the first is looked at, and five others were lost a moment ago.
    assert!(held(&fleet[..1], memory.clone()));
    let survey = survey(&fleet[..1], &context(), memory);
    assert_eq!(survey.lost.len(), 6);
}

#[test]
fn one_that_comes_back_is_no_loss_any_more() {
    let mut fleet = fleet(4, 0);
    fleet[3].session.times.heartbeat = Some(ago(1));
    assert!(!held(&fleet, seen(4, ago(2))));
}

#[test]
fn a_person_can_say_that_it_is_real() {
    let memory = Memory {
        acknowledged: Some(NOW),
        ..seen(10, ago(2))
    };
    assert!(!held(&fleet(6, 4), memory));
}

#[test]
fn the_common_cause_is_named() {
    let survey = survey(&fleet(6, 4), &context(), seen(10, ago(2)));
    let words = survey.mass.expect("a mass loss").describe();
    assert!(
        words.contains("6 of 10") && words.contains("worktree is missing"),
        "{words}"
    );
}

#[test]
fn siblings_of_a_few_are_those_that_they_have_among_all() {
    // More on one branch than a session names, some twice on an issue, some alone, some without a repository.
    let sessions: Vec<_> = (0..120u64)
        .map(|number| {
            let mut session = session(&format!("s{number}"), State::Running);
            session.repo = (number % 7 != 0).then(|| format!("o/r{}", number % 2));
            session.issue = Some(number / 4);
            session.branch = (number % 5 != 0).then(|| "b".to_owned());
            session
        })
        .collect();
    let all = siblings(&sessions);
    assert!(all.iter().any(|others| others.len() > 15));
    let kin: Vec<Kin<'_>> = sessions.iter().map(Kin::of).collect();
    let wanted = [119, 3, 0, 17, 3, 120];
    let some = siblings_of(&kin, &wanted);
    assert_eq!(some.len(), wanted.len());
    for (place, others) in wanted.into_iter().zip(some) {
        assert_eq!(&others, all.get(place).unwrap_or(&Vec::new()), "{place}");
    }
}

#[test]
fn siblings_share_an_issue_or_a_branch_and_duplicates_the_issue() {
    let mut sessions = vec![
        session("a", State::Running),
        session("b", State::Failed),
        session("c", State::Running),
    ];
    sessions[1].issue = Some(300);
    sessions[2].branch = Some("other".into());
    let found = siblings(&sessions);
    let names = |n: usize| -> Vec<(String, bool)> {
        found[n]
            .iter()
            .map(|one| (one.id.clone(), one.duplicate))
            .collect()
    };
    assert_eq!(names(0), [("b".into(), false), ("c".into(), true)]);
    assert_eq!(names(1), [("a".into(), false)]);
    assert_eq!(names(2), [("a".into(), true)]);
}
