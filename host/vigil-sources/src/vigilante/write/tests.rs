//! Whole writes: merged with what others wrote, refused where a record moved, and never a third thing.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::SystemTime;

use tempfile::TempDir;
use vigil_core::forge::PullRequestState;
use vigil_core::time::minutes;
use vigil_core::{Evidence, Fact, SessionId, State};

use super::*;
use crate::vigilante::testing::{self, NOW, TestWorld};
use crate::vigilante::{Settings, propose};
use crate::{Change, Refusal, Source as _, Target};

mod at_once;
mod locked;

/// A Vigilante home with vigil's state folder beside it.
struct Home {
    dir: TempDir,
}

impl Home {
    fn with(text: &str) -> Home {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("home/logs")).unwrap();
        let home = Home { dir };
        home.put(text);
        home
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    fn source(&self) -> Vigilante {
        let state = self.dir.path().join("state");
        Vigilante::new("vigilante", self.path(), state, Settings::default())
    }

    fn put(&self, text: &str) {
        put(&self.path(), text);
    }

    fn text(&self) -> String {
        fs::read_to_string(self.path().join(SESSIONS_FILE)).unwrap()
    }

    fn backups(&self) -> usize {
        let folder = self.dir.path().join("state/backups/vigilante");
        fs::read_dir(folder).map_or(0, Iterator::count)
    }

    /// Names in the home that are none of Vigilante's.
    fn leftovers(&self) -> Vec<String> {
        let names = fs::read_dir(self.path()).unwrap();
        names
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| {
                !["logs", "scan.lock", "sessions.json", "watchlist.json"].contains(&name.as_str())
            })
            .collect()
    }
}

/// Writes as Vigilante does: a temporary file, then a rename, no lock.
fn put(home: &Path, text: &str) {
    let temp = home.join("sessions.json.tmp-1");
    fs::write(&temp, text).unwrap();
    fs::rename(temp, home.join(SESSIONS_FILE)).unwrap();
}

fn three() -> String {
    testing::file(&[1, 2, 3].map(testing::record))
}

/// Evidence for each of `issues` from the present file, with a merged pull request.
fn evidence(source: &Vigilante, issues: &[u64]) -> Vec<Evidence> {
    let ids: Vec<SessionId> = issues.iter().map(|issue| id(*issue)).collect();
    let revisions = propose::revisions(source, &ids).unwrap();
    issues
        .iter()
        .zip(revisions)
        .map(|(issue, revision)| {
            let mut evidence = testing::evidence(*issue, revision.unwrap());
            evidence.pull_request = Fact::Found(testing::pull_request(PullRequestState::Merged));
            evidence
        })
        .collect()
}

fn id(issue: u64) -> SessionId {
    SessionId::new("vigilante", format!("owner/repo#{issue}"))
}

/// Proposals that all `issues` succeeded.
fn proposals(source: &Vigilante, issues: &[u64]) -> Vec<Proposal> {
    let evidence = evidence(source, issues);
    let changes: Vec<Change<'_>> = evidence.iter().map(succeeded).collect();
    propose::propose(source, &changes)
        .into_iter()
        .collect::<Result<_, Refusal>>()
        .unwrap()
}

fn succeeded(evidence: &Evidence) -> Change<'_> {
    Change {
        evidence,
        target: Target::State(State::Succeeded),
        at: NOW,
        rule: "merged-pr",
        reason: "its pull request was merged",
    }
}

fn exclusive() -> Committed {
    Committed::Written { exclusive: true }
}

/// The raw records of a text.
fn raws(text: &str) -> Vec<&str> {
    let file = RecordFile::parse(Path::new("t"), text).unwrap();
    file.outlines.iter().map(|record| record.raw).collect()
}

fn revision_of(source: &Vigilante, issue: u64) -> Option<Revision> {
    propose::revisions(source, &[id(issue)]).unwrap().remove(0)
}

