//! Compiling in a process of its own, which may be killed.
//!
//! Nobody can tell from a component's structure how long a compiler works on it, or in how much memory: 200 KB of one
//! function can take a minute and two gigabytes. So the compiler runs as a child under limits of the system: memory,
//! time of the processor, size of what it writes, and a deadline on the wall. It is the same program file as its parent;
//! it gets the component on standard input, no environment and no files, and gives the machine code back on standard
//! output. That pipe is what makes the code ours: nobody but the child could write to it.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, Signal};
use serde::{Deserialize, Serialize};

use crate::compiled::FILE_BYTES_MAX;
use crate::engine::{self, Engine};
use crate::error::LoadFault;
use crate::failure;
use crate::limits::Limits;

/// The program that compiles, and what it may use up.
#[derive(Clone, Debug)]
pub struct Compiler {
    /// Its file: the running program's own.
    pub program: PathBuf,
    /// What makes it compile: it calls [`serve`] with the argument that comes after these.
    pub arguments: Vec<OsString>,
    /// What it may use up.
    pub limits: CompileLimits,
}

/// What compiling one component may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompileLimits {
    /// Address space, in bytes. 3 GiB: CPython's 18 MB take under 1, and the threads reserve some.
    pub memory_bytes: u64,
    /// Time of the processor, all threads together, in whole seconds. 120 s: CPython's take 8, an old machine four times
    /// as much.
    pub processor_secs: u64,
    /// Time on the wall. 180 s: beyond what the processor's time comes to on a machine that is not overloaded.
    pub deadline: Duration,
}

impl Default for CompileLimits {
    fn default() -> Self {
        CompileLimits {
            memory_bytes: 3 << 30,
            processor_secs: 120,
            deadline: Duration::from_secs(180),
        }
    }
}

/// Threads of the compiler. 4: more would only multiply its memory.
const THREADS: &str = "4";

/// What the child is told, as JSON in its last argument.
#[derive(Debug, Serialize, Deserialize)]
struct Job {
    pooling: bool,
    instance_memory_bytes: usize,
    stack_bytes: usize,
    component_bytes: usize,
    memory_bytes: u64,
    processor_secs: u64,
}

/// The first byte of an answer: machine code follows.
const CODE: u8 = b'C';
/// The first byte of an answer: the compiler's reason follows, as text.
const REASON: u8 = b'E';

