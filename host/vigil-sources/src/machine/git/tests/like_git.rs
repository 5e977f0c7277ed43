//! Checkouts in which somebody does this and that by a seed: after each step vigil says what `git status` says.

use std::os::unix::fs::{PermissionsExt as _, symlink};

use super::*;

/// 24 checkouts of 14 steps each.
const SEEDS: u64 = 24;
const STEPS: u64 = 14;

/// The same row of numbers for the same seed (splitmix64).
pub(super) struct Row(pub(super) u64);

impl Row {
    pub(super) fn next(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut number = self.0;
        number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((number ^ number >> 31) % below as u64).expect("below")
    }

    pub(super) fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.next(of.len())]
    }
}

const NAMES: &[&str] = &[
    "a",
    "b.txt",
    "sub/b",
    "sub/c.o",
    "sub/deep/d",
    "sub.x",
    "sub-y/e",
    "build/out",
    "build/keep",
    "x y",
    "übung",
    "[z]",
];

const TEXTS: &[&str] = &["", "a\n", "b\n", "bb\n", "a\r\nb\n"];

const RULES: &[&str] = &[
    "*.o\n",
    "build/\n",
    "/build\n!build/keep\n",
    "sub/*\n!sub/b\n",
    "**/deep\n",
    "x\\ y\n\\[z]\n",
    "sub/**/d\n",
    "[a-c]*\n",
    "# none\n\n",
    "!*\n*\n!sub/\n",
    "build/*  \n!build/keep\\ \n",
];

#[test]
fn after_each_step_of_a_random_walk_vigil_says_what_git_says() {
    for seed in 0..SEEDS {
        let mut row = Row(seed);
        let sample = Sample::new();
        if row.next(3) == 0 {
            sample.git(&["config", "core.splitIndex", "true"]);
        }
        let version = row.one(&["2", "3", "4"]);
        sample.git(&["config", "index.version", version]);
        sample.git(&["update-index", "--index-version", version]);
        let mut steps = Vec::new();
        for _ in 0..STEPS {
            steps.push(step(&sample, &mut row));
            sample.agree(&format!("seed {seed}: {steps:?}"));
        }
    }
}

/// Does one thing, and says which. What git refuses changes nothing.
fn step(sample: &Sample, row: &mut Row) -> String {
    let name = row.one(NAMES);
    let path = sample.path(name);
    let try_git = |arguments: &[&str]| {
        let mut command = std::process::Command::new("git");
        let output = command
            .args(["-c", "user.name=t", "-c", "user.email=t@example.org", "-C"])
            .arg(&sample.dir)
            .args(arguments)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .output();
        output.expect("git runs");
        format!("git {arguments:?}")
    };
    match row.next(17) {
        0..=2 => {
            let text = row.one(TEXTS);
            let _ = path.parent().map(fs::create_dir_all);
            let _ = fs::write(&path, text);
            format!("write {name} {text:?}")
        }
        3 => {
            let _ = fs::remove_file(&path);
            format!("remove {name}")
        }
        4 => {
            let _ = fs::remove_dir_all(
                path.parent()
                    .filter(|dir| *dir != sample.dir)
                    .unwrap_or(&path),
            );
            format!("remove the folder of {name}")
        }
        5 => {
            if path.is_file() {
                let mode = [0o644, 0o755, 0o600][row.next(3)];
                fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("a mode");
            }
            format!("chmod {name}")
        }
        6 => {
            let _ = fs::remove_file(&path);
            let _ = path.parent().map(fs::create_dir_all);
            let _ = symlink(row.one(&["a", "nowhere", "sub"]), &path);
            format!("link {name}")
        }
        7 => {
            let rules = row.one(RULES);
            let place = row.one(&[".gitignore", "sub/.gitignore", ".git/info/exclude"]);
            let _ = sample.path(place).parent().map(fs::create_dir_all);
            let _ = fs::write(sample.path(place), rules);
            format!("{place}: {rules:?}")
        }
        8 => {
            let _ = fs::create_dir_all(sample.path(row.one(&["empty", "sub/empty", "build"])));
            "an empty folder".to_owned()
        }
        9 => {
            if path.is_file() {
                let text = fs::read(&path).expect("a file");
                fs::write(&path, text).expect("a file");
            }
            format!("write {name} as it is")
        }
        10 => try_git(&["add", "--", name]),
        11 => try_git(&["add", "-A"]),
        12 => try_git(&["commit", "-q", "-m", "x"]),
        13 => try_git(&["rm", "-q", "--cached", "--", name]),
        14 => try_git(&["reset", "-q", "--hard"]),
        15 => try_git(&["add", "-N", "--", name]),
        _ => try_git(&["add", "-f", "--", name]),
    }
}
