//! Errors, nulls, refusals and answers that cannot be read.

use http::HeaderMap;
use serde_json::{Value, json};
use vigil_core::{Fact, GapKind, Timestamp};
use vigil_github::LimitScope;
use vigil_github::choose::More;
use vigil_github::learn::{Finding, Learned};

use super::*;
use crate::support::*;

#[test]
fn an_issue_is_absent_only_where_its_repository_answered() {
    let gone = |repository: Value, extra: Option<Value>| {
        let mut errors = vec![json!({
            "type": "NOT_FOUND", "path": ["repository0", "item0"],
            "message": "Could not resolve to an issue or pull request with the number of 299.",
        })];
        errors.extend(extra);
        let body = json!({ "data": { "repository0": repository }, "errors": errors });
        answered(&one_session(), body)
    };
    let items = json!({ "item0": null, "item1": pull_request(319, "OPEN", Some("acme")) });
    let named = repository("acme/app", items.clone());
    assert!(issue_of(&gone(named.clone(), None)).is_absent());

    let mut without_issues = named.clone();
    without_issues["hasIssuesEnabled"] = false.into();
    assert_eq!(kind(issue_of(&gone(without_issues, None))), "no-control");

    let mut silent = named.clone();
    silent["hasIssuesEnabled"] = Value::Null;
    assert_eq!(kind(issue_of(&gone(silent, None))), "malformed");

    let renamed = gone(repository("acme/other", items), None);
    assert_eq!(kind(issue_of(&renamed)), "identity-changed");
    assert_eq!(kind(pull_request_of(&renamed)), "identity-changed");

    // A second error about the same thing may be the cause of the first.
    let forbidden =
        json!({ "type": "FORBIDDEN", "path": ["repository0", "item0"], "message": "no" });
    assert_eq!(
        kind(issue_of(&gone(named.clone(), Some(forbidden)))),
        "denied"
    );

    // And one about the repository takes the control away.
    let shaky = json!({ "type": "FORBIDDEN", "path": ["repository0", "hasIssuesEnabled"], "message": "no" });
    assert_eq!(kind(issue_of(&gone(named, Some(shaky)))), "denied");
}

#[test]
fn every_type_of_error_on_an_item_is_a_gap_of_its_kind() {
    for (name, of_issue, of_pull_request) in [
        ("NOT_FOUND", "absent", "not-found"),
        ("FORBIDDEN", "denied", "denied"),
        ("INSUFFICIENT_SCOPES", "denied", "denied"),
        ("SERVICE_UNAVAILABLE", "unreachable", "unreachable"),
        ("UNPROCESSABLE", "unprocessable", "unprocessable"),
        ("", "malformed", "malformed"),
    ] {
        for item in ["item0", "item1"] {
            let mut body = both(
                issue("acme/app", 299, true),
                pull_request(319, "OPEN", Some("acme")),
            );
            body["data"]["repository0"][item] = Value::Null;
            let body = with_errors(body, error(name, json!(["repository0", item])));
            let learned = answered(&one_session(), body);
            let (hit, kind_of_hit, other) = match item {
                "item0" => (
                    of_issue,
                    kind(issue_of(&learned)),
                    kind(pull_request_of(&learned)),
                ),
                _ => (
                    of_pull_request,
                    kind(pull_request_of(&learned)),
                    kind(issue_of(&learned)),
                ),
            };
            assert_eq!(kind_of_hit, hit, "{name} on {item}");
            assert_eq!(other, "found", "{name} on {item} is nobody else's");
        }
    }
}

#[test]
fn every_type_of_error_on_a_repository_is_a_gap_for_all_of_it() {
    for (name, expected) in [
        ("NOT_FOUND", "not-found"),
        ("FORBIDDEN", "denied"),
        ("SOMETHING_NEW", "something-new"),
    ] {
        let body = with_errors(
            json!({ "data": { "repository0": null } }),
            error(name, json!(["repository0"])),
        );
        let learned = answered(&one_session(), body);
        assert_eq!(kind(issue_of(&learned)), expected);
        assert_eq!(kind(pull_request_of(&learned)), expected);
    }
}

