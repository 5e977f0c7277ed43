//! What each kind of answer teaches, on literal bodies: `values` what is there, `parts` and `checks` what can be asked
//! of it beyond that, `gaps` what is not there, `properties` what no answer whatever may teach.

mod checks;
mod gaps;
mod parts;
mod properties;
mod values;

use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use vigil_core::Fact;
use vigil_github::learn::{Answered, Finding, Learned, Received, learn};
use vigil_github::{Ask, Query, Wants};

use crate::support::*;

/// Issue 299 and pull request 319 by number: items 0 and 1.
fn one_session() -> Query {
    query(&[by_number("acme/app", 299, 319, ALL)])
}

/// The same with all parts.
fn everything() -> Query {
    query(&[by_number("acme/app", 299, 319, EVERYTHING)])
}

fn query(asks: &[Ask]) -> Query {
    let mut queries = plan(asks, 25);
    assert_eq!(queries.len(), 1);
    queries.remove(0)
}

fn receive(query: &Query, status: u16, headers: &HeaderMap, body: &str) -> Learned<Answered> {
    let received = Received {
        status: StatusCode::from_u16(status).expect("a status"),
        headers,
        body: body.as_bytes(),
        at: NOW,
    };
    learn(query, &received, NOW)
}

fn answered(query: &Query, body: Value) -> Answered {
    match receive(query, 200, &HeaderMap::new(), &body.to_string()) {
        Learned::Answered(answered) => answered,
        other => panic!("{other:?}"),
    }
}

/// The answer to `one_session` with these two values.
fn both(issue: Value, pull_request: Value) -> Value {
    json!({ "data": {
        "rateLimit": rate_limit(),
        "repository0": repository("acme/app", json!({ "item0": issue, "item1": pull_request })),
    }})
}

fn with_errors(mut body: Value, errors: Value) -> Value {
    body["errors"] = errors;
    body
}

fn error(kind: &str, path: Value) -> Value {
    json!([{ "type": kind, "path": path, "message": "as it is" }])
}

fn issue_of(answered: &Answered) -> &Fact<vigil_core::forge::Issue> {
    match &answered.findings[0].1 {
        Finding::Issue(seen) => &seen.fact,
        other => panic!("{other:?}"),
    }
}

fn pull_request_of(answered: &Answered) -> &Fact<vigil_core::forge::PullRequest> {
    match &answered.findings[1].1 {
        Finding::PullRequest(seen) => &seen.fact,
        other => panic!("{other:?}"),
    }
}
