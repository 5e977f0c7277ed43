//! One instance of a policy: what it runs in, and what it may use up.

use std::fmt;

use vigil_core::verdict::PolicyFailure;
use wasmtime::component::{Instance, InstancePre};
use wasmtime::{ResourceLimiter, Store};

use crate::engine::{Engine, TABLE_ELEMENTS_MAX};
use crate::failure;

/// What the host keeps beside an instance.
pub(crate) struct Guest {
    memory_bytes_left: usize,
    /// It asked for more memory than there was. Kept, since what a guest makes of a refusal is its own matter, and a
    /// policy that lives on with less memory would decide differently.
    pub(crate) denied: bool,
    /// The machine had no memory for it.
    pub(crate) no_memory: bool,
}

/// Runs `call` on a fresh instance and says how much fuel it took. The instance is gone afterwards: no state leaks
/// from one batch into the next, and a trap poisons nothing.
///
/// May wait for other instances to end, and computes for up to the deadline: not for async threads.
pub(crate) fn with_fresh<T>(
    engine: &Engine,
    pre: &InstancePre<Guest>,
    call: impl FnOnce(&mut Store<Guest>, &Instance) -> wasmtime::Result<T>,
) -> Result<(T, u64), PolicyFailure> {
    let limits = engine.limits();
    let slot = engine.slot();
    let mut store = Store::new(
        engine.wasmtime(),
        Guest {
            memory_bytes_left: limits.memory_bytes,
            denied: false,
            no_memory: false,
        },
    );
    store.limiter(|guest| guest);
    store.set_hostcall_fuel(limits.answer_bytes);
    // Armed just before the guest's first instruction, which may be in a start function. The wait for a slot is over.
    let outcome = store.set_fuel(limits.fuel).and_then(|()| {
        store.set_epoch_deadline(engine.deadline_ticks());
        let instance = pre.instantiate(&mut store)?;
        let answer = call(&mut store, &instance)?;
        let fuel = limits.fuel.saturating_sub(store.get_fuel()?);
        Ok((answer, fuel))
    });
    let outcome = outcome.map_err(|error| failure::of_call(&error, store.data(), limits));
    // The instance goes back to the pool before the slot says that there is room.
    drop(store);
    drop(slot);
    outcome
}

/// The error behind a refused growth of memory.
#[derive(Debug)]
pub(crate) struct OutOfMemory;

impl fmt::Display for OutOfMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the policy asked for more memory than it gets")
    }
}

impl std::error::Error for OutOfMemory {}

impl ResourceLimiter for Guest {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let more = desired.saturating_sub(current);
        match self.memory_bytes_left.checked_sub(more) {
            Some(left) => {
                self.memory_bytes_left = left;
                Ok(true)
            }
            // A trap and not a refusal: how a guest copes with less memory is nothing that a decision may rest on.
            None => {
                self.denied = true;
                Err(OutOfMemory.into())
            }
        }
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        // The machine is short of memory, or the memory's own maximum is reached. The first must not look like an
        // answer either; the second is the policy's own choice and the same everywhere.
        if failure::is_of_machine(&error) {
            self.no_memory = true;
            return Err(OutOfMemory.into());
        }
        Ok(())
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= TABLE_ELEMENTS_MAX)
    }
}
