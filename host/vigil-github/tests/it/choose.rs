//! Which pull request speaks for a session: tables over number, state, age, base, owner and branch.

use std::collections::BTreeMap;

use vigil_core::forge::{PullRequest, PullRequestState};
use vigil_core::landing::Landing;
use vigil_core::{Fact, Gap, GapKind, Timestamp};
use vigil_github::choose::{Candidates, Choice, More, Wanted, choose};
use vigil_github::convert::Candidate;

use PullRequestState::{Closed, Merged, Open};

const STARTED: u64 = 100;

/// Number `number` of branch `b` in acme/app, which goes into `main`: `number` is also the moment at which it was opened,
/// `ended` the moment at which it ended.
fn pr(number: u64, state: PullRequestState, ended: u64) -> Candidate {
    let at = |of: bool| of.then_some(Timestamp(ended));
    Candidate {
        id: format!("PR_{number}"),
        updated: Timestamp(1000),
        pull_request: PullRequest {
            state,
            created: Timestamp(number),
            merged: at(state == Merged),
            closed: at(state != Open),
            head_ref: "b".to_owned(),
            base_ref: "main".to_owned(),
            head_sha: format!("h{number}"),
            head_owner: Some("acme".to_owned()),
            ..PullRequest::bare(number, Timestamp(1000))
        },
    }
}

/// The same with something else about it.
fn with(candidate: Candidate, change: impl FnOnce(&mut PullRequest)) -> Candidate {
    let mut candidate = candidate;
    change(&mut candidate.pull_request);
    candidate
}

fn into(candidate: Candidate, base: &str) -> Candidate {
    with(candidate, |pr| pr.base_ref = base.to_owned())
}

fn of(candidate: Candidate, owner: Option<&str>) -> Candidate {
    with(candidate, |pr| pr.head_owner = owner.map(str::to_owned))
}

fn on(candidate: Candidate, branch: &str) -> Candidate {
    with(candidate, |pr| pr.head_ref = branch.to_owned())
}

/// A session of branch `b` that began at [`STARTED`], in acme/app with the default branch `main`.
struct Session {
    number: Option<u64>,
    branches: Vec<&'static str>,
    /// One of them that is only checked out.
    checked_out: Option<&'static str>,
    head_owner: Option<&'static str>,
    started: Option<u64>,
    base: Option<&'static str>,
    shares: BTreeMap<String, Fact<bool>>,
}

fn session() -> Session {
    Session {
        number: None,
        branches: vec!["b"],
        checked_out: None,
        head_owner: Some("acme"),
        started: Some(STARTED),
        base: None,
        shares: BTreeMap::new(),
    }
}

impl Session {
    fn recorded(self, number: u64) -> Self {
        Session {
            number: Some(number),
            ..self
        }
    }

    fn shares(mut self, number: u64, fact: Fact<bool>) -> Self {
        self.shares.insert(format!("h{number}"), fact);
        self
    }

    fn choose(&self, known: Vec<Candidate>, more: More) -> Option<Choice> {
        let wanted = Wanted {
            base_owner: "acme",
            number: self.number,
            branches: self.branches.clone(),
            checked_out: self.checked_out,
            head_owner: self.head_owner,
            started: self.started.map(Timestamp),
            landing: Landing {
                base: self.base.map(str::to_owned),
                default: Some("main".to_owned()),
                patterns: vec!["release/*".to_owned()],
            },
            shares: &self.shares,
            observed: Timestamp(1000),
        };
        choose(&Candidates { known, more }, &wanted)
    }

    #[track_caller]
    fn check(&self, known: Vec<Candidate>, expected: &str) {
        self.check_with(known, More::Complete, expected);
    }

    #[track_caller]
    fn check_with(&self, known: Vec<Candidate>, more: More, expected: &str) {
        // The order in which they were read decides nothing.
        let mut turned = known.clone();
        turned.reverse();
        assert_eq!(told(self.choose(known, more.clone())), expected);
        assert_eq!(told(self.choose(turned, more)), expected, "turned around");
    }
}

fn told(choice: Option<Choice>) -> String {
    match choice.map(|choice| choice.fact) {
        None => "needs more".to_owned(),
        Some(Fact::Found(pr)) => format!("#{}", pr.number),
        Some(Fact::Absent(sighting)) => format!("absent {}", sighting.detail),
        Some(Fact::Unknown(gap)) => format!("unknown {}", gap.kind),
        Some(Fact::NotAsked) => "not asked".to_owned(),
    }
}

