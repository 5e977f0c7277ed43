//! What GitHub tells by webhook: a payload for something that happened, with the headers that go with it.
//!
//! A pure function from the world and the event: tests send what it gives, in any order and as often as they like.

use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};
use sha2::Sha256;

use crate::commit::{Check, Suite};
use crate::item::{Item, Pull};
use crate::model::Model;
use crate::rest::shape;
use crate::time::iso;
use crate::world::Repo;

mod event;

pub use event::HookEvent;

/// A delivery, to be sent as a POST.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// Names in lower case.
    pub headers: Vec<(&'static str, String)>,
    /// To the byte what was signed.
    pub body: Vec<u8>,
}

impl Hook {
    /// The value of a header; the name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let (_, value) = headers.find(|(present, _)| *present == name)?;
        Some(value)
    }

    /// The same as a form, the other content type that the settings of a hook offer, signed anew.
    pub fn into_form(mut self, secret: &str) -> Self {
        let payload = String::from_utf8_lossy(&self.body);
        let payload = utf8_percent_encode(&payload, NON_ALPHANUMERIC);
        self.body = format!("payload={payload}").into_bytes();
        let signature = signature(secret, &self.body);
        for (name, value) in &mut self.headers {
            match *name {
                "content-type" => *value = "application/x-www-form-urlencoded".to_owned(),
                "x-hub-signature-256" => value.clone_from(&signature),
                _ => {}
            }
        }
        self
    }
}

