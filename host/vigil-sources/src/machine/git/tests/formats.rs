//! Files that people write by hand, put together by a seed from parts that mean something: vigil takes each as git does.

use super::super::attributes::{self, Rules, Value};
use super::super::config::Config;
use super::super::ignore::Patterns;
use super::like_git::Row;
use super::*;

/// 150 files of each format.
const FILES: usize = 150;

/// What git says of `sample`, and whether it takes it for right.
fn said(sample: &Sample, arguments: &[&str]) -> (bool, Vec<String>) {
    let output = std::process::Command::new("git")
        .arg("-C")
        .arg(&sample.dir)
        .args(arguments)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .output()
        .expect("git runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let parts = text.split_terminator('\0').map(str::to_owned).collect();
    (output.status.success(), parts)
}

fn text(row: &mut Row, parts: &[&str], most: usize) -> String {
    (0..=row.next(most)).map(|_| row.one(parts)).collect()
}

#[test]
fn patterns_mean_what_they_mean_for_git() {
    const PARTS: &[&str] = &[
        "a",
        "b",
        "*",
        "**",
        "***",
        "?",
        "/",
        "/",
        "[ab]",
        "[!a]",
        "[^a]",
        "\\a",
        "\\A",
        "A",
        "a*",
        "*b",
        "**/",
        "/**",
        ".",
        "[[:alpha:]]",
        "[[:none:]]",
        "!",
        " ",
        "\\ ",
        "\\",
        "[",
        "]",
        "[a",
        "[]a]",
        "a-c]",
        "[c-a]",
        "[A-C]",
        "[[:",
        ":]]",
        "[\\]]",
        "\t",
        "\r",
        "#",
        "\\#",
        "\\!",
        "é",
    ];
    const NAMES: &[&str] = &[
        "a", "b", "ab", "ba", "c", "a.b", "A", "]", "a ", "[a", "-", "#a", "!a", "é",
    ];
    let sample = Sample::new();
    let mut row = Row(7);
    for _ in 0..FILES {
        let pattern = text(&mut row, PARTS, 5);
        let paths: Vec<String> = (0..12)
            .map(|_| {
                let parts: Vec<&str> = (0..=row.next(3)).map(|_| row.one(NAMES)).collect();
                parts.join("/")
            })
            .collect();
        sample.write(".git/info/exclude", &format!("{pattern}\n"));
        let fold = row.next(4) == 0;
        let setting = format!("core.ignoreCase={fold}");
        let mut arguments = vec![
            "-c",
            &setting,
            "check-ignore",
            "-v",
            "-n",
            "-z",
            "--no-index",
        ];
        arguments.extend(["--stdin"]);
        let said = checked(&sample, &arguments, &paths);
        assert_eq!(said.len(), paths.len(), "{pattern:?}");
        let patterns = Patterns::parse(format!("{pattern}\n").as_bytes(), fold);
        for (path, theirs) in paths.iter().zip(said) {
            // A path is also ignored where a folder on the way is.
            let mut ours = None;
            for (end, _) in path.match_indices('/') {
                let folder = &path[..end];
                let name = folder.rsplit('/').next().expect("a name");
                let says = patterns.says(folder.as_bytes(), name.as_bytes(), true, &mut 0);
                ours = ours.or(says.filter(|ignored| *ignored));
            }
            let name = path.rsplit('/').next().expect("a name");
            let ours =
                ours.or_else(|| patterns.says(path.as_bytes(), name.as_bytes(), false, &mut 0));
            assert_eq!(ours.is_some(), theirs, "{pattern:?} {path:?} {fold}");
        }
    }
}

/// Of which of `paths` git's `check-ignore` says something.
fn checked(sample: &Sample, arguments: &[&str], paths: &[String]) -> Vec<bool> {
    let input = sample.root().join("paths");
    write(&input, paths.join("\0") + "\0");
    let output = std::process::Command::new("git")
        .arg("-C")
        .arg(&sample.dir)
        .args(arguments)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .stdin(fs::File::open(&input).expect("a file"))
        .output()
        .expect("git runs");
    let fields: Vec<&[u8]> = output.stdout.split(|byte| *byte == 0).collect();
    // The file, its line, the pattern, and the path.
    fields
        .chunks_exact(4)
        .map(|four| !four[0].is_empty())
        .collect()
}

#[test]
fn settings_are_those_that_git_reads() {
    const PARTS: &[&str] = &[
        "[core]",
        "[a \"B c\"]",
        "[a.B]",
        "\n",
        "\n",
        "\t",
        " ",
        "x",
        "y = 1",
        "z=",
        "=",
        "\"",
        "\\",
        "\\n",
        "\\\n",
        "\\\r\n",
        "\r\n",
        "\r",
        "#c",
        ";c",
        "k = \"a # b\" c",
        "\\\"",
        "-",
        "A1",
        "[\"s\"]",
        "[a \"\\\"q\\x\"]",
        "\u{feff}",
        "é",
        "]",
        "[",
    ];
    let sample = Sample::new();
    let path = sample.path("settings");
    let arguments = ["config", "--file", "settings", "--list", "-z"];
    let mut row = Row(3);
    for _ in 0..FILES {
        let text = String::from("[core]\n") + &text(&mut row, PARTS, 8);
        write(&path, &text);
        let (is_right, said) = said(&sample, &arguments);
        let mut config = Config::default();
        let added = config.add(text.as_bytes(), "settings");
        assert_eq!(added.is_ok(), is_right, "{text:?}: {added:?}");
        let theirs: Vec<(String, Option<String>)> = said
            .iter()
            .map(|one| match one.split_once('\n') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (one.clone(), None),
            })
            .collect();
        if is_right {
            assert_eq!(config.settings(), theirs, "{text:?}");
        }
    }
}

