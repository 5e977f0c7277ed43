use std::path::Path;

use serde_json::json;

use super::*;

/// A wake in one word: `#2` a number, `~x` a branch, `=sha` a commit, `>x` a base, `/` a repository, `*` an owner.
fn short(wake: &Wake) -> String {
    let repo = &wake.repo;
    match &wake.about {
        About::Number(number) => format!("{repo}#{number}"),
        About::Branch(branch) => format!("{repo}~{branch}"),
        About::Commit(sha) => format!("{repo}={sha}"),
        About::Base(branch) => format!("{repo}>{branch}"),
        About::Repository => format!("{repo}/"),
        About::Owner => format!("{repo}*"),
    }
}

#[track_caller]
fn check(name: &str, payload: &[u8], expected: &[&str]) {
    let Heard::Wakes(wakes) = hear(name, payload) else {
        panic!("{name} was not understood");
    };
    let mut found: Vec<String> = wakes.iter().map(short).collect();
    let mut expected: Vec<String> = expected.iter().map(|text| (*text).to_owned()).collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected, "{name}");
}

#[track_caller]
fn check_json(name: &str, mut payload: Value, expected: &[&str]) {
    if payload.get("repository").is_none() {
        payload["repository"] = json!({ "id": 7, "full_name": "acme/app" });
    }
    check(name, payload.to_string().as_bytes(), expected);
}

/// The recorded payloads, by event and action, and where each says to look.
const RECORDED: &[(&str, &[&str])] = &[
    (
        "check_run.completed",
        &[
            "Codertocat/Hello-World#2",
            "Codertocat/Hello-World=ec26c3e57ca3a959ca5aad62de7213c562f8c821",
            "Codertocat/Hello-World~changes",
        ],
    ),
    // One without pull requests.
    (
        "check_suite.completed",
        &[
            "Codertocat/Hello-World=ec26c3e57ca3a959ca5aad62de7213c562f8c821",
            "Codertocat/Hello-World~main",
        ],
    ),
    // Of a tag.
    ("create", &[]),
    ("delete", &[]),
    ("installation.created", &["Codertocat/Hello-World/"]),
    // One without repositories.
    ("installation.suspend", &["Codertocat*"]),
    ("installation_repositories.added", &["Codertocat/Space/"]),
    ("issue_comment.created", &["Codertocat/Hello-World#1"]),
    ("issues.labeled", &["Codertocat/Hello-World#1"]),
    (
        "issues.transferred",
        &["octo-org/octo-repo#1", "Codertocat/Hello-World#1"],
    ),
    ("label.created", &[]),
    ("label.deleted", &["Codertocat/Hello-World/"]),
    // Of its colour.
    ("label.edited", &[]),
    ("merge_group.checks_requested", &["octo-org/octo-repo#104"]),
    ("ping", &[]),
    (
        "pull_request.closed",
        &["Codertocat/Hello-World#2", "Codertocat/Hello-World~changes"],
    ),
    (
        "pull_request.synchronize",
        &["Codertocat/Hello-World#2", "Codertocat/Hello-World~changes"],
    ),
    (
        "pull_request_review.submitted",
        &["Codertocat/Hello-World#2", "Codertocat/Hello-World~changes"],
    ),
    (
        "pull_request_review_comment.created",
        &["Codertocat/Hello-World#2", "Codertocat/Hello-World~changes"],
    ),
    (
        "pull_request_review_thread.resolved",
        &["octo-org/octo-repo#118", "octo-org/octo-repo~issue-comment"],
    ),
    (
        "push.branch",
        &[
            "Codertocat/Hello-World~master",
            "Codertocat/Hello-World>master",
        ],
    ),
    ("push.tag", &[]),
    // To the name that it had, as recorded.
    ("repository.renamed", &["Octocoders/Hello-World/"]),
    (
        "repository.transferred",
        &["Octocoders/Hello-World/", "octocat/Hello-World/"],
    ),
    // Its branch has the commit, and not at the head.
    (
        "status",
        &["Codertocat/Hello-World=6113728f27ae82c7b1a177c8d03f9e96e0adf246"],
    ),
    (
        "workflow_run.completed",
        &[
            "Codertocat/Hello-World=5779607b49aab1200488439f02372c57b4f75444",
            "Codertocat/Hello-World~main",
        ],
    ),
];

