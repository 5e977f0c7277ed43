//! Several accounts: which of them asks about an owner's repositories.

use std::collections::BTreeSet;

use vigil_core::Timestamp;

use crate::app::App;
use crate::budget::Silence;

use super::{Account, Found, TokenChain, Tokens};

/// Tokens and an App for some owners, and the usual places for all others.
pub struct Accounts {
    listed: Vec<Listed>,
    /// Owners for whom the usual token was listed: no App asks about them.
    of_usual: Owners,
    app: Option<(App, Option<Owners>)>,
    usual: TokenChain,
}

/// Owners in lower case, as GitHub compares them.
type Owners = BTreeSet<String>;

/// A token for some owners.
struct Listed {
    account: Account,
    owners: Owners,
    chain: TokenChain,
}

impl Accounts {
    /// `usual` asks about everybody, as long as nothing else is said.
    pub fn new(usual: TokenChain) -> Self {
        Accounts {
            listed: Vec::new(),
            of_usual: Owners::new(),
            app: None,
            usual,
        }
    }

    /// `chain` asks about the repositories of `owners`, of whom the first names the account. An owner who is listed
    /// twice is asked about by the first that lists them.
    ///
    /// A chain that is known to find the token of another one makes no account of its own: GitHub counts by user, so
    /// that their limits are one, and each would take a share of it.
    pub fn with_token<'o>(
        mut self,
        owners: impl IntoIterator<Item = &'o str>,
        chain: TokenChain,
    ) -> Self {
        let is_new = |owner: &String| {
            let mut known = self.listed.iter().map(|listed| &listed.owners);
            !self.of_usual.contains(owner) && !known.any(|owners| owners.contains(owner))
        };
        let owners = owners.into_iter().map(str::to_lowercase).filter(is_new);
        let owners: Vec<String> = owners.collect();
        let same = |listed: &&mut Listed| listed.chain.finds_the_same(&chain);
        if let Some(listed) = self.listed.iter_mut().find(same) {
            listed.owners.extend(owners);
            return self;
        }
        if self.usual.finds_the_same(&chain) {
            self.of_usual.extend(owners);
            return self;
        }
        let usual = Account::usual();
        let account = match owners.first() {
            None => return self,
            // There may be a person of that name, whose limits are not those of the usual account.
            Some(first) if *first == usual.0 => Account(format!("owner {first}")),
            Some(first) => Account(first.clone()),
        };
        self.listed.push(Listed {
            account,
            owners: owners.into_iter().collect(),
            chain,
        });
        self
    }

    /// `app` asks about the repositories of `owners`, or of everybody for whom no token is listed.
    pub fn with_app<'o>(
        mut self,
        app: App,
        owners: Option<impl IntoIterator<Item = &'o str>>,
    ) -> Self {
        let owners = owners.map(|owners| owners.into_iter().map(str::to_lowercase).collect());
        self.app = Some((app, owners));
        self
    }

    fn chain(&self, account: &Account) -> &TokenChain {
        self.listed
            .iter()
            .find(|listed| listed.account == *account)
            .map_or(&self.usual, |listed| &listed.chain)
    }

    /// The App and the owner, where `account` is one of its.
    fn installation<'a>(&'a self, account: &'a Account) -> Option<(&'a App, &'a str)> {
        let (app, _) = self.app.as_ref()?;
        Some((app, app.owner(account)?))
    }
}

impl Tokens for Accounts {
    fn account(&self, owner: &str) -> Account {
        let owner = owner.to_lowercase();
        if let Some(listed) = self
            .listed
            .iter()
            .find(|listed| listed.owners.contains(&owner))
        {
            return listed.account.clone();
        }
        if self.of_usual.contains(&owner) {
            return Account::usual();
        }
        match &self.app {
            // Nobody in particular: an App has no token but an owner's.
            Some((app, owners))
                if !owner.is_empty()
                    && owners.as_ref().is_none_or(|owners| owners.contains(&owner)) =>
            {
                app.account(&owner)
            }
            _ => Account::usual(),
        }
    }

    fn token<'a>(&'a self, account: &'a Account) -> Found<'a> {
        match self.installation(account) {
            Some((app, owner)) => Box::pin(app.token(owner)),
            None => Box::pin(self.chain(account).current()),
        }
    }

    fn hush(&self, app: &Account, silence: &Silence, now: Timestamp) {
        if let Some((ours, _)) = &self.app
            && ours.is(app)
        {
            ours.hush(silence, now);
        }
    }

    fn refresh<'a>(&'a self, account: &'a Account) -> Found<'a> {
        match self.installation(account) {
            Some((app, owner)) => Box::pin(app.refresh(owner)),
            None => Box::pin(self.chain(account).again()),
        }
    }
}
