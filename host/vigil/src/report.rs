//! What commands print with `--json`: documented, versioned, and only ever added to within a version.

use serde::{Deserialize, Serialize};
use vigil_core::decide::{Action, Ruling};
use vigil_core::guard::Objection;
use vigil_core::standing::Origin;
use vigil_core::{Evidence, State, Timestamp};
use vigil_github::Trouble;
use vigil_github::round::Estimate;

use crate::ui;
use crate::webhooks::Counts;

/// The schema of `vigil run --json`.
pub const RUN: &str = "vigil.run/1";
/// The schema of `vigil status --json`.
pub const STATUS: &str = "vigil.status/1";
/// The schema of `vigil explain --json`.
pub const EXPLAIN: &str = "vigil.explain/1";
/// The schema of `vigil history --json`.
pub const HISTORY: &str = "vigil.history/1";

/// One pass.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunReport {
    /// [`RUN`].
    pub schema: String,
    /// The moment of the pass, RFC 3339.
    pub now: String,
    /// Nothing was changed anywhere.
    pub dry_run: bool,
    /// Every source that was read, or could not be.
    pub sources: Vec<SourceReport>,
    /// One entry for each session that was looked at.
    pub sessions: Vec<SessionReport>,
    /// What GitHub was asked.
    pub github: GitHubReport,
    /// Wall time of the pass, in milliseconds.
    pub took_ms: u64,
    /// Records were written, and this kept vigil from noting so in its journal; null: all is noted.
    #[serde(default)]
    pub journal_error: Option<String>,
}

/// One source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceReport {
    /// Its name in the configuration.
    pub name: String,
    /// The kind of system.
    pub kind: String,
    /// Why it could not be read; null: it was.
    pub error: Option<String>,
    /// Who holds the lock that a write needs, so that this pass wrote nothing; null: nobody stood in the way.
    pub locked: Option<String>,
}

/// What became of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Its record has another state now.
    Transitioned,
    /// It would have, without `--dry-run` or `mode = "observe"`.
    WouldTransition,
    /// Its record was put right within its state.
    Repaired,
    /// Nothing to do, or nothing that can be said.
    Held,
    /// A policy proposed a move and a guard refused it.
    Refused,
    /// Someone else wrote first, or reconciles it at this moment: it is looked at again.
    Conflict,
    /// The write failed.
    Failed,
}

impl Outcome {
    /// The word in JSON and on screen.
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Transitioned => "transitioned",
            Outcome::WouldTransition => "would-transition",
            Outcome::Repaired => "repaired",
            Outcome::Held => "held",
            Outcome::Refused => "refused",
            Outcome::Conflict => "conflict",
            Outcome::Failed => "failed",
        }
    }

    /// What a ruling comes to when nothing is written.
    pub fn unwritten(ruling: &Ruling) -> Outcome {
        match ruling.action {
            Action::Hold => Outcome::Held,
            Action::Refuse => Outcome::Refused,
            Action::Move(_) | Action::Repair(_) => Outcome::WouldTransition,
        }
    }
}

/// One session of a pass.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SessionReport {
    /// The source's name.
    pub source: String,
    /// Unique within the source.
    pub id: String,
    /// The state before.
    pub from: State,
    /// The state after; equal to `from` unless it moved.
    pub to: State,
    /// The owner's word before.
    pub from_native: String,
    /// The owner's word after; equal to `from_native` unless it was written.
    pub to_native: String,
    /// What became of it.
    pub outcome: Outcome,
    /// The code of the rule that spoke.
    pub rule: String,
    /// The policy that spoke; null: none did.
    pub policy: Option<String>,
    /// Its digest.
    pub policy_digest: Option<String>,
    /// One sentence.
    pub reason: String,
    /// Where it comes from.
    pub reason_from: Origin,
    /// The guards that spoke.
    pub guards: Vec<GuardReport>,
    /// What could not be learned.
    pub gaps: Vec<GapReport>,
    /// For `vigil undo`; null: nothing was written.
    pub transition_id: Option<String>,
    /// False: it was written past a lock whose holder is wedged. Null: nothing was written.
    pub exclusive: Option<bool>,
}

