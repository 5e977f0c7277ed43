//! The conditional look at what changed in a quiet repository.

use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use vigil_core::{Fact, Timestamp};
use vigil_github::learn::{Learned, Received};
use vigil_github::{LimitScope, Meter, Probe, Probed, Repo, learn_probe};

use crate::support::*;

fn probe() -> Probe {
    Probe {
        repo: Repo::parse("acme/app").expect("a name"),
        since: Timestamp(NOW.0 - 3_600_000),
    }
}

fn receive(status: u16, headers: &HeaderMap, body: &str) -> Learned<(Probed, Meter)> {
    let received = Received {
        status: StatusCode::from_u16(status).expect("a status"),
        headers,
        body: body.as_bytes(),
        at: NOW,
    };
    learn_probe(&probe(), &received, NOW)
}

fn probed(status: u16, pairs: &[(&str, &str)], body: &str) -> Probed {
    match receive(status, &headers(pairs), body) {
        Learned::Answered((probed, _)) => probed,
        other => panic!("{other:?}"),
    }
}

fn gap(probed: Probed) -> String {
    match probed {
        Probed::Gap(gap) => gap.kind.to_string(),
        other => panic!("{other:?}"),
    }
}

/// An issue as REST lists it, with more fields than are read.
fn entry(number: u64) -> Value {
    json!({
        "number": number, "node_id": format!("I_{number}"), "state": "closed", "state_reason": "not_planned",
        "updated_at": "2026-11-20T05:50:00Z", "closed_at": "2026-11-20T05:50:00Z", "title": "t", "locked": false,
        "labels": [{ "id": 1, "name": "bug", "color": "f00" }], "assignees": [{ "login": "ada", "id": 2 }],
        "repository_url": "https://api.github.com/repos/Acme/App",
    })
}

#[test]
fn the_address_stays_the_same_while_nothing_changed() {
    let since = |ms| {
        Probe {
            since: Timestamp(ms),
            ..probe()
        }
        .path()
    };
    assert_eq!(
        since(NOW.0),
        "/repos/acme/app/issues?state=all&since=2026-11-20T06:00:00Z&sort=updated&direction=desc&per_page=100"
    );
    // Whole seconds: what GitHub shows has no more.
    assert_eq!(since(NOW.0 + 999), since(NOW.0));
    assert_ne!(since(NOW.0 + 1000), since(NOW.0));
    let odd = Probe {
        repo: Repo::parse("a b?&#%/..").expect("two parts"),
        ..probe()
    };
    assert!(
        odd.path()
            .starts_with("/repos/a%20b%3F%26%23%25/%2E%2E/issues?"),
        "{}",
        odd.path()
    );
}

