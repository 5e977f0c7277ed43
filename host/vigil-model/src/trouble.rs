//! What faults do to an answer.

use serde_json::json;

use crate::answer;
use crate::fault::{ErrorType, Fault, FieldFault, Forbidden};
use crate::message::{Delivery, Response};

/// The answer that a fault puts in place of the right one. The first such fault wins.
pub(crate) fn instead(faults: &[Fault], is_graphql: bool, now_ms: u64) -> Option<Response> {
    faults
        .iter()
        .find_map(|fault| one_instead(fault, is_graphql, now_ms))
}

fn one_instead(fault: &Fault, is_graphql: bool, now_ms: u64) -> Option<Response> {
    let in_an_hour = (now_ms / 1000 + 3600).to_string();
    let exhausted = |response: Response| {
        let resource = if is_graphql { "graphql" } else { "core" };
        response
            .with("x-ratelimit-limit", "5000")
            .with("x-ratelimit-remaining", "0")
            .with("x-ratelimit-used", "5000")
            .with("x-ratelimit-reset", in_an_hour.as_str())
            .with("x-ratelimit-resource", resource)
    };
    Some(match fault {
        Fault::Hang => undelivered(Delivery::Never),
        Fault::Reset => undelivered(Delivery::Reset),
        Fault::Html(status) => html(*status),
        Fault::BadCredentials => answer::unauthenticated("Bad credentials"),
        Fault::BadCredentialsExhausted => exhausted(answer::unauthenticated("Bad credentials")),
        Fault::Forbidden(kind) => match kind {
            Forbidden::Permission => {
                Response::refusal(403, "Resource not accessible by personal access token")
                    .with("x-accepted-github-permissions", "issues=read")
            }
            Forbidden::Saml => Response::refusal(
                403,
                "Resource protected by organization SAML enforcement. You must grant your Personal Access token \
                 access to this organization.",
            )
            .with("x-github-sso", "required; url=https://github.com/orgs/example/sso"),
            Forbidden::Secondary(retry_after_s) => secondary(403, *retry_after_s),
            Forbidden::Exhausted => exhausted(answer::rest_rate_limited(403, "octocat")),
            Forbidden::IpAllowList => Response::refusal(
                403,
                "The organization has an IP allow list enabled, and your IP address is not permitted to access this \
                 resource.",
            ),
        },
        Fault::TooManyRequests(retry_after_s) => secondary(429, *retry_after_s),
        Fault::UsedUp => exhausted(answer::rest_rate_limited(429, "octocat")),
        Fault::SecondaryAs200(retry_after_s) if is_graphql => secondary_as_200(*retry_after_s),
        Fault::RateLimited {
            headers,
            older_name,
        } => {
            let kind = if *older_name {
                "RATE_LIMITED"
            } else {
                "RATE_LIMIT"
            };
            let refused = if is_graphql {
                answer::graphql_rate_limited("octocat", kind)
            } else {
                answer::rest_rate_limited(403, "octocat")
            };
            if *headers { exhausted(refused) } else { refused }
        }
        Fault::Delay(_)
        | Fault::CutBody
        | Fault::CutJson
        | Fault::RepoHidden(_)
        | Fault::Field(_)
        | Fault::EveryNth { .. }
        | Fault::TimesOut { .. }
        | Fault::SecondaryAs200(_)
        | Fault::ResourceLimits { .. } => return None,
    })
}

/// What faults do to the right answer on its way.
pub(crate) fn on_the_way(faults: &[Fault], mut response: Response) -> Response {
    for fault in faults {
        if response.delivery != Delivery::Whole {
            break;
        }
        let half = response.body.len() / 2;
        match fault {
            Fault::Delay(delay_ms) => {
                response.delivery = Delivery::After {
                    delay_ms: *delay_ms,
                };
            }
            Fault::CutBody => response.delivery = Delivery::Cut { bytes: half },
            Fault::CutJson => response.body.truncate(half),
            _ => {}
        }
    }
    response
}

/// Repositories that a fault hides, lower case.
pub(crate) fn hidden(faults: &[Fault]) -> Vec<String> {
    faults
        .iter()
        .filter_map(|fault| match fault {
            Fault::RepoHidden(name) => Some(name.to_lowercase()),
            _ => None,
        })
        .collect()
}

/// Fields that faults spoil.
pub(crate) fn failing(faults: &[Fault]) -> Vec<FieldFault> {
    let field = |fault: &Fault| match fault {
        Fault::Field(fault) => Some(fault.clone()),
        _ => None,
    };
    faults.iter().filter_map(field).collect()
}

/// Every how many look-ups one fails, and how.
pub(crate) fn nth(faults: &[Fault]) -> Option<(usize, ErrorType)> {
    faults.iter().find_map(|fault| match fault {
        Fault::EveryNth { nth, error } => Some(((*nth).max(1), *error)),
        _ => None,
    })
}

/// Look-ups that are answered before resources run out; `None`: all.
pub(crate) fn answered_max(faults: &[Fault]) -> Option<usize> {
    faults.iter().find_map(|fault| match fault {
        Fault::ResourceLimits { answered } => Some(*answered),
        _ => None,
    })
}

/// The status of the page that takes the place of an answer to so many look-ups.
pub(crate) fn times_out(faults: &[Fault], lookups: usize) -> Option<u16> {
    faults.iter().find_map(|fault| match fault {
        Fault::TimesOut {
            lookups_max,
            status,
        } => (lookups > *lookups_max).then_some(*status),
        _ => None,
    })
}

fn undelivered(delivery: Delivery) -> Response {
    Response {
        status: 0,
        headers: Vec::new(),
        body: Vec::new(),
        delivery,
    }
}

/// What GitHub says to somebody who asks too fast.
const TOO_FAST: &str =
    "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.";

/// Whether an answer refuses by a secondary limit.
pub(crate) fn is_secondary(response: &Response) -> bool {
    let refuses = matches!(response.status, 403 | 429)
        || (response.status == 200 && response.body.starts_with(b"{\"documentation_url\""));
    refuses && response.value()["message"] == TOO_FAST
}

/// Over a secondary limit of GraphQL as HTTP 200: a message, and neither data nor errors.
pub(crate) fn secondary_as_200(retry_after_s: Option<u64>) -> Response {
    let mut refused = secondary(403, retry_after_s);
    refused.status = 200;
    refused
}

/// Over a secondary limit.
pub(crate) fn secondary(status: u16, retry_after_s: Option<u64>) -> Response {
    let refused = Response::json(
        status,
        &json!({
            "message": TOO_FAST,
            "documentation_url": "https://docs.github.com/rest/overview/rate-limits-for-the-rest-api#about-secondary-rate-limits",
            "status": status.to_string(),
        }),
    );
    match retry_after_s {
        Some(seconds) => refused.with("retry-after", seconds.to_string()),
        None => refused,
    }
}

/// A page as from a load balancer.
pub(crate) fn html(status: u16) -> Response {
    Response {
        status,
        headers: vec![("content-type", "text/html; charset=utf-8".to_owned())],
        body: format!(
            "<!DOCTYPE html>\n<html><head><title>{status}</title></head><body><h1>Whoa there!</h1>\
             <p>This page is taking too long to load.</p></body></html>\n"
        )
        .into_bytes(),
        delivery: Delivery::Whole,
    }
}
