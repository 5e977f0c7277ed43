//! What a document may say.

use serde_json::{Value, json};

use super::{NOW, TOKEN, ask, ask_with, seed};
use crate::{Model, Request};

/// The codes of all errors of a document that is refused before anything is looked up.
fn codes(document: &str, variables: Value) -> Vec<String> {
    let mut model = seed();
    let answer = ask_with(&mut model, document, variables);
    assert_eq!(answer.get("data"), None, "{answer}");
    assert_eq!(model.tally().points, 0, "a refused document costs nothing");
    let errors = answer["errors"].as_array().cloned().unwrap_or_default();
    errors
        .iter()
        .map(|error| {
            assert!(error["message"].is_string(), "{error}");
            error["extensions"]["code"]
                .as_str()
                .unwrap_or("")
                .to_owned()
        })
        .collect()
}

fn repo(selection: &str) -> String {
    format!("{{ repository(owner: \"owner\", name: \"repo\") {{ {selection} }} }}")
}

#[test]
fn documents_that_do_not_fit_the_schema_are_refused_whole() {
    let cases: &[(&str, Value, &[&str])] = &[
        (&repo("nme"), json!({}), &["undefinedField"]),
        (
            &repo("issue(id: 1, number: 1) { id }"),
            json!({}),
            &["argumentNotAccepted"],
        ),
        (
            &repo("issue { id }"),
            json!({}),
            &["missingRequiredArguments"],
        ),
        (
            &repo("issue(number: \"1\") { id }"),
            json!({}),
            &["argumentLiteralsIncompatible"],
        ),
        (
            &repo("issue(number: 4294967296) { id }"),
            json!({}),
            &["argumentLiteralsIncompatible"],
        ),
        (&repo("issue(number: 1)"), json!({}), &["selectionMismatch"]),
        (&repo("name { first }"), json!({}), &["selectionMismatch"]),
        (&repo("name @upper"), json!({}), &["undefinedDirective"]),
        (
            &repo("pullRequests(first: 1, states: [DONE]) { totalCount }"),
            json!({}),
            &["argumentLiteralsIncompatible"],
        ),
        (
            &repo("issues(first: 1, orderBy: {field: UPDATED_AT}) { totalCount }"),
            json!({}),
            &["argumentLiteralsIncompatible"],
        ),
        (&repo("... on Isue { id }"), json!({}), &["undefinedType"]),
        (
            &repo("... on Issue { id }"),
            json!({}),
            &["cannotSpreadFragment"],
        ),
        (&repo("...Facts"), json!({}), &["useAndDefineFragment"]),
        (
            "query q { viewer { login } } fragment F on User { login }",
            json!({}),
            &["useAndDefineFragment"],
        ),
        (
            "query q { viewer { ...F } } fragment F on User { login ...F }",
            json!({}),
            &["infiniteLoop"],
        ),
        (
            "query q($n: Int!) { viewer { login } }",
            json!({ "n": 1 }),
            &["variableNotUsed"],
        ),
        (
            &repo("issue(number: $n) { id }"),
            json!({ "n": 1 }),
            &["variableNotDefined"],
        ),
        (
            "query q($n: String!) { repository(owner: \"owner\", name: \"repo\") { issue(number: $n) { id } } }",
            json!({ "n": "1" }),
            &["variableMismatch"],
        ),
        (
            "query q($n: Int) { repository(owner: \"owner\", name: \"repo\") { issue(number: $n) { id } } }",
            json!({ "n": 1 }),
            &["variableMismatch"],
        ),
        (
            "query q($n: Number!) { repository(owner: $n, name: \"repo\") { id } }",
            json!({ "n": "1" }),
            &["variableRequiresValidType", "variableMismatch"],
        ),
        (
            &repo("a: issue(number: 299) { id } a: issue(number: 300) { id }"),
            json!({}),
            &["fieldConflict"],
        ),
        (
            &repo("a: name a: nameWithOwner"),
            json!({}),
            &["fieldConflict"],
        ),
        (
            &repo(
                "issue(number: 299) { t: title } ... on Repository { issue(number: 299) { t: url } }",
            ),
            json!({}),
            &["fieldConflict"],
        ),
    ];
    for (document, variables, expected) in cases {
        assert_eq!(codes(document, variables.clone()), *expected, "{document}");
    }
}

