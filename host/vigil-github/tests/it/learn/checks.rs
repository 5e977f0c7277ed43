//! CI: its summary, its single checks, and runs that wait for a person.

use serde_json::{Value, json};
use vigil_core::forge::PullRequest;
use vigil_core::{Fact, Gap, GapKind};
use vigil_github::convert::{second, sum_up};
use vigil_github::{ChecksSoFar, Parts, Query};

use super::*;
use crate::support::*;

const OTHER: &str = "0000000000000000000000000000000000000000";

/// The pull request, after `change`, as `wants` see it.
fn read(wants: Parts, change: impl FnOnce(&mut Value)) -> PullRequest {
    let query = query(&[by_number(
        "acme/app",
        299,
        319,
        Wants {
            parts: wants,
            ..LEAN
        },
    )]);
    let mut pr = pull_request(319, "OPEN", Some("acme"));
    change(&mut pr);
    let learned = answered(&query, both(issue("acme/app", 299, true), pr));
    pull_request_of(&learned)
        .found()
        .expect("a pull request")
        .clone()
}

fn rollup(state: Option<&str>) -> Value {
    state.map_or(
        Value::Null,
        |state| json!({ "state": state, "commit": { "oid": HEAD } }),
    )
}

fn suites(pr: &mut Value) -> &mut Value {
    &mut pr["commits"]["nodes"][0]["commit"]["checkSuites"]
}

fn contexts(pr: &mut Value) -> &mut Value {
    &mut pr["commits"]["nodes"][0]["commit"]["statusCheckRollup"]["contexts"]
}

fn suite(status: &str, conclusion: Option<&str>) -> Value {
    json!({ "status": status, "conclusion": conclusion, "workflowRun": {
        "event": "pull_request_target", "workflow": { "name": "CI" },
    } })
}

/// What a fact comes to in one word.
fn word(fact: &Fact<String>) -> &str {
    fact.found().map_or_else(|| kind(fact), String::as_str)
}

#[test]
fn failing_outweighs_held_outweighs_pending_outweighs_passing() {
    let states = [
        (Some("FAILURE"), "failing", "failing"),
        (Some("ERROR"), "failing", "failing"),
        (Some("PENDING"), "pending", "held"),
        (Some("EXPECTED"), "pending", "held"),
        (Some("SUCCESS"), "passing", "held"),
        // Runs that are held do not show in the roll-up, so that there may be none at all.
        (None, "absent", "held"),
    ];
    for (state, alone, with_held) in states {
        for (held, expected) in [(false, alone), (true, with_held)] {
            let pr = read(Parts::CHECKS | Parts::RUNS, |pr| {
                pr["statusCheckRollup"] = rollup(state);
                if held {
                    suites(pr)["nodes"] = json!([suite("COMPLETED", Some("ACTION_REQUIRED"))]);
                }
            });
            assert_eq!(word(&pr.checks), expected, "{state:?}, held: {held}");
        }
    }
}

#[test]
fn a_run_is_held_for_an_approval_or_a_deployment() {
    for (status, conclusion, waits_for) in [
        ("COMPLETED", Some("ACTION_REQUIRED"), Some("approval")),
        ("REQUESTED", None, Some("approval")),
        ("ACTION_REQUIRED", None, Some("approval")),
        ("WAITING", None, Some("deployment")),
        ("QUEUED", None, None),
        ("IN_PROGRESS", None, None),
        ("PENDING", None, None),
        ("COMPLETED", Some("SUCCESS"), None),
        ("COMPLETED", Some("FAILURE"), None),
        ("WAITING", Some("CANCELLED"), None),
    ] {
        let pr = read(Parts::RUNS, |pr| {
            suites(pr)["nodes"] = json!([suite("QUEUED", None), suite(status, conclusion)]);
        });
        let runs = pr.runs.found().expect("an answer");
        let found = runs.first().map(|run| run.waits_for.as_str());
        assert_eq!(found, waits_for, "{status} {conclusion:?}");
        if let Some(run) = runs.first() {
            assert_eq!(run.name.as_deref(), Some("CI"));
            assert_eq!(run.event.as_deref(), Some("pull_request_target"));
        }
        // Nobody asked for the summary.
        assert_eq!(pr.checks, Fact::NotAsked);
    }
}

