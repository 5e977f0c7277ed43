//! A made-up fleet: a Vigilante home on disk, the model of GitHub behind a real socket, and vigil's own parts between
//! the two. All clocks are one, which stands still unless it is moved, so that the same fleet costs the same each time.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use vigil::config::{Config, GitHubConfig, PolicyConfig, SourceConfig};
use vigil::environment::Environment;
use vigil::pass::{How, Passed, Reconciler};
use vigil::ui;
use vigil::wiring::Setup;
use vigil::world::Clocks;
use vigil_core::time::minutes;
use vigil_core::{State, Timestamp};
use vigil_model::{Handle, Model, Server};
use vigil_sources::World;

/// The one that GitHub knows.
pub(crate) const TOKEN: &str = "a-token-for-the-fleet";

/// 2026-03-26T19:00:00Z, when every fleet is first looked at.
const BEGINNING: Timestamp = Timestamp(1_774_551_600_000);

/// From one pass of the daemon to the next.
pub(crate) const INTERVAL: Duration = minutes(1);

/// Between a pass and the next one where the first left something over: as little as the clock tells apart in records.
pub(crate) const AT_ONCE: Duration = Duration::from_secs(1);

/// A pull request's number is its issue's and this.
const PULLS: u64 = 10_000;

/// What a fleet is made of.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Each with an issue and an open pull request. Its record knows neither that nor that its agent is gone.
    pub(crate) sessions: u64,
    /// The sessions are dealt out to them in turns.
    pub(crate) repositories: u64,
    /// One in so many pull requests has a check that goes on running; 0: there are no checks.
    pub(crate) pending_in: u64,
    /// The policies, as on the command line.
    pub(crate) policies: Vec<String>,
    /// GitHub's answers take so long.
    pub(crate) latency: Duration,
    /// The records are true already: they say which pull request is looked after.
    pub(crate) settled: bool,
}

impl Plan {
    /// So many sessions in so many repositories under the default policy.
    pub(crate) fn new(sessions: u64, repositories: u64) -> Plan {
        Plan {
            sessions,
            repositories,
            pending_in: 0,
            policies: vec!["default.wasm".to_owned()],
            latency: Duration::ZERO,
            settled: false,
        }
    }

    /// Whether CI of the session at `place` goes on running.
    pub(crate) fn is_pending(&self, place: u64) -> bool {
        self.pending_in > 0 && place.is_multiple_of(self.pending_in)
    }

    fn members(&self) -> Vec<Member> {
        (0..self.sessions)
            .map(|place| Member::at(place, self.repositories))
            .collect()
    }

    /// Serves GitHub with everything that the records are about, by this clock.
    ///
    /// # Errors
    /// No socket, or no thread.
    pub(crate) fn serve(
        &self,
        clock: &Arc<AtomicU64>,
        change: impl FnOnce(&mut Model),
    ) -> Result<Handle> {
        let mut model = github(self, &self.members());
        change(&mut model);
        let clock = Arc::clone(clock);
        let clock = Arc::new(move || clock.load(Ordering::Acquire));
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        Server::start_with(model, address, clock).context("failed to serve the model of GitHub")
    }
}

/// Where GitHub is: the addresses of REST and of GraphQL.
pub(crate) type Addresses = (String, String);

/// A clock that stands at the beginning.
pub(crate) fn clock() -> Arc<AtomicU64> {
    Arc::new(AtomicU64::new(BEGINNING.0))
}

/// One session, as its record and GitHub know it.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    /// `owner/name`.
    pub(crate) repo: String,
    /// The issue's number.
    pub(crate) issue: u64,
    /// The pull request's.
    pub(crate) pull: u64,
}

impl Member {
    fn at(place: u64, repositories: u64) -> Member {
        let issue = place / repositories + 1;
        Member {
            repo: format!("acme/app-{}", place % repositories),
            issue,
            pull: issue + PULLS,
        }
    }

    /// Its name among the sessions.
    pub(crate) fn id(&self) -> String {
        format!("{}#{}", self.repo, self.issue)
    }

