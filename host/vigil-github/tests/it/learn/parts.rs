//! What can be asked of an issue or a pull request beyond itself: values as GitHub writes them, and their errors.

use serde_json::{Value, json};
use vigil_core::forge::{Actor, Issue, PullRequest, Reference};
use vigil_core::{Fact, Timestamp};
use vigil_github::learn::Finding;
use vigil_github::{Parts, Repo};

use super::*;
use crate::support::*;

/// The issue with one field changed, everything asked for.
fn changed_issue(open: bool, field: &str, value: Value) -> Issue {
    let mut raw = issue("acme/app", 299, open);
    raw[field] = value;
    let learned = answered(
        &everything(),
        both(raw, pull_request(319, "OPEN", Some("acme"))),
    );
    issue_of(&learned).found().expect("an issue").clone()
}

/// The pull request with one field changed, everything asked for.
fn changed_pull(state: &str, field: &str, value: Value) -> PullRequest {
    let mut raw = pull_request(319, state, Some("acme"));
    raw[field] = value;
    let learned = answered(&everything(), both(issue("acme/app", 299, true), raw));
    pull_request_of(&learned)
        .found()
        .expect("a pull request")
        .clone()
}

#[test]
fn every_part_is_found_as_github_writes_it() {
    let learned = answered(
        &everything(),
        both(
            issue("acme/app", 299, false),
            pull_request(319, "OPEN", Some("acme")),
        ),
    );
    let reference = |number, state: &str| Reference {
        repo: "acme/app".to_owned(),
        number,
        state: state.to_owned(),
    };
    let ada = Actor {
        login: "ada".to_owned(),
        bot: false,
    };
    let issue = issue_of(&learned).found().expect("an issue");
    assert_eq!(issue.assignees, Fact::Found(vec!["ada".to_owned()]));
    let closer = issue.closer.found().expect("a closer");
    assert_eq!((closer.login.as_str(), closer.bot), ("robot", true));
    assert_eq!(issue.reopened, Fact::Found(1));
    assert_eq!(issue.closed_by, Fact::Found(vec![reference(319, "merged")]));

    let pr = pull_request_of(&learned).found().expect("a pull request");
    let reviews = pr.review_list.found().expect("reviews");
    assert_eq!(reviews.len(), 1);
    assert_eq!(reviews[0].author.as_ref(), Some(&ada));
    assert_eq!(reviews[0].state, "approved");
    assert_eq!(reviews[0].commit.as_deref(), Some(HEAD));
    assert_eq!(reviews[0].submitted, Some(Timestamp(NOW.0 - 30 * 60_000)));
    let queue = pr.queue.found().expect("a place in the queue");
    assert_eq!(
        (queue.position, queue.state.as_str()),
        (2, "awaiting-checks")
    );
    let wish = pr.auto_merge.found().expect("a wish");
    assert_eq!(
        (wish.method.as_str(), wish.by.as_ref()),
        ("squash", Some(&ada))
    );
    assert_eq!(pr.closes, Fact::Found(vec![reference(299, "open")]));
    assert_eq!(pr.created, Timestamp(NOW.0 - 40 * 60_000));
    assert_eq!(pr.parts_observed, NOW);
}

#[test]
fn what_tells_a_thing_from_its_namesake_comes_along() {
    let learned = answered(
        &one_session(),
        both(
            issue("acme/app", 299, true),
            pull_request(319, "OPEN", Some("acme")),
        ),
    );
    let moment = Some(Timestamp(NOW.0 - 10 * 60_000));
    match &learned.findings[0].1 {
        Finding::Issue(seen) => {
            assert_eq!((seen.id.as_deref(), seen.updated), (Some("I_299"), moment));
        }
        other => panic!("{other:?}"),
    }
    match &learned.findings[1].1 {
        Finding::PullRequest(seen) => {
            assert_eq!((seen.id.as_deref(), seen.updated), (Some("PR_319"), moment));
        }
        other => panic!("{other:?}"),
    }
    let repo = Repo::parse("acme/app").expect("a name");
    assert_eq!(learned.repositories, [(repo, "R_1".to_owned(), None)]);
}

#[test]
fn a_repository_tells_its_id_only_under_its_own_name() {
    let ids = |change: &dyn Fn(&mut Value)| {
        let mut body = both(Value::Null, Value::Null);
        change(&mut body);
        answered(&one_session(), body).repositories.len()
    };
    assert_eq!(ids(&|_| {}), 1);
    assert_eq!(
        ids(&|body| body["data"]["repository0"]["nameWithOwner"] = "acme/new".into()),
        0
    );
    assert_eq!(
        ids(&|body| body["data"]["repository0"]["id"] = Value::Null),
        0
    );
    assert_eq!(ids(&|body| body["data"]["repository0"] = Value::Null), 0);
    let doubt = error("FORBIDDEN", json!(["repository0", "hasIssuesEnabled"]));
    assert_eq!(ids(&|body| body["errors"] = doubt.clone()), 0);
}

