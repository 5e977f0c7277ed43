//! Values as GitHub writes them, and as it never should.

use serde_json::{Value, json};
use vigil_core::forge::PullRequestState;
use vigil_core::{Fact, GapKind, Timestamp};
use vigil_github::Query;
use vigil_github::choose::{Candidates, More};
use vigil_github::learn::{Answered, Finding};

use super::*;
use crate::support::*;

#[test]
fn what_github_says_is_found() {
    let learned = answered(
        &one_session(),
        both(
            issue("Acme/App", 299, false),
            pull_request(319, "MERGED", Some("acme")),
        ),
    );
    let issue = issue_of(&learned).found().expect("an issue");
    assert!(!issue.open);
    assert_eq!(issue.reason.as_deref(), Some("completed"));
    assert_eq!(issue.labels, ["bug", "vigilante:done"]);
    assert_eq!(issue.closed, Some(Timestamp(NOW.0 - 30 * 60_000)));
    assert_eq!(issue.observed, NOW);
    let pr = pull_request_of(&learned).found().expect("a pull request");
    assert_eq!(pr.state, PullRequestState::Merged);
    assert_eq!(pr.merged, Some(Timestamp(NOW.0 - 20 * 60_000)));
    assert_eq!(pr.closed, pr.merged);
    assert_eq!(pr.head_owner.as_deref(), Some("acme"));
    assert_eq!(pr.review, Fact::Found("approved".to_owned()));
    assert_eq!(pr.checks, Fact::Found("passing".to_owned()));
    // Of an ended one GitHub says nothing about mergeability that means anything.
    assert!(pr.mergeability.is_absent());
    assert_eq!(learned.cost, Some(1));
    assert_eq!(learned.meter.remaining, Some(4999));
    assert_eq!(learned.meter.reset, Some(Timestamp(NOW.0 + 3_600_000)));
}

#[test]
fn the_parts_of_a_pull_request_have_words_of_their_own() {
    let part = |changes: Value| {
        let mut pr = pull_request(319, "OPEN", Some("acme"));
        for (name, value) in changes.as_object().expect("an object") {
            pr[name] = value.clone();
        }
        let learned = answered(&one_session(), both(issue("acme/app", 299, true), pr));
        pull_request_of(&learned)
            .found()
            .expect("a pull request")
            .clone()
    };
    for (state, word) in [
        ("SUCCESS", "passing"),
        ("PENDING", "pending"),
        ("EXPECTED", "pending"),
        ("FAILURE", "failing"),
        ("ERROR", "failing"),
    ] {
        let pr = part(json!({ "statusCheckRollup": { "state": state } }));
        assert_eq!(pr.checks, Fact::Found(word.to_owned()), "{state}");
    }
    assert!(
        part(json!({ "statusCheckRollup": null }))
            .checks
            .is_absent()
    );
    assert_eq!(
        kind(&part(json!({ "statusCheckRollup": { "state": "NEW" } })).checks),
        "malformed"
    );
    for (decision, word) in [
        ("APPROVED", "approved"),
        ("CHANGES_REQUESTED", "changes-requested"),
        ("REVIEW_REQUIRED", "review-required"),
    ] {
        let pr = part(json!({ "reviewDecision": decision }));
        assert_eq!(pr.review, Fact::Found(word.to_owned()));
    }
    assert!(part(json!({ "reviewDecision": null })).review.is_absent());
    for (mergeable, state, expected) in [
        ("MERGEABLE", "HAS_HOOKS", Some((true, "has-hooks"))),
        ("CONFLICTING", "DIRTY", Some((false, "dirty"))),
        ("UNKNOWN", "CLEAN", None),
        ("MERGEABLE", "UNKNOWN", None),
    ] {
        let pr = part(json!({ "mergeable": mergeable, "mergeStateStatus": state }));
        match expected {
            Some((can, word)) => {
                let found = pr.mergeability.found().expect(mergeable);
                assert_eq!((found.mergeable, found.merge_state.as_str()), (can, word));
            }
            None => assert_eq!(kind(&pr.mergeability), "not-ready"),
        }
    }
}

#[test]
fn a_field_that_is_missing_is_malformed_and_not_null() {
    for field in [
        "id",
        "updatedAt",
        "number",
        "repository",
        "issueState",
        "stateReason",
        "closedAt",
        "labels",
        "__typename",
    ] {
        let mut without = issue("acme/app", 299, false);
        without.as_object_mut().expect("an object").remove(field);
        let learned = answered(
            &one_session(),
            both(without, pull_request(319, "OPEN", None)),
        );
        assert_eq!(kind(issue_of(&learned)), "malformed", "{field}");
    }
    for field in [
        "id",
        "updatedAt",
        "number",
        "prState",
        "isDraft",
        "createdAt",
        "mergedAt",
        "closedAt",
        "url",
        "headRefName",
        "baseRefName",
        "headRefOid",
        "headRepositoryOwner",
        "mergeCommit",
    ] {
        let mut without = pull_request(319, "MERGED", None);
        without.as_object_mut().expect("an object").remove(field);
        let learned = answered(&one_session(), both(issue("acme/app", 299, true), without));
        assert_eq!(kind(pull_request_of(&learned)), "malformed", "{field}");
    }
    for (field, part) in [
        ("reviewDecision", 0),
        ("statusCheckRollup", 1),
        ("mergeable", 2),
        ("mergeStateStatus", 2),
    ] {
        let mut without = pull_request(319, "OPEN", None);
        without.as_object_mut().expect("an object").remove(field);
        let learned = answered(&one_session(), both(issue("acme/app", 299, true), without));
        let pr = pull_request_of(&learned).found().expect(field);
        let kinds = [kind(&pr.review), kind(&pr.checks), kind(&pr.mergeability)];
        assert_eq!(kinds[part], "malformed", "{field}");
        assert_eq!(kinds.iter().filter(|kind| **kind == "malformed").count(), 1);
    }
}

