//! Where the parts meet: every step of vigil's comes by here, and here it is looked at, disturbed, or ended.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use vigil_store::Store;

use crate::body::Body;
use crate::cast::Member;
use crate::check::{Checker, Seen};
use crate::clock::Clock;
use crate::disk::{Disk, Snapshot};
use crate::hub::Hub;
use crate::outside::Frozen;
use crate::owner;
use crate::plant::Bug;
use crate::rng::Rng;

/// What goes wrong in one pass, and at which of its steps.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plan {
    /// The owner writes at this step.
    pub owner: Option<u32>,
    /// vigil ends at this step.
    pub crash: Option<u32>,
    /// With the machine, so that what was not waited for may be lost.
    pub power_cut: bool,
    /// This step of a write fails.
    pub fail: Option<u32>,
    /// Out of a hundred looks at a thing of the machine so many find nothing out.
    pub blind: u64,
}

/// The whole of a simulation, but for vigil.
pub struct State {
    /// Chance for what happens during passes.
    pub rng: Rng,
    /// The machine's clocks.
    pub clock: Clock,
    /// Sessions that are recorded now or were.
    pub members: Vec<Member>,
    /// Sessions that may come.
    pub absent: Vec<Member>,
    /// GitHub.
    pub hub: Hub,
    /// The machine's files.
    pub disk: Disk,
    /// What must hold.
    pub checker: Checker,
    /// What goes wrong in this pass.
    pub plan: Plan,
    /// Reads the journal beside vigil.
    pub store: Option<Store>,
    /// What vigil left when it ended.
    pub crashed: Option<Snapshot>,
    /// The first thing that did not hold.
    pub violation: Option<String>,
    /// The steps so far, for the one who looks into a failure.
    pub trace: Vec<String>,
    /// `scan.lock`, held by somebody, and for how many pauses more.
    pub lock: Option<(File, u32)>,
    /// An earlier file, which a slow command of the owner's may still save.
    pub earlier: String,
    /// The file that a power cut brings back: the rename over it has not reached the disk.
    pub unsynced: Option<Seen>,
    /// Which commits a checkout was compared with since GitHub was last asked.
    pub compared: BTreeSet<String>,
    /// A mistake that was put in on purpose.
    pub bug: Option<Bug>,
    /// How often vigil ended, and how often the owner wrote in between.
    pub tally: Tally,
}

/// What happened, so that a test can tell that it did.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Passes that were begun.
    pub passes: u64,
    /// Passes that were ended half-way.
    pub crashes: u64,
    /// Power cuts.
    pub power_cuts: u64,
    /// Writes of the owner's during a pass.
    pub interruptions: u64,
    /// Steps of a write that failed.
    pub failures: u64,
    /// Writes of vigil's that were seen in the file, one for each record.
    pub writes: u64,
    /// Passes that GitHub told to wait, or otherwise refused to answer, and that went through.
    pub limits: u64,
    /// How often each rule led to a write.
    pub rules: BTreeMap<String, u64>,
}

/// How often the owner thinks of something else to write.
const OWNER_TRIES: usize = 6;

/// The payload of the unwinding that stands for the end of the process.
pub struct Ended;

/// Shared by all that vigil meets.
pub struct Stage {
    state: Mutex<State>,
}

impl Stage {
    /// The stage with `state`.
    pub fn new(state: State) -> Arc<Self> {
        Arc::new(Stage {
            state: Mutex::new(state),
        })
    }

    /// All of it. A panic in between is a failed test in any case.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// vigil comes to `place`.
    pub(crate) fn at(&self, place: &'static str) -> io::Result<()> {
        let mut state = self.state();
        if state.crashed.is_some() {
            // What still runs after the end is undone with all that it does.
            return Err(io::Error::other("vigil has ended"));
        }
        match state.enter(place) {
            Step::On => Ok(()),
            Step::Fail(error) => Err(error),
            Step::End => {
                drop(state);
                std::panic::resume_unwind(Box::new(Ended))
            }
        }
    }
}

enum Step {
    On,
    Fail(io::Error),
    End,
}

/// Steps at which a write may fail. Not after the exchange: the live world has no such failure there, and what it
/// would mean (whether somebody's write was displaced stays open) is told by the product's own tests.
const FAILING: [&str; 8] = [
    "backup",
    "create-temp",
    "write-temp",
    "sync-temp",
    "lock",
    "reread",
    "rename",
    "sync-folder",
];

/// Steps between the last look before a write and the first one after it.
const EXCHANGING: [&str; 3] = ["exchange", "look-back", "step-back"];

impl State {
    /// A world for asking the time in while the stage is held.
    pub fn frozen(&self) -> Frozen {
        Frozen {
            now: self.clock.now(),
            booted_at: self.clock.booted_at(),
        }
    }

    /// Keeps the first thing that did not hold.
    pub fn hold(&mut self, result: Result<(), String>) {
        if let (Err(why), None) = (result, &self.violation) {
            self.violation = Some(why);
        }
    }

