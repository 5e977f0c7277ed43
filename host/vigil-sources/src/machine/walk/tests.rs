//! What a worktree can hold, and what stands where a `.gitignore` is expected.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::process::Command;

use rustix::fs::mknodat;

use super::*;
use crate::machine::ignored::{FILE_BYTES_MAX, PATTERN_BYTES_MAX};

/// A folder with these files, each with its text.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, text).expect("a file");
    }
    folder
}

fn walk(dir: &Path) -> Walk<'_> {
    Walk {
        dir,
        exclude: None,
        mounts: &[],
        entries_max: 1_000,
        listed_max: 1_000,
    }
}

/// The paths that are seen below the folder.
fn seen(walk: &Walk<'_>) -> Result<BTreeSet<String>, Gap> {
    let mut seen = BTreeSet::new();
    walk.over(&mut Matchers::default(), &mut |_, path| {
        let within = path.strip_prefix(walk.dir).expect("below it");
        seen.insert(within.to_str().expect("a name").to_owned());
    })?;
    seen.remove("");
    Ok(seen)
}

#[test]
fn what_git_ignores_is_left_out_as_git_leaves_it_out() {
    let exclude = "secret\n";
    let folder = folder(&[
        (
            ".gitignore",
            "\u{feff}*.log\n!keep.log\n/only-here\ntarget/\n# no pattern\na/**/z\n[\n",
        ),
        ("x.log", ""),
        ("keep.log", ""),
        ("only-here", ""),
        ("sub/only-here", ""),
        ("sub/.gitignore", "!x.log\nown\n"),
        ("sub/x.log", ""),
        ("sub/own", ""),
        ("sub/deep/own", ""),
        ("own", ""),
        ("target/debug/out", ""),
        ("sub/target/out", ""),
        ("a/b/c/z", ""),
        ("a/b/c/y", ""),
        ("secret", ""),
        ("exclude-file", exclude),
    ]);
    let git = |arguments: &[&str]| {
        let output = Command::new("git")
            .arg("-C")
            .arg(folder.path())
            .args(arguments)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .output()
            .expect("git runs");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("names")
    };
    git(&["init", "-q"]);
    fs::write(folder.path().join(".git/info/exclude"), exclude).expect("a file");
    let by_git = git(&["ls-files", "-z", "--others", "--exclude-standard"]);
    let by_git: BTreeSet<String> = by_git
        .split('\0')
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect();
    let walk = Walk {
        exclude: Some(folder.path().join(".git/info/exclude")),
        ..walk(folder.path())
    };
    let mut seen = seen(&walk).expect("it is walked");
    // Ignored folders are seen, and not entered.
    assert!(seen.contains("target") && !seen.contains("target/debug"));
    seen.retain(|name| folder.path().join(name).is_file());
    assert_eq!(seen, by_git);
    assert!(seen.contains("keep.log") && seen.contains("sub/x.log") && !seen.contains("secret"));
}

#[test]
fn whatever_stands_where_patterns_are_expected_ends_the_walk_with_its_name_or_is_as_to_git() {
    type Put = fn(&Path);
    let cases: &[(&str, Put, Option<GapKind>)] = &[
        (
            "pipe",
            |path| mknodat(CWD, path, FileType::Fifo, Mode::from(0o600), 0).expect("a pipe"),
            Some(GapKind::Malformed),
        ),
        (
            "socket",
            |path| drop(UnixListener::bind(path).expect("a socket")),
            Some(GapKind::Malformed),
        ),
        (
            "folder",
            |path| fs::create_dir(path).expect("a folder"),
            Some(GapKind::Malformed),
        ),
        (
            "sparse",
            |path| {
                let file = fs::File::create(path).expect("a file");
                file.set_len(1 << 40).expect("1 TiB of nothing");
            },
            Some(GapKind::TooLarge),
        ),
        (
            "many",
            |path| {
                let text: String = (0..=PATTERNS_MAX).map(|n| format!("{n}*\n")).collect();
                fs::write(path, text).expect("a file");
            },
            Some(GapKind::TooLarge),
        ),
        (
            "long",
            |path| fs::write(path, "*".repeat(PATTERN_BYTES_MAX + 1)).expect("a file"),
            Some(GapKind::TooLarge),
        ),
        (
            "large",
            |path| {
                let lines = usize::try_from(FILE_BYTES_MAX / 2 + 1).expect("a number");
                fs::write(path, "#\n".repeat(lines)).expect("a file");
            },
            Some(GapKind::TooLarge),
        ),
        (
            "a link to what never ends",
            |path| symlink("/dev/zero", path).expect("a link"),
            None,
        ),
        (
            "a link to nothing",
            |path| symlink("missing", path).expect("a link"),
            None,
        ),
        (
            "no text",
            |path| fs::write(path, b"\xff\xfe\n\x00\n").expect("a file"),
            None,
        ),
    ];
    for (name, put, expected) in cases {
        for at in [".gitignore", "sub/deep/.gitignore"] {
            let folder = folder(&[("sub/deep/file", ""), ("file", "")]);
            let path = folder.path().join(at);
            put(&path);
            match (seen(&walk(folder.path())), expected) {
                (Ok(seen), None) => assert!(seen.contains("sub/deep/file"), "{name}: {seen:?}"),
                (Err(gap), Some(kind)) => {
                    assert_eq!(&gap.kind, kind, "{name}: {gap:?}");
                    let named = path.to_str().expect("a path");
                    assert!(gap.detail.contains(named), "{name}: {gap:?}");
                }
                (other, _) => panic!("{name} at {at}: {other:?}"),
            }
        }
    }
}

#[test]
fn the_patterns_of_all_files_together_are_bounded() {
    let text: String = (0..PATTERNS_MAX / 2).map(|n| format!("{n}*\n")).collect();
    let two = [("a/.gitignore", text.as_str()), ("b/.gitignore", &text)];
    seen(&walk(folder(&two).path())).expect("half and half are whole");
    let three = [two[0], two[1], ("c/.gitignore", "one more\n")];
    let gap = seen(&walk(folder(&three).path())).expect_err("too many");
    assert_eq!(gap.kind, GapKind::TooLarge, "{gap:?}");
    assert!(
        gap.detail.contains(".gitignore holds patterns beyond"),
        "{gap:?}"
    );
}

#[test]
fn a_folder_on_which_something_is_mounted_is_not_looked_at() {
    let folder = folder(&[("mounted/file", ""), ("file", "")]);
    let mounts = [folder.path().join("mounted")];
    let walk = Walk {
        mounts: &mounts,
        ..walk(folder.path())
    };
    assert_eq!(
        seen(&walk).expect("it is walked"),
        ["file".to_owned()].into()
    );
}

#[test]
fn too_much_is_a_gap_whether_git_ignores_it_or_not() {
    let folder = folder(&[
        ("a", ""),
        ("b", ""),
        ("c.log", ""),
        (".gitignore", "*.log\n"),
    ]);
    for (entries_max, listed_max, fits) in [(3, 4, true), (2, 4, false), (3, 3, false)] {
        let walk = Walk {
            entries_max,
            listed_max,
            ..walk(folder.path())
        };
        let seen = seen(&walk);
        assert_eq!(seen.is_ok(), fits, "{seen:?}");
        if let Err(gap) = seen {
            assert_eq!(gap.kind, GapKind::TooLarge, "{gap:?}");
        }
    }
}
