//! The secondary limits, and whether clients keep to what they are told.

use crate::message::{Delivery, Response};
use crate::pot::MINUTE_MS;

/// The secondary limits (docs: *rate limits for the REST API*, *rate limits and query limits for the GraphQL API*). The
/// default is what GitHub publishes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecondaryLimits {
    /// Points of REST in any minute: a read is 1, a write 5. 900.
    pub rest_points_max: u64,
    /// Points of GraphQL in any minute: a query is 1. 2,000.
    pub graphql_points_max: u64,
    /// Writes over REST in any minute. 80.
    pub writes_per_minute_max: u64,
    /// Writes over REST in any hour. 500.
    pub writes_per_hour_max: u64,
    /// Requests of both kinds at the same time, of one token. 100.
    pub concurrent_max: u64,
    /// The refusal says in `retry-after` how long to wait.
    pub retry_after: bool,
    /// GraphQL refuses with HTTP 200 instead of 403.
    pub graphql_as_200: bool,
}

impl Default for SecondaryLimits {
    fn default() -> Self {
        SecondaryLimits {
            rest_points_max: 900,
            graphql_points_max: 2_000,
            writes_per_minute_max: 80,
            writes_per_hour_max: 500,
            concurrent_max: 100,
            retry_after: true,
            graphql_as_200: false,
        }
    }
}

/// How much of one GraphQL document is answered.
///
/// GitHub gives a query ten seconds and a budget of resources that it does not publish (docs: *rate limits and query
/// limits for the GraphQL API*; GitHub's changelog of 2025-09-01). What is known is what others met: a hundred light
/// look-ups in one document are answered, and clients with more of them, or eighty heavy ones, got partial data with
/// RESOURCE_LIMITS_EXCEEDED or a page of HTML after ten seconds. The numbers below are assumptions on the strict side of
/// that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DocumentLimits {
    /// Look-ups of single things and lists that are answered; the rest of the document is null, each with an error of
    /// type RESOURCE_LIMITS_EXCEEDED. 100.
    pub answered_max: usize,
    /// Look-ups of a document that is answered at all: a longer one takes too long, is a 502 of HTML, and costs more
    /// than its price. 250.
    pub lookups_max: usize,
}

impl Default for DocumentLimits {
    fn default() -> Self {
        DocumentLimits {
            answered_max: 100,
            lookups_max: 250,
        }
    }
}

/// How long requests may still arrive that were on their way when a refusal was told: a round trip and some.
const CROSSING_MS: u64 = 250;

/// REST requests that a well-behaved client has under way at once.
const REST_AT_ONCE: u32 = 4;

/// What a client was told about waiting.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    rest: Option<Telling>,
    graphql: Option<Telling>,
}

#[derive(Clone, Debug)]
struct Telling {
    at_ms: u64,
    until_ms: u64,
    /// Only a primary limit: asking for the limits is free of it.
    primary: bool,
    /// Requests that may have been under way when it was told.
    crossing_left: u32,
}

/// What a request is to what was told before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Obeys {
    /// Nothing was told, or it is over.
    Yes,
    /// It was under way when the limit was told, as far as can be known.
    Crossed,
    /// It was sent although its sender was told to wait.
    No,
}

impl Told {
    /// Judges a request that arrives now.
    pub(crate) fn judge(&mut self, is_graphql: bool, is_free: bool, now_ms: u64) -> Obeys {
        let telling = if is_graphql {
            &mut self.graphql
        } else {
            &mut self.rest
        };
        match telling {
            Some(telling) if now_ms < telling.until_ms && !(is_free && telling.primary) => {
                let just_told = now_ms.saturating_sub(telling.at_ms) <= CROSSING_MS;
                if just_told && telling.crossing_left > 0 {
                    telling.crossing_left -= 1;
                    return Obeys::Crossed;
                }
                Obeys::No
            }
            _ => Obeys::Yes,
        }
    }

    /// Notes what an answer tells its reader.
    pub(crate) fn note(&mut self, response: &Response, is_graphql: bool, now_ms: u64) {
        let Some(wait) = wait_in(response, is_graphql, now_ms) else {
            return;
        };
        for graphql in [false, true] {
            if wait.primary && graphql != is_graphql {
                continue;
            }
            // The request that was refused is one of those under way.
            let at_once = if graphql { 1 } else { REST_AT_ONCE };
            let telling = if graphql {
                &mut self.graphql
            } else {
                &mut self.rest
            };
            if telling.as_ref().is_some_and(|earlier| {
                earlier.until_ms >= wait.until_ms && now_ms < earlier.until_ms
            }) {
                continue;
            }
            *telling = Some(Telling {
                at_ms: now_ms,
                until_ms: wait.until_ms,
                primary: wait.primary,
                crossing_left: at_once - u32::from(graphql == is_graphql),
            });
        }
    }
}

struct Wait {
    until_ms: u64,
    primary: bool,
}

