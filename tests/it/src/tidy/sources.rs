//! What a source file looks like: short, opened by a sentence, without loose ends, and free of places that only its
//! writer knows.

use super::{Text, expect_none, texts};

/// A file near 300 lines is comfortable; above this there is a second noun in it.
const LINES_MAX: usize = 600;

/// Longer ones, each with the reason why it is one thing.
const LONG: &[(&str, &str)] = &[(
    "policies/default/tests/rules.rs",
    "one table: a row for each row and edge of the default policy's",
)];

/// Words that belong to a workplace and mean nothing to a reader, in two halves, since this file is read too.
const PRIVATE: &[[&str; 2]] = &[
    ["/work/", "main"],
    ["/work/", "shared"],
    ["/tmp/", "prompts"],
    ["shared/", "design"],
    ["shared/", "systems"],
    ["sub", "agent"],
    ["sub-", "agent"],
    ["Claude Code ", "session"],
    ["Co-Authored", "-By"],
    ["system ", "prompt"],
    ["lead ", "engineer"],
];

/// Where conformance cases may lie beside the clone; only tests name it, and they skip where it is not there.
const CASES: [&str; 2] = ["../", "shared"];

#[test]
fn no_file_grows_beyond_its_noun() {
    let texts = texts();
    expect_none(
        "split these by their second noun, or name the reason in LONG",
        too_long(&texts, LONG),
    );
}

#[test]
fn every_source_file_opens_with_a_sentence() {
    let texts = texts();
    expect_none("these say nothing about themselves", unopened(&texts));
}

#[test]
fn no_loose_end_is_left_in_the_code() {
    let texts = texts();
    expect_none("loose ends", loose_ends(&texts));
}

#[test]
fn nothing_names_a_place_that_its_readers_do_not_have() {
    let texts = texts();
    expect_none("private words", private_words(&texts));
}

#[test]
fn text_files_end_with_one_line_end_and_no_line_with_blanks() {
    let texts = texts();
    expect_none("stray blanks", stray_blanks(&texts));
}

#[test]
fn each_of_these_checks_can_fail() {
    let long = vec![text("host/a/src/a.rs", &"//! A.\n".repeat(LINES_MAX + 1))];
    assert_eq!(too_long(&long, &[]).len(), 1);
    assert!(too_long(&long, &[("host/a/src/a.rs", "one table")]).is_empty());
    let short = vec![text("host/a/src/a.rs", "//! A.\n")];
    assert_eq!(
        too_long(&short, &[("host/a/src/a.rs", "one table")]).len(),
        1,
        "a row that is no longer needed"
    );

    assert_eq!(
        unopened(&[text("host/a/src/a.rs", "use std::fs;\n")]).len(),
        1
    );
    assert!(unopened(&short).is_empty());

    let marker = ["TO", "DO"].concat();
    for (loose, count) in [
        (format!("// {marker}: later\n"), 1),
        ("#[ignore]\nfn a() {}\n".to_owned(), 1),
        ("#[ignore = \"needs root\"]\nfn a() {}\n".to_owned(), 0),
        ("#[allow(dead_code)]\nfn a() {}\n".to_owned(), 1),
        ("#![allow(\n    dead_code\n)]\n".to_owned(), 1),
        (
            "#[expect(\n    dead_code,\n    reason = \"why\"\n)]\n".to_owned(),
            0,
        ),
    ] {
        assert_eq!(
            loose_ends(&[text("host/a/src/a.rs", &loose)]).len(),
            count,
            "{loose}"
        );
    }

    let place = PRIVATE[0].concat();
    let cases = CASES.concat();
    assert_eq!(private_words(&[text("README.md", &place)]).len(), 1);
    assert_eq!(private_words(&[text("host/a/src/a.rs", &cases)]).len(), 1);
    assert!(private_words(&[text("tests/it/src/a.rs", &cases)]).is_empty());

    for (stray, count) in [("a \n", 1), ("a", 1), ("a\n\n", 1), ("a\n", 0), ("", 0)] {
        assert_eq!(
            stray_blanks(&[text("a.md", stray)]).len(),
            count,
            "{stray:?}"
        );
    }
}

