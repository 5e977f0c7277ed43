//! Names that change hands: what is known of one thing is never said of another.

use vigil_core::{Fact, Timestamp};
use vigil_github::memory::{About, IDLE_MAX, SECOND_LOOK, SWEEP_OPEN};
use vigil_github::{Ask, Parts, Repo, Wants};
use vigil_model::{ErrorType, Fault, FieldFault, Model, Scope};

use super::fleet::*;
use crate::support::*;

const REPO: &str = "acme/app";

/// Issue 1 with pull request 2 on branch `fix`, and issue 3: sessions by number, by branch, and one that only looks at
/// an issue.
fn world(model: &mut Model) {
    model
        .new_repo(REPO)
        .issue(1)
        .pull(2)
        .head("fix")
        .issue(3)
        .label("bug");
}

async fn watched() -> Fleet {
    let mut model = Model::new(NOW.0 - 3_600_000);
    model.token(TOKEN);
    world(&mut model);
    let only_issue = Wants {
        issue: true,
        pull_request: false,
        parts: Parts::ASSIGNEES,
    };
    let asks = vec![
        by_number(REPO, 1, 2, ALL),
        by_branch(REPO, 1, "fix", ALL),
        by_number(REPO, 3, 2, only_issue),
    ];
    let mut fleet = Fleet::new(model, asks);
    let pass = fleet.pass().await;
    fleet.all_true(&pass);
    // Something happened here lately.
    fleet.change(|model| {
        model.repo(REPO).issue(3).label("seen");
    });
    let pass = fleet.after(MINUTE).await;
    fleet.all_true(&pass);
    fleet
}

fn minutes(span: std::time::Duration) -> u32 {
    u32::try_from(span.as_secs() / 60).expect("minutes")
}

/// Everything is unknown, of one of these kinds.
fn all_unknown(pass: &Pass, of: &[&str]) {
    for kind in pass.kinds() {
        assert!(
            of.contains(&kind) || kind == "not-asked",
            "{kind}: {pass:?}"
        );
    }
}

#[tokio::test]
async fn a_repository_that_was_renamed_before_anybody_looked_is_called_so() {
    let (mut model, asks) = crate::support::fleet(1, 1);
    let repo = asks[0].repos().next().expect("a repository").to_string();
    model.repo(&repo).renamed("acme/elsewhere");
    let server = serve(model);
    let reply = ask(&client(&server), &asks).await;
    assert_eq!(kinds(&reply), ["identity-changed"]);
    let gap = reply.answers[0].issue.gap().expect("a gap");
    assert!(gap.detail.contains("renamed or transferred"), "{gap}");
    // Who has no access is told no more than that.
    let (mut model, asks) = crate::support::fleet(1, 1);
    model.repo(&repo).deleted();
    let reply = ask(&client(&serve(model)), &asks).await;
    assert_eq!(kinds(&reply), ["not-found"]);
}

#[tokio::test]
async fn what_went_elsewhere_is_unknown_and_nothing_of_it_is_absent() {
    type Change = fn(&mut Model);
    let cases: [(Change, &[&str]); 4] = [
        (
            |model| {
                model.repo(REPO).renamed("acme/other");
            },
            &["identity-changed", "not-found"],
        ),
        (
            |model| {
                model.repo(REPO).transferred("umbrella");
            },
            &["identity-changed", "not-found"],
        ),
        (
            |model| {
                model.repo(REPO).private();
            },
            &["not-found"],
        ),
        (
            |model| {
                model.repo(REPO).deleted();
            },
            &["not-found"],
        ),
    ];
    for (change, kinds) in cases {
        let mut fleet = watched().await;
        fleet.change(change);
        let pass = fleet.after(MINUTE).await;
        all_unknown(&pass, kinds);
        // Nor over restarts, nor for a session that is new.
        fleet.restart();
        for _ in 0..20 {
            let pass = fleet.after(MINUTE).await;
            all_unknown(&pass, kinds);
        }
        // What a person has to change is not asked for all the time.
        let before = fleet.tally().requests;
        for _ in 0..60 {
            fleet.after(MINUTE).await;
        }
        let requests = fleet.tally().requests - before;
        // Five things to look for, each at most every fifteen minutes once the pauses have grown.
        assert!(requests <= 30, "{requests}");
    }
}

