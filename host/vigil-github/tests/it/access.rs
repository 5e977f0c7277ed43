//! What an account may read, as `doctor` is told it.

use std::time::Duration;

use vigil_core::{Fact, GapKind};
use vigil_github::{Access, Account, Sample, Trouble};
use vigil_model::{Fault, Forbidden, Permission, Scope, TokenKind};

use crate::support::*;

fn sample(repo: &str, pull_request: Option<u64>, branch: Option<&str>) -> Sample {
    Sample {
        repo: repo.to_owned(),
        issue: Some(299),
        pull_request,
        branch: branch.map(str::to_owned),
    }
}

async fn access(server: &vigil_model::Handle, samples: &[Sample]) -> Result<Vec<Access>, Trouble> {
    let points = || server.with(|model| model.tally().points);
    let before = points();
    let looked = client(server)
        .github
        .access(&Account::usual(), samples, NOW, Duration::from_secs(60))
        .await?;
    // What it took is told, whatever was found.
    assert_eq!(looked.points, points() - before);
    Ok(looked.repositories)
}

fn missing(access: &Access) -> Vec<&'static str> {
    access.missing.keys().copied().collect()
}

#[tokio::test]
async fn everything_can_be_read_by_a_token_that_may() {
    let server = serve(seed());
    for (pull_request, branch) in [(Some(319), None), (None, Some("vigilante/issue-299"))] {
        let all = access(&server, &[sample("acme/app", pull_request, branch)])
            .await
            .expect("answers");
        assert_eq!(all[0].readable, Fact::Found(()));
        assert_eq!(missing(&all[0]), Vec::<&str>::new(), "{all:?}");
        for name in [
            "issue",
            "assignees",
            "pull-request",
            "reviews",
            "closing-references",
        ] {
            assert!(all[0].read.contains(&name), "{name}: {all:?}");
        }
    }
}

#[tokio::test]
async fn each_permission_that_is_missing_is_named_by_its_facts() {
    for (kind, permission, fact) in [
        (TokenKind::FineGrained, Permission::IssuesRead, "issue"),
        (
            TokenKind::FineGrained,
            Permission::PullsRead,
            "pull-request",
        ),
        (TokenKind::Installation, Permission::ChecksRead, "checks"),
        (
            TokenKind::FineGrained,
            Permission::MergeQueuesRead,
            "merge-queue",
        ),
    ] {
        let mut model = seed();
        model.token(TOKEN).kind(kind).without(permission);
        // One with checks, in the queue: only there is something to refuse.
        model
            .repo("acme/app")
            .pull(320)
            .head("vigilante/issue-300")
            .check("build", Some("SUCCESS"))
            .queued(1, "QUEUED");
        let server = serve(model);
        let all = access(&server, &[sample("acme/app", Some(320), None)])
            .await
            .expect("answers");
        assert_eq!(all[0].readable, Fact::Found(()));
        assert!(missing(&all[0]).contains(&fact), "{permission:?}: {all:?}");
        assert_eq!(all[0].missing[fact].kind, GapKind::Denied);
        assert!(!all[0].read.contains(&fact), "{permission:?}");
        assert!(!vigil_github::check::permissions_for(fact).is_empty());
    }
}

#[tokio::test]
async fn a_repository_that_cannot_be_seen_spoils_no_other() {
    let mut model = seed();
    model.repo("acme/secret").private().issue(299);
    let server = serve(model);
    let samples = [
        sample("acme/secret", None, None),
        sample("acme/app", Some(319), None),
        sample("acme/none", None, None),
        sample("nonsense", None, None),
    ];
    let all = access(&server, &samples).await.expect("answers");
    let readable: Vec<&str> = all.iter().map(|one| kind(&one.readable)).collect();
    assert_eq!(readable, ["not-found", "found", "not-found", "unrecorded"]);
    assert_eq!(all[0].repo, "acme/secret");
    // A fleet's worth: a few queries, and each repository in its place.
    let many: Vec<Sample> = (0..60)
        .map(|n| match n {
            42 => sample("acme/app", Some(319), None),
            _ => sample(&format!("acme/none-{n}"), None, None),
        })
        .collect();
    server.with(|model| model.reset_tally());
    let all = access(&server, &many).await.expect("answers");
    assert_eq!(all.len(), 60);
    assert_eq!(kind(&all[42].readable), "found");
    assert_eq!(server.with(|model| model.tally().graphql), 3);
}

#[tokio::test]
async fn every_trouble_has_its_name() {
    for (fault, code) in [
        (Fault::BadCredentials, "token-rejected"),
        (Fault::Forbidden(Forbidden::Permission), "refused"),
        (Fault::Forbidden(Forbidden::Secondary(None)), "rate-limited"),
        (
            Fault::RateLimited {
                headers: true,
                older_name: false,
            },
            "rate-limited",
        ),
        (Fault::Html(503), "unanswered"),
        (Fault::CutJson, "unanswered"),
        (Fault::Reset, "unanswered"),
    ] {
        let server = serve(seed());
        server.with(|model| model.fail(Scope::Any, fault.clone()));
        let all = access(&server, &[sample("acme/app", Some(319), None)]).await;
        assert_eq!(all.expect_err(code).code(), code, "{fault:?}");
    }
}
