//! Who is let in, and what it costs.

use serde_json::{Value, json};

use super::{NOW, TOKEN, ask, ask_repo, get, seed};
use crate::{Model, Request, Response};

const HOUR_MS: u64 = 3_600_000;

fn left(response: &Response) -> (&str, &str) {
    (
        response.header("x-ratelimit-resource").unwrap_or("none"),
        response.header("x-ratelimit-remaining").unwrap_or("none"),
    )
}

fn graphql(model: &mut Model, document: &str, now_ms: u64) -> Response {
    model.respond(Request::graphql(document, Value::Null, TOKEN), now_ms)
}

#[test]
fn nobody_is_served_without_a_user_agent_or_a_good_token() {
    let good = [
        Request::get("/repos/owner/repo", TOKEN),
        Request::graphql("{ viewer { login } }", Value::Null, TOKEN),
    ];
    for request in good {
        let mut model = seed();
        let mut status = |request: Request| model.respond(request, NOW).status;
        assert_eq!(status(request.clone()), 200);
        assert_eq!(
            status(request.clone().header("authorization", "token secret")),
            200
        );
        assert_eq!(status(request.clone().without("user-agent")), 403);
        assert_eq!(status(request.clone().header("user-agent", " ")), 403);
        for refused in [
            request.clone().without("authorization"),
            request.clone().header("authorization", "Bearer other"),
            request.clone().header("authorization", "Basic secret"),
            request.clone().header("authorization", TOKEN),
        ] {
            assert_eq!(status(refused), 401);
        }
        model.token(TOKEN).revoked();
        let refused = model.respond(request.clone(), NOW);
        assert_eq!(refused.status, 401);
        assert_eq!(refused.value()["message"], "Bad credentials");
        model.token(TOKEN).restored();
        assert_eq!(model.respond(request, NOW).status, 200);
    }
}

#[test]
fn rest_and_graphql_have_limits_of_their_own() {
    let mut model = seed();
    model.token(TOKEN).limits(2, 3);
    assert_eq!(left(&get(&mut model, "/repos/owner/repo")), ("core", "1"));
    assert_eq!(
        left(&graphql(&mut model, "{ viewer { login } }", NOW)),
        ("graphql", "2")
    );
    // A 404 costs like any other answer.
    assert_eq!(left(&get(&mut model, "/repos/owner/none")), ("core", "0"));
    let refused = get(&mut model, "/repos/owner/repo");
    assert_eq!((refused.status, left(&refused)), (403, ("core", "0")));
    let reset = refused.header("x-ratelimit-reset").unwrap_or_default();
    assert_eq!(reset, ((NOW + HOUR_MS) / 1000).to_string());
    assert_eq!(graphql(&mut model, "{ viewer { login } }", NOW).status, 200);
    let limits = get(&mut model, "/rate_limit");
    assert_eq!(limits.status, 200, "asking for the limits is free");
    assert_eq!(limits.value()["resources"]["core"]["remaining"], 0);
    assert_eq!(limits.value()["resources"]["graphql"]["used"], 2);
    let later = Request::get("/repos/owner/repo", TOKEN);
    assert_eq!(model.respond(later.clone(), NOW + HOUR_MS - 1).status, 403);
    assert_eq!(left(&model.respond(later, NOW + HOUR_MS)), ("core", "1"));
    assert_eq!(model.tally().refused, 2);
}

#[test]
fn tokens_of_one_login_share_a_limit_and_others_do_not() {
    let mut model = seed();
    model.token("second");
    model.token("third").login("somebody");
    get(&mut model, "/user");
    let shared = model.respond(Request::get("/user", "second"), NOW);
    assert_eq!(left(&shared), ("core", "4998"));
    let own = model.respond(Request::get("/user", "third"), NOW);
    assert_eq!(left(&own), ("core", "4999"));
    assert_eq!(own.value()["login"], "somebody");
}

#[test]
fn graphql_over_its_limit_is_refused_as_a_200_without_data() {
    let mut model = seed();
    model.token(TOKEN).limits(10, 2).used(0, 1);
    assert_eq!(
        graphql(&mut model, "{ viewer { login } }", NOW).value()["errors"],
        Value::Null
    );
    let refused = graphql(&mut model, "{ viewer { login } }", NOW);
    assert_eq!((refused.status, left(&refused)), (200, ("graphql", "0")));
    assert_eq!(refused.value().get("data"), None);
    assert_eq!(refused.value()["errors"][0]["type"], "RATE_LIMIT");
    assert_eq!((model.tally().points, model.tally().refused), (1, 1));
    let served = graphql(&mut model, "{ viewer { login } }", NOW + HOUR_MS);
    assert_eq!(served.value()["errors"], Value::Null);
}

