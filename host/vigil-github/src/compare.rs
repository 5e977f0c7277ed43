//! How two commits lie to each other, by REST's "Compare two commits": whether a merge has reached a branch, and whether
//! a commit of a checkout is a part of a pull request whose head the clone does not have.
//!
//! GitHub answers 404 where it lacks one of the two, and where whoever asks may not see them. "Get a commit" tells these
//! apart: 422 where the repository can be read and has no such commit.

use http::StatusCode;
use serde::{Deserialize, Serialize};
use vigil_core::{Fact, Gap, GapKind, Timestamp};

use crate::ask::Between;
use crate::convert::malformed;
use crate::envelope::{self, Learned, Received};
use crate::limits::{self, Meter};
use crate::probe::segment;
use crate::question::Repo;
use crate::words;

/// Two commits to be compared.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Comparison {
    /// The repository.
    pub repo: Repo,
    /// The commits.
    pub between: Between,
}

/// How they lie to each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Compared {
    /// Commits of the head that the base does not have; zero: the head is a part of the base.
    pub ahead: u32,
    /// Commits of the base that the head does not have.
    pub behind: u32,
    /// The newest commit that both have.
    pub merge_base: String,
}

/// What is asked next about a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The comparison itself.
    Compare,
    /// Whether GitHub has the head at all.
    Control,
}

/// What an answer comes to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// Found: how they lie to each other. Absent: the repository can be read, and has no such commit as the head.
    Fact(Fact<Compared>),
    /// One of the two is not to be had; the control tells which.
    AskControl,
}

impl Comparison {
    /// Path and query below the root of the REST API.
    pub(crate) fn path(&self, step: Step) -> String {
        let (owner, name) = (segment(self.repo.owner()), segment(self.repo.name()));
        let Between { base, head } = &self.between;
        let (base, head) = (segment(base), segment(head));
        match step {
            // The commits themselves are of no interest.
            Step::Compare => format!("/repos/{owner}/{name}/compare/{base}...{head}?per_page=1"),
            Step::Control => format!("/repos/{owner}/{name}/commits/{head}"),
        }
    }

    /// Reads the answer to `step`. Facts bear the time `observed`. Pure.
    pub(crate) fn learn(
        &self,
        step: Step,
        received: &Received<'_>,
        observed: Timestamp,
    ) -> Learned<(Told, Meter)> {
        let Received {
            status,
            headers,
            body,
            at,
        } = *received;
        let said = match envelope::open_rest(received) {
            Ok(words) => words.said,
            Err(instead) => return instead,
        };
        let gap = |kind, text: String| Told::Fact(Fact::from(Gap::new(kind, text)));
        let Between { base, head } = &self.between;
        let what = format!("commit {head} of {}", self.repo);
        let told = match (status, step) {
            (StatusCode::OK, Step::Compare) => match read(body, &self.between) {
                Ok(compared) => Told::Fact(Fact::Found(compared)),
                Err(gap) => return Learned::Lost(gap),
            },
            (StatusCode::OK, Step::Control) => gap(
                GapKind::NoControl,
                format!("GitHub has {what}, and nothing that it has in common with {base}"),
            ),
            (StatusCode::NOT_FOUND | StatusCode::UNPROCESSABLE_ENTITY, Step::Compare) => {
                Told::AskControl
            }
            (StatusCode::UNPROCESSABLE_ENTITY, Step::Control) => {
                Told::Fact(Fact::absent_at(observed))
            }
            (StatusCode::NOT_FOUND, Step::Control) => gap(
                GapKind::NotFound,
                format!("{what} is not to be seen; may the token read contents?"),
            ),
            (StatusCode::FORBIDDEN | StatusCode::UNAVAILABLE_FOR_LEGAL_REASONS, _) => {
                gap(GapKind::Denied, format!("{what}: {said}"))
            }
            (status, _) if status.is_redirection() => gap(
                GapKind::IdentityChanged,
                format!("{what}: {said}; the repository was renamed"),
            ),
            _ => gap(GapKind::Malformed, format!("{what}: {said}")),
        };
        Learned::Answered((told, Meter::from_headers(headers, limits::CORE, at)))
    }
}

