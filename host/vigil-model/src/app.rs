//! GitHub Apps: who they are, where they are installed, and the tokens of their installations.

use std::collections::{BTreeMap, BTreeSet};

use crate::token::{Permission, Reach};

/// How long the token of an installation is good: an hour, as GitHub says.
pub(crate) const TOKEN_LIFE_MS: u64 = 3_600_000;

/// A GitHub App.
#[derive(Clone, Debug)]
pub(crate) struct App {
    pub(crate) id: u64,
    pub(crate) slug: String,
    pub(crate) owner: String,
    /// PEM of the RSA key that its assertions are checked against.
    pub(crate) public_key: String,
}

impl App {
    /// The other name that an assertion may be issued under.
    pub(crate) fn client_id(&self) -> String {
        format!("Iv1.{:016x}", self.id)
    }
}

/// An app on somebody's account.
#[derive(Clone, Debug)]
pub(crate) struct Installation {
    pub(crate) id: u64,
    pub(crate) app: u64,
    /// Login of the organization or person.
    pub(crate) account: String,
    pub(crate) is_person: bool,
    pub(crate) reach: Reach,
    pub(crate) lacks: BTreeSet<Permission>,
    pub(crate) suspended: bool,
    pub(crate) tokens_made: u64,
}

/// An app under the pen.
pub struct AppEdit<'m> {
    pub(crate) app: &'m mut App,
    pub(crate) installations: &'m mut BTreeMap<u64, Installation>,
}

impl<'m> AppEdit<'m> {
    /// Its short name; `app-ID` unless said. Its bot's login is this with `[bot]` behind it.
    pub fn slug(self, slug: &str) -> Self {
        self.app.slug = slug.to_owned();
        self
    }

    /// Who made it; `octocat` unless said.
    pub fn owner(self, login: &str) -> Self {
        self.app.owner = login.to_owned();
        self
    }

    /// Its installation of that number on that account, to be made or changed. Reaches all repositories of the account
    /// and may do everything unless said.
    pub fn installation(self, id: u64, account: &str) -> InstallationEdit<'m> {
        let app = self.app.id;
        let installation = self
            .installations
            .entry(id)
            .or_insert_with(|| Installation {
                id,
                app,
                account: account.to_owned(),
                is_person: false,
                reach: Reach::Account(account.to_owned()),
                lacks: BTreeSet::new(),
                suspended: false,
                tokens_made: 0,
            });
        InstallationEdit { installation }
    }

    /// Somebody removes the app from an account: the installation is gone, and its tokens are refused.
    pub fn uninstalled(self, id: u64) -> Self {
        self.installations.remove(&id);
        self
    }
}

/// An installation under the pen.
pub struct InstallationEdit<'m> {
    installation: &'m mut Installation,
}

impl InstallationEdit<'_> {
    /// It reaches these repositories alone, each `owner/name`.
    pub fn repos(self, names: &[&str]) -> Self {
        let names = names.iter().map(|name| name.to_lowercase());
        self.installation.reach = Reach::Repos(names.collect());
        self
    }

    /// The account is a person's and not an organization's.
    pub fn person(self) -> Self {
        self.installation.is_person = true;
        self
    }

    /// It lacks a permission. Tokens that were made before keep it.
    pub fn without(self, permission: Permission) -> Self {
        self.installation.lacks.insert(permission);
        self
    }

    /// It gets a permission back. Tokens that were made before do not.
    pub fn with(self, permission: Permission) -> Self {
        self.installation.lacks.remove(&permission);
        self
    }

    /// Somebody suspends it, or lets it work again: no tokens are made, and those that were are refused.
    pub fn suspended(self, suspended: bool) -> Self {
        self.installation.suspended = suspended;
        self
    }
}