fn hold(home: &Path) -> File {
    let file = File::create(home.join("scan.lock")).unwrap();
    rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive).unwrap();
    file
}

/// A home whose lock is held by a scan that has been still for 20 minutes.
fn wedged() -> (Home, File) {
    let home = Home::with(&three());
    let still = SystemTime::UNIX_EPOCH + Duration::from_millis(NOW.before(minutes(20)).as_millis());
    for name in ["logs/vigilante.log", "logs/access.jsonl"] {
        let file = File::create(home.path().join(name)).unwrap();
        file.set_modified(still).unwrap();
    }
    fs::write(home.path().join("watchlist.json"), "[]\n").unwrap();
    let held = hold(&home.path());
    (home, held)
}

#[test]
fn a_write_makes_the_records_as_proposed_and_keeps_all_else() {
    let home = Home::with(&three());
    let source = home.source();
    let proposed = proposals(&source, &[3, 1]);
    assert_eq!(proposed[0].native_before, "running");
    assert_eq!(proposed[0].native_after, "success");
    let world = TestWorld::new();
    assert_eq!(
        commit(&source, &proposed, &world),
        [exclusive(), exclusive()]
    );
    for (proposal, issue) in proposed.iter().zip([3, 1]) {
        assert_eq!(revision_of(&source, issue), Some(proposal.after.clone()));
    }
    let (before, after) = (three(), home.text());
    assert_eq!(raws(&before)[1], raws(&after)[1]);
    for kept in [
        "caf\\u00e9 \\u003cb\\u003e",
        "{\"n\": 1.0e2, \"list\": [1,2 ,3]}",
    ] {
        assert_eq!(before.matches(kept).count(), after.matches(kept).count());
    }
    assert_eq!(
        world.steps(),
        [
            "backup",
            "create-temp",
            "write-temp",
            "sync-temp",
            "lock",
            "reread",
            "rename",
            "exchange",
            "look-back",
            "sync-folder"
        ]
    );
    assert_eq!(home.leftovers(), [""; 0]);
}

#[test]
fn what_another_wrote_just_so_is_no_claim_and_the_rest_is() {
    let home = Home::with(&three());
    let source = home.source();
    // Another vigil, with a state folder of its own, has read the same and proposes the same.
    let state = home.dir.path().join("other");
    let other = Vigilante::new("vigilante", home.path(), state, Settings::default());
    let proposed = proposals(&source, &[1]);
    let of_other = proposals(&other, &[1, 2]);
    assert_eq!(proposed[0], of_other[0]);
    assert_eq!(commit(&source, &proposed, &TestWorld::new()), [exclusive()]);
    let outcomes = commit(&other, &of_other, &TestWorld::new());
    let Committed::Conflict(why) = &outcomes[0] else {
        panic!("{outcomes:?}");
    };
    assert!(why.contains("as proposed by someone else"), "{why}");
    assert_eq!(outcomes[1], exclusive());
    // Nothing is left to be written: nothing is.
    let (written, world) = (home.text(), TestWorld::new());
    let outcomes = commit(&other, &of_other, &world);
    assert!(
        outcomes
            .iter()
            .all(|one| matches!(one, Committed::Conflict(_))),
        "{outcomes:?}"
    );
    assert_eq!(world.steps(), [""; 0]);
    assert_eq!(home.text(), written);
}

