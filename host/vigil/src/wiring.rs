//! Puts the parts together: configuration and environment in, a [`Reconciler`] out.

use std::path::PathBuf;
use std::sync::Arc;

use vigil_core::intents::Grants;
use vigil_github::{GitHub, Settings, TokenChain, TokenOrigin};
use vigil_policy::{Chain, Engine, Quarantine};
use vigil_sources::World;
use vigil_store::Store;

use crate::config::{Config, GitHubConfig};
use crate::environment::Environment;
use crate::failure::Failure;
use crate::memory;
use crate::notify::Notifier;
use crate::pass::{ReadClocks, Reconciler};
use crate::world::{Clocks, LiveWorld};
use crate::{policies, sources};

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
        let config = &self.config.github;
        let tokens = TokenChain::new(token_origins(config, &self.environment));
        let agent = concat!("vigil/", env!("CARGO_PKG_VERSION"));
        let mut settings = Settings::github_com(agent, Arc::new(tokens));
        settings.request_timeout = config.request_timeout.0;
        let rest = config
            .api_url
            .as_deref()
            .or_else(|| self.environment.get("GITHUB_API_URL"));
        if let Some(rest) = rest {
            settings.rest_url = rest.to_owned();
            settings.graphql_url = vigil_github::graphql_url(rest);
        }
        let graphql = config
            .graphql_url
            .as_deref()
            .or_else(|| self.environment.get("GITHUB_GRAPHQL_URL"));
        if let Some(graphql) = graphql {
            settings.graphql_url = graphql.to_owned();
        }
        GitHub::new(settings).map_err(|error| {
            Failure::request("failed to set up the connection to GitHub").because(error)
        })
    }

    /// The policies that were named, else the configured ones.
    pub fn chain(&self, named: &[String]) -> Result<(Engine, Chain), Failure> {
        let engine = policies::engine(&self.environment)?;
        let chain = policies::chain(&engine, named, &self.config.policy)?;
        Ok((engine, chain))
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
            forge_host: self.config.github.host.clone(),
            store,
            world: Arc::clone(&self.world),
            clocks: Arc::clone(&self.clocks),
            notifier: Notifier::new(self.config.notify.clone(), Arc::clone(&self.world)),
            grants: Grants {
                kinds: self.config.grants.kinds.clone(),
                ..Grants::default()
            },
            interval: self.config.run.interval.0,
            // A pid alone may be another process's, after a restart or in another container.
            holder: format!("vigil {} of {}", std::process::id(), self.world.now()),
            quarantine: Quarantine::default(),
            disagreements: std::collections::BTreeMap::new(),
        })
    }
}

/// Where a token may be, in the order in which it is looked for.
fn token_origins(config: &GitHubConfig, environment: &Environment) -> Vec<TokenOrigin> {
    let variable = |name: &str| TokenOrigin::Env {
        name: name.to_owned(),
        value: environment.get(name).map(|value| value.to_owned().into()),
    };
    let mut origins = vec![variable("GH_TOKEN"), variable("GITHUB_TOKEN")];
    if let Some(path) = &config.token_file {
        origins.push(TokenOrigin::File { path: path.clone() });
    }
    origins.push(TokenOrigin::GhCli {
        program: PathBuf::from("gh"),
        host: config.host.clone(),
    });
    origins
}
