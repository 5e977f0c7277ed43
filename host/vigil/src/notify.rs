//! Notices to people: a program and a webhook. What is to be sent waits in the store until it was delivered, so that a
//! crash in between repeats it; each notice has a key, so that it is sent once.

use std::io::{ErrorKind, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};
use serde::{Deserialize, Serialize};
use vigil_sources::World;
use vigil_sources::machine::child::ChildEnvironment;

use crate::config::NotifyConfig;

/// The schema of a notice.
pub const SCHEMA: &str = "vigil.notice/1";

/// How long the program may take.
pub const COMMAND_TIMEOUT: Duration = Duration::from_secs(30);

/// How long the webhook may take.
pub const WEBHOOK_TIMEOUT: Duration = Duration::from_secs(10);

/// A notice, as the program reads it from standard input and the webhook from the body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// [`SCHEMA`].
    pub schema: String,
    /// `alert`, `resolved`, `unsaved-work`, `intent` or `test`.
    pub kind: String,
    /// The same notice has the same key, so that a receiver can drop a repetition.
    pub key: String,
    /// One sentence.
    pub text: String,
    /// The session it is about, if it is about one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub session: Option<String>,
    /// Since when, RFC 3339.
    pub since: String,
}

/// The ways that the configuration names.
#[derive(Clone)]
pub struct Notifier {
    config: NotifyConfig,
    environment: ChildEnvironment,
    world: Arc<dyn World>,
}

impl Notifier {
    /// The ways that `config` names. `environment` is all that a program is told of vigil's.
    pub fn new(config: NotifyConfig, environment: ChildEnvironment, world: Arc<dyn World>) -> Self {
        Notifier {
            config,
            environment,
            world,
        }
    }

    /// Whether there is any way at all.
    pub fn is_configured(&self) -> bool {
        !self.config.command.is_empty() || self.config.webhook.is_some()
    }

    /// Sends `notice` every way. Blocks for at most [`COMMAND_TIMEOUT`] and [`WEBHOOK_TIMEOUT`]. An error names each
    /// way that failed; then the notice is sent again every way, and its key tells receivers that they know it.
    pub fn send(&self, notice: &Notice) -> Result<()> {
        let body = serde_json::to_vec(notice).context("failed to write the notice")?;
        let mut failed = Vec::new();
        if let [program, arguments @ ..] = self.config.command.as_slice()
            && let Err(error) = self.run(program, arguments, &body)
        {
            failed.push(format!("{error:#}"));
        }
        if let Some(address) = &self.config.webhook
            && let Err(error) = post(address, &body)
        {
            failed.push(format!("{error:#}"));
        }
        if failed.is_empty() {
            Ok(())
        } else {
            bail!("{}", failed.join("; "))
        }
    }

    fn run(&self, program: &str, arguments: &[String], body: &[u8]) -> Result<()> {
        let mut command = Command::new(program);
        self.environment
            .give(&mut command)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Its own group, so that what it starts can be ended with it.
            .process_group(0);
        let mut child = command
            .spawn()
            .with_context(|| format!("failed to start {program}"))?;
        let mut input = Input::new(child.stdin.take(), body);
        let until = self.world.now().after(COMMAND_TIMEOUT);
        loop {
            input.write();
            if let Some(status) = child
                .try_wait()
                .with_context(|| format!("failed to wait for {program}"))?
            {
                if status.success() {
                    return Ok(());
                }
                bail!("{program} ended with {status}");
            }
            if self.world.now() >= until {
                // It is our own child, started for this notice, and has not been waited for: its number is its own.
                let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
                let _ = child.wait();
                bail!(
                    "{program} did not end within {} s",
                    COMMAND_TIMEOUT.as_secs()
                );
            }
            self.world.pause(Duration::from_millis(20));
        }
    }
}

/// What a program reads. It is never waited for: one that does not read, or whose child keeps the other end, is none of
/// our business; its exit code is.
struct Input<'a> {
    /// `None`: all is written, or nobody reads.
    pipe: Option<ChildStdin>,
    left: &'a [u8],
}

impl<'a> Input<'a> {
    fn new(pipe: Option<ChildStdin>, left: &'a [u8]) -> Self {
        let pipe = pipe.filter(|pipe| rustix::io::ioctl_fionbio(pipe, true).is_ok());
        Input { pipe, left }
    }

    /// Writes what there is room for, and closes the pipe when nothing is left.
    fn write(&mut self) {
        while let Some(pipe) = &mut self.pipe {
            match pipe.write(self.left) {
                Ok(written) if written > 0 && written < self.left.len() => {
                    self.left = &self.left[written..];
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                _ => self.pipe = None,
            }
        }
    }
}

fn post(address: &str, body: &[u8]) -> Result<()> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(WEBHOOK_TIMEOUT))
        .max_redirects(0)
        .http_status_as_error(false)
        .user_agent(concat!("vigil/", env!("CARGO_PKG_VERSION")))
        .build()
        .into();
    // The address may hold a secret, so it stays out of errors; the configuration has only this one.
    let response = agent
        .post(address)
        .header("content-type", "application/json")
        .send(body)
        .map_err(|error| {
            anyhow::anyhow!("the webhook could not be reached ({})", name_of(&error))
        })?;
    if !response.status().is_success() {
        bail!("the webhook answered {}", response.status());
    }
    Ok(())
}

/// The kind of an HTTP error, without the address.
fn name_of(error: &ureq::Error) -> &'static str {
    match error {
        ureq::Error::Timeout(_) => "it took too long",
        ureq::Error::HostNotFound => "its host was not found",
        ureq::Error::ConnectionFailed => "no connection",
        ureq::Error::Io(_) => "the connection broke",
        ureq::Error::BadUri(_) => "its address is none",
        _ => "the request failed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::LiveWorld;

    #[test]
    fn a_program_that_reads_nothing_and_leaves_the_pipe_to_a_child_keeps_nobody_waiting() {
        let folder = tempfile::tempdir().expect("a folder");
        let left = folder.path().join("left");
        let script = format!("sleep 600 <&0 & echo $! > {}", left.display());
        let config = NotifyConfig {
            command: vec!["/bin/sh".to_owned(), "-c".to_owned(), script],
            ..NotifyConfig::default()
        };
        let notice = Notice {
            schema: SCHEMA.to_owned(),
            kind: "test".to_owned(),
            key: "test".to_owned(),
            // More than any pipe holds.
            text: "x".repeat(4 << 20),
            session: None,
            since: String::new(),
        };
        let notifier = Notifier::new(config, ChildEnvironment::default(), Arc::new(LiveWorld));
        let sent = notifier.send(&notice);
        let pid = std::fs::read_to_string(&left).expect("it ran");
        let pid = pid.trim().parse().ok().and_then(Pid::from_raw);
        // What a program leaves behind after it ended well is its own affair.
        rustix::process::kill_process(pid.expect("a pid"), Signal::KILL).expect("still there");
        sent.expect("exit code 0 is what counts");
    }
}
