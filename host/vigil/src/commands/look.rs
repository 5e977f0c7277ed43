//! `vigil look`: the hidden command of the processes that look at files for vigil, so that it can end them. Nobody types it.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::failure::{EXIT_DONE, Failure, Outcome};

/// 2 GiB of addresses: a look takes some 100 MiB of them, however large a repository is. What an agent made to cost more
/// ends this process and no other.
const MEMORY_BYTES_MAX: u64 = 2 << 30;

/// Answers the questions of the vigil that started this process.
pub(super) fn run() -> Outcome {
    for (resource, most) in [(Resource::As, MEMORY_BYTES_MAX), (Resource::Core, 0)] {
        confine(resource, most)
            .map_err(|error| Failure::world("failed to limit a look").because(error))?;
    }
    vigil_sources::vigilante::help(io::stdin().lock(), io::stdout().lock())
        .map_err(|error| Failure::world("failed to read what to look at").because(error))?;
    Ok(EXIT_DONE)
}

/// At most `most` of `resource` from here on. A limit that is lower already stays.
fn confine(resource: Resource, most: u64) -> io::Result<()> {
    let own = getrlimit(resource);
    let lower = |own: Option<u64>| Some(own.map_or(most, |own| own.min(most)));
    let confined = Rlimit {
        current: lower(own.current),
        maximum: lower(own.maximum),
    };
    Ok(setrlimit(resource, confined)?)
}
