//! Where the program is tried: a made-up Vigilante home, a model of GitHub on loopback, and a user of its own, whose
//! environment holds nothing of the tester's.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use vigil::demo::home::REPO;
use vigil::demo::{Home, Made};
use vigil::environment::Environment;
use vigil::wiring::Setup;
use vigil::world::{Clocks, LiveWorld};
use vigil_core::Timestamp;
use vigil_model::{Clock, Handle, Model, Server};
use vigil_sources::World;
use vigil_store::{Mark, Store};

use super::gate::Gate;

/// The token that the model of GitHub knows. Long enough that it is found nowhere by chance.
pub(super) const TOKEN: &str = "ghp_0123456789abcdefghijklmnopqrstuvwxyz";

/// How long a test waits for what has to come. A loaded machine takes its time; a test that passes never waits so long.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// One made-up machine.
pub(super) struct Stage {
    folder: TempDir,
    /// Vigilante's records and worktrees.
    pub(super) home: Home,
    /// The moment that ages are counted from.
    pub(super) now: Timestamp,
    github: GitHub,
    /// GitHub's own.
    clock: Clock,
}

/// GitHub is reachable or it is not.
enum GitHub {
    Up(Handle),
    Down(Box<Model>, SocketAddr),
}

/// How a command ended.
#[derive(Debug)]
pub(super) struct Ran {
    /// The exit code; `None`: a signal ended it.
    pub(super) code: Option<i32>,
    /// What it printed.
    pub(super) out: String,
    /// What it complained about.
    pub(super) err: String,
}

impl Ran {
    /// The one JSON document that it printed.
    #[track_caller]
    pub(super) fn json(&self) -> Value {
        match serde_json::from_str(&self.out) {
            Ok(value) => value,
            Err(error) => panic!("no JSON ({error}): {self:#?}"),
        }
    }

    /// The same, when the command ended with `code`.
    #[track_caller]
    pub(super) fn json_with(&self, code: i32) -> Value {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self.json()
    }

    /// The command ended with `code`, and not by a defect.
    #[track_caller]
    pub(super) fn ended(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        assert!(!self.err.contains("panicked"), "{self:#?}");
        self
    }
}

impl Stage {
    /// An empty home, and a GitHub that knows [`TOKEN`].
    pub(super) fn new() -> Stage {
        Stage::by(Arc::new(|| LiveWorld.now().as_millis()))
    }

    /// The same with a GitHub that goes by `clock`, in milliseconds since the epoch.
    pub(super) fn by(clock: Clock) -> Stage {
        let folder = tempfile::tempdir().expect("a folder");
        let now = now();
        let home = Home::create(&folder.path().join("world"), now).expect("a home");
        let mut model = Model::new(now.as_millis());
        model.token(TOKEN).sees_all();
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let server = Server::start_with(model, address, Arc::clone(&clock));
        fs::create_dir(folder.path().join("user")).expect("a folder");
        let stage = Stage {
            folder,
            home,
            now,
            github: GitHub::Up(server.expect("a server")),
            clock,
        };
        if was_suspended() {
            stage.watch_from_now();
        }
        stage
    }

    /// As if vigil had made a pass just now. On a first pass a machine that was ever suspended counts as just woken,
    /// so that all silence would start anew.
    fn watch_from_now(&self) {
        let clocks = Clocks::read(&LiveWorld);
        let mark = Mark {
            wall: clocks.wall,
            awake_ms: clocks.awake_ms,
            boot_ms: clocks.boot_ms,
            boot_id: clocks.boot_id,
            awake_since: None,
        };
        let mut store = Store::open(&self.state_dir(), self.now).expect("a journal");
        store.put_mark(&mark).expect("a mark");
    }

    /// The same with one session, the usual stale one, whose pull request is merged.
    pub(super) fn with_merged(issue: u64) -> Stage {
        let mut stage = Stage::new();
        stage.set_merged(issue);
        stage
    }

    /// Adds the usual stale session, whose pull request is merged, and writes the records.
    pub(super) fn set_merged(&mut self, issue: u64) {
        self.add_merged(&Made {
            issue,
            ..Made::default()
        });
        self.write();
    }

    /// Adds a session whose issue is closed and whose pull request, 20 numbers on, is merged.
    pub(super) fn add_merged(&mut self, made: &Made) {
        let head = self.home.add(made).expect("a session");
        let (created, ended) = (self.minutes_ago(100), self.minutes_ago(80));
        let issue = made.issue;
        self.on_github(|model| {
            let repo = model.repo(REPO);
            let issue_there = repo
                .issue(issue)
                .label("vigilante:done")
                .closed_at("completed", ended);
            issue_there
                .pull(issue + 20)
                .head(&Home::branch(issue))
                .sha(&head)
                .created_at(created)
                .merged_at(ended);
        });
    }

