//! What changed last in busy repositories: the document, its price, and what its answer teaches.

use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use vigil_core::Timestamp;
use vigil_github::learn::{Learned, Received};
use vigil_github::{Heads, HeadsAnswered, LimitScope, Repo, learn_heads, points_of};

use crate::support::*;

fn heads(count: usize) -> Heads {
    Heads::new(
        (0..count)
            .map(|n| Repo::parse(&format!("acme/app-{n}")).expect("a name"))
            .collect(),
        |_| false,
    )
}

fn receive(heads: &Heads, status: u16, headers: &HeaderMap, body: &str) -> Learned<HeadsAnswered> {
    let received = Received {
        status: StatusCode::from_u16(status).expect("a status"),
        headers,
        body: body.as_bytes(),
        at: NOW,
    };
    learn_heads(heads, &received)
}

fn answered(heads: &Heads, body: Value) -> HeadsAnswered {
    match receive(heads, 200, &HeaderMap::new(), &body.to_string()) {
        Learned::Answered(answered) => answered,
        other => panic!("{other:?}"),
    }
}

fn repository(name: &str) -> Value {
    json!({
        "id": "R_7", "nameWithOwner": name, "hasIssuesEnabled": true,
        "issues": { "pageInfo": { "hasNextPage": true }, "nodes": [
            { "id": "I_3", "number": 3, "state": "OPEN", "updatedAt": "2026-11-20T05:50:00Z" },
        ] },
        "pullRequests": { "pageInfo": { "hasNextPage": false }, "nodes": [
            { "id": "PR_5", "number": 5, "state": "OPEN", "updatedAt": "2026-11-20T05:50:00Z", "headRefName": "b", "headRepositoryOwner": null },
            { "id": "PR_4", "number": 4, "state": "OPEN", "updatedAt": "2026-11-20T05:40:00Z", "headRefName": "c", "headRepositoryOwner": { "login": "acme" } },
        ] },
    })
}

#[test]
fn the_heads_of_fifty_repositories_cost_a_point() {
    let fifty = heads(vigil_github::heads::REPOSITORIES_MAX);
    assert_eq!(points_of(fifty.connections), 1);
    assert_eq!(points_of(heads(76).connections), 2);
    assert!(!fifty.document.contains("acme"), "text of a record");
    assert_eq!(fifty.variables["name49"], json!("app-49"));
    for never in ["filterBy", "search"] {
        assert!(!fifty.document.contains(never), "{never}");
    }
}

#[test]
fn the_newest_numbers_are_learned_with_their_times() {
    let two = heads(2);
    let learned = answered(
        &two,
        json!({ "data": {
            "rateLimit": rate_limit(),
            "repository0": repository("Acme/App-0"),
            "repository1": null,
        }, "errors": [{ "type": "NOT_FOUND", "path": ["repository1"], "message": "no" }] }),
    );
    assert_eq!(
        (learned.cost, learned.meter.remaining),
        (Some(1), Some(4999))
    );
    let (repo, first) = &learned.repositories[0];
    assert_eq!(repo, &two.repositories[0]);
    let first = first.as_ref().expect("heads");
    assert_eq!(first.id, "R_7");
    assert_eq!((first.issues_complete, first.pulls_complete), (false, true));
    assert_eq!(
        (first.issues[0].number, &first.issues[0].branch),
        (3, &None)
    );
    assert_eq!(first.issues[0].updated, Timestamp(NOW.0 - 10 * 60_000));
    let pulls: Vec<_> = first
        .pulls
        .iter()
        .map(|head| (head.number, head.branch.as_deref(), head.owner.as_deref()))
        .collect();
    assert_eq!(pulls, [(5, Some("b"), None), (4, Some("c"), Some("acme"))]);
    let gap = learned.repositories[1].1.as_ref().expect_err("not there");
    assert_eq!(gap.kind.as_str(), "not-found");
    assert!(learned.again.is_empty());
}

#[test]
fn heads_that_cannot_be_trusted_are_gaps() {
    let one = heads(1);
    let gap = |value: Value| {
        let learned = answered(&one, json!({ "data": { "repository0": value } }));
        let (_, heads) = learned.repositories.into_iter().next().expect("one");
        heads.expect_err("a gap").kind.to_string()
    };
    assert_eq!(gap(repository("acme/other")), "identity-changed");
    assert_eq!(gap(Value::Null), "malformed");
    for (field, value) in [
        ("id", Value::Null),
        ("nameWithOwner", json!("acme")),
        ("hasIssuesEnabled", Value::Null),
        ("issues", Value::Null),
        (
            "pullRequests",
            json!({ "pageInfo": { "hasNextPage": null }, "nodes": [] }),
        ),
        (
            "issues",
            json!({ "pageInfo": { "hasNextPage": false }, "nodes": [null] }),
        ),
        (
            "issues",
            json!({ "pageInfo": { "hasNextPage": false }, "nodes": [{ "id": "I", "number": -1, "state": "OPEN", "updatedAt": "2026-11-20T05:50:00Z" }] }),
        ),
        (
            "issues",
            json!({ "pageInfo": { "hasNextPage": false }, "nodes": [{ "id": "I", "number": 1, "state": "OPEN", "updatedAt": "now" }] }),
        ),
    ] {
        let mut bad = repository("acme/app-0");
        bad[field] = value;
        assert_eq!(gap(bad), "malformed", "{field}");
    }
    // Without issues the list of them is empty, which says nothing about any.
    let mut off = repository("acme/app-0");
    off["hasIssuesEnabled"] = false.into();
    off["issues"] = json!({ "pageInfo": { "hasNextPage": false }, "nodes": [] });
    let learned = answered(&one, json!({ "data": { "repository0": off } }));
    let heads = learned.repositories[0].1.as_ref().expect("heads");
    assert!(!heads.issues_complete && heads.pulls_complete);
}

