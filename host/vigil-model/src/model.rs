//! The model itself: the world, who may ask, and what goes wrong. How it answers stands in `respond`.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap, HashSet};

use crate::app::{App, AppEdit, Installation};
use crate::edit::RepoEdit;
use crate::fault::{Fault, Faults, Scope};
use crate::flight::{Flight, Flights};
use crate::item::Item;
use crate::limits::{DocumentLimits, SecondaryLimits, Told};
use crate::message::Request;
use crate::pot::Pots;
use crate::tally::Tally;
use crate::token::{Token, TokenEdit};
use crate::world::{self, Repo, Stale, World};

/// A strict, mutable GitHub without sockets and without a clock of its own.
///
/// `Clone` gives a second, independent one: a simulation keeps it as a checkpoint.
#[derive(Clone, Debug)]
pub struct Model {
    pub(crate) world: World,
    pub(crate) tokens: HashMap<String, Token>,
    pub(crate) apps: BTreeMap<u64, App>,
    pub(crate) installations: BTreeMap<u64, Installation>,
    /// By login or installation.
    pub(crate) pots: BTreeMap<String, Pots>,
    /// What clients were told about waiting, by the same keys.
    pub(crate) told: BTreeMap<String, Told>,
    /// `None`: there are none.
    pub(crate) secondary: Option<SecondaryLimits>,
    pub(crate) documents: DocumentLimits,
    /// `None`: github.com.
    pub(crate) enterprise: Option<Enterprise>,
    pub(crate) flights: Flights,
    pub(crate) faults: Faults,
    pub(crate) lag: Option<Lag>,
    pub(crate) latency_ms: u64,
    /// How often the tags of everything changed.
    pub(crate) tags: u64,
    pub(crate) now_ms: u64,
    base_url: String,
    pub(crate) tally: Tally,
    /// Documents that fit the schema, so that a client that asks the same way again is not checked again.
    pub(crate) fitting: HashSet<String>,
}

/// A replica that has not heard of the latest changes.
#[derive(Clone, Debug)]
pub(crate) struct Lag {
    pub(crate) world: World,
    pub(crate) reads_left: u32,
}

/// A GitHub Enterprise Server.
#[derive(Clone, Debug)]
pub(crate) struct Enterprise {
    pub(crate) version: String,
    /// The administrator switched limits on, which are off when it is installed.
    pub(crate) limited: bool,
}

impl Model {
    /// An empty GitHub whose clock stands at `now_ms`, in milliseconds since the epoch.
    pub fn new(now_ms: u64) -> Self {
        Model {
            world: World::default(),
            tokens: HashMap::new(),
            apps: BTreeMap::new(),
            installations: BTreeMap::new(),
            pots: BTreeMap::new(),
            told: BTreeMap::new(),
            secondary: Some(SecondaryLimits::default()),
            documents: DocumentLimits::default(),
            enterprise: None,
            flights: Flights::default(),
            faults: Faults::default(),
            lag: None,
            latency_ms: 0,
            tags: 0,
            now_ms,
            base_url: "https://api.github.com".to_owned(),
            tally: Tally::default(),
            fitting: HashSet::new(),
        }
    }

