//! Vigilante: sessions in one JSON file, worktrees beside the repository, one supervisor for all agents.
//!
//! Reads: `glance` (what is there, with `split`), `record` (the text), `convert` (its meaning, with `status`, `lookup`
//! and `identity`), `look` (by whom) and `liveness` (what is to be seen on the machine, with `processes`, `log`, `worktree`,
//! `worktrees` and `git`). Writes: `fields` (what to change), `edit` (in the text), `lock`, `write` and `replace` (safely),
//! `displaced`, `merge` and `recover` (what others wrote at the same moment, and what a crash left).

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use vigil_core::Timestamp;
use vigil_core::fact::{Fact, Gap, GapKind};
use vigil_core::session::{Liveness, Revision, Session, SessionId};
use vigil_core::time::minutes;

use crate::machine::child::ChildEnvironment;
use crate::machine::looker::{Lookers, Program};
use crate::vigilante::convert::Work;
use crate::vigilante::glance::Glance;
use crate::vigilante::liveness::{Brief, looks};
use crate::vigilante::look::Desk;
use crate::vigilante::record::{RecordFile, SESSIONS_FILE};
use crate::vigilante::split::Doubt;
use crate::{
    Change, Checkout, Committed, Displaced, Fate, GitFiles, Listed, Picked, Proposal, Refusal,
    Source, SourceError, World,
};

mod attributes;
mod backup;
mod convert;
mod displaced;
mod edit;
mod fields;
mod git;
mod glance;
mod identity;
mod liveness;
mod lock;
mod log;
mod look;
mod lookup;
mod malformed;
mod merge;
mod processes;
mod propose;
mod record;
mod recover;
mod replace;
#[cfg(test)]
pub(crate) mod scene;
mod split;
mod status;
#[cfg(test)]
mod testing;
mod time;
mod words;
mod worktree;
mod worktrees;
mod write;

pub use fields::{STALLED_AFTER, owner_effects};
pub use look::help;

/// One Vigilante home.
#[derive(Clone, Debug)]
pub struct Vigilante {
    name: String,
    home: PathBuf,
    state_dir: PathBuf,
    settings: Settings,
    /// Who looks at what may never answer; `None`: this process.
    lookers: Option<Arc<Lookers>>,
    /// What the latest look found, shared by clones.
    seen: Arc<Mutex<Seen>>,
}

/// What `observe` and `beyond_head` need beyond what a session says, kept from the latest `load`.
#[derive(Debug, Default)]
struct Seen {
    /// When.
    at: Timestamp,
    works: HashMap<String, Arc<Work>>,
    /// Who looks, and what was found on the way.
    desk: Option<Desk>,
    /// The records as they were read last, for the next reading.
    glance: Option<Arc<Glance>>,
}

/// What a configuration may change about a Vigilante source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// How long a session counts as at work after its last sign of life.
    pub fresh_for: Duration,
    /// Labels that, on an issue, say that the work is done. Compared to the letter.
    pub final_labels: Vec<String>,
    /// Where the repositories live. Vigilante's `repo` fields name no host.
    pub forge_host: String,
    /// For each provider that a record may name, the names that its processes bear.
    pub provider_process_names: Vec<(String, Vec<String>)>,
    /// Names of processes that do no work on any session, whatever their folder is.
    pub ignore_processes: Vec<String>,
    /// Where the git files of the person who runs vigil lie: they say what git ignores everywhere, and how it treats
    /// line ends.
    pub git: GitFiles,
    /// Whether Vigilante runs in the same pid namespace as vigil, so that the pids it records mean the same to both.
    /// `None`: find out. That is sure outside of containers; inside one it takes a running Vigilante.
    pub same_pid_namespace: Option<bool>,
    /// The program that looks at files, so that it can be ended when a mount does not answer: it must call [`help`].
    /// `None`: this process looks, and waits for as long as the kernel takes.
    #[serde(skip)]
    pub look: Option<Program>,
    /// Where processes are looked at. Only tests have a reason to change it.
    pub proc: PathBuf,
}

