//! One pass: from the records to persisted transitions. Read [`Reconciler::pass`] first.
//!
//! ```text
//! scan ──► load ──► want ─► observe ─► judge ─► rule ─► confirm ──► commit ─► settle ─► deliver
//! what     records  which   machine    wasm,    pure:   a move      journal   journal,  notices,
//! changed  that are facts   and forge, pure     survey, rests on    first,    schedule, each once
//! on the   due, or          gaps are            guards  facts of    then one  memory
//! forge    changed          data                        this pass   write
//! ```
//!
//! `observe` and `judge` cannot fail: what could not be learned is a gap, and a policy that failed is a hold.

pub(crate) mod asking;
mod beside;
mod commit;
mod deliver;
mod intents;
mod judge;
mod load;
mod local;
mod moment;
mod observe;
mod prune;
mod recover;
mod reopened;
mod settle;
mod wake;
mod watched;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use vigil_core::decide::{Action, Ruling};
use vigil_core::evidence::Context;
use vigil_core::guard::Objection;
use vigil_core::intents::{Granted, Grants};
use vigil_core::session::{Lookup, Revision};
use vigil_core::standing::Origin;
use vigil_core::survey::Survey;
use vigil_core::verdict::{PolicyAnswer, PolicyFailure};
use vigil_core::{Evidence, Gap, SessionId, State, Timestamp, requeue};
use vigil_github::Wants;
use vigil_github::ask::Local;
use vigil_policy::{Chain, FailureKind, Quarantine};
use vigil_sources::{Listed, Proposal, World};
use vigil_store::{Store, TransitionId};

use asking::Asked;

pub use asking::{Asking, Planned, Progress};
pub(crate) use commit::settled_as;
pub use commit::{proposal_of, was_written};
pub use deliver::POLICY_FAILED;
pub(crate) use deliver::{REOPENED, called_otherwise, displaced};
pub use local::Beyond;
pub use moment::Moment;
pub use reopened::{Reopened, Settled};
pub(crate) use watched::Watched;

use crate::failure::Failure;
use crate::forge::Forge;
use crate::notify::Notifier;
use crate::report::{self, GitHubReport, Outcome, RunReport, SessionReport, SourceReport};
use crate::sources::Configured;
use crate::world::Clocks;

/// Reads the machine's clocks in one world.
pub type ReadClocks = Arc<dyn Fn(&dyn World) -> Clocks + Send + Sync>;

/// Everything a pass works with.
pub struct Reconciler {
    /// The systems whose sessions are reconciled.
    pub sources: Vec<Configured>,
    /// The policies.
    pub chain: Arc<Chain>,
    /// Where issues and pull requests are asked about.
    pub forge: Arc<dyn Forge>,
    /// How it is asked, and what is remembered of it.
    pub asking: Asking,
    /// The host name of that place, under which that is stored.
    pub forge_host: String,
    /// The sessions that this process has judged, as they were then.
    pub seen: HashMap<SessionId, SeenSession>,
    /// What vigil last wrote to settled sessions, as far as somebody had to know.
    pub settled: Settled,
    /// vigil's memory.
    pub store: Store,
    /// Time and waiting.
    pub world: Arc<dyn World>,
    /// Reads the machine's clocks; the simulation brings its own.
    pub clocks: ReadClocks,
    /// Where notices go.
    pub notifier: Notifier,
    /// Which intents are carried out.
    pub grants: Grants,
    /// From one pass to the next.
    pub interval: Duration,
    /// The name under which leases are taken; one for each process.
    pub holder: String,
    /// Policies that keep failing.
    pub quarantine: Quarantine,
    /// Policies that answer otherwise in a batch than alone, with what was seen: found by samples.
    pub disagreements: BTreeMap<String, String>,
    /// What is to be told of policies whose file holds another component by now, by name; `None`: nobody watches them.
    pub replaced: Option<BTreeMap<String, String>>,
}

