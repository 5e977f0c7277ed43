//! What issues, pull requests and commits tell of their past and of what is run on them.

use serde_json::{Value, json};

use super::{NOW, TOKEN, ask, ask_repo, get, seed};
use crate::{Model, Permission, Request, TokenKind};

/// What stands under `repository` of the answer, which must hold no error.
fn told(model: &mut Model, selection: &str) -> Value {
    let answer = ask_repo(model, selection);
    assert_eq!(answer["errors"], Value::Null, "{answer}");
    answer["data"]["repository"].clone()
}

fn forbidden(answer: &Value) -> Vec<Value> {
    let errors = answer["errors"].as_array().cloned().unwrap_or_default();
    errors
        .iter()
        .map(|error| {
            assert_eq!(error["type"], "FORBIDDEN", "{error}");
            error["path"].clone()
        })
        .collect()
}

#[test]
fn an_issue_tells_who_closed_it_and_that_it_was_opened_again() {
    let mut model = seed();
    model.set_now(NOW);
    model
        .repo("owner/repo")
        .issue(300)
        .closed("not_planned")
        .closed_by_user("stale", true)
        .reopened_by("alice")
        .pull(330)
        .closes(300)
        .merged_by("bob");
    let selection = "issue(number: 300) { id updatedAt timelineItems(itemTypes: [CLOSED_EVENT, REOPENED_EVENT], last: 5) \
         { totalCount nodes { __typename ... on ClosedEvent { createdAt actor { __typename login } closer { __typename \
         ... on PullRequest { number } } } ... on ReopenedEvent { actor { login } } } } }";
    assert_eq!(
        told(&mut model, selection)["issue"],
        json!({
            "id": "I_1_300",
            "updatedAt": "2026-11-20T06:00:00Z",
            "timelineItems": { "totalCount": 3, "nodes": [
                { "__typename": "ClosedEvent", "createdAt": "2026-11-20T06:00:00Z",
                  "actor": { "__typename": "Bot", "login": "stale" }, "closer": null },
                { "__typename": "ReopenedEvent", "actor": { "login": "alice" } },
                { "__typename": "ClosedEvent", "createdAt": "2026-11-20T06:00:00Z",
                  "actor": { "__typename": "User", "login": "bob" },
                  "closer": { "__typename": "PullRequest", "number": 330 } },
            ] },
        })
    );
    let closings = "issue(number: 300) { timelineItems(itemTypes: CLOSED_EVENT, first: 1) \
                    { totalCount pageInfo { hasNextPage } nodes { __typename } } }";
    assert_eq!(
        told(&mut model, closings)["issue"]["timelineItems"],
        json!({ "totalCount": 2, "pageInfo": { "hasNextPage": true }, "nodes": [{ "__typename": "ClosedEvent" }] })
    );
    // REST tells it of single issues only.
    let single = get(&mut model, "/repos/owner/repo/issues/300").value();
    assert_eq!(single["closed_by"]["login"], "bob");
    let listed = get(&mut model, "/repos/owner/repo/issues?state=closed").value();
    assert!(listed.as_array().is_some_and(|all| !all.is_empty()));
    assert_eq!(listed[0].get("closed_by"), None);
    model
        .repo("owner/repo")
        .issue(301)
        .closed("completed")
        .closed_by_commit("abc");
    let by_commit = "issue(number: 301) { timelineItems(last: 1) { nodes { ... on ClosedEvent { closer { \
                     ... on Commit { oid } } } } } }";
    let closer = &told(&mut model, by_commit)["issue"]["timelineItems"]["nodes"][0]["closer"];
    assert_eq!(*closer, json!({ "oid": "abc" }));
}

#[test]
fn assigned_bots_are_told_by_rest_alone() {
    let mut model = seed();
    model
        .repo("owner/repo")
        .issue(300)
        .assignee("alice")
        .assignee("copilot[bot]");
    let people = told(
        &mut model,
        "issue(number: 300) { assignees(first: 5) { nodes { login } } }",
    );
    assert_eq!(
        people["issue"]["assignees"]["nodes"],
        json!([{ "login": "alice" }])
    );
    let issue = get(&mut model, "/repos/owner/repo/issues/300").value();
    assert_eq!(
        (
            &issue["assignees"][1]["login"],
            &issue["assignees"][1]["type"]
        ),
        (&json!("copilot[bot]"), &json!("Bot"))
    );
}