    /// Milliseconds since the epoch, `minutes` before the stage was set.
    pub(super) fn minutes_ago(&self, minutes: u64) -> u64 {
        self.now
            .before(Duration::from_secs(60 * minutes))
            .as_millis()
    }

    /// Writes the records as Vigilante does.
    pub(super) fn write(&self) {
        self.home.write().expect("sessions.json");
    }

    /// The file of records.
    pub(super) fn sessions_file(&self) -> PathBuf {
        self.home.vigilante().join("sessions.json")
    }

    /// The text of the records.
    pub(super) fn sessions(&self) -> String {
        fs::read_to_string(self.sessions_file()).expect("sessions.json")
    }

    /// The record of an issue.
    #[track_caller]
    pub(super) fn record(&self, issue: u64) -> Value {
        let all: Value = serde_json::from_str(&self.sessions()).expect("JSON");
        let all = all.as_array().expect("a list");
        let found = all.iter().find(|record| record["issue_number"] == issue);
        found.expect("a record").clone()
    }

    /// vigil's own folder.
    pub(super) fn state_dir(&self) -> PathBuf {
        self.user().join("state")
    }

    /// The home folder of the user.
    pub(super) fn user(&self) -> PathBuf {
        self.folder.path().join("user")
    }

    /// A place for files of the test.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes the configuration at its usual place.
    pub(super) fn configure(&self, toml: &str) {
        let folder = self.user().join(".config/vigil");
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(folder.join("config.toml"), toml).expect("a configuration");
    }

    // ---- GitHub ----

    /// Looks at the model or changes it, also while it is unreachable.
    pub(super) fn on_github<T>(&mut self, look: impl FnOnce(&mut Model) -> T) -> T {
        match &mut self.github {
            GitHub::Up(server) => server.with(look),
            GitHub::Down(model, _) => look(model),
        }
    }

    /// Requests that GitHub has seen so far.
    pub(super) fn requests(&mut self) -> u64 {
        self.on_github(|model| model.tally().requests)
    }

    /// From now on nobody answers there.
    pub(super) fn unplug(self) -> Stage {
        let github = match self.github {
            GitHub::Up(server) => {
                let address = server.address();
                GitHub::Down(Box::new(server.shutdown()), address)
            }
            down => down,
        };
        Stage { github, ..self }
    }

    /// From now on it answers again, at the same address.
    pub(super) fn plug_in(self) -> Stage {
        let github = match self.github {
            GitHub::Down(model, address) => {
                let server = Server::start_with(*model, address, Arc::clone(&self.clock));
                GitHub::Up(server.expect("the address is free again"))
            }
            up => up,
        };
        Stage { github, ..self }
    }

    /// A closed gate before it.
    pub(super) fn gate(&self) -> Gate {
        Gate::before(self.address())
    }

    fn address(&self) -> SocketAddr {
        match &self.github {
            GitHub::Up(server) => server.address(),
            GitHub::Down(_, address) => *address,
        }
    }

    // ---- The program ----

    /// The program with these arguments, not started yet.
    pub(super) fn vigil(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vigil-under-test"));
        let user = self.user();
        command
            .arg0("vigil")
            .args(arguments)
            .current_dir(&user)
            .env_clear()
            .envs(path())
            .env("HOME", &user)
            .env("XDG_CONFIG_HOME", user.join(".config"))
            .env("XDG_STATE_HOME", user.join(".local/state"))
            .env("XDG_CACHE_HOME", cache())
            .env("VIGIL_STATE_DIR", self.state_dir())
            .env("VIGILANTE_HOME", self.home.vigilante())
            .env("GH_TOKEN", TOKEN)
            .env("GITHUB_API_URL", format!("http://{}", self.address()))
            .env(
                "GITHUB_GRAPHQL_URL",
                format!("http://{}/graphql", self.address()),
            )
            .stdin(Stdio::null());
        command
    }

    /// The same, asking GitHub through a gate.
    pub(super) fn vigil_through(&self, gate: &Gate, arguments: &[&str]) -> Command {
        let mut command = self.vigil(arguments);
        command
            .env("GITHUB_API_URL", gate.url())
            .env("GITHUB_GRAPHQL_URL", format!("{}/graphql", gate.url()));
        command
    }

    /// What the program is made of, to be run in this process by a clock of the test's. It has read the configuration
    /// of [`Stage::configure`].
    pub(super) fn inside(&self, world: Arc<dyn World>) -> Setup {
        setup(&self.user(), &self.home.vigilante(), self.address(), world)
    }

    /// Where GitHub answers.
    pub(super) fn github_address(&self) -> SocketAddr {
        self.address()
    }

    /// Runs the program to its end.
    pub(super) fn run(&self, arguments: &[&str]) -> Ran {
        ran(&mut self.vigil(arguments))
    }

