//! REST: routes, lists, conditional reads, writes.

use serde_json::{Value, json};

use super::{NOW, TOKEN, get, seed, send};
use crate::{Model, Permission, Request, Response};

fn numbers(response: &Response) -> Vec<u64> {
    let items = response.value().as_array().cloned().unwrap_or_default();
    items
        .iter()
        .filter_map(|item| item["number"].as_u64())
        .collect()
}

fn known(model: &mut Model, target: &str, tag: &str, token: &str) -> Response {
    let request = Request::get(target, token).header("if-none-match", tag);
    model.respond(request, NOW)
}

#[test]
fn single_things_are_told_in_rests_words() {
    let mut model = seed();
    let issue = get(&mut model, "/repos/owner/repo/issues/299");
    assert_eq!(
        issue.header("last-modified"),
        Some("Fri, 20 Nov 2026 05:00:00 GMT")
    );
    let issue = issue.value();
    assert_eq!(issue["state"], "closed");
    assert_eq!(issue["state_reason"], "completed");
    assert_eq!(issue["closed_at"], "2026-11-20T05:00:00Z");
    assert_eq!(issue["labels"][0]["name"], "vigilante:done");
    assert_eq!(issue.get("pull_request"), None);
    let pull = get(&mut model, "/repos/owner/repo/pulls/319").value();
    assert_eq!(
        (&pull["state"], &pull["merged"]),
        (&json!("closed"), &json!(true))
    );
    assert_eq!(pull["merged_at"], "2026-11-20T05:30:00Z");
    assert_eq!(pull["head"]["label"], "owner:vigilante/issue-299-t");
    // A pull request is an issue, too, and says so.
    let as_issue = get(&mut model, "/repos/owner/repo/issues/319").value();
    assert_eq!(
        as_issue["pull_request"]["merged_at"],
        "2026-11-20T05:30:00Z"
    );
    assert_eq!(
        get(&mut model, "/repos/owner/repo").value()["has_issues"],
        true
    );
}

#[test]
fn what_is_not_there_is_a_404_and_what_went_a_410() {
    let mut model = seed();
    model.repo("owner/hidden").private().issue(1);
    model.repo("owner/repo").issue(300).deleted();
    model.repo("owner/off").issues_disabled().issue(1).pull(2);
    let cases = [
        ("/repos/owner/none", 404),
        ("/repos/owner/hidden", 404),
        ("/repos/owner/hidden/issues/1", 404),
        ("/repos/owner/repo/issues/4", 404),
        ("/repos/owner/repo/issues/x", 404),
        ("/repos/owner/repo/pulls/299", 404),
        ("/repos/owner/repo/issues/300", 410),
        ("/repos/owner/off/issues", 410),
        ("/repos/owner/off/issues/1", 410),
        ("/repos/owner/off/issues/2", 200),
        ("/repos/owner/off/pulls/2", 200),
        ("/repositories/1/issues/299", 200),
        ("/repositories/99", 404),
        ("/repos/owner", 404),
        ("/nowhere", 404),
        ("/", 404),
    ];
    for (target, status) in cases {
        let response = get(&mut model, target);
        assert_eq!(response.status, status, "{target}");
        if status != 200 {
            assert_eq!(response.value()["status"], status.to_string(), "{target}");
        }
    }
    let put = send(&mut model, "PUT", "/repos/owner/repo", json!({}));
    assert_eq!(put.status, 404);
}

#[test]
fn a_former_name_is_redirected_to_the_id() {
    let mut model = seed();
    model.repo("owner/repo").renamed("new/name");
    let moved = get(&mut model, "/repos/Owner/Repo/issues?state=all");
    assert_eq!(moved.status, 301);
    let target = moved.header("location").unwrap_or_default().to_owned();
    assert_eq!(
        target,
        "https://api.github.com/repositories/1/issues?state=all"
    );
    let target = target.trim_start_matches("https://api.github.com");
    assert_eq!(get(&mut model, target).status, 200);
    assert_eq!(get(&mut model, "/repos/new/name").status, 200);
    let label = json!({ "labels": ["a"] });
    let moved = send(
        &mut model,
        "POST",
        "/repos/owner/repo/issues/299/labels",
        label,
    );
    assert_eq!(moved.status, 307);
}