#[test]
fn an_open_one_speaks_before_a_merged_one_and_the_newest_of_these() {
    let session = session();
    session.check(vec![], "absent ");
    session.check(vec![pr(110, Open, 0)], "#110");
    session.check(vec![pr(110, Open, 0), pr(120, Merged, 200)], "#110");
    session.check(vec![pr(110, Open, 0), pr(120, Open, 0)], "#120");
    session.check(vec![pr(110, Merged, 200), pr(120, Merged, 200)], "#120");
}

#[test]
fn one_that_was_closed_unmerged_hides_none_recorded_or_not() {
    for session in [session(), session().recorded(110), session().recorded(120)] {
        for (older, newer, expected) in [
            // Closed and replaced; opened by mistake and closed.
            (pr(110, Closed, 150), pr(120, Open, 0), "#120"),
            (pr(110, Merged, 150), pr(120, Closed, 160), "#110"),
            (pr(110, Closed, 150), pr(120, Merged, 160), "#120"),
            (pr(110, Open, 0), pr(120, Closed, 160), "#110"),
            (pr(110, Closed, 150), pr(120, Closed, 160), "#120"),
            // Not even one that goes elsewhere: a closed one lands nowhere at all.
            (pr(110, Closed, 150), into(pr(120, Open, 0), "x"), "#120"),
            (
                pr(110, Closed, 150),
                into(pr(120, Merged, 160), "x"),
                "#120",
            ),
        ] {
            session.check(vec![older, newer], expected);
        }
    }
}

#[test]
fn where_it_lands_comes_before_how_it_stands() {
    let base = Session {
        base: Some("develop"),
        ..session()
    };
    for (one, other, expected) in [
        ("develop", "main", "#110"),
        ("main", "develop", "#120"),
        ("main", "release/1", "#110"),
        ("release/1", "feature/x", "#110"),
        ("feature/x", "release/1", "#120"),
        ("feature/x", "feature/y", "#120"),
    ] {
        base.check(
            vec![
                into(pr(110, Merged, 200), one),
                into(pr(120, Merged, 200), other),
            ],
            expected,
        );
    }
    // Merged where it lands, and open into a parent that nobody asked for.
    session().check(
        vec![pr(110, Merged, 200), into(pr(120, Open, 0), "feature/x")],
        "#110",
    );
    session().check(
        vec![into(pr(110, Merged, 200), "feature/x"), pr(120, Open, 0)],
        "#120",
    );
    session().check(vec![into(pr(110, Merged, 200), "feature/x")], "#110");
}

#[test]
fn a_fork_with_the_same_branch_name_does_not_count() {
    let session = session();
    session.check(vec![of(pr(110, Open, 0), Some("mallory"))], "absent ");
    session.check(
        vec![
            of(pr(120, Open, 0), Some("mallory")),
            of(pr(110, Merged, 200), Some("ACME")),
        ],
        "#110",
    );
    let fork = Session {
        head_owner: Some("robot"),
        ..self::session()
    };
    fork.check(
        vec![of(pr(110, Open, 0), Some("Robot")), pr(120, Open, 0)],
        "#110",
    );
}

#[test]
fn a_recorded_one_of_somebody_else_is_named_and_displaces_nothing() {
    let session = session().recorded(110);
    let theirs = || of(pr(110, Merged, 200), Some("mallory"));
    session.check(vec![theirs()], "unknown no-control");
    session.check(vec![theirs(), pr(120, Closed, 150)], "#120");
    let gone = || of(pr(110, Merged, 200), None);
    session.check(vec![gone()], "unknown no-control");
    session.check(vec![gone(), pr(120, Open, 0)], "#120");
    // The record names it, and its branch bears another name on the forge.
    session.check(vec![on(pr(110, Merged, 200), "renamed")], "#110");
    session.check(
        vec![on(pr(110, Merged, 200), "renamed"), pr(120, Open, 0)],
        "#120",
    );
    // Of a fork that is gone, the record's word is all that is left.
    let fork = Session {
        head_owner: Some("robot"),
        ..self::session().recorded(110)
    };
    fork.check(vec![gone()], "#110");
    // Nobody knows whose branch it is.
    let nobodys = Session {
        branches: Vec::new(),
        head_owner: None,
        ..self::session().recorded(110)
    };
    nobodys.check(vec![theirs()], "#110");
    nobodys.check(vec![pr(110, Closed, 150)], "#110");
}

