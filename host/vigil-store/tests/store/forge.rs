//! What the forge's adapter remembers: texts under a host, a repository and a name.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use proptest::prelude::*;
use vigil_core::Timestamp;
use vigil_store::{ForgeChange, ForgeRow, Merge, Retention, Store};

use crate::common::{T0, at, folder, open};

const HOST: &str = "github.com";

fn put<'a>(repo: &'a str, name: &'a str, value: &'a str, at: Timestamp) -> ForgeChange<'a> {
    ForgeChange {
        repo,
        name,
        value: Some(value),
        at,
    }
}

fn forget<'a>(repo: &'a str, name: &'a str) -> ForgeChange<'a> {
    ForgeChange {
        repo,
        name,
        value: None,
        at: T0,
    }
}

/// Rows as `repo name value minute`, in the store's order.
fn shown(rows: Vec<ForgeRow>) -> Vec<String> {
    rows.into_iter()
        .map(|row| {
            let minute = (row.at.0 - T0.0) / 60_000;
            format!("{} {} {} {minute}", row.repo, row.name, row.value)
        })
        .collect()
}

fn all(store: &Store, host: &str) -> Vec<String> {
    shown(store.forge_rows(host, None).unwrap())
}

#[test]
fn what_was_put_last_comes_back_by_repository_and_name() {
    let mut store = Store::in_memory(T0).unwrap();
    let first = [
        put("o/b", "pull/7", "{\"x\":1}", at(1)),
        put("", "budget", "1", at(1)),
        put("o/a", "issues", "2", at(2)),
        put("o/a", "gone", "3", at(2)),
    ];
    store.put_forge_rows(HOST, &first).unwrap();
    store
        .put_forge_rows("ghe.example", &[put("o/a", "issues", "other", at(9))])
        .unwrap();
    let then = [
        put("o/a", "issues", "2", at(5)),
        put("o/b", "pull/7", "{\"x\":2}", at(4)),
        forget("o/a", "gone"),
        forget("o/a", "never there"),
    ];
    store.put_forge_rows(HOST, &then).unwrap();
    store.put_forge_rows(HOST, &[]).unwrap();
    let expected = [" budget 1 1", "o/a issues 2 5", "o/b pull/7 {\"x\":2} 4"];
    assert_eq!(all(&store, HOST), expected);
    assert_eq!(all(&store, "ghe.example"), ["o/a issues other 9"]);
    assert_eq!(all(&store, "nowhere"), Vec::<String>::new());
}

#[test]
fn some_repositories_are_read_without_the_others() {
    let mut store = Store::in_memory(T0).unwrap();
    let rows = [
        put("o/a", "x", "1", at(0)),
        put("o/aa", "x", "2", at(0)),
        put("o/b", "x", "3", at(0)),
        put("", "x", "4", at(0)),
    ];
    store.put_forge_rows(HOST, &rows).unwrap();
    let some = |repos: &[&str]| shown(store.forge_rows(HOST, Some(repos)).unwrap());
    assert_eq!(some(&["o/b", "o/a", "o/b"]), ["o/a x 1 0", "o/b x 3 0"]);
    assert_eq!(some(&[""]), [" x 4 0"]);
    assert_eq!(some(&["O/A", "o/none"]), Vec::<String>::new());
    assert_eq!(some(&[]), Vec::<String>::new());
}

#[test]
fn of_several_changes_to_one_thing_the_last_counts() {
    let mut store = Store::in_memory(T0).unwrap();
    let changes = [
        put("o/a", "x", "1", at(0)),
        forget("o/a", "x"),
        put("o/a", "x", "2", at(1)),
        put("o/a", "y", "1", at(1)),
        forget("o/a", "y"),
    ];
    store.put_forge_rows(HOST, &changes).unwrap();
    assert_eq!(all(&store, HOST), ["o/a x 2 1"]);
}

#[test]
fn what_an_older_clock_puts_replaces_what_a_newer_one_did() {
    let mut store = Store::in_memory(T0).unwrap();
    for minute in [9, 3] {
        let change = put("o/a", "x", "1", at(minute));
        store.put_forge_rows(HOST, &[change]).unwrap();
    }
    assert_eq!(all(&store, HOST), ["o/a x 1 3"]);
}

#[test]
fn extreme_moments_come_back_or_are_cut_to_what_fits() {
    let mut store = Store::in_memory(T0).unwrap();
    let ends = [
        (0, 0),
        (1, 1),
        (i64::MAX as u64, i64::MAX as u64),
        (u64::MAX, i64::MAX as u64),
    ];
    for (given, kept) in ends {
        let change = put("o/a", "x", "1", Timestamp(given));
        store.put_forge_rows(HOST, &[change]).unwrap();
        let rows = store.forge_rows(HOST, None).unwrap();
        assert_eq!(rows[0].at, Timestamp(kept));
    }
}

