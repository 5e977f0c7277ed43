//! Several policies: the first that does not pass decides, and one that fails says so.

use std::sync::Arc;

use serde_json::{Value, json};
use vigil::demo::Made;
use vigil::demo::home::REPO;
use vigil::pass::How;
use vigil::world::LiveWorld;

use super::guests;
use super::stage::{Stage, session};

/// Sessions 1 and 2 with merged pull requests; issue 1 bears the team's label.
fn labelled() -> Stage {
    let mut stage = Stage::new();
    for issue in [1, 2] {
        stage.add_merged(&Made {
            issue,
            ..Made::default()
        });
    }
    stage.on_github(|model| {
        model.repo(REPO).issue(1).label("needs-design");
    });
    stage.write();
    stage
}

#[test]
fn a_team_policy_in_front_speaks_about_its_label_and_leaves_the_rest_to_the_default() {
    let stage = labelled();
    let team = guests::path("custom");
    let run = stage
        .run(&[
            "run",
            "--once",
            "--policy",
            &team,
            "--policy",
            "default.wasm",
            "--json",
        ])
        .json_with(0);
    let held = session(&run, 1);
    assert_eq!(
        (&held["outcome"], &held["rule"]),
        (&json!("held"), &json!("needs-design")),
        "{held:#}"
    );
    assert_eq!(held["policy"], "custom.wasm");
    let moved = session(&run, 2);
    assert_eq!(
        (&moved["outcome"], &moved["rule"]),
        (&json!("transitioned"), &json!("merged-pr")),
        "{moved:#}"
    );
    assert_eq!(moved["policy"], "default.wasm");
    assert_ne!(moved["policy_digest"], held["policy_digest"]);

    let told = stage
        .run(&[
            "explain",
            &format!("{REPO}#1"),
            "--policy",
            &team,
            "--policy",
            "default.wasm",
            "--json",
        ])
        .json_with(0);
    let said: Vec<&Value> = told["answers"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| &one["policy"])
        .collect();
    assert_eq!(
        said,
        ["custom.wasm"],
        "the second is not asked when the first decides"
    );
}

#[test]
fn the_order_of_the_chain_is_the_order_of_speaking() {
    let stage = labelled();
    let team = guests::path("custom");
    let run = stage
        .run(&[
            "run",
            "--once",
            "--policy",
            "default.wasm",
            "--policy",
            &team,
            "--json",
        ])
        .json_with(0);
    for issue in [1, 2] {
        assert_eq!(session(&run, issue)["rule"], "merged-pr");
    }
}

#[test]
fn a_chain_in_which_all_pass_holds_the_session_and_says_so() {
    let stage = labelled();
    let before = stage.sessions();
    let run = stage
        .run(&[
            "run",
            "--once",
            "--policy",
            &guests::path("custom"),
            "--json",
        ])
        .json_with(0);
    let held = session(&run, 2);
    assert_eq!(held["outcome"], "held", "{held:#}");
    assert!(
        held["reason"]
            .as_str()
            .is_some_and(|reason| !reason.is_empty()),
        "{held:#}"
    );
    assert_eq!(stage.sessions(), before);
}

/// Session 3 makes the guest trap, session 2 does not.
pub(super) fn with_a_bad_one() -> Stage {
    let mut stage = labelled();
    let extra = json!({ "repo": "acme/bad", "push_repo": "acme/bad" });
    let head = stage
        .home
        .add(&Made {
            issue: 3,
            extra: extra.as_object().expect("an object").clone(),
            ..Made::default()
        })
        .expect("a session");
    let (created, ended) = (stage.minutes_ago(100), stage.minutes_ago(80));
    stage.on_github(|model| {
        let issue = model
            .repo("acme/bad")
            .issue(3)
            .closed_at("completed", ended);
        let branch = vigil::demo::Home::branch(3);
        issue
            .pull(23)
            .head(&branch)
            .head_owner("acme")
            .sha(&head)
            .created_at(created)
            .merged_at(ended);
    });
    stage.write();
    stage
}

fn bad(run: &Value) -> &Value {
    let all = run["sessions"].as_array().expect("a list");
    all.iter()
        .find(|session| session["id"] == "acme/bad#3")
        .expect("the bad one")
}

#[test]
fn a_policy_that_traps_holds_its_session_and_says_so() {
    let stage = with_a_bad_one();
    let before = stage.sessions();
    let guest = guests::path("traps-on-bad");
    let run = stage
        .run(&[
            "run",
            "--once",
            "--policy",
            &guest,
            "--policy",
            "default.wasm",
            "--json",
        ])
        .json_with(1);
    let held = bad(&run);
    assert_eq!(held["outcome"], "held", "{held:#}");
    let reason = held["reason"].as_str().expect("a reason");
    assert!(
        reason.contains("traps-on-bad") && reason.contains("trap"),
        "{reason}"
    );
    // The others of its batch are judged all the same.
    assert_eq!(session(&run, 2)["rule"], "misbehaves");
    assert_eq!(stage.sessions(), before);
}

