//! What the checks of a pull request's newest head say: their summary, the list of them, and runs that are held.
//!
//! GitHub's roll-up leaves held runs out: a green or an empty one does not mean that anything ran. The check suites
//! show them, and the summary is made of both.

use serde::Deserialize;
use serde_json::Value;
use vigil_core::forge::{Check, HeldRun, PullRequest, PullRequestState};
use vigil_core::{Fact, Gap, GapKind, Timestamp};

use super::pull_request::ENDED;
use super::{RawList, absent, hidden, malformed, nullable, read};
use crate::ask::Parts;
use crate::fragments::{CHECKS_PAGE, CHECKS_PAGES_FURTHER_MAX};
use crate::question::ChecksSoFar;
use crate::words;

/// What the checks amount to: failing, else held, else pending, else passing, else what GitHub's roll-up says.
///
/// `rollup` is GitHub's own summary. While nobody could see whether runs are held, only a failure stands: all else
/// would claim that nothing waits.
pub fn sum_up(rollup: &Fact<String>, runs: &Fact<Vec<HeldRun>>) -> Fact<String> {
    match (rollup, runs) {
        (Fact::NotAsked, _) => Fact::NotAsked,
        (Fact::Unknown(gap), _) => Fact::from(gap.clone()),
        (Fact::Found(word), _) if word == "failing" => rollup.clone(),
        (_, Fact::Found(runs)) if !runs.is_empty() => Fact::Found("held".to_owned()),
        (_, Fact::Unknown(gap)) => Fact::from(Gap {
            detail: format!("nobody knows whether a run is held: {}", gap.detail),
            ..gap.as_ref().clone()
        }),
        (_, Fact::Found(_) | Fact::Absent(_) | Fact::NotAsked) => rollup.clone(),
    }
}

/// What has to be asked for in a second look, now that the first one is there, of what `wanted` holds of
/// [`Parts::SECOND`]. What needs no look gets its answer here; what does is unknown (not-ready) until it was looked at,
/// and with it a summary that would claim too much.
///
/// The first look should ask for the checks as well, see [`Parts::first`].
pub fn second(pr: &mut PullRequest, wanted: Parts) -> Parts {
    let mut open = wanted & Parts::SECOND;
    if open.contains(Parts::RUNS) {
        let needless = match &pr.checks {
            _ if pr.state != PullRequestState::Open => Some(ENDED),
            Fact::Found(word) if word == "failing" => Some("the checks are failing anyway"),
            _ => None,
        };
        pr.runs = match needless {
            Some(why) => {
                open.remove(Parts::RUNS);
                absent(pr.parts_observed, why)
            }
            None => Fact::from(not_looked_at()),
        };
    }
    if open.contains(Parts::CHECK_LIST) {
        let needless = match &pr.checks {
            Fact::Found(word) if word == "passing" => Some(absent(pr.parts_observed, "all passed")),
            Fact::Absent(_) => Some(absent(pr.parts_observed, "there are none")),
            Fact::Unknown(gap) if gap.kind == GapKind::Denied => Some(Fact::from(gap.clone())),
            _ => None,
        };
        pr.check_list = needless.map_or_else(
            || Fact::from(not_looked_at()),
            |fact| {
                open.remove(Parts::CHECK_LIST);
                fact
            },
        );
    }
    pr.checks = sum_up(&pr.checks, &pr.runs);
    open
}

pub(super) fn not_looked_at() -> Gap {
    Gap::new(
        GapKind::NotReady,
        "this needs a look at the pull request itself, which is still to come",
    )
}

/// A list of checks, or its beginning.
pub(super) enum CheckList {
    All(Fact<Vec<Check>>),
    GoesOn(ChecksSoFar),
}

