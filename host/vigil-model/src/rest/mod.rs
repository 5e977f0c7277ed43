//! REST: the routes that vigil uses and their neighbours.

use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use crate::item::Item;
use crate::message::{Request, Response};
use crate::pot::{Pot, Pots};
use crate::time;
use crate::token::{Permission, Token, TokenKind};
use crate::world::{Repo, World};

mod app;
mod list;
mod page;
pub(crate) mod shape;
mod write;

use page::Page;

pub(crate) use app::{answer as app, suspended};
pub(crate) use write::write;

/// Whether only an app's assertion opens the path.
pub(crate) fn is_of_apps(path: &str) -> bool {
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    matches!(
        segments.as_slice(),
        ["app", ..] | ["users" | "orgs", _, "installation"] | ["repos", _, _, "installation"]
    )
}

/// The permissions that open a path, as `x-accepted-github-permissions` has them.
pub(crate) fn accepted_permissions(request: &Request) -> String {
    let segments = segments(&request.path);
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let rest = match segments.as_slice() {
        ["repos", _, _, rest @ ..] | ["repositories", _, rest @ ..] => rest,
        _ => return "allows_permissionless_access=true".to_owned(),
    };
    let permission = match rest {
        ["issues", ..] if request.method == "GET" => Permission::IssuesRead,
        ["issues", ..] => Permission::IssuesWrite,
        ["pulls", ..] => Permission::PullsRead,
        ["actions", ..] => Permission::ActionsRead,
        ["compare" | "commits", ..] => Permission::ContentsRead,
        _ => return "metadata=read".to_owned(),
    };
    let (name, level) = permission.name();
    format!("{name}={level}")
}

/// Everything that a read depends on besides the request.
pub(crate) struct Asker<'w> {
    pub(crate) world: &'w World,
    pub(crate) token: &'w Token,
    /// Repositories that are hidden by a fault, lower case.
    pub(crate) hidden: &'w [String],
    pub(crate) base_url: &'w str,
}

/// The answer of `/rate_limit`.
pub(crate) fn rate_limit(pots: &Pots) -> Response {
    let show = |pot: &Pot, resource: &str| {
        json!({
            "limit": pot.limit,
            "used": pot.used,
            "remaining": pot.remaining(),
            "reset": pot.resets_s(),
            "resource": resource,
        })
    };
    let core = show(&pots.rest, "core");
    Response::json(
        200,
        &json!({
            "resources": { "core": core, "graphql": show(&pots.graphql, "graphql") },
            "rate": core,
        }),
    )
}

/// A refusal on the way to the right answer.
pub(crate) type Refused = Response;

impl<'w> Asker<'w> {
    /// Answers a GET.
    pub(crate) fn read(&self, request: &Request) -> Response {
        let segments = segments(&request.path);
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        self.route(request, &segments)
            .unwrap_or_else(|refused| refused)
    }

