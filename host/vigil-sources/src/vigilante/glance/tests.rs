//! The records at a glance are those of the file, whatever was known before.

use std::fs;

use std::fs::FileTimes;
use std::io::{Seek as _, SeekFrom, Write as _};

use proptest::prelude::*;

use super::*;
use crate::vigilante::record::RecordFile;
use crate::vigilante::testing::{self, NOW};

const SOURCE: &str = "vigilante";

struct Home(tempfile::TempDir);

impl Home {
    fn new(text: &str) -> Home {
        let home = Home(tempfile::tempdir().expect("a folder"));
        home.replace(text);
        home
    }

    fn file(&self) -> std::path::PathBuf {
        self.0.path().join(SESSIONS_FILE)
    }

    /// As Vigilante writes: a new file in the place of the old one.
    fn replace(&self, text: &str) {
        let temp = self.0.path().join("new");
        fs::write(&temp, text).expect("a file");
        fs::rename(&temp, self.file()).expect("it moves");
    }

    /// As nobody should: into the file itself, whose time is set back to what it was.
    fn overwrite(&self, at: u64, text: &str) {
        let mut file = File::options()
            .write(true)
            .open(self.file())
            .expect("the file");
        let modified = file.metadata().and_then(|found| found.modified());
        file.seek(SeekFrom::Start(at)).expect("its place");
        file.write_all(text.as_bytes()).expect("it is written");
        file.set_times(FileTimes::new().set_modified(modified.expect("a time")))
            .expect("the time is set");
    }

    /// Until the file system gives other times than those of the file, which takes it a few milliseconds.
    fn until_times_move_on(&self) {
        let changed = |path: &Path| {
            let found = fs::metadata(path).expect("a file");
            (found.ctime(), found.ctime_nsec())
        };
        let probe = self.0.path().join("probe");
        loop {
            fs::write(&probe, "").expect("a file");
            if changed(&probe) > changed(&self.file()) {
                return;
            }
        }
    }

    fn glance(&self, before: Option<&Arc<Glance>>, later: Duration) -> (Arc<Glance>, File) {
        glance(self.0.path(), SOURCE, before, file_clock() + later).expect("a plain file")
    }
}

fn ids(glance: &Glance) -> Vec<&str> {
    glance
        .listed()
        .iter()
        .map(|one| one.id.id.as_str())
        .collect()
}

const SOON: Duration = Duration::from_secs(60);

#[test]
fn a_file_that_is_as_it_was_is_not_read_again() {
    let home = Home::new(&testing::file(&[testing::record(1), testing::record(2)]));
    let (first, _) = home.glance(None, SOON);
    let (second, _) = home.glance(Some(&first), SOON + SOON);
    assert!(Arc::ptr_eq(&first, &second));
    assert_eq!(ids(&second), ["owner/repo#1", "owner/repo#2"]);
    // Not for ever, though; what was derived from the list still holds.
    let (later, _) = home.glance(Some(&first), SOON + TRUSTED_FOR);
    assert!(!Arc::ptr_eq(&first, &later));
    assert!(Arc::ptr_eq(first.listed(), later.listed()));
    // Neither is the word of a clock that was set back.
    let (earlier, _) = home.glance(Some(&first), Duration::ZERO);
    assert!(!Arc::ptr_eq(&first, &earlier));
}

#[test]
fn a_young_file_is_read_again_though_its_times_are_as_they_were() {
    let home = Home::new(&testing::file(&[testing::record(1)]));
    let (young, _) = home.glance(None, Duration::ZERO);
    assert_eq!(young.stamp, None);
    let (again, _) = home.glance(Some(&young), SOON);
    assert!(!Arc::ptr_eq(&young, &again));
    assert!(again.stamp.is_some());
}

#[test]
fn a_rewrite_of_the_same_length_and_time_is_seen() {
    let text = testing::file(&[testing::record(1), testing::record(2)]);
    let home = Home::new(&text);
    let (before, _) = home.glance(None, SOON);
    home.until_times_move_on();
    let at = text.find("running").expect("a status");
    home.overwrite(at as u64, "blocked");
    let (after, _) = home.glance(Some(&before), SOON);
    assert_eq!(after.listed()[0].state, vigil_core::State::Blocked);
    assert_ne!(after.listed()[0].revision, before.listed()[0].revision);
    assert_eq!(after.listed()[1], before.listed()[1]);
}

