//! What changed in a quiet repository: a conditional REST request, which is free while nothing did.
//!
//! The list of issues holds the pull requests, too. The list of pull requests would not do: its entries embed the
//! repository with its counters, so that it changes when nothing did.

use http::header::{ETAG, LINK, LOCATION};
use http::{HeaderMap, HeaderName, StatusCode, Uri};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::Value;
use vigil_core::forge::Issue;
use vigil_core::{Gap, GapKind, Timestamp};

use crate::convert::{issue_of_rest, malformed, read, renamed};
use crate::envelope::{self, Learned, Received, Words};
use crate::limits::{self, Meter};
use crate::question::Repo;
use crate::words;

/// Entries in one answer, the most that GitHub gives at once.
pub const PROBE_PAGE: usize = 100;

/// What stays as it is in a path: what is unreserved in RFC 3986.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A look at what changed in a repository since a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The repository.
    pub repo: Repo,
    /// Whole seconds of GitHub's clock; what is below them is cut off. Changes at this moment are part of the answer.
    /// While it stays the same, the address and its ETag do.
    pub since: Timestamp,
}

impl Probe {
    /// Path and query below the root of the REST API. The newest change comes first, so that every change alters the
    /// first page, whose ETag stands for all of them. What changes while pages are read moves to the front and pushes
    /// the others on: they are seen twice, and none is passed over.
    pub fn path(&self) -> String {
        format!(
            "/repos/{}/{}/issues?state=all&since={}&sort=updated&direction=desc&per_page={PROBE_PAGE}",
            segment(self.repo.owner()),
            segment(self.repo.name()),
            seconds(self.since),
        )
    }
}

/// One segment of a path. A record may hold anything, dots that lead upwards among it.
pub(crate) fn segment(text: &str) -> String {
    match text {
        "." | ".." => text.replace('.', "%2E"),
        text => utf8_percent_encode(text, SEGMENT).to_string(),
    }
}

/// RFC 3339 in UTC. A time that no calendar has becomes the epoch: then everything counts as changed.
fn seconds(at: Timestamp) -> String {
    i64::try_from(at.as_millis() / 1000)
        .ok()
        .and_then(|seconds| jiff::Timestamp::from_second(seconds).ok())
        .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
        .to_string()
}

/// Something that changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// Within its repository.
    pub number: u32,
    /// GitHub's `updated_at`.
    pub updated: Timestamp,
    /// Its node id.
    pub id: String,
    /// It is open, issue or pull request.
    pub open: bool,
    /// The issue with labels and assignees; its history and references are not asked for. `None`: it is a pull
    /// request, of which this says too little.
    pub issue: Option<Issue>,
}

/// What a probe comes to.
#[derive(Clone, Debug, PartialEq)]
pub enum Probed {
    /// Nothing changed.
    Unchanged {
        /// The tag of the answer, which may be another one than was sent; `None`: it bore none.
        etag: Option<String>,
    },
    /// This changed.
    Changed {
        /// The newest change first; one page of them. May be empty.
        items: Vec<Changed>,
        /// The tag of this answer, to be kept once what it stands for is.
        etag: Option<String>,
        /// Path and query of the next page below the root of the REST API; `None`: there is none.
        next: Option<String>,
    },
    /// The repository is there and has its issues switched off; REST then lists its pull requests neither.
    IssuesOff,
    /// The repository bears another name now.
    Moved {
        /// Where it is, as GitHub wrote it.
        to: String,
    },
    /// Nothing was learned about this repository, for this reason.
    Gap(Gap),
}

/// Reads the answer to `probe`, or to one of its next pages. Facts bear the time `observed`, the moment at which the
/// asking began. Pure.
pub fn learn_probe(
    probe: &Probe,
    received: &Received<'_>,
    observed: Timestamp,
) -> Learned<(Probed, Meter)> {
    let Received {
        status,
        headers,
        body,
        at,
    } = *received;
    let words = match envelope::open_rest(received) {
        Ok(words) => words,
        Err(instead) => return instead,
    };
    let repo = &probe.repo;
    let probed = match status {
        StatusCode::OK => match changed(repo, headers, body, observed) {
            Ok(probed) => probed,
            Err(Unreadable::Body(gap)) => return Learned::Lost(gap),
            Err(Unreadable::Entry(gap)) => Probed::Gap(gap),
        },
        StatusCode::NOT_MODIFIED => Probed::Unchanged {
            etag: text(headers, ETAG),
        },
        status => refused(repo, status, headers, &words),
    };
    Learned::Answered((probed, Meter::from_headers(headers, limits::CORE, at)))
}

