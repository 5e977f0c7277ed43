//! The complaint that vigil came out of: `vigilante status` warns of stale sessions, and cannot ask GitHub itself.

use std::path::Path;

use anyhow::Result;
use vigil::demo::Made;
use vigil::report::Outcome;
use vigil_core::State;

use crate::stage::{Issue, Programs, Pull, Stage, Told, ago, of_issue};

/// Four sessions that Vigilante calls stale, and what each is in truth.
const FOUR: [(u64, Issue, Pull, Option<&str>, State); 4] = [
    (
        299,
        Issue::Closed,
        Pull::Merged,
        Some("vigilante:done"),
        State::Succeeded,
    ),
    (
        300,
        Issue::Closed,
        Pull::Open,
        Some("vigilante:done"),
        State::Maintaining,
    ),
    (
        301,
        Issue::Open,
        Pull::None,
        Some("vigilante:done"),
        State::Closed,
    ),
    (302, Issue::Open, Pull::None, None, State::Blocked),
];

/// Shows the warning before and after vigil, with a `gh` that only fails. What is not as it must be comes back.
pub(crate) fn findings(programs: &Programs, dir: &Path) -> Result<Vec<String>> {
    let told = FOUR.map(|(number, issue, pull, label, _)| Told {
        made: Made {
            issue: number,
            ..Made::default()
        },
        issue,
        pull,
        label,
        pull_ended: ago::PULL_ENDED,
        head_known: true,
    });
    let stage = Stage::set(programs, dir, &told, true)?;
    let mut findings = Vec::new();
    let mut expect = |holds: bool, what: String| {
        println!("{}  {what}", if holds { "ok   " } else { "WRONG" });
        if !holds {
            findings.push(what);
        }
    };

    println!("`vigilante status --plain`, with a gh that only fails:");
    let before = stage.vigilante(&["status", "--plain"])?;
    expect(
        before
            .lines()
            .any(|line| line.starts_with("Stale sessions (4)")),
        "before: Stale sessions (4)".to_owned(),
    );
    let report = stage.vigil()?;
    for (number, .., state) in FOUR {
        let session = of_issue(&report, number)?;
        expect(
            session.outcome == Outcome::Transitioned && session.to == state,
            format!("vigil: #{number} {} by {}", session.to, session.rule),
        );
    }
    for look in ["after", "once more"] {
        let after = stage.vigilante(&["status", "--plain"])?;
        // Vigilante prints an empty list when it cannot read its file: that would be no proof.
        expect(
            after
                .lines()
                .any(|line| line.starts_with("Sessions: 3 total"))
                && !after.contains("Stale sessions"),
            format!("{look}: three sessions that aren't closed, and no stale ones"),
        );
    }
    let again = stage.vigil()?;
    expect(
        again
            .sessions
            .iter()
            .all(|session| session.outcome == Outcome::Held),
        "a second pass of vigil moves nothing".to_owned(),
    );
    println!();
    Ok(findings)
}
