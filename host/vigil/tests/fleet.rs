//! What a fleet costs at GitHub, counted by the model: the figures of docs/performance.md at a fifth of their size, so
//! that whoever makes vigil ask more sees it at once. `cargo xtask bench fleet` counts them in full.

#[path = "../benches/fleet/fleet.rs"]
mod fleet;
#[path = "../benches/fleet/rows.rs"]
mod rows;

use std::collections::HashMap;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use vigil::forge::Forge;
use vigil::pass::How;
use vigil_core::time::minutes;
use vigil_core::{Gap, GapKind, Timestamp};
use vigil_github::round::{Landed, Outcome, Round};
use vigil_github::{Account, Trouble};
use vigil_store::{ForgeChange, Store};

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

/// A GitHub that answers nothing, while another process with the same memory is told to stop.
struct Told {
    asked: AtomicUsize,
    state_dir: PathBuf,
    host: String,
}

impl Told {
    fn tell_another(&self, now: Timestamp) {
        let (told, until) = (now.0, now.after(minutes(10)).0);
        let silence =
            format!(r#"{{"silence": {{"told": {told}, "until": {until}, "why": "slow down"}}}}"#);
        let mut store = Store::open(&self.state_dir, now).expect("the same memory");
        let row = ForgeChange {
            repo: "",
            name: "account default",
            value: Some(&silence),
            at: now,
        };
        store.put_forge_rows(&self.host, &[row]).expect("a row");
    }
}

impl Forge for Told {
    fn account(&self, _owner: &str) -> Account {
        Account::usual()
    }

    fn work<'a>(
        &'a self,
        round: &'a mut Round,
        now: Timestamp,
        _slice: Duration,
        _deadline: Duration,
    ) -> Pin<Box<dyn Future<Output = bool> + Send + 'a>> {
        let outgoing = round.next(now);
        let more = outgoing.is_some();
        if let Some(outgoing) = outgoing {
            self.asked.fetch_add(1, Ordering::SeqCst);
            let outcome = Outcome::TimedOut(Gap::new(GapKind::TimedOut, "no answer"));
            let landed = Landed {
                id: outgoing.id,
                outcome,
                sent: 1,
            };
            round.take(landed, now);
            self.tell_another(now);
        }
        Box::pin(async move { more })
    }
}

#[test]
fn what_another_process_is_told_ends_the_asking_of_a_pass_under_way() {
    let folder = tempfile::tempdir().expect("a folder");
    let nowhere = "http://127.0.0.1:9".to_owned();
    let addresses = (nowhere.clone(), format!("{nowhere}/graphql"));
    let clock = fleet::clock();
    let mut vigil = fleet::vigil(folder.path(), &Plan::new(8, 1), &addresses, &clock);
    let vigil = vigil.as_mut().expect("a vigil");
    let told = Arc::new(Told {
        asked: AtomicUsize::new(0),
        state_dir: folder.path().join("state"),
        host: vigil.forge_host.clone(),
    });
    vigil.forge = told.clone();
    let runtime = fleet::runtime().expect("a runtime");
    let passed = runtime.block_on(vigil.pass(&How::once())).expect("a pass");
    assert_eq!(told.asked.load(Ordering::SeqCst), 1);
    let trouble = passed.trouble.expect("it could not be asked");
    assert!(trouble.contains("slow down"), "{trouble}");
}

/// GitHub, for which there is a token only when `has_token` says so.
struct Locked {
    github: Arc<dyn Forge>,
    has_token: AtomicBool,
}

impl Forge for Locked {
    fn account(&self, owner: &str) -> Account {
        self.github.account(owner)
    }

    fn work<'a>(
        &'a self,
        round: &'a mut Round,
        now: Timestamp,
        slice: Duration,
        deadline: Duration,
    ) -> Pin<Box<dyn Future<Output = bool> + Send + 'a>> {
        if self.has_token.load(Ordering::SeqCst) {
            return self.github.work(round, now, slice, deadline);
        }
        while let Some(outgoing) = round.next(now) {
            let none = Trouble::NoToken {
                detail: "there is no token".to_owned(),
                hint: "set GH_TOKEN".to_owned(),
            };
            let landed = Landed {
                id: outgoing.id,
                outcome: Outcome::NoToken(none),
                sent: 0,
            };
            round.take(landed, now);
        }
        Box::pin(async { false })
    }
}

#[test]
fn without_a_token_the_schedule_says_who_is_looked_at_and_with_one_again_all_are_judged() {
    const AT_MOST: usize = 25;
    const STEP: Duration = Duration::from_secs(15);
    let plan = plan();
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().canonicalize().expect("a folder");
    let clock = fleet::clock();
    let server = plan.serve(&clock, |_| ()).expect("a model of GitHub");
    let addresses = (server.rest_url(), server.graphql_url());
    let mut vigil = fleet::vigil(&root, &plan, &addresses, &clock).expect("a vigil");
    let locked = Arc::new(Locked {
        github: Arc::clone(&vigil.forge),
        has_token: AtomicBool::new(false),
    });
    vigil.forge = locked.clone();
    let runtime = fleet::runtime().expect("a runtime");
    let how = How {
        at_most: AT_MOST,
        ..How::watch()
    };
    // Passes for so many minutes: how often each session was looked at, and how many moved.
    let mut passes = |minutes: u64| {
        let (mut looks, mut moved) = (HashMap::<String, u32>::new(), 0);
        for _ in 0..minutes * 60 / STEP.as_secs() {
            let passed = runtime.block_on(vigil.pass(&how)).expect("a pass");
            let entries = passed.batches.iter().flat_map(|batch| &batch.entries);
            let mut at_once = 0;
            for entry in entries {
                at_once += 1;
                moved += usize::from(entry.from() != entry.to());
                *looks
                    .entry(entry.evidence.session.id.id.clone())
                    .or_default() += 1;
            }
            // What was never looked at has places of its own.
            assert!(at_once <= 2 * AT_MOST, "{at_once} at once");
            let step = u64::try_from(STEP.as_millis()).expect("little");
            clock.fetch_add(step, Ordering::SeqCst);
        }
        (looks, moved)
    };
    // The back-off has grown to its most by then: 1, 2, 4, and 8 min, each and a quarter at most.
    let (looks, moved) = passes(20);
    assert_eq!((looks.len() as u64, moved), (SESSIONS, 0));
    let (looks, moved) = passes(15);
    let most = looks.values().max().copied();
    assert_eq!((most, moved), (Some(1), 0), "more often than every 15 min");
    // The longest back-off, and the time that the places take.
    locked.has_token.store(true, Ordering::SeqCst);
    let (_, moved) = passes(21);
    assert_eq!(moved as u64, SESSIONS, "all are looked after by now");
}
