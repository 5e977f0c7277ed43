//! GitHub's objects become vigil's. Here the foreign shapes end.
//!
//! A field that was asked for and is missing makes the object unreadable: a null means something, and its absence
//! must not be taken for it.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use vigil_core::fact::Sighting;
use vigil_core::forge::{Issue, Mergeability, PullRequest, PullRequestState};
use vigil_core::{Fact, Gap, GapKind, Timestamp};

use crate::ask::Parts;
use crate::plan::Repo;
use crate::words;

/// What an absent part of an ended pull request says.
const ENDED: &str = "the pull request has ended";

/// One pull request of a branch, with what the choice among several needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The pull request.
    pub pull_request: PullRequest,
    /// When it was opened.
    pub created: Timestamp,
}

/// Reads an issue. `number` and `repo` are what was asked for.
///
/// # Errors
/// A gap: malformed where a field cannot be read, identity-changed where GitHub answered with something else (a pull
/// request of this number, or an issue that was moved to another repository), too-large where labels are missing.
pub(crate) fn issue(
    value: &Value,
    repo: &Repo,
    number: u32,
    observed: Timestamp,
) -> Result<Issue, Gap> {
    match value.get("__typename").and_then(Value::as_str) {
        Some("Issue") => {}
        Some("PullRequest") => {
            return Err(Gap::new(
                GapKind::IdentityChanged,
                format!("{repo}#{number} is a pull request and no issue"),
            ));
        }
        other => return Err(malformed(format!("the type {other:?} is no issue"))),
    }
    let raw: RawIssue = read(value)?;
    let home = Repo::parse(&raw.repository.name_with_owner).map_err(|gap| malformed(gap.detail))?;
    if home != *repo || raw.number != u64::from(number) {
        return Err(Gap::new(
            GapKind::IdentityChanged,
            format!("{repo}#{number} was moved: it is now {home}#{}", raw.number),
        ));
    }
    if raw.labels.page_info.has_next_page {
        return Err(Gap::new(
            GapKind::TooLarge,
            format!("{repo}#{number} has more labels than one page holds"),
        ));
    }
    let open = match raw.issue_state.as_str() {
        "OPEN" => true,
        "CLOSED" => false,
        other => return Err(malformed(format!("an issue in the state {other:?}"))),
    };
    let closed = match (open, raw.closed_at) {
        (true, _) => None,
        (false, Some(at)) => Some(timestamp("closedAt", &at)?),
        (false, None) => return Err(malformed("a closed issue without closedAt")),
    };
    Ok(Issue {
        number: raw.number,
        open,
        reason: raw.state_reason.as_deref().map(words::dashed),
        labels: raw
            .labels
            .nodes
            .into_iter()
            .map(|label| label.name)
            .collect(),
        closed,
        assignees: Fact::NotAsked,
        closer: Fact::NotAsked,
        reopened: Fact::NotAsked,
        closed_by: Fact::NotAsked,
        observed,
    })
}

/// Reads a pull request; its parts are read as far as they were asked for, and not-asked otherwise.
///
/// # Errors
/// A gap of kind malformed where a field cannot be read. An unreadable part makes only that part unknown.
pub(crate) fn pull_request(
    value: &Value,
    parts: Parts,
    observed: Timestamp,
) -> Result<Candidate, Gap> {
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
    let open = state == PullRequestState::Open;
    let asked = |wanted: bool, read: &dyn Fn() -> Result<Fact<String>, Gap>| {
        if wanted {
            read().unwrap_or_else(Fact::Unknown)
        } else {
            Fact::NotAsked
        }
    };
    Ok(Candidate {
        created: timestamp("createdAt", &raw.created_at)?,
        pull_request: PullRequest {
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
            mergeability: match parts.mergeability {
                true => mergeability(value, open, observed).unwrap_or_else(Fact::Unknown),
                false => Fact::NotAsked,
            },
            review: asked(parts.reviews, &|| review(value, observed)),
            checks: asked(parts.checks, &|| checks(value, observed)),
            review_list: Fact::NotAsked,
            check_list: Fact::NotAsked,
            runs: Fact::NotAsked,
            queue: Fact::NotAsked,
            auto_merge: Fact::NotAsked,
            closes: Fact::NotAsked,
            parts_observed: observed,
            observed,
        },
    })
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

fn checks(value: &Value, observed: Timestamp) -> Result<Fact<String>, Gap> {
    let raw: RawChecks = read(value)?;
    let word = match raw
        .status_check_rollup
        .as_ref()
        .map(|rollup| rollup.state.as_str())
    {
        None => return Ok(absent(observed, "")),
        Some("SUCCESS") => "passing",
        Some("PENDING" | "EXPECTED") => "pending",
        Some("FAILURE" | "ERROR") => "failing",
        Some(other) => return Err(malformed(format!("statusCheckRollup is {other:?}"))),
    };
    Ok(Fact::Found(word.to_owned()))
}

fn absent<T>(observed: Timestamp, detail: &str) -> Fact<T> {
    Fact::Absent(Sighting {
        first: observed,
        last: observed,
        detail: detail.to_owned(),
    })
}

fn timestamp(field: &str, text: &str) -> Result<Timestamp, Gap> {
    text.parse::<jiff::Timestamp>()
        .ok()
        .and_then(|moment| u64::try_from(moment.as_millisecond()).ok())
        .map(Timestamp)
        .ok_or_else(|| malformed(format!("{field} is {text:?}, which is no time")))
}

fn read<T: DeserializeOwned>(value: &Value) -> Result<T, Gap> {
    T::deserialize(value).map_err(|error| malformed(error.to_string()))
}

/// A gap for what GitHub should not have answered.
pub(crate) fn malformed(what: impl AsRef<str>) -> Gap {
    Gap::new(
        GapKind::Malformed,
        format!(
            "GitHub's answer cannot be read: {}",
            words::short(what.as_ref())
        ),
    )
}

/// A null that must be there: serde takes a missing field for a null unless it is told how to read it.
fn nullable<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(deserializer)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawIssue {
    number: u64,
    repository: RawHome,
    issue_state: String,
    #[serde(deserialize_with = "nullable")]
    state_reason: Option<String>,
    #[serde(deserialize_with = "nullable")]
    closed_at: Option<String>,
    labels: RawLabels,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawHome {
    name_with_owner: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawLabels {
    page_info: RawLabelsPage,
    nodes: Vec<RawLabel>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawLabelsPage {
    has_next_page: bool,
}

#[derive(Deserialize)]
struct RawLabel {
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawPullRequest {
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
struct RawChecks {
    #[serde(deserialize_with = "nullable")]
    status_check_rollup: Option<RawRollup>,
}

#[derive(Deserialize)]
struct RawRollup {
    state: String,
}