#[test]
fn an_unchanged_answer_is_a_304_that_costs_nothing() {
    let mut model = seed();
    model.token("second");
    let target = "/repos/owner/repo/issues?state=all";
    let first = get(&mut model, target);
    let tag = first.header("etag").unwrap_or_default().to_owned();
    let again = known(&mut model, target, &tag, TOKEN);
    assert_eq!((again.status, again.body.len()), (304, 0));
    assert_eq!(again.header("x-ratelimit-remaining"), Some("4999"));
    assert_eq!(again.header("etag"), Some(tag.as_str()));
    // The tag belongs to the token and to what is accepted.
    assert_eq!(known(&mut model, target, &tag, "second").status, 200);
    let other = Request::get(target, TOKEN)
        .header("if-none-match", &tag)
        .header("accept", "application/vnd.github.raw+json");
    assert_eq!(model.respond(other, NOW).status, 200);
    model.repo("owner/repo").issue(300).label("new");
    assert_eq!(known(&mut model, target, &tag, TOKEN).status, 200);
    assert_eq!(model.tally().not_modified, 1);
    assert_eq!(model.tally().rest_charged, 4);
}

#[test]
fn an_empty_list_has_one_tag_whatever_the_address() {
    let mut model = seed();
    let empty = get(&mut model, "/repos/owner/repo/issues?labels=none");
    let tag = empty.header("etag").unwrap_or_default().to_owned();
    let other = "/repos/owner/repo/issues?labels=nobody";
    assert_eq!(known(&mut model, other, &tag, TOKEN).status, 304);
}

#[test]
fn single_things_know_since_when_they_stand() {
    let mut model = seed();
    let target = "/repos/owner/repo/issues/299";
    let modified = get(&mut model, target)
        .header("last-modified")
        .unwrap_or_default()
        .to_owned();
    let since = |date: &str| Request::get(target, TOKEN).header("if-modified-since", date);
    assert_eq!(model.respond(since(&modified), NOW).status, 304);
    let earlier = "Fri, 20 Nov 2026 04:59:59 GMT";
    assert_eq!(model.respond(since(earlier), NOW).status, 200);
    let list = get(&mut model, "/repos/owner/repo/issues");
    assert_eq!(list.header("last-modified"), None);
}

#[test]
fn checks_and_mergeability_do_not_move_the_time_of_change() {
    let mut model = seed();
    let updated = |model: &mut Model| {
        get(model, "/repos/owner/repo/issues/319").value()["updated_at"].clone()
    };
    let before = updated(&mut model);
    model.set_now(NOW);
    model
        .repo("owner/repo")
        .pull(319)
        .rollup("FAILURE")
        .mergeable("CONFLICTING", "DIRTY");
    assert_eq!(updated(&mut model), before);
    model.repo("owner/repo").pull(319).label("seen");
    assert_ne!(updated(&mut model), before);
}

