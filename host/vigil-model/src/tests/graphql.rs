//! What a document is answered.

use serde_json::{Value, json};

use super::{NOW, TOKEN, ask, ask_repo, ask_with, seed};
use crate::{Model, Permission, TokenKind};

/// Type, path and whether a location is given, of every error of an answer.
fn field_errors(answer: &Value) -> Vec<(String, Value)> {
    let errors = answer["errors"].as_array().cloned().unwrap_or_default();
    errors
        .iter()
        .map(|error| {
            assert!(error["locations"][0]["line"].is_u64(), "{error}");
            let kind = error["type"].as_str().unwrap_or("").to_owned();
            (kind, error["path"].clone())
        })
        .collect()
}

#[test]
fn what_is_not_there_is_null_with_its_error_and_its_neighbours_stay() {
    let mut model = seed();
    let answer = ask(
        &mut model,
        "{ here: repository(owner: \"owner\", name: \"repo\") { a: issue(number: 299) { number } \
         b: issue(number: 4) { number } c: issue(number: 319) { number } d: pullRequest(number: 299) { number } \
         e: issueOrPullRequest(number: 319) { __typename } f: issueOrPullRequest(number: 5) { __typename } } \
         gone: repository(owner: \"owner\", name: \"none\") { id } }",
    );
    assert_eq!(
        answer["data"],
        json!({
            "here": {
                "a": { "number": 299 }, "b": null, "c": null, "d": null,
                "e": { "__typename": "PullRequest" }, "f": null,
            },
            "gone": null,
        })
    );
    let errors = field_errors(&answer);
    let found: Vec<_> = errors
        .iter()
        .map(|(kind, path)| (kind.as_str(), path.clone()))
        .collect();
    assert_eq!(
        found,
        [
            ("NOT_FOUND", json!(["here", "b"])),
            ("NOT_FOUND", json!(["here", "c"])),
            ("NOT_FOUND", json!(["here", "d"])),
            ("NOT_FOUND", json!(["here", "f"])),
            ("NOT_FOUND", json!(["gone"])),
        ]
    );
    assert_eq!(
        answer["errors"][4]["message"],
        "Could not resolve to a Repository with the name 'owner/none'."
    );
}

#[test]
fn a_private_repository_without_access_looks_like_a_missing_one() {
    let mut model = seed();
    model.repo("owner/hidden").private().issue(1);
    let document =
        |name: &str| format!("{{ repository(owner: \"owner\", name: \"{name}\") {{ id }} }}");
    let hidden = ask(&mut model, &document("hidden")).to_string();
    let missing = ask(&mut model, &document("missin")).to_string();
    assert_eq!(hidden.replace("hidden", "missin"), missing);
    model.token(TOKEN).sees("Owner/Hidden");
    let seen = ask(&mut model, &document("hidden"));
    assert!(seen["data"]["repository"]["id"].is_string());
}

#[test]
fn a_deleted_repository_is_gone_and_its_successor_is_another() {
    let mut model = seed();
    let id = |model: &mut Model| ask_repo(model, "id")["data"]["repository"]["id"].clone();
    let before = id(&mut model);
    model.repo("owner/repo").deleted();
    assert_eq!(id(&mut model), Value::Null);
    assert!(model.look("owner/repo", 299).is_none());
    model.repo("owner/repo").issue(1);
    assert_ne!(id(&mut model), before);
}

#[test]
fn a_renamed_repository_is_followed_unless_told_otherwise() {
    let mut model = seed();
    model.repo("owner/repo").renamed("new/name");
    let document = |follow: &str| {
        format!("{{ repository(owner: \"OWNER\", name: \"repo\"{follow}) {{ nameWithOwner }} }}")
    };
    let answer = ask(&mut model, &document(""));
    assert_eq!(answer["data"]["repository"]["nameWithOwner"], "new/name");
    let answer = ask(&mut model, &document(", followRenames: false"));
    assert_eq!(answer["data"]["repository"], Value::Null);
    assert_eq!(answer["errors"][0]["type"], "NOT_FOUND");
}

