//! What goes wrong, on demand.

/// Something that goes wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The request is accepted and never answered.
    Hang,
    /// The right answer comes after so many milliseconds.
    Delay(u64),
    /// The connection is reset before a byte of the answer.
    Reset,
    /// The head promises the whole body and the connection ends half-way through it.
    CutBody,
    /// Half of the body, under a head that says that it is all: only reading it as JSON shows that something is missing.
    CutJson,
    /// A page of HTML with this status, as from a load balancer: 429, 500, 502, 503, 504.
    Html(u16),
    /// 401 as for a token that was revoked.
    BadCredentials,
    /// 401 whose rate-limit headers say that nothing is left for an hour. Who reads them first waits for nothing.
    BadCredentialsExhausted,
    /// A 403.
    Forbidden(Forbidden),
    /// The repository of that name is not to be found, as after a loss of access: 404, or NOT_FOUND in GraphQL.
    RepoHidden(String),
    /// 429, with `retry-after` where a number of seconds is given.
    TooManyRequests(Option<u64>),
    /// 429 over the primary limit, the other status that GitHub gives to it, with nothing left in the headers.
    UsedUp,
    /// GraphQL's refusal over the primary limit as HTTP 200; REST answers its 403.
    RateLimited {
        /// The rate-limit headers say that nothing is left. Without them only the error's type tells.
        headers: bool,
        /// Spelled `RATE_LIMITED`, as it used to be.
        older_name: bool,
    },
    /// Single GraphQL fields are null with an error of their own.
    Field(FieldFault),
    /// Every so many look-ups of one GraphQL document one is null with an error of that type: the third, the sixth, ...
    EveryNth {
        /// From 1, which is all of them.
        nth: usize,
        /// The error's type.
        error: ErrorType,
    },
    /// A GraphQL document with more look-ups than this takes too long: a page of HTML in place of the answer, whose
    /// price is taken all the same and more with it. Smaller ones are answered.
    TimesOut {
        /// Look-ups that are still answered in time.
        lookups_max: usize,
        /// 502 or 504.
        status: u16,
    },
    /// GraphQL's refusal over a secondary limit as HTTP 200 with a message alone, with `retry-after` in seconds where
    /// given. REST is not met by it.
    SecondaryAs200(Option<u64>),
    /// GraphQL answers so many look-ups of one document, and gives up on the rest.
    ResourceLimits {
        /// Look-ups that are still answered.
        answered: usize,
    },
}

/// The 403s that mean different things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forbidden {
    /// The token lacks a permission: no point in waiting.
    Permission,
    /// The organization wants single sign-on first.
    Saml,
    /// A secondary limit, with `retry-after` in seconds where given.
    Secondary(Option<u64>),
    /// The primary limit, with nothing left in the headers.
    Exhausted,
    /// The caller's address is not on the organization's list.
    IpAllowList,
}

/// Which fields fail, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldFault {
    /// The field's name, not its alias: `repository`, `issue`, `pullRequests`, `statusCheckRollup`, ...
    pub field: String,
    /// Only in this repository, or only `repository` fields of this name.
    pub repo: Option<String>,
    /// Only where the argument `number` is this.
    pub number: Option<u64>,
    /// The error's type.
    pub error: ErrorType,
}

/// Types of GitHub's GraphQL errors on single fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorType {
    /// Not there, or no access.
    NotFound,
    /// No permission.
    Forbidden,
    /// Too much for one document.
    ResourceLimitsExceeded,
    /// Some part of GitHub is down.
    ServiceUnavailable,
    /// Something broke; such errors carry no type.
    Internal,
    /// Another type, as it stands in the answer: `ARGUMENT_LIMIT`, `MAX_NODE_LIMIT_EXCEEDED`, one that nobody knows.
    Other(&'static str),
}

impl ErrorType {
    /// As it stands in `errors[].type`; `None`: the error has no type.
    pub fn as_str(self) -> Option<&'static str> {
        match self {
            ErrorType::NotFound => Some("NOT_FOUND"),
            ErrorType::Forbidden => Some("FORBIDDEN"),
            ErrorType::ResourceLimitsExceeded => Some("RESOURCE_LIMITS_EXCEEDED"),
            ErrorType::ServiceUnavailable => Some("SERVICE_UNAVAILABLE"),
            ErrorType::Internal => None,
            ErrorType::Other(kind) => Some(kind),
        }
    }
}

/// Which requests a fault meets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// All of them.
    #[default]
    Any,
    /// REST alone.
    Rest,
    /// GraphQL alone.
    GraphQl,
}

/// The faults that are switched on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults {
    planned: Vec<Planned>,
}

#[derive(Clone, Debug)]
struct Planned {
    fault: Fault,
    scope: Scope,
    /// Requests that it still meets; `None`: until it is switched off.
    left: Option<u32>,
}

impl Faults {
    pub(crate) fn plan(&mut self, fault: Fault, scope: Scope, left: Option<u32>) {
        self.planned.push(Planned { fault, scope, left });
    }

    pub(crate) fn clear(&mut self) {
        self.planned.clear();
    }

    /// The faults that meet this request, in the order in which they were planned. Counts them down.
    pub(crate) fn strike(&mut self, graphql: bool) -> Vec<Fault> {
        let mut struck = Vec::new();
        for planned in &mut self.planned {
            let meets = match planned.scope {
                Scope::Any => true,
                Scope::Rest => !graphql,
                Scope::GraphQl => graphql,
            };
            // A fault of documents or single fields says nothing about REST and is not used up by it.
            let meets = meets
                && (graphql
                    || !matches!(
                        planned.fault,
                        Fault::Field(_)
                            | Fault::EveryNth { .. }
                            | Fault::TimesOut { .. }
                            | Fault::SecondaryAs200(_)
                            | Fault::ResourceLimits { .. }
                    ));
            if meets && planned.left != Some(0) {
                planned.left = planned.left.map(|left| left - 1);
                struck.push(planned.fault.clone());
            }
        }
        self.planned.retain(|planned| planned.left != Some(0));
        struck
    }
}
