//! Files that change places, on a real file system.

use rustix::process::geteuid;

use super::*;
use crate::vigilante::testing::{self, TestWorld};

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn put(folder: &Path, text: &str) {
    let temp = folder.join("theirs");
    fs::write(&temp, text).unwrap();
    fs::rename(temp, folder.join("f")).unwrap();
}

fn text(folder: &Path) -> String {
    fs::read_to_string(folder.join("f")).unwrap()
}

/// Pins and replaces, with `between` in the gap.
fn replaced(target: &Path, new: &str, expected: &str, between: impl FnOnce()) -> Replaced {
    let world = TestWorld::new();
    let mut prepared = Prepared::write(target, new.to_owned(), &world).unwrap();
    assert!(prepared.pin(expected).unwrap());
    between();
    prepared.replace(expected, &world).unwrap()
}

#[test]
fn mode_and_owner_are_those_of_the_old_file() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("f");
    put(dir.path(), "old");
    let root = geteuid().is_root();
    for mode in [0o600, 0o640, 0o644] {
        fs::set_permissions(&target, fs::Permissions::from_mode(mode)).unwrap();
        if root {
            std::os::unix::fs::chown(&target, Some(4711), Some(4712)).unwrap();
        }
        let before = text(dir.path());
        let done = replaced(&target, &format!("new {mode:o}"), &before, || {});
        assert!(matches!(done, Replaced::Yes), "{done:?}");
        let meta = fs::metadata(&target).unwrap();
        assert_eq!(meta.mode() & 0o7777, mode);
        if root {
            assert_eq!((meta.uid(), meta.gid()), (4711, 4712));
        }
        assert_eq!(text(dir.path()), format!("new {mode:o}"));
    }
    assert_eq!(names(dir.path()), ["f"]);
}

#[test]
fn a_prepared_text_that_is_dropped_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "old");
    let target = dir.path().join("f");
    let prepared = Prepared::write(&target, "new".to_owned(), &TestWorld::new()).unwrap();
    assert_eq!(names(dir.path()).len(), 2);
    drop(prepared);
    assert_eq!(names(dir.path()), ["f"]);
    assert_eq!(text(dir.path()), "old");
}

#[test]
fn what_somebody_wrote_since_the_last_look_stands() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "old");
    let target = dir.path().join("f");
    let done = replaced(&target, "new", "old", || put(dir.path(), "theirs, unseen"));
    assert!(matches!(done, Replaced::No), "{done:?}");
    assert_eq!(text(dir.path()), "theirs, unseen");
    assert_eq!(names(dir.path()), ["f"]);
}

#[test]
fn bytes_that_are_no_text_stand_like_any_other() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "old");
    let target = dir.path().join("f");
    // In place, so that the pinned name leads to it as well.
    let done = replaced(&target, "new", "old", || {
        fs::write(&target, [0xff, 0xfe]).unwrap();
    });
    assert!(matches!(done, Replaced::No), "{done:?}");
    assert_eq!(fs::read(&target).unwrap(), [0xff, 0xfe]);
}

#[test]
fn a_file_that_is_gone_is_an_error_and_stays_gone() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "old");
    let world = TestWorld::new();
    let target = dir.path().join("f");
    let mut prepared = Prepared::write(&target, "new".to_owned(), &world).unwrap();
    assert!(prepared.pin("old").unwrap());
    fs::remove_file(&target).unwrap();
    let why = prepared.replace("old", &world).unwrap_err();
    assert!(why.contains(target.to_str().unwrap()), "{why}");
    assert_eq!(names(dir.path()), [""; 0]);
}

#[test]
fn what_is_not_expected_is_not_pinned_and_nothing_is_left() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "another");
    let target = dir.path().join("f");
    let mut prepared = Prepared::write(&target, "new".to_owned(), &TestWorld::new()).unwrap();
    assert!(!prepared.pin("old").unwrap());
    drop(prepared);
    assert_eq!(names(dir.path()), ["f"]);
    assert_eq!(text(dir.path()), "another");
}

#[test]
fn a_second_name_keeps_the_old_text() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "old");
    let target = dir.path().join("f");
    fs::hard_link(&target, dir.path().join("snapshot")).unwrap();
    let done = replaced(&target, "new", "old", || {});
    assert!(matches!(done, Replaced::Yes), "{done:?}");
    assert_eq!(text(dir.path()), "new");
    let snapshot = fs::read_to_string(dir.path().join("snapshot")).unwrap();
    assert_eq!(snapshot, "old");
    assert_eq!(names(dir.path()), ["f", "snapshot"]);
}

#[test]
fn without_an_exchange_nothing_is_done_until_somebody_decides() {
    for errno in [Errno::INVAL, Errno::NOSYS, Errno::OPNOTSUPP, Errno::XDEV] {
        let dir = tempfile::tempdir().unwrap();
        put(dir.path(), "old");
        let target = dir.path().join("f");
        let world = TestWorld::with(move |name, _| match name {
            "exchange" => Err(errno.into()),
            _ => Ok(()),
        });
        let mut prepared = Prepared::write(&target, "new".to_owned(), &world).unwrap();
        assert!(prepared.pin("old").unwrap());
        let done = prepared.replace("old", &world).unwrap();
        assert_eq!(text(dir.path()), "old");
        let Replaced::NoExchange(prepared) = done else {
            panic!("{errno}: {done:?}");
        };
        let done = prepared.rename_over().unwrap();
        assert!(matches!(done, Replaced::Unproven(_)), "{done:?}");
        assert_eq!(text(dir.path()), "new");
        assert_eq!(names(dir.path()), ["f"]);
    }
}