    /// One pass with the built-in policy.
    pub(super) fn pass(&self) -> Ran {
        self.run(&["run", "--once", "--policy", "default.wasm", "--json"])
    }

    /// What `status --json` says.
    pub(super) fn status(&self) -> Ran {
        self.run(&["status", "--json"])
    }
}

/// What the program is made of for the user whose folder is `user`.
pub(super) fn setup(
    user: &Path,
    vigilante: &Path,
    github: SocketAddr,
    world: Arc<dyn World>,
) -> Setup {
    let mut environment = Environment::default()
        .with("GH_TOKEN", TOKEN)
        .with("VIGILANTE_HOME", vigilante.to_string_lossy())
        .with("GITHUB_API_URL", format!("http://{github}"))
        .with("GITHUB_GRAPHQL_URL", format!("http://{github}/graphql"));
    environment.home = user.to_owned();
    environment.config_dir = user.join(".config/vigil");
    environment.cache_dir = cache().join("vigil");
    environment.state_dir = user.join("state");
    let loaded = vigil::config::load(None, &environment).expect("a configuration");
    Setup {
        world,
        ..Setup::live(loaded.config, environment)
    }
}

/// Runs a command to its end.
pub(super) fn ran(command: &mut Command) -> Ran {
    let output = command.output().expect("the program starts");
    Ran {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).expect("UTF-8"),
        err: String::from_utf8(output.stderr).expect("UTF-8"),
    }
}

/// Where programs are found: the tester's own list, so that git is there.
fn path() -> impl Iterator<Item = (&'static str, String)> {
    std::env::var("PATH")
        .ok()
        .map(|path| ("PATH", path))
        .into_iter()
}

/// Compiled policies, shared by all tests of a build: compiling is the longest part of a first run.
fn cache() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("vigil-it-cache")
}

/// The present, in whole seconds, as Vigilante writes it.
pub(super) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Timestamp(since.expect("after 1970").as_secs() * 1000)
}

/// Whether this machine was ever suspended since its boot. Then every stage has a journal from the start.
pub(super) fn was_suspended() -> bool {
    let clocks = Clocks::read(&LiveWorld);
    clocks.boot_ms.saturating_sub(clocks.awake_ms) > 10_000
}

/// How long this machine has been up.
pub(super) fn uptime() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::from_secs(time.tv_sec.unsigned_abs())
}

/// Waits until `there` gives something, for at most [`PATIENCE`].
#[track_caller]
pub(super) fn wait_for<T>(what: &str, mut there: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = there() {
            return found;
        }
        assert!(Instant::now() < until, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Waits until a child ends.
#[track_caller]
pub(super) fn wait_for_end(child: &mut Child) -> ExitStatus {
    wait_for("the process to end", || child.try_wait().expect("a child"))
}

/// A child that ends with the test.
pub(super) struct Held(pub(super) Child);

impl Drop for Held {
    fn drop(&mut self) {
        // Our own child, started for this test.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Everything below `folder`: each path with its kind, mode, time of the last write, and content's digest.
pub(super) fn everything(folder: &Path) -> BTreeMap<PathBuf, String> {
    let mut all = BTreeMap::new();
    collect(folder, &mut all);
    all
}

fn collect(path: &Path, all: &mut BTreeMap<PathBuf, String>) {
    let Ok(meta) = fs::symlink_metadata(path) else {
        return;
    };
    let content = if meta.is_dir() {
        "folder".to_owned()
    } else if meta.is_symlink() {
        format!("{:?}", fs::read_link(path))
    } else {
        hex::encode(Sha256::digest(fs::read(path).unwrap_or_default()))
    };
    let written = format!("{}.{:09}", meta.mtime(), meta.mtime_nsec());
    all.insert(
        path.to_owned(),
        format!("{:o} {written} {content}", meta.mode()),
    );
    if meta.is_dir() {
        for entry in fs::read_dir(path).into_iter().flatten().flatten() {
            collect(&entry.path(), all);
        }
    }
}

/// The one session of an issue in a document with `sessions`.
#[track_caller]
pub(super) fn session(document: &Value, issue: u64) -> Value {
    let id = format!("{REPO}#{issue}");
    let all = document["sessions"].as_array().expect("a list of sessions");
    let mut found = all.iter().filter(|session| session["id"] == id.as_str());
    let one = found.next();
    assert!(found.next().is_none(), "{id} is there twice: {document:#}");
    match one {
        Some(session) => session.clone(),
        None => panic!("there is no {id}: {document:#}"),
    }
}

/// The keys of an object, sorted.
pub(super) fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<_> = value
        .as_object()
        .expect("an object")
        .keys()
        .map(String::as_str)
        .collect();
    keys.sort_unstable();
    keys
}
