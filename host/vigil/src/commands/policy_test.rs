//! `vigil policy test`: fixtures through a policy and the guards, under the limits that `run` uses.

mod guards;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use serde::Serialize;
use serde_json::{Map, Value};
use similar::TextDiff;
use vigil_core::guard::{Code, Objection};
use vigil_core::verdict::{Decision, PolicyFailure, Verdict};
use vigil_policy::{Engine, Policy, Question};

use crate::cli::{PolicyTestArgs, Show};
use crate::config::Span;
use crate::environment::Environment;
use crate::failure::{EXIT_DONE, EXIT_TESTS, Failure, Outcome};
use crate::fixture::{self, Case, Expect, Fixture, GuardOutcome};
use crate::policies;
use crate::ui::{self, Ui};

/// The schema of `vigil policy test --json`.
pub(crate) const SCHEMA: &str = "vigil.policy-test/1";

#[derive(Debug, Serialize)]
struct TestReport {
    schema: &'static str,
    policies: Vec<PolicyReport>,
    passed: usize,
    failed: usize,
    skipped: usize,
}

#[derive(Debug, Serialize)]
struct PolicyReport {
    policy: String,
    digest: String,
    cases: Vec<CaseReport>,
    unreached: Vec<String>,
}

#[derive(Debug, Serialize)]
struct CaseReport {
    name: String,
    file: String,
    passed: bool,
    got: Got,
    difference: Option<String>,
}

/// What a policy answered, in the words of a fixture.
#[derive(Debug, Default, Serialize)]
struct Got {
    verdict: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    repairs: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    look_again_after: Option<Span>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    intents: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    memo: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<GuardOutcome>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    refused_by: Vec<Code>,
    #[serde(skip_serializing_if = "String::is_empty")]
    reason: String,
    /// What the guards said, for people.
    #[serde(skip)]
    guards: Vec<Objection>,
    /// What would let a refused proposal through, for people.
    #[serde(skip)]
    remedy: Option<String>,
}

/// Runs the command.
pub(crate) fn run(args: &PolicyTestArgs, environment: &Environment, ui: Ui) -> Outcome {
    let plan = plan(args)?;
    let engine = policies::engine(environment)?;
    let mut report = TestReport {
        schema: SCHEMA,
        policies: Vec::new(),
        passed: 0,
        failed: 0,
        skipped: 0,
    };
    for (policy, fixtures) in &plan {
        let tested = test(
            &engine,
            policy,
            fixtures,
            args.filter.as_deref(),
            &mut report.skipped,
        )?;
        report.passed += tested.cases.iter().filter(|case| case.passed).count();
        report.failed += tested.cases.iter().filter(|case| !case.passed).count();
        report.policies.push(tested);
    }
    if report.passed + report.failed == 0 {
        let filter = args.filter.as_deref().unwrap_or_default();
        return Err(
            Failure::request(format!("no case has \"{filter}\" in its name"))
                .hint("leave --filter out, or name a part of a case's name"),
        );
    }
    if let Some(path) = &args.junit {
        write_junit(path, &report)?;
    }
    if ui.json {
        ui.document(&report)?;
    } else {
        print(&report, args.show, ui);
    }
    Ok(if report.failed == 0 {
        EXIT_DONE
    } else {
        EXIT_TESTS
    })
}

/// Which policy is tested with which fixtures.
fn plan(args: &PolicyTestArgs) -> Result<Vec<(String, Vec<Fixture>)>, Failure> {
    let here = [PathBuf::from(".")];
    let paths: &[PathBuf] = if args.paths.is_empty() {
        &here
    } else {
        &args.paths
    };
    let mut plan: Vec<(String, Vec<Fixture>)> = Vec::new();
    for path in paths {
        let (policy, files) = if path.is_dir() {
            let policy = match &args.policy {
                Some(policy) => policy.clone(),
                None => component_of(path)?,
            };
            (policy, cases_of(path)?)
        } else if !path.exists() {
            return Err(
                Failure::request(format!("there is no file or folder {}", path.display()))
                    .hint("name a policy's folder, or fixture files with --policy"),
            );
        } else {
            let Some(policy) = &args.policy else {
                return Err(
                    Failure::request(format!("{} is no policy's folder", path.display()))
                        .hint("name the component too: --policy default.wasm"),
                );
            };
            (policy.clone(), vec![path.clone()])
        };
        let fixtures = files
            .iter()
            .map(|file| fixture::read(file))
            .collect::<Result<Vec<_>, _>>()?;
        match plan.iter_mut().find(|(other, _)| *other == policy) {
            Some((_, planned)) => planned.extend(fixtures),
            None => plan.push((policy, fixtures)),
        }
    }
    Ok(plan)
}