#[test]
fn what_cannot_be_looked_back_at_stays_on_the_disk() {
    for step in ["look-back", "step-back"] {
        let dir = tempfile::tempdir().unwrap();
        put(dir.path(), "old");
        let world = TestWorld::with(move |name, _| match name == step {
            true => Err(io::Error::other("no")),
            false => Ok(()),
        });
        let target = dir.path().join("f");
        let mut prepared = Prepared::write(&target, "new".to_owned(), &world).unwrap();
        assert!(prepared.pin("old").unwrap());
        put(dir.path(), "theirs");
        let done = prepared.replace("old", &world).unwrap();
        assert!(matches!(done, Replaced::Unproven(_)), "{done:?}");
        assert_eq!(text(dir.path()), "new");
        let left = names(dir.path());
        assert_eq!(left.len(), 3, "{left:?}");
        let temp = left
            .iter()
            .find(|name| name.ends_with(TEMP_SUFFIX))
            .unwrap();
        assert_eq!(fs::read_to_string(dir.path().join(temp)).unwrap(), "theirs");
    }
}

/// Three records; the changes of two who write at once.
fn three() -> String {
    testing::file(&[1, 2, 3].map(testing::record))
}

fn moved(text: &str, issue: u64, to: &str) -> String {
    let record = testing::record(issue);
    let to = record.replace("\"running\"", &format!("\"{to}\""));
    text.replace(&record, &to)
}

/// Writes `first` in the gap before the exchange, and `second` of what is in place before the places are changed back.
fn two_writers(
    folder: &Path,
    first: impl Fn(&str) -> String + Send + 'static,
    second: impl Fn(&str) -> String + Send + 'static,
) -> Replaced {
    put(folder, &three());
    let target = folder.join("f");
    let at = folder.to_owned();
    let world = TestWorld::with(move |name, _| {
        if name == "step-back" {
            put(&at, &second(&text(&at)));
        }
        Ok(())
    });
    let ours = moved(&three(), 1, "success");
    let mut prepared = Prepared::write(&target, ours, &world).unwrap();
    assert!(prepared.pin(&three()).unwrap());
    put(folder, &first(&three()));
    prepared.replace(&three(), &world).unwrap()
}

#[test]
fn who_writes_while_vigil_steps_back_loses_nothing_and_takes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    // The second one read vigil's text, which had not the first one's change.
    let done = two_writers(
        dir.path(),
        |text| moved(text, 2, "blocked"),
        |text| {
            assert!(text.contains("\"success\"") && !text.contains("\"blocked\""));
            moved(text, 3, "closed")
        },
    );
    assert!(matches!(done, Replaced::No), "{done:?}");
    let expected = moved(&moved(&three(), 2, "blocked"), 3, "closed");
    assert_eq!(text(dir.path()), expected);
    assert_eq!(names(dir.path()), ["f"]);

    // The second one had read before everything.
    let dir = tempfile::tempdir().unwrap();
    let done = two_writers(
        dir.path(),
        |text| moved(text, 2, "blocked"),
        |_| moved(&three(), 3, "closed"),
    );
    assert!(matches!(done, Replaced::No), "{done:?}");
    assert_eq!(text(dir.path()), expected);

    // Or only wrote again what it had read.
    let dir = tempfile::tempdir().unwrap();
    let done = two_writers(dir.path(), |text| moved(text, 2, "blocked"), |_| three());
    assert!(matches!(done, Replaced::No), "{done:?}");
    assert_eq!(text(dir.path()), moved(&three(), 2, "blocked"));
}

#[test]
fn what_two_changed_at_once_is_told_and_the_last_one_stands() {
    let dir = tempfile::tempdir().unwrap();
    let done = two_writers(
        dir.path(),
        |text| moved(text, 2, "blocked"),
        |text| moved(text, 2, "closed"),
    );
    let Replaced::Contested(conflicts, lost) = done else {
        panic!("{done:?}");
    };
    assert_eq!(conflicts, ["`status` of owner/repo#2"]);
    assert!(!lost.is_empty());
    assert_eq!(text(dir.path()), moved(&three(), 2, "closed"));
    assert_eq!(names(dir.path()), ["f"]);
}

#[test]
fn others_who_never_rest_lose_nothing() {
    // A third, a fourth ... writes whenever two files change places.
    for rounds in [1, 2, 3, 20] {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().to_owned();
        put(&folder, &three());
        let target = folder.join("f");
        let at = folder.clone();
        let world = TestWorld::with(move |name, seen| {
            // The very first exchange is vigil's own write.
            if name == "exchange" && (1..=rounds).contains(&seen) {
                let note = format!("\"x_{seen}\": 1,\n    \"process_id\"");
                let text = text(&at);
                let changed = text.replacen("\"process_id\"", &note, 1);
                put(&at, &changed);
            }
            Ok(())
        });
        let ours = moved(&three(), 1, "success");
        let mut prepared = Prepared::write(&target, ours, &world).unwrap();
        assert!(prepared.pin(&three()).unwrap());
        put(&folder, &moved(&three(), 2, "blocked"));
        let done = prepared.replace(&three(), &world).unwrap();
        let all: String = names(&folder)
            .iter()
            .map(|name| fs::read_to_string(folder.join(name)).unwrap())
            .collect();
        match (rounds, &done) {
            // What could not be brought together is there for the next pass.
            (20, Replaced::Unproven(_)) => assert!(names(&folder).len() > 1),
            (1..=3, Replaced::No) => assert_eq!(names(&folder), ["f"]),
            _ => panic!("{rounds}: {done:?}"),
        }
        assert!(all.contains("\"blocked\""), "{rounds}");
        for round in 1..=rounds.min(4) {
            assert!(
                all.contains(&format!("\"x_{round}\"")),
                "{round} of {rounds}"
            );
        }
    }
}