impl Compiler {
    /// The compiled form of the component in `bytes`, for `engine`. Blocks until it is there, or was given up.
    pub(crate) fn compile(&self, engine: &Engine, bytes: &[u8]) -> Result<Vec<u8>, LoadFault> {
        let no_compiler = |cause: io::Error| LoadFault::Machine {
            what: format!("its compiler cannot be started: {cause}"),
        };
        let mut child = self.start(engine).map_err(no_compiler)?;
        let (Some(mut input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(no_compiler(io::Error::other("it has no pipes")));
        };
        let (answered, answer) = mpsc::channel();
        let ended = thread::scope(|scope| {
            // A child that dies takes no more input; why it died is told by how it ended.
            scope.spawn(move || input.write_all(bytes));
            scope.spawn(move || {
                let mut answer = Vec::new();
                let read = output
                    .take(FILE_BYTES_MAX)
                    .read_to_end(&mut answer)
                    .map(|_| answer);
                answered.send(read)
            });
            let answer = answer.recv_timeout(self.limits.deadline);
            if answer.is_err() {
                child.kill().map_err(no_compiler)?;
            }
            let status = child.wait().map_err(no_compiler)?;
            match answer {
                Ok(read) => Ok(Some((status, read.map_err(no_compiler)?))),
                Err(_) => Ok(None),
            }
        })?;
        let Some((status, answer)) = ended else {
            return Err(self.over(format!("{} s", self.limits.deadline.as_secs())));
        };
        match (status.success(), answer.split_first()) {
            (true, Some((&CODE, code))) => Ok(code.to_vec()),
            (true, Some((&REASON, reason))) => Err(LoadFault::Compile {
                what: failure::bounded(&String::from_utf8_lossy(reason)),
            }),
            _ => Err(self.died(status)),
        }
    }

    fn start(&self, engine: &Engine) -> io::Result<Child> {
        let limits = engine.limits();
        let job = Job {
            pooling: engine.is_pooling(),
            instance_memory_bytes: limits.memory_bytes,
            stack_bytes: limits.stack_bytes,
            component_bytes: limits.component_bytes,
            memory_bytes: self.limits.memory_bytes,
            processor_secs: self.limits.processor_secs,
        };
        Command::new(&self.program)
            .arg0("vigil")
            .args(&self.arguments)
            .arg(serde_json::to_string(&job)?)
            .env_clear()
            .env("RAYON_NUM_THREADS", THREADS)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // What it says when it dies is about itself.
            .stderr(Stdio::null())
            .spawn()
    }

    fn over(&self, what: String) -> LoadFault {
        LoadFault::CompilerOver { what }
    }

    /// Why a child that gave no answer gave none.
    fn died(&self, status: ExitStatus) -> LoadFault {
        let signal = status.signal().and_then(Signal::from_named_raw);
        match signal {
            Some(Signal::XCPU) => {
                self.over(format!("{} s of the processor", self.limits.processor_secs))
            }
            // Nobody here killed it.
            Some(Signal::KILL) => LoadFault::Machine {
                what: "the system killed its compiler, most likely for want of memory".to_owned(),
            },
            // It ends itself where it gets no memory.
            Some(Signal::ABORT) if self.allowed() < self.limits.memory_bytes => {
                LoadFault::Machine {
                    what: format!(
                        "its compiler may have {} bytes of memory (ulimit -v), and may need {}",
                        self.allowed(),
                        self.limits.memory_bytes
                    ),
                }
            }
            Some(Signal::ABORT) => {
                self.over(format!("{} bytes of memory", self.limits.memory_bytes))
            }
            _ => LoadFault::Compile {
                what: format!("its compiler died ({status})"),
            },
        }
    }

    /// The address space that this process, and so its child, may have at most.
    fn allowed(&self) -> u64 {
        let own = rustix::process::getrlimit(Resource::As);
        own.current.unwrap_or(u64::MAX)
    }
}

/// What the child does: limits itself as `job` says, compiles what comes on standard input, and answers on standard
/// output. It reads nothing before it is limited.
///
/// # Errors
/// Where it cannot limit itself, read or write; there is no answer then.
pub fn serve(job: &str) -> io::Result<()> {
    let job: Job = serde_json::from_str(job)?;
    job.confine()?;
    let mut bytes = Vec::new();
    let bound = u64::try_from(job.component_bytes).unwrap_or(u64::MAX);
    io::stdin().lock().take(bound).read_to_end(&mut bytes)?;
    let mut output = io::stdout().lock();
    match job.compile(&bytes) {
        Ok(code) => {
            output.write_all(&[CODE])?;
            output.write_all(&code)?;
        }
        Err(reason) => {
            output.write_all(&[REASON])?;
            output.write_all(format!("{reason:#}").as_bytes())?;
        }
    }
    output.flush()
}

impl Job {
    /// Nothing beyond these from here on, and no longer than the parent lives.
    fn confine(&self) -> io::Result<()> {
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
        for (resource, most) in [
            (Resource::Core, 0),
            (Resource::Fsize, 0),
            (Resource::As, self.memory_bytes),
            (Resource::Cpu, self.processor_secs),
        ] {
            // A limit that is lower already stays.
            let own = rustix::process::getrlimit(resource);
            let lower = |own: Option<u64>| Some(own.map_or(most, |own| own.min(most)));
            rustix::process::setrlimit(
                resource,
                Rlimit {
                    current: lower(own.current),
                    // A second later the system kills instead of asking; without a second it could only do that.
                    maximum: match resource {
                        Resource::Cpu => own.maximum.or(Some(most.saturating_add(1))),
                        _ => lower(own.maximum),
                    },
                },
            )?;
        }
        Ok(())
    }

    fn compile(&self, bytes: &[u8]) -> wasmtime::Result<Vec<u8>> {
        let limits = Limits {
            memory_bytes: self.instance_memory_bytes,
            stack_bytes: self.stack_bytes,
            ..Limits::default()
        };
        let config = engine::compiling_config(&limits, self.pooling);
        wasmtime::Engine::new(&config)?.precompile_component(bytes)
    }
}