/// The component of a policy's folder: the one in it, else the one that is built into `../dist` under its name.
fn component_of(folder: &Path) -> Result<String, Failure> {
    let mut found: Vec<PathBuf> = entries(folder)?
        .into_iter()
        .filter(|path| path.extension().is_some_and(|ending| ending == "wasm"))
        .collect();
    if found.is_empty()
        && let Some(built) = built_beside(folder)
    {
        found.push(built);
    }
    match found.as_slice() {
        [one] => Ok(one.to_string_lossy().into_owned()),
        [] => Err(
            Failure::request(format!("{} has no component", folder.display()))
                .hint("build the policy, or name its component: --policy FILE.wasm"),
        ),
        several => {
            let names: Vec<String> = several
                .iter()
                .map(|path| path.display().to_string())
                .collect();
            Err(Failure::request(format!(
                "{} has several components: {}",
                folder.display(),
                names.join(", ")
            ))
            .hint("name one: --policy FILE.wasm"))
        }
    }
}

fn built_beside(folder: &Path) -> Option<PathBuf> {
    let folder = folder.canonicalize().ok()?;
    let mut name = folder.file_name()?.to_owned();
    name.push(".wasm");
    let built = folder.parent()?.join("dist").join(name);
    built.is_file().then_some(built)
}

fn cases_of(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let cases = folder.join("cases");
    let mut files = Vec::new();
    if cases.is_dir() {
        files = entries(&cases)?;
        files.retain(|path| {
            path.extension()
                .is_some_and(|ending| ending == "toml" || ending == "json")
        });
    }
    if files.is_empty() {
        return Err(
            Failure::request(format!("{} has no fixtures", cases.display()))
                .hint("add a .toml file with a [[case]]"),
        );
    }
    Ok(files)
}

/// The files of a folder, by name.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let failed =
        |error| Failure::request(format!("failed to read {}", folder.display())).because(error);
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        paths.push(entry.map_err(failed)?.path());
    }
    paths.sort();
    Ok(paths)
}

fn test(
    engine: &Engine,
    name: &str,
    fixtures: &[Fixture],
    filter: Option<&str>,
    skipped: &mut usize,
) -> Result<PolicyReport, Failure> {
    let mut loaded: Vec<(Map<String, Value>, Policy)> = Vec::new();
    let mut reached = BTreeSet::new();
    let mut cases = Vec::new();
    for fixture in fixtures {
        for case in &fixture.cases {
            let place = format!("{}: case \"{}\"", fixture.path.display(), case.name);
            let policy = policy_for(engine, name, case, &place, &mut loaded)?;
            expects_something(policy, case, &place)?;
            if filter.is_some_and(|filter| !case.name.contains(filter)) {
                *skipped += 1;
                continue;
            }
            let question = Question {
                evidence: &case.evidence,
                memo: case.memo.as_deref(),
            };
            let answer = policy
                .decide(&case.context, &[question])
                .pop()
                .map(|judgement| judgement.answer);
            let got = guards::after(got(answer.as_ref()), policy, case, answer);
            if let Some(rule) = &got.rule {
                reached.insert(rule.clone());
            }
            let difference = difference(&case.expect, &got);
            cases.push(CaseReport {
                name: case.name.clone(),
                file: fixture.path.display().to_string(),
                passed: difference.is_none(),
                got,
                difference,
            });
        }
    }
    let (digest, rules) = match loaded.first() {
        Some((_, policy)) => (
            policy.digest().to_owned(),
            policy.description().rules.clone(),
        ),
        None => (String::new(), Vec::new()),
    };
    // A filter leaves rules out on purpose.
    let unreached = rules
        .into_iter()
        .map(|rule| rule.code)
        .filter(|code| !reached.contains(code));
    let unreached = if filter.is_some() {
        Vec::new()
    } else {
        unreached.collect()
    };
    Ok(PolicyReport {
        policy: name.to_owned(),
        digest,
        cases,
        unreached,
    })
}