fn text(path: &str, content: &str) -> Text {
    Text {
        path: path.to_owned(),
        content: content.to_owned(),
    }
}

fn too_long(texts: &[Text], allowed: &[(&str, &str)]) -> Vec<String> {
    let mut findings: Vec<_> = texts
        .iter()
        .filter(|text| text.has_extension("rs"))
        .filter(|text| !allowed.iter().any(|(path, _)| *path == text.path))
        .filter_map(|text| {
            let lines = text.content.lines().count();
            (lines > LINES_MAX).then(|| format!("{}: {lines} lines", text.path))
        })
        .collect();
    for (path, reason) in allowed {
        let still = texts
            .iter()
            .any(|text| text.path == *path && text.content.lines().count() > LINES_MAX);
        if !still {
            findings.push(format!("{path}: needs no row any more ({reason})"));
        }
    }
    findings
}

fn unopened(texts: &[Text]) -> Vec<String> {
    texts
        .iter()
        .filter(|text| text.has_extension("rs"))
        // A `tests.rs` is about the module that it hangs under.
        .filter(|text| !text.path.ends_with("/tests.rs"))
        .filter(|text| !text.content.starts_with("//! "))
        .map(|text| format!("{}: begin with a `//!` line", text.path))
        .collect()
}

/// Notes to oneself, tests that are off without a reason, lints that are off without one.
fn loose_ends(texts: &[Text]) -> Vec<String> {
    let notes = [["TO", "DO"].concat(), ["FIX", "ME"].concat()];
    let mut findings = Vec::new();
    for text in texts.iter().filter(|text| text.has_extension("rs")) {
        let lines: Vec<_> = text.content.lines().collect();
        for (index, line) in lines.iter().enumerate() {
            let at = format!("{}:{}", text.path, index + 1);
            let trimmed = line.trim_start();
            if notes.iter().any(|note| line.contains(note)) {
                findings.push(format!("{at}: an open end is an issue, not a comment"));
            }
            if trimmed == "#[ignore]" {
                findings.push(format!("{at}: an ignored test names its reason"));
            }
            let opens = ["#[allow(", "#![allow(", "#[expect(", "#![expect("]
                .iter()
                .any(|open| trimmed.starts_with(open));
            if opens {
                let attribute: String = lines[index..]
                    .iter()
                    .scan(false, |done, line| {
                        (!*done).then(|| {
                            *done = line.trim_end().ends_with(")]");
                            *line
                        })
                    })
                    .collect();
                if !attribute.contains("reason = ") {
                    findings.push(format!("{at}: a lint that is off names its reason"));
                }
            }
        }
    }
    findings
}

fn private_words(texts: &[Text]) -> Vec<String> {
    let words: Vec<_> = PRIVATE.iter().map(|halves| halves.concat()).collect();
    let cases = CASES.concat();
    let mut findings = Vec::new();
    for text in texts {
        let is_test = text.path.starts_with("tests/")
            || text.path.contains("/tests/")
            || text.path.ends_with("/tests.rs");
        for (index, line) in text.content.lines().enumerate() {
            let mut found = |word: &str| {
                findings.push(format!("{}:{}: \"{word}\"", text.path, index + 1));
            };
            if let Some(word) = words
                .iter()
                .find(|word| line.to_lowercase().contains(&word.to_lowercase()))
            {
                found(word);
            }
            if line.contains(&cases) && !is_test {
                found(&cases);
            }
        }
    }
    findings
}

fn stray_blanks(texts: &[Text]) -> Vec<String> {
    let kinds = ["rs", "toml", "md", "wit", "sql", "json", "yml"];
    let mut findings = Vec::new();
    for text in texts
        .iter()
        .filter(|text| kinds.iter().any(|kind| text.has_extension(kind)))
    {
        for (index, line) in text.content.lines().enumerate() {
            if line.ends_with([' ', '\t']) {
                findings.push(format!("{}:{}: blanks at its end", text.path, index + 1));
            }
        }
        let ends_well = text.content.is_empty()
            || (text.content.ends_with('\n') && !text.content.ends_with("\n\n"));
        if !ends_well {
            findings.push(format!("{}: ends with one line end", text.path));
        }
    }
    findings
}