/// `sha256=` and the HMAC of the body under the hook's secret.
pub(crate) fn signature(secret: &str, body: &[u8]) -> String {
    let mut mac = match Hmac::<Sha256>::new_from_slice(secret.as_bytes()) {
        Ok(mac) => mac,
        // This kind takes keys of any length.
        Err(never) => unreachable!("{never}"),
    };
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

impl Model {
    /// The delivery of an event as the world is now, signed with the hook's secret. `delivery`: its id, which a
    /// redelivery keeps. `None`: what it is about is not there.
    pub fn hook(&self, event: &HookEvent, secret: &str, delivery: &str) -> Option<Hook> {
        let (name, payload) = self.payload(event)?;
        let body = payload.to_string().into_bytes();
        let mut headers = vec![
            ("accept", "*/*".to_owned()),
            ("content-type", "application/json".to_owned()),
            ("user-agent", "GitHub-Hookshot/0a1b2c3".to_owned()),
            ("x-github-delivery", delivery.to_owned()),
            ("x-github-event", name.to_owned()),
            ("x-github-hook-id", "1".to_owned()),
            ("x-hub-signature-256", signature(secret, &body)),
        ];
        if let Some(enterprise) = &self.enterprise {
            headers.push(("x-github-enterprise-version", enterprise.version.clone()));
        }
        Some(Hook { headers, body })
    }

    fn payload<'e>(&self, event: &'e HookEvent) -> Option<(&'e str, Value)> {
        Some(match event {
            HookEvent::Ping => (
                "ping",
                json!({
                    "zen": "Approachable is better than simple.",
                    "hook_id": 1,
                    "hook": { "type": "Repository", "id": 1, "active": true, "events": ["*"] },
                }),
            ),
            HookEvent::Issue {
                repo,
                number,
                action,
            } if action == "transferred" => ("issues", self.transferred(repo, *number)?),
            HookEvent::Issue {
                repo,
                number,
                action,
            } => {
                let (repo, item) = self.place(repo, *number)?;
                let issue = json!({ "issue": shape::issue(repo, item, false) });
                ("issues", about(repo, Some(action), issue))
            }
            HookEvent::Pull {
                repo,
                number,
                action,
            } => {
                let (repo, item, pull) = self.pull(repo, *number)?;
                let more = json!({
                    "number": number,
                    "pull_request": shape::pull(repo, item, pull, true),
                });
                ("pull_request", about(repo, Some(action), more))
            }
            HookEvent::Review {
                repo,
                number,
                action,
            } => {
                let (repo, item, pull) = self.pull(repo, *number)?;
                let review = pull.reviews.last()?;
                let more = json!({
                    "review": {
                        "id": review.id,
                        "node_id": format!("PRR_{}_{}", repo.id, review.id),
                        "user": shape::user(&review.author),
                        "state": review.state.to_lowercase(),
                        "commit_id": review.commit,
                        "submitted_at": iso(review.submitted_ms),
                    },
                    "pull_request": shape::pull(repo, item, pull, false),
                });
                ("pull_request_review", about(repo, Some(action), more))
            }
            HookEvent::Comment {
                repo,
                number,
                action,
            } => {
                let (repo, item) = self.place(repo, *number)?;
                let more = json!({
                    "issue": shape::issue(repo, item, false),
                    "comment": shape::comment(repo, item, item.comments.last()?),
                });
                ("issue_comment", about(repo, Some(action), more))
            }
            HookEvent::CheckRun {
                repo,
                number,
                name,
                action,
            } => {
                let (repo, item, pull) = self.pull(repo, *number)?;
                let checks = &repo.commit(&pull.head_sha)?.checks;
                let run = checks
                    .iter()
                    .find_map(|check| check_run(repo, item, pull, check, name))?;
                let more = json!({ "check_run": run });
                ("check_run", about(repo, Some(action), more))
            }
            HookEvent::CheckSuite {
                repo,
                number,
                app,
                action,
            } => {
                let (repo, item, pull) = self.pull(repo, *number)?;
                let suites = &repo.commit(&pull.head_sha)?.suites;
                let suite = suites.iter().find(|suite| suite.app == *app)?;
                let more = json!({ "check_suite": check_suite(repo, item, pull, suite) });
                ("check_suite", about(repo, Some(action), more))
            }
            HookEvent::Status {
                repo,
                number,
                context,
            } => {
                let (repo, _, pull) = self.pull(repo, *number)?;
                let checks = &repo.commit(&pull.head_sha)?.checks;
                let state = checks.iter().find_map(|check| match check {
                    Check::Context {
                        context: name,
                        state,
                    } if name == context => Some(state.to_lowercase()),
                    _ => None,
                })?;
                // Only branches of the repository itself are told.
                let branches = match is_from_fork(repo, pull) {
                    true => json!([]),
                    false => json!([{ "name": pull.head_ref, "commit": { "sha": pull.head_sha } }]),
                };
                let more = json!({
                    "id": 1,
                    "sha": pull.head_sha,
                    "name": repo.name_with_owner(),
                    "context": context,
                    "state": state,
                    "description": null,
                    "target_url": null,
                    "commit": { "sha": pull.head_sha },
                    "branches": branches,
                });
                ("status", about(repo, None, more))
            }
            HookEvent::WorkflowRun {
                repo,
                number,
                workflow,
                action,
            } => {
                let (repo, item, pull) = self.pull(repo, *number)?;
                let suites = &repo.commit(&pull.head_sha)?.suites;
                let suite = suites.iter().find(|suite| {
                    let run = suite.workflow.as_ref();
                    run.is_some_and(|run| run.name == *workflow)
                })?;
                let mut run = shape::run(repo, &pull.head_sha, suite);
                run["pull_requests"] = pull_requests(repo, item, pull);
                let more = json!({
                    "workflow_run": run,
                    "workflow": { "id": 1, "name": workflow, "state": "active" },
                });
                ("workflow_run", about(repo, Some(action), more))
            }
            HookEvent::MergeGroup {
                repo,
                number,
                sha,
                action,
            } => {
                let (repo, _, pull) = self.pull(repo, *number)?;
                let head_ref = format!(
                    "refs/heads/gh-readonly-queue/{}/pr-{number}-{sha}",
                    pull.base_ref
                );
                let more = json!({
                    "merge_group": {
                        "head_sha": sha,
                        "head_ref": head_ref,
                        "base_sha": "0".repeat(40),
                        "base_ref": format!("refs/heads/{}", pull.base_ref),
                        "head_commit": { "id": sha },
                    },
                });
                ("merge_group", about(repo, Some(action), more))
            }
            HookEvent::Push {
                repo,
                branch,
                before,
                after,
            } => {
                let repo = self.look_repo(repo)?;
                let more = json!({
                    "ref": format!("refs/heads/{branch}"),
                    "before": before,
                    "after": after,
                    "created": false,
                    "deleted": false,
                    "forced": false,
                    "commits": [],
                    "head_commit": { "id": after },
                    "pusher": { "name": repo.owner },
                });
                ("push", about(repo, None, more))
            }
            HookEvent::Repository { repo, action } => {
                let repo = self.look_repo(repo)?;
                ("repository", about(repo, Some(action), changes(repo)))
            }
            HookEvent::Unknown { name, repo } => {
                let repo = self.look_repo(repo)?;
                (name, about(repo, Some("happened"), json!({})))
            }
            HookEvent::Raw { name, payload } => (name, payload.clone()),
        })
    }

    fn transferred(&self, repo: &str, number: u64) -> Option<Value> {
        let repo = self.look_repo(repo)?;
        let (there, new_number) = repo.transferred_issues.get(&number)?;
        let there = self.world.repos.iter().find(|repo| repo.id == *there)?;
        let item = there.items.get(new_number)?;
        let former = Item {
            number,
            ..item.clone()
        };
        let more = json!({
            "changes": {
                "new_issue": shape::issue(there, item, false),
                "new_repository": shape::repo(there),
            },
            "issue": shape::issue(repo, &former, false),
        });
        Some(about(repo, Some("transferred"), more))
    }

    fn place(&self, repo: &str, number: u64) -> Option<(&Repo, &Item)> {
        let repo = self.look_repo(repo)?;
        Some((repo, repo.items.get(&number)?))
    }

    fn pull(&self, repo: &str, number: u64) -> Option<(&Repo, &Item, &Pull)> {
        let (repo, item) = self.place(repo, number)?;
        Some((repo, item, item.pull()?))
    }
}

