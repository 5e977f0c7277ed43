//! A daemon beside other vigils that use the same memory: what those see first is not lost to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::runtime::Runtime;
use vigil::demo::home::REPO;
use vigil::demo::{Home, Made};
use vigil::pass::{How, Passed, Reconciler};
use vigil::wiring::Setup;
use vigil::world::Clocks;
use vigil_core::forge::PullRequestState;
use vigil_core::time::millis;
use vigil_core::{State, Timestamp};
use vigil_sources::World;

use super::stage::Stage;

/// Clocks that are turned by hand.
#[derive(Default)]
struct Turned {
    wall_ms: AtomicU64,
    suspended_ms: AtomicU64,
}

impl Turned {
    fn wait(&self, span: Duration) {
        self.wall_ms.fetch_add(millis(span), Ordering::SeqCst);
    }

    fn suspend(&self, span: Duration) {
        self.suspended_ms.fetch_add(millis(span), Ordering::SeqCst);
        self.wait(span);
    }

    /// All of them, a day after the boot at first.
    fn read(&self, since: Timestamp) -> Clocks {
        let boot_ms = millis(since.age(self.now())) + 24 * 3_600_000;
        Clocks {
            wall: self.now(),
            awake_ms: boot_ms - self.suspended_ms.load(Ordering::SeqCst),
            boot_ms,
            boot_id: "the only one".to_owned(),
        }
    }
}

impl World for Turned {
    fn now(&self) -> Timestamp {
        Timestamp(self.wall_ms.load(Ordering::SeqCst))
    }

    fn pause(&self, span: Duration) {
        self.wait(span);
    }

    fn booted_at(&self) -> Option<Timestamp> {
        None
    }
}

/// A stage whose time the test turns.
struct Beside {
    stage: Stage,
    clock: Arc<Turned>,
    setup: Setup,
    runtime: Runtime,
}

