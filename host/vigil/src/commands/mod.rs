//! The commands: one file each, named as the user types it.

mod ack;
mod compile_policy;
mod completions;
mod config;
mod demo;
mod doctor;
mod explain;
mod history;
mod look;
mod notify_test;
mod pause;
mod policy_inspect;
mod policy_schema;
mod policy_test;
mod run;
mod status;
mod undo;

use std::io::IsTerminal as _;

use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use vigil_core::SessionId;

use crate::cli::{Cli, Command, ConfigCommand, NotifyCommand, PolicyCommand};
use crate::config as settings;
use crate::environment::Environment;
use crate::failure::{Failure, Outcome};
use crate::limits;
use crate::ui::{self, Bar, Ui};
use crate::wiring::Setup;

/// Runs a command and gives its exit code.
pub fn main(cli: Cli) -> u8 {
    // Before anything reads an environment or a file: it gets none.
    if let Command::CompilePolicy { job } = &cli.command {
        return compile_policy::run(job);
    }
    let ui = Ui { json: cli.json };
    limits::tell_panics();
    match limits::provide_files().and_then(|()| dispatch(cli, ui)) {
        Ok(code) => code,
        Err(failure) => {
            ui.failure(&failure);
            failure.kind.exit_code()
        }
    }
}

fn dispatch(cli: Cli, ui: Ui) -> Outcome {
    // It serves another vigil, and needs nothing else.
    if let Command::Look = cli.command {
        return look::run();
    }
    let environment = Environment::read()
        .map_err(|error| Failure::request("failed to read the environment").because(error))?;
    let bar = Bar::new(ui);
    start_log(&cli.command, &environment, &bar)?;
    // These work whatever the configuration says.
    match &cli.command {
        Command::Completions { shell } => return completions::run(*shell),
        Command::Demo(args) => return on_runtime(demo::run(args, environment, ui)),
        Command::Policy(PolicyCommand::Test(args)) => {
            return policy_test::run(args, &environment, ui);
        }
        Command::Policy(PolicyCommand::Schema) => return policy_schema::run(ui),
        Command::Policy(PolicyCommand::Inspect { policy }) => {
            return policy_inspect::run(policy, &environment, ui);
        }
        _ => {}
    }
    let loaded = settings::load(cli.config.as_deref(), &environment)?;
    let setup = Setup::live(loaded.config.clone(), environment);
    // Doctor and `config check` tell it among their findings.
    if matches!(
        cli.command,
        Command::Run(_) | Command::Status(_) | Command::Explain(_)
    ) {
        for (what, hint) in setup.notes() {
            ui.remark(format!(
                "{}: {what}; {hint}",
                ui::styled(ui::NOTICE, "note")
            ));
        }
    }
    match &cli.command {
        Command::Run(args) => on_runtime(run::run(args, setup, ui, &bar)),
        Command::Status(args) => on_runtime(status::run(args, setup, ui)),
        Command::Explain(args) => on_runtime(explain::run(args, setup, ui)),
        Command::History(args) => history::run(args, &setup, ui),
        Command::Undo(args) => on_runtime(undo::run(args, &setup, ui)),
        Command::Pause(args) => pause::pause(args, &setup, ui),
        Command::Resume(args) => pause::resume(args, &setup, ui),
        Command::Ack(args) => ack::run(args, &setup, ui),
        Command::Notify(NotifyCommand::Test) => notify_test::run(&setup, ui),
        Command::Config(ConfigCommand::Path) => config::path(&loaded, ui),
        Command::Config(ConfigCommand::Show) => config::show(&loaded, &setup, ui),
        Command::Config(ConfigCommand::Check) => config::check(&loaded, &setup, ui),
        Command::Doctor(args) => on_runtime(doctor::run(args, setup, &loaded, ui)),
        Command::Completions { .. }
        | Command::CompilePolicy { .. }
        | Command::Demo(_)
        | Command::Look
        | Command::Policy(_) => Ok(0),
    }
}

fn on_runtime(command: impl Future<Output = Outcome>) -> Outcome {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::world("failed to start the runtime").because(error))?
        .block_on(command)
}

/// Events go to standard error. The daemon tells its moves; other commands only what went wrong.
fn start_log(command: &Command, environment: &Environment, bar: &Bar) -> Result<(), Failure> {
    let daemon = matches!(command, Command::Run(args) if !args.once);
    let usual = if daemon { "vigil=info,warn" } else { "off" };
    let wanted = environment.get("VIGIL_LOG").unwrap_or(usual);
    let filter = tracing_subscriber::EnvFilter::try_new(wanted).map_err(|error| {
        Failure::request(format!("VIGIL_LOG is \"{wanted}\", which is no filter")).because(error)
    })?;
    let colour = std::io::stderr().is_terminal() && environment.get("NO_COLOR").is_none();
    let bar = bar.clone();
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(move || bar.beside(std::io::stderr()))
        .with_ansi(colour)
        .with_target(false);
    // The client that posts to webhooks logs whole addresses, which hold secrets: not even a trace shows them.
    let is_told = filter_fn(|event| !event.target().starts_with("ureq"));
    // A second start, in one process, keeps the first one's log.
    let _ = tracing_subscriber::registry()
        .with(filter)
        .with(is_told)
        .with(lines)
        .try_init();
    Ok(())
}

/// The session that a person means: its id, with or without its source's name before it.
fn session_named(name: &str, setup: &Setup, known: &[SessionId]) -> Result<SessionId, Failure> {
    let matches: Vec<&SessionId> = known
        .iter()
        .filter(|id| id.id == name || id.to_string() == name)
        .collect();
    match matches.as_slice() {
        [one] => Ok((*one).clone()),
        [] => {
            let near: Vec<&str> = known
                .iter()
                .filter(|id| id.id.contains(name) || name.contains(&id.id))
                .take(5)
                .map(|id| id.id.as_str())
                .collect();
            let sources: Vec<&str> = setup.config.source.keys().map(String::as_str).collect();
            let failure = Failure::request(format!(
                "there is no session {name} in {}",
                sources.join(", ")
            ));
            Err(if near.is_empty() {
                failure.hint("`vigil status --all` lists all sessions")
            } else {
                failure.hint(format!("did you mean {}?", near.join(" or ")))
            })
        }
        several => {
            let names: Vec<String> = several.iter().map(ToString::to_string).collect();
            Err(
                Failure::request(format!("several sources have a session {name}"))
                    .hint(format!("name one: {}", names.join(", "))),
            )
        }
    }
}
