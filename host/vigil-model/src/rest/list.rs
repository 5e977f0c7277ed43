//! Lists in pages: `/issues` and `/pulls`, with their filters and their `link` header.

use serde_json::Value;

use super::{Asker, Refused, invalid, parameter, shape};
use crate::message::{Request, Response};
use crate::time;
use crate::world::{Item, Repo};

/// Records behind which GitHub refuses `page` and hands out cursors.
const PAGED_RECORDS_MAX: usize = 10_000;

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
            // Answers show whole seconds, so a client can only ask in whole seconds, and the bound is inclusive.
            && item.updated_ms / 1000 >= since_ms / 1000
            && labels
                .iter()
                .all(|label| item.labels.iter().any(|present| present == label))
    };
    let items: Vec<&Item> = repo.items.values().filter(wanted).collect();
    let items = sorted(items, &sort, &direction(request, "desc", "Issue")?);
    let page = Page::of(asker, repo, "issues", request, items)?;
    Ok(page.answer(|item| shape::issue(repo, item)))
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
    let page = Page::of(asker, repo, "pulls", request, items)?;
    Ok(page.answer(|item| match item.pull() {
        Some(pull) => shape::pull(repo, item, pull, false),
        None => Value::Null,
    }))
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

/// One page of a list and the links to its neighbours.
struct Page<'w> {
    items: Vec<&'w Item>,
    link: String,
}

impl<'w> Page<'w> {
    fn of(
        asker: &Asker<'_>,
        repo: &Repo,
        list: &str,
        request: &Request,
        items: Vec<&'w Item>,
    ) -> Result<Self, Refused> {
        // An unreadable size is the default, a large one the largest: GitHub refuses neither.
        let size = parameter(request, "per_page")
            .and_then(|size| size.parse::<usize>().ok())
            .filter(|size| *size > 0)
            .unwrap_or(30)
            .min(100);
        let page = parameter(request, "page")
            .and_then(|page| page.parse::<usize>().ok())
            .filter(|page| *page > 0)
            .unwrap_or(1);
        let total = items.len();
        let after = parameter(request, "after");
        let start = match &after {
            Some(cursor) => {
                let number = cursor
                    .strip_prefix("cursor-")
                    .and_then(|number| number.parse::<u64>().ok());
                let position = items.iter().position(|item| Some(item.number) == number);
                match (number, position) {
                    (None, _) => return Err(invalid("Issue", "after", "invalid")),
                    (_, Some(position)) => position + 1,
                    // The record behind the cursor left the list: begin anew rather than skip anything.
                    (_, None) => 0,
                }
            }
            None if page.saturating_mul(size) > PAGED_RECORDS_MAX => {
                return Err(Response::refusal(
                    422,
                    "Pagination with the page parameter is not supported for large datasets, please use cursor based \
                     pagination (after/before)",
                ));
            }
            None => (page - 1) * size,
        };
        let items: Vec<&Item> = items.into_iter().skip(start).take(size).collect();
        let more = start + items.len() < total;
        let by_cursor = after.is_some() || total > PAGED_RECORDS_MAX;
        let mut links = Vec::new();
        // GitHub names the repository by its id here.
        let base = format!("{}/repositories/{}/{list}", asker.base_url, repo.id);
        let mut link = |key: &str, value: String, relation: &str| {
            let kept = request.query.split('&').filter(|pair| {
                let key = pair.split('=').next().unwrap_or_default();
                !pair.is_empty() && !matches!(key, "page" | "after")
            });
            let query = kept
                .map(str::to_owned)
                .chain([format!("{key}={value}")])
                .collect::<Vec<_>>()
                .join("&");
            links.push(format!("<{base}?{query}>; rel=\"{relation}\""));
        };
        if by_cursor {
            if let (true, Some(last)) = (more, items.last()) {
                link("after", format!("cursor-{}", last.number), "next");
            }
        } else {
            if page > 1 {
                link("page", (page - 1).to_string(), "prev");
            }
            if more {
                link("page", (page + 1).to_string(), "next");
                link("page", total.div_ceil(size).to_string(), "last");
            }
            if page > 1 {
                link("page", "1".to_owned(), "first");
            }
        }
        Ok(Page {
            items,
            link: links.join(", "),
        })
    }

    fn answer(&self, shape: impl Fn(&Item) -> Value) -> Response {
        let body: Value = self.items.iter().map(|item| shape(item)).collect();
        let response = Response::json(200, &body);
        if self.link.is_empty() {
            response
        } else {
            response.with("link", self.link.as_str())
        }
    }
}