impl Default for Settings {
    fn default() -> Self {
        let provider = |name: &str| (name.to_owned(), vec![name.to_owned()]);
        Settings {
            // The threshold after which Vigilante's own `status` calls a session stale.
            fresh_for: minutes(30),
            final_labels: vec!["vigilante:done".to_owned()],
            forge_host: "github.com".to_owned(),
            provider_process_names: ["codex", "claude", "gemini", "opencode"]
                .map(provider)
                .to_vec(),
            ignore_processes: Vec::new(),
            git: GitFiles::default(),
            same_pid_namespace: None,
            look: None,
            proc: PathBuf::from("/proc"),
        }
    }
}

impl Vigilante {
    /// The source `name` over Vigilante's folder `home`; what vigil itself keeps about it, backups before all, goes
    /// below `state_dir`. Nothing is read or made yet.
    pub fn new(
        name: impl Into<String>,
        home: impl Into<PathBuf>,
        state_dir: impl Into<PathBuf>,
        settings: Settings,
    ) -> Self {
        let state_dir = state_dir.into();
        let lookers = settings.look.as_ref().map(|program| {
            let (program, environment) = (program.clone(), ChildEnvironment::default());
            Arc::new(Lookers::new(program, environment, &state_dir))
        });
        Vigilante {
            lookers,
            name: name.into(),
            home: home.into(),
            state_dir,
            settings,
            seen: Arc::default(),
        }
    }

    /// Vigilante's folder.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Where vigil keeps what it knows about this source.
    pub fn state_dir(&self) -> &Path {
        &self.state_dir
    }

    /// How it is set.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }
}

impl Source for Vigilante {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> &'static str {
        "vigilante"
    }

    fn load(&self, world: &dyn World) -> Result<Vec<Session>, SourceError> {
        let picked = self.load_picked(&mut |_| true, world)?;
        Ok(picked
            .sessions
            .into_iter()
            .map(|(_, session)| session)
            .collect())
    }

    fn load_picked(
        &self,
        pick: &mut dyn FnMut(&Listed) -> bool,
        world: &dyn World,
    ) -> Result<Picked, SourceError> {
        if let Some(lookers) = &self.lookers {
            lookers.begin(world.now());
        }
        self.answers()?;
        let (listed, read) = self.read(pick, world)?;
        let mut seen = self.seen();
        seen.at = world.now();
        // What was learned of repositories belongs to one pass.
        seen.desk = None;
        seen.works.clear();
        let mut sessions = Vec::with_capacity(read.len());
        for (place, session, work) in read {
            seen.works.insert(session.id.id.clone(), Arc::new(work));
            sessions.push((place, session));
        }
        Ok(Picked { listed, sessions })
    }

    fn allow(&self, looks: Duration) {
        if let Some(lookers) = &self.lookers {
            lookers.allow(looks);
        }
    }

    fn observe(&self, sessions: &[&Session], world: &dyn World) -> Vec<Liveness> {
        let works = self.works(sessions, world);
        let looked: Vec<_> = sessions.iter().copied().zip(works).collect();
        let processes = looked.iter().any(|(session, work)| {
            let looks = work.as_ref().map(|work| looks(session.state, work));
            looks.is_ok_and(|looks| looks.agent || looks.progress)
        });
        if let Some(lookers) = &self.lookers {
            lookers.renew();
        }
        let desk = self.desk(world.now(), world.booted_at(), processes);
        let liveness = desk.observe(&looked);
        let mut seen = self.seen();
        seen.at = world.now();
        seen.desk = Some(desk);
        for (session, work) in looked {
            seen.works
                .extend(work.ok().map(|work| (session.id.id.clone(), work)));
        }
        liveness
    }

    fn checkout(&self, session: &Session) -> Checkout {
        let looked = self.at_the_desk(session, |desk, work| desk.checkout(work));
        looked.unwrap_or_else(|gap| Checkout::unknown(&gap))
    }

    fn shares_work(&self, session: &Session, commit: &str, bases: &[String]) -> Fact<bool> {
        self.at_the_desk(session, |desk, work| desk.shares_work(work, commit, bases))
            .unwrap_or_else(Fact::from)
    }

    fn firsts(&self, session: &Session, bases: &[String]) -> Fact<Vec<String>> {
        self.at_the_desk(session, |desk, work| desk.firsts(work, bases))
            .unwrap_or_else(Fact::from)
    }

    fn beyond_head(&self, session: &Session, head_sha: &str) -> Fact<u32> {
        self.at_the_desk(session, |desk, work| desk.beyond(work, head_sha))
            .unwrap_or_else(Fact::from)
    }

    fn propose(
        &self,
        changes: &[Change<'_>],
        _world: &dyn World,
    ) -> Vec<Result<Proposal, Refusal>> {
        propose::propose(self, changes)
    }

    fn commit(&self, proposals: &[Proposal], world: &dyn World) -> Vec<Committed> {
        write::commit(self, proposals, world)
    }

    fn revisions(
        &self,
        ids: &[SessionId],
        _world: &dyn World,
    ) -> Result<Vec<Option<Revision>>, SourceError> {
        self.answers()?;
        propose::revisions(self, ids)
    }

    fn recover(&self, prepared: &[Proposal], world: &dyn World) -> Result<Vec<Fate>, SourceError> {
        // A pass begins with this.
        if let Some(lookers) = &self.lookers {
            lookers.begin(world.now());
        }
        self.answers()?;
        recover::recover(self, prepared, world)
    }

    fn displaced(&self) -> Vec<Displaced> {
        displaced::kept(self, self.answers().is_ok())
    }

    fn propose_undo(&self, written: &Proposal, _world: &dyn World) -> Result<Proposal, Refusal> {
        propose::undo(self, written)
    }

    fn locations(&self) -> Vec<(&'static str, String)> {
        let show = |path: &Path| path.display().to_string();
        // A home without them is one where Vigilante has not worked yet, or not Vigilante's.
        let there = |path: &Path| match path.symlink_metadata() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                format!(
                    "{} (not there: Vigilante makes it with its first session)",
                    show(path)
                )
            }
            _ => show(path),
        };
        let standing = match self.answer(&lock::FILES) {
            Ok(()) => lock::standing(&self.home),
            Err(error) => format!("cannot be looked at ({})", write::chain(&error)),
        };
        vec![
            ("home", show(&self.home)),
            ("sessions", there(&self.home.join(SESSIONS_FILE))),
            ("logs", there(&self.home.join("logs"))),
            ("backups", show(&self.state_dir.join("backups"))),
            ("scan.lock", standing),
        ]
    }
}

