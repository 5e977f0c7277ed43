//! What commits answer: the sum of their checks, the single ones, and the suites with their workflow runs.

use serde_json::{Map, Value};

use super::execute::Run;
use super::resolve::{Answer, FieldError, Node, Resolved, leaf, permit};
use super::things::page;
use crate::commit::{Check, Commit, Suite};
use crate::item::Item;
use crate::time::iso;
use crate::token::{Permission, TokenKind};
use crate::world::Repo;

/// A commit; one on which nothing was run is there all the same.
pub(super) fn commit<'w>(
    run: &Run<'_, 'w, '_, '_>,
    repo: &'w Repo,
    item: &'w Item,
    sha: &'w str,
    name: &str,
    args: &Map<String, Value>,
    contents: bool,
) -> Answer<'w> {
    Ok(match name {
        "oid" => leaf(sha),
        "statusCheckRollup" => rollup(run, repo, item, sha)?,
        "checkSuites" => {
            needs_checks(run)?;
            let suites = repo.commit(sha).map_or(&[][..], |commit| &commit.suites);
            let nodes = suites
                .iter()
                .map(|suite| Node::Suite(repo, item, sha, suite));
            let types = ("CheckSuiteConnection", "CheckSuiteEdge");
            page(name, types, nodes.collect(), args, contents)?
        }
        _ => leaf(format!("C_{sha}")),
    })
}

/// Without the permission an installation loses the whole rollup, while a personal token still reads its state.
pub(super) fn rollup<'w>(
    run: &Run<'_, 'w, '_, '_>,
    repo: &'w Repo,
    item: &'w Item,
    sha: &'w str,
) -> Answer<'w> {
    needs_checks(run)?;
    Ok(match repo.commit(sha) {
        Some(commit) if commit.rollup().is_some() => {
            Resolved::Node(Node::Rollup(repo, item, sha, commit))
        }
        _ => leaf(Value::Null),
    })
}

/// The sum of all checks, and the way to the single ones.
pub(super) fn sum<'w>(
    repo: &'w Repo,
    item: &'w Item,
    (sha, commit): (&'w str, &'w Commit),
    name: &str,
    args: &Map<String, Value>,
    contents: bool,
) -> Answer<'w> {
    Ok(match name {
        "commit" => Resolved::Node(Node::Commit(repo, item, sha)),
        "state" => leaf(commit.rollup()),
        "contexts" => {
            let nodes = commit
                .checks
                .iter()
                .map(|check| Node::Check(repo, item, sha, check));
            let types = (
                "StatusCheckRollupContextConnection",
                "StatusCheckRollupContextEdge",
            );
            page(name, types, nodes.collect(), args, contents)?
        }
        _ => leaf(format!("SCR_{sha}")),
    })
}

/// A check run or a commit status.
pub(super) fn check<'w>(repo: &Repo, sha: &str, check: &'w Check, field: &str) -> Resolved<'w> {
    match (check, field) {
        (Check::Run { name, .. }, "name") => leaf(name.as_str()),
        (Check::Run { status, .. }, "status") => leaf(status.as_str()),
        (Check::Run { conclusion, .. }, "conclusion") => leaf(conclusion.as_deref()),
        (Check::Run { name, .. }, _) => leaf(format!("CR_{}_{sha}_{}", repo.id, hex::encode(name))),
        (Check::Context { context, .. }, "context") => leaf(context.as_str()),
        (Check::Context { state, .. }, "state") => leaf(state.as_str()),
        (Check::Context { context, .. }, _) => {
            leaf(format!("SC_{}_{sha}_{}", repo.id, hex::encode(context)))
        }
    }
}

/// A check suite.
pub(super) fn suite<'w>(
    run: &Run<'_, 'w, '_, '_>,
    repo: &'w Repo,
    item: &'w Item,
    (sha, suite): (&'w str, &'w Suite),
    name: &str,
) -> Answer<'w> {
    Ok(match name {
        "app" => Resolved::Node(Node::App(&suite.app)),
        "commit" => Resolved::Node(Node::Commit(repo, item, sha)),
        "conclusion" => leaf(suite.conclusion.as_deref()),
        "createdAt" | "updatedAt" => leaf(iso(suite.created_ms)),
        "databaseId" => leaf(suite.id),
        "status" => leaf(suite.status.as_str()),
        "workflowRun" => match &suite.workflow {
            Some(workflow) => {
                permit(run, Permission::ActionsRead)?;
                Resolved::Node(Node::WorkflowRun(repo, suite, workflow))
            }
            None => leaf(Value::Null),
        },
        _ => leaf(format!("CS_{}_{}", repo.id, suite.id)),
    })
}

/// What the records of a list need beyond the list itself: a personal token without the permission gets the list, with
/// nulls in it.
pub(super) fn permit_record(run: &Run<'_, '_, '_, '_>, node: &Node<'_>) -> Result<(), FieldError> {
    match node {
        Node::Check(_, _, _, Check::Run { .. }) | Node::Suite(..) => {
            permit(run, Permission::ChecksRead)
        }
        Node::Check(_, _, _, Check::Context { .. }) => permit(run, Permission::StatusesRead),
        _ => Ok(()),
    }
}

fn needs_checks(run: &Run<'_, '_, '_, '_>) -> Result<(), FieldError> {
    match run.asker.token.kind {
        TokenKind::Installation => permit(run, Permission::ChecksRead),
        TokenKind::Classic | TokenKind::FineGrained => Ok(()),
    }
}
