//! In which order things are asked for: what cannot wait first, then what nobody has looked at for longest.

use std::time::Duration;

use vigil_core::Timestamp;
use vigil_github::memory::{Doubt, Memory, SWEEP_OPEN};
use vigil_github::round::{Body, How, Round};
use vigil_github::{Account, Ask};
use vigil_model::Model;

use super::fleet::*;
use crate::support::*;

const REPO: &str = "acme/app";

/// Sessions on pull requests 11 to 15 of one repository, each with what it wants of an issue that nobody asks for.
fn asks() -> Vec<Ask> {
    let only_pull = |n| {
        by_number(
            REPO,
            1,
            n,
            vigil_github::Wants {
                issue: false,
                ..LEAN
            },
        )
    };
    (11..=15).map(only_pull).collect()
}

/// The numbers in the order in which the queries of a round ask about them.
fn order(memory: Memory, asks: &[Ask], doubt: Doubt, now: Timestamp, fleet: &Fleet) -> Vec<u64> {
    let how = How {
        now,
        interval: MINUTE,
        shares: fleet.shares,
        resync: None,
    };
    let mut round = Round::ask(memory, asks.to_vec(), doubt, |_| Account::usual(), how);
    let outgoing = round.next(now).expect("something to ask");
    let Body::GraphQl { variables, .. } = outgoing.body else {
        panic!("no query");
    };
    (0..asks.len())
        .filter_map(|at| variables.get(&format!("number{at}"))?.as_u64())
        .collect()
}

#[tokio::test]
async fn the_most_stale_comes_first_and_what_can_wait_last() {
    let mut model = Model::new(NOW.0 - 3_600_000);
    model.token(TOKEN);
    let mut repo = model.repo(REPO);
    for number in 11..=15 {
        repo = repo.pull(number).back();
    }
    let all = asks();
    let mut fleet = Fleet::new(model, Vec::new());
    // Learned in another order than that of their numbers; 15 never.
    for at in [2, 0, 3, 1] {
        fleet.watch(all[at].clone());
        fleet.after(MINUTE).await;
    }
    let now = fleet.now().after(MINUTE);
    // A move is to rest on all of them: what was never read has waited longest.
    let confirm = order(fleet.stored(), &all, Doubt::Move, now, &fleet);
    assert_eq!(confirm, [15, 13, 11, 14, 12]);
    // An hour later all are due again, which can wait, and one is missing, which cannot.
    let later = now.after(SWEEP_OPEN + Duration::from_secs(60));
    let sweep = order(fleet.stored(), &all, Doubt::Little, later, &fleet);
    assert_eq!(sweep, [15, 13, 11, 14, 12]);
    // Something that changed comes before what is only due, however fresh it is.
    fleet.change(|model| {
        model.repo(REPO).pull(12).label("x");
    });
    let repo = vigil_github::Repo::parse(REPO).expect("a name");
    let about = vigil_github::memory::About::Number {
        number: 12,
        updated: None,
    };
    let mut memory = fleet.stored();
    assert!(memory.wake(&repo, &about, later));
    assert_eq!(
        order(memory, &all, Doubt::Little, later, &fleet),
        [15, 12, 13, 11, 14]
    );
}
