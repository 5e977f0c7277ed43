//! Answers that many requests share: refusals, limits in headers, conditional reads.

use serde_json::json;
use sha2::{Digest, Sha256};

use crate::message::{Request, Response};
use crate::pot::Pot;
use crate::time;
use crate::token::{Token, TokenKind};

/// GitHub serves nobody who does not say what they are.
pub(crate) fn no_user_agent() -> Response {
    Response {
        status: 403,
        headers: vec![("content-type", "text/html; charset=utf-8".to_owned())],
        body: b"Request forbidden by administrative rules. Please make sure your request has a User-Agent header."
            .to_vec(),
        delivery: Default::default(),
    }
}

/// 401. The limits in its headers are those of an anonymous caller, so they say nothing about the token.
pub(crate) fn unauthenticated(message: &str) -> Response {
    Response::refusal(401, message)
        .with("x-ratelimit-limit", "60")
        .with("x-ratelimit-remaining", "60")
        .with("x-ratelimit-used", "0")
        .with("x-ratelimit-resource", "core")
}

/// GraphQL over its primary limit: HTTP 200 and no data.
pub(crate) fn graphql_rate_limited(whose: &str, kind: &str) -> Response {
    Response::json(
        200,
        &json!({ "errors": [{ "type": kind, "message": rate_sentence(whose) }] }),
    )
}

/// REST over its primary limit, for which GitHub names two statuses: 403 and 429.
pub(crate) fn rest_rate_limited(status: u16, whose: &str) -> Response {
    Response::refusal(status, &rate_sentence(whose))
}

/// `whose`: a login, or `installation ID 1`.
fn rate_sentence(whose: &str) -> String {
    match whose.contains(' ') {
        true => format!("API rate limit exceeded for {whose}."),
        false => format!("API rate limit exceeded for user {whose}."),
    }
}

/// Writes the limits into the headers, as GitHub does on every answer.
pub(crate) fn with_rate(response: Response, pot: &Pot, resource: &str) -> Response {
    response
        .with("x-ratelimit-limit", pot.limit.to_string())
        .with("x-ratelimit-remaining", pot.remaining().to_string())
        .with("x-ratelimit-used", pot.used.to_string())
        .with("x-ratelimit-reset", pot.resets_s().to_string())
        .with("x-ratelimit-resource", resource)
}

/// Writes what GitHub tells a token about itself: its scopes or the permissions that would have done, and its end.
pub(crate) fn with_token(
    request: &Request,
    mut response: Response,
    token: &Token,
    is_graphql: bool,
) -> Response {
    match token.kind {
        TokenKind::Classic => {
            response.set("x-oauth-scopes", token.scopes.join(", "));
            response.set("x-accepted-oauth-scopes", "repo");
        }
        // A refusal has named the one that is missing already.
        TokenKind::FineGrained | TokenKind::Installation
            if !is_graphql && response.header("x-accepted-github-permissions").is_none() =>
        {
            let accepted = crate::rest::accepted_permissions(request);
            response.set("x-accepted-github-permissions", accepted);
        }
        TokenKind::FineGrained | TokenKind::Installation => {}
    }
    if let (Some(expires_ms), None) = (token.expires_ms, &token.installation) {
        let moment = time::iso(expires_ms).replace('T', " ").replace('Z', " UTC");
        response.set("github-authentication-token-expiration", moment);
    }
    response
}

/// Gives a read its ETag, and turns it into a 304 when the client has it already.
///
/// The tag covers what was accepted, who asked and the body, as GitHub's does: another token never meets it. `tags`: how
/// often the tags of everything changed while the bodies stayed; the tag from before the last time is still known.
pub(crate) fn conditional(request: &Request, response: Response, tags: u64) -> Response {
    if response.status != 200 {
        return response;
    }
    let accept = request.get_header("accept").unwrap_or_default();
    let authorization = request.get_header("authorization").unwrap_or_default();
    let mut hash = Sha256::new();
    for part in [accept, ":", authorization, ":"] {
        hash.update(part.as_bytes());
    }
    hash.update(&response.body);
    let hash = hex::encode(hash.finalize());
    let tag_of = |tags: u64| match tags {
        0 => format!("W/\"{hash}\""),
        tags => format!("W/\"{hash}-{tags}\""),
    };
    let (tag, before) = (tag_of(tags), tag_of(tags.saturating_sub(1)));
    let response = response
        .with("etag", tag.as_str())
        .with("vary", "Accept, Authorization, Accept-Encoding")
        .with("cache-control", "private, max-age=60, s-maxage=60");
    let unchanged = match request.get_header("if-none-match") {
        Some(known) => known.split(',').map(str::trim).any(|known| {
            known == "*" || [&tag, &before].iter().any(|tag| weak(known) == weak(tag))
        }),
        None => not_modified_since(request, &response),
    };
    if unchanged {
        return Response {
            status: 304,
            body: Vec::new(),
            ..response
        };
    }
    response
}

/// The tag without the mark of a weak one: GitHub compares weakly.
fn weak(tag: &str) -> &str {
    tag.strip_prefix("W/").unwrap_or(tag)
}

fn not_modified_since(request: &Request, response: &Response) -> bool {
    let known = request
        .get_header("if-modified-since")
        .and_then(time::parse_http_date);
    let modified = response
        .header("last-modified")
        .and_then(time::parse_http_date);
    matches!((known, modified), (Some(known), Some(modified)) if modified <= known)
}
