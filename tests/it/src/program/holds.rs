//! What a hold costs, and the way back: a hold under which work would be destroyed, a block that outlives its ground,
//! a move that was taken back, and what was reopened. The passes are the program's own, over real files, a real
//! repository and a real socket; only the clock, which GitHub shares, is the test's.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::runtime::Runtime;
use vigil::demo::home::REPO;
use vigil::demo::{Home, Made};
use vigil::pass::{How, Reconciler};
use vigil::report::{Outcome, SessionReport};
use vigil_core::time::minutes;
use vigil_core::{SessionId, State};
use vigil_sources::World as _;

use super::heals::{Turned, by_hand};
use super::stage::{self, Stage};

/// A head that no clone has.
const ELSEWHERE: &str = "5ca1ab1e5ca1ab1e5ca1ab1e5ca1ab1e5ca1ab1e";

/// Passes over what `set` made, by a clock of the test's.
struct Days {
    stage: Stage,
    clock: Turned,
    vigil: Reconciler,
    runtime: Runtime,
}

impl Days {
    fn of(set: impl FnOnce(&mut Stage)) -> Days {
        let clock = Turned(Arc::new(AtomicU64::new(stage::now().0)));
        let shared = clock.clone();
        let mut stage = Stage::by(Arc::new(move || shared.now().0));
        stage.configure("[source.vigilante]\nkind = \"vigilante\"\nsame_pid_namespace = true\n");
        set(&mut stage);
        stage.write();
        let (vigil, runtime) = by_hand(&stage, &clock);
        Days {
            stage,
            clock,
            vigil,
            runtime,
        }
    }

    /// A pass `after` so many minutes, and what it says of `issue`.
    fn pass(&mut self, after: u64, issue: u64) -> SessionReport {
        self.clock.pause(minutes(after));
        let now = self.clock.now();
        self.stage.on_github(|model| model.set_now(now.0));
        let passed = self.runtime.block_on(self.vigil.pass(&How::once()));
        let report = passed.expect("a pass").report(false, now);
        let id = format!("{REPO}#{issue}");
        let mut sessions = report.sessions.into_iter();
        sessions
            .find(|session| session.id == id)
            .expect("the session")
    }

    /// What a pass says of a session: what became of it, where it is, and by which rule or guard.
    fn told(&mut self, after: u64, issue: u64) -> (Outcome, State, String) {
        let told = self.pass(after, issue);
        let by = match told.outcome {
            Outcome::Refused => told.guards[0].code.clone(),
            _ => told.rule.clone(),
        };
        (told.outcome, told.to, by)
    }

    /// Takes the latest move back, as `vigil undo` does.
    fn undo(&mut self) {
        let row = self.vigil.store.transitions(None, None, 1);
        let row = row.expect("the journal").remove(0);
        let source = Arc::clone(&self.vigil.sources[0].source);
        let undone = vigil::undo::undo(
            &mut self.vigil.store,
            source.as_ref(),
            &self.clock,
            &row,
            "a person",
            "by hand",
        );
        assert!(
            matches!(undone, Ok(vigil::undo::Undo::Ended { .. })),
            "it is taken back"
        );
    }

