//! Webhook deliveries: what they say, and that they are signed.

use serde_json::{Value, json};

use super::{NOW, seed};
use crate::{Hook, HookEvent, Model};

const SECRET: &str = "It's a Secret to Everybody";

fn world() -> Model {
    let mut model = seed();
    model.set_now(NOW);
    model
        .repo("owner/repo")
        .pull(330)
        .sha("aaa")
        .check("build", Some("FAILURE"))
        .context("ci/other", "PENDING")
        .run("CI", "pull_request", "COMPLETED", Some("SUCCESS"))
        .reviewed("alice", "APPROVED")
        .comment("bob", "hello")
        .pull(331)
        .head("branch-330")
        .sha("bbb")
        .head_owner("mallory")
        .check("build", None)
        .held_run("CI", "pull_request")
        .context("ci/other", "SUCCESS");
    model
}

fn deliver(model: &Model, event: HookEvent) -> (String, Value) {
    let hook = model.hook(&event, SECRET, "d-1").expect("it is there");
    let name = hook.header("x-github-event").unwrap_or_default().to_owned();
    let payload = serde_json::from_slice(&hook.body).expect("JSON");
    (name, payload)
}

fn text(text: &str) -> String {
    text.to_owned()
}

#[test]
fn a_delivery_is_signed_over_its_bytes() {
    // The example of GitHub's documentation.
    assert_eq!(
        crate::hook::signature(SECRET, b"Hello, World!"),
        "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    );
    let model = world();
    let hook = model.hook(&HookEvent::Ping, SECRET, "d-1").expect("a ping");
    assert_eq!(hook.header("x-github-event"), Some("ping"));
    assert_eq!(hook.header("x-github-delivery"), Some("d-1"));
    let signed = |hook: &Hook| {
        let signature = crate::hook::signature(SECRET, &hook.body);
        hook.header("x-hub-signature-256") == Some(signature.as_str())
    };
    assert!(signed(&hook));
    assert_eq!(
        model.hook(&HookEvent::Ping, SECRET, "d-1"),
        Some(hook.clone())
    );
    let other = model.hook(&HookEvent::Ping, "other", "d-1");
    assert_ne!(other, Some(hook.clone()));
    let form = hook.clone().into_form(SECRET);
    assert!(signed(&form));
    assert!(form.body.starts_with(b"payload=%7B"));
    assert_eq!(
        form.header("content-type"),
        Some("application/x-www-form-urlencoded")
    );
}

#[test]
fn payloads_hold_what_the_world_does() {
    let model = world();
    let repo = || text("owner/repo");
    let (name, issue) = deliver(
        &model,
        HookEvent::Issue {
            repo: repo(),
            number: 299,
            action: text("closed"),
        },
    );
    assert_eq!(
        (name.as_str(), &issue["action"]),
        ("issues", &json!("closed"))
    );
    assert_eq!(issue["issue"]["state_reason"], "completed");
    assert_eq!(issue["repository"]["full_name"], "owner/repo");
    assert_eq!(issue["sender"]["login"], "octocat");

    let (name, pull) = deliver(
        &model,
        HookEvent::Pull {
            repo: repo(),
            number: 330,
            action: text("synchronize"),
        },
    );
    assert_eq!(
        (name.as_str(), &pull["number"]),
        ("pull_request", &json!(330))
    );
    assert_eq!(pull["pull_request"]["head"]["sha"], "aaa");
    assert_eq!(pull["pull_request"]["updated_at"], "2026-11-20T06:00:00Z");

    let (name, review) = deliver(
        &model,
        HookEvent::Review {
            repo: repo(),
            number: 330,
            action: text("submitted"),
        },
    );
    assert_eq!(name, "pull_request_review");
    assert_eq!(review["review"]["state"], "approved");

    let (name, comment) = deliver(
        &model,
        HookEvent::Comment {
            repo: repo(),
            number: 330,
            action: text("created"),
        },
    );
    assert_eq!(
        (name.as_str(), &comment["comment"]["body"]),
        ("issue_comment", &json!("hello"))
    );

    let (name, group) = deliver(
        &model,
        HookEvent::MergeGroup {
            repo: repo(),
            number: 330,
            sha: text("ccc"),
            action: text("checks_requested"),
        },
    );
    assert_eq!(name, "merge_group");
    assert_eq!(group["merge_group"]["head_sha"], "ccc");
    let head_ref = &group["merge_group"]["head_ref"];
    assert_eq!(*head_ref, "refs/heads/gh-readonly-queue/main/pr-330-ccc");

    let (name, push) = deliver(
        &model,
        HookEvent::Push {
            repo: repo(),
            branch: text("main"),
            before: text("000"),
            after: text("111"),
        },
    );
    assert_eq!(
        (name.as_str(), &push["ref"]),
        ("push", &json!("refs/heads/main"))
    );
    assert_eq!(push.get("action"), None);

    let event = HookEvent::Unknown {
        name: text("sub_issues"),
        repo: repo(),
    };
    assert_eq!(deliver(&model, event).0, "sub_issues");
    let nowhere = HookEvent::Issue {
        repo: repo(),
        number: 4,
        action: text("closed"),
    };
    assert_eq!(model.hook(&nowhere, SECRET, "d-1"), None);
}

#[test]
fn what_runs_on_a_fork_names_no_pull_request() {
    let model = world();
    let runs = |number: u64| {
        let check = HookEvent::CheckRun {
            repo: text("owner/repo"),
            number,
            name: text("build"),
            action: text("created"),
        };
        let suite = HookEvent::CheckSuite {
            repo: text("owner/repo"),
            number,
            app: text("github-actions"),
            action: text("completed"),
        };
        let run = HookEvent::WorkflowRun {
            repo: text("owner/repo"),
            number,
            workflow: text("CI"),
            action: text("requested"),
        };
        let status = HookEvent::Status {
            repo: text("owner/repo"),
            number,
            context: text("ci/other"),
        };
        [check, suite, run, status].map(|event| deliver(&model, event))
    };
    for (number, sha, named) in [(330, "aaa", 1), (331, "bbb", 0)] {
        for (name, payload) in runs(number) {
            let body = if name == "status" {
                &payload
            } else {
                &payload[&name]
            };
            let hash = if name == "status" {
                &body["sha"]
            } else {
                &body["head_sha"]
            };
            assert_eq!(*hash, sha, "{name}");
            let list = if name == "status" {
                "branches"
            } else {
                "pull_requests"
            };
            assert_eq!(
                body[list].as_array().map(Vec::len),
                Some(named),
                "{name} of {number}"
            );
        }
    }
    let [_, suite, run, status] = runs(331);
    assert_eq!(suite.1["check_suite"]["conclusion"], "action_required");
    assert_eq!(run.1["workflow_run"]["status"], "completed");
    assert_eq!(status.1["state"], "success");
}

#[test]
fn a_renamed_repository_tells_its_former_name() {
    let mut model = world();
    let event = |repo: &str, action: &str| HookEvent::Repository {
        repo: text(repo),
        action: text(action),
    };
    let (name, archived) = deliver(&model, event("owner/repo", "archived"));
    assert_eq!(
        (name.as_str(), archived.get("changes")),
        ("repository", None)
    );
    model.repo("owner/repo").renamed("owner/new");
    let (_, renamed) = deliver(&model, event("owner/new", "renamed"));
    assert_eq!(
        renamed["changes"],
        json!({ "repository": { "name": { "from": "repo" } } })
    );
    model.repo("owner/new").transferred("other");
    let (_, moved) = deliver(&model, event("other/new", "transferred"));
    assert_eq!(moved["changes"]["owner"]["from"]["user"]["login"], "owner");
    assert_eq!(moved["repository"]["id"], 1);
}

#[test]
fn a_transferred_issue_tells_where_it_went() {
    let mut model = world();
    model
        .repo("owner/repo")
        .issue(300)
        .transferred("owner/other", 7);
    let event = HookEvent::Issue {
        repo: text("owner/repo"),
        number: 300,
        action: text("transferred"),
    };
    let (_, payload) = deliver(&model, event);
    assert_eq!(payload["issue"]["number"], 300);
    assert_eq!(payload["repository"]["full_name"], "owner/repo");
    let changes = &payload["changes"];
    assert_eq!(changes["new_issue"]["number"], 7);
    assert_eq!(changes["new_repository"]["full_name"], "owner/other");
}

#[test]
fn any_payload_can_be_sent_to_the_letter() {
    let payload = json!({ "anything": [1, 2] });
    let event = HookEvent::Raw {
        name: text("installation"),
        payload: payload.clone(),
    };
    assert_eq!(deliver(&world(), event), (text("installation"), payload));
}
