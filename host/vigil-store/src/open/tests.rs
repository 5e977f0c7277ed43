//! What only shows from inside: modes of durability, a full disk, a lock that stays held.

use std::io;

use vigil_core::Timestamp;

use rusqlite::OptionalExtension as _;

use super::*;
use crate::ForgeChange;

const T0: Timestamp = Timestamp(1_790_000_000_000);

const HOST: &str = "github.com";

/// The thing `name` with this JSON.
fn put<'a>(name: &'a str, value: &'a str) -> ForgeChange<'a> {
    ForgeChange {
        repo: "o/r",
        name,
        value: Some(value),
        at: T0,
    }
}

/// The names of all that is remembered.
fn names(store: &Store) -> Vec<String> {
    let rows = store.forge_rows(HOST, None).unwrap();
    rows.into_iter().map(|row| row.name).collect()
}

fn synchronous(db: &Connection) -> rusqlite::Result<i64> {
    db.pragma_query_value(None, "synchronous", |row| row.get(0))
}

#[test]
fn what_must_last_is_forced_to_the_disk_and_the_rest_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path(), T0).unwrap();
    let (normal, full) = (1, 2);
    assert_eq!(store.write("look", |db| synchronous(db)).unwrap(), normal);
    assert_eq!(
        store.write_durably("look", |db| synchronous(db)).unwrap(),
        full
    );
    assert_eq!(store.write("look", |db| synchronous(db)).unwrap(), normal);
    // After a failure, too.
    let failed = store.write_durably("fail", |db| db.execute_batch("no SQL"));
    assert!(failed.is_err());
    assert_eq!(store.write("look", |db| synchronous(db)).unwrap(), normal);
}

#[test]
fn what_a_kill_left_of_files_that_were_being_made_goes_and_what_is_held_stays() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), T0).unwrap();
    std::fs::create_dir_all(dir.path().join("holders")).unwrap();
    let go = [
        ".vigil-new-AbCdEf.sqlite",
        ".vigil-new-AbCdEf.sqlite-wal",
        "holders/.new-AbCdEf",
    ];
    let stay = [".vigil-new-held.sqlite", "vigil.toml", "holders/x.lock"];
    for name in go.iter().chain(&stay) {
        std::fs::write(dir.path().join(name), "x").unwrap();
    }
    let held = std::fs::File::open(dir.path().join(stay[0])).unwrap();
    held.lock().unwrap();
    let there = |names: &[&str]| {
        names
            .iter()
            .filter(|name| dir.path().join(name).exists())
            .count()
    };
    // The file system goes by the real clock.
    let written = std::fs::metadata(dir.path().join(go[0]))
        .unwrap()
        .modified()
        .unwrap();
    let written = written.duration_since(std::time::UNIX_EPOCH).unwrap();
    let written = Timestamp(u64::try_from(written.as_millis()).unwrap());
    drop(store);
    drop(Store::open(dir.path(), written).unwrap());
    assert_eq!(there(&go), go.len(), "their makers may be at work");
    drop(Store::open(dir.path(), Timestamp(written.0 + 120_000)).unwrap());
    assert_eq!((there(&go), there(&stay)), (0, stay.len()));
}

#[test]
fn the_file_is_set_up_as_documented() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), T0).unwrap();
    let pragma = |name: &str| {
        store
            .db
            .pragma_query_value(None, name, |row| row.get::<_, rusqlite::types::Value>(0))
            .unwrap()
    };
    assert_eq!(pragma("journal_mode"), "wal".to_owned().into());
    let numbers = [
        ("foreign_keys", 1),
        ("auto_vacuum", 2),
        ("busy_timeout", 5000),
        ("trusted_schema", 0),
        ("user_version", i64::from(SCHEMA)),
        ("application_id", i64::from(APPLICATION_ID)),
    ];
    for (name, value) in numbers {
        assert_eq!(pragma(name), value.into(), "{name}");
    }
}

#[test]
fn a_lock_that_stays_held_is_busy_and_nothing_is_changed() {
    let dir = tempfile::tempdir().unwrap();
    let mut holder = Store::open(dir.path(), T0).unwrap();
    let mut other = Store::open(dir.path(), T0).unwrap();
    other.db.busy_timeout(Duration::ZERO).unwrap();
    let held = holder
        .db
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .unwrap();
    let error = other.raise("k", "text", T0).unwrap_err();
    assert!(matches!(error, StoreError::Busy { .. }), "{error}");
    assert!(error.to_string().contains("try again"), "{error}");
    // Reading is never held up.
    assert_eq!(other.open_alerts().unwrap(), []);
    drop(held);
    assert!(other.raise("k", "text", T0).unwrap());
}