/// A refusal that concerns this repository and is no limit.
fn refused(repo: &Repo, status: StatusCode, headers: &HeaderMap, words: &Words) -> Probed {
    let Words { message, said } = words;
    let gap = |kind, text: String| Probed::Gap(Gap::new(kind, text));
    match status {
        status if status.is_redirection() => match text(headers, LOCATION) {
            Some(to) => Probed::Moved {
                to: words::short(&to),
            },
            None => gap(
                GapKind::Malformed,
                format!("repository {repo}: {said} and no place to go"),
            ),
        },
        StatusCode::GONE if message.to_ascii_lowercase().contains("disabled") => Probed::IssuesOff,
        StatusCode::GONE => gap(
            GapKind::NotFound,
            format!("repository {repo} is gone: {said}"),
        ),
        // Without a look at the account nobody can tell these apart.
        StatusCode::NOT_FOUND => gap(
            GapKind::NotFound,
            format!("there is no repository {repo}, or the token has no access to it"),
        ),
        StatusCode::FORBIDDEN | StatusCode::UNAVAILABLE_FOR_LEGAL_REASONS => {
            gap(GapKind::Denied, format!("repository {repo}: {said}"))
        }
        _ => gap(GapKind::Malformed, format!("repository {repo}: {said}")),
    }
}

/// What cannot be read.
enum Unreadable {
    /// The answer; another one may fare better.
    Body(Gap),
    /// One thing in it, which may be the one that counts.
    Entry(Gap),
}

fn changed(
    repo: &Repo,
    headers: &HeaderMap,
    body: &[u8],
    observed: Timestamp,
) -> Result<Probed, Unreadable> {
    let entries = match serde_json::from_slice::<Value>(body) {
        Ok(Value::Array(entries)) => entries,
        Ok(_) => return Err(Unreadable::Body(malformed("the body is no list"))),
        Err(error) => return Err(Unreadable::Body(malformed(error.to_string()))),
    };
    let mut items = Vec::with_capacity(entries.len());
    for entry in &entries {
        let (number, item) = issue_of_rest(entry, observed).map_err(Unreadable::Entry)?;
        of_this_repository(entry, repo).map_err(Unreadable::Entry)?;
        items.push(Changed {
            number,
            updated: item.updated,
            id: item.id,
            // Read and checked with the entry.
            open: entry.get("state").and_then(Value::as_str) == Some("open"),
            issue: item.value,
        });
    }
    Ok(Probed::Changed {
        items,
        etag: text(headers, ETAG),
        next: next(headers),
    })
}

/// A next page names the repository by its number, so its entries are asked whose they are.
fn of_this_repository(entry: &Value, repo: &Repo) -> Result<(), Gap> {
    let raw: RawEntry = read(entry)?;
    let Some(url) = raw.repository_url else {
        return Ok(());
    };
    let mut parts = url.rsplit('/');
    let home = match (parts.next(), parts.next()) {
        (Some(name), Some(owner)) => Repo::parse(&format!("{owner}/{name}")),
        _ => Err(malformed("")),
    };
    match home {
        Ok(home) if home == *repo => Ok(()),
        Ok(home) => Err(renamed(repo, home)),
        Err(_) => Err(malformed(format!(
            "{url:?} is the address of no repository"
        ))),
    }
}

/// The next page: the address that GitHub names, without its beginning. Whatever host it names, the way goes on below
/// the root that is asked anyway, to a list of issues and nowhere else.
fn next(headers: &HeaderMap) -> Option<String> {
    let links = headers.get(LINK)?.to_str().ok()?;
    let target = links.split(',').find_map(|link| {
        let (target, parameters) = link.split_once('>')?;
        let next = parameters
            .split(';')
            .any(|one| matches!(one.trim(), "rel=\"next\"" | "rel=next"));
        next.then(|| target.trim().strip_prefix('<')).flatten()
    })?;
    let uri: Uri = target.parse().ok()?;
    let (path, query) = (uri.path(), uri.query()?);
    let segments: Vec<&str> = path.split('/').collect();
    let below = match segments.as_slice() {
        [.., "repositories", id, "issues"]
            if !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            3
        }
        [.., "repos", owner, name, "issues"] if is_plain(owner) && is_plain(name) => 4,
        _ => return None,
    };
    let kept = segments[segments.len() - below..].join("/");
    Some(format!("/{kept}?{query}"))
}

/// A segment that leads nowhere else.
fn is_plain(segment: &str) -> bool {
    !segment.is_empty() && !segment.starts_with('.') && !segment.contains('%')
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    Some(headers.get(name)?.to_str().ok()?.to_owned())
}

#[derive(Deserialize)]
struct RawEntry {
    #[serde(default)]
    repository_url: Option<String>,
}