#[test]
fn what_another_wrote_just_so_before_the_lock_was_had_is_no_claim_either() {
    for step in ["backup", "sync-temp", "lock", "reread"] {
        let home = Home::with(&three());
        let (source, folder) = (home.source(), home.dir.path().join("other"));
        let other = Vigilante::new("vigilante", home.path(), folder, Settings::default());
        let proposed = proposals(&source, &[1, 2]);
        let of_other = proposals(&other, &[1]);
        let world = TestWorld::with(move |name, seen| {
            if name == step && seen == 0 {
                // Whoever has the lock already keeps the other out.
                let expected = name != "reread";
                let outcomes = commit(&other, &of_other, &TestWorld::new());
                assert_eq!(outcomes == [exclusive()], expected, "{outcomes:?}");
            }
            Ok(())
        });
        let outcomes = commit(&source, &proposed, &world);
        assert_eq!(
            matches!(&outcomes[0], Committed::Conflict(why) if why.contains("as proposed by someone else")),
            step != "reread",
            "{step}: {outcomes:?}"
        );
        assert_eq!(outcomes[1], exclusive(), "{step}");
    }
}

#[test]
fn a_record_that_moved_is_a_conflict_and_the_others_go_on() {
    let home = Home::with(&three());
    let source = home.source();
    let proposed = proposals(&source, &[1, 2, 3]);
    let moved = testing::record(2).replace("running", "closed");
    home.put(&testing::file(&[testing::record(1), moved.clone()]));
    let outcomes = commit(&source, &proposed, &TestWorld::new());
    assert_eq!(outcomes[0], exclusive());
    assert!(
        matches!(outcomes[1], Committed::Conflict(_)),
        "{outcomes:?}"
    );
    assert!(
        matches!(outcomes[2], Committed::Conflict(_)),
        "{outcomes:?}"
    );
    assert_eq!(raws(&home.text())[1], moved.trim_start());
}

#[test]
fn bookkeeping_in_between_is_no_conflict_and_survives() {
    let home = Home::with(&three());
    let source = home.source();
    let proposed = proposals(&source, &[1]);
    let polled = testing::record(1).replace(
        "\"process_id\"",
        "\"issue_comments_etag\": \"W/1\",\n    \"process_id\"",
    );
    home.put(&testing::file(&[polled]));
    assert_eq!(commit(&source, &proposed, &TestWorld::new()), [exclusive()]);
    assert!(home.text().contains("\"issue_comments_etag\": \"W/1\""));
}

#[test]
fn a_second_writer_at_any_step_is_merged_with() {
    for step in [
        "backup",
        "create-temp",
        "write-temp",
        "sync-temp",
        "lock",
        "reread",
        "rename",
    ] {
        let home = Home::with(&three());
        let source = home.source();
        let proposed = proposals(&source, &[1, 2]);
        let moved = testing::record(2).replace("running", "resuming");
        let theirs = testing::file(&[
            testing::record(4),
            testing::record(3),
            moved.clone(),
            testing::record(1),
        ]);
        let (path, text) = (home.path(), theirs.clone());
        let world = TestWorld::with(move |name, seen| {
            if name == step && seen == 0 {
                put(&path, &text);
            }
            Ok(())
        });
        let outcomes = commit(&source, &proposed, &world);
        assert_eq!(outcomes[0], exclusive(), "at {step}");
        assert!(matches!(outcomes[1], Committed::Conflict(_)), "at {step}");
        let (now, theirs) = (home.text(), raws(&theirs));
        assert_eq!(
            raws(&now)[..3],
            theirs[..3],
            "at {step} nothing of theirs may be lost"
        );
        assert_eq!(revision_of(&source, 1), Some(proposed[0].after.clone()));
        assert_eq!(home.leftovers(), [""; 0]);
        // What can be seen before the files change places is not left to the look back.
        let renames = world
            .steps()
            .iter()
            .filter(|step| **step == "rename")
            .count();
        assert_eq!(renames, if step == "rename" { 2 } else { 1 }, "at {step}");
    }
}

