//! What no answer whatever may do: panic, or teach an absence without its control.

use proptest::prelude::*;
use serde_json::{Value, json};
use vigil_core::Fact;
use vigil_core::forge::{Issue, PullRequest};
use vigil_github::choose::More;
use vigil_github::{Heads, Probe, Repo, learn_heads, learn_probe};

use super::gaps::walk;
use super::*;
use crate::support::*;

/// A pull request by its number and one by its branch, two issues, everything of each.
fn question() -> Query {
    query(&[
        by_number("acme/app", 299, 319, EVERYTHING),
        by_branch("acme/app", 300, "vigilante/issue-300", EVERYTHING),
    ])
}

fn good() -> Value {
    let branch = json!({
        "pageInfo": { "hasNextPage": false, "endCursor": null },
        "nodes": [pull_request(320, "OPEN", Some("acme")), pull_request(318, "CLOSED", None)],
    });
    json!({ "data": {
        "rateLimit": rate_limit(),
        "repository0": repository("acme/app", json!({
            "item0": issue("acme/app", 299, false),
            "item1": pull_request(319, "OPEN", Some("acme")),
            "item2": issue("acme/app", 300, true),
            "item3": branch,
        })),
    }})
}

fn damages() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        Just(json!(true)),
        Just(json!(false)),
        any::<i64>().prop_map(|n| json!(n)),
        ".{0,12}".prop_map(|text| json!(text)),
        Just(json!([])),
        Just(json!({})),
        Just(json!([null])),
        Just(json!("UNKNOWN")),
        Just(json!("2026-11-20T05:50:00Z")),
    ]
}

fn errors(paths: usize) -> impl Strategy<Value = Vec<(String, usize, usize)>> {
    let kinds = prop_oneof![
        Just("NOT_FOUND"),
        Just("FORBIDDEN"),
        Just("RESOURCE_LIMITS_EXCEEDED"),
        Just("SERVICE_UNAVAILABLE"),
        Just("RATE_LIMITED"),
        Just(""),
    ]
    .prop_map(str::to_owned);
    prop::collection::vec((kinds, 0..paths, 0..12usize), 0..3)
}

/// The places of `value`, as JSON pointers.
fn places(value: &Value) -> Vec<String> {
    let mut paths = Vec::new();
    walk(value, String::new(), &mut paths);
    paths
}

/// A JSON pointer into the body as GitHub writes the path of an error.
fn path(pointer: &str) -> Value {
    pointer
        .split('/')
        .skip(2)
        .map(|step| {
            step.parse::<u64>()
                .map_or_else(|_| json!(step), |n| json!(n))
        })
        .collect()
}

/// What an absence of the issue at `alias` rests on.
fn issue_control(body: &Value, alias: &str) -> bool {
    let repository = &body["data"]["repository0"];
    let named = repository["nameWithOwner"]
        .as_str()
        .is_some_and(|name| name.eq_ignore_ascii_case("acme/app"));
    let said = body["errors"].as_array().is_some_and(|errors| {
        errors.iter().any(|error| {
            error["type"] == "NOT_FOUND" && error["path"] == json!(["repository0", alias])
        })
    });
    named && said && repository["hasIssuesEnabled"] == true && repository[alias].is_null()
}

