//! One case on the machine: repository, worktree, log, record and GitHub, moved into the present.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;
use vigil::demo::home::{NOBODY, git, touch, touch_tree};
use vigil_core::Timestamp;
use vigil_model::{Handle, Model, Server};

use super::case::{Case, Cases, Pull};

const REPO: &str = "owner/repo";
const ISSUE: u64 = 299;
const BRANCH: &str = "vigilante/issue-299-t";
const TOKEN: &str = "token-of-the-conformance-cases";

/// Where the repository lies in the fixture.
const PLACE: &str = "/srv/repo";

/// A case, set.
pub(super) struct Scene {
    _folder: TempDir,
    root: PathBuf,
    /// From the fixture's present to ours, in milliseconds.
    shift_ms: i64,
    head: String,
    token: bool,
    _server: Option<Handle>,
    address: SocketAddr,
}

/// Whether the machine slept since its boot. vigil cannot know then how long a session has been silent, and says so.
pub(super) fn was_suspended() -> bool {
    let clock = |id| rustix::time::clock_gettime(id).tv_sec;
    let slept = clock(rustix::time::ClockId::Boottime) - clock(rustix::time::ClockId::Monotonic);
    u64::try_from(slept).unwrap_or_default() >= vigil::world::BREAK_MIN.as_secs()
}

fn millis_of(text: &str) -> i64 {
    let at: jiff::Timestamp = text
        .parse()
        .unwrap_or_else(|error| panic!("{text} is no moment: {error}"));
    at.as_millisecond()
}

impl Scene {
    /// Makes everything that the case is about.
    pub(super) fn set(cases: &Cases, case: &Case) -> Scene {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().canonicalize().expect("a folder");
        // Whole seconds, as in the records.
        let now_ms = jiff::Timestamp::now().as_second() * 1000;
        let mut scene = Scene {
            _folder: folder,
            root,
            shift_ms: now_ms - millis_of(&cases.now),
            head: String::new(),
            token: case.github.gh,
            _server: None,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
        };
        let mut record = scene.moved(&cases.record_of(case));
        if case.supervisor == "gone" && record.get("process_id").is_some() {
            record["process_id"] = json!(NOBODY);
        }
        scene.make_work();
        scene.make_home(&record);
        let server = Server::start(scene.model(case, now_ms), scene.address).expect("a server");
        scene.address = server.address();
        // Otherwise it ends here, and nobody listens at the address any more.
        scene._server = case.github.reachable.then_some(server);
        scene
    }

    /// A value of the fixture with its moments and places moved.
    pub(super) fn moved(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => match text.parse::<jiff::Timestamp>() {
                Ok(at) => {
                    let at = at.as_millisecond() + self.shift_ms;
                    let at = jiff::Timestamp::from_millisecond(at).expect("a moment");
                    json!(at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
                }
                Err(_) => match text.strip_prefix(PLACE) {
                    Some(rest) => json!(format!("{}{rest}", self.repository().display())),
                    None => value.clone(),
                },
            },
            Value::Array(values) => values.iter().map(|value| self.moved(value)).collect(),
            Value::Object(fields) => {
                let moved = fields
                    .iter()
                    .map(|(key, value)| (key.clone(), self.moved(value)));
                Value::Object(moved.collect())
            }
            other => other.clone(),
        }
    }

    fn repository(&self) -> PathBuf {
        self.root.join("repo")
    }

    fn worktree(&self) -> PathBuf {
        self.repository().join(".worktrees/vigilante/issue-299")
    }

    fn vigilante(&self) -> PathBuf {
        self.root.join("vigilante")
    }

    /// A repository with a remote, and a worktree whose one commit is pushed.
    fn make_work(&mut self) {
        let run = |dir: &Path, arguments: &[&str]| git(dir, arguments).expect("git works");
        let (root, repo, worktree) = (self.root.clone(), self.repository(), self.worktree());
        let origin = root.join("origin.git").display().to_string();
        run(
            &root,
            &[
                "init",
                "--quiet",
                "--bare",
                "--initial-branch=main",
                "origin.git",
            ],
        );
        run(&root, &["init", "--quiet", "--initial-branch=main", "repo"]);
        fs::write(repo.join(".gitignore"), ".worktrees/\n").expect("a file");
        run(&repo, &["add", "--all"]);
        run(&repo, &["commit", "--quiet", "--message", "first"]);
        run(&repo, &["remote", "add", "origin", &origin]);
        run(&repo, &["push", "--quiet", "origin", "main"]);
        let path = worktree.display().to_string();
        run(
            &repo,
            &["worktree", "add", "--quiet", "-b", BRANCH, &path, "main"],
        );
        fs::write(worktree.join("work.txt"), "work\n").expect("a file");
        run(&worktree, &["add", "--all"]);
        run(&worktree, &["commit", "--quiet", "--message", "work"]);
        run(&worktree, &["push", "--quiet", "origin", BRANCH]);
        self.head = run(&worktree, &["rev-parse", "HEAD"]).trim().to_owned();
    }

