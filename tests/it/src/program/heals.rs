//! GitHub's bad days as sessions meet them: while one lasts nothing moves on what was not learned, once it ends the
//! session moves, and whoever was told to be silent was.
//!
//! The passes are the daemon's, over real files and a real socket; only the clock, which GitHub shares, is the test's:
//! a limit may last an hour.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::runtime::Runtime;
use vigil::demo::home::REPO;
use vigil::demo::{Home, Made};
use vigil::pass::{How, Reconciler};
use vigil::world::Clocks;
use vigil_core::time::{millis, minutes};
use vigil_core::{State, Timestamp};
use vigil_model::{ErrorType, Fault, FieldFault, Forbidden, Model, Scope, SecondaryLimits, Tally};
use vigil_sources::World;

use super::stage::{self, Stage};

/// One clock for vigil and for GitHub.
#[derive(Clone)]
pub(super) struct Turned(pub(super) Arc<AtomicU64>);

impl World for Turned {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }

    fn pause(&self, span: Duration) {
        self.0.fetch_add(millis(span), Ordering::SeqCst);
    }

    fn booted_at(&self) -> Option<Timestamp> {
        None
    }
}

/// A vigil over the stage whose clocks are `clock`, and what its passes run in.
pub(super) fn by_hand(stage: &Stage, clock: &Turned) -> (Reconciler, Runtime) {
    let read = clock.clone();
    let since = clock.now();
    let setup = vigil::wiring::Setup {
        clocks: Arc::new(move |_| {
            let up_ms = millis(since.age(read.now())) + 24 * 3_600_000;
            Clocks {
                wall: read.now(),
                awake_ms: up_ms,
                boot_ms: up_ms,
                boot_id: "the only one".to_owned(),
            }
        }),
        ..stage.inside(Arc::new(clock.clone()))
    };
    let (_engine, chain) = setup.chain(&[]).expect("a chain");
    let vigil = setup.reconciler(chain, None).expect("a reconciler");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build();
    (vigil, runtime.expect("a runtime"))
}

/// A daemon's passes over one session, whose pull request is open at first.
struct Watched {
    stage: Stage,
    clock: Turned,
    vigil: Reconciler,
    runtime: Runtime,
}

impl Watched {
    /// The session was looked at, and is `maintaining`.
    fn new() -> Watched {
        let clock = Turned(Arc::new(AtomicU64::new(stage::now().0)));
        let shared = clock.clone();
        let mut stage = Stage::by(Arc::new(move || shared.now().0));
        // Reads that hang are given up soon.
        stage.configure("[github]\nrequest_timeout = \"300ms\"\n");
        let head = stage.home.add(&Made::default()).expect("a session");
        stage.write();
        let created = stage.minutes_ago(100);
        stage.on_github(|model| {
            let issue = model.repo(REPO).issue(1);
            let pull = issue.pull(21).head(&Home::branch(1)).sha(&head);
            pull.created_at(created);
        });
        let (vigil, runtime) = by_hand(&stage, &clock);
        let mut watched = Watched {
            stage,
            clock,
            vigil,
            runtime,
        };
        watched.pass_after(Duration::ZERO);
        assert_eq!(watched.moves(), [State::Maintaining]);
        watched
    }

    fn pass_after(&mut self, span: Duration) {
        self.clock.pause(span);
        let now_ms = self.clock.now().0;
        self.stage.on_github(|model| model.set_now(now_ms));
        let passed = self.runtime.block_on(self.vigil.pass(&How::watch()));
        passed.expect("a pass");
    }

    /// Where the session went, the latest move first.
    fn moves(&self) -> Vec<State> {
        let rows = self.vigil.store.transitions(None, None, 10);
        let rows = rows.expect("the journal");
        rows.iter().map(|row| row.to).collect()
    }

    fn on_github<T>(&mut self, look: impl FnOnce(&mut Model) -> T) -> T {
        self.stage.on_github(look)
    }

    fn tally(&mut self) -> Tally {
        self.on_github(|model| model.tally().clone())
    }

    /// From the trouble's beginning, which `begin` makes, to its end and beyond. While it lasts the pull request is
    /// merged. `blind`: nothing can be learned meanwhile.
    fn lives_through(&mut self, name: &str, blind: bool, begin: impl Fn(&mut Model)) {
        self.on_github(begin);
        let before = self.stage.sessions();
        for _ in 0..3 {
            self.pass_after(minutes(1));
        }
        assert_eq!(self.moves(), [State::Maintaining], "{name}: GitHub says so");
        assert_eq!(self.stage.sessions(), before, "{name}");
        self.on_github(|model| {
            model.repo(REPO).pull(21).merged();
        });
        self.pass_after(minutes(1));
        if blind {
            assert_eq!(self.moves(), [State::Maintaining], "{name}: nobody said so");
        }
        self.on_github(Model::heal);
        // A limit ends within the hour, and the longest that nobody looks is the back-off of 15 min.
        let moved = (0..16).any(|_| {
            self.pass_after(minutes(5));
            self.moves().len() > 1
        });
        let moves = self.moves();
        assert!(moved, "{name}: it is still {moves:?}");
        assert_eq!(moves, [State::Succeeded, State::Maintaining], "{name}");
        assert_eq!(self.stage.record(1)["pull_request_state"], "MERGED");
        let tally = self.tally();
        // One session in one repository has one request under way, so that none can have crossed a refusal.
        assert_eq!(
            (tally.while_limited, tally.crossed),
            (0, 0),
            "{name}: {tally:#?}"
        );
    }
}

