//! What is stored: a cold start that is cut off goes on, and another process knows the same.

use std::time::Duration;

use super::fleet::*;
use crate::support::*;

#[tokio::test]
async fn a_cold_start_that_is_cut_off_asks_only_for_what_is_missing() {
    let (model, asks) = mixed(400, 8);
    let mut fleet = Fleet::new(model, asks);
    fleet.crash_when(|tally| tally.graphql >= 3).await;
    let asked = |fleet: &Fleet| -> usize {
        let tally = fleet.tally();
        tally.log.iter().map(|asked| asked.lookups).sum()
    };
    let before = asked(&fleet);
    assert!((100..800).contains(&before), "{before}");
    let pass = fleet.pass().await;
    fleet.all_true(&pass);
    // Two questions for each session, each asked once.
    assert_eq!(asked(&fleet), 800);
}

#[tokio::test]
async fn a_process_that_begins_anew_asks_nothing_that_is_known() {
    let mut fleet = Fleet::of(40, 4);
    fleet.pass().await;
    fleet.after(MINUTE).await;
    let graphql = fleet.tally().graphql;
    fleet.restart();
    let pass = fleet.after(MINUTE).await;
    fleet.all_true(&pass);
    assert_eq!((pass.at.len(), pass.usage.requests), (40, 0));
    assert_eq!(fleet.tally().graphql, graphql);
    assert_eq!(pass.usage.unchanged, pass.usage.rest, "ETags are kept");
}

#[tokio::test]
async fn what_happens_while_nobody_runs_is_learned_by_the_first_pass() {
    let mut fleet = Fleet::of(40, 4);
    fleet.pass().await;
    fleet.after(MINUTE).await;
    fleet.change(|model| {
        model.repo("acme/app-1").issue(1).closed("completed");
        model.repo("acme/app-2").pull(100_002).merged();
    });
    fleet.wait(MINUTE * 300);
    fleet.restart();
    let pass = fleet.pass().await;
    fleet.all_true(&pass);
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_asked_for_again() {
    let mut fleet = Fleet::of(6, 2);
    fleet.pass().await;
    let rows: Vec<_> = fleet.rows.keys().cloned().collect();
    for key in rows {
        let mut spoiled = fleet.rows.clone();
        spoiled.insert(key.clone(), "{\"half".to_owned());
        let rows = spoiled
            .iter()
            .map(|((repo, name), value)| (repo.as_str(), name.as_str(), value.as_str()));
        let (memory, unreadable) = vigil_github::memory::Memory::read(rows);
        assert_eq!(unreadable, 1, "{key:?}");
        fleet.memory = memory;
        let ended = fleet
            .ask(fleet.asks.clone(), vigil_github::memory::Doubt::Little)
            .await;
        assert!(
            ended
                .answers
                .iter()
                .all(|answer| kind(&answer.issue) == "found"),
            "{key:?}"
        );
    }
}

#[tokio::test]
async fn what_no_session_names_any_more_is_forgotten_while_the_process_runs() {
    const DAY: Duration = Duration::from_secs(24 * 3_600);
    // Repository 0 has sessions 3 and 6, of which the first looks by branch.
    let mut fleet = Fleet::of(6, 3);
    fleet.pass().await;
    for at in [5, 2] {
        fleet.leave(at);
    }
    let mut forgotten = Vec::new();
    for half_days in 1..=62 {
        fleet.after(DAY / 2).await;
        let now = fleet.now();
        match fleet.memory.prune(now, 30 * DAY) {
            0 => {}
            things => forgotten.push((half_days, things)),
        }
    }
    // Two issues, two pull requests, a branch, and the repository.
    assert_eq!(forgotten, [(61, 6)]);
    let pass = fleet.after(MINUTE).await;
    fleet.all_true(&pass);
    // Even where next to nothing is kept, what is in use is.
    let now = fleet.now();
    assert_eq!(fleet.memory.prune(now, Duration::ZERO), 0);
}