#[test]
fn the_latest_opinion_of_each_reviewer_counts_and_a_dismissal_stays() {
    let mut model = seed();
    model.set_now(NOW);
    let pull = model.repo("owner/repo").pull(330).sha("aaa");
    pull.reviewed("alice", "CHANGES_REQUESTED")
        .reviewed("bob", "APPROVED")
        .push("bbb")
        .reviewed("alice", "APPROVED")
        .reviewed("alice", "COMMENTED")
        .reviewed("review[bot]", "COMMENTED")
        .dismissed("bob");
    let selection = "pullRequest(number: 330) { latestOpinionatedReviews(first: 5) { nodes { state submittedAt \
                     author { __typename login } commit { oid } } } reviews(first: 10, states: [COMMENTED]) { nodes { \
                     author { __typename login } } } }";
    let pull = told(&mut model, selection)["pullRequest"].clone();
    let alice = json!({ "__typename": "User", "login": "alice" });
    let at = "2026-11-20T06:00:00Z";
    assert_eq!(
        pull["latestOpinionatedReviews"]["nodes"],
        json!([
            { "state": "DISMISSED", "submittedAt": at, "author": { "__typename": "User", "login": "bob" },
              "commit": { "oid": "aaa" } },
            { "state": "APPROVED", "submittedAt": at, "author": alice, "commit": { "oid": "bbb" } },
        ])
    );
    assert_eq!(
        pull["reviews"]["nodes"],
        json!([{ "author": alice }, { "author": { "__typename": "Bot", "login": "review" } }])
    );
}

#[test]
fn the_queue_and_auto_merge_are_told_and_do_not_move_the_time_of_change() {
    let mut model = seed();
    model.repo("owner/repo").pull(330);
    let selection = "pullRequest(number: 330) { updatedAt isInMergeQueue mergeQueueEntry { position state } \
                     autoMergeRequest { mergeMethod enabledBy { login } } }";
    let before = told(&mut model, selection)["pullRequest"].clone();
    assert_eq!(
        before,
        json!({ "updatedAt": "2026-11-20T05:00:00Z", "isInMergeQueue": false, "mergeQueueEntry": null,
                "autoMergeRequest": null })
    );
    model.set_now(NOW);
    model
        .repo("owner/repo")
        .pull(330)
        .queued(3, "AWAITING_CHECKS")
        .auto_merge("SQUASH", "alice");
    assert_eq!(
        told(&mut model, selection)["pullRequest"],
        json!({ "updatedAt": "2026-11-20T05:00:00Z", "isInMergeQueue": true,
                "mergeQueueEntry": { "position": 3, "state": "AWAITING_CHECKS" },
                "autoMergeRequest": { "mergeMethod": "SQUASH", "enabledBy": { "login": "alice" } } })
    );
    model.token(TOKEN).without(Permission::MergeQueuesRead);
    let answer = ask_repo(&mut model, selection);
    assert_eq!(
        forbidden(&answer),
        [json!(["repository", "pullRequest", "mergeQueueEntry"])]
    );
    model.token(TOKEN).with(Permission::MergeQueuesRead);
    model.repo("owner/repo").pull(330).merged();
    let after = told(&mut model, selection)["pullRequest"].clone();
    assert_eq!(
        (&after["mergeQueueEntry"], &after["autoMergeRequest"]),
        (&Value::Null, &Value::Null)
    );
}