#[test]
fn the_pull_request_of_a_deleted_fork_is_not_guessed_at() {
    // Our branch lives in the base repository, which is there: whatever lost its home is not ours.
    session().check(vec![of(pr(110, Merged, 200), None)], "absent ");
    let fork = Session {
        head_owner: Some("robot"),
        ..session()
    };
    let ours = |number, state, ended| of(pr(number, state, ended), Some("robot"));
    let gone = |number, state, ended| of(pr(number, state, ended), None);
    fork.check(vec![gone(110, Merged, 200)], "unknown no-control");
    fork.check(vec![gone(110, Open, 0)], "unknown no-control");
    fork.check(vec![gone(50, Merged, 60)], "absent earlier-run");
    for other in [
        ours(120, Merged, 200),
        ours(120, Open, 0),
        ours(120, Closed, 200),
    ] {
        fork.check(vec![gone(130, Merged, 200), other], "#120");
    }
}

#[test]
fn the_branch_that_is_checked_out_counts_like_the_recorded_one() {
    let renamed = Session {
        branches: vec!["b", "c"],
        ..session()
    };
    renamed.check(vec![on(pr(110, Open, 0), "c")], "#110");
    renamed.check(
        vec![on(pr(110, Merged, 200), "c"), pr(120, Closed, 150)],
        "#110",
    );
    renamed.check(vec![on(pr(110, Open, 0), "d")], "absent ");
    session().check(vec![on(pr(110, Open, 0), "c")], "absent ");
    renamed.check(
        vec![of(on(pr(110, Open, 0), "c"), Some("mallory"))],
        "absent ",
    );
}

#[test]
fn an_earlier_runs_was_opened_before_the_start_and_is_known_not_to_be_contained() {
    let unknown = || Fact::unknown(GapKind::TimedOut, "git is slow");
    let shares = [
        ("not looked at", None),
        ("no checkout", Some(Fact::absent_at(Timestamp(1000)))),
        ("yes", Some(Fact::Found(true))),
        ("no", Some(Fact::Found(false))),
        ("unknown", Some(unknown())),
    ];
    // Of number 50, opened before the start; what it answers when it is found by its branch, and when it is recorded.
    let table = [
        // state, ended, [not looked at, no checkout, yes, no, unknown]
        (Open, 0, ["#50", "#50", "#50", "absent earlier-run", "#50"]),
        (
            Merged,
            60,
            [
                "absent earlier-run",
                "absent earlier-run",
                "#50",
                "absent earlier-run",
                "unknown timed-out",
            ],
        ),
        (
            Merged,
            150,
            [
                "#50",
                "#50",
                "#50",
                "absent earlier-run",
                "unknown timed-out",
            ],
        ),
        (
            Closed,
            150,
            [
                "#50",
                "#50",
                "#50",
                "absent earlier-run",
                "unknown timed-out",
            ],
        ),
    ];
    for (state, ended, expected) in table {
        for ((name, fact), expected) in shares.iter().zip(expected) {
            let mut by_branch = session();
            let mut recorded = session().recorded(50);
            if let Some(fact) = fact {
                by_branch = by_branch.shares(50, fact.clone());
                recorded = recorded.shares(50, fact.clone());
            }
            let known = || vec![pr(50, state, ended)];
            assert_eq!(
                told(by_branch.choose(known(), More::Complete)),
                expected,
                "{state:?} {ended} {name}"
            );
            // The owner's own word stands until it is known to be wrong.
            let expected = match *name {
                "no" => "absent earlier-run",
                _ => "#50",
            };
            assert_eq!(
                told(recorded.choose(known(), More::Complete)),
                expected,
                "recorded, {state:?} {ended} {name}"
            );
        }
    }
    // One that was opened after the start is of this run, whatever the checkout says.
    session()
        .shares(110, Fact::Found(false))
        .check(vec![pr(110, Merged, 200)], "#110");
    // The newer one is an earlier run's, and the older one is not.
    session()
        .shares(60, Fact::Found(false))
        .shares(50, Fact::Found(true))
        .check(vec![pr(60, Merged, 70), pr(50, Merged, 150)], "#50");
}

#[test]
fn without_a_start_an_ended_one_is_told_by_its_work_alone() {
    let undated = || Session {
        started: None,
        ..session()
    };
    undated().check(vec![pr(110, Merged, 200)], "unknown unrecorded");
    undated().check(vec![pr(110, Open, 0)], "#110");
    undated().check(vec![], "absent ");
    undated()
        .shares(110, Fact::Found(true))
        .check(vec![pr(110, Merged, 200)], "#110");
    undated()
        .recorded(110)
        .check(vec![pr(110, Merged, 200)], "#110");
}

