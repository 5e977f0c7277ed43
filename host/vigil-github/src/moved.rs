//! What a repository is called that was renamed or transferred.
//!
//! GitHub redirects from its former name to its number, as it documents for its REST API, and tells name and node id of
//! a number with "Get a repository". GraphQL is asked without following renames: who takes a former name would be
//! followed as well.

use std::fmt;

use http::StatusCode;
use serde::{Deserialize, Serialize};
use vigil_core::{Gap, GapKind};

use crate::convert::{malformed, read};
use crate::envelope::{self, Learned, Received, Words};
use crate::limits::{self, Meter};
use crate::question::Repo;

/// Where a repository is that was renamed or transferred.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Called {
    /// `owner/name` by now.
    pub name: String,
    /// Its node id, which it keeps whatever it is called.
    pub id: String,
}

/// That the repository `from` is called `to`, with what to do about it, for people.
pub fn told(from: impl fmt::Display, to: impl fmt::Display) -> String {
    format!(
        "{from} was renamed or transferred: it is now called {to}; give it that name in its owner's records and in the \
         clone's remote"
    )
}

/// The number of the repository that a redirection points to; `None`: it points elsewhere. Only the number is taken:
/// whatever host is named, the way goes on below the root that is asked anyway.
pub(crate) fn number(location: &str) -> Option<u64> {
    let path = location.split(['?', '#']).next()?;
    let (_, behind) = path.rsplit_once("/repositories/")?;
    behind.split('/').next()?.parse().ok()
}

/// Path below the root of the REST API.
pub(crate) fn path(number: u64) -> String {
    format!("/repositories/{number}")
}

/// Reads what the repository is called to which `repo` is redirected; a gap says why that is unknown. Pure.
pub(crate) fn learn_name(
    repo: &Repo,
    received: &Received<'_>,
) -> Learned<(Result<Called, Gap>, Meter)> {
    let Words { said, .. } = match envelope::open_rest(received) {
        Ok(words) => words,
        Err(instead) => return instead,
    };
    let gap = |kind, why: &str| {
        let text = format!("{repo} was renamed or transferred, and {why}");
        Err(Gap::new(kind, text))
    };
    let called = match received.status {
        StatusCode::OK => match called(received.body) {
            Ok(called) if called.name.eq_ignore_ascii_case(&repo.to_string()) => {
                Err(malformed(format!(
                    "GitHub redirects {repo}, and calls it {} still",
                    called.name
                )))
            }
            Ok(called) => Ok(called),
            Err(gap) => return Learned::Lost(gap),
        },
        StatusCode::NOT_FOUND | StatusCode::FORBIDDEN => gap(
            GapKind::IdentityChanged,
            "the token has no access to where it is now; give it access, or ask the repository's owner",
        ),
        _ => gap(GapKind::Malformed, &said),
    };
    let meter = Meter::from_headers(received.headers, limits::CORE, received.at);
    Learned::Answered((called, meter))
}

fn called(body: &[u8]) -> Result<Called, Gap> {
    #[derive(Deserialize)]
    struct Raw {
        full_name: String,
        node_id: String,
    }
    let raw: Raw = read(&serde_json::from_slice(body).unwrap_or_default())?;
    // Names go into addresses and questions.
    let name = Repo::parse(&raw.full_name);
    let name = name.map_err(|_| malformed("the repository has no name"))?;
    Ok(Called {
        name: name.to_string(),
        id: raw.node_id,
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use vigil_core::Timestamp;

    use super::*;

    #[test]
    fn only_the_number_of_a_redirection_is_taken() {
        for (location, expected) in [
            (
                "https://api.github.com/repositories/12/issues?state=all&since=x",
                Some(12),
            ),
            ("https://api.github.com/repositories/12", Some(12)),
            (
                "https://elsewhere.test/api/v3/repositories/7/issues/3",
                Some(7),
            ),
            ("https://api.github.com/repos/acme/new/issues", None),
            ("https://api.github.com/repositories/", None),
            ("https://api.github.com/repositories/../user", None),
            ("https://api.github.com/repositories/1%2F2", None),
            ("/?x=/repositories/3", None),
            ("", None),
        ] {
            assert_eq!(number(location), expected, "{location}");
        }
    }

    #[test]
    fn the_name_is_read_or_the_gap_says_why_not() {
        let told = |status: u16, body: &str| {
            let received = Received {
                status: StatusCode::from_u16(status).expect("a status"),
                headers: &HeaderMap::new(),
                body: body.as_bytes(),
                at: Timestamp(1_795_154_400_000),
            };
            match learn_name(&Repo::parse("acme/app").expect("a name"), &received) {
                Learned::Answered((Ok(called), _)) => format!("{} {}", called.name, called.id),
                Learned::Answered((Err(gap), _)) => gap.to_string(),
                Learned::Lost(gap) => format!("lost {}", gap.kind),
                other => format!("{other:?}"),
            }
        };
        let body = r#"{"full_name": "umbrella/app", "node_id": "R_1", "id": 12}"#;
        assert_eq!(told(200, body), "umbrella/app R_1");
        let itself = r#"{"full_name": "Acme/app", "node_id": "R_1", "id": 12}"#;
        assert!(told(200, itself).contains("calls it Acme/app still"));
        assert_eq!(told(200, "{}"), "lost malformed");
        assert_eq!(told(200, "<html>"), "lost malformed");
        assert_eq!(
            told(200, r#"{"full_name": "user", "node_id": "R_1"}"#),
            "lost malformed"
        );
        assert!(told(404, "{}").starts_with("identity-changed: acme/app was renamed"));
        assert!(told(301, "{}").starts_with("malformed: acme/app was renamed"));
        assert_eq!(told(401, "{}"), "TokenRejected");
        assert_eq!(told(502, ""), "lost unreachable");
    }
}
