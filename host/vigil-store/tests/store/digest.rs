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
        "supervisor": {"absent": sighting},
        "log-written": {"found": 200},
        "log-outcome": "success",
        "worktree-written": {"found": 300},
        "dirty": {"found": true},
        "unpushed": {"unknown": gap},
    });
    session["times"] = json!({"started": 1, "heartbeat": 2, "updated": 3, "ended": null});
    session["tasks"] = json!([{"id": "a", "native-state": "running", "heartbeat": 50}]);
    session["gaps"] = json!([
        {"field": "times.ended", "gap": gap},
        {"field": "times.updated", "gap": gap},
    ]);
    session["extra"] = json!([["stage", "issue_execution"], ["cleanup", "done"]]);
    session["owner-says"] = json!("failed");
    session["lookup"]["pull-request"] = json!({"Err": gap});
    session["owner-effects"] =
        json!({"writable": ["blocked"], "discards": ["closed"], "discards-while-open": ["closed"]});
    full["issue"]["found"]["closed"] = json!(70);
    full["pull-request"]["found"]["review"] = json!({"unknown": gap});
    full["pull-request"]["found"]["checks"] = json!({"absent": sighting});
    full["pull-request"]["found"]["mergeability"] =
        json!({"found": {"mergeable": true, "merge-state": "clean"}});
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
            || ["closed", "merged", "observed", "revision"].contains(&last)
            || path.ends_with("-written/found")
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
        paths.len() > 70 && times > 25,
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
        "/session/extra",
        "/session/gaps",
        "/siblings",
        "/issue/found/labels",
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
        "46e154531b49cf5e08292ccd41d6d602ca27d4516c53f2362db18b7e3a44a3bf"
    );
}