#[test]
fn issues_are_listed_with_pull_requests_filtered_and_sorted() {
    let mut model = Model::new(NOW);
    model.token(TOKEN);
    model
        .repo("owner/repo")
        .issue(1)
        .created_at(NOW - 9_000)
        .updated_at(NOW - 1_000)
        .issue(2)
        .created_at(NOW - 8_000)
        .closed("not_planned")
        .label("a")
        .label("b")
        .updated_at(NOW - 5_000)
        .pull(3)
        .created_at(NOW - 7_000)
        .updated_at(NOW - 3_000);
    let cases: &[(&str, &[u64])] = &[
        ("", &[3, 1]),
        ("?state=closed", &[2]),
        ("?state=all&direction=asc", &[1, 2, 3]),
        ("?state=all&sort=updated&direction=asc", &[2, 3, 1]),
        // Whole seconds, and the bound is part of it.
        (
            "?state=all&sort=updated&since=2026-11-20T05:59:57Z",
            &[1, 3],
        ),
        ("?state=all&labels=a,b", &[2]),
        ("?state=all&labels=a,c", &[]),
        ("?state=all&per_page=1&page=2&direction=asc", &[2]),
        ("?state=all&per_page=1&page=4", &[]),
    ];
    for (query, expected) in cases {
        let response = get(&mut model, &format!("/repos/owner/repo/issues{query}"));
        assert_eq!(numbers(&response), *expected, "{query}");
    }
    for query in [
        "?state=merged",
        "?sort=name",
        "?direction=up",
        "?since=yesterday",
    ] {
        let response = get(&mut model, &format!("/repos/owner/repo/issues{query}"));
        assert_eq!(response.status, 422, "{query}");
        assert_eq!(response.value()["message"], "Validation Failed");
    }
}

#[test]
fn pages_are_linked() {
    let mut model = Model::new(NOW);
    model.token(TOKEN);
    for number in 1..=250 {
        model.repo("owner/repo").issue(number);
    }
    assert_eq!(
        numbers(&get(&mut model, "/repos/owner/repo/issues")).len(),
        30
    );
    let many = get(&mut model, "/repos/owner/repo/issues?per_page=500");
    assert_eq!(numbers(&many).len(), 100);
    let second = get(&mut model, "/repos/owner/repo/issues?per_page=100&page=2");
    assert_eq!(
        second.header("link"),
        Some(
            "<https://api.github.com/repositories/1/issues?per_page=100&page=1>; rel=\"prev\", \
             <https://api.github.com/repositories/1/issues?per_page=100&page=3>; rel=\"next\", \
             <https://api.github.com/repositories/1/issues?per_page=100&page=3>; rel=\"last\", \
             <https://api.github.com/repositories/1/issues?per_page=100&page=1>; rel=\"first\""
        )
    );
    assert_eq!(
        get(&mut model, "/repos/owner/repo/issues/1").header("link"),
        None
    );
    let far = get(&mut model, "/repos/owner/repo/issues?per_page=100&page=101");
    assert_eq!(far.status, 422, "pages end where cursors begin");
}

#[test]
fn long_lists_are_followed_by_cursor() {
    let mut model = Model::new(NOW);
    model.token(TOKEN);
    let mut repo = model.repo("owner/repo");
    for number in 1..=10_050 {
        repo = repo.issue(number).back();
    }
    let mut target = "/repos/owner/repo/issues?per_page=100&direction=asc".to_owned();
    let mut seen = Vec::new();
    loop {
        let page = get(&mut model, &target);
        seen.extend(numbers(&page));
        let next = page.header("link").and_then(|link| {
            let link = link.strip_prefix("<https://api.github.com")?;
            let (target, relation) = link.split_once('>')?;
            relation.contains("next").then(|| target.to_owned())
        });
        match next {
            Some(next) => target = next,
            None => break,
        }
    }
    assert_eq!(seen, (1..=10_050).collect::<Vec<_>>());
}

#[test]
fn pull_requests_are_listed_by_head_only_with_its_owner() {
    let mut model = seed();
    model
        .repo("owner/repo")
        .pull(320)
        .head("vigilante/issue-299-t")
        .head_owner("fork")
        .pull(321);
    let cases: &[(&str, &[u64])] = &[
        ("state=all&head=owner:vigilante/issue-299-t", &[319]),
        ("state=all&head=fork:vigilante/issue-299-t", &[320]),
        ("head=owner:vigilante/issue-299-t", &[]),
        // Without an owner the filter is silently ignored.
        (
            "state=all&direction=asc&head=vigilante/issue-299-t",
            &[319, 320, 321],
        ),
        ("state=closed", &[319]),
        ("base=other", &[]),
    ];
    for (query, expected) in cases {
        let response = get(&mut model, &format!("/repos/owner/repo/pulls?{query}"));
        assert_eq!(numbers(&response), *expected, "{query}");
    }
}