    /// The record and the log, which was last written with the worktree at the last heartbeat; without one, when the
    /// record itself was.
    fn make_home(&self, record: &Value) {
        let logs = self.vigilante().join("logs");
        fs::create_dir_all(&logs).expect("a folder");
        let text = serde_json::to_string_pretty(&json!([record])).expect("JSON");
        fs::write(self.vigilante().join("sessions.json"), format!("{text}\n")).expect("a file");
        let log = logs.join("owner-repo-issue-299.log");
        fs::write(&log, "the agent works\n").expect("a file");
        let heartbeat = record
            .get("last_heartbeat_at")
            .unwrap_or(&record["updated_at"]);
        let at = millis_of(heartbeat.as_str().expect("a moment"));
        let at = Timestamp(u64::try_from(at).expect("after 1970"));
        touch(&log, at).expect("a time");
        touch_tree(&self.worktree(), at).expect("a time");
        touch_tree(&self.repository().join(".git/worktrees/issue-299"), at).expect("a time");
    }

    fn model(&self, case: &Case, now_ms: i64) -> Model {
        let at = |text: &str| u64::try_from(millis_of(text) + self.shift_ms).expect("after 1970");
        let mut model = Model::new(u64::try_from(now_ms).expect("after 1970"));
        let token = model.token(TOKEN).sees_all();
        if let Some(left) = case.github.left {
            token.used(5000 - left, 5000 - left);
        }
        let repo = model.repo(REPO);
        let repo = match &case.github.issue {
            Some(issue) if issue.state != "missing" => {
                let mut edit = repo.issue(ISSUE);
                for label in &issue.labels {
                    edit = edit.label(label);
                }
                match (&issue.closed, issue.state.as_str()) {
                    (Some(closed), "closed") => edit.closed_at("completed", at(closed)).back(),
                    (None, "open") => edit.back(),
                    _ => panic!("{}: an issue is closed at a moment, or open", case.id),
                }
            }
            _ => repo,
        };
        let opened = |pull: vigil_model::PullEdit<'_>| {
            // After the session's start, and before anything ended.
            pull.head(BRANCH)
                .sha(&self.head)
                .created_at(at("2026-03-26T17:10:00Z"))
                .back();
        };
        let decoy = case.github.decoy;
        match &case.github.pull {
            None => {}
            Some(Pull {
                number,
                state,
                ended,
            }) => {
                opened(repo.pull(*number));
                let pull = model.repo(REPO).pull(*number);
                match (state.as_str(), ended) {
                    ("OPEN", None) => {}
                    ("MERGED", Some(ended)) => drop(pull.merged_at(at(ended))),
                    ("CLOSED", Some(ended)) => drop(pull.closed_at(at(ended))),
                    _ => panic!("{}: a pull request is open, or ended at a moment", case.id),
                }
            }
        }
        if let Some(number) = decoy {
            opened(model.repo(REPO).pull(number));
        }
        model
    }

    /// One pass of the program; its exit code and its report.
    pub(super) fn pass(&self) -> (Option<i32>, Value) {
        let config = self.root.join("vigil.toml");
        // A container is not another machine here: the recorded pids are ours to judge.
        let text = "[source.vigilante]\nkind = \"vigilante\"\nsame_pid_namespace = true\n";
        fs::write(&config, text).expect("a file");
        let mut command = Command::new(env!("CARGO_BIN_EXE_vigil-under-test"));
        command
            .args([
                "run",
                "--once",
                "--json",
                "--policy",
                "default.wasm",
                "--config",
            ])
            .arg(&config)
            .current_dir(&self.root)
            .env_clear()
            .env("PATH", self.programs())
            .env("HOME", self.root.join("person"))
            .env("VIGIL_STATE_DIR", self.root.join("state"))
            .env(
                "XDG_CACHE_HOME",
                Path::new(env!("CARGO_TARGET_TMPDIR")).join("vigil-it-cache"),
            )
            .env("VIGILANTE_HOME", self.vigilante())
            .env("GITHUB_API_URL", format!("http://{}", self.address))
            .env(
                "GITHUB_GRAPHQL_URL",
                format!("http://{}/graphql", self.address),
            )
            .stdin(Stdio::null());
        if self.token {
            command.env("GH_TOKEN", TOKEN);
        }
        let output = command.output().expect("the program starts");
        let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
            panic!(
                "no report ({error}): {}",
                String::from_utf8_lossy(&output.stderr)
            )
        });
        (output.status.code(), report)
    }

    /// A path with git and nothing else: no `gh` of the tester's.
    fn programs(&self) -> PathBuf {
        let folder = self.root.join("bin");
        if !folder.exists() {
            let path = std::env::var_os("PATH").unwrap_or_default();
            let git = std::env::split_paths(&path)
                .map(|dir| dir.join("git"))
                .find(|git| git.is_file());
            fs::create_dir(&folder).expect("a folder");
            symlink(git.expect("git is there"), folder.join("git")).expect("a link");
        }
        folder
    }

    /// The text of the records.
    pub(super) fn sessions(&self) -> String {
        fs::read_to_string(self.vigilante().join("sessions.json")).expect("sessions.json")
    }

    /// The record.
    pub(super) fn record(&self) -> Value {
        let all: Value = serde_json::from_str(&self.sessions()).expect("JSON");
        assert_eq!(
            all.as_array().map(Vec::len),
            Some(1),
            "one record stays one"
        );
        all[0].clone()
    }

    /// Whether worktree and branch are as they were, in words.
    pub(super) fn work(&self) -> Value {
        let branch = format!("refs/heads/{BRANCH}");
        let head = git(&self.repository(), &["rev-parse", "--verify", &branch]);
        if !self.worktree().join("work.txt").is_file() {
            return json!("the worktree is gone");
        }
        match head {
            Ok(head) if head.trim() == self.head => json!("all of it"),
            Ok(head) => json!(format!("the branch stands at {}", head.trim())),
            Err(error) => json!(format!("the branch is gone: {error:#}")),
        }
    }
}