#[test]
fn what_was_not_put_again_for_a_month_is_forgotten() {
    const DAY: u64 = 24 * 60;
    let mut store = Store::in_memory(T0).unwrap();
    let rows = [
        put("o/a", "old", "1", at(0)),
        put("o/a", "confirmed", "1", at(0)),
        put("o/a", "a little ahead", "1", at(33 * DAY)),
        put("o/a", "far ahead", "1", at(62 * DAY)),
    ];
    store.put_forge_rows(HOST, &rows).unwrap();
    let again = put("o/a", "confirmed", "1", at(20 * DAY));
    store.put_forge_rows(HOST, &[again]).unwrap();
    let pruned = store.prune(at(31 * DAY), &Retention::default()).unwrap();
    assert_eq!(pruned.other, 2);
    let names: Vec<_> = store
        .forge_rows(HOST, None)
        .unwrap()
        .into_iter()
        .map(|row| row.name)
        .collect();
    assert_eq!(names, ["a little ahead", "confirmed"]);
}

#[test]
fn what_is_in_use_for_two_days_outlives_a_journal_of_an_hour() {
    let mut store = Store::in_memory(T0).unwrap();
    let now = at(100 * 60);
    let hours_ago = |hours: u64| at((100 - hours) * 60);
    let rows = [
        put("", "account default", "1", hours_ago(47)),
        put("o/a", "x", "1", hours_ago(49)),
    ];
    store.put_forge_rows(HOST, &rows).unwrap();
    let hour = Retention {
        max_age: vigil_core::time::minutes(60),
        ..Retention::default()
    };
    assert_eq!(store.prune(now, &hour).unwrap().other, 1);
    let left = store.forge_rows(HOST, None).unwrap();
    let names: Vec<_> = left.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(names, ["account default"]);
}

#[test]
fn it_counts_in_the_size_and_its_space_is_given_back() {
    let dir = folder();
    let mut store = open(dir.path());
    let empty = store.bytes().unwrap();
    let value = format!("\"{}\"", "x".repeat(1_000));
    let names: Vec<String> = (0..2_000).map(|number| format!("pull/{number}")).collect();
    let rows: Vec<_> = names
        .iter()
        .map(|name| put("o/a", name, &value, at(0)))
        .collect();
    store.put_forge_rows(HOST, &rows).unwrap();
    let full = store.bytes().unwrap();
    assert!(full > empty + 2_000_000, "{full}");
    let month = at(31 * 24 * 60);
    let pruned = store.prune(month, &Retention::default()).unwrap();
    assert_eq!(pruned.other, 2_000);
    assert!(pruned.bytes < empty + 100_000, "{pruned:?}");
}