/// GitHub's own summary.
pub(super) fn rollup(
    value: &Value,
    pr: &PullRequest,
    observed: Timestamp,
) -> Result<Fact<String>, Gap> {
    let raw: RawChecks = read(value)?;
    let Some(rollup) = raw.status_check_rollup else {
        return Ok(absent(observed, ""));
    };
    // GitHub documents these as the head's. Where it names the commit, that is checked.
    if rollup
        .commit
        .is_some_and(|commit| commit.oid != pr.head_sha)
    {
        return match pr.state {
            PullRequestState::Open => Err(head_moved()),
            // The branch went on after the end, and nobody runs checks for what was frozen then.
            _ => Ok(absent(observed, ENDED)),
        };
    }
    let word = match rollup.state.as_str() {
        "SUCCESS" => "passing",
        "PENDING" | "EXPECTED" => "pending",
        "FAILURE" | "ERROR" => "failing",
        other => return Err(malformed(format!("statusCheckRollup is {other:?}"))),
    };
    Ok(Fact::Found(word.to_owned()))
}

/// The single checks, behind those that are known already.
pub(super) fn list(
    value: &Value,
    pr: &PullRequest,
    so_far: Option<&ChecksSoFar>,
    observed: Timestamp,
) -> Result<CheckList, Gap> {
    let raw: RawHead<RawContexts> = read(value)?;
    let commit = match raw.newest(pr) {
        Ok(commit) => commit,
        // The branch went on after the end, and the checks of what was frozen then are out of sight.
        Err(gap) if pr.state == PullRequestState::Open || gap.kind != GapKind::NotReady => {
            return Err(gap);
        }
        Err(_) => return Ok(CheckList::All(absent(observed, ENDED))),
    };
    if so_far.is_some_and(|so_far| so_far.head != pr.head_sha) {
        return Err(head_moved());
    }
    let Some(rollup) = commit.status_check_rollup else {
        return match so_far {
            None => Ok(CheckList::All(absent(observed, "there are none"))),
            Some(_) => Err(Gap::new(
                GapKind::NotReady,
                "the checks changed while their list was read",
            )),
        };
    };
    let mut known = so_far
        .map(|so_far| so_far.known.clone())
        .unwrap_or_default();
    for context in rollup.contexts.nodes {
        known.push(check(context.ok_or_else(|| hidden("its checks"))?)?);
    }
    let page = rollup.contexts.page_info;
    if !page.has_next_page {
        return Ok(CheckList::All(Fact::Found(known)));
    }
    let pages = so_far.map_or(0, |so_far| so_far.pages).saturating_add(1);
    if pages > CHECKS_PAGES_FURTHER_MAX {
        return Err(Gap::new(
            GapKind::TooLarge,
            format!("there are more than {} checks", CHECKS_PAGE * pages),
        ));
    }
    match page.end_cursor {
        Some(after) if !after.is_empty() => Ok(CheckList::GoesOn(ChecksSoFar {
            head: pr.head_sha.clone(),
            known,
            after,
            pages,
        })),
        _ => Err(malformed("more checks and no cursor")),
    }
}

/// What the list is until the rest of it was read.
pub(super) fn goes_on(so_far: &ChecksSoFar) -> Gap {
    Gap::new(
        GapKind::TooLarge,
        format!(
            "there are more than {} checks, and the others were not read",
            so_far.known.len()
        ),
    )
}

/// One check. A run of a check has a conclusion once it is completed; a commit status is its own.
fn check(raw: RawContext) -> Result<Check, Gap> {
    let (name, outcome) = match raw {
        RawContext::CheckRun {
            name,
            status,
            conclusion,
        } => match (status.as_str(), conclusion) {
            ("COMPLETED", Some(conclusion)) => (name, words::dashed(&conclusion)),
            ("COMPLETED", None) => {
                return Err(malformed(format!("{name:?} is over without a conclusion")));
            }
            _ => (name, "pending".to_owned()),
        },
        RawContext::StatusContext {
            context,
            context_state,
        } => match context_state.as_str() {
            "EXPECTED" => (context, "pending".to_owned()),
            other => (context, words::dashed(other)),
        },
    };
    Ok(Check {
        name: words::short(&name),
        outcome,
    })
}