/// What one reading gives: all records at a glance, and the picked ones with their place in it.
type Read = (Arc<[Listed]>, Vec<(usize, Session, Work)>);

impl Vigilante {
    /// Asks a helper for the records' file, before this process waits for a mount behind which nobody answers.
    fn answers(&self) -> Result<(), SourceError> {
        self.answer(&[SESSIONS_FILE])
    }

    /// The same of the files `names` in its home.
    fn answer(&self, names: &[&str]) -> Result<(), SourceError> {
        let Some(lookers) = &self.lookers else {
            return Ok(());
        };
        let paths: Vec<PathBuf> = names.iter().map(|name| self.home.join(name)).collect();
        look::probe(lookers, &paths).map_err(|source| SourceError::Io {
            doing: "read",
            path: match paths.as_slice() {
                [path] => path.display().to_string(),
                _ => self.home.display().to_string(),
            },
            source,
        })
    }

    /// What is asked at this moment's desk about the work of a session, of the very record that it was read from.
    fn at_the_desk<T>(
        &self,
        session: &Session,
        ask: impl FnOnce(&Desk, &Work) -> T,
    ) -> Result<T, Gap> {
        let (known, now) = {
            let seen = self.seen();
            (seen.works.get(&session.id.id).cloned(), seen.at)
        };
        let work = known.filter(|work| work.revision == session.revision);
        let work = work.ok_or_else(|| moved(session))?;
        let known = self.seen().desk.clone();
        let desk = known.unwrap_or_else(|| {
            let desk = self.desk(now, None, false);
            self.seen().desk = Some(desk.clone());
            desk
        });
        Ok(ask(&desk, &work))
    }