/// No part of what is found is absent where an error names it.
fn check_parts(issue: Option<&Issue>, pr: Option<&PullRequest>, errors: &Value, alias: &str) {
    let named = |fields: &[&str]| {
        errors.as_array().is_some_and(|errors| {
            errors.iter().any(|error| {
                error["path"][1] == alias
                    && error["path"][2]
                        .as_str()
                        .is_some_and(|field| fields.contains(&field))
            })
        })
    };
    if let Some(issue) = issue {
        assert!(!(issue.closer.is_absent() && named(&["timelineItems"])));
    }
    if let Some(pr) = pr {
        assert!(!(pr.queue.is_absent() && named(&["mergeQueueEntry"])));
        assert!(!(pr.auto_merge.is_absent() && named(&["autoMergeRequest"])));
        assert!(!(pr.review.is_absent() && named(&["reviewDecision"])));
        assert!(!(pr.mergeability.is_absent() && named(&["mergeable", "mergeStateStatus"])));
        // Passing needs both: a summary, and runs that were seen.
        if pr.checks == Fact::Found("passing".to_owned()) {
            assert!(pr.runs.found().is_some_and(Vec::is_empty) || pr.ended().is_some());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_damage_and_no_error_teaches_an_absence_without_control(
        hits in prop::collection::vec((any::<prop::sample::Index>(), damages()), 0..5),
        errors in errors(400),
    ) {
        let mut body = good();
        let all = places(&body);
        let list: Vec<Value> = errors
            .iter()
            .map(|(kind, at, cut)| {
                let mut path = path(&all[at % all.len()]);
                if let Value::Array(steps) = &mut path {
                    steps.truncate(*cut);
                }
                json!({ "type": kind, "path": path, "message": "as it is" })
            })
            .collect();
        body["errors"] = json!(list);
        for (at, damage) in hits {
            // An earlier damage may have taken the place away.
            if let Some(place) = body.pointer_mut(&all[at.index(all.len())]) {
                *place = damage;
            }
        }
        let query = question();
        if let Learned::Answered(learned) =
            receive(&query, 200, &HeaderMap::new(), &body.to_string())
        {
            prop_assert_eq!(learned.findings.len() + learned.again.len(), query.questions.len());
            for (question, finding) in &learned.findings {
                let at = query.questions.iter().position(|one| one == question).expect("ours");
                let alias = format!("item{at}");
                match finding {
                    Finding::Issue(seen) => {
                        prop_assert!(!seen.fact.is_absent() || issue_control(&body, &alias));
                        prop_assert_eq!(seen.fact.found().is_some(), seen.id.is_some());
                        check_parts(seen.fact.found(), None, &body["errors"], &alias);
                    }
                    Finding::PullRequest(seen) => {
                        prop_assert!(!seen.fact.is_absent());
                        prop_assert_eq!(seen.fact.found().is_some(), seen.updated.is_some());
                        check_parts(None, seen.fact.found(), &body["errors"], &alias);
                    }
                    Finding::Branch(list) => {
                        // An empty, complete list is an absence; it is one only if GitHub wrote it so.
                        if list.known.is_empty() && list.more == More::Complete {
                            let written = &body["data"]["repository0"][alias.as_str()];
                            prop_assert_eq!(&written["nodes"], &json!([]));
                            prop_assert_eq!(&written["pageInfo"]["hasNextPage"], &json!(false));
                        }
                    }
                }
            }
        }
    }

    /// The issue is said not to be there, and its control is damaged now and then.
    #[test]
    fn an_issue_that_is_not_there_is_absent_only_with_its_control(
        name in prop_oneof![Just(json!("acme/app")), Just(json!("Acme/App")), Just(json!("acme/new")), damages()],
        enabled in prop_oneof![3 => Just(json!(true)), 1 => damages()],
        value in prop_oneof![3 => Just(Value::Null), 1 => damages()],
        more in prop::collection::vec(
            (
                prop_oneof![Just("NOT_FOUND"), Just("FORBIDDEN"), Just("SERVICE_UNAVAILABLE")],
                prop_oneof![
                    Just(json!(["repository0"])),
                    Just(json!(["repository0", "hasIssuesEnabled"])),
                    Just(json!(["repository0", "item0"])),
                    Just(json!(["repository0", "item0", "labels"])),
                    Just(json!(["repository0", "item1"])),
                    Just(json!(["rateLimit"])),
                ],
            ),
            0..3,
        ),
        said in prop::bool::weighted(0.8),
    ) {
        let mut body = good();
        body["data"]["repository0"]["nameWithOwner"] = name;
        body["data"]["repository0"]["hasIssuesEnabled"] = enabled;
        body["data"]["repository0"]["item0"] = value;
        let missing = said.then_some(("NOT_FOUND", json!(["repository0", "item0"])));
        let errors: Vec<Value> = missing
            .into_iter()
            .chain(more)
            .map(|(kind, path)| json!({ "type": kind, "path": path, "message": "as it is" }))
            .collect();
        // Anything else that is said about the issue or its repository may be the cause of it.
        let other_cause = errors.iter().any(|error| {
            let own = error["path"] == json!(["repository0", "item0"]);
            let about = error["path"][0] == "repository0" && error["path"][1] != "item1";
            about && !(own && error["type"] == "NOT_FOUND")
        });
        body["errors"] = json!(errors);
        let expected = issue_control(&body, "item0") && !other_cause;
        let learned = match receive(&question(), 200, &HeaderMap::new(), &body.to_string()) {
            Learned::Answered(learned) => learned,
            other => return Err(TestCaseError::fail(format!("{other:?}"))),
        };
        prop_assert_eq!(issue_of(&learned).is_absent(), expected);
    }

    #[test]
    fn no_bytes_and_no_status_make_any_reader_panic(
        status in 100u16..600,
        body in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..64),
            damages().prop_map(|value| value.to_string().into_bytes()),
        ],
        header in ".{0,20}",
    ) {
        let mut headers = HeaderMap::new();
        for name in ["retry-after", "x-ratelimit-remaining", "x-ratelimit-reset", "date", "link", "location", "etag"] {
            if let Ok(value) = http::HeaderValue::from_str(&header) {
                headers.insert(name, value);
            }
        }
        let received = Received {
            status: StatusCode::from_u16(status).expect("a status"),
            headers: &headers,
            body: &body,
            at: NOW,
        };
        let repo = Repo::parse("acme/app").expect("a name");
        let probe = Probe { repo: repo.clone(), since: NOW };
        let _ = learn(&question(), &received, NOW);
        let _ = learn_heads(&Heads::new(vec![repo], |_| false), &received);
        let _ = learn_probe(&probe, &received, NOW);
    }

    #[test]
    fn any_name_makes_a_path_that_leads_nowhere_else(owner in "[^/]{1,12}", name in "[^/]{1,12}", since in any::<u64>()) {
        let repo = Repo::parse(&format!("{owner}/{name}")).expect("a name");
        let path = Probe { repo, since: vigil_core::Timestamp(since) }.path();
        let uri: http::Uri = path.parse().expect("a path");
        let segments: Vec<&str> = uri.path().split('/').collect();
        prop_assert_eq!(segments.len(), 5);
        prop_assert!(segments.iter().all(|segment| *segment != "." && *segment != ".."));
        prop_assert_eq!((segments[1], segments[4]), ("repos", "issues"));
        prop_assert!(uri.query().is_some_and(|query| query.starts_with("state=all&since=")));
    }
}
