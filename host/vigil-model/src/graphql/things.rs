//! What repositories, issues, pull requests and their parts answer.

use std::rc::Rc;

use serde_json::{Map, Value};

use super::execute::Run;
use super::page::Connection;
use super::resolve::{Answer, FieldError, Node, Resolved, leaf, permit};
use crate::time::iso;
use crate::token::{Permission, TokenKind};
use crate::world::{Comment, Item, Kind, Pull, Repo};

pub(super) fn repository<'w>(
    run: &Run<'_, 'w, '_, '_>,
    repo: &'w Repo,
    name: &str,
    args: &Map<String, Value>,
    contents: bool,
) -> Answer<'w> {
    let number = args.get("number").and_then(Value::as_i64).unwrap_or(0);
    let wanted = u64::try_from(number).unwrap_or(0);
    Ok(match name {
        "id" => leaf(format!("R_{}", repo.id)),
        "databaseId" => leaf(repo.id),
        "name" => leaf(repo.name.as_str()),
        "nameWithOwner" => leaf(repo.name_with_owner()),
        "owner" => Resolved::Node(Node::User(&repo.owner)),
        "url" => leaf(format!("https://github.com/{}", repo.name_with_owner())),
        "isPrivate" => leaf(repo.private),
        "visibility" => leaf(if repo.private { "PRIVATE" } else { "PUBLIC" }),
        "isArchived" => leaf(repo.archived),
        "hasIssuesEnabled" => leaf(repo.has_issues),
        "createdAt" => leaf(iso(repo.created_ms)),
        "updatedAt" => leaf(iso(repo.updated_ms)),
        "pushedAt" => leaf(iso(repo.pushed_ms)),
        "issue" => {
            permit(run, Permission::IssuesRead)?;
            let item = repo
                .issue(wanted)
                .ok_or_else(|| FieldError::not_found("Issue", "number", number))?;
            Resolved::Node(Node::Issue(repo, item))
        }
        "pullRequest" => {
            permit(run, Permission::PullsRead)?;
            pull_node(repo, wanted)
                .map(Resolved::Node)
                .ok_or_else(|| FieldError::not_found("PullRequest", "number", number))?
        }
        "issueOrPullRequest" => {
            let node = pull_node(repo, wanted)
                .or_else(|| Some(Node::Issue(repo, repo.issue(wanted)?)))
                .ok_or_else(|| FieldError::not_found("issue or pull request", "number", number))?;
            permit(
                run,
                match node {
                    Node::Issue(..) => Permission::IssuesRead,
                    _ => Permission::PullsRead,
                },
            )?;
            Resolved::Node(node)
        }
        "issues" => {
            permit(run, Permission::IssuesRead)?;
            let items = repo
                .items
                .values()
                .filter(|item| repo.has_issues && item.pull().is_none());
            let items = ordered(items.filter(|item| wanted_item(item, args)).collect(), args);
            let nodes = items.into_iter().map(|item| Node::Issue(repo, item));
            page("issues", ISSUES, nodes.collect(), args, contents)?
        }
        "pullRequests" => {
            permit(run, Permission::PullsRead)?;
            let head = args.get("headRefName").and_then(Value::as_str);
            // The index makes a look-up by branch cheap in a repository with thousands of pull requests.
            let mut items: Vec<&Item> = match head {
                Some(branch) => repo
                    .heads
                    .get(branch)
                    .into_iter()
                    .flatten()
                    .filter_map(|number| repo.pull(*number))
                    .collect(),
                None => repo.items.values().collect(),
            };
            items.sort_by_key(|item| item.number);
            let base = args.get("baseRefName").and_then(Value::as_str);
            items.retain(|item| {
                item.pull()
                    .is_some_and(|pull| base.is_none_or(|base| pull.base_ref == base))
                    && wanted_item(item, args)
            });
            let items = ordered(items, args);
            let nodes = items
                .into_iter()
                .filter_map(|item| Some(Node::Pull(repo, item, item.pull()?)));
            page("pullRequests", PULLS, nodes.collect(), args, contents)?
        }
        _ => leaf(Value::Null),
    })
}

