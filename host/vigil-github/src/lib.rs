//! What GitHub says about issues and pull requests: plan, ask, learn.
//!
//! [`Memory`](memory::Memory) keeps what is known, and works out from it what has to be asked so that a set of sessions
//! can be answered. A [`Round`](round::Round) says what that costs, and hands out the requests that may be sent now;
//! [`learn`](mod@learn) reads what comes back, and the memory takes it in. All of this is pure, with the time as an
//! argument; only [`GitHub::work`], which drives a round over HTTP, knows tokens and sockets. This is the only crate
//! that knows octocrab.
//!
//! Nothing here fails: what could not be learned is a gap that says why, and nothing becomes absent unless the
//! repository itself answered.

pub mod adapt;
pub mod app;
pub mod ask;
pub mod budget;
pub mod check;
pub mod choose;
pub mod compare;
pub mod convert;
pub mod github;
pub mod heads;
pub mod learn;
pub mod limits;
pub mod memory;
pub mod moved;
pub mod place;
pub mod probe;
pub mod query;
pub mod question;
pub mod reply;
pub mod round;
pub mod secret_file;
pub mod settings;
pub mod tokens;
pub mod transport;

mod envelope;
mod errors;
mod fragments;
mod line;
mod turn;
mod words;

pub use app::{App, AppKey, AppSettings, KeyError};
pub use ask::{Answer, Ask, Parts, Wants};
pub use check::{Access, Check, Sample};
pub use github::GitHub;
pub use heads::{Head, Heads, HeadsAnswered, RepoHeads, learn_heads};
pub use limits::{LimitScope, Meter};
pub use moved::Called;
pub use probe::{Changed, Probe, Probed, learn_probe};
pub use query::{Query, points, points_of};
pub use question::{ChecksSoFar, Question, Repo, Target};
pub use reply::{Trouble, Usage};
pub use secret_file::{SecretFileError, Stamp};
pub use settings::{REQUEST_TIMEOUT, Settings, SettingsError, graphql_url};
pub use tokens::{
    Account, Accounts, Fingerprint, Lease, NoToken, Token, TokenChain, TokenKind, TokenOrigin,
    Tokens,
};
pub use transport::{Network, NetworkError, Proxies, ProxyVariable, Roots, is_this_machine};
pub use words::{misleads, without_misleading};
