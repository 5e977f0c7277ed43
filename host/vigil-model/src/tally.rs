//! What was asked, for tests and benches. Holds no token.

use std::collections::VecDeque;

/// Requests that the log keeps; older ones go.
pub const LOG_ENTRIES_MAX: usize = 10_000;

/// Counts since the model was made or they were reset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// All requests, whatever became of them.
    pub requests: u64,
    /// REST requests among them.
    pub rest: u64,
    /// GraphQL requests among them.
    pub graphql: u64,
    /// GraphQL points that were taken from the primary limit.
    pub points: u64,
    /// REST requests that were taken from the primary limit.
    pub rest_charged: u64,
    /// Points that count towards the secondary limits: a read or query 1, a write over REST 5.
    pub secondary_points: u64,
    /// REST reads that said what their sender knows already, by `if-none-match` or `if-modified-since`.
    pub conditional: u64,
    /// Answers with 304.
    pub not_modified: u64,
    /// REST requests that were no reads.
    pub writes: u64,
    /// Answers that refused: a status of 401, 403 or 429, or RATE_LIMIT in GraphQL.
    pub refused: u64,
    /// Refusals by a secondary limit among them, be it the rule or a fault.
    pub refused_secondary: u64,
    /// GraphQL documents with more look-ups than [`DocumentLimits`](crate::DocumentLimits) answers: of a client that
    /// knows its measure there is none.
    pub over_long: u64,
    /// Requests that a fault met.
    pub faulted: u64,
    /// Requests that were sent although their sender had been told to wait: of a good client there is none.
    pub while_limited: u64,
    /// Requests that arrived within a quarter of a second after a limit was told and may have been under way then: at
    /// most three more over REST and, where REST was refused, one over GraphQL. They are not in `while_limited`.
    pub crossed: u64,
    /// The most GraphQL requests of one token that were under way at once. Counted by [`Server`](crate::Server) and by
    /// [`Model::begin`](crate::Model::begin).
    pub graphql_at_once_max: u64,
    /// The same for REST.
    pub rest_at_once_max: u64,
    /// The latest requests, oldest first, at most [`LOG_ENTRIES_MAX`].
    pub log: VecDeque<Asked>,
}

/// One request as the log keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Milliseconds since the epoch, by the model's clock.
    pub at_ms: u64,
    /// `GET`, `POST`, ...
    pub method: String,
    /// With the query.
    pub target: String,
    /// Look-ups of single things or lists in a GraphQL document; 0 for REST.
    pub lookups: usize,
    /// GraphQL points, taken or refused; 0 for REST.
    pub points: u64,
    /// Status of the answer.
    pub status: u16,
}

impl Tally {
    pub(crate) fn note(&mut self, asked: Asked) {
        if self.log.len() == LOG_ENTRIES_MAX {
            self.log.pop_front();
        }
        self.log.push_back(asked);
    }
}
