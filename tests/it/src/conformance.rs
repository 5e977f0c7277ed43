//! vigil on the sessions that Vigilante was seen to handle: the real program, on real git worktrees, with a model of
//! GitHub over HTTP. `tests/fixtures/vigilante-cases.toml` says what is to come of each, and where that differs from
//! what Vigilante makes of it.

mod case;
mod scene;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use self::case::{Case, Cases};
use self::scene::Scene;

/// Cases that are tried at the same time: each waits for git and for the program most of the time.
const AT_ONCE: usize = 4;

#[test]
fn each_case_ends_as_the_fixture_says() {
    if scene::was_suspended() {
        eprintln!(
            "skipped: this machine was suspended since its boot, and every silence counts from there"
        );
        return;
    }
    let cases = Cases::read();
    let mut findings = Vec::new();
    for some in cases.case.chunks(AT_ONCE) {
        std::thread::scope(|scope| {
            let tries: Vec<_> = some
                .iter()
                .map(|case| scope.spawn(|| tried(&cases, case)))
                .collect();
            for attempt in tries {
                findings.extend(attempt.join().expect("a case does not panic"));
            }
        });
    }
    assert!(findings.is_empty(), "{:#?}", findings);
}

/// What of a case is not as it must be.
fn tried(cases: &Cases, case: &Case) -> Vec<String> {
    let scene = Scene::set(cases, case);
    let before = scene.sessions();
    let (code, report) = scene.pass();
    let after = scene.sessions();
    let mut findings = Vec::new();
    let mut differ = |what: &str, found: Value, wanted: Value| {
        if found != wanted {
            findings.push(format!("{}, {what}: {found} and not {wanted}", case.id));
        }
    };
    let expect = &case.expect;
    differ("exit code", json!(code), json!(expect.exit));
    let session = &report["sessions"][0];
    differ("session", session["id"].clone(), json!("owner/repo#299"));
    differ("outcome", session["outcome"].clone(), json!(expect.outcome));
    differ("rule", session["rule"].clone(), json!(expect.rule));
    differ("state", session["to"].clone(), json!(expect.state));
    differ("native", session["to_native"].clone(), json!(expect.native));
    let gaps = session["gaps"].as_array().into_iter().flatten();
    let gaps: BTreeSet<&str> = gaps.filter_map(|gap| gap["fact"].as_str()).collect();
    let wanted: BTreeSet<&str> = expect.gaps.iter().map(String::as_str).collect();
    differ("gaps", json!(gaps), json!(wanted));

    let record = scene.record();
    differ(
        "status in the record",
        record["status"].clone(),
        json!(expect.native),
    );
    for (key, value) in &expect.set {
        let moved = scene.moved(&serde_json::to_value(value).expect("a value"));
        differ(key, record[key].clone(), moved);
    }
    for key in &expect.present {
        differ(
            &format!("{key} is there"),
            json!(record.get(key).is_some()),
            json!(true),
        );
    }
    for key in &expect.absent {
        differ(
            &format!("{key} is there"),
            json!(record.get(key).is_some()),
            json!(false),
        );
    }
    let unwritten = expect.outcome == "held";
    differ(
        "records are as they were",
        json!(before == after),
        json!(unwritten),
    );
    differ("what is left of the work", scene.work(), json!("all of it"));
    findings
}

#[test]
fn every_difference_from_vigilante_has_its_reason() {
    let readme = xtask::command::root().join("policies/default/README.md");
    let readme = fs::read_to_string(&readme).expect("the default policy's README");
    for case in Cases::read().case {
        let same = case.vigilante.status == case.expect.native && case.vigilante.worktree == "kept";
        let id = &case.id;
        match (&case.differs, &case.row) {
            (None, None) => assert!(
                same,
                "{id} ends otherwise than with Vigilante and does not say why"
            ),
            (Some(differs), Some(row)) => {
                assert!(
                    !same,
                    "{id} ends as with Vigilante, and says that it differs: {differs}"
                );
                assert!(
                    differs.ends_with('.'),
                    "{id}: a difference is a sentence: {differs}"
                );
                assert!(
                    readme.contains(&format!("| {row} |")),
                    "{id}: the README has no row \"{row}\""
                );
            }
            _ => panic!("{id}: a difference has a sentence and a row of the README"),
        }
    }
}

#[test]
fn each_case_is_there_once_and_has_a_rule_of_the_table() {
    let cases = Cases::read().case;
    let ids: BTreeSet<&str> = cases.iter().map(|case| case.id.as_str()).collect();
    assert_eq!(ids.len(), cases.len(), "two cases have the same number");
    let readme = xtask::command::root().join("policies/default/README.md");
    let readme = fs::read_to_string(&readme).expect("the default policy's README");
    for case in &cases {
        let rule = &case.expect.rule;
        assert!(
            readme.contains(&format!("| `{rule}` |")),
            "{}: the default policy has no rule {rule}",
            case.id
        );
    }
}

/// The collection that the cases were taken from, where it lies beside the clone.
fn collection() -> Option<Value> {
    let path: PathBuf = xtask::command::root().join("../shared/cases/vigilante.json");
    let text = fs::read_to_string(path).ok()?;
    Some(serde_json::from_str(&text).expect("the collection is JSON"))
}

#[test]
fn the_facts_are_those_of_the_collection() {
    let Some(collection) = collection() else {
        eprintln!(
            "skipped: there is no ../shared/cases/vigilante.json beside the clone to compare with"
        );
        return;
    };
    let cases = Cases::read();
    let theirs = collection["cases"].as_array().expect("a list of cases");
    let ids = |all: &mut dyn Iterator<Item = &str>| all.map(str::to_owned).collect::<BTreeSet<_>>();
    assert_eq!(
        ids(&mut cases.case.iter().map(|case| case.id.as_str())),
        ids(&mut theirs.iter().filter_map(|case| case["id"].as_str())),
        "the fixture and the collection have different cases"
    );
    for case in &cases.case {
        let their = theirs
            .iter()
            .find(|their| their["id"] == case.id.as_str())
            .expect("just compared");
        let id = &case.id;
        assert_eq!(
            cases.record_of(case),
            their["session"],
            "{id}: another record"
        );
        assert_eq!(json!(cases.now), their["now"], "{id}: another moment");
        assert_eq!(
            json!(case.command),
            their["entrypoint"],
            "{id}: another command"
        );
        assert_eq!(
            json!(case.supervisor == "alive"),
            their["env"]["pid_alive"],
            "{id}: another process"
        );
        assert_eq!(
            json!(case.vigilante.status),
            their["expect"]["status"],
            "{id}: Vigilante ends otherwise"
        );
        let worktree = their["expect"]["worktree"].as_str().unwrap_or("kept");
        assert_eq!(
            case.vigilante.worktree, worktree,
            "{id}: Vigilante leaves another worktree"
        );
        assert_eq!(
            case.github.as_collected(&cases),
            their["github"],
            "{id}: another GitHub"
        );
    }
}
