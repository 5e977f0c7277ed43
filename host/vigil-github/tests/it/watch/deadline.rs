//! A pass that has no time left: what it did not ask it does not know, and nobody else hears of it.

use std::collections::BTreeMap;
use std::time::Duration;

use vigil_core::{Fact, GapKind};
use vigil_github::Answer;
use vigil_github::memory::Doubt;
use vigil_model::{Fault, Scope};

use super::fleet::*;
use crate::support::*;

/// Rows about repositories: what is stored of facts and of how they are watched.
fn of_repositories(fleet: &Fleet) -> BTreeMap<(String, String), String> {
    let rows = fleet.rows.clone().into_iter();
    rows.filter(|((repo, _), _)| !repo.is_empty()).collect()
}

/// Four sessions in two repositories, of which everything is known and nothing changes.
async fn known() -> Fleet {
    let mut fleet = Fleet::of(4, 2);
    fleet.pass().await;
    let pass = fleet.after(MINUTE).await;
    fleet.all_true(&pass);
    fleet.wait(MINUTE);
    fleet
}

fn are_out_of_time(answers: &[Answer]) -> bool {
    let both =
        |answer: &Answer| is_out_of_time(&answer.issue) && is_out_of_time(&answer.pull_request);
    answers.iter().all(both)
}

#[tokio::test]
async fn lists_that_there_was_no_time_for_are_a_gap_in_that_pass_and_teach_nothing() {
    // Nothing was sent, and nothing that was sent is waited for.
    for deadline in [Duration::ZERO, Duration::from_millis(50)] {
        let mut fleet = known().await;
        let before = of_repositories(&fleet);
        fleet.change(|model| model.fail(Scope::Any, Fault::Hang));
        for _ in 0..3 {
            fleet.deadline = deadline;
            let pass = fleet.pass().await;
            assert!(are_out_of_time(&pass.answers), "{:?}", pass.answers);
            assert!(pass.trouble.is_some() || deadline > Duration::ZERO);
            assert_eq!(of_repositories(&fleet), before);
            fleet.wait(MINUTE);
        }
        fleet.change(vigil_model::Model::heal);
        fleet.deadline = MINUTE;
        // They are due as if nobody had tried, and that nothing changed says all.
        let pass = fleet.pass().await;
        fleet.all_true(&pass);
        assert_eq!((pass.usage.requests, pass.usage.unchanged), (0, 2));
    }
}

#[tokio::test]
async fn what_is_announced_stays_so_until_there_is_time_to_read_it() {
    for deadline in [Duration::ZERO, Duration::from_millis(50)] {
        let mut fleet = known().await;
        fleet.change(|model| {
            model.repo("acme/app-0").pull(100_002).merged();
        });
        fleet.scan().await;
        let before = of_repositories(&fleet);
        fleet.change(|model| model.fail(Scope::GraphQl, Fault::Hang));
        fleet.deadline = deadline;
        let ask = fleet.asks[1].clone();
        let ended = fleet.ask(vec![ask.clone()], Doubt::Little).await;
        let told = &ended.answers[0].pull_request;
        assert!(is_out_of_time(told), "{told:?}");
        assert_eq!(of_repositories(&fleet), before);
        // Another process, and a later pass, know that it changed, and no more.
        let later = fleet.stored().answer(&ask, fleet.now()).pull_request;
        assert_eq!(kind(&later), GapKind::NotReady.as_str());
        fleet.change(vigil_model::Model::heal);
        fleet.deadline = MINUTE;
        let pass = fleet.after(MINUTE).await;
        assert!(pass.pull(1).merged.is_some());
    }
}

#[tokio::test]
async fn a_move_does_not_rest_on_what_there_was_no_time_to_confirm() {
    let mut fleet = known().await;
    fleet.scan().await;
    let before = of_repositories(&fleet);
    fleet.deadline = Duration::ZERO;
    let asks = fleet.asks.clone();
    let ended = fleet.ask(asks.clone(), Doubt::Move).await;
    assert!(are_out_of_time(&ended.answers), "{:?}", ended.answers);
    assert_eq!(of_repositories(&fleet), before);
    fleet.wait(MINUTE);
    let later = asks.iter().map(|ask| fleet.memory.answer(ask, fleet.now()));
    let is_found = |answer: &Answer| matches!(answer.pull_request, Fact::Found(_));
    assert!(later.collect::<Vec<_>>().iter().all(is_found));
}

#[tokio::test]
async fn what_could_only_be_confirmed_stands_when_there_is_no_time_for_it() {
    let mut fleet = known().await;
    // Whether they can be merged is asked again by now, which nothing announces.
    fleet.wait(MINUTE * 20);
    fleet.scan().await;
    let before = of_repositories(&fleet);
    fleet.change(|model| model.fail(Scope::GraphQl, Fault::Hang));
    fleet.deadline = Duration::from_millis(50);
    let ended = fleet.ask(fleet.asks.clone(), Doubt::Little).await;
    assert!(ended.trouble.is_some(), "there was something to ask");
    for answer in &ended.answers {
        assert_eq!(
            (kind(&answer.issue), kind(&answer.pull_request)),
            ("found", "found")
        );
    }
    assert_eq!(of_repositories(&fleet), before);
}
