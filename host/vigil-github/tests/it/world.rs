//! What is learned from a model GitHub that works.

use vigil_core::forge::PullRequestState;
use vigil_core::session::PullRequestRef;
use vigil_core::{Fact, Timestamp};
use vigil_github::{Ask, Parts, Wants};
use vigil_model::{Permission, TokenKind};

use crate::support::*;

#[tokio::test]
async fn the_seed_scenario_is_learned_with_one_point() {
    let server = serve(seed());
    let reply = ask(
        &client(&server),
        &[by_branch("acme/app", 299, "vigilante/issue-299", ALL)],
    )
    .await;
    let issue = reply.answers[0].issue.found().expect("the issue");
    assert!(!issue.open);
    assert_eq!(issue.labels, ["vigilante:done"]);
    assert_eq!(issue.reason.as_deref(), Some("completed"));
    let pr = reply.answers[0]
        .pull_request
        .found()
        .expect("the pull request");
    assert_eq!((pr.number, pr.state), (319, PullRequestState::Merged));
    assert_eq!(pr.ended(), Some(Timestamp(NOW.0 - 1_800_000)));
    assert_eq!(pr.head_owner.as_deref(), Some("acme"));
    assert_eq!(pr.observed, NOW);
    assert_eq!((reply.usage.requests, reply.usage.points), (1, 1));
    assert_eq!(reply.usage.meter.remaining, Some(4999));
    assert_eq!(reply.usage.meter.limit, Some(5000));
    assert!(reply.trouble.is_none() && reply.limited_until.is_none());
}

#[tokio::test]
async fn a_fleet_costs_no_more_than_was_said_before() {
    let (model, asks) = fleet(110, 7);
    let server = serve(model);
    let said = round(&asks).cost();
    let reply = ask(&client(&server), &asks).await;
    assert_eq!(kinds(&reply), ["found"]);
    for (answer, ask) in reply.answers.iter().zip(&asks) {
        let wanted = ask.lookup.issue().expect("an issue").number;
        assert_eq!(answer.issue.found().expect("an issue").number, wanted);
        let pr = answer.pull_request.found().expect("a pull request");
        assert_eq!(pr.number, wanted + 100_000);
    }
    // A first query of fifty, which quick answers make larger.
    assert_eq!((said.queries, said.points, said.questions), (3, 3, 220));
    assert_eq!((reply.usage.requests, reply.usage.points), (3, 3));
    server.with(|model| {
        assert_eq!((model.tally().requests, model.tally().points), (3, 3));
    });
}

#[tokio::test]
async fn what_nobody_asks_for_is_not_asked_and_nothing_is_sent() {
    let server = serve(seed());
    let asks = [by_number("acme/app", 299, 319, Wants::NOTHING)];
    let reply = ask(&client(&server), &asks).await;
    assert_eq!(kinds(&reply), ["not-asked"]);
    assert_eq!(reply.usage.requests, 0);
    assert_eq!(server.with(|model| model.tally().requests), 0);
}

#[tokio::test]
async fn sessions_on_one_pull_request_each_get_what_they_wanted() {
    let server = serve(seed());
    let asks = [
        by_number("acme/app", 299, 319, LEAN),
        by_number(
            "ACME/App",
            299,
            319,
            Wants {
                parts: Parts::CHECKS,
                ..Wants::NOTHING
            },
        ),
    ];
    let reply = ask(&client(&server), &asks).await;
    assert_eq!(reply.usage.requests, 1);
    assert_eq!(server.with(|model| model.tally().log[0].lookups), 2);
    let parts = |at: usize| {
        let pr = reply.answers[at]
            .pull_request
            .found()
            .expect("the pull request");
        (kind(&pr.mergeability), kind(&pr.review), kind(&pr.checks))
    };
    assert_eq!(parts(0), ("not-asked", "not-asked", "not-asked"));
    assert_eq!(parts(1), ("not-asked", "not-asked", "absent"));
    assert_eq!(kind(&reply.answers[0].issue), "found");
    assert_eq!(kind(&reply.answers[1].issue), "not-asked");
}

/// One session's facts, after `change` to the seed.
async fn look(ask_for: Ask, change: impl FnOnce(&mut vigil_model::Model)) -> (String, String) {
    let mut model = seed();
    change(&mut model);
    let server = serve(model);
    let reply = ask(&client(&server), &[ask_for]).await;
    assert!(reply.trouble.is_none(), "{:?}", reply.trouble);
    let answer = &reply.answers[0];
    (
        kind(&answer.issue).to_owned(),
        kind(&answer.pull_request).to_owned(),
    )
}