/// Everything that can take the place of an answer or spoil a whole one.
fn whole_answers() -> Vec<Fault> {
    vec![
        Fault::Hang,
        Fault::Reset,
        Fault::CutBody,
        Fault::CutJson,
        Fault::Html(500),
        Fault::Html(502),
        Fault::BadCredentials,
        Fault::BadCredentialsExhausted,
        Fault::Forbidden(Forbidden::Permission),
        Fault::Forbidden(Forbidden::Saml),
        Fault::Forbidden(Forbidden::IpAllowList),
    ]
}

/// Everything that tells its reader to wait.
fn limits() -> Vec<Fault> {
    let mut all = vec![
        Fault::Forbidden(Forbidden::Exhausted),
        Fault::UsedUp,
        Fault::Html(429),
        Fault::SecondaryAs200(Some(400)),
        Fault::SecondaryAs200(None),
    ];
    for retry_after_s in [Some(200), None] {
        all.push(Fault::Forbidden(Forbidden::Secondary(retry_after_s)));
        all.push(Fault::TooManyRequests(retry_after_s));
    }
    for (headers, older_name) in [(true, false), (false, true)] {
        all.push(Fault::RateLimited {
            headers,
            older_name,
        });
    }
    all
}

fn everywhere(scope: Scope, faults: Vec<Fault>) {
    for fault in faults {
        let name = format!("{fault:?} of {scope:?}");
        Watched::new().lives_through(&name, scope == Scope::Any, |model| {
            model.fail(scope, fault.clone());
        });
    }
}

#[test]
fn after_answers_that_do_not_come_the_session_is_moved() {
    everywhere(Scope::Any, whole_answers());
}

#[test]
fn after_answers_of_one_kind_that_do_not_come_the_session_is_moved() {
    everywhere(Scope::Rest, whole_answers());
    everywhere(Scope::GraphQl, whole_answers());
}

#[test]
fn after_a_limit_of_everything_the_session_is_moved_and_until_then_nothing_is_sent() {
    let meets_rest = |fault: &Fault| !matches!(fault, Fault::SecondaryAs200(_));
    let faults = limits().into_iter().filter(meets_rest).collect();
    everywhere(Scope::Any, faults);
}

#[test]
fn after_a_limit_of_one_kind_the_session_is_moved_and_until_then_nothing_is_sent() {
    let meets_rest = |fault: &Fault| !matches!(fault, Fault::SecondaryAs200(_));
    everywhere(
        Scope::Rest,
        limits().into_iter().filter(meets_rest).collect(),
    );
    everywhere(Scope::GraphQl, limits());
}

#[test]
fn after_a_repository_was_hidden_or_its_fields_failed_the_session_is_moved() {
    let name = "a repository that is hidden";
    Watched::new().lives_through(name, true, |model| {
        model.fail(Scope::Any, Fault::RepoHidden(REPO.to_owned()));
    });
    // Not NOT_FOUND: while GitHub says so there is no pull request, as far as anybody can know.
    let errors = [
        ErrorType::Forbidden,
        ErrorType::ResourceLimitsExceeded,
        ErrorType::ServiceUnavailable,
        ErrorType::Internal,
        ErrorType::Other("SOMETHING_NEW"),
    ];
    for error in errors {
        for field in ["pullRequest", "pullRequests", "headRepositoryOwner"] {
            let name = format!("{field} is {error:?}");
            Watched::new().lives_through(&name, false, |model| {
                let fault = FieldFault {
                    field: field.to_owned(),
                    repo: None,
                    number: None,
                    error,
                };
                model.fail(Scope::GraphQl, Fault::Field(fault));
            });
        }
    }
}

#[test]
fn a_real_limit_that_others_used_up_is_waited_for_and_then_the_session_is_moved() {
    for (rest, graphql) in [(5_000, 0), (0, 5_000), (5_000, 5_000)] {
        let mut watched = Watched::new();
        let name = format!("{rest} and {graphql} used up");
        watched.lives_through(&name, rest > 0 && graphql > 0, |model| {
            model.token(stage::TOKEN).used(rest, graphql);
        });
    }
}

#[test]
fn a_real_secondary_limit_is_waited_for_and_then_the_session_is_moved() {
    for retry_after in [true, false] {
        let mut watched = Watched::new();
        // Every request is one too many.
        let none = SecondaryLimits {
            rest_points_max: 0,
            graphql_points_max: 0,
            retry_after,
            ..SecondaryLimits::default()
        };
        watched.on_github(|model| model.secondary_limits(Some(none)));
        for _ in 0..4 {
            watched.pass_after(minutes(1));
        }
        assert_eq!(watched.moves(), [State::Maintaining]);
        watched.on_github(|model| model.secondary_limits(Some(SecondaryLimits::default())));
        watched.lives_through("a secondary limit", false, |_| {});
    }
}