pub(super) fn issue<'w>(
    run: &Run<'_, 'w, '_, '_>,
    repo: &'w Repo,
    item: &'w Item,
    name: &str,
    args: &Map<String, Value>,
    contents: bool,
) -> Answer<'w> {
    Ok(match name {
        "id" => leaf(format!("I_{}_{}", repo.id, item.number)),
        "url" => leaf(url(repo, "issues", item.number)),
        "stateReason" => {
            let reason = match &item.kind {
                Kind::Issue(issue) => issue.reason.as_deref().map(str::to_uppercase),
                Kind::Pull(_) => None,
            };
            // Clients from before that reason existed read the nearest one unless they ask for it.
            let shows_duplicate = args.get("enableDuplicate") == Some(&Value::Bool(true));
            leaf(match reason.as_deref() {
                Some("DUPLICATE") if !shows_duplicate => Some("NOT_PLANNED".to_owned()),
                _ => reason,
            })
        }
        "closedByPullRequestsReferences" => {
            permit(run, Permission::PullsRead)?;
            let closed_too = args.get("includeClosedPrs") == Some(&Value::Bool(true));
            let nodes = repo.items.values().filter_map(|other| {
                let pull = other.pull()?;
                let shown = closed_too || other.state() != "CLOSED";
                (shown && pull.closes.contains(&item.number))
                    .then_some(Node::Pull(repo, other, pull))
            });
            page(name, PULLS, nodes.collect(), args, contents)?
        }
        _ => common(repo, item, name, args, contents)?,
    })
}

pub(super) fn pull<'w>(
    run: &mut Run<'_, 'w, '_, '_>,
    repo: &'w Repo,
    item: &'w Item,
    pull: &'w Pull,
    name: &str,
    args: &Map<String, Value>,
    contents: bool,
) -> Answer<'w> {
    Ok(match name {
        "id" => leaf(format!("PR_{}_{}", repo.id, item.number)),
        "url" => leaf(url(repo, "pull", item.number)),
        "isDraft" => leaf(pull.draft),
        "merged" => leaf(pull.merged_ms.is_some()),
        "mergedAt" => leaf(pull.merged_ms.map(iso)),
        "mergedBy" => actor(pull.merged_ms.and(item.closed_by.as_deref())),
        "headRefName" => leaf(pull.head_ref.as_str()),
        "headRefOid" => leaf(pull.head_sha.as_str()),
        "headRepositoryOwner" => actor(pull.head_owner.as_deref()),
        "headRepository" => match &pull.head_owner {
            Some(owner) if *owner == repo.owner => Resolved::Node(Node::Repository(repo)),
            // A fork has its own repository only where the test made one.
            Some(owner) => match run.asker.world.repo(owner, &repo.name) {
                Some(fork) if run.asker.sees(fork) => Resolved::Node(Node::Repository(fork)),
                _ => leaf(Value::Null),
            },
            None => leaf(Value::Null),
        },
        "isCrossRepository" => leaf(pull.head_owner.as_deref() != Some(repo.owner.as_str())),
        "baseRefName" => leaf(pull.base_ref.as_str()),
        "mergeable" => leaf(if run.mergeability_is_pending(pull) {
            "UNKNOWN"
        } else {
            &pull.mergeable
        }),
        "mergeStateStatus" => leaf(if run.mergeability_is_pending(pull) {
            "UNKNOWN"
        } else {
            &pull.merge_state
        }),
        "reviewDecision" => leaf(pull.review_decision.clone()),
        "statusCheckRollup" => rollup(run, repo, item, pull)?,
        "closingIssuesReferences" => {
            permit(run, Permission::IssuesRead)?;
            let nodes = pull
                .closes
                .iter()
                .filter_map(|number| Some(Node::Issue(repo, repo.issue(*number)?)));
            page(name, ISSUES, nodes.collect(), args, contents)?
        }
        "commits" => {
            let types = ("PullRequestCommitConnection", "PullRequestCommitEdge");
            let newest = vec![Node::PullCommit(repo, item, pull)];
            page(name, types, newest, args, contents)?
        }
        _ => common(repo, item, name, args, contents)?,
    })
}

/// Fields that issues and pull requests share.
fn common<'w>(
    repo: &'w Repo,
    item: &'w Item,
    name: &str,
    args: &Map<String, Value>,
    contents: bool,
) -> Answer<'w> {
    Ok(match name {
        "number" => leaf(item.number),
        "databaseId" => leaf(database_id(repo, item.number)),
        "title" => leaf(item.title.as_str()),
        "state" => leaf(item.state()),
        "closed" => leaf(item.closed_ms.is_some()),
        "closedAt" => leaf(item.closed_ms.map(iso)),
        "createdAt" => leaf(iso(item.created_ms)),
        "updatedAt" => leaf(iso(item.updated_ms)),
        "author" => actor(Some(&item.author)),
        "repository" => Resolved::Node(Node::Repository(repo)),
        "labels" => {
            let mut labels: Vec<&str> = item.labels.iter().map(String::as_str).collect();
            let order = args.get("orderBy");
            if order.and_then(|order| order.get("field")) == Some(&Value::from("NAME")) {
                labels.sort_unstable();
            }
            if descends(order) {
                labels.reverse();
            }
            let nodes = labels.into_iter().map(|label| Node::Label(repo, label));
            let types = ("LabelConnection", "LabelEdge");
            page(name, types, nodes.collect(), args, contents)?
        }
        "assignees" => {
            let nodes = item.assignees.iter().map(|login| Node::User(login));
            page(
                name,
                ("UserConnection", "UserEdge"),
                nodes.collect(),
                args,
                contents,
            )?
        }
        "comments" => {
            let nodes = item
                .comments
                .iter()
                .map(|comment| Node::Comment(repo, item, comment));
            let types = ("IssueCommentConnection", "IssueCommentEdge");
            page(name, types, nodes.collect(), args, contents)?
        }
        _ => leaf(Value::Null),
    })
}