/// A payload with what all of them have.
fn about(repo: &Repo, action: Option<&str>, more: Value) -> Value {
    let mut payload = Map::new();
    if let Some(action) = action {
        payload.insert("action".to_owned(), Value::from(action));
    }
    if let Value::Object(more) = more {
        payload.extend(more);
    }
    payload.insert("repository".to_owned(), shape::repo(repo));
    payload.insert("sender".to_owned(), shape::user("octocat"));
    Value::Object(payload)
}

fn changes(repo: &Repo) -> Value {
    let Some((owner, name)) = repo
        .former_names
        .last()
        .and_then(|name| name.split_once('/'))
    else {
        return json!({});
    };
    let mut changes = Map::new();
    if name != repo.name {
        changes.insert("repository".to_owned(), json!({ "name": { "from": name } }));
    }
    if owner != repo.owner {
        let from = json!({ "from": { "user": shape::user(owner) } });
        changes.insert("owner".to_owned(), from);
    }
    json!({ "changes": changes })
}

fn check_run(repo: &Repo, item: &Item, pull: &Pull, check: &Check, wanted: &str) -> Option<Value> {
    let Check::Run {
        name,
        status,
        conclusion,
    } = check
    else {
        return None;
    };
    (name == wanted).then(|| {
        json!({
            "id": 1,
            "node_id": format!("CR_{}_{}_{}", repo.id, pull.head_sha, hex::encode(name)),
            "name": name,
            "head_sha": pull.head_sha,
            "status": status.to_lowercase(),
            "conclusion": conclusion.as_deref().map(str::to_lowercase),
            "app": { "slug": "github-actions" },
            "check_suite": {
                "id": 1,
                "head_branch": head_branch(repo, pull),
                "head_sha": pull.head_sha,
                "pull_requests": pull_requests(repo, item, pull),
            },
            "pull_requests": pull_requests(repo, item, pull),
        })
    })
}

fn check_suite(repo: &Repo, item: &Item, pull: &Pull, suite: &Suite) -> Value {
    json!({
        "id": suite.id,
        "node_id": format!("CS_{}_{}", repo.id, suite.id),
        "head_branch": head_branch(repo, pull),
        "head_sha": pull.head_sha,
        "status": suite.status.to_lowercase(),
        "conclusion": suite.conclusion.as_deref().map(str::to_lowercase),
        "app": { "slug": suite.app },
        "pull_requests": pull_requests(repo, item, pull),
        "created_at": iso(suite.created_ms),
        "updated_at": iso(suite.created_ms),
    })
}

/// GitHub names neither branch nor pull request of a fork: only the hash tells whose it is.
fn is_from_fork(repo: &Repo, pull: &Pull) -> bool {
    pull.head_owner.as_deref() != Some(repo.owner.as_str())
}

fn head_branch(repo: &Repo, pull: &Pull) -> Value {
    match is_from_fork(repo, pull) {
        true => Value::Null,
        false => Value::from(pull.head_ref.as_str()),
    }
}

fn pull_requests(repo: &Repo, item: &Item, pull: &Pull) -> Value {
    if is_from_fork(repo, pull) {
        return json!([]);
    }
    let place = json!({ "id": repo.id, "name": repo.name });
    json!([{
        "id": crate::graphql::database_id(repo, item.number),
        "number": item.number,
        "head": { "ref": pull.head_ref, "sha": pull.head_sha, "repo": place },
        "base": { "ref": pull.base_ref, "sha": "0".repeat(40), "repo": place },
    }])
}
