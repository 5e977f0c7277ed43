//! What a record means: Vigilante's fields end here.

use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};
use vigil_core::fact::{Fact, Gap, GapKind};
use vigil_core::named::{NamedFact, Value};
use vigil_core::session::{
    Attempts, FieldGap, Liveness, Lookup, OwnerEffects, Revision, Session, SessionId, Times,
};
use vigil_core::{State, Timestamp};

use crate::Listed;
use crate::vigilante::identity::{self, Named};
use crate::vigilante::lookup::{self, Fork};
use crate::vigilante::record::{Record, RecordFile, borrowed, excerpt};
use crate::vigilante::status::{self, Outcome};
use crate::vigilante::{fields, log, time, words};

/// The provider of a record that names none.
const DEFAULT_PROVIDER: &str = "codex";

/// What is needed to look at a session's work on this machine, and no policy's business.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Work {
    /// Of the record that all this was read from.
    pub(crate) revision: Revision,
    /// False: the record is held, and looking at its work would lead nowhere.
    pub(crate) readable: bool,
    /// The repository that the worktree belongs to.
    pub(crate) repo_path: Result<PathBuf, Gap>,
    /// Where the agent works.
    pub(crate) worktree: Result<PathBuf, Gap>,
    /// The session's branch.
    pub(crate) branch: Result<String, Gap>,
    /// The branch that the work goes into.
    pub(crate) base_branch: Option<String>,
    /// The remote that the branch is pushed to.
    pub(crate) push_remote: Option<String>,
    /// Whose agent it is.
    pub(crate) provider: String,
    /// The supervisor's pid.
    pub(crate) pid: Result<u32, Gap>,
    /// The agent runs in a container.
    pub(crate) sandboxed: bool,
    /// The latest moment at which the record's owner can have written its pid.
    pub(crate) pid_written: Option<Timestamp>,
    /// The latest moment at which the record was written.
    pub(crate) last_word: Option<Timestamp>,
    /// A maintenance round was begun and not ended.
    pub(crate) maintenance_in_flight: bool,
    /// The session's log, a name within `logs`.
    pub(crate) log: Result<String, Gap>,
}

impl Work {
    /// Full names of the remote branches that the work goes into, as far as the record tells.
    pub(crate) fn remote_bases(&self) -> Vec<String> {
        let Some(base) = &self.base_branch else {
            return Vec::new();
        };
        // Commits of the session's own branch are what is looked for; they must not count as merged.
        if self.branch.as_ref() == Ok(base) {
            return Vec::new();
        }
        self.remotes_of(base)
    }

    /// Full names of the branches of that name, here and at the remotes.
    pub(crate) fn names_of(&self, branch: &str) -> Vec<String> {
        let mut names = self.remotes_of(branch);
        names.push(format!("refs/heads/{branch}"));
        names
    }

    fn remotes_of(&self, branch: &str) -> Vec<String> {
        let mut remotes = vec!["origin", "upstream"];
        remotes.extend(self.push_remote.as_deref());
        remotes
            .into_iter()
            .map(|remote| format!("refs/remotes/{remote}/{branch}"))
            .collect()
    }
}

/// All sessions of the file, in its order, each with what is needed to look at its work. Pure.
pub(crate) fn sessions(
    file: &RecordFile<'_>,
    source: &str,
    now: Timestamp,
) -> Vec<(Session, Work)> {
    let issues = file.issues();
    let shared = log::Shared::of(issues.iter().filter_map(borrowed));
    let names = identity::names(issues.iter().map(borrowed));
    file.outlines
        .iter()
        .zip(names)
        .zip(&issues)
        .map(|((outline, named), issue)| {
            // Its fields are dropped with it.
            session(
                &outline.record(),
                source,
                named,
                shared.name(borrowed(issue)),
                now,
            )
        })
        .collect()
}

/// The session of one record: `named` among all others, with its log or why that cannot be told.
pub(crate) fn session(
    record: &Record<'_>,
    source: &str,
    named: Named,
    log: Result<String, Gap>,
    now: Timestamp,
) -> (Session, Work) {
    let id = SessionId::new(source, named.id);
    Reader::new(record).session(id, named.copies, log, now)
}

/// What a record says by itself that decides whether its session is looked at; the same as [`session`] reads.
pub(crate) fn brief(record: &Record<'_>) -> Brief {
    let mut reader = Reader::new(record);
    Brief {
        issue: record.issue(),
        listed: Listed {
            id: SessionId::new("", ""),
            revision: record.revision(),
            state: reader.state().0.unwrap_or(State::Blocked),
            tracker: reader.tracker(),
            repo: reader.repo("repo", "repo").ok().flatten(),
            issue: reader.number("issue_number", "issue").ok().flatten(),
            branch: reader.branch().ok().flatten(),
        },
    }
}

