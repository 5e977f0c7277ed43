//! A pull request with its parts.

use serde::Deserialize;
use serde_json::Value;
use vigil_core::forge::{
    AutoMerge, Mergeability, PullRequest, PullRequestState, QueueEntry, Reference, Review,
};
use vigil_core::{Fact, Gap, GapKind, Timestamp};

use super::checks::{self, CheckList};
use super::{
    Asked, Candidate, RawActor, RawList, RawReference, absent, malformed, nullable, read,
    references, timestamp,
};
use crate::ask::Parts;
use crate::question::{ChecksSoFar, Question, Target};
use crate::words;

/// What an absent part of an ended pull request says.
pub(super) const ENDED: &str = "the pull request has ended";

/// A pull request as one answer has it.
pub(crate) struct Reading {
    pub(crate) candidate: Candidate,
    /// Its list of checks goes on; until the rest is read, the list is unknown.
    pub(crate) more: Option<ChecksSoFar>,
}

/// Reads a pull request; its parts are read as far as `question` asks for them, and not-asked otherwise.
///
/// # Errors
/// A gap of kind malformed where a field cannot be read. An unreadable part makes only that part unknown.
pub(crate) fn pull_request(
    value: &Value,
    question: &Question,
    asked: &Asked<'_>,
) -> Result<Reading, Gap> {
    let raw: RawPullRequest = read(value)?;
    let state = match raw.pr_state.as_str() {
        "OPEN" => PullRequestState::Open,
        "MERGED" => PullRequestState::Merged,
        "CLOSED" => PullRequestState::Closed,
        other => return Err(malformed(format!("a pull request in the state {other:?}"))),
    };
    let moment = |name, text: &Option<String>| match text {
        Some(text) => timestamp(name, text).map(Some),
        None => Ok(None),
    };
    let merged = moment("mergedAt", &raw.merged_at)?;
    let closed = moment("closedAt", &raw.closed_at)?;
    let (merged, closed) = match (state, merged, closed) {
        (PullRequestState::Open, _, _) => (None, None),
        (PullRequestState::Merged, Some(merged), closed) => (Some(merged), closed.or(Some(merged))),
        (PullRequestState::Closed, _, Some(closed)) => (None, Some(closed)),
        (PullRequestState::Merged, None, _) => {
            return Err(malformed("a merged pull request without mergedAt"));
        }
        (PullRequestState::Closed, _, None) => {
            return Err(malformed("a closed pull request without closedAt"));
        }
    };
    let observed = asked.observed;
    let open = state == PullRequestState::Open;
    // What is remembered is remembered by small numbers, and one that was dropped would count as none.
    if u32::try_from(raw.number).is_err() {
        return Err(malformed(format!("the number {} is too large", raw.number)));
    }
    let mut pr = PullRequest {
        number: raw.number,
        state,
        draft: raw.is_draft,
        created: timestamp("createdAt", &raw.created_at)?,
        merged,
        closed,
        url: raw.url,
        head_ref: raw.head_ref_name,
        base_ref: raw.base_ref_name,
        head_sha: raw.head_ref_oid,
        head_owner: raw.head_repository_owner.map(|owner| owner.login),
        merge_commit: match state {
            PullRequestState::Merged => raw.merge_commit.map(|commit| commit.oid),
            _ => None,
        },
        // Where a session's work lands, the answer to the session tells.
        landed: Fact::NotAsked,
        mergeability: asked.part(Parts::MERGEABILITY, || mergeability(value, open, observed)),
        review: asked.part(Parts::REVIEWS, || review(value, observed)),
        review_list: asked.part(Parts::REVIEW_LIST, || review_list(value)),
        checks: Fact::NotAsked,
        check_list: Fact::NotAsked,
        runs: Fact::NotAsked,
        queue: asked.part(Parts::QUEUE, || queue(value, observed)),
        auto_merge: asked.part(Parts::AUTO_MERGE, || auto_merge(value, observed)),
        closes: asked.part(Parts::REFERENCES, || closes(value)),
        parts_observed: observed,
        observed,
    };
    let more = checks_of(&mut pr, value, question, asked);
    Ok(Reading {
        candidate: Candidate {
            id: raw.id,
            updated: timestamp("updatedAt", &raw.updated_at)?,
            pull_request: pr,
        },
        more,
    })
}

/// Fills in what the checks of the newest head say. Returns where their list goes on, if it does.
fn checks_of(
    pr: &mut PullRequest,
    value: &Value,
    question: &Question,
    asked: &Asked<'_>,
) -> Option<ChecksSoFar> {
    let mut more = None;
    let rollup = asked.part(Parts::CHECKS, || checks::rollup(value, pr, asked.observed));
    if matches!(question.target, Target::Branch { .. }) {
        // Nobody looked at the long lists, so nothing may be taken for the absence of held runs.
        pr.check_list = asked.part(Parts::CHECK_LIST, || Err(checks::not_looked_at()));
        pr.runs = asked.part(Parts::RUNS, || Err(checks::not_looked_at()));
    } else {
        pr.check_list = asked.part(Parts::CHECK_LIST, || {
            let so_far = question.checks_so_far.as_ref();
            match checks::list(value, pr, so_far, asked.observed)? {
                CheckList::All(fact) => Ok(fact),
                CheckList::GoesOn(so_far) => {
                    let gap = checks::goes_on(&so_far);
                    more = Some(so_far);
                    Err(gap)
                }
            }
        });
        pr.runs = asked.part(Parts::RUNS, || checks::runs(value, pr, asked.observed));
    }
    pr.checks = checks::sum_up(&rollup, &pr.runs);
    more
}

