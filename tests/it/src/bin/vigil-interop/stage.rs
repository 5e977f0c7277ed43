//! One stage: a Vigilante home with its repository, both programs, and a GitHub for each of them.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use vigil::demo::home::REPO;
use vigil::demo::{Home, Made, story};
use vigil::report::{RunReport, SessionReport};
use vigil::ui::moment;
use vigil_core::Timestamp;
use vigil_core::time::minutes;
use vigil_model::{Handle, Model, Server};

use crate::agent;
use crate::gh::{self, Facts};

/// What is tried.
#[derive(Debug)]
pub(crate) struct Programs {
    /// The published Vigilante.
    pub(crate) vigilante: PathBuf,
    /// vigil as it is built here.
    pub(crate) vigil: PathBuf,
    /// This program, which plays `gh` and the agents.
    pub(crate) own: PathBuf,
}

/// Whether an issue is still wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Issue {
    Open,
    Closed,
}

/// What became of the session's branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pull {
    None,
    Open,
    Merged,
    Closed,
}

/// One session with what GitHub says about it.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) made: Made,
    pub(crate) issue: Issue,
    pub(crate) pull: Pull,
    pub(crate) label: Option<&'static str>,
    /// Minutes before now at which the pull request ended, where it did.
    pub(crate) pull_ended: u64,
    /// The pull request's head is a commit that the clone has. Otherwise it moved on GitHub, or was pruned.
    pub(crate) head_known: bool,
}

/// The head of a pull request that the clone does not have.
const ELSEWHERE: &str = "5ca1ab1e5ca1ab1e5ca1ab1e5ca1ab1e5ca1ab1e";

impl Told {
    /// The number of the pull request of an issue's session.
    pub(crate) fn pull_of(issue: u64) -> u64 {
        issue + PULL
    }
}

/// The present.
pub(crate) fn now() -> Result<Timestamp> {
    Ok(Timestamp(u64::try_from(
        jiff::Timestamp::now().as_millisecond(),
    )?))
}

/// A pull request's number is its issue's, and this.
const PULL: u64 = 20;

/// Any program that runs longer hangs. Both take seconds.
const DEADLINE_SECS: &str = "120";

/// A stage that is set. The folders live as long as the caller wants.
pub(crate) struct Stage<'a> {
    programs: &'a Programs,
    dir: PathBuf,
    home: Home,
    model: Handle,
    cache: PathBuf,
}