    fn route(&self, request: &Request, segments: &[&str]) -> Result<Response, Refused> {
        if let ["user"] = segments {
            if self.token.kind == TokenKind::Installation {
                return Err(Response::refusal(403, self.token.refusal()));
            }
            return Ok(Response::json(200, &shape::user(&self.token.login)));
        }
        if let ["installation", "repositories"] = segments {
            return self.installed(request);
        }
        let (repo, rest) = self.repo(request, segments)?;
        match rest {
            [] => Ok(dated(
                Response::json(200, &shape::repo(repo)),
                repo.updated_ms,
            )),
            ["issues"] => {
                self.permit(Permission::IssuesRead)?;
                if !repo.has_issues {
                    return Err(issues_disabled());
                }
                list::issues(self, repo, request)
            }
            ["issues", number] => {
                let item = self.issue_or_pull(request, repo, number)?;
                Ok(dated(
                    Response::json(200, &shape::issue(repo, item, true)),
                    item.updated_ms,
                ))
            }
            ["issues", number, "labels"] => {
                let item = self.issue_or_pull(request, repo, number)?;
                Ok(Response::json(200, &shape::labels(repo, item)))
            }
            ["issues", number, "comments"] => {
                let item = self.issue_or_pull(request, repo, number)?;
                let comments = item
                    .comments
                    .iter()
                    .map(|comment| shape::comment(repo, item, comment));
                Ok(Response::json(200, &comments.collect()))
            }
            ["pulls"] => {
                self.permit(Permission::PullsRead)?;
                list::pulls(self, repo, request)
            }
            ["pulls", number] => {
                self.permit(Permission::PullsRead)?;
                let item = parse(number)
                    .and_then(|number| repo.pull(number))
                    .ok_or_else(not_found)?;
                let Some(pull) = item.pull() else {
                    return Err(not_found());
                };
                let pending = pull.mergeability_pending_reads.get();
                let answer = shape::pull(repo, item, pull, true);
                pull.mergeability_pending_reads
                    .set(pending.saturating_sub(1));
                Ok(dated(Response::json(200, &answer), item.updated_ms))
            }
            ["compare", base_and_head @ ..] if !base_and_head.is_empty() => {
                self.permit(Permission::ContentsRead)?;
                let text = base_and_head.join("/");
                let (base, head) = text.split_once("...").ok_or_else(not_found)?;
                let compared = repo.compare(base, head).ok_or_else(not_found)?;
                Ok(Response::json(200, &shape::compared(repo, &compared)))
            }
            ["commits", name @ ..] if !name.is_empty() => {
                self.permit(Permission::ContentsRead)?;
                let name = name.join("/");
                match repo.resolve(&name) {
                    Some(sha) => Ok(Response::json(200, &shape::commit(repo, &sha))),
                    None => Err(Response::refusal(
                        422,
                        &format!("No commit found for SHA: {name}"),
                    )),
                }
            }
            ["actions", "runs"] => {
                self.permit(Permission::ActionsRead)?;
                list::runs(self, repo, request)
            }
            _ => Err(not_found()),
        }
    }

    /// The repositories that an installation's token reaches.
    fn installed(&self, request: &Request) -> Result<Response, Refused> {
        let Some((_, reach)) = &self.token.installation else {
            return Err(Response::refusal(
                403,
                "You must authenticate with an installation access token in order to list repositories for an \
                 installation.",
            ));
        };
        let repos = self.world.repos.iter();
        let repos = repos.filter(|repo| !repo.deleted && reach.covers(repo));
        let base = format!("{}/installation/repositories", self.base_url);
        let page = Page::of(base, request, repos.collect(), |repo| repo.id)?;
        let (total, selection) = (page.total, app::selection(reach));
        Ok(page.answer_as(
            |repos| {
                json!({
                    "total_count": total,
                    "repository_selection": selection,
                    "repositories": repos,
                })
            },
            |repo| shape::repo(repo),
        ))
    }