/// Runs that wait for a person.
pub(super) fn runs(
    value: &Value,
    pr: &PullRequest,
    observed: Timestamp,
) -> Result<Fact<Vec<HeldRun>>, Gap> {
    if pr.state != PullRequestState::Open {
        return Ok(absent(observed, ENDED));
    }
    let raw: RawHead<RawSuites> = read(value)?;
    let suites = raw.newest(pr)?.check_suites;
    let held = suites
        .complete("its check suites")?
        .into_iter()
        .filter_map(|suite| {
            let waits_for = waits_for(&suite)?;
            let run = suite.workflow_run;
            Some(HeldRun {
                event: run
                    .as_ref()
                    .and_then(|run| run.event.as_deref())
                    .map(words::short),
                name: run
                    .and_then(|run| run.workflow)
                    .map(|workflow| words::short(&workflow.name)),
                waits_for: waits_for.to_owned(),
            })
        });
    Ok(Fact::Found(held.collect()))
}

/// What a suite waits for; `None`: it does not wait for a person. Runs that need an approval come as completed with
/// the conclusion that action is required, or as requested; a protected environment makes them wait.
fn waits_for(suite: &RawSuite) -> Option<&'static str> {
    match (suite.conclusion.as_deref(), suite.status.as_str()) {
        (Some("ACTION_REQUIRED"), _) | (None, "REQUESTED" | "ACTION_REQUIRED") => Some("approval"),
        (None, "WAITING") => Some("deployment"),
        _ => None,
    }
}

fn head_moved() -> Gap {
    Gap::new(
        GapKind::NotReady,
        "GitHub answered about another commit than the newest of the head: it has just moved",
    )
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawChecks {
    #[serde(deserialize_with = "nullable")]
    status_check_rollup: Option<RawRollup>,
}

#[derive(Deserialize)]
struct RawRollup {
    state: String,
    /// Null where it cannot be seen.
    #[serde(default)]
    commit: Option<RawOid>,
}

#[derive(Deserialize)]
struct RawOid {
    oid: String,
}

/// The newest commit of the head, with what was asked of it.
#[derive(Deserialize)]
struct RawHead<T> {
    commits: RawCommits<T>,
}

#[derive(Deserialize)]
struct RawCommits<T> {
    nodes: Vec<Option<RawPullRequestCommit<T>>>,
}

#[derive(Deserialize)]
struct RawPullRequestCommit<T> {
    commit: RawCommit<T>,
}

#[derive(Deserialize)]
struct RawCommit<T> {
    oid: String,
    #[serde(flatten)]
    asked: T,
}

impl<T> RawHead<T> {
    /// What was asked of the newest commit.
    ///
    /// # Errors
    /// A gap where it is not the head that the pull request names.
    fn newest(self, pr: &PullRequest) -> Result<T, Gap> {
        match self.commits.nodes.into_iter().next_back() {
            Some(Some(node)) if node.commit.oid == pr.head_sha => Ok(node.commit.asked),
            Some(Some(_)) => Err(head_moved()),
            Some(None) => Err(hidden("its commits")),
            None => Err(malformed("a pull request without a commit")),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawContexts {
    #[serde(deserialize_with = "nullable")]
    status_check_rollup: Option<RawContextsOfRollup>,
}

#[derive(Deserialize)]
struct RawContextsOfRollup {
    contexts: RawContextList,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawContextList {
    page_info: RawContextPage,
    nodes: Vec<Option<RawContext>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawContextPage {
    has_next_page: bool,
    #[serde(deserialize_with = "nullable")]
    end_cursor: Option<String>,
}

#[derive(Deserialize)]
#[serde(tag = "__typename", rename_all_fields = "camelCase")]
enum RawContext {
    CheckRun {
        name: String,
        status: String,
        #[serde(deserialize_with = "nullable")]
        conclusion: Option<String>,
    },
    StatusContext {
        context: String,
        context_state: String,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawSuites {
    check_suites: RawList<RawSuite>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawSuite {
    status: String,
    #[serde(deserialize_with = "nullable")]
    conclusion: Option<String>,
    /// Null for another program's suite, and where runs cannot be seen.
    #[serde(deserialize_with = "nullable")]
    workflow_run: Option<RawRun>,
}

#[derive(Deserialize)]
struct RawRun {
    #[serde(default)]
    event: Option<String>,
    #[serde(default)]
    workflow: Option<RawWorkflow>,
}

#[derive(Deserialize)]
struct RawWorkflow {
    name: String,
}
