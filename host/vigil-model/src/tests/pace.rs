//! How fast and how often: secondary limits, what is sent in spite of them, and what tokens are told about themselves.

use serde_json::{Value, json};

use super::{NOW, TOKEN, get, seed};
use crate::{
    ErrorType, Fault, Forbidden, Model, Permission, Request, Response, SecondaryLimits, TokenKind,
};

const QUERY: &str = "{ viewer { login } }";

fn graphql(model: &mut Model, now_ms: u64) -> Response {
    model.respond(Request::graphql(QUERY, Value::Null, TOKEN), now_ms)
}

fn rest(model: &mut Model, now_ms: u64) -> Response {
    model.respond(Request::get("/repos/owner/repo", TOKEN), now_ms)
}

fn comment(model: &mut Model, now_ms: u64) -> Response {
    let target = "/repos/owner/repo/issues/300/comments";
    let body = json!({ "body": "hello" });
    model.respond(Request::send("POST", target, TOKEN, &body), now_ms)
}

#[test]
fn nine_hundred_points_of_rest_in_a_minute_are_the_most() {
    let mut model = seed();
    // Reads in the first half of a minute, and one write of five points.
    for n in 0..895 {
        assert_eq!(rest(&mut model, NOW + n * 30).status, 200);
    }
    assert_eq!(comment(&mut model, NOW + 30_000).status, 201);
    let refused = rest(&mut model, NOW + 30_001);
    assert_eq!(
        (refused.status, refused.header("retry-after")),
        (403, Some("60"))
    );
    assert!(
        refused.value()["message"]
            .to_string()
            .contains("secondary rate limit")
    );
    assert_ne!(refused.header("x-ratelimit-remaining"), Some("0"));
    // GraphQL has a pace of its own, and silence ends it.
    assert_eq!(graphql(&mut model, NOW + 30_001).status, 200);
    assert_eq!(
        rest(&mut model, NOW + 90_000).header("retry-after"),
        Some("1")
    );
    assert_eq!(rest(&mut model, NOW + 90_001).status, 200);
    assert_eq!(model.tally().refused_secondary, 2);
    assert_eq!(model.tally().secondary_points, 895 + 5 + 1 + 1);
}

#[test]
fn even_free_answers_count_towards_the_secondary_limit() {
    let mut model = seed();
    let tag = rest(&mut model, NOW)
        .header("etag")
        .unwrap_or_default()
        .to_owned();
    let probe = Request::get("/repos/owner/repo", TOKEN).header("if-none-match", &tag);
    for _ in 0..899 {
        assert_eq!(model.respond(probe.clone(), NOW).status, 304);
    }
    assert_eq!(model.respond(probe, NOW).status, 403);
    let tally = model.tally();
    assert_eq!(
        (tally.conditional, tally.not_modified, tally.rest_charged),
        (900, 899, 1)
    );
}

#[test]
fn two_thousand_queries_in_a_minute_are_the_most_and_the_refusal_has_several_shapes() {
    for (retry_after, graphql_as_200, status, wait) in [
        (true, false, 403, Some("60")),
        (false, false, 403, None),
        (true, true, 200, Some("60")),
        (false, true, 200, None),
    ] {
        let mut model = seed();
        model.secondary_limits(Some(SecondaryLimits {
            retry_after,
            graphql_as_200,
            ..SecondaryLimits::default()
        }));
        for _ in 0..2_000 {
            assert_eq!(graphql(&mut model, NOW).value()["errors"], Value::Null);
        }
        let refused = graphql(&mut model, NOW);
        assert_eq!(
            (refused.status, refused.header("retry-after")),
            (status, wait)
        );
        assert_eq!(refused.value().get("data"), None);
        assert!(
            refused.value()["message"]
                .to_string()
                .contains("secondary rate limit")
        );
        assert_eq!(model.tally().points, 2_000);
        assert_eq!(
            (model.tally().refused_secondary, model.tally().while_limited),
            (1, 0)
        );
        assert_eq!(graphql(&mut model, NOW + 59_999).value().get("data"), None);
        assert_eq!(
            model.tally().while_limited,
            1,
            "the minute was told, however"
        );
    }
}