#[test]
fn who_closed_an_issue_is_in_the_newest_event() {
    let closed = |actor: Value| json!({ "__typename": "ClosedEvent", "actor": actor });
    let reopened = || json!({ "__typename": "ReopenedEvent" });
    let user = |login: &str| json!({ "__typename": "User", "login": login });
    let on = |open: bool, more: bool, nodes: Vec<Value>| {
        let items = json!({ "pageInfo": { "hasPreviousPage": more }, "nodes": nodes });
        let issue = changed_issue(open, "timelineItems", items);
        let closer = match &issue.closer {
            Fact::Found(actor) => format!("{} {}", actor.login, actor.bot),
            other => kind(other).to_owned(),
        };
        let reopened = match &issue.reopened {
            Fact::Found(count) => count.to_string(),
            other => kind(other).to_owned(),
        };
        (closer, reopened)
    };
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    let twice = || vec![closed(user("ada")), reopened(), closed(user("bob"))];
    assert_eq!(on(false, false, twice()), pair("bob false", "1"));
    // Reopenings before the page are not counted, and the newest closing is still the newest.
    assert_eq!(on(false, true, twice()), pair("bob false", "too-large"));
    assert_eq!(on(true, false, twice()), pair("absent", "1"));
    assert_eq!(on(true, false, vec![]), pair("absent", "0"));
    // The account is gone.
    assert_eq!(
        on(false, false, vec![closed(Value::Null)]),
        pair("absent", "0")
    );
    // GraphQL names the type of a bot, REST puts it into the login.
    let bot = json!({ "__typename": "Bot", "login": "dependabot" });
    assert_eq!(
        on(false, false, vec![closed(bot)]),
        pair("dependabot true", "0")
    );
    let old = user("dependabot[bot]");
    assert_eq!(
        on(false, false, vec![closed(old)]),
        pair("dependabot[bot] true", "0")
    );
    // The state and the history come from two places that need not agree yet.
    let lags = vec![closed(user("ada")), reopened()];
    assert_eq!(on(false, false, lags), pair("not-ready", "1"));
    // No history, no closer: nobody knows.
    assert_eq!(on(false, false, vec![]), pair("no-control", "0"));
    assert_eq!(
        on(false, false, vec![Value::Null]),
        pair("malformed", "malformed")
    );
    let new = json!({ "__typename": "MovedEvent" });
    assert_eq!(on(false, false, vec![new]), pair("malformed", "malformed"));
}

#[test]
fn a_list_that_lacks_something_is_no_list() {
    let cut = |mut list: Value| {
        list["pageInfo"]["hasNextPage"] = true.into();
        list
    };
    let holed = |mut list: Value| {
        list["nodes"] = json!([null]);
        list
    };
    let issue = issue("acme/app", 299, true);
    let pr = pull_request(319, "OPEN", None);
    for (field, damage, expected) in [
        ("cut", &cut as &dyn Fn(Value) -> Value, "too-large"),
        ("holed", &holed, "malformed"),
    ] {
        let one = |name: &str| changed_issue(true, name, damage(issue[name].clone()));
        assert_eq!(kind(&one("assignees").assignees), expected, "{field}");
        let references = one("closedByPullRequestsReferences");
        assert_eq!(kind(&references.closed_by), expected, "{field}");
        let one = |name: &str| changed_pull("OPEN", name, damage(pr[name].clone()));
        let reviews = one("latestOpinionatedReviews");
        assert_eq!(kind(&reviews.review_list), expected, "{field}");
        assert_eq!(
            kind(&one("closingIssuesReferences").closes),
            expected,
            "{field}"
        );
    }
}

#[test]
fn a_dismissed_approval_is_listed_as_that() {
    let review = |state: &str, author: Value| json!({ "state": state, "submittedAt": null, "author": author, "commit": null });
    let nodes = json!([
        review("DISMISSED", json!({ "__typename": "User", "login": "ada" })),
        review("CHANGES_REQUESTED", Value::Null),
        review("COMMENTED", Value::Null),
    ]);
    let list = json!({ "pageInfo": { "hasNextPage": false }, "nodes": nodes });
    let pr = changed_pull("OPEN", "latestOpinionatedReviews", list);
    let reviews = pr.review_list.found().expect("reviews");
    let states: Vec<_> = reviews.iter().map(|review| review.state.as_str()).collect();
    assert_eq!(states, ["dismissed", "changes-requested"]);
    assert_eq!(reviews[1].author, None);
    assert_eq!((&reviews[0].commit, reviews[0].submitted), (&None, None));
    let odd = json!({ "pageInfo": { "hasNextPage": false }, "nodes": [review("APPLAUDED", Value::Null)] });
    let pr = changed_pull("OPEN", "latestOpinionatedReviews", odd);
    assert_eq!(kind(&pr.review_list), "malformed");
}

