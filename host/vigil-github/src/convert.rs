//! GitHub's objects become vigil's. Here the foreign shapes end.
//!
//! A field that was asked for and is missing makes the object unreadable: a null means something, and its absence
//! must not be taken for it.

mod checks;
mod issue;
mod pull_request;

use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use vigil_core::fact::Sighting;
use vigil_core::forge::{Actor, PullRequest, Reference};
use vigil_core::{Fact, Gap, GapKind, Timestamp};

use crate::ask::Parts;
use crate::moved;
use crate::question::Repo;
use crate::words;

pub use checks::{second, sum_up};
pub(crate) use issue::{issue, issue_of_rest};
pub(crate) use pull_request::pull_request;

/// One pull request of a branch, with what the choice among several and the memory of it need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The pull request.
    pub pull_request: PullRequest,
    /// Its node id, which no other pull request ever has.
    pub id: String,
    /// GitHub's `updatedAt`.
    pub updated: Timestamp,
}

/// The pull request without the parts beyond `parts`: another session may have wanted more of it than this one.
pub fn only_parts(mut pr: PullRequest, parts: Parts) -> PullRequest {
    let PullRequest {
        mergeability,
        review,
        review_list,
        checks,
        check_list,
        runs,
        queue,
        auto_merge,
        closes,
        ..
    } = &mut pr;
    drop_unless(parts.contains(Parts::MERGEABILITY), mergeability);
    drop_unless(parts.contains(Parts::REVIEWS), review);
    drop_unless(parts.contains(Parts::REVIEW_LIST), review_list);
    drop_unless(parts.contains(Parts::CHECKS), checks);
    drop_unless(parts.contains(Parts::CHECK_LIST), check_list);
    drop_unless(parts.contains(Parts::RUNS), runs);
    drop_unless(parts.contains(Parts::QUEUE), queue);
    drop_unless(parts.contains(Parts::AUTO_MERGE), auto_merge);
    drop_unless(parts.contains(Parts::REFERENCES), closes);
    pr
}

fn drop_unless<T>(keep: bool, fact: &mut Fact<T>) {
    if !keep {
        *fact = Fact::NotAsked;
    }
}

/// What was asked of a thing, and what is known about the answer.
pub(crate) struct Asked<'a> {
    /// How much of it.
    pub(crate) parts: Parts,
    /// When the asking began.
    pub(crate) observed: Timestamp,
    /// The gap that an error leaves in a part: a part that was refused is null, and null would read as absent.
    pub(crate) failed: &'a dyn Fn(Parts) -> Option<Gap>,
}

impl Asked<'_> {
    /// One part: not asked, unknown where an error names it or it cannot be read, else what is there.
    fn part<T>(&self, part: Parts, read: impl FnOnce() -> Result<Fact<T>, Gap>) -> Fact<T> {
        if !self.parts.contains(part) {
            return Fact::NotAsked;
        }
        match (self.failed)(part) {
            Some(gap) => Fact::from(gap),
            None => read().unwrap_or_else(Fact::from),
        }
    }
}

/// A gap for a repository that has another name by now: GitHub answers under the old one, and somebody else may take it.
pub(crate) fn renamed(old: &Repo, new: impl fmt::Display) -> Gap {
    Gap::new(
        GapKind::IdentityChanged,
        format!("{}, and vigil asks about it again", moved::told(old, new)),
    )
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

fn too_large(what: &str) -> Gap {
    Gap::new(
        GapKind::TooLarge,
        format!("there is more of {what} than one page holds"),
    )
}

fn absent<T>(observed: Timestamp, detail: &str) -> Fact<T> {
    Fact::from(Sighting {
        first: observed,
        last: observed,
        detail: detail.to_owned(),
    })
}

pub(crate) fn timestamp(field: &str, text: &str) -> Result<Timestamp, Gap> {
    text.parse::<jiff::Timestamp>()
        .ok()
        .and_then(|moment| u64::try_from(moment.as_millisecond()).ok())
        .map(Timestamp)
        .ok_or_else(|| malformed(format!("{field} is {text:?}, which is no time")))
}

pub(crate) fn read<T: DeserializeOwned>(value: &Value) -> Result<T, Gap> {
    T::deserialize(value).map_err(|error| malformed(error.to_string()))
}

/// A null that must be there: serde takes a missing field for a null unless it is told how to read it.
fn nullable<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(deserializer)
}

/// A list of GitHub's of which the beginning was asked for. An entry is null where it cannot be seen.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawList<T> {
    page_info: RawPage,
    nodes: Vec<Option<T>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawPage {
    has_next_page: bool,
}

impl<T> RawList<T> {
    /// All of it.
    ///
    /// # Errors
    /// A gap where there is more, or where an entry cannot be seen: a list that lacks something is no list.
    fn complete(self, what: &str) -> Result<Vec<T>, Gap> {
        if self.page_info.has_next_page {
            return Err(too_large(what));
        }
        self.nodes
            .into_iter()
            .map(|node| node.ok_or_else(|| hidden(what)))
            .collect()
    }
}

/// A null that no error explains; where one does, the part never gets read.
fn hidden(what: &str) -> Gap {
    malformed(format!("an entry of {what} is null without an error"))
}

/// An account.
#[derive(Deserialize)]
struct RawActor {
    #[serde(rename = "__typename")]
    kind: String,
    login: String,
}

impl From<RawActor> for Actor {
    /// GraphQL gives the login of a bot without the suffix that REST shows.
    fn from(raw: RawActor) -> Self {
        Actor {
            bot: raw.kind == "Bot" || raw.login.ends_with("[bot]"),
            login: words::short(&raw.login),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawHome {
    name_with_owner: String,
}

impl RawHome {
    fn repo(&self) -> Result<Repo, Gap> {
        Repo::parse(&self.name_with_owner).map_err(|gap| malformed(gap.detail))
    }
}

/// An issue or a pull request that another one names.
#[derive(Deserialize)]
struct RawReference {
    number: u64,
    #[serde(alias = "prState", alias = "issueState")]
    state: String,
    repository: RawHome,
}

fn references(list: RawList<RawReference>, what: &str) -> Result<Fact<Vec<Reference>>, Gap> {
    let references = list.complete(what)?.into_iter().map(|raw| {
        Ok(Reference {
            repo: raw.repository.repo()?.to_string(),
            number: raw.number,
            state: match raw.state.as_str() {
                "OPEN" => "open",
                "CLOSED" => "closed",
                "MERGED" => "merged",
                other => return Err(malformed(format!("{what}: one in the state {other:?}"))),
            }
            .to_owned(),
        })
    });
    references.collect::<Result<_, Gap>>().map(Fact::Found)
}
