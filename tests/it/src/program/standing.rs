//! Reasons survive the pass that gave them: why a session is where it is, said by `status` and `explain` for as long as
//! it is so.

use serde_json::{Value, json};
use vigil::demo::home::{REPO, git};
use vigil::demo::{Home, Made};

use super::holds::silent;
use super::stage::{Ran, Stage, ran, session};

/// Runs the program with what it logs.
fn logged(stage: &Stage, arguments: &[&str]) -> Ran {
    ran(stage.vigil(arguments).env("VIGIL_LOG", "warn"))
}

/// What a session's sentence must say, and whose it must be.
#[track_caller]
fn says(session: &Value, rule: &str, from: &str, part: &str) {
    assert_eq!(
        (&session["rule"], &session["reason_from"]),
        (&json!(rule), &json!(from)),
        "{session:#}"
    );
    let reason = session["reason"].as_str().expect("a reason");
    assert!(reason.contains(part), "{reason}");
}

/// The same by a look of `status`, by what the journal keeps, and by `explain`.
#[track_caller]
fn told(stage: &Stage, issue: u64, rule: &str, from: &str, part: &str) {
    says(&session(&stage.status().json(), issue), rule, from, part);
    let offline = stage.run(&["status", "--json", "--offline"]).json();
    says(&session(&offline, issue), rule, from, part);
    let explained = stage.run(&["explain", &format!("{REPO}#{issue}"), "--json"]);
    let explained = explained.ended(0).json();
    says(&explained["session"], rule, from, part);
    says(&explained["last"], rule, from, part);
    for command in [
        &["status"] as &[&str],
        &["explain", &format!("{REPO}#{issue}")],
    ] {
        let shown = stage.run(command).out;
        for said_of_nothing in [
            "every policy passed",
            "no rule applies",
            "all-passed",
            "by :",
        ] {
            assert!(!shown.contains(said_of_nothing), "{shown}");
        }
    }
}

/// A session that was written by Vigilante, with further fields.
fn recorded(stage: &mut Stage, issue: u64, status: &'static str, extra: Value) -> String {
    let Value::Object(extra) = extra else {
        panic!("fields");
    };
    let made = Made {
        issue,
        status,
        extra,
        ..Made::default()
    };
    let head = stage.home.add(&made).expect("a session");
    stage.on_github(|model| {
        model.repo(REPO).issue(issue);
    });
    head
}

/// Its pull request, 20 numbers on.
fn opened(stage: &mut Stage, issue: u64, head: &str) {
    let created = stage.minutes_ago(100);
    stage.on_github(|model| {
        let repo = model.repo(REPO);
        let issue_there = repo.issue(issue);
        let pull = issue_there.pull(issue + 20);
        pull.head(&Home::branch(issue))
            .sha(head)
            .created_at(created);
    });
}

#[test]
fn what_vigil_blocked_says_why_for_as_long_as_it_is_so() {
    let mut stage = Stage::new();
    recorded(&mut stage, 1, "running", json!({}));
    stage.write();
    let moved = session(&stage.pass().json_with(0), 1);
    assert_eq!(moved["to"], "blocked", "{moved:#}");
    says(&moved, "agent-gone", "verdict", "the agent is gone");
    for _ in 0..2 {
        let held = session(&stage.pass().json_with(0), 1);
        assert_eq!(held["outcome"], "held");
        says(&held, "agent-gone", "transition", "the agent is gone");
        told(
            &stage,
            1,
            "agent-gone",
            "transition",
            "vigilante resume --repo",
        );
        told(&stage, 1, "agent-gone", "transition", "(t1)");
    }
    // What it rested on is over, and with it the block.
    let later = super::stage::now().0 + 2_000;
    stage.on_github(|model| {
        let repo = model.repo(REPO);
        repo.issue(1).closed("duplicate").updated_at(later);
    });
    let moved = session(&stage.pass().json_with(0), 1);
    assert_eq!(moved["to"], "closed", "{moved:#}");
    says(
        &moved,
        "closed-issue",
        "verdict",
        "what vigil blocked it for (agent-gone) is over",
    );
}

#[test]
fn what_is_under_review_says_so() {
    let mut stage = Stage::new();
    let head = recorded(&mut stage, 4, "running", json!({}));
    opened(&mut stage, 4, &head);
    stage.write();
    let moved = session(&stage.pass().json_with(0), 4);
    says(&moved, "open-pr", "verdict", "PR #24 is open");
    stage.pass().json_with(0);
    let said = "PR #24 is open and being looked after";
    told(&stage, 4, "open-pr", "pass", said);
}

