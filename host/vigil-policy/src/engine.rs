//! The one wasmtime engine of the process: its configuration, its clock for deadlines, its slots for instances.

use std::fmt;
use std::path::PathBuf;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use wasmtime::{Config, InstanceAllocationStrategy, PoolingAllocationConfig, WasmBacktraceDetails};

use crate::compiled::CodeCache;
use crate::compiler::Compiler;
use crate::limits::Limits;

/// Runs policies. Cheap to clone; all clones share one engine.
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
    /// `None`: this process compiles.
    compiler: Option<Arc<Compiler>>,
}

/// How an [`Engine`] is set up. `EngineConfig::default()` is what `run` and `policy test` use, but for the cache.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Where compiled code is kept, readable by its owner alone; created when missing. `None`: nothing is kept, and
    /// every load compiles.
    pub cache_dir: Option<PathBuf>,
    /// What a policy may use up.
    pub limits: Limits,
    /// Reserve memory for instances ahead (the default): a fresh instance costs a third. Where the address space is
    /// too short for it, the engine does without by itself; `false` does without from the start.
    pub pooling: bool,
    /// What compiles, in a process of its own; `None`: this process does, which nothing bounds.
    pub compiler: Option<Compiler>,
}

impl Default for EngineConfig {
    fn default() -> Self {
        EngineConfig {
            cache_dir: None,
            limits: Limits::default(),
            pooling: true,
            compiler: None,
        }
    }
}

/// Why there is no engine.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The limits make no sense.
    #[error("failed to set up the policy engine: {0}; correct the limits")]
    Limits(String),
    /// wasmtime does not run here.
    #[error("failed to set up the policy engine: wasmtime does not run here: {0}")]
    Wasmtime(String),
    /// The thread that makes deadlines pass could not be started. Without it no deadline would ever fire.
    #[error("failed to start the clock of the policy engine")]
    Ticker(#[source] std::io::Error),
}

/// How often the deadline's clock ticks. 10 ms: a deadline is met within one tick, and a hundred wake-ups a second
/// cost nothing that could be measured.
const TICK: Duration = Duration::from_millis(10);

/// Instances that live at the same time; further calls wait. 16: each call computes and never waits for anything, so
/// more than there are cores brings nothing.
const SLOTS: u32 = 16;

/// Core instances of one component. Rust and C make one or two; QuickJS's components have over a dozen, CPython's 38.
const CORE_INSTANCES_MAX: u32 = 64;

/// Linear memories and tables of one component.
const MEMORIES_MAX: u32 = 4;

/// Entries of a function table. CPython's has some 10,000.
pub(crate) const TABLE_ELEMENTS_MAX: usize = 20_000;

/// What of a linear memory stays in place between two instances, zeroed instead of returned to the system. A Rust
/// policy touches less than this; returning and faulting pages in again costs three times as much.
const MEMORY_RESIDENT_BYTES: usize = 1 << 20;

struct Shared {
    _ticker: Ticker,
    wasmtime: wasmtime::Engine,
    limits: Limits,
    cache: Option<CodeCache>,
    notes: Vec<String>,
    pooling: bool,
    free_slots: Mutex<u32>,
    slot_freed: Condvar,
}

impl Engine {
    /// Sets up an engine.
    ///
    /// A cache folder that cannot be used safely is not used, and [`Engine::notes`] says why: that costs time at the
    /// next start and nothing else. The same holds for an address space that is too short for the pool.
    pub fn new(config: EngineConfig) -> Result<Self, EngineError> {
        let EngineConfig {
            cache_dir,
            limits,
            pooling,
            compiler,
        } = config;
        if let Some(fault) = limits.fault() {
            return Err(EngineError::Limits(fault));
        }
        let mut notes = Vec::new();
        let pooled = pooling.then(|| wasmtime::Engine::new(&wasmtime_config(&limits, true)));
        let (wasmtime, pooling) = match pooled {
            Some(Ok(engine)) => (engine, true),
            refused => {
                if let Some(Err(cause)) = refused {
                    notes.push(format!(
                        "memory for policies is not reserved ahead, fresh instances are slower: {cause:#}"
                    ));
                }
                let engine = wasmtime::Engine::new(&wasmtime_config(&limits, false))
                    .map_err(|cause| EngineError::Wasmtime(format!("{cause:#}")))?;
                (engine, false)
            }
        };
        let cache = cache_dir.and_then(|folder| match CodeCache::open(folder, &wasmtime) {
            Ok(cache) => Some(cache),
            Err(why) => {
                notes.push(why);
                None
            }
        });
        for note in &notes {
            tracing::warn!(note = note.as_str(), "policy engine set up with less");
        }
        let ticker = Ticker::start(&wasmtime).map_err(EngineError::Ticker)?;
        Ok(Engine {
            shared: Arc::new(Shared {
                _ticker: ticker,
                wasmtime,
                limits,
                cache,
                notes,
                pooling,
                free_slots: Mutex::new(SLOTS),
                slot_freed: Condvar::new(),
            }),
            compiler: compiler.map(Arc::new),
        })
    }

    /// The same engine, whose compiler is this process: for a component that the program itself carries.
    pub fn compiling_here(&self) -> Engine {
        Engine {
            shared: Arc::clone(&self.shared),
            compiler: None,
        }
    }

