//! Others who write at the very moment of a write, and file systems on which that could not be told.

use super::*;

/// A world whose file system lets no two files change places.
fn without_exchange() -> TestWorld {
    TestWorld::with(|name, _| match name {
        "exchange" => Err(io::Error::from_raw_os_error(22)),
        _ => Ok(()),
    })
}

#[test]
fn without_an_exchange_nothing_is_written_unless_no_vigilante_runs() {
    let home = Home::with(&three());
    // A process table without any Vigilante, another with one, and one that proves nothing.
    let proc = |named: Option<&str>, whole: bool| {
        let dir = tempfile::tempdir().unwrap();
        let process = |pid: u32, name: &str| {
            let folder = dir.path().join(pid.to_string());
            fs::create_dir(&folder).unwrap();
            let rest = "S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 100 0 0 18446744073709551615 0 0 0 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0 0 0 0 0 0 0 0 0";
            fs::write(folder.join("stat"), format!("{pid} ({name}) {rest}")).unwrap();
            fs::write(folder.join("cmdline"), format!("{name}\0")).unwrap();
            std::os::unix::fs::symlink("/", folder.join("cwd")).unwrap();
        };
        process(1, "init");
        let own = std::process::id();
        process(own, "vigil");
        if let Some(name) = named {
            process(own + 1, name);
        }
        if whole {
            std::os::unix::fs::symlink(own.to_string(), dir.path().join("self")).unwrap();
        }
        dir
    };
    let with = |proc: &Path| {
        let settings = Settings {
            proc: proc.to_owned(),
            same_pid_namespace: Some(true),
            ..Settings::default()
        };
        let state = home.dir.path().join("state");
        Vigilante::new("vigilante", home.path(), state, settings)
    };
    let proposed = proposals(&home.source(), &[1]);
    for (proc, said) in [
        (proc(Some("vigilante"), true), "(vigilante) does"),
        (proc(None, false), "not to be seen"),
    ] {
        let outcomes = commit(&with(proc.path()), &proposed, &without_exchange());
        let Committed::Failed(why) = &outcomes[0] else {
            panic!("{outcomes:?}");
        };
        for said in [
            said,
            "change places",
            "nothing was written",
            "mode = \"observe\"",
        ] {
            assert!(why.contains(said), "{said}: {why}");
        }
        assert_eq!(home.text(), three());
        assert_eq!(home.leftovers(), [""; 0]);
    }
    let (home, _held) = wedged();
    let outcomes = commit(
        &home.source(),
        &proposals(&home.source(), &[1]),
        &without_exchange(),
    );
    assert!(matches!(outcomes[0], Committed::Failed(_)), "{outcomes:?}");
    assert_eq!(home.text(), three());

    let home = Home::with(&three());
    let nobody = proc(None, true);
    let settings = Settings {
        proc: nobody.path().to_owned(),
        same_pid_namespace: Some(true),
        ..Settings::default()
    };
    let source = Vigilante::new(
        "vigilante",
        home.path(),
        home.dir.path().join("state"),
        settings,
    );
    let outcomes = commit(&source, &proposals(&source, &[1]), &without_exchange());
    assert_eq!(outcomes, [Committed::Written { exclusive: false }]);
    assert_eq!(home.leftovers(), [""; 0]);
}

#[test]
fn what_two_others_changed_at_once_is_kept_for_a_person_and_the_write_goes_on() {
    let home = Home::with(&three());
    let source = home.source();
    let proposed = proposals(&source, &[1]);
    let theirs = |to: &str| {
        let moved = testing::record(2).replace("running", to);
        testing::file(&[testing::record(1), moved, testing::record(3)])
    };
    let (path, first, second) = (home.path(), theirs("blocked"), theirs("closed"));
    let world = TestWorld::with(move |name, seen| {
        match (name, seen) {
            ("rename", 0) => put(&path, &first),
            ("step-back", 0) => put(&path, &second),
            _ => {}
        }
        Ok(())
    });
    assert_eq!(commit(&source, &proposed, &world), [exclusive()]);
    assert_eq!(raws(&home.text())[1], raws(&theirs("closed"))[1]);
    let kept = source.displaced();
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert!(kept[0].why.contains("`status` of owner/repo#2"), "{kept:?}");
    let text = fs::read_to_string(&kept[0].file).unwrap();
    assert_eq!(
        raws(&text)[1],
        raws(&theirs("closed"))[1],
        "the text that was displaced"
    );
    fs::remove_file(&kept[0].file).unwrap();
    assert_eq!(source.displaced(), []);
}