pub(super) fn comment<'w>(
    repo: &Repo,
    item: &Item,
    comment: &'w Comment,
    name: &str,
) -> Resolved<'w> {
    match name {
        "author" => actor(Some(&comment.author)),
        "body" => leaf(comment.body.as_str()),
        "createdAt" | "updatedAt" => leaf(iso(comment.created_ms)),
        "databaseId" => leaf(comment.id),
        "url" => leaf(format!(
            "{}#issuecomment-{}",
            url(repo, "issues", item.number),
            comment.id
        )),
        _ => leaf(format!("IC_{}_{}", repo.id, comment.id)),
    }
}

/// Without the permission an installation loses the whole rollup, while a personal token still reads its state.
pub(super) fn rollup<'w>(
    run: &Run<'_, 'w, '_, '_>,
    repo: &'w Repo,
    item: &'w Item,
    pull: &'w Pull,
) -> Answer<'w> {
    if run.asker.token.kind == TokenKind::Installation {
        permit(run, Permission::ChecksRead)?;
    }
    Ok(match pull.rollup {
        Some(_) => Resolved::Node(Node::Rollup(repo, item, pull)),
        None => leaf(Value::Null),
    })
}

pub(super) fn contexts<'w>(
    repo: &'w Repo,
    item: &'w Item,
    pull: &'w Pull,
    args: &Map<String, Value>,
    contents: bool,
) -> Answer<'w> {
    let nodes = pull
        .checks
        .iter()
        .map(|check| Node::CheckRun(repo, item, check));
    let types = (
        "StatusCheckRollupContextConnection",
        "StatusCheckRollupContextEdge",
    );
    page("contexts", types, nodes.collect(), args, contents)
}

const ISSUES: (&str, &str) = ("IssueConnection", "IssueEdge");
const PULLS: (&str, &str) = ("PullRequestConnection", "PullRequestEdge");

fn page<'w>(
    name: &str,
    types: (&'static str, &'static str),
    nodes: Vec<Node<'w>>,
    args: &Map<String, Value>,
    contents: bool,
) -> Answer<'w> {
    let page = Connection::cut(name, types, nodes, args, contents)?;
    Ok(Resolved::Node(Node::Connection(Rc::new(page))))
}

fn pull_node(repo: &Repo, number: u64) -> Option<Node<'_>> {
    let item = repo.pull(number)?;
    Some(Node::Pull(repo, item, item.pull()?))
}

/// The filters that lists of issues and pull requests share: states and labels.
fn wanted_item(item: &Item, args: &Map<String, Value>) -> bool {
    let listed = |key: &str, test: &dyn Fn(&str) -> bool| match args.get(key) {
        Some(Value::Array(wanted)) => wanted.iter().filter_map(Value::as_str).any(test),
        Some(Value::String(wanted)) => test(wanted),
        _ => true,
    };
    listed("states", &|state| state == item.state())
        && listed("labels", &|label| {
            item.labels.iter().any(|present| present == label)
        })
}

/// In the order that is asked for, else in that of their making.
fn ordered<'w>(mut items: Vec<&'w Item>, args: &Map<String, Value>) -> Vec<&'w Item> {
    let order = args.get("orderBy");
    let field = order
        .and_then(|order| order.get("field"))
        .and_then(Value::as_str);
    items.sort_by_key(|item| {
        let first = match field {
            Some("UPDATED_AT") => item.updated_ms,
            Some("COMMENTS") => item.comments.len() as u64,
            _ => item.created_ms,
        };
        (first, item.number)
    });
    if descends(order) {
        items.reverse();
    }
    items
}

fn descends(order: Option<&Value>) -> bool {
    order
        .and_then(|order| order.get("direction"))
        .and_then(Value::as_str)
        == Some("DESC")
}

/// The id that REST knows it by, too.
pub(crate) fn database_id(repo: &Repo, number: u64) -> u64 {
    repo.id * 1_000_000 + number
}

pub(crate) fn url(repo: &Repo, kind: &str, number: u64) -> String {
    format!(
        "https://github.com/{}/{kind}/{number}",
        repo.name_with_owner()
    )
}

fn actor(login: Option<&str>) -> Resolved<'_> {
    match login {
        Some(login) => Resolved::Node(Node::User(login)),
        None => leaf(Value::Null),
    }
}
