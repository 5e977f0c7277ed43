//! Writes while somebody holds the scan's lock: one at work, and one that is stuck.

use super::*;

#[test]
fn a_held_lock_is_told_apart_from_a_conflict() {
    let home = Home::with(&three());
    let source = home.source();
    let proposed = proposals(&source, &[1, 2]);
    let _held = hold(&home.path());
    let outcomes = commit(&source, &proposed, &TestWorld::new());
    for outcome in outcomes {
        let Committed::Locked(why) = outcome else {
            panic!("{outcome:?}");
        };
        assert!(
            why.contains(&format!("pid {}", std::process::id())),
            "{why}"
        );
    }
    assert_eq!(home.text(), three());
    assert_eq!(home.leftovers(), [""; 0]);
}

#[test]
fn a_wedged_lock_is_written_past_and_looked_at_again() {
    let (home, _held) = wedged();
    let source = home.source();
    let proposed = proposals(&source, &[1]);
    let world = TestWorld::new();
    assert_eq!(
        commit(&source, &proposed, &world),
        [Committed::Written { exclusive: false }]
    );
    assert_eq!(world.steps().last(), Some(&"read-back"));
    // Five seconds for the lock, one before the second look.
    assert_eq!(NOW.age(world.now()), Duration::from_secs(6));
    assert_eq!(revision_of(&source, 1), Some(proposed[0].after.clone()));
}

#[test]
fn what_a_waking_holder_writes_over_is_reported() {
    let (home, _held) = wedged();
    let source = home.source();
    let proposed = proposals(&source, &[1, 2]);
    let path = home.path();
    let world = TestWorld::with(move |name, _| {
        if name == "read-back" {
            // It puts back what it had in memory, but for #2, which it had not loaded.
            let now = fs::read_to_string(path.join(SESSIONS_FILE)).unwrap();
            let kept = format!("  {}", raws(&now)[1]);
            put(&path, &testing::file(&[testing::record(1), kept]));
        }
        Ok(())
    });
    let outcomes = commit(&source, &proposed, &world);
    assert!(
        matches!(outcomes[0], Committed::Conflict(_)),
        "{outcomes:?}"
    );
    assert_eq!(outcomes[1], Committed::Written { exclusive: false });
}

#[test]
fn what_cannot_be_read_back_is_not_called_written() {
    let breakers: [fn(&Path) -> io::Result<()>; 3] = [
        |_| Err(io::Error::other("no")),
        |home| fs::write(home.join(SESSIONS_FILE), "[{"),
        |home| fs::remove_file(home.join(SESSIONS_FILE)),
    ];
    for breaker in breakers {
        let (home, _held) = wedged();
        let source = home.source();
        let proposed = proposals(&source, &[1]);
        let path = home.path();
        let world = TestWorld::with(move |name, _| match name {
            "read-back" => breaker(&path),
            _ => Ok(()),
        });
        let outcomes = commit(&source, &proposed, &world);
        assert!(
            matches!(outcomes[0], Committed::Conflict(_)),
            "{outcomes:?}"
        );
    }
}