#[test]
fn switched_off_issues_are_not_found_and_the_repository_says_so() {
    let mut model = seed();
    model.repo("owner/repo").issues_disabled();
    let answer = ask_repo(
        &mut model,
        "hasIssuesEnabled issue(number: 299) { id } pullRequest(number: 319) { number }",
    );
    assert_eq!(
        answer["data"]["repository"],
        json!({ "hasIssuesEnabled": false, "issue": null, "pullRequest": { "number": 319 } })
    );
}

#[test]
fn connections_need_a_bound_within_bounds() {
    let mut model = seed();
    let cases = [
        ("labels { nodes { name } }", "MISSING_PAGINATION_BOUNDARIES"),
        (
            "labels { edges { cursor } }",
            "MISSING_PAGINATION_BOUNDARIES",
        ),
        (
            "labels(first: 101) { nodes { name } }",
            "EXCESSIVE_PAGINATION",
        ),
        ("labels(last: 101) { totalCount }", "EXCESSIVE_PAGINATION"),
        (
            "labels(first: 1, after: \"x\") { nodes { name } }",
            "INVALID_CURSOR_ARGUMENTS",
        ),
    ];
    for (selection, kind) in cases {
        let answer = ask_repo(
            &mut model,
            &format!("issue(number: 299) {{ number {selection} }}"),
        );
        // The connection of labels may be null, so that the issue stays.
        assert_eq!(
            answer["data"]["repository"]["issue"],
            json!({ "number": 299, "labels": null })
        );
        assert_eq!(
            field_errors(&answer),
            [(kind.to_owned(), json!(["repository", "issue", "labels"]))]
        );
    }
    // This one may not be null, so that its parent is.
    let answer = ask_repo(&mut model, "pullRequests { nodes { number } }");
    assert_eq!(answer["data"], json!({ "repository": null }));
    let answer = ask_repo(
        &mut model,
        "issues { totalCount } issue(number: 299) { labels { totalCount } }",
    );
    assert_eq!(answer["errors"], Value::Null);
    assert_eq!(answer["data"]["repository"]["issues"]["totalCount"], 2);
}

#[test]
fn pages_follow_one_another() {
    let mut model = Model::new(NOW);
    model.token(TOKEN);
    for number in 1..=5 {
        model
            .repo("owner/repo")
            .issue(number)
            .updated_at(NOW - number * 1_000);
    }
    let mut after = String::new();
    let mut seen = Vec::new();
    for _ in 0..3 {
        let answer = ask_repo(
            &mut model,
            &format!(
                "issues(first: 2{after}, orderBy: {{field: UPDATED_AT, direction: DESC}}) {{ totalCount \
                 edges {{ cursor node {{ number }} }} pageInfo {{ hasNextPage hasPreviousPage endCursor }} }}"
            ),
        );
        let page = &answer["data"]["repository"]["issues"];
        let edges = page["edges"].as_array().cloned().unwrap_or_default();
        seen.extend(edges.iter().map(|edge| edge["node"]["number"].clone()));
        assert_eq!(page["totalCount"], 5);
        assert_eq!(page["pageInfo"]["hasNextPage"], seen.len() < 5);
        assert_eq!(page["pageInfo"]["hasPreviousPage"], !after.is_empty());
        assert_eq!(
            page["pageInfo"]["endCursor"],
            edges[edges.len() - 1]["cursor"]
        );
        after = format!(", after: {}", page["pageInfo"]["endCursor"]);
    }
    assert_eq!(seen, [1, 2, 3, 4, 5]);
    let answer = ask_repo(&mut model, "issues(last: 2) { nodes { number } }");
    let last = &answer["data"]["repository"]["issues"]["nodes"];
    assert_eq!(*last, json!([{ "number": 4 }, { "number": 5 }]));
}