/// How a pass is made.
#[derive(Clone, Debug)]
pub struct How {
    /// Say what would be done, and change nothing anywhere.
    pub dry_run: bool,
    /// Look only at what is due; otherwise at everything that isn't settled.
    pub due_only: bool,
    /// About so many sessions at most, the most overdue first, where only what is due is looked at; the others wait for
    /// the next pass.
    pub at_most: usize,
    /// A repository that was looked at within this time is not looked at again. Where only what is due is looked at,
    /// the repositories have times of their own.
    pub facts_max_age: Duration,
    /// How long the forge may take, all requests together.
    pub deadline: Duration,
    /// How long looks at the machine may wait, all of a pass together.
    pub looks: Duration,
    /// Which sessions; `None`: all.
    pub only: Option<std::collections::BTreeSet<SessionId>>,
    /// How much later than planned this pass comes.
    pub overslept: Duration,
    /// Ask what a move would rest on and nobody has asked, and read the rest again where it was not read in this pass;
    /// whoever only looks takes what is younger than `facts_max_age`.
    pub confirm: bool,
    /// Remember what the forge said although nothing else is changed: the next look then costs nothing.
    pub keep_facts: bool,
}

impl How {
    /// What `run --once` does: everything, with what the forge says now.
    pub fn once() -> Self {
        How {
            dry_run: false,
            due_only: false,
            at_most: usize::MAX,
            facts_max_age: Duration::ZERO,
            // 5 min: 10,000 sessions in queries of a hundred questions at a second or two each.
            deadline: Duration::from_secs(300),
            // As long as the forge: 30 sessions in each of which an agent made a look as slow as it may be.
            looks: Duration::from_secs(300),
            only: None,
            overslept: Duration::ZERO,
            confirm: true,
            keep_facts: true,
        }
    }

    /// What a daemon does: what is due, in portions, so that a fleet needs no more memory than one.
    pub fn watch() -> Self {
        How {
            due_only: true,
            // They take less than a second, and about 20 MB.
            at_most: 2_500,
            ..How::once()
        }
    }

    /// What `status` does: nothing is written but what the forge said.
    pub fn look() -> Self {
        How {
            dry_run: true,
            // 60 s: `watch vigil status` costs one question a minute, whatever its interval.
            facts_max_age: Duration::from_secs(60),
            // 10 s: a person waits for it.
            deadline: Duration::from_secs(10),
            // 6 s, so that something is left of these for the rest.
            looks: Duration::from_secs(6),
            confirm: false,
            ..How::once()
        }
    }
}

/// The sessions of one source in one pass.
pub struct Batch {
    /// The source.
    pub configured: Configured,
    /// What holds for the batch.
    pub context: Context,
    /// Why the records could not be read; then there are no entries.
    pub error: Option<String>,
    /// Who holds the lock that a write needs, so that nothing was written; `None`: nobody stood in the way.
    pub locked: Option<String>,
    /// Why nothing may be written.
    pub read_only: Option<Objection>,
    /// The sessions that are looked at.
    pub entries: Vec<Entry>,
    /// Every session of the source, looked at or not.
    pub listed: Arc<[Listed]>,
    /// Some that are due wait for the next pass.
    pub behind: bool,
    /// What the batch shows as a whole.
    pub survey: Survey,
    /// Sessions that vigil had settled, and whose issue or pull request is open again.
    pub reopened: Vec<Reopened>,
}

impl Batch {
    /// Every session of the source that isn't settled, looked at or not: what is remembered about others is forgotten.
    pub fn known(&self) -> impl Iterator<Item = &SessionId> {
        self.listed
            .iter()
            .filter(|listed| !listed.state.is_settled())
            .map(|listed| &listed.id)
    }

    /// Whether a record of it was written.
    fn was_written(&self) -> bool {
        let written =
            |entry: &Entry| matches!(entry.outcome, Outcome::Transitioned | Outcome::Repaired);
        self.entries.iter().any(written)
    }

    /// What was to be written, and was not tried since vigil's memory failed.
    fn give_up(&mut self) {
        if self.read_only.is_some() {
            return;
        }
        let untried = |entry: &&mut Entry| entry.outcome == Outcome::WouldTransition;
        for entry in self.entries.iter_mut().filter(untried) {
            entry.outcome = Outcome::Failed;
            entry.outcome_detail = Some("not tried: vigil's journal failed before it".to_owned());
        }
    }
}