    /// Nothing was sent in this pass to a GitHub that had said to wait.
    pub fn nobody_asked_in_spite(&mut self) {
        let heeded = self.hub.was_heeded(self.clock.now());
        // Who takes every refusal for an absence was never told to wait.
        if self.bug != Some(Bug::UnknownIsAbsent) {
            self.hold(heeded);
        }
    }

    fn enter(&mut self, place: &'static str) -> Step {
        self.trace.push(place.to_owned());
        if matches!(place, "load" | "ask") {
            self.compared.clear();
        }
        if place == "load" {
            self.checker.unread.clear();
        }
        let exchanging = EXCHANGING.contains(&place);
        if !exchanging {
            self.checker.look_away = false;
        }
        self.look();
        if exchanging && self.checker.look_away {
            // The owner wrote in the gap, and two files are about to change places, or to change back. What becomes of
            // an end or another write right here is shown by the source's own tests: no checker could tell whose
            // record is whose in what is brought together then.
            return Step::On;
        }
        let mut owner_wrote = false;
        if count_down(&mut self.plan.owner) {
            owner_wrote = self.owner_writes();
            self.tally.interruptions += u64::from(owner_wrote);
        }
        if place == "rename" {
            self.unsynced = Some(self.checker.seen().clone());
        }
        if place == "rename" || place == "exchange" {
            self.checker.look_away = owner_wrote;
        }
        if count_down(&mut self.plan.crash) {
            return self.end();
        }
        let may_fail = FAILING.contains(&place);
        if place == "sync-folder" && self.bug == Some(Bug::SkipsSync) {
            return Step::Fail(io::Error::other("skipped"));
        }
        if may_fail && count_down(&mut self.plan.fail) {
            self.tally.failures += 1;
            self.trace.push(format!("{place} failed"));
            return Step::Fail(io::Error::from_raw_os_error(28));
        }
        if place == "sync-folder" || place == "committed" && self.bug != Some(Bug::SkipsSync) {
            // Once the folder is on the disk, so is the new name. A power cut at this very step loses it.
            self.unsynced = None;
        }
        Step::On
    }

    /// Looks at the file.
    pub fn look(&mut self) {
        let world = self.frozen();
        let result = match (self.disk.text(), &self.store) {
            (Ok(text), Some(store)) => self.checker.look(&text, store, &world),
            (Ok(_), None) => Ok(()),
            (Err(error), _) => Err(format!("sessions.json cannot be read: {error}")),
        };
        self.tally.writes = self.checker.writes;
        self.hold(result);
    }

    /// The owner writes its file, if there is anything that it would write.
    pub fn owner_writes(&mut self) -> bool {
        let now = self.clock.now();
        let Ok(present) = self.disk.text() else {
            return false;
        };
        // What it thinks of first may change nothing.
        let next = (0..OWNER_TRIES).find_map(|_| {
            owner::next(
                &present,
                &self.earlier,
                &self.members,
                &self.absent,
                now,
                &mut self.rng,
            )
            .filter(|next| *next != present)
        });
        let Some(next) = next else {
            return false;
        };
        self.trace.push("the owner writes".to_owned());
        if self.rng.chance(40) {
            self.earlier = present;
        }
        self.put(&next);
        true
    }

    /// The owner puts `text` down.
    pub fn put(&mut self, text: &str) {
        let world = self.frozen();
        let put = self.disk.put(text).map_err(|error| error.to_string());
        let seen = put.and_then(|()| self.checker.owner_put(text, &world));
        // The folder is the same: what the owner waits for takes vigil's rename along.
        self.unsynced = None;
        self.hold(seen);
    }

    /// vigil ends here.
    fn end(&mut self) -> Step {
        self.trace.push("vigil ends".to_owned());
        let left = self.leave();
        match left {
            Ok(files) => self.crashed = Some(files),
            Err(error) => {
                self.hold(Err(format!("the files cannot be read: {error}")));
                self.crashed = Some(Snapshot::new());
            }
        }
        Step::End
    }

    /// What is left when vigil ends now, with a power cut if that is planned.
    pub fn leave(&mut self) -> io::Result<Snapshot> {
        self.tally.crashes += 1;
        let mut files = self.disk.snapshot()?;
        if self.plan.power_cut {
            self.tally.power_cuts += 1;
            self.trace.push("the power is cut".to_owned());
            let share = self.rng.below(101);
            self.disk.cut_power(&mut files, share);
            if let Some(seen) = self.unsynced.take() {
                files.insert(self.disk.sessions(), seen.text().as_bytes().to_vec());
                self.checker.put_back(seen);
            }
        }
        Ok(files)
    }

    /// Bodies by the names of their sessions.
    pub fn bodies(&self) -> BTreeMap<String, Body> {
        self.members
            .iter()
            .map(|member| (member.id(), member.body.clone()))
            .collect()
    }
}

/// Counts a planned moment down; true when it has come.
fn count_down(moment: &mut Option<u32>) -> bool {
    match moment {
        Some(0) => {
            *moment = None;
            true
        }
        Some(left) => {
            *left -= 1;
            false
        }
        None => false,
    }
}
