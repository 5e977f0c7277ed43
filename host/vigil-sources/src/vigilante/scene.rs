//! A repository with a worktree, a remote, processes and a home, all of them real, for the tests of the reading half.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use vigil_core::Timestamp;

/// The folders of one test; they go away with it.
pub(crate) struct Scene {
    folder: tempfile::TempDir,
    pub(crate) repo: PathBuf,
    pub(crate) worktree: PathBuf,
    pub(crate) home: PathBuf,
}

/// The branch of the scene's worktree.
pub(crate) const BRANCH: &str = "vigilante/issue-299-t";

impl Scene {
    /// A repository with one commit on `main` and a worktree on [`BRANCH`]; no remote.
    pub(crate) fn new() -> Scene {
        let folder = tempfile::tempdir().expect("a folder");
        let root = fs::canonicalize(folder.path()).expect("its real name");
        let repo = root.join("repo");
        let worktree = repo.join(".worktrees/vigilante/issue-299");
        let home = root.join("home");
        fs::create_dir_all(&repo).expect("a repository's folder");
        fs::create_dir_all(home.join("logs")).expect("a home");
        git(&repo, &["init", "-q", "-b", "main"]);
        fs::write(repo.join(".gitignore"), ".worktrees\ntarget/\n*.log\n").expect("a file");
        commit(&repo, "first");
        let path = worktree.to_str().expect("a path");
        git(&repo, &["worktree", "add", "-q", "-b", BRANCH, path]);
        Scene {
            folder,
            repo,
            worktree,
            home,
        }
    }

    /// The same with a bare `origin` that has `main` and [`BRANCH`].
    pub(crate) fn with_remote() -> Scene {
        let scene = Scene::new();
        let remote = scene.root().join("origin.git");
        let path = remote.to_str().expect("a path");
        git(&scene.repo, &["init", "-q", "--bare", "-b", "main", path]);
        git(&scene.repo, &["remote", "add", "origin", path]);
        git(&scene.repo, &["push", "-q", "origin", "main", BRANCH]);
        scene
    }

    /// The folder that holds all others.
    pub(crate) fn root(&self) -> PathBuf {
        fs::canonicalize(self.folder.path()).expect("its real name")
    }

    /// Takes the worktree away as Vigilante does.
    pub(crate) fn remove_worktree(&self) {
        let path = self.worktree.to_str().expect("a path");
        git(&self.repo, &["worktree", "remove", "--force", path]);
    }
}

/// Runs git, untouched by the configuration of whoever runs the tests, and gives back what it says.
pub(crate) fn git(dir: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "user.name=t", "-c", "user.email=t@example.org"])
        .args(["-c", "commit.gpgsign=false", "-C"])
        .arg(dir)
        .args(arguments)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env_remove("GIT_DIR")
        .output()
        .expect("git runs");
    assert!(
        output.status.success(),
        "git {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Commits a new file named `name` in `dir`, and gives the commit's name.
pub(crate) fn commit(dir: &Path, name: &str) -> String {
    fs::write(dir.join(name), name).expect("a file");
    git(dir, &["add", "-A"]);
    git(dir, &["commit", "-q", "-m", name]);
    git(dir, &["rev-parse", "HEAD"])
}

/// Sets when a file or folder was last written to.
pub(crate) fn set_time(path: &Path, at: Timestamp) {
    let time = SystemTime::UNIX_EPOCH + Duration::from_millis(at.0);
    File::open(path)
        .and_then(|file| file.set_modified(time))
        .expect("the time is set");
}

/// Sets the times of everything below `dir`, `dir` included.
pub(crate) fn set_times(dir: &Path, at: Timestamp) {
    for entry in fs::read_dir(dir).expect("a folder").flatten() {
        let path = entry.path();
        if entry.file_type().expect("a kind").is_dir() {
            set_times(&path, at);
        } else if entry.file_type().expect("a kind").is_file() {
            set_time(&path, at);
        }
    }
    set_time(dir, at);
}

/// A process that ends with the test, and leads a group of its own.
pub(crate) struct Running(Child);

impl Running {
    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Waits for its end; what it started may live on.
    pub(crate) fn wait(&mut self) {
        self.0.wait().expect("it ends");
    }

    /// Ends it without asking how it ended: what is left is a zombie.
    pub(crate) fn into_zombie(mut self) -> Running {
        self.0.kill().expect("it ends");
        let pid = rustix::process::Pid::from_child(&self.0);
        let options =
            rustix::process::WaitIdOptions::EXITED | rustix::process::WaitIdOptions::NOWAIT;
        rustix::process::waitid(rustix::process::WaitId::Pid(pid), options).expect("it has ended");
        self
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // With all that it started: what lived on would hold the test's output open.
        let group = rustix::process::Pid::from_child(&self.0);
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        let _ = self.0.wait();
    }
}

/// A process of the program `name` that works in `dir` and does nothing: `sleep` under another name.
pub(crate) fn run_as(scene: &Scene, name: &str, dir: &Path) -> Running {
    // A program that runs cannot be written again: each has a folder of its own.
    let bin = tempfile::tempdir_in(scene.root()).expect("a folder").keep();
    let program = bin.join(name);
    let sleep = ["/bin/sleep", "/usr/bin/sleep"]
        .into_iter()
        .find(|path| Path::new(path).is_file())
        .expect("a sleep");
    fs::copy(sleep, &program).expect("a copy of sleep");
    run(Command::new(&program).arg("600").current_dir(dir))
}

/// Starts `command` without input and output.
pub(crate) fn run(command: &mut Command) -> Running {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0);
    // Writing a program and starting it at once fails as long as another thread's child, forked meanwhile, still
    // holds the file open: a matter of its next instruction.
    loop {
        match command.spawn() {
            Ok(child) => return Running(child),
            Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => {
                std::thread::yield_now();
            }
            Err(error) => panic!("{command:?}: {error}"),
        }
    }
}

/// Starts a shell that says when it is ready: the script must write one line.
pub(crate) fn run_until_ready(command: &mut Command) -> Running {
    use std::io::{BufRead, BufReader};
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .expect("it starts");
    let stdout = child.stdout.take().expect("a pipe");
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line).expect("a line");
    assert_eq!(line.trim(), "ready");
    Running(child)
}

/// When this machine was booted, as the kernel tells.
pub(crate) fn booted_at() -> Timestamp {
    let text = fs::read_to_string("/proc/stat").expect("/proc");
    let seconds = text
        .lines()
        .find_map(|line| line.strip_prefix("btime "))
        .expect("btime");
    Timestamp(seconds.trim().parse::<u64>().expect("a number") * 1000)
}

/// The wall clock: real processes and files carry its times.
#[expect(clippy::disallowed_methods, reason = "what is real has real times")]
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .expect("after 1970");
    Timestamp(vigil_core::time::millis(since))
}