/// A session as it was when it was last judged.
#[derive(Clone, Debug)]
pub struct SeenSession {
    /// Its record. Another one is looked at whether or not it is due.
    pub revision: Revision,
    /// Where it is looked up.
    pub lookup: Arc<Lookup>,
    /// What its policies wanted to know. What they did not is no reason to look again.
    pub wants: Wants,
    /// The moment of that pass. What was learned since, by whatever session or process, it has not been judged with.
    pub judged: Timestamp,
}

/// One session in one pass.
pub struct Entry {
    /// All that is known, filled in step by step.
    pub evidence: Evidence,
    /// What was seen of the checkout that tells pull requests apart.
    pub local: Local,
    /// What that has beyond its pull request, where this look has learned it already.
    pub beyond: Option<Beyond>,
    /// Why nobody knows which branch is checked out, where that may have another pull request.
    pub unread_branch: Option<Gap>,
    /// The names of the facts that the chain asked for.
    pub asked: Vec<String>,
    /// Why a policy cannot be asked at this look, for each policy of the chain.
    pub failures: Vec<Option<PolicyFailure>>,
    /// What each policy's last decision left.
    pub memos: Vec<Option<String>>,
    /// What the chain said.
    pub answers: Vec<PolicyAnswer>,
    /// What the kernel made of it.
    pub ruling: Option<Ruling>,
    /// How it ended.
    pub outcome: Outcome,
    /// Why it ended so, when that is not the ruling's reason.
    pub outcome_detail: Option<String>,
    /// Guards of the shell, after the ruling's.
    pub guards: Vec<Objection>,
    /// The effects that may be carried out, recorded with the transition that they belong to.
    pub granted: Vec<Granted>,
    /// The write that was proposed.
    pub proposal: Option<Proposal>,
    /// The journal's name for it.
    pub transition: Option<TransitionId>,
    /// Whether nobody else can have written in between.
    pub exclusive: Option<bool>,
    /// Another process reconciles it at this moment.
    pub leased_elsewhere: bool,
}

impl Entry {
    /// What the chain wants to know from the forge.
    pub fn wants(&self) -> Wants {
        Wants::from_names(self.asked.iter().map(String::as_str))
    }

    /// The same, and all that there is where a policy could not be asked: nobody knows what it would want.
    fn may_want(&self) -> Wants {
        match self.failures.iter().any(Option::is_some) {
            true => Wants {
                issue: true,
                pull_request: true,
                ..self.wants()
            },
            false => self.wants(),
        }
    }

    /// The state before.
    pub fn from(&self) -> State {
        self.evidence.session.state
    }

    /// The state after.
    pub fn to(&self) -> State {
        match (&self.ruling, self.outcome) {
            (Some(ruling), Outcome::Transitioned | Outcome::WouldTransition) => {
                ruling.state_after(self.from())
            }
            _ => self.from(),
        }
    }

    /// The reason that people read.
    pub fn reason(&self) -> String {
        let ruled = self.ruling.as_ref().map(|ruling| ruling.reason.clone());
        let ruled = ruled.unwrap_or_default();
        match &self.outcome_detail {
            Some(detail) if ruled.is_empty() => detail.clone(),
            Some(detail) => format!("{ruled}; {detail}"),
            None => ruled,
        }
    }

    /// Whether a policy could not be asked because the machine has no memory for it: the world's failure, and tried
    /// again soon.
    pub(crate) fn lacks_memory(&self) -> bool {
        let failed = self
            .answers
            .iter()
            .filter_map(|answer| answer.answer.as_ref().err());
        failed
            .into_iter()
            .any(|failed| FailureKind::HostMemory.is(failed))
    }

    /// Where that reason comes from.
    pub fn origin(&self) -> Origin {
        self.ruling
            .as_ref()
            .map_or(Origin::Nobody, |ruling| ruling.origin)
    }

