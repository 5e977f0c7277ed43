//! What a pass costs: 1,000 and 10,000 sessions over real HTTP on loopback, with the model of GitHub in the same
//! process, real records, the default policy and the real journal; and `status --offline`, start to exit.
//!
//! The sessions are settled in the sense that nothing moves: 70 % have an open pull request, 20 % are blocked, 10 %
//! run with a young heartbeat. Their worktrees are not there, so that nothing is looked at: that cost belongs to the machine.

#![allow(missing_docs, reason = "criterion's macros")]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use criterion::{Criterion, criterion_group, criterion_main};
use serde_json::{Value, json};
use vigil::config::{Config, GitHubConfig, PolicyConfig, SourceConfig};
use vigil::environment::Environment;
use vigil::pass::{How, Reconciler};
use vigil::ui;
use vigil::wiring::Setup;
use vigil::world::LiveWorld;
use vigil_core::time::minutes;
use vigil_model::{Handle, Model, Server};
use vigil_sources::World as _;

const TOKEN: &str = "a-token-for-the-benchmark";
const PER_REPO: usize = 50;

struct Bench {
    dir: tempfile::TempDir,
    server: Handle,
    setup: Setup,
}

impl Bench {
    fn new(sessions: usize) -> Bench {
        let dir = tempfile::tempdir().expect("a folder");
        let home = dir.path().join("vigilante");
        std::fs::create_dir_all(home.join("logs")).expect("a home");
        let now = LiveWorld.now();
        let mut model = Model::new(now.as_millis());
        model.token(TOKEN).sees_all().limits(1_000_000, 1_000_000);
        // A bench asks faster than any pass.
        model.secondary_limits(None);
        let records: Vec<Value> = (0..sessions)
            .map(|n| record(dir.path(), n, &mut model))
            .collect();
        let text = serde_json::to_string_pretty(&records).expect("JSON");
        std::fs::write(home.join("sessions.json"), text).expect("sessions.json");
        let server = Server::start(model, SocketAddr::from(([127, 0, 0, 1], 0))).expect("a server");
        let setup = setup(dir.path(), home, &server);
        Bench { dir, server, setup }
    }

    fn reconciler(&self) -> Reconciler {
        let (_engine, chain) = self.setup.chain(&[]).expect("a chain");
        self.setup.reconciler(chain, None).expect("a reconciler")
    }
}

fn record(dir: &Path, n: usize, model: &mut Model) -> Value {
    let repo = format!("acme/app-{}", n / PER_REPO);
    let number = u64::try_from(n % PER_REPO).expect("small") + 1;
    let pull = number + 1000;
    let now = LiveWorld.now();
    let (status, silent) = match n % 10 {
        0..7 => ("success", 300),
        7..9 => ("blocked", 300),
        _ => ("running", 3),
    };
    let branch = format!("vigilante/issue-{number}");
    let at = ui::moment(now.before(minutes(silent)));
    let open = status == "success";
    let issue = model.repo(&repo).issue(number);
    if open {
        issue
            .pull(pull)
            .head(&branch)
            .sha("0123456789abcdef0123456789abcdef01234567");
    }
    let mut record = json!({
        "repo_path": dir.join("nowhere"),
        "repo": repo,
        "provider": "codex",
        "issue_number": number,
        "issue_title": "A title of the usual length, about a thing that is to be made",
        "branch": branch,
        "worktree_path": dir.join(format!("nowhere/.worktrees/vigilante/issue-{number}")),
        "status": status,
        "blocked_reason": {},
        "process_id": 4_194_999,
        "started_at": at,
        "last_heartbeat_at": at,
        "updated_at": at,
    });
    if open {
        record["pull_request_number"] = json!(pull);
        record["pull_request_state"] = json!("OPEN");
    }
    record
}

fn setup(dir: &Path, home: PathBuf, server: &Handle) -> Setup {
    let mut environment = Environment::default().with("GH_TOKEN", TOKEN);
    environment.state_dir = dir.join("state");
    environment.cache_dir = dir.join("cache");
    environment.home = dir.to_owned();
    let source = SourceConfig {
        home: Some(home),
        ..SourceConfig::vigilante()
    };
    let config = Config {
        source: [("vigilante".to_owned(), source)].into(),
        policy: vec![PolicyConfig::of("default.wasm")],
        github: GitHubConfig {
            api_url: Some(server.rest_url()),
            graphql_url: Some(server.graphql_url()),
            ..GitHubConfig::default()
        },
        ..Config::default()
    };
    Setup::live(config, environment)
}

fn passes(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let mut group = criterion.benchmark_group("pass");
    group.sample_size(10);
    for sessions in [1_000, 10_000] {
        let bench = Bench::new(sessions);
        let mut reconciler = bench.reconciler();
        let first = runtime
            .block_on(reconciler.pass(&How::once()))
            .expect("a pass");
        assert_eq!(
            first.batches[0].entries.len(),
            sessions,
            "{:?}",
            first.batches[0].error
        );
        let moved = first.batches[0]
            .entries
            .iter()
            .filter(|entry| entry.transition.is_some())
            .count();
        assert_eq!(moved, 0, "the benchmark's sessions are to stay as they are");
        group.bench_function(format!("{sessions} sessions"), |timing| {
            timing.iter(|| {
                let passed = runtime
                    .block_on(reconciler.pass(&How::once()))
                    .expect("a pass");
                assert!(passed.trouble.is_none(), "{:?}", passed.trouble);
            });
        });
        drop(bench.server);
        drop(bench.dir);
    }
    group.finish();
}

fn offline_status(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let bench = Bench::new(1_000);
    let mut reconciler = bench.reconciler();
    runtime
        .block_on(reconciler.pass(&How::once()))
        .expect("a pass");
    drop(reconciler);
    let mut group = criterion.benchmark_group("status");
    group.bench_function("offline, 1000 sessions, start to exit", |timing| {
        timing.iter(|| {
            let status = Command::new(env!("CARGO_BIN_EXE_vigil"))
                .args(["status", "--offline"])
                .env("HOME", bench.dir.path())
                .env("XDG_CONFIG_HOME", bench.dir.path().join("config"))
                .env("VIGIL_STATE_DIR", bench.dir.path().join("state"))
                .env("VIGILANTE_HOME", bench.dir.path().join("vigilante"))
                .stdout(Stdio::null())
                .status()
                .expect("vigil runs");
            assert!(status.success());
        });
    });
    group.finish();
}

criterion_group!(benches, passes, offline_status);
criterion_main!(benches);
