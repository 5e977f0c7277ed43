//! What counts in an evidence's digest and what does not, for every single field.

use serde_json::{Value, json};
use vigil_core::Evidence;
use vigil_store::evidence_digest;

use crate::common::{at, evidence};

/// An evidence in which every kind of field has a value.
fn full() -> Value {
    let mut full = serde_json::to_value(evidence(299, at(3))).unwrap();
    let gap = json!({"kind": "timed-out", "detail": "no answer in 10.2 s", "since": 5});
    let sighting = json!({"first": 10, "last": 20, "detail": "earlier-run"});
    let session = &mut full["session"];
    session["liveness"] = json!({
        "agent": {"found": {"pid": 7, "started": 100}},
        "occupant": {"found": {"pid": 8, "name": "node", "started": 150}},
        "supervisor": {"absent": sighting},
        "log-written": {"found": 200},
        "log-outcome": "success",
        "worktree-written": {"found": 300},
        "worktree-moved-to": "/w",
        "dirty": {"found": true},
        "unpushed": {"unknown": gap},
    });
    session["times"] = json!({"started": 1, "heartbeat": 2, "updated": 3, "ended": null});
    session["tasks"] = json!([{
        "id": "a", "native-state": "running", "worker": "w1", "heartbeat": {"found": 50}, "attempts": 1,
        "facts": [{"name": "lease", "answer": {"found": {"text": "held"}}}],
    }]);
    session["gaps"] = json!([
        {"field": "times.ended", "gap": gap},
        {"field": "times.updated", "gap": gap},
    ]);
    session["facts"] = json!([
        {"name": "stage", "answer": {"found": {"text": "issue_execution"}}},
        {"name": "cleanup", "answer": {"found": {"text": "done"}}},
    ]);
    session["owner-says"] = json!("failed");
    session["lookup"]["pull-request"] = json!({"Err": gap});
    session["owner-effects"] =
        json!({"writable": ["blocked"], "discards": ["closed"], "discards-while-open": ["closed"]});
    full["issue"]["found"]["closed"] = json!(70);
    let actor = json!({"login": "octo", "bot": false});
    let references = json!({"found": [
        {"repo": "o/r", "number": 5, "state": "open"},
        {"repo": "o/r", "number": 6, "state": "closed"},
    ]});
    let issue = &mut full["issue"]["found"];
    issue["assignees"] = json!({"found": ["a", "b"]});
    issue["closer"] = json!({"found": actor});
    issue["reopened"] = json!({"found": 2});
    issue["closed-by"] = references.clone();
    let pull_request = &mut full["pull-request"]["found"];
    pull_request["review"] = json!({"unknown": gap});
    pull_request["checks"] = json!({"absent": sighting});
    pull_request["mergeability"] =
        json!({"found": {"mergeable": true, "merge-state": "clean", "observed": 40}});
    pull_request["review-list"] = json!({"found": [
        {"author": actor, "state": "approved", "commit": "c1", "submitted": 60},
        {"author": {"login": "robot", "bot": true}, "state": "dismissed", "commit": "c2", "submitted": 61},
    ]});
    pull_request["check-list"] = json!({"found": [
        {"name": "build", "outcome": "failure"},
        {"name": "test", "outcome": "pending"},
    ]});
    pull_request["runs"] = json!({"found": [
        {"name": "ci", "event": "pull_request", "waits-for": "approval"},
        {"name": "deploy", "event": "push", "waits-for": "deployment"},
    ]});
    pull_request["queue"] = json!({"found": {"position": 3, "state": "queued"}});
    pull_request["auto-merge"] = json!({"found": {"method": "squash", "by": actor}});
    pull_request["closes"] = references;
    pull_request["landed"] = json!({"found": true});
    pull_request["merge-commit"] = json!("c3");
    full["siblings"] = json!([
        {"id": "o/r#1", "state": "running", "duplicate": false},
        {"id": "o/r#2", "state": "blocked", "duplicate": true},
    ]);
    full
}

fn leaves(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                leaves(field, &format!("{path}/{name}"), found);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                leaves(item, &format!("{path}/{index}"), found);
            }
        }
        _ => found.push(path.to_owned()),
    }
}

/// The first other value that fits in the place.
fn changed(full: &Value, path: &str) -> Evidence {
    let old = full.pointer(path).unwrap().clone();
    let mut others = vec![json!("closed"), json!("merged"), json!("blocked"), json!(8)];
    match &old {
        Value::String(text) => others.insert(0, json!(format!("{text}x"))),
        Value::Number(number) => others.insert(0, json!(number.as_u64().unwrap() + 1)),
        Value::Bool(flag) => others.insert(0, json!(!flag)),
        _ => {}
    }
    others
        .into_iter()
        .filter(|other| *other != old)
        .find_map(|other| {
            let mut changed = full.clone();
            *changed.pointer_mut(path).unwrap() = other;
            serde_json::from_value(changed).ok()
        })
        .unwrap_or_else(|| panic!("nothing else fits in {path}"))
}