#[test]
fn a_held_run_shows_although_the_run_itself_cannot_be_seen() {
    let query = query(&[by_number("acme/app", 299, 319, EVERYTHING)]);
    let mut pr = pull_request(319, "OPEN", Some("acme"));
    let mut held = suite("COMPLETED", Some("ACTION_REQUIRED"));
    held["workflowRun"] = Value::Null;
    suites(&mut pr)["nodes"] = json!([held]);
    let path = [
        "repository0",
        "item1",
        "commits",
        "nodes",
        "0",
        "commit",
        "checkSuites",
        "nodes",
        "0",
        "workflowRun",
    ];
    let body = with_errors(
        both(issue("acme/app", 299, true), pr),
        error("FORBIDDEN", json!(path)),
    );
    let learned = answered(&query, body);
    let pr = pull_request_of(&learned).found().expect("a pull request");
    assert_eq!(word(&pr.checks), "held");
    let runs = pr.runs.found().expect("runs");
    assert_eq!(
        (runs.len(), &runs[0].name, &runs[0].event),
        (1, &None, &None)
    );
}

#[test]
fn what_could_not_be_seen_of_runs_never_reads_as_passing() {
    for (state, expected) in [
        (Some("SUCCESS"), "denied"),
        (Some("PENDING"), "denied"),
        (None, "denied"),
        (Some("FAILURE"), "failing"),
    ] {
        let mut pr = pull_request(319, "OPEN", Some("acme"));
        pr["statusCheckRollup"] = rollup(state);
        *suites(&mut pr) = Value::Null;
        let path = [
            "repository0",
            "item1",
            "commits",
            "nodes",
            "0",
            "commit",
            "checkSuites",
        ];
        let body = with_errors(
            both(issue("acme/app", 299, true), pr),
            error("FORBIDDEN", json!(path)),
        );
        let learned = answered(&everything(), body);
        let pr = pull_request_of(&learned).found().expect("a pull request");
        assert_eq!(word(&pr.checks), expected, "{state:?}");
        assert_eq!(kind(&pr.runs), "denied");
        assert_eq!(kind(&pr.check_list), "found");
    }
    // More suites than one page holds may hide a held one.
    let pr = read(Parts::CHECKS | Parts::RUNS, |pr| {
        suites(pr)["pageInfo"]["hasNextPage"] = true.into();
    });
    assert_eq!(
        (kind(&pr.runs), word(&pr.checks)),
        ("too-large", "too-large")
    );
}

#[test]
fn only_the_newest_head_counts() {
    let moved = read(Parts::all(), |pr| {
        pr["commits"]["nodes"][0]["commit"]["oid"] = OTHER.into();
    });
    assert_eq!(kind(&moved.runs), "not-ready");
    assert_eq!(kind(&moved.check_list), "not-ready");
    assert_eq!(word(&moved.checks), "not-ready");
    let lagging = read(Parts::CHECKS, |pr| {
        pr["statusCheckRollup"]["commit"]["oid"] = OTHER.into();
    });
    assert_eq!(word(&lagging.checks), "not-ready");
    // Where GitHub does not say whose they are, they are the head's.
    let untold = read(Parts::CHECKS, |pr| {
        pr["statusCheckRollup"]["commit"] = Value::Null;
    });
    assert_eq!(word(&untold.checks), "passing");
    // The branch of an ended pull request goes on without it.
    let ended = read(Parts::all(), |pr| {
        *pr = pull_request(319, "MERGED", Some("acme"));
        pr["statusCheckRollup"]["commit"]["oid"] = OTHER.into();
        pr["commits"]["nodes"][0]["commit"]["oid"] = OTHER.into();
    });
    assert_eq!(kind(&ended.runs), "absent");
    assert_eq!(kind(&ended.check_list), "absent");
    assert_eq!(word(&ended.checks), "absent");
}

#[test]
fn single_checks_have_githubs_own_words() {
    let run = |status: &str, conclusion: Option<&str>| json!({ "__typename": "CheckRun", "name": "build", "status": status, "conclusion": conclusion });
    let status = |state: &str| json!({ "__typename": "StatusContext", "context": "ci/old", "contextState": state });
    for (node, name, outcome) in [
        (run("COMPLETED", Some("TIMED_OUT")), "build", "timed-out"),
        (
            run("COMPLETED", Some("ACTION_REQUIRED")),
            "build",
            "action-required",
        ),
        (
            run("COMPLETED", Some("STARTUP_FAILURE")),
            "build",
            "startup-failure",
        ),
        (run("IN_PROGRESS", None), "build", "pending"),
        (run("QUEUED", Some("FAILURE")), "build", "pending"),
        (status("FAILURE"), "ci/old", "failure"),
        (status("ERROR"), "ci/old", "error"),
        (status("EXPECTED"), "ci/old", "pending"),
        (status("PENDING"), "ci/old", "pending"),
    ] {
        let pr = read(Parts::CHECK_LIST, |pr| {
            contexts(pr)["nodes"] = json!([node.clone()]);
        });
        let list = pr.check_list.found().expect("a list");
        assert_eq!(
            (list[0].name.as_str(), list[0].outcome.as_str()),
            (name, outcome),
            "{node}"
        );
    }
    for odd in [run("COMPLETED", None), json!({ "__typename": "Oracle" })] {
        let pr = read(Parts::CHECK_LIST, |pr| contexts(pr)["nodes"] = json!([odd]));
        assert_eq!(kind(&pr.check_list), "malformed");
    }
    let pr = read(Parts::CHECK_LIST, |pr| {
        pr["commits"]["nodes"][0]["commit"]["statusCheckRollup"] = Value::Null;
    });
    assert_eq!(kind(&pr.check_list), "absent");
}

