//! Requests that are under way at the same time.

use std::collections::HashMap;

use crate::message::Request;

/// How many requests of each credential are under way, by kind.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flights {
    by_credential: HashMap<String, UnderWay>,
}

/// How many requests of one credential are under way.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct UnderWay {
    pub(crate) rest: u64,
    pub(crate) graphql: u64,
}

/// A request that is under way, from [`Model::begin`](crate::Model::begin) to [`Model::end`](crate::Model::end).
#[derive(Clone)]
#[must_use = "a request that does not end is under way for ever"]
pub struct Flight {
    credential: String,
    is_graphql: bool,
}

impl std::fmt::Debug for Flight {
    /// Without the credential.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Flight")
            .field("is_graphql", &self.is_graphql)
            .finish_non_exhaustive()
    }
}

impl Flights {
    /// One more is under way; second: how many there are now of this credential.
    pub(crate) fn begin(&mut self, request: &Request, is_graphql: bool) -> (Flight, UnderWay) {
        let credential = credential(request);
        let under_way = self.by_credential.entry(credential.clone()).or_default();
        if is_graphql {
            under_way.graphql += 1;
        } else {
            under_way.rest += 1;
        }
        let flight = Flight {
            credential,
            is_graphql,
        };
        (flight, *under_way)
    }

    pub(crate) fn end(&mut self, flight: &Flight) {
        if let Some(under_way) = self.by_credential.get_mut(&flight.credential) {
            let count = if flight.is_graphql {
                &mut under_way.graphql
            } else {
                &mut under_way.rest
            };
            *count = count.saturating_sub(1);
            if under_way.rest + under_way.graphql == 0 {
                self.by_credential.remove(&flight.credential);
            }
        }
    }

    /// All requests of the request's credential that are under way, itself among them where it was begun.
    pub(crate) fn count(&self, request: &Request) -> u64 {
        self.by_credential
            .get(&credential(request))
            .map_or(0, |under_way| under_way.rest + under_way.graphql)
    }
}

/// Requests without a credential share an empty one.
fn credential(request: &Request) -> String {
    request
        .get_header("authorization")
        .unwrap_or_default()
        .to_owned()
}
