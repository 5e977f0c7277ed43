//! The dozen sessions of the demo, and what GitHub says about them.

use anyhow::Result;
use serde_json::{Map, Value, json};
use vigil_core::Timestamp;
use vigil_core::time::minutes;
use vigil_model::Model;

use super::home::{Home, Made, REPO};

/// The token that the model of GitHub knows.
pub const TOKEN: &str = "demo-token-of-the-model";

fn fields(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

/// Makes the sessions in `home` and the issues and pull requests in a model of GitHub.
pub fn tell(home: &mut Home, now: Timestamp) -> Result<Model> {
    let mut model = Model::new(now.as_millis());
    model.token(TOKEN).sees_all();
    let ago = |n: u64| now.before(minutes(n)).as_millis();
    let success = "[2026-03-26T17:39:41Z] session succeeded duration=29m issue=299 provider=codex status=success\n";

    // The report that vigil came out of: nobody re-checked GitHub.
    let head = home.add(&Made {
        issue: 299,
        title: "The report vigil came out of",
        supervisor: std::process::id(),
        log: success,
        ..Made::default()
    })?;
    let repo = model.repo(REPO);
    repo.issue(299)
        .label("vigilante:done")
        .closed_at("completed", ago(78))
        .pull(319)
        .head(&Home::branch(299))
        .sha(&head)
        .created_at(ago(100))
        .merged_at(ago(80));

    // Closed with its pull request open: it is looked after, and nobody starts over.
    let head = home.add(&Made {
        issue: 300,
        title: "Done, with an open PR",
        ..Made::default()
    })?;
    let repo = model.repo(REPO);
    repo.issue(300)
        .label("vigilante:done")
        .closed_at("completed", ago(75))
        .pull(320)
        .head(&Home::branch(300))
        .sha(&head)
        .created_at(ago(90));

    home.add(&Made {
        issue: 301,
        title: "An agent at work",
        agent: true,
        ..Made::default()
    })?;
    model.repo(REPO).issue(301).label("vigilante:running");

    home.add(&Made {
        issue: 302,
        title: "Heard of a while ago",
        silent_for: minutes(12),
        ..Made::default()
    })?;
    model.repo(REPO).issue(302);

    home.add(&Made {
        issue: 303,
        title: "Labelled done",
        ..Made::default()
    })?;
    model.repo(REPO).issue(303).label("vigilante:done");

    home.add(&Made {
        issue: 304,
        title: "Closed without a PR",
        ..Made::default()
    })?;
    model
        .repo(REPO)
        .issue(304)
        .closed_at("not_planned", ago(70));

    // Merged, but the branch went on afterwards.
    let head = home.add(&Made {
        issue: 305,
        title: "Merged too early",
        unpushed: 2,
        ..Made::default()
    })?;
    let repo = model.repo(REPO);
    repo.issue(305)
        .pull(325)
        .head(&Home::branch(305))
        .sha(&head)
        .created_at(ago(100))
        .merged_at(ago(80));

    let head = home.add(&Made {
        issue: 306,
        title: "PR turned down",
        ..Made::default()
    })?;
    let repo = model.repo(REPO);
    repo.issue(306)
        .pull(326)
        .head(&Home::branch(306))
        .sha(&head)
        .created_at(ago(100))
        .closed_at(ago(85));

    home.add(&Made {
        issue: 307,
        title: "The agent is gone",
        ..Made::default()
    })?;
    model.repo(REPO).issue(307);

    let head = home.add(&Made {
        issue: 308,
        title: "Looked after, then merged",
        status: "success",
        extra: fields(json!({
            "pull_request_number": 328,
            "pull_request_state": "OPEN",
            "pull_request_url": format!("https://github.com/{REPO}/pull/328"),
        })),
        ..Made::default()
    })?;
    let repo = model.repo(REPO);
    repo.issue(308)
        .closed_at("completed", ago(60))
        .pull(328)
        .head(&Home::branch(308))
        .sha(&head)
        .created_at(ago(100))
        .merged_at(ago(60));

    let head = home.add(&Made {
        issue: 309,
        title: "Called incomplete, has a PR",
        status: "incomplete",
        extra: fields(json!({ "incomplete_reason": "commits_without_pr" })),
        ..Made::default()
    })?;
    let repo = model.repo(REPO);
    repo.issue(309)
        .pull(329)
        .head(&Home::branch(309))
        .sha(&head)
        .created_at(ago(100));

    // A repository that the token cannot see: not "gone".
    home.add(&Made {
        issue: 310,
        title: "No access",
        extra: fields(json!({ "repo": "acme/secret", "push_repo": "acme/secret" })),
        ..Made::default()
    })?;

    let head = home.add(&Made {
        issue: 311,
        title: "Maintenance that died",
        status: "success",
        extra: fields(json!({
            "pull_request_number": 331,
            "pull_request_state": "OPEN",
            "pull_request_maintenance_in_flight": true,
        })),
        ..Made::default()
    })?;
    let repo = model.repo(REPO);
    repo.issue(311)
        .pull(331)
        .head(&Home::branch(311))
        .sha(&head)
        .created_at(ago(100));

    // Merged, the issue still open, and something was never committed.
    let head = home.add(&Made {
        issue: 312,
        title: "Merged, with notes",
        dirty: true,
        ..Made::default()
    })?;
    let repo = model.repo(REPO);
    repo.issue(312)
        .pull(332)
        .head(&Home::branch(312))
        .sha(&head)
        .created_at(ago(100))
        .merged_at(ago(80));
    Ok(model)
}