impl Beside {
    /// With one session that waits for a person, so that it is looked at rarely.
    fn new() -> Beside {
        let mut stage = Stage::new();
        let made = Made {
            status: "blocked",
            ..Made::default()
        };
        stage.home.add(&made).expect("a session");
        stage.on_github(|model| {
            model.repo(REPO).issue(1);
        });
        stage.write();
        let clock = Arc::new(Turned::default());
        let since = stage.now.after(Duration::from_secs(3_600));
        clock.wall_ms.store(since.0, Ordering::SeqCst);
        let read = Arc::clone(&clock);
        let setup = Setup {
            clocks: Arc::new(move |_| read.read(since)),
            ..stage.inside(clock.clone())
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build();
        Beside {
            stage,
            clock,
            setup,
            runtime: runtime.expect("a runtime"),
        }
    }

    /// Another vigil over the same memory.
    fn vigil(&self) -> Reconciler {
        let (_engine, chain) = self.setup.chain(&[]).expect("a chain");
        self.setup.reconciler(chain, None).expect("a reconciler")
    }

    fn pass(&self, vigil: &mut Reconciler, how: &How) -> Passed {
        self.runtime.block_on(vigil.pass(how)).expect("a pass")
    }

    /// How many sessions the daemon looks at now.
    fn looked_at(&self, daemon: &mut Reconciler) -> usize {
        let passed = self.pass(daemon, &How::watch());
        passed.batches.iter().map(|batch| batch.entries.len()).sum()
    }
}

/// Longer than what clocks may differ by, and shorter than any session is left alone.
const A_WHILE: Duration = Duration::from_secs(50);

#[test]
fn a_break_in_watching_that_a_look_saw_first_is_not_lost_to_the_daemon() {
    for seen_first in [false, true] {
        let beside = Beside::new();
        let mut daemon = beside.vigil();
        assert_eq!(beside.looked_at(&mut daemon), 1);
        beside.clock.wait(A_WHILE);
        assert_eq!(beside.looked_at(&mut daemon), 0, "it is not due");

        beside.clock.suspend(A_WHILE);
        if seen_first {
            beside.pass(&mut beside.vigil(), &How::look());
            beside.clock.wait(Duration::from_secs(1));
        }
        assert_eq!(beside.looked_at(&mut daemon), 1, "{seen_first}");
        beside.clock.wait(A_WHILE);
        assert_eq!(beside.looked_at(&mut daemon), 0, "a break counts once");
    }
}

#[test]
fn what_a_look_learned_of_the_forge_is_judged_by_the_daemon() {
    let mut beside = Beside::new();
    let mut daemon = beside.vigil();
    beside.looked_at(&mut daemon);
    beside.clock.wait(A_WHILE);
    beside.stage.on_github(|model| {
        // GitHub tells whole seconds, and this one is another than that of the beginning.
        let later = model.now_ms() + 60_000;
        model.set_now(later);
        model.repo(REPO).issue(1).label("x");
    });
    // The list of changes is read by another process, and says nothing new to the daemon any more.
    beside.pass(
        &mut beside.vigil(),
        &How {
            facts_max_age: Duration::ZERO,
            ..How::look()
        },
    );
    beside.clock.wait(Duration::from_secs(1));
    assert_eq!(beside.looked_at(&mut daemon), 1);
}

#[test]
fn what_is_read_for_one_session_that_moves_is_told_to_the_other_in_the_same_pass() {
    let mut beside = Beside::new();
    // Both wait for a person, on one pull request.
    let on_the_same = Map::from_iter([
        ("pull_request_number".to_owned(), json!(21)),
        ("pull_request_state".to_owned(), json!("OPEN")),
    ]);
    let mut head = String::new();
    for issue in [2, 3] {
        let made = Made {
            issue,
            status: "blocked",
            extra: on_the_same.clone(),
            ..Made::default()
        };
        head = beside.stage.home.add(&made).expect("a session");
    }
    beside.stage.on_github(|model| {
        let repo = model.repo(REPO).issue(2).issue(3);
        repo.pull(21).head(&Home::branch(3)).sha(&head);
    });
    beside.stage.write();
    let mut daemon = beside.vigil();
    assert_eq!(beside.looked_at(&mut daemon), 3);
    // No look at the repository is due, and nothing says that the pull request is another one now.
    beside.clock.wait(Duration::from_secs(20));
    beside.stage.on_github(|model| {
        model.repo(REPO).pull(21).merged();
    });
    let mut records: Value = serde_json::from_str(&beside.stage.sessions()).expect("JSON");
    records[1]["blocked_reason"] = json!({"detail": "somebody wrote to it"});
    records[2]["status"] = json!("running");
    std::fs::write(beside.stage.sessions_file(), records.to_string()).expect("sessions.json");
    let passed = beside.pass(&mut daemon, &How::watch());
    let seen: Vec<(&str, State, PullRequestState)> = passed.batches[0]
        .entries
        .iter()
        .map(|entry| {
            let pull = entry.evidence.pull_request.found().expect("it is known");
            (
                entry.evidence.session.id.id.as_str(),
                entry.to(),
                pull.state,
            )
        })
        .collect();
    let expected = [
        ("acme/app#2", State::Blocked, PullRequestState::Merged),
        ("acme/app#3", State::Succeeded, PullRequestState::Merged),
    ];
    assert_eq!(seen, expected);
}

#[test]
fn what_a_look_read_before_the_last_pass_and_stored_after_it_is_judged_by_the_daemon() {
    let mut beside = Beside::new();
    let mut daemon = beside.vigil();
    beside.looked_at(&mut daemon);
    beside.clock.wait(A_WHILE);
    // The look begins first, and the daemon's pass comes in between.
    let begun = beside.clock.now();
    beside.clock.wait(Duration::from_secs(5));
    let mut records: Value = serde_json::from_str(&beside.stage.sessions()).expect("JSON");
    records[0]["blocked_reason"] = json!({"detail": "somebody wrote to it"});
    std::fs::write(beside.stage.sessions_file(), records.to_string()).expect("sessions.json");
    assert_eq!(beside.looked_at(&mut daemon), 1, "it is judged then");
    beside.stage.on_github(|model| {
        let later = model.now_ms() + 60_000;
        model.set_now(later);
        model.repo(REPO).issue(1).label("x");
    });
    let between = beside.clock.now();
    beside.clock.wall_ms.store(begun.0, Ordering::SeqCst);
    beside.pass(
        &mut beside.vigil(),
        &How {
            facts_max_age: Duration::ZERO,
            ..How::look()
        },
    );
    beside.clock.wall_ms.store(between.0, Ordering::SeqCst);
    beside.clock.wait(Duration::from_secs(5));
    assert_eq!(beside.looked_at(&mut daemon), 1);
    beside.clock.wait(Duration::from_secs(5));
    assert_eq!(beside.looked_at(&mut daemon), 0, "it is told once");
}
