//! A Vigilante home with one repository, and a worktree for each session.

use std::fs::{self, File, FileTimes};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, bail};
use serde_json::{Map, Value, json};
use vigil_core::Timestamp;
use vigil_core::time::minutes;

use crate::ui;

/// The folder that holds everything.
#[derive(Debug)]
pub struct Home {
    root: PathBuf,
    now: Timestamp,
    records: Vec<Value>,
    agents: Vec<Child>,
    lock: Option<File>,
}

/// What a made-up session looks like. `Default`: `running`, silent for 109 minutes, its work committed and pushed, no
/// pull request in the record, no process left.
#[derive(Clone, Debug)]
pub struct Made {
    /// The issue's number; names branch and worktree.
    pub issue: u64,
    /// The issue's title.
    pub title: &'static str,
    /// Vigilante's word.
    pub status: &'static str,
    /// Since when nothing moved.
    pub silent_for: Duration,
    /// The pid in the record; Vigilante writes its own there, not the agent's.
    pub supervisor: u32,
    /// Something that was never committed.
    pub dirty: bool,
    /// Commits that were never pushed.
    pub unpushed: u32,
    /// An agent process at work in the worktree.
    pub agent: bool,
    /// Further fields of the record.
    pub extra: Map<String, Value>,
    /// What the session's log says.
    pub log: &'static str,
}

impl Default for Made {
    fn default() -> Self {
        Made {
            issue: 1,
            title: "made up",
            status: "running",
            silent_for: minutes(109),
            supervisor: NOBODY,
            dirty: false,
            unpushed: 0,
            agent: false,
            extra: Map::new(),
            log: "",
        }
    }
}

/// A pid that no process has: larger than Linux ever gives.
pub const NOBODY: u32 = 4_194_999;

/// The repository of all made-up sessions.
pub const REPO: &str = "acme/app";

impl Home {
    /// Makes the folder `root` with an empty Vigilante home and a repository with one commit, pushed to a bare one.
    pub fn create(root: &Path, now: Timestamp) -> Result<Home> {
        fs::create_dir_all(root.join("vigilante/logs"))
            .with_context(|| format!("failed to create {}", root.display()))?;
        let home = Home {
            root: root.canonicalize()?,
            now,
            records: Vec::new(),
            agents: Vec::new(),
            lock: None,
        };
        let origin = home.root.join("origin.git");
        git(
            &home.root,
            &[
                "init",
                "--quiet",
                "--bare",
                "--initial-branch=main",
                "origin.git",
            ],
        )?;
        git(
            &home.root,
            &["init", "--quiet", "--initial-branch=main", "app"],
        )?;
        let app = home.repository();
        fs::write(app.join("README.md"), "A made-up project.\n")?;
        fs::write(app.join(".gitignore"), ".worktrees/\n")?;
        commit(&app, "first")?;
        git(
            &app,
            &["remote", "add", "origin", &origin.to_string_lossy()],
        )?;
        git(&app, &["push", "--quiet", "origin", "main"])?;
        Ok(home)
    }

    /// Vigilante's folder.
    pub fn vigilante(&self) -> PathBuf {
        self.root.join("vigilante")
    }

    /// Where everything is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The repository that the worktrees belong to.
    pub fn repository(&self) -> PathBuf {
        self.root.join("app")
    }

    /// A session's branch.
    pub fn branch(issue: u64) -> String {
        format!("vigilante/issue-{issue}")
    }

    /// A session's worktree.
    pub fn worktree(&self, issue: u64) -> PathBuf {
        self.repository()
            .join(format!(".worktrees/vigilante/issue-{issue}"))
    }

    /// Adds a session: its branch with one pushed commit, its worktree, its log, its processes and its record. Gives
    /// the commit that a pull request of it has at its head: the pushed one.
    pub fn add(&mut self, made: &Made) -> Result<String> {
        let worktree = self.worktree(made.issue);
        let branch = Home::branch(made.issue);
        let path = worktree.to_string_lossy().into_owned();
        git(
            &self.repository(),
            &["worktree", "add", "--quiet", "-b", &branch, &path, "main"],
        )?;
        fs::write(
            worktree.join("work.txt"),
            format!("work on issue {}\n", made.issue),
        )?;
        commit(&worktree, made.title)?;
        git(&worktree, &["push", "--quiet", "origin", &branch])?;
        let head = git(&worktree, &["rev-parse", "HEAD"])?.trim().to_owned();
        for number in 0..made.unpushed {
            fs::write(worktree.join("more.txt"), format!("more work, {number}\n"))?;
            commit(&worktree, "more work")?;
        }
        if made.dirty {
            fs::write(worktree.join("notes.txt"), "not committed\n")?;
        }
        let silent = self.now.before(made.silent_for);
        if !made.log.is_empty() {
            let log = self.log(made.issue);
            fs::write(&log, made.log)?;
            touch(&log, silent)?;
        }
        touch_tree(&worktree, silent)?;
        let admin = self
            .repository()
            .join(format!(".git/worktrees/issue-{}", made.issue));
        touch_tree(&admin, silent)?;
        if made.agent {
            let agent = self.agent(&worktree)?;
            self.agents.push(agent);
        }
        self.records.push(self.record(made, silent));
        Ok(head)
    }

    /// The session's log.
    pub fn log(&self, issue: u64) -> PathBuf {
        self.vigilante()
            .join(format!("logs/acme-app-issue-{issue}.log"))
    }