#[test]
fn an_issue_that_lives_elsewhere_holds_nothing_up_and_is_asked_nobody_about() {
    let mut stage = Stage::new();
    let linear = json!({ "issue_backend": "linear" });
    recorded(&mut stage, 1, "running", linear.clone());
    let head = recorded(&mut stage, 2, "running", linear);
    opened(&mut stage, 2, &head);
    stage.on_github(|model| {
        // Whatever has the same number there is another thing.
        model.repo(REPO).issue(1).closed("completed");
    });
    stage.write();
    let said = stage.pass().json_with(0);
    let gone = session(&said, 1);
    assert_eq!(gone["to"], "blocked", "{gone:#}");
    says(
        &gone,
        "agent-gone",
        "verdict",
        "its issue lives in linear, and there is no pull request",
    );
    let open = session(&said, 2);
    assert_eq!(open["to"], "maintaining", "{open:#}");
    assert_eq!((&gone["gaps"], &open["gaps"]), (&json!([]), &json!([])));
    let shown = stage.run(&["explain", &format!("{REPO}#1")]).out;
    assert!(shown.contains("not asked: it lives in linear"), "{shown}");
}

#[test]
fn what_its_owner_blocked_says_it_in_its_owners_words() {
    let mut stage = Stage::new();
    let quota = json!({
        "blocked_at": "2026-03-26T15:00:00Z",
        "blocked_stage": "issue_execution",
        "blocked_reason": {
            "kind": "provider_quota", "operation": "codex",
            "summary": "Coding-agent account hit a usage limit.", "detail": "try again at 18:00"
        },
    });
    recorded(&mut stage, 1, "blocked", quota.clone());
    recorded(
        &mut stage,
        2,
        "failed",
        json!({"last_error": "exit status 1"}),
    );
    let reason = json!({"incomplete_reason": "uncommitted_changes"});
    recorded(&mut stage, 3, "incomplete", reason);
    recorded(&mut stage, 4, "blocked", json!({}));
    stage.write();
    stage.pass().json_with(0);
    for (issue, part) in [
        (
            1,
            "(provider_quota, codex): Coding-agent account hit a usage limit.",
        ),
        (2, "Vigilante says that it failed: exit status 1"),
        (
            3,
            "Vigilante says that its agent ended with uncommitted changes",
        ),
    ] {
        told(&stage, issue, "owner-says", "owner", part);
    }
    // Nobody wrote down why, and that is what is said.
    let said = "it is blocked, and nothing recorded says why";
    told(&stage, 4, "unexplained", "nobody", said);
}

#[test]
fn a_block_over_unsaved_work_names_the_work_from_then_on() {
    let mut stage = Stage::new();
    let made = Made {
        dirty: true,
        ..Made::default()
    };
    let head = stage.home.add(&made).expect("a session");
    stage.on_github(|model| {
        let repo = model.repo(REPO);
        let issue = repo.issue(1);
        let pull = issue.pull(21).head(&Home::branch(1)).sha(&head);
        pull.merged();
    });
    stage.write();
    let moved = session(&stage.pass().json_with(0), 1);
    assert_eq!(moved["to"], "blocked", "{moved:#}");
    says(&moved, "merged-pr", "verdict", "; not succeeded: ");
    let summary = stage.record(1)["blocked_reason"]["summary"].clone();
    let summary = summary.as_str().expect("a summary");
    assert!(summary.contains("; not succeeded: "), "{summary}");
    stage.pass().json_with(0);
    told(&stage, 1, "merged-pr", "verdict", "; not succeeded: ");
}

#[test]
fn a_block_of_work_that_a_hold_would_cost_says_so_from_then_on() {
    let mut stage = Stage::new();
    stage.configure("[source.vigilante]\nkind = \"vigilante\"\nsame_pid_namespace = true\n");
    let made = Made {
        dirty: true,
        ..Made::default()
    };
    silent(&mut stage, 11, made, false);
    stage.on_github(|model| {
        model.repo(REPO).pull(21).merged();
    });
    stage.write();
    let moved = session(&stage.pass().json_with(0), 1);
    assert_eq!(moved["to"], "blocked", "{moved:#}");
    let work = "would discard uncommitted changes";
    says(&moved, "unsaved-work", "verdict", work);
    stage.pass().json_with(0);
    told(&stage, 1, "merged-pr", "verdict", work);
    let explained = stage.run(&["explain", &format!("{REPO}#1")]).out;
    assert!(!explained.contains("(unsaved-work) is over"), "{explained}");
    // Once a person has put it away, what it was blocked for is over.
    git(&stage.home.worktree(1), &["stash", "--include-untracked"]).expect("it is put away");
    let moved = session(&stage.pass().json_with(0), 1);
    assert_eq!(moved["to"], "succeeded", "{moved:#}");
    says(&moved, "merged-pr", "verdict", "(unsaved-work) is over");
}