#[test]
fn recorded_payloads_say_where_to_look() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/webhooks");
    let mut heard: Vec<&str> = Vec::new();
    for (file, expected) in RECORDED {
        let name = file.split('.').next().expect("a name");
        let payload = std::fs::read(folder.join(format!("{file}.json"))).expect("a payload");
        check(name, &payload, expected);
        heard.push(name);
    }
    for known in KNOWN {
        assert!(heard.contains(&known), "{known} has no recorded payload");
    }
}

#[test]
fn what_is_shown_says_when_it_was_updated_and_nothing_else_does() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/webhooks");
    let secs = |text: &str| {
        let moment: jiff::Timestamp = text.parse().expect("a time");
        u64::try_from(moment.as_second()).expect("after 1970")
    };
    for (file, _) in RECORDED {
        let name = file.split('.').next().expect("a name");
        let payload = std::fs::read(folder.join(format!("{file}.json"))).expect("a payload");
        let value: Value = serde_json::from_slice(&payload).expect("JSON");
        let shown = ["/pull_request/updated_at", "/issue/updated_at"]
            .iter()
            .find_map(|at| text(&value, at))
            .map(secs);
        let elsewhere = text(&value, "/changes/new_issue/updated_at").map(secs);
        let here = text(&value, "/repository/full_name");
        let Heard::Wakes(wakes) = hear(name, &payload) else {
            panic!("{file}");
        };
        for wake in wakes {
            let updated = wake.updated.map(|updated| updated.0 / 1000);
            let expected = match wake.about {
                About::Number(_) if Some(wake.repo.as_str()) == here => shown,
                // Where it was transferred to.
                About::Number(_) => elsewhere,
                _ => None,
            };
            assert_eq!(updated, expected, "{file}: {:?}", wake.about);
        }
    }
    let number = |payload: Value| match hear("issues", payload.to_string().as_bytes()) {
        Heard::Wakes(wakes) => wakes[0].updated,
        other => panic!("{other:?}"),
    };
    for (time, expected) in [
        (json!("2026-11-20T06:00:00Z"), Some(1_795_154_400_000)),
        (json!("yesterday"), None),
        (json!("1969-01-01T00:00:00Z"), None),
        (json!(5), None),
        (Value::Null, None),
    ] {
        let payload = json!({
            "repository": { "full_name": "acme/app" },
            "issue": { "number": 1, "updated_at": time },
        });
        assert_eq!(number(payload), expected.map(Timestamp), "{time}");
    }
}

#[test]
fn the_queue_and_auto_merge_come_as_pull_requests() {
    for action in [
        "enqueued",
        "dequeued",
        "auto_merge_enabled",
        "converted_to_draft",
    ] {
        check_json(
            "pull_request",
            json!({ "action": action, "number": 4, "pull_request": { "head": { "ref": "x" } } }),
            &["acme/app#4", "acme/app~x"],
        );
    }
}

#[test]
fn a_group_that_is_gone_moves_everybody_in_the_queue() {
    let group = |head: &str| {
        json!({
            "action": "destroyed",
            "reason": "dequeued",
            "merge_group": { "head_ref": head, "base_ref": "refs/heads/release/1.x" },
        })
    };
    check_json(
        "merge_group",
        group("refs/heads/gh-readonly-queue/release/1.x/pr-12-0a1b"),
        &["acme/app#12", "acme/app>release/1.x"],
    );
    check_json(
        "merge_group",
        group("refs/heads/gh-readonly-queue/release/1.x/something-new"),
        &["acme/app>release/1.x"],
    );
    check_json("merge_group", json!({ "action": "new" }), &["acme/app/"]);
}

#[test]
fn checks_of_a_fork_are_found_by_commit_and_name_no_foreign_number() {
    let pull =
        |number: u64, repo: u64| json!({ "number": number, "base": { "repo": { "id": repo } } });
    check_json(
        "check_run",
        json!({ "check_run": {
            "head_sha": "abc", "pull_requests": [],
            "check_suite": { "head_branch": null },
        } }),
        &["acme/app=abc"],
    );
    check_json(
        "workflow_run",
        json!({ "workflow_run": {
            "head_sha": "abc", "head_branch": "fix",
            "pull_requests": [pull(3, 7), pull(99, 8)],
        } }),
        &["acme/app#3", "acme/app=abc", "acme/app~fix"],
    );
}