#[test]
fn nothing_changed_is_told_by_a_304_alone() {
    assert_eq!(
        probed(304, &[("etag", "W/\"b\"")], ""),
        Probed::Unchanged {
            etag: Some("W/\"b\"".to_owned())
        }
    );
    assert_eq!(probed(304, &[], ""), Probed::Unchanged { etag: None });
    // A list without entries is no such answer, but says the same, and has a tag of its own.
    match probed(200, &[("etag", "\"c\"")], "[]") {
        Probed::Changed {
            items, etag, next, ..
        } => {
            assert_eq!(
                (items.len(), etag.as_deref(), next),
                (0, Some("\"c\""), None)
            );
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn issues_come_with_labels_and_assignees_and_pull_requests_by_number() {
    let mut pull = entry(5);
    pull["pull_request"] = json!({ "merged_at": null });
    pull["state_reason"] = Value::Null;
    let body = json!([entry(3), pull]).to_string();
    let date = ("date", "Fri, 20 Nov 2026 06:00:10 GMT");
    match probed(200, &[("etag", "\"t\""), date], &body) {
        Probed::Changed { items, etag, next } => {
            assert_eq!((etag.as_deref(), next), (Some("\"t\""), None));
            assert_eq!((items[0].number, items[0].id.as_str()), (3, "I_3"));
            assert_eq!(items[0].updated, Timestamp(NOW.0 - 10 * 60_000));
            let issue = items[0].issue.as_ref().expect("an issue");
            assert!(!issue.open);
            assert_eq!(issue.reason.as_deref(), Some("not-planned"));
            assert_eq!(issue.labels, ["bug"]);
            assert_eq!(issue.assignees, Fact::Found(vec!["ada".to_owned()]));
            assert_eq!(
                (kind(&issue.closer), kind(&issue.closed_by)),
                ("not-asked", "not-asked")
            );
            assert_eq!(issue.observed, NOW);
            assert_eq!((items[1].number, items[1].issue.is_none()), (5, true));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn one_entry_that_cannot_be_read_leaves_the_repository_unknown() {
    for (field, value) in [
        ("number", json!(4_294_967_296_u64)),
        ("node_id", Value::Null),
        ("state", json!("ajar")),
        ("updated_at", json!("later")),
        ("closed_at", Value::Null),
        ("labels", Value::Null),
        ("assignees", json!([{}])),
        ("repository_url", json!("nowhere")),
    ] {
        let mut bad = entry(3);
        bad[field] = value;
        let body = json!([entry(2), bad]).to_string();
        assert_eq!(gap(probed(200, &[], &body)), "malformed", "{field}");
    }
    let mut elsewhere = entry(3);
    elsewhere["repository_url"] = "https://api.github.com/repos/acme/new".into();
    let body = json!([elsewhere]).to_string();
    assert_eq!(gap(probed(200, &[], &body)), "identity-changed");
}

#[test]
fn the_next_page_lies_below_the_same_root() {
    let next = |link: &str| match probed(200, &[("link", link)], "[]") {
        Probed::Changed { next, .. } => next,
        other => panic!("{other:?}"),
    };
    let to = |path: &str| Some(path.to_owned());
    assert_eq!(
        next(
            "<https://api.github.com/repositories/7/issues?per_page=100&after=Y%3D>; rel=\"next\", <https://api.github.com/x>; rel=\"last\""
        ),
        to("/repositories/7/issues?per_page=100&after=Y%3D")
    );
    // An Enterprise Server has a root with a path.
    assert_eq!(
        next("<https://ghe.example.com/api/v3/repos/acme/app/issues?page=2>; rel=\"next\""),
        to("/repos/acme/app/issues?page=2")
    );
    assert_eq!(
        next("<https://a/x>; rel=\"prev\", </repositories/7/issues?page=2>; rel=next"),
        to("/repositories/7/issues?page=2")
    );
    for bad in [
        "<https://api.github.com/repositories/7/issues?page=2>; rel=\"prev\"",
        "<https://api.github.com/repositories/7/issues>; rel=\"next\"",
        "<https://api.github.com/repositories/x/issues?page=2>; rel=\"next\"",
        "<https://api.github.com/repositories/7/pulls?page=2>; rel=\"next\"",
        "<https://api.github.com/repos/../app/issues?page=2>; rel=\"next\"",
        "<https://api.github.com/user?page=2>; rel=\"next\"",
        "https://api.github.com/repositories/7/issues?page=2; rel=\"next\"",
        "<>; rel=\"next\"",
        ",;>",
    ] {
        assert_eq!(next(bad), None, "{bad}");
    }
}

#[test]
fn every_refusal_has_its_name() {
    let said = |message: &str| json!({ "message": message }).to_string();
    let moved = "https://api.github.com/repositories/7/issues?state=all";
    assert_eq!(
        probed(301, &[("location", moved)], &said("Moved Permanently")),
        Probed::Moved {
            to: moved.to_owned()
        }
    );
    assert_eq!(gap(probed(302, &[], "")), "malformed");
    assert_eq!(
        probed(
            410,
            &[],
            &said("Issues has been disabled in this repository.")
        ),
        Probed::IssuesOff
    );
    assert_eq!(
        gap(probed(410, &[], &said("This repository was deleted"))),
        "not-found"
    );
    assert_eq!(gap(probed(404, &[], &said("Not Found"))), "not-found");
    assert_eq!(gap(probed(451, &[], "")), "denied");
    assert_eq!(
        gap(probed(
            403,
            &[],
            &said("Resource not accessible by integration")
        )),
        "denied"
    );
    assert_eq!(
        gap(probed(422, &[], &said("Validation Failed"))),
        "malformed"
    );
    // A permission is missing, however full the pot is.
    let full = [
        ("x-ratelimit-remaining", "4000"),
        ("x-ratelimit-reset", "1795158000"),
    ];
    assert_eq!(gap(probed(403, &full, "")), "denied");
}

#[test]
fn a_limit_says_what_it_silences_and_a_bad_token_is_none() {
    let empty = [
        ("x-ratelimit-remaining", "0"),
        ("x-ratelimit-reset", "1795158000"),
        ("x-ratelimit-resource", "core"),
    ];
    let secondary = json!({ "message": "You have exceeded a secondary rate limit." }).to_string();
    for (status, pairs, body, scope, until) in [
        (403, &empty[..], "", LimitScope::Pot, Some(3600)),
        (429, &empty[..], "", LimitScope::Pot, Some(3600)),
        (403, &[][..], secondary.as_str(), LimitScope::Account, None),
        (
            429,
            &[("retry-after", "30")][..],
            "",
            LimitScope::Account,
            Some(30),
        ),
        // A secondary limit can hit while the pot happens to be empty.
        (
            403,
            &empty[..],
            secondary.as_str(),
            LimitScope::Account,
            Some(3600),
        ),
        (
            503,
            &[("retry-after", "30")][..],
            "",
            LimitScope::Account,
            Some(30),
        ),
    ] {
        match receive(status, &headers(pairs), body) {
            Learned::Limited(limit) => {
                assert_eq!(limit.scope, scope, "{status} {pairs:?} {body}");
                let until = until.map(|seconds: u64| Timestamp(NOW.0 + seconds * 1000));
                assert_eq!(limit.until, until, "{status} {pairs:?} {body}");
            }
            other => panic!("{status} {pairs:?}: {other:?}"),
        }
    }
    assert_eq!(receive(401, &headers(&empty), ""), Learned::TokenRejected);
}

#[test]
fn what_is_no_answer_is_lost() {
    for (status, body) in [
        (200, ""),
        (200, "<html>"),
        (200, "{}"),
        (200, "[{"),
        (500, ""),
        (502, "<html>"),
    ] {
        let learned = receive(status, &HeaderMap::new(), body);
        assert!(
            matches!(learned, Learned::Lost(_)),
            "{status} {body}: {learned:?}"
        );
    }
    let good = json!([entry(3), entry(4)]).to_string();
    for end in 0..good.len() {
        let learned = receive(200, &HeaderMap::new(), &good[..end]);
        assert!(matches!(learned, Learned::Lost(_)), "cut at {end}");
    }
}

#[test]
fn the_pot_is_read_from_its_own_headers() {
    let pot = |resource: &str| {
        let pairs = [
            ("x-ratelimit-limit", "5000"),
            ("x-ratelimit-remaining", "4321"),
            ("x-ratelimit-resource", resource),
        ];
        match receive(304, &headers(&pairs), "") {
            Learned::Answered((_, meter)) => meter.remaining,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(pot("core"), Some(4321));
    assert_eq!(pot("graphql"), None);
}