#[test]
fn a_null_without_an_error_is_never_an_absence() {
    let learned = answered(&one_session(), both(Value::Null, Value::Null));
    assert_eq!(kind(issue_of(&learned)), "malformed");
    assert_eq!(kind(pull_request_of(&learned)), "malformed");
    for body in [
        json!({ "data": { "repository0": null } }),
        json!({ "data": {} }),
    ] {
        let learned = answered(&one_session(), body);
        assert_eq!(kind(issue_of(&learned)), "malformed");
        assert_eq!(kind(pull_request_of(&learned)), "malformed");
    }
}

#[test]
fn a_part_that_was_refused_is_unknown_and_the_rest_stands() {
    let mut pr = pull_request(319, "OPEN", Some("acme"));
    pr["statusCheckRollup"] = Value::Null;
    let body = with_errors(
        both(issue("acme/app", 299, true), pr),
        error(
            "FORBIDDEN",
            json!(["repository0", "item1", "statusCheckRollup"]),
        ),
    );
    let learned = answered(&one_session(), body);
    let pr = pull_request_of(&learned).found().expect("a pull request");
    assert_eq!(kind(&pr.checks), "denied");
    assert_eq!(pr.review, Fact::Found("approved".to_owned()));
}

/// What is in no alias is about the whole answer, and what only looks like one is no alias.
#[test]
fn the_path_of_an_error_leads_to_its_question_or_to_more() {
    let on = |path: Value| {
        let body = with_errors(
            both(
                issue("acme/app", 299, true),
                pull_request(319, "OPEN", Some("acme")),
            ),
            error("FORBIDDEN", path),
        );
        match receive(&one_session(), 200, &HeaderMap::new(), &body.to_string()) {
            Learned::Answered(learned) => {
                let kinds = (kind(issue_of(&learned)), kind(pull_request_of(&learned)));
                (kinds.0.to_owned(), kinds.1.to_owned())
            }
            Learned::Lost(_) => ("lost".to_owned(), "lost".to_owned()),
            other => panic!("{other:?}"),
        }
    };
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    assert_eq!(on(json!(["repository0", "item1"])), pair("found", "denied"));
    for whole in ["repository1", "repository00", "repository", "0", "x0", ""] {
        assert_eq!(on(json!([whole, "item1"])), pair("lost", "lost"), "{whole}");
    }
    for repository in ["item2", "item01", "item", "nameWithOwner", "id"] {
        assert_eq!(
            on(json!(["repository0", repository])),
            pair("denied", "denied"),
            "{repository}"
        );
    }
}

#[test]
fn an_error_inside_an_item_makes_the_item_unknown() {
    let body = with_errors(
        both(
            issue("acme/app", 299, true),
            pull_request(319, "OPEN", Some("acme")),
        ),
        json!([
            { "type": "FORBIDDEN", "path": ["repository0", "item0", "labels"], "message": "no" },
            { "type": "FORBIDDEN", "path": ["repository0", "item1", "headRefOid"], "message": "no" },
        ]),
    );
    let learned = answered(&one_session(), body);
    assert_eq!(kind(issue_of(&learned)), "denied");
    assert_eq!(kind(pull_request_of(&learned)), "denied");
}

#[test]
fn what_exceeded_the_budget_is_asked_again_and_alone_is_too_large() {
    let path = json!(["repository0", "item1"]);
    let body = with_errors(
        both(issue("acme/app", 299, true), Value::Null),
        error("RESOURCE_LIMITS_EXCEEDED", path),
    );
    let learned = answered(&one_session(), body);
    assert!(issue_of(&learned).found().is_some());
    assert_eq!(learned.again, one_session().questions[1..]);

    let mut alone = one_session();
    alone.questions.remove(1);
    let body = with_errors(
        both(Value::Null, Value::Null),
        error("RESOURCE_LIMITS_EXCEEDED", json!(["repository0", "item0"])),
    );
    let learned = answered(&alone, body);
    assert!(learned.again.is_empty());
    assert_eq!(kind(issue_of(&learned)), "too-large");
}

