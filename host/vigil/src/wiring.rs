//! Puts the parts together: configuration and environment in, a [`Reconciler`] out.

mod github;
mod place;

use std::sync::Arc;

use vigil_core::intents::Grants;
use vigil_github::GitHub;
use vigil_github::budget::Shares;
use vigil_policy::{Chain, Engine, Quarantine};
use vigil_sources::World;
use vigil_store::Store;

use crate::config::Config;
use crate::environment::{Environment, FOR_NOTIFY};
use crate::failure::Failure;
use crate::memory;
use crate::notify::Notifier;
use crate::pass::{Asking, ReadClocks, Reconciler};
use crate::world::{Clocks, LiveWorld};
use crate::{policies, sources};

pub use place::Place;

/// What every command starts from.
#[derive(Clone)]
pub struct Setup {
    /// The configuration, defaults filled in.
    pub config: Config,
    /// The environment.
    pub environment: Environment,
    /// Time and waiting.
    pub world: Arc<dyn World>,
    /// Reads the machine's clocks.
    pub clocks: ReadClocks,
}

impl Setup {
    /// The live world with this configuration.
    pub fn live(config: Config, environment: Environment) -> Setup {
        Setup {
            config,
            environment,
            world: Arc::new(LiveWorld),
            clocks: Arc::new(Clocks::read),
        }
    }

    /// The ways to tell people, as the configuration says.
    pub(crate) fn notifier(&self) -> Notifier {
        let config = self.config.notify.clone();
        let usual = self.environment.for_child(&FOR_NOTIFY);
        let told = config.environment.iter().fold(usual, |told, name| {
            match self.environment.named(name) {
                Some(value) => told.with(name, value),
                None => told,
            }
        });
        Notifier::new(config, told, Arc::clone(&self.world))
    }

    /// vigil's memory, made when it is not there.
    pub fn store(&self) -> Result<Store, Failure> {
        Store::open(&self.environment.state_dir, self.world.now()).map_err(memory::failed)
    }

    /// vigil's memory, if there is any.
    pub fn store_if_any(&self) -> Result<Option<Store>, Failure> {
        Store::open_existing(&self.environment.state_dir, self.world.now()).map_err(memory::failed)
    }

    /// GitHub, as the configuration says. Connects to nothing.
    pub fn github(&self) -> Result<GitHub, Failure> {
        let world = Arc::clone(&self.world);
        let now = Arc::new(move || world.now());
        let github = github::github(&self.config.github, &self.environment, now)?;
        Ok(github.taking_turns_in(&self.environment.state_dir))
    }

    /// Where GitHub is.
    pub fn place(&self) -> Result<Place, Failure> {
        Place::of(&self.config.github, &self.environment)
    }

    /// What in the environment has no effect although somebody meant one: what it is, and what to do.
    pub fn notes(&self) -> Vec<(String, String)> {
        let entries = github::idle_entries(&self.environment).into_iter();
        let note = |(variable, entry)| {
            (
                format!(
                    "{variable} has \"{entry}\", which fits no host: none is kept from the proxy by it"
                ),
                "write names, addresses and networks such as 10.0.0.0/8, without scheme and port"
                    .to_owned(),
            )
        };
        entries.map(note).collect()
    }

    /// The policies that were named, else the configured ones.
    pub fn chain(&self, named: &[String]) -> Result<(Engine, Chain), Failure> {
        let engine = policies::engine(&self.environment)?;
        let chain = policies::chain(&engine, named, &self.config.policy)?;
        Ok((engine, chain))
    }

    /// What a daemon with this chain tells `status` about it.
    pub(crate) fn loaded(&self, chain: &Chain, named: &[String]) -> policies::Loaded {
        policies::Loaded::of(chain, &policies::paths(named, &self.config.policy))
    }

    /// What vigil takes of GitHub's hour, and what it leaves.
    pub fn shares(&self) -> Shares {
        Shares {
            reserve: self.config.github.reserve,
            own: self.config.github.share,
        }
    }

    /// Everything that a pass works with. The engine of the chain lives in its policies.
    pub fn reconciler(&self, chain: Chain, only: Option<&str>) -> Result<Reconciler, Failure> {
        self.reconciler_over(self.store()?, chain, only)
    }

    /// The same for a pass that changes nothing: where there is no memory yet, none is made.
    pub fn looker(&self, chain: Chain, only: Option<&str>) -> Result<Reconciler, Failure> {
        let store = match self.store_if_any()? {
            Some(store) => store,
            None => Store::in_memory(self.world.now()).map_err(memory::failed)?,
        };
        self.reconciler_over(store, chain, only)
    }

    fn reconciler_over(
        &self,
        store: Store,
        chain: Chain,
        only: Option<&str>,
    ) -> Result<Reconciler, Failure> {
        Ok(Reconciler {
            sources: sources::configured(&self.config, &self.environment, only)?,
            chain: Arc::new(chain),
            forge: Arc::new(self.github()?),
            forge_host: self.place()?.host,
            asking: Asking::new(self.shares()).following(self.config.github.follow_renames),
            seen: std::collections::HashMap::new(),
            settled: std::collections::HashMap::new(),
            store,
            world: Arc::clone(&self.world),
            clocks: Arc::clone(&self.clocks),
            notifier: self.notifier(),
            grants: Grants {
                kinds: self.config.grants.kinds.clone(),
                ..Grants::default()
            },
            interval: self.config.run.interval.0,
            // A pid alone may be another process's, after a restart or in another container.
            holder: format!("vigil {} of {}", std::process::id(), self.world.now()),
            quarantine: Quarantine::default(),
            disagreements: std::collections::BTreeMap::new(),
            replaced: None,
        })
    }
}