#[tokio::test]
async fn what_is_public_again_is_known_again() {
    let mut fleet = watched().await;
    fleet.change(|model| {
        model.repo(REPO).private();
    });
    all_unknown(&fleet.after(MINUTE).await, &["not-found"]);
    fleet.change(|model| {
        model.repo(REPO).pull(2).merged();
    });
    all_unknown(&fleet.after(MINUTE).await, &["not-found"]);
    fleet.change(|model| {
        model.repo(REPO).public();
    });
    let pass = fleet.until_learned().await;
    assert!(pass.pull(0).merged.is_some());
}

#[tokio::test]
async fn another_repository_of_the_same_name_is_told_apart() {
    // What happens in it decides by which way it is noticed.
    type Change = fn(&mut Model);
    let cases: [Change; 3] = [
        |model| {
            model.repo(REPO).issue(1).label("new");
        },
        |model| {
            model.repo(REPO).pull(2).label("new");
        },
        |model| {
            model.repo(REPO).issue(3).closed("completed");
        },
    ];
    for change in cases {
        for noticed_gone in [false, true] {
            let mut fleet = watched().await;
            if noticed_gone {
                fleet.change(|model| {
                    model.repo(REPO).deleted();
                });
                all_unknown(&fleet.after(MINUTE).await, &["not-found"]);
            }
            fleet.wait(MINUTE);
            fleet.change(world);
            fleet.change(change);
            let old = |pass: &Pass| {
                let kinds = pass.kinds();
                kinds
                    .iter()
                    .all(|kind| ["identity-changed", "not-asked"].contains(kind))
            };
            let pass = fleet
                .until(minutes(IDLE_MAX) + minutes(SWEEP_OPEN) + 5, old)
                .await;
            drop(pass);
            fleet.restart();
            assert!(old(&fleet.after(MINUTE).await));

            // A session that begins now means the new one.
            let mut later: Ask = by_number(REPO, 1, 2, ALL);
            later.started = Some(fleet.now());
            fleet.asks.push(later);
            fleet.restart();
            let pass = fleet.after(MINUTE).await;
            assert_eq!(pass.pair(3), ("found", "found"));
            assert_eq!(pass.pair(0), ("identity-changed", "identity-changed"));
        }
    }
}

#[tokio::test]
async fn an_issue_that_goes_is_missed_in_the_list_and_absent_once_it_was_looked_for() {
    let mut fleet = watched().await;
    // It was the newest entry of the list.
    fleet.change(|model| {
        model.repo(REPO).issue(3).deleted();
    });
    let rest = fleet.tally().rest;
    let pass = fleet.after(MINUTE).await;
    let Fact::Absent(sighting) = &pass.answers[2].issue else {
        panic!("{:?}", pass.answers[2]);
    };
    assert_eq!((sighting.first, sighting.last), (fleet.now(), fleet.now()));
    assert_eq!(sighting.detail, "deleted");
    assert_eq!(pass.pair(0), ("found", "found"));
    assert_eq!(fleet.tally().rest - rest, 2, "the list, and where it went");
    // A second look is made soon, while nothing else happens.
    let first = sighting.first;
    let again = |pass: &Pass| match &pass.answers[2].issue {
        Fact::Absent(sighting) => {
            assert_eq!(sighting.first, first);
            sighting.last > Timestamp(first.0 + 600_000)
        }
        other => panic!("{other:?}"),
    };
    fleet.until(minutes(SECOND_LOOK) + 2, again).await;
}

#[tokio::test]
async fn an_issue_that_was_transferred_is_not_gone() {
    type Change = fn(&mut Model);
    // Who does not see the other place is told no more than that there is none.
    let cases: [(Change, &str); 2] = [
        (|_| {}, "identity-changed"),
        (
            |model| {
                model.repo("acme/elsewhere").private();
            },
            "not-found",
        ),
    ];
    for (change, kind) in cases {
        let mut fleet = watched().await;
        fleet.change(|model| {
            model.repo(REPO).issue(3).transferred("acme/elsewhere", 77);
            change(model);
        });
        for at in 0..40 {
            let pass = fleet.after(MINUTE).await;
            assert_eq!(pass.pair(2).0, kind, "after {at} min");
            assert_eq!(pass.pair(0), ("found", "found"));
            if at == 20 {
                fleet.restart();
            }
        }
        // Nobody asks in every pass where it is.
        let before = fleet.tally().graphql;
        for _ in 0..60 {
            fleet.after(MINUTE).await;
        }
        let asked = fleet.tally().graphql - before;
        assert!(asked <= 15, "{asked}");
        let gap = |pass: &Pass| pass.answers[2].issue.gap().expect("a gap").detail.clone();
        let told = gap(&fleet.after(MINUTE).await);
        assert!(told.contains("transferred"), "{told}");
    }
}