/// GitHub works mergeability out on demand and says UNKNOWN until it has; of an ended pull request it says nothing
/// that means anything.
fn mergeability(value: &Value, open: bool, observed: Timestamp) -> Result<Fact<Mergeability>, Gap> {
    let raw: RawMergeability = read(value)?;
    if !open {
        return Ok(absent(observed, ENDED));
    }
    let mergeable = match raw.mergeable.as_str() {
        "MERGEABLE" => true,
        "CONFLICTING" => false,
        "UNKNOWN" => return Err(not_ready()),
        other => return Err(malformed(format!("mergeable is {other:?}"))),
    };
    if raw.merge_state_status == "UNKNOWN" {
        return Err(not_ready());
    }
    Ok(Fact::Found(Mergeability {
        mergeable,
        merge_state: words::dashed(&raw.merge_state_status),
        observed,
    }))
}

fn not_ready() -> Gap {
    Gap::new(
        GapKind::NotReady,
        "GitHub has not worked out yet whether it can be merged",
    )
}

fn review(value: &Value, observed: Timestamp) -> Result<Fact<String>, Gap> {
    let raw: RawReviews = read(value)?;
    match raw.review_decision.as_deref() {
        None => Ok(absent(observed, "")),
        Some(known @ ("APPROVED" | "CHANGES_REQUESTED" | "REVIEW_REQUIRED")) => {
            Ok(Fact::Found(words::dashed(known)))
        }
        Some(other) => Err(malformed(format!("reviewDecision is {other:?}"))),
    }
}

fn review_list(value: &Value) -> Result<Fact<Vec<Review>>, Gap> {
    let raw: RawReviewList = read(value)?;
    let mut reviews = Vec::new();
    for raw in raw.latest_opinionated_reviews.complete("its reviews")? {
        reviews.push(Review {
            author: raw.author.map(Into::into),
            state: match raw.state.as_str() {
                known @ ("APPROVED" | "CHANGES_REQUESTED" | "DISMISSED") => words::dashed(known),
                // No opinion; GitHub lists none here.
                "COMMENTED" | "PENDING" => continue,
                other => return Err(malformed(format!("a review in the state {other:?}"))),
            },
            commit: raw.commit.map(|commit| commit.oid),
            submitted: match raw.submitted_at {
                Some(at) => Some(timestamp("submittedAt", &at)?),
                None => None,
            },
        });
    }
    Ok(Fact::Found(reviews))
}

fn queue(value: &Value, observed: Timestamp) -> Result<Fact<QueueEntry>, Gap> {
    let raw: RawQueue = read(value)?;
    Ok(match raw.merge_queue_entry {
        None => absent(observed, ""),
        Some(entry) => Fact::Found(QueueEntry {
            position: entry.position,
            state: words::dashed(&entry.state),
        }),
    })
}

fn auto_merge(value: &Value, observed: Timestamp) -> Result<Fact<AutoMerge>, Gap> {
    let raw: RawAutoMerge = read(value)?;
    Ok(match raw.auto_merge_request {
        None => absent(observed, ""),
        Some(wish) => Fact::Found(AutoMerge {
            method: words::dashed(&wish.merge_method),
            by: wish.enabled_by.map(Into::into),
        }),
    })
}

fn closes(value: &Value) -> Result<Fact<Vec<Reference>>, Gap> {
    let raw: RawCloses = read(value)?;
    references(raw.closing_issues_references, "the issues that it closes")
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawPullRequest {
    id: String,
    updated_at: String,
    number: u64,
    pr_state: String,
    is_draft: bool,
    created_at: String,
    #[serde(deserialize_with = "nullable")]
    merged_at: Option<String>,
    #[serde(deserialize_with = "nullable")]
    closed_at: Option<String>,
    url: String,
    head_ref_name: String,
    base_ref_name: String,
    head_ref_oid: String,
    #[serde(deserialize_with = "nullable")]
    head_repository_owner: Option<RawOwner>,
    #[serde(deserialize_with = "nullable")]
    merge_commit: Option<RawCommit>,
}

#[derive(Deserialize)]
struct RawOwner {
    login: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawMergeability {
    mergeable: String,
    merge_state_status: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawReviews {
    #[serde(deserialize_with = "nullable")]
    review_decision: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawReviewList {
    latest_opinionated_reviews: RawList<RawReview>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawReview {
    state: String,
    #[serde(deserialize_with = "nullable")]
    submitted_at: Option<String>,
    #[serde(deserialize_with = "nullable")]
    author: Option<RawActor>,
    #[serde(deserialize_with = "nullable")]
    commit: Option<RawCommit>,
}

#[derive(Deserialize)]
struct RawCommit {
    oid: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawQueue {
    #[serde(deserialize_with = "nullable")]
    merge_queue_entry: Option<RawQueueEntry>,
}

#[derive(Deserialize)]
struct RawQueueEntry {
    position: u32,
    state: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawAutoMerge {
    #[serde(deserialize_with = "nullable")]
    auto_merge_request: Option<RawWish>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawWish {
    merge_method: String,
    #[serde(deserialize_with = "nullable")]
    enabled_by: Option<RawActor>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawCloses {
    closing_issues_references: RawList<RawReference>,
}