#[tokio::test]
async fn what_is_missing_is_told_apart() {
    let by_number = |issue, pr| by_number("acme/app", issue, pr, LEAN);
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    // It never was, or went where nobody sees it. The record says that both should be there, so that is no absence.
    let never = look(by_number(298, 318), |_| {}).await;
    assert_eq!(never, pair("not-found", "not-found"));
    let deleted = look(by_number(300, 319), |model| {
        model.repo("acme/app").issue(300).deleted();
    });
    assert_eq!(deleted.await, pair("absent", "found"));
    // The numbers are of the other kind.
    let swapped = look(by_number(319, 299), |_| {}).await;
    assert_eq!(swapped, pair("identity-changed", "not-found"));
    let off = look(by_number(299, 319), |model| {
        model.repo("acme/app").issues_disabled();
    });
    assert_eq!(off.await, pair("no-control", "found"));
    // The repository itself is out of sight, in two ways that look the same.
    for change in [
        |model: &mut vigil_model::Model| {
            model.repo("acme/app").deleted();
        },
        |model: &mut vigil_model::Model| {
            model.repo("acme/app").private();
        },
    ] {
        let hidden = look(by_number(299, 319), change).await;
        assert_eq!(hidden, pair("not-found", "not-found"));
    }
    // Of one that bears another name REST says so.
    let renamed = look(by_number(299, 319), |model| {
        model.repo("acme/app").renamed("acme/new");
    });
    assert_eq!(renamed.await, pair("identity-changed", "identity-changed"));
    let granted = look(by_number(299, 319), |model| {
        model.repo("acme/app").private();
        model.token(TOKEN).sees("acme/app");
    });
    assert_eq!(granted.await, pair("found", "found"));
}

#[tokio::test]
async fn a_missing_permission_is_denied_and_takes_nothing_else_along() {
    let asked = |wants| by_branch("acme/app", 299, "vigilante/issue-299", wants);
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    let no_pulls = look(asked(LEAN), |model| {
        model.token(TOKEN).without(Permission::PullsRead);
    });
    assert_eq!(no_pulls.await, pair("found", "denied"));
    let no_issues = look(asked(LEAN), |model| {
        model.token(TOKEN).without(Permission::IssuesRead);
    });
    assert_eq!(no_issues.await, pair("denied", "found"));

    let mut model = seed();
    model.repo("acme/app").pull(319).rollup("SUCCESS");
    model
        .token(TOKEN)
        .kind(TokenKind::Installation)
        .without(Permission::ChecksRead);
    let server = serve(model);
    let reply = ask(&client(&server), &[asked(ALL)]).await;
    let pr = reply.answers[0]
        .pull_request
        .found()
        .expect("the pull request");
    assert_eq!(kind(&pr.checks), "denied");
}

#[tokio::test]
async fn the_pull_request_of_a_branch_is_this_sessions() {
    let asked = || by_branch("acme/app", 299, "fix", LEAN);
    let kind_of = |(_, pull_request): (String, String)| pull_request;
    let none = look(asked(), |_| {}).await;
    assert_eq!(kind_of(none), "absent");
    let of_a_fork = look(asked(), |model| {
        model
            .repo("acme/app")
            .pull(1)
            .head("fix")
            .head_owner("mallory");
    });
    assert_eq!(kind_of(of_a_fork.await), "absent");
    let earlier = look(asked(), |model| {
        model
            .repo("acme/app")
            .pull(1)
            .head("fix")
            .created_at(NOW.0 - 7_200_000)
            .merged_at(NOW.0 - 3_700_000);
    });
    assert_eq!(kind_of(earlier.await), "absent");
    let now = look(asked(), |model| {
        model
            .repo("acme/app")
            .pull(1)
            .head("fix")
            .merged_at(NOW.0 - 3_600_000);
    });
    assert_eq!(kind_of(now.await), "found");

    let mut from_fork = asked();
    from_fork.lookup.pull_request = Ok(Some(PullRequestRef::by_branch(
        "acme/app".to_owned(),
        "fix".to_owned(),
        "Robot".to_owned(),
    )));
    let found = look(from_fork.clone(), |model| {
        model
            .repo("acme/app")
            .pull(1)
            .head("fix")
            .head_owner("robot");
    });
    assert_eq!(kind_of(found.await), "found");
    let deleted_fork = look(from_fork, |model| {
        model
            .repo("acme/app")
            .pull(1)
            .head("fix")
            .merged()
            .head_owner_gone();
    });
    assert_eq!(kind_of(deleted_fork.await), "no-control");
}