/// How long an answer tells its reader to wait, by GitHub's rules for clients: `retry-after` first, then the reset of a
/// primary limit that is used up, else a minute. A 401 says nothing, whatever its headers hold.
fn wait_in(response: &Response, is_graphql: bool, now_ms: u64) -> Option<Wait> {
    let arrives = matches!(response.delivery, Delivery::Whole | Delivery::After { .. });
    if !arrives || response.status == 401 {
        return None;
    }
    let number = |name: &str| response.header(name)?.parse::<u64>().ok();
    let secondary = |until_ms| {
        Some(Wait {
            until_ms,
            primary: false,
        })
    };
    if let Some(seconds) = number("retry-after") {
        return secondary(now_ms.saturating_add(seconds.saturating_mul(1000)));
    }
    let has_none_left = number("x-ratelimit-remaining") == Some(0);
    if let (true, Some(reset_s)) = (has_none_left, number("x-ratelimit-reset")) {
        return Some(Wait {
            until_ms: reset_s.saturating_mul(1000),
            primary: true,
        });
    }
    let a_minute_on = now_ms.saturating_add(MINUTE_MS);
    let says_secondary = || {
        let message = response.value()["message"].to_string();
        message.contains("secondary rate limit")
    };
    match response.status {
        429 => secondary(a_minute_on),
        403 if says_secondary() => secondary(a_minute_on),
        // Only a refusal begins like this: what is answered begins with its data.
        200 if is_graphql && !response.body.starts_with(b"{\"data\"") => {
            if says_secondary() {
                return secondary(a_minute_on);
            }
            is_used_up(response).then_some(Wait {
                until_ms: a_minute_on,
                primary: true,
            })
        }
        _ => None,
    }
}

/// Whether an answer is GraphQL's refusal by a primary limit, under either of its names.
pub(crate) fn is_used_up(response: &Response) -> bool {
    // Only a refusal begins like this, and most answers are long.
    response.status == 200
        && response.body.starts_with(b"{\"errors\"")
        && matches!(
            response.value()["errors"][0]["type"].as_str(),
            Some("RATE_LIMIT" | "RATE_LIMITED")
        )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: u64 = 1_795_154_400_000;

    fn waits(response: Response, is_graphql: bool) -> Option<(u64, bool)> {
        let wait = wait_in(&response, is_graphql, NOW)?;
        Some((wait.until_ms - NOW, wait.primary))
    }

    #[test]
    fn what_an_answer_tells_follows_githubs_rules_for_clients() {
        let secondary = || Response::refusal(403, "You have exceeded a secondary rate limit.");
        let reset = (NOW / 1000 + 90).to_string();
        let exhausted = |response: Response| {
            response
                .with("x-ratelimit-remaining", "0")
                .with("x-ratelimit-reset", reset.as_str())
        };
        let refused = |kind: &str| Response::json(200, &json!({ "errors": [{ "type": kind }] }));
        let cases = [
            (Response::json(200, &json!({ "data": {} })), None),
            (Response::refusal(403, "Resource not accessible"), None),
            (secondary(), Some((60_000, false))),
            (secondary().with("retry-after", "7"), Some((7_000, false))),
            (Response::refusal(429, "Slow down"), Some((60_000, false))),
            (exhausted(Response::refusal(403, "")), Some((90_000, true))),
            (
                exhausted(Response::json(200, &json!([]))),
                Some((90_000, true)),
            ),
            (exhausted(Response::refusal(401, "Bad credentials")), None),
            (refused("RATE_LIMITED"), Some((60_000, true))),
            (refused("NOT_FOUND"), None),
        ];
        for (response, expected) in cases {
            assert_eq!(waits(response.clone(), true), expected, "{response:?}");
        }
        assert_eq!(waits(refused("RATE_LIMIT"), false), None);
    }

    #[test]
    fn what_was_under_way_is_told_from_what_was_sent_in_spite() {
        let mut told = Told::default();
        assert_eq!(told.judge(false, false, NOW), Obeys::Yes);
        let refusal = Response::refusal(429, "").with("retry-after", "10");
        told.note(&refusal, false, NOW);
        let rest: Vec<Obeys> = (0..4).map(|_| told.judge(false, false, NOW + 1)).collect();
        let (crossed, no) = (Obeys::Crossed, Obeys::No);
        assert_eq!(rest, [crossed, crossed, crossed, no]);
        assert_eq!(told.judge(true, false, NOW + 1), crossed);
        assert_eq!(told.judge(true, false, NOW + 2), no);
        assert_eq!(told.judge(false, true, NOW + 9_999), no);
        assert_eq!(told.judge(false, false, NOW + 10_000), Obeys::Yes);

        let mut told = Told::default();
        told.note(&refusal, true, NOW);
        assert_eq!(told.judge(true, false, NOW), no, "queries come one by one");
        assert_eq!(
            told.judge(false, false, NOW + 251),
            no,
            "too late to have crossed"
        );
    }
}