    fn branch(&self) -> String {
        format!("vigilante/issue-{}", self.issue)
    }
}

/// What was sent to GitHub, as GitHub counts it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    /// GraphQL requests.
    pub(crate) graphql: u64,
    /// Their points.
    pub(crate) points: u64,
    /// REST requests.
    pub(crate) rest: u64,
    /// Those among them that GitHub charges for.
    pub(crate) charged: u64,
    /// Requests that were refused, or sent although GitHub had said to wait.
    pub(crate) bad: u64,
    /// Questions that vigil put off for want of budget.
    pub(crate) postponed: u64,
}

impl Count {
    /// Both together.
    pub(crate) fn plus(self, other: Count) -> Count {
        Count {
            graphql: self.graphql + other.graphql,
            points: self.points + other.points,
            rest: self.rest + other.rest,
            charged: self.charged + other.charged,
            bad: self.bad + other.bad,
            postponed: self.postponed + other.postponed,
        }
    }

    /// The larger of each.
    pub(crate) fn max(self, other: Count) -> Count {
        Count {
            graphql: self.graphql.max(other.graphql),
            points: self.points.max(other.points),
            rest: self.rest.max(other.rest),
            charged: self.charged.max(other.charged),
            bad: self.bad.max(other.bad),
            postponed: self.postponed.max(other.postponed),
        }
    }
}

/// What looking once came to: what it cost, and which sessions were written to which state.
#[derive(Debug, Default)]
pub(crate) struct Look {
    /// What was sent.
    pub(crate) count: Count,
    /// By their names.
    pub(crate) moved: Vec<(String, State)>,
}

/// A fleet with its vigil.
pub(crate) struct Fleet {
    _folder: TempDir,
    /// In the order of the records.
    pub(crate) members: Vec<Member>,
    clock: Arc<AtomicU64>,
    server: Handle,
    runtime: Runtime,
    vigil: Reconciler,
    /// When the last pass began.
    last: Timestamp,
}

impl Fleet {
    /// Makes all of it. Nothing has been asked yet.
    ///
    /// # Errors
    /// What the system refuses: folders, git, a socket, threads.
    pub(crate) fn new(plan: &Plan) -> Result<Fleet> {
        let folder = tempfile::tempdir().context("failed to make a folder")?;
        let root = folder.path().canonicalize()?;
        let clock = clock();
        let server = plan.serve(&clock, |_| ())?;
        let addresses = (server.rest_url(), server.graphql_url());
        let vigil = vigil(&root, plan, &addresses, &clock)?;
        Ok(Fleet {
            _folder: folder,
            members: plan.members(),
            clock,
            server,
            runtime: runtime()?,
            vigil,
            last: BEGINNING,
        })
    }

    /// The time.
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp(self.clock.load(Ordering::Acquire))
    }

    /// Time goes by.
    pub(crate) fn wait(&self, span: Duration) {
        self.wait_until(self.now().after(span));
    }

    /// Time goes by until `moment`, if that lies ahead.
    pub(crate) fn wait_until(&self, moment: Timestamp) {
        self.clock.fetch_max(moment.0, Ordering::AcqRel);
    }

    /// Whether the last pass looked at `repo` by a list of its own.
    pub(crate) fn has_asked_about(&self, repo: &str) -> bool {
        let path = format!("/repos/{repo}/");
        let is_about = |target: &str| target.starts_with(&path);
        self.server.with(|model| {
            model
                .tally()
                .log
                .iter()
                .any(|asked| is_about(&asked.target))
        })
    }

    /// Something happens at GitHub.
    pub(crate) fn on_github(&self, change: impl FnOnce(&mut Model)) {
        let now = self.now().0;
        self.server.with(|model| {
            model.set_now(now);
            change(model);
        });
    }

    /// The first pass of `vigil run --once`: everything.
    ///
    /// # Errors
    /// Those of [`Fleet::daemon`].
    pub(crate) fn first(&mut self) -> Result<Look> {
        self.look(&How::once())
    }

    /// What a daemon does an interval after it last began: a pass over what is due, and as many more as that takes.
    ///
    /// # Errors
    /// vigil's memory failed, GitHub could not be asked, or a source or a write failed: then there is nothing to count.
    pub(crate) fn daemon(&mut self) -> Result<Look> {
        self.wait_until(self.last.after(INTERVAL));
        self.look(&How::watch())
    }

    fn look(&mut self, how: &How) -> Result<Look> {
        self.last = self.now();
        self.server.with(Model::reset_tally);
        let mut look = Look::default();
        loop {
            let passed = pass(&self.runtime, &mut self.vigil, how)?;
            look.count.postponed += passed.github.postponed;
            look.moved.extend(moved(&passed));
            if !passed.batches.iter().any(|batch| batch.behind) {
                break;
            }
            self.wait(AT_ONCE);
        }
        self.server.with(|model| {
            let (tally, count) = (model.tally(), &mut look.count);
            count.graphql = tally.graphql;
            count.points = tally.points;
            count.rest = tally.rest;
            count.charged = tally.rest_charged;
            count.bad = tally.refused + tally.while_limited + tally.writes;
        });
        Ok(look)
    }
}

