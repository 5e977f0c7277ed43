//! Why a session is where it is, when every policy passed: whose sentence counts before whose.

mod common;

use common::*;
use vigil_core::decide::{Action, Ruling, decide};
use vigil_core::session::OwnerWords;
use vigil_core::standing::{Brought, Origin, of_record, rule};
use vigil_core::survey::{Memory, survey};
use vigil_core::verdict::{PolicyAnswer, PolicyFailure, Verdict};
use vigil_core::{Evidence, State};

fn passed(policy: &str, rule: &str, reason: &str) -> PolicyAnswer {
    let mut answer = answer(policy, Verdict::Pass);
    if let Ok(decision) = &mut answer.answer {
        decision.rule = rule.into();
        decision.reason = reason.into();
    }
    answer
}

fn brought(to: State, grounds_stand: bool) -> Brought {
    Brought {
        name: "t12".into(),
        to,
        rule: "agent-gone".into(),
        reason: "the agent is gone".into(),
        grounds_stand,
    }
}

fn words(text: &str, by_vigil: bool) -> Option<OwnerWords> {
    Some(OwnerWords {
        text: text.into(),
        by_vigil,
    })
}

fn ruled(evidence: &Evidence, answers: &[PolicyAnswer], brought: Option<Brought>) -> Ruling {
    let id = evidence.session.id.clone();
    let memory = Memory {
        brought: brought
            .into_iter()
            .map(|brought| (id.clone(), brought))
            .collect(),
        ..Memory::default()
    };
    let survey = survey(std::slice::from_ref(evidence), &context(), memory);
    let ruling = decide(evidence, answers, &asked(), &survey, &context());
    // What the journal keeps tells the origin as well.
    let kept = Origin::of(
        &ruling.rule,
        ruling.policy.is_some(),
        ruling.proposed.is_some(),
    );
    assert_eq!(kept, ruling.origin, "{ruling:?}");
    ruling
}

#[track_caller]
fn check(ruling: &Ruling, origin: Origin, rule: &str, reason: &str) {
    assert_eq!(ruling.action, Action::Hold);
    assert_eq!(
        (ruling.origin, ruling.rule.as_str(), ruling.reason.as_str()),
        (origin, rule, reason)
    );
}

#[test]
fn the_first_that_knows_why_is_heard() {
    let mut evidence = evidence(State::Blocked);
    let nameless = passed("first", "", "no rule is about it");
    let chain = [
        nameless.clone(),
        passed("second", "open-pr", "PR #24 is open"),
        passed("third", "other", "another one"),
    ];
    let block = || Some(brought(State::Blocked, true));
    evidence.session.owner_words = words("vigil blocked it: the agent is gone", true);

    let given = ruled(&evidence, &chain, block());
    check(&given, Origin::Pass, "open-pr", "PR #24 is open");
    assert_eq!(given.policy.as_deref(), Some("second"));

    let nameless = std::slice::from_ref(&nameless);
    let of_move = ruled(&evidence, nameless, block());
    check(
        &of_move,
        Origin::Transition,
        "agent-gone",
        "the agent is gone (t12)",
    );
    assert_eq!(of_move.policy, None);

    // A journal that knows nothing of it: vigil's own words in the record are what is left.
    check(
        &ruled(&evidence, nameless, None),
        Origin::Owner,
        rule::OWNER_SAYS,
        "vigil blocked it: the agent is gone",
    );

    evidence.session.owner_words = None;
    check(
        &ruled(&evidence, nameless, None),
        Origin::Nobody,
        rule::UNEXPLAINED,
        "it is blocked, and nothing recorded says why (no rule is about it)",
    );
    check(
        &ruled(&evidence, &[passed("first", "", "")], None),
        Origin::Nobody,
        rule::UNEXPLAINED,
        "it is blocked, and nothing recorded says why",
    );
    check(
        &ruled(&evidence, &[], None),
        Origin::Nobody,
        rule::UNEXPLAINED,
        "it is blocked, and no policy is configured for it",
    );
}

