//! The rules that the model keeps, each as a test through the pure part; `socket` shows that the shell keeps them.

use serde_json::{Value, json};

mod apps;
mod documents;
mod evidence;
mod faults;
mod graphql;
mod history;
mod hooks;
mod identity;
mod limits;
mod long;
mod pace;
mod rest;
mod schema;
mod socket;

use crate::{Model, Request, Response};

/// 2026-11-20T06:00:00Z.
pub(super) const NOW: u64 = 1_795_154_400_000;
pub(super) const TOKEN: &str = "secret";

/// A repository with the issue and the pull request of issue 299, and a token that sees it.
pub(super) fn seed() -> Model {
    let mut model = Model::new(NOW - 3_600_000);
    model.token(TOKEN);
    model
        .repo("owner/repo")
        .issue(299)
        .closed("completed")
        .label("vigilante:done")
        .pull(319)
        .head("vigilante/issue-299-t")
        .merged_at(NOW - 1_800_000)
        .issue(300);
    model
}

pub(super) fn ask(model: &mut Model, document: &str) -> Value {
    ask_with(model, document, Value::Null)
}

pub(super) fn ask_with(model: &mut Model, document: &str, variables: Value) -> Value {
    let response = model.respond(Request::graphql(document, variables, TOKEN), NOW);
    assert_eq!(response.status, 200, "{}", response.value());
    response.value()
}

/// The document asked within `owner/repo`; the answer is what stands there.
pub(super) fn ask_repo(model: &mut Model, selection: &str) -> Value {
    let document = format!("{{ repository(owner: \"owner\", name: \"repo\") {{ {selection} }} }}");
    ask(model, &document)
}

pub(super) fn get(model: &mut Model, target: &str) -> Response {
    model.respond(Request::get(target, TOKEN), NOW)
}

pub(super) fn send(model: &mut Model, method: &str, target: &str, body: Value) -> Response {
    model.respond(Request::send(method, target, TOKEN, &body), NOW)
}

#[test]
fn the_seed_scenario_reads_as_github_tells_it() {
    let mut model = seed();
    let answer = ask_repo(
        &mut model,
        "hasIssuesEnabled \
         i299: issue(number: 299) { number state stateReason closedAt labels(first: 10) { nodes { name } } } \
         p: pullRequests(headRefName: \"vigilante/issue-299-t\", first: 3, states: [OPEN, MERGED, CLOSED], \
            orderBy: {field: CREATED_AT, direction: DESC}) { nodes { number prState: state mergedAt headRefName \
            headRepositoryOwner { login } baseRefName url isDraft } }",
    );
    assert_eq!(answer["errors"], Value::Null);
    assert_eq!(
        answer["data"]["repository"],
        json!({
            "hasIssuesEnabled": true,
            "i299": {
                "number": 299,
                "state": "CLOSED",
                "stateReason": "COMPLETED",
                "closedAt": "2026-11-20T05:00:00Z",
                "labels": { "nodes": [{ "name": "vigilante:done" }] },
            },
            "p": { "nodes": [{
                "number": 319,
                "prState": "MERGED",
                "mergedAt": "2026-11-20T05:30:00Z",
                "headRefName": "vigilante/issue-299-t",
                "headRepositoryOwner": { "login": "owner" },
                "baseRefName": "main",
                "url": "https://github.com/owner/repo/pull/319",
                "isDraft": false,
            }] },
        })
    );
}