/// The price by shape, against the worked examples of GitHub's documentation and measurements of others.
#[test]
fn the_price_follows_the_published_formula() {
    fn aliases(count: usize, field: &str) -> String {
        (0..count)
            .map(|n| format!("a{n}: {}", field.replace("NUMBER", &n.to_string())))
            .collect::<Vec<_>>()
            .join(" ")
    }
    let lean =
        "pullRequest(number: NUMBER) { state mergedAt mergeable statusCheckRollup { state } }";
    let branch = "pullRequests(headRefName: \"b-NUMBER\", first: 3) { nodes { number } }";
    let full = "i: issue(number: NUMBER) { labels(first: 10) { nodes { name } } \
                assignees(first: 5) { nodes { login } } \
                closedByPullRequestsReferences(first: 5) { nodes { number } } } \
                p: pullRequest(number: NUMBER) { labels(first: 10) { nodes { name } } \
                statusCheckRollup { contexts(first: 20) { nodes { __typename } } } }";
    let sessions = |count: usize| {
        (0..count)
            .map(|n| {
                format!(
                    "r{n}: repository(owner: \"owner\", name: \"repo\") {{ {} }}",
                    full.replace("NUMBER", "1")
                )
            })
            .collect::<Vec<_>>()
            .join(" ")
    };
    let repo = |selection: String| {
        format!("repository(owner: \"owner\", name: \"repo\") {{ {selection} }}")
    };
    let nested = |a: u32, b: u32, c: u32| {
        repo(format!(
            "pullRequests(first: {a}) {{ nodes {{ commits(first: {b}) {{ nodes {{ commit {{ statusCheckRollup {{ \
             contexts(first: {c}) {{ nodes {{ __typename }} }} }} }} }} }} }} }}"
        ))
    };
    let cases = [
        (repo(aliases(100, lean)), 1, 0),
        (repo(aliases(100, branch)), 1, 300),
        (repo(aliases(149, branch)), 1, 447),
        (repo(aliases(150, branch)), 2, 450),
        (sessions(25), 1, 25 * 50),
        (sessions(29), 1, 29 * 50),
        (sessions(30), 2, 30 * 50),
        (nested(20, 50, 50), 10, 20 + 1_000 + 50_000),
        (nested(5, 50, 50), 3, 5 + 250 + 12_500),
        (nested(5, 20, 20), 1, 5 + 100 + 2_000),
    ];
    for (selection, points, nodes) in cases {
        let answer = ask(
            &mut seed(),
            &format!("{{ rateLimit {{ cost nodeCount }} {selection} }}"),
        );
        let rate = &answer["data"]["rateLimit"];
        assert_eq!(
            *rate,
            json!({ "cost": points, "nodeCount": nodes }),
            "{selection}"
        );
    }
    // The same list in two fragments is fetched once.
    let answer = ask(
        &mut seed(),
        "{ rateLimit { cost nodeCount } repository(owner: \"owner\", name: \"repo\") { ...A ...B } } \
         fragment A on Repository { issues(first: 7) { totalCount } } \
         fragment B on Repository { issues(first: 7) { nodes { id } } }",
    );
    assert_eq!(
        answer["data"]["rateLimit"],
        json!({ "cost": 1, "nodeCount": 7 })
    );
}

#[test]
fn a_document_that_could_bring_too_many_nodes_is_refused() {
    let mut model = seed();
    let answer = ask_repo(
        &mut model,
        "pullRequests(first: 100) { nodes { commits(first: 100) { nodes { commit { statusCheckRollup { \
         contexts(first: 50) { totalCount } } } } } } }",
    );
    assert_eq!(answer.get("data"), None);
    assert_eq!(answer["errors"][0]["type"], "MAX_NODE_LIMIT_EXCEEDED");
}

#[test]
fn the_document_shows_what_is_left() {
    let mut model = seed();
    let answer = ask(
        &mut model,
        "{ rateLimit { limit cost remaining used resetAt } }",
    );
    assert_eq!(
        answer["data"]["rateLimit"],
        json!({ "limit": 5000, "cost": 1, "remaining": 4999, "used": 1, "resetAt": "2026-11-20T07:00:00Z" })
    );
}

#[test]
fn every_answer_has_a_date_and_a_request_id_of_its_own() {
    let mut model = seed();
    let first = get(&mut model, "/user");
    let second = get(&mut model, "/nowhere");
    assert_eq!(first.header("date"), Some("Fri, 20 Nov 2026 06:00:00 GMT"));
    assert_eq!(second.header("date"), first.header("date"));
    assert!(first.header("x-github-request-id").is_some());
    assert_ne!(
        first.header("x-github-request-id"),
        second.header("x-github-request-id")
    );
}

#[test]
fn the_tally_counts_and_holds_no_token() {
    let mut model = seed();
    get(&mut model, "/repos/owner/repo/issues?state=all");
    ask_repo(
        &mut model,
        "a: issue(number: 299) { id } b: pullRequest(number: 319) { id }",
    );
    super::send(
        &mut model,
        "POST",
        "/repos/owner/repo/issues/299/labels",
        json!({ "labels": ["seen"] }),
    );
    let tally = model.tally();
    assert_eq!((tally.requests, tally.rest, tally.graphql), (3, 2, 1));
    assert_eq!((tally.points, tally.rest_charged), (1, 2));
    assert_eq!(tally.secondary_points, 1 + 1 + 5);
    let log: Vec<_> = tally
        .log
        .iter()
        .map(|asked| (asked.method.as_str(), asked.target.as_str(), asked.lookups))
        .collect();
    assert_eq!(
        log,
        [
            ("GET", "/repos/owner/repo/issues?state=all", 0),
            ("POST", "/graphql", 2),
            ("POST", "/repos/owner/repo/issues/299/labels", 0),
        ]
    );
    assert!(!format!("{tally:?}").contains(TOKEN));
    model.reset_tally();
    assert_eq!(model.tally().requests, 0);
}
