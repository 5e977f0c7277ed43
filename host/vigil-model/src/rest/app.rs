//! What an app asks about itself, and the tokens that it makes for its installations.

use serde_json::{Map, Value, json};

use super::page::Page;
use super::{Refused, body, not_found, parse, segments, shape};
use crate::app::{App, Installation, TOKEN_LIFE_MS};
use crate::message::{Request, Response};
use crate::model::Model;
use crate::time::iso;
use crate::token::{Permission, Reach, Token};

/// Answers the app whose assertion came with the request.
pub(crate) fn answer(model: &mut Model, app: &App, request: &Request) -> Response {
    route(model, app, request).unwrap_or_else(|refused| refused)
}

fn route(model: &mut Model, app: &App, request: &Request) -> Result<Response, Refused> {
    let segments = segments(&request.path);
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let method = request.method.as_str();
    let api_url = model.api_url();
    let found = |installation: Option<&Installation>| match installation {
        Some(installation) => Ok(Response::json(200, &show(app, installation, &api_url))),
        None => Err(not_found()),
    };
    match (method, segments.as_slice()) {
        ("GET", ["app"]) => Ok(Response::json(200, &show_app(app))),
        ("GET", ["app", "installations"]) => {
            let all: Vec<&Installation> = model
                .installations
                .values()
                .filter(|installation| installation.app == app.id)
                .collect();
            let base = format!("{api_url}/app/installations");
            let page = Page::of(base, request, all, |installation| installation.id)?;
            Ok(page.answer(|installation| show(app, installation, &api_url)))
        }
        ("GET", ["app", "installations", id]) => found(
            parse(id)
                .and_then(|id| model.installations.get(&id))
                .filter(|installation| installation.app == app.id),
        ),
        // The route of users answers for organizations, too, and that of organizations only for them.
        ("GET", [route @ ("users" | "orgs"), account, "installation"]) => {
            found(model.installations.values().find(|installation| {
                installation.app == app.id
                    && installation.account.eq_ignore_ascii_case(account)
                    && (*route == "users" || !installation.is_person)
            }))
        }
        ("GET", ["repos", owner, name, "installation"]) => {
            let repo = model.world.repo(owner, name).ok_or_else(not_found)?;
            found(
                model.installations.values().find(|installation| {
                    installation.app == app.id && installation.reach.covers(repo)
                }),
            )
        }
        ("POST", ["app", "installations", id, "access_tokens"]) => {
            let id = parse(id).ok_or_else(not_found)?;
            make_token(model, app, id, request)
        }
        _ => Err(not_found()),
    }
}

/// A new token of the installation, for all that it reaches or, as asked, for less.
fn make_token(
    model: &mut Model,
    app: &App,
    id: u64,
    request: &Request,
) -> Result<Response, Refused> {
    let mut wanted = match request.body.is_empty() {
        true => Map::new(),
        false => body(request)?,
    };
    let installation = model
        .installations
        .get_mut(&id)
        .filter(|installation| installation.app == app.id)
        .ok_or_else(not_found)?;
    if installation.suspended {
        return Err(suspended());
    }
    let mut lacks = installation.lacks.clone();
    if let Some(Value::Object(asked)) = wanted.remove("permissions") {
        let narrower = narrower(installation, &asked)?;
        lacks.extend(narrower);
    }
    let mut reach = installation.reach.clone();
    if let Some(Value::Array(names)) = wanted.remove("repositories") {
        let owned = names.iter().filter_map(Value::as_str).map(|name| {
            let repo = model.world.repo(&installation.account, name)?;
            installation
                .reach
                .covers(repo)
                .then(|| repo.name_with_owner().to_lowercase())
        });
        let owned: Option<_> = owned.collect();
        reach = Reach::Repos(owned.ok_or_else(|| {
            Response::refusal(
                422,
                "There is at least one repository that does not exist or is not accessible to the parent installation.",
            )
        })?);
    }
    installation.tokens_made += 1;
    let secret = format!("ghs_{:018x}{:018x}", id, installation.tokens_made);
    let expires_ms = model.now_ms() + TOKEN_LIFE_MS;
    let selection = selection(&reach);
    let repos = model
        .world
        .repos
        .iter()
        .filter(|repo| !repo.deleted && reach.covers(repo))
        .count() as u64;
    let token = Token::of_installation(id, &app.slug, reach, lacks, expires_ms);
    let shown = json!({
        "token": secret,
        "expires_at": iso(expires_ms),
        "permissions": permissions(|permission| token.may(permission)),
        "repository_selection": selection,
    });
    let pots = model.pots.entry(token.pot_key()).or_default();
    pots.allow_installation(repos);
    model.tokens.insert(secret, token);
    Ok(Response::json(201, &shown))
}