/// A guard that spoke.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuardReport {
    /// Its stable code.
    pub code: String,
    /// What it saw.
    pub detail: String,
}

impl From<&Objection> for GuardReport {
    fn from(objection: &Objection) -> Self {
        GuardReport {
            code: objection.code.as_str().to_owned(),
            detail: objection.detail.clone(),
        }
    }
}

/// A fact that could not be learned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GapReport {
    /// The fact's name.
    pub fact: String,
    /// The registered kind.
    pub kind: String,
    /// What happened.
    pub detail: String,
    /// Since when, RFC 3339; null: this is the first time.
    pub since: Option<String>,
}

/// All gaps of the evidence.
pub fn gaps(evidence: &Evidence) -> Vec<GapReport> {
    evidence
        .gaps()
        .into_iter()
        .map(|(fact, gap)| GapReport {
            fact: fact.to_owned(),
            kind: gap.kind.to_string(),
            detail: gap.detail.clone(),
            since: gap.since.map(ui::moment),
        })
        .collect()
}

/// What GitHub was asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GitHubReport {
    /// GraphQL requests that were sent.
    pub requests: u64,
    /// Points that they cost.
    pub points: u64,
    /// Points that are left in this hour; null: nobody said.
    pub remaining: Option<u64>,
    /// REST requests that were sent.
    pub rest_requests: u64,
    /// Those of them that found nothing new, which are free.
    pub unchanged: u64,
    /// Questions that were put off because the budget was short.
    pub postponed: u64,
    /// What was planned before anything was asked.
    pub planned: PlannedReport,
    /// Something that concerns everything that is asked there; null: nothing does.
    pub trouble: Option<TroubleReport>,
}

/// Something that concerns everything that is asked of GitHub.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TroubleReport {
    /// Its stable name: `no-token`, `token-rejected`, `rate-limited`, `refused` or `unanswered`.
    pub code: String,
    /// What happened, for people.
    pub detail: String,
    /// What a person can do about it; null: nothing but to wait.
    pub hint: Option<String>,
}

impl From<&Trouble> for TroubleReport {
    fn from(trouble: &Trouble) -> Self {
        let look = || "`vigil doctor` checks the connection, the token and what it may read";
        TroubleReport {
            code: trouble.code().to_owned(),
            detail: trouble.to_string(),
            hint: match trouble {
                // It ends by itself, and says when.
                Trouble::Limited { .. } => None,
                trouble => trouble.hint().or_else(|| Some(look().to_owned())),
            },
        }
    }
}

/// What a pass was going to ask, as far as that could be known beforehand: worked out from what was known by then. Not
/// in it is what turns out to have changed, what single answers lead to (single checks, held runs), and what is read
/// again because a move is to rest on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedReport {
    /// GraphQL requests.
    pub requests: u64,
    /// What they cost, by GitHub's published formula.
    pub points: u64,
    /// Conditional REST requests; free where nothing changed.
    pub rest_requests: u64,
    /// Questions that wait, because the budget is short or GitHub said to be silent.
    pub postponed: u64,
}

impl PlannedReport {
    /// Both together.
    pub fn plus(self, other: PlannedReport) -> PlannedReport {
        PlannedReport {
            requests: self.requests + other.requests,
            points: self.points + other.points,
            rest_requests: self.rest_requests + other.rest_requests,
            postponed: self.postponed + other.postponed,
        }
    }
}

impl From<Estimate> for PlannedReport {
    fn from(estimate: Estimate) -> Self {
        PlannedReport {
            requests: u64::from(estimate.queries),
            points: u64::from(estimate.points),
            rest_requests: u64::from(estimate.probes),
            postponed: u64::from(estimate.postponed),
        }
    }
}

/// What may still be asked for with one account's token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetReport {
    /// The account: `default`, or what the configuration calls it.
    pub account: String,
    /// GraphQL.
    pub points: PotReport,
    /// REST.
    pub rest_requests: PotReport,
    /// Questions that were put off the last time, because vigil's share was used up.
    pub postponed: u64,
    /// Nothing is sent before, RFC 3339; null: it may be asked.
    pub silent_until: Option<String>,
    /// Why; null: it may be asked.
    pub silent_because: Option<String>,
}

