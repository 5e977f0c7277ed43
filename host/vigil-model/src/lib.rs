//! A strict, mutable model of GitHub on loopback, for the demo, the tests and the simulation.
//!
//! [`Model`] is the pure part: a world that is built and changed by [`Model::repo`], and [`Model::respond`], which
//! answers one request at a given moment. It has no sockets and no clock, so that a simulation calls it in process.
//! [`Server`] puts it behind a socket, faults included.
//!
//! ```
//! use vigil_model::{Model, Request};
//!
//! let now_ms = 1_795_154_400_000;
//! let mut model = Model::new(now_ms);
//! model.token("secret");
//! model
//!     .repo("owner/repo")
//!     .issue(299)
//!     .closed("completed")
//!     .label("vigilante:done")
//!     .pull(319)
//!     .head("vigilante/issue-299")
//!     .merged_at(now_ms);
//! let answer = model.respond(Request::get("/repos/owner/repo/issues/299", "secret"), now_ms);
//! assert_eq!(answer.value()["state_reason"], "completed");
//! ```
//!
//! # What is modelled
//!
//! The rules are those of GitHub's documentation and, where it is silent, of what others saw on the live service; none
//! was tried on github.com from here. Where GitHub is not known to be lenient, the model refuses.
//!
//! - **Who asks** (docs: *getting started with the REST API*, *troubleshooting the REST API*): a request without a
//!   user agent is a 403, without a token or with a bad one a 401. A private repository without access looks like a
//!   missing one. A token can lack permissions: REST says 403, GraphQL FORBIDDEN on the field; checks behave as they
//!   do for fine-grained tokens and for installations. Tokens are told their scopes, what would have been accepted,
//!   and when they end; they are revoked, replaced, or run out.
//! - **Apps** (docs: *authenticating with a GitHub App*): [`Model::app`] verifies assertions with a public key; their
//!   installations make tokens that last an hour and see and may what the installation does.
//! - **GraphQL** (docs: *forming calls with GraphQL*, the public schema): a part of the schema, compared with the
//!   published one by a test. Documents are checked as graphql-ruby does it, the server that GitHub runs: an unknown
//!   field, argument, type, variable or fragment, an unused one, a conflict of types or fields is HTTP 200 with
//!   `errors` and no data. A body that is no JSON request is a 400. Errors of single fields are null with type, path
//!   and location, and climb to the nearest place that may be null.
//! - **Price** (docs: *rate limits and query limits for the GraphQL API*): `first` or `last` wherever nodes or edges
//!   are selected, at most 100, at most 500,000 nodes, points by the published formula. Over-long documents are answered
//!   in part or not at all ([`DocumentLimits`], whose numbers are assumed).
//! - **Limits** (docs: *rate limits for the REST API*): 5,000 requests and 5,000 points an hour for all tokens of one
//!   login, apart, told by `x-ratelimit-*` on every answer; an installation has its own, by its size. Over the limit
//!   REST is a 403 and GraphQL a 200 with RATE_LIMIT. A 304 and `/rate_limit` are free. [`SecondaryLimits`] bind by
//!   the minute. [`Tally`] counts what is sent in spite of either, and how much is under way at once.
//! - **REST** (docs: *issues*, *pulls*, *workflow runs*, *best practices for using the REST API*, *using pagination*):
//!   `/user`, `/rate_limit`, `/repos/{o}/{n}` and `/repositories/{id}` with `/issues`, `/issues/{k}`, its `/labels`
//!   and `/comments`, `/pulls`, `/pulls/{k}`, `/actions/runs`; adding and taking away labels, posting comments. Pages
//!   of 30 to 100 with `link`, cursors beyond 10,000 records, ETags that belong to one token, 304, 301 to a renamed
//!   repository or a transferred issue (307 for a write), 410 for deleted issues and for switched-off ones, 422 for
//!   values that are not known.
//! - **Enterprise Server** ([`Model::enterprise`]): `/api/v3` and `/api/graphql`, and no limits unless switched on.
//! - **Time**: `updated_at` moves with state, labels, assignees, comments, reviews and pushes, and not with checks,
//!   mergeability, the merge queue, auto-merge or a moved base. Mergeability is worked out when it is asked for
//!   ([`PullEdit::mergeability_pending`]).
//! - **Checks** belong to a commit: a push leaves them behind. Runs that are held for approval show in suites and in
//!   Actions, and not in what the checks add up to.
//! - **Identity**: node ids and database ids stay with the thing; [`Model::new_repo`] and a deletion put another one
//!   under the same name.
//! - **Webhooks** ([`Model::hook`]): the delivery of an event, signed. Nothing is sent by itself.
//! - **Trouble**: each [`Fault`] for the next requests or until it is switched off; replicas that lag, of everything or
//!   of one repository, for good or in turns; [`Model::latency`]. Unreachable is [`Handle::shutdown`].
//!
//! # What is not
//!
//! - Anonymous REST (a 401 here), API versions, compression, HTTP/2.
//! - Mutations, introspection, search, `filterBy`, other entries of timelines than closing and reopening, review
//!   threads, rules of branches: what reviews are decided to amount to is said by the test.
//! - The price in processor time, which binds before points do: it is the number of look-ups here, whatever each of them
//!   takes, and comes besides as [`Fault::ResourceLimits`] and [`Fault::TimesOut`].
//! - Mergeability is known of a new pull request, and stays known until something moves; GitHub begins to work it out
//!   at the first look, and forgets it after a while that nobody names ([`PullEdit::mergeability_pending`]).
//! - The processor time of all queries of a minute, which is limited as well.
//! - `since` is taken as inclusive, and the times that REST and GraphQL tell of one thing agree.
//! - Forks are owners of heads, not repositories; a pull request has its newest commit alone; a login is a user's, or a
//!   bot's where it ends in `[bot]`.
//! - What GraphQL says of a transferred issue is assumed (not found), as is what the queue does to `updated_at`
//!   (nothing). Blocked repositories.

mod answer;
mod app;
mod commit;
mod edit;
mod fault;
mod flight;
mod graphql;
mod history;
mod hook;
mod item;
mod jwt;
mod limits;
mod message;
mod model;
mod pot;
mod respond;
mod rest;
mod server;
mod tally;
mod time;
mod token;
mod trouble;
mod world;

#[cfg(test)]
mod tests;

pub use app::{AppEdit, InstallationEdit};
pub use commit::{Check, Commit, Suite, Workflow};
pub use edit::{IssueEdit, PullEdit, RepoEdit};
pub use fault::{ErrorType, Fault, FieldFault, Forbidden, Scope};
pub use flight::Flight;
pub use hook::{Hook, HookEvent};
pub use item::{AutoMerge, Closer, Comment, Issue, Item, Kind, Pull, Queued, Review, Turn};
pub use limits::{DocumentLimits, SecondaryLimits};
pub use message::{Delivery, Request, Response};
pub use model::Model;
pub use server::{Clock, Handle, Server};
pub use tally::{Asked, LOG_ENTRIES_MAX, Tally};
pub use token::{Permission, TokenEdit, TokenKind};
pub use world::Repo;