/// A fine-grained token sees the state of the checks, and commit statuses, but not the runs of checks.
#[test]
fn checks_that_a_token_may_not_see_leave_the_summary() {
    let mut pr = pull_request(319, "OPEN", Some("acme"));
    contexts(&mut pr)["nodes"][0] = Value::Null;
    let path = [
        "repository0",
        "item1",
        "commits",
        "nodes",
        "0",
        "commit",
        "statusCheckRollup",
        "contexts",
        "nodes",
        "0",
    ];
    let whole = both(issue("acme/app", 299, true), pr);
    let learned = answered(
        &everything(),
        with_errors(whole.clone(), error("FORBIDDEN", json!(path))),
    );
    let pr = pull_request_of(&learned).found().expect("a pull request");
    assert_eq!(
        (kind(&pr.check_list), word(&pr.checks)),
        ("denied", "passing")
    );
    // A null is no check, with an error or without.
    let learned = answered(&everything(), whole);
    let pr = pull_request_of(&learned).found().expect("a pull request");
    assert_eq!(
        (kind(&pr.check_list), word(&pr.checks)),
        ("malformed", "passing")
    );
}

/// The answer to `query` with a page of `count` checks.
fn page(query: &Query, count: usize, cursor: Option<&str>, head: &str) -> Answered {
    let mut pr = pull_request(319, "OPEN", Some("acme"));
    pr["headRefOid"] = head.into();
    pr["statusCheckRollup"]["commit"]["oid"] = head.into();
    pr["commits"]["nodes"][0]["commit"]["oid"] = head.into();
    let nodes: Vec<Value> = (0..count)
        .map(|n| json!({ "__typename": "CheckRun", "name": n.to_string(), "status": "COMPLETED", "conclusion": "SUCCESS" }))
        .collect();
    *contexts(&mut pr) = json!({
        "pageInfo": { "hasNextPage": cursor.is_some(), "endCursor": cursor },
        "nodes": nodes,
    });
    let body = json!({ "data": { "repository0": repository("acme/app", json!({ "item0": pr })) } });
    answered(query, body)
}

fn pull_of(learned: &Answered) -> &PullRequest {
    match &learned.findings[0].1 {
        Finding::PullRequest(seen) => seen.fact.found().expect("a pull request"),
        other => panic!("{other:?}"),
    }
}

fn first_page() -> Query {
    let wants = Wants {
        parts: Parts::CHECKS | Parts::CHECK_LIST,
        ..Wants::NOTHING
    };
    query(&[by_number("acme/app", 299, 319, wants)])
}

#[test]
fn more_checks_than_a_page_holds_are_read_to_the_end() {
    let first = page(&first_page(), 100, Some("c1"), HEAD);
    // Until then nobody knows the list; the summary stands.
    assert_eq!(kind(&pull_of(&first).check_list), "too-large");
    assert_eq!(word(&pull_of(&first).checks), "passing");
    assert_eq!(first.more.len(), 1);
    let query = Query::new(first.more);
    assert_eq!(query.variables["checks0"], json!("c1"));
    assert!(
        query.document.contains("after: $checks0"),
        "{}",
        query.document
    );
    let second = page(&query, 7, None, HEAD);
    assert_eq!(pull_of(&second).check_list.found().map(Vec::len), Some(107));
    assert!(second.more.is_empty());

    // A push in between starts the list anew.
    let moved = page(&query, 7, None, OTHER);
    assert_eq!(kind(&pull_of(&moved).check_list), "not-ready");
    assert!(moved.more.is_empty());
}

#[test]
fn a_list_of_checks_without_an_end_is_given_up() {
    let mut query = first_page();
    for n in 0..5 {
        let learned = page(&query, 100, Some(&format!("c{n}")), HEAD);
        assert_eq!(learned.more.len(), 1, "page {n}");
        query = Query::new(learned.more);
    }
    let last = page(&query, 100, Some("c6"), HEAD);
    assert!(last.more.is_empty());
    assert_eq!(kind(&pull_of(&last).check_list), "too-large");
    assert_eq!(word(&pull_of(&last).checks), "passing");
    // More without a way to it is no page.
    let stuck = page(&first_page(), 100, Some(""), HEAD);
    assert_eq!(
        (stuck.more.len(), kind(&pull_of(&stuck).check_list)),
        (0, "malformed")
    );
}

