//! `vigil policy test` from its command line: what passes, what fails and how that reads, and what is no test at all.

mod guards;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A folder to work in, with a user of its own.
struct Place {
    folder: TempDir,
}

/// How a command ended.
#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Ran {
    #[track_caller]
    fn ended(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        assert!(!self.err.contains("panicked"), "{self:#?}");
        self
    }

    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }
}

impl Place {
    fn new() -> Place {
        let folder = tempfile::tempdir().expect("a folder");
        Place { folder }
    }

    /// A policy's folder called `mine`, with a component in it and one fixture file.
    fn with_policy(component: &Path, cases: &str) -> Place {
        let place = Place::new();
        place.write("mine/cases/all.toml", cases);
        fs::copy(component, place.path("mine/mine.wasm")).expect("a component");
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, text).expect("a file");
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vigil-under-test"));
        command
            .current_dir(self.folder.path())
            .env_clear()
            .envs(std::env::var("PATH").map(|path| ("PATH", path)))
            .env("HOME", self.folder.path())
            .env("XDG_CACHE_HOME", compiled())
            .env("VIGIL_STATE_DIR", self.path("state"))
            .stdin(Stdio::null());
        command
    }

    fn policy_test(&self, arguments: &[&str]) -> Ran {
        ran(self.command().args(["policy", "test"]).args(arguments))
    }
}

fn ran(command: &mut Command) -> Ran {
    let output = command.output().expect("the program starts");
    Ran {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).expect("UTF-8"),
        err: String::from_utf8(output.stderr).expect("UTF-8"),
    }
}

/// Compiled policies, shared by the tests of a build: compiling is the longest part of a first run.
fn compiled() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("vigil-it-cache")
}

fn repository() -> &'static Path {
    xtask::command::root()
}

fn guest(name: &str) -> PathBuf {
    let folder = repository().join("tests/guests/dist");
    folder.join(name).with_extension("wasm")
}

fn default_policy() -> PathBuf {
    repository().join("policies/dist/default.wasm")
}

/// One case that the default policy passes, and one that it does not.
const TWO_CASES: &str = r#"
[[case]]
name = "merged"
pull_request = { state = "merged", merged = "-80m", number = 319 }
expect = { verdict = "transition", state = "succeeded", rule = "merged-pr" }

[[case]]
name = "open & wrongly <expected>"
pull_request = { state = "open", number = 319 }
expect = { verdict = "transition", state = "succeeded", rule = "merged-pr", reason_has = "was merged" }
"#;

/// One case that any guest can be asked about.
const ANY: &str = "[[case]]\nname = \"any\"\nexpect = { verdict = \"hold\" }\n";

// ---- What passes -----------------------------------------------------------------------------------------------------

#[test]
fn the_default_policy_passes_its_cases_and_they_reach_every_rule() {
    let place = Place::new();
    let folder = repository().join("policies/default");
    let ran = place.policy_test(&[folder.to_str().expect("UTF-8"), "--json"]);
    let report = ran.ended(0).json();
    let policy = &report["policies"][0];
    assert_eq!(policy["unreached"], serde_json::json!([]));
    assert_eq!(report["failed"], 0);
    assert_eq!(report["skipped"], 0);
    let cases = policy["cases"].as_array().expect("a list");
    assert_eq!(report["passed"], cases.len());
    let seed = &cases[0];
    assert!(
        seed["name"]
            .as_str()
            .is_some_and(|name| name.contains("seed")),
        "the first case is what vigil was written for: {seed:#}"
    );
    assert_eq!(seed["got"]["state"], "succeeded");
}

#[test]
fn a_folder_is_tested_with_the_component_that_lies_in_it() {
    let place = Place::with_policy(
        &guest("custom"),
        r#"
[[case]]
name = "a label holds"
issue = { labels = ["needs-design"] }
expect = { verdict = "hold", rule = "needs-design" }
"#,
    );
    let named = place.policy_test(&["mine"]);
    assert!(named.ended(0).out.contains("1 passed, 0 failed, 0 skipped"));
    // Without a path it is the folder that one stands in.
    let here = ran(place
        .command()
        .current_dir(place.path("mine"))
        .args(["policy", "test"]));
    assert!(here.ended(0).out.contains("1 passed, 0 failed, 0 skipped"));
}