    /// The limits that every call runs under.
    pub fn limits(&self) -> &Limits {
        &self.shared.limits
    }

    /// What this engine has to do without, one sentence each; for `doctor`. Empty: nothing.
    pub fn notes(&self) -> &[String] {
        &self.shared.notes
    }

    /// Memory for instances is reserved ahead.
    pub fn is_pooling(&self) -> bool {
        self.shared.pooling
    }

    pub(crate) fn wasmtime(&self) -> &wasmtime::Engine {
        &self.shared.wasmtime
    }

    pub(crate) fn compiler(&self) -> Option<&Compiler> {
        self.compiler.as_deref()
    }

    pub(crate) fn cache(&self) -> Option<&CodeCache> {
        self.shared.cache.as_ref()
    }

    /// The deadline in ticks from now; one more than it lasts, since the present tick is already running.
    pub(crate) fn deadline_ticks(&self) -> u64 {
        let ticks = self.shared.limits.deadline.as_millis() / TICK.as_millis();
        u64::try_from(ticks)
            .unwrap_or(u64::MAX / 2)
            .saturating_add(1)
    }

    /// Waits for a slot. The wait lies before the deadline is armed: it is not billed to the policy.
    pub(crate) fn slot(&self) -> Slot<'_> {
        let mut free = lock(&self.shared.free_slots);
        while *free == 0 {
            free = self
                .shared
                .slot_freed
                .wait(free)
                .unwrap_or_else(PoisonError::into_inner);
        }
        *free -= 1;
        Slot { engine: self }
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("limits", &self.shared.limits)
            .field("pooling", &self.shared.pooling)
            .finish_non_exhaustive()
    }
}

/// The right to have one instance.
pub(crate) struct Slot<'a> {
    engine: &'a Engine,
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        *lock(&self.engine.shared.free_slots) += 1;
        self.engine.shared.slot_freed.notify_one();
    }
}

/// The count behind the lock is right at every moment, so a panic elsewhere does not spoil it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn wasmtime_config(limits: &Limits, pooling: bool) -> Config {
    let mut config = compiling_config(limits, pooling);
    if pooling {
        let mut pool = PoolingAllocationConfig::new();
        pool.total_component_instances(SLOTS)
            .total_core_instances(SLOTS * CORE_INSTANCES_MAX)
            .max_core_instances_per_component(CORE_INSTANCES_MAX)
            .total_memories(SLOTS * MEMORIES_MAX)
            .max_memories_per_component(MEMORIES_MAX)
            .total_tables(SLOTS * MEMORIES_MAX)
            .max_tables_per_component(MEMORIES_MAX)
            .table_elements(TABLE_ELEMENTS_MAX)
            .max_memory_size(limits.memory_bytes)
            .linear_memory_keep_resident(MEMORY_RESIDENT_BYTES);
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    }
    config
}

/// All that compiled code depends on, without the pool's memory, which a compiler does not need.
///
/// The same decision on any machine is what most of this is for; what may differ between machines is switched off.
pub(crate) fn compiling_config(limits: &Limits, pooling: bool) -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        // Nothing here is concurrent, and the support for it doubles the cost of a call.
        .concurrency_support(false)
        .consume_fuel(true)
        .epoch_interruption(true)
        // The bits of a NaN differ between processors.
        .cranelift_nan_canonicalization(true)
        .wasm_relaxed_simd(false)
        .relaxed_simd_deterministic(true)
        .wasm_memory64(false)
        .gc_support(false)
        .max_wasm_stack(limits.stack_bytes)
        // wasmtime would ask an environment variable.
        .wasm_backtrace_details(WasmBacktraceDetails::Disable);
    if !pooling {
        // The pool did not fit into the address space: ask for no more of it than a policy may use.
        config
            .allocation_strategy(InstanceAllocationStrategy::OnDemand)
            .memory_reservation(limits.memory_bytes as u64)
            .memory_reservation_for_growth(0)
            .memory_guard_size(64 << 10);
    }
    config
}

/// The thread that makes deadlines pass. It holds the engine weakly, and is gone when this is.
struct Ticker {
    alive: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    fn start(engine: &wasmtime::Engine) -> std::io::Result<Self> {
        let weak = engine.weak();
        let (alive, ended) = mpsc::channel::<()>();
        let thread = thread::Builder::new()
            .name("vigil-policy-clock".to_owned())
            .stack_size(256 << 10)
            .spawn(move || {
                // Nothing is ever sent: the channel closes when the sender is dropped.
                while ended.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                    match weak.upgrade() {
                        Some(engine) => engine.increment_epoch(),
                        None => break,
                    }
                }
            })?;
        Ok(Ticker {
            alive: Some(alive),
            thread: Some(thread),
        })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        drop(self.alive.take());
        if let Some(thread) = self.thread.take() {
            // It ends at once: the closed channel wakes it. Had it panicked, there would be nothing left to do.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_ends_with_its_engine() {
        let engine = Engine::new(EngineConfig::default()).unwrap();
        let clone = engine.clone();
        let weak = engine.wasmtime().weak();
        drop(engine);
        assert!(weak.upgrade().is_some());
        // Dropping the last one waits for the thread, so nobody is left who could hold it.
        drop(clone);
        assert!(weak.upgrade().is_none());
    }
}
