//! The table of pull requests in `policies/default/README.md`, read from there, and played row by row.

use std::path::Path;

use serde_json::{Value, json};
use vigil::demo::home::{REPO, git, touch_tree};
use vigil::demo::{Home, Made};
use vigil_core::Timestamp;

use super::stage::{Stage, session};

/// What each column can say, as far as it is a condition.
const CONDITIONS: [(&str, &[&str]); 5] = [
    ("number", &["recorded", "not recorded"]),
    ("branch", &["the record's", "checked out", "another"]),
    ("opened", &["after", "before (own)", "before (other)"]),
    ("goes into", &["the base", "another"]),
    ("state", &["open", "merged", "closed"]),
];

/// One combination of all conditions, and what becomes of a running session then.
struct Combination {
    conditions: [String; 5],
    state: String,
    rule: String,
}

/// All combinations that the rows of the table stand for.
fn table() -> Vec<Combination> {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies/default/README.md");
    let readme = std::fs::read_to_string(readme).expect("the README");
    let names: Vec<&str> = CONDITIONS.iter().map(|(name, _)| *name).collect();
    let head = format!("| {} | vigil says | rule |", names.join(" | "));
    let mut lines = readme.lines().skip_while(|line| *line != head);
    assert!(lines.next().is_some(), "no table begins with {head:?}");
    let rows = lines.skip(1).take_while(|line| line.starts_with('|'));
    let mut all = Vec::new();
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [conditions @ .., state, rule] = &cells[..] else {
            panic!("{row}");
        };
        let mut expanded: Vec<Vec<String>> = vec![Vec::new()];
        for (cell, (name, values)) in conditions.iter().zip(CONDITIONS) {
            let meant: Vec<&str> = match *cell {
                "any" => values.to_vec(),
                cell => cell.split(" or ").collect(),
            };
            assert!(
                meant.iter().all(|one| values.contains(one)),
                "{name}: {cell}"
            );
            expanded = expanded
                .into_iter()
                .flat_map(|before| {
                    let with = |one: &&str| [&before[..], &[(*one).to_owned()]].concat();
                    meant.iter().map(with).collect::<Vec<_>>()
                })
                .collect();
        }
        all.extend(expanded.into_iter().map(|conditions| Combination {
            conditions: conditions.try_into().expect("five columns"),
            state: state.to_string(),
            rule: rule.trim_matches('`').to_owned(),
        }));
    }
    all
}

/// Adds a session on `issue` with a pull request as the combination says, which went silent 109 minutes ago.
fn add(stage: &mut Stage, root: &str, issue: u64, conditions: &[String; 5]) {
    let [number, branch, opened, base, state] = conditions.each_ref().map(String::as_str);
    let pull = 1000 + issue;
    let mut made = Made {
        issue,
        ..Made::default()
    };
    if number == "recorded" {
        let fields = json!({ "pull_request_number": pull, "pull_request_state": "OPEN" });
        made.extra = fields.as_object().cloned().expect("an object");
    }
    let own = stage.home.add(&made).expect("a session");
    let head = match branch {
        "the record's" => Home::branch(issue),
        "checked out" => {
            let name = format!("agent/issue-{issue}");
            let worktree = stage.home.worktree(issue);
            git(&worktree, &["branch", "--move", &name]).expect("a rename");
            let admin = format!(".git/worktrees/issue-{issue}");
            let then = Timestamp(stage.minutes_ago(109));
            touch_tree(&stage.home.repository().join(admin), then).expect("its times");
            name
        }
        _ => format!("somebody/else-{issue}"),
    };
    let (sha, created) = match opened {
        "after" => (own.clone(), stage.minutes_ago(100)),
        "before (own)" => (own.clone(), stage.minutes_ago(300)),
        // Which no clone has.
        _ => (format!("e{issue:039x}"), stage.minutes_ago(300)),
    };
    let base = match base {
        "the base" => "main".to_owned(),
        _ => format!("feature/{issue}"),
    };
    let issue_created = stage.minutes_ago(400);
    stage.on_github(|model| {
        let repo = model.repo(REPO).commit(&own, &[root]);
        let repo = repo.commit(&sha, &[root]).issue(issue);
        let edit = repo.created_at(issue_created).back().pull(pull);
        let edit = edit.head(&head).sha(&sha).base(&base).created_at(created);
        match state {
            "merged" => edit.merged(),
            "closed" => edit.closed(),
            _ => edit,
        };
    });
}

/// Plays all combinations of that state of the pull request, side by side.
fn play(state: &str) {
    let mut stage = Stage::new();
    let root = git(&stage.home.repository(), &["rev-parse", "main"]).expect("a commit");
    let root = root.trim().to_owned();
    stage.on_github(|model| {
        model.repo(REPO).commit(&root, &[]).branch("main", &root);
    });
    let all: Vec<Combination> = table()
        .into_iter()
        .filter(|one| one.conditions[4] == state)
        .collect();
    for (issue, one) in (1..).zip(&all) {
        add(&mut stage, &root, issue, &one.conditions);
    }
    stage.write();
    let said: Value = stage.pass().json_with(0);
    let mut wrong = Vec::new();
    for (issue, one) in (1..).zip(&all) {
        let said = session(&said, issue);
        if said["to"] != one.state.as_str() || said["rule"] != one.rule.as_str() {
            wrong.push(format!(
                "{:?}: {} by {}, and not {} by {}: {}",
                one.conditions, said["to"], said["rule"], one.state, one.rule, said["reason"]
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_table_says_one_thing_of_each_combination() {
    let all = table();
    let count = CONDITIONS.iter().map(|(_, values)| values.len()).product();
    let mut seen: Vec<&[String; 5]> = all.iter().map(|one| &one.conditions).collect();
    seen.sort();
    seen.dedup();
    assert_eq!((all.len(), seen.len()), (count, count));
}

#[test]
fn the_rows_of_open_pull_requests_hold() {
    play("open");
}

#[test]
fn the_rows_of_merged_pull_requests_hold() {
    play("merged");
}

#[test]
fn the_rows_of_closed_pull_requests_hold() {
    play("closed");
}
