//! What passes over 100,000 sessions cost one process: the first one, which asks about everything, and those of a
//! daemon after it, in which nothing has changed. Time and memory, each once. Run it with
//! `cargo bench -p vigil --bench scale`; a number after `--` is the count of sessions.
//!
//! 200 repositories on a model of GitHub in a process of its own; 70 % of the sessions have an open pull request, 20 %
//! are blocked, 10 % run with a young heartbeat. Their worktrees are not there, so that no git runs.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    reason = "a bench measures real time and prints it"
)]

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use vigil::config::{Config, GitHubConfig, PolicyConfig, SourceConfig};
use vigil::environment::Environment;
use vigil::pass::{How, Passed};
use vigil::ui;
use vigil::wiring::Setup;
use vigil::world::{Clocks, LiveWorld};
use vigil_core::Timestamp;
use vigil_core::time::minutes;
use vigil_model::{Model, Server};
use vigil_sources::World;

const TOKEN: &str = "a-token-for-the-benchmark";
const SESSIONS: usize = 100_000;
const REPOSITORIES: usize = 200;
const SERVE: &str = "serve";

fn main() {
    let count = std::env::args()
        .find_map(|argument| argument.parse().ok())
        .unwrap_or(SESSIONS);
    if std::env::args().any(|argument| argument == SERVE) {
        return serve(count);
    }
    let (mut github, rest, graphql) = start_github(count);
    let dir = tempfile::tempdir().expect("a folder");
    let home = dir.path().join("vigilante");
    fs::create_dir_all(home.join("logs")).expect("a home");
    let now = LiveWorld.now();
    write_records(dir.path(), &home, count, now);
    // From here on the largest use of memory is counted anew.
    fs::write("/proc/self/clear_refs", "5").expect("the kernel's account");

    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let world = Arc::new(Ahead(AtomicU64::new(0)));
    let setup = setup(dir.path(), &home, rest, graphql, &world);
    let (_engine, chain) = setup.chain(&[]).expect("a chain");
    let mut reconciler = setup.reconciler(chain, None).expect("a reconciler");
    let daemon = How {
        due_only: true,
        ..How::once()
    };
    println!("{count} sessions");
    for pass in 0..20 {
        let (begun, worked) = (Instant::now(), processor());
        let passed = runtime.block_on(reconciler.pass(&daemon)).expect("a pass");
        report(pass, &passed, begun.elapsed(), processor() - worked);
        drop(passed);
        world.0.fetch_add(60_000, Ordering::Relaxed);
    }
    drop(github.stdin.take());
    github.wait().expect("the model ends");
}

fn report(pass: usize, passed: &Passed, took: Duration, worked: f64) {
    let batch = &passed.batches[0];
    assert_eq!(batch.error, None);
    println!(
        "pass {pass:>2}: {:>6} of {} looked at, {:>5} requests, {:>5} points; {:>6.0} ms, {:>6.0} ms of processor; \
         {:>4} MB now, {:>4} MB at most",
        batch.entries.len(),
        batch.listed.len(),
        passed.github.requests,
        passed.github.points,
        took.as_secs_f64() * 1000.0,
        worked * 1000.0,
        memory("VmRSS"),
        memory("VmHWM"),
    );
    if let Some(trouble) = &passed.trouble {
        println!("         {trouble}");
    }
}

/// The live world, some milliseconds ahead: minutes pass in no time.
struct Ahead(AtomicU64);