/// A record at a glance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Brief {
    /// Repository and issue to the letter, which name it and its log.
    pub(crate) issue: Option<(String, u64)>,
    /// Everything but its name, which depends on the other records.
    pub(crate) listed: Listed,
}

/// Reads one record's fields and keeps note of those that cannot be read.
struct Reader<'r, 'a> {
    record: &'r Record<'a>,
    gaps: Vec<FieldGap>,
}

impl<'r, 'a> Reader<'r, 'a> {
    fn new(record: &'r Record<'a>) -> Self {
        Reader {
            record,
            gaps: Vec::new(),
        }
    }

    fn session(
        mut self,
        id: SessionId,
        copies: u32,
        log: Result<String, Gap>,
        now: Timestamp,
    ) -> (Session, Work) {
        let record = self.record;
        let revision = record.revision();
        let unwritable = self.unwritable(&id, copies);
        let repo = self.repo("repo", "repo");
        let issue = self.number("issue_number", "issue");
        let branch = self.branch();
        let tracker = self.tracker();
        let fork = self.fork();
        let number = self.pull_request_number(&fork);
        let (state, native_state) = self.state();
        let owner_words = words::words(record, &native_state);
        let times = self.times(now);
        let provider = self
            .text("provider", "provider")
            .unwrap_or_else(|| DEFAULT_PROVIDER.to_owned());
        let facts = self.facts(state, &provider);
        let pull_request_backend = self.text("pr_backend", "pull-request");
        let lookup = match &unwritable {
            Some(gap) => Lookup {
                issue: Err(gap.clone()),
                pull_request: Err(gap.clone()),
            },
            None => Lookup {
                issue: lookup::issue_ref(&tracker, &repo, &issue),
                pull_request: match pull_request_backend.as_deref() {
                    None | Some("github") => {
                        lookup::pull_request_ref(&repo, &branch, &number, &fork)
                    }
                    // They live elsewhere, where nobody can ask.
                    Some(_) => Ok(None),
                },
            },
        };
        let runs = self
            .number("stale_auto_restart_attempts", "attempts.runs")
            .ok()
            .flatten()
            .unwrap_or(0);
        let base = ref_name(record, "base_branch");
        let held = unwritable.is_some() || state.is_none();
        let session_state = state.unwrap_or(State::Blocked);
        let work = Work {
            revision: revision.clone(),
            readable: !held,
            repo_path: self.path("repo_path"),
            worktree: self.path("worktree_path"),
            branch: match &branch {
                Ok(Some(branch)) => Ok(branch.clone()),
                Ok(None) => Err(unrecorded("branch")),
                Err(gap) => Err(gap.clone()),
            },
            base_branch: base.clone(),
            push_remote: ref_name(record, "push_remote"),
            provider,
            pid: pid(record),
            sandboxed: record.flag("sandbox_mode").unwrap_or(true),
            pid_written: times.started.max(times.heartbeat),
            last_word: times.started.max(times.heartbeat).max(times.updated),
            maintenance_in_flight: facts
                .iter()
                .any(|fact| fact.name == "maintenance-in-flight" && !fact.answer.is_unknown()),
            log,
        };
        let session = Session {
            id,
            revision,
            tracker,
            repo: repo.ok().flatten(),
            issue: issue.ok().flatten(),
            branch: branch.ok().flatten(),
            base,
            pull_request: number.ok().flatten(),
            state: session_state,
            native_state,
            times,
            liveness: Liveness::default(),
            attempts: Attempts {
                runs: u32::try_from(runs).unwrap_or(u32::MAX),
                failures: 0,
            },
            tasks: Vec::new(),
            gaps: self.gaps,
            readable: !held,
            facts,
            owner_says: state.filter(|state| state.is_final()),
            owner_words,
            lookup,
            // A held session is one that nothing may be written to, whatever a policy makes of it.
            owner_effects: if held {
                OwnerEffects::default()
            } else {
                OwnerEffects {
                    if_left: fields::if_left(record),
                    ..fields::owner_effects()
                }
            },
        };
        (session, work)
    }

    /// Why nothing may be written to the record, listed as the gap `record`.
    fn unwritable(&mut self, id: &SessionId, copies: u32) -> Option<Gap> {
        let detail = if let Some(twice) = &self.record.duplicate_key {
            format!(
                "line {}, column {}: the key \"{}\" comes twice in the record, and readers differ in which one \
                 counts; remove one of them",
                twice.line,
                twice.column,
                excerpt(&twice.key)
            )
        } else if copies > 1 {
            format!(
                "sessions.json holds {copies} records of this issue, {} among them; Vigilante uses the first and \
                 nobody can say whether that is the one at work; remove all but one",
                id.id
            )
        } else if identity::nameable(borrowed(&self.record.issue())).is_none() {
            "the record names no repository as owner/name, or no issue by a number, so that it cannot be told from others"
                .to_owned()
        } else {
            return None;
        };
        let gap = Gap::new(GapKind::Malformed, detail);
        self.missing("record", gap.clone());
        Some(gap)
    }

