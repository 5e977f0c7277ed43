//! Asking the forge: what changed, then what has to be known. What is remembered of it is stored as it comes in, so
//! that a pass that is cut off has not asked for nothing.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use vigil_core::Timestamp;
use vigil_core::session::Lookup;
use vigil_github::budget::{AccountMemory, Pool, Shares};
use vigil_github::memory::{Change, Doubt, LastKnown, Memory};
use vigil_github::round::{Ended, Estimate, How as RoundHow, Round, Scan};
use vigil_github::{Account, Ask, Repo, Trouble};
use vigil_store::{ForgeChange, Store};

use super::{Batch, How, Moment, Reconciler, beside};
use crate::failure::Failure;
use crate::heard;
use crate::memory;
use crate::policies::LOADED;
use crate::report::{GitHubReport, PlannedReport};

/// How long is asked before what was learned is stored, and progress shown.
const SLICE: Duration = Duration::from_secs(1);

/// The row by which one process notices that another has written.
pub(super) const WRITER: &str = "writer";

/// What the names of the rows of accounts begin with.
pub(super) const ACCOUNT: &str = "account ";

/// Shows how many questions are dealt with, of how many.
pub type Progress = Arc<dyn Fn(u64, u64) + Send + Sync>;

/// Shows what a pass is going to ask, before it asks anything.
pub type Planned = Arc<dyn Fn(&PlannedReport) + Send + Sync>;

/// How the forge is asked, and what is remembered of it.
#[derive(Default)]
pub struct Asking {
    /// What is left to others, and what vigil takes at most.
    pub shares: Shares,
    /// Webhooks tell what happens: this is how often a repository is looked at at most. `None`: there are none.
    pub resync: Option<Duration>,
    /// Where progress is shown. `None`: nowhere.
    pub progress: Option<Progress>,
    /// Where the plan of a pass over everything is shown. `None`: nowhere.
    pub planned: Option<Planned>,
    /// Sessions are led to where a repository is by now that was renamed or transferred.
    pub(super) follow_renames: bool,
    /// `None`: not read yet.
    pub(super) memory: Option<Memory>,
    /// Who wrote last to what is stored of it.
    writer: Option<String>,
}

impl Asking {
    /// With nothing remembered yet.
    pub fn new(shares: Shares) -> Self {
        Asking {
            shares,
            ..Asking::default()
        }
    }

    /// Leads sessions to where a repository is by now that was renamed or transferred, if `follow_renames`.
    pub fn following(self, follow_renames: bool) -> Self {
        Asking {
            follow_renames,
            ..self
        }
    }
}

/// What asking the forge came to in a pass.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    /// For the report.
    pub github: GitHubReport,
    /// Something that concerns all sessions.
    pub trouble: Option<Trouble>,
    /// Everything was looked at, and not only what was due.
    pub whole: bool,
    /// Nothing was asked yet.
    is_new: bool,
    /// What is going to be asked was worked out before anything was: no round adds to it.
    is_planned: bool,
    /// In a look, which is no pass: how many questions each account had put off in the last one.
    put_off: Option<HashMap<Account, u32>>,
    /// When the forge was asked first: all requests of a pass together have one deadline.
    began: Option<Timestamp>,
}

impl Asked {
    /// Nothing yet, in a pass of this kind.
    pub(super) fn of(how: &How) -> Self {
        Asked {
            whole: !how.due_only,
            is_new: true,
            ..Asked::default()
        }
    }

    fn add(&mut self, planned: Estimate, ended: &Ended) {
        let github = &mut self.github;
        github.requests += u64::from(ended.usage.requests);
        github.rest_requests += u64::from(ended.usage.rest);
        github.unchanged += u64::from(ended.usage.unchanged);
        github.points += u64::from(ended.usage.points);
        github.remaining = ended.usage.meter.remaining.or(github.remaining);
        github.postponed += u64::from(ended.postponed);
        if !self.is_planned {
            github.planned = github.planned.plus(planned.into());
        }
        if self.trouble.is_none() {
            self.trouble.clone_from(&ended.trouble);
            github.trouble = self.trouble.as_ref().map(Into::into);
        }
    }
}