#[test]
fn eighty_writes_in_a_minute_and_five_hundred_in_an_hour_are_the_most() {
    let mut model = seed();
    for _ in 0..80 {
        assert_eq!(comment(&mut model, NOW).status, 201);
    }
    assert_eq!(comment(&mut model, NOW).status, 403);
    assert_eq!(rest(&mut model, NOW).status, 200, "reads go on");
    let mut model = seed();
    for n in 0..500 {
        assert_eq!(comment(&mut model, NOW + n * 1_000).status, 201);
    }
    assert_eq!(comment(&mut model, NOW + 500_000).status, 403);
    assert_eq!(comment(&mut model, NOW + 3_601_000).status, 201);
}

#[test]
fn without_secondary_limits_nobody_is_too_fast() {
    let mut model = seed();
    model.secondary_limits(None);
    for _ in 0..2_001 {
        assert_eq!(graphql(&mut model, NOW).status, 200);
    }
}

#[test]
fn requests_that_overlap_are_counted_by_token_and_a_hundred_are_the_most() {
    let mut model = seed();
    model.token("second").login("somebody");
    let query = Request::graphql(QUERY, Value::Null, TOKEN);
    let read = Request::get("/repos/owner/repo", TOKEN);
    let first = model.begin(&query);
    let _other = model.begin(&Request::graphql(QUERY, Value::Null, "second"));
    let flights: Vec<_> = (0..3).map(|_| model.begin(&read)).collect();
    assert_eq!(
        model.tally().graphql_at_once_max,
        1,
        "another token's is none of it"
    );
    assert_eq!(model.tally().rest_at_once_max, 3);
    model.end(&first);
    let second = model.begin(&query);
    assert_eq!(model.tally().graphql_at_once_max, 1);
    let _third = model.begin(&query);
    assert_eq!(model.tally().graphql_at_once_max, 2);
    model.end(&second);
    flights.iter().for_each(|flight| model.end(flight));
    let _many: Vec<_> = (0..100).map(|_| model.begin(&read)).collect();
    assert_eq!(model.respond(read.clone(), NOW).status, 403);
    assert!(!format!("{:?}", model.tally()).contains(TOKEN));
    assert!(!format!("{:?}", model.begin(&read)).contains(TOKEN));
}

#[test]
fn whoever_goes_on_while_limited_is_counted() {
    let sent = |fault: Option<Fault>, limits: (u64, u64)| {
        let mut model = seed();
        model.token(TOKEN).limits(limits.0, limits.1);
        if let Some(fault) = fault {
            model.fail_next(1, fault);
        }
        graphql(&mut model, NOW);
        // Half a second is longer than what was under way takes.
        graphql(&mut model, NOW + 500);
        rest(&mut model, NOW + 500);
        let asking = Request::get("/rate_limit", TOKEN);
        model.respond(asking, NOW + 500);
        model.tally().while_limited
    };
    let secondary = |wait| Fault::Forbidden(Forbidden::Secondary(wait));
    let told = |headers| Fault::RateLimited {
        headers,
        older_name: false,
    };
    let cases = [
        (None, (5_000, 5_000), 0),
        // Nothing is left of GraphQL, which REST does not care about; asking for the limits is free.
        (None, (5_000, 1), 1),
        (Some(secondary(Some(30))), (5_000, 5_000), 3),
        (Some(secondary(None)), (5_000, 5_000), 3),
        (Some(Fault::TooManyRequests(None)), (5_000, 5_000), 3),
        (Some(Fault::SecondaryAs200(None)), (5_000, 5_000), 3),
        (Some(told(true)), (5_000, 5_000), 1),
        (Some(told(false)), (5_000, 5_000), 1),
        // These tell nobody to wait.
        (
            Some(Fault::Forbidden(Forbidden::Permission)),
            (5_000, 5_000),
            0,
        ),
        (Some(Fault::BadCredentialsExhausted), (5_000, 5_000), 0),
        (Some(Fault::Html(502)), (5_000, 5_000), 0),
    ];
    for (fault, limits, expected) in cases {
        assert_eq!(sent(fault.clone(), limits), expected, "{fault:?}");
    }
    let mut model = seed();
    model.fail_next(1, secondary(Some(30)));
    graphql(&mut model, NOW);
    graphql(&mut model, NOW + 30_000);
    assert_eq!(model.tally().while_limited, 0, "who waits is not counted");
    // Asking for the limits is free of the primary one, and of no other.
    let asked = |fault: Option<Fault>| {
        let mut model = seed();
        model.token(TOKEN).limits(1, 5_000);
        if let Some(fault) = fault {
            model.fail_next(1, fault);
        }
        rest(&mut model, NOW);
        model.respond(Request::get("/rate_limit", TOKEN), NOW + 500);
        model.tally().while_limited
    };
    assert_eq!(asked(None), 0);
    assert_eq!(asked(Some(secondary(Some(30)))), 1);
}