    fn tracker(&mut self) -> String {
        self.text("issue_backend", "tracker")
            .unwrap_or_else(|| "github".to_owned())
    }

    fn state(&mut self) -> (Option<State>, String) {
        let record = self.record;
        let native = match record.text("status") {
            Ok(native) => native.unwrap_or_default(),
            Err(gap) => {
                self.missing("state", gap);
                return (None, String::new());
            }
        };
        let mut text = |name| match record.text(name) {
            Ok(text) => Ok(text.unwrap_or_default()),
            Err(gap) => {
                self.missing("state", gap);
                Err(())
            }
        };
        let (Ok(snapshot), Ok(merged), Ok(cleaned), Ok(stopped), Ok(source)) = (
            text("pull_request_state"),
            text("pull_request_merged_at"),
            text("cleanup_completed_at"),
            text("monitoring_stopped_at"),
            text("last_cleanup_source"),
        ) else {
            return (None, native);
        };
        let numbered = matches!(record.number("pull_request_number"), Ok(Some(_)))
            || matches!(record.number("upstream_pr_number"), Ok(Some(_)));
        let state = status::state(
            &native,
            Outcome {
                pull_request_state: &snapshot,
                merged: !merged.is_empty(),
                numbered,
                let_go: !cleaned.is_empty() || !stopped.is_empty(),
                cleanup_source: &source,
            },
        );
        if state.is_none() {
            let shown = match native.as_str() {
                "" => "the record holds no status".to_owned(),
                "success" => format!(
                    "its pull request is {}, a word that vigil does not know",
                    excerpt(&snapshot)
                ),
                other => format!(
                    "its status is {}, a word that vigil does not know; Vigilante may be newer than vigil",
                    excerpt(other)
                ),
            };
            self.missing("state", Gap::new(GapKind::Unsupported, shown));
        }
        (state, native)
    }

    /// The record's times. One that cannot be read is a gap; no other field stands in for it.
    fn times(&mut self, now: Timestamp) -> Times {
        let mut read = |name: &str, field: &str| {
            let found = self.record.text(name).and_then(|text| {
                let Some(text) = text else {
                    return Ok(None);
                };
                let moment = time::parse(&text).ok_or_else(|| {
                    Gap::new(
                        GapKind::Malformed,
                        format!("`{name}` is {}, which is no RFC 3339 time", excerpt(&text)),
                    )
                })?;
                time::not_ahead(moment, now, &format!("`{name}`")).map(Some)
            });
            found.unwrap_or_else(|gap| {
                self.missing(field, gap);
                None
            })
        };
        Times {
            started: read("started_at", "times.started"),
            heartbeat: read("last_heartbeat_at", "times.heartbeat"),
            updated: read("updated_at", "times.updated"),
            ended: read("ended_at", "times.ended"),
        }
    }

    fn facts(&mut self, state: Option<State>, provider: &str) -> Vec<NamedFact> {
        let mut facts = vec![NamedFact::found(
            "provider",
            Value::Text(provider.to_owned()),
        )];
        let stage = self.fact_text("blocked_stage", "stage").or_else(|| {
            // Kept from an earlier stop while a new run is at work; it says where a session stands only when no run
            // has followed.
            let stands = matches!(state, Some(State::Blocked | State::Failed));
            stands
                .then(|| self.fact_text("last_blocked_stage", "stage"))
                .flatten()
        });
        facts.extend(stage);
        let source = self.fact_text("last_cleanup_source", "cleanup");
        let cleaned = self.fact_text("cleanup_completed_at", "cleanup");
        facts.extend(source.or_else(|| {
            cleaned.map(|cleaned| NamedFact {
                answer: cleaned.answer.map(|_| Value::Text("unrecorded".to_owned())),
                ..cleaned
            })
        }));
        match self.record.flag("pull_request_maintenance_in_flight") {
            Ok(false) => {}
            in_flight => facts.push(named("maintenance-in-flight", in_flight.map(Value::Flag))),
        }
        facts.extend(self.fact_text("incomplete_reason", "incomplete-reason"));
        facts
    }

    /// The fact `name` as the record has it in `field`; `None`: the record has no such field.
    fn fact_text(&self, field: &str, name: &str) -> Option<NamedFact> {
        let text = self.record.text(field).transpose()?;
        Some(named(name, text.map(Value::Text)))
    }