#[test]
fn a_writer_that_never_rests_is_a_conflict_and_stands() {
    for step in ["reread", "rename"] {
        let home = Home::with(&three());
        let source = home.source();
        let proposed = proposals(&source, &[1]);
        let path = home.path();
        let last = Arc::new(Mutex::new(String::new()));
        let written = Arc::clone(&last);
        let world = TestWorld::with(move |name, seen| {
            if name == step {
                let text = three() + &" ".repeat(seen + 1);
                put(&path, &text);
                *written.lock().unwrap() = text;
            }
            Ok(())
        });
        let outcomes = commit(&source, &proposed, &world);
        assert!(
            matches!(outcomes[0], Committed::Conflict(_)),
            "{outcomes:?}"
        );
        assert_eq!(home.text(), *last.lock().unwrap());
        assert_eq!(home.leftovers(), [""; 0]);
    }
}

#[test]
fn a_step_that_fails_before_the_rename_leaves_everything_as_it_was() {
    for step in [
        "backup",
        "create-temp",
        "write-temp",
        "sync-temp",
        "lock",
        "reread",
        "rename",
    ] {
        let home = Home::with(&three());
        let source = home.source();
        let proposed = proposals(&source, &[1]);
        let failing = TestWorld::with(move |name, _| match name == step {
            true => Err(io::Error::from(io::ErrorKind::StorageFull)),
            false => Ok(()),
        });
        let outcomes = commit(&source, &proposed, &failing);
        let Committed::Failed(why) = &outcomes[0] else {
            panic!("{step}: {outcomes:?}");
        };
        let place = if step == "backup" { "state" } else { "home" };
        assert!(
            why.contains(home.dir.path().join(place).to_str().unwrap()),
            "{why}"
        );
        assert!(why.contains("free space"), "{why}");
        assert_eq!(home.text(), three());
        assert_eq!(home.leftovers(), [""; 0]);
        assert_eq!(commit(&source, &proposed, &TestWorld::new()), [exclusive()]);
    }
}

#[test]
fn a_folder_that_cannot_be_synced_does_not_unsay_the_write() {
    let home = Home::with(&three());
    let source = home.source();
    let proposed = proposals(&source, &[1]);
    let world = TestWorld::with(|name, _| match name {
        "sync-folder" => Err(io::Error::other("no")),
        _ => Ok(()),
    });
    assert_eq!(commit(&source, &proposed, &world), [exclusive()]);
    assert_eq!(revision_of(&source, 1), Some(proposed[0].after.clone()));
}

#[test]
fn a_write_that_cannot_be_proven_is_looked_at_again() {
    let home = Home::with(&three());
    let source = home.source();
    let proposed = proposals(&source, &[1]);
    let world = TestWorld::with(|name, _| match name {
        "look-back" => Err(io::Error::other("no")),
        _ => Ok(()),
    });
    assert_eq!(
        commit(&source, &proposed, &world),
        [Committed::Written { exclusive: false }]
    );
    assert_eq!(world.steps().last(), Some(&"read-back"));
    // What it displaced was not looked at: the next pass does.
    assert_eq!(home.leftovers().len(), 2);
    source.recover(&[], &TestWorld::new()).unwrap();
    assert_eq!(home.leftovers(), [""; 0]);
    assert_eq!(source.displaced(), []);
}

#[test]
fn the_first_write_to_a_home_is_preceded_by_a_backup() {
    let home = Home::with(&three());
    let source = home.source();
    commit(&source, &proposals(&source, &[1]), &TestWorld::new());
    assert_eq!(home.backups(), 1);
    commit(&source, &proposals(&source, &[2]), &TestWorld::new());
    assert_eq!(home.backups(), 1, "one is enough");
}

#[test]
fn without_a_backup_nothing_is_written() {
    let home = Home::with(&three());
    fs::write(
        home.dir.path().join("state"),
        "a file where the folder would be",
    )
    .unwrap();
    let source = home.source();
    let outcomes = commit(&source, &proposals(&source, &[1]), &TestWorld::new());
    assert!(matches!(outcomes[0], Committed::Failed(_)), "{outcomes:?}");
    assert_eq!(home.text(), three());
}