#[test]
fn fixture_files_are_tested_with_the_policy_that_is_named() {
    let place = Place::new();
    place.write(
        "one.toml",
        "[[case]]\nname = \"one\"\npull_request = \"merged\"\nexpect = { verdict = \"transition\", state = \"succeeded\" }\n",
    );
    place.write(
        "two.json",
        r#"{"case": [{"name": "two", "agent": 77, "expect": {"verdict": "hold", "rule": "active"}}]}"#,
    );
    let ran = place.policy_test(&[
        "--policy",
        "default.wasm",
        "one.toml",
        "two.json",
        "--show",
        "all",
    ]);
    let out = &ran.ended(0).out;
    assert!(out.contains("ok one (merged-pr)"), "{out}");
    assert!(out.contains("ok two (active)"), "{out}");
    assert!(out.contains("rules that no case reached: "), "{out}");
}

#[test]
fn a_filter_leaves_cases_out_and_says_how_many() {
    let place = Place::with_policy(&default_policy(), TWO_CASES);
    let ran = place.policy_test(&["mine", "--filter", "merged"]);
    let out = &ran.ended(0).out;
    assert!(out.contains("1 passed, 0 failed, 1 skipped"), "{out}");
    // What was left out on purpose is no rule that the cases forgot.
    assert!(!out.contains("no case reached"), "{out}");
}

// ---- What fails ------------------------------------------------------------------------------------------------------

