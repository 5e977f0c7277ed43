//! How a call into a policy went wrong.

use rustix::io::Errno;
use vigil_core::verdict::PolicyFailure;
use wasmtime::{Trap, WasmBacktrace};

use crate::guest::{Guest, OutOfMemory};
use crate::limits::Limits;

/// The ways in which a policy fails to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// It stopped itself: a panic, an unreachable, an access out of bounds.
    Trap,
    /// It used up its fuel.
    OutOfFuel,
    /// It was still at it when the deadline passed.
    Deadline,
    /// It asked for more memory than it gets.
    OutOfMemory,
    /// Its calls nest deeper than its stack.
    StackOverflow,
    /// It answered, and the answer makes no sense.
    Nonsense,
    /// It said itself that it failed.
    Error,
    /// It failed too often in a row and was not asked.
    Quarantined,
    /// The machine had no memory for it: no fault of the policy's, so that nobody speaks in its place and nothing is
    /// counted against it.
    HostMemory,
}

impl FailureKind {
    /// The code in `explain` and in the journal.
    pub fn as_str(self) -> &'static str {
        match self {
            FailureKind::Trap => "trap",
            FailureKind::OutOfFuel => "out-of-fuel",
            FailureKind::Deadline => "deadline",
            FailureKind::OutOfMemory => "out-of-memory",
            FailureKind::StackOverflow => "stack-overflow",
            FailureKind::Nonsense => "nonsense",
            FailureKind::Error => "error",
            FailureKind::Quarantined => "quarantined",
            FailureKind::HostMemory => "host-memory",
        }
    }

    /// Whether `failed` is of this kind.
    pub fn is(self, failed: &PolicyFailure) -> bool {
        failed.kind == self.as_str()
    }
}

/// The longest detail that is kept, in bytes: a policy may choose the words.
const DETAIL_BYTES_MAX: usize = 500;

/// A failure that does not pass; a chain that is told otherwise sets `passes`.
pub(crate) fn failure(kind: FailureKind, detail: &str) -> PolicyFailure {
    PolicyFailure {
        kind: kind.as_str().to_owned(),
        detail: bounded(detail),
        passes: false,
    }
}

/// What wasmtime's error means.
///
/// The texts are the same on every machine: they are journaled, and a replay compares them.
pub(crate) fn of_call(error: &wasmtime::Error, guest: &Guest, limits: &Limits) -> PolicyFailure {
    if guest.no_memory || is_of_machine(error) {
        return failure(
            FailureKind::HostMemory,
            "this machine has no memory left for an instance of it; that is not the policy's doing",
        );
    }
    if guest.denied || error.downcast_ref::<OutOfMemory>().is_some() {
        return failure(
            FailureKind::OutOfMemory,
            &format!(
                "asked for more than its {} bytes of memory",
                limits.memory_bytes
            ),
        );
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::OutOfFuel) => failure(
            FailureKind::OutOfFuel,
            &format!("used up its {} units of fuel{}", limits.fuel, place(error)),
        ),
        // Where the deadline met it differs from run to run, so the place is left out.
        Some(Trap::Interrupt) => failure(
            FailureKind::Deadline,
            &format!("was not done after {} ms", limits.deadline.as_millis()),
        ),
        Some(Trap::StackOverflow) => failure(
            FailureKind::StackOverflow,
            &format!(
                "needs more than its {} bytes of stack{}",
                limits.stack_bytes,
                place(error)
            ),
        ),
        Some(trap) => failure(FailureKind::Trap, &format!("{trap}{}", place(error))),
        // No trap: the guest returned, and what it returned cannot be read.
        None => failure(
            FailureKind::Nonsense,
            &format!("its answer cannot be read: {}", error.root_cause()),
        ),
    }
}

/// Whether the system refused memory.
pub(crate) fn is_of_machine(error: &wasmtime::Error) -> bool {
    let refused = [Errno::NOMEM, Errno::AGAIN];
    let root = error.root_cause();
    root.is::<wasmtime::OutOfMemory>()
        || root
            .downcast_ref::<Errno>()
            .is_some_and(|errno| refused.contains(errno))
        || root
            .downcast_ref::<std::io::Error>()
            .and_then(Errno::from_io_error)
            .is_some_and(|errno| refused.contains(&errno))
}

/// The innermost function with a name, when the component kept names.
fn place(error: &wasmtime::Error) -> String {
    error
        .downcast_ref::<WasmBacktrace>()
        .and_then(|trace| trace.frames().iter().find_map(|frame| frame.func_name()))
        .map(|name| format!(", in {name}"))
        .unwrap_or_default()
}

/// `text` on one line, cut where it gets too long.
pub(crate) fn bounded(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.len() <= DETAIL_BYTES_MAX {
        return line;
    }
    let end = (0..=DETAIL_BYTES_MAX)
        .rev()
        .find(|at| line.is_char_boundary(*at))
        .unwrap_or_default();
    format!("{}…", &line[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_detail_is_one_bounded_line() {
        assert_eq!(bounded("a\n  b\tc"), "a b c");
        let long = bounded(&"ü".repeat(600));
        assert!(long.len() <= DETAIL_BYTES_MAX + '…'.len_utf8());
        assert!(long.ends_with('…'));
    }
}
