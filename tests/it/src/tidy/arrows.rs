//! Who may import whom. An arrow that is not in these tables is a decision: whoever adds one changes a table, and a
//! reviewer sees it.

use cargo_metadata::{DependencyKind, Metadata, Package};

use super::{expect_none, root};

/// What each crate of ours may use of ours, in what is shipped. A crate without a row may not exist.
const ARROWS: &[(&str, &[&str])] = &[
    // The kernel: nothing of ours, so that it stays pure.
    ("vigil-core", &[]),
    // Adapters do not know each other; the binary wires them.
    ("vigil-policy", &["vigil-core"]),
    ("vigil-github", &["vigil-core"]),
    ("vigil-sources", &["vigil-core"]),
    ("vigil-store", &["vigil-core"]),
    // The model of GitHub knows only GitHub.
    ("vigil-model", &[]),
    (
        "vigil",
        &[
            "vigil-core",
            "vigil-policy",
            "vigil-github",
            "vigil-sources",
            "vigil-store",
            // For `vigil demo` alone.
            "vigil-model",
        ],
    ),
    // Guests see `wit/` through the SDK and never the host.
    ("vigil-sdk", &[]),
    ("vigil-policy-default", &["vigil-sdk"]),
];

/// What the tests of a shipped crate may use of ours besides: the model in place of GitHub, and a policy's native twin.
const ARROWS_OF_TESTS: &[&str] = &[
    "vigil-core",
    "vigil-model",
    "vigil-sdk",
    "vigil-policy-default",
];

/// What the kernel may use of others': types and their encoding, and patterns of names. No runtime, no clock, no I/O.
const KERNEL_MAY_USE: &[&str] = &["globset", "serde", "serde_json", "thiserror"];

/// Crates that one of ours alone knows, so that a change of theirs ends there. A source that is a database adds itself
/// to the row of rusqlite.
const ONE_DOOR: &[(&str, &[&str])] = &[
    ("wasmtime", &["vigil-policy"]),
    ("octocrab", &["vigil-github"]),
    ("rusqlite", &["vigil-store"]),
    ("axum", &["vigil", "vigil-model"]),
    ("clap", &["vigil", "xtask"]),
    // What reads git's files stays where no program is started.
    ("flate2", &["vigil-sources"]),
    ("imara-diff", &["vigil-sources"]),
];

#[test]
fn no_crate_imports_what_it_may_not() {
    let metadata = xtask::command::metadata().expect("cargo reads the workspace");
    expect_none(
        "these arrows are not in tests/it/src/tidy/arrows.rs",
        wrong_arrows(&metadata),
    );
}

#[test]
fn a_wrong_arrow_of_each_kind_is_found() {
    let mut metadata = xtask::command::metadata().expect("cargo reads the workspace");
    let sample = |metadata: &Metadata, user: &str, used: &str| {
        let mut dependency = metadata
            .packages
            .iter()
            .find(|package| package.name.as_str() == user)
            .and_then(|package| package.dependencies.first())
            .expect("it has dependencies")
            .clone();
        dependency.name = used.to_owned();
        dependency.kind = DependencyKind::Normal;
        dependency
    };
    for (user, used) in [
        ("vigil-core", "tokio"),
        ("vigil-store", "vigil-github"),
        ("vigil-policy-default", "vigil-core"),
        ("vigil", "vigil-it"),
        ("vigil-sources", "wasmtime"),
    ] {
        let wrong = sample(&metadata, user, used);
        let package = package_mut(&mut metadata, user);
        package.dependencies.push(wrong);
        let findings = wrong_arrows(&metadata);
        assert!(
            findings
                .iter()
                .any(|line| line.contains(user) && line.contains(used)),
            "{user} -> {used}: {findings:?}"
        );
        package_mut(&mut metadata, user).dependencies.pop();
    }
}

fn package_mut<'a>(metadata: &'a mut Metadata, name: &str) -> &'a mut Package {
    metadata
        .packages
        .iter_mut()
        .find(|package| package.name.as_str() == name)
        .expect("the crate is there")
}

/// All arrows that the tables do not have, as `crate -> crate: why not`.
fn wrong_arrows(metadata: &Metadata) -> Vec<String> {
    let is_ours = |name: &str| {
        metadata
            .packages
            .iter()
            .any(|package| package.name.as_str() == name)
    };
    let mut findings = Vec::new();
    for package in &metadata.packages {
        let name = package.name.as_str();
        let wing = wing(package);
        let row = ARROWS.iter().find(|(user, _)| *user == name);
        if row.is_none() && matches!(wing, Wing::Host | Wing::Policies) {
            findings.push(format!(
                "{name}: has no row, so nobody said what it may use"
            ));
        }
        for dependency in &package.dependencies {
            let used = dependency.name.as_str();
            let for_tests = dependency.kind == DependencyKind::Development;
            let mut wrong = |why: &str| findings.push(format!("{name} -> {used}: {why}"));

            if let Some(target) = metadata
                .packages
                .iter()
                .find(|package| package.name.as_str() == used)
            {
                match self::wing(target) {
                    Wing::Tests => wrong("nothing imports tests/"),
                    Wing::Xtask if wing != Wing::Tests => wrong("xtask is for tests/ alone"),
                    _ => {}
                }
            }
            if let Some((_, may_use)) = row {
                let allowed =
                    may_use.contains(&used) || (for_tests && ARROWS_OF_TESTS.contains(&used));
                if is_ours(used) && !allowed {
                    wrong("not in its row");
                }
            }
            if name == "vigil-core"
                && !for_tests
                && !is_ours(used)
                && !KERNEL_MAY_USE.contains(&used)
            {
                wrong("the kernel is pure");
            }
            if let Some((_, doors)) = ONE_DOOR.iter().find(|(crate_name, _)| *crate_name == used)
                && wing != Wing::Tests
                && !for_tests
                && !doors.contains(&name)
            {
                wrong("another crate is the one that knows it");
            }
        }
    }
    findings
}

/// The part of the house that a crate stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wing {
    Host,
    Policies,
    Tests,
    Xtask,
}

fn wing(package: &Package) -> Wing {
    let path = package.manifest_path.as_std_path();
    let within = path.strip_prefix(root()).unwrap_or(path);
    match within.iter().next().and_then(|first| first.to_str()) {
        Some("host") => Wing::Host,
        Some("policies") => Wing::Policies,
        Some("tests") => Wing::Tests,
        _ => Wing::Xtask,
    }
}