    /// The repository of that name, to be built or changed; made if there is none.
    ///
    /// `owner/name` in one. A deleted one is not brought back: a new one takes the name.
    pub fn repo(&mut self, name_with_owner: &str) -> RepoEdit<'_> {
        RepoEdit::take(&mut self.world, name_with_owner, self.now_ms)
    }

    /// A new repository of that name, `owner/name`, even where one bears it or did: that one keeps only its id.
    pub fn new_repo(&mut self, name_with_owner: &str) -> RepoEdit<'_> {
        RepoEdit::make(&mut self.world, name_with_owner, self.now_ms)
    }

    /// The token of that secret, to be made or changed. Sees public repositories and may do everything unless said.
    pub fn token(&mut self, secret: &str) -> TokenEdit<'_> {
        TokenEdit {
            token: self
                .tokens
                .entry(secret.to_owned())
                .or_insert_with(Token::new),
            pots: &mut self.pots,
        }
    }

    /// A token is replaced: the new secret stands for all that the old one did, and the old one is refused.
    pub fn rotate_token(&mut self, old: &str, new: &str) {
        if let Some(token) = self.tokens.get_mut(old) {
            let successor = token.clone();
            token.revoked = true;
            self.tokens.insert(new.to_owned(), successor);
        }
    }

    /// The GitHub App of that id, to be made or changed. `public_key`: PEM of the RSA key whose private half signs its
    /// assertions; with one that is no such key all of them are refused.
    pub fn app(&mut self, id: u64, public_key: &str) -> AppEdit<'_> {
        let app = self.apps.entry(id).or_insert_with(|| App {
            id,
            slug: format!("app-{id}"),
            owner: "octocat".to_owned(),
            public_key: String::new(),
        });
        app.public_key = public_key.to_owned();
        AppEdit {
            app,
            installations: &mut self.installations,
        }
    }

    /// It is a GitHub Enterprise Server of that version, such as `3.18.1`: REST lies below `/api/v3`, GraphQL at
    /// `/api/graphql`, and nobody is limited.
    pub fn enterprise(&mut self, version: &str) {
        self.enterprise = Some(Enterprise {
            version: version.to_owned(),
            limited: false,
        });
    }

    /// It is a GitHub Enterprise Server whose administrator switched limits on.
    pub fn enterprise_limited(&mut self, version: &str) {
        self.enterprise = Some(Enterprise {
            version: version.to_owned(),
            limited: true,
        });
    }

    /// Other secondary limits than those that GitHub publishes; `None`: there are none.
    pub fn secondary_limits(&mut self, limits: Option<SecondaryLimits>) {
        self.secondary = limits;
    }

    /// Other bounds on the length of a GraphQL document than those that are assumed of GitHub.
    pub fn document_limits(&mut self, limits: DocumentLimits) {
        self.documents = limits;
    }

    /// Moves the clock that edits go by; `respond` moves it, too. Milliseconds since the epoch.
    pub fn set_now(&mut self, now_ms: u64) {
        self.now_ms = now_ms;
    }

    /// The clock, in milliseconds since the epoch.
    pub fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// Where links in answers point to, without a slash at the end. The server sets its own address.
    pub fn set_base_url(&mut self, base_url: &str) {
        self.base_url = base_url.trim_end_matches('/').to_owned();
    }

    /// Where REST lies, without a slash at the end.
    pub(crate) fn api_url(&self) -> String {
        match self.enterprise {
            Some(_) => format!("{}/api/v3", self.base_url),
            None => self.base_url.clone(),
        }
    }

    /// The repository that bears the name or once did, as it is now.
    pub fn look_repo(&self, name_with_owner: &str) -> Option<&Repo> {
        self.world.present(name_with_owner)
    }

    /// The issue or pull request of that number, as it is now.
    pub fn look(&self, name_with_owner: &str, number: u64) -> Option<&Item> {
        self.look_repo(name_with_owner)?.items.get(&number)
    }

    pub(crate) fn repo_mut(&mut self, name_with_owner: &str) -> Option<&mut Repo> {
        let index = *self.world.names.get(&world::name_key(name_with_owner))?;
        self.world.repos.get_mut(index)
    }

    /// The next `requests` requests meet the fault. Faults that were planned earlier strike first.
    pub fn fail_next(&mut self, requests: u32, fault: Fault) {
        self.faults.plan(fault, Scope::Any, Some(requests));
    }

    /// The next `requests` requests of `scope` meet the fault.
    pub fn fail_next_in(&mut self, scope: Scope, requests: u32, fault: Fault) {
        self.faults.plan(fault, scope, Some(requests));
    }

    /// Every request of `scope` meets the fault until [`Model::heal`].
    pub fn fail(&mut self, scope: Scope, fault: Fault) {
        self.faults.plan(fault, scope, None);
    }

    /// Ends all faults and the lag.
    pub fn heal(&mut self) {
        self.faults.clear();
        self.lag = None;
        self.world.stale.clear();
    }

    /// Every answer comes after so many milliseconds, whatever else happens, until it is said otherwise.
    pub fn latency(&mut self, ms: u64) {
        self.latency_ms = ms;
    }

    /// The next `reads` reads are answered from the world as it is now, whatever changes in the meantime.
    pub fn lag(&mut self, reads: u32) {
        self.lag = (reads > 0).then(|| Lag {
            world: self.world.clone(),
            reads_left: reads,
        });
    }

    /// The next `reads` reads of one repository are answered from it as it is now, whatever changes in the meantime.
    /// Reads of others see the present. A repository that does not exist cannot lag.
    pub fn lag_repo(&mut self, name_with_owner: &str, reads: u32) {
        self.stale(name_with_owner, reads, false);
    }

    /// Reads of one repository go to a replica and to the present in turns, for `turns` times both: an answer that was
    /// new is followed by an old one.
    pub fn lag_flipping(&mut self, name_with_owner: &str, turns: u32) {
        self.stale(name_with_owner, turns.saturating_mul(2), true);
    }

    fn stale(&mut self, name_with_owner: &str, reads_left: u32, flips: bool) {
        let index = self.world.names.get(&world::name_key(name_with_owner));
        let Some((index, repo)) = index.and_then(|at| Some((*at, self.world.repos.get(*at)?)))
        else {
            return;
        };
        let stale = Stale {
            repo: repo.clone(),
            reads_left,
            flips,
            met: Cell::new(false),
        };
        self.world.stale.insert(index, stale);
        self.world.stale.retain(|_, stale| stale.reads_left > 0);
    }

    /// From now on every body has another tag than before. Who sends the one from before is told that nothing changed,
    /// and the new one; those before that are forgotten.
    pub fn retag(&mut self) {
        self.tags += 1;
    }

    /// What was asked so far.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Begins to count anew.
    pub fn reset_tally(&mut self) {
        self.tally = Tally::default();
    }

    /// Counts a request as under way, until [`Model::end`]. [`Server`](crate::Server) does it; a simulation that lets
    /// requests overlap does it around [`Model::respond`].
    pub fn begin(&mut self, request: &Request) -> Flight {
        let is_graphql = self.is_graphql(&request.path);
        let (flight, under_way) = self.flights.begin(request, is_graphql);
        let tally = &mut self.tally;
        tally.graphql_at_once_max = tally.graphql_at_once_max.max(under_way.graphql);
        tally.rest_at_once_max = tally.rest_at_once_max.max(under_way.rest);
        flight
    }

    /// The request has its answer, or its sender went away.
    pub fn end(&mut self, flight: &Flight) {
        self.flights.end(flight);
    }

    pub(crate) fn is_graphql(&self, path: &str) -> bool {
        match self.enterprise {
            Some(_) => path == "/api/graphql",
            None => path == "/graphql",
        }
    }

    /// Whether anybody is limited at all.
    pub(crate) fn is_limited(&self) -> bool {
        self.enterprise
            .as_ref()
            .is_none_or(|enterprise| enterprise.limited)
    }
}