impl<'a> Stage<'a> {
    /// Makes the folder `dir` with all of `told`. `gh_fails`: Vigilante's `gh` answers nothing.
    pub(crate) fn set(
        programs: &'a Programs,
        dir: &Path,
        told: &[Told],
        gh_fails: bool,
    ) -> Result<Stage<'a>> {
        let now = now()?;
        fs::create_dir_all(dir).with_context(|| format!("failed to create {}", dir.display()))?;
        let mut home = Home::create(dir, now)?;
        let mut model = Model::new(now.as_millis());
        model.token(story::TOKEN).sees_all();
        let mut facts = Facts {
            fails: gh_fails,
            repo: REPO.to_owned(),
            limits_reset_s: now.after(minutes(50)).as_millis() / 1000,
            issues: Vec::new(),
        };
        for told in told {
            let pushed = home.add(&told.made)?;
            let head = match told.head_known {
                true => pushed,
                false => ELSEWHERE.to_owned(),
            };
            tell_model(&mut model, told, &head, now);
            facts.issues.push(tell_gh(told, &head, now));
        }
        home.write()?;
        let dir = home.root().to_owned();
        let stage = Stage {
            programs,
            model: Server::start(model, SocketAddr::from(([127, 0, 0, 1], 0)))
                .context("failed to serve the model of GitHub on loopback; is lo up?")?,
            // Compiled once for all stages.
            cache: dir.parent().unwrap_or(&dir).join("cache"),
            dir,
            home,
        };
        facts.write(&stage.dir)?;
        stage.watch()?;
        stage.shims()?;
        stage.configure()?;
        Ok(stage)
    }

    /// The watch target, without which Vigilante starts nothing.
    fn watch(&self) -> Result<()> {
        let targets = json!([{
            "path": self.home.repository(),
            "repo": REPO,
            "branch": "main",
            "classification": {},
            "provider": "codex",
            "assignee": "me",
            "max_parallel_sessions": 3,
            "issue_backend": "github",
            "git_backend": "github",
            "pr_backend": "github",
        }]);
        self.put(
            "vigilante/watchlist.json",
            &serde_json::to_string_pretty(&targets)?,
        )
    }

    /// `gh` and the agents, in a folder that comes first on the path.
    fn shims(&self) -> Result<()> {
        let own = self.programs.own.display();
        let dir = self.dir.display();
        let mut shims = vec![("gh", format!("as-gh '{dir}'"))];
        shims.extend(agent::NAMES.map(|name| (name, format!("as-agent '{dir}' {name}"))));
        for (name, role) in shims {
            let file = format!("shims/{name}");
            self.put(&file, &format!("#!/bin/sh\nexec '{own}' {role} \"$@\"\n"))?;
            fs::set_permissions(self.dir.join(file), fs::Permissions::from_mode(0o755))?;
        }
        Ok(())
    }

    /// vigil's configuration: like none, but that a container is not mistaken for another machine.
    fn configure(&self) -> Result<()> {
        let home = self.home.vigilante();
        self.put(
            "vigil.toml",
            &format!("[source.vigilante]\nkind = \"vigilante\"\nhome = {home:?}\nsame_pid_namespace = true\n"),
        )
    }

    fn put(&self, name: &str, text: &str) -> Result<()> {
        let path = self.dir.join(name);
        let folder = path.parent().context("a file has a folder")?;
        fs::create_dir_all(folder)
            .and_then(|()| fs::write(&path, text))
            .with_context(|| format!("failed to write {}", path.display()))
    }

    /// A program with nothing of the caller's own in its environment.
    fn command(&self, program: &Path) -> Result<Command> {
        let inherited = std::env::var_os("PATH").unwrap_or_default();
        let shims = self.dir.join("shims");
        let path =
            std::env::join_paths([shims].into_iter().chain(std::env::split_paths(&inherited)))?;
        let mut command = Command::new("timeout");
        command
            .arg(DEADLINE_SECS)
            .arg(program)
            .current_dir(&self.dir)
            .env_clear()
            .env("PATH", path)
            .env("HOME", self.dir.join("person"))
            .env("VIGILANTE_HOME", self.home.vigilante())
            .env("DO_NOT_TRACK", "1")
            .stdin(Stdio::null());
        for who in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{who}_NAME"), "made up");
            command.env(format!("GIT_{who}_EMAIL"), "made-up@localhost");
        }
        Ok(command)
    }

    /// Runs Vigilante to its end; gives what it printed.
    pub(crate) fn vigilante(&self, arguments: &[&str]) -> Result<String> {
        let output = self
            .command(&self.programs.vigilante)?
            .args(arguments)
            .output()
            .context("failed to start Vigilante")?;
        ensure!(
            output.status.success(),
            "vigilante {} ended with {}: {}",
            arguments.join(" "),
            output.status,
            said(&output)
        );
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// One pass of vigil.
    pub(crate) fn vigil(&self) -> Result<RunReport> {
        let said = self.vigil_says(&["run", "--once", "--policy", "default.wasm"])?;
        serde_json::from_value(said).context("failed to read vigil's report")
    }

    /// The JSON that a command of vigil's prints.
    pub(crate) fn vigil_says(&self, arguments: &[&str]) -> Result<Value> {
        let output = self
            .command(&self.programs.vigil)?
            .args(arguments)
            .args(["--json", "--config"])
            .arg(self.dir.join("vigil.toml"))
            .env("VIGIL_STATE_DIR", self.dir.join("state"))
            .env("XDG_CACHE_HOME", &self.cache)
            .env("GH_TOKEN", story::TOKEN)
            .env("GITHUB_API_URL", self.model.rest_url())
            .env("GITHUB_GRAPHQL_URL", self.model.graphql_url())
            .output()
            .context("failed to start vigil")?;
        ensure!(
            output.status.success(),
            "vigil {} ended with {}: {}",
            arguments.join(" "),
            output.status,
            said(&output)
        );
        serde_json::from_slice(&output.stdout).context("failed to read what vigil printed")
    }

    /// Somebody reopens `issue`: GitHub says so to vigil and to Vigilante.
    pub(crate) fn reopen(&self, issue: u64) -> Result<()> {
        self.model.with(|model| {
            model.repo(REPO).issue(issue).reopened();
        });
        gh::reopen(&self.dir, issue)
    }

    /// The records as they stand.
    pub(crate) fn records(&self) -> Result<Vec<Value>> {
        let path = self.home.vigilante().join("sessions.json");
        let text = fs::read_to_string(&path)
            .with_context(|| format!("failed to read {}", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("failed to read {}", path.display()))
    }

    /// Lets time pass: every moment in the records lies `by` further back.
    pub(crate) fn age(&self, by: std::time::Duration) -> Result<()> {
        let mut records = Value::Array(self.records()?);
        shift(&mut records, by);
        self.put(
            "vigilante/sessions.json",
            &serde_json::to_string_pretty(&records)?,
        )
    }

    /// Removes fields from all records; each must be there in one of them.
    pub(crate) fn strip(&self, keys: &[&str]) -> Result<()> {
        let mut records = self.records()?;
        for key in keys {
            let fields = records.iter_mut().filter_map(Value::as_object_mut);
            let removed = fields.filter_map(|fields| fields.remove(*key)).count();
            ensure!(removed > 0, "no record has {key}");
        }
        self.put(
            "vigilante/sessions.json",
            &serde_json::to_string_pretty(&records)?,
        )
    }

    /// Where the session of `issue` works.
    pub(crate) fn worktree(&self, issue: u64) -> PathBuf {
        self.home.worktree(issue)
    }

    /// The newest commit of the session's branch; `None`: the branch is gone.
    pub(crate) fn branch_head(&self, issue: u64) -> Option<String> {
        let name = format!("refs/heads/{}", Home::branch(issue));
        let head = vigil::demo::home::git(
            &self.home.repository(),
            &["rev-parse", "--verify", "--quiet", &name],
        );
        head.ok().map(|head| head.trim().to_owned())
    }

    /// How often an agent was started to work.
    pub(crate) fn agents(&self) -> Result<usize> {
        agent::started(&self.dir)
    }

    /// Fails when Vigilante asked `gh` for something that it could not answer.
    pub(crate) fn all_answered(&self) -> Result<()> {
        let open = gh::unanswered(&self.dir)?;
        ensure!(
            open.is_empty(),
            "the gh of this trial has no answer to: {}",
            open.join("; ")
        );
        Ok(())
    }
}

fn said(output: &Output) -> String {
    let both = [&output.stdout, &output.stderr]
        .map(|said| String::from_utf8_lossy(said).trim().to_owned());
    both.join("\n")
}

/// What the report says of the only session, or of the one on `issue`.
pub(crate) fn of_issue(report: &RunReport, issue: u64) -> Result<&SessionReport> {
    let id = format!("{REPO}#{issue}");
    report
        .sessions
        .iter()
        .find(|session| session.id == id)
        .with_context(|| format!("vigil's report has no session {id}"))
}

fn shift(value: &mut Value, by: std::time::Duration) {
    match value {
        Value::String(text) => {
            if let Ok(at) = text.parse::<jiff::Timestamp>() {
                let millis = u64::try_from(at.as_millisecond()).unwrap_or_default();
                *text = moment(Timestamp(millis).before(by));
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| shift(value, by)),
        Value::Object(fields) => fields.values_mut().for_each(|value| shift(value, by)),
        _ => {}
    }
}

/// Minutes before now at which things happened: the session began 109 min ago.
pub(crate) mod ago {
    pub(super) const PULL_OPENED: u64 = 100;
    pub(crate) const PULL_ENDED: u64 = 80;
}

fn tell_model(model: &mut Model, told: &Told, head: &str, now: Timestamp) {
    let at = |n: u64| now.before(minutes(n)).as_millis();
    let mut issue = model.repo(REPO).issue(told.made.issue);
    if let Some(label) = told.label {
        issue = issue.label(label);
    }
    if told.issue == Issue::Closed {
        // A moment after the pull request that closed it.
        issue = issue.closed_at("completed", at(told.pull_ended) + 2_000);
    }
    if told.pull == Pull::None {
        return;
    }
    let pull = issue
        .pull(Told::pull_of(told.made.issue))
        .head(&Home::branch(told.made.issue))
        .sha(head)
        .created_at(at(ago::PULL_OPENED));
    match told.pull {
        Pull::Merged => pull.merged_at(at(told.pull_ended)),
        Pull::Closed => pull.closed_at(at(told.pull_ended)),
        Pull::Open | Pull::None => pull,
    };
}

fn tell_gh(told: &Told, head: &str, now: Timestamp) -> gh::Issue {
    let state = match told.pull {
        Pull::None => None,
        Pull::Open => Some("OPEN"),
        Pull::Merged => Some("MERGED"),
        Pull::Closed => Some("CLOSED"),
    };
    let merged = (told.pull == Pull::Merged).then(|| moment(now.before(minutes(told.pull_ended))));
    gh::Issue {
        number: told.made.issue,
        state: if told.issue == Issue::Open {
            "open"
        } else {
            "closed"
        }
        .to_owned(),
        labels: told.label.iter().map(|label| (*label).to_owned()).collect(),
        pull: state.map(|state| gh::Pull {
            number: Told::pull_of(told.made.issue),
            state: state.to_owned(),
            merged_at: merged,
            branch: Home::branch(told.made.issue),
            head: head.to_owned(),
        }),
    }
}