#[test]
fn a_refusal_says_where_and_what() {
    let answer = ask(
        &mut seed(),
        "query Mine {\n  repository(owner: \"owner\", name: \"repo\") { a: nme }\n}",
    );
    assert_eq!(
        answer,
        json!({ "errors": [{
            "path": ["query Mine", "repository", "a"],
            "extensions": { "code": "undefinedField", "typeName": "Repository", "fieldName": "nme" },
            "locations": [{ "line": 2, "column": 46 }],
            "message": "Field 'nme' doesn't exist on type 'Repository'",
        }] })
    );
}

#[test]
fn variables_are_checked_against_their_types() {
    let document = "query q($n: Int!, $s: [IssueState!]) { repository(owner: \"owner\", name: \"repo\") { \
                    issue(number: $n) { number } issues(first: 1, states: $s) { totalCount } } }";
    for variables in [
        json!({}),
        json!({ "n": null }),
        json!({ "n": "299" }),
        json!({ "n": 299.5 }),
        json!({ "n": 3_000_000_000_u64 }),
        json!({ "n": 299, "s": ["DONE"] }),
    ] {
        let answer = ask_with(&mut seed(), document, variables.clone());
        assert_eq!(answer.get("data"), None, "{variables}");
        let message = answer["errors"][0]["message"].as_str().unwrap_or_default();
        assert!(message.contains("was provided invalid value"), "{message}");
    }
    // A value that nobody declared is ignored, and one value stands for a list.
    let variables = json!({ "n": 299, "s": "CLOSED", "more": 1 });
    let answer = ask_with(&mut seed(), document, variables);
    assert_eq!(answer["data"]["repository"]["issue"]["number"], 299);
    assert_eq!(answer["data"]["repository"]["issues"]["totalCount"], 1);
}

#[test]
fn a_body_that_is_no_graphql_request_is_a_400() {
    let mut model = seed();
    let good = Request::graphql("{ viewer { login } }", Value::Null, TOKEN);
    let bodies: [&[u8]; 5] = [b"", b"{\"query\": ", b"[]", b"{}", b"{\"query\": 1}"];
    for body in bodies {
        let request = Request {
            body: body.to_vec(),
            ..good.clone()
        };
        assert_eq!(model.respond(request, NOW).status, 400);
    }
    for request in [
        good.clone().header("content-type", "text/plain"),
        good.clone().without("content-type"),
    ] {
        assert_eq!(model.respond(request, NOW).status, 400);
    }
    let request = good.header("content-type", "application/json; charset=utf-8");
    assert_eq!(model.respond(request, NOW).status, 200);
    let get = Request::get("/graphql", TOKEN);
    assert_eq!(model.respond(get, NOW).status, 404);
}

#[test]
fn operations_are_chosen_by_name_and_only_queries_are_answered() {
    let mut model = seed();
    let two = "query A { viewer { login } } query B { viewer { id } }";
    let error = |model: &mut Model, document: &str| {
        let answer = ask(model, document);
        assert_eq!(answer.get("data"), None);
        answer["errors"][0]["message"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    assert_eq!(error(&mut model, two), "An operation name is required");
    assert!(error(&mut model, "{ viewer { login ").contains("arse error"));
    assert!(error(&mut model, "mutation { a }").contains("mutations"));
    assert!(!error(&mut model, "").is_empty());
    let body = json!({ "query": two, "operationName": "B" });
    let answer = model.respond(Request::send("POST", "/graphql", TOKEN, &body), NOW);
    assert_eq!(answer.value()["data"]["viewer"]["login"], Value::Null);
    assert!(answer.value()["data"]["viewer"]["id"].is_string());
}

#[test]
fn a_document_that_fits_is_still_checked_for_its_variables_and_its_neighbours() {
    let mut model = seed();
    let document = "query q($n: Int!) { repository(owner: \"owner\", name: \"repo\") { issue(number: $n) { number } } }";
    for _ in 0..2 {
        let answer = ask_with(&mut model, document, json!({ "n": 299 }));
        assert_eq!(answer["data"]["repository"]["issue"]["number"], 299);
    }
    assert_eq!(ask_with(&mut model, document, json!({})).get("data"), None);
    let other = document.replace("{ number }", "{ nummer }");
    for _ in 0..2 {
        let answer = ask_with(&mut model, &other, json!({ "n": 299 }));
        assert_eq!(answer["errors"][0]["extensions"]["code"], "undefinedField");
    }
}
