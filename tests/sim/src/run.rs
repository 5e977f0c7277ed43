//! One seed from its beginning to the calm at its end.

use std::collections::BTreeSet;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::runtime::Runtime;
use vigil::config::{Mode, NotifyConfig};
use vigil::notify::Notifier;
use vigil::pass::{Asking, How, Reconciler};
use vigil::sources::Configured;
use vigil_core::Timestamp;
use vigil_core::evidence::SourceFacts;
use vigil_core::intents::Grants;
use vigil_policy::{Chain, Engine, EngineConfig, Link, OnFailure, OnRefused, Quarantine};
use vigil_sources::machine::child::ChildEnvironment;
use vigil_sources::vigilante::{Settings, Vigilante};
use vigil_store::Store;

use crate::cast::{self, Member};
use crate::check::Checker;
use crate::clock::Clock;
use crate::disk::{Disk, Snapshot};
use crate::hub::Hub;
use crate::outside::{SimForge, SimSource, SimWorld};
use crate::plant::Bug;
use crate::rng::Rng;
use crate::stage::{Plan, Stage, Tally};
use crate::storm::{reboot, wedge_signs};
use crate::text::{self, Layout};
use crate::truth;

/// The source's name.
pub(crate) const SOURCE: &str = "vigilante";

/// 2026-03-26T19:00:00Z.
const BEGINNING: u64 = 1_774_551_600_000;

/// What a simulation shares with others: the compiled policies.
#[derive(Clone)]
pub struct Lab {
    chain: Arc<Chain>,
}

/// A seed that did not hold.
#[derive(Clone, Debug)]
pub struct Broken {
    /// Which one.
    pub seed: u64,
    /// What did not hold.
    pub why: String,
    /// The steps of the pass in which it was seen, the last ones last.
    pub trace: Vec<String>,
}

impl Lab {
    /// The default policy, compiled once.
    ///
    /// # Errors
    /// Those of the engine.
    pub fn new() -> Result<Self> {
        let engine = Engine::new(EngineConfig::default())?;
        let settings = serde_json::Map::new();
        let name = "default.wasm";
        let policy = vigil::policies::load(&engine, name, &settings)
            .map_err(|failure| anyhow::anyhow!("{failure:?}"))?;
        let link = Link {
            policy: Arc::new(policy),
            on_failure: OnFailure::Hold,
            on_refused: OnRefused::Hold,
        };
        Ok(Lab {
            chain: Arc::new(Chain::new(vec![link])),
        })
    }

    /// A runtime on which seeds are run one after the other.
    ///
    /// # Errors
    /// Those of the system.
    pub fn runtime() -> io::Result<Runtime> {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .max_blocking_threads(1)
            .build()
    }

    /// Runs `seed`, with `bug` planted if there is one.
    ///
    /// # Errors
    /// The first thing that did not hold. What the simulation itself cannot do counts as such.
    pub fn run(
        &self,
        seed: u64,
        bug: Option<Bug>,
        runtime: &Runtime,
    ) -> std::result::Result<Tally, Box<Broken>> {
        let broken = |why: String, trace: Vec<String>| Box::new(Broken { seed, why, trace });
        let mut run = Run::begin(seed, bug, self, runtime)
            .map_err(|error| broken(format!("failed to begin: {error:#}"), Vec::new()))?;
        let ended = run.all();
        let mut state = run.stage.state();
        let why = match (state.violation.take(), ended) {
            (Some(why), _) => Some(why),
            (None, Err(error)) => Some(format!("{error:#}")),
            (None, Ok(())) => None,
        };
        match why {
            Some(why) => Err(broken(why, std::mem::take(&mut state.trace))),
            None => {
                state.tally.rules = std::mem::take(&mut state.checker.rules);
                Ok(std::mem::take(&mut state.tally))
            }
        }
    }
}

/// One seed under way.
pub(crate) struct Run<'a> {
    pub(crate) rng: Rng,
    pub(crate) stage: Arc<Stage>,
    lab: &'a Lab,
    runtime: &'a Runtime,
    pub(crate) vigil: Option<Reconciler>,
    /// How often vigil was started.
    starts: u64,
    /// From this moment on no lease of another vigil's holds anything.
    pub(crate) leases_over: Timestamp,
    /// A readable file to put back.
    pub(crate) garbled: Option<String>,
    /// Sessions in which somebody has undone a transition by hand.
    pub(crate) undone: BTreeSet<String>,
}