#[test]
fn tokens_end_in_the_middle_and_are_replaced() {
    let mut model = seed();
    model.token(TOKEN).revoked_at(NOW + 1_000);
    assert_eq!(rest(&mut model, NOW + 999).status, 200);
    assert_eq!(rest(&mut model, NOW + 1_000).status, 401);
    assert_eq!(graphql(&mut model, NOW + 1_000).status, 401);
    model.token(TOKEN).restored().sees("owner/hidden");
    model.repo("owner/hidden").private();
    model.rotate_token(TOKEN, "new");
    assert_eq!(rest(&mut model, NOW).status, 401);
    let hidden = model.respond(Request::get("/repos/owner/hidden", "new"), NOW);
    assert_eq!(hidden.status, 200);
    model.token("new").expires_at(NOW + 86_400_000);
    let told = model.respond(Request::get("/user", "new"), NOW);
    assert_eq!(
        told.header("github-authentication-token-expiration"),
        Some("2026-11-21 06:00:00 UTC")
    );
    let late = model.respond(Request::get("/user", "new"), NOW + 86_400_000);
    assert_eq!(late.status, 401);
}

#[test]
fn tokens_are_told_what_they_may() {
    let mut model = seed();
    let classic = get(&mut model, "/user");
    assert_eq!(classic.header("x-oauth-scopes"), Some("repo"));
    assert_eq!(classic.header("x-accepted-github-permissions"), None);
    assert_eq!(
        classic.header("github-authentication-token-expiration"),
        None
    );
    model.token(TOKEN).scopes(&["gist", "read:org"]);
    assert_eq!(
        get(&mut model, "/user").header("x-oauth-scopes"),
        Some("gist, read:org")
    );
    model
        .token(TOKEN)
        .kind(TokenKind::FineGrained)
        .without(Permission::PullsRead);
    for (target, accepted) in [
        ("/user", "allows_permissionless_access=true"),
        ("/repos/owner/repo", "metadata=read"),
        ("/repos/owner/repo/issues", "issues=read"),
        ("/repositories/1/actions/runs", "actions=read"),
        ("/repos/owner/repo/pulls", "pull_requests=read"),
    ] {
        let response = get(&mut model, target);
        assert_eq!(response.header("x-oauth-scopes"), None);
        let header = response.header("x-accepted-github-permissions");
        assert_eq!(header, Some(accepted), "{target}");
    }
}

