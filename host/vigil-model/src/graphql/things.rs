//! What repositories and issues answer, and what pull requests have in common with them.

use std::rc::Rc;

use serde_json::{Map, Value};

use super::execute::Run;
use super::page::Connection;
use super::resolve::{Answer, FieldError, Node, Resolved, leaf, permit};
use crate::item::{self, Closer, Comment, Item, Turn};
use crate::time;
use crate::time::iso;
use crate::token::Permission;
use crate::world::Repo;

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
        "defaultBranchRef" => {
            permit(run, Permission::ContentsRead)?;
            match &repo.default_branch {
                Some(branch) => Resolved::Node(Node::Ref(repo, branch)),
                None => leaf(Value::Null),
            }
        }
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
            if let Some(numbers) = newest(repo, args, false) {
                let node = |number| Some(Node::Issue(repo, repo.issue(number)?));
                return page_of(name, ISSUES, numbers, node, args, contents);
            }
            let items = all(repo, args)
                .into_iter()
                .filter(|item| repo.has_issues && item.pull().is_none());
            let items = items.filter(|item| wanted_item(item, args));
            let nodes = items.map(|item| Node::Issue(repo, item));
            page("issues", ISSUES, nodes.collect(), args, contents)?
        }
        "pullRequests" => {
            permit(run, Permission::PullsRead)?;
            if let Some(numbers) = newest(repo, args, true) {
                let node = |number| pull_node(repo, number);
                return page_of(name, PULLS, numbers, node, args, contents);
            }
            let head = args.get("headRefName").and_then(Value::as_str);
            // The index makes a look-up by branch cheap in a repository with thousands of pull requests.
            let mut items: Vec<&Item> = match head {
                Some(branch) => {
                    let numbers = repo.heads.get(branch).into_iter().flatten();
                    ordered(
                        numbers.filter_map(|number| repo.pull(*number)).collect(),
                        args,
                    )
                }
                None => all(repo, args),
            };
            let base = args.get("baseRefName").and_then(Value::as_str);
            items.retain(|item| {
                item.pull()
                    .is_some_and(|pull| base.is_none_or(|base| pull.base_ref == base))
                    && wanted_item(item, args)
            });
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
            let reason = item.issue().and_then(|issue| issue.reason.as_deref());
            let reason = reason.map(str::to_uppercase);
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
            let nodes = repo.closers(item.number).filter_map(|other| {
                let shown = closed_too || other.state() != "CLOSED";
                shown.then_some(Node::Pull(repo, other, other.pull()?))
            });
            page(name, PULLS, nodes.collect(), args, contents)?
        }
        "timelineItems" => {
            let since_ms = args
                .get("since")
                .and_then(Value::as_str)
                .and_then(time::parse_iso);
            let turns = item.issue().map_or(&[][..], |issue| &issue.history);
            let shown = turns.iter().enumerate().filter(|(_, turn)| {
                is_listed(args, "itemTypes", |kind| {
                    (kind == "CLOSED_EVENT") == turn.closed
                }) && since_ms.is_none_or(|since_ms| turn.at_ms >= since_ms)
            });
            let nodes = shown.map(|(at, turn)| Node::Turn(repo, item, at, turn));
            let types = ("IssueTimelineItemsConnection", "IssueTimelineItemsEdge");
            page(name, types, nodes.collect(), args, contents)?
        }
        _ => common(repo, item, name, args, contents)?,
    })
}

/// One entry of an issue's timeline.
pub(super) fn turn<'w>(
    run: &Run<'_, 'w, '_, '_>,
    repo: &'w Repo,
    item: &'w Item,
    at: usize,
    turn: &'w Turn,
    name: &str,
) -> Answer<'w> {
    Ok(match name {
        "actor" => actor(turn.actor.as_deref()),
        "createdAt" => leaf(iso(turn.at_ms)),
        "url" => leaf(format!("{}#event-{at}", url(repo, "issues", item.number))),
        "closer" => match &turn.closer {
            Some(Closer::Pull(number)) => {
                permit(run, Permission::PullsRead)?;
                pull_node(repo, *number).map_or_else(|| leaf(Value::Null), Resolved::Node)
            }
            Some(Closer::Commit(sha)) => Resolved::Node(Node::Commit(repo, item, sha)),
            None => leaf(Value::Null),
        },
        _ => leaf(format!("CE_{}_{}_{at}", repo.id, item.number)),
    })
}

