//! What each field answers: the root, the small types, and the way to the `things`.

use std::rc::Rc;

use serde_json::{Map, Value};

use super::execute::Run;
use super::page::Connection;
use super::{checks, pulls, things};
use crate::commit::{Check, Commit, Suite, Workflow};
use crate::fault::ErrorType;
use crate::item::{AutoMerge, Comment, Item, Pull, Queued, Review, Turn};
use crate::time::iso;
use crate::token::Permission;
use crate::world::Repo;

/// A thing that has fields.
#[derive(Clone, Debug)]
pub(crate) enum Node<'w> {
    Query,
    Rate,
    User(&'w str),
    /// A bot's login without its ending.
    Bot(&'w str),
    Repository(&'w Repo),
    Issue(&'w Repo, &'w Item),
    Pull(&'w Repo, &'w Item, &'w Pull),
    Label(&'w Repo, &'w str),
    /// A branch by its name.
    Ref(&'w Repo, &'w str),
    Comment(&'w Repo, &'w Item, &'w Comment),
    /// An entry of an issue's timeline, and its place there.
    Turn(&'w Repo, &'w Item, usize, &'w Turn),
    Review(&'w Repo, &'w Item, &'w Review),
    Queued(&'w Repo, &'w Item, &'w Queued),
    AutoMerge(&'w Repo, &'w Item, &'w AutoMerge),
    /// A commit by its hash; the item is the one that led to it.
    Commit(&'w Repo, &'w Item, &'w str),
    PullCommit(&'w Repo, &'w Item, &'w Pull),
    Rollup(&'w Repo, &'w Item, &'w str, &'w Commit),
    Check(&'w Repo, &'w Item, &'w str, &'w Check),
    Suite(&'w Repo, &'w Item, &'w str, &'w Suite),
    /// An app by its short name.
    App(&'w str),
    WorkflowRun(&'w Repo, &'w Suite, &'w Workflow),
    Workflow(&'w Repo, &'w Workflow),
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
            Node::Bot(_) => "Bot",
            Node::Repository(_) => "Repository",
            Node::Issue(..) => "Issue",
            Node::Pull(..) => "PullRequest",
            Node::Label(..) => "Label",
            Node::Ref(..) => "Ref",
            Node::Comment(..) => "IssueComment",
            Node::Turn(_, _, _, turn) if turn.closed => "ClosedEvent",
            Node::Turn(..) => "ReopenedEvent",
            Node::Review(..) => "PullRequestReview",
            Node::Queued(..) => "MergeQueueEntry",
            Node::AutoMerge(..) => "AutoMergeRequest",
            Node::Commit(..) => "Commit",
            Node::PullCommit(..) => "PullRequestCommit",
            Node::Rollup(..) => "StatusCheckRollup",
            Node::Check(_, _, _, Check::Run { .. }) => "CheckRun",
            Node::Check(_, _, _, Check::Context { .. }) => "StatusContext",
            Node::Suite(..) => "CheckSuite",
            Node::App(_) => "App",
            Node::WorkflowRun(..) => "WorkflowRun",
            Node::Workflow(..) => "Workflow",
            Node::Connection(page) => page.type_name,
            Node::Edge(page, _) => page.edge_type,
            Node::PageInfo(_) => "PageInfo",
        }
    }

    /// The repository that it belongs to, and the number of its issue or pull request.
    pub(crate) fn place(&self) -> Option<(&'w Repo, Option<u64>)> {
        match self {
            Node::Repository(repo)
            | Node::Label(repo, _)
            | Node::Ref(repo, _)
            | Node::WorkflowRun(repo, ..)
            | Node::Workflow(repo, _) => Some((repo, None)),
            Node::Issue(repo, item)
            | Node::Pull(repo, item, _)
            | Node::Comment(repo, item, _)
            | Node::Turn(repo, item, ..)
            | Node::Review(repo, item, _)
            | Node::Queued(repo, item, _)
            | Node::AutoMerge(repo, item, _)
            | Node::Commit(repo, item, _)
            | Node::PullCommit(repo, item, _)
            | Node::Rollup(repo, item, ..)
            | Node::Check(repo, item, ..)
            | Node::Suite(repo, item, ..) => Some((repo, Some(item.number))),
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
            ErrorType::Internal | ErrorType::Other(_) => {
                "Something went wrong while executing your query."
            }
        };
        FieldError {
            kind: error.as_str(),
            message: message.to_owned(),
            extensions: None,
        }
    }

    pub(super) fn not_found(what: &str, property: &str, value: impl std::fmt::Display) -> Self {
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

pub(super) type Answer<'w> = Result<Resolved<'w>, FieldError>;

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
        Node::Bot(login) => Ok(bot(login, name)),
        Node::Repository(repo) => things::repository(run, repo, name, args, contents),
        Node::Issue(repo, item) => things::issue(run, repo, item, name, args, contents),
        Node::Pull(repo, item, pull) => pulls::pull(run, repo, item, pull, name, args, contents),
        Node::Label(repo, label) => Ok(leaf(match name {
            "id" => Value::from(format!("LA_{}_{}", repo.id, hex::encode(label))),
            "name" => Value::from(*label),
            "color" => Value::from("ededed"),
            _ => Value::Null,
        })),
        Node::Ref(repo, branch) => Ok(match name {
            "name" => leaf(*branch),
            "prefix" => leaf("refs/heads/"),
            "repository" => Resolved::Node(Node::Repository(repo)),
            _ => leaf(format!("REF_{}_{}", repo.id, hex::encode(branch))),
        }),
        Node::Comment(repo, item, comment) => Ok(things::comment(repo, item, comment, name)),
        Node::Turn(repo, item, at, turn) => things::turn(run, repo, item, *at, turn, name),
        Node::Review(repo, item, review) => Ok(pulls::review(repo, item, review, name)),
        Node::Queued(repo, item, queued) => Ok(pulls::queued(repo, item, queued, name)),
        Node::AutoMerge(repo, item, merge) => Ok(pulls::auto_merge(repo, item, merge, name)),
        Node::PullCommit(repo, item, pull) => Ok(match name {
            "commit" => Resolved::Node(Node::Commit(repo, item, &pull.head_sha)),
            _ => leaf(format!("PURC_{}", pull.head_sha)),
        }),
        Node::Commit(repo, item, sha) => checks::commit(run, repo, item, sha, name, args, contents),
        Node::Rollup(repo, item, sha, commit) => {
            checks::sum(repo, item, (sha, commit), name, args, contents)
        }
        Node::Check(repo, _, sha, check) => Ok(checks::check(repo, sha, check, name)),
        Node::Suite(repo, item, sha, suite) => checks::suite(run, repo, item, (sha, suite), name),
        Node::App(slug) => Ok(match name {
            "id" => leaf(format!("A_{}", hex::encode(slug))),
            _ => leaf(*slug),
        }),
        Node::WorkflowRun(repo, suite, workflow) => Ok(match name {
            "createdAt" => leaf(iso(suite.created_ms)),
            "databaseId" => leaf(suite.id),
            "event" => leaf(workflow.event.as_str()),
            "url" => leaf(things::url(repo, "actions/runs", suite.id)),
            "workflow" => Resolved::Node(Node::Workflow(repo, workflow)),
            _ => leaf(format!("WFR_{}_{}", repo.id, suite.id)),
        }),
        Node::Workflow(repo, workflow) => Ok(match name {
            "name" => leaf(workflow.name.as_str()),
            _ => leaf(format!("W_{}_{}", repo.id, hex::encode(&workflow.name))),
        }),
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
        "rateLimit" if asker.rate.is_none() => Ok(leaf(Value::Null)),
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
    let Some(rate) = &run.asker.rate else {
        return leaf(Value::Null);
    };
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

fn bot<'w>(login: &str, name: &str) -> Resolved<'w> {
    match name {
        "id" => leaf(format!("BOT_{}", hex::encode(login))),
        "url" => leaf(format!("https://github.com/apps/{login}")),
        "databaseId" => leaf(Value::Null),
        _ => leaf(login),
    }
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
                .map(|node| checks::permit_record(run, node).map(|()| node.clone()))
                .collect(),
        ),
    }
}

pub(super) fn permit(run: &Run<'_, '_, '_, '_>, permission: Permission) -> Result<(), FieldError> {
    if run.asker.token.may(permission) {
        Ok(())
    } else {
        Err(FieldError::new("FORBIDDEN", run.asker.token.refusal()))
    }
}

fn text<'m>(args: &'m Map<String, Value>, name: &str) -> &'m str {
    args.get(name).and_then(Value::as_str).unwrap_or_default()
}

pub(super) fn leaf<'w>(value: impl Into<Value>) -> Resolved<'w> {
    Resolved::Leaf(value.into())
}