    /// The repository of a path and what follows it. A former name is redirected to the id, as GitHub does.
    fn repo<'s>(
        &self,
        request: &Request,
        segments: &'s [&'s str],
    ) -> Result<(&'w Repo, &'s [&'s str]), Refused> {
        let (repo, rest) = match segments {
            ["repos", owner, name, rest @ ..] => {
                let repo = self.world.repo(owner, name).ok_or_else(not_found)?;
                self.see(repo)?;
                if !repo.is_called(owner, name) {
                    return Err(self.moved(request, repo, rest));
                }
                (repo, rest)
            }
            ["repositories", id, rest @ ..] => {
                let repo = parse(id).and_then(|id| self.world.repo_by_id(id));
                (repo.ok_or_else(not_found)?, rest)
            }
            _ => return Err(not_found()),
        };
        self.see(repo)?;
        Ok((repo, rest))
    }

    /// A repository that the token does not see looks as if it were not there.
    fn see(&self, repo: &Repo) -> Result<(), Refused> {
        let hidden = self.hidden.contains(&repo.name_with_owner().to_lowercase());
        if self.token.may_see(repo) && !hidden {
            Ok(())
        } else {
            Err(not_found())
        }
    }

    fn moved(&self, request: &Request, repo: &Repo, rest: &[&str]) -> Response {
        let mut url = format!("{}/repositories/{}", self.base_url, repo.id);
        for segment in rest {
            url.push('/');
            url.push_str(segment);
        }
        if !request.query.is_empty() {
            url.push('?');
            url.push_str(&request.query);
        }
        // A write must not be turned into a read on the way, which clients do on a 301.
        let (status, message) = match request.method.as_str() {
            "GET" => (301, "Moved Permanently"),
            _ => (307, "Temporary Redirect"),
        };
        Response::json(
            status,
            &json!({
                "message": message,
                "url": url,
                "documentation_url": "https://docs.github.com/rest/guides/best-practices-for-using-the-rest-api#follow-redirects",
            }),
        )
        .with("location", url)
    }

    fn permit(&self, permission: Permission) -> Result<(), Refused> {
        permit(self.token, permission)
    }

    /// `/issues/{number}` also answers for pull requests.
    fn issue_or_pull(
        &self,
        request: &Request,
        repo: &'w Repo,
        number: &str,
    ) -> Result<&'w Item, Refused> {
        self.permit(Permission::IssuesRead)?;
        let number = parse(number).ok_or_else(not_found)?;
        if repo.deleted_issues.contains(&number) {
            return Err(Response::refusal(410, "This issue was deleted"));
        }
        if let Some((id, there)) = repo.transferred_issues.get(&number) {
            let target = self.world.repo_by_id(*id).ok_or_else(not_found)?;
            self.see(target)?;
            let issue = there.to_string();
            return Err(self.moved(request, target, &["issues", &issue]));
        }
        let item = repo.items.get(&number).ok_or_else(not_found)?;
        if item.pull().is_none() && !repo.has_issues {
            return Err(issues_disabled());
        }
        Ok(item)
    }
}

fn permit(token: &Token, permission: Permission) -> Result<(), Refused> {
    if token.may(permission) {
        return Ok(());
    }
    let (name, level) = permission.name();
    let needed = format!("{name}={level}");
    Err(Response::refusal(403, token.refusal()).with("x-accepted-github-permissions", needed))
}

fn not_found() -> Response {
    Response::refusal(404, "Not Found")
}

fn issues_disabled() -> Response {
    Response::refusal(410, "Issues has been disabled in this repository.")
}

/// What GitHub says to a parameter or body that it understands and does not accept.
fn invalid(resource: &str, field: &str, code: &str) -> Response {
    Response::json(
        422,
        &json!({
            "message": "Validation Failed",
            "errors": [{ "resource": resource, "field": field, "code": code }],
            "documentation_url": "https://docs.github.com/rest",
            "status": "422",
        }),
    )
}

fn dated(response: Response, modified_ms: u64) -> Response {
    response.with("last-modified", time::http_date(modified_ms))
}

fn parse(number: &str) -> Option<u64> {
    number.parse().ok()
}

/// The decoded parts of a path.
fn segments(path: &str) -> Vec<String> {
    path.trim_matches('/')
        .split('/')
        .map(|segment| percent_decode_str(segment).decode_utf8_lossy().into_owned())
        .collect()
}

/// A parameter of the query, decoded; the last one of that name.
fn parameter(request: &Request, name: &str) -> Option<String> {
    let (_, value) = request
        .query
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .rfind(|(key, _)| *key == name)?;
    let value = value.replace('+', " ");
    Some(percent_decode_str(&value).decode_utf8_lossy().into_owned())
}

/// The body as a JSON object, or a 400.
fn body(request: &Request) -> Result<serde_json::Map<String, Value>, Refused> {
    match serde_json::from_slice(&request.body) {
        Ok(Value::Object(body)) => Ok(body),
        Ok(_) => Err(Response::refusal(400, "Body should be a JSON object")),
        Err(_) => Err(Response::refusal(400, "Problems parsing JSON")),
    }
}