#[test]
fn a_reason_holds_moments_and_is_shown_with_ages() {
    let stage = Stage::with_merged(1);
    let moved = session(&stage.pass().json_with(0), 1);
    let reason = moved["reason"].as_str().expect("a reason").to_owned();
    let merged = vigil::ui::moment(vigil_core::Timestamp(stage.minutes_ago(80)));
    assert!(reason.contains(&format!("merged at {merged}")), "{reason}");
    let shown = stage.run(&["history"]).out;
    assert!(
        shown.contains("PR #21 was merged 1 h 20 min ago"),
        "{shown}"
    );
}

/// A session whose recorded pull request was closed without a merge, and what the pass said that blocked it.
fn blocked_over_a_closed_one() -> (Stage, Value) {
    let mut stage = Stage::new();
    let snapshot = json!({"pull_request_number": 21, "pull_request_state": "OPEN"});
    let head = recorded(&mut stage, 1, "running", snapshot);
    opened(&mut stage, 1, &head);
    stage.on_github(|model| {
        model.repo(REPO).pull(21).closed();
    });
    stage.write();
    let moved = session(&stage.pass().json_with(0), 1);
    (stage, moved)
}

#[test]
fn what_cannot_be_asked_again_takes_no_reason_back() {
    let (stage, moved) = blocked_over_a_closed_one();
    assert_eq!(moved["rule"], "closed-pr", "{moved:#}");
    // What GitHub said is old by then, and nobody may ask anew.
    let mut store = vigil_store::Store::open(&stage.state_dir(), stage.now).expect("the journal");
    let none = vigil_store::Retention {
        max_age: std::time::Duration::ZERO,
        ..vigil_store::Retention::default()
    };
    let later = stage.now.after(std::time::Duration::from_secs(3 * 86_400));
    store.prune(later, &none).expect("it is forgotten");
    drop(store);
    let mut without = stage.vigil(&["run", "--once", "--json"]);
    let said = session(&ran(without.env_remove("GH_TOKEN")).json_with(1), 1);
    assert_eq!(said["rule"], "github-unknown", "{said:#}");
    let reason = said["reason"].as_str().expect("a reason");
    let kept = "; t1 blocked it: PR #21 was closed without a merge";
    assert!(reason.contains(kept), "{reason}");
}

#[test]
fn a_block_leaves_the_record_true_about_its_pull_request_and_an_undo_takes_that_back() {
    let (stage, moved) = blocked_over_a_closed_one();
    assert_eq!(moved["to"], "blocked", "{moved:#}");
    says(
        &moved,
        "closed-pr",
        "verdict",
        "PR #21 was closed without a merge",
    );
    let record = stage.record(1);
    assert_eq!(record["pull_request_state"], "CLOSED", "{record:#}");
    assert_eq!(record["pull_request_number"], 21, "{record:#}");
    assert_eq!(record["pull_request_head_branch"], Home::branch(1));
    let id = moved["transition_id"].as_str().expect("a name");
    stage.run(&["undo", id]).ended(0);
    let record = stage.record(1);
    assert_eq!(record["pull_request_state"], "OPEN", "{record:#}");
    assert!(
        record.get("pull_request_head_branch").is_none(),
        "{record:#}"
    );
}

#[test]
fn a_block_that_flaps_is_let_go_twice_in_a_day_and_then_stays() {
    let (mut stage, moved) = blocked_over_a_closed_one();
    assert_eq!(moved["to"], "blocked", "{moved:#}");
    // GitHub counts in whole seconds: what changes must lie after what was looked at.
    let mut later = super::stage::now().as_millis();
    let mut becomes = |stage: &mut Stage, open: bool| {
        later += 5_000;
        stage.on_github(|model| {
            model.set_now(later);
            let repo = model.repo(REPO);
            let pull = repo.pull(21);
            match open {
                true => pull.reopened(),
                false => pull.closed(),
            };
        });
        session(&stage.pass().json_with(0), 1)
    };
    for round in ["(t1)", "(t3)"] {
        let let_go = becomes(&mut stage, true);
        assert_eq!(let_go["to"], "maintaining", "{let_go:#}");
        let over = "what vigil blocked it for (closed-pr) is over";
        says(&let_go, "open-pr", "verdict", over);
        let again = becomes(&mut stage, false);
        assert_eq!(again["to"], "blocked", "after {round}: {again:#}");
    }
    let stays = becomes(&mut stage, true);
    assert_eq!(stays["outcome"], "refused", "{stays:#}");
    let why = "within a day vigil has blocked it and let it go 2 times (t2, t4); it stays blocked for a person";
    says(&stays, "open-pr", "verdict", why);
    let row = session(&stage.status().json(), 1);
    assert_eq!(stage.record(1)["status"], "blocked", "{row:#}");
    let reason = row["reason"].as_str().expect("a reason");
    assert!(reason.contains(why), "{reason}");
}