impl Reconciler {
    /// Reads what is remembered of the forge, once, and again when another process wrote to it: what that one read is
    /// news at `at` to all that were judged before.
    pub(super) fn recall_forge(&mut self, at: Timestamp) -> Result<(), Failure> {
        let host = &self.forge_host;
        let written_by = |rows: Vec<vigil_store::ForgeRow>| {
            let row = rows.into_iter().find(|row| row.name == WRITER);
            row.map(|row| row.value)
        };
        let general = self
            .store
            .forge_rows(host, Some(&[""]))
            .map_err(memory::failed)?;
        let writer = written_by(general);
        if self.asking.memory.is_some() && writer == self.asking.writer {
            return Ok(());
        }
        // What it holds is stored at the end of each round. A large fleet's takes too much room to be held twice.
        let held = self.asking.memory.take().map(|known| known.held());
        let rows = self.store.forge_rows(host, None).map_err(memory::failed)?;
        let known = rows
            .iter()
            .filter(|row| ![WRITER, heard::ROW, LOADED].contains(&row.name.as_str()))
            .map(|row| (row.repo.as_str(), row.name.as_str(), row.value.as_str()));
        let (mut known, unreadable) = Memory::read(known);
        if let Some(held) = held {
            known.tell(held, at);
        }
        if unreadable > 0 {
            tracing::warn!(
                unreadable,
                "remembered facts cannot be read; they are asked for again"
            );
        }
        self.asking.memory = Some(known);
        self.asking.writer = writer;
        Ok(())
    }

    /// Works out what `repos` and `asks` are going to cost, by what is known before anything is asked, and shows it.
    pub(super) fn plan(
        &mut self,
        repos: &[Repo],
        asks: Vec<Ask>,
        how: &How,
        moment: &Moment,
        asked: &mut Asked,
    ) -> Result<(), Failure> {
        self.recall_forge(moment.now)?;
        let forge = Arc::clone(&self.forge);
        let account = |owner: &str| forge.account(owner);
        let round = self.round(moment.now);
        let known = self.asking.memory.take().unwrap_or_default();
        let scan = Round::scan(known, repos, which(how), account, round.clone());
        let mut planned = scan.cost();
        let ask = Round::ask(scan.unsent(), asks, Doubt::Little, account, round);
        planned = planned.plus(ask.cost());
        self.asking.memory = Some(ask.unsent());
        asked.github.planned = planned.into();
        asked.is_planned = true;
        if let Some(show) = &self.asking.planned {
            show(&asked.github.planned);
        }
        Ok(())
    }

    /// What was known last of what `lookup` leads to, for people who read that it is unknown. No policy sees it.
    pub fn last_known(&self, lookup: &Lookup, now: Timestamp) -> LastKnown {
        let known = self.asking.memory.as_ref();
        known.map_or_else(LastKnown::default, |known| known.last_known(lookup, now))
    }

    /// The accounts that GitHub wants silence from at `now`, with all that is remembered of them.
    pub(crate) fn silenced(&self, now: Timestamp) -> Vec<(Account, AccountMemory)> {
        let known = self.asking.memory.iter().flat_map(Memory::accounts);
        let is_silent = |known: &AccountMemory| {
            [Pool::GraphQl, Pool::Rest]
                .into_iter()
                .any(|pool| known.silent(pool, now).is_some())
        };
        known
            .filter(|(_, known)| is_silent(known))
            .map(|(account, known)| (account.clone(), known.clone()))
            .collect()
    }

    /// Finds out what changed in `repos`.
    pub(super) async fn scan(
        &mut self,
        repos: &[Repo],
        how: &How,
        moment: &Moment,
        asked: &mut Asked,
    ) -> Result<(), Failure> {
        self.recall_forge(moment.now)?;
        if let Some(known) = &mut self.asking.memory
            && std::mem::take(&mut asked.is_new)
        {
            match how.dry_run {
                true => asked.put_off = Some(known.put_off()),
                false => known.begin(),
            }
        }
        let known = self.asking.memory.take().unwrap_or_default();
        let forge = Arc::clone(&self.forge);
        let round = Round::scan(
            known,
            repos,
            which(how),
            |owner| forge.account(owner),
            self.round(moment.now),
        );
        self.carry_through(round, how, asked).await?;
        Ok(())
    }

    /// Asks about `asks`, and gives the answers in order.
    pub(super) async fn ask(
        &mut self,
        asks: Vec<Ask>,
        doubt: Doubt,
        how: &How,
        moment: &Moment,
        asked: &mut Asked,
    ) -> Result<Vec<vigil_github::Answer>, Failure> {
        let known = self.asking.memory.take().unwrap_or_default();
        let forge = Arc::clone(&self.forge);
        let round = Round::ask(
            known,
            asks,
            doubt,
            |owner| forge.account(owner),
            self.round(moment.now),
        );
        self.carry_through(round, how, asked).await
    }

    fn round(&self, now: Timestamp) -> RoundHow {
        RoundHow {
            now,
            interval: self.interval,
            shares: self.asking.shares,
            resync: self.asking.resync,
        }
    }

