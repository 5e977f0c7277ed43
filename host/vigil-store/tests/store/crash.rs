//! What a crash leaves: of the process, and of the machine.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use proptest::prelude::*;
use vigil_core::Verdict;
use vigil_core::session::Revision;
use vigil_store::{Settled, Store, TransitionId};

use crate::common::{T0, answers, at, evidence, folder, held, moved, open};

fn log_of(dir: &Path) -> std::path::PathBuf {
    dir.join("vigil.sqlite-wal")
}

fn prepared(store: &Store) -> Vec<TransitionId> {
    let mut names: Vec<_> = store
        .transitions(None, None, usize::MAX)
        .unwrap()
        .into_iter()
        .map(|one| one.id)
        .collect();
    names.reverse();
    names
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// The machine loses power: of SQLite's log there is left what was forced to the disk, and of the rest any part,
    /// garbled at its end. What `prepare` gave a name is there all the same, and the database is intact.
    #[test]
    fn a_power_failure_takes_no_prepared_transition(
        steps in prop::collection::vec(0..4u8, 1..12),
        cut in any::<prop::sample::Index>(),
        garble in any::<u8>(),
    ) {
        let dir = folder();
        let mut store = open(dir.path());
        let after = Revision("r2".into());
        let answers = answers(Verdict::Hold);
        let mut names = Vec::new();
        let mut on_disk = fs::metadata(log_of(dir.path())).unwrap().len();
        for (number, step) in steps.into_iter().enumerate() {
            let evidence = evidence(number as u32, at(number as u64));
            match step {
                0 | 1 => {
                    names.extend(store.prepare(&[moved(&evidence, &after, T0)]).unwrap());
                    on_disk = fs::metadata(log_of(dir.path())).unwrap().len();
                }
                2 => store.record(&[held(&evidence, &answers, T0)]).unwrap(),
                _ => {
                    if let Some(name) = names.first() {
                        store.settle(*name, &Settled::Written { exclusive: true }, T0).unwrap();
                    }
                }
            }
        }
        let crashed = folder();
        fs::copy(Store::file_in(dir.path()), Store::file_in(crashed.path())).unwrap();
        let mut log = fs::read(log_of(dir.path())).unwrap();
        // The log only grew: no part of it was folded in and written anew, or `on_disk` would mean nothing.
        prop_assert!(log.len() < 3_000_000);
        let on_disk = on_disk as usize;
        let left = on_disk + cut.index(log.len() - on_disk + 1);
        log.truncate(left);
        for byte in log.iter_mut().skip(on_disk).rev().take(100) {
            *byte ^= garble;
        }
        fs::write(log_of(crashed.path()), log).unwrap();

        let store = open(crashed.path());
        prop_assert_eq!(store.damage().unwrap(), Vec::<String>::new());
        prop_assert_eq!(prepared(&store), names);
    }

    /// The log is cut anywhere at all, as by a disk that lied: what is left is a state that once was.
    #[test]
    fn a_log_that_is_cut_anywhere_leaves_a_state_that_once_was(
        count in 1..12u32,
        cut in any::<prop::sample::Index>(),
    ) {
        let dir = folder();
        let mut store = open(dir.path());
        let after = Revision("r2".into());
        let mut names = Vec::new();
        for number in 0..count {
            // Two at a time: both or none must be there.
            let evidence = [evidence(number, T0), evidence(number + 100, T0)];
            let new = evidence.each_ref().map(|one| moved(one, &after, T0));
            names.extend(store.prepare(&new).unwrap());
        }
        let crashed = folder();
        fs::copy(Store::file_in(dir.path()), Store::file_in(crashed.path())).unwrap();
        let mut log = fs::read(log_of(dir.path())).unwrap();
        log.truncate(cut.index(log.len() + 1));
        fs::write(log_of(crashed.path()), log).unwrap();

        let store = open(crashed.path());
        prop_assert_eq!(store.damage().unwrap(), Vec::<String>::new());
        let left = prepared(&store);
        prop_assert!(names.starts_with(&left) && left.len().is_multiple_of(2), "{:?}", left);
    }
}

/// The folder that the child works in.
const FOLDER: &str = "VIGIL_TEST_STORE";

#[test]
fn a_killed_process_leaves_what_it_was_told_is_prepared() {
    let dir = folder();
    drop(open(dir.path()));
    for round in 1..=5usize {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "crash::the_process_that_is_killed",
                "--ignored",
                "--nocapture",
            ])
            .env(FOLDER, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let told: Vec<TransitionId> = lines
            .map(|line| line.unwrap())
            .filter_map(|line| line.rsplit(' ').next().and_then(|name| name.parse().ok()))
            .take(round * 3)
            .collect();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(told.len(), round * 3);
        let store = open(dir.path());
        assert_eq!(store.damage().unwrap(), Vec::<String>::new());
        let left: Vec<_> = store
            .unsettled()
            .unwrap()
            .into_iter()
            .map(|one| one.id)
            .collect();
        assert!(
            told.iter().all(|name| left.contains(name)),
            "{told:?} of {left:?}"
        );
    }
}

#[test]
#[ignore = "runs until it is killed by a_killed_process_leaves_what_it_was_told_is_prepared"]
fn the_process_that_is_killed() {
    #[expect(
        clippy::disallowed_methods,
        reason = "the parent test tells its child where to work"
    )]
    let Some(dir) = std::env::var_os(FOLDER) else {
        return;
    };
    let mut store = open(Path::new(&dir));
    let after = Revision("r2".into());
    let answers = answers(Verdict::Hold);
    for number in 0.. {
        let evidence = evidence(number, at(0));
        let names = store.prepare(&[moved(&evidence, &after, at(0))]).unwrap();
        // Past the test's capturing, which would buffer it.
        if writeln!(std::io::stdout(), "prepared {}", names[0]).is_err() {
            return;
        }
        store.record(&[held(&evidence, &answers, at(0))]).unwrap();
    }
}