    fn branch(&mut self) -> Result<Option<String>, Gap> {
        let branch = self.record.text("branch").and_then(|branch| match branch {
            Some(branch) if !lookup::is_ref_name(&branch) => Err(Gap::new(
                GapKind::Malformed,
                format!(
                    "`branch` is {}, which git takes for no branch",
                    excerpt(&branch)
                ),
            )),
            other => Ok(other),
        });
        self.noted("branch", branch)
    }

    fn repo(&mut self, name: &str, field: &str) -> Result<Option<String>, Gap> {
        let repo = self.record.text(name).and_then(|repo| match repo {
            Some(repo) if !lookup::is_repo(&repo) => Err(Gap::new(
                GapKind::Malformed,
                format!(
                    "`{name}` is {}, which is no owner/name of the forge",
                    excerpt(&repo)
                ),
            )),
            other => Ok(other),
        });
        self.noted(field, repo)
    }

    fn fork(&mut self) -> Fork {
        let is_fork = self.record.flag("fork_mode").inspect_err(|gap| {
            self.gaps.push(FieldGap {
                field: "pull-request".to_owned(),
                gap: gap.clone(),
            });
        });
        let owner = self
            .record
            .text("fork_owner")
            .and_then(|owner| match owner {
                Some(owner) if !lookup::is_owner(&owner) => Err(Gap::new(
                    GapKind::Malformed,
                    format!(
                        "`fork_owner` is {}, which is no owner on the forge",
                        excerpt(&owner)
                    ),
                )),
                other => Ok(other),
            });
        Fork {
            is_fork,
            owner: self.noted("pull-request", owner),
            push_repo: self.repo("push_repo", "pull-request"),
            upstream: self.repo("upstream_repo", "pull-request"),
        }
    }

    fn pull_request_number(&mut self, fork: &Fork) -> Result<Option<u64>, Gap> {
        let own = self.number("pull_request_number", "pull-request");
        if fork.is_fork == Ok(false) {
            return own;
        }
        match self.number("upstream_pr_number", "pull-request") {
            Ok(None) => own,
            upstream => upstream,
        }
    }

    fn number(&mut self, name: &str, field: &str) -> Result<Option<u64>, Gap> {
        let number = self.record.number(name);
        self.noted(field, number)
    }

    fn text(&mut self, name: &str, field: &str) -> Option<String> {
        let text = self.record.text(name);
        self.noted(field, text).ok().flatten()
    }

    /// A path that vigil may hand to git: absolute, and without steps upwards that lead out of where it seems to be.
    fn path(&self, name: &str) -> Result<PathBuf, Gap> {
        let Some(path) = self.record.text(name)? else {
            return Err(unrecorded(name));
        };
        let odd = path.contains(|c: char| c.is_control())
            || !Path::new(&path).is_absolute()
            || Path::new(&path)
                .components()
                .any(|part| part == Component::ParentDir);
        if odd {
            return Err(Gap::new(
                GapKind::Malformed,
                format!("`{name}` is {}, which is no absolute path", excerpt(&path)),
            ));
        }
        Ok(PathBuf::from(path))
    }

    fn noted<T>(&mut self, field: &str, found: Result<T, Gap>) -> Result<T, Gap> {
        if let Err(gap) = &found {
            self.missing(field, gap.clone());
        }
        found
    }

    fn missing(&mut self, field: &str, gap: Gap) {
        self.gaps.push(FieldGap {
            field: field.to_owned(),
            gap,
        });
    }
}

pub(crate) fn unrecorded(name: &str) -> Gap {
    Gap::new(GapKind::Unrecorded, format!("the record holds no `{name}`"))
}

fn named(name: &str, read: Result<Value, Gap>) -> NamedFact {
    NamedFact {
        name: name.to_owned(),
        answer: read.map_or_else(Fact::from, Fact::Found),
    }
}

fn pid(record: &Record<'_>) -> Result<u32, Gap> {
    let pid = record
        .number("process_id")?
        .ok_or_else(|| unrecorded("process_id"))?;
    // Linux gives no pid beyond 2^22, and kill(2) takes what does not fit an i32 for something else.
    match i32::try_from(pid) {
        Ok(_) => u32::try_from(pid).map_err(|_| unrecorded("process_id")),
        Err(_) => Err(Gap::new(
            GapKind::Malformed,
            format!("`process_id` is {pid}, which is no pid"),
        )),
    }
}

fn ref_name(record: &Record<'_>, name: &str) -> Option<String> {
    let text = record.text(name).ok().flatten()?;
    lookup::is_ref_name(&text).then_some(text)
}

#[cfg(test)]
mod tests;
