//! Which questions a set of sessions comes down to when nothing is known, and what they cost.

use vigil_core::session::{Lookup, PullRequestRef};
use vigil_core::{Gap, GapKind};
use vigil_github::memory::{Doubt, Memory};
use vigil_github::round::{Body, Estimate};
use vigil_github::{Ask, Parts, Question, Target, Wants, points};

use crate::support::*;

fn questions(asks: &[Ask]) -> Vec<Question> {
    let needed = Memory::default().questions(asks, Doubt::Little, NOW);
    needed.into_iter().map(|needed| needed.question).collect()
}

#[test]
fn sessions_that_share_a_question_ask_it_once() {
    let asks = [
        by_number("acme/app", 299, 319, LEAN),
        by_number(
            "Acme/App",
            299,
            319,
            Wants {
                parts: Parts::CHECKS,
                ..LEAN
            },
        ),
        by_number("acme/app", 299, 320, LEAN),
    ];
    let questions = questions(&asks);
    assert_eq!(questions.len(), 3, "{questions:?}");
    // What either wants of it is asked.
    let shared = questions
        .iter()
        .find(|question| matches!(question.target, Target::PullRequest { number: 319, .. }))
        .expect("the shared one");
    assert_eq!(shared.parts, Parts::CHECKS);
}

#[test]
fn a_branch_is_asked_for_once_whoever_owns_its_head() {
    let mut fork = by_branch("acme/app", 1, "fix", LEAN);
    fork.lookup.pull_request = Ok(Some(PullRequestRef::by_branch(
        "acme/app".to_owned(),
        "fix".to_owned(),
        "robot".to_owned(),
    )));
    let asks = [
        by_branch("acme/app", 1, "fix", LEAN),
        fork,
        by_branch("acme/app", 1, "Fix", LEAN),
    ];
    let branches = questions(&asks)
        .into_iter()
        .filter(|question| matches!(question.target, Target::Branch { .. }))
        .count();
    // git tells upper from lower case.
    assert_eq!(branches, 2);
}

#[test]
fn what_nobody_wants_or_nobody_can_ask_costs_nothing() {
    let unaskable = Ask {
        lookup: Lookup {
            issue: Err(Gap::new(GapKind::Unsupported, "linear")),
            pull_request: Err(Gap::new(GapKind::Unrecorded, "neither branch nor number")),
        },
        wants: ALL,
        started: None,
        landing: vigil_core::landing::Landing::default(),
        local: vigil_github::ask::Local::default(),
    };
    let nonsense = [
        by_number("acme", 1, 1, ALL),
        by_number("acme/app/x", 1, 1, ALL),
        by_number("acme/app", 0, 1 << 31, ALL),
        by_number("acme/app", 1, 1, Wants::NOTHING),
    ];
    let mut asks = nonsense.to_vec();
    asks.push(unaskable);
    asks.push(by_branch("acme/app", u64::MAX, "", ALL));
    assert_eq!(questions(&asks), []);
    assert_eq!(questions(&[]), []);
    assert_eq!(round(&asks).cost(), Estimate::default());
}

#[test]
fn a_query_keeps_repositories_together() {
    let asks: Vec<_> = (0..100)
        .map(|n| by_number(&format!("acme/app-{}", n % 4), n + 1, n + 1000, LEAN))
        .collect();
    let mut round = round(&asks);
    assert_eq!((round.cost().queries, round.cost().questions), (3, 200));
    let first = round.next(NOW).expect("a query");
    let Body::GraphQl { variables, .. } = first.body else {
        panic!("{first:?}");
    };
    let named = |start: &str| {
        variables
            .keys()
            .filter(|name| name.starts_with(start))
            .count()
    };
    assert_eq!((named("number"), named("name")), (50, 1));
}