#[test]
fn an_incomplete_list_settles_only_what_nothing_could_displace() {
    let after = || More::After("cursor".to_owned());
    let lost = || More::Lost(Gap::new(GapKind::TimedOut, "late"));
    let session = session();
    session.check_with(vec![], after(), "needs more");
    session.check_with(vec![pr(190, Merged, 200)], after(), "needs more");
    session.check_with(vec![pr(190, Open, 0)], after(), "#190");
    session.check_with(vec![into(pr(190, Open, 0), "x")], after(), "needs more");
    session.check_with(vec![], lost(), "unknown timed-out");
    session.check_with(vec![pr(190, Merged, 200)], lost(), "unknown timed-out");
    session.check_with(vec![pr(190, Open, 0)], lost(), "#190");
    // The recorded one needs no more where it is open and nothing speaks against it. Beside one that was merged another
    // one may be open, which speaks.
    let recorded = self::session().recorded(190);
    recorded.check_with(vec![pr(190, Open, 0)], after(), "#190");
    recorded.check_with(vec![pr(190, Merged, 200)], after(), "needs more");
    recorded.check_with(vec![pr(190, Merged, 200)], lost(), "unknown timed-out");
    recorded.check(vec![pr(190, Merged, 200), pr(195, Open, 0)], "#195");
    recorded.check(vec![pr(190, Merged, 200)], "#190");
    recorded.check_with(vec![into(pr(190, Merged, 200), "x")], after(), "needs more");
    recorded.check_with(vec![pr(190, Closed, 200)], after(), "needs more");
    recorded.check_with(vec![on(pr(190, Open, 0), "x")], after(), "needs more");
    recorded.check_with(
        vec![of(pr(190, Open, 0), Some("mallory"))],
        after(),
        "needs more",
    );
    let earlier = self::session().recorded(50).shares(50, Fact::Found(false));
    earlier.check_with(vec![pr(50, Merged, 60)], after(), "needs more");
}

#[test]
fn those_that_were_passed_over_are_named_with_the_reason() {
    let session = session().recorded(105).shares(50, Fact::Found(false));
    let choice = session.choose(
        vec![
            of(pr(105, Open, 0), Some("mallory")),
            pr(110, Closed, 150),
            into(pr(120, Open, 0), "feature/x"),
            pr(130, Open, 0),
            pr(50, Merged, 60),
        ],
        More::Complete,
    );
    let choice = choice.expect("nothing is missing");
    assert_eq!(choice.fact.found().map(|pr| pr.number), Some(130));
    let named: Vec<String> = choice
        .passed_over
        .iter()
        .map(|other| format!("#{}: {}", other.number, other.why))
        .collect();
    assert_eq!(
        named,
        [
            "#50: an earlier run's",
            "#120: goes into feature/x",
            "#110: closed without a merge",
            "#105: its branch is in the repository of mallory, and not of acme",
        ]
    );
}

#[test]
fn a_branch_that_is_only_checked_out_brings_what_the_checkout_shares_the_work_of() {
    let out = || Session {
        branches: vec!["b", "c"],
        checked_out: Some("c"),
        ..session()
    };
    let unread = || Fact::unknown(GapKind::TimedOut, "it took too long");
    for state in [Open, Merged, Closed] {
        for opened in [50, 110] {
            let theirs = || on(pr(opened, state, 150), "c");
            let with = |shares: Fact<bool>| out().shares(opened, shares);
            let own = format!("#{opened}");
            with(Fact::Found(true)).check(vec![theirs()], &own);
            // Somebody else's: an untouched branch of that name, or another session's work.
            with(Fact::Found(false)).check(vec![theirs()], "absent ");
            with(unread()).check(vec![theirs()], "unknown timed-out");
            out().check(vec![theirs()], "unknown no-control");
            // The record's word needs no comparison.
            let recorded = with(Fact::Found(false)).recorded(opened);
            assert_ne!(
                told(recorded.choose(vec![theirs()], More::Complete)),
                "absent "
            );
            // Beside one of the recorded branch it says nothing.
            let both = vec![theirs(), pr(120, Open, 0)];
            with(Fact::Found(false)).check(both, "#120");
        }
    }
    let session = out().shares(110, Fact::Found(false));
    let passed_over = session.choose(vec![on(pr(110, Open, 0), "c")], More::Complete);
    let why = passed_over.expect("an answer").passed_over[0].why.clone();
    assert_eq!(
        why,
        "of the branch that is checked out, with none of the checkout's work"
    );
}
