//! Who asks: tokens, what they may see and do, and how much is left to them.

use std::collections::{BTreeMap, BTreeSet};

/// What a token may do, over all repositories that it sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Permission {
    /// Read issues.
    IssuesRead,
    /// Label and comment.
    IssuesWrite,
    /// Read pull requests.
    PullsRead,
    /// Read check runs and check suites.
    ChecksRead,
    /// Read commit statuses.
    StatusesRead,
    /// Read workflow runs.
    ActionsRead,
    /// Read merge queues.
    MergeQueuesRead,
}

/// The kinds of token that behave differently.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TokenKind {
    /// A classic personal access token.
    #[default]
    Classic,
    /// A fine-grained one. Without checks it reads the rollup's state but none of the runs behind it.
    FineGrained,
    /// An app's installation. Without checks it reads no rollup at all.
    Installation,
}

/// A token.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) login: String,
    pub(crate) kind: TokenKind,
    pub(crate) revoked: bool,
    pub(crate) lacks: BTreeSet<Permission>,
    /// Names of private repositories, lower case.
    pub(crate) sees: BTreeSet<String>,
    pub(crate) sees_all: bool,
}

impl Token {
    pub(crate) fn new() -> Self {
        Token {
            login: "octocat".to_owned(),
            kind: TokenKind::default(),
            revoked: false,
            lacks: BTreeSet::new(),
            sees: BTreeSet::new(),
            sees_all: false,
        }
    }

    pub(crate) fn may(&self, permission: Permission) -> bool {
        !self.lacks.contains(&permission)
    }

    pub(crate) fn may_see(&self, repo: &crate::world::Repo) -> bool {
        !repo.private || self.sees_all || self.sees.contains(&repo.name_with_owner().to_lowercase())
    }

    /// GitHub's sentence for a missing permission.
    pub(crate) fn refusal(&self) -> &'static str {
        match self.kind {
            TokenKind::Installation => "Resource not accessible by integration",
            TokenKind::Classic | TokenKind::FineGrained => {
                "Resource not accessible by personal access token"
            }
        }
    }
}

/// A token under the pen.
pub struct TokenEdit<'m> {
    pub(crate) token: &'m mut Token,
    pub(crate) pots: &'m mut BTreeMap<String, Pots>,
}

impl TokenEdit<'_> {
    /// Whose it is; `octocat` unless said. All tokens of one login share their limits.
    pub fn login(self, login: &str) -> Self {
        self.token.login = login.to_owned();
        self
    }

    /// Its kind; classic unless said.
    pub fn kind(self, kind: TokenKind) -> Self {
        self.token.kind = kind;
        self
    }

    /// It sees this private repository.
    pub fn sees(self, name_with_owner: &str) -> Self {
        self.token.sees.insert(name_with_owner.to_lowercase());
        self
    }

    /// It sees every private repository.
    pub fn sees_all(self) -> Self {
        self.token.sees_all = true;
        self
    }

    /// It lacks a permission; it has all unless said.
    pub fn without(self, permission: Permission) -> Self {
        self.token.lacks.insert(permission);
        self
    }

    /// It gets a permission back.
    pub fn with(self, permission: Permission) -> Self {
        self.token.lacks.remove(&permission);
        self
    }

    /// It is refused from now on.
    pub fn revoked(self) -> Self {
        self.token.revoked = true;
        self
    }

    /// It is good again.
    pub fn restored(self) -> Self {
        self.token.revoked = false;
        self
    }

    /// REST requests and GraphQL points in an hour for its login; 5,000 each unless said. Say the login first.
    pub fn limits(self, rest: u64, graphql: u64) -> Self {
        let pots = self.pots.entry(self.token.login.clone()).or_default();
        pots.rest.limit = rest;
        pots.graphql.limit = graphql;
        self
    }

    /// What is used up of both limits in the hour that the next request begins or is in. Say the login first.
    pub fn used(self, rest: u64, graphql: u64) -> Self {
        let pots = self.pots.entry(self.token.login.clone()).or_default();
        pots.rest.used = rest;
        pots.graphql.used = graphql;
        self
    }
}

/// The primary limits of one login.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pots {
    pub(crate) rest: Pot,
    pub(crate) graphql: Pot,
}

/// One primary limit: so much in an hour that begins with the first request.
#[derive(Clone, Debug)]
pub(crate) struct Pot {
    pub(crate) limit: u64,
    pub(crate) used: u64,
    /// Milliseconds since the epoch; `None` before the first request.
    pub(crate) resets_ms: Option<u64>,
}

/// The window of the primary limits.
const WINDOW_MS: u64 = 3_600_000;

impl Default for Pot {
    fn default() -> Self {
        Pot {
            limit: 5_000,
            used: 0,
            resets_ms: None,
        }
    }
}

impl Pot {
    /// Begins a new hour when the old one is over.
    pub(crate) fn turn(&mut self, now_ms: u64) {
        match self.resets_ms {
            Some(resets_ms) if now_ms < resets_ms => {}
            Some(_) => {
                self.used = 0;
                self.resets_ms = Some(now_ms.saturating_add(WINDOW_MS));
            }
            None => self.resets_ms = Some(now_ms.saturating_add(WINDOW_MS)),
        }
    }

    pub(crate) fn remaining(&self) -> u64 {
        self.limit.saturating_sub(self.used)
    }

    /// Takes `points`, or nothing and `false` where they are not there.
    pub(crate) fn take(&mut self, points: u64) -> bool {
        if points > self.remaining() {
            return false;
        }
        self.used += points;
        true
    }

    /// Whole seconds since the epoch, rounded up: a client that waits until then is not early.
    pub(crate) fn resets_s(&self) -> u64 {
        self.resets_ms.unwrap_or(0).div_ceil(1000)
    }
}