    /// Every guard that spoke, the kernel's first.
    pub fn all_guards(&self) -> impl Iterator<Item = &Objection> {
        self.ruling
            .iter()
            .flat_map(|ruling| &ruling.guards)
            .chain(&self.guards)
    }
}

/// What a pass came to.
pub struct Passed {
    /// The moment.
    pub moment: Moment,
    /// Every source with its sessions.
    pub batches: Vec<Batch>,
    /// What the forge was asked.
    pub github: GitHubReport,
    /// Something that concerns all: no token, the forge is down.
    pub trouble: Option<String>,
    /// Records were written, and vigil's memory failed after it. The next pass finds in the records what was written.
    pub forgotten: Option<Failure>,
}

impl Reconciler {
    /// Makes one pass. An error means that vigil's own memory failed; everything else is in what it returns.
    pub async fn pass(&mut self, how: &How) -> Result<Passed, Failure> {
        let passed = self.steps(how).await;
        if passed.is_err() && !how.dry_run {
            // A pass that could not end holds nobody else up. Where even this fails, the leases run out.
            let _ = self.store.release(&self.holder);
        }
        passed
    }

    async fn steps(&mut self, how: &How) -> Result<Passed, Failure> {
        self.store.check().map_err(crate::memory::failed)?;
        let moment = self.moment(how)?;
        for configured in &self.sources {
            configured.source.allow(how.looks);
        }
        if !how.dry_run {
            self.recover(&moment)?;
        }
        let mut asked = Asked::of(how);
        if how.due_only {
            // What changed on the forge decides which sessions are looked at.
            let repos = asking::repos(self.seen.values().map(|seen| &*seen.lookup));
            self.scan(&repos, how, &moment, &mut asked).await?;
        }
        let mut batches = self.load(how, &moment).await?;
        self.recall_forge(moment.now)?;
        self.follow(&mut batches);
        // So do the repositories of sessions that are looked at for the first time.
        let entries = batches.iter().flat_map(|batch| &batch.entries);
        let repos = asking::repos(entries.map(|entry| &entry.evidence.session.lookup));
        self.want(&mut batches).await?;
        if !how.due_only {
            let wanted = self.wanted(&mut batches);
            self.plan(&repos, wanted, how, &moment, &mut asked)?;
        }
        self.scan(&repos, how, &moment, &mut asked).await?;
        // The lists may have shown that a repository is elsewhere.
        self.follow(&mut batches);
        self.observe(&mut batches, how, &moment, &mut asked).await?;
        self.judge(&mut batches).await?;
        self.rule(&mut batches, &moment)?;
        // What one session turns out to be may let another one move, which is then confirmed as well. A look confirms
        // every move that there is, so this ends as soon as no new one appears.
        while how.confirm && self.confirm(&mut batches, how, &moment, &mut asked).await? {
            self.judge(&mut batches).await?;
            self.rule(&mut batches, &moment)?;
        }
        self.note_reopened(&mut batches, &moment)?;
        let mut forgotten = None;
        if !how.dry_run {
            self.grant(&mut batches, &moment)?;
            if let Err(failure) = self.carry(&mut batches, &asked, &moment).await {
                if !batches.iter().any(Batch::was_written) {
                    return Err(failure);
                }
                forgotten = Some(failure);
                batches.iter_mut().for_each(Batch::give_up);
                // As where the whole pass fails.
                let _ = self.store.release(&self.holder);
            }
        } else {
            self.propose(&mut batches).await?;
            if how.keep_facts {
                // A break in watching is dated once, by whoever sees it first.
                self.store
                    .put_mark(&moment.mark())
                    .map_err(crate::memory::failed)?;
            }
        }
        Ok(Passed {
            moment,
            github: asked.github,
            trouble: asked.trouble.map(|trouble| trouble.to_string()),
            batches,
            forgotten,
        })
    }

    /// Carries the rulings out, and keeps what came of it.
    async fn carry(
        &mut self,
        batches: &mut Vec<Batch>,
        asked: &Asked,
        moment: &Moment,
    ) -> Result<(), Failure> {
        self.commit(batches, moment).await?;
        self.settle(batches, moment)?;
        self.deliver(batches, asked, moment).await
    }
}

