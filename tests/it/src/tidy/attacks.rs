//! Each attack in `docs/under-attack.md` names the tests that try it, and they are there.

use std::collections::BTreeSet;

use super::{Text, expect_none, texts};

const DOCUMENT: &str = "docs/under-attack.md";

/// The names of the tests in the last column of each row. A row without any is a finding.
fn tried(document: &str) -> (Vec<&str>, Vec<String>) {
    let (mut names, mut findings) = (Vec::new(), Vec::new());
    let rows = document.lines().filter(|line| line.starts_with("| "));
    let rows = rows.filter(|line| !line.starts_with("| ---") && !line.starts_with("| attack |"));
    for row in rows {
        let tests = row.trim_end_matches('|').rsplit('|').next();
        let of_row: Vec<&str> = tests
            .unwrap_or_default()
            .split('`')
            .skip(1)
            .step_by(2)
            .collect();
        if of_row.is_empty() {
            findings.push(format!("no test tries: {row}"));
        }
        names.extend(of_row);
    }
    (names, findings)
}

/// All functions of the Rust sources.
fn functions(texts: &[Text]) -> BTreeSet<&str> {
    let sources = texts.iter().filter(|text| text.has_extension("rs"));
    let lines = sources.flat_map(|text| text.content.lines());
    lines
        .filter_map(|line| {
            let (_, name) = line.split_once("fn ")?;
            name.split(['(', '<']).next()
        })
        .collect()
}

fn missing(document: &str, known: &BTreeSet<&str>) -> Vec<String> {
    let (names, mut findings) = tried(document);
    let unknown = names.into_iter().filter(|name| !known.contains(name));
    findings.extend(unknown.map(|name| format!("there is no test {name}")));
    findings
}

#[test]
fn every_attack_is_tried_by_a_test_that_is_there() {
    let texts = texts();
    let document = texts.iter().find(|text| text.path == DOCUMENT);
    let document = &document.expect("the document").content;
    assert!(tried(document).0.len() > 50, "the rows are found");
    expect_none(
        "name a test that is there",
        missing(document, &functions(&texts)),
    );
}

#[test]
fn a_row_without_a_test_and_one_that_is_gone_are_found() {
    let known = BTreeSet::from(["it_holds"]);
    let row = |tests: &str| {
        format!("| attack | what holds | tests |\n| --- | --- | --- |\n| a | b | {tests} |\n")
    };
    assert_eq!(missing(&row("`it_holds`"), &known), [""; 0]);
    assert_eq!(
        missing(&row("`it_holds`, `it_is_gone`"), &known),
        ["there is no test it_is_gone"]
    );
    assert_eq!(missing(&row("none"), &known).len(), 1);
}