/// The policy with the settings of `case`; each set of settings is loaded once.
fn policy_for<'a>(
    engine: &Engine,
    name: &str,
    case: &Case,
    place: &str,
    loaded: &'a mut Vec<(Map<String, Value>, Policy)>,
) -> Result<&'a Policy, Failure> {
    let at = match loaded
        .iter()
        .position(|(settings, _)| *settings == case.settings)
    {
        Some(at) => at,
        None => {
            let policy = match policies::load_untried(engine, name, &case.settings) {
                // What is wrong may be the settings, and those are the case's.
                Err(failure) if !case.settings.is_empty() => {
                    return Err(Failure::request(place).because(failure));
                }
                other => other?,
            };
            loaded.push((case.settings.clone(), policy));
            loaded.len() - 1
        }
    };
    Ok(&loaded[at].1)
}

/// An expected rule must be one that the policy has: a misspelt one would never be reached.
fn expects_something(policy: &Policy, case: &Case, place: &str) -> Result<(), Failure> {
    let Some(rule) = &case.expect.rule else {
        return Ok(());
    };
    let rules = &policy.description().rules;
    if rules.iter().any(|known| known.code == *rule) {
        return Ok(());
    }
    let known: Vec<&str> = rules.iter().map(|rule| rule.code.as_str()).collect();
    Err(Failure::request(format!(
        "{place} expects the rule {rule}, which the policy does not have"
    ))
    .hint(format!("its rules: {}", known.join(", "))))
}

fn got(answer: Option<&Result<Decision, PolicyFailure>>) -> Got {
    match answer {
        None => Got {
            verdict: "nothing".to_owned(),
            ..Got::default()
        },
        Some(Err(failure)) => Got {
            verdict: format!("failure ({})", failure.kind),
            reason: failure.detail.clone(),
            ..Got::default()
        },
        Some(Ok(decision)) => {
            let (verdict, state, repairs) = match &decision.verdict {
                Verdict::Pass => ("pass", None, None),
                Verdict::Hold => ("hold", None, None),
                Verdict::Transition(state) => ("transition", Some(state.to_string()), None),
                Verdict::Repair(drift) => ("repair", None, Some(drift.clone())),
            };
            Got {
                verdict: verdict.to_owned(),
                state,
                rule: Some(decision.rule.clone()).filter(|rule| !rule.is_empty()),
                repairs,
                look_again_after: decision
                    .look_again_after_ms
                    .map(|ms| Span(Duration::from_millis(ms))),
                intents: (decision.intents.iter())
                    .map(|intent| intent.kind.clone())
                    .collect(),
                memo: decision.memo.clone(),
                reason: decision.reason.clone(),
                ..Got::default()
            }
        }
    }
}

fn refs(lines: &[String]) -> Vec<&str> {
    lines.iter().map(String::as_str).collect()
}