#[test]
fn branches_that_come_and_go_wake_those_who_work_on_them() {
    for name in ["create", "delete"] {
        check_json(
            name,
            json!({ "ref": "team/fix-7", "ref_type": "branch" }),
            &["acme/app~team/fix-7"],
        );
    }
    check_json(
        "status",
        json!({ "sha": "abc", "branches": [
            { "name": "a", "commit": { "sha": "abc" } },
            { "name": "b", "commit": { "sha": "def" } },
            { "name": "c" },
        ] }),
        &["acme/app=abc", "acme/app~a", "acme/app~c"],
    );
}

#[test]
fn a_former_name_is_still_what_sessions_say() {
    check_json(
        "repository",
        json!({ "action": "renamed", "changes": { "repository": { "name": { "from": "old" } } } }),
        &["acme/app/", "acme/old/"],
    );
    check_json(
        "repository",
        json!({
            "action": "transferred",
            "changes": { "owner": { "from": { "organization": { "login": "before" } } } },
        }),
        &["acme/app/", "before/app/"],
    );
    check_json("repository", json!({ "action": "deleted" }), &["acme/app/"]);
    check_json(
        "label",
        json!({ "action": "edited", "changes": { "name": { "from": "done" } } }),
        &["acme/app/"],
    );
}

#[test]
fn what_an_event_leaves_out_is_looked_for_everywhere() {
    for name in KNOWN {
        let expected: &[&str] = match name {
            "ping" => &[],
            // These say whose they are elsewhere, see below.
            "installation" | "installation_repositories" => continue,
            _ => &["acme/app/"],
        };
        check_json(name, json!({}), expected);
        // Fields of another kind than documented are missing fields.
        check_json(
            name,
            json!({
                "number": "4", "ref": 5, "ref_type": [], "sha": {}, "branches": 1, "changes": 1, "label": [],
                "issue": 3, "pull_request": "x", "check_run": { "pull_requests": {} }, "check_suite": 1,
                "workflow_run": null, "merge_group": [],
            }),
            expected,
        );
    }
}

#[test]
fn a_long_list_is_one_look_at_the_owner() {
    let many: Vec<Value> = (0..=WAKES_MAX)
        .map(|n| json!({ "full_name": format!("acme/app{n}") }))
        .collect();
    check_json(
        "installation",
        json!({ "installation": { "account": { "login": "acme" } }, "repositories": many }),
        &["acme*"],
    );
    let pulls: Vec<Value> = (0..=WAKES_MAX).map(|n| json!({ "number": n })).collect();
    check_json(
        "check_suite",
        json!({ "check_suite": { "head_sha": "abc", "pull_requests": pulls } }),
        &["acme/app/"],
    );
}

#[test]
fn nonsense_is_told_apart_from_what_is_not_known() {
    assert_eq!(hear("marketplace_purchase", b"{}"), Heard::Unknown);
    assert_eq!(hear("", b"{}"), Heard::Unknown);
    assert_eq!(hear("Issues", b"{}"), Heard::Unknown);
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for payload in [
        "",
        "null",
        "[]",
        "{",
        "{\"repository\": {}}",
        "{\"repository\": {\"full_name\": \"no-slash\"}}",
        "{\"repository\": {\"full_name\": 5}}",
        "\u{0}",
        &deep,
    ] {
        assert_eq!(hear("issues", payload.as_bytes()), Heard::Unparsable);
    }
    assert_eq!(hear("issues", b"\xff\xfe"), Heard::Unparsable);
    assert_eq!(hear("installation", b"{}"), Heard::Unparsable);
    // A ping means that it works, whatever it says.
    assert_eq!(hear("ping", b"{}"), Heard::Wakes(Vec::new()));
}

#[test]
fn a_log_line_shows_plain_words_alone() {
    let long = "x".repeat(65);
    for (value, shown) in [
        (Some("issues"), "issues"),
        (Some("0b989ba4-242f-11e5"), "0b989ba4-242f-11e5"),
        (None, "none"),
        (Some(""), "odd"),
        (Some("issues peer=127.0.0.1"), "odd"),
        (Some(long.as_str()), "odd"),
    ] {
        assert_eq!(plain(value), shown, "{value:?}");
    }
}