#[test]
fn where_the_list_goes_on_is_only_asked_with_the_list() {
    let mut question = first_page().questions.remove(0);
    question.checks_so_far = Some(ChecksSoFar {
        head: HEAD.to_owned(),
        known: Vec::new(),
        after: "c1".to_owned(),
        pages: 1,
    });
    question.parts = Parts::CHECKS;
    let query = Query::new(vec![question]);
    assert!(!query.document.contains("checks0"), "{}", query.document);
    assert!(!query.variables.contains_key("checks0"));
}

#[test]
fn the_long_lists_of_a_branch_wait_for_a_look_at_the_pull_request() {
    let query = query(&[by_branch(
        "acme/app",
        299,
        "vigilante/issue-299",
        EVERYTHING,
    )]);
    assert!(!query.document.contains("commits"), "{}", query.document);
    let list = json!({ "pageInfo": { "hasNextPage": false, "endCursor": null }, "nodes": [pull_request(319, "OPEN", Some("acme"))] });
    let learned = answered(&query, both(issue("acme/app", 299, true), list));
    match &learned.findings[1].1 {
        Finding::Branch(list) => {
            let pr = &list.known[0].pull_request;
            assert_eq!(
                (kind(&pr.runs), kind(&pr.check_list)),
                ("not-ready", "not-ready")
            );
            assert_eq!(word(&pr.checks), "not-ready");
            assert_eq!(kind(&pr.review_list), "found");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_second_look_is_taken_only_where_it_can_matter() {
    let first = |state: &str, rollup_state: Option<&str>| {
        read(Parts::CHECKS, |pr| {
            *pr = pull_request(319, state, Some("acme"));
            pr["statusCheckRollup"] = rollup(rollup_state);
        })
    };
    let on = |state: &str, rollup_state: Option<&str>| {
        let mut pr = first(state, rollup_state);
        let open = second(&mut pr, Parts::all());
        let kinds = (kind(&pr.runs).to_owned(), kind(&pr.check_list).to_owned());
        (open, kinds.0, kinds.1, word(&pr.checks).to_owned())
    };
    let row = |open, runs: &str, list: &str, checks: &str| {
        (open, runs.to_owned(), list.to_owned(), checks.to_owned())
    };
    let passing = row(Parts::RUNS, "not-ready", "absent", "not-ready");
    assert_eq!(on("OPEN", Some("SUCCESS")), passing);
    let none = row(Parts::RUNS, "not-ready", "absent", "not-ready");
    assert_eq!(on("OPEN", None), none);
    let failing = row(Parts::CHECK_LIST, "absent", "not-ready", "failing");
    assert_eq!(on("OPEN", Some("FAILURE")), failing);
    let pending = row(Parts::SECOND, "not-ready", "not-ready", "not-ready");
    assert_eq!(on("OPEN", Some("PENDING")), pending);
    let merged = row(Parts::empty(), "absent", "absent", "passing");
    assert_eq!(on("MERGED", Some("SUCCESS")), merged);

    // Nobody wants it: nothing is touched.
    let mut pr = first("OPEN", Some("SUCCESS"));
    assert_eq!(second(&mut pr, Parts::CHECKS), Parts::empty());
    assert_eq!((kind(&pr.runs), word(&pr.checks)), ("not-asked", "passing"));
    // Without the summary both are looked at, and where it is denied the list is as well.
    let mut pr = read(Parts::empty(), |_| {});
    assert_eq!(second(&mut pr, Parts::SECOND), Parts::SECOND);
    pr.checks = Fact::from(Gap::new(GapKind::Denied, "no"));
    assert_eq!(second(&mut pr, Parts::SECOND), Parts::RUNS);
    assert_eq!(kind(&pr.check_list), "denied");
    // The first look brings what the choice rests on.
    assert_eq!(Parts::RUNS.first(), Parts::CHECKS);
    assert_eq!(
        (Parts::SECOND | Parts::QUEUE).first(),
        Parts::CHECKS | Parts::QUEUE
    );
    assert_eq!(Parts::REVIEWS.first(), Parts::REVIEWS);
}

#[test]
fn a_summary_that_nobody_knows_stays_unknown() {
    let gap = || Gap::new(GapKind::Denied, "no");
    let held = Fact::Found(vec![vigil_core::forge::HeldRun {
        name: None,
        event: None,
        waits_for: "approval".to_owned(),
    }]);
    assert_eq!(kind(&sum_up(&Fact::from(gap()), &held)), "denied");
    assert_eq!(sum_up(&Fact::NotAsked, &held), Fact::NotAsked);
    assert_eq!(
        kind(&sum_up(&Fact::absent_at(NOW), &Fact::Found(Vec::new()))),
        "absent"
    );
    assert_eq!(
        kind(&sum_up(&Fact::absent_at(NOW), &Fact::from(gap()))),
        "denied"
    );
}