#[test]
fn a_full_disk_is_told_and_leaves_everything_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path(), T0).unwrap();
    store.put_forge_rows(HOST, &[put("before", "1")]).unwrap();
    let pages: i64 = store
        .db
        .pragma_query_value(None, "page_count", |row| row.get(0))
        .unwrap();
    store
        .db
        .pragma_update_and_check(None, "max_page_count", pages + 2, |_| Ok(()))
        .unwrap();
    let large = format!("\"{}\"", "x".repeat(1000));
    let more: Vec<_> = (0..100).map(|number| format!("pull/{number}")).collect();
    let changes: Vec<_> = more.iter().map(|name| put(name, &large)).collect();
    let error = store.put_forge_rows(HOST, &changes).unwrap_err();
    assert!(matches!(error, StoreError::Full { .. }), "{error}");
    assert!(error.to_string().contains("free some space"), "{error}");
    assert_eq!(names(&store), ["before"]);
    assert_eq!(store.damage().unwrap(), Vec::<String>::new());
    // With room again it goes on.
    store
        .db
        .pragma_update_and_check(None, "max_page_count", 1_000_000, |_| Ok(()))
        .unwrap();
    store.put_forge_rows(HOST, &changes).unwrap();
    assert_eq!(names(&store).len(), 101);
}

#[test]
fn a_full_disk_beside_the_database_is_a_full_disk() {
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR_SHMSIZE);
    let error = StoreError::sqlite(
        "write",
        Path::new("f"),
        rusqlite::Error::SqliteFailure(code, None),
    );
    assert!(matches!(error, StoreError::Full { .. }), "{error}");
}

#[test]
fn each_refusal_of_the_system_is_sorted_by_what_to_do() {
    let sorted = |kind: io::ErrorKind| StoreError::io("create", Path::new("f"), kind.into());
    assert!(matches!(
        sorted(io::ErrorKind::StorageFull),
        StoreError::Full { .. }
    ));
    assert!(matches!(
        sorted(io::ErrorKind::PermissionDenied),
        StoreError::ReadOnly { .. }
    ));
    assert!(matches!(
        sorted(io::ErrorKind::ReadOnlyFilesystem),
        StoreError::ReadOnly { .. }
    ));
    assert!(matches!(
        sorted(io::ErrorKind::NotFound),
        StoreError::Io {
            doing: "create",
            ..
        }
    ));
}

#[test]
fn a_failed_write_leaves_nothing_behind() {
    let mut store = Store::in_memory(T0).unwrap();
    let failed: Result<()> = store.write("fail half-way", |db| {
        db.execute(
            "INSERT INTO forge (host, repo, name, value, at) VALUES ('github.com', 'o/r', 'k', '1', 1)",
            [],
        )?;
        db.execute_batch("no SQL")
    });
    let error = failed.unwrap_err();
    assert!(
        matches!(
            error,
            StoreError::Internal {
                doing: "fail half-way",
                ..
            }
        ),
        "{error}"
    );
    assert!(names(&store).is_empty());
}

#[test]
fn evidence_that_was_tampered_with_is_not_believed() {
    let mut store = Store::in_memory(T0).unwrap();
    let digest = crate::ContentDigest([7; 32]);
    let cases: [(i64, Vec<u8>, &str); 3] = [
        (i64::MAX, vec![1, 2, 3], "claims"),
        (100, b"no zstd at all".to_vec(), "evidence 0707"),
        (
            4,
            zstd::bulk::compress(b"null", 3).unwrap(),
            "not what its name says",
        ),
    ];
    for (size, body, says) in cases {
        store
            .write("tamper", |db| {
                let sql = "INSERT OR REPLACE INTO evidence (id, digest, size, body) VALUES (1, ?1, ?2, ?3)";
                db.execute(sql, params![digest.0, size, body])
            })
            .unwrap();
        let error = store.evidence(&digest).unwrap_err();
        assert!(matches!(error, StoreError::Unreadable { .. }), "{error}");
        let chain = format!(
            "{error}: {:?}",
            std::error::Error::source(&error).map(|e| e.to_string())
        );
        assert!(chain.contains(says), "{chain}");
    }
}

#[test]
fn a_statement_that_is_kept_is_planned_once() {
    let store = Store::in_memory(T0).unwrap();
    let sql =
        "SELECT j.id FROM journal j JOIN journal_seen s ON s.journal_id = j.id WHERE j.key = ?1";
    for key in 0..10u8 {
        let mut statement = store.db.prepare_cached(sql).unwrap();
        let found = statement.query_row([[key; 32]], |row| row.get::<_, i64>(0));
        assert_eq!(found.optional().unwrap(), None);
    }
    let statement = store.db.prepare_cached(sql).unwrap();
    let planned_anew = statement.get_status(rusqlite::StatementStatus::RePrepare);
    assert_eq!(planned_anew, 0);
}