/// One of an account's two pots, as GitHub last told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PotReport {
    /// What there is in an hour; null: GitHub has not said.
    pub limit: Option<u64>,
    /// What is left of it; null: GitHub has not said.
    pub remaining: Option<u64>,
    /// What vigil itself took of it.
    pub spent: u64,
    /// What vigil may still take of it; null: there is no limit.
    pub share_left: Option<u64>,
    /// When it is filled again, RFC 3339; null: GitHub has not said.
    pub reset: Option<String>,
}

/// What is true now.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StatusReport {
    /// [`STATUS`].
    pub schema: String,
    /// When it was looked at, RFC 3339.
    pub now: String,
    /// Nobody was asked.
    pub offline: bool,
    /// Every source that was read, or could not be.
    pub sources: Vec<SourceReport>,
    /// Sources that are paused.
    pub paused: Vec<String>,
    /// The file that stops all writes to owners; null: it is not there.
    #[serde(default)]
    pub stopped: Option<String>,
    /// Alerts that are open.
    pub alerts: Vec<AlertReport>,
    /// One entry for each session, settled ones included.
    pub sessions: Vec<StatusSession>,
    /// What GitHub was asked.
    pub github: GitHubReport,
    /// What may still be asked, one entry for each account that was ever used.
    pub budget: Vec<BudgetReport>,
    /// What webhooks brought to the latest daemon; null: it does not listen for them.
    pub webhooks: Option<WebhooksReport>,
}

/// What webhooks brought to a daemon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhooksReport {
    /// When it began to listen, RFC 3339.
    pub since: String,
    /// When the counters changed last, RFC 3339; they are kept once for each pass.
    pub last: String,
    /// The counters.
    #[serde(flatten)]
    pub counts: Counts,
}

/// An alert that is open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertReport {
    /// Stable, for example `github-unauthenticated`.
    pub key: String,
    /// For people.
    pub text: String,
    /// Since when, RFC 3339.
    pub since: String,
}

/// One session as it is recorded and as it is judged.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StatusSession {
    /// The source's name.
    pub source: String,
    /// Unique within the source.
    pub id: String,
    /// `owner/name`.
    pub repo: Option<String>,
    /// The issue's number.
    pub issue: Option<u64>,
    /// The pull request's number, from the record or from GitHub.
    pub pr: Option<u64>,
    /// What the record says.
    pub recorded_state: State,
    /// What the chain and the guards say; null: it could not be judged, or nobody looked.
    pub judged_state: Option<State>,
    /// The owner's word.
    pub native_state: String,
    /// The record says running and nothing shows for it.
    pub stale: bool,
    /// Since when, RFC 3339.
    pub stale_since: Option<String>,
    /// What a pass does with it, or did last.
    pub outcome: Outcome,
    /// The code of the rule that spoke; null: nobody has looked yet.
    pub rule: Option<String>,
    /// One sentence.
    pub reason: Option<String>,
    /// Where it comes from; null: nobody has looked yet.
    pub reason_from: Option<Origin>,
    /// The moment from which ages in the reason count, RFC 3339; null: nobody has looked yet.
    pub reason_at: Option<String>,
    /// How old the evidence of the judgement is, in seconds; null: there is none.
    pub evidence_age_s: Option<u64>,
    /// What could not be learned.
    pub gaps: Vec<GapReport>,
    /// What was known before of what is unknown now.
    pub last_known: Vec<LastKnownReport>,
}

/// What was known of something that is unknown now. For people: nothing rests on it, and no policy sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastKnownReport {
    /// `issue` or `pull-request`.
    pub fact: String,
    /// When it was read, RFC 3339.
    pub read: String,
    /// How long ago that is, in seconds.
    pub age_s: u64,
    /// What it was then, in words.
    pub said: String,
}

/// How old something learned at `at` is, in whole seconds.
pub fn age_s(at: Timestamp, now: Timestamp) -> u64 {
    at.age(now).as_secs()
}