    /// Works through a round, slice by slice.
    async fn carry_through(
        &mut self,
        mut round: Round,
        how: &How,
        asked: &mut Asked,
    ) -> Result<Vec<vigil_github::Answer>, Failure> {
        let planned = round.cost();
        let began = *asked.began.get_or_insert(self.world.now());
        let forge = Arc::clone(&self.forge);
        self.show_progress(&round);
        loop {
            let now = self.world.now();
            let left = how.deadline.saturating_sub(began.age(now));
            let more = forge.work(&mut round, now, SLICE, left).await;
            let changes = kept(round.take_changes(), how);
            for (account, told) in self.store_changes(&changes, now)? {
                round.heed(&account, &told, now);
            }
            self.show_progress(&round);
            if !more || began.age(self.world.now()) >= how.deadline {
                break;
            }
        }
        let mut ended = round.end();
        asked.add(planned, &ended);
        let mut known = std::mem::take(&mut ended.memory);
        if let Some(before) = &asked.put_off {
            known.keep_put_off(before);
        }
        let changes = kept(known.take_changes(), how);
        let now = self.world.now();
        for (account, told) in self.store_changes(&changes, now)? {
            known.heed(&account, &told, now);
        }
        self.asking.memory = Some(known);
        Ok(ended.answers)
    }

    /// Leads the sessions to where their repositories are by now, if vigil is to follow.
    pub(super) fn follow(&self, batches: &mut [Batch]) {
        let Some(known) = &self.asking.memory else {
            return;
        };
        if !self.asking.follow_renames {
            return;
        }
        for entry in batches.iter_mut().flat_map(|batch| &mut batch.entries) {
            known.follow(&mut entry.evidence.session.lookup);
        }
    }

    fn show_progress(&self, round: &Round) {
        if let Some(progress) = &self.asking.progress {
            let (done, total) = round.progress();
            progress(done, total);
        }
    }

    /// Stores `changes`, and gives what had been stored of the accounts among them: what another process was told there
    /// holds for this one, too.
    pub(super) fn store_changes(
        &mut self,
        changes: &[Change],
        now: Timestamp,
    ) -> Result<Vec<(Account, AccountMemory)>, Failure> {
        if changes.is_empty() {
            return Ok(Vec::new());
        }
        let rows: Vec<ForgeChange<'_>> = changes
            .iter()
            .map(|change| ForgeChange {
                repo: &change.repo,
                name: &change.name,
                value: change.value.as_deref(),
                at: now,
            })
            .collect();
        let known = self.asking.writer.as_deref();
        let (host, holder) = (&self.forge_host, &self.holder);
        let beside = beside::put(&mut self.store, host, &rows, known, holder, now)?;
        // What somebody else wrote since this process read it is read at the beginning of the next pass.
        self.asking.writer = match beside.writer.as_deref() == known {
            true => Some(self.holder.clone()),
            false => None,
        };
        Ok(beside.accounts)
    }
}

/// Which repositories a pass of this kind looks at.
fn which(how: &How) -> Scan {
    match how.due_only {
        true => Scan::Due,
        false => Scan::OlderThan(how.facts_max_age),
    }
}

/// What of `changes` is stored. What GitHub said about an account (its limits, and that it wants silence) holds for
/// everybody who asks next, so that even a pass that keeps no facts keeps it.
fn kept(mut changes: Vec<Change>, how: &How) -> Vec<Change> {
    if !how.keep_facts {
        changes.retain(|change| change.repo.is_empty());
    }
    changes
}

/// Keeps what an account was told outside of a pass, and lets running ones know that `holder` wrote.
pub(crate) fn tell_account(
    store: &mut Store,
    host: &str,
    (account, known): (&Account, &AccountMemory),
    holder: &str,
    now: Timestamp,
) -> Result<(), Failure> {
    let value = serde_json::to_string(known).map_err(|error| {
        Failure::world("failed to write down what GitHub told an account").because(error)
    })?;
    let name = format!("{ACCOUNT}{account}");
    let row = |name, value| ForgeChange {
        repo: "",
        name,
        value: Some(value),
        at: now,
    };
    beside::put(store, host, &[row(&name, &value)], None, holder, now).map(drop)
}

/// The repositories that `lookups` lead to, each once.
pub(super) fn repos<'a>(lookups: impl Iterator<Item = &'a Lookup>) -> Vec<Repo> {
    let mut seen = HashSet::new();
    let mut repos = Vec::new();
    for name in lookups.flat_map(Lookup::repos) {
        if seen.insert(name)
            && let Ok(repo) = Repo::parse(name)
        {
            repos.push(repo);
        }
    }
    repos
}
