//! Two thousand seeds hold, and each planted mistake is caught by some of them.

#![allow(clippy::unwrap_used, reason = "a test may panic: that is how it fails")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use vigil_sim::{Broken, Bug, Lab, Tally};

/// Seeds of a whole run.
const SEEDS: u64 = 2_000;

/// Seeds within which a planted mistake has to be caught.
const SEEDS_OF_A_BUG: u64 = 1_000;

/// The rules of the default policy that lead to a write: each has to be met somewhere.
const WRITING_RULES: [&str; 10] = [
    "unmerged-work",
    "merged-pr",
    "open-pr",
    "closed-pr",
    "done-issue",
    "closed-issue",
    "gone-issue",
    "stuck-maintenance",
    "agent-gone",
    "unsaved-work",
];

/// One worker for each of the two cores that a small machine has.
const WORKERS: usize = 2;

#[expect(
    clippy::disallowed_methods,
    reason = "how a person asks for one seed, or for more of them"
)]
fn asked(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is {text:?}, which is no number")),
    )
}

fn tell(broken: &Broken) -> String {
    let from = broken.trace.len().saturating_sub(60);
    format!(
        "seed {} does not hold: {}\nits last steps: {}\nrun it alone with VIGIL_SIM_SEED={} cargo test -p vigil-sim",
        broken.seed,
        broken.why,
        broken.trace[from..].join(", "),
        broken.seed
    )
}

/// Runs the seeds from `first` on with `bug`, and ends at the first that does not hold.
fn run(lab: &Lab, first: u64, count: u64, bug: Option<Bug>) -> Result<Tally, Box<Broken>> {
    let next = AtomicU64::new(first);
    let total = Mutex::new(Tally::default());
    let broken: Mutex<Option<Box<Broken>>> = Mutex::new(None);
    let work = || {
        let runtime = Lab::runtime().unwrap();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + count || broken.lock().unwrap().is_some() {
                return;
            }
            match lab.run(seed, bug, &runtime) {
                Ok(tally) => add(&mut total.lock().unwrap(), tally),
                Err(found) => {
                    broken.lock().unwrap().get_or_insert(found);
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..WORKERS {
            scope.spawn(work);
        }
        work();
    });
    match broken.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(broken) => Err(broken),
        None => Ok(total.into_inner().unwrap()),
    }
}

fn add(total: &mut Tally, one: Tally) {
    total.passes += one.passes;
    total.crashes += one.crashes;
    total.power_cuts += one.power_cuts;
    total.interruptions += one.interruptions;
    total.failures += one.failures;
    total.writes += one.writes;
    total.limits += one.limits;
    for (rule, count) in one.rules {
        *total.rules.entry(rule).or_default() += count;
    }
}

#[test]
fn whatever_happens_the_records_stay_true() {
    let lab = Lab::new().unwrap();
    if let Some(seed) = asked("VIGIL_SIM_SEED") {
        if let Err(broken) = run(&lab, seed, 1, None) {
            panic!("{}", tell(&broken));
        }
        return;
    }
    let seeds = asked("VIGIL_SIM_SEEDS").unwrap_or(SEEDS);
    let tally = match run(&lab, 0, seeds, None) {
        Ok(tally) => tally,
        Err(broken) => panic!("{}", tell(&broken)),
    };
    if seeds < SEEDS {
        return;
    }
    // A simulation in which nothing happens would hold as well.
    assert!(tally.crashes > seeds / 4, "{tally:?}");
    assert!(tally.power_cuts > seeds / 10, "{tally:?}");
    assert!(tally.interruptions > seeds / 4, "{tally:?}");
    assert!(tally.failures > seeds / 50, "{tally:?}");
    assert!(tally.writes > seeds, "{tally:?}");
    assert!(tally.limits > seeds / 10, "{tally:?}");
    for rule in WRITING_RULES {
        assert!(tally.rules.contains_key(rule), "{rule}: {tally:?}");
    }
}

#[test]
fn the_same_seed_is_the_same_run() {
    let lab = Lab::new().unwrap();
    let runtime = Lab::runtime().unwrap();
    for seed in [3, 7, 11] {
        let one = lab
            .run(seed, None, &runtime)
            .map_err(|broken| tell(&broken))
            .unwrap();
        let again = lab
            .run(seed, None, &runtime)
            .map_err(|broken| tell(&broken))
            .unwrap();
        assert_eq!(format!("{one:?}"), format!("{again:?}"), "seed {seed}");
    }
}

#[test]
fn each_planted_mistake_is_caught() {
    let lab = Lab::new().unwrap();
    let seeds = asked("VIGIL_SIM_SEEDS").unwrap_or(SEEDS_OF_A_BUG);
    for bug in Bug::ALL {
        match run(&lab, 0, seeds, Some(bug)) {
            Err(broken) => assert_caught_as(bug, &broken),
            Ok(tally) => panic!("{bug:?} was not caught within {seeds} seeds: {tally:?}"),
        }
    }
}

/// It is caught as what it is, and not because the simulation stumbled over it.
fn assert_caught_as(bug: Bug, broken: &Broken) {
    let wanted: &[&str] = match bug {
        Bug::UnknownIsAbsent => &["nobody c", "called absent", "GitHub has"],
        Bug::WritesBeforeJournal => &["without a prepared transition"],
        Bug::IgnoresRevision => &["without a prepared transition"],
        Bug::LosesField => &["without a prepared transition", "were lost or changed"],
        Bug::SkipsSync => &["the file does not have it"],
        Bug::NeverWrites => &["and should be"],
        Bug::IgnoresLimits => &["while it was told to wait"],
        Bug::LeavesWork => &["would destroy work because it is left"],
        Bug::LetsGoForeignBlocks => &["lets go what somebody else has blocked"],
        Bug::ForgetsUndos => &["was undone by hand"],
        Bug::KeepsReopeningsQuiet => &["and nobody is told"],
        Bug::OverlooksOccupants => &["is at work in its worktree"],
        Bug::HiddenIsAbsent => &["nobody can tell who is at work on it"],
        Bug::MovedIsMissing => &[
            "a worktree that was moved is called missing",
            "nobody can tell who is at work on it",
            "would discard work",
        ],
        Bug::GoesByRecordedBranch | Bug::UnreadIsRecorded => &["which is checked out, is"],
    };
    assert!(
        wanted.iter().any(|words| broken.why.contains(words)),
        "{bug:?} was seen as something else: {}",
        tell(broken)
    );
}