#[test]
fn only_an_explicit_setting_lets_the_next_policy_speak_for_one_that_failed() {
    let stage = with_a_bad_one();
    stage.configure(&format!(
        "[[policy]]\npath = {:?}\non_failure = \"pass\"\n[[policy]]\npath = \"default.wasm\"\n",
        guests::path("traps-on-bad")
    ));
    let run = stage.run(&["run", "--once", "--json"]).json_with(0);
    let moved = bad(&run);
    assert_eq!(
        (&moved["outcome"], &moved["rule"]),
        (&json!("transitioned"), &json!("merged-pr")),
        "{moved:#}"
    );
    assert_eq!(
        session(&run, 2)["rule"],
        "misbehaves",
        "where it does not fail it decides"
    );
}

#[test]
fn a_policy_that_says_that_it_failed_holds_with_its_own_words() {
    let stage = labelled();
    let run = stage
        .run(&[
            "run",
            "--once",
            "--policy",
            &guests::path("returns-err"),
            "--json",
        ])
        .json_with(1);
    let held = session(&run, 2);
    assert_eq!(held["outcome"], "held");
    assert!(
        held["reason"]
            .as_str()
            .is_some_and(|reason| reason.contains("this guest fails for")),
        "{held:#}"
    );
}

#[test]
fn a_policy_that_keeps_failing_is_left_out_and_the_passes_go_on() {
    let stage = with_a_bad_one();
    stage.configure(&format!(
        "[[policy]]\npath = {:?}\n",
        guests::path("traps-on-bad")
    ));
    let setup = stage.inside(Arc::new(LiveWorld));
    let (_engine, chain) = setup.chain(&[]).expect("a chain");
    let mut reconciler = setup.reconciler(chain, None).expect("a reconciler");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build();
    let runtime = runtime.expect("a runtime");
    let mut reasons = Vec::new();
    for _ in 0..7 {
        let passed = runtime
            .block_on(reconciler.pass(&How::once()))
            .expect("a pass");
        let entries = passed.batches.iter().flat_map(|batch| &batch.entries);
        for entry in entries {
            if entry.evidence.session.id.id == "acme/bad#3" {
                reasons.push(entry.reason());
            } else {
                assert_eq!(
                    entry.ruling.as_ref().map(|ruling| ruling.rule.as_str()),
                    Some("misbehaves")
                );
            }
        }
    }
    assert_eq!(reasons.len(), 7);
    assert!(!reasons[4].contains("is not asked"), "{reasons:#?}");
    assert!(
        reasons[5].contains("is not asked") && reasons[6].contains("is not asked"),
        "{reasons:#?}"
    );
}

#[test]
fn a_refusal_says_whom_it_silences_and_a_setting_lets_them_speak() {
    // Its pull request was closed, its issue is open: the default policy is set to close it, which the source does not
    // allow, and the team's policy behind it knows the label.
    let mut stage = Stage::new();
    let made = Made {
        issue: 1,
        ..Made::default()
    };
    let head = stage.home.add(&made).expect("a session");
    let (created, ended) = (stage.minutes_ago(100), stage.minutes_ago(80));
    stage.on_github(|model| {
        let issue = model.repo(REPO).issue(1).label("needs-design");
        let pull = issue.pull(21).head(&vigil::demo::Home::branch(1));
        pull.sha(&head).created_at(created).closed_at(ended);
    });
    stage.write();
    let judged = |on_refused: &str| {
        stage.configure(&format!(
            "[[policy]]\npath = \"default.wasm\"\n{on_refused}\n\
             settings = {{ closed_pr_of_open_issue = \"closed\" }}\n[[policy]]\npath = {:?}\n",
            guests::path("custom")
        ));
        let run = stage.run(&["run", "--once", "--dry-run", "--json"]);
        session(&run.json_with(0), 1).clone()
    };
    let silent = judged("");
    assert_eq!(silent["outcome"], "refused", "{silent:#}");
    assert_eq!(silent["policy"], "default.wasm", "{silent:#}");
    let reason = silent["reason"].as_str().expect("a reason");
    for words in ["custom.wasm is not heard", "on_refused = \"pass\""] {
        assert!(reason.contains(words), "{reason}");
    }
    let heard = judged("on_refused = \"pass\"");
    assert_eq!(
        (&heard["outcome"], &heard["rule"], &heard["policy"]),
        (
            &json!("held"),
            &json!("needs-design"),
            &json!("custom.wasm")
        ),
        "{heard:#}"
    );
    let reason = heard["reason"].as_str().expect("a reason");
    assert!(
        reason.contains("default.wasm was refused before it (closed-pr: positive-evidence)"),
        "{reason}"
    );
}