#[tokio::test]
async fn an_earlier_runs_pull_request_says_so() {
    let mut model = seed();
    model
        .repo("acme/app")
        .pull(1)
        .head("fix")
        .created_at(NOW.0 - 7_200_000)
        .closed_at(NOW.0 - 3_700_000);
    let server = serve(model);
    let reply = ask(&client(&server), &[by_branch("acme/app", 299, "fix", LEAN)]).await;
    match &reply.answers[0].pull_request {
        Fact::Absent(sighting) => assert_eq!(sighting.detail, "earlier-run"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_crowded_branch_name_is_read_to_the_one_that_counts() {
    let mut model = seed();
    // The oldest is ours; 69 from forks came later.
    model
        .repo("acme/app")
        .pull(1000)
        .head("main")
        .created_at(NOW.0 - 3_000_000)
        .merged_at(NOW.0 - 60_000);
    for n in 1001..1070 {
        model
            .repo("acme/app")
            .pull(n)
            .head("main")
            .head_owner("mallory")
            .created_at(NOW.0 - 2_000_000 + n);
    }
    let server = serve(model);
    let github = client(&server);
    let reply = ask(&github, &[by_branch("acme/app", 299, "main", LEAN)]).await;
    assert_eq!(
        reply.answers[0].pull_request.found().expect("ours").number,
        1000
    );
    // 10, 50 and 10 more.
    assert_eq!(reply.usage.requests, 3);

    // An open one of ours on the first page settles it.
    server.with(|model| {
        model
            .repo("acme/app")
            .pull(2000)
            .head("main")
            .created_at(NOW.0);
    });
    let reply = ask(&github, &[by_branch("acme/app", 299, "main", LEAN)]).await;
    assert_eq!(
        reply.answers[0].pull_request.found().expect("ours").number,
        2000
    );
    assert_eq!(reply.usage.requests, 1);
}

#[tokio::test]
async fn a_branch_name_with_hundreds_of_pull_requests_is_given_up() {
    let mut model = seed();
    for n in 1000..1300 {
        model
            .repo("acme/app")
            .pull(n)
            .head("main")
            .head_owner("mallory");
    }
    let server = serve(model);
    let reply = ask(
        &client(&server),
        &[by_branch("acme/app", 299, "main", LEAN)],
    )
    .await;
    assert_eq!(kind(&reply.answers[0].pull_request), "too-large");
    assert_eq!(kind(&reply.answers[0].issue), "found");
    assert_eq!(reply.usage.requests, 6);
}

#[tokio::test]
async fn odd_names_are_only_names() {
    let server = serve(seed());
    let odd = [
        "a\"b\\c\n{x}",
        "$owner0",
        "\u{1f980}/\u{202e}x",
        "' OR 1=1 --",
        "\0",
    ];
    let mut asks: Vec<_> = odd
        .iter()
        .map(|branch| by_branch("acme/app", 299, branch, LEAN))
        .collect();
    asks.extend(
        odd.iter()
            .filter(|name| !name.contains('/'))
            .map(|name| by_branch(&format!("acme/{name}"), 299, "b", LEAN)),
    );
    asks.push(by_branch("acme/app", 299, "vigilante/issue-299", LEAN));
    let reply = ask(&client(&server), &asks).await;
    assert!(reply.trouble.is_none());
    for answer in &reply.answers[..odd.len()] {
        assert_eq!(
            (kind(&answer.issue), kind(&answer.pull_request)),
            ("found", "absent")
        );
    }
    for answer in &reply.answers[odd.len()..asks.len() - 1] {
        assert_eq!(
            (kind(&answer.issue), kind(&answer.pull_request)),
            ("not-found", "not-found")
        );
    }
    let last = &reply.answers[asks.len() - 1];
    assert_eq!(
        (kind(&last.issue), kind(&last.pull_request)),
        ("found", "found")
    );
}

#[tokio::test]
async fn a_lookup_that_cannot_be_made_keeps_its_own_gap() {
    let server = serve(seed());
    let mut unaskable = by_branch("acme/app", 299, "", LEAN);
    unaskable.lookup.issue = Err(vigil_core::Gap::new(
        vigil_core::GapKind::Unsupported,
        "linear",
    ));
    let reply = ask(&client(&server), &[unaskable]).await;
    assert_eq!(kind(&reply.answers[0].issue), "unsupported");
    assert_eq!(kind(&reply.answers[0].pull_request), "unrecorded");
    assert_eq!(reply.usage.requests, 0);
}

#[tokio::test]
async fn mergeability_that_github_still_works_out_is_unknown() {
    let mut model = seed();
    model
        .repo("acme/app")
        .pull(320)
        .head("fix")
        .mergeability_pending(1)
        .review(Some("REVIEW_REQUIRED"))
        .rollup("FAILURE");
    let server = serve(model);
    let github = client(&server);
    let asks = [by_number("acme/app", 299, 320, ALL)];
    let reply = ask(&github, &asks).await;
    let pr = reply.answers[0]
        .pull_request
        .found()
        .expect("the pull request");
    assert_eq!(kind(&pr.mergeability), "not-ready");
    assert_eq!(pr.review, Fact::Found("review-required".to_owned()));
    assert_eq!(pr.checks, Fact::Found("failing".to_owned()));
    let reply = ask(&github, &asks).await;
    let pr = reply.answers[0]
        .pull_request
        .found()
        .expect("the pull request");
    assert!(pr.mergeability.found().expect("worked out").mergeable);
}

#[tokio::test]
async fn a_number_that_is_too_large_is_no_absence() {
    for number in [1 << 32, 5_000_000_000, 1 << 62] {
        let ask = by_branch("acme/app", 299, "fix", LEAN);
        let (_, pull_request) = look(ask, |model| {
            model.repo("acme/app").pull(number).head("fix");
        })
        .await;
        assert_eq!(pull_request, "malformed", "{number}");
    }
}
