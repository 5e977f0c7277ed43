//! What can be typed.

mod listen;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::Span;

/// Makes the records of coding-agent sessions true again.
///
/// vigil reads the sessions that agent managers recorded, asks GitHub about their issues and pull requests, lets WASM
/// policy components decide, checks every decision against guards, and writes it back safely.
#[derive(Debug, Parser)]
#[command(name = "vigil", version, max_term_width = 100, after_help = EXIT_CODES)]
pub struct Cli {
    /// Configuration file [default: config.toml in vigil's folder of the XDG configuration]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print the result as one JSON document
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 done, sessions that were held included; 1 a source, GitHub or a write \
failed; 2 the request cannot be carried out; 4 a policy's tests failed";

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Reconcile: look at every session that is due, and write back what changed
    Run(RunArgs),
    /// Show what is true now: recorded and judged
    Status(StatusArgs),
    /// Explain why a session is in its state, and what would move it
    Explain(SessionArg),
    /// Show the transitions, from the journal
    History(HistoryArgs),
    /// Take a transition back, unless the record changed since
    Undo(UndoArgs),
    /// Stop writing, to everything or to one source; judging goes on
    Pause(SourceArg),
    /// Write again
    Resume(SourceArg),
    /// Say that a mass change is real, so that the held sessions may move
    Ack(SourceArg),
    /// Test and inspect policies
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Send a notice to see that it arrives
    #[command(subcommand)]
    Notify(NotifyCommand),
    /// Run the whole path on made-up sessions and a model of GitHub, offline
    Demo(DemoArgs),
    /// Show the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Check what vigil needs: sources, token, clock, locks, webhooks
    Doctor(DoctorArgs),
    /// Compile a policy that comes on standard input: what vigil starts itself
    #[command(hide = true)]
    CompilePolicy {
        /// What it may use up, as JSON
        job: String,
    },
    /// Look at files for another vigil, which can end it when a mount does not answer
    #[command(hide = true)]
    Look,
    /// Print a script that completes vigil's commands in a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// Which policies speak.
#[derive(Debug, Default, Args)]
pub struct Chain {
    /// Policy component: a built-in (default.wasm), or a file (./default.wasm); several make a chain [default: the configured ones]
    #[arg(long = "policy", value_name = "POLICY")]
    pub policies: Vec<String>,
}

/// `vigil run`
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Make one pass and stop
    #[arg(long)]
    pub once: bool,
    #[command(flatten)]
    #[allow(missing_docs, reason = "a comment here would become text of --help")]
    pub chain: Chain,
    /// Say what would be asked and done, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// From the start of one pass to the start of the next [default: 1m]
    #[arg(long, value_name = "SPAN", conflicts_with = "once")]
    pub interval: Option<Span>,
    /// Only this source
    #[arg(long, value_name = "SOURCE")]
    pub source: Option<String>,
    /// Let GitHub's webhooks wake it: where to take them, by default 127.0.0.1:8737
    #[arg(long, value_name = "ADDRESS", value_parser = listen::address, num_args = 0..=1,
          default_missing_value = listen::DEFAULT, conflicts_with_all = ["once", "dry_run"])]
    pub listen: Option<SocketAddr>,
}

/// `vigil status`
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Ask nobody: the records, this machine and what GitHub said last
    #[arg(long, conflicts_with = "reconcile")]
    pub offline: bool,
    /// Write back what was judged, as `vigil run --once` would
    #[arg(long)]
    pub reconcile: bool,
    /// List settled sessions too; --json always has them
    #[arg(long)]
    pub all: bool,
    #[command(flatten)]
    #[allow(missing_docs, reason = "a comment here would become text of --help")]
    pub chain: Chain,
    /// Only this source
    #[arg(long, value_name = "SOURCE")]
    pub source: Option<String>,
}

/// One session.
#[derive(Debug, Args)]
pub struct SessionArg {
    /// The session, for example owner/repo#299, or SOURCE:owner/repo#299
    pub session: String,
    #[command(flatten)]
    #[allow(missing_docs, reason = "a comment here would become text of --help")]
    pub chain: Chain,
}

/// `vigil history`
#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// The session, for example owner/repo#299 [default: all]
    pub session: Option<String>,
    /// At most this many, newest first
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: u32,
}

/// `vigil undo`
#[derive(Debug, Args)]
pub struct UndoArgs {
    /// The transition, for example t42; see `vigil history`
    pub transition: String,
}

/// All, or one source.
#[derive(Debug, Args)]
pub struct SourceArg {
    /// Only this source [default: all]
    #[arg(long, value_name = "SOURCE")]
    pub source: Option<String>,
}

/// `vigil policy ...`
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Run fixtures through a policy, under the limits that `run` uses
    Test(PolicyTestArgs),
    /// Print the JSON Schema of fixtures: every key, with its meaning
    Schema,
    /// Show what a component says about itself
    Inspect {
        /// A built-in (default.wasm), or a file (./default.wasm)
        policy: String,
    },
}

/// `vigil policy test`
#[derive(Debug, Args)]
pub struct PolicyTestArgs {
    /// A policy's folder (its component and its cases/), or fixture files with --policy [default: this folder]
    pub paths: Vec<PathBuf>,
    /// The component to test: a built-in (default.wasm), or a file (./default.wasm)
    #[arg(long, value_name = "POLICY")]
    pub policy: Option<String>,
    /// Only cases whose name contains this
    #[arg(long, value_name = "TEXT")]
    pub filter: Option<String>,
    /// Write the results as JUnit XML
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// How much to print
    #[arg(long, value_enum, default_value_t)]
    pub show: Show,
}

/// How much `policy test` prints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Show {
    /// Failures and the summary
    #[default]
    Failures,
    /// Every case
    All,
}

/// `vigil notify ...`
#[derive(Debug, Subcommand)]
pub enum NotifyCommand {
    /// Send a test notice over every configured way
    Test,
}

/// `vigil demo`
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Where to put the made-up world [default: a new folder, which is kept]
    #[arg(long, value_name = "FOLDER")]
    pub dir: Option<PathBuf>,
}

/// `vigil doctor`
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Whether `vigil run` could take webhooks there, by default 127.0.0.1:8737
    #[arg(long, value_name = "ADDRESS", value_parser = listen::address, num_args = 0..=1,
          default_missing_value = listen::DEFAULT)]
    pub listen: Option<SocketAddr>,
}

/// `vigil config ...`
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print where the configuration file is, or would be
    Path,
    /// Print every key with the value that counts
    Show,
    /// Say whether the file, its policies and the files that it names are right
    Check,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_an_address_only_this_machine_is_listened_to() {
        for (words, expected) in [
            (&["vigil", "run"][..], None),
            (&["vigil", "run", "--listen"], Some("127.0.0.1:8737")),
            (&["vigil", "run", "--listen", "[::1]:1"], Some("[::1]:1")),
        ] {
            let cli = Cli::try_parse_from(words).expect("words that it takes");
            let Command::Run(args) = cli.command else {
                panic!("{words:?} is another command");
            };
            assert_eq!(args.listen.map(|at| at.to_string()).as_deref(), expected);
        }
    }
}
