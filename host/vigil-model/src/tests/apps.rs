//! GitHub Apps: assertions that are really checked, installations, and their tokens.

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use super::NOW;
use crate::{Model, Permission, Request, Response, Scope};

const KEY: &str = include_str!("keys/app.pem");
const PUBLIC: &str = include_str!("keys/app.pub.pem");
const OTHER_KEY: &str = include_str!("keys/other.pem");
const NOW_S: u64 = NOW / 1000;

fn app_world() -> Model {
    let mut model = Model::new(NOW);
    model.repo("acme/app").private().issue(1);
    model.repo("acme/web").issue(1);
    model.repo("bob/tools").issue(1);
    model
        .app(7, PUBLIC)
        .slug("vigil-bot")
        .installation(70, "acme")
        .repos(&["acme/app"]);
    model.app(7, PUBLIC).installation(71, "bob").person();
    model
}

fn sign(key: &str, claims: &Value) -> String {
    let key = EncodingKey::from_rsa_pem(key.as_bytes()).unwrap();
    encode(&Header::new(Algorithm::RS256), claims, &key).unwrap()
}

fn assertion() -> String {
    sign(
        KEY,
        &json!({ "iss": "7", "iat": NOW_S - 60, "exp": NOW_S + 540 }),
    )
}

fn as_app(model: &mut Model, target: &str) -> Response {
    model.respond(Request::get(target, &assertion()), NOW)
}

/// A token of the installation, made with `body`.
fn token(model: &mut Model, installation: u64, body: Value) -> Response {
    let target = format!("/app/installations/{installation}/access_tokens");
    model.respond(Request::send("POST", &target, &assertion(), &body), NOW)
}