impl<'a> Run<'a> {
    fn begin(seed: u64, bug: Option<Bug>, lab: &'a Lab, runtime: &'a Runtime) -> Result<Self> {
        let mut rng = Rng::new(seed);
        let clock = Clock::new(BEGINNING + rng.below(1_000_000));
        let now = clock.now();
        let count = rng.between(2, 7);
        let mut members: Vec<Member> = (0..count + rng.below(2))
            .map(|index| Member::new(index, now, &mut rng))
            .collect();
        let hub = Hub::new(&members, now, &mut rng);
        let absent = members.split_off(count as usize);
        let disk = Disk::new().context("failed to make folders")?;
        let records: Vec<_> = members.iter().map(|member| member.record.clone()).collect();
        let layout = *rng.pick(&[
            Layout::Indented,
            Layout::Indented,
            Layout::Compact,
            Layout::Odd,
        ]);
        let first = text::render(&records, layout);
        let settings = Settings::default();
        let reader = Vigilante::new(SOURCE, &disk.home, &disk.state, settings);
        let mut state = crate::stage::State {
            rng: rng.fork(),
            clock,
            members,
            absent,
            hub,
            checker: Checker::new(reader),
            disk,
            plan: Plan::default(),
            store: None,
            crashed: None,
            violation: None,
            trace: Vec::new(),
            lock: None,
            earlier: first.clone(),
            unsynced: None,
            compared: BTreeSet::new(),
            bug,
            tally: Tally::default(),
        };
        wedge_signs(&state.disk.home, now)?;
        state.put(&first);
        let mut run = Run {
            rng,
            stage: Stage::new(state),
            lab,
            runtime,
            vigil: None,
            starts: 0,
            leases_over: Timestamp(0),
            garbled: None,
            undone: BTreeSet::new(),
        };
        run.start()?;
        Ok(run)
    }

    /// vigil is started, on what lies on the disk.
    fn start(&mut self) -> Result<()> {
        self.starts += 1;
        let (home, state_dir, now, mode) = {
            let state = self.stage.state();
            (
                state.disk.home.clone(),
                state.disk.state.clone(),
                state.clock.now(),
                match state.bug {
                    Some(Bug::NeverWrites) => Mode::Observe,
                    _ => Mode::Reconcile,
                },
            )
        };
        let store = Store::open(&state_dir, now).context("failed to open the journal")?;
        let beside = Store::open(&state_dir, now).context("failed to open the journal again")?;
        self.stage.state().store = Some(beside);
        let world: Arc<dyn vigil_sources::World> = Arc::new(SimWorld(Arc::clone(&self.stage)));
        let clocks = Arc::clone(&self.stage);
        let source = SimSource {
            inner: Vigilante::new(SOURCE, home, state_dir, Settings::default()),
            stage: Arc::clone(&self.stage),
        };
        let facts = SourceFacts {
            name: SOURCE.to_owned(),
            kind: "vigilante".to_owned(),
            forge_host: "github.com".to_owned(),
            fresh_for_ms: 30 * 60_000,
            final_labels: vec![truth::FINAL_LABEL.to_owned()],
            closed_pr_is_final: false,
            landing_branches: Vec::new(),
        };
        self.vigil = Some(Reconciler {
            sources: vec![Configured {
                source: Arc::new(source),
                facts,
                home: std::path::PathBuf::new(),
                mode,
            }],
            chain: Arc::clone(&self.lab.chain),
            forge: Arc::new(SimForge(Arc::clone(&self.stage))),
            forge_host: "github.com".to_owned(),
            asking: Asking::default(),
            seen: std::collections::HashMap::new(),
            settled: std::collections::HashMap::new(),
            store,
            clocks: Arc::new(move |_| clocks.state().clock.read()),
            notifier: Notifier::new(
                NotifyConfig::default(),
                ChildEnvironment::default(),
                Arc::clone(&world),
            ),
            world,
            grants: Grants::default(),
            interval: Duration::from_secs(60),
            holder: format!("vigil {}", self.starts),
            quarantine: Quarantine::default(),
            disagreements: std::collections::BTreeMap::new(),
            replaced: None,
        });
        Ok(())
    }

    fn all(&mut self) -> Result<()> {
        for _ in 0..self.rng.between(4, 9) {
            self.between()?;
            let how = self.how();
            self.pass(&how)?;
            if self.is_over() {
                return Ok(());
            }
        }
        self.calm()
    }

    pub(crate) fn is_over(&self) -> bool {
        self.stage.state().violation.is_some()
    }

    fn how(&mut self) -> How {
        match self.rng.below(10) {
            0 => How::look(),
            1 | 2 => How {
                due_only: true,
                ..How::once()
            },
            _ => How::once(),
        }
    }