/// Names are bytes, in no encoding.
#[test]
fn a_name_that_is_no_text_has_its_attributes() {
    use std::os::unix::ffi::OsStrExt as _;
    let name = b"caf\xe9";
    for pattern in [&name[..], b"\"caf\\351\"", b"caf[\xe8-\xea]"] {
        let sample = Sample::new();
        let path = sample.dir.join(std::ffi::OsStr::from_bytes(name));
        fs::write(&path, "a\n").expect("a file");
        let rules = [pattern, b" text eol=crlf\n"].concat();
        write(&sample.path(".gitattributes"), rules);
        sample.commit("all");
        fs::write(&path, "a\r\n").expect("a file");
        assert_eq!(sample.git(&["diff", "--stat"]), "", "the same for git");
        assert_eq!(sample.dirty(), Ok(false));
    }
}

#[test]
fn attributes_are_those_that_git_reads() {
    const PARTS: &[&str] = &[
        "*",
        "a",
        "b c",
        "\"a\"",
        "\"a b\"",
        "\"\\141\"",
        "\"\\x\"",
        "\"a",
        " ",
        " ",
        "\t",
        "\n",
        "\n",
        "text",
        "-text",
        "!text",
        "eol=lf",
        "text=auto",
        "\n[attr]m ",
        "\n[attr]m text ",
        "\n[attr]text -m eol=crlf ",
        "m",
        "-m",
        "binary",
        "filter=x",
        "-",
        "=",
        "!",
        "-text=x",
        "builtin_x",
        "é",
        "/",
        "a/",
        "!a",
        "# pictures",
        "\r",
        "\x0c",
        "\\",
        "text=",
        "[attr]",
        "-eol",
    ];
    let sample = Sample::new();
    let arguments = [
        "check-attr",
        "-z",
        "text",
        "eol",
        "filter",
        "m",
        "binary",
        "--",
        "a",
    ];
    let mut row = Row(5);
    for file in 0..FILES {
        let mut text = String::from("* filter=z\n");
        for _ in 0..row.next(14) {
            text += row.one(PARTS);
            text += row.one(&["", " "]);
        }
        if file == 0 {
            // One byte more or less, and the line counts or does not.
            text = format!("* text{}\n* eol=lf{}", " ".repeat(2041), " ".repeat(2040));
        }
        sample.write(".gitattributes", &text);
        let (_, said) = said(&sample, &arguments);
        let rules = Rules::parse(text.as_bytes(), true, false);
        let files: [(&Rules, &[u8]); 2] = [(&Rules::builtin(), b"a"), (&rules, b"a")];
        let found = attributes::of(&files, b"a", &mut 0);
        assert_eq!(said.len(), 15, "{text:?}");
        for three in said.chunks_exact(3) {
            let ours = match found.get(&three[1]) {
                None => "unspecified",
                Some(Value::True) => "set",
                Some(Value::False) => "unset",
                Some(Value::Text(text)) => text,
            };
            assert_eq!(ours, three[2], "{} of {text:?}", three[1]);
        }
    }
}