#[test]
fn an_owner_that_had_its_say_since_is_not_talked_over() {
    let mut evidence = evidence(State::Blocked);
    evidence.session.owner_words = words("its account hit a limit", false);
    let nameless = [passed("p", "", "")];
    check(
        &ruled(&evidence, &nameless, Some(brought(State::Blocked, true))),
        Origin::Owner,
        rule::OWNER_SAYS,
        "its account hit a limit",
    );
    // What the forge says is told, and so is what the owner wrote down.
    check(
        &ruled(
            &evidence,
            &[passed("p", "closed-pr", "PR #1 was closed")],
            None,
        ),
        Origin::Pass,
        "closed-pr",
        "PR #1 was closed; its account hit a limit",
    );
}

#[test]
fn a_move_explains_a_state_only_while_the_session_is_where_it_led() {
    let nameless = [passed("p", "", "")];
    let evidence = evidence(State::Blocked);
    for to in State::ALL.into_iter().filter(|to| *to != State::Blocked) {
        let ruling = ruled(&evidence, &nameless, Some(brought(to, true)));
        assert_eq!(ruling.origin, Origin::Nobody, "{to}");
    }
    // What it rested on is past, and told as past.
    check(
        &ruled(&evidence, &nameless, Some(brought(State::Blocked, false))),
        Origin::Transition,
        "agent-gone",
        "t12 made it blocked because: the agent is gone; what that rested on has changed since",
    );
}

#[test]
fn whoever_has_a_verdict_speaks_before_every_standing_reason() {
    let mut evidence = evidence(State::Blocked);
    evidence.session.owner_words = words("its account hit a limit", false);
    let chain = [
        passed("first", "open-pr", "PR #24 is open"),
        answer("second", Verdict::Hold),
    ];
    check(
        &ruled(&evidence, &chain, Some(brought(State::Blocked, true))),
        Origin::Verdict,
        "a-rule",
        "because",
    );
}

#[test]
fn a_failure_that_lets_the_next_speak_gives_no_reason() {
    let evidence = evidence(State::Blocked);
    let mut failed = passed("broken", "x", "y");
    failed.answer = Err(PolicyFailure {
        kind: "trap".into(),
        detail: "unreachable".into(),
        passes: true,
    });
    check(
        &ruled(&evidence, &[failed], None),
        Origin::Nobody,
        rule::UNEXPLAINED,
        "it is blocked, and nothing recorded says why",
    );
}

#[test]
fn of_a_session_that_nobody_asks_about_its_record_tells() {
    let mut settled = evidence(State::Closed).session;
    let said = of_record(&settled, None);
    assert_eq!(
        (said.origin, said.reason.as_str()),
        (
            Origin::Nobody,
            "its record says closed, and the journal has no move of vigil's to that"
        )
    );
    let mut moved = Brought {
        name: "t7".to_owned(),
        to: State::Closed,
        rule: "closed-issue".to_owned(),
        reason: "issue #299 was closed".to_owned(),
        grounds_stand: true,
    };
    let said = of_record(&settled, Some(&moved));
    assert_eq!(
        (said.origin, said.rule.as_str(), said.reason.as_str()),
        (
            Origin::Transition,
            "closed-issue",
            "issue #299 was closed (t7)"
        )
    );
    moved.to = State::Succeeded;
    assert_eq!(of_record(&settled, Some(&moved)).origin, Origin::Nobody);
    settled.owner_words = words("it was cleaned up", false);
    let said = of_record(&settled, None);
    assert_eq!(
        (said.origin, said.reason.as_str()),
        (Origin::Owner, "it was cleaned up")
    );
}

#[test]
fn a_move_that_was_refused_says_why_it_was_not_made() {
    let mut evidence = evidence(State::Running);
    evidence.pull_request = vigil_core::Fact::absent_at(NOW);
    let chain = [answer("p", Verdict::Transition(State::Succeeded))];
    let ruling = ruled(&evidence, &chain, None);
    assert_eq!(ruling.action, Action::Refuse);
    let detail = &ruling.guards[0].detail;
    assert_eq!(ruling.reason, format!("because; not succeeded: {detail}"));
}
