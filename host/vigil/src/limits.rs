//! What the system lets this process use, looked at before anything depends on it: a runtime that finds no descriptor in
//! the middle of its work panics, and a panic without memory must not ask for more.

use std::fs;
use std::io::Write as _;
use std::panic::PanicHookInfo;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::failure::Failure;

/// Files that may be opened besides those that are open already: a pass holds about a dozen at once, among them the
/// journal with what SQLite puts beside it, the runtime's own, connections to GitHub, and the pipes of a child.
pub(crate) const FILES_FREE_MIN: u64 = 32;

/// Address space that a backtrace may take: it maps the program and its debug information.
const BACKTRACE_BYTES: usize = 512 << 20;

/// Sees to it that enough files can be opened: raises the limit as far as that is allowed.
///
/// # Errors
/// When the limit stays too low, with the limit and how to raise it.
pub(crate) fn provide_files() -> Result<(), Failure> {
    let limit = getrlimit(Resource::Nofile);
    // One of them is the folder that is being read.
    let open = match fs::read_dir("/proc/self/fd") {
        Ok(open) => Some(open.count().saturating_sub(1) as u64),
        // Too many are open to look; or there is no /proc, and what is open is not known.
        Err(error) if error.raw_os_error() == Some(EMFILE) => limit.current,
        Err(_) => None,
    };
    let needed = open.unwrap_or_default().saturating_add(FILES_FREE_MIN);
    if limit.current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    let raised = limit.maximum.map_or(needed, |most| most.min(needed));
    if raised >= needed {
        let raised = Rlimit {
            current: Some(raised),
            maximum: limit.maximum,
        };
        if setrlimit(Resource::Nofile, raised).is_ok() {
            return Ok(());
        }
    }
    let current = limit.current.unwrap_or_default();
    Err(Failure::world(format!(
        "this process may have {current} files open at once, and vigil needs {needed}"
    ))
    .hint("raise the limit: `ulimit -n 1024` in a shell, LimitNOFILE=1024 in a systemd service"))
}

/// `EMFILE` on Linux: this process has as many files open as it may.
const EMFILE: i32 = 24;

/// Tells a defect of vigil's in one line, without asking for memory. A backtrace, where `RUST_BACKTRACE` asks for one,
/// follows only where there is room for it: without room it would take minutes, or never end.
pub(crate) fn tell_panics() {
    std::panic::set_hook(Box::new(tell_panic));
}

fn tell_panic(info: &PanicHookInfo<'_>) {
    let mut err = std::io::stderr().lock();
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("unnamed");
    let _ = writeln!(err, "a defect of vigil: thread '{name}' {info}");
    let mut room: Vec<u8> = Vec::new();
    if room.try_reserve_exact(BACKTRACE_BYTES).is_err() {
        return;
    }
    drop(room);
    let trace = std::backtrace::Backtrace::capture();
    if trace.status() == std::backtrace::BacktraceStatus::Captured {
        let _ = writeln!(err, "{trace}");
    }
}