/// Whether the place holds a moment, a gap's text or the revision. That a missing moment appears does count.
fn is_time(path: &str, value: &Value) -> bool {
    let last = path.rsplit('/').next().unwrap();
    let of_gap = ["gap/detail", "unknown/detail", "Err/detail"];
    !value.is_null()
        && ([
            "started",
            "heartbeat",
            "updated",
            "ended",
            "first",
            "last",
            "since",
        ]
        .contains(&last)
            || ["closed", "created", "merged", "observed", "revision"].contains(&last)
            || ["parts-observed", "submitted"].contains(&last)
            || path.ends_with("-written/found")
            || path.ends_with("heartbeat/found")
            || of_gap.iter().any(|end| path.ends_with(end)))
}

#[test]
fn each_field_counts_unless_it_is_a_time() {
    let full = full();
    let digest = evidence_digest(&serde_json::from_value(full.clone()).unwrap());
    let mut paths = Vec::new();
    leaves(&full, "", &mut paths);
    let times = paths
        .iter()
        .filter(|path| is_time(path, full.pointer(path).unwrap()))
        .count();
    assert!(
        paths.len() > 100 && times > 30,
        "{} fields, {times} times",
        paths.len()
    );
    for path in &paths {
        let same = evidence_digest(&changed(&full, path)) == digest;
        let is_time = is_time(path, full.pointer(path).unwrap());
        assert_eq!(same, is_time, "{path}");
    }
}

#[test]
fn the_order_of_what_has_none_does_not_count() {
    let full = full();
    let digest = evidence_digest(&serde_json::from_value(full.clone()).unwrap());
    for path in [
        "/session/facts",
        "/session/gaps",
        "/siblings",
        "/issue/found/labels",
        "/issue/found/assignees/found",
        "/issue/found/closed-by/found",
        "/pull-request/found/review-list/found",
        "/pull-request/found/check-list/found",
        "/pull-request/found/runs/found",
        "/pull-request/found/closes/found",
    ] {
        let mut turned = full.clone();
        turned
            .pointer_mut(path)
            .unwrap()
            .as_array_mut()
            .unwrap()
            .reverse();
        assert_ne!(turned, full, "{path}");
        assert_eq!(
            evidence_digest(&serde_json::from_value(turned).unwrap()),
            digest,
            "{path}"
        );
    }
}

#[test]
fn items_that_share_a_name_have_no_order_either() {
    for (list, items) in [
        (
            "review-list",
            json!([
                {"author": null, "state": "approved", "commit": "c1", "submitted": 5},
                {"author": null, "state": "approved", "commit": "c2", "submitted": 4},
                {"author": null, "state": "dismissed", "commit": null, "submitted": null},
            ]),
        ),
        (
            "check-list",
            json!([{"name": "build", "outcome": "success"}, {"name": "build", "outcome": "failure"}]),
        ),
        (
            "runs",
            json!([
                {"name": "ci", "event": "push", "waits-for": "approval"},
                {"name": "ci", "event": "push", "waits-for": "deployment"},
            ]),
        ),
        (
            "closes",
            json!([
                {"repo": "o/r", "number": 5, "state": "closed"},
                {"repo": "o/r", "number": 5, "state": "open"},
            ]),
        ),
    ] {
        let mut full = full();
        let place = format!("/pull-request/found/{list}");
        let digest_with = |full: &mut Value, items: &Value| {
            *full.pointer_mut(&place).unwrap() = json!({"found": items});
            evidence_digest(&serde_json::from_value(full.clone()).unwrap())
        };
        let mut turned = items.clone();
        turned.as_array_mut().unwrap().reverse();
        let (one, other) = (
            digest_with(&mut full, &items),
            digest_with(&mut full, &turned),
        );
        assert_eq!(one, other, "{list}");
        turned.as_array_mut().unwrap().pop();
        assert_ne!(one, digest_with(&mut full, &turned), "{list}");
    }
}

#[test]
fn the_four_answers_are_four_things() {
    let answers = [
        json!({"found": 0}),
        json!({"absent": {"first": 1, "last": 2}}),
        json!({"unknown": {"kind": "denied", "detail": "x"}}),
        json!("not-asked"),
    ];
    let digests: std::collections::HashSet<_> = answers
        .into_iter()
        .map(|answer| {
            let mut full = full();
            full["beyond-head"] = answer;
            evidence_digest(&serde_json::from_value(full).unwrap())
        })
        .collect();
    assert_eq!(digests.len(), 4);
}

#[test]
fn a_digest_stays_the_same_over_builds() {
    // A change here costs every user one journal row for each session: it should be meant.
    let digest = evidence_digest(&serde_json::from_value(full()).unwrap()).to_string();
    assert_eq!(
        digest,
        "b4ae6d2fdd2af202b1831c075e10714b5b86116f3072da77b782affcfe1390d4"
    );
}
