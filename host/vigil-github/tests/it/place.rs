//! What REST says of an issue that GraphQL does not find.

use http::{HeaderMap, StatusCode};
use vigil_core::{Fact, Gap};
use vigil_github::Repo;
use vigil_github::learn::{Learned, Received};
use vigil_github::place::{learn_place, place_path};

use crate::support::*;

fn answer(status: u16, headers: &HeaderMap, body: &str) -> Learned<String> {
    let received = Received {
        status: StatusCode::from_u16(status).expect("a status"),
        headers,
        body: body.as_bytes(),
        at: NOW,
    };
    let repo = Repo::parse("acme/app").expect("a name");
    match learn_place(&repo, 7, &received, NOW) {
        Learned::Answered((fact, meter)) => {
            assert_eq!(meter.remaining.is_some(), !headers.is_empty());
            Learned::Answered(told(&fact))
        }
        Learned::Limited(limit) => Learned::Limited(limit),
        Learned::TokenRejected => Learned::TokenRejected,
        Learned::Lost(gap) => Learned::Lost(gap),
        Learned::Refused(gap) | Learned::Overloaded(gap) => Learned::Refused(gap),
    }
}

fn told<T>(fact: &Fact<T>) -> String {
    match fact {
        Fact::Absent(sighting) => {
            assert_eq!((sighting.first, sighting.last), (NOW, NOW));
            format!("absent: {}", sighting.detail)
        }
        Fact::Unknown(gap) => gap.to_string(),
        Fact::Found(_) | Fact::NotAsked => "nothing".to_owned(),
    }
}

#[track_caller]
fn check(status: u16, pairs: &[(&str, &str)], body: &str, expected: &str) {
    match answer(status, &headers(pairs), body) {
        Learned::Answered(told) => assert!(told.starts_with(expected), "{status}: {told}"),
        _ => panic!("{status}: it was answered"),
    }
}

#[test]
fn deleted_transferred_and_never_there_are_told_apart() {
    let there = "https://api.github.com/repositories/2/issues/77";
    check(
        410,
        &[],
        r#"{"message": "This issue was deleted"}"#,
        "absent: deleted",
    );
    check(
        301,
        &[("location", there), ("x-ratelimit-remaining", "7")],
        r#"{"message": "Moved Permanently"}"#,
        "identity-changed: issue acme/app#7 was transferred: GitHub points to https://api.github.com/repositories/2/issues/77",
    );
    check(
        404,
        &[],
        r#"{"message": "Not Found"}"#,
        "not-found: there is no issue acme/app#7",
    );
    check(
        410,
        &[],
        r#"{"message": "Issues has been disabled in this repository."}"#,
        "no-control:",
    );
    check(200, &[], r#"{"number": 7}"#, "not-ready:");
    check(301, &[], "", "malformed:");
    check(
        403,
        &[],
        r#"{"message": "Resource not accessible"}"#,
        "denied:",
    );
    check(451, &[], "", "denied:");
    check(418, &[], "tea", "malformed:");
}

#[test]
fn what_is_about_no_issue_is_told_as_such() {
    let exhausted = headers(&[
        ("x-ratelimit-remaining", "0"),
        ("x-ratelimit-reset", "1795158000"),
    ]);
    let rejected = answer(401, &exhausted, "");
    assert!(matches!(rejected, Learned::TokenRejected));
    let limited = answer(
        403,
        &exhausted,
        r#"{"message": "API rate limit exceeded for user"}"#,
    );
    assert!(matches!(limited, Learned::Limited(_)));
    for status in [500, 502, 504] {
        let lost = answer(status, &HeaderMap::new(), "<html>");
        let kind = |gap: Gap| gap.kind.as_str().to_owned();
        assert!(
            matches!(lost, Learned::Lost(gap) if kind(gap.clone()) == "unreachable"),
            "{status}"
        );
    }
}

#[test]
fn that_an_issue_is_gone_takes_githubs_own_word() {
    for body in [
        "",
        "<html><h1>410 Gone</h1></html>",
        "[]",
        r#"{"message": ""}"#,
    ] {
        match answer(410, &HeaderMap::new(), body) {
            Learned::Lost(gap) => assert_eq!(gap.kind.as_str(), "malformed", "{body}"),
            Learned::Answered(told) => panic!("{body}: {told}"),
            _ => panic!("{body}: it is no refusal"),
        }
    }
}

#[test]
fn a_record_leads_nowhere_else() {
    let path = |name: &str| place_path(&Repo::parse(name).expect("a name"), 7);
    assert_eq!(path("acme/app"), "/repos/acme/app/issues/7");
    assert_eq!(path("acme/.."), "/repos/acme/%2E%2E/issues/7");
    assert_eq!(path("a?b/c#d"), "/repos/a%3Fb/c%23d/issues/7");
}
