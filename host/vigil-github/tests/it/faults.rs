//! GitHub's bad days, over real sockets: nothing is learned that was not said, and everything once the fault ends.

use std::time::Duration;

use vigil_core::GapKind;
use vigil_github::{Ask, Trouble};
use vigil_model::{ErrorType, Fault, FieldFault, Forbidden, Handle, Scope};

use crate::support::*;

/// 60 sessions in three queries.
fn two_batches() -> (Handle, Vec<Ask>) {
    let (model, asks) = fleet(60, 3);
    (serve(model), asks)
}

/// Asks while `fault` lasts, then again after it.
async fn during_and_after(fault: Fault) -> Reply {
    let (server, asks) = two_batches();
    server.with(|model| model.fail(Scope::Any, fault.clone()));
    let github = client(&server);
    let during = ask(&github, &asks).await;
    assert!(!kinds(&during).contains(&"absent"), "{fault:?}");
    assert_eq!(
        u64::from(during.usage.requests),
        server.with(|model| model.tally().requests),
        "{fault:?}"
    );
    server.with(|model| model.heal());
    let after = ask(&github, &asks).await;
    assert_eq!(kinds(&after), ["found"], "{fault:?}");
    assert!(after.trouble.is_none());
    during
}

fn unanswered(reply: &Reply) -> &GapKind {
    match &reply.trouble {
        Some(Trouble::Unanswered { gap }) => &gap.kind,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_github_that_is_down_is_not_hammered() {
    for status in [502, 504] {
        let reply = during_and_after(Fault::Html(status)).await;
        assert_eq!(kinds(&reply), ["unreachable"]);
        assert_eq!(*unanswered(&reply), GapKind::Unreachable);
        // Halves are tried, but where none of them is answered either, it is GitHub that is down.
        assert_eq!(reply.usage.requests, 3, "{status}");
    }
    for status in [500, 503] {
        let reply = during_and_after(Fault::Html(status)).await;
        assert_eq!(kinds(&reply), ["unreachable"]);
        assert_eq!(*unanswered(&reply), GapKind::Unreachable);
        // One for each batch: smaller ones would fare no better.
        assert_eq!(reply.usage.requests, 3, "{status}");
    }
}

#[tokio::test]
async fn a_broken_connection_is_tried_once_more() {
    for fault in [Fault::Reset, Fault::CutBody] {
        let reply = during_and_after(fault.clone()).await;
        assert_eq!(kinds(&reply), ["unreachable"], "{fault:?}");
        assert_eq!(*unanswered(&reply), GapKind::Unreachable);
        assert_eq!(reply.usage.requests, 2, "{fault:?}");

        let (server, asks) = two_batches();
        server.with(|model| model.fail_next(1, fault.clone()));
        let reply = ask(&client(&server), &asks).await;
        assert_eq!(kinds(&reply), ["found"], "{fault:?}");
        assert_eq!(reply.usage.requests, 3, "{fault:?}");
    }
}

#[tokio::test]
async fn a_cut_off_answer_is_malformed() {
    let reply = during_and_after(Fault::CutJson).await;
    assert_eq!(kinds(&reply), ["malformed"]);
    assert_eq!(*unanswered(&reply), GapKind::Malformed);
    assert_eq!(reply.usage.requests, 3);
}

#[tokio::test]
async fn one_bad_answer_costs_only_its_own_sessions() {
    let (server, asks) = two_batches();
    server.with(|model| model.fail_next(1, Fault::CutJson));
    let reply = ask(&client(&server), &asks).await;
    assert_eq!(kinds(&reply), ["found", "malformed"]);
    let lost = reply
        .answers
        .iter()
        .filter(|answer| kind(&answer.issue) == "malformed")
        .count();
    assert_eq!(lost, 25);
    // Most was answered, so there is nothing to alert anybody about.
    assert!(reply.trouble.is_none());
}

#[tokio::test]
async fn a_refusal_stops_the_call() {
    for forbidden in [
        Forbidden::Permission,
        Forbidden::Saml,
        Forbidden::IpAllowList,
    ] {
        let reply = during_and_after(Fault::Forbidden(forbidden)).await;
        assert_eq!(kinds(&reply), ["denied"], "{forbidden:?}");
        assert!(matches!(reply.trouble, Some(Trouble::Refused { .. })));
        assert_eq!(reply.usage.requests, 1);
        assert_eq!(reply.limited_until, None);
    }
}

#[tokio::test]
async fn what_is_too_much_is_taken_apart_until_it_fits() {
    for fits in [6, 10, 20] {
        let (server, asks) = two_batches();
        server.with(|model| {
            model.fail(Scope::GraphQl, Fault::ResourceLimits { answered: fits });
        });
        let reply = ask(&client(&server), &asks).await;
        assert_eq!(kinds(&reply), ["found"], "{fits}");
    }
}

#[tokio::test]
async fn taking_apart_has_an_end() {
    for fits in [0, 1, 2] {
        let (server, asks) = two_batches();
        server.with(|model| {
            model.fail(Scope::GraphQl, Fault::ResourceLimits { answered: fits });
        });
        let reply = ask(&client(&server), &asks).await;
        assert!(kinds(&reply).contains(&"too-large"), "{fits}");
        assert!(!kinds(&reply).contains(&"absent"), "{fits}");
        // 16, 8 for each of the three that were planned, and the questions themselves, ten at a time.
        assert!(
            reply.usage.requests <= 16 + 24 + 12,
            "{fits}: {}",
            reply.usage.requests
        );
    }
}

#[tokio::test]
async fn a_gateway_that_gives_up_once_costs_one_halving() {
    let (server, asks) = two_batches();
    server.with(|model| model.fail_next(1, Fault::Html(502)));
    let reply = ask(&client(&server), &asks).await;
    assert_eq!(kinds(&reply), ["found"]);
    // 25 sessions that fail, their halves, and the other 35 in queries of at most 12.
    assert_eq!(reply.usage.requests, 1 + 2 + 3);
}

#[tokio::test]
async fn the_one_that_github_cannot_answer_is_the_only_gap() {
    let (server, asks) = two_batches();
    let field = FieldFault {
        field: "issueOrPullRequest".to_owned(),
        repo: None,
        number: Some(7),
        error: ErrorType::ResourceLimitsExceeded,
    };
    server.with(|model| model.fail(Scope::GraphQl, Fault::Field(field)));
    let reply = ask(&client(&server), &asks).await;
    for (answer, ask) in reply.answers.iter().zip(&asks) {
        let number = ask.lookup.issue().expect("an issue").number;
        let expected = if number == 7 { "too-large" } else { "found" };
        assert_eq!(kind(&answer.issue), expected, "{number}");
        assert_eq!(kind(&answer.pull_request), "found", "{number}");
    }
}

#[tokio::test]
async fn a_field_that_fails_is_a_gap_of_its_kind() {
    for (error, expected) in [
        (ErrorType::Forbidden, "denied"),
        (ErrorType::ServiceUnavailable, "unreachable"),
        (ErrorType::Internal, "unreachable"),
        (ErrorType::NotFound, "not-found"),
    ] {
        let (server, asks) = two_batches();
        let field = FieldFault {
            field: "repository".to_owned(),
            repo: Some("acme/app-1".to_owned()),
            number: None,
            error,
        };
        server.with(|model| model.fail(Scope::GraphQl, Fault::Field(field)));
        let reply = ask(&client(&server), &asks).await;
        for (answer, ask) in reply.answers.iter().zip(&asks) {
            let hit = ask.lookup.issue().expect("an issue").repo == "acme/app-1";
            let expected = if hit { expected } else { "found" };
            assert_eq!(kind(&answer.issue), expected, "{error:?}");
            assert_eq!(kind(&answer.pull_request), expected, "{error:?}");
        }
    }
}

#[tokio::test]
async fn an_alias_that_fails_leaves_the_others_alone() {
    for (field, error, expected) in [
        ("issueOrPullRequest", ErrorType::Forbidden, "denied"),
        // REST shows it.
        ("issueOrPullRequest", ErrorType::NotFound, "not-ready"),
        ("issueOrPullRequest", ErrorType::Internal, "unreachable"),
        ("pullRequest", ErrorType::Forbidden, "denied"),
        ("pullRequest", ErrorType::NotFound, "not-found"),
    ] {
        let mut model = seed();
        model.repo("acme/app").issue(300).pull(320).head("b");
        let server = serve(model);
        let number = if field == "pullRequest" { 319 } else { 299 };
        let fault = FieldFault {
            field: field.to_owned(),
            repo: None,
            number: Some(number),
            error,
        };
        server.with(|model| model.fail(Scope::GraphQl, Fault::Field(fault)));
        let asks = [
            by_number("acme/app", 299, 319, LEAN),
            by_number("acme/app", 300, 320, LEAN),
        ];
        let reply = ask(&client(&server), &asks).await;
        let hit = &reply.answers[0];
        let kinds = (kind(&hit.issue), kind(&hit.pull_request));
        let expected = if field == "pullRequest" {
            ("found", expected)
        } else {
            (expected, "found")
        };
        assert_eq!(kinds, expected, "{field} {error:?}");
        assert_eq!(kind(&reply.answers[1].issue), "found");
        assert_eq!(kind(&reply.answers[1].pull_request), "found");
    }
}

#[tokio::test]
async fn a_hang_ends_with_the_time_that_was_given() {
    let (server, asks) = two_batches();
    server.with(|model| model.fail(Scope::Any, Fault::Hang));
    let github = client(&server);
    let reply = github.ask(&asks, NOW, Duration::from_millis(50)).await;
    assert_eq!(kinds(&reply), ["timed-out"]);
    assert_eq!(*unanswered(&reply), GapKind::TimedOut);
    assert_eq!(reply.usage.requests, 1);
    server.with(|model| model.heal());
    assert_eq!(kinds(&ask(&github, &asks).await), ["found"]);
}

#[tokio::test]
async fn no_time_at_all_sends_nothing() {
    let (server, asks) = two_batches();
    let reply = client(&server).ask(&asks, NOW, Duration::ZERO).await;
    assert_eq!(kinds(&reply), ["timed-out"]);
    assert_eq!(reply.usage.requests, 0);
    assert_eq!(server.with(|model| model.tally().requests), 0);
}

#[tokio::test]
async fn a_query_that_hangs_is_tried_with_fewer() {
    let (server, asks) = two_batches();
    server.with(|model| model.fail_next(1, Fault::Hang));
    let mut short = settings(&server.rest_url(), tokens(TOKEN));
    // Long enough for an answer on a busy machine; only the hanging one takes all of it.
    short.request_timeout = Duration::from_secs(2);
    let github = Client::new(short);
    let reply = ask(&github, &asks).await;
    assert_eq!(kinds(&reply), ["found"]);
    assert!(reply.usage.requests >= 6, "{}", reply.usage.requests);
}

#[tokio::test]
async fn a_github_that_is_not_there_is_unreachable() {
    let (server, asks) = two_batches();
    let url = server.rest_url();
    // Still bound to the port when TLS is tried on it.
    let tls = url.replace("http://", "https://");
    let cases = [tls, "http://github.vigil.invalid".to_owned(), url];
    let github = |url: &str| Client::new(settings(url, tokens(TOKEN)));
    for (at, url) in cases.iter().enumerate() {
        let running = (at == 0).then_some(&server);
        if running.is_none() {
            continue;
        }
        let reply = ask(&github(url), &asks).await;
        assert_eq!(kinds(&reply), ["unreachable"], "{url}");
    }
    server.shutdown();
    for url in &cases[1..] {
        let reply = ask(&github(url), &asks).await;
        assert_eq!(kinds(&reply), ["unreachable"], "{url}");
        assert_eq!(*unanswered(&reply), GapKind::Unreachable);
        assert_eq!(reply.usage.requests, 0, "{url}");
        let detail = &reply.answers[0].issue.gap().expect("a gap").detail;
        assert!(detail.starts_with("no connection to "), "{detail}");
    }
}

#[tokio::test]
async fn a_wrong_address_is_said_to_be_one() {
    let (server, asks) = two_batches();
    let mut wrong = settings(&server.rest_url(), tokens(TOKEN));
    wrong.graphql_url = format!("{}/nowhere", server.rest_url());
    let reply = ask(&Client::new(wrong), &asks).await;
    assert_eq!(kinds(&reply), ["unreachable"]);
    assert!(
        matches!(reply.trouble, Some(Trouble::Refused { .. })),
        "{:?}",
        reply.trouble
    );
    assert_eq!(reply.usage.requests, 1);
}