#[test]
fn a_branch_is_looked_up_over_forks_and_states() {
    let mut model = seed();
    model
        .repo("owner/repo")
        .pull(320)
        .head("vigilante/issue-299-t")
        .head_owner("stranger")
        .pull(321)
        .head("vigilante/issue-299-t")
        .head_owner_gone()
        .closed()
        .pull(322)
        .head("another");
    let selection = |arguments: &str| {
        format!(
            "pullRequests(headRefName: \"vigilante/issue-299-t\", first: 10{arguments}) \
             {{ nodes {{ number headRepositoryOwner {{ login }} isCrossRepository }} }}"
        )
    };
    let answer = ask_repo(&mut model, &selection(""));
    assert_eq!(
        answer["data"]["repository"]["pullRequests"]["nodes"],
        json!([
            { "number": 319, "headRepositoryOwner": { "login": "owner" }, "isCrossRepository": false },
            { "number": 320, "headRepositoryOwner": { "login": "stranger" }, "isCrossRepository": true },
            { "number": 321, "headRepositoryOwner": null, "isCrossRepository": true },
        ])
    );
    let answer = ask_repo(&mut model, &selection(", states: [OPEN]"));
    let open = &answer["data"]["repository"]["pullRequests"]["nodes"];
    assert_eq!(open.as_array().map(Vec::len), Some(1));
    // A head that moved to another branch is no longer found under the former one.
    model.repo("owner/repo").pull(320).head("elsewhere");
    let answer = ask_repo(&mut model, &selection(", states: OPEN"));
    assert_eq!(
        answer["data"]["repository"]["pullRequests"]["nodes"],
        json!([])
    );
}

#[test]
fn fragments_directives_and_types_are_honoured() {
    let mut model = seed();
    let answer = ask_with(
        &mut model,
        "query q($yes: Boolean!, $no: Boolean = false) { repository(owner: \"owner\", name: \"repo\") { \
         one: issueOrPullRequest(number: 299) { ...Both } two: issueOrPullRequest(number: 319) { ...Both } \
         name @include(if: $no) nameWithOwner @skip(if: $no) id @skip(if: $yes) __typename } } \
         fragment Both on IssueOrPullRequest { __typename ... on Issue { state stateReason } \
         ... on PullRequest { state merged } ... on Node { id } }",
        json!({ "yes": true }),
    );
    // `state` is of two types here, which GitHub takes, since no object is both.
    assert_eq!(
        answer,
        json!({ "data": { "repository": {
            "one": { "__typename": "Issue", "state": "CLOSED", "stateReason": "COMPLETED", "id": "I_1_299" },
            "two": { "__typename": "PullRequest", "state": "MERGED", "merged": true, "id": "PR_1_319" },
            "nameWithOwner": "owner/repo",
            "__typename": "Repository",
        } } })
    );
}

#[test]
fn nodes_are_found_by_their_ids() {
    let mut model = seed();
    let answer = ask(
        &mut model,
        "{ nodes(ids: [\"I_1_299\", \"PR_1_319\", \"PR_1_299\", \"R_1\", \"x\"]) { __typename id } }",
    );
    assert_eq!(
        answer["data"]["nodes"],
        json!([
            { "__typename": "Issue", "id": "I_1_299" },
            { "__typename": "PullRequest", "id": "PR_1_319" },
            null,
            { "__typename": "Repository", "id": "R_1" },
            null,
        ])
    );
    assert_eq!(
        field_errors(&answer),
        [
            ("NOT_FOUND".to_owned(), json!(["nodes", 2])),
            ("NOT_FOUND".to_owned(), json!(["nodes", 4])),
        ]
    );
    let ids = vec!["R_1"; 101];
    let document = "query q($ids: [ID!]!) { nodes(ids: $ids) { id } }";
    let answer = ask_with(&mut model, document, json!({ "ids": ids }));
    assert_eq!(answer["data"], Value::Null);
    assert_eq!(answer["errors"][0]["type"], "ARGUMENT_LIMIT");
}

