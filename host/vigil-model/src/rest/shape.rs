//! How things look in REST's JSON: lower-case words, `null` for what is not there.

use serde_json::{Value, json};

use crate::commit::Suite;
use crate::graphql::{database_id, url};
use crate::history::Compared;
use crate::item::{self, Comment, Item, Kind, Pull};
use crate::time::iso;
use crate::world::Repo;

/// A person, or a bot where the login ends in `[bot]`.
pub(crate) fn user(login: &str) -> Value {
    let bot = item::bot(login);
    let page = match bot {
        Some(name) => format!("https://github.com/apps/{name}"),
        None => format!("https://github.com/{login}"),
    };
    let node_id = match bot {
        Some(name) => format!("BOT_{}", hex::encode(name)),
        None => format!("U_{}", hex::encode(login)),
    };
    json!({
        "login": login,
        "id": login.bytes().fold(0_u64, |id, byte| (id * 31 + u64::from(byte)) % 1_000_000_007),
        "node_id": node_id,
        "url": format!("https://api.github.com/users/{login}"),
        "html_url": page,
        "type": if bot.is_some() { "Bot" } else { "User" },
        "site_admin": false,
    })
}

/// An account with all that GitHub tells of one, for clients that want every member.
pub(crate) fn account(login: &str, is_organization: bool) -> Value {
    let mut shape = user(login);
    let api = format!("https://api.github.com/users/{login}");
    for part in [
        "followers",
        "following",
        "gists",
        "starred",
        "subscriptions",
        "organizations",
        "repos",
        "events",
        "received_events",
    ] {
        let (key, place) = match part {
            "organizations" => ("organizations_url".to_owned(), "orgs"),
            part => (format!("{part}_url"), part),
        };
        shape[key] = Value::from(format!("{api}/{place}"));
    }
    shape["avatar_url"] = Value::from(format!("https://github.com/{login}.png"));
    shape["gravatar_id"] = Value::from("");
    if is_organization {
        shape["type"] = Value::from("Organization");
    }
    shape
}

pub(crate) fn repo(repo: &Repo) -> Value {
    let full_name = repo.name_with_owner();
    json!({
        "id": repo.id,
        "node_id": format!("R_{}", repo.id),
        "name": repo.name,
        "full_name": full_name,
        "owner": user(&repo.owner),
        "private": repo.private,
        "visibility": if repo.private { "private" } else { "public" },
        "html_url": format!("https://github.com/{full_name}"),
        "url": format!("https://api.github.com/repos/{full_name}"),
        "archived": repo.archived,
        "disabled": false,
        "fork": false,
        "has_issues": repo.has_issues,
        "default_branch": "main",
        "created_at": iso(repo.created_ms),
        "updated_at": iso(repo.updated_ms),
        "pushed_at": iso(repo.pushed_ms),
    })
}

pub(crate) fn labels(repo: &Repo, item: &Item) -> Value {
    item.labels.iter().map(|name| label(repo, name)).collect()
}

fn label(repo: &Repo, name: &str) -> Value {
    json!({
        "id": repo.id * 1_000 + name.bytes().map(u64::from).sum::<u64>() % 1_000,
        "node_id": format!("LA_{}_{}", repo.id, hex::encode(name)),
        "name": name,
        "color": "ededed",
        "default": false,
        "description": null,
    })
}

pub(crate) fn comment(repo: &Repo, item: &Item, comment: &Comment) -> Value {
    json!({
        "id": comment.id,
        "node_id": format!("IC_{}_{}", repo.id, comment.id),
        "html_url": format!("{}#issuecomment-{}", url(repo, "issues", item.number), comment.id),
        "user": user(&comment.author),
        "body": comment.body,
        "created_at": iso(comment.created_ms),
        "updated_at": iso(comment.created_ms),
    })
}

/// An issue, or a pull request as an issue: then with the member `pull_request`. `single`: by its number, which alone
/// tells who closed it.
pub(crate) fn issue(repo: &Repo, item: &Item, single: bool) -> Value {
    let mut shape = common(repo, item);
    shape["state"] = state(item);
    shape["node_id"] = match item.kind {
        Kind::Issue(_) => Value::from(format!("I_{}_{}", repo.id, item.number)),
        Kind::Pull(_) => Value::from(format!("PR_{}_{}", repo.id, item.number)),
    };
    match &item.kind {
        Kind::Issue(issue) => {
            shape["html_url"] = Value::from(url(repo, "issues", item.number));
            shape["state_reason"] = Value::from(issue.reason.clone());
        }
        Kind::Pull(pull) => {
            shape["html_url"] = Value::from(url(repo, "pull", item.number));
            shape["state_reason"] = Value::Null;
            shape["draft"] = Value::from(pull.draft);
            shape["pull_request"] = json!({
                "url": format!("https://api.github.com/repos/{}/pulls/{}", repo.name_with_owner(), item.number),
                "html_url": url(repo, "pull", item.number),
                "merged_at": pull.merged_ms.map(iso),
            });
        }
    }
    if single {
        shape["closed_by"] = item.closed_by.as_deref().map_or(Value::Null, user);
    }
    shape
}

