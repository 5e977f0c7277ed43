//! Lists: `/issues`, `/pulls` and `/actions/runs`, with their filters.

use serde_json::{Value, json};

use super::page::Page;
use super::{Asker, Refused, invalid, parameter, shape};
use crate::commit::Suite;
use crate::item::Item;
use crate::message::{Request, Response};
use crate::time;
use crate::world::Repo;

/// Issues and pull requests together, as GitHub lists them.
pub(super) fn issues(
    asker: &Asker<'_>,
    repo: &Repo,
    request: &Request,
) -> Result<Response, Refused> {
    let state = word(
        request,
        "state",
        "open",
        &["open", "closed", "all"],
        "Issue",
    )?;
    let sort = word(
        request,
        "sort",
        "created",
        &["created", "updated", "comments"],
        "Issue",
    )?;
    let since_ms = match parameter(request, "since") {
        None => 0,
        Some(since) => {
            time::parse_iso(&since).ok_or_else(|| invalid("Issue", "since", "invalid"))?
        }
    };
    let labels = parameter(request, "labels").unwrap_or_default();
    let labels: Vec<&str> = labels
        .split(',')
        .filter(|label| !label.is_empty())
        .collect();
    let wanted = |item: &&Item| {
        is_in(item, &state)
            && labels
                .iter()
                .all(|label| item.labels.iter().any(|present| present == label))
    };
    // Answers show whole seconds, so a client can only ask in whole seconds, and the bound is inclusive.
    let since_ms = since_ms / 1000 * 1000;
    if sort == "updated" && state == "all" && labels.is_empty() {
        return newest(asker, repo, since_ms, request);
    }
    let moved = repo.moved_since(since_ms).filter(wanted);
    let items = sorted(
        moved.collect(),
        &sort,
        &direction(request, "desc", "Issue")?,
    );
    let page = Page::of(place(asker, repo, "issues"), request, items, |item| {
        item.number
    })?;
    Ok(page.answer(|item| shape::issue(repo, item, false)))
}

/// All that moved since then, in the order of the index. This is how clients follow a repository, so it has to stay
/// cheap in one with ten thousand issues: only those of the page are looked at.
fn newest(
    asker: &Asker<'_>,
    repo: &Repo,
    since_ms: u64,
    request: &Request,
) -> Result<Response, Refused> {
    let mut numbers: Vec<u64> = repo
        .moves_since(since_ms)
        .map(|(number, _)| number)
        .collect();
    if direction(request, "desc", "Issue")? == "desc" {
        numbers.reverse();
    }
    let place = place(asker, repo, "issues");
    let page = Page::of(place, request, numbers, |number| *number)?;
    Ok(page.answer(|number| match repo.items.get(number) {
        Some(item) => shape::issue(repo, item, false),
        None => Value::Null,
    }))
}

/// Pull requests alone.
pub(super) fn pulls(
    asker: &Asker<'_>,
    repo: &Repo,
    request: &Request,
) -> Result<Response, Refused> {
    let resource = "PullRequest";
    let state = word(
        request,
        "state",
        "open",
        &["open", "closed", "all"],
        resource,
    )?;
    let sort = word(
        request,
        "sort",
        "created",
        &["created", "updated", "popularity", "long-running"],
        resource,
    )?;
    let head = parameter(request, "head").unwrap_or_default();
    // Without an owner GitHub silently ignores the filter.
    let head = head.split_once(':');
    let base = parameter(request, "base");
    let wanted = |item: &&Item| {
        item.pull().is_some_and(|pull| {
            is_in(item, &state)
                && base.as_ref().is_none_or(|base| *base == pull.base_ref)
                && head.is_none_or(|(owner, branch)| {
                    pull.head_ref == branch && pull.head_owner.as_deref() == Some(owner)
                })
        })
    };
    let items: Vec<&Item> = repo.items.values().filter(wanted).collect();
    let items = sorted(items, &sort, &direction(request, "desc", resource)?);
    let page = Page::of(place(asker, repo, "pulls"), request, items, |item| {
        item.number
    })?;
    Ok(page.answer(|item| match item.pull() {
        Some(pull) => shape::pull(repo, item, pull, false),
        None => Value::Null,
    }))
}

