//! What a fleet costs at GitHub, counted by the model: the figures of docs/performance.md at a fifth of their size, so
//! that whoever makes vigil ask more sees it at once. `cargo xtask bench fleet` counts them in full.

#[path = "../benches/fleet/fleet.rs"]
mod fleet;
#[path = "../benches/fleet/rows.rs"]
mod rows;

use std::time::Duration;

use vigil_core::time::minutes;

use fleet::{Count, Fleet, Plan};

const SESSIONS: u64 = 200;
const REPOSITORIES: u64 = 4;

fn plan() -> Plan {
    Plan::new(SESSIONS, REPOSITORIES)
}

#[test]
fn a_first_look_costs_a_point_for_a_hundred_questions_and_quiet_passes_none() {
    let mut fleet = Fleet::new(&plan()).expect("a fleet");
    let first = rows::cold(&mut fleet).expect("a first pass").count;
    // An issue and a branch for each session: a query of 50 questions, then of 100.
    assert!(first.points <= 6, "{first:?}");
    assert!(first.graphql + first.rest <= 6, "{first:?}");
    assert_eq!((first.bad, first.postponed), (0, 0), "{first:?}");

    rows::settle(&mut fleet).expect("passes");
    let (all, dearest) = rows::quiet(&mut fleet, 30).expect("passes");
    assert!(dearest.rest <= REPOSITORIES, "{dearest:?}");
    let free = Count {
        rest: all.rest,
        ..Count::default()
    };
    assert_eq!(
        all, free,
        "something was asked although nothing had happened"
    );
}

#[test]
fn a_merge_costs_three_requests_and_is_noticed_at_the_next_look() {
    let busy = rows::merge(&plan(), minutes(1)).expect("a merge");
    assert!(busy.beyond <= 3, "{busy:?}");
    assert!(busy.after <= Duration::from_secs(60), "{busy:?}");
    // An idle repository is looked at again after a tenth of the time that it was idle for.
    let idle = rows::merge(&plan(), minutes(31)).expect("a merge");
    assert!(idle.beyond <= 3, "{idle:?}");
    assert!(idle.after <= minutes(5), "{idle:?}");
}
