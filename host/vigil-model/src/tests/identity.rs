//! What bears a name today need not be what bore it yesterday.

use serde_json::{Value, json};

use super::{NOW, TOKEN, ask, ask_repo, get, seed};
use crate::{Model, Request};

/// Node id and database id of the repository and of its issue 299, over both interfaces.
fn ids(model: &mut Model, name: &str) -> Value {
    let document = format!(
        "{{ repository(owner: \"owner\", name: \"{name}\") {{ id databaseId issue(number: 299) {{ id databaseId }} }} }}"
    );
    let graphql = ask(model, &document)["data"]["repository"].clone();
    let repo = get(model, &format!("/repos/owner/{name}")).value();
    let issue = get(model, &format!("/repos/owner/{name}/issues/299")).value();
    assert_eq!(
        graphql,
        json!({ "id": repo["node_id"], "databaseId": repo["id"],
                "issue": { "id": issue["node_id"], "databaseId": issue["id"] } })
    );
    graphql
}

#[test]
fn ids_stay_with_the_thing_and_not_with_its_name() {
    let mut model = seed();
    let first = ids(&mut model, "repo");
    model.repo("owner/repo").renamed("owner/new");
    assert_eq!(ids(&mut model, "new"), first);
    // Somebody takes the former name: the redirect ends, and another repository stands there.
    model.new_repo("owner/repo").issue(299);
    let second = ids(&mut model, "repo");
    assert_ne!(second["id"], first["id"]);
    assert_ne!(second["issue"]["id"], first["issue"]["id"]);
    assert_eq!(ids(&mut model, "new"), first);

    model.repo("owner/repo").deleted();
    assert_eq!(get(&mut model, "/repos/owner/repo/issues/299").status, 404);
    model.repo("owner/repo").issue(299);
    let third = ids(&mut model, "repo");
    assert_ne!(third["id"], second["id"]);
    assert_ne!(third["issue"]["databaseId"], second["issue"]["databaseId"]);
}

#[test]
fn a_transferred_repository_is_redirected_to() {
    let mut model = seed();
    model.repo("owner/repo").transferred("other");
    assert_eq!(get(&mut model, "/repos/owner/repo").status, 301);
    let here = get(&mut model, "/repos/other/repo/issues/299").value();
    assert_eq!(here["node_id"], "I_1_299");
    let answer = ask_repo(&mut model, "nameWithOwner");
    assert_eq!(answer["data"]["repository"]["nameWithOwner"], "other/repo");
}

#[test]
fn a_transferred_issue_is_redirected_to_by_rest_and_gone_for_graphql() {
    let mut model = seed();
    model
        .repo("owner/repo")
        .issue(300)
        .label("kept")
        .transferred("owner/other", 7);
    let moved = get(&mut model, "/repos/owner/repo/issues/300");
    assert_eq!(moved.status, 301);
    let target = moved.header("location").unwrap_or_default().to_owned();
    assert_eq!(target, "https://api.github.com/repositories/2/issues/7");
    let target = target.trim_start_matches("https://api.github.com");
    let there = get(&mut model, target).value();
    assert_eq!(
        (&there["number"], &there["labels"][0]["name"]),
        (&json!(7), &json!("kept"))
    );
    assert_eq!(there["node_id"], "I_2_7");
    let answer = ask_repo(&mut model, "issue(number: 300) { id }");
    assert_eq!(answer["errors"][0]["type"], "NOT_FOUND");
    let listed = get(&mut model, "/repos/owner/repo/issues?state=all").value();
    let numbers: Vec<_> = listed
        .as_array()
        .into_iter()
        .flatten()
        .map(|item| &item["number"])
        .collect();
    assert_eq!(numbers, [319, 299]);
    // Who does not see where it went is told nothing.
    model.repo("owner/other").private();
    assert_eq!(get(&mut model, "/repos/owner/repo/issues/300").status, 404);
}

#[test]
fn a_repository_that_turns_private_looks_missing_and_its_grants_survive_a_rename() {
    let mut model = seed();
    let tag = |response: &crate::Response| response.header("etag").unwrap_or_default().to_owned();
    let known = tag(&get(&mut model, "/repos/owner/repo/issues"));
    model.repo("owner/repo").private();
    let probe = Request::get("/repos/owner/repo/issues", TOKEN).header("if-none-match", &known);
    assert_eq!(model.respond(probe, NOW).status, 404, "and no 304");
    let answer = ask_repo(&mut model, "id");
    assert_eq!(answer["errors"][0]["type"], "NOT_FOUND");
    model.token(TOKEN).sees("owner/repo");
    model.repo("owner/repo").renamed("owner/new");
    assert_eq!(get(&mut model, "/repos/owner/new").status, 200);
    model.token(TOKEN).loses("owner/repo");
    assert_eq!(get(&mut model, "/repos/owner/new").status, 404);
}

#[test]
fn a_deleted_issue_is_a_410_and_not_found() {
    let mut model = seed();
    model.repo("owner/repo").issue(300).deleted();
    assert_eq!(get(&mut model, "/repos/owner/repo/issues/300").status, 410);
    let answer = ask_repo(&mut model, "issue(number: 300) { id }");
    assert_eq!(answer["data"]["repository"], json!({ "issue": null }));
    assert_eq!(answer["errors"][0]["type"], "NOT_FOUND");
}

/// The index by update time has to follow every change.
#[test]
fn lists_by_since_hold_what_moved_and_nothing_else() {
    let mut model = Model::new(NOW);
    model.token(TOKEN);
    let mut repo = model.repo("owner/repo");
    for number in 1..=5_000 {
        repo = repo.issue(number).updated_at(NOW - 10_000_000).back();
    }
    let since =
        "/repos/owner/repo/issues?state=all&since=2026-11-20T05:59:00Z&sort=updated&direction=asc";
    let listed = |model: &mut Model| -> Vec<u64> {
        let items = get(model, since).value();
        let items = items.as_array().cloned().unwrap_or_default();
        items
            .iter()
            .filter_map(|item| item["number"].as_u64())
            .collect()
    };
    assert_eq!(listed(&mut model), [0_u64; 0]);
    model.set_now(NOW - 30_000);
    model
        .repo("owner/repo")
        .issue(17)
        .label("a")
        .issue(4_000)
        .assignee("alice");
    model.set_now(NOW);
    model
        .repo("owner/repo")
        .issue(17)
        .comment("bob", "hello")
        .issue(3)
        .deleted();
    assert_eq!(listed(&mut model), [4_000, 17]);
    let heads = ask_repo(
        &mut model,
        "issues(first: 2, orderBy: {field: UPDATED_AT, direction: DESC}) { nodes { number } }",
    );
    assert_eq!(
        heads["data"]["repository"]["issues"]["nodes"],
        json!([{ "number": 17 }, { "number": 4_000 }])
    );
    model
        .repo("owner/repo")
        .issue(17)
        .updated_at(NOW - 10_000_000);
    assert_eq!(listed(&mut model), [4_000]);
    // Pull requests are listed apart from issues, and issues only where they are switched on.
    model
        .repo("owner/repo")
        .pull(6_000)
        .back()
        .issues_disabled();
    let newest = "first: 2, orderBy: {field: UPDATED_AT, direction: DESC}";
    let both = ask_repo(
        &mut model,
        &format!(
            "issues({newest}) {{ totalCount }} pullRequests({newest}) {{ totalCount nodes {{ number }} }}"
        ),
    );
    assert_eq!(
        both["data"]["repository"],
        json!({ "issues": { "totalCount": 0 }, "pullRequests": { "totalCount": 1, "nodes": [{ "number": 6_000 }] } })
    );
}