#[test]
fn pull_requests_that_are_refused_make_their_repository_unknown() {
    // Neither list can be null, so the repository is.
    for errors in [
        json!([{ "type": "FORBIDDEN", "path": ["repository0", "pullRequests"], "message": "no" }]),
        json!([
            { "type": "FORBIDDEN", "path": ["repository0", "issues"], "message": "no" },
            { "type": "FORBIDDEN", "path": ["repository0", "pullRequests"], "message": "no" },
        ]),
        json!([{ "type": "FORBIDDEN", "path": ["repository0"], "message": "no" }]),
    ] {
        let body = json!({ "data": { "repository0": null }, "errors": errors });
        let learned = answered(&heads(1), body);
        assert!(learned.no_issues.is_empty());
        let gap = learned.repositories[0].1.as_ref().expect_err("refused");
        assert_eq!(gap.kind.as_str(), "denied");
    }
    // Nor does it help to leave the issues out where something else is wrong with them.
    let body = json!({ "data": { "repository0": null }, "errors": [
        { "type": "SERVICE_UNAVAILABLE", "path": ["repository0", "issues"], "message": "no" },
    ] });
    let learned = answered(&heads(1), body);
    assert!(learned.no_issues.is_empty() && learned.repositories[0].1.is_err());
}

#[test]
fn issues_that_are_refused_are_left_out_the_next_time() {
    // Null in either place: the published schema says that the list cannot be.
    for refused in [Value::Null, {
        let mut refused = repository("acme/app-0");
        refused["issues"] = Value::Null;
        refused
    }] {
        let learned = answered(
            &heads(2),
            json!({
                "data": { "repository0": refused, "repository1": repository("acme/app-1") },
                "errors": [{ "type": "FORBIDDEN", "path": ["repository0", "issues"], "message": "no" }],
            }),
        );
        let names = |repos: &[Repo]| repos.iter().map(Repo::to_string).collect::<Vec<_>>();
        assert_eq!(names(&learned.no_issues), ["acme/app-0"]);
        let others: Vec<Repo> = learned
            .repositories
            .into_iter()
            .map(|(repo, _)| repo)
            .collect();
        assert_eq!(names(&others), ["acme/app-1"]);
    }
    let repos = ["acme/app-0", "acme/app-1"].map(|name| Repo::parse(name).expect("a name"));
    let without = Heads::new(repos.to_vec(), |repo| repo.name() == "app-0");
    assert_eq!(without.connections, 3);
    let mut pulls = repository("acme/app-0");
    pulls.as_object_mut().expect("an object").remove("issues");
    let body = json!({ "data": { "repository0": pulls, "repository1": repository("acme/app-1") } });
    let learned = answered(&without, body.clone());
    let of = |at: usize| learned.repositories[at].1.as_ref().expect("heads");
    assert!(of(0).issues.is_empty() && !of(0).issues_complete);
    assert_eq!((of(0).pulls.len(), of(1).issues.len()), (2, 1));
    // A list that was asked for and did not come is nothing that was learned.
    let learned = answered(&heads(2), body);
    assert!(learned.repositories[0].1.is_err());
}

#[test]
fn what_exceeded_the_budget_is_asked_again_and_alone_is_too_large() {
    let spent = json!([{ "type": "RESOURCE_LIMITS_EXCEEDED", "path": ["repository0"], "message": "too much" }]);
    let body = json!({
        "data": { "repository0": null, "repository1": null, "repository2": repository("acme/app-2") },
        "errors": spent,
    });
    let three = heads(3);
    let learned = answered(&three, body);
    assert_eq!(learned.again, three.repositories[..2]);
    assert_eq!(learned.repositories.len(), 1);
    let body = json!({ "data": { "repository0": null }, "errors": spent });
    let learned = answered(&heads(1), body);
    assert!(learned.again.is_empty());
    let gap = learned.repositories[0].1.as_ref().expect_err("too much");
    assert_eq!(gap.kind.as_str(), "too-large");
}

#[test]
fn a_limit_a_bad_token_and_a_lost_answer_are_told_apart() {
    let one = heads(1);
    let none = HeaderMap::new();
    let limited = json!({ "errors": [{ "type": "RATE_LIMIT", "message": "API rate limit exceeded for user ID 1." }] });
    match receive(&one, 200, &none, &limited.to_string()) {
        Learned::Limited(limit) => assert_eq!(limit.scope, LimitScope::Pot),
        other => panic!("{other:?}"),
    }
    assert_eq!(receive(&one, 401, &none, ""), Learned::TokenRejected);
    assert!(matches!(
        receive(&one, 502, &none, "<html>"),
        Learned::Overloaded(_)
    ));
    assert!(matches!(
        receive(&one, 200, &none, "{\"data\":"),
        Learned::Lost(_)
    ));
    assert!(matches!(
        receive(&one, 403, &none, "{}"),
        Learned::Refused(_)
    ));
}

#[test]
fn no_cut_of_an_answer_teaches_anything() {
    let good = json!({ "data": { "repository0": repository("acme/app-0") } }).to_string();
    let one = heads(1);
    for end in 0..good.len() {
        let learned = receive(&one, 200, &HeaderMap::new(), &good[..end]);
        assert!(matches!(learned, Learned::Lost(_)), "cut at {end}");
    }
}
