//! What the tests share: asks, answers as GitHub writes them, and a server that says what it is told to.

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use vigil_core::Timestamp;
use vigil_core::session::{IssueRef, Lookup, PullRequestRef};
use vigil_github::{Ask, Wants};

/// 2026-11-20T06:00:00Z.
pub(crate) const NOW: Timestamp = Timestamp(1_795_154_400_000);

/// Everything.
pub(crate) const ALL: Wants = Wants {
    issue: true,
    pull_request: true,
    mergeability: true,
    reviews: true,
    checks: true,
};

/// The issue and the bare pull request.
pub(crate) const LEAN: Wants = Wants {
    issue: true,
    pull_request: true,
    mergeability: false,
    reviews: false,
    checks: false,
};

/// A session on an issue, with the number of its pull request.
pub(crate) fn by_number(repo: &str, issue: u64, pr: u64, wants: Wants) -> Ask {
    Ask {
        lookup: Lookup {
            issue: Ok(IssueRef {
                repo: repo.to_owned(),
                number: issue,
            }),
            pull_request: Ok(PullRequestRef::Number {
                repo: repo.to_owned(),
                number: pr,
            }),
        },
        wants,
        started: Some(NOW),
    }
}

/// A session on an issue, with its branch in the repository itself.
pub(crate) fn by_branch(repo: &str, issue: u64, branch: &str, wants: Wants) -> Ask {
    let (owner, _) = repo.split_once('/').expect("owner/name");
    Ask {
        lookup: Lookup {
            issue: Ok(IssueRef {
                repo: repo.to_owned(),
                number: issue,
            }),
            pull_request: Ok(PullRequestRef::Branch {
                repo: repo.to_owned(),
                branch: branch.to_owned(),
                head_owner: owner.to_owned(),
            }),
        },
        wants,
        started: Some(Timestamp(NOW.0 - 3_600_000)),
    }
}

/// An issue as GitHub answers it.
pub(crate) fn issue(repo: &str, number: u64, open: bool) -> Value {
    json!({
        "__typename": "Issue",
        "number": number,
        "repository": { "nameWithOwner": repo },
        "issueState": if open { "OPEN" } else { "CLOSED" },
        "stateReason": if open { Value::Null } else { "COMPLETED".into() },
        "closedAt": if open { Value::Null } else { "2026-11-20T05:30:00Z".into() },
        "labels": { "pageInfo": { "hasNextPage": false }, "nodes": [{ "name": "bug" }, { "name": "vigilante:done" }] },
    })
}

/// A pull request as GitHub answers it, with all parts.
pub(crate) fn pull_request(number: u64, state: &str, owner: Option<&str>) -> Value {
    let ended = |of: &[&str]| match of.contains(&state) {
        true => Value::from("2026-11-20T05:40:00Z"),
        false => Value::Null,
    };
    json!({
        "number": number,
        "prState": state,
        "isDraft": false,
        "createdAt": "2026-11-20T05:20:00Z",
        "mergedAt": ended(&["MERGED"]),
        "closedAt": ended(&["MERGED", "CLOSED"]),
        "url": format!("https://github.com/acme/app/pull/{number}"),
        "headRefName": "vigilante/issue-299",
        "baseRefName": "main",
        "headRefOid": "8c3a5b0f3f5d1f6e2b7c9d0e1f2a3b4c5d6e7f80",
        "headRepositoryOwner": owner.map(|login| json!({ "login": login })),
        "mergeable": "MERGEABLE",
        "mergeStateStatus": "CLEAN",
        "reviewDecision": "APPROVED",
        "statusCheckRollup": { "state": "SUCCESS" },
    })
}

/// A repository with what was asked of it.
pub(crate) fn repository(name: &str, items: Value) -> Value {
    let mut repository = json!({ "nameWithOwner": name, "hasIssuesEnabled": true });
    if let (Some(into), Value::Object(items)) = (repository.as_object_mut(), items) {
        into.extend(items);
    }
    repository
}

/// The pot.
pub(crate) fn rate_limit() -> Value {
    json!({ "limit": 5000, "cost": 1, "remaining": 4999, "resetAt": "2026-11-20T07:00:00Z" })
}

/// Headers by name and value.
pub(crate) fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| {
            (
                name.parse::<HeaderName>().expect("a header's name"),
                HeaderValue::from_str(value).expect("a header's value"),
            )
        })
        .collect()
}