#[test]
fn contradictions_and_nonsense_are_malformed() {
    for (field, value) in [
        ("issueState", json!("HALF_OPEN")),
        ("closedAt", json!(null)),
        ("closedAt", json!("yesterday")),
        ("closedAt", json!("1900-01-01T00:00:00Z")),
        ("number", json!("299")),
        (
            "labels",
            json!({ "pageInfo": { "hasNextPage": false }, "nodes": [null] }),
        ),
        ("repository", json!({ "nameWithOwner": "acme" })),
    ] {
        let mut bad = issue("acme/app", 299, false);
        bad[field] = value;
        let learned = answered(&one_session(), both(bad, Value::Null));
        assert_eq!(kind(issue_of(&learned)), "malformed", "{field}");
    }
    for (field, value) in [
        ("prState", json!("DRAFT")),
        ("mergedAt", json!(null)),
        ("createdAt", json!(12)),
        ("isDraft", json!("no")),
    ] {
        let mut bad = pull_request(319, "MERGED", None);
        bad[field] = value;
        let learned = answered(&one_session(), both(Value::Null, bad));
        assert_eq!(kind(pull_request_of(&learned)), "malformed", "{field}");
    }
}

#[test]
fn another_thing_under_the_number_is_not_taken_for_the_issue() {
    let moved = answered(
        &one_session(),
        both(issue("acme/elsewhere", 12, true), Value::Null),
    );
    assert_eq!(kind(issue_of(&moved)), "identity-changed");
    let pull = answered(
        &one_session(),
        both(json!({ "__typename": "PullRequest" }), Value::Null),
    );
    assert_eq!(kind(issue_of(&pull)), "identity-changed");
    let other = answered(
        &one_session(),
        both(Value::Null, pull_request(320, "OPEN", Some("acme"))),
    );
    assert_eq!(kind(pull_request_of(&other)), "identity-changed");
}

#[test]
fn too_many_labels_for_a_page_are_no_complete_list() {
    let mut crowded = issue("acme/app", 299, true);
    crowded["labels"]["pageInfo"]["hasNextPage"] = true.into();
    let learned = answered(&one_session(), both(crowded, Value::Null));
    assert_eq!(kind(issue_of(&learned)), "too-large");
}

/// The list of one branch, item 1 of its query.
fn branch(list: Value, errors: Value) -> (Answered, Query) {
    let query = query(&[by_branch("acme/app", 299, "vigilante/issue-299", ALL)]);
    let body = json!({
        "data": { "repository0": repository("acme/app", json!({ "item0": issue("acme/app", 299, true), "item1": list })) },
        "errors": errors,
    });
    (answered(&query, body), query)
}

fn candidates(answered: &Answered) -> &Candidates {
    match &answered.findings[1].1 {
        Finding::Branch(list) => list,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_branch_has_a_list_with_or_without_an_end() {
    let node = pull_request(319, "OPEN", Some("acme"));
    let (all, _) = branch(
        json!({ "pageInfo": { "hasNextPage": false, "endCursor": "Y" }, "nodes": [node] }),
        Value::Null,
    );
    assert_eq!(candidates(&all).known.len(), 1);
    assert_eq!(candidates(&all).more, More::Complete);
    let (some, _) = branch(
        json!({ "pageInfo": { "hasNextPage": true, "endCursor": "Y" }, "nodes": [] }),
        Value::Null,
    );
    assert_eq!(candidates(&some).more, More::After("Y".to_owned()));
    for page in [
        json!({ "hasNextPage": true, "endCursor": null }),
        json!({ "hasNextPage": null, "endCursor": null }),
        json!(null),
    ] {
        let (learned, _) = branch(json!({ "pageInfo": page, "nodes": [] }), Value::Null);
        assert!(
            matches!(&candidates(&learned).more, More::Lost(gap) if gap.kind == GapKind::Malformed)
        );
    }
}

#[test]
fn one_unreadable_pull_request_makes_a_branch_unknown() {
    let node = pull_request(319, "OPEN", Some("acme"));
    let list =
        json!({ "pageInfo": { "hasNextPage": false, "endCursor": null }, "nodes": [node, null] });
    let (silent, _) = branch(list.clone(), Value::Null);
    assert!(matches!(&candidates(&silent).more, More::Lost(gap) if gap.kind == GapKind::Malformed));
    let (denied, _) = branch(
        list,
        error("FORBIDDEN", json!(["repository0", "item1", "nodes", 1])),
    );
    assert!(candidates(&denied).known.is_empty());
    assert!(matches!(&candidates(&denied).more, More::Lost(gap) if gap.kind == GapKind::Denied));
}

#[test]
fn a_refused_part_of_one_in_a_list_is_that_ones_alone() {
    let mut second = pull_request(318, "CLOSED", Some("acme"));
    second["statusCheckRollup"] = Value::Null;
    let first = pull_request(319, "OPEN", Some("acme"));
    let list = json!({ "pageInfo": { "hasNextPage": false, "endCursor": null }, "nodes": [first, second] });
    let path = json!(["repository0", "item1", "nodes", 1, "statusCheckRollup"]);
    let (learned, _) = branch(list, error("FORBIDDEN", path));
    let known = &candidates(&learned).known;
    assert_eq!(
        known[0].pull_request.checks,
        Fact::Found("passing".to_owned())
    );
    assert_eq!(kind(&known[1].pull_request.checks), "denied");
}