#[test]
fn an_enterprise_server_lies_below_other_paths_and_limits_nobody() {
    let mut model = seed();
    model.enterprise("3.18.1");
    model.set_base_url("https://ghe.example.com");
    for (target, status) in [
        ("/api/v3/repos/owner/repo", 200),
        ("/api/v3/user", 200),
        ("/repos/owner/repo", 404),
        ("/api/v3/graphql", 404),
        ("/api/v3", 404),
        ("/api/v3/rate_limit", 404),
    ] {
        let response = get(&mut model, target);
        assert_eq!(response.status, status, "{target}");
        assert_eq!(
            response.header("x-github-enterprise-version"),
            Some("3.18.1")
        );
        assert_eq!(response.header("x-ratelimit-remaining"), None);
    }
    let body = json!({ "query": "{ viewer { login } rateLimit { cost } }" });
    let asked = Request::send("POST", "/api/graphql", TOKEN, &body);
    let answer = model.respond(asked, NOW).value();
    assert_eq!(
        answer["data"],
        json!({ "viewer": { "login": "octocat" }, "rateLimit": null })
    );
    let old = Request::send("POST", "/graphql", TOKEN, &body);
    assert_eq!(model.respond(old, NOW).status, 404);
    assert_eq!((model.tally().points, model.tally().rest_charged), (0, 0));
    model.repo("owner/repo").renamed("owner/new");
    let moved = get(&mut model, "/api/v3/repos/owner/repo");
    assert_eq!(
        moved.header("location"),
        Some("https://ghe.example.com/api/v3/repositories/1")
    );
    model.enterprise_limited("3.18.1");
    let limited = get(&mut model, "/api/v3/repos/owner/new");
    assert_eq!(limited.header("x-ratelimit-remaining"), Some("4999"));
}

#[test]
fn every_nth_look_up_fails_and_long_documents_time_out() {
    let mut model = seed();
    let document = |count: usize| {
        let aliases = (0..count).map(|n| format!("a{n}: issue(number: 299) {{ number }} "));
        format!(
            "{{ repository(owner: \"owner\", name: \"repo\") {{ {} }} }}",
            aliases.collect::<String>()
        )
    };
    let asked = |model: &mut Model, count: usize| {
        model.respond(Request::graphql(&document(count), Value::Null, TOKEN), NOW)
    };
    let error = ErrorType::Other("ARGUMENT_LIMIT");
    model.fail_next(1, Fault::EveryNth { nth: 2, error });
    let answer = asked(&mut model, 4).value();
    let one = json!({ "number": 299 });
    assert_eq!(
        answer["data"]["repository"],
        json!({ "a0": one, "a1": null, "a2": one, "a3": null })
    );
    assert_eq!(answer["errors"][1]["type"], "ARGUMENT_LIMIT");
    assert_eq!(answer["errors"][1]["path"], json!(["repository", "a3"]));
    let before = model.tally().points;
    model.fail(
        crate::Scope::Any,
        Fault::TimesOut {
            lookups_max: 3,
            status: 502,
        },
    );
    let page = asked(&mut model, 4);
    assert_eq!((page.status, page.value()), (502, Value::Null));
    assert_eq!(
        page.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    assert_eq!(model.tally().points, before + 2, "its price and more");
    let left = get(&mut model, "/rate_limit").value();
    assert_eq!(left["resources"]["graphql"]["used"], before + 2);
    assert_eq!(asked(&mut model, 3).status, 200);
    assert_eq!(rest(&mut model, NOW).status, 200, "REST has no look-ups");
}

#[test]
fn latency_adds_to_whatever_else_happens() {
    let mut model = seed();
    model.latency(150);
    let delay = |response: Response| response.delivery;
    let after = |delay_ms| crate::Delivery::After { delay_ms };
    assert_eq!(delay(rest(&mut model, NOW)), after(150));
    model.fail_next(1, Fault::Delay(100));
    assert_eq!(delay(rest(&mut model, NOW)), after(250));
    model.fail_next(1, Fault::Hang);
    assert_eq!(delay(rest(&mut model, NOW)), crate::Delivery::Never);
    model.latency(0);
    assert_eq!(delay(rest(&mut model, NOW)), crate::Delivery::Whole);
}
