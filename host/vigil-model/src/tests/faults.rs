//! What goes wrong on demand, and that it ends.

use serde_json::{Value, json};

use super::{NOW, TOKEN, ask, ask_repo, get, seed};
use crate::{Delivery, ErrorType, Fault, FieldFault, Forbidden, Model, Request, Response, Scope};

fn graphql(model: &mut Model) -> Response {
    let document = "{ repository(owner: \"owner\", name: \"repo\") { id } }";
    model.respond(Request::graphql(document, Value::Null, TOKEN), NOW)
}

#[test]
fn a_fault_lasts_for_its_requests_and_not_one_more() {
    let mut model = seed();
    model.fail_next(2, Fault::Html(502));
    assert_eq!(get(&mut model, "/user").status, 502);
    assert_eq!(graphql(&mut model).status, 502);
    assert_eq!(get(&mut model, "/user").status, 200);
    assert_eq!(model.tally().faulted, 2);
    model.fail(Scope::Rest, Fault::Html(503));
    for _ in 0..3 {
        assert_eq!(get(&mut model, "/user").status, 503);
        assert_eq!(graphql(&mut model).status, 200);
    }
    model.heal();
    assert_eq!(get(&mut model, "/user").status, 200);
    model.fail_next_in(Scope::GraphQl, 1, Fault::Html(500));
    assert_eq!(get(&mut model, "/user").status, 200);
    assert_eq!(graphql(&mut model).status, 500);
}