#[test]
fn a_null_that_follows_from_another_ones_error_is_asked_again() {
    // `pullRequests` cannot be null, so its failure takes the repository and the issue in it along.
    let query = query(&[by_branch("acme/app", 299, "b", LEAN)]);
    let body = json!({
        "data": { "repository0": null },
        "errors": error("FORBIDDEN", json!(["repository0", "item1"])),
    });
    let learned = answered(&query, body);
    assert_eq!(learned.again, query.questions[..1]);
    match &learned.findings[0].1 {
        Finding::Branch(list) => {
            assert!(matches!(&list.more, More::Lost(gap) if gap.kind == GapKind::Denied))
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_error_without_a_place_casts_doubt_on_the_whole_answer() {
    let whole = both(
        issue("acme/app", 299, true),
        pull_request(319, "OPEN", None),
    );
    for errors in [
        json!([{ "message": "odd" }]),
        json!([{ "type": "NOT_FOUND", "message": "of what?" }]),
        json!([{ "path": ["somewhere"], "message": "odd" }]),
        json!(["text"]),
        json!({ "message": "not a list" }),
    ] {
        let body = with_errors(whole.clone(), errors.clone()).to_string();
        let learned = receive(&one_session(), 200, &HeaderMap::new(), &body);
        assert!(matches!(learned, Learned::Lost(_)), "{errors}: {learned:?}");
    }
    // The pot is a side dish.
    let body = with_errors(whole, error("FORBIDDEN", json!(["rateLimit"])));
    assert!(issue_of(&answered(&one_session(), body)).found().is_some());
}

#[test]
fn a_query_that_was_too_much_is_taken_apart() {
    for body in [
        json!({ "errors": [{ "type": "RESOURCE_LIMITS_EXCEEDED", "message": "Resource limits for this query exceeded." }] }),
        json!({ "errors": [{ "type": "MAX_NODE_LIMIT_EXCEEDED", "message": "too many" }] }),
        json!({ "errors": [{ "message": "Timeout on validation of query" }] }),
        json!({ "data": null, "errors": [{ "message": "Something went wrong while executing your query. Please include `X`" }] }),
    ] {
        let learned = receive(&one_session(), 200, &HeaderMap::new(), &body.to_string());
        assert!(
            matches!(learned, Learned::Overloaded(_)),
            "{body}: {learned:?}"
        );
    }
    for status in [502, 504] {
        let learned = receive(
            &one_session(),
            status,
            &HeaderMap::new(),
            "<html>Unicorn</html>",
        );
        assert!(matches!(learned, Learned::Overloaded(_)), "{status}");
    }
}

#[test]
fn a_limit_is_a_limit_in_every_form_that_github_gives_it() {
    let retry = headers(&[("retry-after", "30")]);
    let empty = headers(&[
        ("x-ratelimit-remaining", "0"),
        ("x-ratelimit-reset", "1795155000"),
    ]);
    let none = HeaderMap::new();
    let secondary = json!({ "message": "You have exceeded a secondary rate limit." }).to_string();
    let in_body = |kind: &str| {
        json!({ "errors": [{ "type": kind, "message": "API rate limit exceeded for user ID 1." }] })
            .to_string()
    };
    let pot = LimitScope::Pot;
    let account = LimitScope::Account;
    for (status, headers, body, until, scope) in [
        (429, &none, String::new(), None, account),
        (429, &retry, String::new(), Some(30), account),
        (403, &retry, String::new(), Some(30), account),
        (403, &empty, String::new(), Some(600), pot),
        (403, &none, secondary, None, account),
        (503, &retry, "<html>".to_owned(), Some(30), account),
        (200, &none, in_body("RATE_LIMIT"), None, pot),
        (200, &empty, in_body("RATE_LIMITED"), Some(600), pot),
        (
            200,
            &none,
            json!({ "errors": [{ "message": "You have exceeded a secondary rate limit" }] })
                .to_string(),
            None,
            account,
        ),
    ] {
        match receive(&one_session(), status, headers, &body) {
            Learned::Limited(limit) => {
                let expected = until.map(|seconds: u64| Timestamp(NOW.0 + seconds * 1000));
                assert_eq!(limit.until, expected, "{status} {body}");
                assert_eq!(limit.scope, scope, "{status} {body}");
            }
            other => panic!("{status} {body}: {other:?}"),
        }
    }
}

#[test]
fn a_refusal_is_not_a_limit_and_a_bad_token_is_neither() {
    let none = HeaderMap::new();
    let bare = receive(
        &one_session(),
        403,
        &none,
        r#"{"message":"Resource not accessible"}"#,
    );
    assert!(matches!(bare, Learned::Refused(gap) if gap.kind == GapKind::Denied));
    let wrong = receive(&one_session(), 404, &none, r#"{"message":"Not Found"}"#);
    assert!(matches!(wrong, Learned::Refused(gap) if gap.kind == GapKind::Unreachable));
    let empty = headers(&[
        ("x-ratelimit-remaining", "0"),
        ("x-ratelimit-reset", "1795158000"),
        ("retry-after", "9"),
    ]);
    let rejected = receive(
        &one_session(),
        401,
        &empty,
        r#"{"message":"Bad credentials"}"#,
    );
    assert_eq!(rejected, Learned::TokenRejected);
}

#[test]
fn what_cannot_be_read_is_lost() {
    let none = HeaderMap::new();
    let good = both(
        issue("acme/app", 299, true),
        pull_request(319, "OPEN", None),
    )
    .to_string();
    for body in [
        "",
        "<html>",
        "[]",
        "null",
        "{}",
        r#"{"data":[]}"#,
        &good[..good.len() / 2],
    ] {
        let learned = receive(&one_session(), 200, &none, body);
        assert!(
            matches!(learned, Learned::Lost(ref gap) if gap.kind == GapKind::Malformed),
            "{body}: {learned:?}"
        );
    }
    for status in [500, 503] {
        let learned = receive(&one_session(), status, &none, "<html>Unicorn</html>");
        assert!(matches!(learned, Learned::Lost(gap) if gap.kind == GapKind::Unreachable));
    }
}

/// No cut of a good answer, at any byte, may teach an absence.
#[test]
fn a_truncated_answer_teaches_nothing() {
    let good = both(
        issue("acme/app", 299, false),
        pull_request(319, "MERGED", None),
    )
    .to_string();
    for end in 0..good.len() {
        let learned = receive(&one_session(), 200, &HeaderMap::new(), &good[..end]);
        assert!(matches!(learned, Learned::Lost(_)), "cut at {end}");
    }
}

/// Whatever happens to one value of a good answer, an issue or pull request that is there never becomes absent.
#[test]
fn no_damage_to_a_good_answer_teaches_an_absence() {
    let good = both(
        issue("acme/app", 299, false),
        pull_request(319, "MERGED", None),
    );
    let mut paths = Vec::new();
    walk(&good, String::new(), &mut paths);
    assert!(paths.len() > 30, "{paths:?}");
    for path in paths {
        for damage in [
            json!(null),
            json!(false),
            json!(-1),
            json!("?"),
            json!([]),
            json!({}),
        ] {
            let mut bad = good.clone();
            *bad.pointer_mut(&path).expect("a place in the answer") = damage.clone();
            let body = bad.to_string();
            if let Learned::Answered(learned) =
                receive(&one_session(), 200, &HeaderMap::new(), &body)
            {
                assert!(!issue_of(&learned).is_absent(), "{path}: {damage}");
                assert!(!pull_request_of(&learned).is_absent(), "{path}: {damage}");
            }
        }
    }
}

pub(super) fn walk(value: &Value, path: String, paths: &mut Vec<String>) {
    paths.push(path.clone());
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                walk(value, format!("{path}/{name}"), paths);
            }
        }
        Value::Array(entries) => {
            for (at, value) in entries.iter().enumerate() {
                walk(value, format!("{path}/{at}"), paths);
            }
        }
        _ => {}
    }
}