impl Passed {
    /// The report of `vigil run`. `ended`: when the pass was over.
    pub fn report(&self, dry_run: bool, ended: Timestamp) -> RunReport {
        RunReport {
            schema: report::RUN.to_owned(),
            now: crate::ui::moment(self.moment.now),
            dry_run,
            sources: self.sources(),
            sessions: self.batches.iter().flat_map(sessions).collect(),
            github: self.github.clone(),
            took_ms: ended.0.saturating_sub(self.moment.now.0),
            journal_error: self.forgotten.as_ref().map(ToString::to_string),
        }
    }

    /// Who holds the lock that a write to this source needs; `None`: nobody stood in the way.
    pub fn locked(&self, source: &str) -> Option<&str> {
        let batch = self
            .batches
            .iter()
            .find(|batch| batch.configured.source.name() == source)?;
        batch.locked.as_deref()
    }

    /// Every source, read or not.
    pub fn sources(&self) -> Vec<SourceReport> {
        self.batches
            .iter()
            .map(|batch| SourceReport {
                name: batch.configured.source.name().to_owned(),
                kind: batch.configured.source.kind().to_owned(),
                error: batch.error.clone(),
                locked: batch.locked.clone(),
            })
            .collect()
    }

    /// How long after this pass the first of its held sessions is wanted to be looked at again; `None`: whenever the host
    /// chooses.
    pub fn soonest_look(&self) -> Option<Duration> {
        let entries = self.batches.iter().flat_map(|batch| &batch.entries);
        let rulings = entries.filter_map(|entry| entry.ruling.as_ref());
        let held = rulings.filter(|ruling| matches!(ruling.action, Action::Hold | Action::Refuse));
        held.filter_map(requeue::wanted).min()
    }

    /// Whether a policy failed about a session, which is held for it: exit code 1 of `run --once`, since nobody else
    /// waits for a person's repair.
    pub fn a_policy_failed(&self) -> bool {
        let mut entries = self.batches.iter().flat_map(|batch| &batch.entries);
        entries.any(|entry| {
            let rule = entry.ruling.as_ref().map(|ruling| ruling.rule.as_str());
            rule == Some(vigil_core::decide::rule::POLICY_FAILED)
        })
    }

    /// Whether a source, GitHub or a write failed, or a lock let nothing be written: exit code 1.
    pub fn failed(&self) -> bool {
        self.trouble.is_some()
            || self.forgotten.is_some()
            || self.batches.iter().any(|batch| {
                batch.error.is_some()
                    || batch.locked.is_some()
                    || batch
                        .entries
                        .iter()
                        .any(|entry| entry.outcome == Outcome::Failed || entry.lacks_memory())
            })
    }
}

fn sessions(batch: &Batch) -> impl Iterator<Item = SessionReport> + '_ {
    batch.entries.iter().map(|entry| {
        let session = &entry.evidence.session;
        let written = matches!(
            entry.outcome,
            Outcome::Transitioned | Outcome::Repaired | Outcome::WouldTransition
        );
        let to_native = match &entry.proposal {
            Some(proposal) if written => proposal.native_after.clone(),
            _ => session.native_state.clone(),
        };
        let ruling = entry.ruling.as_ref();
        SessionReport {
            source: session.id.source.clone(),
            id: session.id.id.clone(),
            from: entry.from(),
            to: entry.to(),
            from_native: session.native_state.clone(),
            to_native,
            outcome: entry.outcome,
            rule: ruling.map_or_else(String::new, |ruling| ruling.rule.clone()),
            policy: ruling.and_then(|ruling| ruling.policy.clone()),
            policy_digest: ruling.and_then(|ruling| ruling.policy_digest.clone()),
            reason: entry.reason(),
            reason_from: entry.origin(),
            guards: entry.all_guards().map(Into::into).collect(),
            gaps: report::gaps(&entry.evidence),
            transition_id: entry
                .transition
                .filter(|_| matches!(entry.outcome, Outcome::Transitioned | Outcome::Repaired))
                .map(|id| id.to_string()),
            exclusive: entry.exclusive,
        }
    })
}
