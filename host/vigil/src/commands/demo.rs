//! `vigil demo`: the whole real path on a made-up world, offline.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use serde::Serialize;
use vigil_core::Timestamp;
use vigil_core::time::minutes;
use vigil_model::Server;
use vigil_sources::World;

use crate::cli::{Chain, DemoArgs, StatusArgs};
use crate::config::{Config, GitHubConfig, PolicyConfig, SourceConfig};
use crate::demo::{Home, story};
use crate::environment::Environment;
use crate::failure::{EXIT_DONE, EXIT_FAILED, Failure, Outcome};
use crate::pass::How;
use crate::report::{RunReport, StatusReport};
use crate::ui::Ui;
use crate::wiring::Setup;
use crate::world::{Clocks, LiveWorld};

/// The schema of `vigil demo --json`.
pub(crate) const SCHEMA: &str = "vigil.demo/1";

#[derive(Debug, Serialize)]
struct Demo {
    schema: &'static str,
    dir: PathBuf,
    before: StatusReport,
    run: RunReport,
    after: StatusReport,
}

/// Runs the command.
pub(crate) async fn run(args: &DemoArgs, environment: Environment, ui: Ui) -> Outcome {
    let failed =
        |error: anyhow::Error| Failure::world("failed to make the demo's world").because(error);
    let dir = folder(args)?;
    let now = LiveWorld.now();
    let mut home = Home::create(&dir, now).map_err(failed)?;
    let model = story::tell(&mut home, now).map_err(failed)?;
    let sessions = home.write().map_err(failed)?;
    home.wedge(minutes(109)).map_err(failed)?;
    let server = Server::start(model, SocketAddr::from(([127, 0, 0, 1], 0)))
        .context("failed to start the model of GitHub on loopback")
        .map_err(failed)?;

    let mut environment = environment
        .without("GITHUB_TOKEN")
        .with("GH_TOKEN", story::TOKEN);
    environment.state_dir = dir.join("state");
    let setup = Setup {
        world: Arc::new(MadeUp),
        clocks: Arc::new(never_suspended),
        ..Setup::live(
            config(&home, &server.rest_url(), &server.graphql_url()),
            environment,
        )
    };
    let look = StatusArgs {
        offline: false,
        reconcile: false,
        all: true,
        chain: Chain::default(),
        source: None,
    };
    if !ui.json {
        ui.line("A made-up Vigilante home and a model of GitHub on loopback. The scheduler is wedged: it");
        ui.line("lives, it holds scan.lock, and it has written nothing for 109 minutes.");
        ui.line("");
        ui.heading("Before: vigil status");
    }
    let (before, _) = super::status::look(&look, &setup).await?;
    if !ui.json {
        super::status::print(&before, true, ui);
        ui.line("");
        ui.heading("One pass: vigil run --once --policy default.wasm");
        // Long enough to look like a hang to who does not know.
        ui.line(
            "Waits a few seconds for scan.lock, and goes on when its holder is proven to be stuck.",
        );
    }
    let (_engine, chain) = setup.chain(&["default.wasm".to_owned()])?;
    let mut reconciler = setup.reconciler(chain, None)?;
    let passed = reconciler.pass(&How::once()).await?;
    let report = passed.report(false, setup.world.now());
    if !ui.json {
        super::run::print(&report, ui);
        ui.line("");
        ui.heading("After: vigil status --all");
    }
    drop(reconciler);
    let (after, _) = super::status::look(&look, &setup).await?;
    let failed = passed.failed();
    server.shutdown();
    if ui.json {
        ui.document(&Demo {
            schema: SCHEMA,
            dir,
            before,
            run: report,
            after,
        })?;
    } else {
        super::status::print(&after, true, ui);
        files(&setup, &home, &sessions, ui);
    }
    Ok(if failed { EXIT_FAILED } else { EXIT_DONE })
}

/// The live world on a machine that has been up since yesterday: the story's silence of 109 minutes began on it, while
/// the real machine may have been booted, or have slept, in between.
struct MadeUp;

impl World for MadeUp {
    fn now(&self) -> Timestamp {
        LiveWorld.now()
    }

    fn pause(&self, span: Duration) {
        LiveWorld.pause(span);
    }

    fn booted_at(&self) -> Option<Timestamp> {
        Some(self.now().before(minutes(24 * 60)))
    }
}

fn never_suspended(world: &dyn World) -> Clocks {
    let clocks = Clocks::read(world);
    Clocks {
        boot_ms: clocks.awake_ms,
        ..clocks
    }
}

fn folder(args: &DemoArgs) -> Result<PathBuf, Failure> {
    let failed = |error: std::io::Error| {
        Failure::world("failed to make a folder for the demo").because(error)
    };
    match &args.dir {
        None => Ok(tempfile::Builder::new()
            .prefix("vigil-demo-")
            .tempdir()
            .map_err(failed)?
            .keep()),
        Some(dir) => {
            let taken = dir.exists() && std::fs::read_dir(dir).map_err(failed)?.next().is_some();
            if taken {
                return Err(Failure::request(format!("{} is not empty", dir.display()))
                    .hint("name a new folder: the demo deletes nothing"));
            }
            std::fs::create_dir_all(dir).map_err(failed)?;
            Ok(dir.clone())
        }
    }
}

fn config(home: &Home, rest: &str, graphql: &str) -> Config {
    let source = SourceConfig {
        home: Some(home.vigilante()),
        ..SourceConfig::vigilante()
    };
    Config {
        source: [("vigilante".to_owned(), source)].into(),
        policy: vec![PolicyConfig::of("default.wasm")],
        github: GitHubConfig {
            api_url: Some(rest.to_owned()),
            graphql_url: Some(graphql.to_owned()),
            ..GitHubConfig::default()
        },
        ..Config::default()
    }
}

fn files(setup: &Setup, home: &Home, sessions: &std::path::Path, ui: Ui) {
    let state = &setup.environment.state_dir;
    ui.line("");
    ui.heading("Where things are");
    ui.line(format!("records    {}", sessions.display()));
    ui.line(format!(
        "worktrees  {}",
        home.repository().join(".worktrees").display()
    ));
    ui.line(format!(
        "journal    {}",
        state.join("vigil.sqlite").display()
    ));
    ui.line(format!("backup     {}", state.join("backups").display()));
    ui.line("");
    ui.heading("Look further");
    let home = home.vigilante().display().to_string();
    // The program that is running, which need not be on anybody's PATH.
    let program = std::env::current_exe()
        .map_or_else(|_| "vigil".to_owned(), |path| path.display().to_string());
    let prefix = format!(
        "VIGIL_STATE_DIR={} VIGILANTE_HOME={home} {program}",
        state.display()
    );
    ui.line(format!("{prefix} history"));
    ui.line(format!("{prefix} status --offline --all"));
}
