//! What each field of each type answers.

use std::rc::Rc;

use serde_json::{Map, Value};

use super::execute::Run;
use super::page::Connection;
use crate::fault::ErrorType;
use crate::time::iso;
use crate::token::{Permission, TokenKind};
use crate::world::{Check, Comment, Item, Kind, Pull, Repo};

/// A thing that has fields.
#[derive(Clone, Debug)]
pub(crate) enum Node<'w> {
    Query,
    Rate,
    User(&'w str),
    Repository(&'w Repo),
    Issue(&'w Repo, &'w Item),
    Pull(&'w Repo, &'w Item, &'w Pull),
    Label(&'w Repo, &'w str),
    Comment(&'w Repo, &'w Item, &'w Comment),
    Commit(&'w Repo, &'w Item, &'w Pull),
    PullCommit(&'w Repo, &'w Item, &'w Pull),
    Rollup(&'w Repo, &'w Item, &'w Pull),
    CheckRun(&'w Repo, &'w Item, &'w Check),
    Connection(Rc<Connection<'w>>),
    Edge(Rc<Connection<'w>>, usize),
    PageInfo(Rc<Connection<'w>>),
}

impl<'w> Node<'w> {
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Node::Query => "Query",
            Node::Rate => "RateLimit",
            Node::User(_) => "User",
            Node::Repository(_) => "Repository",
            Node::Issue(..) => "Issue",
            Node::Pull(..) => "PullRequest",
            Node::Label(..) => "Label",
            Node::Comment(..) => "IssueComment",
            Node::Commit(..) => "Commit",
            Node::PullCommit(..) => "PullRequestCommit",
            Node::Rollup(..) => "StatusCheckRollup",
            Node::CheckRun(..) => "CheckRun",
            Node::Connection(page) => page.type_name,
            Node::Edge(page, _) => page.edge_type,
            Node::PageInfo(_) => "PageInfo",
        }
    }

    /// The repository that it belongs to, and the number of its issue or pull request.
    pub(crate) fn place(&self) -> Option<(&'w Repo, Option<u64>)> {
        match self {
            Node::Repository(repo) | Node::Label(repo, _) => Some((repo, None)),
            Node::Issue(repo, item)
            | Node::Pull(repo, item, _)
            | Node::Comment(repo, item, _)
            | Node::Commit(repo, item, _)
            | Node::PullCommit(repo, item, _)
            | Node::Rollup(repo, item, _)
            | Node::CheckRun(repo, item, _) => Some((repo, Some(item.number))),
            _ => None,
        }
    }
}

/// What a field holds.
pub(crate) enum Resolved<'w> {
    Leaf(Value),
    Node(Node<'w>),
    List(Vec<Result<Node<'w>, FieldError>>),
}

/// Why a field is null.
#[derive(Debug)]
pub(crate) struct FieldError {
    pub(crate) kind: Option<&'static str>,
    pub(crate) message: String,
    pub(crate) extensions: Option<Value>,
}

impl FieldError {
    pub(crate) fn new(kind: &'static str, message: impl Into<String>) -> Self {
        FieldError {
            kind: Some(kind),
            message: message.into(),
            extensions: None,
        }
    }

    /// An error of that type with GitHub's sentence for it.
    pub(crate) fn of(error: ErrorType) -> Self {
        let message = match error {
            ErrorType::NotFound => "Could not resolve to a node.",
            ErrorType::Forbidden => "Resource not accessible by personal access token",
            ErrorType::ResourceLimitsExceeded => "Resource limits for this query exceeded.",
            ErrorType::ServiceUnavailable => "This part of the service is unavailable right now.",
            ErrorType::Internal => "Something went wrong while executing your query.",
        };
        FieldError {
            kind: error.as_str(),
            message: message.to_owned(),
            extensions: None,
        }
    }

    fn not_found(what: &str, property: &str, value: impl std::fmt::Display) -> Self {
        let article = if what.starts_with(['A', 'E', 'I', 'O', 'U', 'i']) {
            "an"
        } else {
            "a"
        };
        FieldError::new(
            "NOT_FOUND",
            format!("Could not resolve to {article} {what} with the {property} of {value}."),
        )
    }
}

type Answer<'w> = Result<Resolved<'w>, FieldError>;

/// The value of one field.
pub(crate) fn field<'w>(
    run: &mut Run<'_, 'w, '_, '_>,
    node: &Node<'w>,
    name: &str,
    args: &Map<String, Value>,
    contents: bool,
) -> Answer<'w> {
    match node {
        Node::Query => query(run, name, args),
        Node::Rate => Ok(rate(run, name)),
        Node::User(login) => Ok(user(login, name)),
        Node::Repository(repo) => repository(run, repo, name, args, contents),
        Node::Issue(repo, item) => issue(run, repo, item, name, args, contents),
        Node::Pull(repo, item, pull) => self::pull(run, repo, item, pull, name, args, contents),
        Node::Label(repo, label) => Ok(leaf(match name {
            "id" => Value::from(format!("LA_{}_{}", repo.id, hex::encode(label))),
            "name" => Value::from(*label),
            "color" => Value::from("ededed"),
            _ => Value::Null,
        })),
        Node::Comment(repo, item, comment) => Ok(self::comment(repo, item, comment, name)),
        Node::PullCommit(repo, item, pull) => Ok(match name {
            "commit" => Resolved::Node(Node::Commit(repo, item, pull)),
            _ => leaf(format!("PURC_{}", pull.head_sha)),
        }),
        Node::Commit(repo, item, pull) => match name {
            "statusCheckRollup" => rollup(run, repo, item, pull),
            "oid" => Ok(leaf(pull.head_sha.clone())),
            _ => Ok(leaf(format!("C_{}", pull.head_sha))),
        },
        Node::Rollup(repo, item, pull) => match name {
            "commit" => Ok(Resolved::Node(Node::Commit(repo, item, pull))),
            "state" => Ok(leaf(pull.rollup.clone())),
            "contexts" => contexts(repo, item, pull, args, contents),
            _ => Ok(leaf(format!("SCR_{}", pull.head_sha))),
        },
        Node::CheckRun(repo, item, check) => Ok(leaf(match name {
            "name" => Value::from(check.name.as_str()),
            "status" => Value::from(match check.conclusion {
                Some(_) => "COMPLETED",
                None => "IN_PROGRESS",
            }),
            "conclusion" => Value::from(check.conclusion.clone()),
            _ => Value::from(format!(
                "CR_{}_{}_{}",
                repo.id,
                item.number,
                hex::encode(&check.name)
            )),
        })),
        Node::Connection(page) => Ok(connection(run, page, name)),
        Node::Edge(page, index) => Ok(match name {
            "cursor" => leaf(page.cursor(*index)),
            _ => match page.nodes.get(*index) {
                Some(node) => Resolved::Node(node.clone()),
                None => leaf(Value::Null),
            },
        }),
        Node::PageInfo(page) => Ok(leaf(match name {
            "hasNextPage" => Value::from(page.has_next()),
            "hasPreviousPage" => Value::from(page.has_previous()),
            "startCursor" if !page.nodes.is_empty() => Value::from(page.cursor(0)),
            "endCursor" if !page.nodes.is_empty() => Value::from(page.cursor(page.nodes.len() - 1)),
            _ => Value::Null,
        })),
    }
}

fn query<'w>(run: &Run<'_, 'w, '_, '_>, name: &str, args: &Map<String, Value>) -> Answer<'w> {
    let asker = run.asker;
    match name {
        "rateLimit" => Ok(Resolved::Node(Node::Rate)),
        "viewer" => Ok(Resolved::Node(Node::User(&asker.token.login))),
        "node" => by_id(run, text(args, "id")).map(Resolved::Node),
        "nodes" => {
            let ids: Vec<&str> = match args.get("ids") {
                Some(Value::Array(ids)) => ids.iter().filter_map(Value::as_str).collect(),
                Some(Value::String(id)) => vec![id],
                _ => Vec::new(),
            };
            if ids.len() > 100 {
                return Err(FieldError::new(
                    "ARGUMENT_LIMIT",
                    format!(
                        "You may not provide more than 100 node ids; you provided {}.",
                        ids.len()
                    ),
                ));
            }
            Ok(Resolved::List(
                ids.into_iter().map(|id| by_id(run, id)).collect(),
            ))
        }
        _ => {
            let (owner, name) = (text(args, "owner"), text(args, "name"));
            let follow = args.get("followRenames") != Some(&Value::Bool(false));
            asker
                .world
                .repo(owner, name)
                .filter(|repo| asker.sees(repo) && (follow || repo.is_called(owner, name)))
                .map(|repo| Resolved::Node(Node::Repository(repo)))
                .ok_or_else(|| {
                    FieldError::new(
                        "NOT_FOUND",
                        format!(
                            "Could not resolve to a Repository with the name '{owner}/{name}'."
                        ),
                    )
                })
        }
    }
}

/// `R_repo`, `I_repo_number`, `PR_repo_number`.
fn by_id<'w>(run: &Run<'_, 'w, '_, '_>, id: &str) -> Result<Node<'w>, FieldError> {
    let find = || {
        let mut parts = id.split('_');
        let kind = parts.next()?;
        let repo = run.asker.world.repo_by_id(parts.next()?.parse().ok()?)?;
        if !run.asker.sees(repo) {
            return None;
        }
        match (kind, parts.next()) {
            ("R", None) => Some(Node::Repository(repo)),
            ("I", Some(number)) => Some(Node::Issue(repo, repo.issue(number.parse().ok()?)?)),
            ("PR", Some(number)) => {
                let item = repo.pull(number.parse().ok()?)?;
                Some(Node::Pull(repo, item, item.pull()?))
            }
            _ => None,
        }
    };
    find().ok_or_else(|| {
        FieldError::new(
            "NOT_FOUND",
            format!("Could not resolve to a node with the global id of '{id}'"),
        )
    })
}

fn rate<'w>(run: &Run<'_, 'w, '_, '_>, name: &str) -> Resolved<'w> {
    let rate = &run.asker.rate;
    leaf(match name {
        "cost" => Value::from(rate.cost),
        "limit" => Value::from(rate.limit),
        "nodeCount" => Value::from(rate.nodes),
        "remaining" => Value::from(rate.remaining),
        "used" => Value::from(rate.used),
        "resetAt" => Value::from(iso(rate.resets_ms)),
        _ => Value::Null,
    })
}

fn user<'w>(login: &str, name: &str) -> Resolved<'w> {
    leaf(match name {
        "id" => format!("U_{}", hex::encode(login)),
        "url" => format!("https://github.com/{login}"),
        _ => login.to_owned(),
    })
}

fn repository<'w>(
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

fn issue<'w>(
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

fn pull<'w>(
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

fn comment<'w>(repo: &Repo, item: &Item, comment: &'w Comment, name: &str) -> Resolved<'w> {
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
fn rollup<'w>(
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

fn contexts<'w>(
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

fn connection<'w>(
    run: &Run<'_, 'w, '_, '_>,
    page: &Rc<Connection<'w>>,
    name: &str,
) -> Resolved<'w> {
    match name {
        "totalCount" => leaf(page.total),
        "pageInfo" => Resolved::Node(Node::PageInfo(page.clone())),
        "edges" => Resolved::List(
            (0..page.nodes.len())
                .map(|index| Ok(Node::Edge(page.clone(), index)))
                .collect(),
        ),
        _ => Resolved::List(
            page.nodes
                .iter()
                .map(|node| match node {
                    // The state of a rollup can be read without this permission, the runs behind it cannot.
                    Node::CheckRun(..) => {
                        permit(run, Permission::ChecksRead).map(|()| node.clone())
                    }
                    _ => Ok(node.clone()),
                })
                .collect(),
        ),
    }
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

fn permit(run: &Run<'_, '_, '_, '_>, permission: Permission) -> Result<(), FieldError> {
    if run.asker.token.may(permission) {
        Ok(())
    } else {
        Err(FieldError::new("FORBIDDEN", run.asker.token.refusal()))
    }
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

fn text<'m>(args: &'m Map<String, Value>, name: &str) -> &'m str {
    args.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn leaf<'w>(value: impl Into<Value>) -> Resolved<'w> {
    Resolved::Leaf(value.into())
}
