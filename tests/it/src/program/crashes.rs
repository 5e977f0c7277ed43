//! A crash loop: vigil is killed again and again while somebody who heeds no lock keeps writing the same file. Nothing
//! that they wrote is lost, the file is whole at every moment, and in the end journal and records agree.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};
use vigil::demo::Made;
use vigil::pass::How;

use super::heals::{Turned, by_hand};
use super::stage::{Held, Stage, everything, now, wait_for_end};

/// Sessions of a round; a pass moves all of them.
const SESSIONS: u64 = 6;

/// Kills of a round, after which one pass goes to its end.
const KILLS_PER_ROUND: usize = 5;

/// Somebody who reads all records, changes one, and writes all, as fast as they can.
struct Writer {
    stop: Arc<AtomicBool>,
    writes: Arc<AtomicU64>,
    thread: JoinHandle<Vec<u64>>,
}

impl Writer {
    /// Gives from its end what it last wrote into each record.
    fn start(file: PathBuf, mut random: Random) -> Writer {
        let stop = Arc::new(AtomicBool::new(false));
        let writes = Arc::new(AtomicU64::new(0));
        let (stopped, counted) = (Arc::clone(&stop), Arc::clone(&writes));
        let thread = std::thread::spawn(move || {
            let mut last = vec![0; SESSIONS as usize];
            while !stopped.load(Ordering::SeqCst) {
                let issue = random.below(SESSIONS) + 1;
                let number = counted.load(Ordering::SeqCst) + 1;
                let mut all = records(&file);
                let mine = all
                    .iter_mut()
                    .find(|record| record["issue_number"] == issue)
                    .expect("no record goes away");
                // A field that vigil does not know: for it the record has moved. And one that is only bookkeeping, far
                // more often, so that vigil comes to write.
                match random.below(8) {
                    0 => {
                        mine["x_number"] = json!(number);
                        last[issue as usize - 1] = number;
                    }
                    _ => mine["issue_comments_etag"] = json!(format!("W/{number}")),
                }
                put(&file, &all);
                counted.fetch_add(1, Ordering::SeqCst);
            }
            last
        });
        Writer {
            stop,
            writes,
            thread,
        }
    }

    fn writes(&self) -> u64 {
        self.writes.load(Ordering::SeqCst)
    }

    fn end(self) -> Vec<u64> {
        self.stop.store(true, Ordering::SeqCst);
        self.thread
            .join()
            .expect("the file was whole at every moment")
    }
}

/// What is in the file, which has to be readable whenever somebody looks.
fn records(file: &Path) -> Vec<Value> {
    let text = fs::read_to_string(file).expect("the file is there at every moment");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Writes as Vigilante does.
fn put(file: &Path, all: &[Value]) {
    let temporary = file.with_extension("json.tmp-test");
    let text = serde_json::to_string_pretty(all).expect("JSON");
    fs::write(&temporary, text).expect("a file");
    fs::rename(temporary, file).expect("a rename");
}

/// A row of numbers that looks like chance, the same for the same seed (xorshift).
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Random {
        // Never zero, where it would stay.
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end.max(1)
    }
}

/// Kills `kills` passes beside a second writer.
fn crash_loop(kills: usize) {
    let mut random = Random::new(8);
    let mut killed = 0;
    // How many writes a pass lasts: learned from those that ended by themselves.
    let mut lasts = 200;
    for round in 0.. {
        if killed >= kills {
            return;
        }
        let mut stage = Stage::new();
        for issue in 1..=SESSIONS {
            stage.add_merged(&Made {
                issue,
                ..Made::default()
            });
        }
        stage.write();
        let writer = Writer::start(stage.sessions_file(), Random::new(round + 1));
        for _ in 0..KILLS_PER_ROUND {
            let until = writer.writes() + random.below(lasts + lasts / 4);
            let mut command = stage.vigil(&["run", "--once", "--policy", "default.wasm"]);
            let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
            let mut child = Held(quiet.spawn().expect("vigil starts"));
            let begun = writer.writes();
            loop {
                if child.0.try_wait().expect("our child").is_some() {
                    lasts = (lasts + writer.writes() - begun) / 2 + 1;
                    break;
                }
                if writer.writes() >= until {
                    // Our own child, started for this test.
                    let _ = child.0.kill();
                    wait_for_end(&mut child.0);
                    killed += 1;
                    break;
                }
                std::thread::yield_now();
            }
        }
        let last = writer.end();
        check(&stage, &last, round);
    }
}