#[test]
fn a_duplicate_reads_as_not_planned_unless_asked_for() {
    let mut model = seed();
    model.repo("owner/repo").issue(300).closed("duplicate");
    let answer = ask_repo(
        &mut model,
        "issue(number: 300) { plain: stateReason full: stateReason(enableDuplicate: true) }",
    );
    assert_eq!(
        answer["data"]["repository"]["issue"],
        json!({ "plain": "NOT_PLANNED", "full": "DUPLICATE" })
    );
    model.repo("owner/repo").issue(300).reopened();
    let answer = ask_repo(
        &mut model,
        "issue(number: 300) { state stateReason closedAt }",
    );
    assert_eq!(
        answer["data"]["repository"]["issue"],
        json!({ "state": "OPEN", "stateReason": "REOPENED", "closedAt": null })
    );
}

#[test]
fn a_merge_closes_the_issues_that_it_names() {
    let mut model = seed();
    model.repo("owner/repo").pull(330).closes(300);
    let selection = "issue(number: 300) { state closedByPullRequestsReferences(first: 5) { nodes { number } } }";
    let answer = ask_repo(&mut model, selection);
    assert_eq!(
        answer["data"]["repository"]["issue"],
        json!({ "state": "OPEN", "closedByPullRequestsReferences": { "nodes": [{ "number": 330 }] } })
    );
    model.repo("owner/repo").pull(330).merged();
    let answer = ask_repo(&mut model, selection);
    assert_eq!(answer["data"]["repository"]["issue"]["state"], "CLOSED");
}

#[test]
fn mergeability_is_worked_out_when_it_is_asked_for() {
    let mut model = seed();
    model
        .repo("owner/repo")
        .pull(331)
        .mergeable("CONFLICTING", "DIRTY")
        .mergeability_pending(1);
    let selection = "pullRequest(number: 331) { mergeable mergeStateStatus }";
    let look =
        |model: &mut Model| ask_repo(model, selection)["data"]["repository"]["pullRequest"].clone();
    let pending = json!({ "mergeable": "UNKNOWN", "mergeStateStatus": "UNKNOWN" });
    assert_eq!(look(&mut model), pending);
    let known = json!({ "mergeable": "CONFLICTING", "mergeStateStatus": "DIRTY" });
    assert_eq!(look(&mut model), known);
}

#[test]
fn permissions_show_in_the_fields_that_need_them() {
    let checks = "pullRequest(number: 332) { number statusCheckRollup { state contexts(first: 5) { nodes { \
                  ... on CheckRun { name conclusion } } } } }";
    let mut model = seed();
    model
        .repo("owner/repo")
        .pull(332)
        .rollup("FAILURE")
        .check("build", Some("FAILURE"));
    let answer = ask_repo(&mut model, checks);
    let all = json!({ "number": 332, "statusCheckRollup": { "state": "FAILURE", "contexts": { "nodes": [
        { "name": "build", "conclusion": "FAILURE" }] } } });
    assert_eq!(answer["data"]["repository"]["pullRequest"], all);

    model
        .token(TOKEN)
        .kind(TokenKind::FineGrained)
        .without(Permission::ChecksRead);
    let answer = ask_repo(&mut model, checks);
    let rollup = &answer["data"]["repository"]["pullRequest"]["statusCheckRollup"];
    assert_eq!(
        *rollup,
        json!({ "state": "FAILURE", "contexts": { "nodes": [null] } })
    );
    assert_eq!(field_errors(&answer)[0].0, "FORBIDDEN");

    model.token(TOKEN).kind(TokenKind::Installation);
    let answer = ask_repo(&mut model, checks);
    let pull = &answer["data"]["repository"]["pullRequest"];
    assert_eq!(*pull, json!({ "number": 332, "statusCheckRollup": null }));

    model.token(TOKEN).without(Permission::IssuesRead);
    let answer = ask_repo(
        &mut model,
        "issue(number: 299) { id } pullRequest(number: 319) { number }",
    );
    assert_eq!(
        answer["data"]["repository"],
        json!({ "issue": null, "pullRequest": { "number": 319 } })
    );
    assert_eq!(
        field_errors(&answer),
        [("FORBIDDEN".to_owned(), json!(["repository", "issue"]))]
    );
}