#[test]
fn a_push_leaves_the_checks_behind_and_moves_the_time_of_change() {
    let mut model = seed();
    model
        .repo("owner/repo")
        .pull(330)
        .sha("aaa")
        .check("build", Some("SUCCESS"))
        .held_run("CI", "pull_request")
        .queued(1, "QUEUED");
    let selection = "pullRequest(number: 330) { headRefOid updatedAt mergeable isInMergeQueue statusCheckRollup { \
                     state } commits(last: 1) { nodes { commit { oid checkSuites(first: 5) { totalCount } } } } }";
    let before = told(&mut model, selection)["pullRequest"].clone();
    assert_eq!(before["statusCheckRollup"]["state"], "SUCCESS");
    let suites = &before["commits"]["nodes"][0]["commit"]["checkSuites"]["totalCount"];
    assert_eq!(*suites, 1);
    model.set_now(NOW);
    model.repo("owner/repo").pull(330).push("bbb");
    assert_eq!(
        told(&mut model, selection)["pullRequest"],
        json!({ "headRefOid": "bbb", "updatedAt": "2026-11-20T06:00:00Z", "mergeable": "UNKNOWN",
                "isInMergeQueue": false, "statusCheckRollup": null,
                "commits": { "nodes": [{ "commit": { "oid": "bbb", "checkSuites": { "totalCount": 0 } } }] } })
    );
    // The commit of before keeps its runs.
    let runs = get(&mut model, "/repos/owner/repo/actions/runs?head_sha=aaa").value();
    assert_eq!(runs["total_count"], 1);
}

#[test]
fn a_moved_base_makes_mergeability_unknown_and_nothing_else() {
    let mut model = seed();
    model.repo("owner/repo").pull(330).pull(331).base("next");
    model.set_now(NOW);
    model.repo("owner/repo").base_moved("main");
    let selection = "a: pullRequest(number: 330) { mergeable updatedAt } b: pullRequest(number: 331) { mergeable }";
    let known = json!({ "mergeable": "MERGEABLE" });
    assert_eq!(
        told(&mut model, selection),
        json!({ "a": { "mergeable": "UNKNOWN", "updatedAt": "2026-11-20T05:00:00Z" }, "b": known })
    );
    assert_eq!(told(&mut model, selection)["a"]["mergeable"], "MERGEABLE");
}

#[test]
fn more_than_a_hundred_checks_fill_a_second_page() {
    let mut model = seed();
    let pull = model
        .repo("owner/repo")
        .pull(330)
        .checks(100, Some("SUCCESS"));
    pull.context("ci/other", "PENDING")
        .check("last", Some("FAILURE"));
    let selection = |after: &str| {
        format!(
            "pullRequest(number: 330) {{ statusCheckRollup {{ state contexts(first: 100{after}) {{ totalCount \
             pageInfo {{ hasNextPage endCursor }} nodes {{ __typename ... on CheckRun {{ name status conclusion }} \
             ... on StatusContext {{ context state }} }} }} }} }}"
        )
    };
    let first = told(&mut model, &selection(""))["pullRequest"]["statusCheckRollup"].clone();
    assert_eq!(first["state"], "FAILURE");
    assert_eq!(first["contexts"]["totalCount"], 102);
    assert_eq!(first["contexts"]["pageInfo"]["hasNextPage"], true);
    let after = format!(", after: {}", first["contexts"]["pageInfo"]["endCursor"]);
    let second = told(&mut model, &selection(&after))["pullRequest"]["statusCheckRollup"].clone();
    assert_eq!(
        second["contexts"]["nodes"],
        json!([
            { "__typename": "StatusContext", "context": "ci/other", "state": "PENDING" },
            { "__typename": "CheckRun", "name": "last", "status": "COMPLETED", "conclusion": "FAILURE" },
        ])
    );
    // A check of the same name is run again, and does not stand there twice.
    model.repo("owner/repo").pull(330).check("last", None);
    let again = told(&mut model, &selection(&after))["pullRequest"]["statusCheckRollup"].clone();
    assert_eq!(again["state"], "PENDING");
    assert_eq!(
        again["contexts"]["nodes"][1],
        json!({ "__typename": "CheckRun", "name": "last", "status": "IN_PROGRESS", "conclusion": null })
    );
}

const SUITES: &str = "pullRequest(number: 330) { statusCheckRollup { state } commits(last: 1) { nodes { commit { \
                      checkSuites(first: 10) { pageInfo { hasNextPage } nodes { status conclusion app { slug } \
                      workflowRun { event workflow { name } } } } } } } }";