/// One pass in which nothing went wrong.
///
/// # Errors
/// Something did.
pub(crate) fn pass(runtime: &Runtime, vigil: &mut Reconciler, how: &How) -> Result<Passed> {
    let passed = runtime.block_on(vigil.pass(how))?;
    let (trouble, sources) = (&passed.trouble, passed.sources());
    ensure!(
        !passed.failed(),
        "a pass failed: GitHub: {trouble:?}; sources: {sources:?}"
    );
    Ok(passed)
}

/// vigil over the home that it is made for, below `root`, by a clock that others may turn.
///
/// # Errors
/// What the system refuses: folders, git.
pub(crate) fn vigil(
    root: &Path,
    plan: &Plan,
    github: &Addresses,
    clock: &Arc<AtomicU64>,
) -> Result<Reconciler> {
    repositories(root, plan.repositories)?;
    let home = root.join("vigilante");
    std::fs::create_dir_all(home.join("logs"))?;
    write_records(root, &home.join("sessions.json"), plan)?;
    let setup = setup(root, home, github, clock, plan);
    let (_engine, chain) = setup.chain(&plan.policies)?;
    Ok(setup.reconciler(chain, None)?)
}

/// The sessions that were written to another state.
fn moved(passed: &Passed) -> Vec<(String, State)> {
    let entries = passed.batches.iter().flat_map(|batch| &batch.entries);
    entries
        .filter(|entry| entry.from() != entry.to())
        .map(|entry| (entry.evidence.session.id.id.clone(), entry.to()))
        .collect()
}

/// What passes run on.
///
/// # Errors
/// No thread.
pub(crate) fn runtime() -> Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("failed to start a runtime")
}

/// Everything that the records are about, made two hours ago and quiet since.
fn github(plan: &Plan, members: &[Member]) -> Model {
    let long_ago = BEGINNING.before(minutes(120)).0;
    let mut model = Model::new(long_ago);
    model.token(TOKEN).sees_all();
    model.latency(u64::try_from(plan.latency.as_millis()).unwrap_or(u64::MAX));
    for (place, member) in (0_u64..).zip(members) {
        let pull = model
            .repo(&member.repo)
            .issue(member.issue)
            .label("vigilante:running")
            .pull(member.pull)
            .head(&member.branch())
            .created_at(BEGINNING.before(minutes(60)).0)
            .closes(member.issue);
        if plan.pending_in > 0 {
            pull.check("build", (!plan.is_pending(place)).then_some("SUCCESS"));
        }
    }
    model.set_now(BEGINNING.0);
    model
}