#[tokio::test]
async fn nothing_is_absent_before_rest_has_said_where_it_is() {
    let mut fleet = watched().await;
    fleet.change(|model| {
        model.fail(Scope::Rest, Fault::Html(502));
        model.repo(REPO).issue(3).deleted();
    });
    // Its list does not come either, so that only the sweep looks at it.
    let gone = |pass: &Pass| pass.pair(2).0 != "found";
    fleet.until(minutes(SWEEP_OPEN) + 2, gone).await;
    for _ in 0..20 {
        let pass = fleet.after(MINUTE).await;
        assert_eq!(pass.pair(2).0, "unreachable");
    }
    fleet.change(Model::heal);
    let pass = fleet.after(MINUTE).await;
    let Fact::Absent(sighting) = &pass.answers[2].issue else {
        panic!("{:?}", pass.answers[2]);
    };
    assert_eq!(
        sighting.first,
        fleet.now(),
        "what was not learned is no look"
    );

    // An answer of GraphQL alone says nothing.
    let mut fleet = watched().await;
    fleet.change(|model| {
        model.fail(
            Scope::GraphQl,
            Fault::Field(FieldFault {
                field: "issueOrPullRequest".to_owned(),
                repo: None,
                number: Some(3),
                error: ErrorType::NotFound,
            }),
        );
    });
    let now = fleet.now();
    let repo = Repo::parse(REPO).expect("a name");
    fleet.memory.wake(&repo, &About::Repository, now);
    for _ in 0..20 {
        let pass = fleet.after(MINUTE).await;
        assert_eq!(pass.pair(2).0, "not-ready");
    }
    fleet.change(Model::heal);
    fleet.until_learned().await;
}

#[tokio::test]
async fn what_comes_back_is_known_again() {
    // A repository under its old name again; one that goes to another owner and back.
    type Change = fn(&mut Model);
    let cases: [(Change, Change); 3] = [
        (
            |model| {
                model.repo(REPO).renamed("acme/other");
            },
            |model| {
                model.repo("acme/other").renamed(REPO);
            },
        ),
        (
            |model| {
                model.repo(REPO).transferred("umbrella");
            },
            |model| {
                model.repo("umbrella/app").transferred("acme");
            },
        ),
        (
            |model| {
                model.fail(Scope::Any, Fault::RepoHidden(REPO.to_owned()));
            },
            Model::heal,
        ),
    ];
    for (goes, comes) in cases {
        for away in [2, 30] {
            let mut fleet = watched().await;
            fleet.change(goes);
            for _ in 0..away {
                let pass = fleet.after(MINUTE).await;
                all_unknown(&pass, &["identity-changed", "not-found"]);
            }
            fleet.change(comes);
            // It changes meanwhile, too.
            fleet.change(|model| {
                model
                    .repo(REPO)
                    .pull(2)
                    .merged()
                    .issue(3)
                    .closed("completed");
            });
            let pass = fleet.until_learned().await;
            assert!(pass.pull(0).merged.is_some() && !pass.issue(2).open);
        }
    }
}

#[tokio::test]
async fn a_repository_whose_issues_are_switched_off_is_followed_by_its_newest_entries() {
    let mut fleet = watched().await;
    fleet.change(|model| {
        model.repo(REPO).issues_disabled().pull(2).label("x");
    });
    let pass = fleet.after(MINUTE).await;
    assert_eq!(pass.pull(0).number, 2);
    assert!(pass.answers[2].issue.is_unknown() || pass.answers[2].issue.found().is_some());
    // No list is asked for any more, and what did not change is not read again.
    let (rest, lookups) = (fleet.tally().rest, lookups(&fleet));
    for _ in 0..5 {
        fleet.after(MINUTE).await;
    }
    assert_eq!(fleet.tally().rest, rest);
    assert!(self::lookups(&fleet) - lookups <= 30, "{:?}", fleet.tally());
    fleet.change(|model| {
        model.repo(REPO).pull(2).merged();
    });
    let pass = fleet
        .until(minutes(IDLE_MAX) + 1, |pass| pass.pull(0).merged.is_some())
        .await;
    fleet.nothing_false(&pass);
    fleet.change(|model| {
        model.repo(REPO).issues_enabled();
    });
    // Nothing announces that: the sweep finds out.
    for _ in 0..minutes(SWEEP_OPEN) {
        fleet.after(MINUTE).await;
    }
    fleet.until_learned().await;
}

fn lookups(fleet: &Fleet) -> usize {
    fleet.tally().log.iter().map(|asked| asked.lookups).sum()
}
