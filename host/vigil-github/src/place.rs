//! Where an issue is that GraphQL does not find in a repository which answers.
//!
//! GraphQL says "not found" of an issue that was deleted, of one that was transferred, and of one that never was. REST
//! tells them apart, as GitHub documents it for "Get an issue": 410 where it was deleted, 301 to the place where a
//! transferred one went, 404 where whoever asks may not see that place, or where there never was one.

use http::StatusCode;
use http::header::LOCATION;
use vigil_core::fact::Sighting;
use vigil_core::forge::Issue;
use vigil_core::{Fact, Gap, GapKind, Timestamp};

use crate::envelope::{self, Learned, Received, Words};
use crate::limits::{self, Meter};
use crate::probe::segment;
use crate::question::Repo;
use crate::words;

/// The detail of an absence that is for good.
pub const DELETED: &str = "deleted";

/// An issue that is nowhere to be found any more.
pub fn deleted_at(now: Timestamp) -> Fact<Issue> {
    Fact::from(Sighting {
        first: now,
        last: now,
        detail: DELETED.to_owned(),
    })
}

/// Path below the root of the REST API.
pub fn place_path(repo: &Repo, number: u32) -> String {
    let (owner, name) = (segment(repo.owner()), segment(repo.name()));
    format!("/repos/{owner}/{name}/issues/{number}")
}

/// Reads what REST says about an issue that GraphQL does not find: absent (`deleted`), or unknown with the reason. A 410
/// that does not hold GitHub's own words is lost: somebody on the way may have said it. The fact bears the time
/// `observed`, the moment at which the asking began. Pure.
pub fn learn_place(
    repo: &Repo,
    number: u32,
    received: &Received<'_>,
    observed: Timestamp,
) -> Learned<(Fact<Issue>, Meter)> {
    let Received {
        status,
        headers,
        at,
        ..
    } = *received;
    let Words { message, said } = match envelope::open_rest(received) {
        Ok(words) => words,
        Err(instead) => return instead,
    };
    if status == StatusCode::GONE && message.is_empty() {
        // A proxy or a captive portal says the same of anything. That an issue is gone for good takes GitHub's own word.
        let said = format!("{said}, and no reason in JSON");
        return Learned::Lost(Gap::new(GapKind::Malformed, said));
    }
    let what = format!("issue {repo}#{number}");
    let gap = |kind, text: String| Fact::from(Gap::new(kind, text));
    let fact = match status {
        StatusCode::GONE if message.to_ascii_lowercase().contains("disabled") => gap(
            GapKind::NoControl,
            format!("{repo} has its issues switched off, so none of them can be seen"),
        ),
        StatusCode::GONE => deleted_at(observed),
        StatusCode::NOT_FOUND => gap(
            GapKind::NotFound,
            format!(
                "there is no {what}; if it was transferred, the token has no access to where it went"
            ),
        ),
        status if status.is_success() => gap(
            GapKind::NotReady,
            format!("GitHub's REST API shows {what}, and its GraphQL API does not"),
        ),
        status if status.is_redirection() => {
            match headers.get(LOCATION).and_then(|to| to.to_str().ok()) {
                Some(to) => gap(
                    GapKind::IdentityChanged,
                    format!(
                        "{what} was transferred: GitHub points to {}",
                        words::short(to)
                    ),
                ),
                None => gap(
                    GapKind::Malformed,
                    format!("{what}: {said} and no place to go"),
                ),
            }
        }
        StatusCode::FORBIDDEN | StatusCode::UNAVAILABLE_FOR_LEGAL_REASONS => {
            gap(GapKind::Denied, format!("{what}: {said}"))
        }
        _ => gap(GapKind::Malformed, format!("{what}: {said}")),
    };
    Learned::Answered((fact, Meter::from_headers(headers, limits::CORE, at)))
}