#[test]
fn what_changes_between_a_glance_and_the_full_look_is_a_doubt() {
    let text = testing::file(&[testing::record(1), testing::record(2)]);
    let home = Home::new(&text);
    let (glance, file) = home.glance(None, SOON);
    let full = |picked: &[usize]| glance.sessions(&file, picked, SOURCE, NOW);
    assert_eq!(full(&[1]).expect("it is there").len(), 1);
    let at = text.find("running").expect("a status");
    home.overwrite(at as u64, "blocked");
    assert!(full(&[0]).is_err());
    assert_eq!(full(&[1]).expect("this one is as it was").len(), 1);
    // A new file in its place leaves the one that was glanced at.
    let (glance, file) = home.glance(None, SOON);
    home.replace("[]");
    let sessions = glance.sessions(&file, &[0, 1], SOURCE, NOW);
    assert_eq!(sessions.expect("the old file").len(), 2);
    File::options()
        .write(true)
        .open(home.file())
        .and_then(|file| file.set_len(0))
        .expect("it is cut");
    assert!(glance.sessions(&file, &[9], SOURCE, NOW).is_err());
}

#[test]
fn what_is_no_plain_file_of_records_is_a_doubt() {
    let odd = [
        "",
        "null",
        "{}",
        "[{}",
        "[{\"a\":}]",
        "[{\"repo\":\"\u{1}\"}]",
    ];
    for text in odd {
        let home = Home::new(text);
        let looked = glance(home.0.path(), SOURCE, None, file_clock());
        assert!(looked.is_err(), "{text}");
    }
    let home = Home::new("[]");
    fs::write(home.file(), b"[{\"repo\":\"\xff\"}]").expect("a file");
    assert!(glance(home.0.path(), SOURCE, None, file_clock()).is_err());
    fs::remove_file(home.file()).expect("it goes");
    assert!(glance(home.0.path(), SOURCE, None, file_clock()).is_err());
    fs::create_dir(home.file()).expect("a folder of that name");
    assert!(glance(home.0.path(), SOURCE, None, file_clock()).is_err());
}

/// A record of few different values, so that some name the same issue, log or branch, and some cannot be named.
fn record() -> impl Strategy<Value = String> {
    let repo = prop::sample::select(vec![
        r#""repo":"a/b","#,
        r#""repo": "A/b","#,
        r#""repo":"a-b/c","#,
        r#""repo":"a/b-c","#,
        r#""repo":"x\u0007/y","#,
        r#""repo":"no repo","#,
        r#""repo":7,"#,
        "",
    ]);
    let issue = prop::sample::select(vec![
        r#""issue_number":1,"#,
        r#""issue_number":2,"#,
        r#""issue_number":"1","#,
        "",
    ]);
    let status = prop::sample::select(vec![
        "running", "resuming", "blocked", "success", "failed", "closed", "odd", "",
    ]);
    let branch = prop::sample::select(vec![
        r#""branch":"b","#,
        r#""branch":"..","#,
        r#""branch":[],"#,
        "",
    ]);
    let more = prop::sample::select(vec![
        r#""pull_request_state":"OPEN","#,
        r#""pull_request_state":"MERGED","#,
        r#""issue_backend":"linear","#,
        r#""started_at":"2026-03-26T17:00:00Z","#,
        r#""started_at":"2036-03-26T17:00:00Z","#,
        r#""process_id":7,"process_id":8,"#,
        "\n  \"unknown\": {\"a\": [1, \"}\"]},",
        "",
    ]);
    (repo, issue, status, branch, more).prop_map(|(repo, issue, status, branch, more)| {
        format!("{{{repo}{issue}{branch}{more}\"status\":\"{status}\"}}")
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// After any number of rewrites glance and sessions are those of a reader that knew nothing before.
    #[test]
    fn it_is_as_if_the_file_were_read_for_the_first_time(
        files in prop::collection::vec(prop::collection::vec(record(), 0..6), 1..5),
        keep in any::<bool>(),
    ) {
        let home = Home::new("[]");
        let mut before: Option<Arc<Glance>> = None;
        let mut records: Vec<String> = Vec::new();
        for new in files {
            // Some go, some stay where others were.
            records.truncate(records.len() / 2);
            records.splice(0..0, new);
            let text = format!("[{}]\n", records.join(",\n"));
            home.replace(&text);
            let (glance, file) = home.glance(before.as_ref(), SOON);
            let whole = RecordFile::parse(Path::new("f"), &text).expect("it parses");
            let expected = convert::sessions(&whole, SOURCE, NOW);
            let listed: Vec<_> = expected.iter().map(|(session, _)| Listed::of(session)).collect();
            prop_assert_eq!(glance.listed().to_vec(), listed);
            for (place, (session, work)) in expected.into_iter().enumerate() {
                let full = glance.sessions(&file, &[place], SOURCE, NOW);
                if whole.outlines[place].duplicate_key.is_some() {
                    prop_assert!(full.is_err());
                    continue;
                }
                let full = full.expect("it is there");
                prop_assert_eq!(&full[0].1, &session);
                prop_assert_eq!(format!("{:?}", full[0].2), format!("{work:?}"));
            }
            before = keep.then_some(glance);
        }
    }
}