#[test]
fn a_case_that_fails_shows_what_was_wanted_and_what_came() {
    let place = Place::with_policy(&default_policy(), TWO_CASES);
    let ran = place.policy_test(&["mine"]);
    assert_eq!(ran.ended(4).err, "");
    let rules = ran.out.lines().filter(|line| !line.starts_with("rules "));
    insta::assert_snapshot!(rules.collect::<Vec<_>>().join("\n"), @r#"
    mine/mine.wasm (2 cases)
    FAIL mine/cases/all.toml: open & wrongly <expected>
      - wanted, + got
        verdict = transition
      - state = succeeded
      - rule = merged-pr
      - reason has "was merged"
      + state = maintaining
      + rule = open-pr
      + reason = "PR #319 is open; the record was last touched at 2026-01-01T10:00:00Z"
        its reason: PR #319 is open; the record was last touched at 2026-01-01T10:00:00Z
    1 passed, 1 failed, 0 skipped
    "#);
}

#[test]
fn what_a_decision_asks_for_can_be_expected() {
    let expecting = |expect: &str| {
        let text = format!(
            "[[case]]\nname = \"fresh\"\nheartbeat = \"-12m\"\n[case.expect]\nverdict = \"hold\"\n{expect}\n"
        );
        Place::with_policy(&default_policy(), &text).policy_test(&["mine"])
    };
    expecting("look_again_after = \"18m\"\nintents = []").ended(0);
    let ran = expecting("look_again_after = \"5m\"\nintents = [\"notify\"]\nmemo = \"rung 2\"");
    for line in [
        "- look_again_after = 5m",
        "+ look_again_after = 18m",
        "- intents = notify",
        "+ intents = (none)",
        "- memo = rung 2",
        "+ memo = (none)",
    ] {
        assert!(ran.ended(4).out.contains(line), "no {line}: {}", ran.out);
    }
}

#[test]
fn the_junit_file_is_well_formed_and_has_the_failure() {
    let place = Place::with_policy(&default_policy(), TWO_CASES);
    place
        .policy_test(&["mine", "--junit", "results.xml"])
        .ended(4);
    let text = fs::read_to_string(place.path("results.xml")).expect("the file");
    let report = quick_junit::Report::deserialize_from_str(&text).expect("well-formed JUnit");
    assert_eq!((report.tests, report.failures), (2, 1), "{text}");
    let cases = &report.test_suites[0].test_cases;
    let named: Vec<_> = cases.iter().map(|case| case.name.as_str()).collect();
    assert_eq!(named, ["merged", "open & wrongly <expected>"]);
    let failed = |at: usize| match &cases[at].status {
        quick_junit::TestCaseStatus::NonSuccess { description, .. } => {
            description.as_ref().map(|text| text.as_str().to_owned())
        }
        _ => None,
    };
    assert_eq!(failed(0), None);
    let said = failed(1).expect("what differs");
    assert!(said.contains("+ rule = open-pr"), "{said}");
}

#[test]
fn a_junit_file_that_cannot_be_written_is_named() {
    let place = Place::with_policy(&default_policy(), TWO_CASES);
    let ran = place.policy_test(&["mine", "--junit", "nowhere/results.xml"]);
    assert!(
        ran.ended(1).err.contains("nowhere/results.xml"),
        "{}",
        ran.err
    );
}

#[test]
fn what_a_case_is_called_cannot_steer_the_terminal() {
    let place = Place::with_policy(
        &default_policy(),
        "[[case]]\nname = \"\\u001b[2Jgone\"\nexpect = { verdict = \"pass\" }\n",
    );
    let ran = place.policy_test(&["mine", "--junit", "results.xml"]);
    assert!(!ran.ended(4).out.contains('\u{1b}'), "{}", ran.out);
    let text = fs::read_to_string(place.path("results.xml")).expect("the file");
    quick_junit::Report::deserialize_from_str(&text).expect("well-formed JUnit");
}

#[test]
fn json_has_the_keys_that_are_documented() {
    let place = Place::with_policy(&default_policy(), TWO_CASES);
    let report = place.policy_test(&["mine", "--json"]).ended(4).json();
    assert_eq!(report["schema"], "vigil.policy-test/1");
    let whole = ["failed", "passed", "policies", "schema", "skipped"];
    assert_eq!(keys(&report), BTreeSet::from(whole));
    let policy = &report["policies"][0];
    let of_policy = ["cases", "digest", "policy", "unreached"];
    assert_eq!(keys(policy), BTreeSet::from(of_policy));
    let of_case = ["difference", "file", "got", "name", "passed"];
    assert_eq!(keys(&policy["cases"][0]), BTreeSet::from(of_case));
    let of_got = ["outcome", "reason", "rule", "state", "verdict"];
    assert_eq!(keys(&policy["cases"][0]["got"]), BTreeSet::from(of_got));
    assert_eq!(policy["cases"][0]["difference"], Value::Null);
    assert_eq!(
        (&report["passed"], &report["failed"]),
        (&1.into(), &1.into())
    );
    let digest = policy["digest"].as_str().expect("a digest");
    assert_eq!(digest.len(), 64, "SHA-256 in hex: {digest}");
}

// ---- Policies that misbehave -----------------------------------------------------------------------------------------

#[test]
fn how_a_policy_failed_is_shown_with_its_kind() {
    for (name, kind) in [
        ("traps-in-decide", "trap"),
        ("loops-forever", "out-of-fuel"),
        ("eats-memory", "out-of-memory"),
        ("deep-recursion", "stack-overflow"),
        ("returns-err", "error"),
        ("unknown-rule", "nonsense"),
        ("wrong-length-decide", "nonsense"),
    ] {
        let place = Place::with_policy(&guest(name), ANY);
        let ran = place.policy_test(&["mine"]);
        let out = &ran.ended(4).out;
        let line = format!("+ verdict = failure ({kind})");
        assert!(out.contains(&line), "{name}: {out}");
        assert!(
            out.contains("its reason: "),
            "{name} gives no detail: {out}"
        );
    }
}

#[test]
fn a_policy_that_cannot_be_loaded_is_one_error() {
    for (name, words) in [
        ("traps-in-describe", "describe"),
        ("foreign-import", "import"),
        ("core-module", "module"),
    ] {
        let place = Place::with_policy(&guest(name), ANY);
        let ran = place.policy_test(&["mine"]);
        assert!(ran.ended(2).err.contains(words), "{name}: {}", ran.err);
        assert_eq!(ran.out, "", "{name}");
    }
}

#[test]
fn the_limits_are_those_of_run() {
    let place = Place::with_policy(&guest("loops-forever"), ANY);
    let tested = place.policy_test(&["mine", "--json"]).ended(4).json();
    let got = &tested["policies"][0]["cases"][0]["got"];
    let detail = got["reason"].as_str().expect("a detail");
    // The number of units is the limit itself.
    assert!(detail.contains("units of fuel"), "{detail}");
    // A policy that cannot judge its trial evidence is refused by `run`, under its own limits.
    let refused =
        ran(place
            .command()
            .args(["run", "--once", "--dry-run", "--policy", "mine/mine.wasm"]));
    let err = &refused.ended(2).err;
    assert!(err.contains(detail), "{err}\nis not about\n{detail}");
}

// ---- What is no test at all ------------------------------------------------------------------------------------------

#[test]
fn what_would_test_nothing_is_an_error() {
    let hold = "expect = { verdict = \"hold\" }";
    let cases: [(&str, String, &[&str]); 11] = [
        ("an empty file", String::new(), &[]),
        (
            "cases under another name",
            format!("[[cases]]\nname = \"a\"\n{hold}\n"),
            &[],
        ),
        (
            "a misspelt key",
            format!("[[case]]\nname = \"a\"\nhearbeat = \"-1m\"\n{hold}\n"),
            &[],
        ),
        (
            "a misspelt key of a fact",
            format!("[[case]]\nname = \"a\"\nissue = {{ lables = [\"x\"] }}\n{hold}\n"),
            &[],
        ),
        ("no expectation", "[[case]]\nname = \"a\"\n".to_owned(), &[]),
        (
            "a state that a hold does not lead to",
            "[[case]]\nname = \"a\"\nexpect = { verdict = \"hold\", state = \"closed\" }\n"
                .to_owned(),
            &[],
        ),
        (
            "a rule that the policy does not have",
            "[[case]]\nname = \"a\"\nexpect = { verdict = \"hold\", rule = \"actve\" }\n"
                .to_owned(),
            &[],
        ),
        (
            "settings that do not fit the policy's schema",
            format!("[[case]]\nname = \"a\"\nsettings = {{ closed_pr = \"closed\" }}\n{hold}\n"),
            &[],
        ),
        (
            "two cases of one name",
            format!("[[case]]\nname = \"a\"\n{hold}\n[[case]]\nname = \"a\"\n{hold}\n"),
            &[],
        ),
        (
            "a filter that matches nothing",
            format!("[[case]]\nname = \"a\"\n{hold}\n"),
            &["--filter", "b"],
        ),
        ("no TOML", "[[case]\n".to_owned(), &[]),
    ];
    let mut said = String::new();
    for (name, text, arguments) in cases {
        let place = Place::with_policy(&default_policy(), &text);
        let ran = place.policy_test(&[&["mine"], arguments].concat());
        assert_eq!(ran.ended(2).out, "", "{name}");
        said.push_str(&format!("## {name}\n{}\n", ran.err));
    }
    insta::assert_snapshot!("nothing", said.trim_end());
}

#[test]
fn what_cannot_be_found_is_an_error_that_says_what_to_do() {
    let place = Place::new();
    place.write("no-component/cases/all.toml", ANY);
    place.write("two/cases/all.toml", ANY);
    place.write("two/a.wasm", "");
    place.write("two/b.wasm", "");
    fs::create_dir_all(place.path("no-cases")).expect("a folder");
    fs::copy(default_policy(), place.path("no-cases/mine.wasm")).expect("a component");
    place.write("alone.toml", ANY);
    place.write("cases.yaml", "");
    let mut said = String::new();
    for arguments in [
        &["nowhere"][..],
        &["no-component"],
        &["two"],
        &["no-cases"],
        &["alone.toml"],
        &["cases.yaml", "--policy", "default.wasm"],
        &["alone.toml", "--policy", "nowhere.wasm"],
    ] {
        let ran = place.policy_test(arguments);
        assert_eq!(ran.ended(2).out, "", "{arguments:?}");
        said.push_str(&format!("## {}\n{}\n", arguments.join(" "), ran.err));
    }
    insta::assert_snapshot!("not_found", said.trim_end());
}

// ---- The documents ---------------------------------------------------------------------------------------------------

#[test]
fn the_schema_takes_the_shipped_cases_and_refuses_what_is_no_fixture() {
    let schema = ran(Place::new().command().args(["policy", "schema"]));
    let schema = jsonschema::validator_for(&schema.ended(0).json()).expect("a schema");
    let cases = repository().join("policies/default/cases");
    let mut taken = 0;
    for entry in fs::read_dir(cases).expect("the cases") {
        let path = entry.expect("an entry").path();
        let text = fs::read_to_string(&path).expect("a file");
        let value: Value = toml::from_str(&text).expect("TOML");
        let refused = schema.iter_errors(&value).next();
        assert!(refused.is_none(), "{}: {refused:?}", path.display());
        taken += 1;
    }
    assert!(taken > 10, "only {taken} files");
    for text in [
        "[[case]]\nexpect = { verdict = \"hold\" }\n",
        "[[case]]\nname = \"a\"\n",
        "[[case]]\nname = \"a\"\nexpect = { verdict = \"perhaps\" }\n",
        "[[case]]\nname = \"a\"\nexpect = { verdict = \"hold\" }\nlabels = []\n",
        "[[case]]\nname = 1\nexpect = { verdict = \"hold\" }\n",
        "[owner]\nwritable = [\"asleep\"]\n",
        "case = 1\n",
    ] {
        let value: Value = toml::from_str(text).expect("TOML");
        assert!(!schema.is_valid(&value), "{text}");
    }
}

#[test]
fn contributing_has_every_key_of_a_fixture_and_no_other() {
    let document = fs::read_to_string(repository().join("CONTRIBUTING.md")).expect("the file");
    let (_, section) = document
        .split_once("## Fixtures of policies")
        .expect("a section");
    let (section, _) = section.split_once("\n## ").expect("another one after it");
    let code = |text: &str| -> BTreeSet<String> {
        let code = text.split('`').skip(1).step_by(2);
        let words = code.flat_map(|code| {
            code.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-')
        });
        words
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect()
    };
    let schema = ran(Place::new().command().args(["policy", "schema"]));
    let mut known = BTreeSet::new();
    properties(&schema.ended(0).json(), &mut known);
    assert!(known.len() > 80, "only {known:?} were found");
    let named = code(section);
    let missing: Vec<_> = known.difference(&named).collect();
    assert!(
        missing.is_empty(),
        "CONTRIBUTING.md does not name {missing:?}"
    );
    // The second column of the table has nothing but keys.
    let rows = section
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| where"));
    let column: String = rows
        .filter_map(|row| row.split(" | ").nth(1))
        .collect::<Vec<_>>()
        .join(" ");
    let keys = code(&column);
    let unknown: Vec<_> = keys.difference(&known).collect();
    assert!(unknown.is_empty(), "no fixture has {unknown:?}");
}

/// The names of all properties of a schema.
fn properties(schema: &Value, found: &mut BTreeSet<String>) {
    match schema {
        Value::Object(fields) => {
            for (key, value) in fields {
                if let ("properties", Value::Object(named)) = (key.as_str(), value) {
                    found.extend(named.keys().cloned());
                }
                properties(value, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| properties(item, found)),
        _ => {}
    }
}

/// The keys of an object.
fn keys(value: &Value) -> BTreeSet<&str> {
    let object = value
        .as_object()
        .unwrap_or_else(|| panic!("no object: {value:#}"));
    object.keys().map(String::as_str).collect()
}