/// What GitHub takes as `status` of a workflow run: words of both kinds.
const RUN_WORDS: [&str; 14] = [
    "action_required",
    "cancelled",
    "completed",
    "failure",
    "in_progress",
    "neutral",
    "pending",
    "queued",
    "requested",
    "skipped",
    "stale",
    "success",
    "timed_out",
    "waiting",
];

/// Workflow runs, newest first. Their `pull_requests` are empty, as GitHub leaves them for forks: only the hash tells
/// whose they are.
pub(super) fn runs(asker: &Asker<'_>, repo: &Repo, request: &Request) -> Result<Response, Refused> {
    let status = match parameter(request, "status") {
        Some(status) if !RUN_WORDS.contains(&status.as_str()) => {
            return Err(invalid("WorkflowRun", "status", "invalid"));
        }
        status => status,
    };
    let (event, branch) = (parameter(request, "event"), parameter(request, "branch"));
    let wanted = |(_, suite): &(&str, &Suite)| {
        suite.workflow.as_ref().is_some_and(|workflow| {
            event.as_ref().is_none_or(|event| *event == workflow.event)
                && branch.as_ref().is_none_or(|branch| *branch == suite.branch)
                && status.as_ref().is_none_or(|status| {
                    suite.status.eq_ignore_ascii_case(status)
                        || suite
                            .conclusion
                            .as_ref()
                            .is_some_and(|conclusion| conclusion.eq_ignore_ascii_case(status))
                })
        })
    };
    let mut runs: Vec<(&str, &Suite)> = match parameter(request, "head_sha") {
        Some(sha) => repo
            .commits
            .get_key_value(&sha)
            .into_iter()
            .flat_map(|(sha, commit)| commit.suites.iter().map(|suite| (sha.as_str(), suite)))
            .filter(wanted)
            .collect(),
        None => repo.suites().filter(wanted).collect(),
    };
    runs.sort_by_key(|(_, suite)| std::cmp::Reverse(suite.id));
    let page = Page::of(
        place(asker, repo, "actions/runs"),
        request,
        runs,
        |(_, suite)| suite.id,
    )?;
    let total = page.total;
    Ok(page.answer_as(
        |records| json!({ "total_count": total, "workflow_runs": records }),
        |(sha, suite)| shape::run(repo, sha, suite),
    ))
}

/// Where a list lies. GitHub names the repository by its id here.
fn place(asker: &Asker<'_>, repo: &Repo, list: &str) -> String {
    format!("{}/repositories/{}/{list}", asker.base_url, repo.id)
}

fn is_in(item: &Item, state: &str) -> bool {
    match state {
        "open" => item.closed_ms.is_none(),
        "closed" => item.closed_ms.is_some(),
        _ => true,
    }
}

fn sorted<'w>(mut items: Vec<&'w Item>, sort: &str, direction: &str) -> Vec<&'w Item> {
    items.sort_by_key(|item| {
        let first = match sort {
            "updated" => item.updated_ms,
            "comments" | "popularity" => item.comments.len() as u64,
            _ => item.created_ms,
        };
        (first, item.number)
    });
    if direction == "desc" {
        items.reverse();
    }
    items
}

fn direction(request: &Request, default: &str, resource: &str) -> Result<String, Refused> {
    word(request, "direction", default, &["asc", "desc"], resource)
}

fn word(
    request: &Request,
    name: &str,
    default: &str,
    known: &[&str],
    resource: &str,
) -> Result<String, Refused> {
    match parameter(request, name) {
        None => Ok(default.to_owned()),
        Some(word) if known.contains(&word.as_str()) => Ok(word),
        Some(_) => Err(invalid(resource, name, "invalid")),
    }
}
