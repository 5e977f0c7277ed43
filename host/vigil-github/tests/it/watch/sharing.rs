//! Who is told what: sessions that share a pull request, processes that share what is remembered, and policies that want
//! nothing of it.

use vigil_core::Fact;
use vigil_github::Wants;
use vigil_model::Model;

use super::fleet::*;
use crate::support::*;

const REPO: &str = "acme/app";

/// Two sessions on pull request 2 of issue 1, the second by its branch.
async fn shared(wants: Wants) -> Fleet {
    let mut model = Model::new(NOW.0 - 3_600_000);
    model.token(TOKEN);
    let pull = model.repo(REPO).issue(1).pull(2).head("fix").sha("aaaa");
    pull.check("build", Some("SUCCESS"));
    let asks = vec![
        by_number(REPO, 1, 2, wants),
        by_branch(REPO, 1, "fix", wants),
    ];
    let mut fleet = Fleet::new(model, asks);
    fleet.pass().await;
    // Until nothing of the beginning is left to do.
    for _ in 0..3 {
        fleet.after(MINUTE).await;
    }
    fleet
}

fn checks(pass: &Pass, at: usize) -> &str {
    match &pass.pull(at).checks {
        Fact::Found(word) => word,
        other => kind(other),
    }
}

#[tokio::test]
async fn what_one_session_was_judged_with_is_told_to_the_other_in_the_next_pass() {
    for by_another_process in [false, true] {
        let mut fleet = shared(ALL).await;
        // A run that is started again is announced by nothing.
        fleet.change(|model| {
            model.repo(REPO).pull(2).check("build", Some("FAILURE"));
        });
        fleet.wait(MINUTE / 2);
        fleet.confirm(0).await;
        if by_another_process {
            fleet.memory = fleet.stored();
        }
        let pass = fleet.after(MINUTE / 2).await;
        assert_eq!((checks(&pass, 0), checks(&pass, 1)), ("failing", "failing"));
        assert_eq!(
            pass.at,
            [1],
            "the first one has been judged with it: {by_another_process}"
        );
        assert_eq!(pass.usage.requests, 0, "it was read already");
        let pass = fleet.after(MINUTE).await;
        assert_eq!(pass.at, [0_usize; 0], "and now both have");
    }
}

#[tokio::test]
async fn what_no_policy_wants_any_more_is_no_reason_to_look() {
    let mut fleet = shared(ALL).await;
    fleet.wants(0, Wants::NOTHING);
    fleet.wants(1, Wants::NOTHING);
    assert_eq!(fleet.after(MINUTE).await.at, [0, 1]);
    fleet.change(|model| {
        model.repo(REPO).issue(1).label("x");
        model.repo(REPO).pull(2).label("x");
    });
    for _ in 0..5 {
        let pass = fleet.after(MINUTE).await;
        assert_eq!((pass.at.len(), pass.usage.requests), (0, 0));
    }
    // One of them does again: what was announced meanwhile is read.
    fleet.wants(1, ALL);
    let pass = fleet.after(MINUTE).await;
    assert_eq!((pass.at.as_slice(), pass.usage.requests), (&[1][..], 1));
    fleet.all_true(&pass);
}
