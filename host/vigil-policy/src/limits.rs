//! What a policy may use up. One struct, so that `run` and `policy test` cannot drift apart.

use std::time::Duration;

/// The bounds of one call into a policy, and of the component itself.
///
/// A batch runs under the limits of one evidence, which have room to spare; when it traps or runs out, the host judges
/// its sessions one by one, so that only the guilty one is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Fuel for one call, in wasmtime's units (about one for each instruction). This is the limit that counts, since
    /// it stops a policy at the same instruction on every machine.
    ///
    /// 100 million: a Rust policy spends some 5,000 on a full evidence, a JavaScript one 60,000, a Python one a few
    /// million with its start-up; a batch of 100 of the dearest still fits ten times over. An endless loop burns it
    /// in about 25 ms.
    pub fuel: u64,
    /// The wall-clock deadline of one call, measured from just before it. A safety net under the fuel, for what fuel
    /// counts too cheaply; it is not the same on every machine, so it lies far beyond what the fuel lasts.
    ///
    /// 1 s: forty times what the whole fuel takes on an idle machine, so that load alone does not hold a session.
    pub deadline: Duration,
    /// All linear memory of one instance together, in bytes.
    ///
    /// 64 MiB: CPython's policies live in 20, everything else in far less; sixteen instances at once stay near 1 GiB.
    pub memory_bytes: usize,
    /// The stack that a policy's calls may use, in bytes; at most [`Limits::STACK_BYTES_MAX`].
    ///
    /// 512 KiB: language runtimes recurse that deep, and a thread of the host has four times as much.
    pub stack_bytes: usize,
    /// The size of a component, in bytes, checked before anything reads it.
    ///
    /// 32 MiB: CPython's components have 18; the compiler works on no more than this for anybody.
    pub component_bytes: usize,
    /// What the answers to one call may hold together, in bytes: the host lifts no more than this out of a guest.
    ///
    /// 1 MiB: a batch of 100 decisions is near 30 KB, and one with 100 full memos has half of it.
    pub answer_bytes: usize,
    /// What one decision may hold, all its texts together, in bytes. The journal keeps it.
    ///
    /// 64 KiB: the longest comment that the forge takes, with a memo beside it, comes close.
    pub decision_bytes: usize,
}

impl Limits {
    /// The largest stack that may be configured, in bytes: half of the 2 MiB that the host's threads have.
    pub const STACK_BYTES_MAX: usize = 1 << 20;

    /// The largest memory that may be configured, in bytes: a linear memory has 32-bit addresses, and the pool
    /// reserves this much address space for each anyway.
    pub const MEMORY_BYTES_MAX: usize = 4 << 30;

    /// What is wrong with these limits, or `None`.
    pub(crate) fn fault(&self) -> Option<String> {
        let zero = [
            ("fuel", self.fuel == 0),
            ("deadline", self.deadline.is_zero()),
            ("memory_bytes", self.memory_bytes == 0),
            ("stack_bytes", self.stack_bytes == 0),
            ("component_bytes", self.component_bytes == 0),
            ("answer_bytes", self.answer_bytes == 0),
            ("decision_bytes", self.decision_bytes == 0),
        ];
        if let Some((name, _)) = zero.into_iter().find(|(_, is_zero)| *is_zero) {
            return Some(format!(
                "{name} is zero, so that no policy could ever answer"
            ));
        }
        if self.stack_bytes > Self::STACK_BYTES_MAX {
            return Some(format!(
                "stack_bytes is {}, more than the {} that a thread can spare",
                self.stack_bytes,
                Self::STACK_BYTES_MAX
            ));
        }
        if self.memory_bytes > Self::MEMORY_BYTES_MAX {
            return Some(format!(
                "memory_bytes is {}, more than the {} that a policy can address",
                self.memory_bytes,
                Self::MEMORY_BYTES_MAX
            ));
        }
        None
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            fuel: 100_000_000,
            deadline: Duration::from_secs(1),
            memory_bytes: 64 << 20,
            stack_bytes: 512 << 10,
            component_bytes: 32 << 20,
            answer_bytes: 1 << 20,
            decision_bytes: 64 << 10,
        }
    }
}

/// The most sessions that one call judges. More bring nothing: at 100 the cost of the instance is already a small
/// part of each (11 µs fresh against 1.6 µs in a batch).
pub const BATCH_SESSIONS_MAX: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_usable() {
        assert_eq!(Limits::default().fault(), None);
    }

    #[test]
    fn a_limit_that_stops_everything_or_nothing_is_named() {
        let with = |change: fn(&mut Limits)| {
            let mut limits = Limits::default();
            change(&mut limits);
            limits.fault().unwrap_or_default()
        };
        assert!(with(|limits| limits.fuel = 0).starts_with("fuel is zero"));
        assert!(with(|limits| limits.stack_bytes = 2 << 20).starts_with("stack_bytes is 2097152"));
        assert!(with(|limits| limits.memory_bytes = 5 << 30).starts_with("memory_bytes is"));
    }
}