/// A pull request. `single`: by its number, which alone tells whether it could be merged.
pub(crate) fn pull(repo: &Repo, item: &Item, pull: &Pull, single: bool) -> Value {
    let mut shape = common(repo, item);
    shape["state"] = state(item);
    shape["node_id"] = Value::from(format!("PR_{}_{}", repo.id, item.number));
    shape["html_url"] = Value::from(url(repo, "pull", item.number));
    shape["draft"] = Value::from(pull.draft);
    shape["merged_at"] = Value::from(pull.merged_ms.map(iso));
    let head_repo = match &pull.head_owner {
        Some(owner) => json!({
            "name": repo.name,
            "full_name": format!("{owner}/{}", repo.name),
            "owner": user(owner),
        }),
        None => Value::Null,
    };
    let head_user = pull.head_owner.as_deref();
    shape["head"] = json!({
        "label": format!("{}:{}", head_user.unwrap_or("unknown"), pull.head_ref),
        "ref": pull.head_ref,
        "sha": pull.head_sha,
        "user": head_user.map(user),
        "repo": head_repo,
    });
    shape["base"] = json!({
        "label": format!("{}:{}", repo.owner, pull.base_ref),
        "ref": pull.base_ref,
        "sha": "0".repeat(40),
        "user": user(&repo.owner),
        "repo": self::repo(repo),
    });
    if single {
        let pending = pull.mergeability_pending_reads.get() > 0;
        shape["merged"] = Value::from(pull.merged_ms.is_some());
        shape["mergeable"] = match pull.mergeable.as_str() {
            "MERGEABLE" if !pending => Value::from(true),
            "CONFLICTING" if !pending => Value::from(false),
            _ => Value::Null,
        };
        shape["mergeable_state"] = match pending {
            true => Value::from("unknown"),
            false => Value::from(pull.merge_state.to_lowercase()),
        };
        shape["merged_by"] = match (pull.merged_ms, item.closed_by.as_deref()) {
            (Some(_), Some(login)) => user(login),
            _ => Value::Null,
        };
    }
    shape
}

/// A commit, by its hash and what it follows.
pub(crate) fn commit(repo: &Repo, sha: &str) -> Value {
    let parents = repo.history.parents.get(sha).into_iter().flatten();
    let parents: Vec<Value> = parents.map(|sha| json!({ "sha": sha })).collect();
    json!({
        "sha": sha,
        "node_id": format!("C_{}_{sha}", repo.id),
        "html_url": format!("https://github.com/{}/commit/{sha}", repo.name_with_owner()),
        "parents": parents,
    })
}

/// How two commits lie to each other. The commits come oldest first.
pub(crate) fn compared(repo: &Repo, compared: &Compared) -> Value {
    let commits = compared.ahead.iter().rev();
    json!({
        "status": compared.status(),
        "ahead_by": compared.ahead.len(),
        "behind_by": compared.behind,
        "total_commits": compared.ahead.len(),
        "base_commit": commit(repo, &compared.base),
        "merge_base_commit": commit(repo, &compared.merge_base),
        "commits": commits.map(|sha| commit(repo, sha)).collect::<Vec<Value>>(),
        "files": [],
    })
}

/// A workflow run.
pub(crate) fn run(repo: &Repo, sha: &str, suite: &Suite) -> Value {
    let workflow = suite.workflow.as_ref();
    let lower = |word: &str| word.to_lowercase();
    json!({
        "id": suite.id,
        "node_id": format!("WFR_{}_{}", repo.id, suite.id),
        "name": workflow.map(|workflow| workflow.name.as_str()),
        "head_branch": suite.branch,
        "head_sha": sha,
        "event": workflow.map(|workflow| workflow.event.as_str()),
        "status": lower(&suite.status),
        "conclusion": suite.conclusion.as_deref().map(lower),
        "check_suite_id": suite.id,
        "run_number": suite.id,
        "run_attempt": 1,
        "pull_requests": [],
        "html_url": url(repo, "actions/runs", suite.id),
        "created_at": iso(suite.created_ms),
        "updated_at": iso(suite.created_ms),
        "repository": { "id": repo.id, "full_name": repo.name_with_owner() },
    })
}

fn common(repo: &Repo, item: &Item) -> Value {
    let place = match item.kind {
        Kind::Issue(_) => "issues",
        Kind::Pull(_) => "pulls",
    };
    let api = format!("https://api.github.com/repos/{}", repo.name_with_owner());
    let people = |logins: &[String]| logins.iter().map(|login| user(login)).collect::<Vec<_>>();
    json!({
        "id": database_id(repo, item.number),
        "number": item.number,
        "title": item.title,
        "url": format!("{api}/{place}/{}", item.number),
        "user": user(&item.author),
        "labels": labels(repo, item),
        "assignee": item.assignees.first().map(|login| user(login)),
        "assignees": people(&item.assignees),
        "comments": item.comments.len(),
        "locked": false,
        "created_at": iso(item.created_ms),
        "updated_at": iso(item.updated_ms),
        "closed_at": item.closed_ms.map(iso),
    })
}

/// REST knows `open` and `closed` alone; a merge shows in `merged_at`.
fn state(item: &Item) -> Value {
    Value::from(if item.closed_ms.is_some() {
        "closed"
    } else {
        "open"
    })
}