#[test]
fn the_price_follows_the_published_formula() {
    let lean = |count: u64| {
        let asks: Vec<_> = (1..=count)
            .map(|n| by_number("acme/app", n, n + 1000, LEAN))
            .collect();
        let queries = plan(&asks, 2000);
        queries.iter().map(points).collect::<Vec<_>>()
    };
    // One list for the labels of each issue; a pull request by number has none.
    assert_eq!(lean(1), [1]);
    assert_eq!(lean(100), [1]);
    assert_eq!(lean(149), [1]);
    assert_eq!(lean(150), [2]);
    assert_eq!(lean(249), [2]);
    assert_eq!(lean(250), [3]);
    // With the look-up by branch there are two.
    let asks: Vec<_> = (1..=75)
        .map(|n| by_branch("acme/app", n, &format!("b{n}"), ALL))
        .collect();
    assert_eq!(plan(&asks, 150)[0].connections, 150);
    assert_eq!(points(&plan(&asks, 150)[0]), 2);
    assert_eq!(points(&plan(&asks, 50)[0]), 1);
}

#[test]
fn wants_come_from_the_registered_names() {
    let wants = Wants::from_names(["issue", "checks", "runs", "made-up"]);
    assert_eq!(
        wants,
        Wants {
            issue: true,
            pull_request: true,
            parts: Parts::CHECKS | Parts::RUNS,
        }
    );
    assert!(!Wants::from_names(["issue"]).any_pull_request());
    assert_eq!(
        Wants::from_names(["issue", "pull-request", "mergeability", "reviews", "checks"]),
        ALL
    );
    assert_eq!(Wants::from_names([]), Wants::NOTHING);
}

#[test]
fn a_part_brings_along_what_it_is_a_part_of() {
    let on = |names: &[&str]| {
        let wants = Wants::from_names(names.iter().copied());
        (wants.issue, wants.pull_request)
    };
    for name in ["assignees", "issue-history"] {
        assert_eq!(on(&[name]), (true, false), "{name}");
    }
    for name in [
        "mergeability",
        "reviews",
        "review-list",
        "checks",
        "check-list",
        "runs",
        "merge-queue",
        "auto-merge",
    ] {
        assert_eq!(on(&[name]), (false, true), "{name}");
    }
    // Both have references: alone they bring both, else they are those of what is wanted anyway.
    assert_eq!(on(&["closing-references"]), (true, true));
    assert_eq!(on(&["closing-references", "issue"]), (true, false));
    assert_eq!(on(&["closing-references", "checks"]), (false, true));
    // However they were put together.
    let made = Wants {
        parts: Parts::RUNS,
        ..Wants::NOTHING
    };
    assert!(made.any_pull_request() && !made.any_issue());
}

#[test]
fn every_part_has_its_registered_name_and_its_thing() {
    let names: Vec<String> = Parts::all().iter().map(|part| part.to_string()).collect();
    assert_eq!(names.len(), 11);
    for name in &names {
        let parts = Wants::from_names([name.as_str()]).parts;
        assert_eq!(&parts.to_string(), name);
    }
    assert_eq!((Parts::CHECKS | Parts::RUNS).to_string(), "checks, runs");
    assert_eq!(Parts::empty().to_string(), "");
    assert_eq!(Parts::OF_ISSUE | Parts::OF_PULL_REQUEST, Parts::all());
    assert_eq!(Parts::OF_ISSUE & Parts::OF_PULL_REQUEST, Parts::REFERENCES);
    assert!(Parts::OF_PULL_REQUEST.contains(Parts::SECOND));
    // A part that is the other's is passed over.
    let wants = Wants {
        issue: true,
        pull_request: true,
        parts: Parts::all(),
    };
    let query = &plan(&[by_number("acme/app", 1, 2, wants)], 25)[0];
    assert_eq!(query.questions[0].parts, Parts::OF_ISSUE);
    assert_eq!(query.questions[1].parts, Parts::OF_PULL_REQUEST);
}

/// What is remembered between runs has to be read again.
#[test]
fn parts_are_kept_by_their_names() {
    for parts in [Parts::empty(), Parts::all(), Parts::CHECKS | Parts::HISTORY] {
        let text = serde_json::to_string(&parts).expect("JSON");
        assert_eq!(serde_json::from_str::<Parts>(&text).expect(&text), parts);
    }
    assert_eq!(
        serde_json::to_string(&(Parts::CHECKS | Parts::RUNS)).expect("JSON"),
        "\"CHECKS | RUNS\""
    );
}