#[test]
fn a_policy_that_fails_is_told_wherever_people_look() {
    let stage = super::chain::with_a_bad_one();
    let guest = super::guests::path("traps-on-bad");
    let policy = ["--policy", &guest];
    let ran = logged(&stage, &[&["run", "--once"], &policy[..]].concat());
    assert_eq!(ran.code, Some(1), "{ran:#?}");
    assert!(
        ran.out
            .contains("policy failed acme/bad#3: policy traps-on-bad"),
        "{ran:#?}"
    );
    assert!(ran.err.contains("alert raised"), "{ran:#?}");
    let alert = |status: Value| {
        let alerts = status["alerts"].as_array().expect("a list").clone();
        let mut of_policy = alerts.into_iter().filter(|alert| {
            let key = alert["key"].as_str().expect("a key");
            key.starts_with("policy-failed-traps-on-bad")
        });
        of_policy.next().expect("the alert")["text"].clone()
    };
    let text = alert(stage.run(&["status", "--json", "--offline"]).json());
    let text = text.as_str().expect("a text");
    assert!(
        text.contains("(trap)") && text.contains("is held"),
        "{text}"
    );
    let doctor = stage.run(&["doctor"]);
    assert_eq!(doctor.code, Some(1), "{doctor:#?}");
    assert!(doctor.out.contains(text), "{doctor:#?}");
    // Whoever does not ask it learns nothing of it: that it fails is not over.
    stage.pass().json_with(0);
    let still = alert(stage.run(&["status", "--json", "--offline"]).json());
    assert_eq!(still, text);
}

#[test]
fn a_pass_that_holds_everything_says_why() {
    let stage = Stage::with_merged(1).unplug();
    let ran = stage.run(&["run", "--once"]);
    let causes: Vec<&str> = ran
        .out
        .lines()
        .filter(|line| line.contains(" unknown ("))
        .collect();
    assert_eq!(causes.len(), 1, "{ran:#?}");
    let begins = "acme/app#1: issue, pull-request unknown (unreachable): ";
    assert!(causes[0].starts_with(begins), "{ran:#?}");
}

#[test]
fn a_lock_that_lets_nothing_be_written_is_told_once_and_its_tries_do_not_pile_up() {
    let mut stage = Stage::new();
    for issue in 1..=3 {
        let made = Made {
            issue,
            ..Made::default()
        };
        stage.add_merged(&made);
    }
    stage.write();
    let before = stage.sessions();
    let lock = stage.home.vigilante().join("scan.lock");
    let lock = std::fs::File::create(lock).expect("the lock");
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).expect("held");
    for _ in 0..2 {
        let ran = logged(&stage, &["run", "--once"]);
        assert_eq!(ran.code, Some(1), "{ran:#?}");
        let holder = format!("pid {}", std::process::id());
        assert_eq!(ran.out.matches(&holder).count(), 1, "{ran:#?}");
        assert_eq!(ran.err.matches(&holder).count(), 1, "{ran:#?}");
        assert!(
            ran.out.contains("nothing was written to vigilante: "),
            "{ran:#?}"
        );
    }
    let run = stage.pass().json_with(1);
    let why = run["sources"][0]["locked"].as_str().expect("the holder");
    assert!(why.contains("scan.lock is held by"), "{why}");
    assert_eq!(stage.sessions(), before);
    let history = stage.run(&["history", "--json"]).json_with(0);
    let rows = history["transitions"].as_array().expect("a list");
    assert_eq!(rows.len(), 3, "{history:#}");
    // Once it is free the next pass goes through.
    drop(lock);
    let run = stage.pass().json_with(0);
    assert_eq!(run["sources"][0]["locked"], Value::Null);
    assert_eq!(session(&run, 1)["outcome"], "transitioned");
}