impl Ahead {
    fn by(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl World for Ahead {
    fn now(&self) -> Timestamp {
        Timestamp(LiveWorld.now().0 + self.by())
    }

    fn pause(&self, span: Duration) {
        LiveWorld.pause(span);
    }

    fn booted_at(&self) -> Option<Timestamp> {
        LiveWorld.booted_at()
    }
}

fn setup(dir: &Path, home: &Path, rest: String, graphql: String, world: &Arc<Ahead>) -> Setup {
    let mut environment = Environment::default().with("GH_TOKEN", TOKEN);
    environment.state_dir = dir.join("state");
    environment.cache_dir = dir.join("cache");
    environment.home = dir.to_owned();
    let source = SourceConfig {
        home: Some(home.to_owned()),
        ..SourceConfig::vigilante()
    };
    let config = Config {
        source: [("vigilante".to_owned(), source)].into(),
        policy: vec![PolicyConfig {
            path: "default.wasm".to_owned(),
            on_failure: vigil::config::OnFailure::Hold,
            settings: serde_json::Map::new(),
        }],
        github: GitHubConfig {
            api_url: Some(rest),
            graphql_url: Some(graphql),
            ..GitHubConfig::default()
        },
        ..Config::default()
    };
    let ahead = Arc::clone(world);
    let clocks = move |world: &dyn World| {
        let live = Clocks::read(world);
        Clocks {
            awake_ms: live.awake_ms + ahead.by(),
            boot_ms: live.boot_ms + ahead.by(),
            ..live
        }
    };
    Setup {
        world: Arc::clone(world) as Arc<dyn World>,
        clocks: Arc::new(clocks),
        ..Setup::live(config, environment)
    }
}

struct Made {
    repo: String,
    issue: u64,
    pull: Option<u64>,
    branch: String,
    status: &'static str,
}

fn made(n: usize) -> Made {
    let issue = u64::try_from(n / REPOSITORIES).expect("small") + 1;
    let status = match n % 10 {
        0..7 => "success",
        7..9 => "blocked",
        _ => "running",
    };
    Made {
        repo: format!("acme/app-{}", n % REPOSITORIES),
        issue,
        pull: (status == "success").then_some(issue + 100_000),
        branch: format!("vigilante/issue-{issue}"),
        status,
    }
}

fn write_records(dir: &Path, home: &Path, count: usize, now: Timestamp) {
    let dir = dir.display();
    let mut text = String::from("[\n");
    for n in 0..count {
        let one = made(n);
        let (repo, issue, branch, status) = (one.repo, one.issue, one.branch, one.status);
        let silent = if status == "running" { 3 } else { 300 };
        let at = ui::moment(now.before(minutes(silent)));
        let comma = if n == 0 { "" } else { ",\n" };
        let pull = one.pull.map_or_else(String::new, |pull| {
            format!("\n    \"pull_request_number\": {pull},\n    \"pull_request_state\": \"OPEN\",")
        });
        write!(
            text,
            r#"{comma}  {{
    "repo_path": "{dir}/nowhere",
    "repo": "{repo}",
    "provider": "codex",
    "issue_number": {issue},
    "issue_title": "A title of the usual length, about a thing that is to be made",
    "issue_url": "https://github.com/{repo}/issues/{issue}",
    "base_branch": "main",
    "branch": "{branch}",
    "worktree_path": "{dir}/nowhere/.worktrees/{branch}",
    "status": "{status}",
    "blocked_reason": {{}},
    "process_id": 4194999,
    "started_at": "{at}",
    "last_heartbeat_at": "{at}",{pull}
    "updated_at": "{at}"
  }}"#
        )
        .expect("text grows");
    }
    text.push_str("\n]\n");
    fs::write(home.join("sessions.json"), text).expect("sessions.json");
}

/// The model in a process of its own, so that its memory is not counted as vigil's. It ends with its input.
fn start_github(count: usize) -> (Child, String, String) {
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .args([SERVE, &count.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the model starts");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let mut line = || lines.next().expect("a line").expect("text");
    let (rest, graphql) = (line(), line());
    (child, rest, graphql)
}

fn serve(count: usize) {
    let mut model = Model::new(LiveWorld.now().as_millis());
    model.token(TOKEN).sees_all().limits(10_000_000, 10_000_000);
    for n in 0..count {
        let one = made(n);
        let issue = model.repo(&one.repo).issue(one.issue);
        if let Some(pull) = one.pull {
            issue
                .pull(pull)
                .head(&one.branch)
                .sha("0123456789abcdef0123456789abcdef01234567");
        }
    }
    let server = Server::start(model, SocketAddr::from(([127, 0, 0, 1], 0))).expect("a server");
    println!("{}\n{}", server.rest_url(), server.graphql_url());
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}

/// Seconds that all threads of this process have worked.
fn processor() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// A line of the kernel's account of this process, in MB.
fn memory(name: &str) -> u64 {
    let text = fs::read_to_string("/proc/self/status").expect("the kernel's account");
    text.lines()
        .find(|line| line.starts_with(name))
        .and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok())
        .map_or(0, |kib| kib / 1000)
}