#[test]
fn held_runs_show_in_suites_and_in_actions_and_not_in_the_rollup() {
    let mut model = seed();
    model
        .repo("owner/repo")
        .pull(330)
        .sha("abc")
        .held_run("CI", "pull_request_target")
        .waiting_run("Deploy", "pull_request")
        .suite("other-ci", "COMPLETED", Some("SUCCESS"));
    let pull = told(&mut model, SUITES)["pullRequest"].clone();
    assert_eq!(pull["statusCheckRollup"], Value::Null);
    let run = |status: &str, conclusion: Option<&str>, event: &str, name: &str| {
        json!({ "status": status, "conclusion": conclusion, "app": { "slug": "github-actions" },
                "workflowRun": { "event": event, "workflow": { "name": name } } })
    };
    assert_eq!(
        pull["commits"]["nodes"][0]["commit"]["checkSuites"],
        json!({ "pageInfo": { "hasNextPage": false }, "nodes": [
            run("COMPLETED", Some("ACTION_REQUIRED"), "pull_request_target", "CI"),
            run("WAITING", None, "pull_request", "Deploy"),
            { "status": "COMPLETED", "conclusion": "SUCCESS", "app": { "slug": "other-ci" }, "workflowRun": null },
        ] })
    );
    let cases: &[(&str, &[&str])] = &[
        ("", &["Deploy", "CI"]),
        ("&status=action_required", &["CI"]),
        ("&status=waiting", &["Deploy"]),
        ("&status=completed", &["CI"]),
        ("&event=push", &[]),
    ];
    for (filter, expected) in cases {
        let target = format!("/repos/owner/repo/actions/runs?head_sha=abc{filter}");
        let runs = get(&mut model, &target).value();
        let names: Vec<_> = runs["workflow_runs"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|run| run["name"].as_str().unwrap_or_default())
            .collect();
        assert_eq!(names, *expected, "{target}");
        assert_eq!(runs["total_count"], expected.len());
    }
    let target = "/repos/owner/repo/actions/runs?head_sha=abc&status=action_required";
    let held = get(&mut model, target).value()["workflow_runs"][0].clone();
    assert_eq!(
        (&held["status"], &held["conclusion"], &held["pull_requests"]),
        (&json!("completed"), &json!("action_required"), &json!([]))
    );
    let nobody = get(&mut model, "/repos/owner/repo/actions/runs?head_sha=none").value();
    assert_eq!(nobody["total_count"], 0);
    let refused = get(&mut model, "/repos/owner/repo/actions/runs?status=held");
    assert_eq!(refused.status, 422);
    model.repo("owner/repo").pull(330).runs_approved();
    let released = told(&mut model, SUITES)["pullRequest"]["commits"]["nodes"][0]["commit"].clone();
    assert_eq!(released["checkSuites"]["nodes"][0]["status"], "QUEUED");
}

#[test]
fn a_missing_permission_takes_suites_runs_and_contexts() {
    let mut model = seed();
    model
        .repo("owner/repo")
        .pull(330)
        .check("build", Some("SUCCESS"))
        .context("ci/other", "SUCCESS")
        .run("CI", "push", "COMPLETED", Some("SUCCESS"));
    let suites = ["repository", "pullRequest", "commits", "nodes"];
    let path = |more: &[Value]| {
        let mut path: Vec<Value> = suites.iter().map(|part| json!(part)).collect();
        path.extend([json!(0), json!("commit"), json!("checkSuites")]);
        path.extend(more.iter().cloned());
        Value::from(path)
    };
    model
        .token(TOKEN)
        .kind(TokenKind::FineGrained)
        .without(Permission::ActionsRead);
    let answer = ask_repo(&mut model, SUITES);
    let run = path(&[json!("nodes"), json!(0), json!("workflowRun")]);
    assert_eq!(forbidden(&answer), [run]);
    let runs = get(&mut model, "/repos/owner/repo/actions/runs");
    assert_eq!(runs.status, 403);
    assert_eq!(
        runs.header("x-accepted-github-permissions"),
        Some("actions=read")
    );

    model.token(TOKEN).without(Permission::ChecksRead);
    let answer = ask_repo(&mut model, SUITES);
    assert_eq!(forbidden(&answer), [path(&[json!("nodes"), json!(0)])]);
    let state = &answer["data"]["repository"]["pullRequest"]["statusCheckRollup"]["state"];
    assert_eq!(*state, "SUCCESS");

    model.token(TOKEN).without(Permission::StatusesRead);
    let contexts = "pullRequest(number: 330) { statusCheckRollup { contexts(first: 5) { nodes { __typename } } } }";
    let answer = ask_repo(&mut model, contexts);
    let nodes = &answer["data"]["repository"]["pullRequest"]["statusCheckRollup"]["contexts"];
    assert_eq!(*nodes, json!({ "nodes": [null, null] }));

    model.token(TOKEN).kind(TokenKind::Installation);
    let answer = ask_repo(&mut model, SUITES);
    assert_eq!(
        forbidden(&answer),
        [
            json!(["repository", "pullRequest", "statusCheckRollup"]),
            path(&[]),
        ]
    );
}