#[test]
fn a_link_stays_a_link_and_what_it_leads_to_is_written() {
    let home = Home::with(&three());
    let elsewhere = home.dir.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let link = home.path().join(SESSIONS_FILE);
    fs::rename(&link, elsewhere.join("real.json")).unwrap();
    std::os::unix::fs::symlink("../elsewhere/real.json", &link).unwrap();
    let source = home.source();
    let proposed = proposals(&source, &[1]);
    assert_eq!(commit(&source, &proposed, &TestWorld::new()), [exclusive()]);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    let real = fs::read_to_string(elsewhere.join("real.json")).unwrap();
    assert!(real.contains("\"success\""));
    assert_eq!(fs::read_dir(elsewhere).unwrap().count(), 1);
    fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink("../elsewhere/nothing.json", &link).unwrap();
    let outcomes = commit(&source, &proposed, &TestWorld::new());
    assert!(matches!(outcomes[0], Committed::Failed(_)), "{outcomes:?}");
}

#[test]
fn doubtful_records_are_never_written() {
    let home = Home::with(&three());
    let source = home.source();
    let proposed = proposals(&source, &[1, 2]);
    let twice =
        testing::record(2).replace("\"process_id\"", "\"Status\": \"x\",\n    \"process_id\"");
    let other_case = testing::record(1).replace("owner/repo", "Owner/Repo");
    let text = testing::file(&[testing::record(1), twice, other_case]);
    home.put(&text);
    let outcomes = commit(&source, &proposed, &TestWorld::new());
    for outcome in &outcomes {
        assert!(matches!(outcome, Committed::Conflict(_)), "{outcomes:?}");
    }
    assert_eq!(home.text(), text);
}

#[test]
fn a_file_that_is_broken_or_gone_is_left_so() {
    let home = Home::with(&three());
    let source = home.source();
    let proposed = proposals(&source, &[1]);
    for broken in ["", "[{\"repo\":", "{}", "[1]"] {
        home.put(broken);
        let outcomes = commit(&source, &proposed, &TestWorld::new());
        let Committed::Failed(why) = &outcomes[0] else {
            panic!("{outcomes:?}");
        };
        assert!(why.contains("sessions.json:1:"), "{why}");
        assert_eq!(home.text(), broken);
    }
    fs::remove_file(home.path().join(SESSIONS_FILE)).unwrap();
    let outcomes = commit(&source, &proposed, &TestWorld::new());
    assert!(
        matches!(outcomes[0], Committed::Conflict(_)),
        "{outcomes:?}"
    );
    assert_eq!(home.leftovers(), [""; 0]);
}

#[test]
fn one_proposal_twice_is_written_once() {
    let home = Home::with(&three());
    let source = home.source();
    let one = proposals(&source, &[1]).remove(0);
    let outcomes = commit(&source, &[one.clone(), one], &TestWorld::new());
    assert_eq!(outcomes[0], exclusive());
    assert!(matches!(outcomes[1], Committed::Conflict(_)));
}

#[test]
fn ten_thousand_records_are_one_rename() {
    let issues: Vec<u64> = (1..=10_000).collect();
    let records: Vec<String> = issues.iter().map(|issue| testing::record(*issue)).collect();
    let home = Home::with(&testing::file(&records));
    let source = home.source();
    let proposed = proposals(&source, &issues);
    let world = TestWorld::new();
    let outcomes = commit(&source, &proposed, &world);
    assert!(outcomes.iter().all(|outcome| *outcome == exclusive()));
    let steps = world.steps();
    assert_eq!(steps.iter().filter(|step| **step == "rename").count(), 1);
    assert_eq!(
        home.text().matches("\"status\": \"success\"").count(),
        10_000
    );
}

#[test]
fn nothing_proposed_touches_nothing() {
    let home = Home::with("not even JSON");
    let world = TestWorld::new();
    assert_eq!(commit(&home.source(), &[], &world), []);
    assert_eq!(world.steps(), [""; 0]);
}
