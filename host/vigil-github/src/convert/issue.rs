//! An issue, as GraphQL and as REST tell of it.

use serde::Deserialize;
use serde_json::Value;
use vigil_core::forge::{Actor, Issue, Reference};
use vigil_core::{Fact, Gap, GapKind, Timestamp};

use super::{
    Asked, RawActor, RawHome, RawList, RawReference, absent, hidden, malformed, nullable, read,
    references, timestamp,
};
use crate::ask::Parts;
use crate::question::Repo;
use crate::words;

/// A thing with what tells it from another one of the same name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identified<T> {
    pub(crate) value: T,
    /// Its node id.
    pub(crate) id: String,
    /// GitHub's `updatedAt`.
    pub(crate) updated: Timestamp,
}

/// Reads an issue of a GraphQL answer. `repo` and `number` are what was asked for.
///
/// # Errors
/// A gap: malformed where a field cannot be read, identity-changed where GitHub answered with something else (a pull
/// request of this number, or an issue that was moved to another repository), too-large where labels are missing. An
/// unreadable part makes only that part unknown.
pub(crate) fn issue(
    value: &Value,
    repo: &Repo,
    number: u32,
    asked: &Asked<'_>,
) -> Result<Identified<Issue>, Gap> {
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
    let home = raw.repository.repo()?;
    if home != *repo || raw.number != u64::from(number) {
        return Err(Gap::new(
            GapKind::IdentityChanged,
            format!("{repo}#{number} was moved: it is now {home}#{}", raw.number),
        ));
    }
    let open = match raw.issue_state.as_str() {
        "OPEN" => true,
        "CLOSED" => false,
        other => return Err(malformed(format!("an issue in the state {other:?}"))),
    };
    let labels = raw.labels.complete("its labels")?;
    Ok(Identified {
        id: raw.id,
        updated: timestamp("updatedAt", &raw.updated_at)?,
        value: Issue {
            number: raw.number,
            open,
            reason: raw.state_reason.as_deref().map(words::dashed),
            labels: labels.into_iter().map(|label| label.name).collect(),
            closed: closed(open, raw.closed_at.as_deref())?,
            assignees: asked.part(Parts::ASSIGNEES, || assignees(value)),
            closer: asked.part(Parts::HISTORY, || closer(value, open, asked.observed)),
            reopened: asked.part(Parts::HISTORY, || reopened(value)),
            closed_by: asked.part(Parts::REFERENCES, || closed_by(value)),
            observed: asked.observed,
        },
    })
}

/// When an issue was closed; `None`: it is open.
fn closed(open: bool, closed_at: Option<&str>) -> Result<Option<Timestamp>, Gap> {
    match (open, closed_at) {
        (true, _) => Ok(None),
        (false, Some(at)) => timestamp("closedAt", at).map(Some),
        (false, None) => Err(malformed("a closed issue without closedAt")),
    }
}

fn assignees(value: &Value) -> Result<Fact<Vec<String>>, Gap> {
    let raw: RawAssignees = read(value)?;
    let logins = raw.assignees.complete("its assignees")?;
    Ok(Fact::Found(
        logins.into_iter().map(|account| account.login).collect(),
    ))
}

fn closed_by(value: &Value) -> Result<Fact<Vec<Reference>>, Gap> {
    let raw: RawClosedBy = read(value)?;
    references(
        raw.closed_by_pull_requests_references,
        "the pull requests that close it",
    )
}

/// Whoever is in the last closing. The list ends with the newest event, so a longer history does no harm.
fn closer(value: &Value, open: bool, observed: Timestamp) -> Result<Fact<Actor>, Gap> {
    let history = history(value)?;
    if open {
        return Ok(absent(observed, "the issue is open"));
    }
    match history.nodes.into_iter().next_back() {
        Some(Some(RawEvent::ClosedEvent { actor: Some(actor) })) => Ok(Fact::Found(actor.into())),
        Some(Some(RawEvent::ClosedEvent { actor: None })) => {
            Ok(absent(observed, "the account that closed it is gone"))
        }
        Some(Some(RawEvent::ReopenedEvent {})) => Err(Gap::new(
            GapKind::NotReady,
            "the issue is closed, and its history does not show it yet",
        )),
        Some(None) => Err(hidden("its history")),
        None => Err(Gap::new(
            GapKind::NoControl,
            "the issue is closed, and its history does not hold who closed it",
        )),
    }
}