fn read(body: &[u8], between: &Between) -> Result<Compared, Gap> {
    #[derive(Deserialize)]
    struct Raw {
        status: String,
        ahead_by: u32,
        behind_by: u32,
        merge_base_commit: RawCommit,
    }
    #[derive(Deserialize)]
    struct RawCommit {
        sha: String,
    }
    let raw: Raw = serde_json::from_slice(body).map_err(|error| malformed(error.to_string()))?;
    let compared = Compared {
        ahead: raw.ahead_by,
        behind: raw.behind_by,
        merge_base: raw.merge_base_commit.sha,
    };
    // An answer that contradicts itself says nothing.
    let status = match (compared.ahead, compared.behind) {
        (0, 0) => "identical",
        (0, _) => "behind",
        (_, 0) => "ahead",
        (_, _) => "diverged",
    };
    // Whoever is contained in the other is what both have. The base may be a branch, whose commit nobody knows.
    let head_is_apart = compared.ahead == 0 && compared.merge_base != between.head;
    if raw.status != status || head_is_apart {
        return Err(malformed(format!(
            "the comparison contradicts itself: it is {}, {} ahead and {} behind, and both have {}",
            words::short(&raw.status),
            compared.ahead,
            compared.behind,
            words::short(&compared.merge_base)
        )));
    }
    Ok(compared)
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    const NOW: Timestamp = Timestamp(1_795_154_400_000);

    fn comparison() -> Comparison {
        Comparison {
            repo: Repo::parse("acme/app").expect("a name"),
            between: Between {
                base: "release/1".into(),
                head: "abc".into(),
            },
        }
    }

    fn told(step: Step, status: u16, body: &str) -> String {
        let received = Received {
            status: StatusCode::from_u16(status).expect("a status"),
            headers: &HeaderMap::new(),
            body: body.as_bytes(),
            at: NOW,
        };
        match comparison().learn(step, &received, NOW) {
            Learned::Answered((Told::Fact(Fact::Found(known)), _)) => {
                format!(
                    "{} ahead, {} behind, from {}",
                    known.ahead, known.behind, known.merge_base
                )
            }
            Learned::Answered((Told::Fact(Fact::Absent(_)), _)) => "absent".into(),
            Learned::Answered((Told::Fact(Fact::Unknown(gap)), _)) => {
                format!("unknown {}", gap.kind)
            }
            Learned::Answered((Told::AskControl, _)) => "control".into(),
            Learned::TokenRejected => "rejected".into(),
            Learned::Lost(gap) => format!("lost {}", gap.kind),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn a_commit_that_is_nowhere_is_told_from_one_that_may_not_be_seen() {
        let compared = r#"{"status": "diverged", "ahead_by": 2, "behind_by": 1, "merge_base_commit": {"sha": "m"}}"#;
        let contained = r#"{"status": "behind", "ahead_by": 0, "behind_by": 3, "merge_base_commit": {"sha": "abc"}}"#;
        let contradiction = r#"{"status": "diverged", "ahead_by": 0, "behind_by": 3, "merge_base_commit": {"sha": "abc"}}"#;
        let elsewhere = r#"{"status": "behind", "ahead_by": 0, "behind_by": 3, "merge_base_commit": {"sha": "m"}}"#;
        let statusless = r#"{"ahead_by": 0, "behind_by": 3, "merge_base_commit": {"sha": "abc"}}"#;
        let refused = r#"{"message": "Not Found"}"#;
        for (step, status, body, expected) in [
            (Step::Compare, 200, compared, "2 ahead, 1 behind, from m"),
            (Step::Compare, 200, "{}", "lost malformed"),
            (Step::Compare, 200, contained, "0 ahead, 3 behind, from abc"),
            (Step::Compare, 200, contradiction, "lost malformed"),
            (Step::Compare, 200, elsewhere, "lost malformed"),
            (Step::Compare, 200, statusless, "lost malformed"),
            (Step::Compare, 404, refused, "control"),
            (Step::Compare, 422, refused, "control"),
            (Step::Compare, 401, refused, "rejected"),
            (Step::Compare, 403, refused, "unknown denied"),
            (Step::Compare, 502, "", "lost unreachable"),
            (
                Step::Control,
                422,
                r#"{"message": "No commit found for SHA: abc"}"#,
                "absent",
            ),
            (Step::Control, 404, refused, "unknown not-found"),
            (
                Step::Control,
                200,
                r#"{"sha": "abc"}"#,
                "unknown no-control",
            ),
            (Step::Control, 301, refused, "unknown identity-changed"),
        ] {
            assert_eq!(
                told(step, status, body),
                expected,
                "{step:?} {status} {body}"
            );
        }
    }

    #[test]
    fn a_branch_with_a_slash_is_one_segment() {
        assert_eq!(
            comparison().path(Step::Compare),
            "/repos/acme/app/compare/release%2F1...abc?per_page=1"
        );
        assert_eq!(
            comparison().path(Step::Control),
            "/repos/acme/app/commits/abc"
        );
    }
}
