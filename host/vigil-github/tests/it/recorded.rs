//! What the number in a record is worth: it names a candidate, and the branch decides about the rest.

use vigil_core::forge::PullRequestState;
use vigil_core::session::PullRequestRef;
use vigil_github::{Answer, Ask};
use vigil_model::Model;

use crate::support::*;

const BRANCH: &str = "vigilante/issue-299";

/// A session on an issue of acme/app, whose record names `number` and, where `branch`, [`BRANCH`].
fn recorded(number: u64, branch: bool) -> Ask {
    let mut ask = by_branch("acme/app", 299, BRANCH, LEAN);
    let repo = "acme/app".to_owned();
    let leads = match branch {
        true => PullRequestRef {
            number: Some(number),
            ..PullRequestRef::by_branch(repo, BRANCH.to_owned(), "acme".to_owned())
        },
        false => PullRequestRef::by_number(repo, number),
    };
    ask.lookup.pull_request = Ok(Some(leads));
    ask
}

/// What is said of it, and of those that were passed over, and how many requests it took.
async fn told(ask_for: Ask, change: impl FnOnce(&mut Model)) -> (String, Vec<String>, u32) {
    let mut model = seed();
    change(&mut model);
    let server = serve(model);
    let reply = ask(&client(&server), &[ask_for]).await;
    let Answer {
        pull_request,
        passed_over,
        ..
    } = &reply.answers[0];
    let said = match pull_request.found() {
        Some(pr) => format!("#{} {:?}", pr.number, pr.state),
        None => kind(pull_request).to_owned(),
    };
    let passed_over = passed_over
        .iter()
        .map(|other| format!("#{}, {}", other.number, other.why));
    (said, passed_over.collect(), reply.usage.requests)
}

#[tokio::test]
async fn a_number_that_names_nothing_leaves_it_to_the_branch() {
    let nothing = "which names no pull request";
    // No such number, an issue's, and two that GitHub never gives.
    for number in [318, 299, 0, 1 << 40] {
        let (said, passed_over, _) = told(recorded(number, true), |_| {}).await;
        assert_eq!(said, "#319 Merged", "{number}");
        let expected = format!("#{number}, the record's number, {nothing}");
        assert_eq!(passed_over, [expected], "{number}");
        // Nothing else leads to it.
        let (said, _, _) = told(recorded(number, false), |_| {}).await;
        let unknown = match number {
            318 | 299 => "not-found",
            _ => "unrecorded",
        };
        assert_eq!(said, unknown, "{number}");
    }
    for (what, change, expected) in [
        (
            "open",
            (|model| {
                model.repo("acme/app").pull(400).head(BRANCH);
            }) as fn(&mut Model),
            "#400 Open",
        ),
        (
            "of another branch",
            |model| {
                model.repo("acme/app").pull(319).head("else");
            },
            "absent",
        ),
        (
            "out of sight",
            |model| {
                model.repo("acme/app").private();
            },
            "not-found",
        ),
    ] {
        let (said, passed_over, _) = told(recorded(318, true), change).await;
        assert_eq!(said, expected, "{what}");
        let is_said = passed_over.iter().any(|other| other.contains(nothing));
        assert_eq!(is_said, expected != "not-found", "{what}: {passed_over:?}");
    }
}

#[tokio::test]
async fn what_speaks_does_not_hang_on_what_was_read() {
    let other = |model: &mut Model| {
        model.repo("acme/app").pull(400).head(BRANCH);
    };
    // The recorded one was merged, and the branch has an open one since.
    let (said, passed_over, requests) = told(recorded(319, true), other).await;
    assert_eq!(said, format!("#400 {:?}", PullRequestState::Open));
    assert_eq!(passed_over, ["#319, merged before"]);
    assert_eq!(requests, 2);
    // Without it, the list costs one request more; while the recorded one is open, none.
    let (said, _, requests) = told(recorded(319, true), |_| {}).await;
    assert_eq!((said.as_str(), requests), ("#319 Merged", 2));
    let (said, _, requests) = told(recorded(400, true), other).await;
    assert_eq!((said.as_str(), requests), ("#400 Open", 1));
}