fn reopened(value: &Value) -> Result<Fact<u32>, Gap> {
    let history = history(value)?;
    if history.page_info.has_previous_page {
        return Err(super::too_large("its history"));
    }
    let mut count = 0;
    for event in &history.nodes {
        match event {
            Some(RawEvent::ReopenedEvent {}) => count += 1,
            Some(RawEvent::ClosedEvent { .. }) => {}
            None => return Err(hidden("its history")),
        }
    }
    Ok(Fact::Found(count))
}

fn history(value: &Value) -> Result<RawEvents, Gap> {
    read::<RawHistory>(value).map(|raw| raw.timeline_items)
}

/// Reads one entry of REST's list of issues, which holds pull requests, too; `None`: it is one. Labels and assignees
/// come with every entry, so both are there without being asked for.
///
/// # Errors
/// A gap of kind malformed where a field cannot be read.
pub(crate) fn issue_of_rest(
    value: &Value,
    observed: Timestamp,
) -> Result<(u32, Identified<Option<Issue>>), Gap> {
    let raw: RestItem = read(value)?;
    let number = u32::try_from(raw.number)
        .map_err(|_| malformed(format!("the number {} is too large", raw.number)))?;
    let open = match raw.state.as_str() {
        "open" => true,
        "closed" => false,
        other => return Err(malformed(format!("an issue in the state {other:?}"))),
    };
    let issue = Issue {
        number: raw.number,
        open,
        reason: raw.state_reason.as_deref().map(words::dashed),
        labels: raw.labels.into_iter().map(|label| label.name).collect(),
        closed: closed(open, raw.closed_at.as_deref())?,
        assignees: Fact::Found(raw.assignees.into_iter().map(|one| one.login).collect()),
        closer: Fact::NotAsked,
        reopened: Fact::NotAsked,
        closed_by: Fact::NotAsked,
        observed,
    };
    let item = Identified {
        id: raw.node_id,
        updated: timestamp("updated_at", &raw.updated_at)?,
        value: raw.pull_request.is_none().then_some(issue),
    };
    Ok((number, item))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawIssue {
    id: String,
    updated_at: String,
    number: u64,
    repository: RawHome,
    issue_state: String,
    #[serde(deserialize_with = "nullable")]
    state_reason: Option<String>,
    #[serde(deserialize_with = "nullable")]
    closed_at: Option<String>,
    labels: RawList<RawLabel>,
}

#[derive(Deserialize)]
struct RawLabel {
    name: String,
}

#[derive(Deserialize)]
struct RawAssignees {
    assignees: RawList<RawAccount>,
}

#[derive(Deserialize)]
struct RawAccount {
    login: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawClosedBy {
    closed_by_pull_requests_references: RawList<RawReference>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawHistory {
    timeline_items: RawEvents,
}

/// The end of an issue's history, the oldest event first.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawEvents {
    page_info: RawEventsPage,
    nodes: Vec<Option<RawEvent>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawEventsPage {
    has_previous_page: bool,
}

#[derive(Deserialize)]
#[serde(tag = "__typename")]
enum RawEvent {
    ClosedEvent {
        /// Null: the account is gone.
        #[serde(deserialize_with = "nullable")]
        actor: Option<RawActor>,
    },
    ReopenedEvent {},
}

/// An entry of REST's list. What is beside these fields is not read.
#[derive(Deserialize)]
struct RestItem {
    number: u64,
    node_id: String,
    updated_at: String,
    state: String,
    #[serde(deserialize_with = "nullable")]
    state_reason: Option<String>,
    #[serde(deserialize_with = "nullable")]
    closed_at: Option<String>,
    labels: Vec<RawLabel>,
    assignees: Vec<RawAccount>,
    /// Only pull requests have it.
    #[serde(default)]
    pull_request: Option<Value>,
}