#[test]
fn pages_of_html_are_no_json() {
    let mut model = seed();
    model.fail_next(1, Fault::Html(502));
    let page = graphql(&mut model);
    assert_eq!(
        page.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    assert_eq!(page.value(), Value::Null);
    assert!(!page.body.is_empty());
}

#[test]
fn answers_can_fail_on_their_way() {
    let mut model = seed();
    let right = graphql(&mut model);
    let half = right.body.len() / 2;
    let cases = [
        (Fault::Hang, Delivery::Never, 0),
        (Fault::Reset, Delivery::Reset, 0),
        (
            Fault::Delay(250),
            Delivery::After { delay_ms: 250 },
            right.body.len(),
        ),
        (
            Fault::CutBody,
            Delivery::Cut { bytes: half },
            right.body.len(),
        ),
        (Fault::CutJson, Delivery::Whole, half),
    ];
    for (fault, delivery, bytes) in cases {
        model.fail_next(1, fault);
        let response = graphql(&mut model);
        assert_eq!((response.delivery, response.body.len()), (delivery, bytes));
    }
    assert_eq!(graphql(&mut model).body, right.body);
}

#[test]
fn refusals_differ_in_status_message_and_headers() {
    let header = |fault: Fault, name: &str| {
        let mut model = seed();
        model.fail_next(1, fault);
        let response = get(&mut model, "/repos/owner/repo");
        let message = response.value()["message"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        (
            response.status,
            message,
            response.header(name).map(str::to_owned),
        )
    };
    let (status, message, left) = header(Fault::BadCredentials, "x-ratelimit-remaining");
    assert_eq!((status, message.as_str()), (401, "Bad credentials"));
    assert_ne!(left.as_deref(), Some("0"));
    let (status, _, left) = header(Fault::BadCredentialsExhausted, "x-ratelimit-remaining");
    assert_eq!((status, left.as_deref()), (401, Some("0")));
    let (status, message, wait) = header(Fault::Forbidden(Forbidden::Permission), "retry-after");
    assert_eq!((status, wait), (403, None));
    assert!(!message.contains("rate limit"), "{message}");
    let (status, _, sso) = header(Fault::Forbidden(Forbidden::Saml), "x-github-sso");
    assert_eq!((status, sso.is_some()), (403, true));
    let (status, message, wait) = header(
        Fault::Forbidden(Forbidden::Secondary(Some(60))),
        "retry-after",
    );
    assert_eq!((status, wait.as_deref()), (403, Some("60")));
    assert!(message.contains("secondary rate limit"));
    let (_, message, wait) = header(Fault::Forbidden(Forbidden::Secondary(None)), "retry-after");
    assert!(message.contains("secondary rate limit") && wait.is_none());
    let (status, _, left) = header(
        Fault::Forbidden(Forbidden::Exhausted),
        "x-ratelimit-remaining",
    );
    assert_eq!((status, left.as_deref()), (403, Some("0")));
    let (status, message, left) = header(Fault::UsedUp, "x-ratelimit-remaining");
    assert_eq!((status, left.as_deref()), (429, Some("0")));
    assert!(!message.contains("secondary"), "{message}");
    let (status, message, _) = header(Fault::Forbidden(Forbidden::IpAllowList), "date");
    assert_eq!((status, message.contains("IP allow list")), (403, true));
    let (status, _, wait) = header(Fault::TooManyRequests(Some(7)), "retry-after");
    assert_eq!((status, wait.as_deref()), (429, Some("7")));
    let (status, _, wait) = header(Fault::TooManyRequests(None), "retry-after");
    assert_eq!((status, wait), (429, None));
}

#[test]
fn the_limit_can_be_hit_with_and_without_headers_and_under_both_names() {
    for (headers, older_name, kind, left) in [
        (true, false, "RATE_LIMIT", Some("0")),
        (false, false, "RATE_LIMIT", None),
        (true, true, "RATE_LIMITED", Some("0")),
    ] {
        let mut model = seed();
        model.fail_next(
            1,
            Fault::RateLimited {
                headers,
                older_name,
            },
        );
        let refused = graphql(&mut model);
        assert_eq!(refused.status, 200);
        assert_eq!(refused.value()["errors"][0]["type"], kind);
        assert_eq!(refused.value().get("data"), None);
        assert_eq!(refused.header("x-ratelimit-remaining"), left);
        assert_eq!(model.tally().refused, 1, "whoever made the refusal");
    }
}

#[test]
fn a_hidden_repository_is_missing_in_both_interfaces() {
    let mut model = seed();
    model.repo("owner/other");
    model.fail(Scope::Any, Fault::RepoHidden("Owner/Repo".to_owned()));
    assert_eq!(get(&mut model, "/repos/owner/repo/issues/299").status, 404);
    assert_eq!(get(&mut model, "/repos/owner/other").status, 200);
    let answer = ask(
        &mut model,
        "{ a: repository(owner: \"owner\", name: \"repo\") { id } b: repository(owner: \"owner\", name: \"other\") { name } }",
    );
    assert_eq!(
        answer["data"],
        json!({ "a": null, "b": { "name": "other" } })
    );
    assert_eq!(answer["errors"][0]["type"], "NOT_FOUND");
}

#[test]
fn single_fields_fail_with_each_type_of_error() {
    let selection = "a: issue(number: 299) { number } b: issue(number: 300) { number }";
    for (error, kind) in [
        (ErrorType::NotFound, json!("NOT_FOUND")),
        (ErrorType::Forbidden, json!("FORBIDDEN")),
        (
            ErrorType::ResourceLimitsExceeded,
            json!("RESOURCE_LIMITS_EXCEEDED"),
        ),
        (ErrorType::ServiceUnavailable, json!("SERVICE_UNAVAILABLE")),
        (ErrorType::Internal, Value::Null),
    ] {
        let mut model = seed();
        let fault = FieldFault {
            field: "issue".to_owned(),
            repo: Some("owner/repo".to_owned()),
            number: Some(300),
            error,
        };
        model.fail_next(1, Fault::Field(fault));
        // REST has no fields, and does not use the fault up.
        assert_eq!(get(&mut model, "/repos/owner/repo/issues/300").status, 200);
        let answer = ask_repo(&mut model, selection);
        assert_eq!(
            answer["data"]["repository"],
            json!({ "a": { "number": 299 }, "b": null })
        );
        assert_eq!(answer["errors"][0]["type"], kind);
        assert_eq!(answer["errors"][0]["path"], json!(["repository", "b"]));
        assert_eq!(ask_repo(&mut model, selection)["errors"], Value::Null);
    }
}

#[test]
fn fields_fail_by_place_and_below_single_things() {
    let mut model = seed();
    let fault = |field: &str, repo: Option<&str>, number: Option<u64>| {
        Fault::Field(FieldFault {
            field: field.to_owned(),
            repo: repo.map(str::to_owned),
            number,
            error: ErrorType::ServiceUnavailable,
        })
    };
    model.fail_next(1, fault("labels", None, Some(299)));
    let selection = "a: issue(number: 299) { labels(first: 1) { totalCount } } \
                     b: issue(number: 300) { labels(first: 1) { totalCount } }";
    let answer = ask_repo(&mut model, selection);
    assert_eq!(
        answer["data"]["repository"],
        json!({ "a": { "labels": null }, "b": { "labels": { "totalCount": 0 } } })
    );
    model.fail_next(1, fault("repository", Some("OWNER/REPO"), None));
    assert_eq!(
        ask_repo(&mut model, "id")["data"],
        json!({ "repository": null })
    );
    model.fail_next(1, fault("repository", Some("owner/other"), None));
    assert!(ask_repo(&mut model, "id")["data"]["repository"]["id"].is_string());
    // What may not be null takes its parent with it.
    model.fail_next(1, fault("pullRequests", None, None));
    let answer = ask_repo(&mut model, "id pullRequests(first: 1) { totalCount }");
    assert_eq!(answer["data"], json!({ "repository": null }));
}

#[test]
fn resources_run_out_in_the_middle_of_a_document() {
    let mut model = seed();
    model.fail(Scope::GraphQl, Fault::ResourceLimits { answered: 2 });
    let selection = "a: issue(number: 299) { number } b: pullRequest(number: 319) { number } \
                     c: issue(number: 300) { number }";
    let answer = ask_repo(&mut model, selection);
    assert_eq!(
        answer["data"]["repository"],
        json!({ "a": { "number": 299 }, "b": { "number": 319 }, "c": null })
    );
    assert_eq!(answer["errors"][0]["type"], "RESOURCE_LIMITS_EXCEEDED");
    assert_eq!(answer["errors"][0]["path"], json!(["repository", "c"]));
    let answer = ask_repo(
        &mut model,
        "a: issue(number: 299) { number } b: issue(number: 300) { number }",
    );
    assert_eq!(answer["errors"], Value::Null, "smaller documents fit");
}

#[test]
fn a_lagging_replica_tells_the_past_for_so_many_reads() {
    let mut model = seed();
    let state = |model: &mut Model| {
        ask_repo(model, "issue(number: 300) { state }")["data"]["repository"]["issue"]["state"]
            .clone()
    };
    model.lag(2);
    model.repo("owner/repo").issue(300).closed("completed");
    assert_eq!(state(&mut model), "OPEN");
    assert_eq!(
        get(&mut model, "/repos/owner/repo/issues/300").value()["state"],
        "open"
    );
    assert_eq!(state(&mut model), "CLOSED");
    model.lag(5);
    model.repo("owner/repo").issue(300).reopened();
    model.heal();
    assert_eq!(state(&mut model), "OPEN");
}