/// What differs, as lines of wanted and got; `None`: nothing.
fn difference(expect: &Expect, got: &Got) -> Option<String> {
    let mut wanted = vec![format!("verdict = {}", expect.verdict)];
    let mut actual = vec![format!("verdict = {}", got.verdict)];
    let mut compare = |key: &str, want: Option<String>, have: Option<String>| {
        if let Some(want) = want {
            wanted.push(format!("{key} = {want}"));
            actual.push(format!(
                "{key} = {}",
                have.unwrap_or_else(|| "(none)".to_owned())
            ));
        }
    };
    compare(
        "state",
        expect.state.map(|state| state.to_string()),
        got.state.clone(),
    );
    compare("rule", expect.rule.clone(), got.rule.clone());
    let list = |list: &Option<Vec<String>>| list.as_ref().map(|list| list.join(", "));
    compare("repairs", list(&expect.repairs), list(&got.repairs));
    let span = |span: Option<Span>| span.map(|span| span.to_string());
    compare(
        "look_again_after",
        span(expect.look_again_after),
        span(got.look_again_after),
    );
    let asked = Some(&got.intents).filter(|intents| !intents.is_empty());
    let wanted_intents = list(&expect.intents).map(|kinds| match kinds.as_str() {
        "" => "(none)".to_owned(),
        _ => kinds,
    });
    compare("intents", wanted_intents, list(&asked.cloned()));
    compare("memo", expect.memo.clone(), got.memo.clone());
    // Another verdict has another outcome, and nobody needs to be told twice.
    if expect.verdict == got.verdict {
        let word = |outcome: Option<GuardOutcome>| outcome.map(GuardOutcome::as_str);
        if expect.outcome != got.outcome {
            let none = "nothing to do".to_owned();
            compare(
                "outcome",
                Some(word(expect.outcome).map_or(none, str::to_owned)),
                word(got.outcome).map(str::to_owned),
            );
        }
        let codes = |codes: &[Code]| {
            let codes: Vec<&str> = codes.iter().map(|code| code.as_str()).collect();
            (!codes.is_empty()).then(|| codes.join(", "))
        };
        let wanted = expect.refused_by.as_deref().and_then(codes);
        compare("refused_by", wanted, codes(&got.refused_by));
    }
    if let Some(part) = &expect.reason_has
        && !got.reason.contains(part)
    {
        wanted.push(format!("reason has \"{part}\""));
        actual.push(format!("reason = \"{}\"", got.reason));
    }
    if wanted == actual {
        return None;
    }
    let diff = TextDiff::configure().diff_slices(&refs(&wanted), &refs(&actual));
    let mut lines: Vec<String> = diff
        .iter_all_changes()
        .map(|change| format!("{} {}", change.tag(), change.value()))
        .collect();
    if !got.reason.is_empty() {
        lines.push(format!("  its reason: {}", got.reason));
    }
    for guard in &got.guards {
        lines.push(format!("  {}: {}", guard.code.as_str(), guard.detail));
    }
    lines.extend(got.remedy.iter().map(|remedy| format!("  hint: {remedy}")));
    Some(lines.join("\n"))
}

fn print(report: &TestReport, show: Show, ui: Ui) {
    for policy in &report.policies {
        ui.heading(format!(
            "{} ({})",
            policy.policy,
            ui::count(policy.cases.len(), "case")
        ));
        for case in &policy.cases {
            match &case.difference {
                Some(difference) => {
                    ui.line(format!(
                        "{} {}: {}",
                        ui::styled(ui::ALARM, "FAIL"),
                        ui::clean(&case.file),
                        ui::clean(&case.name)
                    ));
                    ui.line("  - wanted, + got");
                    for line in difference.lines() {
                        ui.said(format!("  {line}"));
                    }
                }
                None if show == Show::All => {
                    let rule = case.got.rule.as_deref().unwrap_or("no rule");
                    ui.line(format!(
                        "{} {} ({rule})",
                        ui::styled(ui::GOOD, "ok"),
                        ui::clean(&case.name)
                    ));
                }
                None => {}
            }
        }
        if !policy.unreached.is_empty() {
            ui.said(format!(
                "rules that no case reached: {}",
                policy.unreached.join(", ")
            ));
        }
    }
    ui.line(format!(
        "{} passed, {} failed, {} skipped",
        report.passed, report.failed, report.skipped
    ));
}

fn write_junit(path: &Path, report: &TestReport) -> Result<(), Failure> {
    let mut junit = Report::new("vigil policy test");
    for policy in &report.policies {
        let mut suite = TestSuite::new(policy.policy.clone());
        for case in &policy.cases {
            let status = match &case.difference {
                None => TestCaseStatus::success(),
                Some(difference) => {
                    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                    status
                        .set_message("the policy answered otherwise")
                        .set_description(difference);
                    status
                }
            };
            let mut row = TestCase::new(case.name.clone(), status);
            row.set_classname(case.file.clone());
            suite.add_test_case(row);
        }
        junit.add_test_suite(suite);
    }
    let text = junit
        .to_string()
        .map_err(|error| Failure::world("failed to write the results as JUnit").because(error))?;
    std::fs::write(path, text).map_err(|error| {
        Failure::world(format!("failed to write {}", path.display())).because(error)
    })
}