fn setup(
    root: &Path,
    home: PathBuf,
    github: &Addresses,
    clock: &Arc<AtomicU64>,
    plan: &Plan,
) -> Setup {
    let mut environment = Environment::default().with("GH_TOKEN", TOKEN);
    environment.state_dir = root.join("state");
    environment.cache_dir = root.join("cache");
    environment.home = root.to_owned();
    let source = SourceConfig {
        home: Some(home),
        same_pid_namespace: Some(true),
        ..SourceConfig::vigilante()
    };
    let policies = plan.policies.iter().map(PolicyConfig::of);
    let config = Config {
        source: [("vigilante".to_owned(), source)].into(),
        policy: policies.collect(),
        github: GitHubConfig {
            api_url: Some(github.0.clone()),
            graphql_url: Some(github.1.clone()),
            ..GitHubConfig::default()
        },
        ..Config::default()
    };
    Setup {
        world: Arc::new(Turned(Arc::clone(clock))),
        clocks: Arc::new(|world| {
            let up = BOOTED.age(world.now()).as_millis();
            let up = u64::try_from(up).unwrap_or(u64::MAX);
            Clocks {
                wall: world.now(),
                awake_ms: up,
                boot_ms: up,
                boot_id: "the only one".to_owned(),
            }
        }),
        ..Setup::live(config, environment)
    }
}

/// A day before the first look.
const BOOTED: Timestamp = Timestamp(BEGINNING.0 - 24 * 3_600_000);

/// The world with a clock that is turned by hand.
struct Turned(Arc<AtomicU64>);

impl World for Turned {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Acquire))
    }

    fn pause(&self, span: Duration) {
        let span = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        self.0.fetch_add(span, Ordering::AcqRel);
    }

    fn booted_at(&self) -> Option<Timestamp> {
        Some(BOOTED)
    }
}

/// One repository with a commit, and copies of it. The sessions' worktrees and branches are gone from all of them.
fn repositories(root: &Path, count: u64) -> Result<()> {
    let first = root.join("repo-0");
    std::fs::create_dir(&first)?;
    let git = |arguments: &[&str]| {
        run(Command::new("git")
            .args(["-c", "user.name=t", "-c", "user.email=t@example.org", "-C"])
            .arg(&first)
            .args(arguments)
            .env("GIT_CONFIG_GLOBAL", "/dev/null"))
    };
    git(&["init", "-q", "-b", "main"])?;
    git(&["commit", "-q", "--allow-empty", "-m", "first"])?;
    // What git comes with for hooks is most of the files.
    run(Command::new("rm").arg("-rf").arg(first.join(".git/hooks")))?;
    for repository in 1..count {
        let copy = root.join(format!("repo-{repository}"));
        run(Command::new("cp").arg("-r").arg(&first).arg(copy))?;
    }
    Ok(())
}

fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("failed to run {command:?}"))?;
    ensure!(status.success(), "{command:?} ended with {status}");
    Ok(())
}

/// `sessions.json`: agents at work for two hours, as far as the records know; or all of them gone, and their pull
/// requests looked after.
fn write_records(root: &Path, path: &Path, plan: &Plan) -> Result<()> {
    let at = ui::moment(BEGINNING.before(minutes(120)));
    let mut file = BufWriter::new(File::create(path)?);
    for (place, member) in plan.members().iter().enumerate() {
        let name = member.repo.trim_start_matches("acme/app-");
        let repository = root.join(format!("repo-{name}"));
        let mut record = json!({
            "repo_path": repository,
            "repo": member.repo,
            "provider": "codex",
            "issue_backend": "github",
            "git_backend": "github",
            "pr_backend": "github",
            "issue_number": member.issue,
            "issue_title": "A title of the usual length, about a thing that is to be made",
            "base_branch": "main",
            "branch": member.branch(),
            "worktree_path": repository.join(".worktrees").join(member.branch()),
            "status": "running",
            "sandbox_mode": false,
            // Larger than any pid that Linux gives.
            "process_id": 4_194_999,
            "started_at": at,
            "last_heartbeat_at": at,
            "updated_at": at,
        });
        if plan.settled {
            record["status"] = json!("success");
            record["pull_request_number"] = json!(member.pull);
            record["pull_request_state"] = json!("OPEN");
        }
        write!(file, "{}", if place == 0 { "[\n" } else { ",\n" })?;
        serde_json::to_writer_pretty(&mut file, &record)?;
    }
    writeln!(file, "\n]")?;
    file.flush().context("failed to write the records")
}