#[test]
fn mergeability_is_told_for_single_pull_requests_once_it_is_known() {
    let mut model = seed();
    model.repo("owner/repo").pull(321).mergeability_pending(1);
    let first = get(&mut model, "/repos/owner/repo/pulls/321").value();
    assert_eq!(
        (&first["mergeable"], &first["mergeable_state"]),
        (&Value::Null, &json!("unknown"))
    );
    let second = get(&mut model, "/repos/owner/repo/pulls/321").value();
    assert_eq!(
        (&second["mergeable"], &second["mergeable_state"]),
        (&json!(true), &json!("clean"))
    );
    let list = get(&mut model, "/repos/owner/repo/pulls").value();
    assert_eq!(list[0].get("mergeable"), None);
}

#[test]
fn labels_are_added_and_taken_away() {
    let mut model = seed();
    let labels = "/repos/owner/repo/issues/300/labels";
    let added = send(
        &mut model,
        "POST",
        labels,
        json!({ "labels": ["a b", "c", "a b"] }),
    );
    assert_eq!(
        (added.status, added.value()[0]["name"].as_str()),
        (200, Some("a b"))
    );
    let again = send(&mut model, "POST", labels, json!(["c"]));
    assert_eq!(again.value().as_array().map(Vec::len), Some(2));
    let taken = send(&mut model, "DELETE", &format!("{labels}/A%20B"), json!({}));
    assert_eq!(
        (taken.status, taken.value()[0]["name"].as_str()),
        (200, Some("c"))
    );
    let missing = send(&mut model, "DELETE", &format!("{labels}/none"), json!({}));
    assert_eq!(
        (missing.status, &missing.value()["message"]),
        (404, &json!("Label does not exist"))
    );
    let item = model.look("owner/repo", 300);
    assert_eq!(
        item.map(|item| item.labels.clone()),
        Some(vec!["c".to_owned()])
    );
    assert_eq!(item.map(|item| item.updated_ms), Some(NOW));
}

#[test]
fn comments_are_posted_and_read() {
    let mut model = seed();
    let comments = "/repos/owner/repo/issues/319/comments";
    let posted = send(&mut model, "POST", comments, json!({ "body": "Hello" }));
    assert_eq!(posted.status, 201);
    let read = get(&mut model, comments).value();
    assert_eq!(read[0]["body"], "Hello");
    assert_eq!(read[0]["user"]["login"], "octocat");
    for (body, status) in [
        (json!({}), 422),
        (json!({ "body": "" }), 422),
        (json!({ "body": 1 }), 422),
        (json!({ "body": "x".repeat(65_537) }), 422),
        (json!([]), 400),
    ] {
        assert_eq!(send(&mut model, "POST", comments, body).status, status);
    }
}

#[test]
fn writes_need_a_permission_and_a_living_repository() {
    let mut model = seed();
    let labels = "/repos/owner/repo/issues/300/labels";
    model.token(TOKEN).without(Permission::IssuesWrite);
    let refused = send(&mut model, "POST", labels, json!({ "labels": ["a"] }));
    assert_eq!(refused.status, 403);
    assert!(refused.header("x-accepted-github-permissions").is_some());
    model.token(TOKEN).with(Permission::IssuesWrite);
    model.repo("owner/repo").archived(true);
    assert_eq!(
        send(&mut model, "POST", labels, json!({ "labels": ["a"] })).status,
        403
    );
    model.repo("owner/repo").archived(false);
    let nowhere = "/repos/owner/repo/issues/4/labels";
    assert_eq!(
        send(&mut model, "POST", nowhere, json!({ "labels": ["a"] })).status,
        404
    );
    assert_eq!(
        send(&mut model, "POST", labels, json!({ "labels": ["a"] })).status,
        200
    );
}