fn secret(response: &Response) -> String {
    assert_eq!(response.status, 201, "{}", response.value());
    response.value()["token"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

fn status(model: &mut Model, target: &str, token: &str) -> u16 {
    model.respond(Request::get(target, token), NOW).status
}

#[test]
fn an_assertion_is_checked_for_its_signature_and_its_claims() {
    let good = json!({ "iss": 7, "iat": NOW_S - 60, "exp": NOW_S + 600 });
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        sign(KEY, &claims)
    };
    let hmac = encode(
        &Header::new(Algorithm::HS256),
        &good,
        &EncodingKey::from_secret(PUBLIC.as_bytes()),
    );
    let cases = [
        (sign(KEY, &good), 200, ""),
        (with("iss", json!("7")), 200, ""),
        (with("iss", json!("Iv1.0000000000000007")), 200, ""),
        (sign(OTHER_KEY, &good), 401, "could not be decoded"),
        (hmac.unwrap(), 401, "could not be decoded"),
        ("a.b.c".to_owned(), 401, "could not be decoded"),
        ("secret".to_owned(), 401, "could not be decoded"),
        (with("iss", json!(8)), 401, "'iss'"),
        (with("iss", Value::Null), 401, "'iss'"),
        (with("iat", json!(NOW_S + 1)), 401, "'iat'"),
        (with("iat", Value::Null), 401, "'iat'"),
        (with("exp", json!(NOW_S)), 401, "'exp'"),
        (with("exp", Value::Null), 401, "'exp'"),
        (with("exp", json!(NOW_S + 601)), 401, "too far"),
    ];
    for (assertion, status, message) in cases {
        let response = app_world().respond(Request::get("/app", &assertion), NOW);
        let said = response.value()["message"].to_string();
        assert_eq!(response.status, status, "{said}");
        assert!(said.contains(message), "{said}");
    }
    let mut model = app_world();
    assert_eq!(as_app(&mut model, "/app").value()["slug"], "vigil-bot");
    // An assertion opens nothing else, and a key that is none opens nothing at all.
    assert_eq!(as_app(&mut model, "/repos/acme/web").status, 401);
    model.app(7, "no key");
    assert_eq!(as_app(&mut model, "/app").status, 401);
}

#[test]
fn installations_are_listed_and_found_by_account_and_repository() {
    let mut model = app_world();
    let all = as_app(&mut model, "/app/installations?per_page=1");
    assert_eq!(all.value()[0]["id"], 70);
    assert_eq!(all.value()[0]["account"]["login"], "acme");
    assert_eq!(all.value()[0]["account"]["type"], "Organization");
    assert!(
        all.header("link")
            .is_some_and(|link| link.contains("page=2"))
    );
    let cases = [
        ("/users/bob/installation", 200, json!(71)),
        ("/orgs/acme/installation", 200, json!(70)),
        ("/users/acme/installation", 200, json!(70)),
        ("/orgs/bob/installation", 404, Value::Null),
        ("/repos/acme/app/installation", 200, json!(70)),
        ("/repos/bob/tools/installation", 200, json!(71)),
        ("/repos/acme/web/installation", 404, Value::Null),
        ("/users/carol/installation", 404, Value::Null),
        ("/app/installations/71", 200, json!(71)),
        ("/app/installations/72", 404, Value::Null),
    ];
    for (target, status, id) in cases {
        let response = as_app(&mut model, target);
        assert_eq!(
            (response.status, &response.value()["id"]),
            (status, &id),
            "{target}"
        );
    }
}

#[test]
fn a_token_of_an_installation_sees_its_repositories_for_an_hour() {
    let mut model = app_world();
    let made = token(&mut model, 70, json!({}));
    assert_eq!(made.value()["expires_at"], "2026-11-20T07:00:00Z");
    assert_eq!(made.value()["permissions"]["issues"], "write");
    assert_eq!(made.value()["repository_selection"], "selected");
    let first = secret(&made);
    assert!(first.starts_with("ghs_"));
    assert_eq!(status(&mut model, "/repos/acme/app/issues/1", &first), 200);
    assert_eq!(status(&mut model, "/repos/acme/web/issues/1", &first), 404);
    assert_eq!(status(&mut model, "/repos/bob/tools", &first), 404);
    assert_eq!(status(&mut model, "/user", &first), 403);
    let repos = model.respond(Request::get("/installation/repositories", &first), NOW);
    assert_eq!(repos.value()["repositories"][0]["full_name"], "acme/app");
    let document = "{ viewer { login } repository(owner: \"acme\", name: \"app\") { name } }";
    let answer = model.respond(Request::graphql(document, Value::Null, &first), NOW);
    assert_eq!(
        answer.value()["data"],
        json!({ "viewer": { "login": "vigil-bot[bot]" }, "repository": { "name": "app" } })
    );
    // All repositories of the account.
    let all = secret(&token(&mut model, 71, json!({})));
    assert_eq!(status(&mut model, "/repos/bob/tools", &all), 200);
    assert_eq!(status(&mut model, "/repos/acme/web", &all), 404);

    let later = Request::get("/repos/acme/app", &first);
    assert_eq!(model.respond(later.clone(), NOW + 3_599_999).status, 200);
    assert_eq!(model.respond(later, NOW + 3_600_000).status, 401);
    let second = secret(&token(&mut model, 70, json!({})));
    assert_ne!(second, first);
}

#[test]
fn a_token_can_be_made_for_less_and_not_for_more() {
    let mut model = app_world();
    model
        .app(7, PUBLIC)
        .installation(70, "acme")
        .repos(&["acme/app", "acme/web"])
        .without(Permission::ChecksRead);
    let asked = json!({ "repositories": ["web"], "permissions": { "issues": "read" } });
    let made = token(&mut model, 70, asked);
    assert_eq!(
        made.value()["permissions"],
        json!({ "issues": "read", "metadata": "read" })
    );
    let narrow = secret(&made);
    assert_eq!(status(&mut model, "/repos/acme/web/issues/1", &narrow), 200);
    assert_eq!(status(&mut model, "/repos/acme/app/issues/1", &narrow), 404);
    let pulls = model.respond(Request::get("/repos/acme/web/pulls", &narrow), NOW);
    assert_eq!(
        (pulls.status, pulls.header("x-accepted-github-permissions")),
        (403, Some("pull_requests=read"))
    );
    for refused in [
        json!({ "repositories": ["none"] }),
        json!({ "permissions": { "checks": "read" } }),
        json!({ "permissions": { "issues": "admin" } }),
    ] {
        assert_eq!(token(&mut model, 70, refused).status, 422);
    }
    assert_eq!(token(&mut model, 72, json!({})).status, 404);
}

#[test]
fn a_suspended_installation_is_told_so_and_a_removed_one_is_a_bad_credential() {
    let mut model = app_world();
    let secret = secret(&token(&mut model, 70, json!({})));
    model
        .app(7, PUBLIC)
        .installation(70, "acme")
        .suspended(true);
    assert_eq!(token(&mut model, 70, json!({})).status, 403);
    let refused = model.respond(Request::get("/repos/acme/app", &secret), NOW);
    assert_eq!(
        (refused.status, &refused.value()["message"]),
        (403, &json!("This installation has been suspended"))
    );
    model
        .app(7, PUBLIC)
        .installation(70, "acme")
        .suspended(false);
    assert_eq!(status(&mut model, "/repos/acme/app", &secret), 200);
    model.app(7, PUBLIC).uninstalled(70);
    assert_eq!(status(&mut model, "/repos/acme/app", &secret), 401);
}

#[test]
fn each_installation_has_a_limit_of_its_own_by_its_size() {
    let mut model = app_world();
    for number in 0..30 {
        model.repo(&format!("bob/r{number}"));
    }
    let small = secret(&token(&mut model, 70, json!({})));
    let large = secret(&token(&mut model, 71, json!({})));
    let limits = |model: &mut Model, token: &str, target: &str| {
        let response = model.respond(Request::get(target, token), NOW);
        let header = |name: &str| response.header(name).unwrap_or_default().to_owned();
        (header("x-ratelimit-limit"), header("x-ratelimit-remaining"))
    };
    let pair = |limit: &str, left: &str| (limit.to_owned(), left.to_owned());
    assert_eq!(
        limits(&mut model, &small, "/repos/acme/app"),
        pair("5000", "4999")
    );
    // 31 repositories: 11 over 20.
    assert_eq!(
        limits(&mut model, &large, "/repos/bob/tools"),
        pair("5550", "5549")
    );
    model.token(&small).limits(1, 1);
    let refused = model.respond(Request::get("/repos/acme/app", &small), NOW);
    assert_eq!(
        (refused.status, &refused.value()["message"]),
        (
            403,
            &json!("API rate limit exceeded for installation ID 70.")
        )
    );
    assert_eq!(
        limits(&mut model, &large, "/repos/bob/tools"),
        pair("5550", "5548")
    );
}

#[test]
fn an_installation_without_checks_loses_the_rollup() {
    let mut model = app_world();
    model
        .repo("acme/app")
        .pull(2)
        .check("build", Some("SUCCESS"));
    model
        .app(7, PUBLIC)
        .installation(70, "acme")
        .without(Permission::ChecksRead);
    let secret = secret(&token(&mut model, 70, json!({})));
    let document = "{ repository(owner: \"acme\", name: \"app\") { pullRequest(number: 2) { number \
                    statusCheckRollup { state } } } }";
    let answer = model.respond(Request::graphql(document, Value::Null, &secret), NOW);
    assert_eq!(
        answer.value()["data"]["repository"]["pullRequest"],
        json!({ "number": 2, "statusCheckRollup": null })
    );
    assert_eq!(answer.value()["errors"][0]["type"], "FORBIDDEN");
}

#[test]
fn faults_meet_apps_as_they_meet_everybody() {
    let mut model = app_world();
    model.fail(Scope::Rest, crate::Fault::Html(502));
    assert_eq!(as_app(&mut model, "/app").status, 502);
    model.heal();
    assert_eq!(as_app(&mut model, "/app").status, 200);
}
