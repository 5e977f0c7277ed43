//! Who asks: tokens, what they may see and do, and until when.

use std::collections::{BTreeMap, BTreeSet};

use crate::pot::Pots;
use crate::world::Repo;

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
    /// Read commits and branches.
    ContentsRead,
}

impl Permission {
    /// All of them; of one name reading comes first.
    pub(crate) const ALL: [Permission; 8] = [
        Permission::IssuesRead,
        Permission::IssuesWrite,
        Permission::PullsRead,
        Permission::ChecksRead,
        Permission::StatusesRead,
        Permission::ActionsRead,
        Permission::MergeQueuesRead,
        Permission::ContentsRead,
    ];

    /// GitHub's name for it, and the level.
    pub(crate) fn name(self) -> (&'static str, &'static str) {
        match self {
            Permission::IssuesRead => ("issues", "read"),
            Permission::IssuesWrite => ("issues", "write"),
            Permission::PullsRead => ("pull_requests", "read"),
            Permission::ChecksRead => ("checks", "read"),
            Permission::StatusesRead => ("statuses", "read"),
            Permission::ActionsRead => ("actions", "read"),
            Permission::MergeQueuesRead => ("merge_queues", "read"),
            Permission::ContentsRead => ("contents", "read"),
        }
    }
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

/// The repositories of an installation.
#[derive(Clone, Debug)]
pub(crate) enum Reach {
    /// All of that login.
    Account(String),
    /// These, each `owner/name` in lower case.
    Repos(BTreeSet<String>),
}

impl Reach {
    pub(crate) fn covers(&self, repo: &Repo) -> bool {
        match self {
            Reach::Account(login) => repo.owner.eq_ignore_ascii_case(login),
            Reach::Repos(names) => is_named(names, repo),
        }
    }
}

/// A repository stays granted when it gets another name.
fn is_named(names: &BTreeSet<String>, repo: &Repo) -> bool {
    names.contains(&repo.name_with_owner().to_lowercase())
        || repo
            .former_names
            .iter()
            .any(|name| names.contains(&name.to_lowercase()))
}

/// A token.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) login: String,
    pub(crate) kind: TokenKind,
    pub(crate) revoked: bool,
    /// Milliseconds since the epoch.
    pub(crate) revoked_at_ms: Option<u64>,
    /// Milliseconds since the epoch; `None`: never.
    pub(crate) expires_ms: Option<u64>,
    pub(crate) scopes: Vec<String>,
    pub(crate) lacks: BTreeSet<Permission>,
    /// Names of private repositories, lower case.
    pub(crate) sees: BTreeSet<String>,
    pub(crate) sees_all: bool,
    /// The installation that it was made for, and what that reaches.
    pub(crate) installation: Option<(u64, Reach)>,
}

impl Token {
    pub(crate) fn new() -> Self {
        Token {
            login: "octocat".to_owned(),
            kind: TokenKind::default(),
            revoked: false,
            revoked_at_ms: None,
            expires_ms: None,
            scopes: vec!["repo".to_owned()],
            lacks: BTreeSet::new(),
            sees: BTreeSet::new(),
            sees_all: false,
            installation: None,
        }
    }

    pub(crate) fn of_installation(
        id: u64,
        slug: &str,
        reach: Reach,
        lacks: BTreeSet<Permission>,
        expires_ms: u64,
    ) -> Self {
        Token {
            login: format!("{slug}[bot]"),
            kind: TokenKind::Installation,
            expires_ms: Some(expires_ms),
            lacks,
            installation: Some((id, reach)),
            ..Token::new()
        }
    }

    /// Whether GitHub takes it at that moment.
    pub(crate) fn is_good(&self, now_ms: u64) -> bool {
        !self.revoked
            && self.revoked_at_ms.is_none_or(|at_ms| now_ms < at_ms)
            && self.expires_ms.is_none_or(|at_ms| now_ms < at_ms)
    }

    /// Whose limits it uses up: its login's, or its installation's own.
    pub(crate) fn pot_key(&self) -> String {
        match &self.installation {
            Some((id, _)) => format!("installation ID {id}"),
            None => self.login.clone(),
        }
    }

    pub(crate) fn may(&self, permission: Permission) -> bool {
        !self.lacks.contains(&permission)
    }

    pub(crate) fn may_see(&self, repo: &Repo) -> bool {
        match &self.installation {
            Some((_, reach)) => reach.covers(repo),
            None => !repo.private || self.sees_all || is_named(&self.sees, repo),
        }
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

    /// The scopes of a classic token, as `x-oauth-scopes` tells them; `repo` unless said. What it sees and may do is
    /// set apart from them.
    pub fn scopes(self, scopes: &[&str]) -> Self {
        self.token.scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        self
    }

    /// It sees this private repository.
    pub fn sees(self, name_with_owner: &str) -> Self {
        self.token.sees.insert(name_with_owner.to_lowercase());
        self
    }

    /// It sees this private repository no longer.
    pub fn loses(self, name_with_owner: &str) -> Self {
        self.token.sees.remove(&name_with_owner.to_lowercase());
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

    /// It is refused from that moment on, in milliseconds since the epoch, as in the middle of a pass.
    pub fn revoked_at(self, ms: u64) -> Self {
        self.token.revoked_at_ms = Some(ms);
        self
    }

    /// It is good until that moment, in milliseconds since the epoch, and answers say so in a header.
    pub fn expires_at(self, ms: u64) -> Self {
        self.token.expires_ms = Some(ms);
        self
    }

    /// It is good again.
    pub fn restored(self) -> Self {
        self.token.revoked = false;
        self.token.revoked_at_ms = None;
        self
    }

    /// REST requests and GraphQL points in an hour for its login; 5,000 each unless said. Say the login first.
    pub fn limits(self, rest: u64, graphql: u64) -> Self {
        let pots = self.pots.entry(self.token.pot_key()).or_default();
        pots.rest.limit = rest;
        pots.graphql.limit = graphql;
        self
    }

    /// What is used up of both limits in the hour that the next request begins or is in. Say the login first.
    pub fn used(self, rest: u64, graphql: u64) -> Self {
        let pots = self.pots.entry(self.token.pot_key()).or_default();
        pots.rest.used = rest;
        pots.graphql.used = graphql;
        self
    }
}