    fn pull(&mut self, change: impl FnOnce(vigil_model::PullEdit<'_>)) {
        self.stage
            .on_github(|model| change(model.repo(REPO).pull(21)));
    }

    fn alerts(&self, about: &str) -> Vec<String> {
        let open = self.vigil.store.open_alerts().expect("the alerts");
        open.into_iter()
            .filter(|alert| alert.key.starts_with(about))
            .map(|alert| alert.text)
            .collect()
    }

    /// The owner writes fields of the record of `issue`.
    fn owner_writes(&self, issue: u64, fields: &Value) {
        let mut all: Value = serde_json::from_str(&self.stage.sessions()).expect("JSON");
        for record in all.as_array_mut().expect("a list") {
            if record["issue_number"] == issue {
                let record = record.as_object_mut().expect("an object");
                for (key, value) in fields.as_object().expect("an object") {
                    record.insert(key.clone(), value.clone());
                }
            }
        }
        std::fs::write(self.stage.sessions_file(), all.to_string()).expect("the records");
    }

    fn moment(&self) -> String {
        vigil::ui::moment(self.clock.now())
    }
}

/// One session on issue 1, silent for so many minutes; the pull request 21 of its branch was opened 100 minutes ago.
pub(super) fn silent(stage: &mut Stage, minutes_ago: u64, made: Made, head_known: bool) {
    let started = vigil::ui::moment(stage.now.before(minutes(109)));
    let mut made = Made {
        silent_for: minutes(minutes_ago),
        ..made
    };
    made.extra.insert("started_at".to_owned(), json!(started));
    let head = stage.home.add(&made).expect("a session");
    let head = if head_known {
        head
    } else {
        ELSEWHERE.to_owned()
    };
    let created = stage.minutes_ago(100);
    stage.on_github(|model| {
        let issue = model.repo(REPO).issue(1);
        let pull = issue.pull(21).head(&Home::branch(1)).sha(&head);
        pull.created_at(created);
    });
}

/// Somebody else's work, session 2, for whose sake the repository is looked at.
pub(super) fn somebody_elses(stage: &mut Stage) {
    let other = Made {
        issue: 2,
        status: "blocked",
        ..Made::default()
    };
    stage.home.add(&other).expect("a session");
    stage.on_github(|model| {
        model.repo(REPO).issue(2);
    });
}

#[test]
fn work_that_its_owner_would_delete_is_blocked_while_it_still_counts_as_fresh() {
    let made = |dirty, unpushed| Made {
        dirty,
        unpushed,
        ..Made::default()
    };
    let blocked = (Outcome::Transitioned, State::Blocked, "unsaved-work");
    let held = (Outcome::Held, State::Running, "active");
    for (made, minutes_ago, wanted) in [
        (made(true, 0), 1, held),
        (made(true, 0), 11, blocked),
        (made(false, 1), 11, blocked),
        (made(false, 0), 11, held),
    ] {
        for merged in [true, false] {
            let mut days = Days::of(|stage| {
                silent(stage, minutes_ago, made.clone(), false);
                let ended = stage.minutes_ago(minutes_ago.div_ceil(2));
                stage.on_github(|model| {
                    let pull = model.repo(REPO).pull(21);
                    match merged {
                        true => drop(pull.merged_at(ended)),
                        false => drop(pull.closed_at(ended)),
                    }
                });
            });
            let told = days.told(0, 1);
            let told = (told.0, told.1, told.2.as_str());
            assert_eq!(told, wanted, "{minutes_ago} min, {made:?}, merged {merged}");
            if wanted == held && (made.dirty || made.unpushed > 0) {
                // The owner's ten minutes are over before vigil's thirty are.
                let told = days.told(10, 1);
                assert_eq!((told.0, told.1, told.2.as_str()), blocked, "later");
            }
        }
    }
}

#[test]
fn a_move_that_was_undone_stays_undone_until_its_own_grounds_change() {
    let mut days = Days::of(|stage| {
        silent(stage, 109, Made::default(), true);
        let ended = stage.minutes_ago(80);
        stage.on_github(|model| {
            let repo = model.repo(REPO);
            let issue = repo.issue(1).closed_at("completed", ended);
            issue.pull(21).merged_at(ended);
        });
    });
    let moved = (
        Outcome::Transitioned,
        State::Succeeded,
        "merged-pr".to_owned(),
    );
    let refused = (
        Outcome::Refused,
        State::Running,
        "owner-disagrees".to_owned(),
    );
    assert_eq!(days.told(0, 1), moved);
    // Between the move and its undo the issue was reopened, and its owner put another label on it.
    days.clock.pause(minutes(5));
    let now = days.clock.now();
    days.stage.on_github(|model| {
        model.set_now(now.0);
        model
            .repo(REPO)
            .issue(1)
            .reopened()
            .label("vigilante:running");
    });
    days.undo();
    assert_eq!(days.told(1, 1), refused, "that is what it was undone under");
    let now = days.clock.now();
    days.stage.on_github(|model| {
        model.set_now(now.0);
        model.repo(REPO).issue(1).label("vigilante:done");
    });
    assert_eq!(days.told(5, 1), refused, "a label is no ground of a merge");
    assert_eq!(days.told(3 * 24 * 60, 1), refused, "nor is time");
    let now = days.clock.now();
    days.stage.on_github(|model| {
        model.set_now(now.0);
        model.repo(REPO).issue(1).closed("completed");
    });
    assert_eq!(days.told(5, 1), moved, "that is another case");
}

#[test]
fn an_undo_looks_at_what_it_takes_back_so_that_a_change_right_after_it_counts() {
    let mut stage = Stage::with_merged(1);
    // GitHub counts in whole seconds: what changes must lie after what was looked at.
    let later = |seconds: u64| stage::now().as_millis() + 1_000 * seconds;
    let becomes = |stage: &Stage, wanted: &str| {
        let run = stage.run(&["run", "--once", "--json"]).json_with(0);
        assert_eq!(stage::session(&run, 1)["outcome"], wanted, "{run:#}");
    };
    becomes(&stage, "transitioned");
    let undone = stage.run(&["undo", "t1"]);
    let said = "does not repeat this move until what it rested on is no longer as it is now";
    assert!(undone.ended(0).out.contains(said), "{undone:#?}");
    becomes(&stage, "refused");
    stage.on_github(|model| {
        model.set_now(later(5));
        model.repo(REPO).issue(1).reopened();
    });
    becomes(&stage, "transitioned");
    // Nobody looks between this undo and what changes next.
    stage.run(&["undo", "t3"]).ended(0);
    stage.on_github(|model| {
        model.set_now(later(10));
        model.repo(REPO).issue(1).closed("not_planned");
    });
    becomes(&stage, "transitioned");
}

#[test]
fn an_agent_that_honestly_died_three_times_in_a_day_is_blocked_each_time() {
    let mut days = Days::of(|stage| {
        stage.home.add(&Made::default()).expect("a session");
        stage.on_github(|model| {
            model.repo(REPO).issue(1);
        });
    });
    let blocked = (
        Outcome::Transitioned,
        State::Blocked,
        "agent-gone".to_owned(),
    );
    assert_eq!(days.told(0, 1), blocked);
    for _ in 0..3 {
        // A person resumes it, a new run begins, and dies at once.
        days.clock.pause(minutes(30));
        let now = days.moment();
        days.owner_writes(
            1,
            &json!({
                "status": "running", "blocked_stage": "", "blocked_reason": {}, "resume_required": false,
                "process_id": vigil::demo::home::NOBODY,
                "started_at": now, "last_heartbeat_at": now, "updated_at": now,
            }),
        );
        let held = days.told(1, 1);
        assert_eq!((held.0, held.2.as_str()), (Outcome::Held, "active"));
        assert_eq!(days.told(60, 1), blocked);
    }
}

#[test]
fn an_older_copy_that_is_saved_over_a_move_is_no_disagreement_and_a_new_record_is() {
    let mut days = Days::of(|stage| {
        silent(stage, 109, Made::default(), true);
        let ended = stage.minutes_ago(80);
        stage.on_github(|model| {
            model.repo(REPO).pull(21).merged_at(ended);
        });
    });
    let moved = (
        Outcome::Transitioned,
        State::Succeeded,
        "merged-pr".to_owned(),
    );
    let before = days.stage.sessions();
    assert_eq!(days.told(0, 1), moved);
    for minutes in [1, 2, 4, 8] {
        std::fs::write(days.stage.sessions_file(), &before).expect("the records");
        assert_eq!(days.told(minutes, 1), moved, "after {minutes} min");
    }
    std::fs::write(days.stage.sessions_file(), &before).expect("the records");
    let waits = (Outcome::Refused, State::Running, "fresh-read".to_owned());
    assert_eq!(days.told(1, 1), waits, "in a row it waits for longer");
    assert_eq!(days.alerts("owner-disagrees"), [""; 0]);
    assert_eq!(days.told(15, 1), moved);
    // Its owner means it: it has written the record anew, twice.
    for again in 0..2 {
        let now = days.moment();
        std::fs::write(days.stage.sessions_file(), &before).expect("the records");
        days.owner_writes(1, &json!({ "updated_at": now }));
        let told = days.told(20, 1);
        match again {
            0 => assert_eq!(told, moved),
            _ => assert_eq!(told.2, "owner-disagrees"),
        }
    }
}

#[test]
fn a_block_of_vigils_own_ends_with_its_ground_twice_a_day_and_a_foreign_one_stays() {
    let mut days = Days::of(|stage| {
        silent(stage, 109, Made::default(), true);
        let ended = stage.minutes_ago(80);
        stage.on_github(|model| {
            model.repo(REPO).pull(21).closed_at(ended);
        });
    });
    let blocked = |rule: &str| (Outcome::Transitioned, State::Blocked, rule.to_owned());
    let let_go = (
        Outcome::Transitioned,
        State::Maintaining,
        "open-pr".to_owned(),
    );
    assert_eq!(days.told(0, 1), blocked("closed-pr"));
    for _ in 0..2 {
        days.pull(|pull| {
            pull.reopened();
        });
        let told = days.pass(5, 1);
        assert_eq!((told.outcome, told.to), (let_go.0, let_go.1));
        let over = "what vigil blocked it for (closed-pr) is over";
        assert!(told.reason.contains(over), "{}", told.reason);
        assert_eq!(days.stage.record(1)["pull_request_state"], "OPEN");
        days.pull(|pull| {
            pull.closed();
        });
        assert_eq!(days.told(5, 1), blocked("closed-pr"));
    }
    days.pull(|pull| {
        pull.reopened();
    });
    let told = days.pass(5, 1);
    assert_eq!((told.outcome, told.to), (Outcome::Refused, State::Blocked));
    assert!(
        told.guards[0].detail.contains("2 times"),
        "{:?}",
        told.guards
    );
    // A day later it may go once more; but not once somebody else has written the record.
    assert_eq!(days.told(24 * 60, 1), let_go);
    days.pull(|pull| {
        pull.closed();
    });
    assert_eq!(days.told(5, 1), blocked("closed-pr"));
    days.owner_writes(1, &json!({ "resume_hint": "ask me" }));
    days.pull(|pull| {
        pull.reopened();
    });
    let told = days.told(24 * 60, 1);
    assert_eq!((told.0, told.1), (Outcome::Held, State::Blocked));
}

#[test]
fn an_agent_that_was_gone_and_left_a_pull_request_after_all_is_let_go() {
    let mut days = Days::of(|stage| {
        stage.home.add(&Made::default()).expect("a session");
        stage.on_github(|model| {
            model.repo(REPO).issue(1);
        });
    });
    assert_eq!(days.told(0, 1).2, "agent-gone");
    let now = days.clock.now();
    days.stage.on_github(|model| {
        let issue = model.repo(REPO).issue(1);
        issue.pull(21).head(&Home::branch(1)).created_at(now.0);
    });
    let told = days.pass(5, 1);
    assert_eq!(
        (told.outcome, told.to),
        (Outcome::Transitioned, State::Maintaining)
    );
    assert!(
        told.reason.contains("(agent-gone) is over"),
        "{}",
        told.reason
    );
}

#[test]
fn what_is_reopened_after_vigil_settled_it_is_told_once_and_costs_nothing() {
    let mut days = Days::of(|stage| {
        silent(stage, 109, Made::default(), true);
        let ended = stage.minutes_ago(80);
        stage.on_github(|model| {
            let issue = model.repo(REPO).issue(1).closed_at("completed", ended);
            issue.pull(21).merged_at(ended);
        });
        somebody_elses(stage);
    });
    assert_eq!(days.pass(0, 1).to, State::Succeeded);
    days.pass(5, 2);
    assert_eq!(days.alerts("reopened-"), [""; 0]);
    let reopen = |days: &mut Days, open: bool| {
        let now = days.clock.now();
        days.stage.on_github(|model| {
            model.set_now(now.0);
            let issue = model.repo(REPO).issue(1);
            match open {
                true => drop(issue.reopened()),
                false => drop(issue.closed("completed")),
            }
        });
    };
    reopen(&mut days, true);
    let before = days.stage.sessions();
    days.pass(5, 2);
    let told = days.alerts("reopened-");
    assert_eq!(
        told,
        [format!(
            "vigilante:{REPO}#1: issue #1 was reopened after t1 had made it succeeded; the marks that t1 set keep \
             vigilante from working on it, and `vigil undo t1` takes them back: vigilante will then start an agent on it"
        )]
    );
    assert_eq!(days.stage.sessions(), before, "vigil takes no mark back");
    let notices = |days: &Days| {
        let waiting = days
            .vigil
            .store
            .undelivered(days.clock.now().after(minutes(1)));
        let waiting = waiting.expect("the outbox");
        waiting
            .iter()
            .filter(|one| one.key.contains("/reopened-"))
            .count()
    };
    assert_eq!(notices(&days), 0, "nobody is configured to be told");
    for _ in 0..3 {
        days.pass(5, 2);
    }
    assert_eq!(days.alerts("reopened-"), told, "it stands");
    reopen(&mut days, false);
    days.pass(5, 2);
    assert_eq!(days.alerts("reopened-"), [""; 0], "over");
    reopen(&mut days, true);
    days.pass(5, 2);
    assert_eq!(days.alerts("reopened-").len(), 1, "told anew");
    let id = SessionId::new("vigilante", format!("{REPO}#1"));
    assert_eq!(
        days.vigil
            .store
            .transitions(Some(&id), None, 9)
            .expect("rows")
            .len(),
        1
    );
    // After the undo it is told no more, and the move is not repeated.
    days.undo();
    let told = days.told(5, 1);
    assert_eq!(
        (told.0, told.2.as_str()),
        (Outcome::Refused, "owner-disagrees")
    );
    assert_eq!(days.alerts("reopened-"), [""; 0]);
}

#[test]
fn an_issue_that_was_open_all_along_is_not_told_and_neither_is_an_old_story() {
    for (closed, days_later, told) in [(false, 1, 0), (true, 29, 1), (true, 31, 0)] {
        let mut days = Days::of(|stage| {
            silent(stage, 109, Made::default(), true);
            let ended = stage.minutes_ago(80);
            stage.on_github(|model| {
                let issue = model.repo(REPO).issue(1);
                let issue = if closed {
                    issue.closed_at("completed", ended)
                } else {
                    issue
                };
                issue.pull(21).merged_at(ended);
            });
            somebody_elses(stage);
        });
        assert_eq!(days.pass(0, 1).to, State::Succeeded);
        days.clock.pause(Duration::from_secs(days_later * 86_400));
        let now = days.clock.now();
        days.stage.on_github(|model| {
            model.set_now(now.0);
            model.repo(REPO).issue(1).reopened().label("again");
        });
        days.pass(5, 2);
        assert_eq!(
            days.alerts("reopened-").len(),
            told,
            "{closed} {days_later}"
        );
    }
}

#[test]
fn of_several_vigils_with_memories_of_their_own_each_move_is_claimed_by_one() {
    let mut stage = Stage::new();
    for issue in 1..=12 {
        stage.add_merged(&Made {
            issue,
            ..Made::default()
        });
    }
    stage.write();
    let runs: Vec<_> = (0..3)
        .map(|number| {
            let mut command = stage.vigil(&["run", "--once", "--json"]);
            command.env("VIGIL_STATE_DIR", stage.path(&format!("state-{number}")));
            std::thread::spawn(move || stage::ran(&mut command))
        })
        .collect();
    let mut claimed = 0;
    for run in runs {
        let report = run.join().expect("it ends").json();
        let sessions = report["sessions"].as_array().expect("a list").clone();
        claimed += sessions
            .iter()
            .filter(|session| session["outcome"] == "transitioned")
            .count();
    }
    assert_eq!(claimed, 12);
    for issue in 1..=12 {
        assert_eq!(stage.record(issue)["status"], "success", "{issue}");
    }
}