/// Fields that issues and pull requests share.
pub(super) fn common<'w>(
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
            // The connection is one of users: an assigned bot is told by REST alone.
            let people = item
                .assignees
                .iter()
                .filter(|login| item::bot(login).is_none());
            let nodes = people.map(|login| Node::User(login));
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

pub(super) const ISSUES: (&str, &str) = ("IssueConnection", "IssueEdge");
pub(super) const PULLS: (&str, &str) = ("PullRequestConnection", "PullRequestEdge");

pub(super) fn page<'w>(
    name: &str,
    types: (&'static str, &'static str),
    nodes: Vec<Node<'w>>,
    args: &Map<String, Value>,
    contents: bool,
) -> Answer<'w> {
    page_of(name, types, nodes, Some, args, contents)
}

/// The page of records that become nodes where they are on it.
fn page_of<'w, T>(
    name: &str,
    types: (&'static str, &'static str),
    records: Vec<T>,
    node: impl Fn(T) -> Option<Node<'w>>,
    args: &Map<String, Value>,
    contents: bool,
) -> Answer<'w> {
    let page = Connection::cut(name, types, records, node, args, contents)?;
    Ok(Resolved::Node(Node::Connection(Rc::new(page))))
}

pub(super) fn pull_node(repo: &Repo, number: u64) -> Option<Node<'_>> {
    let item = repo.pull(number)?;
    Some(Node::Pull(repo, item, item.pull()?))
}

/// The filters that lists of issues and pull requests share: states and labels.
fn wanted_item(item: &Item, args: &Map<String, Value>) -> bool {
    is_listed(args, "states", |state| state == item.state())
        && is_listed(args, "labels", |label| {
            item.labels.iter().any(|present| present == label)
        })
}

/// Whether the argument, a list of words, holds one that passes; also where it was not given.
pub(super) fn is_listed(args: &Map<String, Value>, key: &str, test: impl Fn(&str) -> bool) -> bool {
    match args.get(key) {
        Some(Value::Array(wanted)) => wanted.iter().filter_map(Value::as_str).any(test),
        Some(Value::String(wanted)) => test(wanted),
        _ => true,
    }
}

/// The numbers of all issues or all pull requests by their update time, where nothing else is asked for: how clients
/// follow a repository, which has to stay cheap in a large one.
fn newest(repo: &Repo, args: &Map<String, Value>, pulls: bool) -> Option<Vec<u64>> {
    let order = args.get("orderBy");
    let filters = ["states", "labels", "headRefName", "baseRefName"];
    if field_of(order) != Some("UPDATED_AT") || filters.iter().any(|key| args.contains_key(*key)) {
        return None;
    }
    let moves = repo.moves_since(0);
    let moves = moves.filter(|(_, is_pull)| *is_pull == pulls && (pulls || repo.has_issues));
    let mut numbers: Vec<u64> = moves.map(|(number, _)| number).collect();
    if descends(order) {
        numbers.reverse();
    }
    Some(numbers)
}

/// All items of the repository in the order that is asked for.
fn all<'w>(repo: &'w Repo, args: &Map<String, Value>) -> Vec<&'w Item> {
    let order = args.get("orderBy");
    match (field_of(order), descends(order)) {
        // The index has them in this order already.
        (Some("UPDATED_AT"), true) => repo.moved_since(0).rev().collect(),
        (Some("UPDATED_AT"), false) => repo.moved_since(0).collect(),
        _ => ordered(repo.items.values().collect(), args),
    }
}

/// In the order that is asked for, else in that of their making.
fn ordered<'w>(mut items: Vec<&'w Item>, args: &Map<String, Value>) -> Vec<&'w Item> {
    let order = args.get("orderBy");
    let field = field_of(order);
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

fn field_of(order: Option<&Value>) -> Option<&str> {
    order?.get("field")?.as_str()
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

/// A person or a bot; null where the account is gone.
pub(super) fn actor(login: Option<&str>) -> Resolved<'_> {
    match login {
        Some(login) => Resolved::Node(match item::bot(login) {
            Some(name) => Node::Bot(name),
            None => Node::User(login),
        }),
        None => leaf(Value::Null),
    }
}