#[test]
fn what_is_null_by_right_is_absent() {
    let pr = changed_pull("OPEN", "mergeQueueEntry", Value::Null);
    assert!(pr.queue.is_absent());
    let pr = changed_pull("OPEN", "autoMergeRequest", Value::Null);
    assert!(pr.auto_merge.is_absent());
    // These lists are null only where something is wrong.
    let pr = changed_pull("OPEN", "latestOpinionatedReviews", Value::Null);
    assert_eq!(kind(&pr.review_list), "malformed");
    let pr = changed_pull("OPEN", "closingIssuesReferences", Value::Null);
    assert_eq!(kind(&pr.closes), "malformed");
    let issue = changed_issue(true, "closedByPullRequestsReferences", Value::Null);
    assert_eq!(kind(&issue.closed_by), "malformed");
}

/// Each part with the field that it comes from, and whether it is the issue's.
const FIELDS: [(Parts, &str, bool); 11] = [
    (Parts::ASSIGNEES, "assignees", true),
    (Parts::HISTORY, "timelineItems", true),
    (Parts::REFERENCES, "closedByPullRequestsReferences", true),
    (Parts::MERGEABILITY, "mergeable", false),
    (Parts::REVIEWS, "reviewDecision", false),
    (Parts::REVIEW_LIST, "latestOpinionatedReviews", false),
    (Parts::CHECKS, "statusCheckRollup", false),
    (Parts::QUEUE, "mergeQueueEntry", false),
    (Parts::AUTO_MERGE, "autoMergeRequest", false),
    (Parts::REFERENCES, "closingIssuesReferences", false),
    (Parts::SECOND, "commits", false),
];

/// The kinds of all parts of both, by the parts that they belong to.
fn kinds_of_parts(issue: &Issue, pr: &PullRequest) -> Vec<(Parts, bool, String)> {
    [
        (Parts::ASSIGNEES, true, kind(&issue.assignees)),
        (Parts::HISTORY, true, kind(&issue.closer)),
        (Parts::HISTORY, true, kind(&issue.reopened)),
        (Parts::REFERENCES, true, kind(&issue.closed_by)),
        (Parts::MERGEABILITY, false, kind(&pr.mergeability)),
        (Parts::REVIEWS, false, kind(&pr.review)),
        (Parts::REVIEW_LIST, false, kind(&pr.review_list)),
        (Parts::CHECKS, false, kind(&pr.checks)),
        (Parts::CHECK_LIST, false, kind(&pr.check_list)),
        (Parts::RUNS, false, kind(&pr.runs)),
        (Parts::QUEUE, false, kind(&pr.queue)),
        (Parts::AUTO_MERGE, false, kind(&pr.auto_merge)),
        (Parts::REFERENCES, false, kind(&pr.closes)),
    ]
    .map(|(part, of_issue, kind)| (part, of_issue, kind.to_owned()))
    .to_vec()
}

#[test]
fn an_error_in_a_part_is_that_parts_alone_whatever_its_type() {
    for (name, expected) in [
        ("FORBIDDEN", "denied"),
        ("NOT_FOUND", "not-found"),
        ("SERVICE_UNAVAILABLE", "unreachable"),
        ("SOMETHING_NEW", "something-new"),
    ] {
        for (part, field, of_issue) in FIELDS {
            let mut body = both(
                issue("acme/app", 299, false),
                pull_request(319, "OPEN", Some("acme")),
            );
            let item = if of_issue { "item0" } else { "item1" };
            // As the whole field is null, and as something deep inside it is missing.
            for path in [
                json!(["repository0", item, field]),
                json!(["repository0", item, field, "nodes", 0, "x"]),
            ] {
                body["data"]["repository0"][item][field] = Value::Null;
                body["errors"] = error(name, path);
                let learned = answered(&everything(), body.clone());
                let issue = issue_of(&learned).found().expect(field);
                let pr = pull_request_of(&learned).found().expect(field);
                for (of, is_issues, kind) in kinds_of_parts(issue, pr) {
                    let hit = part.contains(of) && of_issue == is_issues;
                    // Without a look at the runs a green summary claims too much.
                    let doubted = part.contains(Parts::RUNS) && of == Parts::CHECKS;
                    match hit || doubted {
                        true => assert_eq!(kind, expected, "{of} after {name} in {field}"),
                        false => assert!(
                            matches!(kind.as_str(), "found" | "absent"),
                            "{of} is {kind} after {name} in {field}"
                        ),
                    }
                }
            }
        }
    }
}

#[test]
fn what_nobody_wants_of_it_is_not_asked_and_not_read() {
    let lean = query(&[by_number("acme/app", 299, 319, LEAN)]);
    // All parts are there and broken; nobody asked for them.
    let mut body = both(
        issue("acme/app", 299, false),
        pull_request(319, "OPEN", Some("acme")),
    );
    for (_, field, of_issue) in FIELDS {
        let item = if of_issue { "item0" } else { "item1" };
        body["data"]["repository0"][item][field] = json!("?");
    }
    let learned = answered(&lean, body);
    let issue = issue_of(&learned).found().expect("an issue");
    let pr = pull_request_of(&learned).found().expect("a pull request");
    for (part, _, kind) in kinds_of_parts(issue, pr) {
        assert_eq!(kind, "not-asked", "{part}");
    }
}
