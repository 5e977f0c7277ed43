//! The writes that intents will need: labels and comments.

use serde_json::Value;

use super::{Asker, Refused, body, invalid, not_found, parse, permit, segments, shape};
use crate::item::Item;
use crate::message::{Request, Response};
use crate::model::Model;
use crate::token::{Permission, Token};
use crate::world::Repo;

/// The longest comment that GitHub takes, in characters.
const COMMENT_CHARACTERS_MAX: usize = 65_536;

/// Answers anything but a GET.
pub(crate) fn write(
    model: &mut Model,
    request: &Request,
    token: &Token,
    hidden: &[String],
) -> Response {
    try_write(model, request, token, hidden).unwrap_or_else(|refused| refused)
}

fn try_write(
    model: &mut Model,
    request: &Request,
    token: &Token,
    hidden: &[String],
) -> Result<Response, Refused> {
    let segments = segments(&request.path);
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let base_url = model.api_url();
    let asker = Asker {
        world: &model.world,
        token,
        hidden,
        base_url: &base_url,
    };
    let (repo, rest) = asker.repo(request, &segments)?;
    let ["issues", number, rest @ ..] = rest else {
        return Err(not_found());
    };
    let known = matches!(
        (request.method.as_str(), rest),
        ("POST", ["labels" | "comments"]) | ("DELETE", ["labels", _])
    );
    if !known {
        return Err(not_found());
    }
    asker.issue_or_pull(request, repo, number)?;
    permit(token, Permission::IssuesWrite)?;
    if repo.archived {
        return Err(Response::refusal(
            403,
            "Repository was archived so is read-only.",
        ));
    }
    let (name, number) = (repo.name_with_owner(), parse(number).unwrap_or(0));
    match (request.method.as_str(), rest) {
        ("POST", ["labels"]) => {
            let added = wanted_labels(request)?;
            change(model, &name, number, |repo, item| {
                for label in &added {
                    if !item.labels.contains(label) {
                        item.labels.push(label.clone());
                    }
                }
                Ok(Response::json(200, &shape::labels(repo, item)))
            })
        }
        ("DELETE", ["labels", label]) => change(model, &name, number, |repo, item| {
            let before = item.labels.len();
            // GitHub compares names of labels without case.
            item.labels
                .retain(|present| !present.eq_ignore_ascii_case(label));
            if item.labels.len() == before {
                return Err(Response::refusal(404, "Label does not exist"));
            }
            Ok(Response::json(200, &shape::labels(repo, item)))
        }),
        _ => {
            let text = match body(request)?.remove("body") {
                Some(Value::String(text)) if !text.trim().is_empty() => text,
                Some(Value::String(_)) | None => {
                    return Err(invalid("IssueComment", "body", "missing_field"));
                }
                Some(_) => return Err(invalid("IssueComment", "body", "invalid")),
            };
            if text.chars().count() > COMMENT_CHARACTERS_MAX {
                return Err(invalid("IssueComment", "body", "too_long"));
            }
            let now_ms = model.now_ms();
            let login = token.login.clone();
            change(model, &name, number, |repo, item| {
                let comment = crate::item::Comment {
                    id: item.number * 1_000 + item.comments.len() as u64 + 1,
                    author: login,
                    body: text,
                    created_ms: now_ms,
                };
                item.comments.push(comment.clone());
                Ok(Response::json(201, &shape::comment(repo, item, &comment)))
            })
        }
    }
}

/// The labels of a body: an object with `labels`, or the bare list.
fn wanted_labels(request: &Request) -> Result<Vec<String>, Refused> {
    let parsed: Value = serde_json::from_slice(&request.body)
        .map_err(|_| Response::refusal(400, "Problems parsing JSON"))?;
    let labels = match parsed {
        Value::Array(labels) => labels,
        Value::Object(mut body) => match body.remove("labels") {
            Some(Value::Array(labels)) => labels,
            _ => return Err(invalid("Label", "labels", "missing_field")),
        },
        _ => return Err(Response::refusal(400, "Body should be a JSON object")),
    };
    labels
        .into_iter()
        .map(|label| match label {
            Value::String(name) if !name.is_empty() => Ok(name),
            _ => Err(invalid("Label", "name", "invalid")),
        })
        .collect()
}

/// Changes an item, moving its `updated_at` when the change was made.
fn change(
    model: &mut Model,
    name: &str,
    number: u64,
    change: impl FnOnce(&Repo, &mut Item) -> Result<Response, Refused>,
) -> Result<Response, Refused> {
    let now_ms = model.now_ms();
    let Some(repo) = model.repo_mut(name) else {
        return Err(not_found());
    };
    let Some(mut item) = repo.items.get(&number).cloned() else {
        return Err(not_found());
    };
    let response = change(repo, &mut item)?;
    item.updated_ms = now_ms;
    repo.insert(item);
    Ok(response)
}