/// Nested lists multiply: what is below a list is fetched once for each of its records.
#[test]
fn the_price_of_new_lists_follows_the_formula() {
    let full = "issue(number: 299) { assignees(first: 5) { nodes { login } } timelineItems(last: 10) { nodes { \
                __typename } } } pullRequest(number: 319) { latestOpinionatedReviews(first: 20) { nodes { state } } \
                commits(last: 1) { nodes { commit { checkSuites(first: 30) { nodes { status } } } } } }";
    let heads = "issues(first: 20, orderBy: {field: UPDATED_AT, direction: DESC}) { nodes { number updatedAt } } \
                 pullRequests(first: 20, orderBy: {field: UPDATED_AT, direction: DESC}) { nodes { number updatedAt \
                 headRefName } }";
    let nested = "pullRequests(first: 50) { nodes { latestOpinionatedReviews(first: 10) { nodes { state } } \
                  commits(last: 1) { nodes { commit { checkSuites(first: 20) { nodes { status } } } } } } }";
    let many = |count: usize, selection: &str| {
        (0..count)
            .map(|n| {
                format!("r{n}: repository(owner: \"owner\", name: \"repo\") {{ {selection} }} ")
            })
            .collect::<String>()
    };
    let cases = [
        // Five lists each: 145 round to 1, 150 to 2.
        (many(29, full), 1, 29 * (5 + 10 + 20 + 1 + 30)),
        (many(30, full), 2, 30 * (5 + 10 + 20 + 1 + 30)),
        // The newest of 74 repositories are one point.
        (many(74, heads), 1, 74 * 40),
        (many(75, heads), 2, 75 * 40),
        // 1 + 50 + 50 + 50 lists.
        (many(1, nested), 2, 50 + 500 + 50 + 1_000),
    ];
    for (selection, points, nodes) in cases {
        let answer = ask(
            &mut seed(),
            &format!("{{ rateLimit {{ cost nodeCount }} {selection} }}"),
        );
        assert_eq!(
            answer["data"]["rateLimit"],
            json!({ "cost": points, "nodeCount": nodes })
        );
    }
}

#[test]
fn single_repositories_lag_and_others_do_not() {
    let mut model = seed();
    model.repo("owner/other").issue(1);
    let both = |model: &mut Model| {
        let answer = ask(
            model,
            "{ a: repository(owner: \"owner\", name: \"repo\") { issue(number: 300) { state } } \
             b: repository(owner: \"owner\", name: \"other\") { issue(number: 1) { state } } }",
        );
        let state = |alias: &str| answer["data"][alias]["issue"]["state"].clone();
        (state("a"), state("b"))
    };
    model.lag_repo("owner/repo", 2);
    model.repo("owner/repo").issue(300).closed("completed");
    model.repo("owner/other").issue(1).closed("completed");
    assert_eq!(both(&mut model), (json!("OPEN"), json!("CLOSED")));
    // A read of another repository does not bring this one nearer to the present.
    assert_eq!(get(&mut model, "/repos/owner/other").status, 200);
    let rest = Request::get("/repos/owner/repo/issues/300", TOKEN);
    assert_eq!(model.respond(rest, NOW).value()["state"], "open");
    assert_eq!(both(&mut model), (json!("CLOSED"), json!("CLOSED")));

    model.lag_flipping("owner/repo", 2);
    model.repo("owner/repo").issue(300).reopened();
    let states: Vec<Value> = (0..5).map(|_| both(&mut model).0).collect();
    assert_eq!(states, ["CLOSED", "OPEN", "CLOSED", "OPEN", "OPEN"]);
}