    fn record(&self, made: &Made, silent: Timestamp) -> Value {
        let silent = ui::moment(silent);
        let mut record = json!({
            "repo_path": self.repository(),
            "repo": REPO,
            "provider": "codex",
            "issue_backend": "github",
            "git_backend": "github",
            "pr_backend": "github",
            "issue_number": made.issue,
            "issue_title": made.title,
            "issue_url": format!("https://github.com/{REPO}/issues/{}", made.issue),
            "base_branch": "main",
            "branch": Home::branch(made.issue),
            "worktree_path": self.worktree(made.issue),
            "push_remote": "origin",
            "push_repo": REPO,
            "status": made.status,
            "blocked_reason": {},
            "process_id": made.supervisor,
            "started_at": silent,
            "last_heartbeat_at": silent,
            "updated_at": silent,
        });
        if let Value::Object(fields) = &mut record {
            for (key, value) in &made.extra {
                match value {
                    Value::Null => fields.remove(key),
                    value => fields.insert(key.clone(), value.clone()),
                };
            }
        }
        record
    }

    /// A process that is named like an agent and has its working folder in the worktree. It sleeps, and ends with
    /// this value.
    fn agent(&self, worktree: &Path) -> Result<Child> {
        let bin = self.root.join("bin");
        fs::create_dir_all(&bin)?;
        let agent = bin.join("codex");
        if !agent.exists() {
            let sleep = ["/bin/sleep", "/usr/bin/sleep"]
                .iter()
                .find(|path| Path::new(path).exists());
            let Some(sleep) = sleep else {
                bail!("there is no sleep program to play the agent")
            };
            fs::copy(sleep, &agent).context("failed to copy sleep")?;
        }
        Command::new(&agent)
            // Long enough for a demo or a test; one that outlives a killed parent ends soon by itself.
            .arg("180")
            .current_dir(worktree)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("failed to start the made-up agent")
    }

    /// Writes `sessions.json`, as Vigilante writes it.
    pub fn write(&self) -> Result<PathBuf> {
        let path = self.vigilante().join("sessions.json");
        let mut text = serde_json::to_string_pretty(&self.records)?;
        text.push('\n');
        fs::write(&path, text)?;
        Ok(path)
    }

    /// Plays the wedged scheduler: holds `scan.lock`, and has written nothing for `silent_for`.
    pub fn wedge(&mut self, silent_for: Duration) -> Result<()> {
        let home = self.vigilante();
        let silent = self.now.before(silent_for);
        let lock = File::create(home.join("scan.lock"))?;
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive)
            .context("failed to take scan.lock")?;
        self.lock = Some(lock);
        fs::write(
            home.join("logs/vigilante.log"),
            "level=INFO msg=\"scan started\"\n",
        )?;
        fs::write(home.join("logs/access.jsonl"), "{}\n")?;
        let watched = json!([{
            "path": self.repository(),
            "repo": REPO,
            "branch": "main",
            "classification": {},
            "max_parallel_sessions": 0,
            "last_scan_at": ui::moment(silent),
        }]);
        fs::write(
            home.join("watchlist.json"),
            serde_json::to_string_pretty(&watched)?,
        )?;
        for file in [
            "logs/vigilante.log",
            "logs/access.jsonl",
            "watchlist.json",
            "scan.lock",
        ] {
            touch(&home.join(file), silent)?;
        }
        Ok(())
    }

    /// Lets go of `scan.lock`.
    pub fn unwedge(&mut self) {
        self.lock = None;
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        for agent in &mut self.agents {
            // Our own children, started for this home.
            let _ = agent.kill();
            let _ = agent.wait();
        }
    }
}

/// Runs git without the user's own configuration, and gives what it prints.
pub fn git(dir: &Path, arguments: &[&str]) -> Result<String> {
    let output = Command::new("git")
        .current_dir(dir)
        .args([
            "-c",
            "user.name=vigil",
            "-c",
            "user.email=vigil@localhost",
            "-c",
            "commit.gpgsign=false",
        ])
        .args([
            "-c",
            "core.hooksPath=/dev/null",
            "-c",
            "advice.detachedHead=false",
        ])
        .args(arguments)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env_remove("GIT_DIR")
        .env_remove("GIT_WORK_TREE")
        .output()
        .context("failed to run git; install it, for example with apt-get install git")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("git {} failed: {}", arguments.join(" "), said.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn commit(dir: &Path, message: &str) -> Result<()> {
    git(dir, &["add", "--all"])?;
    git(dir, &["commit", "--quiet", "--message", message])?;
    Ok(())
}

/// Sets the time of the last write.
pub fn touch(path: &Path, at: Timestamp) -> Result<()> {
    let time = SystemTime::UNIX_EPOCH + Duration::from_millis(at.as_millis());
    let file = File::open(path).with_context(|| format!("failed to open {}", path.display()))?;
    file.set_times(FileTimes::new().set_modified(time).set_accessed(time))
        .with_context(|| format!("failed to set the time of {}", path.display()))
}

/// Sets the time of the last write of everything below `path`, itself included.
pub fn touch_tree(path: &Path, at: Timestamp) -> Result<()> {
    if path.is_dir() && !path.is_symlink() {
        for entry in fs::read_dir(path)? {
            touch_tree(&entry?.path(), at)?;
        }
    }
    if path.is_symlink() {
        Ok(())
    } else {
        touch(path, at)
    }
}