    fn read(
        &self,
        pick: &mut dyn FnMut(&Listed) -> bool,
        world: &dyn World,
    ) -> Result<Read, SourceError> {
        let before = self.seen().glance.clone();
        let now = world.now();
        let clock = glance::file_clock();
        let read = glance::glance(&self.home, &self.name, before.as_ref(), clock).and_then(
            |(glance, file)| {
                let picked: Vec<usize> = (0..)
                    .zip(glance.listed().iter())
                    .filter(|(_, listed)| pick(listed))
                    .map(|(place, _)| place)
                    .collect();
                let sessions = glance.sessions(&file, &picked, &self.name, now)?;
                Ok((glance, sessions))
            },
        );
        match read {
            Ok((glance, sessions)) => {
                let listed = Arc::clone(glance.listed());
                self.seen().glance = Some(glance);
                Ok((listed, sessions))
            }
            Err(Doubt) => self.read_whole(pick, now),
        }
    }

    /// The same of a file that is out of the ordinary: read at once, with errors that name their place.
    fn read_whole(
        &self,
        pick: &mut dyn FnMut(&Listed) -> bool,
        now: Timestamp,
    ) -> Result<Read, SourceError> {
        let path = self.home.join(SESSIONS_FILE);
        let Some(text) = record::read_text(&self.home)? else {
            return Ok((Arc::default(), Vec::new()));
        };
        let file = RecordFile::parse(&path, &text)?;
        let all = convert::sessions(&file, &self.name, now);
        let listed: Arc<[Listed]> = all.iter().map(|(session, _)| Listed::of(session)).collect();
        let sessions = (0..)
            .zip(all)
            .filter(|(place, _)| listed.get(*place).is_some_and(&mut *pick))
            .map(|(place, (session, work))| (place, session, work))
            .collect();
        Ok((listed, sessions))
    }

    /// The particulars of each session's work, of the very record that the session was read from. Those that the
    /// latest `load` did not see are read once for all.
    fn works(&self, sessions: &[&Session], world: &dyn World) -> Vec<Result<Arc<Work>, Gap>> {
        let known: Vec<Option<Arc<Work>>> = {
            let seen = self.seen();
            sessions
                .iter()
                .map(|session| seen.works.get(&session.id.id).cloned())
                .collect()
        };
        let current = |session: &Session, work: &Work| work.revision == session.revision;
        let all_known = sessions
            .iter()
            .zip(&known)
            .all(|(session, work)| work.as_ref().is_some_and(|work| current(session, work)));
        let (known, trouble) = if all_known {
            (known, None)
        } else {
            let wanted: HashSet<&str> = sessions.iter().map(|one| one.id.id.as_str()).collect();
            match self.read(&mut |listed| wanted.contains(listed.id.id.as_str()), world) {
                Ok((_, read)) => {
                    let mut read: HashMap<String, Arc<Work>> = read
                        .into_iter()
                        .map(|(_, session, work)| (session.id.id, Arc::new(work)))
                        .collect();
                    let again = sessions.iter().map(|session| read.remove(&session.id.id));
                    (again.collect(), None)
                }
                Err(error) => (vec![None; sessions.len()], Some(error.to_string())),
            }
        };
        sessions
            .iter()
            .zip(known)
            .map(|(session, work)| match (work, &trouble) {
                (Some(work), _) if current(session, &work) => Ok(work),
                (_, Some(trouble)) => Err(Gap::new(GapKind::Malformed, trouble.clone())),
                _ => Err(moved(session)),
            })
            .collect()
    }

    fn desk(&self, now: Timestamp, booted_at: Option<Timestamp>, processes: bool) -> Desk {
        let brief = Brief {
            home: self.home.clone(),
            settings: self.settings.clone(),
            now,
            booted_at,
            processes,
            own: std::process::id(),
        };
        Desk::new(brief, self.lookers.clone())
    }

    /// A panic while the lock was held leaves at worst what an earlier look found, and that is checked before use.
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn moved(session: &Session) -> Gap {
    Gap::new(
        GapKind::IdentityChanged,
        format!(
            "the record of {} changed since it was looked at",
            session.id
        ),
    )
}
