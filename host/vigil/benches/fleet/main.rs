//! What fleets cost, beside what they may cost: requests and points as the model of GitHub counts them by GitHub's
//! published formula, virtual minutes, and seconds and memory as they are. Prints a table; exit code 1 when a figure is
//! missed. Run it with `cargo xtask bench fleet`; numbers after `--` choose rows.
//!
//! Everything but GitHub and the clock is what `vigil run` uses: records on disk, the default policy, the journal, a
//! client over real sockets. The sessions' worktrees and branches are not there, so that there is next to nothing to look at:
//! what it costs belongs to the machine.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    reason = "a bench measures real time and prints it"
)]

mod busy;
mod fleet;
mod large;
mod rows;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;
use vigil_core::time::minutes;

use fleet::{Fleet, Plan};

/// A figure.
struct Row {
    what: &'static str,
    reach: &'static str,
    counted: String,
    holds: bool,
}

/// Counts one figure or several.
type Rows = fn() -> Result<Vec<Row>>;

const ALL: [(u32, Rows); 5] = [(1, asked), (3, merged), (4, busy), (5, slow), (6, large)];

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        Some(large::SERVE) => return ended(large::serve()),
        Some(large::WATCH) => return ended(large::watch().map(|answer| say(&answer))),
        _ => {}
    }
    let chosen: Vec<u32> = std::env::args().filter_map(|it| it.parse().ok()).collect();
    let mut all_hold = true;
    say("| what | reach | counted | holds |\n| --- | --- | --- | --- |");
    for (number, rows) in ALL {
        if !chosen.is_empty() && !chosen.contains(&number) {
            continue;
        }
        match rows() {
            Ok(rows) => {
                for row in rows {
                    all_hold &= row.holds;
                    let holds = if row.holds { "yes" } else { "no" };
                    say(&format!(
                        "| {} | {} | {} | {holds} |",
                        row.what, row.reach, row.counted
                    ));
                }
            }
            Err(error) => {
                all_hold = false;
                say(&format!(
                    "| figure {number} | | could not be counted: {error:#} | no |"
                ));
            }
        }
    }
    match all_hold {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

fn ended(result: Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// How long a repository is idle after which vigil looks at it as seldom as it ever does: it waits for a tenth of that.
const LONG_IDLE: Duration = minutes(155);

/// A line, at once.
fn say(line: &str) {
    println!("{line}");
}

fn thousand() -> Plan {
    Plan::new(1_000, 20)
}

/// The first look, and quiet passes after it.
fn asked() -> Result<Vec<Row>> {
    let plan = thousand();
    let mut fleet = Fleet::new(&plan)?;
    let first = rows::cold(&mut fleet)?.count;
    rows::settle(&mut fleet)?;
    let (all, dearest) = rows::quiet(&mut fleet, 30)?;
    let requests = first.graphql + first.rest;
    Ok(vec![
        Row {
            what: "first pass, 1,000 sessions with issue and pull request over 20 repositories, found by branch",
            reach: "30 points, 30 requests",
            counted: format!("{} points, {requests} requests", first.points),
            holds: first.points <= 30 && requests <= 30 && first.bad == 0 && first.postponed == 0,
        },
        Row {
            what: "the same fleet, settled and quiet, per pass, the dearest of 30",
            reach: "0 points, 1 conditional request per repository",
            counted: format!(
                "{} points, {} requests for 20 repositories; all 30 passes: {} points, {} requests, {} of them charged for",
                dearest.points, dearest.rest, all.points, all.rest, all.charged
            ),
            holds: all.points == 0
                && all.graphql == 0
                && dearest.rest <= 20
                && all.charged == 0
                && all.bad == 0,
        },
    ])
}

/// One merge.
fn merged() -> Result<Vec<Row>> {
    let busy = rows::merge(&thousand(), minutes(1))?;
    let idle = rows::merge(&thousand(), LONG_IDLE)?;
    let said = |seconds: u64| format!("{} min {} s", seconds / 60, seconds % 60);
    Ok(vec![
        Row {
            what: "one of 1,000 pull requests merged, until its session is written as succeeded, busy repository",
            reach: "3 requests beyond the probes",
            counted: format!("{} requests, {}", busy.beyond, said(busy.after.as_secs())),
            holds: busy.beyond <= 3 && busy.after <= minutes(2),
        },
        Row {
            what: "the same in a repository where nothing had happened for two and a half hours",
            reach: "3 requests beyond the probes, 15 min",
            counted: format!("{} requests, {}", idle.beyond, said(idle.after.as_secs())),
            holds: idle.beyond <= 3 && idle.after <= minutes(16),
        },
    ])
}

/// An hour of 10,000 sessions.
fn busy() -> Result<Vec<Row>> {
    let checks = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/guests/dist/wants-checks.wasm"
    );
    let plan = Plan {
        pending_in: 5,
        policies: vec![checks.to_owned(), "default.wasm".to_owned()],
        ..Plan::new(10_000, 200)
    };
    let hour = busy::hour(&plan)?;
    let count = hour.count;
    Ok(vec![Row {
        what: "10,000 sessions over 200 repositories, 2 changes each per hour, CI pending on a fifth, checks wanted, per hour",
        reach: "1,800 points, nothing put off, merges noticed within 2 min",
        counted: format!(
            "{} points, {} GraphQL and {} REST requests ({} charged for), {} put off; {} changes; {} merges, each noticed \
             within {} s; before it, the first pass: {} points",
            count.points,
            count.graphql,
            count.rest,
            count.charged,
            count.postponed,
            hour.changes,
            hour.merges,
            hour.noticed_after.as_secs(),
            hour.first.points,
        ),
        holds: count.points <= 1_800
            && count.postponed == 0
            && count.bad == 0
            && hour.first.postponed == 0
            && hour.noticed_after <= minutes(2),
    }])
}

/// A first look at a GitHub that takes its time.
fn slow() -> Result<Vec<Row>> {
    let plan = Plan {
        latency: Duration::from_millis(150),
        ..thousand()
    };
    let mut fleet = Fleet::new(&plan)?;
    let began = Instant::now();
    rows::cold(&mut fleet)?;
    let took = began.elapsed();
    Ok(vec![Row {
        what: "wall time of the first pass, 1,000 sessions, all of them written, 150 ms added to every answer",
        reach: "10 s",
        counted: format!("{:.1} s", took.as_secs_f64()),
        holds: took < Duration::from_secs(10),
    }])
}

/// A hundred times as many.
fn large() -> Result<Vec<Row>> {
    let large = large::measure()?;
    let seconds = |ms: u64| ms as f64 / 1000.0;
    Ok(vec![Row {
        what: "100,000 sessions over 200 repositories in one process: the slowest quiet pass of 18 minutes, and the most memory",
        reach: "3 s, 500 MB",
        counted: format!(
            "{:.2} s ({} sessions judged again), {} MB; to get to know all of them: {:.1} s",
            seconds(large.slowest_ms),
            large.judged,
            large.peak_mb,
            seconds(large.first_ms),
        ),
        holds: large.slowest_ms < 3_000 && large.peak_mb < 500,
    }])
}
