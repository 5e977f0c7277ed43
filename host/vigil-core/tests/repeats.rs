//! Moves that were made before: who took them back decides whether they are made again, and a block of vigil's own is
//! not let go for ever.

mod common;

use common::*;
use vigil_core::decide::{Action, decide};
use vigil_core::forge::PullRequestState::{Merged, Open};
use vigil_core::guard::Code;
use vigil_core::named::{NamedFact, Value};
use vigil_core::survey::{Memory, PastMove, Reversal, survey};
use vigil_core::verdict::Verdict;
use vigil_core::{Evidence, State};

#[test]
fn what_vigil_or_a_stale_copy_took_back_is_no_word_of_the_owners() {
    let evidence = evidence(State::Running);
    let ruled = |moves: &[(Reversal, u64)]| {
        let moves = moves
            .iter()
            .map(|(reversal, minutes)| PastMove {
                reversal: *reversal,
                ..past(false, true, *minutes)
            })
            .collect();
        let memory = Memory {
            past: [(evidence.session.id.clone(), moves)].into(),
            ..Memory::default()
        };
        let survey = survey::<Evidence>(&[], &context(), memory);
        let answers = [answer("p", Verdict::Transition(State::Succeeded))];
        let ruling = decide(&evidence, &answers, &asked(), &survey, &context());
        let codes: Vec<Code> = ruling.guards.iter().map(|guard| guard.code).collect();
        (ruling.action, codes, ruling.look_again_after_ms)
    };
    use Reversal::{Own, Owner, StaleCopy};
    let made = || (Action::Move(State::Succeeded), Vec::new(), None);
    // vigil's own moves on count for nothing, however many.
    assert_eq!(
        ruled(&[(Own, 60), (Own, 50), (Own, 40), (Owner, 30)]),
        made()
    );
    // A stale copy: again at once, then after 1, 2, 4, 8 and at most 15 minutes.
    assert_eq!(ruled(&[(StaleCopy, 0)]), made());
    let waits = |left| (Action::Refuse, vec![Code::FreshRead], Some(left * MINUTE));
    assert_eq!(ruled(&[(StaleCopy, 1), (StaleCopy, 0)]), waits(1));
    assert_eq!(ruled(&[(StaleCopy, 2), (StaleCopy, 1)]), made());
    let many = |last| [9, 8, 7, 6, 5, 4, last].map(|minutes| (StaleCopy, minutes));
    assert_eq!(ruled(&many(3)), waits(12));
    assert_eq!(ruled(&[(StaleCopy, 15); 9]), made());
    // They are no step towards a disagreement either.
    assert_eq!(
        ruled(&[(Owner, 60), (StaleCopy, 30), (StaleCopy, 20)]),
        made()
    );
    let (action, codes, _) = ruled(&[(Owner, 60), (StaleCopy, 30), (Owner, 20)]);
    assert_eq!(
        (action, codes),
        (Action::Refuse, vec![Code::OwnerDisagrees])
    );
}

#[test]
fn a_block_of_vigils_own_is_let_go_twice_a_day_and_an_end_always() {
    let mut evidence = evidence(State::Blocked);
    evidence.pull_request = pull(Open);
    let own = [("blocked-by", "vigil"), ("blocked-rule", "closed-pr")];
    let own = own.map(|(name, text)| NamedFact::found(name, Value::Text(text.to_owned())));
    evidence.session.facts = own.to_vec();
    let flip = |minutes| PastMove {
        from: State::Blocked,
        to: State::Maintaining,
        reversal: Reversal::Own,
        ..past(false, false, minutes)
    };
    let with = |evidence: &Evidence, moves: Vec<PastMove>, to| {
        let memory = Memory {
            past: [(evidence.session.id.clone(), moves)].into(),
            ..Memory::default()
        };
        ruled_with(evidence, to, memory, false)
    };
    let go = State::Maintaining;
    assert_eq!(with(&evidence, vec![flip(60)], go), moved(go));
    let twice = || vec![flip(23 * 60), flip(60)];
    assert_eq!(with(&evidence, twice(), go), refused(Code::Flapping));
    assert_eq!(
        with(&evidence, vec![flip(24 * 60), flip(60)], go),
        moved(go)
    );
    // What somebody else blocked never was vigil's to let go, and does not flap.
    let mut foreign = evidence.clone();
    foreign.session.facts.clear();
    assert_eq!(with(&foreign, twice(), go), moved(go));
    evidence.pull_request = pull(Merged);
    let end = State::Succeeded;
    assert_eq!(with(&evidence, twice(), end), moved(end));
}