#[test]
fn one_change_that_cannot_be_made_leaves_all_as_it_was() {
    let dir = folder();
    let mut store = open(dir.path());
    store
        .put_forge_rows(HOST, &[put("o/a", "x", "1", at(0))])
        .unwrap();
    // Stands in for a disk that is full after the first few of them.
    let raw = rusqlite::Connection::open(store.path()).unwrap();
    raw.execute_batch(
        "CREATE TRIGGER refuse BEFORE INSERT ON forge WHEN new.name = 'z'
         BEGIN SELECT raise(ABORT, 'no room'); END",
    )
    .unwrap();
    let changes = [
        put("o/a", "x", "2", at(1)),
        put("o/b", "y", "1", at(1)),
        forget("o/a", "x"),
        put("o/b", "z", "1", at(1)),
    ];
    let error = store.put_forge_rows(HOST, &changes).unwrap_err();
    assert!(error.to_string().contains("vigil.sqlite"), "{error}");
    assert_eq!(all(&store, HOST), ["o/a x 1 0"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// What is remembered answers like a map by repository and name, whatever they and the values are.
    #[test]
    fn the_rows_are_a_map(
        changes in prop::collection::vec(
            ("\\PC{0,2}", "\\PC{0,3}", prop::option::of("\\PC{0,20}"), any::<u32>()),
            0..40,
        ),
        asked in prop::collection::vec("\\PC{0,2}", 0..4),
    ) {
        let mut store = Store::in_memory(T0).unwrap();
        let mut model = BTreeMap::new();
        for part in changes.chunks(7) {
            let part: Vec<_> = part
                .iter()
                .map(|(repo, name, value, at)| ForgeChange {
                    repo,
                    name,
                    value: value.as_deref(),
                    at: Timestamp(u64::from(*at)),
                })
                .collect();
            store.put_forge_rows(HOST, &part).unwrap();
            for change in part {
                let key = (change.repo, change.name);
                match change.value {
                    Some(value) => drop(model.insert(key, (value, change.at))),
                    None => drop(model.remove(&key)),
                }
            }
        }
        let expected = |of: &dyn Fn(&str) -> bool| -> Vec<ForgeRow> {
            let kept = model.iter().filter(|((repo, _), _)| of(repo));
            kept.map(|((repo, name), (value, at))| ForgeRow {
                repo: (*repo).to_owned(),
                name: (*name).to_owned(),
                value: (*value).to_owned(),
                at: *at,
            })
            .collect()
        };
        prop_assert_eq!(store.forge_rows(HOST, None).unwrap(), expected(&|_| true));
        // Some that are there, some that are not.
        let here = changes.iter().step_by(2).map(|change| change.0.as_str());
        let some: Vec<&str> = here.chain(asked.iter().map(String::as_str)).collect();
        let found = store.forge_rows(HOST, Some(&some)).unwrap();
        prop_assert_eq!(found, expected(&|repo| some.contains(&repo)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// SQLite's log is cut anywhere at all, as by a loss of power: what is left is what one of the calls left, whole.
    #[test]
    fn a_crash_leaves_all_of_a_call_or_nothing(
        calls in 1..8usize,
        things in 1..40usize,
        cut in any::<prop::sample::Index>(),
    ) {
        let dir = folder();
        let mut store = open(dir.path());
        let names: Vec<String> = (0..things).map(|thing| format!("pull/{thing:02}")).collect();
        for call in 1..=calls {
            let value = call.to_string();
            // Each call rewrites every thing and takes the first one away or brings it back.
            let mut changes: Vec<_> =
                names.iter().map(|name| put("o/a", name, &value, at(0))).collect();
            if call.is_multiple_of(2) {
                changes.push(forget("o/a", &names[0]));
            }
            store.put_forge_rows(HOST, &changes).unwrap();
        }
        let crashed = folder();
        fs::copy(Store::file_in(dir.path()), Store::file_in(crashed.path())).unwrap();
        let log = |dir: &Path| dir.join("vigil.sqlite-wal");
        let mut bytes = fs::read(log(dir.path())).unwrap();
        bytes.truncate(cut.index(bytes.len() + 1));
        fs::write(log(crashed.path()), bytes).unwrap();

        let store = open(crashed.path());
        prop_assert_eq!(store.damage().unwrap(), Vec::<String>::new());
        let rows = store.forge_rows(HOST, None).unwrap();
        if let Some(row) = rows.first() {
            let call: usize = row.value.parse().unwrap();
            let left = if call.is_multiple_of(2) { &names[1..] } else { &names[..] };
            let present: Vec<_> = rows.iter().map(|row| (&row.name, &row.value)).collect();
            let expected: Vec<_> = left.iter().map(|name| (name, &row.value)).collect();
            prop_assert_eq!(present, expected);
        }
    }
}

#[test]
fn what_stands_there_has_a_say_in_what_is_put() {
    let mut store = Store::in_memory(T0).unwrap();
    let first = [
        put("o/a", "keep", "1", at(1)),
        put("o/a", "other", "1", at(1)),
        put("o/a", "put", "1", at(1)),
    ];
    store.put_forge_rows(HOST, &first).unwrap();
    let then = [
        put("o/a", "keep", "2", at(2)),
        put("o/a", "other", "2", at(2)),
        put("o/a", "put", "2", at(2)),
        put("o/a", "new", "2", at(2)),
    ];
    let mut seen = Vec::new();
    let merge = |change: &ForgeChange<'_>, stored: Option<&str>| {
        seen.push((change.name.to_owned(), stored.map(str::to_owned)));
        match change.name {
            "keep" => Merge::Keep,
            "other" => Merge::Other("1 and 2".to_owned()),
            _ => Merge::Put,
        }
    };
    store.merge_forge_rows(HOST, &then, merge).unwrap();
    assert_eq!(
        all(&store, HOST),
        [
            "o/a keep 1 1",
            "o/a new 2 2",
            "o/a other 1 and 2 2",
            "o/a put 2 2"
        ]
    );
    let one = Some("1".to_owned());
    let names = ["keep", "other", "put", "new"].map(str::to_owned);
    let stored = [one.clone(), one.clone(), one, None];
    assert_eq!(seen, names.into_iter().zip(stored).collect::<Vec<_>>());
}