/// After one more pass, or a few where what vigil holds against a second writer needs them, all is as it should be.
fn check(stage: &Stage, last: &[u64], round: u64) {
    for _ in 0..3 {
        stage.pass().ended(0);
    }
    let all = records(&stage.sessions_file());
    assert_eq!(all.len(), SESSIONS as usize, "round {round}");
    for (record, last) in all.iter().zip(last) {
        let number = record["x_number"].as_u64().unwrap_or_default();
        assert_eq!(number, *last, "round {round}: {record:#}");
    }
    let names: Vec<String> = fs::read_dir(stage.home.vigilante())
        .expect("a folder")
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    let displaced = names.iter().filter(|name| name.ends_with(".base"));
    assert_eq!(displaced.count(), 0, "round {round}: {names:?}");
    nothing_is_left_over(stage, round);
    let history = stage.run(&["history", "--json"]).json_with(0);
    let rows = history["transitions"].as_array().expect("a list");
    assert!(
        rows.iter().all(|row| row["outcome"] != "prepared"),
        "round {round}: {history:#}"
    );
    for record in &all {
        // Whatever is so by vigil's hand stands in its journal.
        let id = format!("acme/app#{}", record["issue_number"]);
        let written = rows
            .iter()
            .any(|row| row["session"] == id.as_str() && row["outcome"] == "written");
        assert!(
            record["status"] != "success" || written,
            "round {round}: {id}: {history:#}"
        );
    }
}

/// Two minutes later a pass takes away what kills left of files that were being made, in the home and in vigil's own folder.
fn nothing_is_left_over(stage: &Stage, round: u64) {
    // What a kill has to hit to the microsecond.
    let state = stage.state_dir();
    let backups = state.join("backups/vigilante");
    for left in [
        stage
            .home
            .vigilante()
            .join(".vigil-sessions-Ab3Ab3Ab3Ab3.tmp"),
        backups.join(".vigil-backup-Ab3Ab3"),
        backups.join(".vigil-kept-Ab3Ab3"),
        backups.join("displaced-Ab3Ab3Ab3Ab3.why"),
        state.join(".vigil-new-Ab3Ab3.sqlite"),
        state.join("holders/.new-Ab3Ab3"),
    ] {
        fs::write(&left, "x").unwrap_or_else(|error| panic!("{}: {error}", left.display()));
    }
    let later = now().after(Duration::from_secs(120));
    let clock = Turned(Arc::new(AtomicU64::new(later.as_millis())));
    let (mut vigil, runtime) = by_hand(stage, &clock);
    runtime.block_on(vigil.pass(&How::once())).expect("a pass");
    drop(vigil);
    let is_left = |path: &Path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let is_half = [".vigil-", ".new-", ".tmp"]
            .iter()
            .any(|prefix| name.starts_with(prefix));
        let is_alone = name.ends_with(".why") && !path.with_extension("json").exists();
        is_half || is_alone
    };
    for folder in [stage.home.vigilante(), state] {
        let mut left: Vec<PathBuf> = everything(&folder).into_keys().collect();
        left.retain(|path| is_left(path));
        assert_eq!(left, [""; 0].map(PathBuf::from), "round {round}");
    }
}

#[test]
fn killed_thirty_times_beside_a_second_writer_nothing_is_lost() {
    crash_loop(30);
}

#[test]
#[ignore = "nightly: takes some minutes; see CONTRIBUTING.md"]
fn killed_a_thousand_times_beside_a_second_writer_nothing_is_lost() {
    crash_loop(1_000);
}