/// The permissions that the token is not to have.
fn narrower(
    installation: &Installation,
    asked: &Map<String, Value>,
) -> Result<Vec<Permission>, Refused> {
    let refused = || {
        Response::refusal(
            422,
            "The permissions requested are not granted to this installation.",
        )
    };
    let mut kept = Vec::new();
    for (name, level) in asked {
        let levels: &[&str] = match level.as_str() {
            Some("write") => &["read", "write"],
            Some("read") => &["read"],
            _ => return Err(refused()),
        };
        for level in levels {
            let known = Permission::ALL
                .into_iter()
                .find(|permission| permission.name() == (name, level));
            match known {
                Some(permission) if installation.lacks.contains(&permission) => {
                    return Err(refused());
                }
                Some(permission) => kept.push(permission),
                // Everybody has it, and writing what the model only reads means nothing to it.
                None if name == "metadata" || *level == "write" => {}
                None => return Err(refused()),
            }
        }
    }
    Ok(Permission::ALL
        .into_iter()
        .filter(|permission| !kept.contains(permission))
        .collect())
}

/// What a suspended installation gets, with an assertion as with a token.
pub(crate) fn suspended() -> Response {
    Response::refusal(403, "This installation has been suspended")
}

fn show_app(app: &App) -> Value {
    json!({
        "id": app.id,
        "client_id": app.client_id(),
        "node_id": format!("A_{}", hex::encode(&app.slug)),
        "slug": app.slug,
        "name": app.slug,
        "owner": shape::account(&app.owner, false),
        "description": null,
        "external_url": "https://example.com",
        "html_url": format!("https://github.com/apps/{}", app.slug),
        "created_at": iso(0),
        "updated_at": iso(0),
        "permissions": permissions(|_| true),
        "events": [],
    })
}

fn show(app: &App, installation: &Installation, api_url: &str) -> Value {
    json!({
        "id": installation.id,
        "account": shape::account(&installation.account, !installation.is_person),
        "app_id": app.id,
        "app_slug": app.slug,
        "target_id": installation.id,
        "target_type": if installation.is_person { "User" } else { "Organization" },
        "access_tokens_url": format!("{api_url}/app/installations/{}/access_tokens", installation.id),
        "repositories_url": format!("{api_url}/installation/repositories"),
        "html_url": format!("https://github.com/settings/installations/{}", installation.id),
        "permissions": permissions(|permission| !installation.lacks.contains(&permission)),
        "repository_selection": selection(&installation.reach),
        "events": [],
        "single_file_name": null,
        "created_at": iso(0),
        "updated_at": iso(0),
        "suspended_at": installation.suspended.then(|| iso(0)),
        "suspended_by": null,
    })
}

/// Whether it reaches all repositories of its account.
pub(super) fn selection(reach: &Reach) -> &'static str {
    match reach {
        Reach::Account(_) => "all",
        Reach::Repos(_) => "selected",
    }
}

/// As GitHub lists them: each name with the highest level.
fn permissions(may: impl Fn(Permission) -> bool) -> Value {
    let mut shown = Map::new();
    shown.insert("metadata".to_owned(), json!("read"));
    // Reading comes before writing in the list, so that the higher level stands in the end.
    for permission in Permission::ALL {
        if may(permission) {
            let (name, level) = permission.name();
            shown.insert(name.to_owned(), json!(level));
        }
    }
    Value::Object(shown)
}