    /// One pass, and what must hold after it.
    pub(crate) fn pass(&mut self, how: &How) -> Result<()> {
        let mut vigil = self.vigil.take().context("vigil is not running")?;
        let (before, writes, refusals, began) = {
            let mut state = self.stage.state();
            state.tally.passes += 1;
            state.checker.waiting.clear();
            let at = cast::moment(state.clock.now());
            let looking = if how.dry_run { ", only looking" } else { "" };
            state.trace.push(format!("a pass at {at}{looking}"));
            // Reading the whole journal costs as much as the pass.
            let before = how.dry_run.then(|| self.counts(&state)).transpose()?;
            let began = state.clock.now();
            (before, state.tally.writes, state.hub.refusals(), began)
        };
        let runtime = self.runtime;
        let result = catch_unwind(AssertUnwindSafe(|| {
            runtime.block_on(async { vigil.pass(how).await.map(drop) })
        }));
        let crashed = self.stage.state().crashed.is_some();
        if crashed {
            let mut state = self.stage.state();
            let now = state.clock.now();
            // What it was told in this pass it may have had no time to write down; what the power took nobody knows.
            if state.hub.refusals() > refusals || state.plan.power_cut {
                state.hub.excuse(now);
            }
            state.nobody_asked_in_spite();
            drop(state);
            drop(vigil);
            return self.restart();
        }
        let is_quiet = self.stage.state().bug == Some(Bug::KeepsReopeningsQuiet);
        for alert in vigil.store.open_alerts()? {
            if is_quiet && alert.key.starts_with("reopened-") {
                vigil.store.clear(&alert.key)?;
            }
        }
        match result {
            Ok(Ok(())) => self.vigil = Some(vigil),
            Ok(Err(failure)) => anyhow::bail!("a pass failed: {failure:?}"),
            Err(_) => anyhow::bail!("a pass panicked"),
        }
        let mut state = self.stage.state();
        state.look();
        let now = state.clock.now();
        state.nobody_asked_in_spite();
        state.tally.limits += u64::from(state.hub.refusals() > refusals);
        let settled =
            !how.dry_run && self.garbled.is_none() && state.clock.now() >= self.leases_over;
        let agrees = match &state.store {
            Some(store) => state.checker.agree(store, settled),
            None => Ok(()),
        };
        state.hold(agrees);
        let is_told = match &state.store {
            Some(store) => (store.open_alerts()?.iter())
                .any(|alert| alert.key == format!("displaced-{SOURCE}")),
            None => true,
        };
        if !state.checker.waiting.is_empty() && !is_told {
            state.hold(Err("what waits for the lock is not told".to_owned()));
        }
        if !how.dry_run && self.garbled.is_none() {
            let bodies = state.bodies();
            let left = match &state.store {
                Some(store) => state.checker.left_alone(store, &bodies, began),
                None => Ok(()),
            };
            state.hold(left);
        }
        if let Some((_, transitions_before, rows_before)) = before {
            // The file may have been written by its owner; by vigil it was not, or the checker would have counted it.
            let (_, transitions, rows) = self.counts(&state)?;
            if (transitions, rows, state.tally.writes) != (transitions_before, rows_before, writes)
            {
                state.hold(Err("looking has changed something".to_owned()));
            }
        }
        let cut = state.plan.crash.is_some() && state.plan.power_cut;
        if cut {
            // The plan was not reached: then the power goes right after the pass.
            let left = state.leave()?;
            state.crashed = Some(left);
            state.hub.excuse(now);
            drop(state);
            self.vigil = None;
            return self.restart();
        }
        Ok(())
    }

    /// What a pass that changes nothing leaves as it was.
    pub(crate) fn counts(&self, state: &crate::stage::State) -> Result<(String, usize, usize)> {
        let store = state.store.as_ref().context("no journal")?;
        Ok((
            state.disk.text()?,
            store.transitions(None, None, 10_000)?.len(),
            store.journal(None, 10_000)?.len(),
        ))
    }

    /// vigil has ended: everything is as it was at that moment, and it is started again.
    fn restart(&mut self) -> Result<()> {
        self.vigil = None;
        {
            let mut state = self.stage.state();
            let state = &mut *state;
            state.store = None;
            let files: Snapshot = state.crashed.take().unwrap_or_default();
            state.disk.restore(&files)?;
            state.checker.look_away = false;
            if state.plan.power_cut {
                state.clock.reboot();
                reboot(&mut state.members);
            }
            state.plan = Plan::default();
        }
        self.start()?;
        self.stage.state().look();
        Ok(())
    }
}
